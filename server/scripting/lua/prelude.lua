-- The world in which scripts live: Redis's globals and nothing else, its tables closed to writing.
--
-- Called once for a new Lua state, with functions of the host (server/scripting/runtime.py) and the tables of the
-- libraries by name.  It gives the host its handles: see the return at the end.
--
-- What a script can reach is a proxy without fields of its own: reading goes through to a table behind it, writing
-- raises an error.  Stock Lua has no read-only tables, so whatever could write to a proxy, or tell it from a table, is
-- wrapped (rawset, setmetatable, next, table.insert ...).  Nothing here reads a global once it is loaded: a function's
-- environment is what a script can ask for.

local host, libraries, version, version_number, hook_every = ...
local functions_source, replies_source, random_source = select(6, ...)

local as_function = python.as_function
local call_host, check = as_function(host.call), as_function(host.check)
local log_to_host, sha1_of = as_function(host.log), as_function(host.sha1)
local set_resp, is_known = as_function(host.set_resp), as_function(host.known)
local keep_frames, note_end = as_function(host.keep_frames), as_function(host.note_end)

local assert, error, getmetatable, ipairs, loadstring = assert, error, getmetatable, ipairs, loadstring
local next, pairs, pcall, rawequal, rawget, rawset = next, pairs, pcall, rawequal, rawget, rawset
local select, setmetatable, tostring, tonumber, type = select, setmetatable, tostring, tonumber, type
local unpack, xpcall, getfenv, setfenv, newproxy = unpack, xpcall, getfenv, setfenv, newproxy
local concat, byte, find, sub = table.concat, string.byte, string.find, string.sub
local table_insert, dump = table.insert, string.dump
local create, wrap = coroutine.create, coroutine.wrap
local sethook, getinfo = debug.sethook, debug.getinfo
local coroutine, os = coroutine, os
local thread_globals = _G

-- Kinds of values on their way between host and script, beside those that are the same on both sides.
local STATUS, ERROR, LIST, FAILED, TOKENS, ABORT = 1, 2, 3, 4, 5, 6

-- The chunks of which a script must not hear in the places of errors.
local OURS = {["=rowdis"] = true, ["=library"] = true}

local give = assert(loadstring(replies_source, "=rowdis"))()
local random, randomseed = assert(loadstring(random_source, "=rowdis"))()

local READ_ONLY = "Attempt to modify a readonly table"

-- -- proxies

local behind = {}

local function refuse()
    error(READ_ONLY, 2)
end

local function close(fields, index)
    local proxy = {}
    behind[proxy] = fields
    setmetatable(proxy, {__index = index or fields, __newindex = refuse})
    return proxy
end

local globals = {}
local missing = {
    __index = function(_, name)
        error("Script attempted to access nonexistent global variable '" .. tostring(name) .. "'", 2)
    end,
}
setmetatable(globals, missing)
local world = close(globals)
globals._G = world
-- What a script is told when it asks for these metatables.
local shown = {
    [world] = close({__index = function(_, name)
        error("Script attempted to access nonexistent global variable '" .. tostring(name) .. "'", 2)
    end}),
}

-- -- the end of scripts that take too long

local killed = false

-- The place in the script that somebody is at who is so many levels further in.
local function position(inner)
    for level = inner + 2, inner + 10 do
        local info = getinfo(level, "Sl")
        if info == nil then
            return nil
        elseif info.what ~= "C" and info.what ~= "tail" and not OURS[info.source] then
            return info.source, info.currentline
        end
    end
    return nil
end

-- Once a script is killed, every instruction of it raises an error, so that no pcall gets away with it.
local hook

local function abort()
    if not killed then
        killed = true
        note_end(position(1))
    end
    sethook(hook, "", 1)
    error({err = "ERR the script was ended"}, 0)
end

function hook()
    if check() then
        abort()
    elseif killed then
        killed = false
        sethook(hook, "", hook_every)
    end
end

sethook(hook, "", hook_every)

local function hooked(body)
    return function(...)
        sethook(hook, "", killed and 1 or hook_every)
        return body(...)
    end
end

local function of_hooked(make, name)
    return function(...)
        local body = ...
        if type(body) ~= "function" then
            error("bad argument #1 to '" .. name .. "' (Lua function expected)", 2)
        end
        return make(hooked(body))
    end
end

-- -- Lua's own functions

local function kind_of(...)
    return select("#", ...) == 0 and "no value" or type((...))
end

local function bad_argument(number, name, expected, ...)
    error("bad argument #" .. number .. " to '" .. name .. "' (" .. expected .. " expected, got " .. kind_of(...) .. ")", 3)
end

local function next_behind(proxy, key)
    return next(behind[proxy], key)
