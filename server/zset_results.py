"""Sorted sets that commands of several families make of others."""

from __future__ import annotations

from collections.abc import Sequence

from storage import zsets
from storage.effects import EventClass
from storage.keyspace import Keyspace


def store_zset(
    db: Keyspace, name: bytes, members: Sequence[tuple[bytes, float]], event: bytes, *, one_by_one: bool = False
) -> int:  # fmt: skip
    """Make a key a sorted set of these members, each given once, and tell of it; none: no key. How many there are.

    `one_by_one`: as if they were put one after the other, see `zsets.replace`.
    """
    if members:
        zsets.replace(db, name, members, one_by_one=one_by_one)
        db.notify(EventClass.ZSET, event, name)
    else:
        db.delete(name)
    return len(members)
