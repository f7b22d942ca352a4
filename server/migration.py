"""Keys on their way to another server, for MIGRATE: the connection to it, and what became of each key.

Runs in storage workers, under the locks of the keys.  A key is deleted here when the target has confirmed that it has
it, and by the same unit; so whatever fails, there is no moment at which a key is nowhere.  It may be at both places:
when the target's answer is lost, as with Redis, or when our database is.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from protocol.errors import CommandError, ProtocolError
from protocol.replies import OK, Simple
from protocol.statuses import StatusReader

#: Bytes that are sent, and received, at one time.
_PIECE = 64 * 1024
#: Keys that may be unanswered: a target that is not read from might not read either.
_UNANSWERED = 1000


@dataclass(slots=True)
class Parcel:
    """A key that is to be sent: its place among the keys of the request, its version, and how to restore it."""

    place: int
    version: int
    #: The words of RESTORE, made when their turn has come: they hold all that there is of the key.
    words: Callable[[], list[bytes]]


@dataclass(slots=True)
class Migration:
    """What a target has said to the keys of one MIGRATE; it outlives a try of the unit that is rolled back."""

    #: By place, the version of the key that was sent, and the error that it was answered with.
    answers: dict[int, tuple[int, CommandError | None]] = field(default_factory=dict)
    #: Why it ended before all keys were answered.
    failure: CommandError | None = None

    def is_open(self, place: int, version: int) -> bool:
        """Whether a key must be sent: it was not yet, or another instance has changed it since."""
        return self.failure is None and (place not in self.answers or self.answers[place][0] != version)

    def has_arrived(self, place: int, version: int | None = None) -> bool:
        """Whether the target has confirmed a key, in this version or any."""
        sent, error = self.answers.get(place, (0, None))
        return sent != 0 and error is None and version in (None, sent)

    @property
    def error(self) -> CommandError | None:
        """What the client is told: the first error of the target, else what ended it early."""
        errors = (error for _, (_, error) in sorted(self.answers.items()) if error is not None)
        return next(errors, self.failure)


@dataclass(frozen=True, slots=True)
class Destination:
    """Where keys go: a server, one of its databases, and the words of AUTH (none: it is not sent)."""

    host: bytes
    port: int
    db: int
    login: tuple[bytes, ...]


def send(parcels: Iterable[Parcel], to: Destination, migration: Migration, timeout_s: float, limit_s: float) -> None:
    """Send keys and note in `migration` what became of them.

    Each step may take `timeout_s`, and all of them together `limit_s`.
    """
    waiting: list[Parcel] = []
    try:
        with _Target(to, timeout_s, limit_s) as target:
            target.log_in(to)
            for parcel in parcels:
                target.send(parcel.words())
                waiting.append(parcel)
                if len(waiting) == _UNANSWERED:
                    _collect(target, waiting, migration)
            _collect(target, waiting, migration)
    except CommandError as error:
        migration.failure = error.with_traceback(None)


def _collect(target: _Target, waiting: list[Parcel], migration: Migration) -> None:
    for parcel in waiting:
        migration.answers[parcel.place] = parcel.version, target.answer()
    waiting.clear()


class _Target:
    """A connection to the server that keys go to. Whatever fails is a CommandError with Redis's text."""

    def __init__(self, to: Destination, timeout_s: float, limit_s: float) -> None:
        self._timeout_s = timeout_s
        self._end = time.monotonic() + limit_s
        self._replies = StatusReader()
        try:
            self._socket = socket.create_connection((to.host.decode(), to.port), timeout=self._patience())
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except ConnectionRefusedError:
            # Redis does not look whether it is connected before it writes.
            raise _io_error(b"writing to target instance") from None
        except (OSError, ValueError, OverflowError):
            raise _io_error(b"connecting to the client") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._socket.close()

    def log_in(self, to: Destination) -> None:
        """Authenticate and select the database; nothing is sent to a target that refuses."""
        for words in ([b"AUTH", *to.login], [b"SELECT", b"%d" % to.db]):
            if len(words) > 1:
                self.send(words)
                error = self.answer()
                if error is not None:
                    raise error

    def send(self, words: list[bytes]) -> None:
        """Send one command."""
        parts = [b"*%d\r\n" % len(words)]
        for word in words:
            parts += (b"$%d\r\n" % len(word), word, b"\r\n")
        request = memoryview(b"".join(parts))
        try:
            for start in range(0, len(request), _PIECE):
                self._socket.settimeout(self._patience())
                self._socket.sendall(request[start : start + _PIECE])
        except OSError:
            raise _io_error(b"writing to target instance") from None

    def answer(self) -> CommandError | None:
        """Wait for the next reply: None if all is well, else the target's error in the words that our client gets."""
        try:
            end = time.monotonic() + self._patience()
            while (reply := self._replies.take()) is None:
                self._socket.settimeout(max(0.001, end - time.monotonic()))
                data = self._socket.recv(_PIECE)
                if not data or time.monotonic() > end:
                    raise _io_error(b"reading to target instance")
                self._replies.feed(data)
        except (OSError, ProtocolError):
            raise _io_error(b"reading to target instance") from None
        if isinstance(reply, Simple):
            if reply != OK:
                # It is no Redis, and has not understood.
                raise _io_error(b"reading to target instance")
            return None
        return CommandError(b"ERR Target instance replied with error: " + reply.message)

    def _patience(self) -> float:
        """Seconds that the next step may take. TimeoutError if none are left."""
        left = min(self._timeout_s, self._end - time.monotonic())
        if left <= 0:
            raise TimeoutError
        return left


def _io_error(doing: bytes) -> CommandError:
    # The words are Redis's, its grammar included.
    return CommandError(b"IOERR error or timeout " + doing)
