"""The table of commands: each is declared once, where it is implemented, and everything else derives from that.

COMMAND, COMMAND DOCS and GETKEYS, the checks before a command runs, its way (event loop, read or write lane), the keys
that the unit of work prefetches, counters and `docs/commands.md` all read this table.  A row that contradicts itself
is refused when the module is imported.
"""

from __future__ import annotations

import enum
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from protocol.errors import CommandError, unknown_command, unknown_subcommand, wrong_arity
from server.keyspecs import NO_KEYS, Keys, KeySpec, Request


class Is(enum.Flag):
    """Redis's command flags; `flag_names` gives them as COMMAND INFO does."""

    NONE = 0
    WRITE = enum.auto()
    READONLY = enum.auto()
    DENYOOM = enum.auto()
    ADMIN = enum.auto()
    PUBSUB = enum.auto()
    NOSCRIPT = enum.auto()
    BLOCKING = enum.auto()
    LOADING = enum.auto()
    STALE = enum.auto()
    SKIP_MONITOR = enum.auto()
    SKIP_SLOWLOG = enum.auto()
    ASKING = enum.auto()
    FAST = enum.auto()
    NO_AUTH = enum.auto()
    MAY_REPLICATE = enum.auto()
    NO_ASYNC_LOADING = enum.auto()
    NO_MULTI = enum.auto()
    NO_MANDATORY_KEYS = enum.auto()
    MOVABLEKEYS = enum.auto()
    ALLOW_BUSY = enum.auto()
    TOUCHES_ARBITRARY_KEYS = enum.auto()
    PROTECTED = enum.auto()


#: Flags that COMMAND INFO of Redis does not tell.
_SILENT = Is.PROTECTED | Is.TOUCHES_ARBITRARY_KEYS


class Way(enum.Enum):
    """How a command gets executed."""

    #: On the event loop, when all earlier commands of the connection are answered: it needs no storage.
    LOOP = "loop"
    #: In a unit of work, batched with others.
    UNIT = "unit"
    #: In a unit of work of its own, since it reads or waits for long.
    SLOW = "slow"


def everything(request: Request, size: int) -> int:
    """For `reads`: the whole collection is read."""
    return size


def always(request: Request) -> bool:
    """For `blocks` and `alone`: any request of this command may have to wait, or touches keys that it does not name."""
    return True


def never(request: Request) -> bool:
    """For `whole`: no request of this command reads long values whole."""
    return False


