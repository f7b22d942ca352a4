-- Redis's `cjson`: values to and from JSON.
--
-- Chunk arguments: the table that raise.lua returns, and the value that stands for JSON's null: a userdata made by
-- newproxy(), the same for all parts of one interpreter. Returns: the library's table.
--
-- The settings (encode_max_depth and its like) are those of this table, as long as the interpreter lives; `cjson.new()`
-- gives a table with settings of its own.

local errors, null = ...
local byte, char, find, format, gsub, lower, match, sub =
    string.byte, string.char, string.find, string.format, string.gsub, string.lower, string.match, string.sub
local ceil, floor = math.ceil, math.floor
local concat = table.concat
local next, rawget, select, tonumber, type = next, rawget, select, tonumber, type

local INFINITY = math.huge
local MAX_INTEGER = 2147483647
-- How deep values of any settings may lie: what the interpreter's stack holds.
local STACK = 4000

-- -- encoding

local ESCAPES = {
    ['"'] = '\\"', ["\\"] = "\\\\", ["/"] = "\\/", ["\b"] = "\\b", ["\f"] = "\\f", ["\n"] = "\\n", ["\r"] = "\\r",
    ["\t"] = "\\t", ["\127"] = "\\u007f",
}
for code = 0, 31 do
    ESCAPES[char(code)] = ESCAPES[char(code)] or format("\\u%04x", code)
end

local function quoted(text)
    if find(text, '[%c"\\/\127]') then
        text = gsub(text, '[%c"\\/\127]', ESCAPES)
    end
    return '"' .. text .. '"'
end

-- The quoted forms of some keys of objects with their colons: objects tend to have the same keys.
local KEYS_KEPT, LONGEST_KEPT = 500, 40
local kept_keys, kept_count = {}, 0

local function quoted_key(key)
    local text = quoted(key) .. ":"
    if #key <= LONGEST_KEPT then
        if kept_count == KEYS_KEPT then
            kept_keys, kept_count = {}, 0
        end
        kept_keys[key], kept_count = text, kept_count + 1
    end
    return text
end

local function refuse(value, reason)
    errors.raise("Cannot serialise " .. type(value) .. ": " .. reason)
end

-- Integers that every precision of more than two digits writes alike; not zero, which has a sign.
local SMALL = {}
for number = 1, 999 do
    SMALL[number] = format("%d", number)
end

local function number_text(number, settings)
    local small = SMALL[number]
    if small and settings.precision > 2 then
        return small
    elseif number ~= number or number == INFINITY or number == -INFINITY then
        if settings.encode_invalid == "null" then
            return "null"
        elseif not settings.encode_invalid then
            refuse(number, "must not be NaN or Inf")
        elseif number ~= number then
            return "nan"
        end
        return number > 0 and "inf" or "-inf"
    end
    return format(settings.number_format, number)
end

-- The length of the array that a table is; nil if it is an object.
local function array_length(value, settings)
    local count, longest = 0, 0
    for key in next, value do
        if type(key) ~= "number" or key < 1 or key ~= floor(key) then
            return nil
        end
        count = count + 1
        if key > longest then
            -- The original counts in 32 bits, and does not see where they end.
            longest = key <= MAX_INTEGER and key or -MAX_INTEGER - 1
        end
    end
    if longest > settings.sparse_safe and settings.sparse_ratio > 0 and longest > count * settings.sparse_ratio then
        if not settings.sparse_convert then
            refuse(value, "excessively sparse array")
        end
        return nil
    end
    return longest > 0 and longest or nil
end

-- Put a value behind `count` parts; returns the new count. Tables around it: `depth`.
local function encode(value, parts, count, depth, settings)
    local kind = type(value)
    if kind == "string" then
        parts[count + 1] = quoted(value)
        return count + 1
    elseif kind == "number" then
        parts[count + 1] = number_text(value, settings)
        return count + 1
    elseif kind == "boolean" then
        parts[count + 1] = value and "true" or "false"
        return count + 1
    elseif value == nil or value == null then
        parts[count + 1] = "null"
        return count + 1
    elseif kind ~= "table" then
        refuse(value, "type not supported")
    end
    depth = depth + 1
    if depth > settings.encode_depth or depth >= STACK then
        errors.raise("Cannot serialise, excessive nesting (" .. depth .. ")")
    end
    local length = array_length(value, settings)
    local separator
    if length then
        separator = "["
        for i = 1, length do
            parts[count + 1] = separator
            -- Not by the metatable, which the original does not look at.
            count = encode(rawget(value, i), parts, count + 1, depth, settings)
            separator = ","
        end
        parts[count + 1] = "]"
        return count + 1
    end
    separator = "{"
    for key, element in next, value do
        parts[count + 1] = separator
        if type(key) == "string" then
            parts[count + 2] = kept_keys[key] or quoted_key(key)
        elseif type(key) == "number" then
            parts[count + 2] = '"' .. number_text(key, settings) .. '":'
        else
            refuse(key, "table key must be a number or string")
        end
        count = encode(element, parts, count + 2, depth, settings)
        separator = ","
    end
    parts[count + 1] = separator == "{" and "{}" or "}"
    return count + 1
