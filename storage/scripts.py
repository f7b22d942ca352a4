"""Scripts that were loaded to stay: their bodies by SHA-1. It knows nothing of what is in them."""

from __future__ import annotations

from collections.abc import Sequence

from storage.unit import Attempt

_ADD = "INSERT INTO rowdis_script (sha, body) VALUES (%s,%s) ON DUPLICATE KEY UPDATE sha=sha"
_BODY = "SELECT body FROM rowdis_script WHERE sha=%s"
_KNOWN = "SELECT sha FROM rowdis_script WHERE sha IN ({rows})"
_REMOVE_ALL = "DELETE FROM rowdis_script"

#: SHA-1s that are asked for in one statement.
_MANY = 500


def add(attempt: Attempt, sha: bytes, body: bytes) -> None:
    """Keep a script; `sha` are 20 bytes."""
    attempt.write(_ADD, (sha, body))


def body_of(attempt: Attempt, sha: bytes) -> bytes | None:
    """The body of a script, None if there is none."""
    rows = attempt.query(_BODY, (sha,))
    return rows[0][0] if rows else None


def known(attempt: Attempt, shas: Sequence[bytes]) -> set[bytes]:
    """Those of some SHA-1s for which there is a script."""
    found: set[bytes] = set()
    for start in range(0, len(shas), _MANY):
        some = shas[start : start + _MANY]
        found.update(sha for (sha,) in attempt.query(_KNOWN, some, rows=("%s", len(some))))
    return found


def remove_all(attempt: Attempt) -> None:
    """Forget all scripts; whoever has copies finds that they count no more (Attempt.map.scripts)."""
    attempt.write(_REMOVE_ALL)
    attempt.renew_scripts()
