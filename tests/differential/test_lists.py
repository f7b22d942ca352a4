"""Random commands about lists, on Rowdis and on redis-server."""

import hypothesis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from tests.conftest import Combination
from tests.differential.comparing import EXAMPLES
from tests.differential.lists import Command, commands
from tests.services.redis_oracle import RedisOracle
from tests.services.rowdis import Rowdis

NAMES = [b"list:a", b"list:b", b"list:c"]


class Twins(RuleBasedStateMachine):
    """Both servers are told the same; all lists are compared after each step."""

    def __init__(self, rowdis: Rowdis, oracle: RedisOracle, protocol: int) -> None:
        super().__init__()
        self._ours, self._theirs = rowdis.client(protocol), oracle.client(protocol)
        for client in (self._ours, self._theirs):
            assert client.call("FLUSHALL") == b"+OK\r\n"

    def teardown(self) -> None:
        self._ours.close()
        self._theirs.close()

    def _tell(self, *told: Command) -> None:
        theirs, ours = (client.pipeline(told) for client in (self._theirs, self._ours))
        for command, mine, other in zip(told, ours, theirs, strict=True):
            assert mine == other, f"{command}\nRowdis: {mine[:300]!r}\nRedis:  {other[:300]!r}"

    @invariant()
    def same_lists(self) -> None:
        self._tell(*((b"LRANGE", name, b"0", b"-1") for name in NAMES))

    @rule(command=commands(NAMES))
    def one(self, command: Command) -> None:
        self._tell(command)

    @rule(several=st.lists(commands(NAMES), min_size=2, max_size=10))
    def pipeline(self, several: list[Command]) -> None:
        self._tell(*several)

    @rule(several=st.lists(commands(NAMES, in_transaction=True), min_size=1, max_size=10))
    def transaction(self, several: list[Command]) -> None:
        self._tell((b"MULTI",), *several, (b"EXEC",))


def test_random_commands_about_lists_are_answered_as_redis_answers_them(
    rowdis: Rowdis, oracle: RedisOracle, combination: Combination, seed: int
) -> None:
    run_state_machine_as_test(
        hypothesis.seed(seed)(lambda: Twins(rowdis, oracle, combination.protocol)),
        settings=settings(
            max_examples=12 * EXAMPLES,
            stateful_step_count=30,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
