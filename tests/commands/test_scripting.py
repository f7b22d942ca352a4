"""EVAL and SCRIPT, compared with Redis 7.4: arguments, values both ways, errors word by word, and the sandbox."""

import hashlib

from tests.commands.conftest import Play
from tests.commands.scenarios import Line, Scenario, Step, deviates, scenario, scenarios
from tests.services.process import wait_until
from tests.services.raw_client import RawClient
from tests.services.redis_oracle import RedisOracle
from tests.services.rowdis import Rowdis

COMPARE_AND_DELETE = "if redis.call('get',KEYS[1])==ARGV[1] then return redis.call('del',KEYS[1]) else return 0 end"


def sha(script: str) -> str:
    return hashlib.sha1(script.encode()).hexdigest()


def runs(name: str, *scripts: str) -> Scenario:
    """Scripts without keys and arguments, each run by EVAL."""
    return scenario(name, *[("EVAL", script, 0) for script in scripts], oracle="redis74")


def family(name: str, *lines: Line | Step) -> Scenario:
    return scenario(name, *lines, oracle="redis74")


@scenarios(
    family("arguments are judged in order", "EVAL", "EVAL x", ("EVAL", "return 1", "x"), ("EVAL", "return 1", -1),
           ("EVAL", "return 1", 1), ("EVAL", "return 1", 2, "a"), ("EVAL", "return 1", "0 "), ("EVAL", "(", "x"),
           ("EVAL", "(", 0), "EVALSHA x 0", "EVALSHA xx 3", ("EVALSHA", "a" * 40, 0), ("EVALSHA", "a" * 40, -1),
           ("EVALSHA", "z" * 40, 0), "EVALSHA_RO xx 0", ("EVAL_RO", "return 1", -1)),
    family("keys and arguments", ("EVAL", "return {KEYS[1],KEYS[2],ARGV[1],#KEYS,#ARGV}", 2, "a", "b", "c", "d"),
           ("EVAL", "return {#KEYS,#ARGV,ARGV[1]}", 0, "x\0y", ""), ("EVAL", "return KEYS", 3, "a", "b", "c"),
           ("EVAL", "return ARGV", 1, "a", "b", "c"), ("EVAL", "KEYS[1]='z' return KEYS", 1, "a")),
    family("EVALSHA knows what EVAL has run", "SCRIPT FLUSH", ("EVALSHA", sha("return 1"), 0), ("EVAL", "return 1", 0),
           ("EVALSHA", sha("return 1"), 0), ("EVALSHA", sha("return 1").upper(), 0), ("EVAL", "return (", 0),
           ("EVALSHA", sha("return ("), 0), ("EVALSHA_RO", sha("return 1"), 0)),
    family("loading and forgetting", "SCRIPT FLUSH", ("SCRIPT", "LOAD", "return 2"),
           ("SCRIPT", "EXISTS", sha("return 2"), "a", sha("return 2").upper(), sha("return 3")),
           ("EVALSHA", sha("return 2"), 0), ("EVAL", "return 3", 0), ("SCRIPT", "EXISTS", sha("return 3")),
           "SCRIPT FLUSH ASYNC", ("SCRIPT", "EXISTS", sha("return 2"), sha("return 3")),
           ("EVALSHA", sha("return 2"), 0), ("SCRIPT", "LOAD", "return 2"), "SCRIPT FLUSH SYNC",
           ("EVALSHA", sha("return 2"), 0)),
    family("SCRIPT's arguments", "SCRIPT", "SCRIPT NOSUCH", "SCRIPT LOAD", "SCRIPT LOAD a b", ("SCRIPT", "LOAD", "x y"),
           "SCRIPT EXISTS", "SCRIPT FLUSH x", "SCRIPT FLUSH SYNC x", "SCRIPT KILL", "SCRIPT KILL x", "SCRIPT DEBUG",
           "SCRIPT DEBUG x", "SCRIPT DEBUG NO", deviates("SCRIPT DEBUG YES", "script-debug", b"-ERR"),
           "SCRIPT DEBUG NO"),
    family("compare and delete", "SET k v", ("EVAL", COMPARE_AND_DELETE, 1, "k", "w"), "GET k",
           ("EVALSHA", sha(COMPARE_AND_DELETE), 1, "k", "v"), "GET k", ("EVALSHA", sha(COMPARE_AND_DELETE), 1, "k",
           "v")),
    family("a script sees its own writes", "SET n 1",
           ("EVAL", "redis.call('incr',KEYS[1]) redis.call('set','o','x') return {redis.call('get',KEYS[1]),"
                    "redis.call('get','o'),redis.call('del','o'),redis.call('exists','o')}", 1, "n"), "GET n", "GET o"),
    family("what was written before an error stands", "SET n 1",
           ("EVAL", "redis.call('incr','n') redis.call('lpush','n','x')", 1, "n"), "GET n",
           ("EVAL", "redis.call('incr','n') error('x')", 0), "GET n", ("EVAL", "redis.call('incr','n') x=1", 0),
           "GET n"),
    family("in a transaction", "MULTI", "SET a 1", ("EVAL", "return redis.call('incr',KEYS[1])", 1, "a"),
           ("EVAL", "redis.call('incr','a') error('x')", 0), ("EVALSHA", "a" * 40, 0), "GET a", "EXEC", "GET a"),
    family("keys that are not named, of all types",
           ("EVAL", "redis.call('rpush','l','a','b') redis.call('hset','h','f','1') redis.call('sadd','s','m') "
                    "redis.call('zadd','z',1,'m') redis.call('xadd','x','1-1','f','v') return redis.call('dbsize')", 0),
           "LRANGE l 0 -1", "HGETALL h", "SMEMBERS s", "ZRANGE z 0 -1 WITHSCORES", "XRANGE x - +",
           ("EVAL", "return {redis.call('lpop','l'),redis.call('hincrby','h','f',2),redis.call('spop','s'),"
                    "redis.call('zscore','z','m'),redis.call('xlen','x'),redis.call('rename','l','l2')}", 0),
                    "LRANGE l2 0 -1"),
    family("databases", "SET k 0", ("EVAL",
           "redis.call('select',1) redis.call('set','k','1') return redis.call('get','k')",
           0), "GET k", "SELECT 1", "GET k", "FLUSHDB", ("EVAL", "return redis.call('select',99)", 0),
           ("EVAL", "redis.call('select',3) redis.call('select','x')", 0), "GET k"),
    family("read-only scripts", "SET k v", *[("EVAL_RO", f"return redis.{call}", 0) for call in (
           "call('get','k')", "call('set','k','1')", "pcall('set','k','1')", "call('publish','a','1')",
           "call('spublish','a','1')", "call('pfcount','k')", "call('nosuch','a')", "call('echo','a')")],
           ("EVALSHA_RO", sha("return redis.call('get','k')"), 0), ("EVAL_RO", "#!lua\nreturn 1", 0)),
    runs("flags of the first line", "#!lua\nreturn 1", "#!lua flags=no-writes\nreturn redis.call('set','a','1')",
         "#!lua flags=no-writes\nreturn redis.call('get','n')", "#!lua flags=nosuch\nreturn 1",
         "#!lua flags=\nreturn 1",
         "#!lua flags=no-writes,allow-oom,allow-stale,no-cluster,allow-cross-slot-keys\nreturn 1",
         "#!lua name=x\nreturn 1", "#!lua x\nreturn 1", "#!python\nreturn 1", "#!lua", "#!", "#!lua ",
         "#!lua flags=no-writes flags=allow-oom\nreturn 1", "#!lua  flags=no-writes\nreturn redis.call('set','a',1)",
         "#!lua flags=no-writes\nerror('x')", "#!lua\n\nx y", "#!luaflags=no-writes\nreturn 1", "#! lua\nreturn 1",
         "#!lua flags=no-writes \nreturn 1", '#!lua "flags=no-writes"\nreturn 1',
         "#!lua flags=no-writes\nreturn redis.call('publish','a','1')"),
    family("many keys and arguments", ("EVAL", "return {#KEYS,#ARGV,KEYS[1],KEYS[300],ARGV[1],ARGV[5000]}", 300,
           *[f"k{number}" for number in range(300)], *[f"a{number}" for number in range(5000)])),
    family("100,000 arguments", ("EVAL", "return {#ARGV,ARGV[100000],redis.call('rpush','l',unpack(ARGV,1,7000))}", 0,
           *range(100_000)), "LLEN l"),
    family("long values go both ways", ("EVAL", "redis.call('set',KEYS[1],string.rep('ab',200000)) "
           "return #redis.call('get',KEYS[1])", 1, "k"), "STRLEN k", ("EVAL",
           "return redis.call('get',KEYS[1])", 1, "k")),
)  # fmt: skip
def test_scripts(play: Play, case: Scenario) -> None:
    play(case)


