"""Giving blocked clients what a unit feeds them, in the same transaction.  Runs in storage workers.

After each command (and each EXEC as a whole) the keys that somebody waits for are compared by version.  Where one has
changed, the commands of its waiters run again, in the order in which the clients blocked; who is given something is
answered when the unit has committed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from server.blocking import Waiter
from server.registry import Command
from storage.unit import Attempt, Type

if TYPE_CHECKING:
    from server.run import Name, Run

#: The type of key that feeds a command of a group.
_FEEDS = {"list": Type.LIST, "sorted-set": Type.ZSET, "stream": Type.STREAM}
#: What ends the waiting of these, whatever becomes of the key, is for the command itself to say.
_ANY_CHANGE = frozenset({"xreadgroup"})


class Serving:
    """The waiters that a batch has claimed, within one attempt; `served` are those whose runs have their replies.

    `execute` runs a run against the attempt, and leaves in it whether it would have to wait still.
    """

    def __init__(self, waiters: list[Waiter], attempt: Attempt, execute: Callable[[Run, Attempt], None]) -> None:
        self._attempt = attempt
        self._execute = execute
        self._queues: dict[Name, list[Waiter]] = {}
        self.served: set[Waiter] = set()
        for waiter in waiters:
            for name in waiter.seen:
                self._queues.setdefault(name, []).append(waiter)
        # Of several waiters, the first is the one that has seen the oldest version.
        self._versions = {name: queue[0].seen[name] for name, queue in self._queues.items()}

    def look(self) -> None:
        """Serve those whose keys have changed, and those whose keys change by that."""
        while changed := self._changed():
            for name in changed:
                self._serve(name)

    def look_again(self, names: Iterable[Name]) -> None:
        """Serve the waiters of some keys even if nothing seems to have changed."""
        for name in names:
            if name in self._queues:
                self._serve(name)
        self.look()

    def note(self) -> None:
        """Let those who wait on remember what they have seen; after the commit."""
        for name, queue in self._queues.items():
            for waiter in queue:
                waiter.seen[name] = self._versions[name]

    def _changed(self) -> list[Name]:
        """Keys that were written since the last look, in the order of the writes."""
        found = []
        for name, seen in self._versions.items():
            version = self._attempt.version_of(*name)
            if version != seen:
                found.append((version, name))
        return [name for _, name in sorted(found)]

    def _serve(self, name: Name) -> None:
        for waiter in self._queues[name]:
            run = waiter.run
            command: Command = run.items[0][0]  # type: ignore[assignment,index]  # a run that blocks is one command
            if waiter in self.served or waiter.gone or not self._feeds(name, command):
                continue
            self._execute(run, self._attempt)
            if run.blocked is None:
                self.served.add(waiter)
        self._versions[name] = self._attempt.version_of(*name)

    def _feeds(self, name: Name, command: Command) -> bool:
        if command.name in _ANY_CHANGE:
            return True
        return self._attempt.type_of(*name) == _FEEDS[command.group]
