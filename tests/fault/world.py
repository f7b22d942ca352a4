"""A database, a proxy before it and Rowdis processes on it; and what must hold when a fault is over."""

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from storage.check import check
from storage.database import Database
from storage.dialect import Limits
from storage.engines import parse_url
from storage.tables import Tables
from tests.services.mariadb import USER, MariaDB
from tests.services.process import ServiceFailed, wait_until
from tests.services.proxy import FaultProxy
from tests.services.raw_client import Argument, ConnectionClosed, RawClient
from tests.services.rowdis import Rowdis

OK = b"+OK\r\n"
NULL = b"$-1\r\n"
TIMEOUT_MS = 2000
"""The storage-timeout of most tests here."""
QUIET_LIMIT_S = 15.0


def bulk(data: bytes | str | int) -> bytes:
    """A bulk string as RESP2 and RESP3 send it."""
    encoded = data if isinstance(data, bytes) else str(data).encode()
    return b"$%d\r\n%b\r\n" % (len(encoded), encoded)


def array(*replies: bytes) -> bytes:
    """An array of encoded replies."""
    return b"*%d\r\n%b" % (len(replies), b"".join(replies))


def integer(reply: bytes) -> int:
    """The number of an integer reply."""
    assert reply.startswith(b":"), reply
    return int(reply[1:])


def problems(url: str, prefix: str = "rowdis_") -> list[str]:
    """What `rowdis check` finds in a database."""
    database = Database(
        parse_url(url), size=2, limits=Limits(statement_ms=30_000, lock_wait_ms=3000), tables=Tables(prefix)
    )
    try:
        return [str(finding) for finding in check(database, repair=False)]
    finally:
        database.close_all()


def wait_slowly(condition: Callable[[], bool], what: str, limit_s: float = QUIET_LIMIT_S) -> None:
    """Poll what InnoDB tells of transactions: its answers are refreshed only when nobody asks for 0.1 s."""
    deadline = time.monotonic() + limit_s
    while True:
        time.sleep(0.12)
        if condition():
            return
        if time.monotonic() > deadline:
            raise ServiceFailed(f"not within {limit_s:g} s: {what}")


class World:
    """One database of a MariaDB of its own name, a fault proxy, and Rowdis processes that see it through the proxy.

    At the end of the block everything is looked at: clients are served, sessions are back in their pools, no
    transaction is open, and `rowdis check` finds nothing.
    """

    def __init__(
        self,
        mariadb: MariaDB,
        name: str,
        *,
        instances: int = 1,
        workers: int = 4,
        timeout_ms: int = TIMEOUT_MS,
        options: Sequence[str] = (),
        account: str | None = None,
    ) -> None:
        self.mariadb = mariadb
        self.name = name
        self.direct_url = mariadb.create_database(name)
        self.proxy = FaultProxy(("127.0.0.1", mariadb.port)).start()
        self.listening = True
        url = mariadb.url(name, port=self.proxy.port)
        if account is not None:
            url = f"mysql://{account}@127.0.0.1:{self.proxy.port}/{name}"
        words = ("--workers", str(workers), "--storage-timeout", str(timeout_ms), "--sweep-interval", "100", *options)
        self.rowdis = [Rowdis(url, words) for _ in range(instances)]

    def __enter__(self) -> Self:
        try:
            for server in self.rowdis:
                server.start()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self.verify()
        except BaseException:
            self._note_logs()
            raise
        finally:
            if error is not None:
                self._note_logs(error)
            self._close(calm=error is None)

    def client(self, instance: int = 0, **arguments: float) -> RawClient:
        return self.rowdis[instance].client(**arguments)  # type: ignore[arg-type]

    def call(self, *arguments: Argument) -> bytes:
        """One command on the first instance, on a connection of its own."""
        return self.rowdis[0].call(*arguments)

    def query(self, statement: str, parameters: Sequence[object] = ()) -> tuple[tuple[object, ...], ...]:
        """Rows of a statement that root runs on the database directly."""
        with self.mariadb.connect(self.name) as connection, connection.cursor() as cursor:
            cursor.execute(statement, tuple(parameters) or None)
            return tuple(cursor.fetchall())

    def heal(self) -> None:
        """End all faults: whatever comes from now on gets through."""
        self.proxy.clear()
        self.proxy.resume()
        if not self.listening:
            self.open_port()

    def close_port(self) -> None:
        """Refuse new connections to the database."""
        self.listening = False
        self.proxy.close_port()

    def open_port(self) -> None:
        """Accept connections to the database again."""
        self.listening = True
        self.proxy.open_port()

    def verify(self) -> None:
        """What holds after every fault."""
        self.heal()
        for number, server in enumerate(self.rowdis):
            if not server.process.running:
                continue
            with server.client() as client:
                name = f"verified:{number}"
                assert client.call("SET", name, "1") == OK
                assert client.call("GET", name) == bulk("1")
        wait_slowly(lambda: not self.sessions_at_work(), "no session of the pool is in a transaction")
        assert problems(self.direct_url) == []

    def sessions_at_work(self) -> list[tuple[object, ...]]:
        """Sessions of this database that execute something or have a transaction open."""
        return list(
            self.query(
                "SELECT p.id, p.command, t.trx_state, t.trx_started, p.info FROM information_schema.processlist p "
                "LEFT JOIN information_schema.innodb_trx t ON t.trx_mysql_thread_id = p.id "
                "WHERE p.db = %s AND p.user = %s AND (p.command <> 'Sleep' OR t.trx_id IS NOT NULL)",
                [self.name, USER],
            )
        )

    def lock_waits(self) -> int:
        """How many sessions of this database wait for a row's lock."""
        rows = self.query(
            "SELECT COUNT(*) FROM information_schema.processlist p JOIN information_schema.innodb_trx t "
            "ON t.trx_mysql_thread_id = p.id WHERE p.db = %s AND t.trx_state = 'LOCK WAIT'", [self.name]
        )  # fmt: skip
        return int(str(rows[0][0]))

    def deadlocks(self) -> int:
        """How many deadlocks the database has found since its start."""
        return int(str(self.query("SHOW GLOBAL STATUS LIKE 'Innodb_deadlocks'")[0][1]))

    def sessions(self) -> int:
        """How many sessions the database has from Rowdis."""
        rows = self.query(
            "SELECT COUNT(*) FROM information_schema.processlist WHERE db = %s AND user = %s", [self.name, USER]
        )
        return int(str(rows[0][0]))

    def _note_logs(self, error: BaseException | None = None) -> None:
        for server in self.rowdis:
            with contextlib.suppress(ServiceFailed):
                print(f"--- log of port {server.port}\n{server.log()[-4000:]}")

    def _close(self, *, calm: bool = False) -> None:
        try:
            for server in self.rowdis:
                if calm:
                    server.close()
                else:
                    with contextlib.suppress(ServiceFailed):
                        server.kill9()
                    server.close()
        finally:
            self.proxy.stop()


