"""The syntax line of a command, read into what COMMAND DOCS calls its arguments.

    key value [NX | XX] [GET] [EX seconds | PX milliseconds]

Words in capitals are tokens; a token takes the words behind it, up to the next bracket or bar. `[...]` is optional,
`<...>` only groups, `|` separates alternatives. `...` says that what stands before it may come several times, and so
does a group `[name ...]` behind its twin.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_WORD = re.compile(r"\.\.\.|[\[\]<>|]|[^\s\[\]<>|]+")
_TOKEN = re.compile(r"[A-Z][A-Z0-9-]*")
_CLOSING = {"[": "]", "<": ">"}

_INTEGERS = frozenset(
    {
        "client-id", "count", "cursor", "db", "decrement", "destination-db", "end", "increment", "index", "index1",
        "index2", "limit", "maxage", "maxlen", "milliseconds", "min-match-len", "numkeys", "numlocal", "numreplicas",
        "offset", "protover", "seconds", "start", "stop", "timeout", "version",
    }
)  # fmt: skip
_TIMES = frozenset({"unix-time-seconds", "unix-time-milliseconds"})
_KEYS = re.compile(r"key[0-9]?|newkey|source|sourcekey|destination|destkey")


@dataclass
class Argument:
    """One argument; its kind is a type of COMMAND DOCS: "key", "string", "pure-token", "oneof", "block" ..."""

    name: str
    kind: str
    token: str = ""
    optional: bool = False
    multiple: bool = False
    inner: list[Argument] = field(default_factory=list)


def parse(syntax: str) -> list[Argument]:
    """The arguments that a syntax line tells of. ValueError if it is not well formed."""
    words = _WORD.findall(syntax)
    arguments, position = _sequence(words, 0, "")
    if position != len(words):
        raise ValueError(f"unexpected {words[position]!r} in {syntax!r}")
    return arguments


def _sequence(words: list[str], position: int, closing: str) -> tuple[list[Argument], int]:
    """Arguments one after the other, up to a bar, the closing bracket or the end."""
    found: list[Argument] = []
    while position < len(words) and words[position] not in ("|", closing):
        word = words[position]
        if word == "...":
            if not found:
                raise ValueError("nothing stands before ...")
            found[-1].multiple = True
            position += 1
        elif word in _CLOSING:
            group, position = _group(words, position)
            if group.multiple and found and _repeats(group, found):
                _mark_repeated(group, found)
            else:
                found.append(group)
        elif word in "]>":
            raise ValueError(f"{word!r} closes nothing")
        elif _TOKEN.fullmatch(word):
            argument, position = _token(words, position, closing)
            found.append(argument)
        else:
            found.append(_plain(word))
            position += 1
    return found, position


def _group(words: list[str], position: int) -> tuple[Argument, int]:
    """What stands in brackets, as one argument."""
    opening = words[position]
    closing = _CLOSING[opening]
    alternatives: list[list[Argument]] = []
    position += 1
    while True:
        inner, position = _sequence(words, position, closing)
        alternatives.append(inner)
        if position >= len(words):
            raise ValueError(f"{opening!r} is not closed")
        position += 1
        if words[position - 1] == closing:
            break
    if len(alternatives) > 1:
        argument = Argument("choice", "oneof", inner=[_one(inner) for inner in alternatives])
        argument.name = "-or-".join(inner.name for inner in argument.inner[:2])
    else:
        argument = _one(alternatives[0])
        if argument.kind == "block" and alternatives[0][-1].multiple:
            # [key value ...]: what may come several times is both together.
            alternatives[0][-1].multiple = False
            argument.multiple = True
    argument.optional = opening == "["
    return argument, position


def _token(words: list[str], position: int, closing: str) -> tuple[Argument, int]:
    """A token and what belongs to it: the plain words behind it, or a group."""
    token = words[position]
    position += 1
    inner: list[Argument] = []
    while position < len(words) and words[position] not in ("|", closing, "..."):
        if _TOKEN.fullmatch(words[position]):
            break
        if words[position] in _CLOSING:
            group, following = _group(words, position)
            if group.multiple and inner and _repeats(group, inner):
                _mark_repeated(group, inner)
                position = following
            elif words[position] == "<" and not inner:
                inner.append(group)
                position = following
            break
        inner.append(_plain(words[position]))
        position += 1
    if not inner:
        return Argument(token.lower(), "pure-token", token), position
    argument = inner[0] if len(inner) == 1 else Argument(token.lower(), "block", inner=inner)
    argument.token = token
    if argument.kind == "oneof":
        argument.name = token.lower()
    return argument, position


def _plain(word: str) -> Argument:
    if _KEYS.fullmatch(word):
        return Argument(word, "key")
    if word in _INTEGERS:
        return Argument(word, "integer")
    if word in _TIMES:
        return Argument(word, "unix-time")
    return Argument(word, "pattern" if word == "pattern" else "string")


def _one(arguments: list[Argument]) -> Argument:
    """Several arguments as one."""
    if len(arguments) == 1:
        return arguments[0]
    return Argument(arguments[0].name if arguments else "nothing", "block", inner=arguments)


def _names(argument: Argument) -> list[str]:
    return [inner.name for inner in argument.inner] if argument.kind == "block" else [argument.name]


def _repeats(group: Argument, before: list[Argument]) -> bool:
    names = _names(group)
    return [argument.name for argument in before[-len(names) :]] == names


def _mark_repeated(group: Argument, before: list[Argument]) -> None:
    """`key value [key value ...]` is a block of both that may come several times."""
    count = len(_names(group))
    last = _one(before[-count:])
    if last.kind == "block" and count > 1:
        last.name = "data"
    last.multiple = True
    before[-count:] = [last]
