"""CLIENT: looking at connections, one's own and those of others, and steering them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from protocol.errors import CommandError, syntax_error, timeout_negative, timeout_not_an_integer
from protocol.numbers import MAX_INTEGER
from protocol.replies import OK, Reply, Simple, Verbatim
from server.arguments import Args, integer
from server.connection import Connection
from server.pubsub import Kind
from server.registry import Is, command, container
from server.session import NO_REPLY, NoReply, Session, check_name

_OWN = Is.NOSCRIPT | Is.LOADING | Is.STALE
_OTHERS = _OWN | Is.ADMIN
_KINDS = (b"normal", b"master", b"slave", b"replica", b"pubsub")
_ON_OFF = {b"ON": True, b"OFF": False}

container("CLIENT", group="connection", since="2.4.0", summary="Look at connections and steer them")


# -- one's own connection


@command("CLIENT ID", arity=2, flags=_OWN, group="connection", since="5.0.0", cuts=False)
def client_id(session: Session, args: Args) -> Reply:
    """Give the number of this connection."""
    return session.id


@command("CLIENT INFO", arity=2, flags=_OWN, group="connection", since="6.2.0", tips=("nondeterministic_output",))
def client_info(session: Session, args: Args) -> Reply:
    """Describe this connection in a line like those of CLIENT LIST."""
    # A transaction may outlive its client.
    client = session.instance.clients.get(session.id)
    return Verbatim(b"txt", _line(client) if client is not None else b"")


@command("CLIENT GETNAME", arity=2, flags=_OWN, group="connection", since="2.6.9", cuts=False)
def client_getname(session: Session, args: Args) -> Reply:
    """Give the name of this connection, or null."""
    return session.name or None


@command("CLIENT SETNAME", arity=3, flags=_OWN, group="connection", since="2.6.9", syntax="connection-name", cuts=False,
         tips=("request_policy:all_nodes", "response_policy:all_succeeded"))
def client_setname(session: Session, args: Args) -> Reply:
    """Name this connection; an empty name takes the name away."""
    check_name(args[2], b"Client names")

    session.name = args[2]
    return OK


@command("CLIENT SETINFO", arity=4, flags=_OWN, group="connection", since="7.2.0", cuts=False,
         syntax="<LIB-NAME libname | LIB-VER libver>",
         tips=("request_policy:all_nodes", "response_policy:all_succeeded"))
def client_setinfo(session: Session, args: Args) -> Reply:
    """Tell which client library this is, or its version."""
    what = args[2].lower()
    if what not in (b"lib-name", b"lib-ver"):
        raise CommandError(b"ERR Unrecognized option '%b'" % args[2].partition(b"\0")[0])
    check_name(args[3], args[2])

    if what == b"lib-name":
        session.lib_name = args[3]
    else:
        session.lib_ver = args[3]
    return OK


@command("CLIENT REPLY", arity=3, flags=_OWN, group="connection", since="3.2.0", syntax="<ON | OFF | SKIP>", cuts=False)
def client_reply(session: Session, args: Args) -> Reply | NoReply:
    """Answer everything, nothing, or everything but the next command."""
    match args[2].upper():
        case b"ON":
            session.reply_mode = "on"
            return OK
        case b"OFF":
            session.reply_mode = "off"
        case b"SKIP":
            if session.reply_mode != "off":
                session.reply_mode = "skip"
        case _:
            raise syntax_error()
    return NO_REPLY


@command("CLIENT NO-EVICT", arity=3, flags=_OTHERS, group="connection", since="7.0.0", syntax="<ON | OFF>", cuts=False)
def client_no_evict(session: Session, args: Args) -> Reply:
    """Ask not to be closed for want of memory; nobody is, so this is only noted."""
    session.no_evict = _on_or_off(args[2])
    return OK


@command("CLIENT NO-TOUCH", arity=3, flags=_OWN, group="connection", since="7.2.0", syntax="<ON | OFF>", cuts=False)
def client_no_touch(session: Session, args: Args) -> Reply:
    """Ask that reading leaves no trace; access times are not kept, so this is only noted."""
    session.no_touch = _on_or_off(args[2])
    return OK


def _on_or_off(word: bytes) -> bool:
    try:
        return _ON_OFF[word.upper()]
    except KeyError:
        raise syntax_error() from None


# -- all connections


@command("CLIENT LIST", arity=-2, flags=_OTHERS, group="connection", since="2.4.0",
         syntax="[TYPE <NORMAL | MASTER | REPLICA | PUBSUB>] [ID client-id [client-id ...]]",
         complexity="O(N) with N connections", tips=("nondeterministic_output",))
def client_list(session: Session, args: Args) -> Reply:
    """Describe connections, one line each."""
    clients: Iterable[Connection | None] = session.instance.clients.values()
    if len(args) == 4 and args[2].upper() == b"TYPE":
        clients = [client for client in clients if client is not None and _is_kind(client, _kind(args[3]))]
    elif len(args) > 3 and args[2].upper() == b"ID":
        numbers = [integer(word, b"ERR Invalid client ID") for word in args[3:]]
        clients = [session.instance.clients.get(number) for number in numbers]
    elif len(args) != 2:
        raise syntax_error()

    return Verbatim(b"txt", b"".join([_line(client) for client in clients if client is not None]))


@command("CLIENT KILL", arity=-3, flags=_OTHERS, group="connection", since="2.4.0",
         syntax="<ip:port | <[ID client-id] | [TYPE <NORMAL | MASTER | SLAVE | REPLICA | PUBSUB>] | [USER username] | "
         "[ADDR ip:port] | [LADDR ip:port] | [SKIPME <YES | NO>] | [MAXAGE maxage]> ...>",
         complexity="O(N) with N connections")
def client_kill(session: Session, args: Args) -> Reply:
    """End connections: the one with an address, or all that pass the filters."""
    clients = list(session.instance.clients.values())
    if len(args) == 3:
        address = args[2].decode("utf-8", "surrogateescape")
        victims = [client for client in clients if client.session.address == address]
        if not victims:
            raise CommandError(b"ERR No such client")
        _kill(session, victims[0])
        return OK
    filters, skip_me = _filters(args)

    victims = [
        client
        for client in clients
        if all(fits(client) for fits in filters) and not (skip_me and client.session is session)
    ]
    for victim in victims:
        _kill(session, victim)
    return len(victims)


def _filters(args: Args) -> tuple[list[Callable[[Connection], bool]], bool]:
    """What CLIENT KILL's options ask of a connection, and whether the caller itself is left out."""
    filters: list[Callable[[Connection], bool]] = []
    skip_me = True
    if len(args) % 2:
        raise syntax_error()
    for word, value in zip(args[2::2], args[3::2], strict=True):
        text = value.decode("utf-8", "surrogateescape")
        match word.upper():
            case b"ID":
                number = integer(value, b"ERR client-id should be greater than 0")
                if number <= 0:
                    raise CommandError(b"ERR client-id should be greater than 0")
                filters.append(lambda client, number=number: client.session.id == number)  # type: ignore[misc]
            case b"MAXAGE":
                age = integer(value, b"ERR maxage is not an integer or out of range")
                if age <= 0:
                    raise CommandError(b"ERR maxage should be greater than 0")
                filters.append(lambda client, age=age: _age(client.session) >= age)  # type: ignore[misc]
            case b"TYPE":
                kind = _kind(value)
                filters.append(lambda client, kind=kind: _is_kind(client, kind))  # type: ignore[misc]
            case b"USER":
                if value != b"default":
                    raise CommandError(b"ERR No such user '%b'" % value.partition(b"\0")[0])
            case b"ADDR":
                filters.append(lambda client, text=text: client.session.address == text)  # type: ignore[misc]
            case b"LADDR":
                filters.append(lambda client, text=text: client.session.local_address == text)  # type: ignore[misc]
            case b"SKIPME" if value.upper() in (b"YES", b"NO"):
                skip_me = value.upper() == b"YES"
            case _:
                raise syntax_error()
    return filters, skip_me


