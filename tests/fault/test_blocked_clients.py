"""Blocked clients, and a unit under way that may feed them: each is told the truth, nothing is lost, nothing spins."""

import os
import signal
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import pytest

from server.blocking import MAX_CLAIMED, MAX_KEYS, POLL_S
from storage.key_rows import digest_of
from tests.commands.dialogues import wait_until_blocked
from tests.fault.world import OK, World, array, bulk
from tests.services.mariadb import MariaDB
from tests.services.process import wait_until
from tests.services.proxy import At, Hold, Predicate, query_with
from tests.services.raw_client import Argument, RawClient

NOTHING = b"*-1\r\n"


def all_of(*words: bytes) -> Predicate:
    """Trips that carry all of these words."""
    tests = [query_with(word) for word in words]
    return lambda payload: all(test(payload) for test in tests)


READING = all_of(b"BEGIN", b"INSERT INTO rowdis_marker", b"FOR UPDATE")
"""The first trip of a unit that writes: no command has been executed yet."""
COMMITTING = all_of(b"INSERT INTO rowdis_key", b"COMMIT")
"""The last trip of a unit that makes a key."""


@pytest.fixture(scope="module")
def world(mariadb: MariaDB) -> Iterator[World]:
    with World(mariadb, "fault_blocked", timeout_ms=10_000) as world:
        yield world


@pytest.fixture(autouse=True)
def emptied(world: World) -> Iterator[None]:
    """A test that failed may leave faults behind, and no server."""
    world.heal()
    if not world.rowdis[0].process.running:
        world.rowdis[0].start()
    assert world.call("FLUSHALL") == OK
    yield
    world.verify()


def popped(key: str, item: str) -> bytes:
    return array(bulk(key), bulk(item))


@contextmanager
def blocked(world: World, *commands: Sequence[Argument]) -> Iterator[list[RawClient]]:
    """Clients that wait, each with one of these commands, in this order."""
    with ExitStack() as stack:
        control = stack.enter_context(world.client())
        clients = [stack.enter_context(world.client()) for _ in commands]
        for count, (client, command) in enumerate(zip(clients, commands, strict=True), 1):
            client.send(*command)
            if count % 50 == 0 or count == len(commands):
                wait_until_blocked(control, count)
        yield clients


def held_push(world: World, feeder: RawClient, place: Predicate) -> Hold:
    """Let the unit of a push stand still at one of its trips."""
    hold = world.proxy.hold(place, cut_client=False)
    feeder.send("RPUSH", "k", "x", "y")
    hold.wait()
    return hold


def ask_to_end(world: World, how: str) -> None:
    """Begin the program's end, and wait until it has begun."""
    server = world.rowdis[0]
    if how == "SHUTDOWN":
        with world.client() as client:
            client.send("SHUTDOWN", "NOSAVE")
            assert client.read_to_end() == b""
    else:
        os.kill(server.pid, signal.SIGTERM)
    wait_until(lambda: "stopping: " in server.log(), 10, "the program has begun to end")


@pytest.mark.parametrize("how", ["SIGTERM", "SHUTDOWN"])
def test_who_is_being_fed_when_the_program_ends_is_answered_before_it_is_closed(world: World, how: str) -> None:
    with blocked(world, ("BLPOP", "k", 0), ("BLPOP", "other", 0)) as (fed, other), world.client() as feeder:
        hold = held_push(world, feeder, COMMITTING)
        ask_to_end(world, how)
        assert other.read_to_end() == b"", "nobody waits for what the program will not see"
        assert fed.silent(0.05)
        hold.deliver()
        assert fed.read_to_end() == popped("k", "x")
        assert feeder.read_to_end() == b":2\r\n"
    world.rowdis[0].stop()
    world.rowdis[0].start()
    assert world.call("LRANGE", "k", 0, -1) == array(bulk("y"))


def test_who_is_not_being_fed_yet_when_the_program_ends_is_closed_and_given_nothing(world: World) -> None:
    with blocked(world, ("BLPOP", "k", 0)) as (waiter,), world.client() as feeder:
        hold = held_push(world, feeder, READING)
        ask_to_end(world, "SIGTERM")
        assert waiter.read_to_end() == b""
        hold.deliver()
        assert feeder.read_to_end() == b":2\r\n"
    world.rowdis[0].stop()
    world.rowdis[0].start()
    assert world.call("LRANGE", "k", 0, -1) == array(bulk("x"), bulk("y"))


def client_id(client: RawClient) -> bytes:
    return client.call("CLIENT", "ID")[1:-2]


