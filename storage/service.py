"""Storage as a whole: the engine, the pool, the schema, and what runs in the background; started and stopped here."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from storage import schema
from storage.clock import Clock
from storage.database import Database
from storage.dialect import Limits
from storage.effects import Effect, Wanted
from storage.embedded import EmbeddedEngine
from storage.engines import Target, parse_url
from storage.errors import BadTarget, DirectoryInUse, SchemaError, StorageError, Unavailable
from storage.execution import Executor
from storage.housekeeping import Housekeeper
from storage.identifiers import Identifiers
from storage.tables import Tables

log = logging.getLogger("rowdis.storage")

#: How long the end of the program waits for a step of housekeeping that is under way.
PATIENCE_S = 2.0


@dataclass(frozen=True)
class StorageOptions:
    """What storage is told by the settings. Times are milliseconds."""

    url: str
    workers: int
    prefix: str = "rowdis_"
    databases: int = 16
    timeout_ms: int = 10_000
    start_timeout_ms: int = 30_000
    sweep_interval_ms: int = 1000


class Storage:
    """Everything between the server and the database.

    `start` blocks until the database is reachable and its schema is this program's.  `tell` is given what came about
    in the background, by the thread that runs there, as far as `wanted` says that somebody wants to know.
    """

    def __init__(self, options: StorageOptions, tell: Callable[[list[Effect]], object] | None = None) -> None:
        self.options = options
        self._tell = tell
        self.clock = Clock()
        self.stopping = threading.Event()
        self.wanted = Wanted()
        self.durability: list[str] = []
        self.schema_version = 0
        self.engine: EmbeddedEngine | None = None
        self.target: Target = parse_url(options.url)
        self.executors: list[Executor] = []
        self.database: Database
        self.housekeeper: Housekeeper
        self.instance = 0

    def start(self, address: str) -> None:
        """Start the engine if it is ours, wait for the database, migrate, and start housekeeping.

        `address` is how this instance shows itself to the others.  Raises StorageError with a line for the user.
        """
        options = self.options
        self.connect()
        self.schema_version = schema.migrate(self.database, options.databases)
        self.durability = schema.durability(self.database)
        self.identifiers = Identifiers(self.database)
        self.clock.measure(self.database)
        self.identifiers.refill()
        self.instance = self.identifiers.next()
        self.executors = [
            Executor(self.database, self.identifiers, self.clock, self.instance, self.stopping, self.wanted)
            for _ in range(options.workers)
        ]
        self.housekeeper = Housekeeper(
            self.database,
            Executor(self.database, self.identifiers, self.clock, self.instance, self.stopping, self.wanted),
            self.clock,
            self.instance,
            address,
            options.sweep_interval_ms / 1000,
            self._tell,
        )
        self.housekeeper.start()

    def connect(self) -> None:
        """Start the engine if it is ours and wait for the database; touches no table."""
        options = self.options
        if self.target.directory is not None:
            self.engine = EmbeddedEngine(self.target.directory)
            self.target = self.engine.start()
        limits = Limits(statement_ms=options.timeout_ms, lock_wait_ms=max(500, options.timeout_ms // 5))
        # One session per worker, one for housekeeping, one to spare for whoever connects at start.
        self.database = Database(
            self.target,
            size=options.workers + 2,
            limits=limits,
            tables=Tables(options.prefix),
            revive=self.engine.start if self.engine is not None else None,
        )
        self._wait_for_database()

    @property
    def others(self) -> list[bytes]:
        """The addresses of other instances that use the same tables, as far as is known: it takes seconds to notice."""
        return self.housekeeper.others

    def abort(self) -> None:
        """Wait for the database no longer: whoever does gets an error. Only `stop` may follow."""
        self.stopping.set()
        if hasattr(self, "database"):
            self.database.abort()

    def stop(self) -> None:
        """End housekeeping and the engine; the workers must have ended before."""
        self.stopping.set()
        if hasattr(self, "housekeeper"):
            self.housekeeper.end()
            self.housekeeper.join(PATIENCE_S)
            if self.housekeeper.is_alive():
                self.abort()
            self.housekeeper.sign_off()
        if hasattr(self, "database"):
            self.database.close_all()
        if self.engine is not None:
            self.engine.stop()

    def _wait_for_database(self) -> None:
        deadline = time.monotonic() + self.options.start_timeout_ms / 1000
        wait = 0.2
        while True:
            try:
                with self.database.session():
                    return
            except (BadTarget, SchemaError, DirectoryInUse):
                raise
            except StorageError as error:
                if time.monotonic() + wait > deadline:
                    raise Unavailable(f"{error} at {self.target.display()}; gave up") from error
                log.warning("%s at %s; trying again", error, self.target.display())
            if self.stopping.wait(wait):
                raise Unavailable("stopped while waiting for the database")
            wait = min(5.0, wait * 2)
