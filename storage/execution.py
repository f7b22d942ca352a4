"""Running a unit of work exactly once: transactions, retries, and the marker that settles a lost COMMIT.

A unit that writes begins by inserting its marker (incarnation of the worker, number of the unit) as a primary key.
When the connection dies while COMMIT is under way, nobody knows whether the unit was applied.  The next attempt inserts
the same marker: a duplicate means that it was (the marker says which attempt), a lock wait that the old transaction
still runs, success that it was not, and now can not be any more, because a late packet would meet the new marker.
"""

from __future__ import annotations

import contextlib
import enum
import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Generic, NoReturn, Protocol, TypeVar

from storage.clock import Clock
from storage.connection import Connection, Row
from storage.database import Database
from storage.deeds import Deeds
from storage.dialect import BEGIN_SNAPSHOT
from storage.effects import Wanted
from storage.errors import (
    BadTarget,
    Conflict,
    Duplicate,
    GuardFailed,
    Indeterminate,
    LockWait,
    LostConnection,
    NotApplied,
    StorageError,
    Unavailable,
)
from storage.identifiers import Identifiers
from storage.spaces import SpaceMap, load
from storage.unit import Attempt, Mode, NeedsSnapshot, touched_keys

log = logging.getLogger("rowdis.storage")

T = TypeVar("T")
Name = tuple[int, bytes]

# The aggregate gives a row also where the worker's own row is gone; NULL is refused (1048), which ends the trip.
_MARK = (
    "INSERT INTO rowdis_marker (incarnation, unit, attempt) "
    "SELECT %s, %s, MAX(IF(epoch=%s, %s, NULL)) FROM rowdis_worker WHERE incarnation=%s FOR UPDATE"
)
_MARKED = "SELECT attempt FROM rowdis_marker WHERE incarnation=%s AND unit=%s"
_UNMARK_ALL = "DELETE FROM rowdis_marker WHERE incarnation=%s"
_FENCE = "INSERT INTO rowdis_marker (incarnation, unit, attempt) VALUES (%s,%s,%s)"
_UNMARK = "DELETE FROM rowdis_marker WHERE incarnation=%s AND unit>=%s AND unit<%s"
_EPOCH = "SELECT epoch FROM rowdis_worker WHERE incarnation=%s"
_LOCK_EPOCH = "SELECT number FROM rowdis_meta WHERE name='epoch' FOR UPDATE"
_REGISTER = (
    "INSERT INTO rowdis_worker (incarnation, instance, epoch) VALUES (%s,%s,%s) "
    "ON DUPLICATE KEY UPDATE epoch=VALUES(epoch)"
)
_LEAVE = "DELETE FROM rowdis_worker WHERE incarnation=%s"

#: The number of the try in the marker of a unit that was given up.
FENCED = 0

#: Markers of units that went smoothly are deleted together, this many at a time.
UNMARK_EVERY = 64

#: The pause after a lost session could not be ended.
KILL_EVERY_S = 0.5


class Patience(enum.Enum):
    """What a unit that writes does about a row which another transaction holds locked."""

    #: Wait for it, and try again until the deadline.
    STEADY = "steady"
    #: Wait for it once, as long as the database lets one statement wait; then LockWait.
    BRIEF = "brief"
    #: Do not wait: LockWait at once. (Only key rows can be asked for so; whatever else is locked is waited for once.)
    NONE = "none"


class Gate(Protocol):
    """What a unit passes before its COMMIT is sent, so that others know whether it may be applied."""

    def enter(self) -> None:
        """Called before COMMIT is sent. Raises GivenUp if nobody wants it any more; the try is rolled back then."""

    def leave(self) -> None:
        """Called when it is certain that no try so far was or will be applied."""


@dataclass(slots=True)
class Plan:
    """What a unit says about itself before it runs; keys are (database number, name)."""

    writes: bool = False
    #: Keys to read (and lock, if the unit writes).
    keys: list[Name] = field(default_factory=list)
    #: Keys that will be overwritten by inline strings without anybody looking at them.
    blind: list[Name] = field(default_factory=list)
    #: Those of `keys` whose absence must not change before the commit.
    hold: list[Name] = field(default_factory=list)
    #: The values of strings are wanted.
    values: bool = True
    #: It is certain that one SELECT by key will not do.
    snapshot: bool = False
    patience: Patience = Patience.STEADY
    gate: Gate | None = None


