"""Celery's side of the work: an application with its tasks; broker and results are in different databases."""

import time

import redis
from celery import Celery, Task
from steps import URL

app = Celery("jobs", broker=f"{URL}/0", backend=f"{URL}/1")
app.conf.update(
    broker_connection_retry_on_startup=True,
    result_expires=1000,
    result_extended=True,
    task_routes={"celery_jobs.elsewhere": {"queue": "other"}},
    task_send_sent_event=True,
    task_track_started=True,
)


@app.task
def add(left: int, right: int) -> int:
    return left + right


@app.task
def total(numbers: list[int]) -> int:
    return sum(numbers)


@app.task
def fail(text: str) -> None:
    raise ValueError(text)


@app.task(bind=True, autoretry_for=(LookupError,), max_retries=5, default_retry_delay=0)
def third_time_lucky(self: Task) -> int:
    """The number of tries before the one that went well."""
    if self.request.retries < 2:
        raise LookupError("not yet")
    return self.request.retries


@app.task
def moment() -> float:
    return time.time()


@app.task
def elsewhere() -> str:
    return elsewhere.request.delivery_info["routing_key"]


@app.task
def wait_for(list_name: str) -> str:
    """Keep a worker process busy until something is pushed to a list."""
    with redis.Redis.from_url(f"{URL}/2", decode_responses=True, socket_timeout=25) as client:
        return client.blpop([list_name], timeout=20)[1]
