"""Drawing members of large sets by chance: from neighbours in the order of digests, which has nothing to do with them.

What is drawn without being removed comes from random places, a few members from each.  SPOP goes on where it was: its
window, of the next members in the order of digests, is moved through the set, and each member it gives is drawn from
the window.  So all pops of a batch share one query, and none has to look past the rows deleted by earlier ones, which
may still be there for somebody who has been reading for long.
"""

from __future__ import annotations

import random
from functools import partial

from storage.elements import DIGEST_BYTES, FIRST, PAGE, Elements, Record, following
from storage.key_rows import KeyRow
from storage.unit import Attempt

#: A member is drawn from so many: the gaps between digests differ, sums of many gaps hardly do.
NEIGHBOURS = 64
#: How many members are drawn from one place without being removed, at most.
_SHARED = 8
#: Sets with up to so many members are counted through to a place, of which each is as likely as any other, if not more
#: than so many are popped of them at a time.
COUNTED, _AT_A_TIME = 1024, 4

#: The digest of a member and itself.
Entry = tuple[bytes, bytes]


def windows_of(attempt: Attempt, elements: Elements) -> Windows:
    """The windows of an attempt, made when somebody first asks."""
    found: Windows | None = attempt.parts.get("set windows")
    if found is None:
        found = attempt.parts["set windows"] = Windows(attempt, elements)
    return found


def draws_of(attempt: Attempt, elements: Elements) -> Draws:
    """The members drawn without being removed, of an attempt."""
    found: Draws | None = attempt.parts.get("set draws")
    if found is None:
        found = attempt.parts["set draws"] = Draws(attempt, elements)
    return found


class Draws:
    """Members at random places of large sets, read for all commands of a batch at once; a few are drawn of each."""

    def __init__(self, attempt: Attempt, elements: Elements) -> None:
        self._attempt = attempt
        self._elements = elements
        self._wanted: dict[int, tuple[KeyRow, int]] = {}
        # The places read of a set, each with the names there and how many are still to be drawn of them.
        self._places: dict[int, list[tuple[list[bytes], int]]] = {}
        attempt.prefetchers.append(self.prefetch)

    def want(self, row: KeyRow) -> None:
        """Note that a member will be drawn."""
        self._wanted[row.key_id] = row, self._wanted.get(row.key_id, (row, 0))[1] + 1

    def prefetch(self) -> None:
        """Defer the reading of the places wanted."""
        wanted, self._wanted = self._wanted, {}
        for row, number in wanted.values():
            self._defer(row, number)

    def read(self, row: KeyRow, number: int) -> None:
        """Read places for so many members."""
        self._defer(row, number)
        self._attempt.connection.send()

    def draw(self, row: KeyRow) -> bytes:
        """A member by chance."""
        while True:
            places = self._places.setdefault(row.key_id, [])
            if not places:
                self.read(row, 1)
            names, left = places.pop()
            if len(names) < min(NEIGHBOURS, row.size):
                # The first members follow the last ones.
                missing = NEIGHBOURS - len(names)
                names += [record[0] for _, record in self._elements.page(row, FIRST, missing, remember=True)]
            name = random.choice(names)
            if left > 1:
                places.append((names, left - 1))
            # It may have been removed by name since the place was read.
            if self._elements.get(row, name) is not None:
                return name

    def _defer(self, row: KeyRow, number: int) -> None:
        places = self._places.setdefault(row.key_id, [])

        def take(draws: int, entries: list[tuple[bytes, Record]]) -> None:
            places.append(([record[0] for _, record in entries], draws))

        for start in range(0, number, _SHARED):
            draws = min(_SHARED, number - start)
            place = random.randbytes(DIGEST_BYTES)
            self._elements.defer_page(row, place, None, NEIGHBOURS, partial(take, draws))


