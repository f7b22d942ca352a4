"""Two Rowdis processes on one database: nothing is lost, doubled, torn or overlooked, whatever keys were before."""

import os
import threading
from collections.abc import Callable, Iterator, Sequence

import pytest

from storage.key_rows import digest_of
from tests.fault.world import NULL, OK, Load, World, array, bulk, integer
from tests.services.mariadb import MariaDB
from tests.services.process import wait_until
from tests.services.raw_client import Argument, RawClient

LONG = bool(os.environ.get("ROWDIS_TEST_LONG"))
ROUNDS = 400 if LONG else 40
RACERS = 4
"""Clients that race, every other one on the second instance."""


@pytest.fixture(scope="module")
def world(mariadb: MariaDB) -> Iterator[World]:
    with World(mariadb, "fault_two", instances=2, timeout_ms=10_000) as world:
        yield world


@pytest.fixture(autouse=True)
def emptied(world: World) -> Iterator[None]:
    world.heal()
    assert world.call("FLUSHALL") == OK
    yield
    world.verify()


def race(
    world: World,
    rounds: int,
    prepare: Callable[[RawClient, int], None],
    act: Callable[[RawClient, int, int], object],
    judge: Callable[[RawClient, int, list[object]], None],
    racers: int = RACERS,
) -> None:
    """Per round: `prepare(client, round)`, then all racers `act(client, racer, round)` at once, then `judge`."""
    gate = threading.Barrier(racers + 1, timeout=60)
    outcomes: list[object] = [None] * racers
    failures: list[BaseException] = []

    def run(racer: int) -> None:
        try:
            with world.client(racer % len(world.rowdis)) as client:
                for number in range(rounds):
                    gate.wait()
                    outcomes[racer] = act(client, racer, number)
                    gate.wait()
        except threading.BrokenBarrierError:
            pass
        except BaseException as error:
            failures.append(error)
            gate.abort()

    threads = [threading.Thread(target=run, args=(racer,)) for racer in range(racers)]
    for thread in threads:
        thread.start()
    try:
        with world.client() as client:
            for number in range(rounds):
                prepare(client, number)
                gate.wait()
                gate.wait()
                judge(client, number, list(outcomes))
    except threading.BrokenBarrierError:
        pass
    finally:
        gate.abort()
        for thread in threads:
            thread.join(60)
    if failures:
        raise failures[0]


def transaction(client: RawClient, *commands: Sequence[Argument]) -> bytes:
    """EXEC's reply."""
    replies = client.pipeline([("MULTI",), *commands, ("EXEC",)])
    return replies[-1]


# -- exact totals, whatever the key was before


def _nothing(client: RawClient, name: str) -> None:
    pass


def _present(client: RawClient, name: str) -> None:
    assert client.call("SET", name, "") == OK


def _deleted(client: RawClient, name: str) -> None:
    assert client.call("SET", name, "gone") == OK
    assert client.call("DEL", name) == b":1\r\n"


def _expired(client: RawClient, name: str) -> None:
    assert client.call("SET", name, "gone", "PX", "1") == OK
    wait_until(lambda: client.call("GET", name) == NULL, 5, "the key has expired")


def _long(client: RawClient, name: str) -> None:
    """A value in chunks, deleted by an overwrite that looked at nothing."""
    assert client.call("SET", name, "x" * 100_000) == OK
    assert client.call("DEL", name) == b":1\r\n"


ABSENT = pytest.mark.parametrize("before", [_nothing, _deleted, _expired, _long], ids=lambda f: f.__name__[1:])


@ABSENT
def test_incr_of_an_absent_key_counts_everybody(world: World, before: Callable[[RawClient, str], None]) -> None:
    def judge(client: RawClient, number: int, outcomes: list[object]) -> None:
        assert sorted(outcomes, key=str) == [b":%d\r\n" % n for n in range(1, RACERS + 1)]
        assert client.call("GET", f"k{number}") == bulk(RACERS)

    race(
        world, ROUNDS,
        lambda client, number: before(client, f"k{number}"),
        lambda client, racer, number: client.call("INCR", f"k{number}"),
        judge,
    )  # fmt: skip


@ABSENT
def test_set_nx_has_exactly_one_winner(world: World, before: Callable[[RawClient, str], None]) -> None:
    def judge(client: RawClient, number: int, outcomes: list[object]) -> None:
        assert outcomes.count(OK) == 1
        assert outcomes.count(NULL) == RACERS - 1
        assert client.call("GET", f"k{number}") == bulk(outcomes.index(OK))

    race(
        world, ROUNDS,
        lambda client, number: before(client, f"k{number}"),
        lambda client, racer, number: client.call("SET", f"k{number}", racer, "NX"),
        judge,
    )  # fmt: skip


