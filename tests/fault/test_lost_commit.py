"""Connections to the database that break around COMMIT: every command is applied once, or an error says it was not."""

from collections.abc import Iterator

import pytest

from tests.fault.world import NULL, OK, World, bulk, integer
from tests.services.mariadb import MariaDB
from tests.services.proxy import At, Predicate, Trap, query_with
from tests.services.raw_client import RawClient

COMMIT = query_with(b"COMMIT")
KILL = query_with(b"KILL CONNECTION")


def writing(*words: bytes) -> Predicate:
    """Trips that carry all of these words: the whole unit of a blind SET, or the second half of an INCR."""
    tests = [query_with(word) for word in words]
    return lambda payload: all(test(payload) for test in tests)


BLIND_SET = writing(b"BEGIN", b"INSERT INTO rowdis_key", b"COMMIT")
FIRST_TRIP = writing(b"BEGIN", b"INSERT INTO rowdis_marker", b"FOR UPDATE")
SECOND_TRIP = writing(b"INSERT INTO rowdis_key", b"COMMIT")


def then_away(world: World, trap: Trap) -> None:
    """Once the trap has struck, no packet gets through on what is connected, and nobody can connect."""
    world.close_port()
    world.proxy.cut(lambda payload: bool(trap.payloads), At.BEFORE, times=1000)


def back(world: World) -> None:
    """The database can be reached again, only KILL never gets through."""
    world.proxy.clear()
    world.proxy.cut(KILL, At.BEFORE, times=1000)
    world.open_port()


@pytest.fixture(scope="module")
def world(mariadb: MariaDB) -> Iterator[World]:
    with World(mariadb, "fault_commit") as world:
        yield world


@pytest.fixture(autouse=True)
def healed(world: World) -> None:
    """A test that failed leaves its faults behind."""
    world.heal()


@pytest.fixture
def client(world: World) -> Iterator[RawClient]:
    with world.client() as client:
        # The worker has enlisted, and the pool has connected.
        assert client.call("SET", "warm", "1") == OK
        yield client
        world.proxy.clear()
        world.verify()


@pytest.mark.parametrize("at", list(At), ids=str)
def test_cut_around_the_single_trip_of_a_blind_set_is_not_seen_by_the_client(
    world: World, client: RawClient, at: At
) -> None:
    cut = world.proxy.cut(BLIND_SET, at)
    assert client.call("SET", f"blind:{at.value}", "v") == OK
    cut.wait()
    assert client.call("GET", f"blind:{at.value}") == bulk("v")


@pytest.mark.parametrize("at", list(At), ids=str)
@pytest.mark.parametrize("trip", [FIRST_TRIP, SECOND_TRIP], ids=["reading trip", "committing trip"])
@pytest.mark.parametrize("present", [False, True], ids=["absent", "present"])
def test_cut_around_the_trips_of_an_incr_leaves_it_applied_once(
    world: World, client: RawClient, at: At, trip: Predicate, present: bool
) -> None:
    world.query("DELETE FROM rowdis_key WHERE name = 'counter'")
    if present:
        assert client.call("SET", "counter", "41") == OK
    cut = world.proxy.cut(trip, at)
    expected = 42 if present else 1
    assert integer(client.call("INCR", "counter")) == expected
    cut.wait()
    assert client.call("GET", "counter") == bulk(expected)


@pytest.mark.parametrize("times", [2, 4])
def test_commits_cut_several_times_in_a_row_are_applied_once(world: World, client: RawClient, times: int) -> None:
    start = integer(client.call("INCR", "often"))
    cut = world.proxy.cut(COMMIT, At.SENT, times=times)
    for number in range(1, 6):
        assert integer(client.call("INCR", "often")) == start + number
    assert cut.count == times


def test_pipeline_whose_commit_is_lost_is_answered_in_full(world: World, client: RawClient) -> None:
    assert client.call("SET", "p", "0") == OK
    cut = world.proxy.cut(COMMIT, At.ANSWER)
    commands = [("INCR", "p"), ("GET", "p"), ("SET", "q", "x"), ("INCR", "p"), ("GET", "q")]
    assert client.pipeline(commands) == [b":1\r\n", bulk(1), OK, b":2\r\n", bulk("x")]
    cut.wait()


def test_session_of_a_lost_commit_is_ended_so_that_nothing_of_it_arrives_late(world: World, client: RawClient) -> None:
    assert client.call("SET", "late", "10") == OK
    before = world.query("SELECT id FROM information_schema.processlist WHERE db = %s", [world.name])
    held = world.proxy.hold(SECOND_TRIP)
    assert integer(client.call("INCR", "late")) == 11
    held.wait()
    after = world.query("SELECT id FROM information_schema.processlist WHERE db = %s", [world.name])
    assert len(set(before) - set(after)) == 2, "the one that held back the packet, and the one that looked"


