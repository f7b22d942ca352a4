"""Strings, compared with redis-server."""

import pytest

from tests.commands.conftest import Play
from tests.commands.scenarios import Scenario, becomes, near, scenario, scenarios
from tests.services.raw_client import RawClient

KIB = 1024
INLINE = 8 * KIB
CHUNK = 64 * KIB
LONG_NAME = b"\x00\xff key of 100 KB \r\n" * 6000
MAX = 2**63 - 1
MIN = -(2**63)
OVER = 2**63
NULL_2_OR_3 = {2: b"$-1\r\n", 3: b"_\r\n"}


def filled(size: int) -> bytes:
    """Bytes that differ everywhere, so that a shifted chunk shows."""
    return b"".join(b"%08x" % n for n in range(size // 8 + 1))[:size]


@scenarios(
    scenario("a value is given back", "SET a 1", "GET a", "GET b"),
    scenario("a value is replaced", "SET a 1", "SET a two", "GET a", "SET a \"\"", "GET a", "EXISTS a"),
    scenario("the empty name is a name", 'SET "" empty', 'GET ""', 'EXISTS ""', 'APPEND "" x', 'DEL ""', 'GET ""'),
    scenario("names and values hold any bytes", r'SET "a\x00b" "v\x00\r\n\xff"', r'GET "a\x00b"', "GET a",
             r'GET "a\x00"'),
    scenario("names differ in case and trailing bytes", "SET a 1", "SET A 2", 'SET "a " 3', r'SET "a\x00" 4',
             "MGET a A", 'MGET "a " "a\\x00"'),
    scenario("a name may have 100 KB", ("SET", LONG_NAME, "v"), ("GET", LONG_NAME), ("GET", LONG_NAME[:-1]),
             ("EXISTS", LONG_NAME, LONG_NAME[1:]), "KEYS *", ("DEL", LONG_NAME)),
    scenario("the number of words is checked", "SET", "SET a", "GET", "GET a b", "SETNX a", "SETNX a b c", "GETSET a",
             "STRLEN", "STRLEN a b", "GETDEL", "GETDEL a b", "GETEX", "MGET"),
    scenario("command names are read in any case", "sEt a 1", "gEt a", "GeTsEt a 2"),
)
def test_set_and_get(play: Play, case: Scenario) -> None:
    play(case)


@scenarios(
    scenario("NX sets an absent key only", "SET a 1 NX", "SET a 2 NX", "GET a"),
    scenario("XX sets a present key only", "SET a 1 XX", "GET a", "SET a 1", "SET a 2 XX", "GET a"),
    scenario("GET gives the old value", "SET a 1 GET", "SET a 2 GET", "GET a"),
    scenario("GET with NX gives what was there", "SET a 1 NX GET", "SET a 2 NX GET", "GET a"),
    scenario("GET with XX gives what was there", "SET a 1 XX GET", "EXISTS a", "SET a 1", "SET a 2 XX GET", "GET a"),
    scenario("SET forgets the time to live", "SET a 1 EX 100", "SET a 2", "TTL a"),
    scenario("KEEPTTL keeps the time to live", "SET a 1 EX 100", "SET a 2 KEEPTTL", near("TTL a"), "GET a",
             "SET b 1 KEEPTTL", "TTL b"),
    scenario("KEEPTTL with NX, XX and GET", "SET a 1 EX 100", "SET a 2 KEEPTTL XX GET", near("TTL a"),
             "SET a 3 NX KEEPTTL", near("TTL a"), "GET a"),
    scenario("EX and PX are relative", "SET a 1 EX 100", near("TTL a"), "SET a 1 PX 100000", near("PTTL a", 1000),
             "SET b 1 px 100000 nx", near("TTL b")),
    scenario("EXAT and PXAT are absolute", "SET a 1 EXAT 33177117420", "EXPIRETIME a", "SET a 1 PXAT 33177117420123",
             "PEXPIRETIME a", "EXPIRETIME a"),
    scenario("a time in the past deletes", "SET a 1", "SET a 2 EXAT 1", "GET a", "EXISTS a", "SET a 2 PXAT 1", "GET a",
             "SET b 1", "SET b 2 PXAT 1 XX GET", "GET b", "SET b 2 EXAT 1 NX", "GET b"),
    scenario("a failed condition does not look at the time in the past", "SET a 1", "SET a 2 NX PXAT 1", "GET a"),
    scenario("options come in any order and may be repeated", "SET a 1 GET GET NX NX EX 10 EX 100", near("TTL a"),
             "SET a 2 KEEPTTL KEEPTTL", near("TTL a"), "SET a 3 PX 100000 XX PX 200000", near("TTL a")),
    scenario("options that contradict each other are refused", "SET a 1 NX XX", "SET a 1 XX NX", "SET a 1 EX 10 PX 10",
             "SET a 1 EX 10 KEEPTTL", "SET a 1 KEEPTTL EXAT 10", "SET a 1 EXAT 10 PXAT 10", "SET a 1 PX 1 EX 1",
             "EXISTS a"),
    scenario("unknown and incomplete options are refused", "SET a 1 FOO", "SET a 1 EX", "SET a 1 PX", "SET a 1 NX EXAT",
             "SET a 1 PERSIST", 'SET a 1 ""', "SET a 1 2", "SET a 1 EX 10 FOO", "EXISTS a"),
    scenario("times must be positive integers in range", "SET a 1 EX 0", "SET a 1 EX -1", "SET a 1 PX 0",
             "SET a 1 EX abc", "SET a 1 EX 1.5", 'SET a 1 EX ""', "SET a 1 EXAT 0", "SET a 1 PXAT -5",
             f"SET a 1 EX {MAX}", f"SET a 1 PX {MAX}", f"SET a 1 EX {MAX // 1000}", f"SET a 1 EX {OVER}",
             f"SET a 1 EXAT {MAX // 1000 + 1}", "SET a 1 EX 9223372036854775", "SET a 1 EX +10", "SET a 1 EX 010",
             "EXISTS a"),
    scenario("the latest times are taken", f"SET a 1 EXAT {MAX // 1000}", "EXPIRETIME a", f"SET a 1 PXAT {MAX}",
             "PEXPIRETIME a", "SET a 1 EX 1000000000000", near("TTL a")),
    scenario("a refused SET leaves everything as it is", "SET a 1 EX 100", "SET a 2 EX 0", "SET a 2 NX XX", "GET a",
             near("TTL a")),
    scenario("a key is gone when its time is over", "SET a 1 PX 30", becomes("EXISTS a", b":0\r\n"), "GET a", "TTL a",
             "SET a 2 XX", "SET a 3 NX", "GET a", "TTL a"),
    scenario("the old value of an expired key is none", "SET a 1 PX 30", becomes("EXISTS a", b":0\r\n"), "SET a 2 GET",
             "SET a 3 PX 20", becomes("EXISTS a", b":0\r\n"), "APPEND a 4", "TTL a", "SET a 5 PX 20",
             becomes("EXISTS a", b":0\r\n"), "INCR a", "SETNX a 1"),
    scenario("WRONGTYPE with GET only", "RPUSH a 1", "GET a", "SET a 1 GET", "SET a 1 NX GET", "SET a 1 NX",
             "SET a 1 XX", "GET a"),
)
def test_options_of_set(play: Play, case: Scenario) -> None:
    play(case)


@scenarios(
    scenario("SETNX sets an absent key only", "SETNX a 1", "SETNX a 2", "GET a", "TTL a"),
    scenario("SETEX and PSETEX set value and time", "SETEX a 100 1", near("TTL a"), "PSETEX a 200000 2", near("TTL a"),
             "GET a"),
    scenario("SETEX and PSETEX check the time", "SETEX a 0 1", "SETEX a -1 1", "SETEX a abc 1", f"SETEX a {MAX} 1",
             "PSETEX a 0 1", "PSETEX a -10 1", "PSETEX a 1.0 1", f"PSETEX a {MAX} 1", f"SETEX a {MAX // 1000} 1",
             f"PSETEX a {OVER} 1", "setex a 0 1", "SETEX a 10", "SETEX a 10 1 2", "PSETEX a 10", "EXISTS a"),
    scenario("GETSET gives the old value and forgets the time", "GETSET a 1", "GETSET a 2", "EXPIRE a 100",
             "GETSET a 3", "TTL a", "GET a"),
    scenario("GETDEL gives the value and deletes", "GETDEL a", "SET a 1 EX 100", "GETDEL a", "GET a", "SET a 2",
             "TTL a"),
    scenario("GETDEL of a long value", ("SET", "a", filled(100_000)), "GETDEL a", "EXISTS a"),
    scenario("GETEX without options only reads", "GETEX a", "SET a 1 EX 100", "GETEX a", near("TTL a")),
    scenario("GETEX sets and removes the time", "SET a 1", "GETEX a EX 100", near("TTL a"), "GETEX a PX 200000",
             near("TTL a"), "GETEX a EXAT 33177117420", "EXPIRETIME a", "GETEX a PXAT 33177117420123", "PEXPIRETIME a",
             "GETEX a PERSIST", "TTL a", "GETEX a persist", "GETEX a ex 5 ex 100", near("TTL a")),
    scenario("GETEX with a past time deletes", "SET a 1", "GETEX a PXAT 1", "EXISTS a", "SET a 1", "GETEX a EXAT 1",
             "GET a"),
    scenario("GETEX checks its options before it looks", "GETEX a EX", "GETEX a FOO", "GETEX a EX 10 PERSIST",
             "GETEX a EX 10 PX 10", "GETEX a KEEPTTL", "GETEX a NX", "GETEX a GET", "GETEX a PERSIST EXAT 1",
             "GETEX a PERSIST PERSIST"),
    scenario("GETEX checks the time after it has looked", "GETEX a EX 0", "GETEX a EX abc", "SET a 1", "GETEX a EX 0",
             "GETEX a EX abc", "GETEX a PX -1", f"GETEX a EX {MAX}", f"GETEX a PX {MAX}", "TTL a"),
    scenario("wrong types are refused", "RPUSH a 1", "GETSET a 1", "GETDEL a", "GETEX a", "GETEX a EX 0", "SETNX a 1",
             "STRLEN a", "TYPE a", "SETEX a 100 1", "GET a"),
    scenario("STRLEN counts bytes", "STRLEN a", "SET a abc", "STRLEN a", 'SET a ""', "STRLEN a", "SET a 12345",
             "STRLEN a", r'SET a "\xc3\xa4\x00"', "STRLEN a"),
)
def test_variants_of_set_and_get(play: Play, case: Scenario) -> None:
    play(case)


@scenarios(
    scenario("MGET gives null for what is no string", "SET a 1", 'SET b ""', "MGET a b c a", "RPUSH c 1", "MGET a b c"),
    scenario("MSET sets all", "MSET a 1 b 2", "MGET a b", "MSET a 3", "GET a", "SET a 1 EX 100", "MSET a 2 b 3",
             "TTL a"),
    scenario("the last value of a name that comes twice counts", "MSET a 1 b 2 a 3", "MGET a b", "MSETNX c 1 c 2",
             "GET c"),
    scenario("MSETNX sets all or none", "MSETNX a 1 b 2", "MSETNX b 3 c 4", "MGET a b c", "MSETNX c 5 d 6", "MGET c d"),
    scenario("an odd number of arguments is refused", "MSET a", "MSET a 1 b", "MSETNX a 1 b", "MSETNX a", "MSET",
             "EXISTS a"),
    scenario("MSET replaces any type", "RPUSH a 1", "MSET a 1", "GET a", "RPUSH b 1", "MSETNX b 1 c 1", "TYPE b"),
    scenario("MSET mixes short and long values", ("MSET", "a", filled(CHUNK + 1), "b", "2", "c", filled(INLINE)),
             "MGET a b c", ("MSET", "a", "1", "b", filled(INLINE + 1)), "MGET a b c", "DEL a b c"),
    scenario("many keys at once", ("MSET", *(word for n in range(1500) for word in (f"k{n}", n))),
             ("MGET", *(f"k{n}" for n in range(0, 1600, 3))), ("DEL", *(f"k{n}" for n in range(1500))), "DBSIZE"),
    scenario("MSET amid reads of the same keys", "GET a", "MSET a 1 b 2", "GET a", "INCR b", "MSET b 5", "INCR b",
             "MGET a b"),
)
def test_several_keys(play: Play, case: Scenario) -> None:
    play(case)


@scenarios(
    scenario("counting starts at nothing", "INCR a", "INCR a", "DECR b", "INCRBY c 5", "DECRBY d 5", "MGET a b c d"),
    scenario("the time to live stays", "SET a 1 EX 100", "INCR a", near("TTL a"), "INCRBYFLOAT a 1.5", near("TTL a")),
    scenario("negative steps", "INCRBY a -5", "DECRBY a -7", "DECR a", "GET a"),
    scenario("integers end at 64 bits", f"SET a {MAX}", "INCR a", "GET a", "DECR a", "INCRBY a 1", "INCRBY a 1",
             f"SET b {MIN}", "DECR b", "INCRBY b -1", "DECRBY b 1", "INCR b", "GET b", f"INCRBY c {MAX}",
             f"DECRBY d {MAX}", f"INCRBY e {MIN}", f"DECRBY f {MIN}", "EXISTS f", f"INCRBY c {MIN}", f"INCRBY c {MIN}"),
    scenario("values that are no integers", "SET a abc", "INCR a", 'SET a ""', "INCR a", 'SET a " 1"', "INCR a",
             'SET a "1 "', "DECR a", "SET a 01", "INCR a", "SET a +1", "INCR a", "SET a -0", "INCR a", "SET a 1.0",
             "INCR a", f"SET a {OVER}", "INCR a", f"SET a {MIN - 1}", "DECR a", "SET a 0x1", "INCR a",
             r'SET a "1\x00"', "INCR a", "SET a 1_0", "INCR a", "GET a"),
    scenario("a long value is no integer", ("SET", "a", b"1" * 21), "INCR a", ("SET", "a", b"0" * 10_000), "INCR a",
             "INCRBYFLOAT a 1", ("SET", "a", filled(100_000)), "DECRBY a 1", "INCRBYFLOAT a 1"),
    scenario("steps that are no integers", "INCRBY a abc", "INCRBY a 1.5", 'INCRBY a ""', f"INCRBY a {OVER}",
             f"DECRBY a {MIN - 1}", "INCRBY a +1", "DECRBY a 01", "EXISTS a"),
    scenario("the step is checked before the value", "SET a abc", "INCRBY a abc", "RPUSH b 1", "INCRBY b abc",
             "INCR b", "INCRBYFLOAT b abc", "DECRBY b 1"),
    scenario("the number of words is checked", "INCR", "INCR a 1", "DECR", "INCRBY a", "DECRBY a 1 2", "INCRBYFLOAT a"),
    scenario("decimal numbers", "INCRBYFLOAT a 0.1", "INCRBYFLOAT a 0.2", "GET a", "SET b 3", "INCRBYFLOAT b 1.5e3",
             "INCRBYFLOAT b -1503", "GET b", "INCR b", "SET c 5.0e3", "INCRBYFLOAT c 200", "INCRBYFLOAT c 0x10",
             "INCRBYFLOAT d 1e20", "INCR d", "INCRBYFLOAT e -0.0", "INCRBYFLOAT f 3.0000000000000000001",
             "INCRBYFLOAT g 1e-18", "GET g", "SET h 010", "INCRBYFLOAT h 1", "INCRBYFLOAT i .5", "INCRBYFLOAT i 5."),
    scenario("what is no decimal number", "INCRBYFLOAT a abc", "INCRBYFLOAT a nan", 'INCRBYFLOAT a ""',
             'INCRBYFLOAT a " 1"', 'INCRBYFLOAT a "1 "', "SET a foo", "INCRBYFLOAT a 1", 'SET a ""', "INCRBYFLOAT a 1",
             "INCRBYFLOAT a 1e5000", r'INCRBYFLOAT a "1\x00"', "SET a 1_0", "INCRBYFLOAT a 1"),
    scenario("infinity is refused", "INCRBYFLOAT a inf", "INCRBYFLOAT a -inf", "EXISTS a", "SET a inf",
             "INCRBYFLOAT a 1", "SET a 1e4932", "INCRBYFLOAT a 1e4932", "INCRBYFLOAT a +inf"),
    scenario("many digits", "INCRBYFLOAT a 1e300", "INCRBYFLOAT a -1e300", "INCRBYFLOAT a 123456789.123456789",
             "INCRBYFLOAT a 0.00000000000000001", "INCRBYFLOAT a 9999999999999999999"),
)
def test_numbers(play: Play, case: Scenario) -> None:
    play(case)


@scenarios(
    scenario("APPEND makes and lengthens", "APPEND a ab", "APPEND a cd", "GET a", 'APPEND a ""', 'APPEND b ""',
             "EXISTS b", "GET b", "APPEND b 1", "INCR b"),
    scenario("APPEND keeps the time to live", "SET a 1 EX 100", "APPEND a 2", near("TTL a")),
    scenario("SETRANGE writes within, across and behind the end", "SET a HelloWorld", "SETRANGE a 5 Redis", "GET a",
             "SETRANGE a 8 12345", "GET a", "SETRANGE a 15 x", "GET a", "SETRANGE b 0 abc", "GET b", "SETRANGE c 3 x",
             "GET c"),
    scenario("SETRANGE with nothing changes nothing", 'SETRANGE a 10 ""', "EXISTS a", "SET a abc", 'SETRANGE a 10 ""',
             "GET a", 'SETRANGE a 600000000 ""', 'SETRANGE a -1 ""'),
    scenario("SETRANGE keeps the time to live", "SET a abc EX 100", "SETRANGE a 1 x", near("TTL a")),
    scenario("offsets and lengths have limits", "SETRANGE a -1 x", "SETRANGE a abc x", "SETRANGE a 1.0 x",
             "SETRANGE a 536870912 x", "SETRANGE a 536870911 xy", f"SETRANGE a {MAX} x", f"SETRANGE a {OVER} x",
             f"SETRANGE a {MIN} x", "EXISTS a", "SETRANGE a 1", "APPEND a", "GETRANGE a 1", "SUBSTR a 1",
             "SETRANGE a 1 2 3"),
    scenario("GETRANGE counts from both ends", "SET a HelloWorld", *(
        f"GETRANGE a {start} {end}" for start in (-100, -10, -3, -1, 0, 1, 5, 9, 10, 100)
        for end in (-100, -11, -10, -2, -1, 0, 3, 9, 10, 1000, MAX))),
    scenario("GETRANGE at the limits of integers", "SET a abc", f"GETRANGE a {MIN} {MAX}", f"GETRANGE a {MIN} {MIN}",
             f"GETRANGE a {MAX} {MAX}", f"GETRANGE a 0 {OVER}", f"GETRANGE a {MIN - 1} 0", "GETRANGE a x 1",
             "GETRANGE a 1 x", "GETRANGE b x 1", "GETRANGE b 0 -1", 'SET c ""', "GETRANGE c 0 -1", "GETRANGE c -1 0"),
    scenario("SUBSTR is GETRANGE", "SET a HelloWorld", "SUBSTR a 2 4", "SUBSTR a -3 -1", "SUBSTR b 0 1",
             "SUBSTR a x 1"),
    scenario("parts of numbers", "SET a 12345", "GETRANGE a 1 2", "SETRANGE a 1 9", "INCR a", "APPEND a 0", "INCR a"),
    scenario("wrong types are refused", "RPUSH a 1", "APPEND a 1", "SETRANGE a 0 x", 'SETRANGE a 0 ""',
             "SETRANGE a -1 x", "GETRANGE a 0 1", "SUBSTR a x 1"),
)
def test_parts(play: Play, case: Scenario) -> None:
    play(case)


def _around(border: int) -> list[int]:
    return [border - 1, border, border + 1]


@scenarios(
    *(
        scenario(f"a value of {size} bytes", ("SET", "a", filled(size)), "GET a", "STRLEN a", "GETRANGE a -20 -1",
                 "APPEND a xyz", "GETRANGE a -20 -1", f"SETRANGE a {size - 2} 12345",
                 f"GETRANGE a {size - 10} {size + 10}", "GET a", "SET a short", "GET a", "STRLEN a")
        for border in (INLINE, CHUNK, 2 * CHUNK) for size in _around(border)
    ),
    *(
        scenario(f"APPEND grows over {border} bytes", ("APPEND", "a", filled(border - 3)), "APPEND a 12", "APPEND a 34",
                 "APPEND a 56", "GET a", ("APPEND", "a", filled(CHUNK)), "STRLEN a",
                 f"GETRANGE a {border - 10} {border + 10}", "GET a")
        for border in (INLINE, CHUNK, 3 * CHUNK)
    ),
    *(
        scenario(f"SETRANGE into nothing at {offset}", f"SETRANGE a {offset} xyz", "STRLEN a", "GET a",
                 f"SETRANGE a {offset // 2} 123", "GET a", "SETRANGE a 0 start", f"GETRANGE a 0 {offset // 2 + 5}",
                 "APPEND a end", "GET a")
        for offset in (*_around(INLINE), INLINE - 3, *_around(CHUNK), CHUNK - 3, *_around(2 * CHUNK), 5 * CHUNK + 17)
    ),
    scenario("a gap behind chunks reads as zeros", ("SET", "a", filled(CHUNK + 100)), f"SETRANGE a {4 * CHUNK + 50} x",
             "STRLEN a", f"GETRANGE a {CHUNK + 90} {CHUNK + 120}", f"GETRANGE a {2 * CHUNK - 2} {2 * CHUNK + 2}",
             "GET a", f"SETRANGE a {2 * CHUNK + 5} mid", f"GETRANGE a {2 * CHUNK} {2 * CHUNK + 20}",
             f"SETRANGE a {CHUNK + 200} y", "GET a"),
    scenario("one write over several chunks", ("SET", "a", filled(3 * CHUNK)),
             ("SETRANGE", "a", CHUNK - 7, b"#" * (CHUNK + 14)), "GET a",
             ("SETRANGE", "a", 10, b"!" * (4 * CHUNK)), "GET a", "STRLEN a"),
    scenario("parts across chunks", ("SET", "a", filled(3 * CHUNK + 9)), *(
        f"GETRANGE a {start} {end}" for start, end in (
            (0, CHUNK - 1), (0, CHUNK), (CHUNK - 1, CHUNK), (CHUNK, CHUNK), (CHUNK, 2 * CHUNK - 1),
            (CHUNK - 5, 3 * CHUNK + 3), (3 * CHUNK, -1), (-9, -1), (-10, -9), (-3 * CHUNK - 9, 3),
            (3 * CHUNK + 8, 3 * CHUNK + 9), (3 * CHUNK + 9, -1)))),
    scenario("a long value changes its time, name and place", ("SET", "a", filled(200_000), "EX", 100), "PERSIST a",
             "EXPIRE a 200", near("TTL a"), "RENAME a b", near("TTL b"), "GET b", "COPY b c", "APPEND b tail", "GET c",
             near("TTL c"), "DEL b", "GET c", "MOVE c 1", "EXISTS c", "SELECT 1", "GET c"),
    scenario("a long value is replaced by another", ("SET", "a", filled(100_000)), ("SET", "a", filled(70_000)[::-1]),
             "GET a", ("GETSET", "a", filled(150_000)), "GET a", ("SET", "a", b"x" * 20_000, "GET"), "GET a",
             "SETEX a 100 short", "GET a", "APPEND a er", "GET a"),
    scenario("blind writes over long values", ("SET", "a", filled(100_000)), "SET a 1", "GET a", "APPEND a 2", "GET a",
             ("SET", "a", filled(100_000)), "SET a 1 EX 100", "SET a 2", "SET a 3", "STRLEN a",
             ("SET", "a", filled(9000)), "GET a"),
    scenario("several megabytes", ("SET", "a", filled(3_000_000)), "STRLEN a", "GETRANGE a 2999990 -1", "APPEND a x",
             "GET a", "SETRANGE a 1500000 mid", "GETRANGE a 1499990 1500010", "COPY a b", "GETRANGE b -5 -1",
             "STRLEN b"),
)
def test_long_values(play: Play, case: Scenario) -> None:
    play(case)


@scenarios(
    scenario("the subsequence itself", "MSET a ohmytext b mynewtext", "LCS a b", "LCS b a", "LCS a a", "LCS a c",
             "LCS c d"),
    scenario("its length", "MSET a ohmytext b mynewtext", "LCS a b LEN", "LCS a c LEN", "LCS a b len"),
    scenario("where its parts are", "MSET a ohmytext b mynewtext", "LCS a b IDX", "LCS b a IDX", "LCS a c IDX",
             "LCS a a IDX", "LCS a b IDX WITHMATCHLEN", "LCS a b IDX MINMATCHLEN 4",
             "LCS a b IDX MINMATCHLEN 4 WITHMATCHLEN", "LCS a b IDX MINMATCHLEN 5", "LCS a b IDX MINMATCHLEN 0",
             "LCS a b IDX MINMATCHLEN -3", "LCS a b MINMATCHLEN 4", "LCS a b WITHMATCHLEN LEN MINMATCHLEN 100"),
    scenario("the same choice among equals", "MSET a abcabcab b bacbacba c aabbccaabbcc d cbacbacb", "LCS a b IDX",
             "LCS b a IDX", "LCS a c IDX", "LCS c a IDX", "LCS c d IDX WITHMATCHLEN", "LCS d c", "LCS a d IDX",
             "LCS b d IDX"),
    scenario("bytes of any kind", r'MSET a "\x00\xff\x00a" b "\xff\x00\x00"', "LCS a b", "LCS a b IDX", 'SET c ""',
             "LCS a c", "LCS a c IDX", "LCS a c LEN"),
    scenario("options are checked", "LCS a", "LCS a b LEN IDX", "LCS a b FOO", "LCS a b MINMATCHLEN",
             "LCS a b MINMATCHLEN abc", "LCS a b IDX MINMATCHLEN 1.5", "LCS a b LEN IDX FOO", "LCS a b IDX IDX LEN"),
    scenario("only strings", "RPUSH a 1", "LCS a b", "LCS b a", "LCS a b FOO", "LCS a b LEN IDX"),
    scenario("long strings", ("SET", "a", filled(3000)), ("SET", "b", filled(3500)[::-1]), "LCS a b LEN", "LCS a b IDX",
             "LCS a b"),
    scenario("too long strings", ("SET", "a", filled(12_000)), "LCS a a", "LCS a a LEN", "LCS a b LEN", ("SET", "b",
             filled(11_000)), "LCS a b LEN"),
)
def test_lcs(play: Play, case: Scenario) -> None:
    play(case)


def test_append_and_setrange_touch_only_their_chunks(client: RawClient) -> None:
    """A value at the limit of 512 MB, sparse, would take seconds if anything of it were read or written whole."""
    last = 512 * KIB * KIB - 1
    assert client.call("SETRANGE", "sparse", last - 2, "ab") == b":%d\r\n" % last
    assert client.call("APPEND", "sparse", "c") == b":%d\r\n" % (last + 1)
    assert client.call("APPEND", "sparse", "d").startswith(b"-ERR string exceeds maximum allowed size")
    assert client.call("SETRANGE", "sparse", last, "zz").startswith(b"-ERR string exceeds maximum allowed size")
    assert client.call("GETRANGE", "sparse", last - 4, -1) == b"$5\r\n\x00\x00abc\r\n"
    assert client.call("STRLEN", "sparse") == b":%d\r\n" % (last + 1)
    assert client.call("DEL", "sparse") == b":1\r\n"


@pytest.mark.parametrize("words", [("SET", "a", "1", "EX"), ("SET", "a", "1", "EX", "0"), ("SETEX", "a", "x", "1"),
("MSET", "a", "1", "b")])
def test_a_refused_write_does_not_count_as_blind(client: RawClient, words: tuple[str, ...]) -> None:
    """Blind writes are not read before; a refused one in the middle of a pipeline must not hide what is there."""
    replies = client.pipeline([("SET", "a", "old"), words, ("GET", "a"), ("APPEND", "a", "er"), ("GET", "a")])
    assert replies[1].startswith(b"-ERR")
    assert replies[2:] == [b"$3\r\nold\r\n", b":5\r\n", b"$5\r\nolder\r\n"]