@pytest.mark.parametrize("before", [_nothing, _present, _deleted, _expired], ids=lambda f: f.__name__[1:])
def test_append_loses_no_piece(world: World, before: Callable[[RawClient, str], None]) -> None:
    def judge(client: RawClient, number: int, outcomes: list[object]) -> None:
        pieces = client.call("GET", f"k{number}").split(b"\r\n")[1]
        assert sorted(pieces.decode().split(".")) == ["", *(str(racer) * 3 for racer in range(RACERS))]
        assert sorted(integer(reply) for reply in outcomes) == [4 * n for n in range(1, RACERS + 1)]  # type: ignore[arg-type]

    race(
        world, ROUNDS,
        lambda client, number: before(client, f"k{number}"),
        lambda client, racer, number: client.call("APPEND", f"k{number}", str(racer) * 3 + "."),
        judge,
    )  # fmt: skip


@ABSENT
def test_exec_of_several_keys_counts_everybody(world: World, before: Callable[[RawClient, str], None]) -> None:
    def prepare(client: RawClient, number: int) -> None:
        for name in ("a", "b", "c"):
            before(client, f"{name}{number}")

    def act(client: RawClient, racer: int, number: int) -> bytes:
        order = ("a", "b", "c") if racer % 2 else ("c", "b", "a")
        return transaction(client, *[("INCR", f"{name}{number}") for name in order])

    def judge(client: RawClient, number: int, outcomes: list[object]) -> None:
        assert sorted(outcomes, key=str) == [array(*[b":%d\r\n" % n] * 3) for n in range(1, RACERS + 1)]

    race(world, ROUNDS, prepare, act, judge)


def test_delete_and_create_at_once_leave_one_of_both(world: World) -> None:
    """Deletes, overwrites and appends of one key in any order: the outcome is that of some order."""

    def act(client: RawClient, racer: int, number: int) -> bytes:
        return client.call(*[("DEL", "k"), ("SET", "k", "s" * 20_000), ("APPEND", "k", "a"), ("SET", "k", "x")][racer])

    def judge(client: RawClient, number: int, outcomes: list[object]) -> None:
        value = client.call("GET", "k")
        assert value in (NULL, bulk("a"), bulk("x"), bulk("xa"), bulk("s" * 20_000), bulk("s" * 20_000 + "a"))

    race(world, ROUNDS, lambda client, number: None, act, judge)


# -- isolation


@pytest.mark.parametrize("present", [False, True], ids=["absent", "present"])
def test_no_write_skew_between_transactions(world: World, present: bool) -> None:
    def prepare(client: RawClient, number: int) -> None:
        if present:
            assert client.call("MSET", f"a{number}", "0", f"b{number}", "0") == OK

    def act(client: RawClient, racer: int, number: int) -> bytes:
        mine, other = (f"a{number}", f"b{number}") if racer else (f"b{number}", f"a{number}")
        return transaction(client, ("GET", other), ("SET", mine, "1"))

    def judge(client: RawClient, number: int, outcomes: list[object]) -> None:
        untouched = array(bulk("0") if present else NULL, OK)
        assert outcomes.count(untouched) == 1, outcomes

    race(world, ROUNDS, prepare, act, judge, racers=2)


@pytest.mark.parametrize("present", [False, True], ids=["absent", "present"])
def test_no_write_skew_between_watchers(world: World, present: bool) -> None:
    def prepare(client: RawClient, number: int) -> None:
        if present:
            assert client.call("MSET", f"a{number}", "0", f"b{number}", "0") == OK

    def act(client: RawClient, racer: int, number: int) -> bytes:
        mine, other = (f"a{number}", f"b{number}") if racer else (f"b{number}", f"a{number}")
        assert client.call("WATCH", other) == OK
        seen = client.call("GET", other)
        written = transaction(client, ("SET", mine, "1"))
        return seen + written

    def judge(client: RawClient, number: int, outcomes: list[object]) -> None:
        untouched = (bulk("0") if present else NULL) + array(OK)
        assert outcomes.count(untouched) <= 1, outcomes

    race(world, ROUNDS, prepare, act, judge, racers=2)


