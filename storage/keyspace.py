"""One logical database inside of a unit of work: what commands see of storage."""

from __future__ import annotations

from storage.connection import Arguments, Row
from storage.unit import Attempt, KeyRow, Mode, Type

_PAGE = (
    "SELECT name, type, expire_at, digest FROM rowdis_key FORCE INDEX (PRIMARY) "
    "WHERE space=%s AND digest>=%s ORDER BY space, digest LIMIT %s"
)
_COUNT = (
    "SELECT COUNT(*), COUNT(expire_at), COALESCE(AVG(expire_at),0) FROM rowdis_key "
    "WHERE space=%s AND (expire_at IS NULL OR expire_at>%s)"
)


class Keyspace:
    """One database, by its number, for the time of one attempt.

    Finding a key takes expiry into account: an expired key is an absent key.
    """

    __slots__ = ("attempt", "db", "space")

    def __init__(self, attempt: Attempt, db: int) -> None:
        self.attempt = attempt
        self.db = db
        self.space = attempt.space_of(db)

    @property
    def now_ms(self) -> int:
        """The unit's time, milliseconds since the epoch."""
        return self.attempt.now_ms

    @property
    def writes(self) -> bool:
        """Whether this unit may change anything."""
        return self.attempt.mode is Mode.WRITE

    def find(self, name: bytes) -> KeyRow | None:
        """The row of a key, or None where there is none."""
        return self.attempt.find(self.space, name)

    def version(self, name: bytes) -> int:
        """The version of a key as WATCH remembers it; 0 for an absent key."""
        row = self.attempt.find(self.space, name)
        return row.version if row is not None else 0

    def overwrite(self, name: bytes) -> KeyRow:
        """The row of a key, emptied of whatever it was, to be filled by the caller."""
        return self.attempt.overwrite(self.space, name)

    def create(self, name: bytes, kind: Type) -> KeyRow:
        """A new key of a type, without elements yet."""
        row = self.attempt.overwrite(self.space, name)
        row.type = kind
        row.size = 0
        row.value = None
        return row

    def touch(self, row: KeyRow) -> None:
        """Mark a row as changed; it gets a new version."""
        self.attempt.touch(row)

    def remove(self, row: KeyRow) -> None:
        """Delete a key; its elements are left to the reaper, so the cost does not depend on its size."""
        self.attempt.remove(row)

    def query(self, template: str, arguments: Arguments = ()) -> tuple[Row, ...]:
        return self.attempt.query(template, arguments)

    def page(self, start: bytes, count: int) -> list[tuple[bytes, int, bytes]]:
        """(name, type, digest) of up to `count` key rows from a digest on, in digest order; expired ones left out.

        The second of the pair is the place to go on from, None at the end.
        """
        rows = self.query(_PAGE, (self.space, start, count))
        now = self.now_ms
        return [
            (name, kind, digest)
            for name, kind, expire_at, digest in rows
            if kind and (expire_at is None or expire_at > now)
        ]

    def count(self) -> tuple[int, int, int]:
        """How many keys there are, how many of them expire, and the mean time until they do in milliseconds.

        Counts rows, so it takes time in proportion to their number.
        """
        keys, expires, mean = self.query(_COUNT, (self.space, self.now_ms))[0]
        return int(keys), int(expires), max(0, round(float(mean)) - self.now_ms) if expires else 0
