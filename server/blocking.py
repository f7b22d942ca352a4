"""Clients that wait for data: those of BLPOP, XREAD BLOCK and their kin.  Lives on the event loop.

A waiter is waiting, claimed or done, and only the loop decides which.  A batch that writes one of its keys claims it:
the batch's unit runs the waiter's command again right after the command that feeds it (`server/serving.py`), in the
order in which clients blocked.  While it is claimed, a time-out, CLIENT UNBLOCK and a disconnect wait for the unit's
end.  A waiter holds no thread and no connection to the database.

Other instances, and programs that write the tables, feed keys too: as long as somebody waits, the versions of all keys
waited for are compared every POLL_S seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from protocol.errors import CommandError
from protocol.replies import NULL_ARRAY, Reply
from server.run import Run

if TYPE_CHECKING:
    from server.run import Name
    from server.session import Blocked, Session

#: The pause between two looks at the keys waited for.
POLL_S = 0.1
#: ... which may be no more than this part of the time.
POLL_SHARE = 0.1
#: Nobody will see the end of a longer time-out, and timers have limits.
NEVER_MS = 100 * 365 * 24 * 3600 * 1000
#: A batch serves so many waiters of one key; if it leaves something, the others are looked at right behind it.
MAX_CLAIMED = 128


@dataclass(frozen=True, slots=True)
class _Due:
    """How a waiting ends without data."""

    reply: Reply


class Waiter:
    """One blocked client with the run, of one command, that is answered when it is over.

    `seen` has the version of each key when the command found nothing.
    """

    __slots__ = ("again", "blocked", "claimed", "due", "gone", "run", "seen", "timer")

    def __init__(self, run: Run) -> None:
        assert run.blocked is not None
        self.run = run
        self.blocked: Blocked = run.blocked
        self.seen = dict(run.seen)
        self.timer: asyncio.TimerHandle | None = None
        #: A batch has it.
        self.claimed = False
        #: A key of it was written where it could not be served: whoever is woken for the key looks again.
        self.again = False
        #: The client is gone. Read by workers, which then give it nothing any more.
        self.gone = False
        #: What ended the waiting while it was claimed; it counts unless the batch has served it.
        self.due: _Due | None = None


class Waiters:
    """All blocked clients of this instance.

    `answer` sends a run's replies, `submit` queues a run, `poll` looks up the versions of keys in a storage worker and
    calls back on the loop.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        answer: Callable[[Run], None],
        submit: Callable[[Run], None],
        poll: Callable[[list[Name], Callable[[dict[Name, int] | None, float], None]], None],
    ) -> None:
        self._loop = loop
        self._answer = answer
        self._submit = submit
        self._poll = poll
        # In the order in which they blocked.
        self._by_name: dict[Name, dict[Waiter, None]] = {}
        self._by_client: dict[int, Waiter] = {}
        self._next_look: asyncio.TimerHandle | None = None
        # A look is under way, and another one is wanted behind it.
        self._looking = self._look_behind = False

    def __len__(self) -> int:
        return len(self._by_client)

    @property
    def keys(self) -> int:
        """How many keys somebody waits for."""
        return len(self._by_name)

    def add(self, run: Run) -> None:
        """A command found nothing: its client waits."""
        if run.session.input_ended:
            run.session.server_kill()
            return
        waiter = Waiter(run)
        blocked = waiter.blocked
        if blocked.request is not None:
            run.replace(blocked.request)
        for name in waiter.seen:
            self._by_name.setdefault(name, {})[waiter] = None
        self._by_client[run.session.id] = waiter
        run.session.blocked = True
        if 0 < blocked.timeout_ms < NEVER_MS:
            waiter.timer = self._loop.call_later(blocked.timeout_ms / 1000, self._end, waiter, NULL_ARRAY)
        if self._next_look is None and not self._looking:
            self._next_look = self._loop.call_later(POLL_S, self._look)
        if run.fed:
            waiter.again = True
            self.wake(waiter.seen)

    def claim(
        self, written: Iterable[Name], woken: Iterable[Name], taken: set[Name]
    ) -> tuple[list[Waiter], set[Name]]:
        """Waiters of the keys that a batch writes, and keys whose waiters must be looked at once it is over.

        Of keys that it was only woken for, those who have to look `again`.  `taken` are keys of other batches under
        way: who waits for one of those too can't be claimed now.
        """
        claimed: dict[Waiter, None] = {}
        missed: set[Name] = set()
        for name in written:
            queue = self._by_name.get(name)
            if queue and self._claim(queue, taken, claimed):
                missed.add(name)
        for name in woken:
            queue = self._by_name.get(name)
            if queue and self._claim([waiter for waiter in queue if waiter.again], taken, claimed):
                missed.add(name)
        return list(claimed), missed

    def _claim(self, queue: Collection[Waiter], taken: set[Name], claimed: dict[Waiter, None]) -> bool:
        """Claim waiters from the front of a queue. Whether some are left, who have to look again then."""
        count = 0
        left = closed = False
        for waiter in queue:
            if waiter in claimed:
                continue
            if not (closed or waiter.claimed):
                # Nobody may be served in front of one who waits longer.
                closed = count >= MAX_CLAIMED or not taken.isdisjoint(waiter.seen)
            if closed or waiter.claimed:
                waiter.again = left = True
            else:
                waiter.claimed, waiter.again = True, False
                claimed[waiter] = None
                count += 1
        return left

    def release(self, claimed: list[Waiter], served: set[Waiter], missed: set[Name]) -> None:
        """A batch is over: answer whom it served; the others wait on, or end if something ended their waiting."""
        again: set[Name] = set()
        for waiter in claimed:
            waiter.claimed = False
            if waiter in served:
                self._remove(waiter)
                if not waiter.gone:
                    self._answer(waiter.run)
            elif waiter.due is not None or waiter.gone:
                self._finish(waiter, waiter.due)
            elif waiter.again:
                again.update(waiter.seen)
        for name in missed:
            # Who is claimed by another batch looks again when that is over.
            if any(waiter.again and not waiter.claimed for waiter in self._by_name.get(name, ())):
                again.add(name)
        self.wake(again)

    def wake(self, names: Iterable[Name]) -> None:
        """Let a unit look whether there is something for those who wait for these keys and have to look again."""
        waited = [name for name in names if name in self._by_name]
        if waited:
            self._submit(Run.waking(next(iter(self._by_name[waited[0]])).run.session, waited))

    def unblock(self, session: Session, *, with_error: bool) -> bool:
        """End a client's waiting (CLIENT UNBLOCK); whether it was waiting."""
        waiter = self._by_client.get(session.id)
        if waiter is None or waiter.due is not None:
            return False
        error = CommandError(b"UNBLOCKED client unblocked via CLIENT UNBLOCK")
        self._end(waiter, error if with_error else NULL_ARRAY)
        return True

    def drop(self, session: Session) -> None:
        """A client is gone."""
        waiter = self._by_client.get(session.id)
        if waiter is not None:
            waiter.gone = True
            if not waiter.claimed:
                self._remove(waiter)

    # -- ends

    def _end(self, waiter: Waiter, reply: Reply) -> None:
        if waiter.claimed:
            if waiter.due is None:
                waiter.due = _Due(reply)
        else:
            self._finish(waiter, _Due(reply))

    def _finish(self, waiter: Waiter, due: _Due | None) -> None:
        self._remove(waiter)
        if due is None or waiter.gone:
            return
        waiter.run.conclude(due.reply)
        self._answer(waiter.run)

    def _remove(self, waiter: Waiter) -> None:
        if waiter.timer is not None:
            waiter.timer.cancel()
        for name in waiter.seen:
            queue = self._by_name.get(name)
            if queue is not None:
                queue.pop(waiter, None)
                if not queue:
                    del self._by_name[name]
        if self._by_client.get(waiter.run.session.id) is waiter:
            del self._by_client[waiter.run.session.id]
            waiter.run.session.blocked = False

    # -- what others write

    def look_soon(self) -> None:
        """Any key may have been written."""
        if self._looking:
            # Which may have seen what was there before.
            self._look_behind = True
        elif self._next_look is not None:
            self._next_look.cancel()
            self._look()

    def _look(self) -> None:
        """Ask for the versions of all keys waited for."""
        self._next_look = None
        if self._by_name:
            self._looking = True
            self._poll(list(self._by_name), self._seen)

    def _seen(self, versions: dict[Name, int] | None, elapsed_s: float) -> None:
        """The versions are here (None: the database is away); whoever noted another one looks again."""
        woken: dict[Name, None] = {}
        for name, version in (versions or {}).items():
            for waiter in self._by_name.get(name, ()):
                if waiter.seen[name] != version and not waiter.claimed:
                    waiter.again = True
                    woken[name] = None
        self.wake(woken)
        self._looking = False
        if self._look_behind:
            self._look_behind = False
            self._look()
        else:
            self._next_look = self._loop.call_later(max(POLL_S, elapsed_s / POLL_SHARE), self._look)
