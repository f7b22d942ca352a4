"""Consumer groups of streams: groups and their consumers.

The rows of a group's consumers and pending entries are filed under the group's own id, so that destroying a group gives
away one number.  What is pending is in storage/stream_pending.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from storage.elements import ElementTable, elements_of
from storage.key_rows import KeyRow
from storage.stream_entries import StreamEntries, entries_of
from storage.stream_pending import Pending, pending_of
from storage.streams import ZERO, Id, following, state_of
from storage.unit import Attempt

_COUNT = "SELECT COUNT(*) FROM rowdis_stream_group FORCE INDEX (PRIMARY) WHERE key_id=%s"
_CONSUMERS = (
    "SELECT g.group_id, COUNT(*) FROM rowdis_stream_group g FORCE INDEX (PRIMARY) "
    "STRAIGHT_JOIN rowdis_stream_consumer c FORCE INDEX (PRIMARY) ON c.key_id=g.group_id "
    "WHERE g.key_id=%s GROUP BY g.group_id"
)


class Group(NamedTuple):
    """A consumer group. `key_id` is what its consumers and pending entries are filed under.

    `entries_read` counts what it was given of all that was ever added, None where that is not known.  `pending` is the
    number of pending entries; if `ahead`, some of them may have ids above `last`.
    """

    name: bytes
    key_id: int
    last_ms: int
    last_seq: int
    entries_read: int | None
    pending: int
    ahead: int

    @property
    def last(self) -> Id:
        """The id of the last entry that it was given."""
        return self.last_ms, self.last_seq


class Consumer(NamedTuple):
    """A consumer. It was last seen, and last given something (None: never), at these times in milliseconds."""

    name: bytes
    consumer_id: int
    seen_at: int
    active_at: int | None


def _columns(record: tuple[Any, ...]) -> tuple[Any, ...]:
    return record


_GROUPS = ElementTable(
    "rowdis_stream_group",
    ("name", "group_id", "last_ms", "last_seq", "entries_read", "pending", "ahead"),
    encode=_columns,
    decode=tuple,
)
_CONSUMER = ElementTable(
    "rowdis_stream_consumer", ("name", "consumer_id", "seen_at", "active_at"), encode=_columns, decode=tuple
)


@dataclass(slots=True)
class _Wish:
    """What a command to come will do with a group."""

    row: KeyRow
    group: bytes
    consumer: bytes | None
    #: It will read so many entries behind the last one that the group was given.
    reads: int
    #: It will look for these pending entries, and with `entries` also for the entries.
    pending: tuple[Id, ...]
    entries: bool


def groups_of(attempt: Attempt) -> StreamGroups:
    """The consumer groups of all streams that an attempt knows of, one object for the whole attempt."""
    found: StreamGroups | None = attempt.parts.get("stream groups")
    if found is None:
        found = attempt.parts["stream groups"] = StreamGroups(attempt)
    return found


class StreamGroups:
    """Groups and consumers are records that do not change: `put` and `put_consumer` take their successors."""

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._groups = elements_of(attempt, _GROUPS)
        self._consumers = elements_of(attempt, _CONSUMER)
        self.entries: StreamEntries = entries_of(attempt)
        self.pending: Pending = pending_of(attempt)
        self._wishes: list[_Wish] = []
        attempt.prefetchers.append(self.prefetch)

    def want(
        self, row: KeyRow, group: bytes, consumer: bytes | None = None, *,
        reads: int = 0, pending: Iterable[Id] = (), entries: bool = False,
    ) -> None:  # fmt: skip
        """Note that a command to come will look for a group and what belongs to it; see `_Wish`."""
        self._groups.want(row, (group,))
        self._wishes.append(_Wish(row, group, consumer, reads, tuple(pending), entries))

    def prefetch(self) -> None:
        """Read the groups wanted, and defer the reading of what depends on them."""
        wishes, self._wishes = self._wishes, []
        if not wishes:
            return
        self._groups.prefetch()
        self._attempt.connection.send()
        reads: dict[tuple[int, int], int] = {}
        for wish in wishes:
            group = self.get(wish.row, wish.group)
            if group is None:
                continue
            if wish.consumer is not None:
                self._consumers.want(group, (wish.consumer,))
            if wish.reads and (start := following(group.last)) is not None:
                # Commands of one group are given one entry after the other.
                place = (wish.row.key_id, group.key_id)
                reads[place] = reads.get(place, 0) + wish.reads
                self.entries.want(wish.row, start, reads[place])
            self.pending.want(group.key_id, wish.pending)
            if wish.entries:
                self.entries.want_ids(wish.row, wish.pending)
        self._consumers.prefetch()
        self.entries.prefetch()
        self.pending.prefetch()

    # -- groups

    def get(self, row: KeyRow, name: bytes) -> Group | None:
        """A group of a stream by its name."""
        record = self._groups.get(row, name)
        return None if record is None else Group._make(record)

    def put(self, row: KeyRow, group: Group) -> None:
        """Write a group, which replaces the one of the same name."""
        self._groups.put(row, group)

    def create(self, row: KeyRow, name: bytes, last: Id, entries_read: int | None) -> None:
        """Make a group that is not there."""
        group_id = self._attempt.next_id()
        self._attempt.fresh.add(group_id)
        self.put(row, Group(name, group_id, *last, entries_read, 0, 0))

    def destroy(self, row: KeyRow, group: Group) -> None:
        """Delete a group; its consumers and pending entries are left to the reaper."""
        self._groups.remove(row, group.name)
        self._attempt.discard_elements(group.key_id)

    def every(self, row: KeyRow) -> list[Group]:
        """All groups of a stream in the order of their names."""
        return sorted(Group._make(record) for record in self._groups.every(row))

    def count(self, row: KeyRow) -> int:
        """How many groups a stream has."""
        self._groups.flush()
        return int(self._attempt.query_elements(_COUNT, (row.key_id,))[0][0])

    # -- consumers

    def consumer(self, group: Group, name: bytes) -> Consumer | None:
        """A consumer of a group by its name."""
        record = self._consumers.get(group, name)
        return None if record is None else Consumer._make(record)

    def seen(self, group: Group, name: bytes, now_ms: int) -> Consumer:
        """A consumer that does something now; made if it is not there."""
        found = self.consumer(group, name)
        if found is None:
            return self.create_consumer(group, name, now_ms)
        if found.seen_at != now_ms:
            found = found._replace(seen_at=now_ms)
            self._consumers.put(group, found)
        return found

    def create_consumer(self, group: Group, name: bytes, now_ms: int) -> Consumer:
        """Make a consumer that is not there."""
        made = Consumer(name, self._attempt.next_id(), now_ms, None)
        self._consumers.put(group, made)
        return made

    def active(self, group: Group, consumer: Consumer, now_ms: int) -> None:
        """Note that a consumer was given something."""
        if consumer.active_at != now_ms:
            self._consumers.put(group, consumer._replace(active_at=now_ms))

    def delete_consumer(self, row: KeyRow, group: Group, consumer: Consumer) -> int:
        """Delete a consumer and what is pending for it; how many entries that were."""
        count = self.pending.remove_all_of(group.key_id, consumer.consumer_id)
        self._consumers.remove(group, consumer.name)
        if count:
            self.put(row, group._replace(pending=group.pending - count))
        return count

    def consumers(self, group: Group) -> list[Consumer]:
        """All consumers of a group in the order of their names."""
        return sorted((Consumer._make(record) for record in self._consumers.every(group)), key=lambda one: one.name)

    def defer_consumer_counts(self, row: KeyRow) -> dict[int, int]:
        """How many consumers the groups of a stream have, by `key_id`: filled after the attempt's next trip.

        Groups without any are left out.
        """
        self._groups.flush()
        self._consumers.flush()
        counts: dict[int, int] = {}
        self._attempt.defer_query(
            _CONSUMERS, (row.key_id,), lambda rows: counts.update((key_id, int(count)) for key_id, count in rows)
        )
        return counts

    # -- how far a group has come

    def advance(self, row: KeyRow, group: Group, numbers: Iterable[Id]) -> Group:
        """The group after it was given entries with these ids, those before its last one again."""
        state = state_of(row)
        last, read = group.last, group.entries_read
        for number in numbers:
            if number <= last:
                continue
            if read is not None and not self._has_gaps_behind(row, number):
                read += 1
            elif state.added:
                read = self._entries_up_to(row, number)
            last = number
        return group._replace(last_ms=last[0], last_seq=last[1], entries_read=read)

    def lag(self, row: KeyRow, group: Group) -> int | None:
        """How many entries a group has not been given yet, None where that can not be told without counting."""
        state = state_of(row)
        if not state.added:
            return 0
        read = group.entries_read
        if read is None or self._has_gaps_behind(row, group.last):
            read = self._entries_up_to(row, group.last)
        return None if read is None else state.added - read

    def _has_gaps_behind(self, row: KeyRow, number: Id) -> bool:
        """Whether entries behind an id may have been deleted from the middle of the stream."""
        state = state_of(row)
        if not row.size or number > state.max_deleted:
            return False
        # Deleted before the first entry that is left is as good as trimmed.
        return state.max_deleted != ZERO and state.max_deleted >= self.entries.first_id(row)

    def _entries_up_to(self, row: KeyRow, number: Id) -> int | None:
        """How many entries with ids up to this one there ever were, None where nobody knows."""
        state = state_of(row)
        if not state.added:
            return 0
        if not row.size and number <= state.last:
            return state.added
        if number == state.last:
            return state.added
        if number > state.last:
            return None
        first = self.entries.first_id(row)
        if state.max_deleted == ZERO or state.max_deleted < first:
            if number < first:
                return state.added - row.size
            if number == first:
                return state.added - row.size + 1
        return None