@scenarios(
    runs("unknown and forbidden commands", "return redis.call('nosuch')", "return redis.call('get')",
         "return redis.call('subscribe','x')", "return redis.call()", "return redis.pcall()", "return redis.call(1)",
         "return redis.pcall('nosuch')", "return redis.pcall('get')", "return redis.call('config','get','port')",
         "return redis.call('config','nosuch')", "return redis.call('config')", "return redis.call('multi')",
         "return redis.call('eval','return 1',0)", "return redis.call('script','load','return 1')",
         "return redis.call('client','id')", "return redis.call('watch','k')", "return redis.call('hello')",
         "return redis.call('auth','x')", "return redis.call('reset')", "return redis.call('monitor')",
         "return redis.call('debug','sleep',0)", "return redis.call('latency','latest')", "return redis.call('role')",
         "return redis.call('object','nosuch','x')", "return redis.call('quit')"),
    runs("arguments of redis.call", "return redis.call('set','a',{})", "return redis.call('set','a',true)",
         "return redis.call('set','a',nil)", "return redis.call({})", "return redis.pcall('get',{})",
         *[f"redis.call('set','n',{number}) return redis.call('get','n')" for number in (
             "1.5", "1e15", "1e17", "123456789012345678", "1e18", "1e19", "1e300", "-0", "1/0", "3.0", "0.1", "2^53",
             "-2^63", "2^63", "-2.5e-7", "12")]),
    runs("commands that wait do not", "return redis.call('blpop','x',0)", "return redis.call('blmpop',0,1,'x','left')",
         "return redis.call('brpoplpush','x','y',0)", "return redis.call('bzpopmin','x',0)",
         "return redis.call('blpop','x','y',0)==false", "redis.setresp(3) return redis.call('blpop','x','y',0)==nil",
         "return redis.call('xread','block',0,'streams','x','$')", "return redis.call('wait',0,0)"),
    runs("commands that need no storage", "return redis.call('ping')", "return redis.call('echo','x')",
         "return #redis.call('time')", "return redis.call('publish','nobody','x')", "return redis.call('ping','a','b')",
         "return redis.call('pubsub','numpat')", "return redis.call('command','count')>100",
         "return type(redis.call('info'))", "return redis.call('lastsave')>0"),
    runs("errors with their places", "error('x')", "error('x',0)", "error('x',2)", "error({err='My error'})",
         "error({err='ERR my error'})", "error({err='-ERR my error'})", "error()", "error(nil)", "error(5)",
         "error(true)", "\n\nerror('x')", "\n\nreturn redis.call('nosuch')",
         "local f=function()\nreturn redis.call('nosuch')\nend\nlocal a=f()\nreturn a",
         "local call=redis.call\nlocal a=call('nosuch')", "return nosuch", "local x=nil return x.y",
         "local x=nil x()", "return 1+{}", "return #5", "return ('x'):foo()", "return string.rep()", "return pairs()",
         "return table.concat({{}})", "return table.insert(nil,1)", "return table.insert({},'x','y')",
         "return tonumber()", "return setmetatable(1,2)", "return string.format('%d','x')", "return math.random(0)",
         "return math.random(3,1)", "return math.random(1,2,3)", "return math.random('x')", "return load('x')",
         "return loadstring()", "return coroutine.create(1)", "error(redis.error_reply('FOO bar'))",
         "error({err='a',source='@x',line=7})", "return loadstring('error(1)')()",
         "local ok,e=pcall(redis.call,'nosuch') error(e)", "return table.setn({},1)",
         "local function f() return 1+f() end return f()", "return coroutine.yield()"),
    runs("code that does not compile", "x", "return (", "for i=1", "return 1 2", "'", "--[["),
    runs("pcall, xpcall and coroutines", "return {pcall(function()\nerror('x')\nend)}",
         "return {pcall(function() return nosuch end)}", "return {pcall(redis.call)}",
         "return {pcall(error,{err='q'})}",
         "return {pcall(error,{a=1})}", "return {pcall(error)}", "return {type(select(2,pcall(error,{err=1})))}",
         "return {xpcall(function() error('x') end, function(e) return 'h:'..e end)}",
         "return {xpcall(function() redis.call('nosuch') end,function(e) return e.err end)}",
         "return {xpcall(function() redis.call('nosuch') end,function(e) return e end)}",
         "return coroutine.wrap(function() error('inner') end)()",
         "return {coroutine.resume(coroutine.create(function() redis.call('nosuch') end))}",
         "return coroutine.wrap(function() return redis.call('echo','n') end)()",
         "return {coroutine.resume(coroutine.create(function() coroutine.yield(5) end))}",
         "local f=coroutine.wrap(function() for i=1,3 do coroutine.yield(redis.call('echo',i)) end end) "
         "return {f(),f(),f()}",
         "return {coroutine.resume(coroutine.create(function() return pcall(coroutine.yield,1) end))}",
         "local a=redis.pcall('nosuch') a.err='changed' return a",
         "local t=redis.pcall('nosuch') local r={} for k,v in pairs(t) do r[#r+1]=tostring(k)..'='..tostring(v) end "
         "table.sort(r) return r"),
    runs("redis.error_reply and redis.status_reply", *[
         f"return redis.{name}({argument})" for name in ("error_reply", "status_reply")
         for argument in ("'x'", "'-x'", "'-ERR x'", "'My Err x'", "''", "", "1", "{}", "'x\\r\\ny'", "'a','b'")]),
    runs("redis.sha1hex, log, setresp and others", "return redis.sha1hex('')", "return redis.sha1hex()",
         "return redis.sha1hex(1)", "return redis.sha1hex({})", "return redis.sha1hex('a','b')",
         "return redis.sha1hex('a\\0b')", "return redis.log(1)", "return redis.log('a','b')",
         "return redis.log(10,'b')", "return redis.log(1,'b')", "return redis.log(1,'b','c')",
         "return redis.setresp(2)",
         "return redis.setresp(4)", "return redis.setresp()", "return redis.setresp('a')", "return redis.breakpoint()",
         "return redis.debug('x')", "return redis.replicate_commands()", "return redis.set_repl()",
         "return redis.set_repl(redis.REPL_ALL)", "return redis.set_repl(77)", "return redis.acl_check_cmd('get','x')",
         "return redis.acl_check_cmd('nosuch','x')", "return redis.acl_check_cmd('get')",
         "return redis.acl_check_cmd()", "return redis.acl_check_cmd({})",
         "return {redis.LOG_DEBUG,redis.LOG_VERBOSE,redis.LOG_NOTICE,redis.LOG_WARNING,redis.REPL_NONE,redis.REPL_AOF,"
         "redis.REPL_SLAVE,redis.REPL_REPLICA,redis.REPL_ALL}",
         "return {string.match(redis.REDIS_VERSION,'^%d+%.%d+'),redis.REDIS_VERSION_NUM>0x070400-1}"),
    runs("random numbers after a seed", *[
         f"math.randomseed({seed}) return {{tostring(math.random()),math.random(100),math.random(5,10),"
         "math.random(1000000),math.random(-5,5),math.random(2.9)}" for seed in ("0", "1", "5", "-5.5", "1e9", "'7'")]),
)  # fmt: skip
def test_errors_and_functions(play: Play, case: Scenario) -> None:
    play(case)


