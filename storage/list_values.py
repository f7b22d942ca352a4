"""Lists, by value: finding, deleting, and inserting next to an item.

Short lists are searched in memory, others page by page in the database, which tells which items are the same and sends
no values.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, pairwise

from storage import list_room, overflow
from storage.key_rows import KeyRow
from storage.keyspace import Keyspace
from storage.list_items import BACKWARD, FORWARD, FROM, PAGE, RUN, items_of
from storage.list_state import STRIDE, ListState, state_of, weight_of
from storage.lists import abandon, push

#: Rows of the first and of the largest SELECT of a search.
_FIRST, _MOST = 250, 10_000

_NEXT = "SELECT position" + FROM + FORWARD
_PREVIOUS = "SELECT position" + FROM + BACKWARD
_SEARCH_FORWARD = "SELECT position, chunks, value=%s" + FROM + FORWARD
_SEARCH_BACKWARD = "SELECT position, chunks, value=%s" + FROM + BACKWARD

#: An item that a search has found: its index from the end where the search began, its position and its chunks.
Found = tuple[int, int, int]



def find(db: Keyspace, row: KeyRow, value: bytes, rank: int, count: int, most: int) -> list[int]:
    """The indexes of items of this value: at most `count` (0: all) from the one of number `rank` on, which counts from
    1 at the left or from -1 at the right end, among the first `most` items (0: all) from there."""
    matches = _matches(db, row, value, backward=rank < 0, most=most or row.size)
    first = abs(rank) - 1
    if first >= row.size:
        return []
    # No C integer takes the largest counts.
    count = min(count or row.size, row.size)
    found = [index for index, _, _ in islice(matches, first, first + count)]
    return found if rank > 0 else [row.size - 1 - index for index in found]


def remove(db: Keyspace, row: KeyRow, value: bytes, count: int) -> int:
    """Delete the first `count` items of this value, the last ones if negative, all if 0; how many."""
    matches = _matches(db, row, value, backward=count < 0, most=row.size)
    found = list(islice(matches, min(abs(count) or row.size, row.size)))
    if not found:
        return 0
    if count < 0:
        found = [(row.size - 1 - index, position, chunks) for index, position, chunks in reversed(found)]
    if len(found) == row.size:
        abandon(db, row)
    else:
        _remove_found(db, row, found, weight_of(value))
    db.touch(row)
    return len(found)


def insert(db: Keyspace, row: KeyRow, pivot: bytes, value: bytes, before: bool) -> bool:
    """Insert a value next to the first item whose value is `pivot`; False if there is none."""
    found = next(_matches(db, row, pivot, backward=False, most=row.size), None)
    if found is None:
        return False
    index, position, _ = found
    if index == (0 if before else row.size - 1):
        push(db, row, (value,), before)
        return True
    items, state = items_of(db.attempt), state_of(row)
    order = items.whole(row)
    place = index if before else index + 1
    if order is not None:
        low, high = order[place - 1], order[place]
        if high - low < 2:
            order = list_room.renumber(db.attempt, row, order)
            low, high = order[place - 1], order[place]
    else:
        low, high = (_neighbour(db, row, position, False), position) if before else (
            position, _neighbour(db, row, position, True)
        )  # fmt: skip
        if high - low < 2:
            low, high = list_room.make_room(db.attempt, row, low, high)
    held = items.touch(row)
    middle = (low + high) // 2
    items.add(held, (middle,), (value,))
    held.forget_order()
    if order is not None:
        order.insert(place, middle)
        held.front.extend(order)
    state.dense = False
    state.grow((value,))
    row.size += 1
    db.touch(row)
    return True


def _matches(db: Keyspace, row: KeyRow, value: bytes, *, backward: bool, most: int) -> Iterator[Found]:
    """The items of a value among the first `most` from an end. The list must not be changed meanwhile."""
    items = items_of(db.attempt)
    order = items.whole(row)
    if order is not None:
        held = items.of(row)
        order = order[: -most - 1 : -1] if backward else order[:most]
        for index, position in enumerate(order):
            known = held.values[position]
            if known is None and len(value) > overflow.INLINE:
                known = items.value(held, position)
            if known == value:
                yield index, position, held.chunks.get(position, 0)
        return
    items.flush()
    state, limit, index = state_of(row), _FIRST, 0
    low, high = state.head, state.tail
    # What is too long for a row is compared here, and so not sent.
    long = len(value) > overflow.INLINE
    template, sent = _SEARCH_BACKWARD if backward else _SEARCH_FORWARD, b"" if long else value
    while index < most:
        limit = min(limit, most - index)
        rows = db.attempt.query_elements(template, (sent, row.key_id, low, high, limit))
        for position, chunks, same in rows:
            if (long and overflow.load(db.attempt, chunks) == [value]) if chunks else (same and not long):
                yield index, position, chunks
            index += 1
        if len(rows) < limit:
            return
        low, high = (low, rows[-1][0]) if backward else (rows[-1][0] + 1, high)
        limit = min(limit * 4, _MOST)


def _remove_found(db: Keyspace, row: KeyRow, found: list[Found], weight: int) -> None:
    """Delete some items, but not all, that a search has found, in the order of the list."""
    state, items = state_of(row), items_of(db.attempt)
    held = items.touch(row)
    order = items.whole(row)
    if order is not None:
        gone = {position for _, position, _ in found}
        for position in gone:
            items.drop(held, position, held.removed)
        order = [position for position in order if position not in gone]
        state.head, state.tail = order[0], order[-1] + STRIDE
        state.dense = all(high - low == STRIDE for low, high in pairwise(order))
        held.forget_order()
        if not state.dense:
            held.front.extend(order)
    else:
        for run in _runs(found):
            if len(run) > RUN:
                held.cut.append((run[0], run[-1]))
            else:
                held.removed += run
        for _, position, chunks in found:
            held.values.pop(position, None)
            held.chunks.pop(position, None)
            if chunks:
                db.attempt.discard_elements(chunks)
        held.forget_order()
        state.dense = state.dense and _shorten(state, row.size, found)
    row.size -= len(found)
    state.shrink(weight * len(found))


def _shorten(state: ListState, size: int, found: list[Found]) -> bool:
    """Whether a dense list stays so without what was found, since that lies at its ends, which are moved then."""
    left = next((number for number, (index, _, _) in enumerate(found) if index != number), len(found))
    right = len(found) - left
    if right and found[left][0] != size - right:
        return False
    state.head += left * STRIDE
    state.tail -= right * STRIDE
    return True


def _runs(found: list[Found]) -> Iterator[list[int]]:
    """The positions of what was found, in order; those of neighbours together, but no more than PAGE."""
    start = 0
    for number in range(1, len(found) + 1):
        if number == len(found) or found[number][0] != found[number - 1][0] + 1 or number - start == PAGE:
            yield [position for _, position, _ in found[start:number]]
            start = number


def _neighbour(db: Keyspace, row: KeyRow, position: int, right: bool) -> int:
    """The position next to one that is not at this end of the list."""
    state = state_of(row)
    if state.dense:
        return position + STRIDE if right else position - STRIDE
    between = (position + 1, state.tail) if right else (state.head, position)
    ((found,),) = db.attempt.query_elements(_NEXT if right else _PREVIOUS, (row.key_id, *between, 1))
    return int(found)
