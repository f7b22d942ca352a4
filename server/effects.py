"""Telling what committed units did: messages to subscribers, events of keys, invalidations.  Lives on the event loop.

A worker hands over what the commands of a batch have to tell, in their order, when the batch has committed; it is told
before anybody is answered.  What a client causes and also gets itself goes out behind the reply of its command (or of
its EXEC), whoever else is told meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from storage.effects import Effect, Message

if TYPE_CHECKING:
    from server.pubsub import PubSub
    from server.run import Told
    from server.session import Session


class Effects:
    """The way from effects to those who want to know of them."""

    def __init__(self, pubsub: PubSub) -> None:
        self._pubsub = pubsub

    def deliver(self, told: Iterable[Told]) -> None:
        """Tell what the commands of a batch have left."""
        for run, position, effects in told:
            session = run.session
            for effect in effects:
                self._tell(effect, session)
            if session.after_reply:
                run.push_behind(position, session.take_after_reply())

    def _tell(self, effect: Effect, sender: Session | None) -> None:
        if isinstance(effect, Message):
            publish = self._pubsub.publish_shard if effect.shard else self._pubsub.publish
            publish(effect.channel, effect.message, sender)
