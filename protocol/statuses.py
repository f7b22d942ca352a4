"""Replies of one line, as a client reads them: what RESTORE, AUTH and SELECT answer with.

A parser of all replies would have to trust the lengths that it is told; here nothing is longer than a line.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from protocol.errors import CommandError, ProtocolError
from protocol.replies import Simple

MAX_LINE: Final = 64 * 1024
"""Bytes of a reply, its end of line included."""


class StatusReader:
    """Turns the bytes that come from a server into statuses and errors."""

    __slots__ = ("_lines", "_partial")

    def __init__(self) -> None:
        self._lines: deque[bytes] = deque()
        self._partial = b""

    def feed(self, data: bytes) -> None:
        """Take bytes in, in whatever pieces they come. ProtocolError for a line that has no end."""
        *lines, self._partial = (self._partial + data).split(b"\r\n")
        self._lines += lines
        if len(self._partial) > MAX_LINE:
            raise ProtocolError(b"Protocol error: too long a line")

    def take(self) -> Simple | CommandError | None:
        """The next reply, or None if more bytes must come first. ProtocolError if it is neither status nor error."""
        if not self._lines:
            return None
        line = self._lines.popleft()
        match line[:1]:
            case b"+":
                return Simple(line[1:])
            case b"-":
                return CommandError(line[1:])
            case _:
                raise ProtocolError(b"Protocol error: expected a status or an error")
