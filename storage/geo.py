"""Searching the members of a sorted set on the map; their scores are the codes of storage/geohash.py.

A search reads the ranges of scores of the cells that cover its area, which are ranges of the index, page by page, and
keeps the members that are really within the area.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

from storage import geohash, scores
from storage.elements import PAGE, elements_of
from storage.geo_areas import Shape, covering
from storage.geohash import Cell, Position
from storage.key_rows import KeyRow
from storage.keyspace import Keyspace
from storage.zset_order import BEGIN, END, TABLE, Entry, Place, behind
from storage.zsets import FEW, SortedSets, score_of
from storage.zsets import of as sorted_sets_of

#: Two keys of scores, from the first on and before the second.
Range: TypeAlias = tuple[int, int]

#: What `expected` takes for granted: all members lie within one cell of this step, 310 km wide.
_REGION_STEP = 7


class Found(NamedTuple):
    """A member within the area of a search."""

    distance_m: float
    member: bytes
    score: float
    position: Position


def position_of_score(score: float) -> Position:
    """Where a member with this score is."""
    return geohash.decode(geohash.code_of_score(score))


def want(db: Keyspace, row: KeyRow, shape: Shape, *, limited: bool = False) -> None:
    """Say that `search` will be called so, with a limit or without."""
    if not limited or row.size <= FEW:
        _want_ranges(sorted_sets_of(db), row, _ranges_to_read(row, covering(shape)))


def want_around(db: Keyspace, row: KeyRow, member: bytes) -> None:
    """Say that a search around a member will be made, of which the area is not known before."""
    store = sorted_sets_of(db)
    store.want(row, (member,))
    if row.size <= FEW:
        _want_ranges(store, row, [(BEGIN, END)])


def search(db: Keyspace, row: KeyRow, shape: Shape, limit: int | None = None) -> list[Found]:
    """The members within an area, in the order of the cells and of scores within a cell.

    With a limit only the first ones, and little is read beyond them.
    """
    cells = covering(shape)
    store = sorted_sets_of(db)
    if limit is not None and row.size > FEW:
        return _first(store, row, shape, cells, limit)
    ranges = _ranges_to_read(row, cells)
    _want_ranges(store, row, ranges)
    # All first pages in one trip, if they were not read before; they have to see what this unit wrote.
    elements_of(db.attempt, TABLE).flush()
    db.attempt.prefetch()
    by_cell: dict[Range, list[Found]] = {_range(cell): [] for cell in cells}
    ordered = sorted(by_cell)
    lows = [low for low, _ in ordered]
    for low, high in ranges:
        for entry in _entries(store, row, low, high, PAGE):
            at = bisect_right(lows, entry[0]) - 1
            if at >= 0 and entry[0] < ordered[at][1]:
                found = _judge(entry, shape)
                if found is not None:
                    by_cell[ordered[at]].append(found)
    return [found for cell in cells for found in by_cell[_range(cell)]][:limit]


def expected(shape: Shape, size: int) -> int:
    """How many of `size` members a search will have to look at, as a guess: as if all were spread over one region."""
    cells = covering(shape)
    part = len(cells) / 4 ** max(0, cells[0].step - _REGION_STEP)
    return int(size * min(part, 1.0))


def _first(store: SortedSets, row: KeyRow, shape: Shape, cells: list[Cell], limit: int) -> list[Found]:
    """The first members within an area, cell by cell."""
    found: list[Found] = []
    page = min(PAGE, limit + FEW)
    for cell in cells:
        low, high = _range(cell)
        for entry in _entries(store, row, (low, b""), (high, b""), page):
            judged = _judge(entry, shape)
            if judged is not None:
                found.append(judged)
                if len(found) == limit:
                    return found
    return found


def _judge(entry: Entry, shape: Shape) -> Found | None:
    """An element as a member that was found, None if it is not in the area."""
    score = score_of(entry)
    position = position_of_score(score)
    distance = shape.distance_m(position)
    return None if distance is None else Found(distance, entry[1], score, position)


def _entries(store: SortedSets, row: KeyRow, low: Place, high: Place, limit: int) -> Iterator[Entry]:
    """The elements between two places, read in pages of `limit`."""
    while page := store.slice(row, low, high, limit=limit):
        yield from page
        if len(page) < limit:
            return
        low = behind(*page[-1][:2])


def _range(cell: Cell) -> Range:
    first, behind_last = cell.codes
    return scores.encode(float(first))[0], scores.encode(float(behind_last))[0]


def _want_ranges(store: SortedSets, row: KeyRow, ranges: list[tuple[Place, Place]]) -> None:
    """Say that the first pages of these ranges will be read."""
    for low, high in ranges:
        store.want_slice(row, low, high, limit=PAGE)


def _ranges_to_read(row: KeyRow, cells: list[Cell]) -> list[tuple[Place, Place]]:
    """The ranges of cells, in order and without borders between neighbours; a small sorted set is read whole, so that
    all searches of a batch read it once."""
    if row.size <= FEW:
        return [(BEGIN, END)]
    merged: list[Range] = []
    for low, high in sorted({_range(cell) for cell in cells}):
        if merged and low <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(high, merged[-1][1])
        else:
            merged.append((low, high))
    return [((low, b""), (high, b"")) for low, high in merged]
