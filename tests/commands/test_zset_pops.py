"""Taking elements from the ends of sorted sets, compared with redis-server; who waits is in test_blocking.py."""

from contextlib import ExitStack

from tests.commands.conftest import Play
from tests.commands.scenarios import Scenario, scenario, scenarios
from tests.services.raw_client import RawClient
from tests.services.rowdis import Rowdis

FILL = "ZADD z 1 a 2 b 2 c 3 d"
MANY = [word for n in range(2500) for word in (n // 3, b"m%04d" % n)]


@scenarios(
    scenario("one after the other", FILL, "ZPOPMIN z", "ZPOPMAX z", "ZPOPMIN z", "ZPOPMIN z", "EXISTS z", "ZPOPMIN z",
             "ZPOPMAX z"),
    scenario("several at once", FILL, "ZPOPMIN z 2", "ZPOPMAX z 1", "ZPOPMAX z 10", "ZPOPMIN z 5", "EXISTS z", FILL,
             "ZPOPMAX z 3", "ZPOPMIN z 0", "ZPOPMIN nosuch 0", "ZCARD z"),
    scenario("arguments are judged", FILL, "ZPOPMIN z -1", "ZPOPMIN z x", "ZPOPMAX z 1.5", "ZPOPMIN z 1 2", "ZPOPMIN",
             "ZPOPMAX nosuch x", "SET s 1", "ZPOPMIN s", "ZPOPMIN s 0", "ZPOPMIN s x", "ZPOPMAX s 1",
             "ZPOPMIN z 9223372036854775808"),
    scenario("mixed with changes", FILL, "ZADD z 0 x", "ZPOPMIN z", "ZADD z 2.5 y", "ZPOPMIN z", "ZREM z b",
             "ZPOPMIN z",
             "ZINCRBY z -10 d", "ZPOPMIN z", "ZADD z 9 q", "ZPOPMAX z", "ZRANGE z 0 -1", "ZPOPMAX z", "ZPOPMAX z"),
    scenario("many", ("ZADD", "z", *MANY), "ZPOPMIN z 2100", "ZCARD z", "ZPOPMAX z 300", "ZPOPMIN z", "ZRANGE z 0 1",
             "ZPOPMAX z 1000", "EXISTS z"),
    scenario("in a transaction", "MULTI", FILL, "ZPOPMIN z", "ZPOPMAX z 2", "ZADD z 7 q 8 r", "ZPOPMAX z",
             "ZPOPMIN z 9",
             "ZPOPMIN z", "ZADD z 1 a", "EXEC", "ZRANGE z 0 -1"),
)  # fmt: skip
def test_pops(play: Play, case: Scenario) -> None:
    play(case)


@scenarios(
    scenario("from the first that there is", FILL, "ZADD y 5 q 6 r", "ZMPOP 1 z MIN", "ZMPOP 3 nosuch y z MAX",
             "ZMPOP 2 y z MIN COUNT 2", "ZMPOP 2 y z MAX COUNT 2", "ZMPOP 2 y z MAX COUNT 2", "ZMPOP 2 y z MIN",
             "EXISTS y z"),
    scenario("arguments are judged", FILL, "ZMPOP 0 z MIN", "ZMPOP x z MIN", "ZMPOP -1 z MIN", "ZMPOP 1 z FOO",
             "ZMPOP 2 z MIN", "ZMPOP 1 z MIN COUNT", "ZMPOP 1 z MIN COUNT 0", "ZMPOP 1 z MIN COUNT x",
             "ZMPOP 1 z MIN COUNT 1 COUNT 2", "ZMPOP 1 z MIN FOO", "ZMPOP 1 z MIN COUNT 1 FOO", "ZMPOP 5 z y MIN",
             "ZMPOP 1 z", "SET s 1", "ZMPOP 2 s z MIN", "ZMPOP 2 z s min count 1", "ZMPOP 1 s FOO", "ZCARD z",
             "ZMPOP 9223372036854775807 z MIN"),
)  # fmt: skip
def test_zmpop(play: Play, case: Scenario) -> None:
    play(case)


@scenarios(
    scenario("what is there is given at once", FILL, "ZADD y 5 q", "BZPOPMIN nosuch z y 0", "BZPOPMAX y z 1",
             "BZPOPMAX y z 0.5", "BZMPOP 0 2 nosuch z MIN", "BZMPOP 1.5 1 z MAX COUNT 5", "EXISTS y z"),
    scenario("nobody waits in a transaction", "MULTI", "BZPOPMIN nosuch 0", "BZPOPMAX nosuch 1",
             "BZMPOP 0 1 nosuch MIN",
             "ZADD z 1 a", "BZPOPMIN nosuch z 0", "EXEC", "EXISTS z"),
    scenario("arguments are judged", FILL, "BZPOPMIN z x", "BZPOPMIN z -1", "BZPOPMIN z",
             "BZPOPMIN z nan", "BZMPOP x 1 z MIN", "BZMPOP -1 1 z MIN", "BZMPOP x 0 z MIN",
             "BZMPOP x 1 z FOO", "BZMPOP 0 1 z", "BZMPOP 0 1 z MIN COUNT 0", "BZMPOP 0 x z MIN", "SET s 1",
             "BZPOPMIN s z 0", "BZPOPMIN z s 0", "BZPOPMIN s x", "BZMPOP 0 2 s z MIN", "ZCARD z"),
)  # fmt: skip
def test_blocking_pops_that_need_not_wait(play: Play, case: Scenario) -> None:
    play(case)


def test_pops_of_many_clients_give_each_element_once(client: RawClient, rowdis: Rowdis) -> None:
    client.call("ZADD", "z", *MANY)
    with ExitStack() as stack:
        got = _take_all([stack.enter_context(rowdis.client()) for _ in range(20)])
    assert sorted(got) == [b"m%04d" % n for n in range(2500)]
    assert client.call("EXISTS", "z") == b":0\r\n"


def _take_all(clients: list[RawClient]) -> list[bytes]:
    """What the clients got, each taking one element at a time."""
    got: list[bytes] = []
    while True:
        for client in clients:
            client.send("ZPOPMIN", "z")
        replies = [client.read() for client in clients]
        got += [line for reply in replies for line in reply.split(b"\r\n") if line.startswith(b"m")]
        if any(reply == b"*0\r\n" for reply in replies):
            return got
