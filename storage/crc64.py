"""CRC-64 as Redis's dumps have it: the polynomial of Jones, bits reflected, beginning with 0.

Eight tables take eight bytes at a time, which is as quick as plain Python gets: some ten megabytes a second.
"""

from __future__ import annotations

import struct
from typing import Final

_POLYNOMIAL: Final = 0x95AC9329AC4BC9B5
"""0xad93d23594c935a9 with its bits in reverse order."""
_WORD: Final = struct.Struct("<Q")


def _tables() -> list[list[int]]:
    """The n-th table says what a byte does to the checksum n bytes further on."""
    first = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ _POLYNOMIAL if crc & 1 else crc >> 1
        first.append(crc)
    tables = [first]
    for _ in range(7):
        tables.append([first[crc & 0xFF] ^ crc >> 8 for crc in tables[-1]])
    return tables


_TABLES: Final = _tables()


def crc64(data: bytes | memoryview) -> int:
    """The checksum of some bytes: crc64(b"123456789") == 0xe9c6d914c4b8d9ca."""
    t0, t1, t2, t3, t4, t5, t6, t7 = _TABLES
    crc = 0
    whole = len(data) & ~7
    view = memoryview(data)
    for (word,) in _WORD.iter_unpack(view[:whole]):
        crc ^= word
        crc = (
            t7[crc & 0xFF]
            ^ t6[crc >> 8 & 0xFF]
            ^ t5[crc >> 16 & 0xFF]
            ^ t4[crc >> 24 & 0xFF]
            ^ t3[crc >> 32 & 0xFF]
            ^ t2[crc >> 40 & 0xFF]
            ^ t1[crc >> 48 & 0xFF]
            ^ t0[crc >> 56]
        )
    for byte in view[whole:]:
        crc = t0[crc & 0xFF ^ byte] ^ crc >> 8
    return crc
