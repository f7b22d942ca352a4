"""Real servers for all tests, and the choice which combinations of engine and protocol a run covers.

By default every test that takes `combination` (or `rowdis`, `client`) runs on the embedded engine in RESP3 and on
MariaDB in RESP2; the other two combinations run for a sample that a seed draws, which changes daily and is printed.
"""

import datetime
import os
import random
from collections import Counter, defaultdict
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.services.mariadb import MariaDB
from tests.services.process import Missing
from tests.services.raw_client import RawClient
from tests.services.redis_7_4 import redis_7_4_is_here, redis_7_4_oracle, suits_this_machine
from tests.services.redis_oracle import RedisOracle, valkey_oracle
from tests.services.rowdis import Rowdis

TESTS = Path(__file__).parent
SAMPLED = 0.1
"""The share of tests that also run in the combinations beside the usual two."""


class Combination(NamedTuple):
    """What a test runs on and speaks."""

    engine: str
    protocol: int

    def __str__(self) -> str:
        return f"{self.engine}-resp{self.protocol}"


USUAL = (Combination("embedded", 3), Combination("mariadb", 2))
ALL = (*USUAL, Combination("embedded", 2), Combination("mariadb", 3))


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("rowdis", "combinations of engine and protocol")
    group.addoption("--engine", choices=("embedded", "mariadb"), help="only this engine")
    group.addoption("--protocol", type=int, choices=(2, 3), help="only this version of RESP")
    group.addoption("--seed", type=int, help="draws the sample and all random data (default: today's date)")
    group.addoption("--redis", choices=("7.0", "7.4"), help="compare with this version (default: the newest there is)")
    group.addoption("--everything", action="store_true", help="all combinations for all tests")


def _seed(config: pytest.Config) -> int:
    given: int | None = config.getoption("--seed")
    return given if given is not None else int(f"{datetime.datetime.now(datetime.UTC):%Y%m%d}")


def pytest_report_header(config: pytest.Config) -> str:
    return f"rowdis: seed {_seed(config)} (--seed), engine {config.getoption('--engine') or 'any'}, protocol RESP" + (
        str(config.getoption("--protocol") or " any")
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "combination" in metafunc.fixturenames:
        metafunc.parametrize("combination", ALL, ids=str)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    kept = [item for item in items if _is_wanted(item, config)]
    if len(kept) < len(items):
        wanted = set(kept)
        config.hook.pytest_deselected(items=[item for item in items if item not in wanted])
        items[:] = kept


def _is_wanted(item: pytest.Item, config: pytest.Config) -> bool:
    combination = (
        item.callspec.params.get("combination")
        if isinstance(item, pytest.Function) and hasattr(item, "callspec")
        else None
    )
    if not isinstance(combination, Combination):
        return True
    engine, protocol = config.getoption("--engine"), config.getoption("--protocol")
    if engine not in (None, combination.engine) or protocol not in (None, combination.protocol):
        return False
    if config.getoption("--everything") or combination in USUAL:
        return True
    if engine is not None and protocol is not None:
        return True  # asked for by name
    # Drawn by name, not in turn: which tests are in the sample does not depend on which are collected.
    return random.Random(f"{_seed(config)}:{item.nodeid}").random() < SAMPLED


@contextmanager
def services() -> Iterator[None]:
    """What is not installed is skipped on a laptop and fails in CI, where nobody would notice a skip."""
    try:
        yield
    except Missing as missing:
        if os.environ.get("CI"):
            pytest.fail(str(missing))
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def seed(pytestconfig: pytest.Config) -> int:
    """The seed of this run; take `rng` for random data."""
    return _seed(pytestconfig)


@pytest.fixture
def rng(seed: int, request: pytest.FixtureRequest) -> random.Random:
    """Random numbers of the test's own, the same for the same seed."""
    return random.Random(f"{seed}:{request.node.nodeid}")


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDB]:
    """One MariaDB for the whole run. Make a database of your own in it; whoever kills a server starts his own one."""
    with services():
        server = MariaDB().start()
    yield server
    server.stop()


