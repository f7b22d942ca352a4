"""A state machine that gives the same random commands about streams to Rowdis and to Redis 7.4."""

import hypothesis
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from tests.conftest import Combination
from tests.differential.comparing import EXAMPLES
from tests.differential.streams import Command, commands, observations, same
from tests.services.raw_client import RawClient
from tests.services.redis_oracle import RedisOracle
from tests.services.rowdis import Rowdis

NAMES = [b"s", b"\x00stream \xff"]


class Streams(RuleBasedStateMachine):
    """What one client of Rowdis is told, one of Redis is told; after each step both streams are looked at."""

    def __init__(self, rowdis: Rowdis, oracle: RedisOracle, protocol: int) -> None:
        super().__init__()
        self._ours: RawClient = rowdis.client(protocol)
        self._theirs: RawClient = oracle.client(protocol)
        for client in (self._ours, self._theirs):
            assert client.call("FLUSHALL") == b"+OK\r\n"
        self._tell(
            *[(b"XADD", name, b"%d-%d" % (ms, ms), b"f", b"v") for name in NAMES for ms in range(1, 6)],
            *[(b"XGROUP", b"CREATE", name, b"g", b"0") for name in NAMES],
        )

    def teardown(self) -> None:
        self._ours.close()
        self._theirs.close()

    def _tell(self, *told: Command) -> None:
        theirs, ours = self._theirs.pipeline(told), self._ours.pipeline(told)
        for command, mine, other in zip(told, ours, theirs, strict=True):
            assert same(command, mine, other), f"{command!r}\nRowdis: {mine!r}\nRedis:  {other!r}"

    @invariant()
    def same_streams(self) -> None:
        self._tell(*[command for name in NAMES for command in observations(name)])

    @rule(command=commands(NAMES))
    def one(self, command: Command) -> None:
        self._tell(command)

    @rule(several=st.lists(commands(NAMES), min_size=2, max_size=10))
    def pipeline(self, several: list[Command]) -> None:
        self._tell(*several)

    @rule(several=st.lists(commands(NAMES), min_size=1, max_size=6))
    def transaction(self, several: list[Command]) -> None:
        theirs, ours = (client.pipeline([(b"MULTI",), *several]) for client in (self._theirs, self._ours))
        assert ours == theirs
        # A transaction tells times among the rest; what it did shows in the streams.
        self._ours.call("EXEC")
        self._theirs.call("EXEC")


@pytest.mark.parametrize("part", range(2))
def test_random_commands_about_streams_are_answered_as_redis_answers_them(
    rowdis: Rowdis, redis74: RedisOracle, combination: Combination, seed: int, part: int
) -> None:
    machine = hypothesis.seed(2 * seed + part)(lambda: Streams(rowdis, redis74, combination.protocol))
    run_state_machine_as_test(
        machine,  # type: ignore[arg-type]  # any function that makes a machine will do
        settings=settings(
            max_examples=15 * EXAMPLES,
            stateful_step_count=25,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
