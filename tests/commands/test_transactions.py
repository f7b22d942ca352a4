"""Transactions, compared with redis-server."""

import pytest

from tests.commands.conftest import Play
from tests.commands.dialogues import Dialogue, dialogue, dialogues, hold
from tests.commands.masks import alike
from tests.commands.scenarios import Scenario, deviates, scenario, scenarios
from tests.conftest import Combination
from tests.services.raw_client import RawClient
from tests.services.redis_oracle import RedisOracle
from tests.services.rowdis import Rowdis


@scenarios(
    scenario("commands are queued and executed together", "MULTI", "SET a 1", "INCR a", "GET a", "EXEC", "GET a"),
    scenario("an empty transaction", "MULTI", "EXEC"),
    scenario("DISCARD forgets", "MULTI", "SET a 1", "DISCARD", "GET a", "DISCARD", "EXEC"),
    scenario("nesting is refused and changes nothing", "MULTI", "MULTI", "WATCH a", "SET a 1", "EXEC"),
    scenario("outside of MULTI", "EXEC", "DISCARD", "UNWATCH", "MULTI a", "DISCARD a", "EXEC a", "UNWATCH a", "WATCH"),
    scenario("an error while queueing spoils it", "MULTI", "SET a 1", "GET", "EXEC", "GET a", "MULTI", "NOSUCH",
             "GET a", "EXEC", "MULTI", "GET a", "EXEC"),
    scenario("EXEC with an argument ends it", "MULTI", "SET a 1", "EXEC a", "GET a", "EXEC"),
    scenario("DISCARD with an argument spoils it", "MULTI", "SET a 1", "DISCARD a", "EXEC", "GET a"),
    scenario("an error while executing leaves the rest", "SET a x", "MULTI", "INCR a", "SET b 1", "EXEC", "GET b"),
    scenario("a command that is not allowed inside spoils it", "MULTI", "SAVE", "SET a 1", "EXEC", "MULTI", "SHUTDOWN",
             "DISCARD"),
    scenario("QUEUED and the error of a spoiled one", "MULTI", "GET", "SET a 1", "GET", "EXEC"),
)  # fmt: skip
def test_multi(play: Play, case: Scenario) -> None:
    play(case)


@scenarios(
    scenario("commands that need no storage", "MULTI", "PING", "ECHO a", "PING a b", "EXEC"),
    scenario("SELECT takes effect inside and behind", "SET a 0", "MULTI", "SELECT 1", "SET a 1", "SELECT 99", "GET a",
             "SELECT x", "EXEC", "GET a", "SELECT 0", "GET a"),
    scenario("SELECT does not take effect when discarded", "MULTI", "SELECT 1", "DISCARD", alike("CLIENT INFO")),
    scenario("names and settings", "MULTI", "CLIENT SETNAME me", "CLIENT GETNAME", "CONFIG GET maxmemory",
             "CLIENT NO-EVICT ON", "EXEC", "CLIENT GETNAME", alike("CLIENT INFO")),
    scenario("settings change in their turn", "MULTI", "CONFIG SET maxmemory-samples 7", "CONFIG GET maxmemory-samples",
             "CONFIG SET maxmemory-samples 5", "CONFIG SET nosuch 1", "EXEC", "CONFIG GET maxmemory-samples"),
    scenario("UNWATCH inside", "WATCH a", "MULTI", "UNWATCH", "SET a 1", "EXEC"),
    scenario("writes and other commands mixed", "MULTI", "SET a 1", "PING", "INCR a", "ECHO b", "GET a", "EXEC",
             "PING"),
    scenario("FLUSHALL and what comes after it", "SET a 1", "MULTI", "GET a", "FLUSHALL", "GET a", "SET a 2", "SET b 3",
             "EXEC", "GET a", "DBSIZE"),
    scenario("SWAPDB and what comes after it", "SET a 0", "MULTI", "SWAPDB 0 1", "GET a", "SET a 2", "SELECT 1",
             "GET a", "EXEC", "GET a", "SELECT 0", "GET a"),
    scenario("WAIT does not wait", "MULTI", "SET a 1", "WAIT 1 0", "EXEC"),
    scenario("COMMAND inside", "MULTI", "COMMAND GETKEYS GET a", "EXEC"),
    scenario("AUTH inside", "MULTI", "AUTH default x", "AUTH x", "EXEC"),
    # Redis 7.4 says nothing to a wrong user where other replies are waiting to be sent, and EXEC comes to no end.
    scenario("AUTH of an unknown user inside", "MULTI", "AUTH nobody x", "EXEC", oracle="redis70"),
    scenario("two transactions in a row", "MULTI", "INCR a", "EXEC", "MULTI", "INCR a", "EXEC", "GET a"),
)  # fmt: skip
def test_what_is_inside(play: Play, case: Scenario) -> None:
    play(case)


