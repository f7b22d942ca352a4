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
from server.dispatch import execute, reply_to, try_reading
from server.registry import Command
from server.run import Batch, CommitGate, Name, Run, Told, Transaction
from server.scripting.pace import TakesLong
from server.serving import Serving, bold_of
from storage.errors import GivenUp, Indeterminate, LockWait, NotApplied, StorageError, Unavailable
from storage.execution import Executor, Patience, Plan
from storage.key_rows import Type
from storage.keyspace import keyspace_of
from storage.unit import Attempt, Mode

log = logging.getLogger("rowdis.worker")

#: A run that would read more than this many bytes of large values is put back for the slow lane.
HEAVY = 1024 * 1024
#: So does one that would read more elements than this, and each counts for so many bytes.
MANY = 1000
ELEMENT = 64
#: So many bytes of large values are read at one time, or one command's.
PART = 4 * 1024 * 1024
#: What blocked clients behind a batch that met a lock are given has at least so many seconds.
FEEDING_S = 1.0


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
            except Exception as error:
                # This thread has to go on whatever happens: whoever is given to it would never be answered.
                self._note_mistake(task, error)
            finally:
                task.elapsed_s = time.perf_counter() - start
                self._outbox.put(task)
            # Nothing of a batch is kept while waiting for the next.
            self._told = []
            del task
        self.executor.close()

    @staticmethod
    def _note_mistake(task: Batch | Job, error: Exception) -> None:
        if isinstance(task, Job):
            log.error("a look at the database failed by a mistake of ours", exc_info=error)
            return
        _fail(task.runs, error)
        for run in task.runs:
            run.locked = run.late = False
            if not run.loop_calls:
                run.encode()

    def _run_batch(self, batch: Batch) -> None:
        batch.told = self._told = []
        if batch.contended:
            self._apart(batch)
        else:
            self._run_shared(batch)
        for run in batch.runs:
            # Replies that the loop has a part in are encoded there.
            if not run.put_back and not run.locked and not run.loop_calls:
                _encode(run)

    def _run_shared(self, batch: Batch) -> None:
        """Run all of a batch in one unit, as far as that is possible."""
        bold = bold_of(batch.waiters)
        left = batch.waiters
        if bold or not all(run.wakes for run in batch.runs):
            patience = Patience.BRIEF if batch.shared else Patience.STEADY
            try:
                left = self._together(batch, batch.runs, batch.deadline, patience, bold)
            except LockWait:
                self._apart(batch)
                return
        if left:
            self._feed_apart(batch, left)

    def _together(
        self, batch: Batch, runs: list[Run], deadline: float, patience: Patience, waiters: list[Waiter]
    ) -> list[Waiter]:
        """Run some runs of a batch in one unit, which serves these waiters too.

        It gives the waiters of the batch that have yet to be looked at.  Raises nothing but LockWait, after which none
        of the runs was applied.
        """
        plan = _plan_of_unit(runs, waiters, patience)
        if batch.contended:
            # Who waits for a lock shall not have sent its COMMIT, so that it can be given up.
            plan.keys, plan.blind = [*plan.keys, *plan.blind], []
        try:
            outcome = self.executor.run(plan, body_of(runs, batch.slow, waiters), deadline)
        except LockWait:
            raise
        except GivenUp as error:
            given_up = {run for run in runs if run.answered}
            _fail(list(given_up), error)
            rest = [run for run in runs if run not in given_up]
            return self._together(batch, rest, deadline, patience, waiters) if rest else []
        except TakesLong as error:
            return self._leave_out(batch, runs, error, deadline, patience, waiters)
        except (NotApplied, Unavailable, Indeterminate) as error:
            _fail(runs, error)
            return []
        except Exception as error:
            if len(runs) == 1 and runs[0].units == 1 and not waiters:
                _fail(runs, error)
            else:
                self._one_by_one(batch, runs)
            return batch.waiters
        self._note_outcome(batch, *outcome)
        looked_at = set(waiters)
        return [waiter for waiter in batch.waiters if waiter not in looked_at]

    def _leave_out(
        self,
        batch: Batch,
        runs: list[Run],
        error: TakesLong,
        deadline: float,
        patience: Patience,
        waiters: list[Waiter],
    ) -> list[Waiter]:
        """Put the run of a script that takes long back for the slow lane, where it is by itself; run the others."""
        rest = []
        for run in runs:
            if run.session is error.session:
                run.put_back = run.alone = True
                run.fits, run.weight = len(run.items), 0
                if run.watched is not None:
                    # The try that failed may have got as far as an EXEC, which forgets the watches.
                    run.session.watched = dict(run.watched)
            else:
                rest.append(run)
        return self._together(batch, rest, deadline, patience, waiters) if rest else batch.waiters

    def _note_outcome(self, batch: Batch, serving: Serving | None, told: list[Told]) -> None:
        """A unit was committed."""
        self._told += told
        if serving is not None:
            serving.note()
            batch.served |= serving.served
            batch.missed -= serving.emptied
            for waiter in serving.served:
                _encode(waiter.run)

    def _feed_behind(self, batch: Batch, run: Run) -> None:
        """Serve whom a run may have fed that had a unit of its own."""
        names = {*run.keys, *run.blind}
        concerned: list[Waiter] = []
        known = -1
        while known < len(concerned):
            # Who is served may feed others.
            known = len(concerned)
            concerned = [waiter for waiter in batch.waiters if not names.isdisjoint(waiter.seen)]
            names.update(*[waiter.targets for waiter in concerned])
        concerned = [waiter for waiter in concerned if waiter not in batch.served and waiter not in batch.stuck]
        if concerned:
            self._feed_apart(batch, concerned)

    def _feed_apart(self, batch: Batch, waiters: list[Waiter]) -> None:
        """Serve waiters behind the unit of their batch, without waiting for locks."""
        deadline = max(batch.deadline, time.monotonic() + FEEDING_S)
        if len(waiters) > 1 and not batch.stuck:
            try:
                self._feed(batch, waiters, deadline)
                return
            except Indeterminate:
                # They may have been given something; to look again could take a second time.
                batch.stuck.update(waiters)
                return
            except Exception as error:
                log.debug("blocked clients are served one by one: %s", type(error).__name__)
        held: set[Name] = set().union(*[waiter.seen for waiter in batch.stuck])
        for position, waiter in enumerate(waiters):
            if not held.isdisjoint(waiter.seen):
                # It must not overtake anybody.
                batch.stuck.add(waiter)
                continue
            try:
                self._feed(batch, [waiter], deadline)
            except LockWait:
                held.update(waiter.seen)
                batch.stuck.add(waiter)
            except (NotApplied, Unavailable, Indeterminate):
                batch.stuck.update(waiters[position:])
                break
            except Exception as error:
                if waiter.serve():
                    _fail([waiter.run], error)
                    _encode(waiter.run)
                    batch.served.add(waiter)

    def _feed(self, batch: Batch, waiters: list[Waiter], deadline: float) -> None:
        """Look, in a unit that waits for no lock, whether there is something for some waiters."""
        names = dict.fromkeys(name for waiter in waiters for name in waiter.seen)
        wake = Run.waking(waiters[0].run.session, list(names))
        plan = _plan_of_unit([wake], waiters, Patience.NONE)
        self._note_outcome(batch, *self.executor.run(plan, body_of([wake], True, waiters), deadline))

    def _apart(self, batch: Batch) -> None:
        """Run each run in a unit of its own, so that none waits for a row that another wants and somebody holds locked.

        Whoever meets a lock goes back to the batcher.  Only the first of runs that are known to have met one waits.
        """
        for position, run in enumerate(batch.runs):
            if run.wakes:
                self._feed_behind(batch, run)
                continue
            if time.monotonic() >= run.deadline:
                _fail([run], NotApplied("another transaction held a lock for too long"))
                continue
            patience = Patience.BRIEF if batch.contended and position == 0 else Patience.NONE
            start = time.perf_counter()
            try:
                self._together(batch, [run], run.deadline, patience, [])
                self._feed_behind(batch, run)
            except LockWait:
                # Who is to go to the slow lane can wait there.
                run.locked = not run.put_back
                if run.watched is not None:
                    # The try that failed may have got as far as an EXEC, which forgets the watches.
                    run.session.watched = dict(run.watched)
            run.unit_s = time.perf_counter() - start

    def _one_by_one(self, batch: Batch, runs: list[Run]) -> None:
        """Run every command in a unit of its own, so that only the guilty one gets the error."""
        for run in runs:
            run.put_back = False
            if run.watched is not None:
                # The try that failed may have got as far as an EXEC, which forgets the watches.
                run.session.watched = dict(run.watched)
            if (run.presumed or run.writes) and not batch.writes:
                # Nobody keeps other writers off its keys: it is planned anew as one that writes.
                run.let_write()
                run.put_back = True
                continue
            replies: list[Any] = []
            times: list[float] = []
            failures: list[tuple[Command | None, CommandError]] = []
            delay_s = 0.0
            hits = misses = 0
            gate = CommitGate([run])
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
                if single.presumed:
                    single.let_write()
                single.watched = run.session.watched if run.watched is not None else None
                if run.tracked is not None and position in run.tracked:
                    single.tracked = {0}
                start = time.perf_counter()
                plan = plan_of([single])
                plan.gate = gate
                try:
                    _, told = self.executor.run(plan, body_of([single], True), run.deadline)
                    gate.stay()
                    self._told += [Told(run, position, effects) for _, _, effects in told]
                except Exception as error:
                    _fail([single], error)
                run.blocked, run.seen, run.fed = single.blocked, single.seen, single.fed
                run.tells |= single.tells
                # What its unit took is its alone, and so is a sleep, which comes behind that.
                times.append(time.perf_counter() - start + single.delay_s)
                replies += single.replies
                failures += single.failures
                if 0 in single.inner:
                    run.inner[position] = single.inner[0]
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
        attempt.shared = not slow
        perform = execute if attempt.mode is Mode.WRITE else try_reading
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
                perform(run, attempt, told, after)
        for run in runs:
            if run.blocked is not None:
                run.fed = any(attempt.version_of(*name) != version for name, version in run.seen.items())
        if serving is not None:
            serving.finish()
        return serving, told

    return body


def _plan_of_unit(runs: list[Run], waiters: list[Waiter], patience: Patience) -> Plan:
    """The plan of a unit that serves waiters too, and that the loop may give up before its COMMIT."""
    plan = plan_of(runs)
    plan.patience = patience
    if waiters:
        # Not in place: the list may be a run's own.
        plan.keys = [*plan.keys, *[name for waiter in waiters for name in waiter.names]]
    if plan.writes:
        plan.gate = CommitGate(runs)
    return plan


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


def _encode(run: Run) -> None:
    if run.tells and run.session.listens:
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

