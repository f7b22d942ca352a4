"""Random commands about sets, for state machines; Redis 7.4 is the one to ask.

Few members, so that sets meet each other: integers, and short and long others.  Left out is what may be answered in
more than one way: random members of sets of more than one, orders of large sets.
"""

from collections.abc import Sequence

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tests.differential.drawing import Command, any_of, unnamed, words

#: Too long for a row of the table.
_LONG = b"".join(b"%07d|" % n for n in range(9000))
_SHORT = [b"a", b"b", b"c", b"", b"01", b"\x00\r\n\xff", b"x" * 64]
_INTEGERS = [b"0", b"-1", b"2", b"3", b"10", b"9223372036854775807", b"-9223372036854775808"]
_MANY = [tuple(b"m%d" % number for number in range(127)), tuple(b"%d" % number for number in range(128))]
_SCAN = [(), (b"COUNT", b"1"), (b"MATCH", b"[ab]"), (b"COUNT", b"0"), (b"FOO",)]


def commands(names: Sequence[bytes], *, long: bool = True) -> SearchStrategy[Command]:
    """One command about sets of these names. Without `long`, none has members that make the order undefined; only 127
    members at once may."""
    key = any_of(names)
    member = any_of([*_SHORT, *_INTEGERS, b"y" * 65, _LONG] if long else [*_SHORT, *_INTEGERS])
    members = st.one_of(
        st.lists(member, min_size=1, max_size=4).map(tuple),
        st.lists(any_of(_INTEGERS), min_size=1, max_size=4).map(tuple),
    )
    added = st.one_of(members, members, members, st.sampled_from(_MANY)) if long else members
    keys = st.lists(key, min_size=1, max_size=3).map(tuple)
    counted = keys.map(lambda found: (b"%d" % len(found), *found))
    limit = st.sampled_from([(), (), (b"LIMIT", b"1"), (b"LIMIT", b"0"), (b"limit", b"-1"), (b"FOO",)])
    count = any_of([b"0", b"1000", b"-1", b"abc"])
    return unnamed(st.one_of(
        words(b"SADD", key, added), words(b"SADD", key, added), words(b"SADD", key, added),
        words(b"SREM", key, members), words(b"SMOVE", key, key, member), words(b"SMOVE", key, key, member),
        words(b"SCARD", key), words(b"SISMEMBER", key, member), words(b"SMISMEMBER", key, members),
        words(b"SMEMBERS", key), words(b"SPOP", key, count), words(b"SRANDMEMBER", key, count),
        words(b"SSCAN", key, b"0", st.sampled_from(_SCAN)), words(b"SINTERCARD", counted, limit),
        words(any_of([b"SINTER", b"SUNION", b"SDIFF"]), keys), words(any_of([b"SINTER", b"SUNION", b"SDIFF"]), keys),
        words(any_of([b"SINTERSTORE", b"SUNIONSTORE", b"SDIFFSTORE"]), key, keys),
        words(any_of([b"SINTERSTORE", b"SUNIONSTORE", b"SDIFFSTORE"]), key, keys),
    ))  # fmt: skip


def observations(names: Sequence[bytes]) -> list[Command]:
    """What tells all about the sets of these names, except their order."""
    every = (*_SHORT, *_INTEGERS, b"y" * 65, _LONG, *_MANY[0][:9], *_MANY[1][:9])
    return [
        command for name in names for command in ((b"TYPE", name), (b"SCARD", name), (b"SMISMEMBER", name, *every))
    ]
