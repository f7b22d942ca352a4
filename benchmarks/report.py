"""Turns results into tables: for the terminal, and between the markers of docs/performance.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from statistics import median

from benchmarks import bars, collections, messages
from benchmarks.bars import MB, Bar
from benchmarks.results import ALWAYS, DIRECT, EMBEDDED, LABELS, MARIADB, MEMORY, SCENARIOS, Results, find

START = "<!-- results: written by `make bench`, do not edit -->"
END = "<!-- end of results -->"
COLLECTIONS_START = "<!-- collections: written by `make bench`, do not edit -->"
COLLECTIONS_END = "<!-- end of collections -->"
MESSAGES_START = "<!-- messages: written by `make bench`, do not edit -->"
MESSAGES_END = "<!-- end of messages -->"

_VERDICTS = {True: "ok", False: "**missed**", None: "–"}
_NONE = "–"

_RATIOS = ((MARIADB, ALWAYS), (MARIADB, MEMORY), (EMBEDDED, ALWAYS), (EMBEDDED, MEMORY), (MARIADB, DIRECT))


def write(page: Path, results: Results, judged: Sequence[Bar], plot_name: str) -> None:
    """Replace the results on the page; ValueError if it has no markers for them."""
    _replace(page, START, END, markdown(results, judged, plot_name))


def write_collections(page: Path, results: Results, judged: Sequence[Bar]) -> None:
    """Replace the results about collections on the page; ValueError if it has no markers for them."""
    sections = [*_bars(results, judged), *_collections(results), *_conditions(results)]
    _replace(page, COLLECTIONS_START, COLLECTIONS_END, "\n".join(sections))


def write_messages(page: Path, results: Results, judged: Sequence[Bar]) -> None:
    """Replace the results about messages and scripts on the page; ValueError if it has no markers for them."""
    sections = [*_bars(results, judged), *_messages(results), *_conditions(results)]
    _replace(page, MESSAGES_START, MESSAGES_END, "\n".join(sections))


def _replace(page: Path, first: str, last: str, content: str) -> None:
    before, start, rest = page.read_text().partition(first)
    _, end, after = rest.partition(last)
    if not start or not end:
        raise ValueError(f"{page.name} has no markers {first} and {last}")
    page.write_text(f"{before}{first}\n\n{content}\n{last}{after}")


def markdown(results: Results, judged: Sequence[Bar], plot_name: str) -> str:
    """All results as Markdown."""
    return "\n".join(_sections(results, judged, plot_name))


def plain(judged: Sequence[Bar]) -> str:
    """The table of bars for a terminal."""
    rows = [(_VERDICTS[bar.ok].strip("*"), bar.measured, bar.wanted, bar.what) for bar in judged]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join("  ".join([*(c.ljust(w) for c, w in zip(row, widths, strict=False)), row[3]]) for row in rows)


def _sections(results: Results, judged: Sequence[Bar], plot_name: str) -> Iterator[str]:
    yield f"![Requests per second of every server under every load]({plot_name})\n"
    yield from _bars(results, judged)
    yield from _rates(results)
    yield from _latencies(results)
    yield from _ratios(results)
    yield from _commits(results)
    yield from _memory(results)
    yield from _conditions(results)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], words: int = 1) -> str:
    """A Markdown table; all columns after the first `words` are aligned to the right."""
    ruler = ["---"] * words + ["---:"] * (len(head) - words)
    lines = (" | ".join(cell.replace("|", "\\|") for cell in row) for row in (head, ruler, *rows))
    return "\n".join(f"| {line} |" for line in lines) + "\n"


def _bars(results: Results, judged: Sequence[Bar]) -> Iterator[str]:
    missed = len(bars.missed(list(judged)))
    measured = sum(bar.ok is not None for bar in judged)
    yield f"### Bars: {measured - missed} of {measured} cleared\n"
    yield _table(
        ("", "wanted", "measured", ""),
        [(bar.what, bar.wanted, bar.measured, _VERDICTS[bar.ok]) for bar in judged],
        words=4,
    )
    if results.failures:
        yield "Measurements that failed:\n"
        times = Counter(what for what, _ in results.failures)
        last = dict(results.failures)
        yield "\n".join(f"- {what} ({times[what]} times): {last[what]}" for what in times) + "\n"
    for subject, missing in results.missing_tests.items():
        if missing:
            names = ", ".join(missing)
            yield f"Default tests of redis-benchmark whose command {LABELS[subject]} does not have: {names}.\n"


def _measured(results: Results) -> list[str]:
    return [key for key in LABELS if key in results.settings]


def _rates(results: Results) -> Iterator[str]:
    yield "### Requests per second\n"
    yield "Median of the alternations; below it the slowest and the fastest.\n"
    subjects = _measured(results)
    rows = []
    for scenario in SCENARIOS:
        cells = []
        for subject in subjects:
            rates = [sample.rate for sample in results.good(subject, scenario)]
            cells.append(
                f"{median(rates):,.0f}<br><small>{min(rates):,.0f} – {max(rates):,.0f}</small>" if rates else _NONE
            )
        rows.append((scenario.title, *cells))
    yield _table(("", *(LABELS[subject] for subject in subjects)), rows)


def _collections(results: Results) -> Iterator[str]:
    """Loads on collections: rates, ratio, and how many pops found nothing."""
    rows = []
    for scenario in collections.SCENARIOS:
        ours, theirs = results.rate(MARIADB, scenario), results.rate(ALWAYS, scenario)
        if ours is None or theirs is None:
            continue
        ratio = results.ratio((MARIADB, scenario), (ALWAYS, scenario))
        nil = results.nil_replies.get((MARIADB, scenario))
        rows.append((
            scenario.title,
            f"{ours:,.0f}",
            f"{theirs:,.0f}",
            _NONE if ratio is None else f"{ratio:.3g}",
            _NONE if nil is None else f"{nil:.1%}",
        ))
    if rows:
        yield "### Requests per second\n"
        yield "Medians; the last column is the share of pops that found an empty collection, at most.\n"
        yield _table(("", LABELS[MARIADB], LABELS[ALWAYS], "ratio", "nil"), rows)


def _messages(results: Results) -> Iterator[str]:
    """Loads on messages and scripts: rates, ratio, processor time of a request."""
    rows = []
    for scenario in messages.SCENARIOS:
        ours, theirs = results.rate(MARIADB, scenario), results.rate(ALWAYS, scenario)
        if ours is None or theirs is None:
            continue
        ratio = results.ratio((MARIADB, scenario), (ALWAYS, scenario))
        nil = results.nil_replies.get((MARIADB, scenario))
        cpu = (results.cpu_us(subject, scenario) for subject in messages.SUBJECTS)
        rows.append((
            scenario.title,
            f"{ours:,.0f}",
            f"{theirs:,.0f}",
            _NONE if ratio is None else f"{ratio:.3g}",
            *(_NONE if used is None else f"{used:.1f}" for used in cpu),
            _NONE if nil is None else f"{nil:.1%}",
        ))
    if rows:
        yield "### Requests and messages per second, processor time\n"
        yield (
            f"Medians. For PUBLISH the rates are of messages delivered to {messages.SUBSCRIBERS} clients, the times "
            "of publishing one message to all of them. Times are of the server's own process, without its database, in "
            "microseconds a request; the last column is the share of scripts that found no lock, at most.\n"
        )
        names = (LABELS[MARIADB], LABELS[ALWAYS])
        yield _table(("", *names, "ratio", *(f"{name}, µs" for name in names), "nil"), rows)


def _latencies(results: Results) -> Iterator[str]:
    yield "### Latency, milliseconds: p50 / p99\n"
    yield "As redis-benchmark tells it; in our own program, of a whole pipeline. Medians of the alternations.\n"
    subjects = _measured(results)
    rows = []
    for scenario in SCENARIOS:
        cells = [results.latency(subject, scenario) for subject in subjects]
        rows.append((scenario.title, *(f"{cell[0]:.2f} / {cell[1]:.2f}" if cell else _NONE for cell in cells)))
    yield _table(("", *(LABELS[subject] for subject in subjects)), rows)


def _ratios(results: Results) -> Iterator[str]:
    pairs = [(one, other) for one, other in _RATIOS if {one, other} <= {*_measured(results)}]
    yield "### Ratios\n"
    yield "How many times as fast; the median of the ratios within each alternation.\n"
    rows = []
    for scenario in SCENARIOS:
        ratios = [results.ratio((one, scenario), (other, scenario)) for one, other in pairs]
        if any(ratio is not None for ratio in ratios):
            rows.append((scenario.title, *(_NONE if ratio is None else f"{ratio:.3g}" for ratio in ratios)))
    yield _table(("", *(f"{LABELS[one]} / {LABELS[other]}" for one, other in pairs)), rows)


def _commits(results: Results) -> Iterator[str]:
    """What the database counted while a load ran."""
    rows = []
    for subject in (MARIADB, EMBEDDED, DIRECT):
        for scenario in SCENARIOS:
            counters = results.counters(subject, scenario)
            if not counters:
                continue
            requests, commits = counters["requests"], counters.get("Com_commit")
            units, writing = bars.units(counters), bars.writing_units(counters)
            cells = (units, writing, commits, counters.get("Handler_commit"), bars.syncs(counters))
            if all(cell is None for cell in cells):
                continue
            log = counters.get("Innodb_os_log_written")
            rows.append(
                (
                    LABELS[subject],
                    scenario.title,
                    f"{requests:,}",
                    *(_NONE if cell is None else f"{cell:,}" for cell in cells),
                    f"{requests / units:.1f}" if units else _NONE,
                    f"{log / requests:,.0f}" if log is not None else _NONE,
                )
            )
    if not rows:
        return
    yield "### Units, commits and log syncs\n"
    yield (
        "Sums over all alternations. A unit is one transaction of Rowdis; Handler_commit is what the storage engine "
        "committed, reading transactions among it.\n"
    )
    yield _table(
        ("", "", "requests", "units", "writing units", "Com_commit", "Handler_commit", "syncs", "requests per unit",
         "log bytes per request"),
        rows,
        words=2,
    )  # fmt: skip


def _memory(results: Results) -> Iterator[str]:
    yield "### Memory, resident\n"
    rows = []
    for subject, peaks in results.peaks.items():
        for process, size in peaks.items():
            rows.append((LABELS[subject], f"{process}: peak under all loads above", f"{size / MB:,.0f} MB"))
    for subject, (clients, size) in results.idle.items():
        rows.append((LABELS[subject], f"Rowdis: {clients:,} idle clients after the loads", f"{size / MB:,.0f} MB"))
    for subject, large in results.large.items():
        each = f"{large.clients} clients read {large.value_bytes // MB} MB each"
        what = f"Rowdis: peak while {each}, {large.seconds:.0f} s"
        rows.append((LABELS[subject], what, f"{large.peak_bytes / MB:,.0f} MB"))
    for subject, samples in results.endurance.items():
        for minute, middle in _by_minute(samples):
            rows.append((LABELS[subject], f"Rowdis: in minute {minute} of the long run", f"{middle / MB:,.0f} MB"))
    yield _table(("", "", ""), rows, words=2)


def _by_minute(samples: list[tuple[float, int]]) -> Iterator[tuple[int, float]]:
    minutes: dict[int, list[int]] = {}
    for seconds, size in samples:
        minutes.setdefault(int(seconds // 60) + 1, []).append(size)
    yield from ((minute, median(sizes)) for minute, sizes in sorted(minutes.items()))


def _conditions(results: Results) -> Iterator[str]:
    yield "### Conditions\n"
    run = f"{results.alternations} alternations, {results.seconds:g} s a measurement, {results.keyspace:,} keys"
    if results.quick:
        run += "; a quick run for development, whose numbers mean little"
    rows = [("run", run), *results.facts.items()]
    for subject in _measured(results):
        settings = ", ".join(f"{name}={value or '(empty)'}" for name, value in results.settings[subject].items())
        rows.append((LABELS[subject], settings))
    for subject, workers in results.workers.items():
        rows.append((f"{LABELS[subject]}: workers", str(workers)))
    yield _table(("", ""), rows, words=2)


def summary(results: Results) -> str:
    """One line for a changelog or a commit."""
    rates = {subject: results.rate(subject, find("set")) for subject in _measured(results)}
    return "SET: " + ", ".join(f"{LABELS[subject]} {rate:,.0f}/s" for subject, rate in rates.items() if rate)
