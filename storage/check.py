"""Verifying the tables: sizes against rows, elements without a key, garbage, orphans, markers.

Works page by page on a quiet or a busy database; what is only momentarily so (garbage that the reaper has not reached)
is looked at again before it is reported.
"""

from __future__ import annotations

from storage.database import Database

_ROWS = "SELECT {columns} FROM rowdis_key WHERE space=%s AND digest>%s ORDER BY digest LIMIT 1000"


def check(database: Database, *, repair: bool) -> list[str]:
    """One line per finding; with `repair`, what can be put right is."""
    raise NotImplementedError
