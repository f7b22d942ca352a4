"""Numbers that are unique over all instances and never used again: key ids, versions, spaces, incarnations.

They come in blocks from one row, so a number costs no round trip.  A block that is not used up is lost; at a million
numbers a second the range lasts 290 thousand years.
"""

from __future__ import annotations

import threading

from storage.database import Database

_LOCK_NEXT = "SELECT next FROM rowdis_sequence WHERE name='id' FOR UPDATE"
_TAKE = "UPDATE rowdis_sequence SET next=next+%s WHERE name='id'"

BLOCK = 1_000_000


class Identifiers:
    """Hands out numbers to any thread.

    `refill` opens a session of its own, so it is called where the calling thread holds none; `next` inside of a unit
    takes from what `refill` made sure of.
    """

    def __init__(self, database: Database, block: int = BLOCK) -> None:
        self._database = database
        self._block = block
        self._lock = threading.Lock()
        self._numbers = iter(range(0))
        self._spare: range | None = None

    def refill(self) -> None:
        """Make sure that a whole block is at hand. Raises StorageError when the database is away and it is not."""
        if self._spare is None:
            with self._lock:
                if self._spare is None:
                    first = self._take()
                    self._spare = range(first, first + self._block)

    def next(self) -> int:
        """A number nobody else has."""
        try:
            # Without the lock: workers ask for every key they write, and stepping an iterator is atomic.
            return next(self._numbers)
        except StopIteration:
            return self._next_of_spare()

    def _next_of_spare(self) -> int:
        with self._lock:
            number = next(self._numbers, None)
            if number is None:
                if self._spare is None:
                    raise RuntimeError("a unit used more numbers than there are in a block")
                self._numbers, self._spare = iter(self._spare), None
                number = next(self._numbers)
            return number

    def _take(self) -> int:
        tables = self._database.tables
        with self._database.session() as connection, self._database.atomic():
            first = connection.fetch(tables.sql(_LOCK_NEXT))[0][0]
            connection.defer(tables.sql(_TAKE), (self._block,))
        return int(first)
