"""Starting where something is wrong: one clear line and an exit code, or patience until the database is there."""

import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from tests.fault.world import OK, World, bulk, problems
from tests.services.mariadb import PASSWORD, MariaDB
from tests.services.process import clean_environment, free_port, wait_until
from tests.services.proxy import FaultProxy
from tests.services.rowdis import REPOSITORY, Rowdis


def run(*words: str, limit_s: float = 30, directory: Path | None = None) -> tuple[int, list[str]]:
    """Run the program to its end: exit code, and the lines it wrote."""
    done = subprocess.run(
        [sys.executable, "-m", "server", *words],
        cwd=directory or REPOSITORY,
        env=clean_environment(PYTHONPATH=str(REPOSITORY)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=limit_s,
        check=False,
    )
    return done.returncode, done.stdout.splitlines()


def serve(database: str, *words: str, port: int = 0) -> tuple[int, list[str]]:
    return run("--port", str(port or free_port()), "--bind", "127.0.0.1", "--database", database, *words)


def assert_one_line(lines: list[str], *parts: str) -> None:
    """The user reads one line that says it all, and no traceback."""
    text = "\n".join(lines)
    assert "Traceback" not in text, text
    assert len(lines) <= 2, text
    for part in parts:
        assert part in text, text
    assert PASSWORD not in text


class Replacing:
    """A proxy that replaces some bytes that clients send by others, as many; the context gives its port."""

    def __init__(self, target_port: int, old: bytes, new: bytes) -> None:
        assert len(old) == len(new)
        self._target_port = target_port
        self._replacement = (old, new)
        self._listener = socket.create_server(("127.0.0.1", 0))

    def __enter__(self) -> int:
        threading.Thread(target=self._accept, daemon=True).start()
        port: int = self._listener.getsockname()[1]
        return port

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._target_port))
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._pass, args=(source, sink, source is client), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, replace: bool) -> None:
        with suppress(OSError), source:
            while data := source.recv(65536):
                sink.sendall(data.replace(*self._replacement) if replace else data)
            sink.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgres://localhost/x", "mysql://"),
        ("mysql://localhost", "database"),
        ("mysql://user@host:notaport/db", "port"),
        ("mysql://user@host/db?no-such-option=1", "no-such-option"),
        ("nonsense", ""),
    ],
)
def test_bad_url_is_told_in_one_line(url: str, says: str) -> None:
    code, lines = serve(url)
    assert code in (1, 2)
    assert_one_line(lines, says)


def test_unknown_directive_and_bad_value_are_told_in_one_line() -> None:
    code, lines = run("--no-such-directive", "1")
    assert code == 2
    assert_one_line(lines, "no-such-directive")
    code, lines = run("--port", "notaport")
    assert code == 2
    assert_one_line(lines, "port")


def test_port_taken_is_told_in_one_line(mariadb: MariaDB) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, lines = serve(mariadb.create_database("start_port"), port=port)
    assert code == 1
    assert_one_line(lines, str(port))


def test_wrong_password_and_missing_database_are_told_at_once(mariadb: MariaDB) -> None:
    code, lines = serve(f"mysql://nobody:{PASSWORD.replace('/', '%2F').replace('@', '%40')}@127.0.0.1:{mariadb.port}/x")
    assert code == 1
    assert_one_line(lines, "1045")
    code, lines = serve(mariadb.url("no_such_database"))
    assert code == 1
    assert_one_line(lines, "1049")


def test_database_that_stays_away_ends_the_start_with_messages_and_code_1() -> None:
    code, lines = serve(f"mysql://u:p@127.0.0.1:{free_port()}/db", "--storage-start-timeout", "1500")
    assert code == 1
    text = "\n".join(lines)
    assert "Traceback" not in text
    assert sum("trying again" in line for line in lines) >= 2
    assert "gave up" in lines[-1]


def test_database_that_comes_late_is_waited_for(mariadb: MariaDB) -> None:
    url = mariadb.create_database("start_late")
    with FaultProxy(("127.0.0.1", mariadb.port)) as proxy:
        proxy.close_port()
        server = Rowdis(mariadb.url("start_late", port=proxy.port))
        try:
            process = server.launch()
            wait_until(lambda: "trying again" in process.log(), 20, "the program has tried")
            proxy.open_port()
            process.wait_ready(server._answers, 30)
            assert server.call("SET", "k", "1") == OK
        finally:
            server.close()
    assert problems(url) == []


def test_signal_while_waiting_for_the_database_ends_at_once_with_code_0() -> None:
    server = Rowdis(f"mysql://u:p@127.0.0.1:{free_port()}/db", ("--storage-start-timeout", "60000"))
    try:
        process = server.launch()
        wait_until(lambda: "trying again" in process.log(), 20, "the program has tried")
        assert process.terminate(5) == 0
    finally:
        server.close()


