"""Celery before and after its server was killed: `celery_restart.py before`, then `celery_restart.py after`."""

import sys

from celery.result import AsyncResult
from celery_jobs import add, app
from steps import DEADLINE_S, run, step, until

KEPT = [f"kept-{number}" for number in range(20)]


def tasks_are_sent_that_nobody_takes() -> str:
    assert add.delay(1, 1).get(timeout=DEADLINE_S) == 2
    for number, name in enumerate(KEPT):
        add.apply_async((number, 1000), task_id=name, queue="kept")
    result = add.apply_async((40, 2), task_id="done")
    assert result.get(timeout=DEADLINE_S) == 42
    return f"{len(KEPT)} tasks"


def nothing_is_lost() -> str:
    assert AsyncResult("done", app=app).get(timeout=DEADLINE_S) == 42
    assert add.delay(2, 2).get(timeout=DEADLINE_S) == 4
    until(lambda: app.control.ping(timeout=1), "the worker listens again")
    app.control.add_consumer("kept", reply=True)
    for number, name in enumerate(KEPT):
        assert AsyncResult(name, app=app).get(timeout=DEADLINE_S) == number + 1000
    return f"{len(KEPT)} results"


if __name__ == "__main__":
    step({"before": tasks_are_sent_that_nobody_takes, "after": nothing_is_lost}[sys.argv[1]])
    run()
