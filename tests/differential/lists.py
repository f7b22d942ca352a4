"""Random commands about lists, for state machines: few names and few values, so that commands meet each other."""

from collections.abc import Sequence

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

Command = tuple[bytes, ...]

_LONG = b"".join(b"%07d|" % n for n in range(8300))
_VALUES = [b"a", b"b", b"c", b"d", b"", b"7", b"\x00\r\n", _LONG[:65536], _LONG]


def _words(text: str) -> SearchStrategy[bytes]:
    return st.sampled_from([word.encode() for word in text.split()])


def commands(names: Sequence[bytes], *, in_transaction: bool = False) -> SearchStrategy[Command]:
    """One command on these keys; only in a transaction, where nobody waits, those that may have to wait."""
    key = st.sampled_from(list(names))
    keys = st.lists(key, min_size=1, max_size=3)
    # By number, because Hypothesis likes to print strategies; short values more often than long ones.
    value = st.sampled_from([0, 0, 0, 1, 1, 2, 2, 3, 4, 5, 6, 7, 8]).map(lambda number: _VALUES[number])
    values = st.lists(value, min_size=1, max_size=6)
    place = _words("0 1 2 3 5 8 -1 -2 -3 -6 abc")
    index = st.one_of(place, place, _words("9223372036854775807"))
    count = _words("0 1 2 5 -1 -2 abc")
    end = _words("LEFT RIGHT LEFT RIGHT left FOO")
    side = _words("LPUSH RPUSH LPUSH RPUSH LPUSHX RPUSHX")

    def line(*parts: bytes | SearchStrategy[bytes] | SearchStrategy[list[bytes]]) -> SearchStrategy[Command]:
        def flat(drawn: tuple[bytes | list[bytes], ...]) -> Command:
            return tuple(word for part in drawn for word in (part if isinstance(part, list) else [part]))

        return st.tuples(*(st.just(part) if isinstance(part, bytes) else part for part in parts)).map(flat)

    def some(*options: bytes) -> SearchStrategy[list[bytes]]:
        """Perhaps one of these options, each of some words."""
        return st.sampled_from([[], *(option.split() for option in options)])

    counted = keys.map(lambda found: [b"%d" % len(found), *found])
    waiting = [
        line(_words("BLPOP BRPOP"), keys, b"0"), line(b"BLMOVE", key, key, end, end, b"0"),
        line(b"BRPOPLPUSH", key, key, b"0"), line(b"BLMPOP", b"0", counted, end, some(b"COUNT 2")),
    ]  # fmt: skip
    return st.one_of(
        line(side, key, values), line(side, key, values), line(side, key, value),
        line(_words("LPOP RPOP"), key), line(_words("LPOP RPOP"), key, count),
        line(b"LLEN", key), line(b"LINDEX", key, index), line(b"LRANGE", key, index, index),
        line(b"LRANGE", key, b"0", b"-1"), line(b"LSET", key, place, value), line(b"LTRIM", key, index, index),
        line(b"LTRIM", key, _words("0 1"), _words("-1 -2 4")), line(b"LREM", key, count, value),
        line(b"LINSERT", key, _words("BEFORE AFTER after FOO"), value, value),
        line(b"LINSERT", key, _words("BEFORE AFTER"), value, value),
        line(b"LPOS", key, value, some(b"RANK 2", b"RANK -1", b"RANK 0", b"RANK -2"), some(b"COUNT 0", b"COUNT 2",
             b"COUNT -1"), some(b"MAXLEN 3", b"MAXLEN 0")),
        line(b"LMOVE", key, key, end, end), line(b"RPOPLPUSH", key, key),
        line(b"LMPOP", counted, end, some(b"COUNT 2", b"COUNT 0", b"COUNT 9")),
        line(b"DEL", key), line(b"RENAME", key, key), line(b"SET", key, value), line(b"EXPIRE", key, b"100000"),
        *(waiting if in_transaction else ()),
    )  # fmt: skip
