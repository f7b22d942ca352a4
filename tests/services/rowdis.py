"""Rowdis itself, started as a user starts it: a program with a command line, spoken to over TCP."""

import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.services.process import ServerProcess, ServiceFailed, clean_environment, free_port
from tests.services.raw_client import Argument, ConnectionClosed, RawClient

REPOSITORY = Path(__file__).resolve().parents[2]

START_LIMIT_S = 60.0
# What the program promises: in-flight units are finished and it has ended 10 s after SIGTERM; the rest is for slow CI.
STOP_LIMIT_S = 20.0


class Rowdis:
    """The program on one database URL; without one, on an embedded engine in a directory of its own.

    `options` are further command line words, `configuration` is a configuration file; `environment` is added to a
    clean one. It may be started again after `stop` or `kill9`: same port, same database, same directory.
    """

    def __init__(
        self,
        database: str | None = None,
        options: Sequence[str] = (),
        *,
        environment: Mapping[str, str] | None = None,
        loglevel: str = "notice",
        password: str | None = None,
        configuration: Path | None = None,
    ) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="rowdis-"))
        self.database = database or f"embedded:{self.directory / 'data'}"
        self.port = free_port()
        self._options = tuple(options)
        self._configuration = configuration
        self._environment = dict(environment or {})
        self._loglevel = loglevel
        self._password = password
        self._process: ServerProcess | None = None

    def start(self) -> Self:
        """Start the program and wait until it answers PING."""
        self.launch()
        try:
            self.process.wait_ready(self._answers, START_LIMIT_S)
        except BaseException:
            self.process.kill()
            raise
        return self

    def launch(self) -> ServerProcess:
        """Start the program without waiting for it, to watch it fail or wait for its database."""
        if self._process is not None and self._process.running:
            raise ServiceFailed("this Rowdis runs already")
        command = [sys.executable, "-m", "server", *([str(self._configuration)] if self._configuration else [])]
        command += ["--port", str(self.port), "--bind", "127.0.0.1"]
        command += ["--database", self.database, "--loglevel", self._loglevel]
        if self._password is not None:
            command += ["--requirepass", self._password]
        command += self._options
        environment = clean_environment(PYTHONPATH=str(REPOSITORY), PYTHONUNBUFFERED="1", **self._environment)
        self._process = ServerProcess(
            command, self.directory / "rowdis.log", directory=self.directory, environment=environment
        )
        return self._process

    def stop(self) -> None:
        """SIGTERM; it must finish what it was doing and end with exit code 0. Nothing when it was stopped before."""
        process = self._process
        if process is None or not process.running:
            return
        code = process.terminate(STOP_LIMIT_S)
        if code != 0:
            raise process.failure(f"ended with code {code} after SIGTERM")

    def kill9(self) -> None:
        """End the program without any chance to clean up; its embedded engine ends by itself."""
        self.process.kill()

    def close(self) -> None:
        """Stop and remove the directory with log and data."""
        try:
            self.stop()
        finally:
            shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def process(self) -> ServerProcess:
        """The current run of the program, or the last one."""
        if self._process is None:
            raise ServiceFailed("this Rowdis was not started")
        return self._process

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def engine_pids(self) -> list[int]:
        """The embedded engine's process, if there is one."""
        return self.process.children()

    def rss_bytes(self) -> int:
        """Resident memory of the program, without its engine's."""
        return self.process.resident_bytes()

    def log(self) -> str:
        """What the current run has logged so far."""
        return self.process.log()

    def client(self, protocol: int = 2, *, timeout_s: float = 30.0) -> RawClient:
        """A new connection that speaks RESP2 or RESP3 and has given the password, if there is one."""
        client = RawClient(("127.0.0.1", self.port), timeout_s=timeout_s)
        if self._password is not None:
            client.call("AUTH", self._password)
        if protocol == 3:
            client.call("HELLO", 3)
        return client

    def call(self, *arguments: Argument) -> bytes:
        """One command on a connection of its own; the raw reply."""
        with self.client() as client:
            return client.call(*arguments)

    def _answers(self) -> bool:
        try:
            return self.call("PING") == b"+PONG\r\n"
        except (OSError, ConnectionClosed):
            return False
