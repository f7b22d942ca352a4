"""Unions, intersections and differences of sets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from protocol.errors import CommandError, syntax_error, too_few_keys
from protocol.numbers import MAX_INTEGER
from protocol.replies import Reply, SetOf
from server.arguments import Args, Options, integer_in
from server.keyspecs import CountedKeys, Keys, Request, all_keys
from server.registry import Is, command, everything
from server.typed import typed_source
from storage import sets
from storage.effects import EventClass
from storage.key_rows import KeyRow, Type
from storage.keyspace import Keyspace

_STORE = (Keys(1, 1, 1, "OW update"), Keys(2, -1, 1, "RO access"))
_SOURCES = all_keys("RO access")
_COUNTED = CountedKeys(1)
_WRITES = Is.WRITE | Is.DENYOOM
_UNORDERED = ("nondeterministic_output_order",)
#: Members of the smallest set that are looked for in the others at a time, if not many may be needed.
_FEW = 500


def _wants_sources(db: Keyspace, request: Request) -> None:
    for name in request[1:]:
        sets.want_all(db, name)


def _wants_stored(db: Keyspace, request: Request) -> None:
    for name in request[2:]:
        sets.want_all(db, name)


def _wants_counted(db: Keyspace, request: Request) -> None:
    for name in _COUNTED.names(request):
        sets.want_all(db, name)


def _rows(db: Keyspace, names: Sequence[bytes]) -> list[KeyRow | None]:
    """The rows of some sets; CommandError (WRONGTYPE) if one of the keys is something else."""
    return [typed_source(db, name, Type.SET) for name in names]


# -- the operations


def _union(db: Keyspace, rows: Sequence[KeyRow | None]) -> list[bytes]:
    members: dict[bytes, None] = {}
    for row in rows:
        if row is not None:
            members.update(dict.fromkeys(sets.every(db, row)))
    return list(members)


def _difference(db: Keyspace, rows: Sequence[KeyRow | None]) -> list[bytes]:
    """The members of the first set that no other has."""
    first, others = rows[0], [row for row in rows[1:] if row is not None]
    if first is None or first in others:
        return []
    members = sets.every(db, first)
    for row in others:
        if not members:
            break
        gone = set(sets.every(db, row)) if row.size <= len(members) else sets.present(db, row, members)
        members = [name for name in members if name not in gone]
    return members


def _intersection(db: Keyspace, rows: Sequence[KeyRow], piece: int | None = None) -> Iterator[list[bytes]]:
    """The members that all sets have, piece by piece; the sets with the fewest first.

    Only the smallest set is read, and the others are asked for its members.
    """
    smallest, *others = dict.fromkeys(rows)
    for members in sets.pages(db, smallest) if piece is None else sets.pages(db, smallest, piece):
        for row in others:
            if members:
                found = sets.present(db, row, members)
                members = [name for name in members if name in found]
        yield members


def _by_size(rows: Sequence[KeyRow | None]) -> list[KeyRow]:
    """The sets of an intersection, those with the fewest members first; none of them if one is absent."""
    present = [row for row in rows if row is not None]
    return sorted(present, key=lambda row: row.size) if len(present) == len(rows) else []


def _intersected(db: Keyspace, rows: Sequence[KeyRow]) -> list[bytes]:
    return [name for members in _intersection(db, rows) for name in members] if rows else []


# -- given


@command("SUNION", arity=-2, flags=Is.READONLY, keys=_SOURCES, group="set", since="1.0.0", values=False,
         wants=_wants_sources, reads=everything, complexity="O(N) with N members of all sets", tips=_UNORDERED,
         syntax="key [key ...]")
def sunion(db: Keyspace, args: Args) -> Reply:
    """Give the members that any of some sets has."""
    rows = _rows(db, args[1:])
    return SetOf(sets.in_order(_union(db, rows)))


@command("SDIFF", arity=-2, flags=Is.READONLY, keys=_SOURCES, group="set", since="1.0.0", values=False,
         wants=_wants_sources, reads=everything, complexity="O(N) with N members of all sets", tips=_UNORDERED,
         syntax="key [key ...]")
def sdiff(db: Keyspace, args: Args) -> Reply:
    """Give the members of a set that none of some others has."""
    rows = _rows(db, args[1:])
    return SetOf(sets.in_order(_difference(db, rows)))


@command("SINTER", arity=-2, flags=Is.READONLY, keys=_SOURCES, group="set", since="1.0.0", values=False,
         wants=_wants_sources, reads=everything, complexity="O(N*M) with N members of the smallest of M sets",
         tips=_UNORDERED, syntax="key [key ...]")
def sinter(db: Keyspace, args: Args) -> Reply:
    """Give the members that all of some sets have."""
    return SetOf(_intersected(db, _by_size(_rows(db, args[1:]))))


@command("SINTERCARD", arity=-3, flags=Is.READONLY | Is.MOVABLEKEYS, keys=(_COUNTED,), group="set", since="7.0.0",
         values=False, wants=_wants_counted, reads=everything,
         complexity="O(N*M) with N members of the smallest of M sets", syntax="numkeys key [key ...] [LIMIT limit]")
def sintercard(db: Keyspace, args: Args) -> Reply:
    """Count the members that all of some sets have."""
    number = integer_in(args[1], 1, MAX_INTEGER, too_few_keys().message)
    if number > len(args) - 2:
        raise CommandError(b"ERR Number of keys can't be greater than number of args")
    limit = 0
    options = Options(args, 2 + number)
    while options.left:
        if options.word() != b"LIMIT":
            raise syntax_error()
        limit = integer_in(options.value(), 0, MAX_INTEGER, b"ERR LIMIT can't be negative")
    rows = _by_size(_rows(db, args[2 : 2 + number]))

    found = 0
    for members in _intersection(db, rows, _FEW if limit else None) if rows else ():
        found += len(members)
        if limit and found >= limit:
            return limit
    return found


# -- stored


@command("SUNIONSTORE", arity=-3, flags=_WRITES, keys=_STORE, group="set", since="1.0.0", values=False,
         wants=_wants_stored, reads=everything, complexity="O(N) with N members of all sets",
         syntax="destination key [key ...]")
def sunionstore(db: Keyspace, args: Args) -> Reply:
    """Make a key the set of the members that any of some sets has, and count them."""
    return _store(db, args[1], _union(db, _rows(db, args[2:])), b"sunionstore", sort=True)


@command("SDIFFSTORE", arity=-3, flags=_WRITES, keys=_STORE, group="set", since="1.0.0", values=False,
         wants=_wants_stored, reads=everything, complexity="O(N) with N members of all sets",
         syntax="destination key [key ...]")
def sdiffstore(db: Keyspace, args: Args) -> Reply:
    """Make a key the set of the members of a set that none of some others has, and count them."""
    return _store(db, args[1], _difference(db, _rows(db, args[2:])), b"sdiffstore", sort=True)


@command("SINTERSTORE", arity=-3, flags=_WRITES, keys=_STORE, group="set", since="1.0.0", values=False,
         wants=_wants_stored, reads=everything, complexity="O(N*M) with N members of the smallest of M sets",
         syntax="destination key [key ...]")
def sinterstore(db: Keyspace, args: Args) -> Reply:
    """Make a key the set of the members that all of some sets have, and count them."""
    rows = _by_size(_rows(db, args[2:]))
    return _store(db, args[1], _intersected(db, rows), b"sinterstore", sort=False)


def _store(db: Keyspace, name: bytes, members: list[bytes], event: bytes, *, sort: bool) -> int:
    if members:
        sets.store(db, name, members, sort=sort)
        db.notify(EventClass.SET, event, name)
    else:
        db.delete(name)
    return len(members)
