"""What travels from a connection to a storage worker and back: runs of commands, and batches of runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from protocol.encoder import LARGE, encode, encode_parts
from protocol.replies import Reply
from server.registry import Command, Request, Way

if TYPE_CHECKING:
    from server.session import Session

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


@dataclass(slots=True)
class LoopCall:
    """A reply inside of EXEC that the event loop has to make, after the commit."""

    command: Command
    request: Request


Item = bytes | Transaction | tuple[Command, Request, int]


@dataclass(slots=True, eq=False)
class Run:
    """Consecutive commands of one connection that share a unit of work.

    An item is an encoded reply that was known while planning, a (command, request, database number), or a transaction.
    """

    session: Session
    version: int
    items: list[Item] = field(default_factory=list)
    #: How many items need the unit.
    units: int = 0
    writes: bool = False
    slow: bool = False
    alone: bool = False
    values: bool = False
    #: The keys named, those of them that are overwritten blindly, those whose absence matters.
    keys: list[Name] = field(default_factory=list)
    blind: list[Name] = field(default_factory=list)
    hold: list[Name] = field(default_factory=list)
    #: The session's watches before this run, if the run reads or changes them.
    watched: dict[Name, int] | None = None
    #: Positions of items whose replies the client does not want (CLIENT REPLY).
    muted: set[int] = field(default_factory=set)
    size: int = 0
    #: Bytes of large values the run will read, known once it was put back for the slow lane.
    weight: int = 0
    loop_calls: bool = False
    # The outcome: replies in the order of the items until they are encoded.
    replies: list[Any] = field(default_factory=list)
    output: list[bytes] = field(default_factory=list)
    put_back: bool = False
    answered: bool = False

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
        if command.writes:
            self.writes = True
        if command.values:
            self.values = True
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
            self.keys += names
            self.hold += names
            if command.alone:
                self.alone = True
        if command.way is Way.SLOW:
            self.slow = True

    def encode(self) -> None:
        """Turn the replies into the bytes that the client gets."""
        version, muted = self.version, self.muted
        output: list[bytes] = []
        for position, (item, reply) in enumerate(zip(self.items, self.replies, strict=True)):
            if muted and position in muted:
                continue
            if type(item) is bytes:
                output.append(item)
            elif (type(reply) is bytes and len(reply) >= LARGE) or type(reply) is list:
                encode_parts(reply, version, output)
            else:
                output.append(encode(reply, version))
        self.output = output
        self.replies = []

    def fail(self, error: Reply) -> None:
        """Answer every command that needed the unit with the same error."""
        self.replies = [item if type(item) is bytes else error for item in self.items]


@dataclass(slots=True, eq=False)
class Batch:
    """Runs of different connections that go through one unit of work together."""

    runs: list[Run]
    writes: bool
    slow: bool
    alone: bool
    #: Every (database number, name) of a writing batch; no other writing batch may have one of them meanwhile.
    names: set[Name]
    deadline: float
    done: Callable[[Batch], None]
    expired: bool = False
    worker: Any = None
