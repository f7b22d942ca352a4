"""MONITOR: a client is told every command that the server executes (server/monitor.py)."""

from __future__ import annotations

from protocol.errors import CommandError
from protocol.replies import OK, Reply
from server.arguments import Args
from server.registry import Is, command
from server.session import NO_REPLY, NoReply, Session


@command("MONITOR", arity=1, flags=Is.ADMIN | Is.NOSCRIPT | Is.LOADING | Is.STALE, group="server", since="1.0.0",
         complexity="")
def monitor(session: Session, args: Args) -> Reply | NoReply:
    """Be told every command that is executed from now on."""
    if session.in_exec:
        raise CommandError(b"ERR MONITOR isn't allowed for DENY BLOCKING client")
    if session.monitoring:
        # Redis does not answer who asks again.
        return NO_REPLY

    session.instance.monitors.add(session)
    return OK
