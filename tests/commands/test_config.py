"""CONFIG, compared with redis-server."""

from pathlib import Path

from tests.commands.conftest import Play
from tests.commands.masks import shaped
from tests.commands.scenarios import Scenario, scenario, scenarios, unordered
from tests.services.mariadb import MariaDB
from tests.services.raw_client import RawClient
from tests.services.rowdis import Rowdis


@scenarios(
    scenario("values by name", "CONFIG GET maxclients", "CONFIG GET MaxClients", "CONFIG GET nosuch", "CONFIG GET a b",
             "CONFIG GET maxmemory maxmemory"),
    scenario("values by pattern", unordered("CONFIG GET hash-max-listpack-*"), unordered("CONFIG GET hash-*"),
             unordered("CONFIG GET maxmemory lfu-*"), "CONFIG GET nosuch*"),
    scenario("setting and reading back", "CONFIG SET timeout 100", "CONFIG GET timeout", "CONFIG SET timeout 0",
             "CONFIG SET hash-max-listpack-entries 100 set-max-intset-entries 200", "CONFIG GET set-max-intset-entries",
             "CONFIG SET hash-max-listpack-entries 512 set-max-intset-entries 512", "CONFIG GET timeout"),
    scenario("what can not be set", "CONFIG SET nosuch 1", "CONFIG SET maxclients a", "CONFIG SET maxclients 0",
             "CONFIG SET timeout -1", "CONFIG SET databases 5", "CONFIG SET timeout 1 nosuch 2", "CONFIG GET timeout",
             "CONFIG SET timeout 1 timeout 2", "CONFIG SET maxmemory-policy other", "CONFIG SET maxmemory a"),
    scenario("the numbers of words are checked", "CONFIG", "CONFIG GET", "CONFIG SET", "CONFIG SET a",
             "CONFIG SET maxclients 10 maxclients", "CONFIG RESETSTAT a", "CONFIG REWRITE a", "CONFIG HELP a",
             "CONFIG NOSUCH"),
    scenario("there is no file", "CONFIG REWRITE"),
    scenario("RESETSTAT", "CONFIG RESETSTAT"),
    scenario("HELP", shaped("CONFIG HELP")),
)  # fmt: skip
def test_config(play: Play, case: Scenario) -> None:
    play(case)


def test_rewrite_writes_what_was_set(mariadb: MariaDB, tmp_path: Path) -> None:
    path = tmp_path / "rowdis.conf"
    path.write_text("# mine\ntimeout 10\n")
    server = Rowdis(mariadb.create_database("rowdis_rewrite"), configuration=path)
    with server, server.client() as client:
        client.call("CONFIG", "SET", "timeout", 20, "maxclients", 77)
        assert client.call("CONFIG", "REWRITE") == b"+OK\r\n"
        assert b"config_file:%b" % str(path).encode() in client.call("INFO", "server")
    text = path.read_text()
    assert text.startswith("# mine\ntimeout 20\n")
    assert "maxclients 77" in text


def test_size_limit_of_values_holds_for_open_connections(rowdis: Rowdis, client: RawClient) -> None:
    with rowdis.client() as other:
        other.call("CONFIG", "SET", "proto-max-bulk-len", "1mb")
        try:
            client.send_raw(b"*2\r\n$4\r\nECHO\r\n$1048577\r\n")
            assert client.read() == b"-ERR Protocol error: invalid bulk length\r\n"
        finally:
            other.call("CONFIG", "SET", "proto-max-bulk-len", "512mb")


def test_configuration_tells_programs_that_writes_are_durable(rowdis: Rowdis) -> None:
    """redis-benchmark asks for these two at its start."""
    with rowdis.client() as client:
        assert client.call("CONFIG", "GET", "save") == b"*2\r\n$4\r\nsave\r\n$0\r\n\r\n"
        assert client.call("CONFIG", "GET", "appendonly") == b"*2\r\n$10\r\nappendonly\r\n$3\r\nyes\r\n"
