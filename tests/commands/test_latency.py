"""LATENCY and the distributions of INFO, compared with Redis 7.4 where times do not matter."""

import re
from collections.abc import Iterator
from typing import Any

import hiredis
import pytest

from tests.commands.conftest import Play
from tests.commands.masks import shaped
from tests.commands.scenarios import Scenario, scenario, scenarios
from tests.services.mariadb import MariaDB
from tests.services.raw_client import RawClient
from tests.services.redis_oracle import RedisOracle
from tests.services.rowdis import Rowdis


@pytest.fixture(scope="module")
def quiet(mariadb: MariaDB) -> Iterator[Rowdis]:
    """A Rowdis that only this module talks to."""
    with Rowdis(mariadb.create_database("rowdis_latency"), ["--enable-debug-command", "yes"]) as server:
        yield server


@pytest.fixture(scope="module")
def sleepy() -> Iterator[RedisOracle]:
    """A redis-server that lets DEBUG be used."""
    with RedisOracle(["--enable-debug-command", "yes"]) as server:
        yield server


def ask(client: RawClient, *words: str | int | float) -> Any:
    reader = hiredis.Reader(encoding="utf-8")
    reader.feed(client.call(*words))
    return reader.gets()


@scenarios(
    scenario("arguments are checked", "LATENCY", "LATENCY NOSUCH", "LATENCY LATEST a", "LATENCY HISTORY",
             "LATENCY HISTORY a b", "LATENCY GRAPH", "LATENCY DOCTOR a", "LATENCY HELP a",
             "CONFIG SET latency-monitor-threshold -1", "CONFIG SET latency-tracking maybe",
             "CONFIG SET latency-tracking-info-percentiles 101", "CONFIG GET latency-monitor-threshold"),
    scenario("nothing happened", "LATENCY RESET", "LATENCY LATEST", "LATENCY HISTORY command", "LATENCY HISTORY nosuch",
             "LATENCY RESET", "LATENCY RESET a b", "LATENCY GRAPH nosuch", "LATENCY HISTOGRAM nosuch",
             ("LATENCY", "GRAPH", b"a\xffb")),
    scenario("HELP", shaped("LATENCY HELP")),
)  # fmt: skip
def test_latency(play: Play, case: Scenario) -> None:
    play(case)


def test_slow_commands_become_samples_as_in_redis(quiet: Rowdis, sleepy: RedisOracle) -> None:
    told = []
    for server in (quiet, sleepy):
        with server.client(3) as client:
            client.pipeline([("CONFIG", "SET", "latency-monitor-threshold", 200), ("LATENCY", "RESET")])
            client.call("DEBUG", "SLEEP", "0.3")
            client.call("GET", "a")
            ((name, latest_s, last_ms, worst_ms),) = ask(client, "LATENCY", "LATEST")
            assert 300 <= last_ms == worst_ms < 10_000
            assert ask(client, "LATENCY", "HISTORY", "command") == [[latest_s, last_ms]]
            graph = client.call("LATENCY", "GRAPH", "command")
            drawn = re.sub(rb"\d+ ms", b"MS", graph.partition(b"\r\n")[2])
            told.append((name, re.sub(rb"\d", b"0", drawn), client.call("LATENCY", "RESET", "command", "command", "x")))
            assert ask(client, "LATENCY", "LATEST") == []
            client.call("CONFIG", "SET", "latency-monitor-threshold", 0)
            client.call("DEBUG", "SLEEP", "0.2")
            assert ask(client, "LATENCY", "LATEST") == []
    assert told[0] == told[1]
    assert told[0][0] == "command"


def test_doctor_tells_of_spikes_and_of_being_off(quiet: Rowdis) -> None:
    with quiet.client(3) as client:
        assert client.call("LATENCY", "DOCTOR").partition(b"\r\n")[2].startswith(b"txt:Latency is not monitored")
        client.call("CONFIG", "SET", "latency-monitor-threshold", 100)
        assert b"No event took 100 ms" in client.call("LATENCY", "DOCTOR")
        client.call("DEBUG", "SLEEP", "0.15")
        assert b"1. command: 1 latency spikes" in client.call("LATENCY", "DOCTOR")
        client.pipeline([("LATENCY", "RESET"), ("CONFIG", "SET", "latency-monitor-threshold", 0)])


