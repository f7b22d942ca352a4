"""Redis's own grammar of numbers: what it reads as one, and how it writes one (doubles: `shortest`).

Python's `int()` and `float()` accept underscores, blanks, plus signs and leading zeros where Redis does not, so each
function here judges the text first. The oracle of all of it is a running redis-server on x86-64, whose
`INCRBYFLOAT` works in 80-bit extended precision; that arithmetic is done here with integers.
"""

import math
import re
import sys
from fractions import Fraction
from typing import Final

MIN_INTEGER: Final = -(2**63)
MAX_INTEGER: Final = 2**63 - 1
MAX_UNSIGNED: Final = 2**64 - 1

_UNSIGNED = re.compile(rb"[ \t\n\v\f\r]*([+-]?)([0-9]+)")
_DECIMAL = re.compile(rb"([+-]?)([0-9]*)(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]+))?")
_HEXADECIMAL = re.compile(rb"([+-]?)0[xX]([0-9a-fA-F]*)(?:\.([0-9a-fA-F]*))?(?:[pP]([+-]?[0-9]+))?")
_INFINITE = re.compile(rb"([+-]?)inf(?:inity)?", re.IGNORECASE)

_LONGEST_NUMBER: Final = 5 * 1024
"""Redis refuses as a long double what has this many bytes or more."""

# Extended precision: a value is mantissa * 2**exponent.
_MANTISSA_BITS: Final = 64
_MIN_EXPONENT: Final = -16445
_MAX_EXPONENT: Final = 16384 - _MANTISSA_BITS
_FAR: Final = 20000
"""A decimal exponent beyond which a number of at most 5 KiB is infinite or zero for sure."""


class NotFiniteError(ArithmeticError):
    """A sum is infinite or no number: INCRBYFLOAT's `increment would produce NaN or Infinity`."""


def parse_integer(data: bytes) -> int:
    """The signed 64-bit integer that `data` spells in the one canonical way; ValueError if it does not.

    No plus, no blanks, no leading zeros, no `-0`.
    """
    if len(data) > 20:
        raise ValueError("not a 64-bit integer")
    value = int(data)
    if b"%d" % value != data or not MIN_INTEGER <= value <= MAX_INTEGER:
        raise ValueError("not a 64-bit integer")
    return value


def parse_unsigned(data: bytes) -> int:
    """The unsigned 64-bit integer of a stream ID or a cursor; ValueError if `data` is none.

    A canonical negative integer is refused, but everything else goes to C's `strtoull`, which allows leading blanks,
    zeros and a sign, takes a negative number modulo 2**64 and stops at a NUL: Redis reads the ID `007-1` as `7-1`.
    """
    data = data.partition(b"\0")[0]
    match = _UNSIGNED.fullmatch(data)
    if match is None:
        raise ValueError("not an unsigned 64-bit integer")
    sign, digits = match.groups()
    significant = digits.lstrip(b"0")
    if len(significant) > 20:
        raise ValueError("not an unsigned 64-bit integer")
    value = int(significant or b"0")
    if value > MAX_UNSIGNED:
        raise ValueError("not an unsigned 64-bit integer")
    if sign != b"-":
        return value
    if value <= -MIN_INTEGER and b"-%d" % value == data and value:
        raise ValueError("not an unsigned 64-bit integer")
    return -value & MAX_UNSIGNED


def parse_double(data: bytes) -> float:
    """The double that `data` spells as C's `strtod` reads it; ValueError if it does not.

    Decimal and hexadecimal numbers, `inf` and `infinity` in any case. No blanks, no NaN, nothing that overflows or
    that underflows to zero.
    """
    match = _DECIMAL.fullmatch(data)
    if match is not None and (match[2] or match[3]):
        value = float(data)
    elif (match := _HEXADECIMAL.fullmatch(data)) is not None and (match[2] or match[3]):
        try:
            value = _from_hexadecimal(match)
        except OverflowError:
            value = math.inf
    elif _INFINITE.fullmatch(data):
        return float(data)
    else:
        raise ValueError("not a double")
    if math.isinf(value) or (value == 0 and _has_digits(match)):
        raise ValueError("out of a double's range")
    return value


