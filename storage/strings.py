"""Values of strings: inline in the key row up to 8 KiB, in chunks of 64 KiB above.

Parts of a long value are read and written by chunk.  A chunk that is not there, or is shorter than its place, reads as
zero bytes, so a write far behind the end costs one chunk.
"""

from __future__ import annotations

from storage.keyspace import Keyspace
from storage.unit import KeyRow, Type

INLINE = 8 * 1024
CHUNK = 64 * 1024
#: Chunks fetched by one SELECT: 4 MiB.
PAGE = 64

_READ = "SELECT n, data FROM rowdis_string_chunk WHERE key_id=%s AND n>=%s AND n<=%s ORDER BY n"
_WRITE = "INSERT INTO rowdis_string_chunk (key_id, n, data) VALUES {rows} ON DUPLICATE KEY UPDATE data=VALUES(data)"


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
        stop = min(page + PAGE - 1, last)
        found: dict[int, bytes] = dict(db.attempt.query_elements(_READ, (row.key_id, page, stop)))
        for n in range(page, stop + 1):
            size = min(CHUNK, row.size - n * CHUNK)
            data = found.get(n, b"")
            pieces.append(data if len(data) == size else data[:size].ljust(size, b"\0"))
    pieces[-1] = pieces[-1][: end - last * CHUNK]
    pieces[0] = pieces[0][start - first * CHUNK :]
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def write(db: Keyspace, name: bytes, value: bytes, expire_at: int | None = None) -> KeyRow:
    """Make `name` a string with this value and expiry (milliseconds), whatever it was before."""
    row = db.overwrite(name)
    row.expire_at = expire_at
    row.type = Type.STRING
    _fill(db, row, value)
    return row


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
        _write_chunks(db, row, {n: value[n * CHUNK : (n + 1) * CHUNK] for n in range(-(-len(value) // CHUNK))})
        row.value = None
    chunks: dict[int, bytes] = {}
    for n in range(offset // CHUNK, (end - 1) // CHUNK + 1):
        base = n * CHUNK
        low, high = max(offset, base), min(end, base + CHUNK)
        part = data[low - offset : high - offset]
        if high - low < CHUNK and base < row.size:
            old = read_range(db, row, base, min(row.size, base + CHUNK))
            part = old[: low - base].ljust(low - base, b"\0") + part + old[high - base :]
        elif low > base:
            part = bytes(low - base) + part
        chunks[n] = part
    row.size = max(row.size, end)
    _write_chunks(db, row, chunks)
    db.touch(row)


def _fill(db: Keyspace, row: KeyRow, value: bytes) -> None:
    row.size = len(value)
    row.value_read = True
    if len(value) <= INLINE:
        row.value = value
        return
    row.value = None
    row.key_id = db.attempt.next_id()
    for start in range(0, len(value), CHUNK):
        _write_chunks(db, row, {start // CHUNK: value[start : start + CHUNK]})


def _write_chunks(db: Keyspace, row: KeyRow, chunks: dict[int, bytes]) -> None:
    for n, data in chunks.items():
        db.attempt.write(_WRITE, (row.key_id, n, data), rows=("(%s,%s,%s)", 1))
