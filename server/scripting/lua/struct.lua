-- Redis's `struct`: values to and from bytes, by a format.
--
-- Chunk arguments: the tables that raise.lua and floats.lua return. Returns: the library's table.
--
-- A format holds `<` `>` (order of bytes, little at first), `!n` (alignment, a power of two), and the options x b B
-- h H l L T f d s, iN IN cN. As in the original a format ends at a zero byte, integers of more than eight bytes have
-- only 64 bits, and their sign is where the shift of a 64-bit machine puts it.

local errors, floats = ...
local byte, char, find, match, rep, reverse, sub =
    string.byte, string.char, string.find, string.match, string.rep, string.reverse, string.sub
local ceil, floor = math.ceil, math.floor
local concat = table.concat
local select, tonumber, type, unpack = select, tonumber, type, unpack

local RANGE = 4294967296
local HALF = 2147483648
local MAX_INTEGER_SIZE = 32
local MAX_RESULTS = 7994

-- Bytes of the options that have no number; x and the rest are those of other options.
local SIZES = { x = 1, b = 1, B = 1, h = 2, H = 2, l = 8, L = 8, T = 8, f = 4, d = 8 }
local SIGNED = { b = true, h = true, l = true, i = true }
local INTEGERS = { b = true, B = true, h = true, H = true, l = true, L = true, T = true, i = true, I = true }

-- A place in a format: its text, the position of the next option, the order of bytes and the alignment.
local function reader(format)
    local zero = find(format, "%z")
    return { format = zero and sub(format, 1, zero - 1) or format, next = 1, little = true, alignment = 1 }
end

local function read_number(state, otherwise)
    local digits = match(state.format, "^%d+", state.next)
    if not digits then
        return otherwise
    end
    state.next = state.next + #digits
    local number = tonumber(digits)
    if number > 2147483647 then
        errors.raise("integral size overflow")
    end
    return number
end

local function is_power_of_two(number)
    while number > 1 and number % 2 == 0 do
        number = number / 2
    end
    return number == 1
end

-- Of small numbers; alignments that are no powers of two mix bits.
local function both(x, y)
    local result, place = 0, 1
    while x > 0 and y > 0 do
        if x % 2 == 1 and y % 2 == 1 then
            result = result + place
        end
        x, y, place = floor(x / 2), floor(y / 2), place * 2
    end
    return result
end

local function padding(state, option, size, position)
    if size == 0 or state.alignment == 1 or option == "c" then
        return 0
    end
    local to = size < state.alignment and size or state.alignment
    if is_power_of_two(to) then
        return -position % to
    end
    return both(to - both(position % HALF, to - 1), to - 1)
end

-- The next option that stands for a value: its letter, its size and the padding before it; nil at the end.
-- `position` counts from 0. What only changes the state is done on the way. `lenient` takes unknown letters as nothing.
local function next_option(state, position, name, lenient)
    while state.next <= #state.format do
        local option = sub(state.format, state.next, state.next)
        state.next = state.next + 1
        local size = SIZES[option]
        if option == "i" or option == "I" then
            size = read_number(state, 4)
            if size > MAX_INTEGER_SIZE then
                errors.raise("integral size " .. size .. " is larger than limit of " .. MAX_INTEGER_SIZE)
            end
        elseif option == "c" then
            size = read_number(state, 1)
        elseif option == "s" then
            size = 0
        elseif option == "<" or option == ">" then
            state.little = option == "<"
        elseif option == "!" then
            local alignment = read_number(state, 8)
            if not is_power_of_two(alignment) then
                errors.raise("alignment " .. alignment .. " is not a power of 2")
            end
            state.alignment = alignment
        elseif option ~= " " and not size and not (lenient and find(option, "^%w")) then
            errors.argument(1, name, "invalid format option '" .. option .. "'")
        end
        if size then
            return option, size, padding(state, option, size, position)
        end
    end
end

local function checked_text(value, position, name, given)
    if type(value) == "string" then
        return value
    end
    return (errors.text(value, position, name, given))
end

local function checked_number(value, position, name, given)
    if type(value) == "number" then
        return value
    end
    return (errors.number(value, position, name, given))
end

-- The two halves of a number's 64 bits; what they can't hold becomes what the processor makes of it.
local function halves(number)
    if number ~= number or number < -9223372036854775808 then
        return HALF, 0
    end
    if number >= 18446744073709551616 then
        return 0, 0
    end
    number = number < 0 and ceil(number) or floor(number)
    local high = floor(number / RANGE)
    return high % RANGE, number - high * RANGE
end

local function integer_bytes(number, size, little)
    local high, low = halves(number)
    local bytes = char(
        low % 256, floor(low / 256) % 256, floor(low / 65536) % 256, floor(low / 16777216),
        high % 256, floor(high / 256) % 256, floor(high / 65536) % 256, floor(high / 16777216)
    )
    bytes = size <= 8 and sub(bytes, 1, size) or bytes .. rep("\0", size - 8)
    return little and bytes or reverse(bytes)
end

