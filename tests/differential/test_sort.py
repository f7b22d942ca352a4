"""Random commands around SORT, on Rowdis and on redis-server."""

from tests.conftest import Combination
from tests.differential import sort
from tests.differential.test_state_machine import StringTwins
from tests.differential.twins import hold, telling
from tests.services.redis_oracle import RedisOracle
from tests.services.rowdis import Rowdis


def test_random_sorts_are_answered_as_redis_answers_them(
    rowdis: Rowdis, oracle: RedisOracle, combination: Combination, seed: int
) -> None:
    hold(telling(StringTwins, sort.commands()), rowdis, oracle, combination, seed, examples=25)
