"""LCS by bits against the plain table, with the same choice among equally long subsequences as Redis."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.commands.lcs import join_pairs, lcs_length, lcs_pairs


def plain_pairs(a: bytes, b: bytes) -> list[tuple[int, int]]:
    """The textbook's table and the walk back through it."""
    table = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            same = a[i - 1] == b[j - 1]
            table[i][j] = table[i - 1][j - 1] + 1 if same else max(table[i - 1][j], table[i][j - 1])
    pairs = []
    i, j = len(a), len(b)
    while i and j:
        if a[i - 1] == b[j - 1]:
            i, j = i - 1, j - 1
            pairs.append((i, j))
        elif table[i - 1][j] > table[i][j - 1]:
            i -= 1
        else:
            j -= 1
    return pairs


few_letters = st.lists(st.sampled_from(b"abc"), max_size=24).map(bytes)


@given(few_letters, few_letters)
def test_bits_and_table_walk_the_same_way(a: bytes, b: bytes) -> None:
    expected = plain_pairs(a, b)
    assert lcs_pairs(a, b) == expected
    assert lcs_length(a, b) == len(expected)


@given(st.binary(max_size=40), st.binary(max_size=4))
def test_bits_and_table_agree_for_any_bytes_and_very_different_lengths(a: bytes, b: bytes) -> None:
    assert lcs_pairs(a, b) == plain_pairs(a, b)
    assert lcs_pairs(b, a) == plain_pairs(b, a)


@pytest.mark.parametrize(
    ("pairs", "ranges"),
    [
        ([], []),
        ([(0, 0)], [(0, 0, 0, 0)]),
        ([(7, 8), (6, 7), (5, 6), (4, 5), (3, 3), (2, 2)], [(4, 7, 5, 8), (2, 3, 2, 3)]),
        ([(3, 3), (2, 1)], [(3, 3, 3, 3), (2, 2, 1, 1)]),
    ],
)
def test_neighbouring_pairs_are_joined(pairs: list[tuple[int, int]], ranges: list[tuple[int, ...]]) -> None:
    assert list(join_pairs(pairs)) == ranges


@pytest.mark.parametrize(("a", "b"), [(11_000, 12_000), (1, 30_000_000), (30_000_000, 1)])
def test_the_largest_strings_allowed_take_no_minute(a: int, b: int) -> None:
    started = time.process_time()
    assert lcs_pairs(b"ab" * (a // 2) + b"a", b"a" * b)
    assert time.process_time() - started < 20
