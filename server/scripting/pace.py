"""How long a script may run: briefly beside others in a unit, by itself until somebody ends it.

A script that takes long would keep those waiting whose commands share its unit.  It is given up, the unit is run again
without it, and the script by itself in the slow lane.  What was slow goes there at once the next time, until it has
proved to be quick.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from protocol.errors import CommandError
from server.keyspecs import Request
from server.scripting.cache import sha_of

if TYPE_CHECKING:
    from server.session import Session

#: Seconds that a script may take in a unit that it shares.
BRIEF_S = 0.05
#: As many scripts are remembered as slow.
MAX_REMEMBERED = 1000

_SLOW: dict[bytes, None] = {}
_LOCK = threading.Lock()


class TakesLong(Exception):
    """A script takes longer than those may be kept waiting who share its unit: it is to run by itself."""

    def __init__(self, session: Session) -> None:
        super().__init__("a script takes long")
        self.session = session


def remember(label: bytes) -> None:
    """Take note of a script (by SHA-1) or function (by name) that took long."""
    with _LOCK:
        _SLOW[label.lower()] = None
        if len(_SLOW) > MAX_REMEMBERED:
            del _SLOW[next(iter(_SLOW))]


def forget(label: bytes) -> None:
    """It did not take long by itself: when it did, the database may have been slow, or its arguments others."""
    if label.lower() in _SLOW:
        with _LOCK:
            _SLOW.pop(label.lower(), None)


def takes_long(command: str, request: Request) -> bool:
    """Whether a request is known to take long."""
    if not _SLOW:
        return False
    word = request[1]
    return (sha_of(word) if command in ("eval", "eval_ro") else word.lower()) in _SLOW


def busy(kind: bytes) -> CommandError:
    """What clients are told while a script, or function, runs for long; `kind` is b"SCRIPT" or b"FUNCTION"."""
    return CommandError(
        b"BUSY Redis is busy running a script. You can only call %b KILL or SHUTDOWN NOSAVE." % kind
    )


class LongRun:
    """A script that runs by itself. Made in the worker, looked at and ended by the loop."""

    __slots__ = ("_killed", "_lock", "began", "is_busy", "kind", "label", "request", "session", "wrote")

    def __init__(self, session: Session, label: bytes, kind: bytes, request: Request) -> None:
        self.request = request
        self.session = session
        self.label = label
        self.kind = kind
        self.began = time.monotonic()
        self.wrote = False
        self._killed = False
        # The loop kills it, the worker writes: whoever comes first.
        self._lock = threading.Lock()
        #: It has run for longer than busy-reply-threshold, so other clients are refused.
        self.is_busy = False

    @property
    def elapsed_ms(self) -> int:
        return int((time.monotonic() - self.began) * 1000)

    @property
    def killed(self) -> bool:
        return self._killed

    def kill(self) -> bool:
        """Let it end at the next instruction that looks, and write nothing before; False if it has written already."""
        with self._lock:
            self._killed = not self.wrote
            return self._killed

    def may_write(self) -> bool:
        """Called before each write: False if it was killed, else it can't be killed any more."""
        if not self.wrote:
            with self._lock:
                self.wrote = not self._killed
        return self.wrote


class Pace:
    """The scripts that run by themselves now: at most one for each worker."""

    def __init__(self, threshold_s: Callable[[], float], became_busy: Callable[[], None]) -> None:
        self._threshold_s = threshold_s
        self._became_busy = became_busy
        #: All of them; empty for nearly all of the time.
        self.running: list[LongRun] = []

    # -- in workers

    def begin(self, run: LongRun) -> None:
        self.running.append(run)

    def end(self, run: LongRun) -> None:
        self.running.remove(run)

    def look(self, run: LongRun) -> None:
        """Called by a script that runs by itself, now and then: is it one that others must hear of?"""
        if not run.is_busy and time.monotonic() - run.began >= self._threshold_s():
            run.is_busy = True
            self._became_busy()

    # -- on the loop

    def busy(self) -> LongRun | None:
        """A script that has run for so long that clients are refused."""
        return next((run for run in list(self.running) if run.is_busy), None)

    def refuse_if_busy(self) -> None:
        """Raise CommandError if clients are refused because of a script."""
        running = self.busy()
        if running is not None:
            raise busy(running.kind)

    def runs_for(self, session: Session) -> bool:
        """Whether it is a script that a client waits for."""
        return any(run.session is session for run in list(self.running))

    def kill(self, kind: bytes) -> None:
        """End the scripts of a kind. CommandError if there is none, or one has written."""
        running = list(self.running)
        if not running:
            raise CommandError(b"NOTBUSY No scripts in execution right now.")
        mine = [run for run in running if run.kind == kind]
        if any(run.wrote for run in mine or running):
            raise _unkillable()
        if not mine:
            raise busy(running[0].kind)
        killed = [run.kill() for run in mine]
        if not all(killed):
            raise _unkillable()


def _unkillable() -> CommandError:
    return CommandError(
        b"UNKILLABLE Sorry the script already executed write commands against the dataset. You can either wait "
        b"the script termination or kill the server in a hard way using the SHUTDOWN NOSAVE command."
    )
