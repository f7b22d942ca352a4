-- Numbers as the bytes of IEEE 754, most significant first, and back.
--
-- Returns: a table of `single(x)` (4 bytes, rounded half to even), `double(x)` (8 bytes), `from_single(bytes, i)`,
-- `from_double(bytes, i)` (read at the position i, where there are enough bytes) and `is_single(x)` (whether 4 bytes
-- hold x exactly; never of a NaN).

local byte, char, sub = string.byte, string.char, string.sub
local floor, frexp, ldexp = math.floor, math.frexp, math.ldexp
local tostring = tostring

local INFINITY = math.huge
-- The C library says the sign of a NaN when it prints it, and nothing else in Lua does.
local NEGATIVE_NAN = sub(tostring(0 / 0), 1, 1) == "-" and 0 / 0 or -(0 / 0)
local POSITIVE_NAN = -NEGATIVE_NAN

local function negative(x)
    if x ~= x then
        return sub(tostring(x), 1, 1) == "-"
    end
    return x < 0 or x == 0 and 1 / x < 0
end

local function rounded(x)
    local whole = floor(x)
    local rest = x - whole
    if rest > 0.5 or rest == 0.5 and whole % 2 == 1 then
        return whole + 1
    end
    return whole
end

-- The bits of |x| as exponent * 2^digits + fraction, for a format with so many digits of fraction and that bias.
local function magnitude(x, digits, bias)
    local unit = 2 ^ digits
    local special = (2 * bias + 1) * unit
    if x ~= x then
        return special + unit / 2
    end
    if x < 0 then
        x = -x
    end
    if x == 0 or x == INFINITY then
        return x == 0 and 0 or special
    end
    local fraction, exponent = frexp(x)
    exponent = exponent + bias - 1
    if exponent <= 0 then
        return rounded(ldexp(fraction, digits + exponent))
    end
    -- A fraction that is rounded up to the next power of two carries over into the exponent, as it should.
    local bits = (exponent - 1) * unit + rounded(fraction * 2 * unit)
    return bits < special and bits or special
end

local function single(x)
    local bits = magnitude(x, 23, 127)
    local top = floor(bits / 16777216)
    return char(
        negative(x) and top + 128 or top, floor(bits / 65536) % 256, floor(bits / 256) % 256, bits % 256
    )
end

-- A double has 63 bits of magnitude, more than a number can count: its fraction is taken apart on its own.
local function double(x)
    local exponent, fraction = 0, 0
    if x ~= x then
        exponent, fraction = 2047, 2251799813685248
    elseif x == INFINITY or x == -INFINITY then
        exponent = 2047
    elseif x ~= 0 then
        fraction, exponent = frexp(x < 0 and -x or x)
        exponent = exponent + 1022
        if exponent <= 0 then
            fraction, exponent = ldexp(fraction, 52 + exponent), 0
        else
            fraction = (fraction * 2 - 1) * 4503599627370496
        end
    end
    local high = floor(fraction / 4294967296)
    local low = fraction % 4294967296
    local top = floor(exponent / 16)
    return char(
        negative(x) and top + 128 or top, exponent % 16 * 16 + floor(high / 65536), floor(high / 256) % 256, high % 256,
        floor(low / 16777216), floor(low / 65536) % 256, floor(low / 256) % 256, low % 256
    )
end

local function assembled(minus, exponent, fraction, digits, bias)
    local unit = 2 ^ digits
    local x
    if exponent == 2 * bias + 1 then
        if fraction ~= 0 then
            return minus and NEGATIVE_NAN or POSITIVE_NAN
        end
        x = INFINITY
    elseif exponent == 0 then
        x = ldexp(fraction, 1 - bias - digits)
    else
        x = ldexp(fraction + unit, exponent - bias - digits)
    end
    return minus and -x or x
end

local function from_single(bytes, i)
    local a, b, c, d = byte(bytes, i, i + 3)
    local minus = a >= 128
    return assembled(minus, a % 128 * 2 + floor(b / 128), b % 128 * 65536 + c * 256 + d, 23, 127)
end

local function from_double(bytes, i)
    local a, b, c, d, e, f, g, h = byte(bytes, i, i + 7)
    local minus = a >= 128
    local fraction = (b % 16 * 65536 + c * 256 + d) * 4294967296 + e * 16777216 + f * 65536 + g * 256 + h
    return assembled(minus, a % 128 * 16 + floor(b / 16), fraction, 52, 1023)
end

local function is_single(x)
    if x == INFINITY or x == -INFINITY then
        return true
    end
    local fraction, exponent = frexp(x)
    local scaled = ldexp(fraction, exponent < -125 and exponent + 149 or 24)
    return exponent <= 128 and scaled == floor(scaled)
end

return { single = single, double = double, from_single = from_single, from_double = from_double, is_single = is_single }
