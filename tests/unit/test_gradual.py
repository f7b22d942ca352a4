"""Gradual sorting gives what `sorted` gives, whatever is sorted and however much."""

import random
from operator import itemgetter

import pytest

from storage.gradual import TOGETHER, gradually_sorted


@pytest.mark.parametrize("count", [0, 1, 2, TOGETHER - 1, TOGETHER, TOGETHER + 1, 3 * TOGETHER + 5])
@pytest.mark.parametrize("reverse", [False, True])
def test_equal_ones_stay_in_their_order(count: int, reverse: bool) -> None:
    numbers = random.Random(count)
    items = [(numbers.randrange(1 + count // 3), place) for place in range(count)]
    key = itemgetter(0)

    assert list(gradually_sorted(iter(items), key=key, reverse=reverse)) == sorted(items, key=key, reverse=reverse)
    assert list(gradually_sorted(items, reverse=reverse)) == sorted(items, reverse=reverse)
    assert items == [(number, place) for place, (number, _) in enumerate(items)]