end

local function settle_pcall(ok, problem, ...)
    if ok or type(problem) ~= "table" then
        return ok, problem, ...
    end
    -- As in Redis: what pcall gives of a reply that is an error is its text.
    local text = rawget(problem, "err")
    if text ~= nil then
        return ok, text
    end
    return ok, problem
end

local function compile(source, name)
    if byte(source) == 27 then
        -- What would happen to a first character that can't begin a statement.
        return nil, '[string "' .. sub(source, 1, 40) .. "\"]:1: unexpected symbol near 'char(27)'"
    end
    local chunk, problem = loadstring(source, name)
    if chunk == nil then
        return nil, problem
    end
    return setfenv(chunk, world)
end

-- A script or library of a user, as the host compiles it.
local function compile_kept(source, name)
    local chunk, problem = compile(source, name)
    if chunk == nil then
        return nil, problem
    end
    local code = dump(chunk)
    local kept = keep_frames(code)
    return kept == code and chunk or setfenv(loadstring(kept, name), world)
end

local closed_functions = {}

local natives = {
    assert = assert, collectgarbage = collectgarbage, error = error, gcinfo = gcinfo, ipairs = ipairs,
    rawequal = rawequal, select = select, tonumber = tonumber, tostring = tostring, type = type, unpack = unpack,
    xpcall = xpcall, _VERSION = _VERSION, next = next, pairs = pairs, pcall = pcall, rawget = rawget, rawset = rawset,
    getmetatable = getmetatable, setmetatable = setmetatable, newproxy = newproxy, string = string, table = table,
    math = math,
}

-- Everything below has the script's world as its environment.
setfenv(1, world)

local given = {
    pcall = function(...)
        return settle_pcall(pcall(...))
    end,
    xpcall = function(...)
        local body, handler = ...
        if select("#", ...) < 2 then
            error("bad argument #2 to 'xpcall' (value expected)", 2)
        end
        -- The handler of an error that ends a script would run without hooks, and perhaps for ever.
        return xpcall(body, function(problem)
            if killed then
                return problem
            end
            return handler(problem)
        end)
    end,
    next = function(of, key)
        local fields = behind[of]
        if fields ~= nil then
            return next(fields, key)
        elseif type(of) ~= "table" then
            bad_argument(1, "next", "table", of)
        end
        return next(of, key)
    end,
    pairs = function(...)
        local of = ...
        if type(of) ~= "table" then
            bad_argument(1, "pairs", "table", ...)
        elseif behind[of] ~= nil then
            return next_behind, of, nil
        end
        return next, of, nil
    end,
    rawget = function(...)
        local of, key = ...
        if type(of) ~= "table" then
            bad_argument(1, "rawget", "table", ...)
        end
        return rawget(behind[of] or of, key)
    end,
    rawset = function(...)
        local of, key, value = ...
        if type(of) ~= "table" then
            bad_argument(1, "rawset", "table", ...)
        elseif behind[of] ~= nil then
            error(READ_ONLY, 0)
        end
        return rawset(of, key, value)
    end,
    getmetatable = function(...)
        local of = ...
        if shown[of] ~= nil then
            return shown[of]
        elseif behind[of] ~= nil then
            return nil
        elseif type(of) == "string" then
            return shown.string
        elseif select("#", ...) == 0 then
            error("bad argument #1 to 'getmetatable' (value expected)", 2)
        end
        return getmetatable(of)
    end,
    setmetatable = function(...)
        local of, metatable = ...
        if type(of) ~= "table" then
            bad_argument(1, "setmetatable", "table", ...)
        elseif behind[of] ~= nil then
            error(READ_ONLY, 0)
        elseif metatable ~= nil and type(metatable) ~= "table" then
            error("bad argument #2 to 'setmetatable' (nil or table expected)", 2)
        end
        return setmetatable(of, behind[metatable] or metatable)
    end,
    getfenv = function(of)
        if of == nil then
            of = 1
        elseif of == 0 then
            return world
        elseif type(of) == "number" and of < 0 then
            error("bad argument #1 to 'getfenv' (level must be non-negative)", 2)
        end
        -- Two levels further out, since pcall is one too.
        local ok, found = pcall(getfenv, type(of) == "number" and of + 2 or of)
        if not ok then
            error("bad argument #1 to 'getfenv' (invalid level)", 2)
        end
        return (found == natives or found == thread_globals) and world or found
    end,
    setfenv = function(of, environment)
        if type(environment) ~= "table" then
            bad_argument(2, "setfenv", "table", environment)
        elseif of == 0 then
            -- It would change what all later scripts see.
            error("'setfenv' cannot change environment of given object", 2)
        end
        if closed_functions[of] then
            error("'setfenv' cannot change environment of given object", 0)
        end
        local ok, problem = pcall(setfenv, type(of) == "number" and of + 2 or of, environment)
        if not ok then
            error(problem, 0)
        elseif type(of) == "function" then
            return of
        end
    end,
    loadstring = function(...)
        local source, name = ...
        if type(source) == "number" then
            source = tostring(source)
        elseif type(source) ~= "string" then
            bad_argument(1, "loadstring", "string", ...)
        end
        return compile(source, name ~= nil and tostring(name) or source)
    end,
    load = function(...)
        local reader, name = ...
        if type(reader) ~= "function" then
            bad_argument(1, "load", "function", ...)
        end
        local pieces, count = {}, 0
        while true do
            local ok, piece = pcall(reader)
            if not ok then
                return nil, piece
            elseif piece == nil or piece == "" then
                break
            elseif type(piece) ~= "string" and type(piece) ~= "number" then
                return nil, "reader function must return a string"
            end
            count = count + 1
            pieces[count] = piece
        end
        return compile(concat(pieces), name ~= nil and tostring(name) or "=(load)")
    end,
    newproxy = function(like)
        if like == true then
            -- Its metatable could have a finalizer, which runs in the middle of anything and can't be stopped.
            error("newproxy(true) is not available", 2)
        end
        return newproxy(like)
    end,
}

