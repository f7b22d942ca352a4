"""Settings: sources and their order, the file's syntax, CONFIG GET, SET and REWRITE; many of them against Redis."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_origin, get_type_hints

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from server.config_file import INCLUDE_DEPTH, REWRITE_MARK, join_words, split_words
from server.directive_kinds import BufferLimit, BufferLimits
from server.directives import BY_NAME, HONOURED, KNOWN, TABLE, Standing
from server.settings import Settings, SettingsError, load
from tests.services.redis_7_4 import redis_7_4_oracle
from tests.services.redis_oracle import RedisOracle

#: Names that CONFIG GET of Redis shows with another value: what is truer here, or depends on how it was started.
OTHER_DEFAULTS = {"appendonly", "appendfsync", "latency-tracking", "save", "dir", "bind", "port", "unixsocket"}
#: Directives without effect whose values Redis adjusts or judges by their meaning.
ADJUSTED = {"hz", "repl-backlog-size", "proc-title-template"}
#: What Redis changes at run time and Rowdis does not.
FIXED_HERE = {"port", "bind"}


@pytest.fixture(scope="module")
def oracle(redis74: RedisOracle) -> Iterator[Any]:
    """A Redis 7.4 of this module's own, which only CONFIG is asked of."""
    with (
        redis_7_4_oracle() as server,
        redis.Redis(unix_socket_path=str(server.unix_socket), decode_responses=True) as client,
    ):
        yield client


def shown(settings: Settings, *patterns: str) -> dict[str, str]:
    return dict(settings.get(*patterns))


def failure(*argv: str, **environ: str) -> str:
    """The line that a start with these arguments and variables ends with."""
    with pytest.raises(SettingsError) as caught:
        load(argv, environ)
    message = str(caught.value)
    assert "\n" not in message
    return message


def refusal(settings: Settings, *pairs: tuple[str, str]) -> str:
    with pytest.raises(SettingsError) as caught:
        settings.set(pairs)
    return str(caught.value)


# The table


def test_every_honoured_directive_is_a_typed_attribute() -> None:
    hints = {name: hint for name, hint in get_type_hints(Settings).items() if not name.startswith("_")}
    attributes = {directive.attribute: directive.default_value() for directive in HONOURED}
    assert set(hints) == set(attributes)
    for name, default in attributes.items():
        expected = get_origin(hints[name]) or hints[name]
        assert type(default) is expected, name
        assert getattr(Settings(), name) == default


def test_every_name_is_given_once() -> None:
    names = [name for directive in TABLE for name in directive.names]
    assert len(names) == len(set(names)) == len(BY_NAME)


@pytest.mark.parametrize("directive", TABLE, ids=lambda directive: directive.name)
def test_what_config_get_shows_can_be_set_again_from_every_source(directive: Any) -> None:
    default = directive.default
    from_option = load([f"--{directive.name}={default}"], {})
    from_variable = load([], {directive.variable: default})
    assert from_option.text(directive.name) == from_variable.text(directive.name) == Settings().text(directive.name)
    assert from_option.warnings == from_variable.warnings == []


@pytest.mark.parametrize("directive", TABLE, ids=lambda directive: directive.name)
def test_lines_for_a_file_say_the_same_as_the_value(directive: Any) -> None:
    value = directive.default_value()
    held = value
    for again, words in enumerate(directive.kind.lines(value)):
        parsed = directive.kind.parse(split_words(join_words(words)))
        held = directive.kind.combine(held, parsed, again > 0)
    assert held == value


def test_redis_has_no_name_that_is_missing_here(oracle: Any) -> None:
    assert set(oracle.config_get("*")) <= set(shown(Settings(), "*"))


def test_defaults_are_those_of_redis(oracle: Any) -> None:
    ours = shown(Settings(), "*")
    different = {name for name, value in oracle.config_get("*").items() if ours[name] != value}
    assert different <= OTHER_DEFAULTS


def test_the_same_settings_are_immutable_as_in_redis(oracle: Any) -> None:
    for name, value in oracle.config_get("*").items():
        try:
            oracle.config_set(name, value)
            locked = ""
        except redis.ResponseError as error:
            locked = str(error).partition(" - ")[2]
        assert BY_NAME[name].locked == locked or name in FIXED_HERE, name


