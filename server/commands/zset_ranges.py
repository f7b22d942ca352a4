"""Ranges of sorted sets: by rank, by score, by the bytes of members; reading, counting, storing, removing them."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass

from protocol.errors import CommandError, syntax_error
from protocol.replies import Reply
from server.arguments import Args, Options, integer
from server.keyspecs import Keys, Request, one_key
from server.registry import Is, command
from server.typed import typed, typed_source
from server.zset_arguments import lex_range, members_with_scores, score_range
from server.zset_results import store_zset
from storage import zset_lex, zsets
from storage.effects import EventClass
from storage.key_rows import KeyRow, Type
from storage.keyspace import Keyspace
from storage.zset_lex import NOTHING, LexRange
from storage.zset_order import Entry, Place
from storage.zsets import SortedSets

_READS = one_key("RO access")
_REMOVES = one_key("RW delete")
_COST = "O(log(N)+M) with N members, M of which are returned"


class _By(enum.Enum):
    """What the bounds of a range mean."""

    RANK = "rank"
    SCORE = "score"
    LEX = "lex"


@dataclass(slots=True)
class _Range:
    """A range as it was asked for; of the bounds there is one pair. `limit` None: all."""

    by: _By
    reverse: bool
    with_scores: bool
    offset: int
    limit: int | None
    ranks: tuple[int, int] = (0, 0)
    places: tuple[Place, Place] = ((0, b""), (0, b""))
    members: LexRange = NOTHING

    def among(self, size: int) -> tuple[int, int]:
        """The ranks `start` to `stop` (exclusive), counted from the lowest score, of a range by rank."""
        start, stop = (rank + size if rank < 0 else rank for rank in self.ranks)
        start, stop = max(start, 0), min(stop, size - 1) + 1
        if start >= stop:
            return 0, 0
        return (size - stop, size - start) if self.reverse else (start, stop)


def _parse(args: Args, *, by: _By | None = None, reverse: bool | None = None, storing: bool = False) -> _Range:
    """The range that the arguments tell of; `by` and `reverse` where the command's name says that. CommandError."""
    at = 3 if storing else 2
    words = Options(args, at + 2)
    offset, limit = 0, -1
    with_scores = False
    while words.left:
        word = words.word()
        if word == b"WITHSCORES" and not storing:
            with_scores = True
        elif word == b"LIMIT" and words.left >= 2:
            offset, limit = integer(words.value()), integer(words.value())
        elif word == b"REV" and reverse is None:
            reverse = True
        elif word == b"BYLEX" and by is None:
            by = _By.LEX
        elif word == b"BYSCORE" and by is None:
            by = _By.SCORE
        else:
            raise syntax_error()
    by = by or _By.RANK
    if limit != -1 and by is _By.RANK:
        raise CommandError(
            b"ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX"
        )  # fmt: skip
    if with_scores and by is _By.LEX:
        raise CommandError(b"ERR syntax error, WITHSCORES not supported in combination with BYLEX")
    wanted = _Range(by, bool(reverse), with_scores, offset, limit if limit >= 0 else None)
    _parse_bounds(wanted, args[at], args[at + 1])
    return wanted


def _parse_bounds(wanted: _Range, first: bytes, second: bytes) -> None:
    if wanted.by is _By.RANK:
        wanted.ranks = integer(first), integer(second)
        return
    low, high = (second, first) if wanted.reverse else (first, second)
    if wanted.by is _By.SCORE:
        wanted.places = score_range(low, high)
    else:
        wanted.members = lex_range(low, high)


def _want(store: SortedSets, row: KeyRow, wanted: _Range) -> None:
    """Tell the store what `_entries` will ask."""
    if wanted.by is _By.RANK:
        start, stop = wanted.among(row.size)
        if start < stop:
            store.want_ranks(row, start, stop)
    elif wanted.offset < 0:
        return
    elif wanted.by is _By.SCORE:
        store.want_slice(row, *wanted.places, reverse=wanted.reverse, offset=wanted.offset, limit=wanted.limit)
    else:
        zset_lex.want(
            store, row, wanted.members, reverse=wanted.reverse, offset=wanted.offset, limit=wanted.limit
        )  # fmt: skip


