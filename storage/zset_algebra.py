"""Unions, intersections and differences of sorted sets; plain sets take part, each member with the score 1.

What is read of an input is read page by page, but results are made in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from storage import sets, zsets
from storage.elements import PAGE
from storage.gradual import gradually_sorted
from storage.key_rows import KeyRow, Type
from storage.keyspace import Keyspace

#: Member -> score.
Scores: TypeAlias = dict[bytes, float]
#: Of two scores of a member, the one it gets.
Aggregate: TypeAlias = Callable[[float, float], float]

#: An input of so many times as many members as are looked for is not read whole.
_MUCH_LARGER = 4


def total(one: float, other: float) -> float:
    """The sum, 0 if it is none: of opposite infinities."""
    found = one + other
    return found if found == found else 0.0


@dataclass(frozen=True)
class Input:
    """A key that takes part, None if it is absent, and what its scores are multiplied by."""

    row: KeyRow | None
    weight: float = 1.0

    @property
    def size(self) -> int:
        return 0 if self.row is None else self.row.size

    def weighted(self, score: float) -> float:
        found = self.weight * score
        return found if found == found else 0.0


def union(db: Keyspace, inputs: Sequence[Input], aggregate: Aggregate) -> Scores:
    """All members of any input; scores are aggregated in the order of the inputs' sizes."""
    found: Scores = {}
    for source in sorted(inputs, key=_size):
        for member, score in _every(db, source):
            weighted = source.weighted(score)
            old = found.get(member)
            found[member] = weighted if old is None else aggregate(old, weighted)
    return found


def intersection(db: Keyspace, inputs: Sequence[Input], aggregate: Aggregate) -> Scores:
    """The members that all inputs have."""
    first, *others = sorted(inputs, key=_size)
    if first.size == 0:
        return {}
    found = {member: first.weighted(score) for member, score in _every(db, first)}
    for source in others:
        looked_up = _look_up(db, source, found)
        found = {
            member: aggregate(score, source.weight * looked_up[member])
            for member, score in found.items()
            if member in looked_up
        }
    return found


def count_common(db: Keyspace, inputs: Sequence[Input], limit: int) -> int:
    """How many members all inputs have, at most `limit`."""
    first, *others = sorted(inputs, key=_size)
    if first.size == 0:
        return 0
    count = 0
    for members in _in_pages(member for member, _ in _every(db, first)):
        found = members
        for source in others:
            looked_up = _look_up(db, source, found)
            found = [member for member in found if member in looked_up]
        count += len(found)
        if count >= limit:
            return limit
    return count


def difference(db: Keyspace, inputs: Sequence[Input]) -> Scores:
    """The members of the first input that no other has."""
    first, *others = inputs
    found = dict(_every(db, first))
    for source in others:
        if not found:
            break
        for member in _look_up(db, source, found):
            found.pop(member, None)
    return found


def in_order(found: Scores) -> list[tuple[bytes, float]]:
    """Members with scores in the order of a sorted set."""
    return list(gradually_sorted(found.items(), key=lambda pair: (pair[1], pair[0])))


def _size(source: Input) -> int:
    return source.size


def _every(db: Keyspace, source: Input) -> Iterator[tuple[bytes, float]]:
    row = source.row
    if row is None:
        return
    if row.type == Type.ZSET:
        yield from zsets.of(db).every(row)
    else:
        for names in sets.pages(db, row):
            for name in names:
                yield name, 1.0


def _look_up(db: Keyspace, source: Input, members: Iterable[bytes]) -> Scores:
    """The scores of an input, of these members and perhaps of others."""
    row = source.row
    wanted = list(members)
    if row is None or not wanted:
        return {}
    if row.size <= _MUCH_LARGER * len(wanted):
        return dict(_every(db, source))
    found: Scores = {}
    for some in _in_pages(wanted):
        if row.type == Type.ZSET:
            scores = zsets.of(db).scores(row, some)
            found.update((member, score) for member, score in zip(some, scores, strict=True) if score is not None)
        else:
            found.update(dict.fromkeys(sets.present(db, row, some), 1.0))
    return found


def _in_pages(members: Iterable[bytes]) -> Iterator[list[bytes]]:
    some: list[bytes] = []
    for member in members:
        some.append(member)
        if len(some) == PAGE:
            yield some
            some = []
    if some:
        yield some


#: By the words that name them. Of equal scores, 0 and -0 too, the earlier one stays.
AGGREGATES: dict[bytes, Aggregate] = {
    b"SUM": total,
    b"MIN": lambda one, other: other if other < one else one,
    b"MAX": lambda one, other: other if other > one else one,
}
