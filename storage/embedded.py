"""The embedded OceanBase engine: a child process that keeps its data in one directory and listens on a socket there.

The engine is the `seekdb` binary inside the `pylibseekdb` wheel. The wheel's own launcher starts it with an empty
environment, in which it reports telemetry over the network; so it is started here, where it can be told not to.

The engine takes no clients' word for who is alive: it waits for an exclusive lock on `run/seekdb.clients`, on which its
clients hold shared ones, and ends when it gets it. The kernel drops the lock of a process that dies, however it dies,
so no engine outlives its Rowdis, and no process needs to be watched.
"""

import fcntl
import importlib.util
import logging
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import RLock
from types import TracebackType
from typing import Final, Self

import pymysql

from storage.engines import DEFAULT_DATABASE, SOCKET_IN_DIRECTORY, Target, embedded_target
from storage.errors import DirectoryInUse, EngineFailed

log = logging.getLogger(__name__)

_OWNER_LOCK: Final = "rowdis.lock"
_CLIENTS_LOCK: Final = Path("run", "seekdb.clients")
_ENGINE_PID: Final = Path("run", "seekdb.pid")
_UNFINISHED: Final = "rowdis.unfinished"
_DATA: Final = ("store", "etc")
_OUTPUT: Final = "engine.out"

_POLL_S: Final = 0.02
# Linux keeps 108 bytes for the path of a Unix socket, one of them the closing zero; macOS 104.
_SOCKET_PATH_LIMIT: Final = 103

# The parameter syslog_level counts only later: at the engine's own level each start writes 6 to 20 MB.
_LOG_LEVEL: Final = "ERROR"

PARAMETERS: Final[Mapping[str, str]] = {
    # The engine's log: one file in use and one old one, of at most 256 MB each.
    "max_syslog_file_count": "2",
    # The redo of a transaction is logged with its commit and not before. A transaction whose first part is in the log
    # when the engine is killed keeps its row locks after the restart, and nobody can end it.
    "_private_buffer_size": "0B",
    # Deadlocks are found in 0.1 s instead of 7, or not before lock waits time out.
    "_lcl_op_interval": "30ms",
}
"""Settings of the engine beyond its sizes; given at each start, kept by the engine."""


