"""Doubles in few digits: what Redis 7.4 gave."""

import math
import random

import pytest

from protocol.shortest import format_double


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, b"0"), (-0.0, b"-0"), (3.0, b"3"), (-7.0, b"-7"), (3.14, b"3.14"), (-1.5, b"-1.5"), (0.1, b"0.1"),
        (math.inf, b"inf"), (-math.inf, b"-inf"), (math.nan, b"nan"),
        # With an exponent when there would be many zeros.
        (1e-5, b"0.00001"), (1e-7, b"1e-7"), (1.234e-6, b"1.234e-6"), (1.5e-7, b"1.5e-7"), (1e20, b"1e+20"),
        (1.5e300, b"1.5e+300"), (5e-324, b"5e-324"), (1.7976931348623157e308, b"1.7976931348623157e+308"),
        # Integers are exact up to 2**62.
        (9007199254740993.0, b"9007199254740992"), (123456789012345678.0, b"123456789012345680"),
        (2.0**62, b"4611686018427387904"), (2.0**63, b"9223372036854776000"), (2.0**64, b"18446744073709552000"),
        # Where 64 bits are too few for the shortest form.
        (73.8882683, b"73.88826829999999"), (0.596070202339888, b"0.5960702023398879"),
        (1.2779e-266, b"1.2778999999999999e-266"), (2.0**-417, b"2.9545531576914355e-126"),
    ],
)  # fmt: skip
def test_examples(value: float, text: bytes) -> None:
    assert format_double(value) == text


def test_what_is_written_means_the_number() -> None:
    source = random.Random(741)
    values = [source.uniform(-1, 1) * 10.0 ** source.randint(-320, 308) for _ in range(10_000)]

    assert [float(format_double(value)) for value in values] == values
