"""Rows under ids: which tables file rows under the id of an owner, and which of those rows own further ids.

Every such table has `key_id` as the first column of its primary key.  An id belongs to a key (`key_id` and `orphan` in
rowdis_key), to a row of one of these tables (`owns`), or it is garbage.  Who goes through all rows of an id does so in
parts, in the order of the primary key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from storage.key_rows import Type

#: Rows of elements, and chunks of 64 KiB, that one statement of background work reads, copies or deletes.
ROWS, CHUNKS = 1000, 64

#: What a row has in the columns of its table's `place`.
Place: TypeAlias = tuple[Any, ...]
#: A condition on the columns of a table, with its arguments.
Part: TypeAlias = tuple[str, tuple[Any, ...]]
#: Gives the rows of a query.
Ask: TypeAlias = Callable[[str, tuple[Any, ...]], tuple[tuple[Any, ...], ...]]


@dataclass(frozen=True)
class OwnedTable:
    """`place` is the rest of the primary key; `owns` are columns that hold the id of rows elsewhere, 0 for none; `data`
    are the other columns; `page` is how many rows one statement may take."""

    name: str
    place: tuple[str, ...]
    data: tuple[str, ...] = ()
    owns: tuple[str, ...] = ()
    page: int = ROWS

    @property
    def order(self) -> str:
        """The primary key, for ORDER BY."""
        return ", ".join(("key_id", *self.place))

    def behind(self, place: Place) -> Part:
        """The rows behind a place."""
        return self._bound(">", ">"), _compared(place)

    def from_to(self, first: Place, last: Place) -> Part:
        """The rows from one place to another, both included."""
        return f"{self._bound('>', '>=')} AND {self._bound('<', '<=')}", _compared(first) + _compared(last)

    def parts(self, ask: Ask, key_id: int) -> Iterator[tuple[Part, int | None]]:
        """All rows of an id as conditions for at most `page` rows each, with their number, None for the last part.

        The rows must not change meanwhile.
        """
        place: Place | None = None
        while True:
            text, arguments = ("TRUE", ()) if place is None else self.behind(place)
            rows = ask(
                f"SELECT {', '.join(self.place)} FROM {self.name} FORCE INDEX (PRIMARY) "
                f"WHERE key_id=%s AND {text} ORDER BY {self.order} LIMIT {self.page - 1},1",
                (key_id, *arguments),
            )
            if not rows:
                yield (text, arguments), None
                return
            place = rows[0]
            yield (f"{text} AND {self._bound('<', '<=')}", (*arguments, *_compared(place))), self.page

    def _bound(self, strict: str, last: str) -> str:
        """A comparison of places that databases turn into ranges of the index; for (a, b) > (x, y) they do not."""
        if len(self.place) == 1:
            return f"{self.place[0]}{last}%s"
        first, second = self.place
        return f"({first}{strict}%s OR ({first}=%s AND {second}{last}%s))"


def _compared(place: Place) -> tuple[Any, ...]:
    """A place as the arguments of a bound."""
    return place if len(place) == 1 else (place[0], *place)


STRING_CHUNK = OwnedTable("rowdis_string_chunk", ("n",), ("data",), page=CHUNKS)
HASH_FIELD = OwnedTable("rowdis_hash_field", ("digest",), ("field", "value", "n", "expire_at"), owns=("chunks",))
FIELD_EXPIRY = OwnedTable("rowdis_field_expiry", ("expire_at", "digest"))
HASH_EXPIRY = OwnedTable("rowdis_hash_expiry", ("space",), ("expire_at", "digest"))
SET_MEMBER = OwnedTable("rowdis_set_member", ("digest",), ("member", "n"), owns=("chunks",))
ZSET_MEMBER = OwnedTable("rowdis_zset_member", ("digest",), ("score", "head", "zero", "tail"), owns=("chunks",))
LIST_ITEM = OwnedTable("rowdis_list_item", ("position",), ("value",), owns=("chunks",))
STREAM_ENTRY = OwnedTable("rowdis_stream_entry", ("ms", "seq"), ("fields",), owns=("chunks",))
STREAM_GROUP = OwnedTable(
    "rowdis_stream_group",
    ("digest",),
    ("name", "last_ms", "last_seq", "entries_read", "pending", "ahead"),
    owns=("chunks", "group_id"),
)
STREAM_CONSUMER = OwnedTable(
    "rowdis_stream_consumer", ("digest",), ("name", "consumer_id", "seen_at", "active_at"), owns=("chunks",)
)
STREAM_PENDING = OwnedTable("rowdis_stream_pending", ("ms", "seq"), ("consumer_id", "delivered_at", "deliveries"))

OWNED_TABLES: tuple[OwnedTable, ...] = (
    STRING_CHUNK, HASH_FIELD, FIELD_EXPIRY, HASH_EXPIRY, SET_MEMBER, ZSET_MEMBER, LIST_ITEM, STREAM_ENTRY,
    STREAM_GROUP, STREAM_CONSUMER, STREAM_PENDING,
)  # fmt: skip

#: Where the elements of each type are, as many as `size` says.
ELEMENTS = {
    Type.LIST: LIST_ITEM,
    Type.SET: SET_MEMBER,
    Type.ZSET: ZSET_MEMBER,
    Type.HASH: HASH_FIELD,
    Type.STREAM: STREAM_ENTRY,
}
