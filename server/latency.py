"""Latency: spikes of named events over time (LATENCY LATEST and its kin), and distributions of the times of commands.

Times of events are whole milliseconds. Distributions count durations by the number of bits of their nanoseconds: one
addition a command, and the bounds that LATENCY HISTOGRAM tells.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

#: Samples that are kept of an event.
MAX_SAMPLES = 160
#: Buckets of a distribution; durations are below 2**63 ns.
BUCKETS = 64
#: The first bound that LATENCY HISTOGRAM tells is 2**10 ns, about a microsecond.
_FIRST_BITS = 10


@dataclass(slots=True)
class Event:
    """What is known of one event: samples (second since the epoch, milliseconds), the oldest first, and the worst."""

    samples: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=MAX_SAMPLES))
    worst_ms: int = 0

    def add(self, second: int, took_ms: int) -> None:
        """Take a sample; of one second only the worst is kept."""
        self.worst_ms = max(self.worst_ms, took_ms)
        if self.samples and self.samples[-1][0] == second:
            took_ms = max(took_ms, self.samples.pop()[1])
        self.samples.append((second, took_ms))


class LatencyMonitor:
    """Events by their names, each made by its first sample."""

    def __init__(self) -> None:
        self.events: dict[str, Event] = {}

    def add(self, name: str, took_ms: int) -> None:
        """An event took so long. Whoever calls has compared that with the threshold."""
        event = self.events.get(name)
        if event is None:
            event = self.events[name] = Event()
        event.add(int(time.time()), took_ms)

    def reset(self, names: Sequence[str]) -> int:
        """Forget these events, or all if none is named; how many were there to forget."""
        gone = [name for name in names or list(self.events) if self.events.pop(name, None) is not None]
        return len(gone)


def cumulative(buckets: Sequence[int]) -> list[tuple[int, int]]:
    """A distribution for LATENCY HISTOGRAM: bounds in microseconds, each with the number of durations up to it.

    The bounds double from a microsecond on, rounded as Redis's own histograms round them; those to which nothing is
    added are left out.
    """
    found: list[tuple[int, int]] = []
    total = sum(buckets[:_FIRST_BITS])
    for bits in range(_FIRST_BITS, BUCKETS):
        if buckets[bits] or (bits == _FIRST_BITS and total):
            total += buckets[bits]
            bound_ns = (1 << bits) + (1 << bits >> 7) - 1
            found.append((bound_ns // 1000, total))
    return found


def percentile_us(buckets: Sequence[int], percent: float) -> float:
    """The duration in microseconds below which so many percent of a distribution lie.

    A bucket is taken to be filled evenly, so the answer may be wrong by a factor of two at the most.
    """
    total = sum(buckets)
    if not total:
        return 0.0
    wanted = max(percent / 100 * total, 1.0)
    passed = 0
    for bits, count in enumerate(buckets):
        if count and passed + count >= wanted:
            low = 1 << bits >> 1
            return (low + (max(1 << bits, 1) - low) * (wanted - passed) / count) / 1000
        passed += count
    return 0.0


# -- LATENCY GRAPH

_ROWS = 4
#: How a cell of the graph is filled: a third, two thirds, wholly.
_LEVELS = "_o#"


def graph(name: str, event: Event, now: int) -> str:
    """Samples as columns of characters, with the age of each below."""
    samples = list(event.samples)
    times = [took_ms for _, took_ms in samples]
    low, high = min(times), max(times)
    columns = [_column(took_ms - low, (high - low) or 1) for took_ms in times]
    ages = [_age(now - second) for second, _ in samples]
    lines = ["".join(row) for row in zip(*columns, strict=True)]
    lines.append(" " * len(columns))
    width = max(map(len, ages))
    lines += ["".join(row) for row in zip(*[age.ljust(width) for age in ages], strict=True)]
    title = f"{name} - high {high} ms, low {low} ms (all time high {event.worst_ms} ms)"
    return "\n".join([title, "-" * 80, *lines]) + "\n"


def _column(height: int, span: int) -> str:
    """One column from top to bottom, for a height of 0 to `span`."""
    steps = min(height * _ROWS * len(_LEVELS) // span, _ROWS * len(_LEVELS) - 1)
    full, level = divmod(steps, len(_LEVELS))
    return (_LEVELS[level] + "|" * full).rjust(_ROWS)


def _age(seconds: int) -> str:
    """How long ago, in the largest unit that fits: 5s, 3m, 2h, 1d."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{max(seconds, 0)}s"


# -- LATENCY DOCTOR

#: What an event hints at.
_ADVICE = {
    "command": (
        "SLOWLOG GET shows which commands took long, if slowlog-log-slower-than is not above "
        "latency-monitor-threshold. Commands on whole collections and searches through all keys take long by nature: "
        "ask for parts (HSCAN, LRANGE, SCAN)."
    ),
    "fast-command": (
        "A command that does little took long: it waited for the database, or for the processor. If storage-batch "
        "has spikes at the same time, look at the database first."
    ),
    "storage-batch": (
        "A batch of commands spends its time in the database: in the sync of its log at COMMIT, behind a row lock of "
        "another program, or on the way there. The clients of all its commands waited as long. Compare with the "
        "database's own slow query log and with the latency of its disk."
    ),
}


def diagnosis(monitor: LatencyMonitor, threshold_ms: int) -> str:
    """What LATENCY DOCTOR says."""
    if not monitor.events:
        if not threshold_ms:
            return (
                "Latency is not monitored. CONFIG SET latency-monitor-threshold <milliseconds> lets Rowdis note every "
                "event that takes at least so long.\n"
            )
        return f"No event took {threshold_ms} ms or more since the monitoring began or was reset.\n"
    lines = [f"Events that took long (the threshold is {threshold_ms} ms now):", ""]
    lines += [_summary(number, name, event) for number, (name, event) in enumerate(monitor.events.items(), 1)]
    lines += ["", "What to look at:", ""]
    lines += [f"- {name}: {_ADVICE[name]}" for name in monitor.events if name in _ADVICE]
    return "\n".join(lines) + "\n"


def _summary(number: int, name: str, event: Event) -> str:
    times = [took_ms for _, took_ms in event.samples]
    mean = sum(times) / len(times)
    deviation = sum(abs(took_ms - mean) for took_ms in times) / len(times)
    passed = event.samples[-1][0] - event.samples[0][0]
    period = f"{passed / (len(times) - 1):.2f}" if len(times) > 1 else "0.00"
    return (
        f"{number}. {name}: {len(times)} latency spikes (average {mean:.0f}ms, mean deviation {deviation:.0f}ms, "
        f"period {period} sec). Worst all time event {event.worst_ms}ms."
    )
