"""FUNCTION and FCALL: libraries and their functions, as in Redis 7.4."""

from storage import rdb_functions
from tests.commands.conftest import Play
from tests.commands.payloads import sealed
from tests.commands.scenarios import Line, Scenario, deviates, scenario, scenarios
from tests.services.process import wait_until
from tests.services.redis_oracle import RedisOracle
from tests.services.rowdis import Rowdis

FLUSH = "FUNCTION FLUSH"


def functions(name: str, *steps: Line) -> Scenario:
    return scenario(name, FLUSH, *steps, FLUSH, oracle="redis74")


def library(code: str, name: str = "lib") -> bytes:
    return f"#!lua name={name}\n{code}".encode()


def load(code: str, *options: str, name: str = "lib") -> tuple[str | bytes, ...]:
    return ("FUNCTION", "LOAD", *options, library(code, name))


def one(name: str, body: str, *flags: str) -> str:
    """Code that registers a function."""
    listed = ",".join(f"'{flag}'" for flag in flags)
    return (
        f"redis.register_function{{function_name='{name}', flags={{{listed}}}, "
        f"callback=function(keys, args) {body} end}}"
    )


FIRST_LINES = (
    b"", b"x", b"#!", b"#!\n", b"#!lua", b"#!lua\n", b"#! lua name=a\n", b"#!lua name=\n", b"#!lua name=a b\n",
    b"#!lua name=a name=b\n", b"#!lua foo=bar\n", b"#!luax name=a\n", b"#!luax\n", b"#!luax name=-\n", b"#!lua name=a",
    b"#!lua name=a\r\n", b'#!lua name="a"\n', b'#!lua "name=a"\n', b"#!lua name=a-b\n", b"#!lua name=\xc3\xa9\n",
    b"#!lua   name=a  \n", b"#!LUA name=a\n", b"#!lua NAME=a\n", b'#!lua "name=a\n', b'#!lua name=a"b\n', b"#!lua n\n",
    b" #!lua name=a\n", b"#!lua =a\n", b"#!lua name=a=b\n", b"#!lua name=a flags=x\n", b"#!\tlua name=a\n",
    b"#!lua\tname=a\n",
)  # fmt: skip
REGISTRATIONS = (
    "return 1", "redis.register_function()", "redis.register_function('a')", "redis.register_function('a', 1)",
    "redis.register_function('a', function() end, 1)", "redis.register_function({})", "redis.register_function(1)",
    "redis.register_function(nil, nil)", "redis.register_function({function_name='a'})",
    "redis.register_function({callback=function() end})",
    "redis.register_function({function_name='a', callback=1})",
    "redis.register_function({function_name={}, callback=function() end})",
    "redis.register_function({function_name='a', callback=function() end, foo=1})",
    "redis.register_function({function_name='a', callback=function() end, [1]=1})",
    "redis.register_function({function_name='a', callback=function() end, [true]=1})",
    "redis.register_function({function_name='a', callback=function() end, flags=1})",
    "redis.register_function({function_name='a', callback=function() end, flags={1}})",
    "redis.register_function({function_name='a', callback=function() end, flags={'raw-arguments'}})",
    "redis.register_function({function_name='a', callback=function() end, description={}})",
    "redis.register_function('a b', function() end)", "redis.register_function('', function() end)",
    "redis.register_function('a\\0b', function() end)",
    "redis.register_function('a', function() end) redis.register_function('a', function() end)",
    "redis.register_function('a', function() end)\nlocal x = {} x.y.z = 1",
)  # fmt: skip
#: What is not there while a library is loaded, or is wrong.
LOADING = (
    "error('x')", "x = 1", "local x = nosuch", "redis.call('set', 'a', 1)", "redis.pcall('set', 'a', 1)",
    "redis.setresp(3)", "redis.sha1hex('x')", "redis.breakpoint()", "redis.x = 1", "redis = 1", "math.random = 1",
    "local k = KEYS", "_G.x = 1", "cjson.encode({})", "setmetatable({}, {})", "pcall(error, 'x')", "tostring(1)",
    "local x = nil .. 'a'", "redis.nosuch()", "redis.log()", "redis.log('x', 'y')", "redis.log(5, 'y')", "syntax(",
    "goto x", "KEYS", "...", "\0x", "\x1bLua", "\n\n  )",
)  # fmt: skip
# fmt: off
CALLS = library(
    "\n".join([
        one("give", "return {keys, args}"),
        one("get", "return redis.call('GET', keys[1])", "no-writes"),
        one("sneak", "return redis.call('SET', keys[1], 1)", "no-writes"),
        one("put", "return redis.call('SET', keys[1], args[1])"),
        one("boom", "error('boom')"),
        one("reply", "return redis.error_reply('MY thing')"),
        one("unknown", "return redis.call('nosuch')"),
        one("wrong", "return redis.call('INCR', keys[1])"),
        one("caught", "return redis.pcall('INCR', keys[1])"),
        one("no_keys", "return tostring(KEYS)"),
        one("global", "x = 1"),
        one("register", "redis.register_function('zz', function() end)"),
        one("api", "local r = {} for k in pairs(redis) do r[#r + 1] = k end table.sort(r) return r"),
        one("world", "local r = {} for k in pairs(_G) do r[#r + 1] = k end table.sort(r) return r"),
        one("nothing", ""),
        one("raised", "error({err='TBL oh'})"),
        one("nested", "return redis.call('FCALL', 'give', 0)"),
        one("evaluate", "return redis.call('EVAL', 'return 1', 0)"),
        one("list", "return redis.call('FUNCTION', 'LIST')"),
        one("three", "redis.setresp(3) return {double=3.5}"),
        one("hash", "redis.setresp(3) return redis.call('HGETALL', keys[1])"),
        one("json", "return cjson.encode(cjson.decode(args[1]))"),
        one("not_json", "return cjson.decode(args[1])"),
        one("shared", "return #_G.string.rep('x', 3) + bit.band(7, 2)"),
        "local function helper(x) return x * 2 end",
        one("double", "return helper(tonumber(args[1]))"),
    ])
)
# fmt: on