@pytest.mark.parametrize(
    ("reason", "told"), [("TIMEOUT", NOTHING), ("ERROR", b"-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n")]
)
def test_client_unblock_says_whether_it_was_in_time(world: World, reason: str, told: bytes) -> None:
    for place, in_time in ((READING, True), (COMMITTING, False)):
        with world.client() as waiter, world.client() as feeder, world.client() as control:
            control.call("DEL", "k")
            number = client_id(waiter)
            waiter.send("BLPOP", "k", 0)
            wait_until_blocked(control, 1)
            hold = held_push(world, feeder, place)
            assert control.call("CLIENT", "UNBLOCK", number, reason) == b":%d\r\n" % in_time
            assert waiter.silent(0.02) is not in_time
            if in_time:
                # It waits no longer, whatever becomes of the push, and may begin to wait again.
                assert waiter.read() == told
                assert control.call("CLIENT", "UNBLOCK", number) == b":0\r\n"
                waiter.send("BLPOP", "k", 0)
            hold.deliver()
            assert feeder.read() == b":2\r\n"
            assert waiter.read() == popped("k", "x")
            assert control.call("LRANGE", "k", 0, -1) == array(bulk("y"))


def test_a_time_out_does_not_wait_for_a_unit_that_has_not_come_to_the_client(world: World) -> None:
    with blocked(world, ("BLPOP", "k", 0.6)) as (waiter,), world.client() as feeder:
        hold = held_push(world, feeder, READING)
        assert waiter.read() == NOTHING
        hold.deliver()
        assert feeder.read() == b":2\r\n"
    assert world.call("LRANGE", "k", 0, -1) == array(bulk("x"), bulk("y"))


def test_a_time_out_while_the_client_is_being_fed_loses_nothing(world: World) -> None:
    with blocked(world, ("BLPOP", "k", 0.6)) as (waiter,), world.client() as feeder:
        hold = held_push(world, feeder, COMMITTING)
        assert waiter.silent(0.9)
        hold.deliver()
        assert waiter.read() == popped("k", "x")
        assert feeder.read() == b":2\r\n"


# -- how much a unit takes on for them


@contextmanager
def keys_locked(world: World) -> Iterator[list[int]]:
    """How many keys' rows each trip locks."""
    counts: list[int] = []

    def count(payload: bytes) -> bool:
        if READING(payload):
            counts.append(payload.count(b"X'"))
        return False

    world.proxy.hold(count)
    yield counts
    world.proxy.clear()


def test_many_keys_of_many_clients_do_not_come_into_one_unit(world: World) -> None:
    """And yet each is served, in the order in which they blocked."""
    commands = [("BLPOP", *(f"{n}:{key}" for key in range(400)), "k", 0) for n in range(20)]
    with blocked(world, *commands) as clients, world.client() as feeder, keys_locked(world) as counts:
        start = time.monotonic()
        assert feeder.call("RPUSH", "k", *range(20)) == b":20\r\n"
        for place, client in enumerate(clients):
            assert client.read() == popped("k", str(place))
        assert time.monotonic() - start < 5
        assert max(counts) <= MAX_KEYS + 10
        assert len(counts) <= 20


def test_a_client_that_waits_for_very_many_keys_is_served_all_the_same(world: World) -> None:
    names = [f"key:{n}" for n in range(3 * MAX_KEYS)]
    with blocked(world, ("BLPOP", *names, 0), ("BLPOP", names[5], 0)) as (first, second), world.client() as feeder:
        assert feeder.call("RPUSH", names[5], 1, 2) == b":2\r\n"
        assert first.read() == popped(names[5], "1")
        assert second.read() == popped(names[5], "2")


def test_nobody_is_overtaken_by_who_waits_for_more_keys(world: World) -> None:
    """Also where the unit can't take all of them on: who blocked first on a key is given its first item."""
    extra = [f"extra:{n}" for n in range(MAX_KEYS)]
    commands: list[tuple[Argument, ...]] = [("BLPOP", "a", *extra, 0), ("BLPOP", "b", *(f"b{n}" for n in extra), 0)]
    commands += [("BLPOP", "a", "b", 0), ("BLPOP", "b", 0)]
    with blocked(world, *commands) as clients, world.client() as feeder:
        feeder.pipeline([("MULTI",), ("RPUSH", "b", 1, 2, 3), ("RPUSH", "a", 1), ("EXEC",)])
        told = [client.read() for client in clients]
    assert told == [popped("a", "1"), popped("b", "1"), popped("b", "2"), popped("b", "3")]


def test_a_chain_of_moves_is_served_at_once(world: World) -> None:
    took = []
    for _ in range(3):
        chain = (("BLMOVE", "k", "l", "LEFT", "RIGHT", 0), ("BLMOVE", "l", "m", "LEFT", "RIGHT", 0), ("BLPOP", "m", 0))
        with blocked(world, *chain) as (first, second, third), world.client() as feeder:
            start = time.monotonic()
            assert feeder.call("RPUSH", "k", "x") == b":1\r\n"
            assert [first.read(), second.read(), third.read()] == [bulk("x"), bulk("x"), popped("m", "x")]
            took.append(time.monotonic() - start)
    assert statistics.median(took) < POLL_S / 2


# -- foreign locks


