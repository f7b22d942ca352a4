"""A private MariaDB: a data directory of its own, a Unix socket, a TCP port of 127.0.0.1, durable commits."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import pymysql

from tests.services.process import ServerProcess, ServiceFailed, find_program, free_port

USER = "rowdis"
PASSWORD = "s3cret/with:odd@letters"

START_LIMIT_S = 60.0
STOP_LIMIT_S = 60.0

# Small and quick to start, but durable as a careful administrator would have it: every commit is synced to disk.
_OPTIONS = (
    "--innodb-flush-log-at-trx-commit=1",
    "--innodb-buffer-pool-size=256M",
    "--innodb-log-file-size=256M",
    "--innodb-buffer-pool-load-at-startup=OFF",
    "--innodb-buffer-pool-dump-at-shutdown=OFF",
    "--innodb-fast-shutdown=1",
    "--performance-schema=OFF",
    "--skip-log-bin",
    "--skip-name-resolve",
    "--skip-slave-start",
    "--character-set-server=utf8mb4",
    "--max-connections=1000",
)


class MariaDB:
    """A MariaDB server; `start` it or use it as a context manager. Its data survive `kill9` and `restart`.

    Without a directory it lives in a temporary one that `stop` removes. `options` are further options of mariadbd,
    after and above the ones that it is always started with.
    """

    def __init__(self, directory: Path | None = None, options: Sequence[str] = ()) -> None:
        self._temporary = directory is None
        # Short, since the path of a Unix socket is: not under pytest's deep temporary folders.
        self.directory = Path(tempfile.mkdtemp(prefix="rowdis-mariadb-")) if directory is None else directory
        self.port = free_port()
        self.unix_socket = self.directory / "mariadb.sock"
        self._data = self.directory / "data"
        self._options = tuple(options)
        self._process: ServerProcess | None = None

    def start(self) -> Self:
        """Make the data directory if there is none, start the server, wait until it answers."""
        if self._process is not None and self._process.running:
            raise ServiceFailed("this MariaDB runs already")
        try:
            if not (self._data / "mysql").is_dir():
                self._initialise()
            self._launch()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End the server in order and remove a temporary directory; nothing when it was stopped before."""
        process, self._process = self._process, None
        try:
            if process is not None:
                process.terminate(STOP_LIMIT_S)
        finally:
            if self._temporary:
                shutil.rmtree(self.directory, ignore_errors=True)

    def kill9(self) -> None:
        """End the server as a power cut would, as far as it can see: SIGKILL."""
        self.process.kill()

    def restart(self) -> None:
        """Start again on the same data, port and socket; ends the server in order before, if it runs."""
        if self.process.running:
            self.process.terminate(STOP_LIMIT_S)
        self._launch()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def process(self) -> ServerProcess:
        """The current run of the server, or the last one."""
        if self._process is None:
            raise ServiceFailed("this MariaDB was not started, or was stopped")
        return self._process

    @property
    def pid(self) -> int:
        return self.process.pid

    def url(self, database: str, *, port: int | None = None, unix_socket: bool = False) -> str:
        """A database URL for Rowdis: over TCP (through a proxy's port, if given) or over the Unix socket."""
        account = f"{USER}:{quote(PASSWORD, safe='')}"
        if unix_socket:
            return f"mysql://{account}@localhost/{database}?unix-socket={quote(str(self.unix_socket))}"
        return f"mysql://{account}@127.0.0.1:{port or self.port}/{database}"

    def connect(self, database: str | None = None, **arguments: Any) -> "pymysql.Connection[Any]":
        """A driver connection as root over the Unix socket, to look at tables and to play other programs."""
        settings: dict[str, Any] = {"autocommit": True, "charset": "utf8mb4", "ssl_disabled": True, **arguments}
        connection: pymysql.Connection[Any] = pymysql.connect(
            unix_socket=str(self.unix_socket), user="root", database=database, **settings
        )
        return connection

    def execute(self, statement: str, parameters: Sequence[object] = ()) -> tuple[tuple[Any, ...], ...]:
        """Run one statement as root on a connection of its own; returns its rows."""
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute(statement, tuple(parameters) or None)
            return tuple(cursor.fetchall())

    def create_database(self, name: str) -> str:
        """Make an empty database, dropping one of the same name; returns its URL over TCP."""
        self.execute(f"DROP DATABASE IF EXISTS `{name}`")
        self.execute(f"CREATE DATABASE `{name}`")
        return self.url(name)

    def _initialise(self) -> None:
        command = [
            find_program("mariadb-install-db"),
            "--no-defaults",
            f"--datadir={self._data}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            "--skip-name-resolve",
            *_as_root(),
        ]
        find_program("mariadbd")  # before the work is done in vain
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode != 0:
            raise ServiceFailed(f"mariadb-install-db ended with code {done.returncode}\n{done.stdout[-4000:]}")

    def _launch(self) -> None:
        command = [
            find_program("mariadbd"),
            "--no-defaults",
            f"--datadir={self._data}",
            f"--socket={self.unix_socket}",
            f"--pid-file={self.directory / 'mariadb.pid'}",
            "--bind-address=127.0.0.1",
            f"--port={self.port}",
            *_as_root(),
            *_OPTIONS,
            *self._options,
        ]
        self._process = ServerProcess(command, self.directory / "mariadb.log")
        self._process.wait_ready(self._answers, START_LIMIT_S)
        self.execute(f"CREATE USER IF NOT EXISTS {USER}@'%%' IDENTIFIED BY %s", [PASSWORD])
        self.execute(f"GRANT ALL ON *.* TO {USER}@'%'")

    def _answers(self) -> bool:
        try:
            # First by hand: PyMySQL leaves the socket of a refused connection to the garbage collector.
            with socket.socket(socket.AF_UNIX) as sock:
                sock.connect(str(self.unix_socket))
            self.execute("SELECT 1")
        except (OSError, pymysql.err.MySQLError):
            return False
        return True


def _as_root() -> list[str]:
    """The server refuses to run as root unless it is told to."""
    return ["--user=root"] if os.geteuid() == 0 else []
