"""Consumer groups of streams: make and change them, acknowledge, look at what is pending."""

from __future__ import annotations

from dataclasses import dataclass

from protocol.errors import CommandError, syntax_error
from protocol.replies import NULL_ARRAY, OK, Reply, Simple
from server.arguments import Args, integer
from server.keyspecs import Keys, Request, one_key
from server.registry import Is, command, container
from server.session import Session
from server.stream_arguments import (
    consumer_seen,
    find_source_stream,
    find_stream,
    interval_end,
    interval_start,
    no_such_group,
    no_such_group_of_key,
    stream_id,
    valid_ids,
)
from storage import streams
from storage.effects import EventClass
from storage.key_rows import KeyRow, Type
from storage.keyspace import Keyspace
from storage.stream_groups import Group, groups_of
from storage.streams import ZERO, Id, state_of, written

container("XGROUP", group="stream", since="5.0.0", summary="Manage consumer groups of streams")

_INSERTS = (Keys(2, 2, 1, "RW insert"),)
_DELETES = (Keys(2, 2, 1, "RW delete"),)
_UPDATES = (Keys(2, 2, 1, "RW update"),)


def _want_group(db: Keyspace, request: Request) -> None:
    """For XGROUP: the group, and the consumer if the request names one."""
    row = db.peek(request[2], Type.STREAM)
    if row is not None:
        named = request[1].upper() in (b"CREATECONSUMER", b"DELCONSUMER")
        groups_of(db.attempt).want(row, request[3], request[4] if named else None)


def _stream(db: Keyspace, args: Args) -> KeyRow:
    """The stream that XGROUP names."""
    row = find_stream(db, args[2])
    if row is None:
        raise CommandError(
            b"ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the "
            b"MKSTREAM option to create an empty stream automatically."
        )
    return row


def _group(db: Keyspace, args: Args) -> tuple[KeyRow, Group]:
    """The stream and the group that XGROUP names."""
    row = _stream(db, args)
    group = groups_of(db.attempt).get(row, args[3])
    if group is None:
        raise no_such_group_of_key(args[2], args[3])
    return row, group


@dataclass(slots=True)
class _Options:
    make: bool = False
    entries_read: int | None = None


def _options(args: Args, *, may_make: bool) -> _Options:
    """MKSTREAM and ENTRIESREAD, from the fifth argument on."""
    options = _Options()
    position = 5
    while position < len(args):
        word = args[position].upper()
        if word == b"MKSTREAM" and may_make:
            options.make = True
            position += 1
        elif word == b"ENTRIESREAD" and position + 1 < len(args):
            read = integer(args[position + 1])
            if read < -1:
                raise CommandError(b"ERR value for ENTRIESREAD must be positive or -1")
            options.entries_read = None if read == -1 else read
            position += 2
        else:
            raise CommandError(
                b"ERR unknown subcommand or wrong number of arguments for '%b'. Try XGROUP HELP." % args[1]
            )
    return options


def _last_delivered(word: bytes, row: KeyRow | None) -> Id:
    """The id that a group starts behind; $ is the last one of the stream."""
    if word != b"$":
        return stream_id(word)
    return ZERO if row is None else state_of(row).last


@command("XGROUP CREATE", arity=-5, flags=Is.WRITE | Is.DENYOOM, keys=_INSERTS, group="stream", since="5.0.0",
         values=False, wants=_want_group, syntax="key group <id | $> [MKSTREAM] [ENTRIESREAD entries-read]")
def xgroup_create(db: Keyspace, args: Args) -> Reply:
    """Make a consumer group."""
    options = _options(args, may_make=True)
    row = find_stream(db, args[2]) if options.make else _stream(db, args)
    last = _last_delivered(args[4], row)
    groups = groups_of(db.attempt)
    if row is not None and groups.get(row, args[3]) is not None:
        raise CommandError(b"BUSYGROUP Consumer Group name already exists")

    if row is None:
        row = streams.create(db, args[2])
    groups.create(row, args[3], last, options.entries_read)
    db.notify(EventClass.STREAM, b"xgroup-create", args[2])
    return OK


