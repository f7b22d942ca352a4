"""MEMORY: what keys take up in the database, and what the process takes up."""

from __future__ import annotations

import ctypes
import gc
import sys
import threading
from collections.abc import Iterator

from protocol.errors import CommandError, syntax_error
from protocol.replies import OK, Double, Map, Reply, Simple, Verbatim
from server.arguments import Args, integer
from server.info import peak_bytes, resident_bytes
from server.keyspecs import Keys, Request
from server.registry import Is, command, container
from server.session import Session
from storage.keyspace import Keyspace, count_all
from storage.usage import bytes_of

_TOLD = ("nondeterministic_output", "request_policy:all_shards", "response_policy:special")
#: Elements that MEMORY USAGE looks at if it is not told.
_SAMPLES = 5
#: From so many resident bytes on the doctor has something to say.
_MUCH = 2 * 1024**3

container("MEMORY", group="server", since="4.0.0", summary="Look at what keys and the process take up")


def _sampled(request: Request, size: int) -> int:
    """For `reads`: how many elements are looked at; what can't be read as a number is judged later."""
    try:
        count = _samples(request)
    except CommandError:
        return 0
    return min(count or size, size)


@command("MEMORY USAGE", arity=-3, flags=Is.READONLY, keys=(Keys(2, 2, 1, "RO"),), group="server", since="4.0.0",
         syntax="key [SAMPLES count]", values=False, reads=_sampled, complexity="O(N) with N samples", categories=())
def memory_usage(db: Keyspace, args: Args) -> Reply:
    """Estimate the bytes that a key takes in the database, or null."""
    samples = _samples(args)

    row = db.find_quietly(args[2])
    return bytes_of(db, row, samples) if row is not None else None


def _samples(args: Args) -> int:
    """How many elements are to be looked at; 0 for all."""
    samples = _SAMPLES
    words = iter(args[3:])
    for word in words:
        count = next(words, None)
        if word.upper() != b"SAMPLES" or count is None:
            raise syntax_error()
        samples = integer(count)
        if samples < 0:
            raise syntax_error()
    return samples


@command("MEMORY STATS", arity=2, flags=Is.NONE, group="server", since="4.0.0", slow=True, values=False,
         complexity="O(N) with N keys", tips=_TOLD, categories=())
def memory_stats(db: Keyspace, session: Session, args: Args) -> Reply:
    """Tell in numbers what the process takes up. The data are in the database: none of it is the dataset's."""
    keys = sum(count for count, _, _ in count_all(db.attempt).values())
    resident, peak = resident_bytes(), peak_bytes()
    clients = [client.session for client in list(session.instance.clients.values())]
    return Map([
        (b"peak.allocated", peak),
        (b"total.allocated", resident),
        (b"startup.allocated", 0),
        (b"replication.backlog", 0),
        (b"clients.slaves", 0),
        (b"clients.normal", sum(each.pending_input() + each.pending_output() for each in clients)),
        (b"cluster.links", 0),
        (b"aof.buffer", 0),
        (b"lua.caches", 0),
        (b"functions.caches", 0),
        (b"overhead.db.hashtable.lut", 0),
        (b"overhead.db.hashtable.rehashing", 0),
        (b"overhead.total", resident),
        (b"db.dict.rehashing.count", 0),
        (b"keys.count", keys),
        (b"keys.bytes-per-key", 0),
        (b"dataset.bytes", 0),
        (b"dataset.percentage", Double(0.0)),
        (b"peak.percentage", Double(resident * 100 / peak)),
        (b"allocator.allocated", resident),
        (b"allocator.active", resident),
        (b"allocator.resident", resident),
        (b"allocator.muzzy", 0),
        (b"allocator-fragmentation.ratio", Double(1.0)),
        (b"allocator-fragmentation.bytes", 0),
        (b"allocator-rss.ratio", Double(1.0)),
        (b"allocator-rss.bytes", 0),
        (b"rss-overhead.ratio", Double(1.0)),
        (b"rss-overhead.bytes", 0),
        (b"fragmentation", Double(1.0)),
        (b"fragmentation.bytes", 0),
    ])


