"""The items of lists that an attempt knows of: read ahead in one trip, changed in memory, written as a few statements.

An item is a row under the id of its list and a position (`storage/list_state.py`).  Items are touched only under the
lock of their key's row, so nothing here locks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from storage import overflow
from storage.connection import Row
from storage.key_rows import KeyRow
from storage.key_writer import MAX_ROWS
from storage.list_state import STRIDE, mean_of, state_of
from storage.unit import Attempt

#: Rows of one statement that reads or deletes a range.
PAGE = 2000
#: Bytes that one SELECT may fetch, as far as the mean length of items tells.
PAGE_BYTES = 4 * 1024 * 1024
#: Items that are kept in memory after they were read because another command may want them: a list of up to so many,
#: or so many at an end of a longer one.
HELD = 1000
#: Ranges of one SELECT.
_RANGES = 50
#: A run of more items than this is deleted by a statement of its own.
RUN = 8

_COLUMNS = "SELECT key_id, position, chunks, value FROM rowdis_list_item FORCE INDEX (PRIMARY) WHERE "
_READ_POINTS = _COLUMNS + "(key_id, position) IN ({rows})"
_READ_RANGES = _COLUMNS + "{ranges}"
_RANGE = "(key_id=%s AND position>=%s AND position<=%s)"
# For ranges at the right end, with the number of rows that there can be. Without it databases look behind the range for
# one more, and there they pass all that were popped before and that a long reader keeps alive.
_READ_END = f"({_COLUMNS}key_id=%s AND position>=%s AND position<=%s LIMIT %s)"
_BETWEEN = "key_id=%s AND position>=%s AND position<%s "
#: Orders of rows whose number, or (with ",1" behind) whose distance from the end follows.
FORWARD = "ORDER BY key_id, position LIMIT %s"
BACKWARD = "ORDER BY key_id DESC, position DESC LIMIT %s"
#: Of the items of an id between two positions, the second excluded.
FROM = f" FROM rowdis_list_item FORCE INDEX (PRIMARY) WHERE {_BETWEEN}"
_READ_FIRST = _COLUMNS + _BETWEEN + FORWARD
_READ_LAST = _COLUMNS + _BETWEEN + BACKWARD
_NTH = "SELECT position" + FROM + FORWARD + ",1"
_NTH_LAST = "SELECT position" + FROM + BACKWARD + ",1"

_INSERT = "INSERT INTO rowdis_list_item (key_id, position, chunks, value) VALUES {rows}"
_GROUP = "(%s,%s,%s,%s)"
_UPSERT = f"{_INSERT} ON DUPLICATE KEY UPDATE chunks=VALUES(chunks), value=VALUES(value)"
_DELETE = "DELETE FROM rowdis_list_item WHERE key_id=%s AND position=%s"
# A plain DELETE takes no index hint: MariaDB reads, and locks, the whole of a small table for a list of keys.
_DELETE_POINTS = (
    "DELETE i FROM (SELECT %s AS key_id, %s AS position{rows}) w STRAIGHT_JOIN rowdis_list_item i "
    "FORCE INDEX (PRIMARY) ON i.key_id=w.key_id AND i.position=w.position"
)
_DELETE_RANGE = (
    "DELETE i FROM rowdis_list_item i FORCE INDEX (PRIMARY) WHERE i.key_id=%s AND i.position>=%s AND i.position<=%s"
)

#: A key id and first and last position.
Range: TypeAlias = tuple[int, int, int]
Point: TypeAlias = tuple[int, int]


def page_of(row: KeyRow) -> int:
    """How many items of a list one SELECT may fetch."""
    return max(16, min(PAGE, PAGE_BYTES // (mean_of(row) + 32)))


class Held:
    """What an attempt knows of one list.

    `values` by position, None for one that lies in `chunks` and was not read yet.  Of a list that is not dense, `front`
    and `back` are the positions of the first and the last items, as many as are known.  The other fields are changes
    that have to be written: positions that are `new` or `changed`, that were taken from the left and the right end
    (`popped`) or elsewhere (`removed`), and whole ranges that were `cut`.
    """

    __slots__ = ("back", "changed", "chunks", "cut", "front", "new", "popped", "ranges", "removed", "values")

    def __init__(self) -> None:
        self.values: dict[int, bytes | None] = {}
        self.chunks: dict[int, int] = {}
        self.front: deque[int] = deque()
        self.back: deque[int] = deque()
        self.new: dict[int, None] = {}
        self.changed: dict[int, None] = {}
        self.popped: tuple[list[int], list[int]] = ([], [])
        self.removed: list[int] = []
        self.cut: list[tuple[int, int]] = []
        #: Parts of the list as they were given to clients since it was last changed, by first and last index.
        self.ranges: dict[tuple[int, int], list[bytes]] = {}

    def learn(self, position: int, chunks: int, value: bytes) -> None:
        """Take in a row of the table, unless something newer is known."""
        if position in self.values:
            return
        if chunks:
            self.chunks[position] = chunks
        self.values[position] = None if chunks else value

    def forget(self) -> None:
        """Know nothing any more; everything must have been written."""
        self.values.clear()
        self.chunks.clear()
        self.forget_order()

    def forget_order(self) -> None:
        self.front.clear()
        self.back.clear()


class _Wanted:
    """What commands to come will look for in one list; pops add up, since each takes what the others left."""

    __slots__ = ("parts", "pops", "reach", "row")

    def __init__(self, row: KeyRow) -> None:
        self.row = row
        self.parts: dict[tuple[int, int], None] = {}
        self.pops = [0, 0]
        self.reach = [0, 0]


def items_of(attempt: Attempt) -> Items:
    """The items that an attempt knows of, one object for the whole attempt."""
    found: Items | None = attempt.parts.get("lists")
    if found is None:
        found = attempt.parts["lists"] = Items(attempt)
    return found


class Items:
    """The items of all lists of an attempt."""

    def __init__(self, attempt: Attempt) -> None:
        self.attempt = attempt
        self._held: dict[int, Held] = {}
        self._dirty: dict[int, Held] = {}
        self._wanted: dict[int, _Wanted] = {}
        #: The positions of the last items of dense lists that are read.
        self._last: dict[int, int] = {}
        attempt.prefetchers.append(self.prefetch)
        attempt.flushers.append(self.flush)

    def of(self, row: KeyRow) -> Held:
        held = self._held.get(row.key_id)
        if held is None:
            held = self._held[row.key_id] = Held()
        return held

    # -- reading ahead

    def want(self, row: KeyRow, start: int, stop: int) -> None:
        """Note that a command to come will look at the items of indexes `start` to `stop`, which the list has."""
        count = stop - start + 1
        if count <= 0 or count > HELD or count * mean_of(row) > PAGE_BYTES:
            return
        wanted = self._wanted_of(row)
        if state_of(row).dense:
            wanted.parts[start, stop] = None
            return
        side, reach = (0, stop + 1) if stop < row.size - start else (1, row.size - start)
        if reach <= HELD:
            wanted.reach[side] = max(wanted.reach[side], reach)

    def want_end(self, row: KeyRow, left: bool, count: int) -> None:
        """Note that a command to come will take `count` items from an end."""
        if count > 0 and count * mean_of(row) <= PAGE_BYTES:
            pops = self._wanted_of(row).pops
            side = 0 if left else 1
            pops[side] = min(pops[side] + count, HELD, row.size)

    def prefetch(self) -> None:
        """Defer the reading of everything wanted; it is known after the attempt's next trip."""
        wanted, self._wanted = self._wanted, {}
        ranges: list[Range] = []
        for key_id, found in wanted.items():
            held, state = self.of(found.row), state_of(found.row)
            if state.dense:
                self._last[key_id] = state.tail - STRIDE
                for start, stop in _merged(found):
                    ranges.append((key_id, state.head + start * STRIDE, state.head + stop * STRIDE))
                continue
            if held.values or held.front or held.back or key_id in self._dirty:
                # Something was done already, and what the table holds is not the whole truth.
                continue
            first, last = (pops + reach for pops, reach in zip(found.pops, found.reach, strict=True))
            if first + last >= found.row.size:
                first, last = found.row.size, 0
            for side, count in ((True, first), (False, last)):
                if count:
                    self._defer_end(held, key_id, (state.head, state.tail), side, count)
        self._defer_reads(ranges)

    def _wanted_of(self, row: KeyRow) -> _Wanted:
        wanted = self._wanted.get(row.key_id)
        if wanted is None:
            wanted = self._wanted[row.key_id] = _Wanted(row)
        return wanted

    def _defer_reads(self, ranges: list[Range]) -> None:
        """Defer the reading of ranges of dense lists: single items of many lists by one list of points."""
        points = [(key_id, low) for key_id, low, high in ranges if low == high]
        longer: list[Range] = []
        ends: list[Range] = []
        for some in ranges:
            if some[1] < some[2]:
                (ends if some[2] >= self._last[some[0]] else longer).append(some)
        for start in range(0, len(points), MAX_ROWS):
            batch = points[start : start + MAX_ROWS]
            arguments = [number for point in batch for number in point]
            self.attempt.defer_query(_READ_POINTS, arguments, self._take, rows=("(%s,%s)", len(batch)))
        for start in range(0, len(longer), _RANGES):
            group = longer[start : start + _RANGES]
            template = _READ_RANGES.replace("{ranges}", " OR ".join([_RANGE] * len(group)))
            self.attempt.defer_query(template, [number for some in group for number in some], self._take)
        for start in range(0, len(ends), _RANGES):
            group = ends[start : start + _RANGES]
            arguments = [number for some in group for number in (*some, (some[2] - some[1]) // STRIDE + 1)]
            template = " UNION ALL ".join([_READ_END] * len(group)) if len(group) > 1 else _READ_END[1:-1]
            self.attempt.defer_query(template, arguments, self._take)

    def _take(self, rows: tuple[Row, ...]) -> None:
        for key_id, position, chunks, value in rows:
            self._held[key_id].learn(position, chunks, value)

    def _defer_end(self, held: Held, key_id: int, between: tuple[int, int], left: bool, count: int) -> None:
        """Defer the reading of the first or last items between two positions (the second excluded), which follow
        what is known of that end already."""

        def take(rows: tuple[Row, ...]) -> None:
            for _, position, chunks, value in rows:
                held.learn(position, chunks, value)
            if left:
                held.front.extend([position for _, position, _, _ in rows])
            else:
                held.back.extendleft([position for _, position, _, _ in rows])

        self.attempt.defer_query(_READ_FIRST if left else _READ_LAST, (key_id, *between, count), take)

    # -- reading now

    def dense(self, row: KeyRow, start: int, stop: int) -> range:
        """The positions of indexes `start` to `stop` of a dense list; their items are known after this."""
        state = state_of(row)
        positions = range(state.head + start * STRIDE, state.head + (stop + 1) * STRIDE, STRIDE)
        held = self.of(row).values
        missing = [position for position in positions if position not in held]
        if missing:
            page = page_of(row) * STRIDE
            self._last[row.key_id] = state.tail - STRIDE
            for low in range(missing[0], missing[-1] + 1, page):
                self._defer_reads([(row.key_id, low, min(low + page - STRIDE, missing[-1]))])
            self.attempt.connection.send()
        return positions

    def end(self, row: KeyRow, left: bool, count: int) -> list[int]:
        """The positions of the first or last `count` items, in the order of the list; they are known after this."""
        if state_of(row).dense:
            return list(self.dense(row, 0, count - 1) if left else self.dense(row, row.size - count, row.size - 1))
        held, state = self.of(row), state_of(row)
        for known in (held.front, held.back):
            if len(known) == row.size:
                return _outermost(known, left, count)
        known = held.front if left else held.back
        if len(known) < count:
            self.flush()
        while len(known) < count:
            if left:
                between = (known[-1] + 1 if known else state.head, state.tail)
            else:
                between = (state.head, known[0] if known else state.tail)
            before = len(known)
            self._defer_end(held, row.key_id, between, left, min(count - before, page_of(row)))
            self.attempt.connection.send()
            assert len(known) > before, "a list has fewer items than its row says"
        return _outermost(known, left, count)

    def whole(self, row: KeyRow) -> list[int] | None:
        """The positions of all items of a list short enough to be held, which are known after this; else None."""
        if row.size > HELD or row.size * mean_of(row) > PAGE_BYTES:
            return None
        return self.end(row, True, row.size)

    def position(self, row: KeyRow, index: int) -> int:
        """The position of an index within the list; counted from the nearer end if the list is not dense."""
        state, held = state_of(row), self.of(row)
        if state.dense:
            return state.head + index * STRIDE
        from_end = row.size - 1 - index
        if index < len(held.front):
            return held.front[index]
        if from_end < len(held.back):
            return held.back[-1 - from_end]
        self.flush()
        template, offset = (_NTH, index) if index <= from_end else (_NTH_LAST, from_end)
        ((position,),) = self.attempt.query_elements(template, (row.key_id, state.head, state.tail, offset))
        return int(position)

    def know(self, row: KeyRow, position: int) -> None:
        """Read the item of a position, if it is not known."""
        held = self.of(row)
        if position not in held.values:
            self._defer_reads([(row.key_id, position, position)])
            self.attempt.connection.send()

    def value(self, held: Held, position: int) -> bytes:
        """The value of an item that is known."""
        value = held.values[position]
        if value is None:
            (value,) = overflow.load(self.attempt, held.chunks[position])
            held.values[position] = value
        return value

    # -- changing

    def touch(self, row: KeyRow) -> Held:
        """The same as `of`, for somebody who will change something."""
        held = self.of(row)
        self._dirty[row.key_id] = held
        if held.ranges:
            held.ranges = {}
        return held

    def add(self, held: Held, positions: Sequence[int], values: Sequence[bytes]) -> None:
        """Put new items at positions where there are none."""
        held.values.update(zip(positions, values, strict=True))
        held.new.update(dict.fromkeys(positions))

    def replace(self, held: Held, position: int, value: bytes) -> None:
        """Give an item another value; if the list may have long ones, it must be known."""
        self._discard_chunks(held, position)
        held.values[position] = value
        if position not in held.new:
            held.changed[position] = None

    def drop(self, held: Held, position: int, doomed: list[int]) -> None:
        """Delete an item; if the list may have long ones, it must be known. `doomed` is where a deletion is noted."""
        self._discard_chunks(held, position)
        held.values.pop(position, None)
        held.changed.pop(position, None)
        if position in held.new:
            del held.new[position]
        else:
            doomed.append(position)

    def _discard_chunks(self, held: Held, position: int) -> None:
        if held.chunks:
            chunks = held.chunks.pop(position, 0)
            if chunks:
                self.attempt.discard_elements(chunks)

    # -- writing

    def flush(self) -> None:
        """Defer everything that was changed; deletes before inserts, which may take the places of what was deleted."""
        if not self._dirty:
            return
        dirty, self._dirty = self._dirty, {}
        points: list[Point] = []
        ranges: list[Range] = []
        for key_id, held in dirty.items():
            _gather_deletes(key_id, held, points, ranges)
        self._defer_deletes(points, ranges)
        for template, fields in ((_INSERT, "new"), (_UPSERT, "changed")):
            self._defer_writes(
                template, sorted([(key_id, place) for key_id, held in dirty.items() for place in getattr(held, fields)])
            )
        for held in dirty.values():
            held.new.clear()
            held.changed.clear()
            if len(held.values) > HELD and not held.front and not held.back:
                held.values.clear()
                held.chunks.clear()

    def _defer_deletes(self, points: list[Point], ranges: list[Range]) -> None:
        write = self.attempt.write
        points.sort()
        for start in range(0, len(points), MAX_ROWS):
            some = points[start : start + MAX_ROWS]
            if len(some) == 1:
                write(_DELETE, some[0])
            else:
                template = _DELETE_POINTS.replace("{rows}", " UNION ALL SELECT %s,%s" * (len(some) - 1))
                write(template, [number for point in some for number in point])
        for doomed in ranges:
            write(_DELETE_RANGE, doomed)

    def _defer_writes(self, template: str, places: list[Point]) -> None:
        limit = self.attempt.connection.trip_limit
        arguments: list[int | bytes] = []
        count = size = 0
        for key_id, position in places:
            chunks, value = self._stored(self._held[key_id], position)
            weight = 64 + 2 * len(value)
            if count and (count >= MAX_ROWS or size + weight > limit):
                self.attempt.write(template, arguments, rows=(_GROUP, count))
                arguments, count, size = [], 0, 0
            arguments += (key_id, position, chunks, value)
            count += 1
            size += weight
        if count:
            self.attempt.write(template, arguments, rows=(_GROUP, count))

    def _stored(self, held: Held, position: int) -> tuple[int, bytes]:
        """The columns of an item: its value, or the chunks that it lies in."""
        value = held.values[position]
        if value is None:
            # It moved, and its chunks with it.
            return held.chunks[position], b""
        if len(value) <= overflow.INLINE:
            return 0, value
        if position not in held.chunks:
            held.chunks[position] = overflow.store(self.attempt, [value])
        return held.chunks[position], b""


def _outermost(known: deque[int], left: bool, count: int) -> list[int]:
    """The first or last positions, in the order of the list."""
    return [known[number] for number in (range(count) if left else range(len(known) - count, len(known)))]


def _gather_deletes(key_id: int, held: Held, points: list[Point], ranges: list[Range]) -> None:
    """Add what was deleted from a list, and forget it. Between two items taken from one end there is nothing left, so
    that those of the left end are one range. At the right end the database would look behind a range, past all that was
    popped before and that a long reader keeps alive."""
    for run in held.popped:
        if len(run) > RUN and run is held.popped[0]:
            ranges.append((key_id, min(run), max(run)))
        else:
            points += [(key_id, position) for position in run]
        run.clear()
    points += [(key_id, position) for position in held.removed]
    held.removed.clear()
    ranges += [(key_id, low, high) for low, high in held.cut]
    held.cut.clear()


def _merged(wanted: _Wanted) -> Iterator[tuple[int, int]]:
    """The wanted indexes as few ranges, in order, which do not overlap."""
    size = wanted.row.size
    left, right = wanted.pops
    parts = [*wanted.parts]
    if left:
        parts.append((0, left - 1))
    if right:
        parts.append((size - right, size - 1))
    parts.sort()
    low, high = parts[0]
    for start, stop in parts[1:]:
        if start > high + 1:
            yield low, high
            low, high = start, stop
        else:
            high = max(high, stop)
    yield low, high
