"""Celery as its users use it: tasks sent to a worker, results waited for, the worker asked and told."""

import contextlib
import time

import redis
from celery import chain, chord, group
from celery.exceptions import TaskRevokedError
from celery.result import AsyncResult
from celery_jobs import add, app, elsewhere, fail, moment, third_time_lucky, total, wait_for
from steps import DEADLINE_S, URL, error_of, run, step, until


@step
def results_arrive() -> str:
    sent = [add.delay(number, 1000) for number in range(50)]
    assert [result.get(timeout=DEADLINE_S) for result in sent] == [number + 1000 for number in range(50)]
    assert all(result.state == "SUCCESS" for result in sent)
    return f"{len(sent)} results"


@step
def results_expire_and_can_be_forgotten() -> str:
    result = add.delay(1, 2)
    assert result.get(timeout=DEADLINE_S) == 3
    key = app.backend.get_key_for_task(result.id)
    assert 0 < app.backend.client.ttl(key) <= 1000
    assert AsyncResult(result.id, app=app).name == "celery_jobs.add"
    result.forget()
    assert not app.backend.client.exists(key)
    return "TTL set, forgotten"


@step
def an_error_comes_back() -> str:
    result = fail.delay("out of cheese")
    assert str(error_of(lambda: result.get(timeout=DEADLINE_S), ValueError)) == "out of cheese"
    assert result.state == "FAILURE"
    assert "out of cheese" in result.traceback
    return "ValueError"


@step
def a_task_is_tried_again() -> str:
    assert third_time_lucky.delay().get(timeout=DEADLINE_S) == 2
    return "2 retries"


@step
def groups_chains_and_chords() -> str:
    assert group(add.s(n, n) for n in range(20))().get(timeout=DEADLINE_S) == [2 * n for n in range(20)]
    assert chain(add.s(1, 2), add.s(3), add.s(4))().get(timeout=DEADLINE_S) == 10
    assert chord(add.s(n, n) for n in range(20))(total.s()).get(timeout=DEADLINE_S) == 380
    assert (group(add.s(n, 1) for n in range(5)) | total.s() | add.s(100))().get(timeout=DEADLINE_S) == 115
    return "group, chain, chord, chain with a chord"


@step
def a_chord_with_an_error_fails() -> str:
    result = chord([add.s(1, 1), fail.s("no")])(total.s())
    assert "no" in str(error_of(lambda: result.get(timeout=DEADLINE_S)))
    return "ChordError"


@step
def countdown_and_eta_are_kept() -> str:
    sent_at = time.time()
    result = moment.apply_async(countdown=0.5)
    late = result.get(timeout=DEADLINE_S) - sent_at
    assert late >= 0.5
    return f"ran {late:.2f} s after it was sent"


@step
def a_task_goes_to_its_queue() -> str:
    assert elsewhere.delay().get(timeout=DEADLINE_S) == "other"
    assert add.apply_async((1, 1), queue="other", priority=3).get(timeout=DEADLINE_S) == 2
    return "routed"


@step
def workers_can_be_inspected() -> str:
    inspect = app.control.inspect(timeout=5, limit=1)
    ((worker, pong),) = inspect.ping().items()
    assert pong == {"ok": "pong"}
    assert "celery_jobs.add" in inspect.registered()[worker]
    assert {queue["name"] for queue in inspect.active_queues()[worker]} == {"celery", "other"}
    assert inspect.stats()[worker]["pool"]["max-concurrency"] == 2
    running = wait_for.delay("gate")
    until(lambda: running.state == "STARTED", "the task has begun")
    assert [task["id"] for task in inspect.active()[worker]] == [running.id]
    with redis.Redis.from_url(f"{URL}/2") as client:
        client.rpush("gate", "go on")
    assert running.get(timeout=DEADLINE_S) == "go on"
    return f"worker {worker}"


@step
def a_task_can_be_revoked() -> str:
    result = add.apply_async((1, 1), countdown=600)
    inspect = app.control.inspect(timeout=5, limit=1)
    until(lambda: [task for tasks in inspect.scheduled().values() for task in tasks], "the worker has the task")
    result.revoke()
    running = wait_for.delay("never")
    until(lambda: running.state == "STARTED", "the task has begun")
    running.revoke(terminate=True)
    error_of(lambda: running.get(timeout=DEADLINE_S), TaskRevokedError)
    until(lambda: result.id in {task for tasks in inspect.revoked().values() for task in tasks}, "it is revoked")
    return "one waiting, one running"


@step
def events_are_seen() -> str:
    """What Flower and `celery events` live on."""
    seen: list[str] = []
    with app.connection_for_read() as connection:
        result = None

        def note(event: dict[str, object]) -> None:
            if result is not None and event.get("uuid") == result.id:
                seen.append(str(event["type"]))
                receiver.should_stop = event["type"] == "task-succeeded"

        receiver = app.events.Receiver(connection, handlers={"*": note})
        with receiver.consumer_context(wakeup=False) as (connection, _channel, _consumers):
            # It subscribes when it first looks for events.
            with redis.Redis.from_url(f"{URL}/0") as client:
                before = client.pubsub_numpat()
                with contextlib.suppress(TimeoutError):
                    connection.drain_events(timeout=0.01)
                until(lambda: client.pubsub_numpat() > before, "the receiver listens")
            result = add.delay(2, 2)
            deadline = time.monotonic() + DEADLINE_S
            while not receiver.should_stop and time.monotonic() < deadline:
                connection.drain_events(timeout=DEADLINE_S)
    assert {"task-received", "task-started", "task-succeeded"} <= set(seen), seen
    return " ".join(seen)


@step
def a_queue_can_be_counted_and_purged() -> str:
    for number in range(10):
        add.apply_async((number, number), queue="idle")
    with app.connection_for_write() as connection:
        channel = connection.default_channel
        assert channel.queue_declare("idle", passive=True).message_count == 10
        assert channel.queue_purge("idle") == 10
    return "10 messages"


if __name__ == "__main__":
    run()
