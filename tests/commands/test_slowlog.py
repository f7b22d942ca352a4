"""SLOWLOG, compared with redis-server: what is logged, in which form, and what never is."""

import re
from collections.abc import Iterator

import hiredis
import pytest

from tests.commands.conftest import Play
from tests.commands.masks import shaped
from tests.commands.scenarios import Scenario, scenario, scenarios
from tests.services.mariadb import MariaDB
from tests.services.raw_client import Argument, RawClient
from tests.services.redis_oracle import RedisOracle
from tests.services.rowdis import Rowdis

LONG = "x" * 128
MANY = tuple(str(number) for number in range(32))


@pytest.fixture(scope="module")
def quiet(mariadb: MariaDB) -> Iterator[Rowdis]:
    """A Rowdis that only this module talks to."""
    with Rowdis(mariadb.create_database("rowdis_slowlog"), ["--enable-debug-command", "yes"]) as server:
        yield server


@scenarios(
    scenario("arguments are checked", "SLOWLOG", "SLOWLOG NOSUCH", "SLOWLOG GET a", "SLOWLOG GET -2", "SLOWLOG GET 1 2",
             "SLOWLOG GET 0", "SLOWLOG LEN a", "SLOWLOG RESET a", "SLOWLOG HELP a", "SLOWLOG RESET",
             "CONFIG SET slowlog-log-slower-than -2", "CONFIG SET slowlog-max-len -1",
             "CONFIG GET slowlog-log-slower-than", "CONFIG GET slowlog-max-len", oracle="redis74"),
    scenario("HELP", shaped("SLOWLOG HELP")),
)  # fmt: skip
def test_slowlog(play: Play, case: Scenario) -> None:
    play(case)


def logged(client: RawClient, commands: list[tuple[Argument, ...]]) -> list[bytes]:
    """All replies, with the log of all commands at the end; times and addresses masked."""
    client.pipeline([
        ("CONFIG", "SET", "slowlog-max-len", 128, "slowlog-log-slower-than", 0), ("SLOWLOG", "RESET"),
    ])  # fmt: skip
    replies = [client.call(*command) for command in commands]
    reader = hiredis.Reader()
    reader.feed(client.call("SLOWLOG", "GET", -1))
    entries = reader.gets()
    client.pipeline([("CONFIG", "SET", "slowlog-log-slower-than", 10000), ("CONFIG", "SET", "slowlog-max-len", 128)])
    numbers = [number for number, *_ in entries]
    assert numbers == sorted(numbers, reverse=True)
    for _, time_s, duration_us, _, address, _ in entries:
        assert time_s > 1_000_000_000
        assert duration_us >= 0
        assert re.fullmatch(rb"127\.0\.0\.1:\d+", address)
    return replies + [b" ".join([*arguments, b"by", name]) for _, _, _, arguments, _, name in entries]


