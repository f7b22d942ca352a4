"""The run: every scenario on every server in turn, again and again; then what can be seen only afterwards."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import pymysql

from benchmarks import collections, load, memory, messages, redis_benchmark, servers
from benchmarks.load import LoadFailed
from benchmarks.redis_benchmark import BenchmarkFailed
from benchmarks.results import LABELS, ROWDIS, SCENARIOS, LargeReads, Results, Sample, Scenario, Tables, find
from benchmarks.servers import Subject
from tests.services.raw_client import ConnectionClosed

_WARM_UP_S = 0.3
#: redis-benchmark counts milliseconds: with fewer requests it may find that they took no time at all.
_LEAST_REQUESTS = 500
_FASTEST = 2e6

_LARGE_NAME = b"large:%d"
_ENDURANCE_S = 3.0
_ENDURANCE_LOADS = (("set", 1), ("get", 16), ("incr", 1), ("set", 16), ("get", 1), ("incr", 16))

_FAILURES = (BenchmarkFailed, LoadFailed, ConnectionClosed, OSError, pymysql.err.MySQLError)


class Measurement:
    """Measures running servers and notes what it finds in `results`."""

    def __init__(self, subjects: Sequence[Subject], results: Results) -> None:
        self.subjects = list(subjects)
        self.results = results
        self._rates: dict[tuple[str, Scenario], float] = {}
        self._incremented: Counter[str] = Counter()
        self._perhaps: Counter[str] = Counter()
        #: The number of the next element that `collections.prepare` makes.
        self._fed: Counter[str] = Counter()
        for subject in subjects:
            results.settings[subject.key] = subject.settings
        self._rowdis = [subject for subject in self.subjects if subject.key in ROWDIS]
        for subject in self._rowdis:
            results.workers[subject.key] = servers.workers(subject)

    def fill(self) -> None:
        """Give every server the same keys."""
        for subject in self.subjects:
            started = time.perf_counter()
            subject.fill(self.results.keyspace)
            print(f"  filled {subject.label}: {time.perf_counter() - started:.1f} s", flush=True)

    def alternate(self) -> None:
        """All alternations. Each begins with another server, so that none always runs after the same other."""
        for number in range(self.results.alternations):
            print(f"alternation {number + 1} of {self.results.alternations}", flush=True)
            turn = number % len(self.subjects)
            order = self.subjects[turn:] + self.subjects[:turn]
            for scenario in SCENARIOS:
                shown = []
                for subject in order:
                    if subject.key in scenario.subjects:
                        sample = self._measure(subject, scenario)
                        self.results.samples.setdefault((subject.key, scenario), []).append(sample)
                        shown.append(f"{subject.key} {sample.rate:,.0f}" if sample else f"{subject.key} failed")
                print(f"  {scenario.title}: {', '.join(sorted(shown))}", flush=True)

    def collections(self, alternations: int) -> None:
        """The loads on collections, on Rowdis with MariaDB and on Redis, each measurement after its preparation."""
        self._in_turns("collections", collections.SCENARIOS, alternations)

    def messages(self, alternations: int) -> None:
        """The loads on messages and scripts, on the same servers."""
        self._in_turns("messages", messages.SCENARIOS, alternations)

    def _in_turns(self, what: str, scenarios: Sequence[Scenario], alternations: int) -> None:
        subjects = [subject for subject in self.subjects if subject.key in scenarios[0].subjects]
        for number in range(alternations):
            print(f"{what}, alternation {number + 1} of {alternations}", flush=True)
            order = subjects if number % 2 else subjects[::-1]
            for scenario in scenarios:
                shown = []
                for subject in order:
                    sample = self._measure(subject, scenario)
                    self.results.samples.setdefault((subject.key, scenario), []).append(sample)
                    shown.append(f"{subject.key} {sample.rate:,.0f}" if sample else f"{subject.key} failed")
                print(f"  {scenario.title}: {', '.join(sorted(shown))}", flush=True)

    def count(self) -> None:
        """Compare the tables with what was acknowledged; before anything else writes."""
        for subject in self._rowdis:
            if subject.database is None:
                continue
            with self._noting(f"counting rows of {subject.label}"):
                rows, counted = subject.database.contents()
                expected = 2 * self.results.keyspace + len(load.HOT_KEYS)
                done = self._incremented[subject.key]
                perhaps = self._perhaps[subject.key]
                self.results.tables[subject.key] = Tables(rows, expected, counted, done, done + perhaps)

    def default_tests(self, requests: int) -> None:
        """redis-benchmark's own list, as far as the commands exist; it ends at the first error reply."""
        for subject in self._rowdis:
            with self._noting(f"default tests on {subject.label}"):
                with subject.client() as client:
                    known, missing = redis_benchmark.sort_default_tests(client)
                self.results.missing_tests[subject.key] = missing
                try:
                    redis_benchmark.run(subject.port, ",".join(known), requests=requests)
                    outcome = ""
                except BenchmarkFailed as error:
                    outcome = str(error)
                self.results.default_tests[subject.key] = outcome

    def peaks(self) -> None:
        """The most memory that each process has had until now."""
        for subject in self.subjects:
            with self._noting(f"memory of {subject.label}"):
                self.results.peaks[subject.key] = {
                    what: memory.peak_bytes(pid) for what, pid in subject.processes.items()
                }

    def idle(self, clients: int) -> None:
        """Memory of a server that has worked and now only holds connections."""
        for subject in self._rowdis:
            with self._noting(f"{clients} idle clients on {subject.label}"), load.idle_clients(subject.port, clients):
                self.results.idle[subject.key] = clients, memory.resident_bytes(subject.pid)

    def endure(self, minutes: float) -> None:
        """Memory under a load that goes on, one Rowdis after the other; a failure ends it."""
        for subject in self._rowdis:
            print(f"  {subject.label}: {minutes:g} minutes of load", flush=True)
            samples = self.results.endurance.setdefault(subject.key, [])
            started = time.monotonic()
            turn = 0
            while time.monotonic() - started < 60 * minutes:
                test, pipeline = _ENDURANCE_LOADS[turn % len(_ENDURANCE_LOADS)]
                if self._measure(subject, find(test, pipeline=pipeline), _ENDURANCE_S) is None:
                    break
                samples.append((time.monotonic() - started, memory.resident_bytes(subject.pid)))
                turn += 1

    def large(self, clients: int, values: int, size: int) -> None:
        """Memory while many clients read values of many megabytes."""
        names = [_LARGE_NAME % number for number in range(values)]
        for subject in self._rowdis:
            with self._noting(f"{clients} clients reading {size // 10**6} MB from {subject.label}"):
                with subject.client() as client:
                    for name in names:
                        reply = client.call("SET", name, b"x" * size)
                        if reply != b"+OK\r\n":
                            raise LoadFailed(reply.decode(errors="replace").strip())
                memory.forget_peak(subject.pid)
                seconds = load.read_large(subject.port, names, clients=clients, size=size)
                peak = memory.peak_bytes(subject.pid)
                self.results.large[subject.key] = LargeReads(clients, size, seconds, peak)

    def _measure(self, subject: Subject, scenario: Scenario, seconds: float | None = None) -> Sample | None:
        """One measurement; None if it failed, which is noted."""
        with self._noting(f"{scenario.title} on {subject.label}"):
            run = self._way(scenario)
            if not scenario.own and (subject.key, scenario) not in self._rates:
                self._warm_up(subject, scenario)
            self._prepare(subject, scenario, seconds or self.results.seconds)
            before = subject.counters()
            sample = run(subject, scenario, seconds or self.results.seconds)
            after = subject.counters()
            counters = {name: value - before[name] for name, value in after.items() if name in before}
            return replace(sample, counters=counters)
        return None

    def _way(self, scenario: Scenario) -> Callable[[Subject, Scenario, float], Sample]:
        """What measures a load of this kind."""
        if scenario in collections.SCENARIOS:
            return self._on_collections
        if scenario in messages.SCENARIOS:
            return self._with_messages
        return self._own if scenario.own else self._redis_benchmark

    def _warm_up(self, subject: Subject, scenario: Scenario) -> None:
        """Find out how many requests a measurement needs to take its time."""
        self._rates[subject.key, scenario] = 0.0
        for _ in range(2):
            self._prepare(subject, scenario, _WARM_UP_S)
            sample = self._way(scenario)(subject, scenario, _WARM_UP_S)
            rate = sample.rate if scenario != messages.PUBLISH else sample.rate / messages.SUBSCRIBERS
            self._rates[subject.key, scenario] = min(rate, _FASTEST)

    def _requests(self, subject: Subject, scenario: Scenario, seconds: float) -> int:
        """How many requests take about so long."""
        at_once = scenario.clients * scenario.pipeline
        requests = max(8 * at_once, _LEAST_REQUESTS, int(self._rates.get((subject.key, scenario), 0.0) * seconds))
        # Whole pipelines: redis-benchmark reads the replies to all it has sent only if it sends no more than it counts.
        return requests - requests % scenario.pipeline

    def _prepare(self, subject: Subject, scenario: Scenario, seconds: float) -> None:
        """Have there what a measurement takes or changes."""
        requests = self._requests(subject, scenario, seconds)
        if scenario in messages.SCENARIOS:
            messages.prepare(subject.port, scenario, requests)
        if scenario not in collections.SCENARIOS:
            return
        collections.prepare(subject.port, scenario, requests, self._fed[subject.key])
        self._fed[subject.key] += 2 * requests + collections.SPREAD

    def _on_collections(self, subject: Subject, scenario: Scenario, seconds: float) -> Sample:
        requests = self._requests(subject, scenario, seconds)
        before = collections.left(subject.port, scenario)
        [sample] = redis_benchmark.run(
            subject.port,
            scenario.test,
            requests=requests,
            clients=scenario.clients,
            pipeline=scenario.pipeline,
            keyspace=collections.keyspace(scenario),
            words=collections.words(scenario),
        )
        if before:
            popped = before - collections.left(subject.port, scenario)
            self._note_nil(subject, scenario, 1 - popped / requests)
        return sample

    def _with_messages(self, subject: Subject, scenario: Scenario, seconds: float) -> Sample:
        requests = self._requests(subject, scenario, seconds)
        before = messages.size(subject.port)
        sample = messages.run(subject.port, scenario, requests)
        if scenario == messages.UNLOCK:
            deleted = before - messages.size(subject.port)
            self._note_nil(subject, scenario, 1 - deleted / requests)
        return sample

    def _note_nil(self, subject: Subject, scenario: Scenario, share: float) -> None:
        key = (subject.key, scenario)
        self.results.nil_replies[key] = max(share, self.results.nil_replies.get(key, 0.0))

    def _redis_benchmark(self, subject: Subject, scenario: Scenario, seconds: float) -> Sample:
        requests = self._requests(subject, scenario, seconds)
        increments = requests if scenario.test == "incr" else 0
        try:
            [sample] = redis_benchmark.run(
                subject.port,
                scenario.test,
                requests=requests,
                clients=scenario.clients,
                pipeline=scenario.pipeline,
                keyspace=self.results.keyspace if scenario.spread else None,
            )
        except BenchmarkFailed:
            self._perhaps[subject.key] += increments
            raise
        self._incremented[subject.key] += increments
        return sample

    def _own(self, subject: Subject, scenario: Scenario, seconds: float) -> Sample:
        return load.mixed(
            subject.port,
            scenario.test.split("+"),
            clients=scenario.clients,
            pipeline=scenario.pipeline,
            keyspace=self.results.keyspace,
            seconds=seconds,
        )

    @contextmanager
    def _noting(self, what: str) -> Iterator[None]:
        """A failure is noted and the run goes on: what else there is to know is worth knowing."""
        try:
            yield
        except _FAILURES as error:
            print(f"  FAILED {what}: {error}", flush=True)
            self.results.failures.append((what, str(error).strip()))


def check_labels(keys: Sequence[str]) -> list[str]:
    """The keys in the order of LABELS; ValueError for one that is none."""
    unknown = set(keys) - set(LABELS)
    if unknown:
        raise ValueError(f"no such server: {', '.join(sorted(unknown))} (there are {', '.join(LABELS)})")
    return [key for key in LABELS if key in keys]
