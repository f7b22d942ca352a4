"""A key as the payload that DUMP gives for it: everything that there is of it, read and put into Redis's format."""

from __future__ import annotations

from storage import hashes, lists, rdb, sets, stream_copies, strings, zsets
from storage.key_rows import KeyRow, Type
from storage.keyspace import Keyspace
from storage.rdb_values import HashField, HashValue, ListValue, SetValue, StringValue, Value, ZsetValue


def payload_of(db: Keyspace, row: KeyRow) -> bytes:
    """What RESTORE makes the key of again, here or in Redis."""
    return rdb.dump(_value_of(db, row))


def _value_of(db: Keyspace, row: KeyRow) -> Value:
    """Everything that there is of a key."""
    match Type(row.type):
        case Type.STRING:
            return StringValue(strings.read(db, row))
        case Type.LIST:
            return ListValue(lists.read(db, row, 0, row.size - 1))
        case Type.SET:
            return SetValue(sets.every(db, row), integers_first=sets.encoding(row) == b"intset")
        case Type.ZSET:
            return _zset_of(db, row)
        case Type.HASH:
            fields = [HashField(field.name, field.value, field.expire_at) for field in hashes.every(db, row)]
            expires = any(field.expire_at is not None for field in fields)
            return HashValue(fields, in_table=not hashes.is_compact(row), expires=expires)
        case Type.STREAM:
            return stream_copies.read(db, row)
        case Type.NONE:
            raise AssertionError("a key that is not there was found")


def _zset_of(db: Keyspace, row: KeyRow) -> ZsetValue:
    members = [(entry[1], zsets.score_of(entry)) for page in zsets.of(db).pages(row) for entry in page]
    return ZsetValue(members, skiplist=zsets.encoding(row) == b"skiplist")
