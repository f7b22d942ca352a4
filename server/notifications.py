"""Events of keys as messages: what `notify-keyspace-events` asks for.  Lives on the event loop.

An event is published on two channels, as far as they are wanted: `__keyspace@0__:name` with the event, and
`__keyevent@0__:event` with the name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from storage.effects import Event, EventClass, Wanted

if TYPE_CHECKING:
    from server.pubsub import PubSub
    from server.session import Session
    from server.settings import Settings

_DIRECTIVE = "notify-keyspace-events"

_CLASSES = {
    "g": EventClass.GENERIC,
    "$": EventClass.STRING,
    "l": EventClass.LIST,
    "s": EventClass.SET,
    "h": EventClass.HASH,
    "z": EventClass.ZSET,
    "t": EventClass.STREAM,
    "x": EventClass.EXPIRED,
    "e": EventClass.EVICTED,
    "d": EventClass.MODULE,
    "n": EventClass.NEW,
    "m": EventClass.KEY_MISS,
}  # fmt: skip
#: What A means: new keys and misses have to be asked for by themselves.
_ALL = ~(EventClass.NEW | EventClass.KEY_MISS)


class Notifications:
    """The way of an event to those who listen to its channels."""

    def __init__(self, pubsub: PubSub) -> None:
        self._pubsub = pubsub
        self._by_key = False
        self._by_event = False

    def follow(self, settings: Settings, wanted: Wanted) -> None:
        """Do as the directive says, now and whenever it is changed; `wanted` tells units which events to gather."""

        def take_over() -> None:
            letters = settings.notify_keyspace_events
            self._by_key, self._by_event = "K" in letters, "E" in letters
            wanted.events = int(classes(letters)) if self._by_key or self._by_event else 0

        settings.on_change(_DIRECTIVE, take_over)
        take_over()

    def publish(self, event: Event, sender: Session | None) -> None:
        """Tell of an event; what the sender itself gets is left in its session, to go out behind its reply."""
        if self._by_key:
            self._pubsub.publish(b"__keyspace@%d__:%b" % (event.db, event.key), event.event, sender)
        if self._by_event:
            self._pubsub.publish(b"__keyevent@%d__:%b" % (event.db, event.event), event.key, sender)


def classes(letters: str) -> EventClass:
    """The classes that the letters of the directive stand for; K and E stand for none."""
    found = _ALL if "A" in letters else EventClass.NONE
    for letter in letters:
        found |= _CLASSES.get(letter, EventClass.NONE)
    return found
