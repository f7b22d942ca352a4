"""What the commands of a unit have done outside of the database, where no roll-back undoes it.

A unit may be tried several times.  What a command keeps here it finds again in the next try, where it must go on from
what has happened instead of doing it twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


class Deeds:
    """The records of one unit's commands, in the order in which these were executed."""

    __slots__ = ("_position", "_records")

    def __init__(self) -> None:
        self._records: list[tuple[tuple[bytes, ...], Any]] = []
        self._position = 0

    def start_over(self) -> None:
        """A new try begins."""
        self._position = 0

    def record(self, request: Sequence[bytes], make: Callable[[], T]) -> T:
        """The record that this command kept in the last try, else a new one.

        Commands are told apart by their words and their order, since a script makes new requests in each try.
        """
        words = tuple(request)
        for position in range(self._position, len(self._records)):
            known, found = self._records[position]
            if known == words:
                self._position = position + 1
                return found  # type: ignore[no-any-return]  # `make` of the same command made it
        made = make()
        self._records.insert(self._position, (words, made))
        self._position += 1
        return made
