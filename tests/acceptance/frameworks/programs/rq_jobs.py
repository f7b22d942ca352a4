"""RQ's side of the work: functions that its worker calls."""

import redis
from rq import get_current_job
from steps import URL


def add(left: int, right: int) -> int:
    return left + right


def fail(text: str) -> None:
    raise ValueError(text)


def third_time_lucky(counter: str) -> int:
    """The number of the try that went well, counted in a key."""
    with redis.Redis.from_url(f"{URL}/1") as client:
        tries = int(client.incr(counter))
    if tries < 3:
        raise LookupError("not yet")
    return tries


def sum_of_dependencies() -> int:
    job = get_current_job()
    return sum(dependency.return_value() for dependency in job.fetch_dependencies())


def note_progress(steps: int) -> str:
    job = get_current_job()
    for number in range(1, steps + 1):
        job.meta["done"] = number
        job.save_meta()
    return job.id


def wait_for(list_name: str) -> str:
    """Keep the worker busy until something is pushed to a list."""
    with redis.Redis.from_url(f"{URL}/1", decode_responses=True, socket_timeout=25) as client:
        return client.blpop([list_name], timeout=20)[1]


def tell(job: object, connection: redis.Redis, *outcome: object) -> None:
    """A callback: leave a note of what became of a job."""
    connection.rpush("told", f"{job.id} {outcome[0]!r}")
