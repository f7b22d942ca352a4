"""The test services themselves: a fault that does not strike, or strikes elsewhere, would prove nothing."""

import threading
from collections.abc import Iterator

import pymysql
import pytest

from tests.conftest import Combination
from tests.services.mariadb import PASSWORD, USER, MariaDB
from tests.services.process import ServiceFailed
from tests.services.proxy import At, FaultProxy, query_with
from tests.services.raw_client import ConnectionClosed, RawClient
from tests.services.redis_oracle import RedisOracle
from tests.services.rowdis import Rowdis

LOST = (pymysql.err.OperationalError, pymysql.err.InterfaceError)


@pytest.fixture(scope="module")
def database(mariadb: MariaDB) -> str:
    mariadb.create_database("services")
    mariadb.execute("CREATE TABLE services.marks (n INT PRIMARY KEY)")
    return "services"


@pytest.fixture
def proxy(mariadb: MariaDB, database: str) -> Iterator[FaultProxy]:
    mariadb.execute("TRUNCATE services.marks")
    with FaultProxy(("127.0.0.1", mariadb.port)) as proxy:
        yield proxy


def connect(proxy: FaultProxy, read_timeout_s: float = 20.0) -> "pymysql.Connection[pymysql.cursors.Cursor]":
    return pymysql.connect(
        host="127.0.0.1",
        port=proxy.port,
        user=USER,
        password=PASSWORD.encode(),
        database="services",
        read_timeout=read_timeout_s,
        ssl_disabled=True,
    )


def marks(mariadb: MariaDB) -> list[int]:
    return [row[0] for row in mariadb.execute("SELECT n FROM services.marks ORDER BY n")]


def write_mark(proxy: FaultProxy, number: int, read_timeout_s: float = 20.0) -> None:
    with connect(proxy, read_timeout_s) as connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO marks VALUES (%s)", (number,))
        cursor.execute("COMMIT")


def connections_of(mariadb: MariaDB) -> int:
    sql = "SELECT COUNT(*) FROM information_schema.processlist WHERE user = %s AND db = 'services'"
    return int(mariadb.execute(sql, [USER])[0][0])


def wait_until_gone(mariadb: MariaDB) -> None:
    """Until the server has noticed every end of a connection, and rolled back or committed."""
    for _ in range(1000):
        if not connections_of(mariadb):
            return
    pytest.fail("the server keeps connections")


def test_proxy_passes_what_no_trap_wants(mariadb: MariaDB, proxy: FaultProxy) -> None:
    write_mark(proxy, 1)
    assert marks(mariadb) == [1]
    with connect(proxy) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT %s", ("x" * 2_000_000,))
        row = cursor.fetchone()
        assert row is not None
        assert len(row[0]) == 2_000_000
        assert proxy.open == 1
    assert proxy.accepted == 2


@pytest.mark.parametrize(
    ("at", "kept"), [(At.BEFORE, []), (At.HALFWAY, []), (At.SENT, [1]), (At.ANSWER, [1])], ids=lambda v: str(v)
)
def test_cut_of_a_commit_loses_it_or_only_its_answer(
    mariadb: MariaDB, proxy: FaultProxy, at: At, kept: list[int]
) -> None:
    cut = proxy.cut(query_with(b"commit"), at)
    with pytest.raises(LOST):
        write_mark(proxy, 1)
    assert cut.wait()[1:] == b"COMMIT"
    wait_until_gone(mariadb)
    assert marks(mariadb) == kept
    write_mark(proxy, 2)
    assert cut.count == 1
    assert marks(mariadb) == [*kept, 2]


def test_packet_held_back_arrives_after_the_client_has_written_again(mariadb: MariaDB, proxy: FaultProxy) -> None:
    held = proxy.hold(query_with(b"COMMIT"))
    with pytest.raises(LOST):
        write_mark(proxy, 1)
    held.wait()
    write_mark(proxy, 2)
    assert marks(mariadb) == [2]
    held.deliver()
    for _ in range(1000):
        if marks(mariadb) == [1, 2]:
            return
    pytest.fail("the packet was not delivered")


def test_stalled_proxy_passes_nothing_until_it_is_resumed(mariadb: MariaDB, proxy: FaultProxy) -> None:
    with connect(proxy, read_timeout_s=0.2) as connection, connection.cursor() as cursor:
        proxy.stall()
        with pytest.raises(LOST):
            cursor.execute("INSERT INTO marks VALUES (1)")
    writer = threading.Thread(target=write_mark, args=(proxy, 2))
    writer.start()
    assert marks(mariadb) == []
    proxy.resume()
    writer.join(20)
    assert 2 in marks(mariadb)


def test_closed_port_refuses_and_cut_all_breaks(proxy: FaultProxy) -> None:
    with connect(proxy) as connection, connection.cursor() as cursor:
        proxy.close_port()
        cursor.execute("SELECT 1")
        with pytest.raises(LOST):
            connect(proxy)
        proxy.cut_all()
        with pytest.raises(LOST):
            cursor.execute("SELECT 1")
    proxy.open_port()
    connect(proxy).close()


