"""Ziplists and zipmaps, the compact forms of Redis before 7.0, which old dumps hold."""

from __future__ import annotations

import struct
from typing import Final

from storage.rdb_values import BadPayload

_HEADER: Final = struct.Struct("<IIH")
_END: Final = 0xFF
_LONG: Final = 0xFE
#: Kinds of integers: bytes of data.
_WIDTHS: Final = {0xC0: 2, 0xD0: 4, 0xE0: 8, 0xF0: 3, 0xFE: 1}


def unpack_ziplist(data: bytes) -> list[bytes]:
    """All entries, integers as their digits."""
    end = len(data) - 1
    if end < _HEADER.size or data[end] != _END:
        raise BadPayload("no ziplist")
    size, tail, noted = _HEADER.unpack_from(data)
    if size != len(data):
        raise BadPayload("a ziplist of another length")
    entries: list[bytes] = []
    place, before, last = _HEADER.size, 0, _HEADER.size
    while place < end:
        last = place
        previous, place = _previous(data, place, end)
        if previous != before:
            raise BadPayload("an entry of another length")
        entry, place = _read(data, place, end)
        entries.append(entry)
        before = place - last
    if place != end or tail != last or (noted != 0xFFFF and noted != len(entries)):
        raise BadPayload("a ziplist with other entries")
    return entries


def _previous(data: bytes, place: int, end: int) -> tuple[int, int]:
    """The length of the entry before, as it is noted at a place, and where that ends."""
    if data[place] < _LONG:
        return data[place], place + 1
    if data[place] != _LONG or place + 5 > end:
        raise BadPayload("no length of the entry before")
    return int.from_bytes(data[place + 1 : place + 5], "little"), place + 5


def _read(data: bytes, place: int, end: int) -> tuple[bytes, int]:
    """What an entry holds, of which the kind stands at a place, and where it ends."""
    kind = data[place]
    if 0xF1 <= kind <= 0xFD:
        return b"%d" % (kind - 0xF1), place + 1
    width = _WIDTHS.get(kind)
    if width is not None:
        start, size = place + 1, width
    elif kind < 0x40:
        start, size = place + 1, kind
    elif kind < 0x80:
        start, size = place + 2, (kind & 0x3F) << 8 | data[place + 1]
    elif kind == 0x80:
        start, size = place + 5, int.from_bytes(data[place + 1 : place + 5], "big")
    else:
        raise BadPayload("no kind of entry")
    stop = start + size
    if stop > end:
        raise BadPayload("an entry is cut off")
    found = data[start:stop]
    return (b"%d" % int.from_bytes(found, "little", signed=True) if width is not None else found), stop


def unpack_zipmap(data: bytes) -> list[bytes]:
    """Fields and values in turn."""
    end = len(data) - 1
    if end < 1 or data[end] != _END:
        raise BadPayload("no zipmap")
    words: list[bytes] = []
    place = 1
    while place < end:
        size, place = _zipmap_length(data, place, end)
        # Values have room behind them, in which they may grow.
        free = 0
        if len(words) % 2:
            if place >= end:
                raise BadPayload("a value is cut off")
            free = data[place]
            place += 1
        if place + size + free > end:
            raise BadPayload("a word is cut off")
        words.append(data[place : place + size])
        place += size + free
    if len(words) % 2 or (data[0] < _LONG and data[0] * 2 != len(words)):
        raise BadPayload("a zipmap with other words")
    return words


def _zipmap_length(data: bytes, place: int, end: int) -> tuple[int, int]:
    if data[place] < _LONG:
        return data[place], place + 1
    if data[place] != _LONG or place + 5 > end:
        raise BadPayload("no length of a word")
    return int.from_bytes(data[place + 1 : place + 5], "little"), place + 5
