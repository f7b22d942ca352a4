"""Hashes: fields with values. When fields expire is in field_expiry.py."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from protocol.errors import (
    CommandError,
    nan_or_infinity,
    not_a_float,
    overflow,
    syntax_error,
    value_out_of_range,
    wrong_arity,
)
from protocol.numbers import (
    MAX_INTEGER,
    MIN_INTEGER,
    NotFiniteError,
    add_long_double,
    long_double_is_finite,
    parse_integer,
)
from protocol.replies import OK, Map, Pairs, Reply
from server.arguments import Args, integer
from server.keyspecs import Request, one_key
from server.registry import Is, command, everything
from server.scanning import parse_cursor, read_page, scan_options
from server.typed import typed
from storage import hashes, random_fields
from storage.effects import EventClass
from storage.hashes import Field
from storage.key_rows import KeyRow, Type
from storage.keyspace import Keyspace

_READ = one_key("RO access")
_LOOK = one_key("RO")
_UPDATE = one_key("RW update")
_ADD = one_key("RW access update")
_FAST_WRITE = Is.WRITE | Is.DENYOOM | Is.FAST
_UNORDERED = ("nondeterministic_output_order",)
_NOVALUES = frozenset({b"NOVALUES"})

#: What a reply may hold of fields drawn repeatedly; Redis would try to send any number of them.
_MOST_DRAWN = 2**24


def _hash(db: Keyspace, name: bytes) -> KeyRow | None:
    return typed(db, name, Type.HASH)


def _field(db: Keyspace, args: Args) -> Field | None:
    row = _hash(db, args[1])
    return None if row is None else hashes.get(db, row, args[2])


# -- what the commands are going to look for


def _wants_one(db: Keyspace, request: Request) -> None:
    hashes.want(db, request[1], request[2:3])


def _wants_rest(db: Keyspace, request: Request) -> None:
    hashes.want(db, request[1], request[2:])


def _wants_pairs(db: Keyspace, request: Request) -> None:
    hashes.want(db, request[1], request[2::2])


def _wants_all(db: Keyspace, request: Request) -> None:
    hashes.want_all(db, request[1])


# -- setting


def _set(db: Keyspace, args: Args, name: bytes) -> int:
    """Set fields from pairs; how many are new."""
    if len(args) % 2:
        raise wrong_arity(name)
    row = _hash(db, args[1])

    if row is None:
        row = hashes.create(db, args[1])
    added = hashes.set_many(db, row, list(zip(args[2::2], args[3::2], strict=True)))
    db.notify(EventClass.HASH, b"hset", args[1])
    return added


@command("HSET", arity=-4, flags=_FAST_WRITE, keys=_UPDATE, group="hash", since="2.0.0", values=False,
         wants=_wants_pairs, complexity="O(N) with N fields", syntax="key field value [field value ...]")
def hset(db: Keyspace, args: Args) -> Reply:
    """Set fields of a hash and count those that are new; what was set does not expire any more."""
    return _set(db, args, b"hset")


@command("HMSET", arity=-4, flags=_FAST_WRITE, keys=_UPDATE, group="hash", since="2.0.0", values=False,
         wants=_wants_pairs, complexity="O(N) with N fields", syntax="key field value [field value ...]")
def hmset(db: Keyspace, args: Args) -> Reply:
    """Set fields of a hash; the old name of HSET, which counts nothing."""
    _set(db, args, b"hmset")
    return OK


@command("HSETNX", arity=4, flags=_FAST_WRITE, keys=one_key("RW insert"), group="hash", since="2.0.0", values=False,
         wants=_wants_one, syntax="key field value")
def hsetnx(db: Keyspace, args: Args) -> Reply:
    """Set a field of a hash if there is no such field."""
    row = _hash(db, args[1])
    if row is None:
        row = hashes.create(db, args[1])
    elif hashes.get(db, row, args[2]) is not None:
        return 0
    hashes.put(db, row, args[2], args[3])
    db.notify(EventClass.HASH, b"hset", args[1])
    return 1


@command("HDEL", arity=-3, flags=Is.WRITE | Is.FAST, keys=one_key("RW delete"), group="hash", since="2.0.0",
         values=False, wants=_wants_rest, complexity="O(N) with N fields", syntax="key field [field ...]")
def hdel(db: Keyspace, args: Args) -> Reply:
    """Delete fields of a hash and count those there were."""
    row = _hash(db, args[1])
    removed = 0 if row is None else hashes.remove_many(db, row, args[2:])
    if row is not None and removed:
        db.notify_shrunk(EventClass.HASH, b"hdel", row)
    return removed


# -- numbers


def _keep(db: Keyspace, row: KeyRow | None, args: Args, value: bytes, event: bytes) -> None:
    """Write a field's new value; its expiry stays."""
    if row is None:
        row = hashes.create(db, args[1])
    hashes.put(db, row, args[2], value, keep_expiry=True)
    db.notify(EventClass.HASH, event, args[1])