def _entries(store: SortedSets, row: KeyRow, wanted: _Range) -> list[Entry]:
    if wanted.by is _By.RANK:
        start, stop = wanted.among(row.size)
        return store.ranks(row, start, stop, reverse=wanted.reverse) if start < stop else []
    offset = _offset(store, row, wanted) if wanted.limit != 0 else None
    if offset is None:
        return []
    if wanted.by is _By.SCORE:
        return store.slice(row, *wanted.places, reverse=wanted.reverse, offset=offset, limit=wanted.limit)
    return zset_lex.entries(store, row, wanted.members, reverse=wanted.reverse, offset=offset, limit=wanted.limit)


def _offset(store: SortedSets, row: KeyRow, wanted: _Range) -> int | None:
    """How much of the range is skipped, None if everything.

    Redis counts a negative offset from the end of the range in a skip list; in a listpack it skips everything.
    """
    if wanted.offset >= 0:
        return wanted.offset
    if zsets.encoding(row) != b"skiplist":
        return None
    if wanted.by is _By.SCORE:
        size = store.count(row, *wanted.places)
    else:
        size = zset_lex.count(store, row, wanted.members)
    return size + wanted.offset if size + wanted.offset >= 0 else None


# How one kind of request is read, what it will look for and how much it reads.


class _Reader:
    """One of the commands that give a range: `parse` knows what its name says of the range."""

    def __init__(self, parse: Callable[[Args], _Range], key: int = 1) -> None:
        self.parse = parse
        self._key = key

    def want(self, db: Keyspace, request: Request) -> None:
        """For `wants`."""
        row = db.peek(request[self._key], Type.ZSET)
        if row is None:
            return
        try:
            wanted = self.parse(request)
        except CommandError:
            return
        _want(zsets.of(db), row, wanted)

    def want_few(self, db: Keyspace, request: Request) -> None:
        """The same for those who read many in another way."""
        row = db.peek(request[self._key], Type.ZSET)
        if row is not None and self.count(request, row.size) <= zsets.NEAR:
            self.want(db, request)

    def count(self, request: Request, size: int) -> int:
        """For `reads`: between two scores or members there may be everything."""
        try:
            wanted = self.parse(request)
        except CommandError:
            return 0
        if wanted.by is _By.RANK:
            start, stop = wanted.among(size)
            return stop - start
        return size if wanted.limit is None else min(size, wanted.limit)

    def reply(self, db: Keyspace, args: Args) -> Reply:
        wanted = self.parse(args)

        row = typed(db, args[1], Type.ZSET)
        found = [] if row is None else _entries(zsets.of(db), row, wanted)
        return members_with_scores(found, with_scores=wanted.with_scores)


_zrange = _Reader(_parse)
_zrevrange = _Reader(lambda args: _parse(args, by=_By.RANK, reverse=True))
_zrangebyscore = _Reader(lambda args: _parse(args, by=_By.SCORE, reverse=False))
_zrevrangebyscore = _Reader(lambda args: _parse(args, by=_By.SCORE, reverse=True))
_zrangebylex = _Reader(lambda args: _parse(args, by=_By.LEX, reverse=False))
_zrevrangebylex = _Reader(lambda args: _parse(args, by=_By.LEX, reverse=True))
_zrangestore = _Reader(lambda args: _parse(args, storing=True), key=2)


@command("ZRANGE", arity=-4, flags=Is.READONLY, keys=_READS, group="sorted-set", since="1.2.0", values=False,
         wants=_zrange.want, reads=_zrange.count, complexity=_COST,
         syntax="key start stop [BYSCORE | BYLEX] [REV] [LIMIT offset count] [WITHSCORES]")
def zrange(db: Keyspace, args: Args) -> Reply:
    """Give the members between two ranks, scores or members, in order."""
    return _zrange.reply(db, args)


