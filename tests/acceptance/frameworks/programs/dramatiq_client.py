"""Dramatiq as its users use it: messages to a worker, results, retries, delays, groups, pipelines, rate limits."""

import time

import redis
from dramatiq import group
from dramatiq.results import ResultFailure
from dramatiq_jobs import add, broker, die, fail, limited, moment, note, notes, third_time_lucky
from steps import DEADLINE_S, URL, error_of, run, step, until

WAIT_MS = int(DEADLINE_S * 1000)
queues = redis.Redis.from_url(f"{URL}/0", decode_responses=True)


def value(message: object) -> object:
    return message.get_result(block=True, timeout=WAIT_MS)


@step
def results_arrive() -> str:
    messages = [add.send(number, 1000) for number in range(50)]
    assert [value(message) for message in messages] == [number + 1000 for number in range(50)]
    return f"{len(messages)} results"


@step
def an_error_comes_back() -> str:
    error = error_of(lambda: value(fail.send("out of cheese")), ResultFailure)
    assert (error.orig_exc_type, error.orig_exc_msg) == ("ValueError", "out of cheese")
    return "ValueError"


@step
def a_message_is_tried_again() -> str:
    assert value(third_time_lucky.send("tries")) == 3
    return "3 tries"


@step
def a_message_without_hope_is_kept_apart() -> str:
    message = die.send()
    until(lambda: queues.hexists("dramatiq:default.XQ.msgs", message.options["redis_message_id"]), "it is dead")
    assert queues.zscore("dramatiq:default.XQ", message.options["redis_message_id"]) is not None
    return "dead letter"


@step
def a_delay_is_kept() -> str:
    sent_at = time.time()
    late = value(moment.send_with_options(delay=500)) - sent_at
    assert late >= 0.5
    return f"ran {late:.2f} s after it was sent"


@step
def groups_and_pipelines() -> str:
    members = group([add.message(number, number) for number in range(10)]).run()
    assert list(members.get_results(block=True, timeout=WAIT_MS)) == [2 * number for number in range(10)]
    passed = (add.message(1, 2) | add.message(3) | add.message(4)).run()
    assert passed.get_result(block=True, timeout=WAIT_MS) == 10
    called = group([add.message(number, 1) for number in range(3)])
    called.add_completion_callback(note.message("completed", "all"))
    called.run()
    until(lambda: notes.lrange("completed", 0, -1) == ["all"], "the callback has run")
    return "group, pipeline, completion callback"


@step
def a_rate_limit_is_kept() -> str:
    messages = [limited.send("go") for _ in range(6)]
    until(lambda: notes.get("inside") == "2", "two are at work")
    for _ in messages:
        notes.rpush("go", "on")
    assert max(value(message) for message in messages) == 2
    return "two at a time"


@step
def nothing_is_left_behind() -> str:
    broker.join("default", timeout=WAIT_MS)
    # What a worker has fetched it acknowledges when it is done.
    until(lambda: not queues.keys("dramatiq:__acks__.*"), "everything is acknowledged")
    assert queues.llen("dramatiq:default") == queues.hlen("dramatiq:default.msgs") == 0
    return "empty queues"


if __name__ == "__main__":
    run()
