"""The loads on messages and scripts: what is sent, what must be there before, and how messages are counted.

Messages are published by redis-benchmark and read by a hundred subscribers of our own, who count bytes: a message is
counted when it has arrived, and all of them must. Of scripts there is the usual one that lets go of a lock if it is
still ours, and one that does nothing but a GET: what that costs more than a GET is the price of a script.
"""

from __future__ import annotations

import contextlib
import hashlib
import select
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from benchmarks import load, redis_benchmark
from benchmarks.load import LoadFailed
from benchmarks.results import ALWAYS, MARIADB, Sample, Scenario
from tests.services.raw_client import RawClient, encode_command

SUBJECTS = (MARIADB, ALWAYS)
SUBSCRIBERS = 100
#: Keys that the loads read.
KEYS = 10_000
#: As many locks there are for each request. They are named at random, so about a fifth of the requests find none.
LOCKS_PER_REQUEST = 2

PUBLISH = Scenario("publish", subjects=SUBJECTS)
UNLOCK = Scenario("evalsha compare-and-delete", subjects=SUBJECTS)
GET = tuple(Scenario("get", pipeline=pipeline, subjects=SUBJECTS) for pipeline in (1, 16))
SCRIPTED_GET = tuple(Scenario("evalsha get", pipeline=pipeline, subjects=SUBJECTS) for pipeline in (1, 16))
"""Each to be compared with the one of GET at the same place."""

SCENARIOS = (PUBLISH, UNLOCK, *(scenario for pair in zip(GET, SCRIPTED_GET, strict=True) for scenario in pair))

SCRIPTS = {
    "evalsha compare-and-delete": (
        'if redis.call("get", KEYS[1]) == ARGV[1] then return redis.call("del", KEYS[1]) else return 0 end'
    ),
    "evalsha get": 'return redis.call("get", KEYS[1])',
}

_CHANNEL = "messages"
_MESSAGE = "sixteen letters."
_RANDOM = "__rand_int__"
_LOCK = "lock:%012d"
_TOKEN = "token"
_DELIVERED = encode_command(("message", _CHANNEL, _MESSAGE))
"""A message as a subscriber gets it: in RESP2 that looks like a command."""

_RECEIVE = 64 * 1024
_POLL_S = 0.5
_PATIENCE_S = 30.0


def prepare(port: int, scenario: Scenario, requests: int) -> None:
    """Have there what so many requests need: their script, the locks that they let go of, the keys that they read."""
    with RawClient(("127.0.0.1", port)) as client:
        if scenario.test in SCRIPTS:
            reply = client.call("SCRIPT", "LOAD", SCRIPTS[scenario.test])
            if reply.startswith(b"-"):
                raise LoadFailed(reply.decode(errors="replace").strip())
        filled = client.call("EXISTS", load.key(0), load.key(KEYS - 1)) == b":2\r\n"
    if scenario == UNLOCK:
        names = (_LOCK % number for number in range(LOCKS_PER_REQUEST * requests))
        load.send(port, (encode_command(("SET", name, _TOKEN)) for name in names))
    elif scenario != PUBLISH and not filled:
        load.send(port, (encode_command(("SET", load.key(number), load.VALUE)) for number in range(KEYS)))


def run(port: int, scenario: Scenario, requests: int) -> Sample:
    """One measurement. The rate of PUBLISH is that of messages delivered, of the others that of requests."""
    if scenario == PUBLISH:
        return _publish(port, scenario, requests)
    return _benchmark(port, scenario, requests)


def size(port: int) -> int:
    """How many keys there are, to see what was deleted."""
    with RawClient(("127.0.0.1", port)) as client:
        return int(client.call("DBSIZE")[1:])


def _words(scenario: Scenario) -> list[str]:
    """The command as redis-benchmark takes it."""
    if scenario == PUBLISH:
        return ["PUBLISH", _CHANNEL, _MESSAGE]
    if scenario == UNLOCK:
        return ["EVALSHA", _digest(scenario), "1", f"lock:{_RANDOM}", _TOKEN]
    if scenario in SCRIPTED_GET:
        return ["EVALSHA", _digest(scenario), "1", f"key:{_RANDOM}"]
    return ["GET", f"key:{_RANDOM}"]


def _digest(scenario: Scenario) -> str:
    return hashlib.sha1(SCRIPTS[scenario.test].encode()).hexdigest()


def _benchmark(port: int, scenario: Scenario, requests: int) -> Sample:
    [sample] = redis_benchmark.run(
        port,
        scenario.test,
        requests=requests,
        clients=scenario.clients,
        pipeline=scenario.pipeline,
        keyspace=LOCKS_PER_REQUEST * requests if scenario == UNLOCK else KEYS,
        words=_words(scenario),
    )
    return sample


def _publish(port: int, scenario: Scenario, requests: int) -> Sample:
    """Publish from clients that wait for each reply; the time is that from the first message delivered to the last."""
    with _subscribers(port) as subscribers, ThreadPoolExecutor(1) as executor:
        publishing = executor.submit(_benchmark, port, scenario, requests)
        elapsed = _take(subscribers, requests, publishing)
        sample = publishing.result()
    return Sample(requests, SUBSCRIBERS * requests / elapsed, sample.p50_ms, sample.p99_ms)


@contextlib.contextmanager
def _subscribers(port: int) -> Iterator[dict[int, RawClient]]:
    """Clients that have subscribed, by the numbers of their sockets."""
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(RawClient(("127.0.0.1", port))) for _ in range(SUBSCRIBERS)]
        for client in clients:
            if not client.call("SUBSCRIBE", _CHANNEL).endswith(b":1\r\n"):
                raise LoadFailed("SUBSCRIBE was not answered with a subscription")
        yield {client.socket.fileno(): client for client in clients}


def _take(subscribers: dict[int, RawClient], requests: int, publishing: Future[Sample]) -> float:
    """Read until each subscriber has so many messages; the seconds from the first bytes to the last."""
    missing = dict.fromkeys(subscribers, requests * len(_DELIVERED))
    first = last = 0.0
    with select.epoll() as poll:
        for number in subscribers:
            poll.register(number, select.EPOLLIN)
        idle_since = time.perf_counter()
        while missing:
            events = poll.poll(_POLL_S)
            now = time.perf_counter()
            if not events:
                _check(publishing, now - idle_since, missing)
                continue
            idle_since = now
            first = first or now
            for number, _ in events:
                data = subscribers[number].socket.recv(_RECEIVE)
                if not data:
                    raise LoadFailed("a subscriber was closed by the server")
                missing[number] -= len(data)
                if missing[number] == 0:
                    poll.unregister(number)
                    del missing[number]
            last = time.perf_counter()
    return last - first


def _check(publishing: Future[Sample], idle_s: float, missing: dict[int, int]) -> None:
    """Nothing comes: raise what has ended the publishers, or LoadFailed when the rest is overdue."""
    if publishing.done():
        publishing.result()
    if idle_s > _PATIENCE_S:
        raise LoadFailed(f"{sum(missing.values()) // len(_DELIVERED):,} messages have not come")
