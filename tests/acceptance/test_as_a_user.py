"""The program as its users start and use it: redis-cli, redis-benchmark, redis-py, wrong flags."""

import asyncio
import shutil
import socket
import subprocess
import sys

import pytest
import redis
import redis.asyncio

from tests.services.rowdis import REPOSITORY, Rowdis


def _program(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "server", *words]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False)


def _tool(name: str, rowdis: Rowdis, *words: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed")
    done = subprocess.run(
        [path, "-p", str(rowdis.port), *words], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_redis_cli(mariadb_rowdis: Rowdis) -> None:
    assert _tool("redis-cli", mariadb_rowdis, "SET", "greeting", "hello").strip() == "OK"
    assert _tool("redis-cli", mariadb_rowdis, "-3", "GET", "greeting").strip() == "hello"
    assert "unknown command" in _tool("redis-cli", mariadb_rowdis, "NONSENSE")


@pytest.mark.parametrize("pipeline", ["1", "16"])
def test_redis_benchmark_meets_no_error(mariadb_rowdis: Rowdis, pipeline: str) -> None:
    """redis-benchmark ends at the first error reply."""
    words = ("-q", "-n", "2000", "-r", "1000", "-c", "20", "-P", pipeline, "-t", "ping,set,get,incr,mset")
    output = _tool("redis-benchmark", mariadb_rowdis, *words)
    for name in ("PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "MSET"):
        assert name in output
    assert "ERR" not in output


@pytest.mark.parametrize("protocol", [2, 3])
def test_redis_py(mariadb_rowdis: Rowdis, protocol: int) -> None:
    with redis.Redis(
        host="127.0.0.1", port=mariadb_rowdis.port, protocol=protocol, decode_responses=True, client_name="acceptance"
    ) as client:
        client.flushall()
        assert client.set("a", "1", ex=100)
        assert client.incrby("a", 41) == 42
        assert 0 < client.ttl("a") <= 100
        with client.pipeline() as pipe:
            assert pipe.get("a").delete("a").exists("a").execute() == ["42", 1, 0]
        client.mset({f"key:{n}": n for n in range(500)})
        assert sorted(client.scan_iter(match="key:*", count=50)) == sorted(f"key:{n}" for n in range(500))
        assert client.info("server")["redis_version"] == "7.4.0"
        assert client.client_getname() == "acceptance"
        assert any(entry["name"] == "acceptance" for entry in client.client_list())


def test_redis_py_optimistic_lock(mariadb_rowdis: Rowdis) -> None:
    """The WATCH loop of redis-py: a rival's write makes it try again."""
    with redis.Redis(host="127.0.0.1", port=mariadb_rowdis.port, decode_responses=True) as client:
        client.set("balance", 10)
        tries = 0

        def double(pipe: redis.client.Pipeline) -> None:
            nonlocal tries
            tries += 1
            now = int(pipe.get("balance"))
            if tries == 1:
                client.incr("balance")
            pipe.multi()
            pipe.set("balance", now * 2)

        client.transaction(double, "balance")
        assert (tries, client.get("balance")) == (2, "22")


def test_redis_py_asyncio_with_many_clients(mariadb_rowdis: Rowdis) -> None:
    async def main() -> int:
        client = redis.asyncio.Redis(host="127.0.0.1", port=mariadb_rowdis.port, max_connections=1000)
        await client.delete("total")
        await asyncio.gather(*(client.incr("total") for _ in range(1000)))
        total = int(await client.get("total"))
        await client.aclose()
        return total

    assert asyncio.run(main()) == 1000


def test_ping_of_the_program_itself(mariadb_rowdis: Rowdis) -> None:
    assert _program("ping", "--port", str(mariadb_rowdis.port)).returncode == 0
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        assert _program("ping", "--port", str(unused.getsockname()[1])).returncode == 1


def test_help_and_version() -> None:
    assert "--requirepass" in _program("--help").stdout
    assert _program("--version").stdout.startswith("rowdis ")


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("--prot", "6380"), 2, "--prot"),
        (("--port", "banana"), 2, "port"),
        (("--database", "postgres://localhost/x"), 2, "database"),
        (("/no/such/rowdis.conf",), 2, "/no/such/rowdis.conf"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_clear_line(words: tuple[str, ...], code: int, text: str) -> None:
    done = _program(*words)
    assert done.returncode == code
    assert len(done.stderr.strip().splitlines()) == 1
    assert text in done.stderr


def test_a_port_that_is_taken_is_one_clear_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = _program("--port", port, "--bind", "127.0.0.1", "--database", "mysql://nobody@127.0.0.1:1/nothing")
    assert done.returncode == 1
    lines = [line for line in done.stdout.splitlines() if "ERROR" in line]
    assert len(lines) == 1
    assert port in lines[0]
