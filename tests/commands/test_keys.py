"""Keys of any type, compared with redis-server."""

import time

import pytest

from tests.commands.conftest import Play
from tests.commands.scenarios import Scenario, becomes, deviates, near, scenario, scenarios, shows, unordered
from tests.services.process import wait_until
from tests.services.raw_client import RawClient

#: Makes a key of each type with elements: l, s, z, h, x.
EVERY_TYPE = ("RPUSH l a b a", "SADD s a b c", "ZADD z 1.5 a -inf b", "HSET h a 1 b 2", "XADD x 1-1 a 1")
#: Looks at all elements of a key of each type, given its name.
LOOKS = ("LRANGE {} 0 -1", "SMEMBERS {}", "ZRANGE {} 0 -1 WITHSCORES", "HGETALL {}", "XRANGE {} - +")


def every_type(*commands: str) -> tuple[str, ...]:
    """For the key of each type the commands, in which {} stands for its name and {look} for a look at its elements."""
    return tuple(
        command.replace("{look}", look).replace("{}", name)
        for name, look in zip("lszhx", LOOKS, strict=True)
        for command in commands
    )  # fmt: skip


FAR = 33177117420
MAX = 2**63 - 1
MIN = -(2**63)


@scenarios(
    scenario("DEL counts what there was", "DEL a", "MSET a 1 b 2 c 3", "DEL a b x", "DEL c c", "EXISTS a b c", "DEL",
             "DBSIZE"),
    scenario("UNLINK is DEL", "MSET a 1 b 2", "UNLINK a b x b", "EXISTS a b", "UNLINK"),
    scenario("EXISTS and TOUCH count repetitions", "MSET a 1 b 2", "EXISTS a b c a", "TOUCH a b c a", "EXISTS c",
             "TOUCH c", "EXISTS", "TOUCH"),
    scenario("TYPE", "TYPE a", "SET a 1", "TYPE a", "RPUSH l 1", "TYPE l", "SADD s 1", "TYPE s", "HSET h a 1", "TYPE h",
             "ZADD z 1 a", "TYPE z", "XADD x 1-1 a 1", "TYPE x", "DEL a l s h z x", "TYPE a", "TYPE h", "TYPE",
             "TYPE a b"),
    scenario("a deleted key can be written again", ("SET", "a", b"x" * 100_000), "DEL a", "APPEND a 1", "GET a",
             "DEL a", "SETNX a 2", "GET a", "DEL a", "INCR a"),
    scenario("an expired key is absent", "SET a 1 PX 30", becomes("EXISTS a", b":0\r\n"), "DEL a", "TOUCH a", "TYPE a",
             "UNLINK a", "PERSIST a", "EXPIRE a 10", "RENAMENX a b", "RENAME a b", "COPY a b", "MOVE a 1",
             "OBJECT ENCODING a", "KEYS *", "SCAN 0", "RANDOMKEY"),
    scenario("many keys in one DEL", ("MSET", *(word for n in range(1200) for word in (f"k{n}", n))),
             ("EXISTS", *(f"k{n}" for n in range(1300))), ("DEL", *(f"k{n}" for n in range(0, 1300, 2))), "DBSIZE"),
)
def test_existence(play: Play, case: Scenario) -> None:
    play(case)


