"""The bars that Rowdis must clear, and whether a run cleared them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks import collections, messages
from benchmarks.results import ALWAYS, DIRECT, EMBEDDED, LABELS, MARIADB, MEMORY, ROWDIS, Results, Scenario, find
from benchmarks.servers import ROWDIS_PREFIX

MB = 1_000_000

IDLE_BYTES = 150 * MB
LARGE_BYTES = 1000 * MB
FLAT = 1.05
"""The long run may end with this much of the memory that it had after a fifth of its time."""

LONG_S = 590.0
"""How far into the long run its last measurement must be."""

MESSAGES = 0.3
"""The least of Redis's rate that Rowdis must reach with messages and with scripts."""

SCRIPT_US = 20
"""What a script may cost over the commands in it, microseconds of the processor."""

SAME = 0.95
"""What counts as "not slower" for two loads on one server: two runs of the same load differ by so much."""

#: Names under which Rowdis may count all its units, and those that write.
UNIT_FIELDS = ("units", "storage_units")
WRITING_UNIT_FIELDS = ("writing_units", "storage_writing_units", "units_writing", "storage_units_writing")

#: Names of log syncs in databases, best first; the second counts syncs of all files.
SYNC_FIELDS = ("Innodb_os_log_fsyncs", "Innodb_data_fsyncs")


@dataclass(frozen=True)
class Bar:
    """One demand: what of, what is wanted, what was measured; `ok` is None where nothing was."""

    what: str
    wanted: str
    measured: str
    ok: bool | None


def judge(results: Results) -> list[Bar]:
    """All bars but those on collections and messages, whether measured or not."""
    return [
        *_durability(results),
        *_speed(results),
        *_hot(results),
        *_memory(results),
        *_correctness(results),
    ]


def judge_collections(results: Results) -> list[Bar]:
    """The bars on collections, and what they stand on."""
    return [*_durability(results), *_collections(results)]


def judge_messages(results: Results) -> list[Bar]:
    """The bars on messages and scripts, and what they stand on."""
    return [*_durability(results), *_messages(results)]


def missed(bars: list[Bar]) -> list[Bar]:
    """Those that were measured and not cleared."""
    return [bar for bar in bars if bar.ok is False]


def units(counters: dict[str, int]) -> int | None:
    """Units, if Rowdis told."""
    return _counted(counters, [ROWDIS_PREFIX + name for name in UNIT_FIELDS])


def writing_units(counters: dict[str, int]) -> int | None:
    """Units that write, if Rowdis told."""
    return _counted(counters, [ROWDIS_PREFIX + name for name in WRITING_UNIT_FIELDS])


def syncs(counters: dict[str, int]) -> int | None:
    """Log syncs, if the database told."""
    return _counted(counters, SYNC_FIELDS)


def _counted(counters: dict[str, int], names: Sequence[str]) -> int | None:
    return next((counters[name] for name in names if name in counters), None)


def _durability(results: Results) -> Iterator[Bar]:
    """Without these the comparison is void."""
    for subject, name, wanted in (
        (MARIADB, "innodb_flush_log_at_trx_commit", "1"),
        (EMBEDDED, "innodb_flush_log_at_trx_commit", "1"),
        (DIRECT, "innodb_flush_log_at_trx_commit", "1"),
        (ALWAYS, "appendonly", "yes"),
        (ALWAYS, "appendfsync", "always"),
        (MEMORY, "appendonly", "no"),
    ):
        if subject in results.settings:
            found = results.settings[subject].get(name, "not known")
            yield Bar(f"{LABELS[subject]}: {name}", wanted, found, found == wanted)


