"""Numbers are read, added and written as by redis-server: its answers are the expectation."""

import math
import random
import struct
from collections.abc import Callable
from typing import Any

import hiredis
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.numbers import (
    NotFiniteError,
    add_long_double,
    format_human,
    parse_double,
    parse_integer,
    parse_unsigned,
)
from protocol.shortest import format_double

NASTY = [
    *b"""
    0.1 0.2 3.0e3 5e-324 1e308 -0 0 +5 +-5 .5 5. . 1e 1e+ e5 1_0 1,5 --1 00012 -00.5 1e2.5 1.1 -1.1 3.4e-5
    0x10 0X1P2 0x1p-3 0x.8 0x1. 0x 0x. 0x1p 0x-1 0x0p9999999999999
    nan -nan nan(1) inf -inf +infinity INF infin
    1e4932 1.18e4932 1.19e4932 1e4933 1e-4940 1e-4950 1e-4951 3.6e-4951 1e-4960
    1e-99999999999999999999 1e99999999999999999999 0e99999999999999999999
    18446744073709551615 18446744073709551616 18446744073709551617 9223372036854775807 -9223372036854775808
    1e-17 5e-18 0.5e-17 1.5e-17 -1e-30 0.30000000000000004 123456789012345678901234567890.5
    0x1p16383 0x1p16384 0x1.ffffffffffffffffp16383 0x1.fffffffffffffffep16383 0x1p-16445 0x1p-16446 0x1.8p-16446
    1e309 1e-400 1.7976931348623158e308 1.7976931348623159e308 2.4703282292062327e-324 2.4703282292062328e-324
    0x1p-1074 0x1p-1075 0x1.8p-1075 1e16 1e17 1e21 123456789012345680
    """.split(),
    *(b"", b" 1", b"1 ", b"\t1", b"1\n", b"\0", b"1\0002", b"\xb2"),
    *(b"9" * 4932, b"9" * 5119, b"9" * 5120, b"0." + b"0" * 5000 + b"1", b"0." + b"3" * 5000),
]
decimals = st.builds(
    lambda sign, whole, point, fraction, exponent: (sign + whole + point + fraction + exponent).encode(),
    st.sampled_from(["", "-", "+"]),
    st.text("0123456789", max_size=30),
    st.sampled_from(["", "."]),
    st.text("0123456789", max_size=30),
    st.one_of(st.just(""), st.integers(-400, 400).map("e{}".format), st.integers(-5000, 5000).map("E{}".format)),
)
hexadecimals = st.builds(
    lambda sign, whole, fraction, power: f"{sign}0x{whole}.{fraction}{power}".encode(),
    st.sampled_from(["", "-"]),
    st.text("0123456789abcdefF", max_size=24),
    st.text("0123456789abcdef", max_size=24),
    st.one_of(st.just(""), st.integers(-17_000, 17_000).map("p{}".format), st.integers(-100, 100).map("P{}".format)),
)
doubles = st.floats(allow_nan=False).map(lambda value: repr(value).encode())
integers = st.integers(-(2**66), 2**66).map(lambda value: b"%d" % value)
garbage = st.text("0123456789.eExXpPinfa+- _", max_size=8).map(str.encode)
numbers = st.one_of(decimals, hexadecimals, doubles, integers, garbage, st.sampled_from(NASTY))


def outcome(function: Callable[..., Any], *arguments: Any) -> Any:
    """What `function` gives, None for a ValueError, "not finite" for a NotFiniteError."""
    try:
        return function(*arguments)
    except ValueError:
        return None
    except NotFiniteError:
        return "not finite"


def meant(reply: Any) -> Any:
    """A reply of the oracle in the form of `outcome`."""
    if not isinstance(reply, hiredis.ReplyError):
        return reply
    return "not finite" if str(reply) == "ERR increment would produce NaN or Infinity" else None


def assert_sums_agree(pairs: list[tuple[bytes, bytes]], redis_oracle: Any) -> None:
    commands = [command for a, b in pairs for command in ([b"SET", b"n", a], [b"INCRBYFLOAT", b"n", b])]

    for (a, b), reply in zip(pairs, redis_oracle.ask(commands)[1::2], strict=True):
        assert outcome(add_long_double, a, b) == meant(reply), (a[:50], b[:50])


def test_nasty_sums_are_those_of_incrbyfloat(redis_oracle: Any) -> None:
    for a in NASTY:
        assert_sums_agree([(a, b) for b in NASTY], redis_oracle)


def test_thousands_of_random_sums_are_those_of_incrbyfloat(redis_oracle: Any) -> None:
    source = random.Random(7015)
    values = [
        b"%d.%de%d" % (source.randrange(10**22), source.randrange(10**22), source.randrange(-40, 5))
        if source.random() < 0.5
        else repr(source.uniform(-(10.0 ** source.randrange(-10, 20)), 1)).encode()
        for _ in range(6000)
    ]

    assert_sums_agree(list(zip(values[::2], values[1::2], strict=True)), redis_oracle)


@settings(max_examples=200, deadline=None)
@given(pairs=st.lists(st.tuples(numbers, numbers), min_size=1, max_size=20))
def test_sums_are_those_of_incrbyfloat(pairs: list[tuple[bytes, bytes]], redis_oracle: Any) -> None:
    assert_sums_agree(pairs, redis_oracle)


