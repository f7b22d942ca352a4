"""INFO: all fields of Redis 7.4, counters that count."""

import re
from collections.abc import Iterator

import pytest

from tests.conftest import Combination
from tests.services.mariadb import MariaDB
from tests.services.raw_client import RawClient
from tests.services.redis_oracle import RedisOracle
from tests.services.rowdis import Rowdis


@pytest.fixture(scope="module")
def quiet(mariadb: MariaDB) -> Iterator[Rowdis]:
    """A Rowdis that only this module talks to."""
    with Rowdis(mariadb.create_database("rowdis_info")) as server:
        yield server


def info(client: RawClient, *sections: str) -> dict[str, dict[str, str]]:
    """Fields by section."""
    reply = client.call("INFO", *sections).decode().partition("\r\n")[2].removeprefix("txt:")
    found: dict[str, dict[str, str]] = {}
    fields: dict[str, str] = {}
    for line in reply.split("\r\n"):
        if line.startswith("# "):
            fields = found.setdefault(line[2:], {})
        elif line:
            name, _, value = line.partition(":")
            fields[name] = value
    return found


def test_every_field_of_redis_is_there_in_its_section(rowdis: Rowdis, redis74: RedisOracle) -> None:
    with rowdis.client() as ours, redis74.client() as theirs:
        theirs.call("CONFIG", "SET", "appendonly", "yes")
        try:
            real = info(theirs, "everything")
        finally:
            theirs.call("CONFIG", "SET", "appendonly", "no")
        mine = info(ours, "everything")
    assert [section for section in mine if section != "Storage"] == list(real)
    for section, fields in real.items():
        if section in ("Commandstats", "Errorstats", "Latencystats", "Keyspace"):
            continue
        changing = {name for name in fields if name.startswith(("aof_last_rewrite", "aof_base", "listener"))}
        missing = set(fields) - set(mine[section]) - changing
        assert not missing, section


def test_default_sections_leave_out_what_is_long(rowdis: Rowdis, redis74: RedisOracle) -> None:
    with rowdis.client() as ours, redis74.client() as theirs:
        for words in ([], ["default"], ["server"], ["SERVER", "clients"], ["nosuch"], ["all"], ["cpu", "nosuch"]):
            mine = [section for section in info(ours, *words) if section != "Storage"]
            real = list(info(theirs, *words))
            if words == ["all"]:
                # Redis counts the list of modules among what modules make.
                mine.remove("Modules")
                real = [section for section in real if section != "Modules"]
            assert mine == real, words


def test_versions_and_state_are_what_clients_look_for(client: RawClient) -> None:
    found = info(client)
    assert found["Server"]["redis_version"] == "7.4.0"
    assert found["Server"]["rowdis_version"]
    assert found["Persistence"]["loading"] == "0"
    assert found["Replication"]["role"] == "master"
    assert found["Cluster"] == {"cluster_enabled": "0"}
    assert int(found["Memory"]["used_memory"]) > 1_000_000
    assert re.fullmatch(r"\d+\.\d\dM", found["Memory"]["used_memory_human"])


def test_reply_is_verbatim_in_resp3(client: RawClient, combination: Combination) -> None:
    assert client.call("INFO", "cluster") == {
        2: b"$30\r\n# Cluster\r\ncluster_enabled:0\r\n\r\n", 3: b"=34\r\ntxt:# Cluster\r\ncluster_enabled:0\r\n\r\n",
    }[combination.protocol]  # fmt: skip


def test_keyspace_counts_keys_of_each_database(client: RawClient) -> None:
    assert info(client, "keyspace") == {"Keyspace": {}}
    client.pipeline([("SET", "a", 1), ("SET", "b", 1, "EX", 1000), ("SELECT", 3), ("SET", "c", 1), ("SELECT", 0)])
    found = info(client, "keyspace")["Keyspace"]
    assert list(found) == ["db0", "db3"]
    match = re.fullmatch(r"keys=2,expires=1,avg_ttl=(\d+),subexpiry=0", found["db0"])
    assert match is not None
    assert 900_000 < int(match[1]) <= 1_000_000
    assert found["db3"] == "keys=1,expires=0,avg_ttl=0,subexpiry=0"
    client.call("SET", "gone", 1, "PXAT", 1)
    assert info(client)["Keyspace"]["db0"].startswith("keys=2,")
    client.pipeline([("MULTI",), ("SET", "d", 1), ("INFO", "keyspace")])
    assert b"db0:keys=3," in client.call("EXEC")


def test_calls_failures_and_refusals_are_counted_by_command(quiet: Rowdis) -> None:
    with quiet.client() as client:
        client.pipeline([
            ("CONFIG", "RESETSTAT"), ("SET", "a", "x"), ("GET", "a"), ("GET", "absent"), ("GET",), ("INCR", "a"),
            ("NOSUCH",), ("MULTI",), ("GET", "a"), ("INCR", "a"), ("PING",), ("EXEC",), ("CLIENT", "KILL", "ID", "x"),
            ("PING", "a", "b"), ("CLIENT", "NOSUCH"),
        ])  # fmt: skip
        found = info(client, "commandstats", "errorstats", "stats")
    stats = {
        name.removeprefix("cmdstat_"): dict(part.split("=") for part in value.split(","))
        for name, value in found["Commandstats"].items()
    }

    def counts(name: str) -> tuple[str, str, str]:
        row = stats[name]
        return row["calls"], row["rejected_calls"], row["failed_calls"]

    assert counts("get") == ("3", "1", "0")
    assert counts("set") == ("1", "0", "0")
    assert counts("incr") == ("2", "0", "2")
    assert counts("ping") == ("2", "0", "1")
    assert counts("exec") == ("1", "0", "0")
    assert counts("client|kill") == ("1", "0", "1")
    assert all(float(row["usec_per_call"]) > 0 for row in stats.values() if row["calls"] != "0")
    assert found["Errorstats"] == {"errorstat_ERR": "count=7"}
    assert found["Stats"]["total_error_replies"] == "7"
    assert (found["Stats"]["keyspace_hits"], found["Stats"]["keyspace_misses"]) == ("2", "1")


def test_storage_section_counts_units(quiet: Rowdis) -> None:
    with quiet.client() as client:
        before = info(client, "storage")["Storage"]
        client.call("SET", "a", 1)
        client.call("GET", "a")
        after = info(client, "storage")["Storage"]
    assert int(after["storage_writing_units"]) == int(before["storage_writing_units"]) + 1
    assert int(after["storage_units"]) == int(before["storage_units"]) + 3
    assert int(after["storage_pool_in_use"]) >= 1
    named = {"storage_retries", "storage_lost_connections", "storage_commits_resolved", "storage_average_batch"}
    assert named <= set(after)


def test_statistics_begin_at_zero_after_resetstat(quiet: Rowdis) -> None:
    with quiet.client() as client:
        client.call("PING")
        client.call("CONFIG", "RESETSTAT")
        stats = info(client, "stats")["Stats"]
    # RESETSTAT itself is counted before it resets, INFO after.
    assert int(stats["total_commands_processed"]) <= 2
    assert int(stats["total_net_input_bytes"]) < 100
    assert stats["total_connections_received"] == "0"
    assert stats["rejected_connections"] == "0"
