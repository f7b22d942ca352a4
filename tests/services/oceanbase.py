"""The OceanBase engine as a server of its own on a TCP port of 127.0.0.1, as a user of an `oceanbase://` URL has it."""

import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

import pymysql

from storage.embedded import PARAMETERS, find_binary
from storage.errors import EngineFailed
from tests.services.process import Missing, ServerProcess, clean_environment, free_port

START_LIMIT_S = 90.0
STOP_LIMIT_S = 30.0


class OceanBase:
    """The engine's binary from the embedded wheel, started without `--embedded` in a temporary directory."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="rowdis-oceanbase-"))
        self.port = free_port()
        self._process: ServerProcess | None = None

    def start(self) -> Self:
        try:
            binary = find_binary()
        except EngineFailed as error:
            raise Missing(str(error)) from None
        libraries = f"{binary.parent}:{binary.parent.parent / 'pylibseekdb.libs'}"
        command = [str(binary), f"--base-dir={self.directory}", "--nodaemon", "--port", str(self.port)]
        command += ["--log-level", "ERROR"]
        parameters = {"memory_budget": "1G", "log_disk_size": "2G", **PARAMETERS}
        command += [word for name, value in parameters.items() for word in ("--parameter", f"{name}={value}")]
        self._process = ServerProcess(
            command,
            self.directory / "output.log",
            directory=self.directory,
            environment=clean_environment(LD_LIBRARY_PATH=libraries, TELEMETRY_ENABLED="false"),
        )
        try:
            self._process.wait_ready(self._answers, START_LIMIT_S)
        except BaseException:
            self.stop()
            raise
        return self

    def url(self, database: str) -> str:
        """The URL of a new database; the user is the tenant's root, as `root@sys`."""
        with self._connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE IF NOT EXISTS {database}")
        return f"oceanbase://root@127.0.0.1:{self.port}/{database}"

    def stop(self) -> None:
        process, self._process = self._process, None
        try:
            if process is not None and process.running:
                process.kill()
        finally:
            shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def _connect(self) -> "pymysql.Connection[pymysql.cursors.Cursor]":
        return pymysql.connect(
            host="127.0.0.1", port=self.port, user="root", connect_timeout=5, read_timeout=30, ssl_disabled=True
        )

    def _answers(self) -> bool:
        try:
            self._connect().close()
        except pymysql.MySQLError:
            return False
        return True
