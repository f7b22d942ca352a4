"""Reading arguments: numbers with Redis's grammar and errors, and options in any order."""

from __future__ import annotations

import math

from protocol.errors import CommandError, not_a_float, not_an_integer, syntax_error
from protocol.numbers import MAX_INTEGER, parse_double, parse_integer

Args = list[bytes]
"""A request: the command's name as the client wrote it, then its arguments."""


def integer(data: bytes, message: bytes | None = None) -> int:
    """A signed 64-bit integer; CommandError (with `message` instead of Redis's usual text) if it is none."""
    try:
        return parse_integer(data)
    except ValueError:
        raise (CommandError(message) if message is not None else not_an_integer()) from None


def integer_in(data: bytes, low: int, high: int, message: bytes | None = None) -> int:
    """An integer between two bounds, both included."""
    number = integer(data, message)
    if not low <= number <= high:
        raise CommandError(message) if message is not None else not_an_integer()
    return number


def double(data: bytes) -> float:
    """A floating point number."""
    try:
        return parse_double(data)
    except ValueError:
        raise not_a_float() from None


#: The moment at which a time-out ends must be a 64-bit integer too; no clock is further.
_NOW_MS = 2**43


def timeout_ms(data: bytes) -> int:
    """How long a client wants to wait at most, in milliseconds, of seconds with a fraction; 0 is for ever."""
    try:
        seconds = parse_double(data)
    except ValueError:
        raise CommandError(b"ERR timeout is not a float or out of range") from None
    if seconds * 1000 >= MAX_INTEGER - _NOW_MS:
        raise CommandError(b"ERR timeout is out of range")
    # Less than a millisecond below zero is none below zero, as in Redis.
    if seconds * 1000 <= -1:
        raise CommandError(b"ERR timeout is negative")
    return math.ceil(seconds * 1000)


class Options:
    """The words of a request from a position on, taken one after the other.

    `word()` gives the next in upper case, `value()` the next as it is; both raise the syntax error at the end.
    """

    __slots__ = ("_args", "_position")

    def __init__(self, args: Args, start: int) -> None:
        self._args = args
        self._position = start

    @property
    def left(self) -> int:
        return len(self._args) - self._position

    def word(self) -> bytes:
        return self.value().upper()

    def value(self) -> bytes:
        if self._position >= len(self._args):
            raise syntax_error()
        self._position += 1
        return self._args[self._position - 1]
