"""Random commands about sets, on Rowdis and on Redis 7.4."""

from typing import Any

import hiredis
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import rule

from tests.conftest import Combination
from tests.differential import sets
from tests.differential.comparing import same
from tests.differential.drawing import FAR, unnamed
from tests.differential.twins import CLIENTS, Command, Commands, Twins, about_keys, hold, telling
from tests.services.redis_oracle import RedisOracle
from tests.services.rowdis import Rowdis

NAMES = [b"key:a", b"key:b", b"\x00key \xff"]
_RANDOM = frozenset({b"SPOP", b"SRANDMEMBER"})
#: Replies in an order that is undefined if one of the sets is large.
_UNORDERED = frozenset({b"SMEMBERS", b"SINTER", b"SUNION", b"SDIFF", b"SSCAN"}) | _RANDOM


def _sorted(reply: bytes) -> object:
    reader = hiredis.Reader()
    reader.feed(reply)
    return _in_order(reader.gets())


def _in_order(value: Any) -> Any:
    return sorted(map(_in_order, value), key=repr) if isinstance(value, list) else value


class SetTwins(Twins):
    observations = sets.observations(NAMES)
    long = False

    def agree(self, command: Command, ours: bytes, theirs: bytes) -> bool:
        if same(command[0], ours, theirs):
            return True
        loose = command[0] in (_UNORDERED if self.long else _RANDOM)
        return loose and ours[:1] == theirs[:1] and _sorted(ours) == _sorted(theirs)


class LargeSetTwins(SetTwins):
    long = True


def _machine(long: bool) -> type[Twins]:
    about_sets = sets.commands(NAMES, long=long)
    command: Commands = unnamed(st.one_of(*[about_sets] * 5, about_keys(NAMES, FAR)))
    # Inside of EXEC's array nothing is compared loosely.
    exact = command.filter(lambda drawn: drawn[0] not in _UNORDERED)

    class Watching(LargeSetTwins if long else SetTwins):  # type: ignore[misc]  # either of the two
        @rule(which=CLIENTS, meanwhile=st.lists(command, max_size=2), several=st.lists(exact, max_size=3))
        def watching(self, which: int, meanwhile: list[Command], several: list[Command]) -> None:
            self.tell(which, *((b"WATCH", name) for name in NAMES[:2]))
            self.tell(1 - which, (b"PING",), *meanwhile)
            self.tell(which, (b"MULTI",), *several, (b"EXEC",))

    return telling(Watching, command, exact=exact)


@pytest.mark.parametrize("long", [False, True], ids=["small", "large"])
def test_random_commands_about_sets_are_answered_as_redis_answers_them(
    rowdis: Rowdis, redis74: RedisOracle, combination: Combination, seed: int, long: bool
) -> None:
    """In small sets the order is compared as well."""
    hold(_machine(long), rowdis, redis74, combination, seed)
