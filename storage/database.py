"""The pool of database sessions and the one place where driver errors get their meaning.

A `Database` is a pooled Peewee database whose `begin()` and `commit()` travel joined with the statements around them
(see `Connection`); `atomic()` works on it as on any other.  A session goes back to the pool at the end of every
`session()` block, on every path.
"""

from __future__ import annotations

import contextlib
import logging
import ssl
import time
from collections.abc import Callable, Iterator
from typing import Any

import pymysql
from peewee import MySQLDatabase
from playhouse.pool import MaxConnectionsExceeded, PoolConnection, _PooledMySQLDatabase
from pymysql.constants import CR, ER

from storage.connection import MAX_TRIP, Connection
from storage.dialect import UPTIME, Dialect, Limits, detect
from storage.engines import Target
from storage.errors import (
    BadTarget,
    Conflict,
    DatabaseReadOnly,
    Duplicate,
    GuardFailed,
    LockWait,
    LostConnection,
    StorageError,
    Unavailable,
)
from storage.tables import Tables

log = logging.getLogger("rowdis.storage")

#: A session that was idle for longer is pinged before it is used; the ping costs a round trip.
PING_AFTER_S = 5.0

_LOST = frozenset({0, 1053, 5066, 1158, 1159, 1160, 1161, 1927, 2006, 2013, 2014, 2055, 4031})
_UNREACHABLE = frozenset({1040, 1042, 1129, 1203, 1226, 2002, 2003, 2005})
#: A lock was waited for in vain, or not given at once to a statement with NOWAIT; OceanBase's codes for the same.
_LOCK_WAIT = frozenset({1205, 3572, 6003, 6004})
#: Deadlock, record changed since snapshot; OceanBase's codes for "try again".
_CONFLICT = frozenset({1213, 1020, 3058, 4012, 4038, 4138, 5179, 6002, 6005, 6213, 6224, 6235})
_READ_ONLY = frozenset({1290, 1836, 1792, 3989})
_TIMED_OUT = frozenset({1317, 1969, 3024})


