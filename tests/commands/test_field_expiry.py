"""Fields of hashes that expire, compared with Redis 7.4."""

import time
from typing import Any

import hiredis
import pytest

from tests.commands.conftest import Play
from tests.commands.scenarios import Line, Scenario, Step, becomes, near, scenario, scenarios, words
from tests.services.mariadb import MariaDB
from tests.services.raw_client import RawClient
from tests.services.rowdis import Rowdis

MAX = 2**63 - 1
FAR = 33_177_117_420
LATEST_MS = 2**46 - 1
LIMIT_S = 5.0


def parsed(reply: bytes) -> Any:
    reader = hiredis.Reader()
    reader.feed(reply)
    return reader.gets()


def near_each(line: Line, tolerance: int) -> Step:
    """An array of integers that depend on the time: they may differ by so much."""

    def agree(ours: bytes, theirs: bytes) -> bool:
        mine, other = parsed(ours), parsed(theirs)
        return len(mine) == len(other) and all(abs(a - b) <= tolerance for a, b in zip(mine, other, strict=True))

    return Step(words(line), agree)


def gone(field: str) -> Step:
    """Waits until a field of h is due."""
    return becomes(f"HEXISTS h {field}", b":0\r\n")


@scenarios(
    scenario("HEXPIRE and its kin", "HSET h a 1 b 2 c 3", "HEXPIRE h 100 FIELDS 1 a", "HPEXPIRE h 100000 FIELDS 2 b c",
             near_each("HTTL h FIELDS 3 a b c", 1), near_each("HPTTL h FIELDS 3 a b c", 2000),
             f"HEXPIREAT h {FAR} FIELDS 2 a b", f"HPEXPIREAT h {FAR}123 FIELDS 1 c", "HEXPIRETIME h FIELDS 3 a b c",
             "HPEXPIRETIME h FIELDS 3 a b c", "HGETALL h", "HLEN h", "TTL h"),
    scenario("fields that are not there", "HSET h a 1", "HEXPIRE h 100 FIELDS 3 x a y", "HTTL h FIELDS 2 x y",
             "HPTTL h FIELDS 1 x", "HEXPIRETIME h FIELDS 1 x", "HPEXPIRETIME h FIELDS 1 x", "HPERSIST h FIELDS 1 x",
             "HEXPIRE nosuch 100 FIELDS 2 x y", "HTTL nosuch FIELDS 2 x y", "HPERSIST nosuch FIELDS 2 x y",
             "HEXPIRETIME nosuch FIELDS 1 x", "EXISTS nosuch"),
    scenario("fields that do not expire", "HSET h a 1 b 2", "HEXPIRE h 100 FIELDS 1 b", "HTTL h FIELDS 1 a",
             "HPTTL h FIELDS 1 a", "HEXPIRETIME h FIELDS 1 a", "HPEXPIRETIME h FIELDS 1 a", "HPERSIST h FIELDS 2 a b",
             "HPERSIST h FIELDS 2 a b", "HTTL h FIELDS 2 a b"),
    scenario("times are rounded up", "HSET h a 1", f"HPEXPIREAT h {FAR}001 FIELDS 1 a", "HEXPIRETIME h FIELDS 1 a",
             f"HPEXPIREAT h {FAR}000 FIELDS 1 a", "HEXPIRETIME h FIELDS 1 a", f"HPEXPIREAT h {FAR}999 FIELDS 1 a",
             "HEXPIRETIME h FIELDS 1 a", "HPEXPIRE h 90400 FIELDS 1 a", near_each("HTTL h FIELDS 1 a", 1)),
    scenario("NX", "HSET h a 1 b 2", "HEXPIRE h 100 NX FIELDS 1 a", f"HEXPIREAT h {FAR} NX FIELDS 2 a b",
             near_each("HTTL h FIELDS 1 a", 1), "HEXPIRETIME h FIELDS 1 b", "HEXPIRE h 0 NX FIELDS 1 a", "HGETALL h"),
    scenario("XX", "HSET h a 1 b 2", "HEXPIRE h 100 XX FIELDS 2 a b", f"HEXPIREAT h {FAR} FIELDS 1 a",
             f"HEXPIREAT h {FAR + 1} xx FIELDS 2 a b", "HEXPIRETIME h FIELDS 2 a b", "HEXPIRE h 0 XX FIELDS 2 a b",
             "HGETALL h"),
    scenario("GT", "HSET h a 1 b 2", f"HEXPIREAT h {FAR} FIELDS 1 a", f"HEXPIREAT h {FAR} GT FIELDS 2 a b",
             f"HEXPIREAT h {FAR - 1} GT FIELDS 2 a b", f"HEXPIREAT h {FAR + 1} gt FIELDS 2 a b",
             "HEXPIRETIME h FIELDS 2 a b", "HEXPIRE h 0 GT FIELDS 2 a b", "HGETALL h"),
    scenario("LT", "HSET h a 1 b 2", f"HEXPIREAT h {FAR} FIELDS 1 a", f"HEXPIREAT h {FAR} LT FIELDS 1 a",
             f"HEXPIREAT h {FAR + 1} LT FIELDS 2 a b", f"HEXPIREAT h {FAR - 1} lt FIELDS 2 a b",
             "HEXPIRETIME h FIELDS 2 a b", "HEXPIRE h 0 LT FIELDS 1 a", "HGETALL h"),
    scenario("times that are over", "HSET h a 1 b 2 c 3", "HEXPIRE h 0 FIELDS 1 a", "HPEXPIREAT h 1 FIELDS 2 a b",
             "HGETALL h", "HEXPIREAT h 0 FIELDS 2 c c", "EXISTS h", "HPEXPIRE h 0 FIELDS 1 c", "HLEN h"),
    scenario("a field named twice", "HSET h a 1", "HEXPIRE h 100 FIELDS 2 a a", "HEXPIRE h 200 NX FIELDS 2 a a",
             "HPERSIST h FIELDS 2 a a", "HEXPIRE h 200 NX FIELDS 2 a a"),
    scenario("the latest times are taken", "HSET h a 1", f"HPEXPIREAT h {LATEST_MS} FIELDS 1 a",
             "HPEXPIRETIME h FIELDS 1 a", "HEXPIRETIME h FIELDS 1 a", f"HPEXPIREAT h {LATEST_MS + 1} FIELDS 1 a",
             f"HEXPIREAT h {LATEST_MS // 1000} FIELDS 1 a", f"HEXPIREAT h {LATEST_MS // 1000 + 1} FIELDS 1 a",
             f"HPEXPIRE h {LATEST_MS} FIELDS 1 a", f"HEXPIRE h {MAX} FIELDS 1 a", f"HEXPIRE h {MAX + 1} FIELDS 1 a",
             f"HPEXPIRE h {MAX} FIELDS 1 a", f"HPEXPIREAT h {MAX} FIELDS 1 a", "HPEXPIRETIME h FIELDS 1 a"),
)  # fmt: skip
def test_times(play: Play, case: Scenario) -> None:
    play(case)