@scenarios(
    scenario("nothing changed", "SET a 1", "WATCH a b", "MULTI", "GET a", "EXEC"),
    scenario("one's own write counts", "WATCH a", "SET a 1", "MULTI", "GET a", "EXEC", "MULTI", "GET a", "EXEC"),
    scenario("one's own write before WATCH does not", "SET a 1", "WATCH a", "MULTI", "INCR a", "EXEC"),
    scenario("UNWATCH forgets", "WATCH a", "SET a 1", "UNWATCH", "MULTI", "GET a", "EXEC"),
    scenario("DISCARD forgets", "WATCH a", "SET a 1", "MULTI", "DISCARD", "MULTI", "GET a", "EXEC"),
    scenario("EXEC forgets, also a spoiled one", "WATCH a", "SET a 1", "MULTI", "GET", "EXEC", "MULTI", "GET a",
             "EXEC"),
    scenario("the first WATCH of a key counts", "WATCH a", "SET a 1", "WATCH a", "MULTI", "GET a", "EXEC"),
    scenario("an absent key that appears", "WATCH a", "SET a 1", "MULTI", "EXEC"),
    scenario("a key that goes", "SET a 1", "WATCH a", "DEL a", "MULTI", "EXEC"),
    scenario("a key that goes and comes back as it was", "SET a 1", "WATCH a", "DEL a", "SET a 1", "MULTI", "EXEC"),
    scenario("the same value written again", "SET a 1", "WATCH a", "SET a 1", "MULTI", "EXEC"),
    scenario("only its expiry changed", "SET a 1", "WATCH a", "EXPIRE a 100", "MULTI", "EXEC"),
    scenario("commands that change nothing", "SET a 1", "WATCH a b", "DEL b", "PERSIST a", "SETNX a 2", "MULTI",
             "GET a", "EXEC"),
    scenario("other databases have other keys", "SELECT 1", "WATCH a", "SELECT 0", "SET a 1", "MULTI", "EXEC",
             "WATCH a", "SELECT 1", "SET a 1", "MULTI", "EXEC"),
    scenario("watched in the database of that time", "WATCH a", "SELECT 1", "SET a 1", "SELECT 0", "SET a 1", "MULTI",
             "EXEC"),
    scenario("FLUSHALL of watched keys", "SET a 1", "WATCH a", "FLUSHALL", "MULTI", "EXEC"),
    scenario("FLUSHALL of absent watched keys", "SET b 1", "WATCH a", "FLUSHALL", "MULTI", "EXEC"),
    scenario("SWAPDB of watched keys", "SET a 1", "WATCH a", "SWAPDB 0 1", "MULTI", "EXEC"),
    scenario("SELECT inside of an EXEC that fails", "WATCH a", "SET a 1", "MULTI", "SELECT 5", "EXEC",
             alike("CLIENT INFO")),
    scenario("an absent key that comes and goes", "WATCH a", "SET a 1", "DEL a", "MULTI",
             deviates("EXEC", "watch-absent", b"*0\r\n")),
    scenario("WATCH of one key twice in a command", "WATCH a a", "MULTI", "SET a 1", "EXEC"),
)  # fmt: skip
def test_watch(play: Play, case: Scenario) -> None:
    play(case)


@dialogues(
    dialogue("another client's write ends it", "a> SET k 1", "a> WATCH k", "b> SET k 2", "a> MULTI", "a> GET k",
             "a> EXEC", "a> MULTI", "a> GET k", "a> EXEC"),
    dialogue("a write after MULTI ends it as well", "a> WATCH k", "a> MULTI", "b> SET k 2", "a> GET k", "a> EXEC"),
    dialogue("another client's write to another key does not", "a> WATCH k", "b> SET other 2", "a> MULTI", "a> PING",
             "a> EXEC"),
    dialogue("two watch, one wins", "a> WATCH k", "b> WATCH k", "a> MULTI", "b> MULTI", "a> INCR k", "b> INCR k",
             "a> EXEC", "b> EXEC", "a> GET k"),
    dialogue("queued commands are not executed yet", "a> MULTI", "a> SET k 1", "b> GET k", "a> EXEC", "b> GET k"),
    dialogue("the transaction of a client that leaves is forgotten", "a> MULTI", "a> SET k 1", "a> QUIT", "b> GET k"),
    dialogue("an expiry in the past ends it", "a> SET k 1", "a> WATCH k", "b> PEXPIREAT k 1", "a> MULTI", "a> EXEC"),
    dialogue("RESET inside MULTI", "a> MULTI", "a> SET k 1", "a> RESET", "a> GET k", "a> EXEC"),
)  # fmt: skip
def test_watch_between_clients(rowdis: Rowdis, oracle: RedisOracle, combination: Combination, case: Dialogue) -> None:
    hold(case, lambda: rowdis.client(combination.protocol), lambda: oracle.client(combination.protocol))


def test_expiry_of_a_watched_key_ends_it(rowdis: Rowdis, oracle: RedisOracle) -> None:
    for server in (rowdis, oracle):
        with server.client() as client, server.client() as other:
            client.pipeline([("SET", "k", 1, "PX", 50), ("WATCH", "k"), ("MULTI",), ("PING",)])
            while other.call("EXISTS", "k") == b":1\r\n":
                pass
            assert client.call("EXEC") == b"*-1\r\n"


def test_exec_with_ten_thousand_commands(client: RawClient) -> None:
    client.call("MULTI")
    replies = client.pipeline([("INCR", f"k{n % 100}") for n in range(10_000)])
    assert set(replies) == {b"+QUEUED\r\n"}
    reply = client.call("EXEC")
    assert reply.startswith(b"*10000\r\n")
    assert reply.endswith(b":100\r\n" * 100)


@pytest.mark.parametrize("clients", [4])
def test_watch_loops_of_several_clients_lose_no_update(rowdis: Rowdis, client: RawClient, clients: int) -> None:
    others = [rowdis.client() for _ in range(clients)]
    target = 25
    client.call("SET", "n", 0)
    done = 0
    rounds = 0
    while done < target:
        rounds += 1
        assert rounds <= target
        # All read the same number; of all their EXECs exactly one may succeed.
        for other in others:
            other.pipeline([("WATCH", "n"), ("GET", "n")])
        for other in others:
            other.pipeline([("MULTI",), ("SET", "n", done + 1)])
            other.send("EXEC")
        replies = [other.read() for other in others]
        assert replies.count(b"*1\r\n+OK\r\n") == 1
        assert replies.count(b"*-1\r\n") == clients - 1
        done += 1
    assert client.call("GET", "n").endswith(b"\r\n%d\r\n" % target)
    for other in others:
        other.close()
