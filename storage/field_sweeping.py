"""Deleting fields of hashes that are due, in the background, for `storage/housekeeping.py`.

Candidates are read without locks; then the rows of their keys are locked by primary key, passing over those that
somebody holds, and everything is looked at again.  What is not where `rowdis_hash_expiry` says is gone: the reaper
clears that away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from storage.connection import Row
from storage.effects import Change, EventClass
from storage.field_expiry import Entry, defer_deletes
from storage.hashes import TABLE, HashState
from storage.key_rows import Type
from storage.unit import Attempt

#: Hashes and fields of one step.
HASHES = 100
FIELDS = 500

#: Hashes in which a field may be due: key_id, expire_at, space, digest, from a place (expire_at, key_id) on.
CANDIDATES = (
    "SELECT key_id, expire_at, space, digest FROM rowdis_hash_expiry FORCE INDEX (rowdis_hash_expiry_order) "
    "WHERE (expire_at=%s AND key_id>%s) OR (expire_at>%s AND expire_at<=%s) ORDER BY expire_at, key_id LIMIT %s"
)
_LOCK = (
    "SELECT digest, key_id, orphan, size, value, name FROM rowdis_key FORCE INDEX (PRIMARY) "
    "WHERE space=%s AND digest IN ({rows}) AND type=%s ORDER BY space, digest FOR UPDATE SKIP LOCKED"
)
_DUE = (
    "SELECT key_id, expire_at, digest FROM rowdis_field_expiry FORCE INDEX (PRIMARY) "
    "WHERE key_id IN ({rows}) AND expire_at<=%s ORDER BY key_id, expire_at, digest LIMIT %s"
)
_FIELDS = (
    "SELECT key_id, digest, chunks FROM rowdis_hash_field FORCE INDEX (PRIMARY) WHERE (key_id, digest) IN ({rows})"
)
_NEXT = (
    "SELECT key_id, expire_at FROM rowdis_field_expiry FORCE INDEX (PRIMARY) "
    "WHERE key_id=%s ORDER BY key_id, expire_at LIMIT 1"
)
_UPDATE_KEY = "UPDATE rowdis_key SET size=%s, value=%s, version=%s WHERE space=%s AND digest=%s"
_UPDATE_STATE = "UPDATE rowdis_key SET value=%s WHERE space=%s AND digest=%s"
_LATER = "UPDATE rowdis_hash_expiry SET expire_at=%s WHERE key_id=%s"
_NEVER = "DELETE FROM rowdis_hash_expiry WHERE key_id=%s"


@dataclass(slots=True)
class _Hash:
    """A hash whose key row is locked."""

    space: int
    digest: bytes
    key_id: int
    orphan: int
    size: int
    state: HashState
    name: bytes
    swept: int = 0


@dataclass(frozen=True, slots=True)
class Swept:
    """How many fields were deleted, and with them how many keys; whether there were more than one step takes."""

    fields: int = 0
    keys: int = 0
    more: bool = False


NOTHING = Swept()


def sweep(candidates: Sequence[Row], now_ms: int, attempt: Attempt) -> Swept:
    """Delete what is due of these hashes (rows of CANDIDATES), a bounded number of fields."""
    hashes = _lock(attempt, candidates)
    if not hashes:
        return NOTHING
    ids = sorted(hashes)
    due: list[Entry] = [
        (key_id, expire_at, digest)
        for key_id, expire_at, digest in attempt.query_elements(_DUE, (*ids, now_ms, FIELDS), rows=("%s", len(ids)))
    ]
    more = len(due) == FIELDS
    # Of the last hash there may be more, and those behind it were not looked at.
    complete = [key_id for key_id in ids if not more or key_id < due[-1][0]]
    if due:
        _delete_fields(attempt, hashes, due)
    following = _next_expiries(attempt, complete)
    for key_id in complete:
        hashes[key_id].state.earliest = following.get(key_id, 0)
    looked_at = [found for key_id, found in hashes.items() if not more or key_id <= due[-1][0]]
    keys = _write(attempt, looked_at, set(complete))
    return Swept(len(due), keys, more)


def _lock(attempt: Attempt, candidates: Sequence[Row]) -> dict[int, _Hash]:
    """Lock the key rows of candidates that are still where they are said to be; by key_id."""
    ids: dict[tuple[int, bytes], set[int]] = {}
    for key_id, _, space, digest in candidates:
        ids.setdefault((space, digest), set()).add(key_id)
    found: dict[int, _Hash] = {}
    for space in sorted({space for space, _ in ids}):
        digests = sorted([digest for number, digest in ids if number == space])
        rows = attempt.query(_LOCK, (space, *digests, int(Type.HASH)), rows=("%s", len(digests)))
        for digest, key_id, orphan, size, value, name in rows:
            if key_id in ids[space, digest]:
                found[key_id] = _Hash(space, digest, key_id, orphan, size, HashState.unpack(value), name)
    return found


def _delete_fields(attempt: Attempt, hashes: dict[int, _Hash], due: list[Entry]) -> None:
    """Defer the deletion of due fields, and count them."""
    pairs = sorted([(key_id, digest) for key_id, _, digest in due])
    places = [column for pair in pairs for column in pair]
    for key_id, _, chunks in attempt.query_elements(_FIELDS, places, rows=("(%s,%s)", len(pairs))):
        hashes[key_id].swept += 1
        if chunks:
            attempt.discard_elements(chunks)
    attempt.write(TABLE.delete.replace("{rows}", " UNION ALL SELECT %s,%s" * (len(pairs) - 1)), places)
    defer_deletes(attempt, due)


def _next_expiries(attempt: Attempt, ids: list[int]) -> dict[int, int]:
    """The earliest expiry of a field that is left, of hashes that have one."""
    rows: list[Row] = []
    for key_id in ids:
        attempt.defer_query(_NEXT, (key_id,), rows.extend)
    attempt.connection.send()
    return dict(rows)


def _write(attempt: Attempt, hashes: list[_Hash], complete: set[int]) -> int:
    """Write the rows of locked keys, or delete those that have become empty; how many."""
    empty: dict[int, list[bytes]] = {}
    for found in sorted(hashes, key=lambda each: (each.space, each.digest)):
        key_id = found.key_id
        size = found.size - found.swept
        _tell(attempt, found, emptied=size <= 0)
        if size <= 0:
            empty.setdefault(found.space, []).append(found.digest)
            for number in (key_id, found.orphan):
                if number:
                    attempt.discard_elements(number)
            continue
        if found.swept:
            version = attempt.next_id()
            attempt.write(_UPDATE_KEY, (size, found.state.pack(), version, found.space, found.digest))
        elif key_id in complete:
            attempt.write(_UPDATE_STATE, (found.state.pack(), found.space, found.digest))
        if key_id in complete:
            if found.state.earliest:
                attempt.write(_LATER, (found.state.earliest, key_id))
            else:
                attempt.write(_NEVER, (key_id,))
    for space, digests in empty.items():
        attempt.delete_rows(space, digests)
    return sum([len(digests) for digests in empty.values()])


def _tell(attempt: Attempt, found: _Hash, *, emptied: bool) -> None:
    if found.swept:
        if attempt.wants_changes:
            attempt.effects.append(Change(found.name))
        attempt.tell_event(EventClass.HASH, b"hexpired", found.space, found.name)
    if emptied:
        attempt.tell_event(EventClass.GENERIC, b"del", found.space, found.name)
