"""The oracles of the property tests: redis-servers of their own, spoken to in raw bytes over a Unix socket."""

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

import hiredis
import pytest

from tests.services.process import Missing
from tests.services.redis_oracle import RedisOracle

_TIME_LIMIT_S = 20.0


class Conversation:
    """Asks a running redis-server, each time on a new connection."""

    def __init__(self, server: RedisOracle) -> None:
        self._server = server

    def converse(self, data: bytes) -> bytes:
        """Everything the server answers to `data`, sent as it is, until it closes."""
        answer = b""
        with self._connect() as sock:
            try:
                sock.sendall(data)
                sock.shutdown(socket.SHUT_WR)
                while piece := sock.recv(65536):
                    answer += piece
            except (BrokenPipeError, ConnectionResetError):
                pass  # it closed on a protocol error before it read the rest
        return answer

    def ask(self, commands: Sequence[Sequence[bytes]]) -> list[Any]:
        """The replies to commands sent in one pipeline; an error is a hiredis.ReplyError."""
        hungry = object()
        reader = hiredis.Reader(notEnoughData=hungry)
        replies: list[Any] = []
        with self._connect() as sock:
            sock.sendall(b"".join(hiredis.pack_command(tuple(command)) for command in commands))
            while len(replies) < len(commands):
                reply = reader.gets()
                if reply is not hungry:
                    replies.append(reply)
                    continue
                piece = sock.recv(65536)
                assert piece, "redis-server closed the connection"
                reader.feed(piece)
        return replies

    def _connect(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(_TIME_LIMIT_S)
        sock.connect(str(self._server.unix_socket))
        return sock


def _without_oracle(reason: str) -> NoReturn:
    """Skip on a laptop; fail in CI, where a test that silently does not run proves nothing."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def _redis(options: Sequence[str] = ()) -> Iterator[Conversation]:
    server = RedisOracle(options)
    try:
        server.start()
    except Missing as missing:
        _without_oracle(str(missing))
    try:
        yield Conversation(server)
    finally:
        server.stop()


@pytest.fixture(scope="session")
def redis_oracle() -> Iterator[Conversation]:
    with _redis() as conversation:
        if b"redis_version:7.0." not in conversation.converse(b"INFO server\r\n"):
            _without_oracle("redis-server is not of version 7.0, whose texts and numbers these tests expect")
        yield conversation


@pytest.fixture(scope="session")
def redis_oracle_with_password() -> Iterator[Conversation]:
    with _redis(["--requirepass", "secret"]) as conversation:
        yield conversation
