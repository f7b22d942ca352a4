"""Deleting what keys have left behind: the elements of ids, and whole spaces, that stand in rowdis_garbage.

DEL, overwriting and FLUSHDB only write a row there.  Nobody else touches such rows any more, so they are read without
locks; they are deleted in units of bounded size.  Rows that own ids of their own pass them on to the garbage.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cache, partial
from typing import Any, Protocol

from storage.connection import Row
from storage.database import Database
from storage.owned import OWNED_TABLES, OwnedTable
from storage.unit import GARBAGE_KEY, GARBAGE_SPACE, Attempt

#: Ids that are looked at together: most have few rows.
TOGETHER = 64
#: Steps of one call, after which other work of the background gets its turn.
STEPS = 16

_GARBAGE = "SELECT kind, id FROM rowdis_garbage WHERE kind IN (0,1) ORDER BY kind, id LIMIT %s"
_ANY_KEY = "SELECT space FROM rowdis_key WHERE space=%s LIMIT 1"
_REAPED = "DELETE FROM rowdis_garbage WHERE kind=%s AND id=%s"


class RunUnit(Protocol):
    """Runs a writing unit of work."""

    def __call__(self, body: Callable[[Attempt], Any]) -> Any: ...


class Reaper:
    """Works through the garbage, a bounded part with each call of `reap`.

    `run` runs a unit of work, `reap_space` deletes a page of the keys of a space and tells whether it is empty.
    """

    def __init__(
        self, database: Database, run: RunUnit, reap_space: Callable[[int], None], ending: threading.Event
    ) -> None:
        self._database = database
        self._sql = database.tables.sql
        self._run = run
        self._reap_space = reap_space
        self._ending = ending
        # The id of many rows that is being worked on, and the table and place reached: deleted rows in front of a place
        # may still be there for a long reader, and looking past them each time would take longer and longer.
        self._big = 0
        self._table = 0
        self._place: tuple[Any, ...] = ()
        #: Ids whose rows were deleted.
        self.reaped = 0

    def reap(self) -> bool:
        """Delete a bounded number of rows; whether there may be more."""
        if self._big:
            self._go_on()
            return True
        with self._database.session() as connection:
            garbage = connection.fetch(self._sql(_GARBAGE), (TOGETHER,))
        ids = [number for kind, number in garbage if kind == GARBAGE_KEY]
        spaces = [number for kind, number in garbage if kind == GARBAGE_SPACE]
        if spaces:
            self._reap_spaces(spaces)
        if ids and not self._reap_small(ids):
            for number in ids:
                if not self._ending.is_set() and not self._reap_small([number]):
                    self._big, self._table, self._place = number, 0, ()
                    self._go_on()
                    break
        return bool(garbage)

    def _reap_spaces(self, spaces: list[int]) -> None:
        """Strike off the empty spaces at once, since FLUSHALL replaces all, and delete keys of the others."""
        used: set[int] = set()
        with self._database.session() as connection:
            for space in spaces:
                connection.defer(self._sql(_ANY_KEY), (space,), lambda rows: used.update(*rows))
            connection.send()
        empty = [space for space in spaces if space not in used]
        if empty:
            self._run(partial(_strike_off, GARBAGE_SPACE, empty))
        for space in spaces:
            if space in used and not self._ending.is_set():
                self._reap_space(space)

    def _reap_small(self, ids: list[int]) -> bool:
        """Delete all rows of some ids at once; False, with nothing deleted, if they are too many."""
        found: dict[OwnedTable, tuple[Row, ...]] = {}
        with self._database.session() as connection:
            for table in OWNED_TABLES:
                template = self._sql(_of_ids(table)).replace("{rows}", ",".join(["%s"] * len(ids)))
                connection.defer(template, (*ids, table.page + 1), partial(found.__setitem__, table))
            connection.send()
        if any(len(rows) > table.page for table, rows in found.items()):
            return False

        def delete(attempt: Attempt) -> None:
            for table, rows in found.items():
                if rows:
                    template = _delete_ids(table).replace("{rows}", " UNION ALL SELECT %s" * (len(ids) - 1))
                    attempt.write(template, ids)
                    _pass_on(attempt, rows)
            _strike_off(GARBAGE_KEY, ids, attempt)

        self._run(delete)
        self.reaped += len(ids)
        return True

    def _go_on(self) -> None:
        """Some steps through the rows of an id that has many."""
        for _ in range(STEPS):
            if self._ending.is_set():
                return
            if self._table == len(OWNED_TABLES):
                self._run(partial(_strike_off, GARBAGE_KEY, [self._big]))
                self._big = 0
                self.reaped += 1
                return
            self._step(OWNED_TABLES[self._table])

    def _step(self, table: OwnedTable) -> None:
        """Delete the next page of one table's rows."""
        width = len(table.place)
        part, arguments = table.behind(self._place) if self._place else ("TRUE", ())
        with self._database.session() as connection:
            rows = connection.fetch(self._sql(_page(table, part)), (self._big, *arguments, table.page))
        if rows:
            last = rows[-1][:width]
            these, places = table.from_to(rows[0][:width], last)

            def delete(attempt: Attempt) -> None:
                attempt.write(_delete_part(table, these), (self._big, *places))
                _pass_on(attempt, [row[width:] for row in rows])

            self._run(delete)
            self._place = last
        if len(rows) < table.page:
            self._table += 1
            self._place = ()


def _strike_off(kind: int, numbers: list[int], attempt: Attempt) -> None:
    """Take what was deleted off the list of garbage."""
    for number in numbers:
        attempt.write(_REAPED, (kind, number))


def _pass_on(attempt: Attempt, rows: Any) -> None:
    """Give the ids that deleted rows own to the garbage."""
    for row in rows:
        for number in row:
            if number:
                attempt.discard_elements(number)


# -- statements; they are made of the program's own constants, and cached by table


def _columns(table: OwnedTable) -> str:
    return ", ".join([*table.place, *table.owns])


@cache
def _of_ids(table: OwnedTable) -> str:
    owned = ", ".join(table.owns) or "0"
    return f"SELECT {owned} FROM {table.name} FORCE INDEX (PRIMARY) WHERE key_id IN ({{rows}}) LIMIT %s"


@cache
def _delete_ids(table: OwnedTable) -> str:
    # A plain DELETE takes no index hint: MariaDB reads, and locks, the whole of a small table for a list of ids.
    return (
        f"DELETE e FROM (SELECT %s AS key_id{{rows}}) w STRAIGHT_JOIN {table.name} e FORCE INDEX (PRIMARY) "
        "ON e.key_id=w.key_id"
    )


@cache
def _page(table: OwnedTable, part: str) -> str:
    return (
        f"SELECT {_columns(table)} FROM {table.name} FORCE INDEX (PRIMARY) WHERE key_id=%s AND {part} "
        f"ORDER BY {table.order} LIMIT %s"
    )


@cache
def _delete_part(table: OwnedTable, part: str) -> str:
    return f"DELETE e FROM {table.name} e FORCE INDEX (PRIMARY) WHERE key_id=%s AND {part}"
