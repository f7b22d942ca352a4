"""Streams in dumps: nodes of entries in listpacks, then what the stream notes, then its consumer groups.

A node has an id, from which those of its entries are counted, and the names of the fields of its first entry, which are
not repeated in others that have the same ones.  Version 2 (Redis 7.0) adds what tells the lag of groups, version 3
(7.2) when consumers were last given something.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from storage.rdb_listpack import pack_listpack, unpack_listpack
from storage.rdb_primitives import Reader, Writer
from storage.rdb_values import (
    BadPayload,
    PendingEntry,
    StreamConsumer,
    StreamEntry,
    StreamGroup,
    StreamId,
    StreamValue,
)

_DELETED, _SAME_FIELDS = 1, 2
_NODE_ENTRIES: Final = 100
_NODE_BYTES: Final = 4096
_MAX_PART: Final = 2**64 - 1
_ID_BYTES: Final = 16
#: A number of entries that is not known.
_UNKNOWN: Final = 2**64 - 1
_MAX_TIME: Final = 2**63 - 1


# -- writing


def write(out: Writer, value: StreamValue) -> None:
    """A stream in the form of Redis 7.0."""
    nodes = list(_nodes(value.entries))
    out.length(len(nodes))
    for master, words in nodes:
        out.length(_ID_BYTES)
        out.stream_id(master)
        out.string(pack_listpack(words))
    first = value.entries[0].number if value.entries else (0, 0)
    added = len(value.entries) if value.added is None else value.added
    for number in (len(value.entries), *value.last, *first, *value.max_deleted, added, len(value.groups)):
        out.length(number)
    for group in value.groups:
        _write_group(out, group)


def _nodes(entries: Sequence[StreamEntry]) -> Iterator[tuple[StreamId, list[bytes | int]]]:
    """Nodes as if the entries were added one after the other: their ids and the entries of their listpacks."""
    start = 0
    while start < len(entries):
        master, fields = entries[start].number, entries[start].words[::2]
        words: list[bytes | int] = []
        stop, size = start, 0
        while stop < len(entries) and stop - start < _NODE_ENTRIES:
            size += sum([len(word) for word in entries[stop].words])
            if stop > start and size >= _NODE_BYTES:
                break
            packed = _packed_entry(entries[stop], master, fields)
            words += packed
            # About what the numbers and lengths take.
            size += 2 * len(packed)
            stop += 1
        yield master, [stop - start, 0, len(fields), *fields, 0, *words]
        start = stop


def _packed_entry(entry: StreamEntry, master: StreamId, fields: list[bytes]) -> list[bytes | int]:
    difference = [_signed(one - other) for one, other in zip(entry.number, master, strict=True)]
    if entry.words[::2] == fields:
        return [_SAME_FIELDS, *difference, *entry.words[1::2], len(fields) + 3]
    return [0, *difference, len(entry.words) // 2, *entry.words, len(entry.words) + 4]


def _signed(number: int) -> int:
    """A difference of unsigned 64-bit numbers as a listpack holds it."""
    number &= _MAX_PART
    return number - 2**64 if number >= 2**63 else number


def _write_group(out: Writer, group: StreamGroup) -> None:
    out.string(group.name)
    for number in (*group.last, _UNKNOWN if group.entries_read is None else group.entries_read, len(group.pending)):
        out.length(number)
    for entry in group.pending:
        out.stream_id(entry.number)
        out.milliseconds(entry.delivered_at)
        out.length(entry.deliveries)
    pending: dict[bytes, list[StreamId]] = {}
    for entry in group.pending:
        pending.setdefault(entry.consumer, []).append(entry.number)
    out.length(len(group.consumers))
    for consumer in group.consumers:
        numbers = pending.get(consumer.name, [])
        out.string(consumer.name)
        out.milliseconds(consumer.seen_at)
        out.length(len(numbers))
        for pending_id in numbers:
            out.stream_id(pending_id)


# -- reading


def read(reader: Reader, version: int) -> StreamValue:
    """A stream in the form of a version, 1 to 3."""
    entries: list[StreamEntry] = []
    for _ in range(_few(reader, _ID_BYTES)):
        master = _node_id(reader)
        entries += _entries(master, [*unpack_listpack(reader.string())])
    if (entries[:1] and entries[0].number == (0, 0)) or any(one.number >= two.number for one, two in pairwise(entries)):
        raise BadPayload("entries that are not in order")
    size = reader.length()
    last = _length_id(reader)
    if size != len(entries) or (entries and last < entries[-1].number):
        raise BadPayload("a stream of another length")
    # The first version does not say how many entries there were; none is known to be gone.
    value = StreamValue(entries, last, added=len(entries))
    if version >= 2:
        _length_id(reader)
        value.max_deleted = _length_id(reader)
        value.added = reader.length()
        if not len(entries) <= value.added < 2**63:
            raise BadPayload("a stream that got fewer entries than it has")
    value.groups = [_read_group(reader, version) for _ in range(_few(reader, 1))]
    if len({group.name for group in value.groups}) != len(value.groups):
        raise BadPayload("a group twice")
    if version == 1:
        for group in value.groups:
            group.entries_read = _guessed_entries_read(value, group.last)
    return value


def _guessed_entries_read(value: StreamValue, last: StreamId) -> int | None:
    """How many entries a group was given, as far as the last of them tells; no entry is known to be deleted."""
    if not value.entries or last < value.entries[0].number:
        return 0
    if last == value.last:
        return len(value.entries)
    return 1 if last == value.entries[0].number else None


def _few(reader: Reader, size: int) -> int:
    """How many things of at least `size` bytes are to come, if there can be as many."""
    number = reader.length()
    if number * size > reader.left:
        raise BadPayload("no such number of elements")
    return number


def _length_id(reader: Reader) -> StreamId:
    return reader.length(), reader.length()


def _node_id(reader: Reader) -> StreamId:
    name = reader.string()
    if len(name) != _ID_BYTES:
        raise BadPayload("no id of a node")
    return int.from_bytes(name[:8], "big"), int.from_bytes(name[8:], "big")


class _Words:
    """The entries of a listpack one after the other."""

    def __init__(self, words: list[bytes]) -> None:
        self._words = words
        self._place = 0

    @property
    def left(self) -> int:
        return len(self._words) - self._place

    def take(self, count: int) -> list[bytes]:
        if not 0 <= count <= self.left:
            raise BadPayload("words are missing")
        self._place += count
        return self._words[self._place - count : self._place]

    def number(self) -> int:
        (word,) = self.take(1)
        digits = word[1:] if word[:1] == b"-" else word
        if not digits.isdigit() or len(digits) > 19:
            raise BadPayload("no number")
        return int(word)


def _entries(master: StreamId, listpack: list[bytes]) -> list[StreamEntry]:
    """The entries of a node that are not deleted."""
    words = _Words(listpack)
    count, deleted = words.number(), words.number()
    fields = words.take(words.number())
    if words.number() or count < 0 or deleted < 0 or not fields:
        raise BadPayload("no node of entries")
    found: list[StreamEntry] = []
    for _ in range(count + deleted):
        # Everything is counted behind it, for who reads backwards.
        left, flags = words.left, words.number()
        number = master[0] + words.number() & _MAX_PART, master[1] + words.number() & _MAX_PART
        if flags & _SAME_FIELDS:
            values = words.take(len(fields))
            pairs = [word for pair in zip(fields, values, strict=True) for word in pair]
        else:
            pairs = words.take(2 * words.number())
        if left - words.left != words.number() or not pairs:
            raise BadPayload("an entry of another length")
        if not flags & _DELETED:
            found.append(StreamEntry(number, pairs))
    if words.left or len(found) != count:
        raise BadPayload("a node with another number of entries")
    return found


def _read_group(reader: Reader, version: int) -> StreamGroup:
    group = StreamGroup(reader.string(), _length_id(reader), None)
    if version >= 2:
        entries_read = reader.length()
        if entries_read < 2**63:
            group.entries_read = entries_read
        elif entries_read != _UNKNOWN:
            raise BadPayload("no number of entries")
    pending: dict[StreamId, tuple[int, int]] = {}
    for _ in range(_few(reader, _ID_BYTES)):
        number = reader.stream_id()
        if number in pending:
            raise BadPayload("an entry is pending twice")
        pending[number] = _time(reader), reader.length()
        if pending[number][1] > _MAX_TIME:
            raise BadPayload("no number of deliveries")
    for _ in range(_few(reader, 1)):
        name, seen_at = reader.string(), _time(reader)
        active_at: int | None = seen_at
        if version >= 3:
            active_at = reader.milliseconds()
            active_at = None if active_at < 0 else active_at
        group.consumers.append(StreamConsumer(name, seen_at, active_at))
        for _ in range(_few(reader, _ID_BYTES)):
            number = reader.stream_id()
            if number not in pending:
                raise BadPayload("a consumer's entry is not pending, or twice")
            group.pending.append(PendingEntry(number, name, *pending.pop(number)))
    if pending or len({consumer.name for consumer in group.consumers}) != len(group.consumers):
        raise BadPayload("an entry without a consumer, or a consumer twice")
    group.pending.sort()
    return group


def _time(reader: Reader) -> int:
    time = reader.milliseconds()
    if time < 0:
        raise BadPayload("no time")
    return time
