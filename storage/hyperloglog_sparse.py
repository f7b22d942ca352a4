"""The registers of a sparse HyperLogLog: runs of equal registers, told by opcodes.

====================  ==============================================
``00llllll``          ZERO: l+1 registers (to 64) are 0
``01llllll llllllll`` XZERO: l+1 registers (to 16384) are 0
``1vvvvvll``          VAL: l+1 registers (to 4) are v+1 (to 32)
====================  ==============================================

The same registers can be told in several ways.  Changes are made the way Redis makes them, so that the bytes are equal.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from itertools import accumulate

from storage.cardinality import REGISTER_BITS, REGISTERS

#: The highest register that an opcode can tell.
MAX_RANK = 32
#: No sound opcodes are longer: each stands for at least one register and has at most two bytes.
MAX_SIZE = 2 * REGISTERS

_XZERO, _VAL = 0x40, 0x80
_ZERO_MAX, _VAL_MAX = 64, 4
#: How many opcodes are looked at, after a change, for neighbours that can become one.
_MERGE_SCAN = 5

#: How many registers a byte stands for if it is an opcode; that of an XZERO depends on the next byte too.
_SPANS = bytes([op + 1 for op in range(_XZERO)] + [0] * (_VAL - _XZERO) + [(op & 3) + 1 for op in range(_VAL, 256)])
_XZEROS = re.compile(rb"[\x40-\x7f].", re.DOTALL)
_OPCODES = re.compile(rb"[\x40-\x7f].?|.", re.DOTALL)


class Damaged(ValueError):
    """The opcodes do not tell of every register exactly once."""


class Opcodes:
    """Sparse registers, found and changed without going through all opcodes.

    `data` may be anything.  As in Redis, `get` and `put` raise Damaged only for a register that no opcode tells of;
    `histogram` and `registers` do so unless the opcodes tell of every register exactly once.
    """

    __slots__ = ("_ends", "data")

    def __init__(self, data: bytes) -> None:
        self.data = bytearray(data)
        # For each byte the register behind the run that it belongs to. A change replaces a run by others that end at
        # the same register, so what follows stays true.
        self._ends: list[int] | None = None

    def get(self, register: int) -> int:
        """The value of a register."""
        return _value(self.data[self._find(register)])

    def put(self, register: int, rank: int, room: int) -> bool:
        """Raise a register, to MAX_RANK at most; False, and no change, if that takes more than `room` bytes in all."""
        place = self._find(register)
        data, ends = self.data, self._indexed()
        size = 2 if _XZERO <= data[place] < _VAL else 1
        before = _before(ends, place)
        value = _value(data[place])
        first, last = (ends[place - 1] if place else 0), ends[place]
        new, new_ends = bytearray(), []
        for end, part, part_value in (
            (register, register - first, value), (register + 1, 1, rank), (last, last - register - 1, value)
        ):  # fmt: skip
            if part:
                opcode = _opcode(part_value, part)
                new += opcode
                new_ends += [end] * len(opcode)
        if len(new) > size and len(data) + len(new) - size > room:
            return False
        data[place : place + size] = new
        ends[place : place + size] = new_ends
        _join(data, ends, before)
        return True

    def histogram(self) -> list[int]:
        """How many registers have each value."""
        total = sum(map(_span, _XZEROS.findall(self.data)))
        counts = [total] + [0] * MAX_RANK
        for opcode, times in Counter(_XZEROS.sub(b"", self.data)).items():
            if not _SPANS[opcode]:
                raise Damaged
            registers = times * _SPANS[opcode]
            counts[_value(opcode)] += registers
            total += registers
        if total != REGISTERS:
            raise Damaged
        return counts + [0] * ((1 << REGISTER_BITS) - len(counts))

    def registers(self) -> bytes:
        """All registers, one byte each."""
        # Before they are laid out: a few opcodes can tell of gigabytes.
        if not self.data or self._indexed()[-1] != REGISTERS:
            raise Damaged
        opcodes: list[bytes] = _OPCODES.findall(self.data)
        return b"".join([_RUNS.get(opcode) or bytes(_span(opcode)) for opcode in opcodes])

    def words(self) -> bytes:
        """The opcodes as PFDEBUG DECODE shows them: b"z:5 v:2,1 Z:16378" is a ZERO, a VAL of value 2 and an XZERO."""
        return b" ".join([_in_words(opcode) for opcode in _OPCODES.findall(self.data)])

    def _find(self, register: int) -> int:
        """Where the opcode begins that tells of a register."""
        place = bisect_right(self._indexed(), register)
        if place == len(self.data):
            raise Damaged
        return place

    def _indexed(self) -> list[int]:
        if self._ends is None:
            data = self.data
            spans = list(data.translate(_SPANS))
            for xzero in _XZEROS.finditer(data):
                place = xzero.start()
                spans[place] = ((data[place] & 0x3F) << 8 | data[place + 1]) + 1
                spans[place + 1] = 0
            self._ends = list(accumulate(spans))
        return self._ends


def _before(ends: list[int], place: int) -> int:
    """Where the opcode in front of the one at `place` begins; `place` itself, 0, if that is the first."""
    if place < 2:
        return 0
    # Only the two bytes of an XZERO end at the same register.
    return place - 2 if ends[place - 1] == ends[place - 2] else place - 1


def _join(data: bytearray, ends: list[int], place: int) -> None:
    """Make one VAL of neighbours with the same value, where it can tell of both, in a few opcodes from `place`."""
    for _ in range(_MERGE_SCAN):
        if place + 1 >= len(data):
            break
        here, there = data[place], data[place + 1]
        if not here & _VAL:
            place += 2 if here & _XZERO else 1
            continue
        length = _SPANS[here] + _SPANS[there]
        if here & ~3 == there & ~3 and length <= _VAL_MAX:
            data[place : place + 2] = _opcode(_value(here), length)
            del ends[place]
        else:
            place += 1


def _value(opcode: int) -> int:
    """The value of the registers that an opcode stands for, given its first byte."""
    return (opcode >> 2 & 0x1F) + 1 if opcode & _VAL else 0


#: The registers of the opcodes of one byte.
_RUNS = {
    bytes((opcode,)): bytes((_value(opcode),)) * span for opcode, span in enumerate(_SPANS) if span
}  # fmt: skip


def _span(opcode: bytes) -> int:
    """How many registers an opcode stands for."""
    if not _XZERO <= opcode[0] < _VAL:
        return _SPANS[opcode[0]]
    if len(opcode) == 1:
        raise Damaged
    return ((opcode[0] & 0x3F) << 8 | opcode[1]) + 1


def _opcode(value: int, span: int) -> bytes:
    """The opcode for a run of registers."""
    if value:
        return bytes((_VAL | value - 1 << 2 | span - 1,))
    if span <= _ZERO_MAX:
        return bytes((span - 1,))
    return bytes((_XZERO | span - 1 >> 8, span - 1 & 0xFF))


def _in_words(opcode: bytes) -> bytes:
    first = opcode[0]
    if first & _VAL:
        return b"v:%d,%d" % (_value(first), _SPANS[first])
    if first < _XZERO:
        return b"z:%d" % _SPANS[first]
    # Redis reads half an XZERO at the end as if a zero byte followed.
    return b"Z:%d" % _span(opcode.ljust(2, b"\0"))
