"""Telling what committed units did: messages to subscribers, events of keys, invalidations.  Lives on the event loop.

A worker hands over what the commands of a batch have to tell, in their order, when the batch has committed; it is told
before anybody is answered.  What a client causes and also gets itself goes out behind the reply of its command (or of
its EXEC), whoever else is told meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from storage.effects import Change, Effect, Event, Flush, Message, Read, Turn

if TYPE_CHECKING:
    from server.notifications import Notifications
    from server.pubsub import PubSub
    from server.run import Run, Told
    from server.session import Session
    from server.tracking import Tracking


_ANSWERED_LATE = frozenset(("flushall", "flushdb"))


class Effects:
    """The way from effects to those who want to know of them."""

    def __init__(self, pubsub: PubSub, notifications: Notifications, tracking: Tracking) -> None:
        self._pubsub = pubsub
        self._notifications = notifications
        self._tracking = tracking

    def deliver(self, told: Iterable[Told]) -> None:
        """Tell what the commands of a batch have left."""
        for run, position, effects in told:
            # Who was told that it took too long has had its reply, and is one of the others now.
            session = None if run.given_up else run.session
            if session is not None and session.tracking is not None:
                self._tracking.told(session.tracking, waits=run.blocked is not None)
            left = iter(effects)
            if run.loop_calls and session is not None:
                session.finish_exec(run, position, partial(self._tell_up_to_turn, session, left))
            for effect in left:
                self._tell(effect, session)
            if session is not None and (session.after_reply or session.invalidations):
                run.push_behind(_last_before(run, position), session.take_after_reply())
        self._tracking.settle()

    def tell(self, effects: Iterable[Effect]) -> None:
        """Tell what came about by no client."""
        for effect in effects:
            self._tell(effect, None)
        self._tracking.settle()

    def anything(self) -> None:
        """A batch is over that has gathered nothing: anything may have changed."""
        self._tracking.flushed(None)
        self._tracking.settle()

    def _tell_up_to_turn(self, session: Session, effects: Iterator[Effect]) -> None:
        for effect in effects:
            if type(effect) is Turn:
                return
            self._tell(effect, session)

    def _tell(self, effect: Effect, sender: Session | None) -> None:
        if isinstance(effect, Event):
            self._notifications.publish(effect, sender)
        elif isinstance(effect, Message):
            publish = self._pubsub.publish_shard if effect.shard else self._pubsub.publish
            publish(effect.channel, effect.message, sender)
        elif isinstance(effect, Change):
            self._tracking.changed(effect.key, sender)
        elif isinstance(effect, Flush):
            self._tracking.flushed(sender)
        elif isinstance(effect, Read) and sender is not None:
            self._tracking.remember(effect.keys, sender)


def _last_before(run: Run, position: int) -> int:
    """Behind the reply of which item a client is told what the one at `position` did.

    Redis 7.4 answers FLUSHALL and FLUSHDB when the memory is freed, after it has told that the keys are gone.
    """
    item = run.items[position]
    if type(item) is tuple and item[0].name in _ANSWERED_LATE and item[1][-1].upper() != b"ASYNC":
        return position - 1
    return position
