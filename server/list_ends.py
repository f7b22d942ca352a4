"""What the commands that take from and add to the ends of lists share: those that wait and those that do not."""

from __future__ import annotations

from dataclasses import dataclass

from protocol.errors import CommandError, count_not_positive, syntax_error, too_few_keys
from protocol.numbers import MAX_INTEGER, parse_integer
from protocol.replies import NULL_ARRAY, Reply
from server.arguments import Args, Options, integer_in
from server.keyspecs import Request
from server.typed import typed
from storage import lists
from storage.effects import EventClass
from storage.key_rows import KeyRow, Type
from storage.keyspace import Keyspace


def is_left(word: bytes) -> bool:
    """Whether LEFT or RIGHT is meant; CommandError if it is neither."""
    end = word.upper()
    if end not in (b"LEFT", b"RIGHT"):
        raise syntax_error()
    return end == b"LEFT"


def list_at(db: Keyspace, name: bytes) -> KeyRow | None:
    """The row of a list, None where there is no key."""
    return typed(db, name, Type.LIST)


def first_list(db: Keyspace, names: list[bytes]) -> tuple[bytes, KeyRow] | None:
    """The first of some keys that is there, with its row. CommandError if that is no list."""
    for name in names:
        row = list_at(db, name)
        if row is not None:
            return name, row
    return None


def push(db: Keyspace, name: bytes, row: KeyRow | None, values: list[bytes], left: bool) -> int:
    """Push to a list, which is made if it is not there (`row` None); its length."""
    if row is None:
        row = lists.make(db, name)
    lists.push(db, row, values, left)
    db.notify(EventClass.LIST, b"lpush" if left else b"rpush", name)
    return row.size


def pop(db: Keyspace, row: KeyRow, count: int, left: bool) -> list[bytes]:
    """Pop up to `count` items; the key goes with the last one."""
    values = lists.pop(db, row, count, left)
    lists.remove_if_empty(db, row)
    db.notify_shrunk(EventClass.LIST, b"lpop" if left else b"rpop", row)
    return values


def move(db: Keyspace, source: KeyRow, destination: bytes, from_left: bool, to_left: bool) -> bytes:
    """Move an item from one end to another, of the same list perhaps."""
    target = list_at(db, destination)

    value = lists.pop(db, source, 1, from_left)[0]
    push(db, destination, target, [value], to_left)
    lists.remove_if_empty(db, source)
    db.notify_shrunk(EventClass.LIST, b"lpop" if from_left else b"rpop", source)
    return value


@dataclass(slots=True)
class PopOfMany:
    """The arguments of LMPOP and BLMPOP."""

    names: list[bytes]
    left: bool
    count: int

    @classmethod
    def parse(cls, args: Args, at: int) -> PopOfMany:
        """What stands from the number of keys on, which is at the position `at`."""
        number = integer_in(args[at], 1, MAX_INTEGER, too_few_keys().message)
        if number > len(args) - at - 2:
            raise syntax_error()
        words = Options(args, at + 1 + number)
        left = is_left(words.value())
        count = 0
        while words.left:
            if words.word() != b"COUNT" or count:
                raise syntax_error()
            count = integer_in(words.value(), 1, MAX_INTEGER, count_not_positive().message)
        return cls(args[at + 1 : at + 1 + number], left, count or 1)

    def pop(self, db: Keyspace) -> Reply:
        """The key and the items popped; NULL_ARRAY if all lists are empty."""
        found = first_list(db, self.names)
        if found is None:
            return NULL_ARRAY
        name, row = found
        return [name, pop(db, row, self.count, self.left)]


# -- what requests will look for; their arguments are not judged yet


def want_first(db: Keyspace, names: list[bytes], left: bool, count: int = 1) -> None:
    """The items at an end of the first list that is there."""
    for name in names:
        row = db.peek(name, Type.LIST)
        if row is not None:
            lists.want_pop(db, row, left, count)
            return


def want_pop_of_many(db: Keyspace, request: Request, at: int) -> None:
    """The items that LMPOP or BLMPOP, whose number of keys is at the position `at`, will pop."""
    try:
        found = PopOfMany.parse(request, at)
    except CommandError:
        return
    want_first(db, found.names, found.left, found.count)


def count_at(request: Request, at: int) -> int:
    """The number at a position of a request, 1 if there is none."""
    try:
        return max(parse_integer(request[at]), 0) if at < len(request) else 1
    except ValueError:
        return 0


def popped_of_many(request: Request, at: int) -> int:
    """How many items LMPOP or BLMPOP may pop."""
    try:
        return PopOfMany.parse(request, at).count
    except CommandError:
        return 0