# CONFIG SET


@pytest.mark.parametrize("text", ["", "zz", "-99999999999", "-1", "0", "1", "5b", "010", "1 2", "yes", "4Kb", "101%"])
def test_every_known_setting_takes_and_refuses_what_redis_does(oracle: Any, text: str) -> None:
    before = oracle.config_get("*")
    for name in before:
        directive = BY_NAME[name]
        if directive.locked or directive.standing is Standing.REFUSED or name in {"requirepass", *ADJUSTED}:
            continue
        if name.startswith("tls-") or name == "activedefrag":
            continue  # Redis tries at once whether it works
        settings = Settings()
        try:
            oracle.config_set(name, text)
        except redis.ResponseError as error:
            theirs = f"ERR {error}"
            assert refusal(settings, (name, text)) == theirs
        else:
            settings.set([(name, text)])
            assert settings.text(name) == oracle.config_get(name)[name], name
            oracle.config_set(name, before[name])


@pytest.mark.parametrize(
    "pairs",
    [
        [("nosuch", "1")],
        [("timeout", "5"), ("nosuch", "1")],
        [("databases", "3"), ("nosuch", "1")],
        [("timeout", "abc"), ("databases", "3")],
        [("timeout", "abc"), ("loglevel", "loud")],
        [("timeout", "1"), ("Timeout", "2")],
        [("dir", "/tmp")],
        [("unixsocket", "/tmp/x")],
        [("TIMEOUT", "x")],
        [("Databases", "3")],
        [("No\nsuch", "1")],
        [("save", "60")],
        [("save", "0 1")],
        [("save", "60 -1")],
        [("client-output-buffer-limit", "normal 1")],
        [("client-output-buffer-limit", "foo 1 2 3")],
        [("client-output-buffer-limit", "normal 1 2 x")],
        [("oom-score-adj-values", "1 2 99999")],
        [("latency-tracking-info-percentiles", "1 200")],
        [("notify-keyspace-events", "Q")],
        [("slowlog-log-slower-than", "-2")],
        [("timeout", "99999999999999999999")],
        [("proto-max-bulk-len", "5")],
        [("maxmemory-policy", "lru")],
        [("shutdown-on-sigterm", "later")],
    ],
    ids=str,
)
def test_errors_of_config_set_read_as_in_redis(oracle: Any, pairs: list[tuple[str, str]]) -> None:
    with pytest.raises(redis.ResponseError) as theirs:
        oracle.execute_command("CONFIG", "SET", *(word for pair in pairs for word in pair))
    assert refusal(Settings(), *pairs) == f"ERR {str(theirs.value).removeprefix('ERR ')}"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("maxmemory", "1gb"),
        ("maxmemory", "3K"),
        ("maxmemory-clients", "5%"),
        ("hz", "10"),
        ("save", "3600 1 300 100"),
        ("save", ""),
        ("loglevel", "WARNING"),
        ("client-output-buffer-limit", "replica 1mb 2 3 normal 0 0 0"),
        ("latency-tracking-info-percentiles", "50 99.9"),
        ("shutdown-on-sigterm", "now save"),
        ("list-max-ziplist-size", "-5"),
        ("slave-priority", "7"),
    ],
)
def test_values_are_shown_as_redis_shows_them(oracle: Any, name: str, text: str) -> None:
    before = oracle.config_get(name)[name]
    oracle.config_set(name, text)
    settings = Settings()
    settings.set([(name, text)])
    assert settings.text(name) == oracle.config_get(name)[name]
    oracle.config_set(name, before)


def test_set_changes_all_or_nothing() -> None:
    settings = Settings()
    refusal(settings, ("timeout", "5"), ("maxclients", "none"))
    assert settings.timeout_s == 0
    assert settings.set([("timeout", "5"), ("maxclients", "7"), ("hz", "10")]) == ["timeout", "maxclients"]
    assert (settings.timeout_s, settings.maxclients) == (5, 7)


def test_an_alias_sets_the_same_value() -> None:
    settings = Settings()
    settings.set([("hash-max-ziplist-entries", "3")])
    assert shown(settings, "hash-max-*-entries") == {"hash-max-listpack-entries": "3", "hash-max-ziplist-entries": "3"}


