"""Clients that keep what they read, and what tracking promises them: none keeps a value that has changed."""

import os
import random
import threading
from collections.abc import Callable

import hiredis
import pytest
import redis
from redis.cache import CacheConfig

from tests.conftest import Combination
from tests.services.raw_client import RawClient, encode_command
from tests.services.rowdis import Rowdis

ON = ("CLIENT", "TRACKING", "ON")
LONG_RUN = bool(os.environ.get("ROWDIS_TEST_LONG"))
ROUNDS = 60 if LONG_RUN else 3
WRITES = 40


class CachingClient:
    """A client as simple as can be: it keeps each value that it reads until it is told that the key has changed."""

    def __init__(self, client: RawClient, *options: str) -> None:
        self._client = client
        self._reader = hiredis.Reader()
        self._newest: dict[bytes, int] = {}
        self.cache: dict[bytes, int] = {}
        self.invalidations = 0
        assert client.call(*ON, *options) == b"+OK\r\n"

    def read(self, keys: list[bytes]) -> None:
        """Read what is not in the cache, as one pipeline."""
        missing = [key for key in dict.fromkeys(keys) if key not in self.cache]
        for key in missing:
            self._client.send("GET", key)
        for key in missing:
            self._keep(key)

    def write(self, key: bytes) -> None:
        """Count a key up, in between of two readings of it."""
        for command in ("GET", "INCR", "GET"):
            self._client.send(command, key)
        for _ in range(3):
            self._keep(key)

    def settle(self) -> None:
        """Take in what there is to be told."""
        self._client.send("PING")
        assert self._reply() == "PONG"

    def _keep(self, key: bytes) -> None:
        reply = self._reply()
        value = 0 if reply is None else int(reply)  # type: ignore[call-overload]
        assert value >= self._newest.get(key, 0), "an older value was read than before"
        self.cache[key] = self._newest[key] = value

    def _reply(self) -> object:
        while True:
            self._reader.feed(self._client.read())
            found = self._reader.gets()
            if not isinstance(found, hiredis.PushNotification):
                return found.decode() if found == b"PONG" else found
            self.invalidations += 1
            for key in self.cache.copy() if found[1] is None else found[1]:
                self.cache.pop(key, None)


@pytest.mark.parametrize("options", [(), ("NOLOOP",), ("BCAST",)], ids=["by key", "no loop", "broadcast"])
def test_no_client_keeps_a_value_that_has_changed(
    rowdis: Rowdis, combination: Combination, rng: random.Random, options: tuple[str, ...]
) -> None:
    keys = [b"key%d" % number for number in range(8)]
    with rowdis.client() as writer:
        writer.call("FLUSHALL")
        connections = [rowdis.client(3) for _ in range(4)]
        clients = [CachingClient(connection, *options) for connection in connections]
        works: list[Callable[[], object]] = [
            lambda client=client: client.read(random.choices(keys, k=4)) for client in clients[:3]  # type: ignore[misc]
        ]
        # Without being told of one's own writes, one must not keep what one has read before.
        works.append(lambda: clients[3].write(random.choice(keys)) if "NOLOOP" not in options else clients[3].settle())
        for _ in range(ROUNDS):
            meanwhile(works, lambda: write(writer, rng, keys))
            values = {key: int(writer.call("GET", key).split(b"\r\n")[1]) for key in keys}
            for client in clients:
                client.settle()
                assert client.cache == {key: values[key] for key in client.cache}
        assert sum(client.invalidations for client in clients) > 50
        for connection in connections:
            connection.close()


