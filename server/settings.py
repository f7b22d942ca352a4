"""The settings of a running server: gathered at start, read as attributes, changed by CONFIG SET.

Sources, each overriding those before it: the defaults of the table, the environment (ROWDIS_PORT), the configuration
file, the command line (--port), CONFIG SET. Texts that are not UTF-8 are held with surrogate escapes.

Not thread-safe: `set` and `rewrite` belong to the event loop. Reading an attribute is safe anywhere.
"""

from __future__ import annotations

import difflib
import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from protocol.glob import matches
from server import config_file
from server.config_file import ConfigFileError, Statement
from server.directive_kinds import BufferLimits
from server.directives import BY_NAME, REFUSED_STATEMENTS, TABLE, Directive, Standing

log = logging.getLogger("rowdis.settings")

_VARIABLES = {"ROWDIS_" + name.upper().replace("-", "_"): name for name in BY_NAME}
_REAL_NAMES = {name: directive.name for name, directive in BY_NAME.items()}
# A service called "rowdis" makes Kubernetes (and linked containers of Docker) set these in every neighbour.
_SERVICE_LINK = re.compile(r"ROWDIS_(SERVICE_HOST|SERVICE_PORT(_.*)?|PORT_[0-9]+_(TCP|UDP)(_.*)?|NAME|ENV_.*)")
_SERVICE_ADDRESS = re.compile(r"(tcp|udp)://.*")


class SettingsError(Exception):
    """A setting that can not be used. The text is one line: at start it names the place, from CONFIG SET and CONFIG
    REWRITE it is the error reply without its dash."""


