"""What a reader must know of the machine to judge the numbers; neither its name nor any of its paths."""

from __future__ import annotations

import os
import platform
import re
import statistics
import subprocess
import tempfile
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tests.services.process import find_program

_PACKAGES = ("peewee", "pymysql", "hiredis", "uvloop", "pylibseekdb")
_SYNCS = 200


def facts() -> dict[str, str]:
    """Names and values, in the order of telling."""
    packages = []
    for name in _PACKAGES:
        try:
            packages.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    disk = _file_system(Path(tempfile.gettempdir()))
    return {
        "processor": f"{_grep('/proc/cpuinfo', 'model name')}, {len(os.sched_getaffinity(0))} cores"
        " for servers and load together",
        "memory": f"{int(_grep('/proc/meminfo', 'MemTotal').split()[0]) / 1024**2:.0f} GiB",
        "kernel": f"{platform.system()} {re.split('[-+]', platform.release())[0]}",
        "file system": f"{disk}, one synced write of 4 KiB takes {_sync_us():.0f} µs",
        "Python": f"{platform.python_version()} with {', '.join(packages)}",
        "redis-server": _first(r"v=(\S+)", find_program("redis-server"), "--version"),
        "redis-benchmark": _first(r"([\d.]+)", find_program("redis-benchmark"), "--version"),
        "mariadbd": _first(r"Ver (\S+)", find_program("mariadbd"), "--version"),
    }


def _grep(path: str, label: str) -> str:
    for line in Path(path).read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == label:
            return value.strip()
    return "unknown 0"


def _first(pattern: str, *command: str) -> str:
    output = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    found = re.search(pattern, output)
    return found[1] if found else "unknown"


def _file_system(directory: Path) -> str:
    """The type of the file system that holds the data."""
    directory = directory.resolve()
    kinds: dict[Path, str] = {}
    for line in Path("/proc/mounts").read_text().splitlines():
        _, mount, kind, *_ = line.split()
        kinds[Path(mount)] = kind
    return next((kinds[path] for path in (directory, *directory.parents) if path in kinds), "unknown")


def _sync_us() -> float:
    """Median of what makes any durable write slow, microseconds."""
    times = []
    with tempfile.TemporaryFile() as file:
        for number in range(_SYNCS):
            started = time.perf_counter()
            os.pwrite(file.fileno(), bytes(4096), number * 4096)
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - started)
    return statistics.median(times) * 1e6
