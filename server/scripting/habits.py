"""What scripts were seen to do, so that those which only read are run like other commands that read.

A unit that writes has a marker, locks what it reads and waits for a log sync: a script that does nothing but GET needs
none of that.  What a script will do nobody can tell beforehand, so this is a guess: one that was seen to end without a
command that writes is run in a unit that reads.  If it wants to write after all, which is refused before anything was
written, its run is run again in a unit that writes, and it is never taken for one that only reads again.
"""

from __future__ import annotations

import enum
import threading

from server.keyspecs import Request
from server.scripting.cache import sha_of


class Habit(enum.IntEnum):
    """What a script does; of several observations the highest counts."""

    #: It reads, and the keys that its command names were all it asked for.
    GLANCES = 1
    #: It reads more than that, so it takes a snapshot.
    READS = 2
    WRITES = 3


#: As many scripts are remembered.
MAX_REMEMBERED = 1000
#: The text of EVAL is looked at up to so many bytes.
LONGEST = 4096

_HABITS: dict[bytes, Habit] = {}
_LOCK = threading.Lock()


def note(label: bytes, habit: Habit) -> None:
    """Take note of what a script (by SHA-1) or function (by name) did."""
    label = label.lower()
    if _HABITS.get(label, 0) >= habit:
        return
    with _LOCK:
        if _HABITS.get(label, 0) < habit:
            _HABITS[label] = habit
            if len(_HABITS) > MAX_REMEMBERED:
                del _HABITS[next(iter(_HABITS))]


def habit_of(command: str, request: Request) -> Habit:
    """What a request that runs a script is expected to do; WRITES if nothing is known of it."""
    word = request[1]
    if command in ("eval", "eval_ro"):
        # Scripts so long are not worth their SHA-1 in front of every run.
        return _HABITS.get(sha_of(word), Habit.WRITES) if len(word) <= LONGEST else Habit.WRITES
    return _HABITS.get(word.lower(), Habit.WRITES)
