"""The baseline: Redis's protocol put before a table in the way it is usually done, `python -m benchmarks.direct`.

Every command goes to a thread pool, takes a connection from Peewee's pool, runs one statement in a transaction of its
own and gives the connection back. SET, GET and INCR, and PING to see that it runs. It is no part of Rowdis and exists
to be compared with: same table engine, same durability, same driver.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import hiredis
from peewee import BlobField, DateTimeField, Model, MySQLDatabase, fn
from playhouse.pool import PooledMySQLDatabase

THREADS = 16
_FILL_ROWS = 1000

database = PooledMySQLDatabase(None, max_connections=THREADS, timeout=10, stale_timeout=300)


class _Name(BlobField):  # type: ignore[misc]
    """Bytes that can be a primary key."""

    field_type = "VARBINARY(512)"


class _Moment(DateTimeField):  # type: ignore[misc]
    """A time that tells two writes apart."""

    field_type = "DATETIME(6)"


class Entry(Model):  # type: ignore[misc]
    """One key."""

    name = _Name(primary_key=True)
    value = BlobField()
    #: As tables usually have it. Without it a SET of the value that is there already would write and sync nothing.
    updated_at = _Moment(default=datetime.datetime.now)

    class Meta:
        database = database
        table_name = "direct_entry"


def fill(target: dict[str, Any], contents: Iterable[tuple[bytes, bytes]]) -> None:
    """Put the keys into the table, many in a statement: one in a statement would take minutes."""
    filler = MySQLDatabase(target.pop("database"), **target)
    now = datetime.datetime.now()
    rows = [(name, value, now) for name, value in contents]
    with filler.bind_ctx([Entry]), filler:
        for at in range(0, len(rows), _FILL_ROWS):
            Entry.insert_many(rows[at : at + _FILL_ROWS], fields=[Entry.name, Entry.value, Entry.updated_at]).execute()
    filler.close()


def _set(args: list[bytes]) -> bytes:
    with database.connection_context():
        Entry.insert(name=args[1], value=args[2]).on_conflict(preserve=[Entry.value, Entry.updated_at]).execute()
    return b"+OK\r\n"


def _get(args: list[bytes]) -> bytes:
    with database.connection_context():
        row = Entry.select(Entry.value).where(Entry.name == args[1]).tuples().first()
    return b"$-1\r\n" if row is None else b"$%d\r\n%b\r\n" % (len(row[0]), row[0])


def _incr(args: list[bytes]) -> bytes:
    one_more = fn.LAST_INSERT_ID(Entry.value.cast("SIGNED") + 1)
    with database.connection_context():
        insert = Entry.insert(name=args[1], value=b"1")
        number = insert.on_conflict(preserve=[Entry.updated_at], update={Entry.value: one_more}).execute()
    return b":%d\r\n" % (number or 1)


_COMMANDS: dict[bytes, tuple[int, Callable[[list[bytes]], bytes]]] = {
    b"SET": (3, _set),
    b"GET": (2, _get),
    b"INCR": (2, _incr),
    b"PING": (1, lambda args: b"+PONG\r\n"),
}


def _answer(args: list[bytes]) -> bytes:
    count, command = _COMMANDS.get(args[0].upper(), (0, None))
    if command is None:
        return b"-ERR unknown command '%b'\r\n" % args[0]
    if count != len(args):
        return b"-ERR wrong number of arguments\r\n"
    return command(args)


async def _serve(port: int) -> None:
    pool = ThreadPoolExecutor(THREADS)
    loop = asyncio.get_running_loop()

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests = hiredis.Reader(notEnoughData=None)
        while data := await reader.read(65536):
            requests.feed(data)
            while (args := requests.gets()) is not None:
                writer.write(await loop.run_in_executor(pool, _answer, args))
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(client, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--unix-socket", required=True, help="of the database")
    parser.add_argument("--user", default="root")
    parser.add_argument("--database", required=True)
    options = parser.parse_args()
    database.init(options.database, unix_socket=options.unix_socket, user=options.user)
    database.create_tables([Entry])
    asyncio.run(_serve(options.port))


if __name__ == "__main__":
    main()
