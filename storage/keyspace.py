"""One logical database inside of a unit of work: what commands see of storage."""

from __future__ import annotations

from storage.connection import Arguments, Row
from storage.effects import Event, EventClass
from storage.key_rows import KeyRow, Type
from storage.unit import Attempt, Mode

_COUNT = (
    "SELECT COUNT(*), COUNT(expire_at), COALESCE(AVG(expire_at),0) FROM rowdis_key "
    "WHERE space=%s AND (expire_at IS NULL OR expire_at>%s)"
)
# The index holds all that is counted, and no values: a scan of it touches a fraction of the pages.
_COUNT_ALL = (
    "SELECT space, COUNT(*), COUNT(expire_at), COALESCE(AVG(expire_at),0) FROM rowdis_key "
    "FORCE INDEX (rowdis_key_expiry) WHERE space IN ({rows}) AND (expire_at IS NULL OR expire_at>%s) GROUP BY space"
)


def keyspace_of(attempt: Attempt, db: int) -> Keyspace:
    """The keyspace of a database number, made once per attempt."""
    found: Keyspace | None = attempt.keyspaces.get(db)
    if found is None:
        found = attempt.keyspaces[db] = Keyspace(attempt, db)
    return found


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
        """The version of a key as WATCH remembers it; 0 for an absent key. Counts nothing."""
        return self.attempt.version_of(self.db, name)

    def find_quietly(self, name: bytes) -> KeyRow | None:
        """The row of a key, or None; that there is none is no event, unlike where a command that reads finds none."""
        return self._find(name, tells_misses=False)

    def find_source(self, name: bytes) -> KeyRow | None:
        """The row of a key that a command which may write only reads, or None, which is an event."""
        return self._find(name, tells_misses=True)

    def _find(self, name: bytes, *, tells_misses: bool) -> KeyRow | None:
        attempt = self.attempt
        usual, attempt.tells_misses = attempt.tells_misses, tells_misses
        try:
            return attempt.find(self.space, name)
        finally:
            attempt.tells_misses = usual

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

    def create_collection(self, name: bytes, kind: Type) -> KeyRow:
        """A new key of a type that has elements, with an id to file them under."""
        row = self.create(name, kind)
        row.key_id = self.attempt.next_id()
        self.attempt.fresh.add(row.key_id)
        return row

    def peek(self, name: bytes, kind: Type) -> KeyRow | None:
        """The row of a key of this type if the unit has read it already; for prefetching."""
        return self.attempt.peek(self.space, name, kind)

    def touch(self, row: KeyRow) -> None:
        """Mark a row as changed; it gets a new version."""
        self.attempt.touch(row)

    def remove(self, row: KeyRow) -> None:
        """Delete a key; its elements are left to the reaper, so the cost does not depend on its size."""
        self.attempt.remove(row)

    # -- events

    def notify(self, kind: EventClass, event: bytes, name: bytes) -> None:
        """Tell of an event of a key when the unit has committed, if `notify-keyspace-events` wants it."""
        attempt = self.attempt
        if attempt.wanted_events and attempt.wanted_events & kind:
            attempt.effects.append(Event(event, self.db, name))

    def notify_shrunk(self, kind: EventClass, event: bytes, row: KeyRow) -> None:
        """Tell that a collection has lost elements, and if these were the last ones, that the key is gone."""
        if self.attempt.wanted_events:
            self.notify(kind, event, row.name)
            if row.type == Type.NONE:
                self.notify(EventClass.GENERIC, b"del", row.name)

    def delete(self, name: bytes) -> bool:
        """Remove a key and tell of it; whether there was one."""
        row = self.attempt.find(self.space, name)
        if row is None:
            return False
        self.attempt.remove(row)
        self.notify(EventClass.GENERIC, b"del", name)
        return True

    def query(self, template: str, arguments: Arguments = ()) -> tuple[Row, ...]:
        return self.attempt.query(template, arguments)

    def count(self) -> tuple[int, int, int]:
        """How many keys there are, how many of them expire, and the mean time until they do in milliseconds.

        Counts rows, so it takes time in proportion to their number.
        """
        keys, expires, mean = self.query(_COUNT, (self.space, self.now_ms))[0]
        return int(keys), int(expires), max(0, round(float(mean)) - self.now_ms) if expires else 0


def count_all(attempt: Attempt) -> dict[int, tuple[int, int, int]]:
    """What `Keyspace.count` gives, for all databases that are not empty, by their numbers."""
    numbers = {space: db for db, space in attempt.map.spaces.items()}
    rows = attempt.query(_COUNT_ALL, (*numbers, attempt.now_ms), rows=("%s", len(numbers)))
    return {
        numbers[space]: (
            int(keys), int(expires), max(0, round(float(mean)) - attempt.now_ms) if expires else 0
        )
        for space, keys, expires, mean in rows
    }  # fmt: skip
