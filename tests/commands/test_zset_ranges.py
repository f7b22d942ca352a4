"""Ranges of sorted sets, compared with redis-server: by rank, score and member; counted, stored, removed."""

from tests.commands.conftest import Play
from tests.commands.scenarios import Scenario, scenario, scenarios
from tests.services.raw_client import RawClient

FILL = "ZADD z 1 a 2 b 2 c 3 d 4 e"
LEX = "ZADD z 0 a 0 aa 0 ab 0 b 0 c 0 ca"
HEAD = b"h" * 64
MANY = [word for n in range(2500) for word in (n // 3, b"m%04d" % n)]
EQUAL = [word for n in range(2500) for word in (7, b"m%04d" % n)]


@scenarios(
    scenario("by rank", FILL, "ZRANGE z 0 -1", "ZRANGE z 1 3", "ZRANGE z -2 -1", "ZRANGE z -100 1", "ZRANGE z 3 100",
             "ZRANGE z 4 4", "ZRANGE z 5 10", "ZRANGE z 3 1", "ZRANGE z -1 0", "ZRANGE z -100 -50",
             "ZRANGE z 1 2 WITHSCORES", "ZREVRANGE z 0 1", "ZREVRANGE z -2 -1 WITHSCORES", "ZREVRANGE z 1 100",
             "ZRANGE nosuch 0 -1", "ZREVRANGE nosuch 0 -1 WITHSCORES", "ZRANGE z 0 1 REV",
             "ZRANGE z 0 1 rev withscores",
             "ZRANGE z 0 9223372036854775807", "ZRANGE z -9223372036854775808 0"),
    scenario("by score", FILL, "ZRANGEBYSCORE z 2 3", "ZRANGEBYSCORE z (2 3", "ZRANGEBYSCORE z 2 (3",
             "ZRANGEBYSCORE z (2 (3", "ZRANGEBYSCORE z -inf +inf", "ZRANGEBYSCORE z 5 6", "ZRANGEBYSCORE z 3 2",
             "ZRANGEBYSCORE z (2 2", "ZRANGEBYSCORE z 2 2", "ZREVRANGEBYSCORE z 3 2",
             "ZREVRANGEBYSCORE z 3 (2 WITHSCORES",
             "ZREVRANGEBYSCORE z 2 3", "ZREVRANGEBYSCORE z +inf -inf", "ZRANGE z 2 3 BYSCORE",
             "ZRANGE z 3 2 BYSCORE REV WITHSCORES", "ZRANGE z 2 3 REV BYSCORE", "ZRANGEBYSCORE nosuch 0 1",
             "ZRANGEBYSCORE z 1.5 2.5 WITHSCORES", "ZRANGEBYSCORE z inf -inf", "ZREVRANGEBYSCORE z (3 -inf"),
    scenario("with LIMIT", FILL, "ZRANGEBYSCORE z -inf +inf LIMIT 0 2",
             "ZRANGEBYSCORE z -inf +inf LIMIT 1 2 WITHSCORES",
             "ZRANGEBYSCORE z 2 4 WITHSCORES LIMIT 1 100", "ZRANGEBYSCORE z 2 4 LIMIT 1 -1",
             "ZRANGEBYSCORE z 2 4 LIMIT 1 -7",
             "ZRANGEBYSCORE z 2 4 LIMIT -1 2", "ZRANGEBYSCORE z 2 4 LIMIT 0 0", "ZRANGEBYSCORE z 2 4 LIMIT 100 5",
             "ZREVRANGEBYSCORE z 4 2 LIMIT 1 2", "ZREVRANGEBYSCORE z 4 2 LIMIT 3 2", "ZRANGE z 2 4 BYSCORE LIMIT 2 1",
             "ZRANGE z 4 2 BYSCORE LIMIT 0 1 REV", "ZRANGEBYSCORE z 2 4 LIMIT 0 1 LIMIT 1 1",
             "ZRANGEBYSCORE z 2 4 LIMIT 9223372036854775807 9223372036854775807"),
    scenario("a negative offset counts from the end of the range in a large sorted set",
             ("ZADD", "z", *(word for n in range(9) for word in (n, f"m{n}")), 9, b"x" * 65),
             ("ZADD", "y", *(word for n in range(9) for word in (0, f"m{n}")), 0, b"x" * 65), *(
        line.format(limit)
        for limit in ("-1 -1", "-2 1", "-5 2", "-5 -1", "-6 9", "-3 0", "-9223372036854775808 1")
        for line in ("ZRANGEBYSCORE z 2 6 LIMIT {}", "ZREVRANGEBYSCORE z 6 2 WITHSCORES LIMIT {}",
                     "ZRANGEBYLEX y [m2 [m6 LIMIT {}", "ZRANGE y [m6 (m1 BYLEX REV LIMIT {}",
                     "ZRANGESTORE d z 2 6 BYSCORE LIMIT {}", "ZRANGEBYSCORE z 6 2 LIMIT {}")
    ), oracle="redis74"),
    scenario("bounds of scores as C reads them", FILL, 'ZRANGEBYSCORE z "" 2', 'ZRANGEBYSCORE z "(" 2',
             'ZRANGEBYSCORE z " 1" 2', 'ZRANGEBYSCORE z "1 " 2', 'ZRANGEBYSCORE z " " 2', "ZRANGEBYSCORE z 0x1 0x2",
             "ZRANGEBYSCORE z 1e400 2", "ZRANGEBYSCORE z -1e400 1e400", "ZRANGEBYSCORE z 1e-400 2",
             "ZRANGEBYSCORE z nan 2",
             "ZRANGEBYSCORE z ((1 2", "ZRANGEBYSCORE z ( 2", "ZRANGEBYSCORE z [1 2", "ZRANGEBYSCORE z -INF +InFiNiTy",
             r'ZRANGEBYSCORE z "1\x00x" 2', "ZRANGEBYSCORE z 1_0 2", "ZRANGEBYSCORE z +1 .2e1",
             "ZRANGEBYSCORE z 1 -0x1p4000",
             'ZCOUNT z "( 1" inf'),
    scenario("by member", LEX, "ZRANGEBYLEX z - +", "ZRANGEBYLEX z [a [b", "ZRANGEBYLEX z (a (b", "ZRANGEBYLEX z - (c",
             "ZRANGEBYLEX z [aa +", "ZRANGEBYLEX z + -", "ZRANGEBYLEX z - -", "ZRANGEBYLEX z + +",
             "ZRANGEBYLEX z [b [a",
             "ZRANGEBYLEX z [a [a", "ZRANGEBYLEX z (a [a", "ZRANGEBYLEX z [a (a", "ZRANGEBYLEX z [ (b",
             "ZREVRANGEBYLEX z + -", "ZREVRANGEBYLEX z [c [aa", "ZREVRANGEBYLEX z (c (aa LIMIT 1 1",
             "ZREVRANGEBYLEX z - +", "ZRANGE z [a [b BYLEX", "ZRANGE z [b [a BYLEX REV", "ZRANGE z [a [b BYLEX REV",
             "ZRANGEBYLEX z - + LIMIT 1 2", "ZRANGEBYLEX z - + LIMIT -1 2", "ZRANGEBYLEX z - + LIMIT 2 -1",
             "ZRANGEBYLEX z - + LIMIT 0 0", r'ZRANGEBYLEX z "(a\x00" [ab', r'ZRANGEBYLEX z "[a\xff" +',
             "ZRANGEBYLEX nosuch - +", "ZLEXCOUNT z - +", "ZLEXCOUNT z [aa (c", "ZLEXCOUNT z + -",
             "ZLEXCOUNT nosuch - +"),
    scenario("bounds of members are judged", LEX, "ZRANGEBYLEX z a b", "ZRANGEBYLEX z -a +", 'ZRANGEBYLEX z "" +',
             "ZRANGEBYLEX z - ++", r'ZRANGEBYLEX z "-\x00x" "+\x00"', "ZLEXCOUNT z a b", "ZREMRANGEBYLEX z a b",
             "ZLEXCOUNT z - *"),
    scenario("by member where scores differ, in a small sorted set", "ZADD z 1 c 2 a 3 d 4 b 5 e", "ZRANGEBYLEX z - +",
             "ZRANGEBYLEX z [b +", "ZRANGEBYLEX z [a [c", "ZRANGEBYLEX z (c [d", "ZREVRANGEBYLEX z + [b",
             "ZREVRANGEBYLEX z [d [a", "ZRANGEBYLEX z [f +", "ZRANGEBYLEX z - (a", "ZLEXCOUNT z [b +",
             "ZRANGEBYLEX z [a + LIMIT 1 2", "ZREMRANGEBYLEX z [a [c", "ZRANGE z 0 -1", "ZREMRANGEBYLEX z - +",
             "EXISTS z"),
    scenario("options are judged", FILL, "ZRANGE z 0 -1 FOO", "ZRANGE z a 1", "ZRANGE z 0 b FOO",
             "ZRANGE z 0 -1 LIMIT 0 1",
             "ZRANGE z 0 -1 LIMIT 0 -1", "ZRANGE z 0 -1 LIMIT a b", "ZRANGE z 0 -1 LIMIT 0",
             "ZRANGE z 0 1 BYSCORE LIMIT 0 x",
             "ZRANGE z 0 1 BYSCORE BYLEX", "ZRANGE z 0 1 BYSCORE BYSCORE", "ZRANGE z 0 1 REV REV",
             "ZRANGE z - + BYLEX WITHSCORES", "ZRANGEBYLEX z - + WITHSCORES", "ZRANGEBYSCORE z 0 1 BYSCORE",
             "ZRANGEBYSCORE z 0 1 REV", "ZREVRANGE z 0 1 REV", "ZREVRANGE z 0 1 BYSCORE", "ZREVRANGE z 0 1 LIMIT 0 1",
             "ZRANGE z 0 1 WITHSCORES WITHSCORES", "ZRANGE z 1", "ZRANGEBYSCORE z 1", "ZREVRANGE z 1",
             "ZRANGE z a b BYSCORE",
             "ZRANGE z a b BYLEX", "ZRANGEBYSCORE nosuch a b", "ZRANGE nosuch a b", "SET s 1", "ZRANGE s a b",
             "ZRANGE s 0 1",
             "ZRANGEBYSCORE s 0 1", "ZRANGEBYLEX s - +", "ZREVRANGEBYLEX s + -", "ZREVRANGEBYSCORE s 1 0",
             "ZREVRANGE s 0 1",
             "ZCOUNT s 0 1", "ZCOUNT s a b", "ZLEXCOUNT s - +"),
    scenario("counting", FILL, "ZCOUNT z 2 3", "ZCOUNT z (2 3", "ZCOUNT z -inf +inf", "ZCOUNT z 3 2", "ZCOUNT z 10 20",
             "ZCOUNT nosuch 0 1", "ZCOUNT z a b", "ZCOUNT z 0", "ZREM z b", "ZCOUNT z 2 2", "ZADD z 9 q",
             "ZCOUNT z 5 inf"),
    scenario("a large sorted set", ("ZADD", "z", *MANY), "ZRANGE z 0 2", "ZRANGE z 2400 2402", "ZRANGE z 1250 1252",
             "ZREVRANGE z 1300 1302", "ZRANGE z 0 -1", "ZREVRANGE z 0 -1 WITHSCORES", "ZRANGEBYSCORE z 100 102",
             "ZRANGEBYSCORE z 100 +inf LIMIT 1500 3", "ZREVRANGEBYSCORE z 500 0 LIMIT 1200 4",
             "ZRANGEBYSCORE z -inf +inf",
             "ZREVRANGEBYSCORE z +inf 2", "ZCOUNT z (3 700", "ZRANGE z 0 2100"),
    scenario("many equal scores", ("ZADD", "z", *EQUAL), "ZRANGEBYLEX z [m0100 [m0103", "ZREVRANGEBYLEX z [m0100 -",
             "ZRANGEBYLEX z - + LIMIT 2100 3", "ZLEXCOUNT z [m01 (m02", "ZRANGEBYLEX z - +", "ZRANGEBYLEX z (m2 [m21",
             "ZREMRANGEBYLEX z [m0001 [m2300", "ZRANGE z 0 4", "ZCARD z"),
)  # fmt: skip
def test_ranges(play: Play, case: Scenario) -> None:
    play(case)


@scenarios(
    scenario("by rank", FILL, "ZREMRANGEBYRANK z 1 2", "ZRANGE z 0 -1", "ZREMRANGEBYRANK z -1 -1", "ZRANGE z 0 -1",
             "ZREMRANGEBYRANK z 5 10", "ZREMRANGEBYRANK z 1 0", "ZREMRANGEBYRANK z 0 -1", "EXISTS z",
             "ZREMRANGEBYRANK nosuch 0 1", "ZREMRANGEBYRANK z a b", "SET s 1", "ZREMRANGEBYRANK s 0 1",
             "ZREMRANGEBYRANK s a 1"),
    scenario("by score", FILL, "ZREMRANGEBYSCORE z (1 2", "ZRANGE z 0 -1", "ZREMRANGEBYSCORE z 10 20",
             "ZREMRANGEBYSCORE z 3 1", "ZREMRANGEBYSCORE z 4 inf", "ZRANGE z 0 -1", "ZREMRANGEBYSCORE z -inf inf",
             "EXISTS z",
             "ZREMRANGEBYSCORE z a b", "ZREMRANGEBYSCORE nosuch 0 1", "SET s 1", "ZREMRANGEBYSCORE s 0 1"),
    scenario("by member", LEX, "ZREMRANGEBYLEX z [aa (b", "ZRANGE z 0 -1", "ZREMRANGEBYLEX z [x +",
             "ZREMRANGEBYLEX z + -",
             "ZREMRANGEBYLEX z - [b", "ZRANGE z 0 -1", "ZREMRANGEBYLEX z - +", "EXISTS z", "ZREMRANGEBYLEX nosuch - +",
             "SET s 1", "ZREMRANGEBYLEX s - +", "ZREMRANGEBYLEX s a +"),
    scenario("many of a large one", ("ZADD", "z", *MANY), "ZREMRANGEBYSCORE z 10 (500", "ZCARD z",
             "ZRANGE z 25 35 WITHSCORES",
             "ZADD z 300 m1000", "ZSCORE z m1001", "ZREMRANGEBYRANK z 0 49", "ZRANGE z 0 3 WITHSCORES", "ZRANK z m1600",
             "ZPOPMIN z 2", "ZPOPMAX z 2", "ZREMRANGEBYRANK z 2 -3", "ZRANGE z 0 -1 WITHSCORES",
             "ZREMRANGEBYSCORE z -inf inf",
             "EXISTS z", "ZADD z 1 a", "ZRANGE z 0 -1"),
    scenario("many of a large one by rank", ("ZADD", "z", *MANY), "ZREMRANGEBYRANK z 3 2000", "ZRANGE z 0 5 WITHSCORES",
             "ZADD z 1 m0100 2 m0101", "ZRANGE z 0 8 WITHSCORES", "ZREMRANGEBYRANK z -1100 -1", "ZCARD z",
             "ZRANGE z 0 -1"),
    scenario("then the same again in one transaction", ("ZADD", "z", *MANY), "MULTI", "ZREMRANGEBYSCORE z 0 500",
             "ZADD z 3 m0005", "ZSCORE z m0005", "ZSCORE z m0006", "ZREM z m0006 m0005", "ZADD z 1 m0007", "ZPOPMIN z",
             "ZRANGE z 0 1", "ZCARD z", "EXEC", "ZRANGE z 0 1 WITHSCORES"),
)  # fmt: skip
def test_removing_ranges(play: Play, case: Scenario) -> None:
    play(case)


@scenarios(
    scenario("by rank, score and member", FILL, "ZRANGESTORE d z 1 3", "ZRANGE d 0 -1 WITHSCORES",
             "ZRANGESTORE d z 2 3 BYSCORE",
             "ZRANGE d 0 -1 WITHSCORES", "ZRANGESTORE d z 3 2 BYSCORE REV LIMIT 0 2", "ZRANGE d 0 -1 WITHSCORES",
             "ZRANGESTORE d z 0 0 REV", "ZRANGE d 0 -1", "DEL z", LEX, "ZRANGESTORE d z [aa (c BYLEX", "ZRANGE d 0 -1"),
    scenario("nothing deletes the destination", FILL, "SET d 1", "ZRANGESTORE d z 10 20", "EXISTS d", "SET d 1",
             "ZRANGESTORE d nosuch 0 -1", "EXISTS d", "ZRANGESTORE nosuch nosuch2 0 -1"),
    scenario("the destination is overwritten", FILL, "SET d 1 EX 100", "ZRANGESTORE d z 0 1", "TYPE d", "TTL d",
             "ZRANGESTORE z z 1 2", "ZRANGE z 0 -1 WITHSCORES"),
    scenario("arguments are judged", FILL, "ZRANGESTORE d z 0 -1 WITHSCORES", "ZRANGESTORE d z a b",
             "ZRANGESTORE d z 0",
             "ZRANGESTORE d z 0 1 LIMIT 0 1", "ZRANGESTORE d z a b BYSCORE", "ZRANGESTORE d z a b BYLEX", "SET s 1",
             "ZRANGESTORE d s 0 1", "ZRANGESTORE d s a 1", "EXISTS d"),
    scenario("a large one", ("ZADD", "z", *MANY), "ZRANGESTORE d z 100 2200", "ZCARD d", "ZRANGE d 0 2 WITHSCORES",
             "ZRANGE d -2 -1", "ZSCORE d m0200", "ZADD d 5 m0200 6 new", "ZCARD d", "ZREM d m0100 m2200", "ZCARD d",
             "MULTI", "ZRANGESTORE e d 0 -1", "ZADD e 1 m0300", "ZSCORE e m0300", "ZCARD e", "ZPOPMIN e", "EXEC",
             "ZRANGE e 0 1"),
)  # fmt: skip
def test_storing_ranges(play: Play, case: Scenario) -> None:
    play(case)


def test_ranges_of_members_that_the_index_can_not_tell_apart(client: RawClient, oracle_client: RawClient) -> None:
    tied = [HEAD + b"%02d" % n for n in range(40)]
    members = [b"a", b"h" * 63, HEAD, *tied, HEAD + b"\xff", b"h" * 63 + b"i", b"z"]
    ends = [kind + member for kind in (b"[", b"(") for member in (*members[:4], *tied[20:22], HEAD + b"05x")]
    requests: list[tuple[bytes | str | int, ...]] = [
        ("ZADD", "z", *[word for member in members for word in (0, member)])
    ]  # fmt: skip
    for low in (b"-", b"+", *ends):
        for high in (b"-", b"+", *ends):
            requests.append(("ZRANGEBYLEX", "z", low, high, "LIMIT", 2, 5))
            requests += [("ZREVRANGEBYLEX", "z", high, low), ("ZLEXCOUNT", "z", low, high)]
    requests += [("ZREMRANGEBYLEX", "z", b"(" + tied[5], b"[" + HEAD + b"11x"), ("ZRANGE", "z", 0, -1)]
    requests += [("ZREMRANGEBYRANK", "z", 5, 8), ("ZRANGE", "z", 0, -1)]
    requests += [("ZREMRANGEBYLEX", "z", "-", b"[" + tied[30]), ("ZRANGE", "z", 0, -1)]
    assert client.pipeline(requests) == oracle_client.pipeline(requests)
