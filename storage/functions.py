"""Libraries of functions: their code by name. It knows nothing of what is in them.

Whoever keeps copies does so under the number `Attempt.map.functions`: every change here renews it, so that a unit which
goes by an outdated copy is found out by the guard that it has anyway (storage/spaces.py).
"""

from __future__ import annotations

from collections.abc import Iterable

from storage.key_rows import digest_of
from storage.unit import Attempt

_EVERY = "SELECT name, code FROM rowdis_library ORDER BY digest"
_PUT = "INSERT INTO rowdis_library (digest, name, code) VALUES (%s,%s,%s) ON DUPLICATE KEY UPDATE code=VALUES(code)"
_REMOVE = "DELETE FROM rowdis_library WHERE digest=%s"
_REMOVE_ALL = "DELETE FROM rowdis_library"


def every(attempt: Attempt) -> dict[bytes, bytes]:
    """The code of all libraries by name."""
    return dict(attempt.query(_EVERY))


def change(attempt: Attempt, *, remove: Iterable[bytes] = (), put: Iterable[tuple[bytes, bytes]] = ()) -> None:
    """Remove libraries by name, then add or replace others, given as (name, code)."""
    # First of all, since it waits for the units that go by the libraries as they are.
    attempt.renew_functions()
    for name in remove:
        attempt.write(_REMOVE, (digest_of(name),))
    for name, code in put:
        attempt.write(_PUT, (digest_of(name), name, code))


def remove_all(attempt: Attempt) -> None:
    attempt.renew_functions()
    attempt.write(_REMOVE_ALL)
