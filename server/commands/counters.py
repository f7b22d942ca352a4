"""Strings that are numbers: INCR and its kin."""

from __future__ import annotations

from protocol.errors import CommandError, nan_or_infinity, not_a_float, not_an_integer, overflow
from protocol.numbers import MAX_INTEGER, MIN_INTEGER, NotFiniteError, add_long_double
from protocol.replies import Reply
from server.arguments import Args, integer
from server.keyspecs import one_key
from server.registry import Is, command, never
from server.typed import typed
from storage import strings
from storage.effects import EventClass
from storage.key_rows import KeyRow, Type
from storage.keyspace import Keyspace

_FLAGS = Is.WRITE | Is.DENYOOM | Is.FAST
_KEYS = one_key("RW access update")
#: No integer has more bytes; no other number has more than fit into a row.
_LONGEST = 20


def _add(db: Keyspace, name: bytes, increment: int) -> int:
    row = typed(db, name, Type.STRING)
    total = (0 if row is None else _integer_of(db, row)) + increment
    if not MIN_INTEGER <= total <= MAX_INTEGER:
        raise overflow()
    _keep(db, row, name, b"%d" % total, b"incrby")
    return total


def _integer_of(db: Keyspace, row: KeyRow) -> int:
    if row.size > _LONGEST:
        raise not_an_integer()
    return integer(strings.read(db, row))


def _keep(db: Keyspace, row: KeyRow | None, name: bytes, value: bytes, event: bytes) -> None:
    """Write a new value; the expiry stays."""
    if row is None:
        strings.write(db, name, value)
    else:
        strings.replace(db, row, value)
    db.notify(EventClass.STRING, event, name)


@command("INCR", arity=2, flags=_FLAGS, keys=_KEYS, group="string", since="1.0.0", whole=never, syntax="key")
def incr(db: Keyspace, args: Args) -> Reply:
    """Add one to an integer, which is 0 at first."""
    return _add(db, args[1], 1)


@command("DECR", arity=2, flags=_FLAGS, keys=_KEYS, group="string", since="1.0.0", whole=never, syntax="key")
def decr(db: Keyspace, args: Args) -> Reply:
    """Take one from an integer, which is 0 at first."""
    return _add(db, args[1], -1)


@command("INCRBY", arity=3, flags=_FLAGS, keys=_KEYS, group="string", since="1.0.0", whole=never,
         syntax="key increment")
def incrby(db: Keyspace, args: Args) -> Reply:
    """Add to an integer, which is 0 at first."""
    return _add(db, args[1], integer(args[2]))


@command("DECRBY", arity=3, flags=_FLAGS, keys=_KEYS, group="string", since="1.0.0", whole=never,
         syntax="key decrement")
def decrby(db: Keyspace, args: Args) -> Reply:
    """Take from an integer, which is 0 at first."""
    decrement = integer(args[2])
    if decrement == MIN_INTEGER:
        raise CommandError(b"ERR decrement would overflow")
    return _add(db, args[1], -decrement)


@command("INCRBYFLOAT", arity=3, flags=_FLAGS, keys=_KEYS, group="string", since="2.6.0", whole=never,
         syntax="key increment")
def incrbyfloat(db: Keyspace, args: Args) -> Reply:
    """Add to a decimal number, which is 0 at first."""
    row = typed(db, args[1], Type.STRING)
    if row is not None and row.size > strings.INLINE:
        raise not_a_float()
    try:
        total = add_long_double(b"0" if row is None else strings.read(db, row), args[2])
    except ValueError:
        raise not_a_float() from None
    except NotFiniteError:
        raise nan_or_infinity() from None

    _keep(db, row, args[1], total, b"incrbyfloat")
    return total
