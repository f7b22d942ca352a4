"""Looking through databases: what SCAN promises, and its words compared with real servers."""

import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import hiredis
import pytest

from tests.commands.conftest import Play
from tests.commands.scenarios import Scenario, scenario, scenarios, unordered
from tests.services.mariadb import MariaDB
from tests.services.raw_client import RawClient
from tests.services.rowdis import Rowdis


def parsed(reply: bytes) -> Any:
    reader = hiredis.Reader()
    reader.feed(reply)
    return reader.gets()


def pages(client: RawClient, *options: str | int) -> Iterator[list[bytes]]:
    """The pages of a full iteration."""
    cursor = b"0"
    while True:
        cursor, names = parsed(client.call("SCAN", cursor, *options))
        yield names
        if cursor == b"0":
            return


def fill(client: RawClient, names: list[bytes]) -> None:
    for start in range(0, len(names), 500):
        client.call("MSET", *(word for name in names[start : start + 500] for word in (name, b"v")))


@scenarios(
    scenario("an empty database", "SCAN 0", "KEYS *", "RANDOMKEY", "DBSIZE", "SCAN 0 MATCH * COUNT 100 TYPE string"),
    scenario("one key", "SET a 1", "SCAN 0", "KEYS *", "RANDOMKEY", "DBSIZE", "SCAN 0 TYPE string", "SCAN 0 TYPE hash",
             "SCAN 0 MATCH b*", "SCAN 0 MATCH a", "SCAN 0 TYPE STRING", "SCAN 0 count 20"),
    scenario("options are checked", "SCAN", "SCAN 0 COUNT", "SCAN 0 COUNT 0", "SCAN 0 COUNT -1", "SCAN 0 COUNT abc",
             "SCAN 0 COUNT 1.5", "SCAN 0 MATCH", "SCAN 0 TYPE", "SCAN 0 FOO", "SCAN 0 FOO bar", "SCAN 0 COUNT 10 MATCH",
             "SCAN 0 COUNT 9223372036854775807", "SCAN 0 COUNT 9223372036854775808", "SCAN 0 COUNT 5 COUNT 0"),
    scenario("NOVALUES is for hashes", "SCAN 0 NOVALUES", "SCAN 0 novalues FOO", oracle="redis74"),
    scenario("cursors are checked", "SCAN abc", "SCAN 1.0", "SCAN 1x", "SCAN 0x0", "SCAN 00",
             "SCAN 99999999999999999999999"),
    scenario("odd cursors are judged as in Redis 7.4", "SCAN -1", "SCAN 18446744073709551616", "SCAN +0", 'SCAN " 0"',
             "SCAN 18446744073709551615", "SCAN -0", 'SCAN ""', "SCAN -9223372036854775809",
             "SCAN -9223372036854775808", r'SCAN "0\x00-1"', r'SCAN "-1\x00"', r'SCAN "\x00"', oracle="redis74"),
    scenario("an unknown type is one that no key has", "SET a 1", "SCAN 0 TYPE foo", 'SCAN 0 TYPE ""'),
    scenario("the number of words is checked", "KEYS", "KEYS a b", "RANDOMKEY a", "DBSIZE a"),
    scenario("KEYS with patterns", "MSET hello 1 hallo 1 hxllo 1 hllo 1 heeeello 1 h[llo 1 other 1", *(
        unordered(("KEYS", pattern)) for pattern in (
            "*", "h?llo", "h*llo", "h[ae]llo", "h[^e]llo", "h[a-b]llo", r"h\[llo", "hello", "nosuch", "h[llo", "", "**",
            "?", "*o*", "HELLO"))),
    scenario("KEYS and SCAN with any bytes", r'MSET "a\x00b" 1 "\r\n" 2 "" 3 "\xff*" 4', unordered("KEYS *"),
             r'KEYS "a\x00?"', r'KEYS "\xff\\*"', 'KEYS ""', r'KEYS "\r*"', "DBSIZE"),
    scenario("every database has its own", "SET a 1", "SELECT 1", "KEYS *", "DBSIZE", "RANDOMKEY", "SCAN 0"),
    scenario("keys of this very pipeline are seen", "SET a 1", "KEYS *", "SET b 1", "DBSIZE", unordered("KEYS *"),
             "DEL a", "KEYS *", "RANDOMKEY", "SET b 2 PXAT 1", "KEYS *", "SCAN 0"),
)
def test_words_and_patterns(play: Play, case: Scenario) -> None:
    play(case)


