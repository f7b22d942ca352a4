"""Fields of hashes drawn at random.

In a large hash a field is drawn from neighbours at a random place in the order of digests: the gaps between digests
differ, sums of many gaps hardly do.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Final

from storage import overflow
from storage.connection import Row
from storage.elements import DIGEST_BYTES, FIRST, PAGE, elements_of, following
from storage.hashes import TABLE, Field, every, is_compact
from storage.key_rows import KeyRow
from storage.key_writer import MAX_ROWS
from storage.keyspace import Keyspace

NEIGHBOURS: Final = 64
#: So often it is tried to draw what was not drawn before.
_ROUNDS: Final = 8

_LIVE = (
    "SELECT digest FROM rowdis_hash_field FORCE INDEX (PRIMARY) WHERE key_id=%s AND digest{range} "
    "AND (expire_at IS NULL OR expire_at>%s) ORDER BY key_id, digest LIMIT %s"
)
_LIVE_FROM = _LIVE.replace("{range}", ">=%s")
_LIVE_BEFORE = _LIVE.replace("{range}", "<%s")


def draw(db: Keyspace, row: KeyRow, number: int, *, repeat: bool) -> list[Field]:
    """So many fields by chance, each as likely as any other (nearly so in a large hash).

    With `repeat` a field may come several times, else there are fewer if the hash has not as many.
    """
    if is_compact(row) or (not repeat and number >= row.size):
        fields = every(db, row)
        if repeat:
            return random.choices(fields, k=number) if fields else []
        if number >= len(fields):
            return fields
        return [fields[place] for place in sorted(random.sample(range(len(fields)), number))]
    digests = _draw_few(db, row, number, repeat) if number * NEIGHBOURS < row.size else None
    if digests is None:
        some = list(_live_digests(db, row))
        if repeat:
            digests = random.choices(some, k=number) if some else []
        else:
            digests = random.sample(some, min(number, len(some)))
    found = _by_digest(db, row, sorted(set(digests)))
    return [found[digest] for digest in digests]


def rows_drawn(size: int, number: int) -> int:
    """How many rows `draw` reads of a hash of this size, at most, beside those that it gives."""
    return min(size, number * NEIGHBOURS)


def _draw_few(db: Keyspace, row: KeyRow, number: int, repeat: bool) -> list[bytes] | None:
    """Digests drawn each from neighbours at a random place; None if there are hardly enough that are not due."""
    elements_of(db.attempt, TABLE).flush()
    drawn: list[bytes] = []
    known: set[bytes] = set()
    for _ in range(_ROUNDS):
        for digest in _one_of_neighbours(db, row, number - len(drawn)):
            if repeat or digest not in known:
                known.add(digest)
                drawn.append(digest)
        if len(drawn) == number:
            return drawn
    return None


def _one_of_neighbours(db: Keyspace, row: KeyRow, number: int) -> list[bytes]:
    """At so many random places: one of the live fields there."""
    places = [random.randbytes(DIGEST_BYTES) for _ in range(number)]
    found: list[list[Row]] = [[] for _ in places]
    now = db.now_ms
    for place, rows in zip(places, found, strict=True):
        db.attempt.defer_query(_LIVE_FROM, (row.key_id, place, now, NEIGHBOURS), rows.extend)
    db.attempt.connection.send()
    for place, rows in zip(places, found, strict=True):
        if len(rows) < NEIGHBOURS:
            db.attempt.defer_query(_LIVE_BEFORE, (row.key_id, place, now, NEIGHBOURS - len(rows)), rows.extend)
    db.attempt.connection.send()
    return [random.choice(rows)[0] for rows in found if rows]


def _live_digests(db: Keyspace, row: KeyRow) -> Iterator[bytes]:
    elements_of(db.attempt, TABLE).flush()
    start: bytes | None = FIRST
    while start is not None:
        rows = db.attempt.query_elements(_LIVE_FROM, (row.key_id, start, db.now_ms, PAGE))
        yield from [digest for (digest,) in rows]
        start = following(rows[-1][0]) if len(rows) == PAGE else None


def _by_digest(db: Keyspace, row: KeyRow, digests: list[bytes]) -> dict[bytes, Field]:
    """Fields that are in the table, by their digests."""
    template = TABLE.read_of_one.replace("SELECT key_id,", "SELECT digest,")
    found: dict[bytes, Field] = {}
    for start in range(0, len(digests), MAX_ROWS):
        some = digests[start : start + MAX_ROWS]
        for digest, chunks, *columns in db.attempt.query_elements(
            template, (row.key_id, *some), rows=("%s", len(some))
        ):
            field = Field(*columns)
            if chunks:
                name, value = overflow.load(db.attempt, chunks)
                field = field._replace(name=name, value=value)
            found[digest] = field
    return found