_EXPIRES = ("HEXPIRE", "HPEXPIRE", "HEXPIREAT", "HPEXPIREAT")
_LOOKS = ("HTTL", "HPTTL", "HEXPIRETIME", "HPEXPIRETIME", "HPERSIST")


@scenarios(
    *(scenario(f"arguments of {name} are checked", "HSET h a 1 b 2", "SET s 1", *(
        f"{name} {rest}" for rest in (
            "h", "h 100", "h 100 FIELDS 1", "h 100 FIELDS 2 a", "h 100 FIELDS 1 a b", "h 100 FIELDS 0 a",
            "h 100 FIELDS -1 a", "h 100 FIELDS abc a", "h 100 FIELDS 1.0 a", f"h 100 FIELDS {MAX} a",
            "h 100 FIELDS 2147483649 a", f"h 100 FIELDS {MAX + 1} a", "h abc FIELDS 1 a", "h 1.5 FIELDS 1 a",
            '"h" "" FIELDS 1 a', "h -1 FIELDS 1 a", "h -1 FIELDS 0 a", "h abc FIELDS 0 a", "h abc FOO 1 a",
            f"h {MAX} FOO 1 a", f"h {MAX} NX FOO 1 a", f"h {MAX} FIELDS 0 a", "h 100 NX XX FIELDS 1 a",
            "h 100 NX NX FIELDS 1 a", "h 100 FOO FIELDS 1 a", "h 100 FIELDS 1 a NX", "h 100 NX FIELDS 1",
            "h 100 NX a FIELDS", "h 100 FOO 1 a", "h 100 NX 1 a b", "h 100 FIELDS NX 1 a", "h 100 NX FIELDS 0 a",
            "nosuch 100 FOO 1 a", "nosuch abc FIELDS 1 a", "nosuch -1 FIELDS 1 a", "nosuch 100 FIELDS 0 a",
            "nosuch 100 FIELDS 2 a", f"nosuch {MAX} FIELDS 1 a", "s 100 FIELDS 1 a", "s abc FIELDS 1 a",
            "s 100 FIELDS 0 a", "s 100 FOO 1 a", "s 100 FIELDS 2 a")), "HTTL h FIELDS 2 a b") for name in _EXPIRES),
    *(scenario(f"arguments of {name} are checked", "HSET h a 1 b 2", "SET s 1", *(
        f"{name} {rest}" for rest in (
            "h", "h FIELDS", "h FIELDS 1", "h FIELDS 2 a", "h FIELDS 1 a b", "h FIELDS 0 a", "h FIELDS -1 a",
            "h FIELDS abc a", f"h FIELDS {MAX} a", f"h FIELDS {MAX + 1} a", "h FOO 1 a", "h FOO 0 a", "h 1 FIELDS a",
            "h fields 1 a", "nosuch FOO 1 a", "nosuch FIELDS 0 a", "nosuch FIELDS 2 a", "nosuch FIELDS abc a",
            "s FIELDS 1 a", "s FIELDS 0 a", "s FOO 1 a", "s FIELDS 2 a"))) for name in _LOOKS),
)  # fmt: skip
def test_arguments(play: Play, case: Scenario) -> None:
    play(case)


