"""Members of sorted sets, drawn by chance."""

from __future__ import annotations

import random

from storage.elements import DIGEST_BYTES, FIRST, PAGE
from storage.key_rows import KeyRow
from storage.zsets import SortedSets, score_of

#: Each is drawn from so many neighbours in the order of digests: the gaps between digests differ, sums of many hardly
#: do. So many are drawn in one trip.
NEIGHBOURS = 64
_DRAWS = 100


def sample(store: SortedSets, row: KeyRow, count: int) -> list[tuple[bytes, float]]:
    """Up to `count` different members with their scores."""
    count = min(count, row.size)
    if row.size <= PAGE or 3 * count >= row.size:
        return random.sample(list(store.every(row)), count)
    found: dict[bytes, float] = {}
    while len(found) < count:
        found.update(_draw_some(store, row, count - len(found)))
    return list(found.items())


def draw(store: SortedSets, row: KeyRow, count: int) -> list[tuple[bytes, float]]:
    """`count` members with their scores, one drawn after the other, so that some may come several times."""
    if row.size <= PAGE or count >= row.size:
        return random.choices(list(store.every(row)), k=count)
    found: list[tuple[bytes, float]] = []
    while len(found) < count:
        found += _draw_some(store, row, count - len(found))
    return found


def _draw_some(store: SortedSets, row: KeyRow, count: int) -> list[tuple[bytes, float]]:
    """At least one and at most `count` members, in one trip."""
    places = [random.randbytes(DIGEST_BYTES) for _ in range(min(count, _DRAWS))]
    first, *others = store.neighbours(row, [FIRST, *places], NEIGHBOURS)
    # Behind the last digest comes the first.
    drawn = [random.choice(rows + first[: NEIGHBOURS - len(rows)]) for rows in others]
    return [(entry[1], score_of(entry)) for entry in store.entries(drawn)]