@scenarios(
    functions("a library and its functions", load(one("f", "return 'one'")), "FCALL f 0", "fcall F 0",
              load(one("f", "return 'two'")), "FCALL f 0", load(one("f", "return 'two'"), "REPLACE"), "FCALL f 0",
              load(one("g", "return 'three'"), "replace", "REPLACE"), "FCALL f 0", "FCALL g 0",
              load(one("g", ""), name="other"), load(one("G", ""), "REPLACE", name="other"), load("", "FOO"),
              load(one("h", "return 'four'"), name="LIB"), "FCALL h 0", "FUNCTION DELETE nosuch", "FUNCTION DELETE Lib",
              "FUNCTION DELETE lib", "FCALL g 0", "FCALL h 0", "FUNCTION LIST LIBRARYNAME L*"),
    functions("the first line", *(("FUNCTION", "LOAD", line) for line in FIRST_LINES)),
    functions("what is registered", *(load(code) for code in REGISTRATIONS), "FUNCTION LIST"),
    functions("while it is loaded", *(load(code) for code in LOADING), "FUNCTION LIST"),
    functions("a library that does not end", load("while true do end"), load(one("f", "return 1")), "FCALL f 0"),
    functions("numbers are names and descriptions", load("redis.register_function(1, function() return 'x' end)"),
              "FCALL 1 0", "FUNCTION LIST",
              load("redis.register_function{Function_Name='a', CALLBACK=function() end, description=5}", "REPLACE"),
              "FUNCTION LIST"),
    functions("what is seen of a library",
              load("redis.register_function{function_name='a', callback=function() end, description='d\\0\\n', "
                   "flags={'allow-cross-slot-keys', 'NO-CLUSTER', 'allow-stale', 'allow-oom', 'no-writes'}}"),
              "FUNCTION LIST", "FUNCTION LIST WITHCODE", "function list withcode libraryname L*",
              "FUNCTION LIST LIBRARYNAME x*", "FUNCTION LIST LIBRARYNAME", "FUNCTION LIST WITHCODE WITHCODE",
              "FUNCTION LIST LIBRARYNAME lib LIBRARYNAME lib", "FUNCTION LIST FOO", "FUNCTION STATS"),
    functions("calling", ("FUNCTION", "LOAD", CALLS), "SET s x", "HSET h a 1",
              *(f"FCALL {name} 1 s v" for name in ("give", "get", "sneak", "boom", "reply", "unknown", "wrong",
                "caught", "no_keys", "global", "register", "api", "world", "nothing", "raised", "nested", "evaluate",
                "list", "three", "not_json", "shared")),
              "FCALL hash 1 h", "FCALL put 1 k v", "GET k", ("FCALL", "json", 0, b'{"a":[1,null,"x"]}'),
              "FCALL double 0 21"),
    functions("calling what may not write", ("FUNCTION", "LOAD", CALLS), "SET s x",
              *(f"FCALL_RO {name} 1 s v" for name in ("give", "get", "sneak", "put", "nosuch")), "GET s"),
    functions("numbers of keys", load(one("f", "return {keys, args}")), "FCALL f x", "FCALL f -1", "FCALL f 2 a",
              "FCALL f 0", "FCALL f 1 a", "FCALL f 1 a b c", "FCALL f 2 a b c", ("FCALL", "f", ""), "FCALL nosuch x",
              "FCALL nosuch 5", "FCALL f", "FCALL", "FCALL_RO f", "FCALL f 9223372036854775808"),
    functions("many keys and arguments", load(one("f", "return #keys * 1000 + #args")),
              ("FCALL", "f", 300, *map(str, range(1000))), ("FCALL", "f", 0, *map(str, range(1000)))),
    functions("in a transaction", "MULTI", load(one("f", "return redis.call('INCR', 'n')")), "FCALL f 0",
              "FUNCTION DELETE lib", "FCALL f 0", load(one("g", "return redis.call('INCR', 'n')")), "FCALL g 0",
              "FUNCTION STATS", "FUNCTION KILL", "FUNCTION LIST", "EXEC", "FCALL g 0", "FCALL f 0"),
    functions("errors undo nothing", load(one("f", "redis.call('SET', 'a', 1) redis.call('INCR', 's')")), "SET s x",
              "FCALL f 0", "GET a"),
    functions("misuse", "FUNCTION", "FUNCTION NOSUCH", "FUNCTION LOAD", "FUNCTION LOAD REPLACE", "FUNCTION STATS x",
              "FUNCTION KILL x", "FUNCTION DUMP x", "FUNCTION DELETE", "FUNCTION DELETE a b", "FUNCTION FLUSH x",
              "FUNCTION FLUSH ASYNC SYNC", "FUNCTION FLUSH async", "FUNCTION FLUSH Sync", "FUNCTION RESTORE",
              "FUNCTION HELP x", "FUNCTION KILL", "FUNCTION STATS",
              ("EVAL", "return redis.call('function', 'load', 'x')", 0)),
    functions("restoring", ("FUNCTION", "RESTORE", rdb_functions.dump([library(one("f", "return 1"))])), "FCALL f 0",
              *(("FUNCTION", "RESTORE", rdb_functions.dump([library(one("f", "return 2"))]), *policy)
                for policy in ((), ("APPEND",), ("REPLACE",), ("flush",), ("BAD",), ("FLUSH", "x"))),
              "FCALL f 0", load(one("g", "return 'g'"), name="other"),
              *(("FUNCTION", "RESTORE", rdb_functions.dump([library(one("G", "return 3"), "new")]), policy)
                for policy in ("APPEND", "REPLACE", "FLUSH")), "FCALL g 0", "FCALL f 0",
              ("FUNCTION", "RESTORE", rdb_functions.dump([]), "FLUSH"), "FUNCTION LIST"),
    functions("what can't be restored", *(
        ("FUNCTION", "RESTORE", payload, policy) for policy in ("APPEND", "BAD") for payload in (
            b"", b"abcdefghijkl", sealed(b"\xf5"), sealed(b"\xf6\x01a"), sealed(b"\xf5\x01a"), sealed(b"\x00\x01a"),
            sealed(b"\xff"), sealed(b"\xf5\x40\xffabc"), sealed(b"\xf5\x0d#!lua name=q\n"),
            sealed(b"", 99), sealed(b"", 1),
            rdb_functions.dump([library(one("a", "")), library(one("b", ""))]),
            rdb_functions.dump([library(one("a", "")), library(one("a", ""), "two")]),
        )), "FUNCTION LIST"),
)  # fmt: skip
def test_functions_are_those_of_redis(play: Play, case: Scenario) -> None:
    play(case)


@scenarios(
    functions("several functions", ("FUNCTION", "LOAD", CALLS), "FUNCTION STATS"),
    scenario("dumps have another version", FLUSH, deviates("FUNCTION DUMP", "dump-version", b"$10\r\n\x0a"),
             oracle="redis74"),
)  # fmt: skip
def test_functions_are_shown(play: Play, case: Scenario) -> None:
    play(case)


def test_what_is_dumped_is_restored_by_redis_and_comes_back(rowdis: Rowdis, redis74: RedisOracle) -> None:
    with rowdis.client(2) as ours, redis74.client(2) as theirs:
        for giver, taker in ((ours, theirs), (theirs, ours)):
            for client in (ours, theirs):
                client.call("FUNCTION", "FLUSH")
            giver.call(*load(one("f", "return {'f', args[1]}")))
            giver.call(*load(one("g", "return 'a long text, ' .. 'a long text, ' .. 'a long text'"), name="other"))
            payload = giver.call("FUNCTION", "DUMP").partition(b"\r\n")[2][:-2]
            assert taker.call("FUNCTION", "RESTORE", payload) == b"+OK\r\n"
            for name in ("f", "g"):
                assert taker.call("FCALL", name, 0, "x") == giver.call("FCALL", name, 0, "x")
            assert b"number_of_functions:2\r\nnumber_of_libraries:2\r\n" in taker.call("INFO", "memory")
            assert b"#!lua name=other\n" in taker.call("FUNCTION", "LIST", "LIBRARYNAME", "oth*", "WITHCODE")
        for client in (ours, theirs):
            client.call("FUNCTION", "FLUSH")


