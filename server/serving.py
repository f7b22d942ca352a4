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
from server.run import Transaction
from storage.key_rows import Type
from storage.unit import Attempt

if TYPE_CHECKING:
    from server.run import Item, Name, Run

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
        #: Keys that do not exist any more, so that nobody else finds anything there.
        self.emptied: set[Name] = set()
        for waiter in waiters:
            # What an earlier try gave it was rolled back.
            waiter.wait_on()
            for name in waiter.seen:
                self._queues.setdefault(name, []).append(waiter)
        # What all of them have seen; None, which is no version, where they differ: somebody has not looked yet.
        self._versions: dict[Name, int | None] = {}
        for name, queue in self._queues.items():
            seen = queue[0].seen[name]
            self._versions[name] = seen if all(waiter.seen[name] == seen for waiter in queue) else None

    def look(self, item: Item) -> None:
        """Serve those whose keys a command or EXEC has changed, and those whose keys change by that."""
        self._follow(_names_of(item))

    def look_again(self, names: Iterable[Name]) -> None:
        """Serve the waiters of some keys even if nothing seems to have changed."""
        followed: set[Name] = set()
        for name in names:
            if name in self._queues:
                followed |= self._serve(name)
        self._follow(followed)

    def note(self) -> None:
        """Let those who wait on remember what they have seen; after the commit."""
        for name, queue in self._queues.items():
            version = self._versions[name]
            if version is not None:
                for waiter in queue:
                    waiter.seen[name] = version

    def finish(self) -> None:
        """Find out what is `emptied`; before the commit, since a key that is new in its place has yet to be read."""
        self.emptied = {name for name in self._queues if self._attempt.type_of(*name) == Type.NONE}

    def _follow(self, names: Iterable[Name]) -> None:
        while changed := self._changed(names):
            names = set().union(*[self._serve(name) for name in changed])

    def _changed(self, names: Iterable[Name]) -> list[Name]:
        """Those of these keys that were written since somebody looked, in the order of the writes."""
        found = []
        for name in names:
            if name in self._versions:
                version = self._attempt.version_of(*name)
                if version != self._versions[name]:
                    found.append((version, name))
        return [name for _, name in sorted(found)]

    def _serve(self, name: Name) -> set[Name]:
        """Serve the waiters of a key; the keys that may have changed by that."""
        touched: set[Name] = set()
        for waiter in self._queues[name]:
            run = waiter.run
            command: Command = run.items[0][0]  # type: ignore[assignment,index]  # a run that blocks is one command
            if waiter in self.served or not self._feeds(name, command) or not waiter.serve():
                continue
            self._execute(run, self._attempt)
            if run.blocked is None:
                self.served.add(waiter)
                touched.update(run.keys)
            else:
                waiter.wait_on()
        self._versions[name] = self._attempt.version_of(*name)
        return touched

    def _feeds(self, name: Name, command: Command) -> bool:
        if command.name in _ANY_CHANGE:
            return True
        return self._attempt.type_of(*name) == _FEEDS[command.group]


def bold_of(waiters: list[Waiter]) -> list[Waiter]:
    """Those who can be served in the unit of their batch: none of them is shy, or waits behind one who is."""
    if not any(waiter.shy for waiter in waiters):
        return waiters
    bold = []
    closed: set[Name] = set()
    for waiter in waiters:
        if waiter.shy or not closed.isdisjoint(waiter.seen):
            closed.update(waiter.seen)
        else:
            bold.append(waiter)
    return bold


def _names_of(item: Item) -> set[Name]:
    """The keys that an item of a run names."""
    if isinstance(item, bytes):
        return set()
    commands = item.commands if isinstance(item, Transaction) else [item]
    return {(db, name) for command, request, db in commands for name in command.key_names(request)}
