"""What a search on the map looks for, and which cells of the grid it has to look at.

The cells come in the order in which Redis visits them, since that is the order of a result that is not sorted.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

from storage.geohash import (
    EARTH_RADIUS_M,
    HALF_EQUATOR_M,
    RADIANS,
    STEPS,
    Cell,
    Position,
    cell_at,
    distance_m,
    meridian_m,
)  # fmt: skip

#: Columns to the east and rows to the north, in the order of visits.
_VISITS = ((0, 0), (0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1))

#: Beyond these latitudes a degree of longitude is so short that the cells have to be wider.
_HIGH_LATITUDE = 66
_POLAR_LATITUDE = 80


@dataclass(frozen=True, slots=True)
class Shape(ABC):
    """An area around a position. Lengths are in a unit that has so many metres."""

    centre: Position
    unit_m: float

    @property
    @abstractmethod
    def extents_m(self) -> tuple[float, float]:
        """How far it reaches to the east and to the north, in metres."""

    @property
    @abstractmethod
    def radius_m(self) -> float:
        """How far from the centre its furthest point is, in metres."""

    @abstractmethod
    def distance_m(self, position: Position) -> float | None:
        """How far a position is from the centre, None if it is not in the area."""

    def step(self) -> int:
        """The step at which cells are about as large as the area."""
        step = 1
        reach = self.radius_m
        if reach == 0:
            return STEPS
        while reach < HALF_EQUATOR_M:
            reach *= 2
            step += 1
        # A cell and its neighbours cover the area wherever in the cell its centre is.
        latitude = abs(self.centre[1])
        step -= 2 + (latitude > _HIGH_LATITUDE) + (latitude > _POLAR_LATITUDE)
        return min(max(step, 1), STEPS)

    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east, north in degrees, which may lie beyond the edges of the map or be no numbers."""
        longitude, latitude = self.centre
        east_m, north_m = self.extents_m
        height = north_m / EARTH_RADIUS_M / RADIANS
        # The side that is nearer to a pole is the one on which as many metres are more degrees.
        side = latitude - height if latitude < 0 else latitude + height
        width = east_m / EARTH_RADIUS_M / _cosine(side * RADIANS) / RADIANS
        return longitude - width, latitude - height, longitude + width, latitude + height


@dataclass(frozen=True, slots=True)
class Circle(Shape):
    radius: float

    @property
    def extents_m(self) -> tuple[float, float]:
        return self.radius_m, self.radius_m

    @property
    def radius_m(self) -> float:
        return self.radius * self.unit_m

    def distance_m(self, position: Position) -> float | None:
        distance = distance_m(self.centre, position)
        return distance if distance <= self.radius * self.unit_m else None


@dataclass(frozen=True, slots=True)
class Box(Shape):
    width: float
    height: float

    @property
    def extents_m(self) -> tuple[float, float]:
        return self.unit_m * (self.width / 2), self.unit_m * (self.height / 2)

    @property
    def radius_m(self) -> float:
        half_width, half_height = self.width / 2, self.height / 2
        return math.sqrt(half_width * half_width + half_height * half_height) * self.unit_m

    def distance_m(self, position: Position) -> float | None:
        latitude = position[1]
        if meridian_m(latitude, self.centre[1]) > self.height * self.unit_m / 2:
            return None
        # As wide at every latitude, and not as many degrees.
        if distance_m((self.centre[0], latitude), position) > self.width * self.unit_m / 2:
            return None
        return distance_m(self.centre, position)


def covering(shape: Shape) -> list[Cell]:
    """The cells in which members of an area may be, in the order of visits."""
    west, south, east, north = shape.bounds()
    step = shape.step()
    cell = cell_at(shape.centre, step)
    if step > 1 and not _reaches(cell, shape):
        step -= 1
        cell = cell_at(shape.centre, step)
    hidden_x: set[int] = set()
    hidden_y: set[int] = set()
    if step >= 2:
        # A side of the cell that lies beyond the area's needs no neighbours.
        cell_west, cell_south, cell_east, cell_north = cell.bounds
        hidden_x = {side for side, hidden in ((-1, cell_west < west), (1, cell_east > east)) if hidden}
        hidden_y = {side for side, hidden in ((-1, cell_south < south), (1, cell_north > north)) if hidden}
    visited = [cell.neighbour(x, y) for x, y in _VISITS if x not in hidden_x and y not in hidden_y]
    # In a grid of two columns the neighbours on both sides are the same.
    return list(dict.fromkeys(visited))


def _reaches(cell: Cell, shape: Shape) -> bool:
    """Whether the neighbours of a cell reach as far as the area does."""
    west, south, east, north = shape.bounds()
    return not (
        cell.neighbour(0, 1).bounds[3] < north
        or cell.neighbour(0, -1).bounds[1] > south
        or cell.neighbour(1, 0).bounds[2] < east
        or cell.neighbour(-1, 0).bounds[0] > west
    )


def _cosine(angle: float) -> float:
    return math.cos(angle) if math.isfinite(angle) else math.nan
