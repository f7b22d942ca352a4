"""Collections of a million elements: built, read, scanned and deleted, and what other clients notice of it.

ROWDIS_TEST_LONG makes the sizes and the limits those of the promise. Otherwise times are compared with each other, or
with limits so loose that only a mistake exceeds them: the machine is shared.
"""

import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.acceptance.bystander import Bystander
from tests.acceptance.large import (
    ELEMENTS,
    HASH,
    KINDS,
    LIST,
    LONG,
    SET,
    Kind,
    check,
    names_of,
    pages,
    parsed,
    percentile,
    told,
    wait_until_gone,
)
from tests.conftest import Combination
from tests.services.raw_client import Argument, RawClient, encode_command
from tests.services.rowdis import Rowdis

LATENCY_MS = 50.0 if LONG else 1000.0
"""What 99 of 100 commands of other clients may take, beside what they take of a server at rest. Not all of them: on a
machine that others use too a few of any thousand wait for a processor, whatever the server does."""
DELETE_MS = 50.0 if LONG else 1000.0
AT_REST_S = 5.0 if LONG else 0.5
BESIDE_S = 20.0 if LONG else 1.0
"""How long each command runs over the large collections while another client is watched."""
RECEIVE = 1024 * 1024


@pytest.fixture
def patient(rowdis: Rowdis, combination: Combination) -> Iterator[RawClient]:
    """A client of an emptied Rowdis that waits as long as the slow lane may take. It leaves nothing to be deleted."""
    with rowdis.client(combination.protocol, timeout_s=120) as client:
        assert client.call("FLUSHALL") == b"+OK\r\n"
        yield client
    assert rowdis.call("FLUSHALL") == b"+OK\r\n"
    wait_until_gone(rowdis)


def _limit_ms(rowdis: Rowdis) -> float:
    """What 99 of 100 commands may take: what is promised, or without ROWDIS_TEST_LONG so much more than at rest."""
    if LONG:
        return LATENCY_MS
    with Bystander(rowdis) as bystander:
        time.sleep(AT_REST_S)
    print(told("GET and SET at rest", bystander.gets + bystander.sets))
    return LATENCY_MS + percentile(bystander.gets + bystander.sets, 0.99)


def _check_whole(kind: Kind, client: RawClient) -> None:
    """Reading everything gives everything."""
    began = time.perf_counter()
    reply = client.call(*kind.read("large"))
    print(f"{kind.whole[0]} of {ELEMENTS}: {time.perf_counter() - began:.2f} s")
    assert kind.plain(parsed(reply)) == kind.content(ELEMENTS)


def _check_scan(kind: Kind, client: RawClient) -> None:
    """A complete scan gives every element, and its last calls are not slower than its first."""
    seen = []
    times = []
    began = time.perf_counter()
    for items in pages(kind, client, "large"):
        times.append(1000 * (time.perf_counter() - began))
        seen += items
        began = time.perf_counter()
    assert sorted(seen) == names_of(kind, kind.content(ELEMENTS))
    print(told(f"{kind.name}: a page of a scan", times))
    fifth = len(times) // 5
    assert statistics.median(times[-fifth:]) < 5 * statistics.median(times[:fifth])


def _delete(kind: Kind, client: RawClient, command: str) -> None:
    """DEL of the large collection takes no longer than that of small ones, a little aside for chance."""
    small = []
    for n in range(20):
        client.pipeline(kind.add(f"small:{n}", range(10)))
        began = time.perf_counter()
        assert client.call(command, f"small:{n}") == b":1\r\n"
        small.append(1000 * (time.perf_counter() - began))
    began = time.perf_counter()
    assert client.call(command, "large") == b":1\r\n"
    took = 1000 * (time.perf_counter() - began)
    print(told(f"{kind.name}: {command} of 10 elements", small))
    print(f"{kind.name}: {command} of {ELEMENTS} elements: {took:.2f} ms")
    assert took < DELETE_MS
    assert client.call("EXISTS", "large") == b":0\r\n"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_large_collection_from_its_beginning_to_its_end(
    rowdis: Rowdis, patient: RawClient, combination: Combination, kind: Kind
) -> None:
    began = time.perf_counter()
    kind.build(patient, "large", ELEMENTS)
    print(f"{kind.name}: {ELEMENTS / (time.perf_counter() - began):.0f} elements a second built")
    _check_whole(kind, patient)
    _check_scan(kind, patient)
    limit_ms = _limit_ms(rowdis)
    with Bystander(rowdis) as bystander:
        _delete(kind, patient, "UNLINK" if kind is SET else "DEL")
        began = time.perf_counter()
        wait_until_gone(rowdis)
        print(f"{kind.name}: all rows gone after {time.perf_counter() - began:.2f} s")
    print(told(f"{kind.name}: GET beside the deletion", bystander.gets))
    print(told(f"{kind.name}: SET beside the deletion", bystander.sets))
    assert percentile(bystander.gets + bystander.sets, 0.99) < limit_ms
    if combination.engine == "mariadb":  # an embedded engine lets nobody else in
        assert check(rowdis) == "nothing to complain about\n"


class Reader:
    """Runs one command again and again, and takes what it gives without a look at it."""

    def __init__(self, client: RawClient, command: tuple[Argument, ...]) -> None:
        self._client = client
        self._request = encode_command(command)
        self._size = len(client.call(*command))
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.rounds = 0
        self.failure: Exception | None = None

    @contextmanager
    def running(self) -> Iterator[None]:
        """Read until the end of the block, and to the end of what was begun."""
        self._thread.start()
        try:
            yield
        finally:
            self._ending.set()
            self._thread.join()
        if self.failure is not None:
            raise self.failure

    def _run(self) -> None:
        buffer = bytearray(RECEIVE)
        try:
            while not self._ending.is_set():
                self._client.send_raw(self._request)
                left = self._size
                while left:
                    got = self._client.socket.recv_into(buffer, min(left, RECEIVE))
                    assert got, "the server closed the connection"
                    left -= got
                self.rounds += 1
        except Exception as error:
            self.failure = error


def test_other_clients_are_served_while_everything_is_read(rowdis: Rowdis, patient: RawClient) -> None:
    for kind in (HASH, SET, LIST):
        kind.build(patient, kind.name, ELEMENTS)
    for start in range(0, ELEMENTS, 10_000):
        numbers = range(start, start + 10_000)
        patient.pipeline([
            ("MSET", *(word for n in numbers[first : first + 500] for word in (f"key:{n:07d}", "v")))
            for first in range(0, len(numbers), 500)
        ])
    commands = (
        ("HGETALL", "hash"),
        ("SMEMBERS", "set"),
        ("SORT", "list"),
        ("SORT", "set", "ALPHA", "DESC"),
        ("LRANGE", "list", 0, -1),
        ("KEYS", "key:*"),
    )
    slow = {}
    for command in commands:
        reader = Reader(patient, command)
        limit_ms = _limit_ms(rowdis)
        with Bystander(rowdis) as bystander:
            with reader.running():
                time.sleep(BESIDE_S)
        line = f"{' '.join(map(str, command))}, {reader.rounds} times"
        print(told(f"GET beside {line}", bystander.gets))
        print(told(f"SET beside {line}", bystander.sets))
        worst = max(percentile(bystander.gets, 0.99), percentile(bystander.sets, 0.99))
        if worst >= limit_ms:
            slow[command] = worst
    assert not slow
