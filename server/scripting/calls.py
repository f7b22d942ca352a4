"""What a script does while it runs: its commands, in the attempt of the command that runs it, and the ends of it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import time
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any

from protocol.errors import CommandError
from protocol.replies import OK, Reply
from server.keyspecs import Request
from server.registry import Command, find
from server.scripting import habits
from server.scripting.habits import Habit
from server.scripting.pace import BRIEF_S, LongRun, TakesLong, forget, remember
from server.scripting.runtime import Ended
from server.session import Blocked, Later, NoReply, Pushes, Session
from storage.effects import Message, Read
from storage.errors import NotApplied
from storage.keyspace import Keyspace, keyspace_of
from storage.unit import Attempt, Mode, NeedsSnapshot

if TYPE_CHECKING:
    from server.instance import Instance

_UNKNOWN = b"ERR Unknown Redis command called from script"
_ARITY = b"ERR Wrong number of args calling Redis command from script"
_NO_SCRIPT = b"ERR This Redis command is not allowed from script"
_READ_ONLY = b"ERR Write commands are not allowed from read-only scripts."
#: Redis says so of functions too.
_KILLED = b"ERR Script killed by user with SCRIPT KILL..."

#: What a read-only script may not do either, though it writes nothing.
_TELLS_OTHERS = frozenset({"publish", "spublish", "pfcount"})
#: Commands of the loop that depend on nothing but their arguments, so they can be answered in a worker.
_PURE = frozenset({"ping", "echo", "time", "lolwut"})
#: A script looks at the clock at every so many commands.
_LOOK_EVERY = 16
#: Commands of scripts that MONITOR is told of, for one command that runs a script.
MAX_TOLD = 10_000
#: Seconds after which the loop is taken to be gone.
_LOOP_S = 30.0


class MustWrite(Exception):
    """A script that was expected only to read wants to write: its run is to be run again, in a unit that writes."""


@dataclass(slots=True)
class Inner:
    """What the scripts of an attempt did, for the counters: of each command how often, for how long, how often in vain;
    and for MONITOR, if anybody watches, the commands in their order."""

    counts: dict[Command, list[float]]
    told: list[tuple[Command, Request, int]]
    #: They wrote keys that the scripts' commands do not name, for which somebody may be waiting.
    strays: bool = False


def inner_of(attempt: Attempt) -> Inner:
    """Where scripts of an attempt leave what they did."""
    found: Inner | None = attempt.parts.get("inner")
    if found is None:
        found = attempt.parts["inner"] = Inner({}, [])
    return found


class ScriptCall:
    """One run of a script. `label` is what its errors call it; `kind` is b"SCRIPT" or b"FUNCTION"; `request` is the
    client's, EVAL or one that names its keys in the same way.

    `read_only`: it may not write.  Used as a context manager around Runtime.run or call.
    """

    # One is made for every request: what most scripts do not need stands in the class.
    _client: Session | None = None
    _names: frozenset[bytes] | None = None
    _run: LongRun | None = None
    _commands = 0
    #: It has called a command that writes.
    wrote = False

    def __init__(
        self, db: Keyspace, session: Session, label: bytes, request: Request, *, read_only: bool,
        kind: bytes = b"SCRIPT",
    ) -> None:
        attempt = db.attempt
        instance = session.instance
        self.label = label
        self._attempt = attempt
        self._session = session
        self._instance: Instance = instance
        self._db = db.db
        self._first = db
        self._request = request
        self._read_only = read_only
        self._writes = attempt.mode is Mode.WRITE
        self._began = time.monotonic()
        self._inner = inner_of(attempt)
        self._tell = instance.monitors.active
        if not attempt.shared:
            self._run = LongRun(session, label, kind, request)

    def __enter__(self) -> ScriptCall:
        if self._run is not None:
            self._instance.pace.begin(self._run)
        return self

    def __exit__(self, kind: type[BaseException] | None, *problem: object) -> None:
        if self._run is not None:
            self._instance.pace.end(self._run)
            if time.monotonic() - self._began < BRIEF_S:
                forget(self.label)
        if kind is None:
            if self._writes:
                habits.note(self.label, Habit.WRITES if self.wrote else Habit.GLANCES)
        elif kind is NeedsSnapshot:
            habits.note(self.label, Habit.READS)

    # -- for the runtime

    def check(self) -> None:
        """Raise what ends the script: it takes long and is not by itself, was killed, or the program ends."""
        if self._run is None:
            if time.monotonic() - self._began > BRIEF_S:
                remember(self.label)
                raise TakesLong(self._session)
            return
        if self._run.killed:
            raise Ended(_KILLED)
        if self._instance.storage.stopping.is_set() or self._instance.stop_now:
            raise NotApplied("the program ends")
        self._instance.pace.look(self._run)

    def known(self, words: Request) -> bool:
        try:
            find(words)
        except CommandError as error:
            return not _is_unknown(error)
        return True

    def command(self, words: Request) -> Reply:
        """Execute one command."""
        self._commands += 1
        if self._commands % _LOOK_EVERY == 0:
            self.check()
        try:
            command = find(words)
        except CommandError as error:
            raise CommandError(_UNKNOWN if _is_unknown(error) else _ARITY) from None
        if command.no_script:
            raise CommandError(_NO_SCRIPT)
        if command.writes:
            if self._read_only:
                raise CommandError(_READ_ONLY)
            if not self._writes:
                habits.note(self.label, Habit.WRITES)
                raise MustWrite
            self.wrote = True
            if self._run is not None and not self._run.may_write():
                raise Ended(_KILLED)
        elif self._read_only and command.name in _TELLS_OTHERS:
            raise CommandError(_READ_ONLY)
        counts = self._inner.counts.get(command)
        if counts is None:
            counts = self._inner.counts[command] = [0, 0.0, 0]
        start = perf_counter()
        try:
            return self._on_loop(command, words) if command.on_loop else self._in_unit(command, words)
        except CommandError:
            counts[2] += 1
            raise
        finally:
            counts[0] += 1
            counts[1] += perf_counter() - start
            if self._tell and len(self._inner.told) < MAX_TOLD:
                # SELECT counts to the database that it has chosen, as in Redis.
                self._inner.told.append((command, words, self._db))

    # -- inside

    def _in_unit(self, command: Command, words: Request) -> Reply:
        attempt = self._attempt
        keyspace = keyspace_of(attempt, self._db)
        if self._writes:
            names = command.key_names(words)
            if not names or command.alone is not None or not self._declared.issuperset(names) or (
                keyspace.space != self._first.space
            ):
                self._stray(keyspace, command, names)
        attempt.tells_misses = command.looks_up
        hits, misses = attempt.hits, attempt.misses
        try:
            if command.with_session:
                reply: Any = command.handler(keyspace, self.client, words)
            else:
                reply = command.handler(keyspace, words)
        finally:
            if not command.looks_up:
                attempt.hits, attempt.misses = hits, misses
            elif attempt.tells_reads:
                attempt.effects.append(Read(command.key_names(words)))
        if isinstance(reply, Blocked):
            # Nobody waits in a script.
            return reply.nothing
        return reply.reply if isinstance(reply, Later) else reply

    def _stray(self, keyspace: Keyspace, command: Command, names: list[bytes]) -> None:
        """A command asks for more than the keys that were declared: what the script depends on is held, all of it."""
        hold = self._attempt.hold
        for name in self._declared:
            hold(self._first.space, name)
        for name in names:
            hold(keyspace.space, name)
        if command.writes:
            self._inner.strays = True

    @property
    def _declared(self) -> frozenset[bytes]:
        """The keys that the script's command names, in the database of its client."""
        if self._names is None:
            request = self._request
            self._names = frozenset(request[3 : 3 + int(request[2])])
        return self._names

    def _on_loop(self, command: Command, words: Request) -> Reply:
        instance = self._instance
        match command.full_name:
            case "select":
                # For the rest of the script only.
                self._db = instance.database_number(words[1])
                return OK
            case "publish" | "spublish":
                return self._publish(words[1], words[2], shard=command.name == "spublish")
            case name if name in _PURE:
                pure: Reply = command.handler(self.client, words)
                return pure
        return self._ask_loop(lambda: command.handler(self.client, words))

    def _publish(self, channel: bytes, message: bytes, *, shard: bool) -> Reply:
        """The message goes out when the unit has committed; how many will get it is counted now."""
        pubsub = self._instance.pubsub
        self._attempt.effects.append(Message(channel, message, shard))
        return self._ask_loop(lambda: pubsub.receivers(channel, shard=shard)) if pubsub.clients else 0

    def _ask_loop(self, ask: Callable[[], Any]) -> Reply:
        """What a function gives that must run on the loop, which never waits for a worker."""
        answer: concurrent.futures.Future[Any] = concurrent.futures.Future()

        def call() -> None:
            try:
                answer.set_result(ask())
            except Exception as error:
                answer.set_exception(error)

        loop: asyncio.AbstractEventLoop = self._instance.loop
        loop.call_soon_threadsafe(call)
        reply = answer.result(_LOOP_S)
        if isinstance(reply, Pushes | NoReply):
            raise CommandError(_NO_SCRIPT)
        return reply  # type: ignore[no-any-return]

    @property
    def client(self) -> Session:
        """The client that the commands see: nobody in particular, in the database of the script."""
        if self._client is None:
            self._client = Session(self._instance, 0, "", "", unix=False)
            self._client.user = self._session.user
            self._client.authenticated = True
        self._client.db = self._db
        return self._client


def _is_unknown(error: CommandError) -> bool:
    return error.message.startswith(b"ERR unknown ")
