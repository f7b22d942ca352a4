"""Runs the Node.js programs beside this file, and has npm install what they stand on.

The packages lie in `node_modules` here, as package-lock.json says; they are installed when that file has changed.
package.json overrides one version: later ones of that package name builds for other systems that were never published,
and `npm ci` refuses a lock file without them.
"""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

from tests.services.process import Missing, clean_environment

ALL = bool({"ROWDIS_TEST_ACCEPTANCE", "ROWDIS_TEST_LONG"} & {*os.environ})
"""Whether all programs run, on all servers, as in `make test-acceptance` and `make test-long`."""

HERE = Path(__file__).parent
LEAST_NODE = 20

_LOCK = HERE / "package-lock.json"
_MODULES = HERE / "node_modules"
_STAMP = _MODULES / ".installed"
"""Holds the digest of the lock file by which the packages were installed; written when all of them are there."""
_INSTALL_LIMIT_S = 300.0
_RUN_LIMIT_S = 120.0


class ProgramFailed(Exception):
    """A program or one of its steps failed; the message ends with its standard error."""


def install() -> None:
    """Install the packages unless they are there; Missing without Node.js, npm or a way to the registry."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            raise Missing(f"{program} is not installed")
    version = _output("node", "--version").strip()
    found = re.match(r"v(\d+)\.", version)
    if found is None or int(found[1]) < LEAST_NODE:
        raise Missing(f"Node.js is {version}, the programs need {LEAST_NODE} or newer")
    digest = hashlib.sha256(_LOCK.read_bytes()).hexdigest()
    if _STAMP.exists() and _STAMP.read_text() == digest:
        return
    _output("npm", "ci", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error")
    _STAMP.write_text(digest)


def run(program: str, port: int, *words: str) -> dict[str, Any]:
    """What a program found on the server at this port, step by step.

    ProgramFailed when a step failed, with its stack; when the program said nothing that can be read; and when all steps
    are done and it goes on: a connection was left open.
    """
    process = subprocess.Popen(
        ["node", str(HERE / program), str(port), *words], cwd=HERE, env=clean_environment(),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        output, errors = process.communicate(timeout=_RUN_LIMIT_S)
    except subprocess.TimeoutExpired:
        # With the processes that it has started.
        os.killpg(process.pid, signal.SIGKILL)
        output, errors = process.communicate()
        raise ProgramFailed(f"{program} has not ended after {_RUN_LIMIT_S:g} s: {output}\n{errors}") from None
    try:
        results = json.loads(output)
    except ValueError:
        raise ProgramFailed(f"{program} ended with {process.returncode}: {output}\n{errors}") from None
    stacks = {name: found["failed"] for name, found in results.items() if isinstance(found, dict) and "failed" in found}
    if stacks or process.returncode != 0:
        failed = [f"{name}: {stack}" for name, stack in stacks.items()]
        raise ProgramFailed("\n".join([f"{program} ended with {process.returncode}", *failed, errors]))
    assert isinstance(results, dict)
    return results


def _output(*command: str) -> str:
    try:
        done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, timeout=_INSTALL_LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        raise Missing(f"{' '.join(command[:2])} has not ended after {_INSTALL_LIMIT_S:g} s") from None
    if done.returncode != 0:
        raise Missing(f"{' '.join(command[:2])} failed: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout
