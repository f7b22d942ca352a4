"""The kinds of values that directives take: how each is read from words, checked, shown and written back.

A kind knows nothing of the directive that uses it, of files, or of commands. Values arrive as *words*, the way
a line of the configuration file or the command line gives them; CONFIG SET and the environment give one word. A
value that does not fit raises ValueError, whose text is the end of Redis's own error message, so that CONFIG SET
and a bad line in a file speak alike.
"""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

from storage.engines import parse_url

Value = TypeVar("Value")

INT_MAX = 2**31 - 1
UINT_MAX = 2**32 - 1
LONG_MIN = -(2**63)
LONG_MAX = 2**63 - 1

_INTEGER = re.compile(r"(?:0|-?[1-9][0-9]*)\Z", re.ASCII)
_MEMORY = re.compile(r"([0-9]*)(b|k|kb|m|mb|g|gb)?\Z", re.ASCII | re.IGNORECASE)
_UNITS = {"": 1, "b": 1, "k": 1000, "kb": 1 << 10, "m": 1000**2, "mb": 1 << 20, "g": 1000**3, "gb": 1 << 30}


class Kind(ABC, Generic[Value]):
    """How the value of a directive is written, checked and shown."""

    #: What stands for the value in a line of help.
    placeholder: str = "VALUE"
    #: Whether the directive takes a list of words instead of exactly one.
    several: ClassVar[bool] = False

    @abstractmethod
    def parse(self, words: Sequence[str]) -> Value:
        """The value that the words mean; ValueError says why they mean none."""

    def show(self, value: Value) -> str:
        """The value as CONFIG GET shows it; `parse([show(value)])` gives the value again (secrets excepted)."""
        return str(value)

    def lines(self, value: Value) -> list[list[str]]:
        """The value as arguments for a configuration file: one list of words for each line."""
        return [[self.show(value)]]

    def combine(self, held: Value, new: Value, again: bool) -> Value:
        """What holds when `new` is set where `held` was in force: usually just the new one.

        `again` is true if `held` came from the same source (the same set of files, the same command line), so that
        the lines of a list that Redis writes over several lines add up.
        """
        return new


def parse_integer(text: str) -> int:
    """A signed 64-bit integer as Redis reads it: no plus sign, no spaces, no leading zeros."""
    if not _INTEGER.match(text) or len(text) > 20 or not LONG_MIN <= int(text) <= LONG_MAX:
        raise ValueError("argument couldn't be parsed into an integer")
    return int(text)


def parse_memory(text: str) -> int:
    """A number of bytes with an optional unit; k, m, g are powers of 1000 and kb, mb, gb of 1024, as in Redis."""
    match = _MEMORY.match(text)
    if match is None or len(text) > 24:
        raise ValueError("argument must be a memory value")
    return int(match[1] or 0) * _UNITS[(match[2] or "").lower()]


def write_memory(amount: int) -> str:
    """A number of bytes in the largest unit that divides it: 512mb."""
    for unit in ("gb", "mb", "kb"):
        if amount and amount % _UNITS[unit] == 0:
            return f"{amount // _UNITS[unit]}{unit}"
    return str(amount)


def _only(words: Sequence[str]) -> str:
    """The single word of a directive that takes one."""
    if len(words) != 1:
        raise ValueError("wrong number of arguments")
    return words[0]


def _split(words: Sequence[str]) -> list[str]:
    """The words of a directive that takes several; one word may hold them all (`--save "900 1"`)."""
    return words[0].split() if len(words) == 1 else list(words)


def _within(value: int, low: int, high: int) -> int:
    if not low <= value <= high:
        raise ValueError(f"argument must be between {low} and {high} inclusive")
    return value


class Integer(Kind[int]):
    """A whole number between two bounds, both included."""

    def __init__(self, low: int = 0, high: int = INT_MAX, placeholder: str = "N") -> None:
        self.low = low
        self.high = high
        self.placeholder = placeholder

    def parse(self, words: Sequence[str]) -> int:
        return _within(parse_integer(_only(words)), self.low, self.high)


