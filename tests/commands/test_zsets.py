"""Sorted sets, compared with redis-server: members, scores, ranks, scans."""

import random
from typing import Any

import hiredis
import pytest

from tests.commands.conftest import Play
from tests.commands.scenarios import Scenario, Step, becomes, scenario, scenarios, unordered, words
from tests.services.raw_client import RawClient
from tests.services.redis_oracle import RedisOracle

LONG = b"\x00\xff member of 200 KB \r\n" * 10_000
#: Members that have the 64 bytes in common by which the index orders them.
HEAD = b"h" * 64
TIED = [HEAD + tail for tail in (b"", b"\x00", b"a", b"ab", b"b", b"\xff", b"\xff\xff")]
MANY = [word for n in range(300) for word in (n % 50, b"m%d" % n)]
FRACTIONS = [word for n in range(100) for word in (repr(n * 0.7 * 10.0 ** (n % 31 - 9)), b"m%d" % n)]


def _parsed(reply: bytes) -> Any:
    reader = hiredis.Reader()
    reader.feed(reply)
    return reader.gets()


def _scanned(line: str) -> Step:
    """A reply of ZSCAN with its pairs in any order."""

    def pairs(reply: bytes) -> list[tuple[bytes, bytes]]:
        cursor, found = _parsed(reply)
        return [(b"cursor", cursor), *sorted(zip(found[::2], found[1::2], strict=True))]

    return Step(words(line), lambda ours, theirs: pairs(ours) == pairs(theirs))


