"""Scripts that were seen only to read are run like commands that read, until they want to write."""

import hashlib
from collections.abc import Callable

import pytest

from tests.services.raw_client import RawClient
from tests.services.rowdis import Rowdis

Seen = Callable[[str], str]


@pytest.fixture
def seen(rowdis: Rowdis, request: pytest.FixtureRequest) -> Seen:
    """Gives the SHA-1 of a script, new to the server, that has run once with the key "q" and the argument "r"."""

    def load(script: str) -> str:
        body = f"{script} -- {request.node.name}"
        with rowdis.client() as client:
            client.call("FLUSHALL")
            client.call("SCRIPT", "LOAD", body)
            assert not client.call("EVALSHA", sha(body), 1, "q", "r").startswith(b"-")
        return sha(body)

    return load


def sha(script: str) -> str:
    return hashlib.sha1(script.encode()).hexdigest()


def writing_units(client: RawClient) -> int:
    return int(client.call("INFO", "storage").split(b"storage_writing_units:")[1].split(b"\r\n")[0])


#: It writes if its argument is "w".
EITHER = "if ARGV[1] == 'w' then redis.call('rpush', KEYS[1], 'x') end return redis.call('llen', KEYS[1])"


def test_a_script_that_only_reads_takes_no_unit_that_writes(rowdis: Rowdis, seen: Seen) -> None:
    scripts = [seen(script) for script in (
        "return redis.call('get', KEYS[1])", "return {redis.call('get', KEYS[1]), redis.call('hgetall', 'other')}",
        "return redis.call('exists', 'other', KEYS[1])", EITHER,
    )]  # fmt: skip
    with rowdis.client() as client:
        before = writing_units(client)
        for _ in range(2):
            replies = [client.call("EVALSHA", script, 1, "q", "r") for script in scripts]
            assert replies == [b"$-1\r\n", b"*2\r\n$-1\r\n*0\r\n", b":0\r\n", b":0\r\n"]
        client.pipeline([["MULTI"], ["EVALSHA", scripts[0], 1, "q"], ["GET", "q"], ["EXEC"]])
        client.call("EVAL", "return 1", 0)
        client.call("EVAL", "return 1", 0)
        assert writing_units(client) == before + 1


def test_a_script_that_writes_after_all_is_run_again(rowdis: Rowdis, seen: Seen) -> None:
    script = seen(EITHER)
    with rowdis.client() as client:
        replies = client.pipeline([
            ["LLEN", "q"], ["EVALSHA", script, 1, "q", "r"], ["EVALSHA", script, 1, "q", "w"], ["LLEN", "q"],
            ["EVALSHA", script, 1, "q", "w"], ["LRANGE", "q", 0, -1],
        ])  # fmt: skip
        assert replies == [b":0\r\n", b":0\r\n", b":1\r\n", b":1\r\n", b":2\r\n", b"*2\r\n$1\r\nx\r\n$1\r\nx\r\n"]


def test_protected_calls_do_not_hide_that_it_writes(rowdis: Rowdis, seen: Seen) -> None:
    script = seen("if ARGV[1] == 'w' then return {pcall(redis.pcall, 'set', KEYS[1], 'x')} end")
    with rowdis.client() as client:
        assert client.call("EVALSHA", script, 1, "q", "w") == b"*2\r\n:1\r\n+OK\r\n"
        assert client.call("GET", "q") == b"$1\r\nx\r\n"


def test_in_a_transaction_all_is_run_again(rowdis: Rowdis, seen: Seen) -> None:
    script = seen(EITHER)
    with rowdis.client() as client, rowdis.client() as other:
        for expected in (b":1\r\n", None):
            client.call("DEL", "q")
            client.call("WATCH", "watched")
            if expected is None:
                other.call("SET", "watched", "changed")
            replies = client.pipeline([
                ["MULTI"], ["LLEN", "q"], ["EVALSHA", script, 1, "q", "w"], ["LLEN", "q"], ["EXEC"],
            ])  # fmt: skip
            assert replies[-1] == (b"*-1\r\n" if expected is None else b"*3\r\n:0\r\n:1\r\n:1\r\n")


def test_its_message_goes_out_once(rowdis: Rowdis, seen: Seen) -> None:
    script = seen("if ARGV[1] == 'w' then redis.call('publish', 'c', 'm') redis.call('incr', KEYS[1]) end")
    with rowdis.client() as client, rowdis.client() as listener:
        listener.call("SUBSCRIBE", "c")
        client.pipeline([["GET", "q"], ["EVALSHA", script, 1, "q", "w"]])
        client.call("PUBLISH", "c", "end")
        assert [listener.read().split(b"\r\n")[-2] for _ in range(2)] == [b"m", b"end"]
        assert client.call("GET", "q") == b"$1\r\n1\r\n"


def test_who_waits_for_a_key_is_given_what_it_writes(rowdis: Rowdis, seen: Seen) -> None:
    script = seen(EITHER)
    with rowdis.client() as client, rowdis.client() as waiter:
        waiter.send("BLPOP", "q", 30)
        while b"cmd=blpop" not in client.call("CLIENT", "LIST"):
            pass
        client.call("EVALSHA", script, 1, "q", "w")
        assert waiter.read() == b"*2\r\n$1\r\nq\r\n$1\r\nx\r\n"


def test_it_waits_for_the_end_of_a_pause_like_a_script_that_writes(rowdis: Rowdis, seen: Seen) -> None:
    script = seen(EITHER)
    with rowdis.client() as client, rowdis.client() as other:
        client.call("CLIENT", "PAUSE", 60_000, "WRITE")
        other.send("EVALSHA", script, 1, "q", "r")
        assert other.silent(0.3)
        client.call("CLIENT", "UNPAUSE")
        assert other.read() == b":0\r\n"
