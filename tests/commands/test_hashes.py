"""Hashes, compared with redis-server."""

import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import hiredis
import pytest

from tests.commands.conftest import Play
from tests.commands.scenarios import Scenario, becomes, scenario, scenarios, unordered
from tests.services.raw_client import RawClient

MAX = 2**63 - 1
MIN = -(2**63)
LONG = b"long value " * 20_000
LONG_FIELD = b"\x00\xff field of 100 KB \r\n" * 5000


def parsed(reply: bytes) -> Any:
    reader = hiredis.Reader()
    reader.feed(reply)
    return reader.gets()


def many(count: int, value: bytes = b"v") -> tuple[bytes, ...]:
    return tuple(word for n in range(count) for word in (b"field:%d" % n, value))


def fill(client: RawClient, count: int, value: bytes = b"v", key: bytes = b"h") -> list[bytes]:
    """A hash with many fields; their names."""
    names = [b"field:%d" % n for n in range(count)]
    for start in range(0, count, 1000):
        client.call("HSET", key, *(word for name in names[start : start + 1000] for word in (name, value)))
    return names


def pairs_of(reply: bytes) -> dict[bytes, bytes]:
    """What HGETALL says, in either protocol."""
    found = parsed(reply)
    return found if isinstance(found, dict) else dict(zip(found[::2], found[1::2], strict=True))


@scenarios(
    scenario("fields are set and given back", "HSET h a 1 b 2", "HGET h a", "HGET h b", "HGET h c", "HGET nosuch a",
             "HSET h b 3 c 4", "HGETALL h", "HLEN h", "TYPE h"),
    scenario("HSET counts what is new", "HSET h a 1", "HSET h a 1", "HSET h a 2 b 1", "HSET h c 1 c 2 c 3", "HGETALL h",
             "HSET h c 4 d 1 d 2", "HGETALL h"),
    scenario("HMSET says OK", "HMSET h a 1 b 2", "HMSET h a 3", "HGETALL h", "HMSET h a", "HMSET h a 1 b"),
    scenario("pairs must be complete", "HSET h a", "HSET h a 1 b", "HSET", "HSET h", "EXISTS h", "HMSET h",
             "HMSET h a 1 b 2 c", "SET s 1", "HSET s a 1 b", "HMSET s a 1 b", "hSeT h a 1 b"),
    scenario("HSETNX", "HSETNX h a 1", "HSETNX h a 2", "HGET h a", "HSETNX h b 1", "HGETALL h", "HSETNX h a",
             "HSETNX h a 1 b"),
    scenario("HMGET", "HSET h a 1 b 2", "HMGET h a b", "HMGET h b nosuch a b", "HMGET nosuch a b", "HMGET h", "HMGET"),
    scenario("HEXISTS and HSTRLEN", "HSET h a 1 b 12345 c \"\"", "HEXISTS h a", "HEXISTS h d", "HEXISTS nosuch a",
             "HSTRLEN h b", "HSTRLEN h c", "HSTRLEN h d", "HSTRLEN nosuch a", "HEXISTS h", "HSTRLEN h a b"),
    scenario("HDEL", "HSET h a 1 b 2 c 3", "HDEL h a", "HDEL h a", "HDEL h b nosuch b", "HGETALL h", "HDEL nosuch a",
             "HDEL h", "HDEL h c", "EXISTS h", "TYPE h", "HLEN h"),
    scenario("the last field takes the key along", "HSET h a 1 b 2", "EXPIRE h 100", "HDEL h a b", "EXISTS h",
             "HSET h c 1", "TTL h", "HGETALL h"),
    scenario("a hash that comes again is another", "HSET h a 1 b 2", "DEL h", "HSET h c 3", "HGETALL h", "HGET h a",
             "SET h 1", "HGET h c", "DEL h", "HSET h d 1", "HGETALL h"),
    scenario("HKEYS and HVALS", "HSET h b 1 a 2 c 3", "HKEYS h", "HVALS h", "HKEYS nosuch", "HVALS nosuch",
             "HGETALL nosuch", "HLEN nosuch", "HKEYS", "HVALS h h", "HGETALL"),
    scenario("the order of a small hash is that of insertion", "HSET h b 1 a 2", "HSET h c 3 a 9", "HDEL h b",
             "HGETALL h", "HSET h b 4", "HGETALL h", "HINCRBY h a 1", "HKEYS h", "HVALS h"),
    scenario("a hash of 512 fields is small", ("HSET", "h", *many(512)), "HGETALL h", "HSCAN h 0", "HDEL h field:7",
             "HSET h field:7 again", "HGETALL h", "HRANDFIELD h 1000", ("HSET", "h", "field:1", "v" * 64), "HKEYS h"),
    scenario("a large hash has all its fields", ("HSET", "h", *many(600)), "HLEN h", unordered("HKEYS h"),
             unordered("HVALS h"), "HGET h field:599", "HSET h field:600 1", "HLEN h", unordered("HKEYS h"),
             unordered("HRANDFIELD h 601")),
    scenario("a long value makes a large hash", ("HSET", "h", "a", "1", "b", "x" * 65, "c", "2"), unordered("HKEYS h"),
             "HDEL h b", unordered("HKEYS h"), "HGET h a"),
    scenario("fields and values hold any bytes", r'HSET h "a\x00b" "v\x00\r\n\xff" "" ""', r'HGET h "a\x00b"',
             "HGET h a", 'HGET h ""', r'HEXISTS h "a\x00"', "HGETALL h", r'HDEL h ""', "HLEN h"),
    scenario("fields and values may be long", ("HSET", "h", LONG_FIELD, LONG, "short", "1"), ("HGET", "h", LONG_FIELD),
             ("HSTRLEN", "h", LONG_FIELD), ("HGET", "h", LONG_FIELD[:-1]), ("HSET", "h", LONG_FIELD, "2"),
             ("HGET", "h", LONG_FIELD), ("HSET", "h", "short", LONG), "HGET h short", ("HDEL", "h", LONG_FIELD),
             "HLEN h", "HGETALL h", "HKEYS h", "HSCAN h 0", "HRANDFIELD h 1 WITHVALUES"),
    scenario("names of fields differ in case", "HSET h a 1 A 2", "HMGET h a A", "HDEL h a", "HGETALL h"),
)  # fmt: skip
def test_fields(play: Play, case: Scenario) -> None:
    play(case)


