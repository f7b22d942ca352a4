"""Huey as its users use it: tasks given to a consumer, results waited for, schedules, priorities, locks."""

import time

from huey.exceptions import ResultTimeout, TaskException
from huey_jobs import add, fail, huey, locked, moment, note, notes, third_time_lucky, wait_for
from steps import DEADLINE_S, error_of, run, step, until


def value(result: object) -> object:
    return result.get(blocking=True, timeout=DEADLINE_S, preserve=True)


@step
def results_arrive() -> str:
    results = [add(number, 1000) for number in range(50)]
    assert [value(result) for result in results] == [number + 1000 for number in range(50)]
    assert huey.result(results[0].id) == 1000
    assert 0 < huey.storage.conn.ttl(huey.storage.result_key(results[0].id)) <= 1000
    return f"{len(results)} results"


@step
def an_error_comes_back() -> str:
    result = fail("out of cheese")
    error = error_of(lambda: value(result), TaskException)
    assert "out of cheese" in error.metadata["error"]
    return "ValueError"


@step
def a_task_is_tried_again() -> str:
    result = third_time_lucky("tries")

    def went_well() -> bool:
        try:
            return value(result) == 3
        except TaskException:
            # Each failure stores its error, which the next try replaces.
            result.reset()
            return False

    until(went_well, "the third went well")
    return "3 tries"


@step
def a_delay_is_kept() -> str:
    sent_at = time.time()
    result = moment.schedule(delay=1)
    until(lambda: huey.scheduled_count() == 1, "a worker has put it off")
    late = value(result) - sent_at
    assert late >= 0.9
    return f"ran {late:.2f} s after it was sent"


@step
def a_pipeline_passes_results_on() -> str:
    results = huey.enqueue(add.s(1, 2).then(add, 3).then(add, 4))
    assert [value(result) for result in results] == [3, 6, 10]
    return "3 tasks"


@step
def the_most_urgent_task_comes_first() -> str:
    busy = [wait_for("gate") for _ in range(2)]
    until(lambda: huey.pending_count() == 0, "both workers are busy")
    for priority, text in ((1, "low"), (9, "high"), (5, "middle"), (9, "high too")):
        huey.enqueue(note.s("order", text, priority=priority))
    assert huey.pending_count() == 4
    notes.rpush("gate", "first")
    assert value(busy[0]) == "first"
    until(lambda: notes.llen("order") == 4, "all have run")
    assert notes.lrange("order", 0, -1)[2:] == ["middle", "low"]
    notes.rpush("gate", "second")
    assert value(busy[1]) == "second"
    return " ".join(notes.lrange("order", 0, -1))


@step
def a_lock_keeps_a_task_out() -> str:
    first = locked("key")
    until(lambda: huey.is_locked("one-at-a-time"), "the first has the lock")
    assert "unable to acquire lock" in error_of(lambda: value(locked("key")), TaskException).metadata["error"]
    notes.rpush("key", "mine")
    assert value(first) == "mine"
    until(lambda: not huey.is_locked("one-at-a-time"), "the lock is free")
    return "kept out"


@step
def a_task_can_be_revoked() -> str:
    result = add.schedule((1, 1), delay=600)
    result.revoke()
    assert result.is_revoked()
    assert isinstance(error_of(lambda: result.get(blocking=True, timeout=0.2), ResultTimeout), ResultTimeout)
    result.restore()
    assert not result.is_revoked()
    result.reschedule(delay=0)
    return "revoked, restored"


if __name__ == "__main__":
    run()