def test_a_class_of_clients_that_is_not_named_keeps_its_limits() -> None:
    settings = Settings()
    settings.set([("client-output-buffer-limit", "pubsub 1kb 2kb 3")])
    assert settings.client_output_buffer_limit == BufferLimits(pubsub=BufferLimit(1024, 2048, 3))


def test_callbacks_see_the_new_value() -> None:
    settings, seen = Settings(), []
    settings.on_change("timeout", lambda: seen.append(settings.timeout_s))
    settings.set([("timeout", "5")])
    settings.set([("timeout", "5")])
    settings.set([("maxclients", "5")])
    assert seen == [5]


def test_a_callback_that_refuses_undoes_everything() -> None:
    settings, seen = Settings(), []

    def refuse() -> None:
        if settings.maxclients == 7:
            raise ValueError("too few files")

    settings.on_change("timeout", lambda: seen.append(settings.timeout_s))
    settings.on_change("maxclients", refuse)
    message = refusal(settings, ("timeout", "5"), ("maxclients", "7"))
    assert message == "ERR CONFIG SET failed (possibly related to argument 'maxclients') - too few files"
    assert (settings.timeout_s, settings.maxclients) == (0, 10000)
    assert seen == [5, 0]


@pytest.mark.parametrize("directive", [d for d in KNOWN if d.standing is Standing.REFUSED], ids=lambda d: d.name)
def test_what_would_promise_too_much_is_refused(directive: Any) -> None:
    other = {"yes|no": "yes", "no|yes|local": "yes", "CLASSES": "KEA", "PORT": "6390", "N": "1"}
    value = other.get(directive.kind.placeholder, "systemd" if directive.name == "supervised" else "host 1")
    assert directive.about in failure(f"--{directive.name}={value}")
    if directive.mutable:
        assert refusal(Settings(), (directive.name, value)).endswith(f" - {directive.about}")


def test_what_has_no_effect_is_kept_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    settings = load(["--maxmemory", "100mb"], {})
    assert settings.text("maxmemory") == "104857600"
    assert [line.partition(", since ")[0] for line in settings.warnings] == ["--maxmemory: has no effect"]
    with caplog.at_level(logging.WARNING, "rowdis.settings"):
        settings.set([("save", "60 1"), ("timeout", "3")])
    assert settings.text("save") == "60 1"
    assert [record.getMessage().partition(", since ")[0] for record in caplog.records] == [
        "CONFIG SET: save has no effect"
    ]


# CONFIG GET


@pytest.mark.parametrize(
    "patterns",
    [
        ["timeout"],
        ["TIMEOUT"],
        ["TIME*"],
        ["maxclient?", "timeout", "time*"],
        ["slave-pri*"],
        ["[hx]z"],
        [""],
        ["nosuch"],
        ["a\\*"],
    ],
    ids=str,
)
def test_config_get_finds_what_redis_finds(oracle: Any, patterns: list[str]) -> None:
    theirs = {name: value for name, value in oracle.config_get(*patterns).items() if name not in OTHER_DEFAULTS}
    ours = {name: value for name, value in Settings().get(*patterns) if name not in OTHER_DEFAULTS}
    assert ours == theirs


def test_config_get_takes_bytes_of_any_kind() -> None:
    assert Settings().get(b"\xff*") == []
    assert Settings().get(b"timeou?") == [("timeout", "0")]


def test_requirepass_holds_any_bytes() -> None:
    password = b"p\xff\xc3\xa9".decode("utf-8", "surrogateescape")
    settings = Settings()
    settings.set([("requirepass", password)])
    assert settings.requirepass == password
    assert settings.get("requirepass") == [("requirepass", password)]


@pytest.mark.parametrize(
    ("url", "displayed"),
    [
        ("embedded:./data", "embedded:./data"),
        ("mysql://user:secret@host:3306/db", "mysql://user:***@host:3306/db"),
        ("mysql://user@host/db", "mysql://user@host/db"),
        ("oceanbase://root@test:sec:r@et@host:2881/db", "oceanbase://root@test:***@host:2881/db"),
        ("mysql://user:secret@host/db?ssl-mode=required", "mysql://user:***@host/db?ssl-mode=required"),
    ],
)
def test_the_password_of_the_database_is_not_shown(url: str, displayed: str) -> None:
    settings = load(["--database", url], {})
    assert settings.database == url
    assert settings.get("database") == [("database", displayed)]