class Octal(Kind[int]):
    """A file mode: octal digits, at most 777."""

    placeholder = "MODE"

    def parse(self, words: Sequence[str]) -> int:
        text = _only(words)
        if not re.fullmatch(r"[0-7]{1,6}", text):
            raise ValueError("argument couldn't be parsed as an octal number")
        if int(text, 8) > 0o777:
            raise ValueError("argument must be between 0 and 777 inclusive")
        return int(text, 8)

    def show(self, value: int) -> str:
        return f"{value:o}"


class Memory(Kind[int]):
    """A number of bytes, written with or without a unit."""

    placeholder = "BYTES"

    def __init__(self, low: int = 0, high: int = LONG_MAX) -> None:
        self.low = low
        self.high = high

    def parse(self, words: Sequence[str]) -> int:
        return _within(parse_memory(_only(words)), self.low, self.high)

    def lines(self, value: int) -> list[list[str]]:
        return [[write_memory(value)]]


class MemoryOrPercent(Kind[int]):
    """A number of bytes, or a percentage of `maxmemory`, which is held as a negative number."""

    placeholder = "BYTES|PERCENT"

    def parse(self, words: Sequence[str]) -> int:
        text = _only(words)
        if text.endswith("%") and text[:-1].isascii() and text[:-1].isdigit():
            if int(text[:-1]) > 100:
                raise ValueError("percentage argument must be less or equal to 100")
            return -int(text[:-1])
        try:
            return parse_memory(text)
        except ValueError:
            raise ValueError("argument must be a memory or percent value") from None

    def show(self, value: int) -> str:
        return f"{-value}%" if value < 0 else str(value)


class YesNo(Kind[bool]):
    """A switch."""

    placeholder = "yes|no"

    def parse(self, words: Sequence[str]) -> bool:
        text = _only(words).lower()
        if text not in ("yes", "no"):
            raise ValueError("argument must be 'yes' or 'no'")
        return text == "yes"

    def show(self, value: bool) -> str:
        return "yes" if value else "no"


class Choice(Kind[str]):
    """One of a few names, in any case of letters."""

    def __init__(self, *names: str) -> None:
        self.names = names
        self.placeholder = "|".join(names)

    def parse(self, words: Sequence[str]) -> str:
        text = _only(words).lower()
        if text not in self.names:
            raise ValueError(f"argument(s) must be one of the following: {', '.join(self.names)}")
        return text


class Choices(Kind[tuple[str, ...]]):
    """One or more of a few names."""

    several = True

    def __init__(self, *names: str) -> None:
        self.names = names
        self.placeholder = "|".join(names)

    def parse(self, words: Sequence[str]) -> tuple[str, ...]:
        given = [word.lower() for word in _split(words)]
        if not given or not set(given) <= set(self.names):
            raise ValueError(f"argument(s) must be one of the following: {', '.join(self.names)}")
        return tuple(name for name in self.names if name in given)

    def show(self, value: tuple[str, ...]) -> str:
        return " ".join(value)

    def lines(self, value: tuple[str, ...]) -> list[list[str]]:
        return [list(value)]


class Text(Kind[str]):
    """Any text, or with a pattern only such as matches it; `wrong` is then the error."""

    def __init__(self, placeholder: str = "TEXT", pattern: str = "", wrong: str = "") -> None:
        self.placeholder = placeholder
        self._pattern = re.compile(pattern, re.ASCII) if pattern else None
        self._wrong = wrong

    def parse(self, words: Sequence[str]) -> str:
        text = _only(words)
        if "\0" in text:
            raise ValueError("argument must not hold a zero byte")
        if self._pattern is not None and not self._pattern.fullmatch(text):
            raise ValueError(self._wrong)
        return text


class WorkingDirectory(Text):
    """A directory, held as an absolute path; empty means the one the program was started in."""

    def __init__(self) -> None:
        super().__init__("PATH")

    def parse(self, words: Sequence[str]) -> str:
        text = super().parse(words)
        return os.path.abspath(text) if text else ""

    def show(self, value: str) -> str:
        return value or os.getcwd()

    def lines(self, value: str) -> list[list[str]]:
        return [[value]]


