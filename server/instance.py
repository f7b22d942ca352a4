"""One running Rowdis: what sessions share. Lives on the event loop."""

from __future__ import annotations

import asyncio
import math
import secrets
import time
from typing import TYPE_CHECKING

from protocol.errors import CommandError, database_out_of_range
from server.arguments import integer
from server.effects import Effects
from server.metrics import Metrics
from server.monitor import Monitors
from server.notifications import Notifications
from server.observation import Observation
from server.pubsub import PubSub
from server.registry import every
from server.scripting.cache import ScriptCache
from server.scripting.pace import Pace
from server.session import Session
from server.settings import Settings
from server.tracking import Tracking

if TYPE_CHECKING:
    from server.batcher import Batcher
    from server.blocking import Waiters
    from server.connection import Connection
    from storage.service import Storage

#: The version of Redis whose commands and replies these are.
REDIS_VERSION = b"7.4.0"

_TOO_MANY = b"-ERR max number of clients reached\r\n"
_PROTECTED = (
    b"-DENIED Rowdis is running in protected mode because it has no password. In this mode it accepts clients from "
    b"this machine only. Set a password with requirepass, or turn protected-mode off if nobody else can reach this "
    b"port.\r\n"
)


class Instance:
    """The settings, clients and counters of this process."""

    batcher: Batcher
    waiters: Waiters
    storage: Storage

    def __init__(self, settings: Settings, loop: asyncio.AbstractEventLoop) -> None:
        self.settings = settings
        self.loop = loop
        self.observation = Observation(settings)
        self.metrics = Metrics(self.observation)
        self.monitors = Monitors(loop)
        self.pubsub = PubSub(loop)
        self.notifications = Notifications(self.pubsub)
        self.redis_version = REDIS_VERSION.decode()
        self.started_at = time.time()
        #: INFO's last count of keys by database number, and until when (on the monotonic clock) it may be shown again.
        self.keyspace_counts: tuple[float, dict[int, tuple[int, int, int]]] = 0.0, {}
        self.run_id = secrets.token_hex(20)
        self.clients: dict[int, Connection] = {}
        self.tracking = Tracking(
            self.clients, self.pubsub, lambda: settings.tracking_table_max_keys, self._track_changes
        )
        self.effects = Effects(self.pubsub, self.notifications, self.tracking)
        #: Scripts that came by EVAL, and copies of those that SCRIPT LOAD has put into the database.
        self.scripts = ScriptCache()
        self.loaded_scripts = ScriptCache()
        #: How many libraries of functions there were, and functions in them, when a worker last had to do with them.
        self.functions_known = 0, 0
        self.pace = Pace(self._busy_after_s, self._script_became_busy)
        self.outstanding = 0
        self.stopping = asyncio.Event()
        #: SHUTDOWN's wish to end without waiting for anybody.
        self.stop_now = False
        self._next_client = 0
        settings.on_change("requirepass", self._password_changed)
        settings.on_change("proto-max-bulk-len", self._limits_changed)

    def new_session(self, address: str, local_address: str, *, unix: bool) -> Session:
        self._next_client += 1
        self.metrics.connections_received += 1
        return Session(self, self._next_client, address, local_address, unix=unix)

    def admit(self, connection: Connection) -> bytes | None:
        """Take a new client in, or give the error line with which it is turned away."""
        session = connection.session
        if len(self.clients) >= self.settings.maxclients:
            self.metrics.rejected_connections += 1
            return _TOO_MANY
        if (
            self.settings.protected_mode
            and not self.settings.requirepass
            and not session.is_local
        ):
            self.metrics.rejected_connections += 1
            return _PROTECTED
        self.clients[session.id] = connection
        return None

    def forget(self, connection: Connection) -> None:
        """A client is gone."""
        session = connection.session
        self.metrics.input_bytes += session.input_bytes
        self.metrics.output_bytes += session.output_bytes
        self.metrics.commands += session.command_count
        self.clients.pop(session.id, None)
        self.waiters.drop(session)
        self.pubsub.drop(session)
        self.monitors.drop(session)
        self.tracking.drop(session)

    def database_number(self, data: bytes, otherwise: int | None = None) -> int:
        """The number that SELECT and its like are given. CommandError, or `otherwise`, if there is no such database."""
        try:
            number = integer(data)
            if not -(2**31) <= number < 2**31:
                raise CommandError(b"ERR value is out of range, value must between -2147483648 and 2147483647")
            if not 0 <= number < self.settings.databases:
                raise database_out_of_range()
        except CommandError:
            if otherwise is None:
                raise
            return otherwise
        return number

    def totals(self) -> tuple[int, int, int]:
        """Commands executed, bytes received and bytes sent, over all clients that are or were."""
        metrics = self.metrics
        commands, received, sent = metrics.commands, metrics.input_bytes, metrics.output_bytes
        for client in list(self.clients.values()):
            session = client.session
            commands += session.command_count
            received += session.input_bytes
            sent += session.output_bytes
        return commands, received, sent

    def sample(self) -> None:
        """Take note of the rates; called every second or so."""
        self.metrics.sample(*self.totals())

    def reset_statistics(self) -> None:
        """Start counting anew (CONFIG RESETSTAT)."""
        metrics = self.metrics
        before = self.totals()
        since = before[0] - metrics.commands, before[1] - metrics.input_bytes, before[2] - metrics.output_bytes
        metrics.reset()
        # Sessions go on counting from where they are.
        metrics.commands, metrics.input_bytes, metrics.output_bytes = (-count for count in since)
        for command in every():
            command.calls = command.failed_calls = command.rejected_calls = 0
            command.usec = 0.0
            command.latencies = [0] * len(command.latencies)

    def _track_changes(self, wanted: bool) -> None:
        """Let units gather changes from now on, or no more."""
        self.storage.wanted.changes = wanted
        if wanted:
            self.batcher.expect_untold()

    def _busy_after_s(self) -> float:
        return self.settings.busy_reply_threshold_ms / 1000 or math.inf

    def _script_became_busy(self) -> None:
        """Called by a worker: what waits behind a script has waited long enough."""
        self.loop.call_soon_threadsafe(self._refuse_waiting)

    def _refuse_waiting(self) -> None:
        running = self.pace.busy()
        if running is not None:
            self.batcher.refuse_waiting(running)

    def _password_changed(self) -> None:
        """Whoever is in stays in; without a password everybody is."""
        if not self.settings.requirepass:
            for client in self.clients.values():
                client.session.authenticated = True
                client.refresh_limits()

    def _limits_changed(self) -> None:
        for client in self.clients.values():
            client.refresh_limits()
