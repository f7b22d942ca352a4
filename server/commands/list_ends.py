"""The ends of lists: pushing, popping, moving items from one to another. Waiting for items is in blocking_lists.py."""

from __future__ import annotations

from protocol.errors import must_be_positive, wrong_arity
from protocol.numbers import MAX_INTEGER
from protocol.replies import NULL_ARRAY, Reply
from server.arguments import Args, integer_in
from server.keyspecs import CountedKeys, Keys, Request, one_key
from server.list_ends import (
    PopOfMany,
    count_at,
    is_left,
    list_at,
    move,
    pop,
    popped_of_many,
    push,
    want_first,
    want_pop_of_many,
)
from server.registry import Is, command
from storage.keyspace import Keyspace

_MOVE_KEYS = (Keys(1, 1, 1, "RW access delete"), Keys(2, 2, 1, "RW insert"))


def _push(db: Keyspace, args: Args, left: bool) -> Reply:
    return push(db, args[1], list_at(db, args[1]), args[2:], left)


def _push_if_there(db: Keyspace, args: Args, left: bool) -> Reply:
    row = list_at(db, args[1])
    return 0 if row is None else push(db, args[1], row, args[2:], left)


def _pop(db: Keyspace, args: Args, left: bool) -> Reply:
    if len(args) > 3:
        raise wrong_arity(args[0])
    counted = len(args) == 3
    count = integer_in(args[2], 0, MAX_INTEGER, must_be_positive().message) if counted else 1

    row = list_at(db, args[1])
    if row is None:
        return NULL_ARRAY if counted else None
    if count == 0:
        return []
    values = pop(db, row, count, left)
    return values if counted else values[0]


# What requests will look for, and how many items they read. Their arguments are not judged yet.


def _want_left(db: Keyspace, request: Request) -> None:
    want_first(db, request[1:2], True, count_at(request, 2))


def _want_right(db: Keyspace, request: Request) -> None:
    want_first(db, request[1:2], False, count_at(request, 2))


def _want_last(db: Keyspace, request: Request) -> None:
    want_first(db, request[1:2], False)


def _want_moved(db: Keyspace, request: Request) -> None:
    want_first(db, request[1:2], request[3].upper() == b"LEFT")


def _want_many(db: Keyspace, request: Request) -> None:
    want_pop_of_many(db, request, 1)


def _reads_count(request: Request, size: int) -> int:
    return min(count_at(request, 2), size)


def _reads_many(request: Request, size: int) -> int:
    return min(popped_of_many(request, 1), size)


@command("LPUSH", arity=-3, flags=Is.WRITE | Is.DENYOOM | Is.FAST, keys=one_key("RW insert"), group="list",
         since="1.0.0", values=False, complexity="O(N) with N items", syntax="key element [element ...]")
def lpush(db: Keyspace, args: Args) -> Reply:
    """Add items to the left end of a list, which is made if it does not exist."""
    return _push(db, args, True)


@command("RPUSH", arity=-3, flags=Is.WRITE | Is.DENYOOM | Is.FAST, keys=one_key("RW insert"), group="list",
         since="1.0.0", values=False, complexity="O(N) with N items", syntax="key element [element ...]")
def rpush(db: Keyspace, args: Args) -> Reply:
    """Add items to the right end of a list, which is made if it does not exist."""
    return _push(db, args, False)


@command("LPUSHX", arity=-3, flags=Is.WRITE | Is.DENYOOM | Is.FAST, keys=one_key("RW insert"), group="list",
         since="2.2.0", values=False, complexity="O(N) with N items", syntax="key element [element ...]")
def lpushx(db: Keyspace, args: Args) -> Reply:
    """Add items to the left end of a list if it exists."""
    return _push_if_there(db, args, True)


@command("RPUSHX", arity=-3, flags=Is.WRITE | Is.DENYOOM | Is.FAST, keys=one_key("RW insert"), group="list",
         since="2.2.0", values=False, complexity="O(N) with N items", syntax="key element [element ...]")
def rpushx(db: Keyspace, args: Args) -> Reply:
    """Add items to the right end of a list if it exists."""
    return _push_if_there(db, args, False)


@command("LPOP", arity=-2, flags=Is.WRITE | Is.FAST, keys=one_key("RW access delete"), group="list", since="1.0.0",
         values=False, wants=_want_left, reads=_reads_count, complexity="O(N) with N items", syntax="key [count]")
def lpop(db: Keyspace, args: Args) -> Reply:
    """Take items from the left end of a list."""
    return _pop(db, args, True)


@command("RPOP", arity=-2, flags=Is.WRITE | Is.FAST, keys=one_key("RW access delete"), group="list", since="1.0.0",
         values=False, wants=_want_right, reads=_reads_count, complexity="O(N) with N items", syntax="key [count]")
def rpop(db: Keyspace, args: Args) -> Reply:
    """Take items from the right end of a list."""
    return _pop(db, args, False)


@command("LMOVE", arity=5, flags=Is.WRITE | Is.DENYOOM, keys=_MOVE_KEYS, group="list", since="6.2.0", values=False,
         wants=_want_moved, syntax="source destination <LEFT | RIGHT> <LEFT | RIGHT>")
def lmove(db: Keyspace, args: Args) -> Reply:
    """Take an item from an end of a list and add it to an end of another."""
    from_left, to_left = is_left(args[3]), is_left(args[4])

    source = list_at(db, args[1])
    return None if source is None else move(db, source, args[2], from_left, to_left)


@command("RPOPLPUSH", arity=3, flags=Is.WRITE | Is.DENYOOM, keys=_MOVE_KEYS, group="list", since="1.2.0", values=False,
         wants=_want_last, syntax="source destination")
def rpoplpush(db: Keyspace, args: Args) -> Reply:
    """Take an item from the right end of a list and add it to the left end of another."""
    source = list_at(db, args[1])
    return None if source is None else move(db, source, args[2], False, True)


@command("LMPOP", arity=-4, flags=Is.WRITE | Is.MOVABLEKEYS, keys=(CountedKeys(1, "RW access delete"),), group="list",
         since="7.0.0", values=False, wants=_want_many, reads=_reads_many,
         complexity="O(N+M) with N keys and M items", syntax="numkeys key [key ...] <LEFT | RIGHT> [COUNT count]")
def lmpop(db: Keyspace, args: Args) -> Reply:
    """Take items from an end of the first of some lists that is not empty."""
    return PopOfMany.parse(args, 1).pop(db)
