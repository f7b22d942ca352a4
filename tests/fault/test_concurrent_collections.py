"""Fifty clients on one key, on one Rowdis and on two: nothing is lost, nothing given twice, no error is answered."""

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import pytest

from tests.fault.world import OK, World, integer
from tests.services.mariadb import MariaDB
from tests.services.raw_client import Argument, RawClient

LONG = bool(os.environ.get("ROWDIS_TEST_LONG"))
CLIENTS = 50
EACH = 400 if LONG else 25
"""Commands of each client."""


@pytest.fixture(scope="module", params=[1, 2], ids=["one instance", "two instances"])
def world(mariadb: MariaDB, request: pytest.FixtureRequest) -> Iterator[World]:
    with World(mariadb, f"fault_crowd_{request.param}", instances=request.param, timeout_ms=20_000) as world:
        yield world


@pytest.fixture(autouse=True)
def emptied(world: World) -> Iterator[None]:
    assert world.call("FLUSHALL") == OK
    yield
    world.verify()


def crowd(world: World, act: Callable[[RawClient, int], Sequence[bytes]], clients: int = CLIENTS) -> list[bytes]:
    """All replies of `act(client, number)`, run by many clients at the same time, spread over the instances."""
    gate = threading.Barrier(clients, timeout=60)
    replies: list[bytes] = []
    failures: list[BaseException] = []
    lock = threading.Lock()

    def run(number: int) -> None:
        try:
            with world.client(number % len(world.rowdis), timeout_s=60) as client:
                gate.wait()
                mine = act(client, number)
            with lock:
                replies.extend(mine)
        except BaseException as error:
            failures.append(error)
            gate.abort()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    if failures:
        raise failures[0]
    errors = [reply for reply in replies if reply.startswith(b"-")]
    assert not errors, errors[:3]
    return replies


def repeat(*command: Argument) -> Callable[[RawClient, int], Sequence[bytes]]:
    return lambda client, number: [client.call(*command) for _ in range(EACH)]


def text(reply: bytes) -> bytes:
    """The text of a bulk string."""
    assert reply.startswith(b"$"), reply
    return reply.split(b"\r\n")[1]


