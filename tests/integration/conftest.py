"""Storage without a server: units of work against real databases."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import pytest

from storage import schema, strings
from storage.check import Finding, check
from storage.clock import Clock
from storage.connection import Connection
from storage.database import Database
from storage.dialect import Limits
from storage.effects import Wanted
from storage.embedded import EmbeddedEngine
from storage.engines import Target, parse_url
from storage.execution import Executor, Plan
from storage.housekeeping import Housekeeper
from storage.identifiers import Identifiers
from storage.keyspace import Keyspace
from storage.owned import OWNED_TABLES
from storage.tables import Tables
from storage.unit import Attempt
from tests.conftest import services
from tests.services.mariadb import MariaDB

T = TypeVar("T")
DATABASES = 16


class Store:
    """One database with our tables, and as many executors as a test wants: each is a storage worker of an instance."""

    def __init__(self, target: Target, *, timeout_ms: int = 10_000, lock_wait_ms: int = 2000, prefix: str = "") -> None:
        self.tables = Tables(prefix or "rowdis_")
        self.database = Database(
            target, size=12, limits=Limits(statement_ms=timeout_ms, lock_wait_ms=lock_wait_ms), tables=self.tables
        )
        self.target = target
        schema.migrate(self.database, DATABASES)
        self.identifiers = Identifiers(self.database, block=10_000)
        self.clock = Clock()
        self.clock.measure(self.database)
        self.identifiers.refill()
        self.instance = self.identifiers.next()
        self.stopping = threading.Event()
        self._executors: list[Executor] = []
        self.executor = self.new_executor()
        self.housekeeper = Housekeeper(
            self.database, self.new_executor(), self.clock, self.instance, "test:1", 0.05
        )  # never started as a thread: tests call its steps
        self.housekeeper._show_life()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        for executor in self._executors:
            executor.close()
        self.housekeeper.sign_off()
        self.database.close_all()

    def new_executor(self) -> Executor:
        executor = Executor(self.database, self.identifiers, self.clock, self.instance, self.stopping, Wanted())
        self._executors.append(executor)
        return executor

    def write(
        self, body: Callable[[Keyspace], T], *names: bytes, db: int = 0, executor: Executor | None = None,
        hold: tuple[bytes, ...] = (), seconds: float = 10.0,
    ) -> T:  # fmt: skip
        """A writing unit that reads these keys."""
        plan = Plan(writes=True, keys=[(db, name) for name in names], hold=[(db, name) for name in hold])
        return (executor or self.executor).run(
            plan, lambda attempt: body(Keyspace(attempt, db)), time.monotonic() + seconds
        )

    def read(self, body: Callable[[Keyspace], T], *names: bytes, db: int = 0, executor: Executor | None = None) -> T:
        """A reading unit."""
        plan = Plan(keys=[(db, name) for name in names])
        return (executor or self.executor).run(plan, lambda attempt: body(Keyspace(attempt, db)), time.monotonic() + 10)

    def run(self, plan: Plan, body: Callable[[Attempt], T], seconds: float = 10.0) -> T:
        return self.executor.run(plan, body, time.monotonic() + seconds)

    def run_blind(self, name: bytes, value: bytes, *, db: int = 0, executor: Executor | None = None) -> None:
        """Overwrite a key by a short string without looking at it."""
        (executor or self.executor).run(
            Plan(writes=True, blind=[(db, name)]),
            lambda attempt: strings.write(Keyspace(attempt, db), name, value),
            time.monotonic() + 10,
        )

    def sql(self, statement: str, *arguments: Any) -> tuple[tuple[Any, ...], ...]:
        """Rows of a statement on a session of the pool, with the default prefix in its text."""
        with self.database.session() as connection:
            return connection.fetch(self.tables.sql(statement), arguments)

    def empty(self) -> None:
        """Delete all keys and what hangs on them; the schema, the sequence and the map of databases stay."""
        names = ("key", "garbage", "marker", "worker", "instance", "space", "script", "library")
        for name in [*(f"rowdis_{name}" for name in names), *(table.name for table in OWNED_TABLES)]:
            self.sql(f"DELETE FROM {name}")
        self.sql("DELETE FROM rowdis_meta WHERE name NOT IN ('schema_version', 'epoch', 'scripts', 'functions')")

    def check(self, *, repair: bool = False) -> list[Finding]:
        return check(self.database, repair=repair)

    def reap(self) -> None:
        """Let the reaper work until nothing is left."""
        while self.housekeeper.reap():
            pass

    def space(self, db: int = 0) -> int:
        return int(self.sql("SELECT space FROM rowdis_space WHERE db=%s", db)[0][0])


@pytest.fixture(scope="session")
def embedded_target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """The embedded engine, one for all these tests."""
    with services():
        running = EmbeddedEngine(Path(tmp_path_factory.mktemp("engine")))
        target = running.start()
    yield target
    running.stop()


@pytest.fixture(scope="session")
def mariadb_target(mariadb: MariaDB) -> Target:
    return parse_url(mariadb.create_database("integration"))


@pytest.fixture(params=["mariadb", "embedded"])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    """Empty tables in each of the two engines."""
    with Store(request.getfixturevalue(f"{request.param}_target")) as store:
        yield store
        store.empty()


@pytest.fixture
def trips(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The templates of the statements that leave together from now on, a list for each round trip."""
    sent: list[list[str]] = []
    send = Connection.send

    def noting(connection: Connection) -> None:
        if connection._trip:
            sent.append([template for _, template, _ in connection._trip])
        send(connection)

    monkeypatch.setattr(Connection, "send", noting)
    return sent
