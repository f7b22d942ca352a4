"""Which space a database number points at.

FLUSHDB points a number at a fresh space and SWAPDB exchanges two, so both cost the same at one key and at ten million.
Every process caches the map.  A unit proves in its first trip that its copy is still right: each storage worker has a
row with the map's epoch; a writing unit locks its own worker's row, and whoever changes the map must update all those
rows, hence waits for the units that go by the old map.  (A row per worker, since OceanBase's shared locks exclude.)
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from storage.connection import Connection
from storage.tables import Tables

_EPOCH = "SELECT number FROM rowdis_meta WHERE name='epoch'"
_SCRIPTS = "SELECT number FROM rowdis_meta WHERE name='scripts'"
_FUNCTIONS = "SELECT number FROM rowdis_meta WHERE name='functions'"
_MAP = "SELECT db, space FROM rowdis_space"
_LOCK_EPOCH = "SELECT number FROM rowdis_meta WHERE name='epoch' FOR UPDATE"
_SET_EPOCH = "UPDATE rowdis_meta SET number=%s WHERE name='epoch'"
_SET_WORKERS = "UPDATE rowdis_worker SET epoch=%s"
_SET_SCRIPTS = "UPDATE rowdis_meta SET number=%s WHERE name='scripts'"
_SET_FUNCTIONS = "UPDATE rowdis_meta SET number=%s WHERE name='functions'"
_POINT = "INSERT INTO rowdis_space (db, space) VALUES (%s,%s) ON DUPLICATE KEY UPDATE space=VALUES(space)"


@dataclass(frozen=True)
class SpaceMap:
    """The map as it was at one epoch: database number -> space.

    `scripts` is a number that changes when all scripts are removed, and never returns: what was kept of scripts under
    another number counts no more.  `functions` is such a number for the libraries of functions.
    """

    epoch: int
    spaces: dict[int, int] = field(default_factory=dict)
    scripts: int = 0
    functions: int = 0


def load(connection: Connection, tables: Tables) -> SpaceMap:
    """The map as it is now. The epoch is read first: should the map change in between, the guard finds it out."""
    epoch = connection.fetch(tables.sql(_EPOCH))[0][0]
    spaces: dict[int, int] = dict(connection.fetch(tables.sql(_MAP)))
    scripts, functions = (connection.fetch(tables.sql(query))[0][0] for query in (_SCRIPTS, _FUNCTIONS))
    return SpaceMap(epoch, spaces, scripts, functions)


class SpaceChange:
    """Changes to the map inside of a unit; the unit's later commands go by it at once."""

    def __init__(self, connection: Connection, tables: Tables, base: SpaceMap) -> None:
        self._connection = connection
        self._tables = tables
        epoch = int(connection.fetch(tables.sql(_LOCK_EPOCH))[0][0]) + 1
        connection.defer(tables.sql(_SET_EPOCH), (epoch,))
        connection.defer(tables.sql(_SET_WORKERS), (epoch,))
        self.map = SpaceMap(epoch, dict(base.spaces), base.scripts, base.functions)

    def point(self, db: int, space: int) -> None:
        """Make the database number `db` stand for `space`."""
        self.map.spaces[db] = space
        self._connection.defer(self._tables.sql(_POINT), (db, space))

    def renew_scripts(self, number: int) -> None:
        """Let all that was kept of scripts count no more; the number has never been used before."""
        self.map = replace(self.map, scripts=number)
        self._connection.defer(self._tables.sql(_SET_SCRIPTS), (number,))

    def renew_functions(self, number: int) -> None:
        """Let all that was kept of libraries of functions count no more; the number has never been used before."""
        self.map = replace(self.map, functions=number)
        self._connection.defer(self._tables.sql(_SET_FUNCTIONS), (number,))