def test_histogram_counts_calls_and_follows_containers(quiet: Rowdis, redis74: RedisOracle) -> None:
    shapes = []
    for server in (quiet, redis74):
        with server.client(3) as client:
            client.call("CONFIG", "RESETSTAT")
            client.pipeline([("SET", "a", 1), ("GET", "a"), ("GET", "b"), ("CLIENT", "ID"), ("CLIENT", "GETNAME")])
            client.pipeline([("MULTI",), ("GET", "a"), ("PING",), ("EXEC",), ("GET",), ("NOSUCH",)])
            found = ask(client, "LATENCY", "HISTOGRAM", "get", "GET", "set", "client", "nosuch", "ping", "config|get")
            for row in found.values():
                counts = list(row["histogram_usec"].values())
                assert counts == sorted(counts)
                assert counts[-1] == row["calls"]
            shapes.append({name: row["calls"] for name, row in found.items()})
            everything = ask(client, "LATENCY", "HISTOGRAM")
            assert {"exec", "multi", "config|resetstat", "latency|histogram"} <= set(everything)
            assert "nosuch" not in everything
    assert shapes[0] == shapes[1] == {"get": 3, "set": 1, "client|id": 1, "client|getname": 1, "ping": 1}


def test_bounds_of_histograms_are_those_of_redis(quiet: Rowdis, sleepy: RedisOracle) -> None:
    bounds = []
    for server in (quiet, sleepy):
        with server.client(3) as client:
            client.call("CONFIG", "RESETSTAT")
            client.call("DEBUG", "SLEEP", "0.2")
            bounds.append(ask(client, "LATENCY", "HISTOGRAM", "debug"))
    assert bounds[0] == bounds[1] == {"debug": {"calls": 1, "histogram_usec": {270532: 1}}}


def test_info_tells_percentiles_while_times_are_tracked(quiet: Rowdis) -> None:
    with quiet.client() as client:
        client.pipeline([("CONFIG", "RESETSTAT"), ("GET", "a"), ("CLIENT", "ID"), ("DEBUG", "SLEEP", "0.2")])
        found = client.call("INFO", "latencystats").decode()
        match = re.search(r"\r\nlatency_percentiles_usec_debug:p50=([\d.]+),p99=([\d.]+),p99.9=([\d.]+)\r\n", found)
        assert match is not None
        assert all(100_000 < float(value) < 1_000_000 for value in match.groups())
        assert "latency_percentiles_usec_client|id:p50=" in found
        client.call("CONFIG", "SET", "latency-tracking-info-percentiles", "0 12.5 100")
        assert re.search(r"_get:p0=[\d.]+,p12\.5=[\d.]+,p100=[\d.]+\r\n", client.call("INFO", "latencystats").decode())
        client.call("CONFIG", "SET", "latency-tracking", "no")
        assert client.call("INFO", "latencystats") == b"$16\r\n# Latencystats\r\n\r\n"
        client.pipeline([("GET", "a")] * 3)
        client.pipeline([
            ("CONFIG", "SET", "latency-tracking", "yes"),
            ("CONFIG", "SET", "latency-tracking-info-percentiles", "50 99 99.9"),
        ])  # fmt: skip
        with quiet.client(3) as other:
            assert ask(other, "LATENCY", "HISTOGRAM", "get")["get"]["calls"] == 1


def test_slow_batches_are_an_event_of_their_own(quiet: Rowdis, mariadb: MariaDB) -> None:
    """A row that another transaction holds keeps a command waiting: the database is slow, and the command waited."""
    with quiet.client() as client:
        client.pipeline([("CONFIG", "SET", "latency-monitor-threshold", 1), ("LATENCY", "RESET")])
        # Rows by the ten thousand take more than a millisecond to write.
        client.call("RPUSH", "list", *range(10_000))
        names = [event[0] for event in ask(client, "LATENCY", "LATEST")]
        client.pipeline([("CONFIG", "SET", "latency-monitor-threshold", 0), ("LATENCY", "RESET")])
    assert "storage-batch" in names