@pytest.mark.parametrize(
    "url", ["redis://user:secret@host", "mysql:secret", "mysql://user:se/cret@host/db", "", "secret"]
)
def test_a_bad_url_is_refused_without_repeating_it(url: str) -> None:
    message = failure("--database", url)
    assert message.startswith("--database: ")
    assert "secret" not in message


# Sources


def test_the_command_line_counts_before_the_file_and_the_file_before_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "rowdis.conf"
    file.write_text("port 1\ntimeout 1\n")
    environ = {"ROWDIS_PORT": "2", "ROWDIS_TIMEOUT": "2", "ROWDIS_MAXCLIENTS": "2", "HOME": "/"}
    settings = load([str(file), "--port", "3"], environ)
    assert (settings.port, settings.timeout_s, settings.maxclients, settings.workers) == (3, 1, 2, 4)


def test_options_take_their_values_in_redis_manner() -> None:
    settings = load(
        [
            "--bind",
            "127.0.0.1",
            "-::1",
            "--SAVE",
            "900 1",
            "--save",
            "300",
            "10",
            "--requirepass=--a=b",
            "--logfile",
            "",
        ],
        {},
    )
    assert settings.bind == ("127.0.0.1", "-::1")
    assert settings.text("save") == "900 1 300 10"
    assert settings.requirepass == "--a=b"


def test_lists_in_variables_are_separated_by_spaces_and_other_texts_are_whole() -> None:
    settings = load([], {"ROWDIS_BIND": "127.0.0.1 ::1", "ROWDIS_REQUIREPASS": 'with "space', "ROWDIS_LOGFILE": ""})
    assert settings.bind == ("127.0.0.1", "::1")
    assert settings.requirepass == 'with "space'
    limits = load([], {"ROWDIS_CLIENT_OUTPUT_BUFFER_LIMIT": "normal 1mb 0 0"}).client_output_buffer_limit
    assert limits == BufferLimits(normal=BufferLimit(1 << 20, 0, 0))


def test_variables_of_a_kubernetes_service_called_rowdis_are_ignored() -> None:
    links = {
        "ROWDIS_PORT": "tcp://10.0.0.1:6379",
        "ROWDIS_SERVICE_HOST": "10.0.0.1",
        "ROWDIS_SERVICE_PORT": "6379",
        "ROWDIS_SERVICE_PORT_REDIS": "6379",
        "ROWDIS_PORT_6379_TCP": "tcp://10.0.0.1:6379",
        "ROWDIS_PORT_6379_TCP_ADDR": "10.0.0.1",
    }
    assert load([], links).port == 6379


@pytest.mark.parametrize(
    ("argv", "environ", "message"),
    [
        (["--prot", "1"], {}, "unknown option --prot (did you mean port?)"),
        (["--port"], {}, "--port: wrong number of arguments"),
        (["--port", "1", "2"], {}, "--port: wrong number of arguments"),
        (["--port", "x"], {}, "--port: argument couldn't be parsed into an integer"),
        (["--port=70000"], {}, "--port: argument must be between 0 and 65535 inclusive"),
        (["-x"], {}, "unexpected argument '-x' (options are --name value)"),
        (["--user", "joe"], {}, "--user: ACL users are not supported yet"),
        (["/no/such.conf"], {}, "can't read configuration file /no/such.conf: No such file or directory"),
        (["--unixsocketperm", "888"], {}, "--unixsocketperm: argument couldn't be parsed as an octal number"),
        (["--table-prefix", "a-b"], {}, "--table-prefix: argument must be at most 32 letters, digits and underscores"),
        ([], {"ROWDIS_PORT": "x"}, "ROWDIS_PORT: argument couldn't be parsed into an integer"),
        ([], {"ROWDIS_PROT": "1"}, "unknown environment variable ROWDIS_PROT (did you mean ROWDIS_PORT?)"),
    ],
)
def test_a_mistake_is_told_in_one_line_with_its_place(argv: list[str], environ: dict[str, str], message: str) -> None:
    assert failure(*argv, **environ) == message


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("prot 1", "unknown directive 'prot' (did you mean port?)"),
        ("port 1 2", "port: wrong number of arguments"),
        ("port x", "port: argument couldn't be parsed into an integer"),
        ('requirepass "x', "unbalanced quotes"),
        ("requirepass 'x'y", "closing quote must be followed by a space"),
        ("rename-command FLUSHALL ''", "rename-command: commands can not be renamed"),
        ("include", "include: wrong number of arguments"),
        ("replicaof a 1", "replicaof: only an empty value is possible, since " + BY_NAME["replicaof"].about),
        ("daemonize yes", "daemonize: only 'no' is possible, since " + BY_NAME["daemonize"].about),
    ],
)
def test_a_mistake_in_a_file_is_told_with_its_line(tmp_path: Path, line: str, message: str) -> None:
    file = tmp_path / "rowdis.conf"
    file.write_text(f"# one\n\n{line}\n")
    assert failure(str(file)) == f"{file}:3: {message}"


