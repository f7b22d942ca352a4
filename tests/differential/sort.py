"""Random commands around SORT: lists, sets of integers and sorted sets, and the keys that their elements lead to."""

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tests.differential.commands import Command

LISTS = (b"l1", b"l2", b"l3")
SETS = (b"s1", b"s2")
ZSETS = (b"z1", b"z2")

_numbers = st.integers(-3, 12).map(lambda number: b"%d" % number)
_elements = st.one_of(_numbers, st.sampled_from([b"1.5", b" 2", b"1e1", b"", b"abc", b"x", b"-0", b"0x5"]))
_patterns = st.sampled_from(
    [b"w*", b"h*->f", b"h*->g", b"l*", b"*", b"#", b"nosort", b"h*->", b"w*x", b"s1", b"h1->f", b"*->f", b"z*"]
)
_bounds = st.integers(-2, 7).map(lambda number: b"%d" % number)


@st.composite
def _sort(draw: st.DrawFn) -> Command:
    name = draw(st.sampled_from(LISTS + SETS + ZSETS))
    words = [draw(st.sampled_from([b"SORT", b"SORT", b"SORT_RO"])), name]
    options: list[list[bytes]] = [[b"GET", draw(_patterns)] for _ in range(draw(st.integers(0, 2)))]
    by, limit, alpha = draw(st.booleans()), draw(st.booleans()), draw(st.booleans())
    # Which of two equal texts comes first is not defined where Redis sorts only a part, or has no order to begin with.
    if alpha and not (by and (limit or name not in LISTS)):
        options.append([b"ALPHA"])
    if by:
        options.append([b"BY", draw(_patterns)])
    if limit:
        options.append([b"LIMIT", draw(_bounds), draw(_bounds)])
    if draw(st.booleans()):
        options.append([draw(st.sampled_from([b"DESC", b"ASC"]))])
    if draw(st.booleans()):
        options.append([b"STORE", draw(st.sampled_from(LISTS))])
    return (*words, *(word for option in draw(st.permutations(options)) for word in option))


def _few(strategy: SearchStrategy[bytes]) -> SearchStrategy[list[bytes]]:
    return st.lists(strategy, min_size=1, max_size=6)


def commands() -> SearchStrategy[Command]:
    """One command."""
    one_list, one_set, one_zset = st.sampled_from(LISTS), st.sampled_from(SETS), st.sampled_from(ZSETS)
    return st.one_of(
        _sort(), _sort(), _sort(), _sort(),
        st.tuples(st.just(b"RPUSH"), one_list, _few(_elements)).map(_flat),
        st.tuples(st.just(b"RPUSH"), one_list, _few(_numbers)).map(_flat),
        st.tuples(st.sampled_from([b"SADD", b"SREM"]), one_set, _few(_numbers)).map(_flat),
        st.tuples(st.just(b"ZADD"), one_zset, _numbers, _elements),
        st.tuples(st.just(b"SET"), _numbers.map(lambda number: b"w" + number), _elements),
        st.tuples(
            st.just(b"HSET"), _numbers.map(lambda number: b"h" + number), st.sampled_from([b"f", b"g"]), _elements
        ),
        st.tuples(st.sampled_from([b"COPY", b"RENAME", b"RENAMENX"]), one_list, one_list),
        st.tuples(st.just(b"COPY"), one_set, one_set, st.just(b"REPLACE")),
        st.tuples(st.just(b"COPY"), one_zset, one_zset, st.just(b"REPLACE")),
        st.tuples(st.just(b"LRANGE"), one_list, st.just(b"0"), st.just(b"-1")),
        st.tuples(st.just(b"DEL"), st.sampled_from(LISTS + SETS + ZSETS + (b"w1", b"h1"))),
        st.tuples(st.just(b"LPOP"), one_list),
        st.tuples(st.just(b"SET"), st.sampled_from(LISTS + SETS), st.just(b"text"), st.just(b"XX")),
        st.tuples(st.just(b"TYPE"), one_list),
    )  # fmt: skip


def _flat(parts: tuple[bytes, bytes, list[bytes]]) -> Command:
    return (*parts[:2], *parts[2])
