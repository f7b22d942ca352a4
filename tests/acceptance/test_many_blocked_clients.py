"""Ten thousand clients that wait for data: they cost memory and nothing else, and each is woken up at once.

ROWDIS_TEST_LONG makes their number and the limit that of the promise; otherwise they are a thousand.
"""

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.acceptance.crowds import BYTES_EACH, CLIENTS, CONNECTING, many_files
from tests.acceptance.large import LONG, percentile, told
from tests.conftest import Combination
from tests.services.mariadb import MariaDB
from tests.services.process import wait_until
from tests.services.raw_client import RawClient, encode_command
from tests.services.rowdis import Rowdis

WAKE_UP_MS = 10.0 if LONG else 500.0
"""From the reply of the command that feeds a client, which leaves after the commit, to what the client gets."""
DATABASE = "many_blocked"


@pytest.fixture(autouse=True)
def files() -> Iterator[None]:
    with many_files():
        yield


@pytest.fixture
def roomy(combination: Combination, request: pytest.FixtureRequest) -> Iterator[Rowdis]:
    """Rowdis for many clients."""
    url = None
    if combination.engine == "mariadb":
        server = request.getfixturevalue("mariadb")
        assert isinstance(server, MariaDB)
        url = server.create_database(DATABASE)
    with Rowdis(url, ["--maxclients", str(CLIENTS + 100)]) as rowdis:
        yield rowdis


def _threads(rowdis: Rowdis) -> int:
    return len(list(Path(f"/proc/{rowdis.pid}/task").iterdir()))


def _processor_s(rowdis: Rowdis) -> float:
    """The processor time that the program has used so far."""
    fields = Path(f"/proc/{rowdis.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def _waiting(client: RawClient) -> int:
    found = re.search(rb"blocked_clients:(\d+)", client.call("INFO", "clients"))
    assert found is not None
    return int(found[1])


def _sessions(request: pytest.FixtureRequest, combination: Combination) -> int:
    if combination.engine != "mariadb":
        return 0
    server = request.getfixturevalue("mariadb")
    rows = server.execute("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE DB=%s", [DATABASE])
    return int(rows[0][0])


def _block(stack: ExitStack, rowdis: Rowdis, client: RawClient) -> list[RawClient]:
    """The clients: three of four wait each for a key of its own, the others in a queue for one key."""
    waiting: list[RawClient] = []
    for start in range(0, CLIENTS, CONNECTING):
        some = [stack.enter_context(rowdis.client(2)) for _ in range(CONNECTING)]
        for n, one in enumerate(some, start):
            one.send_raw(encode_command(("BLPOP", f"queue:{n}" if n % 4 else "queue", 0)))
        waiting += some
        wait_until(lambda: _waiting(client) == len(waiting), 60, "all clients are blocked")  # noqa: B023
    return waiting


def test_blocked_clients_cost_memory_only(
    roomy: Rowdis, combination: Combination, request: pytest.FixtureRequest
) -> None:
    with ExitStack() as stack:
        client = stack.enter_context(roomy.client(combination.protocol))
        # Whatever comes into being with the first commands is there.
        client.pipeline([("SET", "key", "value"), ("BLPOP", "nothing", 0.01)])
        threads = _threads(roomy)
        memory = roomy.rss_bytes()
        waiting = _block(stack, roomy, client)
        assert _threads(roomy) <= threads
        # Storage workers connect when they first have work, and each has one session.
        assert _sessions(request, combination) <= threads
        each = (roomy.rss_bytes() - memory) / CLIENTS
        print(f"{CLIENTS} blocked clients: {each / 1024:.1f} KB each")
        assert each < BYTES_EACH
        _measure_idle(roomy)
        _check_wake_up(client, waiting)
        _check_end(roomy, client, waiting)


def _measure_idle(rowdis: Rowdis) -> None:
    """What they cost while nothing happens: the looks at their keys, for the sake of other instances."""
    used, began = _processor_s(rowdis), time.perf_counter()
    time.sleep(2)
    share = (_processor_s(rowdis) - used) / (time.perf_counter() - began)
    print(f"{CLIENTS} blocked clients: {100 * share:.0f} % of a processor while nothing happens")
    assert share < 0.5


def _check_wake_up(client: RawClient, waiting: list[RawClient]) -> None:
    """Who is fed gets it right after the commit, whoever else waits."""
    times = []
    for n in range(1, min(CLIENTS, 1200), 4):
        client.send("RPUSH", f"queue:{n}", f"value:{n}")
        # The reply to whoever feeds, and what he feeds, leave after the same commit.
        assert client.read() == b":1\r\n"
        began = time.perf_counter()
        name = b"queue:%d" % n
        assert waiting[n].read() == b"*2\r\n$%d\r\n%b\r\n$%d\r\nvalue:%d\r\n" % (len(name), name, len(f"value:{n}"), n)
        times.append(1000 * (time.perf_counter() - began))
    print(told("woken up after the reply to RPUSH", times))
    assert percentile(times, 0.99) < WAKE_UP_MS


def _check_end(rowdis: Rowdis, client: RawClient, waiting: list[RawClient]) -> None:
    """Those in the queue are fed by one push, in their order; the others go away and leave nothing behind."""
    queue = waiting[::4]
    assert client.call("RPUSH", "queue", *range(len(queue))) == b":%d\r\n" % len(queue)
    for place, one in enumerate(queue):
        assert one.read() == b"*2\r\n$5\r\nqueue\r\n$%d\r\n%d\r\n" % (len(str(place)), place)
    for one in waiting:
        one.close()
    wait_until(lambda: _waiting(client) == 0, 60, "nobody is blocked any more")
    for n in range(2, min(CLIENTS, 400), 4):
        assert client.call("RPUSH", f"queue:{n}", "nobody") == b":1\r\n"
        assert client.call("LLEN", f"queue:{n}") == b":1\r\n"
