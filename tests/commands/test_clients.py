"""CLIENT, compared with redis-server."""

import re
import time

import pytest

from tests.commands.conftest import Play
from tests.commands.masks import alike, shaped
from tests.commands.scenarios import Scenario, scenario, scenarios
from tests.services.raw_client import ConnectionClosed, RawClient
from tests.services.rowdis import Rowdis

#: CLIENT LIST of Redis 7.4.
FIELDS = [
    "id", "addr", "laddr", "fd", "name", "age", "idle", "flags", "db", "sub", "psub", "ssub", "multi", "watch", "qbuf",
    "qbuf-free", "argv-mem", "multi-mem", "rbs", "rbp", "obl", "oll", "omem", "tot-mem", "events", "cmd", "user",
    "redir", "resp", "lib-name", "lib-ver",
]  # fmt: skip


@scenarios(
    scenario("a name can be set and taken away", "CLIENT GETNAME", "CLIENT SETNAME me", "CLIENT GETNAME",
             'CLIENT SETNAME ""', "CLIENT GETNAME"),
    scenario("names are printable", 'CLIENT SETNAME "a b"', r'CLIENT SETNAME "a\n"', r'CLIENT SETNAME "\xc3\xa9"',
             "CLIENT SETNAME a!~", "CLIENT GETNAME"),
    scenario("the numbers of words are checked", "CLIENT", "CLIENT NOSUCH", "CLIENT ID a", "CLIENT INFO a",
             "CLIENT GETNAME a", "CLIENT SETNAME", "CLIENT REPLY", "CLIENT NO-EVICT", "CLIENT PAUSE",
             "CLIENT UNPAUSE a", "CLIENT KILL", "CLIENT UNBLOCK", "CLIENT HELP a", r'CLIENT "a\x00b"'),
    scenario("switches", "CLIENT NO-EVICT ON", "CLIENT NO-EVICT off", "CLIENT NO-EVICT a", "CLIENT REPLY a",
             "CLIENT REPLY on"),
    scenario("NO-TOUCH", "CLIENT NO-TOUCH ON", "CLIENT NO-TOUCH off", "CLIENT NO-TOUCH a", "CLIENT NO-TOUCH"),
    scenario("SETINFO", "CLIENT SETINFO LIB-NAME my-lib", "CLIENT SETINFO lib-ver 1.2", "CLIENT SETINFO lib-name",
             'CLIENT SETINFO LIB-NAME "a b"', 'CLIENT SETINFO lib-ver "a b"', 'CLIENT SETINFO LIB-NAME ""',
             "CLIENT SETINFO other a"),
    scenario("UNBLOCK finds nobody blocked", "CLIENT UNBLOCK 999999", "CLIENT UNBLOCK a", "CLIENT UNBLOCK 1 ERROR",
             "CLIENT UNBLOCK 1 TIMEOUT", "CLIENT UNBLOCK 1 OTHER", "CLIENT UNBLOCK 1 ERROR a"),
    scenario("HELP", shaped("CLIENT HELP")),
)  # fmt: skip
def test_own_connection(play: Play, case: Scenario) -> None:
    play(case)


@scenarios(
    scenario("INFO shows the session", alike("CLIENT INFO"), "SELECT 5", "CLIENT SETNAME me", alike("CLIENT INFO"),
             "CLIENT NO-EVICT ON", alike("CLIENT INFO")),
    scenario("filters of LIST are checked", "CLIENT LIST TYPE", "CLIENT LIST TYPE other", "CLIENT LIST TYPE normal a",
             "CLIENT LIST TYPE master", "CLIENT LIST TYPE replica", "CLIENT LIST TYPE slave", "CLIENT LIST TYPE pubsub",
             "CLIENT LIST ID", "CLIENT LIST ID a", "CLIENT LIST ID 0", "CLIENT LIST ID 999999 888888", "CLIENT LIST a",
             "CLIENT LIST a b"),
)  # fmt: skip
def test_list(play: Play, case: Scenario) -> None:
    play(case)