def test_a_refused_line_can_be_taken_back_on_the_command_line(tmp_path: Path) -> None:
    file = tmp_path / "rowdis.conf"
    file.write_text("daemonize yes\n")
    assert load([str(file), "--daemonize", "no"], {}).warnings == []


def test_the_redis_conf_that_debian_installs_can_be_used() -> None:
    if not os.access("/etc/redis/redis.conf", os.R_OK):
        pytest.skip("no redis.conf of Debian here")
    settings = load(["/etc/redis/redis.conf", "--daemonize", "no"], {})
    assert settings.bind == ("127.0.0.1", "-::1")
    assert {line.split(": ")[1] for line in settings.warnings} == {"pidfile", "appendonly", "appendfsync"}


# The file


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("  a \t b\r", ["a", "b"]),
        (r'"a b" ' + "'c d'", ["a b", "c d"]),
        (r'"\x41\n\t\"\\\q"', ['A\n\t"\\q']),
        (r"'a\'b\n'", [r"a'b\n"]),
        ('"" a""', ["", "a"]),
        (r'"\xff"', ["\udcff"]),
        (r'"\xzz"', ["xzz"]),
        ("é", ["é"]),
        ("", []),
    ],
)
def test_words_are_split_as_redis_splits_them(line: str, words: list[str]) -> None:
    assert split_words(line) == words


@given(st.lists(st.binary().map(lambda data: data.decode("utf-8", "surrogateescape"))))
def test_joined_words_split_into_the_same_words(words: list[str]) -> None:
    line = join_words(words)
    assert split_words(line) == words
    assert line.isascii()
    assert "\n" not in line


def test_files_include_others_in_place_by_name_and_by_pattern(tmp_path: Path) -> None:
    (tmp_path / "10.part").write_text("port 10\n")
    (tmp_path / "20.part").write_text("port 20\ntimeout 20\n")
    (tmp_path / "last").write_text("timeout 30")
    main = tmp_path / "rowdis.conf"
    main.write_text(f"port 1\ninclude {tmp_path}/*.part {tmp_path}/*.none\ninclude '{tmp_path}/last'\n")
    settings = load([str(main)], {})
    assert (settings.port, settings.timeout_s) == (20, 30)
    assert load(["--include", str(main)], {}).port == 20


def test_files_that_include_each_other_in_a_circle_are_an_error(tmp_path: Path) -> None:
    file = tmp_path / "rowdis.conf"
    file.write_text(f"include {file}\n")
    assert failure(str(file)) == f"{file}:1: files include each other more than {INCLUDE_DEPTH} deep"


def test_a_missing_included_file_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "rowdis.conf"
    file.write_text(f"include {tmp_path}/none\n")
    assert failure(str(file)) == f"can't read configuration file {tmp_path}/none: No such file or directory"


def test_dir_is_absolute_and_by_default_where_the_program_was_started(tmp_path: Path) -> None:
    assert shown(Settings(), "dir") == {"dir": os.getcwd()}
    assert load(["--dir", str(tmp_path / "x" / "..")], {}).dir == str(tmp_path)


# CONFIG REWRITE


def test_rewrite_needs_a_file() -> None:
    with pytest.raises(SettingsError, match=r"^ERR The server is running without a config file$"):
        Settings().rewrite()


