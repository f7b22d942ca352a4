"""Random patterns match the same strings as in redis-server."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.glob import Glob, matches

symbols = [bytes((byte,)) for byte in b"ab-]^[\\A\xff\n"]
keys = st.lists(st.sampled_from(symbols), max_size=6).map(b"".join)
parts = st.sampled_from(
    [*symbols, b"*", b"*", b"**", b"?", b"[ab]", b"[^a]", b"[a-]", b"[b-A]", b"[\\", b"\\*", b"[]a]", b"[^-b]"]
)
patterns = st.lists(parts, max_size=7).map(b"".join)


@st.composite
def likely_patterns(draw: st.DrawFn, key: bytes) -> bytes:
    """A pattern made from a key, so that many match."""
    pattern = b""
    for byte in key:
        own = bytes((byte,))
        pattern += draw(
            st.sampled_from([own, b"\\" + own, b"?", b"*", b"*" + own, b"[a-" + own + b"]", b"[" + own + b"]", b""])
        )
    return pattern + draw(st.sampled_from([b"", b"*", b"[", b"\\"]))


@settings(max_examples=150, deadline=None)
@given(data=st.data(), keys=st.lists(keys, min_size=1, max_size=20, unique=True))
def test_keys_finds_the_same(data: st.DataObject, keys: list[bytes], redis_oracle: Any) -> None:
    asked = data.draw(st.lists(st.one_of(patterns, likely_patterns(keys[0])), min_size=1, max_size=20))
    commands = [[b"FLUSHALL"], [b"MSET", *[word for key in keys for word in (key, b"")]]]

    replies = redis_oracle.ask(commands + [[b"KEYS", pattern] for pattern in asked])[2:]

    for pattern, found in zip(asked, replies, strict=True):
        glob = Glob(pattern)
        assert {key for key in keys if glob.everything or glob.matches(key)} == set(found), pattern
        assert all(key.startswith(glob.prefix) for key in found)
        assert glob.literal is None or found in ([], [glob.literal])


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_case_is_folded_the_same(data: st.DataObject, redis_oracle: Any) -> None:
    names = redis_oracle.ask([[b"COMMAND", b"LIST"]])[0]
    word = bytearray(data.draw(st.sampled_from(sorted(names))).upper())
    for _ in range(data.draw(st.integers(0, 3))):
        place = data.draw(st.integers(0, len(word)))
        inserted = [b"*", b"?", b"[A-F]", b"[f-a]", b"[^G-z]", b"[\\A-G]", b"[a", b"\\T", b"[A-z]", b"[_-a]", b"[X-b]"]
        word[place : place + 1] = data.draw(st.sampled_from(inserted))
    pattern = bytes(word)

    found = redis_oracle.ask([[b"COMMAND", b"LIST", b"FILTERBY", b"PATTERN", pattern]])[0]

    assert {name for name in names if matches(pattern, name, nocase=True)} == set(found)
