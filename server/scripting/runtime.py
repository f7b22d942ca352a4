"""A Lua interpreter with Redis's sandbox: it compiles scripts and libraries, and calls them with keys and arguments.

One is made for each storage worker that meets a script.  Scripts see what `lua/prelude.lua` gives them and nothing of
Python: the functions of the host are C functions to them, values that cross are strings, numbers, booleans and tables.

Functions of the host never raise into Lua.  What must end a script (a database that is away, SCRIPT KILL) is kept, the
script is made to fail at every instruction from then on, and `call` raises it when Lua has returned.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import lupa.lua51 as lua51

from protocol.errors import CommandError
from protocol.replies import Reply
from server.scripting import conversion, libraries
from server.scripting.cache import sha_of
from server.scripting.tail_calls import keep_frames

log = logging.getLogger("rowdis.scripting")

_PRELUDE = (Path(__file__).parent / "lua" / "prelude.lua").read_bytes()
#: What the prelude loads in turn.
_PARTS = [(Path(__file__).parent / "lua" / f"{name}.lua").read_bytes() for name in ("functions", "replies", "random")]
_LOAD = b'function(source, ...) return assert(loadstring(source, "=rowdis"))(...) end'

#: What one interpreter may hold, in bytes; a script that wants more ends with an error.
MAX_MEMORY = 256 * 1024 * 1024
#: Where Lua has no memory for what the host passes to it, the process would end: so much is kept free for that.
SPARE = 16 * 1024 * 1024
#: Instructions from one look whether the script must end to the next.
CHECK_EVERY = 10_000
#: Keys and arguments, and elements of replies, that are passed in one call; more go through a table.
SHORT = 200
#: Compiled scripts and libraries kept, those not used for longest given up first.
MAX_COMPILED = 500

_OUT_OF_MEMORY = b"not enough memory"
_LOG_LEVELS = (logging.DEBUG, logging.INFO, logging.INFO, logging.WARNING)

Function = Any
"""A Lua function, as `compile` gives it."""


class CompileError(Exception):
    """A script does not compile; the message is Lua's, e.g. "user_script:1: '=' expected near '<eof>'"."""

    def __init__(self, message: bytes) -> None:
        super().__init__(message)
        self.message = message


class Registered(NamedTuple):
    """A function of a library; `flags` are those of redis.register_function, in Redis's order."""

    name: bytes
    function: Function
    description: bytes | None
    flags: tuple[bytes, ...]


class Ended(Exception):
    """A script is ended from outside; its client is told by `message`, an error reply."""

    def __init__(self, message: bytes) -> None:
        super().__init__(message)
        self.message = message


class Call(Protocol):
    """What a script can ask for while it runs; see server/scripting/calls.py."""

    #: What stands behind "script:" in its errors: the SHA-1, or the name of the function.
    label: bytes

    def command(self, words: list[bytes]) -> Reply:
        """Execute a command, for `redis.call`. Raises CommandError, or what makes the whole unit fail."""

    def check(self) -> None:
        """Called now and then. Raises what ends the script: Ended, or what makes the whole unit fail."""

    def known(self, words: list[bytes]) -> bool:
        """Whether there is such a command."""


