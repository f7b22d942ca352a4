"""The servers that the Node.js programs run on: the usual Rowdis, and in the long runs another one and Redis itself."""

from collections.abc import Iterator

import pytest

from tests.acceptance.node import programs
from tests.conftest import services
from tests.services.redis_oracle import RedisOracle
from tests.services.rowdis import Rowdis

# On Redis a program shows that it is right itself.
_SERVERS = ("mariadb_rowdis", "embedded_rowdis", "redis74") if programs.ALL else ("mariadb_rowdis",)


@pytest.fixture(scope="session")
def packages() -> None:
    """All that the programs import."""
    with services():
        programs.install()


@pytest.fixture(params=_SERVERS)
def port(packages: None, request: pytest.FixtureRequest) -> Iterator[int]:
    """Where a server listens that holds no keys; a Rowdis has made no mistakes when the test is over."""
    server: Rowdis | RedisOracle = request.getfixturevalue(request.param)
    before = len(server.log()) if isinstance(server, Rowdis) else 0
    with server.client() as client:
        assert client.call("FLUSHALL") == b"+OK\r\n"
    yield server.port
    if isinstance(server, Rowdis):
        _, mistake, stack = server.log()[before:].partition("Traceback")
        assert not mistake, stack[:4000]
