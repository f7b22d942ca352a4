"""SORT and SORT_RO, compared with redis-server."""

from tests.commands.conftest import Play
from tests.commands.scenarios import Scenario, scenario, scenarios
from tests.services.raw_client import RawClient

LEAST_NORMAL = "2.2250738585072014e-308"


def _with(word: str) -> tuple[str, ...]:
    """A list is sorted that has this element between others."""
    return "DEL l", f"RPUSH l 0 {word} 1", "SORT l", "SORT l DESC LIMIT 0 2"


@scenarios(
    scenario("a list by its numbers", "RPUSH l 3 1 2 10 -5 1.5", "SORT l", "SORT l DESC", "SORT l ASC",
             "sort l desc asc", "SORT l ALPHA", "SORT l ALPHA DESC", "SORT_RO l", "SORT_RO l DESC ALPHA",
             "LRANGE l 0 -1"),
    scenario("a set", "SADD s 3 1 2 10", "SORT s", "SORT s DESC", "SORT s ALPHA", "SADD t b a c", "SORT t",
             "SORT t ALPHA", "SORT t ALPHA DESC"),
    scenario("a sorted set goes by its members", "ZADD z 1 30 2 20 3 10", "SORT z", "SORT z DESC", "SORT z ALPHA",
             "ZADD z 4 a", "SORT z", "SORT z ALPHA DESC"),
    scenario("equal numbers go by their bytes", "RPUSH l 1.0 1 01 1e0 +1 0x1", "SORT l", "SORT l DESC",
             "RPUSH k b a c", "SORT k BY nosuch*", "SORT k BY nosuch* DESC"),
    scenario("a part", "RPUSH l 5 3 1 4 2", *(
        f"SORT l LIMIT {limit}" for limit in (
            "0 2", "1 2", "4 9", "5 1", "9 9", "-1 2", "-7 3", "1 0", "1 -1", "0 -9", "3 -2",
            "9223372036854775807 9223372036854775807", "-9223372036854775808 9223372036854775807",
        )
    ), "SORT l DESC LIMIT 1 2", "SORT l LIMIT 0 1 LIMIT 1 2"),
    scenario("no key", "SORT l", "SORT_RO l", "SORT l BY w* GET # GET v*", "SORT l STORE d", "SET d 1",
             "SORT l STORE d", "EXISTS d", "SORT l LIMIT 0 5 STORE d"),
    scenario("other types", "SET a 1", "SORT a", "SORT_RO a", "SORT a STORE b", "HSET h a 1", "SORT h",
             "XADD x 1-1 a 1", "SORT x", "SORT h FOO", "SORT a LIMIT 1 x", "TYPE b"),
    scenario("options are checked", "RPUSH l 1", "SORT l LIMIT", "SORT l LIMIT 1", "SORT l LIMIT 1 x",
             "SORT l LIMIT x 1", "SORT l BY", "SORT l GET", "SORT l STORE", "SORT l FOO", "SORT l ASC FOO",
             "SORT_RO l STORE a", "SORT", "SORT_RO", 'SORT l ""', "SORT l LIMIT 9223372036854775808 1",
             "SORT l LIMIT 1.0 1", "SORT l LIMIT 0 x FOO", "SORT l FOO LIMIT 0 x", "SORT_RO l STORE",
             "SORT nosuch LIMIT 1 x", "EXISTS a"),
    scenario("numbers are what strtod takes whole", *(
        line
        for word in (
            LEAST_NORMAL, "0x10", "0x1p-3", "inf", "-INF", "infinity", "nan", "nan(1)", '""', '" 1"',
            r'"\t\n\x0b\x0c\r 7"', '"1 "', '" "', "+1", "-", "+", ".5", "5.", ".", "1e", "1e+", "1e5", "1E-5", "0x",
            "0x.8", "0x.", "-0x1.8", "--1", "1_0", r'"1\x00abc"', r'"\x00"', r'"\x00a"', "0x1p-1074", "-0x1p-1074",
            "0x1.8p-1073", "0e-400", "-0", "in", "infinityx", "1,5", "12345678901234567890123",
        )
        for line in _with(word)
    )),
    # One by one: once a number was out of range, Redis goes on to take the next ones for such, too.
    *(
        scenario(f"{word} is out of a double's range", *_with(word))
        for word in (
            "5e-324", "1e-310", "4.9406564584124654e-324", "1e-308", "1e-400", "1e400", "-1e400", "0x1.8p-1074",
            "0x1p-1075", "0x1p5000", "-2.2250738585072011e-308",
        )
    ),
    scenario("one weight that is no number", "RPUSH l 1 2 x", "SORT l", "SORT l LIMIT 0 1", "SORT l STORE d",
             "EXISTS d", "SORT l ALPHA", "SORT l BY nosort", "SET d 1", "SORT l STORE d", "GET d", "SORT l BY w*",
             "SET w1 a", "SORT l BY w*", "SORT l BY w* ALPHA"),
    scenario("bytes of any kind", ("RPUSH", "l", b"\xff", b"a", b"", b"\x80", b"Z", b"ab"), "SORT l ALPHA",
             "SORT l ALPHA DESC", "SORT l ALPHA LIMIT 1 3", "SORT l ALPHA STORE d", "LRANGE d 0 -1"),
    scenario("long elements", ("RPUSH", "l", b"b" * 70_000, b"a" * 70_000), "SORT l ALPHA", ("SADD", "s",
             b"c" * 70_000), "SORT s ALPHA GET #", ("ZADD", "z", 1, b"d" * 70_000, 2, b"a"), "SORT z ALPHA",
             "SORT z BY nosort DESC"),
    scenario("an expired key is absent", "RPUSH l 2 1", "PEXPIREAT l 1", "SORT l", "SORT l STORE d"),
    scenario("in a transaction", "MULTI", "RPUSH l 2 1 3", "SORT l", "SORT l STORE d", "LPUSH d 0", "LRANGE d 0 -1",
             "SORT d DESC STORE d", "EXEC", "LRANGE d 0 -1"),
)  # fmt: skip
def test_sort(play: Play, case: Scenario) -> None:
    play(case)


