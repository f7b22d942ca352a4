"""What was given to consumers of a group and not acknowledged yet: prefetch, identity map, buffered writes.

Everything here goes by the group's id.  The rows are touched only under the lock of the stream's key row, so nothing
here locks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from storage.connection import Row
from storage.key_writer import MAX_ROWS
from storage.stream_entries import PAGE
from storage.stream_windows import id_range
from storage.streams import LAST, ZERO, Id, following
from storage.unit import Attempt

_COLUMNS = "ms, seq, consumer_id, delivered_at, deliveries"
_POINTS = (
    f"SELECT key_id, {_COLUMNS} FROM rowdis_stream_pending FORCE INDEX (PRIMARY) WHERE (key_id, ms, seq) IN ({{rows}})"
)
_RANGE = (
    f"SELECT {_COLUMNS} FROM rowdis_stream_pending FORCE INDEX (PRIMARY) WHERE key_id=%s AND {{range}} "
    "AND delivered_at<=%s ORDER BY key_id, ms, seq LIMIT %s"
)
_RANGE_OF_CONSUMER = (
    f"SELECT {_COLUMNS} FROM rowdis_stream_pending FORCE INDEX (rowdis_stream_pending_consumer) "
    "WHERE key_id=%s AND consumer_id=%s AND {range} AND delivered_at<=%s "
    "ORDER BY key_id, consumer_id, ms, seq LIMIT %s"
)
_FIRST = (
    "SELECT ms, seq FROM rowdis_stream_pending FORCE INDEX (PRIMARY) WHERE key_id=%s "
    "ORDER BY key_id, ms, seq LIMIT 1"
)
_LAST = (
    "SELECT ms, seq FROM rowdis_stream_pending FORCE INDEX (PRIMARY) WHERE key_id=%s "
    "ORDER BY key_id DESC, ms DESC, seq DESC LIMIT 1"
)
_COUNTS = (
    "SELECT consumer_id, COUNT(*) FROM rowdis_stream_pending FORCE INDEX (rowdis_stream_pending_consumer) "
    "WHERE key_id=%s GROUP BY consumer_id"
)
_GROUP = "(%s,%s,%s,%s,%s,%s)"
_INSERT = f"INSERT INTO rowdis_stream_pending (key_id, {_COLUMNS}) VALUES {{rows}}"
_UPSERT = (
    f"{_INSERT} ON DUPLICATE KEY UPDATE consumer_id=VALUES(consumer_id), delivered_at=VALUES(delivered_at), "
    "deliveries=VALUES(deliveries)"
)
# A plain DELETE takes no index hint: MariaDB reads, and locks, the whole of a small table for a list of keys.
_DELETE_MANY = (
    "DELETE p FROM (SELECT %s AS key_id, %s AS ms, %s AS seq{rows}) w STRAIGHT_JOIN rowdis_stream_pending p "
    "FORCE INDEX (PRIMARY) ON p.key_id=w.key_id AND p.ms=w.ms AND p.seq=w.seq"
)
_DELETE = "DELETE FROM rowdis_stream_pending WHERE key_id=%s AND ms=%s AND seq=%s"

#: Later than any delivery.
_EVER = 2**63 - 1


class Delivery(NamedTuple):
    """For which consumer an entry is pending, when (milliseconds) it was last given, and how many times it was."""

    consumer_id: int
    delivered_at: int
    deliveries: int


def pending_of(attempt: Attempt) -> Pending:
    """The pending entries that an attempt knows of, one object for the whole attempt."""
    found: Pending | None = attempt.parts.get("rowdis_stream_pending")
    if found is None:
        found = attempt.parts["rowdis_stream_pending"] = Pending(attempt)
    return found


class Pending:
    """An id is known not to be pending once it was looked for, and of a group that this attempt made all is known."""

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._known: dict[tuple[int, Id], Delivery | None] = {}
        self._wanted: dict[tuple[int, Id], None] = {}
        #: What the table holds.
        self._stored: set[tuple[int, Id]] = set()
        self._dirty: dict[tuple[int, Id], None] = {}
        attempt.prefetchers.append(self.prefetch)
        attempt.flushers.append(self.flush)

    # -- reading

    def want(self, group_id: int, numbers: Iterable[Id]) -> None:
        """Note ids that a command to come will look for."""
        if group_id not in self._attempt.fresh:
            for number in numbers:
                if (group_id, number) not in self._known:
                    self._wanted[group_id, number] = None

    def prefetch(self) -> None:
        """Defer the reading of everything wanted; it is known after the attempt's next trip."""
        wanted, self._wanted = sorted(self._wanted), {}
        for start in range(0, len(wanted), MAX_ROWS):
            some = wanted[start : start + MAX_ROWS]
            for place in some:
                self._known[place] = None
            arguments = [part for group_id, number in some for part in (group_id, *number)]
            self._attempt.defer_query(_POINTS, arguments, self._take, rows=("(%s,%s,%s)", len(some)))

    def get_many(self, group_id: int, numbers: Sequence[Id]) -> list[Delivery | None]:
        """The deliveries of these ids, None for what is not pending."""
        self.want(group_id, numbers)
        if self._wanted:
            self.prefetch()
            self._attempt.connection.send()
        return [self._known.get((group_id, number)) for number in numbers]

    def range(
        self, group_id: int, start: Id, end: Id, limit: int, *,
        consumer_id: int | None = None, delivered_until: int = _EVER,
    ) -> list[tuple[Id, Delivery]]:  # fmt: skip
        """Up to `limit` pending entries from an id to another, in order, with their deliveries; all of a group or those
        of one consumer, and only those that were last delivered at some time or before."""
        found: list[tuple[Id, Delivery]] = []
        low: Id | None = start
        self.flush()
        template = _RANGE if consumer_id is None else _RANGE_OF_CONSUMER
        whose = (group_id,) if consumer_id is None else (group_id, consumer_id)
        while low is not None and low <= end and len(found) < limit:
            count = min(PAGE, limit - len(found))
            statement, bounds = id_range(template, low, end)
            rows = self._attempt.query_elements(statement, (*whose, *bounds, delivered_until, count))
            found += [((ms, seq), Delivery(*rest)) for ms, seq, *rest in rows]
            self._learn(group_id, rows)
            if len(rows) < count:
                break
            low = following(found[-1][0])
        return found

    def walk(self, group_id: int, start: Id, first_page: int) -> Iterator[list[tuple[Id, Delivery]]]:
        """Pages of pending entries from an id on, the first one of `first_page`; what has been seen may be changed
        in between."""
        low: Id | None = start
        size = min(first_page, PAGE)
        while low is not None:
            page = self.range(group_id, low, LAST, size)
            yield page
            if len(page) < size:
                return
            low = following(page[-1][0])
            size = PAGE

    def defer_ends(self, group_id: int) -> list[Id]:
        """A list that has the first and the last id that is pending, if any is, after the attempt's next trip."""
        self.flush()
        ends: list[Id] = []
        for statement in (_FIRST, _LAST):
            self._attempt.defer_query(
                statement, (group_id,), lambda rows: ends.extend((ms, seq) for ms, seq in rows)
            )
        return ends

    def defer_counts(self, group_id: int) -> dict[int, int]:
        """How many entries are pending for each consumer that has any: filled after the attempt's next trip."""
        self.flush()
        counts: dict[int, int] = {}
        self._attempt.defer_query(
            _COUNTS, (group_id,), lambda rows: counts.update((consumer_id, int(count)) for consumer_id, count in rows)
        )
        return counts

    # -- writing; the caller counts what is pending in the group

    def put(self, group_id: int, number: Id, delivery: Delivery) -> None:
        """Insert or replace a delivery, of which it is known whether it is there."""
        self._known[group_id, number] = delivery
        self._dirty[group_id, number] = None

    def remove(self, group_id: int, number: Id) -> None:
        """Delete a delivery that is there."""
        self._known[group_id, number] = None
        self._dirty[group_id, number] = None

    def remove_all_of(self, group_id: int, consumer_id: int) -> int:
        """Delete all deliveries to a consumer; how many there were."""
        count = 0
        while True:
            page = self.range(group_id, ZERO, LAST, PAGE, consumer_id=consumer_id)
            for number, _ in page:
                self.remove(group_id, number)
            count += len(page)
            if len(page) < PAGE:
                return count

    def flush(self) -> None:
        """Defer everything that was changed; deletes before inserts."""
        if not self._dirty:
            return
        dirty, self._dirty = sorted(self._dirty), {}
        deletes: list[tuple[int, Id]] = []
        inserts: list[tuple[int, Id]] = []
        upserts: list[tuple[int, Id]] = []
        for place in dirty:
            if self._known[place] is None:
                if place in self._stored:
                    self._stored.discard(place)
                    deletes.append(place)
            elif place in self._stored:
                upserts.append(place)
            else:
                self._stored.add(place)
                inserts.append(place)
        self._defer_deletes(deletes)
        self._defer_writes(_INSERT, inserts)
        self._defer_writes(_UPSERT, upserts)

    # -- inside

    def _take(self, rows: tuple[Row, ...]) -> None:
        for group_id, ms, seq, *delivery in rows:
            self._known[group_id, (ms, seq)] = Delivery(*delivery)
            self._stored.add((group_id, (ms, seq)))

    def _learn(self, group_id: int, rows: tuple[Row, ...]) -> None:
        """Know rows that were read when nothing was left to be written."""
        for ms, seq, *delivery in rows:
            self._known[group_id, (ms, seq)] = Delivery(*delivery)
            self._stored.add((group_id, (ms, seq)))

    def _defer_deletes(self, deletes: list[tuple[int, Id]]) -> None:
        for start in range(0, len(deletes), MAX_ROWS):
            some = deletes[start : start + MAX_ROWS]
            template = _DELETE if len(some) == 1 else _DELETE_MANY
            template = template.replace("{rows}", " UNION ALL SELECT %s,%s,%s" * (len(some) - 1))
            self._attempt.write(template, [part for group_id, number in some for part in (group_id, *number)])

    def _defer_writes(self, template: str, places: list[tuple[int, Id]]) -> None:
        for start in range(0, len(places), MAX_ROWS):
            some = places[start : start + MAX_ROWS]
            arguments: list[int] = []
            for group_id, number in some:
                delivery = self._known[group_id, number]
                assert delivery is not None
                arguments += (group_id, *number, *delivery)
            self._attempt.write(template, arguments, rows=(_GROUP, len(some)))