@contextmanager
def locked(world: World, *names: str) -> Iterator[None]:
    """A program that is none of ours holds the places of these keys, which do not exist."""
    space = world.query("SELECT space FROM rowdis_space WHERE db = 0")[0][0]
    with world.mariadb.connect(world.name, autocommit=False) as program, program.cursor() as cursor:
        for name in names:
            cursor.execute(
                "INSERT INTO rowdis_key (space, digest, name, key_id, type, version, size, orphan) "
                "VALUES (%s, %s, %s, 0, 0, 0, 0, 0)",
                [space, digest_of(name.encode()), name.encode()],
            )
        yield
        program.rollback()


def storage(world: World, name: str) -> int:
    line = next(line for line in world.call("INFO", "storage").split(b"\r\n") if line.startswith(name.encode() + b":"))
    return int(line.split(b":")[1])


def together(world: World, commands: Sequence[tuple[RawClient, Sequence[Argument]]]) -> None:
    """Let clients send a command each so that all are pending at one time."""
    assert world.call("CLIENT", "PAUSE", 60_000, "WRITE") == OK
    pending = storage(world, "storage_pending_runs")
    for client, command in commands:
        client.send(*command)
    wait_until(
        lambda: storage(world, "storage_pending_runs") == pending + len(commands), 10, "all commands are pending"
    )
    assert world.call("CLIENT", "UNPAUSE") == OK


def test_who_waits_for_a_key_of_a_batch_that_met_a_lock_is_served_at_once(world: World) -> None:
    """Not only when the keys of blocked clients are looked at the next time, and before whoever comes later."""
    took = []
    for name in ("held:0", "held:1", "held:2"):
        with blocked(world, ("BLPOP", "k", 0)) as (waiter,), locked(world, name), ExitStack() as stack:
            unlucky, feeder, late = (stack.enter_context(world.client()) for _ in range(3))
            together(world, [(unlucky, ("INCR", name)), (feeder, ("RPUSH", "k", "x")), (late, ("LPOP", "k"))])
            assert feeder.read() == b":1\r\n"
            start = time.monotonic()
            assert waiter.read() == popped("k", "x")
            took.append(time.monotonic() - start)
            assert late.read() == b"$-1\r\n"
    assert statistics.median(took) < POLL_S / 2


def test_who_waits_for_a_locked_key_too_is_served_when_the_lock_is_gone_and_delays_nobody(world: World) -> None:
    with blocked(world, ("BLPOP", "held", "k", 0)) as (waiter,), world.client() as feeder:
        with locked(world, "held"):
            assert feeder.call("RPUSH", "k", "x") == b":1\r\n"
            for number in range(5):
                start = time.monotonic()
                assert feeder.call("RPUSH", "k", number) == b":%d\r\n" % (number + 2)
                assert time.monotonic() - start < 0.7, "a push waited for a lock that it does not need"
            before = storage(world, "storage_writing_units")
            assert waiter.silent(1.0)
            assert storage(world, "storage_writing_units") - before < 3 / POLL_S
        assert waiter.read() == popped("k", "x")


def test_nothing_spins_while_who_is_to_be_served_waits_for_a_key_that_is_in_use(world: World) -> None:
    many = [("BLPOP", "held", 0)] * MAX_CLAIMED
    with blocked(world, *many, ("BLPOP", "held", "k", 0)) as clients, ExitStack() as stack:
        unlucky, feeder = stack.enter_context(world.client()), stack.enter_context(world.client())
        with locked(world, "held"):
            pending = storage(world, "storage_pending_runs")
            unlucky.send("DEL", "held")
            wait_until(lambda: storage(world, "storage_pending_runs") > pending, 10, "a command waits for the lock")
            before = storage(world, "storage_writing_units")
            assert feeder.call("RPUSH", "k", "x") == b":1\r\n"
            assert clients[-1].silent(0.4)
            assert storage(world, "storage_writing_units") - before < 3 / POLL_S
        assert clients[-1].read() == popped("k", "x")
        assert unlucky.read() == b":0\r\n"


def test_a_script_that_flushes_has_its_whole_unit_read_before_the_commit(world: World) -> None:
    committed = False
    locking = query_with(b"FOR UPDATE")

    def behind(payload: bytes) -> bool:
        nonlocal committed
        committed = committed or COMMITTING(payload)
        return committed and locking(payload) and b"rowdis_marker" not in payload and b"SKIP LOCKED" not in payload

    with blocked(world, ("BLPOP", "k", "other", 0)) as (waiter,):
        cut = world.proxy.cut(behind, At.BEFORE)
        # The names that the client waits for stand for other keys now, of which nobody knows anything yet.
        assert world.call("EVAL", "redis.call('flushall') return redis.call('incr','n')", 1, "k") == b":1\r\n"
        assert not cut.count
        world.heal()
        assert world.call("RPUSH", "other", "x") == b":1\r\n"
        assert waiter.read() == popped("other", "x")