def write(writer: RawClient, rng: random.Random, keys: list[bytes]) -> None:
    """Count keys up, by single commands and by transactions."""
    for _ in range(WRITES // 2):
        writer.pipeline([["INCR", rng.choice(keys)] for _ in range(rng.randint(1, 4))])
        writer.pipeline([["MULTI"], *[["INCR", key] for key in keys], ["EXEC"]])


def meanwhile(works: list[Callable[[], object]], main: Callable[[], None]) -> None:
    """Repeat works in threads for as long as `main` takes."""
    stop = threading.Event()
    failures: list[BaseException] = []

    def repeat(work: Callable[[], object]) -> None:
        try:
            while not stop.is_set():
                work()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=repeat, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    try:
        main()
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
    if failures:
        raise failures[0]


#: Takes some hundred milliseconds, in the unit of the commands in front of it.
LONG = [["LCS", "one", "other", "IDX"]] * 8


@pytest.fixture
def long_work(rowdis: Rowdis, rng: random.Random) -> None:
    with rowdis.client() as client:
        client.call("FLUSHALL")
        client.call("MSET", "k", "old", "one", bytes(rng.choices(b"abcd", k=5000)), "other",
                    bytes(rng.choices(b"abcd", k=5000)))  # fmt: skip


@pytest.mark.parametrize("options", [(), ("BCAST",)], ids=["by key", "broadcast"])
@pytest.mark.usefixtures("long_work")
def test_a_write_beside_a_reading_is_told_behind_it(
    rowdis: Rowdis, combination: Combination, options: tuple[str, ...]
) -> None:
    with rowdis.client() as writer, rowdis.client() as bystander:
        for number in range(10):
            with rowdis.client(3) as client:
                writer.call("SET", "k", "old")
                client.call(*ON, *options)
                client.send_raw(b"".join(map(encode_command, [["GET", "k"], *LONG, ["PING"]])))
                bystander.call("PING")
                writer.call("SET", "k", f"new{number}")
                replies = [client.read() for _ in range(len(LONG) + 3)] if client.silent(0.001) else []
                if replies[:1] == [b"$3\r\nold\r\n"]:
                    assert replies[-2:] == [b"+PONG\r\n", b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n"]
                    return
    pytest.fail("the write never came in between")


@pytest.mark.usefixtures("long_work")
def test_a_write_beside_a_script_is_told_behind_it(rowdis: Rowdis, combination: Combination) -> None:
    script = "local k = redis.call('GET', 'k'); redis.call('LCS', 'one', 'other', 'IDX'); return k"
    with rowdis.client() as writer, rowdis.client() as bystander:
        for number in range(30):
            with rowdis.client(3) as client:
                writer.call("SET", "k", "old")
                client.call(*ON)
                client.send_raw(b"".join(map(encode_command, [["EVAL_RO", script, 0], ["PING"]])))
                bystander.call("PING")
                writer.call("SET", "k", f"new{number}")
                replies = [client.read() for _ in range(2)] if client.silent(0.001) else []
                if replies[:1] == [b"$3\r\nold\r\n"]:
                    assert client.read() == b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n"
                    return
    pytest.fail("the write never came in between")


@pytest.mark.usefixtures("long_work")
def test_a_write_that_began_before_tracking_is_told(rowdis: Rowdis, combination: Combination) -> None:
    with rowdis.client() as writer, rowdis.client() as bystander:
        for _ in range(10):
            with rowdis.client(3) as client:
                writer.call("SET", "k", "old")
                writer.send_raw(b"".join(map(encode_command, [["SET", "k", "new"], *LONG])))
                bystander.call("PING")
                client.call(*ON)
                value = client.call("GET", "k")
                for _ in range(len(LONG) + 1):
                    writer.read()
                if value == b"$3\r\nold\r\n":
                    assert client.read().startswith(b">2\r\n$10\r\ninvalidate\r\n")
                    return
    pytest.fail("the write never began before")


def test_writes_under_way_when_tracking_begins_are_told(rowdis: Rowdis, combination: Combination) -> None:
    with rowdis.client() as writer:
        for number in range(50):
            # Nobody tracks: the unit of this write may have begun without gathering what it changes.
            with rowdis.client(3) as client:
                writer.send("SET", "k", number)
                client.send(*ON)
                client.send("GET", "k")
                assert writer.read() == b"+OK\r\n"
                replies = [client.call("PING")]
                while replies[-1] != b"+PONG\r\n":
                    replies.append(client.read())
                told = any(reply.startswith(b">") for reply in replies)
                assert told or b"$%d\r\n%d\r\n" % (len(str(number)), number) in replies, replies


def test_redis_py_with_a_cache_in_the_client(rowdis: Rowdis, combination: Combination) -> None:
    caching = redis.Redis(port=rowdis.port, protocol=3, cache_config=CacheConfig())
    with caching, rowdis.client() as writer:
        writer.call("FLUSHALL")
        writer.call("MSET", "k", 1, "j", 1)
        cache = caching.get_cache()
        assert cache is not None
        for number in range(1, 20):
            value = b"%d" % number
            assert [caching.get("k"), caching.get("k"), caching.mget("j", "k")] == [value, value, [b"1", value]]
            assert cache.size == 2
            writer.call("INCR", "k")
        writer.call("HSET", "h", "f", 1)
        assert caching.hgetall("h") == {b"f": b"1"}
        writer.call("HSET", "h", "f", 2)
        assert caching.hgetall("h") == {b"f": b"2"}
        writer.call("FLUSHALL")
        assert caching.get("k") is None
        assert caching.hgetall("h") == {}
