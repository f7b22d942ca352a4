"""Publish and subscribe, compared with Redis 7.4: the order of replies and messages on a connection is part of it.

Redis 7.0 sends what a client publishes to itself in front of the reply, later versions behind it; so 7.4 is asked.
"""

import re

import hiredis
import pytest

from tests.commands.conftest import Play
from tests.commands.dialogues import Dialogue, dialogue, dialogues, heard, hold, monologue
from tests.commands.masks import shaped
from tests.commands.scenarios import Scenario, scenario, scenarios
from tests.conftest import Combination
from tests.services.raw_client import ConnectionClosed, RawClient, encode_command
from tests.services.redis_oracle import RedisOracle
from tests.services.rowdis import Rowdis


@pytest.mark.parametrize("together", [True, False], ids=["pipeline", "one after the other"])
@pytest.mark.parametrize("lines", [
    monologue("subscribing counts channels and patterns together", "SUBSCRIBE a b a", "PSUBSCRIBE a* a", "SUBSCRIBE c",
              "UNSUBSCRIBE b", "UNSUBSCRIBE nosuch", "PUNSUBSCRIBE a a", "UNSUBSCRIBE a c", "PUNSUBSCRIBE",
              "PUNSUBSCRIBE", "UNSUBSCRIBE", "GET k"),
    monologue("shard channels are counted apart", "SUBSCRIBE a", "SSUBSCRIBE s t", "PSUBSCRIBE p", "SUNSUBSCRIBE s",
              "SUNSUBSCRIBE", "SUNSUBSCRIBE", "UNSUBSCRIBE", "PUNSUBSCRIBE", "PING"),
    monologue("listening to nothing", "UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE", "UNSUBSCRIBE a b",
              "PUNSUBSCRIBE a", "SUNSUBSCRIBE a", "GET k"),
    monologue("what a listener may say in RESP2", "SUBSCRIBE a", "PING", "PING x", "ping a b", "GET k", "SET k 1",
              "PUBLISH a 1", "SPUBLISH a 1", "MULTI", "EXEC", "DISCARD", "WATCH k", "HELLO 2", "CONFIG GET port",
              "PUBSUB NUMPAT", "CLIENT ID", "SELECT 1", "NOSUCH", "GET", "PUBSUB NOSUCH", "SUBSCRIBE", "ECHO x",
              "UNSUBSCRIBE", "GET k"),
    monologue("shard channels and patterns restrict too", "SSUBSCRIBE s", "GET k", "PSUBSCRIBE p", "SUNSUBSCRIBE",
              "GET k", "PUNSUBSCRIBE", "GET k"),
    monologue("a message to oneself comes behind the reply", "SUBSCRIBE a", "PSUBSCRIBE a*", "PUBLISH a 1",
              "PUBLISH a 2", "PING", "SSUBSCRIBE a", "SPUBLISH a 3", "PUBLISH b 4", "PING"),
    monologue("among replies that need storage", "SET k 1", "SUBSCRIBE a", "GET k", "PUBLISH a 1", "INCR k",
              "PUBLISH a 2", "GET k", "UNSUBSCRIBE", "PUBLISH a 3", "GET k"),
    monologue("subscribing inside of EXEC", "MULTI", "SUBSCRIBE a b", "PUBLISH a 1", "SUBSCRIBE c", "PING", "PING x",
              "GET k", "PUBLISH b 2", "SET k 3", "EXEC", "PING", "UNSUBSCRIBE a b c", "GET k"),
    monologue("patterns inside of EXEC", "MULTI", "PSUBSCRIBE a", "PUBLISH a 1", "PUNSUBSCRIBE", "UNSUBSCRIBE",
              "PUBLISH a 2", "EXEC", "GET k"),
    monologue("shard channels can't be subscribed inside of EXEC", "MULTI", "SSUBSCRIBE a b", "SPUBLISH a 1",
              "SUNSUBSCRIBE", "SUNSUBSCRIBE a", "EXEC", "SSUBSCRIBE a", "SUNSUBSCRIBE"),
    monologue("an EXEC that fails publishes nothing", "SUBSCRIBE a", "HELLO 3", "MULTI", "PUBLISH a 1", "NOSUCH",
              "EXEC", "MULTI", "PUBLISH a 2", "DISCARD", "PING"),
    monologue("CLIENT REPLY OFF does not keep pushes back", "CLIENT REPLY OFF", "SUBSCRIBE a", "PUBLISH a 1", "PING",
              "UNSUBSCRIBE", "PING", "MULTI", "SUBSCRIBE b", "PING", "PUBLISH b 2", "UNSUBSCRIBE b", "EXEC", "PING",
              "CLIENT REPLY ON", "PING"),
    monologue("CLIENT REPLY SKIP is used up by SUBSCRIBE", "CLIENT REPLY SKIP", "SUBSCRIBE a", "PING", "PING",
              "PUBLISH a 1", "UNSUBSCRIBE", "CLIENT REPLY SKIP", "PUBLISH a 2", "PING"),
    monologue("CLIENT REPLY inside of EXEC", "MULTI", "SUBSCRIBE a", "CLIENT REPLY OFF", "PUBLISH a 1", "SUBSCRIBE b",
              "EXEC", "UNSUBSCRIBE a b", "CLIENT REPLY ON", "PING"),
    monologue("RESET ends all subscriptions and says so once", "SUBSCRIBE a", "PSUBSCRIBE p", "SSUBSCRIBE s", "RESET",
              "PING", "GET k", "PUBSUB NUMSUB a", "PUBSUB NUMPAT", "PUBSUB SHARDNUMSUB s"),
    monologue("RESP2 and back while listening", "HELLO 3", "SUBSCRIBE a", "PUBLISH a 1", "HELLO 2", "GET k",
              "PUBLISH a 2", "PING", "HELLO 3", "UNSUBSCRIBE", "GET k", "HELLO 3", "GET k"),
    monologue("HELLO inside of EXEC", "HELLO 3", "SUBSCRIBE a", "MULTI", "PUBLISH a 1", "SUBSCRIBE b", "HELLO 2",
              "PUBLISH a 2", "PING", "EXEC", "UNSUBSCRIBE a b", "GET k"),
    monologue("RESP3 is free", "HELLO 3", "SUBSCRIBE a", "SET k 1", "GET k", "MULTI", "INCR k", "PUBLISH a 1", "EXEC",
              "PING", "PING x", "SELECT 1", "PUBSUB NUMSUB a b"),
    monologue("QUIT", "SUBSCRIBE a", "QUIT", "PING"),
    monologue("wrong numbers of words", "SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "PUBLISH a", "PUBLISH a b c",
              "SPUBLISH", "PUBSUB", "PUBSUB NOSUCH", "PUBSUB NUMPAT a", "PUBSUB CHANNELS a b",
              "PUBSUB SHARDCHANNELS a b", "PUBSUB HELP a", r'PUBSUB "NO\x00SUCH"', r'PUBSUB CHANNELS "\r\n" b'),
    monologue("nobody listens", "PUBLISH a 1", "SPUBLISH a 1", "PUBSUB CHANNELS", "PUBSUB CHANNELS a*", "PUBSUB NUMSUB",
              "PUBSUB NUMSUB a b", "PUBSUB NUMPAT", "PUBSUB SHARDCHANNELS", "PUBSUB SHARDNUMSUB",
              "PUBSUB SHARDNUMSUB a a"),
    monologue("names of any bytes", r'SUBSCRIBE "" "\x00\r\n\xff" a', r'PSUBSCRIBE "" "\x00*"', "HELLO 3",
              r'UNSUBSCRIBE "" "\x00\r\n\xff"', r'PUNSUBSCRIBE "\x00*" ""', "PING"),
])  # fmt: skip
def test_what_one_client_hears(
    rowdis: Rowdis, redis74: RedisOracle, combination: Combination, lines: tuple[str, ...], together: bool
) -> None:
    told = []
    for server in (rowdis, redis74):
        with server.client(combination.protocol) as client:
            client.call("FLUSHALL")
            told.append(heard(client, lines, together=together))
    assert told[0] == told[1]


