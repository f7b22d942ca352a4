"""Commands that take from the ends of lists and wait if there is nothing."""

from __future__ import annotations

from protocol.replies import NULL_ARRAY, Reply
from server.arguments import Args, timeout_ms
from server.keyspecs import CountedKeys, Keys, Request
from server.list_ends import (
    PopOfMany,
    first_list,
    is_left,
    list_at,
    move,
    pop,
    popped_of_many,
    want_first,
    want_pop_of_many,
)
from server.registry import Is, always, command
from server.session import Blocked
from storage.keyspace import Keyspace

_POP_KEYS = (Keys(1, -2, 1, "RW access delete"),)
_MOVE_KEYS = (Keys(1, 1, 1, "RW access delete"), Keys(2, 2, 1, "RW insert"))


def _pop(db: Keyspace, args: Args, left: bool) -> Reply | Blocked:
    timeout = timeout_ms(args[-1])

    found = first_list(db, args[1:-1])
    if found is None:
        return Blocked(timeout, NULL_ARRAY)
    name, row = found
    return [name, pop(db, row, 1, left)[0]]


def _move(db: Keyspace, args: Args, from_left: bool, to_left: bool) -> Reply | Blocked:
    timeout = timeout_ms(args[-1])

    source = list_at(db, args[1])
    return Blocked(timeout, None) if source is None else move(db, source, args[2], from_left, to_left)


# What requests will look for, and how many items they read. Their arguments are not judged yet.


def _want_left(db: Keyspace, request: Request) -> None:
    want_first(db, request[1:-1], True)


def _want_right(db: Keyspace, request: Request) -> None:
    want_first(db, request[1:-1], False)


def _want_last(db: Keyspace, request: Request) -> None:
    want_first(db, request[1:2], False)


def _want_moved(db: Keyspace, request: Request) -> None:
    want_first(db, request[1:2], request[3].upper() == b"LEFT")


def _want_many(db: Keyspace, request: Request) -> None:
    want_pop_of_many(db, request, 2)


def _reads_many(request: Request, size: int) -> int:
    return min(popped_of_many(request, 2), size)


@command("BLPOP", arity=-3, flags=Is.WRITE | Is.BLOCKING, keys=_POP_KEYS, group="list", since="2.0.0", values=False,
         wants=_want_left, blocks=always, complexity="O(N) with N keys", syntax="key [key ...] timeout")
def blpop(db: Keyspace, args: Args) -> Reply | Blocked:
    """Take an item from the left end of the first of some lists that is not empty, or wait for one."""
    return _pop(db, args, True)


@command("BRPOP", arity=-3, flags=Is.WRITE | Is.BLOCKING, keys=_POP_KEYS, group="list", since="2.0.0", values=False,
         wants=_want_right, blocks=always, complexity="O(N) with N keys", syntax="key [key ...] timeout")
def brpop(db: Keyspace, args: Args) -> Reply | Blocked:
    """Take an item from the right end of the first of some lists that is not empty, or wait for one."""
    return _pop(db, args, False)


@command("BLMOVE", arity=6, flags=Is.WRITE | Is.DENYOOM | Is.BLOCKING, keys=_MOVE_KEYS, group="list", since="6.2.0",
         values=False, wants=_want_moved, blocks=always,
         syntax="source destination <LEFT | RIGHT> <LEFT | RIGHT> timeout")
def blmove(db: Keyspace, args: Args) -> Reply | Blocked:
    """Take an item from an end of a list, or wait for one, and add it to an end of another."""
    return _move(db, args, is_left(args[3]), is_left(args[4]))


@command("BRPOPLPUSH", arity=4, flags=Is.WRITE | Is.DENYOOM | Is.BLOCKING, keys=_MOVE_KEYS, group="list", since="2.2.0",
         values=False, wants=_want_last, blocks=always, syntax="source destination timeout")
def brpoplpush(db: Keyspace, args: Args) -> Reply | Blocked:
    """Take an item from the right end of a list, or wait for one, and add it to the left end of another."""
    return _move(db, args, False, True)


@command("BLMPOP", arity=-5, flags=Is.WRITE | Is.BLOCKING | Is.MOVABLEKEYS, keys=(CountedKeys(2, "RW access delete"),),
         group="list", since="7.0.0", values=False, wants=_want_many, reads=_reads_many, blocks=always,
         complexity="O(N+M) with N keys and M items",
         syntax="timeout numkeys key [key ...] <LEFT | RIGHT> [COUNT count]")
def blmpop(db: Keyspace, args: Args) -> Reply | Blocked:
    """Take items from an end of the first of some lists that is not empty, or wait for one."""
    wanted = PopOfMany.parse(args, 2)
    timeout = timeout_ms(args[1])

    popped = wanted.pop(db)
    return Blocked(timeout, NULL_ARRAY) if popped is NULL_ARRAY else popped
