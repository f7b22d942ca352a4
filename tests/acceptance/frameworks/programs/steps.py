"""What the programs share: where the server is, steps with names, deadlines.

The steps of a program run one after the other; each checks what it gets and returns what it found in a few words.
Standard output is one JSON object, step by step; of a step that failed it tells the traceback.  A program imports
nothing of Rowdis: it runs where its framework is installed, and knows the server by REDIS_URL alone.
"""

import asyncio
import inspect
import json
import os
import sys
import time
import traceback
from collections.abc import Callable

DEADLINE_S = 20.0
POLL_S = 0.01

#: Without the number of a database.
URL = os.environ["REDIS_URL"]

_STEPS: list[Callable[[], object]] = []


def step(function: Callable[[], object]) -> Callable[[], object]:
    """Make a function, or one that is asynchronous, the next step; its name says what it shows."""
    _STEPS.append(function)
    return function


def run() -> None:
    """Run the steps in order and end the program; a failed one is told and the next one tried, but the code is 1."""
    results: dict[str, object] = {}
    failed = False
    for function in _STEPS:
        start = time.monotonic()
        try:
            found = function()
            if inspect.iscoroutine(found):
                found = asyncio.run(asyncio.wait_for(found, 2 * DEADLINE_S))
            results[function.__name__] = {"found": str(found), "seconds": round(time.monotonic() - start, 3)}
        except Exception:
            failed = True
            results[function.__name__] = {"failed": traceback.format_exc()}
    print(json.dumps(results))
    sys.exit(failed)


def error_of(action: Callable[[], object], kind: type[Exception] = Exception) -> Exception:
    """The error that an action ends with."""
    try:
        action()
    except kind as error:
        return error
    raise AssertionError("no error")


def until(condition: Callable[[], object], what: str) -> None:
    """Ask until the answer is true."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {DEADLINE_S:g} s: {what}")
        time.sleep(POLL_S)
