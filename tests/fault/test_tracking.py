"""Clients that track keys while another instance comes to the same database, whose writes nobody tells them of."""

import pytest

from tests.fault.world import World
from tests.services.mariadb import MariaDB
from tests.services.process import wait_until
from tests.services.raw_client import ConnectionClosed
from tests.services.rowdis import Rowdis

#: An instance shows every 2 s that it lives.
NOTICED_S = 15.0
ON = ("CLIENT", "TRACKING", "ON")


def test_another_instance_ends_tracking_and_keeps_it_from_beginning(mariadb: MariaDB) -> None:
    with World(mariadb, "fault_tracking") as world, Rowdis(world.rowdis[0].database) as other:
        wait_until(lambda: world.call(*ON).startswith(b"-"), NOTICED_S, "the other instance is noticed")
        assert b"another instance uses the same database" in world.call(*ON)
        other.stop()
        wait_until(lambda: world.call(*ON) == b"+OK\r\n", NOTICED_S, "it is noticed that the other instance has ended")

        with world.client(protocol=3) as told, world.client(protocol=3) as tracking, world.client() as bystander:
            number = told.call("CLIENT", "ID")[1:-2]
            assert tracking.call(*ON, "REDIRECT", number) == b"+OK\r\n"
            assert tracking.call("GET", "k") == b"_\r\n"
            other.start()
            for client in (told, tracking):
                client.socket.settimeout(NOTICED_S)
                with pytest.raises(ConnectionClosed):
                    client.read()
            assert bystander.call("PING") == b"+PONG\r\n"
        assert "closing the connections of 1 clients that track keys" in world.rowdis[0].log()
