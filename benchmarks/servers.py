"""The servers that are compared, and what they and their databases count."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any

import pymysql

from benchmarks import direct, load, processor
from benchmarks.results import ALWAYS, CPU_US, DIRECT, EMBEDDED, LABELS, MARIADB, MEMORY
from tests.services.mariadb import MariaDB
from tests.services.process import ServerProcess, clean_environment, free_port
from tests.services.raw_client import RawClient
from tests.services.redis_oracle import RedisOracle
from tests.services.rowdis import REPOSITORY, Rowdis

_DATABASE = "rowdis_bench"
_DIRECT_DATABASE = "direct_bench"
_VARIABLES = ("version", "innodb_flush_log_at_trx_commit", "innodb_flush_method", "log_bin", "sync_binlog")

#: What the database counts. MySQL tells the syncs of its log; MariaDB since 10.8 only those of all files together.
STATUS = ("Com_commit", "Handler_commit", "Innodb_os_log_fsyncs", "Innodb_data_fsyncs", "Innodb_os_log_written")

#: Before what comes from Rowdis's own INFO, to tell it from what the database says.
ROWDIS_PREFIX = "info:"


@dataclass
class Database:
    """A session of our own beside the server's, to read settings and counters and to look into the tables."""

    connection: Any

    def settings(self) -> dict[str, str]:
        """What it says about durability; what it does not know is left out."""
        found: dict[str, str] = {}
        for name in _VARIABLES:
            with suppress(pymysql.err.MySQLError):
                found[name] = str(self._one(f"SELECT @@GLOBAL.{name}")[0])
        return found

    def counters(self) -> dict[str, int]:
        """Commits, syncs and bytes of log since its start; only what it counts."""
        with self.connection.cursor() as cursor:
            cursor.execute("SHOW GLOBAL STATUS")
            return {name: int(value) for name, value in cursor.fetchall() if name in STATUS}

    def contents(self) -> tuple[int, int]:
        """Rows of the table of keys, and the sum of all values of redis-benchmark's counters."""
        rows = int(self._one("SELECT COUNT(*) FROM rowdis_key WHERE type > 0")[0])
        total = self._one(
            "SELECT SUM(CAST(CAST(value AS CHAR) AS SIGNED)) FROM rowdis_key WHERE type > 0 AND name LIKE 'counter:%'"
        )[0]
        return rows, int(total or 0)

    def _one(self, statement: str) -> tuple[Any, ...]:
        with self.connection.cursor() as cursor:
            cursor.execute(statement)
            row: tuple[Any, ...] = cursor.fetchone()
            return row


@dataclass
class Subject:
    """A running server with all that is known of it.

    `processes` are the ids of its own and its database's processes by what they are, its own first. `settings` are
    those that decide about durability, read from the running server.
    """

    key: str
    port: int
    processes: dict[str, int]
    settings: dict[str, str]
    fill: Callable[[int], None]
    database: Database | None = None
    speaks_info: bool = False

    @property
    def label(self) -> str:
        return LABELS[self.key]

    @property
    def pid(self) -> int:
        """The server itself, without its database."""
        return next(iter(self.processes.values()))

    def client(self, timeout_s: float = 60.0) -> RawClient:
        """A new connection."""
        return RawClient(("127.0.0.1", self.port), timeout_s=timeout_s)

    def counters(self) -> dict[str, int]:
        """Its processor time in microseconds (CPU_US); what its database and its own INFO storage count, if they do."""
        found = {CPU_US: processor.used_us(self.pid)}
        if self.database is not None:
            found |= self.database.counters()
        if self.speaks_info:
            with self.client() as client:
                found |= {ROWDIS_PREFIX + name: value for name, value in _numbers(client.call("INFO", "storage"))}
        return found