def parse_bound(data: bytes) -> float:
    """A bound of a range of scores, which Redis reads by bare `strtod`; ValueError if `data` is none.

    Blanks in front are skipped, nothing at all is 0, a NUL ends the number, what overflows is infinite.
    """
    text = data.partition(b"\0")[0]
    if not text:
        return 0.0
    text = text.lstrip(b" \t\n\v\f\r")
    match = _DECIMAL.fullmatch(text)
    if (match is not None and (match[2] or match[3])) or _INFINITE.fullmatch(text):
        return float(text)
    match = _HEXADECIMAL.fullmatch(text)
    if match is None or not (match[2] or match[3]):
        raise ValueError("not a double")
    try:
        return _from_hexadecimal(match)
    except OverflowError:
        return -math.inf if match[1] == b"-" else math.inf


def parse_c_double(data: bytes) -> float:
    """The double that C's `strtod` makes of the bytes up to a NUL; ValueError if it does not take all of them.

    As `parse_double`, but blanks may come first, nothing at all is zero, and what is less than the least normal number
    must be exact, which is where glibc sees a range error.
    """
    text = data.partition(b"\0")[0]
    if not text:
        return 0.0
    text = text.lstrip(b" \t\n\v\f\r")
    value = parse_double(text)
    if 0 < abs(value) < sys.float_info.min and _exact(text) != Fraction(value):
        raise ValueError("out of a double's range")
    return value


def _exact(number: bytes) -> Fraction:
    """What a number says without rounding; its exponent is not far from that of a double."""
    match = _HEXADECIMAL.fullmatch(number)
    if match is None:
        return Fraction(number.decode("ascii"))
    sign, whole, fraction, power = match.groups(b"")
    exponent = _exponent(power) - 4 * len(fraction)
    return int(sign + whole + fraction, 16) * Fraction(2) ** exponent


def format_human(value: float) -> bytes:
    """A double as GEOPOS writes it: 17 decimals, without trailing zeros."""
    return _trim(b"%.17f" % value)


def add_long_double(a: bytes, b: bytes) -> bytes:
    """The sum of two numbers as INCRBYFLOAT computes and writes it: 80-bit arithmetic, 17 decimals, zeros trimmed.

    ValueError: `a` or `b` is no number (`value is not a valid float`). NotFiniteError: the sum is infinite or no
    number (`increment would produce NaN or Infinity`).
    """
    left = _parse_long_double(a)
    right = _parse_long_double(b)
    if left is None or right is None:
        raise NotFiniteError
    mantissa, exponent = left
    other, other_exponent = right
    if exponent > other_exponent:
        mantissa <<= exponent - other_exponent
        exponent = other_exponent
    else:
        other <<= other_exponent - exponent
    total = _round_to_extended(mantissa + other, 1, exponent)
    if total is None:
        raise NotFiniteError
    return _format_long_double(*total)


def long_double_is_finite(data: bytes) -> bool:
    """Whether a number as INCRBYFLOAT reads it is finite; ValueError if it is none. HINCRBYFLOAT refuses infinity."""
    return _parse_long_double(data) is not None


def _from_hexadecimal(match: re.Match[bytes]) -> float:
    return float.fromhex(match[0].decode("ascii"))


def _has_digits(match: re.Match[bytes]) -> bool:
    """Whether the number has a digit other than zero, not counting its exponent."""
    return bool((match[2] + (match[3] or b"")).strip(b"0"))


def _trim(text: bytes) -> bytes:
    """`%.17f` as Redis shows it: without trailing zeros and point, and zero without a sign."""
    if b"." in text:
        text = text.rstrip(b"0").rstrip(b".")
    return b"0" if text == b"-0" else text


# Extended precision, as x87 computes: 64 bits of mantissa, rounded to nearest, ties to even.


