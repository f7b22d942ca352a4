"""DUMP and RESTORE: errors, and keys that go from here to a real server and back."""

import struct
from collections.abc import Iterator
from typing import Any

import hiredis
import pytest

from storage import rdb
from storage.rdb_values import HashField, HashValue, StringValue
from tests.commands.conftest import Play
from tests.commands.payloads import BAD, NEW, OLD, sealed, text
from tests.commands.scenarios import Line, Scenario, Step, deviates, near, scenario, scenarios, shows, unordered, words
from tests.services.raw_client import RawClient
from tests.services.redis_oracle import RedisOracle

HELLO = rdb.dump(StringValue(b"hello"))
MAX = 2**63 - 1
FAR_MS = 4_000_000_000_000
#: What Redis takes, since it does not look into what is compact.
ACCEPTED = ("a field twice", "half of a pair", "a listpack with an entry that is cut off")


def dumping(name: str, *steps: Line | Step) -> Scenario:
    """A scenario that Redis 7.0 is asked about, whose payloads are those of Rowdis."""
    return scenario(name, *steps, oracle="redis70")


@scenarios(
    dumping("a string comes back", "SET a hello", "DUMP a", ("RESTORE", "b", 0, HELLO), "GET b", "TTL b",
             "DUMP nosuch", ("restore", "c", 0, HELLO, "replace"), "GET c"),
    scenario("a key that is there", "SET a 1", ("RESTORE", "a", 0, HELLO), "GET a", "RPUSH l 1",
             ("RESTORE", "l", 0, HELLO), ("RESTORE", "l", 0, HELLO, "REPLACE"), "GET l",
             ("RESTORE", "a", 0, HELLO, "REPLACE", "REPLACE"), "GET a"),
    scenario("expiry", ("RESTORE", "a", 100_000, HELLO), near("PTTL a", 2000),
             ("RESTORE", "b", FAR_MS, HELLO, "ABSTTL"),
             "PEXPIRETIME b", ("RESTORE", "c", 0, HELLO, "ABSTTL"), "PTTL c", "SET d 1 EX 100",
             ("RESTORE", "d", 0, HELLO, "REPLACE"), "PTTL d", ("RESTORE", "e", MAX, HELLO, "ABSTTL"), "PEXPIRETIME e"),
    scenario("an expiry that is past", ("RESTORE", "a", 1, HELLO, "ABSTTL"), "EXISTS a", "SET b 1",
             ("RESTORE", "b", 1, HELLO, "ABSTTL"), "GET b", ("RESTORE", "b", 1, HELLO, "ABSTTL", "REPLACE"), "EXISTS b",
             ("RESTORE", "c", MAX, HELLO), "EXISTS c", ("RESTORE", "c", 1, "x", "ABSTTL")),
    scenario("an expired key is absent", "SET a 1 PXAT 1", "DUMP a", ("RESTORE", "a", 0, HELLO), "GET a"),
    scenario("options are checked", *(
        ("RESTORE", key, ttl, payload, *options.split())
        for key, ttl, payload in (("a", 0, HELLO), ("there", -1, b"x"))
        for options in ("FOO", "REPLACE FOO", "IDLETIME", "IDLETIME -1", "IDLETIME x", "FREQ", "FREQ -1", "FREQ 256",
                        "FREQ x", "IDLETIME 1 FREQ 1", "FREQ 1 IDLETIME 1", "IDLETIME 1 IDLETIME -1",
                        "IDLETIME 9223372036854775808", "ABSTTL ABSTTL FOO", "REPLACE IDLETIME 5 FREQ", "FREQ 255.0")
    ), "EXISTS a", ("RESTORE", "a", 0, HELLO, "IDLETIME", 1000), ("RESTORE", "a", 0, HELLO, "FREQ", 255, "REPLACE"),
             ("RESTORE", "b", 0, HELLO, "IDLETIME", 0, "IDLETIME", 3), "GET a", "GET b"),
    scenario("what is wrong first", "SET there 1", ("RESTORE", "there", -1, b"x"), ("RESTORE", "a", -1, b"x"),
             ("RESTORE", "there", "x", b"x"), ("RESTORE", "a", "x", b"x"), ("RESTORE", "a", 0, b"x"),
             ("RESTORE", "there", -1, b"x", "REPLACE"), ("RESTORE", "there", 0, b"x", "REPLACE"), "GET there",
             ("RESTORE", "a", 2**63, HELLO), ("RESTORE", "a", "", HELLO), "DUMP", "DUMP a b", "RESTORE a 0",
             "EXISTS a"),
    scenario("checksums and versions", ("RESTORE", "a", 0, ""), ("RESTORE", "a", 0, b"123456789"),
             ("RESTORE", "a", 0, HELLO[:-1]), ("RESTORE", "a", 0, HELLO[:-8] + bytes(8)),
             ("RESTORE", "a", 0, b"x" + HELLO), ("RESTORE", "a", 0, sealed(b"\x00\x01a", 6)), "GET a",
             ("RESTORE", "b", 0, sealed(b"\x00\x01a", 0)), "GET b", ("RESTORE", "c", 0, sealed(b"\x00\x01a", 99))),
    scenario("what is no value", "SET there 1", *(
        ("RESTORE", name, 0, sealed(body)) for name, body in BAD.items() if name not in ACCEPTED
    ), ("RESTORE", "there", 0, sealed(b"\x02\x00"), "REPLACE"), "GET there"),
    scenario("what is damaged inside", *(
        deviates(("RESTORE", name, 0, sealed(BAD[name])), "dump-damaged", b"-ERR Bad data format") for name in ACCEPTED
    )),
    dumping("in a transaction", "MULTI", "SET a hello", "DUMP a", ("RESTORE", "b", 0, HELLO), "APPEND b !",
             ("RESTORE", "b", 0, b"x", "REPLACE"), "GET b", "RPUSH l 1 2", "DUMP l", "DEL l", "DUMP l", "EXEC",
             "GET b"),
)  # fmt: skip
def test_restore(play: Play, case: Scenario) -> None:
    play(case)