def value(*texts: str) -> list[str]:
    return [f"{resp}return {text}" for text in texts for resp in ("", "redis.setresp(3) ")]


@scenarios(
    runs("plain values", *value("nil", "true", "false", "3.99", "-3.99", "1e300", "-1e300", "0/0", "9007199254740993",
         "9223372036854775807", "'3.99'", "'a\\0b'", "function() end", "coroutine.create(function() end)",
         "newproxy()")),
    runs("lists", *value("{1,2,nil,4}", "{1,2,{3,'x',false,true}}", "{}", "{{}}", "{1,function() end,3}", "{a=1}",
         "{1.5,2.5}", "{1,{ok='x'},{err='y'},{double=2}}", "{true,false}", "{'a',nil}",
         "setmetatable({},{__index=function(t,k) return 7 end})")),
    runs("status and errors", *value("{ok='fine'}", "{err='bad'}", "{err='bad\\r\\nx'}", "{ok='a\\r\\nb'}", "{ok=1}",
         "{err=1}", "{ok=true}", "{ok='x',err='y'}", "{err='x y z'}", "{err=''}", "{ok=''}", "{1,ok='x'}", "{ok={}}",
         "{err='x',foo=1}")),
    runs("values of RESP3", *value("{double=3.5}", "{double=3}", "{double=1/0}", "{double=-1/0}", "{double=1e300}",
         "{double=0.1}", "{double='1'}", "{double={}}", "{map={a=1}}", "{map={}}", "{map=1}", "{map={a={ok='x'}}}",
         "{map={a={double=1.5}},double=5}", "{map={[1]={1,{map={b=2}}}}}", "{set={a=true}}", "{set={}}", "{set=1}",
         "{big_number='123'}", "{big_number='-12345678901234567890'}", "{big_number=1}", "{map={[{1}]=2}}",
         "{verbatim_string={format='txt',string='hi'}}", "{verbatim_string={format='toolong',string='a'}}",
         "{verbatim_string={format='tx',string='a'}}", "{verbatim_string={format='txt'}}", "{verbatim_string={}}",
         "{verbatim_string=1}", "{map={a=1},set={a=1}}", "{set={a=1},big_number='1'}", "{map={a=1},big_number='1'}",
         "{big_number='1',verbatim_string={format='txt',string='a'}}", "{double=1,big_number='1',map={}}",
         "{map={a=1},verbatim_string={format='txt',string='v'}}", "{ok='x',double=1}")),
    family("replies of commands", "SET n 1", "HSET h a 1", "SADD s a", "ZADD z 1.5 a", *[
           ("EVAL", text, 0) for script in (
               "return {CALL,type(CALL)}", "local r=CALL if type(r)~='table' then return tostring(r) end local o={} "
               "for k,v in pairs(r) do o[#o+1]=tostring(k)..type(v) end table.sort(o) return o", "return CALL")
           for call in ("redis.call('get','nosuch')", "redis.call('get','n')", "redis.call('mget','nosuch','n')",
                        "redis.call('mget','n','nosuch')", "redis.call('hgetall','h')",
                        "redis.call('hgetall','nosuch')",
                        "redis.call('smembers','s')", "redis.call('zscore','z','a')", "redis.call('set','o','x')",
                        "redis.call('zrange','z',0,-1,'withscores')", "redis.pcall('lpush','n','x')",
                        "redis.call('hexists','h','a')", "redis.call('lpop','nosuch',1)")
           for resp in ("", "redis.setresp(3) ") for text in (resp + script.replace("CALL", call),)]),
    runs("tables too deep", "local t={} for i=1,200 do t={t} end return t", "local t={} t[1]=t return t",
         "local t={} for i=1,100 do t={map={a=t}} end return t"),
)  # fmt: skip
def test_values(play: Play, case: Scenario) -> None:
    play(case)