@scenarios(
    scenario("EXPIRE and its kin set the time", "SET a 1", "EXPIRE a 100", near("TTL a"), near("PTTL a", 1000),
             "PEXPIRE a 200500", near("TTL a"), f"EXPIREAT a {FAR}", "EXPIRETIME a", "PEXPIRETIME a",
             f"PEXPIREAT a {FAR}499", "EXPIRETIME a", f"PEXPIREAT a {FAR}500", "EXPIRETIME a", "PEXPIRETIME a",
             "GET a"),
    scenario("absent keys and keys for ever", "EXPIRE a 100", "PEXPIREAT a 1", "TTL a", "PTTL a", "EXPIRETIME a",
             "PEXPIRETIME a", "PERSIST a", "SET a 1", "TTL a", "PTTL a", "EXPIRETIME a", "PEXPIRETIME a", "PERSIST a"),
    scenario("PERSIST ends it", "SET a 1 EX 100", "PERSIST a", "TTL a", "PERSIST a", "GET a"),
    scenario("a past time deletes", *(
        line
        for command in (
            "EXPIRE a 0", "EXPIRE a -1", "PEXPIRE a -100", "EXPIREAT a 1", "EXPIREAT a 0", "EXPIREAT a -5",
            "PEXPIREAT a 1", "PEXPIREAT a -1", f"PEXPIREAT a {MIN}", f"PEXPIRE a {MIN}",
        )
        for line in ("SET a 1", command, "EXISTS a", "TTL a")
    )),
    scenario("NX only where there is no time", "SET a 1", "EXPIRE a 100 NX", "EXPIRE a 200 NX", near("TTL a"),
             "EXPIRE a 300 nx"),
    scenario("XX only where there is one", "SET a 1", "EXPIRE a 100 XX", "TTL a", "EXPIRE a 100", "EXPIRE a 200 XX",
             near("TTL a")),
    scenario("GT only later, and never is latest", "SET a 1", "EXPIRE a 100 GT", "TTL a", "EXPIRE a 100",
             "EXPIRE a 50 GT", "EXPIRE a 200 GT", near("TTL a"), f"PEXPIREAT a {FAR}000", f"PEXPIREAT a {FAR}000 GT",
             f"PEXPIREAT a {FAR}001 GT"),
    scenario("LT only earlier, and never is latest", "SET a 1", "EXPIRE a 100 LT", "EXPIRE a 200 LT", near("TTL a"),
             "EXPIRE a 50 LT", near("TTL a"), f"PEXPIREAT a {FAR}000", f"PEXPIREAT a {FAR}000 LT", "EXPIRE a -1 LT",
             "EXISTS a"),
    scenario("rules that go together", "SET a 1", "EXPIRE a 100 XX GT", "EXPIRE a 100 XX LT", "TTL a", "EXPIRE a 100",
             "EXPIRE a 200 XX GT", "EXPIRE a 150 LT XX", "EXPIRE a 10 XX XX", "EXPIRE a 20 GT GT", near("TTL a")),
    scenario("rules with a past time", "SET a 1", "EXPIRE a -1 XX", "EXPIRE a -1 GT", "EXISTS a", "EXPIRE a 0 NX",
             "EXISTS a", "SET a 1 EX 100", "EXPIRE a -1 GT", "EXPIRE a -1 NX", "EXISTS a", "EXPIRE a -1 LT",
             "EXISTS a"),
    scenario("rules that contradict each other", "SET a 1", "EXPIRE a 10 NX XX", "EXPIRE a 10 NX GT",
             "EXPIRE a 10 LT NX", "EXPIRE a 10 GT LT", "EXPIRE a 10 NX GT LT", "EXPIRE a 10 XX GT LT",
             "EXPIRE nosuch 10 GT LT", "TTL a"),
    scenario("unknown rules", "SET a 1", "EXPIRE a 10 FOO", 'EXPIRE a 10 ""', "EXPIRE a 10 NX FOO", "EXPIRE a x FOO",
             "EXPIRE a 10 EX", r'EXPIRE a 10 "a\r\nb"', r'EXPIRE a 10 "a\x00b"', "PEXPIREAT nosuch 10 FOO", ("EXPIRE",
             "a", 10, b"F" * 200), "TTL a"),
    scenario("times that can not be", "SET a 1", "EXPIRE a abc", "EXPIRE a 1.5", 'EXPIRE a ""', f"EXPIRE a {MAX}",
             f"EXPIRE a {MIN}", f"EXPIRE a {MAX // 1000}", f"EXPIRE a {MAX // 1000 + 1}",
             f"EXPIRE a {-(MAX // 1000) - 1}", f"PEXPIRE a {MAX}", f"EXPIREAT a {MAX}", f"EXPIREAT a {MAX // 1000 + 1}",
             f"EXPIREAT a {MIN}", f"expire a {MAX}", "PEXPIREAT a 1e3", f"EXPIRE nosuch {MAX}",
             f"PEXPIREAT a {MAX + 1}", "TTL a"),
    scenario("the latest times", "SET a 1", f"PEXPIREAT a {MAX}", "PEXPIRETIME a", "EXPIREAT a 9223372036854775",
             "EXPIRETIME a", "EXPIRE a 9000000000000", near("TTL a"), "GET a"),
    scenario("the number of words is checked", "EXPIRE a", "EXPIRE", "PEXPIREAT a", "TTL", "TTL a b", "PERSIST a b",
             "PTTL", "EXPIRETIME", "PEXPIRETIME a b"),
    scenario("a key is gone when its time is over", "SET a 1", "PEXPIRE a 30", becomes("TTL a", b":-2\r\n"), "GET a",
             "EXISTS a", "EXPIRE a 100", "SET a 2", "TTL a"),
    scenario("long values expire too", ("SET", "a", b"x" * 70_000), "PEXPIRE a 30", becomes("STRLEN a", b":0\r\n"),
             "APPEND a 1", "GET a", "TTL a"),
    scenario("other types expire too", "RPUSH a 1 2", "EXPIRE a 100", near("TTL a"), "PERSIST a", "TTL a", "EXPIRE a 0",
             "EXISTS a"),
    scenario("every type expires", *EVERY_TYPE, *every_type(
        "EXPIRE {} 100 NX", "EXPIRE {} 100 NX", "PERSIST {}", "TTL {}", f"PEXPIREAT {{}} {FAR}000", "EXPIRETIME {}",
        "{look}", "PEXPIREAT {} 1", "EXISTS {}", "TYPE {}", "{look}",
    ), oracle="redis74"),
    scenario("expired collections are absent and make room", "RPUSH l a", "SADD s a", "ZADD z 1 a", "HSET h a 1",
             "XADD x 1-1 a 1", *every_type("PEXPIRE {} 20"),
             *(becomes(f"EXISTS {name}", b":0\r\n") for name in "lszhx"),
             "RPUSH l b", "SADD s b", "ZADD z 2 b", "HSET h b 2", "XADD x 1-1 b 2", *every_type("{look}", "TTL {}")),
    scenario("changes of elements keep the time", *EVERY_TYPE, *every_type(f"EXPIREAT {{}} {FAR}"), "LPOP l",
             "SREM s a", "ZREM z a", "HDEL h a", "XADD x 2-1 a 1", *every_type("EXPIRETIME {}")),
    scenario("values in rows survive a change of time", ("SET", "a", b"y" * 5000), "EXPIRE a 100", "PERSIST a", "GET a",
             ("SET", "b", b"z" * 8192), "PEXPIRE b 100000", "GET b", "TTL a"),
)
def test_expiry(play: Play, case: Scenario) -> None:
    play(case)