class DatabaseUrl(Text):
    """The URL of a database. It is held as it was written, and shown without its password."""

    def __init__(self) -> None:
        super().__init__("URL")

    def parse(self, words: Sequence[str]) -> str:
        text = super().parse(words)
        parse_url(text)  # raises BadTarget, a ValueError
        return text

    def show(self, value: str) -> str:
        # Everything up to the last @ counts as user and password, lest an unescaped / or ? in a password shows.
        scheme, slashes, rest = value.partition("://")
        credentials, at, place = rest.rpartition("@")
        user, colon, _ = credentials.partition(":")
        return f"{scheme}{slashes}{user}{colon}***@{place}" if at and colon else value

    def lines(self, value: str) -> list[list[str]]:
        return [[value]]


class Words(Kind[tuple[str, ...]]):
    """A list of words, possibly empty."""

    several = True

    def __init__(self, placeholder: str, most: int = 0, too_many: str = "") -> None:
        self.placeholder = placeholder
        self._most = most
        self._too_many = too_many

    def parse(self, words: Sequence[str]) -> tuple[str, ...]:
        given = _split(words)
        if self._most and len(given) > self._most:
            raise ValueError(self._too_many)
        return tuple(given)

    def show(self, value: tuple[str, ...]) -> str:
        return " ".join(value)

    def lines(self, value: tuple[str, ...]) -> list[list[str]]:
        return [list(value) or [""]]


class Numbers(Kind[tuple[int, ...]]):
    """A fixed count of whole numbers between two bounds."""

    several = True

    def __init__(self, name: str, count: int, low: int, high: int) -> None:
        self.placeholder = " ".join(["N"] * count)
        self._count = count
        self._range = range(low, high + 1)
        self._wrong = f"Invalid {name}, elements must be between {low} and {high}."

    def parse(self, words: Sequence[str]) -> tuple[int, ...]:
        given = _split(words)
        if len(given) != self._count:
            raise ValueError("wrong number of arguments")
        try:
            numbers = tuple(parse_integer(word) for word in given)
        except ValueError:
            raise ValueError(self._wrong) from None
        if not all(number in self._range for number in numbers):
            raise ValueError(self._wrong)
        return numbers

    def show(self, value: tuple[int, ...]) -> str:
        return " ".join(map(str, value))

    def lines(self, value: tuple[int, ...]) -> list[list[str]]:
        return [[str(number) for number in value]]


class Percentiles(Kind[tuple[float, ...]]):
    """A list of percentages of a distribution."""

    placeholder = "PERCENT ..."
    several = True

    def parse(self, words: Sequence[str]) -> tuple[float, ...]:
        try:
            values = tuple(float(word) for word in _split(words))
        except ValueError:
            raise ValueError("Invalid latency-tracking-info-percentiles parameters") from None
        if not all(0 <= value <= 100 for value in values):
            raise ValueError("latency-tracking-info-percentiles parameters should sit between [0.0,100.0]")
        return values

    def show(self, value: tuple[float, ...]) -> str:
        return " ".join(f"{number:g}" for number in value)

    def lines(self, value: tuple[float, ...]) -> list[list[str]]:
        return [self.show(value).split() or [""]]


class SavePoints(Kind[tuple[tuple[int, int], ...]]):
    """Redis's snapshot rules: pairs of seconds and changes. A further line adds its pairs; "" forgets all."""

    placeholder = "SECONDS CHANGES ..."
    several = True

    def parse(self, words: Sequence[str]) -> tuple[tuple[int, int], ...]:
        given = _split(words)
        try:
            numbers = [parse_integer(word) for word in given]
        except ValueError:
            raise ValueError("Invalid save parameters") from None
        seconds, changes = numbers[::2], numbers[1::2]
        if len(seconds) != len(changes) or any(n < 1 for n in seconds) or any(n < 0 for n in changes):
            raise ValueError("Invalid save parameters")
        return tuple(zip(seconds, changes, strict=True))

    def show(self, value: tuple[tuple[int, int], ...]) -> str:
        return " ".join(f"{seconds} {changes}" for seconds, changes in value)

    def lines(self, value: tuple[tuple[int, int], ...]) -> list[list[str]]:
        return [[str(seconds), str(changes)] for seconds, changes in value] or [[""]]

    def combine(
        self, held: tuple[tuple[int, int], ...], new: tuple[tuple[int, int], ...], again: bool
    ) -> tuple[tuple[int, int], ...]:
        return held + new if again and new else new


