"""Random commands about sorted sets, on Rowdis and on redis-server."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize

from tests.conftest import Combination
from tests.differential import zsets
from tests.differential.twins import Twins, hold, telling
from tests.services.redis_oracle import RedisOracle
from tests.services.rowdis import Rowdis

NAMES = [b"equal", b"zset:a", b"zset:b", b"\x00zset \xff"]


class ZsetTwins(Twins):
    observations = tuple((b"ZRANGE", name, b"0", b"-1", b"WITHSCORES") for name in NAMES)

    @initialize(size=st.sampled_from([0, 0, 5, 120, 140, 300]))
    def fill(self, size: int) -> None:
        """One sorted set may be large from the start."""
        if size:
            self.tell(0, (b"ZADD", NAMES[1], *[word for n in range(size) for word in (b"%d" % (n // 7), b"m%d" % n)]))


@pytest.mark.parametrize("part", range(2))
def test_random_commands_about_sorted_sets_are_answered_as_redis_answers_them(
    rowdis: Rowdis, redis74: RedisOracle, combination: Combination, seed: int, part: int
) -> None:
    machine = telling(ZsetTwins, zsets.commands(NAMES), together=20)
    hold(machine, rowdis, redis74, combination, 2 * seed + part, examples=25)
