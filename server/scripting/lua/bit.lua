-- Redis's `bit`: operations on the 32 bits of integers.
--
-- Chunk arguments: the table that raise.lua returns. Returns: the library's table.
--
-- Lua 5.1 has only doubles. A number is cut to its 32 bits as the original does: by the low bits of its sum with
-- 2^52 + 2^51, which says how fractions are rounded (half to even) and what becomes of numbers beyond 2^51.
-- Inside, bits are unsigned, 0 <= x < 2^32; results are signed.

local errors = ...
local type, select = type, select
local floor, frexp = math.floor, math.frexp
local format, sub = string.format, string.sub

local MAGIC = 6755399441055744
local RANGE = 4294967296
local HALF = 2147483648

-- and of two numbers of four bits: AND[x * 16 + y]
local AND = {}
for x = 0, 15 do
    for y = 0, 15 do
        local both, bit = 0, 1
        while bit < 16 do
            if x % (bit * 2) >= bit and y % (bit * 2) >= bit then
                both = both + bit
            end
            bit = bit * 2
        end
        AND[x * 16 + y] = both
    end
end

local function bits(number, position, name, given)
    if type(number) ~= "number" then
        number = errors.number(number, position, name, given)
    end
    local sum = number + MAGIC
    if sum >= 4503599627370496 and sum < 9007199254740992 then
        return sum % RANGE
    end
    if sum ~= sum or sum - sum ~= 0 then
        return 0
    end
    local mantissa = frexp(sum < 0 and -sum or sum)
    return mantissa * 9007199254740992 % RANGE
end

local function signed(x)
    if x >= HALF then
        return x - RANGE
    end
    return x
end

local function both(x, y)
    local result, place = 0, 1
    while x > 0 and y > 0 do
        local a, b = x % 16, y % 16
        result = result + AND[a * 16 + b] * place
        x, y, place = (x - a) / 16, (y - b) / 16, place * 16
    end
    return result
end

-- A function that joins any number of arguments; `join` takes and gives unsigned bits.
local function joining(name, join)
    return function(...)
        local given = select("#", ...)
        local result = bits((...), 1, name, given)
        for position = 2, given do
            result = join(result, bits((select(position, ...)), position, name, given))
        end
        return signed(result)
    end
end

-- A function of a number and a distance, of which only the low five bits count.
local function moving(name, move)
    return function(...)
        local given = select("#", ...)
        local number, distance = ...
        number = bits(number, 1, name, given)
        return signed(move(number, bits(distance, 2, name, given) % 32))
    end
end

local function left(x, distance)
    return x % 2 ^ (32 - distance) * 2 ^ distance
end

local function right(x, distance)
    return floor(x / 2 ^ distance)
end

local function rotated(x, distance)
    return left(x, distance) + right(x, 32 - distance)
end

local bit = {}

function bit.tobit(...)
    return signed(bits((...), 1, "tobit", select("#", ...)))
end

function bit.bnot(...)
    return signed(RANGE - 1 - bits((...), 1, "bnot", select("#", ...)))
end

bit.band = joining("band", both)
bit.bor = joining("bor", function(x, y)
    return x + y - both(x, y)
end)
bit.bxor = joining("bxor", function(x, y)
    return x + y - 2 * both(x, y)
end)

bit.lshift = moving("lshift", left)
bit.rshift = moving("rshift", right)
bit.arshift = moving("arshift", function(x, distance)
    return floor(signed(x) / 2 ^ distance) % RANGE
end)
bit.rol = moving("rol", rotated)
bit.ror = moving("ror", function(x, distance)
    return rotated(x, (32 - distance) % 32)
end)

function bit.bswap(...)
    local x = bits((...), 1, "bswap", select("#", ...))
    local a, b, c = x % 256, floor(x / 256) % 256, floor(x / 65536) % 256
    return signed(a * 16777216 + b * 65536 + c * 256 + floor(x / 16777216))
end

function bit.tohex(...)
    local given = select("#", ...)
    local number, digits = ...
    number = bits(number, 1, "tohex", given)
    digits = given < 2 and 8 or signed(bits(digits, 2, "tohex", given))
    local form = "%08x"
    if digits < 0 then
        form, digits = "%08X", -digits
    end
    return sub(format(form, number), digits < 8 and 9 - digits or 1)
end

return bit
