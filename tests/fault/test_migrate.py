"""MIGRATE while connections to the database break: a key is always somewhere, and what was sent is not sent again."""

import time
from collections.abc import Iterator

import pytest

from tests.commands.scenarios import shows
from tests.commands.test_migrate import FakeTarget
from tests.conftest import services
from tests.fault.test_lost_commit import back, then_away, writing
from tests.fault.world import OK, TIMEOUT_MS, World, bulk
from tests.services.mariadb import MariaDB
from tests.services.proxy import At
from tests.services.raw_client import RawClient
from tests.services.redis_oracle import RedisOracle

#: The trip in which a key is deleted because it has arrived.
DELETING = writing(b"DELETE", b"COMMIT")
GONE = b":0\r\n"


@pytest.fixture(scope="module")
def world(mariadb: MariaDB) -> Iterator[World]:
    with World(mariadb, "fault_migrate") as world:
        yield world


@pytest.fixture(scope="module")
def target() -> Iterator[RedisOracle]:
    with services(), RedisOracle() as server:
        yield server


@pytest.fixture
def client(world: World) -> Iterator[RawClient]:
    world.heal()
    with world.client() as client:
        assert client.call("SET", "k", "old") == OK
        yield client
        world.proxy.clear()
        world.verify()


@pytest.fixture
def there(target: RedisOracle) -> Iterator[RawClient]:
    with target.client() as client:
        assert client.call("FLUSHALL") == OK
        yield client


@pytest.mark.parametrize("at", list(At), ids=str)
def test_a_key_moves_once_whatever_becomes_of_the_commit(
    world: World, client: RawClient, there: RawClient, target: RedisOracle, at: At
) -> None:
    cut = world.proxy.cut(DELETING, at)
    assert client.call("MIGRATE", "127.0.0.1", target.port, "k", 0, 5000) == OK
    cut.wait()
    assert client.call("EXISTS", "k") == GONE
    assert there.call("GET", "k") == bulk("old")


def test_several_of_a_transaction_move_once(
    world: World, client: RawClient, there: RawClient, target: RedisOracle
) -> None:
    """Two of them are the same, word by word; the second has another value to move, and finds the first in its way."""
    cut = world.proxy.cut(writing(b"INSERT INTO rowdis_key", b"COMMIT"), At.BEFORE)
    move = ("MIGRATE", "127.0.0.1", target.port, "k", 0, 5000)
    for command in (("MULTI",), move, ("SET", "k", "second"), move, ("SET", "j", "1"), (*move[:3], "j", *move[4:])):
        client.call(*command)
    reply = client.call("EXEC")
    cut.wait()
    busy = b"-ERR Target instance replied with error: BUSYKEY Target key name already exists.\r\n"
    assert reply == b"*5\r\n" + OK + OK + busy + OK + OK
    assert (client.call("GET", "k"), client.call("EXISTS", "j")) == (bulk("second"), GONE)
    assert (there.call("GET", "k"), there.call("GET", "j")) == (bulk("old"), bulk("1"))


def test_a_key_that_somebody_changes_between_two_tries_is_sent_again(
    world: World, client: RawClient, there: RawClient, target: RedisOracle
) -> None:
    trap = world.proxy.cut(DELETING, At.BEFORE)
    then_away(world, trap)
    client.send("MIGRATE", "127.0.0.1", target.port, "k", 0, 5000)
    trap.wait()
    world.query("UPDATE rowdis_key SET value='new', version=%s WHERE name='k'", [2**60])
    back(world)
    assert client.read() == OK
    assert client.call("EXISTS", "k") == GONE
    assert there.call("GET", "k") == bulk("new")


@shows("migrate")
def test_a_target_that_says_nothing_keeps_nobody_else_waiting(world: World, client: RawClient) -> None:
    with FakeTarget(None) as fake, world.client() as other:
        start = time.monotonic()
        client.send("MIGRATE", "127.0.0.1", fake.port, "k", 0, 60_000)
        assert other.call("SET", "j", "1") == OK
        assert other.call("GET", "j") == bulk("1")
        assert client.silent(0.01)
        assert client.read() == b"-IOERR error or timeout reading to target instance\r\n"
        assert time.monotonic() - start < 3 * TIMEOUT_MS / 1000
        assert client.call("GET", "k") == bulk("old")
