"""One database session: statements are gathered into trips, so that a unit of work costs two round trips and not five.

Knows how to send and read, nothing about transactions, retries or tables.  A *trip* is one network round trip that
carries several statements, joined by semicolons; the server runs them in order and stops at the first that fails.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any

import pymysql
from pymysql.constants import CLIENT, SERVER_STATUS

from storage.results import RowResult

Row = tuple[Any, ...]
Arguments = Sequence[bytes | int | float | str | None]
Take = Callable[[tuple[Row, ...]], None]

#: A trip is sent before it outgrows this many characters, whatever the server would take (bounds our memory).
MAX_TRIP = 4 * 1024 * 1024


#: Bytes read from the socket at a time.
READ_BUFFER = 64 * 1024


class Connection(pymysql.connections.Connection):
    """A PyMySQL connection with deferred statements.

    `defer` gathers, `fetch` sends what was gathered plus one query and returns the query's rows, `send` sends what was
    gathered.  Because deferred statements always travel in front of the next query, a query sees every write deferred
    before it: that is the unit of work's autoflush.
    """

    #: The template of the statement at which the last trip failed (a statement of ours, never a user's value).
    failed_statement: str | None
    #: Whether the server is quicker with one UNION ALL than with many short SELECTs.
    unites: bool
    #: A COMMIT has left for the server in the present transaction: if the connection dies now, its fate is unknown.
    commit_sent: bool

    def __init__(self, *, trip_limit: int = MAX_TRIP, **arguments: Any) -> None:
        self._trip: list[tuple[str, str, Take | None]] = []
        self._size = 0
        self._last: RowResult
        self.trip_limit = trip_limit
        self.unites = False
        self.failed_statement = None
        self.commit_sent = False
        self.last_used = self.made_at = time.monotonic()
        flags = arguments.pop("client_flag", 0) | CLIENT.MULTI_STATEMENTS
        # use_unicode=False: every column of ours is a number or bytes, so there is nothing to decode.
        super().__init__(client_flag=flags, use_unicode=False, **arguments)

    def connect(self, sock: Any = None) -> None:
        """Connect and shake hands."""
        self.last_used = self.made_at = time.monotonic()
        super().connect(sock)
        # The driver's reader fetches 8 KiB at a time; the rows of one batch are more.
        self._rfile = self._sock.makefile("rb", READ_BUFFER)

    def abort(self) -> None:
        """Break the connection, from any thread: whoever waits for an answer on it gets an error."""
        sock = self._sock
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def escape(self, obj: object, mapping: Any = None) -> str:
        """The driver's literal syntax, with a short way for the two types that the hot path binds."""
        if type(obj) is int:
            return str(obj)
        if type(obj) is bytes:
            return f"X'{obj.hex()}'"
        if obj is None:
            return "NULL"
        if isinstance(obj, int):
            return int.__repr__(obj)
        return str(super().escape(obj, mapping))

    def _literals(self, arguments: Sequence[Any]) -> tuple[str | int, ...]:
        """What `escape` gives for each argument.

        A batch binds thousands, so the two types of which they nearly all are do not take a call each; an `int` (and
        not a subclass) is written in decimal by the formatting itself.
        """
        escape, hexadecimal = self.escape, bytes.hex
        return tuple([
            argument
            if (kind := type(argument)) is int
            else f"X'{hexadecimal(argument)}'"
            if kind is bytes
            else escape(argument)
            for argument in arguments
        ])

    @property
    def in_transaction(self) -> bool:
        """Whether the server said in its last answer that a transaction is open."""
        return bool(self.server_status & SERVER_STATUS.SERVER_STATUS_IN_TRANS)

    def defer(self, template: str, arguments: Arguments = (), take: Take | None = None) -> None:
        """Gather a statement; it leaves with the next trip, or now if the trip gets too big.

        `take` is called with the statement's rows after its whole trip was read.
        """
        text = template % self._literals(arguments) if arguments else template
        if self._trip and self._size + len(text) > self.trip_limit:
            self.send()
        self._trip.append((text, template, take))
        self._size += len(text)

    def drop_deferred(self) -> None:
        """Forget the statements that were gathered and not sent."""
        self._trip = []
        self._size = 0

    def send(self) -> None:
        """Send the gathered statements in one trip and hand their rows to whoever wanted them."""
        if not self._trip:
            return
        trip = self._trip
        self.drop_deferred()
        results: list[tuple[Row, ...]] = []
        try:
            self.query(";".join([text for text, _, _ in trip]))
            results.append(self._last.rows or ())
            while self._last.has_next:
                self.next_result()
                results.append(self._last.rows or ())
        except Exception:
            self.failed_statement = trip[min(len(results), len(trip) - 1)][1]
            raise
        self.last_used = time.monotonic()
        for (_, _, take), rows in zip(trip, results, strict=True):
            if take is not None:
                take(rows)

    def fetch(self, template: str, arguments: Arguments = ()) -> tuple[Row, ...]:
        """Send everything gathered and this query; the rows of this query."""
        answer: list[tuple[Row, ...]] = []
        self.defer(template, arguments, answer.append)
        self.send()
        return answer[0]

    def execute(self, template: str, arguments: Arguments = ()) -> int:
        """Send everything gathered and this statement; how many rows it changed."""
        self.fetch(template, arguments)
        return self._last.affected_rows or 0

    def _read_query_result(self, unbuffered: bool = False) -> int:
        if unbuffered:
            return int(super()._read_query_result(unbuffered))
        self._result = None
        result = RowResult(self)
        result.read()
        self._result = self._last = result
        if result.server_status is not None:
            self.server_status = result.server_status
        return result.affected_rows or 0
