"""MONITOR, compared with Redis 7.4: which commands are told, in which order and form."""

import re
import time
from collections.abc import Iterator, Sequence

import pytest

from tests.commands.conftest import Play
from tests.commands.scenarios import Scenario, scenario, scenarios
from tests.services.mariadb import MariaDB
from tests.services.process import wait_until
from tests.services.raw_client import Argument, ConnectionClosed, RawClient
from tests.services.redis_oracle import RedisOracle
from tests.services.rowdis import Rowdis

Command = tuple[Argument, ...]
#: The last command of a test: what is told before it is all that is told.
END: Command = ("ECHO", "the end")
NASTY = bytes(range(256))


@pytest.fixture(scope="module")
def quiet(mariadb: MariaDB) -> Iterator[Rowdis]:
    """A Rowdis that only this module talks to."""
    with Rowdis(mariadb.create_database("rowdis_monitor")) as server:
        yield server


@pytest.fixture(scope="module")
def silent() -> Iterator[RedisOracle]:
    """A redis-server that only this module talks to."""
    with RedisOracle() as server:
        yield server


@scenarios(
    scenario("words are counted", "MONITOR a", "MULTI", "MONITOR a", "EXEC"),
    scenario("not in a transaction", "MULTI", "MONITOR", "SET a 1", "EXEC", "GET a", oracle="redis74"),
)  # fmt: skip
def test_monitor(play: Play, case: Scenario) -> None:
    play(case)


def told(watcher: RawClient) -> list[bytes]:
    """The lines until the end, without time and port."""
    lines: list[bytes] = []
    while not lines or not lines[-1].endswith(b'"the end"\r\n'):
        line = watcher.read()
        match = re.fullmatch(rb"\+(\d{10})\.\d{6} \[(\d+) 127\.0\.0\.1:\d+\] (.*)\r\n", line, re.DOTALL)
        assert match is not None, line
        assert abs(int(match[1]) - time.time()) < 60
        lines.append(match[2] + b" " + match[3] + b"\r\n")
    return lines


def watched(server: Rowdis | RedisOracle, commands: Sequence[Command], protocol: int, *, together: bool) -> list[bytes]:
    with server.client(protocol) as watcher, server.client(protocol) as client:
        client.call("FLUSHALL")
        assert watcher.call("MONITOR") == b"+OK\r\n"
        if together:
            client.pipeline([*commands, END])
        else:
            for command in (*commands, END):
                client.call(*command)
        return told(watcher)


@pytest.mark.parametrize("together", [True, False], ids=["pipeline", "one after the other"])
@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("commands", [
    pytest.param([("SET", "a", 1), ("PING",), ("GET", "a"), ("CLIENT", "ID"), ("INCR", "a"), ("get", "a"),
                  ("ECHO", "x"), ("MGET", "a", "b"), ("SET", "a", "")], id="commands of loop and storage"),
    pytest.param([("SET", "a", NASTY), ("SET", NASTY, 'say "no"'), ("SET", "back\\slash", "äé")], id="quoting"),
    pytest.param([("SELECT", 3), ("GET", "a"), ("SELECT", 99), ("SELECT", 0), ("GET", "a")], id="database numbers"),
    pytest.param([("MULTI",), ("SET", "a", 1), ("GET", "a"), ("PING",), ("INCR", "b"), ("EXEC",), ("GET", "a")],
                 id="transaction"),
    pytest.param([("MULTI",), ("SELECT", 4), ("SET", "a", 1), ("SELECT", 0), ("GET", "a"), ("EXEC",)],
                 id="transaction that selects"),
    pytest.param([("MULTI",), ("EXEC",), ("MULTI",), ("GET", "a"), ("DISCARD",), ("EXEC",), ("DISCARD",)],
                 id="nothing"),
    pytest.param([("MULTI",), ("GET",), ("SET", "a", 1), ("EXEC",)], id="aborted transaction"),
    pytest.param([("WATCH", "a"), ("SET", "a", 2), ("MULTI",), ("WATCH", "b"), ("GET", "a"), ("EXEC",)],
                 id="failed transaction"),
    pytest.param([("GET",), ("NOSUCH",), ("CONFIG", "NOSUCH"), ("INCR", "a", "b")], id="what is refused is not told"),
    pytest.param([("SET", "a", "x"), ("INCR", "a"), ("LPUSH", "a", 1)], id="what fails is told"),
    pytest.param([("CONFIG", "GET", "port"), ("SLOWLOG", "LEN"), ("CLIENT", "LIST"), ("LATENCY", "RESET"),
                  ("DEBUG", "SLEEP", 0), ("MEMORY", "USAGE", "a"), ("INFO", "server"), ("COMMAND", "COUNT")],
                 id="administration is not told"),
    pytest.param([("AUTH", "secret"), ("AUTH", "default", "secret"), ("HELLO", 3, "AUTH", "default", "secret"),
                  ("HELLO", 3, "SETNAME", "me", "AUTH", "default", "secret")], id="secrets are hidden"),
    pytest.param([("BLPOP", "nosuch", "0.05"), ("RPUSH", "list", 1), ("BLPOP", "list", 1)], id="waiting"),
    pytest.param([("PUBLISH", "a", "b"), ("SUBSCRIBE", "a"), ("UNSUBSCRIBE", "a")], id="messages"),
])  # fmt: skip
def test_lines_are_those_of_redis(
    quiet: Rowdis, redis74: RedisOracle, commands: list[Command], protocol: int, together: bool
) -> None:
    ours = watched(quiet, commands, protocol, together=together)
    assert ours == watched(redis74, commands, protocol, together=together)


