"""Random commands about bitmaps and bit fields, for state machines."""

from collections.abc import Sequence

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

Command = tuple[bytes, ...]
Words = SearchStrategy[tuple[bytes, ...]]

CHUNK = 64 * 1024
_BYTES = (0, 1, 2, 9, 8191, 8192, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK)
_WRONG = (b"-1", b"abc", b"4294967296")
_NUMBERS = (0, 1, -1, 2, 7, 100, 127, 128, -128, -129, 255, 256, -(10**6), 10**9, 2**63 - 1, -(2**63))


def _number(numbers: Sequence[int]) -> SearchStrategy[bytes]:
    return st.sampled_from([b"%d" % number for number in numbers])


def _words(*parts: SearchStrategy[bytes] | Words | bytes) -> Words:
    """The parts one after the other, each one word or several."""

    def flat(drawn: tuple[bytes | tuple[bytes, ...], ...]) -> tuple[bytes, ...]:
        return tuple(word for part in drawn for word in ((part,) if isinstance(part, bytes) else part))

    return st.tuples(*(st.just(part) if isinstance(part, bytes) else part for part in parts)).map(flat)


_near = st.builds(lambda byte, bit: b"%d" % (8 * byte + bit), st.sampled_from(_BYTES), st.integers(0, 9))
_offset = st.one_of(_near, _near, _near, st.sampled_from(_WRONG))
_field_offset = st.one_of(_offset, st.integers(0, 40).map(lambda number: b"#%d" % number))
_kind = st.one_of(
    st.integers(1, 64).map(lambda bits: b"i%d" % bits),
    st.integers(1, 63).map(lambda bits: b"u%d" % bits),
    st.sampled_from([b"u8", b"i8", b"u1", b"i64", b"u64", b"x"]),
)
_position = _number([*_BYTES, -1, -2, -10, -CHUNK, -CHUNK - 1, -4 * CHUNK])
_unit = st.sampled_from([(), (), (b"BYTE",), (b"BIT",), (b"FOO",)])
_get = _words(b"GET", _kind, _field_offset)
_operation = st.one_of(
    _get,
    _words(b"SET", _kind, _field_offset, _number(_NUMBERS)),
    _words(b"INCRBY", _kind, _field_offset, _number(_NUMBERS)),
    _words(b"OVERFLOW", st.sampled_from([b"WRAP", b"SAT", b"FAIL", b"FAIL", b"SAT", b"FOO"])),
)


def _several(one: Words) -> Words:
    return st.lists(one, max_size=4).map(lambda found: tuple(word for words in found for word in words))


def commands(names: Sequence[bytes]) -> SearchStrategy[Command]:
    """One command about bits of these keys."""
    key = st.sampled_from(names)
    bit = st.sampled_from([b"0", b"1"])
    keys = st.lists(key, min_size=1, max_size=3).map(tuple)
    return st.one_of(
        _words(b"SETBIT", key, _offset, st.sampled_from([b"0", b"1", b"1", b"2"])),
        _words(b"GETBIT", key, _offset),
        _words(b"BITCOUNT", key),
        _words(b"BITCOUNT", key, _position, _position, _unit),
        _words(b"BITPOS", key, bit),
        _words(b"BITPOS", key, bit, _position),
        _words(b"BITPOS", key, bit, _position, _position, _unit),
        _words(b"BITOP", st.sampled_from([b"AND", b"OR", b"XOR"]), key, keys),
        _words(b"BITOP", b"NOT", key, key),
        _words(b"BITFIELD", key, _several(_operation)),
        _words(b"BITFIELD", key, _several(_operation)),
        _words(b"BITFIELD_RO", key, _several(_get)),
    )
