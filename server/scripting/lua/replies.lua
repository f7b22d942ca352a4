-- What a script returns, on its way to the host. Returns the function `give`.
--
-- The kinds are those of server/scripting/conversion.py.

local next, rawget, type, unpack = next, rawget, type, unpack

-- Kinds of values beside those that are the same on both sides; in lists of tokens the second line counts too.
local STATUS, ERROR, LIST, TOKENS = 1, 2, 3, 5
local SCALAR, MAP, SET, DOUBLE, BIG, VERBATIM, NULL = 0, 4, 5, 6, 7, 8, 9
-- So many values go over in one piece; longer ones go through a table.
local SHORT = 200
-- As deep as Redis follows tables in a reply.
local DEEPEST = 7995

local encode_table

local function encode_value(value, out, depth)
    local kind = type(value)
    local place = #out
    if kind == "table" then
        encode_table(value, out, depth)
    elseif kind == "string" or kind == "number" or kind == "boolean" then
        out[place + 1], out[place + 2] = SCALAR, value
    else
        out[place + 1] = NULL
    end
end

function encode_table(value, out, depth)
    local place = #out
    if depth > DEEPEST then
        out[place + 1], out[place + 2] = ERROR, "ERR reached lua stack limit"
        return
    end
    local field = rawget(value, "err")
    if type(field) == "string" then
        out[place + 1], out[place + 2] = ERROR, field
        return
    end
    field = rawget(value, "ok")
    if type(field) == "string" then
        out[place + 1], out[place + 2] = STATUS, field
        return
    end
    field = rawget(value, "double")
    if type(field) == "number" then
        out[place + 1], out[place + 2] = DOUBLE, field
        return
    end
    field = rawget(value, "big_number")
    if type(field) == "string" then
        out[place + 1], out[place + 2] = BIG, field
        return
    end
    field = rawget(value, "verbatim_string")
    if type(field) == "table" then
        local format, text = rawget(field, "format"), rawget(field, "string")
        if type(format) == "string" and type(text) == "string" then
            out[place + 1], out[place + 2], out[place + 3] = VERBATIM, format, text
            return
        end
    end
    field = rawget(value, "map")
    if type(field) == "table" then
        local count = 0
        out[place + 1], out[place + 2] = MAP, 0
        for key, item in next, field do
            encode_value(key, out, depth + 1)
            encode_value(item, out, depth + 1)
            count = count + 1
        end
        out[place + 2] = count
        return
    end
    field = rawget(value, "set")
    if type(field) == "table" then
        local count = 0
        out[place + 1], out[place + 2] = SET, 0
        for key in next, field do
            encode_value(key, out, depth + 1)
            count = count + 1
        end
        out[place + 2] = count
        return
    end
    local count = 0
    out[place + 1], out[place + 2] = LIST, 0
    while true do
        local item = rawget(value, count + 1)
        if item == nil then
            break
        end
        count = count + 1
        encode_value(item, out, depth + 1)
    end
    out[place + 2] = count
end

local SPECIAL = {"double", "map", "set", "big_number", "verbatim_string"}

-- The number of elements of a short list of plain values; nil of any other table.
local function plain_length(value)
    for place = 1, #SPECIAL do
        if rawget(value, SPECIAL[place]) ~= nil then
            return nil
        end
    end
    local count = 0
    while true do
        local item = rawget(value, count + 1)
        local kind = type(item)
        if kind == "nil" then
            return count
        elseif count == SHORT or (kind ~= "string" and kind ~= "number" and kind ~= "boolean") then
            return nil
        end
        count = count + 1
    end
end

-- A value for the host: itself, or (value, kind ...).
local function give(value)
    local kind = type(value)
    if kind == "string" or kind == "number" or kind == "boolean" then
        return value
    elseif kind ~= "table" then
        return nil
    end
    local field = rawget(value, "err")
    if type(field) == "string" then
        return field, ERROR
    end
    field = rawget(value, "ok")
    if type(field) == "string" then
        return field, STATUS
    end
    local length = plain_length(value)
    if length ~= nil then
        return nil, LIST, unpack(value, 1, length)
    end
    local out = {}
    encode_table(value, out, 1)
    return out, TOKENS, #out
end

return give
