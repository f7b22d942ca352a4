"""A state machine that gives the same random commands to Rowdis and to redis-server, over two connections each."""

import hypothesis
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

import server.commands  # noqa: F401  (declares all commands)
from server.registry import TABLE
from tests.conftest import Combination
from tests.differential.commands import Command, commands
from tests.differential.comparing import EXAMPLES, exact, same
from tests.services.redis_oracle import RedisOracle
from tests.services.rowdis import Rowdis

NAMES = [b"key:a", b"key:b", b"\x00key \xff"]
OBSERVATIONS = [command for name in NAMES for command in ((b"GET", name), (b"PEXPIRETIME", name))]
_clients = st.integers(0, 1)
# Inside of EXEC's array nothing is compared loosely.
_exact = commands(NAMES).filter(lambda command: exact(command[0]))


class Twins(RuleBasedStateMachine):
    """Both servers, two clients each; what a client is told, its twin is told. A third one looks at all keys after
    each step, so that a wrong write shows at once and not only if a later command happens to depend on it."""

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
        """Send commands in one pipeline to a client and its twin."""
        theirs, ours = (clients[which].pipeline(told) for clients in (self._theirs, self._ours))
        for command, mine, other in zip(told, ours, theirs, strict=True):
            assert same(command[0], mine, other), f"{command}\nRowdis: {_cut(mine)}\nRedis:  {_cut(other)}"

    @invariant()
    def same_keys(self) -> None:
        self._tell(2, *OBSERVATIONS)

    @rule(which=_clients, command=commands(NAMES))
    def one(self, which: int, command: Command) -> None:
        self._tell(which, command)

    @rule(which=_clients, several=st.lists(commands(NAMES), min_size=2, max_size=8))
    def pipeline(self, which: int, several: list[Command]) -> None:
        self._tell(which, *several)

    if "multi" in TABLE:

        @rule(
            which=_clients,
            watched=st.lists(st.sampled_from(NAMES), max_size=2),
            before=st.lists(_exact, max_size=2),
            meanwhile=st.lists(_exact, max_size=2),
            several=st.lists(_exact, max_size=6),
            end=st.sampled_from([(b"EXEC",), (b"EXEC",), (b"EXEC",), (b"DISCARD",)]),
            together=st.booleans(),
        )
        def transaction(
            self,
            which: int,
            watched: list[bytes],
            before: list[Command],
            meanwhile: list[Command],
            several: list[Command],
            end: Command,
            together: bool,
        ) -> None:
            """A transaction, perhaps with watched keys that the client itself or the other one changes meanwhile."""
            begin: list[Command] = [(b"WATCH", *watched)] if watched else []
            rest = [(b"MULTI",), *several, end]
            if together:
                self._tell(which, *begin, *before, *rest)
            else:
                self._tell(which, *begin, *before)
                if meanwhile:
                    self._tell(1 - which, *meanwhile)
                self._tell(which, *rest)


def _cut(reply: bytes) -> str:
    return repr(reply if len(reply) < 300 else reply[:300] + b"...")


@pytest.mark.parametrize("part", range(2))
def test_random_commands_are_answered_as_redis_answers_them(
    rowdis: Rowdis, oracle: RedisOracle, combination: Combination, seed: int, part: int
) -> None:
    machine = hypothesis.seed(2 * seed + part)(lambda: Twins(rowdis, oracle, combination.protocol))
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


def test_the_machine_notices_a_difference(oracle: RedisOracle) -> None:
    """A comparison that never fails proves nothing."""
    with oracle.client() as client:
        client.call("FLUSHALL")
        client.call("SET", "key:a", "1")
        assert not same(b"GET", client.call("GET", "key:a"), client.call("GET", "key:b"))
        assert not same(b"TTL", client.call("TTL", "key:a"), client.call("TTL", "key:b"))
        assert not same(b"KEYS", b"*1\r\n$1\r\na\r\n", b"*1\r\n$1\r\nb\r\n")
        assert same(b"KEYS", b"*2\r\n$1\r\na\r\n$1\r\nb\r\n", b"*2\r\n$1\r\nb\r\n$1\r\na\r\n")
