"""Queues as people use them, with the database and a Rowdis killed in the middle: every job is done exactly once.

Producers push a job together with a note of it in one transaction, so that after a lost connection they can look
whether it got through.  Workers move a job to a list of their own, or read it as a group's consumer, before they do it.
"""

import contextlib
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from tests.fault.world import OK, World
from tests.services.mariadb import MariaDB
from tests.services.process import wait_until
from tests.services.raw_client import Argument, ConnectionClosed, RawClient

LONG = bool(os.environ.get("ROWDIS_TEST_LONG"))
JOBS = 100_000 if LONG else 1_000
PRODUCERS, WORKERS = 4, 16
LIMIT_S = 1200.0 if LONG else 120.0


class Interrupted(Exception):
    """The command may have been applied or not, or was not: the connection broke, or the database was away."""


class Client:
    """A connection that is made anew when it breaks, on any instance that runs."""

    def __init__(self, world: World, number: int) -> None:
        self._world = world
        self._number = number
        self._client: RawClient | None = None

    def call(self, *words: Argument) -> bytes:
        """A reply that is no failure of storage. Interrupted if there is none."""
        try:
            if self._client is None:
                running = [number for number, server in enumerate(self._world.rowdis) if server.process.running]
                self._client = self._world.client(running[self._number % len(running)], timeout_s=30)
            reply = self._client.call(*words)
        except (OSError, ConnectionClosed) as error:
            self.close()
            time.sleep(0.02)
            raise Interrupted from error
        if reply.startswith((b"-UNAVAILABLE", b"-INDETERMINATE")):
            self.close()
            raise Interrupted
        assert not reply.startswith(b"-"), reply
        return reply

    def insist(self, *words: Argument) -> bytes:
        """The reply to a command that may be given twice."""
        while True:
            with contextlib.suppress(Interrupted):
                return self.call(*words)

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None


