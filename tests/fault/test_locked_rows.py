"""Another program holds rows locked: only commands that touch them wait or fail, whatever travelled with them."""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import pytest

from storage.key_rows import digest_of
from tests.fault.world import OK, World, array, bulk, integer, wait_slowly
from tests.services.mariadb import MariaDB
from tests.services.process import wait_until
from tests.services.raw_client import Argument, RawClient

TIMEOUT_S = 3.0
LOCK_WAIT_S = 1.0
"""How long the database lets a statement wait for a lock: a fifth of the storage-timeout, but no less than this."""
MATES = 20
"""Clients whose commands travel in one batch with those that touch locked rows."""


@pytest.fixture(scope="module", params=[4, 2], ids=["two writers", "one writer"])
def world(mariadb: MariaDB, request: pytest.FixtureRequest) -> Iterator[World]:
    name = f"fault_locked_{request.param}"
    with World(mariadb, name, workers=request.param, timeout_ms=int(TIMEOUT_S * 1000)) as world:
        yield world


@pytest.fixture(autouse=True)
def emptied(world: World) -> Iterator[None]:
    assert world.call("FLUSHALL") == OK
    yield
    world.verify()


@contextmanager
def locked(world: World, *names: str) -> Iterator[None]:
    """The rows of these keys (of value 0) are locked by a program that is none of ours."""
    assert world.call("MSET", *[word for name in names for word in (name, "0")]) == OK
    space = world.query("SELECT space FROM rowdis_space WHERE db = 0")[0][0]
    with world.mariadb.connect(world.name, autocommit=False) as program, program.cursor() as cursor:
        cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
        for name in names:
            cursor.execute("SELECT size FROM rowdis_key WHERE space = %s AND digest = %s FOR UPDATE",
                           [space, digest_of(name.encode())])  # fmt: skip
            assert cursor.rowcount == 1
        yield
        program.rollback()


def together(world: World, commands: Sequence[tuple[RawClient, Sequence[Argument]]]) -> float:
    """Let clients send a command each so that all are pending at one time; when they went off."""
    assert world.call("CLIENT", "PAUSE", 60_000, "WRITE") == OK
    pending = storage_pending(world)
    for client, command in commands:
        client.send(*command)
    wait_until(lambda: storage_pending(world) == pending + len(commands), 10, "all commands are pending")
    start = time.monotonic()
    assert world.call("CLIENT", "UNPAUSE") == OK
    return start


def storage_pending(world: World) -> int:
    """Runs that wait for a worker or are with one."""
    line = next(line for line in world.call("INFO").split(b"\r\n") if line.startswith(b"storage_pending_runs:"))
    return int(line.split(b":")[1])


@contextmanager
def clients(world: World, count: int) -> Iterator[list[RawClient]]:
    with ExitStack() as stack:
        yield [stack.enter_context(world.client()) for _ in range(count)]


def test_batch_mates_of_a_command_on_a_locked_row_are_served_after_one_lock_wait(world: World) -> None:
    with clients(world, 2) as (one, two), clients(world, MATES) as mates:
        with locked(world, "held"):
            commands: list[tuple[RawClient, Sequence[Argument]]] = [(one, ("INCR", "held"))]
            commands += [(mate, ("INCR", f"free:{number}")) for number, mate in enumerate(mates)]
            commands.append((two, ("SET", "held", "lost")))
            start = together(world, commands)
            assert [mate.read() for mate in mates] == [b":1\r\n"] * MATES
            assert time.monotonic() - start < LOCK_WAIT_S * 2
            assert one.silent(0.01)
            assert two.silent(0.01)
            # From now on the key is known: who comes with it does not wait at all.
            start = together(world, [(mate, ("INCR", f"free:{number}")) for number, mate in enumerate(mates)])
            assert [mate.read() for mate in mates] == [b":2\r\n"] * MATES
            if world.name.endswith("4"):
                assert time.monotonic() - start < LOCK_WAIT_S * 0.9
            for client in (one, two):
                reply = client.read()
                assert reply.startswith(b"-UNAVAILABLE "), reply
            assert one.call("GET", "held") == bulk(0)
        assert one.call("INCR", "held") == b":1\r\n"
        assert two.call("INCR", "free:0") == b":3\r\n"


def test_commands_on_a_locked_row_are_applied_once_when_it_is_released(world: World) -> None:
    with clients(world, MATES) as callers, world.client() as free:
        with locked(world, "held"):
            together(world, [(caller, ("INCR", "held")) for caller in callers])
            wait_slowly(lambda: world.lock_waits() == 1, "a command waits for the row")
            assert free.call("INCR", "free") == b":1\r\n"
        replies = sorted(integer(caller.read()) for caller in callers)
        assert replies == list(range(1, MATES + 1))
        assert free.call("GET", "held") == bulk(MATES)
        start = time.monotonic()
        assert free.call("INCR", "held") == b":%d\r\n" % (MATES + 1)
        assert time.monotonic() - start < LOCK_WAIT_S * 0.9, "it is a key like any other again"


def test_row_released_early_is_not_waited_for_until_the_other_is(world: World) -> None:
    with clients(world, 2) as (one, two), locked(world, "long"):
        with locked(world, "short"):
            together(world, [(one, ("INCR", "long")), (two, ("INCR", "short"))])
            wait_slowly(lambda: world.lock_waits() == 1, "a command waits for a row")
            assert two.silent(0.01)
        assert two.read() == b":1\r\n"
        assert one.silent(0.01)


def test_every_command_has_its_own_time(world: World) -> None:
    """One that came late to a locked row does not fail with those that came early."""
    with clients(world, 3) as (early, mate, late):
        with locked(world, "held"):
            start = together(world, [(early, ("INCR", "held")), (mate, ("INCR", "free"))])
            assert mate.read() == b":1\r\n"
            late.send("INCR", "held")
            reply = early.read()
            assert reply.startswith(b"-UNAVAILABLE "), reply
            assert time.monotonic() - start < TIMEOUT_S + 1
            assert late.silent(0.01)
        assert late.read() == b":1\r\n"


def test_transactions_and_watches_survive_being_run_apart(world: World) -> None:
    with clients(world, 3) as (held, free, broken):
        assert world.call("MSET", "mine", "0", "other", "0") == OK
        with locked(world, "held"):
            for client, name in ((held, "held"), (free, "mine"), (broken, "other")):
                assert client.call("WATCH", name) == OK
                assert client.call("MULTI") == OK
                assert client.call("INCR", name) == b"+QUEUED\r\n"
                assert client.call("INCR", f"{name}:too") == b"+QUEUED\r\n"
            assert world.call("SET", "other", "changed") == OK
            together(world, [(held, ("EXEC",)), (free, ("EXEC",)), (broken, ("EXEC",))])
            assert free.read() == array(b":1\r\n", b":1\r\n")
            assert broken.read() == b"*-1\r\n"
            assert held.silent(0.01)
        assert held.read() == array(b":1\r\n", b":1\r\n")
        assert held.call("MGET", "held:too", "mine:too", "other:too") == array(bulk(1), bulk(1), b"$-1\r\n")
