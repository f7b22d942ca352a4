"""The command line: help, version, exit codes, `ping`, and how the server and the check are called."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.cli import WIDTH, main
from server.directives import HONOURED
from server.settings import Settings

PASSWORD = "open sesame"


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [name for name in os.environ if name.startswith("ROWDIS_")]:
        monkeypatch.delenv(variable)


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """Stands for the server, which the command line only has to call: notes the calls, gives odd exit codes."""
    module = types.ModuleType("server.app")
    calls: list[tuple[Settings, bool | None, str]] = []

    def run(settings: Settings) -> int:
        calls.append((settings, None, os.getcwd()))
        return 11

    def check(settings: Settings, repair: bool) -> int:
        calls.append((settings, repair, os.getcwd()))
        return 12

    vars(module).update(run=run, check=check, calls=calls)
    monkeypatch.setitem(sys.modules, "server.app", module)
    monkeypatch.setattr("server.app", module, raising=False)
    return module


@pytest.fixture(scope="module")
def answering_server() -> Iterator[list[str]]:
    """A Redis server with a password; gives the options that describe it."""
    program = shutil.which("redis-server")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("redis-server is not installed")
        pytest.skip("redis-server is not installed")
    with tempfile.TemporaryDirectory() as directory:
        path = f"{directory}/redis.sock"
        arguments = [program, "--port", "0", "--unixsocket", path, "--save", "", "--requirepass", PASSWORD]
        with subprocess.Popen(arguments, stdout=subprocess.DEVNULL, cwd=directory) as server:
            try:
                limit = time.monotonic() + 10
                while not os.path.exists(path) and time.monotonic() < limit:
                    time.sleep(0.01)
                yield ["--port", "0", "--unixsocket", path, "--requirepass", PASSWORD]
            finally:
                server.terminate()


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port where connections are accepted by the kernel and nobody ever answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_help_fits_a_terminal_and_names_every_honoured_directive(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= WIDTH
    for directive in HONOURED:
        assert f"\n  --{directive.name} " in text
        assert directive.default.split(" ")[0] in text


@pytest.mark.parametrize("arguments", [["-h"], ["--help"], ["--port", "1", "--help"], ["ping", "--help"]])
def test_help_is_given_wherever_it_is_asked_for(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 0
    assert capsys.readouterr().out.startswith("Usage: rowdis ")


@pytest.mark.parametrize("argument", ["-v", "--version"])
def test_version_is_one_line(argument: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([argument]) == 0
    words = capsys.readouterr().out.splitlines()
    assert len(words) == 1
    assert words[0].startswith("rowdis ")


def test_a_mistake_is_one_line_and_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--prot", "1"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "rowdis: unknown option --prot (did you mean port?)\n"


def test_the_server_runs_with_the_settings_and_its_result_is_the_exit_code(
    app: types.ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ROWDIS_WORKERS", "7")
    file = tmp_path / "rowdis.conf"
    file.write_text("port 6390\n")
    assert main([str(file), "--timeout", "3"]) == 11
    ((settings, repair, _),) = app.calls
    assert (settings.port, settings.timeout_s, settings.workers, repair) == (6390, 3, 7, None)
    assert settings.config_path == file


@pytest.mark.parametrize(
    ("arguments", "repair"), [([], False), (["--repair"], True), (["--repair", "--workers", "3"], True)]
)
def test_check_is_called_with_the_settings(app: types.ModuleType, arguments: list[str], repair: bool) -> None:
    assert main(["check", "--database", "embedded:/x", *arguments]) == 12
    ((settings, asked, _),) = app.calls
    assert (settings.database, asked) == ("embedded:/x", repair)


def test_repair_is_an_option_of_check_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--repair"]) == 2
    assert capsys.readouterr().err == "rowdis: unknown option --repair\n"


def test_the_server_starts_in_the_directory_of_its_settings(
    app: types.ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir("/")
    main(["--dir", str(tmp_path)])
    assert app.calls[0][2] == str(tmp_path)


def test_a_directory_that_is_not_there_is_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--dir", "/no/such"]) == 2
    assert capsys.readouterr().err == "rowdis: can't change to directory /no/such: No such file or directory\n"


def test_ping_finds_a_server_that_answers(answering_server: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ping", *answering_server]) == 0
    assert capsys.readouterr().out == "PONG\n"


def test_ping_takes_settings_from_the_environment(answering_server: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in zip(answering_server[::2], answering_server[1::2], strict=True):
        monkeypatch.setenv("ROWDIS_" + name.removeprefix("--").upper(), value)
    assert main(["ping"]) == 0


@pytest.mark.parametrize(("password", "answer"), [("wrong", "-WRONGPASS"), ("", "-NOAUTH Authentication required.")])
def test_ping_tells_what_the_server_answered_instead(
    answering_server: list[str], password: str, answer: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ping", *answering_server[:-1], password]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"rowdis: no answer: {answer}")


def test_ping_tells_where_it_asked_in_vain(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    arguments = ["--port", str(port), "--bind", "127.0.0.1", "--unixsocket", "/no/such.sock"]
    assert main(["ping", *arguments]) == 1
    refused = f"127.0.0.1:{port}: Connection refused; /no/such.sock: No such file or directory"
    assert capsys.readouterr().err == f"rowdis: no answer: {refused}\n"


def test_ping_with_nowhere_to_ask(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ping", "--port", "0"]) == 1
    assert capsys.readouterr().err == "rowdis: no answer: the port is 0 and there is no unixsocket\n"


@pytest.mark.parametrize("bind", ["*", "0.0.0.0", "-no.such.host.invalid 127.0.0.1", "127.0.0.1"])
def test_ping_reaches_a_server_on_tcp(bind: str, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(5)

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(100)
                connection.sendall(b"+PONG\r\n")

        server = threading.Thread(target=answer)
        server.start()
        assert main(["ping", "--port", str(listener.getsockname()[1]), "--bind", bind]) == 0
        server.join()
    assert capsys.readouterr().out == "PONG\n"


def test_ping_does_not_wait_for_ever(
    silent_port: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("server.cli.PING_TIMEOUT_S", 0.05)
    assert main(["ping", "--port", str(silent_port), "--bind", "127.0.0.1"]) == 1
    assert capsys.readouterr().err == "rowdis: no answer: timed out\n"