@scenarios(
    scenario("RENAME moves value and time", "SET a 1 EX 100", "RENAME a b", "EXISTS a", "GET b", near("TTL b"),
             "SET c 2", "RENAME c b", "TTL b", "GET b"),
    scenario("RENAME of nothing", "RENAME a b", "SET b 1", "RENAME a b", "GET b", "RENAMENX a b", "RENAME a a",
             "RENAMENX a a"),
    scenario("RENAME onto itself", "SET a 1 EX 100", "RENAME a a", "GET a", near("TTL a"), "RENAMENX a a", "GET a"),
    scenario("RENAMENX only onto an absent key", "MSET a 1 b 2", "RENAMENX a b", "RENAMENX a c", "MGET a b c"),
    scenario("there and back", ("SET", "a", b"a" * 70_000), "SET b short", "RENAME a t", "RENAME b a", "RENAME t b",
             "GET a", "STRLEN b", "RENAME b a", "STRLEN a", "EXISTS b", "RENAME a a", "STRLEN a", "APPEND a x"),
    scenario("RENAME checks its words", "RENAME a", "RENAMENX a b c", "RENAME"),
    scenario("RENAME of other types", "RPUSH a 1 2", "SET b 1", "RENAME a b", "TYPE b", "LRANGE b 0 -1", "EXISTS a"),
    scenario("RENAME of every type", *EVERY_TYPE, *every_type(
        "RENAME {} t", "EXISTS {}", "TYPE t", "RENAMENX t {}", "{look}", "RENAME {} {}", "RENAMENX {} {}", "{look}",
        "SET t 1 EX 100", "RENAME {} t", "TTL t", "RENAME t {}", "{look}",
    ), oracle="redis74"),
    scenario("RENAME onto every type", *EVERY_TYPE, *every_type(
        "RPUSH t 1 2", "RENAMENX t {}", "RENAME t {}", "TYPE {}", "LRANGE {} 0 -1", "EXISTS t",
    )),
    scenario("elements can be changed after RENAME", *EVERY_TYPE, "RENAME l l2", "RPUSH l2 z", "LRANGE l2 0 -1",
             "RPUSH l n", "LRANGE l 0 -1", "RENAME s s2", "SADD s2 z", "SCARD s2", "SADD s n", "SMEMBERS s",
             "RENAME z z2", "ZADD z2 9 z", "ZRANGE z2 0 -1", "ZADD z 1 n", "ZRANGE z 0 -1", "RENAME h h2",
             "HSET h2 z 9", "HGETALL h2", "HSET h n 1", "HGETALL h", "RENAME x x2", "XADD x2 2-1 z 1", "XLEN x2",
             "XADD x 1-1 n 1", "XLEN x"),
    scenario("COPY of every type", *EVERY_TYPE, *every_type(
        "COPY {} t", "TYPE t", "DEL {}", "RENAME t {}", "{look}", "COPY {} t", "COPY t {}", "COPY {} t REPLACE",
        "DEL t", "{look}", "SET t 1", "COPY {} t", "COPY {} t REPLACE", "TYPE t", "COPY {} {} DB 1", "DEL t",
        f"EXPIREAT {{}} {FAR}", "COPY {} t", "EXPIRETIME t", "DEL t",
    ), "SELECT 1", "DBSIZE", *every_type("{look}"), oracle="redis74"),
    scenario("COPY of large collections", ("RPUSH", "l", *range(2500)), ("SADD", "s", *range(2500)),
             ("ZADD", "z", *(word for n in range(2500) for word in (n % 7, n))), ("HSET", "h", *range(5000)),
             *(f"COPY {name} {name}2" for name in "lszh"), "DEL l s z h", "LRANGE l2 0 -1", unordered("SMEMBERS s2"),
             "ZRANGE z2 0 -1 WITHSCORES", unordered("HKEYS h2"), "COPY h2 l2 REPLACE", "HLEN l2", "HGET l2 4998"),
    scenario("copies live on their own", *EVERY_TYPE, *every_type("COPY {} {}2"), "RPUSH l2 z", "LPOP l",
             "LRANGE l2 0 -1", "LRANGE l 0 -1", "SADD s2 z", "SREM s a", "SMEMBERS s2", "SMEMBERS s", "ZADD z2 9 z",
             "ZREM z a", "ZRANGE z2 0 -1", "ZRANGE z 0 -1", "HSET h2 a 9", "HDEL h b", "HGETALL h2", "HGETALL h",
             "XADD x2 2-1 z 1", "XDEL x 1-1", "XRANGE x2 - +", "XRANGE x - +", "XINFO STREAM x", oracle="redis74"),
    scenario("COPY copies what a list, a sorted set and a set note", "RPUSH l a b c", "LINSERT l BEFORE b x",
             "COPY l m", "LINSERT m AFTER b y", "LPOP m", "RPOP m", "LRANGE m 0 -1", "LINDEX m 1", "ZADD z 1 a 2 b 3 c",
             "ZPOPMIN z", "COPY z y", "ZADD y 0 z", "ZPOPMIN y 2", "ZRANGE y 0 -1", "SADD s 3 1 2", "COPY s t",
             "SADD t 0", "SMEMBERS t", "OBJECT ENCODING t", oracle="redis74"),
    scenario("COPY of a stream with groups", "XADD x 1-1 a 1", "XADD x 2-1 b 2", "XADD x 3-1 c 3",
             "XGROUP CREATE x g 0", "XGROUP CREATE x empty $", "XREADGROUP GROUP g one COUNT 2 STREAMS x >",
             "XREADGROUP GROUP g two STREAMS x >", "XDEL x 2-1", "COPY x y", "XRANGE y - +", "XPENDING y g",
             "XACK x g 1-1", "XPENDING x g", "XPENDING y g", "XACK y g 3-1", "XGROUP DELCONSUMER x g one",
             "XPENDING y g", "DEL x", "XPENDING y g", "XREADGROUP GROUP g one STREAMS y 0", "XADD y 4-1 d 4",
             "XREADGROUP GROUP empty one STREAMS y >", "XLEN y", "XGROUP DESTROY y g", "XPENDING y g"),
    scenario("fields that expire go with their hash", "HSET h a 1 b 2 c 3", f"HPEXPIREAT h {FAR}000 FIELDS 2 a b",
             "COPY h k", "HEXPIRETIME k FIELDS 3 a b c", "HPERSIST h FIELDS 1 a", "HEXPIRETIME k FIELDS 3 a b c",
             "RENAME h m", "HEXPIRETIME m FIELDS 3 a b c", "MOVE m 1", "SELECT 1", "HEXPIRETIME m FIELDS 3 a b c",
             "COPY m h DB 0", "SELECT 0", "HEXPIRETIME h FIELDS 3 a b c", "HGETALL h", "HSET k a 9",
             "HEXPIRETIME k FIELDS 3 a b c", "OBJECT ENCODING k", "HPEXPIREAT k 1 FIELDS 1 b", "HGETALL k", "DEL k",
             "HGETALL h"),
    scenario("fields of copies, and of renamed and moved hashes, expire in time", "HSET h a 1 b 2",
             "HPEXPIRE h 60 FIELDS 1 a", "COPY h k", "COPY h m", "RENAME m n", "MOVE n 1",
             becomes("HEXISTS h a", b":0\r\n"), becomes("HEXISTS k a", b":0\r\n"), "HGETALL k", "HLEN k", "SELECT 1",
             becomes("HLEN n", b":1\r\n"), "HGETALL n"),
    scenario("COPY copies value and time", "SET a 1 EX 100", "COPY a b", "MGET a b", near("TTL b"), "APPEND a 2",
             "MGET a b"),
    scenario("COPY spares what is there", "MSET a 1 b 2", "COPY a b", "GET b", "COPY a b REPLACE", "GET b", "COPY x b",
             "COPY x b REPLACE", "GET b"),
    scenario("COPY into another database", "SET a 1", "COPY a a DB 1", "COPY a b DB 1 REPLACE", "COPY a a DB 1",
             "COPY a b DB 0", "SELECT 1", "MGET a b", "DBSIZE", "COPY a c DB 0 DB 1", "DBSIZE", "COPY a c replace db 0",
             "SELECT 0", "DBSIZE"),
    scenario("COPY onto itself", "SET a 1", "COPY a a", "COPY a a REPLACE", "COPY a a DB 0", "COPY x x",
             "COPY a a DB 0 REPLACE"),
    scenario("COPY checks its options", "SET a 1", "COPY a b DB", "COPY a b FOO", "COPY a b DB x", "COPY a b DB 16",
             "COPY a b DB -1", "COPY a b DB 99999999999", "COPY a b DB 99999999999999999999", "COPY a b REPLACE FOO",
             "COPY a", "EXISTS b", "COPY x y DB 16", "COPY a a FOO", "COPY a b DB 1.0"),
    scenario("COPY replaces a long value and copies one", ("SET", "a", b"a" * 70_000), ("SET", "b", b"b" * 90_000),
             "COPY a b", "COPY a b REPLACE", "STRLEN b", "GETRANGE b 0 3", "SETRANGE b 66000 XYZ",
             "GETRANGE a 65998 66004", "DEL a", "GETRANGE b 65998 66004"),
    scenario("COPY of a sparse value", "SETRANGE a 300000 x", "COPY a b", "STRLEN b", "GETRANGE b 299990 -1"),
    scenario("MOVE takes a key to another database", "SET a 1 EX 100", "MOVE a 1", "EXISTS a", "SELECT 1", "GET a",
             near("TTL a"), "MOVE a 0", "SELECT 0", "GET a"),
    scenario("MOVE spares what is there", "SET a 1", "SELECT 1", "SET a 2", "MOVE a 0", "GET a", "SELECT 0", "GET a",
             "MOVE x 1"),
    scenario("MOVE of every type", *EVERY_TYPE, *every_type("MOVE {} 1", "EXISTS {}", "MOVE {} 1"), "SELECT 1",
             *every_type("{look}", "COPY {} {} DB 0", "MOVE {} 0", "MOVE {} 2", "EXISTS {}"), "SELECT 0",
             *every_type("{look}"), oracle="redis74"),
    scenario("MOVE checks the database", "MOVE a 0", "SET a 1", "MOVE a 0", "MOVE a 16", "MOVE a -1", "MOVE a x",
             "MOVE a 99999999999", "MOVE a 99999999999999999999", "MOVE a", "MOVE a 1 2", "SELECT 16", "SELECT x",
             "SELECT -1", "SELECT 99999999999"),
    scenario("databases are separate", "SET a 0", "SELECT 1", "GET a", "SET a 1", "SELECT 15", "SET a 15", "DBSIZE",
             "SELECT 0", "GET a", "SELECT 1", "GET a", "DEL a", "SELECT 0", "GET a"),
)
def test_names_and_places(play: Play, case: Scenario) -> None:
    play(case)