class _SessionDatabase(MySQLDatabase):
    """A Peewee MySQL database whose connections are ours."""

    target: Target
    limits: Limits
    tables: Tables
    dialect: Dialect | None = None

    def _new_connection(self) -> Connection:
        return Connection(
            **self.target.connect_arguments(),
            charset="utf8mb4",
            autocommit=True,
            connect_timeout=max(1, self.limits.statement_ms // 2000),
            read_timeout=self.limits.statement_ms / 1000,
            write_timeout=self.limits.statement_ms / 1000,
            defer_connect=True,
        )

    def _prepare(self, connection: Connection) -> None:
        if self.dialect is None:
            (version, comment), = connection.fetch("SELECT VERSION(), @@version_comment")
            self.dialect = detect(version.decode(), comment.decode())
        for statement, arguments in self.dialect.session_statements(self.limits):
            connection.defer(statement, arguments)
        connection.send()
        wrong = self.dialect.mismatches(lambda name: connection.fetch(f"SELECT @@SESSION.{name}")[0][0], self.limits)
        if wrong:
            raise BadTarget(f"the database did not take the session settings {', '.join(wrong)}")
        packet = int(connection.fetch("SELECT @@max_allowed_packet")[0][0])
        connection.trip_limit = min(MAX_TRIP, packet // 4)
        connection.unites = self.dialect.unites


class Database(_PooledMySQLDatabase, _SessionDatabase):
    """At most `size` sessions, used by threads one unit of work at a time.

    The threads that use it may be no more than `size`: asking for one more raises at once instead of waiting, because
    it is a bug of ours, and never a question of load.  `revive` is called when the database can't be reached, to start
    an engine of ours again.
    """

    def __init__(
        self,
        target: Target,
        *,
        size: int,
        limits: Limits,
        tables: Tables | None = None,
        revive: Callable[[], object] | None = None,
    ) -> None:
        self.target = target
        self.limits = limits
        self.tables = tables or Tables()
        self._revive = revive
        self._making: set[Connection] = set()
        self._aborted = False
        super().__init__(target.database, max_connections=size)

    # -- what Peewee's pool does differently: it holds two locks while it connects, pings and rolls back, so that one
    # session that is slow to come or go would stop all threads

    def connect(self, reuse_if_open: bool = False) -> bool:
        """Check a session out for this thread."""
        state = self._state
        assert state.closed, "this thread has a session already"
        state.reset()
        state.set_connection(self._check_out())
        return True

    def close(self) -> bool:
        """Check this thread's session in, if it has one."""
        state = self._state
        if state.closed:
            return False
        assert not self.in_transaction(), "a session is given back in mid-transaction"
        connection: Connection = state.conn
        state.reset()
        reusable = self._can_reuse(connection)
        with self._pool_lock:
            self._in_use.pop(id(connection), None)
            if reusable and not self._aborted:
                self._heap_counter += 1
                self._connections.append((connection.made_at, self._heap_counter, connection))
                return True
        self._close_raw(connection)
        return True

    def _check_out(self) -> Connection:
        """The session that was used last, since it needs no ping, or a new one."""
        while True:
            with self._pool_lock:
                connection: Connection | None = self._connections.pop()[2] if self._connections else None
                if connection is not None:
                    self._note_use(connection)
            if connection is None:
                return self._make()
            if not self._is_closed(connection):
                return connection
            with self._pool_lock:
                self._in_use.pop(id(connection), None)
            self._close_raw(connection)

    def _note_use(self, connection: Connection) -> None:
        self._in_use[id(connection)] = PoolConnection(connection.made_at, connection, time.time())

    def _make(self) -> Connection:
        connection = self._new_connection()
        with self._pool_lock:
            if len(self._in_use) + len(self._making) >= self._max_connections:
                raise MaxConnectionsExceeded("more threads than sessions")
            self._making.add(connection)
        try:
            self._establish(connection)
        except BaseException:
            with self._pool_lock:
                self._making.discard(connection)
            self._close_raw(connection)
            raise
        with self._pool_lock:
            self._making.discard(connection)
            self._note_use(connection)
        return connection

    def _establish(self, connection: Connection) -> None:
        if self._aborted:
            raise Unavailable("the program ends")
        try:
            connection.connect()
        except pymysql.MySQLError:
            # An engine of ours that has died is started again.
            if self._revive is None or self._aborted:
                raise
            try:
                self._revive()
            except StorageError as error:
                raise Unavailable(str(error)) from error
            connection.connect()
        self._prepare(connection)

    def abort(self) -> None:
        """Break all sessions and make no new ones, so that nobody waits for the database any longer."""
        with self._pool_lock:
            self._aborted = True
            connections = [*self._making, *(entry.connection for entry in self._in_use.values())]
        for connection in connections:
            connection.abort()

    def _is_closed(self, conn: Connection) -> bool:
        """Peewee pings at every check-out; a session used a moment ago is left in peace."""
        if not conn.open:
            return True
        if time.monotonic() - conn.last_used < PING_AFTER_S:
            return False
        return bool(super()._is_closed(conn))

    def _can_reuse(self, conn: Connection) -> bool:
        """Peewee rolls back at every check-in; the server's status says whether there is anything to roll back."""
        conn.drop_deferred()
        if not conn.open:
            return False
        if conn.in_transaction:
            try:
                conn.rollback()
            except pymysql.MySQLError:
                return False
        conn.last_used = time.monotonic()
        return True

    def begin(self) -> None:
        connection = self.connection()
        connection.commit_sent = False
        connection.defer("BEGIN")

    def commit(self) -> None:
        connection = self.connection()
        connection.defer("COMMIT")
        connection.commit_sent = True
        connection.send()
        connection.commit_sent = False

    def rollback(self) -> None:
        """Roll back; on a connection that is gone there is nothing to do, and no second error to mask the first."""
        connection = self.connection()
        connection.drop_deferred()
        if connection.open and connection.in_transaction:
            with contextlib.suppress(pymysql.MySQLError):
                connection.rollback()

    # -- what the rest of storage uses

    @contextlib.contextmanager
    def session(self) -> Iterator[Connection]:
        """Check a session out for one unit of work; driver errors inside of the block leave it as `StorageError`."""
        try:
            self.connect()
        except (MaxConnectionsExceeded, AssertionError):
            raise
        except Exception as error:
            # What went wrong while connecting was not sent to the database, whatever it was.
            raise _meaning(error, None) from error
        connection: Connection = self.connection()
        try:
            yield connection
        except (pymysql.MySQLError, OSError) as error:
            raise _meaning(error, connection) from error
        finally:
            self.close()

    @property
    def in_use(self) -> int:
        return len(self._in_use)

    @property
    def idle(self) -> int:
        return len(self._connections)

    def kill(self, connection_id: int, made_at: float) -> bool:
        """End a lost session of ours on the server; whether it is certain that it is gone.

        `made_at` is on the monotonic clock: a server that has started since never knew the session, and may have given
        its number to somebody else.
        """
        assert self.dialect is not None
        try:
            with self.session() as connection:
                uptime_s = int(connection.fetch(UPTIME)[0][1])
                if uptime_s + 1 < time.monotonic() - made_at:
                    return True
                connection.fetch(self.dialect.kill, (connection_id,))
        except StorageError as error:
            return error.number == int(ER.NO_SUCH_THREAD)
        return True


def _meaning(error: Exception, connection: Connection | None) -> StorageError:
    """The storage error that a driver's error means; `connection` is the session it happened on, None while connecting.

    The driver's text may hold a statement's values, so it goes no further than the number and our own words.
    """
    if isinstance(error, StorageError):
        return error
    arguments: tuple[Any, ...] = getattr(error, "args", ())
    number = arguments[0] if arguments and isinstance(arguments[0], int) else None
    # Peewee wraps the errors that it raises itself.
    cause = getattr(error, "orig", None) or error.__cause__
    if number is None and isinstance(cause, pymysql.MySQLError) and cause.args:
        number = cause.args[0]
    if connection is None:
        if number in (1044, 1045, 1049, 1698):
            return BadTarget(f"the database refused us (error {number})", number)
        if isinstance(error, RuntimeError):
            # The driver lacks what a way to log in needs, and says so.
            return BadTarget(f"can't log in to the database: {error}")
        if number == CR.CR_SSL_CONNECTION_ERROR:
            return BadTarget("the database offers no TLS, which its URL asks for", number)
        unverified = getattr(error, "original_exception", None)
        if isinstance(unverified, ssl.SSLCertVerificationError):
            return BadTarget(f"the certificate of the database was refused: {unverified.verify_message}", number)
        return Unavailable(f"can't connect to the database (error {number})", number)
    statement = connection.failed_statement
    if not connection.open or number in _LOST or isinstance(error, OSError | pymysql.InterfaceError):
        connection._force_close()
        return LostConnection(
            "the connection to the database was lost",
            number,
            connection_id=int(connection.thread_id()),
            made_at=connection.made_at,
            commit_sent=connection.commit_sent,
        )
    if number == 1062:
        return Duplicate("a row with this key exists", number, statement)
    if number == 1048:
        return GuardFailed("a guard found the world changed", number, statement)
    if number in _LOCK_WAIT:
        return LockWait("another transaction holds a lock that is needed", number, statement)
    if number in _CONFLICT or number in _TIMED_OUT:
        return Conflict("the database asks to try again", number, statement)
    if number in _READ_ONLY:
        return DatabaseReadOnly("the database is read-only", number, statement)
    if number in _UNREACHABLE:
        return Unavailable(f"the database is not available (error {number})", number, statement)
    return StorageError(f"the database refused a statement (error {number})", number, statement)
