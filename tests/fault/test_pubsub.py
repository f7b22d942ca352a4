"""Listeners and speakers that misbehave: deaf ones, a thousand, publishers that vanish; nobody else notices."""

import contextlib
import os
import re
import socket
import time
from collections.abc import Iterator

import pytest

from tests.fault.world import OK, World, array, bulk, integer
from tests.services.mariadb import MariaDB
from tests.services.process import wait_until
from tests.services.raw_client import RawClient, encode_command

LONG = bool(os.environ.get("ROWDIS_TEST_LONG"))
MEGABYTE = 1024 * 1024
LIMITS = "client-output-buffer-limit"
USUAL_LIMITS = "pubsub 32mb 8mb 60"


@pytest.fixture(scope="module")
def world(mariadb: MariaDB) -> Iterator[World]:
    with World(mariadb, "fault_pubsub", timeout_ms=10_000) as world:
        yield world


@pytest.fixture(autouse=True)
def healed(world: World) -> None:
    world.heal()
    assert world.call("CONFIG", "SET", LIMITS, USUAL_LIMITS) == OK


def message(channel: str, data: bytes | str | int) -> bytes:
    return array(bulk("message"), bulk(channel), bulk(data))


def listen(world: World, channel: str) -> RawClient:
    client = world.client()
    assert client.call("SUBSCRIBE", channel) == array(bulk("subscribe"), bulk(channel), b":1\r\n")
    return client


def connect(world: World) -> socket.socket:
    """A connection that the server has taken in."""
    client = socket.create_connection(("127.0.0.1", world.rowdis[0].port), timeout=30)
    client.sendall(b"PING\r\n")
    assert client.recv(100) == b"+PONG\r\n"
    return client


def listeners(client: RawClient, channel: str) -> int:
    return integer(b":" + client.call("PUBSUB", "NUMSUB", channel).rpartition(b"\r\n:")[2])


def ended_by_limit(client: RawClient) -> int:
    found = re.search(rb"client_output_buffer_limit_disconnections:(\d+)", client.call("INFO", "stats"))
    assert found is not None
    return int(found[1])


def test_a_deaf_listener_is_ended_at_the_hard_limit_and_others_hear_everything(world: World) -> None:
    server = world.rowdis[0]
    with contextlib.ExitStack() as stack:
        other = stack.enter_context(world.client())
        assert other.call("CONFIG", "SET", LIMITS, "pubsub 4mb 0 0") == OK
        ended = ended_by_limit(other)
        hearing = [stack.enter_context(listen(world, "deaf")) for _ in range(5)]
        deaf = stack.enter_context(listen(world, "deaf"))
        before = server.rss_bytes()
        published = 0
        while listeners(other, "deaf") == 6:
            assert published < 100, "the deaf one is still there"
            data = bytes([published]) * MEGABYTE
            # Between the look and the message it may have been ended.
            assert integer(other.call("PUBLISH", "deaf", data)) in (5, 6)
            for client in hearing:
                assert client.read() == message("deaf", data)
            published += 1
        # What the sockets hold comes on top of the 4 MB.
        assert published > 4
        assert server.rss_bytes() - before < 64 * MEGABYTE
        assert ended_by_limit(other) == ended + 1
        assert other.call("PUBLISH", "deaf", "after") == b":5\r\n"
        assert [client.read() for client in hearing] == [message("deaf", "after")] * 5
        # It gets the beginning, in whole messages but the last, and then the end.
        received = deaf.read_to_end()
        assert received.startswith(message("deaf", bytes([0]) * MEGABYTE))
        assert len(received) < published * len(message("deaf", bytes(MEGABYTE)))
    world.verify()


def test_a_listener_over_the_soft_limit_is_ended_when_its_time_is_over(world: World) -> None:
    with world.client() as other, listen(world, "soft"), listen(world, "soft") as late:
        assert other.call("CONFIG", "SET", LIMITS, "pubsub 0 1mb 2") == OK
        data = b"x" * MEGABYTE
        count = 0
        while unsent(other) < MEGABYTE:
            other.call("PUBLISH", "soft", data)
            count += 1
        start = time.monotonic()
        # This one reads in time, and stays.
        for _ in range(count):
            assert late.read() == message("soft", data)
        wait_until(lambda: listeners(other, "soft") == 1, 10, "the soft limit ends the one that does not read")
        assert time.monotonic() - start > 1
        assert other.call("PUBLISH", "soft", "after") == b":1\r\n"
        assert late.read() == message("soft", "after")
    world.verify()


def unsent(client: RawClient) -> int:
    """The largest number of bytes that wait for one listener."""
    sizes = re.findall(rb"omem=(\d+)", client.call("CLIENT", "LIST", "TYPE", "pubsub"))
    return max(map(int, sizes))