@scenarios(
    scenario("how a string is kept", *(
        line
        for value in (
            "1", "-1", "0", "12345678901234567890", str(MAX), str(MIN), "01", "1.5", "abc", '""', '" 1"', "+1", "-0",
            "x" * 44, "x" * 45,
        )
        for line in (f"SET a {value}", "OBJECT ENCODING a")
    )),
    scenario("how collections are kept", *EVERY_TYPE,
             *every_type("OBJECT ENCODING {}", "OBJECT REFCOUNT {}", "OBJECT FREQ {}"),
             *(near(f"OBJECT IDLETIME {name}") for name in "lszhx"), *every_type("COPY {} {}2", "OBJECT ENCODING {}2"),
             "SADD i 1 2 3", "OBJECT ENCODING i", "SADD i a", "OBJECT ENCODING i", "SREM i a", "OBJECT ENCODING i",
             oracle="redis74"),
    scenario("how large collections are kept", ("RPUSH", "l", b"x" * 9000), "OBJECT ENCODING l", "COPY l l2",
             "OBJECT ENCODING l2", ("SADD", "s", b"x" * 65), "OBJECT ENCODING s", "COPY s s2", "OBJECT ENCODING s2",
             ("ZADD", "z", 1, b"x" * 65), "OBJECT ENCODING z", "ZADD z 2 a", ("ZREM", "z", b"x" * 65),
             "OBJECT ENCODING z",
             ("HSET", "h", "f", b"x" * 65), "OBJECT ENCODING h", "RENAME h k", "OBJECT ENCODING k",
             ("SADD", "i", *range(600)), "OBJECT ENCODING i", ("SADD", "n", *range(500)), "OBJECT ENCODING n",
             ("ZADD", "y", *range(300)), "OBJECT ENCODING y", ("HSET", "g", *range(2000)),
             "OBJECT ENCODING g", "SET k 1", "OBJECT ENCODING k", oracle="redis74"),
    scenario("SORT leaves a sorted set as it is", "ZADD z 1 a 2 b", "SORT z ALPHA", deviates("OBJECT ENCODING z",
             "encoding", b"$8\r\nlistpack\r\n")),
    scenario("how other commands leave a string", "INCR a", "OBJECT ENCODING a", "MSET a 5 b x", "OBJECT ENCODING a",
             "OBJECT ENCODING b", "GETSET a 7", "OBJECT ENCODING a", "SETEX a 100 5", "OBJECT ENCODING a",
             "APPEND new 12", "OBJECT ENCODING new", ("SET", "c", b"x" * 20_000), "OBJECT ENCODING c", "SET d 1",
             "COPY d e", "OBJECT ENCODING e"),
    scenario("how a string came about is forgotten", "SET a 1", "APPEND a 2", deviates("OBJECT ENCODING a", "encoding",
             b"$3\r\nint\r\n"), "SET b ab", "SETRANGE b 1 c", deviates("OBJECT ENCODING b", "encoding",
             b"$6\r\nembstr\r\n"), "INCRBYFLOAT c 3", deviates("OBJECT ENCODING c", "encoding", b"$3\r\nint\r\n")),
    scenario("references", "SET a 1", "OBJECT REFCOUNT a", "SET a 9999", "OBJECT REFCOUNT a", "SET a 10000",
             "OBJECT REFCOUNT a", "SET a -1", "OBJECT REFCOUNT a", "SET a abc", "OBJECT REFCOUNT a"),
    scenario("idle time and frequency", "SET a 1", near("OBJECT IDLETIME a"), "OBJECT FREQ a", "OBJECT FREQ nosuch",
             "OBJECT IDLETIME nosuch", "OBJECT ENCODING nosuch", "OBJECT REFCOUNT nosuch"),
    scenario("help has other words", deviates("OBJECT HELP", "help",
             b"*11\r\n+OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:")),
    scenario("subcommands are checked", "OBJECT", "OBJECT FOO", "OBJECT FOO a", "OBJECT ENCODING",
             "OBJECT ENCODING a b", "OBJECT FREQ", "OBJECT HELP a", "object encoding nosuch", r'OBJECT "F\r\nO\x00o"',
             "OBJECT |", "OBJECT|ENCODING a"),
)
def test_object(play: Play, case: Scenario) -> None:
    play(case)