@scenarios(
    scenario("HSET and HMSET forget the expiry", "HSET h a 1 b 2 c 3", "HEXPIRE h 100 FIELDS 3 a b c", "HSET h a 1",
             "HMSET h b 9", near_each("HTTL h FIELDS 3 a b c", 1), "HPERSIST h FIELDS 3 a b c", "HGETALL h"),
    scenario("HINCRBY and HINCRBYFLOAT keep it", "HSET h a 1 b 2", f"HEXPIREAT h {FAR} FIELDS 2 a b", "HINCRBY h a 5",
             "HINCRBYFLOAT h b 0.5", "HEXPIRETIME h FIELDS 2 a b", "HGETALL h", "HINCRBY h c 1", "HTTL h FIELDS 1 c"),
    scenario("HSETNX does not touch it", "HSET h a 1", f"HEXPIREAT h {FAR} FIELDS 1 a", "HSETNX h a 2",
             "HEXPIRETIME h FIELDS 1 a"),
    scenario("a field that is deleted and comes again does not expire", "HSET h a 1 b 2",
             f"HEXPIREAT h {FAR} FIELDS 1 a", "HDEL h a", "HSET h a 1", "HTTL h FIELDS 1 a"),
    scenario("a hash that comes again has no expiries", "HSET h a 1", f"HEXPIREAT h {FAR} FIELDS 1 a", "DEL h",
             "HSET h a 1", "HTTL h FIELDS 1 a", f"HEXPIREAT h {FAR} FIELDS 1 a", "SET h 1", "DEL h", "HSET h a 1",
             "HTTL h FIELDS 1 a"),
    scenario("RENAME and MOVE keep expiries", "HSET h a 1 b 2", f"HEXPIREAT h {FAR} FIELDS 1 a", "RENAME h g",
             "HEXPIRETIME g FIELDS 2 a b", "MOVE g 1", "SELECT 1", "HEXPIRETIME g FIELDS 2 a b", "HGETALL g"),
    scenario("COPY copies expiries", "HSET h a 1 b 2", f"HEXPIREAT h {FAR} FIELDS 1 a", "COPY h g",
             "HPERSIST h FIELDS 1 a", "HEXPIRETIME g FIELDS 2 a b", "HGETALL g", "HSET g a 1",
             "HPERSIST g FIELDS 2 a b"),
    scenario("the key and its fields expire each for itself", "HSET h a 1 b 2", f"HEXPIREAT h {FAR} FIELDS 1 a",
             f"EXPIREAT h {FAR + 9}", "PERSIST h", "HEXPIRETIME h FIELDS 1 a", "TTL h", "HPERSIST h FIELDS 1 a",
             "EXPIRE h 100", near("TTL h"), "HTTL h FIELDS 2 a b"),
    scenario("order: the earliest first, of equals the latest set", "HSET h a 1 b 2 c 3 d 4",
             f"HEXPIREAT h {FAR} FIELDS 1 c", "HGETALL h", f"HEXPIREAT h {FAR} FIELDS 1 a", "HGETALL h",
             f"HEXPIREAT h {FAR + 1} FIELDS 2 d b", "HGETALL h", f"HEXPIREAT h {FAR} FIELDS 1 c", "HKEYS h",
             f"HEXPIREAT h {FAR - 1} LT FIELDS 2 d b", "HVALS h", "HSCAN h 0", "HSCAN h 0 NOVALUES",
             f"HEXPIREAT h {FAR} FIELDS 3 a b d", "HGETALL h"),
    scenario("order: what does not expire any more goes to the end", "HSET h a 1 b 2 c 3 d 4",
             f"HEXPIREAT h {FAR} FIELDS 3 a b c", "HPERSIST h FIELDS 1 b", "HGETALL h", "HSET h a 9", "HGETALL h",
             "HSET h d 9 e 1", "HGETALL h", "HINCRBY h c 1", "HGETALL h", "HINCRBYFLOAT h b 1", "HGETALL h",
             "HMSET h c 1", "HGETALL h", "HRANDFIELD h 10 WITHVALUES"),
    scenario("MULTI", "MULTI", "HSET h a 1 b 2", f"HEXPIREAT h {FAR} FIELDS 1 a", "HEXPIRETIME h FIELDS 2 a b",
             "HPERSIST h FIELDS 1 a", f"HEXPIREAT h {FAR} FIELDS 2 a b", "RENAME h g", "HGETALL g", "HDEL g a",
             "HEXPIRETIME g FIELDS 2 a b", f"HEXPIREAT g {FAR - 1} FIELDS 1 b", "HEXPIRE g 0 FIELDS 1 b", "EXEC",
             "EXISTS g h"),
    scenario("WATCH sees what was changed", "HSET h a 1 b 2", "WATCH h", "HEXPIRE h 100 XX FIELDS 1 a",
             "HEXPIRE h 100 FIELDS 1 nosuch", "HPERSIST h FIELDS 1 a", "MULTI", "HLEN h", "EXEC", "WATCH h",
             "HEXPIRE h 100 FIELDS 1 a", "MULTI", "HLEN h", "EXEC", "WATCH h", "HPERSIST h FIELDS 1 a", "MULTI",
             "HLEN h", "EXEC"),
)  # fmt: skip
def test_other_commands(play: Play, case: Scenario) -> None:
    play(case)


