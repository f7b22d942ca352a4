"""Listpacks and intsets, the compact forms in which Redis keeps small collections and writes them into dumps.

A listpack is a header (bytes in all, number of entries), entries, and a byte 0xff.  An entry is its kind and length,
its data, and the length of both once more for who reads backwards.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final

from storage.rdb_primitives import canonical_integer
from storage.rdb_values import BadPayload

_HEADER: Final = struct.Struct("<IH")
_MANY: Final = 0xFFFF
_END: Final = 0xFF
#: Kinds of integers: bytes of data.
_WIDTHS: Final = {0xF1: 2, 0xF2: 3, 0xF3: 4, 0xF4: 8}
_STRING_32: Final = 0xF0
_INTSET: Final = struct.Struct("<II")
_INTSET_FORMATS: Final = {2: "h", 4: "i", 8: "q"}


def unpack_listpack(data: bytes) -> list[bytes]:
    """All entries, integers as their digits."""
    end = len(data) - 1
    if end < _HEADER.size or data[end] != _END:
        raise BadPayload("no listpack")
    size, noted = _HEADER.unpack_from(data)
    if size != len(data):
        raise BadPayload("a listpack of another length")
    entries: list[bytes] = []
    place = _HEADER.size
    while place < end:
        entry, stop = _read(data, place, end)
        backlen = _backlen(stop - place)
        if data[stop : stop + len(backlen)] != backlen:
            raise BadPayload("an entry of another length")
        entries.append(entry)
        place = stop + len(backlen)
    if place != end or (noted != _MANY and noted != len(entries)):
        raise BadPayload("a listpack with another number of entries")
    return entries


def _read(data: bytes, place: int, end: int) -> tuple[bytes, int]:
    """The entry at a place, and where its data end."""
    kind = data[place]
    if kind < 0x80:
        return b"%d" % kind, place + 1
    if kind >= 0xC0 and kind < 0xE0:
        if place + 2 > end:
            raise BadPayload("a number is cut off")
        number = (kind & 0x1F) << 8 | data[place + 1]
        return b"%d" % (number - 0x2000 if number & 0x1000 else number), place + 2
    width = _WIDTHS.get(kind)
    if width is not None:
        stop = place + 1 + width
        if stop > end:
            raise BadPayload("a number is cut off")
        return b"%d" % int.from_bytes(data[place + 1 : stop], "little", signed=True), stop
    if kind < 0xC0:
        start, size = place + 1, kind & 0x3F
    elif kind < 0xF0:
        start, size = place + 2, (kind & 0x0F) << 8 | data[place + 1]
    elif kind == _STRING_32:
        start, size = place + 5, int.from_bytes(data[place + 1 : place + 5], "little")
    else:
        raise BadPayload("no kind of entry")
    if start + size > end:
        raise BadPayload("a string is cut off")
    return data[start : start + size], start + size


def pack_listpack(entries: Iterable[bytes | int]) -> bytes:
    """A listpack of these entries."""
    out = bytearray(_HEADER.size)
    count = 0
    for entry in entries:
        packed = pack_entry(entry)
        out += packed
        count += 1
    out.append(_END)
    _HEADER.pack_into(out, 0, len(out), min(count, _MANY))
    return bytes(out)


def pack_entry(entry: bytes | int) -> bytes:
    """One entry with its length behind it; bytes that are an integer are written as such."""
    number = entry if isinstance(entry, int) else canonical_integer(entry) if len(entry) <= 20 else None
    if number is not None:
        data = _packed_integer(number)
    else:
        assert isinstance(entry, bytes)
        size = len(entry)
        if size < 64:
            data = bytes((0x80 | size,)) + entry
        elif size < 4096:
            data = bytes((0xE0 | size >> 8, size & 0xFF)) + entry
        else:
            data = bytes((_STRING_32,)) + size.to_bytes(4, "little") + entry
    return data + _backlen(len(data))


def _packed_integer(number: int) -> bytes:
    if 0 <= number < 128:
        return bytes((number,))
    if -4096 <= number < 4096:
        return ((number & 0x1FFF) | 0xC000).to_bytes(2, "big")
    for kind, width in _WIDTHS.items():
        bits = 8 * width - 1
        if -(1 << bits) <= number < 1 << bits:
            return bytes((kind,)) + number.to_bytes(width, "little", signed=True)
    raise OverflowError(f"{number} has more than 64 bits")


def _backlen(size: int) -> bytes:
    """The length of an entry as it stands behind it: seven bits a byte, all but the first marked."""
    if size < 128:
        return bytes((size,))
    digits = [size >> 7 * place & 0x7F for place in range((size.bit_length() + 6) // 7)]
    return bytes((digits[-1], *(digit | 0x80 for digit in reversed(digits[:-1]))))


def unpack_intset(data: bytes) -> list[bytes]:
    """The members of an intset as digits, in order."""
    if len(data) < _INTSET.size:
        raise BadPayload("no intset")
    width, count = _INTSET.unpack_from(data)
    form = _INTSET_FORMATS.get(width)
    if form is None or not count or _INTSET.size + width * count != len(data):
        raise BadPayload("an intset of another length")
    numbers = struct.unpack_from(f"<{count}{form}", data, _INTSET.size)
    if any(low >= high for low, high in pairwise(numbers)):
        raise BadPayload("an intset that is not in order")
    return [b"%d" % number for number in numbers]


def pack_intset(members: Sequence[bytes]) -> bytes:
    """An intset of integers that are in order."""
    numbers = [int(member) for member in members]
    widest = max(-numbers[0] - 1, numbers[-1]).bit_length()
    width = 2 if widest < 16 else 4 if widest < 32 else 8
    return _INTSET.pack(width, len(numbers)) + struct.pack(f"<{len(numbers)}{_INTSET_FORMATS[width]}", *numbers)
