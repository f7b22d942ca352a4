"""Runs redis-benchmark and reads what it prints."""

from __future__ import annotations

import csv
import subprocess
from collections.abc import Sequence

from benchmarks.results import Sample
from tests.services.process import find_program
from tests.services.raw_client import RawClient

#: redis-benchmark's default list: the test, and the command that a server must have for it.
DEFAULT_TESTS = {
    "ping_inline": "PING", "ping_mbulk": "PING", "set": "SET", "get": "GET", "incr": "INCR", "lpush": "LPUSH",
    "rpush": "RPUSH", "lpop": "LPOP", "rpop": "RPOP", "sadd": "SADD", "hset": "HSET", "spop": "SPOP", "zadd": "ZADD",
    "zpopmin": "ZPOPMIN", "lrange_100": "LRANGE", "lrange_300": "LRANGE", "lrange_500": "LRANGE",
    "lrange_600": "LRANGE", "mset": "MSET",
}  # fmt: skip

_LIMIT_S = 120.0


class BenchmarkFailed(Exception):
    """redis-benchmark met an error reply, a closed connection or no reply at all."""


def run(
    port: int,
    tests: str,
    *,
    requests: int,
    clients: int = 50,
    pipeline: int = 1,
    keyspace: int | None = None,
    words: Sequence[str] = (),
) -> list[Sample]:
    """One call; a sample for each test. Without `keyspace` every request names the same key.

    With `words`, which may hold `__rand_int__`, that command is the load and `tests` only its name.
    """
    command = [find_program("redis-benchmark"), "-h", "127.0.0.1", "-p", str(port), "-n", str(requests)]
    command += ["-c", str(clients), "-P", str(pipeline), "--csv", "--precision", "3"]
    if keyspace is not None:
        command += ["-r", str(keyspace)]
    command += words or ["-t", tests]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        raise BenchmarkFailed(f"{tests}: not ready after {_LIMIT_S:g} s") from None
    rows = list(csv.DictReader(line for line in done.stdout.splitlines() if line.startswith('"')))
    complaints = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")]
    if done.returncode != 0 or complaints or not rows:
        reason = complaints[0] if complaints else f"exit code {done.returncode}"
        raise BenchmarkFailed(f"{tests}: {reason}")
    return [
        Sample(requests, float(row["rps"]), float(row["p50_latency_ms"]), float(row["p99_latency_ms"])) for row in rows
    ]


def sort_default_tests(client: RawClient) -> tuple[list[str], list[str]]:
    """The default tests whose command the server has, and the others.

    redis-benchmark ends at the first error reply, so a test of an unknown command would hide all tests after it. Every
    command here but PING wants arguments: called without, it is either refused for that or unknown, and does nothing.
    """
    known: list[str] = []
    missing: list[str] = []
    for test, command in DEFAULT_TESTS.items():
        (missing if b"unknown command" in client.call(command) else known).append(test)
    return known, missing
