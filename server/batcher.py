"""The batcher: whatever runs are pending when a worker is free become its next batch.

There is no timer: a lone client waits for nobody, and the busier the server, the larger the batches.  Two batches that
write share no key; reading batches need no such care, because a read beside an unacknowledged write may see the state
before it or after it.  Lives on the event loop.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

from protocol.errors import CommandError
from server.dispatch import indeterminate, not_applied
from server.metrics import Metrics
from server.run import Batch, Name, Run
from server.workers import Worker

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
        self._writing: deque[tuple[float, Run]] = deque()
        self._reading: deque[tuple[float, Run]] = deque()
        self._slow: deque[tuple[float, Run]] = deque()
        self._flying: list[Batch] = []
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
        if run.slow:
            self._slow.append((self._deadline(slow=True), run))
        else:
            # One look at the clock serves the whole turn.
            (self._writing if run.writes else self._reading).append((self._turn_deadline, run))

    @property
    def pending(self) -> int:
        """Runs that wait for a worker or are with one."""
        return len(self._writing) + len(self._reading) + len(self._slow) + sum(len(b.runs) for b in self._flying)

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
        for lane in (self._writing, self._reading, self._slow):
            for position, (_, run) in enumerate(lane):
                lane[position] = (self._deadline(slow=run.slow), run)
        held, self._held = self._held, []
        for resume in held:
            resume()
        self._dispatch()

    @property
    def paused(self) -> str:
        """What is held back: "none", "write" or "all"."""
        return "all" if self.paused_for_all else "write" if self._paused else "none"

    @property
    def pause_left_s(self) -> float:
        """Seconds until the pause is over."""
        return max(0.0, self._pause_ends.when() - self._loop.time()) if self._pause_ends is not None else 0.0

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
        if not self._paused and self._writing and self._idle:
            self._start_writers()
        if not self.paused_for_all:
            reading = [batch for batch in self._flying if not batch.writes and not batch.slow]
            while self._reading and self._idle and len(reading) < READERS and self._may_overlap(reading):
                reading.append(self._start(self._take(self._reading), writes=False))
            if self._slow and self._idle and self._may_start_slow():
                deadline, run = self._slow.popleft()
                self._start([(deadline, run)], writes=run.writes, slow=True, alone=run.alone)
        if (self._flying or self._writing or self._reading or self._slow) and not self._ticking:
            self._ticking = True
            self._loop.call_later(TICK_S, self._tick)

    def _start_writers(self) -> None:
        writing = [batch for batch in self._flying if batch.writes]
        if any(batch.alone for batch in writing):
            return
        while self._writing and self._idle and len(writing) < max(1, min(WRITERS, self._workers - 1)):
            if not self._may_overlap(writing):
                return
            if self._writing[0][1].alone:
                if writing:
                    return
                self._start([self._writing.popleft()], writes=True, alone=True)
                return
            taken = set().union(*(batch.names for batch in writing)) if writing else frozenset[Name]()
            runs = self._take(self._writing, taken)
            if not runs:
                return
            writing.append(self._start(runs, writes=True))

    def _may_overlap(self, flying: list[Batch]) -> bool:
        """Whether one more batch may start beside those of its kind that are under way."""
        if not flying:
            return True
        last = flying[-1]
        return last.commands >= MAX_COMMANDS or self._loop.time() - last.started >= OVERLAP_AFTER_S

    def _take(
        self, lane: deque[tuple[float, Run]], taken: frozenset[Name] | set[Name] = frozenset()
    ) -> list[tuple[float, Run]]:
        """Runs for one batch from the front of a lane; those that touch a key in `taken` stay, in their order."""
        runs: list[tuple[float, Run]] = []
        left: list[tuple[float, Run]] = []
        commands = size = 0
        while lane and commands < MAX_COMMANDS and size < MAX_BYTES:
            entry = lane.popleft()
            run = entry[1]
            if run.alone:
                left.append(entry)
                break
            if taken and not (taken.isdisjoint(run.keys) and taken.isdisjoint(run.blind)):
                left.append(entry)
                # Who comes after it and wants the same keys must not overtake it.
                taken = taken.union(run.keys, run.blind)
                continue
            runs.append(entry)
            commands += run.units
            size += run.size
        lane.extendleft(reversed(left))
        return runs

    def _start(
        self, entries: list[tuple[float, Run]], *, writes: bool, slow: bool = False, alone: bool = False
    ) -> Batch:
        runs = [run for _, run in entries]
        names: set[Name] = set()
        if writes:
            for run in runs:
                names.update(run.keys)
                names.update(run.blind)
        batch = Batch(runs, writes, slow, alone, names, min(deadline for deadline, _ in entries), self._done)
        self._flying.append(batch)
        self.batches += 1
        batch.commands = sum([run.units for run in runs])
        self.batched_commands += batch.commands
        batch.started = self._loop.time()
        batch.worker = self._idle.pop()
        batch.worker.tasks.put(batch)
        return batch

    def _may_start_slow(self) -> bool:
        """One slow run at a time, on a worker that the other lanes can spare, if its reply fits among the unsent."""
        run = self._slow[0][1]
        if any(batch.slow for batch in self._flying) or (self._paused and run.writes):
            return False
        if run.writes:
            names = {*run.keys, *run.blind}
            for batch in self._flying:
                if batch.writes and (batch.alone or run.alone or not batch.names.isdisjoint(names)):
                    return False
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
        if self._stopped:
            batch.worker.tasks.put(None)
        else:
            self._idle.append(batch.worker)
        self._metrics.tally(batch)
        finished = []
        for run in batch.runs:
            if run.answered:
                continue
            if run.put_back:
                self._put_back(run)
            else:
                finished.append(run)
        for run in finished:
            run.answered = True
            self._answer(run)
        self.wake()

    def _put_back(self, run: Run) -> None:
        """Queue a run that reads much in the slow lane; what is too much at one time goes on when this is answered."""
        run.put_back = False
        if run.fits < len(run.items):
            first = run.part(0, run.fits, run.watched)
            first.weight = run.weight
            first.part_of = (run, run.fits)
            run = first
        run.slow = True
        self._slow.append((self._deadline(slow=True), run))

    def _tick(self) -> None:
        """Answer what ran out of time: queued runs were not applied, running ones may have been."""
        now = time.monotonic()
        for lane in (self._writing, self._reading, self._slow):
            paused = self.paused_for_all or (self._paused and lane is not self._reading)
            if not lane or paused or min(deadline for deadline, _ in lane) > now:
                continue
            entries = list(lane)
            lane.clear()
            for deadline, run in entries:
                if deadline > now:
                    lane.append((deadline, run))
                else:
                    self._expire(run, not_applied("it waited too long for the database"))
        for batch in self._flying:
            if batch.deadline + TICK_S <= now and not batch.expired:
                batch.expired = True
                for run in batch.runs:
                    error = indeterminate() if run.writes else not_applied("the database did not answer in time")
                    if run.watched is not None and not run.answered:
                        # The worker will yet write what the session watches, so nothing may rely on it any more.
                        run.session.close_after_reply = True
                    self._expire(run, error)
        if self._flying or self._writing or self._reading or self._slow:
            self._loop.call_later(TICK_S, self._tick)
        else:
            self._ticking = False

    def _expire(self, run: Run, error: CommandError) -> None:
        if run.answered:
            return
        run.answered = True
        # The worker may still be at the run: it is answered by a copy that only has the error.
        answer = Run(run.session, run.version)
        answer.items, answer.muted, answer.part_of = run.items, run.muted, run.part_of
        answer.fail(error)
        self._metrics.errors_of(answer)
        answer.encode()
        self._answer(answer)