@command("ZREVRANGE", arity=-4, flags=Is.READONLY, keys=_READS, group="sorted-set", since="1.2.0", values=False,
         wants=_zrevrange.want, reads=_zrevrange.count, complexity=_COST, syntax="key start stop [WITHSCORES]")
def zrevrange(db: Keyspace, args: Args) -> Reply:
    """Give the members between two ranks, those with the highest scores first."""
    return _zrevrange.reply(db, args)


@command("ZRANGEBYSCORE", arity=-4, flags=Is.READONLY, keys=_READS, group="sorted-set", since="1.0.5", values=False,
         wants=_zrangebyscore.want, reads=_zrangebyscore.count, complexity=_COST,
         syntax="key min max [WITHSCORES] [LIMIT offset count]")
def zrangebyscore(db: Keyspace, args: Args) -> Reply:
    """Give the members between two scores, in order."""
    return _zrangebyscore.reply(db, args)


@command("ZREVRANGEBYSCORE", arity=-4, flags=Is.READONLY, keys=_READS, group="sorted-set", since="2.2.0",
         values=False, wants=_zrevrangebyscore.want, reads=_zrevrangebyscore.count, complexity=_COST,
         syntax="key max min [WITHSCORES] [LIMIT offset count]")
def zrevrangebyscore(db: Keyspace, args: Args) -> Reply:
    """Give the members between two scores, those with the highest scores first."""
    return _zrevrangebyscore.reply(db, args)


@command("ZRANGEBYLEX", arity=-4, flags=Is.READONLY, keys=_READS, group="sorted-set", since="2.8.9", values=False,
         wants=_zrangebylex.want, reads=_zrangebylex.count, complexity=_COST,
         syntax="key min max [LIMIT offset count]")
def zrangebylex(db: Keyspace, args: Args) -> Reply:
    """Give the members between two strings, of a sorted set in which all scores are equal."""
    return _zrangebylex.reply(db, args)


@command("ZREVRANGEBYLEX", arity=-4, flags=Is.READONLY, keys=_READS, group="sorted-set", since="2.8.9", values=False,
         wants=_zrevrangebylex.want, reads=_zrevrangebylex.count, complexity=_COST,
         syntax="key max min [LIMIT offset count]")
def zrevrangebylex(db: Keyspace, args: Args) -> Reply:
    """Give the members between two strings, the last first, of a sorted set in which all scores are equal."""
    return _zrevrangebylex.reply(db, args)


@command("ZRANGESTORE", arity=-5, flags=Is.WRITE | Is.DENYOOM, group="sorted-set", since="6.2.0", values=False,
         keys=(Keys(1, 1, 1, "OW update"), Keys(2, 2, 1, "RO access")), wants=_zrangestore.want,
         reads=_zrangestore.count, complexity="O(log(N)+M) with N members, M of which are stored",
         syntax="destination source min max [BYSCORE | BYLEX] [REV] [LIMIT offset count]")
def zrangestore(db: Keyspace, args: Args) -> Reply:
    """Store the members between two ranks, scores or members as another sorted set, and count them."""
    wanted = _zrangestore.parse(args)

    row = typed_source(db, args[2], Type.ZSET)
    found = [] if row is None else _entries(zsets.of(db), row, wanted)
    members = [(entry[1], zsets.score_of(entry)) for entry in found]
    return store_zset(db, args[1], members, b"zrangestore", one_by_one=True)


# -- counting


def _want_zcount(db: Keyspace, request: Request) -> None:
    row = db.peek(request[1], Type.ZSET)
    if row is None:
        return
    try:
        low, high = score_range(request[2], request[3])
    except CommandError:
        return
    zsets.of(db).want_count(row, low, high)


@command("ZCOUNT", arity=4, flags=Is.READONLY | Is.FAST, keys=_READS, group="sorted-set", since="2.0.0",
         values=False, wants=_want_zcount, complexity="O(N) with N members in the range, counted in the index",
         syntax="key min max")
