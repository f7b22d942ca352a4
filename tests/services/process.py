"""Child processes that are servers: started with a log, waited for with a limit, ended on every path."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

POLL_S = 0.02
TAIL_LINES = 40


class ServiceFailed(Exception):
    """A server did not start, stop or answer; the message ends with the tail of its log."""


class Missing(ServiceFailed):
    """A program or package that a service needs is not installed here."""


def find_program(name: str) -> str:
    """The path of an installed program; Debian keeps servers in sbin, which is not on everybody's path."""
    path = shutil.which(name) or shutil.which(name, path="/usr/local/sbin:/usr/sbin:/sbin")
    if path is None:
        raise Missing(f"{name} is not installed")
    return path


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on just now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def wait_until(condition: Callable[[], bool], limit_s: float, what: str) -> None:
    """Poll until the condition holds; ServiceFailed, saying `what`, when it does not in time."""
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            raise ServiceFailed(f"not within {limit_s:g} s: {what}")
        time.sleep(POLL_S)


class ServerProcess:
    """One run of a server program; its output goes to the end of `log_path`.

    It dies with the thread that started it, where the kernel can do that (Linux), so that a killed test run leaves
    nothing behind.
    """

    def __init__(
        self,
        command: Sequence[str],
        log_path: Path,
        *,
        directory: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = Path(command[0]).name
        self.log_path = log_path
        setpriv = shutil.which("setpriv")
        guard = [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []
        with open(log_path, "ab") as log:
            self._start_of_log = log.tell()
            self._process = subprocess.Popen(
                [*guard, *command],
                cwd=directory,
                env=None if environment is None else dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a Ctrl-C in the terminal is for the tests, which then stop their servers
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative when a signal ended it."""
        return self._process.poll()

    @property
    def running(self) -> bool:
        return self.exit_code is None

    def log(self) -> str:
        """All that this run has written so far."""
        with open(self.log_path, "rb") as file:
            file.seek(self._start_of_log)
            return file.read().decode(errors="replace")

    def failure(self, message: str) -> ServiceFailed:
        """An exception that says `message` and shows the end of the log."""
        tail = "\n".join(self.log().splitlines()[-TAIL_LINES:])
        return ServiceFailed(f"{self.name}: {message}\n--- {self.log_path}\n{tail}")

    def wait_ready(self, ready: Callable[[], bool], limit_s: float) -> None:
        """Poll `ready` until it is true; ends the process and raises ServiceFailed when it can not become so."""
        deadline = time.monotonic() + limit_s
        while not ready():
            if not self.running:
                raise self.failure(f"ended at its start with code {self.exit_code}")
            if time.monotonic() > deadline:
                self.kill()
                raise self.failure(f"not ready within {limit_s:g} s")
            time.sleep(POLL_S)

    def terminate(self, limit_s: float = 20.0) -> int:
        """SIGTERM, then wait; returns the exit code. ServiceFailed when it has to be killed after all."""
        if self.running:
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(limit_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise self.failure(f"did not end within {limit_s:g} s after SIGTERM") from None

    def kill(self) -> None:
        """SIGKILL, then wait; nothing when it has ended."""
        if self.running:
            self._process.kill()
        self._process.wait()

    def resident_bytes(self) -> int:
        """Resident memory now."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise self.failure("has no resident memory: it has ended")

    def children(self) -> list[int]:
        """Process ids of the children that its threads started."""
        return [
            int(child)
            for path in Path(f"/proc/{self.pid}/task").glob("*/children")
            for child in path.read_text().split()
        ]


def clean_environment(**extra: str) -> dict[str, str]:
    """The environment of this process without what would configure the server under test."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ROWDIS_", "MYSQL", "MARIADB"))}
    return kept | extra
