-- Libraries of functions: the world in which their code is loaded, and the one in which their functions run.
--
-- Loaded by prelude.lua, with a table of what it has: `close`, `behind`, `globals`, `redis`, `missing`, `refuse`,
-- `raise`, `handle`, `give`, `shown`, `world`, `closed_functions`, and Lua's own functions; nothing else is in reach.
-- Returns the host's handles: `load_library(chunk)`, `functions(loaded)`, `callback(loaded, name)`.
--
-- A chunk keeps one environment, a proxy.  What is behind it changes: while the code is loaded there is nothing but a
-- small `redis`, later there is what scripts have, without KEYS and ARGV.

local inner = ...
local behind, close, give, handle, missing, raise = inner.behind, inner.close, inner.give, inner.handle, inner.missing,
    inner.raise
local find, lower, next, select, setfenv, setmetatable, tostring, type, xpcall = inner.find, inner.lower, inner.next,
    inner.select, inner.setfenv, inner.setmetatable, inner.tostring, inner.type, inner.xpcall

local NOT_IN_FUNCTIONS = {breakpoint = true, debug = true, replicate_commands = true}
local FOR_SCRIPTS = {KEYS = true, ARGV = true, __redis__err__handler = true}
-- In the order in which they are told.
local FLAGS = {"no-writes", "allow-oom", "allow-stale", "no-cluster", "allow-cross-slot-keys"}
local KNOWN_FLAGS = {}
for place = 1, #FLAGS do
    KNOWN_FLAGS[FLAGS[place]] = true
end
local BAD_NAME = "ERR Library names can only contain letters, numbers, or underscores(_) and must be at least one "
    .. "character long"

-- The library that is being loaded: its functions in order, and by name.
local loading

-- -- redis.register_function

local function text_of(value)
    local kind = type(value)
    if kind == "string" or kind == "number" then
        return tostring(value)
    end
    return nil
end

local function flags_of(names)
    local given = {}
    if type(names) ~= "table" then
        raise("ERR flags argument to redis.register_function must be a table representing function flags")
    end
    local place = 1
    while names[place] ~= nil do
        local name = names[place]
        name = type(name) == "string" and lower(name)
        if not KNOWN_FLAGS[name] then
            raise("ERR unknown flag given")
        end
        given[name] = true
        place = place + 1
    end
    local flags = {}
    for order = 1, #FLAGS do
        if given[FLAGS[order]] then
            flags[#flags + 1] = FLAGS[order]
        end
    end
    return flags
end

local function named(arguments)
    local name, callback, description
    local flags = {}
    for key, value in next, arguments do
        key = text_of(key)
        if key == nil then
            raise("ERR named argument key given to redis.register_function is not a string")
        end
        key = lower(key)
        if key == "function_name" then
            name = text_of(value)
            if name == nil then
                raise("ERR function_name argument given to redis.register_function must be a string")
            end
        elseif key == "description" then
            description = text_of(value)
            if description == nil then
                raise("ERR description argument given to redis.register_function must be a string")
            end
        elseif key == "callback" then
            if type(value) ~= "function" then
                raise("ERR callback argument given to redis.register_function must be a function")
            end
            callback = value
        elseif key == "flags" then
            flags = flags_of(value)
        else
            raise("ERR unknown argument given to redis.register_function")
        end
    end
    if name == nil then
        raise("ERR redis.register_function must get a function name argument")
    elseif callback == nil then
        raise("ERR redis.register_function must get a callback argument")
    end
    return name, callback, flags, description
end

local function positional(name, callback)
    name = text_of(name)
    if name == nil then
        raise("ERR first argument to redis.register_function must be a string")
    elseif type(callback) ~= "function" then
        raise("ERR second argument to redis.register_function must be a function")
    end
    return name, callback, {}
end

local function register_function(...)
    local given = select("#", ...)
    local name, callback, flags, description
    if loading == nil then
        raise("ERR redis.register_function can only be called on FUNCTION LOAD command")
    elseif given == 1 then
        local arguments = ...
        if type(arguments) ~= "table" then
            raise("ERR calling redis.register_function with a single argument is only applicable to Lua table "
                .. "(representing named arguments).")
        end
        name, callback, flags, description = named(arguments)
    elseif given == 2 then
        name, callback, flags = positional(...)
    else
        raise("ERR wrong number of arguments to redis.register_function")
    end
    if not find(name, "^[%w_]+$") or find(name, "%z") then
        raise(BAD_NAME)
    elseif loading.callbacks[name] ~= nil then
        raise("ERR Function already exists in the library")
    end
    loading.callbacks[name] = callback
    loading.functions[#loading.functions + 1] = {name, description or false, flags}
end

-- -- the two worlds

local function function_fields(self)
    local fields, api = {}, {}
    for name, value in next, inner.globals do
        if not FOR_SCRIPTS[name] then
            fields[name] = value
        end
    end
    for name, value in next, inner.redis do
        if not NOT_IN_FUNCTIONS[name] then
            api[name] = value
        end
    end
    fields._G, fields.redis = self, close(api)
    return setmetatable(fields, missing)
end

local function loading_fields()
    local redis = inner.redis
    local api = {
        register_function = register_function, log = redis.log,
        LOG_DEBUG = redis.LOG_DEBUG, LOG_VERBOSE = redis.LOG_VERBOSE, LOG_NOTICE = redis.LOG_NOTICE,
        LOG_WARNING = redis.LOG_WARNING, REDIS_VERSION = redis.REDIS_VERSION,
        REDIS_VERSION_NUM = redis.REDIS_VERSION_NUM,
    }
    return setmetatable({redis = close(setmetatable(api, missing))}, missing)
end

local environment = {}
local running_fields, loading_only = function_fields(environment), loading_fields()
local metatable = {__index = running_fields, __newindex = inner.refuse}
behind[environment] = running_fields
setmetatable(environment, metatable)
inner.shown[environment] = inner.shown[inner.world]
inner.closed_functions[register_function] = true

-- -- for the host

local function load_library(chunk)
    loading = {callbacks = {}, functions = {}}
    local loaded = loading
    setfenv(chunk, environment)
    metatable.__index, behind[environment] = loading_only, loading_only
    local ok, problem = xpcall(chunk, handle)
    metatable.__index, behind[environment] = running_fields, running_fields
    loading = nil
    if not ok then
        return give(type(problem) == "table" and problem or {err = "ERR " .. tostring(problem)})
    end
    return loaded
end

return {
    load_library = load_library,
    functions = function(loaded)
        return give(loaded.functions)
    end,
    callback = function(loaded, name)
        return loaded.callbacks[name]
    end,
}