def test_scan_gives_every_key_once_when_nothing_changes(client: RawClient) -> None:
    names = [b"key:%d" % n for n in range(300)]
    fill(client, names)
    for count in (1, 7, 10, 100, 299, 300, 5000):
        found = list(pages(client, "COUNT", count))
        assert sorted(name for page in found for name in page) == sorted(names)
        assert len(found) == -(-len(names) // count)


def test_scan_reads_count_keys_a_page_also_when_few_match(client: RawClient) -> None:
    fill(client, [b"key:%d" % n for n in range(100)])
    client.call("SET", "wanted", "1")
    sizes = [len(page) for page in pages(client, "COUNT", 10, "MATCH", "wanted")]
    assert sum(sizes) == 1
    assert len(sizes) == 11


def test_scan_finds_what_is_there_all_the_time_while_others_come_and_go(client: RawClient, rng: random.Random) -> None:
    steady = [b"steady:%d" % n for n in range(200)]
    fill(client, [*steady, *(b"goes:%d" % n for n in range(200))])
    found: list[bytes] = []
    for number, page in enumerate(pages(client, "COUNT", 7)):
        found += page
        client.call("DEL", *(b"goes:%d" % rng.randrange(200) for _ in range(5)))
        client.call("MSET", b"comes:%d" % number, "1", rng.choice(steady), "changed")
        client.call("EXPIRE", rng.choice(steady), 1000)
    assert set(steady) <= set(found)
    assert not [name for name, times in Counter(found).items() if times > 1]


def test_scan_goes_on_from_a_cursor_whose_key_is_gone(client: RawClient) -> None:
    names = {b"key:%d" % n for n in range(50)}
    fill(client, sorted(names))
    cursor, first = parsed(client.call("SCAN", 0, "COUNT", 10))
    gone = names - set(first)
    client.call("DEL", *gone)
    assert parsed(client.call("SCAN", cursor, "COUNT", 10)) == [b"0", []]


def test_scan_selects_by_type(client: RawClient) -> None:
    fill(client, [b"a", b"b"])
    assert parsed(client.call("SCAN", 0, "TYPE", "zset"))[1] == []
    for words in (
        "RPUSH l 1", "SADD s 1", "ZADD z 1 a", "HSET h f v", "XADD x * f v", "RPUSH l2 1", "PFADD p a",
        "XADD x2 1-1 a 1", "XDEL x2 1-1", "HSET gone f v", "PEXPIREAT gone 1",
    ):  # fmt: skip
        client.call(*words.split())
    of_type = {
        "string": [b"a", b"b", b"p"], "list": [b"l", b"l2"], "set": [b"s"], "zset": [b"z"], "hash": [b"h"],
        "stream": [b"x", b"x2"], "module": [],
    }  # fmt: skip
    for kind, names in of_type.items():
        for count in (1, 1000):
            found = [name for page in pages(client, "TYPE", kind, "COUNT", count) for name in page]
            assert sorted(found) == names
    assert sorted(parsed(client.call("KEYS", "*"))) == sorted(name for names in of_type.values() for name in names)
    assert client.call("DBSIZE") == b":10\r\n"
    assert parsed(client.call("SCAN", 0, "TYPE", "HASH", "MATCH", "h*", "COUNT", 100))[1] == [b"h"]


def test_rows_of_one_cursor_stand_in_one_page(mariadb_rowdis: Rowdis, mariadb: MariaDB) -> None:
    """Somebody who looks for long enough finds names whose digests begin alike; here rows are made to order."""
    like = bytes(7) + b"\x02"
    digests = [like + b"%08d" % n for n in range(12)] + [bytes(7) + b"\x01" + b"%08d" % n for n in range(3)]
    database = mariadb.connect("rowdis_tests")
    with mariadb_rowdis.client() as client, database, database.cursor() as cursor:
        client.call("FLUSHALL")
        cursor.execute("SELECT space FROM rowdis_space WHERE db=0")
        (space,) = cursor.fetchone()
        cursor.executemany(
            "INSERT INTO rowdis_key (space, digest, name, key_id, type, version, size, value) "
            "VALUES (%s, %s, %s, 0, 1, 1, 1, 'v')",
            [(space, digest, b"name:" + digest) for digest in digests],
        )
        for count in (1, 2, 5, 11, 12, 13, 100):
            found = list(pages(client, "COUNT", count))
            assert sorted(name for page in found for name in page) == sorted(b"name:" + digest for digest in digests)
        assert [len(page) for page in pages(client, "COUNT", 1)] == [3, 12]
        client.call("FLUSHALL")


def test_cursors_have_at_most_63_bits(client: RawClient) -> None:
    fill(client, [b"key:%d" % n for n in range(300)])
    cursor = b"0"
    while True:
        cursor, _ = parsed(client.call("SCAN", cursor, "COUNT", 1))
        assert int(cursor) < 2**63
        if cursor == b"0":
            break
    assert parsed(client.call("SCAN", 2**63, "COUNT", 10)) == [b"0", []]
    assert parsed(client.call("SCAN", 2**64 - 1, "COUNT", 10)) == [b"0", []]


def test_keys_of_more_than_one_page_of_rows(client: RawClient) -> None:
    names = [b"key:%d" % n for n in range(10_500)]
    fill(client, names)
    assert sorted(parsed(client.call("KEYS", "*"))) == sorted(names)
    assert len(parsed(client.call("KEYS", "key:10*"))) == 1 + 10 + 100 + 500
    assert sorted(parsed(client.call("SCAN", 0, "COUNT", 20_000))[1]) == sorted(names)
    assert client.call("DBSIZE") == b":10500\r\n"


@pytest.mark.parametrize("size", [2, 5, 40, 300])
def test_randomkey_is_fair(client: RawClient, size: int) -> None:
    names = [b"key:%d" % n for n in range(size)]
    fill(client, names)
    # So many that a key which is never drawn is no chance: with 25 for each it would be one in a billion runs.
    draws = max(400, 25 * size)
    found = Counter(parsed(reply) for reply in client.pipeline([("RANDOMKEY",)] * draws))
    assert set(found) <= set(names)
    mean = draws / size
    # Ten standard deviations of an even distribution. If only the next key were taken, one behind a gap of several
    # times the average would come that much more often.
    assert max(found.values()) < mean + 10 * mean**0.5
    assert len(found) > size * 0.98


def test_randomkey_skips_expired_keys(client: RawClient) -> None:
    fill(client, [b"gone:%d" % n for n in range(20)])
    client.call("SET", "stays", "1")
    for n in range(20):
        client.call("PEXPIRE", f"gone:{n}", 1)
    while client.call("EXISTS", *(f"gone:{n}" for n in range(20))) != b":0\r\n":
        pass
    assert {parsed(client.call("RANDOMKEY")) for _ in range(20)} == {b"stays"}