@dataclass(slots=True)
class Counters:
    """What INFO tells of units; added to by worker threads, each its own object."""

    units: int = 0
    writing_units: int = 0
    retries: int = 0
    lost_connections: int = 0
    commits_resolved: int = 0


class Executor:
    """Runs the units of one storage worker thread, one after the other.

    `stopping` ends pauses between tries when the program ends, `wanted` says which effects units gather.
    """

    def __init__(
        self,
        database: Database,
        identifiers: Identifiers,
        clock: Clock,
        instance: int,
        stopping: threading.Event,
        wanted: Wanted,
    ) -> None:
        self._database = database
        self.wanted = wanted
        self._identifiers = identifiers
        self._clock = clock
        self._instance = instance
        self.stopping = stopping
        self._sql = database.tables.sql
        self._map = SpaceMap(0)
        self.incarnation = 0
        self._unit = 0
        self._unmark_from = 1
        self.counters = Counters()
        #: Sessions that were lost while writing, and when they were made: the server may not know that they are over.
        self.suspects: dict[int, float] = {}
        self._next_kill_at = 0.0

    def run(self, plan: Plan, body: Callable[[Attempt], T], deadline: float) -> T:
        """What `body` returns for the attempt that was committed.

        `deadline` is on the monotonic clock.  Raises NotApplied when it passed, or what made it hopeless; Indeterminate
        when the program stops before a lost COMMIT could be settled; LockWait, after a roll-back, if the plan's
        patience is at its end before the deadline; anything that `body` raises, after a roll-back.
        """
        self.counters.units += 1
        if plan.writes:
            self.counters.writing_units += 1
            if plan.blind and self.wanted.looks:
                plan.keys, plan.blind = [*plan.keys, *plan.blind], []
            return _WritingUnit(self, plan, body, deadline).run()
        return self._run_reading(plan, body, deadline)

    def close(self) -> None:
        """Take this worker out of the table of workers, as far as the database can be reached."""
        if not self.incarnation:
            return
        try:
            with self._database.session() as connection, self._database.atomic():
                # Without the worker's row a late packet dies on the guard, so its marker is not needed any more.
                connection.defer(self._sql(_UNMARK_ALL), (self.incarnation,))
                connection.defer(self._sql(_LEAVE), (self.incarnation,))
        except StorageError as error:
            log.debug("worker %d could not sign off: %s", self.incarnation, error)

    # -- reading

    def _run_reading(self, plan: Plan, body: Callable[[Attempt], T], deadline: float) -> T:
        # Without keys to begin with there is something else to read, which takes a second statement.
        snapshot, tries = plan.snapshot or not plan.keys, 0
        while True:
            try:
                self.prepare()
                with self._database.session() as connection:
                    return self._read_once(connection, plan, body, snapshot)
            except NeedsSnapshot:
                snapshot = True
            except (GuardFailed, Conflict, Unavailable, BadTarget) as error:
                self.recover(error)
                tries += 1
                self.pause(tries, deadline, error)

    def _read_once(self, connection: Connection, plan: Plan, body: Callable[[Attempt], T], snapshot: bool) -> T:
        epochs: list[tuple[Row, ...]] = []
        guard = partial(connection.defer, self._sql(_EPOCH), (self.incarnation,), epochs.append)
        attempt = self.attempt(connection, Mode.SNAPSHOT if snapshot else Mode.GLANCE)
        if snapshot:
            for statement in BEGIN_SNAPSHOT:
                connection.defer(statement)
            guard()
        else:
            # Behind the keys: in front of them, the map might change in between.
            attempt.guard = guard
        try:
            attempt.begin(plan.keys, values_wanted=plan.values)
            connection.send()
            if epochs[0] != ((self._map.epoch,),):
                raise GuardFailed("the map of databases has changed")
            result = body(attempt)
            if snapshot:
                connection.defer("COMMIT")
                connection.send()
            return result
        finally:
            attempt.let_go()

    # -- shared by reading and writing units

    def attempt(self, connection: Connection, mode: Mode) -> Attempt:
        return Attempt(
            connection, self._database.tables, mode, self._map, self._identifiers, self._clock, self.wanted
        )

    def prepare(self) -> None:
        """Have an incarnation, the map and numbers at hand; costs nothing when they are."""
        self._identifiers.refill()
        if not self.incarnation:
            incarnation = self._identifiers.next()
            self._enlist(incarnation)
            self.incarnation = incarnation
        elif not self._map.epoch:
            self._enlist(self.incarnation)

    def _enlist(self, incarnation: int) -> None:
        """Write this worker's row with the epoch of the map we load; locked, so that no change slips in between."""
        with self._database.session() as connection, self._database.atomic():
            connection.fetch(self._sql(_LOCK_EPOCH))
            found = load(connection, self._database.tables)
            connection.defer(self._sql(_REGISTER), (incarnation, self._instance, found.epoch))
        self._map = found

    def next_unit(self) -> int:
        self._unit += 1
        return self._unit

    def mark(self, connection: Connection, unit: int, attempt: int) -> None:
        """Defer the marker of a unit, which fails if the map has changed, and clear away old markers now and then."""
        connection.defer(self._sql(_MARK), (self.incarnation, unit, self._map.epoch, attempt, self.incarnation))
        if unit - self._unmark_from >= UNMARK_EVERY:
            connection.defer(self._sql(_UNMARK), (self.incarnation, self._unmark_from, unit))

    def applied(self, unit: int, spaces: SpaceMap, *, smoothly: bool) -> None:
        """Take note of a committed unit."""
        self._map = spaces
        if not smoothly:
            self.keep_marker(unit)
        elif unit - self._unmark_from >= UNMARK_EVERY:
            self._unmark_from = unit

    def keep_marker(self, unit: int) -> None:
        """Never clear away the marker of this unit: a packet of it may be held up somewhere and come late."""
        self._unmark_from = unit + 1

    def end_suspects(self) -> None:
        """End lost sessions, whose packets may still be on their way and whose locks would be in our way.

        Should this fail, the packets die on the marker, and it is tried again before the next unit.
        """
        if not self.suspects or time.monotonic() < self._next_kill_at:
            return
        for connection_id, made_at in list(self.suspects.items()):
            if self._database.kill(connection_id, made_at):
                del self.suspects[connection_id]
            else:
                self._next_kill_at = time.monotonic() + KILL_EVERY_S

    def recover(self, error: StorageError) -> None:
        """Note what an error says about the state this worker keeps."""
        if isinstance(error, GuardFailed):
            self._map = SpaceMap(0)
        if isinstance(error, LostConnection):
            self.counters.lost_connections += 1

    def pause(self, tries: int, deadline: float, error: StorageError) -> None:
        """Wait before the next try, a little longer each time, by chance so that rivals part. Raises NotApplied."""
        self.counters.retries += 1
        log.debug("a unit is run again: %s (error %s at %.60s)", error, error.number, error.statement)
        wait = 0.0 if isinstance(error, GuardFailed) else random.uniform(0.5, 1.5) * 0.002 * 2 ** min(tries, 8)
        if time.monotonic() + wait >= deadline or self.stopping.wait(wait):
            raise NotApplied(str(error), error.number, error.statement) from error


