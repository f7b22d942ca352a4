"""Clients that wait for data: those of BLPOP, XREAD BLOCK and their kin.  Lives on the event loop.

A batch that writes a key claims those who wait for it: the batch's unit runs a waiter's command again right after the
command that feeds it (`server/serving.py`), in the order in which clients blocked.  A waiting ends once: either the
loop ends it (a time-out, CLIENT UNBLOCK, a disconnect, the end of the program), and no unit gives the client anything
any more, or a unit has begun to feed it, and what the loop wants waits for the unit's end.  A waiter holds no thread
and no connection to the database.

Other instances, and programs that write the tables, feed keys too: as long as somebody waits, the versions of all keys
waited for are compared every POLL_S seconds.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import count, islice
from operator import attrgetter
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
#: Waiters bring all the keys that they wait for into the unit: so many keys in all, or those of one waiter.
MAX_KEYS = 1000


@dataclass(frozen=True, slots=True)
class _Due:
    """How a waiting ends without data."""

    reply: Reply


class Waiter:
    """One blocked client with the run, of one command, that is answered when it is over.

    `seen` has the version of each key that it waits for when the command found nothing, `targets` the keys that the
    command writes beside them.  `place` tells who blocked first.
    """

    __slots__ = ("_lock", "_over", "_served", "again", "blocked", "claimed", "due", "gone", "leaving", "place", "run",
                 "seen", "shy", "targets", "timer")  # fmt: skip

    def __init__(self, run: Run, place: int) -> None:
        assert run.blocked is not None
        self.run = run
        self.place = place
        self.blocked: Blocked = run.blocked
        self.targets = _targets(run)
        self.seen = {name: version for name, version in run.seen.items() if name not in self.targets}
        self.timer: asyncio.TimerHandle | None = None
        #: A batch has it.
        self.claimed = False
        #: A key of it was written where it could not be served: whoever is woken for the key looks again.
        self.again = False
        #: Another transaction held one of its keys: it is served in a unit of its own, which does not wait for that.
        self.shy = False
        #: What came while it was being fed, and counts unless it was: the client left, the program ends, a time-out.
        self.gone = False
        self.leaving = False
        self.due: _Due | None = None
        # The loop ends the waiting, workers serve it: whoever comes first.
        self._lock = threading.Lock()
        self._over = self._served = False

    @property
    def names(self) -> list[Name]:
        """All keys that its command touches."""
        return self.run.keys

    @property
    def over(self) -> bool:
        """The loop has ended its waiting."""
        return self._over

    def end(self) -> bool:
        """End its waiting, so that nobody feeds it any more; False if a unit is about to. Called by the loop."""
        with self._lock:
            self._over = not self._served
            return self._over

    def serve(self) -> bool:
        """Begin to feed it; False if its waiting is over. Called by workers."""
        with self._lock:
            self._served = not self._over
            return self._served

    def wait_on(self) -> None:
        """It was not fed after all: the command found nothing, or its unit was rolled back."""
        self._served = False


def _targets(run: Run) -> frozenset[Name]:
    """The keys that a blocked command would write without waiting for them."""
    item = run.items[0]
    assert type(item) is tuple
    command, request, db = item
    if len(command.keys) == 1:
        return frozenset()
    into = {name for keys in command.keys if "insert" in keys.flags for name in keys.names(request)}
    waited = {name for keys in command.keys if "insert" not in keys.flags for name in keys.names(request)}
    return frozenset((db, name) for name in into - waited)


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
        self._places = count()
        # In the order in which they blocked.
        self._by_name: dict[Name, dict[Waiter, None]] = {}
        self._by_client: dict[int, Waiter] = {}
        # How many of them have targets.
        self._moving = 0
        # Who has to look again at some keys, when other batches have ended that have some other key of it.
        self._put_off: dict[Waiter, set[Name]] = {}
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
        waiter = Waiter(run, next(self._places))
        blocked = waiter.blocked
        if blocked.request is not None:
            run.replace(blocked.request)
        for name in waiter.seen:
            self._by_name.setdefault(name, {})[waiter] = None
        self._by_client[run.session.id] = waiter
        self._moving += bool(waiter.targets)
        run.session.blocked = True
        if 0 < blocked.timeout_ms < NEVER_MS:
            waiter.timer = self._loop.call_later(blocked.timeout_ms / 1000, self._end, waiter, NULL_ARRAY)
        if self._next_look is None and not self._looking:
            self._next_look = self._loop.call_later(POLL_S, self._look)
        if run.fed:
            waiter.again = True
            self.wake(waiter.seen)

    # -- batches

    def claim(
        self, written: AbstractSet[Name], woken: AbstractSet[Name], taken: AbstractSet[Name]
    ) -> tuple[list[Waiter], set[Name]]:
        """Waiters for a batch, in the order in which they blocked, and keys whose waiters must be looked at behind it.

        The batch writes the keys in `written`; of those that it was only woken for, those are claimed who have to look
        `again`.  `taken` are keys of other batches under way: who waits for one of those too can't be claimed now.
        """
        queues = {name: self._by_name[name] for name in (*written, *woken) if name in self._by_name}
        if self._moving:
            self._add_targets(queues)
        claimed: list[Waiter] = []
        missed: set[Name] = set()
        closed: set[Name] = set()
        room = dict.fromkeys(queues, MAX_CLAIMED)
        brought: set[Name] = set()
        for waiter in self._candidates(queues, woken):
            if len(closed) == len(queues):
                waiter.again = True
                continue
            mine = queues.keys() & waiter.seen.keys()
            if closed.isdisjoint(mine):
                brings = brought.union(waiter.names) - written
                if waiter.claimed or not taken.isdisjoint(waiter.names):
                    self._put_off.setdefault(waiter, set()).update(mine)
                elif all(room[name] for name in mine) and (len(brings) <= MAX_KEYS or not claimed):
                    waiter.claimed, waiter.again = True, False
                    claimed.append(waiter)
                    brought = brings
                    for name in mine:
                        room[name] -= 1
                    continue
                else:
                    missed |= mine
            # Nobody may be served in front of one who waits longer.
            closed |= mine
            waiter.again = True
        return claimed, missed

    def _add_targets(self, queues: dict[Name, dict[Waiter, None]]) -> None:
        """Who is served may feed others in turn (BLMOVE): these are candidates too."""
        names = list(queues)
        while names:
            for waiter in islice(queues[names.pop()], MAX_CLAIMED):
                for target in waiter.targets:
                    if target in self._by_name and target not in queues:
                        queues[target] = self._by_name[target]
                        names.append(target)

    def _candidates(self, queues: dict[Name, dict[Waiter, None]], woken: AbstractSet[Name]) -> Iterable[Waiter]:
        """Those in some queues who may be served, in the order in which they blocked."""
        found: dict[Waiter, None] = {}
        for name, queue in queues.items():
            some = [waiter for waiter in queue if waiter.again] if name in woken else queue
            if len(queues) == 1:
                return some
            found.update(dict.fromkeys(some))
        return sorted(found, key=attrgetter("place"))

    def release(self, claimed: list[Waiter], served: set[Waiter], stuck: set[Waiter], missed: Iterable[Name]) -> None:
        """A batch is over: answer whom it served; the others wait on, or end if something ended their waiting.

        Who is `stuck` behind a lock is looked at again when one of its keys is written, or found to have changed.
        """
        for waiter in claimed:
            waiter.claimed = False
            if waiter.over:
                continue
            waiter.shy = waiter in stuck
            if waiter in served:
                self._remove(waiter)
                if not waiter.gone:
                    self._answer(waiter.run)
                continue
            waiter.wait_on()
            if waiter.gone or waiter.leaving:
                self._remove(waiter)
                if waiter.leaving:
                    waiter.run.session.server_kill()
            elif waiter.due is not None:
                self._finish(waiter, waiter.due.reply)
            elif waiter.shy:
                waiter.again = True
        waiting = set(missed).difference(*[waiter.seen for waiter in stuck])
        self.wake([name for name in waiting if any(waiter.again for waiter in self._by_name.get(name, ()))])

    def resume(self, taken: AbstractSet[Name]) -> None:
        """Look at those who were put off, unless batches under way, which have the keys in `taken`, still keep them."""
        ready = [waiter for waiter in self._put_off if taken.isdisjoint(waiter.names)]
        names: list[set[Name]] = [self._put_off.pop(waiter) for waiter in ready]
        self.wake(set().union(*names))

    @property
    def any_put_off(self) -> bool:
        """Whether somebody waits for the end of a batch to be looked at."""
        return bool(self._put_off)

    def wake(self, names: Iterable[Name]) -> None:
        """Let a unit look whether there is something for those who wait for these keys and have to look again."""
        waited = [name for name in names if name in self._by_name]
        if waited:
            self._submit(Run.waking(next(iter(self._by_name[waited[0]])).run.session, waited))

    # -- ends

    def unblock(self, session: Session, *, with_error: bool) -> bool:
        """End a client's waiting (CLIENT UNBLOCK); False if it does not wait, or is just being fed."""
        waiter = self._by_client.get(session.id)
        if waiter is None or not waiter.end():
            return False
        error = CommandError(b"UNBLOCKED client unblocked via CLIENT UNBLOCK")
        self._finish(waiter, error if with_error else NULL_ARRAY)
        return True

    def drop(self, session: Session) -> None:
        """A client is gone."""
        waiter = self._by_client.get(session.id)
        if waiter is None:
            return
        if waiter.end():
            self._remove(waiter)
        else:
            waiter.gone = True

    def dismiss(self, session: Session) -> bool:
        """The program ends: give a client nothing any more, so that its connection may be closed.

        False if it is just being fed: then it is answered, or its connection ended, when that is settled.
        """
        waiter = self._by_client.get(session.id)
        if waiter is None:
            return True
        if waiter.end():
            self._remove(waiter)
            return True
        waiter.leaving = True
        return False

    def _end(self, waiter: Waiter, reply: Reply) -> None:
        """Its time is over."""
        if waiter.end():
            self._finish(waiter, reply)
        else:
            waiter.due = _Due(reply)

    def _finish(self, waiter: Waiter, reply: Reply) -> None:
        self._remove(waiter)
        waiter.run.conclude(reply)
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
        if self._put_off:
            self._put_off.pop(waiter, None)
        if self._by_client.get(waiter.run.session.id) is waiter:
            del self._by_client[waiter.run.session.id]
            self._moving -= bool(waiter.targets)
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