class Settings:
    """Every setting, those that take effect as attributes.

    Times carry their unit in the name, sizes are bytes. `warnings` holds what was said at start of directives that
    mean nothing here, to be logged once logging works; `config_path` is the configuration file, if there is one.
    """

    port: int
    bind: tuple[str, ...]
    unixsocket: str
    unixsocketperm: int
    tcp_backlog: int
    tcp_keepalive_s: int

    database: str
    databases: int
    table_prefix: str
    workers: int
    storage_timeout_ms: int
    storage_start_timeout_ms: int
    sweep_interval_ms: int

    requirepass: str
    protected_mode: bool
    enable_debug_command: str

    maxclients: int
    timeout_s: int
    proto_max_bulk_len: int
    client_query_buffer_limit: int
    client_output_buffer_limit: BufferLimits
    busy_reply_threshold_ms: int
    tracking_table_max_keys: int

    loglevel: str
    logfile: str
    dir: str
    shutdown_timeout_s: int

    hll_sparse_max_bytes: int

    slowlog_log_slower_than: int
    slowlog_max_len: int
    latency_monitor_threshold: int
    latency_tracking: bool
    latency_tracking_info_percentiles: tuple[float, ...]

    notify_keyspace_events: str

    def __init__(self) -> None:
        self.config_path: Path | None = None
        self.warnings: list[str] = []
        self._values: dict[str, Any] = {}
        self._sources: dict[str, str] = {}
        self._set_below: set[str] = set()
        self._callbacks: dict[str, list[Callable[[], None]]] = {}
        for directive in TABLE:
            self._hold(directive, directive.default_value())

    def value(self, name: str) -> Any:
        """The value of any directive, also of one that is only known."""
        return self._values[BY_NAME[name].name]

    def text(self, name: str) -> str:
        """The value of a directive as CONFIG GET shows it."""
        directive = BY_NAME[name]
        return directive.kind.show(self._values[directive.name])

    def get(self, *patterns: bytes | str) -> list[tuple[str, str]]:
        """Names and values for CONFIG GET, each name once, for glob patterns that ignore case."""
        found: dict[str, str] = {}
        for given in patterns:
            pattern = given.decode("utf-8", "surrogateescape") if isinstance(given, bytes) else given
            if not set(pattern) & set("*?["):
                # As in Redis, a plain name is looked up and shown the way it was written.
                if pattern.lower() in BY_NAME:
                    found.setdefault(pattern, self.text(pattern.lower()))
                continue
            raw = pattern.encode("utf-8", "surrogateescape")
            for name in sorted(BY_NAME):
                if matches(raw, name.encode(), nocase=True):
                    found.setdefault(name, self.text(name))
        return list(found.items())

    def set(self, pairs: Sequence[tuple[str, str]]) -> list[str]:
        """Change settings for CONFIG SET, all or none, and give the names whose values became different.

        SettingsError, with the error reply as its text, if one of them can not be set or a callback refuses.
        """
        values = self._judge(pairs)
        before = {name: self._values[name] for name in values}
        changed = {name: given for name, (given, value) in values.items() if value != before[name]}
        for name, (_, value) in values.items():
            self._hold(BY_NAME[name], value)
        called: list[Callable[[], None]] = []
        for name, given in changed.items():
            for callback in self._callbacks.get(name, ()):
                called.append(callback)
                try:
                    callback()
                except (SettingsError, ValueError, OSError) as error:
                    self._restore(before, called)
                    raise _failed(given.lower(), str(error)) from error
        for name in values:
            self._sources[name] = CONFIG_SET
            if BY_NAME[name].standing is Standing.WARNED and self._values[name] != BY_NAME[name].default_value():
                log.warning("CONFIG SET: %s has no effect, since %s", name, BY_NAME[name].about)
        return list(changed)

    def on_change(self, name: str, callback: Callable[[], None]) -> None:
        """Call back after CONFIG SET changed a directive; the new value holds already.

        If the callback raises SettingsError, ValueError or OSError, nothing is changed (callbacks that ran already
        run again with the old values) and the error's text is the reason that the client reads.
        """
        self._callbacks.setdefault(BY_NAME[name].name, []).append(callback)

    def rewrite(self) -> None:
        """Write what the file does not say yet into it, for CONFIG REWRITE; comments and order stay.

        What came from the environment or from an included file is not copied: it will be there at the next start.
        """
        if self.config_path is None:
            raise SettingsError("ERR The server is running without a config file")
        try:
            config_file.rewrite(self.config_path, self._unsaved(), _REAL_NAMES)
        except OSError as error:
            raise SettingsError(f"ERR Rewriting config file: {error.strerror}") from error
        except (ConfigFileError, SettingsError) as error:
            # Somebody edited the file since the start, and not well.
            raise SettingsError(f"ERR Rewriting config file: {error}") from None

    def apply(self, statements: Iterable[Statement], source: str) -> dict[str, str]:
        """Take in one source's statements at start, in order; gives where each directive was last set."""
        places = {}
        for statement in statements:
            directive = _find(statement)
            held = self._values[directive.name]
            try:
                new = directive.kind.parse(statement.words)
            except ValueError as error:
                raise SettingsError(f"{_place(statement)}: {error}") from None
            self._hold(directive, directive.kind.combine(held, new, self._sources.get(directive.name) == source))
            self._sources[directive.name] = source
            if source != COMMAND_LINE:
                self._set_below.add(directive.name)
            places[directive.name] = _place(statement)
        return places

    def judge_known(self, places: Mapping[str, str]) -> None:
        """Refuse, or note a warning for, every value that can not be honoured.

        Only what holds after all sources counts: a `daemonize yes` in a file may be taken back on the command line.
        """
        for name, place in places.items():
            directive = BY_NAME[name]
            if directive.standing is Standing.HONOURED or self._values[name] == directive.default_value():
                continue
            if directive.standing is Standing.REFUSED:
                only = f"'{directive.default}'" if directive.default else "an empty value"
                raise SettingsError(f"{place}: only {only} is possible, since {directive.about}")
            self.warnings.append(f"{place}: has no effect, since {directive.about}")

    def _hold(self, directive: Directive, value: Any) -> None:
        self._values[directive.name] = value
        if directive.attribute:
            setattr(self, directive.attribute, value)

    def _restore(self, before: Mapping[str, Any], called: Iterable[Callable[[], None]]) -> None:
        for name, value in before.items():
            self._hold(BY_NAME[name], value)
        for callback in called:
            try:
                callback()
            except Exception:
                log.exception("going back to the old configuration failed")

    def _judge(self, pairs: Sequence[tuple[str, str]]) -> dict[str, tuple[str, Any]]:
        """For each directive that is to be set the name as it was given and the new value. Changes nothing."""
        names = set()
        for given, _ in pairs:
            name = given.lower()
            if name not in BY_NAME:
                raise SettingsError(f"ERR Unknown option or number of arguments for CONFIG SET - '{_one_line(given)}'")
            if not BY_NAME[name].mutable:
                raise _failed(given, BY_NAME[name].locked)
            if name in names:
                raise _failed(given, "duplicate parameter")
            names.add(name)
        values = {}
        for given, text in pairs:
            directive = BY_NAME[given.lower()]
            try:
                value = directive.kind.combine(self._values[directive.name], directive.kind.parse([text]), False)
            except ValueError as error:
                raise _failed(given.lower(), str(error)) from None
            if directive.standing is Standing.REFUSED and value != directive.default_value():
                raise _failed(given.lower(), directive.about)
            values[directive.name] = (given, value)
        return values

    def _unsaved(self) -> dict[str, list[list[str]]]:
        """The lines of the directives for which the file must say something else than it does."""
        assert self.config_path is not None
        on_file = Settings()
        in_file = set()
        if self.config_path.exists():
            statements = list(config_file.read_statements(str(self.config_path)))
            in_file = set(on_file.apply((s for s in statements if s.name in BY_NAME), FILE))
        unsaved = {}
        for directive in TABLE:
            name, value = directive.name, self._values[directive.name]
            source = self._sources.get(name)
            if name in in_file:
                differs = value != on_file._values[name]
            else:
                differs = source in (COMMAND_LINE, CONFIG_SET) and (
                    name in self._set_below or value != directive.default_value()
                )
            if differs:
                unsaved[name] = directive.kind.lines(value)
        return unsaved