@command("XGROUP SETID", arity=-5, flags=Is.WRITE, keys=_UPDATES, group="stream", since="5.0.0", values=False,
         wants=_want_group, syntax="key group <id | $> [ENTRIESREAD entries-read]")
def xgroup_setid(db: Keyspace, args: Args) -> Reply:
    """Set which entry a group was given last."""
    options = _options(args, may_make=False)
    row, group = _group(db, args)
    last = _last_delivered(args[4], row)

    ahead = 1 if group.ahead or (last < group.last and group.pending) else 0
    groups_of(db.attempt).put(
        row, group._replace(last_ms=last[0], last_seq=last[1], entries_read=options.entries_read, ahead=ahead)
    )
    db.notify(EventClass.STREAM, b"xgroup-setid", args[2])
    return OK


@command("XGROUP DESTROY", arity=4, flags=Is.WRITE, keys=_DELETES, group="stream", since="5.0.0", values=False,
         wants=_want_group, syntax="key group")
def xgroup_destroy(db: Keyspace, args: Args) -> Reply:
    """Delete a consumer group."""
    row = _stream(db, args)
    groups = groups_of(db.attempt)
    group = groups.get(row, args[3])
    if group is None:
        return 0
    groups.destroy(row, group)
    # Whoever waits for entries of this group must hear that it is gone.
    db.touch(row)
    db.notify(EventClass.STREAM, b"xgroup-destroy", args[2])
    return 1


@command("XGROUP CREATECONSUMER", arity=5, flags=Is.WRITE | Is.DENYOOM, keys=_INSERTS, group="stream", since="6.2.0",
         values=False, wants=_want_group, syntax="key group consumer")
def xgroup_createconsumer(db: Keyspace, args: Args) -> Reply:
    """Make a consumer in a group."""
    row, group = _group(db, args)
    if groups_of(db.attempt).consumer(group, args[4]) is not None:
        return 0
    consumer_seen(db, row, group, args[4])
    return 1


@command("XGROUP DELCONSUMER", arity=5, flags=Is.WRITE, keys=_DELETES, group="stream", since="5.0.0", values=False,
         wants=_want_group, complexity="O(N) with N entries pending for the consumer", syntax="key group consumer")
def xgroup_delconsumer(db: Keyspace, args: Args) -> Reply:
    """Delete a consumer of a group, and what is pending for it."""
    row, group = _group(db, args)
    groups = groups_of(db.attempt)
    consumer = groups.consumer(group, args[4])
    if consumer is None:
        return 0
    pending = groups.delete_consumer(row, group, consumer)
    db.notify(EventClass.STREAM, b"xgroup-delconsumer", args[2])
    return pending


_HELP = [
    Simple(line)
    for line in (
        b"XGROUP <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        b"CREATE <key> <group> <id|$> [MKSTREAM] [ENTRIESREAD <entries-read>]",
        b"    Make a consumer group that is given what follows an id. MKSTREAM makes the",
        b"    stream too, ENTRIESREAD sets how many entries the group has read.",
        b"CREATECONSUMER <key> <group> <consumer>",
        b"    Make a consumer.",
        b"DELCONSUMER <key> <group> <consumer>",
        b"    Delete a consumer, and what is pending for it.",
        b"DESTROY <key> <group>",
        b"    Delete a group.",
        b"SETID <key> <group> <id|$> [ENTRIESREAD <entries-read>]",
        b"    Set which entry a group was given last.",
        b"HELP",
        b"    Print this help.",
    )
]


@command("XGROUP HELP", arity=2, flags=Is.LOADING | Is.STALE, group="stream", since="5.0.0", cuts=False,
         categories=("stream",))
def xgroup_help(session: Session, args: Args) -> Reply:
    """Say what XGROUP can do."""
    return _HELP


# -- what is pending


def _want_acknowledged(db: Keyspace, request: Request) -> None:
    row = db.peek(request[1], Type.STREAM)
    if row is not None:
        groups_of(db.attempt).want(row, request[2], pending=valid_ids(request[3:]))


@command("XACK", arity=-4, flags=Is.WRITE | Is.FAST, keys=one_key("RW update"), group="stream", since="5.0.0",
         values=False, wants=_want_acknowledged, complexity="O(1) for each id", syntax="key group id [id ...]")
