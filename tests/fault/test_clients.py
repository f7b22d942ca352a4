"""Clients that misbehave: many at once, vanishing, never reading, too slow, cut short; nobody else notices."""

import contextlib
import os
import selectors
import socket
import time
from collections.abc import Iterator

import pytest

from tests.fault.world import NULL, OK, Load, World, bulk, integer
from tests.services.mariadb import MariaDB
from tests.services.process import wait_until
from tests.services.raw_client import ConnectionClosed, encode_command
from tests.services.rowdis import Rowdis

LONG = bool(os.environ.get("ROWDIS_TEST_LONG"))
MEGABYTE = 1024 * 1024


@pytest.fixture(scope="module")
def world(mariadb: MariaDB) -> Iterator[World]:
    with World(mariadb, "fault_clients", timeout_ms=10_000) as world:
        yield world


@pytest.fixture(autouse=True)
def healed(request: pytest.FixtureRequest) -> None:
    if "world" in request.fixturenames:
        request.getfixturevalue("world").heal()


def connect(server: Rowdis) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=30)


@pytest.mark.parametrize("workers", [1, 2])
def test_thousand_clients_on_few_workers_are_all_served(mariadb: MariaDB, workers: int) -> None:
    count = 1000
    with World(mariadb, f"fault_thousand_{workers}", workers=workers, timeout_ms=30_000) as world:
        server = world.rowdis[0]
        clients = [connect(server) for _ in range(count)]
        try:
            most = 0
            for _ in range(2):
                for number, client in enumerate(clients):
                    client.sendall(encode_command(["INCR", "n"]) + encode_command(["SET", f"k{number}", number])
                                   + encode_command(["GET", f"k{number}"]))  # fmt: skip
                most = max(most, world.sessions())
                for number, client in enumerate(clients):
                    expected = OK + bulk(number)
                    received = b""
                    while not received.endswith(expected):
                        data = client.recv(4096)
                        assert data, received
                        received += data
                    assert received.startswith(b":"), received
            assert most <= workers + 2
            assert world.call("GET", "n") == bulk(2 * count)
            assert "MaxConnectionsExceeded" not in server.log()
        finally:
            for client in clients:
                client.close()


def test_client_that_vanishes_in_mid_pipeline_leaves_whole_commands(world: World) -> None:
    """Each command before the cut is applied or not; none by half, none twice, and others go on."""
    server = world.rowdis[0]
    with world.client() as other:
        for number in range(20):
            name = f"vanish:{number}"
            client = connect(server)
            client.sendall(encode_command(["INCR", name]) * 200 + encode_command(["INCR", name])[:10])
            if number % 2:
                # A reset instead of an orderly end: it may overtake what was sent.
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            client.close()
            assert integer(other.call("INCR", "others")) == number + 1
        total = 0
        for number in range(20):
            value = other.call("GET", f"vanish:{number}")
            count = int(value.split(b"\r\n")[1]) if value != NULL else 0
            assert 0 <= count <= 200
            total += count
        assert total
    world.verify()


def test_client_that_vanishes_while_its_command_waits_for_a_lock_harms_nobody(world: World) -> None:
    with world.client() as other:
        assert other.call("SET", "waiting", "1") == OK
        world.proxy.stall()
        client = connect(world.rowdis[0])
        client.sendall(encode_command(["INCR", "waiting"]))
        client.close()
        assert other.call("PING") == b"+PONG\r\n"
        world.proxy.resume()
        wait_until(lambda: other.call("GET", "waiting") in (bulk(1), bulk(2)), 15, "others are served")
    world.verify()


def test_client_that_never_reads_is_slowed_and_memory_stays_bounded(world: World) -> None:
    server = world.rowdis[0]
    with world.client() as other:
        assert other.call("SET", "megabyte", "x" * MEGABYTE) == OK
        before = server.rss_bytes()
        deaf = [connect(server) for _ in range(4)]
        try:
            request = encode_command(["GET", "megabyte"]) * 100
            selector = selectors.DefaultSelector()
            for client in deaf:
                client.setblocking(False)
                selector.register(client, selectors.EVENT_WRITE)
            # 100 MB of replies asked for at each turn, until the server takes no more requests for a second.
            sent = 0
            while sent < 16 * MEGABYTE and (ready := selector.select(1.0)):
                for key, _ in ready:
                    client = key.fileobj
                    assert isinstance(client, socket.socket)
                    sent += client.send(request)
            for number in range(1, 20):
                assert integer(other.call("INCR", "beside:deaf")) == number
            assert server.rss_bytes() - before < 200 * MEGABYTE
        finally:
            for client in deaf:
                client.close()
        assert other.call("STRLEN", "megabyte") == b":%d\r\n" % MEGABYTE
    world.verify()


