"""The oracles of the property tests, spoken to in raw bytes over a Unix socket."""

import socket
from collections.abc import Iterator, Sequence
from typing import Any

import hiredis
import pytest

from tests.conftest import another_oracle, services
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


@pytest.fixture(scope="session")
def redis_oracle(oracle: RedisOracle) -> Conversation:
    return Conversation(oracle)


@pytest.fixture(scope="session")
def redis74_oracle(redis74: RedisOracle) -> Conversation:
    return Conversation(redis74)


@pytest.fixture(scope="session")
def redis_oracle_with_password(pytestconfig: pytest.Config) -> Iterator[Conversation]:
    with services(), another_oracle(pytestconfig, ["--requirepass", "secret"]) as server:
        yield Conversation(server)
