"""The batcher: whatever runs are pending when a worker is free become its next batch.

There is no timer: a lone client waits for nobody, and the busier the server, the larger the batches.  Two batches that
write share no key; reading batches need no such care, because a read beside an unacknowledged write may see the state
before it or after it.

Another program may hold a row locked for long.  The runs of a batch that waited for a lock in vain are run apart, and
those that meet the lock come back here, to a lane of their own: as long as their keys are known as contended, whoever
writes them goes to that lane too, and keeps nobody else waiting.

Lives on the event loop.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections import deque
from collections.abc import Callable
from collections.abc import Set as AbstractSet

from protocol.errors import CommandError
from server.blocking import Waiters
from server.dispatch import indeterminate, not_applied
from server.effects import Effects
from server.metrics import Metrics
from server.monitor import Monitors
from server.run import Batch, Name, Run
from server.scripting.pace import LongRun, Pace, busy
from server.workers import Job, Worker
from storage.errors import StorageError
from storage.execution import Executor, Plan
from storage.unit import Attempt

log = logging.getLogger("rowdis.batcher")

#: A batch ends with the run that takes it over one of these.
MAX_COMMANDS = 400
MAX_BYTES = 8 * 1024 * 1024
#: Batches that write, and that read, at the same time.
WRITERS = 2
READERS = 2
#: A second batch of a kind starts only beside one that is full, or has been under way for so many seconds (its log sync
#: is slow): one large batch after the other is cheaper than two small ones at a time.
OVERLAP_AFTER_S = 0.003
#: Turns of the loop between the first pending run and the making of batches. In each the loop reads what has come in
#: meanwhile, without waiting for anything, so clients that were answered together are batched together again.
GATHERING_TURNS = 3
#: Large replies that may be unsent at one time, over all clients, in bytes.
MAX_OUTSTANDING = 192 * 1024 * 1024
#: The slow lane may take this many times the usual time-out: its runs wait for each other and for slow readers.
SLOW_FACTOR = 6
#: While the slow lane is at work, a thread that computes gives way to another after so long: a command crosses threads
#: several times, and with Python's 5 ms it took 20 to 40 ms beside one that read a large collection. At all other times
#: this would tear batches apart and cost up to a tenth of the speed (docs/decisions/0004).
EAGER_SWITCH_S = 0.0005
#: A key counts as contended for so many seconds after a command last met its lock, or until one has gone through.
CONTENDED_S = 10.0
#: How often deadlines are looked at, in seconds.
TICK_S = 0.1


class Batcher:
    """Queues of pending runs, and the workers.

    `answer(run)` is called on the loop when a run is answered or has failed.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        workers: list[Worker],
        answer: Callable[[Run], None],
        metrics: Metrics,
        timeout_ms: Callable[[], int],
        outstanding: Callable[[], int],
    ) -> None:
        self._loop = loop
        self._answer = answer
        self._metrics = metrics
        self._timeout_ms = timeout_ms
        self._outstanding = outstanding
        self._idle = list(workers)
        self._workers = len(workers)
        self._writing: deque[Run] = deque()
        self._reading: deque[Run] = deque()
        self._slow: deque[Run] = deque()
        #: Runs that write contended keys: they met a lock, or would.
        self._contending: deque[Run] = deque()
        self._lanes = (self._writing, self._reading, self._slow, self._contending)
        #: Until when a key counts as contended, on the monotonic clock.
        self._contended: dict[Name, float] = {}
        self._contended_was_last = False
        self._alone_was_last = False
        self._switch_s = sys.getswitchinterval()
        self._flying: list[Batch] = []
        self._jobs: deque[Job] = deque()
        #: Blocked clients; set by whoever composes the program.
        self.waiters: Waiters
        #: Who is told of all commands, and of what they did; set by the same.
        self.monitors: Monitors
        #: Scripts that may take as long as they like; set by the same.
        self.pace: Pace
        self.effects: Effects
        self._scheduled = False
        self._turn_deadline = 0.0
        self._stopped = False
        self._ticking = False
        #: CLIENT PAUSE ALL is in force: nothing is executed, not even what needs no storage.
        self.paused_for_all = False
        self._paused = False
        self._pause_ends: asyncio.TimerHandle | None = None
        self._held: list[Callable[[], None]] = []
        self.batches = 0
        self.batched_commands = 0

    def submit(self, run: Run) -> None:
        """Queue a run; it starts when a worker and its lane are free."""
        if not self._scheduled:
            self._scheduled = True
            self._turn_deadline = self._deadline(slow=False)
            self._loop.call_soon(self._gather, GATHERING_TURNS)
        if run.presumed and self._paused:
            # What may write waits for the end of the pause.
            run.let_write()
        if run.slow:
            run.deadline = self._deadline(slow=True)
            self._slow.append(run)
        else:
            # One look at the clock serves the whole turn.
            run.deadline = self._turn_deadline
            (self._writing if run.writes else self._reading).append(run)

    @property
    def pending(self) -> int:
        """Runs that wait for a worker or are with one."""
        return sum(map(len, self._lanes)) + sum(len(batch.runs) for batch in self._flying)

    def pause(self, until: float, *, reads: bool) -> None:
        """Hold back writes, or with `reads` everything, until a time on the loop's clock (CLIENT PAUSE).

        A pause that is in force already may only become longer and stricter.
        """
        if self._pause_ends is not None:
            until = max(until, self._pause_ends.when())
            self._pause_ends.cancel()
        self._pause_ends = self._loop.call_at(until, self.unpause)
        self._paused = True
        self.paused_for_all |= reads

    def hold(self, resume: Callable[[], None]) -> None:
        """Call `resume` when the pause is over."""
        self._held.append(resume)

    def unpause(self) -> None:
        """End a pause: everything held back has its full time from now on."""
        if self._pause_ends is not None:
            self._pause_ends.cancel()
            self._pause_ends = None
        self._paused = self.paused_for_all = False
        for lane in self._lanes:
            for run in lane:
                run.deadline = self._deadline(slow=run.slow)
        held, self._held = self._held, []
        for resume in held:
            resume()
        self._dispatch()

    @property
    def paused(self) -> str:
        """What is held back: "none", "write" or "all"."""
        return "all" if self.paused_for_all else "write" if self._paused else "none"

    def expect_untold(self) -> None:
        """Changes are gathered from now on: what is under way may have begun before, and write without telling."""
        for batch in self._flying:
            batch.untold = batch.writes

    def poll(self, names: list[Name], then: Callable[[dict[Name, int] | None, float], None]) -> None:
        """Look up the versions of keys in a storage worker.

        `then` is called on the loop with the versions (0: no such key), or with None if the database can't be asked,
        and the seconds it took.
        """
        found: list[dict[Name, int]] = []

        def work(executor: Executor) -> None:
            def body(attempt: Attempt) -> dict[Name, int]:
                return {name: attempt.version_of(*name) for name in names}

            try:
                found.append(executor.run(Plan(keys=names, values=False), body, self._deadline(slow=False)))
            except StorageError as error:
                log.debug("the keys of blocked clients could not be looked up: %s", error)

        def done(job: Job) -> None:
            self._take_back(job.worker)
            then(found[0] if found else None, job.elapsed_s)
            self.wake()

        self._jobs.append(Job(work, done))
        self.wake()

    def refuse_waiting(self, running: LongRun) -> None:
        """A script runs for so long that whoever waits for a worker is refused."""
        for lane in self._lanes:
            runs = list(lane)
            lane.clear()
            for run in runs:
                if run.wakes:
                    lane.append(run)
                else:
                    self._expire(run, busy(running.kind))

    def stop_workers(self) -> None:
        """Let every worker end after the batch it is at."""
        for worker in self._idle:
            worker.tasks.put(None)
        self._idle = []
        self._stopped = True

    def _deadline(self, *, slow: bool) -> float:
        return time.monotonic() + self._timeout_ms() / 1000 * (SLOW_FACTOR if slow else 1)

    # -- making batches

    def _gather(self, turns: int) -> None:
        """Make batches after this many more turns of the loop."""
        if turns:
            self._loop.call_soon(self._gather, turns - 1)
        else:
            self._dispatch()

    def _dispatch(self) -> None:
        self._scheduled = False
        while self._jobs and self._idle:
            job = self._jobs.popleft()
            job.worker = self._idle.pop()
            job.worker.tasks.put(job)
        if not self._paused and (self._writing or self._contending) and self._idle:
            self._start_writers()
        if not self.paused_for_all:
            reading = [batch for batch in self._flying if not batch.writes and not batch.slow]
            while self._reading and self._idle and len(reading) < READERS and self._may_overlap(reading):
                reading.append(self._start(self._take(self._reading), writes=False))
            if self._slow and self._idle and self._may_start_slow():
                run = self._slow.popleft()
                self._start([run], writes=run.writes, slow=True, alone=run.alone)
        if (self._flying or any(self._lanes)) and not self._ticking:
            self._ticking = True
            self._loop.call_later(TICK_S, self._tick)

    def _start_writers(self) -> None:
        writing = [batch for batch in self._flying if batch.writes]
        if any(batch.alone for batch in writing) or self._makes_room_for_slow():
            return
        limit = max(1, min(WRITERS, self._workers - 1))
        # Where one batch at a time writes, the contended runs and the others take turns.
        if not self._contended_was_last:
            self._start_contended(writing, limit)
        while self._writing and self._idle and len(writing) < limit:
            if not self._may_overlap([batch for batch in writing if not batch.contended and not batch.slow]):
                return
            if self._writing[0].alone:
                if not writing:
                    self._start([self._writing.popleft()], writes=True, alone=True)
                return
            runs = self._take(self._writing, _names(writing))
            if not runs:
                break
            writing.append(self._start(runs, writes=True))
        self._start_contended(writing, limit)

    def _makes_room_for_slow(self) -> bool:
        """Whether the next of the slow lane must be alone among writers, and will be when those under way are done.

        After one of these the others have a turn: scripts that take long may come without end.
        """
        return (
            bool(self._slow)
            and self._slow[0].alone
            and self._slow[0].writes
            and not self._alone_was_last
            and not any(batch.slow for batch in self._flying)
            and self._fits_outstanding(self._slow[0])
        )

    def _start_contended(self, writing: list[Batch], limit: int) -> None:
        """Start the runs on contended keys as a batch beside those that are `writing`; one such batch at a time."""
        if not self._contending or not self._idle or len(writing) >= limit or any(batch.contended for batch in writing):
            return
        runs = self._take(self._contending, _names(writing))
        if runs:
            writing.append(self._start(runs, writes=True, contended=True))

    def _may_overlap(self, flying: list[Batch]) -> bool:
        """Whether one more batch may start beside those of its kind that are under way."""
        if not flying:
            return True
        last = flying[-1]
        return last.commands >= MAX_COMMANDS or self._loop.time() - last.started >= OVERLAP_AFTER_S

    def _take(self, lane: deque[Run], taken: frozenset[Name] | set[Name] = frozenset()) -> list[Run]:
        """Runs for one batch from the front of a lane; those that touch a key in `taken` stay, in their order."""
        runs: list[Run] = []
        left: list[Run] = []
        commands = size = 0
        while lane and commands < MAX_COMMANDS and size < MAX_BYTES:
            run = lane.popleft()
            if run.alone:
                left.append(run)
                break
            if self._contended and lane is self._writing and not _untouched(run, self._contended.keys()):
                self._contending.append(run)
                continue
            if taken and not _untouched(run, taken):
                left.append(run)
                # Who comes after it and wants the same keys must not overtake it.
                taken = taken.union(run.keys, run.blind)
                continue
            runs.append(run)
            commands += run.units
            size += run.size
        lane.extendleft(reversed(left))
        return runs

    def _start(
        self, runs: list[Run], *, writes: bool, slow: bool = False, alone: bool = False, contended: bool = False
    ) -> Batch:
        names: set[Name] = set()
        woken: set[Name] = set()
        if writes:
            for run in runs:
                (woken if run.wakes else names).update(run.keys)
                names.update(run.blind)
            woken -= names
            self._contended_was_last = contended
            self._alone_was_last = slow and alone
        deadline = max(run.deadline for run in runs)
        batch = Batch(runs, writes, slow, alone, names | woken, deadline, self._done, contended=contended)
        if writes and not alone and self.waiters:
            taken = _names([other for other in self._flying if other.writes])
            batch.waiters, batch.missed = self.waiters.claim(names, woken, taken)
            for waiter in batch.waiters:
                batch.names.update(waiter.names)
        self._flying.append(batch)
        self.batches += 1
        batch.commands = sum([run.units for run in runs])
        self.batched_commands += batch.commands
        batch.started = self._loop.time()
        batch.worker = self._idle.pop()
        if slow:
            sys.setswitchinterval(EAGER_SWITCH_S)
        batch.worker.tasks.put(batch)
        return batch

    def _may_start_slow(self) -> bool:
        """One slow run at a time, on a worker that the other lanes can spare, if its reply fits among the unsent."""
        run = self._slow[0]
        if any(batch.slow for batch in self._flying) or (self._paused and run.writes):
            return False
        if run.writes:
            names = {*run.keys, *run.blind}
            for batch in self._flying:
                if batch.writes and (batch.alone or run.alone or not batch.names.isdisjoint(names)):
                    return False
        return self._fits_outstanding(run)

    def _fits_outstanding(self, run: Run) -> bool:
        outstanding = self._outstanding()
        return not outstanding or outstanding + run.weight <= MAX_OUTSTANDING

    def wake(self) -> None:
        """Something that held a run back may have changed."""
        if not self._scheduled:
            self._scheduled = True
            self._turn_deadline = self._deadline(slow=False)
            self._loop.call_soon(self._gather, GATHERING_TURNS)

    # -- the ends of batches

    def _done(self, batch: Batch) -> None:
        self._flying.remove(batch)
        self._take_back(batch.worker)
        if batch.slow:
            # There is one slow batch at a time.
            sys.setswitchinterval(self._switch_s)
        self._metrics.tally(batch)
        if self.monitors.active:
            self.monitors.tell_batch(batch)
        if batch.contended or any(run.locked for run in batch.runs):
            self._note_locks(batch)
        self._tell(batch)
        finished = []
        for run in batch.runs:
            if run.answered:
                continue
            if run.put_back and run.writes and not batch.writes:
                self._let_write(run)
            elif run.put_back:
                self._put_back(run)
            elif run.locked:
                run.locked = False
                self._contending.append(run)
            else:
                finished.append(run)
        for run in finished:
            run.answered = True
            if run.blocked is not None:
                self.waiters.add(run)
            elif not run.wakes:
                self._answer(run)
        if batch.waiters or batch.missed:
            self.waiters.release(batch.waiters, batch.served, batch.stuck, batch.missed)
        elif batch.alone and batch.writes and self.waiters:
            # It may have written any key.
            self.waiters.look_soon()
        if self.waiters and any(run.strays for run in batch.runs):
            self.waiters.look_soon()
        if batch.writes and self.waiters.any_put_off:
            self.waiters.resume(_names([other for other in self._flying if other.writes]))
        self.wake()

    def _tell(self, batch: Batch) -> None:
        """Tell what the batch did to those who want to know."""
        try:
            if batch.told:
                self.effects.deliver(batch.told)
            if batch.untold:
                self.effects.anything()
        except Exception:
            # A mistake of ours; those who wait for their answers are not to blame for it.
            log.exception("what a batch did could not be told to everybody")

    def _take_back(self, worker: Worker) -> None:
        if self._stopped:
            worker.tasks.put(None)
        else:
            self._idle.append(worker)

    def _note_locks(self, batch: Batch) -> None:
        """Learn which keys are contended, of a batch whose runs were run apart."""
        for run in batch.runs:
            if not run.locked and not run.failures:
                for name in (*run.keys, *run.blind):
                    self._contended.pop(name, None)
        until = time.monotonic() + CONTENDED_S
        for run in batch.runs:
            if run.locked:
                self._contended.update(dict.fromkeys((*run.keys, *run.blind), until))
        if batch.contended:
            # Another one waits next time.
            batch.runs.append(batch.runs.pop(0))

    def _let_write(self, run: Run) -> None:
        """Queue a run anew that was presumed only to read, and was not executed since it must write."""
        run.put_back = False
        (self._slow if run.slow else self._writing).append(run)

    def _put_back(self, run: Run) -> None:
        """Queue a run that reads much in the slow lane; what is too much at one time goes on when this is answered."""
        run.put_back = run.committing = False
        if run.fits < len(run.items):
            first = run.part(0, run.fits, run.watched)
            first.weight = run.weight
            first.part_of = (run, run.fits)
            run = first
        run.slow = True
        run.deadline = self._deadline(slow=True)
        self._slow.append(run)

    def _tick(self) -> None:
        """Answer what ran out of time: queued runs were not applied, running ones may have been."""
        now = time.monotonic()
        for lane in self._lanes:
            paused = self.paused_for_all or (self._paused and lane is not self._reading)
            if not lane or paused or min(run.deadline for run in lane) > now:
                continue
            runs = list(lane)
            lane.clear()
            for run in runs:
                if run.deadline > now:
                    lane.append(run)
                else:
                    self._expire(run, not_applied("it waited too long for the database"))
        for batch in self._flying:
            for run in batch.runs:
                if self.pace.running and self.pace.runs_for(run.session):
                    # A script may take as long as it likes; what follows it has its full time behind that.
                    run.deadline = self._deadline(slow=True)
                if run.answered or run.deadline + TICK_S > now:
                    continue
                if run.watched is not None:
                    # The worker will yet write what the session watches, so nothing may rely on it any more.
                    run.session.close_after_reply = True
                # Who is given up before its COMMIT was sent is not applied later either.
                certain = run.give_up()
                self._expire(run, not_applied("the database did not answer in time") if certain else indeterminate())
        if self._contended:
            self._contended = {name: until for name, until in self._contended.items() if until > now}
        if any(self._lanes):
            # What may start beside a batch that has been under way for a while is not told of that.
            self.wake()
        if self._flying or any(self._lanes):
            self._loop.call_later(TICK_S, self._tick)
        else:
            self._ticking = False

    def _expire(self, run: Run, error: CommandError) -> None:
        run.answered = True
        if run.wakes:
            return
        # The worker may still be at the run: it is answered by a copy that only has the error.
        answer = Run(run.session, run.version)
        answer.items, answer.muted, answer.part_of = run.items, run.muted, run.part_of
        answer.fail(error)
        self._metrics.errors_of(answer)
        answer.encode()
        self._answer(answer)


def _names(batches: list[Batch]) -> set[Name]:
    """All keys of writing batches."""
    return set().union(*(batch.names for batch in batches))


def _untouched(run: Run, names: AbstractSet[Name]) -> bool:
    return names.isdisjoint(run.keys) and names.isdisjoint(run.blind)
