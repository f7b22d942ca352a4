"""Keys of any type: existence, expiry, names, copies. What looks through a whole database is in scan.py."""

from __future__ import annotations

from protocol.errors import (
    CommandError,
    invalid_expire,
    no_such_key,
    same_object,
    syntax_error,
)
from protocol.numbers import MAX_INTEGER, MIN_INTEGER, parse_integer
from protocol.replies import OK, Reply, Simple
from server.arguments import Args, Options, integer
from server.keyspecs import Keys, all_keys, one_key
from server.registry import Is, command, container, everything, never
from server.session import Session
from server.typed import TYPE_NAMES
from storage import hashes, keys, lists, sets, streams, zsets
from storage.effects import EventClass
from storage.key_rows import KeyRow, Type
from storage.keyspace import Keyspace, keyspace_of

# -- existence


@command("DEL", arity=-2, flags=Is.WRITE, keys=all_keys("RM delete"), group="generic", since="1.0.0", values=False,
         complexity="O(N) with N keys, whatever their size", syntax="key [key ...]",
         tips=("request_policy:multi_shard", "response_policy:agg_sum"))
def del_(db: Keyspace, args: Args) -> Reply:
    """Delete keys and count those there were."""
    return sum([db.delete(name) for name in args[1:]])


@command("UNLINK", arity=-2, flags=Is.WRITE | Is.FAST, keys=all_keys("RM delete"), group="generic", since="4.0.0",
         values=False, complexity="O(N) with N keys, whatever their size", syntax="key [key ...]",
         tips=("request_policy:multi_shard", "response_policy:agg_sum"))
def unlink(db: Keyspace, args: Args) -> Reply:
    """Delete keys and count those there were; the same as DEL, which is as quick."""
    return sum([db.delete(name) for name in args[1:]])


@command("EXISTS", arity=-2, flags=Is.READONLY | Is.FAST, keys=all_keys("RO"), group="generic", since="1.0.0",
         values=False, complexity="O(N) with N keys", syntax="key [key ...]",
         tips=("request_policy:multi_shard", "response_policy:agg_sum"))
def exists(db: Keyspace, args: Args) -> Reply:
    """Count which of the keys there are; one named twice counts twice."""
    return sum(db.find(name) is not None for name in args[1:])


@command("TOUCH", arity=-2, flags=Is.READONLY | Is.FAST, keys=all_keys("RO"), group="generic", since="3.2.1",
         values=False, complexity="O(N) with N keys", syntax="key [key ...]",
         tips=("request_policy:multi_shard", "response_policy:agg_sum"))
def touch(db: Keyspace, args: Args) -> Reply:
    """Count which of the keys there are; times of access are not kept."""
    return sum(db.find(name) is not None for name in args[1:])


@command("TYPE", arity=2, flags=Is.READONLY | Is.FAST, keys=one_key("RO"), group="generic", since="1.0.0",
         values=False, syntax="key")
def type_(db: Keyspace, args: Args) -> Reply:
    """Give the type of a key."""
    row = db.find(args[1])
    return Simple(b"none" if row is None else TYPE_NAMES[Type(row.type)])


# -- expiry


def _expire(db: Keyspace, args: Args, unit_ms: int, since_ms: int) -> Reply:
    """Set an expiry given in units after `since_ms`."""
    rules = _expire_rules(args)
    time = integer(args[2])
    moment = time * unit_ms
    if not MIN_INTEGER <= moment <= MAX_INTEGER - since_ms:
        raise invalid_expire(args[0])
    moment += since_ms

    row = db.find(args[1])
    if row is None or not _allows(rules, row.expire_at, moment):
        return 0
    if moment <= db.now_ms:
        db.delete(args[1])
    else:
        row.expire_at = moment
        db.touch(row)
        db.notify(EventClass.GENERIC, b"expire", args[1])
    return 1


