"""HyperLogLogs as strings, in the format of Redis, byte for byte.  Nothing here knows of keys or of the database.

A value is a header of 16 bytes and the registers::

    "HYLL" | encoding: 0 dense, 1 sparse | 3 bytes | cardinality, 8 bytes, little-endian

The cardinality is what somebody has counted before; its top bit is set when registers have changed since.  Dense
registers have 6 bits each, the lowest bits first, together 12288 bytes.  Sparse registers are told by opcodes
(`storage/hyperloglog_sparse.py`); a sparse value becomes dense when it gets too long, or with the first register above
32, and stays so.
"""

from __future__ import annotations

from collections.abc import Iterable

from storage import hyperloglog_sparse
from storage.cardinality import REGISTER_BITS, REGISTERS, estimate, histogram, place_of
from storage.hyperloglog_sparse import Opcodes

HEADER = 16
DENSE_SIZE = HEADER + REGISTERS * REGISTER_BITS // 8
#: No sound value is longer.
MAX_SIZE = HEADER + hyperloglog_sparse.MAX_SIZE

_MAGIC = b"HYLL"
_ENCODING = 4
_DENSE, _SPARSE = 0, 1
_CARDINALITY = slice(8, 16)
_TOP_BYTE = 15
_STALE = 0x80

#: No elements; the cardinality counts as not known.
_EMPTY = _MAGIC + bytes((_SPARSE,)) + bytes(10) + bytes((_STALE,)) + b"\x7f\xff"

_REGISTER = (1 << REGISTER_BITS) - 1


class NotAHyperLogLog(ValueError):
    """A string without the header of a HyperLogLog, or of an impossible length."""


class SelfTestFailed(Exception):
    """The arithmetic is wrong on this machine; the text says where."""


class HyperLogLog:
    """One value, to be read and changed.

    NotAHyperLogLog if it is none; a longer `value` may be cut behind MAX_SIZE + 1 bytes.  Whether sparse registers are
    sound shows when they are needed: what reads or changes them may raise `hyperloglog_sparse.Damaged`, and has changed
    nothing then.
    """

    __slots__ = ("_data", "_sparse")

    def __init__(self, value: bytes = _EMPTY) -> None:
        if len(value) < HEADER or not value.startswith(_MAGIC) or value[_ENCODING] not in (_DENSE, _SPARSE):
            raise NotAHyperLogLog
        if value[_ENCODING] == _DENSE and len(value) != DENSE_SIZE:
            raise NotAHyperLogLog
        # The header, and the registers if they are dense.
        self._data = bytearray(value)
        self._sparse: Opcodes | None = None
        if value[_ENCODING] == _SPARSE:
            self._sparse = Opcodes(value[HEADER:])
            del self._data[HEADER:]

    @property
    def dense(self) -> bool:
        return self._sparse is None

    @property
    def counted(self) -> int | None:
        """The cardinality in the header; None if registers have changed since it was written there."""
        if self._data[_TOP_BYTE] & _STALE:
            return None
        return int.from_bytes(self._data[_CARDINALITY], "little")

    def pack(self) -> bytes:
        """The value as a string."""
        return bytes(self._data if self._sparse is None else self._data + self._sparse.data)

    def count(self) -> int:
        """The number of distinct elements, estimated from the registers."""
        return estimate(histogram(self.registers()) if self._sparse is None else self._sparse.histogram())

    def registers(self) -> bytes:
        """The registers, one byte each."""
        return _unpack(bytes(self._data[HEADER:])) if self._sparse is None else self._sparse.registers()

    def opcodes(self) -> bytes | None:
        """The opcodes of sparse registers in words, also of damaged ones; None if the value is dense."""
        return None if self._sparse is None else self._sparse.words()

    def add(self, elements: Iterable[bytes], limit: int) -> bool:
        """Add elements; tells whether a register has changed.  A value of more than `limit` bytes becomes dense."""
        changed = False
        for element in elements:
            register, rank = place_of(element)
            if self._sparse is None:
                changed |= self._raise_dense(register, rank)
            elif rank > self._sparse.get(register):
                changed = True
                if not _put(self._sparse, register, rank, limit):
                    self.make_dense()
                    self._raise_dense(register, rank)
        if changed:
            self.outdate()
        return changed

    def take(self, registers: bytes, limit: int, *, dense: bool = False) -> None:
        """Become these registers, none of which is lower than it was; `dense` says in which encoding.

        Without it, a sparse value stays sparse up to `limit` bytes.
        """
        if dense or self._sparse is None or not _put_all(self._sparse, registers, limit):
            self._become_dense(registers)
        self.outdate()

    def make_dense(self) -> bool:
        """Change the encoding from sparse to dense; tells whether that was to be done."""
        if self._sparse is None:
            return False
        self._become_dense(self._sparse.registers())
        return True

    def outdate(self) -> None:
        """Note in the header that the cardinality there is not known to be right."""
        self._data[_TOP_BYTE] |= _STALE

    def _become_dense(self, registers: bytes) -> None:
        self._data[_ENCODING] = _DENSE
        self._data[HEADER:] = _pack(registers)
        self._sparse = None

    def _raise_dense(self, register: int, rank: int) -> bool:
        """Make a register `rank` if it is less; touches just the one or two bytes that hold it."""
        byte, shift = divmod(register * REGISTER_BITS, 8)
        byte += HEADER
        data = self._data
        both = int.from_bytes(data[byte : byte + 2], "little")
        if rank <= both >> shift & _REGISTER:
            return False
        both = both & ~(_REGISTER << shift) | rank << shift
        data[byte] = both & 0xFF
        if shift + REGISTER_BITS > 8:
            data[byte + 1] = both >> 8
        return True