class BufferLimit(NamedTuple):
    """How many bytes of replies one client may let wait: over `hard` at once, or over `soft` for so many seconds,
    and it is closed. Zero means no limit."""

    hard: int
    soft: int
    soft_seconds: int


class BufferLimits(NamedTuple):
    """The limits of each class of clients."""

    normal: BufferLimit = BufferLimit(0, 0, 0)
    replica: BufferLimit = BufferLimit(256 << 20, 64 << 20, 60)
    pubsub: BufferLimit = BufferLimit(32 << 20, 8 << 20, 60)


class OutputBufferLimits(Kind[Any]):
    """Limits for classes of clients, four words each; a class that is not named keeps its limits.

    Typed loosely, since what was parsed (a dictionary of the classes that were named) is less than the value that
    `combine` makes of it (all of BufferLimits).
    """

    placeholder = "CLASS HARD SOFT SECONDS ..."
    several = True
    # Redis still shows the old word, and reads both.
    _shown: ClassVar[tuple[str, ...]] = ("normal", "slave", "pubsub")
    _written: ClassVar[tuple[str, ...]] = ("normal", "replica", "pubsub")

    def parse(self, words: Sequence[str]) -> dict[str, BufferLimit]:
        given = _split(words)
        if len(given) % 4:
            raise ValueError("Wrong number of arguments in buffer limit configuration.")
        limits = {}
        for start in range(0, len(given), 4):
            name = given[start].lower()
            if name not in (*self._shown, *self._written):
                raise ValueError("Invalid client class specified in buffer limit configuration.")
            limits["replica" if name == "slave" else name] = self._limit(*given[start + 1 : start + 4])
        return limits

    @staticmethod
    def _limit(hard: str, soft: str, seconds: str) -> BufferLimit:
        try:
            return BufferLimit(parse_memory(hard), parse_memory(soft), _within(parse_integer(seconds), 0, INT_MAX))
        except ValueError:
            raise ValueError("Error in hard, soft or soft_seconds setting in buffer limit configuration.") from None

    def combine(self, held: BufferLimits, new: dict[str, BufferLimit], again: bool) -> BufferLimits:
        return held._replace(**new)

    def show(self, value: BufferLimits) -> str:
        return " ".join(f"{name} {' '.join(map(str, limit))}" for name, limit in zip(self._shown, value, strict=True))

    def lines(self, value: BufferLimits) -> list[list[str]]:
        return [
            [name, write_memory(limit.hard), write_memory(limit.soft), str(limit.soft_seconds)]
            for name, limit in zip(self._written, value, strict=True)
        ]


class EventClasses(Kind[str]):
    """Classes of keyspace events, a letter each, in Redis's order. A stands for all that it means."""

    placeholder = "CLASSES"
    _all: ClassVar[str] = "g$lshzxetd"

    def parse(self, words: Sequence[str]) -> str:
        given = set(_only(words))
        if not given <= set("A" + self._all + "KEmn"):
            raise ValueError("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.")
        if "A" in given or given >= set(self._all):
            classes = "A"
        else:
            classes = "".join(letter for letter in self._all if letter in given)
        return classes + "".join(letter for letter in "nKEm" if letter in given)

    def show(self, value: str) -> str:
        # As in Redis, where A hides the n beside it.
        return value.replace("An", "A")

    def lines(self, value: str) -> list[list[str]]:
        return [[value]]
