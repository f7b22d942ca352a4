"""Replies of one line, from bytes in any pieces."""

import pytest

from protocol.errors import CommandError, ProtocolError
from protocol.replies import OK, Simple
from protocol.statuses import MAX_LINE, StatusReader


def test_statuses_and_errors_are_taken_apart_wherever_the_bytes_are_cut() -> None:
    stream = b"+OK\r\n-ERR no\r\n+\r\n+PONG\r\n"
    for cut in range(len(stream) + 1):
        reader = StatusReader()
        reader.feed(stream[:cut])
        reader.feed(stream[cut:])
        assert reader.take() == OK
        error = reader.take()
        assert isinstance(error, CommandError)
        assert error.message == b"ERR no"
        assert [reader.take(), reader.take(), reader.take()] == [Simple(b""), Simple(b"PONG"), None]


@pytest.mark.parametrize("line", [b":1", b"$2", b"*1", b"HTTP/1.1 400 Bad Request", b""])
def test_other_replies_are_refused(line: bytes) -> None:
    reader = StatusReader()
    reader.feed(line + b"\r\n")
    with pytest.raises(ProtocolError):
        reader.take()


def test_a_line_without_end_is_refused() -> None:
    reader = StatusReader()
    with pytest.raises(ProtocolError):
        for _ in range(MAX_LINE // 1000 + 1):
            reader.feed(b"x" * 1000)
