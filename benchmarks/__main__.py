"""`python -m benchmarks`: measure Rowdis against redis-server and write docs/performance.md.

Ends with exit code 0 when every bar that was measured was cleared, 1 when one was missed, 2 when there was nothing to
measure with.
"""

from __future__ import annotations

import argparse
import resource
import shlex
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

from benchmarks import bars, machine, measure, plot, report, servers
from benchmarks.bars import MB
from benchmarks.results import LABELS, Results
from tests.services.process import ServiceFailed
from tests.services.rowdis import REPOSITORY

PAGE = REPOSITORY / "docs" / "performance.md"
PARTS = ("strings", "collections", "messages")

_IDLE_CLIENTS = 1000
_LONG_MINUTES = 10.0
_LONG_VALUES = 50


def main(arguments: Sequence[str]) -> int:
    """Run it all; the exit code."""
    options = _parse(arguments)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    _allow_many_files()
    results = Results(options.alternations, options.seconds, options.keyspace, options.quick)
    started = time.monotonic()
    measured = False
    try:
        results.facts = {"date": time.strftime("%Y-%m-%d", time.gmtime()), **machine.facts()}
        with ExitStack() as stack:
            _measure(stack, options, results)
            measured = True
    except ServiceFailed as error:
        print(error, file=sys.stderr)
        if not measured:
            return 2
        results.failures.append(("stopping the servers", str(error).splitlines()[0]))
    judged = []
    if "strings" in options.parts:
        judged = bars.judge(results)
        if options.report is not None:
            picture = options.report.with_suffix(".svg")
            plot.write(picture, results)
            report.write(options.report, results, judged, picture.name)
    if "collections" in options.parts:
        on_collections = bars.judge_collections(results)
        judged += on_collections
        if options.report is not None:
            report.write_collections(options.report, results, on_collections)
    if "messages" in options.parts:
        on_messages = bars.judge_messages(results)
        judged += on_messages
        if options.report is not None:
            report.write_messages(options.report, results, on_messages)
    print(f"\n{report.plain(judged)}\n\n{report.summary(results)}")
    missed = len(bars.missed(judged))
    print(f"{missed or 'no'} bars missed; {time.monotonic() - started:.0f} s")
    return 1 if missed else 0


def _measure(stack: ExitStack, options: argparse.Namespace, results: Results) -> None:
    subjects = servers.start(stack, options.servers, shlex.split(options.rowdis_options))
    measurement = measure.Measurement(subjects, results)
    for subject in subjects:
        print(f"{subject.label}: {', '.join(f'{name}={value}' for name, value in subject.settings.items())}")
    if "strings" in options.parts:
        measurement.fill()
        measurement.alternate()
        measurement.count()
    if "collections" in options.parts:
        measurement.collections(min(3, options.alternations))
    if "messages" in options.parts:
        measurement.messages(options.alternations)
    if "strings" not in options.parts:
        return
    measurement.default_tests(options.default_requests)
    measurement.peaks()
    measurement.idle(options.idle_clients)
    if options.minutes:
        measurement.endure(options.minutes)
    measurement.large(options.large_clients, options.large_values, options.large_mb * MB)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--quick", action="store_true", help="a few minutes' look for development; no page is written")
    mode.add_argument("--long", action="store_true", help="also ten minutes of load on each Rowdis, and more values")
    parser.add_argument("--alternations", type=int, metavar="N", help="5; 2 when quick")
    parser.add_argument("--seconds", type=float, metavar="S", help="of each measurement: 1.5; 0.2 when quick")
    parser.add_argument("--keyspace", type=int, metavar="N", help="100000; 5000 when quick")
    parser.add_argument("--minutes", type=float, metavar="N", help="of load with an eye on memory: 0; 10 when long")
    parser.add_argument("--servers", type=lambda text: text.split(","), metavar="A,B", help=", ".join(LABELS))
    parser.add_argument("--only", choices=PARTS, help="these loads and their part of the page")
    parser.add_argument("--rowdis-options", default="", metavar="WORDS", help='such as "--workers 2"')
    parser.add_argument("--report", type=Path, metavar="PAGE", help="docs/performance.md; none when quick")
    options = parser.parse_args(arguments)
    quick = options.quick
    options.parts = (options.only,) if options.only else PARTS
    try:
        options.servers = measure.check_labels(options.servers or list(LABELS))
    except ValueError as error:
        parser.error(str(error))
    for name, quick_value, value in (
        ("alternations", 2, 5),
        ("seconds", 0.2, 1.5),
        ("keyspace", 5000, 100_000),
        ("minutes", 0.0, _LONG_MINUTES if options.long else 0.0),
        ("report", None, PAGE),
    ):
        if getattr(options, name) is None:
            setattr(options, name, quick_value if quick else value)
    options.default_requests = 1000 if quick else 20_000
    options.idle_clients = 200 if quick else _IDLE_CLIENTS
    options.large_clients, options.large_mb = (10, 5) if quick else (50, 50)
    options.large_values = _LONG_VALUES if options.long else 10
    return options


def _end(number: int, frame: FrameType | None) -> None:
    """Leave as Ctrl-C would: through everything that stops servers."""
    raise SystemExit(128 + number)


def _allow_many_files() -> None:
    """A thousand clients of ours need as many descriptors; the servers inherit the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 16_384 if hard == resource.RLIM_INFINITY else min(hard, 16_384)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
