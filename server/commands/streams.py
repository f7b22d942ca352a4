"""Streams: add entries, read ranges, delete. Reading on is in stream_reads.py, groups are in stream_groups.py."""

from __future__ import annotations

from dataclasses import dataclass

from protocol.errors import CommandError, no_such_key, syntax_error, wrong_arity
from protocol.numbers import parse_integer
from protocol.replies import NULL_ARRAY, OK, Reply
from server.arguments import Args, integer
from server.keyspecs import Request, one_key
from server.registry import Is, command
from server.stream_arguments import entry_reply, find_stream, interval_end, interval_start, stream_id, valid_ids
from server.stream_trimming import Trim, TrimOptions, asked_trim, trims_many
from storage import streams
from storage.effects import EventClass
from storage.key_rows import Type
from storage.keyspace import Keyspace
from storage.stream_entries import entries_of
from storage.streams import LAST, MAX_PART, NODE, ZERO, Id, StreamState, following, state_of, written

#: Redis refuses entries that are longer.
_LONGEST_ENTRY = 1 << 30
_FEW = 100

_TOO_SMALL = b"ERR The ID specified in XADD is equal or smaller than the target stream top item"


# -- XADD


@dataclass(slots=True)
class _Addition:
    """The arguments of XADD. `ms` None: any id; `seq` None: any with these milliseconds."""

    trim: Trim
    ms: int | None
    seq: int | None
    make: bool
    words: list[bytes]


def _addition(args: Args) -> _Addition:
    options = TrimOptions()
    make = True
    ms: int | None = None
    seq: int | None = None
    position = 2
    while position < len(args):
        behind = options.take(args, position)
        if behind == position:
            word = args[position]
            position += 1
            if word.upper() == b"NOMKSTREAM":
                make = False
                continue
            if word != b"*":
                ms, seq = _wanted_id(word)
            break
        position = behind
    trim = options.made(required=False)
    words = args[position:]
    if len(words) < 2 or len(words) % 2:
        raise wrong_arity(b"xadd")
    if (ms, seq) == ZERO:
        raise CommandError(b"ERR The ID specified in XADD must be greater than 0-0")
    if sum(map(len, words)) > _LONGEST_ENTRY:
        raise CommandError(b"ERR Elements are too large to be stored")
    return _Addition(trim, ms, seq, make, words)


def _wanted_id(word: bytes) -> tuple[int, int | None]:
    if word.endswith(b"-*") and b"-" not in word[:-2]:
        ms, _ = stream_id(word[:-2])
        return ms, None
    return stream_id(word)


def _next_id(state: StreamState, addition: _Addition, now_ms: int) -> Id:
    """The id of the entry to add. CommandError if it can not be behind the last one."""
    last = state.last
    if last == LAST:
        raise CommandError(b"ERR The stream has exhausted the last possible ID, unable to add more items")
    ms, seq = addition.ms, addition.seq
    if ms is None:
        return (now_ms, 0) if now_ms > last[0] else following(last) or LAST
    if seq is None:
        if ms == last[0] and last[1] == MAX_PART:
            raise CommandError(_TOO_SMALL)
        seq = last[1] + 1 if ms == last[0] else 0
    if (ms, seq) <= last:
        raise CommandError(_TOO_SMALL)
    return ms, seq


def _want_trimmed(db: Keyspace, request: Request) -> None:
    """Have the first ids at hand where each XADD deletes as many as it adds, or looks whether the first are too old."""
    word, by_nodes, value = asked_trim(request)
    row = db.peek(request[1], Type.STREAM) if word else None
    if row is None:
        return
    if word == b"MINID":
        entries_of(db.attempt).want_head(row, 1, least=NODE)
    elif by_nodes != b"~":
        try:
            excess = row.size + 1 - parse_integer(value)
        except ValueError:
            return
        entries_of(db.attempt).want_head(row, min(max(1, excess), NODE))


