"""Reading positions, units and searches on the map; writing distances."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field

from protocol.errors import CommandError, syntax_error
from protocol.numbers import parse_double
from server.arguments import Args, Options, double, integer
from storage.geo_areas import Box, Circle, Shape
from storage.geohash import Position, is_position

#: What words mean in metres.
UNITS_M = {b"M": 1.0, b"KM": 1000.0, b"FT": 0.3048, b"MI": 1609.34}

#: Where a member is; None if there is no key. CommandError if it is no member.
Locate = Callable[[bytes], Position | None]

_NOT_WITH = b" not compatible with WITHDIST, WITHHASH and WITHCOORD options"
_WITH = frozenset({b"WITHDIST", b"WITHHASH", b"WITHCOORD"})


class Order(enum.Enum):
    """By distance, or as it comes."""

    ASC = "asc"
    DESC = "desc"


@dataclass(slots=True)
class Search:
    """What a search was told. `centre` is None if there is no key to search; `make_shape` makes its area there."""

    centre: Position | None = None
    make_shape: Callable[[Position], Shape] | None = None
    #: Distances are given in a unit of so many metres.
    unit_m: float = 1.0
    #: WITHDIST, WITHHASH, WITHCOORD.
    gives: set[bytes] = field(default_factory=set)
    #: 0: all.
    count: int = 0
    #: The first that come will do, and not the nearest.
    any: bool = False
    order: Order | None = None
    #: The key to store the members at.
    target: bytes | None = None
    stores_distances: bool = False

    @property
    def shape(self) -> Shape | None:
        """The area, None if it is not known."""
        if self.centre is None or self.make_shape is None:
            return None
        return self.make_shape(self.centre)

    def take_common(self, word: bytes, words: Options) -> bool:
        """Take an option that all searches have; False if it is none."""
        if word in _WITH:
            self.gives.add(word)
        elif word in (b"ASC", b"DESC"):
            self.order = Order[word.decode()]
        elif word == b"ANY":
            self.any = True
        elif word == b"COUNT" and words.left:
            self.count = integer(words.value())
            if self.count <= 0:
                raise CommandError(b"ERR COUNT must be > 0")
        else:
            return False
        return True

    def judge_any(self) -> None:
        if self.any and not self.count:
            raise CommandError(b"ERR the ANY argument requires COUNT argument")


def position(longitude: bytes, latitude: bytes) -> Position:
    """A place on the map. CommandError if it is none."""
    found = double(longitude), double(latitude)
    if not is_position(*found):
        raise CommandError(b"ERR invalid longitude,latitude pair %f,%f" % found)
    return found


def unit_m(word: bytes) -> float:
    """How many metres a unit has. CommandError if there is no such unit."""
    metres = UNITS_M.get(word.upper())
    if metres is None:
        raise CommandError(b"ERR unsupported unit provided. please use M, KM, FT, MI")
    return metres


def distance_text(distance_m: float, unit: float) -> bytes:
    """A distance as Redis writes it, in a unit of so many metres."""
    return b"%.4f" % (distance_m / unit)


def radius_search(args: Args, locate: Locate, *, by_member: bool, may_store: bool) -> Search:
    """The arguments of GEORADIUS and its relatives. CommandError."""
    search = Search()
    at = 3 if by_member else 4
    search.centre = locate(args[2]) if by_member else position(args[2], args[3])
    # Around a member of no key, radius and unit are not judged.
    if search.centre is not None:
        _take_radius(search, args[at], args[at + 1])
    words = Options(args, at + 2)
    while words.left:
        word = words.word()
        if search.take_common(word, words):
            continue
        if word not in (b"STORE", b"STOREDIST") or not may_store or not words.left:
            raise syntax_error()
        search.target = words.value()
        search.stores_distances = word == b"STOREDIST"
    if search.target is not None and search.gives:
        raise CommandError(b"ERR STORE option in GEORADIUS is" + _NOT_WITH)
    search.judge_any()
    return search


def area_search(args: Args, locate: Locate, *, storing: bool) -> Search:
    """The arguments of GEOSEARCH and GEOSEARCHSTORE. CommandError."""
    search = Search(target=args[1] if storing else None)
    words = Options(args, 3 if storing else 2)
    placed = shaped = b""
    while words.left:
        word = words.word()
        if search.take_common(word, words):
            continue
        if word in (b"FROMMEMBER", b"FROMLONLAT") and placed in (b"", word):
            placed = word
            _take_centre(search, word, words, locate)
        elif word in (b"BYRADIUS", b"BYBOX") and shaped in (b"", word):
            shaped = word
            _take_shape(search, word, words)
        elif word == b"STOREDIST" and storing:
            search.stores_distances = True
        else:
            raise syntax_error()
    if storing and search.gives:
        raise CommandError(b"ERR GEOSEARCHSTORE is" + _NOT_WITH)
    if not placed:
        raise CommandError(b"ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for " + args[0])
    if not shaped:
        raise CommandError(b"ERR exactly one of BYRADIUS and BYBOX can be specified for " + args[0])
    search.judge_any()
    return search


def _take_centre(search: Search, word: bytes, words: Options, locate: Locate) -> None:
    if word == b"FROMMEMBER":
        search.centre = locate(words.value())
    elif words.left < 2:
        raise syntax_error()
    else:
        search.centre = position(words.value(), words.value())


def _take_shape(search: Search, word: bytes, words: Options) -> None:
    if words.left < (2 if word == b"BYRADIUS" else 3):
        raise syntax_error()
    if word == b"BYRADIUS":
        _take_radius(search, words.value(), words.value())
        return
    width = _length(words.value(), b"ERR need numeric width")
    height = _length(words.value(), b"ERR need numeric height")
    if height < 0 or width < 0:
        raise CommandError(b"ERR height or width cannot be negative")
    metres = search.unit_m = unit_m(words.value())
    search.make_shape = lambda centre: Box(centre, metres, width, height)


def _take_radius(search: Search, length: bytes, unit: bytes) -> None:
    radius = _length(length, b"ERR need numeric radius")
    if radius < 0:
        raise CommandError(b"ERR radius cannot be negative")
    metres = search.unit_m = unit_m(unit)
    search.make_shape = lambda centre: Circle(centre, metres, radius)


def _length(data: bytes, message: bytes) -> float:
    try:
        return parse_double(data)
    except ValueError:
        raise CommandError(message) from None
