"""Scripts that loop, allocate without end, meet each other or lose the database: nothing is half done."""

import hashlib
import threading
import time
from collections.abc import Iterator

import pytest

from tests.fault.world import NULL, OK, Load, World, array, bulk, integer
from tests.services.mariadb import MariaDB
from tests.services.process import wait_until
from tests.services.proxy import At, query_with
from tests.services.raw_client import RawClient

#: A key that no command names is read when the script comes to it: a trip of its own, in the middle of the unit.
INCR_THEN_LOOK = "redis.call('incr',KEYS[1]) redis.call('get','unnamed') return redis.call('incr',KEYS[1])"
MIDDLE = query_with(b"FOR UPDATE")
KEPT = "return redis.call('incr',KEYS[1])"
KEPT_SHA = hashlib.sha1(KEPT.encode()).hexdigest()

#: Loops that try not to be ended.
LOOPS = {
    "plain": "while true do end",
    "pcall": "while true do pcall(function() while true do end end) end",
    "commands": "while true do redis.pcall('get','x') end",
    "coroutine": "while true do coroutine.resume(coroutine.create(function() while true do end end)) end",
    "handler": "local f=coroutine.wrap(function() while true do xpcall(function() while true do end end,"
    "function() while true do end end) end end) while true do pcall(f) end",
    "tail calls": "local function f() return f() end f()",
    "loadstring": "loadstring('while true do end')()",
    "metamethod": "local t=setmetatable({},{__index=function() while true do end end}) "
    "while true do pcall(function() return t.x end) end",
    "sort": "while true do pcall(table.sort,{3,1,2},function() while true do end end) end",
    "gsub": "while true do pcall(string.gsub,'x','x',function() while true do end end) end",
}
HOARDS = {
    "table": "local t={} local n=0 while true do n=n+1 t[n]={n} end",
    "string": "local s='x' while true do s=s..s end",
    "protected": "local t={} "
    "while true do pcall(function() while true do t[#t+1]=string.rep('x',200000)..#t end end) end",
    "rep": "return string.rep('x',1000000000)",
}


@pytest.fixture(scope="module")
def world(mariadb: MariaDB) -> Iterator[World]:
    with World(mariadb, "fault_scripts", instances=2, options=["--busy-reply-threshold", "100"]) as world:
        yield world


@pytest.fixture(autouse=True)
def emptied(world: World) -> Iterator[None]:
    world.heal()
    assert world.call("FLUSHALL") == OK
    yield
    world.verify()


@pytest.fixture
def client(world: World) -> Iterator[RawClient]:
    with world.client() as client:
        yield client


def busy(client: RawClient) -> None:
    """Wait until clients are refused."""
    wait_until(lambda: client.call("PING").startswith(b"-BUSY"), 10, "a script keeps the server busy")


@pytest.mark.parametrize("loop", LOOPS.values(), ids=LOOPS)
def test_endless_loop_is_ended_by_script_kill(world: World, client: RawClient, loop: str) -> None:
    with world.client() as other:
        client.send("EVAL", loop, 0)
        busy(other)
        assert other.call("SCRIPT", "KILL") == OK
        assert client.read().startswith(b"-ERR Script killed by user with SCRIPT KILL... script: ")
        assert other.call("SET", "k", "v") == OK
        assert client.call("EVAL", "return redis.call('get','k')", 0) == bulk("v")


def test_who_waits_behind_a_loop_is_refused_and_can_go_on(world: World, client: RawClient) -> None:
    with world.client() as other, world.client() as third:
        client.send("EVAL", "while true do end", 0)
        wait_until(lambda: b"-BUSY" in other.call("SET", "k", "1"), 10, "a write is refused")
        assert third.call("MULTI") == OK
        assert third.call("SET", "k", "2").startswith(b"-BUSY ")
        assert third.call("EXEC").startswith(b"-EXECABORT Transaction discarded because of: BUSY ")
        assert other.call("SHUTDOWN").startswith(b"-BUSY ")
        assert other.call("SCRIPT", "KILL") == OK
        client.read()
        assert [other.call("GET", "k"), third.call("SET", "k", "3")] == [NULL, OK]


def test_script_that_has_written_is_not_killed_and_what_it_wrote_is_whole(world: World, client: RawClient) -> None:
    with world.client() as other:
        script = "redis.call('set','a',1) local s=os.clock() while os.clock()-s<0.8 do end redis.call('set','b',1)"
        client.send("EVAL", script, 0)
        busy(other)
        assert other.call("SCRIPT", "KILL").startswith(b"-UNKILLABLE ")
        assert client.read() == NULL
        assert other.call("MGET", "a", "b") == array(bulk(1), bulk(1))


def test_slow_script_does_not_hold_up_those_who_share_its_batch_for_long(world: World, client: RawClient) -> None:
    script = "local s=os.clock() while os.clock()-s<0.3 do end return redis.call('incr','n')"
    with world.client() as other:
        client.send_raw(b"")
        client.send("EVAL", script, 0)
        assert other.call("GET", "k") == NULL
        assert client.read() == b":1\r\n"
        # Known as slow by now, it is tried in company no more; it is done once all the same.
        assert client.call("EVAL", script, 0) == b":2\r\n"


@pytest.mark.parametrize("hoard", HOARDS.values(), ids=HOARDS)
def test_allocating_without_end_is_an_error(world: World, client: RawClient, hoard: str) -> None:
    with world.client() as other:
        client.send("EVAL", hoard, 0)
        if "pcall" in hoard:
            # It gets away with each error, but not with all of its time.
            busy(other)
            assert other.call("SCRIPT", "KILL") == OK
        assert client.read().startswith(b"-ERR ")
        assert client.call("EVAL", "local t={} for i=1,1000 do t[i]=i end return #t", 0) == b":1000\r\n"


