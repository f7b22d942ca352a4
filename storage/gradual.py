"""Sorting many things without keeping all other threads waiting: `sorted` gives way to nobody until it is done."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

T = TypeVar("T")

#: Things that are sorted, and freed, at one time: some milliseconds.
TOGETHER = 4000


def gradually_sorted(
    items: Iterable[T], *, key: Callable[[T], Any] | None = None, reverse: bool = False
) -> Iterator[T]:
    """What `sorted` gives, in the same order also of equal ones: parts are sorted, and merged while they are taken."""
    source = iter(items)
    parts: list[list[T]] = []
    while part := list(islice(source, TOGETHER)):
        part.sort(key=key, reverse=reverse)
        parts.append(part)
    if len(parts) == 1:
        return iter(parts[0])
    return heapq.merge(*map(_taken, parts), key=key, reverse=reverse)  # type: ignore[arg-type]


def _taken(part: list[T]) -> Iterator[T]:
    """The things of a part, which lets go of each."""
    part.reverse()
    while part:
        yield part.pop()
