"""Sorted sets as priority queues: taking elements from their ends, waiting for some if need be."""

from __future__ import annotations

from dataclasses import dataclass

from protocol.errors import count_not_positive, must_be_positive, syntax_error, too_few_keys
from protocol.numbers import MAX_INTEGER, parse_integer
from protocol.replies import NULL_ARRAY, Double, Pairs, Reply
from server.arguments import Args, Options, integer_in, timeout_ms
from server.keyspecs import CountedKeys, Keys, Request, one_key
from server.registry import Is, always, command
from server.session import Blocked
from server.typed import typed
from storage import zsets
from storage.effects import EventClass
from storage.key_rows import KeyRow, Type
from storage.keyspace import Keyspace
from storage.zset_order import Entry
from storage.zset_windows import End

_ENDS = {b"MIN": End.MIN, b"MAX": End.MAX}
_EVENTS = {End.MIN: b"zpopmin", End.MAX: b"zpopmax"}
_POPS = "RW access delete"


def _take(db: Keyspace, names: list[bytes], end: End, count: int) -> tuple[bytes, list[Entry]] | None:
    """The first key that holds something, and what was taken from it."""
    for name in names:
        row = typed(db, name, Type.ZSET)
        if row is not None:
            return name, _take_from(db, row, end, count)
    return None


def _take_from(db: Keyspace, row: KeyRow, end: End, count: int) -> list[Entry]:
    store = zsets.of(db)
    found = store.pop(row, end, count)
    store.changed(row)
    db.notify_shrunk(EventClass.ZSET, _EVENTS[end], row)
    return found


def _pairs(found: list[Entry]) -> list[tuple[bytes, Double]]:
    return [(entry[1], Double(zsets.score_of(entry))) for entry in found]


def _want_taken(db: Keyspace, names: list[bytes], end: End, count: int) -> None:
    for name in names:
        row = db.peek(name, Type.ZSET)
        if row is not None:
            zsets.of(db).want_pop(row, end, count)
            return


# -- one key


def _count(request: Request) -> int:
    """How many elements ZPOPMIN and ZPOPMAX are to take, for those who must not raise."""
    try:
        return max(0, parse_integer(request[2])) if len(request) == 3 else 1
    except ValueError:
        return 0


def _popped(request: Request, size: int) -> int:
    return min(size, _count(request))


def _want_min(db: Keyspace, request: Request) -> None:
    _want_taken(db, request[1:2], End.MIN, _count(request))


def _want_max(db: Keyspace, request: Request) -> None:
    _want_taken(db, request[1:2], End.MAX, _count(request))


def _pop(db: Keyspace, args: Args, end: End) -> Reply:
    if len(args) > 3:
        raise syntax_error()
    count = 1
    if len(args) == 3:
        count = integer_in(args[2], 0, MAX_INTEGER, must_be_positive().message)

    row = typed(db, args[1], Type.ZSET)
    if row is None or count == 0:
        return []
    pairs = _pairs(_take_from(db, row, end, count))
    return Pairs(pairs) if len(args) == 3 else list(pairs[0])


@command("ZPOPMIN", arity=-2, flags=Is.WRITE | Is.FAST, keys=one_key(_POPS), group="sorted-set", since="5.0.0",
         values=False, wants=_want_min, reads=_popped, complexity="O(M) with M elements taken", syntax="key [count]")
def zpopmin(db: Keyspace, args: Args) -> Reply:
    """Take the members with the lowest scores out of a sorted set."""
    return _pop(db, args, End.MIN)


@command("ZPOPMAX", arity=-2, flags=Is.WRITE | Is.FAST, keys=one_key(_POPS), group="sorted-set", since="5.0.0",
         values=False, wants=_want_max, reads=_popped, complexity="O(M) with M elements taken", syntax="key [count]")
def zpopmax(db: Keyspace, args: Args) -> Reply:
    """Take the members with the highest scores out of a sorted set."""
    return _pop(db, args, End.MAX)


def _want_min_of_several(db: Keyspace, request: Request) -> None:
    _want_taken(db, request[1:-1], End.MIN, 1)


def _want_max_of_several(db: Keyspace, request: Request) -> None:
    _want_taken(db, request[1:-1], End.MAX, 1)


def _blocking_pop(db: Keyspace, args: Args, end: End) -> Reply | Blocked:
    timeout = timeout_ms(args[-1])

    taken = _take(db, args[1:-1], end, 1)
    if taken is None:
        return Blocked(timeout, NULL_ARRAY)
    name, found = taken
    return [name, *_pairs(found)[0]]