@command("XADD", arity=-5, flags=Is.WRITE | Is.DENYOOM | Is.FAST, group="stream", since="5.0.0", values=False,
         keys=one_key("RW update", "It may also trim what is there"), tips=("nondeterministic_output",),
         wants=_want_trimmed, reads=trims_many, complexity="O(1), and O(N) with N entries that are trimmed",
         syntax="key [NOMKSTREAM] [<MAXLEN | MINID> [= | ~] threshold [LIMIT count]] <* | id> field value "
                "[field value ...]")
def xadd(db: Keyspace, args: Args) -> Reply:
    """Add an entry to the end of a stream; the stream is made if there is none."""
    addition = _addition(args)
    row = find_stream(db, args[1])
    if row is None and not addition.make:
        return None
    number = _next_id(StreamState() if row is None else state_of(row), addition, db.now_ms)

    if row is None:
        row = streams.create(db, args[1])
    entries_of(db.attempt).append(row, number, addition.words)
    trimmed = addition.trim.apply(db, row)
    db.touch(row)
    db.notify(EventClass.STREAM, b"xadd", args[1])
    if trimmed:
        db.notify(EventClass.STREAM, b"xtrim", args[1])
    return written(number)


@command("XTRIM", arity=-4, flags=Is.WRITE, keys=one_key("RW delete"), group="stream", since="5.0.0", values=False,
         wants=_want_trimmed, reads=trims_many, tips=("nondeterministic_output",),
         complexity="O(N) with N entries that are deleted",
         syntax="key <MAXLEN | MINID> [= | ~] threshold [LIMIT count]")
def xtrim(db: Keyspace, args: Args) -> Reply:
    """Delete the first entries of a stream."""
    options = TrimOptions()
    position = 2
    while position < len(args):
        behind = options.take(args, position)
        if behind == position:
            raise syntax_error()
        position = behind
    trim = options.made(required=True)

    row = find_stream(db, args[1])
    if row is None:
        return 0
    deleted = trim.apply(db, row)
    if deleted:
        db.touch(row)
        db.notify(EventClass.STREAM, b"xtrim", args[1])
    return deleted


# -- reading and deleting


@command("XLEN", arity=2, flags=Is.READONLY | Is.FAST, keys=one_key("RO"), group="stream", since="5.0.0",
         values=False, syntax="key")
def xlen(db: Keyspace, args: Args) -> Reply:
    """Count the entries of a stream."""
    row = find_stream(db, args[1])
    return 0 if row is None else row.size


def _count_of(request: Request) -> int | None:
    """The COUNT of a range that nobody has judged yet."""
    if len(request) == 6 and request[4].upper() == b"COUNT":
        try:
            return max(0, parse_integer(request[5]))
        except ValueError:
            return 0
    return None


def _ranges_over(request: Request, size: int) -> int:
    count = _count_of(request)
    if count is None:
        # One entry by its id is a common request.
        return 1 if request[2] == request[3] and b"-" in request[2][1:] else size
    return min(count, size)


def _want_range(db: Keyspace, request: Request) -> None:
    row, count = db.peek(request[1], Type.STREAM), _count_of(request)
    if row is None or not (count is None or count <= _FEW):
        return
    try:
        start, end = interval_start(request[2]), interval_end(request[3])
    except CommandError:
        return
    if start == end:
        entries_of(db.attempt).want_ids(row, (start,))
    elif count is not None:
        entries_of(db.attempt).want(row, start, count)


def _range(db: Keyspace, args: Args, first: bytes, last: bytes, *, reverse: bool) -> Reply:
    start, end = interval_start(first), interval_end(last)
    count: int | None = None
    for position in range(4, len(args), 2):
        if args[position].upper() != b"COUNT" or position + 1 == len(args):
            raise syntax_error()
        count = max(0, integer(args[position + 1]))

    row = find_stream(db, args[1])
    if row is None:
        return []
    if count == 0:
        return NULL_ARRAY
    entries = entries_of(db.attempt)
    if start == end:
        found = [entry for entry in entries.get_many(row, (start,)) if entry is not None]
    else:
        found = (entries.reverse if reverse else entries.range)(row, start, end, count)
    return [entry_reply(entries, entry) for entry in found]


