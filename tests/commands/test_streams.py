"""Streams without groups: entries, ranges, trimming, XREAD. Compared with Redis 7.4."""

import re

from tests.commands.conftest import Play
from tests.commands.scenarios import Line, Scenario, Step, deviates, scenario, scenarios, words
from tests.conftest import Combination
from tests.services.raw_client import RawClient
from tests.services.redis_oracle import RedisOracle
from tests.services.rowdis import Rowdis

KIB = 1024
CHUNK = 64 * KIB
MAX = 2**64 - 1


def stream(name: str, *steps: Line | Step) -> Scenario:
    """A scenario that Redis 7.4 is asked about: 7.0 counts and words much of streams another way."""
    return scenario(name, *steps, oracle="redis74")


def filled(*ids: str, key: str = "s") -> list[Line]:
    """Commands that add an entry with each of these ids."""
    return [f"XADD {key} {number} f v{number}" for number in ids]


def many(count: int, key: str = "s") -> list[Line]:
    return [("XADD", key, f"{number}-0", "n", number) for number in range(1, count + 1)]


def automatic(line: Line) -> Step:
    """An id that is made of the time, on both servers."""

    def agree(ours: bytes, theirs: bytes) -> bool:
        return all(re.fullmatch(rb"\$\d+\r\n\d{13}-\d+\r\n", reply) is not None for reply in (ours, theirs))

    return Step(words(line), agree)


@scenarios(
    stream("entries are given back in order", *filled("1-1", "1-2", "5"), "XLEN s", "XRANGE s - +", "XREVRANGE s + -",
           "TYPE s", "XLEN nosuch", "XRANGE nosuch - +", "XREVRANGE nosuch + -"),
    stream("a NUL ends an id", r'XADD s "5-1\x00" f v', r'XADD s "6\x00-3" f v', r'XADD s "7-\x00" f v',
           r'XADD s "\x00" f v', r'XADD s "8--1\x00" f v', "XRANGE s - +", r'XRANGE s "5-1\x00" "(6\x007"',
           r'XDEL s "6\x00"', "XLEN s"),
    stream("an id must be greater than the last", *filled("5-5"), "XADD s 5-5 f v", "XADD s 5-4 f v", "XADD s 4 f v",
           "XADD s 5 f v", "XADD s 5-6 f v", "XADD s 0-0 f v", "XADD t 0-0 f v", "XADD t 0 f v", "EXISTS t"),
    stream("part of an id may be chosen by the server", "XADD s 5-* f v", "XADD s 5-* f v", "XADD s 7-* f v",
           "XADD s 6-* f v", "XADD t 0-* f v", "XADD t 0-* f v", f"XADD t 9-{MAX} f v", "XADD t 9-* f v",
           "XADD t 10-* f v", "XADD t 1--* f v", "XADD t -1-* f v", "XADD t *-1 f v", "XADD t 1-2-* f v"),
    stream("ids have 64 unsigned bits twice", f"XADD s {2**63}-{2**63} f v", f"XADD s {MAX}-{MAX - 1} f v",
           f"XADD s {MAX}-* f v", "XADD s * f v", f"XADD s {MAX}-* f v", "XADD s 1 f v", f"XRANGE s {2**63} {2**63}",
           "XREVRANGE s + - COUNT 1", f"XRANGE s ({MAX}-{MAX - 1} +", f"XRANGE s {MAX}-{MAX} +",
           f"XREAD STREAMS s {MAX}-{MAX - 1}", f"XREAD STREAMS s {MAX}-{MAX}", f"XADD u {MAX + 1} f v",
           f"XREVRANGE s {MAX}-{MAX} {MAX}-{MAX}", f"XDEL s {MAX}-{MAX}", "XREVRANGE s + -"),
    stream("ids are read as unsigned numbers in C", "XADD s 007-01 f v", "XRANGE s 7-1 7-1", "XADD s 1x-1 f v",
           "XADD s 8-1-1 f v", "XADD s 8- f v", "XADD s -8 f v", "XADD s + f v", "XADD s - f v", "XADD s $ f v",
           ("XADD", "s", "9" * 200, "f", "v")),
    stream("an automatic id follows the clock, or the last id", automatic("XADD s * f v"), automatic("XADD s * f v"),
           "XLEN s", f"XADD t {2**60}-5 f v", "XADD t * f v", f"XADD t {2**60}-{MAX} f v", "XADD t * f v"),
    stream("fields are kept as they are", "XADD s 1 b 1 a 2 b 3", 'XADD s 2 "" ""',
           r'XADD s 3 "\x00:,\r\n" "\xff 5:a,"',
           "XRANGE s - +"),
    stream("the number of words is judged before the type", "SET a x", "XADD a * f", "XADD a 1 f v g", "XADD a bad f",
           "XADD a 1 f v", "XADD s", "XADD s *", "XADD s * f", "XADD s NOMKSTREAM NOMKSTREAM NOMKSTREAM",
           "XADD s MAXLEN 5 *", "XADD s MAXLEN 5 MAXLEN"),
    stream("NOMKSTREAM makes no stream", "XADD s NOMKSTREAM 1 f v", "EXISTS s", *filled("1"), "XADD s nomkstream 2 f v",
           "XLEN s", "XADD t NOMKSTREAM x f v", "XADD t NOMKSTREAM MAXLEN x 1 f v"),
    stream("an error makes no stream", "XADD s x f v", "XADD s 0-0 f v", "XADD s MAXLEN -1 1 f v", "EXISTS s"),
    stream("a string is no stream", "SET a x", "XADD a 1 f v", "XLEN a", "XRANGE a - +", "XREVRANGE a + -", "XDEL a 1",
           "XTRIM a MAXLEN 1", "XSETID a 1-1", "XREAD STREAMS a 0", "XINFO STREAM a", "XREAD STREAMS a x", "XDEL a x",
           "XRANGE a x +", "XRANGE a - + COUNT 0", "XTRIM a MAXLEN x"),
    stream("an empty stream stays", *filled("1", "2"), "XDEL s 1 2", "EXISTS s", "XLEN s", "XRANGE s - +", "TYPE s",
           "XADD s 2 f v", "XADD s 3 f v", "XRANGE s - +", "XTRIM s MAXLEN 0", "EXISTS s", "XLEN s"),
    stream("expiry and renaming", *filled("1", "2"), "PEXPIRE s 0", "XLEN s", "XADD s 1 f v", "TTL s", "EXPIRE s 100",
           "XADD s 2 f v", "RENAME s t", "XADD t 2-* f v", "XRANGE t - +", "EXISTS s"),
    stream("what a name held before is forgotten", *filled("1", "2"), "SET s x", "DEL s", "XADD s 1 f w",
           "XRANGE s - +"),
)  # fmt: skip
def test_adding(play: Play, case: Scenario) -> None:
    play(case)


