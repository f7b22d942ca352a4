"""Chunks of long strings as one attempt sees them: read once, changed in memory, written when the attempt flushes.

A pipeline of a thousand SETBIT or APPEND to one chunk costs one read and one write of it.  A chunk that is not stored
is `b""` here.  Only some are held at a time; who goes through many reads them page by page and not from here.
"""

from __future__ import annotations

from collections.abc import Sequence

from storage.connection import Row
from storage.unit import Attempt

#: Chunks held at a time, or fetched by one SELECT: 4 MiB.
PAGE = 64

_READ = (
    "SELECT key_id, n, data FROM rowdis_string_chunk FORCE INDEX (PRIMARY) "
    "WHERE (key_id,n) IN ({rows}) ORDER BY key_id, n"
)
_WRITE = "INSERT INTO rowdis_string_chunk (key_id, n, data) VALUES (%s,%s,%s) ON DUPLICATE KEY UPDATE data=VALUES(data)"

#: A key id and the number of a chunk.
Place = tuple[int, int]


def chunks_of(attempt: Attempt) -> Chunks:
    """The chunks of an attempt, made when somebody first asks."""
    found: Chunks | None = attempt.parts.get("chunks")
    if found is None:
        found = attempt.parts["chunks"] = Chunks(attempt)
    return found


class Chunks:
    """An identity map of chunks with prefetch and deferred writes."""

    __slots__ = ("_attempt", "_dirty", "_held", "_wanted")

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._held: dict[Place, bytes] = {}
        self._dirty: set[Place] = set()
        self._wanted: set[Place] = set()
        attempt.prefetchers.append(self.prefetch)
        attempt.flushers.append(self.flush)

    def want(self, key_id: int, n: int) -> None:
        """Note a chunk that a command to come will look for; `prefetch` reads all of them at once."""
        if len(self._held) + len(self._wanted) < PAGE:
            self._wanted.add((key_id, n))

    def prefetch(self) -> None:
        """Defer the reading of everything wanted; it is held after the attempt's next trip."""
        wanted, self._wanted = sorted(self._wanted - self._held.keys()), set()
        if wanted:
            self._defer_read(wanted)

    def get(self, key_id: int, numbers: Sequence[int]) -> list[bytes]:
        """Some chunks of a string, fewer than PAGE; those not held are read in one trip."""
        missing = [(key_id, n) for n in numbers if (key_id, n) not in self._held]
        if missing:
            self._make_room(len(missing))
            # What was to be got may just have made room.
            self._defer_read([(key_id, n) for n in numbers if (key_id, n) not in self._held])
            self._attempt.connection.send()
        return [self._held[key_id, n] for n in numbers]

    def put(self, key_id: int, n: int, data: bytes) -> None:
        """Replace a chunk, or make it."""
        if (key_id, n) not in self._held:
            self._make_room(1)
        self._held[key_id, n] = data
        self._dirty.add((key_id, n))

    def flush(self) -> None:
        """Defer the writing of what was changed, so that queries see it."""
        dirty, self._dirty = sorted(self._dirty), set()
        for key_id, n in dirty:
            self._attempt.write(_WRITE, (key_id, n, self._held[key_id, n]))

    def _make_room(self, count: int) -> None:
        if len(self._held) + count > PAGE:
            self.flush()
            self._held.clear()

    def _defer_read(self, places: list[Place]) -> None:
        for place in places:
            self._held[place] = b""
        arguments = [number for place in places for number in place]
        self._attempt.defer_query(_READ, arguments, self._take, rows=("(%s,%s)", len(places)))

    def _take(self, rows: tuple[Row, ...]) -> None:
        for key_id, n, data in rows:
            self._held[key_id, n] = data
