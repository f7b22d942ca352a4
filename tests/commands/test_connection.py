"""Commands about the connection itself, compared with redis-server."""

from tests.commands.conftest import Play
from tests.commands.masks import alike
from tests.commands.scenarios import Scenario, scenario, scenarios
from tests.services.redis_oracle import RedisOracle
from tests.services.rowdis import Rowdis


@scenarios(
    scenario("PING answers PONG or its argument", "PING", "PING hello", 'PING ""', "ping", "PING a b"),
    scenario("ECHO gives its argument back", "ECHO hello", r'ECHO "a\x00\r\n"', "ECHO", "ECHO a b"),
    scenario("SELECT takes numbers of databases", "SELECT 15", "SET a 1", "SELECT 0", "GET a", "SELECT 15", "GET a"),
    scenario("SELECT refuses what is none", "SELECT", "SELECT a", "SELECT 1.5", "SELECT 16", "SELECT -1",
             "SELECT 4294967296", "SELECT -2147483649", "SELECT 99999999999999999999", 'SELECT ""', "SELECT 1 2"),
    scenario("SELECT holds for the commands behind it in a pipeline", "SET a 0", "SELECT 1", "SET a 1", "SELECT 2",
             "GET a", "SELECT 1", "GET a", "SELECT 0", "GET a", "SELECT 77", "GET a"),
)  # fmt: skip
def test_ping_echo_select(play: Play, case: Scenario) -> None:
    play(case)


@scenarios(
    scenario("HELLO tells about the server", alike("HELLO"), alike("HELLO 2"), alike("HELLO 3"), alike("HELLO")),
    scenario("HELLO names the connection", alike("HELLO 3 SETNAME me"), "CLIENT GETNAME",
             alike("HELLO 2 AUTH default any SETNAME you"), "CLIENT GETNAME", 'HELLO 2 SETNAME "a b"',
             "CLIENT GETNAME"),
    scenario("HELLO refuses other versions", "HELLO 1", "HELLO 4", "HELLO a", "HELLO 99999999999999999999",
             "HELLO SETNAME a", 'HELLO ""', "PING"),
    scenario("HELLO reads its options", "HELLO 3 AUTH", "HELLO 3 AUTH default", "HELLO 3 AUTH nobody x",
             "HELLO 3 SETNAME", "HELLO 3 OTHER", "CLIENT GETNAME"),
    scenario("HELLO does nothing if an option is wrong", "HELLO 2 SETNAME a OTHER", "CLIENT GETNAME", oracle="redis74"),
    scenario("replies change with the protocol", alike("HELLO 3"), "GET a", "CONFIG GET maxclients", alike("HELLO 2"),
             "GET a", "CONFIG GET maxclients"),
    scenario("HELLO inside a transaction changes the replies behind it", "MULTI", "HELLO 3", "GET a", "HELLO 2",
             "GET a", alike("EXEC"), "GET a"),
)  # fmt: skip
def test_hello(play: Play, case: Scenario) -> None:
    play(case)


@scenarios(
    scenario("without a password", "AUTH", "AUTH any", "AUTH default any", "AUTH nobody any", "AUTH a b c", "PING"),
)
def test_auth(play: Play, case: Scenario) -> None:
    play(case)


@scenarios(
    scenario("RESET forgets database and name", "SELECT 3", "CLIENT SETNAME me", "RESET", "CLIENT GETNAME",
             alike("CLIENT INFO"), "RESET a"),
    scenario("RESET forgets a transaction", "MULTI", "SET a 1", "RESET", "EXEC", "GET a"),
    scenario("RESET goes back to RESP2", alike("HELLO 3"), "GET a", "RESET", "GET a"),
    scenario("RESET forgets watched keys", "WATCH a", "SET a 1", "RESET", "MULTI", "GET a", "EXEC"),
)  # fmt: skip
def test_reset(play: Play, case: Scenario) -> None:
    play(case)


REPLY_MODES = [
    b"CLIENT REPLY SKIP\r\nPING\r\nECHO a\r\nCLIENT REPLY OFF\r\nPING\r\nCLIENT REPLY SKIP\r\nSET a 1\r\n"
    b"CLIENT REPLY ON\r\nECHO b\r\nCLIENT REPLY SKIP\r\nCLIENT REPLY SKIP\r\nGET a\r\nECHO c\r\nGET a\r\nQUIT\r\n",
    b"CLIENT REPLY SKIP\r\nNOSUCH\r\nECHO d\r\nCLIENT REPLY SKIP\r\nGET\r\nGET a\r\nQUIT\r\n",
    b"MULTI\r\nCLIENT REPLY SKIP\r\nPING\r\nECHO e\r\nEXEC\r\nECHO f\r\nECHO g\r\nQUIT\r\n",
    b"CLIENT REPLY OFF\r\nMULTI\r\nSET a 1\r\nEXEC\r\nGET a\r\nCLIENT REPLY ON\r\nGET a\r\nQUIT\r\n",
    b"CLIENT REPLY SKIP\r\nMULTI\r\nSET a 1\r\nCLIENT REPLY SKIP\r\nEXEC\r\nGET a\r\nQUIT\r\n",
    b"SET a 1\r\nGET a\r\nQUIT\r\nGET a\r\nSET a 2\r\n",
    b"SET a 1\r\nQUIT a b\r\n",
    b"MULTI\r\nSET a 1\r\nQUIT\r\n",
    b"RESET\r\nQUIT\r\n",
]


def test_reply_modes_and_quit_end_with_the_same_bytes(rowdis: Rowdis, oracle: RedisOracle) -> None:
    for script in REPLY_MODES:
        answers = []
        for server in (rowdis, oracle):
            with server.client() as client:
                client.call("FLUSHALL")
                client.send_raw(script)
                answers.append(client.read_to_end())
        assert answers[0] == answers[1], script