end

-- -- decoding

local UNESCAPED = {
    ['"'] = '"', ["\\"] = "\\", ["/"] = "/", b = "\b", f = "\f", n = "\n", r = "\r", t = "\t",
}

-- The names of tokens in error messages, by their first byte.
local TOKENS = {
    ["{"] = "T_OBJ_BEGIN", ["}"] = "T_OBJ_END", ["["] = "T_ARR_BEGIN", ["]"] = "T_ARR_END", [","] = "T_COMMA",
    [":"] = "T_COLON", ['"'] = "T_STRING",
}

local function utf8(code)
    if code < 128 then
        return char(code)
    elseif code < 2048 then
        return char(192 + floor(code / 64), 128 + code % 64)
    elseif code < 65536 then
        return char(224 + floor(code / 4096), 128 + floor(code / 64) % 64, 128 + code % 64)
    end
    return char(240 + floor(code / 262144), 128 + floor(code / 4096) % 64, 128 + floor(code / 64) % 64, 128 + code % 64)
end

-- The character of an escape "\uXXXX" (or of two, a surrogate pair) at position i, and the position behind it; nil if
-- it is none.
local function unicode(text, i)
    local digits = match(text, "^\\u(%x%x%x%x)", i)
    local code = digits and tonumber(digits, 16)
    if not code or code >= 56320 and code < 57344 then
        return nil
    elseif code < 55296 or code >= 57344 then
        return utf8(code), i + 6
    end
    digits = match(text, "^\\u(%x%x%x%x)", i + 6)
    local second = digits and tonumber(digits, 16)
    if not second or second < 56320 or second >= 57344 then
        return nil
    end
    return utf8(65536 + (code - 55296) * 1024 + second - 56320), i + 12
end

-- The string whose first byte is at position i, and the position behind its closing quote.
-- If it is none: nil, the position of what is wrong, and what that is.
local function string_at(text, i)
    local _, stop, plain = find(text, '^([^"\\%z]*)"', i)
    if stop then
        return plain, stop + 1
    end
    local parts, count = {}, 0
    while true do
        local special = find(text, '["\\%z]', i)
        if not special or byte(text, special) == 0 then
            return nil, special or #text + 1, "unexpected end of string"
        end
        count = count + 1
        parts[count] = sub(text, i, special - 1)
        if byte(text, special) == 34 then
            return concat(parts, "", 1, count), special + 1
        end
        local letter = sub(text, special + 1, special + 1)
        local character = UNESCAPED[letter]
        if character then
            i = special + 2
        elseif letter == "u" then
            character, i = unicode(text, special)
            if not character then
                return nil, special, "invalid unicode escape code"
            end
        else
            return nil, special, "invalid escape code"
        end
        count = count + 1
        parts[count] = character
    end
end

-- The number that begins at position i, as C's strtod reads it, and the position behind it; nil if there is none.
local function number_at(text, i)
    local word = match(text, "^[-+.%w]+", i) or ""
    -- The C library takes "nan(...)" too.
    local nan = match(text, "^[-+]?[nN][aA][nN]%([%w_]*%)", i)
    if nan then
        return tonumber(nan), i + #nan
    end
    for size = #word, 1, -1 do
        local number = tonumber(sub(word, 1, size))
        if number then
            return number, i + size
        end
    end
    return nil
end

-- Whether what begins at position i is none of JSON's numbers: NaN, infinity, hexadecimal, or with a zero too many.
local function is_invalid_number(text, i)
    local word = lower(match(text, "^-?(.?.?.?)", i))
    return find(word, "^0[x%d]") ~= nil or find(word, "^inf") ~= nil or find(word, "^nan") ~= nil
end

-- What stands at position i, for an error message, and its position.
local function token_at(text, i, settings)
    local first = sub(text, i, i)
    if first == "" or first == "\0" then
        return "T_END", i
    elseif first == '"' then
        local value, after, wrong = string_at(text, i + 1)
        return value and "T_STRING" or wrong, value and i or after
    elseif TOKENS[first] then
        return TOKENS[first], i
    elseif find(text, "^true", i) or find(text, "^false", i) then
        return "T_BOOLEAN", i
    elseif find(text, "^null", i) then
        return "T_NULL", i
    end
    local invalid = settings.decode_invalid
    if find(first, "[-%d]") or invalid and (first == "+" or find(lower(sub(text, i, i + 2)), "^[in][na][fn]")) then
        if (invalid or not is_invalid_number(text, i)) and number_at(text, i) then
            return "T_NUMBER", i
        elseif find(first, "[-+%d]") then
            return "invalid number", i
        end
    end
    return "invalid token", i
