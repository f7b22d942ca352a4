"""Scripts that take long are alone among writers, one after the other: others have their turn, and they their time."""

import threading
import time
from collections.abc import Iterator

import pytest

from tests.fault.world import OK, World, integer
from tests.services.mariadb import MariaDB
from tests.services.process import wait_until
from tests.services.proxy import query_with

TIMEOUT_S = 0.5
#: A run of the slow lane has six times the usual time-out.
SLOW_TIMEOUT_S = 6 * TIMEOUT_S


@pytest.fixture(scope="module")
def world(mariadb: MariaDB) -> Iterator[World]:
    with World(mariadb, "fault_slow_lane", timeout_ms=int(TIMEOUT_S * 1000)) as world:
        yield world


def computing(seconds: float) -> str:
    """A script that computes for so long, then writes."""
    return f"local s=os.clock() while os.clock()-s<{seconds} do end return redis.call('incr',KEYS[1])"


def test_long_scripts_without_end_do_not_keep_others_from_writing(world: World) -> None:
    script, ended = computing(0.1), threading.Event()

    def run_scripts() -> None:
        with world.client() as client:
            while not ended.is_set():
                integer(client.call("EVAL", script, 1, "n"))

    threads = [threading.Thread(target=run_scripts) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: world.call("GET", "n") not in (b"$-1\r\n", b"$1\r\n1\r\n"), 10, "scripts run")
        assert [world.call("SET", "k", number) for number in range(3)] == [OK] * 3
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def test_script_that_took_longer_than_any_time_out_has_the_full_time_to_commit(world: World) -> None:
    with world.client() as client:
        began = time.monotonic()
        makes, commits = query_with(b"INSERT INTO rowdis_key"), query_with(b"COMMIT")
        hold = world.proxy.hold(
            lambda payload: time.monotonic() - began > SLOW_TIMEOUT_S and makes(payload) and commits(payload),
            cut_client=False,
        )
        client.send("EVAL", computing(SLOW_TIMEOUT_S + 0.3), 1, "long")
        hold.wait()
        assert client.silent(TIMEOUT_S / 2)
        hold.deliver()
        assert client.read() == b":1\r\n"
