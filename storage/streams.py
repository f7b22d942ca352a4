"""Streams: their ids, what their key row says of them, and how an entry's fields are packed.

The entries themselves are in storage/stream_entries.py, consumer groups in storage/stream_groups.py.  A stream is the
one type whose key stays when it is empty.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from storage.key_rows import KeyRow, Type
from storage.keyspace import Keyspace

#: Milliseconds and sequence number, both unsigned with 64 bits.
Id: TypeAlias = tuple[int, int]

MAX_PART = 2**64 - 1
ZERO: Id = (0, 0)
LAST: Id = (MAX_PART, MAX_PART)

#: Redis keeps entries in nodes of so many, and `~` lets it trim whole nodes only (stream-node-max-entries).
NODE = 100

_STATE = struct.Struct(">B7QB")
_EXACT = 1


def following(number: Id) -> Id | None:
    """The id right behind another, None behind the last."""
    ms, seq = number
    if seq < MAX_PART:
        return ms, seq + 1
    return (ms + 1, 0) if ms < MAX_PART else None


def preceding(number: Id) -> Id | None:
    """The id right before another, None before 0-0."""
    ms, seq = number
    if seq:
        return ms, seq - 1
    return (ms - 1, MAX_PART) if ms else None


def written(number: Id) -> bytes:
    """An id as clients see it: b"1526919030474-55"."""
    return b"%d-%d" % number


@dataclass(slots=True)
class StreamState:
    """What the key row of a stream notes.

    No entry has an id below `first`; if `first_is_exact`, it is the id of the first entry.  `max_deleted` is the
    greatest id that XDEL removed, `added` how many entries there ever were.  `head_gone` is how many entries are
    missing from the first of the nodes in which Redis would keep them.
    """

    last: Id = ZERO
    first: Id = ZERO
    first_is_exact: bool = False
    max_deleted: Id = ZERO
    added: int = 0
    head_gone: int = 0

    def pack(self) -> bytes:
        flags = _EXACT if self.first_is_exact else 0
        return _STATE.pack(flags, *self.last, *self.first, *self.max_deleted, self.added, self.head_gone)

    @classmethod
    def unpack(cls, value: bytes) -> StreamState:
        flags, last_ms, last_seq, first_ms, first_seq, deleted_ms, deleted_seq, added, gone = _STATE.unpack(value)
        return cls(
            (last_ms, last_seq), (first_ms, first_seq), bool(flags & _EXACT), (deleted_ms, deleted_seq), added, gone
        )


def state_of(row: KeyRow) -> StreamState:
    """What the key row of a stream notes, parsed once."""
    state = row.state
    if state is None:
        state = row.state = StreamState.unpack(row.value or b"")
    assert isinstance(state, StreamState)
    return state


def create(db: Keyspace, name: bytes) -> KeyRow:
    """A new stream without entries."""
    row = db.create_collection(name, Type.STREAM)
    row.state = StreamState()
    return row


def encoding(row: KeyRow) -> bytes:
    """What OBJECT ENCODING says."""
    return b"stream"


def pack_fields(words: Iterable[bytes]) -> bytes:
    """Fields and values in turn as netstrings: b"4:name,3:Bob,"."""
    return b"".join([b"%d:%b," % (len(word), word) for word in words])


def unpack_fields(packed: bytes) -> Sequence[bytes]:
    """Fields and values in turn, as `pack_fields` was given them."""
    words: list[bytes] = []
    place, end = 0, len(packed)
    while place < end:
        colon = packed.index(b":", place)
        start = colon + 1
        stop = start + int(packed[place:colon])
        words.append(packed[start:stop])
        place = stop + 1
    return words
