"""MONITOR: every command that is executed, told to those who watch. Lives on the event loop.

A command is told when it has been executed: one of the loop at once, those of a run when its unit is over, in their
order; of a transaction the commands inside, then EXEC.  Lines gather for one turn of the loop and go out together,
behind the replies to the commands that they tell of.

A watcher that does not read is closed by its connection, at the limits of `client-output-buffer-limit normal`.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator

from server.keyspecs import Request
from server.redaction import shown
from server.registry import TABLE, Command, Is
from server.run import Batch, Run, Transaction
from server.session import Session

_HIDDEN = Is.ADMIN | Is.SKIP_MONITOR
_ESCAPES = {
    byte: f"\\x{byte:02x}".encode() if not 32 <= byte <= 126 else bytes([byte]) for byte in range(256)
} | {
    ord("\\"): b"\\\\", ord('"'): b'\\"', 10: b"\\n", 13: b"\\r", 9: b"\\t", 7: b"\\a", 8: b"\\b",
}  # fmt: skip
_PLAIN = bytes(byte for byte in range(32, 127) if byte not in b'\\"')
_SPECIAL = re.compile(rb'[^ !#-\[\]-~]')

#: So many bytes of the arguments are told: to quote a value of 512 MB would keep everybody waiting for minutes.
MAX_TOLD = 256 * 1024


class Monitors:
    """Who watches. `active` is false as long as nobody does: then nothing else here is called."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._watchers: dict[int, Session] = {}
        self._lines: list[bytes] = []
        self.active = False

    def add(self, session: Session) -> None:
        """Tell this client everything from now on."""
        self._send()
        self._watchers[session.id] = session
        self.active = session.monitoring = True

    def drop(self, session: Session) -> None:
        """The client is gone, or does not want to watch any more."""
        if session.monitoring:
            # It is told what came before.
            self._send()
            session.monitoring = False
            del self._watchers[session.id]
            self.active = bool(self._watchers)

    def tell(self, session: Session, command: Command, request: Request, db: int) -> None:
        """A command was executed."""
        if command.flags & _HIDDEN and not command.script:
            return
        if not self._lines:
            self._loop.call_soon(self._send)
        self._lines.append(line(time.time(), db, session, shown(command, request)))

    def tell_batch(self, batch: Batch) -> None:
        """A worker is done with a batch."""
        for run in batch.runs:
            if run.put_back or run.locked:
                continue
            for position, item in enumerate(run.items):
                if type(item) is tuple:
                    self.tell(run.session, *item)
                    self._tell_scripts(run, position)
                elif type(item) is Transaction:
                    if item.executed:
                        for command, request, db in item.commands:
                            self.tell(run.session, command, request, db)
                    self._tell_scripts(run, position)
                    self.tell(run.session, TABLE["exec"], [b"EXEC"], item.db)

    def _tell_scripts(self, run: Run, position: int) -> None:
        """Tell what the scripts of an item have called."""
        inner = run.inner.get(position) if run.inner else None
        if inner is not None:
            for command, request, db in inner.told:
                if not command.flags & _HIDDEN:
                    self._lines.append(line(time.time(), db, None, shown(command, request)))

    def _send(self) -> None:
        if not self._lines:
            return
        data = b"".join(self._lines)
        self._lines = []
        for session in list(self._watchers.values()):
            session.push(data)


def line(now_s: float, db: int, session: Session | None, request: Request) -> bytes:
    """A command as MONITOR tells it; without a session, it was a script that called it."""
    words = b" ".join(_words(request))
    if session is None:
        return b"+%.6f [%d lua] %b\r\n" % (now_s, db, words)
    source = f"unix:{session.address.removesuffix(':0')}" if session.unix else session.address
    return b"+%.6f [%d %b] %b\r\n" % (now_s, db, source.encode("utf-8", "surrogateescape"), words)


def quoted(word: bytes) -> bytes:
    """An argument in double quotes, in which only printable ASCII stands for itself."""
    if word.translate(None, _PLAIN):
        word = _SPECIAL.sub(lambda match: _ESCAPES[match[0][0]], word)
    return b'"%b"' % word


def _words(request: Request) -> Iterator[bytes]:
    """The arguments, as far as they are told."""
    left = MAX_TOLD
    for place, word in enumerate(request):
        if left <= 0:
            yield b'"... (%d more arguments)"' % (len(request) - place)
            return
        if len(word) > left:
            word = word[:left] + b"... (%d more bytes)" % (len(word) - left)
        left -= len(word)
        yield quoted(word)
