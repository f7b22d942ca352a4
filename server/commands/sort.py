"""SORT and SORT_RO: the elements of a list, set or sorted set in an order of the client's choice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from protocol.errors import CommandError, syntax_error, wrong_type
from protocol.numbers import parse_c_double
from protocol.replies import Reply
from server.arguments import Args, Options, integer
from server.keyspecs import FoundKeys, Keys, Request
from server.registry import Is, command, everything
from storage import hashes, lists, sets, strings, zsets
from storage.effects import EventClass
from storage.gradual import gradually_sorted
from storage.key_rows import KeyRow, Type
from storage.keyspace import Keyspace

#: Keys that are read for a pattern in one trip.
_TOGETHER = 1000

_CATEGORIES = ("set", "sortedset", "list", "dangerous")
_COMPLEXITY = "O(N+M*log(M)) with N elements, of which M are given"
_SYNTAX = "key [BY pattern] [LIMIT offset count] [GET pattern [GET pattern ...]] [ASC | DESC] [ALPHA]"


@dataclass(frozen=True)
class Pattern:
    """The name of a key that depends on an element; with `field`, the field of a hash there."""

    prefix: bytes
    suffix: bytes
    field: bytes | None = None

    @classmethod
    def parse(cls, text: bytes) -> Pattern | None:
        """None if the pattern has no place for the element; what stands behind a NUL is not looked at for one."""
        visible = text.partition(b"\0")[0]
        star = visible.find(b"*")
        if star < 0:
            return None
        arrow = visible.find(b"->", star)
        if arrow < 0 or arrow + 2 == len(visible):
            return cls(text[:star], text[star + 1 :])
        return cls(text[:star], text[star + 1 : arrow], text[arrow + 2 :])

    def name(self, element: bytes) -> bytes:
        return self.prefix + element + self.suffix


@dataclass
class Wishes:
    """What a request asks for; `unsorted` means the order in which the elements are kept."""

    by: Pattern | None = None
    unsorted: bool = False
    gets: list[Callable[[Keyspace, Sequence[bytes]], list[bytes | None]]] = field(default_factory=list)
    offset: int = 0
    count: int = -1
    descending: bool = False
    alpha: bool = False
    store: bytes | None = None

    def window(self, size: int) -> tuple[int, int]:
        """The first of so many elements that is given, and the one behind the last."""
        start = min(max(self.offset, 0), size)
        return start, size if self.count < 0 else min(start + self.count, size)


def _parse(args: Args, *, storing: bool) -> Wishes:
    wishes = Wishes()
    options = Options(args, 2)
    while options.left:
        word = options.word()
        if word in (b"ASC", b"DESC"):
            wishes.descending = word == b"DESC"
        elif word == b"ALPHA":
            wishes.alpha = True
        elif word == b"LIMIT" and options.left >= 2:
            wishes.offset, wishes.count = integer(options.value()), integer(options.value())
        elif word == b"STORE" and storing:
            wishes.store = options.value()
        elif word == b"BY":
            wishes.by = Pattern.parse(options.value())
            # A later pattern does not take that back.
            wishes.unsorted |= wishes.by is None
        elif word == b"GET":
            wishes.gets.append(_getter(options.value()))
        else:
            raise syntax_error()
    return wishes


def _getter(text: bytes) -> Callable[[Keyspace, Sequence[bytes]], list[bytes | None]]:
    """What GET with this pattern gives for elements."""
    if text == b"#":
        return lambda db, elements: list(elements)
    pattern = Pattern.parse(text)
    if pattern is None:
        return lambda db, elements: [None] * len(elements)
    return lambda db, elements: _looked_up(db, pattern, elements)


def _looked_up(db: Keyspace, pattern: Pattern, elements: Sequence[bytes]) -> list[bytes | None]:
    """What stands where the pattern says, for each element; None where there is no such thing."""
    found: list[bytes | None] = []
    for start in range(0, len(elements), _TOGETHER):
        names = [pattern.name(element) for element in elements[start : start + _TOGETHER]]
        db.attempt.read([(db.space, name) for name in names])
        if pattern.field is not None:
            for name in names:
                hashes.want(db, name, (pattern.field,))
            db.attempt.prefetch()
        found += [_value(db, name, pattern.field) for name in names]
    return found


def _value(db: Keyspace, name: bytes, inside: bytes | None) -> bytes | None:
    """The value of a string, or of a field of a hash."""
    row = db.find_source(name)
    if row is None:
        return None
    if inside is None:
        return strings.read(db, row) if row.type == Type.STRING else None
    if row.type != Type.HASH:
        return None
    entry = hashes.get(db, row, inside)
    return None if entry is None else entry.value


# -- the elements


def _want(db: Keyspace, request: Request) -> None:
    name = request[1]
    sets.want_all(db, name)
    row = db.peek(name, Type.LIST)
    if row is not None:
        lists.want_whole(db, row)
    row = db.peek(name, Type.ZSET)
    if row is not None and row.size <= zsets.NEAR:
        zsets.of(db).want_ranks(row, 0, row.size)


def _kept(db: Keyspace, row: KeyRow, wishes: Wishes) -> list[bytes]:
    """The part of the elements that is wanted, in the order in which they are kept."""
    start, stop = wishes.window(row.size)
    if start == stop:
        return []
    if row.type == Type.SET:
        return sets.every(db, row)[start:stop]
    if wishes.descending:
        start, stop = row.size - stop, row.size - start
    if row.type == Type.ZSET:
        return _members(db, row, start, stop, reverse=wishes.descending)
    items = list(lists.read(db, row, start, stop - 1))
    return items[::-1] if wishes.descending else items


def _members(db: Keyspace, row: KeyRow, start: int, stop: int, *, reverse: bool) -> list[bytes]:
    return [member for _, member, _, _ in zsets.of(db).ranks(row, start, stop, reverse=reverse)]


def _every(db: Keyspace, row: KeyRow) -> list[bytes]:
    """All elements, of sorted sets in any order."""
    if row.type == Type.SET:
        return sets.every(db, row)
    if row.type == Type.LIST:
        return list(lists.read(db, row, 0, row.size - 1))
    if row.size <= zsets.NEAR:
        return _members(db, row, 0, row.size, reverse=False)
    return [member for member, _ in zsets.of(db).every(row)]


def _sorted(db: Keyspace, row: KeyRow, wishes: Wishes) -> list[bytes]:
    """The part of the elements that is wanted, in order. CommandError if one has a weight that is no number."""
    elements = _every(db, row)
    weights: Sequence[bytes | None] = elements
    if wishes.by is not None:
        weights = _looked_up(db, wishes.by, elements)
    # Copies of many elements in random order are slow, and nobody else gets the interpreter meanwhile.
    start, stop = wishes.window(row.size)
    if not wishes.alpha:
        # Equal ones are told apart by their bytes.
        numbers = ((_number(weight), element) for weight, element in zip(weights, elements, strict=True))
        by_number = gradually_sorted(numbers, reverse=wishes.descending)
        return [element for _, element in islice(by_number, start, stop)]
    # Without a weight comes before any weight; of equal ones the first stays in front.
    words = ((weight is not None, weight or b"", element) for weight, element in zip(weights, elements, strict=True))
    by_word = gradually_sorted(words, key=_word, reverse=wishes.descending)
    return [element for *_, element in islice(by_word, start, stop)]


def _word(entry: tuple[bool, bytes, bytes]) -> tuple[bool, bytes]:
    return entry[:2]


def _number(weight: bytes | None) -> float:
    if weight is None:
        return 0.0
    try:
        return parse_c_double(weight)
    except ValueError:
        raise CommandError(b"ERR One or more scores can't be converted into double") from None


# -- the commands


def _sort(db: Keyspace, name: bytes, wishes: Wishes) -> Reply:
    row = db.find_source(name)
    if row is not None and row.type not in (Type.LIST, Type.SET, Type.ZSET):
        raise wrong_type()
    if row is None:
        elements: list[bytes] = []
    elif wishes.unsorted and row.type == Type.SET and wishes.store is not None:
        # Sets have no order, and what is stored shall not depend on chance.
        wishes.unsorted, wishes.by, wishes.alpha = False, None, True
        elements = _sorted(db, row, wishes)
    else:
        elements = _kept(db, row, wishes) if wishes.unsorted else _sorted(db, row, wishes)
    values: list[Any] = elements
    if wishes.gets:
        columns = [get(db, elements) for get in wishes.gets]
        values = [value for record in zip(*columns, strict=True) for value in record]
    if wishes.store is None:
        return values
    return _store(db, wishes.store, [value or b"" for value in values])


def _store(db: Keyspace, name: bytes, values: list[bytes]) -> int:
    """Make a key the list of these values; without any, there is no such key."""
    if values:
        lists.push(db, lists.make(db, name), values, False)
        db.notify(EventClass.LIST, b"sortstore", name)
    else:
        db.delete(name)
    return len(values)


def _stored_at(request: Request) -> list[bytes]:
    """The key behind the last STORE, found as COMMAND GETKEYS does: in any request, however wrong."""
    found: list[bytes] = []
    position = 2
    while position < len(request):
        word = request[position].upper()
        if word == b"STORE" and position + 1 < len(request):
            found = [request[position + 1]]
        position += {b"LIMIT": 3, b"GET": 2, b"BY": 2}.get(word, 1)
    return found


def _looks_elsewhere(request: Request) -> bool:
    """Whether a request may name keys by patterns."""
    return any(b"*" in word for word in request[2:])


def _no_keys(request: Request) -> list[bytes]:
    return []


_PATTERNS = FoundKeys(_no_keys, "RO access", notes="Keys of BY and GET depend on the elements that are sorted.")
_DESTINATION = FoundKeys(_stored_at, "OW update", notes="STORE may stand anywhere among the options.")


@command("SORT", arity=-2, flags=Is.WRITE | Is.DENYOOM | Is.MOVABLEKEYS, group="generic", since="1.0.0",
         keys=(Keys(1, 1, 1, "RO access"), _PATTERNS, _DESTINATION), reads=everything, wants=_want,
         alone=_looks_elsewhere, complexity=_COMPLEXITY, categories=_CATEGORIES,
         syntax=f"{_SYNTAX} [STORE destination]")
def sort(db: Keyspace, args: Args) -> Reply:
    """Give the elements of a list, set or sorted set in order, or store them as a list."""
    wishes = _parse(args, storing=True)

    return _sort(db, args[1], wishes)


@command("SORT_RO", arity=-2, flags=Is.READONLY | Is.MOVABLEKEYS, group="generic", since="7.0.0",
         keys=(Keys(1, 1, 1, "RO access"), _PATTERNS), reads=everything, wants=_want,
         complexity=_COMPLEXITY, categories=_CATEGORIES, syntax=_SYNTAX)
def sort_ro(db: Keyspace, args: Args) -> Reply:
    """Give the elements of a list, set or sorted set in order."""
    wishes = _parse(args, storing=False)

    return _sort(db, args[1], wishes)
