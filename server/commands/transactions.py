"""MULTI and what belongs to it. Queueing, and EXEC inside of MULTI, are in `server/planning.py`: what is here is the
meaning of these commands when they come in their turn."""

from __future__ import annotations

from protocol.errors import CommandError
from protocol.replies import OK, Reply
from server.arguments import Args
from server.keyspecs import all_keys
from server.registry import Is, command
from server.session import Session
from storage.keyspace import Keyspace

_FLAGS = Is.NOSCRIPT | Is.LOADING | Is.STALE
_FAST = _FLAGS | Is.FAST | Is.ALLOW_BUSY


@command("MULTI", arity=1, flags=_FAST, group="transactions", since="1.2.0", cuts=False)
def multi(session: Session, args: Args) -> Reply:
    """Begin a transaction: the commands to come are queued."""
    if session.queued is not None:
        raise CommandError(b"ERR MULTI calls can not be nested")

    session.queued = []
    session.queue_failed = False
    return OK


@command("EXEC", arity=1, flags=_FLAGS | Is.SKIP_SLOWLOG, group="transactions", since="1.2.0", cuts=False,
         complexity="Depends on the commands in the transaction")
def exec_(session: Session, args: Args) -> Reply:
    """Execute the queued commands, all of them or, if a watched key has changed, none."""
    raise CommandError(b"ERR EXEC without MULTI")


@command("DISCARD", arity=1, flags=_FAST, group="transactions", since="2.0.0", cuts=False,
         complexity="O(N) with N queued commands")
def discard(session: Session, args: Args) -> Reply:
    """Forget the queued commands and the watched keys."""
    if session.queued is None:
        raise CommandError(b"ERR DISCARD without MULTI")

    session.queued = None
    session.queue_failed = False
    session.watched = {}
    return OK


@command("WATCH", arity=-2, flags=_FAST, keys=all_keys("RO"), group="transactions", since="2.2.0",
         syntax="key [key ...]", values=False, complexity="O(1) for every key")
def watch(db: Keyspace, session: Session, args: Args) -> Reply:
    """Let the next EXEC do nothing if one of these keys has changed until then."""
    for name in args[1:]:
        place = db.db, name
        if place not in session.watched:
            session.watched[place] = db.version(name)
    return OK


@command("UNWATCH", arity=1, flags=_FAST, group="transactions", since="2.2.0")
def unwatch(session: Session, args: Args) -> Reply:
    """Forget all watched keys."""
    session.watched = {}
    return OK