@command("BZPOPMIN", arity=-3, flags=Is.WRITE | Is.BLOCKING | Is.FAST, keys=(Keys(1, -2, 1, _POPS),),
         group="sorted-set", since="5.0.0", values=False, wants=_want_min_of_several, blocks=always,
         syntax="key [key ...] timeout")
def bzpopmin(db: Keyspace, args: Args) -> Reply | Blocked:
    """Take the member with the lowest score out of the first sorted set that there is, or wait for one."""
    return _blocking_pop(db, args, End.MIN)


@command("BZPOPMAX", arity=-3, flags=Is.WRITE | Is.BLOCKING | Is.FAST, keys=(Keys(1, -2, 1, _POPS),),
         group="sorted-set", since="5.0.0", values=False, wants=_want_max_of_several, blocks=always,
         syntax="key [key ...] timeout")
def bzpopmax(db: Keyspace, args: Args) -> Reply | Blocked:
    """Take the member with the highest score out of the first sorted set that there is, or wait for one."""
    return _blocking_pop(db, args, End.MAX)


# -- several keys


@dataclass(slots=True)
class _Popping:
    """What ZMPOP was told."""

    names: list[bytes]
    end: End
    count: int


def _popping(args: Args, at: int) -> _Popping:
    """The arguments of ZMPOP from `numkeys` on. CommandError if they are none."""
    number = integer_in(args[at], 1, MAX_INTEGER, too_few_keys().message)
    behind = at + 1 + number
    options = Options(args, behind)
    end = _ENDS.get(options.word())
    if end is None:
        raise syntax_error()
    count = 0
    while options.left:
        if count or options.word() != b"COUNT":
            raise syntax_error()
        count = integer_in(options.value(), 1, MAX_INTEGER, count_not_positive().message)
    return _Popping(args[at + 1 : behind], end, count or 1)


def _want_several(db: Keyspace, request: Request, at: int) -> None:
    names = CountedKeys(at).names(request)
    words = [word.upper() for word in request[at + 1 + len(names) :]]
    end = _ENDS.get(words[0]) if words else None
    if end is not None:
        _want_taken(db, names, end, _count_of_several(words))


def _count_of_several(words: list[bytes]) -> int:
    """How many elements are to be taken, of the words behind the keys, for those who must not raise."""
    try:
        return max(1, parse_integer(words[2])) if len(words) == 3 else 1
    except ValueError:
        return 1


def _want_zmpop(db: Keyspace, request: Request) -> None:
    _want_several(db, request, 1)


def _want_bzmpop(db: Keyspace, request: Request) -> None:
    _want_several(db, request, 2)


def _read_by_zmpop(request: Request, size: int) -> int:
    return min(size, _count_of_several(request[-3:]) if request[-2].upper() == b"COUNT" else 1)


def _reply(taken: tuple[bytes, list[Entry]] | None) -> Reply:
    return NULL_ARRAY if taken is None else [taken[0], _pairs(taken[1])]


@command("ZMPOP", arity=-4, flags=Is.WRITE | Is.MOVABLEKEYS, keys=(CountedKeys(1, _POPS),), group="sorted-set",
         since="7.0.0", values=False, wants=_want_zmpop, reads=_read_by_zmpop,
         complexity="O(K + M) with K keys named and M elements taken",
         syntax="numkeys key [key ...] <MIN | MAX> [COUNT count]")
def zmpop(db: Keyspace, args: Args) -> Reply:
    """Take members with the lowest or highest scores out of the first sorted set that there is."""
    popping = _popping(args, 1)

    return _reply(_take(db, popping.names, popping.end, popping.count))


@command("BZMPOP", arity=-5, flags=Is.WRITE | Is.BLOCKING | Is.MOVABLEKEYS, keys=(CountedKeys(2, _POPS),),
         group="sorted-set", since="7.0.0", values=False, wants=_want_bzmpop, reads=_read_by_zmpop, blocks=always,
         complexity="O(K + M) with K keys named and M elements taken",
         syntax="timeout numkeys key [key ...] <MIN | MAX> [COUNT count]")
def bzmpop(db: Keyspace, args: Args) -> Reply | Blocked:
    """Take members with the lowest or highest scores out of the first sorted set that there is, or wait for one."""
    popping = _popping(args, 2)
    timeout = timeout_ms(args[1])

    taken = _take(db, popping.names, popping.end, popping.count)
    return Blocked(timeout, NULL_ARRAY) if taken is None else _reply(taken)
