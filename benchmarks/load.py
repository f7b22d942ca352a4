"""Load that redis-benchmark can not make: filling, mixed pipelines, clients that are idle, clients that read much.

Plain sockets and epoll, requests encoded beforehand and replies counted by their length, so that the little CPU this
costs is the same for every server.
"""

from __future__ import annotations

import contextlib
import itertools
import random
import select
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from benchmarks.results import Sample
from tests.services.raw_client import RawClient, encode_command

_RECEIVE = 256 * 1024
_PATIENCE_S = 30.0
_FILL_CLIENTS = 16
_FILL_PIPELINE = 100
_SEND_PIPELINE = 1000

#: As long as the values of redis-benchmark, so that it does not matter which of the two wrote a key last.
VALUE = b"VXK"


class LoadFailed(Exception):
    """The server answered with an error, closed a connection or did not answer."""


@dataclass(frozen=True)
class Batch:
    """Requests that are sent together and the length of all their replies."""

    data: bytes
    replies: int
    commands: int


@dataclass
class _Client:
    socket: socket.socket
    sent_at: float = 0.0
    awaited: int = 0
    commands: int = 0
    head: bytearray = field(default_factory=bytearray)


def key(number: int) -> bytes:
    """The key of redis-benchmark's SET and GET for a random number."""
    return b"key:%012d" % number


def counter(number: int) -> bytes:
    """The key of redis-benchmark's INCR."""
    return b"counter:%012d" % number


HOT_KEYS = (b"key:__rand_int__", b"counter:__rand_int__")
"""The keys that redis-benchmark uses without -r."""


def fill_contents(keyspace: int) -> Iterator[tuple[bytes, bytes]]:
    """Every key that any scenario reads or writes, with its first value."""
    yield from ((key(number), VALUE) for number in range(keyspace))
    yield from ((counter(number), b"0") for number in range(keyspace))
    yield from zip(HOT_KEYS, (VALUE, b"0"), strict=True)


def fill(port: int, keyspace: int) -> None:
    """SET all keys, so that no scenario depends on what ran before it."""
    requests = (encode_command((b"SET", name, value)) for name, value in fill_contents(keyspace))
    _drive(port, _FILL_CLIENTS, _batches(requests))


def send(port: int, requests: Iterator[bytes]) -> None:
    """Send encoded commands in pipelines; LoadFailed at the first error."""
    with RawClient(("127.0.0.1", port)) as client:
        while some := list(itertools.islice(requests, _SEND_PIPELINE)):
            client.send_raw(b"".join(some))
            for _ in some:
                reply = client.read()
                if reply.startswith(b"-"):
                    raise LoadFailed(reply.decode(errors="replace").strip())


def mixed(port: int, tests: Sequence[str], *, clients: int, pipeline: int, keyspace: int, seconds: float) -> Sample:
    """Pipelines whose commands take turns among `tests` ("get", "set"), for some seconds.

    Every key must exist with a value of three bytes. The latencies are of whole pipelines.
    """
    rng = random.Random(1)
    kinds = list(itertools.islice(itertools.cycle(tests), pipeline))
    replies = sum(len(b"$3\r\nVXK\r\n") if kind == "get" else len(b"+OK\r\n") for kind in kinds)
    batches = []
    for _ in range(max(200, clients * 4)):
        names = (key(rng.randrange(keyspace)) for _ in kinds)
        requests = [
            encode_command((b"GET", name) if kind == "get" else (b"SET", name, VALUE))
            for kind, name in zip(kinds, names, strict=True)
        ]
        batches.append(Batch(b"".join(requests), replies, pipeline))
    return _drive(port, clients, itertools.cycle(batches), seconds)


def read_large(port: int, names: Sequence[bytes], *, clients: int, size: int) -> float:
    """Each client GETs one value of `size` bytes, all at the same time; the seconds until the last has it."""
    replies = len(b"$%d\r\n" % size) + size + 2
    batches = [Batch(encode_command((b"GET", names[number % len(names)])), replies, 1) for number in range(clients)]
    started = time.perf_counter()
    _drive(port, clients, iter(batches))
    return time.perf_counter() - started


@contextlib.contextmanager
def idle_clients(port: int, count: int) -> Iterator[None]:
    """Clients that have said PING once and then stay connected."""
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            client = stack.enter_context(RawClient(("127.0.0.1", port)))
            if client.call("PING") != b"+PONG\r\n":
                raise LoadFailed("PING was not answered with PONG")
        yield


def _batches(requests: Iterator[bytes]) -> Iterator[Batch]:
    while some := list(itertools.islice(requests, _FILL_PIPELINE)):
        yield Batch(b"".join(some), len(b"+OK\r\n") * len(some), len(some))


def _drive(port: int, clients: int, batches: Iterator[Batch], seconds: float | None = None) -> Sample:
    """Every client sends its next batch when it has all replies to the last, until there are no more or time is up."""
    with contextlib.ExitStack() as stack:
        poll = stack.enter_context(select.epoll())
        by_number: dict[int, _Client] = {}
        for _ in range(clients):
            sock = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE_S))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            by_number[sock.fileno()] = _Client(sock)
        latencies: list[float] = []
        started = time.perf_counter()
        deadline = started + seconds if seconds is not None else float("inf")
        commands = busy = 0
        for number, client in by_number.items():
            busy += _send(client, batches)
            poll.register(number, select.EPOLLIN)
        while busy:
            events = poll.poll(_PATIENCE_S)
            if not events:
                raise LoadFailed(f"no reply within {_PATIENCE_S:g} s")
            for number, _ in events:
                client = by_number[number]
                if not _receive(client):
                    continue
                now = time.perf_counter()
                latencies.append(now - client.sent_at)
                commands += client.commands
                if now > deadline or not _send(client, batches):
                    busy -= 1
        elapsed = time.perf_counter() - started
    latencies.sort()
    return Sample(commands, commands / elapsed, 1000 * _quantile(latencies, 0.5), 1000 * _quantile(latencies, 0.99))


def _send(client: _Client, batches: Iterator[Batch]) -> bool:
    """Send the next batch, if there is one."""
    batch = next(batches, None)
    if batch is None:
        return False
    client.awaited = batch.replies
    client.commands = batch.commands
    client.head.clear()
    client.sent_at = time.perf_counter()
    client.socket.sendall(batch.data)
    return True


def _receive(client: _Client) -> bool:
    """Take what has come; whether all replies are there."""
    data = client.socket.recv(_RECEIVE)
    if not data:
        raise LoadFailed("closed by the server")
    client.awaited -= len(data)
    # Our values hold no "-": at the start or after the end of a line it begins an error. Long replies are none.
    if len(client.head) < 4096:
        client.head += data[:4096]
        at = 0 if client.head[:1] == b"-" else client.head.find(b"\n-") + 1
        if client.head[at : at + 1] == b"-":
            raise LoadFailed(client.head[at:].split(b"\r\n")[0].decode(errors="replace"))
    if client.awaited < 0:
        raise LoadFailed(f"more replies than requests: {bytes(data[-200:])!r}")
    return client.awaited == 0


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0
