"""Commands for whoever runs the server; and what the settings do to connections."""

import contextlib
import re
import socket
import time
from collections.abc import Iterator

import pytest

from tests.commands.conftest import Play
from tests.commands.scenarios import Scenario, Step, deviates, scenario, scenarios
from tests.services.mariadb import MariaDB
from tests.services.process import wait_until
from tests.services.raw_client import ConnectionClosed, RawClient
from tests.services.redis_oracle import RedisOracle
from tests.services.rowdis import Rowdis

POLL_LIMIT_S = 10.0


@scenarios(
    scenario("FLUSHALL empties all databases", "SET a 1", "SELECT 1", "SET a 2", "FLUSHALL", "GET a", "SELECT 0",
             "GET a", "SET a 3", "FLUSHALL ASYNC", "GET a", "SET a 4", "FLUSHALL sync", "GET a", "SET a 5", "GET a"),
    scenario("FLUSHDB empties one database", "SET a 1", "SELECT 1", "SET a 2", "FLUSHDB", "GET a", "SELECT 0", "GET a",
             "FLUSHDB ASYNC", "GET a"),
    scenario("options are checked", "FLUSHALL a", "FLUSHALL SYNC a", "FLUSHALL ASYNC SYNC", "FLUSHDB a",
             "FLUSHDB SYNC a"),
    scenario("SWAPDB exchanges two databases", "SET a 0", "SET b 0", "SELECT 1", "SET a 1", "SWAPDB 0 1", "GET a",
             "GET b", "SELECT 0", "GET a", "GET b", "SWAPDB 1 0", "GET a", "SWAPDB 0 0", "GET a", "SWAPDB 3 4"),
    scenario("SWAPDB checks its numbers", "SWAPDB", "SWAPDB 0", "SWAPDB a b", "SWAPDB 0 b", "SWAPDB a 0", "SWAPDB 0 16",
             "SWAPDB 16 0", "SWAPDB -1 0", "SWAPDB 99999999999 0", "SWAPDB 0 99999999999", "SWAPDB a 99"),
    scenario("FLUSHALL and SWAPDB in a pipeline with others", "SET a 1", "GET a", "FLUSHALL", "SET b 2", "MGET a b",
             "SWAPDB 0 2", "MGET a b", "SELECT 2", "MGET a b"),
)  # fmt: skip
def test_databases(play: Play, case: Scenario) -> None:
    play(case)


def _is_role_of_master(ours: bytes, theirs: bytes) -> bool:
    """Redis counts what replicas would have got, since a command made it begin with that."""
    counted = re.sub(rb":\d+", b":0", theirs)
    return ours == counted == b"*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n"


@scenarios(
    scenario("roles and saves", Step((b"ROLE",), _is_role_of_master), "ROLE a", "SAVE", "SAVE a", "LASTSAVE a",
             "BGSAVE a", "BGSAVE SCHEDULE a", "BGREWRITEAOF a", "TIME a"),
    scenario("a save may begin while one runs", "MULTI", "BGSAVE", "BGSAVE",
             deviates("EXEC", "saves", b"*2\r\n" + 2 * b"+Background saving started\r\n")),
    scenario("WAIT counts no replicas", "SET a 1", "WAIT 0 0", "WAIT 1 10", "WAIT -1 10", "WAIT a 0", "WAIT 0 a",
             "WAIT 0 -1", "WAIT a a", "WAIT a -1", "WAIT", "WAIT 1"),
    scenario("WAITAOF checks its numbers", "WAITAOF", "WAITAOF 2 0 0", "WAITAOF -1 0 0", "WAITAOF a 0 0",
             "WAITAOF 0 a 0", "WAITAOF 0 -1 0", "WAITAOF 0 0 a", "WAITAOF 0 0 -1", "WAITAOF 2 a a"),
    scenario("SHUTDOWN that is not one", "SHUTDOWN a", "SHUTDOWN ABORT", "SHUTDOWN ABORT NOSAVE",
             "SHUTDOWN SAVE NOSAVE", "SHUTDOWN NOW a", "PING"),
    scenario("DEBUG is not allowed", "DEBUG SLEEP 0", "DEBUG", "DEBUG OBJECT a", "DEBUG NOSUCH"),
    scenario("LOLWUT checks its version", "LOLWUT VERSION a"),
)  # fmt: skip
def test_server_commands(play: Play, case: Scenario, oracle: RedisOracle) -> None:
    # Redis refuses SAVE while a save of an earlier scenario is being written.
    with oracle.client(2) as real:
        wait_until(
            lambda: b"rdb_bgsave_in_progress:0" in real.call("INFO", "persistence"), POLL_LIMIT_S, "redis has saved"
        )
    play(case)


def test_background_saves_are_told_to_have_begun(client: RawClient) -> None:
    for _ in range(2):
        assert client.call("BGSAVE") == b"+Background saving started\r\n"
        assert client.call("BGSAVE", "SCHEDULE") == b"+Background saving started\r\n"
        assert client.call("BGREWRITEAOF") == b"+Background append only file rewriting started\r\n"


