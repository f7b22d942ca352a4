"""When fields of hashes expire: HEXPIRE and its kin, HTTL and its kin, HPERSIST."""

from __future__ import annotations

from protocol.errors import CommandError, invalid_expire
from protocol.replies import Reply
from server.arguments import Args, integer
from server.keyspecs import Request, one_key
from server.registry import Is, command
from server.typed import typed
from storage import hashes
from storage.effects import EventClass
from storage.hashes import Field
from storage.key_rows import KeyRow, Type
from storage.keyspace import Keyspace

#: The latest moment that Redis keeps of a field, in milliseconds.
_LATEST_MS = 2**46 - 1

# What is said of each field.
_ABSENT, _NEVER, _NOT_CHANGED, _CHANGED, _DELETED = -2, -1, 0, 1, 2

_CONDITIONS = frozenset({b"NX", b"XX", b"GT", b"LT"})
_MISPLACED = b"ERR Mandatory argument FIELDS is missing or not at the right position"
_MISCOUNTED = b"ERR The `numfields` parameter must match the number of arguments"
_NO_FIELDS = b"ERR Number of fields must be a positive integer"
#: HEXPIRE and its kin have other words for the same.
_NO_FIELDS_TO_EXPIRE = b"ERR Parameter `numFields` should be greater than 0"


def _fields(args: Args, position: int, too_few: bytes) -> list[bytes]:
    """What follows FIELDS and a number, which must stand at `position`. `too_few`: the error for numbers below 1."""
    if args[position].upper() != b"FIELDS":
        raise CommandError(_MISPLACED)
    number = integer(args[position + 1], too_few)
    if number < 1:
        raise CommandError(too_few)
    if number != len(args) - position - 2:
        raise CommandError(_MISCOUNTED)
    return args[position + 2 :]


def _wants(db: Keyspace, request: Request) -> None:
    for position in range(2, min(5, len(request))):
        if request[position].upper() == b"FIELDS":
            hashes.want(db, request[1], request[position + 2 :])
            return


# -- setting


def _expire(db: Keyspace, args: Args, unit_ms: int, since_ms: int) -> Reply:
    """Let fields expire at a time given in units after `since_ms`; fields whose time is over are deleted."""
    row = typed(db, args[1], Type.HASH)
    moment = _moment(args, unit_ms, since_ms)
    condition = args[3].upper() if args[3].upper() in _CONDITIONS else b""
    names = _fields(args, 4 if condition else 3, _NO_FIELDS_TO_EXPIRE)

    if row is None:
        return [_ABSENT] * len(names)
    hashes.get_many(db, row, names)
    outcomes = [_expire_field(db, row, name, condition, moment) for name in names]
    if _CHANGED in outcomes:
        db.notify(EventClass.HASH, b"hexpire", args[1])
    if _DELETED in outcomes:
        db.notify_shrunk(EventClass.HASH, b"hdel", row)
    return outcomes


def _moment(args: Args, unit_ms: int, since_ms: int) -> int:
    time = integer(args[2])
    if time < 0:
        raise CommandError(b"ERR invalid expire time, must be >= 0")
    moment = time * unit_ms + since_ms
    if moment > _LATEST_MS:
        raise invalid_expire(args[0])
    return moment


def _expire_field(db: Keyspace, row: KeyRow, name: bytes, condition: bytes, moment: int) -> int:
    # With its last field the hash itself is gone.
    field = hashes.get(db, row, name) if row.type == Type.HASH else None
    if field is None:
        return _ABSENT
    if not _allows(condition, field.expire_at, moment):
        return _NOT_CHANGED
    if moment <= db.now_ms:
        hashes.remove_many(db, row, [name])
        return _DELETED
    hashes.expire(db, row, field, moment)
    return _CHANGED


def _allows(condition: bytes, current: int | None, moment: int) -> bool:
    """Whether the expiry may be replaced; none at all is later than any."""
    if current is None:
        return condition not in (b"XX", b"GT")
    match condition:
        case b"NX":
            return False
        case b"GT":
            return moment > current
        case b"LT":
            return moment < current
        case _:
            return True


_EXPIRE_FLAGS = Is.WRITE | Is.DENYOOM | Is.FAST
_KEYS = one_key("RW update")
_EACH = "O(N) with N fields named"


@command("HEXPIRE", arity=-6, flags=_EXPIRE_FLAGS, keys=_KEYS, group="hash", since="7.4.0", values=False, wants=_wants,
         complexity=_EACH, syntax="key seconds [NX | XX | GT | LT] FIELDS numfields field [field ...]")
def hexpire(db: Keyspace, args: Args) -> Reply:
    """Let fields of a hash expire after some seconds."""
    return _expire(db, args, 1000, db.now_ms)


@command("HPEXPIRE", arity=-6, flags=_EXPIRE_FLAGS, keys=_KEYS, group="hash", since="7.4.0", values=False, wants=_wants,
         complexity=_EACH, syntax="key milliseconds [NX | XX | GT | LT] FIELDS numfields field [field ...]")