GLOBALS = "local r={} for k,v in pairs(_G) do r[#r+1]=k..'='..type(v) end table.sort(r) return r"
FIELDS = (
    "local r={{}} for k,v in pairs({0}) do if {0}=={1} or not k:find('^_') then r[#r+1]=k..'='..type(v) end end "
    "table.sort(r) return r"
)

#: Ways out of the sandbox, or to leave something behind for the next script. Each fails as in Redis.
ESCAPES = (
    "return io", "return os.execute", "return os.getenv", "return os.remove", "return package", "return require",
    "return debug", "return dofile", "return loadfile", "return print", "return module", "return python",
    "return arg", "x=1", "_G.x=1", "_G._G=1", "rawset(_G,'x',1)", "setmetatable(_G,{})", "KEYS=1", "ARGV={}",
    "redis.call=1", "redis.foo=1", "rawset(redis,'x',1)", "table.insert(redis,1)", "table.insert(_G,1)",
    "setmetatable(redis,{})", "string.format=1", "math.random=1", "table.sort=nil", "cjson.encode=1", "bit.band=1",
    "struct.pack=1", "cmsgpack.pack=1", "coroutine.create=1", "os.clock=1", "rawset(string,'x',1)",
    "return {pcall(rawset,string,'x',1)}", "return {pcall(setmetatable,redis,{})}", "return {pcall(table.insert,_G,1)}",
    "getmetatable(_G).__index=nil", "getmetatable(_G).x=1", "return getmetatable(redis)", "return getmetatable(cjson)",
    "return {pcall(getmetatable(_G).__index,_G,'foo')}", "local _,t=pairs(redis) t.x=1", "local n,t=pairs(_G) t.x=1",
    "return getfenv()==_G", "return getfenv(0)==_G", "return getfenv(1)==_G", "return getfenv(string.format)==_G",
    "return getfenv(redis.call)==_G", "return getfenv(cjson.encode)==_G", "return getfenv(pcall)==_G",
    "return {pcall(setfenv,string.format,{})}", "return {pcall(setfenv,redis.call,{})}",
    "return {pcall(setfenv,cjson.encode,{})}", "local function f() setfenv(1,{}) return redis end return f()",
    "return {loadstring('\\27Lua')}",
    "return {select(2,loadstring('\\27Lua'))}", "return loadstring(string.dump(function() return 1 end))",
    "return {loadstring(string.dump(function() return 1 end),'x')}",
    "return {load(coroutine.wrap(function() coroutine.yield(string.dump(function() end)) end))}",
    "return loadstring('return redis~=nil and _G.io')()", "return loadstring('x=1')()",
    "return loadstring('return getfenv(1)==_G')()", "return {loadstring('x y','@foo')}",
    "return coroutine.wrap(function() return getfenv(0)==_G end)()",
    "return coroutine.wrap(function() x=1 end)()", "return type(newproxy())", "return getmetatable(newproxy())",
    "return rawequal(_G,_G._G)", "return rawget(_G,'io')", "return rawget(redis,'LOG_DEBUG')", "return #_G",
    "return next(_G,'nosuch')==nil", "return {unpack(redis)}", "for k in pairs(getmetatable('')) do return k end",
    "string.gsub('x','x',function() y=1 end)", "table.sort({2,1},function() y=1 end)",
    "return tostring(redis.call):match('^function')", "return type(redis.call)", "return __redis__err__handler('x')",
    "return {string.format('%s',_G):match('^table')}", "return gcinfo()>0", "return {pcall(collectgarbage,'count')}[1]",
)  # fmt: skip


