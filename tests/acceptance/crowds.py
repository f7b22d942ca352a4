"""What the tests with very many clients share: how many there are, files for them, what they may cost."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.acceptance.large import LONG

CLIENTS = 10_000 if LONG else 1000
BYTES_EACH = 64 * 1024
"""What one client more may cost in memory."""
CONNECTING = 500
"""Connections that are made at a time: fewer than wait for being accepted."""


@contextmanager
def many_files() -> Iterator[None]:
    """As many descriptors as clients; servers inherit the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CLIENTS + 1000
    if soft != resource.RLIM_INFINITY and soft < wanted:
        if hard != resource.RLIM_INFINITY and hard < wanted:
            pytest.skip(f"only {hard} files may be open here")
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