@dialogues(
    dialogue("a message reaches all listeners", "a> SUBSCRIBE c", "b> SUBSCRIBE c", "d> PUBLISH c hello", "a=", "b=",
             "d> PUBLISH other x", "a> PING", "b> PING"),
    dialogue("a pattern tells the channel too", "a> PSUBSCRIBE n*s", "b> PUBLISH news 1", "a=", "b> PUBLISH new 2",
             "b> PUBLISH ns 3", "a=", "a> PING"),
    dialogue("the channel comes before the pattern", "a> PSUBSCRIBE c*", "a> SUBSCRIBE c", "b> PUBLISH c 1", "a=", "a=",
             "a> UNSUBSCRIBE", "b> PUBLISH c 2", "a=", "a> PUNSUBSCRIBE", "b> PUBLISH c 3", "a> GET k"),
    dialogue("each subscription counts", "a> SUBSCRIBE c", "a> PSUBSCRIBE c*", "b> PSUBSCRIBE c*", "d> PUBLISH c 1",
             "a=", "a=", "b=", "d> PUBSUB NUMSUB c", "d> PUBSUB NUMPAT"),
    dialogue("patterns", r"a> PSUBSCRIBE h[ae]llo?", r"b> PSUBSCRIBE \\*x", "d> PUBLISH hallo1 1", "a=",
             "d> PUBLISH hillo1 1", "d> PUBLISH *x 1", "d> PUBLISH yx 1", 'd> PUBLISH "" 1', "a> PING", "b> PING"),
    dialogue("an empty channel", 'a> SUBSCRIBE ""', "b> PSUBSCRIBE *", 'd> PUBLISH "" ""', "a=", "a> PING",
             "b> PING"),
    dialogue("shard channels are others", "a> SUBSCRIBE c", "b> SSUBSCRIBE c", "d> PUBLISH c 1", "a=",
             "d> SPUBLISH c 2", "b=", "d> SPUBLISH other 3", "d> PUBSUB NUMSUB c", "d> PUBSUB SHARDNUMSUB c other",
             "d> PUBSUB CHANNELS", "d> PUBSUB SHARDCHANNELS", "d> PUBSUB SHARDCHANNELS d*",
             "d> PUBSUB CHANNELS [a-d]", "a> PING", "b> PING"),
    dialogue("binary messages", "a> SUBSCRIBE c", r'b> PUBLISH c "\x00\r\n\xff"', "a=", 'b> PUBLISH c ""', "a="),
    dialogue("EXEC publishes when it is over", "a> SUBSCRIBE c", "b> MULTI", "b> SET k 1", "b> PUBLISH c 1",
             "b> INCR k", "b> PUBLISH c 2", "b> GET k", "b> EXEC", "a=", "a=", "b> GET k"),
    dialogue("an EXEC whose WATCH fails publishes nothing", "a> SUBSCRIBE c", "b> WATCH k", "d> SET k 1", "b> MULTI",
             "b> PUBLISH c 1", "b> EXEC", "d> PUBLISH c 2", "a="),
    dialogue("a pipeline's messages are in order", "a> SUBSCRIBE c", "b? SET k 1", "b? PUBLISH c 1", "b? GET k",
             "b? PUBLISH c 2", "b=", "b=", "b=", "b=", "a=", "a="),
    dialogue("who has left hears nothing", "a> SUBSCRIBE c", "a> QUIT", "b> PUBLISH d 1"),
    dialogue("CLIENT KILL TYPE pubsub", "a> SUBSCRIBE c", "b> CLIENT KILL TYPE pubsub", "b> CLIENT KILL TYPE pubsub"),
)  # fmt: skip
def test_several_clients(rowdis: Rowdis, redis74: RedisOracle, combination: Combination, case: Dialogue) -> None:
    hold(case, lambda: rowdis.client(combination.protocol), lambda: redis74.client(combination.protocol))


