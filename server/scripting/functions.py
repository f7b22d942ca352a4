"""Libraries of functions as one interpreter holds them, and the rules by which their code becomes functions.

The code lives in the database (storage/functions.py).  Each interpreter runs it for itself, so what a library keeps in
local variables is that interpreter's own.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass

from protocol.errors import CommandError
from protocol.parser import split_inline
from protocol.replies import Reply
from server.scripting.runtime import CompileError, Registered, Runtime
from storage import functions as store
from storage.unit import Attempt

#: Seconds that the code of a library may take to register its functions.
LOAD_S = 0.5

_NAME = re.compile(rb"[A-Za-z0-9_]+")
_BAD_NAME = (
    b"ERR Library names can only contain letters, numbers, or underscores(_) and must be at least one character long"
)


@dataclass(frozen=True, slots=True)
class Library:
    """A library in one interpreter. `code` is as it was sent, its first line included."""

    name: bytes
    code: bytes
    functions: tuple[Registered, ...]


class Catalog:
    """Libraries by name, and their functions by name in lower case."""

    def __init__(self, libraries: Iterable[Library] = ()) -> None:
        self.libraries: dict[bytes, Library] = {}
        self.functions: dict[bytes, Registered] = {}
        #: How many functions there are, those included that another one hides whose name differs by case only.
        self.count = 0
        for library in libraries:
            self.add(library)

    def add(self, library: Library) -> None:
        self.libraries[library.name] = library
        self.count += len(library.functions)
        for function in library.functions:
            self.functions.setdefault(function.name.lower(), function)

    def check(self, library: Library) -> None:
        """CommandError if a function of this name is in another library."""
        own = self.libraries.get(library.name)
        replaced = {function.name.lower() for function in own.functions} if own is not None else set()
        for function in library.functions:
            lower = function.name.lower()
            if lower in self.functions and lower not in replaced:
                raise CommandError(b"ERR Function %b already exists" % function.name)

    def without(self, names: set[bytes]) -> Catalog:
        """The others."""
        return Catalog(library for library in self.libraries.values() if library.name not in names)


def catalog_of(runtime: Runtime, attempt: Attempt) -> Catalog:
    """What there is for this attempt. Costs nothing unless there was a change since the interpreter was last asked."""
    number = attempt.map.functions
    known: tuple[int, Catalog] | None = runtime.parts.get("functions")
    if known is not None and known[0] == number:
        return known[1]
    before = known[1].libraries if known is not None else {}
    catalog = Catalog()
    for name, code in store.every(attempt).items():
        library = before.get(name)
        catalog.add(library if library is not None and library.code == code else load(runtime, name, code))
    keep(runtime, attempt, catalog)
    return catalog


def keep(runtime: Runtime, attempt: Attempt, catalog: Catalog) -> None:
    """Let this be what there is for this attempt, and for later ones until there is a change."""
    runtime.parts["functions"] = attempt.map.functions, catalog


def load(runtime: Runtime, name: bytes, code: bytes) -> Library:
    """Make a library of its code. CommandError, as FUNCTION LOAD gives it, if that can't be done."""
    # The line in the place of the first one lets lines count as in what was sent.
    body = b"\n" + code.partition(b"\n")[2]
    try:
        functions = runtime.load_library(body, _Loading())
    except CompileError as error:
        raise CommandError(b"ERR Error compiling function: " + error.message) from None
    except CommandError as error:
        raise CommandError(b"ERR Error registering functions: " + error.message) from None
    if not functions:
        raise CommandError(b"ERR No functions registered")
    return Library(name, code, tuple(functions))


def name_of(code: bytes) -> bytes:
    """The name that the code of a library says in its first line, "#!lua name=..."; CommandError if it says none."""
    if not code.startswith(b"#!"):
        raise CommandError(b"ERR Missing library metadata")
    line, end, _ = code.partition(b"\n")
    try:
        words = split_inline(line)
    except ValueError:
        words = []
    if not end or not words:
        raise CommandError(b"ERR Invalid library metadata")
    name: bytes | None = None
    for word in words[1:]:
        if word[:5].lower() != b"name=":
            raise CommandError(b"ERR Invalid metadata value given: %b" % word)
        if name is not None:
            raise CommandError(b"ERR Invalid metadata value, name argument was given multiple times")
        name = word[5:]
    if name is None:
        raise CommandError(b"ERR Library name was not given")
    if not _NAME.fullmatch(name):
        raise CommandError(_BAD_NAME)
    engine = words[0][2:]
    if engine.lower() != b"lua":
        raise CommandError(b"ERR Engine '%b' not found" % engine)
    return name


class _Loading:
    """What the code of a library can ask for while it is loaded: nothing, and not for long."""

    label = b""

    def __init__(self) -> None:
        self._until = time.monotonic() + LOAD_S

    def command(self, words: list[bytes]) -> Reply:
        raise CommandError(b"ERR redis.call is not available while a library is loaded")

    def known(self, words: list[bytes]) -> bool:
        return False

    def check(self) -> None:
        if time.monotonic() > self._until:
            raise CommandError(b"ERR FUNCTION LOAD timeout")