@scenarios(
    scenario("weights of other keys", "RPUSH l 1 2 3 4", "MSET w1 40 w2 30 w3 20 w4 10", "SORT l BY w*",
             "SORT l BY w* DESC", "DEL w4", "SORT l BY w*", "SET w3 x", "SORT l BY w*", "SORT l BY w* ALPHA",
             "SORT l BY w* ALPHA DESC", "SORT l BY w* LIMIT 1 2 ALPHA"),
    scenario("weights that are hash fields", "RPUSH l 1 2 3", "HSET o1 w 3 n one", "HSET o2 w 2 n two",
             "HSET o3 w 1 n three", "SORT l BY o*->w", "SORT l BY o*->w GET # GET o*->n", "SORT l BY o*->nosuch",
             "SORT l BY o*->n ALPHA", "SORT l BY o*->n", "SORT_RO l BY o*->w DESC GET o*->n LIMIT 0 2"),
    scenario("several GET", "RPUSH l 2 1", "MSET v1 one v2 two", "SORT l GET v*",
             "SORT l GET # GET v* GET # GET nosuch*", "SORT l GET v1", "SORT l GET #a", "SORT l GET *", "SET 1 x",
             "SORT l GET *", "SORT l GET v* LIMIT 1 1", "SORT l BY nosort GET v*", "sort l get v* by nosort desc"),
    scenario("patterns in all their forms", "RPUSH l a", "MSET pas 1 aa 2 a->f 3 pa-> 4 f->a 5 pa-f 6 pa* 7",
             "HSET ha f 1",
             "HSET a->f b 9", "SORT l ALPHA GET p*s", "SORT l ALPHA GET *a", "SORT l ALPHA GET *->f",
             "SORT l ALPHA GET p*->",
             "SORT l ALPHA GET f->*", "SORT l ALPHA GET p*-f", "SORT l ALPHA GET p**", "SORT l ALPHA GET h*->f",
             "SORT l ALPHA GET h*->f->g", "SORT l ALPHA GET ->*", "SORT l ALPHA GET h*->g", 'SORT l ALPHA GET ""',
             r'SORT l ALPHA GET "p\x00*"', r'SORT l ALPHA GET "h*->f\x00"', r'SORT l ALPHA GET "h*->\x00f"',
             r'SORT l ALPHA GET "p*\x00->f"', "DEL a->f", "HSET f->a b 1", "SORT l ALPHA GET f->*->b"),
    scenario("patterns that meet other types", "RPUSH l 1 2", "RPUSH v1 x", "HSET v2 f y", "SORT l GET v*",
             "SORT l GET v*->f", "SET v1 z", "SORT l GET v*->f GET v*", "SADD w1 5", "SORT l BY w*", "SORT l BY w*->f",
             "SORT l BY v*->f ALPHA"),
    scenario("values that are long, integers, empty, expired", "RPUSH l 1 2 3 4", ("SET", "v1", b"x" * 100_000),
             "SET v2 17", 'SET v3 ""', "SET v4 gone PXAT 1", "SORT l GET v*", "SORT l BY v* ALPHA", ("HSET", "h1", "f",
             b"y" * 70_000), "SORT l GET h*->f", 'SET w1 ""', "SET w2 -1", "SORT l BY w*"),
    scenario("BY without a place for the element keeps the order", "RPUSH l 3 1 2 10 5", "SORT l BY nosort",
             "SORT l BY nosort DESC", "SORT l BY nosort LIMIT 1 2", "SORT l BY nosort DESC LIMIT 1 2",
             'SORT l BY ""',
             "SORT l BY nosort BY w*", "SORT l BY w* BY nosort", "SORT l BY nosort ALPHA DESC", "SORT l BY # DESC",
             "SORT l BY nosort LIMIT 3 10", "SORT l BY nosort DESC LIMIT 4 -1", "SORT l BY nosort LIMIT 9 9"),
    scenario("BY nosort of a sorted set goes by scores", "ZADD z 3 a 1 b 2 c 2 d", "SORT z BY nosort",
             "SORT z BY nosort DESC", "SORT z BY nosort LIMIT 1 2", "SORT z BY nosort DESC LIMIT 1 2",
             "SORT z BY nosort LIMIT -1 1", "SORT z BY nosort LIMIT 2 -1", "SORT z BY nosort DESC LIMIT 0 1",
             "SORT z BY nosort STORE d", "LRANGE d 0 -1", "SORT z BY nosort DESC STORE d", "LRANGE d 0 -1",
             "MSET va 1 vb 2", "SORT z BY nosort GET v*", "SORT z BY nosort LIMIT 1 0"),
    scenario("BY nosort of a set is sorted where it is stored", "SADD s c b a 5", "SORT s BY nosort STORE d",
             "LRANGE d 0 -1", "SORT s BY nosort DESC STORE d", "LRANGE d 0 -1", "SORT s BY nosort LIMIT 1 2 STORE d",
             "LRANGE d 0 -1", "SORT s BY nosort GET # GET v* STORE d", "LRANGE d 0 -1",
             "SORT s BY w* BY nosort STORE d", "LRANGE d 0 -1", "SADD i 3 1 2 10", "SORT i BY nosort STORE d",
             "LRANGE d 0 -1", "SORT i BY nosort", "SORT i BY nosort DESC"),
    scenario("BY nosort of a set keeps its order", "SADD s c b a", "SORT s BY nosort", "SORT s BY nosort DESC",
             "SORT s BY nosort LIMIT 1 1", oracle="redis74"),
    scenario("STORE makes a list", "RPUSH l 3 1 2", "SORT l STORE d", "TYPE d", "LRANGE d 0 -1", "SET e 1 EX 100",
             "SORT l DESC STORE e", "LRANGE e 0 -1", "TTL e", "SORT l STORE l", "LRANGE l 0 -1",
             "SORT l LIMIT 5 5 STORE e", "EXISTS e", "SET v1 x", "SORT l GET v* GET # STORE d", "LRANGE d 0 -1",
             "SORT l STORE a STORE b", "EXISTS a b", "SADD s 1 2", "SORT s STORE s", "TYPE s", "LRANGE s 0 -1",
             "SORT l LIMIT 9 1 STORE l", "EXISTS l"),
    scenario("keys of this very pipeline are seen", "RPUSH l 1 2 3", "SET w1 9", "SORT l BY w*", "SET w2 -1",
             "SORT l BY w*", "HSET h3 f v", "SORT l GET h*->f", "HSET h3 f w", "SORT l GET h*->f", "HDEL h3 f",
             "SORT l GET h*->f", "DEL w1", "SORT l BY w*", "SORT l BY w* STORE w1", "SORT l BY w* GET w*",
             "LRANGE w1 0 -1"),
    scenario("patterns in a transaction", "RPUSH l 1 2", "MULTI", "SET w1 9", "SORT l BY w* GET w* STORE d",
             "SORT d ALPHA", "EXEC", "LRANGE d 0 -1"),
    scenario("databases are separate", "RPUSH l 1 2", "SET w1 9", "SELECT 1", "SORT l BY w*", "RPUSH l 1 2",
             "SORT l BY w*", "SET w2 -1", "SORT l BY w*", "SELECT 0", "SORT l BY w*"),
    scenario("keys are told", "COMMAND GETKEYS SORT l STORE a GET # STORE b", "COMMAND GETKEYS SORT l BY w* GET STORE",
             "COMMAND GETKEYS SORT l BY store x", "COMMAND GETKEYS SORT l LIMIT STORE x STORE",
             "COMMAND GETKEYS SORT l", "COMMAND GETKEYS SORT_RO l BY w*", "COMMAND GETKEYSANDFLAGS SORT l store x",
             oracle="redis74"),
)  # fmt: skip
def test_patterns(play: Play, case: Scenario) -> None:
    play(case)