@dataclass(slots=True, eq=False)
class Command:
    """One command or subcommand. `handler` takes what `takes` says, then the request (its name included)."""

    name: str
    arity: int
    flags: Is
    keys: tuple[KeySpec, ...]
    group: str
    since: str
    syntax: str
    summary: str
    handler: Callable[..., Any]
    #: Names of the first parameters' types: ("Keyspace",), ("Session",) or ("Keyspace", "Session").
    takes: tuple[str, ...]
    way: Way
    #: It looks at the values of strings, so they are prefetched.
    values: bool
    #: Whether this request reads values whole however long they are, so that they count; None: each does.
    whole: Callable[[Request], bool] | None
    #: Whether this request overwrites its keys by short strings, whatever is there.
    blind: Callable[[Request], bool] | None
    #: Tells the stores which elements a request will look for, once its key rows are read. Must not raise.
    wants: Callable[[Any, Request], None] | None
    #: How many elements a request reads of a collection that has so many; None: few, whatever the size.
    reads: Callable[[Request, int], int] | None
    #: Whether this request may have to wait for something; it then runs as the last of its run.
    blocks: Callable[[Request], bool] | None
    #: Whether this request runs alone among writers: it may touch keys that it does not name.
    alone: Callable[[Request], bool] | None
    #: A command of the loop whose reply depends on what came before it, so it waits for that.
    cuts: bool
    #: It runs a script, which may do what any command does; what it depends on is held until the commit.
    script: bool = False
    complexity: str = ""
    tips: tuple[str, ...] = ()
    #: ACL categories beside those that follow from the flags; None: the one of its group.
    categories: tuple[str, ...] | None = None
    #: The flags of a container differ from those of its subcommands.
    subcommands: dict[bytes, Command] = field(default_factory=dict)
    parent: Command | None = None
    # Derived, for the way of a command, which asks for them at every request.
    #: The name in lower case, with its container's: "config|get".
    full_name: str = ""
    writes: bool = False
    #: Its lookups count as hits and misses of the keyspace.
    looks_up: bool = False
    on_loop: bool = False
    slow: bool = False
    single_key: bool = False
    with_session: bool = False
    #: It looks at, or changes, what its client watches.
    watches: bool = False
    no_script: bool = False
    calls: int = 0
    failed_calls: int = 0
    rejected_calls: int = 0
    usec: float = 0.0
    #: How many calls took so long, by the number of bits of their nanoseconds.
    latencies: list[int] = field(default_factory=lambda: [0] * 64)

    def __post_init__(self) -> None:
        self.full_name = self.name if self.parent is None else f"{self.parent.name}|{self.name}"
        # By their flags, EVAL and SCRIPT LOAD do not write; they do all the same.
        self.writes |= bool(self.flags & Is.WRITE)
        self.looks_up = self.script or bool(self.flags & Is.READONLY)
        self.on_loop = self.way is Way.LOOP
        self.no_script = bool(self.flags & Is.NOSCRIPT)
        self.slow = self.way is Way.SLOW
        self.with_session = self.takes == ("Keyspace", "Session")
        self.watches = self.with_session and self.group == "transactions"
        spec = self.keys[0] if len(self.keys) == 1 else None
        self.single_key = isinstance(spec, Keys) and (spec.first, spec.last) == (1, 1)

    @property
    def names_keys(self) -> bool:
        """Whether its specifications are of keys: those of shard channels look the same and say "not_key"."""
        return any("not_key" not in spec.flags for spec in self.keys)

    def key_names(self, request: Request) -> list[bytes]:
        """The keys that a request names, in the order of its specifications."""
        if self.single_key:
            return [request[1]]
        return [name for keys in self.keys for name in keys.names(request)]

    def keys_read(self, request: Request) -> list[bytes]:
        """The keys that a request may read, for client tracking: those of commands that only read and of scripts."""
        return self.key_names(request) if self.looks_up or self.script else []


#: All commands by name in lower case; subcommands are in their containers.
TABLE: dict[str, Command] = {}
# The same by the bytes that clients send, filled as they come; spellings in mixed case are not kept.
_BY_WORD: dict[bytes, Command] = {}


