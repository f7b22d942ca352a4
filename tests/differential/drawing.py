"""Drawing commands: words that are chosen, put one after the other."""

from collections.abc import Sequence

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

Command = tuple[bytes, ...]
Words = SearchStrategy[tuple[bytes, ...]]

#: A time in seconds that nobody will see.
FAR = 33_177_117_420


def any_of(options: Sequence[bytes]) -> SearchStrategy[bytes]:
    """One of some words; by number, because Hypothesis likes to print strategies."""
    return st.integers(0, len(options) - 1).map(lambda number: options[number])


def words(*parts: SearchStrategy[bytes] | Words | bytes) -> Words:
    """The parts one after the other, each one word or several."""

    def flat(drawn: tuple[bytes | tuple[bytes, ...], ...]) -> tuple[bytes, ...]:
        return tuple(word for part in drawn for word in ((part,) if isinstance(part, bytes) else part))

    return st.tuples(*(st.just(part) if isinstance(part, bytes) else part for part in parts)).map(flat)


def unnamed(strategy: SearchStrategy[Command]) -> SearchStrategy[Command]:
    """The same without all it consists of, which Hypothesis likes to print."""

    @st.composite
    def drawn(draw: st.DrawFn) -> Command:
        return draw(strategy)

    return drawn()
