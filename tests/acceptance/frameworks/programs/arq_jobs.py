"""arq's side of the work: coroutines that its worker runs, and its settings."""

import asyncio
import os

from arq import Retry, func
from arq.connections import RedisSettings


async def add(ctx: dict[str, object], left: int, right: int) -> int:
    return left + right


async def fail(ctx: dict[str, object], text: str) -> None:
    raise ValueError(text)


async def third_time_lucky(ctx: dict[str, int]) -> int:
    if ctx["job_try"] < 3:
        raise Retry(defer=0.01)
    return ctx["job_try"]


async def wait_for(ctx: dict[str, object], list_name: str) -> str:
    found = await ctx["redis"].blpop([list_name], timeout=20)
    return found[1].decode()


async def sleep_for_ever(ctx: dict[str, object]) -> None:
    await asyncio.Event().wait()


class WorkerSettings:
    functions = [add, fail, func(third_time_lucky, max_tries=5), wait_for, sleep_for_ever]  # noqa: RUF012
    redis_settings = RedisSettings.from_dsn(os.environ["REDIS_URL"])
    allow_abort_jobs = True
    poll_delay = 0.02
    keep_result = 1000
