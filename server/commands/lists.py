"""Lists by index and by value. Their ends are in list_ends.py, and waiting for them in blocking_lists.py."""

from __future__ import annotations

from protocol.errors import CommandError, no_such_key, out_of_range, syntax_error
from protocol.numbers import MAX_INTEGER, parse_integer
from protocol.replies import OK, Reply
from server.arguments import Args, Options, integer, integer_in
from server.keyspecs import Request, one_key
from server.registry import Is, command, everything
from server.typed import typed
from storage import list_values, lists
from storage.effects import EventClass
from storage.key_rows import KeyRow, Type
from storage.keyspace import Keyspace

_RANK_ZERO = (
    b"ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... "
    b"or use negative to start from the end of the list"
)
_BEYOND_RANGE = b"ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807"


def _list(db: Keyspace, name: bytes) -> KeyRow | None:
    return typed(db, name, Type.LIST)


def _span(start: int, stop: int, size: int) -> tuple[int, int]:
    """The first and last index that a range means, negative ones counting from the end; none if they cross."""
    if start < 0:
        start = max(start + size, 0)
    if stop < 0:
        stop += size
    return start, min(stop, size - 1)


def _index(index: int, size: int) -> int | None:
    """The index from the left end, None beyond the ends."""
    if index < 0:
        index += size
    return index if 0 <= index < size else None


# What requests will look for, and how many items they read. Their arguments are not judged yet.


def _numbers(request: Request, first: int, count: int) -> list[int] | None:
    try:
        return [parse_integer(word) for word in request[first : first + count]]
    except ValueError:
        return None


def _want_range(db: Keyspace, request: Request) -> None:
    row, numbers = db.peek(request[1], Type.LIST), _numbers(request, 2, 2)
    if row is not None and numbers is not None:
        start, stop = _span(numbers[0], numbers[1], row.size)
        if start <= stop:
            lists.want_range(db, row, start, stop)


def _want_index(db: Keyspace, request: Request) -> None:
    row, numbers = db.peek(request[1], Type.LIST), _numbers(request, 2, 1)
    if row is not None and numbers is not None:
        index = _index(numbers[0], row.size)
        if index is not None:
            lists.want_item(db, row, index)


def _want_whole(db: Keyspace, request: Request) -> None:
    row = db.peek(request[1], Type.LIST)
    if row is not None:
        lists.want_whole(db, row)


def _want_cut(db: Keyspace, request: Request) -> None:
    row, numbers = db.peek(request[1], Type.LIST), _numbers(request, 2, 2)
    if row is not None and numbers is not None:
        start, stop = _span(numbers[0], numbers[1], row.size)
        if start <= stop:
            lists.want_cut(db, row, start, stop)


def _reads_range(request: Request, size: int) -> int:
    numbers = _numbers(request, 2, 2)
    if numbers is None:
        return 0
    start, stop = _span(numbers[0], numbers[1], size)
    # If the list is not dense, the way from the nearer end counts too.
    return stop - start + 1 + min(start, size - 1 - stop) if start <= stop else 0


def _reads_index(request: Request, size: int) -> int:
    numbers = _numbers(request, 2, 1)
    index = _index(numbers[0], size) if numbers is not None else None
    return 0 if index is None else min(index, size - 1 - index)


def _reads_cut(request: Request, size: int) -> int:
    numbers = _numbers(request, 2, 2)
    if numbers is None:
        return 0
    start, stop = _span(numbers[0], numbers[1], size)
    kept = max(stop - start + 1, 0)
    return min(kept, size - kept)


def _reads_most(request: Request, size: int) -> int:
    """LPOS with MAXLEN."""
    for position in range(3, len(request) - 1, 2):
        if request[position].upper() == b"MAXLEN":
            numbers = _numbers(request, position + 1, 1)
            if numbers is not None and 0 < numbers[0] < size:
                return numbers[0]
    return size


# -- by index


@command("LLEN", arity=2, flags=Is.READONLY | Is.FAST, keys=one_key("RO"), group="list", since="1.0.0", values=False,
         syntax="key")
def llen(db: Keyspace, args: Args) -> Reply:
    """Count the items of a list."""
    row = _list(db, args[1])
    return 0 if row is None else row.size


@command("LINDEX", arity=3, flags=Is.READONLY, keys=one_key("RO access"), group="list", since="1.0.0", values=False,
         wants=_want_index, reads=_reads_index,
         complexity="O(1) if the list was only changed at its ends, otherwise O(N) with N items from the nearer end",
         syntax="key index")
def lindex(db: Keyspace, args: Args) -> Reply:
    """Give the item at an index."""
    row = _list(db, args[1])
    if row is None:
        return None
    index = _index(integer(args[2]), row.size)
    return None if index is None else lists.at(db, row, index)


