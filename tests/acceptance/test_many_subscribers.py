"""Ten thousand clients that listen: each hears everything in order, whatever befalls the others or who publishes.

ROWDIS_TEST_LONG makes their number that of the promise; otherwise they are a thousand.
"""

import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.acceptance.crowds import BYTES_EACH, CLIENTS, CONNECTING, many_files
from tests.fault.world import array, bulk, integer
from tests.services.mariadb import MariaDB
from tests.services.process import wait_until
from tests.services.raw_client import RawClient, encode_command
from tests.services.rowdis import Rowdis

MESSAGES = 20
PUBLISHED = 2000
"""Messages of the publisher that is killed, for fewer listeners."""
LOUD = 256 * 1024
LIMIT = 2 * 1024 * 1024


@pytest.fixture(scope="module")
def roomy(mariadb: MariaDB) -> Iterator[Rowdis]:
    """Rowdis for many clients. No message goes through the database, so one engine will do."""
    with many_files(), Rowdis(mariadb.create_database("many_subscribers"), ["--maxclients", str(CLIENTS + 100)]) as one:
        yield one


@pytest.fixture(scope="module")
def crowd(roomy: Rowdis) -> Iterator[list[RawClient]]:
    """Everybody: half of them speak RESP3, and each in a hundred also listens to `some`."""
    with ExitStack() as stack:
        clients: list[RawClient] = []
        roomy.call("PUBLISH", "nobody", "")
        before = roomy.rss_bytes()
        for start in range(0, CLIENTS, CONNECTING):
            some = [stack.enter_context(roomy.client(2 + n % 2)) for n in range(CONNECTING)]
            for n, client in enumerate(some, start):
                client.call("SUBSCRIBE", "all")
                if n % 100 == 0:
                    client.call("SUBSCRIBE", "some")
            clients += some
        each = (roomy.rss_bytes() - before) / CLIENTS
        print(f"{CLIENTS} listeners: {each / 1024:.1f} KB each")
        assert each < BYTES_EACH
        yield clients


def heard(place: int, channel: str, data: bytes | str | int) -> bytes:
    """A message as the client at this place gets it."""
    encoded = array(bulk("message"), bulk(channel), bulk(data))
    return b">" + encoded[1:] if place % 2 else encoded


def test_each_message_reaches_everybody_in_order(roomy: Rowdis, crowd: list[RawClient]) -> None:
    with roomy.client() as publisher:
        start = time.monotonic()
        replies = publisher.pipeline([("PUBLISH", "all", n) for n in range(MESSAGES)])
        assert replies == [b":%d\r\n" % CLIENTS] * MESSAGES
        for place, client in enumerate(crowd):
            assert [client.read() for _ in range(MESSAGES)] == [heard(place, "all", n) for n in range(MESSAGES)]
        rate = CLIENTS * MESSAGES / (time.monotonic() - start)
        print(f"{CLIENTS} listeners: {rate:.0f} messages/s delivered and read")


def test_what_was_acknowledged_to_a_publisher_that_dies_is_heard_by_all(
    roomy: Rowdis, crowd: list[RawClient]
) -> None:
    with roomy.client() as publisher:
        publisher.send_raw(b"".join(encode_command(("PUBLISH", "some", n)) for n in range(PUBLISHED)))
        acknowledged = 0
        while acknowledged < PUBLISHED // 4:
            assert publisher.read() == b":%d\r\n" % (CLIENTS // 100)
            acknowledged += 1
        # A reset, in the middle of what it has sent.
        publisher.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    with roomy.client() as control:
        wait_until(lambda: connected(control) == CLIENTS + 1, 30, "the publisher is gone")
        assert control.call("PUBLISH", "some", "end") == b":%d\r\n" % (CLIENTS // 100)
    counts = set()
    for place in range(0, CLIENTS, 100):
        count = 0
        while (message := crowd[place].read()) != heard(place, "some", "end"):
            assert message == heard(place, "some", count)
            count += 1
        counts.add(count)
    assert len(counts) == 1, "all have heard the same"
    assert acknowledged <= counts.pop() <= PUBLISHED


def connected(client: RawClient) -> int:
    found = re.search(rb"connected_clients:(\d+)", client.call("INFO", "clients"))
    assert found is not None
    return int(found[1])


def test_one_that_never_reads_is_ended_and_all_others_hear_everything(roomy: Rowdis, crowd: list[RawClient]) -> None:
    with roomy.client() as control, roomy.client() as deaf:
        assert control.call("CONFIG", "SET", "client-output-buffer-limit", f"pubsub {LIMIT} 0 0") == b"+OK\r\n"
        assert deaf.call("SUBSCRIBE", "all", "some").startswith(b"*3\r\n")
        before = roomy.rss_bytes()
        listening = CLIENTS // 100
        count = 0
        while integer(control.call("PUBLISH", "some", b"x" * LOUD)) > listening:
            for place in range(0, CLIENTS, 100):
                assert crowd[place].read() == heard(place, "some", b"x" * LOUD)
            count += 1
            assert count < 400, "the one that does not read is still there"
        for place in range(0, CLIENTS, 100):
            assert crowd[place].read() == heard(place, "some", b"x" * LOUD)
        assert roomy.rss_bytes() - before < 100 * 1024 * 1024
        assert control.call("PUBLISH", "all", "after") == b":%d\r\n" % CLIENTS
        for place, client in enumerate(crowd):
            assert client.read() == heard(place, "all", "after")
        assert b"client_output_buffer_limit_disconnections:1\r\n" in control.call("INFO", "stats")


def test_nothing_is_left_when_all_have_gone(roomy: Rowdis, crowd: list[RawClient]) -> None:
    for client in crowd:
        client.close()
    with roomy.client() as control:
        wait_until(lambda: connected(control) == 1, 60, "all have gone")
        assert control.call("PUBSUB", "CHANNELS") == b"*0\r\n"
        assert control.call("PUBLISH", "all", "nobody") == b":0\r\n"