@scenarios(
    scenario("other types are refused", "SET s 1", "HGET s a", "HSET s a 1", "HMSET s a 1", "HSETNX s a 1", "HMGET s a",
             "HGETALL s", "HKEYS s", "HVALS s", "HLEN s", "HDEL s a", "HEXISTS s a", "HSTRLEN s a", "HINCRBY s a 1",
             "HINCRBYFLOAT s a 1", "HSCAN s 0", "HRANDFIELD s", "HRANDFIELD s 1", "GET s"),
    scenario("string commands refuse hashes", "HSET h a 1", "GET h", "INCR h", "APPEND h x", "STRLEN h", "SET h 1 GET",
             "GETDEL h", "HGETALL h", "SET h 1", "GET h"),
    scenario("arguments are judged before the type", "SET s 1", "HINCRBY s a abc", "HINCRBYFLOAT s a abc",
             "HINCRBYFLOAT s a inf", "HSCAN s abc", "HSCAN s 0 FOO", "HSCAN s 0 COUNT abc", "HRANDFIELD s abc",
             "HRANDFIELD s 1 FOO", "HRANDFIELD s 1 WITHVALUES x", f"HRANDFIELD s {MIN}"),
    scenario("an expired hash is none", "HSET h a 1", "PEXPIRE h 20", becomes("EXISTS h", b":0\r\n"), "HGET h a",
             "HGETALL h", "HLEN h", "HSET h b 1", "HGETALL h", "TTL h"),
    scenario("hashes are renamed and moved", "HSET h a 1 b 2", "RENAME h g", "HGETALL g", "HGETALL h", "HSET g c 3",
             "HSET h x 1", "RENAME g h", "HGETALL h", "MOVE h 1", "HGETALL h", "SELECT 1", "HGETALL h"),
    scenario("writes keep the time to live of the key", "HSET h a 1", "EXPIREAT h 33177117420", "HSET h a 2 b 3",
             "HINCRBY h a 1", "HDEL h b", "EXPIRETIME h"),
    scenario("MULTI", "MULTI", "HSET h a 1 b 2", "HGETALL h", "HDEL h a", "HLEN h", "HINCRBY h b 5", "HGET h b",
             "HINCRBY h b abc", "SET s 1", "HGET s a", "EXEC", "HGETALL h"),
    scenario("a hash that is made and gone in MULTI", "MULTI", "HSET h a 1", "HDEL h a", "EXISTS h", "HSET h b 1",
             "DEL h", "HGETALL h", "HSET h c 1", "EXEC", "HGETALL h"),
    scenario("WATCH sees writes and no others", "HSET h a 1", "WATCH h", "HDEL h nosuch", "HSETNX h a 2", "HGET h a",
             "MULTI", "HLEN h", "EXEC", "WATCH h", "HSET h a 1", "MULTI", "HLEN h", "EXEC"),
)  # fmt: skip
def test_keys_of_hashes(play: Play, case: Scenario) -> None:
    play(case)


