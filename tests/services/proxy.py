"""A TCP proxy before the database that breaks connections at a chosen packet of MySQL's protocol.

It reads the packets that clients send (three bytes of length, a sequence number, the payload), so that a test can say
"cut the connection after the COMMIT was sent and before its answer". What the server answers passes as it comes. The
connection must not be encrypted.

    with FaultProxy(("127.0.0.1", mariadb.port)) as proxy:
        cut = proxy.cut(query_with(b"COMMIT"), At.ANSWER)
        ... a client writes through proxy.port ...
        cut.wait()
"""

import asyncio
import contextlib
import re
import threading
from collections.abc import Callable, Coroutine
from enum import Enum
from types import TracebackType
from typing import Any, Self

Address = tuple[str, int]
Predicate = Callable[[bytes], bool]
"""Judges the payload of a client's packet; its first byte is the command (3 for a query)."""

COM_QUERY = 3
_CHUNK = 64 * 1024
_CALL_LIMIT_S = 10.0


class At(Enum):
    """Where a connection is cut, in the life of the packet that matches."""

    BEFORE = "before"
    """The server never sees the packet."""
    HALFWAY = "halfway"
    """The server gets the first half of the packet, then the end of the stream."""
    SENT = "sent"
    """The server gets the packet, and then the end of the stream; it may still be at work when the client learns."""
    ANSWER = "answer"
    """The server has answered; the client sees the connection break instead of the answer."""


def query_with(text: bytes) -> Predicate:
    """Matches queries that contain this text as whole words, in any case: `COMMIT` is not in `SET AUTOCOMMIT = 1`."""
    wanted = re.compile(rb"(?<!\w)" + re.escape(text) + rb"(?!\w)", re.IGNORECASE)
    return lambda payload: payload[:1] == bytes([COM_QUERY]) and wanted.search(payload) is not None


class Trap:
    """A fault that waits for its packet; it strikes `times` times."""

    def __init__(self, predicate: Predicate, times: int) -> None:
        self._predicate = predicate
        self._left = times
        self._struck = threading.Semaphore(0)
        self.payloads: list[bytes] = []

    def wait(self, limit_s: float = 30.0) -> bytes:
        """Wait until it has struck once (more) and return the packet's payload."""
        if not self._struck.acquire(timeout=limit_s):
            raise TimeoutError(f"no packet met the condition within {limit_s:g} s")
        return self.payloads[-1]

    @property
    def count(self) -> int:
        """How often it has struck."""
        return len(self.payloads)

    def disarm(self) -> None:
        """Let all further packets pass."""
        self._left = 0

    def _takes(self, payload: bytes) -> bool:
        if self._left <= 0 or not self._predicate(payload):
            return False
        self._left -= 1
        self.payloads.append(payload)
        return True

    def _strike(self) -> None:
        self._struck.release()


class Cut(Trap):
    """Breaks the connection; see `FaultProxy.cut`."""

    def __init__(self, predicate: Predicate, times: int, at: At) -> None:
        super().__init__(predicate, times)
        self.at = at


class Hold(Trap):
    """Keeps a packet back; see `FaultProxy.hold`."""

    def __init__(self, proxy: "FaultProxy", predicate: Predicate, cut_client: bool) -> None:
        super().__init__(predicate, times=1)
        self._proxy = proxy
        self.cut_client = cut_client
        self.released = asyncio.Event()
        self.delivered = threading.Event()

    def deliver(self) -> None:
        """Hand the packet to the server now, on the connection it came from, and wait until it is written."""
        self._proxy._loop.call_soon_threadsafe(self.released.set)
        if not self.delivered.wait(_CALL_LIMIT_S):
            raise TimeoutError("the packet held back could not be delivered")


