"""MIGRATE: to real servers and from them, between two Rowdis, and to what is no server or breaks on the way."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Self

import pytest

from tests.commands.scenarios import Line, equal, near, shows, words
from tests.commands.test_dump import KEYS, _fill, content
from tests.conftest import another_oracle, services
from tests.services.raw_client import RawClient
from tests.services.redis_oracle import RedisOracle
from tests.services.rowdis import Rowdis

OK = b"+OK\r\n"
FAR_MS = 4_000_000_000_000


@pytest.fixture(scope="module")
def target(pytestconfig: pytest.Config) -> Iterator[RedisOracle]:
    """A real server to which keys are sent, with a user who has a password."""
    with services(), another_oracle(pytestconfig, ["--user", "friend", "on", ">secret", "~*", "&*", "+@all"]) as server:
        yield server


class FakeTarget:
    """Listens on `port`. Who sends something gets `reply`, and is then hung up on; with None he gets nothing."""

    def __init__(self, reply: bytes | None) -> None:
        self._reply = reply
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        connection.settimeout(5)
        with contextlib.suppress(OSError):
            received = connection.recv(65536)
            if self._reply is not None:
                connection.sendall(self._reply)
                connection.shutdown(socket.SHUT_WR)
            # Redis keeps a connection that went well.
            while self._reply is None or received.count(b"RESTORE") < 2:
                more = connection.recv(65536)
                if not more:
                    break
                received += more


def both(
    client: RawClient, real: RawClient, target: RawClient, port: int, lines: list[Line | tuple[str, Line]]
) -> None:
    """Play commands here and on a real server, each time with an empty target; PORT stands for the target's.

    Replies must be equal, and those of the target itself, which are marked by ("target", line).
    """
    found: list[list[bytes]] = []
    for source in (client, real):
        assert target.call("FLUSHALL") == OK
        replies = []
        for line in lines:
            other = isinstance(line, tuple) and line[0] == "target"
            command = words(line[1] if other else line)
            asked = [str(port).encode() if word == b"PORT" else word for word in command]
            replies.append((target if other else source).call(*asked))
        found.append(replies)
    for line, mine, theirs in zip(lines, *found, strict=True):
        agree = near("TTL", 2000).agree if "PTTL" in str(line) else equal
        assert agree(mine, theirs), f"{line}: {mine!r}, Redis: {theirs!r}"


M = "MIGRATE 127.0.0.1 PORT"
CASES: dict[str, list[Line | tuple[str, Line]]] = {
    "a key moves": ["SET a 1", f"{M} a 0 1000", "EXISTS a", ("target", "GET a"), f"{M} a 0 1000"],
    "a key that is there": ["SET a 1", ("target", "SET a 2"), f"{M} a 0 1000", "GET a", f"{M} a 0 1000 COPY REPLACE",
                            "GET a", ("target", "GET a"), f"{M} a 0 1000 replace", "GET a"],
    "expiry": [f"SET a 1 PXAT {FAR_MS}", "SET b 1 PX 1", "SET c 1", f"{M} a 3 1000", ("target", "SELECT 3"),
               ("target", "PTTL a"), ("target", "SELECT 0"), f"{M} c 0 1000", ("target", "PTTL c"),
               "SET gone 1 PXAT 1", f"{M} gone 0 1000"],
    "several keys": ["MSET a 1 b 2 c 3", ("target", "SET b 0"), f'{M} "" 0 1000 KEYS a b c nosuch a',
                     "EXISTS a b c", ("target", "MGET a b c"), f'{M} "" 0 1000 REPLACE KEYS a b c a', "EXISTS a b c",
                     ("target", "MGET a b c"), f'{M} "" 0 1000 KEYS a b', f'{M} "" 0 1000 KEYS', f'{M} "" 0 1000'],
    "a key twice": ["SET a 1", f'{M} "" 0 1000 KEYS a a', "EXISTS a", ("target", "GET a"), "SET a 2",
                    f'{M} "" 0 1000 REPLACE COPY KEYS a a', ("target", "GET a"), "GET a"],
    "in a transaction": ["SELECT 5", "MULTI", "SET a 1", f"{M} a 0 1000", "GET a", "SET a 2", f"{M} a 0 1000",
                         f"{M} a 0 1000 REPLACE", "EXISTS a", "EXEC", ("target", "GET a"), "SELECT 0"],
    "log in": ["SET a 1", f"{M} a 0 1000 AUTH wrong", f"{M} a 0 1000 AUTH2 nobody secret", "GET a",
               f"{M} a 0 1000 AUTH2 friend secret REPLACE", "EXISTS a", ("target", "GET a"), "SET a 2",
               f"{M} a 0 -5 AUTH x REPLACE auth2 friend secret", ("target", "GET a")],
    "a database that is not there": ["SET a 1", f"{M} a 99 1000", f"{M} a -5 1000", "GET a"],
    "nobody there": ["SET a 1", "MIGRATE 127.0.0.1 1 a 0 1000", "MIGRATE 127.0.0.1 x a 0 1000", "GET a",
                     "MIGRATE 127.0.0.1 99999 a 0 1000", "MIGRATE 127.0.0.1 -1 a 0 1000", 'MIGRATE "" PORT a 0 1000',
                     "MIGRATE nosuch.invalid PORT a 0 1000", "MIGRATE nosuch.invalid PORT nosuch 0 1000", "GET a",
                     "MIGRATE localhost PORT a 0 1000", "EXISTS a"],
    "what is wrong": [f"{M} a x 1000", f"{M} a 0 x", f"{M} a 0 99999999999999999999", f"{M} a 0 1000 FOO",
                      f"{M} a 0 1000 AUTH", f"{M} a 0 1000 AUTH2 x", f"{M} a x 1000 FOO", f"{M} a x y KEYS a",
                      f'{M} "" x y KEYS a', f"{M} a 0", f"{M} a 0 1000 COPY COPY REPLACE KEYS a",
                      f"{M} a 0 1000 COPY COPY"],
    "keys are named": [f"COMMAND GETKEYS {line}" for line in (
        f"{M} a 0 1000", f'{M} "" 0 1000 KEYS a b', f"{M} a 0 1000 COPY AUTH KEYS", f'{M} "" 0 1000 AUTH keys KEYS a',
        f'{M} "" 0 1000 AUTH2 KEYS KEYS keys a b', f'{M} "" 0 1000', f'{M} "" 0 1000 KEYS')],
}  # fmt: skip


@pytest.mark.parametrize("lines", CASES.values(), ids=CASES)
def test_migrate(
    client: RawClient, oracle_client: RawClient, target: RedisOracle, lines: list[Line | tuple[str, Line]]
) -> None:
    with target.client(2) as there:
        both(client, oracle_client, there, target.port, lines)



@pytest.mark.parametrize("lines", KEYS.values(), ids=KEYS)
def test_a_key_goes_there_and_back(
    client: RawClient, rowdis: Rowdis, oracle: RedisOracle, oracle_client: RawClient, lines: list[Line]
) -> None:
    _fill(client, lines)
    before = content(client)
    for source, to in ((client, oracle), (oracle_client, rowdis)):
        assert source.call("MIGRATE", "127.0.0.1", to.port, "k", 0, 5000) == OK
        assert source.call("EXISTS", "k") == b":0\r\n"
    after = content(client)
    assert (after[0], after[2:]) == (before[0], before[2:])
    # A time to live travels as what is left of it.
    assert abs(int(after[1][1:]) - int(before[1][1:])) < 5000


def test_keys_of_redis_7_4_come_here(client: RawClient, rowdis: Rowdis, redis74: RedisOracle) -> None:
    with redis74.client(2) as newer:
        _fill(newer, ["FLUSHALL", "HSET h a 1 b 2", f"HPEXPIREAT h {FAR_MS} FIELDS 1 a", "SET s hello"])
        assert newer.call("MIGRATE", "127.0.0.1", rowdis.port, "", 0, 5000, "KEYS", "h", "s") == OK
        assert newer.call("DBSIZE") == b":0\r\n"
    assert client.call("HPEXPIRETIME", "h", "FIELDS", 2, "a", "b") == b"*2\r\n:%d\r\n:-1\r\n" % FAR_MS
    assert client.call("GET", "s") == b"$5\r\nhello\r\n"


def test_keys_move_between_two_rowdis(mariadb_rowdis: Rowdis, embedded_rowdis: Rowdis) -> None:
    with mariadb_rowdis.client() as here, embedded_rowdis.client() as there:
        _fill(here, ["FLUSHALL", ("MSET", *(word for n in range(2500) for word in (f"k{n}", n)))])
        _fill(there, ["FLUSHALL"])
        names = [f"k{n}" for n in range(2500)]
        assert here.call("MIGRATE", "127.0.0.1", embedded_rowdis.port, "", 2, 20_000, "KEYS", *names) == OK
        assert here.call("DBSIZE") == b":0\r\n"
        _fill(there, ["SELECT 2"])
        assert there.call("DBSIZE") == b":2500\r\n"
        assert there.call("GET", "k2499") == b"$4\r\n2499\r\n"


def test_a_long_value_moves(client: RawClient, oracle: RedisOracle, oracle_client: RawClient) -> None:
    value = bytes(range(256)) * 4000
    _fill(client, [("SET", "k", value)])
    assert client.call("MIGRATE", "127.0.0.1", oracle.port, "k", 0, 5000) == OK
    assert oracle_client.call("GET", "k") == b"$%d\r\n%b\r\n" % (len(value), value)


def test_to_another_database_of_the_same_server(client: RawClient, rowdis: Rowdis) -> None:
    """Redis can't: it would have to answer itself while it waits."""
    _fill(client, ["RPUSH k a b"])
    assert client.call("MIGRATE", "127.0.0.1", rowdis.port, "k", 1, 5000) == OK
    assert client.call("EXISTS", "k") == b":0\r\n"
    _fill(client, ["SELECT 1"])
    assert client.call("LLEN", "k") == b":2\r\n"


