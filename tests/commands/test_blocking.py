"""Clients that wait for data, compared with the real server: who is served, in which order, what ends the waiting."""

import contextlib
import time

import pytest

from server.blocking import MAX_CLAIMED, POLL_S
from tests.commands.conftest import Play
from tests.commands.dialogues import Dialogue, blocked_clients, dialogue, dialogues, hold, wait_until_blocked
from tests.commands.scenarios import Scenario, scenario, scenarios
from tests.conftest import Combination
from tests.services.raw_client import RawClient
from tests.services.redis_oracle import RedisOracle
from tests.services.rowdis import Rowdis


@dialogues(
    dialogue("a push feeds who waits", "a* BLPOP k 0", "b> RPUSH k 1", "a=", "b> EXISTS k"),
    dialogue("BRPOP takes the last of what is pushed at once", "a* BRPOP k 0", "b> RPUSH k 1 2 3", "a=",
             "b> LRANGE k 0 -1"),
    dialogue("who blocked first is served first", "a* BLPOP k 0", "b* BLPOP k 0", "c* BRPOP k 0", "d> RPUSH k 1 2",
             "a=", "b=", "d> RPUSH k 3", "c=", "d> EXISTS k"),
    dialogue("one push feeds several", "a* BLPOP k 0", "b* BLPOP k 0", "c> RPUSH k 1 2 3", "a=", "b=",
             "c> LRANGE k 0 -1"),
    dialogue("several keys, one is fed", "a* BLPOP x y z 0", "b> RPUSH y 1", "a=", "b> EXISTS x y z"),
    dialogue("the fed client takes part in others' queues no more", "a* BLPOP x y 0", "b* BLPOP y 0",
             "c> RPUSH x 1", "a=", "c> RPUSH y 2", "b="),
    dialogue("a transaction feeds when it is over", "a* BLPOP k 0", "b> MULTI", "b> RPUSH k 1", "b> RPUSH k 2",
             "b> LPOP k", "b> EXEC", "a=", "b> EXISTS k"),
    dialogue("what a transaction takes away again feeds nobody", "a* BLPOP k 0", "b> MULTI", "b> RPUSH k 1",
             "b> DEL k", "b> EXEC", "b> RPUSH k 2", "a="),
    dialogue("MULTI does not wait", "a> MULTI", "a> BLPOP k 0", "a> BLMOVE k l LEFT LEFT 0", "a> BRPOPLPUSH k l 0",
             "a> BLMPOP 0 1 k LEFT", "a> BZPOPMIN k 0", "a> BZMPOP 0 1 k MIN", "a> XREAD BLOCK 0 STREAMS k 0",
             "a> EXEC"),
    dialogue("BLMOVE moves what comes", "a* BLMOVE k l LEFT RIGHT 0", "b> RPUSH k 1 2", "a=", "b> LRANGE l 0 -1",
             "b> LRANGE k 0 -1"),
    dialogue("a chain of moves", "a* BLMOVE k l LEFT RIGHT 0", "b* BLMOVE l m LEFT RIGHT 0", "c* BLPOP m 0",
             "d> RPUSH k 1", "a=", "b=", "c=", "d> EXISTS k l m"),
    dialogue("BRPOPLPUSH onto the same key", "a* BRPOPLPUSH k k 0", "b> RPUSH k 1", "a=", "b> LRANGE k 0 -1"),
    dialogue("a target of another type is the waiter's error", "b> SET l x", "a* BLMOVE k l LEFT RIGHT 0",
             "b> RPUSH k 1", "a=", "b> LRANGE k 0 -1"),
    dialogue("a key of another type feeds nobody", "a* BLPOP k 0", "b> SET k 1", "b> DEL k", "b> ZADD k 1 x",
             "b> DEL k", "b> RPUSH k 1", "a="),
    dialogue("BLMPOP takes up to COUNT", "a* BLMPOP 0 2 x y RIGHT COUNT 2", "b> RPUSH y 1 2 3", "a=",
             "b> LRANGE y 0 -1"),
    dialogue("RENAME feeds", "a* BLPOP k 0", "b> RPUSH l 1", "b> RENAME l k", "a="),
    dialogue("LMOVE feeds", "a* BLPOP k 0", "b> RPUSH l 1", "b> LMOVE l k LEFT LEFT", "a="),
    dialogue("COPY feeds", "a* BLPOP k 0", "b> RPUSH l 1", "b> COPY l k", "a=", "b> LRANGE l 0 -1"),
    dialogue("MOVE feeds", "a* BLPOP k 0", "b> SELECT 1", "b> RPUSH k 1", "b> MOVE k 0", "a="),
    dialogue("SORT with STORE feeds", "a* BLPOP k 0", "b> RPUSH l 2 1", "b> SORT l STORE k", "a=", "b> LRANGE k 0 -1"),
    dialogue("another database feeds nobody here", "a* BLPOP k 0", "b> SELECT 1", "b> RPUSH k 1", "b> SELECT 0",
             "b> RPUSH k 2", "a="),
    dialogue("BZPOPMIN and BZPOPMAX", "a* BZPOPMIN z 0", "b* BZPOPMAX z 0", "c> ZADD z 1 x 2 y 3 w", "a=", "b=",
             "c> ZRANGE z 0 -1"),
    dialogue("BZMPOP", "a* BZMPOP 0 2 y z MAX COUNT 2", "b> ZADD z 1 x 2 y 3 w", "a=", "b> ZRANGE z 0 -1"),
    dialogue("ZADD INCR and ZUNIONSTORE feed", "a* BZPOPMIN z 0", "b> ZADD z INCR 1 x", "a=", "c* BZPOPMIN z 0",
             "b> ZADD y 1 x", "b> ZUNIONSTORE z 1 y", "c="),
    dialogue("XREAD waits for new entries", "b> XADD s 1-1 f v", "a* XREAD BLOCK 0 STREAMS s $",
             "b> XADD s 2-1 f w", "a="),
    dialogue("all readers are told", "a* XREAD BLOCK 0 STREAMS s 0", "b* XREAD BLOCK 0 STREAMS s $",
             "c> XADD s 1-1 f v", "a=", "b=", "c> XLEN s"),
    dialogue("XREAD of several streams", "a* XREAD COUNT 1 BLOCK 0 STREAMS s t $ $", "b> XADD t 1-1 f v", "a="),
    dialogue("XREADGROUP waits, each entry goes to one consumer", "c> XGROUP CREATE s g $ MKSTREAM",
             "a* XREADGROUP GROUP g x BLOCK 0 STREAMS s >", "b* XREADGROUP GROUP g y BLOCK 0 STREAMS s >",
             "c> XADD s 1-1 f v", "a=", "c> XADD s 2-1 f w", "b=", "c> XPENDING s g"),
    dialogue("the commands behind a waiting one wait", "a? BLPOP k 0", "a? SET x 1", "b> GET x", "b> RPUSH k 1",
             "a=", "a="),
    dialogue("a time-out", "a> BLPOP k 0.01", "a> BRPOP k 0.01", "a> BLMOVE k l LEFT LEFT 0.01",
             "a> BLMPOP 0.01 1 k LEFT", "a> BZPOPMIN k 0.01", "a> BZMPOP 0.01 1 k MAX",
             "a> XREAD BLOCK 10 STREAMS k 0", "a> BRPOPLPUSH k l 0.01"),
    dialogue("time-outs that are none", "a> BLPOP k x", "a> BLPOP k -1", "a> BLPOP k nan", "a> BZPOPMIN k -1",
             "a> BLMOVE k l LEFT LEFT -0.5", "a> XREAD BLOCK -1 STREAMS k 0", "a> XREAD BLOCK 1.5 STREAMS k 0"),
    dialogue("waiting again at once", "a* BLPOP k 0", "b> RPUSH k 1", "a=", "a* BLPOP k 0", "b> RPUSH k 2", "a="),
    dialogue("FLUSHALL feeds nobody", "a* BLPOP k 0", "b> FLUSHALL", "b> RPUSH k 1", "a="),
    dialogue("SWAPDB feeds", "a* BLPOP k 0", "b> SELECT 1", "b> RPUSH k 1", "b> SWAPDB 0 1", "a="),
)  # fmt: skip
def test_waiting(rowdis: Rowdis, oracle: RedisOracle, combination: Combination, case: Dialogue) -> None:
    hold(case, lambda: rowdis.client(combination.protocol), lambda: oracle.client(combination.protocol))