def _speed(results: Results) -> Iterator[Bar]:
    set1, set16 = find("set"), find("set", pipeline=16)
    get1, get16 = find("get"), find("get", pipeline=16)
    incr1, incr16 = find("incr"), find("incr", pipeline=16)
    for one, other, scenario, wanted in (
        (MARIADB, ALWAYS, set1, 0.5),
        (MARIADB, ALWAYS, incr1, 0.3),
        (MARIADB, ALWAYS, set16, 0.3),
        (MARIADB, ALWAYS, incr16, 0.12),
        (MARIADB, MEMORY, get1, 0.3),
        (MARIADB, MEMORY, get16, 0.1),
        (EMBEDDED, ALWAYS, set1, 0.15),
        (EMBEDDED, MEMORY, get1, 0.3),
        (MARIADB, DIRECT, set1, 10.0),
    ):
        what = f"{scenario.title}: {LABELS[one]} / {LABELS[other]}"
        yield _at_least(what, results.ratio((one, scenario), (other, scenario)), wanted)
    alone, mixed = find("get", pipeline=16, own=True), find("get+set", pipeline=16, own=True)
    what = f"{LABELS[MARIADB]}: {mixed.title} / GET alone"
    yield _at_least(what, results.ratio((MARIADB, mixed), (MARIADB, alone)), 0.5)


def _hot(results: Results) -> Iterator[Bar]:
    for subject, tests, pipelines in ((MARIADB, ("set", "incr", "get"), (1, 16)), (EMBEDDED, ("set", "get"), (1,))):
        for pipeline in pipelines:
            for test in tests:
                hot, spread = find(test, pipeline=pipeline, spread=False), find(test, pipeline=pipeline)
                what = f"{LABELS[subject]}: {hot.title} / spread keys"
                yield _at_least(what, results.ratio((subject, hot), (subject, spread)), SAME)


def _collections(results: Results) -> Iterator[Bar]:
    for scenario in collections.SCENARIOS:
        wanted = collections.BY_TEST[scenario.test].bars[scenario.pipeline != 1]
        if wanted:
            what = f"{scenario.title}: {LABELS[MARIADB]} / {LABELS[ALWAYS]}"
            yield _at_least(what, results.ratio((MARIADB, scenario), (ALWAYS, scenario)), wanted)


def _messages(results: Results) -> Iterator[Bar]:
    for scenario, what in (
        (messages.PUBLISH, f"messages delivered to {messages.SUBSCRIBERS} subscribers"),
        (messages.UNLOCK, messages.UNLOCK.title),
    ):
        ratio = results.ratio((MARIADB, scenario), (ALWAYS, scenario))
        yield _at_least(f"{what}: {LABELS[MARIADB]} / {LABELS[ALWAYS]}", ratio, MESSAGES)
    for scripted, plain in zip(messages.SCRIPTED_GET, messages.GET, strict=True):
        with_script, without = results.cpu_us(MARIADB, scripted), results.cpu_us(MARIADB, plain)
        what = f"{LABELS[MARIADB]}: processor time of {scripted.title} over GET"
        wanted = f"below {SCRIPT_US} µs"
        if with_script is None or without is None:
            yield Bar(what, wanted, "not measured", None)
        else:
            more = with_script - without
            yield Bar(what, wanted, f"{more:.1f} µs ({with_script:.1f} - {without:.1f})", more < SCRIPT_US)
    titles = tuple(scenario.title for scenario in messages.SCENARIOS)
    failed = sum(what.startswith(titles) for what, _ in results.failures)
    yield Bar("measurements of messages and scripts that failed", "0", str(failed), not failed)


def _at_least(what: str, ratio: float | None, wanted: float) -> Bar:
    text = f"at least {wanted:g}"
    if ratio is None:
        return Bar(what, text, "not measured", None)
    return Bar(what, text, f"{ratio:.3g}", ratio >= wanted)