@scenarios(
    scenario("HINCRBY", "HINCRBY h a 5", "HINCRBY h a -7", "HGET h a", "HSET h b 10", "HINCRBY h b 0", "HGETALL h",
             "HINCRBY h a", "HINCRBY h a 1 2"),
    scenario("HINCRBY takes integers only", "HINCRBY h a abc", "HINCRBY h a 1.0", 'HINCRBY h a ""', "HINCRBY h a +1",
             f"HINCRBY h a {2**63}", "EXISTS h", 'HSET h a foo b "" c 1.5 d " 1" e 01 f 1e3 g +1', "HINCRBY h a 1",
             "HINCRBY h b 1", "HINCRBY h c 1", "HINCRBY h d 1", "HINCRBY h e 1", "HINCRBY h f 1", "HINCRBY h g 1",
             "HGETALL h"),
    scenario("HINCRBY does not overflow", f"HSET h a {MAX} b {MIN}", "HINCRBY h a 1", "HINCRBY h b -1",
             f"HINCRBY h a {MIN}", f"HINCRBY h b {MAX}", f"HINCRBY h a {MIN}", f"HINCRBY h c {MIN}",
             f"HINCRBY h c {MIN}", "HGETALL h"),
    scenario("HINCRBYFLOAT", "HINCRBYFLOAT h a 10.5", "HINCRBYFLOAT h a 0.1", "HINCRBYFLOAT h a -5e3",
             "HINCRBYFLOAT h a 5.0e3", "HGET h a", "HINCRBYFLOAT h b 3", "HINCRBYFLOAT h b -3", "HINCRBY h b 1",
             "HINCRBYFLOAT h b 0x10", "HGETALL h", "HINCRBYFLOAT h a"),
    scenario("HINCRBYFLOAT takes numbers only", "HINCRBYFLOAT h a abc", 'HINCRBYFLOAT h a ""', 'HINCRBYFLOAT h a " 1"',
             "HINCRBYFLOAT h a nan", "HINCRBYFLOAT h a inf", "HINCRBYFLOAT h a -inf", "HINCRBYFLOAT h a 1e5000",
             "EXISTS h", 'HSET h a foo b "" c " 1" d inf e nan f 1x', "HINCRBYFLOAT h a 1", "HINCRBYFLOAT h b 1",
             "HINCRBYFLOAT h c 1", "HINCRBYFLOAT h d 1", "HINCRBYFLOAT h e 1", "HINCRBYFLOAT h f 1"),
    scenario("HINCRBYFLOAT does not become infinite", "HINCRBYFLOAT h a 1.1e4932", "HINCRBYFLOAT h a 1.1e4932",
             "HINCRBYFLOAT h b 1e400", "HSTRLEN h b", "HINCRBYFLOAT h c 1e-17", "HGET h c"),
    scenario("HINCRBYFLOAT of a long number", ("HSET", "h", "a", "1" * 5000), ("HSET", "h", "b", "1" * 6000),
             "HINCRBYFLOAT h b 1", "HINCRBYFLOAT h a abc"),
)  # fmt: skip
def test_numbers(play: Play, case: Scenario) -> None:
    play(case)


