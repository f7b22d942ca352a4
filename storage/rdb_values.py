"""What a dump of a key says, apart from how it is written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

#: Milliseconds and sequence number.
StreamId: TypeAlias = tuple[int, int]


class BadPayload(Exception):
    """These bytes are no dump that Redis could have made."""


@dataclass(slots=True)
class StringValue:
    data: bytes


@dataclass(slots=True)
class ListValue:
    items: list[bytes]


@dataclass(slots=True)
class SetValue:
    """Members, each once. `integers_first`: those that come before any other are to be put in the order of values."""

    members: list[bytes]
    integers_first: bool = True


@dataclass(slots=True)
class ZsetValue:
    """Members, each once, with their scores, which are numbers. To be written they must be in order."""

    members: list[tuple[bytes, float]]
    skiplist: bool = False


class HashField(NamedTuple):
    """One field; `expire_at` is in milliseconds or None."""

    name: bytes
    value: bytes
    expire_at: int | None = None


@dataclass(slots=True)
class HashValue:
    """Fields, each once. `expires`: Redis would keep them in a form that has room for expiries."""

    fields: list[HashField]
    in_table: bool = False
    expires: bool = False


class StreamEntry(NamedTuple):
    number: StreamId
    #: Fields and values in turn.
    words: list[bytes]


class PendingEntry(NamedTuple):
    """An entry that was given to a consumer, at some time in milliseconds, and how often."""

    number: StreamId
    consumer: bytes
    delivered_at: int
    deliveries: int


class StreamConsumer(NamedTuple):
    """When (milliseconds) a consumer was last seen, and last given something; None: never."""

    name: bytes
    seen_at: int
    active_at: int | None


@dataclass(slots=True)
class StreamGroup:
    """A consumer group; pending entries are in the order of their ids. `entries_read` is None if nobody knows."""

    name: bytes
    last: StreamId
    entries_read: int | None
    consumers: list[StreamConsumer] = field(default_factory=list)
    pending: list[PendingEntry] = field(default_factory=list)


@dataclass(slots=True)
class StreamValue:
    """Entries in the order of their ids, and what else a stream notes (storage/streams.py).

    `added` is None where the dump does not know how many entries there ever were.
    """

    entries: list[StreamEntry]
    last: StreamId
    max_deleted: StreamId = (0, 0)
    added: int | None = None
    groups: list[StreamGroup] = field(default_factory=list)


Value: TypeAlias = StringValue | ListValue | SetValue | ZsetValue | HashValue | StreamValue