class Runtime:
    """One interpreter. It belongs to the thread that made it."""

    def __init__(self, version: bytes, *, max_memory: int = MAX_MEMORY) -> None:
        self._version = version
        self._max_memory = max_memory
        self._call: Call | None = None
        self._failure: BaseException | None = None
        self._resp = 2
        #: Where the script was when it was ended.
        self._ended_at: tuple[bytes | None, int | None] = None, None
        self._compiled: dict[bytes, Function] = {}
        #: What others keep with the interpreter, by names of their choice; gone when it is made anew.
        self.parts: dict[str, Any] = {}
        self._start()

    def _start(self) -> None:
        """Make the interpreter; also anew, when a script has left it without memory."""
        self._lua = lua = lua51.LuaRuntime(
            encoding=None,
            register_eval=False,
            register_builtins=False,
            unpack_returned_tuples=True,
            attribute_filter=_nothing,
            max_memory=self._max_memory,
        )
        self._compiled.clear()
        self.parts.clear()
        host = lua.table_from({
            b"call": self._command, b"check": self._check, b"log": _log, b"sha1": self._sha1,
            b"set_resp": self._set_resp, b"known": self._known, b"note_end": self._note_end,
            b"keep_frames": keep_frames,
        })  # fmt: skip
        major, minor, patch = map(int, self._version.split(b"."))
        number = major << 16 | minor << 8 | patch
        load = lua.eval(_LOAD)
        handles = load(_PRELUDE, host, libraries.load(lua), self._version, number, CHECK_EVERY, *_PARTS)
        self._run, self._run_with = handles[b"run"], handles[b"run_with"]
        self._call_function = handles[b"call_function"]
        self._load, self._unpack = handles[b"compile"], handles[b"unpack"]
        self._load_library, self._callback = handles[b"load_library"], handles[b"callback"]
        self._functions_of = handles[b"functions_of"]

    @property
    def memory(self) -> int:
        """Bytes that the interpreter holds."""
        # It is counted from a base that garbage of the start is part of.
        return int(self._lua.get_memory_used(total=True))

    # -- for the server

    def compile(self, body: bytes, chunk_name: bytes = b"@user_script") -> Function:
        """The function that a script or library is. Raises CompileError."""
        if not self._has_room(len(body)):
            raise CompileError(_OUT_OF_MEMORY)
        try:
            function = self._load(body, chunk_name)
        except (lua51.LuaError, MemoryError):
            self._start()
            raise CompileError(_OUT_OF_MEMORY) from None
        if type(function) is tuple:
            raise CompileError(function[1])
        return function

    def script(self, key: bytes, body: Callable[[], bytes]) -> Function:
        """A compiled script by a key (its SHA-1), compiled of its body if it is not at hand. Raises CompileError."""
        compiled = self._compiled
        function = compiled.pop(key, None)
        if function is None:
            function = self.compile(body())
            if len(compiled) >= MAX_COMPILED:
                del compiled[next(iter(compiled))]
        # The last is the one used last.
        compiled[key] = function
        return function

    def run(self, function: Function, call: Call, count: int, words: Sequence[bytes]) -> Reply:
        """Run a script with KEYS, the first `count` of the words, and ARGV, the others; its reply.

        Raises CommandError if it fails, or whatever `call` raised that is none.
        """
        self._check_room(words, call)
        if len(words) <= SHORT:
            return self._enter(call, self._run, function, count, *words)
        keys, arguments = self._lua.table_from(words[:count]), self._lua.table_from(words[count:])
        return self._enter(call, self._run_with, function, keys, arguments)

    def call(self, function: Function, call: Call, count: int, words: Sequence[bytes]) -> Reply:
        """Call a function with a list of keys and one of arguments (FCALL); otherwise as `run`."""
        self._check_room(words, call)
        keys, arguments = self._lua.table_from(words[:count]), self._lua.table_from(words[count:])
        return self._enter(call, self._call_function, function, keys, arguments)

    def load_library(self, code: bytes, call: Call) -> list[Registered]:
        """Run the code of a library, which registers functions; these, in the order in which that happened.

        Raises CompileError; CommandError if it fails, with Lua's message as in "ERR user_function:2: ...".
        """
        chunk = self.compile(code, b"@user_function")
        self._call, self._failure = call, None
        try:
            loaded = self._load_library(chunk)
            if self._failure is not None:
                raise self._failure
            if type(loaded) is tuple:
                raise CommandError(loaded[0])
            value, _, *length = self._functions_of(loaded)
            found: Any = conversion.from_tokens(self._elements(value, *length), 2) if length else []
        except (lua51.LuaError, MemoryError) as error:
            if self._failure is not None:
                raise self._failure from None
            self._start()
            raise CommandError(b"ERR not enough memory") from error
        finally:
            self._call = self._failure = None
        return [
            Registered(name, self._callback(loaded, name), description, tuple(flags))
            for name, description, flags in found
        ]

    def _enter(self, call: Call, run: Callable[..., Any], *arguments: Any) -> Reply:
        self._call, self._failure, self._resp = call, None, 2
        try:
            result = run(*arguments)
            if self._failure is None:
                if type(result) is not tuple:
                    return conversion.scalar(result, self._resp)
                return self._settle(result, call)
        except lua51.LuaError as error:
            if self._failure is None:
                return self._gone_wrong(error, call)
        finally:
            self._call = None
            failure, self._failure = self._failure, None
            self._tidy()
        assert failure is not None
        if isinstance(failure, Ended):
            raise _located(failure.message, call.label, *self._ended_at)
        raise failure

    def _has_room(self, size: int) -> bool:
        """Whether so many bytes can be passed to Lua."""
        return bool(self._lua.get_memory_used(total=True) + size <= self._max_memory - SPARE)

    def _check_room(self, words: Sequence[bytes], call: Call) -> None:
        if not self._has_room(conversion.weight(words)):
            raise _located(b"ERR not enough memory", call.label, None, None)

    def _tidy(self) -> None:
        """See to it that the next script has at least half of the memory."""
        if self.memory > self._max_memory // 2:
            self._lua.gccollect()
            if self.memory > self._max_memory // 2:
                self._start()

    def _settle(self, result: tuple[Any, ...], call: Call) -> Reply:
        value, kind = result[0], result[1]
        if kind == conversion.FAILED:
            message, source, line = value, *result[2:4]
            if message.endswith(_OUT_OF_MEMORY):
                self._start()
            raise _located(message, call.label, source, line)
        if kind == conversion.TOKENS:
            return conversion.from_tokens(self._elements(value, result[2]), self._resp)
        return conversion.reply(value, kind, result[2:], self._resp)

    def _elements(self, table: Any, length: int) -> list[Any]:
        """The elements of a Lua table, a piece at a time."""
        elements: list[Any] = []
        for start in range(1, length + 1, SHORT):
            some = self._unpack(table, start, min(start + SHORT - 1, length))
            if type(some) is tuple:
                elements += some
            else:
                elements.append(some)
        return elements

    def _gone_wrong(self, error: Exception, call: Call) -> Reply:
        """An error that even the sandbox's own handler could not take: no memory, or no room on the stack."""
        self._start()
        if isinstance(error, MemoryError):
            raise CommandError(b"ERR not enough memory script: %b" % call.label)
        raise CommandError(b"ERR Error running script %b, error in error handling" % call.label)

    # -- for Lua: nothing here may raise

    def _command(self, *words: Any) -> Any:
        call = self._call
        if self._failure is not None:
            return None, conversion.ABORT
        try:
            if call is None:
                raise CommandError(b"ERR redis.call can only be used while a script runs")
            if not words:
                raise CommandError(b"ERR Please specify at least one argument for this redis lib call")
            reply = call.command(conversion.arguments(words))
            if not self._has_room(len(reply) if type(reply) is bytes else conversion.weight(reply)):
                raise Ended(b"ERR not enough memory")
            if type(reply) is bytes or type(reply) is int:
                return reply
            return conversion.to_lua(reply, self._resp, self._lua)
        except CommandError as error:
            return error.message, conversion.ERROR
        except BaseException as error:
            # Without its traceback, which would keep this frame and all that hangs on it alive.
            self._failure = error
            return None, conversion.ABORT

    def _check(self) -> bool:
        """Whether the script must end."""
        if self._failure is None and self._call is not None:
            try:
                self._call.check()
            except BaseException as error:
                self._failure = error
        return self._failure is not None

    def _note_end(self, source: bytes | None = None, line: int | None = None) -> None:
        self._ended_at = source, line

    def _set_resp(self, version: int) -> None:
        self._resp = int(version)

    def _sha1(self, data: bytes) -> bytes | None:
        return sha_of(data) if self._has_room(0) else None

    def _known(self, *words: Any) -> Any:
        try:
            if not words:
                raise CommandError(b"ERR Please specify at least one argument for this redis lib call")
            call = self._call
            if call is None or not call.known(list(conversion.arguments(words))):
                raise CommandError(b"ERR Invalid command passed to redis.acl_check_cmd()")
        except CommandError as error:
            return False, error.message
        return True


def _located(message: bytes, label: bytes, source: bytes | None, line: int | None) -> CommandError:
    """An error of a script with the place where it arose, if that is known."""
    place = b"" if source is None or line is None else b", on %b:%d." % (source, line)
    return CommandError(b"%b script: %b%b" % (message, label, place))


def _nothing(value: object, name: object, setting: bool) -> object:
    """lupa's filter of attributes: no attribute of anything is within reach."""
    raise AttributeError("not available")


def _log(level: float, message: bytes) -> None:
    log.log(_LOG_LEVELS[int(level)], "%s", message.decode("utf-8", "backslashreplace"))


_LOCAL = threading.local()
_ALL: list[Runtime] = []


def interpreters_bytes() -> int:
    """What all interpreters of this process hold, in bytes."""
    return sum(runtime.memory for runtime in _ALL)


def runtime_of_this_thread(version: str) -> Runtime:
    """The interpreter of the calling thread, made when it is first asked for."""
    found: Runtime | None = getattr(_LOCAL, "runtime", None)
    if found is None:
        found = _LOCAL.runtime = Runtime(version.encode())
        _ALL.append(found)
    return found