def test_many_elements(client: RawClient, oracle_client: RawClient) -> None:
    """More than are read in one trip, and than a set or sorted set keeps compact."""
    numbers = [n * 7919 % 3001 for n in range(3000)]
    for server in (client, oracle_client):
        server.call("RPUSH", "l", *numbers)
        server.call("SADD", "s", *numbers)
        server.call("ZADD", "z", *(word for n in numbers for word in (n % 100, n)))
        server.call("MSET", *(word for n in numbers for word in (f"w{n}", n % 500)))
        for n in range(1, 3001, 3):
            server.call("HSET", f"h{n}", "f", n)
    for words in (
        ("SORT", "l"), ("SORT", "l", "BY", "w*", "GET", "#", "GET", "h*->f", "DESC"), ("SORT", "s", "ALPHA"),
        ("SORT", "z", "LIMIT", 1000, 900), ("SORT", "z", "BY", "nosort", "LIMIT", 1500, 20),
        ("SORT", "z", "BY", "nosort", "DESC", "LIMIT", 100, 2000), ("SORT", "l", "BY", "nosort", "LIMIT", 1400, 1400),
        ("SORT", "s", "BY", "h*->f", "STORE", "d"), ("LRANGE", "d", 0, -1),
        ("SORT", "l", "BY", "w*", "GET", "w*", "STORE", "l"), ("LRANGE", "l", 0, -1),
    ):  # fmt: skip
        assert client.call(*words) == oracle_client.call(*words), words
