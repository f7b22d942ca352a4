"""Large values, names, pipelines, transactions and keyspaces. ROWDIS_TEST_LONG makes the sizes those of the promise."""

import hashlib
import os
import random
import re
import statistics
import time
from collections.abc import Iterator

import pytest
import redis

from tests.conftest import Combination
from tests.services.mariadb import MariaDB
from tests.services.raw_client import RawClient
from tests.services.rowdis import Rowdis

LONG = "ROWDIS_TEST_LONG" in os.environ
MEGABYTE = 1024 * 1024


def _pattern(size: int, seed: int = 1) -> bytes:
    """Bytes without any period that a mistake in the arithmetic of chunks could hide in."""
    return random.Random(seed).randbytes(size)


@pytest.mark.parametrize("size", [8192, 8193, 65536, 65537, 3 * MEGABYTE + 1, (512 if LONG else 40) * MEGABYTE])
def test_a_value_comes_back_as_it_was(client: RawClient, size: int) -> None:
    value = _pattern(size)
    assert client.call("SET", "big", value) == b"+OK\r\n"
    assert client.call("STRLEN", "big") == b":%d\r\n" % size
    reply = client.call("GET", "big")
    assert reply == b"$%d\r\n%b\r\n" % (size, value)
    middle = size // 2
    assert client.call("GETRANGE", "big", middle, middle + 99999) == b"$%d\r\n%b\r\n" % (
        len(value[middle : middle + 100000]), value[middle : middle + 100000],
    )  # fmt: skip
    assert client.call("DEL", "big") == b":1\r\n"


def test_a_value_larger_than_proto_max_bulk_len_is_refused(client: RawClient) -> None:
    client.socket.sendall(b"*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n$%d\r\n" % (512 * MEGABYTE + 1))
    assert client.read() == b"-ERR Protocol error: invalid bulk length\r\n"


def test_names_of_a_hundred_kilobytes_of_any_bytes(client: RawClient) -> None:
    name = _pattern(100 * 1024, seed=2)
    twin = name[:-1] + bytes([name[-1] ^ 1])
    assert client.call("SET", name, "one") == b"+OK\r\n"
    assert client.call("SET", twin, "other") == b"+OK\r\n"
    assert client.call("GET", name) == b"$3\r\none\r\n"
    assert client.call("RENAME", name, b"short\x00\r\n") == b"+OK\r\n"
    assert client.call("EXISTS", name, twin, b"short\x00\r\n") == b":2\r\n"
    assert client.call("DEL", twin, b"short\x00\r\n") == b":2\r\n"


def test_ten_thousand_commands_in_one_pipeline(client: RawClient) -> None:
    replies = client.pipeline([("INCR", f"counter:{n % 100}") for n in range(10_000)])
    assert replies == [b":%d\r\n" % (n // 100 + 1) for n in range(10_000)]


def test_exec_with_ten_thousand_commands(client: RawClient) -> None:
    replies = client.pipeline([("MULTI",), *(("SET", f"key:{n}", n) for n in range(10_000)), ("EXEC",)])
    assert replies[0] == b"+OK\r\n"
    assert set(replies[1:-1]) == {b"+QUEUED\r\n"}
    assert replies[-1] == b"*10000\r\n" + b"+OK\r\n" * 10_000
    assert client.call("DBSIZE") == b":10000\r\n"


def test_scan_costs_the_same_at_every_place(client: RawClient) -> None:
    """Every key is seen, and the last calls are not slower than the first (which an offset would make them)."""
    count = 1_000_000 if LONG else 30_000
    for start in range(0, count, 1000):
        client.pipeline([("MSET", *(word for n in range(start, start + 1000) for word in (f"key:{n:07d}", "v")))])
    seen: set[bytes] = set()
    durations = []
    cursor = b"0"
    while True:
        began = time.perf_counter()
        reply = client.call("SCAN", cursor, "COUNT", 500)
        durations.append(time.perf_counter() - began)
        seen.update(re.findall(rb"key:\d{7}", reply))
        cursor = reply.split(b"\r\n")[2]
        if cursor == b"0":
            break
    assert len(seen) == count
    fifth = len(durations) // 5
    # A factor and not a time: the machine may be slow, but not slower towards the end.
    assert statistics.median(durations[-fifth:]) < 5 * statistics.median(durations[:fifth])


@pytest.fixture
def small_packets(mariadb: MariaDB) -> Iterator[Rowdis]:
    """Rowdis on a MariaDB that takes packets of 1 MB at the most."""
    url = mariadb.create_database("small_packets")
    with mariadb.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT @@GLOBAL.max_allowed_packet")
        before = cursor.fetchone()[0]
        cursor.execute("SET GLOBAL max_allowed_packet=1048576")
        try:
            with Rowdis(url) as server:
                yield server
        finally:
            cursor.execute(f"SET GLOBAL max_allowed_packet={int(before)}")


def test_long_values_fit_through_small_packets(small_packets: Rowdis) -> None:
    value = _pattern(9 * MEGABYTE)
    with small_packets.client(2) as client:
        assert client.call("SET", "big", value) == b"+OK\r\n"
        assert client.call("APPEND", "big", value) == b":%d\r\n" % (18 * MEGABYTE)
        reply = client.call("GET", "big")
    assert hashlib.sha256(reply[-18 * MEGABYTE - 2 : -2]).digest() == hashlib.sha256(value + value).digest()


def test_fifty_clients_that_read_large_values_do_not_fill_the_memory(rowdis: Rowdis, combination: Combination) -> None:
    size = (50 if LONG else 8) * MEGABYTE
    connection = redis.Redis(host="127.0.0.1", port=rowdis.port)
    connection.set("big", _pattern(size))
    before = rowdis.rss_bytes()
    clients = [rowdis.client(combination.protocol) for _ in range(50)]
    try:
        for client in clients:
            client.send("GET", "big")
        # Nobody reads yet: what Rowdis holds for them must be bounded all the same.
        assert connection.ping()
        assert rowdis.rss_bytes() - before < 700 * MEGABYTE
        for client in clients:
            assert len(client.read()) > size
            assert rowdis.rss_bytes() - before < 700 * MEGABYTE
    finally:
        for client in clients:
            client.close()
        connection.delete("big")
        connection.close()