def _kill(session: Session, victim: Connection) -> None:
    """End a connection; one's own after the reply."""
    if victim.session is session:
        session.close_after_reply = True
    else:
        victim.kill()


@command("CLIENT PAUSE", arity=-3, flags=_OTHERS, group="connection", since="3.0.0", syntax="timeout [WRITE | ALL]")
def client_pause(session: Session, args: Args) -> Reply:
    """Hold back the commands of all clients, or those that write, for some milliseconds."""
    if len(args) > 4:
        raise _usage(args)
    everything = True
    if len(args) == 4:
        if args[3].upper() not in (b"WRITE", b"ALL"):
            raise CommandError(b"ERR CLIENT PAUSE mode must be WRITE or ALL")
        everything = args[3].upper() == b"ALL"
    timeout_ms = integer(args[2], timeout_not_an_integer().message)
    if timeout_ms < 0:
        raise timeout_negative()
    if timeout_ms > MAX_INTEGER - time.time() * 1000:
        raise CommandError(b"ERR timeout is out of range")

    instance = session.instance
    instance.batcher.pause(instance.loop.time() + timeout_ms / 1000, reads=everything)
    return OK


@command("CLIENT UNPAUSE", arity=2, flags=_OTHERS, group="connection", since="6.2.0",
         complexity="O(N) with N paused connections")