@scenarios(
    scenario("HSCAN of a small hash", "HSET h a 1 b 2 ab 3", "HSCAN h 0", "HSCAN h 0 COUNT 1", "HSCAN h 55",
             "HSCAN h 0 MATCH a*", "HSCAN h 0 MATCH b COUNT 1", "HSCAN h 0 MATCH x*", "HSCAN nosuch 0", "HSCAN h",
             "HSCAN h 0 match a count 10"),
    scenario("options of HSCAN are checked", "HSET h a 1", "HSCAN h 0 COUNT", "HSCAN h 0 COUNT 0", "HSCAN h 0 COUNT -1",
             "HSCAN h 0 COUNT abc", "HSCAN h 0 MATCH", "HSCAN h 0 FOO", "HSCAN h 0 FOO bar", "HSCAN h 0 TYPE hash",
             "HSCAN h abc", "HSCAN h 1x", "HSCAN nosuch abc", "HSCAN nosuch 0 FOO", "HSCAN nosuch 0 COUNT 0"),
    scenario("HSCAN NOVALUES", "HSET h a 1 b 2", "HSCAN h 0 NOVALUES", "HSCAN h 0 COUNT 1 novalues MATCH b",
             "HSCAN h 0 NOVALUES 1", "HSCAN h 0 NOVALUES NOVALUES", "HSCAN nosuch 0 NOVALUES", "HSCAN h -1",
             oracle="redis74"),
    scenario("HRANDFIELD of one field", "HSET h a 1", "HRANDFIELD h", "HRANDFIELD h 1", "HRANDFIELD h 5",
             "HRANDFIELD h -3", "HRANDFIELD h -3 WITHVALUES", "HRANDFIELD h 2 withvalues", "HRANDFIELD h 0",
             "HRANDFIELD h 0 WITHVALUES"),
    scenario("HRANDFIELD of all fields", "HSET h a 1 b 2 c 3", "HRANDFIELD h 3", "HRANDFIELD h 4 WITHVALUES",
             f"HRANDFIELD h {MAX}", f"HRANDFIELD h {MAX // 2} WITHVALUES"),
    scenario("HRANDFIELD of no hash", "HRANDFIELD nosuch", "HRANDFIELD nosuch 0", "HRANDFIELD nosuch 5",
             "HRANDFIELD nosuch -5 WITHVALUES"),
    scenario("arguments of HRANDFIELD are checked", "HSET h a 1", "HRANDFIELD", "HRANDFIELD h abc", "HRANDFIELD h 1.5",
             "HRANDFIELD h 1 FOO", "HRANDFIELD h 1 WITHVALUES x", "HRANDFIELD h WITHVALUES", f"HRANDFIELD h {MIN}",
             f"HRANDFIELD h {2**63}", f"HRANDFIELD h {MIN // 2} WITHVALUES", f"HRANDFIELD h {MAX // 2 + 1} WITHVALUES",
             f"HRANDFIELD h {MIN} FOO", f"HRANDFIELD h {MIN // 2} FOO"),
)  # fmt: skip
def test_some_fields(play: Play, case: Scenario) -> None:
    play(case)


def pages(client: RawClient, *options: str | int) -> Iterator[list[bytes]]:
    """The pages of a full iteration over a hash."""
    cursor = b"0"
    while True:
        cursor, found = parsed(client.call("HSCAN", "h", cursor, *options))
        yield found
        if cursor == b"0":
            return


