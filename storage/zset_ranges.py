"""Reading sorted sets in their order, by the index (key_id, score, head).

A statement that a command to come will need can be named before (`want`); all of them are read in one trip, and the
answer serves as long as nobody changes the sorted set.  Members that the index can not tell apart are read together
and put in order here.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from functools import partial
from typing import TypeAlias

from storage import overflow
from storage.connection import Arguments, Row, Take
from storage.elements import PAGE, elements_of
from storage.key_rows import KeyRow
from storage.unit import Attempt
from storage.zset_order import (
    BEGIN,
    END,
    HEAD,
    TABLE,
    Entry,
    Place,
    behind,
    behind_head,
    ceiling,
    condition,
    floor,
    state_of,
    tied,
)  # fmt: skip

Statement: TypeAlias = tuple[str, tuple[int | bytes, ...]]

#: Beyond so many rows to skip, they are skipped in the index, before whole rows are looked at.
_FAR = 100

_INDEX = "FROM rowdis_zset_member FORCE INDEX (rowdis_zset_order) WHERE key_id=%s AND {condition}"
_ASCENDING = "ORDER BY key_id, score, head"
_DESCENDING = "ORDER BY key_id DESC, score DESC, head DESC"
_PAGE = f"SELECT chunks, score, head, zero, tail {_INDEX} {{order}} LIMIT %s,%s"
_FAR_PAGE = (
    "SELECT e.chunks, e.score, e.head, e.zero, e.tail FROM "
    f"(SELECT key_id, digest {_INDEX} {{order}} LIMIT %s,%s) w STRAIGHT_JOIN rowdis_zset_member e "
    "FORCE INDEX (PRIMARY) ON e.key_id=w.key_id AND e.digest=w.digest"
)
_EVERY = f"SELECT chunks, score, head, zero, tail {_INDEX}"
_COUNT = f"SELECT COUNT(*) {_INDEX}"


class Ranges:
    """Ranges of the sorted sets of one attempt."""

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._members = elements_of(attempt, TABLE)
        self._wanted: dict[int, dict[Statement, None]] = {}
        self._answers: dict[int, dict[Statement, tuple[Row, ...]]] = {}
        self._groups: dict[tuple[int, int, bytes], list[Entry]] = {}
        attempt.prefetchers.append(self._prefetch)

    # -- what commands to come will ask

    def want_slice(
        self, row: KeyRow, low: Place, high: Place, *, reverse: bool = False, offset: int = 0, limit: int | None = None
    ) -> None:
        """Say that `slice` will be called so."""
        low, high = self._bounded(row, low, high)
        limit = row.size if limit is None else min(limit, row.size)
        if low < high and limit > 0 and offset < row.size and len(low[1]) <= HEAD and len(high[1]) <= HEAD:
            self._want(row, _page(row.key_id, low, high, reverse, offset, min(limit, PAGE)))

    def want_count(self, row: KeyRow, low: Place, high: Place) -> None:
        """Say that `count` will be called so."""
        whole = self._bounded(row, BEGIN, END)
        low, high = self._bounded(row, low, high)
        if low < high and (low, high) != whole and len(low[1]) <= HEAD and len(high[1]) <= HEAD:
            self._want(row, _count(row.key_id, low, high))

    def forget(self, row: KeyRow) -> None:
        """The sorted set changes: no answer from before will do."""
        self._answers.pop(row.key_id, None)
        if self._groups:
            for key in [key for key in self._groups if key[0] == row.key_id]:
                del self._groups[key]

    # -- reading

    def slice(
        self, row: KeyRow, low: Place, high: Place, *, reverse: bool = False, offset: int = 0, limit: int | None = None
    ) -> list[Entry]:
        """The elements between two places, without the first `offset`, at most `limit`; `reverse`: from the end.

        Skipping takes time in proportion to `offset`, though less than reading.
        """
        found: list[Entry] = []
        limit = row.size if limit is None else min(limit, row.size)
        if offset >= row.size:
            return found
        while limit > len(found):
            count = min(limit - len(found), PAGE)
            page = self._slice(row, low, high, reverse, offset, count)
            found += page
            if len(page) < count:
                break
            offset = 0
            if reverse:
                high = page[-1][:2]
            else:
                low = behind(*page[-1][:2])
        return found

    def pages(self, row: KeyRow, *, reverse: bool = False) -> Iterator[list[Entry]]:
        """All elements in order, page by page. The sorted set must not change meanwhile."""
        low, high = BEGIN, END
        while page := self.slice(row, low, high, reverse=reverse, limit=PAGE):
            yield page
            if reverse:
                high = page[-1][:2]
            else:
                low = behind(*page[-1][:2])

    def count(self, row: KeyRow, low: Place, high: Place) -> int:
        """How many elements lie between two places; takes time in proportion to that, in the database."""
        whole = self._bounded(row, BEGIN, END)
        low, high = self._bounded(row, low, high)
        if (low, high) == whole:
            return row.size
        if low >= high:
            return 0
        first, low, high, last = self._cut(row, low, high)
        inner = self._ask(row, _count(row.key_id, low, high))[0][0] if low < high else 0
        return len(first) + int(inner) + len(last)

    # -- inside

    def _bounded(self, row: KeyRow, low: Place, high: Place) -> tuple[Place, Place]:
        state = state_of(row)
        return max(low, state.low), min(high, state.high)

    def _slice(
        self, row: KeyRow, low: Place, high: Place, reverse: bool, offset: int, limit: int
    ) -> list[Entry]:
        """What `slice` gives, for a limit of one page."""
        low, high = self._bounded(row, low, high)
        if low >= high:
            return []
        first, low, high, last = self._cut(row, low, high)
        if reverse:
            first, last = last[::-1], first[::-1]
        found = first[offset : offset + limit]
        offset = max(0, offset - len(first))
        if len(found) < limit and low < high:
            inner = self._page(row, low, high, reverse, offset, limit - len(found))
            if last and offset:
                offset = 0 if inner else offset - self.count(row, low, high)
            found += inner
        if len(found) < limit:
            found += last[offset : offset + limit - len(found)]
        return found

    def _cut(self, row: KeyRow, low: Place, high: Place) -> tuple[list[Entry], Place, Place, list[Entry]]:
        """A range as one between places that the index knows, and the elements in front of it and behind it."""
        if len(low[1]) <= HEAD and len(high[1]) <= HEAD:
            return [], low, high, []
        first: list[Entry] = []
        last: list[Entry] = []
        inner_low, inner_high = ceiling(low), floor(high)
        if inner_low != low:
            group = self._group(row, low[0], low[1][:HEAD])
            first = group[bisect_left(group, low) : bisect_left(group, high)]
        if inner_high != high and inner_high >= inner_low:
            group = self._group(row, high[0], high[1][:HEAD])
            last = group[: bisect_left(group, high)]
        return first, inner_low, inner_high, last

    def _page(
        self, row: KeyRow, low: Place, high: Place, reverse: bool, offset: int, limit: int
    ) -> list[Entry]:
        """A page between places that the index knows."""
        entries = self.entries_of(self._ask(row, _page(row.key_id, low, high, reverse, offset, limit)))
        entries.sort(reverse=reverse)
        # One more was read at each end: whoever is tied with a neighbour out of sight may not be the one meant.
        start = 1 if offset else 0
        page = entries[start : start + limit]
        if not page:
            return page
        cut_behind = len(entries) > start + limit and tied(page[-1], entries[-1])
        if not cut_behind and not (start and tied(entries[0], page[0])):
            return page
        return self._settled(row, low, high, page, reverse, offset, limit)

    def _settled(
        self, row: KeyRow, low: Place, high: Place, page: list[Entry], reverse: bool, offset: int, limit: int
    ) -> list[Entry]:
        """A page of which the ends are tied with elements out of sight: these groups are read whole."""
        begin, end = page[0], page[-1]
        first = self._group_of(row, begin)
        whole = first
        if first[0] != (last := self._group_of(row, end))[0]:
            middle = [entry for entry in page if not tied(entry, begin) and not tied(entry, end)]
            whole = sorted({*first, *middle, *last})
        if offset and reverse:
            offset -= self.count(row, ceiling(behind(*first[-1][:2])), high)
        elif offset:
            offset -= self.count(row, low, floor(first[0][:2]))
        ordered = whole[::-1] if reverse else whole
        return ordered[offset : offset + limit]

    def _group_of(self, row: KeyRow, entry: Entry) -> list[Entry]:
        """The elements, in order, that the index can not tell from this one."""
        return self._group(row, entry[0], entry[1][:HEAD]) if len(entry[1]) >= HEAD else [entry]

    def _group(self, row: KeyRow, score: int, head: bytes) -> list[Entry]:
        """All elements, in order, with this score and members that begin with these 64 bytes."""
        key = row.key_id, score, head
        if key not in self._groups:
            text, arguments = condition((score, head), behind_head(score, head))
            statement = _EVERY.replace("{condition}", text), (row.key_id, *arguments)
            self._groups[key] = sorted(self.entries_of(self._ask(row, statement)))
        return self._groups[key]

    def entries_of(self, rows: tuple[Row, ...]) -> list[Entry]:
        """Rows of (chunks, score, head, zero, tail) as entries."""
        return [
            (score, head if tail is None else head + tail, zero, 0)
            if not chunks
            else (score, overflow.load(self._attempt, chunks)[0], zero, chunks)
            for chunks, score, head, zero, tail in rows
        ]

    def _ask(self, row: KeyRow, statement: Statement) -> tuple[Row, ...]:
        """The rows of a statement, from what was prefetched if nothing has changed since."""
        answers = self._answers.get(row.key_id)
        if answers is not None and statement in answers:
            return answers[statement]
        self._members.flush()
        return self._attempt.query_elements(*statement)

    def _want(self, row: KeyRow, statement: Statement) -> None:
        if row.key_id not in self._attempt.fresh:
            self._wanted.setdefault(row.key_id, {})[statement] = None

    def _prefetch(self) -> None:
        wanted, self._wanted = self._wanted, {}
        together: dict[str, list[tuple[Arguments, Take]]] = {}
        for key_id, statements in wanted.items():
            answers = self._answers.setdefault(key_id, {})
            for statement in statements:
                if statement not in answers:
                    template, arguments = statement
                    together.setdefault(template, []).append((arguments, partial(answers.__setitem__, statement)))
        for template, queries in together.items():
            self._attempt.defer_queries(template, queries)


def _page(key_id: int, low: Place, high: Place, reverse: bool, offset: int, limit: int) -> Statement:
    """The statement for a page with one row more on each side, by which ties across its ends show."""
    text, arguments = condition(low, high)
    template = _FAR_PAGE if offset > _FAR else _PAGE
    template = template.replace("{condition}", text).replace("{order}", _DESCENDING if reverse else _ASCENDING)
    more = 1 if offset else 0
    return template, (key_id, *arguments, offset - more, limit + more + 1)


def _count(key_id: int, low: Place, high: Place) -> Statement:
    text, arguments = condition(low, high)
    return _COUNT.replace("{condition}", text), (key_id, *arguments)
