"""Sorted sets: members and their scores. Others are in zset_ranges.py, zset_pops.py and zset_algebra.py."""

from __future__ import annotations

from dataclasses import dataclass

from protocol.errors import CommandError, syntax_error, value_out_of_range, wrong_arity
from protocol.numbers import MAX_INTEGER, parse_integer
from protocol.replies import NULL_ARRAY, Double, Pairs, Reply
from protocol.shortest import format_double
from server.arguments import Args, double, integer
from server.keyspecs import Request, one_key
from server.registry import Is, command
from server.scanning import parse_cursor, read_page, scan_options
from server.typed import typed
from storage import scores, zset_samples, zsets
from storage.effects import EventClass
from storage.key_rows import KeyRow, Type
from storage.keyspace import Keyspace

_FLAGS = frozenset({b"NX", b"XX", b"GT", b"LT", b"CH", b"INCR"})


def _zset(db: Keyspace, name: bytes) -> KeyRow | None:
    return typed(db, name, Type.ZSET)


@dataclass(slots=True)
class _Adding:
    """What ZADD was told: its flags, and pairs of score and member."""

    flags: frozenset[bytes]
    pairs: list[tuple[float, bytes]]

    def allows(self, old: float | None, new: float) -> bool:
        """Whether a member with a score, None if it is new, may get another."""
        flags = self.flags
        if old is None:
            return b"XX" not in flags
        return not (b"NX" in flags or (b"GT" in flags and new <= old) or (b"LT" in flags and new >= old))


def _flags_of_zadd(args: Args) -> tuple[frozenset[bytes], int]:
    """The flags, and the position behind them."""
    position = 2
    while position < len(args) and args[position].upper() in _FLAGS:
        position += 1
    return frozenset([word.upper() for word in args[2:position]]), position


def _adding(args: Args) -> _Adding:
    """The arguments of ZADD. CommandError if they contradict each other."""
    flags, start = _flags_of_zadd(args)
    words = args[start:]
    if not words or len(words) % 2:
        raise syntax_error()
    if flags >= {b"NX", b"XX"}:
        raise CommandError(b"ERR XX and NX options at the same time are not compatible")
    if len(flags & {b"GT", b"LT", b"NX"}) > 1:
        raise CommandError(b"ERR GT, LT, and/or NX options at the same time are not compatible")
    if b"INCR" in flags and len(words) > 2:
        raise CommandError(b"ERR INCR option supports a single increment-element pair")
    return _Adding(flags, [(double(score), member) for score, member in zip(words[::2], words[1::2], strict=True)])


def _want_added(db: Keyspace, request: Request) -> None:
    row = db.peek(request[1], Type.ZSET)
    if row is not None:
        zsets.of(db).want(row, request[_flags_of_zadd(request)[1] + 1 :: 2])


@command("ZADD", arity=-4, flags=Is.WRITE | Is.DENYOOM | Is.FAST, keys=one_key("RW update"), group="sorted-set",
         since="1.2.0", values=False, wants=_want_added, complexity="O(log(N)) for each member, with N members",
         syntax="key [NX | XX] [GT | LT] [CH] [INCR] score member [score member ...]")
def zadd(db: Keyspace, args: Args) -> Reply:
    """Add members with scores to a sorted set, or give other scores to members already in it."""
    adding = _adding(args)

    row = _zset(db, args[1])
    if b"INCR" in adding.flags:
        return _increment(db, args[1], row, adding)
    if row is None:
        if b"XX" in adding.flags:
            return 0
        row = zsets.create(db, args[1])
    store = zsets.of(db)
    added = moved = 0
    for score, member in adding.pairs:
        old = store.score(row, member)
        if old == score or not adding.allows(old, score):
            continue
        store.put(row, member, score)
        if old is None:
            added += 1
        else:
            moved += 1
    if added or moved:
        store.changed(row)
        db.notify(EventClass.ZSET, b"zadd", args[1])
    return added + moved if b"CH" in adding.flags else added


