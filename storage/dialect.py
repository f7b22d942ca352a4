"""All differences between MySQL, MariaDB and OceanBase that Rowdis has to know; one file, so that they stay few.

Every new connection gets its session settings from here and reads them back: a database that does not honour one of
them (a proxy that swallows SET, say) would lose data silently, so a mismatch refuses the connection.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

STRICT = "STRICT_ALL_TABLES"


@dataclass(frozen=True)
class Limits:
    """How long the database may take: the whole request, and a wait for one row lock, in milliseconds."""

    statement_ms: int
    lock_wait_ms: int


@dataclass(frozen=True)
class Dialect:
    """What one kind of server calls things.

    `numbers` are session variables with the value each must have for given limits.
    """

    name: str
    isolation_variable: str
    numbers: Callable[[Limits], dict[str, int | float]]
    kill: str = "KILL CONNECTION %s"
    #: Many short SELECTs cost less as one UNION ALL. (OceanBase plans each such statement anew, for milliseconds.)
    unites: bool = True

    def session_statements(self, limits: Limits) -> list[tuple[str, tuple[Any, ...]]]:
        """The SET statements of a new connection."""
        settings: dict[str, int | float | str] = {
            "sql_mode": f"{STRICT},NO_ENGINE_SUBSTITUTION",
            self.isolation_variable: "READ-COMMITTED",
            # Times are computed by UNIX_TIMESTAMP(NOW(3)): in a zone with summer time one hour a year is ambiguous.
            "time_zone": "+00:00",
            **self.numbers(limits),
        }
        return [(f"SET SESSION {name}=%s", (value,)) for name, value in settings.items()]

    def mismatches(self, read: Callable[[str], Any], limits: Limits) -> list[str]:
        """Names of the settings that the server did not take; `read` gives a session variable's value."""
        wrong = []
        if STRICT not in _text(read("sql_mode")):
            wrong.append("sql_mode")
        if _text(read(self.isolation_variable)).replace(" ", "-") != "READ-COMMITTED":
            wrong.append(self.isolation_variable)
        if _text(read("character_set_client")) not in ("utf8mb4", "binary"):
            wrong.append("character_set_client")
        wrong += [name for name, value in self.numbers(limits).items() if float(read(name)) != float(value)]
        return wrong


def _text(value: object) -> str:
    return value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)


def _seconds(milliseconds: int) -> int:
    return max(1, round(milliseconds / 1000))


MYSQL = Dialect(
    name="MySQL",
    isolation_variable="transaction_isolation",
    numbers=lambda limits: {
        "innodb_lock_wait_timeout": _seconds(limits.lock_wait_ms),
        "max_execution_time": limits.statement_ms,
    },
)
MARIADB = Dialect(
    name="MariaDB",
    isolation_variable="tx_isolation",
    numbers=lambda limits: {
        "innodb_lock_wait_timeout": _seconds(limits.lock_wait_ms),
        "max_statement_time": limits.statement_ms / 1000,
    },
)
OCEANBASE = Dialect(
    name="OceanBase",
    isolation_variable="tx_isolation",
    numbers=lambda limits: {
        # Microseconds. OceanBase ends a statement after 10 s unless told otherwise.
        "ob_query_timeout": limits.statement_ms * 1000,
        "ob_trx_timeout": limits.statement_ms * 4 * 1000,
        "ob_trx_lock_timeout": limits.lock_wait_ms * 1000,
    },
    unites=False,
)


def detect(version: str, comment: str) -> Dialect:
    """The dialect of a server by its VERSION() and @@version_comment; OceanBase calls itself MySQL 5.7.25."""
    if "oceanbase" in f"{version} {comment}".lower() or "seekdb" in comment.lower():
        return OCEANBASE
    if "mariadb" in version.lower():
        return MARIADB
    return MYSQL


#: The database's clock in milliseconds since the epoch.
NOW_MS = "SELECT CAST(UNIX_TIMESTAMP(NOW(3))*1000 AS SIGNED)"
#: The same in microseconds.
NOW_US = "SELECT CAST(UNIX_TIMESTAMP(NOW(6))*1000000 AS SIGNED)"

#: A row of two columns, the second of which tells for how many seconds the server has been up.
UPTIME = "SHOW GLOBAL STATUS LIKE 'Uptime'"

#: A read-only transaction in which every statement sees one state. Under READ COMMITTED the clause WITH CONSISTENT
#: SNAPSHOT is silently no snapshot, hence the first statement (it counts for one transaction only).
BEGIN_SNAPSHOT = (
    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
)
