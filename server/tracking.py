"""Client tracking: who has read which keys, or wants to know of which prefixes, and is told when they change.

A client that keeps replies in a cache of its own must not keep what has changed.  Three things see to that:

- Units hand over, in the order of their execution, what tracked clients have read and what was written.  Who has read
  a key is told of the next write of it, once.
- The keys that a run is going to read are guarded from when it is planned until it is answered.  A write by another
  unit that is told of meanwhile may have come before or after the reading, so its client is told behind the replies.
- Units that were under way when the first client began to track have gathered nothing.  When they are over, anything
  may have changed, and clients are told so.

Lives on the event loop.  It knows the clients of this instance and what is written through it, nothing else.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from protocol.encoder import encode
from protocol.replies import Push
from server.keyspecs import Request
from server.registry import Command

if TYPE_CHECKING:
    from server.connection import Connection
    from server.pubsub import PubSub
    from server.run import Run
    from server.session import Session

log = logging.getLogger("rowdis.tracking")

#: Where clients of RESP2 get to know of changes: Redis's name for it.
CHANNEL = b"__redis__:invalidate"
#: So many keys are forgotten at one time when there are too many.
EVICTED = 100


@dataclass(frozen=True, slots=True)
class Options:
    """What a client asked for by CLIENT TRACKING. `redirect` is the number of the client to tell instead, or 0."""

    redirect: int = 0
    broadcast: bool = False
    optin: bool = False
    optout: bool = False
    noloop: bool = False


@dataclass(slots=True, eq=False)
class Tracker:
    """The tracking of one client."""

    session: Session
    options: Options
    prefixes: set[bytes] = field(default_factory=set)
    #: CLIENT CACHING makes the next command an exception.
    caching: bool = False
    #: The client to which it redirects was not there any more.
    broken: bool = False
    #: What its run under way reads.
    guarded: set[bytes] = field(default_factory=set)
    #: What has changed while its run under way has scripts, which may read anything.
    meanwhile: set[bytes] | None = None
    #: The unit of its run is over, and its replies are about to go out.
    answering: bool = False
    #: What another client is told when this one is answered: the other one's number, and the message.
    held: list[tuple[int, bytes]] = field(default_factory=list)

    @property
    def minds(self) -> bool:
        """Whether it will be told of changes of what its next command reads."""
        if self.options.optin:
            return self.caching
        return not (self.options.optout and self.caching)

    def reads(self, keys: Iterable[bytes]) -> bool:
        """Whether replies are still to come that may tell of these keys what they were before."""
        return self.answering or self.meanwhile is not None or not self.guarded.isdisjoint(keys)

    def spend(self, command: Command | None) -> None:
        """A command, or what was taken for one, is planned: it was the exception, unless a transaction is open."""
        if self.caching and self.session.queued is None and not (command and command.full_name.startswith("client|")):
            self.caching = False


class Invalidation:
    """A message about keys that have changed; about all that there are if `keys` is None. Encoded when needed, once."""

    __slots__ = ("_encoded", "_keys")

    def __init__(self, keys: list[bytes] | None) -> None:
        self._keys = keys
        self._encoded: dict[int, bytes] = {}

    def encoded(self, version: int) -> bytes:
        """The message in RESP3, or as one to a subscriber in RESP2."""
        data = self._encoded.get(version)
        if data is None:
            words = (b"invalidate", self._keys) if version == 3 else (b"message", CHANNEL, self._keys)
            data = self._encoded[version] = encode(Push(words), version)
        return data


class Tracking:
    """All tracking of this instance's clients.

    `limit` gives the number of keys that may be remembered (0: any number), `switch` is told when the first client
    begins and the last one ends.
    """

    def __init__(
        self,
        clients: dict[int, Connection],
        pubsub: PubSub,
        limit: Callable[[], int],
        switch: Callable[[bool], None],
    ) -> None:
        self._clients = clients
        self._pubsub = pubsub
        self._limit = limit
        self._switch = switch
        self._trackers: dict[int, Tracker] = {}
        # By key the number of the client that has read it, or several; clients may be gone meanwhile. Oldest first.
        self._table: OrderedDict[bytes, int | set[int]] = OrderedDict()
        self._guards: dict[bytes, dict[Tracker, None]] = {}
        # Those of them that have scripts under way.
        self._unguarded: dict[Tracker, None] = {}
        self._prefixes: dict[bytes, dict[Tracker, None]] = {}
        # By prefix the keys that have changed and nobody was told of yet; by whom, or None if by several or nobody.
        self._pending: dict[bytes, dict[bytes, Session | None]] = {}
        self._enqueued = False
        #: How many readings are remembered, counted by key and client.
        self.items = 0

    # -- beginning and ending

    @property
    def clients(self) -> int:
        """How many clients track."""
        return len(self._trackers)

    @property
    def keys(self) -> int:
        """How many keys are remembered."""
        return len(self._table)

    @property
    def prefixes(self) -> int:
        """How many different prefixes clients want to know of."""
        return len(self._prefixes)

    def begin(self, session: Session, options: Options, prefixes: Collection[bytes]) -> None:
        """Let a client track from now on, or track with other options; prefixes are added to those it has."""
        tracker = session.tracking
        if tracker is None:
            if not self._trackers:
                self._switch(True)
            tracker = session.tracking = self._trackers[session.id] = Tracker(session, options)
        tracker.options = options
        tracker.broken = False
        for prefix in prefixes or ([b""] if options.broadcast else ()):
            tracker.prefixes.add(prefix)
            self._prefixes.setdefault(prefix, {})[tracker] = None

    def drop(self, session: Session) -> None:
        """A client is gone, or does not want to track any more."""
        tracker = session.tracking
        if tracker is None:
            return
        session.tracking = None
        self._lift(tracker)
        del self._trackers[session.id]
        for prefix in tracker.prefixes:
            trackers = self._prefixes[prefix]
            del trackers[tracker]
            if not trackers:
                del self._prefixes[prefix]
                self._pending.pop(prefix, None)
        if not self._trackers:
            self._table.clear()
            self.items = 0
            self._switch(False)

    def end_all(self, why: str) -> None:
        """Close the connections of all clients that track, and of those that are told for them: their caches are void.

        `why` is for the log.
        """
        if not self._trackers:
            return
        log.warning("closing the connections of %d clients that track keys: %s", len(self._trackers), why)
        for tracker in list(self._trackers.values()):
            other = self._clients.get(tracker.options.redirect)
            tracker.session.server_kill()
            if other is not None:
                other.kill()

    # -- what is read

    def plan(self, tracker: Tracker, run: Run, command: Command, request: Request) -> None:
        """A command is going to be the next item of a run."""
        if tracker.minds and (command.script or command.looks_up):
            self._guard(tracker, command, request)
            run.track()
        tracker.spend(command)

    def plan_transaction(self, tracker: Tracker, run: Run, commands: list[tuple[Command, Request]]) -> None:
        """The same for a transaction. CLIENT CACHING inside of it counts for all of it: rather too much."""
        inside = tracker.options.optin and any(command.full_name == "client|caching" for command, _ in commands)
        if tracker.minds or inside:
            for command, request in commands:
                self._guard(tracker, command, request)
            run.track()
        tracker.caching = False

    def told(self, tracker: Tracker, *, waits: bool) -> None:
        """A unit has executed something of a client's run. `waits`: it found nothing, so it is not answered yet."""
        tracker.answering = not waits
        if waits:
            self._lift(tracker)

    def remember(self, keys: Iterable[bytes], session: Session) -> None:
        """A client has read keys."""
        tracker, number, table = session.tracking, session.id, self._table
        if tracker is None or tracker.options.broadcast:
            return
        for key in keys:
            if tracker.meanwhile and key in tracker.meanwhile:
                self._send(tracker, Invalidation([key]), None, later=True)
            found = table.get(key)
            if found is None:
                table[key] = number
            elif isinstance(found, set):
                before = len(found)
                found.add(number)
                if before > 2 * len(self._trackers) + EVICTED:
                    # Most of them are gone.
                    found &= self._trackers.keys()
                self.items += len(found) - before
                continue
            elif found == number:
                continue
            else:
                table[key] = {found, number}
            self.items += 1
        limit = self._limit()
        if limit and len(table) > limit:
            self._evict(limit)

    def answered(self, tracker: Tracker) -> None:
        """The run of a client is answered."""
        tracker.answering = False
        self._lift(tracker)
        if tracker.held:
            held, tracker.held = tracker.held, []
            for number, data in held:
                other = self._clients.get(number)
                if other is not None:
                    other.session.push(data)

    def _guard(self, tracker: Tracker, command: Command, request: Request) -> None:
        keys = command.keys_read(request)
        tracker.guarded.update(keys)
        for key in keys:
            self._guards.setdefault(key, {})[tracker] = None
        if command.script:
            tracker.meanwhile = set()
            self._unguarded[tracker] = None

    def _lift(self, tracker: Tracker) -> None:
        if tracker.meanwhile is not None:
            tracker.meanwhile = None
            del self._unguarded[tracker]
        if not tracker.guarded:
            return
        guarded, tracker.guarded = tracker.guarded, set()
        for key in guarded:
            trackers = self._guards[key]
            del trackers[tracker]
            if not trackers:
                del self._guards[key]

    def _evict(self, limit: int) -> None:
        """Forget some of the keys that are too many; who has read them is told as if they had changed."""
        for _ in range(min(EVICTED, len(self._table) - limit)):
            key, holders = self._table.popitem(last=False)
            self._tell_holders(key, holders, Invalidation([key]), None)

    # -- what is written

    def changed(self, key: bytes, sender: Session | None) -> None:
        """A key was written, by a client or (None) by nobody."""
        if self._prefixes:
            self._note(key, sender)
        for tracker in self._unguarded:
            if tracker.session is not sender and tracker.meanwhile is not None:
                tracker.meanwhile.add(key)
        holders = self._table.pop(key, None)
        guards = self._guards.get(key)
        if holders is None and guards is None:
            return
        invalidation = Invalidation([key])
        told = self._tell_holders(key, holders, invalidation, sender) if holders is not None else set()
        for tracker in guards or ():
            if tracker not in told and tracker.session is not sender and not tracker.options.broadcast:
                self._send(tracker, invalidation, sender, later=True)

    def flushed(self, sender: Session | None) -> None:
        """Any key may have changed."""
        self._table.clear()
        self.items = 0
        invalidation = Invalidation(None)
        for tracker in self._trackers.values():
            self._tell_all_changed(tracker, invalidation, sender)

    def forget(self, session: Session) -> None:
        """Let a client that tracks forget all that it has."""
        assert session.tracking is not None
        self._tell_all_changed(session.tracking, Invalidation(None), session)

    def _tell_all_changed(self, tracker: Tracker, invalidation: Invalidation, sender: Session | None) -> None:
        self._send(tracker, invalidation, sender, later=tracker.reads(tracker.guarded))

    def _tell_holders(
        self, key: bytes, holders: int | set[int], invalidation: Invalidation, sender: Session | None
    ) -> set[Tracker]:
        """Tell those who have read a key, as far as they still track keys; who they are."""
        told: set[Tracker] = set()
        numbers = holders if isinstance(holders, set) else (holders,)
        self.items -= len(numbers)
        for number in numbers:
            tracker = self._trackers.get(number)
            if tracker is None or tracker.options.broadcast:
                continue
            told.add(tracker)
            if not (tracker.options.noloop and tracker.session is sender):
                self._send(tracker, invalidation, sender, later=tracker.reads((key,)))
        return told

    def _note(self, key: bytes, sender: Session | None) -> None:
        """Take down a change for those who want to know of prefixes."""
        for prefix in self._prefixes:
            if key.startswith(prefix):
                changed = self._pending.setdefault(prefix, {})
                changed[key] = sender if changed.get(key, sender) is sender else None

    def settle(self) -> None:
        """Send what there is to tell: nobody who has written is answered before others are told of it."""
        if self._pending:
            self._broadcast()
        if self._enqueued:
            self._enqueued = False
            self._pubsub.flush()

    def _broadcast(self) -> None:
        pending, self._pending = self._pending, {}
        for prefix in sorted(pending):
            changed = pending[prefix]
            keys = sorted(changed)
            everything = Invalidation(keys)
            for tracker in self._prefixes.get(prefix, ()):
                invalidation = everything
                if tracker.options.noloop:
                    others = [key for key in keys if changed[key] is not tracker.session]
                    if not others:
                        continue
                    invalidation = Invalidation(others)
                self._send(tracker, invalidation, None, later=tracker.reads(keys))

    # -- telling

    def _send(self, tracker: Tracker, invalidation: Invalidation, sender: Session | None, *, later: bool) -> None:
        """Tell a client, or the one it redirects to: behind the reply of the command by which it has caused the change
        itself, behind the replies of what it has under way (`later`), or now."""
        session = target = tracker.session
        redirect = tracker.options.redirect
        if redirect and redirect != session.id:
            other = self._clients.get(redirect)
            if other is None:
                tracker.broken = True
            else:
                target = other.session
        if target.version != 3 and (not redirect or tracker.broken or target.subscriptions is None):
            # In RESP2 there are messages for subscribers only.
            return
        if tracker.broken:
            data = encode(Push((b"tracking-redir-broken", redirect)), 3)
        else:
            data = invalidation.encoded(target.version)
        own = sender is session
        if target is not session:
            if own or later:
                tracker.held.append((target.id, data))
            elif sender is target and target.listens:
                target.after_reply.append(data)
            else:
                target.push_later(data)
        elif own:
            target.invalidations.append(data)
        elif later:
            target.push_later(data)
        else:
            self._pubsub.enqueue(target, data)
            self._enqueued = True
