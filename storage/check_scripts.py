"""Verifying kept scripts: each stands under the SHA-1 of its body."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from storage.connection import Arguments, Row

# The database computes the digests, so the bodies need not be read.
_WRONG = "SELECT sha FROM rowdis_script WHERE sha<>UNHEX(SHA1(body))"
_DELETE = "DELETE FROM rowdis_script WHERE sha=%s"


def script_problems(
    fetch: Callable[[str, Arguments], tuple[Row, ...]], *, repair: bool
) -> Iterator[tuple[str, str | None]]:
    """What is wrong with kept scripts, and what was done about it. A body under another's name must not be run."""
    for (sha,) in fetch(_WRONG, ()):
        if repair:
            fetch(_DELETE, (sha,))
        yield f"the script {sha.hex()} is not the one of this SHA-1", "script deleted" if repair else None
