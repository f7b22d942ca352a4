"""XINFO: what there is to know of a stream, its groups and their consumers."""

from __future__ import annotations

from typing import Any

from protocol.errors import CommandError, no_such_key
from protocol.numbers import parse_integer
from protocol.replies import Map, Reply, Simple
from server.arguments import Args, integer
from server.keyspecs import Keys, Request
from server.registry import Is, command, container
from server.session import Session
from server.stream_arguments import entry_reply, find_stream, no_such_group_of_key
from storage.key_rows import KeyRow, Type
from storage.keyspace import Keyspace
from storage.stream_entries import entries_of
from storage.stream_groups import Consumer, Group, groups_of
from storage.stream_windows import Entry
from storage.streams import LAST, NODE, ZERO, state_of, written

container("XINFO", group="stream", since="5.0.0", summary="Look at streams and consumer groups")

_KEYS = (Keys(2, 2, 1, "RO access"),)
#: Entries, pending ones too, that XINFO STREAM FULL shows unless COUNT says something else.
_USUAL_COUNT = 10


def _stream(db: Keyspace, args: Args) -> KeyRow:
    row = find_stream(db, args[2])
    if row is None:
        raise no_such_key()
    return row


def _full_reads(request: Request, size: int) -> int:
    if len(request) != 6:
        return 0
    try:
        return min(parse_integer(request[5]) or size, size)
    except ValueError:
        return 0


@command("XINFO STREAM", arity=-3, flags=Is.READONLY, keys=_KEYS, group="stream", since="5.0.0", values=False,
         reads=_full_reads, complexity="O(1), and O(N) with N entries shown", syntax="key [FULL [COUNT count]]")
def xinfo_stream(db: Keyspace, args: Args) -> Reply:
    """Describe a stream."""
    row = _stream(db, args)
    if len(args) == 3:
        return Map([*_about(db, row), *_brief(db, row)])
    if len(args) not in (4, 6) or args[3].upper() != b"FULL" or (len(args) == 6 and args[4].upper() != b"COUNT"):
        raise CommandError(b"ERR unknown subcommand or wrong number of arguments for '%b'. Try XINFO HELP." % args[1])
    count = integer(args[5]) if len(args) == 6 else _USUAL_COUNT
    if count < 0:
        count = _USUAL_COUNT

    return Map([*_about(db, row), *_full(db, row, count or None)])


