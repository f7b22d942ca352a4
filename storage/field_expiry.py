"""When fields of hashes expire: which are due in a hash, and which hashes have fields that may be due.

A field's own row says when it expires.  Beside it `rowdis_field_expiry` holds the same in order of time, so that due
fields are counted and found without looking at the others.  `rowdis_hash_expiry` has one row per hash with such fields:
where its key is and a time before which none of its fields is due, for the sweeper.  The same time is in the hash's
state in the key row, for readers.  It may be too early, since nobody looks for the next field when one goes; the
sweeper puts it right.

Rows of a hash that is gone are found by nobody, since its key is not there any more, and the reaper clears them away.
"""

from __future__ import annotations

from collections.abc import Sequence

from storage.key_rows import KeyRow, digest_of
from storage.key_writer import MAX_ROWS
from storage.unit import Attempt

_INSERT = "INSERT INTO rowdis_field_expiry (key_id, expire_at, digest) VALUES {rows}"
# A plain DELETE takes no index hint: MariaDB reads, and locks, the whole of a small table for a list of keys.
_DELETE = (
    "DELETE e FROM (SELECT %s AS key_id, %s AS expire_at, %s AS digest{rows}) w STRAIGHT_JOIN "
    "rowdis_field_expiry e FORCE INDEX (PRIMARY) "
    "ON e.key_id=w.key_id AND e.expire_at=w.expire_at AND e.digest=w.digest"
)
_MORE = " UNION ALL SELECT %s,%s,%s"
_GROUP = "(%s,%s,%s)"
_COUNT_DUE = "SELECT COUNT(*) FROM rowdis_field_expiry FORCE INDEX (PRIMARY) WHERE key_id=%s AND expire_at<=%s"
_LOCATE = (
    "INSERT INTO rowdis_hash_expiry (key_id, expire_at, space, digest) VALUES {rows} "
    "ON DUPLICATE KEY UPDATE expire_at=VALUES(expire_at), space=VALUES(space), digest=VALUES(digest)"
)
_LOCATE_GROUP = "(%s,%s,%s,%s)"

#: The id of a hash and the digest of a field.
Place = tuple[int, bytes]
#: A row of rowdis_field_expiry: id of the hash, time, digest of the field.
Entry = tuple[int, int, bytes]


def expiries_of(attempt: Attempt) -> FieldExpiries:
    """The expiries that an attempt changes, one object for the whole attempt."""
    found: FieldExpiries | None = attempt.parts.get("field_expiry")
    if found is None:
        found = attempt.parts["field_expiry"] = FieldExpiries(attempt)
    return found


class FieldExpiries:
    """Buffers what an attempt changes in the two tables; `flush` writes it by a few multi-row statements."""

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        # What the table holds and what it shall hold, of fields whose expiry was changed; None: no row.
        self._stored: dict[Place, int | None] = {}
        self._changed: dict[Place, int | None] = {}
        # Hashes whose earliest expiry was changed, with that time.
        self._earliest: dict[int, tuple[KeyRow, int]] = {}
        attempt.flushers.append(self.flush)

    def change(self, row: KeyRow, field: bytes, old: int | None, new: int | None) -> None:
        """A field that expired at `old` does so at `new` from now on, both in milliseconds; None: never."""
        place = row.key_id, digest_of(field)
        self._stored.setdefault(place, old)
        self._changed[place] = new

    def locate(self, row: KeyRow, earliest: int) -> None:
        """Fields of this hash may be due from now on at this time, in milliseconds."""
        self._earliest[row.key_id] = row, earliest

    def count_due(self, row: KeyRow) -> int:
        """How many fields are due and not swept yet."""
        self.flush()
        found = self._attempt.query_elements(_COUNT_DUE, (row.key_id, self._attempt.now_ms))
        return int(found[0][0])

    def flush(self) -> None:
        """Defer everything that was changed; deletes before inserts."""
        if self._changed:
            self._flush_fields()
        if self._earliest:
            located, self._earliest = self._earliest, {}
            # A row that has lost its elements since has nothing to be found any more.
            rows = [
                (key_id, earliest, row.space, row.digest)
                for key_id, (row, earliest) in sorted(located.items(), key=lambda item: item[0])
                if row.key_id == key_id
            ]
            for start in range(0, len(rows), MAX_ROWS):
                some = rows[start : start + MAX_ROWS]
                arguments = [column for entry in some for column in entry]
                self._attempt.write(_LOCATE, arguments, rows=(_LOCATE_GROUP, len(some)))

    def _flush_fields(self) -> None:
        changed, self._changed = self._changed, {}
        deletes: list[Entry] = []
        inserts: list[Entry] = []
        for place, new in changed.items():
            old = self._stored[place]
            if old != new:
                key_id, digest = place
                if old is not None:
                    deletes.append((key_id, old, digest))
                if new is not None:
                    inserts.append((key_id, new, digest))
                self._stored[place] = new
        defer_deletes(self._attempt, deletes)
        inserts.sort()
        for start in range(0, len(inserts), MAX_ROWS):
            some = inserts[start : start + MAX_ROWS]
            arguments = [column for entry in some for column in entry]
            self._attempt.write(_INSERT, arguments, rows=(_GROUP, len(some)))


def defer_deletes(attempt: Attempt, entries: Sequence[Entry]) -> None:
    """Defer the deletion of rows of rowdis_field_expiry."""
    ordered = sorted(entries)
    for start in range(0, len(ordered), MAX_ROWS):
        some = ordered[start : start + MAX_ROWS]
        arguments = [column for entry in some for column in entry]
        attempt.write(_DELETE.replace("{rows}", _MORE * (len(some) - 1)), arguments)
