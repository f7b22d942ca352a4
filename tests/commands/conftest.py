"""Playing scenarios."""

from collections.abc import Callable

import pytest

from tests.commands.scenarios import Scenario, differences
from tests.conftest import Combination
from tests.services.raw_client import RawClient
from tests.services.redis_oracle import RedisOracle
from tests.services.rowdis import Rowdis

Play = Callable[[Scenario], None]


def _emptied(client: RawClient) -> RawClient:
    assert client.call("FLUSHALL") == b"+OK\r\n"
    return client


@pytest.fixture
def play(rowdis: Rowdis, combination: Combination, request: pytest.FixtureRequest) -> Play:
    """Run a scenario on Rowdis, one by one and as a pipeline, and on its oracle; all replies must agree.

    A commit of the embedded engine takes milliseconds, so there the pipeline is enough unless everything is wanted:
    that commands find what others have committed is shown on MariaDB.
    """
    one_by_one = combination.engine != "embedded" or request.config.getoption("--everything")

    def run(case: Scenario) -> None:
        oracle: RedisOracle = request.getfixturevalue(case.oracle)
        with _emptied(oracle.client(combination.protocol)) as real:
            theirs = [step.run(real) for step in case.steps]
        missing = case.missing_command(theirs)
        if missing:
            pytest.skip(f"Rowdis does not have {missing} yet")
        if one_by_one or not case.immediate:
            with _emptied(rowdis.client(combination.protocol)) as client:
                ours = [step.run(client) for step in case.steps]
            found = differences(case, ours, theirs)
            assert not found, "one by one:\n" + "\n".join(found)
        if case.immediate:
            with _emptied(rowdis.client(combination.protocol)) as client:
                ours = client.pipeline([step.words for step in case.steps])
            found = differences(case, ours, theirs)
            assert not found, "as a pipeline:\n" + "\n".join(found)

    return run
