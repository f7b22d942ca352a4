"""Scores as integers: the same order, nothing lost."""

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.scores import HIGHEST, LOWEST, decode, encode

SCORES = st.floats(allow_nan=False)


@given(SCORES)
def test_a_score_comes_back_as_it_was(score: float) -> None:
    assert struct.pack(">d", decode(*encode(score))) == struct.pack(">d", score)


@given(SCORES, SCORES)
def test_keys_are_ordered_as_scores_are(one: float, other: float) -> None:
    assert (encode(one)[0] < encode(other)[0]) == (one < other)
    assert (encode(one)[0] == encode(other)[0]) == (one == other)


@given(SCORES)
def test_keys_lie_between_those_of_the_infinities_and_leave_room(score: float) -> None:
    assert -(2**63) < LOWEST <= encode(score)[0] <= HIGHEST < 2**63 - 1


@pytest.mark.parametrize("score", [0.0, 5e-324, -5e-324, 1.0, -1.0, 1.7976931348623157e308, math.inf, -math.inf])
def test_the_next_key_is_that_of_the_next_score(score: float) -> None:
    """So that a bound can be excluded by adding 1, across zero too."""
    after = math.nextafter(score, math.inf)
    keys = encode(score)[0], encode(after)[0]
    if score == -5e-324:
        assert keys == (-2, 0)
    elif not math.isinf(score):
        assert keys[1] == keys[0] + 1


def test_both_zeros_have_one_key_and_are_told_apart() -> None:
    assert encode(0.0) == (0, 0)
    assert encode(-0.0) == (0, 1)
    assert math.copysign(1, decode(0, 1)) == -1


def test_what_is_not_a_number_is_no_score() -> None:
    with pytest.raises(ValueError, match="number"):
        encode(math.nan)