def _is_newest(config: pytest.Config) -> bool:
    version = config.getoption("--redis")
    return redis_7_4_is_here() if version is None else bool(version == "7.4")


def another_oracle(config: pytest.Config, options: Sequence[str] = ()) -> RedisOracle:
    """A server like `oracle`, not started, for what would disturb others."""
    return redis_7_4_oracle(options) if _is_newest(config) else RedisOracle(options)


@pytest.fixture(scope="session")
def oracle(request: pytest.FixtureRequest) -> RedisOracle:
    """The server that is right: Redis 7.4.1, or redis-server 7.0 where that is not to be had.

    A test of what differs between the two takes `redis74`, and is skipped there.
    """
    server = request.getfixturevalue("redis74" if _is_newest(request.config) else "redis70")
    assert isinstance(server, RedisOracle)
    return server


@pytest.fixture(scope="session")
def redis70() -> Iterator[RedisOracle]:
    """The redis-server 7.0 of Debian and others."""
    with services():
        server = RedisOracle().start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def redis74(pytestconfig: pytest.Config) -> Iterator[RedisOracle]:
    """Redis 7.4.1; there is none for machines other than Linux on x86_64."""
    if not suits_this_machine() or pytestconfig.getoption("--redis") == "7.0":
        pytest.skip("there is no Redis 7.4 for this machine")
    with services():
        server = redis_7_4_oracle().start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def valkey() -> Iterator[RedisOracle]:
    """Valkey 9, a second opinion on what redis-server 7.0 lacks."""
    with services():
        server = valkey_oracle().start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def embedded_rowdis() -> Iterator[Rowdis]:
    """Rowdis on the embedded engine; its exit code is checked at the end."""
    with Rowdis() as server:
        yield server


@pytest.fixture(scope="session")
def mariadb_rowdis(mariadb: MariaDB) -> Iterator[Rowdis]:
    """Rowdis on MariaDB; its exit code is checked at the end."""
    with Rowdis(mariadb.create_database("rowdis_tests")) as server:
        yield server


@pytest.fixture
def rowdis(combination: Combination, request: pytest.FixtureRequest) -> Rowdis:
    """The running program of this combination, shared with other tests; `client` starts from no keys at all."""
    server = request.getfixturevalue(f"{combination.engine}_rowdis")
    assert isinstance(server, Rowdis)
    return server


@pytest.fixture
def client(rowdis: Rowdis, combination: Combination) -> Iterator[RawClient]:
    """A connection to an emptied Rowdis, in the protocol of the combination."""
    with rowdis.client(combination.protocol) as connection:
        assert connection.call("FLUSHALL") == b"+OK\r\n"
        yield connection


@pytest.fixture
def oracle_client(oracle: RedisOracle, combination: Combination) -> Iterator[RawClient]:
    """A connection to an emptied redis-server, in the protocol of the combination."""
    with oracle.client(combination.protocol) as connection:
        assert connection.call("FLUSHALL") == b"+OK\r\n"
        yield connection


_seconds: defaultdict[str, float] = defaultdict(float)
_tests: Counter[str] = Counter()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    folder = _folder(report.nodeid)
    _seconds[folder] += report.duration
    _tests[folder] += report.when == "call"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.section("time by folder")
    for folder, seconds in sorted(_seconds.items(), key=lambda item: -item[1]):
        terminalreporter.write_line(f"{folder:<28} {_tests[folder]:>6} tests {seconds:>9.1f} s")


def _folder(node: str) -> str:
    return str(Path(node.partition("::")[0]).parent)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the end of Rowdis's log with a failure: what the client saw is half of the story."""
    report = yield
    if report.failed and isinstance(item, pytest.Function):
        for name, value in item.funcargs.items():
            if isinstance(value, Rowdis):
                report.sections.append((f"log of {name}", value.log()[-4000:]))
    return report