class _Window:
    """Members from a place on, in the order of digests, behind the last of which the first follows."""

    __slots__ = ("closed", "entries", "place", "start", "wrapped")

    def __init__(self, start: bytes) -> None:
        self.start = start
        #: Where to read on.
        self.place = start
        self.entries: list[Entry] = []
        self.wrapped = False
        #: All members are in here or were: nothing is left to read.
        self.closed = False

    def take(self, limit: int, found: list[tuple[bytes, Record]]) -> None:
        """Take in a page that was read from `place` on."""
        self.entries += [(digest, record[0]) for digest, record in found]
        following_place = following(found[-1][0]) if found else None
        if len(found) == limit and following_place is not None:
            self.place = following_place
        elif self.wrapped:
            self.closed = True
        else:
            self.wrapped = True
            self.place = FIRST
            self.closed = self.start == FIRST


class Windows:
    """The windows from which the pops of an attempt draw, by the ids of their sets."""

    def __init__(self, attempt: Attempt, elements: Elements) -> None:
        self._attempt = attempt
        self._elements = elements
        self._windows: dict[int, _Window] = {}
        # What commands to come are going to pop.
        self._expected: dict[int, int] = {}
        self._wanted: dict[int, tuple[KeyRow, bytes]] = {}
        # Members at places of sets small enough to be counted through.
        self._counted: dict[int, list[bytes]] = {}
        attempt.prefetchers.append(self.prefetch)

    def want(self, row: KeyRow, place: bytes) -> None:
        """Note that a member will be popped from the window at a place (empty: at any)."""
        self.expect(row, 1)
        self._wanted[row.key_id] = row, place

    def expect(self, row: KeyRow, number: int) -> None:
        """Note that so many members will be popped one after the other."""
        self._expected[row.key_id] = self._expected.get(row.key_id, 0) + number

    def prefetch(self) -> None:
        """Defer the reading of what was wanted."""
        wanted, self._wanted = self._wanted, {}
        places: list[tuple[int, int]] = []
        for row, place in wanted.values():
            number = self._expected[row.key_id]
            if not place and row.size <= COUNTED and number <= _AT_A_TIME:
                places += [(row.key_id, nth) for nth in random.sample(range(row.size), min(number, row.size))]
                self._counted[row.key_id] = []
            elif not place and row.size <= NEIGHBOURS:
                self._elements.want_all(row)
            elif row.key_id not in self._windows:
                self._defer(row, self._open(row, place))
        self._elements.defer_nth(places, lambda key_id, record: self._counted[key_id].append(record[0]))
        self._elements.prefetch()

    def take_counted(self, row: KeyRow) -> bytes | None:
        """A member drawn from all of a set, which is to be removed; None if nobody has asked for it in time."""
        names = self._counted.get(row.key_id)
        while names:
            name = names.pop(random.randrange(len(names)))
            if self._is_left(row, name):
                return name
        return None

    def draw(self, row: KeyRow, place: bytes) -> tuple[bytes, bytes]:
        """A member drawn from the window, which is to be removed, and the place of the window from now on."""
        while True:
            window = self._windows.get(row.key_id) or self._open(row, place)
            entries = window.entries
            while not window.closed and len(entries) < min(NEIGHBOURS, row.size):
                self._defer(row, window)
                self._attempt.connection.send()
            while entries:
                digest, name = entries.pop(random.randrange(min(NEIGHBOURS, len(entries))))
                if self._is_left(row, name):
                    return name, entries[0][0] if entries else following(digest) or FIRST
            # What is left was added since the window was read.
            del self._windows[row.key_id]
            place = b""

    def _is_left(self, row: KeyRow, name: bytes) -> bool:
        """Whether what was drawn is still there: it may have been removed by name since it was read."""
        if self._elements.get(row, name) is None:
            return False
        self._expected[row.key_id] = max(0, self._expected.get(row.key_id, 0) - 1)
        return True

    def _open(self, row: KeyRow, place: bytes) -> _Window:
        window = self._windows[row.key_id] = _Window(place or random.randbytes(DIGEST_BYTES))
        return window

    def _defer(self, row: KeyRow, window: _Window) -> None:
        """Read on; not further than the members reach, behind whom there may be many rows that were deleted."""
        wanted = NEIGHBOURS + self._expected.get(row.key_id, 0) - len(window.entries)
        limit = max(1, min(wanted, row.size - len(window.entries), PAGE))
        before = window.start if window.wrapped else None
        self._elements.defer_page(row, window.place, before, limit, partial(window.take, limit))
