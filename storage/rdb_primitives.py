"""Lengths, strings and numbers of Redis's dumps.

A length takes one byte (6 bits), two (14 bits), five or nine; a string is a length and its bytes, or a small integer,
or compressed.  Everything that is read was made by somebody else: no length is believed before as many bytes are there.
"""

from __future__ import annotations

import struct
from typing import Final

from storage import lzf
from storage.rdb_values import BadPayload

_LENGTH_32, _LENGTH_64 = 0x80, 0x81
_INT8, _INT16, _INT32, _LZF = 0xC0, 0xC1, 0xC2, 0xC3
_U32: Final = struct.Struct(">I")
_U64: Final = struct.Struct(">Q")
_MS: Final = struct.Struct("<q")
_DOUBLE: Final = struct.Struct("<d")
_INTEGERS: Final = {_INT8: struct.Struct("<b"), _INT16: struct.Struct("<h"), _INT32: struct.Struct("<i")}
#: Redis does not compress strings of up to so many bytes, and wants to save at least so many.
_NEVER_COMPRESSED, _SAVED = 20, 4
#: To compress longer strings in Python would take longer than to send them.
_COMPRESSED: Final = 16 * 1024
#: LZF makes no more than 264 bytes of three.
_LZF_BEST: Final = 88
#: Decimal digits of the longest integer that is written as one.
_DIGITS: Final = 11


class Reader:
    """Reads a payload from front to back; BadPayload whenever it is not as it should be.

    At most `room` bytes are made by decompressing.
    """

    __slots__ = ("_data", "_place", "_room")

    def __init__(self, data: bytes, room: int) -> None:
        self._data = data
        self._place = 0
        self._room = room

    @property
    def left(self) -> int:
        """How many bytes have not been read."""
        return len(self._data) - self._place

    def take(self, count: int) -> bytes:
        """The next so many bytes."""
        start = self._place
        if not 0 <= count <= len(self._data) - start:
            raise BadPayload("ends too early")
        self._place = start + count
        return self._data[start : start + count]

    def byte(self) -> int:
        return self.take(1)[0]

    def length(self) -> int:
        """A number of at most 64 bits."""
        first = self.byte()
        if first < 0x40:
            return first
        if first < 0x80:
            return (first & 0x3F) << 8 | self.byte()
        if first == _LENGTH_32:
            return int(_U32.unpack(self.take(4))[0])
        if first == _LENGTH_64:
            return int(_U64.unpack(self.take(8))[0])
        raise BadPayload("no length")

    def count(self) -> int:
        """The number of things to come, each of which takes at least a byte, and which are not none."""
        number = self.length()
        if not 0 < number <= self.left:
            raise BadPayload("no such number of elements")
        return number

    def string(self) -> bytes:
        if self.left and self._data[self._place] < 0xC0:
            return self.take(self.length())
        kind = self.byte()
        if kind == _LZF:
            return self._decompressed()
        integer = _INTEGERS.get(kind)
        if integer is None:
            raise BadPayload("no string")
        return b"%d" % integer.unpack(self.take(integer.size))[0]

    def double(self) -> float:
        """Eight bytes. Never "not a number"."""
        value: float = _DOUBLE.unpack(self.take(8))[0]
        return _number(value)

    def old_double(self) -> float:
        """A number in decimal digits behind its length."""
        size = self.byte()
        if size >= 253:
            return _number({253: float("nan"), 254: float("inf"), 255: float("-inf")}[size])
        return parse_score(self.take(size))

    def milliseconds(self) -> int:
        """A time."""
        return int(_MS.unpack(self.take(8))[0])

    def stream_id(self) -> tuple[int, int]:
        """The sixteen bytes of an id, the number of milliseconds first."""
        ms, seq = struct.unpack(">QQ", self.take(16))
        return ms, seq

    def _decompressed(self) -> bytes:
        packed, size = self.length(), self.length()
        if not 0 < size <= self._room or size > packed * _LZF_BEST:
            raise BadPayload("decompresses to too much")
        self._room -= size
        try:
            return lzf.decompress(self.take(packed), size)
        except ValueError as error:
            raise BadPayload(str(error)) from None


def parse_score(text: bytes) -> float:
    """A score in decimal digits."""
    try:
        if b"_" not in text:
            return _number(float(text.decode("ascii")))
    except ValueError:
        pass
    raise BadPayload("no score")


def _number(value: float) -> float:
    if value != value:
        raise BadPayload("not a number")
    return value


class Writer:
    """Collects the bytes of a payload."""

    __slots__ = ("_out",)

    def __init__(self) -> None:
        self._out = bytearray()

    def done(self) -> bytes:
        """All that was written."""
        return bytes(self._out)

    def byte(self, value: int) -> None:
        self._out.append(value)

    def raw(self, data: bytes) -> None:
        self._out += data

    def length(self, number: int) -> None:
        if number < 0x40:
            self._out.append(number)
        elif number < 0x4000:
            self._out += bytes((0x40 | number >> 8, number & 0xFF))
        elif number < 1 << 32:
            self._out.append(_LENGTH_32)
            self._out += _U32.pack(number)
        else:
            self._out.append(_LENGTH_64)
            self._out += _U64.pack(number)

    def string(self, data: bytes) -> None:
        """Bytes in the shortest form."""
        size = len(data)
        if size <= _DIGITS and (number := canonical_integer(data)) is not None:
            for kind, integer in _INTEGERS.items():
                bits = 8 * integer.size - 1
                if -(1 << bits) <= number < 1 << bits:
                    self._out.append(kind)
                    self._out += integer.pack(number)
                    return
        if _NEVER_COMPRESSED < size <= _COMPRESSED:
            packed = lzf.compress(data, size - _SAVED)
            if packed is not None:
                self._out.append(_LZF)
                self.length(len(packed))
                self.length(size)
                self._out += packed
                return
        self.length(size)
        self._out += data

    def double(self, value: float) -> None:
        self._out += _DOUBLE.pack(value)

    def milliseconds(self, time: int) -> None:
        self._out += _MS.pack(time)

    def stream_id(self, number: tuple[int, int]) -> None:
        self._out += struct.pack(">QQ", *number)


def canonical_integer(data: bytes) -> int | None:
    """The signed 64-bit integer that these bytes are the one way to write, None if they are not."""
    digits = data[1:] if data[:1] == b"-" else data
    if not digits.isdigit() or len(digits) > 19 or (digits[0] == 0x30 and data != b"0"):
        return None
    number = int(data)
    return number if -(1 << 63) <= number < 1 << 63 else None