def test_events_are_those_of_redis(rowdis: Rowdis, oracle: RedisOracle, target: RedisOracle) -> None:
    heard: list[list[bytes]] = []
    for server in (rowdis, oracle):
        with target.client(2) as there, server.client(2) as source, server.client(2) as listener:
            _fill(there, ["FLUSHALL"])
            _fill(source, ["FLUSHALL", "MSET a 1 b 2", "CONFIG SET notify-keyspace-events KEAm"])
            listener.call("PSUBSCRIBE", "__keyevent@0__:*")
            assert listener.call("SUBSCRIBE", "end").startswith(b"*3")
            for keys in (("a", "x", "a", "b"), ("x",)):
                source.call("MIGRATE", "127.0.0.1", target.port, "", 0, 1000, "KEYS", *keys)
            _fill(source, ["CONFIG SET notify-keyspace-events \"\"", "PUBLISH end of"])
            messages = [listener.read()]
            while b"end" not in messages[-1]:
                messages.append(listener.read())
            heard.append(messages)
    assert heard[0] == heard[1]
    assert len(heard[0]) == 5


REPLIES = {
    "hangs up": b"",
    "refuses": b"-NOAUTH who are you?\r\n" * 2,
    "confirms one of two": b"+OK\r\n" * 2,
    "half a reply": b"+OK\r\n+OK\r\n+O",
    "an error for one of two": b"+OK\r\n-ERR no\r\n+OK\r\n",
    "errors for both": b"+OK\r\n-ERR no\r\n-BUSYKEY yes\r\n",
}


