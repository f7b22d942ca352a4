"""Random commands around SORT, on Rowdis and on redis-server."""

import hypothesis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test

import server.commands  # noqa: F401  (declares all commands)
from tests.conftest import Combination
from tests.differential import sort
from tests.differential.commands import Command
from tests.differential.comparing import EXAMPLES
from tests.differential.test_state_machine import Twins
from tests.services.redis_oracle import RedisOracle
from tests.services.rowdis import Rowdis

_clients = st.integers(0, 1)
_commands = sort.commands()


class SortTwins(Twins):
    """Both servers, told to sort too."""

    @rule(which=_clients, command=_commands)
    def sorting(self, which: int, command: Command) -> None:
        self._tell(which, command)

    @rule(which=_clients, several=st.lists(_commands, min_size=2, max_size=12))
    def pipeline_of_sorting(self, which: int, several: list[Command]) -> None:
        self._tell(which, *several)

    @rule(which=_clients, several=st.lists(_commands, min_size=2, max_size=12))
    def transaction_of_sorting(self, which: int, several: list[Command]) -> None:
        self._tell(which, (b"MULTI",), *several, (b"EXEC",))


def test_random_sorts_are_answered_as_redis_answers_them(
    rowdis: Rowdis, oracle: RedisOracle, combination: Combination, seed: int
) -> None:
    machine = hypothesis.seed(seed)(lambda: SortTwins(rowdis, oracle, combination.protocol))
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
