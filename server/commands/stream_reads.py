"""XREAD and XREADGROUP: what follows an id in several streams, or what a consumer group was not given yet."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from protocol.errors import CommandError, syntax_error, timeout_negative, timeout_not_an_integer
from protocol.numbers import MAX_INTEGER, parse_integer
from protocol.replies import NULL_ARRAY, Keyed, Reply
from server.arguments import Args, integer
from server.keyspecs import KeysAfter, Request
from server.registry import Is, command
from server.session import Blocked
from server.stream_arguments import (
    consumer_seen,
    entry_reply,
    find_source_stream,
    find_stream,
    no_such_group,
    stream_id,
)
from storage.key_rows import KeyRow, Type
from storage.keyspace import Keyspace
from storage.stream_entries import MOST_WANTED, entries_of
from storage.stream_groups import Consumer, Group, groups_of
from storage.stream_pending import Delivery
from storage.streams import LAST, ZERO, Id, following, preceding, state_of, written

_HISTORY_OR_NEW = (
    b"ERR The %b ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by "
    b"specifying a proper ID, or use the > ID to get new messages. The %b ID would just return an empty result set."
)


@dataclass(slots=True)
class _Read:
    """The arguments of XREAD and XREADGROUP. `block_ms` None: not at all; `count` None: all."""

    group: bytes | None = None
    consumer: bytes = b""
    count: int | None = None
    block_ms: int | None = None
    no_ack: bool = False
    names: list[bytes] = field(default_factory=list)
    ids: list[bytes] = field(default_factory=list)


def _arguments(args: Args, now_ms: int, *, grouped: bool) -> _Read:
    """What stands in a request, except for the meaning of the ids. CommandError if it is not well formed."""
    read = _Read()
    position = 1
    while position < len(args):
        word, left = args[position].upper(), len(args) - position - 1
        if word == b"BLOCK" and left:
            read.block_ms = _block_ms(args[position + 1], now_ms)
        elif word == b"COUNT" and left:
            read.count = max(0, integer(args[position + 1])) or None
        elif word == b"STREAMS" and left:
            _streams(read, args[position + 1 :], grouped=grouped)
            break
        elif word == b"GROUP" and left > 1:
            if not grouped:
                raise _only_grouped(b"GROUP")
            read.group, read.consumer = args[position + 1 : position + 3]
            position += 1
        elif word == b"NOACK":
            if not grouped:
                raise _only_grouped(b"NOACK")
            read.no_ack = True
            position -= 1
        else:
            raise syntax_error()
        position += 2
    if not read.names:
        raise syntax_error()
    if grouped and read.group is None:
        raise CommandError(b"ERR Missing GROUP option for XREADGROUP")
    return read


def _streams(read: _Read, words: list[bytes], *, grouped: bool) -> None:
    if len(words) % 2:
        raise CommandError(
            b"ERR Unbalanced '%b' list of streams: for each stream key an ID or '%b' must be specified."
            % ((b"xreadgroup", b">") if grouped else (b"xread", b"$"))
        )
    half = len(words) // 2
    read.names, read.ids = words[:half], words[half:]


def _block_ms(data: bytes, now_ms: int) -> int:
    timeout = integer(data, timeout_not_an_integer().message)
    if timeout < 0:
        raise timeout_negative()
    if timeout + now_ms > MAX_INTEGER:
        raise CommandError(b"ERR timeout is out of range")
    return timeout


def _only_grouped(option: bytes) -> CommandError:
    return CommandError(b"ERR The %b option is only supported by XREADGROUP. You called XREAD instead." % option)


# -- before a command runs: nothing is judged here


def _streams_at(request: Request) -> int:
    """The position of the word STREAMS, or the end."""
    for position in range(1, len(request)):
        if request[position].upper() == b"STREAMS":
            return position
    return len(request)


def _option(request: Request, name: bytes) -> bytes | None:
    """What stands behind an option in front of STREAMS."""
    for position in range(1, _streams_at(request) - 1):
        if request[position].upper() == name:
            return request[position + 1]
    return None


def _may_block(request: Request) -> bool:
    return any(word.upper() == b"BLOCK" for word in request[1 : _streams_at(request)])


def _wanted_count(request: Request) -> int | None:
    try:
        return max(0, parse_integer(_option(request, b"COUNT") or b"0")) or None
    except ValueError:
        return None


def _reads(request: Request, size: int) -> int:
    """How many entries of a stream may be read. Without COUNT, readers that follow a stream are given few."""
    count = _wanted_count(request)
    if count is not None:
        return min(count, size)
    words = request[_streams_at(request) + 1 :]
    return size if any(word in (b"0", b"0-0") for word in words[len(words) // 2 :]) else 0


def _pairs(request: Request) -> list[tuple[bytes, bytes]]:
    words = request[_streams_at(request) + 1 :]
    half = len(words) // 2
    return list(zip(words[:half], words[half : 2 * half], strict=True))


def _want_behind(db: Keyspace, request: Request) -> None:
    count = _wanted_count(request)
    for name, word in _pairs(request):
        row = db.peek(name, Type.STREAM)
        if row is None or word == b"$":
            continue
        if word == b"+":
            entries_of(db.attempt).want(row, state_of(row).last, 1)
            continue
        try:
            start = following(stream_id(word))
        except CommandError:
            continue
        if start is not None:
            entries_of(db.attempt).want(row, start, min(count or row.size, MOST_WANTED))


def _want_new(db: Keyspace, request: Request) -> None:
    count = _wanted_count(request)
    at = next((position for position, word in enumerate(request[:-2]) if word.upper() == b"GROUP"), None)
    if at is None:
        return
    group, consumer = request[at + 1], request[at + 2]
    for name, word in _pairs(request):
        row = db.peek(name, Type.STREAM)
        if row is not None:
            reads = min(count or row.size, MOST_WANTED) if word == b">" else 0
            groups_of(db.attempt).want(row, group, consumer, reads=reads)


# -- XREAD


@command("XREAD", arity=-4, flags=Is.READONLY | Is.BLOCKING | Is.MOVABLEKEYS, group="stream", since="5.0.0",
         keys=(KeysAfter("STREAMS", 1, -1, 2, "RO access"),), values=False, wants=_want_behind, reads=_reads,
         blocks=_may_block, complexity="",
         syntax="[COUNT count] [BLOCK milliseconds] STREAMS key [key ...] id [id ...]")
def xread(db: Keyspace, args: Args) -> Reply | Blocked:
    """Give what follows an id in one or more streams, and wait for it if there is nothing."""
    read = _arguments(args, db.now_ms, grouped=False)
    rows: list[tuple[bytes, KeyRow | None, Id]] = []
    for name, word in zip(read.names, read.ids, strict=True):
        row = find_stream(db, name)
        rows.append((name, row, _behind(row, word)))

    entries = entries_of(db.attempt)
    found = []
    for name, row, behind in rows:
        if row is None:
            # Redis looks again, and tells of it again.
            db.find(name)
            continue
        start = following(behind)
        if start is not None and (some := entries.range(row, start, LAST, read.count)):
            found.append((name, [entry_reply(entries, entry) for entry in some]))
    if found:
        return Keyed(found)
    if read.block_ms is None:
        return NULL_ARRAY
    # It goes on from where it looked now, whatever $ would be by then.
    request = args[: -len(rows)] + [written(behind) for _, _, behind in rows]
    return Blocked(read.block_ms, NULL_ARRAY, request)


def _behind(row: KeyRow | None, word: bytes) -> Id:
    """The id behind which XREAD looks."""
    if word == b">":
        raise CommandError(
            b"ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option."
        )
    if word not in (b"$", b"+"):
        return stream_id(word)
    if row is None:
        return ZERO
    last = state_of(row).last
    return preceding(last) or ZERO if word == b"+" and row.size else last


# -- XREADGROUP


@command("XREADGROUP", arity=-7, flags=Is.WRITE | Is.BLOCKING | Is.MOVABLEKEYS, group="stream", since="5.0.0",
         keys=(KeysAfter("STREAMS", 4, -1, 2, "RO access"),), values=False, wants=_want_new, reads=_reads,
         blocks=_may_block, complexity="O(N) with N entries returned",
         syntax="GROUP group consumer [COUNT count] [BLOCK milliseconds] [NOACK] STREAMS key [key ...] id [id ...]")
def xreadgroup(db: Keyspace, args: Args) -> Reply | Blocked:
    """Give a consumer what its group was not given yet, or again what is pending for it."""
    read = _arguments(args, db.now_ms, grouped=True)
    name_of_group = read.group or b""
    groups = groups_of(db.attempt)
    rows: list[tuple[bytes, KeyRow, Id | None]] = []
    for name, word in zip(read.names, read.ids, strict=True):
        row = find_source_stream(db, name)
        if row is None or groups.get(row, name_of_group) is None:
            raise no_such_group(name, name_of_group, b" in XREADGROUP with GROUP option")
        if word in (b"$", b"+"):
            raise CommandError(_HISTORY_OR_NEW % (word, word))
        given = LAST if word == b">" else stream_id(word)
        # Nothing can follow the last of all ids, so Redis takes it for >.
        rows.append((name, row, None if given == LAST else given))

    found = []
    for name, row, behind in rows:
        # Asked for again, because a stream may be named twice.
        group = groups.get(row, name_of_group)
        assert group is not None
        consumer = consumer_seen(db, row, group, read.consumer)
        if behind is not None:
            found.append((name, _history(db, row, group, consumer, behind, read.count)))
        elif some := _new(db, row, group, consumer, read):
            found.append((name, some))
    if found:
        return Keyed(found)
    return NULL_ARRAY if read.block_ms is None else Blocked(read.block_ms, NULL_ARRAY)


def _new(db: Keyspace, row: KeyRow, group: Group, consumer: Consumer, read: _Read) -> list[Any]:
    """Entries that the group was not given yet; they are pending now, unless nobody is going to acknowledge them."""
    groups = groups_of(db.attempt)
    start = following(group.last)
    some = [] if start is None else groups.entries.range(row, start, LAST, read.count)
    if not some:
        return []
    numbers = [number for number, _, _ in some]
    behind = groups.advance(row, group, numbers)
    if not read.no_ack:
        # What is behind the last entry given was never given, unless the group was set back.
        again = groups.pending.get_many(group.key_id, numbers) if group.ahead else []
        for number in numbers:
            groups.pending.put(group.key_id, number, Delivery(consumer.consumer_id, db.now_ms, 1))
        behind = behind._replace(pending=group.pending + len(numbers) - len(again) + again.count(None))
        groups.active(group, consumer, db.now_ms)
    groups.put(row, behind)
    return [entry_reply(groups.entries, entry) for entry in some]


def _history(
    db: Keyspace, row: KeyRow, group: Group, consumer: Consumer, behind: Id, count: int | None
) -> list[Any]:
    """Entries that are pending for a consumer, and given to it once more; of those deleted meanwhile only the ids."""
    groups = groups_of(db.attempt)
    start = following(behind)
    if start is None or not group.pending:
        return []
    some = groups.pending.range(
        group.key_id, start, LAST, min(count or group.pending, group.pending), consumer_id=consumer.consumer_id
    )
    reply: list[Any] = []
    entries = groups.entries.get_many(row, [number for number, _ in some])
    for (number, delivery), entry in zip(some, entries, strict=True):
        if entry is None:
            reply.append([written(number), NULL_ARRAY])
            continue
        reply.append(entry_reply(groups.entries, entry))
        given = delivery._replace(delivered_at=db.now_ms, deliveries=delivery.deliveries + 1)
        groups.pending.put(group.key_id, number, given)
    return reply
