"""Rowdis on an `oceanbase://` URL over TCP: the heart of every family, in both protocols."""

import threading
from collections.abc import Iterator

import pytest
import redis

from tests.conftest import services
from tests.services.oceanbase import OceanBase
from tests.services.rowdis import Rowdis


@pytest.fixture(scope="module")
def engine() -> Iterator[OceanBase]:
    with services():
        server = OceanBase().start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def rowdis(engine: OceanBase) -> Iterator[Rowdis]:
    with Rowdis(engine.url("rowdis")) as server:
        yield server


@pytest.fixture(params=[2, 3])
def client(rowdis: Rowdis, request: pytest.FixtureRequest) -> Iterator[redis.Redis]:
    connection = redis.Redis(host="127.0.0.1", port=rowdis.port, protocol=request.param, decode_responses=True)
    connection.flushall()
    yield connection
    connection.close()


def test_strings_of_all_sizes(client: redis.Redis) -> None:
    for size in (0, 1, 8192, 8193, 65536, 300_000):
        assert client.set("value", "x" * size)
        assert client.get("value") == "x" * size
        assert client.append("value", "y") == size + 1
        assert client.getrange("value", size, size) == "y"


def test_counters_and_expiry(client: redis.Redis) -> None:
    assert client.incr("n") == 1
    assert client.incrbyfloat("n", 0.5) == 1.5
    assert client.set("gone", "x", px=1)
    assert client.expire("n", 100)
    assert 99 <= client.ttl("n") <= 100
    assert client.persist("n")
    assert client.ttl("n") == -1


def test_keys_and_scan(client: redis.Redis) -> None:
    client.mset({f"key:{n}": n for n in range(300)})
    assert len(set(client.scan_iter(match="key:*", count=17))) == 300
    assert client.rename("key:1", "renamed")
    assert client.copy("renamed", "copied")
    assert client.mget("renamed", "copied", "key:1") == ["1", "1", None]
    assert client.delete("renamed", "copied", "nothing") == 2


def test_transactions_and_swapped_databases(client: redis.Redis) -> None:
    with client.pipeline() as pipe:
        pipe.watch("n")
        client.set("n", 1)
        pipe.multi()
        pipe.incr("n")
        with pytest.raises(redis.WatchError):
            pipe.execute()
    with client.pipeline() as pipe:
        assert pipe.incr("n").set("absent", "x", xx=True).get("n").execute() == [2, None, "2"]
    assert client.swapdb(0, 9)
    assert client.dbsize() == 0
    assert client.swapdb(9, 0)
    assert client.get("n") == "2"


def test_concurrent_increments_count_exactly(rowdis: Rowdis, client: redis.Redis) -> None:
    def add() -> None:
        with redis.Redis(host="127.0.0.1", port=rowdis.port) as own:
            for _ in range(100):
                own.incr("total")

    threads = [threading.Thread(target=add) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.get("total") == "1000"