@scenarios(
    scenario("members are added and moved", "ZADD z 1 a 2 b", "ZADD z 3 a 4 c", "ZRANGE z 0 -1 WITHSCORES", "ZCARD z",
             "ZADD z 3 a", "ZCARD nosuch"),
    scenario("of a member given twice the last score counts", "ZADD z 1 a 2 a 3 a", "ZSCORE z a", "ZADD z CH 4 a 5 a",
             "ZADD z CH 5 a 5 b 5 b", "ZRANGE z 0 -1 WITHSCORES"),
    scenario("NX only adds", "ZADD z NX 1 a", "ZADD z NX 2 a 3 b", "ZRANGE z 0 -1 WITHSCORES", "ZADD z NX CH 9 a 9 c"),
    scenario("XX only moves", "ZADD z XX 1 a", "EXISTS z", "ZADD z 1 a", "ZADD z XX CH 2 a 3 b",
             "ZRANGE z 0 -1 WITHSCORES", "ZADD z XX INCR 5 nosuch", "ZADD nosuch XX INCR 5 a", "EXISTS nosuch"),
    scenario("GT and LT move in one direction and add", "ZADD z 5 a", "ZADD z GT CH 4 a 1 b", "ZADD z GT CH 6 a",
             "ZADD z LT CH 7 a 1 c", "ZADD z LT CH 2 a", "ZADD z GT CH 2 a", "ZRANGE z 0 -1 WITHSCORES",
             "ZADD z XX GT CH 1 d 8 a", "ZADD z GT XX 9 a", "ZADD z LT GT 1 a"),
    scenario("INCR adds to the score", "ZADD z INCR 1.5 a", "ZADD z INCR 1 a", "ZADD z NX INCR 1 a",
             "ZADD z NX INCR 1 b", "ZADD z GT INCR -1 a", "ZADD z LT INCR -1 a", "ZADD z LT INCR 1 a",
             "ZADD z CH INCR 0 a", "ZADD z XX INCR 1 a", "ZADD z INCR 1 a 2 b"),
    scenario("options are refused together", "ZADD z NX XX 1 a", "ZADD z NX GT 1 a", "ZADD z NX LT 1 a",
             "ZADD z GT LT 1 a", "ZADD z NX XX GT 1 a", "ZADD z NX XX 1", "ZADD z NX XX abc a", "ZADD z FOO 1 a",
             "ZADD z NX", "ZADD z NX CH", "ZADD z 1 a 2", "ZADD z 1 a b 2", "ZADD z INCR 1 a 2", "ZADD z", "ZADD z 1",
             "ZADD z nx ch 1 a", "ZADD z 1 nx", "ZADD z NX INCR GT 1 a 2 b", "EXISTS z"),
    scenario("scores are numbers", "ZADD z abc a", "ZADD z 1 a abc b", "EXISTS z", 'ZADD z "" a', "ZADD z nan a",
             'ZADD z " 1" a', "ZADD z 1e400 a", "ZADD z 0x10 a", "ZADD z +1.5e2 b", "ZADD z .5 c", "ZADD z 1. d",
             "ZADD z -0x1p-3 e", "ZADD z 1_0 f", "ZRANGE z 0 -1 WITHSCORES"),
    scenario("infinite scores", "ZADD z inf a -inf b +Infinity c 0 d", "ZRANGE z 0 -1 WITHSCORES", "ZINCRBY z -inf a",
             "ZADD z INCR inf b", "ZINCRBY z 1 a", "ZINCRBY z inf d", "ZSCORE z d", "ZRANGEBYSCORE z inf inf",
             "ZRANGEBYSCORE z -inf (inf", "ZCOUNT z -inf -inf"),
    scenario("tiny and huge scores", "ZADD z 5e-324 a -5e-324 b 1.7976931348623157e308 c -1.7976931348623157e308 d 0 e",
             "ZRANGE z 0 -1 WITHSCORES", "ZRANGEBYSCORE z (-5e-324 (5e-324", "ZRANGEBYSCORE z (0 (5e-324",
             "ZINCRBY z 1.7976931348623157e308 c",
             "ZADD z 9007199254740993 f 0.1 g 3.14159 h 1e21 i 1e-7 j 123456789 k",
             "ZRANGE z 0 -1 WITHSCORES", oracle="redis74"),
    scenario("scores are written in few digits", ("ZADD", "z", *FRACTIONS), "ZRANGE z 0 -1 WITHSCORES", "ZSCAN z 0",
             "ZMSCORE z m0 m3", "ZINCRBY z 0.1 m5", "ZADD z INCR -3.3 m7", "ZRANK z m9 WITHSCORE", "ZPOPMIN z",
             "ZMPOP 1 z MAX COUNT 2", "BZPOPMAX z 0", "ZRANDMEMBER z 0 WITHSCORES", "ZCARD z",
             "ZRANGEBYSCORE z (0.3 70 WITHSCORES", "ZDIFF 1 z WITHSCORES", "ZUNION 2 z z WEIGHTS 0.1 0.2 WITHSCORES",
             "DEL z", "ZADD z 73.8882683 a", ("ZADD", "z", *MANY), "ZSCORE z a", "ZINCRBY z 1e-7 a",
             oracle="redis74"),
    scenario("minus zero is lost in a small sorted set", "ZADD z -0 a 0 b", "ZRANGE z 0 -1 WITHSCORES",
             "ZINCRBY z -0 c",
             "ZSCORE z c", "ZADD z -0 d", "ZINCRBY z -0 d", "ZPOPMAX z"),
    scenario("minus zero is kept in a large one", ("ZADD", "z", *MANY), "ZADD z -0 a 0 b", "ZSCORE z a", "ZSCORE z b",
             "ZADD z CH 0 a", "ZSCORE z a", "ZADD z CH -0 b", "ZSCORE z b", "ZINCRBY z 0 a", "ZSCORE z a",
             "ZRANGEBYSCORE z -0 0 WITHSCORES", "ZRANGEBYSCORE z (-0 1 LIMIT 0 1", "ZPOPMIN z 3", "ZSCORE z a"),
    scenario("ZINCRBY", "ZINCRBY z 1 a", "ZINCRBY z 2.5 a", "ZINCRBY z abc a", "ZINCRBY z 1", "ZINCRBY z -3.5 a",
             "ZINCRBY z nan a", "ZINCRBY z inf a", "ZINCRBY z -inf a", "ZSCORE z a", "ZINCRBY z 0 b", "ZCARD z"),
    scenario("members hold any bytes", r'ZADD z 1 "a\x00b" 1 "" 1 "\xff\xfe" 1 "\r\n"', "ZRANGE z 0 -1",
             r'ZSCORE z "a\x00b"', 'ZSCORE z ""', "ZSCORE z a", r'ZREM z "\r\n" ""', "ZRANGE z 0 -1"),
    scenario("members may be long", ("ZADD", "z", 1, LONG, 1, LONG[:-1], 1, "a", 2, b"x" * 65537),
             ("ZSCORE", "z", LONG), ("ZSCORE", "z", LONG[:-2]), "ZRANGE z 0 -1", ("ZRANK", "z", LONG),
             ("ZADD", "z", 5, LONG), "ZRANGE z -1 -1", "ZPOPMAX z", "ZCARD z", ("ZREM", "z", LONG[:-1]),
             "ZRANGE z 0 -1", "ZREMRANGEBYSCORE z 2 2", "ZRANGE z 0 -1 WITHSCORES"),
    scenario("ZREM", "ZADD z 1 a 2 b 3 c", "ZREM z a nosuch a", "ZREM z nosuch", "ZREM nosuch a", "ZREM z b c",
             "EXISTS z", "ZREM z", "ZADD z 1 a", "ZREM z a b", "TYPE z"),
    scenario("ZMSCORE", "ZADD z 1 a 2.5 b", "ZMSCORE z a nosuch b a", "ZMSCORE nosuch a b", "ZMSCORE z", "ZSCORE z",
             "ZSCORE nosuch a", "ZSCORE z nosuch"),
    scenario("ranks", "ZADD z 1 a 1 b 2 c 3 d", "ZRANK z a", "ZRANK z c", "ZREVRANK z a", "ZREVRANK z d",
             "ZRANK z nosuch", "ZRANK nosuch a", "ZREVRANK z nosuch", "ZREM z a", "ZRANK z c", "ZADD z 0 e",
             "ZRANK z c", "ZREVRANK z c"),
    scenario("ranks in a large sorted set", ("ZADD", "z", *MANY), "ZRANK z m0", "ZRANK z m49", "ZRANK z m250",
             "ZREVRANK z m249", "ZREM z m0", "ZRANK z m250", "ZREVRANK z m250"),
    scenario("ranks with scores", "ZADD z 1 a 2.5 b", "ZRANK z b WITHSCORE", "ZREVRANK z a withscore",
             "ZRANK z nosuch WITHSCORE", "ZREVRANK nosuch a WITHSCORE", "ZRANK z a FOO", "ZRANK z a WITHSCORE FOO",
             "ZRANK z nosuch", "SET s 1", "ZRANK s a FOO", "ZRANK s a WITHSCORE", oracle="redis74"),
    scenario("another type is refused", "SET s 1", "ZADD s 1 a", "ZADD s abc a", "ZADD s NX XX 1 a", "ZINCRBY s 1 a",
             "ZINCRBY s x a", "ZREM s a", "ZCARD s", "ZSCORE s a", "ZMSCORE s a b", "ZRANK s a", "ZREVRANK s a",
             "ZRANDMEMBER s", "ZRANDMEMBER s x", "ZSCAN s 0", "ZSCAN s x", "ZADD z 1 a", "GET z", "INCR z",
             "APPEND z x",
             "STRLEN z", "GET s"),
    scenario("a sorted set is a key like others", "ZADD z 1 a", "TYPE z", "EXPIRE z 100", "ZADD z 2 b", "TTL z",
             "RENAME z y", "ZRANGE y 0 -1 WITHSCORES", "EXISTS z", "ZADD z 5 q", "RENAME y z", "ZRANGE z 0 -1",
             "PERSIST z", "SET z 1", "ZADD z 1 a", "DEL z", "ZADD z 1 b", "ZRANGE z 0 -1"),
    scenario("an expired sorted set is an absent one", "ZADD z 1 a 2 b", "PEXPIRE z 20", becomes("EXISTS z", b":0\r\n"),
             "ZCARD z", "ZSCORE z a", "ZADD z XX 1 a", "ZADD z 3 c", "ZRANGE z 0 -1 WITHSCORES", "TTL z"),
    scenario("in a transaction", "MULTI", "ZADD z 1 a 2 b 3 c", "ZPOPMIN z", "ZADD z abc x", "ZINCRBY z 5 b",
             "ZRANGE z 0 -1 WITHSCORES", "ZREM z b c", "EXISTS z", "ZADD z 7 q", "ZCARD z", "EXEC", "ZRANGE z 0 -1"),
    scenario("ZADD after the last member is gone", "ZADD z 1 a", "ZREM z a", "ZADD z 2 b", "ZPOPMIN z", "ZADD z 3 c",
             "ZREMRANGEBYRANK z 0 -1", "ZADD z 4 d", "ZRANGE z 0 -1 WITHSCORES", "DEL z", "ZADD z 5 a", "ZCARD z"),
)  # fmt: skip
def test_members(play: Play, case: Scenario) -> None:
    play(case)