@shows("idletime")
def test_times_of_access_are_not_kept(client: RawClient, oracle_client: RawClient) -> None:
    client.call("SET", "a", "some text")
    oracle_client.call("SET", "a", "some text")
    wait_until(lambda: oracle_client.call("OBJECT", "IDLETIME", "a") == b":1\r\n", 5,
    "Redis counts a second of idleness")
    assert client.call("OBJECT", "IDLETIME", "a") == b":0\r\n"


@pytest.mark.parametrize(
    "words", [("EXPIRE", "a", 100), ("PERSIST", "a"), ("RENAME", "a", "b"), ("COPY", "a", "b"), ("MOVE", "a", 1)],
    ids=lambda words: words[0]
)
def test_long_values_are_not_read_for_what_only_concerns_the_key(client: RawClient, words: tuple[str | int,
...]) -> None:
    """Half a gigabyte, nearly all of it a gap. The program would take many seconds, and as much memory, to read it."""
    size = 500 * 1024 * 1024
    client.call("SETRANGE", "a", size - 1, "x")
    started = time.monotonic()
    assert client.call(*words) in (b":1\r\n", b":0\r\n", b"+OK\r\n")
    assert time.monotonic() - started < 3
    client.call("SELECT", int(words[0] == "MOVE"))
    name = "b" if words[-1] == "b" else "a"
    assert client.call("STRLEN", name) == b":%d\r\n" % size
    assert client.call("GETRANGE", name, -2, -1) == b"$2\r\n\x00x\r\n"
