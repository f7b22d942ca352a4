-- Redis's `cmsgpack`: values to and from MessagePack.
--
-- Chunk arguments: the tables that raise.lua and floats.lua return. Returns: the library's table.
--
-- As in the original: numbers without fraction that 64 bits hold are packed as integers, others in 4 bytes if those
-- hold them exactly; a table is an array if its keys are 1..n; what lies deeper than 16 tables, and what is no value
-- of MessagePack, is packed as nil; `bin` and `ext` are not read.

local errors, floats = ...
local byte, char, sub = string.byte, string.char, string.sub
local ceil, floor = math.ceil, math.floor
local concat = table.concat
local error, next, select, type, unpack = error, next, select, type, unpack
local is_single, single, double = floats.is_single, floats.single, floats.double
local from_single, from_double = floats.from_single, floats.from_double

local RANGE = 4294967296
local MAX_NESTING = 16
-- What fits on a C function's stack, which is where the original has them.
local MAX_RESULTS = 7996
local MAX_DEPTH = 7900

-- The packed forms of what takes one byte.
local SMALL = {}
for number = -32, 127 do
    SMALL[number] = char(number % 256)
end
-- The heads of short strings, arrays and maps by their sizes.
local STRING, ARRAY, MAP = {}, {}, {}
for size = 0, 31 do
    STRING[size] = char(160 + size)
end
for size = 0, 15 do
    ARRAY[size], MAP[size] = char(144 + size), char(128 + size)
end

-- The head of a longer one: a first byte for sizes of two bytes, or for those of four, and the size.
local function head(size, two, four)
    if size <= 65535 then
        return char(two, floor(size / 256), size % 256)
    end
    return char(four, floor(size / 16777216) % 256, floor(size / 65536) % 256, floor(size / 256) % 256, size % 256)
end

local function integer(n)
    if n >= 0 then
        if n < 256 then
            return char(204, n)
        elseif n < 65536 then
            return char(205, floor(n / 256), n % 256)
        elseif n < RANGE then
            return char(206, floor(n / 16777216), floor(n / 65536) % 256, floor(n / 256) % 256, n % 256)
        end
    elseif n >= -128 then
        return char(208, n % 256)
    elseif n >= -32768 then
        n = n % 65536
        return char(209, floor(n / 256), n % 256)
    elseif n >= -2147483648 then
        n = n % RANGE
        return char(210, floor(n / 16777216), floor(n / 65536) % 256, floor(n / 256) % 256, n % 256)
    end
    local high = floor(n / RANGE)
    local low = n - high * RANGE
    high = high % RANGE
    return char(
        n >= 0 and 207 or 211,
        floor(high / 16777216), floor(high / 65536) % 256, floor(high / 256) % 256, high % 256,
        floor(low / 16777216), floor(low / 65536) % 256, floor(low / 256) % 256, low % 256
    )
end

local function number(n)
    if n == floor(n) and n >= -9223372036854775808 and n < 9223372036854775808 then
        return SMALL[n] or integer(n)
    elseif n == n and is_single(n) then
        return "\202" .. single(n)
    end
    return "\203" .. double(n)
end

-- How many elements a table has if its keys are 1..n, else nil; and how many keys it has.
local function array_length(value)
    local count, longest = 0, 0
    local is_array = true
    for key in next, value do
        count = count + 1
        if is_array then
            if type(key) == "number" and key > 0 and key == floor(key) then
                if key > longest then
                    longest = key
                end
            else
                is_array = false
            end
        end
    end
    return is_array and longest == count and count or nil, count
end

-- Put the packed form of a value behind `count` parts; returns the new count.
local function pack(value, parts, count, level)
    local kind = type(value)
    count = count + 1
    if kind == "string" then
        local size = #value
        parts[count] = STRING[size] or size < 256 and char(217, size) or head(size, 218, 219)
        count = count + 1
        parts[count] = value
    elseif kind == "number" then
        parts[count] = SMALL[value] or number(value)
    elseif kind == "boolean" then
        parts[count] = value and "\195" or "\194"
    elseif kind == "table" and level < MAX_NESTING then
        local length, keys = array_length(value)
        if length then
            parts[count] = ARRAY[length] or head(length, 220, 221)
            for i = 1, length do
                count = pack(value[i], parts, count, level + 1)
            end
        else
            parts[count] = MAP[keys] or head(keys, 222, 223)
            for key, element in next, value do
                count = pack(key, parts, count, level + 1)
                count = pack(element, parts, count, level + 1)
            end
        end
    else
        parts[count] = "\192"
    end
    return count