-- A signed number of 64 bits whose sign is at a bit that has only zeros or anything above it.
local function with_sign(high, low, size)
    local sign = (size * 8 - 1) % 64
    local above
    if sign < 32 then
        above = high > 0 or low >= 2 ^ sign
        if above then
            return low % 2 ^ sign - 2 ^ sign
        end
    else
        local unit = 2 ^ (sign - 32)
        above = high >= unit
        if above then
            return (high % unit - unit) * RANGE + low
        end
    end
    return high * RANGE + low
end

local function integer_of(data, position, size, little, signed)
    local bytes = sub(data, position + 1, position + size)
    if little then
        bytes = reverse(sub(bytes, 1, 8))
    else
        bytes = sub(bytes, -8)
    end
    local high, low = 0, 0
    local count = #bytes
    for i = 1, count - 4 do
        high = high * 256 + byte(bytes, i)
    end
    for i = count > 4 and count - 3 or 1, count do
        low = low * 256 + byte(bytes, i)
    end
    if signed then
        return with_sign(high, low, size)
    end
    return high * RANGE + low
end

local struct = {}

function struct.pack(...)
    local state = reader(checked_text((...), 1, "pack", select("#", ...)))
    local parts, count, position, at = {}, 0, 0, 1
    -- What is missing counts as nil.
    local given = 1 / 0
    while true do
        local option, size, pad = next_option(state, position, "pack")
        if not option then
            return (concat(parts, "", 1, count))
        end
        local part
        if option == "x" then
            part = "\0"
        else
            at = at + 1
            local value = (select(at, ...))
            if INTEGERS[option] then
                part = integer_bytes(checked_number(value, at, "pack", given), size, state.little)
            elseif option == "c" or option == "s" then
                part = checked_text(value, at, "pack", given)
                if option == "s" then
                    part = part .. "\0"
                elseif size > 0 then
                    if #part < size then
                        errors.argument(at + 1, "pack", "string too short")
                    end
                    part = sub(part, 1, size)
                end
            else
                value = checked_number(value, at, "pack", given)
                part = option == "f" and floats.single(value) or floats.double(value)
                part = state.little and reverse(part) or part
            end
        end
        part = pad > 0 and rep("\0", pad) .. part or part
        count = count + 1
        parts[count] = part
        position = position + #part
    end
end

local function too_short()
    errors.argument(2, "unpack", "data string too short")
end

-- The position from which unpack reads, counted from 0.
local function start_of(position, given)
    if position == nil then
        return 0
    end
    position = checked_number(position, 3, "unpack", given)
    position = position < 0 and ceil(position) or floor(position)
    if position == 0 then
        errors.argument(3, "unpack", "offset must be 1 or greater")
    end
    -- Others before the first byte are as far behind the last, without sign.
    return position > 0 and position - 1 or 1 / 0
end

-- The bytes that `c0` takes: what the value before it says, which is not a result then.
local function counted(data, position, values, count)
    local size = count > 0 and tonumber(values[count])
    if not size then
        errors.raise("format 'c0' needs a previous size")
    end
    size = size < 0 and ceil(size) or floor(size)
    if not (size >= 0 and size <= #data - position) then
        too_short()
    end
    return size
end

local function ended(data, position)
    local stop = find(data, "\0", position + 1, true)
    if not stop or position >= #data then
        errors.raise("unfinished string in data")
    end
    return sub(data, position + 1, stop - 1)
end

local function float_of(data, position, option, little)
    if option == "f" then
        local bytes = sub(data, position + 1, position + 4)
        return floats.from_single(little and reverse(bytes) or bytes, 1)
    end
    local bytes = sub(data, position + 1, position + 8)
    return floats.from_double(little and reverse(bytes) or bytes, 1)
end

function struct.unpack(...)
    local given = select("#", ...)
    local format, data, from = ...
    local state = reader(checked_text(format, 1, "unpack", given))
    data = checked_text(data, 2, "unpack", given)
    local position = start_of(from, given)
    local values, count = {}, 0
    while true do
        local option, size, pad = next_option(state, position, "unpack")
        if not option then
            count = count + 1
            values[count] = position + 1
            return unpack(values, 1, count)
        end
        position = position + pad
        if position + size > #data then
            too_short()
        end
        if count >= MAX_RESULTS then
            errors.raise("stack overflow (too many results)")
        end
        if option ~= "x" then
            local value
            if INTEGERS[option] then
                value = integer_of(data, position, size, state.little, SIGNED[option])
            elseif option == "c" then
                if size == 0 then
                    size = counted(data, position, values, count)
                    count = count - 1
                end
                value = sub(data, position + 1, position + size)
            elseif option == "s" then
                value = ended(data, position)
                size = #value + 1
            else
                value = float_of(data, position, option, state.little)
            end
            count = count + 1
            values[count] = value
        end
        position = position + size
    end
end

function struct.size(...)
    local state = reader(checked_text((...), 1, "size", select("#", ...)))
    local position = 0
    while true do
        local option, size, pad = next_option(state, position, "size", true)
        if not option then
            return position
        end
        if option == "s" then
            errors.argument(1, "size", "option 's' has no fixed size")
        elseif option == "c" and size == 0 then
            errors.argument(1, "size", "option 'c0' has no fixed size")
        end
        position = position + pad + size
    end
end

return struct