def _memory(results: Results) -> Iterator[Bar]:
    for subject in ROWDIS:
        if subject not in results.settings:
            continue
        what = f"{LABELS[subject]}: resident with 1,000 idle clients, after the load"
        clients, size = results.idle.get(subject, (0, 0))
        yield _below(what, size, IDLE_BYTES, clients == 1000)
        large = results.large.get(subject)
        what = f"{LABELS[subject]}: resident while 50 clients read values of 50 MB"
        real = large is not None and (large.clients, large.value_bytes) == (50, 50 * MB)
        yield _below(what, large.peak_bytes if large else 0, LARGE_BYTES, real)
        yield _flat(subject, results.endurance.get(subject, []))


def _below(what: str, size: int, limit: int, measured: bool) -> Bar:
    wanted = f"below {limit // MB:,} MB"
    if not measured:
        return Bar(what, wanted, f"{size / MB:,.0f} MB with fewer" if size else "not measured", None)
    return Bar(what, wanted, f"{size / MB:,.0f} MB", size < limit)


def _flat(subject: str, samples: list[tuple[float, int]]) -> Bar:
    """Medians of the second and the last fifth: the first is warming up."""
    what = f"{LABELS[subject]}: resident at the end of ten minutes of load / after two"
    wanted = f"at most {FLAT:g}"
    fifth = len(samples) // 5
    if fifth < 2 or samples[-1][0] < LONG_S:
        return Bar(what, wanted, "not measured (--long)", None)
    early = median(size for _, size in samples[fifth : 2 * fifth])
    late = median(size for _, size in samples[-fifth:])
    return Bar(what, wanted, f"{late / early:.3f} ({late / MB:.0f} MB)", late <= FLAT * early)


def _correctness(results: Results) -> Iterator[Bar]:
    for subject in ROWDIS:
        if subject not in results.settings:
            continue
        label = LABELS[subject]
        tables = results.tables.get(subject)
        if tables is not None:
            yield Bar(
                f"{label}: rows of rowdis_key for as many keys",
                f"{tables.expected_rows:,}",
                f"{tables.rows:,}",
                tables.rows == tables.expected_rows,
            )
            wanted = f"{tables.acknowledged:,}"
            if tables.possible > tables.acknowledged:
                wanted += f" to {tables.possible:,}"
            right = tables.acknowledged <= tables.counted <= tables.possible
            yield Bar(f"{label}: sum of all counters for INCRs acknowledged", wanted, f"{tables.counted:,}", right)
        outcome = results.default_tests.get(subject)
        what = f"{label}: redis-benchmark's default tests of existing commands"
        if outcome is None:
            yield Bar(what, "no error reply", "not measured", None)
        else:
            yield Bar(what, "no error reply", outcome or "none", not outcome)
        yield from _commits(results, subject)
    yield Bar("measurements that failed", "0", str(len(results.failures)), not results.failures)


def _commits(results: Results, subject: str) -> Iterator[Bar]:
    """A unit that writes is a commit, and a commit waits for a sync, which it can share only with other workers'."""
    label = LABELS[subject]
    writing = [scenario for scenario in measured_scenarios(results, subject) if scenario.test in ("set", "incr")]
    counters = [found for scenario in writing if (found := results.counters(subject, scenario))]
    commits = sum(count.get("Com_commit", 0) for count in counters)
    if not commits:
        return
    counted = [writing_units(count) for count in counters]
    if None not in counted:
        total = sum(count for count in counted if count is not None)
        yield Bar(f"{label}: commits for units that write", f"at least {total:,}", f"{commits:,}", commits >= total)
    synced = [syncs(count) for count in counters]
    if None not in synced:
        # One commit of each worker and one of housekeeping can wait for the same sync.
        least = commits // (results.workers.get(subject, 4) + 1)
        total = sum(count for count in synced if count is not None)
        yield Bar(f"{label}: log syncs for {commits:,} commits", f"at least {least:,}", f"{total:,}", total >= least)


def measured_scenarios(results: Results, subject: str) -> list[Scenario]:
    """The scenarios that were measured on a server."""
    return [scenario for key, scenario in results.samples if key == subject]