def zcount(db: Keyspace, args: Args) -> Reply:
    """Count the members between two scores."""
    low, high = score_range(args[2], args[3])

    row = typed(db, args[1], Type.ZSET)
    return 0 if row is None else zsets.of(db).count(row, low, high)


def _want_zlexcount(db: Keyspace, request: Request) -> None:
    row = db.peek(request[1], Type.ZSET)
    if row is None:
        return
    try:
        wanted = lex_range(request[2], request[3])
    except CommandError:
        return
    store = zsets.of(db)
    score = store.known_uniform_score(row)
    if score is not None and not wanted.empty:
        store.want_count(row, *wanted.places(score))


@command("ZLEXCOUNT", arity=4, flags=Is.READONLY | Is.FAST, keys=_READS, group="sorted-set", since="2.8.9",
         values=False, wants=_want_zlexcount, complexity="O(N) with N members in the range, counted in the index",
         syntax="key min max")
def zlexcount(db: Keyspace, args: Args) -> Reply:
    """Count the members between two strings, of a sorted set in which all scores are equal."""
    wanted = lex_range(args[2], args[3])

    row = typed(db, args[1], Type.ZSET)
    return 0 if row is None else zset_lex.count(zsets.of(db), row, wanted)


# -- removing

_REMOVAL = "O(log(N)+M) with N members, M of which are removed"


def _removed(db: Keyspace, row: KeyRow, count: int, event: bytes) -> int:
    if count:
        zsets.of(db).changed(row)
        db.notify_shrunk(EventClass.ZSET, event, row)
    return count


def _want_removed_scores(db: Keyspace, request: Request) -> None:
    row = db.peek(request[1], Type.ZSET)
    if row is None:
        return
    try:
        low, high = score_range(request[2], request[3])
    except CommandError:
        return
    zsets.of(db).want_removed(row, low, high)


@command("ZREMRANGEBYSCORE", arity=4, flags=Is.WRITE, keys=_REMOVES, group="sorted-set", since="1.2.0", values=False,
         wants=_want_removed_scores, complexity=_REMOVAL, syntax="key min max")
def zremrangebyscore(db: Keyspace, args: Args) -> Reply:
    """Remove the members between two scores, and count them."""
    low, high = score_range(args[2], args[3])

    row = typed(db, args[1], Type.ZSET)
    if row is None:
        return 0
    return _removed(db, row, zsets.of(db).remove_range(row, low, high), b"zremrangebyscore")


def _by_rank(args: Args) -> _Range:
    return _Range(_By.RANK, False, False, 0, None, ranks=(integer(args[2]), integer(args[3])))


_zremrangebyrank = _Reader(_by_rank)


@command("ZREMRANGEBYRANK", arity=4, flags=Is.WRITE, keys=_REMOVES, group="sorted-set", since="2.0.0", values=False,
         wants=_zremrangebyrank.want_few, complexity=_REMOVAL, syntax="key start stop")
def zremrangebyrank(db: Keyspace, args: Args) -> Reply:
    """Remove the members between two ranks, and count them."""
    wanted = _by_rank(args)

    row = typed(db, args[1], Type.ZSET)
    if row is None:
        return 0
    start, stop = wanted.among(row.size)
    return _removed(db, row, zsets.of(db).remove_ranks(row, start, stop), b"zremrangebyrank")


@command("ZREMRANGEBYLEX", arity=4, flags=Is.WRITE, keys=_REMOVES, group="sorted-set", since="2.8.9", values=False,
         wants=_want_zlexcount, complexity=_REMOVAL, syntax="key min max")
def zremrangebylex(db: Keyspace, args: Args) -> Reply:
    """Remove the members between two strings, of a sorted set in which all scores are equal, and count them."""
    wanted = lex_range(args[2], args[3])

    row = typed(db, args[1], Type.ZSET)
    if row is None:
        return 0
    return _removed(db, row, zset_lex.remove(zsets.of(db), row, wanted), b"zremrangebylex")