@pytest.mark.parametrize(
    ("command", "read", "total"),
    [
        (("INCR", "k"), ("GET", "k"), CLIENTS * EACH),
        (("HINCRBY", "k", "f", 2), ("HGET", "k", "f"), 2 * CLIENTS * EACH),
        (("ZINCRBY", "k", 3, "m"), ("ZSCORE", "k", "m"), 3 * CLIENTS * EACH),
        (("HINCRBYFLOAT", "k", "f", 1), ("HGET", "k", "f"), CLIENTS * EACH),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_increments_add_up(world: World, command: tuple[Argument, ...], read: tuple[Argument, ...], total: int) -> None:
    crowd(world, repeat(*command))
    # RESP2 in all worlds: a score is a bulk string.
    assert int(text(world.call(*read))) == total


@pytest.mark.parametrize(("push", "pop"), [("LPUSH", "RPOP"), ("RPUSH", "LPOP"), ("LPUSH", "LPOP")])
def test_what_is_pushed_is_popped_once(world: World, push: str, pop: str) -> None:
    def act(client: RawClient, number: int) -> Sequence[bytes]:
        popped = []
        for count in range(EACH):
            assert client.call(push, "k", f"{number}:{count}").startswith(b":")
            popped.append(client.call(pop, "k"))
        return popped

    popped = Counter(text(reply) for reply in crowd(world, act))
    assert popped == Counter(f"{number}:{count}".encode() for number in range(CLIENTS) for count in range(EACH))
    assert world.call("EXISTS", "k") == b":0\r\n"


@pytest.mark.parametrize(
    ("fill", "pop", "step"),
    [("SADD", ("SPOP", "k"), 1), ("ZADD", ("ZPOPMIN", "k"), 2), ("ZADD", ("ZPOPMAX", "k"), 2)],
    ids=["SPOP", "ZPOPMIN", "ZPOPMAX"],
)
def test_every_member_is_popped_once(world: World, fill: str, pop: tuple[str, ...], step: int) -> None:
    count = CLIENTS * EACH
    names = [f"member:{number}" for number in range(count)]
    with world.client() as client:
        for start in range(0, count, 500):
            some = names[start : start + 500]
            scored = [word for number, name in enumerate(some) for word in (number % 97, name)]
            assert integer(client.call(fill, "k", *(some if step == 1 else scored))) == len(some)
    replies = crowd(world, repeat(*pop))
    position = 1 if step == 1 else 2
    popped = Counter(reply.split(b"\r\n")[position] for reply in replies)
    assert popped == Counter(name.encode() for name in names)
    assert world.call("EXISTS", "k") == b":0\r\n"


def test_members_added_by_many_are_all_there(world: World) -> None:
    def act(client: RawClient, number: int) -> Sequence[bytes]:
        # Every member is added by two clients: one of them is told that it was new.
        return [client.call("SADD", "k", f"{number // 2}:{count}") for count in range(EACH)]

    replies = crowd(world, act)
    assert Counter(replies) == Counter({b":1\r\n": CLIENTS * EACH // 2, b":0\r\n": CLIENTS * EACH // 2})
    assert integer(world.call("SCARD", "k")) == CLIENTS * EACH // 2


def test_fields_set_by_many_are_all_there(world: World) -> None:
    def act(client: RawClient, number: int) -> Sequence[bytes]:
        return [client.call("HSET", "k", f"{number}:{n}", n, f"shared:{n}", number) for n in range(EACH)]

    replies = crowd(world, act)
    assert sum(map(integer, replies)) == CLIENTS * EACH + EACH
    assert integer(world.call("HLEN", "k")) == CLIENTS * EACH + EACH


def test_entries_of_a_stream_have_ids_of_their_own_and_are_read_once(world: World) -> None:
    assert world.call("XGROUP", "CREATE", "k", "g", "$", "MKSTREAM") == OK
    half = CLIENTS // 2
    taken: Counter[bytes] = Counter()
    lock = threading.Lock()

    def act(client: RawClient, number: int) -> Sequence[bytes]:
        if number < half:
            return [client.call("XADD", "k", "*", "f", f"{number}:{count}") for count in range(EACH)]
        heard = []
        while True:
            with lock:
                if sum(taken.values()) == half * EACH:
                    return heard
            read = ("XREADGROUP", "GROUP", "g", f"c{number}", "COUNT", 10, "BLOCK", 100, "STREAMS", "k", ">")
            reply = client.call(*read)
            heard.append(reply)
            if not reply.startswith(b"*-1"):
                # Per entry: the id, then field and value.
                ids = [word for word in reply.split(b"\r\n") if word.count(b"-") == 1 and word[:1].isdigit()]
                assert integer(client.call("XACK", "k", "g", *ids)) == len(ids)
                with lock:
                    taken.update(ids)

    replies = crowd(world, act)
    added = [reply.split(b"\r\n")[1] for reply in replies if reply.startswith(b"$")]
    assert len(set(added)) == half * EACH
    assert taken == Counter(added)
    assert world.call("XPENDING", "k", "g").startswith(b"*4\r\n:0\r\n")


def test_waiting_clients_and_pushing_clients_meet(world: World) -> None:
    half = CLIENTS // 2

    def act(client: RawClient, number: int) -> Sequence[bytes]:
        if number < half:
            return [client.call("LPUSH", "k", f"{number}:{count}") for count in range(EACH)]
        return [client.call("BRPOP", "k", 0) for _ in range(EACH)]

    replies = crowd(world, act)
    popped = Counter(reply.split(b"\r\n")[4] for reply in replies if reply.startswith(b"*2"))
    assert popped == Counter(f"{number}:{count}".encode() for number in range(half) for count in range(EACH))
    assert world.call("EXISTS", "k") == b":0\r\n"
