"""What travels from a connection to a storage worker and back: runs of commands, and batches of runs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from protocol.encoder import LARGE, encode, encode_parts
from protocol.errors import CommandError
from protocol.replies import Map, Pairs, Reply, SetOf
from server.keyspecs import Request
from server.registry import Command
from server.scripting.habits import Habit, habit_of
from server.scripting.pace import takes_long
from storage.effects import Effect
from storage.errors import GivenUp

if TYPE_CHECKING:
    from server.blocking import Waiter
    from server.scripting.calls import Inner
    from server.session import Blocked, Session

Name = tuple[int, bytes]

#: A run is cut after this many commands, so that nobody's pipeline keeps others waiting.
MAX_COMMANDS = 1024
#: ... or when its requests hold this many bytes.
MAX_BYTES = 4 * 1024 * 1024


@dataclass(slots=True)
class Transaction:
    """The commands of one EXEC, each with its database number; they run in one unit, after the WATCH comparison."""

    commands: list[tuple[Command, Request, int]]
    db: int
    #: The WATCH comparison let it run.
    executed: bool = False
    #: Seconds that each command took by itself; 0.0 for those of the loop.
    times: list[float] = field(default_factory=list)


@dataclass(slots=True)
class LoopCall:
    """A reply inside of EXEC that the loop has to make, after the commit; a Turn among the effects is its place."""

    command: Command
    request: Request


#: Replies that may be long.
_AGGREGATES = frozenset((list, Map, Pairs, SetOf))
#: Elements that are freed at one time.
_FREED = 10_000


def _let_go(reply: Reply) -> None:
    """Empty a long reply bit by bit: to free a million elements in one go keeps all other threads waiting."""
    items = reply.pairs if isinstance(reply, Map | Pairs) else reply.items if isinstance(reply, SetOf) else reply
    if type(items) is list:
        while len(items) > _FREED:
            del items[-_FREED:]


Item = bytes | Transaction | tuple[Command, Request, int]


class Told(NamedTuple):
    """What an item of a run has to tell when the unit has committed."""

    run: Run
    position: int
    effects: list[Effect]


class Run:
    """Consecutive commands of one connection that share a unit of work.

    An item is an encoded reply that was known while planning, a (command, request, database number), or a transaction.
    """

    # One is made for every request of a client that does not pipeline: hence no dataclass, and few calls.
    __slots__ = (
        "alone", "answered", "blind", "blocked", "blocks", "committing", "deadline", "delay_s", "elements", "failures",
        "fed", "fits", "given_up", "hits", "hold", "inner", "items", "keys", "late", "locked", "loop_calls", "misses",
        "muted", "output", "own_s", "part_of", "presumed", "pushes", "put_back", "replies", "seen", "session", "size",
        "slow", "tells", "times", "tracked", "unit_s", "units", "values", "version", "wakes", "wants", "watched",
        "weight", "whole", "writes",
    )  # fmt: skip

    def __init__(self, session: Session, version: int) -> None:
        self.session = session
        #: The version of RESP in which it is answered.
        self.version = version
        self.items: list[Item] = []
        #: How many items need the unit.
        self.units = 0
        self.writes = False
        #: Its scripts may write, but are presumed only to read; if they want to write, it is run again as a writer.
        self.presumed = False
        self.slow = False
        self.alone = False
        self.values = False
        #: Some command reads values whole, not just what fits into a row or a few chunks.
        self.whole = False
        #: Some command looks at elements of collections; of some it is known which, once the key rows are read.
        self.elements = False
        self.wants = False
        #: Its one command may have to wait, and then: what it waits for.
        self.blocks = False
        self.blocked: Blocked | None = None
        #: The versions of its keys when it found nothing.
        self.seen: dict[Name, int] = {}
        #: One of them was written behind it by the unit in which it found nothing.
        self.fed = False
        #: It has no commands and is answered to nobody: it lets those be served who wait for its keys.
        self.wakes = False
        #: The keys named, those of them that are overwritten blindly, those whose absence matters.
        self.keys: list[Name] = []
        self.blind: list[Name] = []
        self.hold: list[Name] = []
        #: The session's watches before this run, if the run reads or changes them.
        self.watched: dict[Name, int] | None = None
        #: Positions of items whose replies the client does not want (CLIENT REPLY).
        self.muted: set[int] | None = None
        #: Bytes of the requests, where they are worth counting.
        self.size = 0
        #: Bytes of large values that the first `fits` items read; known once the run was put back for the slow lane.
        self.weight = 0
        self.fits = 0
        #: If this is a part of a run too large to be executed at once: that run, and its first item that is left.
        self.part_of: tuple[Run, int] | None = None
        self.loop_calls = False
        #: Its replies are held back for so long (DEBUG SLEEP).
        self.delay_s = 0.0
        #: What the commands leave for the counters: errors (of None: EXEC itself), lookups that found a key or not.
        self.failures: list[tuple[Command | None, CommandError]] = []
        self.hits = 0
        self.misses = 0
        #: What scripts did, by the positions of their items.
        self.inner: dict[int, Inner] = {}
        #: Seconds that each item took by itself (0.0 if it is not executed), and that all did together.
        self.times: list[float] = []
        self.own_s = 0.0
        #: If it had a unit for itself, which others of its batch did not: how long that took.
        self.unit_s = 0.0
        #: Positions of items of which it is told which keys they read (server/tracking.py).
        self.tracked: set[int] | None = None
        #: It has done what others are told of, and perhaps its own client.
        self.tells = False
        #: It is encoded on the loop: its client may be told of what it did itself, between the replies.
        self.late = False
        #: What goes out behind the replies of some items, by their positions.
        self.pushes: dict[int, list[bytes]] | None = None
        # The outcome: replies in the order of the items until they are encoded.
        self.replies: list[Any] = []
        self.output: list[bytes] = []
        self.put_back = False
        #: It wants a row that another transaction holds locked, and was not executed.
        self.locked = False
        self.answered = False
        #: The client was told that it takes too long.
        self.given_up = False
        #: The COMMIT of a unit with a command of it may have been sent.
        self.committing = False
        #: When the client is told that it takes too long, on the monotonic clock.
        self.deadline = 0.0

    @classmethod
    def waking(cls, session: Session, names: list[Name]) -> Run:
        """A run that only lets those be served who wait for some keys."""
        run = cls(session, 2)
        run.wakes = run.writes = True
        run.keys = names
        return run

    def replace(self, request: Request) -> None:
        """Let its one command go on with another request."""
        item = self.items[0]
        assert type(item) is tuple
        self.items[0] = (item[0], request, item[2])

    def conclude(self, reply: Reply) -> None:
        """Answer its one command with this."""
        self.replies = [reply]
        self.encode()

    def add(self, command: Command, request: Request, db: int) -> None:
        """Append a command that needs the unit."""
        self.items.append((command, request, db))
        self.units += 1
        self.note(command, request, db, together=False)

    def add_transaction(self, commands: list[tuple[Command, Request, int]], watched: list[Name], db: int) -> None:
        """Append an EXEC. Its keys and the watched ones are held: it depends on all of them together."""
        self.items.append(Transaction(commands, db))
        self.units += 1
        for command, request, number in commands:
            if command.on_loop:
                self.loop_calls = True
            else:
                self.note(command, request, number, together=True)
        self.keys += watched
        self.hold += watched

    def note(self, command: Command, request: Request, db: int, *, together: bool) -> None:
        """Take down what a command wants of its unit."""
        if command.script:
            self._note_script(command, request)
        elif command.writes:
            self.writes = True
        if command.values:
            self.values = True
            if command.whole is None or command.whole(request):
                self.whole = True
        if command.wants is not None:
            self.elements = self.wants = True
        elif command.reads is not None:
            self.elements = True
        if command.blocks is not None and not together and command.blocks(request):
            # Who looks and then waits must not miss a write in between: only writers keep each other off.
            self.blocks = self.writes = True
        if command.single_key:
            name = (db, request[1])
            if command.blind is not None and command.blind(request):
                self.blind.append(name)
            else:
                self.keys.append(name)
                if together:
                    self.hold.append(name)
        else:
            names = [(db, name) for name in command.key_names(request)]
            if command.blind is not None and command.blind(request):
                self.blind += names
            else:
                self.keys += names
                if together or len(names) != 1 or not command.script:
                    # A script holds its one key itself if it asks for more than that.
                    self.hold += names
            if command.alone is not None and command.alone(request):
                self.alone = True
        if command.slow:
            self.slow = True

    def _note_script(self, command: Command, request: Request) -> None:
        """Take down what a script is expected to want: one that only reads so far has to write nothing."""
        habit = habit_of(command.name, request)
        if takes_long(command.name, request):
            self.slow = self.alone = True
            habit = Habit.WRITES
        if command.writes:
            if habit is Habit.WRITES:
                self.writes = True
            else:
                self.presumed = True
        if habit is Habit.READS:
            self.elements = True

    def let_write(self) -> None:
        """Take it for one that writes: its scripts do, or it is not the time to try."""
        self.presumed, self.writes = False, True

    def part(self, start: int, stop: int, watched: dict[Name, int] | None) -> Run:
        """Some of the items as a run of their own, that begins with these watches."""
        part = Run(self.session, self.version)
        part.watched = watched
        if self.tracked is not None:
            part.tracked = {position - start for position in self.tracked if start <= position < stop}
        for position in range(start, stop):
            item = self.items[position]
            if self.muted is not None and position in self.muted:
                part.mute()
            if type(item) is tuple:
                part.add(*item)
            elif type(item) is Transaction:
                part.add_transaction(item.commands, list(watched or ()), item.db)
            else:
                part.items.append(item)
        return part

    def push_behind(self, position: int, pushes: list[bytes]) -> None:
        """Let pushes go out behind the reply of an item, whether the client wants that reply or not."""
        if self.pushes is None:
            self.pushes = {}
        self.pushes.setdefault(position, []).extend(pushes)

    def encode(self) -> None:
        """Turn the replies into the bytes that the client gets."""
        version, muted, pushes = self.version, self.muted, self.pushes
        output: list[bytes] = []
        for position, (item, reply) in enumerate(zip(self.items, self.replies, strict=True)):
            if pushes is not None and position - 1 in pushes:
                output += pushes[position - 1]
            if muted is not None and position in muted:
                continue
            if type(item) is bytes:
                output.append(item)
            elif (type(reply) is bytes and len(reply) >= LARGE) or type(reply) in _AGGREGATES:
                encode_parts(reply, version, output)
                _let_go(reply)
            else:
                output.append(encode(reply, version))
        if pushes is not None:
            output += pushes.get(len(self.items) - 1, ())
        self.output = output
        self.replies = []

    def fail(self, error: CommandError) -> None:
        """Answer every command that needed the unit with the same error."""
        self.replies = [item if type(item) is bytes else error for item in self.items]
        self.failures = [
            (item[0] if type(item) is tuple else None, error) for item in self.items if type(item) is not bytes
        ]
        self.inner = {}
        self.hits = self.misses = 0
        self.delay_s = self.own_s = 0.0
        self.times = [0.0] * len(self.items)
        # A try that was rolled back may have found that it has to wait.
        self.blocked = None
        if any(type(item) is Transaction for item in self.items):
            # A transaction that failed is over, and what was watched for it forgotten.
            self.session.watched = {}

    def give_up(self) -> bool:
        """Count it as answered. Whether it is certain that it was not applied, and will not be."""
        with _COMMITTING:
            self.answered = self.given_up = True
            return not self.committing

    def track(self) -> None:
        """It is to be told which keys the item reads that is added next."""
        if self.tracked is None:
            self.tracked = set()
        self.tracked.add(len(self.items))

    @property
    def strays(self) -> bool:
        """Whether its scripts wrote keys that its commands do not name."""
        return bool(self.inner) and any(inner.strays for inner in self.inner.values())

    def mute(self) -> None:
        """The client does not want the reply of the item that is added next."""
        if self.muted is None:
            self.muted = set()
        self.muted.add(len(self.items))


# Held for a moment: by workers once in a unit that writes, by the loop when a run takes too long.
_COMMITTING = threading.Lock()


class CommitGate:
    """Stands before the COMMIT of a unit: none that the loop has given up is applied, and it knows which may have been.

    It stands before the units of all commands of a run where each has its own: what one of them has applied stays so.
    """

    def __init__(self, runs: list[Run]) -> None:
        self._runs = runs
        self._applied = False

    def enter(self) -> None:
        """The unit is about to commit. Raises GivenUp if one of its runs was given up before."""
        with _COMMITTING:
            for run in self._runs:
                if run.answered and not run.committing:
                    raise GivenUp("it took too long")
            for run in self._runs:
                run.committing = True

    def leave(self) -> None:
        """The unit was rolled back."""
        if not self._applied:
            for run in self._runs:
                run.committing = False

    def stay(self) -> None:
        """The unit was applied, and more of the same run come."""
        self._applied = True


@dataclass(slots=True, eq=False)
class Batch:
    """Runs of different connections that go through one unit of work together."""

    runs: list[Run]
    writes: bool
    slow: bool
    alone: bool
    #: Every (database number, name) of a writing batch; no other writing batch may have one of them meanwhile.
    names: set[Name]
    #: The latest of its runs' deadlines.
    deadline: float
    done: Callable[[Batch], None]
    #: Blocked clients that it may feed, those that it has fed, those that could not be looked at because another
    #: transaction holds a key of theirs, and keys whose waiters must be looked at after it.
    waiters: list[Waiter] = field(default_factory=list)
    served: set[Waiter] = field(default_factory=set)
    stuck: set[Waiter] = field(default_factory=set)
    missed: set[Name] = field(default_factory=set)
    #: Its runs have met locked rows before: each has a unit of its own.
    contended: bool = False
    worker: Any = None
    commands: int = 0
    #: What its commands have to tell, in their order.
    told: list[Told] = field(default_factory=list)
    #: It may have written without telling: nobody wanted to know of changes when it began.
    untold: bool = False
    #: When it went to the worker, on the loop's clock.
    started: float = 0.0
    #: How long the worker had it, in seconds.
    elapsed_s: float = 0.0

    @property
    def shared(self) -> bool:
        """Its runs can be run apart from each other: none that has to wait for a lock may keep the others waiting."""
        return self.writes and not self.slow and not self.alone
