"""Random commands about hashes and expiring fields, on Rowdis and on Redis 7.4."""

import hypothesis
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

import server.commands  # noqa: F401  (declares all commands)
from tests.conftest import Combination
from tests.differential import hashes
from tests.differential.comparing import EXAMPLES, same
from tests.differential.hashes import Command
from tests.services.redis_oracle import RedisOracle
from tests.services.rowdis import Rowdis

NAMES = [b"key:a", b"key:b", b"\x00key \xff"]
#: Replies in an order that is undefined if a hash is large.
_UNORDERED = frozenset({b"HGETALL", b"HKEYS", b"HVALS", b"HSCAN"})
_clients = st.integers(0, 1)


def _commands(long: bool) -> st.SearchStrategy[Command]:
    key = st.sampled_from(NAMES)
    about_keys = st.one_of(
        st.tuples(st.just(b"DEL"), key),
        st.tuples(st.just(b"RENAME"), key, key),
        st.tuples(st.just(b"SET"), key, st.just(b"1")),
        st.tuples(st.just(b"EXPIREAT"), key, st.sampled_from([b"%d" % hashes.FAR, b"1"])),
        st.tuples(st.just(b"EXPIRETIME"), key),
    )
    about_hashes = hashes.commands(NAMES, long=long)
    if long:
        about_hashes = about_hashes.filter(lambda command: command[0] not in _UNORDERED)
    return hashes.unnamed(st.one_of(about_hashes, about_hashes, about_hashes, about_hashes, about_keys))


class HashTwins(RuleBasedStateMachine):
    """Both servers, two clients each; a third one looks at all hashes after each step."""

    def __init__(self, rowdis: Rowdis, redis: RedisOracle, protocol: int) -> None:
        super().__init__()
        self._ours = [rowdis.client(protocol) for _ in range(3)]
        self._theirs = [redis.client(protocol) for _ in range(3)]
        for client in (self._ours[0], self._theirs[0]):
            assert client.call("FLUSHALL") == b"+OK\r\n"

    def teardown(self) -> None:
        for client in (*self._ours, *self._theirs):
            client.close()

    def tell(self, which: int, *told: Command) -> None:
        """Send commands in one pipeline to a client and its twin."""
        theirs, ours = (clients[which].pipeline(told) for clients in (self._theirs, self._ours))
        for command, mine, other in zip(told, ours, theirs, strict=True):
            assert same(command[0], mine, other), f"{command}\nRowdis: {mine[:300]!r}\nRedis:  {other[:300]!r}"

    @invariant()
    def same_hashes(self) -> None:
        self.tell(2, *hashes.observations(NAMES))


def _machine(long: bool) -> type[HashTwins]:
    command = _commands(long)

    class Machine(HashTwins):
        @rule(which=_clients, command=command)
        def one(self, which: int, command: Command) -> None:
            self.tell(which, command)

        @rule(which=_clients, several=st.lists(command, min_size=2, max_size=12), together=st.booleans())
        def pipeline(self, which: int, several: list[Command], together: bool) -> None:
            self.tell(which, *([(b"MULTI",), *several, (b"EXEC",)] if together else several))

    return Machine


@pytest.mark.parametrize("long", [False, True], ids=["small", "large"])
def test_random_commands_about_hashes_are_answered_as_redis_answers_them(
    rowdis: Rowdis, redis74: RedisOracle, combination: Combination, seed: int, long: bool
) -> None:
    """In small hashes the order is compared as well."""
    machine = hypothesis.seed(seed)(lambda: _machine(long)(rowdis, redis74, combination.protocol))
    run_state_machine_as_test(
        machine,  # type: ignore[arg-type]  # any function that makes a machine will do
        settings=settings(
            max_examples=20 * EXAMPLES,
            stateful_step_count=30,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