def integers(*numbers: int) -> str:
    return " ".join(map(str, numbers))


WIDTHS = integers(*(sign * 2**bits - less for bits in (6, 7, 8, 12, 13, 15, 16, 23, 24, 31, 32, 63) for sign in (1, -1)
                    for less in (0, 1) if -(2**63) <= sign * 2**bits - less < 2**63))  # fmt: skip


@scenarios(
    dumping("strings", *(
        line
        for value in (
            b"", b"0", b"-0", b"007", b"127", b"128", b"-128", b"-129", b"32767", b"32768", b"-32769", b"2147483647",
            b"2147483648", b"-2147483648", b"-2147483649", str(MAX).encode(), b"x" * 20, b"x" * 21, b"ab" * 40,
            b"x" * 63, bytes(range(64)), bytes(range(256)), b"abcdefgh" * 2000, b"x" * 300 + bytes(range(256)),
        )
        for line in (("SET", "a", value), "DUMP a")
    )),
    dumping("lists", f"RPUSH l a {WIDTHS} b", "DUMP l", ("RPUSH", "m", b"x" * 63, b"y" * 64, b"z" * 5000, b""),
             "DUMP m", ("RPUSH", "n", *range(3000)), "DUMP n", "LPUSH m first", "LPOP l", "DUMP l", "DUMP m"),
    dumping("sets", "SADD s 3 1 2", "DUMP s", "SADD s 40000", "DUMP s", "SADD s -2147483649", "DUMP s", "SADD t a",
             "DUMP t"),
    dumping("sorted sets", "ZADD z 1 a 1.5 b -inf c inf d 1e20 e 0.1 f -0 g 4503599627370496 h 1e17 i 5e18 j -7 k",
             "DUMP z", ("ZADD", "y", 2, b"x" * 70, "-0", "n", "-inf", "z", "2", "a"), "DUMP y",
             ("ZADD", "x", *(word for n in range(200) for word in (n * 7 % 31 + 0.25, f"m{n}"))), "DUMP x"),
    dumping("hashes", "HSET h b 1 a hello c -1", "DUMP h", "HSET h a 2", "HDEL h b", "HSET h b 3", "DUMP h",
             ("HSET", "g", "a", b"x" * 70), "DUMP g"),
    dumping("streams", "XADD x 1-1 a b c d", "XADD x 1-2 a b c d", "XADD x 2-0 other 1", "XADD x 300-1 a 1000 c -5",
             "DUMP x", "XGROUP CREATE x g 1-1", "XGROUP CREATE x h $ ENTRIESREAD 2", "XGROUP CREATE x i 1-2", "DUMP x",
             "XTRIM x MAXLEN 0", "DUMP x", "XADD y 1-1 f 1", "XDEL y 1-1", "DUMP y", "XADD z 5-5 f 1", "XSETID z 9-9",
             "DUMP z"),
    dumping("streams of several nodes", *(("XADD", "x", f"{n}-0", "field", n) for n in range(1, 250)), "DUMP x",
             *(("XADD", "y", f"{n}-0", "field", b"x" * 900) for n in range(1, 20)), "DUMP y"),
)  # fmt: skip
def test_dumps_are_those_of_redis_7_0(play: Play, case: Scenario) -> None:
    play(case)


