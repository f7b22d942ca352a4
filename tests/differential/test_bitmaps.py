"""Random commands about bitmaps, mixed with those about strings, on Rowdis and on redis-server."""

import hypothesis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test

import server.commands  # noqa: F401  (declares all commands)
from tests.conftest import Combination
from tests.differential import bitmaps
from tests.differential.commands import Command
from tests.differential.commands import commands as strings
from tests.differential.comparing import EXAMPLES, exact
from tests.differential.test_state_machine import NAMES, Twins
from tests.services.redis_oracle import RedisOracle
from tests.services.rowdis import Rowdis

_clients = st.integers(0, 1)
_bits = bitmaps.commands(NAMES)
_strings = strings(NAMES)


# A function, because Hypothesis likes to print strategies.
@st.composite
def _commands(draw: st.DrawFn, *, loose: bool = True) -> Command:
    """A command, more often about bits than not. Unless `loose`, its reply is compared byte for byte."""
    if draw(st.integers(0, 2)):
        return draw(_bits)
    return draw(_strings.filter(lambda command: loose or exact(command[0])))


class BitmapTwins(Twins):
    """Both servers, told about bits too."""

    @rule(which=_clients, command=_bits)
    def bits(self, which: int, command: Command) -> None:
        self._tell(which, command)

    @rule(which=_clients, several=st.lists(_commands(), min_size=2, max_size=12))
    def mixed(self, which: int, several: list[Command]) -> None:
        self._tell(which, *several)

    # Inside of EXEC's array nothing is compared loosely.
    @rule(which=_clients, several=st.lists(_commands(loose=False), min_size=2, max_size=12))
    def mixed_in_transaction(self, which: int, several: list[Command]) -> None:
        self._tell(which, (b"MULTI",), *several, (b"EXEC",))


def test_random_commands_about_bits_are_answered_as_redis_answers_them(
    rowdis: Rowdis, oracle: RedisOracle, combination: Combination, seed: int
) -> None:
    machine = hypothesis.seed(seed)(lambda: BitmapTwins(rowdis, oracle, combination.protocol))
    run_state_machine_as_test(
        machine,  # type: ignore[arg-type]  # any function that makes a machine will do
        settings=settings(
            max_examples=25 * EXAMPLES,
            stateful_step_count=30,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
