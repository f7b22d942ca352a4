"""Values of strings: inline in the key row up to 8 KiB, in chunks of 64 KiB above.

Parts of a long value are read and written by chunk.  A chunk that is not there, or is shorter than its place, reads as
zero bytes, so a write far behind the end costs one chunk.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from storage.chunks import PAGE, chunks_of
from storage.key_rows import KeyRow, Type
from storage.keyspace import Keyspace

INLINE = 8 * 1024
CHUNK = 64 * 1024
#: A part of up to so many chunks is held by the attempt, since more of its commands may look there.
_FEW = 2

_READ = "SELECT n, data FROM rowdis_string_chunk WHERE key_id=%s AND n>=%s AND n<=%s ORDER BY n"
_READ_STORED = f"{_READ} LIMIT %s"
_WRITE = "INSERT INTO rowdis_string_chunk (key_id, n, data) VALUES (%s,%s,%s)"


def read(db: Keyspace, row: KeyRow) -> bytes:
    """The whole value."""
    if row.key_id == 0:
        return row.value if row.value_read and row.value is not None else db.attempt.value_of(row)
    return read_range(db, row, 0, row.size)


def read_range(db: Keyspace, row: KeyRow, start: int, end: int) -> bytes:
    """Bytes `start` to `end` (exclusive) of a value; both within 0..size."""
    if start >= end:
        return b""
    if row.key_id == 0:
        return db.attempt.value_of(row)[start:end]
    first, last = start // CHUNK, (end - 1) // CHUNK
    pieces: list[bytes] = []
    for page in range(first, last + 1, PAGE):
        numbers = range(page, min(page + PAGE, last + 1))
        for n, data in zip(numbers, _read_chunks(db, row.key_id, numbers, hold=last - first < _FEW), strict=True):
            size = min(CHUNK, row.size - n * CHUNK)
            pieces.append(data if len(data) == size else data[:size].ljust(size, b"\0"))
    pieces[-1] = pieces[-1][: end - last * CHUNK]
    pieces[0] = pieces[0][start - first * CHUNK :]
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def parts(db: Keyspace, row: KeyRow, start: int, end: int) -> Iterator[tuple[int, bytes]]:
    """What is stored of bytes `start` to `end` (exclusive), both within 0..size: pieces with the positions of their
    first bytes, in order. What lies between them and behind them is zero bytes; the value may be sparse, and large.

    The first pages are small, since whoever searches may soon have enough.
    """
    if start >= end:
        return
    if row.key_id == 0:
        yield start, db.attempt.value_of(row)[start:end]
        return
    chunks_of(db.attempt).flush()
    n, last = start // CHUNK, (end - 1) // CHUNK
    limit = 1
    while n <= last:
        rows = db.attempt.query_elements(_READ_STORED, (row.key_id, n, last, limit))
        for number, data in rows:
            base = number * CHUNK
            low, high = max(start - base, 0), min(end - base, len(data))
            if low < high:
                yield base + low, data if high - low == len(data) else data[low:high]
        if len(rows) < limit:
            return
        n = rows[-1][0] + 1
        limit = min(4 * limit, PAGE)


def want(db: Keyspace, name: bytes, start: int, end: int) -> None:
    """Note that a command to come will look at bytes `start` to `end` (exclusive) of a string, if it is a long one."""
    row = db.peek(name, Type.STRING)
    if row is None or not row.key_id:
        return
    for n in range(start // CHUNK, -(-min(end, row.size) // CHUNK)):
        chunks_of(db.attempt).want(row.key_id, n)


def write(db: Keyspace, name: bytes, value: bytes, expire_at: int | None = None) -> KeyRow:
    """Make `name` a string with this value and expiry (milliseconds), whatever it was before."""
    row = db.overwrite(name)
    row.expire_at = expire_at
    row.type = Type.STRING
    _fill(db, row, value)
    return row


def write_sparse(db: Keyspace, name: bytes, size: int, chunks: Iterable[tuple[int, bytes]]) -> None:
    """Make `name` a string of `size` bytes, whatever it was before; `chunks` are its chunks that are not zero, and the
    last, which must be whole, each with its number, in order. They may be read from what `name` was."""
    row = db.overwrite(name)
    row.type = Type.STRING
    if size <= INLINE:
        _fill(db, row, dict(chunks)[0])
        return
    row.size = size
    row.value = None
    row.key_id = db.attempt.next_id()
    for n, data in chunks:
        db.attempt.write(_WRITE, (row.key_id, n, data))


def replace(db: Keyspace, row: KeyRow, value: bytes) -> None:
    """Give an existing string another value; its expiry stays."""
    if row.key_id:
        db.attempt.discard_elements(row.key_id)
        row.key_id = 0
    _fill(db, row, value)
    db.touch(row)


def write_range(db: Keyspace, row: KeyRow, offset: int, data: bytes) -> None:
    """Overwrite part of an existing string from `offset` on; it grows as needed, with zero bytes in a gap."""
    end = offset + len(data)
    if row.key_id == 0:
        value = db.attempt.value_of(row)
        if max(end, row.size) <= INLINE:
            replace(db, row, value[:offset].ljust(offset, b"\0") + data + value[end:])
            return
        row.key_id = db.attempt.next_id()
        row.value = None
        if value:
            chunks_of(db.attempt).put(row.key_id, 0, value)
    for n in range(offset // CHUNK, (end - 1) // CHUNK + 1):
        base = n * CHUNK
        low, high = max(offset, base), min(end, base + CHUNK)
        part = data[low - offset : high - offset]
        if high - low < CHUNK and base < row.size:
            (old,) = chunks_of(db.attempt).get(row.key_id, (n,))
            part = old[: low - base].ljust(low - base, b"\0") + part + old[high - base :]
        elif low > base:
            part = bytes(low - base) + part
        chunks_of(db.attempt).put(row.key_id, n, part)
    row.size = max(row.size, end)
    db.touch(row)


def _read_chunks(db: Keyspace, key_id: int, numbers: range, *, hold: bool) -> list[bytes]:
    """Some consecutive chunks; those that are not stored are empty."""
    chunks = chunks_of(db.attempt)
    if hold:
        return chunks.get(key_id, numbers)
    chunks.flush()
    found: dict[int, bytes] = dict(db.attempt.query_elements(_READ, (key_id, numbers[0], numbers[-1])))
    return [found.get(n, b"") for n in numbers]


def _fill(db: Keyspace, row: KeyRow, value: bytes) -> None:
    row.size = len(value)
    row.value_read = True
    if len(value) <= INLINE:
        row.value = value
        return
    row.value = None
    row.key_id = db.attempt.next_id()
    for start in range(0, len(value), CHUNK):
        db.attempt.write(_WRITE, (row.key_id, start // CHUNK, value[start : start + CHUNK]))
