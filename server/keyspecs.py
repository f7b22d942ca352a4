"""Where in a request the names of keys stand, in the terms of COMMAND INFO's key specifications.

A specification never raises: where a request contradicts it, it gives the names that it can see, and the command itself
will refuse the request.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from protocol.numbers import parse_integer

Request: TypeAlias = list[bytes]


@dataclass(frozen=True)
class Keys:
    """First and last position (negative: from the end) and step; and what is done to the keys, in the words of COMMAND
    INFO ("RW access update"). `notes` says why, where it is odd."""

    first: int
    last: int
    step: int
    flags: str = "RO access"
    notes: str = ""

    def names(self, request: Request) -> list[bytes]:
        last = self.last if self.last >= 0 else len(request) + self.last
        return request[self.first : last + 1 : self.step]


@dataclass(frozen=True)
class CountedKeys:
    """Their number stands at a position, the keys behind it."""

    at: int
    flags: str = "RO access"
    notes: str = ""

    def names(self, request: Request) -> list[bytes]:
        try:
            number = parse_integer(request[self.at])
        except (ValueError, IndexError):
            return []
        return request[self.at + 1 : self.at + 1 + number] if number > 0 else []


@dataclass(frozen=True)
class KeysAfter:
    """They stand behind a keyword, which is looked for from a position on.

    `last` counts from the first key (0: one key) or is -1 (to the end); `limit` 2 takes the first half of that.
    """

    word: str
    start: int
    last: int
    limit: int
    flags: str = "RO access"
    notes: str = ""

    def names(self, request: Request) -> list[bytes]:
        word = self.word.encode()
        for position in range(self.start, len(request) - 1):
            if request[position].upper() == word:
                rest = request[position + 1 :]
                if self.last >= 0:
                    return rest[: self.last + 1]
                return rest[: len(rest) // self.limit] if self.limit > 1 else rest
        return []


@dataclass(frozen=True)
class FoundKeys:
    """Only the command itself knows: `find` looks for them."""

    find: Callable[[Request], list[bytes]]
    flags: str = "RO access"
    notes: str = ""

    def names(self, request: Request) -> list[bytes]:
        return self.find(request)


KeySpec: TypeAlias = Keys | CountedKeys | KeysAfter | FoundKeys

NO_KEYS: tuple[KeySpec, ...] = ()


def one_key(flags: str, notes: str = "") -> tuple[KeySpec, ...]:
    return (Keys(1, 1, 1, flags, notes),)


def all_keys(flags: str) -> tuple[KeySpec, ...]:
    return (Keys(1, -1, 1, flags),)


def odd_keys(flags: str) -> tuple[KeySpec, ...]:
    """Keys that take turns with values."""
    return (Keys(1, -1, 2, flags),)


def legacy_range(keys: tuple[KeySpec, ...]) -> tuple[int, int, int]:
    """First key, last key and step as COMMAND INFO tells them: of the positions that do not depend on the request."""
    ranges: list[Keys] = []
    for spec in keys:
        if not isinstance(spec, Keys):
            break
        ranges.append(spec)
    if not ranges:
        return 0, 0, 0
    return ranges[0].first, ranges[-1].last, ranges[0].step