@scenarios(
    runs("globals and libraries", GLOBALS, *[
         FIELDS.format(name, name if name in ("math", "string", "table", "coroutine", "os", "redis", "bit") else "nil")
         for name in ("redis", "math", "string", "table", "coroutine", "os", "bit", "struct", "cjson", "cmsgpack")]),
    runs("escapes", *ESCAPES),
    runs("nothing is left behind", "return {pcall(function() x=1 end),rawget(_G,'x')}", "return rawget(_G,'x')",
         "local k=KEYS k[1]='x' return k", "return KEYS", "redis.setresp(3) return false", "return false",
         "return loadstring('return 1')()"),
    family("changes to the metatable of strings are refused",
           deviates(("EVAL", "getmetatable('').foo=1", 0), "lua-shared", b"-ERR"),
           deviates(("EVAL", "setfenv(0,{}) setfenv(0,_G)", 0), "lua-shared", b"-ERR"),
           deviates(("EVAL", "return type(newproxy(true))", 0), "lua-shared", b"-ERR"), ("EVAL", "return 1", 0)),
)  # fmt: skip
def test_sandbox(play: Play, case: Scenario) -> None:
    play(case)


# -- several clients

BUSY_MS = 50


def kept_busy(connect: type[RawClient] | object, script: str) -> list[bytes]:
    """What clients hear while a script runs that does not end, and after SCRIPT KILL."""
    assert callable(connect)
    with connect() as client, connect() as other, connect() as third:
        before = other.call("CONFIG", "GET", "lua-time-limit")
        assert other.call("CONFIG", "SET", "busy-reply-threshold", BUSY_MS) == b"+OK\r\n"
        client.send("EVAL", script, 1, "k")
        wait_until(lambda: other.call("PING").startswith(b"-BUSY"), 20, "a script keeps the server busy")
        heard = [
            other.call(*words)
            for words in (("GET", "k"), ("NOSUCH",), ("GET",), ("PING",), ("SUBSCRIBE", "a"), ("MULTI",), ("SET",
                          "k", "1"),
                          ("EXEC",), ("WATCH", "k"), ("HELLO", "2"), ("FUNCTION", "KILL"), ("SHUTDOWN",),
                          ("SCRIPT", "FLUSH"), ("EVAL", "return 1", 0), ("SCRIPT", "KILL"))
        ]  # fmt: skip
        heard[9] = heard[9][:4]
        heard += [client.read(), third.call("SCRIPT", "KILL"), other.call("GET", "k")]
        other.call("CONFIG", "SET", "busy-reply-threshold", 5000)
        return [before, *heard]


