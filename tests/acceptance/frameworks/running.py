"""Running programs of frameworks: a worker that stays, a client that checks, both where the framework is installed.

The programs are in `programs/`; `make test` and `make test-acceptance` install what they need into virtual environments
beside the tests' own, after the files in `requirements/`.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import services
from tests.services.process import Missing, ServerProcess, clean_environment
from tests.services.rowdis import Rowdis

PROGRAMS = Path(__file__).parent / "programs"
ENVIRONMENTS = Path(f"{sys.prefix}-frameworks")

READY_LIMIT_S = 30.0
CLIENT_LIMIT_S = 150.0

#: Celery, RQ and redis-py are in every run of the tests, the other frameworks where they are asked for.
only_where_asked_for = pytest.mark.skipif(
    not {"ROWDIS_TEST_ACCEPTANCE", "ROWDIS_TEST_LONG"} & os.environ.keys(),
    reason="only in make test-acceptance and make test-long",
)


class Framework:
    """The programs of one virtual environment, on one Rowdis, with their logs in one folder."""

    def __init__(self, environment: str, rowdis: Rowdis, logs: Path) -> None:
        self._python = ENVIRONMENTS / environment / "bin" / "python"
        if not self._python.exists():
            with services():
                raise Missing(f"{environment} frameworks are not installed: run make test-acceptance")
        self._logs = logs
        self._workers = 0
        self._environment = clean_environment(
            REDIS_URL=f"redis://127.0.0.1:{rowdis.port}", PYTHONDONTWRITEBYTECODE="1", PYTHONUNBUFFERED="1"
        )

    @contextmanager
    def worker(self, *words: str, ready: str, code: int = 0) -> Iterator[ServerProcess]:
        """`python WORDS` until the end, ready when its log says so; SIGTERM must end it, with this code."""
        self._workers += 1
        log = self._logs / f"worker-{self._workers}.log"
        process = ServerProcess(
            [str(self._python), *words], log, directory=PROGRAMS, environment=self._environment
        )
        try:
            process.wait_ready(_says(process, ready), READY_LIMIT_S)
            yield process
            ended = process.terminate()
            assert ended == code, process.failure(f"ended with code {ended} after SIGTERM")
        except AssertionError:
            # What the worker had to say is the other half of the story.
            print(process.log())
            raise
        finally:
            process.kill()

    def check(self, program: str, *words: str) -> None:
        """Run a program of steps; all must succeed."""
        done = subprocess.run(
            [str(self._python), program, *words],
            cwd=PROGRAMS,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=CLIENT_LIMIT_S,
            check=False,
        )
        assert done.stdout, f"{program} ended with code {done.returncode}\n{done.stderr}"
        steps = json.loads(done.stdout)
        for name, outcome in steps.items():
            print(f"{name}: {outcome.get('found')} ({outcome.get('seconds')} s)")
        failed = {name: outcome["failed"] for name, outcome in steps.items() if "failed" in outcome}
        assert not failed, "\n".join(f"{name}\n{traceback}" for name, traceback in failed.items())
        assert done.returncode == 0, done.stderr


#: Makes a framework ready, by the name of its virtual environment.
Prepare = Callable[[str], Framework]


def _says(process: ServerProcess, text: str) -> Callable[[], bool]:
    return lambda: text in process.log()
