"""Doubles in few digits, as Redis writes them since 7.2: the algorithm Grisu2 and a layout of its own.

Grisu2 (Florian Loitsch, "Printing Floating-Point Numbers Quickly and Accurately with Integers", 2010) finds digits that
read back as the same double with 64-bit integers alone. It keeps clear of the edges of the interval of all numbers that
read so, where 64 bits cannot tell, and therefore gives a digit too many once in a few hundred times: `repr()`, which is
exact, is no substitute. The same digits need the same powers of ten, cut to 64 bits, and the same comparisons. The
oracle is a running Redis 7.4 (`tests/property/test_numbers_against_redis.py`).
"""

import math
from functools import lru_cache
from itertools import count
from typing import Final

_WORD: Final = 64
_MANTISSA_BITS: Final = 53
_LEAST_EXPONENT: Final = -1074
_POWER_OF_TWO: Final = 1 << (_MANTISSA_BITS - 1)
"""The mantissa of a power of two."""

_MAX_INTEGER: Final = 2.0**62
"""Up to here Redis writes an integral double by way of a 64-bit integer, with all its digits."""

_REMEMBERED: Final = 16_384
"""Doubles whose text is kept, some 2 MB: making one takes 3 µs, which adds up where the same scores are read often."""


def format_double(value: float) -> bytes:
    """A score as Redis writes it, in RESP2 and RESP3: `3`, `0.1`, `1.5e-7`, `-0`, `inf`, `-inf`, `nan`."""
    if value.is_integer() and -_MAX_INTEGER <= value <= _MAX_INTEGER:
        return b"%d" % value if value or math.copysign(1.0, value) > 0 else b"-0"
    return _text(value)


@lru_cache(_REMEMBERED)
def _text(value: float) -> bytes:
    """The text of a double that is not a small integer."""
    exact = repr(value)
    # The edges are halfway between two doubles. A number of d decimals is as much as 1/(4 * 5**d) of that distance away
    # from them, if it is none; Grisu2 stays clear of them by less than 1/512. So for three decimals both see the same,
    # and at fifteen digits or fewer there is but one candidate.
    if (len(exact) <= 16 and "." in exact[-4:] and "e" not in exact) or not math.isfinite(value):
        return exact.encode()
    size = len(exact.partition("e")[0].replace(".", "").lstrip("-0"))
    digits, exponent = _shortest(abs(value), size)
    return (b"-" if value < 0 else b"") + _laid_out(b"%d" % digits, exponent)


def _shortest(value: float, size: int) -> tuple[int, int]:
    """Digits, at least `size` of them, and an exponent of ten: together `value`, which is positive and finite."""
    exponent = max(math.frexp(value)[1] - _MANTISSA_BITS, _LEAST_EXPONENT)
    mantissa = int(math.ldexp(value, -exponent))
    # The points halfway to the neighbours, the upper one as a whole word. Below a power of two doubles are closer.
    upper = 2 * mantissa + 1
    shift = _WORD - upper.bit_length()
    lower = (4 * mantissa - 1) << (shift - 1) if mantissa == _POWER_OF_TWO else (2 * mantissa - 1) << shift
    power, point, decimal = _scaling(exponent - 1 - shift)
    high = _upper_word((upper << shift) * power) - 1
    low = _upper_word(lower * power) + 1
    near = _upper_word((mantissa << shift + 1) * power)
    digits, place = _cut_off(high, high - low, high - near, point, size)
    return digits, place + decimal


def _upper_word(product: int) -> int:
    return (product + (1 << (_WORD - 1))) >> _WORD


def _cut_off(high: int, width: int, above: int, point: int, size: int) -> tuple[int, int]:
    """The fewest digits of `high`, at least `size`, that are less than `width` below it, and the place of the last one.

    Then the last digit is counted down towards the value, which is `above` below `high`. All numbers have `point`
    binary places.
    """
    for place in count(len(b"%d" % (high >> point)) - size, -1):
        unit, scale = (10**place << point, 1) if place >= 0 else (1 << point, 10**-place)
        digits, rest = divmod(high * scale, unit)
        allowed = width * scale
        if rest < allowed or (rest == allowed and place >= 0):
            break
    above *= scale
    while rest < above and allowed - rest >= unit and (rest + unit < above or above - rest > rest + unit - above):
        digits -= 1
        rest += unit
    return digits, place


# Powers of ten, one in eight, as words: whichever gives a product with 32 to 60 binary places will do, but which one is
# taken decides some digits.

_FIRST: Final = -348
_STEP: Final = 8
_POWERS: Final = 87
_LOG10_2: Final = 0.30102999566398114


@lru_cache(4096)
def _scaling(exponent: int) -> tuple[int, int, int]:
    """What a word times 2**exponent is multiplied by, the binary places of the product's upper word, and the exponent
    of ten that undoes it."""
    index = int((int(-(exponent + _POWERS) * _LOG10_2) - _FIRST) / _STEP)
    while True:
        decimal = _FIRST + index * _STEP
        power, binary = _power_of_ten(decimal)
        point = -(exponent + binary + _WORD)
        if 32 <= point <= 60:
            return power, point, -decimal
        index += 1 if point > 60 else -1


def _power_of_ten(decimal: int) -> tuple[int, int]:
    """10**decimal as a word whose upper bit is set, rounded to nearest, and an exponent of two."""
    numerator, denominator = 10 ** max(decimal, 0), 10 ** max(-decimal, 0)
    binary = numerator.bit_length() - denominator.bit_length() - _WORD
    if numerator << max(-binary, 0) >= denominator << max(binary, 0) + _WORD:
        binary += 1
    numerator <<= max(-binary, 0)
    denominator <<= max(binary, 0)
    return (2 * numerator + denominator) // (2 * denominator), binary


def _laid_out(digits: bytes, exponent: int) -> bytes:
    """`digits` times 10**exponent, which is no small integer, with an exponent where there would be many zeros."""
    size = len(digits)
    leading = size + exponent - 1
    if exponent >= 0 and leading < size + 7:
        return digits + b"0" * exponent
    if -7 < exponent < 0 or (exponent < 0 and abs(leading) < 4):
        whole = size + exponent
        return digits[:whole] + b"." + digits[whole:] if whole > 0 else b"0." + b"0" * -whole + digits
    return b"%b%b%be%+d" % (digits[:1], b"." if size > 1 else b"", digits[1:], leading)
