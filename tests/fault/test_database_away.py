"""The database dies, stalls, refuses writes, or is locked by others: clients learn it in time, and nothing is lost."""

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator

import pymysql
import pytest

from storage.key_rows import digest_of
from tests.conftest import services
from tests.fault.world import OK, TIMEOUT_MS, Load, World, bulk, integer, wait_slowly
from tests.services.mariadb import PASSWORD, USER, MariaDB
from tests.services.process import wait_until
from tests.services.raw_client import RawClient

IN_TIME_S = TIMEOUT_MS / 1000 + 1.0
"""Within this time a client gets an answer, whatever happens: the time-out, a tick, and a busy machine's delay."""


def counter_totals(load: Load) -> tuple[Counter[str], Counter[str], dict[str, list[int]]]:
    """Per counter: how many INCR were acknowledged, how many may have been applied, and the numbers answered."""
    acknowledged: Counter[str] = Counter()
    unknown: Counter[str] = Counter()
    numbers: dict[str, list[int]] = defaultdict(list)
    for command, reply in load.answered:
        acknowledged[str(command[1])] += 1
        numbers[str(command[1])].append(integer(reply))
    for command in load.unknown:
        unknown[str(command[1])] += 1
    return acknowledged, unknown, numbers


def assert_counters_exact(client: RawClient, load: Load) -> None:
    """Every acknowledged INCR is there once; beyond them, at most those whose fate nobody was told."""
    acknowledged, unknown, numbers = counter_totals(load)
    for name, count in acknowledged.items():
        total = int(client.call("GET", name).split(b"\r\n")[1])
        assert count <= total <= count + unknown[name], f"{name}: {count} acknowledged, {unknown[name]} unknown"
        assert len(set(numbers[name])) == len(numbers[name]), f"{name}: a number was given out twice"
        assert max(numbers[name]) <= total


@pytest.fixture(scope="module")
def world(mariadb: MariaDB) -> Iterator[World]:
    with World(mariadb, "fault_away") as world:
        yield world


@pytest.fixture(autouse=True)
def healed(request: pytest.FixtureRequest) -> None:
    if "world" in request.fixturenames:
        request.getfixturevalue("world").heal()


def test_killed_database_loses_no_acknowledged_write_and_service_resumes_by_itself() -> None:
    with services():
        server = MariaDB().start()
    try:
        with World(server, "fault_killed") as world:
            with Load(world.rowdis, 8, lambda thread, number: ("INCR", f"count:{(thread + number) % 5}")) as load:
                for _ in range(2):
                    load.wait_answered(300)
                    server.kill9()
                    server.restart()
                    load.wait_answered(300)
            with world.client() as client:
                assert_counters_exact(client, load)
            assert set(load.errors) <= {"UNAVAILABLE"}
            world.verify()
    finally:
        server.stop()


def test_cut_connections_under_load_lose_and_repeat_nothing(world: World) -> None:
    with Load(world.rowdis, 8, lambda thread, number: ("INCR", f"cut:{(thread + number) % 5}")) as load:
        for _ in range(15):
            load.wait_answered(20)
            world.proxy.cut_all()
        load.wait_answered(100)
    with world.client() as client:
        assert_counters_exact(client, load)
    assert not load.errors
    assert not load.unknown
    world.verify()


def test_stalled_database_gives_errors_in_time_and_ping_answers_at_once(world: World) -> None:
    with world.client() as one, world.client() as two, world.client() as three:
        assert one.call("SET", "s", "1") == OK
        world.proxy.stall()
        start = time.monotonic()
        one.send("INCR", "s")
        two.send("GET", "s")
        slowest = 0.0
        while time.monotonic() - start < TIMEOUT_MS / 1000 - 0.2:
            before = time.monotonic()
            assert three.call("PING") == b"+PONG\r\n"
            slowest = max(slowest, time.monotonic() - before)
        assert slowest < 0.5
        assert one.read().startswith(b"-UNAVAILABLE "), "its COMMIT was not sent, and will not be"
        assert two.read().startswith(b"-UNAVAILABLE ")
        assert time.monotonic() - start < IN_TIME_S
        world.proxy.resume()
        wait_until(lambda: three.call("GET", "s") == bulk(1), 15, "reads are served again")
        wait_until(lambda: three.call("SET", "t", "1") == OK, 15, "writes are served again")
        assert three.call("INCR", "s") == b":2\r\n"
    world.verify()


def test_stalled_database_under_load_is_survived_with_exact_totals(world: World) -> None:
    with Load(world.rowdis, 8, lambda thread, number: ("INCR", f"stall:{(thread + number) % 5}")) as load:
        load.wait_answered(100)
        world.proxy.stall()
        wait_until(lambda: bool(load.unknown or load.errors), 10, "clients are told that the database is away")
        world.proxy.resume()
        load.wait_answered(100)
    with world.client() as client:
        assert_counters_exact(client, load)
    world.verify()