@pytest.fixture
def older(redis70: RedisOracle) -> Iterator[RawClient]:
    with redis70.client(2) as client:
        assert client.call("FLUSHALL") == b"+OK\r\n"
        yield client


@pytest.fixture
def newer(redis74: RedisOracle) -> Iterator[RawClient]:
    with redis74.client(2) as client:
        assert client.call("FLUSHALL") == b"+OK\r\n"
        yield client


def dumped(client: RawClient, name: str = "k") -> bytes:
    reply = parsed(client.call("DUMP", name))
    assert isinstance(reply, bytes)
    return reply


def parsed(reply: bytes) -> Any:
    reader = hiredis.Reader()
    reader.feed(reply)
    return reader.gets()


def content(client: RawClient, name: str = "k") -> list[Any]:
    """All that commands tell of a key. Scores are numbers: 7.0 writes them in more digits."""
    kind = client.call("TYPE", name)
    found: list[Any] = [kind, client.call("PEXPIRETIME", name)]
    match kind:
        case b"+string\r\n":
            found.append(client.call("GET", name))
        case b"+list\r\n":
            found.append(client.call("LRANGE", name, 0, -1))
        case b"+set\r\n":
            found.append(sorted(_words(client.call("SMEMBERS", name))))
        case b"+zset\r\n":
            flat = _flat(parsed(client.call("ZRANGE", name, 0, -1, "WITHSCORES")))
            found += [(member, float(score)) for member, score in zip(flat[::2], flat[1::2], strict=True)]
        case b"+hash\r\n":
            flat = _flat(parsed(client.call("HGETALL", name)))
            found += sorted(zip(flat[::2], flat[1::2], strict=True))
        case b"+stream\r\n":
            found += _stream_content(client, name)
        case _:
            raise AssertionError(kind)
    return found


def _words(reply: bytes) -> list[Any]:
    return list(parsed(reply))


def _flat(reply: Any) -> list[Any]:
    """Pairs one after the other, which RESP3 gives as a map or as arrays of two."""
    if isinstance(reply, dict):
        reply = list(reply.items())
    return [word for one in reply for word in (one if isinstance(one, list | tuple) else (one,))]


def _stream_content(client: RawClient, name: str) -> list[Any]:
    told = _map(parsed(client.call("XINFO", "STREAM", name)))
    found: list[Any] = [client.call("XRANGE", name, "-", "+")]
    found += [told[word] for word in (b"length", b"last-generated-id", b"max-deleted-entry-id", b"entries-added")]
    for group in map(_map, _words(client.call("XINFO", "GROUPS", name))):
        found.append(group)
        pending = _words(client.call("XPENDING", name, group[b"name"], "-", "+", 1000))
        # The time since it was given grows.
        found += [(number, consumer, count) for number, consumer, _, count in pending]
        consumers = map(_map, _words(client.call("XINFO", "CONSUMERS", name, group[b"name"])))
        found += [(consumer[b"name"], consumer[b"pending"]) for consumer in consumers]
    return found


def _map(reply: Any) -> dict[bytes, Any]:
    """A map, which RESP2 gives as an array."""
    flat = _flat(reply) if isinstance(reply, dict) else reply
    return dict(zip(flat[::2], flat[1::2], strict=True))