def hpexpire(db: Keyspace, args: Args) -> Reply:
    """Let fields of a hash expire after some milliseconds."""
    return _expire(db, args, 1, db.now_ms)


@command("HEXPIREAT", arity=-6, flags=_EXPIRE_FLAGS, keys=_KEYS, group="hash", since="7.4.0", values=False,
         wants=_wants, complexity=_EACH,
         syntax="key unix-time-seconds [NX | XX | GT | LT] FIELDS numfields field [field ...]")
def hexpireat(db: Keyspace, args: Args) -> Reply:
    """Let fields of a hash expire at a time given in seconds since 1970."""
    return _expire(db, args, 1000, 0)


@command("HPEXPIREAT", arity=-6, flags=_EXPIRE_FLAGS, keys=_KEYS, group="hash", since="7.4.0", values=False,
         wants=_wants, complexity=_EACH,
         syntax="key unix-time-milliseconds [NX | XX | GT | LT] FIELDS numfields field [field ...]")
def hpexpireat(db: Keyspace, args: Args) -> Reply:
    """Let fields of a hash expire at a time given in milliseconds since 1970."""
    return _expire(db, args, 1, 0)


@command("HPERSIST", arity=-5, flags=Is.WRITE | Is.FAST, keys=_KEYS, group="hash", since="7.4.0", values=False,
         wants=_wants, complexity=_EACH, syntax="key FIELDS numfields field [field ...]")
def hpersist(db: Keyspace, args: Args) -> Reply:
    """Let fields of a hash not expire."""
    row = typed(db, args[1], Type.HASH)
    names = _fields(args, 2, _NO_FIELDS)

    if row is None:
        return [_ABSENT] * len(names)
    hashes.get_many(db, row, names)
    outcomes = [_persist(db, row, hashes.get(db, row, name)) for name in names]
    if _CHANGED in outcomes:
        db.notify(EventClass.HASH, b"hpersist", args[1])
    return outcomes


def _persist(db: Keyspace, row: KeyRow, field: Field | None) -> int:
    if field is None:
        return _ABSENT
    if field.expire_at is None:
        return _NEVER
    hashes.expire(db, row, field, None)
    return _CHANGED


# -- looking


def _times(db: Keyspace, args: Args, unit_ms: int, since_ms: int) -> Reply:
    """When fields expire, in units after `since_ms`, rounded up."""
    row = typed(db, args[1], Type.HASH)
    names = _fields(args, 2, _NO_FIELDS)
    if row is None:
        return [_ABSENT] * len(names)
    return [_time(field, unit_ms, since_ms) for field in hashes.get_many(db, row, names)]


def _time(field: Field | None, unit_ms: int, since_ms: int) -> int:
    if field is None:
        return _ABSENT
    if field.expire_at is None:
        return _NEVER
    return -((since_ms - field.expire_at) // unit_ms)


_LOOK_FLAGS = Is.READONLY | Is.FAST
_LOOK_KEYS = one_key("RO access")
_LOOK_SYNTAX = "key FIELDS numfields field [field ...]"


@command("HTTL", arity=-5, flags=_LOOK_FLAGS, keys=_LOOK_KEYS, group="hash", since="7.4.0", values=False, wants=_wants,
         complexity=_EACH, syntax=_LOOK_SYNTAX)
def httl(db: Keyspace, args: Args) -> Reply:
    """Give the seconds until fields of a hash expire."""
    return _times(db, args, 1000, db.now_ms)


@command("HPTTL", arity=-5, flags=_LOOK_FLAGS, keys=_LOOK_KEYS, group="hash", since="7.4.0", values=False, wants=_wants,
         complexity=_EACH, syntax=_LOOK_SYNTAX)
def hpttl(db: Keyspace, args: Args) -> Reply:
    """Give the milliseconds until fields of a hash expire."""
    return _times(db, args, 1, db.now_ms)


@command("HEXPIRETIME", arity=-5, flags=_LOOK_FLAGS, keys=_LOOK_KEYS, group="hash", since="7.4.0", values=False,
         wants=_wants, complexity=_EACH, syntax=_LOOK_SYNTAX)
def hexpiretime(db: Keyspace, args: Args) -> Reply:
    """Give the times at which fields of a hash expire, in seconds since 1970."""
    return _times(db, args, 1000, 0)


@command("HPEXPIRETIME", arity=-5, flags=_LOOK_FLAGS, keys=_LOOK_KEYS, group="hash", since="7.4.0", values=False,
         wants=_wants, complexity=_EACH, syntax=_LOOK_SYNTAX)
def hpexpiretime(db: Keyspace, args: Args) -> Reply:
    """Give the times at which fields of a hash expire, in milliseconds since 1970."""
    return _times(db, args, 1, 0)