@scenarios(
    scenario("a due field is absent", "HSET h a 1 b 2 c 3", "HPEXPIRE h 30 FIELDS 2 a b", gone("a"), gone("b"),
             "HGET h a", "HMGET h a b c", "HGETALL h", "HKEYS h", "HVALS h", "HSTRLEN h b", "HTTL h FIELDS 2 a c",
             "HSCAN h 0", "HRANDFIELD h -3", "HRANDFIELD h 3 WITHVALUES", becomes("HLEN h", b":1\r\n"),
             "HPERSIST h FIELDS 1 a", "HEXISTS h c"),
    scenario("a due field comes again", "HSET h a 5 b 5 c 5 d 5", "HPEXPIRE h 30 FIELDS 3 a b c", gone("a"), gone("b"),
             gone("c"), "HINCRBY h a 1", "HINCRBYFLOAT h b 0.5", "HSETNX h c 1", "HTTL h FIELDS 3 a b c",
             becomes("HLEN h", b":4\r\n"), "HGETALL h"),
    scenario("with its last field the key is gone", "HSET h a 1 b 2", "HPEXPIRE h 30 FIELDS 2 a b", gone("a"),
             gone("b"), becomes("EXISTS h", b":0\r\n"), "TYPE h", "HLEN h", "HGETALL h", "TTL h", "HSET h c 1",
             "HGETALL h"),
    scenario("a renamed hash loses its fields too", "HSET g a 1", "HPEXPIRE g 80 FIELDS 1 a", "RENAME g h", gone("a"),
             becomes("EXISTS h", b":0\r\n")),
    scenario("a moved hash loses its fields too", "SELECT 1", "HSET h a 1", "HPEXPIRE h 80 FIELDS 1 a", "MOVE h 0",
             "SELECT 0", gone("a"), becomes("EXISTS h", b":0\r\n")),
    scenario("a copied hash loses its fields too", "HSET g a 1 b 2", "HPEXPIRE g 80 FIELDS 1 a", "COPY g h", gone("a"),
             becomes("HLEN h", b":1\r\n"), "HGETALL h"),
    scenario("a key that is set stays", "HSET h a 1", "HPEXPIRE h 30 FIELDS 1 a", gone("a"), "SET h 1", "GET h"),
    scenario("a field that was given more time stays", "HSET h a 1 b 2", "HPEXPIRE h 60 FIELDS 2 a b",
             f"HEXPIREAT h {FAR} FIELDS 1 a", gone("b"), "HGETALL h", becomes("HLEN h", b":1\r\n"),
             "HEXPIRETIME h FIELDS 1 a"),
)  # fmt: skip
def test_due_fields(play: Play, case: Scenario) -> None:
    play(case)


