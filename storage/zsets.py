"""Sorted sets: members with scores, found by member and in the order of scores.

    row = db.find(name) or zsets.create(db, name)
    store = zsets.of(db)
    store.put(row, b"member", 1.5)
    store.changed(row)

Scores are floats, never NaN.  What is changed is buffered; `changed` is to be called once after the changes of a
command.  Elements of ranges are entries (storage/zset_order.py); `score_of` gives the score of one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter

from storage import overflow, scores
from storage.connection import Row
from storage.elements import PAGE, Record, elements_of
from storage.key_rows import KeyRow, Type
from storage.keyspace import Keyspace
from storage.unit import Attempt
from storage.zset_order import (
    BEGIN,
    END,
    SMALL_MEMBER,
    SMALL_SIZE,
    TABLE,
    Entry,
    Place,
    ZsetState,
    behind,
    ceiling,
    condition,
    floor,
    state_of,
)  # fmt: skip
from storage.zset_ranges import Ranges
from storage.zset_windows import End, Window

#: Ranks this near to an end are answered from what is kept of that end, if somebody said that he will ask.
NEAR = 1000
#: Rows that one statement deletes.
DELETED = 50_000
#: A sorted set of so many members is read whole to tell ranks.
FEW = 200

_NEIGHBOURS = (
    "SELECT chunks, score, head, zero, tail FROM rowdis_zset_member FORCE INDEX (PRIMARY) "
    "WHERE key_id=%s AND digest>=%s ORDER BY key_id, digest LIMIT %s"
)
_DELETE = "DELETE e FROM rowdis_zset_member e FORCE INDEX (rowdis_zset_order) WHERE key_id=%s AND {condition}"


def of(db: Keyspace) -> SortedSets:
    """The sorted sets of the attempt, one object for all databases."""
    attempt = db.attempt
    found: SortedSets | None = attempt.parts.get("zsets")
    if found is None:
        found = attempt.parts["zsets"] = SortedSets(attempt)
    return found


def create(db: Keyspace, name: bytes) -> KeyRow:
    """An empty sorted set in place of whatever the key was; it needs a member before the unit ends."""
    row = db.create_collection(name, Type.ZSET)
    row.state = ZsetState()
    return row


def replace(
    db: Keyspace, name: bytes, members: Sequence[tuple[bytes, float]], *, one_by_one: bool = False
) -> None:  # fmt: skip
    """Make a key a sorted set of these members, at least one, each given once.

    `one_by_one`: as if they were put one after the other, which matters to -0 (see `put`).
    """
    of(db).fill(create(db, name), members, one_by_one=one_by_one)


def encoding(row: KeyRow) -> bytes:
    """What OBJECT ENCODING says."""
    return b"skiplist" if state_of(row).skiplist else b"listpack"


def score_of(entry: Entry) -> float:
    return scores.decode(entry[0], entry[2])


class SortedSets:
    """The sorted sets of one attempt; methods take the row of the key."""

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._members = elements_of(attempt, TABLE)
        self._ranges = Ranges(attempt)
        self._windows: dict[int, dict[End, Window]] = {}
        # Elements next to an end that commands of the batch will pop, and will look at.
        self._pops: dict[tuple[int, End], int] = {}
        self._looks: dict[tuple[int, End], int] = {}
        self._wanted: dict[tuple[int, End], KeyRow] = {}
        # Ends of which the elements are prefetched, and no window was made yet.
        self._prefetched: dict[int, list[End]] = {}
        attempt.prefetchers.insert(0, self._want_ends)
        self.slice = self._ranges.slice
        self.count = self._ranges.count
        self.pages = self._ranges.pages
        self.want_slice = self._ranges.want_slice
        self.want_count = self._ranges.want_count

    # -- what commands to come will ask

    def want(self, row: KeyRow, members: Iterable[bytes]) -> None:
        """Say which members a command to come will look for."""
        self._members.want(row, members)

    def want_pop(self, row: KeyRow, end: End, count: int) -> None:
        """Say that a command to come will take `count` elements from an end; what several want adds up."""
        self._pops[row.key_id, end] = self._pops.get((row.key_id, end), 0) + count
        self._wanted[row.key_id, end] = row

    def want_rank(self, row: KeyRow, member: bytes) -> None:
        """Say that a command to come will ask for the rank of a member."""
        self.want(row, (member,))
        if row.size <= FEW:
            self.want_ranks(row, 0, row.size)

    def want_ranks(self, row: KeyRow, start: int, stop: int) -> None:
        """Say that a command to come will look at ranks `start` to `stop` (exclusive)."""
        end, count = (End.MIN, stop) if stop <= row.size - start else (End.MAX, row.size - start)
        if count <= NEAR:
            self._looks[row.key_id, end] = max(self._looks.get((row.key_id, end), 0), count)
            self._wanted[row.key_id, end] = row
        elif end is End.MIN:
            self.want_slice(row, BEGIN, END, offset=start, limit=stop - start)
        else:
            self.want_slice(row, BEGIN, END, reverse=True, offset=row.size - stop, limit=stop - start)

    # -- by member

    def score(self, row: KeyRow, member: bytes) -> float | None:
        """The score of a member, None if it is none."""
        record = self._members.get(row, member)
        return None if record is None else scores.decode(record[1], record[2])

    def scores(self, row: KeyRow, members: Sequence[bytes]) -> list[float | None]:
        """The scores of several members, read in one trip."""
        return [
            None if record is None else scores.decode(record[1], record[2])
            for record in self._members.get_many(row, members)
        ]

    def put(self, row: KeyRow, member: bytes, score: float) -> None:
        """Add a member, or give it another score."""
        state = state_of(row)
        key, zero = scores.encode(score)
        old = self._members.get(row, member)
        self._prepare(row)
        if old is None:
            row.size += 1
            self._note_member(row, state, member)
        # A listpack has no -0, as Redis has it.
        record = member, key, zero if state.skiplist else 0
        self._members.put(row, record)
        state.widen(key)
        for window in self._windows_of(row):
            if old is not None:
                window.drop(old[1], member)
            window.add((key, member, record[2], 0))

    def remove(self, row: KeyRow, member: bytes) -> bool:
        """Remove a member; False if it is none."""
        old = self._members.get(row, member)
        if old is None:
            return False
        self._prepare(row)
        self._members.remove(row, member)
        row.size -= 1
        for window in self._windows_of(row):
            window.drop(old[1], member)
        return True

    def changed(self, row: KeyRow) -> None:
        """Note that the sorted set was changed; the key goes with its last member."""
        if row.size > 0:
            self._attempt.touch(row)
        else:
            self._attempt.remove(row)

    # -- by rank

    def ranks(self, row: KeyRow, start: int, stop: int, *, reverse: bool = False) -> list[Entry]:
        """The elements of ranks `start` to `stop` (exclusive, within 0..size) in order, `reverse` in the opposite one.

        Takes time in proportion to the distance from the nearer end.
        """
        end, count = (End.MIN, stop) if stop <= row.size - start else (End.MAX, row.size - start)
        if (row.key_id, end) in self._looks:
            window = self._window(row, end, count)
            found = window.nearest(count)[count - (stop - start) :]
        elif end is End.MIN:
            found = self.slice(row, BEGIN, END, offset=start, limit=stop - start)
        else:
            found = self.slice(row, BEGIN, END, reverse=True, offset=row.size - stop, limit=stop - start)
        return found if (end is End.MAX) == reverse else found[::-1]

    def rank(self, row: KeyRow, member: bytes, *, reverse: bool = False) -> tuple[int, float] | None:
        """How many elements come before a member (`reverse`: behind it), and its score; None if it is no member.

        Counts in the index, so it takes time in proportion to that number.
        """
        record = self._members.get(row, member)
        if record is None:
            return None
        place = (record[1], member)
        if row.size <= FEW and (row.key_id, End.MIN) in self._looks:
            before = self._window(row, End.MIN, row.size).count_before(place)
            found = row.size - 1 - before if reverse else before
        elif reverse:
            found = self.count(row, behind(*place), END)
        else:
            found = self.count(row, BEGIN, place)
        return found, scores.decode(record[1], record[2])

    def pop(self, row: KeyRow, end: End, count: int) -> list[Entry]:
        """Remove up to `count` elements from an end, and give them, the outermost first."""
        taken: list[Entry] = []
        while len(taken) < count and row.size > 0:
            missing = min(count - len(taken), row.size, PAGE)
            some = self._window(row, end, missing).nearest(missing)
            if not some:
                raise LookupError(f"a sorted set of {row.size} members has none in its table")
            self._drop(row, some)
            # Nothing is left between the end and the last of them either, however wide the bound was.
            last = some[-1][:2]
            self._narrow(row, *((BEGIN, behind(*last)) if end is End.MIN else (last, END)))
            taken += some
        return taken

    # -- ranges

    def remove_range(self, row: KeyRow, low: Place, high: Place) -> int:
        """Remove the elements between two places; how many there were.

        Many are deleted by one statement, without being read; all of them by giving up the key.
        """
        some = self.slice(row, low, high, limit=NEAR)
        if len(some) < NEAR:
            self.remove_entries(row, some)
            count = len(some)
        elif state_of(row).chunked:
            count = 0
            while some:
                self._drop(row, some)
                count += len(some)
                some = self.slice(row, low, high, limit=PAGE)
        else:
            count = self.count(row, low, high)
            if count < row.size:
                self._delete(row, low, high, count)
            row.size -= count
        self._narrow(row, low, high)
        return count

    def want_removed(self, row: KeyRow, low: Place, high: Place) -> None:
        """Say that `remove_range` will be called so."""
        self.want_slice(row, low, high, limit=NEAR)

    def remove_ranks(self, row: KeyRow, start: int, stop: int) -> int:
        """Remove the elements of ranks `start` to `stop` (exclusive, within 0..size); how many there were."""
        if stop - start <= NEAR:
            entries = self.ranks(row, start, stop) if start < stop else []
            at_begin, at_end = start == 0, stop == row.size
            self.remove_entries(row, entries)
            if entries and at_begin:
                self._narrow(row, BEGIN, behind(*entries[-1][:2]))
            elif entries and at_end:
                self._narrow(row, entries[0][:2], END)
            return stop - start
        (first,), (last,) = self.ranks(row, start, start + 1), self.ranks(row, stop - 1, stop)
        return self.remove_range(row, first[:2], behind(*last[:2]))

    def remove_entries(self, row: KeyRow, entries: list[Entry]) -> None:
        """Remove elements that a range has given, without gaps."""
        if entries:
            self._drop(row, entries)

    def known_uniform_score(self, row: KeyRow) -> int | None:
        """The key of the score that all members have, None if they differ or if it would take a look at them."""
        state = state_of(row)
        return state.low[0] if state.high <= (state.low[0] + 1, b"") else None

    def uniform_score(self, row: KeyRow) -> int | None:
        """The key of the score that all members have, None if they differ."""
        known = self.known_uniform_score(row)
        if known is not None:
            return known
        first = self.slice(row, BEGIN, END, limit=1)
        last = self.slice(row, BEGIN, END, reverse=True, limit=1)
        return first[0][0] if first and last and first[0][0] == last[0][0] else None

    # -- whole sorted sets, in no order of theirs

    def page(self, row: KeyRow, start: bytes, limit: int) -> list[tuple[bytes, Record]]:
        """Up to `limit` records in the order of digests from one on, each with its digest."""
        return self._members.page(row, start, limit)

    def every(self, row: KeyRow) -> Iterator[tuple[bytes, float]]:
        """All members with their scores, read page by page."""
        for _, (member, key, zero) in self._members.each(row):
            yield member, scores.decode(key, zero)

    def neighbours(self, row: KeyRow, places: Sequence[bytes], limit: int) -> list[tuple[Row, ...]]:
        """For each place in the order of digests, up to `limit` rows from there on, read in one trip; for `entries`."""
        found: list[tuple[Row, ...]] = []
        self._members.flush()
        for place in places:
            self._attempt.defer_query(_NEIGHBOURS, (row.key_id, place, limit), found.append)
        self._attempt.connection.send()
        return found

    def entries(self, rows: Sequence[Row]) -> list[Entry]:
        """Rows of `neighbours` as entries."""
        return self._ranges.entries_of(tuple(rows))

    def fill(self, row: KeyRow, members: Sequence[tuple[bytes, float]], *, one_by_one: bool = False) -> None:
        """Put members, each once, into a sorted set that was just created."""
        state = state_of(row)
        row.size = len(members)
        longest = max([len(member) for member, _ in members])
        state.chunked = longest > overflow.INLINE
        state.skiplist = not one_by_one and (row.size > SMALL_SIZE or longest > SMALL_MEMBER)
        records: list[Record] = []
        for member, score in members:
            if len(records) >= SMALL_SIZE or len(member) > SMALL_MEMBER:
                state.skiplist = True
            key, zero = scores.encode(score)
            records.append((member, key, zero if state.skiplist else 0))
        keys = list(map(itemgetter(1), records))
        state.widen(min(keys))
        state.widen(max(keys))
        self._members.fill(row, records)

    # -- inside

    def _want_ends(self) -> None:
        """Runs before the ranges defer what is wanted of them."""
        wanted, self._wanted = self._wanted, {}
        for (key_id, end), row in wanted.items():
            count = min(self._near(key_id, end), row.size, PAGE)
            if row.key_id == key_id and count:
                self.want_slice(row, BEGIN, END, reverse=end is End.MAX, limit=count)
                self._prefetched.setdefault(key_id, []).append(end)

    def _near(self, key_id: int, end: End) -> int:
        return self._pops.get((key_id, end), 0) + self._looks.get((key_id, end), 0)

    def _window(self, row: KeyRow, end: End, count: int) -> Window:
        """The window at an end, with at least `count` elements, or all if there are less."""
        windows = self._windows.setdefault(row.key_id, {})
        window = windows.get(end)
        if window is None or not window.has(count):
            # As many as the batch wants: then the answer is there already.
            count = min(max(count, self._near(row.key_id, end)), row.size, max(count, PAGE))
            found = self.slice(row, BEGIN, END, reverse=end is End.MAX, limit=count)
            complete = len(found) < count or len(found) >= row.size
            window = windows[end] = Window(end, found[::-1] if end is End.MAX else found, complete=complete)
        return window

    def _windows_of(self, row: KeyRow) -> Iterable[Window]:
        windows = self._windows.get(row.key_id)
        return windows.values() if windows else ()

    def _prepare(self, row: KeyRow) -> None:
        """Before a change: keep what was prefetched as windows, which can follow the change; forget other answers."""
        key_id = row.key_id
        if self._prefetched:
            for end in self._prefetched.pop(key_id, ()):
                self._window(row, end, 1)
        self._ranges.forget(row)
        windows = self._windows.get(key_id)
        if windows:
            for end in [end for end, window in windows.items() if not window.usable]:
                del windows[end]

    def _drop(self, row: KeyRow, entries: list[Entry]) -> None:
        """Remove elements that were read, in the order of the sorted set or the opposite one, without gaps."""
        self._prepare(row)
        for score, member, zero, chunks in entries:
            self._members.learn(row, member, (member, score, zero), chunks)
            self._members.remove(row, member)
            for window in self._windows_of(row):
                window.drop(score, member)
        row.size -= len(entries)
        one, other = entries[0][:2], entries[-1][:2]
        self._narrow(row, min(one, other), behind(*max(one, other)))

    def _narrow(self, row: KeyRow, low: Place, high: Place) -> None:
        """Between two places nothing is left: move the bounds if they lie there."""
        state = state_of(row)
        if low <= state.low < high:
            state.low = floor(high)
        if low < state.high <= high:
            state.high = ceiling(low)

    def _delete(self, row: KeyRow, low: Place, high: Place, count: int) -> None:
        """Delete the `count` rows between two places by statements on the index.

        Those at its ends that it can't tell apart from others are deleted by themselves.
        """
        state = state_of(row)
        low, high = max(low, state.low), min(high, state.high)
        inner_low, inner_high = ceiling(low), floor(high)
        if inner_low >= inner_high:
            rest = self.slice(row, low, high)
        else:
            rest = self.slice(row, low, inner_low) if inner_low != low else []
            rest += self.slice(row, inner_high, high) if inner_high != high else []
        for score, member, zero, chunks in rest:
            self._members.learn(row, member, (member, score, zero), chunks)
            self._members.remove(row, member)
        self._members.flush()
        # No statement may take longer than the database allows, however many members there are.
        for _ in range(count // DELETED):
            self._ranges.forget(row)
            beyond = self.slice(row, inner_low, inner_high, offset=DELETED, limit=1)
            middle = floor(beyond[0][:2]) if beyond else inner_high
            self._delete_between(row, inner_low, middle)
            inner_low = max(inner_low, middle)
        self._delete_between(row, inner_low, inner_high)
        self._members.forget(row)
        self._ranges.forget(row)
        self._windows.pop(row.key_id, None)

    def _delete_between(self, row: KeyRow, low: Place, high: Place) -> None:
        if low < high:
            text, arguments = condition(low, high)
            self._attempt.write(_DELETE.replace("{condition}", text), (row.key_id, *arguments))

    def _note_member(self, row: KeyRow, state: ZsetState, member: bytes) -> None:
        if row.size > SMALL_SIZE or len(member) > SMALL_MEMBER:
            state.skiplist = True
            state.chunked |= len(member) > overflow.INLINE
