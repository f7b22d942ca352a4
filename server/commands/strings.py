"""Strings: set, get, and parts of values. Numbers are in counters.py, LCS in lcs.py."""

from __future__ import annotations

from dataclasses import dataclass

from protocol.errors import invalid_expire, offset_out_of_range, string_too_long, syntax_error, wrong_arity
from protocol.numbers import MAX_INTEGER, parse_integer
from protocol.replies import OK, Reply
from server.arguments import Args, Options, integer
from server.keyspecs import Request, all_keys, odd_keys, one_key
from server.registry import Is, command, never
from server.session import Session
from server.typed import typed, typed_source
from storage import strings
from storage.effects import EventClass
from storage.key_rows import KeyRow, Type
from storage.keyspace import Keyspace

_RELATIVE = frozenset({b"EX", b"PX"})
_ABSOLUTE = frozenset({b"EXAT", b"PXAT"})
_TIMES = _RELATIVE | _ABSOLUTE
_SECONDS = frozenset({b"EX", b"EXAT"})

#: Of the options of one group only one may be given, though more than once.
_CONDITION, _GET, _EXPIRY = range(3)
_SET_OPTIONS = {
    b"NX": _CONDITION, b"XX": _CONDITION, b"GET": _GET, b"KEEPTTL": _EXPIRY, **dict.fromkeys(_TIMES, _EXPIRY)
}  # fmt: skip
_GETEX_OPTIONS = {b"PERSIST": _EXPIRY, **dict.fromkeys(_TIMES, _EXPIRY)}

#: A relative expiry below this, in seconds or milliseconds, is valid whatever the time.
_SURELY_VALID = 10**12


@dataclass(slots=True)
class _Given:
    """The options of SET and GETEX: NX or XX, GET, and how to expire, with the time as it was written."""

    condition: bytes
    get: bool
    expiry: bytes
    time: bytes


def _options(args: Args, start: int, allowed: dict[bytes, int]) -> _Given:
    chosen = [b"", b"", b""]
    time = b""
    words = Options(args, start)
    while words.left:
        word = words.word()
        group = allowed.get(word)
        if group is None or chosen[group] not in (b"", word):
            raise syntax_error()
        chosen[group] = word
        if word in _TIMES:
            time = words.value()
    return _Given(chosen[_CONDITION], bool(chosen[_GET]), chosen[_EXPIRY], time)


def _expire_at(db: Keyspace, time: bytes, unit: bytes, name: bytes) -> int:
    """The moment in milliseconds that an EX, PX, EXAT or PXAT with `time` means; CommandError if there is none."""
    moment = integer(time)
    if moment <= 0:
        raise invalid_expire(name)
    if unit in _SECONDS:
        moment *= 1000
    if unit in _RELATIVE:
        moment += db.now_ms
    if moment > MAX_INTEGER:
        raise invalid_expire(name)
    return moment


def _write(db: Keyspace, name: bytes, value: bytes) -> None:
    strings.write(db, name, value)
    db.notify(EventClass.STRING, b"set", name)


def _write_until(db: Keyspace, name: bytes, value: bytes, expire_at: int) -> None:
    """Set a key that expires; if its time is over already, nobody will find it."""
    strings.write(db, name, value, expire_at)
    db.notify(EventClass.STRING, b"set", name)
    db.notify(EventClass.GENERIC, b"expire", name)


def _string(db: Keyspace, name: bytes) -> KeyRow | None:
    return typed(db, name, Type.STRING)


def _value(db: Keyspace, row: KeyRow | None) -> bytes | None:
    return None if row is None else strings.read(db, row)


# Whether a request overwrites its keys by short strings whatever they hold: then nobody reads their rows. A request
# that will be refused must not say so.


def _lasts(time: bytes) -> bool:
    try:
        return 0 < parse_integer(time) < _SURELY_VALID
    except ValueError:
        return False


def _set_is_blind(request: Request) -> bool:
    if len(request[2]) > strings.INLINE:
        return False
    return len(request) == 3 or (len(request) == 5 and request[3].upper() in _RELATIVE and _lasts(request[4]))


def _setex_is_blind(request: Request) -> bool:
    return len(request[3]) <= strings.INLINE and _lasts(request[2])


def _mset_is_blind(request: Request) -> bool:
    return len(request) % 2 == 1 and all(len(value) <= strings.INLINE for value in request[2::2])


# -- whole values


@command("GET", arity=2, flags=Is.READONLY | Is.FAST, keys=one_key("RO access"), group="string", since="1.0.0",
         syntax="key")
def get(db: Keyspace, args: Args) -> Reply:
    """Give the value of a string."""
    return _value(db, _string(db, args[1]))


