"""The command line: `rowdis` runs the server, `rowdis ping` asks whether one answers, `rowdis check` verifies tables.

All three take the same settings. Exit codes: 0 well, 1 failed while running, 2 could not make sense of the settings.
"""

from __future__ import annotations

import os
import socket
import sys
import textwrap
from collections.abc import Sequence

from server.directives import GROUPS, HONOURED, Directive
from server.settings import Settings, SettingsError, load
from server.version import version

WIDTH = 80
USAGE_ERROR = 2
PING_TIMEOUT_S = 3.0

_INTRODUCTION = """\
Usage: rowdis [/path/to/rowdis.conf] [--name value ...]
       rowdis ping  [/path/to/rowdis.conf] [--name value ...]
       rowdis check [/path/to/rowdis.conf] [--repair] [--name value ...]
       rowdis --help | --version

rowdis runs a Redis-compatible server whose data are rows of MySQL, MariaDB or
OceanBase; without --database it runs an OceanBase engine of its own. ping
connects to a running server with the same settings and exits 0 if it answers.
check verifies the tables of the database and exits 0 if they are sound;
--repair mends what it finds.

Every option can also stand in the configuration file, without the dashes, or in
the environment: --storage-timeout 5000 is ROWDIS_STORAGE_TIMEOUT=5000. The
command line counts before the file, the file before the environment.
"""

_CONCLUSION = """\
Other directives of Redis are known too: CONFIG GET shows them, and a value that
has no effect is warned of or refused. docs/configuration.md lists them all.

Examples:
  rowdis
  rowdis --port 6380 --database mysql://rowdis:secret@localhost/rowdis
  rowdis /etc/rowdis.conf --loglevel verbose --client-output-buffer-limit \\
         pubsub 64mb 16mb 60
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program with the arguments that follow its name; the result is its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if "--help" in arguments or arguments[:1] == ["-h"]:
        sys.stdout.write(help_text())
        return 0
    if "--version" in arguments or arguments[:1] == ["-v"]:
        print(f"rowdis {version()}")
        return 0
    try:
        return _run(arguments)
    except SettingsError as error:
        print(f"rowdis: {error}", file=sys.stderr)
        return USAGE_ERROR


def help_text() -> str:
    """What --help prints: the directives that are honoured, by group."""
    groups = (
        f"{group}: {sentence}\n\n" + "".join(_option_help(d) for d in HONOURED if d.group == group)
        for group, sentence in GROUPS.items()
    )
    return "\n".join([_INTRODUCTION, *groups, _CONCLUSION])


def _option_help(directive: Directive) -> str:
    shown = f"  --{directive.name} {directive.kind.placeholder}"
    if len(shown) > WIDTH:
        shown = f"  --{directive.name} VALUE"
    default = f" Default: {directive.default}." if directive.default else ""
    # Names with dashes and URLs stay in one piece, so that they can be searched for and copied.
    lines = textwrap.wrap(directive.about + default, WIDTH - 6, break_on_hyphens=False, break_long_words=False)
    return "\n".join([shown, *(f"      {line}" for line in lines)]) + "\n"


def _run(arguments: list[str]) -> int:
    command = arguments.pop(0) if arguments[:1] in (["ping"], ["check"]) else "serve"
    repair = command == "check" and "--repair" in arguments
    if repair:
        arguments.remove("--repair")
    settings = load(arguments, os.environ)
    if command == "ping":
        return ping(settings)
    _enter_directory(settings)
    # Imported late: the whole server and the drivers of databases, which --help and ping do without.
    from server import app

    return app.check(settings, repair) if command == "check" else app.run(settings)


def _enter_directory(settings: Settings) -> None:
    """Go where relative paths begin, as Redis does for `dir`."""
    if settings.dir:
        try:
            os.chdir(settings.dir)
        except OSError as error:
            raise SettingsError(f"can't change to directory {settings.dir}: {error.strerror}") from None


def ping(settings: Settings) -> int:
    """Ask the server that runs with these settings for a PONG: 0 if it comes, else 1 and a line that says why not."""
    try:
        with _connect(settings) as connection, connection.makefile("rb") as replies:
            if settings.requirepass:
                _ask(connection, b"AUTH", settings.requirepass.encode("utf-8", "surrogateescape"))
                _expect(replies.readline(), b"+OK")
            _ask(connection, b"PING")
            _expect(replies.readline(), b"+PONG")
    except OSError as error:
        print(f"rowdis: no answer: {error}", file=sys.stderr)
        return 1
    print("PONG")
    return 0


def _connect(settings: Settings) -> socket.socket:
    """A connection by the first of the server's addresses that answers; OSError with all reasons if none does."""
    loopback = {"*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::*": "::1", "::": "::1"}
    reasons = []
    for address in settings.bind if settings.port else ():
        host = loopback.get(address.removeprefix("-"), address.removeprefix("-"))
        try:
            return socket.create_connection((host, settings.port), PING_TIMEOUT_S)
        except OSError as error:
            reasons.append(f"{host}:{settings.port}: {error.strerror or error}")
    if settings.unixsocket:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(PING_TIMEOUT_S)
        try:
            connection.connect(os.path.join(settings.dir, settings.unixsocket))
            return connection
        except OSError as error:
            connection.close()
            reasons.append(f"{settings.unixsocket}: {error.strerror or error}")
    raise OSError("; ".join(reasons) or "the port is 0 and there is no unixsocket")


def _ask(connection: socket.socket, *words: bytes) -> None:
    connection.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words))


def _expect(reply: bytes, wanted: bytes) -> None:
    if reply.rstrip(b"\r\n") != wanted:
        raise OSError(reply.decode("utf-8", "replace").strip() or "the connection was closed")
