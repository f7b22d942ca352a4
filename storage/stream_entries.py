"""Entries of streams as one attempt sees them: prefetch, identity map, buffered writes, trimming.

What is known are *windows*: stretches of a stream without gaps.  A batch in which some commands append and others read
the end of the same stream needs one SELECT and one INSERT.  Entries are touched only under the lock of their key's row,
so nothing here locks.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from storage import overflow
from storage.connection import Row
from storage.key_rows import KeyRow
from storage.key_writer import MAX_ROWS
from storage.stream_windows import Entry, Known, Window, id_range
from storage.streams import (
    LAST,
    NODE,
    ZERO,
    Id,
    StreamState,
    following,
    pack_fields,
    preceding,
    state_of,
    unpack_fields,
)
from storage.unit import Attempt

#: Rows and bytes of one SELECT that reads a stream page by page.
PAGE = 2000
PAGE_BYTES = 4 * 1024 * 1024
#: The first page is shorter: how long entries are is not known yet.
FIRST_PAGE = 200
#: Longer reads are not worth to be done for a whole batch at once.
MOST_WANTED = 1000

_FIELDS = "ms, seq, fields, chunks"
_IDS = "ms, seq, NULL, chunks"
_SELECT = (
    "SELECT {columns} FROM rowdis_stream_entry FORCE INDEX (PRIMARY) WHERE key_id=%s AND {range} "
    "ORDER BY key_id, ms, seq LIMIT %s"
)
_REVERSE = _SELECT.replace("key_id, ms, seq LIMIT", "key_id DESC, ms DESC, seq DESC LIMIT")
_POINTS = (
    "SELECT key_id, ms, seq, fields, chunks FROM rowdis_stream_entry FORCE INDEX (PRIMARY) "
    "WHERE (key_id, ms, seq) IN ({rows})"
)
_INSERT = "INSERT INTO rowdis_stream_entry (key_id, ms, seq, chunks, fields) VALUES {rows}"
_GROUP = "(%s,%s,%s,%s,%s)"
_DELETE_RANGE = "DELETE e FROM rowdis_stream_entry e FORCE INDEX (PRIMARY) WHERE key_id=%s AND {range}"
# A plain DELETE takes no index hint: MariaDB reads, and locks, the whole of a small table for a list of keys.
_DELETE_POINTS = (
    "DELETE e FROM (SELECT %s AS key_id, %s AS ms, %s AS seq{rows}) w STRAIGHT_JOIN rowdis_stream_entry e "
    "FORCE INDEX (PRIMARY) ON e.key_id=w.key_id AND e.ms=w.ms AND e.seq=w.seq"
)
_DELETE_POINT = "DELETE FROM rowdis_stream_entry WHERE key_id=%s AND ms=%s AND seq=%s"


def entries_of(attempt: Attempt) -> StreamEntries:
    """The entries of all streams that an attempt knows of, one object for the whole attempt."""
    found: StreamEntries | None = attempt.parts.get("rowdis_stream_entry")
    if found is None:
        found = attempt.parts["rowdis_stream_entry"] = StreamEntries(attempt)
    return found


class StreamEntries:
    """See the module. Ids given as bounds are included."""

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._streams: dict[int, Known] = {}
        self._wanted: dict[tuple[int, Id], tuple[Id, int]] = {}
        self._wanted_heads: dict[int, tuple[StreamState, int]] = {}
        self._wanted_lasts: dict[int, tuple[StreamState, int]] = {}
        self._wanted_points: dict[tuple[int, Id], None] = {}
        attempt.prefetchers.append(self.prefetch)
        attempt.flushers.append(self.flush)

    # -- wishes

    def want(self, row: KeyRow, start: Id, limit: int) -> None:
        """Note that a command to come will read up to `limit` entries from an id on."""
        state = state_of(row)
        if limit <= 0 or start > state.last or not row.size or row.key_id in self._attempt.fresh:
            return
        place = (row.key_id, max(start, state.first))
        _, noted = self._wanted.get(place, (ZERO, 0))
        self._wanted[place] = state.last, min(max(limit, noted), MOST_WANTED)

    def want_head(self, row: KeyRow, count: int, *, least: int = 0) -> None:
        """Note that a command to come will trim `count` entries, which add up, or look at the first `least` ones."""
        if row.size and row.key_id not in self._attempt.fresh:
            state, noted = self._wanted_heads.get(row.key_id, (state_of(row), 1))
            self._wanted_heads[row.key_id] = state, min(max(noted + count, least), MOST_WANTED)

    def want_last(self, row: KeyRow, count: int) -> None:
        """Note that a command to come will read the last `count` entries."""
        if row.size and count > 0 and row.key_id not in self._attempt.fresh:
            state, noted = self._wanted_lasts.get(row.key_id, (state_of(row), 1))
            self._wanted_lasts[row.key_id] = state, max(noted, count)

    def want_ids(self, row: KeyRow, numbers: Iterable[Id]) -> None:
        """Note ids that a command to come will look for."""
        if row.key_id in self._attempt.fresh:
            return
        for number in numbers:
            self._wanted_points[row.key_id, number] = None

    def prefetch(self) -> None:
        """Defer the reading of everything wanted; it is known after the attempt's next trip."""
        wanted, self._wanted = self._wanted, {}
        for (key_id, start), (last, limit) in wanted.items():
            windows = self._known(key_id).windows
            self._defer_window(key_id, _FIELDS, start, last, limit, windows.append)
        heads, self._wanted_heads = self._wanted_heads, {}
        for key_id, (state, limit) in heads.items():
            self._defer_window(key_id, _IDS, state.first, state.last, limit, partial(_keep_head, self._known(key_id)))
        lasts, self._wanted_lasts = self._wanted_lasts, {}
        for key_id, (state, limit) in lasts.items():
            self._defer_last(key_id, state, limit)
        points, self._wanted_points = self._wanted_points, {}
        places = [place for place in points if place[1] not in self._known(place[0]).points]
        for some in range(0, len(places), MAX_ROWS):
            self._defer_points(places[some : some + MAX_ROWS])

    # -- reading

    def range(self, row: KeyRow, start: Id, end: Id, limit: int | None = None) -> list[Entry]:
        """Up to `limit` entries from an id to another, in order; None: all of them."""
        state = state_of(row)
        start, end = max(start, state.first), min(end, state.last)
        if limit is None or limit > row.size:
            limit = row.size
        if start > end or limit <= 0:
            return []
        for window in self._windows(row.key_id):
            if window.covers(start):
                found = window.find(start, end, limit)
                if found is not None:
                    return found
        self.flush()
        return self._read(_SELECT, row.key_id, start, end, limit, lambda last: (following(last), end))

    def reverse(self, row: KeyRow, start: Id, end: Id, limit: int | None = None) -> list[Entry]:
        """Up to `limit` entries from an id to another, the last one first."""
        state = state_of(row)
        start, end = max(start, state.first), min(end, state.last)
        if limit is None or limit > row.size:
            limit = row.size
        if start > end or limit <= 0:
            return []
        for window in self._windows(row.key_id):
            found = window.find_last(start, end, limit)
            if found is not None:
                return found
        self.flush()
        return self._read(_REVERSE, row.key_id, start, end, limit, lambda last: (start, preceding(last)))

    def get_many(self, row: KeyRow, numbers: Sequence[Id]) -> list[Entry | None]:
        """The entries with these ids, None for those that are not there."""
        known, state = self._known(row.key_id), state_of(row)
        missing = [number for number in dict.fromkeys(numbers) if not known.tells(state, number)]
        for some in range(0, len(missing), MAX_ROWS):
            self._defer_points([(row.key_id, number) for number in missing[some : some + MAX_ROWS]])
        if missing:
            self._attempt.connection.send()
        return [known.points[number] for number in numbers]

    def fields(self, entry: Entry) -> Sequence[bytes]:
        """Fields and values of an entry, in turn."""
        _, packed, chunks = entry
        if chunks:
            (packed,) = overflow.load(self._attempt, chunks)
        assert packed is not None
        return unpack_fields(packed)

    def first_id(self, row: KeyRow) -> Id:
        """The id of the first entry, 0-0 if there is none."""
        if not row.size:
            return ZERO
        state = state_of(row)
        if not state.first_is_exact:
            state.first = self._head(row, 1)[0][0]
            state.first_is_exact = True
        return state.first

    # -- writing; the caller marks the key row as changed

    def append(self, row: KeyRow, number: Id, words: Sequence[bytes]) -> None:
        """Add an entry behind all others; `words` are its fields and values in turn."""
        state, known = state_of(row), self._known(row.key_id)
        packed = pack_fields(words)
        chunks = 0
        if len(packed) > overflow.INLINE:
            chunks, packed = overflow.store(self._attempt, (packed,)), b""
        entry = number, packed, chunks
        known.appended.append(entry)
        known.points[number] = entry
        complete = [window for window in self._windows(row.key_id) if window.complete]
        if not complete:
            complete.append(Window(state.last, [], True))
            known.windows += complete
        for window in complete:
            window.entries.append(entry)
        if known.head is not None and known.head.complete:
            known.head.entries.append(entry)
        if not row.size:
            state.first, state.first_is_exact, state.head_gone = number, True, 0
        row.size += 1
        state.last = number
        state.added += 1

    def remove(self, row: KeyRow, numbers: Iterable[Id]) -> int:
        """Delete entries by their ids; how many there were."""
        state, known = state_of(row), self._known(row.key_id)
        several = list(dict.fromkeys(numbers))
        count = 0
        for number, entry in zip(several, self.get_many(row, several), strict=True):
            if entry is None:
                continue
            count += 1
            if entry[2]:
                self._attempt.discard_elements(entry[2])
            for window in known.every_window():
                window.drop(number)
            known.points[number] = None
            if entry in known.appended:
                known.appended.remove(entry)
            else:
                known.removed.append(number)
            if number == state.first:
                state.first, state.first_is_exact = following(number) or LAST, False
                state.head_gone = (state.head_gone + 1) % NODE
            state.max_deleted = max(state.max_deleted, number)
        row.size -= count
        self._forget_nodes_if_empty(row, state)
        return count

    def trim_to_size(self, row: KeyRow, size: int, *, whole_nodes: bool = False, limit: int | None = None) -> int:
        """Delete the first entries until `size` are left; how many were deleted.

        With `whole_nodes` as many as fill the nodes that Redis would keep them in, at most `limit`.
        """
        excess = row.size - size
        if whole_nodes and excess > 0:
            excess = _fitting(row, excess, limit)
        for done in range(0, excess, PAGE):
            self._cut(row, min(PAGE, excess - done))
        return max(excess, 0)

    def trim_below(self, row: KeyRow, number: Id, *, whole_nodes: bool = False, limit: int | None = None) -> int:
        """Delete the entries with ids below one; how many were deleted. See `trim_to_size`."""
        state = state_of(row)
        deleted = 0
        most = NODE
        while row.size and state.first < number:
            # Of whole nodes, so that how much of a page may go does not depend on where the page ends.
            page = self._head(row, most - state.head_gone, number)[: most - state.head_gone]
            below = bisect_left(page, (number,))
            left = None if limit is None else limit - deleted
            allowed = _fitting(row, below, left) if whole_nodes else below
            if allowed:
                self._cut(row, allowed)
            deleted += allowed
            if allowed < len(page):
                break
            most = PAGE
        return deleted

    def flush(self) -> None:
        """Defer everything that was changed; deletes before inserts."""
        removed: list[tuple[int, int, int]] = []
        inserts: list[tuple[int, Entry]] = []
        for key_id, known in self._streams.items():
            self._flush_trimmed(key_id, known)
            if known.removed:
                removed += [(key_id, ms, seq) for ms, seq in known.removed]
                known.removed = []
            if known.appended:
                inserts += [(key_id, entry) for entry in known.appended]
                known.appended = []
        removed.sort()
        for start in range(0, len(removed), MAX_ROWS):
            some = removed[start : start + MAX_ROWS]
            template = _DELETE_POINT if len(some) == 1 else _DELETE_POINTS
            template = template.replace("{rows}", " UNION ALL SELECT %s,%s,%s" * (len(some) - 1))
            self._attempt.write(template, [number for place in some for number in place])
        self._defer_inserts(inserts)

    # -- inside

    def _known(self, key_id: int) -> Known:
        known = self._streams.get(key_id)
        if known is None:
            known = self._streams[key_id] = Known()
            if key_id in self._attempt.fresh:
                known.windows.append(Window(None, [], True))
                known.head = Window(None, [], True)
        return known

    def _windows(self, key_id: int) -> list[Window]:
        return self._known(key_id).windows

    def _defer_window(
        self, key_id: int, columns: str, start: Id, last: Id, limit: int, keep: Callable[[Window], None]
    ) -> None:
        def take(rows: tuple[Row, ...]) -> None:
            entries = [((ms, seq), packed, chunks) for ms, seq, packed, chunks in rows]
            keep(Window(preceding(start), entries, len(rows) < limit))

        template, bounds = id_range(_SELECT.replace("{columns}", columns), start, last)
        self._attempt.defer_query(template, (key_id, *bounds, limit), take)

    def _defer_last(self, key_id: int, state: StreamState, limit: int) -> None:
        def take(rows: tuple[Row, ...]) -> None:
            entries = [((ms, seq), packed, chunks) for ms, seq, packed, chunks in reversed(rows)]
            after = preceding(entries[0][0]) if len(entries) == limit else None
            self._known(key_id).windows.append(Window(after, entries, True))

        template, bounds = id_range(_REVERSE.replace("{columns}", _FIELDS), state.first, state.last)
        self._attempt.defer_query(template, (key_id, *bounds, limit), take)

    def _defer_points(self, places: list[tuple[int, Id]]) -> None:
        for key_id, number in places:
            self._known(key_id).points[number] = None

        def take(rows: tuple[Row, ...]) -> None:
            for key_id, ms, seq, packed, chunks in rows:
                self._known(key_id).points[ms, seq] = (ms, seq), packed, chunks

        if places:
            arguments = [part for key_id, number in sorted(places) for part in (key_id, *number)]
            self._attempt.defer_query(_POINTS, arguments, take, rows=("(%s,%s,%s)", len(places)))

    def _read(
        self, template: str, key_id: int, start: Id, end: Id, limit: int,
        bounds_behind: Callable[[Id], tuple[Id | None, Id | None]],
    ) -> list[Entry]:  # fmt: skip
        """Entries of a range, read page by page; `bounds_behind` gives the range that is left behind an entry."""
        found: list[Entry] = []
        size, low, high = FIRST_PAGE, start, end
        template = template.replace("{columns}", _FIELDS)
        while True:
            count = min(size, limit - len(found))
            statement, bounds = id_range(template, low, high)
            rows = self._attempt.query_elements(statement, (key_id, *bounds, count))
            found += [((ms, seq), packed, chunks) for ms, seq, packed, chunks in rows]
            if len(rows) < count or len(found) == limit:
                return found
            next_low, next_high = bounds_behind(found[-1][0])
            if next_low is None or next_high is None or next_low > next_high:
                return found
            low, high = next_low, next_high
            read = sum([len(packed) for _, _, packed, _ in rows]) // len(rows) + 1
            size = max(1, min(PAGE, PAGE_BYTES // read))

    def _head(self, row: KeyRow, count: int, beyond: Id = LAST) -> list[Entry]:
        """The first `count` entries at least, or all, or those up to an id; of some only the ids."""
        known = self._known(row.key_id)
        head = known.head
        if head is None or not (
            head.complete or len(head.entries) >= count or (head.entries and head.entries[-1][0] >= beyond)
        ):
            state = state_of(row)
            self.flush()
            self._defer_window(row.key_id, _IDS, state.first, state.last, count, partial(_keep_head, known))
            self._attempt.connection.send()
            head = known.head
            assert head is not None
        return head.entries

    def _cut(self, row: KeyRow, count: int) -> None:
        """Delete the first `count` entries, a page at most."""
        state, known = state_of(row), self._known(row.key_id)
        entries = self._head(row, min(count + 1, row.size))
        low, gone = state.first, entries[:count]
        if count < row.size:
            state.first, state.first_is_exact = entries[count][0], True
        else:
            state.first, state.first_is_exact = following(state.last) or LAST, False
        for number, _, chunks in gone:
            if chunks:
                self._attempt.discard_elements(chunks)
            known.points.pop(number, None)
        last = gone[-1][0]
        known.appended = known.appended[bisect_left(known.appended, (state.first,)) :]
        for window in known.every_window():
            window.cut(state.first)
        known.trimmed = (known.trimmed[0] if known.trimmed is not None else low), last
        if count >= MAX_ROWS:
            # A long trim is many statements of bounded size.
            self._flush_trimmed(row.key_id, known)
        row.size -= count
        state.head_gone = (state.head_gone + count) % NODE
        self._forget_nodes_if_empty(row, state)

    def _flush_trimmed(self, key_id: int, known: Known) -> None:
        if known.trimmed is not None:
            template, bounds = id_range(_DELETE_RANGE, *known.trimmed)
            known.trimmed = None
            self._attempt.write(template, (key_id, *bounds))

    def _defer_inserts(self, inserts: list[tuple[int, Entry]]) -> None:
        limit = self._attempt.connection.trip_limit
        arguments: list[int | bytes | None] = []
        count = size = 0
        for key_id, (number, packed, chunks) in sorted(inserts):
            weight = 120 + 2 * len(packed or b"")
            if count and (count >= MAX_ROWS or size + weight > limit):
                self._attempt.write(_INSERT, arguments, rows=(_GROUP, count))
                arguments, count, size = [], 0, 0
            arguments += (key_id, *number, chunks, packed)
            count += 1
            size += weight
        if count:
            self._attempt.write(_INSERT, arguments, rows=(_GROUP, count))

    def _forget_nodes_if_empty(self, row: KeyRow, state: StreamState) -> None:
        if not row.size:
            state.head_gone = 0
            state.first, state.first_is_exact = following(state.last) or LAST, False


def _keep_head(known: Known, window: Window) -> None:
    known.head = window


def _fitting(row: KeyRow, excess: int, limit: int | None) -> int:
    """How many of `excess` entries at the beginning fill whole nodes, at most `limit`."""
    most = excess if limit is None else min(excess, limit)
    node = min(NODE - state_of(row).head_gone, row.size)
    removed = 0
    while node and removed + node <= most:
        removed += node
        node = min(NODE, row.size - removed)
    return removed
