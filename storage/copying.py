"""Copies of what lies behind keys: chunks of long strings, and elements with whatever hangs on them.

The database copies rows by itself, a part at a time, so that no statement takes long and no values travel.  Rows that
own further ids get fresh ones, with copies of what is filed under them.
"""

from __future__ import annotations

from functools import cache

from storage import hashes
from storage.connection import Row
from storage.field_expiry import expiries_of
from storage.key_rows import KeyRow, Type
from storage.owned import (
    ELEMENTS,
    FIELD_EXPIRY,
    STREAM_CONSUMER,
    STREAM_GROUP,
    STREAM_PENDING,
    STRING_CHUNK,
    OwnedTable,
)  # fmt: skip
from storage.unit import Attempt

#: What is filed under the ids that rows own, by the name of the column.
_INNER = {"chunks": (STRING_CHUNK,), "group_id": (STREAM_CONSUMER, STREAM_PENDING)}


def copy_elements(attempt: Attempt, source: KeyRow, copied: KeyRow) -> None:
    """Copy everything that is filed under a key's id to that of another key, which is in its place already.

    All changes must have been flushed; the copy is seen by queries, as usual.
    """
    kind = Type(source.type)
    for table in _tables_of(kind):
        _copy_rows(attempt, table, source.key_id, copied.key_id)
    if kind is Type.HASH:
        earliest = hashes.state_of(source).earliest
        if earliest:
            expiries_of(attempt).locate(copied, earliest)


def _tables_of(kind: Type) -> tuple[OwnedTable, ...]:
    match kind:
        case Type.STRING:
            return (STRING_CHUNK,)
        case Type.HASH:
            return (ELEMENTS[kind], FIELD_EXPIRY)
        case Type.STREAM:
            return (ELEMENTS[kind], STREAM_GROUP)
        case _:
            return (ELEMENTS[kind],)


def _copy_rows(attempt: Attempt, table: OwnedTable, source: int, target: int) -> None:
    """Copy all rows of an id in one table, and what they own."""
    owners: list[Row] = []
    for (part, arguments), _ in table.parts(attempt.query_elements, source):
        attempt.write(_copy_part(table, part), (target, source, *arguments))
        if table.owns:
            attempt.defer_query(_owners(table, part), (source, *arguments), owners.extend)
    attempt.connection.send()
    width = len(table.place)
    for row in owners:
        place, owned = row[:width], row[width:]
        copied = [attempt.next_id() if number else 0 for number in owned]
        attempt.write(_copy_owner(table), (target, *copied, source, *place))
        for column, number, copy in zip(table.owns, owned, copied, strict=True):
            for inner in _INNER[column] if number else ():
                _copy_rows(attempt, inner, number, copy)


# -- statements; they are made of the program's own constants, and cached


@cache
def _copy_part(table: OwnedTable, part: str) -> str:
    """Copy the rows of a part that own nothing."""
    columns = ", ".join([*table.place, *table.data, *table.owns])
    nothing = "".join([f" AND {column}=0" for column in table.owns])
    return (
        f"INSERT INTO {table.name} (key_id, {columns}) SELECT %s, {columns} "
        f"FROM {table.name} FORCE INDEX (PRIMARY) WHERE key_id=%s AND {part}{nothing}"
    )


@cache
def _owners(table: OwnedTable, part: str) -> str:
    something = " OR ".join([f"{column}<>0" for column in table.owns])
    return (
        f"SELECT {', '.join([*table.place, *table.owns])} FROM {table.name} FORCE INDEX (PRIMARY) "
        f"WHERE key_id=%s AND {part} AND ({something})"
    )


@cache
def _copy_owner(table: OwnedTable) -> str:
    columns = ", ".join([*table.place, *table.data])
    place = " AND ".join([f"{column}=%s" for column in table.place])
    return (
        f"INSERT INTO {table.name} (key_id, {', '.join(table.owns)}, {columns}) "
        f"SELECT %s{', %s' * len(table.owns)}, {columns} "
        f"FROM {table.name} FORCE INDEX (PRIMARY) WHERE key_id=%s AND {place}"
    )
