"""CONFIG: the settings, read and changed while the server runs."""

from __future__ import annotations

from protocol.errors import CommandError, syntax_error
from protocol.replies import OK, Map, Reply, Simple
from server.arguments import Args
from server.registry import Is, command, container
from server.session import Session
from server.settings import SettingsError

_FLAGS = Is.ADMIN | Is.NOSCRIPT | Is.LOADING | Is.STALE
_EVERYWHERE = ("request_policy:all_nodes", "response_policy:all_succeeded")

container("CONFIG", group="server", since="2.0.0", summary="Read and change the configuration")


@command("CONFIG GET", arity=-3, flags=_FLAGS, group="server", since="2.0.0", syntax="parameter [parameter ...]",
         complexity="O(N) with N parameters")
def config_get(session: Session, args: Args) -> Reply:
    """Give the values of parameters by their names or by patterns."""
    found = session.instance.settings.get(*args[2:])
    return Map([(_bytes(name), _bytes(value)) for name, value in found])


@command("CONFIG SET", arity=-4, flags=_FLAGS, group="server", since="2.0.0",
         syntax="parameter value [parameter value ...]", complexity="O(N) with N parameters", tips=_EVERYWHERE)
def config_set(session: Session, args: Args) -> Reply:
    """Change parameters, all of them or, if one value can not be, none."""
    if len(args) % 2:
        raise syntax_error()
    words = [word.decode("utf-8", "surrogateescape") for word in args[2:]]

    try:
        session.instance.settings.set(list(zip(words[::2], words[1::2], strict=True)))
    except SettingsError as error:
        raise CommandError(_bytes(str(error))) from None
    return OK


@command("CONFIG REWRITE", arity=2, flags=_FLAGS, group="server", since="2.8.0", tips=_EVERYWHERE)
def config_rewrite(session: Session, args: Args) -> Reply:
    """Write what was changed into the configuration file."""
    try:
        session.instance.settings.rewrite()
    except SettingsError as error:
        raise CommandError(_bytes(str(error))) from None
    return OK


@command("CONFIG RESETSTAT", arity=2, flags=_FLAGS, group="server", since="2.0.0", tips=_EVERYWHERE)
def config_resetstat(session: Session, args: Args) -> Reply:
    """Let the counters that INFO shows begin at zero."""
    session.instance.reset_statistics()
    return OK


_HELP = [
    Simple(line)
    for line in (
        b"CONFIG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        b"GET <pattern> [<pattern> ...]",
        b"    Give the parameters whose names fit a pattern, with their values.",
        b"SET <directive> <value> [<directive> <value> ...]",
        b"    Change parameters.",
        b"RESETSTAT",
        b"    Let the counters of INFO begin at zero.",
        b"REWRITE",
        b"    Write what was changed into the configuration file.",
        b"HELP",
        b"    Print this help.",
    )
]


@command("CONFIG HELP", arity=2, flags=Is.LOADING | Is.STALE, group="server", since="5.0.0", cuts=False)
def config_help(session: Session, args: Args) -> Reply:
    """Say what CONFIG can do."""
    return _HELP


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