class Factory:
    """Producers and workers as threads; `done` counts how often each job was done."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.done: Counter[bytes] = Counter()
        self._lock = threading.Lock()
        self._failures: list[BaseException] = []

    def finish(self, job: bytes) -> None:
        with self._lock:
            self.done[job] += 1

    @property
    def complete(self) -> bool:
        return len(self.done) >= JOBS or bool(self._failures)

    def run(
        self,
        produce: Callable[[Client, bytes], None],
        work: Callable[[Client, int], None],
        interrupt: Callable[[], None],
    ) -> None:
        """`work(client, number)` does one job at most; `interrupt` is called in the middle."""
        threads = [threading.Thread(target=self._guard, args=(self._produce, n, produce)) for n in range(PRODUCERS)]
        threads += [threading.Thread(target=self._guard, args=(self._work, n, work)) for n in range(WORKERS)]
        for thread in threads:
            thread.start()
        try:
            wait_until(lambda: len(self.done) > JOBS // 3 or bool(self._failures), LIMIT_S, "a third is done")
            interrupt()
            wait_until(lambda: self.complete, LIMIT_S, "all jobs are done")
        except BaseException as error:
            self._failures.append(error)
        for thread in threads:
            thread.join(60)
        if self._failures:
            raise self._failures[0]

    def _guard(self, act: Callable[..., None], number: int, what: Callable[..., None]) -> None:
        client = Client(self.world, number)
        try:
            act(client, number, what)
        except BaseException as error:
            self._failures.append(error)
        finally:
            client.close()

    def _produce(self, client: Client, number: int, produce: Callable[[Client, bytes], None]) -> None:
        for job in range(number, JOBS, PRODUCERS):
            name = b"job:%d" % job
            while not self._failures:
                try:
                    produce(client, name)
                    break
                except Interrupted:
                    if client.insist("SISMEMBER", "made", name) == b":1\r\n":
                        break

    def _work(self, client: Client, number: int, work: Callable[[Client, int], None]) -> None:
        while not self.complete:
            with contextlib.suppress(Interrupted):
                work(client, number)


@pytest.fixture
def world(mariadb: MariaDB, request: pytest.FixtureRequest) -> Iterator[World]:
    name = "fault_queue_" + request.node.name.split("[")[0][-12:]
    with World(mariadb, name, instances=2, timeout_ms=15_000) as world:
        yield world


def interrupt(world: World, mariadb: MariaDB) -> None:
    """Kill the database, and when it is there again, one Rowdis."""
    mariadb.kill9()
    mariadb.restart()
    world.rowdis[1].kill9()


def push(client: Client, job: bytes) -> None:
    client.call("MULTI")
    client.call("SADD", "made", job)
    client.call("LPUSH", "queue", job)
    client.call("EXEC")


def text(reply: bytes) -> bytes | None:
    return None if reply.startswith((b"$-1", b"*-1", b"_")) else reply.split(b"\r\n")[1]


def test_a_list_with_workers_that_move_jobs(world: World, mariadb: MariaDB) -> None:
    factory = Factory(world)

    def work(client: Client, number: int) -> None:
        mine = f"doing:{number}"
        # What was begun before a connection broke comes first.
        job = text(client.call("LINDEX", mine, 0)) or text(client.call("BLMOVE", "queue", mine, "RIGHT", "LEFT", 0.2))
        if job is not None:
            client.insist("LREM", mine, 1, job)
            factory.finish(job)

    factory.run(push, work, lambda: interrupt(world, mariadb))
    assert factory.done == Counter(b"job:%d" % number for number in range(JOBS))
    assert world.call("EXISTS", "queue", *(f"doing:{number}" for number in range(WORKERS))) == b":0\r\n"


def test_a_list_with_workers_that_pop(world: World, mariadb: MariaDB) -> None:
    """Whoever pops loses a job whose reply is lost. With nothing but the database killed, Rowdis itself settles what
    became of every pop: no job is lost."""
    factory = Factory(world)
    lost: list[str] = []

    def work(client: Client, number: int) -> None:
        try:
            reply = client.call("BRPOP", "queue", 0.2)
        except Interrupted:
            lost.append("a reply")
            raise
        if not reply.startswith((b"*-1", b"_")):
            factory.finish(reply.split(b"\r\n")[4])

    def kill_the_database() -> None:
        mariadb.kill9()
        mariadb.restart()

    factory.run(push, work, kill_the_database)
    assert factory.done == Counter(b"job:%d" % number for number in range(JOBS))
    assert not lost, "no reply was lost: the database came back in time"


def test_a_stream_with_consumers_one_of_which_dies(world: World, mariadb: MariaDB) -> None:
    factory = Factory(world)
    assert world.call("XGROUP", "CREATE", "stream", "g", "0", "MKSTREAM") == OK
    killed = threading.Event()

    def add(client: Client, job: bytes) -> None:
        client.call("MULTI")
        client.call("SADD", "made", job)
        client.call("XADD", "stream", "*", "job", job)
        client.call("EXEC")

    def work(client: Client, number: int) -> None:
        if number == 0 and killed.is_set():
            # This worker has died with what it had read; the others claim that.
            time.sleep(0.05)
            return
        claim = client.call("XAUTOCLAIM", "stream", "g", f"c{number}", 500, "0", "COUNT", 5)
        done = entries(claim)
        if not done:
            read = ("XREADGROUP", "GROUP", "g", f"c{number}", "COUNT", 5, "BLOCK", 200, "STREAMS", "stream", ">")
            done = entries(client.call(*read))
        if number == 0 and done and len(factory.done) > JOBS // 4:
            killed.set()
            return
        for entry, job in done:
            if is_first(client, job, number):
                factory.finish(job)
            client.insist("XACK", "stream", "g", entry)

    factory.run(add, work, lambda: interrupt(world, mariadb))
    assert factory.done == Counter(b"job:%d" % number for number in range(JOBS))
    assert killed.is_set()


def is_first(client: Client, job: bytes, number: int) -> bool:
    """Whether this worker is the one that does a job which several may have been given."""
    try:
        return client.call("HSETNX", "done", job, number) == b":1\r\n"
    except Interrupted:
        client.insist("HSETNX", "done", job, number)
        return text(client.insist("HGET", "done", job)) == b"%d" % number


def entries(reply: bytes) -> list[tuple[bytes, bytes]]:
    """(id, job) of the entries in a reply, wherever they stand."""
    words = reply.split(b"\r\n")
    found = [n for n, word in enumerate(words) if word == b"job"]
    return [(words[n - 3], words[n + 2]) for n in found]
