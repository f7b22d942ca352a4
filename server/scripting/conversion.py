"""Values between Lua and the server, both ways, as Redis converts them.

What is the same on both sides (strings, integers) crosses as it is.  Everything else crosses as a value with a kind:
`(value, kind, ...)`.  The kinds are those of `lua/prelude.lua`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from protocol.errors import CommandError
from protocol.replies import (
    BigNumber,
    Double,
    DoubleText,
    Keyed,
    Map,
    NullArray,
    Pairs,
    Reply,
    SetOf,
    Simple,
    Verbatim,
)
from protocol.shortest import format_double

STATUS, ERROR, LIST, FAILED, TOKENS, ABORT = range(1, 7)
_SCALAR, _MAP, _SET, _DOUBLE, _BIG, _VERBATIM, _NULL = 0, 4, 5, 6, 7, 8, 9

#: A list of replies of so many elements crosses as one call's values.
SHORT = 200
_MIN, _MAX = -(2**63), 2**63 - 1
#: Digits of a big number, at most: Python reads no longer ones.
_LONGEST = 4000
_LINE_BREAKS = bytes.maketrans(b"\r\n", b"  ")

_BAD_ARGUMENT = b"ERR Lua redis lib command arguments must be strings or integers"


# -- what a script passes to redis.call


def arguments(words: Sequence[Any]) -> list[bytes]:
    """The words of a command from Lua's values. CommandError if one is neither a string nor a number."""
    made: list[Any] = list(words)
    for word in made:
        if type(word) is not bytes:
            break
    else:
        return made
    made = []
    for word in words:
        if type(word) is bytes:
            made.append(word)
        elif type(word) is int or type(word) is float:
            made.append(_number_text(float(word)))
        else:
            raise CommandError(_BAD_ARGUMENT)
    return made


def _number_text(number: float) -> bytes:
    """A number as Redis passes it on: as it writes scores, but for zero, which has no sign, and NaN, which has one."""
    if number != number:
        return b"-nan" if math.copysign(1.0, number) < 0 else b"nan"
    return format_double(number or 0.0)


# -- what redis.call gives back


def to_lua(reply: Reply, resp: int, lua: Any) -> Any:
    """A reply as a Lua value, or as a value with a kind."""
    if reply is None or type(reply) is NullArray:
        return False if resp == 2 else None
    if type(reply) is Simple:
        return reply.value, STATUS
    if type(reply) is list and len(reply) <= SHORT:
        items: list[Any] = [None, LIST]
        for item in reply:
            if type(item) is bytes or type(item) is int:
                items.append(item)
            elif item is None and resp == 2:
                items.append(False)
            else:
                break
        else:
            return tuple(items)
    if isinstance(reply, CommandError):
        return reply.message, ERROR
    return _deep(reply, resp, lua)


def _deep(reply: Any, resp: int, lua: Any) -> Any:
    """A reply inside of another one, or one that is a table by itself."""
    if reply is None or isinstance(reply, NullArray):
        return False if resp == 2 else None
    if isinstance(reply, bool):
        return reply if resp == 3 else int(reply)
    if isinstance(reply, Double):
        return lua.table_from({b"double": float(reply)}) if resp == 3 else format_double(reply)
    if isinstance(reply, DoubleText):
        return lua.table_from({b"double": float(reply)}) if resp == 3 else bytes(reply)
    if isinstance(reply, BigNumber):
        return lua.table_from({b"big_number": b"%d" % reply}) if resp == 3 else b"%d" % reply
    if isinstance(reply, bytes | int):
        return reply
    if isinstance(reply, Simple):
        return lua.table_from({b"ok": reply.value})
    if isinstance(reply, CommandError):
        return lua.table_from({b"err": reply.message})
    if isinstance(reply, Verbatim):
        if resp == 2:
            return reply.text
        inner = lua.table_from({b"format": reply.format, b"string": reply.text})
        return lua.table_from({b"verbatim_string": inner})
    if isinstance(reply, SetOf) and resp == 3:
        members = lua.table()
        for item in reply.items:
            members[_deep(item, resp, lua)] = True
        return lua.table_from({b"set": members})
    if isinstance(reply, Map | Keyed) and resp == 3:
        fields = lua.table()
        for key, value in reply.pairs:
            fields[_deep(key, resp, lua)] = _deep(value, resp, lua)
        return lua.table_from({b"map": fields})
    return _array(_items(reply, resp), resp, lua)


