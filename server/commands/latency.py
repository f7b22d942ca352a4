"""LATENCY: what took long and when, and how the durations of each command are distributed."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from protocol.errors import CommandError
from protocol.replies import Map, Reply, Simple, Verbatim
from server.arguments import Args
from server.latency import cumulative, diagnosis, graph
from server.registry import Command, Is, command, container, every, lookup
from server.session import Session

_FLAGS = Is.ADMIN | Is.NOSCRIPT | Is.LOADING | Is.STALE
_TOLD = ("nondeterministic_output", "request_policy:all_nodes", "response_policy:special")

container("LATENCY", group="server", since="2.8.13", summary="Look at what took long, and how long commands take")


@command("LATENCY LATEST", arity=2, flags=_FLAGS, group="server", since="2.8.13", tips=_TOLD)
def latency_latest(session: Session, args: Args) -> Reply:
    """Give the last sample of each event, and its worst."""
    return [
        [name.encode(), *event.samples[-1], event.worst_ms]
        for name, event in session.instance.observation.latency.events.items()
    ]


@command("LATENCY HISTORY", arity=3, flags=_FLAGS, group="server", since="2.8.13", syntax="event", tips=_TOLD)
def latency_history(session: Session, args: Args) -> Reply:
    """Give the samples of an event, each as its second and milliseconds."""
    event = session.instance.observation.latency.events.get(_name(args[2]))
    return [list(sample) for sample in event.samples] if event is not None else []


@command("LATENCY RESET", arity=-2, flags=_FLAGS, group="server", since="2.8.13", syntax="[event [event ...]]",
         tips=("request_policy:all_nodes", "response_policy:agg_sum"))
def latency_reset(session: Session, args: Args) -> Reply:
    """Forget the samples of some events or of all, and count the events forgotten."""
    return session.instance.observation.latency.reset([_name(word) for word in args[2:]])


@command("LATENCY GRAPH", arity=3, flags=_FLAGS, group="server", since="2.8.13", syntax="event", tips=_TOLD)
def latency_graph(session: Session, args: Args) -> Reply:
    """Draw the samples of an event."""
    name = _name(args[2])
    event = session.instance.observation.latency.events.get(name)
    if event is None:
        raise CommandError(b"ERR No samples available for event '%b'" % args[2].partition(b"\0")[0])
    return Verbatim(b"txt", graph(name, event, int(time.time())).encode())


@command("LATENCY DOCTOR", arity=2, flags=_FLAGS, group="server", since="2.8.13", tips=_TOLD)
def latency_doctor(session: Session, args: Args) -> Reply:
    """Say what took long, and what to look at."""
    instance = session.instance
    text = diagnosis(instance.observation.latency, instance.settings.latency_monitor_threshold)
    return Verbatim(b"txt", text.encode())


@command("LATENCY HISTOGRAM", arity=-2, flags=_FLAGS, group="server", since="7.0.0", syntax="[command [command ...]]",
         complexity="O(N) with N commands told of", tips=_TOLD)
def latency_histogram(session: Session, args: Args) -> Reply:
    """Give the distributions of the durations of commands: how many calls took up to so many microseconds."""
    rows = _asked_for(args[2:]) if len(args) > 2 else every()
    return Map([
        (row.full_name.encode(), Map([(b"calls", sum(row.latencies)), (b"histogram_usec", Map(_bounds(row)))]))
        for row in rows
        if any(row.latencies)
    ])


def _asked_for(words: Iterable[bytes]) -> Iterator[Command]:
    """The commands with these names, of containers their subcommands; unknown names are passed over."""
    for word in words:
        row = lookup(word)
        if row is not None:
            yield row
            yield from row.subcommands.values()


def _bounds(row: Command) -> list[tuple[Reply, Reply]]:
    return [(bound_us, count) for bound_us, count in cumulative(row.latencies)]


def _name(word: bytes) -> str:
    return word.decode("utf-8", "surrogateescape")


_HELP = [
    Simple(line)
    for line in (
        b"LATENCY <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        b"DOCTOR",
        b"    Say what took long, and what to look at.",
        b"GRAPH <event>",
        b"    Draw the samples of an event.",
        b"HISTORY <event>",
        b"    Give the samples of an event.",
        b"LATEST",
        b"    Give the last and the worst sample of each event.",
        b"RESET [<event> ...]",
        b"    Forget the samples of these events (default: of all).",
        b"HISTOGRAM [COMMAND ...]",
        b"    Tell how the durations of these commands (default: of all) are distributed.",
        b"HELP",
        b"    Print this help.",
    )
]


@command("LATENCY HELP", arity=2, flags=Is.LOADING | Is.STALE, group="server", since="2.8.13", cuts=False,
         categories=())
def latency_help(session: Session, args: Args) -> Reply:
    """Say what LATENCY can do."""
    return _HELP
