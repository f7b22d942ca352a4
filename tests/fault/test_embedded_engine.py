"""The embedded engine as a child process: who may use it, how it ends, what it keeps, whom it talks to."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pymysql
import pytest

from storage.embedded import EmbeddedEngine, find_binary
from storage.engines import Target
from storage.errors import DirectoryInUse, EngineFailed
from tests.conftest import services
from tests.services.process import find_program, wait_until

REPOSITORY = Path(__file__).resolve().parents[2]

# Starts the engine on the directory given, says both process ids, and executes the statements that come in by lines.
HOST_PROGRAM = """
import os
import sys
from pathlib import Path
import pymysql
from storage.embedded import EmbeddedEngine

engine = EmbeddedEngine(Path(sys.argv[1]))
target = engine.start()
print(os.getpid(), engine.pid, flush=True)
for line in sys.stdin:
    with pymysql.connect(**target.connect_arguments()) as connection, connection.cursor() as cursor:
        for statement in line.strip().split(";"):
            cursor.execute(statement)
    print("done", flush=True)
engine.stop()
"""


class Host:
    """Another process that runs an engine, as Rowdis does."""

    def __init__(self, directory: Path, *wrapper: str, wait: bool = True) -> None:
        self.process = subprocess.Popen(
            [*wrapper, sys.executable, "-c", HOST_PROGRAM, str(directory)],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        if wait:
            # Its own id is not that of `process` when a wrapper stands between.
            self.pid, self.engine_pid = map(int, self._read().split())

    def execute(self, statements: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{statements}\n")
        self.process.stdin.flush()
        assert self._read() == "done\n"

    def finish(self) -> None:
        """Let it stop its engine and end."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self.process.wait(60) == 0

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        if self.process.poll() is None:
            self.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()

    def _read(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[EmbeddedEngine]:
    engine = EmbeddedEngine(tmp_path / "data")
    yield engine
    engine.stop()


@pytest.fixture
def strace() -> str:
    with services():
        return find_program("strace")
    raise AssertionError("unreachable")


def query(target: Target, *statements: str) -> tuple[tuple[Any, ...], ...]:
    """Run statements on a connection of their own; the rows of the last."""
    with pymysql.connect(**target.connect_arguments(), autocommit=True) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        return tuple(cursor.fetchall())


def is_alive(pid: int) -> bool:
    """Whether a process that is not our child exists; a zombie does not count."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_start_makes_the_database_and_is_repeatable(engine: EmbeddedEngine) -> None:
    target = engine.start()
    assert query(target, "SELECT DATABASE()") == (("rowdis",),)
    pid = engine.pid
    assert engine.start() == target
    assert engine.pid == pid
    query(target, "CREATE TABLE t (n INT PRIMARY KEY)", "INSERT INTO t VALUES (7)")
    engine.stop()
    assert engine.pid is None
    engine.stop()
    assert query(engine.start(), "SELECT n FROM t") == ((7,),)


def test_data_directory_is_for_its_owner_only(engine: EmbeddedEngine) -> None:
    engine.start()
    assert engine.directory.stat().st_mode & 0o077 == 0


def test_second_engine_on_a_directory_is_refused_and_harms_nothing(engine: EmbeddedEngine) -> None:
    target = engine.start()
    with pytest.raises(DirectoryInUse, match=f"in use by another Rowdis .process {os.getpid()}"):
        EmbeddedEngine(engine.directory).start()
    host = EmbeddedEngine(engine.directory.parent / "other")
    try:
        assert query(host.start(), "SELECT 1") == ((1,),)
    finally:
        host.stop()
    assert query(target, "SELECT 1") == ((1,),)


def test_unusable_directory_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EngineFailed, match="as data directory") as caught:
        EmbeddedEngine(tmp_path / "file").start()
    assert "\n" not in str(caught.value)


def test_engine_that_can_not_start_says_why_and_leaves_the_directory_free(tmp_path: Path) -> None:
    broken = EmbeddedEngine(tmp_path / "data", memory_budget="1K")
    with pytest.raises(EngineFailed, match="ended at its start"):
        broken.start()
    assert broken.pid is None
    with EmbeddedEngine(tmp_path / "data") as engine:
        assert engine.pid is not None


@pytest.mark.parametrize("delay_s", [0.1, 0.4, 0.9])
def test_first_start_that_was_killed_midway_is_made_again(tmp_path: Path, delay_s: float) -> None:
    host = Host(tmp_path / "data", wait=False)
    try:
        wait_until((tmp_path / "data" / "engine.out").exists, 20, "the engine is being started")
        with suppress(subprocess.TimeoutExpired):
            host.process.wait(delay_s)  # anywhere in the engine's initialisation
        host.kill()
        with EmbeddedEngine(tmp_path / "data") as engine:
            assert query(engine.start(), "SELECT DATABASE()") == (("rowdis",),)
    finally:
        host.close()


def test_path_longer_than_a_socket_may_have(tmp_path: Path) -> None:
    with EmbeddedEngine(tmp_path / ("x" * 120)) as engine:
        assert query(engine.start(), "SELECT 1") == ((1,),)


def test_engine_is_out_of_reach_of_the_terminals_ctrl_c(engine: EmbeddedEngine) -> None:
    engine.start()
    assert engine.pid is not None
    assert os.getsid(engine.pid) != os.getsid(0)
    assert os.getpgid(engine.pid) != os.getpgid(0)


def test_killed_engine_keeps_what_was_committed_and_starts_again(engine: EmbeddedEngine) -> None:
    target = engine.start()
    query(target, "CREATE TABLE t (n INT PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    with pymysql.connect(**target.connect_arguments()) as connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO t VALUES (2)")  # not committed
        assert engine.pid is not None
        os.kill(engine.pid, signal.SIGKILL)
        wait_until(lambda: engine.pid is None, 10, "the engine is dead")
        cursor.close()
    assert query(engine.start(), "SELECT n FROM t") == ((1,),)


def test_engine_dies_with_its_host_and_the_next_one_finds_all_rows(tmp_path: Path) -> None:
    host = Host(tmp_path / "data")
    try:
        host.execute("CREATE TABLE t (n INT PRIMARY KEY);INSERT INTO t VALUES (1);COMMIT")
        host.kill()
        # At once: the old engine may still be about to notice.
        with EmbeddedEngine(tmp_path / "data") as engine:
            assert engine.pid != host.engine_pid
            assert not is_alive(host.engine_pid)
            assert query(engine.start(), "SELECT n FROM t") == ((1,),)
    finally:
        host.close()


def test_engine_dies_with_its_host_when_nobody_comes_after(tmp_path: Path) -> None:
    host = Host(tmp_path / "data")
    try:
        assert is_alive(host.engine_pid)
        host.kill()
        wait_until(lambda: not is_alive(host.engine_pid), 10, "the engine has ended")
    finally:
        host.close()


def test_logs_stay_small_over_starts_and_have_a_limit(engine: EmbeddedEngine) -> None:
    for _ in range(3):
        target = engine.start()
        query(target, "CREATE TABLE IF NOT EXISTS t (n INT PRIMARY KEY)", "REPLACE INTO t VALUES (1)")
        engine.stop()
    target = engine.start()
    assert query(target, "SELECT 1 FROM t WHERE n = 1") == ((1,),)
    size = sum(file.stat().st_size for file in (engine.directory / "log").iterdir())
    assert size < 1024 * 1024
    row = query(target, "SHOW PARAMETERS LIKE 'max_syslog_file_count'")[0]
    assert "2" in row


def test_engine_contacts_nobody(tmp_path: Path, strace: str) -> None:
    trace = tmp_path / "trace"
    calls = "trace=connect,sendto,sendmsg,sendmmsg,bind"
    host = Host(tmp_path / "data", strace, "-f", "-q", "-e", "signal=none", "-e", calls, "-o", str(trace))
    try:
        environment = Path(f"/proc/{host.engine_pid}/environ").read_bytes().split(b"\0")
        assert b"TELEMETRY_ENABLED=false" in environment
        host.execute("CREATE TABLE t (n INT PRIMARY KEY);INSERT INTO t VALUES (1);COMMIT")
        # When it may, it reports in its first seconds. There is nothing to poll for in what does not happen.
        time.sleep(5)
        host.execute("INSERT INTO t VALUES (2);COMMIT")
        host.finish()
    finally:
        host.close()
    lines = trace.read_text().splitlines()
    engine_lines = [line for line in lines if int(line.split()[0]) != host.pid]
    assert any("AF_UNIX" in line and "sql.sock" in line for line in engine_lines), "the trace has not seen the engine"
    abroad = [line for line in lines if "AF_INET" in line and not re.search(r'"127\.|"::1"', line)]
    assert abroad == []
    # Not even an address looked up.
    assert not any("nscd" in line or "htons(53)" in line for line in engine_lines)


def test_commit_waits_for_its_log_to_be_on_disk(tmp_path: Path, strace: str) -> None:
    trace = tmp_path / "trace"
    calls = "trace=openat,fsync,fdatasync,sync_file_range,pwrite64,pwritev,io_submit,sendto,recvfrom"
    host = Host(tmp_path / "data", strace, "-f", "-q", "-y", "-e", "signal=none", "-e", calls, "-o", str(trace))
    try:
        host.execute("CREATE TABLE t (n INT PRIMARY KEY);COMMIT")
        open_files = synchronous_files(host.engine_pid)
        host.execute("BEGIN;INSERT INTO t VALUES (1);COMMIT;SELECT 1")
        host.finish()
    finally:
        host.close()
    lines = trace.read_text().splitlines()
    insert = max(index for index, line in enumerate(lines) if r"\3INSERT INTO t" in line)
    commit = next(index for index in range(insert, len(lines)) if r'\3COMMIT"' in lines[index])
    # The client sends its next statement only when it has the answer to COMMIT.
    answered = next(index for index in range(commit, len(lines)) if r'\3SELECT 1"' in lines[index])
    durable = [
        line
        for line in lines[commit:answered]
        if re.search(r"(fsync|fdatasync)\(\d+<[^>]*/redo/|(fsync|fdatasync) resumed", line)
        or any(f"<{file}>" in line for file in open_files if "pwrite" in line or "io_submit" in line)
    ]
    assert durable, "\n".join(lines[commit : answered + 1])


def synchronous_files(pid: int) -> list[str]:
    """The redo log files of a process whose writes return when the data are on disk (O_SYNC or O_DSYNC)."""
    found = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = os.readlink(entry)
            flags = re.search(r"^flags:\s+([0-7]+)", Path(f"/proc/{pid}/fdinfo/{entry.name}").read_text(), re.MULTILINE)
        except FileNotFoundError:
            continue
        if "/redo/" in target and flags is not None and int(flags[1], 8) & os.O_DSYNC:
            found.append(target)
    return found


def test_binary_is_found_without_loading_the_library() -> None:
    assert shutil.which(find_binary()) is not None
    program = "import sys; from storage.embedded import find_binary; find_binary(); print('pylibseekdb' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
