"""One running Rowdis: what sessions share. Lives on the event loop."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING

from protocol.errors import CommandError, database_out_of_range
from server.arguments import integer
from server.metrics import Metrics
from server.session import Session
from server.settings import Settings

if TYPE_CHECKING:
    from server.batcher import Batcher
    from server.connection import Connection
    from storage.service import Storage

_TOO_MANY = b"-ERR max number of clients reached\r\n"
_PROTECTED = (
    b"-DENIED Rowdis is running in protected mode because it has no password. In this mode it accepts clients from "
    b"this machine only. Set a password with requirepass, or turn protected-mode off if nobody else can reach this port.\r\n"
)


class Instance:
    """The settings, clients and counters of this process."""

    batcher: Batcher
    storage: Storage

    def __init__(self, settings: Settings, loop: asyncio.AbstractEventLoop) -> None:
        self.settings = settings
        self.loop = loop
        self.metrics = Metrics()
        self.run_id = secrets.token_hex(20)
        self.clients: dict[int, Connection] = {}
        self.outstanding = 0
        self.stopping = asyncio.Event()
        #: SHUTDOWN's wish to end without waiting for anybody.
        self.stop_now = False
        self._next_client = 0

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
            and not session.unix
            and not _is_loopback(session.address)
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

    def database_number(self, data: bytes, otherwise: int | None = None) -> int:
        """The number that SELECT and its like are given. CommandError, or `otherwise`, if there is no such database."""
        try:
            number = integer(data, b"ERR value is not an integer or out of range")
            if not 0 <= number < self.settings.databases:
                raise database_out_of_range()
        except CommandError:
            if otherwise is None:
                raise
            return otherwise
        return number

    def total_commands(self) -> int:
        return self.metrics.commands + sum(client.session.command_count for client in self.clients.values())


def _is_loopback(address: str) -> bool:
    return address.startswith(("127.", "[::1]", "[::ffff:127."))
