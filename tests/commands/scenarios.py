"""Scenarios: commands that run on Rowdis and on a real server, whose raw replies must be equal byte for byte.

    @scenarios(
        scenario("NX sets an absent key only", "SET a 1 NX", "SET a 2 NX", "GET a"),
        scenario("EX gives a time to live", "SET a 1 EX 100", near("TTL a")),
    )
    def test_set(play: Play, case: Scenario) -> None:
        play(case)

A command is a line with quoting as in redis-cli (`"a\\x00b"`), or a tuple of arguments. Each scenario starts with empty
databases and is run twice on Rowdis: command by command, and as one pipeline. A scenario that uses a command which
Rowdis does not have yet is skipped.
"""

import ast
import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import hiredis
import pytest

import server.commands  # noqa: F401  (declares all commands)
from protocol.errors import CommandError
from server.registry import find
from tests.differential.deviations import DEVIATIONS, ORACLES
from tests.services.raw_client import RawClient

Line = str | tuple[str | bytes | int, ...]
Test = TypeVar("Test", bound=Callable[..., None])

POLL_S = 0.005
POLL_LIMIT_S = 5.0

PROVEN: set[str] = set()
"""Names of the deviations that some scenario shows."""

_UNKNOWN = b"ERR unknown command"
_WORD = re.compile(r'"(?:[^"\\]|\\.)*"|\S+')


def equal(ours: bytes, theirs: bytes) -> bool:
    return ours == theirs


@dataclass(frozen=True)
class Step:
    """One command; `agree` compares our reply with theirs. With `until`, it is repeated until that is the reply."""

    words: tuple[bytes, ...]
    agree: Callable[[bytes, bytes], bool] = equal
    until: bytes | None = None

    def run(self, client: RawClient) -> bytes:
        reply = client.call(*self.words)
        deadline = time.monotonic() + POLL_LIMIT_S
        while self.until is not None and reply != self.until and time.monotonic() < deadline:
            time.sleep(POLL_S)
            reply = client.call(*self.words)
        return reply

    def __str__(self) -> str:
        return " ".join(repr(word)[1:] if len(word) < 60 else f"<{len(word)} bytes>" for word in self.words)


@dataclass(frozen=True)
class Scenario:
    """Commands with a name that says what they show; `oracle` is the fixture of the server that is right."""

    name: str
    steps: tuple[Step, ...]
    oracle: str

    @property
    def immediate(self) -> bool:
        """Nothing is waited for, so that all can be sent at once."""
        return all(step.until is None for step in self.steps)

    def missing_command(self, theirs: Sequence[bytes]) -> str | None:
        """A command of this scenario that Rowdis does not have, though the server that gave `theirs` has it."""
        for step, reply in zip(self.steps, theirs, strict=True):
            try:
                find(list(step.words))
            except CommandError as error:
                if error.message.startswith(_UNKNOWN) and not reply.startswith(b"-" + _UNKNOWN):
                    return step.words[0].decode(errors="replace")
        return None


def scenario(name: str, *steps: Line | Step, oracle: str | None = None) -> Scenario:
    """A scenario from command lines and marked steps. Without `oracle` the table of oracles decides."""
    made = tuple(step if isinstance(step, Step) else Step(words(step)) for step in steps)
    return Scenario(name, made, oracle or _oracle_for(made))


def scenarios(*cases: Scenario) -> pytest.MarkDecorator:
    """Run a test with each of these as its `case`."""
    names = [case.name for case in cases]
    assert len(set(names)) == len(names), "two scenarios have the same name"
    return pytest.mark.parametrize("case", cases, ids=names)


def near(line: Line, tolerance: int = 1) -> Step:
    """Integers that depend on the time: they may differ by so much."""

    def agree(ours: bytes, theirs: bytes) -> bool:
        try:
            return ours[:1] == theirs[:1] == b":" and abs(int(ours[1:]) - int(theirs[1:])) <= tolerance
        except ValueError:
            return False

    return Step(words(line), agree)


def unordered(line: Line) -> Step:
    """An array or set in any order."""

    def agree(ours: bytes, theirs: bytes) -> bool:
        return ours[:1] == theirs[:1] and sorted(_elements(ours)) == sorted(_elements(theirs))

    return Step(words(line), agree)


def becomes(line: Line, reply: bytes) -> Step:
    """A reply that both servers give after a while, at once or within seconds."""
    return Step(words(line), lambda ours, theirs: ours == theirs == reply, until=reply)


def deviates(line: Line, deviation: str, ours: bytes) -> Step:
    """A known difference: Rowdis's reply begins with `ours`, the real server's is another."""
    assert deviation in DEVIATIONS
    PROVEN.add(deviation)
    return Step(words(line), lambda mine, theirs: mine.startswith(ours) and mine != theirs)


def shows(deviation: str) -> Callable[[Test], Test]:
    """Mark a test that shows a known difference by other means than a scenario."""
    assert deviation in DEVIATIONS
    PROVEN.add(deviation)
    return lambda test: test


def words(line: Line) -> tuple[bytes, ...]:
    """The arguments of a command."""
    if isinstance(line, tuple):
        return tuple(word if isinstance(word, bytes) else str(word).encode() for word in line)
    return tuple(
        ast.literal_eval("b" + word) if word.startswith('"') else word.encode() for word in _WORD.findall(line)
    )


def differences(case: Scenario, ours: Sequence[bytes], theirs: Sequence[bytes]) -> list[str]:
    """What to tell about replies that do not agree."""
    return [
        f"{number}. {step}\n    Rowdis: {_shown(mine)}\n    {case.oracle}: {_shown(other)}"
        for number, (step, mine, other) in enumerate(zip(case.steps, ours, theirs, strict=True), 1)
        if not step.agree(mine, other)
    ]


def _shown(reply: bytes) -> str:
    return repr(reply) if len(reply) < 400 else f"{reply[:200]!r} ... {reply[-100:]!r} ({len(reply)} bytes)"


def _elements(reply: bytes) -> list[bytes]:
    reader = hiredis.Reader()
    reader.feed(reply)
    elements: list[bytes] = reader.gets()
    return elements


def _oracle_for(steps: Iterable[Step]) -> str:
    for step in steps:
        name = step.words[0].decode(errors="replace").lower()
        sub = step.words[1].decode(errors="replace").lower() if len(step.words) > 1 else ""
        found = ORACLES.get(name) or ORACLES.get(f"{name}|{sub}")
        if found:
            return found
    return "oracle"
