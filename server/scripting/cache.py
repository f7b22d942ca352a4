"""The scripts that this process knows, shared by its workers: those that came by EVAL, and copies of those loaded.

A script that EVAL brought is kept here only, as in Redis the last 500 of them; what SCRIPT LOAD brought is in the
database, and here is a copy.  Each is kept under the number of the map of databases at which it came
(storage/spaces.py): when all scripts are removed, here or by another instance, the number changes and none counts.
"""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass

from protocol.errors import CommandError

#: As many scripts are kept of each kind, and as many bytes of them.
MAX_SCRIPTS = 500
MAX_BYTES = 64 * 1024 * 1024

_FLAGS = frozenset({b"no-writes", b"allow-oom", b"allow-stale", b"no-cluster", b"allow-cross-slot-keys"})


@dataclass(frozen=True, slots=True)
class Script:
    """A script as it was sent. `sha` is its SHA-1 in lower-case hexadecimal digits."""

    sha: bytes
    body: bytes
    #: The flags of its first line; None if it has no such line, and nothing is known of what it does.
    flags: frozenset[bytes] | None

    @property
    def code(self) -> bytes:
        """The Lua code, with an empty line in the place of what is none, so that lines count as in the body."""
        return self.body if self.flags is None else b"\n" + self.body.partition(b"\n")[2]


def sha_of(body: bytes) -> bytes:
    """The name of a script: its SHA-1 in lower-case hexadecimal digits."""
    return hashlib.sha1(body, usedforsecurity=False).hexdigest().encode()


def parse(body: bytes, sha: bytes | None = None) -> Script:
    """A script with the flags of its first line, "#!lua flags=...". CommandError if that line is wrong."""
    return Script(sha or sha_of(body), body, _flags_of(body) if body.startswith(b"#!") else None)


def _flags_of(body: bytes) -> frozenset[bytes]:
    line, end, _ = body.partition(b"\n")
    if not end:
        raise CommandError(b"ERR Invalid script shebang")
    words = line.replace(b'"', b"").split()
    if words[0] != b"#!lua":
        raise CommandError(b"ERR Unexpected engine in script shebang: %b" % words[0])
    flags: set[bytes] = set()
    for word in words[1:]:
        if not word.startswith(b"flags="):
            raise CommandError(b"ERR Unknown lua shebang option: %b" % word)
        for flag in word.removeprefix(b"flags=").split(b","):
            if flag and flag not in _FLAGS:
                raise CommandError(b"ERR Unexpected flag in script shebang: %b" % flag)
            flags.add(flag)
    return frozenset(flags)


class ScriptCache:
    """Scripts by SHA-1, those not used for longest given up first. Used by all workers at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._scripts: dict[bytes, tuple[int, Script]] = {}
        self._bytes = 0
        #: How many were given up for lack of room.
        self.evicted = 0

    def get(self, sha: bytes, number: int) -> Script | None:
        """A script that is known under this number of the map."""
        found = self._scripts.get(sha)
        return found[1] if found is not None and found[0] == number else None

    def put(self, script: Script, number: int) -> None:
        """Keep a script, as the one used last."""
        with self._lock:
            scripts = self._scripts
            before = scripts.pop(script.sha, None)
            if before is None:
                self._bytes += len(script.body)
            scripts[script.sha] = number, script
            while len(scripts) > MAX_SCRIPTS or (self._bytes > MAX_BYTES and len(scripts) > 1):
                # What is left of a time before all scripts were removed is no loss.
                was, oldest = scripts.pop(next(iter(scripts)))
                self._bytes -= len(oldest.body)
                self.evicted += was == number

    def usage(self) -> tuple[int, int]:
        """How many scripts count, and the bytes of all."""
        with self._lock:
            if not self._scripts:
                return 0, 0
            last = max(number for number, _ in self._scripts.values())
            return sum(number == last for number, _ in self._scripts.values()), self._bytes
