"""What is measured and what came out of it. Knows no server and prints nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median

MARIADB = "rowdis-mariadb"
EMBEDDED = "rowdis-embedded"
ALWAYS = "redis-always"
MEMORY = "redis-memory"
DIRECT = "direct"

LABELS = {
    MARIADB: "Rowdis, MariaDB",
    EMBEDDED: "Rowdis, embedded",
    ALWAYS: "Redis, fsync always",
    MEMORY: "Redis, no persistence",
    DIRECT: "direct baseline",
}
"""The servers that are measured, in the order in which they are shown."""

ROWDIS = (MARIADB, EMBEDDED)
CPU_US = "cpu_us"
"""The name of the processor time among a sample's counters."""
_SERVERS = (MARIADB, EMBEDDED, ALWAYS, MEMORY)


@dataclass(frozen=True)
class Scenario:
    """One kind of load.

    `test` is a test of redis-benchmark, or `get` and `get+set` of our own program (`own`). `spread` draws keys from the
    key space; otherwise all requests name one key.
    """

    test: str
    clients: int = 50
    pipeline: int = 1
    spread: bool = True
    own: bool = False
    subjects: tuple[str, ...] = _SERVERS

    @property
    def title(self) -> str:
        """How tables call it."""
        what = self.test.upper().replace("+", " and ")
        place = "" if self.spread else ", one key"
        return f"{what} -P {self.pipeline} -c {self.clients}{place}{' (own program)' if self.own else ''}"


def _scenarios() -> Iterator[Scenario]:
    """Scenarios that a bar compares with each other stand side by side, so that the machine is in the same mood."""
    for test in ("set", "get", "incr"):
        yield Scenario(test, subjects=(*_SERVERS, DIRECT))
        yield Scenario(test, spread=False, subjects=ROWDIS)
        yield Scenario(test, pipeline=16)
        yield Scenario(test, pipeline=16, spread=False, subjects=ROWDIS)
    for clients in (1, 500):
        for test in ("set", "get"):
            yield Scenario(test, clients=clients)
    for test in ("get", "get+set"):
        yield Scenario(test, pipeline=16, own=True, subjects=(*ROWDIS, MEMORY))


SCENARIOS = tuple(_scenarios())


@dataclass(frozen=True)
class Sample:
    """One measurement. Latencies are of one request, or of a whole pipeline in our own program.

    `counters` are the differences that the run made to what the database and Rowdis count.
    """

    requests: int
    rate: float
    p50_ms: float
    p99_ms: float
    counters: dict[str, int] = field(default_factory=dict)


@dataclass
class LargeReads:
    """Many clients that read values of many megabytes at once; `peak_bytes` is resident memory while they did."""

    clients: int
    value_bytes: int
    seconds: float
    peak_bytes: int


@dataclass
class Tables:
    """What the tables hold after the load.

    `counted` is the sum of all counters; `acknowledged` INCRs were answered and `possible` were sent: of a run that
    failed nobody knows how many were executed.
    """

    rows: int
    expected_rows: int
    counted: int
    acknowledged: int
    possible: int


@dataclass
class Results:
    """Everything a run found out; the keys of the dictionaries are those of LABELS."""

    alternations: int
    seconds: float
    keyspace: int
    quick: bool
    facts: dict[str, str] = field(default_factory=dict)
    settings: dict[str, dict[str, str]] = field(default_factory=dict)
    samples: dict[tuple[str, Scenario], list[Sample | None]] = field(default_factory=dict)
    failures: list[tuple[str, str]] = field(default_factory=list)
    """What failed, and why."""
    tables: dict[str, Tables] = field(default_factory=dict)
    workers: dict[str, int] = field(default_factory=dict)
    default_tests: dict[str, str] = field(default_factory=dict)
    """What stopped redis-benchmark's own list of tests; empty if nothing did."""
    nil_replies: dict[tuple[str, Scenario], float] = field(default_factory=dict)
    """The share of pops and deletions that found nothing, the highest of all measurements."""
    missing_tests: dict[str, list[str]] = field(default_factory=dict)
    peaks: dict[str, dict[str, int]] = field(default_factory=dict)
    """Peak resident bytes by process."""
    idle: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Connected clients, resident bytes."""
    large: dict[str, LargeReads] = field(default_factory=dict)
    endurance: dict[str, list[tuple[float, int]]] = field(default_factory=dict)
    """Seconds since the start of the long run, resident bytes."""

    def good(self, subject: str, scenario: Scenario) -> list[Sample]:
        """The measurements that succeeded."""
        return [sample for sample in self.samples.get((subject, scenario), []) if sample is not None]

    def rate(self, subject: str, scenario: Scenario) -> float | None:
        """Median of requests per second."""
        rates = [sample.rate for sample in self.good(subject, scenario)]
        return median(rates) if rates else None

    def latency(self, subject: str, scenario: Scenario) -> tuple[float, float] | None:
        """Medians of p50 and p99, milliseconds."""
        samples = self.good(subject, scenario)
        if not samples:
            return None
        return median(sample.p50_ms for sample in samples), median(sample.p99_ms for sample in samples)

    def cpu_us(self, subject: str, scenario: Scenario) -> float | None:
        """Median of the processor time that a request costs the server's own process, microseconds."""
        samples = self.good(subject, scenario)
        return median(sample.counters[CPU_US] / sample.requests for sample in samples) if samples else None

    def ratio(self, one: tuple[str, Scenario], other: tuple[str, Scenario]) -> float | None:
        """Median of the ratios within each alternation: what slows the machine down for minutes slows both."""
        pairs = zip(self.samples.get(one, []), self.samples.get(other, []), strict=False)
        ratios = [a.rate / b.rate for a, b in pairs if a is not None and b is not None]
        return median(ratios) if ratios else None

    def counters(self, subject: str, scenario: Scenario) -> dict[str, int]:
        """Sums over all measurements; `requests` among them."""
        sums: dict[str, int] = {}
        for sample in self.good(subject, scenario):
            for name, value in (sample.counters | {"requests": sample.requests}).items():
                sums[name] = sums.get(name, 0) + value
        return sums


def find(test: str, *, pipeline: int = 1, spread: bool = True, own: bool = False) -> Scenario:
    """The scenario with 50 clients."""
    wanted = (test, 50, pipeline, spread, own)
    for scenario in SCENARIOS:
        if (scenario.test, scenario.clients, scenario.pipeline, scenario.spread, scenario.own) == wanted:
            return scenario
    raise LookupError(f"no scenario {wanted}")