@pytest.mark.parametrize("commands", [
    pytest.param([("SET", "a", LONG), ("SET", "a", LONG + "y"), ("SET", "a", LONG * 1000), ("GET", "a")],
                 id="long arguments are cut"),
    pytest.param([("DEL", *MANY[:31]), ("DEL", *MANY), ("DEL", *MANY, *MANY)], id="many arguments are cut"),
    pytest.param([("CLIENT", "SETNAME", "me"), ("GET", "a"), ("CLIENT", "SETNAME", ""), ("GET", "a")],
                 id="the name is that of the time"),
    pytest.param([("AUTH", "secret"), ("AUTH", "default", "secret"), ("HELLO", 2, "AUTH", "default", "secret"),
                  ("HELLO", 2, "SETNAME", "me", "AUTH", "default", "secret"),
                  ("CONFIG", "SET", "requirepass", ""), ("CONFIG", "SET", "timeout", 0, "masterauth", ""),
                  ("config", "set", "MasterAuth", "")], id="secrets are hidden"),
    pytest.param([("MULTI",), ("GET", "a"), ("INCR", "a"), ("PING",), ("EXEC",)], id="EXEC is logged by its commands"),
    pytest.param([("MULTI",), ("EXEC",), ("MULTI",), ("DISCARD",), ("GET",), ("NOSUCH",)], id="what was not executed"),
    pytest.param([("SET", "a", "x"), ("INCR", "a"), ("LPUSH", "a", 1), ("SELECT", 99)], id="errors are logged"),
    pytest.param([("GET", "a"), ("SLOWLOG", "RESET"), ("GET", "b"), ("SLOWLOG", "LEN")], id="a reset logs itself"),
    pytest.param([("CONFIG", "SET", "slowlog-max-len", 2), ("GET", "a"), ("GET", "b"), ("SLOWLOG", "LEN")],
                 id="the oldest entries make room"),
    pytest.param([("CONFIG", "SET", "slowlog-log-slower-than", -1), ("GET", "a"), ("SLOWLOG", "LEN")],
                 id="nothing is logged"),
    pytest.param([("CONFIG", "SET", "slowlog-log-slower-than", 1_000_000_000), ("GET", "a"), ("SLOWLOG", "LEN")],
                 id="nothing is slow enough"),
    pytest.param([("GET", "a"), ("CONFIG", "SET", "slowlog-max-len", 0), ("GET", "b"), ("SLOWLOG", "LEN")],
                 id="a length of 0 changes nothing"),
])  # fmt: skip
def test_log_is_that_of_redis(
    quiet: Rowdis, redis74: RedisOracle, commands: list[tuple[Argument, ...]]
) -> None:
    with quiet.client() as ours, redis74.client() as theirs:
        for client in (ours, theirs):
            client.call("FLUSHALL")
        mine, real = logged(ours, commands), logged(theirs, commands)
    for ours_said, redis_said in zip(mine, real, strict=True):
        assert ours_said == redis_said or ours_said.startswith((b"*14", b"%7"))


def entries(client: RawClient) -> dict[bytes, int]:
    """What was logged, with the longest time of each in microseconds."""
    reader = hiredis.Reader()
    reader.feed(client.call("SLOWLOG", "GET", -1))
    found: dict[bytes, int] = {}
    for _, _, duration_us, arguments, _, _ in reader.gets():
        line = b" ".join(arguments)
        found[line] = max(duration_us, found.get(line, 0))
    return found


def test_guilty_command_of_a_pipeline_is_logged_and_its_neighbours_are_not(quiet: Rowdis) -> None:
    with quiet.client() as client:
        client.pipeline([("CONFIG", "SET", "slowlog-log-slower-than", 200_000), ("SLOWLOG", "RESET")])
        client.pipeline([("SET", "a", 1), ("GET", "a"), ("DEBUG", "SLEEP", "0.25"), ("GET", "a"), ("SET", "a", 2)])
        found = entries(client)
    assert list(found) == [b"DEBUG SLEEP 0.25"]
    assert 250_000 <= found[b"DEBUG SLEEP 0.25"] < 10_000_000


def test_long_command_is_logged_with_its_own_time(quiet: Rowdis) -> None:
    with quiet.client() as client:
        client.pipeline([("CONFIG", "SET", "slowlog-log-slower-than", 0), ("SLOWLOG", "RESET")])
        client.pipeline([("RPUSH", "list", *range(900)), ("GET", "a"), ("LRANGE", "list", 0, -1), ("GET", "a")])
        found = entries(client)
        client.call("CONFIG", "SET", "slowlog-log-slower-than", 10000)
    assert found[b"LRANGE list 0 -1"] > found[b"GET a"]


def test_too_many_words_of_auth_are_hidden_too(quiet: Rowdis) -> None:
    """Redis shows them, the password among them."""
    with quiet.client() as client:
        client.pipeline([("CONFIG", "SET", "slowlog-log-slower-than", 0), ("SLOWLOG", "RESET")])
        client.call("AUTH", "default", "secret", "typo")
        found = entries(client)
        client.call("CONFIG", "SET", "slowlog-log-slower-than", 10000)
    assert b"AUTH (redacted) (redacted) (redacted)" in found
