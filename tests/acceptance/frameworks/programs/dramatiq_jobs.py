"""Dramatiq's side of the work: actors, a broker, results and rate limits on Redis."""

import time

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import GroupCallbacks
from dramatiq.rate_limits import ConcurrentRateLimiter
from dramatiq.rate_limits.backends import RedisBackend as LimitsBackend
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend
from steps import URL

limits = LimitsBackend(url=f"{URL}/3")
broker = RedisBroker(url=f"{URL}/0", maintenance_chance=10_000)
broker.add_middleware(Results(backend=RedisBackend(url=f"{URL}/1")))
broker.add_middleware(GroupCallbacks(limits))
dramatiq.set_broker(broker)
notes = redis.Redis.from_url(f"{URL}/2", decode_responses=True, socket_timeout=25)


@dramatiq.actor(store_results=True)
def add(left: int, right: int) -> int:
    return left + right


@dramatiq.actor(store_results=True, max_retries=0, throws=(ValueError,))
def fail(text: str) -> None:
    raise ValueError(text)


@dramatiq.actor(max_retries=0)
def die() -> None:
    raise LookupError("nobody catches this")


@dramatiq.actor(store_results=True, max_retries=5, min_backoff=10, max_backoff=20)
def third_time_lucky(counter: str) -> int:
    tries = int(notes.incr(counter))
    if tries < 3:
        raise LookupError("not yet")
    return tries


@dramatiq.actor(store_results=True)
def moment() -> float:
    return time.time()


@dramatiq.actor(store_results=True, max_retries=100, min_backoff=10, max_backoff=20)
def limited(list_name: str) -> int:
    """How many of this kind ran at the same time."""
    with ConcurrentRateLimiter(limits, "limited", limit=2).acquire():
        inside = int(notes.incr("inside"))
        notes.blpop([list_name], timeout=20)
        notes.decr("inside")
        return inside


@dramatiq.actor
def note(list_name: str, text: str) -> None:
    notes.rpush(list_name, text)
