"""Composition root: storage, workers, listeners, clients; started in this order and stopped in the opposite one."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from server import commands  # noqa: F401  (declares all commands)
from server.batcher import Batcher
from server.blocking import Waiters
from server.connection import Connection
from server.instance import Instance
from server.logs import set_up_logging
from server.run import Run
from server.settings import Settings
from server.workers import Outbox, Worker
from storage.check import check as check_tables
from storage.errors import StorageError
from storage.schema import durability_warnings
from storage.service import Storage, StorageOptions

log = logging.getLogger("rowdis")

#: How long the end of the program waits for storage workers, after the clients are gone.
PATIENCE_S = 2.0
#: How often counters are sampled and idle clients looked for.
CRON_S = 1.0
#: Allocations from one collection of young garbage to the next, and collections of each age from one of the next older
#: to the next. Rows that are read by the hundred thousand are no garbage; to look through them again and again held up
#: everybody for up to 200 ms.
GARBAGE = (2_000, 10, 500)


def run(settings: Settings) -> int:
    """Serve until a signal or SHUTDOWN; the exit code."""
    set_up_logging(settings)
    for warning in settings.warnings:
        log.warning("%s", warning)
    gc.set_threshold(*GARBAGE)
    gc.freeze()
    try:
        import uvloop

        runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
    except ImportError:
        runner = asyncio.Runner()
    with runner:
        return runner.run(App(settings).serve())


def check(settings: Settings, repair: bool) -> int:
    """Verify the tables and print what is found; 0 if all is well (or was repaired), 1 if not."""
    storage = Storage(_options(settings))
    try:
        with contextlib.closing(_Stopping(storage)):
            storage.connect()
            findings = check_tables(storage.database, repair=repair)
    except StorageError as error:
        print(f"rowdis check: {error}", file=sys.stderr)
        return 1
    for finding in findings:
        print(finding)
    left = sum(not finding.repaired for finding in findings)
    print(f"{len(findings)} findings, {len(findings) - left} repaired" if findings else "nothing to complain about")
    return 1 if left else 0


class _Stopping:
    def __init__(self, storage: Storage) -> None:
        self.close = storage.stop


class App:
    """One serving process."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._servers: list[asyncio.Server] = []

    async def serve(self) -> int:
        settings = self.settings
        loop = asyncio.get_running_loop()
        self.instance = instance = Instance(settings, loop)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, instance.stopping.set)
        storage = Storage(
            _options(settings), lambda effects: loop.call_soon_threadsafe(instance.effects.tell, effects)
        )
        instance.notifications.follow(settings, storage.wanted)
        try:
            sockets = _bind(settings)
        except OSError as error:
            log.error("can't listen: %s", error)
            return 1
        try:
            address = f"{socket.gethostname()}:{settings.port}"
            await self._or_stopping(loop.run_in_executor(None, storage.start, address), storage)
            if instance.stopping.is_set():
                storage.stop()
                return 0
        except StorageError as error:
            storage.stop()
            if instance.stopping.is_set():
                return 0
            log.error("%s", error)
            return 1
        instance.storage = storage
        outbox = Outbox(loop)
        workers = [Worker(number, executor, outbox) for number, executor in enumerate(storage.executors)]
        instance.batcher = Batcher(
            loop,
            workers,
            self._answer,
            instance.metrics,
            lambda: settings.storage_timeout_ms,
            lambda: instance.outstanding,
        )
        batcher = instance.batcher
        batcher.monitors = instance.monitors
        batcher.pace = instance.pace
        batcher.effects = instance.effects
        instance.waiters = batcher.waiters = Waiters(loop, self._answer, batcher.submit, batcher.poll)
        for worker in workers:
            worker.start()
        self._tell(storage)
        await self._listen(sockets)
        log.info("Ready to accept connections")
        cron = asyncio.create_task(self._cron())
        await instance.stopping.wait()
        cron.cancel()
        await self._stop(storage, workers)
        return 0

    async def _or_stopping(self, starting: asyncio.Future[None], storage: Storage) -> None:
        """Wait for storage to be up, or for a signal to end the waiting."""
        stopping = asyncio.ensure_future(self.instance.stopping.wait())
        waiting: list[asyncio.Future[Any]] = [starting, stopping]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            storage.abort()
        stopping.cancel()
        await starting

    async def _listen(self, sockets: list[socket.socket]) -> None:
        loop = self.instance.loop
        for sock in sockets:
            unix = sock.family == socket.AF_UNIX
            make = loop.create_unix_server if unix else loop.create_server
            self._servers.append(
                await make(lambda unix=unix: Connection(self.instance, unix=unix), sock=sock,  # type: ignore[misc]
                           backlog=self.settings.tcp_backlog)
            )

    def _answer(self, run: Run) -> None:
        try:
            run.session.answer(run)
        except Exception:
            # A mistake of ours, perhaps in what the client has sent behind: the others of its batch are to be answered.
            log.exception("client %d could not be answered and is dropped", run.session.id)
            run.session.server_kill()

    def _tell(self, storage: Storage) -> None:
        """The start-up log: engine, address, what the database promises, schema."""
        log.info("storage: %s, schema version %d, table prefix %s", storage.target.display(), storage.schema_version,
                 self.settings.table_prefix)
        dialect = storage.database.dialect
        log.info("database: %s; %s", dialect.name if dialect else "?", ", ".join(storage.durability))
        for warning in durability_warnings(storage.durability):
            log.warning("durability: %s", warning)
        if self.settings.port:
            log.info("listening on %s, port %d", " ".join(self.settings.bind), self.settings.port)
        if self.settings.unixsocket:
            log.info("listening on %s", self.settings.unixsocket)

    async def _cron(self) -> None:
        instance = self.instance
        while True:
            await asyncio.sleep(CRON_S)
            instance.sample()
            if instance.storage.others:
                instance.tracking.end_all("another instance uses the same database, and what it writes is not noticed")
            limit = self.settings.timeout_s
            if limit:
                for client in list(instance.clients.values()):
                    # Who listens to messages has nothing to say, and is not idle.
                    if client.idle_s > limit and not client.busy and client.session.subscriptions is None:
                        client.kill()

    async def _stop(self, storage: Storage, workers: list[Worker]) -> None:
        """Take no more requests, let units finish and replies leave, then end."""
        instance = self.instance
        batcher = instance.batcher
        log.info(
            "stopping: %d clients, %d runs under way, %d commands in %d batches so far",
            len(instance.clients), batcher.pending, batcher.batched_commands, batcher.batches,
        )  # fmt: skip
        for listener in self._servers:
            listener.close()
        for client in list(instance.clients.values()):
            client.close_when_done()
        deadline = instance.loop.time() + (0 if instance.stop_now else self.settings.shutdown_timeout_s)
        while instance.clients and instance.loop.time() < deadline:
            await asyncio.sleep(0.01)
        for client in list(instance.clients.values()):
            client.kill()
        storage.stopping.set()
        instance.batcher.stop_workers()
        await instance.loop.run_in_executor(None, _finish, storage, workers)
        if self.settings.unixsocket:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.settings.unixsocket)
        log.info("Rowdis is now ready to exit, bye bye...")


