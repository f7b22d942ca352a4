"""How many round trips commands on consumer groups take; what they answer is compared in tests/commands."""

from collections.abc import Sequence

import pytest

import server.commands  # noqa: F401  (declares all commands)
from server.registry import find
from server.run import Run
from server.session import Session
from server.workers import body_of, plan_of
from tests.integration.conftest import Store

GROUPS, CONSUMERS = 5, 7


def execute(store: Store, *words: str) -> None:
    """A command in a unit of its own."""
    request = [word.encode() for word in words]
    run = Run(Session.__new__(Session), 2)
    run.add(find(request), request, 0)
    store.run(plan_of([run]), body_of([run], True))
    assert not run.failures, run.failures


@pytest.fixture
def stream(store: Store) -> None:
    """A stream with groups of consumers that have something pending each."""
    for number in range(CONSUMERS):
        execute(store, "XADD", "s", f"{number + 1}-1", "field", "value")
    for group in range(GROUPS):
        execute(store, "XGROUP", "CREATE", "s", f"g{group}", "0")
        for consumer in range(CONSUMERS):
            execute(store, "XREADGROUP", "GROUP", f"g{group}", f"c{consumer}", "COUNT", "1", "STREAMS", "s", ">")


@pytest.mark.parametrize(
    ("words", "count"),
    [
        # The keys; the group where one is named; what is asked for; COMMIT of the snapshot.
        (("XPENDING", "s", "g0"), 4),
        (("XPENDING", "s", "g0", "-", "+", "10"), 5),
        (("XPENDING", "s", "g0", "(9-9", "+", "10"), 4),
        (("XINFO", "CONSUMERS", "s", "g0"), 4),
        (("XINFO", "GROUPS", "s"), 3),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, tuple) else None,
)
@pytest.mark.usefixtures("stream")
def test_what_belongs_together_is_read_in_one_trip(
    store: Store, trips: list[list[str]], words: Sequence[str], count: int
) -> None:
    trips.clear()
    execute(store, *words)
    assert len(trips) == count, trips
