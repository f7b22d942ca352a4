"""XCLAIM and XAUTOCLAIM: give pending entries to another consumer of the group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from protocol.errors import CommandError, syntax_error
from protocol.numbers import MAX_INTEGER
from protocol.replies import Reply
from server.arguments import Args, integer, integer_in
from server.keyspecs import Request, one_key
from server.registry import Is, command
from server.stream_arguments import (
    consumer_seen,
    entry_reply,
    find_source_stream,
    interval_start,
    no_such_group,
    shown,
    stream_id,
    valid_ids,
)
from storage.key_rows import KeyRow, Type
from storage.keyspace import Keyspace
from storage.stream_groups import Consumer, Group, groups_of
from storage.stream_pending import Delivery
from storage.stream_windows import Entry
from storage.streams import ZERO, Id, written

#: XAUTOCLAIM looks at so many pending entries for each that it was asked for.
_LOOKS = 10
_USUAL_COUNT = 100
_MOST = MAX_INTEGER // 16


def _idle_ms(args: Args, name: bytes) -> int:
    return max(0, integer(args[4], b"ERR Invalid min-idle-time argument for " + name))


def _group_of(db: Keyspace, args: Args) -> tuple[KeyRow, Group]:
    row = find_source_stream(db, args[1])
    group = groups_of(db.attempt).get(row, args[2]) if row is not None else None
    if row is None or group is None:
        raise no_such_group(args[1], args[2])
    return row, group


class _Claiming:
    """Claims for one consumer, one pending entry after the other; `finish` writes what the group counts."""

    def __init__(self, db: Keyspace, row: KeyRow, group: Group, name: bytes, *, just_ids: bool) -> None:
        self._db = db
        self._row = row
        self.group = group
        self._groups = groups_of(db.attempt)
        self._consumer: Consumer = consumer_seen(db, row, group, name)
        self._just_ids = just_ids
        self._lost = 0
        self._forced = 0
        self.reply: list[Any] = []

    def is_idle(self, delivery: Delivery, idle_ms: int) -> bool:
        """Whether an entry is pending for long enough."""
        return self._db.now_ms - delivery.delivered_at >= idle_ms

    def force(self, number: Id) -> Delivery:
        """Have an entry pending that was not."""
        if number > self.group.last:
            self.group = self.group._replace(ahead=1)
        self._forced += 1
        return Delivery(self._consumer.consumer_id, self._db.now_ms, 1)

    def give_up(self, number: Id) -> None:
        """An entry was deleted from the stream, so it is not pending any more."""
        self._groups.pending.remove(self.group.key_id, number)
        self._lost += 1

    def take(self, entry: Entry, delivery: Delivery, delivered_at: int, deliveries: int | None = None) -> None:
        """Give an entry to the consumer; `deliveries` None: it is given once more, unless only its id is."""
        if deliveries is None:
            deliveries = delivery.deliveries + (0 if self._just_ids else 1)
        given = Delivery(self._consumer.consumer_id, delivered_at, deliveries)
        self._groups.pending.put(self.group.key_id, entry[0], given)
        self.reply.append(written(entry[0]) if self._just_ids else entry_reply(self._groups.entries, entry))

    def finish(self) -> None:
        group = self.group._replace(pending=self.group.pending + self._forced - self._lost)
        if group != self._groups.get(self._row, group.name):
            self._groups.put(self._row, group)
        if self.reply:
            self._groups.active(group, self._consumer, self._db.now_ms)


# -- XCLAIM


@dataclass(slots=True)
class _Claim:
    """The arguments of XCLAIM behind the consumer."""

    numbers: list[Id]
    idle_ms: int
    delivered_at: int
    deliveries: int | None = None
    force: bool = False
    just_ids: bool = False
    last: Id = ZERO


def _claim(args: Args, now_ms: int) -> _Claim:
    idle_ms = _idle_ms(args, b"XCLAIM")
    claim = _Claim(valid_ids(args[5:]), idle_ms, now_ms)
    position = 5 + len(claim.numbers)
    while position < len(args):
        word, left = args[position].upper(), len(args) - position - 1
        position += 1
        if word == b"FORCE":
            claim.force = True
        elif word == b"JUSTID":
            claim.just_ids = True
        elif word in (b"IDLE", b"TIME", b"RETRYCOUNT") and left:
            value = integer(args[position], b"ERR Invalid %b option argument for XCLAIM" % word)
            position += 1
            if word == b"RETRYCOUNT":
                claim.deliveries = value if value >= 0 else None
            else:
                claim.delivered_at = now_ms - value if word == b"IDLE" else value
        elif word == b"LASTID" and left:
            claim.last = stream_id(args[position])
            position += 1
        else:
            raise CommandError(b"ERR Unrecognized XCLAIM option '%b'" % shown(args[position - 1]))
    if not 0 <= claim.delivered_at <= now_ms:
        claim.delivered_at = now_ms
    return claim


def _want_claimed(db: Keyspace, request: Request) -> None:
    row = db.peek(request[1], Type.STREAM)
    if row is not None:
        groups_of(db.attempt).want(row, request[2], request[3], pending=valid_ids(request[5:]), entries=True)


@command("XCLAIM", arity=-6, flags=Is.WRITE | Is.FAST, keys=one_key("RW update"), group="stream", since="5.0.0",
         values=False, wants=_want_claimed, tips=("nondeterministic_output",), complexity="O(1) for each id",
         syntax="key group consumer min-idle-time id [id ...] [IDLE milliseconds] [TIME unix-time-milliseconds] "
                "[RETRYCOUNT count] [FORCE] [JUSTID] [LASTID lastid]")
def xclaim(db: Keyspace, args: Args) -> Reply:
    """Give pending entries, by their ids, to another consumer."""
    row, group = _group_of(db, args)
    claim = _claim(args, db.now_ms)

    groups = groups_of(db.attempt)
    if claim.last > group.last:
        group = group._replace(last_ms=claim.last[0], last_seq=claim.last[1])
    claiming = _Claiming(db, row, group, args[3], just_ids=claim.just_ids)
    entries = groups.entries.get_many(row, claim.numbers)
    groups.pending.get_many(group.key_id, claim.numbers)
    for number, entry in zip(claim.numbers, entries, strict=True):
        # One by one: an id may come twice.
        (delivery,) = groups.pending.get_many(group.key_id, (number,))
        if entry is None:
            if delivery is not None:
                claiming.give_up(number)
        elif delivery is not None:
            if claiming.is_idle(delivery, claim.idle_ms):
                claiming.take(entry, delivery, claim.delivered_at, claim.deliveries)
        elif claim.force:
            claiming.take(entry, claiming.force(number), claim.delivered_at, claim.deliveries)
    claiming.finish()
    return claiming.reply


# -- XAUTOCLAIM


def _want_consumer(db: Keyspace, request: Request) -> None:
    row = db.peek(request[1], Type.STREAM)
    if row is not None:
        groups_of(db.attempt).want(row, request[2], request[3])


@command("XAUTOCLAIM", arity=-6, flags=Is.WRITE | Is.FAST, keys=one_key("RW delete"), group="stream", since="6.2.0",
         values=False, wants=_want_consumer, tips=("nondeterministic_output",), complexity="O(N) with COUNT N",
         syntax="key group consumer min-idle-time start [COUNT count] [JUSTID]")
def xautoclaim(db: Keyspace, args: Args) -> Reply:
    """Give entries that are pending for long enough to another consumer."""
    idle_ms = _idle_ms(args, b"XAUTOCLAIM")
    start = interval_start(args[5])
    count, just_ids = _USUAL_COUNT, False
    position = 6
    while position < len(args):
        word = args[position].upper()
        if word == b"COUNT" and position + 1 < len(args):
            count = integer_in(args[position + 1], 1, _MOST, b"ERR COUNT must be > 0")
            position += 2
        elif word == b"JUSTID":
            just_ids = True
            position += 1
        else:
            raise syntax_error()
    row, group = _group_of(db, args)

    claiming = _Claiming(db, row, group, args[3], just_ids=just_ids)
    cursor, deleted = _claim_idle(db, row, claiming, start, idle_ms, count)
    claiming.finish()
    return [written(cursor), claiming.reply, [written(number) for number in deleted]]


def _claim_idle(
    db: Keyspace, row: KeyRow, claiming: _Claiming, start: Id, idle_ms: int, count: int
) -> tuple[Id, list[Id]]:
    """Claim up to `count` entries from an id on; where to go on (0-0: at the end), and those that were deleted."""
    groups = groups_of(db.attempt)
    deleted: list[Id] = []
    looks = count * _LOOKS
    for page in groups.pending.walk(claiming.group.key_id, start, count + 1):
        entries = groups.entries.get_many(row, [number for number, _ in page])
        for (number, delivery), entry in zip(page, entries, strict=True):
            if not looks or not count:
                return number, deleted
            looks -= 1
            if entry is None:
                claiming.give_up(number)
                deleted.append(number)
                count -= 1
            elif claiming.is_idle(delivery, idle_ms):
                claiming.take(entry, delivery, db.now_ms)
                count -= 1
    return ZERO, deleted