def test_client_that_reads_late_gets_every_reply(world: World) -> None:
    value = "y" * 50_000
    with world.client() as client:
        assert client.call("SET", "late", value) == OK
        count = 400
        client.send_raw(encode_command(["GET", "late"]) * count)
        with world.client() as other:
            assert other.call("GET", "late") == bulk(value)
        for _ in range(count):
            assert client.read() == bulk(value)
        assert client.call("PING") == b"+PONG\r\n"
    world.verify()


def test_half_a_request_and_then_the_end_is_forgotten_and_what_came_before_answered(world: World) -> None:
    for rest in (b"*3\r\n$3\r\nSET\r\n$4\r\nhalf", b"*", b"*2\r\n$3\r\nGET\r\n$100\r\nabc", b"INCR hal"):
        with world.client() as client:
            client.send_raw(encode_command(["SET", "whole", "1"]) + encode_command(["INCR", "whole"]) + rest)
            client.shut_down_writing()
            assert client.read_to_end() == OK + b":2\r\n"
    assert world.call("EXISTS", "half", "hal") == b":0\r\n"
    world.verify()


def test_end_of_input_behind_slow_commands_is_answered_in_full(world: World) -> None:
    with world.client() as client:
        client.send_raw(b"".join(encode_command(["INCR", "ended"]) for _ in range(3000)))
        client.shut_down_writing()
        assert client.read_to_end() == b"".join(b":%d\r\n" % number for number in range(1, 3001))
    world.verify()


def test_quit_in_a_pipeline_answers_what_came_before_and_ends(world: World) -> None:
    with world.client() as client:
        increments = encode_command(["INCR", "quit"]) * 50
        client.send_raw(increments + encode_command(["QUIT"]) + increments)
        assert client.read_to_end() == b"".join(b":%d\r\n" % number for number in range(1, 51)) + OK
    assert world.call("GET", "quit") == bulk(50)
    world.verify()


def test_broken_protocol_behind_good_requests_answers_these_and_ends(world: World) -> None:
    with world.client() as client:
        client.send_raw(encode_command(["INCR", "broken"]) * 3 + b"*1\r\n+x\r\n")
        assert client.read_to_end() == b":1\r\n:2\r\n:3\r\n-ERR Protocol error: expected '$', got '+'\r\n"
    world.verify()


def test_slow_loris_costs_nothing_but_its_connections(world: World) -> None:
    """Hundreds of clients that send a byte now and then keep nobody from being served."""
    server = world.rowdis[0]
    before = server.rss_bytes()
    request = encode_command(["SET", "loris", "v" * 20])
    loris = [connect(server) for _ in range(300)]
    try:
        with world.client() as other:
            for position in range(12):
                for client in loris:
                    client.sendall(request[position : position + 1])
                assert other.call("SET", "beside", position) == OK
                assert other.call("GET", "beside") == bulk(position)
            assert server.rss_bytes() - before < 30 * MEGABYTE
            loris[0].sendall(request[12:])
            assert loris[0].recv(100) == OK
    finally:
        for client in loris:
            client.close()
    world.verify()


def test_idle_time_out_ends_the_idle_and_not_the_busy(mariadb: MariaDB) -> None:
    with World(mariadb, "fault_idle", options=("--timeout", "1")) as world:
        with world.client() as idle, world.client() as busy:
            assert idle.call("PING") == b"+PONG\r\n"
            start = time.monotonic()
            while not idle.silent(0.05):
                break
            while time.monotonic() - start < 2.6:
                assert busy.call("INCR", "busy").startswith(b":")
                assert busy.silent(0.2)
            with pytest.raises((ConnectionClosed, OSError)):
                idle.call("PING")