def test_without_limit_a_slow_listener_gets_everything(world: World) -> None:
    with world.client() as other, listen(world, "slow") as slow:
        assert other.call("CONFIG", "SET", LIMITS, "pubsub 0 0 0") == OK
        for number in range(40):
            assert other.call("PUBLISH", "slow", bytes([number]) * MEGABYTE) == b":1\r\n"
        for number in range(40):
            assert slow.read() == message("slow", bytes([number]) * MEGABYTE)


def test_a_thousand_listeners_hear_everything_in_order(world: World) -> None:
    server = world.rowdis[0]
    count = 10_000 if LONG else 1000
    messages = 20
    with contextlib.ExitStack() as stack:
        other = stack.enter_context(world.client())
        before = server.rss_bytes()
        clients = [stack.enter_context(listen(world, "many")) for _ in range(count)]
        for client in clients[::2]:
            client.call("PSUBSCRIBE", "ma*")
        replies = other.pipeline([["PUBLISH", "many", number] for number in range(messages)])
        assert replies == [b":%d\r\n" % (count + count // 2)] * messages
        for place, client in enumerate(clients):
            for number in range(messages):
                assert client.read() == message("many", number)
                if place % 2 == 0:
                    assert client.read() == array(bulk("pmessage"), bulk("ma*"), bulk("many"), bulk(number))
        assert server.rss_bytes() - before < count * 64 * 1024
    wait_until(lambda: b"pubsub_clients:0\r\n" in world.call("INFO", "clients"), 10, "all listeners are forgotten")
    assert world.call("PUBSUB", "CHANNELS") == b"*0\r\n"
    assert world.call("PUBSUB", "NUMPAT") == b":0\r\n"


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_a_publisher_that_vanishes_in_mid_pipeline_leaves_whole_messages(world: World, reset: bool) -> None:
    with listen(world, "vanish") as listener, world.client() as other:
        for _ in range(10):
            publisher = connect(world)
            last = encode_command(["PUBLISH", "vanish", "cut"])[:-3]
            publisher.sendall(b"".join(encode_command(["PUBLISH", "vanish", n]) for n in range(2000)) + last)
            if reset:
                publisher.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            publisher.close()
            wait_until(lambda: connected(other) == 2, 10, "the publisher is gone")
            assert other.call("PUBLISH", "vanish", "end") == b":1\r\n"
            number = 0
            while (heard := listener.read()) != message("vanish", "end"):
                assert heard == message("vanish", number)
                number += 1
            assert number <= 2000


def connected(client: RawClient) -> int:
    return client.call("CLIENT", "LIST").count(b" addr=")


def test_a_transaction_of_a_publisher_that_vanishes_is_committed_and_published_or_neither(world: World) -> None:
    with listen(world, "both") as listener, world.client() as other:
        transaction = [["MULTI"], ["SET", "both:{}", "1"], ["PUBLISH", "both", "{}"], ["EXEC"]]
        heard: set[bytes] = set()
        for number in range(100):
            publisher = connect(world)
            publisher.sendall(b"".join(
                encode_command([word.format(number) for word in request]) for request in transaction
            ))  # fmt: skip
            if number % 2:
                publisher.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            publisher.close()
        expected = [message("both", number) for number in range(100)]
        other.call("PUBLISH", "both", "probe")

        def agrees() -> bool:
            """A committed transaction's message may still be on its way, or the transaction be under way."""
            other.call("PUBLISH", "both", "probe")
            while (found := listener.read()) != message("both", "probe"):
                heard.add(found)
            there = [other.call("EXISTS", f"both:{number}") == b":1\r\n" for number in range(100)]
            return {text for text, exists in zip(expected, there, strict=True) if exists} == heard

        wait_until(lambda: connected(other) == 2, 10, "the publishers are gone")
        wait_until(agrees, 10, "keys and messages agree")
        # An orderly end loses nothing that was sent.
        assert heard >= set(expected[::2])
    world.verify()


def test_messages_go_on_while_the_database_is_away(world: World) -> None:
    with listen(world, "away") as listener, world.client() as other, world.client() as writer:
        assert writer.call("SET", "away", "1") == OK
        world.proxy.stall()
        transaction = [["MULTI"], ["INCR", "away"], ["PUBLISH", "away", "late"], ["EXEC"]]
        writer.send_raw(b"".join(map(encode_command, transaction)))
        for number in range(10):
            assert other.call("PUBLISH", "away", number) == b":1\r\n"
            assert listener.read() == message("away", number)
        world.proxy.resume()
        assert [writer.read() for _ in range(3)] == [OK, b"+QUEUED\r\n", b"+QUEUED\r\n"]
        assert writer.read() == b"*2\r\n:2\r\n:1\r\n"
        assert listener.read() == message("away", "late")
    world.verify()