def _finish(storage: Storage, workers: list[Worker]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    for worker in workers:
        worker.join(max(0.0, deadline - time.monotonic()))
    if any(worker.is_alive() for worker in workers):
        log.warning("the database does not answer: not waiting for it any longer")
        storage.abort()
        for worker in workers:
            worker.join(1)
    storage.stop()


def _options(settings: Settings) -> StorageOptions:
    return StorageOptions(
        url=settings.database,
        workers=settings.workers,
        prefix=settings.table_prefix,
        databases=settings.databases,
        timeout_ms=settings.storage_timeout_ms,
        start_timeout_ms=settings.storage_start_timeout_ms,
        sweep_interval_ms=settings.sweep_interval_ms,
    )


def _bind(settings: Settings) -> list[socket.socket]:
    """The listening sockets. OSError says which address can't be had."""
    sockets: list[socket.socket] = []
    if settings.port:
        for address in settings.bind:
            sockets += _bind_address(address, settings.port)
    if settings.unixsocket:
        path = Path(settings.unixsocket)
        if path.exists() and stat.S_ISSOCK(path.stat().st_mode):
            path.unlink()
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.bind(str(path))
        if settings.unixsocketperm:
            path.chmod(settings.unixsocketperm)
        sockets.append(sock)
    return sockets


def _bind_address(address: str, port: int) -> Iterator[socket.socket]:
    """One address of `bind`: `*` and `::*` stand for all, a dash in front means that its absence is no error."""
    optional = address.startswith("-")
    host = address.removeprefix("-")
    try:
        for place, family in {"*": [("0.0.0.0", socket.AF_INET)], "::*": [("::", socket.AF_INET6)]}.get(
            host, [(host, socket.AF_INET6 if ":" in host else socket.AF_INET)]
        ):
            sock = socket.socket(family, socket.SOCK_STREAM)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind((place, port))
            yield sock
    except OSError as error:
        if not optional:
            raise OSError(f"address {host}, port {port}: {error.strerror}") from error
