"""Random commands about positions on the map.

Each member has places of its own, so that no two are equally far from anywhere: which one comes first is no business of
Redis's documentation either.
"""

from collections.abc import Sequence

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tests.differential.drawing import unnamed

Command = tuple[bytes, ...]

_MEMBERS = [b"m%d" % number for number in range(12)] + [b"", b"\x00\xff", b"x" * 70]
#: Around these the places of members lie; the last ones are the ends of the map.
_CENTRES = [
    (13.36, 38.11), (13.4, 38.2), (15.1, 37.5), (0, 0), (-0.001, 0.001), (179.99, 10), (-179.99, 10.1), (2.35, 48.85),
    (-70, -79), (40, 67), (100, 84.9), (180, 0), (-180, 0), (0, 85.05112878), (10, -85.05112878),
]  # fmt: skip
_WRONG = [b"a", b"181", b"-86", b"nan", b"inf"]
_LENGTHS = [b"0", b"1", b"50", b"200.5", b"1000", b"3e3", b"5000", b"12000", b"40000", b"-1", b"x", b"inf"]
_UNITS = [b"km", b"km", b"km", b"KM", b"mi", b"m", b"ft", b"parsec"]
_COMMON = [
    (), (), (), (b"WITHDIST",), (b"WITHCOORD", b"WITHHASH"), (b"withdist", b"ASC"), (b"DESC",), (b"COUNT", b"3"),
    (b"COUNT", b"1", b"ANY"), (b"COUNT", b"4", b"ANY", b"DESC"), (b"COUNT", b"2", b"DESC"), (b"ASC", b"WITHDIST"),
    (b"ANY",), (b"COUNT", b"0"), (b"COUNT", b"x"), (b"COUNT",), (b"FOO",),
]  # fmt: skip

_member = st.sampled_from(_MEMBERS)
_unit = st.sampled_from(_UNITS)
_length = st.sampled_from(_LENGTHS)
_common = st.sampled_from(_COMMON)


def _number(value: float) -> bytes:
    return b"%.8f" % value


def _place(member: bytes, choice: int) -> tuple[bytes, bytes]:
    """One of the places of a member: at a distance from a centre that no other member has."""
    longitude, latitude = _CENTRES[choice]
    number = _MEMBERS.index(member)
    east = -1 if longitude > 0 else 1
    north = -1 if latitude > 0 else 1
    return _number(longitude + east * number * number * 0.00171), _number(latitude + north * number * 0.0137)


def _line(*parts: bytes | SearchStrategy[bytes] | SearchStrategy[tuple[bytes, ...]]) -> SearchStrategy[Command]:
    """The parts one after the other, each one word or several."""

    def flat(drawn: tuple[bytes | tuple[bytes, ...], ...]) -> Command:
        return tuple(word for part in drawn for word in ((part,) if isinstance(part, bytes) else part))

    return st.tuples(*(st.just(part) if isinstance(part, bytes) else part for part in parts)).map(flat)


_placed = st.tuples(_member, st.integers(0, len(_CENTRES) - 1)).map(lambda drawn: (*_place(*drawn), drawn[0]))
_added = st.lists(_placed, min_size=1, max_size=6).map(lambda found: tuple(word for item in found for word in item))
#: Oblique, so that what is symmetric on the map is not equally far.
_centre = st.sampled_from(_CENTRES).map(
    lambda found: (_number(found[0] * 0.999 + 0.0123), _number(found[1] * 0.999 - 0.0077))
)
_any_centre = st.one_of(
    _centre, _centre, _centre, _centre, st.tuples(st.sampled_from([b"0", *_WRONG]), st.sampled_from([b"1", *_WRONG]))
)


def commands(names: Sequence[bytes]) -> SearchStrategy[Command]:
    """One command on these keys."""
    key = st.sampled_from(list(names))
    members = st.lists(_member, min_size=1, max_size=4).map(tuple)
    radius = _line(_length, _unit)
    around = st.one_of(
        _line(b"FROMMEMBER", _member), _line(b"FROMLONLAT", _any_centre), _line(b"FROMLONLAT", _any_centre)
    )  # fmt: skip
    shape = st.one_of(_line(b"BYRADIUS", radius), _line(b"BYBOX", _length, radius), _line(b"BYBOX", _length, radius))
    area = st.one_of(
        _line(around, shape), _line(shape, around), _line(around, around, shape), _line(around, shape, shape)
    )  # fmt: skip
    target = st.one_of(st.just(()), _line(st.sampled_from([b"STORE", b"STOREDIST"]), key))
    flags = st.sampled_from([(), (), (), (b"NX",), (b"XX",), (b"CH",), (b"XX", b"CH"), (b"NX", b"XX")])
    add = _line(b"GEOADD", key, flags, _added)
    return unnamed(st.one_of(
        add, add, add, _line(b"GEOADD", key, _any_centre, _member), _line(b"GEOADD", key, _added, _member),
        _line(st.sampled_from([b"GEOPOS", b"GEOHASH"]), key, members), _line(b"ZREM", key, _member),
        _line(b"GEODIST", key, _member, _member), _line(b"GEODIST", key, _member, _member, _unit),
        _line(b"GEORADIUS_RO", key, _any_centre, radius, _common),
        _line(b"GEORADIUSBYMEMBER_RO", key, _member, radius, _common),
        _line(b"GEORADIUS", key, _any_centre, radius, _common, target),
        _line(b"GEORADIUSBYMEMBER", key, _member, radius, target, _common),
        _line(b"GEOSEARCH", key, area, _common), _line(b"GEOSEARCH", key, area, _common),
        _line(b"GEOSEARCH", key, around, _common), _line(b"GEOSEARCHSTORE", key, key, area, _common),
        _line(b"GEOSEARCHSTORE", key, key, area, st.just((b"STOREDIST",))),
        _line(b"SET", key, b"1"), _line(b"DEL", key),
    ))  # fmt: skip


def observations(names: Sequence[bytes]) -> list[Command]:
    """What tells all about the positions in these keys."""
    return [command for name in names for command in ((b"TYPE", name), (b"ZRANGE", name, b"0", b"-1", b"WITHSCORES"))]
