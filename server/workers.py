"""Storage workers: threads that each run one batch at a time through a unit of work."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import Any

from protocol.errors import CommandError
from server.blocking import Waiter
from server.dispatch import execute, reply_to
from server.registry import Command
from server.run import Batch, Run, Told, Transaction
from server.serving import Serving
from storage.errors import Indeterminate, LockWait, NotApplied, StorageError, Unavailable
from storage.execution import Executor, Patience, Plan
from storage.keyspace import keyspace_of
from storage.unit import Attempt, Type

log = logging.getLogger("rowdis.worker")

#: A run that would read more than this many bytes of large values is put back for the slow lane.
HEAVY = 1024 * 1024
#: So does one that would read more elements than this, and each counts for so many bytes.
MANY = 1000
ELEMENT = 64
#: So many bytes of large values are read at one time, or one command's.
PART = 4 * 1024 * 1024


class Outbox:
    """Hands what worker threads finished to the event loop, with one wake-up for all that has gathered."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._done: deque[Batch | Job] = deque()
        self._awake = False

    def put(self, task: Batch | Job) -> None:
        """Called by workers."""
        self._done.append(task)
        # A wake-up too many is harmless, and one too few impossible: the loop clears the mark before it empties.
        if not self._awake:
            self._awake = True
            self._loop.call_soon_threadsafe(self._empty)

    def _empty(self) -> None:
        self._awake = False
        while self._done:
            task = self._done.popleft()
            task.done(task)  # type: ignore[arg-type]  # each knows its own kind


class Job:
    """Something else than commands that a storage worker does: `work(executor)`, then `done(job)` on the loop."""

    def __init__(self, work: Callable[[Executor], None], done: Callable[[Job], None]) -> None:
        self.work = work
        self.done = done
        self.worker: Worker
        self.elapsed_s = 0.0


class Worker(threading.Thread):
    """One thread with its executor; batches come through `tasks`, None ends it."""

    def __init__(self, number: int, executor: Executor, outbox: Outbox) -> None:
        super().__init__(name=f"storage-{number}", daemon=True)
        self.executor = executor
        self.tasks: SimpleQueue[Batch | Job | None] = SimpleQueue()
        self._outbox = outbox
        self._told: list[Told] = []

    def run(self) -> None:
        while (task := self.tasks.get()) is not None:
            start = time.perf_counter()
            try:
                if isinstance(task, Job):
                    task.work(self.executor)
                else:
                    self._run_batch(task)
            finally:
                task.elapsed_s = time.perf_counter() - start
                self._outbox.put(task)
            # Nothing of a batch is kept while waiting for the next.
            del task
        self.executor.close()

    def _run_batch(self, batch: Batch) -> None:
        batch.told = self._told = []
        if batch.contended:
            self._apart(batch)
        else:
            patience = Patience.BRIEF if batch.shared else Patience.STEADY
            try:
                self._together(batch.runs, batch.slow, batch.deadline, patience, batch)
            except LockWait:
                self._apart(batch)
        for run in batch.runs:
            # Replies that the loop has a part in are encoded there.
            if not run.put_back and not run.locked and not run.loop_calls:
                _encode(run, batch.told)

    def _together(
        self, runs: list[Run], slow: bool, deadline: float, patience: Patience, feeding: Batch | None = None
    ) -> None:
        """Run all in one unit; raises nothing but LockWait, after which none of them was applied.

        If it is the unit of a whole batch, that is `feeding`, and blocked clients are served.
        """
        plan = plan_of(runs)
        plan.patience = patience
        waiters = feeding.waiters if feeding is not None else []
        for waiter in waiters:
            plan.keys += waiter.seen
        try:
            serving, told = self.executor.run(plan, body_of(runs, slow, waiters), deadline)
            self._told += told
            if serving is not None and feeding is not None:
                serving.note()
                feeding.served = serving.served
                feeding.missed -= serving.emptied()
                for waiter in serving.served:
                    _encode(waiter.run, self._told)
        except LockWait:
            raise
        except (NotApplied, Unavailable, Indeterminate) as error:
            _fail(runs, error)
        except Exception as error:
            if len(runs) == 1 and runs[0].units == 1:
                _fail(runs, error)
            else:
                self._one_by_one(runs)

    def _apart(self, batch: Batch) -> None:
        """Run each run in a unit of its own, so that none waits for a row that another wants and somebody holds locked.

        Whoever meets a lock goes back to the batcher.  Only the first of runs that are known to have met one waits.
        """
        for position, run in enumerate(batch.runs):
            if time.monotonic() >= run.deadline:
                _fail([run], NotApplied("another transaction held a lock for too long"))
                continue
            patience = Patience.BRIEF if batch.contended and position == 0 else Patience.NONE
            start = time.perf_counter()
            try:
                self._together([run], batch.slow, run.deadline, patience)
            except LockWait:
                run.locked = True
                if run.watched is not None:
                    # The try that failed may have got as far as an EXEC, which forgets the watches.
                    run.session.watched = dict(run.watched)
            run.unit_s = time.perf_counter() - start

    def _one_by_one(self, runs: list[Run]) -> None:
        """Run every command in a unit of its own, so that only the guilty one gets the error."""
        for run in runs:
            run.put_back = False
            if run.watched is not None:
                # The try that failed may have got as far as an EXEC, which forgets the watches.
                run.session.watched = dict(run.watched)
            replies: list[Any] = []
            times: list[float] = []
            failures: list[tuple[Command | None, CommandError]] = []
            delay_s = 0.0
            hits = misses = 0
            for position, item in enumerate(run.items):
                if type(item) is bytes:
                    replies.append(None)
                    times.append(0.0)
                    continue
                single = Run(run.session, run.version)
                if isinstance(item, Transaction):
                    single.add_transaction(item.commands, list(run.session.watched), item.db)
                else:
                    single.add(*item)
                single.watched = run.session.watched if run.watched is not None else None
                start = time.perf_counter()
                try:
                    _, told = self.executor.run(plan_of([single]), body_of([single], True), run.deadline)
                    self._told += [Told(run, position, effects) for _, _, effects in told]
                except Exception as error:
                    _fail([single], error)
                run.blocked, run.seen, run.fed = single.blocked, single.seen, single.fed
                # What its unit took is its alone, and so is a sleep, which comes behind that.
                times.append(time.perf_counter() - start + single.delay_s)
                replies += single.replies
                failures += single.failures
                delay_s += single.delay_s
                hits += single.hits
                misses += single.misses
            run.replies, run.failures, run.delay_s = replies, failures, delay_s
            run.hits, run.misses = hits, misses
            run.times, run.own_s = times, sum(times) - delay_s


