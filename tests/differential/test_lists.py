"""Random commands about lists, on Rowdis and on redis-server."""

from tests.conftest import Combination
from tests.differential import lists
from tests.differential.twins import Twins, hold, telling
from tests.services.redis_oracle import RedisOracle
from tests.services.rowdis import Rowdis

NAMES = [b"list:a", b"list:b", b"list:c"]


class ListTwins(Twins):
    observations = tuple((b"LRANGE", name, b"0", b"-1") for name in NAMES)


def test_random_commands_about_lists_are_answered_as_redis_answers_them(
    rowdis: Rowdis, oracle: RedisOracle, combination: Combination, seed: int
) -> None:
    machine = telling(ListTwins, lists.commands(NAMES), exact=lists.commands(NAMES, in_transaction=True))
    hold(machine, rowdis, oracle, combination, seed)
