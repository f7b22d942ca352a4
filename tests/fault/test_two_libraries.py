"""Libraries of functions on two instances and over a restart: a change counts everywhere with the next command."""

import threading
from collections.abc import Iterator

import pytest

from tests.fault.world import OK, World, bulk
from tests.services.mariadb import MariaDB

ROUNDS = 15


@pytest.fixture(scope="module")
def world(mariadb: MariaDB) -> Iterator[World]:
    with World(mariadb, "fault_functions", instances=2, timeout_ms=10_000) as world:
        yield world


@pytest.fixture(autouse=True)
def emptied(world: World) -> Iterator[None]:
    world.heal()
    assert world.call("FLUSHALL") == OK
    assert world.call("FUNCTION", "FLUSH") == OK
    yield
    world.verify()


def library(body: str, name: str = "lib") -> str:
    return f"#!lua name={name}\nlocal calls = 0\nredis.register_function('f', function(keys, args) {body} end)"


def test_what_one_instance_loads_the_other_calls_at_once(world: World) -> None:
    with world.client(0) as here, world.client(1) as there:
        for number in range(ROUNDS):
            assert here.call("FUNCTION", "LOAD", "REPLACE", library(f"return '{number}'")) == bulk("lib")
            assert there.call("FCALL", "f", 0) == bulk(number)
            here, there = there, here
        assert there.call("FUNCTION", "DELETE", "lib") == OK
        assert here.call("FCALL", "f", 0) == b"-ERR Function not found\r\n"


def test_libraries_outlive_a_restart(world: World) -> None:
    assert world.call("FUNCTION", "LOAD", library("return redis.call('INCR', 'n')")) == bulk("lib")
    world.rowdis[0].kill9()
    world.rowdis[0].start()
    assert world.call("FCALL", "f", 0) == b":1\r\n"


def _at_once(world: World, codes: list[str]) -> list[bytes]:
    """The replies of the instances, each of which is asked to load another library at the same time."""
    replies: list[bytes] = []
    gate = threading.Barrier(len(codes), timeout=60)

    def load(instance: int, code: str) -> None:
        with world.client(instance) as client:
            gate.wait()
            replies.append(client.call("FUNCTION", "LOAD", code))

    threads = [threading.Thread(target=load, args=asked) for asked in enumerate(codes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return replies


def test_of_two_that_load_at_the_same_time_one_is_refused(world: World) -> None:
    for number in range(ROUNDS):
        replies = _at_once(world, [library("return 1", f"lib{instance}_{number}") for instance in (0, 1)])
        assert sorted(reply[:1] for reply in replies) == [b"$", b"-"], replies
        assert b"-ERR Function f already exists\r\n" in replies
        assert world.call("FUNCTION", "FLUSH") == OK


def test_a_replaced_library_is_never_called_by_who_saw_its_successor(world: World) -> None:
    """Calls write what they are into a key: whichever instance calls, the numbers never fall."""
    assert world.call("FUNCTION", "LOAD", library("return redis.call('RPUSH', 'seen', 0)")) == bulk("lib")
    done = threading.Event()

    def call(instance: int) -> None:
        with world.client(instance) as client:
            while not done.is_set():
                assert client.call("FCALL", "f", 0)[:1] == b":"

    threads = [threading.Thread(target=call, args=(instance,)) for instance in (0, 1)]
    for thread in threads:
        thread.start()
    try:
        for number in range(1, ROUNDS):
            body = f"return redis.call('RPUSH', 'seen', {number})"
            assert world.call("FUNCTION", "LOAD", "REPLACE", library(body)) == bulk("lib")
    finally:
        done.set()
        for thread in threads:
            thread.join(60)
    with world.client(0) as client:
        seen = [int(word) for word in client.call("LRANGE", "seen", 0, -1).split(b"\r\n")[2::2] if word]
    assert seen == sorted(seen)
    assert len(set(seen)) > 1


def test_variables_of_a_library_belong_to_the_interpreter(world: World) -> None:
    assert world.call("FUNCTION", "LOAD", library("calls = calls + 1 return calls")) == bulk("lib")
    with world.client(0) as here, world.client(1) as there:
        assert here.call("FCALL", "f", 0) == b":1\r\n"
        assert there.call("FCALL", "f", 0) == b":1\r\n"