end

local function unexpected(text, i, wanted, settings)
    local found, at = token_at(text, i, settings)
    errors.raise("Expected " .. wanted .. " but found " .. found .. " at character " .. at)
end

local function check_depth(depth, at, settings)
    if depth > settings.decode_depth or depth >= STACK then
        errors.raise("Found too many nested data structures (" .. depth .. ") at character " .. at)
    end
end

local decode

local function object_at(text, i, depth, settings)
    depth = depth + 1
    check_depth(depth, i - 1, settings)
    local object = {}
    i = find(text, "[^ \t\r\n]", i) or #text + 1
    if byte(text, i) == 125 then
        return object, i + 1
    end
    while true do
        -- As a rule the key has no escapes.
        local _, stop, key = find(text, '^"([^"\\%z]*)"[ \t\r\n]*:', i)
        if not stop then
            local after
            if byte(text, i) == 34 then
                key, after = string_at(text, i + 1)
            end
            if not key then
                unexpected(text, i, "object key string", settings)
            end
            stop = find(text, "[^ \t\r\n]", after) or #text + 1
            if byte(text, stop) ~= 58 then
                unexpected(text, stop, "colon", settings)
            end
        end
        object[key], i = decode(text, stop + 1, depth, settings)
        local b = byte(text, i)
        if b ~= 44 and b ~= 125 then
            i = find(text, "[^ \t\r\n]", i) or #text + 1
            b = byte(text, i)
        end
        if b == 125 then
            return object, i + 1
        elseif b ~= 44 then
            unexpected(text, i, "comma or object end", settings)
        end
        i = find(text, "[^ \t\r\n]", i + 1) or #text + 1
    end
end

local function array_at(text, i, depth, settings)
    depth = depth + 1
    check_depth(depth, i - 1, settings)
    local array, count = {}, 0
    i = find(text, "[^ \t\r\n]", i) or #text + 1
    if byte(text, i) == 93 then
        return array, i + 1
    end
    while true do
        count = count + 1
        array[count], i = decode(text, i, depth, settings)
        local b = byte(text, i)
        if b ~= 44 and b ~= 93 then
            i = find(text, "[^ \t\r\n]", i) or #text + 1
            b = byte(text, i)
        end
        if b == 93 then
            return array, i + 1
        elseif b ~= 44 then
            unexpected(text, i, "comma or array end", settings)
        end
        i = i + 1
    end
end

-- What is taken for a number if it is one: where invalid numbers are refused, and where they are not.
local STRICT = "^(-?[1-9]%d*)[,%]} \n]"
local LENIENT = "^(-?%d+%.?%d*[eE]?[-+]?%d*)[,%]} \n]"

local WORDS = { t = "true", f = "false", n = "null" }
local VALUES = { t = true, f = false, n = null }

