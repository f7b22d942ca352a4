"""Random commands about hashes and about fields that expire, for state machines; Redis 7.4 is the one to ask.

Few fields and few values, short and long, so that hashes are kept in one piece or not.  Left out is what depends on the
millisecond, and what may be answered in more than one way: random fields, orders of large hashes.
"""

from collections.abc import Sequence

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tests.differential.drawing import FAR, Command, any_of, unnamed, words

#: Too long for a row of the table.
_LONG = b"".join(b"%07d|" % n for n in range(9000))

_FIELDS = [b"a", b"b", b"c", b"d", b"", b"\x00\r\n\xff"]
#: With these, hashes are kept in one piece.
_SHORT = [b"", b"0", b"1", b"-7", b"10", b"9223372036854775807", b"1.5", b"abc", b"a\x00\r\nb", b"x" * 64]
_INTEGERS = [b"0", b"1", b"-1", b"5", b"-100", b"9223372036854775807", b"-9223372036854775808", b"abc", b"1.0"]
_FLOATS = [b"0.1", b"-0.25", b"1e3", b"3", b"inf", b"abc", b"1e-17"]
_CONDITIONS = [(), (), (b"NX",), (b"XX",), (b"GT",), (b"lt",), (b"FOO",)]
_MOMENTS = [b"%d" % (FAR + seconds) for seconds in (-7, 0, 0, 7)] + [b"0", b"1", b"-1", b"abc", b"9" * 18]
_WRONG_NUMBERS = [b"0", b"-1", b"2", b"9", b"abc"]
_SCAN = [(), (b"COUNT", b"1"), (b"MATCH", b"[ab]"), (b"NOVALUES",), (b"COUNT", b"0"), (b"FOO",)]


def commands(names: Sequence[bytes], *, long: bool = True) -> SearchStrategy[Command]:
    """One command about hashes of these names. Without `long`, none makes a hash whose order is undefined."""
    key, field = any_of(names), any_of(_FIELDS)
    value = any_of([*_SHORT, b"x" * 65, _LONG]) if long else any_of(_SHORT)
    fields = st.lists(field, min_size=1, max_size=4).map(tuple)
    pairs = st.lists(st.tuples(field, value), min_size=1, max_size=4).map(
        lambda found: tuple(word for pair in found for word in pair)
    )
    counted = fields.map(lambda found: (b"FIELDS", b"%d" % len(found), *found))
    named = st.one_of(counted, counted, counted, counted, words(b"FIELDS", any_of(_WRONG_NUMBERS), fields))
    condition = st.sampled_from(_CONDITIONS)
    moment = any_of(_MOMENTS)
    return unnamed(st.one_of(
        words(b"HSET", key, pairs), words(b"HSET", key, pairs), words(b"HSET", key, pairs),
        words(b"HMSET", key, pairs), words(b"HSET", key, pairs, field), words(b"HSETNX", key, field, value),
        words(b"HDEL", key, fields), words(b"HINCRBY", key, field, any_of(_INTEGERS)),
        words(b"HINCRBYFLOAT", key, field, any_of(_FLOATS)), words(b"HGET", key, field), words(b"HMGET", key, fields),
        words(b"HGETALL", key), words(any_of([b"HKEYS", b"HVALS", b"HLEN"]), key),
        words(any_of([b"HEXISTS", b"HSTRLEN"]), key, field), words(b"HSCAN", key, b"0", st.sampled_from(_SCAN)),
        words(b"HEXPIREAT", key, moment, condition, named), words(b"HEXPIREAT", key, moment, condition, named),
        words(b"HPEXPIREAT", key, moment.map(lambda time: time + b"500"), condition, named),
        words(any_of([b"HEXPIRE", b"HPEXPIRE"]), key, any_of([b"0", b"-1", b"abc"]), condition, named),
        words(b"HPERSIST", key, named), words(any_of([b"HEXPIRETIME", b"HPEXPIRETIME"]), key, named),
    ))  # fmt: skip


def observations(names: Sequence[bytes]) -> list[Command]:
    """What tells all about the hashes of these names, except their order."""
    every = (b"FIELDS", b"%d" % len(_FIELDS), *_FIELDS)
    return [
        command
        for name in names
        for command in ((b"TYPE", name), (b"HLEN", name), (b"HMGET", name, *_FIELDS), (b"HPEXPIRETIME", name, *every))
    ]
