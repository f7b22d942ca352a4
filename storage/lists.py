"""Lists: pushing and popping at both ends, and everything that goes by index. By value: `storage/list_values.py`.

An index counts from 0 at the left end; callers have judged it.  Short lists, and the ends of long ones, are worked on
in memory (`storage/list_items.py`); longer parts are read page by page and deleted by statements of bounded size.  A
function that leaves a list empty leaves its key to the caller, who calls `remove_if_empty` at the end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from storage import overflow
from storage.key_rows import KeyRow, Type
from storage.keyspace import Keyspace
from storage.list_items import FORWARD, FROM, HELD, PAGE, items_of, page_of
from storage.list_state import STRIDE, ListState, mean_of, state_of, weight_of

#: So many items at an end are deleted one by one; more, as ranges.
_FEW = 256
#: An item so near to an end is found by reading what is before it.
_NEAR = 16

_PAGE = "SELECT position, chunks, value" + FROM + FORWARD
_POSITIONS = "SELECT position" + FROM + FORWARD
_CHUNKS = "SELECT position, chunks" + FROM + "AND chunks<>0 " + FORWARD
_MOVE = (
    "UPDATE rowdis_list_item FORCE INDEX (PRIMARY) SET key_id=%s WHERE key_id=%s AND position>=%s AND position<=%s"
)


def encoding(row: KeyRow) -> bytes:
    """What Redis 7.4 would keep the list in."""
    return b"listpack" if state_of(row).packed else b"quicklist"


# -- what commands to come will look for


def want_range(db: Keyspace, row: KeyRow, start: int, stop: int) -> None:
    """Items of indexes `start` to `stop`, both within the list."""
    items_of(db.attempt).want(row, start, stop)


def want_pop(db: Keyspace, row: KeyRow, left: bool, count: int) -> None:
    """The items that a pop of `count` will take."""
    items_of(db.attempt).want_end(row, left, min(count, row.size))


def want_item(db: Keyspace, row: KeyRow, index: int) -> None:
    """One item. It is not looked for from an end of a list: what lies between would be read for nothing."""
    if state_of(row).dense or min(index, row.size - 1 - index) < _NEAR:
        items_of(db.attempt).want(row, index, index)


def want_cut(db: Keyspace, row: KeyRow, start: int, stop: int) -> None:
    """What a trim to indexes `start` to `stop` will delete, where it must be known: positions that can not be computed,
    and which items are long. Pushes before it make the part to be deleted longer, hence one more."""
    state = state_of(row)
    for left, count in ((True, start), (False, row.size - 1 - stop)):
        if count < _FEW and not (state.dense and not state.long):
            items_of(db.attempt).want_end(row, left, count + 1)


def want_whole(db: Keyspace, row: KeyRow) -> None:
    """All items, if they are few."""
    if row.size <= HELD:
        items_of(db.attempt).want(row, 0, row.size - 1)


# -- ends


def make(db: Keyspace, name: bytes) -> KeyRow:
    """A new list in place of whatever the key was; the caller pushes to it."""
    row = db.create_collection(name, Type.LIST)
    row.state = ListState()
    return row


def push(db: Keyspace, row: KeyRow, values: Sequence[bytes], left: bool) -> None:
    """Add values one after the other to an end."""
    state, items = state_of(row), items_of(db.attempt)
    held = items.touch(row)
    count = len(values)
    if left:
        positions = range(state.head - STRIDE, state.head - STRIDE * (count + 1), -STRIDE)
        state.head -= STRIDE * count
    else:
        positions = range(state.tail, state.tail + STRIDE * count, STRIDE)
        state.tail += STRIDE * count
    items.add(held, positions, values)
    if not state.dense:
        near, far = (held.front, held.back) if left else (held.back, held.front)
        # What is known of the other end goes on at this one only if that is everything.
        for known in (near, far) if len(far) == row.size else (near,):
            (known.extendleft if left else known.extend)(positions)
    row.size += count
    state.grow(values)
    db.touch(row)


def pop(db: Keyspace, row: KeyRow, count: int, left: bool) -> list[bytes]:
    """Take up to `count` items from an end, the outermost first."""
    count = min(count, row.size)
    if count > _at_once(row):
        values = list(read(db, row, 0, count - 1) if left else read(db, row, row.size - count, row.size - 1))
        _cut(db, row, count, left)
    else:
        items = items_of(db.attempt)
        positions = items.end(row, left, count)
        held = items.of(row)
        values = [items.value(held, position) for position in positions]
        _drop_end(db, row, positions, left)
    db.touch(row)
    if not left:
        values.reverse()
    return values


def remove_if_empty(db: Keyspace, row: KeyRow) -> None:
    """Delete the key of a list without items. There is nothing for the reaper: each item was deleted, or its id given
    away."""
    if row.size == 0:
        row.key_id = 0
        db.remove(row)


def trim(db: Keyspace, row: KeyRow, start: int, stop: int) -> None:
    """Keep only the items of indexes `start` to `stop`; none if `start` lies behind `stop`."""
    db.touch(row)
    kept = stop - start + 1
    if kept <= 0:
        abandon(db, row)
    elif row.size - kept > PAGE and kept < row.size - kept:
        _keep(db, row, start, stop)
    else:
        _cut(db, row, row.size - 1 - stop, False)
        _cut(db, row, start, True)


def _at_once(row: KeyRow) -> int:
    """How many items are read into memory to stay there."""
    return min(HELD, page_of(row))


def _drop_end(db: Keyspace, row: KeyRow, positions: Sequence[int], left: bool) -> None:
    """Delete the items of an end one by one; if the list may have long ones, they are known."""
    state, items = state_of(row), items_of(db.attempt)
    held = items.touch(row)
    count, mean = len(positions), mean_of(row)
    if not state.dense:
        near, far = (held.front, held.back) if left else (held.back, held.front)
        for known in (near, far) if len(far) == row.size else (near,):
            for _ in range(min(count, len(known))):
                (known.popleft if left else known.pop)()
    weight = 0
    for position in positions if left else reversed(positions):
        value = held.values.get(position)
        weight += weight_of(value) if value is not None else mean
        items.drop(held, position, held.popped[0 if left else 1])
    row.size -= count
    state.shrink(weight)
    _move_end(state, positions[-1] if left else positions[0], left)


def _move_end(state: ListState, last: int, left: bool) -> None:
    """The items of an end up to the position `last` are gone."""
    if not left:
        state.tail = last
    elif state.dense:
        state.head = last + STRIDE
    else:
        state.head = last + 1


def _cut(db: Keyspace, row: KeyRow, count: int, left: bool) -> None:
    """Delete any number of items of an end."""
    state = state_of(row)
    if count == 0:
        return
    if count == row.size:
        abandon(db, row)
        return
    if count <= _FEW:
        if state.dense and not state.long:
            first = 0 if left else row.size - count
            head = state.head + first * STRIDE
            positions: Sequence[int] = range(head, head + count * STRIDE, STRIDE)
        else:
            positions = items_of(db.attempt).end(row, left, count)
        _drop_end(db, row, positions, left)
        return
    weight = count * mean_of(row)
    inner = items_of(db.attempt).position(row, count - 1 if left else row.size - count)
    _flush_and_forget(db, row)
    low, high = (state.head, inner) if left else (inner, state.tail - 1)
    _discard_chunks(db, row, low, high)
    held = items_of(db.attempt).touch(row)
    held.cut += _pieces(db, row, low, high)
    row.size -= count
    state.shrink(weight)
    _move_end(state, inner, left)


def _keep(db: Keyspace, row: KeyRow, start: int, stop: int) -> None:
    """Keep few items of many: these get another id, and the old one with all the others is left to the reaper."""
    state, old = state_of(row), row.key_id
    mean = mean_of(row)
    low, high = items_of(db.attempt).position(row, start), items_of(db.attempt).position(row, stop)
    _flush_and_forget(db, row)
    row.key_id = db.attempt.next_id()
    for first, last in list(_pieces_of(db, state, old, low, high)):
        db.attempt.write(_MOVE, (row.key_id, old, first, last))
    db.attempt.discard_elements(old)
    state.shrink((row.size - (stop - start + 1)) * mean)
    row.size = stop - start + 1
    state.head, state.tail = low, high + STRIDE


def abandon(db: Keyspace, row: KeyRow) -> None:
    """Leave all items to the reaper; the list is empty, and may be filled again under another id."""
    db.attempt.discard_elements(row.key_id)
    row.key_id = db.attempt.next_id()
    row.size = 0
    row.state = ListState()


# -- indexes


def read(db: Keyspace, row: KeyRow, start: int, stop: int) -> list[bytes]:
    """The items of indexes `start` to `stop`, both within the list. The caller does not change what it gets."""
    state, items = state_of(row), items_of(db.attempt)
    held = items.of(row)
    found = held.ranges.get((start, stop))
    if found is not None:
        return found
    count = stop - start + 1
    if count > _at_once(row):
        return _read_pages(db, row, items_of(db.attempt).position(row, start), count)
    positions: Sequence[int]
    if state.dense:
        positions = items.dense(row, start, stop)
    elif stop < HELD:
        positions = items.end(row, True, stop + 1)[start:]
    elif row.size - start <= HELD:
        positions = items.end(row, False, row.size - start)[:count]
    else:
        return _read_pages(db, row, items_of(db.attempt).position(row, start), count)
    values = held.values
    found = [values[position] or items.value(held, position) for position in positions]
    held.ranges[start, stop] = found
    return found


def at(db: Keyspace, row: KeyRow, index: int) -> bytes:
    """The item of an index within the list."""
    items = items_of(db.attempt)
    held, position = items.of(row), items_of(db.attempt).position(row, index)
    items.know(row, position)
    return items.value(held, position)


def replace(db: Keyspace, row: KeyRow, index: int, value: bytes) -> None:
    """Give the item of an index within the list another value."""
    state, items = state_of(row), items_of(db.attempt)
    position = items_of(db.attempt).position(row, index)
    if state.long:
        items.know(row, position)
    held = items.touch(row)
    old = held.values.get(position)
    weight = weight_of(old) if old is not None else mean_of(row)
    items.replace(held, position, value)
    state.grow((value,))
    state.shrink(weight)
    db.touch(row)


def _read_pages(db: Keyspace, row: KeyRow, position: int, count: int) -> list[bytes]:
    """`count` items from a position on, page by page, without holding on to them."""
    items_of(db.attempt).flush()
    tail, page = state_of(row).tail, page_of(row)
    found: list[bytes] = []
    while len(found) < count:
        limit = min(page, count - len(found))
        rows = db.attempt.query_elements(_PAGE, (row.key_id, position, tail, limit))
        found += [overflow.load(db.attempt, chunks)[0] if chunks else value for _, chunks, value in rows]
        assert len(rows) == limit, "a list has fewer items than its row says"
        position = rows[-1][0] + 1
    return found


# -- large ranges


def _flush_and_forget(db: Keyspace, row: KeyRow) -> None:
    items = items_of(db.attempt)
    items.touch(row)
    items.flush()
    items.of(row).forget()


def _discard_chunks(db: Keyspace, row: KeyRow, low: int, high: int) -> None:
    """Give up the chunks of the items between two positions, both included."""
    while state_of(row).long:
        rows = db.attempt.query_elements(_CHUNKS, (row.key_id, low, high + 1, PAGE))
        for _, chunks in rows:
            db.attempt.discard_elements(chunks)
        if len(rows) < PAGE:
            return
        low = rows[-1][0] + 1


def _pieces(db: Keyspace, row: KeyRow, low: int, high: int) -> list[tuple[int, int]]:
    """The range between two positions in parts of at most PAGE items."""
    return list(_pieces_of(db, state_of(row), row.key_id, low, high))


def _pieces_of(db: Keyspace, state: ListState, key_id: int, low: int, high: int) -> Iterator[tuple[int, int]]:
    if state.dense:
        step = PAGE * STRIDE
        for first in range(low, high + 1, step):
            yield first, min(first + step - 1, high)
        return
    while True:
        rows = db.attempt.query_elements(_POSITIONS, (key_id, low, high + 1, PAGE))
        if rows:
            yield rows[0][0], rows[-1][0]
        if len(rows) < PAGE:
            return
        low = rows[-1][0] + 1
