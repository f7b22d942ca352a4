"""Random commands about sets, for state machines; Redis 7.4 is the one to ask.

Few members, so that sets meet each other: integers, and short and long others.  Left out is what may be answered in
more than one way: random members of sets of more than one, orders of large sets.
"""

from collections.abc import Sequence

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

Command = tuple[bytes, ...]
Words = SearchStrategy[tuple[bytes, ...]]

#: Too long for a row of the table.
_LONG = b"".join(b"%07d|" % n for n in range(9000))
_SHORT = [b"a", b"b", b"c", b"", b"01", b"\x00\r\n\xff", b"x" * 64]
_INTEGERS = [b"0", b"-1", b"2", b"3", b"10", b"9223372036854775807", b"-9223372036854775808"]
_MANY = [tuple(b"m%d" % number for number in range(127)), tuple(b"%d" % number for number in range(128))]
_SCAN = [(), (b"COUNT", b"1"), (b"MATCH", b"[ab]"), (b"COUNT", b"0"), (b"FOO",)]


def _any(options: Sequence[bytes]) -> SearchStrategy[bytes]:
    return st.integers(0, len(options) - 1).map(lambda number: options[number])


def _words(*parts: SearchStrategy[bytes] | Words | bytes) -> Words:
    """The parts one after the other, each one word or several."""

    def flat(drawn: tuple[bytes | tuple[bytes, ...], ...]) -> tuple[bytes, ...]:
        return tuple(word for part in drawn for word in ((part,) if isinstance(part, bytes) else part))

    return st.tuples(*(st.just(part) if isinstance(part, bytes) else part for part in parts)).map(flat)


def unnamed(strategy: SearchStrategy[Command]) -> SearchStrategy[Command]:
    """The same without all it consists of, which Hypothesis likes to print."""

    @st.composite
    def drawn(draw: st.DrawFn) -> Command:
        return draw(strategy)

    return drawn()


def commands(names: Sequence[bytes], *, long: bool = True) -> SearchStrategy[Command]:
    """One command about sets of these names. Without `long`, none has members that make the order undefined; only 127
    members at once may."""
    key = _any(names)
    member = _any([*_SHORT, *_INTEGERS, b"y" * 65, _LONG] if long else [*_SHORT, *_INTEGERS])
    members = st.one_of(
        st.lists(member, min_size=1, max_size=4).map(tuple),
        st.lists(_any(_INTEGERS), min_size=1, max_size=4).map(tuple),
    )
    added = st.one_of(members, members, members, st.sampled_from(_MANY)) if long else members
    keys = st.lists(key, min_size=1, max_size=3).map(tuple)
    counted = keys.map(lambda found: (b"%d" % len(found), *found))
    limit = st.sampled_from([(), (), (b"LIMIT", b"1"), (b"LIMIT", b"0"), (b"limit", b"-1"), (b"FOO",)])
    count = _any([b"0", b"1000", b"-1", b"abc"])
    return unnamed(st.one_of(
        _words(b"SADD", key, added), _words(b"SADD", key, added), _words(b"SADD", key, added),
        _words(b"SREM", key, members), _words(b"SMOVE", key, key, member), _words(b"SMOVE", key, key, member),
        _words(b"SCARD", key), _words(b"SISMEMBER", key, member), _words(b"SMISMEMBER", key, members),
        _words(b"SMEMBERS", key), _words(b"SPOP", key, count), _words(b"SRANDMEMBER", key, count),
        _words(b"SSCAN", key, b"0", st.sampled_from(_SCAN)), _words(b"SINTERCARD", counted, limit),
        _words(_any([b"SINTER", b"SUNION", b"SDIFF"]), keys), _words(_any([b"SINTER", b"SUNION", b"SDIFF"]), keys),
        _words(_any([b"SINTERSTORE", b"SUNIONSTORE", b"SDIFFSTORE"]), key, keys),
        _words(_any([b"SINTERSTORE", b"SUNIONSTORE", b"SDIFFSTORE"]), key, keys),
    ))  # fmt: skip


def observations(names: Sequence[bytes]) -> list[Command]:
    """What tells all about the sets of these names, except their order."""
    every = (*_SHORT, *_INTEGERS, b"y" * 65, _LONG, *_MANY[0][:9], *_MANY[1][:9])
    return [
        command for name in names for command in ((b"TYPE", name), (b"SCARD", name), (b"SMISMEMBER", name, *every))
    ]
