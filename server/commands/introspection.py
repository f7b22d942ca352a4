"""COMMAND: what this server can do, for clients that ask."""

from __future__ import annotations

from collections.abc import Callable

from protocol.errors import syntax_error
from protocol.glob import matches
from protocol.replies import Map, Reply, Simple
from server.arguments import Args
from server.introspection import categories, describe, document, flags_of_key, keys_of
from server.registry import TABLE, Command, Is, command, every, lookup
from server.session import Session

_FLAGS = Is.LOADING | Is.STALE
_CONNECTION = ("connection",)
_ANY_ORDER = ("nondeterministic_output_order",)


@command("COMMAND", arity=-1, flags=_FLAGS, group="server", since="2.8.13", cuts=False, tips=_ANY_ORDER,
         categories=_CONNECTION, complexity="O(N) with N commands")
def command_(session: Session, args: Args) -> Reply:
    """Describe all commands to programs."""
    return [describe(row) for row in TABLE.values()]


@command("COMMAND COUNT", arity=2, flags=_FLAGS, group="server", since="2.8.13", cuts=False, categories=_CONNECTION)
def command_count(session: Session, args: Args) -> Reply:
    """Count the commands."""
    return len(TABLE)


@command("COMMAND INFO", arity=-2, flags=_FLAGS, group="server", since="2.8.13", syntax="[command-name ...]",
         cuts=False, tips=_ANY_ORDER, categories=_CONNECTION, complexity="O(N) with N commands asked for")
def command_info(session: Session, args: Args) -> Reply:
    """Describe some commands, or all, to programs."""
    if len(args) == 2:
        return command_(session, args)  # type: ignore[no-any-return]

    return [None if row is None else describe(row) for row in map(lookup, args[2:])]


@command("COMMAND DOCS", arity=-2, flags=_FLAGS, group="server", since="7.0.0", syntax="[command-name ...]",
         cuts=False, tips=_ANY_ORDER, categories=_CONNECTION, complexity="O(N) with N commands asked for")
def command_docs(session: Session, args: Args) -> Reply:
    """Describe some commands, or all, to people."""
    rows = TABLE.values() if len(args) == 2 else [row for row in map(lookup, args[2:]) if row is not None]
    return Map([(row.full_name.encode(), document(row)) for row in rows])


@command("COMMAND GETKEYS", arity=-3, flags=_FLAGS, group="server", since="2.8.13", syntax="command [arg ...]",
         cuts=False, categories=_CONNECTION, complexity="O(N) with N arguments")
def command_getkeys(session: Session, args: Args) -> Reply:
    """Give the keys that a command line names."""
    return [name for name, _ in keys_of(args[2:])]


@command("COMMAND GETKEYSANDFLAGS", arity=-3, flags=_FLAGS, group="server", since="7.0.0", syntax="command [arg ...]",
         cuts=False, categories=_CONNECTION, complexity="O(N) with N arguments")
def command_getkeysandflags(session: Session, args: Args) -> Reply:
    """Give the keys that a command line names, and what is done to them."""
    return [[name, flags_of_key(flags)] for name, flags in keys_of(args[2:])]


@command("COMMAND LIST", arity=-2, flags=_FLAGS, group="server", since="7.0.0", cuts=False, tips=_ANY_ORDER,
         syntax="[FILTERBY <MODULE module-name | ACLCAT category | PATTERN pattern>]", categories=_CONNECTION,
         complexity="O(N) with N commands")
def command_list(session: Session, args: Args) -> Reply:
    """Give the names of commands: all, those of a category, or those that fit a pattern."""
    if len(args) == 2:
        return [row.full_name.encode() for row in TABLE.values()]
    if len(args) != 5 or args[2].upper() != b"FILTERBY":
        raise syntax_error()
    fits = _filter(args[3], args[4])

    return [row.full_name.encode() for row in every() if fits(row)]


def _filter(kind: bytes, value: bytes) -> Callable[[Command], bool]:
    match kind.upper():
        case b"MODULE":
            return lambda row: False
        case b"ACLCAT":
            category = value.decode("utf-8", "replace").lower()
            return lambda row: category in categories(row)
        case b"PATTERN":
            return lambda row: matches(value, row.full_name.encode(), nocase=True)
        case _:
            raise syntax_error()


_HELP = [
    Simple(line)
    for line in (
        b"COMMAND <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        b"(no subcommand)",
        b"    Describe all commands to programs.",
        b"COUNT",
        b"    Count the commands.",
        b"DOCS [<command-name> ...]",
        b"    Describe some commands, or all, to people.",
        b"GETKEYS <full-command>",
        b"    Give the keys that a command line names.",
        b"GETKEYSANDFLAGS <full-command>",
        b"    Give the keys that a command line names, and what is done to them.",
        b"INFO [<command-name> ...]",
        b"    Describe some commands, or all, to programs.",
        b"LIST [FILTERBY (MODULE <name>|ACLCAT <category>|PATTERN <pattern>)]",
        b"    Give the names of commands.",
        b"HELP",
        b"    Print this help.",
    )
]


@command("COMMAND HELP", arity=2, flags=_FLAGS, group="server", since="5.0.0", cuts=False, categories=_CONNECTION)
def command_help(session: Session, args: Args) -> Reply:
    """Say what COMMAND can do."""
    return _HELP
