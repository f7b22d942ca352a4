"""What concerns keys of every type: looking through a database in digest order, a random key, copies.

The order of digests is the order of the primary key, so any place in it is found without an index of its own.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from storage.copying import copy_elements
from storage.elements import DIGEST_BYTES, FIRST, following
from storage.key_rows import KeyRow, Type
from storage.keyspace import Keyspace

#: Rows of one SELECT, so that what a scan holds besides names is bounded.
PAGE = 10_000
#: A random key is drawn from so many neighbours: the gaps between digests differ, sums of many gaps hardly do.
NEIGHBOURS = 64

_ROWS = (
    "SELECT digest, name, type, expire_at FROM rowdis_key FORCE INDEX (PRIMARY) "
    "WHERE space=%s AND digest>=%s ORDER BY space, digest LIMIT %s"
)
_LIVE = (
    "SELECT digest FROM rowdis_key FORCE INDEX (PRIMARY) WHERE space=%s AND digest{range} AND type<>0 "
    "AND (expire_at IS NULL OR expire_at>%s) ORDER BY space, digest LIMIT %s"
)
_LIVE_FROM = _LIVE.replace("{range}", ">=%s")
_LIVE_BEFORE = _LIVE.replace("{range}", "<%s")
_NAME = "SELECT name FROM rowdis_key WHERE space=%s AND digest=%s"

#: Digest, then name and type; an expired row has type 0.
Found = tuple[bytes, tuple[bytes, int]]


def page(db: Keyspace, start: bytes, limit: int) -> list[Found]:
    """Up to `limit` rows from a digest on, in the order of digests, expired ones too."""
    now = db.now_ms
    return [
        (digest, (name, kind if expire_at is None or expire_at > now else 0))
        for digest, name, kind, expire_at in db.attempt.query(_ROWS, (db.space, start, limit), single=True)
    ]


def every_name(db: Keyspace) -> Iterator[bytes]:
    """The names of all keys, read page by page."""
    start: bytes | None = FIRST
    while start is not None:
        rows = page(db, start, PAGE)
        start = following(rows[-1][0]) if len(rows) == PAGE else None
        for _, (name, kind) in rows:
            if kind:
                yield name


def random_name(db: Keyspace) -> bytes | None:
    """The name of a key, each as likely as any other (nearly so in a large database); None if there are none."""
    place = random.randbytes(DIGEST_BYTES)
    digests = db.attempt.query(_LIVE_FROM, (db.space, place, db.now_ms, NEIGHBOURS), single=True)
    if len(digests) < NEIGHBOURS:
        missing = NEIGHBOURS - len(digests)
        digests += db.attempt.query(_LIVE_BEFORE, (db.space, place, db.now_ms, missing))
    if not digests:
        return None
    name: bytes = db.attempt.query(_NAME, (db.space, random.choice(digests)[0]))[0][0]
    return name


def copy(db: Keyspace, row: KeyRow, target: Keyspace, name: bytes) -> None:
    """Make another key the same as `row`, elements and expiry included; they are copied inside the database."""
    if row.key_id:
        # The database copies what it has; some of it may only be changed in memory yet.
        db.attempt.flush()
    value = db.attempt.value_of(row) if row.key_id == 0 else row.value
    copied = target.create(name, Type(row.type))
    copied.size, copied.value, copied.expire_at = row.size, value, row.expire_at
    if row.key_id:
        if row.state is not None:
            copied.value = row.state.pack()
        copied.key_id = db.attempt.next_id()
        copy_elements(db.attempt, row, copied)
