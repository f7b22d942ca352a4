"""Strings as arrays of bits: bit 0 is the highest of the first byte.

Whatever goes through much of a value looks only at the chunks that are stored, so a sparse bitmap costs what was
written of it and not what it spans.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from storage import strings
from storage.chunks import PAGE, chunks_of
from storage.key_rows import KeyRow
from storage.keyspace import Keyspace
from storage.strings import CHUNK

_NUMBERS = "SELECT n FROM rowdis_string_chunk WHERE key_id=%s ORDER BY n"
_SOME = "SELECT n, data FROM rowdis_string_chunk FORCE INDEX (PRIMARY) WHERE key_id=%s AND n IN ({rows})"

#: How two numbers are joined by BITOP; None is NOT.
Join = Callable[[int, int], int]
JOINS: dict[bytes, Join | None] = {b"AND": operator.and_, b"OR": operator.or_, b"XOR": operator.xor, b"NOT": None}


# -- fields: some adjacent bits, at most 64, as an unsigned number


def read_field(db: Keyspace, row: KeyRow | None, offset: int, bits: int) -> int:
    """The bits from `offset` on; those behind the end are zero."""
    first, end = offset >> 3, (offset + bits + 7) >> 3
    if row is None or first >= row.size:
        return 0
    data = strings.read_range(db, row, first, min(end, row.size))
    number = int.from_bytes(data) << 8 * (end - first - len(data))
    return number >> 8 * end - offset - bits & (1 << bits) - 1


def write_field(db: Keyspace, row: KeyRow, offset: int, bits: int, number: int) -> None:
    """Replace the bits from `offset` on; the value grows to hold them."""
    first, end = offset >> 3, (offset + bits + 7) >> 3
    right = 8 * end - offset - bits
    around = read_field(db, row, 8 * first, 8 * (end - first)) & ~((1 << bits) - 1 << right)
    strings.write_range(db, row, first, (around | number << right).to_bytes(end - first))


def grow(db: Keyspace, row: KeyRow, size: int) -> None:
    """Lengthen a value by zero bytes up to `size`, if it is shorter."""
    if row.size < size:
        strings.write_range(db, row, size - 1, b"\0")


# -- going through many bits


def count(db: Keyspace, row: KeyRow, start: int, end: int) -> int:
    """How many of the bits `start` to `end` (exclusive) are 1; both within 0..8*size."""
    return sum(number.bit_count() for _, _, number in _parts(db, row, start, end))


def find(db: Keyspace, row: KeyRow, bit: int, start: int, end: int) -> int:
    """The first of the bits `start` to `end` (exclusive) that equals `bit`; -1 if there is none."""
    position = start
    for first, bits, number in _parts(db, row, start, end):
        if not bit:
            if first > position:
                break
            number ^= (1 << bits) - 1
        if number:
            return first + bits - number.bit_length()
        position = first + bits
    return position if not bit and position < end else -1


def _parts(db: Keyspace, row: KeyRow, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """The stored parts of a range of bits: first bit, how many, and what they are as a number. The rest is zero."""
    for position, data in strings.parts(db, row, start >> 3, (end + 7) >> 3):
        low, high = 8 * position, 8 * (position + len(data))
        number = int.from_bytes(data)
        if low < start:
            low = start
            number &= (1 << high - low) - 1
        if high > end:
            number >>= high - end
            high = end
        yield low, high - low, number


# -- joining


@dataclass(frozen=True, slots=True)
class _Source:
    """A value to read chunks of, though the key that had it may be overwritten meanwhile."""

    key_id: int
    size: int
    value: bytes

    def numbers(self, db: Keyspace) -> set[int]:
        """Which chunks are stored."""
        if self.key_id == 0:
            return {0} if self.value else set()
        return {n for (n,) in db.attempt.query_elements(_NUMBERS, (self.key_id,))}

    def read(self, db: Keyspace, numbers: list[int]) -> dict[int, int]:
        """Those of some chunks that are stored, as little-endian numbers, to which missing bytes make no difference."""
        if self.key_id == 0:
            return {0: int.from_bytes(self.value, "little")} if numbers[0] == 0 else {}
        rows = db.attempt.query_elements(_SOME, (self.key_id, *numbers), rows=("%s", len(numbers)))
        return {n: int.from_bytes(data, "little") for n, data in rows}


def join(db: Keyspace, rows: list[KeyRow | None], how: Join | None, name: bytes) -> int:
    """Make `name` what its sources give bit by bit, each lengthened by zeros to the longest; the size of that. None is
    an absent source, and one of them must hold something. Without `how` there is one source, whose bits are turned
    over."""
    sources = [
        _Source(row.key_id, row.size, db.attempt.value_of(row) if row.key_id == 0 else b"")
        for row in rows
        if row is not None
    ]
    size = max([source.size for source in sources])
    if len(sources) < len(rows):
        sources.append(_Source(0, 0, b""))
    strings.write_sparse(db, name, size, _joined(db, sources, how, size))
    return size


def _joined(db: Keyspace, sources: list[_Source], how: Join | None, size: int) -> Iterator[tuple[int, bytes]]:
    """The chunks of the result that are not zero, and the last one. Two pages are held at a time, whatever the number
    of sources."""
    chunks_of(db.attempt).flush()
    last = (size - 1) // CHUNK
    numbers = _numbers(db, sources, how, last)
    for start in range(0, len(numbers), PAGE):
        page = numbers[start : start + PAGE]
        results = sources[0].read(db, page)
        for source in sources[1:]:
            assert how is not None
            others = source.read(db, page)
            results = {n: how(results.get(n, 0), others.get(n, 0)) for n in page}
        for n in page:
            length = min(CHUNK, size - n * CHUNK)
            result = results.get(n, 0)
            if how is None:
                result ^= (1 << 8 * length) - 1
            if result or n == last:
                yield n, result.to_bytes(length, "little")


def _numbers(db: Keyspace, sources: list[_Source], how: Join | None, last: int) -> list[int]:
    """Which chunks of the result may be other than zero, and the last one."""
    if how is None:
        return list(range(last + 1))
    stored = [source.numbers(db) for source in sources]
    found = set.intersection(*stored) if how is operator.and_ else set.union(*stored)
    return sorted(found | {last})