def test_request_announced_too_large_is_refused_before_memory_is_taken(world: World) -> None:
    server = world.rowdis[0]
    before = server.rss_bytes()
    for header, error in (
        (b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$999999999999\r\n", b"-ERR Protocol error: invalid bulk length\r\n"),
        (b"*2000000000\r\n", b"-ERR Protocol error: invalid multibulk length\r\n"),
        (b"x" * 70_000, b"-ERR Protocol error: too big inline request\r\n"),
    ):
        with world.client() as client:
            client.send_raw(header)
            assert client.read_to_end() == error
    assert server.rss_bytes() - before < 10 * MEGABYTE
    world.verify()


def test_maxclients_turns_the_next_one_away_and_lets_him_in_later(mariadb: MariaDB) -> None:
    with World(mariadb, "fault_max", options=("--maxclients", "20")) as world:
        clients = [world.client() for _ in range(20)]
        for client in clients:
            assert client.call("PING") == b"+PONG\r\n"
        with world.client() as refused:
            assert refused.read_to_end() == b"-ERR max number of clients reached\r\n"
        for client in clients:
            client.close()

        def served() -> bool:
            try:
                return world.call("PING") == b"+PONG\r\n"
            except (ConnectionClosed, OSError):
                return False

        wait_until(served, 5, "there is room again")


# -- the end of the program


def test_sigterm_under_load_finishes_units_flushes_replies_and_exits_with_0(mariadb: MariaDB) -> None:
    world = World(mariadb, "fault_sigterm")
    with world:
        server = world.rowdis[0]
        with Load(server, 16, lambda thread, number: ("INCR", f"term:{thread}")) as load:
            load.wait_answered(200)
            start = time.monotonic()
            server.stop()  # fails unless the exit code is 0
            assert time.monotonic() - start < 10
            load._stop.set()
        assert not load.errors, load.errors
        server.start()
        with server.client() as client:
            for thread in range(16):
                acknowledged = sum(1 for command, _ in load.answered if command[1] == f"term:{thread}")
                unknown = sum(1 for command in load.unknown if command[1] == f"term:{thread}")
                total = int(client.call("GET", f"term:{thread}").split(b"\r\n")[1])
                # Requests that were not read any more were not executed either; one whose reply was on its way may be.
                assert acknowledged <= total <= acknowledged + unknown


def test_sigterm_with_a_client_that_never_reads_ends_all_the_same(mariadb: MariaDB) -> None:
    with World(mariadb, "fault_deaf_term", options=("--shutdown-timeout", "2")) as world:
        server = world.rowdis[0]
        assert world.call("SET", "megabyte", "x" * MEGABYTE) == OK
        deaf = connect(server)
        deaf.sendall(encode_command(["GET", "megabyte"]) * 50)
        start = time.monotonic()
        server.stop()
        assert time.monotonic() - start < 8
        deaf.close()
        server.start()


def test_sigterm_while_the_database_stalls_ends_in_time(mariadb: MariaDB) -> None:
    with World(mariadb, "fault_stall_term", options=("--shutdown-timeout", "2"), timeout_ms=10_000) as world:
        server = world.rowdis[0]
        with world.client() as client, world.client() as other:
            assert client.call("SET", "k", "1") == OK
            world.proxy.stall()
            client.send("INCR", "k")
            other.send("GET", "k")
            assert client.silent(0.3)
            start = time.monotonic()
            code = server.process.terminate(40)
            assert code == 0
            assert time.monotonic() - start < 15
        world.heal()
        server.start()
        assert world.call("GET", "k") in (bulk(1), bulk(2))


def test_two_signals_do_not_harm(mariadb: MariaDB) -> None:
    with World(mariadb, "fault_two_signals") as world:
        server = world.rowdis[0]
        with Load(server, 4, lambda thread, number: ("SET", f"k{thread}", number)) as load:
            load.wait_answered(20)
            os.kill(server.pid, 15)
            with contextlib.suppress(ProcessLookupError):
                os.kill(server.pid, 15)
            server.stop()
            load._stop.set()
        server.start()
