"""Members of sets: which there are, in what order small sets give them, and which of them chance draws.

Sets that Redis would keep in one piece are given in the order that this has there: integers by value in a set of
nothing else, else members in the order in which they came, of which `n` tells; integers that were there before the
first other member come first, by value.  All other sets are in the order of digests, which is as good as any.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple, Self

from storage.elements import FIRST, PAGE, Elements, ElementTable, Record, elements_of, following
from storage.key_rows import KeyRow, Type, digest_of
from storage.key_writer import MAX_ROWS
from storage.keyspace import Keyspace
from storage.set_windows import NEIGHBOURS, draws_of, windows_of
from storage.unit import Attempt

#: Redis keeps a set in one piece up to so many members, if all are integers, and if none has more than so many bytes.
INTEGERS: Final = 512
COMPACT: Final = 128
COMPACT_BYTES: Final = 64
#: Small sets of a batch are read before its commands run, up to so many members.
_PREFETCHED: Final = 10_000
#: What is left of a set is filed anew if SPOP takes so many times as much.
_FEW_LEFT: Final = 5
#: Random places of a large set that are looked at in one trip.
_TOGETHER: Final = 256
#: Of sets with up to so many members, to read all takes less time than to look for one.
_TINY: Final = 16

_STATE = struct.Struct(">QQB16s")
_PRESENT = (
    "SELECT digest FROM rowdis_set_member FORCE INDEX (PRIMARY) WHERE key_id=%s AND digest IN ({rows})"
)


class Encoding(IntEnum):
    """What Redis would keep a set in; a set only ever goes on to a higher one."""

    INTSET = 0
    LISTPACK = 1
    HASHTABLE = 2


class Member(NamedTuple):
    """One member as it is stored."""

    name: bytes
    n: int


def _encode(record: Record) -> Record:
    return record


# What is read are plain tuples, which cost nothing to make.
TABLE = ElementTable("rowdis_set_member", ("member", "n"), _encode, tuple)


@dataclass(slots=True)
class SetState:
    """What the key row of a set notes: the next insertion number, below which number members are integers in the order
    of their values, the encoding, and the digest from which SPOP goes on (empty: it may begin anywhere)."""

    next_n: int = 1
    sorted_below: int = 0
    encoding: Encoding = Encoding.INTSET
    place: bytes = b""

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        next_n, sorted_below, encoding, place = _STATE.unpack(data)
        return cls(next_n, sorted_below, Encoding(encoding), place if any(place) else b"")

    def pack(self) -> bytes:
        return _STATE.pack(self.next_n, self.sorted_below, self.encoding, self.place)

    def expect(self, count: int) -> None:
        """So many members are about to be added by one command, new or not."""
        if count > (INTEGERS if self.encoding is Encoding.INTSET else COMPACT):
            self.encoding = Encoding.HASHTABLE

    def take_number(self, name: bytes, size: int) -> int:
        """The number of a new member of a set that has `size` of them so far."""
        number = self.next_n
        self.next_n = number + 1
        if self.encoding is Encoding.INTSET:
            if is_integer(name):
                if size >= INTEGERS:
                    self.encoding = Encoding.HASHTABLE
                return number
            self.encoding = Encoding.LISTPACK
            self.sorted_below = number
        if self.encoding is Encoding.LISTPACK and (size >= COMPACT or len(name) > COMPACT_BYTES):
            self.encoding = Encoding.HASHTABLE
        return number


def state_of(row: KeyRow) -> SetState:
    """The state of a set, read from its key row when first asked for."""
    state = row.state
    if state is None:
        assert row.value is not None
        state = row.state = SetState.unpack(row.value)
    assert isinstance(state, SetState)
    return state


def encoding(row: KeyRow) -> bytes:
    """What OBJECT ENCODING says."""
    return state_of(row).encoding.name.lower().encode()


def is_compact(row: KeyRow) -> bool:
    """Redis would keep this set in one piece, and give it in the order of that."""
    return state_of(row).encoding is not Encoding.HASHTABLE


def is_integer(name: bytes) -> bool:
    """Whether Redis would keep a member as a number."""
    digits = name[1:] if name[:1] == b"-" else name
    if not digits.isdigit() or len(digits) > 19 or (digits[0] == 0x30 and name != b"0"):
        return False
    return len(digits) < 19 or -(2**63) <= int(name) < 2**63


def create(db: Keyspace, name: bytes, first: bytes, count: int) -> KeyRow:
    """A new set without members, in the place of whatever the key was; `first` of `count` members is about to come."""
    row = db.create_collection(name, Type.SET)
    integers = is_integer(first) and count <= INTEGERS
    row.state = SetState(encoding=Encoding.INTSET if integers else Encoding.LISTPACK)
    state_of(row).expect(count)
    return row


# -- reading


def want(db: Keyspace, name: bytes, members: Iterable[bytes]) -> None:
    """Note that a command to come will look for these members of a set, if it is there."""
    row = db.peek(name, Type.SET)
    if row is not None:
        _elements(db.attempt).want(row, members)


def want_all(db: Keyspace, name: bytes) -> None:
    """Note that a command to come will read the whole of a set, if it is there and compact."""
    row = db.peek(name, Type.SET)
    if row is not None and is_compact(row):
        left: int = db.attempt.parts.get("sets to read", _PREFETCHED)
        if row.size <= left:
            db.attempt.parts["sets to read"] = left - row.size
            _elements(db.attempt).want_all(row)


def want_random(db: Keyspace, name: bytes, *, removed: bool) -> None:
    """Note that a command to come will draw one member of a set by chance."""
    row = db.peek(name, Type.SET)
    if row is None:
        return
    elements = _elements(db.attempt)
    place = state_of(row).place if removed else b""
    if row.size <= (_TINY if removed else NEIGHBOURS) and not place:
        elements.want_all(row)
    elif removed:
        windows_of(db.attempt, elements).want(row, place)
    else:
        draws_of(db.attempt, elements).want(row)


def contains(db: Keyspace, row: KeyRow, name: bytes) -> bool:
    """Whether a set has a member."""
    return _elements(db.attempt).get(row, name) is not None


def contains_many(db: Keyspace, row: KeyRow, names: Sequence[bytes]) -> list[bool]:
    """Which of these are members, in one trip."""
    return [record is not None for record in _elements(db.attempt).get_many(row, names)]


def every(db: Keyspace, row: KeyRow) -> list[bytes]:
    """All members; those of a compact set in order."""
    return [name for names in pages(db, row) for name in names]


def pages(db: Keyspace, row: KeyRow, rows: int = PAGE) -> Iterator[list[bytes]]:
    """All members, as lists of about so many; those of a compact set in order, at once."""
    elements = _elements(db.attempt)
    if is_compact(row):
        records = elements.known_wholly(row)
        yield _in_order(row, elements.every(row) if records is None else records)
        return
    start: bytes | None = FIRST
    while start is not None:
        found = elements.page(row, start, rows)
        yield [record[0] for _, record in found]
        start = following(found[-1][0]) if len(found) == rows else None


def page(db: Keyspace, row: KeyRow, start: bytes, limit: int) -> list[tuple[bytes, bytes]]:
    """Up to `limit` members from a digest on, in the order of digests: the digest and the member."""
    return [(digest, record[0]) for digest, record in _elements(db.attempt).page(row, start, limit)]


def present(db: Keyspace, row: KeyRow, names: Sequence[bytes]) -> set[bytes]:
    """Those of some names that are members.  Nothing of it is held, so that they may be as many as a page."""
    elements = _elements(db.attempt)
    records = elements.known_wholly(row)
    if records is not None:
        return {record[0] for record in records}.intersection(names)
    elements.flush()
    by_digest = {digest_of(name): name for name in names}
    digests = sorted(by_digest)
    found: set[bytes] = set()
    for start in range(0, len(digests), MAX_ROWS):
        some = digests[start : start + MAX_ROWS]
        db.attempt.defer_query(
            _PRESENT,
            (row.key_id, *some),
            lambda rows: found.update([by_digest[digest] for (digest,) in rows]),
            rows=("%s", len(some)),
        )
    db.attempt.connection.send()
    return found


# -- at random


def draw(db: Keyspace, row: KeyRow, number: int, *, repeat: bool) -> list[bytes]:
    """So many members by chance, each as likely as any other (nearly so in a large set).

    With `repeat` a member may come several times, else there are fewer if the set has not as many.
    """
    if not repeat and number >= row.size:
        return every(db, row)
    elements = _elements(db.attempt)
    known = elements.known_wholly(row)
    if known is None and number == 1 and row.size > NEIGHBOURS:
        return [draws_of(db.attempt, elements).draw(row)]
    if known is None and row.size > PAGE // 2 and number * NEIGHBOURS <= row.size:
        return _draw_few(db, row, number, repeat)
    names = every(db, row)
    return random.choices(names, k=number) if repeat else random.sample(names, number)


def rows_drawn(size: int, number: int) -> int:
    """How many rows `draw` reads of a set of this size, at most."""
    return min(size, number * NEIGHBOURS)


def _draw_few(db: Keyspace, row: KeyRow, number: int, repeat: bool) -> list[bytes]:
    """Members drawn each from neighbours at a random place of a large set."""
    draws = draws_of(db.attempt, _elements(db.attempt))
    drawn: list[bytes] = []
    while len(drawn) < number:
        missing = min(number - len(drawn), _TOGETHER)
        draws.read(row, missing)
        drawn += [draws.draw(row) for _ in range(missing)]
        if not repeat:
            drawn = list(dict.fromkeys(drawn))
    return drawn


def pop(db: Keyspace, row: KeyRow) -> bytes:
    """Remove a member drawn by chance, and the key with the last of them."""
    elements = _elements(db.attempt)
    known = elements.known_wholly(row) if row.size <= 2 * NEIGHBOURS else None
    windows = windows_of(db.attempt, elements)
    name: bytes | None
    if known is not None:
        name = random.choice(known)[0]
    elif (name := windows.take_counted(row)) is None:
        name, state_of(row).place = windows.draw(row, state_of(row).place)
    elements.remove(row, name)
    _shrink(db, row, 1)
    return name


def pop_many(db: Keyspace, row: KeyRow, number: int) -> list[bytes]:
    """Remove up to so many members drawn by chance, and the key with the last of them."""
    if number >= row.size:
        names = every(db, row)
        db.remove(row)
        return names
    if row.size > PAGE and number * 2 < row.size:
        windows_of(db.attempt, _elements(db.attempt)).expect(row, number)
        return [pop(db, row) for _ in range(number)]
    names = every(db, row)
    chosen = set(random.sample(range(len(names)), number))
    popped = [names[place] for place in chosen]
    if number < (row.size - number) * _FEW_LEFT:
        remove_many(db, row, popped)
    else:
        _replace(db, row, [name for place, name in enumerate(names) if place not in chosen])
    return popped


def pop_reads(size: int, number: int) -> int:
    """How many rows `pop_many` reads, at most."""
    return min(size, number + NEIGHBOURS) if number * 2 < size else size


# -- writing


def add_many(db: Keyspace, row: KeyRow, names: Sequence[bytes]) -> int:
    """Add members; how many there were not before."""
    state = state_of(row)
    state.expect(len(names))
    elements = _elements(db.attempt)
    found = elements.get_many(row, names)
    added = 0
    for name, record in zip(names, found, strict=True):
        # The same name may come twice.
        if record is None and (len(names) == 1 or elements.get(row, name) is None):
            elements.put(row, Member(name, state.take_number(name, row.size)))
            row.size += 1
            added += 1
    if added:
        db.touch(row)
    return added


def remove_many(db: Keyspace, row: KeyRow, names: Sequence[bytes]) -> int:
    """Remove members, and the key with the last of them; how many there were."""
    elements = _elements(db.attempt)
    elements.get_many(row, names)
    removed = 0
    for name in names:
        if elements.get(row, name) is not None:
            elements.remove(row, name)
            removed += 1
    if removed:
        _shrink(db, row, removed)
    return removed


def store(db: Keyspace, name: bytes, members: Sequence[bytes], *, sort: bool) -> None:
    """Make a key the set of these members, at least one, which differ, whatever it was.

    With `sort`, integers that come before any other member are put in the order of their values.
    """
    row = db.create_collection(name, Type.SET)
    sort = sort or (len(members) <= INTEGERS and all(map(is_integer, members)))
    _fill(db, row, members, Encoding.INTSET if sort else Encoding.LISTPACK)


def in_order(members: list[bytes]) -> list[bytes]:
    """These members as a small set gives them if they were added one after the other."""
    for place, name in enumerate(members):
        if not is_integer(name):
            return [*sorted(members[:place], key=int), *members[place:]] if place > 1 else members
    return sorted(members, key=int)


# -- inside


def _elements(attempt: Attempt) -> Elements:
    return elements_of(attempt, TABLE)


def _in_order(row: KeyRow, records: list[Record]) -> list[bytes]:
    state = state_of(row)
    if state.encoding is Encoding.INTSET:
        return sorted([record[0] for record in records], key=int)
    below = state.sorted_below
    sorted_first = sorted([int(record[0]) for record in records if record[1] < below])
    rest = sorted([record for record in records if record[1] >= below], key=_number)
    return [*(b"%d" % value for value in sorted_first), *(record[0] for record in rest)]


def _number(record: Record) -> int:
    number: int = record[1]
    return number


def _shrink(db: Keyspace, row: KeyRow, number: int) -> None:
    row.size -= number
    if row.size:
        db.touch(row)
    else:
        db.remove(row)


def _replace(db: Keyspace, row: KeyRow, names: Sequence[bytes]) -> None:
    """Leave only these members: they are filed under a new id, which is cheaper than to delete most."""
    attempt = db.attempt
    attempt.discard_elements(row.key_id)
    row.key_id = attempt.next_id()
    attempt.fresh.add(row.key_id)
    # Redis too makes a new set here, so that few members that are left of many are kept in one piece again.
    _fill(db, row, names, min(state_of(row).encoding, Encoding.LISTPACK))
    db.touch(row)


def _fill(db: Keyspace, row: KeyRow, names: Sequence[bytes], first: Encoding) -> None:
    """Give a key without elements these members; `first` is what Redis would begin to collect them in."""
    state = row.state = SetState(encoding=first)
    records = [Member(name, state.take_number(name, size)) for size, name in enumerate(names)]
    row.size = len(records)
    _elements(db.attempt).fill(row, records)
