"""Positions on the globe as integers of 52 bits, as Redis encodes them: cells of a grid, numbered along a Z-curve.

A position is a pair (longitude, latitude) in degrees.  At step n the map is cut into 2**n columns and 2**n rows; the
code of a cell has the bits of its row and of its column in turn, so the codes of all cells within one cell of a lower
step are a range.  At step 26 a cell is 0.6 m wide at most, and its code is the score of what lies in it.

Longitude 180 and the northern limit lie one column or row behind the last one.  Redis lets this happen, so its codes
have a bit more there; so have these.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

#: (longitude, latitude) in degrees.
Position: TypeAlias = tuple[float, float]

STEPS = 26
_CELLS = 1 << STEPS
MAX_LONGITUDE = 180.0
#: Where the square map of the Mercator projection ends.
MAX_LATITUDE = 85.05112878

EARTH_RADIUS_M = 6372797.560856
#: Half of the length of the equator on that map.
HALF_EQUATOR_M = 20037726.37
RADIANS = math.pi / 180

_ALPHABET = b"0123456789bcdefghjkmnpqrstuvwxyz"
#: Spreading 32 bits over 64, from coarse to fine; gathering goes the other way.
_SPREAD = (
    (16, 0x0000FFFF0000FFFF),
    (8, 0x00FF00FF00FF00FF),
    (4, 0x0F0F0F0F0F0F0F0F),
    (2, 0x3333333333333333),
    (1, 0x5555555555555555),
)
_GATHER = (
    (1, 0x3333333333333333),
    (2, 0x0F0F0F0F0F0F0F0F),
    (4, 0x00FF00FF00FF00FF),
    (8, 0x0000FFFF0000FFFF),
    (16, 0x00000000FFFFFFFF),
)


def is_position(longitude: float, latitude: float) -> bool:
    """Whether the map has such a place."""
    return abs(longitude) <= MAX_LONGITUDE and abs(latitude) <= MAX_LATITUDE


def encode(position: Position) -> int:
    """The code of the smallest cell around a position."""
    return cell_at(position, STEPS).code


def decode(code: int) -> Position:
    """The middle of the smallest cell with a code; of any 64 bits something on the map."""
    return _middle(_gather(code >> 1), MAX_LONGITUDE), _middle(_gather(code), MAX_LATITUDE)


def code_of_score(score: float) -> int:
    """The 64 bits that Redis takes a score for, which any sorted set may have: as x86-64 converts doubles."""
    if math.isinf(score):
        return 0 if score > 0 else 1 << 63
    code = int(score)
    if code >= 1 << 63:
        return code if code < 1 << 64 else 0
    return code % (1 << 64) if code >= -(1 << 63) else 1 << 63


def text(position: Position) -> bytes:
    """The geohash of a position as others know it: 11 characters, over latitudes to the poles.

    52 bits make ten characters; the last one is always 0, as Redis has it.
    """
    column = _offset(position[0], MAX_LONGITUDE, STEPS)
    row = _offset(position[1], 90.0, STEPS)
    code = Cell(STEPS, column, row).code
    return bytes([_ALPHABET[code >> shift & 31] for shift in range(47, 0, -5)]) + b"0"


def distance_m(one: Position, other: Position) -> float:
    """The distance of two positions on the sphere in metres, by the haversine formula."""
    v = math.sin((other[0] * RADIANS - one[0] * RADIANS) / 2)
    if v == 0:
        return meridian_m(one[1], other[1])
    latitude, other_latitude = one[1] * RADIANS, other[1] * RADIANS
    u = math.sin((other_latitude - latitude) / 2)
    a = u * u + math.cos(latitude) * math.cos(other_latitude) * v * v
    # At the antipodes it may be rounded to more than 1.
    return 2 * EARTH_RADIUS_M * math.asin(math.sqrt(min(a, 1.0)))


def meridian_m(latitude: float, other: float) -> float:
    """The distance of two latitudes in metres."""
    return EARTH_RADIUS_M * abs(other * RADIANS - latitude * RADIANS)


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of the grid of a step; columns count from west, rows from south."""

    step: int
    column: int
    row: int

    @property
    def code(self) -> int:
        return _spread(self.row) | _spread(self.column) << 1

    @property
    def codes(self) -> tuple[int, int]:
        """The first code of step 26 within this cell, and the first one behind it."""
        shift = 2 * (STEPS - self.step)
        return self.code << shift, self.code + 1 << shift

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east, north in degrees."""
        cells = 1 << self.step
        return (
            -MAX_LONGITUDE + self.column / cells * (2 * MAX_LONGITUDE),
            -MAX_LATITUDE + self.row / cells * (2 * MAX_LATITUDE),
            -MAX_LONGITUDE + (self.column + 1) / cells * (2 * MAX_LONGITUDE),
            -MAX_LATITUDE + (self.row + 1) / cells * (2 * MAX_LATITUDE),
        )

    def neighbour(self, east: int, north: int) -> Cell:
        """The cell so many columns and rows further, around the globe in both directions."""
        last = (1 << self.step) - 1
        return Cell(
            self.step,
            self.column + east & last if east else self.column,
            self.row + north & last if north else self.row,
        )


def cell_at(position: Position, step: int) -> Cell:
    """The cell of a step around a position."""
    return Cell(step, _offset(position[0], MAX_LONGITUDE, step), _offset(position[1], MAX_LATITUDE, step))


def _offset(degrees: float, limit: float, step: int) -> int:
    return int((degrees + limit) / (2 * limit) * (1 << step))


def _middle(offset: int, limit: float) -> float:
    """The degrees in the middle of a column or row of the finest grid, on the map."""
    low = offset / _CELLS * (2 * limit) - limit
    high = (offset + 1) / _CELLS * (2 * limit) - limit
    # Rounded as Redis rounds it.
    middle = (low + high) / 2
    return middle if -limit <= middle <= limit else math.copysign(limit, middle)


def _spread(number: int) -> int:
    """The bits of a number of 32 bits with a gap behind each."""
    for shift, mask in _SPREAD:
        number = (number | number << shift) & mask
    return number


def _gather(bits: int) -> int:
    """Every other bit of 64, from the lowest on."""
    bits &= 0x5555555555555555
    for shift, mask in _GATHER:
        bits = (bits | bits >> shift) & mask
    return bits
