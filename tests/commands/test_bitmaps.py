"""Bitmaps and bit fields, compared with redis-server."""

import time

import pytest

from tests.commands.conftest import Play
from tests.commands.scenarios import Scenario, becomes, near, scenario, scenarios
from tests.services.raw_client import RawClient

KIB = 1024
INLINE = 8 * KIB
CHUNK = 64 * KIB
MAX = 2**63 - 1
MIN = -(2**63)
LAST_BIT = 2**32 - 1
LIMIT_S = 5.0

TYPES = [*(f"i{bits}" for bits in range(1, 65)), *(f"u{bits}" for bits in range(1, 64))]


def filled(size: int) -> bytes:
    """Bytes that differ everywhere, so that a shifted chunk shows."""
    return b"".join(b"%08x" % n for n in range(size // 8 + 1))[:size]


def _around(border: int) -> list[int]:
    return [border - 1, border, border + 1]


@scenarios(
    scenario("a bit is set and cleared", "SETBIT a 7 1", "GET a", "SETBIT a 7 1", "SETBIT a 7 0", "SETBIT a 7 0",
             "GET a", "SETBIT a 0 1", "GET a"),
    scenario("a string grows by zeros", "SETBIT a 100 1", "GET a", "STRLEN a", "SETBIT b 100 0", "STRLEN b", "GET b",
             "SETBIT a 8 1", "GET a", "SETBIT b 103 0", "STRLEN b", "SETBIT b 104 0", "STRLEN b"),
    scenario("bits of a string and of a number", "SET a foobar", *(f"GETBIT a {bit}" for bit in range(50)), "SET n 1",
             *(f"GETBIT n {bit}" for bit in range(9)), "SETBIT n 6 1", "GET n", "INCR n"),
    scenario("the time to live stays", "SET a 1 EX 100", "SETBIT a 1 0", near("TTL a"), "SETBIT a 100 1",
             near("TTL a"), "BITFIELD a SET u8 0 1", near("TTL a")),
    scenario("an expired string has no bits", "SET a abc PX 20", becomes("EXISTS a", b":0\r\n"), "GETBIT a 1",
             "SETBIT a 0 0", "GET a", "TTL a", "SET a abc PX 20", becomes("EXISTS a", b":0\r\n"), "BITCOUNT a",
             "BITFIELD a SET u4 0 15", "GET a", "TTL a"),
    scenario("bits behind the end are 0", "GETBIT a 0", "SET a a", "GETBIT a 8", f"GETBIT a {LAST_BIT}", 'SET a ""',
             "GETBIT a 0", "EXISTS b"),
    scenario("offsets have limits", *(
        f"{command} {offset}{value}" for command, value in (("SETBIT a", " 1"), ("GETBIT a", "")) for offset in (
            -1, "abc", '""', "1.0", "+1", "01", "#1", LAST_BIT + 1, MAX, MAX + 1, MIN)), "EXISTS a"),
    scenario("a bit is 0 or 1", "SETBIT a 1 2", "SETBIT a 1 -1", "SETBIT a 1 abc", 'SETBIT a 1 ""', "SETBIT a 1 01",
             f"SETBIT a 1 {MAX + 1}", "SETBIT a x 2", "SETBIT a -1 0", "EXISTS a"),
    scenario("the number of words is checked", "SETBIT", "SETBIT a", "SETBIT a 1", "SETBIT a 1 1 1", "GETBIT",
             "GETBIT a", "GETBIT a 1 1", "BITCOUNT", "BITPOS", "BITPOS a", "BITOP", "BITOP AND", "BITOP AND d",
             "BITFIELD", "BITFIELD_RO"),
    scenario("arguments are judged before types", "RPUSH a 1", "SETBIT a x 1", "SETBIT a 1 2", "SETBIT a 1 1",
             "GETBIT a x", "GETBIT a 1", "GETBIT a -1", "BITFIELD a", "BITFIELD a GET x 1", "BITFIELD a GET u8 x",
             "BITFIELD a GET u8 0", "BITFIELD a SET u8 0 x", "BITFIELD a SET u8 0 1", "BITFIELD_RO a GET u8 0",
             "BITFIELD_RO a SET u8 0 1", "BITFIELD_RO a FOO", "LRANGE a 0 -1"),
)
def test_single_bits(play: Play, case: Scenario) -> None:
    play(case)


_ENDS = (-1000, -49, -48, -7, -6, -2, -1, 0, 1, 5, 6, 7, 40, 47, 48, 1000)


@scenarios(
    scenario("all bits are counted", "SET a foobar", "BITCOUNT a", "BITCOUNT b", 'SET b ""', "BITCOUNT b",
             "BITCOUNT b 0 -1", "SET n 12345", "BITCOUNT n", "BITCOUNT n 1 1"),
    *(
        scenario(f"BITCOUNT counts in {unit or 'bytes if not told otherwise'}", "SET a foobar", *(
            f"BITCOUNT a {start} {end} {unit}" for start in _ENDS for end in _ENDS))
        for unit in ("", "BYTE", "bit")
    ),
    scenario("ranges at the limits of integers", "SET a foobar", *(
        f"BITCOUNT a {start} {end} {unit}" for unit in ("BYTE", "BIT") for start in (MIN, MIN + 1, 0, MAX)
        for end in (MIN, MIN + 1, -1, MAX)), f"BITCOUNT a {MAX + 1} 0", f"BITCOUNT a 0 {MIN - 1}"),
    scenario("ranges are checked, of an absent key too", *(
        f"BITCOUNT {key}{rest}" for rest in (" 0", " x", " x 1", " 1 x", " 0 1 FOO", " x 1 FOO", " 1 x FOO", " 0 1 BIT",
        " 0 1 BYTE x", " 0 BIT", " 1.0 1", ' "" 1') for key in ("a", "b", "c")), "SET b foobar", "RPUSH c 1", *(
        f"BITCOUNT {key}{rest}" for rest in (" 0", " x", " x 1", " 1 x", " 0 1 FOO", " x 1 FOO", " 1 x FOO", " 0 1 BIT",
        "", " 0 1", " 0 1 BYTE x", " x y BIT x") for key in ("b", "c")), oracle="redis74"),
)
def test_bitcount(play: Play, case: Scenario) -> None:
    play(case)


_PATTERNS = (r'"\x00\x00\x00"', r'"\xff\xff\xff"', r'"\x00\xff\xf0"', r'"\xff\xf0\x00"', r'"\x00\x01\x00"', '""',
             r'"\x7f\xff\xfe"', r'"\xff\xfd"')  # fmt: skip


@scenarios(
    *(
        scenario(f"first bits of {pattern}", f"SET a {pattern}", "BITPOS a 0", "BITPOS a 1", *(
            f"BITPOS a {bit} {start}" for bit in (0, 1) for start in (-4, -2, -1, 0, 1, 2, 3)), *(
            f"BITPOS a {bit} {start} {end}" for bit in (0, 1) for start in (-3, -1, 0, 1, 2, 3)
            for end in (-4, -2, -1, 0, 1, 3)), *(
            f"BITPOS a {bit} {start} {end} BIT" for bit in (0, 1) for start in (-24, -9, 0, 3, 8, 12, 20, 24)
            for end in (-25, -9, -1, 0, 7, 8, 11, 15, 23, 24)))
        for pattern in _PATTERNS
    ),
    scenario("of a number", "SET a 1", "BITPOS a 1", "BITPOS a 0", "BITPOS a 0 1", "BITPOS a 1 0 -1 BYTE"),
    scenario("of an absent key", "BITPOS a 0", "BITPOS a 1", "BITPOS a 0 0 -1", "BITPOS a 1 5", "EXISTS a"),
    scenario("ranges at the limits of integers", "SET a foobar", *(
        f"BITPOS a {bit} {start} {end} {unit}" for bit in (0, 1) for unit in ("BYTE", "BIT") for start in (MIN, 0, MAX)
        for end in (MIN, -1, MAX))),
    scenario("arguments are checked, of an absent key too", "SET b foobar", "RPUSH c 1", *(
        f"BITPOS {key} {rest}" for rest in ("x", "2", "-1", "1 x", "1 1 x", "1 x 1", "2 x", "0 0 1 FOO", "0 x 1 FOO",
        "0 1 x FOO", "0 1 x BIT", "0 0 1 BIT x", "0 0 BIT", "1 1 2 BIT", "0 x 1 BIT x",
        "2 x 1 BIT x", f"0 {MAX + 1}") for key in ("a", "b", "c")),
        "BITPOS c 1", oracle="redis74"),
)
def test_bitpos(play: Play, case: Scenario) -> None:
    play(case)


@scenarios(
    scenario("AND, OR, XOR and NOT", r'SET a "\x01\x03\x07\xff"', r'SET b "\x11\x02\x00\xf0"', *(
        line for word in ("AND", "or", "Xor") for line in (f"BITOP {word} d a b", "GET d", f"BITOP {word} d a",
        "GET d", f"BITOP {word} d a b a", "GET d")), "BITOP NOT d a", "GET d", "BITOP NOT d d", "GET d"),
    scenario("shorter strings are followed by zeros", "SET a foobar", "SET b abc", 'SET e ""', *(
        line for word in ("AND", "OR", "XOR") for keys in ("a b", "b a", "a none", "none a", "a e", "a b none e")
        for line in (f"BITOP {word} d {keys}", "GET d"))),
    scenario("nothing of nothing", "BITOP AND d a b", "EXISTS d", "SET d x", "BITOP OR d a", "EXISTS d", "SET d x",
             "BITOP NOT d a", "EXISTS d", 'SET a ""', "SET d x", "BITOP XOR d a a", "EXISTS d", "BITOP NOT a a",
             "EXISTS a"),
    scenario("the target is replaced with its time to live", "SET d old EX 100", "SET a new", "BITOP OR d a", "TTL d",
             "GET d", "EXPIRE a 100", "BITOP OR a a", "TTL a"),
    scenario("the target may be a source", "SET a abc", "SET b 12345", "BITOP XOR a a b", "GET a", "BITOP XOR b a b",
             "GET b", "BITOP AND b b b", "GET b", "BITOP XOR b b b", "GET b"),
    scenario("a target of another type is replaced", "RPUSH d 1", "SET a x", "BITOP OR d a", "TYPE d", "GET d",
             "RPUSH e 1", "BITOP OR e none", "EXISTS e"),
    scenario("numbers are strings", "MSET a 12 b 3", "BITOP OR d a b", "GET d", "INCR d"),
    scenario("arguments are checked", "BITOP FOO d a", "BITOP NOT d a b", "BITOP DIFF d a b", "BITOP not d a b",
             'BITOP "" d a', "EXISTS d"),
    scenario("only strings are joined", "RPUSH l 1", "SET a x", "SET d old", "BITOP AND d l", "BITOP AND d a l",
             "BITOP OR d l none", "BITOP NOT d l", "BITOP FOO d l", "BITOP NOT d l l", "GET d"),
    scenario("in a transaction", "MULTI", "SET a abc", "SETBIT a 1 0", "BITOP NOT b a", "BITOP XOR c a b",
             "BITCOUNT c", "BITPOS c 0", "BITFIELD c INCRBY u8 0 1", "BITOP OR c none", "EXISTS c", "GETBIT b 0",
             "EXEC", "MGET a b c"),
)
def test_bitop(play: Play, case: Scenario) -> None:
    play(case)


_NUMBERS = (0, 1, -1, 127, -128, -129, 256, MAX, MIN, MIN + 1)


@scenarios(
    scenario("fields are set, read and added to", "BITFIELD a SET u8 0 200 GET u8 0 GET i8 0 INCRBY u8 0 10 GET u4 3",
             "GET a", "BITFIELD a INCRBY i5 100 1 GET u4 0", "STRLEN a", "GET a", "BITFIELD_RO a GET i5 100 GET u4 0",
             "bitfield a get U8 0", "bitfield a get u8 0 set i8 4 -3 get i8 4"),
    scenario("counted offsets", "BITFIELD a SET u8 #0 65 SET u8 #1 66 SET u16 #1 17220", "GET a",
             "BITFIELD a GET u8 #3 GET u4 #7 GET i3 #2", "BITFIELD a GET u8 # GET u8 #", "BITFIELD a GET u8 #-1",
             "BITFIELD a GET u8 #x", "BITFIELD a GET u8 #01", f"BITFIELD a GET u8 #{2**29 - 1}",
             f"BITFIELD a GET u8 #{2**29}", f"BITFIELD a GET i16 #{2**60}", f"BITFIELD a GET i16 #{2**60 + 1}",
             f"BITFIELD a GET i32 #{MAX}", f"BITFIELD a GET i2 #{MAX}", f"BITFIELD a GET u1 #{MAX}"),
    scenario("every type at odd places", ("SET", "a", filled(64)), *(
        f"BITFIELD a GET {kind} {offset}" for kind in TYPES for offset in (0, 3, 101, "#5", 500, 511, 600)), "GET a"),
    scenario("every type is set", *(
        line for number, kind in enumerate(TYPES) for line in (
            f"BITFIELD a SET {kind} {number * 5} {number * 77} GET {kind} {number * 5} INCRBY {kind} {number * 7} -1",
            "BITCOUNT a")), "GET a"),
    *(
        scenario(f"what overflows with {overflow}", *(
            line for kind in ("i1", "u8", "i8", "u63", "i64") for old in _NUMBERS for new in _NUMBERS
            for line in (f"BITFIELD a SET {kind} 3 {old} OVERFLOW {overflow} INCRBY {kind} 3 {new}",
                         f"BITFIELD a OVERFLOW {overflow} SET {kind} 5 {new} GET {kind} 5")))
        for overflow in ("wrap", "SAT", "Fail")
    ),
    scenario("OVERFLOW holds for what follows", "BITFIELD a SET u8 0 255 INCRBY u8 0 1 OVERFLOW SAT INCRBY u8 0 -5 "
             "INCRBY u8 0 300 OVERFLOW FAIL INCRBY u8 0 1 SET u8 0 256 GET u8 0 OVERFLOW WRAP SET u8 0 257",
             "GET a", "BITFIELD a OVERFLOW FAIL", "BITFIELD a OVERFLOW SAT OVERFLOW FAIL INCRBY u8 0 -2", "GET a"),
    scenario("a string grows even if nothing fits", "BITFIELD a OVERFLOW FAIL SET u8 20 256", "GET a", "EXISTS a",
             "BITFIELD a GET u8 1000", "STRLEN a", "BITFIELD b GET u8 0", "EXISTS b", "BITFIELD c SET u1 8 0", "GET c",
             "BITFIELD a SET u8 33 0 SET u8 8 255 GET u8 100", "GET a", "SET e abc",
             "BITFIELD e OVERFLOW FAIL INCRBY u8 0 255 SET u8 #5 300", "GET e"),
    scenario("reading needs no string", "BITFIELD a", "BITFIELD a GET u8 0 GET i64 100", "BITFIELD_RO a",
             "BITFIELD_RO a GET u8 0", "BITFIELD_RO a OVERFLOW WRAP", "BITFIELD_RO a OVERFLOW SAT GET u8 0",
             "EXISTS a"),
    scenario("BITFIELD_RO only reads", "BITFIELD_RO a SET u8 0 1", "BITFIELD_RO a GET u8 0 INCRBY u8 0 1",
             "BITFIELD_RO a SET u8 0 x", "BITFIELD_RO a SET u65 0 1", "BITFIELD_RO a OVERFLOW x", "BITFIELD_RO a GET",
             "BITFIELD_RO a SET u8 0", "EXISTS a"),
    scenario("types are checked", *(
        ("BITFIELD", "a", "GET", kind, "0") for kind in ("u0", "i0", "u64", "i65", "u", "i", "", "8", "U8", "I8", "u08",
        "u+8", "u-8", "u8 ", " u8", "f8", "u8x", "i999999999999999999999", "u8\0x", "\0u8"))),
    scenario("operations are checked", "BITFIELD a FOO", "BITFIELD a GET", "BITFIELD a GET u8", "BITFIELD a SET u8 0",
             "BITFIELD a INCRBY u8 0", "BITFIELD a OVERFLOW", "BITFIELD a OVERFLOW FOO", "BITFIELD a GET u8 0 FOO",
             "BITFIELD a SET u8 0 1 GET u8", "BITFIELD a SET u8 0 x", "BITFIELD a INCRBY u8 0 1.5",
             f"BITFIELD a SET u63 0 {MAX + 1}", f"BITFIELD a SET i64 0 {MIN - 1}", "BITFIELD a GET u8 -1",
             "BITFIELD a GET u8 abc", f"BITFIELD a GET u8 {LAST_BIT + 1}", "BITFIELD a GET u65 x",
             "BITFIELD a SET u8 x y", "BITFIELD a GET x 0 OVERFLOW FOO", "BITFIELD a OVERFLOW FOO GET x 0",
             "BITFIELD a SET u8 0 1 SET u8 0 x", 'BITFIELD a ""', 'BITFIELD a GET u8 ""', "EXISTS a"),
    scenario("numbers are strings", "SET a 1", "BITFIELD a GET u8 0 INCRBY u8 0 1", "GET a", "INCR a"),
)  # fmt: skip
def test_bitfield(play: Play, case: Scenario) -> None:
    play(case)


@scenarios(
    scenario("what changes nothing is not seen by WATCH", "SET a abc", "WATCH a", "SETBIT a 0 0",
             "BITFIELD a SET u8 0 97", "BITFIELD a INCRBY u8 0 0", "BITFIELD a OVERFLOW FAIL SET u8 0 256",
             "BITFIELD a GET u8 100", "MULTI", "PING", "EXEC"),
    scenario("a bit that changes is seen by WATCH", "SET a abc", "WATCH a", "SETBIT a 0 1", "MULTI", "PING", "EXEC"),
    scenario("growth is seen by WATCH", "SET a abc", "WATCH a", "SETBIT a 100 0", "MULTI", "PING", "EXEC", "WATCH a",
             "BITFIELD a SET u8 200 0", "MULTI", "PING", "EXEC", "WATCH b", "SETBIT b 0 0", "MULTI", "PING", "EXEC"),
    scenario("a field that changes is seen by WATCH", "SET a abc", "WATCH a", "BITFIELD a INCRBY u8 0 1", "MULTI",
             "PING", "EXEC"),
    scenario("BITOP is seen by WATCH", "SET a abc", "WATCH a", "BITOP OR a a", "MULTI", "PING", "EXEC"),
)
def test_watch(play: Play, case: Scenario) -> None:
    play(case)


@scenarios(
    *(
        scenario(f"bits around byte {border}", *(
            line for byte in _around(border) for line in (f"SETBIT a {8 * byte + 3} 1", f"GETBIT a {8 * byte + 3}",
            f"GETBIT a {8 * byte + 4}", "STRLEN a", "BITCOUNT a", "BITPOS a 1", "BITPOS a 0 -1",
            f"BITPOS a 1 {byte}", f"BITPOS a 1 {8 * byte + 4} -1 BIT")), "GET a", f"SETBIT a {8 * border + 3} 0",
            "GET a", "APPEND a xyz", f"BITFIELD a INCRBY i64 {8 * border - 29} -12345 GET i64 {8 * border - 29}",
            "GET a", f"BITCOUNT a {border - 2} {border + 1}", f"BITCOUNT a {8 * border - 5} {8 * border + 9} BIT")
        for border in (INLINE, CHUNK, 2 * CHUNK)
    ),
    scenario("gaps of a sparse bitmap read as zeros", f"SETBIT a {8 * (5 * CHUNK + 100)} 1", f"SETBIT a {8 * CHUNK} 1",
             "SETBIT a 3 1", "BITCOUNT a", *(f"BITPOS a {bit} {start}" for bit in (0, 1) for start in (
                 0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 5 * CHUNK, 5 * CHUNK + 100, -1)), *(
             f"BITPOS a 1 {start} {end} BIT" for start, end in (
                 (4, 8 * CHUNK - 1), (4, 8 * CHUNK), (8 * CHUNK + 1, -2), (8 * CHUNK + 1, -1), (8 * CHUNK + 1, -8))),
             f"BITCOUNT a 0 {CHUNK - 1}", f"BITCOUNT a {CHUNK} {CHUNK}", f"BITCOUNT a {2 * CHUNK} {4 * CHUNK}",
             f"BITCOUNT a {8 * CHUNK} -8 BIT", f"BITCOUNT a {8 * CHUNK + 1} -9 BIT", "GET a"),
    scenario("the first 0 behind many ones", ("SET", "a", b"\xff" * (3 * CHUNK)), "BITPOS a 0", "BITPOS a 0 0 -1",
             "BITPOS a 0 100", f"SETBIT a {8 * 2 * CHUNK + 5} 0", "BITPOS a 0", "BITPOS a 0 0 -1",
             "BITPOS a 0 5 -1 BIT",
             f"SETBIT a {8 * (3 * CHUNK + 7) + 1} 1", f"SETBIT a {8 * 2 * CHUNK + 5} 1", "BITPOS a 0", "BITCOUNT a",
             f"BITPOS a 0 {3 * CHUNK - 1} {3 * CHUNK - 1}"),
    scenario("BITOP of long strings", ("SET", "a", filled(3 * CHUNK + 17)), ("SET", "b", filled(2 * CHUNK - 5)[::-1]),
             "SET c short", f"SETBIT s {8 * (4 * CHUNK + 9)} 1", *(
             line for word in ("AND", "OR", "XOR") for keys in ("a b", "b a", "a c", "c a", "c s", "s a b c", "a none")
             for line in (f"BITOP {word} d {keys}", "BITCOUNT d", "GET d")), "BITOP NOT d a", "GET d", "BITOP NOT d s",
             "GET d", "BITOP NOT d d", "GET d", "BITCOUNT d", "STRLEN d"),
    scenario("BITOP into one of its long sources", ("SET", "a", filled(2 * CHUNK + 17)),
             ("SET", "b", filled(CHUNK + 5)), "BITOP XOR a a b", "GET a",
             "BITOP XOR b a b", "GET b", "BITOP AND b b c", "GET b", "BITCOUNT b",
             "SETBIT b 1000 1", "GET b", "BITOP OR a c", "EXISTS a", "BITOP NOT b b", "GET b"),
    scenario("around the largest value of a row", ("SET", "a", filled(INLINE)), ("SET", "b", filled(INLINE + 1)),
             "BITOP XOR d a b", "GET d", "BITOP NOT d a", "GET d", "BITOP NOT d b", "GET d", "BITOP AND d a c", "GET d",
             "BITOP AND d b c", "GET d", "SETBIT d 9 1", "GET d"),
    scenario("changes not written yet are copied, renamed and joined", ("SET", "a", filled(CHUNK + 100)),
             "SETBIT a 1 0", f"SETBIT a {8 * CHUNK} 0", "COPY a b", "SETBIT a 7 1", "GET b", "RENAME a c", "GET c",
             "SETBIT c 15 0", "BITOP XOR d b c", "BITCOUNT d", "GET d", "SETBIT d 3 1", "APPEND d x",
             "SETRANGE d 70000 yy", "GETRANGE d 69990 70010", "GETRANGE d 65500 -1", "STRLEN d", "GETDEL d"),
    scenario("many chunks in one pipeline", *(f"SETBIT a {n * 8 * CHUNK + 5} 1" for n in (*range(80), *range(40))),
             "BITCOUNT a", *(f"GETBIT a {n * 8 * CHUNK + 5}" for n in range(0, 80, 7)),
             *(f"SETBIT a {n * 8 * CHUNK + 6} 1" for n in range(0, 80, 3)), "BITCOUNT a", "STRLEN a"),
    scenario("a field over the end of the longest string", f"BITFIELD a GET u63 {LAST_BIT}", "EXISTS a"),
)  # fmt: skip
def test_long_bitmaps(play: Play, case: Scenario) -> None:
    play(case)


def test_a_sparse_bitmap_of_512_mb_costs_what_is_in_it(client: RawClient) -> None:
    """It would take seconds, and fail here by its time, if the gaps were read, written or made in memory."""
    begin = time.monotonic()
    size = 512 * KIB * KIB
    assert client.call("SETBIT", "a", LAST_BIT, 1) == b":0\r\n"
    assert client.call("GETBIT", "a", LAST_BIT) == b":1\r\n"
    assert client.call("GETBIT", "a", LAST_BIT - 1) == b":0\r\n"
    assert client.call("SETBIT", "a", 2**31, 1) == b":0\r\n"
    assert client.call("SETBIT", "b", 2**31, 1) == b":0\r\n"
    assert client.call("STRLEN", "a") == b":%d\r\n" % size
    assert client.call("BITCOUNT", "a") == b":2\r\n"
    assert client.call("BITCOUNT", "a", 1, -2, "BIT") == b":1\r\n"
    assert client.call("BITPOS", "a", 1) == b":%d\r\n" % 2**31
    assert client.call("BITPOS", "a", 1, 2**28 + 1) == b":%d\r\n" % LAST_BIT
    assert client.call("BITPOS", "a", 0, -1) == b":%d\r\n" % (LAST_BIT - 7)
    for word, ones in (("AND", 1), ("OR", 2), ("XOR", 1)):
        assert client.call("BITOP", word, "c", "a", "b") == b":%d\r\n" % size
        assert client.call("BITCOUNT", "c") == b":%d\r\n" % ones
        assert client.call("STRLEN", "c") == b":%d\r\n" % size
    assert client.call("BITFIELD", "a", "SET", "u8", LAST_BIT - 7, 255, "GET", "u4", LAST_BIT) == (
        b"*2\r\n:1\r\n:8\r\n"
    )
    assert client.call("DEL", "a", "b", "c") == b":3\r\n"
    assert time.monotonic() - begin < LIMIT_S


def test_a_field_may_reach_over_the_end_of_the_longest_string(client: RawClient) -> None:
    """As in Redis, which looks at the field's first bit only."""
    assert client.call("BITFIELD", "a", "SET", "u63", LAST_BIT, 3, "GET", "u63", LAST_BIT) == b"*2\r\n:0\r\n:3\r\n"
    assert client.call("STRLEN", "a") == b":536870920\r\n"
    assert client.call("BITCOUNT", "a") == b":2\r\n"


@pytest.mark.parametrize("limit", ["1mb", "1gb"])
def test_the_longest_string_is_a_matter_of_configuration(client: RawClient, limit: str) -> None:
    size = {"1mb": KIB * KIB, "1gb": KIB * KIB * KIB}[limit]
    old = client.call("CONFIG", "GET", "proto-max-bulk-len")
    assert client.call("CONFIG", "SET", "proto-max-bulk-len", limit) == b"+OK\r\n"
    try:
        assert client.call("SETBIT", "a", 8 * size - 1, 1) == b":0\r\n"
        assert client.call("BITPOS", "a", 1) == b":%d\r\n" % (8 * size - 1)
        refused = b"-ERR bit offset is not an integer or out of range\r\n"
        assert client.call("SETBIT", "a", 8 * size, 1) == refused
        assert client.call("GETBIT", "a", 8 * size) == refused
        assert client.call("BITFIELD", "a", "GET", "u8", f"#{size}") == refused
    finally:
        client.call("DEL", "a")
        client.call("CONFIG", "SET", "proto-max-bulk-len", old.split(b"\r\n")[-2])
