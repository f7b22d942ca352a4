"""What a server notes of commands that take long: the slow log and latency events.

What counts as slow.  The duration of a command is the time of its own execution, queries that only it made included,
and its equal part of what its batch did for all of them together: reading rows, writing them, COMMIT.  So the entries
of the slow log point to the commands that made a batch slow; where the database itself was slow, every command of a
batch waited, no single one is to blame, and the event `storage-batch` tells of it.  As in Redis, the time that a
command waited for its turn is not counted.

Lives on the event loop.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from server.latency import LatencyMonitor
from server.redaction import shown
from server.registry import Is
from server.slowlog import SlowLog

if TYPE_CHECKING:
    from server.keyspecs import Request
    from server.registry import Command
    from server.session import Session
    from server.settings import Settings

#: Events of LATENCY: commands as Redis tells them apart, and whole batches.
FAST_COMMAND, COMMAND, BATCH = "fast-command", "command", "storage-batch"


class Observation:
    """The slow log and the latency events with their thresholds, which CONFIG SET changes."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.slowlog = SlowLog()
        self.latency = LatencyMonitor()
        for name in ("slowlog-log-slower-than", "latency-monitor-threshold", "latency-tracking"):
            settings.on_change(name, self._take_over)
        self._take_over()

    def _take_over(self) -> None:
        settings = self._settings
        self._log_from_us = settings.slowlog_log_slower_than if settings.slowlog_log_slower_than >= 0 else math.inf
        #: Durations of batches from which on `batch` wants to know of them; infinity where it does not.
        self.batch_from_us = settings.latency_monitor_threshold * 1000 or math.inf
        #: The same of commands, for `command`.
        self.command_from_us = min(self._log_from_us, self.batch_from_us)
        #: Whether distributions of the times of commands are kept.
        self.tracking = settings.latency_tracking

    def command(self, session: Session, command: Command, request: Request, duration_us: int) -> None:
        """A command took at least `command_from_us`."""
        if duration_us >= self._log_from_us and not command.flags & Is.SKIP_SLOWLOG:
            self.slowlog.add(
                shown(command, request), duration_us, session.address, session.name, self._settings.slowlog_max_len
            )
        if duration_us >= self.batch_from_us:
            self.latency.add(FAST_COMMAND if command.flags & Is.FAST else COMMAND, duration_us // 1000)

    def batch(self, duration_us: int) -> None:
        """A batch took at least `batch_from_us`."""
        self.latency.add(BATCH, duration_us // 1000)
