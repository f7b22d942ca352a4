"""SLOWLOG: the last commands that took long. What counts as slow: server/observation.py."""

from __future__ import annotations

from protocol.errors import CommandError
from protocol.replies import OK, Reply, Simple
from server.arguments import Args, integer
from server.registry import Is, command, container
from server.session import Session

_FLAGS = Is.ADMIN | Is.LOADING | Is.STALE
#: How many entries SLOWLOG GET gives if it is not told.
_SOME = 10

container("SLOWLOG", group="server", since="2.2.12", summary="Look at the commands that took long")


@command("SLOWLOG GET", arity=-2, flags=_FLAGS, group="server", since="2.2.12", syntax="[count]",
         complexity="O(N) with N entries given", tips=("request_policy:all_nodes", "nondeterministic_output"))
def slowlog_get(session: Session, args: Args) -> Reply:
    """Give the newest entries of the slow log; a count of -1 asks for all."""
    if len(args) > 3:
        raise CommandError(
            b"ERR unknown subcommand or wrong number of arguments for '%b'. Try SLOWLOG HELP."
            % args[1].partition(b"\0")[0][:128]
        )
    count = _SOME
    if len(args) == 3:
        error = b"ERR count should be greater than or equal to -1"
        count = integer(args[2], error)
        if count < -1:
            raise CommandError(error)

    return [
        [
            entry.number,
            entry.time_s,
            entry.duration_us,
            list(entry.arguments),
            entry.address.encode("utf-8", "surrogateescape"),
            entry.client_name,
        ]
        for entry in session.instance.observation.slowlog.newest(count)
    ]


@command("SLOWLOG LEN", arity=2, flags=_FLAGS, group="server", since="2.2.12",
         tips=("request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"))
def slowlog_len(session: Session, args: Args) -> Reply:
    """Count the entries of the slow log."""
    return len(session.instance.observation.slowlog)


@command("SLOWLOG RESET", arity=2, flags=_FLAGS, group="server", since="2.2.12",
         complexity="O(N) with N entries", tips=("request_policy:all_nodes", "response_policy:all_succeeded"))
def slowlog_reset(session: Session, args: Args) -> Reply:
    """Empty the slow log."""
    session.instance.observation.slowlog.reset()
    return OK


_HELP = [
    Simple(line)
    for line in (
        b"SLOWLOG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        b"GET [<count>]",
        b"    Give the newest entries (10 unless told otherwise, -1 for all). Each has its number,",
        b"    the time, the duration in microseconds, the arguments, and the client's address and name.",
        b"LEN",
        b"    Count the entries.",
        b"RESET",
        b"    Forget all entries.",
        b"HELP",
        b"    Print this help.",
    )
]


@command("SLOWLOG HELP", arity=2, flags=Is.LOADING | Is.STALE, group="server", since="6.2.0", cuts=False, categories=())
def slowlog_help(session: Session, args: Args) -> Reply:
    """Say what SLOWLOG can do."""
    return _HELP