@command("HINCRBY", arity=4, flags=_FAST_WRITE, keys=_ADD, group="hash", since="2.0.0", values=False,
         wants=_wants_one, syntax="key field increment")
def hincrby(db: Keyspace, args: Args) -> Reply:
    """Add to an integer in a field of a hash, which is 0 at first."""
    increment = integer(args[3])
    row = _hash(db, args[1])
    field = None if row is None else hashes.get(db, row, args[2])
    total = increment
    if field is not None:
        total += integer(field.value, b"ERR hash value is not an integer")
    if not MIN_INTEGER <= total <= MAX_INTEGER:
        raise overflow()

    _keep(db, row, args, b"%d" % total, b"hincrby")
    return total


@command("HINCRBYFLOAT", arity=4, flags=_FAST_WRITE, keys=_ADD, group="hash", since="2.6.0", values=False,
         wants=_wants_one, syntax="key field increment")
def hincrbyfloat(db: Keyspace, args: Args) -> Reply:
    """Add to a decimal number in a field of a hash, which is 0 at first."""
    try:
        finite = long_double_is_finite(args[3])
    except ValueError:
        raise not_a_float() from None
    if not finite:
        raise CommandError(b"ERR value is NaN or Infinity")
    row = _hash(db, args[1])
    field = None if row is None else hashes.get(db, row, args[2])
    try:
        total = add_long_double(b"0" if field is None else field.value, args[3])
    except ValueError:
        raise CommandError(b"ERR hash value is not a float") from None
    except NotFiniteError:
        raise nan_or_infinity() from None

    _keep(db, row, args, total, b"hincrbyfloat")
    return total


# -- getting


@command("HGET", arity=3, flags=Is.READONLY | Is.FAST, keys=_READ, group="hash", since="2.0.0", values=False,
         wants=_wants_one, syntax="key field")
def hget(db: Keyspace, args: Args) -> Reply:
    """Give the value of a field of a hash."""
    field = _field(db, args)
    return None if field is None else field.value


@command("HMGET", arity=-3, flags=Is.READONLY | Is.FAST, keys=_READ, group="hash", since="2.0.0", values=False,
         wants=_wants_rest, complexity="O(N) with N fields", syntax="key field [field ...]")
def hmget(db: Keyspace, args: Args) -> Reply:
    """Give the values of fields of a hash, null for those there are not."""
    row = _hash(db, args[1])
    if row is None:
        return [None] * (len(args) - 2)
    return [None if field is None else field.value for field in hashes.get_many(db, row, args[2:])]


@command("HEXISTS", arity=3, flags=Is.READONLY | Is.FAST, keys=_LOOK, group="hash", since="2.0.0", values=False,
         wants=_wants_one, syntax="key field")
def hexists(db: Keyspace, args: Args) -> Reply:
    """Tell whether a hash has a field."""
    return int(_field(db, args) is not None)


@command("HSTRLEN", arity=3, flags=Is.READONLY | Is.FAST, keys=_LOOK, group="hash", since="3.2.0", values=False,
         wants=_wants_one, syntax="key field")
def hstrlen(db: Keyspace, args: Args) -> Reply:
    """Give the length of the value of a field in bytes."""
    field = _field(db, args)
    return 0 if field is None else len(field.value)


@command("HLEN", arity=2, flags=Is.READONLY | Is.FAST, keys=_LOOK, group="hash", since="2.0.0", values=False,
         syntax="key")
def hlen(db: Keyspace, args: Args) -> Reply:
    """Count the fields of a hash."""
    row = _hash(db, args[1])
    return 0 if row is None else hashes.count(db, row)


@command("HGETALL", arity=2, flags=Is.READONLY, keys=_READ, group="hash", since="2.0.0", values=False,
         wants=_wants_all, reads=everything, complexity="O(N) with N fields", tips=_UNORDERED, syntax="key")
def hgetall(db: Keyspace, args: Args) -> Reply:
    """Give all fields of a hash and their values."""
    row = _hash(db, args[1])
    return Map([] if row is None else [(field.name, field.value) for field in hashes.each(db, row)])


