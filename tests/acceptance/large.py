"""What the tests of large collections share: the sizes, the collections, how they are built, read and waited for."""

import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hiredis
import pymysql

from storage.engines import Target, embedded_target, parse_url
from storage.owned import OWNED_TABLES
from tests.services.process import clean_environment, wait_until
from tests.services.raw_client import Argument, RawClient
from tests.services.rowdis import REPOSITORY, Rowdis

LONG = "ROWDIS_TEST_LONG" in os.environ
ELEMENTS = 1_000_000 if LONG else 20_000
PAGE = 500
"""Elements that one call of a scan asks for."""
REAP_LIMIT_S = 300.0 if LONG else 60.0

_PER_COMMAND = 100
_PER_PIPELINE = 20
_PRIME = 1_000_003

Command = tuple[Argument, ...]


def element(n: int) -> bytes:
    """The name of an element of a hash, set or sorted set."""
    return b"element:%07d" % n


def number(n: int) -> bytes:
    """An item of a list: a number, and no two are the same, in no order."""
    return b"%d" % (n * 7919 % _PRIME)


@dataclass(frozen=True)
class Kind:
    """A type of collection. `add` gives the commands that add elements, `whole` is what reads all of a collection;
    `plain` makes of a parsed reply of RESP2 what `content` gives for a number of elements; `page` reads some elements
    from a place on, and gives them with the next place, None behind the last."""

    name: str
    add: Callable[[str, Sequence[int]], list[Command]]
    whole: tuple[str, ...]
    size: str
    plain: Callable[[Any], Any]
    content: Callable[[int], Any]
    page: Callable[[RawClient, str, Any], tuple[list[Any], Any]]

    def read(self, key: str) -> Command:
        """The command that reads a whole collection."""
        return (self.whole[0], key, *self.whole[1:])

    def build(self, client: RawClient, key: str, count: int) -> None:
        """Make a collection with the elements 0 to `count` - 1, by pipelines."""
        step = _PER_COMMAND * _PER_PIPELINE
        for start in range(0, count, step):
            replies = client.pipeline(self.add(key, range(start, min(start + step, count))))
            assert not any(reply.startswith(b"-") for reply in replies), replies[0]
        assert client.call(self.size, key) == b":%d\r\n" % count


def parsed(reply: bytes) -> Any:
    """A reply as lists, bytes and numbers."""
    reader = hiredis.Reader()
    reader.feed(reply)
    return reader.gets()


def flat(value: Any) -> list[Any]:
    """The names and values of a hash or of scores, as RESP2 gives them, of a reply in either protocol."""
    if isinstance(value, dict):
        return [word for pair in value.items() for word in pair]
    if value and isinstance(value[0], list):
        return [word for pair in value for word in pair]
    return list(value)


def _pairs(words: Sequence[Any]) -> list[tuple[Any, Any]]:
    return list(zip(words[::2], words[1::2], strict=True))


def _together(command: str, key: str, numbers: Sequence[int], words: Callable[[int], tuple[Argument, ...]]
              ) -> list[Command]:  # fmt: skip
    return [
        (command, key, *(word for n in numbers[start : start + _PER_COMMAND] for word in words(n)))
        for start in range(0, len(numbers), _PER_COMMAND)
    ]


def _scan(command: str, client: RawClient, key: str, cursor: Any) -> tuple[list[Any], Any]:
    following, words = parsed(client.call(command, key, cursor or 0, "COUNT", PAGE))
    names = words if command == "SSCAN" else words[::2]
    return names, None if following == b"0" else following


def _slice(client: RawClient, key: str, start: Any) -> tuple[list[Any], Any]:
    start = start or 0
    items = parsed(client.call("LRANGE", key, start, start + PAGE - 1))
    return items, start + PAGE if len(items) == PAGE else None


def _entries(client: RawClient, key: str, last: Any) -> tuple[list[Any], Any]:
    found = parsed(client.call("XRANGE", key, b"(" + last if last else "-", "+", "COUNT", PAGE))
    return [identifier for identifier, _ in found], found[-1][0] if len(found) == PAGE else None