def test_database_lost_in_the_middle_of_a_script_runs_it_again(world: World, client: RawClient) -> None:
    assert client.call("EVAL", INCR_THEN_LOOK, 1, "n") == b":2\r\n"
    cut = world.proxy.cut(lambda payload: MIDDLE(payload) and b"rowdis_marker" not in payload, At.SENT)
    assert client.call("EVAL", INCR_THEN_LOOK, 1, "n") == b":4\r\n"
    cut.wait()
    assert client.call("GET", "n") == bulk(4)


def test_database_away_in_the_middle_of_a_script_leaves_nothing_of_it(world: World, client: RawClient) -> None:
    assert client.call("EVAL", INCR_THEN_LOOK, 1, "n") == b":2\r\n"
    middle = world.proxy.cut(
        lambda payload: MIDDLE(payload) and b"rowdis_marker" not in payload, At.BEFORE, times=1000
    )
    assert client.call("EVAL", INCR_THEN_LOOK, 1, "n").startswith(b"-UNAVAILABLE ")
    assert middle.count
    world.heal()
    assert client.call("GET", "n") == bulk(2)


def test_commit_of_a_script_is_lost_and_it_is_applied_once(world: World, client: RawClient) -> None:
    assert client.call("EVAL", INCR_THEN_LOOK, 1, "n") == b":2\r\n"
    cut = world.proxy.cut(query_with(b"COMMIT"), At.ANSWER)
    assert client.call("EVAL", INCR_THEN_LOOK, 1, "n") == b":4\r\n"
    cut.wait()
    assert client.call("GET", "n") == bulk(4)


def test_scripts_that_take_unnamed_keys_in_opposite_order_add_up(world: World) -> None:
    script = "redis.call('incr',ARGV[1]) redis.call('incr',ARGV[2]) return 1"
    orders = (("a", "b"), ("b", "a"))
    with Load(world.rowdis, 4, lambda thread, number: ("EVAL", script, 0, *orders[thread % 2])) as load:
        load.wait_answered(150)
    assert not load.errors
    assert not load.unknown
    count = bulk(len(load.answered))
    assert world.call("MGET", "a", "b") == array(count, count)


def test_absent_key_that_a_script_saw_is_made_by_one_only(world: World) -> None:
    script = "if redis.call('get',ARGV[1]) then return 0 end redis.call('incr','winners:'..ARGV[1]) " \
        "redis.call('set','other:'..ARGV[1]..ARGV[2],1) return redis.call('set',ARGV[1],ARGV[2]) and 1"
    with Load(world.rowdis, 4, lambda thread, number: ("EVAL", script, 0, f"k{number}", thread)) as load:
        load.wait_answered(200)
    assert not load.errors
    assert not load.unknown
    won = [command for command, reply in load.answered if integer(reply)]
    assert len(won) == len({command[3] for command in won})


def test_loaded_script_is_there_for_other_instances_and_later_starts(world: World, client: RawClient) -> None:
    assert client.call("SCRIPT", "LOAD", KEPT) == bulk(KEPT_SHA)
    with world.client(1) as other:
        assert other.call("EVALSHA", KEPT_SHA, 1, "n") == b":1\r\n"
        assert other.call("SCRIPT", "EXISTS", KEPT_SHA) == array(b":1\r\n")
        long = f"{KEPT} --" + "x" * 3_000_000
        assert other.call("SCRIPT", "LOAD", long) == bulk(hashlib.sha1(long.encode()).hexdigest())
        assert client.call("EVALSHA", hashlib.sha1(long.encode()).hexdigest(), 1, "n") == b":2\r\n"
    world.rowdis[1].stop()
    world.rowdis[1].start()
    with world.client(1) as other:
        assert other.call("EVALSHA", KEPT_SHA, 1, "n") == b":3\r\n"
        # What one instance forgets, the others forget.
        assert other.call("SCRIPT", "FLUSH") == OK
    assert client.call("EVALSHA", KEPT_SHA, 1, "n").startswith(b"-NOSCRIPT ")
    assert world.query("SELECT COUNT(*) FROM rowdis_script") == ((0,),)


def test_blocked_client_is_woken_by_a_script_that_pushes_to_an_unnamed_key(world: World, client: RawClient) -> None:
    with world.client() as other:
        client.send("BLPOP", "queue", 10)
        wait_until(lambda: b"blocked_clients:1" in other.call("INFO", "clients"), 10, "the client is blocked")
        began = time.monotonic()
        assert other.call("EVAL", "return redis.call('rpush','queue','x')", 0) == b":1\r\n"
        assert client.read() == array(bulk("queue"), bulk("x"))
        assert time.monotonic() - began < 5


def test_program_killed_in_the_middle_of_a_script_leaves_nothing_of_it(world: World) -> None:
    server = world.rowdis[0]
    with world.client() as client, world.client() as other:
        client.send("EVAL", "redis.call('set','half','1') redis.call('get','unnamed') while true do end", 0)
        busy(other)
        server.kill9()
    server.start()
    assert world.call("GET", "half") == NULL


def test_shutdown_nosave_ends_a_program_whose_script_loops(world: World) -> None:
    server = world.rowdis[0]
    with world.client() as client, world.client() as other:
        client.send("EVAL", "redis.call('set','half','1') while true do end", 0)
        busy(other)
        ended = threading.Thread(target=other.read_to_end)
        other.send("SHUTDOWN", "NOSAVE")
        ended.start()
        wait_until(lambda: not server.process.running, 15, "the program has ended")
        ended.join(5)
    server.stop()
    server.start()
    assert world.call("GET", "half") == NULL