def test_a_client_that_waits_for_data_hears_messages(rowdis: Rowdis, redis74: RedisOracle) -> None:
    case = dialogue("in RESP3", "a> SUBSCRIBE c", "a* BLPOP k 0", "b> PUBLISH c 1", "a=", "b> RPUSH k 1", "a=")
    hold(case, lambda: rowdis.client(3), lambda: redis74.client(3))


@scenarios(scenario("HELP", shaped("PUBSUB HELP")),
           scenario("GETKEYS knows no shard channels", "COMMAND GETKEYS SPUBLISH c m", "COMMAND GETKEYS SSUBSCRIBE a b",
                    "COMMAND GETKEYSANDFLAGS SPUBLISH c m", "COMMAND GETKEYS PUBLISH c m"))  # fmt: skip
def test_words_about_the_commands(play: Play, case: Scenario) -> None:
    play(case)


def test_listeners_of_both_protocols_hear_the_same(rowdis: Rowdis, redis74: RedisOracle) -> None:
    told = []
    for server in (rowdis, redis74):
        with server.client(2) as two, server.client(3) as three, server.client() as speaker:
            for client in (two, three):
                client.call("SUBSCRIBE", "c")
                client.call("PSUBSCRIBE", "c*")
            told.append([speaker.call("PUBLISH", "c", "m")] + [client.read() for client in (two, two, three, three)])
    assert told[0] == told[1]


@pytest.mark.parametrize("command", ["UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE"])
def test_ending_many_subscriptions_at_once(
    rowdis: Rowdis, redis74: RedisOracle, combination: Combination, command: str
) -> None:
    names = [f"name{number}" for number in range(50)]
    told = []
    for server in (rowdis, redis74):
        with server.client(combination.protocol) as client:
            client.send(command.replace("UNSUB", "SUB"), *names)
            begun = [client.read() for _ in names]
            client.send(command)
            ended = [client.read() for _ in names]
            # They end in any order, but the count goes down.
            counts = [int(reply.rpartition(b":")[2]) for reply in ended]
            told.append((begun, counts, sorted(reply.rpartition(b":")[0] for reply in ended), client.call("GET", "k")))
    assert told[0] == told[1]