@command("HKEYS", arity=2, flags=Is.READONLY, keys=_READ, group="hash", since="2.0.0", values=False,
         wants=_wants_all, reads=everything, complexity="O(N) with N fields", tips=_UNORDERED, syntax="key")
def hkeys(db: Keyspace, args: Args) -> Reply:
    """Give the names of all fields of a hash."""
    row = _hash(db, args[1])
    return [] if row is None else hashes.every_name(db, row)


@command("HVALS", arity=2, flags=Is.READONLY, keys=_READ, group="hash", since="2.0.0", values=False,
         wants=_wants_all, reads=everything, complexity="O(N) with N fields", tips=_UNORDERED, syntax="key")
def hvals(db: Keyspace, args: Args) -> Reply:
    """Give the values of all fields of a hash."""
    row = _hash(db, args[1])
    return [] if row is None else [field.value for field in hashes.each(db, row)]


# -- some of them


def _scan_reads(request: Request, size: int) -> int:
    """As many as COUNT says; one call gives small hashes whole, but they are small."""
    for word, value in pairwise(request[3:]):
        if word.upper() == b"COUNT":
            try:
                return min(size, parse_integer(value))
            except ValueError:
                return 0
    return 0


@command("HSCAN", arity=-3, flags=Is.READONLY, keys=_READ, group="hash", since="2.8.0", values=False,
         wants=_wants_all, reads=_scan_reads, complexity="O(N) with N being COUNT", tips=("nondeterministic_output",),
         syntax="key cursor [MATCH pattern] [COUNT count] [NOVALUES]")
def hscan(db: Keyspace, args: Args) -> Reply:
    """Give some of the fields of a hash and their values, and the cursor with which to ask for the next ones."""
    cursor = parse_cursor(args[2])
    row = _hash(db, args[1])
    if row is None:
        # As in Redis, before the options are looked at.
        return [b"0", []]
    options = scan_options(args, 3, flags=_NOVALUES)
    names_only = b"NOVALUES" in options.words

    following = 0
    fields: Sequence[Field | None]
    if hashes.is_compact(row):
        fields = hashes.every(db, row)
    elif names_only:
        following, names = read_page(
            lambda start, limit: hashes.page_of_names(db, row, start, limit), cursor, options.count
        )
        return [b"%d" % following, [name for name in names if name is not None and options.matches(name)]]
    else:
        following, fields = read_page(lambda start, limit: hashes.page(db, row, start, limit), cursor, options.count)
    found = [field for field in fields if field is not None and options.matches(field.name)]
    if names_only:
        return [b"%d" % following, [field.name for field in found]]
    return [b"%d" % following, [word for field in found for word in (field.name, field.value)]]


def _draw_reads(request: Request, size: int) -> int:
    try:
        number = abs(parse_integer(request[2])) if len(request) > 2 else 1
    except ValueError:
        return 0
    return max(random_fields.rows_drawn(size, number), min(number, _MOST_DRAWN) if request[2:3] else 0)


@command("HRANDFIELD", arity=-2, flags=Is.READONLY, keys=_READ, group="hash", since="6.2.0", values=False,
         wants=_wants_all, reads=_draw_reads, complexity="O(N) with N fields given", tips=("nondeterministic_output",),
         syntax="key [count [WITHVALUES]]")
def hrandfield(db: Keyspace, args: Args) -> Reply:
    """Give some field of a hash, or several: with a negative count one may come several times."""
    if len(args) == 2:
        row = _hash(db, args[1])
        drawn = [] if row is None else random_fields.draw(db, row, 1, repeat=False)
        return drawn[0].name if drawn else None
    count = _count(args)
    with_values = len(args) == 4
    row = _hash(db, args[1])

    drawn = [] if row is None or not count else random_fields.draw(db, row, abs(count), repeat=count < 0)
    return Pairs([(field.name, field.value) for field in drawn]) if with_values else [field.name for field in drawn]


def _count(args: Args) -> int:
    """The count of HRANDFIELD; CommandError if it is out of range, or what follows is not WITHVALUES alone."""
    count = integer(args[2])
    if count == MIN_INTEGER:
        raise CommandError(
            b"ERR value is out of range, value must between -%d and %d" % (MAX_INTEGER, MAX_INTEGER)
        )
    if len(args) > 4 or (len(args) == 4 and args[3].upper() != b"WITHVALUES"):
        raise syntax_error()
    if len(args) == 4 and abs(count) > MAX_INTEGER // 2:
        raise value_out_of_range()
    if count < -_MOST_DRAWN:
        raise value_out_of_range()
    return count