def _items(reply: Any, resp: int) -> Sequence[Any]:
    """The elements of what is an array to this version of RESP."""
    if isinstance(reply, Map) or (isinstance(reply, Pairs) and resp == 2):
        return [part for pair in reply.pairs for part in pair]
    if isinstance(reply, Pairs | Keyed):
        return reply.pairs
    if isinstance(reply, SetOf):
        return reply.items
    return reply  # type: ignore[no-any-return]  # a list or tuple


def _array(items: Sequence[Any], resp: int, lua: Any) -> Any:
    made = [item if type(item) is bytes or type(item) is int else _deep(item, resp, lua) for item in items]
    if None not in made:
        return lua.table_from(made)
    # A null of RESP3 is nil, which leaves its place empty.
    table = lua.table()
    for place, item in enumerate(made, 1):
        if item is not None:
            table[place] = item
    return table


def weight(reply: Any) -> int:
    """About how many bytes a reply, or a list of words, takes in Lua."""
    kind = type(reply)
    if kind is bytes:
        return len(reply)
    if kind is list:
        return sum([len(item) if type(item) is bytes else weight(item) for item in reply]) + 40 * len(reply)
    if kind is tuple or isinstance(reply, Map | Keyed | Pairs | SetOf | Verbatim | CommandError):
        if kind is Verbatim:
            return len(reply.text) + 200
        if isinstance(reply, CommandError):
            return len(reply.message) + 200
        items = reply.items if isinstance(reply, SetOf) else reply if kind is tuple else reply.pairs
        return sum([weight(item) for item in items]) + 80 * len(items)
    return 100


# -- what a script returns


def scalar(value: Any, resp: int) -> Reply:
    """The reply for a string, number, boolean or nil."""
    kind = type(value)
    if kind is bytes or value is None:
        return value  # type: ignore[no-any-return]
    if kind is bool:
        if resp == 3:
            return value  # type: ignore[no-any-return]
        return 1 if value else None
    return _integer(value)


def _integer(value: float) -> int:
    """A number as an integer, as C converts it on the usual machines: what is out of range becomes the lowest."""
    if type(value) is int:
        return value if _MIN <= value <= _MAX else _MIN
    return int(value) if -(2.0**63) <= value < 2.0**63 else _MIN


def reply(value: Any, kind: int, items: Sequence[Any], resp: int) -> Reply:
    """The reply for a value that came with a kind."""
    if kind == STATUS:
        return Simple(value)
    if kind == ERROR:
        raise CommandError(value)
    assert kind == LIST
    return [scalar(item, resp) for item in items]


def from_tokens(tokens: list[Any], resp: int) -> Reply:
    """The reply that a flat list describes: kinds, each followed by its value, or by a number and so many replies."""
    feed = iter(tokens)
    #: Lists that are being filled: how many replies each still wants, and what it is to become.
    open_lists: list[tuple[list[Any], int, int]] = []
    while True:
        made, size = _next_token(feed, resp)
        if size is not None:
            items: list[Any] = []
            open_lists.append((items, size, made))
        else:
            if not open_lists:
                return made  # type: ignore[no-any-return]
            open_lists[-1][0].append(made)
        while len(open_lists[-1][0]) == open_lists[-1][1]:
            items, _, kind = open_lists.pop()
            finished = _aggregate(kind, items)
            if not open_lists:
                return finished
            open_lists[-1][0].append(finished)


def _next_token(feed: Iterator[Any], resp: int) -> tuple[Any, int | None]:
    """A reply and None, or the kind of a list and the number of replies in it."""
    kind = next(feed)
    match kind:
        case 0:
            return scalar(next(feed), resp), None
        case 9:
            return None, None
        case 1:
            return Simple(next(feed)), None
        case 2:
            return CommandError(next(feed)), None
        case 6:
            return Double(next(feed)), None
        case 7:
            return _big_number(next(feed)), None
        case 8:
            format_, text = next(feed), next(feed)
            return Verbatim(format_[:3].ljust(3), text), None
    number = int(next(feed))
    return kind, 2 * number if kind == _MAP else number


def _aggregate(kind: int, items: list[Any]) -> Reply:
    if kind == _MAP:
        return Map(list(zip(items[::2], items[1::2], strict=True)))
    if kind == _SET:
        return SetOf(items)
    return items


def _big_number(text: bytes) -> Reply:
    """A big number, or text where it is written in another way than numbers are."""
    if len(text) < _LONGEST and text.removeprefix(b"-").isdigit() and text == b"%d" % int(text):
        return BigNumber(text)
    return text.translate(_LINE_BREAKS)
