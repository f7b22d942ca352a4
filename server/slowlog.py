"""The slow log: the last commands whose execution took long. Lives on the event loop.

An entry never holds more of a command than Redis would keep, however large its arguments are, and no secrets: whoever
adds one redacts the request.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from server.keyspecs import Request

#: What is kept of a request: so many arguments, and so many bytes of each.
MAX_ARGUMENTS = 32
MAX_ARGUMENT_BYTES = 128


@dataclass(frozen=True, slots=True)
class Entry:
    """One slow command: when it was noted (seconds since the epoch), how long it took, and who sent it."""

    number: int
    time_s: int
    duration_us: int
    arguments: list[bytes]
    address: str
    client_name: bytes


class SlowLog:
    """Entries with growing numbers, the newest first; numbers are not given out again after a reset."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque()
        self._next = 0

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, request: Request, duration_us: int, address: str, client_name: bytes, limit: int) -> None:
        """Note a command, and forget the oldest ones above `limit`. As in Redis, a limit of 0 changes nothing."""
        if limit <= 0:
            return
        entry = Entry(self._next, int(time.time()), duration_us, trimmed(request), address, client_name)
        self._next += 1
        self._entries.appendleft(entry)
        while len(self._entries) > limit:
            self._entries.pop()

    def newest(self, count: int) -> Iterator[Entry]:
        """Up to `count` entries, all of them if it is negative."""
        return islice(self._entries, count if count >= 0 else None)

    def reset(self) -> None:
        """Forget all entries."""
        self._entries.clear()


def trimmed(request: Request) -> list[bytes]:
    """The arguments of an entry: long ones are cut, and of many the last tells how many more there were."""
    kept = [_cut(word) for word in request[:MAX_ARGUMENTS]]
    if len(request) > MAX_ARGUMENTS:
        kept[-1] = b"... (%d more arguments)" % (len(request) - MAX_ARGUMENTS + 1)
    return kept


def _cut(word: bytes) -> bytes:
    if len(word) <= MAX_ARGUMENT_BYTES:
        return word
    return word[:MAX_ARGUMENT_BYTES] + b"... (%d more bytes)" % (len(word) - MAX_ARGUMENT_BYTES)
