"""The libraries for scripts do what they do in a real redis-server, which runs the same Lua by EVAL."""

import functools
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lupa import lua51

from server.scripting import libraries
from tests.property.conftest import Conversation

_FILE = Path(__file__).with_name("library_snippets.lua")
#: An example holds several values, each of which is a script that is compiled twice.
SOME = settings(max_examples=100, deadline=None)
SNIPPETS = [line for line in _FILE.read_text().splitlines() if line and not line.startswith("--")]

#: Shows values so that equal text means equal values; order of keys is that of the interpreter, which is the same.
_SHOW = r"""
local function show(value)
  local kind = type(value)
  if kind == "string" then
    return "<" .. value .. ">"
  elseif kind == "number" then
    return string.format("%.17g", value)
  elseif kind == "table" then
    local parts = {}
    for key, element in pairs(value) do
      parts[#parts + 1] = show(key) .. "=" .. show(element)
    end
    return "{" .. table.concat(parts, ",") .. "}"
  elseif value == cjson.null then
    return "null"
  end
  return (tostring(value):gsub("0x%x+", "..."))
end
"""
# Not `return f()` as it stands: a function in Lua, unlike one in C, takes over the place of who calls it so.
_RUN = """
local ok, found = pcall(function() {before} local found = {{ {values} }} return found end)
return show(ok) .. " " .. show(found)
"""


@functools.cache
def interpreter() -> Any:
    lua = lua51.LuaRuntime(encoding=None, register_eval=False, register_builtins=False)
    tables = libraries.load(lua)
    for name in libraries.NAMES:
        lua.globals()[name.encode()] = tables[name.encode()]
    return lua.eval(b'function(source) return assert(loadstring(source, "@user_script"))() end')


def script(snippet: str) -> bytes:
    before, _, values = snippet.partition("return ")
    return (_SHOW + _RUN.format(before=before, values=values)).encode()


def differences(oracle: Conversation, snippets: list[str]) -> list[str]:
    theirs = oracle.ask([[b"EVAL", script(snippet), b"0"] for snippet in snippets])
    ours = [interpreter()(script(snippet)) for snippet in snippets]
    return [
        f"{snippet}\n  here {mine[:300]!r}\n  Redis {other[:300]!r}"
        for snippet, mine, other in zip(snippets, ours, theirs, strict=True)
        if mine != other
    ]


@pytest.mark.parametrize("library", libraries.NAMES)
def test_snippets_give_what_they_give_in_redis(redis_oracle: Conversation, library: str) -> None:
    chosen = [snippet for snippet in SNIPPETS if f"{library}." in snippet]
    assert len(chosen) > 50
    assert differences(redis_oracle, chosen) == []


# -- any values


def literal(data: bytes) -> str:
    return '"' + "".join(f"\\{byte:03d}" for byte in data) + '"'


doubles = st.floats(allow_nan=False, allow_infinity=False)
integers = st.one_of(st.integers(-300, 300), st.integers(-(2**53), 2**53), st.integers(-(2**63), 2**63 - 1))
numbers = st.one_of(doubles, st.floats(width=32, allow_nan=False, allow_infinity=False), integers.map(float))
numerals = numbers.map(lambda number: f"{float(number)!r}")
strings = st.one_of(st.binary(max_size=40), st.text(max_size=20).map(str.encode)).map(literal)
leaves = st.one_of(numerals, strings, st.sampled_from(["true", "false", "cjson.null"]))


def tables(element: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    # Of longer strings the interpreters hash other bytes, which gives another order.
    keys = st.one_of(st.binary(max_size=31).map(literal), integers.map(str))
    return st.one_of(
        st.lists(element, max_size=20).map(lambda items: "{" + ",".join(items) + "}"),
        st.lists(st.tuples(keys, element), max_size=6).map(
            lambda pairs: "{" + ",".join(f"[{key}]={value}" for key, value in pairs) + "}"
        ),
    )


values = st.recursive(leaves, tables, max_leaves=12)


@SOME
@given(st.lists(values, min_size=1, max_size=5))
def test_any_value_is_packed_as_by_redis_and_comes_back(redis_oracle: Conversation, made: list[str]) -> None:
    packing = [f"local v = {value} local p = cmsgpack.pack(v) return p, cmsgpack.unpack(p)" for value in made]
    encoding = [f"local v = {value} local e = cjson.encode(v) return e, cjson.decode(e)" for value in made]
    assert differences(redis_oracle, packing + encoding) == []


near_json = st.lists(
    st.sampled_from([
        *"[]{},:\"\\ \n0123456789.-+eEfnui", "true", "false", "null", "nan", "inf", "0x", '"a":', '""', "\\u",
        "\\ud83d", "\\ude00", "\\n", "\0", "\x7f", "é",
    ]),
    max_size=12,
).map(lambda parts: "".join(parts).encode())  # fmt: skip


@SOME
@given(st.lists(st.one_of(near_json, near_json.map(lambda inner: b"[" + inner + b"]")), min_size=1, max_size=20))
def test_anything_is_decoded_or_refused_as_by_redis(redis_oracle: Conversation, made: list[bytes]) -> None:
    assert differences(redis_oracle, [f"return cjson.decode({literal(data)})" for data in made]) == []


@SOME
@given(st.lists(st.binary(max_size=30), min_size=1, max_size=20))
def test_any_bytes_are_unpacked_or_refused_as_by_redis(redis_oracle: Conversation, made: list[bytes]) -> None:
    assert differences(redis_oracle, [f"return cmsgpack.unpack({literal(data)})" for data in made]) == []


@SOME
@given(st.lists(st.tuples(numerals, numerals, st.integers(-40, 40)), min_size=1, max_size=10))
def test_any_numbers_have_the_bits_that_they_have_in_redis(
    redis_oracle: Conversation, made: list[tuple[str, str, int]]
) -> None:
    snippets = []
    for x, y, n in made:
        snippets += [
            f"return bit.band({x},{y}), bit.bor({x},{y}), bit.bxor({x},{y}), bit.bnot({x}), bit.bswap({x})",
            f"return bit.rol({x},{n}), bit.ror({x},{n}), bit.lshift({x},{n})",
            f"return bit.rshift({x},{n}), bit.arshift({x},{n})",
            f"return bit.tohex({x},{n}), struct.pack('>i8d<I8fi3', {x},{x},{y},{y},{x})",
            f"local p = struct.pack('!>i8d<I8fi3', {x},{x},{y},{y},{x}) return struct.unpack('!>i8d<I8fi3', p)",
        ]
    assert differences(redis_oracle, snippets) == []