def _increment(db: Keyspace, name: bytes, row: KeyRow | None, adding: _Adding) -> Reply:
    """Add to the score of the only member; the new score, null if that is not allowed."""
    store = zsets.of(db)
    ((increment, member),) = adding.pairs
    old = None if row is None else store.score(row, member)
    if old is not None and b"NX" in adding.flags:
        return None
    score = increment if old is None else old + increment
    if score != score:
        raise CommandError(b"ERR resulting score is not a number (NaN)")
    if not adding.allows(old, score):
        return None
    if row is None:
        row = zsets.create(db, name)
    if old != score:
        store.put(row, member, score)
        store.changed(row)
        db.notify(EventClass.ZSET, b"zincr", name)
    return Double(score)


def _want_third(db: Keyspace, request: Request) -> None:
    row = db.peek(request[1], Type.ZSET)
    if row is not None:
        zsets.of(db).want(row, request[3:4])


@command("ZINCRBY", arity=4, flags=Is.WRITE | Is.DENYOOM | Is.FAST, keys=one_key("RW access update"),
         group="sorted-set", since="1.2.0", values=False, wants=_want_third,
         complexity="O(log(N)) with N members", syntax="key increment member")
def zincrby(db: Keyspace, args: Args) -> Reply:
    """Add to the score of a member, which is 0 at first, and give the new one."""
    adding = _Adding(frozenset(), [(double(args[2]), args[3])])

    return _increment(db, args[1], _zset(db, args[1]), adding)


def _want_members(db: Keyspace, request: Request) -> None:
    row = db.peek(request[1], Type.ZSET)
    if row is not None:
        zsets.of(db).want(row, request[2:])


@command("ZREM", arity=-3, flags=Is.WRITE | Is.FAST, keys=one_key("RW delete"), group="sorted-set", since="1.2.0",
         values=False, wants=_want_members, complexity="O(M*log(N)) with N members, M of which are removed",
         syntax="key member [member ...]")
def zrem(db: Keyspace, args: Args) -> Reply:
    """Remove members from a sorted set; it is deleted with the last one."""
    row = _zset(db, args[1])
    if row is None:
        return 0
    store = zsets.of(db)
    removed = sum([store.remove(row, member) for member in args[2:]])
    if removed:
        store.changed(row)
        db.notify_shrunk(EventClass.ZSET, b"zrem", row)
    return removed


# -- looking up members


@command("ZCARD", arity=2, flags=Is.READONLY | Is.FAST, keys=one_key("RO"), group="sorted-set", since="1.2.0",
         values=False, syntax="key")
def zcard(db: Keyspace, args: Args) -> Reply:
    """Count the members of a sorted set."""
    row = _zset(db, args[1])
    return 0 if row is None else row.size


@command("ZSCORE", arity=3, flags=Is.READONLY | Is.FAST, keys=one_key("RO access"), group="sorted-set", since="1.2.0",
         values=False, wants=_want_members, syntax="key member")
def zscore(db: Keyspace, args: Args) -> Reply:
    """Give the score of a member, null if it is none."""
    row = _zset(db, args[1])
    score = None if row is None else zsets.of(db).score(row, args[2])
    return None if score is None else Double(score)


@command("ZMSCORE", arity=-3, flags=Is.READONLY | Is.FAST, keys=one_key("RO access"), group="sorted-set",
         since="6.2.0", values=False, wants=_want_members, complexity="O(N) with N members asked for",
         syntax="key member [member ...]")
def zmscore(db: Keyspace, args: Args) -> Reply:
    """Give the scores of several members, null for what is none."""
    row = _zset(db, args[1])
    if row is None:
        return [None] * (len(args) - 2)
    return [None if score is None else Double(score) for score in zsets.of(db).scores(row, args[2:])]


def _want_rank(db: Keyspace, request: Request) -> None:
    row = db.peek(request[1], Type.ZSET)
    if row is not None:
        zsets.of(db).want_rank(row, request[2])


def _rank(db: Keyspace, args: Args, *, reverse: bool) -> Reply:
    if len(args) > 4:
        raise wrong_arity(args[0])
    if len(args) == 4 and args[3].upper() != b"WITHSCORE":
        raise syntax_error()
    with_score = len(args) == 4

    row = _zset(db, args[1])
    found = None if row is None else zsets.of(db).rank(row, args[2], reverse=reverse)
    if found is None:
        return NULL_ARRAY if with_score else None
    return [found[0], Double(found[1])] if with_score else found[0]


