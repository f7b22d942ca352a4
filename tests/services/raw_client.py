"""A small blocking client whose replies are the bytes the server sent: two servers are equal when their bytes are.

It takes a reply apart only as far as is needed to know where it ends.
"""

import socket
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

Argument = bytes | str | int | float
Address = tuple[str, int] | Path

_RECEIVE = 256 * 1024
_LINES = frozenset(b"+-:_,#(")
_BULKS = frozenset(b"$=!")
_AGGREGATES = {ord("*"): 1, ord("~"): 1, ord(">"): 1, ord("%"): 2, ord("|"): 2}


class ConnectionClosed(Exception):
    """The server closed the connection where a reply was expected; `received` is what came before."""

    def __init__(self, received: bytes) -> None:
        super().__init__(f"closed by the server after {received[:200]!r}")
        self.received = received


def encode_command(arguments: Sequence[Argument]) -> bytes:
    """A command as RESP sends it: an array of bulk strings."""
    parts = [b"*%d\r\n" % len(arguments)]
    for argument in arguments:
        data = argument if isinstance(argument, bytes) else str(argument).encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(data), data))
    return b"".join(parts)


class RawClient:
    """One connection. Every read has the time limit; a reply that does not come in time is a TimeoutError."""

    def __init__(self, address: Address, *, protocol: int = 2, timeout_s: float = 30.0) -> None:
        self._buffer = bytearray()
        if isinstance(address, Path):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(timeout_s)
            self.socket.connect(str(address))
        else:
            self.socket = socket.create_connection(address, timeout=timeout_s)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if protocol == 3:
            greeting = self.call("HELLO", 3)
            if not greeting.startswith(b"%"):
                self.close()
                raise AssertionError(f"HELLO 3 was answered with {greeting!r}")

    def call(self, *arguments: Argument) -> bytes:
        """Send one command and read its reply."""
        self.send(*arguments)
        return self.read()

    def pipeline(self, commands: Sequence[Sequence[Argument]]) -> list[bytes]:
        """Send commands together and read as many replies.

        The server must be able to answer while it reads, so this is not for requests and replies of many megabytes.
        """
        self.send_raw(b"".join(map(encode_command, commands)))
        return [self.read() for _ in commands]

    def send(self, *arguments: Argument) -> None:
        """Send one command without waiting for its reply."""
        self.send_raw(encode_command(arguments))

    def send_raw(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.socket.sendall(data)

    def read(self) -> bytes:
        """The exact bytes of the next reply or push; attributes belong to the reply they stand before."""
        end = self._skip_value(0)
        reply = bytes(self._buffer[:end])
        del self._buffer[:end]
        return reply

    def read_to_end(self) -> bytes:
        """All that comes until the server closes."""
        while self._receive():
            pass
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest

    def silent(self, seconds: float) -> bool:
        """Whether nothing comes within this time."""
        limit = self.socket.gettimeout()
        self.socket.settimeout(seconds)
        try:
            if not self._buffer:
                self._receive()
            return False
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(limit)

    def shut_down_writing(self) -> None:
        """Send end of file and go on reading."""
        self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close in order; what was sent is delivered."""
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _skip_value(self, position: int) -> int:
        """Where the value that starts at `position` ends, receiving as much as it takes."""
        awaited = 1
        while awaited:
            awaited -= 1
            kind, header, position = self._header(position)
            if kind in _LINES:
                continue
            count = int(header)
            if kind in _BULKS:
                if count >= 0:
                    position += count + 2
                    self._need(position)
            elif kind in _AGGREGATES:
                awaited += max(count, 0) * _AGGREGATES[kind]
                awaited += kind == ord("|")  # what the attributes are about follows them
            else:
                raise AssertionError(f"no RESP: {bytes(self._buffer[:200])!r}")
        return position

    def _header(self, position: int) -> tuple[int, bytes, int]:
        searched = position
        while (end := self._buffer.find(b"\r\n", searched)) < 0:
            searched = max(position, len(self._buffer) - 1)
            self._receive_more()
        return self._buffer[position], bytes(self._buffer[position + 1 : end]), end + 2

    def _need(self, length: int) -> None:
        while len(self._buffer) < length:
            self._receive_more()

    def _receive_more(self) -> None:
        if not self._receive():
            raise ConnectionClosed(bytes(self._buffer))

    def _receive(self) -> bool:
        try:
            data = self.socket.recv(_RECEIVE)
        except ConnectionResetError:
            return False
        self._buffer += data
        return bool(data)
