"""The loads on collections: which commands, on which keys, and what must be there before.

redis-benchmark's own tests name one collection whatever `-r` says, so these loads are given in words.  Pops need
something to pop: before each measurement the collections get half as many elements again as there will be requests.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks import load
from benchmarks.results import ALWAYS, MARIADB, Scenario
from tests.services.raw_client import RawClient, encode_command

#: Collections of a load on spread keys; fewer for pops, so that few of them are found empty.
SPREAD, SPREAD_POPS = 10_000, 1_000
#: Members, fields and scores are drawn from so many on one hot collection.
HOT_MEMBERS = 1_000_000
#: Elements of the list that LRANGE reads.
LIST_LENGTH = 1_000

SUBJECTS = (MARIADB, ALWAYS)
_RANDOM = "__rand_int__"


@dataclass(frozen=True)
class Load:
    """One command. `words` hold {key}; `feed` fills what a pop takes from, with {key} and {n}; `size` counts it."""

    test: str
    words: str
    feed: str = ""
    size: str = ""
    hot_only: bool = False
    spread_only: bool = False
    #: The least that Rowdis on MariaDB must reach of Redis with appendfsync always at -P 1 and -P 16; 0: reported only.
    bars: tuple[float, float] = (0.3, 0.1)


LOADS = (
    Load("lpush", "LPUSH list:{key} x"),
    Load("rpush", "RPUSH list:{key} x"),
    Load("lpop", "LPOP queue:{key}", feed="RPUSH queue:{key} x", size="LLEN queue:{key}"),
    Load("rpop", "RPOP queue:{key}", feed="RPUSH queue:{key} x", size="LLEN queue:{key}"),
    Load("sadd", f"SADD set:{{key}} element:{_RANDOM}"),
    Load("hset", f"HSET hash:{{key}} field:{_RANDOM} x"),
    Load("spop", "SPOP bag:{key}", feed="SADD bag:{key} element:{n}", size="SCARD bag:{key}"),
    Load("zadd", f"ZADD zset:{{key}} {_RANDOM} element:{_RANDOM}"),
    Load("zpopmin", "ZPOPMIN heap:{key}", feed="ZADD heap:{key} {n} element:{n}", size="ZCARD heap:{key}"),
    Load("xadd", "XADD stream:{key} * field value"),
    Load("lrange_100", "LRANGE long:{key} 0 99", hot_only=True, bars=(0.06, 0.06)),
    Load("lrange_300", "LRANGE long:{key} 0 299", hot_only=True, bars=(0.0, 0.0)),
    Load("lrange_500", "LRANGE long:{key} 0 499", hot_only=True, bars=(0.0, 0.0)),
    Load("lrange_600", "LRANGE long:{key} 0 599", hot_only=True, bars=(0.0, 0.0)),
    Load("mset", " ".join(["MSET", *[f"key:{_RANDOM} x"] * 10]), spread_only=True, bars=(0.1, 0.1)),
)
BY_TEST = {entry.test: entry for entry in LOADS}


def _scenarios() -> Iterator[Scenario]:
    for entry in LOADS:
        for pipeline in (1, 16):
            for spread in (True, False):
                if not (entry.hot_only and spread) and not (entry.spread_only and not spread):
                    yield Scenario(entry.test, pipeline=pipeline, spread=spread, subjects=SUBJECTS)


SCENARIOS = tuple(_scenarios())


def keyspace(scenario: Scenario) -> int:
    """The `-r` of redis-benchmark."""
    if not scenario.spread:
        return HOT_MEMBERS
    return SPREAD_POPS if BY_TEST[scenario.test].feed else SPREAD


def words(scenario: Scenario) -> list[str]:
    """The command as redis-benchmark takes it."""
    key = _RANDOM if scenario.spread else "hot"
    return BY_TEST[scenario.test].words.replace("{key}", key).split()


def prepare(port: int, scenario: Scenario, requests: int, offset: int) -> None:
    """Have enough in the collections for so many requests; members are numbered from `offset` on."""
    entry = BY_TEST[scenario.test]
    if entry.feed:
        names = _names(scenario)
        count = max(requests * 3 // 2, len(names))
        feed = entry.feed
        lines = (feed.replace("{key}", names[n % len(names)]).replace("{n}", str(offset + n)) for n in range(count))
        load.send(port, (encode_command(line.split()) for line in lines))
    elif entry.hot_only:
        with RawClient(("127.0.0.1", port)) as client:
            if client.call("EXISTS", "long:hot") == b":0\r\n":
                client.call("RPUSH", "long:hot", *[b"value:%010d" % n for n in range(LIST_LENGTH)])


def left(port: int, scenario: Scenario) -> int:
    """How many elements the collections hold that a load pops from; 0 for other loads."""
    entry = BY_TEST[scenario.test]
    if not entry.size:
        return 0
    with RawClient(("127.0.0.1", port)) as client:
        replies = client.pipeline([entry.size.replace("{key}", name).split() for name in _names(scenario)])
    return sum(int(reply[1:]) for reply in replies)


def _names(scenario: Scenario) -> list[str]:
    return [f"{number:012d}" for number in range(keyspace(scenario))] if scenario.spread else ["hot"]
