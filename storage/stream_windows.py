"""What is known of a stream without asking: stretches of it without gaps, single ids, and changes not written yet."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from operator import itemgetter
from typing import TypeAlias

from storage.streams import Id, StreamState

#: Id, packed fields (None where only the id was asked for), and the id of the chunks that hold them if they are long.
Entry: TypeAlias = tuple[Id, bytes | None, int]

# Both bounds belong to a range. Redis's ids compare as pairs, which no database looks up in an index by itself.
_WITHIN = "ms=%s AND seq>=%s AND seq<=%s"
_ACROSS = "((ms=%s AND seq>=%s) OR (ms>%s AND ms<%s) OR (ms=%s AND seq<=%s))"
_ID = itemgetter(0)


def id_range(template: str, low: Id, high: Id) -> tuple[str, tuple[int, ...]]:
    """A statement for ids from `low` to `high`, both included: `{range}` in the template replaced, and its arguments.

    For all tables with columns ms and seq behind the one that is given by itself.
    """
    if low[0] == high[0]:
        return template.replace("{range}", _WITHIN), (low[0], low[1], high[1])
    return template.replace("{range}", _ACROSS), (*low, low[0], high[0], *high)


@dataclass(slots=True)
class Window:
    """All entries with ids above `after`, up to the last of them, or to the end of the stream if `complete`."""

    after: Id | None
    entries: list[Entry]
    complete: bool

    def covers(self, start: Id) -> bool:
        return self.after is None or self.after < start

    def find(self, start: Id, end: Id, limit: int) -> list[Entry] | None:
        """Up to `limit` entries from `start` to `end`; None if they are not all known."""
        entries = self.entries
        low = bisect_left(entries, (start,))
        high = low
        stop = min(low + limit, len(entries))
        while high < stop and entries[high][0] <= end:
            high += 1
        if high - low == limit or high < len(entries) or self.complete or (entries and entries[-1][0] >= end):
            return entries[low:high]
        return None

    def find_last(self, start: Id, end: Id, limit: int) -> list[Entry] | None:
        """The last `limit` entries from `start` to `end`, the last one first; None if they are not all known."""
        entries = self.entries[: bisect_right(self.entries, end, key=_ID)]
        if not self.complete or not (self.covers(start) or len(entries) >= limit):
            return None
        return [entry for entry in reversed(entries[-limit:]) if entry[0] >= start]

    def drop(self, number: Id) -> None:
        """Forget an entry that is deleted."""
        place = bisect_left(self.entries, (number,))
        if place < len(self.entries) and self.entries[place][0] == number:
            del self.entries[place]

    def cut(self, first: Id) -> None:
        """Forget all entries below an id."""
        del self.entries[: bisect_left(self.entries, (first,))]


@dataclass(slots=True)
class Known:
    """What an attempt knows of one stream, and what it has changed and not written yet."""

    windows: list[Window] = field(default_factory=list)
    #: Ids only, from the first entry on.
    head: Window | None = None
    points: dict[Id, Entry | None] = field(default_factory=dict)
    appended: list[Entry] = field(default_factory=list)
    removed: list[Id] = field(default_factory=list)
    #: Everything from the first to the second id is deleted.
    trimmed: tuple[Id, Id] | None = None

    def tells(self, state: StreamState, number: Id) -> bool:
        """Whether `points` tells of an id; perhaps because it follows from something else, and is noted now."""
        if number in self.points:
            return True
        if not state.first <= number <= state.last:
            self.points[number] = None
            return True
        for window in self.windows:
            if window.covers(number):
                found = window.find(number, number, 1)
                if found is not None:
                    self.points[number] = found[0] if found else None
                    return True
        return False

    def every_window(self) -> list[Window]:
        return self.windows if self.head is None else [*self.windows, self.head]
