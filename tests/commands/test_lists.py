"""Lists, compared with redis-server. Waiting for items is in test_blocking.py."""

import os

import pytest

from tests.commands.conftest import Play
from tests.commands.scenarios import Scenario, becomes, deviates, near, scenario, scenarios
from tests.services.raw_client import RawClient

INSERTIONS = 10_000 if os.environ.get("ROWDIS_TEST_LONG") else 800
KIB = 1024
ROW = 64 * KIB
MAX = 2**63 - 1
MIN = -(2**63)
OVER = 2**63


def filled(size: int, mark: bytes = b"") -> bytes:
    """Bytes that differ everywhere, so that a shifted chunk shows."""
    return (mark + b"".join(b"%08x" % n for n in range(size // 8 + 1)))[:size]


def numbered(command: str, name: str, count: int) -> tuple[str | int, ...]:
    """One command with many items."""
    return (command, name, *range(count))


SHORT, LONG, LONGER = filled(ROW), filled(ROW + 1), filled(300 * KIB, b"longer")


@scenarios(
    scenario("items are added to both ends", "RPUSH l a b c", "LPUSH l d e f", "LRANGE l 0 -1", "LLEN l", "TYPE l"),
    scenario("items hold any bytes", r'RPUSH l "" "a\x00\r\n\xff" " "', "LRANGE l 0 -1", 'LPOS l ""', "LPOP l",
             r'LREM l 0 "a\x00\r\n\xff"', "LRANGE l 0 -1"),
    scenario("names hold any bytes", r'RPUSH "\x00\r\n" a', r'LRANGE "\x00\r\n" 0 -1', 'RPUSH "" b', 'LLEN ""'),
    scenario("an absent list is empty", "LLEN l", "LRANGE l 0 -1", "LINDEX l 0", "LPOP l", "RPOP l", "LPOP l 1",
             "RPOP l 0", "LREM l 0 a", "LTRIM l 0 1", "LPOS l a", "LPOS l a COUNT 0", "LINSERT l BEFORE a b",
             "EXISTS l"),
    scenario("PUSHX only adds to what is there", "LPUSHX l a", "RPUSHX l a", "EXISTS l", "RPUSH l a", "LPUSHX l b c",
             "RPUSHX l d e", "LRANGE l 0 -1"),
    scenario("an empty list is no key", "RPUSH l a", "LPOP l", "EXISTS l", "TYPE l", "RPUSH l a b", "RPOP l 2",
             "EXISTS l", "RPUSH l a", "LREM l 0 a", "EXISTS l", "RPUSH l a", "LTRIM l 5 1", "EXISTS l", "LPUSHX l a"),
    scenario("a list that becomes empty loses its time to live", "RPUSH l a", "EXPIRE l 100", "LPOP l", "RPUSH l a",
             "TTL l"),
    scenario("changes keep the time to live", "RPUSH l a b c", "EXPIRE l 100", "LPOP l", "RPUSH l d", "LSET l 0 x",
             "LINSERT l AFTER x y", "LREM l 1 y", "LTRIM l 0 1", "LMOVE l l LEFT RIGHT", near("TTL l")),
    scenario("an expired list is gone", "RPUSH l a", "PEXPIRE l 30", becomes("EXISTS l", b":0\r\n"), "LLEN l",
             "LRANGE l 0 -1", "RPUSHX l b", "RPUSH l c", "LRANGE l 0 -1", "TTL l"),
    scenario("the number of words is checked", "LPUSH l", "RPUSH", "LPUSHX l", "RPUSHX l", "LLEN", "LLEN l l", "LPOP",
             "LPOP l 1 2", "lpop l 1 2", "RPOP l 1 2", "LRANGE l 0", "LRANGE l 0 1 2", "LINDEX l", "LSET l 0",
             "LTRIM l 0", "LREM l 0", "LINSERT l BEFORE a", "LPOS l", "LMOVE l l LEFT", "RPOPLPUSH l", "LMPOP 1 l",
             "BLPOP l", "BRPOP l", "BLMOVE l l LEFT LEFT", "BRPOPLPUSH l l", "BLMPOP 0 1 l"),
    scenario("a key of another type", "SET s x", "RPUSH l a", *(
        line.format("s") for line in (
            "LPUSH {} a", "RPUSH {} a", "LPUSHX {} a", "RPUSHX {} a", "LLEN {}", "LPOP {}", "RPOP {}", "LPOP {} 0",
            "LRANGE {} 0 -1", "LINDEX {} 0", "LSET {} 0 a", "LTRIM {} 0 1", "LREM {} 0 a", "LINSERT {} AFTER a b",
            "LPOS {} a", "LMOVE {} l LEFT LEFT", "LMOVE l {} LEFT LEFT", "RPOPLPUSH {} l", "RPOPLPUSH l {}",
            "LMPOP 1 {} LEFT", "LMPOP 2 nosuch {} LEFT", "BLPOP {} 0", "BLPOP nosuch {} 0", "BLMOVE {} l LEFT LEFT 0",
            "BLMOVE l {} LEFT LEFT 0", "BRPOPLPUSH {} l 0", "BRPOPLPUSH l {} 0", "BLMPOP 0 1 {} LEFT",
            "GET l", "APPEND l x", "INCR l", "SETRANGE l 0 x", "STRLEN l")),
             "LRANGE l 0 -1", "GET s"),
    scenario("SET overwrites a list", "RPUSH l a b", "SET l x", "GET l", "DEL l", "RPUSH l c", "LRANGE l 0 -1"),
    scenario("a list that was deleted begins anew", "RPUSH l a b", "DEL l", "LPUSH l c", "LRANGE l 0 -1", "UNLINK l",
             "EXISTS l"),
    scenario("a list has another name", "RPUSH l a b", "LINSERT l BEFORE b x", "RENAME l m", "LRANGE m 0 -1",
             "RPUSH m c", "LPOP m", "LRANGE m 0 -1", "EXISTS l", "RENAME m m", "LLEN m"),
    scenario("lists of two databases", "RPUSH l a", "SELECT 1", "RPUSH l b", "LRANGE l 0 -1", "SELECT 0",
             "MOVE l 1", "LRANGE l 0 -1", "SELECT 1", "FLUSHDB", "LLEN l", "SELECT 0", "LLEN l"),
)  # fmt: skip
def test_push_and_keys(play: Play, case: Scenario) -> None:
    play(case)


@scenarios(
    scenario("POP takes one or several", "RPUSH l a b c d e f", "LPOP l", "RPOP l", "LPOP l 2", "RPOP l 1", "LPOP l 10",
             "LPOP l 1"),
    scenario("POP of none", "RPUSH l a", "LPOP l 0", "RPOP l 0", "LPOP nosuch 0", "LLEN l"),
    scenario("the count of POP", "RPUSH l a b", "LPOP l abc", "LPOP l -1", "LPOP l 1.0", 'RPOP l ""', f"LPOP l {OVER}",
             "LPOP nosuch -1", "LPOP nosuch abc", "SET s x", "LPOP s -1", "LPOP s 1", "LPOP s 0", "LPOP s 1 2",
             f"RPOP l {MAX}", "EXISTS l"),
    scenario("POP and PUSH take turns", "RPUSH l a b", "LPOP l", "LPUSH l c", "LPOP l", "LPOP l", "LPOP l", "RPUSH l d",
             "RPOP l", "RPOP l", "LPUSH l e", "RPUSH l f", "LRANGE l 0 -1"),
    scenario("MOVE of all four kinds", "RPUSH a 1 2 3 4", "RPUSH b x y", "LMOVE a b LEFT LEFT", "LMOVE a b LEFT RIGHT",
             "LMOVE a b RIGHT LEFT", "lmove a b right right", "LRANGE a 0 -1", "LRANGE b 0 -1", "EXISTS a",
             "LMOVE a b LEFT LEFT", "LMOVE b new LEFT LEFT", "LRANGE new 0 -1"),
    scenario("MOVE within a list", "RPUSH l 1 2 3", "LMOVE l l LEFT RIGHT", "LRANGE l 0 -1", "LMOVE l l RIGHT LEFT",
             "LMOVE l l LEFT LEFT", "LMOVE l l RIGHT RIGHT", "RPOPLPUSH l l", "LRANGE l 0 -1", "LINSERT l AFTER 3 x",
             "RPOPLPUSH l l", "LMOVE l l LEFT RIGHT", "LRANGE l 0 -1"),
    scenario("MOVE of the only item within a list", "RPUSH l 1", "EXPIRE l 100", "RPOPLPUSH l l", "LRANGE l 0 -1",
             near("TTL l"), "LMOVE l l LEFT LEFT", "LLEN l"),
    scenario("errors of MOVE in their order", "SET s x", "RPUSH l a", "LMOVE s l FOO LEFT", "LMOVE s l LEFT FOO",
             "LMOVE nosuch l LEFT FOO", "LMOVE nosuch s LEFT LEFT", "LMOVE s nosuch LEFT LEFT", "RPOPLPUSH nosuch s",
             "RPOPLPUSH s s", "RPOPLPUSH s nosuch", "LMOVE l s LEFT LEFT", "LRANGE l 0 -1"),
    scenario("RPOPLPUSH", "RPUSH a 1 2", "RPOPLPUSH a b", "RPOPLPUSH a b", "RPOPLPUSH a b", "LRANGE b 0 -1"),
    scenario("LMPOP takes from the first list that is there", "LMPOP 2 a b LEFT", "RPUSH b 1 2 3 4", "LMPOP 2 a b LEFT",
             "LMPOP 2 a b RIGHT COUNT 2", "RPUSH a x", "LMPOP 2 a b left count 9", "LMPOP 2 a b LEFT COUNT 9",
             "EXISTS a b", "RPUSH a 1", "LMPOP 3 a a a LEFT", "LMPOP 1 a LEFT"),
    scenario("arguments of LMPOP", "RPUSH l a b", "LMPOP abc l LEFT", "LMPOP 0 l LEFT", "LMPOP -1 l LEFT",
             "LMPOP 1.0 l LEFT", "LMPOP 2 l LEFT", "LMPOP 3 l LEFT", f"LMPOP {MAX} l LEFT", f"LMPOP {OVER} l LEFT",
             "LMPOP 1 l FOO", "LMPOP 1 l l LEFT", "LMPOP 1 l LEFT COUNT", "LMPOP 1 l LEFT COUNT 0",
             "LMPOP 1 l LEFT COUNT -1", "LMPOP 1 l LEFT COUNT abc", "LMPOP 1 l LEFT COUNT 1 COUNT 1",
             "LMPOP 1 l LEFT FOO 1", "LMPOP 1 l LEFT COUNT 1 FOO", "LMPOP 1 l COUNT 1 LEFT",
             f"LMPOP 1 l LEFT COUNT {OVER}",
             "SET s x", "LMPOP 1 s FOO", "LMPOP 1 s LEFT COUNT 0", "LMPOP 2 s l LEFT", "LMPOP 2 l s LEFT",
             f"LMPOP 1 l LEFT COUNT {MAX}"),
)  # fmt: skip
def test_ends(play: Play, case: Scenario) -> None:
    play(case)


@scenarios(
    scenario("BPOP takes what is there", "RPUSH a 1 2 3", "BLPOP a 0", "BRPOP nosuch a 0", "BLPOP a b 0.5", "EXISTS a",
             "RPUSH a 1", "RPUSH b 2", "BRPOP b a 0", "BRPOP b a 0"),
    scenario("BLMOVE moves what is there", "RPUSH a 1 2 3", "BLMOVE a b LEFT RIGHT 0", "BLMOVE a b RIGHT LEFT 0",
             "BRPOPLPUSH a b 0", "LRANGE b 0 -1", "BLMOVE b b LEFT RIGHT 0", "LRANGE b 0 -1"),
    scenario("BLMPOP takes what is there", "RPUSH a 1 2 3", "BLMPOP 0 2 nosuch a LEFT", "BLMPOP 1 1 a right count 5",
             "EXISTS a"),
    scenario("nobody waits in a transaction", "MULTI", "BLPOP a 0", "BRPOP a b 0", "BLMOVE a b LEFT LEFT 0",
             "BRPOPLPUSH a b 0", "BLMPOP 0 1 a LEFT", "RPUSH a 1 2", "BLPOP a 0", "BLMOVE a b LEFT LEFT 0", "BLPOP a 0",
             "BLPOP b 0", "EXEC"),
    scenario("the time is judged first", "SET s x", "RPUSH l a", "BLPOP s abc", "BLPOP s nosuch -1", "BRPOP l -0.5",
             "BLPOP l 99999999999999999999", "BLPOP l inf", 'BLPOP l ""', "BRPOP l nan", "BLMOVE s l LEFT FOO abc",
             "BLMOVE s l LEFT LEFT abc", "BLMOVE l s LEFT LEFT -1", "BRPOPLPUSH nosuch s abc", "BRPOPLPUSH s nosuch -1",
             "LRANGE l 0 -1", oracle="redis74"),
    scenario("the time of BLMPOP is judged last", "RPUSH l a", "SET s x", "BLMPOP abc 0 l LEFT", "BLMPOP abc 1 l FOO",
             "BLMPOP abc 1 l LEFT COUNT 0", "BLMPOP abc 1 l LEFT", "BLMPOP -1 1 s LEFT", "BLMPOP 0 1 s LEFT",
             "BLMPOP 0 abc l LEFT", "BLMPOP 0 5 l LEFT", "BLMPOP 0 1 l LEFT COUNT", "BLMPOP 0 1 l LEFT COUNT 1 COUNT 1",
             "LLEN l"),
)  # fmt: skip
def test_blocking_commands_that_need_not_wait(play: Play, case: Scenario) -> None:
    play(case)


@scenarios(
    scenario("LRANGE with indexes of all kinds", "RPUSH l a b c d e", *(
        f"LRANGE l {start} {stop}" for start in (0, 1, 4, 5, -1, -2, -5, -9, MIN, MAX)
        for stop in (0, 2, 4, 9, -1, -3, -6, MIN, MAX))),
    scenario("LRANGE in a list with gaps", "RPUSH l a b c d e f g", "LREM l 1 c", "LINSERT l AFTER e x",
             "LINSERT l BEFORE b y", "LRANGE l 0 -1", "LRANGE l 2 4", "LRANGE l -3 -2", "LRANGE l 0 0", "LRANGE l 7 9"),
    scenario("LRANGE judges the indexes first", "SET s x", "LRANGE s a 1", "LRANGE s 1 a", "LRANGE nosuch a 1",
             f"LRANGE s 0 {OVER}", "LRANGE s 0 1.0", "LRANGE s 0 1"),
    scenario("LINDEX", "RPUSH l a b c", "LINDEX l 0", "LINDEX l 2", "LINDEX l 3", "LINDEX l -1", "LINDEX l -3",
             "LINDEX l -4", f"LINDEX l {MAX}", f"LINDEX l {MIN}", "LINDEX l abc", "LINDEX nosuch abc", "SET s x",
             "LINDEX s abc", f"LINDEX l {OVER}"),
    scenario("LSET", "RPUSH l a b c", "LSET l 0 x", "LSET l -1 z", "LSET l 1 y", "LSET l 3 n", "LSET l -4 n",
             "LSET l abc n", "LSET nosuch abc n", "LSET nosuch 0 n", "LRANGE l 0 -1", "SET s x", "LSET s abc n",
             "LSET l 0 1", "LSET l 0 2", "LPOP l", "LRANGE l 0 -1"),
    scenario("the least integer is no count", "RPUSH l a b", f"LREM l {MIN} a", f"LREM l {MIN + 1} a",
             f"LREM nosuch {MIN} a", "SET s x", f"LREM s {MIN} a", f"LREM l {MIN - 1} a", oracle="redis74"),
    scenario("LSET far beyond the end", "RPUSH l a b c", "LSET l 2147483647 x", "LRANGE l 0 -1",
             deviates("LSET l 4294967296 x", "lset-index", b"-ERR index out of range"), oracle="redis74"),
    scenario("LSET in a list with gaps", "RPUSH l a b c d", "LREM l 1 b", "LSET l 1 x", "LSET l -1 y", "LRANGE l 0 -1"),
    *(scenario(f"LTRIM {start} {stop}", "RPUSH l a b c d e", f"LTRIM l {start} {stop}", "LRANGE l 0 -1", "RPUSH l f",
               "LPUSH l g", "LRANGE l 0 -1")
      for start, stop in ((0, -1), (1, -2), (0, 0), (-1, -1), (2, 1), (5, 9), (0, 100), (-100, 1), (1, 1), (-2, 9),
                          (MIN, MAX), (MAX, MIN))),
    scenario("LTRIM of a list with gaps", "RPUSH l a b c d e f", "LINSERT l AFTER b x", "LREM l 1 d", "LTRIM l 1 -2",
             "LRANGE l 0 -1", "LPUSH l y", "LRANGE l 0 -1"),
    scenario("LTRIM judges the indexes first", "SET s x", "LTRIM s a 1", "LTRIM s 1 a", "LTRIM nosuch a 1",
             "LTRIM s 0 1", "LTRIM nosuch 0 1"),
    scenario("a list of limited length", *(
        line for number in range(8) for line in (f"LPUSH l {number}", "LTRIM l 0 4")), "LRANGE l 0 -1",
             "LINSERT l AFTER 5 x", *(
        line for number in range(8) for line in (f"LPUSH l {number}", "LTRIM l 0 4")), "LRANGE l 0 -1"),
)  # fmt: skip
def test_indexes(play: Play, case: Scenario) -> None:
    play(case)


@scenarios(
    scenario("LREM from the left, from the right, all", "RPUSH l a b a c a d a", "LREM l 1 a", "LRANGE l 0 -1",
             "LREM l -1 a", "LRANGE l 0 -1", "LREM l 0 a", "LRANGE l 0 -1", "LREM l 5 a", "LREM l -5 d", "LREM l 9 b",
             "LRANGE l 0 -1", "RPUSH l x", "LPUSH l y", "LRANGE l 0 -1"),
    scenario("LREM of several", "RPUSH l a a b a a b a a", "LREM l 3 a", "LRANGE l 0 -1", "LREM l -2 a",
             "LRANGE l 0 -1", "LREM l 0 b", "LRANGE l 0 -1", "LREM l 0 a", "EXISTS l"),
    scenario("the count of LREM", "RPUSH l a b a", "SET s x", "LREM s abc a", "LREM nosuch abc a", "LREM l abc a",
             f"LREM l {OVER} a", f"LREM l {MAX} a", "RPUSH l a a", f"LREM l {-MAX} a", "LRANGE l 0 -1"),
    scenario("LINSERT", "RPUSH l a b c", "LINSERT l BEFORE a 1", "LINSERT l AFTER c 2", "linsert l before b 3",
             "LINSERT l after b 4", "LRANGE l 0 -1", "LINSERT l BEFORE nosuch x", "LINSERT nosuch BEFORE a x",
             "LINSERT l FOO a x", "LINSERT nosuch FOO a x", "SET s x", "LINSERT s FOO a x", "LINSERT s BEFORE a x"),
    scenario("LINSERT goes by the first of several", "RPUSH l a b a", "LINSERT l AFTER a x", "LINSERT l BEFORE a y",
             "LRANGE l 0 -1", "LPOP l", "LPOP l", "LPOP l", "LPOP l", "LPOP l"),
    scenario("LINSERT at one spot again and again", "RPUSH l a b", *(
        f"LINSERT l {where} {number} {where}{number}" if number in "ab" else f"LINSERT l AFTER a {number}"
        for number in ["a", "b", *map(str, range(40))] for where in ("BEFORE", "AFTER")), "LRANGE l 0 -1", "LPOP l",
             "RPOP l", "LINDEX l 20", "LINDEX l -20", "LPOS l 7"),
    scenario("LPOS", "RPUSH l a b c 1 2 3 c c", "LPOS l c", "LPOS l nosuch", "LPOS l c RANK 2", "LPOS l c RANK -1",
             "LPOS l c RANK -2", "LPOS l c RANK 4", "LPOS l c COUNT 2", "LPOS l c COUNT 0", "LPOS l c COUNT 9",
             "LPOS l c RANK 2 COUNT 0", "LPOS l c RANK -1 COUNT 2", "LPOS l c COUNT 0 RANK -2", "LPOS l c MAXLEN 3",
             "LPOS l c MAXLEN 2", "LPOS l a RANK -1 MAXLEN 7", "LPOS l a RANK -1 MAXLEN 8", "LPOS l c COUNT 0 MAXLEN 7",
             "lpos l c rank -1 count 0 maxlen 1", "LPOS l nosuch COUNT 0", "LPOS l c MAXLEN 0", "LPOS l 1",
             "LPOS l c RANK 1 RANK 3", f"LPOS l c RANK {MAX}", f"LPOS l c RANK {-MAX}", f"LPOS l c COUNT {MAX}",
             f"LPOS l c MAXLEN {MAX}"),
    scenario("arguments of LPOS", "RPUSH l a", "SET s x", "LPOS s a RANK 0", "LPOS l a RANK 0", f"LPOS l a RANK {MIN}",
             "LPOS l a RANK abc", "LPOS l a COUNT -1", "LPOS l a COUNT abc", "LPOS l a MAXLEN -1",
             "LPOS l a MAXLEN abc",
             "LPOS l a FOO 1", "LPOS l a RANK", "LPOS l a RANK 1 COUNT", "LPOS nosuch a RANK 0", "LPOS nosuch a FOO",
             "LPOS s a COUNT 0", f"LPOS l a RANK {OVER}", f"LPOS l a COUNT {OVER}", f"LPOS l a MAXLEN {OVER}",
             "LPOS l a COUNT -1 RANK 0", "LPOS l a RANK 0 FOO 1", oracle="redis74"),
)  # fmt: skip
def test_values(play: Play, case: Scenario) -> None:
    play(case)


@scenarios(
    scenario("items as long as a row may be, and longer", ("RPUSH", "l", SHORT, "x", LONG, "y", LONGER),
             "LRANGE l 0 -1", "LINDEX l 0", "LINDEX l 2", "LINDEX l -1", "LLEN l"),
    scenario("long items are popped and moved", ("RPUSH", "l", LONG, "x", LONGER, LONG), "LPOP l",
             "LMOVE l m RIGHT LEFT",
             "LRANGE m 0 -1", "RPOPLPUSH l l", "LRANGE l 0 -1", "LMPOP 1 l LEFT COUNT 5", "BLPOP m 0", "EXISTS l m"),
    scenario("long items are found, removed, replaced", ("RPUSH", "l", "a", LONG, "b", LONGER, LONG, ""),
             ("LPOS", "l", LONG), ("LPOS", "l", LONG, "RANK", -1), ("LPOS", "l", LONG, "COUNT", 0),
             ("LPOS", "l", LONG + b"x"), ("LPOS", "l", ""), ("LINSERT", "l", "AFTER", LONG, LONGER), "LLEN l",
             ("LREM", "l", 1, LONG), "LLEN l", ("LREM", "l", 0, LONGER), "LRANGE l 0 -1", ("LSET", "l", 0, LONGER),
             "LSET l 0 short", ("LSET", "l", 1, LONGER), ("LSET", "l", 1, LONG), "LRANGE l 0 -1"),
    scenario("long items are trimmed and renamed", ("RPUSH", "l", LONG, "a", LONGER, "b", LONG), "LTRIM l 1 -2",
             "RENAME l m", "LRANGE m 0 -1", "LTRIM m 0 0", "LRANGE m 0 -1"),
    scenario("thousands of items", numbered("RPUSH", "l", 5000), "LLEN l", "LRANGE l 0 -1", "LRANGE l 2500 2600",
             "LRANGE l -4999 -4990", "LINDEX l 2500", "LINDEX l -2500", "LPOS l 4321", "LPOS l 4321 RANK -1 MAXLEN 700",
             "LPOP l 1500", "RPOP l 1500", "LRANGE l 0 -1", "LTRIM l 300 -300", "LLEN l", "LINDEX l 0", "LINDEX l -1"),
    scenario("thousands of items with gaps", numbered("RPUSH", "l", 5000), "LREM l 1 2500", "LINSERT l BEFORE 4000 x",
             "LINSERT l AFTER 700 y", "LLEN l", "LRANGE l 0 -1", "LINDEX l 2500", "LINDEX l -2500",
             "LRANGE l 2490 2510",
             "LSET l 2500 z", "LRANGE l 2498 2502", "LPOS l 4321", "LPOS l 4321 RANK -1", "LPOP l 1500", "RPOP l 1500",
             "LTRIM l 300 -300", "LRANGE l 0 -1", "LPUSH l a", "RPUSH l b", "LTRIM l 1200 1201", "LRANGE l 0 -1"),
    scenario("few are kept of thousands", numbered("RPUSH", "l", 5000), "LTRIM l 2000 2004", "LRANGE l 0 -1",
             "LPUSH l a",
             "RPUSH l b", "LTRIM l 1 5", "LRANGE l 0 -1", "LREM l 1 2002", "LRANGE l 0 -1"),
    scenario("many of thousands are removed", ("RPUSH", "l", *("a" if n % 7 else "b" for n in range(4000))),
             "LREM l 1000 a", "LLEN l", "LREM l -1000 a", "LLEN l", "LRANGE l 0 -1", "LREM l 0 a", "LRANGE l 0 -1",
             "LPOS l b RANK -1", "LREM l 0 b", "EXISTS l"),
)  # fmt: skip
def test_long_items_and_long_lists(play: Play, case: Scenario) -> None:
    play(case)


@scenarios(
    scenario("a transaction sees what it has done", "MULTI", "RPUSH l a b c", "LRANGE l 0 -1", "LINSERT l AFTER a x",
             "LRANGE l 0 -1", "LREM l 0 b", "LPOP l", "LRANGE l 0 -1", "LSET l 0 y", "LTRIM l 0 0", "LRANGE l 0 -1",
             "RPOP l", "EXISTS l", "EXEC", "EXISTS l"),
    scenario("an error in a transaction changes nothing else", "SET s x", "MULTI", "RPUSH l a", "LPUSH s a",
             "RPUSH l b",
             "LMOVE l s LEFT LEFT", "EXEC", "LRANGE l 0 -1"),
    scenario("a watched list", "RPUSH l a", "WATCH l", "LPOP l", "MULTI", "RPUSH l b", "EXEC", "EXISTS l", "RPUSH l a",
             "WATCH l", "LTRIM l 0 -1", "MULTI", "LLEN l", "EXEC", "WATCH l", "LREM l 0 nosuch", "MULTI", "LLEN l",
             "EXEC", "WATCH l", "LSET l 0 a", "MULTI", "LLEN l", "EXEC", "WATCH l", "LRANGE l 0 -1", "LPUSHX nosuch a",
             "MULTI", "LLEN l", "EXEC"),
    scenario("lists in all states within one pipeline", "RPUSH l a b c d", "LPOP l", "LPUSH l e f",
             "LINSERT l AFTER e g",
             "RPOP l", "RPUSH l h", "LMOVE l m LEFT RIGHT", "LRANGE l 0 -1", "LRANGE m 0 -1", "DEL l", "RPUSH l z",
             "LRANGE l 0 -1", "LMOVE m l LEFT LEFT", "LRANGE l 0 -1", "RENAME l m", "LPOP m", "LRANGE m 0 -1"),
)  # fmt: skip
def test_transactions(play: Play, case: Scenario) -> None:
    play(case)


def test_pipeline_of_thousands_of_pushes_and_pops(client: RawClient) -> None:
    pushes = [("RPUSH", "l", b"%d" % number) for number in range(3000)]
    assert client.pipeline(pushes) == [b":%d\r\n" % number for number in range(1, 3001)]
    pops = [("LPOP" if number % 2 else "RPOP", "l") for number in range(3001)]
    replies = client.pipeline(pops)
    assert replies[:4] == [b"$4\r\n2999\r\n", b"$1\r\n0\r\n", b"$4\r\n2998\r\n", b"$1\r\n1\r\n"]
    assert replies[-1] == client.call("LPOP", "l")
    assert client.call("EXISTS", "l") == b":0\r\n"


@pytest.mark.parametrize("where", ["BEFORE", "AFTER"])
def test_thousands_of_insertions_at_one_spot(client: RawClient, where: str) -> None:
    client.call("RPUSH", "l", *range(10), "pivot", *range(10, 20))
    count = INSERTIONS
    replies = client.pipeline([("LINSERT", "l", where, "pivot", b"x%d" % number) for number in range(count)])
    assert replies == [b":%d\r\n" % (22 + number) for number in range(count)]
    middle = [b"x%d" % number for number in range(count)]
    expected = [
        *(b"%d" % number for number in range(10)),
        *([*middle, b"pivot"] if where == "BEFORE" else [b"pivot", *reversed(middle)]),
        *(b"%d" % number for number in range(10, 20)),
    ]
    bulks = b"".join(b"$%d\r\n%b\r\n" % (len(value), value) for value in expected)
    assert client.call("LRANGE", "l", 0, -1) == b"*%d\r\n%b" % (len(expected), bulks)
