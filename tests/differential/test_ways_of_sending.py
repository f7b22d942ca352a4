"""The same commands one by one, in one pipeline, and in batches with other clients' commands: the same replies."""

import hypothesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import Combination
from tests.differential.commands import Command, commands
from tests.differential.comparing import EXAMPLES, same
from tests.services.raw_client import RawClient
from tests.services.rowdis import Rowdis

NAMES = [b"key:a", b"key:b", b"key:c"]
CLIENTS = 4


def _for_client(number: int, command: Command) -> Command:
    return tuple(b"%d:%b" % (number, word) if word in NAMES else word for word in command)


def _agree(several: list[Command], first: list[bytes], second: list[bytes]) -> None:
    for command, one, other in zip(several, first, second, strict=True):
        assert same(command[0], one, other), (command, one[:200], other[:200])


def test_one_by_one_pipelined_and_batched_give_the_same(rowdis: Rowdis, combination: Combination, seed: int) -> None:
    clients = [rowdis.client(combination.protocol) for _ in range(CLIENTS)]

    def emptied() -> RawClient:
        assert clients[0].call("FLUSHALL") == b"+OK\r\n"
        return clients[0]

    @hypothesis.seed(seed)
    @settings(max_examples=15 * EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(commands(NAMES, alone=True), min_size=10, max_size=60))
    def compare(several: list[Command]) -> None:
        client = emptied()
        single = [client.call(*command) for command in several]
        pipelined = emptied().pipeline(several)
        _agree(several, single, pipelined)

        emptied()
        for command in several:
            for number, client in enumerate(clients):
                client.send(*_for_client(number, command))
        batched = [[client.read() for _ in several] for client in clients]
        for replies in batched:
            _agree(several, single, replies)

    try:
        compare()
    finally:
        for client in clients:
            client.close()
