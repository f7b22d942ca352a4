"""Random commands about HyperLogLogs, for comparisons, and elements for any register and rank.

Left out is PFCOUNT of one key, after which the header differs (deviation "hll-count").
"""

from collections.abc import Sequence

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

Command = tuple[bytes, ...]

_MULTIPLIER = 0xC6A4A7935BD1E995
_INVERSE = pow(_MULTIPLIER, -1, 1 << 64)
_WORD = (1 << 64) - 1
_START = 0xADC83B19 ^ (8 * _MULTIPLIER & _WORD)

STALE = bytes(7) + b"\x80"
NOTHING = b"\x7f\xff"


def value(encoding: int, body: bytes, cardinality: bytes = STALE) -> bytes:
    """A HyperLogLog as a string; `cardinality` are the 8 bytes of the header."""
    return b"HYLL" + bytes((encoding, 0, 0, 0)) + cardinality + body


def element_of(register: int, rank: int) -> bytes:
    """An element of 8 bytes that raises a register (0..16383) to a rank (1..51): the hash, calculated backwards."""
    state = (register | (1 << 14 + rank - 1)) & _WORD
    state = (state ^ state >> 47) * _INVERSE & _WORD
    state = (state ^ state >> 47) * _INVERSE & _WORD
    part = (state ^ _START) * _INVERSE & _WORD
    return ((part ^ part >> 47) * _INVERSE & _WORD).to_bytes(8, "little")


def _numbers(start: int, count: int) -> tuple[bytes, ...]:
    return tuple(b"%d" % number for number in range(start, start + count))


_words = st.sampled_from([b"", b"a", b"b", b"\x00\xff\r\n", b"x" * 1000])
# Neighbours in few places, so that runs are split and joined in every way.
_chosen = st.builds(
    element_of,
    st.one_of(st.integers(0, 12), st.integers(100, 110), st.integers(16375, 16383), st.integers(0, 16383)),
    st.one_of(st.integers(1, 3), st.integers(1, 32)),
)
_too_high = st.builds(element_of, st.integers(0, 16383), st.integers(33, 51))
_few = st.lists(st.one_of(_chosen, _chosen, _words), max_size=12).map(tuple)
_many = st.builds(_numbers, st.integers(0, 10**6), st.integers(1, 800))
_values = st.sampled_from([
    value(1, NOTHING), value(1, b"\x00\x7f\xfe"), value(1, b"\x80" * 16384), value(1, b"\x40\x00" * 16384),
    value(0, bytes(12288)), value(0, b"\xff" * 12288), value(0, b"\x41\x10\x04" * 4096, b"\x07" + bytes(7)),
    value(1, b"\x7f"), value(1, b""), value(2, NOTHING), value(0, bytes(12287)), b"HYLL", b"12", b"",
])  # fmt: skip


def commands(names: Sequence[bytes]) -> SearchStrategy[Command]:
    """One command on these keys."""
    key = st.sampled_from(names)
    one = key.map(lambda name: (name,))
    several = st.lists(key, min_size=2, max_size=3).map(tuple)

    def line(name: bytes, *parts: SearchStrategy[tuple[bytes, ...]]) -> SearchStrategy[Command]:
        return st.tuples(*parts).map(lambda drawn: (name, *(word for part in drawn for word in part)))

    return st.one_of(
        line(b"PFADD", one, _few), line(b"PFADD", one, _few), line(b"PFADD", one, _few), line(b"PFADD", one, _many),
        line(b"PFADD", one, _too_high.map(lambda element: (element,))), line(b"PFCOUNT", several),
        line(b"PFMERGE", one), line(b"PFMERGE", several), line(b"PFMERGE", several), line(b"DEL", one),
        line(b"SET", one, _values.map(lambda found: (found,))), line(b"STRLEN", one), line(b"EXPIRE", one,
        st.just((b"1000000",))), line(b"RPUSH", one, st.just((b"x",))),
        line(b"PFDEBUG", st.sampled_from([(b"decode",), (b"Encoding",), (b"TODENSE",), (b"GETREG",)]), one),
    )  # fmt: skip