def xack(db: Keyspace, args: Args) -> Reply:
    """Acknowledge entries: they are not pending any more."""
    row = find_source_stream(db, args[1])
    groups = groups_of(db.attempt)
    group = groups.get(row, args[2]) if row is not None else None
    if row is None or group is None:
        return 0
    numbers = list(dict.fromkeys([stream_id(word) for word in args[3:]]))

    count = 0
    for number, delivery in zip(numbers, groups.pending.get_many(group.key_id, numbers), strict=True):
        if delivery is not None:
            groups.pending.remove(group.key_id, number)
            count += 1
    if count:
        groups.put(row, group._replace(pending=group.pending - count))
    return count


def _want_pending(db: Keyspace, request: Request) -> None:
    row = db.peek(request[1], Type.STREAM)
    if row is not None:
        groups_of(db.attempt).want(row, request[2])


@dataclass(slots=True)
class _Pending:
    """What of the pending entries XPENDING is asked for."""

    start: Id
    end: Id
    count: int
    idle_ms: int
    consumer: bytes | None


def _pending(args: Args) -> _Pending | None:
    """The range that XPENDING is asked for, None for the summary."""
    if len(args) == 3:
        return None
    if not 6 <= len(args) <= 9:
        raise syntax_error()
    at, idle_ms = 3, 0
    if args[3].upper() == b"IDLE":
        idle_ms = integer(args[4])
        if len(args) < 8:
            raise syntax_error()
        at = 5
    count = max(0, integer(args[at + 2]))
    start, end = interval_start(args[at]), interval_end(args[at + 1])
    return _Pending(start, end, count, idle_ms, args[at + 3] if len(args) > at + 3 else None)


@command("XPENDING", arity=-3, flags=Is.READONLY, keys=one_key("RO access"), group="stream", since="5.0.0",
         values=False, wants=_want_pending, tips=("nondeterministic_output",),
         complexity="O(N) with N entries returned or, for the summary, pending",
         syntax="key group [[IDLE min-idle-time] start end count [consumer]]")
def xpending(db: Keyspace, args: Args) -> Reply:
    """Tell which entries are pending, for whom and for how long."""
    asked = _pending(args)
    row = find_stream(db, args[1])
    group = groups_of(db.attempt).get(row, args[2]) if row is not None else None
    if group is None:
        raise no_such_group(args[1], args[2])

    return _summary(db, group) if asked is None else _deliveries(db, group, asked)


def _summary(db: Keyspace, group: Group) -> Reply:
    groups = groups_of(db.attempt)
    if not group.pending:
        return [0, None, None, NULL_ARRAY]
    # All in the trip that reads the first page of consumers.
    ends = groups.pending.defer_ends(group.key_id)
    counts = groups.pending.defer_counts(group.key_id)
    every = groups.consumers(group)
    consumers = [
        [consumer.name, b"%d" % counts[consumer.consumer_id]] for consumer in every if consumer.consumer_id in counts
    ]
    first, last = ends
    return [group.pending, written(first), written(last), consumers]


def _deliveries(db: Keyspace, group: Group, asked: _Pending) -> Reply:
    groups = groups_of(db.attempt)
    consumer_id: int | None = None
    if asked.consumer is not None:
        consumer = groups.consumer(group, asked.consumer)
        if consumer is None:
            return []
        consumer_id = consumer.consumer_id
    limit = min(asked.count, group.pending)
    if not limit:
        return []
    if asked.idle_ms > 0:
        found = groups.pending.range(
            group.key_id, asked.start, asked.end, limit,
            consumer_id=consumer_id, delivered_until=db.now_ms - asked.idle_ms,
        )  # fmt: skip
    else:
        found = groups.pending.range(group.key_id, asked.start, asked.end, limit, consumer_id=consumer_id)
    if not found:
        return []
    names = {consumer.consumer_id: consumer.name for consumer in groups.consumers(group)}
    return [
        [written(number), names[delivery.consumer_id], max(0, db.now_ms - delivery.delivered_at), delivery.deliveries]
        for number, delivery in found
    ]