def client_unpause(session: Session, args: Args) -> Reply:
    """End a pause before its time."""
    session.instance.batcher.unpause()
    return OK


@command("CLIENT UNBLOCK", arity=-3, flags=_OTHERS, group="connection", since="5.0.0",
         syntax="client-id [TIMEOUT | ERROR]")
def client_unblock(session: Session, args: Args) -> Reply:
    """Let a connection that waits in a blocking command go on, as if its time were over or by an error."""
    if len(args) > 4:
        raise _usage(args)
    with_error = False
    if len(args) == 4:
        if args[3].upper() not in (b"TIMEOUT", b"ERROR"):
            raise CommandError(b"ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")
        with_error = args[3].upper() == b"ERROR"
    number = integer(args[2])

    client = session.instance.clients.get(number)
    return int(client is not None and session.instance.waiters.unblock(client.session, with_error=with_error))


def _usage(args: Args) -> CommandError:
    return CommandError(
        b"ERR unknown subcommand or wrong number of arguments for '%b'. Try CLIENT HELP." % args[1].partition(b"\0")[0]
    )


_HELP = [
    Simple(line)
    for line in (
        b"CLIENT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        b"CACHING (YES|NO)",
        b"    Say whether the keys of the next command are tracked, in the modes OPTIN and OPTOUT.",
        b"GETNAME",
        b"    Give the name of this connection.",
        b"GETREDIR",
        b"    Give the number of the connection that is told instead of this one.",
        b"ID",
        b"    Give the number of this connection.",
        b"INFO",
        b"    Describe this connection.",
        b"KILL <ip:port>",
        b"    End the connection from this address.",
        b"KILL <option> <value> [<option> <value> ...]",
        b"    End the connections that fit all the options, and count them. Options are:",
        b"    * ADDR (<ip:port>|<unixsocket>:0)",
        b"      Comes from this address.",
        b"    * LADDR (<ip:port>|<unixsocket>:0)",
        b"      Came to this address of the server.",
        b"    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
        b"      Is of this kind.",
        b"    * USER <username>",
        b"      Is logged in as this user.",
        b"    * SKIPME (YES|NO)",
        b"      Spare the caller (default: yes).",
        b"    * ID <client-id>",
        b"      Has this number.",
        b"    * MAXAGE <seconds>",
        b"      Is at least so old.",
        b"LIST [options ...]",
        b"    Describe connections. Options are:",
        b"    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
        b"      Only those of this kind.",
        b"    * ID <client-id> [<client-id> ...]",
        b"      Only those with these numbers.",
        b"NO-EVICT (ON|OFF)",
        b"    Ask not to be closed for want of memory (nobody is).",
        b"NO-TOUCH (ON|OFF)",
        b"    Ask that reading leaves no trace (it leaves none).",
        b"PAUSE <timeout> [WRITE|ALL]",
        b"    Hold back all clients, or those that write, for so many milliseconds.",
        b"REPLY (ON|OFF|SKIP)",
        b"    Say which replies this connection wants.",
        b"SETINFO (LIB-NAME|LIB-VER) <value>",
        b"    Tell which client library this is.",
        b"SETNAME <name>",
        b"    Name this connection.",
        b"TRACKING (ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> [...]] [OPTIN] [OPTOUT] [NOLOOP]",
        b"    Be told when keys change that this connection has read.",
        b"TRACKINGINFO",
        b"    Describe how this connection tracks keys.",
        b"UNBLOCK <client-id> [TIMEOUT|ERROR]",
        b"    Let a blocked connection go on.",
        b"UNPAUSE",
        b"    End a pause.",
        b"HELP",
        b"    Print this help.",
    )
]