def test_clients_are_refused_while_a_script_is_busy_as_in_redis(rowdis: Rowdis, redis74: RedisOracle) -> None:
    for script in ("while true do end", "\nwhile true do\npcall(function() while true do end end) end",
                   "while true do redis.pcall('get','k') end"):
        ours, theirs = kept_busy(rowdis.client, script), kept_busy(redis74.client, script)
        assert ours == theirs


def test_monitor_tells_what_scripts_call(rowdis: Rowdis, redis74: RedisOracle) -> None:
    told = []
    for server in (rowdis, redis74):
        with server.client() as watcher, server.client() as client:
            assert watcher.call("MONITOR") == b"+OK\r\n"
            script = "redis.call('set',KEYS[1],'v') redis.call('select',2) return redis.call('get','x')"
            client.call("EVAL", script, 1, "k")
            client.call("EVAL_RO", "return redis.pcall('ping')", 0)
            client.call("PING", "end")
            lines = []
            while not lines or b'"end"' not in lines[-1]:
                line = watcher.read()
                lines.append(line[line.index(b"[") + 1 :].split(b"]")[0].split(b":")[0] + line[line.index(b"]") :])
            told.append(lines)
    assert told[0] == told[1]


def test_commands_of_scripts_are_counted(rowdis: Rowdis, redis74: RedisOracle) -> None:
    counted = []
    for server in (rowdis, redis74):
        with server.client() as client:
            client.call("CONFIG", "RESETSTAT")
            client.call("EVAL", "for i=1,5 do redis.call('hset','h','f',i) end redis.pcall('hset','h')", 0)
            client.call("EVAL", "redis.pcall('lpush','h','x') return redis.call('hget','h','f')", 0)
            lines = client.call("INFO", "commandstats").decode().splitlines()
            counted.append(sorted(
                line.split(",")[0] + "," + ",".join(part for part in line.split(",") if "failed" in part)
                for line in lines
                if line.startswith(("cmdstat_h", "cmdstat_lpush", "cmdstat_eval"))
            ))
    assert counted[0] == counted[1]


