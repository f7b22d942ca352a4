"""What a key takes up in the database: an estimate from the lengths of some of its elements.

Counted are the bytes of names and values and what a row costs beside them.  Pages that are not full, and versions of
rows that the database keeps for a while, are not.
"""

from __future__ import annotations

from storage.connection import Row
from storage.key_rows import KeyRow, Type
from storage.keyspace import Keyspace
from storage.owned import ELEMENTS
from storage.strings import CHUNK

#: What a row of a key costs beside its name and value: the other columns, its place in two indexes.
KEY_BYTES = 120
#: The same of an element, of a consumer group with its name, of an entry that is pending, and of a chunk of 64 KiB.
ELEMENT_BYTES = 64
GROUP_BYTES = 150
PENDING_BYTES = 100
CHUNK_BYTES = 40

_LENGTHS = {
    Type.LIST: "LENGTH(e.value)",
    Type.SET: "LENGTH(e.member)",
    # The index that orders members repeats their beginnings.
    Type.ZSET: "48+2*LENGTH(e.head)+COALESCE(LENGTH(e.tail),0)",
    Type.HASH: "LENGTH(e.field)+LENGTH(e.value)",
    Type.STREAM: "LENGTH(e.fields)",
}
_LENGTH_IN_CHUNKS = (
    "CASE WHEN e.chunks=0 THEN 0 ELSE "
    "(SELECT COALESCE(SUM(LENGTH(c.data)),0) FROM rowdis_string_chunk c WHERE c.key_id=e.chunks) END"
)
_GROUPS = "SELECT COUNT(*), COALESCE(SUM(pending),0) FROM rowdis_stream_group FORCE INDEX (PRIMARY) WHERE key_id=%s"


def bytes_of(db: Keyspace, row: KeyRow, samples: int) -> int:
    """The bytes that a key takes, from the first `samples` elements, or from all if that is 0."""
    total = KEY_BYTES + len(row.name)
    if row.type == Type.STRING:
        return total + row.size + (CHUNK_BYTES * -(-row.size // CHUNK) if row.key_id else 0)
    # The queries below see only what was flushed.
    db.attempt.flush()
    count, length = _measure_all(db, row) if samples == 0 else _measure(db, row, samples)
    if count:
        total += row.size * (ELEMENT_BYTES + length // count)
    if row.type == Type.STREAM:
        groups, pending = db.attempt.query_elements(_GROUPS, (row.key_id,))[0]
        total += int(groups) * GROUP_BYTES + int(pending) * PENDING_BYTES
    return total


def _measure(db: Keyspace, row: KeyRow, samples: int) -> tuple[int, int]:
    """How many elements were looked at, and their bytes."""
    table = ELEMENTS[Type(row.type)]
    order = f"ORDER BY {table.order} LIMIT %s"
    return _numbers(db.attempt.query_elements(_query(row, "TRUE", order), (row.key_id, samples))[0])


def _measure_all(db: Keyspace, row: KeyRow) -> tuple[int, int]:
    """The same for all elements, a part at a time, so that no statement takes long."""
    count = length = 0
    for (part, arguments), _ in ELEMENTS[Type(row.type)].parts(db.attempt.query_elements, row.key_id):
        some = _numbers(db.attempt.query_elements(_query(row, part, ""), (row.key_id, *arguments))[0])
        count, length = count + some[0], length + some[1]
    return count, length


def _query(row: KeyRow, part: str, order: str) -> str:
    kind = Type(row.type)
    return (
        f"SELECT COUNT(*), COALESCE(SUM(bytes),0) FROM (SELECT {_LENGTHS[kind]}+{_LENGTH_IN_CHUNKS} AS bytes "
        f"FROM {ELEMENTS[kind].name} e FORCE INDEX (PRIMARY) WHERE key_id=%s AND {part} {order}) measured"
    )


def _numbers(row: Row) -> tuple[int, int]:
    count, length = row
    return int(count), int(length)
