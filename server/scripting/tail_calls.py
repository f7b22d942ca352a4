"""Compiled Lua, changed so that errors know where they arose.

`return redis.call(...)` is a tail call.  Redis's functions are written in C, and Lua keeps the frames of their callers;
ours are written in Lua and take the place of their caller, and with it goes the line that the error should name.  So
such calls are made usual ones: all of a script's main function, which nothing can call recursively, and elsewhere
those of a field with the name of one of Redis's functions.  Tail calls of anything else are as Lua makes them.

The format is that of Lua 5.1's own `string.dump`, made by this very interpreter a moment ago.
"""

from __future__ import annotations

import struct

#: What Lua 5.1 writes on machines with 64 bits that begin with the lowest byte.
_HEADER = b"\x1bLua\x51\x00\x01\x04\x08\x04\x08\x00"

_CALL, _TAIL_CALL = 28, 29
_GET_TABLE = 6
#: Instructions that put a value into their register A which may be called: MOVE, GETUPVAL, GETGLOBAL, GETTABLE, SELF,
#: CALL, CLOSURE.
_LOADS = frozenset({0, 4, 5, _GET_TABLE, 11, _CALL, 36})
#: From here on, C of GETTABLE is the number of a constant.
_CONSTANT = 256

_FUNCTIONS = frozenset({
    b"call", b"pcall", b"error_reply", b"status_reply", b"sha1hex", b"log", b"setresp", b"set_repl", b"acl_check_cmd",
    b"register_function",
    # Those of the libraries that may raise errors.
    b"encode", b"decode", b"encode_sparse_array", b"encode_max_depth", b"decode_max_depth", b"encode_number_precision",
    b"encode_keep_buffer", b"encode_invalid_numbers", b"decode_invalid_numbers", b"pack", b"unpack", b"unpack_one",
    b"unpack_limit", b"size", b"tobit", b"tohex", b"bnot", b"band", b"bor", b"bxor", b"lshift", b"rshift", b"arshift",
    b"rol", b"ror", b"bswap",
})  # fmt: skip


def keep_frames(code: bytes) -> bytes:
    """The same function, with usual calls in the place of some tail calls; the very same object if there are none."""
    if not code.startswith(_HEADER):
        return code
    patched = bytearray(code)
    _Reader(code, patched).function(main=True)
    return bytes(patched) if patched != code else code


class _Reader:
    """Walks through a dumped function and those inside of it."""

    def __init__(self, code: bytes, patched: bytearray) -> None:
        self._code = code
        self._patched = patched
        self._at = len(_HEADER)

    def function(self, *, main: bool = False) -> None:
        self._string()
        # The lines of its beginning and end, and four numbers of one byte.
        self._at += 12
        count = self._integer()
        start = self._at
        instructions = struct.unpack_from(f"<{count}I", self._code, start)
        self._at += 4 * count
        constants = [self._constant() for _ in range(self._integer())]
        for place, instruction in enumerate(instructions):
            if instruction & 63 == _TAIL_CALL and (main or _is_ours(instructions, place, constants)):
                struct.pack_into("<I", self._patched, start + 4 * place, instruction & ~63 | _CALL)
        for _ in range(self._integer()):
            self.function()
        self._skip_names()

    def _skip_names(self) -> None:
        """Skip lines, names of local variables and names of upvalues."""
        lines = self._integer()
        self._at += 4 * lines
        for _ in range(self._integer()):
            self._string()
            self._at += 8
        for _ in range(self._integer()):
            self._string()

    def _constant(self) -> bytes | None:
        """A constant, if it is a string."""
        kind = self._code[self._at]
        self._at += 1
        if kind == 4:
            return self._string()
        # nil, a boolean, a number
        self._at += {0: 0, 1: 1, 3: 8}[kind]
        return None

    def _integer(self) -> int:
        self._at += 4
        return int.from_bytes(self._code[self._at - 4 : self._at], "little")

    def _string(self) -> bytes:
        size = int.from_bytes(self._code[self._at : self._at + 8], "little")
        start = self._at + 8
        self._at = start + size
        # It ends with a NUL, unless there is none at all.
        return self._code[start : start + size - 1] if size else b""


def _is_ours(instructions: tuple[int, ...], place: int, constants: list[bytes | None]) -> bool:
    """Whether the function that a tail call calls was taken from a field with the name of one of Redis's functions."""
    register = instructions[place] >> 6 & 255
    for instruction in reversed(instructions[:place]):
        if instruction & 63 in _LOADS and instruction >> 6 & 255 == register:
            key = instruction >> 14 & 511
            return instruction & 63 == _GET_TABLE and key >= _CONSTANT and constants[key - _CONSTANT] in _FUNCTIONS
    return False
