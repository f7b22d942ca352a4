"""One client's connection: bytes in, requests queued, runs submitted, replies out, in order.

A connection has at most one run with the batcher at a time.  It stops reading while too much is queued or unsent, so
a client that sends faster than it reads is slowed down and nothing is buffered without bound.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from protocol.encoder import encode_parts
from protocol.parser import RequestParser
from server.directive_kinds import BufferLimit
from server.keyspecs import Request
from server.planning import call, plan
from server.run import LoopCall, Run, Transaction
from server.session import NoReply, Pushes

if TYPE_CHECKING:
    from server.instance import Instance

log = logging.getLogger("rowdis.connection")

#: Reading stops while this many bytes of requests, or this many requests, wait to be executed.
MAX_QUEUED_BYTES = 8 * 1024 * 1024
MAX_QUEUED = 16 * 1024
#: Nothing more is executed for a client while this many bytes of replies to it are unsent.
MAX_UNSENT = 4 * 1024 * 1024
#: From so many queued bytes on, a run counts the bytes of its requests.
LARGE_INPUT = 256 * 1024
#: Unsent bytes of one client from which they count among the outstanding large replies.
LARGE_OUTPUT = 256 * 1024
#: What a client in MONITOR may leave unread where client-output-buffer-limit sets no limit for it.
MAX_UNREAD = 32 * 1024 * 1024


class Connection(asyncio.Protocol):
    """The loop's side of a client."""

    def __init__(self, instance: Instance, *, unix: bool) -> None:
        self._instance = instance
        self._unix = unix
        self._queue: deque[Request] = deque()
        self._queued_bytes = 0
        self._busy = False
        self._reading = True
        self._writable = True
        self._ending = False
        self._eof = False
        self._timer: asyncio.TimerHandle | None = None
        self._outstanding = 0
        self._held = False
        # What is pushed when the run under way is answered.
        self._later: list[bytes] = []
        self._later_bytes = 0
        #: Set while more is unsent than the soft limit of client-output-buffer-limit allows; it ends the connection.
        self._over_soft_limit: asyncio.TimerHandle | None = None
        #: A run of which parts are executed one after the other, and its first item that is left.
        self._unfinished: tuple[Run, int] | None = None

    # -- called by the transport

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        transport.set_write_buffer_limits(high=MAX_UNSENT)
        instance = self._instance
        self.session = session = instance.new_session(_address(transport, "peername", self._unix, instance),
                                                      _address(transport, "sockname", self._unix, instance),
                                                      unix=self._unix)
        session.pending_input = lambda: self._queued_bytes + self._parser.buffered
        session.pending_output = transport.get_write_buffer_size
        session.server_kill = self.kill
        session.push = self.push
        session.push_later = self.push_later
        session.answer = self.answer
        session.finish_exec = self._finish_exec
        self._parser = RequestParser(
            max_bulk=instance.settings.proto_max_bulk_len, authenticated=session.authenticated
        )
        if not self._unix:
            _tune(transport, instance.settings.tcp_keepalive_s)
        refusal = instance.admit(self)
        if refusal is not None:
            transport.write(refusal)
            self._ending = True
            transport.close()

    def data_received(self, data: bytes) -> None:
        if self._ending:
            return
        session = self.session
        session.last_active = time.monotonic()
        session.input_bytes += len(data)
        requests = self._parser.feed(data)
        if requests:
            self._queue.extend(requests)
            self._queued_bytes += len(data)
            if not self._busy:
                self._advance()
        elif self._parser.error is not None and not self._busy:
            self._advance()
        elif self._parser.buffered > self._instance.settings.client_query_buffer_limit:
            log.warning("client %d exceeded client-query-buffer-limit", session.id)
            self._instance.metrics.oversized_inputs += 1
            self.kill()
        if self._queued_bytes > MAX_QUEUED_BYTES or len(self._queue) > MAX_QUEUED:
            self._pause_reading()

    def eof_received(self) -> bool:
        """The client will send no more. What it sent before is still answered; half a request is forgotten."""
        self._eof = self.session.input_ended = True
        if self.session.blocked:
            # As in Redis, nobody waits for data on behalf of a client that has hung up.
            return False
        return self._busy or bool(self._queue) or self._unfinished is not None

    def connection_lost(self, error: Exception | None) -> None:
        self._ending = self.session.input_ended = True
        self._queue.clear()
        self._queued_bytes = 0
        self._unfinished = None
        if self._timer is not None:
            self._timer.cancel()
        if self._over_soft_limit is not None:
            self._over_soft_limit.cancel()
        self._count_outstanding(0)
        self._instance.forget(self)

    def pause_writing(self) -> None:
        self._writable = False
        self._pause_reading()

    def resume_writing(self) -> None:
        self._writable = True
        self._count_outstanding(0)
        if not self._busy:
            self._advance()

    # -- the way of requests

    def answer(self, run: Run) -> None:
        """A run is over: send its replies and go on with what is queued."""
        if self._ending:
            self._busy = False
            if run.loop_calls:
                # What the transaction has subscribed to is for nobody.
                self._instance.pubsub.drop(self.session)
                self._instance.monitors.drop(self.session)
                self._instance.tracking.drop(self.session)
        elif run.delay_s:
            delay_s, run.delay_s = run.delay_s, 0.0
            self._timer = self._instance.loop.call_later(delay_s, self.answer, run)
        else:
            self._busy = False
            if run.loop_calls or run.late:
                run.encode()
            self._unfinished = run.part_of
            self._settle(run.output)
            if self._later:
                later, self._later = self._later, []
                self._later_bytes = 0
                self.push(b"".join(later))
            if self.session.tracking is not None and self._unfinished is None:
                self._instance.tracking.answered(self.session.tracking)
            self._advance()

    def kill(self) -> None:
        """Drop the client; what it has running is finished, its reply lost."""
        self._ending = True
        self._transport.abort()

    def push(self, data: bytes) -> None:
        """Send what answers no request: a message to who listens. It ends a client that does not read."""
        if self._ending:
            return
        session, transport = self.session, self._transport
        if session.pushed:
            data = b"".join((*session.pushed, data))
            session.pushed = []
        transport.write(data)
        session.output_bytes += len(data)
        self._limit_unsent(transport.get_write_buffer_size())

    def push_later(self, data: bytes) -> None:
        """Send what answers no request, but not in front of replies to what is being executed."""
        if not self._busy or self.session.blocked:
            # Who is blocked may be answered hours from now.
            later, self._later = self._later, []
            self._later_bytes = 0
            self.push(b"".join((*later, data)))
            return
        self._later.append(data)
        self._later_bytes += len(data)
        limit = self._limit_of_pushes()
        if limit.hard and self._later_bytes >= limit.hard:
            self._overrun()

    def _limit_unsent(self, unsent: int) -> None:
        """Hold a client that listens to its client-output-buffer-limit."""
        limit = self._limit_of_pushes()
        if limit.hard and unsent >= limit.hard:
            self._overrun()
        elif not limit.soft or unsent < limit.soft:
            if self._over_soft_limit is not None:
                self._over_soft_limit.cancel()
                self._over_soft_limit = None
        elif self._over_soft_limit is None:
            self._over_soft_limit = self._instance.loop.call_later(limit.soft_seconds, self._soft_limit_is_over)

    def _limit_of_pushes(self) -> BufferLimit:
        limits = self._instance.settings.client_output_buffer_limit
        if not self.session.monitoring:
            return limits.pubsub
        # Redis would let it take all memory where no limit is set.
        return limits.normal if limits.normal.hard else limits.normal._replace(hard=MAX_UNREAD)

    def _soft_limit_is_over(self) -> None:
        self._over_soft_limit = None
        limit = self._limit_of_pushes()
        if limit.soft and self._transport.get_write_buffer_size() >= limit.soft:
            self._overrun()

    def _overrun(self) -> None:
        """What is unsent is forgotten with the client."""
        log.warning("client %d exceeded client-output-buffer-limit", self.session.id)
        self._instance.metrics.overrun_outputs += 1
        self.kill()

    @property
    def busy(self) -> bool:
        """Whether something of this client is being executed or written."""
        return self._busy or self._transport.get_write_buffer_size() > 0

    @property
    def fileno(self) -> int:
        """The number of the socket, as CLIENT LIST shows it."""
        sock = self._transport.get_extra_info("socket")
        return sock.fileno() if sock is not None else -1

    @property
    def idle_s(self) -> float:
        return time.monotonic() - self.session.last_active

    def close_when_done(self) -> None:
        """Take no more requests; end the connection when what is being executed is answered."""
        self._queue.clear()
        self._unfinished = None
        self._eof = self.session.input_ended = True
        if not self._busy or (self.session.blocked and self._instance.waiters.dismiss(self.session)):
            self._end()

    def refresh_limits(self) -> None:
        """Take over settings, and the session's authentication, for the requests to come."""
        self._parser.max_bulk = self._instance.settings.proto_max_bulk_len
        self._parser.authenticated = self.session.authenticated

    def _advance(self) -> None:
        """Plan and submit until there is something to wait for."""
        session = self.session
        queue = self._queue
        batcher = self._instance.batcher
        while self._writable and not self._busy and not self._ending:
            if self._unfinished is not None:
                self._go_on(*self._unfinished)
                continue
            if not queue and self._parser.held_back:
                # What did not fit the limits before AUTH may fit now.
                queue.extend(self._parser.feed(b""))
            if not queue:
                break
            if batcher.paused_for_all:
                if not self._held:
                    self._held = True
                    batcher.hold(self._resume)
                return
            run = plan(session, queue, self._queued_bytes > LARGE_INPUT)
            if session.authenticated is not self._parser.authenticated:
                self._parser.authenticated = session.authenticated
            if run.units:
                self._busy = True
                batcher.submit(run)
            else:
                self._settle(run.items)  # type: ignore[arg-type]  # without units all items are bytes
        if self._ending:
            return
        if not queue and self._unfinished is None:
            self._queued_bytes = 0
            if not self._busy:
                self._after_last()
        if not self._reading and self._writable and (not queue or self._queued_bytes < MAX_QUEUED_BYTES):
            self._reading = True
            self._transport.resume_reading()

    def _go_on(self, run: Run, position: int) -> None:
        """Submit what is left of a run too large to be executed at once."""
        self._unfinished = None
        left = run.part(position, len(run.items), self.session.watched if run.watched is not None else None)
        if left.units:
            self._busy = True
            self._instance.batcher.submit(left)
        else:
            self._settle(left.items)  # type: ignore[arg-type]  # without units all items are bytes

    def _resume(self) -> None:
        """A pause that held this client is over."""
        self._held = False
        if not self._busy:
            self._advance()

    def _settle(self, output: list[bytes]) -> None:
        """Write replies, and end the connection if a command asked for it."""
        self._write(output)
        if self.session.close_after_reply:
            self._end()

    def _after_last(self) -> None:
        """Everything is answered: a broken protocol or the end of input ends the connection now."""
        error = self._parser.error
        if error is not None:
            self._transport.write(b"-ERR " + error.message + b"\r\n")
            self._end()
        elif self._eof:
            self._end()

    def _finish_exec(self, run: Run, position: int, tell: Callable[[], None]) -> None:
        """Make those replies inside of an EXEC that belong to the loop, when it has committed, and encode all of them.

        `tell` is called before each, and tells what the commands in front of it have done.
        Such a command may change how those behind it are answered (HELLO, CLIENT REPLY, CLIENT KILL).
        """
        reply = run.replies[position]
        if type(run.items[position]) is not Transaction or type(reply) is not list:
            return
        muted = run.muted is not None and position in run.muted
        # What is bytes among the items goes out as it is.
        run.items[position] = b"".join(self._replies_of_exec(reply, tell, muted=muted))
        if run.muted is not None:
            run.muted.discard(position)

    def _replies_of_exec(self, replies: list[Any], tell: Callable[[], None], *, muted: bool) -> list[bytes]:
        """The reply of an EXEC in pieces; of one that is muted, what is pushed nevertheless."""
        session = self.session
        parts = [] if muted else [b"*%d\r\n" % len(replies)]
        session.in_exec = True
        for inner in replies:
            answer = inner
            if type(inner) is LoopCall:
                tell()
                answer = call(session, inner.command, inner.request)
            if isinstance(answer, Pushes):
                parts.append(answer.encoded)
            elif not muted and session.reply_mode != "off" and not isinstance(answer, NoReply):
                encode_parts(answer, session.version, parts)
            if session.close_after_reply:
                break
        session.in_exec = False
        return parts

    def _write(self, parts: list[bytes]) -> None:
        if not parts:
            return
        if self.session.pushed:
            # It was published before this was answered.
            parts = self.session.pushed + parts
            self.session.pushed = []
        transport = self._transport
        if len(parts) == 1:
            data = parts[0]
            size = len(data)
            transport.write(data)
        else:
            size = sum(map(len, parts))
            if size < LARGE_OUTPUT:
                transport.write(b"".join(parts))
            else:
                transport.writelines(parts)
        self.session.output_bytes += size
        if size >= LARGE_OUTPUT:
            self._count_outstanding(transport.get_write_buffer_size())

    def _count_outstanding(self, size: int) -> None:
        """Tell the instance how much of large replies this client has yet to read."""
        if size != self._outstanding:
            self._instance.outstanding += size - self._outstanding
            freed = size < self._outstanding
            self._outstanding = size
            if freed:
                self._instance.batcher.wake()

    def _pause_reading(self) -> None:
        if self._reading and not self._ending:
            self._reading = False
            self._transport.pause_reading()

    def _end(self) -> None:
        self._ending = True
        self._transport.close()


def _address(transport: asyncio.Transport, which: str, unix: bool, instance: Instance) -> str:
    """The address of one end as CLIENT LIST shows it."""
    if unix:
        return f"{instance.settings.unixsocket}:0"
    name: Any = transport.get_extra_info(which)
    if not name:
        return "?:0"
    host, port = name[0], name[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _tune(transport: asyncio.Transport, keepalive_s: int) -> None:
    """TCP_NODELAY, and probes as Redis sends them: after `keepalive_s`, then every third of it, three times."""
    sock = transport.get_extra_info("socket")
    if sock is None:
        return
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if keepalive_s:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if hasattr(socket, "TCP_KEEPIDLE"):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, keepalive_s)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, max(1, keepalive_s // 3))
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