#: Names of sources.
ENVIRONMENT = "environment"
FILE = "file"
COMMAND_LINE = "command line"
CONFIG_SET = "CONFIG SET"


def load(argv: Sequence[str], environ: Mapping[str, str]) -> Settings:
    """The settings for a start: `argv` is the command line without the program's name.

    SettingsError names what can not be used and where it stands.
    """
    path, options = read_arguments(argv)
    settings = Settings()
    try:
        places = settings.apply(read_environment(environ), ENVIRONMENT)
        if path is not None:
            settings.config_path = Path(path).absolute()
            places |= settings.apply(config_file.read_statements(path), FILE)
        expanded = (statement for option in options for statement in config_file.included(option))
        places |= settings.apply(expanded, COMMAND_LINE)
    except ConfigFileError as error:
        raise SettingsError(str(error)) from None
    settings.judge_known(places)
    return settings


def read_environment(environ: Mapping[str, str]) -> list[Statement]:
    """The statements of the variables that begin with ROWDIS_; empty ones count as not set."""
    statements = []
    for variable, value in sorted(environ.items()):
        if not variable.startswith("ROWDIS_") or not value or _SERVICE_LINK.fullmatch(variable):
            continue
        if variable == "ROWDIS_PORT" and _SERVICE_ADDRESS.fullmatch(value):
            continue
        if variable not in _VARIABLES:
            raise SettingsError(f"unknown environment variable {variable}{_suggest(variable, _VARIABLES)}")
        statements.append(Statement(variable, _VARIABLES[variable], (value,)))
    return statements


def read_arguments(argv: Sequence[str]) -> tuple[str | None, list[Statement]]:
    """The configuration file, if the first argument is one, and the options `--name value ...` or `--name=value`."""
    path: str | None = None
    rest = list(argv)
    if rest and not rest[0].startswith("-"):
        path = rest.pop(0)
    options: list[Statement] = []
    while rest:
        option = rest.pop(0)
        if not option.startswith("--") or option == "--":
            raise SettingsError(f"unexpected argument '{_printable(option)}' (options are --name value)")
        name, equals, value = option[2:].partition("=")
        words = [value] if equals else []
        while rest and not rest[0].startswith("--"):
            words.append(rest.pop(0))
        options.append(Statement(f"--{_printable(name)}", name.lower(), tuple(words)))
    return path, options


def _find(statement: Statement) -> Directive:
    name = statement.name
    if name in REFUSED_STATEMENTS:
        raise SettingsError(f"{_place(statement)}: {REFUSED_STATEMENTS[name]}")
    if name not in BY_NAME:
        kind = "option" if statement.where.startswith("--") else "directive"
        place = "" if kind == "option" else f"{statement.where}: "
        shown = statement.where if kind == "option" else f"'{_printable(name)}'"
        raise SettingsError(f"{place}unknown {kind} {shown}{_suggest(name, BY_NAME)}")
    return BY_NAME[name]


def _place(statement: Statement) -> str:
    """Where a statement stands, with its name unless the place tells it (an option, a variable)."""
    named_by_place = statement.where.startswith(("--", "ROWDIS_"))
    return statement.where if named_by_place else f"{statement.where}: {_printable(statement.name)}"


def _suggest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, known, 1, 0.75)
    return f" (did you mean {close[0]}?)" if close else ""


def _printable(text: str) -> str:
    """A name that somebody gave, fit for a line of an error: short and without control characters."""
    return "".join(c if c.isprintable() else "?" for c in text[:128])


def _one_line(text: str) -> str:
    """Text of a client, as Redis repeats it in an error reply."""
    return text.replace("\r", " ").replace("\n", " ")


def _failed(name: str, reason: str) -> SettingsError:
    return SettingsError(f"ERR CONFIG SET failed (possibly related to argument '{_one_line(name)}') - {reason}")
