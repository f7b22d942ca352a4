"""Positions as integers, distances, and the cells that cover an area."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from storage.geo import expected
from storage.geo_areas import Box, Circle, Shape, covering
from storage.geohash import (
    MAX_LATITUDE,
    MAX_LONGITUDE,
    STEPS,
    Cell,
    Position,
    cell_at,
    code_of_score,
    decode,
    distance_m,
    encode,
    is_position,
    meridian_m,
    text,
)

PALERMO = 13.361389, 38.115556
CATANIA = 15.087269, 37.502669

LONGITUDES = st.floats(-MAX_LONGITUDE, MAX_LONGITUDE, exclude_max=True)
LATITUDES = st.floats(-MAX_LATITUDE, MAX_LATITUDE, exclude_max=True)
POSITIONS = st.tuples(LONGITUDES, LATITUDES)
#: Where an area of 1,000 km crosses no edge of the map, and lines are not bent much.
MODERATE = st.tuples(st.floats(-150, 150), st.floats(-60, 60))


def test_codes_are_those_of_redis() -> None:
    assert encode(PALERMO) == 3479099956230698
    assert encode(CATANIA) == 3479447370796909
    assert decode(3479099956230698) == (13.361389338970184, 38.1155563954963)


def test_the_ends_of_the_map() -> None:
    assert encode((-180.0, -MAX_LATITUDE)) == 0
    # One column or row behind the last one.
    assert encode((180.0, -MAX_LATITUDE)) == 1 << 53
    assert encode((-180.0, MAX_LATITUDE)) == 1 << 52
    assert decode(3 << 52) == (180.0, MAX_LATITUDE)
    assert decode(2**64 - 1) == (180.0, MAX_LATITUDE)


@pytest.mark.parametrize(
    ("position", "inside"),
    [((180.0, MAX_LATITUDE), True), ((-180.0, -MAX_LATITUDE), True), ((180.1, 0.0), False), ((0.0, -85.06), False),
     ((math.inf, 0.0), False)],
)  # fmt: skip
def test_the_map_has_limits(position: Position, inside: bool) -> None:
    assert is_position(*position) is inside


@given(POSITIONS)
def test_a_position_is_in_its_cell(position: Position) -> None:
    west, south, east, north = cell_at(position, STEPS).bounds
    # Next to a border it may be rounded to the other side.
    assert west - 1e-12 <= position[0] <= east + 1e-12
    assert south - 1e-12 <= position[1] <= north + 1e-12
    found = decode(encode(position))
    assert abs(found[0] - position[0]) <= 360 / 2**STEPS
    assert abs(found[1] - position[1]) <= 2 * MAX_LATITUDE / 2**STEPS
    assert encode(found) == encode(position)


@given(POSITIONS, st.integers(1, STEPS))
def test_a_coarse_cell_has_the_codes_of_what_lies_in_it(position: Position, step: int) -> None:
    low, high = cell_at(position, step).codes
    assert low <= encode(position) < high
    assert high - low == 4 ** (STEPS - step)


@given(POSITIONS, st.integers(1, STEPS), st.integers(-1, 1), st.integers(-1, 1))
def test_a_neighbour_has_its_neighbour_on_the_other_side(position: Position, step: int, east: int, north: int) -> None:
    cell = cell_at(position, step)
    # As in Redis, a position that rounding puts on the far edge has a column or row that is not on the grid.
    assume(max(cell.column, cell.row) < 1 << step)
    assert cell.neighbour(east, north).neighbour(-east, -north) == cell


def test_neighbours_go_around_the_globe() -> None:
    assert Cell(3, 7, 0).neighbour(1, -1) == Cell(3, 0, 7)


@pytest.mark.parametrize(
    ("score", "code"),
    [(0.0, 0), (1.9, 1), (-0.5, 0), (-1.0, 2**64 - 1), (2.0**63, 2**63), (2.0**64, 0), (1e300, 0), (-1e300, 2**63),
     (math.inf, 0), (-math.inf, 2**63), (-(2.0**63), 2**63)],
)  # fmt: skip
def test_any_score_is_taken_for_a_code(score: float, code: int) -> None:
    assert code_of_score(score) == code


def test_geohashes_are_those_that_others_know() -> None:
    assert text(decode(encode(PALERMO))) == b"sqc8b49rny0"
    assert text(decode(encode(CATANIA))) == b"sqdtr74hyu0"


def test_distances() -> None:
    one, other = decode(encode(PALERMO)), decode(encode(CATANIA))
    assert distance_m(one, other) == pytest.approx(166274.1516, abs=1e-4)
    assert distance_m(one, one) == 0
    assert distance_m((0, 0), (0, 45)) == meridian_m(0, 45)
    # Half around the globe, where rounding could leave the domain of the arc sine.
    assert distance_m((0, 0), (180, 0)) == pytest.approx(math.pi * 6372797.560856)


@given(POSITIONS, POSITIONS)
def test_a_distance_is_the_same_both_ways_and_not_beyond_the_antipodes(one: Position, other: Position) -> None:
    distance = distance_m(one, other)
    assert distance == pytest.approx(distance_m(other, one))
    assert 0 <= distance <= math.pi * 6372797.560856 * (1 + 1e-12)


@given(
    MODERATE,
    st.floats(1, 1_000_000),
    st.floats(0, 1),
    st.floats(0, 2 * math.pi),
)
def test_what_is_in_a_circle_is_in_one_of_its_cells(
    centre: Position, radius_m: float, part: float, direction: float
) -> None:
    # Going so far in a direction is not exact on a sphere; what ends up outside says nothing.
    degrees = radius_m * part / 111_000
    position = (
        centre[0] + degrees * math.cos(direction) / math.cos(math.radians(centre[1])),
        centre[1] + degrees * math.sin(direction),
    )
    _assert_covered(Circle(centre, 1.0, radius_m), position)


@given(MODERATE, st.floats(1, 1000), st.floats(1, 1000), st.floats(-0.5, 0.5), st.floats(-0.5, 0.5))
def test_what_is_in_a_box_is_in_one_of_its_cells(
    centre: Position, width_km: float, height_km: float, east: float, north: float
) -> None:
    latitude = centre[1] + height_km * north / 112
    longitude = centre[0] + width_km * east / 112 / math.cos(math.radians(latitude))
    _assert_covered(Box(centre, 1000.0, width_km, height_km), (longitude, latitude))


def _assert_covered(shape: Shape, position: Position) -> None:
    found = decode(encode(position))
    if shape.distance_m(found) is not None:
        code = encode(found)
        assert any(low <= code < high for low, high in (cell.codes for cell in covering(shape)))


@given(POSITIONS, st.floats(0, allow_infinity=True, allow_nan=False), st.floats(0, allow_nan=False))
def test_any_area_has_some_cells_and_none_twice(centre: Position, width: float, height: float) -> None:
    for shape in (Circle(centre, 1000.0, width), Box(centre, 0.3048, width, height)):
        cells = covering(shape)
        assert 1 <= len(cells) <= 9
        assert len(set(cells)) == len(cells)
        assert cells[0] == cell_at(centre, cells[0].step)


def test_small_areas_have_few_cells() -> None:
    for radius_m in (1, 100, 10_000, 1_000_000):
        cells = covering(Circle(PALERMO, 1.0, radius_m))
        west, _, east, _ = cells[0].bounds
        assert (east - west) * 88_000 < 32 * radius_m


def test_a_box_is_as_wide_in_metres_at_every_latitude() -> None:
    box = Box((0.0, 60.0), 1000.0, 200, 400)
    assert box.distance_m((1.7, 60.0)) is not None
    assert box.distance_m((1.9, 60.0)) is None
    assert box.distance_m((1.9, 58.3)) is None
    assert box.distance_m((1.6, 58.3)) is not None
    assert box.distance_m((0.0, 58.1)) is None


def test_what_a_search_will_read_is_guessed_by_the_size_of_its_area() -> None:
    small, large, huge = (Circle(PALERMO, 1.0, radius_m) for radius_m in (100, 10_000, 1_000_000))
    assert expected(small, 1_000_000) < 1000 < expected(large, 1_000_000) < 1_000_000
    assert expected(huge, 1_000_000) == 1_000_000
    assert expected(large, 10_000) < 1000
