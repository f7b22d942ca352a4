"""Commands about the connection itself."""

from __future__ import annotations

from protocol.replies import OK, PONG, Reply
from server.arguments import Args
from server.registry import Is, command
from server.session import Session


@command("PING", arity=-1, flags=Is.FAST, group="connection", since="1.0.0", syntax="[message]", cuts=False)
def ping(session: Session, args: Args) -> Reply:
    """Answer PONG, or the message given."""
    return args[1] if len(args) > 1 else PONG


@command("SELECT", arity=2, flags=Is.FAST | Is.LOADING | Is.STALE, group="connection", since="1.0.0", syntax="index", cuts=False)
def select(session: Session, args: Args) -> Reply:
    """Choose the database for the commands to come."""
    session.db = session.instance.database_number(args[1])
    return OK