KEYS: dict[str, list[Line]] = {
    "a number": ["SET k -70000"],
    "a compressed string": [("SET", "k", b"Rowdis " * 3000)],
    "a long string": [("SET", "k", bytes(range(256)) * 1000)],
    "a string that expires": [f"SET k x PXAT {FAR_MS}"],
    "a list": [f"RPUSH k a {WIDTHS}", ("RPUSH", "k", b"x" * 5000, "", b"\xff\x00")],
    "a list of many nodes": [("RPUSH", "k", *range(0, 60_000, 7))],
    "a list with long items": [("RPUSH", "k", b"x" * 10_000, "a", b"y" * 100_000, "b")],
    "an intset": ["SADD k 1 -5 70000"],
    "a small set": ["SADD k b a 1 c"],
    "a set in a table": [("SADD", "k", *(f"m{n}" for n in range(1000)))],
    "a set with a long member": [("SADD", "k", b"x" * 70_000, "a")],
    "a small sorted set": ["ZADD k 1 a 1.5 b -inf c inf d 1e20 e 0.1 f -0 g 3e-310 h"],
    "a sorted set in a skip list": [("ZADD", "k", *(word for n in range(500) for word in (n / 7, f"m{n}")))],
    "a small hash": ["HSET k a 1 b hello c -1"],
    "a hash in a table": [("HSET", "k", *(f"w{n}" for n in range(2000)))],
    "a hash with a long value": [("HSET", "k", "a", b"x" * 70_000, "b", "1")],
    "a stream": ["XADD k 1-1 a b c d", "XADD k 1-2 a b c d", "XADD k 3-0 x 1", "XDEL k 1-2"],
    "an empty stream": ["XADD k 1-1 a b", "XTRIM k MAXLEN 0"],
    "a stream with groups": [
        *(("XADD", "k", f"{n}-{n}", "f", n, "g", "v" * (n % 60)) for n in range(1, 300)), "XDEL k 7-7",
        "XGROUP CREATE k one 0", "XGROUP CREATE k two 5-5", "XGROUP CREATE k three $",
        "XREADGROUP GROUP one alice COUNT 20 STREAMS k >", "XREADGROUP GROUP one bob COUNT 30 STREAMS k >",
        "XREADGROUP GROUP two alice COUNT 3 STREAMS k >", "XACK k one 3-3 5-5", "XGROUP CREATECONSUMER k one idle",
        "XCLAIM k one carol 0 9-9 FORCE", "XCLAIM k two dave 0 200-200 FORCE JUSTID", "XTRIM k MAXLEN 290",
    ],
}  # fmt: skip


def _fill(client: RawClient, lines: list[Line]) -> None:
    for line in lines:
        assert not client.call(*words(line)).startswith(b"-"), line


@pytest.mark.parametrize("lines", KEYS.values(), ids=KEYS)
@pytest.mark.parametrize("server", ["older", "newer"])
def test_a_key_goes_to_the_real_server_and_back(
    client: RawClient, server: str, lines: list[Line], request: pytest.FixtureRequest
) -> None:
    other: RawClient = request.getfixturevalue(server)
    _fill(client, lines)
    before = content(client)
    expiry = before[1][1:-2]
    options = ("ABSTTL",) if expiry != b"-1" else ()
    ttl = expiry if options else b"0"
    assert other.call("RESTORE", "k", ttl, dumped(client), *options) == b"+OK\r\n"
    assert content(other) == before
    assert client.call("RESTORE", "back", ttl, dumped(other), *options) == b"+OK\r\n"
    assert content(client, "back") == before
    assert client.call("RESTORE", "k", ttl, dumped(client, "back"), "REPLACE", *options) == b"+OK\r\n"
    assert content(client) == before


@pytest.mark.parametrize("lines", KEYS.values(), ids=KEYS)
@pytest.mark.parametrize("server", ["older", "newer"])
def test_a_key_comes_from_the_real_server(
    client: RawClient, server: str, lines: list[Line], request: pytest.FixtureRequest
) -> None:
    other: RawClient = request.getfixturevalue(server)
    _fill(other, lines)
    assert client.call("RESTORE", "k", 0, dumped(other), "REPLACE") == b"+OK\r\n"
    assert other.call("PERSIST", "k")[:1] == b":"
    assert content(client) == content(other)