def test_watcher_sees_its_own_commands_behind_their_replies_and_no_keys(quiet: Rowdis, redis74: RedisOracle) -> None:
    heard = []
    for server in (quiet, redis74):
        with server.client() as watcher:
            replies = [watcher.call("MONITOR")]
            for command in [("PING",), ("GET", "a"), ("SET", "a", 1), ("PUBLISH", "a", 1), ("MULTI",), ("GET", "a"),
                            ("EXEC",), ("MONITOR",), ("RESET",), ("PING",), ("GET", "nosuch")]:  # fmt: skip
                watcher.send(*command)
            while not replies[-1].startswith(b"$-1"):
                replies.append(re.sub(rb"\d+\.\d+ \[0 [^\]]*\]", b"", watcher.read()))
            heard.append(sorted(replies))
    assert heard[0] == heard[1]


def test_flags_tell_who_watches_until_it_is_reset(quiet: Rowdis, redis74: RedisOracle) -> None:
    for server in (quiet, redis74):
        with server.client() as watcher, server.client() as client:
            watcher.call("MONITOR")
            assert client.call("CLIENT", "LIST").count(b" flags=O ") == 1
            assert b" flags=O " in client.call("CLIENT", "LIST", "TYPE", "normal")
            watcher.send("RESET")
            while watcher.read() != b"+RESET\r\n":
                pass
            assert b" flags=O " not in client.call("CLIENT", "LIST")
            client.call("GET", "a")
            assert watcher.silent(0.2)


def test_watcher_of_a_unix_socket_is_told_apart(quiet: Rowdis, redis74: RedisOracle, mariadb: MariaDB) -> None:
    with Rowdis(mariadb.create_database("rowdis_unix_monitor"), ["--unixsocket", "rowdis.sock"]) as server:
        path = server.directory / "rowdis.sock"
        with server.client() as watcher, RawClient(path) as client:
            watcher.call("MONITOR")
            client.call("PING")
            line = watcher.read()
    assert re.fullmatch(rb'\+\d+\.\d{6} \[0 unix:.*rowdis\.sock\] "PING"\r\n', line), line


def test_order_on_a_key_is_that_of_execution(quiet: Rowdis) -> None:
    """Several clients add to one counter: what MONITOR tells, one by one, is what the counter went through."""
    with quiet.client() as watcher, quiet.client() as first, quiet.client() as second:
        first.call("DEL", "n")
        watcher.call("MONITOR")
        requests = 50
        for number in range(requests):
            first.send("APPEND", "n", "a")
            second.send("APPEND", "n", "b")
            if number % 10 == 9:
                for client in (first, second):
                    for _ in range(10):
                        client.read()
        value = first.call("GET", "n").split(b"\r\n")[1]
        first.call(*END)
        letters = b"".join(re.findall(rb'"APPEND" "n" "(.)"', b"".join(told(watcher))))
    assert letters == value


def test_long_arguments_are_told_in_part(quiet: Rowdis) -> None:
    with quiet.client() as watcher, quiet.client() as client:
        watcher.call("MONITOR")
        client.call("SET", "a", b"x" * 10_000_000)
        client.call("SET", b"y" * 100_000, b"\0" * 1_000_000)
        assert watcher.read().endswith(b"xxx... (9737860 more bytes)\"\r\n")
        line = watcher.read()
        assert len(line) < 1_000_000
        assert line.endswith(b'\\x00... (837859 more bytes)"\r\n')


def test_watcher_that_does_not_read_is_ended_and_others_are_not(quiet: Rowdis) -> None:
    with quiet.client() as deaf, quiet.client() as watcher, quiet.client() as client:
        deaf.call("MONITOR")
        watcher.call("MONITOR")
        number = client.call("CLIENT", "LIST").count(b" flags=O ")
        assert number == 2
        client.call("CONFIG", "SET", "client-output-buffer-limit", "normal 8mb 0 0")
        try:
            before = quiet.process.resident_bytes()
            value = b"x" * 200_000
            for _ in range(200):
                client.call("SET", "a", value)
                watcher.read()
                if client.call("CLIENT", "LIST").count(b" flags=O ") == 1:
                    break
            wait_until(lambda: client.call("CLIENT", "LIST").count(b" flags=O ") == 1, 10, "the deaf watcher is gone")
            assert quiet.process.resident_bytes() - before < 64 * 1024 * 1024
            with pytest.raises(ConnectionClosed):
                while True:
                    deaf.read()
            client.call(*END)
            assert told(watcher)[-1].endswith(b'"the end"\r\n')
            assert b"client_output_buffer_limit_disconnections:1\r\n" in client.call("INFO", "stats")
        finally:
            client.call("CONFIG", "SET", "client-output-buffer-limit", "normal 0 0 0")


def test_watcher_that_does_not_read_is_ended_without_a_limit_too(quiet: Rowdis) -> None:
    with quiet.client() as deaf, quiet.client() as client:
        deaf.call("MONITOR")
        value = b"x" * 250_000
        for _ in range(400):
            client.pipeline([("SET", "a", value)] * 5)
            if b" flags=O " not in client.call("CLIENT", "LIST"):
                break
        assert b" flags=O " not in client.call("CLIENT", "LIST")
