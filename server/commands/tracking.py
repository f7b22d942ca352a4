"""CLIENT TRACKING and what belongs to it: help for clients that cache replies (server/tracking.py)."""

from __future__ import annotations

from protocol.errors import CommandError, syntax_error
from protocol.replies import OK, Map, Reply, SetOf
from server.arguments import Args, integer
from server.registry import Is, command
from server.session import Session
from server.tracking import Options

_FLAGS = Is.NOSCRIPT | Is.LOADING | Is.STALE

_NOT_TRACKING = (
    b"ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled"
)
_NO_PREFIX = b"ERR PREFIX option requires BCAST mode to be enabled"
_BCAST_ALONE = b"ERR OPTIN and OPTOUT are not compatible with BCAST"
_BOTH = b"ERR You can't specify both OPTIN mode and OPTOUT mode"
_SWITCHED = (
    b"ERR You can't switch %b mode%b before disabling tracking for this client, and then re-enabling it with a "
    b"different mode."
)


@command("CLIENT TRACKING", arity=-3, flags=_FLAGS, group="connection", since="6.0.0",
         syntax="<ON | OFF> [REDIRECT client-id] [PREFIX prefix [PREFIX prefix ...]] [BCAST] [OPTIN] [OPTOUT] [NOLOOP]",
         complexity="O(N) with N prefixes")
def client_tracking(session: Session, args: Args) -> Reply:
    """Tell this connection, or another one, of the keys it has read when they change; or end that."""
    options, prefixes = _parse(session, args)
    tracking = session.instance.tracking
    match args[2].upper():
        case b"OFF":
            tracking.drop(session)
            return OK
        case b"ON":
            _check(session, options, prefixes)
        case _:
            raise syntax_error()
    others = session.instance.storage.others
    if others:
        raise CommandError(
            b"ERR CLIENT TRACKING is not possible while another instance uses the same database, since what is "
            b"written there is not noticed here: %b" % b", ".join(others)
        )

    is_new = session.tracking is None
    tracking.begin(session, options, prefixes)
    if is_new and session.in_exec:
        # What was read beside it in the transaction went unnoticed.
        tracking.forget(session)
    return OK


def _parse(session: Session, args: Args) -> tuple[Options, list[bytes]]:
    """The options and prefixes that a request gives. CommandError if it makes no sense."""
    redirect = 0
    words = {b"BCAST": False, b"OPTIN": False, b"OPTOUT": False, b"NOLOOP": False}
    prefixes: list[bytes] = []
    position = 3
    while position < len(args):
        word, more = args[position].upper(), position + 1 < len(args)
        if word == b"REDIRECT" and more:
            if redirect:
                raise CommandError(b"ERR A client can only redirect to a single other client")
            position += 1
            redirect = integer(args[position])
            if redirect not in session.instance.clients:
                raise CommandError(b"ERR The client ID you want redirect to does not exist")
        elif word == b"PREFIX" and more:
            position += 1
            prefixes.append(args[position])
        elif word in words:
            words[word] = True
        else:
            raise syntax_error()
        position += 1
    return Options(redirect, words[b"BCAST"], words[b"OPTIN"], words[b"OPTOUT"], words[b"NOLOOP"]), prefixes


def _check(session: Session, options: Options, prefixes: list[bytes]) -> None:
    """Raise CommandError if the options contradict each other, or what the client tracks already."""
    if prefixes and not options.broadcast:
        raise CommandError(_NO_PREFIX)
    tracker = session.tracking
    if tracker is not None and tracker.options.broadcast != options.broadcast:
        raise CommandError(_SWITCHED % (b"BCAST", b" on/off"))
    if options.broadcast and (options.optin or options.optout):
        raise CommandError(_BCAST_ALONE)
    if options.optin and options.optout:
        raise CommandError(_BOTH)
    if tracker is not None:
        old = tracker.options
        if (options.optin and old.optout) or (options.optout and old.optin):
            raise CommandError(_SWITCHED % (b"OPTIN/OPTOUT", b""))
    has = sorted(tracker.prefixes) if tracker is not None else []
    for place, prefix in enumerate(prefixes):
        for other in has:
            if _overlap(prefix, other):
                raise _overlapping(prefix, b"an existing", other)
        for other in prefixes[place + 1 :]:
            if _overlap(prefix, other):
                raise _overlapping(prefix, b"another provided", other)


def _overlap(one: bytes, other: bytes) -> bool:
    return one.startswith(other) or other.startswith(one)


def _overlapping(prefix: bytes, which: bytes, other: bytes) -> CommandError:
    return CommandError(
        b"ERR Prefix '%b' overlaps with %b prefix '%b'. Prefixes for a single client must not overlap."
        % (prefix.partition(b"\0")[0], which, other.partition(b"\0")[0])
    )


@command("CLIENT CACHING", arity=3, flags=_FLAGS, group="connection", since="6.0.0", syntax="<YES | NO>", cuts=False)
def client_caching(session: Session, args: Args) -> Reply:
    """Say whether the keys of the next command are tracked, in the modes OPTIN and OPTOUT."""
    tracker = session.tracking
    if tracker is None:
        raise CommandError(_NOT_TRACKING)
    match args[2].upper():
        case b"YES":
            if not tracker.options.optin:
                raise CommandError(b"ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.")
        case b"NO":
            if not tracker.options.optout:
                raise CommandError(b"ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.")
        case _:
            raise syntax_error()

    # In a transaction it was taken into account when that was planned.
    tracker.caching = not session.in_exec
    return OK


@command("CLIENT GETREDIR", arity=2, flags=_FLAGS, group="connection", since="6.0.0")
def client_getredir(session: Session, args: Args) -> Reply:
    """Give the number of the connection that is told instead of this one: 0 if it is itself, -1 without tracking."""
    return session.tracking.options.redirect if session.tracking is not None else -1


@command("CLIENT TRACKINGINFO", arity=2, flags=_FLAGS, group="connection", since="6.2.0")
def client_trackinginfo(session: Session, args: Args) -> Reply:
    """Describe how this connection tracks keys."""
    tracker = session.tracking
    flags: list[Reply] = [b"off"]
    if tracker is not None:
        options = tracker.options
        shown = [
            (True, b"on"),
            (options.broadcast, b"bcast"),
            (options.optin, b"optin"),
            (options.optin and tracker.caching, b"caching-yes"),
            (options.optout, b"optout"),
            (options.optout and tracker.caching, b"caching-no"),
            (options.noloop, b"noloop"),
            (tracker.broken, b"broken_redirect"),
        ]
        flags = [word for applies, word in shown if applies]
    return Map([
        (b"flags", SetOf(flags)),
        (b"redirect", tracker.options.redirect if tracker is not None else -1),
        (b"prefixes", sorted(tracker.prefixes) if tracker is not None else []),
    ])
