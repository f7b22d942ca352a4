"""Huey's side of the work: tasks with priorities, results that expire, retries, locks."""

import time

import redis
from huey import PriorityRedisExpireHuey
from steps import URL

huey = PriorityRedisExpireHuey("jobs", url=f"{URL}/0", expire_time=1000)
notes = redis.Redis.from_url(f"{URL}/1", decode_responses=True, socket_timeout=25)


@huey.task()
def add(left: int, right: int) -> int:
    return left + right


@huey.task()
def fail(text: str) -> None:
    raise ValueError(text)


@huey.task(retries=5, retry_delay=0)
def third_time_lucky(counter: str) -> int:
    tries = int(notes.incr(counter))
    if tries < 3:
        raise LookupError("not yet")
    return tries


@huey.task()
def moment() -> float:
    return time.time()


@huey.task()
def note(list_name: str, text: str) -> None:
    notes.rpush(list_name, text)


@huey.task()
def wait_for(list_name: str) -> str:
    return notes.blpop([list_name], timeout=20)[1]


@huey.task()
@huey.lock_task("one-at-a-time")
def locked(list_name: str) -> str:
    return notes.blpop([list_name], timeout=20)[1]
