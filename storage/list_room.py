"""Making room between two neighbours of a list whose positions have none between them.

Insertions at one spot halve the gap there each time, so now and then items around it are spread over a wider range.
How wide goes by what is there: the window grows until its items get gaps that grow with the window too, so that wide
windows are rarely touched and an insertion costs a logarithmic number of moves on average.
"""

from __future__ import annotations

from math import isqrt

from storage.connection import Row
from storage.key_rows import KeyRow
from storage.key_writer import MAX_ROWS
from storage.list_items import BACKWARD, FORWARD, FROM, items_of
from storage.list_state import STRIDE, state_of
from storage.unit import Attempt

#: Items on each side of the spot in the smallest window.
_SMALLEST = 32

_AFTER = "SELECT position" + FROM + FORWARD
_BEFORE = "SELECT position" + FROM + BACKWARD

# Rows move to an id of their own first, where their new positions are free, and then back. Values never travel.
_MOVE_AWAY = (
    "UPDATE (SELECT %s AS position, %s AS target{rows}) w STRAIGHT_JOIN rowdis_list_item i FORCE INDEX (PRIMARY) "
    "ON i.key_id=%s AND i.position=w.position SET i.key_id=%s, i.position=w.target"
)
_MOVE_BACK = (
    "UPDATE rowdis_list_item FORCE INDEX (PRIMARY) SET key_id=%s WHERE key_id=%s AND position>=%s AND position<=%s"
)


def renumber(attempt: Attempt, row: KeyRow, order: list[int]) -> list[int]:
    """Give all items of a list that is known as a whole fresh positions, which are returned."""
    state, items = state_of(row), items_of(attempt)
    held = items.touch(row)
    fresh = [state.head + number * STRIDE for number in range(len(order))]
    if any(position not in held.new for position in order):
        held.cut.append((order[0], order[-1]))
    held.values = {new: held.values[old] for old, new in zip(order, fresh, strict=True)}
    held.chunks = {new: held.chunks[old] for old, new in zip(order, fresh, strict=True) if old in held.chunks}
    held.new = dict.fromkeys(fresh)
    held.changed = {}
    held.forget_order()
    state.tail = state.head + len(order) * STRIDE
    return fresh


def make_room(attempt: Attempt, row: KeyRow, low: int, high: int) -> tuple[int, int]:
    """Move items around two neighbours apart, whose new positions are returned. Everything else must be written."""
    state = state_of(row)
    reach = _SMALLEST
    while True:
        before = _positions(attempt, _BEFORE, row.key_id, state.head, low + 1, reach + 1)
        after = _positions(attempt, _AFTER, row.key_id, high, state.tail, reach + 1)
        window = [*reversed(before[:reach]), *after[:reach]]
        left = before[reach] if len(before) > reach else None
        right = after[reach] if len(after) > reach else None
        fresh = _spread(window, left, right)
        if fresh is not None:
            break
        reach *= 2
    _move(attempt, row.key_id, list(zip(window, fresh, strict=True)))
    items_of(attempt).of(row).forget()
    state.head = min(state.head, fresh[0])
    state.tail = max(state.tail, fresh[-1] + STRIDE)
    middle = min(len(before), reach)
    return fresh[middle - 1], fresh[middle]


def _spread(window: list[int], left: int | None, right: int | None) -> list[int] | None:
    """New positions for a window between two neighbours, None for an end of the list, where there is any room; None if
    they would not be far enough apart."""
    count = len(window)
    if left is not None and right is not None:
        gap = (right - left) // (count + 1)
        if gap < 4 * isqrt(count):
            return None
        return [left + gap * number for number in range(1, count + 1)]
    if right is not None:
        return [right - STRIDE * number for number in range(count, 0, -1)]
    first = window[0] if left is None else left + STRIDE
    return [first + STRIDE * number for number in range(count)]


def _positions(attempt: Attempt, template: str, key_id: int, low: int, high: int, limit: int) -> list[int]:
    rows: tuple[Row, ...] = attempt.query_elements(template, (key_id, low, high, limit))
    return [position for (position,) in rows]


def _move(attempt: Attempt, key_id: int, moves: list[tuple[int, int]]) -> None:
    """Give items other positions, (old, new) in ascending order, none of which anything else has."""
    away = attempt.next_id()
    parts = [moves[start : start + MAX_ROWS] for start in range(0, len(moves), MAX_ROWS)]
    for part in parts:
        template = _MOVE_AWAY.replace("{rows}", " UNION ALL SELECT %s,%s" * (len(part) - 1))
        attempt.write(template, [*(number for move in part for number in move), key_id, away])
    for part in parts:
        attempt.write(_MOVE_BACK, (key_id, away, part[0][1], part[-1][1]))
