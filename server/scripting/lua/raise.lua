-- Errors as the C functions of Redis's libraries raise them: with the caller's place, and its name for the function.
--
-- Chunk arguments: debug.getinfo, and the name ("=..." or "@...") that all library chunks are loaded under.
-- Returns: a table of `raise(message)`, `argument(position, name, message)`, `kind(position, name, wanted, got, given)`
-- and the readers of arguments `text` and `number`. `position` counts from 1, `name` is that of the library's function,
-- said when the real name cannot be known. `given` is the number of arguments, which tells nil from nothing.
--
-- A function that was called by `return f(x)` has taken its caller's place on the stack: such an error has no place.
-- For the same reason library functions do not end in calls of their helpers that may raise.

local getinfo, own = ...
local error, type, tonumber, tostring = error, type, tonumber, tostring

-- The level, seen from whoever calls this, of the library function that the script called.
local function boundary()
    local level = 2
    while true do
        local frame = getinfo(level + 1, "S")
        if not frame or frame.source ~= own then
            return level - 1
        end
        level = level + 1
    end
end

local function raise(message)
    local frame = getinfo(boundary() + 1, "Sl")
    if frame and frame.currentline > 0 then
        message = frame.short_src .. ":" .. frame.currentline .. ": " .. message
    end
    error(message, 0)
end

local function argument(position, name, message)
    local level = boundary()
    local frame = getinfo(level, "n")
    local caller = getinfo(level + 1, "S")
    if frame.name then
        name = frame.name
    elseif caller and caller.what ~= "tail" then
        name = "?"
    end
    if frame.namewhat == "method" then
        position = position - 1
        if position == 0 then
            raise("calling '" .. name .. "' on bad self (" .. message .. ")")
        end
    end
    raise("bad argument #" .. position .. " to '" .. name .. "' (" .. message .. ")")
end

local function kind(position, name, wanted, value, given)
    local got = position > given and "no value" or type(value)
    argument(position, name, wanted .. " expected, got " .. got)
end

-- Where the type is right already, which it is nearly always, callers do not come here.
local function text(value, position, name, given)
    if type(value) == "number" then
        return tostring(value)
    end
    kind(position, name, "string", value, given)
end

local function number(value, position, name, given)
    local converted = type(value) == "string" and tonumber(value)
    if converted then
        return converted
    end
    kind(position, name, "number", value, given)
end

return { raise = raise, argument = argument, text = text, number = number }
