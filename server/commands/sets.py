"""Sets: members without values. What is combined of several sets is in set_algebra.py."""

from __future__ import annotations

from collections.abc import Sequence

from protocol.errors import CommandError, must_be_positive, syntax_error, value_out_of_range
from protocol.numbers import MAX_INTEGER, MIN_INTEGER, parse_integer
from protocol.replies import Reply, SetOf
from server.arguments import Args, integer, integer_in
from server.keyspecs import Keys, Request, one_key
from server.registry import Is, command, everything
from server.scanning import parse_cursor, read_page, scan_options
from server.typed import typed
from storage import sets
from storage.effects import EventClass
from storage.key_rows import KeyRow, Type
from storage.keyspace import Keyspace

_READ = one_key("RO access")
_LOOK = one_key("RO")
_FAST_READ = Is.READONLY | Is.FAST
_UNORDERED = ("nondeterministic_output_order",)
_RANDOM = ("nondeterministic_output",)

#: What a reply may hold of members drawn repeatedly; Redis would try to send any number of them.
_MOST_DRAWN = 2**24


def _set(db: Keyspace, name: bytes) -> KeyRow | None:
    return typed(db, name, Type.SET)


# -- what the commands are going to look for


def _wants_one(db: Keyspace, request: Request) -> None:
    sets.want(db, request[1], request[2:3])


def _wants_rest(db: Keyspace, request: Request) -> None:
    sets.want(db, request[1], request[2:])


def _wants_all(db: Keyspace, request: Request) -> None:
    sets.want_all(db, request[1])


def _wants_moved(db: Keyspace, request: Request) -> None:
    for name in request[1:3]:
        sets.want(db, name, request[3:4])


def _wants_popped(db: Keyspace, request: Request) -> None:
    if len(request) == 2:
        sets.want_random(db, request[1], removed=True)
    else:
        sets.want_all(db, request[1])


def _wants_drawn(db: Keyspace, request: Request) -> None:
    if len(request) == 2:
        sets.want_random(db, request[1], removed=False)
    else:
        sets.want_all(db, request[1])


# -- members by name


@command("SADD", arity=-3, flags=Is.WRITE | Is.DENYOOM | Is.FAST, keys=one_key("RW insert"), group="set",
         since="1.0.0", values=False, wants=_wants_rest, complexity="O(N) with N members",
         syntax="key member [member ...]")
def sadd(db: Keyspace, args: Args) -> Reply:
    """Add members to a set and count those that are new."""
    row = _set(db, args[1])
    members = args[2:]

    if row is None:
        row = sets.create(db, args[1], members[0], len(members))
    added = sets.add_many(db, row, members)
    if added:
        db.notify(EventClass.SET, b"sadd", args[1])
    return added


@command("SREM", arity=-3, flags=Is.WRITE | Is.FAST, keys=one_key("RW delete"), group="set", since="1.0.0",
         values=False, wants=_wants_rest, complexity="O(N) with N members", syntax="key member [member ...]")
def srem(db: Keyspace, args: Args) -> Reply:
    """Remove members from a set and count those there were."""
    row = _set(db, args[1])
    removed = 0 if row is None else sets.remove_many(db, row, args[2:])
    if row is not None and removed:
        db.notify_shrunk(EventClass.SET, b"srem", row)
    return removed


@command("SMOVE", arity=4, flags=Is.WRITE | Is.FAST,
         keys=(Keys(1, 1, 1, "RW access delete"), Keys(2, 2, 1, "RW insert")), group="set", since="1.0.0",
         values=False, wants=_wants_moved, syntax="source destination member")
def smove(db: Keyspace, args: Args) -> Reply:
    """Move a member from one set to another."""
    member = args[3]
    if db.find(args[1]) is None:
        # As in Redis, whatever the destination is.
        return 0
    source, destination = _set(db, args[1]), _set(db, args[2])
    assert source is not None

    if source is destination:
        return int(sets.contains(db, source, member))
    if not sets.remove_many(db, source, [member]):
        return 0
    db.notify_shrunk(EventClass.SET, b"srem", source)
    if destination is None:
        destination = sets.create(db, args[2], member, 1)
    if sets.add_many(db, destination, [member]):
        db.notify(EventClass.SET, b"sadd", args[2])
    return 1


@command("SISMEMBER", arity=3, flags=_FAST_READ, keys=_LOOK, group="set", since="1.0.0", values=False,
         wants=_wants_one, syntax="key member")
def sismember(db: Keyspace, args: Args) -> Reply:
    """Tell whether a set has a member."""
    row = _set(db, args[1])
    return 0 if row is None else int(sets.contains(db, row, args[2]))


@command("SMISMEMBER", arity=-3, flags=_FAST_READ, keys=one_key("RO access"), group="set", since="6.2.0", values=False,
         wants=_wants_rest, complexity="O(N) with N members", syntax="key member [member ...]")