@command("XRANGE", arity=-4, flags=Is.READONLY, keys=one_key("RO access"), group="stream", since="5.0.0",
         values=False, wants=_want_range, reads=_ranges_over, complexity="O(N) with N entries returned",
         syntax="key start end [COUNT count]")
def xrange(db: Keyspace, args: Args) -> Reply:
    """Give the entries of a stream between two ids."""
    return _range(db, args, args[2], args[3], reverse=False)


def _want_last(db: Keyspace, request: Request) -> None:
    row, count = db.peek(request[1], Type.STREAM), _count_of(request)
    if row is not None and request[2] == b"+" and count is not None and count <= _FEW:
        entries_of(db.attempt).want_last(row, count)


@command("XREVRANGE", arity=-4, flags=Is.READONLY, keys=one_key("RO access"), group="stream", since="5.0.0",
         values=False, wants=_want_last, reads=_ranges_over, complexity="O(N) with N entries returned",
         syntax="key end start [COUNT count]")
def xrevrange(db: Keyspace, args: Args) -> Reply:
    """Give the entries of a stream between two ids, the last one first."""
    return _range(db, args, args[3], args[2], reverse=True)


def _want_deleted(db: Keyspace, request: Request) -> None:
    row = db.peek(request[1], Type.STREAM)
    if row is not None:
        entries_of(db.attempt).want_ids(row, valid_ids(request[2:]))


@command("XDEL", arity=-3, flags=Is.WRITE | Is.FAST, keys=one_key("RW delete"), group="stream", since="5.0.0",
         values=False, wants=_want_deleted, complexity="O(1) for each id", syntax="key id [id ...]")
def xdel(db: Keyspace, args: Args) -> Reply:
    """Delete entries of a stream by their ids."""
    row = find_stream(db, args[1])
    if row is None:
        return 0
    numbers = [stream_id(word) for word in args[2:]]

    deleted = entries_of(db.attempt).remove(row, numbers)
    if deleted:
        db.touch(row)
        db.notify(EventClass.STREAM, b"xdel", args[1])
    return deleted


@command("XSETID", arity=-3, flags=Is.WRITE | Is.DENYOOM | Is.FAST, keys=one_key("RW update"), group="stream",
         since="5.0.0", values=False,
         syntax="key last-id [ENTRIESADDED entries-added] [MAXDELETEDID max-deleted-id]")
def xsetid(db: Keyspace, args: Args) -> Reply:
    """Set the last id of a stream, and what it counts; for programs that copy streams."""
    last = stream_id(args[2])
    added: int | None = None
    max_deleted = ZERO
    for position in range(3, len(args), 2):
        word = args[position].upper()
        if position + 1 == len(args) or word not in (b"ENTRIESADDED", b"MAXDELETEDID"):
            raise syntax_error()
        if word == b"ENTRIESADDED":
            added = integer(args[position + 1])
            if added < 0:
                raise CommandError(b"ERR entries_added must be positive")
        else:
            max_deleted = stream_id(args[position + 1])
            if max_deleted > last:
                raise CommandError(b"ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id")
    row = find_stream(db, args[1])
    if row is None:
        raise no_such_key()
    state = state_of(row)
    if last < state.max_deleted:
        raise CommandError(b"ERR The ID specified in XSETID is smaller than current max_deleted_entry_id")
    top = entries_of(db.attempt).reverse(row, ZERO, LAST, 1)
    if top and last < top[0][0]:
        raise CommandError(b"ERR The ID specified in XSETID is smaller than the target stream top item")
    if added is not None and row.size > added:
        raise CommandError(b"ERR The entries_added specified in XSETID is smaller than the target stream length")

    state.last = last
    if added is not None:
        state.added = added
    if max_deleted != ZERO:
        state.max_deleted = max_deleted
    db.touch(row)
    db.notify(EventClass.STREAM, b"xsetid", args[1])
    return OK