def _put(sparse: Opcodes, register: int, rank: int, limit: int) -> bool:
    return rank <= hyperloglog_sparse.MAX_RANK and sparse.put(register, rank, limit - HEADER)


def _put_all(sparse: Opcodes, registers: bytes, limit: int) -> bool:
    """One register after the other, in their order, as the bytes depend on it; False if they are too many."""
    for register, rank in enumerate(registers):
        if rank and rank > sparse.get(register) and not _put(sparse, register, rank, limit):
            return False
    return True


# Four dense registers lie in three bytes, in two parts at most:
#
#     bytes       76543210 76543210 76543210
#     registers   11000000 22221111 33333322
#
# Every fourth register is moved at once, by tables for `bytes.translate` that keep some bits of a byte and shift them.


def _moving(mask: int, left: int) -> bytes:
    """The table that keeps the bits of `mask` and shifts them to the left (to the right if negative)."""
    return bytes([(byte & mask) << left if left >= 0 else (byte & mask) >> -left for byte in range(256)])


def _joined(low: bytes, high: bytes) -> bytes:
    return (int.from_bytes(low, "little") | int.from_bytes(high, "little")).to_bytes(len(low), "little")


_FROM_BYTES = {
    "0": _moving(0x3F, 0), "1 low": _moving(0xC0, -6), "1 high": _moving(0x0F, 2),
    "2 low": _moving(0xF0, -4), "2 high": _moving(0x03, 4), "3": _moving(0xFC, -2),
}  # fmt: skip
_TO_BYTES = {
    "1 low": _moving(0x03, 6), "1 high": _moving(0x3C, -2),
    "2 low": _moving(0x0F, 4), "2 high": _moving(0x30, -4), "3": _moving(0x3F, 2),
}  # fmt: skip


def _unpack(packed: bytes) -> bytes:
    """Dense registers as one byte each."""
    first, second, third = packed[0::3], packed[1::3], packed[2::3]
    move = _FROM_BYTES
    registers = bytearray(REGISTERS)
    registers[0::4] = first.translate(move["0"])
    registers[1::4] = _joined(first.translate(move["1 low"]), second.translate(move["1 high"]))
    registers[2::4] = _joined(second.translate(move["2 low"]), third.translate(move["2 high"]))
    registers[3::4] = third.translate(move["3"])
    return bytes(registers)


def _pack(registers: bytes) -> bytes:
    """Dense registers from one byte each."""
    one, two, three = registers[1::4], registers[2::4], registers[3::4]
    move = _TO_BYTES
    packed = bytearray(REGISTERS * REGISTER_BITS // 8)
    packed[0::3] = _joined(registers[0::4], one.translate(move["1 low"]))
    packed[1::3] = _joined(one.translate(move["1 high"]), two.translate(move["2 low"]))
    packed[2::3] = _joined(two.translate(move["2 high"]), three.translate(move["3"]))
    return bytes(packed)


_TESTED = 10_000
#: Four times the standard error of 16384 registers.
_TOLERANCE = 4 * 1.04 / REGISTERS**0.5


def self_test() -> None:
    """Try the arithmetic out, which takes some hundredths of a second. Raises SelfTestFailed."""
    registers = bytes([register * 37 % (1 << REGISTER_BITS) for register in range(REGISTERS)])
    if _unpack(_pack(registers)) != registers:
        raise SelfTestFailed("dense registers are not read as they were written")
    sparse, dense = HyperLogLog(), HyperLogLog()
    dense.make_dense()
    for number in range(_TESTED):
        element = [b"%d" % number]
        if sparse.add(element, MAX_SIZE) != dense.add(element, MAX_SIZE):
            raise SelfTestFailed(f"element {number} changes one of a sparse and a dense value")
    if sparse.dense or sparse.registers() != dense.registers() or sparse.count() != dense.count():
        raise SelfTestFailed("a sparse and a dense value of the same elements differ")
    if abs(dense.count() - _TESTED) > _TESTED * _TOLERANCE:
        raise SelfTestFailed(f"{_TESTED} elements are counted as {dense.count()}")