@scenarios(
    scenario("nobody fits", "CLIENT KILL 1.2.3.4:5", "CLIENT KILL ID 999999", "CLIENT KILL ADDR 1.2.3.4:5",
             "CLIENT KILL LADDR 1.2.3.4:5", "CLIENT KILL TYPE master", "CLIENT KILL TYPE pubsub SKIPME no",
             "CLIENT KILL USER default ID 999999", "CLIENT KILL SKIPME no ID 999999", "CLIENT KILL ID"),
    scenario("filters are checked", "CLIENT KILL a b c", "CLIENT KILL ID a", "CLIENT KILL ID 0", "CLIENT KILL ID -5",
             "CLIENT KILL TYPE other", "CLIENT KILL USER nobody", "CLIENT KILL USER default SKIPME a",
             "CLIENT KILL a b", "CLIENT KILL ID 4 TYPE"),
    scenario("MAXAGE", "CLIENT KILL MAXAGE 1000000", "CLIENT KILL MAXAGE a", "CLIENT KILL MAXAGE 0",
             "CLIENT KILL MAXAGE -1", oracle="redis74"),
)  # fmt: skip
def test_kill(play: Play, case: Scenario) -> None:
    play(case)


@scenarios(
    scenario("the time is checked", "CLIENT PAUSE a", "CLIENT PAUSE -1", "CLIENT PAUSE 99999999999999999999",
             "CLIENT PAUSE 1 OTHER", "CLIENT PAUSE 1 ALL a"),
    scenario("reads go through a pause of writes", "SET a 1", "CLIENT PAUSE 60000 WRITE", "GET a", "PING", "MULTI",
             "GET a", "EXEC", "CLIENT UNPAUSE", "SET a 2"),
    scenario("a short pause ends by itself", "CLIENT PAUSE 30", "PING", "CLIENT PAUSE 30 WRITE", "SET a 1", "GET a"),
)  # fmt: skip
def test_pause(play: Play, case: Scenario) -> None:
    play(case)


def _fields(line: bytes) -> dict[str, str]:
    return dict(word.partition("=")[::2] for word in line.decode().split())  # type: ignore[misc]


def _list(client: RawClient, *words: str | int) -> list[dict[str, str]]:
    text = client.call("CLIENT", "LIST", *words).partition(b"\r\n")[2].removeprefix(b"txt:").strip()
    return [_fields(line) for line in text.split(b"\n") if line]


def _id(client: RawClient) -> int:
    return int(client.call("CLIENT", "ID")[1:])


def test_list_shows_the_fields_of_redis_7_4_for_each_connection(rowdis: Rowdis) -> None:
    with rowdis.client() as one, rowdis.client(3) as other:
        one.call("CLIENT", "SETNAME", "one")
        one.call("CLIENT", "SETINFO", "LIB-NAME", "lib")
        one.call("SELECT", 7)
        one.call("WATCH", "a")
        one.call("MULTI")
        one.call("GET", "a")
        other.call("CLIENT", "NO-TOUCH", "ON")
        listed = {int(fields["id"]): fields for fields in _list(other)}
        assert all(list(fields) == FIELDS for fields in listed.values())
        (named,) = [fields for fields in listed.values() if fields["name"] == "one"]
        assert (named["db"], named["multi"], named["watch"], named["flags"]) == ("7", "1", "1", "x")
        assert (named["resp"], named["lib-name"], named["cmd"]) == ("2", "lib", "multi")
        (asking,) = [fields for fields in listed.values() if fields["cmd"] == "client|list"]
        assert (asking["resp"], asking["flags"], asking["db"]) == ("3", "T", "0")
        assert [fields["id"] for fields in _list(other, "ID", named["id"], 999_999)] == [named["id"]]
        assert len(_list(other, "TYPE", "normal")) == len(_list(other))


def test_killed_client_is_gone_and_others_are_not(rowdis: Rowdis) -> None:
    with rowdis.client() as killer, rowdis.client() as victim, rowdis.client() as bystander:
        assert killer.call("CLIENT", "KILL", "ID", _id(victim)) == b":1\r\n"
        with pytest.raises(ConnectionClosed):
            victim.call("PING")
        assert bystander.call("PING") == b"+PONG\r\n"
        assert killer.call("PING") == b"+PONG\r\n"


