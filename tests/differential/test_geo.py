"""A state machine that gives the same random commands about positions to Rowdis and to redis-server."""

import random

import hypothesis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.conftest import Combination
from tests.differential.comparing import EXAMPLES
from tests.differential.geo import Command, commands, observations
from tests.services.raw_client import RawClient
from tests.services.redis_oracle import RedisOracle
from tests.services.rowdis import Rowdis

NAMES = [b"g", b"h", b"\x00geo \xff"]


class Maps(RuleBasedStateMachine):
    """What one client of Rowdis is told, one of Redis is told; after each step all keys are looked at."""

    def __init__(self, rowdis: Rowdis, oracle: RedisOracle, protocol: int) -> None:
        super().__init__()
        self._ours: RawClient = rowdis.client(protocol)
        self._theirs: RawClient = oracle.client(protocol)
        for client in (self._ours, self._theirs):
            assert client.call("FLUSHALL") == b"+OK\r\n"

    def teardown(self) -> None:
        self._ours.close()
        self._theirs.close()

    def _tell(self, *told: Command) -> None:
        theirs, ours = self._theirs.pipeline(told), self._ours.pipeline(told)
        for command, mine, other in zip(told, ours, theirs, strict=True):
            assert mine == other, f"{command!r}\nRowdis: {mine!r}\nRedis:  {other!r}"

    @initialize(large=st.booleans(), seed=st.randoms(use_true_random=False))
    def fill(self, large: bool, seed: random.Random) -> None:
        """With more members than are read at once, or without."""
        if large:
            places = [
                (b"%.7f" % seed.uniform(-179, 179), b"%.7f" % seed.uniform(-85, 85), b"n%d" % number)
                for number in range(300)
            ]
            self._tell((b"GEOADD", NAMES[0], *[word for place in places for word in place]))

    @invariant()
    def same_keys(self) -> None:
        self._tell(*observations(NAMES))

    @rule(command=commands(NAMES))
    def one(self, command: Command) -> None:
        self._tell(command)

    @rule(several=st.lists(commands(NAMES), min_size=2, max_size=10), together=st.booleans())
    def pipeline(self, several: list[Command], together: bool) -> None:
        self._tell(*([(b"MULTI",), *several, (b"EXEC",)] if together else several))


def test_random_commands_about_positions_are_answered_as_redis_answers_them(
    rowdis: Rowdis, oracle: RedisOracle, combination: Combination, seed: int
) -> None:
    machine = hypothesis.seed(seed)(lambda: Maps(rowdis, oracle, combination.protocol))
    run_state_machine_as_test(
        machine,  # type: ignore[arg-type]  # any function that makes a machine will do
        settings=settings(
            max_examples=20 * EXAMPLES,
            stateful_step_count=25,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
