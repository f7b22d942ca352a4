"""Random commands about streams, on Rowdis and on Redis 7.4."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import rule

from tests.conftest import Combination
from tests.differential import streams
from tests.differential.twins import CLIENTS, Command, Twins, hold
from tests.services.redis_oracle import RedisOracle
from tests.services.rowdis import Rowdis

NAMES = [b"s", b"\x00stream \xff"]
_COMMANDS = streams.commands(NAMES)


class StreamTwins(Twins):
    observations = tuple(command for name in NAMES for command in streams.observations(name))

    def begin(self) -> None:
        self.tell(
            0,
            *[(b"XADD", name, b"%d-%d" % (ms, ms), b"f", b"v") for name in NAMES for ms in range(1, 6)],
            *[(b"XGROUP", b"CREATE", name, b"g", b"0") for name in NAMES],
        )

    def agree(self, command: Command, ours: bytes, theirs: bytes) -> bool:
        return streams.same(command, ours, theirs)

    @rule(which=CLIENTS, command=_COMMANDS)
    def one(self, which: int, command: Command) -> None:
        self.tell(which, command)

    @rule(which=CLIENTS, several=st.lists(_COMMANDS, min_size=2, max_size=10))
    def pipeline(self, which: int, several: list[Command]) -> None:
        self.tell(which, *several)

    @rule(which=CLIENTS, several=st.lists(_COMMANDS, min_size=1, max_size=6))
    def transaction(self, which: int, several: list[Command]) -> None:
        ours, theirs = self.replies(which, (b"MULTI",), *several)
        assert ours == theirs
        # A transaction tells times among the rest; what it did shows in the streams.
        self.replies(which, (b"EXEC",))


@pytest.mark.parametrize("part", range(2))
def test_random_commands_about_streams_are_answered_as_redis_answers_them(
    rowdis: Rowdis, redis74: RedisOracle, combination: Combination, seed: int, part: int
) -> None:
    hold(StreamTwins, rowdis, redis74, combination, 2 * seed + part, examples=15, steps=25)