_FIVE = filled("1-1", "1-2", "3-0", "5-5", "7")


@scenarios(
    stream("bounds", *_FIVE, "XRANGE s 1 1", "XRANGE s 1-2 5", "XRANGE s (1-1 +", "XRANGE s (1 +", "XRANGE s - (3-0",
           "XRANGE s - (3", "XRANGE s (1-1 (3-0", "XRANGE s 3 1", "XRANGE s + -", "XRANGE s 2 2", "XRANGE s 8 +",
           "XREVRANGE s 1 1", "XREVRANGE s (5-5 (1-1", "XREVRANGE s - +", "XREVRANGE s 5 1-2", "XRANGE s 3-0 3-0",
           "XRANGE s 3 3-0", "XREVRANGE s 3-0 3-0", "XRANGE s 4-0 4-0", "XRANGE s 3-0 (3-0", "XRANGE s (3-0 3-0"),
    stream("COUNT", *_FIVE, "XRANGE s - + COUNT 2", "XREVRANGE s + - COUNT 2", "XRANGE s - + COUNT 0",
           "XRANGE s - + COUNT -1", "XRANGE nosuch - + COUNT 0", "XRANGE s - + COUNT 9223372036854775807",
           "XRANGE s - + COUNT 1 COUNT 3", "XRANGE s 3-0 3-0 COUNT 5", "XREVRANGE s 5 - count 1"),
    stream("errors", *_FIVE, "XRANGE s x +", "XRANGE s - x", "XRANGE s ( +", "XRANGE s (- +", "XRANGE s - (+",
           f"XRANGE s ({MAX}-{MAX} +", "XRANGE s - (0-0", "XRANGE s - + COUNT", "XRANGE s - + COUNT x",
           "XRANGE s - + FOO 1",
           "XRANGE s - + COUNT 1 FOO", "XRANGE s x + COUNT y", "XRANGE nosuch x +", "XRANGE s 1-* +", "XRANGE s -",
           "XREVRANGE s x -", "XREVRANGE s + x COUNT y"),
    stream("XDEL", *_FIVE, "XDEL s 1-2 9-9 1-2 7", "XRANGE s - +", "XDEL s 1-1", "XDEL s 7", "XDEL s 3-0 x", "XDEL s 3",
           "XLEN s", "XRANGE s - +", "XDEL s 5-5", "XDEL s 5-5", "XDEL nosuch x", "XDEL s -", "XADD s 7 f v"),
    stream("XSETID", *_FIVE, "XSETID s 6", "XSETID s 7", "XSETID s 9-9", "XADD s 9-9 f v", "XADD s 9-* f v",
           "XSETID s x",
           "XSETID nosuch 1", "XSETID nosuch x", "XSETID s 20 ENTRIESADDED 3", "XSETID s 20 ENTRIESADDED -1",
           "XSETID s 20 ENTRIESADDED x", "XSETID s 20 ENTRIESADDED 77 MAXDELETEDID 4", "XINFO STREAM s",
           "XSETID s 20 MAXDELETEDID 21", "XSETID s 20 FOO 1", "XSETID s 20 ENTRIESADDED",
           "XDEL s 1-1 1-2 3 5-5 7 9-10",
           "XSETID s 3-0", "XSETID s 8", "XSETID s 9-10", "XADD s 9-* f v", "XINFO STREAM s",
           "XSETID s 9-11 MAXDELETEDID 0-0", "XINFO STREAM s"),
)  # fmt: skip
def test_ranges_and_deleting(play: Play, case: Scenario) -> None:
    play(case)


