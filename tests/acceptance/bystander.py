"""A client that minds its own business beside heavy work: `python -m tests.acceptance.bystander PORT`.

It sends GET and SET in turn at a fixed pace, each on a connection that waits for nothing else: a slow reply does not
keep it from asking on, so slow moments count for as many commands as they last. It is a process of its own: in the one
of the tests it would measure how long that one's threads keep the interpreter to themselves. Once its standard input
ends it prints, as JSON, how long each command took, in milliseconds.
"""

import json
import selectors
import subprocess
import sys
import time
from types import TracebackType
from typing import Self

from tests.services.process import clean_environment
from tests.services.raw_client import RawClient
from tests.services.rowdis import REPOSITORY, Rowdis

INTERVAL_S = 0.01
"""From one command to the next: 100 a second leave the processors to the work that is measured."""
KEYS = 100


class Bystander:
    """The process, from the start of a `with` block to its end; then `gets` and `sets` are the times, in ms."""

    def __init__(self, server: Rowdis) -> None:
        self._port = server.port
        self.gets: list[float] = []
        self.sets: list[float] = []

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.acceptance.bystander", str(self._port)],
            cwd=REPOSITORY, env=clean_environment(PYTHONPATH=str(REPOSITORY)),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        output, _ = self._process.communicate(timeout=60)
        assert self._process.returncode == 0
        self.gets, self.sets = json.loads(output)


class _Loop:
    """The connections, those that are idle, and what the others have asked and when."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._selector = selectors.DefaultSelector()
        self._selector.register(sys.stdin, selectors.EVENT_READ)
        self._idle: list[RawClient] = []
        self._asked: dict[RawClient, tuple[int, float]] = {}
        self._ended = False
        self.times: tuple[list[float], list[float]] = ([], [])

    def run(self) -> None:
        """Ask until the standard input ends, then wait for what is missing."""
        due = time.perf_counter()
        n = 0
        while not self._ended:
            self._ask(n)
            n += 1
            # To wake up late is this machine's fault, and nothing to make up for.
            due = max(due + INTERVAL_S, time.perf_counter())
            while (left := due - time.perf_counter()) > 0 and not self._ended:
                self._take(left)
        while self._asked:
            self._take(60)

    def _ask(self, n: int) -> None:
        client = self._idle.pop() if self._idle else self._connect()
        self._asked[client] = n % 2, time.perf_counter()
        key = f"bystander:{n // 2 % KEYS}"
        client.send(*(("SET", key, "x") if n % 2 else ("GET", key)))

    def _connect(self) -> RawClient:
        client = RawClient(("127.0.0.1", self._port))
        self._selector.register(client.socket, selectors.EVENT_READ, client)
        return client

    def _take(self, limit_s: float) -> None:
        """Take the replies that have come, waiting for the first."""
        for ready, _ in self._selector.select(limit_s):
            if ready.data is None:
                self._selector.unregister(sys.stdin)
                self._ended = True
                continue
            which, asked = self._asked.pop(ready.data)
            assert ready.data.read() == (b"$1\r\nx\r\n", b"+OK\r\n")[which]
            self.times[which].append(1000 * (time.perf_counter() - asked))
            self._idle.append(ready.data)


def main() -> None:
    """Run until the standard input ends."""
    port = int(sys.argv[1])
    with RawClient(("127.0.0.1", port)) as client:
        for n in range(KEYS):
            assert client.call("SET", f"bystander:{n}", "x") == b"+OK\r\n"
    print("ready", flush=True)
    loop = _Loop(port)
    loop.run()
    print(json.dumps(loop.times))


if __name__ == "__main__":
    main()
