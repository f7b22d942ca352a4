"""Resident memory of processes, as Linux tells it."""

from __future__ import annotations

from pathlib import Path


def resident_bytes(pid: int) -> int:
    """Resident memory now."""
    return _field(pid, "VmRSS")


def peak_bytes(pid: int) -> int:
    """The most resident memory since the start or the last `forget_peak`."""
    return _field(pid, "VmHWM")


def forget_peak(pid: int) -> None:
    """Begin a new peak at what is resident now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def _field(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        label, _, value = line.partition(":")
        if label == name:
            return int(value.split()[0]) * 1024
    raise ProcessLookupError(f"process {pid} has ended")
