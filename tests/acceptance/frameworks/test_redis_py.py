"""redis-py as programs use it: pools shared by threads, pipelines, optimistic locking, messages, locks, its cache."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
import redis.asyncio
from redis.cache import CacheConfig
from redis.exceptions import LockError, LockNotOwnedError, NoScriptError, ResponseError

from tests.services.process import wait_until
from tests.services.rowdis import Rowdis

LIMIT_S = 10.0
THREADS = 4
Connect = Callable[..., redis.Redis]


@pytest.fixture(params=[2, 3], ids=["resp2", "resp3"])
def options(request: pytest.FixtureRequest, mariadb_rowdis: Rowdis) -> dict[str, Any]:
    """How to connect, in both versions of the protocol, to an emptied Rowdis."""
    assert mariadb_rowdis.call("FLUSHALL") == b"+OK\r\n"
    return {"host": "127.0.0.1", "port": mariadb_rowdis.port, "protocol": request.param, "decode_responses": True}


@pytest.fixture
def client(options: dict[str, Any]) -> Iterator[redis.Redis]:
    with redis.Redis(**options) as client:
        yield client


def in_threads(work: Callable[[int], object]) -> None:
    """Do it in several threads at the same time; what one of them raises is raised."""
    with ThreadPoolExecutor(THREADS) as pool:
        for done in [pool.submit(work, number) for number in range(THREADS)]:
            done.result(60)


def test_values_of_all_types_come_back(client: redis.Redis) -> None:
    client.mset({"a": 1, "b": "two"})
    assert client.mget("a", "nosuch", "b") == ["1", None, "two"]
    client.hset("h", mapping={"f": 1, "g": 2.5})
    assert client.hgetall("h") == {"f": "1", "g": "2.5"}
    client.zadd("z", {"m": 1.5, "n": 2})
    assert [(name, score) for name, score in client.zrange("z", 0, -1, withscores=True)] == [("m", 1.5), ("n", 2.0)]
    client.rpush("l", *range(3))
    assert client.blpop(["nosuch", "l"], timeout=1) in (("l", "0"), ["l", "0"])
    client.sadd("s", *range(200))
    assert {*client.sscan_iter("s", count=10)} == client.smembers("s") == {str(number) for number in range(200)}
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        client.incr("h")


def test_pipelines_and_transactions(client: redis.Redis) -> None:
    with client.pipeline(transaction=False) as pipe:
        for number in range(1000):
            pipe.incrby("n", number)
        assert pipe.execute()[-1] == 499_500
    with client.pipeline() as pipe:
        pipe.set("a", "text").incr("a").get("a")
        found = pipe.execute(raise_on_error=False)
    assert found[0] is True
    assert isinstance(found[1], ResponseError)
    assert found[2] == "text"


def test_optimistic_locking_of_many_threads_loses_nothing(client: redis.Redis) -> None:
    def add(number: int) -> None:
        def once(pipe: redis.client.Pipeline) -> None:
            balance = int(pipe.get("balance") or 0)
            pipe.multi()
            pipe.set("balance", balance + 1)
            pipe.rpush("journal", number)

        for _ in range(25):
            client.transaction(once, "balance")

    in_threads(add)
    assert int(client.get("balance")) == client.llen("journal") == THREADS * 25


def test_consumers_of_a_group_share_a_stream(client: redis.Redis) -> None:
    client.xgroup_create("jobs", "workers", id="0", mkstream=True)
    for number in range(100):
        client.xadd("jobs", {"number": number})
    seen: list[int] = []

    def work(number: int) -> None:
        while True:
            found = client.xreadgroup("workers", f"worker:{number}", {"jobs": ">"}, count=7)
            if not found:
                return
            (entries,) = dict(found).values()
            # In RESP3 they are in a list of their own.
            for entry, fields in entries if isinstance(entries[0], tuple) else entries[0]:
                seen.append(int(fields["number"]))
                assert client.xack("jobs", "workers", entry) == 1

    in_threads(work)
    assert sorted(seen) == list(range(100))
    assert client.xpending("jobs", "workers")["pending"] == 0


def test_messages_reach_a_listener_in_a_thread(client: redis.Redis) -> None:
    heard: list[tuple[str, str]] = []

    def note(message: dict[str, str]) -> None:
        heard.append((message["channel"], message["data"]))

    listener = client.pubsub(ignore_subscribe_messages=True)
    listener.subscribe(news=note)
    listener.psubscribe(**{"weather.*": note})
    thread = listener.run_in_thread(sleep_time=0.01)
    try:
        wait_until(lambda: client.pubsub_numsub("news") == [("news", 1)] and client.pubsub_numpat() == 1, LIMIT_S, "on")
        for number in range(50):
            assert client.publish("news", number) == 1
        assert client.publish("weather.today", "rain") == 1
        wait_until(lambda: len(heard) == 51, LIMIT_S, "all is heard")
    finally:
        thread.stop()
        thread.join(LIMIT_S)
        listener.close()
    assert heard == [("news", str(number)) for number in range(50)] + [("weather.today", "rain")]


def test_events_of_keys_are_heard(client: redis.Redis) -> None:
    client.config_set("notify-keyspace-events", "KEA")
    try:
        with client.pubsub(ignore_subscribe_messages=True) as listener:
            listener.psubscribe("__keyspace@0__:watched*")
            client.set("watched", 1, px=1)
            events = []
            while not events or events[-1] != "expired":
                message = listener.get_message(timeout=LIMIT_S)
                assert message is not None or not events, f"nothing more after {events}"
                if message is not None:
                    events.append(message["data"])
            assert events == ["set", "expire", "expired"]
    finally:
        client.config_set("notify-keyspace-events", "")


def test_scripts(client: redis.Redis) -> None:
    compare_and_delete = client.register_script(
        "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end"
    )
    client.set("a", "mine")
    assert compare_and_delete(keys=["a"], args=["yours"]) == 0
    assert compare_and_delete(keys=["a"], args=["mine"]) == 1
    with client.pipeline() as pipe:
        pipe.set("a", "mine")
        compare_and_delete(keys=["a"], args=["mine"], client=pipe)
        assert pipe.execute() == [True, 1]
    assert client.script_exists(compare_and_delete.sha, "0" * 40) == [True, False]
    with pytest.raises(NoScriptError):
        client.evalsha("0" * 40, 0)


def test_a_lock_keeps_threads_apart(client: redis.Redis) -> None:
    inside = threading.Lock()

    def work(number: int) -> None:
        for _ in range(5):
            with client.lock("lock", timeout=30, blocking_timeout=LIMIT_S, sleep=0.005):
                assert inside.acquire(blocking=False)
                # What is not atomic, unless the lock works.
                client.set("total", int(client.get("total") or 0) + number)
                inside.release()

    in_threads(work)
    assert int(client.get("total")) == 5 * sum(range(THREADS))
    assert not client.exists("lock")


def test_a_lock_belongs_to_who_took_it(client: redis.Redis) -> None:
    lock = client.lock("lock", timeout=30)
    assert lock.acquire(blocking=False)
    assert not client.lock("lock").acquire(blocking=False)
    assert lock.owned()
    lock.extend(60)
    assert 30 < client.ttl("lock") <= 90
    lock.reacquire()
    assert 0 < client.ttl("lock") <= 30
    client.set("lock", "somebody else's")
    with pytest.raises(LockNotOwnedError):
        lock.release()
    with pytest.raises(LockError):
        client.lock("lock").release()


def test_asyncio(options: dict[str, Any]) -> None:
    async def main() -> None:
        async with redis.asyncio.Redis(**options) as client:
            async with client.pipeline(transaction=True) as pipe:
                assert await pipe.set("a", 1).incr("a").execute() == [True, 2]
            waiter = asyncio.create_task(client.blpop(["queue"], timeout=LIMIT_S))
            async with client.pubsub(ignore_subscribe_messages=True) as listener:
                await listener.subscribe("news")
                await client.publish("news", "hello")
                message = None
                while message is None:
                    message = await listener.get_message(timeout=LIMIT_S)
                assert message["data"] == "hello"
            await client.rpush("queue", "job")
            assert tuple(await waiter) == ("queue", "job")

            total = 0

            async def add() -> None:
                nonlocal total
                async with client.lock("lock", timeout=30, sleep=0.005):
                    before = total
                    await client.ping()
                    total = before + 1

            await asyncio.gather(*(add() for _ in range(20)))
            assert total == 20

    asyncio.run(asyncio.wait_for(main(), 60))


def test_what_a_cancelled_client_waited_for_is_left_to_others(options: dict[str, Any]) -> None:
    async def main() -> None:
        async with redis.asyncio.Redis(**options) as client:
            async with redis.asyncio.Redis(**options) as leaving:
                waiter = asyncio.create_task(leaving.blpop(["queue"], timeout=0))
                while (await client.info("clients"))["blocked_clients"] != 1:
                    await asyncio.sleep(0.01)
                waiter.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await waiter
            while (await client.info("clients"))["blocked_clients"] != 0:
                await asyncio.sleep(0.01)
            await client.rpush("queue", "job")
            assert await client.lrange("queue", 0, -1) == ["job"]

    asyncio.run(asyncio.wait_for(main(), 60))


def test_the_cache_of_a_client_follows_the_writes_of_others(mariadb_rowdis: Rowdis) -> None:
    options: dict[str, Any] = {"host": "127.0.0.1", "port": mariadb_rowdis.port, "decode_responses": True}
    with (
        redis.Redis(**options, protocol=3) as other,
        redis.Redis(**options, protocol=3, cache_config=CacheConfig(max_size=100)) as client,
    ):
        other.flushall()
        other.mset({"a": "1", "b": "2"})
        assert (client.get("a"), client.mget("a", "b")) == ("1", ["1", "2"])
        cache = client.get_cache()
        assert cache is not None
        assert cache.size == 2
        before = other.info("commandstats")["cmdstat_get"]["calls"]
        assert [client.get("a") for _ in range(100)] == ["1"] * 100
        assert other.info("commandstats")["cmdstat_get"]["calls"] == before
        other.set("a", "changed")
        wait_until(lambda: client.get("a") == "changed", LIMIT_S, "the client knows")
        other.delete("b")
        wait_until(lambda: client.mget("a", "b") == ["changed", None], LIMIT_S, "the client knows")
        other.hset("h", "f", "1")
        assert client.hget("h", "f") == "1"
        other.hset("h", "f", "2")
        wait_until(lambda: client.hget("h", "f") == "2", LIMIT_S, "the client knows")
        other.flushall()
        wait_until(lambda: client.get("a") is None, LIMIT_S, "the client knows")
