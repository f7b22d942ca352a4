"""DUMP and RESTORE: a key as the bytes that Redis writes for it, and back. The format is in storage/rdb.py."""

from __future__ import annotations

from typing import cast

from protocol.errors import CommandError, busy_key, syntax_error
from protocol.numbers import MAX_INTEGER
from protocol.replies import OK, Reply
from server.arguments import Args, Options, integer
from server.keyspecs import one_key
from server.registry import Is, command, everything, never
from server.session import Session
from storage import hashes, lists, rdb, sets, stream_copies, strings, zsets
from storage.effects import EventClass
from storage.keyspace import Keyspace
from storage.payloads import payload_of
from storage.rdb_values import (
    BadPayload,
    HashField,
    HashValue,
    ListValue,
    SetValue,
    StreamValue,
    StringValue,
    Value,
    ZsetValue,
)

# -- a value as a key


def _build(db: Keyspace, name: bytes, value: Value) -> None:
    """Make a key of a value, in the place of whatever it was."""
    match value:
        case StringValue(data):
            strings.write(db, name, data)
        case ListValue(items):
            lists.push(db, lists.make(db, name), items, False)
        case SetValue(members, integers_first):
            sets.store(db, name, members, sort=integers_first and len(members) <= sets.INTEGERS)
        case ZsetValue(members):
            zsets.replace(db, name, members)
        case HashValue(fields):
            _build_hash(db, name, fields)
        case StreamValue():
            stream_copies.write(db, name, value)


def _build_hash(db: Keyspace, name: bytes, fields: list[HashField]) -> None:
    row = hashes.create(db, name)
    hashes.set_many(db, row, [(field.name, field.value) for field in fields])
    expiring = [field for field in fields if field.expire_at is not None]
    # Of fields that expire at the same time the one that was set last comes first.
    for field in reversed(expiring):
        hashes.expire(db, row, cast(hashes.Field, hashes.get(db, row, field.name)), field.expire_at)


# -- commands


@command("DUMP", arity=2, flags=Is.READONLY, keys=one_key("RO access"), group="generic", since="2.6.0",
         reads=everything, complexity="O(N) with N bytes or elements", tips=("nondeterministic_output",), syntax="key")
def dump(db: Keyspace, args: Args) -> Reply:
    """Give a key as bytes of which RESTORE, here or in Redis, makes it again."""
    row = db.find(args[1])
    return None if row is None else payload_of(db, row)


@command("RESTORE", arity=-4, flags=Is.WRITE | Is.DENYOOM, keys=one_key("OW update"), group="generic", since="2.6.0",
         complexity="O(N) with N bytes or elements", categories=("keyspace", "dangerous"),
         values=False, whole=never,
         syntax="key ttl serialized-value [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]")
def restore(db: Keyspace, session: Session, args: Args) -> Reply:
    """Make a key of what DUMP gave, here or in Redis."""
    words = _options(args)
    there = db.find(args[1]) is not None
    if there and b"REPLACE" not in words:
        raise busy_key()
    ttl_ms = integer(args[2])
    if ttl_ms < 0:
        raise CommandError(b"ERR Invalid TTL value, must be >= 0")
    try:
        value = rdb.load(args[3], session.instance.settings.proto_max_bulk_len)
    except rdb.WrongChecksum:
        raise CommandError(b"ERR DUMP payload version or checksum are wrong") from None
    except BadPayload:
        raise CommandError(b"ERR Bad data format") from None

    moment = _moment(db, ttl_ms, absolute=b"ABSTTL" in words)
    if isinstance(value, HashValue):
        value.fields = [field for field in value.fields if field.expire_at is None or field.expire_at > db.now_ms]
    if (moment is not None and moment <= db.now_ms) or (isinstance(value, HashValue) and not value.fields):
        db.delete(args[1])
        return OK
    _build(db, args[1], value)
    if there:
        # What is replaced is gone, as if deleted; where there was nothing, the new key has told of itself.
        db.notify(EventClass.NEW, b"new", args[1])
    if moment is not None:
        row = db.find(args[1])
        assert row is not None
        row.expire_at = moment
    db.notify(EventClass.GENERIC, b"restore", args[1])
    return OK


def _options(args: Args) -> set[bytes]:
    """The options without a value that were given; those with one are judged, and say nothing here."""
    words: set[bytes] = set()
    options = Options(args, 4)
    while options.left:
        word = options.word()
        if word in (b"REPLACE", b"ABSTTL"):
            words.add(word)
        elif word == b"IDLETIME" and options.left and b"FREQ" not in words:
            words.add(word)
            if integer(options.value()) < 0:
                raise CommandError(b"ERR Invalid IDLETIME value, must be >= 0")
        elif word == b"FREQ" and options.left and b"IDLETIME" not in words:
            words.add(word)
            if not 0 <= integer(options.value()) <= 255:
                raise CommandError(b"ERR Invalid FREQ value, must be >= 0 and <= 255")
        else:
            raise syntax_error()
    return words


def _moment(db: Keyspace, ttl_ms: int, *, absolute: bool) -> int | None:
    """When the key shall expire, None for never."""
    if ttl_ms == 0 or absolute:
        return ttl_ms or None
    # What no 64 bits can hold lies in the past for Redis.
    return ttl_ms + db.now_ms if ttl_ms + db.now_ms <= MAX_INTEGER else 1