Outcome = tuple[Serving | None, list[Told]]


def body_of(runs: list[Run], slow: bool, waiters: list[Waiter] | None = None) -> Callable[[Attempt], Outcome]:
    """What the unit does between its reads and its commit: whom it served, and what is to be told."""

    def body(attempt: Attempt) -> Outcome:
        together = 0
        told: list[Told] = []
        serving = Serving(waiters, attempt, partial(execute, told=told)) if waiters else None
        after = serving.look if serving is not None else None
        hopeful = [*runs, *[waiter.run for waiter in waiters]] if waiters else runs
        if any(run.wants for run in hopeful):
            _prefetch(hopeful, attempt)
        for run in runs:
            # An earlier try may have found large values that are gone now.
            run.put_back = False
            if not slow and attempt.large:
                total = _weigh(run, attempt)
                run.put_back = total > HEAVY or (total > 0 and together + total > PART)
                if run.put_back:
                    continue
                together += total
            if run.wakes:
                if serving is not None:
                    serving.look_again(run.keys)
            else:
                execute(run, attempt, told, after)
        for run in runs:
            if run.blocked is not None:
                run.fed = any(attempt.version_of(*name) != version for name, version in run.seen.items())
        return serving, told

    return body


def _prefetch(runs: list[Run], attempt: Attempt) -> None:
    """Let the stores read at once what all the commands are going to look for."""
    for run in runs:
        if run.wants:
            for item in run.items:
                if isinstance(item, bytes):
                    continue
                for command, request, db in item.commands if isinstance(item, Transaction) else (item,):
                    if command.wants is not None:
                        command.wants(keyspace_of(attempt, db), request)
    attempt.prefetch()


def plan_of(runs: list[Run]) -> Plan:
    """The keys and wishes of all runs as one plan."""
    if len(runs) == 1:
        run = runs[0]
        plan = Plan(run.writes, run.keys, run.blind, values=run.values, snapshot=run.elements)
    else:
        plan = Plan()
        for run in runs:
            plan.keys += run.keys
            plan.blind += run.blind
            plan.writes |= run.writes
            plan.values |= run.values
            plan.snapshot |= run.elements
    if plan.blind and plan.keys:
        read = set(plan.keys)
        plan.blind = [name for name in plan.blind if name not in read]
    if plan.writes:
        # The commands of a run are as if run one after another. Of one alone it does not matter when it looked; of
        # several, what one read must not change before the commit of what another wrote.
        plan.hold = [name for run in runs for name in (run.keys if run.units > 1 else run.hold)]
    return plan


def _weigh(run: Run, attempt: Attempt) -> int:
    """Bytes of large values that the run's commands read whole; how many of its items go first is left in the run."""
    run.weight = run.fits = 0
    if not run.whole and not run.elements:
        return 0
    sizes: dict[tuple[int, bytes], int] = {}
    counts: dict[tuple[int, bytes], int] = {}
    for row in attempt.large:
        (sizes if row.type == Type.STRING else counts)[row.space, row.name] = row.size
    spaces = attempt.map.spaces
    total = 0
    for position, item in enumerate(run.items):
        if not isinstance(item, bytes):
            commands = item.commands if isinstance(item, Transaction) else [item]
            for command, request, db in commands:
                if command.values and (command.whole is None or command.whole(request)):
                    total += sum(sizes.get((spaces[db], name), 0) for name in command.key_names(request))
                if command.reads is not None and counts:
                    for name in command.key_names(request):
                        count = command.reads(request, counts.get((spaces[db], name), 0))
                        total += HEAVY + count * ELEMENT if count > MANY else 0
        if total <= PART or not run.fits:
            run.fits, run.weight = position + 1, total
    return total


def _encode(run: Run, told: list[Told]) -> None:
    if told and run.session.listens:
        # What it is told itself goes in between, and only the loop knows what that is.
        run.late = True
        return
    try:
        run.encode()
    except Exception as error:
        # A reply that can't be encoded is a mistake of ours; it must not end the worker.
        _fail([run], error)
        run.encode()


def _fail(runs: list[Run], error: Exception) -> None:
    if isinstance(error, StorageError):
        reply = reply_to(error)
    else:
        log.error("a command failed by a mistake of ours", exc_info=error)
        reply = CommandError(b"ERR internal error")
    for run in runs:
        run.put_back = False
        run.fail(reply)

