-- Redis's math.random and math.randomseed. Returns the two.

local error, floor, select, tonumber, type = error, math.floor, select, tonumber, type

local function bad_argument(number, name, ...)
    local got = select("#", ...) == 0 and "no value" or type((...))
    error("bad argument #" .. number .. " to '" .. name .. "' (number expected, got " .. got .. ")", 3)
end

local function generator()
    -- The sequence of POSIX's lrand48, on three limbs of 16 bits.
    local low, middle, high = 0x330E, 0xABCD, 0x1234
    local function seed(number)
        low, middle, high = 0x330E, number % 65536, floor(number / 65536) % 65536
    end
    local function draw()
        local product = low * 0xE66D + 0xB
        local next_low = product % 65536
        product = floor(product / 65536) + low * 0xDEEC + middle * 0xE66D
        local next_middle = product % 65536
        product = floor(product / 65536) + low * 0x5 + middle * 0xDEEC + high * 0xE66D
        low, middle, high = next_low, next_middle, product % 65536
        return high * 32768 + floor(middle / 2)
    end
    return seed, draw
end

local seed, draw = generator()

local function random(...)
    local part = draw() % 2147483647 / 2147483647
    local count = select("#", ...)
    if count == 0 then
        return part
    end
    local low, top = ...
    low, top = tonumber(low), tonumber(top)
    if low == nil then
        bad_argument(1, "random", (...))
    end
    if count == 1 then
        if low < 1 then
            error("bad argument #1 to 'random' (interval is empty)", 2)
        end
        return floor(part * floor(low)) + 1
    elseif count == 2 then
        if top == nil then
            bad_argument(2, "random", (select(2, ...)))
        elseif low > top then
            error("bad argument #2 to 'random' (interval is empty)", 2)
        end
        low, top = floor(low), floor(top)
        return floor(part * (top - low + 1)) + low
    end
    error("wrong number of arguments", 2)
end

local function randomseed(number)
    local value = tonumber(number)
    if value == nil then
        bad_argument(1, "randomseed", number)
    end
    -- Towards zero, then modulo 2^32, as C does it.
    value = value < 0 and -floor(-value) or floor(value)
    seed(value % 4294967296)
end

return random, randomseed