def test_time_is_the_databases_and_last_save_is_now(client: RawClient) -> None:
    seconds = int(re.findall(rb"\r\n(\d{9,})\r\n", client.call("TIME"))[0])
    assert abs(seconds - time.time()) < 5
    assert int(client.call("LASTSAVE")[1:]) - seconds in (0, 1)


def test_every_write_counts_as_synced_here(client: RawClient) -> None:
    client.call("SET", "a", 1)
    assert client.call("WAITAOF", 1, 0, 0) == b"*2\r\n:1\r\n:0\r\n"
    assert client.call("WAITAOF", 0, 1, 10) == b"*2\r\n:1\r\n:0\r\n"


def test_memory_usage_grows_with_the_value(client: RawClient) -> None:
    client.pipeline([("SET", "small", "x"), ("SET", "large", b"x" * 100_000)])
    small, large = (int(client.call("MEMORY", "USAGE", name)[1:]) for name in ("small", "large"))
    assert 0 < small < 1000
    assert 100_000 < large < 110_000
    assert client.call("MEMORY", "USAGE", "small", "SAMPLES", 0) == b":%d\r\n" % small


def test_lolwut_draws_and_tells_the_version(client: RawClient) -> None:
    one, other = client.call("LOLWUT"), client.call("LOLWUT", "VERSION", 5)
    assert one != other
    assert b"Redis ver. 7.4.0\n" in one
    assert one.decode().count("\n") > 10


# -- servers with settings of their own


@pytest.fixture(scope="module")
def own(mariadb: MariaDB) -> Iterator[Rowdis]:
    """A Rowdis that listens on all addresses and lets DEBUG be used; only this module talks to it."""
    options = ["--bind", "0.0.0.0", "--enable-debug-command", "yes"]
    with Rowdis(mariadb.create_database("rowdis_own"), options) as server:
        yield server


@pytest.fixture(scope="module")
def debuggable() -> Iterator[RedisOracle]:
    with RedisOracle(["--enable-debug-command", "yes"]) as server:
        yield server


@contextlib.contextmanager
def changed(server: Rowdis, name: str, value: str, back: str) -> Iterator[None]:
    """With a setting other than usual."""
    # Two connections: the setting may end the first, or keep others out.
    with server.client() as client:
        assert client.call("CONFIG", "SET", name, value) == b"+OK\r\n"
        try:
            yield
        finally:
            with contextlib.suppress(ConnectionClosed):
                client.call("CONFIG", "SET", name, back)
    with server.client() as client:
        assert client.call("CONFIG", "SET", name, back) == b"+OK\r\n"


def test_debug_sleep_delays_only_its_own_client(own: Rowdis) -> None:
    with own.client() as sleeper, own.client() as other:
        start = time.monotonic()
        sleeper.send_raw(b"SET a 1\r\nDEBUG SLEEP 0.3\r\nGET a\r\n")
        assert other.call("PING") == b"+PONG\r\n"
        assert time.monotonic() - start < 0.25
        assert [sleeper.read() for _ in range(3)] == [b"+OK\r\n", b"+OK\r\n", b"$1\r\n1\r\n"]
        assert time.monotonic() - start >= 0.3
        start = time.monotonic()
        sleeper.pipeline([("MULTI",), ("DEBUG", "SLEEP", "0.2"), ("GET", "a")])
        assert sleeper.call("EXEC") == b"*2\r\n+OK\r\n$1\r\n1\r\n"
        assert time.monotonic() - start >= 0.2


def test_debug_answers_as_redis_does(own: Rowdis, debuggable: RedisOracle) -> None:
    for words in (["SLEEP"], ["SLEEP", "abc"], ["SLEEP", "0"], ["SLEEP", "0", "0"], ["OBJECT"], ["OBJECT", "nosuch"],
                  ["NOSUCH"], ["OBJECT", "a", "b"], ["JMAP"]):  # fmt: skip
        with own.client() as ours, debuggable.client() as theirs:
            assert ours.call("DEBUG", *words) == theirs.call("DEBUG", *words), words
    with own.client() as client:
        client.call("SET", "n", 12)
        described = client.call("DEBUG", "OBJECT", "n")
    assert re.fullmatch(
        rb"\+Value at:0x[0-9a-f]+ refcount:1 encoding:int serializedlength:2 lru:\d+ lru_seconds_idle:0\r\n", described
    )


def test_password_set_at_run_time_holds_for_new_clients_only(own: Rowdis, debuggable: RedisOracle) -> None:
    script = [
        ("PING",), ("GET", "a"), ("NOSUCH",), ("GET",), ("EXEC",), ("EXEC", "a"), ("MULTI",),
        ("HELLO", 2, "AUTH", "default", "wrong"), ("AUTH", "wrong"), ("AUTH", "default", "wrong"),
        ("AUTH", "nobody", "secret"), ("AUTH",), ("AUTH", "a", "b", "c"), ("RESET",), ("AUTH", "secret"), ("PING",),
        ("AUTH", "wrong"), ("PING",), ("RESET",), ("PING",), ("AUTH", "default", "secret"), ("PING",), ("ECHO", "a"),
    ]  # fmt: skip
    heard = []
    for server in (own, debuggable):
        with server.client() as before:
            before.call("CONFIG", "SET", "requirepass", "secret")
            try:
                with RawClient(("127.0.0.1", server.port)) as after, RawClient(("127.0.0.1", server.port)) as waiting:
                    replies = [after.call(*words) for words in script]
                    replies += [before.call("PING"), waiting.call("PING")]
                    replies.append(before.call("CONFIG", "SET", "requirepass", ""))
                    # Without a password everybody is in, also who could not get in before.
                    replies.append(waiting.call("PING"))
                    heard.append(replies)
            finally:
                before.call("CONFIG", "SET", "requirepass", "")
    assert heard[0] == heard[1]


