"""django-redis as its users use it: the whole of Django's cache, what it adds to that, and sessions of a real site."""

import http.client
import json
import threading

from django_site import cache
from steps import error_of, run, step, until


@step
def values_are_kept() -> str:
    cache.set("a", {"list": [1, 2.5, None], "bytes": b"\0\xff"})
    assert cache.get("a") == {"list": [1, 2.5, None], "bytes": b"\0\xff"}
    assert cache.get("nosuch", "other") == "other"
    assert cache.get_or_set("b", lambda: 7) == cache.get_or_set("b", lambda: 8) == 7
    assert cache.add("c", 1) is True
    assert cache.add("c", 2) is False
    cache.set_many({"d": 1, "e": 2})
    assert cache.get_many(["c", "d", "e", "nosuch"]) == {"c": 1, "d": 1, "e": 2}
    assert cache.has_key("d")
    assert cache.delete_many(["d", "e"]) == 2
    assert "d" not in cache
    cache.set("n", 40)
    assert (cache.incr("n", 2), cache.decr("n"), cache.get("n")) == (42, 41, 41)
    assert isinstance(error_of(lambda: cache.incr("nosuch"), ValueError), ValueError)
    cache.set("versioned", "new", version=2)
    assert (cache.get("versioned"), cache.get("versioned", version=2)) == (None, "new")
    return "values, counters, versions"


@step
def values_expire() -> str:
    cache.set("default", 1)
    assert 990 < cache.ttl("default") <= 1000
    cache.set("for ever", 1, timeout=None)
    assert cache.ttl("for ever") is None
    cache.set("short", 1, timeout=0.02)
    until(lambda: cache.get("short") is None, "it has expired")
    cache.set("touched", 1, timeout=10)
    assert cache.touch("touched", 500)
    assert 490 < cache.ttl("touched") <= 500
    assert cache.persist("touched")
    assert cache.ttl("touched") is None
    assert cache.expire("touched", 60)
    assert 59_000 < cache.pttl("touched") <= 60_000
    cache.set("only new", 1, nx=True)
    assert not cache.set("only new", 2, nx=True)
    return "TTL, touch, persist, nx"


@step
def keys_are_found_by_pattern() -> str:
    cache.set_many({f"item:{number}": number for number in range(200)})
    assert sorted(cache.keys("item:*")) == sorted(f"item:{number}" for number in range(200))
    assert {*cache.iter_keys("item:1?", itersize=10)} == {f"item:{number}" for number in range(10, 20)}
    assert cache.delete_pattern("item:*", itersize=30) == 200
    assert cache.keys("item:*") == []
    return "200 keys"


@step
def a_lock_keeps_threads_apart() -> str:
    cache.set("total", 0)

    def work() -> None:
        for _ in range(5):
            with cache.lock("lock", timeout=30, sleep=0.005):
                cache.set("total", cache.get("total") + 1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cache.get("total") == 20
    return "20 turns"


class Browser:
    """Asks one or the other server of the site, and keeps the cookie."""

    def __init__(self) -> None:
        self.cookie = ""

    def get(self, server: int, page: str) -> dict[str, int]:
        connection = http.client.HTTPConnection("127.0.0.1", cache.get(f"port:{server}"), timeout=10)
        connection.request("GET", page, headers={"Cookie": self.cookie} if self.cookie else {})
        response = connection.getresponse()
        assert response.status == 200, response.read()
        cookie = response.getheader("Set-Cookie")
        self.cookie = cookie.partition(";")[0] if cookie else self.cookie
        found = json.loads(response.read())
        connection.close()
        return found


@step
def sessions_are_shared_by_servers() -> str:
    first, second = Browser(), Browser()
    assert [first.get(number % 2, "/visit")["visits"] for number in range(6)] == [1, 2, 3, 4, 5, 6]
    assert second.get(0, "/visit") == {"visits": 1}
    assert second.cookie != first.cookie
    old = first.cookie
    first.get(1, "/log-out")
    first.cookie = old
    assert first.get(0, "/visit") == {"visits": 1}, "the session is gone"
    return "2 browsers, 2 servers"


@step
def pages_are_cached_for_all_servers() -> str:
    cache.set("made", 0)
    # Each server has an address of its own, and so a page of its own; it is made once.
    for server in (0, 1):
        made = {Browser().get(server, "/made-once")["made"] for _ in range(5)}
        assert made == {server + 1}
    return "2 pages"


@step
def everything_can_be_cleared() -> str:
    cache.clear()
    assert cache.keys("*") == []
    return "cleared"


if __name__ == "__main__":
    run()
