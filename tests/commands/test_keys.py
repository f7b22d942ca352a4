"""Keys of any type, compared with redis-server."""

import time

import pytest

from tests.commands.conftest import Play
from tests.commands.scenarios import Scenario, becomes, deviates, near, scenario, scenarios, shows
from tests.services.process import wait_until
from tests.services.raw_client import RawClient

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
             "ZADD z 1 a", "TYPE z", "XADD x * a 1", "TYPE x", "TYPE", "TYPE a b"),
    scenario("a string's type", "TYPE a", "SET a 1", "TYPE a", "DEL a", "TYPE a", "TYPE", "TYPE a b"),
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
