"""Dialogues: several clients of one server in turn, on Rowdis and on a real server, whose replies must be equal.

    dialogue("a change after WATCH ends EXEC", "a> WATCH k", "b> SET k 1", "a> MULTI", "a> PING", "a> EXEC")

A line names the client that speaks. `a?` instead of `a>` only sends, and `a=` reads the reply that is still due.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.commands.scenarios import words
from tests.services.raw_client import RawClient

_LINE = re.compile(r"(\w)([>?=]) ?(.*)", re.DOTALL)


@dataclass(frozen=True)
class Dialogue:
    """What clients say in turn, with a name that says what it shows."""

    name: str
    lines: tuple[str, ...]

    def run(self, connect: Callable[[], RawClient]) -> list[str]:
        """The lines with the replies they got."""
        clients: dict[str, RawClient] = {}
        heard = []
        for line in self.lines:
            match = _LINE.fullmatch(line)
            assert match is not None, line
            who, how, request = match.groups()
            if who not in clients:
                clients[who] = connect()
            if how in ">?":
                clients[who].send(*words(request))
            heard.append(f"{line}  {clients[who].read()!r}" if how in ">=" else line)
        for client in clients.values():
            client.close()
        return heard


def dialogue(name: str, *lines: str) -> Dialogue:
    return Dialogue(name, lines)


def dialogues(*cases: Dialogue) -> pytest.MarkDecorator:
    """Run a test with each of these as its `case`."""
    return pytest.mark.parametrize("case", cases, ids=[case.name for case in cases])


def hold(case: Dialogue, ours: Callable[[], RawClient], theirs: Callable[[], RawClient]) -> None:
    """Run a dialogue on both servers and compare."""
    for connect in (ours, theirs):
        with connect() as client:
            assert client.call("FLUSHALL") == b"+OK\r\n"
    assert case.run(ours) == case.run(theirs)
