"""Redis's glob patterns: `*`, `?`, `[a-z]`, `[^...]` and the backslash.

A pattern is cut at its stars into segments. Each segment matches a fixed number of bytes, so the leftmost place where
it fits is always the right one, and nothing is ever tried twice: there is no pattern that takes exponential time, as
with a translation of the whole into one regular expression. The oddities of classes (an unclosed one, a range that
swallows the bracket, a range written backwards) are Redis's; `tests/property/test_glob_*.py` compare them.
"""

import re
from functools import lru_cache
from typing import Final

_STAR: Final = ord("*")
_QUESTION: Final = ord("?")
_OPEN: Final = ord("[")
_CLOSE: Final = ord("]")
_CARET: Final = ord("^")
_DASH: Final = ord("-")
_BACKSLASH: Final = ord("\\")

_ALL: Final = frozenset(range(256))
_LONGEST_KEPT: Final = 1024

Segment = list[frozenset[int]]
"""For each byte that it matches, which bytes are allowed there."""


class Glob:
    """A pattern, compiled; use it for many keys. `nocase` folds ASCII letters.

    `prefix` is what every match begins with (empty with `nocase`), for a search by range in an index; `literal` is the
    one thing that can match, if the pattern has no wildcard.

    The empty string is matched by the empty pattern only, not by `*`: so PSUBSCRIBE and PUBSUB CHANNELS have it. KEYS
    and SCAN take the pattern `*` for "everything" without a match; `everything` tells them.
    """

    __slots__ = ("_first", "_last", "_middle", "_shortest", "_stars", "everything", "literal", "prefix")

    def __init__(self, pattern: bytes, nocase: bool = False) -> None:
        segments = _segments(pattern, nocase)
        self.everything = pattern == b"*"
        self._stars = len(segments) > 1
        self._shortest = sum(map(len, segments))
        self._first = _Piece(segments[0])
        self._middle = [_Piece(segment) for segment in segments[1:-1] if segment]
        self._last = _Piece(segments[-1])
        self.prefix = self._first.prefix
        self.literal: bytes | None = None if self._stars else self._first.literal

    def matches(self, data: bytes) -> bool:
        """Whether the pattern matches all of `data`."""
        size = len(data)
        if not self._stars:
            return size == self._shortest and self._first.fits(data, 0)
        if not size or size < self._shortest or not self._first.fits(data, 0):
            return False
        stop = size - self._last.size
        if not self._last.fits(data, stop):
            return False
        position = self._first.size
        for piece in self._middle:
            position = piece.find(data, position, stop)
            if position < 0:
                return False
            position += piece.size
        return True


class _Piece:
    """A segment made ready: a literal is compared and searched as bytes, anything else as a regular expression.

    The expression is made when a string is long enough to need it: making one of a pattern of megabytes takes seconds.
    """

    __slots__ = ("_compiled", "_segment", "literal", "prefix", "size")

    def __init__(self, segment: Segment) -> None:
        self.size = len(segment)
        self.prefix = _literal_prefix(segment)
        self.literal = self.prefix if len(self.prefix) == self.size else None
        self._segment = segment
        self._compiled: re.Pattern[bytes] | None = None

    def fits(self, data: bytes, position: int) -> bool:
        if self.literal is not None:
            return data.startswith(self.literal, position)
        return self._expression().match(data, position) is not None

    def find(self, data: bytes, start: int, stop: int) -> int:
        if self.literal is not None:
            return data.find(self.literal, start, stop)
        match = self._expression().search(data, start, stop)
        return -1 if match is None else match.start()

    def _expression(self) -> re.Pattern[bytes]:
        if self._compiled is None:
            self._compiled = re.compile(b"".join(map(_as_class, self._segment)), re.DOTALL)
        return self._compiled


def matches(pattern: bytes, data: bytes, nocase: bool = False) -> bool:
    """Whether `pattern` matches all of `data`; recent patterns are kept compiled."""
    return compile_glob(pattern, nocase).matches(data)


def compile_glob(pattern: bytes, nocase: bool = False) -> Glob:
    """`Glob(pattern, nocase)`, from a small cache unless the pattern is long."""
    return _cached(pattern, nocase) if len(pattern) <= _LONGEST_KEPT else Glob(pattern, nocase)


@lru_cache(maxsize=512)
def _cached(pattern: bytes, nocase: bool) -> Glob:
    return Glob(pattern, nocase)


def _segments(pattern: bytes, nocase: bool) -> list[Segment]:
    """The pattern cut at its stars: `a*b` has two segments, `*` has two empty ones."""
    segments: list[Segment] = [[]]
    position = 0
    while position < len(pattern):
        byte = pattern[position]
        position += 1
        if byte == _STAR:
            segments.append([])
        elif byte == _QUESTION:
            segments[-1].append(_ALL)
        elif byte == _OPEN:
            allowed, position = _read_class(pattern, position, nocase)
            segments[-1].append(allowed)
        else:
            if byte == _BACKSLASH and position < len(pattern):
                byte = pattern[position]
                position += 1
            segments[-1].append(_either_case(byte) if nocase else _ONLY[byte])
    return segments


def _read_class(pattern: bytes, position: int, nocase: bool) -> tuple[frozenset[int], int]:
    """What the class after `[` allows, and the position behind its `]` or the end of the pattern."""
    negated = position < len(pattern) and pattern[position] == _CARET
    position += negated
    allowed: set[int] = set()
    while position < len(pattern):
        byte = pattern[position]
        left = len(pattern) - position
        if byte == _BACKSLASH and left >= 2:
            allowed.add(pattern[position + 1])  # an escaped byte is never folded
            position += 2
        elif byte == _CLOSE:
            position += 1
            break
        elif left >= 3 and pattern[position + 1] == _DASH:
            allowed |= _range(byte, pattern[position + 2], nocase)
            position += 3
        else:
            allowed |= _either_case(byte) if nocase else _ONLY[byte]
            position += 1
    return (_ALL - allowed if negated else frozenset(allowed)), position


def _range(start: int, end: int, nocase: bool) -> frozenset[int]:
    start, end = min(start, end), max(start, end)
    if not nocase:
        return frozenset(range(start, end + 1))
    start, end = _lower(start), _lower(end)
    return frozenset(byte for byte in range(256) if start <= _lower(byte) <= end)


def _lower(byte: int) -> int:
    return byte + 32 if ord("A") <= byte <= ord("Z") else byte


def _either_case(byte: int) -> frozenset[int]:
    letter = bytes((byte,))
    return frozenset(letter.lower() + letter.upper())


_ONLY: Final = [frozenset((byte,)) for byte in range(256)]


def _literal_prefix(segment: Segment) -> bytes:
    prefix = bytearray()
    for allowed in segment:
        if len(allowed) != 1:
            break
        prefix += bytes(allowed)
    return bytes(prefix)


def _as_class(allowed: frozenset[int]) -> bytes:
    if len(allowed) == 256:
        return b"."
    if not allowed:
        return b"(?!)"
    return b"[%b]" % b"".join(b"\\x%02x" % byte for byte in sorted(allowed))
