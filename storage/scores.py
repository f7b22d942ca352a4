"""Scores as integers that are ordered as the scores are.

A DOUBLE column holds no infinity and is compared by rules of its own; a BIGINT is just a number.  The bits of a double,
read as an integer, are in order already if it is positive, and in the opposite order if it is negative.
"""

from __future__ import annotations

import struct

_DOUBLE = struct.Struct(">d")
_INTEGER = struct.Struct(">q")
_MAGNITUDE = (1 << 63) - 1


def encode(score: float) -> tuple[int, int]:
    """The key of a score, a signed 64-bit integer in the order of scores, and 1 for -0, which equals 0; else 0.

    ValueError if the score is not a number.
    """
    if score != score:
        raise ValueError("a score is a number")
    (bits,) = _INTEGER.unpack(_DOUBLE.pack(score))
    if bits >= 0:
        return bits, 0
    key = bits ^ _MAGNITUDE
    return (key, 0) if key != -1 else (0, 1)


def decode(key: int, zero: int = 0) -> float:
    """The score of which `encode` made this."""
    if zero:
        return -0.0
    score: float = _DOUBLE.unpack(_INTEGER.pack(key if key >= 0 else key ^ _MAGNITUDE))[0]
    return score


#: The keys of -inf and +inf: every score's key lies between them.
LOWEST = encode(float("-inf"))[0]
HIGHEST = encode(float("inf"))[0]