def smismember(db: Keyspace, args: Args) -> Reply:
    """Tell of each of some members whether a set has it."""
    row = _set(db, args[1])
    if row is None:
        return [0] * (len(args) - 2)
    return [int(found) for found in sets.contains_many(db, row, args[2:])]


# -- whole sets


@command("SCARD", arity=2, flags=_FAST_READ, keys=_LOOK, group="set", since="1.0.0", values=False, syntax="key")
def scard(db: Keyspace, args: Args) -> Reply:
    """Count the members of a set."""
    row = _set(db, args[1])
    return 0 if row is None else row.size


@command("SMEMBERS", arity=2, flags=Is.READONLY, keys=_READ, group="set", since="1.0.0", values=False,
         wants=_wants_all, reads=everything, complexity="O(N) with N members", tips=_UNORDERED, syntax="key")
def smembers(db: Keyspace, args: Args) -> Reply:
    """Give all members of a set."""
    row = _set(db, args[1])
    return SetOf([] if row is None else sets.every(db, row))


def _scan_reads(request: Request, size: int) -> int:
    for position in range(3, len(request) - 1):
        if request[position].upper() == b"COUNT":
            try:
                return min(size, max(0, parse_integer(request[position + 1])))
            except ValueError:
                return 0
    return 0


@command("SSCAN", arity=-3, flags=Is.READONLY, keys=_READ, group="set", since="2.8.0", values=False,
         wants=_wants_all, reads=_scan_reads, complexity="O(N) with N being COUNT",
         tips=_RANDOM, syntax="key cursor [MATCH pattern] [COUNT count]")
def sscan(db: Keyspace, args: Args) -> Reply:
    """Give some of the members of a set, and the cursor with which to ask for the next ones."""
    cursor = parse_cursor(args[2])
    row = _set(db, args[1])
    if row is None:
        # As in Redis, before the options are looked at.
        return [b"0", []]
    options = scan_options(args, 3)

    following = 0
    names: Sequence[bytes]
    if sets.is_compact(row):
        names = sets.every(db, row)
    else:
        following, names = read_page(lambda start, limit: sets.page(db, row, start, limit), cursor, options.count)
    return [b"%d" % following, [name for name in names if options.matches(name)]]


# -- members by chance


def _number(request: Request) -> int:
    """How many members a request draws, as far as one can tell."""
    try:
        return abs(parse_integer(request[2])) if len(request) > 2 else 1
    except ValueError:
        return 0


def _pop_reads(request: Request, size: int) -> int:
    return sets.pop_reads(size, _number(request)) if len(request) > 2 else 0


def _draw_reads(request: Request, size: int) -> int:
    return max(sets.rows_drawn(size, _number(request)), min(_number(request), _MOST_DRAWN) if size else 0)


@command("SPOP", arity=-2, flags=Is.WRITE | Is.FAST, keys=one_key("RW access delete"), group="set", since="1.0.0",
         values=False, wants=_wants_popped, reads=_pop_reads, complexity="O(N) with N members popped", tips=_RANDOM,
         syntax="key [count]")
def spop(db: Keyspace, args: Args) -> Reply:
    """Remove members drawn by chance from a set and give them."""
    if len(args) > 3:
        raise syntax_error()
    if len(args) == 2:
        row = _set(db, args[1])
        if row is None:
            return None
        member = sets.pop(db, row)
        db.notify_shrunk(EventClass.SET, b"spop", row)
        return member
    number = _count_to_pop(args[2])
    row = _set(db, args[1])

    if row is None or number == 0:
        return SetOf([])
    members = sets.pop_many(db, row, number)
    db.notify_shrunk(EventClass.SET, b"spop", row)
    return SetOf(members)


def _count_to_pop(data: bytes) -> int:
    return integer_in(data, 0, MAX_INTEGER, must_be_positive().message)


@command("SRANDMEMBER", arity=-2, flags=Is.READONLY, keys=_READ, group="set", since="1.0.0", values=False,
         wants=_wants_drawn, reads=_draw_reads, complexity="O(N) with N members drawn", tips=_RANDOM,
         syntax="key [count]")
def srandmember(db: Keyspace, args: Args) -> Reply:
    """Give members drawn by chance from a set; with a negative count, the same may come several times."""
    if len(args) > 3:
        raise syntax_error()
    if len(args) == 2:
        row = _set(db, args[1])
        return None if row is None else sets.draw(db, row, 1, repeat=True)[0]
    number = integer(args[2])
    if number == MIN_INTEGER:
        raise CommandError(
            b"ERR value is out of range, value must between -%d and %d" % (MAX_INTEGER, MAX_INTEGER)
        )
    row = _set(db, args[1])
    if row is None or number == 0:
        return []
    if -number > _MOST_DRAWN:
        raise value_out_of_range()

    return sets.draw(db, row, abs(number), repeat=number < 0)