@scenarios(
    scenario("a small sorted set comes at once and in order", "ZADD z 2 a 1 b 3.5 c", "ZSCAN z 0",
             "ZSCAN z 0 COUNT 1", "ZSCAN z 7", "ZSCAN z 0 MATCH [ab]", "ZSCAN z 0 match c count 5", "ZSCAN nosuch 0",
             "ZSCAN z 0 MATCH nosuch"),
    scenario("a large one comes whole with a large COUNT", ("ZADD", "z", *MANY), _scanned("ZSCAN z 0 COUNT 1000"),
             _scanned("ZSCAN z 0 MATCH m1? COUNT 1000"), "ZREM z m5", _scanned("ZSCAN z 0 COUNT 1000")),
    scenario("options are judged", "ZADD z 1 a", "ZSCAN z x", "ZSCAN z 0 COUNT 0", "ZSCAN z 0 COUNT x",
             "ZSCAN z 0 COUNT", "ZSCAN z 0 MATCH", "ZSCAN z 0 FOO 1", "ZSCAN nosuch 0 FOO", "ZSCAN nosuch x", "ZSCAN z",
             "SET s 1", "ZSCAN s 0 FOO", "ZSCAN s 0"),
)  # fmt: skip
def test_scans(play: Play, case: Scenario) -> None:
    play(case)


