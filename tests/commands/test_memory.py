"""MEMORY: arguments as in Redis; what is told is about the database and this process."""

import re
from typing import Any

import hiredis
import pytest

from tests.commands.conftest import Play
from tests.commands.masks import shaped
from tests.commands.scenarios import Scenario, scenario, scenarios
from tests.conftest import Combination
from tests.services.raw_client import Argument, RawClient
from tests.services.redis_oracle import RedisOracle


def ask(client: RawClient, *words: Argument) -> Any:
    reader = hiredis.Reader(encoding="utf-8")
    reader.feed(client.call(*words))
    return reader.gets()


@scenarios(
    scenario("arguments are checked", "MEMORY", "MEMORY NOSUCH", "MEMORY USAGE", "MEMORY STATS a", "MEMORY DOCTOR a",
             "MEMORY MALLOC-STATS a", "MEMORY PURGE a", "MEMORY HELP a", "SET a 1", "MEMORY USAGE a SAMPLES",
             "MEMORY USAGE a SAMPLES a", "MEMORY USAGE a SAMPLES -1", "MEMORY USAGE a b 1",
             "MEMORY USAGE a SAMPLES 1 2", "MEMORY USAGE a SAMPLES 1 SAMPLES a",
             "MEMORY USAGE a SAMPLES 9223372036854775808"),
    scenario("absent keys take nothing, whatever is asked", "MEMORY USAGE a", "MEMORY USAGE a SAMPLES 0",
             "MEMORY USAGE a SAMPLES -1", "MEMORY USAGE a b"),
    scenario("PURGE", "MEMORY PURGE", "MULTI", "MEMORY PURGE", "EXEC"),
    scenario("HELP", shaped("MEMORY HELP")),
)  # fmt: skip
def test_memory(play: Play, case: Scenario) -> None:
    play(case)


#: Commands that make a key `k` of each type out of 300 elements of 1,000 bytes.
VALUE = b"v" * 1000
KINDS: dict[str, list[tuple[Argument, ...]]] = {
    "string": [("SET", "k", VALUE * 300)],
    "list": [("RPUSH", "k", *([VALUE] * 300))],
    "set": [("SADD", "k", *[b"%03d" % n + VALUE for n in range(300)])],
    "zset": [("ZADD", "k", *[part for n in range(300) for part in (n, b"%03d" % n + VALUE)])],
    "hash": [("HSET", "k", *[part for n in range(300) for part in (f"f{n}", VALUE)])],
    "stream": [("XADD", "k", "*", "f", VALUE)] * 300,
}


@pytest.mark.parametrize("samples", [(), ("SAMPLES", 0), ("SAMPLES", 50)], ids=["few", "all", "some"])
@pytest.mark.parametrize("kind", KINDS)
def test_usage_is_near_the_bytes_of_the_elements(
    client: RawClient, kind: str, samples: tuple[Argument, ...]
) -> None:
    client.pipeline(KINDS[kind])
    assert 300_000 < ask(client, "MEMORY", "USAGE", "k", *samples) < 400_000


def test_usage_counts_what_is_too_long_for_a_row(client: RawClient) -> None:
    client.call("HSET", "k", "f", b"x" * 3_000_000)
    assert 3_000_000 < ask(client, "MEMORY", "USAGE", "k") < 3_100_000
    client.call("XADD", "s", "*", "f", "v")
    before = ask(client, "MEMORY", "USAGE", "s")
    client.pipeline([("XGROUP", "CREATE", "s", "g", "0"), ("XREADGROUP", "GROUP", "g", "c", "STREAMS", "s", ">")])
    assert ask(client, "MEMORY", "USAGE", "s") > before + 100


def test_usage_sees_the_writes_of_its_own_transaction(client: RawClient) -> None:
    client.pipeline([("MULTI",), ("RPUSH", "k", VALUE, VALUE), ("MEMORY", "USAGE", "k"), ("MEMORY", "USAGE", "k")])
    _, first, second = ask(client, "EXEC")
    assert first == second > 2000
    assert ask(client, "MEMORY", "USAGE", "k") == first


def test_usage_of_all_elements_of_a_large_collection_is_exact(client: RawClient) -> None:
    client.call("RPUSH", "k", *["x"] * 3000, *[VALUE] * 3000)
    few, everything = ask(client, "MEMORY", "USAGE", "k"), ask(client, "MEMORY", "USAGE", "k", "SAMPLES", 0)
    assert few < 1_000_000
    assert 3_000_000 < everything < 3_600_000


def test_stats_have_the_fields_of_redis(client: RawClient, redis74: RedisOracle, combination: Combination) -> None:
    with redis74.client(combination.protocol) as real:
        real.call("FLUSHALL")
        theirs = ask(real, "MEMORY", "STATS")
    client.pipeline([("SET", "a", 1), ("SELECT", 2), ("SET", "b", 1)])
    ours = ask(client, "MEMORY", "STATS")
    if combination.protocol == 2:
        ours, theirs = (dict(zip(reply[::2], reply[1::2], strict=True)) for reply in (ours, theirs))
    assert list(ours) == list(theirs)
    assert [type(value) for value in ours.values()] == [type(value) for value in theirs.values()]
    assert ours["keys.count"] == 2
    assert ours["peak.allocated"] >= ours["total.allocated"] > 1_000_000


def test_reports_are_texts_about_this_process(client: RawClient, combination: Combination) -> None:
    marks = {2: b"$", 3: b"="}
    for words, text in (("DOCTOR", rb"The process has \d+ MiB resident"), ("MALLOC-STATS", rb"allocated blocks: \d+")):
        reply = client.call("MEMORY", words)
        assert reply[:1] == marks[combination.protocol]
        assert re.search(text, reply)
