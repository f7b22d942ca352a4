"""How streams are written down: ids, what a key row notes, packed fields."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.stream_windows import Window
from storage.streams import (
    LAST,
    MAX_PART,
    ZERO,
    StreamState,
    following,
    pack_fields,
    preceding,
    unpack_fields,
    written,
)

_IDS = st.tuples(st.integers(0, MAX_PART), st.integers(0, MAX_PART))


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_fields_come_back_as_they_were_packed(words: list[bytes]) -> None:
    assert unpack_fields(pack_fields(words)) == words


def test_fields_are_netstrings() -> None:
    assert pack_fields([b"name", b"Bob", b"", b"1:,"]) == b"4:name,3:Bob,0:,3:1:,,"


@given(_IDS)
def test_neighbours_of_an_id(number: tuple[int, int]) -> None:
    behind, before = following(number), preceding(number)
    assert behind is None or (number < behind and preceding(behind) == number)
    assert before is None or (before < number and following(before) == number)
    assert (behind is None) == (number == LAST)
    assert (before is None) == (number == ZERO)


def test_an_id_is_written_as_clients_see_it() -> None:
    assert written((1526919030474, 55)) == b"1526919030474-55"


@given(_IDS, _IDS, st.booleans(), _IDS, st.integers(0, 2**63 - 1), st.integers(0, 99))
def test_what_a_key_row_notes_comes_back(
    last: tuple[int, int], first: tuple[int, int], exact: bool, deleted: tuple[int, int], added: int, gone: int
) -> None:
    state = StreamState(last, first, exact, deleted, added, gone)
    assert StreamState.unpack(state.pack()) == state


@pytest.mark.parametrize("complete", [False, True])
def test_a_window_tells_what_it_knows_and_no_more(complete: bool) -> None:
    window = Window((1, 0), [((2, 0), b"", 0), ((3, 0), b"", 0), ((5, 0), b"", 0)], complete)
    assert not window.covers((1, 0))
    assert window.covers((1, 1))
    assert window.find((2, 0), (3, 0), 9) == window.entries[:2]
    assert window.find((2, 1), (4, 0), 9) == window.entries[1:2]
    assert window.find((2, 0), LAST, 3) == window.entries
    assert window.find((2, 0), LAST, 4) == (window.entries if complete else None)
    assert window.find((4, 0), (4, 0), 1) == []
    assert window.find((6, 0), (7, 0), 1) == ([] if complete else None)
    assert window.find_last((1, 1), LAST, 2) == (window.entries[:0:-1] if complete else None)
    assert window.find_last(ZERO, LAST, 4) is None