@pytest.mark.parametrize("reply", REPLIES.values(), ids=REPLIES)
def test_what_was_confirmed_is_deleted(client: RawClient, oracle_client: RawClient, reply: bytes) -> None:
    found = []
    with FakeTarget(reply) as fake:
        for source in (client, oracle_client):
            _fill(source, ["MSET a 1 b 2"])
            answer = source.call("MIGRATE", "127.0.0.1", fake.port, "", 0, 2000, "KEYS", "a", "b")
            found.append((answer, source.call("MGET", "a", "b")))
    assert found[0] == found[1]


def test_a_target_that_says_nothing_is_waited_for_in_vain(client: RawClient, oracle_client: RawClient) -> None:
    with FakeTarget(None) as fake:
        for source in (client, oracle_client):
            _fill(source, ["SET a 1"])
            answer = source.call("MIGRATE", "127.0.0.1", fake.port, "a", 0, 50)
            assert answer == b"-IOERR error or timeout reading to target instance\r\n"
            assert source.call("GET", "a") == b"$1\r\n1\r\n"


@shows("migrate")
def test_what_is_no_redis_confirms_nothing(client: RawClient) -> None:
    with FakeTarget(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n") as fake:
        _fill(client, ["SET a 1"])
        answer = client.call("MIGRATE", "127.0.0.1", fake.port, "a", 0, 2000)
        assert answer == b"-IOERR error or timeout reading to target instance\r\n"
        assert client.call("GET", "a") == b"$1\r\n1\r\n"


@shows("migrate")
def test_nothing_is_restored_where_the_database_is_refused(
    client: RawClient, oracle_client: RawClient, target: RedisOracle
) -> None:
    with target.client(2) as there:
        for source, restored in ((client, b":0\r\n"), (oracle_client, b":1\r\n")):
            _fill(there, ["FLUSHALL"])
            _fill(source, ["SET a 1"])
            assert source.call("MIGRATE", "127.0.0.1", target.port, "a", 99, 1000).startswith(b"-ERR Target")
            assert there.call("EXISTS", "a") == restored