@command("SET", arity=-3, flags=Is.WRITE | Is.DENYOOM, group="string", since="1.0.0",
         keys=one_key("RW access update variable_flags", "It reads the key only with GET"), blind=_set_is_blind,
         syntax="key value [NX | XX] [GET] [EX seconds | PX milliseconds | EXAT unix-time-seconds | "
                "PXAT unix-time-milliseconds | KEEPTTL]")
def set_(db: Keyspace, args: Args) -> Reply:
    """Set a key to a string, whatever it held; its expiry is forgotten unless told otherwise."""
    name, value = args[1], args[2]
    if len(args) == 3:
        _write(db, name, value)
        return OK
    given = _options(args, 3, _SET_OPTIONS)
    expire_at = _expire_at(db, given.time, given.expiry, b"set") if given.expiry in _TIMES else None

    old: bytes | None = None
    if given.condition or given.get or given.expiry == b"KEEPTTL":
        row = typed_source(db, name, Type.STRING) if given.get else db.find(name)
        old = _value(db, row) if given.get else None
        if given.condition and (row is None) != (given.condition == b"NX"):
            return old
        if given.expiry == b"KEEPTTL" and row is not None:
            strings.write(db, name, value, row.expire_at)
            db.notify(EventClass.STRING, b"set", name)
            return old if given.get else OK
    if expire_at is None:
        _write(db, name, value)
    else:
        _write_until(db, name, value, expire_at)
    return old if given.get else OK


@command("SETNX", arity=3, flags=Is.WRITE | Is.DENYOOM | Is.FAST, keys=one_key("OW insert"), group="string",
         since="1.0.0", values=False, syntax="key value")
def setnx(db: Keyspace, args: Args) -> Reply:
    """Set a key to a string if it does not exist."""
    if db.find(args[1]) is not None:
        return 0
    _write(db, args[1], args[2])
    return 1


@command("SETEX", arity=4, flags=Is.WRITE | Is.DENYOOM, keys=one_key("OW update"), group="string", since="2.0.0",
         values=False, blind=_setex_is_blind, syntax="key seconds value")
def setex(db: Keyspace, args: Args) -> Reply:
    """Set a key to a string that expires after some seconds."""
    _write_until(db, args[1], args[3], _expire_at(db, args[2], b"EX", b"setex"))
    return OK


@command("PSETEX", arity=4, flags=Is.WRITE | Is.DENYOOM, keys=one_key("OW update"), group="string", since="2.6.0",
         values=False, blind=_setex_is_blind, syntax="key milliseconds value")
def psetex(db: Keyspace, args: Args) -> Reply:
    """Set a key to a string that expires after some milliseconds."""
    _write_until(db, args[1], args[3], _expire_at(db, args[2], b"PX", b"psetex"))
    return OK


@command("GETSET", arity=3, flags=Is.WRITE | Is.DENYOOM | Is.FAST, keys=one_key("RW access update"), group="string",
         since="1.0.0", syntax="key value")
def getset(db: Keyspace, args: Args) -> Reply:
    """Set a key to a string and give the one it held before."""
    old = _value(db, typed_source(db, args[1], Type.STRING))
    _write(db, args[1], args[2])
    return old


@command("GETDEL", arity=2, flags=Is.WRITE | Is.FAST, keys=one_key("RW access delete"), group="string", since="6.2.0",
         syntax="key")
def getdel(db: Keyspace, args: Args) -> Reply:
    """Give the value of a string and delete the key."""
    row = typed_source(db, args[1], Type.STRING)
    if row is None:
        return None
    value = strings.read(db, row)
    db.delete(args[1])
    return value


@command("GETEX", arity=-2, flags=Is.WRITE | Is.FAST, group="string", since="6.2.0",
         keys=one_key("RW access update", "It writes because it changes when the key expires"),
         syntax="key [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | PERSIST]")
def getex(db: Keyspace, args: Args) -> Reply:
    """Give the value of a string and change when it expires."""
    given = _options(args, 2, _GETEX_OPTIONS)
    row = typed_source(db, args[1], Type.STRING)
    if row is None:
        # As in Redis, before the time is looked at.
        return None
    expire_at = _expire_at(db, given.time, given.expiry, b"getex") if given.expiry in _TIMES else None

    value = strings.read(db, row)
    if expire_at is not None and expire_at <= db.now_ms:
        db.delete(args[1])
    elif expire_at is not None or (given.expiry and row.expire_at is not None):
        row.expire_at = expire_at
        db.touch(row)
        db.notify(EventClass.GENERIC, b"persist" if expire_at is None else b"expire", args[1])
    return value


@command("MGET", arity=-2, flags=Is.READONLY | Is.FAST, keys=all_keys("RO access"), group="string", since="1.0.0",
         complexity="O(N) with N keys", tips=("request_policy:multi_shard",), syntax="key [key ...]")
