"""Strings."""

from __future__ import annotations

from protocol.errors import not_an_integer, wrong_type
from protocol.numbers import parse_integer
from protocol.replies import OK, Reply
from server.arguments import Args
from server.registry import Is, command, one_key
from storage import strings
from storage.keyspace import Keyspace
from storage.unit import KeyRow, Type


def string_at(db: Keyspace, name: bytes) -> KeyRow | None:
    row = db.find(name)
    if row is not None and row.type != Type.STRING:
        raise wrong_type()
    return row


@command("GET", arity=2, flags=Is.READONLY | Is.FAST, keys=one_key("RO access"), group="string", since="1.0.0", syntax="key")
def get(db: Keyspace, args: Args) -> Reply:
    """Give the value of a string."""
    row = string_at(db, args[1])
    return None if row is None else strings.read(db, row)


@command("SET", arity=-3, flags=Is.WRITE | Is.DENYOOM, keys=one_key("OW update"), group="string", since="1.0.0", syntax="key value", blind=lambda request: len(request) == 3 and len(request[2]) <= strings.INLINE)
def set_(db: Keyspace, args: Args) -> Reply:
    """Set a key to a string, whatever it held."""
    strings.write(db, args[1], args[2])
    return OK


@command("INCR", arity=2, flags=Is.WRITE | Is.DENYOOM | Is.FAST, keys=one_key("RW access update"), group="string", since="1.0.0", syntax="key")
def incr(db: Keyspace, args: Args) -> Reply:
    """Add one to an integer."""
    row = string_at(db, args[1])
    if row is None:
        strings.write(db, args[1], b"1")
        return 1
    try:
        value = parse_integer(strings.read(db, row))
    except ValueError:
        raise not_an_integer() from None
    strings.replace(db, row, b"%d" % (value + 1))
    return value + 1
