"""Replies to bytes, RESP2 and RESP3.

Every RESP value is a few lines that end with CRLF, so a reply is built as a list of lines and joined by CRLF in one C
call: a third faster than formatting each element. Nested replies are walked with a stack of iterators, so no depth of
nesting can exhaust Python's. Long replies are joined piece by piece: a call of C keeps all other threads waiting, and
for a million elements it takes a tenth of a second.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any, Final

from protocol.errors import CommandError
from protocol.replies import (
    BigNumber,
    Double,
    DoubleText,
    Keyed,
    Map,
    NullArray,
    Pairs,
    Push,
    Reply,
    SetOf,
    Simple,
    Verbatim,
)
from protocol.shortest import format_double

LARGE: Final = 64 * 1024
"""Bytes from which `encode_parts` gives a bulk string as a piece of its own instead of copying it."""

MANY: Final = 4096
"""Lines, at least, that make a piece of a long reply."""

_SHORT: Final = 1024
_BULK_LINES: Final = [b"$%d" % size for size in range(_SHORT)]
_BULK_HEADERS: Final = [b"$%d\r\n" % size for size in range(_SHORT)]
_NULL: Final = {2: b"$-1", 3: b"_"}
_NULL_ENCODED: Final = {2: b"$-1\r\n", 3: b"_\r\n"}
_LINE_BREAKS: Final = bytes.maketrans(b"\r\n", b"  ")


def encode(reply: Reply, version: int) -> bytes:
    """The bytes of `reply` in RESP `version`, 2 or 3. TypeError: no handler may return such a value."""
    if type(reply) is bytes:
        size = len(reply)
        return _BULK_HEADERS[size] + reply + b"\r\n" if size < _SHORT else b"$%d\r\n%b\r\n" % (size, reply)
    if type(reply) is int:
        return b":%d\r\n" % reply
    if type(reply) is Simple:
        return reply.encoded
    if reply is None:
        return _NULL_ENCODED[version]
    lines: list[bytes] = []
    _append_lines(reply, version, lines, None)
    lines.append(b"")
    return b"\r\n".join(lines)


def encode_parts(reply: Reply, version: int, parts: list[bytes]) -> None:
    """Append pieces to `parts` that together are `encode(reply, version)`.

    Bulks of `LARGE` bytes are not copied, and a long reply comes in pieces of a bounded number of elements. When it
    raises, `parts` is as it was.
    """
    if type(reply) in (int, Simple) or (type(reply) is bytes and len(reply) < LARGE):
        parts.append(encode(reply, version))
        return
    lines: list[bytes] = []
    before = len(parts)
    try:
        _append_lines(reply, version, lines, parts)
    except BaseException:
        del parts[before:]
        raise
    _append_piece(lines, parts)


def _append_piece(lines: list[bytes], parts: list[bytes]) -> None:
    """Move lines to `parts`, joined but for the large ones."""
    if max(map(len, lines), default=0) < LARGE:
        if lines:
            lines.append(b"")
            parts.append(b"\r\n".join(lines))
            lines.clear()
        return
    start = 0
    for index, line in enumerate(lines):
        if len(line) >= LARGE:
            # Its header, at least, stands before it. Its own line break comes with what follows.
            parts.append(b"\r\n".join((*lines[start:index], b"")))
            parts.append(line)
            lines[index] = b""
            start = index
    parts.append(b"\r\n".join((*lines[start:], b"")))
    lines.clear()


def _append_lines(reply: Reply, version: int, lines: list[bytes], parts: list[bytes] | None) -> None:
    """Append the lines of a reply; with `parts`, lines that are many go there as pieces."""
    null = _NULL[version]
    scalars = _SCALARS[version]
    aggregates = _AGGREGATES[version]
    append = lines.append
    outer: list[Iterator[Any]] = []
    items: Iterator[Any] = iter((reply,))
    while True:
        for item in items:
            kind = type(item)
            if kind is bytes:
                size = len(item)
                append(_BULK_LINES[size] if size < _SHORT else b"$%d" % size)
                append(item)
            elif kind is int:
                append(b":%d" % item)
            elif item is None:
                append(null)
            elif kind in scalars:
                append(scalars[kind](item))
            elif kind in aggregates:
                header, count, children = aggregates[kind](item)
                append(header % count)
                outer.append(items)
                items = iter(children) if parts is None or count < MANY else _with_pauses(children, lines, parts)
                break
            else:
                _register_subclass(kind)
                outer.append(items)
                items = iter((item,))
                break
        else:
            if not outer:
                return
            items = outer.pop()
            if parts is not None and len(lines) >= MANY:
                _append_piece(lines, parts)


def _with_pauses(items: Iterable[Any], lines: list[bytes], parts: list[bytes]) -> Iterator[Any]:
    """The items of a long aggregate; between them, lines that have become many are made a piece."""
    for item in items:
        if len(lines) >= MANY:
            _append_piece(lines, parts)
        yield item


def _register_subclass(kind: type) -> None:
    """Make a subclass (of CommandError, say) encode as its nearest known base. TypeError: there is none."""
    for base in kind.__mro__:
        for version in (2, 3):
            if base in _SCALARS[version]:
                _SCALARS[version][kind] = _SCALARS[version][base]
            elif base in _AGGREGATES[version]:
                _AGGREGATES[version][kind] = _AGGREGATES[version][base]
            else:
                break
        else:
            return
    raise TypeError(f"not a reply: {kind.__module__}.{kind.__qualname__}")


def _bulk(data: bytes) -> bytes:
    return b"$%d\r\n%b" % (len(data), data)


def _error(reply: CommandError) -> bytes:
    # Redis drops line breaks at the ends of its own text and blanks the others: a client's word may hold some.
    return b"-" + reply.message.strip(b"\r\n").translate(_LINE_BREAKS)


def _verbatim(reply: Verbatim) -> bytes:
    return b"=%d\r\n%b:%b" % (len(reply.text) + 4, reply.format, reply.text)


def _array(items: Any) -> tuple[bytes, int, Iterable[Any]]:
    return b"*%d", len(items), items


def _flat_map(reply: Map | Pairs) -> tuple[bytes, int, Iterable[Any]]:
    return b"*%d", 2 * len(reply.pairs), chain.from_iterable(reply.pairs)


def _map(reply: Map | Keyed) -> tuple[bytes, int, Iterable[Any]]:
    return b"%%%d", len(reply.pairs), chain.from_iterable(reply.pairs)


_Scalar = Callable[[Any], bytes]
_Aggregate = Callable[[Any], tuple[bytes, int, Iterable[Any]]]

_BOTH: Final[dict[type, _Scalar]] = {
    Simple: lambda reply: reply.encoded[:-2],
    CommandError: _error,
    # Subclasses of the types that the loop above knows by itself come here.
    bytes: _bulk,
    int: lambda reply: b":%d" % reply,
}
_SCALARS: Final[dict[int, dict[type, _Scalar]]] = {
    2: _BOTH
    | {
        bool: lambda reply: b":1" if reply else b":0",
        Double: lambda reply: _bulk(format_double(reply)),
        DoubleText: _bulk,
        BigNumber: lambda reply: _bulk(b"%d" % reply),
        Verbatim: lambda reply: _bulk(reply.text),
        NullArray: lambda reply: b"*-1",
    },
    3: _BOTH
    | {
        bool: lambda reply: b"#t" if reply else b"#f",
        Double: lambda reply: b"," + format_double(reply),
        DoubleText: lambda reply: b"," + reply,
        BigNumber: lambda reply: b"(%d" % reply,
        Verbatim: _verbatim,
        NullArray: lambda reply: b"_",
    },
}
_AGGREGATES: Final[dict[int, dict[type, _Aggregate]]] = {
    2: {
        list: _array,
        tuple: _array,
        Map: _flat_map,
        Pairs: _flat_map,
        Keyed: lambda reply: _array(reply.pairs),
        SetOf: lambda reply: (b"*%d", len(reply.items), reply.items),
        Push: lambda reply: (b"*%d", len(reply.items), reply.items),
    },
    3: {
        list: _array,
        tuple: _array,
        Map: _map,
        Pairs: lambda reply: _array(reply.pairs),
        Keyed: _map,
        SetOf: lambda reply: (b"~%d", len(reply.items), reply.items),
        Push: lambda reply: (b">%d", len(reply.items), reply.items),
    },
}