@command("MEMORY DOCTOR", arity=2, flags=Is.NONE, group="server", since="4.0.0", tips=_TOLD, categories=())
def memory_doctor(session: Session, args: Args) -> Reply:
    """Say whether the process takes up more than it should."""
    return Verbatim(b"txt", "".join([line + "\n" for line in _findings(session)]).encode())


def _findings(session: Session) -> Iterator[str]:
    resident, peak = resident_bytes(), peak_bytes()
    clients = list(session.instance.clients.values())
    unread = sum(client.session.pending_output() for client in clients)
    unexecuted = sum(client.session.pending_input() for client in clients)
    yield (
        f"The process has {resident >> 20} MiB resident, {peak >> 20} MiB at its peak. The data are not in it: for the "
        "size of a key ask MEMORY USAGE, for the whole look at the tables of the database."
    )
    if unread > resident // 4:
        yield f"Clients have not read {unread >> 20} MiB of replies: CLIENT LIST tells which (omem)."
    if unexecuted > resident // 4:
        yield f"Requests of {unexecuted >> 20} MiB wait to be executed: CLIENT LIST tells whose (qbuf)."
    if resident > _MUCH:
        yield "That is much. Large values and long replies pass through the memory of the process: ask for parts."
    elif peak > 2 * resident:
        yield "At its peak it was more than twice as much, so large values or long replies have passed through it."


@command("MEMORY MALLOC-STATS", arity=2, flags=Is.NONE, group="server", since="4.0.0",
         complexity="O(1)", tips=_TOLD, categories=())
def memory_malloc_stats(session: Session, args: Args) -> Reply:
    """Tell what Python's allocator and the system count for the process."""
    lines = [
        f"allocated blocks: {sys.getallocatedblocks()}",
        f"resident bytes: {resident_bytes()}",
        f"peak resident bytes: {peak_bytes()}",
        f"threads: {threading.active_count()}",
        f"garbage collector, objects waiting by age: {gc.get_count()}",
        f"garbage collector, objects frozen: {gc.get_freeze_count()}",
    ]
    for age, counts in enumerate(gc.get_stats()):
        lines.append(f"garbage collector, age {age}: " + ", ".join(f"{name} {n}" for name, n in counts.items()))
    return Verbatim(b"txt", "".join([line + "\n" for line in lines]).encode())


@command("MEMORY PURGE", arity=2, flags=Is.NONE, group="server", since="4.0.0", slow=True, values=False,
         complexity="O(N) with N unused pages", tips=("request_policy:all_shards", "response_policy:all_succeeded"),
         categories=())
def memory_purge(db: Keyspace, args: Args) -> Reply:
    """Give memory that is not used back to the system, where the C library can."""
    # In a storage worker, since it takes a while; the call lets other threads run.
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    return OK


_HELP = [
    Simple(line)
    for line in (
        b"MEMORY <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        b"DOCTOR",
        b"    Say whether the process takes up more than it should.",
        b"MALLOC-STATS",
        b"    Tell what Python's allocator counts.",
        b"PURGE",
        b"    Give unused memory back to the system.",
        b"STATS",
        b"    Tell in numbers what the process takes up.",
        b"USAGE <key> [SAMPLES <count>]",
        b"    Estimate the bytes that a key takes in the database, from some of its elements (5; 0 for all).",
        b"HELP",
        b"    Print this help.",
    )
]


@command("MEMORY HELP", arity=2, flags=Is.LOADING | Is.STALE, group="server", since="4.0.0", cuts=False, categories=())
def memory_help(session: Session, args: Args) -> Reply:
    """Say what MEMORY can do."""
    return _HELP
