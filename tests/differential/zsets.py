"""Random commands about sorted sets, for state machines.

Few members and few scores, so that commands meet each other; some members differ only beyond the bytes that the index
knows.  Ranges by member are asked only of the key that is named first, in which all scores are equal: of others Redis
promises nothing.  Left out is what is left to chance.
"""

from collections.abc import Sequence

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

Command = tuple[bytes, ...]
Words = SearchStrategy[tuple[bytes, ...]]

_HEAD = b"h" * 64
MEMBERS = (b"", b"a", b"b", b"c", b"a\x00", b"\xff", *[b"m%d" % n for n in range(12)], _HEAD, _HEAD + b"a",
           _HEAD + b"b", b"h" * 63, b"\xff" * 70)  # fmt: skip
_SCORES = (b"0", b"0", b"-0", b"1", b"1", b"2", b"2.5", b"-1", b"0.1", b"73.8882683", b"inf", b"-inf", b"1e300",
           b"5e-324")  # fmt: skip
_WRONG = (b"abc", b"nan", b"1e400")


def _any(options: Sequence[bytes]) -> SearchStrategy[bytes]:
    # By number, because Hypothesis likes to print strategies.
    return st.integers(0, len(options) - 1).map(lambda number: options[number])


def _either(*options: Sequence[bytes]) -> Words:
    return st.sampled_from([tuple(option) for option in options])


def _words(*parts: SearchStrategy[bytes] | Words | bytes) -> Words:
    """The parts one after the other, each one word or several."""

    def flat(drawn: tuple[bytes | tuple[bytes, ...], ...]) -> tuple[bytes, ...]:
        return tuple(word for part in drawn for word in ((part,) if isinstance(part, bytes) else part))

    return st.tuples(*(st.just(part) if isinstance(part, bytes) else part for part in parts)).map(flat)


def _several(words: Words | SearchStrategy[bytes], most: int = 4) -> Words:
    one = _words(words)
    return st.lists(one, min_size=1, max_size=most).map(lambda drawn: tuple(word for part in drawn for word in part))


_member = _any(MEMBERS)
_score = st.one_of(*[_any(_SCORES)] * 9, _any(_WRONG))
_rank = _any((b"0", b"1", b"2", b"5", b"-1", b"-2", b"-3", b"100", b"-100"))
_bound = st.one_of(_any(_SCORES), _any(_SCORES).map(lambda score: b"(" + score), _any((b"", b"x", b"-inf", b"+inf")))
_lex = st.one_of(*[st.tuples(_any((b"[", b"(")), _member).map(b"".join)] * 3, _any((b"-", b"+", b"x")))
_offset = _any((b"0", b"1", b"3", b"-1"))
_limit = st.one_of(st.just(()), _words(b"LIMIT", _offset, _any((b"0", b"1", b"2", b"10", b"-1"))))
_scores_too = _either((), (b"WITHSCORES",))
_count = _any((b"0", b"1", b"2", b"5", b"100", b"-1"))
_condition = _either((), (), (), (b"NX",), (b"XX",), (b"GT",), (b"LT",), (b"XX", b"GT"), (b"NX", b"XX"))
_changed = _either((), (b"CH",))


def commands(names: Sequence[bytes]) -> SearchStrategy[Command]:
    """One command on these keys; in the first of them all scores are 0."""
    key, equal = _any(names), names[0]
    other = _any(names[1:])
    line = _words
    return st.one_of(
        *_adding(other, equal), *_taking(key), *_ranges(key, equal), *_operations(key, other),
        line(b"ZREM", key, _several(_member)), line(b"ZCARD", key), line(b"ZSCORE", key, _member),
        line(b"ZMSCORE", key, _several(_member)), line(_any((b"ZRANK", b"ZREVRANK")), key, _member),
        line(b"ZCOUNT", key, _bound, _bound), line(b"ZRANDMEMBER", key, b"0"),
        line(b"DEL", key), line(b"TYPE", key), line(b"SADD", other, _several(_member)),
    )  # fmt: skip


def _adding(other: SearchStrategy[bytes], equal: bytes) -> list[Words]:
    pairs = _several(_words(_score, _member), 6)
    even = _several(_words(b"0", _member), 8)
    return [
        _words(b"ZADD", other, _condition, _changed, pairs), _words(b"ZADD", other, pairs),
        _words(b"ZADD", other, _condition, b"INCR", _score, _member), _words(b"ZINCRBY", other, _score, _member),
        _words(b"ZADD", equal, even), _words(b"ZADD", equal, _changed, even),
    ]  # fmt: skip


def _taking(key: SearchStrategy[bytes]) -> list[Words]:
    pop = _any((b"ZPOPMIN", b"ZPOPMAX"))
    end = _any((b"MIN", b"MAX", b"min"))
    return [
        _words(pop, key), _words(pop, key), _words(pop, key, _count),
        _words(b"ZMPOP", b"2", key, key, end), _words(b"ZMPOP", b"1", key, end, b"COUNT", _count),
    ]  # fmt: skip


def _ranges(key: SearchStrategy[bytes], equal: bytes) -> list[Words]:
    by_score = _any((b"ZRANGEBYSCORE", b"ZREVRANGEBYSCORE"))
    by_lex = _any((b"ZRANGEBYLEX", b"ZREVRANGEBYLEX"))
    reverse = _either((), (b"REV",))
    return [
        _words(_any((b"ZRANGE", b"ZREVRANGE")), key, _rank, _rank, _scores_too),
        _words(b"ZRANGE", key, _rank, _rank, reverse, _limit),
        _words(by_score, key, _bound, _bound, _scores_too, _limit),
        _words(b"ZRANGE", key, _bound, _bound, b"BYSCORE", reverse, _limit, _scores_too),
        _words(by_lex, equal, _lex, _lex, _limit), _words(b"ZRANGE", equal, _lex, _lex, b"BYLEX", reverse, _limit),
        _words(b"ZLEXCOUNT", equal, _lex, _lex), _words(b"ZREMRANGEBYLEX", equal, _lex, _lex),
        _words(b"ZREMRANGEBYRANK", key, _rank, _rank), _words(b"ZREMRANGEBYSCORE", key, _bound, _bound),
    ]  # fmt: skip


def _operations(key: SearchStrategy[bytes], other: SearchStrategy[bytes]) -> list[Words]:
    combine = _any((b"ZUNION", b"ZINTER"))
    weight = _any((b"1", b"2", b"-1", b"0", b"inf", b"0.5", b"x"))
    options = st.one_of(
        st.just(()), _words(b"WEIGHTS", weight, weight), _words(b"AGGREGATE", _any((b"SUM", b"MIN", b"MAX", b"FOO")))
    )
    two = _words(b"2", key, key)
    return [
        _words(combine, two, options, _scores_too), _words(b"ZDIFF", two, _scores_too),
        _words(combine.map(lambda name: name + b"STORE"), other, two, options), _words(b"ZDIFFSTORE", other, two),
        _words(b"ZINTERCARD", two, _either((), (b"LIMIT", b"1"), (b"LIMIT", b"-1"))),
        _words(b"ZRANGESTORE", other, key, _rank, _rank),
        _words(b"ZRANGESTORE", other, key, _bound, _bound, b"BYSCORE", _limit),
    ]  # fmt: skip
