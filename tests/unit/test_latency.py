"""Samples, distributions and the graph of LATENCY."""

from hypothesis import given
from hypothesis import strategies as st

from server.latency import BUCKETS, MAX_SAMPLES, Event, LatencyMonitor, cumulative, graph, percentile_us

DURATIONS_NS = st.lists(st.integers(0, 2**40), min_size=1, max_size=50)


def counted(durations_ns: list[int]) -> list[int]:
    buckets = [0] * BUCKETS
    for duration_ns in durations_ns:
        buckets[duration_ns.bit_length()] += 1
    return buckets


def test_one_second_has_one_sample_the_worst() -> None:
    event = Event()
    for second, took_ms in ((1, 5), (1, 9), (1, 2), (2, 3)):
        event.add(second, took_ms)
    assert list(event.samples) == [(1, 9), (2, 3)]
    assert event.worst_ms == 9


def test_old_samples_are_forgotten_and_the_worst_is_not() -> None:
    event = Event()
    event.add(0, 1000)
    for second in range(1, MAX_SAMPLES + 1):
        event.add(second, 1)
    assert len(event.samples) == MAX_SAMPLES
    assert event.samples[0] == (1, 1)
    assert event.worst_ms == 1000


def test_events_are_forgotten_by_name_or_all() -> None:
    monitor = LatencyMonitor()
    monitor.add("a", 1)
    monitor.add("b", 1)
    assert monitor.reset(["a", "a", "nosuch"]) == 1
    assert monitor.reset([]) == 1
    assert monitor.events == {}


def test_bounds_are_rounded_as_redis_rounds_them() -> None:
    found = cumulative(counted([0, 1000, 5_000, 30_000, 100_000, 2_000_000]))
    assert found == [(1, 2), (8, 3), (33, 4), (132, 5), (2113, 6)]
    assert cumulative([0] * BUCKETS) == []


@given(DURATIONS_NS)
def test_cumulative_counts_grow_to_all(durations_ns: list[int]) -> None:
    found = cumulative(counted(durations_ns))
    assert [count for _, count in found] == sorted({count for _, count in found})
    assert found[-1][1] == len(durations_ns)
    for bound_us, count in found:
        # A bound is told a little higher than it is.
        assert sum(duration_ns < bound_us * 990 for duration_ns in durations_ns) <= count


@given(DURATIONS_NS, st.floats(0, 100))
def test_percentile_is_wrong_by_a_factor_of_two_at_most(durations_ns: list[int], percent: float) -> None:
    ordered = sorted(durations_ns)
    rank = max(percent / 100 * len(ordered), 1.0)
    # The duration at this rank; between two ranks it is the upper one's bucket.
    exact_ns = ordered[-int(-rank // 1) - 1]
    found_ns = percentile_us(counted(durations_ns), percent) * 1000
    assert exact_ns / 2 - 1 <= found_ns <= exact_ns * 2 + 1


def test_graph_draws_a_column_for_each_sample() -> None:
    event = Event()
    for second, took_ms in ((0, 2), (60, 12), (3500, 4), (3590, 50), (3600, 30)):
        event.add(second, took_ms)
    assert graph("command", event, 3600) == (
        "command - high 50 ms, low 2 ms (all time high 50 ms)\n" + "-" * 80 + "\n"
        "   # \n   |o\n   ||\n_#_||\n     \n15110\nh9m0s\n m s \n"
    )


def test_graph_of_equal_samples_is_flat() -> None:
    event = Event()
    event.add(1, 7)
    assert graph("a", event, 100_001).splitlines()[2:] == [" ", " ", " ", "_", " ", "1", "d"]
