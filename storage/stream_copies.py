"""Whole streams with their consumer groups, read and made at once."""

from __future__ import annotations

from storage import streams
from storage.key_rows import KeyRow
from storage.keyspace import Keyspace
from storage.rdb_values import PendingEntry, StreamConsumer, StreamEntry, StreamGroup, StreamValue
from storage.stream_entries import entries_of
from storage.stream_groups import Group, StreamGroups, groups_of
from storage.stream_pending import Delivery
from storage.streams import LAST, ZERO


def read(db: Keyspace, row: KeyRow) -> StreamValue:
    """Everything that there is of a stream."""
    entries, groups, state = entries_of(db.attempt), groups_of(db.attempt), streams.state_of(row)
    found = entries.range(row, ZERO, LAST)
    return StreamValue(
        [StreamEntry(entry[0], list(entries.fields(entry))) for entry in found],
        state.last,
        state.max_deleted,
        state.added,
        [_read_group(groups, group) for group in groups.every(row)],
    )


def _read_group(groups: StreamGroups, group: Group) -> StreamGroup:
    consumers = groups.consumers(group)
    names = {consumer.consumer_id: consumer.name for consumer in consumers}
    pending = groups.pending.range(group.key_id, ZERO, LAST, group.pending) if group.pending else []
    return StreamGroup(
        group.name,
        group.last,
        group.entries_read,
        [StreamConsumer(consumer.name, consumer.seen_at, consumer.active_at) for consumer in consumers],
        [
            PendingEntry(number, names[delivery.consumer_id], delivery.delivered_at, delivery.deliveries)
            for number, delivery in pending
        ],
    )


def write(db: Keyspace, name: bytes, value: StreamValue) -> None:
    """Make a key a stream, whatever it was."""
    row = streams.create(db, name)
    entries, state = entries_of(db.attempt), streams.state_of(row)
    for entry in value.entries:
        entries.append(row, entry.number, entry.words)
    state.last, state.max_deleted = value.last, value.max_deleted
    state.added = len(value.entries) if value.added is None else value.added
    if not value.entries:
        state.first, state.first_is_exact = streams.following(state.last) or LAST, False
    groups = groups_of(db.attempt)
    for group in value.groups:
        _write_group(groups, row, group)


def _write_group(groups: StreamGroups, row: KeyRow, group: StreamGroup) -> None:
    groups.create(row, group.name, group.last, group.entries_read)
    made = groups.get(row, group.name)
    assert made is not None
    ids: dict[bytes, int] = {}
    for consumer in group.consumers:
        found = groups.create_consumer(made, consumer.name, consumer.seen_at)
        ids[consumer.name] = found.consumer_id
        if consumer.active_at is not None:
            groups.active(made, found, consumer.active_at)
    for entry in group.pending:
        delivery = Delivery(ids[entry.consumer], entry.delivered_at, entry.deliveries)
        groups.pending.put(made.key_id, entry.number, delivery)
    if group.pending:
        ahead = int(group.pending[-1].number > group.last)
        groups.put(row, made._replace(pending=len(group.pending), ahead=ahead))
