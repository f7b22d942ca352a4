"""Real Node.js programs do their work on Rowdis: what each of their steps has found is what it must find.

The programs check what they do as they go; what they tell is compared here. The default run has those on which most
applications stand, `make test-acceptance` and `make test-long` have all of them.
"""

import pytest

from tests.acceptance.node import programs

all_of_them = pytest.mark.skipif(not programs.ALL, reason="runs in make test-acceptance and make test-long")

_MESSAGES = [["news", "first"], ["n*", "news", "first"], ["sports", "second"], ["n*", "nobody", "third"],
             ["sports", "in a transaction"]]  # fmt: skip


def test_ioredis(port: int) -> None:
    assert programs.run("ioredis.mjs", port) == {
        "pipeline": {"replies": 4000},
        "multi": {"value": "changed"},
        "values": {"distance": "166.2742", "ttl": True},
        "replies_of_resp3": {"hash": {"field": "value"}, "score": 1.5},
        "pub_sub": _MESSAGES,
        "shards": [["orders", "one"]],
        "subscriptions_survive_a_lost_connection": [["lost", "again"]],
        "stream_with_a_consumer_group": {"pending": 7, "length": 52, "group": ["name", "workers", "consumers", 3]},
        "blocking_pops": {"from": ["y", "z"], "to": ["x"]},
        "scan_streams": {"found": 500},
        "auto_pipelining": ["2", "WRONGTYPE", "3"],
        "prefixes": ["app:key", "app:other", "app:set"],
        "databases": {"there": "one", "left": 0},
        "keyspace_notifications": [["noted", "set"], ["noted", "expire"], ["noted", "expired"]],
        "scripts": {"count": 2, "left": "2"},
    }


def test_bullmq(port: int) -> None:
    assert programs.run("bullmq.mjs", port) == {
        "results_of_a_worker_process": {"state": "completed", "counts": {"completed": 51}},
        "every_job_is_done_once": {"workers": 3, "counts": {"completed": 150}},
        "delayed_and_promoted": ["soon", "later", "in an hour"],
        "priorities": ["lifo", "priority 0", "priority 1", "priority 1", "priority 2", "changed", "priority 3"],
        "retries_with_backoff": {"state": "failed", "reason": "no way", "counts": {"completed": 1, "failed": 1}},
        "rate_limiter": {"done": 6},
        "parents_wait_for_children": {
            "total": 67,
            "processed": [1, 2, 64],
            "tree": 3,
            "children": {"completed": 5},
        },
        "a_failed_child_fails_its_parent": {"state": "failed"},
        "schedulers": {"listed": True, "left": 0, "counts": {"completed": 4}},
        "events_of_a_job": ["paused", "added", "waiting", "resumed", "active", "completed", "drained", "removed"],
        "duplicates_are_dropped": {"alike": 1, "counts": {"wait": 2}},
        "a_killed_process_loses_no_job": {"result": "done at start 2", "counts": {"completed": 1}},
        "clean_drain_obliterate": {"drained": {"completed": 5, "delayed": 4}, "keys": []},
    }


@all_of_them
@pytest.mark.parametrize("protocol", [2, 3])
def test_node_redis(port: int, protocol: int) -> None:
    expected = {
        "commands": {"resp": protocol, "library": "node-redis", "ttl": True},
        "multi": {"value": "text", "mixed": ["OK", "error", "text"]},
        "pub_sub": [
            ["news", "first"], ["pattern", "news", "first"], ["sports", "second"], ["news", "third"],
            ["pattern", "news", "third"],
        ],
        "shards": [["orders", "one"]],
        "scan_iterators": {"found": 500},
        "stream_with_a_consumer_group": {"pending": 0, "length": 20, "lag": 0},
        "blocking_pops_from_a_pool": ["0", "1", "2", "3"],
        "a_lost_connection": ["again"],
        "scripts": [1, "two", [3, None], 4],
        "functions": {"total": 10, "library_name": "counting", "functions": 1},
    }  # fmt: skip
    if protocol == 3:
        expected["client_side_cache"] = {"hitCount": 2, "missCount": 1}
    assert programs.run("node_redis.mjs", port, str(protocol)) == expected


@all_of_them
def test_socketio(port: int) -> None:
    """Two server processes, with each of the adapters for Redis."""
    done = {"answers": 4, "silent": True}
    assert programs.run("socketio.mjs", port) == {
        "pubsub": done,
        "sharded_pubsub": done,
        "streams": done,
        "what_a_client_missed_is_given_to_it_later": {"recovered": True, "same": True, "missed": ["meanwhile"]},
    }


@all_of_them
def test_connect_redis(port: int) -> None:
    assert programs.run("connect_redis.mjs", port) == {
        "visits_are_counted": {"visits": 2, "ttl": True},
        "another_application_knows_the_visitor": {"visits": 3},
        "many_visitors": {"sessions": 31, "visits": 63},
        "a_visitor_leaves": {"sessions": 30, "visits": 0},
        "a_session_expires": {"visits": 0},
        "all_sessions_are_removed": {"sessions": 0},
    }