def _parse_long_double(data: bytes) -> tuple[int, int] | None:
    """`data` as mantissa and exponent of two, None if it is infinite; ValueError if it is no number."""
    if len(data) >= _LONGEST_NUMBER:
        raise ValueError("not a long double")
    if (match := _DECIMAL.fullmatch(data)) is not None and (match[2] or match[3]):
        sign, whole, fraction, power = match.groups(b"")
        numerator = _integer(whole + fraction)
        scale = _exponent(power) - len(fraction)
        denominator = 1
        exponent = 0
        if numerator and scale > 0:
            numerator *= 10 ** min(scale, _FAR)
        elif numerator and scale < 0:
            denominator = 10 ** min(-scale, _FAR)
    elif (match := _HEXADECIMAL.fullmatch(data)) is not None and (match[2] or match[3]):
        sign, whole, fraction, power = match.groups(b"")
        numerator = int(whole + fraction, 16)
        denominator = 1
        exponent = _exponent(power) - 4 * len(fraction)
    elif _INFINITE.fullmatch(data):
        return None
    else:
        raise ValueError("not a long double")
    if not numerator:
        return 0, 0
    value = _round_to_extended(-numerator if sign == b"-" else numerator, denominator, exponent)
    if value is None or value[0] == 0:
        raise ValueError("out of a long double's range")
    return value


def _exponent(digits: bytes) -> int:
    """An exponent's value; beyond nine digits only its sign matters."""
    sign, digits = digits[:1], digits.lstrip(b"+-").lstrip(b"0")
    value = int(digits or b"0") if len(digits) <= 9 else 10**9
    return -value if sign == b"-" else value


def _round_to_extended(numerator: int, denominator: int, exponent: int) -> tuple[int, int] | None:
    """`numerator / denominator * 2**exponent` to the nearest extended value; None when that is infinite."""
    size = abs(numerator)
    length = size.bit_length()
    if denominator == 1 and length <= _MANTISSA_BITS and exponent >= _MIN_EXPONENT:
        mantissa = size
    elif not size or length - denominator.bit_length() + exponent < _MIN_EXPONENT - 1:
        return 0, 0
    else:
        # One bit more than needed at least, so that "half" can be told; the remainder says whether it is exact.
        shift = _MANTISSA_BITS + 1 - (length - denominator.bit_length())
        if shift >= 0:
            quotient, remainder = divmod(size << shift, denominator)
        else:
            quotient, remainder = divmod(size, denominator << -shift)
        exponent -= shift
        surplus = quotient.bit_length() - _MANTISSA_BITS
        if exponent + surplus < _MIN_EXPONENT:
            surplus = _MIN_EXPONENT - exponent
        mantissa = _shift_to_nearest_even(quotient, surplus, remainder != 0)
        exponent += surplus
    if mantissa and mantissa.bit_length() + exponent > _MAX_EXPONENT + _MANTISSA_BITS:
        return None
    return (-mantissa if numerator < 0 else mantissa), exponent


def _shift_to_nearest_even(value: int, bits: int, inexact: bool = False) -> int:
    """`value >> bits` rounded to nearest, ties to even; `inexact`: the true value is a little above `value`."""
    if bits <= 0:
        return value << -bits
    rest = value & ((1 << bits) - 1)
    half = 1 << (bits - 1)
    value >>= bits
    if rest > half or (rest == half and (inexact or value & 1)):
        value += 1
    return value


def _format_long_double(mantissa: int, exponent: int) -> bytes:
    """`mantissa * 2**exponent` as `%.17Lf` writes it, trimmed."""
    sign = b"-" if mantissa < 0 else b""
    size = abs(mantissa)
    if exponent >= 0:
        return sign + _digits(size << exponent)
    whole, fraction = divmod(_shift_to_nearest_even(size * 10**17, -exponent), 10**17)
    return _trim(b"%b%b.%017d" % (sign, _digits(whole), fraction))


# Python refuses to convert more than 4,300 digits at once (a guard against quadratic time); numbers here have at most
# 5,119, so two halves do.

_HALF: Final = 2560
_HALF_UNIT: Final[int] = 10**_HALF
_PLAIN_BITS: Final = 14_000
"""An integer of fewer bits than these has fewer than 4,300 digits."""


def _integer(digits: bytes) -> int:
    digits = digits.lstrip(b"0")
    if len(digits) <= _HALF:
        return int(digits or b"0")
    return int(digits[:-_HALF]) * _HALF_UNIT + int(digits[-_HALF:])


def _digits(value: int) -> bytes:
    if value.bit_length() < _PLAIN_BITS:
        return b"%d" % value
    high, low = divmod(value, _HALF_UNIT)
    return b"%d%0*d" % (high, _HALF, low)