HASH = Kind(
    "hash", lambda key, numbers: _together("HSET", key, numbers, lambda n: (element(n), n)), ("HGETALL",), "HLEN",
    lambda reply: dict(_pairs(flat(reply))), lambda count: {element(n): b"%d" % n for n in range(count)},
    lambda *where: _scan("HSCAN", *where),
)  # fmt: skip
SET = Kind(
    "set", lambda key, numbers: _together("SADD", key, numbers, lambda n: (element(n),)), ("SMEMBERS",), "SCARD",
    sorted, lambda count: [element(n) for n in range(count)], lambda *where: _scan("SSCAN", *where),
)  # fmt: skip
ZSET = Kind(
    "zset", lambda key, numbers: _together("ZADD", key, numbers, lambda n: (n, element(n))),
    ("ZRANGE", "0", "-1", "WITHSCORES"), "ZCARD",
    lambda reply: [(name, float(score)) for name, score in _pairs(flat(reply))],
    lambda count: [(element(n), float(n)) for n in range(count)], lambda *where: _scan("ZSCAN", *where),
)  # fmt: skip
LIST = Kind(
    "list", lambda key, numbers: _together("RPUSH", key, numbers, lambda n: (number(n),)), ("LRANGE", "0", "-1"),
    "LLEN", list, lambda count: [number(n) for n in range(count)], _slice,
)  # fmt: skip
STREAM = Kind(
    "stream", lambda key, numbers: [("XADD", key, f"{n + 1}-0", "field", n) for n in numbers], ("XRANGE", "-", "+"),
    "XLEN", list, lambda count: [[b"%d-0" % (n + 1), [b"field", b"%d" % n]] for n in range(count)], _entries,
)  # fmt: skip
KINDS = (HASH, SET, ZSET, LIST, STREAM)


def names_of(kind: Kind, content: Any) -> list[Any]:
    """What the pages of a collection with this content must show, in order."""
    return sorted(item[0] if kind in (ZSET, STREAM) else item for item in content)


def pages(kind: Kind, client: RawClient, key: str) -> Iterator[list[Any]]:
    """All pages of a collection, one after the other."""
    place = None
    while True:
        items, place = kind.page(client, key, place)
        yield items
        if place is None:
            return


def percentile(times: Sequence[float], part: float) -> float:
    """The smallest of these values that so great a part of them does not exceed."""
    return sorted(times)[min(len(times) - 1, int(len(times) * part))]


def told(what: str, times: Sequence[float]) -> str:
    """A line for whoever reads the figures: `times` are in milliseconds."""
    return (
        f"{what}: n={len(times)} median={statistics.median(times):.2f} p99={percentile(times, 0.99):.2f} "
        f"max={max(times):.2f} ms"
    )


def rows_left(server: Rowdis, tables: Sequence[str]) -> dict[str, int]:
    """Those of some tables in which there is anything, with the number of rows."""
    counts: dict[str, int] = {}
    with pymysql.connect(**_target(server).connect_arguments()) as connection, connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"SELECT COUNT(*) FROM {table}")
            counts[table] = cursor.fetchall()[0][0]
    return {table: count for table, count in counts.items() if count}


def _target(server: Rowdis) -> Target:
    directory = server.database.removeprefix("embedded:")
    return embedded_target(Path(directory)) if directory != server.database else parse_url(server.database)


def wait_until_gone(server: Rowdis) -> None:
    """Wait until nothing is left of any collection, once no key has one any more."""
    # To count a million rows again and again would keep the database from everything else.
    wait_until(lambda: not rows_left(server, ["rowdis_garbage"]), REAP_LIMIT_S, "there is no garbage")
    tables = [table.name for table in OWNED_TABLES]
    wait_until(lambda: not rows_left(server, tables), REAP_LIMIT_S, "all rows of elements are deleted")


def check(server: Rowdis) -> str:
    """What `rowdis check` prints of a server's database."""
    done = subprocess.run(
        [sys.executable, "-m", "server", "check", "--database", server.database],
        cwd=REPOSITORY, env=clean_environment(PYTHONPATH=str(REPOSITORY)), capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr
