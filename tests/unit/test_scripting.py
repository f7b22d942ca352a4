"""Parts of scripting that need no server: first lines, the cache, compiled code, and one interpreter by itself."""

import pytest

from protocol.errors import CommandError
from protocol.replies import Reply
from server.scripting.cache import MAX_SCRIPTS, ScriptCache, parse
from server.scripting.runtime import CompileError, Ended, Runtime

MEMORY = 64 * 1024 * 1024
#: Takes all memory and gets away with it.
HOARD = "local t={} pcall(function() while true do t[#t+1]=string.rep('x',100000)..#t end end)"


class Echo:
    """A script's call whose commands give their words back; it is ended at the check numbered `ends_at`."""

    label = b"sha"

    def __init__(self, ends_at: int = 0) -> None:
        self._checks = 0
        self._ends_at = ends_at

    def command(self, words: list[bytes]) -> Reply:
        if words[0] == b"big":
            return b"x" * int(words[1])
        if words[0] == b"break":
            raise RuntimeError("lost")
        return list(words)

    def check(self) -> None:
        self._checks += 1
        if self._checks == self._ends_at:
            raise Ended(b"ERR ended")

    def known(self, words: list[bytes]) -> bool:
        return True


@pytest.fixture(scope="module")
def runtime() -> Runtime:
    return Runtime(b"7.4.0", max_memory=MEMORY)


def run(runtime: Runtime, script: str, call: Echo | None = None) -> Reply:
    return runtime.run(runtime.compile(script.encode()), call or Echo(), 0, [])


def failure(runtime: Runtime, script: str, call: Echo | None = None) -> bytes:
    with pytest.raises(CommandError) as caught:
        run(runtime, script, call)
    return caught.value.message


def test_code_has_an_empty_line_in_the_place_of_its_first() -> None:
    script = parse(b"#!lua flags=no-writes,allow-oom\nreturn 1")
    assert script.flags == {b"no-writes", b"allow-oom"}
    assert script.code == b"\nreturn 1"
    assert parse(b"return 1").flags is None


def test_cache_gives_up_what_was_put_first_and_what_came_under_another_number() -> None:
    cache = ScriptCache()
    scripts = [parse(b"return %d" % number) for number in range(MAX_SCRIPTS + 1)]
    for script in scripts:
        cache.put(script, 1)
    assert cache.get(scripts[0].sha, 1) is None
    assert cache.get(scripts[1].sha, 1) is scripts[1]
    assert cache.get(scripts[1].sha, 2) is None
    assert (cache.evicted, cache.usage()[0]) == (1, MAX_SCRIPTS)


@pytest.mark.parametrize("script", [
    "\nreturn redis.call()",
    "local function f()\nreturn redis.call()\nend\nreturn f()",
    "local t={x={y=redis}}\nlocal function f() return t.x.y.call() end return f()",
    "\nreturn redis.sha1hex()",
])  # fmt: skip
def test_errors_of_tail_calls_have_the_place_of_the_call(runtime: Runtime, script: str) -> None:
    assert failure(runtime, script).endswith(b" script: sha, on @user_script:2.")


def test_other_tail_calls_take_no_room_on_the_stack(runtime: Runtime) -> None:
    script = "local function f(n) if n == 0 then return 'end' end return f(n - 1) end return f(300000)"
    assert run(runtime, script) == b"end"


def test_script_is_ended_wherever_it_is_and_the_next_one_runs(runtime: Runtime) -> None:
    for loop in ("while true do end", "while true do pcall(function() while true do end end) end",
                 "while true do coroutine.wrap(function() while true do end end)() end"):
        assert failure(runtime, loop, Echo(ends_at=3)) == b"ERR ended script: sha, on @user_script:1."
        assert run(runtime, "local n=0 for i=1,200000 do n=n+1 end return n") == 200_000


def test_what_breaks_in_a_command_ends_the_script_as_it_is(runtime: Runtime) -> None:
    with pytest.raises(RuntimeError, match="lost"):
        run(runtime, "while true do pcall(redis.call, 'break') end")
    assert run(runtime, "return redis.call('a', 1, 2.5)") == [b"a", b"1", b"2.5"]


@pytest.mark.parametrize("script", [
    "local t={} while true do t[#t+1]={} end",
    "local s='x' while true do s=s..s end",
    "local t={} while true do t[#t+1]=redis.call('big',1000000+#t) end",
    f"{HOARD} return redis.call('big',9)",
    f"{HOARD} while true do local _={{redis.sha1hex('')}} end",
])  # fmt: skip
def test_script_without_memory_fails_and_the_next_one_has_it(runtime: Runtime, script: str) -> None:
    assert b"not enough memory" in failure(runtime, script, Echo(ends_at=0))
    assert run(runtime, "return #string.rep('x', 10000000)") == 10_000_000
    assert runtime.memory < MEMORY // 2


def test_arguments_and_code_that_do_not_fit_are_refused(runtime: Runtime) -> None:
    with pytest.raises(CommandError, match="not enough memory"):
        runtime.run(runtime.compile(b"return 1"), Echo(), 0, [b"x" * MEMORY])
    with pytest.raises(CompileError, match="not enough memory"):
        runtime.compile(b"--" + b"x" * MEMORY)
    assert run(runtime, "return 1") == 1