def test_rewrite_replaces_changed_lines_and_appends_new_ones(tmp_path: Path) -> None:
    file = tmp_path / "rowdis.conf"
    file.write_text(
        "# Our server\n"
        "timeout 5\n"
        "\n"
        "proto-max-bulk-len 64mb\n"
        "MaxClients 50   \n"
        "# not this: maxclients 1\n"
        "timeout 6\n"
        "client-output-buffer-limit pubsub 8mb 0 0\n"
    )
    file.chmod(0o640)
    settings = load([str(file), "--port", "6390"], {"ROWDIS_REQUIREPASS": "from environment"})
    settings.set([("timeout", "7"), ("maxclients", "60"), ("loglevel", "verbose"), ("tcp-keepalive", "300")])
    settings.rewrite()
    expected = (
        "# Our server\n"
        "timeout 7\n"
        "\n"
        "proto-max-bulk-len 64mb\n"
        "maxclients 60\n"
        "# not this: maxclients 1\n"
        "client-output-buffer-limit pubsub 8mb 0 0\n"
        "\n"
        f"{REWRITE_MARK}\n"
        "port 6390\n"
        "loglevel verbose\n"
    )
    assert file.read_text() == expected
    assert file.stat().st_mode & 0o777 == 0o640
    assert os.listdir(tmp_path) == ["rowdis.conf"]
    again = load([str(file)], {})
    again.rewrite()
    assert file.read_text() == expected


def test_a_rewritten_file_gives_the_same_settings(tmp_path: Path) -> None:
    file = tmp_path / "rowdis.conf"
    file.write_text("save 900 1\n")
    settings = load([str(file)], {"ROWDIS_TIMEOUT": "9"})
    settings.set(
        [
            ("requirepass", 'a "b"\n\udcff'),
            ("save", "60 1 30 2"),
            ("client-output-buffer-limit", "normal 1mb 0 5"),
            ("timeout", "0"),
            ("slave-priority", "3"),
            ("proto-max-bulk-len", "3mb"),
        ]
    )
    settings.rewrite()
    assert load([str(file)], {"ROWDIS_TIMEOUT": "9"}).get("*") == settings.get("*")
    lines = file.read_text().splitlines()
    assert lines[:2] == ["save 60 1", "save 30 2"]
    assert {"timeout 0", "replica-priority 3", "proto-max-bulk-len 3mb"} <= set(lines)


def test_rewrite_leaves_included_files_to_themselves(tmp_path: Path) -> None:
    (tmp_path / "part").write_text("timeout 5\n")
    file = tmp_path / "rowdis.conf"
    text = f"include {tmp_path}/part\n"
    file.write_text(text)
    settings = load([str(file)], {})
    settings.rewrite()
    assert file.read_text() == text
    settings.set([("timeout", "6")])
    settings.rewrite()
    assert file.read_text() == f"{text}\n{REWRITE_MARK}\ntimeout 6\n"


def test_rewrite_makes_the_file_anew_if_it_is_gone(tmp_path: Path) -> None:
    file = tmp_path / "rowdis.conf"
    file.write_text("timeout 5\n")
    settings = load([str(file)], {})
    file.unlink()
    settings.set([("maxclients", "5")])
    settings.rewrite()
    assert load([str(file)], {}).maxclients == 5


def test_a_file_that_was_spoiled_since_the_start_is_not_rewritten(tmp_path: Path) -> None:
    file = tmp_path / "rowdis.conf"
    file.write_text("timeout 5\n")
    settings = load([str(file)], {})
    file.write_text("timeout five\n")
    with pytest.raises(SettingsError, match=r"^ERR Rewriting config file: .*rowdis.conf:1: timeout: argument couldn't"):
        settings.rewrite()
    assert file.read_text() == "timeout five\n"


def test_a_rewrite_that_fails_says_why_and_leaves_the_file(tmp_path: Path) -> None:
    directory = tmp_path / "gone"
    directory.mkdir()
    (directory / "rowdis.conf").write_text("timeout 5\n")
    settings = load([str(directory / "rowdis.conf")], {})
    settings.set([("timeout", "6")])
    shutil.rmtree(directory)
    with pytest.raises(SettingsError, match=r"^ERR Rewriting config file: No such file or directory$"):
        settings.rewrite()
