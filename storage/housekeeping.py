"""What happens in the background: expired keys are swept, garbage is reaped, the clock is measured, this instance shows
that it lives.

Candidates are read without locks, then locked by primary key with SKIP LOCKED and looked at again: locking through the
expiry index deadlocked with clients.  Every step is a small unit of work, so nobody waits for it for long.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from storage import field_sweeping
from storage.clock import Clock
from storage.connection import Row
from storage.database import Database
from storage.effects import Change, Effect, EventClass
from storage.errors import StorageError
from storage.execution import Executor, Plan
from storage.reaper import Reaper
from storage.unit import GARBAGE_SPACE, Attempt

log = logging.getLogger("rowdis.storage")

T = TypeVar("T")

#: Rows per step.
PAGE = 500
CLOCK_EVERY_S = 5.0
HEARTBEAT_EVERY_S = 2.0
#: Whoever has not shown for so long that it lives does not live any more.
ALIVE_MS = 10_000
#: While the database is away, one line in the log is enough for so long.
WARN_EVERY_S = 30.0
#: What instances that were not seen for so long left behind is cleared away.
FORGET_AFTER_MS = 24 * 3600 * 1000
UNIT_TIMEOUT_S = 10.0
#: While somebody wants to know of expired keys, they are looked for this often.
TELLING_INTERVAL_S = 0.4

_EXPIRED = (
    "SELECT space, digest FROM rowdis_key FORCE INDEX (rowdis_key_expiry) "
    "WHERE expire_at IS NOT NULL AND expire_at<=%s ORDER BY expire_at LIMIT %s"
)
_LOCK = (
    "SELECT digest, key_id, orphan, name FROM rowdis_key FORCE INDEX (PRIMARY) WHERE space=%s AND digest IN ({rows}) "
    "{condition} ORDER BY space, digest FOR UPDATE SKIP LOCKED"
)
_LOCK_EXPIRED = _LOCK.replace("{condition}", "AND expire_at<=%s")
_LOCK_ANY = _LOCK.replace("{condition}", "")
_CLEAR_ORPHAN = "UPDATE rowdis_key SET orphan=0 WHERE space=%s AND digest=%s"
_REAPED = "DELETE FROM rowdis_garbage WHERE kind=%s AND id=%s"
_SPACE_PAGE = "SELECT digest, key_id, orphan FROM rowdis_key WHERE space=%s ORDER BY digest LIMIT %s"
_ORPHANS = "SELECT digest, orphan FROM rowdis_key WHERE space=%s AND digest>%s ORDER BY digest LIMIT %s"
_SEEN = (
    "INSERT INTO rowdis_instance (instance, address, started_at, seen_at) VALUES (%s,%s,%s,%s) "
    "ON DUPLICATE KEY UPDATE seen_at=VALUES(seen_at)"
)
_GONE = "SELECT instance FROM rowdis_instance WHERE seen_at<%s LIMIT 100"
_OTHERS = "SELECT address FROM rowdis_instance WHERE instance<>%s AND seen_at>%s ORDER BY instance LIMIT 100"
_WORKERS_OF = "SELECT incarnation FROM rowdis_worker WHERE instance=%s"
_FORGET_MARKERS = "DELETE FROM rowdis_marker WHERE incarnation=%s"
_FORGET_WORKER = "DELETE FROM rowdis_worker WHERE incarnation=%s"
_FORGET_INSTANCE = "DELETE FROM rowdis_instance WHERE instance=%s"

@dataclass(slots=True)
class Counters:
    expired: int = 0
    expired_fields: int = 0
    reaped: int = 0
    failures: int = 0


class Housekeeper(threading.Thread):
    """One thread; `interval_s` is the pause between sweeps when there is nothing to do.

    `tell` is given the effects of each unit when it has committed.
    """

    def __init__(
        self,
        database: Database,
        executor: Executor,
        clock: Clock,
        instance: int,
        address: str,
        interval_s: float,
        tell: Callable[[list[Effect]], object] | None = None,
    ) -> None:
        super().__init__(name="housekeeping", daemon=True)
        self._database = database
        self._executor = executor
        self._clock = clock
        self._instance = instance
        self._address = address
        self._started_at = clock.now_ms()
        self._interval_s = interval_s
        self._tell = tell
        #: The addresses of the other instances that are alive on the same tables; as old as a heart-beat.
        self.others: list[bytes] = []
        self._ending = threading.Event()
        self._orphan_place: tuple[int, bytes] = (-1, b"")
        self._field_place: tuple[int, int] = (0, 0)
        self.counters = Counters()
        self._reaper = Reaper(database, self._run, self._reap_space, self._ending)

    def run(self) -> None:
        due_clock = due_heartbeat = due_warning = 0.0
        while not self._ending.is_set():
            busy = False
            now = time.monotonic()
            try:
                if now >= due_heartbeat:
                    self._show_life()
                    due_heartbeat = now + HEARTBEAT_EVERY_S
                if now >= due_clock:
                    self._clock.measure(self._database)
                    due_clock = now + CLOCK_EVERY_S
                busy = self.sweep() | self.sweep_fields() | self.reap()
                self._look_for_orphans()
            except StorageError as error:
                self.counters.failures += 1
                if now >= due_warning:
                    log.warning("housekeeping: %s", error)
                    due_warning = now + WARN_EVERY_S
            except Exception:
                self.counters.failures += 1
                log.exception("housekeeping failed by a mistake of ours")
            # Between two steps of much work clients get their turn.
            self._ending.wait(0.005 if busy else self._pause_s())

    def _pause_s(self) -> float:
        wanted = self._executor.wanted
        return min(self._interval_s, TELLING_INTERVAL_S) if wanted.events or wanted.changes else self._interval_s

    def end(self) -> None:
        """Let the thread end after the step it is at."""
        self._ending.set()

    def sign_off(self) -> None:
        """Take this instance out of the tables, as far as the database can be reached. The thread must have ended."""
        self._executor.close()
        try:
            with self._database.session() as connection:
                connection.execute(self._sql(_FORGET_INSTANCE), (self._instance,))
        except StorageError as error:
            log.debug("could not sign off: %s", error)

    def sweep(self) -> bool:
        """Delete a page of expired keys; whether there may be more."""
        now = self._clock.now_ms()
        with self._database.session() as connection:
            candidates = connection.fetch(self._sql(_EXPIRED), (now, PAGE))
        if not candidates:
            return False
        by_space: dict[int, list[bytes]] = {}
        for space, digest in candidates:
            by_space.setdefault(space, []).append(digest)
        swept = self._run(partial(_sweep, by_space, now))
        self.counters.expired += swept
        return len(candidates) == PAGE and swept > 0

    def sweep_fields(self) -> bool:
        """Delete fields that are due of some hashes; whether there may be more.

        Each call goes on behind the hashes of the last one: those whose keys are locked, or gone and not reaped yet,
        keep nobody waiting.
        """
        now = self._clock.now_ms()
        moment, key_id = self._field_place
        limit = field_sweeping.HASHES
        with self._database.session() as connection:
            candidates = connection.fetch(self._sql(field_sweeping.CANDIDATES), (moment, key_id, moment, now, limit))
        full = len(candidates) == limit
        swept = self._run(partial(field_sweeping.sweep, candidates, now)) if candidates else field_sweeping.NOTHING
        if not swept.more:
            self._field_place = (candidates[-1][1], candidates[-1][0]) if full else (0, 0)
        self.counters.expired_fields += swept.fields
        self.counters.expired += swept.keys
        return full or swept.more

    def reap(self) -> bool:
        """Delete a bounded number of rows of garbage; whether there may be more."""
        more = self._reaper.reap()
        self.counters.reaped = self._reaper.reaped
        return more

    def _reap_space(self, space: int) -> None:
        """Delete a page of the keys of a space that FLUSHDB has replaced."""
        self._run(partial(self._delete_keys_of_space, space))

    def _delete_keys_of_space(self, space: int, attempt: Attempt) -> None:
        rows = attempt.query(_SPACE_PAGE, (space, PAGE))
        _delete(attempt, space, _locked(attempt, _LOCK_ANY, space, [digest for digest, _, _ in rows]))
        # The rows that somebody held locked, if any, keep the space on the list.
        if len(rows) < PAGE and not attempt.query(_SPACE_PAGE, (space, 1)):
            attempt.write(_REAPED, (GARBAGE_SPACE, space))

    def _look_for_orphans(self) -> None:
        """Look through one page of keys for elements that a blind SET left behind, and go on from there next time."""
        space, digest = self._orphan_place
        with self._database.session() as connection:
            rows = connection.fetch(self._sql(_ORPHANS), (space, digest, PAGE))
            if len(rows) < PAGE:
                spaces = sorted(number for (number,) in connection.fetch(self._sql("SELECT space FROM rowdis_space")))
                following = [number for number in spaces if number > space]
                self._orphan_place = (following[0] if following else -1, b"")
            else:
                self._orphan_place = (space, rows[-1][0])
        digests = [digest for digest, orphan in rows if orphan]
        if digests:
            self._run(partial(self._free_orphans, space, digests))

    def _free_orphans(self, space: int, digests: list[bytes], attempt: Attempt) -> None:
        for digest, _, orphan, _ in _locked(attempt, _LOCK_ANY, space, digests):
            if orphan:
                attempt.discard_elements(orphan)
                attempt.write(_CLEAR_ORPHAN, (space, digest))

    def _show_life(self) -> None:
        now = self._clock.now_ms()
        sql = self._sql
        with self._database.session() as connection:
            connection.execute(sql(_SEEN), (self._instance, self._address.encode(), self._started_at, now))
            others = connection.fetch(sql(_OTHERS), (self._instance, now - ALIVE_MS))
            self.others = [address for (address,) in others]
            for (instance,) in connection.fetch(sql(_GONE), (now - FORGET_AFTER_MS,)):
                for (incarnation,) in connection.fetch(sql(_WORKERS_OF), (instance,)):
                    connection.defer(sql(_FORGET_MARKERS), (incarnation,))
                    connection.defer(sql(_FORGET_WORKER), (incarnation,))
                connection.execute(sql(_FORGET_INSTANCE), (instance,))

    def _run(self, body: Callable[[Attempt], T]) -> T:
        def gathering(attempt: Attempt) -> tuple[T, list[Effect]]:
            return body(attempt), attempt.take_effects()

        result, effects = self._executor.run(Plan(writes=True), gathering, time.monotonic() + UNIT_TIMEOUT_S)
        if effects and self._tell is not None:
            self._tell(effects)
        return result

    def _sql(self, template: str) -> str:
        return self._database.tables.sql(template)


def _locked(attempt: Attempt, template: str, space: int, digests: list[bytes], *more: int) -> list[Row]:
    """Lock key rows in digest order, passing over those that somebody holds: (digest, key_id, orphan, name) of each."""
    rows: list[Row] = []
    ordered = sorted(digests)
    for start in range(0, len(ordered), PAGE):
        some = ordered[start : start + PAGE]
        rows += attempt.query(template, (space, *some, *more), rows=("%s", len(some)))
    return rows


def _sweep(expired: dict[int, list[bytes]], now_ms: int, attempt: Attempt) -> int:
    """Delete what is still expired and not locked, of digests by space; how many."""
    swept = 0
    for space, digests in sorted(expired.items()):
        rows = _locked(attempt, _LOCK_EXPIRED, space, digests, now_ms)
        swept += _delete(attempt, space, rows)
        for *_, name in rows:
            if attempt.wants_changes:
                attempt.effects.append(Change(name))
            attempt.tell_event(EventClass.EXPIRED, b"expired", space, name)
    return swept


def _delete(attempt: Attempt, space: int, rows: list[Row]) -> int:
    """Delete locked key rows, their elements to the garbage; how many."""
    for _, key_id, orphan, _ in rows:
        for number in (key_id, orphan):
            if number:
                attempt.discard_elements(number)
    if rows:
        digests = [digest for digest, *_ in rows]
        attempt.delete_rows(space, digests)
    return len(rows)
