"""HyperLogLogs after the same random commands on Rowdis and on redis-server: replies, values and estimates."""

import random

import hypothesis
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import server.commands  # noqa: F401  (declares all commands)
from server.registry import lookup
from storage.hyperloglog import HyperLogLog
from tests.conftest import Combination
from tests.differential.comparing import EXAMPLES
from tests.differential.hyperloglog import Command, commands, value
from tests.services.raw_client import RawClient
from tests.services.redis_oracle import RedisOracle
from tests.services.rowdis import Rowdis

NAMES = [b"hll:a", b"hll:b", b"hll:c"]
OBSERVATIONS: list[Command] = [command for name in NAMES for command in ((b"GET", name), (b"TYPE", name))]


def _known(command: Command) -> bool:
    return lookup(command[0]) is not None


@pytest.mark.parametrize("limit", [3000, 40, 14000])
def test_random_commands_leave_the_same_bytes(
    rowdis: Rowdis, oracle: RedisOracle, combination: Combination, seed: int, limit: int
) -> None:
    pair = [rowdis.client(combination.protocol), oracle.client(combination.protocol)]

    @hypothesis.seed(seed)
    @settings(max_examples=20 * EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(commands(NAMES).filter(_known), min_size=1, max_size=40), st.booleans())
    def compare(several: list[Command], together: bool) -> None:
        for client in pair:
            assert client.call("FLUSHALL") == b"+OK\r\n"
        for some in [several] if together else [[command] for command in several]:
            ours, theirs = (client.pipeline([*some, *OBSERVATIONS]) for client in pair)
            for command, mine, other in zip([*some, *OBSERVATIONS], ours, theirs, strict=True):
                assert mine == other, (command[:3], mine[:300], other[:300])

    try:
        for client in pair:
            assert client.call("CONFIG", "SET", "hll-sparse-max-bytes", limit) == b"+OK\r\n"
        compare()
    finally:
        for client in pair:
            assert client.call("CONFIG", "SET", "hll-sparse-max-bytes", 3000) == b"+OK\r\n"
            client.close()


@pytest.mark.parametrize("highest", [1, 5, 20, 50, 51, 63])
def test_any_registers_are_counted_alike(oracle_client: RawClient, rng: random.Random, highest: int) -> None:
    for share in (0.001, 0.1, 0.5, 0.99, 1.0):
        registers = [rng.randint(0, highest) if rng.random() < share else highest // 2 for _ in range(16384)]
        packed = sum(register << 6 * place for place, register in enumerate(registers)).to_bytes(12288, "little")
        text = value(0, packed)
        assert oracle_client.call("SET", "a", text) == b"+OK\r\n"
        assert oracle_client.call("PFCOUNT", "a") == b":%d\r\n" % HyperLogLog(text).count()


def test_estimates_are_equal_while_elements_come(
    oracle_client: RawClient, client: RawClient, rng: random.Random
) -> None:
    """From the first elements, over the change to dense registers, to 150,000 elements."""
    salt = rng.randrange(10**9)
    added = 0
    for size in (1, 2, 5, 10, 50, 100, 300, 500, 1000, 1000, 3000, 5000, 20_000, 40_000, 80_000):
        elements = [b"%d:%d" % (salt, number) for number in range(added, added + size)]
        added += size
        ours, theirs = client.call("PFADD", "a", *elements), oracle_client.call("PFADD", "a", *elements)
        assert ours == theirs
        ours, theirs = client.call("PFCOUNT", "a"), oracle_client.call("PFCOUNT", "a")
        assert ours == theirs
        assert abs(int(ours[1:]) - added) <= max(1, 0.035 * added)
    assert client.call("GETRANGE", "a", 16, -1) == oracle_client.call("GETRANGE", "a", 16, -1)