def test_signal_while_the_database_stalls_at_start_ends_soon(mariadb: MariaDB) -> None:
    mariadb.create_database("start_stalled")
    with FaultProxy(("127.0.0.1", mariadb.port)) as proxy:
        proxy.stall()
        server = Rowdis(mariadb.url("start_stalled", port=proxy.port))
        try:
            process = server.launch()
            wait_until(lambda: proxy.accepted > 0, 20, "the program has connected")
            assert process.terminate(8) == 0
        finally:
            server.close()


@pytest.mark.parametrize(
    ("setting", "swallowed"),
    [("sql_mode", b"SESSION sql_mode"), ("tx_isolation", b"SESSION tx_isolation"),
     ("innodb_lock_wait_timeout", b"SESSION innodb_lock_wait_timeout")],
)  # fmt: skip
def test_database_that_does_not_take_session_settings_is_refused(
    mariadb: MariaDB, setting: str, swallowed: bytes
) -> None:
    """A proxy that swallows SET would have long values cut in silence, or lose the isolation we count on."""
    mariadb.create_database("start_settings")
    variable = b"@" + swallowed[1:].replace(b" ", b"_")  # a user's variable takes the value
    with Replacing(mariadb.port, swallowed, variable) as port:
        code, lines = serve(mariadb.url("start_settings", port=port))
    assert code == 1
    assert_one_line(lines, "session settings", setting)


def test_tables_of_a_newer_program_are_refused_and_not_touched(mariadb: MariaDB) -> None:
    url = mariadb.create_database("start_newer")
    with Rowdis(url) as server:
        assert server.call("SET", "k", "1") == OK
    mariadb.execute("UPDATE start_newer.rowdis_meta SET number = 999 WHERE name = 'schema_version'")
    code, lines = serve(url)
    assert code == 1
    assert_one_line(lines, "schema version 999")
    code, lines = run("check", "--database", url)
    assert code == 1
    assert_one_line(lines, "schema version 999")


def test_check_of_a_database_without_tables_says_so(mariadb: MariaDB) -> None:
    code, lines = run("check", "--database", mariadb.create_database("start_empty"))
    assert code == 1
    assert_one_line(lines, "no tables of Rowdis")


def test_check_as_a_user_runs_it_finds_and_repairs(mariadb: MariaDB) -> None:
    url = mariadb.create_database("start_check")
    with Rowdis(url) as server:
        assert server.call("SET", "k", "value") == OK
        assert run("check", "--database", url) == (0, ["nothing to complain about"])
    mariadb.execute("UPDATE start_check.rowdis_key SET size = 1")
    code, lines = run("check", "--database", url)
    assert code == 1
    assert lines == ["db 0, key b'k': the size is 1, and the value has 5 bytes", "1 findings, 0 repaired"]
    code, lines = run("check", "--repair", "--database", url)
    assert code == 0
    assert lines[-1] == "1 findings, 1 repaired"
    assert run("check", "--database", url)[0] == 0


def test_several_instances_make_the_tables_of_an_empty_database_at_once(mariadb: MariaDB) -> None:
    for round_ in range(2):
        url = mariadb.create_database("start_together")
        servers = [Rowdis(url) for _ in range(4)]
        try:
            for server in servers:
                server.launch()
            for server in servers:
                server.process.wait_ready(server._answers, 60)
            for number, server in enumerate(servers):
                assert server.call("INCR", "n") == b":%d\r\n" % (number + 1), round_
        finally:
            for server in servers:
                server.close()
        assert problems(url) == []


def test_minimal_grants_suffice(mariadb: MariaDB) -> None:
    """Those that docs/operations.md names, no more."""
    mariadb.create_database("start_grants")
    mariadb.execute("CREATE USER IF NOT EXISTS small@'%' IDENTIFIED BY 'small'")
    mariadb.execute(
        "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX, DROP, CREATE VIEW, SHOW VIEW "
        "ON start_grants.* TO small@'%'"
    )
    url = f"mysql://small:small@127.0.0.1:{mariadb.port}/start_grants"
    with Rowdis(url) as server:
        assert server.call("SET", "k", "v" * 50_000) == OK
        assert server.call("FLUSHALL") == OK
        assert server.call("SET", "k", "1") == OK
        assert server.call("GET", "k") == bulk("1")
        assert "ERROR" not in server.log()
        assert "WARNING" not in server.log()
        server.stop()
        # Between upgrades less will do.
        mariadb.execute("REVOKE CREATE, ALTER, INDEX, DROP, CREATE VIEW, SHOW VIEW ON start_grants.* FROM small@'%'")
        server.start()
        assert server.call("INCR", "k") == b":2\r\n"
        assert "WARNING" not in server.log()
    assert run("check", "--repair", "--database", url) == (0, ["nothing to complain about"])


def test_interrupt_from_the_keyboard_ends_in_order(mariadb: MariaDB) -> None:
    with World(mariadb, "start_interrupt") as world:
        server = world.rowdis[0]
        server.process._process.send_signal(signal.SIGINT)
        wait_until(lambda: not server.process.running, 10, "the program has ended")
        assert server.process.exit_code == 0
