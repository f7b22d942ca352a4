"""Random commands about bitmaps, mixed with those about strings, on Rowdis and on redis-server."""

from hypothesis import strategies as st

from tests.conftest import Combination
from tests.differential import bitmaps
from tests.differential.commands import commands as strings
from tests.differential.comparing import exact
from tests.differential.test_state_machine import NAMES, StringTwins
from tests.differential.twins import Command, hold, telling
from tests.services.redis_oracle import RedisOracle
from tests.services.rowdis import Rowdis

_bits = bitmaps.commands(NAMES)
_strings = strings(NAMES)


# A function, because Hypothesis likes to print strategies.
@st.composite
def _commands(draw: st.DrawFn, *, loose: bool = True) -> Command:
    """A command, more often about bits than not. Unless `loose`, its reply is compared byte for byte."""
    if draw(st.integers(0, 2)):
        return draw(_bits)
    return draw(_strings.filter(lambda command: loose or exact(command[0])))


def test_random_commands_about_bits_are_answered_as_redis_answers_them(
    rowdis: Rowdis, redis74: RedisOracle, combination: Combination, seed: int
) -> None:
    machine = telling(StringTwins, _commands(), exact=_commands(loose=False))
    hold(machine, rowdis, redis74, combination, seed, examples=25)