@scenarios(
    scenario("how many there are", "ZADD z 1 a", "ZRANDMEMBER z", "ZRANDMEMBER z 1", "ZRANDMEMBER z 5",
             "ZRANDMEMBER z -3", "ZRANDMEMBER z 0", "ZRANDMEMBER z 2 WITHSCORES", "ZRANDMEMBER z -2 withscores",
             "ZRANDMEMBER nosuch", "ZRANDMEMBER nosuch 3", "ZRANDMEMBER nosuch -3 WITHSCORES"),
    scenario("all of them", "ZADD z 1 a 2 b 3 c", unordered("ZRANDMEMBER z 3"), unordered("ZRANDMEMBER z 10")),
    scenario("arguments are judged", "ZADD z 1 a", "ZRANDMEMBER z x", "ZRANDMEMBER z 1 FOO",
             "ZRANDMEMBER z 1 WITHSCORES FOO", "ZRANDMEMBER z x FOO", "ZRANDMEMBER z -9223372036854775808",
             "ZRANDMEMBER z 9223372036854775808", "ZRANDMEMBER z -4611686018427387904 WITHSCORES",
             "ZRANDMEMBER z 4611686018427387904 WITHSCORES", "ZRANDMEMBER z 9223372036854775807", "SET s 1",
             "ZRANDMEMBER s 1 FOO", "ZRANDMEMBER s 1 WITHSCORES", "ZRANDMEMBER nosuch 1 FOO"),
)  # fmt: skip
def test_random_members(play: Play, case: Scenario) -> None:
    play(case)


def test_a_scan_in_pages_gives_every_member_with_its_score(client: RawClient) -> None:
    client.call("ZADD", "z", *MANY)
    found: dict[bytes, bytes] = {}
    cursor = b"0"
    while True:
        cursor, pairs = _parsed(client.call("ZSCAN", "z", cursor, "COUNT", 20))
        assert len(pairs) < 100
        found |= dict(zip(pairs[::2], pairs[1::2], strict=True))
        if cursor == b"0":
            break
    assert found == {b"m%d" % n: b"%d" % (n % 50) for n in range(300)}


@pytest.mark.parametrize("size", [300, 4000])
def test_random_members_are_members_with_their_scores(client: RawClient, size: int) -> None:
    client.call("ZADD", "z", *[word for n in range(size) for word in (n, b"m%d" % n)])
    for count in (5, -5, 70, -500, size - 3):
        found = _parsed(client.call("ZRANDMEMBER", "z", count, "WITHSCORES"))
        pairs = found if isinstance(found[0], list) else list(zip(found[::2], found[1::2], strict=True))
        assert len(pairs) == abs(count)
        assert all(member == b"m%d" % int(score) for member, score in pairs)
        assert count < 0 or len({member for member, _ in pairs}) == count


def test_order_beyond_the_bytes_of_the_index_is_that_of_redis(
    client: RawClient, oracle_client: RawClient, rng: random.Random
) -> None:
    members = [word for member in rng.sample(TIED, len(TIED)) for word in (rng.choice((1, 2)), member)]
    others = [word for n in range(5) for word in (n, b"h" * 60 + b"%d" % n)]
    for connection in (client, oracle_client):
        connection.call("ZADD", "z", *members, *others)
    size = len(TIED) + 5
    requests: list[tuple[str | int | bytes, ...]] = [("ZRANGE", "z", n, m) for n in range(size) for m in range(n, size)]
    requests += [("ZREVRANGE", "z", n, n + 1) for n in range(size)]
    requests += [(name, "z", member) for name in ("ZRANK", "ZREVRANK") for member in TIED]
    requests += [("ZRANGEBYSCORE", "z", 1, "(3", "LIMIT", n, 2) for n in range(size)]
    requests += [("ZREVRANGEBYSCORE", "z", 2, 1, "LIMIT", n, 3) for n in range(size)]
    requests += [(rng.choice(("ZPOPMIN", "ZPOPMAX")), "z") for _ in range(size)]
    assert client.pipeline(requests) == oracle_client.pipeline(requests)


def test_the_oracle_orders_as_the_test_says(oracle: RedisOracle) -> None:
    """The order by score, then by the bytes of members."""
    with oracle.client() as connection:
        connection.call("FLUSHALL")
        connection.call("ZADD", "z", 1, "b", 1, "a", 1, "a\0", 0, "z")
        assert connection.call("ZRANGE", "z", 0, -1) == b"*4\r\n$1\r\nz\r\n$1\r\na\r\n$2\r\na\x00\r\n$1\r\nb\r\n"