def mget(db: Keyspace, args: Args) -> Reply:
    """Give the values of several strings, null for what is none."""
    rows = [db.find(name) for name in args[1:]]
    return [None if row is None or row.type != Type.STRING else strings.read(db, row) for row in rows]


@command("MSET", arity=-3, flags=Is.WRITE | Is.DENYOOM, keys=odd_keys("OW update"), group="string", since="1.0.1",
         values=False, blind=_mset_is_blind, complexity="O(N) with N keys",
         tips=("request_policy:multi_shard", "response_policy:all_succeeded"), syntax="key value [key value ...]")
def mset(db: Keyspace, args: Args) -> Reply:
    """Set several keys to strings, all at once."""
    if len(args) % 2 == 0:
        raise wrong_arity(b"mset")

    for name, value in zip(args[1::2], args[2::2], strict=True):
        _write(db, name, value)
    return OK


@command("MSETNX", arity=-3, flags=Is.WRITE | Is.DENYOOM, keys=odd_keys("OW insert"), group="string", since="1.0.1",
         values=False, complexity="O(N) with N keys",
         syntax="key value [key value ...]")
def msetnx(db: Keyspace, args: Args) -> Reply:
    """Set several keys to strings if none of them exists."""
    if len(args) % 2 == 0:
        raise wrong_arity(b"msetnx")

    if any(db.find(name) is not None for name in args[1::2]):
        return 0
    for name, value in zip(args[1::2], args[2::2], strict=True):
        _write(db, name, value)
    return 1


# -- parts of values


def _range_is_long(request: Request) -> bool:
    """Whether GETRANGE may ask for much; bounds counted from different ends may be any distance apart."""
    try:
        start, end = parse_integer(request[2]), parse_integer(request[3])
    except ValueError:
        return False
    return (start < 0) != (end < 0) or end - start >= strings.CHUNK


def _get_range(db: Keyspace, args: Args) -> Reply:
    start, end = integer(args[2]), integer(args[3])

    row = _string(db, args[1])
    if row is None or (start < 0 and end < 0 and start > end):
        return b""
    if start < 0:
        start = max(0, row.size + start)
    if end < 0:
        end = max(0, row.size + end)
    return strings.read_range(db, row, start, min(end + 1, row.size))


@command("GETRANGE", arity=4, flags=Is.READONLY, keys=one_key("RO access"), group="string", since="2.4.0",
         whole=_range_is_long, complexity="O(N) with N bytes of the part", syntax="key start end")
def getrange(db: Keyspace, args: Args) -> Reply:
    """Give a part of a string, from a first to a last byte."""
    return _get_range(db, args)


@command("SUBSTR", arity=4, flags=Is.READONLY, keys=one_key("RO access"), group="string", since="1.0.0",
         whole=_range_is_long, complexity="O(N) with N bytes of the part", syntax="key start end")
def substr(db: Keyspace, args: Args) -> Reply:
    """Give a part of a string; the old name of GETRANGE."""
    return _get_range(db, args)


@command("SETRANGE", arity=4, flags=Is.WRITE | Is.DENYOOM, keys=one_key("RW update"), group="string", since="2.2.0",
         whole=never, complexity="O(N) with N bytes written", syntax="key offset value")
def setrange(db: Keyspace, session: Session, args: Args) -> Reply:
    """Overwrite part of a string from an offset on; it grows as needed."""
    offset, data = integer(args[2]), args[3]
    if offset < 0:
        raise offset_out_of_range()

    row = _string(db, args[1])
    if not data:
        return 0 if row is None else row.size
    if offset + len(data) > session.instance.settings.proto_max_bulk_len:
        raise string_too_long()
    if row is None:
        row = strings.write(db, args[1], b"")
    strings.write_range(db, row, offset, data)
    db.notify(EventClass.STRING, b"setrange", args[1])
    return row.size


@command("APPEND", arity=3, flags=Is.WRITE | Is.DENYOOM | Is.FAST, keys=one_key("RW insert"), group="string",
         since="2.0.0", whole=never, complexity="O(N) with N bytes appended", syntax="key value")
def append(db: Keyspace, session: Session, args: Args) -> Reply:
    """Add bytes to the end of a string, which is empty at first."""
    data = args[2]
    row = _string(db, args[1])
    if row is not None and row.size + len(data) > session.instance.settings.proto_max_bulk_len:
        raise string_too_long()

    if row is None:
        row = strings.write(db, args[1], data)
    elif data:
        strings.write_range(db, row, row.size, data)
    else:
        db.touch(row)
    db.notify(EventClass.STRING, b"append", args[1])
    return row.size


@command("STRLEN", arity=2, flags=Is.READONLY | Is.FAST, keys=one_key("RO"), group="string", since="2.2.0",
         values=False, syntax="key")
def strlen(db: Keyspace, args: Args) -> Reply:
    """Give the length of a string in bytes."""
    row = _string(db, args[1])
    return 0 if row is None else row.size