def test_a_function_that_takes_long_is_shown_and_can_be_ended(rowdis: Rowdis) -> None:
    with rowdis.client(2) as client, rowdis.client(2) as other:
        client.call("CONFIG", "SET", "busy-reply-threshold", 1)
        client.call(*load(one("loop", "while true do end"), "REPLACE"))
        client.send("FCALL", "loop", 1, "a key", "an argument")
        wait_until(lambda: b"duration_ms" in other.call("FUNCTION", "STATS"), 10, "the function is shown")
        shown = other.call("FUNCTION", "STATS")
        assert b"name\r\n$4\r\nloop" in shown
        assert b"*5\r\n$5\r\nFCALL\r\n$4\r\nloop\r\n$1\r\n1\r\n$5\r\na key\r\n$11\r\nan argument\r\n" in shown
        assert other.call("GET", "a key").startswith(b"-BUSY Redis is busy running a script. You can only call FUNC")
        assert other.call("FUNCTION", "LIST").startswith(b"-BUSY")
        assert other.call("SCRIPT", "KILL").startswith(b"-BUSY")
        assert other.call("FUNCTION", "KILL") == b"+OK\r\n"
        assert client.read() == (
            b"-ERR Script killed by user with SCRIPT KILL... script: loop, on @user_function:2.\r\n"
        )
        assert other.call("FUNCTION", "KILL").startswith(b"-NOTBUSY")
        client.call("CONFIG", "SET", "busy-reply-threshold", 5000)
        client.call("FUNCTION", "FLUSH")


def test_a_function_that_has_written_can_not_be_ended(rowdis: Rowdis) -> None:
    spin = "redis.call('SET', keys[1], 1) local ends = os.clock() + 0.6 while os.clock() < ends do end return 'done'"
    with rowdis.client(2) as client, rowdis.client(2) as other:
        client.call("CONFIG", "SET", "busy-reply-threshold", 1)
        client.call(*load(one("spin", spin), "REPLACE"))
        client.send("FCALL", "spin", 1, "a key")
        wait_until(lambda: b"duration_ms" in other.call("FUNCTION", "STATS"), 10, "the function is shown")
        assert other.call("FUNCTION", "KILL").startswith(b"-UNKILLABLE Sorry the script already executed write")
        assert other.call("SCRIPT", "KILL").startswith(b"-UNKILLABLE Sorry the script already executed write")
        assert client.read() == b"$4\r\ndone\r\n"
        assert other.call("GET", "a key") == b"$1\r\n1\r\n"
        client.call("CONFIG", "SET", "busy-reply-threshold", 5000)
        client.call("FUNCTION", "FLUSH")