def _expire_rules(args: Args) -> set[bytes]:
    rules = set()
    for word in args[3:]:
        if word.upper() not in (b"NX", b"XX", b"GT", b"LT"):
            raise CommandError(b"ERR Unsupported option " + word.partition(b"\0")[0])
        rules.add(word.upper())
    if b"NX" in rules and len(rules) > 1:
        raise CommandError(b"ERR NX and XX, GT or LT options at the same time are not compatible")
    if rules >= {b"GT", b"LT"}:
        raise CommandError(b"ERR GT and LT options at the same time are not compatible")
    return rules


def _allows(rules: set[bytes], current: int | None, moment: int) -> bool:
    """Whether the expiry may be replaced; none at all is later than any."""
    if current is None:
        return not rules & {b"XX", b"GT"}
    if b"NX" in rules:
        return False
    return not (b"GT" in rules and moment <= current) and not (b"LT" in rules and moment >= current)


_EXPIRE_KEYS = one_key("RW update")
_EXPIRE_FLAGS = Is.WRITE | Is.FAST


@command("EXPIRE", arity=-3, flags=_EXPIRE_FLAGS, keys=_EXPIRE_KEYS, group="generic", since="1.0.0", whole=never,
         syntax="key seconds [NX | XX | GT | LT]")
def expire(db: Keyspace, args: Args) -> Reply:
    """Let a key expire after some seconds."""
    return _expire(db, args, 1000, db.now_ms)


@command("PEXPIRE", arity=-3, flags=_EXPIRE_FLAGS, keys=_EXPIRE_KEYS, group="generic", since="2.6.0", whole=never,
         syntax="key milliseconds [NX | XX | GT | LT]")
def pexpire(db: Keyspace, args: Args) -> Reply:
    """Let a key expire after some milliseconds."""
    return _expire(db, args, 1, db.now_ms)


@command("EXPIREAT", arity=-3, flags=_EXPIRE_FLAGS, keys=_EXPIRE_KEYS, group="generic", since="1.2.0", whole=never,
         syntax="key unix-time-seconds [NX | XX | GT | LT]")
def expireat(db: Keyspace, args: Args) -> Reply:
    """Let a key expire at a time given in seconds since 1970."""
    return _expire(db, args, 1000, 0)


@command("PEXPIREAT", arity=-3, flags=_EXPIRE_FLAGS, keys=_EXPIRE_KEYS, group="generic", since="2.6.0", whole=never,
         syntax="key unix-time-milliseconds [NX | XX | GT | LT]")
def pexpireat(db: Keyspace, args: Args) -> Reply:
    """Let a key expire at a time given in milliseconds since 1970."""
    return _expire(db, args, 1, 0)


@command("PERSIST", arity=2, flags=_EXPIRE_FLAGS, keys=_EXPIRE_KEYS, group="generic", since="2.2.0", whole=never,
         syntax="key")
def persist(db: Keyspace, args: Args) -> Reply:
    """Let a key not expire."""
    row = db.find(args[1])
    if row is None or row.expire_at is None:
        return 0
    row.expire_at = None
    db.touch(row)
    db.notify(EventClass.GENERIC, b"persist", args[1])
    return 1


