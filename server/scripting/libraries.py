"""The libraries that Redis gives to scripts (cjson, cmsgpack, struct, bit), written in Lua in the folder `lua`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent / "lua"
_SOURCES = {
    name: (_FOLDER / f"{name}.lua").read_bytes()
    for name in ("libraries", "raise", "floats", "bit", "cjson", "cmsgpack", "struct")
}
#: The values of bit, cjson, cmsgpack and struct are tables that scripts must not be able to change.
NAMES = ("bit", "cjson", "cmsgpack", "struct")

_LOAD = b"""
function(main, sources)
  return assert(loadstring(main, "=library"))(sources, loadstring, newproxy, debug.getinfo)
end
"""


def load(lua: Any) -> Any:
    """The libraries' tables by name, as a Lua table, made in an interpreter that has lost nothing to the sandbox yet.

    What a script sets with functions like `cjson.encode_max_depth` holds as long as the interpreter lives, as in Redis.
    """
    sources = lua.table_from({name.encode(): source for name, source in _SOURCES.items()})
    return lua.eval(_LOAD)(_SOURCES["libraries"], sources)
