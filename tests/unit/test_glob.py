"""Patterns: what they match, and that no pattern takes long."""

import pytest

from protocol.glob import Glob, compile_glob, matches


@pytest.mark.parametrize(
    ("pattern", "data"),
    [
        (b"", b""),
        (b"*", b"a\nb"),
        (b"a*c", b"ac"),
        (b"a*c", b"abcbc"),
        (b"*a*b*", b"xaybz"),
        (b"a*b*a", b"aba"),
        (b"h?llo", b"h\nllo"),
        (b"h[ae]llo", b"hallo"),
        (b"h[^e]llo", b"hallo"),
        (b"[c-a]", b"b"),
        (b"[a-]x", b"^"),  # a range from a to ], then an unclosed class
        (b"[\\]]", b"]"),
        (b"[^]", b"x"),
        (b"[ab", b"b"),
        (b"[^", b"x"),
        (b"\\*", b"*"),
        (b"a\\", b"a\\"),
        (b"\xff*", b"\xff\0"),
        (b"*[ab]?", b"xxay"),
    ],
)
def test_pattern_matches(pattern: bytes, data: bytes) -> None:
    assert matches(pattern, data)


@pytest.mark.parametrize(
    ("pattern", "data"),
    [
        (b"", b"a"),
        (b"*", b""),
        (b"**", b""),
        (b"a", b"A"),
        (b"a", b"a\n"),
        (b"a*c", b"abcd"),
        (b"aba*aba", b"aba"),
        (b"ab*bc", b"abc"),
        (b"?", b""),
        (b"?", b"ab"),
        (b"[]", b"x"),
        (b"[", b"["),
        (b"[^a]", b"a"),
        (b"\\*", b"a"),
        (b"*[ab]*c", b"bd"),
    ],
)
def test_pattern_does_not_match(pattern: bytes, data: bytes) -> None:
    assert not matches(pattern, data)


def test_case_is_folded_on_request_except_behind_a_backslash_in_a_class() -> None:
    assert matches(b"MaxMem*", b"maxmemory", nocase=True)
    assert matches(b"[A-F]x", b"eX", nocase=True)
    assert not matches(b"[\\A]", b"a", nocase=True)


def test_compiled_pattern_tells_what_an_index_can_use() -> None:
    assert Glob(b"user:\\*:*").prefix == b"user:*:"
    assert Glob(b"user:?x").prefix == b"user:"
    assert Glob(b"user*", nocase=True).prefix == b""
    assert Glob(b"a\\*b").literal == b"a*b"
    assert Glob(b"a?").literal is None
    assert Glob(b"a*").literal is None
    assert Glob(b"*").everything
    assert not Glob(b"**").everything


def test_recent_patterns_are_compiled_once_and_long_ones_not_kept() -> None:
    assert compile_glob(b"cached:*") is compile_glob(b"cached:*")
    assert compile_glob(b"a" * 2000) is not compile_glob(b"a" * 2000)


@pytest.mark.parametrize(
    ("pattern", "data"),
    [
        (b"a*" * 5000 + b"b", b"a" * 20_000),
        (b"*[ab]" * 5000 + b"*b", b"a" * 20_000),
        (b"*?a" * 2000 + b"c", b"a" * 20_000),
        (b"*" * 100_000 + b"b", b"a" * 20_000),
        (b"?" * 100_000 + b"*", b"a" * 20_000),
        (b"[" * 100_000, b"a" * 20_000),
        (b"*" + b"a" * 1000 + b"b*", b"a" * 200_000),
    ],
    ids=["stars", "classes", "questions", "only stars", "too long", "unclosed", "long segment"],
)
def test_patterns_that_take_a_backtracking_matcher_for_ever_end(pattern: bytes, data: bytes) -> None:
    # Where trying again is possible at each of thousands of stars, exponential or even cubic time would never end.
    assert not matches(pattern, data)


def test_each_segment_is_searched_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from protocol import glob

    searches = 0
    find = glob._Piece.find

    def counting_find(piece: glob._Piece, data: bytes, start: int, stop: int) -> int:
        nonlocal searches
        searches += 1
        return find(piece, data, start, stop)

    monkeypatch.setattr(glob._Piece, "find", counting_find)

    assert not matches(b"*[ab]" * 300 + b"*c*d", b"a" * 5000 + b"d")
    assert searches == 301