#: How to look at a key, by the first of these words that is in the name of a form.
LOOKS: dict[str, list[Line]] = {
    "stream": ["XRANGE k - +", "XINFO GROUPS k", "XPENDING k group", "XINFO STREAM k", "XADD k 2-0 a b",
               "XADD k 2-1 a b", "XLEN k", "XREADGROUP GROUP group other STREAMS k >", "XINFO GROUPS k"],
    "hash": ["HMGET k a b c", unordered("HVALS k"), "HLEN k"],
    "zset": ["ZRANGE k 0 -1", "ZSCORE k b", "ZSCORE k d", "ZCARD k"],
    "set": [unordered("SMEMBERS k"), "SCARD k"],
    "list": ["LRANGE k 0 -1", "LLEN k"],
}  # fmt: skip


def _look(name: str) -> list[Line]:
    return next(lines for word, lines in LOOKS.items() if word in name)


@scenarios(*(scenario(name, ("RESTORE", "k", 0, sealed(body)), "TYPE k", *_look(name)) for name, body in OLD.items()))
def test_old_forms(play: Play, case: Scenario) -> None:
    play(case)


@scenarios(*(
    scenario(name, ("RESTORE", "k", 0, sealed(body, 12)), "TYPE k", *_look(name),
             *(["HPEXPIRETIME k FIELDS 3 a b c"] if "expiries" in name else []), oracle="redis74")
    for name, body in NEW.items()
))  # fmt: skip
def test_new_forms(play: Play, case: Scenario) -> None:
    play(case)


def test_fields_that_expire_go_there_and_back(client: RawClient, newer: RawClient) -> None:
    for long in ("x", "x" * 100):
        _fill(client, [("HSET", "k", "a", 1, "b", long, "c", 3), f"HPEXPIREAT k {FAR_MS} FIELDS 1 a",
                       f"HPEXPIREAT k {FAR_MS + 1} FIELDS 1 b"])  # fmt: skip
        assert newer.call("RESTORE", "k", 0, dumped(client), "REPLACE") == b"+OK\r\n"
        assert client.call("RESTORE", "back", 0, dumped(newer), "REPLACE") == b"+OK\r\n"
        for look in ("HPEXPIRETIME {} FIELDS 3 a b c", "HMGET {} a b c", "HLEN {}"):
            here, there = client.call(*words(look.format("back"))), newer.call(*words(look.format("k")))
            assert here == there == client.call(*words(look.format("k")))
        assert client.call("DEL", "k") == b":1\r\n"


def test_fields_that_have_expired_are_left_out(client: RawClient) -> None:
    past = HashField(b"a", b"1", 1)
    some = rdb.dump(HashValue([past, HashField(b"b", b"2")], expires=True))
    assert client.call("RESTORE", "some", 0, some) == b"+OK\r\n"
    assert client.call("HGETALL", "some").endswith(b"\r\n$1\r\nb\r\n$1\r\n2\r\n")
    assert client.call("RESTORE", "none", 0, rdb.dump(HashValue([past], expires=True))) == b"+OK\r\n"
    assert client.call("EXISTS", "none") == b":0\r\n"


@shows("dump-version")
def test_dumps_have_the_version_that_redis_7_0_takes(client: RawClient, newer: RawClient) -> None:
    _fill(client, ["SET k hello"])
    _fill(newer, ["SET k hello"])
    here, there = dumped(client), dumped(newer)
    assert here[:-10] == there[:-10]
    assert (here[-10], there[-10]) == (10, 12)


def test_decompressing_is_bounded(client: RawClient) -> None:
    """Here as in Redis no string may be longer than proto-max-bulk-len."""
    packed = b"\x00\x00" + b"\xe0\xff\x00" * 1000
    size = 1 + 264 * 1000
    body = b"\x00\xc3" + b"\x80" + struct.pack(">I", len(packed)) + b"\x80" + struct.pack(">I", size) + packed
    assert client.call("RESTORE", "k", 0, sealed(body)) == b"+OK\r\n"
    assert client.call("STRLEN", "k") == b":%d\r\n" % size
    bomb = body[:8] + struct.pack(">I", 2**31) + packed
    assert client.call("RESTORE", "j", 0, sealed(bomb)) == b"-ERR Bad data format\r\n"
    assert client.call("RESTORE", "j", 0, sealed(b"\x02\x02" + text(b"a") * 2)) == b"-ERR Bad data format\r\n"
