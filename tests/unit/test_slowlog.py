"""The slow log by itself, and what may be shown of requests."""

import pytest

import server.commands  # noqa: F401  (declares all commands)
from server.redaction import shown
from server.registry import find
from server.slowlog import SlowLog, trimmed


def test_arguments_are_cut_to_what_redis_keeps() -> None:
    assert trimmed([b"SET", b"a", b"x" * 128]) == [b"SET", b"a", b"x" * 128]
    assert trimmed([b"SET", b"a", b"x" * 130]) == [b"SET", b"a", b"x" * 128 + b"... (2 more bytes)"]
    assert trimmed([b"a"] * 32) == [b"a"] * 32
    assert trimmed([b"a"] * 33) == [*[b"a"] * 31, b"... (2 more arguments)"]


def test_log_never_holds_more_than_its_limit() -> None:
    log = SlowLog()
    for number in range(100):
        log.add([b"SET", b"x" * 10_000_000], number, "here", b"", 10)
    assert [entry.number for entry in log.newest(-1)] == list(range(99, 89, -1))
    assert sum(len(word) for entry in log.newest(-1) for word in entry.arguments) < 2000
    log.add([b"GET"], 1, "here", b"", 0)
    assert len(log) == 10
    log.reset()
    log.add([b"GET"], 1, "here", b"", 10)
    assert [entry.number for entry in log.newest(5)] == [100]


@pytest.mark.parametrize("line", [
    b"AUTH secret", b"AUTH default secret", b"AUTH default secret x", b"auth x secret",
    b"HELLO 3 AUTH default secret", b"HELLO 3 SETNAME AUTH AUTH default secret",
    b"HELLO 2 auth secret secret SETNAME x",
    b"CONFIG SET requirepass secret", b"config set timeout 1 MASTERAUTH secret maxclients 5",
    b"CONFIG SET database mysql://root:secret@localhost/x",
])  # fmt: skip
def test_secrets_are_hidden(line: bytes) -> None:
    request = line.split()
    visible = shown(find(request), request)
    assert len(visible) == len(request)
    assert visible[0] == request[0]
    assert not any(b"secret" in word for word in visible)


def test_what_holds_no_secrets_is_shown_as_it_is() -> None:
    for line in (b"SET requirepass x", b"CONFIG SET timeout 1", b"HELLO 3 SETNAME AUTH", b"CONFIG GET requirepass"):
        request = line.split()
        assert shown(find(request), request) == request