def test_hscan_gives_every_field_once_when_nothing_changes(client: RawClient) -> None:
    names = fill(client, 700)
    for count in (1, 10, 699, 700, 5000):
        found = list(pages(client, "COUNT", count))
        assert sorted(name for page in found for name in page[::2]) == sorted(names)
        assert {value for page in found for value in page[1::2]} == {b"v"}
        assert len(found) == -(-len(names) // count)
        found = list(pages(client, "COUNT", count, "NOVALUES"))
        assert sorted(name for page in found for name in page) == sorted(names)


def test_hscan_finds_what_is_there_all_the_time_while_others_come_and_go(
    client: RawClient, rng: random.Random
) -> None:
    names = fill(client, 800)
    steady, passing = names[::2], names[1::2]
    found: list[bytes] = []
    for number, page in enumerate(pages(client, "COUNT", 20)):
        found += page[::2]
        client.call("HDEL", "h", *rng.sample(passing, 10))
        client.call("HSET", "h", b"comes:%d" % number, "1", rng.choice(steady), "changed")
    assert set(steady) <= set(found)
    assert not [name for name, times in Counter(found).items() if times > 1]


@pytest.mark.parametrize("size", [1, 3, 40, 600])
@pytest.mark.parametrize("value", [b"v", b"v" * 65], ids=["short", "long"])
def test_hrandfield_is_fair(client: RawClient, size: int, value: bytes) -> None:
    names = fill(client, size, value)
    draws = 10 * size + 400
    found = Counter(parsed(reply) for reply in client.pipeline([("HRANDFIELD", "h")] * draws))
    _assert_fair(found, names, draws)
    _assert_fair(Counter(parsed(client.call("HRANDFIELD", "h", -draws))), names, draws)


def _assert_fair(found: Counter[bytes], names: list[bytes], draws: int) -> None:
    """Ten standard deviations of an even distribution at most."""
    assert set(found) <= set(names)
    assert found.total() == draws
    mean = draws / len(names)
    assert max(found.values()) < mean + 10 * mean**0.5
    assert len(found) > len(names) * 0.98


@pytest.mark.parametrize("size", [100, 700, 5000])
def test_hrandfield_gives_as_many_different_fields_as_asked_for(client: RawClient, size: int) -> None:
    names = fill(client, size)
    seen: Counter[bytes] = Counter()
    for count in (1, 2, 7, 60, size // 2, size - 1, size, size + 5):
        drawn = parsed(client.call("HRANDFIELD", "h", count))
        assert len(drawn) == len(set(drawn)) == min(count, size)
        assert set(drawn) <= set(names)
        seen.update(drawn)
        with_values = parsed(client.call("HRANDFIELD", "h", -count, "WITHVALUES"))
        flat = [word for pair in with_values for word in pair] if isinstance(with_values[0], list) else with_values
        assert len(flat) == 2 * count
        assert set(flat[::2]) <= set(names)
        assert set(flat[1::2]) == {b"v"}


def test_hash_of_many_fields(client: RawClient) -> None:
    names = fill(client, 5000, b"value")
    assert client.call("HLEN", "h") == b":5000\r\n"
    assert pairs_of(client.call("HGETALL", "h")) == dict.fromkeys(names, b"value")
    assert sorted(parsed(client.call("HKEYS", "h"))) == sorted(names)
    assert parsed(client.call("HVALS", "h")) == [b"value"] * 5000
    assert parsed(client.call("HMGET", "h", *names)) == [b"value"] * 5000
    assert client.call("HDEL", "h", *names[:-1]) == b":4999\r\n"
    assert pairs_of(client.call("HGETALL", "h")) == {names[-1]: b"value"}
    assert client.call("HDEL", "h", names[-1]) == b":1\r\n"
    assert client.call("EXISTS", "h") == b":0\r\n"


def test_whole_hashes_of_a_pipeline_are_what_the_commands_before_left(client: RawClient) -> None:
    """They are read before anything runs."""
    for key in (b"h", b"g"):
        fill(client, 3, key=key)
    replies = client.pipeline([
        ("HGETALL", "h"), ("HSET", "h", "new", "1"), ("HGETALL", "h"), ("HDEL", "h", "field:0", "field:1"),
        ("HVALS", "h"), ("RENAME", "h", "g"), ("HKEYS", "g"), ("HKEYS", "h"), ("DEL", "g"), ("HGETALL", "g"),
        ("HSET", "g", "x", "1"), ("HGETALL", "g"),
    ])  # fmt: skip
    assert pairs_of(replies[0]) == dict.fromkeys([b"field:0", b"field:1", b"field:2"], b"v")
    assert pairs_of(replies[2]) == dict.fromkeys([b"field:0", b"field:1", b"field:2"], b"v") | {b"new": b"1"}
    assert parsed(replies[4]) == [b"v", b"1"]
    assert parsed(replies[6]) == [b"field:2", b"new"]
    assert parsed(replies[7]) == []
    assert pairs_of(replies[9]) == {}
    assert pairs_of(replies[11]) == {b"x": b"1"}