@command("LRANGE", arity=4, flags=Is.READONLY, keys=one_key("RO access"), group="list", since="1.0.0", values=False,
         wants=_want_range, reads=_reads_range,
         complexity="O(N) with N items given; those between them and the nearer end count too if the list was not only "
                    "changed at its ends", syntax="key start stop")
def lrange(db: Keyspace, args: Args) -> Reply:
    """Give the items between two indexes, both included."""
    first, last = integer(args[2]), integer(args[3])

    row = _list(db, args[1])
    if row is None:
        return []
    start, stop = _span(first, last, row.size)
    return lists.read(db, row, start, stop) if start <= stop else []


@command("LSET", arity=4, flags=Is.WRITE | Is.DENYOOM, keys=one_key("RW update"), group="list", since="1.0.0",
         values=False, wants=_want_index, reads=_reads_index,
         complexity="O(1) if the list was only changed at its ends, otherwise O(N) with N items from the nearer end",
         syntax="key index element")
def lset(db: Keyspace, args: Args) -> Reply:
    """Replace the item at an index."""
    row = _list(db, args[1])
    if row is None:
        raise no_such_key()
    index = _index(integer(args[2]), row.size)
    if index is None:
        raise out_of_range()

    lists.replace(db, row, index, args[3])
    db.notify(EventClass.LIST, b"lset", args[1])
    return OK


@command("LTRIM", arity=4, flags=Is.WRITE, keys=one_key("RW delete"), group="list", since="1.0.0", values=False,
         wants=_want_cut, reads=_reads_cut,
         complexity="O(N) with N items removed or kept, whichever are fewer", syntax="key start stop")
def ltrim(db: Keyspace, args: Args) -> Reply:
    """Keep only the items between two indexes, both included."""
    first, last = integer(args[2]), integer(args[3])

    row = _list(db, args[1])
    if row is not None:
        lists.trim(db, row, *_span(first, last, row.size))
        lists.remove_if_empty(db, row)
        db.notify_shrunk(EventClass.LIST, b"ltrim", row)
    return OK


# -- by value


@command("LREM", arity=4, flags=Is.WRITE, keys=one_key("RW delete"), group="list", since="1.0.0", values=False,
         wants=_want_whole, reads=everything, complexity="O(N) with N items looked at", syntax="key count element")
def lrem(db: Keyspace, args: Args) -> Reply:
    """Remove items that are equal to a value: the first ones, the last ones (count below 0), or all (0)."""
    count = integer(args[2])
    if count < -MAX_INTEGER:
        raise CommandError(_BEYOND_RANGE)

    row = _list(db, args[1])
    if row is None:
        return 0
    removed = list_values.remove(db, row, args[3], count)
    lists.remove_if_empty(db, row)
    if removed:
        db.notify_shrunk(EventClass.LIST, b"lrem", row)
    return removed


@command("LINSERT", arity=5, flags=Is.WRITE | Is.DENYOOM, keys=one_key("RW insert"), group="list", since="2.2.0",
         values=False, wants=_want_whole, reads=everything,
         complexity="O(N) with N items between the left end and the pivot", syntax="key <BEFORE | AFTER> pivot element")
def linsert(db: Keyspace, args: Args) -> Reply:
    """Insert an item next to the first one that is equal to a value."""
    where = args[2].upper()
    if where not in (b"BEFORE", b"AFTER"):
        raise syntax_error()

    row = _list(db, args[1])
    if row is None:
        return 0
    if not list_values.insert(db, row, args[3], args[4], where == b"BEFORE"):
        return -1
    db.notify(EventClass.LIST, b"linsert", args[1])
    return row.size


@command("LPOS", arity=-3, flags=Is.READONLY, keys=one_key("RO access"), group="list", since="6.0.6", values=False,
         wants=_want_whole, reads=_reads_most, complexity="O(N) with N items looked at",
         syntax="key element [RANK rank] [COUNT num-matches] [MAXLEN len]")
def lpos(db: Keyspace, args: Args) -> Reply:
    """Give the indexes of items that are equal to a value."""
    rank, count, most = 1, -1, 0
    words = Options(args, 3)
    while words.left:
        match words.word():
            case b"RANK":
                rank = integer(words.value())
                if rank == 0:
                    raise CommandError(_RANK_ZERO)
                if rank < -MAX_INTEGER:
                    raise CommandError(_BEYOND_RANGE)
            case b"COUNT":
                count = integer_in(words.value(), 0, MAX_INTEGER, b"ERR COUNT can't be negative")
            case b"MAXLEN":
                most = integer_in(words.value(), 0, MAX_INTEGER, b"ERR MAXLEN can't be negative")
            case _:
                raise syntax_error()

    row = _list(db, args[1])
    found = [] if row is None else list_values.find(db, row, args[2], rank, 1 if count < 0 else count, most)
    if count >= 0:
        return found
    return found[0] if found else None