def until(client: RawClient, *command: str, reply: bytes) -> None:
    """Wait for a reply."""
    deadline = time.monotonic() + LIMIT_S
    while (said := client.call(*command)) != reply:
        assert time.monotonic() < deadline, said
        time.sleep(0.005)


@pytest.mark.parametrize("size", [100, 1500])
@pytest.mark.parametrize("value", ["v", "v" * 100], ids=["short", "long"])
def test_fields_of_a_large_hash_are_due_together(client: RawClient, size: int, value: str) -> None:
    names = [f"field:{n}" for n in range(size)]
    client.call("HSET", "h", *(word for name in names for word in (name, value)))
    due, left = names[::2], sorted(name.encode() for name in names[1::2])
    client.call("HPEXPIRE", "h", 50, "FIELDS", len(due), *due)
    until(client, "HEXISTS", "h", due[-1], reply=b":0\r\n")
    # Whether they are swept by now or not:
    assert sorted(parsed(client.call("HKEYS", "h"))) == left
    assert client.call("HLEN", "h") == b":%d\r\n" % len(left)
    assert len(parsed(client.call("HVALS", "h"))) == len(left)
    assert set(parsed(client.call("HRANDFIELD", "h", "-300"))) <= set(left)
    assert sorted(parsed(client.call("HRANDFIELD", "h", size))) == left
    assert sorted(parsed(client.call("HSCAN", "h", 0, "COUNT", 5000, "NOVALUES"))[1]) == left
    assert client.call("HDEL", "h", *due, *left[:-1]) == b":%d\r\n" % (len(left) - 1)
    assert client.call("HDEL", "h", left[-1]) == b":1\r\n"
    assert client.call("EXISTS", "h") == b":0\r\n"


def test_nothing_of_swept_fields_stays_in_the_tables(mariadb_rowdis: Rowdis, mariadb: MariaDB) -> None:
    long = b"long value " * 10_000
    tables = ("rowdis_hash_field", "rowdis_field_expiry", "rowdis_hash_expiry", "rowdis_string_chunk", "rowdis_key")
    with mariadb_rowdis.client() as client, mariadb.connect("rowdis_tests") as database, database.cursor() as cursor:
        client.call("FLUSHALL")
        for key in range(5):
            client.call("HSET", f"h{key}", *(word for n in range(300) for word in (f"f{n}", "v")), "long", long)
            client.call("HPEXPIRE", f"h{key}", 100, "FIELDS", 301, *(f"f{n}" for n in range(300)), "long")
        client.call("RENAME", "h1", "g")
        client.call("DEL", "h2")
        client.call("SET", "h3", "v")
        client.call("DEL", "h3")
        deadline = time.monotonic() + 4 * LIMIT_S
        while True:
            database.rollback()
            counts = []
            for table in tables:
                cursor.execute(f"SELECT COUNT(*) FROM {table}")
                counts.append(cursor.fetchone()[0])
            if not any(counts):
                break
            assert time.monotonic() < deadline, counts
            time.sleep(0.02)
