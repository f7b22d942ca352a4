"""Ranges of sorted sets by the bytes of members alone.

They mean something if all members have the same score: then such a range is one of the index.  With different scores
Redis promises nothing; this does what it does with small sorted sets: it goes through the order of scores from the
first member that is in the range up to the first one that is beyond it, so the time is that of reading all.
"""

from __future__ import annotations

from dataclasses import dataclass

from storage.key_rows import KeyRow
from storage.zset_order import BEGIN, END, Entry, Place
from storage.zsets import SortedSets


@dataclass(frozen=True)
class LexRange:
    """The members from `start` on that come before `stop`, None: to the end."""

    start: bytes
    stop: bytes | None

    @property
    def empty(self) -> bool:
        return self.stop is not None and self.start >= self.stop

    def too_low(self, member: bytes) -> bool:
        return member < self.start

    def too_high(self, member: bytes) -> bool:
        return self.stop is not None and member >= self.stop

    def places(self, score: int) -> tuple[Place, Place]:
        """The same range among the members with one score."""
        return (score, self.start), ((score + 1, b"") if self.stop is None else (score, self.stop))


#: The range in which no member is.
NOTHING = LexRange(b"", b"")


def want(
    store: SortedSets, row: KeyRow, wanted: LexRange, *, reverse: bool = False, offset: int = 0,
    limit: int | None = None,
) -> None:  # fmt: skip
    """Say that `entries` will be called so."""
    score = store.known_uniform_score(row)
    if score is not None and not wanted.empty:
        store.want_slice(row, *wanted.places(score), reverse=reverse, offset=offset, limit=limit)


def entries(
    store: SortedSets, row: KeyRow, wanted: LexRange, *, reverse: bool = False, offset: int = 0,
    limit: int | None = None,
) -> list[Entry]:  # fmt: skip
    """The elements of a range, without the first `offset`, at most `limit`; `reverse`: from the end."""
    if wanted.empty:
        return []
    score = store.uniform_score(row)
    if score is not None:
        return store.slice(row, *wanted.places(score), reverse=reverse, offset=offset, limit=limit)
    found = _walk(store, row, wanted, reverse)
    return found[offset:] if limit is None else found[offset : offset + limit]


def count(store: SortedSets, row: KeyRow, wanted: LexRange) -> int:
    """How many elements a range has."""
    if wanted.empty:
        return 0
    score = store.uniform_score(row)
    if score is not None:
        return store.count(row, *wanted.places(score))
    return len(_walk(store, row, wanted, reverse=False))


def remove(store: SortedSets, row: KeyRow, wanted: LexRange) -> int:
    """Remove the elements of a range; how many there were."""
    if wanted.empty:
        return 0
    score = store.uniform_score(row)
    if score is not None:
        return store.remove_range(row, *wanted.places(score))
    found = _walk(store, row, wanted, reverse=False)
    if found:
        store.remove_entries(row, found)
    return len(found)


def _walk(store: SortedSets, row: KeyRow, wanted: LexRange, reverse: bool) -> list[Entry]:
    """The elements of a range where scores differ."""
    first = store.slice(row, BEGIN, END, limit=1)
    last = store.slice(row, BEGIN, END, reverse=True, limit=1)
    if not first or wanted.too_high(first[0][1]) or wanted.too_low(last[0][1]):
        return []
    not_yet, no_more = (wanted.too_high, wanted.too_low) if reverse else (wanted.too_low, wanted.too_high)
    found: list[Entry] = []
    for page in store.pages(row, reverse=reverse):
        for entry in page:
            if not found and not_yet(entry[1]):
                continue
            if no_more(entry[1]):
                return found
            found.append(entry)
    return found
