"""Random commands about hashes and expiring fields, on Rowdis and on Redis 7.4."""

import pytest
from hypothesis import strategies as st

from tests.conftest import Combination
from tests.differential import hashes
from tests.differential.drawing import FAR, unnamed
from tests.differential.twins import Commands, Twins, about_keys, hold, telling
from tests.services.redis_oracle import RedisOracle
from tests.services.rowdis import Rowdis

NAMES = [b"key:a", b"key:b", b"\x00key \xff"]
#: Replies in an order that is undefined if a hash is large.
_UNORDERED = frozenset({b"HGETALL", b"HKEYS", b"HVALS", b"HSCAN"})


def _commands(long: bool) -> Commands:
    about_hashes = hashes.commands(NAMES, long=long)
    if long:
        about_hashes = about_hashes.filter(lambda command: command[0] not in _UNORDERED)
    return unnamed(st.one_of(*[about_hashes] * 4, about_keys(NAMES, FAR)))


class HashTwins(Twins):
    observations = hashes.observations(NAMES)


@pytest.mark.parametrize("long", [False, True], ids=["small", "large"])
def test_random_commands_about_hashes_are_answered_as_redis_answers_them(
    rowdis: Rowdis, redis74: RedisOracle, combination: Combination, seed: int, long: bool
) -> None:
    """In small hashes the order is compared as well."""
    hold(telling(HashTwins, _commands(long)), rowdis, redis74, combination, seed)
