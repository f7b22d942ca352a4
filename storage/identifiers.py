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
        self._next = 0
        self._end = 0
        self._spare: tuple[int, int] | None = None

    def refill(self) -> None:
        """Make sure that half a block is at hand. Raises StorageError when the database is away and it is not."""
        if self._spare is not None or self._end - self._next > self._block // 2:
            return
        with self._lock:
            if self._spare is not None or self._end - self._next > self._block // 2:
                return
            first = self._take()
            if self._next >= self._end:
                self._next, self._end = first, first + self._block
            else:
                self._spare = (first, first + self._block)

    def next(self) -> int:
        """A number nobody else has."""
        with self._lock:
            if self._next >= self._end:
                if self._spare is None:
                    raise RuntimeError("a unit used more numbers than half a block")
                (self._next, self._end), self._spare = self._spare, None
            number = self._next
            self._next += 1
            return number

    def _take(self) -> int:
        tables = self._database.tables
        with self._database.session() as connection, self._database.atomic():
            first = connection.fetch(tables.sql(_LOCK_NEXT))[0][0]
            connection.defer(tables.sql(_TAKE), (self._block,))
        return int(first)