class EmbeddedEngine:
    """One engine on one directory; `start` and `stop` may be called again and again, from any thread.

    `memory_budget` and `log_disk_size` are sizes in the engine's words (`1G`, `4096M`); 1G and 2G are its least.
    """

    def __init__(
        self,
        directory: Path,
        *,
        memory_budget: str = "1G",
        log_disk_size: str = "2G",
        start_timeout_s: float = 60.0,
        stop_timeout_s: float = 10.0,
        parameters: Mapping[str, str] = PARAMETERS,
    ) -> None:
        self.directory = directory.expanduser().absolute()
        self._parameters = {"memory_budget": memory_budget, "log_disk_size": log_disk_size, **parameters}
        self._start_timeout_s = start_timeout_s
        self._stop_timeout_s = stop_timeout_s
        self._unfinished = self.directory / _UNFINISHED
        self._guard = RLock()
        self._descriptors: list[int] = []  # of the locked files, while the engine is wanted
        self._process: subprocess.Popen[bytes] | None = None
        self._target: Target | None = None

    @property
    def pid(self) -> int | None:
        """The engine's process id, None when it does not run."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def start(self) -> Target:
        """Start the engine unless it runs, wait until it answers and return where; also starts one that died again.

        The database `rowdis` is created when missing. Raises DirectoryInUse when another process works on the
        directory, EngineFailed when the engine can not be started.
        """
        with self._guard:
            if self._target is not None and self.pid is not None:
                return self._target
            self._release()
            deadline = time.monotonic() + self._start_timeout_s
            try:
                self._claim(deadline)
                self._prepare()
                self._target = self._launch(deadline)
                self._unfinished.unlink(missing_ok=True)
            except BaseException:
                self._release()
                raise
            return self._target

    def stop(self) -> None:
        """End the engine and wait until it has ended; does nothing when it does not run.

        What was committed is durable already, so the engine ends at once; there is nothing that killing could lose.
        """
        with self._guard:
            self._release()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def _claim(self, deadline: float) -> None:
        """Take the locks on the directory, waiting for the engine of a Rowdis that was just killed to be gone."""
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            (self.directory / "run").mkdir(mode=0o700, exist_ok=True)
            owner = self._open(self.directory / _OWNER_LOCK)
            clients = self._open(self.directory / _CLIENTS_LOCK)
        except OSError as error:
            raise EngineFailed(f"can not use {self.directory} as data directory: {error.strerror}") from error
        try:
            fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _first_line(self.directory / _OWNER_LOCK)
            raise DirectoryInUse(f"{self.directory} is in use by another Rowdis (process {holder})") from None
        os.ftruncate(owner, 0)
        os.pwrite(owner, f"{os.getpid()}\n".encode(), 0)
        while not (_is_unlocked(self.directory / _ENGINE_PID) and _lock_shared(clients)):
            if time.monotonic() > deadline:
                holder = _first_line(self.directory / _ENGINE_PID)
                raise DirectoryInUse(f"{self.directory} is in use by an engine that does not end (process {holder})")
            time.sleep(_POLL_S)

    def _open(self, path: Path) -> int:
        """Open or create a lock file, kept until `_release`; never inherited by the engine."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._descriptors.append(descriptor)
        return descriptor

    def _prepare(self) -> None:
        """Undo a first start that was interrupted.

        The engine can not be started on a directory that it has half initialised. As long as the marker stands nobody
        was ever connected, so there is nothing to lose. A directory with data and no marker is never touched.
        """
        try:
            if self._unfinished.exists():
                log.info("the first start of the embedded engine was interrupted: it starts afresh")
                for name in _DATA:
                    shutil.rmtree(self.directory / name, ignore_errors=True)
            elif (self.directory / _DATA[0]).exists():
                return
            self._unfinished.touch()
            descriptor = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise EngineFailed(f"can not use {self.directory} as data directory: {error.strerror}") from error

    def _launch(self, deadline: float) -> Target:
        binary = find_binary()
        command = [str(binary), f"--base-dir={self.directory}", "--embedded", "--nodaemon", "--log-level", _LOG_LEVEL]
        for name, value in self._parameters.items():
            command += ["--parameter", f"{name}={value}"]
        with suppress(FileNotFoundError):  # of an engine that was killed; nobody shall try to connect to it
            (self.directory / SOCKET_IN_DIRECTORY).unlink()
        with open(self.directory / _OUTPUT, "wb") as output:
            try:
                self._process = subprocess.Popen(
                    command,
                    cwd=self.directory,
                    env=_environment(binary),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    # Out of the terminal's process group: Ctrl-C shall reach Rowdis, which finishes its units first.
                    start_new_session=True,
                )
            except OSError as error:
                raise EngineFailed(f"can not run the embedded engine {binary}: {error.strerror}") from error
        target = self._reachable(embedded_target(self.directory))
        self._wait_ready(self._process, target, deadline)
        log.debug("embedded engine runs: process %d on %s", self._process.pid, self.directory)
        return target

    def _reachable(self, target: Target) -> Target:
        """The same target under a socket path short enough for the kernel."""
        socket_path = self.directory / SOCKET_IN_DIRECTORY
        if len(os.fsencode(socket_path)) <= _SOCKET_PATH_LIMIT:
            return target
        if not os.path.isdir("/proc/self/fd"):
            raise EngineFailed(f"the path of the data directory is too long for a Unix socket: {self.directory}")
        descriptor = os.open(socket_path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._descriptors.append(descriptor)
        return replace(target, unix_socket=f"/proc/self/fd/{descriptor}/{socket_path.name}")

    def _wait_ready(self, process: subprocess.Popen[bytes], target: Target, deadline: float) -> None:
        last: Exception | None = None
        while process.poll() is None:
            try:
                _knock(target)
                _create_database(target)
                return
            except (OSError, pymysql.err.MySQLError) as error:
                last = error  # no socket yet, or one whose engine still reads its logs
            if time.monotonic() > deadline:
                raise EngineFailed(f"the embedded engine did not answer within {self._start_timeout_s:g} s: {last}")
            time.sleep(_POLL_S)
        raise EngineFailed(
            f"the embedded engine ended at its start with code {process.returncode};"
            f" see {self.directory / _OUTPUT} and {self.directory / 'log'}"
        )

    def _release(self) -> None:
        process, self._process, self._target = self._process, None, None
        try:
            if process is not None:
                _end(process, self._stop_timeout_s)
        finally:
            while self._descriptors:
                os.close(self._descriptors.pop())


def find_binary() -> Path:
    """The engine's program file inside the installed wheel, found without importing (and so loading) the library.

    Raises EngineFailed when there is none: no wheel is made for this platform, or it was not installed.
    """
    spec = importlib.util.find_spec("pylibseekdb")
    for place in (spec.submodule_search_locations or ()) if spec is not None else ():
        binary = Path(place, "seekdb")
        if binary.is_file():
            return binary
    raise EngineFailed(
        "the embedded engine is not installed (package pylibseekdb): install it,"
        " or name a MySQL, MariaDB or OceanBase server with --database"
    )


def _environment(binary: Path) -> dict[str, str]:
    """All that the engine gets to see of the environment; it must not report on its users."""
    libraries = [binary.parent, binary.parent.parent / "pylibseekdb.libs"]
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LD_LIBRARY_PATH": os.pathsep.join(str(folder) for folder in libraries),
        "TELEMETRY_ENABLED": "false",
    }


def _knock(target: Target) -> None:
    """Raise OSError when nobody listens; PyMySQL would leave its socket to the garbage collector."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(_POLL_S)
        sock.connect(target.unix_socket or "")


def _create_database(target: Target) -> None:
    """Connect once, and make the database that Rowdis keeps its tables in."""
    arguments = target.connect_arguments() | {"database": None}
    connection = pymysql.connect(**arguments, connect_timeout=5, read_timeout=30, write_timeout=30)
    with connection, connection.cursor() as cursor:
        # Definitions are the slow and fragile part of the engine just after its start: none without need.
        if not cursor.execute("SHOW DATABASES LIKE %s", (DEFAULT_DATABASE,)):
            cursor.execute(f"CREATE DATABASE IF NOT EXISTS {DEFAULT_DATABASE}")


def _end(process: subprocess.Popen[bytes], timeout_s: float) -> None:
    process.terminate()
    try:
        process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        log.warning("the embedded engine (process %d) did not end within %g s and is killed", process.pid, timeout_s)
        process.kill()
        process.wait()


def _lock_shared(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_unlocked(pid_file: Path) -> bool:
    """Whether no engine holds its lock on its pid file; it keeps that as long as it lives."""
    try:
        with open(pid_file, "r+b") as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return True
    except (BlockingIOError, PermissionError):  # POSIX allows either for a lock that somebody has
        return False
    return True


def _first_line(path: Path) -> str:
    """The process id that a lock file names, for messages."""
    with suppress(OSError):
        return path.read_text(errors="replace").partition("\n")[0].strip() or "unknown"
    return "unknown"