def start(stack: ExitStack, wanted: Sequence[str], rowdis_options: Sequence[str]) -> list[Subject]:
    """Start the wanted servers and what they need; the stack stops them in reverse order."""
    subjects: list[Subject] = []
    mariadb = stack.enter_context(MariaDB()) if {MARIADB, DIRECT} & {*wanted} else None
    if mariadb is not None and MARIADB in wanted:
        mariadb.create_database(_DATABASE)
        rowdis = stack.enter_context(Rowdis(mariadb.url(_DATABASE, unix_socket=True), rowdis_options))
        database = Database(stack.enter_context(mariadb.connect(_DATABASE)))
        subjects.append(_rowdis(MARIADB, rowdis, database, {"MariaDB": mariadb.pid}))
    if EMBEDDED in wanted:
        rowdis = stack.enter_context(Rowdis(options=rowdis_options))
        path = rowdis.directory / "data" / "run" / "sql.sock"
        connection = pymysql.connect(unix_socket=str(path), user="root", database="rowdis", autocommit=True)
        database = Database(stack.enter_context(connection))
        subjects.append(_rowdis(EMBEDDED, rowdis, database, {"engine": rowdis.engine_pids[0]}))
    if ALWAYS in wanted:
        options = ["--appendonly", "yes", "--appendfsync", "always"]
        subjects.append(_redis(ALWAYS, stack.enter_context(RedisOracle(options))))
    if MEMORY in wanted:
        subjects.append(_redis(MEMORY, stack.enter_context(RedisOracle())))
    if mariadb is not None and DIRECT in wanted:
        subjects.append(_direct(stack, mariadb))
    return subjects


def workers(subject: Subject) -> int:
    """How many storage workers a Rowdis has; the default if it does not tell."""
    with subject.client() as client:
        found = re.search(rb"\r\n(\d+)\r\n$", client.call("CONFIG", "GET", "workers"))
    return int(found[1]) if found else 4


def _rowdis(key: str, rowdis: Rowdis, database: Database, processes: dict[str, int]) -> Subject:
    return Subject(
        key,
        rowdis.port,
        {"Rowdis": rowdis.pid, **processes},
        database.settings(),
        lambda keyspace: load.fill(rowdis.port, keyspace),
        database,
        speaks_info=True,
    )


def _redis(key: str, server: RedisOracle) -> Subject:
    settings = {}
    with server.client() as client:
        for name in ("appendonly", "appendfsync", "save"):
            settings[name] = client.call("CONFIG", "GET", name).split(b"\r\n")[-2].decode()
    processes = {"redis-server": server.process.pid}
    return Subject(key, server.port, processes, settings, lambda keyspace: load.fill(server.port, keyspace))


def _direct(stack: ExitStack, mariadb: MariaDB) -> Subject:
    mariadb.create_database(_DIRECT_DATABASE)
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.direct", "--port", str(port), "--database", _DIRECT_DATABASE]
    command += ["--unix-socket", str(mariadb.unix_socket)]
    process = ServerProcess(
        command,
        mariadb.directory / "direct.log",
        directory=REPOSITORY,
        environment=clean_environment(PYTHONUNBUFFERED="1"),
    )
    stack.callback(process.kill)
    process.wait_ready(lambda: _answers(port), 30.0)
    database = Database(stack.enter_context(mariadb.connect(_DIRECT_DATABASE)))
    target = {"unix_socket": str(mariadb.unix_socket), "user": "root", "database": _DIRECT_DATABASE}
    return Subject(
        DIRECT,
        port,
        {"direct baseline": process.pid, "MariaDB": mariadb.pid},
        database.settings(),
        lambda keyspace: direct.fill(target, load.fill_contents(keyspace)),
        database,
    )


def _answers(port: int) -> bool:
    with suppress(OSError), RawClient(("127.0.0.1", port), timeout_s=5.0) as client:
        return client.call("PING") == b"+PONG\r\n"
    return False


def _numbers(info: bytes) -> list[tuple[str, int]]:
    """The whole numbers of an INFO section; none in an error reply."""
    return [(name.decode(), int(value)) for name, value in re.findall(rb"^(\w+):(\d+)\r$", info, re.MULTILINE)]
