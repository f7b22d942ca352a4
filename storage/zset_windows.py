"""The first or last elements of a sorted set, kept in memory for one attempt while the sorted set changes."""

from __future__ import annotations

import enum
from bisect import bisect_left

from storage.zset_order import Entry, Place, behind


class End(enum.IntEnum):
    """The two ends of a sorted set. Integers, because a plain Enum is hashed by Python code, ten times as slowly."""

    MIN = 0
    MAX = 1


#: A window that has grown to so many elements is given up: keeping it in order would cost more than reading anew.
_TOO_MANY = 20_000


class Window:
    """All elements from one end up to `edge`, in order; an edge of None: all there are.

    Empty windows with an edge know nothing; the elements may all lie beyond it.
    """

    __slots__ = ("edge", "end", "entries")

    def __init__(self, end: End, entries: list[Entry], *, complete: bool) -> None:
        """`entries` in ascending order."""
        self.end = end
        self.entries = entries
        self.edge: Place | None = None
        if not complete:
            self.edge = behind(*entries[-1][:2]) if end is End.MIN else entries[0][:2]

    @property
    def usable(self) -> bool:
        return len(self.entries) < _TOO_MANY

    def has(self, count: int) -> bool:
        """Whether the `count` elements next to the end are known, or all if there are less."""
        return self.edge is None or count <= len(self.entries)

    def nearest(self, count: int) -> list[Entry]:
        """Up to `count` elements, the one at the end first."""
        if self.end is End.MIN:
            return self.entries[:count]
        return self.entries[: -count - 1 : -1] if count else []

    def count_before(self, place: Place) -> int:
        """How many of the known elements come before a place."""
        return bisect_left(self.entries, (*place, 0, 0))

    def add(self, entry: Entry) -> None:
        """An element has come into the sorted set."""
        if self.edge is None or (entry[:2] < self.edge) == (self.end is End.MIN):
            self.entries.insert(bisect_left(self.entries, entry), entry)

    def drop(self, score: int, member: bytes) -> None:
        """An element has left the sorted set."""
        entries = self.entries
        place = bisect_left(entries, (score, member, 0, 0))
        if place < len(entries) and entries[place][1] == member and entries[place][0] == score:
            del entries[place]
