"""The embedded engine under Rowdis: killed, or killed together with it, it keeps every acknowledged write."""

import os
import signal
from collections.abc import Iterator

import pytest

from tests.conftest import services
from tests.fault.test_database_away import assert_counters_exact
from tests.fault.test_start import run
from tests.fault.world import OK, Load, bulk, integer
from tests.services.process import wait_until
from tests.services.rowdis import Rowdis

WORDS = ("--storage-timeout", "10000", "--sweep-interval", "100")
LONG_VALUE = "v" * 100_000


@pytest.fixture
def server() -> Iterator[Rowdis]:
    with services(), Rowdis(None, WORDS, loglevel="debug") as server:
        yield server


def check(server: Rowdis) -> None:
    """`rowdis check` as a user runs it, on the directory of the engine."""
    server.stop()
    assert run("check", "--database", server.database) == (0, ["nothing to complain about"])
    server.start()


def engine_pid(server: Rowdis) -> int:
    (pid,) = server.engine_pids
    return pid


def test_killed_program_finds_every_acknowledged_write_again(server: Rowdis) -> None:
    def command(thread: int, number: int) -> tuple[str, ...]:
        if number % 10 == 9:
            return ("SET", f"long:{thread}", f"{number}:{LONG_VALUE}")
        return ("INCR", f"count:{thread}")

    for _ in range(2):
        with Load(server, 6, command) as load:
            load.wait_answered(200)
            server.kill9()
            load._stop.set()
        server.start()
        with server.client() as client:
            for thread in range(6):
                highest = max((integer(r) for c, r in load.answered if c[1] == f"count:{thread}"), default=0)
                total = int(client.call("GET", f"count:{thread}").split(b"\r\n")[1])
                assert highest <= total <= highest + 1
                written = [str(c[2]) for c, _ in load.answered if c[1] == f"long:{thread}"]
                unknown = [str(c[2]) for c in load.unknown if c[1] == f"long:{thread}"]
                if written:
                    assert client.call("GET", f"long:{thread}") in [bulk(value) for value in (written[-1], *unknown)]
            assert client.call("FLUSHALL") == OK
    check(server)


def test_killed_engine_is_started_again_and_nothing_is_lost(server: Rowdis) -> None:
    with Load(server, 6, lambda thread, number: ("INCR", f"engine:{(thread + number) % 3}")) as load:
        for _ in range(2):
            load.wait_answered(200)
            pid = engine_pid(server)
            os.kill(pid, signal.SIGKILL)
            load.wait_answered(200)
            assert engine_pid(server) != pid
    with server.client() as client:
        assert_counters_exact(client, load)
    assert set(load.errors) <= {"UNAVAILABLE"}
    check(server)


def test_stopped_program_leaves_no_engine_behind(server: Rowdis) -> None:
    pid = engine_pid(server)
    assert server.call("SET", "k", "1") == OK
    server.stop()
    wait_until(lambda: not os.path.exists(f"/proc/{pid}"), 15, "the engine has ended")
    server.start()
    assert server.call("GET", "k") == bulk("1")