def _time(db: Keyspace, name: bytes, unit_ms: int, since_ms: int) -> int:
    """When a key expires, in units after `since_ms`: -1 for never, -2 where there is no key."""
    row = db.find(name)
    if row is None:
        return -2
    if row.expire_at is None:
        return -1
    # Rounded to the nearest unit, as in Redis.
    return (row.expire_at - since_ms + unit_ms // 2) // unit_ms


@command("TTL", arity=2, flags=Is.READONLY | Is.FAST, keys=one_key("RO access"), group="generic", since="1.0.0",
         values=False, tips=("nondeterministic_output",), syntax="key")
def ttl(db: Keyspace, args: Args) -> Reply:
    """Give the seconds until a key expires."""
    return _time(db, args[1], 1000, db.now_ms)


@command("PTTL", arity=2, flags=Is.READONLY | Is.FAST, keys=one_key("RO access"), group="generic", since="2.6.0",
         values=False, tips=("nondeterministic_output",), syntax="key")
def pttl(db: Keyspace, args: Args) -> Reply:
    """Give the milliseconds until a key expires."""
    return _time(db, args[1], 1, db.now_ms)


@command("EXPIRETIME", arity=2, flags=Is.READONLY | Is.FAST, keys=one_key("RO access"), group="generic", since="7.0.0",
         values=False, syntax="key")
def expiretime(db: Keyspace, args: Args) -> Reply:
    """Give the time at which a key expires, in seconds since 1970."""
    return _time(db, args[1], 1000, 0)


@command("PEXPIRETIME", arity=2, flags=Is.READONLY | Is.FAST, keys=one_key("RO access"), group="generic",
         since="7.0.0", values=False, syntax="key")
def pexpiretime(db: Keyspace, args: Args) -> Reply:
    """Give the time at which a key expires, in milliseconds since 1970."""
    return _time(db, args[1], 1, 0)


# -- names and places


def _rename(db: Keyspace, args: Args) -> bool:
    """Give a key another name; False if it has that name already."""
    row = db.find(args[1])
    if row is None:
        raise no_such_key()
    if args[1] == args[2]:
        return False
    db.attempt.move_contents(row, db.space, args[2])
    db.notify(EventClass.GENERIC, b"rename_from", args[1])
    db.notify(EventClass.GENERIC, b"rename_to", args[2])
    return True


@command("RENAME", arity=3, flags=Is.WRITE, keys=(Keys(1, 1, 1, "RW access delete"), Keys(2, 2, 1, "OW update")),
         group="generic", since="1.0.0", whole=never, syntax="key newkey")
def rename(db: Keyspace, args: Args) -> Reply:
    """Give a key another name; a key that had that name is gone."""
    _rename(db, args)
    return OK


@command("RENAMENX", arity=3, flags=Is.WRITE | Is.FAST, group="generic", since="1.0.0", whole=never,
         keys=(Keys(1, 1, 1, "RW access delete"), Keys(2, 2, 1, "OW insert")), syntax="key newkey")
def renamenx(db: Keyspace, args: Args) -> Reply:
    """Give a key another name if no key has it."""
    if db.find(args[1]) is not None and db.find(args[2]) is not None:
        return 0
    return int(_rename(db, args))


def _database(db: Keyspace, session: Session, number: bytes) -> Keyspace:
    return keyspace_of(db.attempt, session.instance.database_number(number))


@command("MOVE", arity=3, flags=Is.WRITE | Is.FAST, keys=one_key("RW access update"), group="generic", since="1.0.0",
         whole=never, syntax="key db")
def move(db: Keyspace, session: Session, args: Args) -> Reply:
    """Move a key to another database, unless that has one of this name."""
    name, target = args[1], _database(db, session, args[2])
    if target.db == db.db:
        raise same_object()

    row = db.find(name)
    if row is None or target.find(name) is not None:
        return 0
    db.attempt.move_contents(row, target.space, name)
    db.notify(EventClass.GENERIC, b"move_from", name)
    target.notify(EventClass.GENERIC, b"move_to", name)
    return 1


@command("COPY", arity=-3, flags=Is.WRITE | Is.DENYOOM, group="generic", since="6.2.0", whole=never, reads=everything,
         keys=(Keys(1, 1, 1, "RO access"), Keys(2, 2, 1, "OW update")),
         complexity="O(N) with N bytes or elements", syntax="source destination [DB destination-db] [REPLACE]")
def copy(db: Keyspace, session: Session, args: Args) -> Reply:
    """Copy a key, with its expiry."""
    target, replace = db, False
    options = Options(args, 3)
    while options.left:
        word = options.word()
        if word == b"REPLACE":
            replace = True
        elif word == b"DB":
            target = _database(db, session, options.value())
        else:
            raise syntax_error()
    if target.db == db.db and args[1] == args[2]:
        raise same_object()

    row = db.find_source(args[1])
    if row is None:
        return 0
    there = target.find(args[2]) is not None
    if there and not replace:
        return 0
    keys.copy(db, row, target, args[2])
    if there:
        # What is replaced is gone, as if deleted; where there was nothing, the new key has told of itself.
        target.notify(EventClass.NEW, b"new", args[2])
    target.notify(EventClass.GENERIC, b"copy_to", args[2])
    return 1


# -- OBJECT

container("OBJECT", flags=Is.NONE, group="generic", since="2.2.3", summary="Look at how keys are kept")

_OBJECT_KEYS = (Keys(2, 2, 1, "RO"),)
#: The longest string that Redis keeps in one piece with its object.
_EMBEDDED = 44
#: Redis keeps one object for each of the small integers, of which it says that it has this many references.
_SHARED_INTEGERS = 10_000
_SHARED = 2**31 - 1

_HELP = (
    b"OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    b"ENCODING <key>",
    b"    How Redis would keep the value of the key.",
    b"FREQ <key>",
    b"    Nothing: how often keys are used is not counted.",
    b"IDLETIME <key>",
    b"    Always 0: when keys were last used is not kept.",
    b"REFCOUNT <key>",
    b"    1, or a large number for the small integers that Redis shares between keys.",
    b"HELP",
    b"    These lines.",
)


#: How Redis would keep a collection, as its store notes it.
_ENCODINGS = {
    Type.LIST: lists.encoding,
    Type.SET: sets.encoding,
    Type.ZSET: zsets.encoding,
    Type.HASH: hashes.encoding,
    Type.STREAM: streams.encoding,
}


def _string_integer(db: Keyspace, row: KeyRow) -> int | None:
    """The number that a string spells, if it is one that Redis would keep as such."""
    if row.type != Type.STRING or not 0 < row.size <= 20:
        return None
    try:
        return parse_integer(db.attempt.value_of(row))
    except ValueError:
        return None


@command("OBJECT ENCODING", arity=3, flags=Is.READONLY, keys=_OBJECT_KEYS, group="generic", since="2.2.3",
         values=False, tips=("nondeterministic_output",), syntax="key")
def object_encoding(db: Keyspace, args: Args) -> Reply:
    """Give the encoding that Redis would choose; for a string, as if it was written at once."""
    row = db.find_quietly(args[2])
    if row is None:
        return None
    if row.type != Type.STRING:
        return _ENCODINGS[Type(row.type)](row)
    if _string_integer(db, row) is not None:
        return b"int"
    return b"embstr" if row.size <= _EMBEDDED else b"raw"


@command("OBJECT REFCOUNT", arity=3, flags=Is.READONLY, keys=_OBJECT_KEYS, group="generic", since="2.2.3",
         values=False, tips=("nondeterministic_output",), syntax="key")
def object_refcount(db: Keyspace, args: Args) -> Reply:
    """Give the number of references to a value: one, except for small integers."""
    row = db.find_quietly(args[2])
    if row is None:
        return None
    number = _string_integer(db, row)
    return _SHARED if number is not None and 0 <= number < _SHARED_INTEGERS else 1


@command("OBJECT IDLETIME", arity=3, flags=Is.READONLY, keys=_OBJECT_KEYS, group="generic", since="2.2.3",
         values=False, tips=("nondeterministic_output",), syntax="key")
def object_idletime(db: Keyspace, args: Args) -> Reply:
    """Give the seconds since the last access, which is always 0: times of access are not kept."""
    return None if db.find_quietly(args[2]) is None else 0


@command("OBJECT FREQ", arity=3, flags=Is.READONLY, keys=_OBJECT_KEYS, group="generic", since="4.0.0",
         values=False, tips=("nondeterministic_output",), syntax="key")
def object_freq(db: Keyspace, args: Args) -> Reply:
    """Refuse: how often keys are used is not counted, as in a Redis without an LFU policy."""
    if db.find_quietly(args[2]) is None:
        return None
    raise CommandError(
        b"ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching "
        b"between policies at runtime LRU and LFU data will take some time to adjust."
    )


@command("OBJECT HELP", arity=2, flags=Is.LOADING | Is.STALE, group="generic", since="6.2.0", cuts=False)
def object_help(session: Session, args: Args) -> Reply:
    """Tell what the subcommands do."""
    return [Simple(line) for line in _HELP]