@scenarios(
    scenario("time-outs that end too late", "BLPOP k 1e300", "BLPOP k inf", "BZPOPMIN k 9223372036854775",
             "BLPOP k -inf", "BLMPOP 1e17 1 k LEFT", "XREAD BLOCK 9223372036854775807 STREAMS k 0", oracle="redis74"),
)  # fmt: skip
def test_time_outs_out_of_range(play: Play, case: Scenario) -> None:
    play(case)


def client_id(client: RawClient) -> bytes:
    return client.call("CLIENT", "ID")[1:-2]


@pytest.mark.parametrize("reason", [(), ("TIMEOUT",), ("ERROR",)])
def test_client_unblock_ends_the_waiting(
    rowdis: Rowdis, oracle: RedisOracle, combination: Combination, reason: tuple[str, ...]
) -> None:
    heard = []
    for server in (rowdis, oracle):
        with server.client(combination.protocol) as waiter, server.client(combination.protocol) as other:
            number = client_id(waiter)
            assert other.call("CLIENT", "UNBLOCK", number, *reason) == b":0\r\n"
            waiter.send("BLPOP", "k", 0)
            wait_until_blocked(other, 1)
            told = [other.call("CLIENT", "UNBLOCK", number, *reason), waiter.read()]
            told += [other.call("RPUSH", "k", 1), waiter.call("BLPOP", "k", 0), other.call("CLIENT", "UNBLOCK", number)]
            heard.append(told)
    assert heard[0] == heard[1]


