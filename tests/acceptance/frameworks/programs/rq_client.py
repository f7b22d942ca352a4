"""RQ as its users use it: jobs given to a worker with a scheduler, results, failures, retries, dependencies."""

import datetime
import time

import redis
from rq import Callback, Queue, RateLimit, Retry, Worker
from rq.command import send_stop_job_command
from rq.exceptions import DuplicateJobError, NoSuchJobError
from rq.job import Job, JobStatus
from rq.registry import FailedJobRegistry, FinishedJobRegistry, ScheduledJobRegistry, StartedJobRegistry
from rq_jobs import add, fail, note_progress, sum_of_dependencies, tell, third_time_lucky, wait_for
from steps import URL, error_of, run, step, until

connection = redis.Redis.from_url(f"{URL}/0")
notes = redis.Redis.from_url(f"{URL}/1", decode_responses=True)
queue = Queue(connection=connection)


def finished(job: Job) -> object:
    """The result of a job that goes well."""
    until(lambda: job.get_status() in (JobStatus.FINISHED, JobStatus.FAILED), f"{job.func_name} has ended")
    assert job.get_status() == JobStatus.FINISHED, job.latest_result().exc_string
    return job.return_value()


def failed(job: Job) -> str:
    """The traceback of a job that goes wrong."""
    until(lambda: job.get_status() in (JobStatus.FINISHED, JobStatus.FAILED), f"{job.func_name} has ended")
    assert job.get_status() == JobStatus.FAILED
    return job.latest_result().exc_string


@step
def results_arrive() -> str:
    jobs = [queue.enqueue(add, number, 1000) for number in range(10)]
    assert [finished(job) for job in jobs] == [number + 1000 for number in range(10)]
    registry = FinishedJobRegistry(queue=queue)
    assert {job.id for job in jobs} <= set(registry.get_job_ids())
    assert 0 < connection.ttl(jobs[0].key) <= 500
    return f"{len(jobs)} results"


@step
def many_jobs_are_queued_at_once() -> str:
    with connection.pipeline() as pipeline:
        jobs = queue.enqueue_many([Queue.prepare_data(add, (number, 1)) for number in range(10)], pipeline=pipeline)
        pipeline.execute()
    assert [finished(job) for job in jobs] == list(range(1, 11))
    return f"{len(jobs)} results"


@step
def a_failed_job_is_kept_and_can_be_queued_again() -> str:
    job = queue.enqueue(fail, "out of cheese", on_failure=Callback(tell))
    assert "ValueError: out of cheese" in failed(job)
    registry = FailedJobRegistry(queue=queue)
    until(lambda: job.id in registry, "the job is registered as failed")
    registry.requeue(job.id)
    until(lambda: len(job.results()) == 2, "it has failed twice")
    until(lambda: job.id in registry, "the job is registered as failed again")
    registry.remove(job, delete_job=True)
    assert connection.lpop("told", 3) == [f"{job.id} <class 'ValueError'>".encode()] * 2
    assert not Job.exists(job.id, connection)
    return "failed twice, removed"


@step
def a_callback_is_told_of_success() -> str:
    job = queue.enqueue(add, 20, 22, on_success=Callback(tell))
    assert finished(job) == 42
    assert connection.lpop("told").decode() == f"{job.id} 42"
    return "told"


@step
def a_job_is_tried_again() -> str:
    job = queue.enqueue(third_time_lucky, "tries", retry=Retry(max=3))
    assert finished(job) == 3
    job = queue.enqueue(third_time_lucky, "later", retry=Retry(max=2, interval=[0, 1]))
    until(lambda: notes.get("later") == "2" and job.id in ScheduledJobRegistry(queue=queue), "a retry is scheduled")
    assert finished(job) == 3
    return "at once, and by the scheduler"


@step
def a_scheduled_job_waits_for_its_time() -> str:
    sent_at = datetime.datetime.now(datetime.UTC)
    job = queue.enqueue_in(datetime.timedelta(seconds=1), add, 1, 2)
    assert job.id in ScheduledJobRegistry(queue=queue)
    assert finished(job) == 3
    job.refresh()
    late_s = (job.started_at.replace(tzinfo=datetime.UTC) - sent_at).total_seconds()
    assert late_s >= 0.9
    return f"began {late_s:.2f} s after it was sent"


@step
def a_job_waits_for_its_dependencies() -> str:
    first, second = queue.enqueue(wait_for, "gate"), queue.enqueue(add, 2, 3)
    third = queue.enqueue(add, 10, 20, depends_on=[first])
    last = queue.enqueue(sum_of_dependencies, depends_on=[second, third])
    assert third.get_status() == last.get_status() == JobStatus.DEFERRED
    notes.rpush("gate", "open")
    assert finished(last) == 35
    return "2 levels"


@step
def a_job_has_an_id_of_its_own() -> str:
    job = queue.enqueue(wait_for, "unique", job_id="the-one", unique=True)
    error_of(lambda: queue.enqueue(wait_for, "unique", job_id="the-one", unique=True), DuplicateJobError)
    notes.rpush("unique", "done")
    assert finished(job) == "done"
    return "refused the second"


@step
def a_rate_limit_is_kept() -> str:
    limit = RateLimit("shop", concurrency=1)
    jobs = [queue.enqueue(wait_for, "limited", rate_limit=limit) for _ in range(3)]
    left = set(jobs)

    def allowed() -> list[Job]:
        return [job for job in left if job.get_status() != JobStatus.RATE_LIMITED]

    while left:
        until(allowed, "one of them may run")
        (job,) = allowed()
        notes.rpush("limited", len(left))
        assert finished(job) == str(len(left))
        left.remove(job)
    return "one after the other"


@step
def progress_can_be_read() -> str:
    job = queue.enqueue(note_progress, 7)
    assert finished(job) == job.id
    assert job.get_meta() == {"done": 7}
    return "7 of 7"


@step
def a_running_job_can_be_stopped() -> str:
    job = queue.enqueue(wait_for, "never")
    until(lambda: job.get_status() == JobStatus.STARTED, "it has begun")
    until(lambda: job.id in StartedJobRegistry(queue=queue), "it is registered")
    until(lambda: Worker.all(connection=connection)[0].get_current_job_id() == job.id, "the worker says so")
    send_stop_job_command(connection, job.id)
    until(lambda: job.get_status() == JobStatus.STOPPED, "it has stopped")
    return "stopped by a message"


@step
def a_waiting_job_can_be_cancelled() -> str:
    idle = Queue("idle", connection=connection)
    jobs = [idle.enqueue(add, number, number) for number in range(3)]
    front = idle.enqueue(add, 0, 0, at_front=True)
    assert idle.job_ids == [front.id, *[job.id for job in jobs]]
    jobs[1].cancel()
    assert jobs[1].get_status() == JobStatus.CANCELED
    jobs[2].delete()
    assert idle.job_ids == [front.id, jobs[0].id]
    error_of(lambda: Job.fetch(jobs[2].id, connection=connection), NoSuchJobError)
    assert idle.empty() == 2
    return "cancelled, deleted, emptied"


@step
def the_worker_is_known() -> str:
    (worker,) = Worker.all(connection=connection)
    assert worker.queue_names() == ["default"]
    assert Worker.count(queue=queue) == 1
    # It counts a job a moment after the job tells its result.
    until(lambda: Worker.all(connection=connection)[0].successful_job_count >= 30, "the worker has counted its jobs")
    assert time.time() - worker.last_heartbeat.timestamp() < 60
    return f"{worker.name}"


if __name__ == "__main__":
    run()