@pytest.mark.parametrize("present", [False, True], ids=["absent", "present"])
def test_pipelines_that_write_and_read_see_each_other(world: World, present: bool) -> None:
    """SET a, GET b against SET b, GET a: one of the two comes first, so not both can miss the other."""

    def prepare(client: RawClient, number: int) -> None:
        if present:
            assert client.call("MSET", f"a{number}", "0", f"b{number}", "0") == OK

    def act(client: RawClient, racer: int, number: int) -> bytes:
        mine, other = (f"a{number}", f"b{number}") if racer else (f"b{number}", f"a{number}")
        return client.pipeline([("SET", mine, "1"), ("GET", other)])[1]

    def judge(client: RawClient, number: int, outcomes: list[object]) -> None:
        assert bulk("1") in outcomes, outcomes

    race(world, ROUNDS, prepare, act, judge, racers=2)


READERS: dict[str, list[tuple[Argument, ...]]] = {
    "MGET": [("MGET", "a", "b")],
    "MGET in a pipeline that writes": [("SET", "z", "1"), ("MGET", "a", "b")],
    "EXEC that reads": [("MULTI",), ("GET", "a"), ("GET", "b"), ("EXEC",)],
    "EXEC that writes too": [("MULTI",), ("GET", "a"), ("SET", "z", "1"), ("GET", "b"), ("EXEC",)],
    "EXISTS": [("EXISTS", "a", "b")],
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("deleting", [False, True], ids=["present", "present and absent"])
def test_reads_of_several_keys_are_never_torn(world: World, reader: str, deleting: bool) -> None:
    def write(thread: int, number: int) -> Sequence[Argument]:
        if deleting and number % 2:
            return ("DEL", "a", "b")
        return ("MSET", "a", number, "b", number)

    def untorn(reply: bytes) -> bool:
        if reader == "EXISTS":
            return reply in (b":0\r\n", b":2\r\n")
        _, *lines = reply.replace(OK, b"").split(b"\r\n")[:-1]
        return lines[: len(lines) // 2] == lines[len(lines) // 2 :]

    with world.client(1) as client, Load(world.rowdis[0], 2, write) as load:
        load.wait_answered(2)
        for _ in range(ROUNDS * 5):
            reply = client.pipeline(READERS[reader])[-1]
            assert untorn(reply), reply
    assert not load.errors


@pytest.mark.parametrize("expiring", [False, True], ids=["lasting", "expiring"])
def test_watch_never_overlooks_a_change(world: World, expiring: bool) -> None:
    """Four clients count by WATCH, GET, MULTI, SET, EXEC: the count is that of the transactions that went through."""
    wins: list[int] = [0] * RACERS

    def act(client: RawClient, racer: int, number: int) -> None:
        while True:
            assert client.call("WATCH", "n") == OK
            seen = client.call("GET", "n")
            value = int(seen.split(b"\r\n")[1]) if seen != NULL else 0
            commands: list[Sequence[Argument]] = [("SET", "n", value + 1)]
            if expiring:
                commands.append(("PEXPIRE", "n", 60_000))
            reply = transaction(client, *commands)
            if reply != b"*-1\r\n":
                wins[racer] += 1
                return

    race(world, 10 if not LONG else 100, lambda client, number: None, act, lambda client, number, outcomes: None)
    assert world.call("GET", "n") == bulk(sum(wins))


def test_watched_key_changed_by_the_other_instance_in_any_way_aborts(world: World) -> None:
    changes: list[tuple[Argument, ...]] = [
        ("SET", "w", "0"), ("APPEND", "w", "x"), ("DEL", "w"), ("EXPIRE", "w", 100), ("RENAME", "w", "w2"),
        ("FLUSHALL",), ("FLUSHDB",), ("SWAPDB", 0, 1), ("SETRANGE", "w", 0, "y"), ("GETDEL", "w"),
    ]  # fmt: skip
    with world.client(0) as client, world.client(1) as other:
        for change in changes:
            assert client.call("SET", "w", "0") == OK
            assert client.call("WATCH", "w") == OK
            reply = other.call(*change)
            assert not reply.startswith(b"-"), (change, reply)
            assert transaction(client, ("SET", "w", "lost")) == b"*-1\r\n", change
        for change in [("SET", "absent", "0"), ("INCR", "absent"), ("MSET", "absent", "1", "x", "2")]:
            client.call("DEL", "absent")
            assert client.call("WATCH", "absent") == OK
            assert not other.call(*change).startswith(b"-")
            assert transaction(client, ("SET", "absent", "lost")) == b"*-1\r\n", change
        assert client.call("SET", "w", "0") == OK
        assert client.call("WATCH", "w") == OK
        assert other.call("SET", "elsewhere", "0") == OK
        assert transaction(client, ("SET", "w", "won")) == array(OK)


# -- whole databases


def test_flushall_beside_writers_leaves_whole_writes_only(world: World) -> None:
    with (
        world.client(0) as flusher,
        world.client(1) as reader,
        Load(world.rowdis, 4, lambda thread, number: ("MSET", f"a{thread}", number, f"b{thread}", number)) as load,
    ):
        load.wait_answered(20)
        for _ in range(ROUNDS // 2):
            assert flusher.call("FLUSHALL") == OK
            for thread in range(4):
                _, *values = reader.call("MGET", f"a{thread}", f"b{thread}").split(b"\r\n")[:-1]
                assert values[: len(values) // 2] == values[len(values) // 2 :]
    assert not load.errors
    assert not load.unknown
    assert world.call("FLUSHALL") == OK
    assert world.call("DBSIZE") == b":0\r\n"
    wait_until(
        lambda: world.query("SELECT COUNT(*) FROM rowdis_key")[0][0] == 0, 20, "what was flushed is deleted"
    )


def test_swapdb_beside_counters_loses_no_count(world: World) -> None:
    """INCR of one key in database 0 while 0 and 1 are exchanged: the two counts add up."""
    with (
        world.client(0) as swapper,
        Load(world.rowdis, 4, lambda thread, number: ("INCR", "n")) as load,
    ):
        load.wait_answered(20)
        for _ in range(ROUNDS // 2):
            assert swapper.call("SWAPDB", 0, 1) == OK
            load.wait_answered(5)
    assert not load.errors
    assert not load.unknown
    total = 0
    with world.client(1) as client:
        for db in (0, 1):
            assert client.call("SELECT", db) == OK
            value = client.call("GET", "n")
            total += int(value.split(b"\r\n")[1]) if value != NULL else 0
    assert total == len(load.answered)


def test_flush_by_one_instance_is_seen_by_the_other_at_once(world: World) -> None:
    with world.client(0) as one, world.client(1) as other:
        for number in range(ROUNDS):
            assert other.call("SET", "k", number) == OK
            assert one.call("FLUSHDB") == OK
            assert other.call("GET", "k") == NULL
            assert other.call("INCR", "k") == b":1\r\n"
            assert one.call("GET", "k") == bulk(1)


# -- locks


@pytest.mark.parametrize("rows", [10, 1000, 100_000])
def test_locked_unrelated_row_is_never_waited_for(world: World, rows: int) -> None:
    """MariaDB likes to scan, and lock, a whole table for a long list of keys; ours must be looked up one by one."""
    world.query(
        "INSERT INTO rowdis_key (space, digest, name, key_id, type, version, size, value) "
        f"SELECT s.space, LEFT(UNHEX(SHA2(CONCAT('row:', seq), 256)), 16), CONCAT('row:', seq), 0, 1, 1, 1, '0' "
        f"FROM seq_0_to_{rows - 1}, rowdis_space s WHERE s.db = 0"
    )
    world.query("ANALYZE TABLE rowdis_key")
    assert world.call("DBSIZE") == b":%d\r\n" % rows
    locked = [f"row:{number}" for number in range(0, rows, max(1, rows // 3))][:3]
    free = [f"row:{number}" for number in range(rows) if f"row:{number}" not in locked]
    with world.mariadb.connect(world.name, autocommit=False) as program, program.cursor() as cursor:
        cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
        for name in locked:
            cursor.execute(
                "SELECT k.size FROM rowdis_space s JOIN rowdis_key k FORCE INDEX (PRIMARY) ON k.space = s.space "
                "WHERE s.db = 0 AND k.digest = %s FOR UPDATE", [digest_of(name.encode())]
            )  # fmt: skip
            assert cursor.rowcount == 1
        with world.client() as client:
            for size in (2, 5, 25, 100, 400, 499, 500, 501, 1000, 2000):
                names = free[:size] + [f"new:{size}:{number}" for number in range(size - len(free[:size]))]
                assert client.call("MSET", *[word for name in names for word in (name, "1")]) == OK
                assert transaction(client, ("MGET", *names), ("SET", "x", "1")).startswith(b"*2\r\n*%d" % size)
                assert integer(client.call("EXISTS", *names)) == size
                assert world.lock_waits() == 0
                assert integer(client.call("DEL", *names[: size // 2])) == size // 2
                assert client.call("MSET", *[word for name in names for word in (name, "1")]) == OK
            assert client.call("GET", locked[0]) == bulk("0"), "reads wait for nobody"
        program.rollback()