-- The value at position i or behind white space there, and the position behind it.
function decode(text, i, depth, settings)
    local b = byte(text, i)
    if b == 32 or b == 10 or b == 13 or b == 9 then
        i = find(text, "[^ \t\r\n]", i) or #text + 1
        b = byte(text, i)
    end
    local value, after
    if b == 34 then
        value, after = string_at(text, i + 1)
        if value then
            return value, after
        end
    elseif b == 123 then
        value, after = object_at(text, i + 1, depth, settings)
        return value, after
    elseif b == 91 then
        value, after = array_at(text, i + 1, depth, settings)
        return value, after
    elseif b then
        -- As a rule it is a number with an end that can be seen; whether it is one, `tonumber` says.
        local _, stop, digits = find(text, settings.number_pattern, i)
        local number = stop and tonumber(digits)
        if number then
            return number, stop
        end
        local letter = char(b)
        local word = WORDS[letter]
        if word and sub(text, i, i + #word - 1) == word then
            return VALUES[letter], i + #word
        end
        if token_at(text, i, settings) == "T_NUMBER" then
            value, after = number_at(text, i)
            return value, after
        end
    end
    unexpected(text, i, "value", settings)
end

-- -- the library's table

local function argument_text(value, position, name, given)
    if type(value) == "string" then
        return value
    end
    return (errors.text(value, position, name, given))
end

-- Errors of settings are said of the first argument whichever is wrong, as in the original.
local function integer_setting(value, position, name, low, high)
    if type(value) ~= "number" then
        value = errors.number(value, position, name, position)
    end
    value = value < 0 and ceil(value) or floor(value)
    if value < low or value > high then
        errors.argument(1, name, "expected integer between " .. low .. " and " .. high)
    end
    return value
end

local function choice_setting(value, position, name, third)
    if type(value) == "boolean" then
        return value
    end
    value = argument_text(value, position, name, position)
    if value == "on" or value == "off" then
        return value == "on"
    elseif value ~= third or not third then
        errors.argument(position, name, "invalid option '" .. value .. "'")
    end
    return value
end

local function check_count(given, most, name)
    if given > most then
        errors.argument(most + 1, name, "found too many arguments")
    end
end

local function add_settings(library, settings)
    function library.encode_max_depth(...)
        check_count(select("#", ...), 1, "encode_max_depth")
        local depth = ...
        if depth ~= nil then
            settings.encode_depth = integer_setting(depth, 1, "encode_max_depth", 1, MAX_INTEGER)
        end
        return settings.encode_depth
    end

    function library.decode_max_depth(...)
        check_count(select("#", ...), 1, "decode_max_depth")
        local depth = ...
        if depth ~= nil then
            settings.decode_depth = integer_setting(depth, 1, "decode_max_depth", 1, MAX_INTEGER)
        end
        return settings.decode_depth
    end

    function library.encode_number_precision(...)
        check_count(select("#", ...), 1, "encode_number_precision")
        local digits = ...
        if digits ~= nil then
            settings.precision = integer_setting(digits, 1, "encode_number_precision", 1, 14)
            settings.number_format = "%." .. settings.precision .. "g"
        end
        return settings.precision
    end

    -- There is no buffer to keep: this only remembers what was asked for.
    function library.encode_keep_buffer(...)
        check_count(select("#", ...), 1, "encode_keep_buffer")
        local keep = ...
        if keep ~= nil then
            settings.keep_buffer = choice_setting(keep, 1, "encode_keep_buffer")
        end
        return settings.keep_buffer
    end

    function library.encode_invalid_numbers(...)
        check_count(select("#", ...), 1, "encode_invalid_numbers")
        local choice = ...
        if choice ~= nil then
            settings.encode_invalid = choice_setting(choice, 1, "encode_invalid_numbers", "null")
        end
        return settings.encode_invalid
    end

    function library.decode_invalid_numbers(...)
        check_count(select("#", ...), 1, "decode_invalid_numbers")
        local choice = ...
        if choice ~= nil then
            settings.decode_invalid = choice_setting(choice, 1, "decode_invalid_numbers")
            settings.number_pattern = settings.decode_invalid and LENIENT or STRICT
        end
        return settings.decode_invalid
    end

    function library.encode_sparse_array(...)
        check_count(select("#", ...), 3, "encode_sparse_array")
        local convert, ratio, safe = ...
        if convert ~= nil then
            settings.sparse_convert = choice_setting(convert, 1, "encode_sparse_array")
        end
        if ratio ~= nil then
            settings.sparse_ratio = integer_setting(ratio, 2, "encode_sparse_array", 0, MAX_INTEGER)
        end
        if safe ~= nil then
            settings.sparse_safe = integer_setting(safe, 3, "encode_sparse_array", 0, MAX_INTEGER)
        end
        return settings.sparse_convert, settings.sparse_ratio, settings.sparse_safe
    end
end

local function new()
    local settings = {
        encode_depth = 1000, decode_depth = 1000, precision = 14, number_format = "%.14g", keep_buffer = true,
        encode_invalid = false, decode_invalid = true, number_pattern = LENIENT,
        sparse_convert = false, sparse_ratio = 2, sparse_safe = 10,
    }
    local library = { _NAME = "cjson", _VERSION = "2.1.0", null = null, new = new }

    function library.encode(...)
        if select("#", ...) ~= 1 then
            errors.argument(1, "encode", "expected 1 argument")
        end
        local parts = {}
        local count = encode((...), parts, 0, 0, settings)
        return (concat(parts, "", 1, count))
    end

    function library.decode(...)
        local given = select("#", ...)
        if given ~= 1 then
            errors.argument(1, "decode", "expected 1 argument")
        end
        local text = argument_text((...), 1, "decode", given)
        local first, second = byte(text, 1, 2)
        if second and (first == 0 or second == 0) then
            errors.raise("JSON parser does not support UTF-16 or UTF-32")
        end
        local value, after = decode(text, 1, 0, settings)
        after = find(text, "[^ \t\r\n]", after)
        if after and byte(text, after) ~= 0 then
            unexpected(text, after, "the end", settings)
        end
        return value
    end

    add_settings(library, settings)
    return library
end

return new()