def test_write_of_a_row_that_another_program_holds_is_refused_in_time_and_others_are_served(world: World) -> None:
    with world.client() as one, world.client() as two:
        assert one.call("SET", "held", "1") == OK
        assert two.call("SET", "free", "1") == OK
        with world.mariadb.connect(world.name, autocommit=False) as program, program.cursor() as cursor:
            cursor.execute(
                "SELECT size FROM rowdis_key WHERE space = 1 AND digest = %s FOR UPDATE", [digest_of(b"held")]
            )
            start = time.monotonic()
            one.send("INCR", "held")
            # From here on what comes is not in one batch with it.
            wait_slowly(lambda: world.lock_waits() == 1, "the command waits for the row", 2)
            for number in range(2, 12):
                assert integer(two.call("INCR", "free")) == number
            assert one.silent(0.01), "commands on other keys do not wait for it"
            assert one.read().startswith(b"-UNAVAILABLE ")
            assert time.monotonic() - start < IN_TIME_S
            program.rollback()
        assert one.call("INCR", "held") == b":2\r\n"
    world.verify()


def test_deadlocks_made_on_purpose_are_retried_with_exact_totals(world: World) -> None:
    names = [f"dead:{number}" for number in range(4)]
    rounds = 15
    stop = threading.Event()

    def lock_in_the_opposite_order() -> None:
        with world.mariadb.connect(world.name, autocommit=False) as program, program.cursor() as cursor:
            cursor.execute("SELECT digest FROM rowdis_key WHERE name LIKE 'dead:%' ORDER BY digest DESC")
            digests = [row[0] for row in cursor.fetchall()]
            program.commit()
            while not stop.is_set():
                try:
                    for digest in digests:
                        cursor.execute("SELECT size FROM rowdis_key WHERE space=1 AND digest=%s FOR UPDATE", [digest])
                    program.rollback()
                except pymysql.err.OperationalError as error:
                    if error.args[0] != 1213:
                        raise
                # Let the other side in.
                stop.wait(0.002)

    with world.client() as client:
        assert client.call("MSET", *[word for name in names for word in (name, "0")]) == OK
        before = world.deadlocks()
        program = threading.Thread(target=lock_in_the_opposite_order)
        program.start()
        try:
            for _ in range(rounds):
                client.send("MULTI")
                for name in names:
                    client.send("INCR", name)
                client.send("EXEC")
                replies = [client.read() for _ in range(len(names) + 2)]
                assert not replies[-1].startswith(b"-"), replies[-1]
        finally:
            stop.set()
            program.join(20)
        assert world.deadlocks() > before
        assert client.call("MGET", *names) == b"*4\r\n" + bulk(rounds) * 4
    world.verify()


def test_read_only_database_is_told_by_its_own_error_and_recovers(mariadb: MariaDB) -> None:
    """A fail-over has made the database a replica: writes are refused, reads go on."""
    mariadb.execute("CREATE USER IF NOT EXISTS plain@'%' IDENTIFIED BY 'plain'")
    mariadb.execute("GRANT ALL ON fault_read_only.* TO plain@'%'")
    with World(mariadb, "fault_read_only", account="plain:plain") as world, world.client() as client:
        assert client.call("SET", "k", "1") == OK
        mariadb.execute("SET GLOBAL read_only = 1")
        try:
            start = time.monotonic()
            reply = client.call("INCR", "k")
            assert reply.startswith(b"-READONLY "), reply
            assert time.monotonic() - start < IN_TIME_S
            assert client.call("GET", "k") == bulk(1)
        finally:
            mariadb.execute("SET GLOBAL read_only = 0")
        assert client.call("INCR", "k") == b":2\r\n"
        world.verify()


def test_database_without_room_for_connections_is_waited_for(mariadb: MariaDB) -> None:
    """Somebody else took all connections: what is connected goes on, the rest comes when there is room."""
    mariadb.execute("CREATE USER IF NOT EXISTS crowded@'%%' IDENTIFIED BY %s", [PASSWORD])
    mariadb.execute("GRANT ALL ON fault_crowded.* TO crowded@'%'")
    account = f"crowded:{PASSWORD.replace('/', '%2F').replace('@', '%40')}"
    with World(mariadb, "fault_crowded", account=account) as world:
        with world.client() as client:
            assert client.call("SET", "k", "1") == OK
            mariadb.execute("ALTER USER crowded@'%' WITH MAX_USER_CONNECTIONS 1")
            world.proxy.cut_all()
            try:
                for number in range(2, 30):
                    assert integer(client.call("INCR", "k")) == number
            finally:
                mariadb.execute("ALTER USER crowded@'%' WITH MAX_USER_CONNECTIONS 0")
        world.verify()


def test_killed_sessions_are_replaced_without_a_word(world: World) -> None:
    with world.client() as client, world.mariadb.connect() as administrator, administrator.cursor() as cursor:
        for number in range(1, 6):
            cursor.execute(
                "SELECT id FROM information_schema.processlist WHERE db = %s AND user = %s", (world.name, USER)
            )
            for (session,) in cursor.fetchall():
                try:
                    cursor.execute(f"KILL CONNECTION {session}")
                except pymysql.err.OperationalError as error:
                    if error.args[0] != 1094:
                        raise
            assert integer(client.call("INCR", "killed")) == number
    world.verify()