def test_a_client_that_leaves_while_it_waits_takes_nothing(rowdis: Rowdis) -> None:
    with rowdis.client() as client:
        client.call("FLUSHALL")
        wait_until_blocked(client, 0)
        leaving = [rowdis.client() for _ in range(3)]
        for waiter in leaving:
            waiter.send("BLPOP", "k", 0)
        wait_until_blocked(client, 3)
        leaving[0].close()
        wait_until_blocked(client, 2)
        assert client.call("CLIENT", "KILL", "ID", client_id_of_other(client, b"blpop")) == b":1\r\n"
        wait_until_blocked(client, 1)
        assert client.call("RPUSH", "k", 1) == b":1\r\n"
        found = [waiter for waiter in leaving[1:] if waiter.socket.recv(100, 0x02)]  # MSG_PEEK
        assert len(found) == 1
        assert found[0].read() == b"*2\r\n$1\r\nk\r\n$1\r\n1\r\n"
        for waiter in leaving[1:]:
            waiter.close()


def client_id_of_other(client: RawClient, command: bytes) -> bytes:
    lines = client.call("CLIENT", "LIST").split(b"\n")
    return next(line.split(b"id=")[1].split(b" ")[0] for line in lines if b"cmd=" + command in line)


def test_the_flag_and_the_count_of_waiting_clients(rowdis: Rowdis) -> None:
    with rowdis.client() as waiter, rowdis.client() as other:
        other.call("FLUSHALL")
        waiter.send("BLPOP", "k", 0)
        wait_until_blocked(other, 1)
        line = next(line for line in other.call("CLIENT", "LIST").split(b"\n") if b"cmd=blpop" in line)
        assert b" flags=b " in line
        other.call("RPUSH", "k", 1)
        waiter.read()
        assert blocked_clients(other) == 0


def test_time_outs_are_exact_to_milliseconds(rowdis: Rowdis) -> None:
    with rowdis.client() as client:
        client.call("FLUSHALL")
        for timeout_s in (0.05, 0.2, 0.333):
            start = time.monotonic()
            client.call("BLPOP", "k", timeout_s)
            # Never early; how late depends on what else the machine does.
            assert timeout_s <= time.monotonic() - start < timeout_s + 1.0


def test_a_thousand_waiters_are_each_given_one_element(rowdis: Rowdis) -> None:
    count = 1000
    with rowdis.client() as client:
        client.call("FLUSHALL")
        wait_until_blocked(client, 0)
        waiters = [rowdis.client() for _ in range(count)]
        for waiter in waiters:
            waiter.send("BLPOP", "k", 0)
        wait_until_blocked(client, count)
        for start in range(0, count, 250):
            client.call("RPUSH", "k", *range(start, start + 250))
        given = sorted(int(waiter.read().split(b"\r\n")[4]) for waiter in waiters)
        assert given == list(range(count))
        assert client.call("EXISTS", "k") == b":0\r\n"
        for waiter in waiters:
            waiter.close()