def command(
    name: str,
    *,
    arity: int,
    flags: Is,
    group: str,
    since: str,
    syntax: str = "",
    keys: tuple[KeySpec, ...] = NO_KEYS,
    slow: bool = False,
    alone: Callable[[Request], bool] | None = None,
    cuts: bool = True,
    values: bool = True,
    whole: Callable[[Request], bool] | None = None,
    blind: Callable[[Request], bool] | None = None,
    wants: Callable[[Any, Request], None] | None = None,
    reads: Callable[[Request, int], int] | None = None,
    blocks: Callable[[Request], bool] | None = None,
    writes: bool = False,
    script: bool = False,
    complexity: str = "O(1)",
    tips: tuple[str, ...] = (),
    categories: tuple[str, ...] | None = None,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Declare a command; the decorated function is its meaning and its docstring's first line its summary.

    "CONFIG GET" declares a subcommand; its container must have been declared by `container`.  `writes` is for what
    writes though Redis's flags do not say so.
    """

    def declare(handler: Callable[..., Any]) -> Callable[..., Any]:
        takes = _takes(handler)
        way = Way.LOOP if takes == ("Session",) else Way.SLOW if slow else Way.UNIT
        words = name.lower().split()
        row = Command(
            name=words[-1],
            arity=arity,
            flags=flags,
            keys=keys,
            group=group,
            since=since,
            syntax=syntax,
            summary=(inspect.getdoc(handler) or "").partition("\n")[0].rstrip("."),
            handler=handler,
            takes=takes,
            way=way,
            values=values,
            whole=whole,
            blind=blind,
            wants=wants,
            reads=reads,
            blocks=blocks,
            alone=alone,
            cuts=cuts,
            script=script,
            writes=writes,
            complexity=complexity,
            tips=tips,
            categories=categories,
            parent=TABLE[words[0]] if len(words) == 2 else None,
        )
        _add(row)
        return handler

    return declare


def container(name: str, *, arity: int = -2, flags: Is = Is.NONE, group: str, since: str, summary: str) -> None:
    """Declare a command that only has subcommands."""
    _add(
        Command(
            name=name.lower(), arity=arity, flags=flags, keys=NO_KEYS, group=group, since=since, syntax="",
            summary=summary, handler=_no_subcommand, takes=("Session",), way=Way.LOOP, values=False,
            whole=None, blind=None, wants=None, reads=None, blocks=None,
            alone=None, cuts=False, complexity="Depends on the subcommand.", categories=(),
        )
    )  # fmt: skip


def find(request: Request) -> Command:
    """The command or subcommand that a request asks for. Raises CommandError: unknown, or wrong number of words."""
    word = request[0]
    found = _BY_WORD.get(word)
    if found is None:
        found = _BY_WORD.get(word.upper())
        if found is None:
            raise unknown_command(word, request[1:])
    if found.subcommands and len(request) > 1:
        inner = found.subcommands.get(request[1].lower())
        if inner is None:
            raise unknown_subcommand(request[1], found.name.encode())
        found = inner
    arity = found.arity
    if len(request) != arity and (arity > 0 or len(request) < -arity):
        raise wrong_arity(found.full_name.encode())
    return found


def lookup(name: bytes) -> Command | None:
    """A command by its name in any case, subcommands as "config|get"; None if there is no such command."""
    outer, bar, inner = name.lower().partition(b"|")
    found = _BY_WORD.get(outer.upper())
    if found is None or not bar:
        return found
    return found.subcommands.get(inner)


def every() -> Iterator[Command]:
    """All commands, each followed by its subcommands."""
    for row in TABLE.values():
        yield row
        yield from row.subcommands.values()


def flag_names(row: Command) -> list[str]:
    """The flags of a command as COMMAND INFO tells them, e.g. ["write", "denyoom"]."""
    return [flag.name.lower() for flag in Is if flag & row.flags and not flag & _SILENT and flag.name]


def _takes(handler: Callable[..., Any]) -> tuple[str, ...]:
    parameters = inspect.signature(handler).parameters.values()
    takes = tuple([str(parameter.annotation).rpartition(".")[2] for parameter in parameters][:-1])
    if takes not in (("Keyspace",), ("Session",), ("Keyspace", "Session")):
        raise TypeError(f"{handler.__qualname__} takes {takes}, and not a Keyspace, a Session, or both in this order")
    return takes


def _no_subcommand(session: Any, request: Request) -> None:
    raise CommandError(b"ERR unknown subcommand")


def _add(row: Command) -> None:
    siblings = TABLE if row.parent is None else {key.decode(): value for key, value in row.parent.subcommands.items()}
    problems = [
        (row.name in siblings, "is declared twice"),
        (not row.summary, "has no docstring"),
        (Is.WRITE in row.flags and Is.READONLY in row.flags, "both writes and only reads"),
        (Is.WRITE in row.flags and row.way is Way.LOOP, "writes without storage"),
        (row.names_keys and row.way is Way.LOOP and row.group != "server", "has keys and no storage"),
        (row.blind is not None and Is.WRITE not in row.flags, "overwrites and does not write"),
        ((row.blocks is not None) != (Is.BLOCKING in row.flags and bool(row.keys)), "blocks, or not"),
        (row.arity == 0, "has no arity"),
    ]
    for wrong, what in problems:
        if wrong:
            raise ValueError(f"command {row.full_name} {what}")
    if row.parent is None:
        TABLE[row.name] = row
        _BY_WORD[row.name.encode()] = _BY_WORD[row.name.upper().encode()] = row
    else:
        row.parent.subcommands[row.name.encode()] = row