@command("ZRANK", arity=-3, flags=Is.READONLY | Is.FAST, keys=one_key("RO access"), group="sorted-set", since="2.0.0",
         values=False, wants=_want_rank, complexity="O(N) with N members of lower rank, counted in the index",
         syntax="key member [WITHSCORE]")
def zrank(db: Keyspace, args: Args) -> Reply:
    """Tell how many members have a lower score than one of them."""
    return _rank(db, args, reverse=False)


@command("ZREVRANK", arity=-3, flags=Is.READONLY | Is.FAST, keys=one_key("RO access"), group="sorted-set",
         since="2.0.0", values=False, wants=_want_rank,
         complexity="O(N) with N members of higher rank, counted in the index", syntax="key member [WITHSCORE]")
def zrevrank(db: Keyspace, args: Args) -> Reply:
    """Tell how many members have a higher score than one of them."""
    return _rank(db, args, reverse=True)


# -- looking around


def _is_sample(request: Request, size: int) -> int:
    """How many elements ZRANDMEMBER reads: each draw looks at some, a large part of a sorted set is read whole."""
    try:
        return min(size, zset_samples.NEIGHBOURS * abs(parse_integer(request[2]))) if len(request) > 2 else 1
    except ValueError:
        return 0


@command("ZRANDMEMBER", arity=-2, flags=Is.READONLY, keys=one_key("RO access"), group="sorted-set", since="6.2.0",
         values=False, reads=_is_sample, complexity="O(N) with N members returned", tips=("nondeterministic_output",),
         syntax="key [count [WITHSCORES]]")
def zrandmember(db: Keyspace, args: Args) -> Reply:
    """Give one or several members by chance; with a negative count the same one may come again."""
    if len(args) == 2:
        row = _zset(db, args[1])
        return None if row is None else zset_samples.sample(zsets.of(db), row, 1)[0][0]
    count = integer(args[2])
    if count < -MAX_INTEGER:
        raise CommandError(b"ERR value is out of range, value must between %d and %d" % (-MAX_INTEGER, MAX_INTEGER))
    if len(args) > 4 or (len(args) == 4 and args[3].upper() != b"WITHSCORES"):
        raise syntax_error()
    with_scores = len(args) == 4
    if with_scores and abs(count) > MAX_INTEGER // 2:
        raise value_out_of_range()

    row = _zset(db, args[1])
    if row is None or count == 0:
        return []
    store = zsets.of(db)
    found = zset_samples.sample(store, row, count) if count > 0 else zset_samples.draw(store, row, -count)
    if not with_scores:
        return [member for member, _ in found]
    return Pairs([(member, Double(score)) for member, score in found])


def _scanned(request: Request, size: int) -> int:
    """How many elements ZSCAN reads: a small sorted set comes whole."""
    try:
        return min(size, max([10, *[parse_integer(request[at + 1]) for at in range(3, len(request) - 1, 2)
                                    if request[at].upper() == b"COUNT"]]))
    except ValueError:
        return 0


@command("ZSCAN", arity=-3, flags=Is.READONLY, keys=one_key("RO access"), group="sorted-set", since="2.8.0",
         values=False, reads=_scanned, complexity="O(N) with N being COUNT",
         tips=("nondeterministic_output",), syntax="key cursor [MATCH pattern] [COUNT count]")
def zscan(db: Keyspace, args: Args) -> Reply:
    """Give some members of a sorted set with their scores, and the cursor with which to ask for the next ones."""
    cursor = parse_cursor(args[2])
    row = _zset(db, args[1])
    if row is None:
        # As in Redis, before the options are looked at.
        return [b"0", []]
    options = scan_options(args, 3)

    store = zsets.of(db)
    if zsets.encoding(row) == b"listpack":
        following = 0
        records = [(entry[1], entry[0], entry[2]) for page in store.pages(row) for entry in page]
    else:
        following, records = read_page(lambda start, limit: store.page(row, start, limit), cursor, options.count)
    found = [
        word
        for member, key, zero in records
        if options.matches(member)
        for word in (member, format_double(scores.decode(key, zero)))
    ]
    return [b"%d" % following, found]