-- -- redis

local function raise(text)
    error({err = text, ignore_error_stats_update = true}, 0)
end

local function settle_call(value, kind, ...)
    if kind == nil then
        return value
    elseif kind == STATUS then
        return {ok = value}
    elseif kind == LIST then
        return {...}
    elseif kind == ABORT then
        abort()
    end
    raise(value)
end

local function settle_protected_call(value, kind, ...)
    if kind == ERROR then
        return {err = value, ignore_error_stats_update = true}
    end
    return settle_call(value, kind, ...)
end

local function call_redis(...)
    return settle_call(call_host(...))
end

local function text_of(value)
    local kind = type(value)
    return (kind == "string" or kind == "number") and tostring(value) or ""
end

local function reply_of(field, ...)
    local text = ...
    if select("#", ...) ~= 1 or type(text) ~= "string" then
        return {err = "ERR wrong number or type of arguments"}
    end
    return {[field] = text}
end

local redis = {
    call = call_redis,
    pcall = function(...)
        return settle_protected_call(call_host(...))
    end,
    error_reply = function(...)
        local reply = reply_of("err", ...)
        local text = reply.err
        if byte(text) == 45 then
            text = sub(text, 2)
        end
        if not find(text, " ", 1, true) then
            text = "ERR " .. text
        end
        reply.err = text
        return reply
    end,
    status_reply = function(...)
        return reply_of("ok", ...)
    end,
    sha1hex = function(...)
        if select("#", ...) ~= 1 then
            raise("ERR wrong number of arguments")
        end
        return (sha1_of(text_of((...))))
    end,
    log = function(...)
        local level = ...
        local count = select("#", ...)
        if count < 2 then
            raise("ERR redis.log() requires two arguments or more.")
        elseif type(level) ~= "number" then
            raise("ERR First argument must be a number (log level).")
        elseif level < 0 or level > 3 then
            raise("ERR Invalid log level.")
        end
        local words = {select(2, ...)}
        for place = 1, count - 1 do
            words[place] = text_of(words[place])
        end
        log_to_host(level, concat(words, " "))
    end,
    setresp = function(...)
        local resp = ...
        if select("#", ...) ~= 1 then
            raise("ERR redis.setresp() requires one argument.")
        elseif resp ~= 2 and resp ~= 3 then
            raise("ERR RESP version must be 2 or 3.")
        end
        set_resp(resp)
    end,
    breakpoint = function()
        return false
    end,
    debug = function() end,
    replicate_commands = function()
        return true
    end,
    set_repl = function(...)
        local flags = ...
        if select("#", ...) ~= 1 then
            raise("ERR redis.set_repl() requires one argument.")
        elseif type(flags) ~= "number" or flags < 0 or flags > 3 then
            raise("ERR Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE.")
        end
    end,
    acl_check_cmd = function(...)
        local known, problem = is_known(...)
        if not known then
            raise(problem)
        end
        return true
    end,
    LOG_DEBUG = 0, LOG_VERBOSE = 1, LOG_NOTICE = 2, LOG_WARNING = 3,
    REPL_NONE = 0, REPL_AOF = 1, REPL_SLAVE = 2, REPL_REPLICA = 2, REPL_ALL = 3,
    REDIS_VERSION = version, REDIS_VERSION_NUM = version_number,
}

-- -- running