def _about(db: Keyspace, row: KeyRow) -> list[tuple[bytes, Any]]:
    state = state_of(row)
    # How Redis would hold the entries if all were short; ours are rows.
    nodes = -(-(row.size + state.head_gone) // NODE) if row.size else 0
    return [
        (b"length", row.size),
        (b"radix-tree-keys", nodes),
        (b"radix-tree-nodes", nodes + 1),
        (b"last-generated-id", written(state.last)),
        (b"max-deleted-entry-id", written(state.max_deleted)),
        (b"entries-added", state.added),
        (b"recorded-first-entry-id", written(entries_of(db.attempt).first_id(row))),
    ]


def _brief(db: Keyspace, row: KeyRow) -> list[tuple[bytes, Any]]:
    entries = entries_of(db.attempt)

    def shown(found: list[Entry]) -> list[object] | None:
        return entry_reply(entries, found[0]) if found else None

    return [
        (b"groups", groups_of(db.attempt).count(row)),
        (b"first-entry", shown(entries.range(row, ZERO, LAST, 1))),
        (b"last-entry", shown(entries.reverse(row, ZERO, LAST, 1))),
    ]


def _full(db: Keyspace, row: KeyRow, count: int | None) -> list[tuple[bytes, Any]]:
    entries, groups = entries_of(db.attempt), groups_of(db.attempt)
    return [
        (b"entries", [entry_reply(entries, entry) for entry in entries.range(row, ZERO, LAST, count)]),
        (b"groups", [_full_group(db, row, group, count) for group in groups.every(row)]),
    ]


def _full_group(db: Keyspace, row: KeyRow, group: Group, count: int | None) -> Map:
    groups = groups_of(db.attempt)
    counts = groups.pending.defer_counts(group.key_id) if group.pending else {}
    consumers = groups.consumers(group)
    names = {consumer.consumer_id: consumer.name for consumer in consumers}
    limit = group.pending if count is None else min(count, group.pending)
    pending = groups.pending.range(group.key_id, ZERO, LAST, limit)
    return Map([
        (b"name", group.name),
        (b"last-delivered-id", written(group.last)),
        (b"entries-read", group.entries_read),
        (b"lag", groups.lag(row, group)),
        (b"pel-count", group.pending),
        (b"pending", [[written(number), names[one.consumer_id], one.delivered_at, one.deliveries]
                      for number, one in pending]),
        (b"consumers", [_full_consumer(db, group, consumer, counts.get(consumer.consumer_id, 0), count)
                        for consumer in consumers]),
    ])  # fmt: skip


def _full_consumer(db: Keyspace, group: Group, consumer: Consumer, pending: int, count: int | None) -> Map:
    limit = pending if count is None else min(count, pending)
    found = groups_of(db.attempt).pending.range(
        group.key_id, ZERO, LAST, limit, consumer_id=consumer.consumer_id
    )  # fmt: skip
    return Map([
        (b"name", consumer.name),
        (b"seen-time", consumer.seen_at),
        (b"active-time", -1 if consumer.active_at is None else consumer.active_at),
        (b"pel-count", pending),
        (b"pending", [[written(number), one.delivered_at, one.deliveries] for number, one in found]),
    ])  # fmt: skip


@command("XINFO GROUPS", arity=3, flags=Is.READONLY, keys=_KEYS, group="stream", since="5.0.0", values=False,
         reads=lambda request, size: 0, complexity="O(N) with N groups", syntax="key")
def xinfo_groups(db: Keyspace, args: Args) -> Reply:
    """Describe the consumer groups of a stream."""
    row = _stream(db, args)
    groups = groups_of(db.attempt)
    consumers = groups.defer_consumer_counts(row)
    every = groups.every(row)
    return [
        Map([
            (b"name", group.name),
            (b"consumers", consumers.get(group.key_id, 0)),
            (b"pending", group.pending),
            (b"last-delivered-id", written(group.last)),
            (b"entries-read", group.entries_read),
            (b"lag", groups.lag(row, group)),
        ])
        for group in every
    ]  # fmt: skip


def _want_group(db: Keyspace, request: Request) -> None:
    row = db.peek(request[2], Type.STREAM)
    if row is not None:
        groups_of(db.attempt).want(row, request[3])


@command("XINFO CONSUMERS", arity=4, flags=Is.READONLY, keys=_KEYS, group="stream", since="5.0.0", values=False,
         wants=_want_group, tips=("nondeterministic_output",), complexity="O(N) with N consumers and pending entries",
         syntax="key group")
def xinfo_consumers(db: Keyspace, args: Args) -> Reply:
    """Describe the consumers of a group."""
    row = _stream(db, args)
    groups = groups_of(db.attempt)
    group = groups.get(row, args[3])
    if group is None:
        raise no_such_group_of_key(args[2], args[3])

    # Together with the first page of consumers.
    counts = groups.pending.defer_counts(group.key_id) if group.pending else {}
    return [
        Map([
            (b"name", consumer.name),
            (b"pending", counts.get(consumer.consumer_id, 0)),
            (b"idle", max(0, db.now_ms - consumer.seen_at)),
            (b"inactive", -1 if consumer.active_at is None else max(0, db.now_ms - consumer.active_at)),
        ])
        for consumer in groups.consumers(group)
    ]  # fmt: skip


_HELP = [
    Simple(line)
    for line in (
        b"XINFO <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        b"CONSUMERS <key> <group>",
        b"    Describe the consumers of a group.",
        b"GROUPS <key>",
        b"    Describe the consumer groups of a stream.",
        b"STREAM <key> [FULL [COUNT <count>]]",
        b"    Describe a stream.",
        b"HELP",
        b"    Print this help.",
    )
]


@command("XINFO HELP", arity=2, flags=Is.LOADING | Is.STALE, group="stream", since="5.0.0", cuts=False,
         categories=("stream",))
def xinfo_help(session: Session, args: Args) -> Reply:
    """Say what XINFO can do."""
    return _HELP
