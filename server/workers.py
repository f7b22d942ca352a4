"""Storage workers: threads that each run one batch at a time through a unit of work."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from protocol.errors import CommandError
from server.dispatch import execute, reply_to
from server.registry import Command
from server.run import Batch, Run, Transaction
from storage.errors import Indeterminate, NotApplied, StorageError, Unavailable
from storage.execution import Executor, Plan
from storage.unit import Attempt, Type

log = logging.getLogger("rowdis.worker")

#: A run that would read more than this many bytes of large values is put back for the slow lane.
HEAVY = 1024 * 1024
#: So many bytes of large values are read at one time, or one command's.
PART = 4 * 1024 * 1024


class Outbox:
    """Hands what worker threads finished to the event loop, with one wake-up for all that has gathered."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._done: deque[Batch] = deque()
        self._awake = False

    def put(self, batch: Batch) -> None:
        """Called by workers."""
        self._done.append(batch)
        # A wake-up too many is harmless, and one too few impossible: the loop clears the mark before it empties.
        if not self._awake:
            self._awake = True
            self._loop.call_soon_threadsafe(self._empty)

    def _empty(self) -> None:
        self._awake = False
        while self._done:
            batch = self._done.popleft()
            batch.done(batch)


class Worker(threading.Thread):
    """One thread with its executor; batches come through `tasks`, None ends it."""

    def __init__(self, number: int, executor: Executor, outbox: Outbox) -> None:
        super().__init__(name=f"storage-{number}", daemon=True)
        self.executor = executor
        self.tasks: SimpleQueue[Batch | None] = SimpleQueue()
        self._outbox = outbox

    def run(self) -> None:
        while (batch := self.tasks.get()) is not None:
            start = time.perf_counter()
            try:
                self._run_batch(batch)
            finally:
                batch.elapsed_s = time.perf_counter() - start
                self._outbox.put(batch)
            # Nothing of a batch is kept while waiting for the next.
            del batch
        self.executor.close()

    def _run_batch(self, batch: Batch) -> None:
        runs = batch.runs
        try:
            self.executor.run(plan_of(runs), body_of(runs, batch.slow), batch.deadline)
        except (NotApplied, Unavailable, Indeterminate) as error:
            _fail(runs, error)
        except Exception as error:
            if len(runs) == 1 and runs[0].units == 1:
                _fail(runs, error)
            else:
                self._one_by_one(batch)
        for run in runs:
            # Replies that the loop has a part in are encoded there.
            if not run.put_back and not run.loop_calls:
                _encode(run)

    def _one_by_one(self, batch: Batch) -> None:
        """Run every command in a unit of its own, so that only the guilty one gets the error."""
        for run in batch.runs:
            run.put_back = False
            if run.watched is not None:
                # The try that failed may have got as far as an EXEC, which forgets the watches.
                run.session.watched = dict(run.watched)
            replies: list[Any] = []
            failures: list[tuple[Command | None, CommandError]] = []
            delay_s = 0.0
            hits = misses = 0
            for item in run.items:
                if type(item) is bytes:
                    replies.append(None)
                    continue
                single = Run(run.session, run.version)
                if isinstance(item, Transaction):
                    single.add_transaction(item.commands, list(run.session.watched), item.db)
                else:
                    single.add(*item)
                single.watched = run.session.watched if run.watched is not None else None
                try:
                    self.executor.run(plan_of([single]), body_of([single], True), batch.deadline)
                except Exception as error:
                    _fail([single], error)
                replies += single.replies
                failures += single.failures
                delay_s += single.delay_s
                hits += single.hits
                misses += single.misses
            run.replies, run.failures, run.delay_s = replies, failures, delay_s
            run.hits, run.misses = hits, misses


def body_of(runs: list[Run], slow: bool) -> Callable[[Attempt], None]:
    """What the unit does between its reads and its commit."""

    def body(attempt: Attempt) -> None:
        together = 0
        for run in runs:
            # An earlier try may have found large values that are gone now.
            run.put_back = False
            if not slow and attempt.large:
                total = _weigh(run, attempt)
                run.put_back = total > HEAVY or (total > 0 and together + total > PART)
                if run.put_back:
                    continue
                together += total
            execute(run, attempt)

    return body


def plan_of(runs: list[Run]) -> Plan:
    """The keys and wishes of all runs as one plan."""
    if len(runs) == 1:
        run = runs[0]
        plan = Plan(run.writes, run.keys, run.blind, values=run.values)
    else:
        plan = Plan()
        for run in runs:
            plan.keys += run.keys
            plan.blind += run.blind
            plan.writes |= run.writes
            plan.values |= run.values
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
    if not run.whole:
        return 0
    sizes = {(row.space, row.name): row.size for row in attempt.large if row.type == Type.STRING}
    spaces = attempt.map.spaces
    total = 0
    for position, item in enumerate(run.items):
        if not isinstance(item, bytes):
            commands = item.commands if isinstance(item, Transaction) else [item]
            for command, request, db in commands:
                if command.values and (command.whole is None or command.whole(request)):
                    total += sum(sizes.get((spaces[db], name), 0) for name in command.key_names(request))
        if total <= PART or not run.fits:
            run.fits, run.weight = position + 1, total
    return total


def _encode(run: Run) -> None:
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

