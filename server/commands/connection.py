"""Commands about the connection itself: who speaks, in which protocol, to which database."""

from __future__ import annotations

import hmac

from protocol.errors import CommandError, syntax_error, unsupported_protocol, wrong_arity, wrong_password
from protocol.replies import OK, PONG, Map, Reply, Simple
from server.arguments import Args, integer
from server.instance import REDIS_VERSION
from server.registry import Is, command
from server.session import Session, check_name

_NO_PASSWORD = (
    b"ERR AUTH <password> called without any password configured for the default user. "
    b"Are you sure your configuration is correct?"
)
_NOT_AUTHENTICATED = (
    b"NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> "
    b"<pass> option can be used to authenticate the client and select the RESP protocol version at the same time"
)
_ALWAYS = Is.NOSCRIPT | Is.LOADING | Is.STALE | Is.FAST | Is.NO_AUTH | Is.ALLOW_BUSY
_SIMPLE = Is.LOADING | Is.STALE | Is.FAST
_RESET = Simple(b"RESET")


@command("AUTH", arity=-2, flags=_ALWAYS, group="connection", since="1.0.0", syntax="[username] password", cuts=False)
def auth(session: Session, args: Args) -> Reply:
    """Show who one is by a password."""
    if len(args) > 3:
        raise syntax_error()
    if len(args) == 2 and not session.instance.settings.requirepass:
        raise CommandError(_NO_PASSWORD)

    _log_in(session, args[1] if len(args) == 3 else b"default", args[-1])
    return OK


@command("ECHO", arity=2, flags=_SIMPLE, group="connection", since="1.0.0", syntax="message", cuts=False)
def echo(session: Session, args: Args) -> Reply:
    """Give the message back."""
    return args[1]


@command("HELLO", arity=-1, flags=_ALWAYS, group="connection", since="6.0.0",
         syntax="[protover [AUTH username password] [SETNAME clientname]]")
def hello(session: Session, args: Args) -> Reply:
    """Greet the server: choose the protocol, log in and name the connection in one step."""
    version = session.version
    if len(args) > 1:
        version = integer(args[1], b"ERR Protocol version is not an integer or out of range")
        if version not in (2, 3):
            raise unsupported_protocol()
    login: tuple[bytes, bytes] | None = None
    name: bytes | None = None
    position = 2
    while position < len(args):
        option, left = args[position].upper(), len(args) - position - 1
        if option == b"AUTH" and left >= 2:
            login = args[position + 1], args[position + 2]
            position += 3
        elif option == b"SETNAME" and left >= 1:
            name = args[position + 1]
            check_name(name, b"Client names")
            position += 2
        else:
            raise CommandError(b"ERR Syntax error in HELLO option '%b'" % args[position].partition(b"\0")[0][:128])

    if login is not None:
        _log_in(session, *login)
    if not session.authenticated:
        raise CommandError(_NOT_AUTHENTICATED)
    if name is not None:
        session.name = name
    session.version = version
    return Map([
        (b"server", b"redis"),
        (b"version", REDIS_VERSION),
        (b"proto", version),
        (b"id", session.id),
        (b"mode", b"standalone"),
        (b"role", b"master"),
        (b"modules", []),
    ])


@command("PING", arity=-1, flags=Is.FAST, group="connection", since="1.0.0", syntax="[message]", cuts=False,
         tips=("request_policy:all_shards", "response_policy:all_succeeded"))
def ping(session: Session, args: Args) -> Reply:
    """Answer PONG, or the message given."""
    if len(args) > 2:
        raise wrong_arity(b"ping")

    if session.subscriptions is not None and session.version == 2:
        return [b"pong", args[1] if len(args) == 2 else b""]
    return args[1] if len(args) == 2 else PONG


@command("QUIT", arity=-1, flags=_ALWAYS, group="connection", since="1.0.0", cuts=False)
def quit_(session: Session, args: Args) -> Reply:
    """End the connection after a last OK; what was sent before is answered."""
    session.close_after_reply = True
    return OK


@command("RESET", arity=1, flags=_ALWAYS, group="connection", since="6.2.0")
def reset(session: Session, args: Args) -> Reply:
    """Make the connection what it was at its beginning."""
    session.reset()
    return _RESET


@command("SELECT", arity=2, flags=_SIMPLE, group="connection", since="1.0.0", syntax="index", cuts=False)
def select(session: Session, args: Args) -> Reply:
    """Choose the database for the commands to come."""
    session.db = session.instance.database_number(args[1])
    return OK


def _log_in(session: Session, user: bytes, password: bytes) -> None:
    """Authenticate the session. There is one user, `default`; without a password everybody is let in."""
    instance = session.instance
    expected = instance.settings.requirepass.encode("utf-8", "surrogateescape")
    # Compared in full and first, so that the time taken tells nothing about the password.
    matches = hmac.compare_digest(password, expected)
    if user != b"default" or (expected and not matches):
        instance.metrics.denied_logins += 1
        raise wrong_password()
    session.authenticated = True
    session.user = user