@command("CLIENT HELP", arity=2, flags=Is.LOADING | Is.STALE, group="connection", since="5.0.0", cuts=False)
def client_help(session: Session, args: Args) -> Reply:
    """Say what CLIENT can do."""
    return _HELP


# -- what is told of a connection


def _kind(word: bytes) -> bytes:
    """A kind of client, "slave" by its newer name."""
    if word.lower() not in _KINDS:
        raise CommandError(b"ERR Unknown client type '%b'" % word.partition(b"\0")[0])
    return b"replica" if word.lower() == b"slave" else word.lower()


def _is_kind(client: Connection, kind: bytes) -> bool:
    listens = client.session.subscriptions is not None
    return kind == (b"pubsub" if listens else b"normal")


def _age(session: Session) -> int:
    return int(time.monotonic() - session.created_at)


def _line(client: Connection) -> bytes:
    """A connection as CLIENT LIST shows it; what only a process with Redis's buffers has is 0."""
    session = client.session
    pubsub = session.instance.pubsub
    command = session.last_command
    queued = session.queued
    queued_bytes = sum(map(len, (word for _, request in queued or () for word in request)))
    pending_input, pending_output = session.pending_input(), session.pending_output()
    fields: list[tuple[str, object]] = [
        ("id", session.id),
        ("addr", session.address),
        ("laddr", session.local_address),
        ("fd", client.fileno),
        ("name", session.name.decode("ascii", "surrogateescape")),
        ("age", _age(session)),
        ("idle", int(client.idle_s)),
        ("flags", session.flags),
        ("db", session.db),
        ("sub", pubsub.count_of(session, Kind.CHANNEL)),
        ("psub", pubsub.count_of(session, Kind.PATTERN)),
        ("ssub", pubsub.count_of(session, Kind.SHARD_CHANNEL)),
        ("multi", len(queued) if queued is not None else -1),
        ("watch", len(session.watched)),
        ("qbuf", pending_input),
        ("qbuf-free", 0),
        ("argv-mem", 0),
        ("multi-mem", queued_bytes),
        ("rbs", 0),
        ("rbp", 0),
        ("obl", 0),
        ("oll", 0),
        ("omem", pending_output),
        ("tot-mem", pending_input + pending_output + queued_bytes),
        ("events", "rw" if pending_output else "r"),
        ("cmd", command.full_name if command is not None else "NULL"),
        ("user", session.user.decode("ascii", "surrogateescape")),
        ("redir", session.tracking.options.redirect if session.tracking is not None else -1),
        ("resp", session.version),
        ("lib-name", session.lib_name.decode("ascii", "surrogateescape")),
        ("lib-ver", session.lib_ver.decode("ascii", "surrogateescape")),
    ]
    line = " ".join([f"{name}={value}" for name, value in fields])
    return line.encode("utf-8", "surrogateescape") + b"\n"