class FaultProxy:
    """Listens on a port of 127.0.0.1 and passes connections to `target`; runs on a thread of its own."""

    def __init__(self, target: Address) -> None:
        self.target = target
        self.port = 0
        self.accepted = 0  # connections since the start
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy", daemon=True)
        self._server: asyncio.Server | None = None
        self._flows: set[_Flow] = set()
        self._traps: list[Cut | Hold] = []
        self._flowing = asyncio.Event()

    def start(self) -> Self:
        """Start to listen; `port` is known afterwards."""
        self._thread.start()
        self._flowing.set()
        self._call(self._listen())
        return self

    def stop(self) -> None:
        """Cut all connections and end the thread."""
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def open(self) -> int:
        """How many connections pass through now."""
        return len(self._flows)

    def cut(self, predicate: Predicate, at: At, times: int = 1) -> Cut:
        """Break the connection whose packet meets the predicate, at this place of the packet's life."""
        trap = Cut(predicate, times, at)
        self._traps.append(trap)
        return trap

    def hold(self, predicate: Predicate, *, cut_client: bool = True) -> Hold:
        """Keep the packet, and with it the connection to the server, until `deliver` is called.

        The client's connection breaks at once, as when a network swallows a packet for a while; or stays open and
        silent if `cut_client` is false.
        """
        trap = Hold(self, predicate, cut_client)
        self._traps.append(trap)
        return trap

    def clear(self) -> None:
        """Forget all cuts and holds that have not struck."""
        for trap in self._traps:
            trap.disarm()
        self._traps.clear()

    def stall(self) -> None:
        """Pass nothing on any more, in both directions; new connections are accepted and get no greeting."""
        self._call(self._set_flowing(False))

    def resume(self) -> None:
        """Pass on all that `stall` held up, and what comes."""
        self._call(self._set_flowing(True))

    def cut_all(self) -> None:
        """Break all connections of this moment."""
        self._call(self._cut_all())

    def close_port(self) -> None:
        """Refuse new connections, as a server that is down; those that are open stay."""
        self._call(self._unlisten())

    def open_port(self) -> None:
        """Listen again, on the same port."""
        self._call(self._listen())

    def _call(self, coroutine: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(_CALL_LIMIT_S)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, limit=_CHUNK)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _unlisten(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _set_flowing(self, flowing: bool) -> None:
        if flowing:
            self._flowing.set()
        else:
            self._flowing.clear()

    async def _cut_all(self) -> None:
        for flow in tuple(self._flows):
            flow.abort()

    async def _close(self) -> None:
        await self._unlisten()
        tasks = [flow.task for flow in self._flows]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        task = asyncio.current_task()
        assert task is not None
        flow = _Flow(self, reader, writer, task)
        self._flows.add(flow)
        try:
            await flow.run()
        except (asyncio.CancelledError, OSError, asyncio.IncompleteReadError):
            pass  # one of the two is gone, or the proxy is to stop
        finally:
            self._flows.discard(flow)
            flow.abort()


class _Broken(OSError):
    """A trap has broken this connection."""


class _Flow:
    """One client's connection and the one made for it to the server."""

    def __init__(
        self,
        proxy: FaultProxy,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        task: "asyncio.Task[None]",
    ) -> None:
        self.task = task
        self._proxy = proxy
        self._client_reader, self._client = reader, writer
        self._server: asyncio.StreamWriter | None = None
        self._cut_at_answer: Cut | None = None

    async def run(self) -> None:
        await self._proxy._flowing.wait()
        server_reader, self._server = await asyncio.open_connection(*self._proxy.target, limit=_CHUNK)
        directions = [
            asyncio.ensure_future(self._pass_requests(self._server)),
            asyncio.ensure_future(self._pass_answers(server_reader)),
        ]
        try:
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for direction in directions:
                direction.cancel()
            await asyncio.gather(*directions, return_exceptions=True)

    def abort(self) -> None:
        self._client.transport.abort()
        if self._server is not None:
            # Not reset: the server shall still get what was passed to it before.
            self._server.close()

    async def _pass_requests(self, server: asyncio.StreamWriter) -> None:
        while True:
            header = await self._client_reader.readexactly(4)
            payload = await self._client_reader.readexactly(int.from_bytes(header[:3], "little"))
            await self._proxy._flowing.wait()
            packet = header + payload
            trap = next((trap for trap in tuple(self._proxy._traps) if trap._takes(payload)), None)
            if isinstance(trap, Hold):
                await self._hold(trap, packet, server)
            elif isinstance(trap, Cut):
                await self._cut(trap, packet, server)
            else:
                server.write(packet)
                await server.drain()

    async def _cut(self, trap: Cut, packet: bytes, server: asyncio.StreamWriter) -> None:
        if trap.at is At.ANSWER:
            self._cut_at_answer = trap
            server.write(packet)
            await server.drain()
            return
        if trap.at is At.HALFWAY:
            server.write(packet[: len(packet) // 2])
        elif trap.at is At.SENT:
            server.write(packet)
        self.abort()
        trap._strike()
        raise _Broken

    async def _hold(self, trap: Hold, packet: bytes, server: asyncio.StreamWriter) -> None:
        if trap.cut_client:
            self._client.transport.abort()
        trap._strike()
        await trap.released.wait()
        server.write(packet)
        await server.drain()
        trap.delivered.set()
        if trap.cut_client:
            # The flow ends when the server closes its side, with nobody left to pass its answer to.
            await asyncio.get_running_loop().create_future()

    async def _pass_answers(self, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(_CHUNK):
            await self._proxy._flowing.wait()
            if self._cut_at_answer is not None:
                self.abort()
                self._cut_at_answer._strike()
                raise _Broken
            if self._client.transport.is_closing():
                continue
            self._client.write(data)
            with contextlib.suppress(ConnectionError):
                await self._client.drain()