_OBSERVED = ("XLEN s", "XRANGE s - + COUNT 1", "XREVRANGE s + - COUNT 1")


@scenarios(
    stream("MAXLEN", *_FIVE, "XTRIM s MAXLEN 3", "XRANGE s - +", "XTRIM s MAXLEN = 3", "XTRIM s MAXLEN 9",
           "XADD s MAXLEN 2 8 f v", "XRANGE s - +", "XADD s MAXLEN = 1 9 f v", "XRANGE s - +", "XADD s MAXLEN 0 10 f v",
           "XRANGE s - +", "XADD s 11 f v", "XINFO STREAM s"),
    stream("MINID", *_FIVE, "XTRIM s MINID 1-2", "XTRIM s MINID 3", "XRANGE s - +", "XTRIM s MINID 3",
           "XADD s MINID = 5-6 8 f v", "XRANGE s - +", "XADD s MINID 99 9 f v", "XLEN s", "XINFO STREAM s"),
    stream("whole nodes", *_FIVE, "XTRIM s MAXLEN ~ 2", "XTRIM s MINID ~ 5", "XLEN s", "XTRIM s MINID ~ 8 LIMIT 4",
           "XTRIM s MAXLEN ~ 0 LIMIT 3", "XTRIM s MAXLEN ~ 0 LIMIT 5", "XLEN s", *filled("8", "9"), "XTRIM s MINID ~ 9",
           "XTRIM s MINID ~ 9-1", "XLEN s"),
    stream("whole nodes of many", *many(250), "XTRIM s MAXLEN ~ 240", "XTRIM s MAXLEN ~ 150", *_OBSERVED,
           "XTRIM s MAXLEN ~ 30 LIMIT 50", "XTRIM s MAXLEN ~ 30 LIMIT 101", *_OBSERVED, "XTRIM s MAXLEN ~ 1",
           "XTRIM s MAXLEN ~ 0", "XLEN s"),
    stream("whole nodes by id", *many(330), "XTRIM s MINID ~ 100", "XTRIM s MINID ~ 101", *_OBSERVED,
           "XTRIM s MINID ~ 331 LIMIT 150", *_OBSERVED, "XTRIM s MINID ~ 331 LIMIT 0", "XLEN s"),
    stream("whole nodes after the first one has lost some", *many(230), "XTRIM s MAXLEN 190", "XTRIM s MAXLEN ~ 140",
           *_OBSERVED, "XTRIM s MAXLEN ~ 130", *_OBSERVED, "XTRIM s MINID ~ 205", *_OBSERVED, "XTRIM s MAXLEN ~ 0",
           *_OBSERVED),
    stream("adding trims whole nodes", *many(199), "XADD s MAXLEN ~ 100 200 f v", *_OBSERVED,
           "XADD s MAXLEN ~ 100 201 f v",
           *_OBSERVED, *[f"XADD s MAXLEN ~ 50 {number} f v" for number in range(202, 280)], *_OBSERVED),
    stream("exact trims of many", *many(300), *[f"XADD s MAXLEN 290 {number} f v" for number in range(301, 331)],
           *_OBSERVED, *[f"XADD s MINID {number - 200} {number} f v" for number in range(331, 361)], *_OBSERVED,
           "XTRIM s MAXLEN 7", "XRANGE s - +"),
    stream("a mixture in one pipeline", *many(20), "XDEL s 3 5", "XADD s MAXLEN 15 21 f v", "XDEL s 8-0",
           "XRANGE s - 9",
           "XADD s MAXLEN 10 22 f v", "XRANGE s - +", "XTRIM s MAXLEN 3", "XADD s 23 f v", "XREAD STREAMS s 20",
           "XREVRANGE s + - COUNT 3", "XTRIM s MINID 23", "XRANGE s - +", "XDEL s 23", "XADD s 24 f v", "XRANGE s - +",
           "XINFO STREAM s"),
    stream("errors", *_FIVE, "XTRIM s MAXLEN x", "XTRIM s MAXLEN -1", "XTRIM s MINID x", "XTRIM s FOO 1",
           "XTRIM s MAXLEN 1 LIMIT 1", "XTRIM s MAXLEN = 1 LIMIT 0", "XTRIM s LIMIT 5", "XTRIM s LIMIT 0 LIMIT 0",
           "XTRIM s MAXLEN ~ 1 MINID 2", "XTRIM s MAXLEN 1 MAXLEN 2", "XTRIM s MAXLEN ~", "XTRIM s MAXLEN ~ ~ 5",
           "XTRIM s MAXLEN ~ 5 LIMIT", "XTRIM s MAXLEN ~ 5 LIMIT -1", "XTRIM s MAXLEN ~ 5 LIMIT x", "XTRIM s MAXLEN",
           "XTRIM s MAXLEN 1 NOMKSTREAM", "XTRIM s LIMIT 1 MAXLEN ~ 1", "XTRIM nosuch MAXLEN 1", "XLEN s",
           "XADD s LIMIT 1 9 f v", "XADD s LIMIT 0 9 f v", "XADD s MAXLEN 1 MINID 1 9 f v", "XADD s MAXLEN x 9 f v",
           "XADD s MINID 1-* 9 f v", "XADD s MAXLEN ~ 5 LIMIT 0 9 f v", "XADD s MAXLEN = ~ 9 f v"),
    stream("nodes that Redis closes because they are long", *[("XADD", "s", f"{n}-0", "f",
           "x" * 2000) for n in range(1, 9)],
           deviates("XTRIM s MAXLEN ~ 2", "stream-nodes", b":0\r\n")),
)  # fmt: skip
def test_trimming(play: Play, case: Scenario) -> None:
    play(case)


