"""Random commands about positions, on Rowdis and on redis-server."""

import random

from hypothesis import strategies as st
from hypothesis.stateful import initialize

from tests.conftest import Combination
from tests.differential import geo
from tests.differential.twins import Twins, hold, telling
from tests.services.redis_oracle import RedisOracle
from tests.services.rowdis import Rowdis

NAMES = [b"g", b"h", b"\x00geo \xff"]


class GeoTwins(Twins):
    observations = geo.observations(NAMES)

    @initialize(large=st.booleans(), seed=st.randoms(use_true_random=False))
    def fill(self, large: bool, seed: random.Random) -> None:
        """With more members than are read at once, or without."""
        if large:
            places = [
                (b"%.7f" % seed.uniform(-179, 179), b"%.7f" % seed.uniform(-85, 85), b"n%d" % number)
                for number in range(300)
            ]
            self.tell(0, (b"GEOADD", NAMES[0], *[word for place in places for word in place]))


def test_random_commands_about_positions_are_answered_as_redis_answers_them(
    rowdis: Rowdis, redis74: RedisOracle, combination: Combination, seed: int
) -> None:
    hold(telling(GeoTwins, geo.commands(NAMES)), rowdis, redis74, combination, seed, steps=25)
