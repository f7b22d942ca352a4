"""Writing key rows: many of them in a few statements, under locks that their unit of work holds."""

from __future__ import annotations

from collections.abc import Iterator

from storage.connection import Connection
from storage.key_rows import KeyRow
from storage.tables import Tables, values

#: Rows that one locking SELECT or one INSERT may hold: longer lists make MariaDB scan and lock the whole table.
MAX_ROWS = 500

_INSERT = (
    "INSERT INTO rowdis_key (space, digest, name, key_id, type, version, expire_at, size, value, orphan) VALUES {rows}"
)
_ROW = "(%s,%s,%s,%s,%s,%s,%s,%s,%s,%s)"
_PLAIN_ROW = "(%s,%s,%s,0,1,%s,NULL,%s,%s,0)"
_UPSERT = (
    f"{_INSERT} ON DUPLICATE KEY UPDATE key_id=VALUES(key_id), type=VALUES(type), version=VALUES(version), "
    "expire_at=VALUES(expire_at), size=VALUES(size), value=VALUES(value), orphan=VALUES(orphan)"
)
# Assignments run left to right: the old key_id is saved before it is replaced. A row with an orphan has key_id 0 until
# somebody locks it and moves the orphan to the garbage, so no orphan is ever overwritten by another.
_BLIND = (
    "INSERT INTO rowdis_key (space, digest, name, key_id, type, version, expire_at, size, value) VALUES {rows} "
    "ON DUPLICATE KEY UPDATE orphan=IF(key_id<>0,key_id,orphan), key_id=0, type=1, version=VALUES(version), "
    "expire_at=VALUES(expire_at), size=VALUES(size), value=VALUES(value)"
)
_BLIND_ROW = "(%s,%s,%s,0,1,%s,%s,%s,%s)"
_PLACEHOLDER_ROW = "(%s,%s,%s,0,0,0,NULL,0,NULL,0)"
_DELETE = "DELETE FROM rowdis_key WHERE digest=%s AND space=%s"
# A plain DELETE takes no index hint, and MariaDB reads, and locks, the whole of a small table for a list of its keys.
_DELETE_MANY = (
    "DELETE k FROM (SELECT %s AS digest{rows}) w STRAIGHT_JOIN rowdis_key k FORCE INDEX (PRIMARY) "
    "ON k.digest=w.digest AND k.space=%s"
)


class KeyWriter:
    """Defers the statements of one attempt that write key rows."""

    def __init__(self, connection: Connection, tables: Tables) -> None:
        self._connection = connection
        self._sql = tables.sql

    def write(self, rows: list[KeyRow]) -> None:
        """Write rows as they are now, in their order; deletes before inserts."""
        deletes: list[KeyRow] = []
        inserts: list[KeyRow] = []
        upserts: list[KeyRow] = []
        blind: list[KeyRow] = []
        for row in rows:
            if row.blind:
                blind.append(row)
            elif row.type == 0:
                if row.stored:
                    deletes.append(row)
                    row.stored = False
            elif row.stored:
                upserts.append(row)
            else:
                inserts.append(row)
                row.stored = True
        for some in self._batches(deletes):
            self._delete_all(some)
        self._put(_INSERT, inserts)
        self._put(_UPSERT, upserts)
        for some in self._batches(blind):
            arguments: list[bytes | int | None] = []
            for row in some:
                arguments += (row.space, row.digest, row.name, row.version, row.expire_at, row.size, row.value)
            self._connection.defer(values(self._sql(_BLIND), _BLIND_ROW, len(some)), arguments)

    def hold(self, rows: list[KeyRow]) -> None:
        """Insert rows that are absent and delete them again: fails if one is there meanwhile, and keeps them absent."""
        for some in self._batches(rows):
            arguments = [column for row in some for column in (row.space, row.digest, row.name)]
            self._connection.defer(values(self._sql(_INSERT), _PLACEHOLDER_ROW, len(some)), arguments)
            self._delete_all(some)

    def delete(self, space: int, digests: list[bytes]) -> None:
        """Delete at most MAX_ROWS rows that are locked."""
        if len(digests) == 1:
            template = self._sql(_DELETE)
        else:
            template = self._sql(_DELETE_MANY).replace("{rows}", " UNION ALL SELECT %s" * (len(digests) - 1))
        self._connection.defer(template, (*digests, space))

    def _put(self, template: str, rows: list[KeyRow]) -> None:
        for some in self._batches(rows):
            groups: list[str] = []
            arguments: list[bytes | int | None] = []
            for row in some:
                _bind(row, groups, arguments)
            self._connection.defer(self._sql(template).replace("{rows}", ",".join(groups)), arguments)

    def _delete_all(self, rows: list[KeyRow]) -> None:
        for space in sorted({row.space for row in rows}):
            self.delete(space, [row.digest for row in rows if row.space == space])

    def _batches(self, rows: list[KeyRow]) -> Iterator[list[KeyRow]]:
        """Cut rows into lists of at most MAX_ROWS that make statements of about the size of one trip."""
        limit = self._connection.trip_limit
        start = total = 0
        for index, row in enumerate(rows):
            weight = 2 * (len(row.name) + len(row.value or b"")) + 160
            if index > start and (index - start >= MAX_ROWS or total + weight > limit):
                yield rows[start:index]
                start, total = index, 0
            total += weight
        if start < len(rows):
            yield rows[start:] if start else rows


def _bind(row: KeyRow, groups: list[str], arguments: list[bytes | int | None]) -> None:
    """Append a row to the placeholder groups and arguments of an INSERT."""
    if row.state is not None:
        row.value = row.state.pack()
    if row.type == 1 and row.key_id == 0 and row.expire_at is None and row.orphan == 0:
        groups.append(_PLAIN_ROW)
        arguments += (row.space, row.digest, row.name, row.version, row.size, row.value)
    else:
        groups.append(_ROW)
        arguments += (
            row.space, row.digest, row.name, row.key_id, row.type, row.version, row.expire_at, row.size, row.value,
            row.orphan,
        )  # fmt: skip
