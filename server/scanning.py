"""SCAN and its kin: cursors, their options, and pages in the order of digests.

A cursor is the place to go on from: the upper bits of a digest, as many as clients can be sure to keep exactly.  0 is
the start and the end.  All rows of one cursor stand in one page, or a page could end between them for ever.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from protocol.errors import CommandError, invalid_cursor, syntax_error
from protocol.glob import Glob, compile_glob
from protocol.numbers import parse_unsigned
from server.arguments import Args, Options, integer
from storage.elements import DIGEST_BYTES, following

_CURSOR_BITS = 63
_LOWER_BITS = 8 * DIGEST_BYTES - _CURSOR_BITS
_USUAL_COUNT = 10
#: Rows of one SELECT, so that what a scan holds is bounded.
_PAGE = 10_000

T = TypeVar("T")
#: Gives up to so many rows from a digest on, each with its digest.
Fetch = Callable[[bytes, int], list[tuple[bytes, T]]]


@dataclass(slots=True)
class ScanOptions:
    """What a scan was asked for; `words` are the further options that the command knows, with their values."""

    count: int
    glob: Glob | None
    words: dict[bytes, bytes]

    def matches(self, name: bytes) -> bool:
        return self.glob is None or self.glob.everything or self.glob.matches(name)


def parse_cursor(data: bytes) -> int:
    """A cursor as a client gives it. CommandError if it is none."""
    try:
        return parse_unsigned(data)
    except ValueError:
        raise invalid_cursor() from None


def scan_options(
    args: Args, start: int, *, valued: frozenset[bytes] = frozenset(), flags: frozenset[bytes] = frozenset()
) -> ScanOptions:
    """The options from a position on: MATCH, COUNT, those in `valued` with a value, those in `flags` without."""
    found = ScanOptions(_USUAL_COUNT, None, {})
    options = Options(args, start)
    while options.left:
        word = options.word()
        if word in flags:
            found.words[word] = b""
            continue
        if word == b"NOVALUES":
            raise CommandError(b"ERR NOVALUES option can only be used in HSCAN")
        value = options.value()
        if word == b"COUNT":
            found.count = integer(value)
            if found.count < 1:
                raise syntax_error()
        elif word == b"MATCH":
            found.glob = compile_glob(value)
        elif word in valued:
            found.words[word] = value
        else:
            raise syntax_error()
    return found


def read_page(fetch: Fetch[T], cursor: int, count: int) -> tuple[int, list[T]]:
    """About `count` rows from a cursor on, and the cursor of what follows them."""
    if cursor >> _CURSOR_BITS:
        return 0, []
    rows: list[tuple[bytes, T]] = []
    start: bytes | None = _place_of(cursor)
    while start is not None:
        wanted = min(max(count - len(rows), 0) + 1, _PAGE)
        some = fetch(start, wanted)
        rows += some
        if len(some) < wanted:
            break
        start = following(rows[-1][0])
        if len(rows) > count:
            next_cursor = _cursor_of(rows[-1][0])
            complete = len(rows) - 1
            while complete and _cursor_of(rows[complete - 1][0]) == next_cursor:
                complete -= 1
            if complete:
                return next_cursor, [row for _, row in rows[:complete]]
    return 0, [row for _, row in rows]


def _cursor_of(digest: bytes) -> int:
    return int.from_bytes(digest, "big") >> _LOWER_BITS


def _place_of(cursor: int) -> bytes:
    return (cursor << _LOWER_BITS).to_bytes(DIGEST_BYTES, "big")
