"""Random commands about strings and keys, on Rowdis and on redis-server, with watched transactions."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import rule

from tests.conftest import Combination
from tests.differential.commands import commands
from tests.differential.comparing import exact, same
from tests.differential.twins import CLIENTS, Command, Twins, hold, telling
from tests.services.redis_oracle import RedisOracle
from tests.services.rowdis import Rowdis

NAMES = [b"key:a", b"key:b", b"\x00key \xff"]
_ENDS = [(b"EXEC",), (b"EXEC",), (b"EXEC",), (b"DISCARD",)]
_ALL = commands(NAMES)
# Inside of EXEC's array nothing is compared loosely.
_EXACT = _ALL.filter(lambda command: exact(command[0]))


class StringTwins(Twins):
    observations = tuple(command for name in NAMES for command in ((b"GET", name), (b"PEXPIRETIME", name)))


class WatchingTwins(StringTwins):
    @rule(
        which=CLIENTS,
        watched=st.lists(st.sampled_from(NAMES), max_size=2),
        before=st.lists(_EXACT, max_size=2),
        meanwhile=st.lists(_EXACT, max_size=2),
        several=st.lists(_EXACT, max_size=6),
        end=st.sampled_from(_ENDS),
        at_once=st.booleans(),
    )
    def watching(
        self,
        which: int,
        watched: list[bytes],
        before: list[Command],
        meanwhile: list[Command],
        several: list[Command],
        end: Command,
        at_once: bool,
    ) -> None:
        """A transaction, perhaps with watched keys that the client itself or the other one changes meanwhile."""
        begin: list[Command] = [(b"WATCH", *watched)] if watched else []
        rest = [(b"MULTI",), *several, end]
        if at_once:
            self.tell(which, *begin, *before, *rest)
        else:
            self.tell(which, *begin, *before)
            if meanwhile:
                self.tell(1 - which, *meanwhile)
            self.tell(which, *rest)


@pytest.mark.parametrize("part", range(2))
def test_random_commands_are_answered_as_redis_answers_them(
    rowdis: Rowdis, oracle: RedisOracle, combination: Combination, seed: int, part: int
) -> None:
    machine = telling(WatchingTwins, _ALL, exact=_EXACT, together=8)
    hold(machine, rowdis, oracle, combination, 2 * seed + part, examples=25)


def test_the_machine_notices_a_difference(oracle: RedisOracle) -> None:
    """A comparison that never fails proves nothing."""
    with oracle.client() as client:
        client.call("FLUSHALL")
        client.call("SET", "key:a", "1")
        assert not same(b"GET", client.call("GET", "key:a"), client.call("GET", "key:b"))
        assert not same(b"TTL", client.call("TTL", "key:a"), client.call("TTL", "key:b"))
        assert not same(b"KEYS", b"*1\r\n$1\r\na\r\n", b"*1\r\n$1\r\nb\r\n")
        assert same(b"KEYS", b"*2\r\n$1\r\na\r\n$1\r\nb\r\n", b"*2\r\n$1\r\nb\r\n$1\r\na\r\n")
