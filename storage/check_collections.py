"""What is wrong with a collection: what its key row notes, against the rows of its elements and of what hangs on them.

Most collections are small and in order, so many of them are looked at by one statement (`in_order`); the others one by
one, in parts.  Pure judgement, and repairs that run while the key's row is locked; walking through the keys is
`storage/check.py`'s.  The elements are believed: what can be derived from them is what a repair writes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from storage.check_keys import KeyRecord, Problem, Sql, set_size
from storage.check_streams import group_problems
from storage.connection import Arguments, Connection, Row
from storage.hashes import HashState
from storage.key_rows import State, Type
from storage.list_state import STRIDE, ListState
from storage.owned import ELEMENTS, FIELD_EXPIRY, HASH_EXPIRY, HASH_FIELD, OwnedTable
from storage.sets import SetState
from storage.streams import StreamState, written
from storage.zset_order import ZsetState

#: Elements and collections that one statement looks at.
TOGETHER, KEYS = 10_000, 500

#: What is asked of the elements of each type; all of it can be put together from what parts of a collection answer.
_SUMMARIES: dict[Type, tuple[str, ...]] = {
    Type.SET: ("COUNT(*)", "MAX(n)"),
    Type.LIST: (
        "COUNT(*)", "MIN(position)", "MAX(position)", "COUNT(NULLIF(chunks,0))",
        f"MIN(position & {STRIDE - 1})", f"MAX(position & {STRIDE - 1})",
    ),
    Type.ZSET: ("COUNT(*)", "MIN(score)", "MAX(score)", "COUNT(NULLIF(chunks,0))"),
    Type.HASH: ("COUNT(*)", "MIN(expire_at)", "MAX(ABS(n))"),
    Type.STREAM: ("COUNT(*)",),
}  # fmt: skip
_COMBINED: dict[str, Callable[[list[int]], int]] = {"COUNT": sum, "MIN": min, "MAX": max}

_ANY = "SELECT key_id FROM {table} FORCE INDEX (PRIMARY) WHERE key_id IN ({rows}) GROUP BY key_id"
_BELOW = (
    "SELECT COUNT(*) FROM rowdis_zset_member FORCE INDEX (rowdis_zset_order) "
    "WHERE key_id=%s AND (score<%s OR (score=%s AND head<%s))"
)
_ABOVE = (
    "SELECT COUNT(*) FROM rowdis_zset_member FORCE INDEX (rowdis_zset_order) "
    "WHERE key_id=%s AND (score>%s OR (score=%s AND head>=%s))"
)
# Rows of one table of expiring fields that have no match in the other.
_UNNOTED = (
    "FROM rowdis_hash_field f FORCE INDEX (PRIMARY) WHERE key_id=%s AND {part} AND expire_at IS NOT NULL "
    "AND NOT EXISTS (SELECT 1 FROM rowdis_field_expiry e "
    "WHERE e.key_id=f.key_id AND e.expire_at=f.expire_at AND e.digest=f.digest)"
)
_LEFT_OVER = (
    "FROM rowdis_field_expiry e FORCE INDEX (PRIMARY) WHERE key_id=%s AND {part} "
    "AND NOT EXISTS (SELECT 1 FROM rowdis_hash_field f "
    "WHERE f.key_id=e.key_id AND f.digest=e.digest AND f.expire_at=e.expire_at)"
)
_NOTE = f"INSERT INTO rowdis_field_expiry (key_id, expire_at, digest) SELECT key_id, expire_at, digest {_UNNOTED}"
_DELETE_LEFT_OVER = f"DELETE e {_LEFT_OVER}"
_LOCATED = "SELECT expire_at FROM rowdis_hash_expiry WHERE key_id=%s AND space=%s AND digest=%s"
_LOCATE = (
    "INSERT INTO rowdis_hash_expiry (key_id, expire_at, space, digest) VALUES (%s,%s,%s,%s) "
    "ON DUPLICATE KEY UPDATE expire_at=VALUES(expire_at), digest=VALUES(digest)"
)
_END_OF_STREAM = (
    "SELECT ms, seq FROM rowdis_stream_entry FORCE INDEX (PRIMARY) WHERE key_id=%s "
    "ORDER BY key_id{order}, ms{order}, seq{order} LIMIT 1"
)
_SET_VALUE = "UPDATE rowdis_key SET value=%s WHERE space=%s AND digest=%s"

_PARSERS: dict[Type, Callable[[bytes], State]] = {
    Type.LIST: ListState.unpack,
    Type.SET: SetState.unpack,
    Type.ZSET: ZsetState.unpack,
    Type.HASH: HashState.unpack,
    Type.STREAM: StreamState.unpack,
}


def in_order(records: Iterable[KeyRecord], connection: Connection, sql: Sql) -> set[int]:
    """The ids of those among these collections that certainly have no problem; few statements for all of them."""
    kinds: dict[Type, list[KeyRecord]] = {}
    for record in records:
        if record.type != Type.STREAM and 0 < record.size <= TOGETHER:
            kinds.setdefault(Type(record.type), []).append(record)
    found: set[int] = set()
    for kind, several in kinds.items():
        for some in _groups(several):
            found |= _in_order_of(kind, some, connection, sql)
    return found


def _groups(records: list[KeyRecord]) -> Iterator[list[KeyRecord]]:
    some: list[KeyRecord] = []
    elements = 0
    for record in records:
        if some and (len(some) >= KEYS or elements + record.size > TOGETHER):
            yield some
            some, elements = [], 0
        some.append(record)
        elements += record.size
    yield some


def _in_order_of(kind: Type, records: list[KeyRecord], connection: Connection, sql: Sql) -> set[int]:
    ids = [record.key_id for record in records]
    marks = ",".join(["%s"] * len(ids))
    template = (
        f"SELECT key_id, {', '.join(_SUMMARIES[kind])} FROM {ELEMENTS[kind].name} FORCE INDEX (PRIMARY) "
        f"WHERE key_id IN ({marks}) GROUP BY key_id"
    )
    summaries = {key_id: summary for key_id, *summary in connection.fetch(sql(template), ids)}
    closer: set[int] = set()
    if kind is Type.HASH:
        for table in (FIELD_EXPIRY, HASH_EXPIRY):
            rows = connection.fetch(sql(_ANY.replace("{table}", table.name).replace("{rows}", marks)), ids)
            closer |= {key_id for (key_id,) in rows}
    return {
        record.key_id for record in records
        if record.key_id not in closer
        and record.key_id in summaries
        and not any(_Collection(record, connection, sql).judge(summaries[record.key_id], closer=False))
    }  # fmt: skip


def collection_problems(key: KeyRecord, connection: Connection, sql: Sql) -> Iterator[Problem]:
    """What the elements of one collection tell."""
    return _Collection(key, connection, sql).problems()


class _Collection:
    """One collection that is looked at; repairs of its problems change `state` one after the other."""

    def __init__(self, key: KeyRecord, connection: Connection, sql: Sql) -> None:
        self.key = key
        self.kind = Type(key.type)
        self._connection = connection
        self._sql = sql

    def fetch(self, template: str, arguments: Arguments) -> tuple[Row, ...]:
        return self._connection.fetch(self._sql(template), arguments)

    def problems(self) -> Iterator[Problem]:
        yield from self.judge(self._summary(ELEMENTS[self.kind], _SUMMARIES[self.kind]), closer=True)
        if self.kind is Type.STREAM:
            yield from group_problems(self.key.key_id, self._connection, self._sql)

    def judge(self, summary: list[Any], *, closer: bool) -> Iterator[Problem]:
        """What a summary tells. Without `closer` nothing is asked of the database, and doubts are problems."""
        count = summary[0]
        if count != self.key.size:
            repair = set_size(self.key, count) if count or self.kind is Type.STREAM else None
            yield Problem("sizes", f"the size is {self.key.size}, and there are {count} elements", repair)
        try:
            state = _PARSERS[self.kind](self.key.state or b"")
        except (struct.error, ValueError):
            yield Problem("notes", "what the row notes about the elements can not be read")
            return
        match state:
            case ListState() if count:
                yield from self._list_problems(state, *summary)
            case ZsetState() if count:
                yield from self._zset_problems(state, closer, *summary)
            case SetState() if count:
                yield from self._numbering_problems(state, summary[1])
            case HashState():
                yield from self._numbering_problems(state, summary[2] or 0)
                yield from self._hash_problems(state, closer, summary[1])
            case StreamState() if count:
                yield from self._stream_problems(state)

    def _list_problems(
        self, state: ListState, count: int, first: int, last: int, long: int, low: int, high: int
    ) -> Iterator[Problem]:
        if state.dense:
            right = low == high and (first, last) == (state.head, state.tail - STRIDE)
            right = right and count * STRIDE == state.tail - state.head
        else:
            right = state.head <= first and last < state.tail
        if not right:
            layout = "without gaps " if state.dense else ""
            text = f"items lie from {first} to {last}, and the row says {layout}from {state.head} up to {state.tail}"
            yield Problem("bounds", text, self._rewriting(state, dense=False, head=first, tail=last + STRIDE))
        if long and not state.long:
            yield Problem("notes", "the row says that no item is long, and one is", self._rewriting(state, long=True))

    def _zset_problems(
        self, state: ZsetState, closer: bool, count: int, lowest: int, highest: int, long: int
    ) -> Iterator[Problem]:
        (low, low_head), (high, high_head) = state.low, state.high
        if closer:
            key_id = self.key.key_id
            below = self.fetch(_BELOW, (key_id, low, low, low_head))[0][0]
            above = self.fetch(_ABOVE, (key_id, high, high, high_head))[0][0]
            outside = below + above
        else:
            outside = lowest < low or (lowest == low and low_head) or highest >= high
        if outside:
            yield Problem("bounds", f"{outside} members lie outside of the bounds in the row",
                          self._rewriting(state, low=(lowest, b""), high=(highest + 1, b"")))
        if long and not state.chunked:
            yield Problem(
                "notes", "the row says that no member is long, and one is", self._rewriting(state, chunked=True)
            )

    def _numbering_problems(self, state: SetState | HashState, highest: int) -> Iterator[Problem]:
        """Of sets and hashes the order in which elements came is told by numbers."""
        if highest >= state.next_n:
            text = f"an element has the number {highest}, and the next one would get {state.next_n}"
            yield Problem("numbering", text, self._rewriting(state, next_n=highest + 1))

    def _hash_problems(self, state: HashState, closer: bool, earliest: int | None) -> Iterator[Problem]:
        if not closer:
            if earliest is not None or state.earliest:
                yield Problem("field expiry", "some field may expire")
            return
        key_id = self.key.key_id
        for table, matchless, what, repair, done in (
            (HASH_FIELD, _UNNOTED, "fields expire and are not noted for the sweeper", _NOTE, "noted"),
            (FIELD_EXPIRY, _LEFT_OVER, "fields are noted as expiring and do not", _DELETE_LEFT_OVER, "deleted"),
        ):
            statements = [
                (template.replace("{part}", part), (key_id, *arguments))
                for (part, arguments), _ in table.parts(self.fetch, key_id)
                for template in (f"SELECT COUNT(*) {matchless}", repair)
            ]
            count = sum([self.fetch(*statement)[0][0] for statement in statements[::2]])
            if count:
                yield Problem("field expiry", f"{count} {what}", _executing(statements[1::2], done))
        if earliest is None:
            return
        if not 0 < state.earliest <= earliest:
            text = f"the first field expires at {earliest}, and the row says {state.earliest}"
            yield Problem("field expiry", text, self._rewriting(state, earliest=earliest))
        located = self.fetch(_LOCATED, (key_id, *self.key.place))
        if not located or located[0][0] > earliest:
            yield Problem("field expiry", "the sweeper does not know when the first field expires",
                          _executing([(_LOCATE, (key_id, earliest, *self.key.place))], "noted for it"))

    def _stream_problems(self, state: StreamState) -> Iterator[Problem]:
        ((ms, seq),) = self.fetch(_END_OF_STREAM.replace("{order}", ""), (self.key.key_id,))
        ((last_ms, last_seq),) = self.fetch(_END_OF_STREAM.replace("{order}", " DESC"), (self.key.key_id,))
        first, last = (ms, seq), (last_ms, last_seq)
        if first < state.first or (state.first_is_exact and first != state.first):
            text = f"the first entry is {_text(first)}, and the row says {_text(state.first)}"
            yield Problem("bounds", text, self._rewriting(state, first=first, first_is_exact=True))
        if last > state.last:
            text = f"the last entry is {_text(last)}, and the row says {_text(state.last)}"
            yield Problem("bounds", text, self._rewriting(state, last=last))

    def _summary(self, table: OwnedTable, wanted: tuple[str, ...]) -> list[Any]:
        """The summary of all elements, put together from those of parts."""
        answers: list[Row] = []
        for (part, arguments), _ in table.parts(self.fetch, self.key.key_id):
            template = f"SELECT {', '.join(wanted)} FROM {table.name} FORCE INDEX (PRIMARY) WHERE key_id=%s AND {part}"
            answers += self.fetch(template, (self.key.key_id, *arguments))
        summary: list[Any] = []
        for name, column in zip(wanted, zip(*answers, strict=True), strict=True):
            known = [value for value in column if value is not None]
            summary.append(_COMBINED[name.partition("(")[0]](known) if known else None)
        return summary

    def _rewriting(self, state: State, **changes: object) -> Callable[[Connection, Sql], str]:
        """A repair that changes what the row notes."""

        def repair(connection: Connection, sql: Sql) -> str:
            for name, value in changes.items():
                setattr(state, name, value)
            connection.fetch(sql(_SET_VALUE), (state.pack(), *self.key.place))
            return "the row says so now"

        return repair


def _text(number: tuple[int, int]) -> str:
    return written(number).decode()


def _executing(statements: Sequence[tuple[str, Arguments]], done: str) -> Callable[[Connection, Sql], str]:
    def repair(connection: Connection, sql: Sql) -> str:
        for template, arguments in statements:
            connection.fetch(sql(template), arguments)
        return done

    return repair