class Load:
    """Threads that send commands one after the other and take down what was answered.

    `next_command(thread, number)` gives the command; a connection that breaks is made anew.
    """

    def __init__(
        self, rowdis: Rowdis | Sequence[Rowdis], threads: int, next_command: Callable[[int, int], Sequence[Argument]]
    ) -> None:
        self._servers = [rowdis] if isinstance(rowdis, Rowdis) else list(rowdis)
        self._next_command = next_command
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self.answered: list[tuple[Sequence[Argument], bytes]] = []
        """Commands with replies that are no errors."""
        self.unknown: list[Sequence[Argument]] = []
        """Commands that may have been applied or not: INDETERMINATE, or the connection broke."""
        self.errors: Counter[str] = Counter()
        """Other error replies: those commands were not applied."""
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(threads)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Let every thread finish its command, and wait for them."""
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive(), "a client waits for a reply that does not come"

    def wait_answered(self, count: int, limit_s: float = 30.0) -> None:
        """Wait until so many more commands were answered well."""
        goal = len(self.answered) + count
        wait_until(lambda: len(self.answered) >= goal, limit_s, f"{count} more commands are answered ({self.errors})")

    def _run(self, number: int) -> None:
        server = self._servers[number % len(self._servers)]
        count = 0
        while not self._stop.is_set():
            try:
                with server.client(timeout_s=50) as client:
                    while not self._stop.is_set():
                        command = self._next_command(number, count)
                        count += 1
                        self._take(command, self._call(client, command))
            except (OSError, ConnectionClosed):
                self._stop.wait(0.02)

    def _call(self, client: RawClient, command: Sequence[Argument]) -> bytes | None:
        try:
            return client.call(*command)
        except (OSError, ConnectionClosed):
            with self._lock:
                self.unknown.append(command)
            raise

    def _take(self, command: Sequence[Argument], reply: bytes | None) -> None:
        assert reply is not None
        with self._lock:
            if not reply.startswith(b"-"):
                self.answered.append((command, reply))
            elif reply.startswith(b"-INDETERMINATE "):
                self.unknown.append(command)
            else:
                self.errors[reply[1:].split(b" ", 1)[0].decode()] += 1
