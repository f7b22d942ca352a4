"""The state of one client: what it selected, queued, watches, calls itself. Lives on the event loop."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from protocol.errors import CommandError
from protocol.replies import Reply
from server.keyspecs import Request
from server.registry import Command

if TYPE_CHECKING:
    from server.instance import Instance
    from server.pubsub import Subscriptions
    from server.run import Name, Run
    from server.tracking import Tracker


@dataclass(slots=True)
class Later:
    """A reply that is due after some seconds; the connection's further commands wait for it."""

    seconds: float
    reply: Reply


@dataclass(slots=True)
class Blocked:
    """What a handler returns that has nothing to give yet: the client waits until one of the command's keys changes.

    Then the command runs again, as `request` if that is given.  After `timeout_ms` (0: never) the reply is a null
    array; where nobody may wait (in a transaction) it is `nothing`.
    """

    timeout_ms: int
    nothing: Reply
    request: Request | None = None


class NoReply:
    """What a handler returns that must not be answered."""


NO_REPLY = NoReply()


@dataclass(slots=True)
class Pushes:
    """What a handler returns that answers by pushes: they are encoded, and go out whatever CLIENT REPLY says."""

    encoded: bytes


class Session:
    """One client. `close_after_reply` ends the connection once everything before is written."""

    __slots__ = (
        "address",
        "after_reply",
        "answer",
        "authenticated",
        "blocked",
        "close_after_reply",
        "command_count",
        "created_at",
        "db",
        "finish_exec",
        "id",
        "in_exec",
        "input_bytes",
        "input_ended",
        "instance",
        "invalidations",
        "last_active",
        "last_command",
        "lib_name",
        "lib_ver",
        "local_address",
        "monitoring",
        "name",
        "no_evict",
        "no_touch",
        "output_bytes",
        "pending_input",
        "pending_output",
        "push",
        "push_later",
        "pushed",
        "queue_failed",
        "queued",
        "reply_mode",
        "server_kill",
        "subscriptions",
        "tracking",
        "unix",
        "user",
        "version",
        "watched",
    )  # fmt: skip

    def __init__(self, instance: Instance, number: int, address: str, local_address: str, *, unix: bool) -> None:
        self.instance = instance
        self.id = number
        self.address = address
        self.local_address = local_address
        self.unix = unix
        self.user = b"default"
        self.authenticated = not instance.settings.requirepass
        self.version = 2
        self.db = 0
        self.name = b""
        self.lib_name = b""
        self.lib_ver = b""
        self.created_at = self.last_active = time.monotonic()
        self.last_command: Command | None = None
        self.command_count = 0
        #: The commands since MULTI; None outside of a transaction.
        self.queued: list[tuple[Command, Request]] | None = None
        self.queue_failed = False
        #: The loop is making its replies inside of EXEC.
        self.in_exec = False
        #: What it listens to; None if that is nothing (server/pubsub.py).
        self.subscriptions: Subscriptions | None = None
        #: It is told when keys change that it has read; None if it is not (server/tracking.py).
        self.tracking: Tracker | None = None
        #: It is told every command that is executed (server/monitor.py).
        self.monitoring = False
        #: Pushes that it has caused itself: they go out behind the reply of its command, or of its EXEC.
        self.after_reply: list[bytes] = []
        #: The invalidations among them: they come behind all others, as in Redis.
        self.invalidations: list[bytes] = []
        #: Pushes that go out with the next reply, or at the next turn of the loop.
        self.pushed: list[bytes] = []
        #: (database number, name) -> version at the time of WATCH. Written by the worker that runs the session's run.
        self.watched: dict[Name, int] = {}
        #: "on", "off" or, for one reply, "skip" (CLIENT REPLY).
        self.reply_mode = "on"
        self.no_evict = False
        self.no_touch = False
        #: It waits for data, see server/blocking.py.
        self.blocked = False
        #: The client will send no more, so it is not worth waiting for anything on its behalf.
        self.input_ended = False
        self.close_after_reply = False
        self.input_bytes = 0
        self.output_bytes = 0
        # Filled in by the connection.
        self.pending_input: Callable[[], int] = lambda: 0
        self.pending_output: Callable[[], int] = lambda: 0
        self.server_kill: Callable[[], None] = lambda: None
        self.push: Callable[[bytes], None] = lambda data: None
        self.push_later: Callable[[bytes], None] = lambda data: None
        self.answer: Callable[[Run], None] = lambda run: None
        self.finish_exec: Callable[[Run, int, Callable[[], None]], None] = lambda run, position, tell: None

    def reset(self) -> None:
        """Back to what a new connection is, except for its number and its protocol's bytes (RESET)."""
        self.instance.pubsub.drop(self)
        self.instance.monitors.drop(self)
        self.instance.tracking.drop(self)
        self.queued = None
        self.queue_failed = False
        self.watched = {}
        self.db = 0
        self.version = 2
        self.name = b""
        self.reply_mode = "on"
        self.no_evict = False
        self.no_touch = False
        self.user = b"default"
        self.authenticated = not self.instance.settings.requirepass

    def take_after_reply(self) -> list[bytes]:
        """The pushes that were kept for the end of the command."""
        pushes, self.after_reply = self.after_reply, []
        if self.invalidations:
            pushes += self.invalidations
            self.invalidations = []
        return pushes

    @property
    def listens(self) -> bool:
        """Whether the client may be told of what happens, its own doings included, in between of replies."""
        return self.subscriptions is not None or self.tracking is not None

    @property
    def is_local(self) -> bool:
        """Whether the client is on this machine."""
        return self.unix or self.address.startswith(("127.", "[::1]", "[::ffff:127."))

    @property
    def flags(self) -> str:
        """The letters of CLIENT LIST."""
        letters = ""
        if self.monitoring:
            letters += "O"
        if self.subscriptions is not None:
            letters += "P"
        if self.queued is not None:
            letters += "x"
        if self.blocked:
            letters += "b"
        if self.tracking is not None:
            letters += "t"
            if self.tracking.broken:
                letters += "R"
            if self.tracking.options.broadcast:
                letters += "B"
        if self.unix:
            letters += "U"
        if self.close_after_reply:
            letters += "c"
        if self.no_evict:
            letters += "e"
        if self.no_touch:
            letters += "T"
        return letters or "N"


def check_name(name: bytes, what: bytes) -> None:
    """Raise CommandError if a name holds what would break the lines of CLIENT LIST: `what` says whose name it is."""
    if any(not 33 <= byte <= 126 for byte in name):
        raise CommandError(b"ERR %b cannot contain spaces, newlines or special characters." % what)
