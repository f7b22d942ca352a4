"""Random commands about sets, on Rowdis and on Redis 7.4."""

import hiredis
import hypothesis
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

import server.commands  # noqa: F401  (declares all commands)
from tests.conftest import Combination
from tests.differential import sets
from tests.differential.comparing import EXAMPLES, same
from tests.differential.sets import Command
from tests.services.redis_oracle import RedisOracle
from tests.services.rowdis import Rowdis

NAMES = [b"key:a", b"key:b", b"\x00key \xff"]
#: Replies in an order that is undefined if one of the sets is large.
_UNORDERED = frozenset({b"SMEMBERS", b"SINTER", b"SUNION", b"SDIFF", b"SSCAN", b"SPOP", b"SRANDMEMBER"})
_clients = st.integers(0, 1)


def _parsed(reply: bytes) -> object:
    reader = hiredis.Reader()
    reader.feed(reply)
    return reader.gets()


def _sorted(value: object) -> object:
    return sorted(map(_sorted, value), key=repr) if isinstance(value, list) else value


def _agree(command: Command, ours: bytes, theirs: bytes, long: bool) -> bool:
    if same(command[0], ours, theirs):
        return True
    loose = command[0] in _UNORDERED and (long or command[0] in (b"SPOP", b"SRANDMEMBER"))
    return loose and ours[:1] == theirs[:1] and _sorted(_parsed(ours)) == _sorted(_parsed(theirs))


def _commands(long: bool) -> st.SearchStrategy[Command]:
    key = st.sampled_from(NAMES)
    about_keys = st.one_of(
        st.tuples(st.just(b"DEL"), key),
        st.tuples(st.just(b"RENAME"), key, key),
        st.tuples(st.just(b"SET"), key, st.just(b"1")),
        st.tuples(st.just(b"EXPIREAT"), key, st.sampled_from([b"33177117420", b"1"])),
        st.tuples(st.just(b"EXPIRETIME"), key),
    )
    about_sets = sets.commands(NAMES, long=long)
    return sets.unnamed(st.one_of(about_sets, about_sets, about_sets, about_sets, about_sets, about_keys))


class SetTwins(RuleBasedStateMachine):
    """Both servers, two clients each; a third one looks at all sets after each step."""

    long = False

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
            agree = _agree(command, mine, other, self.long)
            assert agree, f"{command}\nRowdis: {mine[:300]!r}\nRedis:  {other[:300]!r}"

    @invariant()
    def same_sets(self) -> None:
        self.tell(2, *sets.observations(NAMES))


def _machine(long: bool) -> type[SetTwins]:
    command = _commands(long)
    # Inside of EXEC's array nothing is compared loosely.
    exact = command.filter(lambda drawn: drawn[0] not in _UNORDERED)

    class Machine(SetTwins):
        @rule(which=_clients, command=command)
        def one(self, which: int, command: Command) -> None:
            self.tell(which, command)

        @rule(which=_clients, several=st.lists(command, min_size=2, max_size=12))
        def pipeline(self, which: int, several: list[Command]) -> None:
            self.tell(which, *several)

        @rule(which=_clients, several=st.lists(exact, min_size=2, max_size=8))
        def transaction(self, which: int, several: list[Command]) -> None:
            self.tell(which, (b"MULTI",), *several, (b"EXEC",))

        @rule(which=_clients, meanwhile=st.lists(command, max_size=2), several=st.lists(exact, max_size=3))
        def watching(self, which: int, meanwhile: list[Command], several: list[Command]) -> None:
            self.tell(which, *((b"WATCH", name) for name in NAMES[:2]))
            self.tell(1 - which, (b"PING",), *meanwhile)
            self.tell(which, (b"MULTI",), *several, (b"EXEC",))

    Machine.long = long
    return Machine


@pytest.mark.parametrize("long", [False, True], ids=["small", "large"])
def test_random_commands_about_sets_are_answered_as_redis_answers_them(
    rowdis: Rowdis, redis74: RedisOracle, combination: Combination, seed: int, long: bool
) -> None:
    """In small sets the order is compared as well."""
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
