"""What a command may return, beyond Python's own types.

==========================  =====================================  ====================
a handler returns           RESP3                                  RESP2
==========================  =====================================  ====================
`bytes`                     bulk string                            the same
`int`                       integer                                the same
`None`                      null                                   null bulk string
`NULL_ARRAY`                null                                   null array
`bool`                      boolean                                1 or 0
`list`, `tuple`             array                                  the same
`Simple`                    simple string                          the same
`CommandError`              error                                  the same
`Double`                    double                                 bulk string
`DoubleText`                double                                 bulk string
`BigNumber`                 big number                             bulk string
`Verbatim`                  verbatim string                        bulk string
`Map`                       map                                    flat array
`Pairs`                     array of arrays of two                 flat array
`Keyed`                     map                                    array of arrays of two
`SetOf`                     set                                    array
`Push`                      push                                   array
==========================  =====================================  ====================

A handler says what it *means*; which of the two shapes the client gets is the encoder's business. A plain `float` is
refused: `Double(x)` or text, because Redis writes some numbers one way and some the other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self, TypeAlias

from protocol.errors import CommandError


class Simple:
    """A simple string. `value` is one line; CR and LF in it become spaces, as in Redis."""

    __slots__ = ("encoded", "value")

    def __init__(self, value: bytes) -> None:
        self.value = value
        self.encoded = b"+%b\r\n" % value.replace(b"\r", b" ").replace(b"\n", b" ")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Simple) and other.value == self.value

    def __hash__(self) -> int:
        return hash(self.value)

    def __repr__(self) -> str:
        return f"Simple({self.value!r})"


class NullArray:
    """The type of `NULL_ARRAY`: what BLPOP says after its timeout, and EXEC after a failed WATCH."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "NULL_ARRAY"


class Double(float):
    """A floating point number that is a double in RESP3: a score, for example."""

    __slots__ = ()


class DoubleText(bytes):
    """A floating point number that is written in another way than `Double` writes it: a coordinate, for example."""

    __slots__ = ()


class BigNumber(int):
    """An integer of any size."""

    __slots__ = ()


@dataclass(slots=True)
class Map:
    """Pairs of field and value, in the order given. `Map.of({b"a": 1})` takes a dict."""

    pairs: Sequence[tuple[Any, Any]]

    @classmethod
    def of(cls, items: Mapping[Any, Any]) -> Self:
        return cls(list(items.items()))


@dataclass(slots=True)
class Pairs:
    """Pairs in an order that matters, and that may repeat: members with scores, for example."""

    pairs: Sequence[tuple[Any, Any]]


@dataclass(slots=True)
class Keyed:
    """Names of keys with what was found there, in the order given; a name may come twice."""

    pairs: Sequence[tuple[Any, Any]]


@dataclass(slots=True)
class SetOf:
    """Members without an order that means anything. They must differ: nobody checks."""

    items: Sequence[Any]


@dataclass(slots=True)
class Push:
    """A message that answers no request: published messages, invalidations. `items[0]` is its kind."""

    items: Sequence[Any]


@dataclass(slots=True)
class Verbatim:
    """Text with a format of exactly three bytes: `Verbatim(b"txt", text)`."""

    format: bytes
    text: bytes

    def __post_init__(self) -> None:
        if len(self.format) != 3:
            raise ValueError(f"a verbatim string's format has three bytes, not {self.format!r}")


Reply: TypeAlias = (
    bytes
    | int
    | Simple
    | NullArray
    | Double
    | DoubleText
    | BigNumber
    | Map
    | Pairs
    | Keyed
    | SetOf
    | Push
    | Verbatim
    | CommandError
    | list[Any]
    | tuple[Any, ...]
    | None
)
"""What a handler may return; elements are replies again.

`bool` is an `int` to the type checker and a boolean to the encoder. Elements are `Any` because lists are invariant:
`list[bytes]` is no `list[Reply]`, and a covariant `Sequence[Reply]` would let `str` pass.
"""

OK: Final = Simple(b"OK")
PONG: Final = Simple(b"PONG")
QUEUED: Final = Simple(b"QUEUED")
NULL_ARRAY: Final = NullArray()
