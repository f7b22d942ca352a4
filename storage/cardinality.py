"""HyperLogLog's arithmetic: which register an element goes to, and how many distinct elements the registers tell of.

Registers are `bytes` of length REGISTERS here, one register each.  Hash, registers and estimate are those of Redis, so
that both read each other's values.

- The hash is Austin Appleby's MurmurHash64A, read as little-endian on every machine.
- The estimate is Otmar Ertl's, "New cardinality estimation algorithms for HyperLogLog sketches" (2017), section 4.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

INDEX_BITS = 14
REGISTERS = 1 << INDEX_BITS
#: Bits of the hash that make the rank; a rank is at most one more.
RANK_BITS = 64 - INDEX_BITS
MAX_RANK = RANK_BITS + 1
#: Bits of a stored register. It has room for more than MAX_RANK, and a value from elsewhere may use it.
REGISTER_BITS = 6

_SEED = 0xADC83B19
_MULTIPLIER = 0xC6A4A7935BD1E995
_WORD = (1 << 64) - 1
_MIX = 47
_STOP = 1 << RANK_BITS

#: The estimator's constant for many registers: 1 / (2 ln 2).
_ALPHA = 0.721347520444481703680
#: What a C program on x86-64 gets when it rounds what no 64-bit integer holds.
_OVERFLOWN = -(1 << 63)

_TOP_BITS = int.from_bytes(b"\x80" * REGISTERS, "little")


def murmur64(data: bytes) -> int:
    """The hash of an element."""
    multiplier, word = _MULTIPLIER, _WORD
    size = len(data)
    whole = size & ~7
    value = _SEED ^ (size * multiplier & word)
    for start in range(0, whole, 8):
        part = int.from_bytes(data[start : start + 8], "little") * multiplier & word
        value = (value ^ ((part ^ (part >> _MIX)) * multiplier & word)) * multiplier & word
    if whole < size:
        value = (value ^ int.from_bytes(data[whole:], "little")) * multiplier & word
    value = (value ^ (value >> _MIX)) * multiplier & word
    return value ^ (value >> _MIX)


def place_of(element: bytes) -> tuple[int, int]:
    """The register of an element and its rank there: one more than the trailing zero bits of the rest of its hash."""
    value = murmur64(element)
    rest = value >> INDEX_BITS | _STOP
    return value & (REGISTERS - 1), (rest & -rest).bit_length()


def union(first: bytes, second: bytes) -> bytes:
    """The registers of both together: the greater of each two.

    All at once, in integers of as many bytes: the spare top bit of each byte tells which of the two is not smaller.
    """
    a, b = int.from_bytes(first, "little"), int.from_bytes(second, "little")
    not_smaller = ((a | _TOP_BITS) - b) & _TOP_BITS
    mask = not_smaller - (not_smaller >> 7)
    return (b ^ ((a ^ b) & mask)).to_bytes(REGISTERS, "little")


def histogram(registers: bytes) -> list[int]:
    """How many registers have each value."""
    counts = [0] * (1 << REGISTER_BITS)
    left = registers
    for value in range(len(counts)):
        # Taking them out one value after the other is faster than counting in what stays as long as it was.
        if value in left:
            before = len(left)
            left = left.translate(None, bytes((value,)))
            counts[value] = before - len(left)
            if not left:
                break
    return counts


def estimate(counts: Sequence[int]) -> int:
    """How many distinct elements a histogram of registers tells of."""
    z = REGISTERS * _tau((REGISTERS - counts[MAX_RANK]) / REGISTERS)
    for rank in range(RANK_BITS, 0, -1):
        z = (z + counts[rank]) * 0.5
    z += REGISTERS * _sigma(counts[0] / REGISTERS)
    if z == 0.0:
        return _OVERFLOWN
    number = _ALPHA * REGISTERS * REGISTERS / z
    below = math.floor(number)
    rounded = below + (number - below >= 0.5)
    return rounded if rounded <= -_OVERFLOWN - 1 else _OVERFLOWN


def _sigma(x: float) -> float:
    """x plus the sum of x^(2^k) 2^(k-1) over k >= 1: what the registers that are still zero contribute."""
    if x == 1.0:
        return math.inf
    factor, total, last = 1.0, x, -1.0
    while total != last:
        last = total
        x *= x
        total += x * factor
        factor += factor
    return total


def _tau(x: float) -> float:
    """A third of 1 - x - the sum of (1 - x^(2^-k))^2 2^-k over k >= 1: what the saturated registers contribute."""
    if x in (0.0, 1.0):
        return 0.0
    factor, total, last = 1.0, 1.0 - x, -1.0
    while total != last:
        last = total
        x = math.sqrt(x)
        factor *= 0.5
        total -= (1.0 - x) * (1.0 - x) * factor
    return total / 3.0