def test_messages_of_a_script_go_out_when_it_is_done(rowdis: Rowdis, redis74: RedisOracle) -> None:
    heard = []
    for server in (rowdis, redis74):
        with server.client(3) as listener, server.client(3) as client:
            listener.call("SUBSCRIBE", "c")
            client.call("SUBSCRIBE", "c")
            calls = ",".join(f"redis.call('publish','{channel}','{channel}1')" for channel in "cdc")
            script = f"return {{{calls}}}"
            client.send("EVAL", script, 0)
            heard.append([client.read() for _ in range(3)] + [listener.read() for _ in range(2)])
            client.call("MULTI")
            client.call("EVAL", "return redis.call('publish','c','4')", 0)
            client.send("EXEC")
            heard[-1] += [client.read(), client.read(), listener.read()]
    assert heard[0] == heard[1]


def test_scripts_of_eval_give_way_to_others_and_those_loaded_stay(rowdis: Rowdis) -> None:
    with rowdis.client() as client:
        client.call("SCRIPT", "FLUSH")
        loaded = client.call("SCRIPT", "LOAD", "return 'loaded'").split(b"\r\n")[1]
        client.pipeline([("EVAL", f"return {number}", 0) for number in range(501)])
        assert client.call("EVALSHA", sha("return 0"), 0).startswith(b"-NOSCRIPT")
        assert client.call("EVALSHA", sha("return 1"), 0) == b":1\r\n"
        assert client.call("EVALSHA", loaded, 0) == b"$6\r\nloaded\r\n"
        assert b"number_of_cached_scripts:501\r\n" in client.call("INFO", "memory")