end

local function missing()
    errors.raise("Missing bytes in input.")
end

local function signed(number, half)
    return number >= half and number - 2 * half or number
end

-- `size` bytes at position i as an unsigned number, most significant first; size is 1, 2 or 4.
local function unsigned(data, i, size)
    if i + size - 1 > #data then
        missing()
    end
    if size == 1 then
        return (byte(data, i))
    end
    local a, b, c, d = byte(data, i, i + size - 1)
    if size == 2 then
        return a * 256 + b
    end
    return a * 16777216 + b * 65536 + c * 256 + d
end

local value_at

local function text(data, i, size)
    local stop = i + size - 1
    if stop > #data then
        missing()
    end
    return sub(data, i, stop), stop + 1
end

local function array(data, i, size, depth)
    if depth > MAX_DEPTH then
        errors.raise("stack overflow (in function mp_decode_to_lua_array)")
    end
    local result = {}
    for n = 1, size do
        result[n], i = value_at(data, i, depth)
    end
    return result, i
end

local function map(data, i, size, depth)
    if depth > MAX_DEPTH then
        errors.raise("stack overflow (in function mp_decode_to_lua_hash)")
    end
    local result = {}
    for _ = 1, size do
        local key, element
        key, i = value_at(data, i, depth)
        element, i = value_at(data, i, depth)
        if key == nil then
            error("table index is nil", 0)
        elseif key ~= key then
            error("table index is NaN", 0)
        end
        result[key] = element
    end
    return result, i
end

-- What the bytes from 192 stand for: functions of the data, the position behind the byte, and the depth of tables.
local READ = {
    [192] = function(_, i)
        return nil, i
    end,
    [194] = function(_, i)
        return false, i
    end,
    [195] = function(_, i)
        return true, i
    end,
    [202] = function(data, i)
        if i + 3 > #data then
            missing()
        end
        return from_single(data, i), i + 4
    end,
    [203] = function(data, i)
        if i + 7 > #data then
            missing()
        end
        return from_double(data, i), i + 8
    end,
    [204] = function(data, i)
        return unsigned(data, i, 1), i + 1
    end,
    [205] = function(data, i)
        return unsigned(data, i, 2), i + 2
    end,
    [206] = function(data, i)
        return unsigned(data, i, 4), i + 4
    end,
    [208] = function(data, i)
        return signed(unsigned(data, i, 1), 128), i + 1
    end,
    [209] = function(data, i)
        return signed(unsigned(data, i, 2), 32768), i + 2
    end,
    [210] = function(data, i)
        return signed(unsigned(data, i, 4), 2147483648), i + 4
    end,
    [211] = function(data, i)
        if i + 7 > #data then
            missing()
        end
        return signed(unsigned(data, i, 4), 2147483648) * RANGE + unsigned(data, i + 4, 4), i + 8
    end,
    [217] = function(data, i)
        local size = unsigned(data, i, 1)
        local value, after = text(data, i + 1, size)
        return value, after
    end,
    [218] = function(data, i)
        local size = unsigned(data, i, 2)
        local value, after = text(data, i + 2, size)
        return value, after
    end,
    [219] = function(data, i)
        local size = unsigned(data, i, 4)
        local value, after = text(data, i + 4, size)
        return value, after
    end,
    [220] = function(data, i, depth)
        local size = unsigned(data, i, 2)
        local value, after = array(data, i + 2, size, depth + 1)
        return value, after
    end,
    [221] = function(data, i, depth)
        local size = unsigned(data, i, 4)
        local value, after = array(data, i + 4, size, depth + 1)
        return value, after
    end,
    [222] = function(data, i, depth)
        local size = unsigned(data, i, 2)
        local value, after = map(data, i + 2, size, depth + 1)
        return value, after
    end,
    [223] = function(data, i, depth)
        local size = unsigned(data, i, 4)
        local value, after = map(data, i + 4, size, depth + 1)
        return value, after
    end,
}
-- The original reads unsigned numbers of 64 bits as signed ones.
READ[207] = READ[211]

