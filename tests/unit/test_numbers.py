"""Redis's grammar of numbers: the cases that differ from Python's."""

import math
import sys

import pytest

from protocol.numbers import (
    NotFiniteError,
    add_long_double,
    format_human,
    long_double_is_finite,
    parse_c_double,
    parse_double,
    parse_integer,
    parse_unsigned,
)


@pytest.mark.parametrize("value", [0, 1, -1, 10, 9223372036854775807, -9223372036854775808])
def test_canonical_integer_is_read(value: int) -> None:
    assert parse_integer(b"%d" % value) == value


@pytest.mark.parametrize(
    "data",
    [
        *b"- +1 -0 00 01 -01 1_0 0x1 1.0 1e3 9223372036854775808 -9223372036854775809".split(),
        *(b"", b" 1", b"1 ", b"1\n", b"1\0", b"\xd9\xa1", b"9" * 5000),
    ],
)
def test_any_other_spelling_of_an_integer_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"integer|literal"):
        parse_integer(data)


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"0", 0),
        (b"18446744073709551615", 2**64 - 1),
        (b"007", 7),
        (b"0" * 5000 + b"7", 7),
        (b"+7", 7),
        (b" \t\n\v\f\r7", 7),
        (b"-0", 0),
        (b"-01", 2**64 - 1),
        (b"-9223372036854775809", 2**63 - 1),
    ],
)
def test_unsigned_integer_is_read_as_c_does(data: bytes, value: int) -> None:
    assert parse_unsigned(data) == value


@pytest.mark.parametrize(
    "data",
    [b"", b"-1", b"-9223372036854775808", b"18446744073709551616", b"9" * 5000, b"7 ", b"0x7", b"+ 7", b"1_0", b"--1"],
)
def test_no_unsigned_integer_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="unsigned"):
        parse_unsigned(data)


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"1", 1.0),
        (b"+.5", 0.5),
        (b"5.", 5.0),
        (b"-1e3", -1000.0),
        (b"0x1P3", 8.0),
        (b"0x.8", 0.5),
        (b"-INFinity", float("-inf")),
        (b"0e99999999999999999999", 0.0),
        (b"0x0p-99999999999", 0.0),
        (b"5e-324", 5e-324),
        (b"0" * 6000 + b"1", 1.0),
    ],
)
def test_double_is_read(data: bytes, value: float) -> None:
    assert parse_double(data) == value


@pytest.mark.parametrize(
    "data",
    [
        *b". e5 1e 1e+ 0x 0x. 0x1p --1 1_0 1,5 nan -nan nan(1) infin 1e309 -1e309 1e-400 0x1p1024 0x1p-1080".split(),
        *(b"", b" 1", b"1 ", b"1\0", b"\xb2", b"9" * 400),
    ],
)
def test_no_double_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="double"):
        parse_double(data)


def test_coordinates_are_written_with_17_decimals() -> None:
    assert [format_human(value) for value in (13.361389338970184, -0.5, 2.0, -0.0, 1e-30)] == (
        [b"13.36138933897018433", b"-0.5", b"2", b"0", b"0"]
    )


@pytest.mark.parametrize(
    ("a", "b", "total"),
    [
        (b"10.50", b"0.1", b"10.6"),
        (b"5.0e3", b"2.0e2", b"5200"),
        (b"0.1", b"0.2", b"0.3"),
        (b"0x10", b"0x.8p1", b"17"),
        (b"3", b"-3", b"0"),
        (b"-0", b"-1e-30", b"0"),
        (b"18446744073709551615", b"1", b"18446744073709551616"),
        (b"18446744073709551616", b"1", b"18446744073709551616"),
        (b"0x1p4000", b"0x1p-4000", b"%d" % 2**4000),
    ],
)
def test_sum_has_extended_precision(a: bytes, b: bytes, total: bytes) -> None:
    assert add_long_double(a, b) == total
    assert add_long_double(b, a) == total


def test_greatest_numbers_have_5000_digits() -> None:
    total = add_long_double(b"9" * 4932, b"0")

    assert len(total) == 4933
    assert total.startswith(b"1000000000000000000")
    with pytest.raises(NotFiniteError):
        add_long_double(b"1.18e4932", b"1.18e4932")
    with pytest.raises(NotFiniteError):
        add_long_double(b"inf", b"1")


@pytest.mark.parametrize(
    "data", [b"", b"nan", b" 1", b"1 ", b"1e4933", b"1e-4960", b"0x", b"9" * 5120, b"1e" + b"9" * 5000, b"1_0"]
)
def test_no_long_double_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="long double"):
        long_double_is_finite(data)
    with pytest.raises(ValueError, match="long double"):
        add_long_double(data, b"1")
    with pytest.raises(ValueError, match="long double"):
        add_long_double(b"1", data)


def test_infinity_is_a_long_double_that_is_not_finite() -> None:
    assert all(map(long_double_is_finite, [b"1", b"0e" + b"9" * 5000, b"1e-4940", b"0" * 5119]))
    assert not any(map(long_double_is_finite, [b"inf", b"-INFINITY"]))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"", 0.0), (b"\0x", 0.0), (b" \t\n\v\f\r7", 7.0), (b"1\0abc", 1.0), (b"-INF", -math.inf), (b"0x.8", 0.5),
        (b"2.2250738585072014e-308", sys.float_info.min), (b"0x1p-1074", 5e-324), (b"-0x1.8p-1073", -1.5e-323),
        (b"0e-400", 0.0),
    ],
)  # fmt: skip
def test_c_double_is_what_strtod_takes_whole(text: bytes, value: float) -> None:
    assert parse_c_double(text) == value


@pytest.mark.parametrize(
    "text",
    [
        b" ", b"1 ", b"x", b"1e", b"0x", b"nan", b"1_0", b"5e-324", b"-1e-310", b"0x1.8p-1074", b"1e-400", b"1e400",
        b"0x1p5000", "\u0663".encode(),
    ],
)  # fmt: skip
def test_c_double_is_refused_where_strtod_stops_early_or_sees_a_range_error(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"double"):
        parse_c_double(text)
