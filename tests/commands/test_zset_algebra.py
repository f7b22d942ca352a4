"""Unions, intersections and differences of sorted sets, compared with redis-server."""

from tests.commands.conftest import Play
from tests.commands.scenarios import Scenario, scenario, scenarios

A = "ZADD a 1 x 2 y 3 z"
B = "ZADD b 10 y 20 z 30 w"
S = "SADD s x y q"
MANY = [word for n in range(2500) for word in (n // 3, b"m%04d" % n)]
MANY_MEMBERS = [b"m%04d" % n for n in range(1000, 3500)]


@scenarios(
    scenario("unions", A, B, "ZUNION 2 a b", "ZUNION 2 a b WITHSCORES", "ZUNION 2 a b WEIGHTS 2 -1 WITHSCORES",
             "ZUNION 2 a b AGGREGATE MIN WITHSCORES", "ZUNION 2 a b aggregate max withscores", "ZUNION 1 a",
             "ZUNION 3 a nosuch a WITHSCORES", "ZUNION 1 nosuch", "ZUNION 2 a b WEIGHTS 1 2 WEIGHTS 3 4 WITHSCORES",
             "ZUNION 2 a b WITHSCORES AGGREGATE MIN WEIGHTS 0.5 1.5"),
    scenario("intersections", A, B, "ZINTER 2 a b", "ZINTER 2 a b WITHSCORES", "ZINTER 2 b a WEIGHTS 2 3 WITHSCORES",
             "ZINTER 2 a b AGGREGATE MIN WITHSCORES", "ZINTER 2 a b AGGREGATE MAX WITHSCORES", "ZINTER 2 a nosuch",
             "ZINTER 3 a b a WITHSCORES", "ZINTER 1 a WEIGHTS 3 WITHSCORES", "ZINTERCARD 2 a b",
             "ZINTERCARD 2 a b LIMIT 1",
             "ZINTERCARD 2 a b LIMIT 0", "ZINTERCARD 2 a nosuch", "ZINTERCARD 1 a", "ZINTERCARD 1 a LIMIT 2 LIMIT 1"),
    scenario("differences", A, B, "ZDIFF 2 a b", "ZDIFF 2 b a WITHSCORES", "ZDIFF 1 a WITHSCORES", "ZDIFF 2 a a",
             "ZDIFF 2 nosuch a", "ZDIFF 3 a nosuch b WITHSCORES"),
    scenario("sets take part with the score 1", A, S, "ZUNION 2 a s WITHSCORES", "ZINTER 2 a s WITHSCORES",
             "ZINTER 2 s a WEIGHTS 5 1 WITHSCORES", "ZDIFF 2 s a WITHSCORES", "ZDIFF 2 a s WITHSCORES",
             "ZUNION 1 s WITHSCORES", "ZINTERCARD 2 s a", "ZUNIONSTORE s 1 s", "TYPE s", "ZRANGE s 0 -1 WITHSCORES"),
    scenario("storing", A, B, "ZUNIONSTORE d 2 a b", "ZRANGE d 0 -1 WITHSCORES", "ZINTERSTORE d 2 a b WEIGHTS 1 0.1",
             "ZRANGE d 0 -1 WITHSCORES", "ZDIFFSTORE d 2 a b", "ZRANGE d 0 -1 WITHSCORES", "ZINTERSTORE d 2 a nosuch",
             "EXISTS d", "ZUNIONSTORE a 2 a b AGGREGATE MAX", "ZRANGE a 0 -1 WITHSCORES", "SET d 1 EX 100",
             "ZUNIONSTORE d 1 b", "TYPE d", "TTL d", "ZDIFFSTORE d 2 b b", "EXISTS d", "ZDIFFSTORE nosuch 1 nosuch"),
    scenario("infinities", "ZADD a inf x -inf y 0 z", "ZADD b -inf x inf y inf z", "ZUNION 2 a b WITHSCORES",
             "ZINTER 2 a b WITHSCORES", "ZUNION 2 a b WEIGHTS 0 1 WITHSCORES", "ZUNION 1 a WEIGHTS 0 WITHSCORES",
             "ZUNION 1 a WEIGHTS inf WITHSCORES", "ZINTER 2 a b WEIGHTS 0 0 WITHSCORES",
             "ZINTER 2 a b WEIGHTS 0 0 AGGREGATE MIN WITHSCORES", "ZINTER 2 a b WEIGHTS 1 0 AGGREGATE MAX WITHSCORES",
             "ZUNION 2 a b WEIGHTS -inf -inf WITHSCORES", "ZUNION 1 a WEIGHTS nan"),
    scenario("minus zero", "ZADD a 0 x 0 y", "ZUNION 1 a WEIGHTS -1 WITHSCORES", "ZUNIONSTORE d 1 a WEIGHTS -1",
             "ZRANGE d 0 -1 WITHSCORES", "ZUNION 2 a a WEIGHTS -1 1 AGGREGATE MIN WITHSCORES",
             "ZUNION 2 a a WEIGHTS 1 -1 AGGREGATE MAX WITHSCORES", "ZUNION 2 a a WEIGHTS -1 -1 WITHSCORES"),
    scenario("sums depend on the order", "ZADD a 0.1 x", "ZADD b 0.2 x 1 p", "ZADD c 0.3 x 1 p 1 q",
             "ZUNION 3 c b a WITHSCORES", "ZUNION 3 a b c WITHSCORES", "ZINTER 3 b c a WITHSCORES",
             "ZUNION 3 a a b WEIGHTS 1e16 1 -1e16 WITHSCORES", oracle="redis74"),
    scenario("equal scores are ordered by member", "ZADD a 1 b 1 d", "ZADD b 1 a 1 c", "ZUNION 2 a b",
             "ZUNION 2 a b WEIGHTS 2 1 WITHSCORES"),
    scenario("arguments are judged", A, "ZUNION 0 a", "ZUNION -1 a", "ZUNION x a", "ZUNION 3 a b", "ZUNION 1 a FOO",
             "ZUNION 1 a WEIGHTS", "ZUNION 2 a b WEIGHTS 1", "ZUNION 1 a WEIGHTS x", "ZUNION 1 a AGGREGATE",
             "ZUNION 1 a AGGREGATE FOO", "ZUNION 1 a WEIGHTS 1 2", "ZUNION 1", "ZDIFF 1 a WEIGHTS 1",
             "ZDIFF 1 a AGGREGATE MIN", "ZDIFF 0 a", "ZINTERCARD 1 a WITHSCORES", "ZINTERCARD 1 a LIMIT",
             "ZINTERCARD 1 a LIMIT -1", "ZINTERCARD 1 a LIMIT x", "ZINTERCARD 0 a", "ZINTERCARD 1 a WEIGHTS 1",
             "ZUNIONSTORE d 1 a WITHSCORES", "ZUNIONSTORE d 0 a", "ZUNIONSTORE d x a", "ZUNIONSTORE d 2 a",
             "ZINTERSTORE d 1 a FOO", "ZDIFFSTORE d 1 a WITHSCORES", "ZDIFFSTORE d 0 a", "zinterstore d 0 a",
             "EXISTS d"),
    scenario("another type is refused", A, "SET t 1", "ZUNION 2 a t", "ZUNION 2 a t FOO", "ZINTER 2 nosuch t",
             "ZDIFF 2 a t",
             "ZINTERCARD 2 t a", "ZUNIONSTORE d 1 t", "ZINTERSTORE d 2 nosuch t", "ZDIFFSTORE d 1 t FOO", "ZUNION 0 t",
             "ZUNIONSTORE t 1 a", "TYPE t"),
    scenario("large ones", ("ZADD", "a", *MANY), ("SADD", "s", *MANY_MEMBERS), "ZADD b 5 m0007 6 m2000 7 none",
             "ZINTERCARD 2 a s", "ZINTERCARD 2 a s LIMIT 100", "ZINTER 2 a b WITHSCORES", "ZINTER 2 b s WITHSCORES",
             "ZDIFF 2 b a WITHSCORES", "ZDIFF 2 b s WITHSCORES", "ZUNIONSTORE d 3 a b s", "ZCARD d",
             "ZRANGE d 0 3 WITHSCORES",
             "ZREVRANGE d 0 3 WITHSCORES", "ZINTERSTORE d 2 a s WEIGHTS 1 10", "ZRANGE d 0 -1 WITHSCORES",
             "ZDIFFSTORE d 2 a s",
             "ZRANGE d -3 -1 WITHSCORES", "ZADD d 5 m0999 6 new", "ZREM d m0001", "ZCARD d"),
    scenario("in a transaction", "MULTI", A, B, "ZUNIONSTORE d 2 a b", "ZPOPMIN d", "ZADD d 5 x",
             "ZINTER 2 a d WITHSCORES",
             "ZDIFFSTORE a 2 d b", "ZRANGE a 0 -1 WITHSCORES", "EXEC", "ZRANGE d 0 -1 WITHSCORES"),
)  # fmt: skip
def test_algebra(play: Play, case: Scenario) -> None:
    play(case)
