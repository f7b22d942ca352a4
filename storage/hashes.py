"""Fields of hashes: their order, their values, and which of them are due.

A field that is due is an absent field for everybody, and stays in the tables until the sweeper takes it or a new value
replaces it.  `KeyRow.size` counts what is in the tables.

Hashes that Redis would keep in one piece are given in the order that this has there: fields that expire come first, the
earliest in front and of equals the latest set, then the others in the order in which they came.  `n` tells the order:
it grows, and is negative for fields that expire.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Self

from storage import overflow
from storage.connection import Row
from storage.effects import EventClass
from storage.elements import FIRST, PAGE, Elements, ElementTable, Record, elements_of, following
from storage.field_expiry import expiries_of
from storage.key_rows import KeyRow, Type
from storage.key_writer import MAX_ROWS
from storage.keyspace import Keyspace
from storage.unit import Attempt

#: Redis keeps a hash in one piece up to so many fields, none and no value of more than so many bytes.
COMPACT_FIELDS: Final = 512
COMPACT_BYTES: Final = 64
#: Fields of compact hashes that are read before the commands of a batch run.
_PREFETCHED: Final = 10_000

_STATE = struct.Struct(">QQB")
_IN_TABLE, _EXPIRES = 1, 2

_WHOLE = (
    "SELECT key_id, field, value, n, expire_at FROM rowdis_hash_field FORCE INDEX (PRIMARY) WHERE key_id IN ({rows})"
)
_FIELDS = (
    "SELECT digest, chunks, field, expire_at FROM rowdis_hash_field FORCE INDEX (PRIMARY) "
    "WHERE key_id=%s AND digest>=%s ORDER BY key_id, digest LIMIT %s"
)


class Field(NamedTuple):
    """One field as it is stored; `expire_at` is in milliseconds or None."""

    name: bytes
    value: bytes
    n: int
    expire_at: int | None


def _decode(columns: Sequence[Any]) -> Record:
    return Field(*columns)


def _encode(record: Record) -> Record:
    return record


TABLE = ElementTable("rowdis_hash_field", ("field", "value", "n", "expire_at"), _encode, _decode, long=(0, 1))


@dataclass(slots=True)
class HashState:
    """What the key row of a hash notes: the next insertion number, a time before which no field is due (0: none ever
    is), whether Redis would keep it in a table by now, and whether some field has ever had an expiry."""

    next_n: int = 1
    earliest: int = 0
    in_table: bool = False
    expires: bool = False

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        next_n, earliest, marks = _STATE.unpack(data)
        return cls(next_n, earliest, bool(marks & _IN_TABLE), bool(marks & _EXPIRES))

    def pack(self) -> bytes:
        return _STATE.pack(self.next_n, self.earliest, self.in_table * _IN_TABLE | self.expires * _EXPIRES)

    def take_number(self) -> int:
        number = self.next_n
        self.next_n = number + 1
        return number


def state_of(row: KeyRow) -> HashState:
    """The state of a hash, read from its key row when first asked for."""
    state = row.state
    if state is None:
        assert row.value is not None
        state = row.state = HashState.unpack(row.value)
    assert isinstance(state, HashState)
    return state


def encoding(row: KeyRow) -> bytes:
    """What OBJECT ENCODING says."""
    state = state_of(row)
    if state.in_table:
        return b"hashtable"
    return b"listpackex" if state.expires else b"listpack"


def is_compact(row: KeyRow) -> bool:
    """Redis would keep this hash in one piece, and give it in the order of that."""
    return not state_of(row).in_table


def create(db: Keyspace, name: bytes) -> KeyRow:
    """A new hash without fields, in the place of whatever the key was."""
    row = db.create_collection(name, Type.HASH)
    row.state = HashState()
    return row


# -- reading


def want(db: Keyspace, name: bytes, fields: Iterable[bytes]) -> None:
    """Note that a command to come will look for these fields of a hash, if it is there."""
    row = db.peek(name, Type.HASH)
    if row is not None:
        _elements(db.attempt).want(row, fields)


def want_all(db: Keyspace, name: bytes) -> None:
    """Note that a command to come will read the whole of a hash, if it is there and compact."""
    row = db.peek(name, Type.HASH)
    if row is not None and is_compact(row):
        _whole_of(db.attempt).want(row)


def get(db: Keyspace, row: KeyRow, name: bytes) -> Field | None:
    """A field, None where there is none."""
    return _live(db, _elements(db.attempt).get(row, name))


def get_many(db: Keyspace, row: KeyRow, names: Sequence[bytes]) -> list[Field | None]:
    """Several fields, in one trip."""
    return [_live(db, record) for record in _elements(db.attempt).get_many(row, names)]


def count(db: Keyspace, row: KeyRow) -> int:
    """How many fields there are."""
    return row.size - expiries_of(db.attempt).count_due(row) if _may_be_due(db, row) else row.size


def every(db: Keyspace, row: KeyRow) -> list[Field]:
    """All fields; those of a compact hash in order."""
    return list(each(db, row))


def each(db: Keyspace, row: KeyRow) -> Iterator[Field]:
    """What `every` gives, one by one: of a large hash no more than a page is held."""
    records: Sequence[Record]
    if is_compact(row):
        known = _whole_of(db.attempt).get(row)
        records = _elements(db.attempt).every(row) if known is None else known
        yield from sorted([field for record in records if (field := _live(db, record)) is not None], key=_order)
        return
    for _, record in _elements(db.attempt).each(row):
        field = _live(db, record)
        if field is not None:
            yield field


def every_name(db: Keyspace, row: KeyRow) -> list[bytes]:
    """The names of all fields; those of a compact hash in order. Values are not read if they may be long."""
    if is_compact(row):
        return [field.name for field in every(db, row)]
    found: list[bytes] = []
    start: bytes | None = FIRST
    while start is not None:
        rows = page_of_names(db, row, start, PAGE)
        found += [name for _, name in rows if name is not None]
        start = following(rows[-1][0]) if len(rows) == PAGE else None
    return found


def page(db: Keyspace, row: KeyRow, start: bytes, limit: int) -> list[tuple[bytes, Field | None]]:
    """Up to `limit` fields from a digest on, in the order of digests, with None for those that are due."""
    return [(digest, _live(db, record)) for digest, record in _elements(db.attempt).page(row, start, limit)]


def page_of_names(db: Keyspace, row: KeyRow, start: bytes, limit: int) -> list[tuple[bytes, bytes | None]]:
    """What `page` gives, with the names only."""
    _elements(db.attempt).flush()
    now = db.now_ms
    found: list[tuple[bytes, bytes | None]] = []
    for digest, chunks, name, expire_at in db.attempt.query_elements(_FIELDS, (row.key_id, start, limit)):
        live = expire_at is None or expire_at > now
        if live and chunks:
            name = overflow.load(db.attempt, chunks)[0]
        found.append((digest, name if live else None))
    return found


# -- writing


def set_many(db: Keyspace, row: KeyRow, pairs: Sequence[tuple[bytes, bytes]]) -> int:
    """Give fields values; they do not expire any more. How many there were not before."""
    get_many(db, row, [name for name, _ in pairs])
    if len(pairs) > COMPACT_FIELDS:
        state_of(row).in_table = True
    added = sum([_put(db, row, name, value, keep_expiry=False) for name, value in pairs])
    db.touch(row)
    return added


def put(db: Keyspace, row: KeyRow, name: bytes, value: bytes, *, keep_expiry: bool = False) -> bool:
    """Give a field a value; it does not expire any more unless told otherwise. Whether there was no such field."""
    added = _put(db, row, name, value, keep_expiry=keep_expiry)
    db.touch(row)
    return added


def _put(db: Keyspace, row: KeyRow, name: bytes, value: bytes, *, keep_expiry: bool) -> bool:
    state = state_of(row)
    elements = _elements(db.attempt)
    stored = elements.get(row, name)
    old = _live(db, stored)
    if old is not None and (keep_expiry or old.expire_at is None):
        n, expire_at = old.n, old.expire_at
    else:
        n, expire_at = state.take_number(), None
        if stored is None:
            row.size += 1
        elif stored[3] is not None:
            expiries_of(db.attempt).change(row, name, stored[3], None)
            if old is None:
                db.notify(EventClass.HASH, b"hexpired", row.name)
    elements.put(row, Field(name, value, n, expire_at))
    if row.size > COMPACT_FIELDS or len(value) > COMPACT_BYTES or len(name) > COMPACT_BYTES:
        state.in_table = True
    return old is None


def remove_many(db: Keyspace, row: KeyRow, names: Sequence[bytes]) -> int:
    """Delete fields, and the key with the last of them; how many there were."""
    elements = _elements(db.attempt)
    removed = gone = due = 0
    elements.get_many(row, names)
    for name in names:
        stored = elements.get(row, name)
        if stored is None:
            continue
        if stored[3] is not None:
            expiries_of(db.attempt).change(row, name, stored[3], None)
        if _live(db, stored) is not None:
            removed += 1
        else:
            due += 1
        gone += 1
        elements.remove(row, name)
    if gone:
        row.size -= gone
        db.touch(row)
        if row.size == 0 or count(db, row) == 0:
            due += row.size
            db.remove(row)
    if due:
        # Nobody else will tell of them: they are swept herewith.
        db.notify(EventClass.HASH, b"hexpired", row.name)
    return removed


def expire(db: Keyspace, row: KeyRow, field: Field, expire_at: int | None) -> None:
    """Let a field expire at a time in milliseconds that is to come; None: never."""
    state = state_of(row)
    number = state.take_number()
    expiries = expiries_of(db.attempt)
    expiries.change(row, field.name, field.expire_at, expire_at)
    if expire_at is not None:
        number = -number
        state.expires = True
        if not state.earliest or expire_at < state.earliest:
            state.earliest = expire_at
            expiries.locate(row, expire_at)
    _elements(db.attempt).put(row, field._replace(n=number, expire_at=expire_at))
    db.touch(row)


# -- inside


def _elements(attempt: Attempt) -> Elements:
    return elements_of(attempt, TABLE)


def _may_be_due(db: Keyspace, row: KeyRow) -> bool:
    return 0 < state_of(row).earliest <= db.now_ms


def _live(db: Keyspace, record: Record | None) -> Field | None:
    if record is None or (record[3] is not None and record[3] <= db.now_ms):
        return None
    return record if isinstance(record, Field) else Field(*record)


def _order(field: Field) -> tuple[bool, int, int]:
    return field.expire_at is None, field.expire_at or 0, field.n


def _whole_of(attempt: Attempt) -> _WholeHashes:
    found: _WholeHashes | None = attempt.parts.get("whole hashes")
    if found is None:
        found = attempt.parts["whole hashes"] = _WholeHashes(attempt)
    return found


class _WholeHashes:
    """Compact hashes that are read as wholes before the commands of a batch run, by one SELECT for all of them."""

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._wanted: dict[int, KeyRow] = {}
        self._left = _PREFETCHED
        # With the version that the key had then: what was changed since is not in here.
        self._read: dict[int, tuple[int, list[Field]]] = {}
        attempt.prefetchers.append(self.prefetch)

    def want(self, row: KeyRow) -> None:
        if row.key_id not in self._wanted and row.size <= self._left:
            self._left -= row.size
            self._wanted[row.key_id] = row

    def prefetch(self) -> None:
        wanted, self._wanted = list(self._wanted.values()), {}
        for start in range(0, len(wanted), MAX_ROWS):
            some = wanted[start : start + MAX_ROWS]
            for row in some:
                self._read[row.key_id] = row.version, []
            ids = sorted([row.key_id for row in some])
            self._attempt.defer_query(_WHOLE, ids, self._take, rows=("%s", len(ids)))

    def get(self, row: KeyRow) -> list[Field] | None:
        """All fields, in no order; None if they were not read, or changed since."""
        version, fields = self._read.get(row.key_id, (0, []))
        return fields if version == row.version and version else None

    def _take(self, rows: tuple[Row, ...]) -> None:
        for key_id, *columns in rows:
            self._read[key_id][1].append(Field(*columns))