local function handle(problem)
    local source, line = position(1)
    if type(problem) ~= "table" then
        problem = {err = "ERR " .. tostring(problem)}
    end
    if source ~= nil then
        problem.source, problem.line = source, line
    end
    return problem
end

local function settle_run(ok, value)
    if ok then
        return give(value)
    elseif type(value) ~= "table" then
        -- Without memory no handler is called.
        return "ERR " .. tostring(value), FAILED, nil, nil
    end
    local text = rawget(value, "err")
    return type(text) == "string" and text or "ERR the error is a table without a text", FAILED,
        rawget(value, "source"), rawget(value, "line")
end

-- Run a function without arguments, with KEYS and ARGV as globals.
local function run(body, count, ...)
    if count == 0 then
        globals.KEYS, globals.ARGV = {}, {...}
    elseif count == 1 then
        local key = ...
        globals.KEYS, globals.ARGV = {key}, {select(2, ...)}
    else
        local keys, arguments = {...}, {select(count + 1, ...)}
        for place = #keys, count + 1, -1 do
            keys[place] = nil
        end
        globals.KEYS, globals.ARGV = keys, arguments
    end
    -- Its last run may have changed its environment.
    return settle_run(xpcall(setfenv(body, world), handle))
end

-- The same with lists that were made elsewhere, since they are long.
local function run_with(body, keys, arguments)
    globals.KEYS, globals.ARGV = keys, arguments
    return settle_run(xpcall(setfenv(body, world), handle))
end

-- Call a function with a list of keys and one of arguments (FCALL): there are no KEYS and ARGV.
local function call_function(body, keys, arguments)
    globals.KEYS, globals.ARGV = nil, nil
    return settle_run(xpcall(function()
        return body(keys, arguments)
    end, handle))
end

-- -- closing the world

local function copied(fields)
    local copy = {}
    for name, value in next, fields do
        copy[name] = value
    end
    return copy
end

local function copied_libraries(natives)
    local strings, mathematics, tables = copied(natives.string), copied(natives.math), copied(natives.table)
    mathematics.random, mathematics.randomseed = random, randomseed
    tables.insert = function(...)
        local of = ...
        if behind[of] ~= nil then
            error(READ_ONLY, 0)
        elseif type(of) ~= "table" then
            bad_argument(1, "insert", "table", ...)
        end
        local count, place = select("#", ...), (select(2, ...))
        if count == 3 and tonumber(place) == nil then
            bad_argument(2, "insert", "number", place)
        elseif count ~= 2 and count ~= 3 then
            error("wrong number of arguments to 'insert'", 2)
        end
        return table_insert(...)
    end
    return strings, mathematics, tables
end

local function add_library(name, fields)
    for _, value in next, fields do
        if type(value) == "function" then
            closed_functions[value] = true
        end
    end
    globals[name] = close(fields)
end

do
    for name, value in next, given do
        globals[name] = value
    end
    for name, value in next, natives do
        if rawget(globals, name) == nil and type(value) ~= "table" then
            globals[name] = value
        end
    end
    globals.__redis__err__handler = function(problem)
        return type(problem) == "table" and problem or {err = "ERR " .. tostring(problem)}
    end
    local strings, mathematics, tables = copied_libraries(natives)
    add_library("string", strings)
    add_library("math", mathematics)
    add_library("table", tables)
    add_library("redis", redis)
    add_library("os", {clock = os.clock})
    add_library("coroutine", {
        create = of_hooked(create, "create"), wrap = of_hooked(wrap, "wrap"),
        resume = coroutine.resume, running = coroutine.running, status = coroutine.status, yield = coroutine.yield,
    })
    for name, fields in next, libraries do
        add_library(name, fields)
    end
    shown.string = close({__index = globals.string})
    for name, value in next, globals do
        if type(value) == "function" then
            closed_functions[value] = true
        end
    end
end

local functions = assert(loadstring(functions_source, "=rowdis"))({
    behind = behind, close = close, closed_functions = closed_functions, find = find, give = give, globals = globals,
    handle = handle, lower = natives.string.lower, missing = missing, next = next, raise = raise, redis = redis,
    refuse = refuse, select = select, setfenv = setfenv, setmetatable = setmetatable, shown = shown,
    tostring = tostring, type = type, world = world, xpcall = xpcall,
})

-- Nothing needs the globals of the state itself any more.
do
    local names = {}
    for name in next, thread_globals do
        names[#names + 1] = name
    end
    for place = 1, #names do
        thread_globals[names[place]] = nil
    end
end

return {
    run = run, run_with = run_with, call_function = call_function, compile = compile_kept, add_library = add_library,
    unpack = unpack, load_library = functions.load_library, functions_of = functions.functions,
    callback = functions.callback,
}
