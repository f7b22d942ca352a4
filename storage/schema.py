"""Bringing the tables to the version this program knows, and telling what the database promises."""

from __future__ import annotations

import logging
import time

import pymysql

from storage.database import Database
from storage.errors import Conflict, SchemaError, StorageError
from storage.migrations import STEPS

log = logging.getLogger("rowdis.storage")

#: The schema version that this program works with.
VERSION = len(STEPS)

_TABLE_MISSING = 1146
#: Another instance did the same a moment ago: exists already, was not there to be changed, metadata lock.
_SIMULTANEOUS = frozenset({1007, 1050, 1060, 1061, 1091, 1684, 5019, 5020})
_READ_VERSION = "SELECT number FROM rowdis_meta WHERE name='schema_version'"
_RAISE_VERSION = (
    "INSERT INTO rowdis_meta (name, number) VALUES ('schema_version', %s) "
    "ON DUPLICATE KEY UPDATE number=GREATEST(number, VALUES(number))"
)
_ADD_SPACE = "INSERT IGNORE INTO rowdis_space (db, space) VALUES (%s,%s)"


def migrate(database: Database, databases: int) -> int:
    """Run the steps that are missing and point every database number at a space; the version afterwards.

    May run in several processes at once. Raises SchemaError if the tables are of a newer program.
    """
    found = version(database)
    if found > VERSION:
        raise SchemaError(
            f"the tables are at schema version {found}, this program knows {VERSION}: use a newer Rowdis"
        )
    for number in range(found + 1, VERSION + 1):
        log.info("bringing the schema to version %d", number)
        for statement in STEPS[number - 1]:
            _run(database, database.tables.sql(statement))
        with database.session() as connection:
            connection.fetch(database.tables.sql(_RAISE_VERSION), (number,))
    with database.session() as connection:
        for db in range(databases):
            connection.defer(database.tables.sql(_ADD_SPACE), (db, db + 1))
        connection.send()
    return VERSION


def version(database: Database) -> int:
    """The schema version of the tables, 0 if there are none."""
    try:
        with database.session() as connection:
            rows = connection.fetch(database.tables.sql(_READ_VERSION))
    except StorageError as error:
        if error.number == _TABLE_MISSING:
            return 0
        raise
    return int(rows[0][0]) if rows else 0


def durability(database: Database) -> list[str]:
    """What the database says of its durability, as "name=value"; what it doesn't know is left out."""
    found = []
    with database.session() as connection:
        for name in ("version", "innodb_flush_log_at_trx_commit", "log_bin", "sync_binlog", "max_allowed_packet"):
            try:
                value = connection.fetch(f"SELECT @@GLOBAL.{name}")[0][0]
            except pymysql.MySQLError:
                continue
            found.append(f"{name}={value.decode() if isinstance(value, bytes) else value}")
    return found


def durability_warnings(found: list[str]) -> list[str]:
    """Settings of the database by which an acknowledged write may be lost, or large values refused."""
    values = dict(line.split("=", 1) for line in found)
    warnings = []
    if values.get("innodb_flush_log_at_trx_commit", "1") != "1":
        warnings.append("innodb_flush_log_at_trx_commit is not 1: a crash of the database's machine loses writes")
    if values.get("log_bin") == "1" and values.get("sync_binlog", "1") != "1":
        warnings.append("sync_binlog is not 1: a crash of the database's machine may lose writes on replicas")
    if int(values.get("max_allowed_packet", 16 << 20)) < 4 << 20:
        warnings.append("max_allowed_packet is below 4 MB: long values take many statements")
    return warnings


def _run(database: Database, statement: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            with database.session() as connection:
                connection.fetch(statement)
            return
        except Conflict as error:
            if time.monotonic() > deadline:
                raise SchemaError(f"the schema could not be brought up to date: {error}") from error
        except StorageError as error:
            if error.number in _SIMULTANEOUS:
                return
            raise
