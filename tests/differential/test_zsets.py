"""Random commands about sorted sets, on Rowdis and on redis-server."""

import hypothesis
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

import server.commands  # noqa: F401  (declares all commands)
from tests.conftest import Combination
from tests.differential import zsets
from tests.differential.commands import Command
from tests.differential.comparing import EXAMPLES, same
from tests.services.redis_oracle import RedisOracle
from tests.services.rowdis import Rowdis

NAMES = [b"equal", b"zset:a", b"zset:b", b"\x00zset \xff"]
OBSERVATIONS = [(b"ZRANGE", name, b"0", b"-1", b"WITHSCORES") for name in NAMES]
_ENDS = [b"EXEC", b"EXEC", b"DISCARD"]
_clients = st.integers(0, 1)
_command = zsets.commands(NAMES)


class ZsetTwins(RuleBasedStateMachine):
    """Both servers, two clients each; a third one looks at all keys after each step."""

    def __init__(self, rowdis: Rowdis, oracle: RedisOracle, protocol: int) -> None:
        super().__init__()
        self._ours = [rowdis.client(protocol) for _ in range(3)]
        self._theirs = [oracle.client(protocol) for _ in range(3)]
        for client in (self._ours[0], self._theirs[0]):
            assert client.call("FLUSHALL") == b"+OK\r\n"

    def teardown(self) -> None:
        for client in (*self._ours, *self._theirs):
            client.close()

    def _tell(self, which: int, *told: Command) -> None:
        theirs, ours = (clients[which].pipeline(told) for clients in (self._theirs, self._ours))
        for command, mine, other in zip(told, ours, theirs, strict=True):
            assert same(command[0], mine, other), f"{command}\nRowdis: {mine[:300]!r}\nRedis:  {other[:300]!r}"

    @initialize(size=st.sampled_from([0, 0, 5, 120, 140, 300]))
    def begin(self, size: int) -> None:
        """One sorted set may be large from the start."""
        if size:
            self._tell(0, (b"ZADD", NAMES[1], *[word for n in range(size) for word in (b"%d" % (n // 7), b"m%d" % n)]))

    @invariant()
    def same_members(self) -> None:
        self._tell(2, *OBSERVATIONS)

    @rule(which=_clients, command=_command)
    def one(self, which: int, command: Command) -> None:
        self._tell(which, command)

    @rule(which=_clients, several=st.lists(_command, min_size=2, max_size=20))
    def pipeline(self, which: int, several: list[Command]) -> None:
        self._tell(which, *several)

    @rule(which=_clients, several=st.lists(_command, min_size=1, max_size=10), end=st.sampled_from(_ENDS))
    def transaction(self, which: int, several: list[Command], end: bytes) -> None:
        self._tell(which, (b"MULTI",), *several, (end,))


@pytest.mark.parametrize("part", range(2))
def test_random_commands_about_sorted_sets_are_answered_as_redis_answers_them(
    rowdis: Rowdis, oracle: RedisOracle, combination: Combination, seed: int, part: int
) -> None:
    machine = hypothesis.seed(2 * seed + part)(lambda: ZsetTwins(rowdis, oracle, combination.protocol))
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
