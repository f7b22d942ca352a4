"""Rows of keys as a unit of work sees them."""

from __future__ import annotations

import enum
from hashlib import sha256
from typing import Protocol


class Type(enum.IntEnum):
    """The `type` column of a key row; NONE is a row that only holds its place."""

    NONE = 0
    STRING = 1
    LIST = 2
    SET = 3
    ZSET = 4
    HASH = 5
    STREAM = 6


def digest_of(name: bytes) -> bytes:
    """The key of a name's row: the first 16 bytes of its SHA-256, which SQL can compute too."""
    return sha256(name).digest()[:16]


class State(Protocol):
    """What a store notes about a collection in its key row; made from `value`, and written there again by `pack`."""

    def pack(self) -> bytes: ...


class KeyRow:
    """The row of one key as this attempt sees it; `type` NONE means that there is no such key (any more).

    `expire_at` is in milliseconds or None.  `value` is the whole value of a string of up to INLINE bytes if
    `value_read`, else None; of a collection it is what its store notes about the elements (bounds, say), of which
    `state` is the form to work with.  `stored` says whether the table holds a row, `blind` that nobody has looked.
    """

    # What an absent key's row says stands in the class, which makes a row three times as quickly as in __init__.
    key_id = 0
    type = 0
    version = 0
    expire_at: int | None = None
    size = 0
    value: bytes | None = None
    state: State | None = None
    orphan = 0
    stored = False
    value_read = True
    blind = False
    dirty = False

    def __init__(self, space: int, name: bytes, digest: bytes) -> None:
        self.space = space
        self.name = name
        self.digest = digest