def test_packet_delivered_after_the_retry_dies_on_the_marker(world: World, client: RawClient) -> None:
    assert client.call("SET", "late:blind", "old") == OK
    held = world.proxy.hold(BLIND_SET)
    kill = world.proxy.cut(KILL, At.BEFORE, times=100)
    assert client.call("SET", "late:blind", "older") == OK
    held.wait()
    assert kill.count
    assert client.call("SET", "late:blind", "new") == OK
    held.deliver()
    for _ in range(20):
        assert client.call("GET", "late:blind") == bulk("new")


def test_commit_held_back_longer_than_the_time_out_is_found_out_when_it_arrives(world: World) -> None:
    with world.client() as client, world.client() as other:
        assert client.call("SET", "late:incr", "10") == OK
        held = world.proxy.hold(SECOND_TRIP)
        world.proxy.cut(KILL, At.BEFORE, times=1000)
        client.send("INCR", "late:incr")
        held.wait()
        reply = client.read()
        assert reply.startswith(b"-INDETERMINATE "), reply
        # The old transaction holds the row's lock, so whatever comes next waits for it.
        other.send("INCR", "late:incr")
        assert other.silent(0.2)
        held.deliver()
        assert integer(other.read()) == 12
        assert client.call("GET", "late:incr") == bulk(12)
    world.verify()


def test_blind_set_that_was_given_up_never_arrives_later(world: World) -> None:
    """The client was told that nobody knows; what is written to the key from then on stays."""
    with world.client() as client:
        assert client.call("SET", "given:up", "first") == OK
        held = world.proxy.hold(BLIND_SET)
        then_away(world, held)
        reply = client.call("SET", "given:up", "second")
        assert reply.startswith(b"-INDETERMINATE "), reply
        back(world)
        assert client.call("SET", "given:up", "third") == OK
        # So many units on every worker that markers of smooth ones are cleared away.
        for number in range(600):
            assert client.call("SET", f"other:{number % 7}", number) == OK
        held.deliver()
        for _ in range(20):
            assert client.call("GET", "given:up") == bulk("third")
    world.verify()


@pytest.mark.parametrize("at", list(At), ids=str)
def test_database_that_is_away_after_a_lost_commit_answers_indeterminate_and_the_truth_is_kept(
    world: World, at: At
) -> None:
    with world.client() as client:
        assert client.call("SET", "truth", "1") == OK
        cut = world.proxy.cut(SECOND_TRIP, at)
        then_away(world, cut)
        reply = client.call("INCR", "truth")
        assert reply.startswith(b"-INDETERMINATE "), reply
        back(world)
        applied = at in (At.SENT, At.ANSWER)
        assert client.call("GET", "truth") == bulk(2 if applied else 1)
        assert integer(client.call("INCR", "truth")) == (3 if applied else 2)
    world.verify()


def test_database_that_is_away_before_the_commit_answers_that_nothing_was_applied(world: World) -> None:
    with world.client() as client:
        assert client.call("SET", "nothing", "1") == OK
        then_away(world, world.proxy.cut(FIRST_TRIP, At.ANSWER))
        reply = client.call("INCR", "nothing")
        assert reply.startswith(b"-UNAVAILABLE "), reply
        back(world)
        assert client.call("INCR", "nothing") == b":2\r\n"
    world.verify()


def test_keys_stay_closed_until_the_fate_of_their_commit_is_known(world: World) -> None:
    """Nobody may write a key while an older write to it may still arrive."""
    with world.client() as client, world.client() as other:
        assert client.call("SET", "closed", "1") == OK
        held = world.proxy.hold(BLIND_SET)
        then_away(world, held)
        client.send("SET", "closed", "2")
        held.wait()
        assert client.read().startswith(b"-INDETERMINATE ")
        # The database can't be asked, so the fate is not known and a write to this key waits in vain.
        assert other.call("SET", "closed", "3").startswith(b"-UNAVAILABLE ")
        assert other.call("PING") == b"+PONG\r\n"
        back(world)
        assert other.call("SET", "closed", "4") == OK
        held.deliver()
        for _ in range(20):
            assert other.call("GET", "closed") == bulk("4")
    world.verify()


def test_lost_read_is_repeated_without_a_word(world: World, client: RawClient) -> None:
    assert client.call("SET", "r", "v") == OK
    for at in At:
        cut = world.proxy.cut(query_with(b"FROM rowdis_key"), at)
        assert client.call("GET", "r") == bulk("v")
        cut.wait()
    assert client.call("GET", "absent") == NULL
