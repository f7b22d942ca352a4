-- Redis's libraries for scripts, put together. The other files here say what each needs.
--
-- Chunk arguments: the sources by name, and the functions that the sandbox takes away from scripts: loadstring,
-- newproxy, debug.getinfo. Returns: the tables of `cjson`, `cmsgpack`, `struct` and `bit` by name.

local sources, loadstring, newproxy, getinfo = ...
local NAME = "=library"

local function load(name, ...)
    local chunk, problem = loadstring(sources[name], NAME)
    if not chunk then
        error(name .. ": " .. problem)
    end
    return chunk(...)
end

-- In Redis this is a null pointer, which has no metatable and says that it is null.
local null = newproxy(true)
local metatable = getmetatable(null)
metatable.__metatable = false
function metatable.__tostring()
    return "userdata: (nil)"
end

local errors = load("raise", getinfo, NAME)
local floats = load("floats")
return {
    bit = load("bit", errors),
    cjson = load("cjson", errors, null),
    cmsgpack = load("cmsgpack", errors, floats),
    struct = load("struct", errors, floats),
}
