"""What a unit of work has to tell when it has committed: events of keys, keys that have changed, messages.

An attempt gathers effects in the order in which they arise, as far as anybody wants to know of them; those of an
attempt that was rolled back are thrown away with it.  Who is told, and how, is the server's affair (server/effects.py).
"""

from __future__ import annotations

import enum
from typing import NamedTuple


class EventClass(enum.IntFlag):
    """Kinds of events of keys, as `notify-keyspace-events` tells them apart."""

    NONE = 0
    GENERIC = enum.auto()
    STRING = enum.auto()
    LIST = enum.auto()
    SET = enum.auto()
    HASH = enum.auto()
    ZSET = enum.auto()
    STREAM = enum.auto()
    EXPIRED = enum.auto()
    EVICTED = enum.auto()
    NEW = enum.auto()
    KEY_MISS = enum.auto()
    MODULE = enum.auto()


class Event(NamedTuple):
    """Something happened to a key, e.g. b"lpush"."""

    event: bytes
    db: int
    key: bytes


class Change(NamedTuple):
    """A key was written or deleted. Databases are not told apart, since Redis does not either."""

    key: bytes


class Read(NamedTuple):
    """Keys were read by a client that wants to be told when they change."""

    keys: list[bytes]


class Flush(NamedTuple):
    """All keys of some database are gone."""


class Message(NamedTuple):
    """A message to those who listen to a channel, or shard channel."""

    channel: bytes
    message: bytes
    shard: bool


class Turn(NamedTuple):
    """Here somebody else than the unit does something that others are told of, after the commit."""


Effect = Event | Change | Read | Flush | Message | Turn


class Wanted:
    """Which effects somebody wants to know of; the loop sets it, units read it when they begin.

    `events` are classes of events (EventClass), as a plain number: to ask whether it is 0 costs nothing.
    """

    __slots__ = ("changes", "events")

    def __init__(self) -> None:
        self.events = 0
        self.changes = False

    @property
    def looks(self) -> bool:
        """Whether an event depends on what was there before, so that no key may be overwritten unseen."""
        return self.events != 0 and bool(self.events & (EventClass.EXPIRED | EventClass.NEW | EventClass.KEY_MISS))
