"""Where the time of a Rowdis under load goes, by thread and function: `python -m benchmarks.profiling`.

Records twice with py-spy (`pip install py-spy`), each time under the same load:

- *GIL*: samples of threads that hold the interpreter's lock. This is Python's CPU time, of which there is one second a
  second for the loop and all workers together; what is large here limits commands per second.
- *wall*: samples of all threads, also waiting ones. A worker that mostly waits in `recv` waits for the database; one
  that mostly waits in its queue has nothing to do; one that waits elsewhere waits for the lock of the interpreter.

`MainThread` is the event loop: parsing, planning, batching, writing replies. `storage-N` are the workers: units of
work, SQL text, results, encoding of replies. With `--output DIRECTORY` the stacks are kept as text, which
speedscope.app and flamegraph.pl read.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks import load, redis_benchmark, servers
from benchmarks.results import EMBEDDED, MARIADB
from benchmarks.servers import Subject
from tests.services.process import Missing, ServiceFailed, find_program

_RATE = 400
_MODES = {"GIL": ["--gil"], "wall": ["--idle"]}

Stacks = Counter[tuple[str, ...]]
"""How often each stack was seen; its first frame is the thread."""


def main(arguments: Sequence[str]) -> int:
    """Record and print; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profiling", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("--engine", choices=("mariadb", "embedded"), default="mariadb")
    parser.add_argument("--test", default="set", help="of redis-benchmark: set, get, incr ...")
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--pipeline", type=int, default=1)
    parser.add_argument("--keyspace", type=int, default=100_000)
    parser.add_argument("--seconds", type=int, default=5, help="of each of the two recordings")
    parser.add_argument("--top", type=int, default=12, help="functions to show of each thread")
    parser.add_argument("--output", type=Path, metavar="DIRECTORY", help="keep the stacks there")
    parser.add_argument("--rowdis-options", default="", metavar="WORDS")
    options = parser.parse_args(arguments)
    try:
        py_spy = _py_spy()
        with ExitStack() as stack:
            key = MARIADB if options.engine == "mariadb" else EMBEDDED
            [subject] = servers.start(stack, [key], options.rowdis_options.split())
            directory = options.output or Path(stack.enter_context(tempfile.TemporaryDirectory()))
            directory.mkdir(parents=True, exist_ok=True)
            load.fill(subject.port, options.keyspace)
            for mode in _MODES:
                path = directory / f"{options.engine}-{options.test}-P{options.pipeline}-{mode.lower()}.txt"
                _record(py_spy, mode, subject, options, path)
                _show(mode, _read(path), options.top)
    except ServiceFailed as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _py_spy() -> str:
    """The program, which pip puts beside Python."""
    beside = Path(sys.executable).with_name("py-spy")
    try:
        return str(beside) if beside.exists() else find_program("py-spy")
    except Missing:
        raise Missing("py-spy is not installed: pip install py-spy") from None


def _record(py_spy: str, mode: str, subject: Subject, options: argparse.Namespace, path: Path) -> None:
    """Record while a thread of ours keeps redis-benchmark running."""
    done = threading.Event()
    rates: list[float] = []

    def keep_busy() -> None:
        requests = 50 * options.clients * options.pipeline
        while not done.is_set():
            try:
                [sample] = redis_benchmark.run(
                    subject.port, options.test, requests=requests, clients=options.clients,
                    pipeline=options.pipeline, keyspace=options.keyspace,
                )  # fmt: skip
            except redis_benchmark.BenchmarkFailed as error:
                print(f"the load failed: {error}", file=sys.stderr)
                return
            rates.append(sample.rate)
            requests = max(requests, int(sample.rate))

    command = [py_spy, "record", "--pid", str(subject.pid), "--duration", str(options.seconds), "--rate", str(_RATE)]
    command += ["--threads", "--format", "raw", "--output", str(path), *_MODES[mode]]
    busy = threading.Thread(target=keep_busy)
    busy.start()
    try:
        recorded = subprocess.run(command, capture_output=True, text=True, timeout=options.seconds + 60, check=False)
    finally:
        done.set()
        busy.join()
    if recorded.returncode != 0:
        raise ServiceFailed(f"py-spy ended with code {recorded.returncode}\n{recorded.stderr[-2000:]}")
    if rates:
        print(f"\n{subject.label}, {options.test}: {sum(rates) / len(rates):,.0f} requests/s while recorded ({mode})")


def _read(path: Path) -> Stacks:
    stacks: Stacks = Counter()
    for line in path.read_text().splitlines():
        frames, _, count = line.rpartition(" ")
        stacks[tuple(frames.split(";"))] += int(count)
    return stacks


def _show(mode: str, stacks: Stacks, top: int) -> None:
    """Threads by their share of all samples, and in each the functions by their own and their total time."""
    total = sum(stacks.values())
    threads: defaultdict[str, Stacks] = defaultdict(Counter)
    for frames, count in stacks.items():
        threads[frames[0]][frames[1:]] += count
    for thread, own_stacks in sorted(threads.items(), key=lambda item: -sum(item[1].values())):
        samples = sum(own_stacks.values())
        print(f"\n{mode}: {thread}: {samples / total:.0%} of {total} samples")
        own: Counter[str] = Counter()
        inclusive: Counter[str] = Counter()
        for frames, count in own_stacks.items():
            functions = [_function(frame) for frame in frames] or ["?"]
            own[functions[-1]] += count
            for function in set(functions):
                inclusive[function] += count
        print("   own  total")
        for function, count in own.most_common(top):
            print(f"{count / samples:6.1%} {inclusive[function] / samples:6.1%}  {function}")


def _function(frame: str) -> str:
    """A frame without its line number, so that the lines of a function count together."""
    name, colon, line = frame.rpartition(":")
    return f"{name})" if colon and line.rstrip(")").isdigit() else frame


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