-- The value at position i, and the position behind it.
function value_at(data, i, depth)
    local b = byte(data, i)
    if not b then
        missing()
    elseif b < 128 then
        return b, i + 1
    elseif b >= 224 then
        return b - 256, i + 1
    end
    local value, after
    if b >= 160 and b < 192 then
        after = i + b - 159
        if after > #data + 1 then
            missing()
        end
        return sub(data, i + 1, after - 1), after
    elseif b >= 192 then
        local read = READ[b]
        if not read then
            errors.raise("Bad data format in input.")
        end
        value, after = read(data, i + 1, depth)
    elseif b >= 144 then
        value, after = array(data, i + 1, b - 144, depth + 1)
    else
        value, after = map(data, i + 1, b - 128, depth + 1)
    end
    return value, after
end

-- Values from an offset on, at most `limit`, as `first, first + count - 1` of a table, and the position behind them.
local function values_from(data, offset, limit, results, first)
    local count, i, size = 0, offset + 1, #data
    while i <= size and count < limit do
        if count + first > MAX_RESULTS then
            errors.raise("stack overflow (too many return values at once; use unpack_one or unpack_limit instead.)")
        end
        results[first + count], i = value_at(data, i, 0)
        count = count + 1
    end
    return count, i
end

-- Some values from an offset on, behind the offset of those that are left (-1 if none is), and how many that makes.
local function some(data, limit, offset)
    local size = #data
    if limit < 0 or offset < 0 then
        -- The original says the length where it means the limit.
        errors.raise("Invalid request to unpack with offset of " .. offset .. " and limit of " .. size .. ".")
    elseif offset > size then
        errors.raise("Start offset " .. offset .. " greater than input length " .. size .. ".")
    end
    local results = {}
    local count, after = values_from(data, offset, limit, results, 2)
    results[1] = after > size and -1 or after - 1
    return results, count + 1
end

local function checked_text(value, position, name, given)
    if type(value) == "string" then
        return value
    end
    return (errors.text(value, position, name, given))
end

local function checked_integer(value, position, name, given)
    if type(value) ~= "number" then
        value = errors.number(value, position, name, given)
    end
    return value < 0 and ceil(value) or floor(value)
end

local cmsgpack = {
    _NAME = "cmsgpack",
    _VERSION = "lua-cmsgpack 0.4.0",
    _COPYRIGHT = "Copyright (C) 2012, Salvatore Sanfilippo",
    _DESCRIPTION = "MessagePack C implementation for Lua",
}

function cmsgpack.pack(...)
    local given = select("#", ...)
    if given == 0 then
        errors.argument(0, "pack", "MessagePack pack needs input.")
    end
    local parts, count = {}, 0
    for position = 1, given do
        count = pack((select(position, ...)), parts, count, 0)
    end
    return (concat(parts, "", 1, count))
end

function cmsgpack.unpack(...)
    local data = checked_text((...), 1, "unpack", select("#", ...))
    local value, after = nil, 1
    if data ~= "" then
        value, after = value_at(data, 1, 0)
    end
    if after > #data then
        -- There is one value, as a rule, and then no need of a table for all of them.
        if data ~= "" then
            return value
        end
        return
    end
    local results = { value }
    local count = values_from(data, after - 1, 1 / 0, results, 2)
    return unpack(results, 1, count + 1)
end

function cmsgpack.unpack_one(...)
    local given = select("#", ...)
    local data, offset = ...
    data = checked_text(data, 1, "unpack_one", given)
    offset = offset == nil and 0 or checked_integer(offset, 2, "unpack_one", given)
    local results, count = some(data, 1, offset)
    return unpack(results, 1, count)
end

function cmsgpack.unpack_limit(...)
    local given = select("#", ...)
    local data, limit, offset = ...
    data = checked_text(data, 1, "unpack_limit", given)
    limit = checked_integer(limit, 2, "unpack_limit", given)
    offset = offset == nil and 0 or checked_integer(offset, 3, "unpack_limit", given)
    if limit == 0 and offset == 0 then
        local results = {}
        local count = values_from(data, 0, 1 / 0, results, 1)
        return unpack(results, 1, count)
    end
    local results, count = some(data, limit, offset)
    return unpack(results, 1, count)
end

return cmsgpack
