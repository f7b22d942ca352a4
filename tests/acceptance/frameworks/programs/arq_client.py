"""arq as its users use it: jobs given to a worker, results, retries, deferred and unique jobs, aborted ones."""

import asyncio
import datetime
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any

from arq import create_pool
from arq.connections import ArqRedis
from arq.jobs import JobStatus
from arq_jobs import WorkerSettings
from steps import DEADLINE_S, POLL_S, run, step

POLL = {"timeout": DEADLINE_S, "poll_delay": POLL_S}


def with_pool(work: Callable[[ArqRedis], Awaitable[str]]) -> None:
    """Make a coroutine that wants a pool of connections the next step."""

    async def connected() -> str:
        pool = await create_pool(WorkerSettings.redis_settings)
        async with aclosing(pool):
            return await work(pool)

    connected.__name__ = work.__name__
    step(connected)


async def outcome(job: Any) -> BaseException | None:
    try:
        await job.result(**POLL)
    except BaseException as error:
        return error
    return None


@with_pool
async def results_arrive(pool: ArqRedis) -> str:
    jobs = [await pool.enqueue_job("add", number, 1000) for number in range(50)]
    assert [await job.result(**POLL) for job in jobs] == [number + 1000 for number in range(50)]
    info = await jobs[0].result_info()
    assert (info.function, info.args, info.success, info.job_try) == ("add", (0, 1000), True, 1)
    assert len(await pool.all_job_results()) == 50
    return f"{len(jobs)} results"


@with_pool
async def an_error_comes_back(pool: ArqRedis) -> str:
    error = await outcome(await pool.enqueue_job("fail", "out of cheese"))
    assert isinstance(error, ValueError)
    assert str(error) == "out of cheese"
    return "ValueError"


@with_pool
async def a_job_is_tried_again(pool: ArqRedis) -> str:
    job = await pool.enqueue_job("third_time_lucky")
    assert await job.result(**POLL) == 3
    return "3 tries"


@with_pool
async def a_deferred_job_waits_for_its_time(pool: ArqRedis) -> str:
    job = await pool.enqueue_job("add", 1, 2, _defer_by=0.5)
    assert await job.status() == JobStatus.deferred
    assert await job.result(**POLL) == 3
    info = await job.result_info()
    late = info.start_time - info.enqueue_time
    assert late >= datetime.timedelta(seconds=0.5)
    return f"began {late.total_seconds():.2f} s after it was sent"


@with_pool
async def a_job_has_an_id_of_its_own(pool: ArqRedis) -> str:
    first, *others = await asyncio.gather(*(pool.enqueue_job("wait_for", "gate", _job_id="one") for _ in range(10)))
    queued = [job for job in (first, *others) if job is not None]
    assert len(queued) == 1
    await pool.rpush("gate", "open")
    assert await queued[0].result(**POLL) == "open"
    return "one of ten was taken"


@with_pool
async def a_job_can_be_aborted(pool: ArqRedis) -> str:
    job = await pool.enqueue_job("sleep_for_ever")
    while await job.status() != JobStatus.in_progress:
        await asyncio.sleep(POLL_S)
    assert await job.abort(**POLL)
    assert isinstance(await outcome(job), asyncio.CancelledError)
    waiting = await pool.enqueue_job("add", 1, 1, _defer_by=600)
    assert await waiting.abort(**POLL)
    return "one running, one waiting"


@with_pool
async def the_worker_is_in_good_health(pool: ArqRedis) -> str:
    health = (await pool.get("arq:queue:health-check")).decode()
    assert "j_failed=" in health
    return health


if __name__ == "__main__":
    run()
