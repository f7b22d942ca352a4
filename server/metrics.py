"""Counters of a running server, as INFO tells them. Lives on the event loop; workers keep their own."""

from __future__ import annotations

import time
from collections import Counter

from protocol.errors import CommandError


class Metrics:
    """What happened since the start or the last CONFIG RESETSTAT."""

    #: Kinds of errors that are told apart; a client must not be able to make INFO grow without bound.
    MAX_ERRORS = 128

    def __init__(self) -> None:
        self.started_at = time.time()
        self.connections_received = 0
        self.rejected_connections = 0
        self.input_bytes = 0
        self.output_bytes = 0
        self.commands = 0
        self.errors: Counter[str] = Counter()
        self.keyspace_hits = 0
        self.keyspace_misses = 0
        self.expired_keys = 0
        self._rate_at = time.monotonic()
        self._rate_commands = 0
        self.commands_per_s = 0

    def rejected(self, error: CommandError) -> None:
        """A request was refused before it ran."""
        self._count(error)

    def failed(self, error: CommandError) -> None:
        """A command answered with an error."""
        self._count(error)

    def _count(self, error: CommandError) -> None:
        code = error.code.decode("ascii", "replace")
        if code in self.errors or len(self.errors) < self.MAX_ERRORS:
            self.errors[code] += 1

    def sample(self, commands: int) -> None:
        """Called every second or so with the number of commands executed until now."""
        now = time.monotonic()
        if now > self._rate_at:
            self.commands_per_s = max(0, round((commands - self._rate_commands) / (now - self._rate_at)))
        self._rate_at, self._rate_commands = now, commands

    def reset(self) -> None:
        """Start counting anew (CONFIG RESETSTAT)."""
        started_at = self.started_at
        self.__init__()  # type: ignore[misc]
        self.started_at = started_at