def test_killed_mariadb_keeps_what_was_committed_and_its_port() -> None:
    with MariaDB() as server:
        url = server.create_database("kept")
        server.execute("CREATE TABLE kept.t (n INT PRIMARY KEY)")
        server.execute("INSERT INTO kept.t VALUES (7)")
        server.kill9()
        assert not server.process.running
        server.restart()
        assert server.url("kept") == url
        assert server.execute("SELECT n FROM kept.t") == ((7,),)
        assert server.execute("SELECT @@innodb_flush_log_at_trx_commit") == ((1,),)


REPLIES: list[tuple[tuple[bytes | str | int, ...], bytes]] = [
    (("SET", "k", b"a\r\nb\x00"), b"+OK\r\n"),
    (("GET", "k"), b"$5\r\na\r\nb\x00\r\n"),
    (("GET", "absent"), b"_\r\n"),
    (("HSET", "h", "f", "v"), b":1\r\n"),
    (("HGETALL", "h"), b"%1\r\n$1\r\nf\r\n$1\r\nv\r\n"),
    (("SMEMBERS", "absent"), b"~0\r\n"),
    (("ZADD", "z", "1.5", "m"), b":1\r\n"),
    (("ZSCORE", "z", "m"), b",1.5\r\n"),
    (
        ("DEBUG", "PROTOCOL", "attrib"),
        b"|1\r\n$14\r\nkey-popularity\r\n*2\r\n$7\r\nkey:123\r\n:90\r\n"
        b"$39\r\nSome real reply following the attribute\r\n",
    ),
    (("DEBUG", "PROTOCOL", "bignum"), b"(1234567999999999999999999999999999999\r\n"),
    (("DEBUG", "PROTOCOL", "true"), b"#t\r\n"),
    (("DEBUG", "PROTOCOL", "verbatim"), b"=29\r\ntxt:This is a verbatim\nstring\r\n"),
    (("GET",), b"-ERR wrong number of arguments for 'get' command\r\n"),
]


def test_raw_client_reads_each_kind_of_reply_exactly(oracle: RedisOracle) -> None:
    with RedisOracle(["--enable-debug-command", "yes"]) as server, server.client(3) as client:
        assert client.pipeline([command for command, _ in REPLIES]) == [reply for _, reply in REPLIES]


def test_raw_client_finds_the_end_of_a_reply_that_comes_in_pieces(oracle: RedisOracle) -> None:
    with oracle.client() as client:
        value = bytes(range(256)) * 5000
        client.send("SET", "big", value)
        client.send("GET", "big")
        assert client.read() == b"+OK\r\n"
        assert client.read() == b"$%d\r\n%b\r\n" % (len(value), value)
        assert client.silent(0.01)


def test_raw_client_says_that_the_server_closed(oracle: RedisOracle) -> None:
    with RawClient(oracle.unix_socket) as client:
        client.send_raw(b"*1\r\n+x\r\n")
        assert client.read() == b"-ERR Protocol error: expected '$', got '+'\r\n"
        with pytest.raises(ConnectionClosed):
            client.read()
    with RawClient(oracle.unix_socket) as client:
        client.send("PING")
        client.shut_down_writing()
        assert client.read_to_end() == b"+PONG\r\n"


def test_redis_7_4_is_what_its_name_says(redis74: RedisOracle) -> None:
    with redis74.client() as client:
        assert b"\r\nredis_version:7.4." in client.call("INFO", "server")
        assert client.call("HSET", "h", "f", "v") == b":1\r\n"
        assert client.call("HPERSIST", "h", "FIELDS", 1, "f") == b"*1\r\n:-1\r\n"


def test_valkey_knows_what_redis_7_0_does_not(valkey: RedisOracle) -> None:
    with valkey.client(3) as client:
        client.call("HSET", "h", "f", "v")
        assert client.call("HEXPIRE", "h", 100, "FIELDS", 1, "f") == b"*1\r\n:1\r\n"


def test_rowdis_is_started_stopped_killed_and_started_again() -> None:
    with Rowdis() as server:
        assert server.call("SET", "k", "v") == b"+OK\r\n"
        assert len(server.engine_pids) == 1
        assert server.rss_bytes() > 10_000_000
        server.stop()
        assert server.process.exit_code == 0
        server.start()
        server.kill9()
        server.start()
        assert server.call("GET", "k") == b"$1\r\nv\r\n"
        assert "Ready to accept connections" in server.log()


def test_client_and_oracle_client_speak_the_same_protocol(
    client: RawClient, oracle_client: RawClient, combination: Combination
) -> None:
    null = b"$-1\r\n" if combination.protocol == 2 else b"_\r\n"
    assert client.call("GET", "absent") == oracle_client.call("GET", "absent") == null


def test_program_that_ends_at_once_shows_its_log() -> None:
    server = Rowdis("nonsense://")
    try:
        with pytest.raises(ServiceFailed, match="ended at its start") as caught:
            server.start()
        assert "URL" in str(caught.value)
    finally:
        server.close()