def test_kill_by_address_in_both_forms(rowdis: Rowdis) -> None:
    for new_form in (False, True):
        with rowdis.client() as killer, rowdis.client() as victim:
            (address,) = [fields["addr"] for fields in _list(killer, "ID", _id(victim))]
            reply = killer.call("CLIENT", "KILL", *(["ADDR"] if new_form else []), address)
            assert reply == (b":1\r\n" if new_form else b"+OK\r\n")
            with pytest.raises(ConnectionClosed):
                victim.call("PING")


def test_killing_oneself_answers_first(rowdis: Rowdis) -> None:
    with rowdis.client() as client:
        number = _id(client)
        assert client.call("CLIENT", "KILL", "ID", number) == b":0\r\n"
        client.send_raw(b"SET a 1\r\nCLIENT KILL ID %d SKIPME no\r\nPING\r\n" % number)
        assert client.read_to_end() == b"+OK\r\n:1\r\n"
    with rowdis.client() as client:
        (address,) = [fields["addr"] for fields in _list(client, "ID", _id(client))]
        client.send("CLIENT", "KILL", address)
        assert client.read_to_end() == b"+OK\r\n"


def test_killing_oneself_inside_a_transaction_ends_it_there(rowdis: Rowdis) -> None:
    with rowdis.client() as client:
        client.send_raw(b"MULTI\r\nCLIENT KILL ID %d SKIPME no\r\nPING\r\nEXEC\r\n" % _id(client))
        assert client.read_to_end() == b"+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:1\r\n"


def test_pause_holds_back_what_it_should_until_it_is_over(rowdis: Rowdis) -> None:
    with rowdis.client() as one, rowdis.client() as other:
        one.call("SET", "a", 1)
        one.call("CLIENT", "PAUSE", 60_000, "WRITE")
        other.send("INCR", "a")
        assert other.silent(0.1)
        assert one.call("GET", "a") == b"$1\r\n1\r\n"
        # A transaction that writes waits as well.
        with rowdis.client() as third:
            third.pipeline([("MULTI",), ("INCR", "a")])
            third.send("EXEC")
            assert third.silent(0.1)
            assert one.call("CLIENT", "UNPAUSE") == b"+OK\r\n"
            assert (other.read(), third.read()) == (b":2\r\n", b"*1\r\n:3\r\n")
        assert one.call("GET", "a") == b"$1\r\n3\r\n"


def test_pause_of_everything_holds_back_commands_without_storage(rowdis: Rowdis) -> None:
    with rowdis.client() as one, rowdis.client() as other:
        start = time.monotonic()
        assert one.call("CLIENT", "PAUSE", 300) == b"+OK\r\n"
        other.send("PING")
        one.send("ECHO", "a")
        assert other.read() == b"+PONG\r\n"
        assert one.read() == b"$1\r\na\r\n"
        assert time.monotonic() - start >= 0.3


def test_pause_only_becomes_longer_and_stricter(rowdis: Rowdis) -> None:
    with rowdis.client() as one, rowdis.client() as other:
        start = time.monotonic()
        one.pipeline([("CLIENT", "PAUSE", 300, "WRITE"), ("CLIENT", "PAUSE", 10, "ALL")])
        assert other.call("PING") == b"+PONG\r\n"
        assert time.monotonic() - start >= 0.3


def test_paused_writes_do_not_time_out(rowdis: Rowdis) -> None:
    with rowdis.client() as one, rowdis.client() as other:
        limit = one.call("CONFIG", "GET", "storage-timeout")
        one.call("CONFIG", "SET", "storage-timeout", 200)
        try:
            one.call("CLIENT", "PAUSE", 600, "WRITE")
            assert other.call("SET", "a", 1) == b"+OK\r\n"
        finally:
            one.call("CONFIG", "SET", "storage-timeout", int(re.findall(rb"\d+", limit)[-1]))