@scenarios(
    stream("what follows an id", *_FIVE, *filled("9", key="t"), "XREAD STREAMS s 3", "XREAD STREAMS s 3-0",
           "XREAD COUNT 2 STREAMS s 0", "XREAD STREAMS s t 5-5 0", "XREAD STREAMS t s 0 5-5", "XREAD STREAMS s t 7 9",
           "XREAD STREAMS s t 7 0", "XREAD COUNT 1 STREAMS s s 0 1-1", "XREAD STREAMS nosuch s 0 5-5",
           "XREAD STREAMS nosuch 0", "XREAD COUNT 0 STREAMS s 5", "XREAD COUNT -5 STREAMS s 5", "XREAD STREAMS s 7"),
    stream("$ and +", *_FIVE, "XREAD STREAMS s $", "XREAD STREAMS s +", "XREAD STREAMS nosuch +",
           "XREAD STREAMS nosuch $",
           "XREAD COUNT 3 STREAMS s s + 3", "XREAD BLOCK 1 STREAMS s $", "XDEL s 7", "XREAD STREAMS s +",
           "XDEL s 1-1 1-2 3 5-5", "XREAD STREAMS s +", "XADD s 8 f v", "XREAD STREAMS s +"),
    stream("BLOCK with something there", *_FIVE, "XREAD BLOCK 0 STREAMS s 5", "XREAD COUNT 1 BLOCK 0 STREAMS s 0",
           "MULTI", "XREAD BLOCK 0 STREAMS s $", "XREAD BLOCK 0 STREAMS s 5", "XADD s 8 f v",
           "XREAD BLOCK 0 STREAMS s 7",
           "EXEC"),
    stream("errors", *_FIVE, "XREAD STREAMS s", "XREAD STREAMS s t 0", "XREAD STREAMS s x", "XREAD STREAMS s >",
           "XREAD STREAMS s -", "XREAD STREAMS s (1", "XREAD COUNT x STREAMS s 0", "XREAD BLOCK x STREAMS s 0",
           "XREAD BLOCK -1 STREAMS s 0", "XREAD BLOCK 1.5 STREAMS s 0", "XREAD BLOCK 9223372036854775807 STREAMS s 0",
           "XREAD COUNT 1 STREAMS", "XREAD COUNT 1 s 0", "XREAD BLOCK STREAMS s 0", "XREAD GROUP g a STREAMS s 0",
           "XREAD NOACK STREAMS s 0", "XREAD FOO STREAMS s 0", "XREAD STREAMS s 0 COUNT 1", "XREAD STREAMS nosuch x",
           "SET a x", "XREAD STREAMS s a 0 x", "XREAD STREAMS s a x 0"),
    stream("in a transaction", "MULTI", *_FIVE, "XREAD STREAMS s 1", "XLEN s", "XADD s 1 f v", "XDEL s 3",
           "XRANGE s 1-2 +",
           "EXEC", "XRANGE s - +"),
    stream("WATCH sees what changes a stream", *_FIVE, "WATCH s", "XRANGE s - +", "XTRIM s MAXLEN 9", "XDEL s 99",
           "MULTI",
           "XLEN s", "EXEC", "WATCH s", "XDEL s 7", "MULTI", "XLEN s", "EXEC"),
    stream("GETKEYS", "COMMAND GETKEYS XREAD COUNT 2 STREAMS a b 0 0", "COMMAND GETKEYS XADD s * f v",
           "COMMAND GETKEYS XREADGROUP GROUP g c STREAMS a b > >", "COMMAND GETKEYS XGROUP CREATE s g 0"),
)  # fmt: skip
def test_reading_on(play: Play, case: Scenario) -> None:
    play(case)


