"""What is wrong with the consumer groups of a stream: what a group counts, and who its pending entries belong to."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from storage.check_keys import Problem, Sql
from storage.connection import Connection
from storage.owned import STREAM_GROUP, STREAM_PENDING

_GROUPS = (
    f"SELECT digest, LEFT(name,60), group_id, pending, last_ms, last_seq, ahead FROM {STREAM_GROUP.name} "
    "FORCE INDEX (PRIMARY) WHERE key_id=%s AND digest>%s ORDER BY key_id, digest LIMIT 1000"
)
_STRAY = (
    "SELECT COUNT(*) FROM (SELECT DISTINCT consumer_id FROM rowdis_stream_pending "
    "FORCE INDEX (rowdis_stream_pending_consumer) WHERE key_id=%s) p LEFT JOIN rowdis_stream_consumer c "
    "ON c.key_id=%s AND c.consumer_id=p.consumer_id WHERE c.key_id IS NULL"
)
_LAST = (
    "SELECT ms, seq FROM rowdis_stream_pending FORCE INDEX (PRIMARY) WHERE key_id=%s "
    "ORDER BY key_id DESC, ms DESC, seq DESC LIMIT 1"
)
_SET = "UPDATE rowdis_stream_group SET {column}=%s WHERE key_id=%s AND digest=%s"


def group_problems(key_id: int, connection: Connection, sql: Sql) -> Iterator[Problem]:
    """What the groups of a stream tell; a page of them at a time is held."""
    digest = b""
    while rows := connection.fetch(sql(_GROUPS), (key_id, digest)):
        digest = rows[-1][0]
        for place, name, group_id, pending, last_ms, last_seq, ahead in rows:
            title = f"group {name!r}"
            count = _count(group_id, connection, sql)
            if count != pending:
                yield Problem("pending entries", f"{title} counts {pending} pending entries, and there are {count}",
                              _setting("pending", count, key_id, place))
            ((strangers,),) = connection.fetch(sql(_STRAY), (group_id, group_id))
            if strangers:
                yield Problem("pending entries", f"{title} has pending entries of {strangers} consumers that it lacks")
            last = connection.fetch(sql(_LAST), (group_id,))
            if last and not ahead and last[0] > (last_ms, last_seq):
                yield Problem("pending entries", f"{title} has pending entries behind the last one that it was given",
                              _setting("ahead", 1, key_id, place))


def _count(group_id: int, connection: Connection, sql: Sql) -> int:
    """How many entries of a group are pending, counted in parts."""
    total = 0
    for (part, arguments), known in STREAM_PENDING.parts(
        lambda template, arguments: connection.fetch(sql(template), arguments), group_id
    ):
        if known is None:
            template = f"SELECT COUNT(*) FROM {STREAM_PENDING.name} FORCE INDEX (PRIMARY) WHERE key_id=%s AND {part}"
            known = connection.fetch(sql(template), (group_id, *arguments))[0][0]
        total += known
    return total


def _setting(column: str, number: int, key_id: int, digest: bytes) -> Callable[[Connection, Sql], str]:
    def repair(connection: Connection, sql: Sql) -> str:
        connection.fetch(sql(_SET.replace("{column}", column)), (number, key_id, digest))
        return f"set to {number}"

    return repair