def test_nothing_is_done_for_those_who_wait_on(rowdis: Rowdis) -> None:
    """Of more waiters than one batch serves."""
    with contextlib.ExitStack() as stack:
        client = stack.enter_context(rowdis.client())
        client.call("FLUSHALL")
        wait_until_blocked(client, 0)
        waiters = [stack.enter_context(rowdis.client()) for _ in range(MAX_CLAIMED + 20)]
        for waiter in waiters:
            waiter.send("BLPOP", "k", 0)
        wait_until_blocked(client, len(waiters))
        client.call("RPUSH", "k", "x")
        # Whoever was served, and whatever was to be looked at behind it.
        wait_until_blocked(client, len(waiters) - 1)
        client.call("RPUSH", "other", "x")
        before = storage_units(client, writing=True)
        time.sleep(0.3)
        assert storage_units(client, writing=True) == before


def test_streams_feed_more_readers_than_one_batch_serves(rowdis: Rowdis) -> None:
    with contextlib.ExitStack() as stack:
        client = stack.enter_context(rowdis.client())
        client.call("FLUSHALL")
        wait_until_blocked(client, 0)
        readers = [stack.enter_context(rowdis.client()) for _ in range(2 * MAX_CLAIMED + 20)]
        for reader in readers:
            reader.send("XREAD", "BLOCK", 0, "STREAMS", "s", "$")
        wait_until_blocked(client, len(readers))
        start = time.monotonic()
        client.call("XADD", "s", "1-1", "f", "v")
        assert len({reader.read() for reader in readers}) == 1
        assert time.monotonic() - start < 2.0


def test_who_begins_to_wait_in_the_batch_that_feeds_it_is_fed_at_once(rowdis: Rowdis) -> None:
    """And not only when the keys of blocked clients are looked at the next time."""
    with rowdis.client() as waiter, rowdis.client() as other, rowdis.client() as control:
        control.call("FLUSHALL")
        wait_until_blocked(control, 0)
        took = []
        for number in range(5):
            control.call("CLIENT", "PAUSE", 60_000, "WRITE")
            waiter.send("BLPOP", "k", 0)
            wait_for_command(control, b"blpop")
            other.send("RPUSH", "k", number)
            wait_for_command(control, b"rpush")
            start = time.monotonic()
            control.call("CLIENT", "UNPAUSE")
            assert other.read() == b":1\r\n"
            assert waiter.read() == b"*2\r\n$1\r\nk\r\n$1\r\n%d\r\n" % number
            took.append(time.monotonic() - start)
            other.call("PING")
            waiter.call("PING")
        assert min(took) < POLL_S / 2


def test_commands_on_whole_databases_do_not_multiply_the_looks_at_keys(rowdis: Rowdis) -> None:
    """Each of them has the keys of blocked clients looked at, once."""
    with contextlib.ExitStack() as stack:
        waiter, *others = [stack.enter_context(rowdis.client()) for _ in range(5)]
        others[0].call("FLUSHALL")
        # So many keys that a look takes longer than a command.
        waiter.send("BLPOP", "k", *range(500), 0)
        wait_until_blocked(others[0], 1)
        for _ in range(50):
            for other in others:
                other.send("SWAPDB", 0, 1)
            assert {other.read() for other in others} == {b"+OK\r\n"}
        before, start = storage_units(others[0]), time.monotonic()
        time.sleep(1.0)
        units = storage_units(others[0]) - before
        assert units <= (time.monotonic() - start) / POLL_S + 3
        others[0].call("RPUSH", "k", 1)
        assert waiter.read() == b"*2\r\n$1\r\nk\r\n$1\r\n1\r\n"


def wait_for_command(client: RawClient, command: bytes) -> None:
    """Wait until a client's last command is this one."""
    while b"cmd=" + command + b" " not in client.call("CLIENT", "LIST"):
        pass


def storage_units(client: RawClient, *, writing: bool = False) -> int:
    name = b"storage_writing_units:" if writing else b"storage_units:"
    return int(client.call("INFO", "storage").split(name)[1].split(b"\r\n")[0])