LONG = bytes(range(256)) * 1024


@scenarios(
    stream("long fields", ("XADD", "s", "1", "f", LONG), ("XADD", "s", "2", LONG, "v", "short", LONG[:CHUNK]),
           ("XADD", "s", "3", "f", LONG[: CHUNK - 6]), ("XADD", "s", "4", "f", LONG[: CHUNK - 12]), "XRANGE s - +",
           "XREAD STREAMS s 1", "XDEL s 1", "XTRIM s MAXLEN 2", "XRANGE s - +", "XREVRANGE s + - COUNT 1"),
    stream("a long name", ("XADD", LONG, "1", "f", "v"), ("XRANGE", LONG, "-", "+"), ("XREAD", "STREAMS", LONG, "0")),
)  # fmt: skip
def test_long_words(play: Play, case: Scenario) -> None:
    play(case)


def test_large_streams_are_read_and_trimmed_page_by_page(
    client: RawClient, redis74: RedisOracle, combination: Combination
) -> None:
    adding = [("XADD", "s", f"{number // 7}-{number}", "n", str(number)) for number in range(1, 6001)]
    commands: list[tuple[str, ...]] = [
        ("XRANGE", "s", "-", "+"), ("XREVRANGE", "s", "+", "-"), ("XREAD", "STREAMS", "s", "0"),
        ("XRANGE", "s", "100", "700-4903", "COUNT", "4000"), ("XREVRANGE", "s", "700", "100-703", "COUNT", "4000"),
        ("XTRIM", "s", "MAXLEN", "4700"), ("XRANGE", "s", "-", "+", "COUNT", "3"), ("XTRIM", "s", "MINID", "600"),
        ("XRANGE", "s", "-", "+", "COUNT", "3"), ("XLEN", "s"), ("XINFO", "GROUPS", "s"), ("XTRIM", "s", "MAXLEN", "0"),
        ("XRANGE", "s", "-", "+"), ("XADD", "s", "900-1", "f", "v"), ("XRANGE", "s", "-", "+"),
    ]  # fmt: skip
    with redis74.client(combination.protocol) as real:
        real.call("FLUSHALL")
        for start in range(0, len(adding), 500):
            some = adding[start : start + 500]
            assert client.pipeline(some) == real.pipeline(some)
        for command in commands:
            assert client.call(*command) == real.call(*command), command


def test_one_stream_takes_entries_of_many_clients(
    rowdis: Rowdis, client: RawClient, combination: Combination
) -> None:
    several = [rowdis.client(combination.protocol) for _ in range(20)]
    try:
        for one in several:
            for number in range(25):
                one.send("XADD", "s", "MAXLEN", "300", "*", "n", str(number))
        ids = [one.read() for one in several for _ in range(25)]
    finally:
        for one in several:
            one.close()
    assert len(set(ids)) == 500
    assert client.call("XLEN", "s") == b":300\r\n"
