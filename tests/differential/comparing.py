"""When two replies are the same: byte for byte, except for times and orders that no server promises."""

import os
from typing import Any

import hiredis

TOLERANCE = {b"TTL": 2, b"PTTL": 2000, b"EXPIRETIME": 2, b"PEXPIRETIME": 2000}
UNORDERED = frozenset({b"KEYS", b"SCAN"})

EXAMPLES = 10 if os.environ.get("ROWDIS_TEST_LONG") else 1
"""How many times as many random examples as usual; `make test-long` takes longer."""


def exact(name: bytes) -> bool:
    """Whether replies to a command are compared byte for byte."""
    return name not in TOLERANCE and name not in UNORDERED


def same(name: bytes, ours: bytes, theirs: bytes) -> bool:
    """Whether two raw replies to a command of this name (in capitals) agree."""
    if ours == theirs:
        return True
    if name in TOLERANCE:
        mine, other = _parsed(ours), _parsed(theirs)
        return isinstance(mine, int) and isinstance(other, int) and min(mine,
        other) >= 0 and abs(mine - other) <= TOLERANCE[name]
    return name in UNORDERED and ours[:1] == theirs[:1] and _sorted(_parsed(ours)) == _sorted(_parsed(theirs))


def _parsed(reply: bytes) -> Any:
    reader = hiredis.Reader()
    reader.feed(reply)
    return reader.gets()


def _sorted(value: Any) -> Any:
    return sorted(map(_sorted, value), key=repr) if isinstance(value, list) else value