class _WritingUnit(Generic[T]):
    """The tries of one unit that writes; all bear the same number."""

    def __init__(self, executor: Executor, plan: Plan, body: Callable[[Attempt], T], deadline: float) -> None:
        self._executor = executor
        self._database = executor._database
        self._sql = executor._database.tables.sql
        self._plan = plan
        self._body = body
        self._deadline = deadline
        self._number = executor.next_unit()
        self._tries = 0
        # Results and maps of the tries whose COMMIT may have been applied, by number of the try.
        self._unsettled: dict[int, tuple[T, SpaceMap]] = {}
        self._smooth = True
        self._deeds = Deeds()
        self._touched: list[Name] = []

    def run(self) -> T:
        executor = self._executor
        while True:
            if self._unsettled and (time.monotonic() >= self._deadline or executor.stopping.is_set()):
                return self._settle()
            try:
                executor.prepare()
                executor.end_suspects()
                return self._try()
            except (GuardFailed, Conflict, Unavailable, BadTarget) as error:
                if isinstance(error, Duplicate) and error.statement == self._sql(_MARK):
                    return self._settle()
                executor.recover(error)
                if isinstance(error, LockWait) and self._is_passed_on(error):
                    raise
                self._wait(error)
            except Exception:
                if not self._unsettled:
                    raise
                # Whatever this was, an earlier try may have been applied: that has to be known first.
                return self._settle()

    def _try(self) -> T:
        """One transaction: marker, reads under lock, the commands, writes, COMMIT."""
        executor = self._executor
        self._tries += 1
        attempt: Attempt | None = None
        try:
            with self._database.session() as connection, self._database.atomic():
                attempt = executor.attempt(connection, Mode.WRITE)
                attempt.nowait = self._plan.patience is Patience.NONE
                attempt.deeds = self._deeds
                self._deeds.start_over()
                executor.mark(connection, self._number, self._tries)
                # An INSERT can't but wait, so where that is not wanted, what it would overwrite is locked before.
                blind = () if self._touched or attempt.nowait else self._plan.blind
                attempt.begin(
                    [*self._plan.keys, *self._touched, *(self._plan.blind if attempt.nowait else ())],
                    blind=blind,
                    hold=self._plan.hold,
                    values_wanted=self._plan.values,
                )
                result = self._body(attempt)
                attempt.finish()
                if self._unsettled and time.monotonic() >= self._deadline:
                    # The client is being told that nobody knows: find out, and let no further COMMIT change the answer.
                    raise NotApplied("the database was away for too long")
                if self._plan.gate is not None:
                    self._plan.gate.enter()
                self._unsettled[self._tries] = result, attempt.map
        except LostConnection as error:
            executor.suspects[error.connection_id] = error.made_at
            self._smooth = False
            if not error.commit_sent:
                self._take_back()
            raise
        except Exception as error:
            # The server answered with an error or was not asked: this try was rolled back. (Of a COMMIT that was
            # answered with an error only the marker knows for certain.)
            if getattr(error, "statement", None) != "COMMIT":
                self._take_back()
            if isinstance(error, Conflict) and attempt is not None:
                self._touched = touched_keys(attempt)
            raise
        finally:
            if attempt is not None:
                attempt.let_go()
        executor.applied(self._number, attempt.map, smoothly=self._smooth)
        return result

    def _take_back(self) -> None:
        """This try was certainly rolled back."""
        self._unsettled.pop(self._tries, None)
        if self._plan.gate is not None and not self._unsettled:
            self._plan.gate.leave()

    def _is_passed_on(self, error: LockWait) -> bool:
        """Whether a lock that was not given is the caller's affair: certainly nothing was applied, nor will be.

        The marker's statement waits for no key: its lock is that of a change to the map of databases, soon over.
        """
        return (
            self._plan.patience is not Patience.STEADY
            and not self._unsettled
            and error.statement != self._sql(_MARK)
            and time.monotonic() < self._deadline
            and not self._executor.stopping.is_set()
        )

    def _settle(self) -> T:
        """Find out what became of the tries whose COMMIT was lost, however long the database is away.

        After the deadline the clients were answered; what waits for this is the right to touch the unit's keys again.
        """
        tries = 0
        while True:
            tries += 1
            try:
                self._executor.end_suspects()
                with self._database.session() as connection, self._database.atomic():
                    connection.fetch(self._sql(_FENCE), (self._executor.incarnation, self._number, FENCED))
                self._give_up()
            except Duplicate:
                with contextlib.suppress(Conflict, Unavailable, BadTarget):
                    return self._settled()
            except (Conflict, Unavailable, BadTarget) as error:
                log.warning("the fate of a unit is not known yet: %s", error)
            if self._executor.stopping.wait(min(2.0, 0.05 * 2 ** min(tries, 6))):
                raise Indeterminate("the program stopped before the fate of a COMMIT was known")

    def _settled(self) -> T:
        """The marker is there: it says which try was applied, or that none can be any more."""
        with self._database.session() as connection:
            rows = connection.fetch(self._sql(_MARKED), (self._executor.incarnation, self._number))
        if rows[0][0] == FENCED:
            self._give_up()
        result, spaces = self._unsettled[rows[0][0]]
        self._executor.counters.commits_resolved += 1
        self._executor.applied(self._number, spaces, smoothly=False)
        return result

    def _give_up(self) -> NoReturn:
        """The unit was not applied. Its marker stays, for packets that are still on their way to die on."""
        self._executor.counters.commits_resolved += 1
        self._executor.keep_marker(self._number)
        raise NotApplied("the database was away for too long")

    def _wait(self, error: StorageError) -> None:
        try:
            self._executor.pause(self._tries, self._deadline, error)
        except NotApplied:
            if not self._unsettled:
                raise
            self._deadline = 0.0