def assert_scores_agree(scores: list[bytes], redis74_oracle: Any) -> None:
    commands = [
        command
        for score in scores
        for command in ([b"DEL", b"z"], [b"ZADD", b"z", score, b"m"], [b"ZSCORE", b"z", b"m"])
    ]
    replies = redis74_oracle.ask(commands)

    for score, added, read in zip(scores, replies[1::3], replies[2::3], strict=True):
        value = outcome(parse_double, score)
        assert (value is None) == isinstance(added, hiredis.ReplyError), score[:50]
        if value is not None:
            # A small sorted set keeps whole numbers as integers, which have no negative zero.
            assert format_double(value or 0.0) == read, score[:50]


def test_nasty_scores_are_those_of_zadd(redis74_oracle: Any) -> None:
    assert_scores_agree(NASTY, redis74_oracle)


@settings(max_examples=200, deadline=None)
@given(scores=st.lists(numbers, min_size=1, max_size=20))
def test_scores_are_those_of_zadd(scores: list[bytes], redis74_oracle: Any) -> None:
    assert_scores_agree(scores, redis74_oracle)


DRAWS: list[Callable[[random.Random], float]] = [
    lambda source: struct.unpack("<d", source.randbytes(8))[0],
    lambda source: source.getrandbits(source.randint(1, 52)) * 5e-324,
    lambda source: math.ldexp(1.0, source.randint(-1074, 1023)),
    lambda source: float(source.randint(2**50, 2**66)),
    lambda source: source.random() * 10.0 ** source.randint(-10, 25),
    lambda source: float(f"{source.randint(1, 99_999)}e{source.randint(-320, 300)}"),
    lambda source: round(source.uniform(-1e6, 1e6), source.randint(1, 9)),
    lambda source: 1.7e9 + source.random() * 1e8,
]
"""Doubles: any bits, subnormal ones, powers of two, large integers, sums, few digits, decimals, times."""


@pytest.mark.parametrize("draw", DRAWS)
def test_thousands_of_scores_are_written_as_by_zrange(draw: Any, rng: random.Random, redis74_oracle: Any) -> None:
    drawn = [draw(rng) for _ in range(2000)]
    values = [value for value in drawn if math.isfinite(value) and value]
    members = [word for index, value in enumerate(values) for word in (repr(value).encode(), b"%d" % index)]

    *_, found = redis74_oracle.ask([[b"DEL", b"z"], [b"ZADD", b"z", *members], b"ZRANGE z 0 -1 WITHSCORES".split()])
    written = dict(zip(found[::2], found[1::2], strict=True))
    assert [format_double(value) for value in values] == [written[b"%d" % index] for index in range(len(values))]


def test_scores_are_written_the_same_in_resp3(redis74_oracle: Any) -> None:
    for value in (0.1, 3.0, 1e17, 1e23, -2.5e-300, float("inf"), float("-inf")):
        score = format_double(value)
        answer = redis74_oracle.converse(b"DEL z\r\nZADD z %b m\r\nHELLO 3\r\nZSCORE z m\r\n" % score)
        assert answer.endswith(b"\r\n," + score + b"\r\n")


@settings(max_examples=100, deadline=None)
@given(values=st.lists(st.one_of(integers, garbage, st.sampled_from(NASTY)), min_size=1, max_size=20))
def test_integers_are_those_of_incrby(values: list[bytes], redis_oracle: Any) -> None:
    commands = [command for value in values for command in ([b"SET", b"n", b"0"], [b"INCRBY", b"n", value])]

    for value, reply in zip(values, redis_oracle.ask(commands)[1::2], strict=True):
        assert outcome(parse_integer, value) == meant(reply), value


unsigned = st.builds(
    lambda blank, sign, zeros, value: f"{blank}{sign}{zeros}{value}".encode(),
    st.sampled_from(["", "", " ", "\t"]),
    st.sampled_from(["", "", "-", "+"]),
    st.sampled_from(["", "", "00"]),
    st.one_of(st.integers(0, 2**66), st.integers(2**64 - 3, 2**64 + 3), st.integers(2**63 - 3, 2**63 + 3), st.just("")),
)


@settings(max_examples=100, deadline=None)
@given(values=st.lists(unsigned, min_size=1, max_size=20))
def test_sequence_numbers_are_those_of_xadd(values: list[bytes], redis_oracle: Any) -> None:
    commands = [command for value in values for command in ([b"DEL", b"s"], [b"XADD", b"s", b"5-" + value, b"f", b"v"])]

    for value, reply in zip(values, redis_oracle.ask(commands)[1::2], strict=True):
        number = outcome(parse_unsigned, value)
        assert meant(reply) == (None if number is None else b"5-%d" % number), value


@settings(max_examples=50, deadline=None)
@given(points=st.lists(st.tuples(st.floats(-180, 180), st.floats(-85, 85)), min_size=1, max_size=20))
def test_coordinates_are_written_as_by_geopos(points: list[tuple[float, float]], redis_oracle: Any) -> None:
    commands = [
        command
        for longitude, latitude in points
        for command in (
            [b"DEL", b"g"],
            [b"GEOADD", b"g", b"%.17g" % longitude, b"%.17g" % latitude, b"m"],
            [b"GEOPOS", b"g", b"m"],
        )
    ]

    for [[longitude, latitude]] in redis_oracle.ask(commands)[2::3]:
        assert format_human(float(longitude)) == longitude
        assert format_human(float(latitude)) == latitude
