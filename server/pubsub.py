"""Who listens to which channels and patterns, and the way of a message to them.  Lives on the event loop.

It knows the clients of this instance only.  A message is encoded once for each version of RESP, whoever gets it, and
all that is published in one turn of the loop goes to a client in one piece: writing is what takes the time.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Sequence
from typing import TYPE_CHECKING

from protocol.encoder import encode
from protocol.glob import Glob, compile_glob
from protocol.replies import Push

if TYPE_CHECKING:
    from server.session import Session


class Kind(enum.IntEnum):
    """What a client subscribes to. Channels and shard channels of the same name are different ones."""

    CHANNEL = 0
    PATTERN = 1
    SHARD_CHANNEL = 2


class Subscriptions:
    """What one client listens to: of each kind the names, in the order in which they were subscribed."""

    __slots__ = ("names",)

    def __init__(self) -> None:
        self.names: tuple[dict[bytes, None], dict[bytes, None], dict[bytes, None]] = {}, {}, {}


_NO_SUBSCRIPTIONS = Subscriptions()


class PubSub:
    """All subscriptions of this instance's clients."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        # Those who have something in `pushed`; if there are any, flush is going to be called.
        self._waiting: list[Session] = []
        # Of each kind: by name those who listen to it, in the order in which they came. No name is without listeners.
        self._listeners: tuple[dict[bytes, dict[Session, None]], ...] = {}, {}, {}
        self._globs: dict[bytes, Glob] = {}
        #: How many clients listen to anything.
        self.clients = 0

    def subscribe(self, session: Session, kind: Kind, name: bytes) -> None:
        """Let a client listen to a name; nothing new if it does already."""
        if session.subscriptions is None:
            session.subscriptions = Subscriptions()
            self.clients += 1
        session.subscriptions.names[kind][name] = None
        self._listeners[kind].setdefault(name, {})[session] = None
        if kind is Kind.PATTERN and name not in self._globs:
            self._globs[name] = Glob(name)

    def unsubscribe(self, session: Session, kind: Kind, name: bytes) -> None:
        """Let a client listen to a name no more, if it does."""
        subscriptions = session.subscriptions
        if subscriptions is None or name not in subscriptions.names[kind]:
            return
        del subscriptions.names[kind][name]
        listeners = self._listeners[kind]
        del listeners[name][session]
        if not listeners[name]:
            del listeners[name]
            if kind is Kind.PATTERN:
                del self._globs[name]
        if not any(subscriptions.names):
            session.subscriptions = None
            self.clients -= 1

    def drop(self, session: Session) -> None:
        """Forget a client that is gone or wants to be as new."""
        for kind in Kind:
            for name in self.names_of(session, kind):
                self.unsubscribe(session, kind, name)

    def names_of(self, session: Session, kind: Kind) -> list[bytes]:
        """What a client listens to, oldest first."""
        return list((session.subscriptions or _NO_SUBSCRIPTIONS).names[kind])

    def count_of(self, session: Session, *kinds: Kind) -> int:
        """To how many names of some kinds a client listens."""
        subscriptions = session.subscriptions
        return sum(len(subscriptions.names[kind]) for kind in kinds) if subscriptions is not None else 0

    # -- messages

    def publish(self, channel: bytes, message: bytes, sender: Session | None = None) -> int:
        """Send a message to the listeners of a channel and of matching patterns; how many times it was sent.

        What the sender itself gets is left in its session, to go out behind the reply.
        """
        received = 0
        listeners = self._listeners[Kind.CHANNEL].get(channel)
        if listeners is not None:
            self._deliver((b"message", channel, message), listeners, sender)
            received = len(listeners)
        for pattern, glob in self._globs.items():
            # Most patterns of many fail by their first bytes, and this is the quickest way to see it.
            if channel.startswith(glob.prefix) and glob.matches(channel):
                listeners = self._listeners[Kind.PATTERN][pattern]
                self._deliver((b"pmessage", pattern, channel, message), listeners, sender)
                received += len(listeners)
        return received

    def publish_shard(self, channel: bytes, message: bytes, sender: Session | None = None) -> int:
        """Send a message to the listeners of a shard channel; how many there are."""
        listeners = self._listeners[Kind.SHARD_CHANNEL].get(channel)
        if listeners is None:
            return 0
        self._deliver((b"smessage", channel, message), listeners, sender)
        return len(listeners)

    def enqueue(self, session: Session, data: bytes) -> None:
        """Send a push to a client: with its next reply, or at the next turn of the loop, whichever comes first."""
        if not self._waiting:
            self._loop.call_soon(self.flush)
        if not session.pushed:
            self._waiting.append(session)
        session.pushed.append(data)

    def receivers(self, channel: bytes, *, shard: bool) -> int:
        """How many times a message would be sent now."""
        if shard:
            return self.number_of_listeners(Kind.SHARD_CHANNEL, channel)
        return self.number_of_listeners(Kind.CHANNEL, channel) + sum(
            self.number_of_listeners(Kind.PATTERN, pattern)
            for pattern, glob in self._globs.items()
            if glob.matches(channel)
        )

    def _deliver(self, items: Sequence[bytes], listeners: dict[Session, None], sender: Session | None) -> None:
        # The headers of pushes and arrays differ in one byte.
        in_resp2 = encode(Push(items), 2)
        in_resp3 = b">" + in_resp2[1:]
        waiting = self._waiting
        if not waiting:
            self._loop.call_soon(self.flush)
        for session in listeners:
            pushed = session.pushed
            if not pushed:
                waiting.append(session)
            pushed.append(in_resp3 if session.version == 3 else in_resp2)
        if sender is not None and sender in listeners:
            sender.after_reply.append(sender.pushed.pop())

    def flush(self) -> None:
        """Write what is waiting; for most clients that is the same, so it is joined once."""
        waiting, self._waiting = self._waiting, []
        last: list[bytes] = []
        data = b""
        for session in waiting:
            pushed = session.pushed
            if not pushed:
                # It has gone out in front of a reply.
                continue
            if pushed != last:
                last, data = pushed, b"".join(pushed)
            session.pushed = []
            session.push(data)

    # -- what PUBSUB and INFO tell

    def names(self, kind: Kind, pattern: bytes | None = None) -> list[bytes]:
        """The names of a kind that somebody listens to, or those of them that match a pattern."""
        if pattern is None:
            return list(self._listeners[kind])
        glob = compile_glob(pattern)
        return [name for name in self._listeners[kind] if glob.matches(name)]

    def number_of_names(self, kind: Kind) -> int:
        return len(self._listeners[kind])

    def number_of_listeners(self, kind: Kind, name: bytes) -> int:
        return len(self._listeners[kind].get(name, ()))
