"""Types of keys: their names, and finding a key that must be of one type."""

from __future__ import annotations

from protocol.errors import wrong_type
from storage.key_rows import KeyRow, Type
from storage.keyspace import Keyspace

#: What TYPE calls them.
TYPE_NAMES = {
    Type.STRING: b"string",
    Type.LIST: b"list",
    Type.SET: b"set",
    Type.ZSET: b"zset",
    Type.HASH: b"hash",
    Type.STREAM: b"stream",
}


def typed_source(db: Keyspace, name: bytes, kind: Type) -> KeyRow | None:
    """What `typed` gives, for keys that a command which may write only reads: that there is none is an event."""
    row = db.find_source(name)
    if row is not None and row.type != kind:
        raise wrong_type()
    return row


def typed(db: Keyspace, name: bytes, kind: Type) -> KeyRow | None:
    """The row of a key, None where there is none. CommandError (WRONGTYPE) if it is of another type."""
    row = db.find(name)
    if row is not None and row.type != kind:
        raise wrong_type()
    return row