def test_hello_without_a_password_says_how_to_give_it(own: Rowdis) -> None:
    with own.client() as before:
        before.call("CONFIG", "SET", "requirepass", "secret")
        try:
            with RawClient(("127.0.0.1", own.port)) as client:
                for words in (["HELLO"], ["HELLO", 3], ["HELLO", 2, "SETNAME", "x"]):
                    assert client.call(*words) == (
                        b"-NOAUTH HELLO must be called with the client already authenticated, otherwise the "
                        b"HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select "
                        b"the RESP protocol version at the same time\r\n"
                    )
                assert client.call("HELLO", 3, "AUTH", "default", "secret", "SETNAME", "me").startswith(b"%7\r\n")
                assert client.call("CLIENT", "GETNAME") == b"$2\r\nme\r\n"
        finally:
            before.call("CONFIG", "SET", "requirepass", "")


def test_one_client_more_than_maxclients_is_turned_away(own: Rowdis) -> None:
    with own.client() as client:
        count = client.call("CLIENT", "LIST").count(b"id=")
    with changed(own, "maxclients", str(count + 1), "10000"):
        with own.client() as one:
            assert one.call("PING") == b"+PONG\r\n"
            with RawClient(("127.0.0.1", own.port)) as other:
                assert other.read_to_end() == b"-ERR max number of clients reached\r\n"
        assert b"rejected_connections:0" not in own.call("INFO", "stats")


def test_idle_client_is_closed_after_the_timeout_and_a_busy_one_is_not(own: Rowdis) -> None:
    with changed(own, "timeout", "1", "0"), own.client() as idle, own.client() as busy:
        assert idle.call("PING") == b"+PONG\r\n"
        deadline = time.monotonic() + POLL_LIMIT_S
        while idle.silent(0.2):
            assert busy.call("PING") == b"+PONG\r\n"
            assert time.monotonic() < deadline
        assert busy.call("PING") == b"+PONG\r\n"


def _own_address() -> str | None:
    """An address of this machine that is not loopback."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("192.0.2.1", 9))
        address: str = sock.getsockname()[0]
        return None if address.startswith(("127.", "0.")) else address
    return None


def test_protected_mode_serves_this_machine_only_until_there_is_a_password(own: Rowdis) -> None:
    address = _own_address()
    if address is None:
        pytest.skip("this machine has no address but loopback")
    with RawClient((address, own.port)) as outside:
        assert outside.read_to_end().startswith(b"-DENIED ")
    with changed(own, "protected-mode", "no", "yes"), RawClient((address, own.port)) as outside:
        assert outside.call("PING") == b"+PONG\r\n"
    with changed(own, "requirepass", "secret", ""), RawClient((address, own.port)) as outside:
        assert outside.call("PING").startswith(b"-NOAUTH ")
        assert outside.call("AUTH", "secret") == b"+OK\r\n"


@pytest.mark.parametrize("words", [[], ["NOSAVE"], ["SAVE"], ["NOW"], ["FORCE", "NOW", "NOSAVE"]], ids=" ".join)
def test_shutdown_ends_the_program_with_what_was_sent_before_it_answered(mariadb: MariaDB, words: list[str]) -> None:
    with Rowdis(mariadb.create_database("rowdis_shutdown")) as server:
        with server.client() as client, server.client() as other:
            assert other.call("PING") == b"+PONG\r\n"
            client.send("SET", "a", 1)
            client.send("SHUTDOWN", *words)
            client.send("SET", "a", 2)
            assert client.read_to_end() == b"+OK\r\n"
            with contextlib.suppress(ConnectionClosed):
                other.read_to_end()
        deadline = time.monotonic() + POLL_LIMIT_S
        while server.process.running:
            assert time.monotonic() < deadline
        server.start()
        assert server.call("GET", "a") == b"$1\r\n1\r\n"


def test_debug_is_for_this_machine_where_it_is_local(mariadb: MariaDB) -> None:
    address = _own_address()
    options = ["--enable-debug-command", "local", "--protected-mode", "no", "--bind", "0.0.0.0"]
    with Rowdis(mariadb.create_database("rowdis_local"), options) as server:
        assert server.call("DEBUG", "SLEEP", 0) == b"+OK\r\n"
        if address is not None:
            with RawClient((address, server.port)) as outside:
                assert outside.call("DEBUG", "SLEEP", 0).startswith(b"-ERR DEBUG command not allowed.")