def test_pubsub_channels_names_what_somebody_listens_to(
    rowdis: Rowdis, redis74: RedisOracle, combination: Combination
) -> None:
    told = []
    for server in (rowdis, redis74):
        with server.client() as client, server.client() as other, server.client(combination.protocol) as asking:
            client.pipeline([["SUBSCRIBE", f"c{number}"] for number in range(20)])
            other.pipeline([["SUBSCRIBE", f"c{number}"] for number in range(10, 30)])
            other.call("PSUBSCRIBE", "unseen*")
            told.append([
                sorted(names(asking, "CHANNELS")), sorted(names(asking, "CHANNELS", "c1*")),
                asking.call("PUBSUB", "NUMSUB", "c0", "c15", "c29", "c30", "unseen1"), asking.call("PUBSUB", "NUMPAT"),
            ])  # fmt: skip
    assert told[0] == told[1]


def names(client: RawClient, *arguments: str) -> list[bytes]:
    reader = hiredis.Reader()
    reader.feed(client.call("PUBSUB", *arguments))
    found: list[bytes] = reader.gets()
    return found


def test_long_messages_and_many(rowdis: Rowdis, redis74: RedisOracle, combination: Combination) -> None:
    messages = [b"x" * size for size in (1, 1000, 70_000, 1_000_000, 3)] + [b"%d" % number for number in range(1000)]
    told = []
    for server in (rowdis, redis74):
        with server.client(combination.protocol) as client, server.client() as speaker:
            client.call("SUBSCRIBE", "c")
            counts = speaker.pipeline([["PUBLISH", "c", message] for message in messages])
            told.append((counts, [client.read() for _ in messages]))
    assert told[0] == told[1]


def _listens_to_nothing(client: RawClient) -> int:
    """How many clients there are that do not listen to messages, others than those of this test included."""
    return client.call("CLIENT", "LIST", "TYPE", "normal").count(b"sub=0 psub=0 ssub=0")


def test_what_is_told_of_listeners(rowdis: Rowdis, redis74: RedisOracle, combination: Combination) -> None:
    told = []
    for server in (rowdis, redis74):
        with server.client(combination.protocol) as client, server.client() as asking:
            shown: list[object] = []
            normal = _listens_to_nothing(asking)
            for words_ in (("SUBSCRIBE", "a"), ("SUBSCRIBE", "b"), ("PSUBSCRIBE", "p*"), ("SSUBSCRIBE", "s"),
                           ("UNSUBSCRIBE", "a"), ("RESET",)):  # fmt: skip
                client.call(*words_)
                line = asking.call("CLIENT", "LIST", "TYPE", "pubsub")
                shown.append(re.findall(rb"\b(?:flags|sub|psub|ssub|cmd|resp)=\S*", line))
                shown.append(_listens_to_nothing(asking) - normal)
                for section in ("clients", "stats"):
                    shown.append(re.findall(rb"pubsub\w+:\d+", asking.call("INFO", section)))
            told.append(shown)
    assert told[0] == told[1]
    first = told[0][0]
    assert isinstance(first, list)
    flags, *numbers = first
    assert flags == b"flags=P"
    assert numbers[:3] == [b"sub=1", b"psub=0", b"ssub=0"]


def test_a_listener_is_never_idle(rowdis: Rowdis) -> None:
    with rowdis.client() as listener, rowdis.client() as speaker:
        listener.call("SUBSCRIBE", "c")
        speaker.call("CONFIG", "SET", "timeout", 1)
        try:
            with rowdis.client() as idle, pytest.raises(ConnectionClosed):
                idle.read()
            with rowdis.client() as other:
                assert other.call("PUBLISH", "c", "m") == b":1\r\n"
            assert listener.read().endswith(b"$1\r\nm\r\n")
        finally:
            with rowdis.client() as other:
                other.call("CONFIG", "SET", "timeout", 0)


def test_a_message_of_another_never_overtakes_the_answer_to_subscribe(rowdis: Rowdis) -> None:
    with rowdis.client() as speaker, rowdis.client() as setter:
        setter.call("FLUSHALL")
        for _ in range(50):
            with rowdis.client(3) as client:
                client.send_raw(encode_command(["SUBSCRIBE", "c"]) + encode_command(["INCR", "k"]))
                while speaker.call("PUBLISH", "c", "m") == b":0\r\n":
                    pass
                assert client.read().startswith(b">3\r\n$9\r\nsubscribe\r\n")
                assert sorted(client.read()[:1] for _ in range(2)) == [b":", b">"]
