"""Dialogues: several clients of one server in turn, on Rowdis and on a real server, whose replies must be equal.

    dialogue("a change after WATCH ends EXEC", "a> WATCH k", "b> SET k 1", "a> MULTI", "a> PING", "a> EXEC")

A line names the client that speaks. `a?` instead of `a>` only sends, `a*` sends a command and waits until the server
has one blocked client more, and `a=` reads the reply that is still due.  `{a}` is the number of a client that has
spoken before, in replies too.

Monologues: all that one client hears, pushes in between of replies, however many there are.
"""

import contextlib
import re
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from tests.commands.masks import masked
from tests.commands.scenarios import words
from tests.services.raw_client import ConnectionClosed, RawClient, encode_command

_LINE = re.compile(r"(\w)([>?=*]) ?(.*)", re.DOTALL)
_NUMBER = re.compile(r"\{(\w)\}")
LIMIT_S = 5.0
FENCE = b"the end"


@dataclass(frozen=True)
class Dialogue:
    """What clients say in turn, with a name that says what it shows."""

    name: str
    lines: tuple[str, ...]

    def run(self, connect: Callable[[], RawClient]) -> list[str]:
        """The lines with the replies they got."""
        clients: dict[str, RawClient] = {}
        numbers: dict[str, str] = {}
        heard = []
        with ExitStack() as stack:
            watcher = stack.enter_context(connect())
            for line in self.lines:
                match = _LINE.fullmatch(line)
                assert match is not None, line
                who, how, request = match.groups()
                if who not in clients:
                    clients[who] = stack.enter_context(connect())
                    if f"{{{who}}}" in "".join(self.lines):
                        numbers[who] = clients[who].call("CLIENT", "ID")[1:-2].decode()
                request = _NUMBER.sub(lambda found: numbers.get(found[1], found[0]), request)
                before = blocked_clients(watcher) if how == "*" else 0
                if how in ">?*":
                    clients[who].send(*words(request))
                if how == "*":
                    wait_until_blocked(watcher, before + 1)
                if how in ">=":
                    reply = clients[who].read()
                    for name, number in numbers.items():
                        reply = reply.replace(f":{number}\r\n".encode(), b":{%b}\r\n" % name.encode())
                    line += f"  {reply!r}"
                heard.append(line)
        return heard


def blocked_clients(client: RawClient) -> int:
    """How many clients of a server wait for data."""
    match = re.search(rb"blocked_clients:(\d+)", client.call("INFO", "clients"))
    assert match is not None
    return int(match[1])


def wait_until_blocked(client: RawClient, count: int) -> None:
    """Wait until so many clients of a server wait for data."""
    deadline = time.monotonic() + LIMIT_S
    while (found := blocked_clients(client)) != count:
        assert time.monotonic() < deadline, f"{found} clients are blocked, and not {count}"


def dialogue(name: str, *lines: str) -> Dialogue:
    return Dialogue(name, lines)


def dialogues(*cases: Dialogue) -> pytest.MarkDecorator:
    """Run a test with each of these as its `case`."""
    return pytest.mark.parametrize("case", cases, ids=[case.name for case in cases])


def heard(client: RawClient, lines: tuple[str, ...], *, together: bool) -> list[bytes]:
    """All that a client reads after these commands, up to its last PING or until the connection is closed."""
    requests = [encode_command(words(line)) for line in lines] + [encode_command(["PING", FENCE])]
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        for data in [b"".join(requests)] if together else requests:
            client.send_raw(data)
    replies: list[bytes] = []
    try:
        while not replies or not replies[-1].endswith(FENCE + b"\r\n"):
            replies.append(masked(client.read()))
    except ConnectionClosed:
        replies.append(b"closed")
    return replies


def monologue(name: str, *lines: str) -> object:
    """One client's commands; how many replies each has is for the server to say."""
    return pytest.param(lines, id=name)


def hold(case: Dialogue, ours: Callable[[], RawClient], theirs: Callable[[], RawClient]) -> None:
    """Run a dialogue on both servers and compare."""
    for connect in (ours, theirs):
        with connect() as client:
            assert client.call("FLUSHALL") == b"+OK\r\n"
    differences = [pair for pair in zip(case.run(ours), case.run(theirs), strict=True) if pair[0] != pair[1]]
    assert not differences, "\n".join(f"Rowdis: {mine}\nRedis:  {other}" for mine, other in differences)
