"""BITFIELD: strings as arrays of integers of any width, with arithmetic of their own."""

from __future__ import annotations

from dataclasses import dataclass

from protocol.errors import CommandError, syntax_error
from protocol.numbers import MAX_INTEGER, MIN_INTEGER
from protocol.replies import Reply
from server.arguments import Args, integer
from server.bit_offsets import bit_offset
from server.keyspecs import Request, one_key
from server.registry import Is, command, never
from server.session import Session
from server.typed import typed, typed_source
from storage import bitmaps, strings
from storage.effects import EventClass
from storage.key_rows import KeyRow, Type
from storage.keyspace import Keyspace

_GET, _SET, _INCRBY = b"GET", b"SET", b"INCRBY"
#: How many words follow each.
_WORDS = {_GET: 2, _SET: 3, _INCRBY: 3, b"OVERFLOW": 1}
_WRAP, _SAT, _FAIL = b"WRAP", b"SAT", b"FAIL"

#: By what stands in a request, e.g. b"u63": every width of both kinds.
_TYPES = {
    **{b"i%d" % bits: (True, bits) for bits in range(1, 65)},
    **{b"u%d" % bits: (False, bits) for bits in range(1, 64)},
}


@dataclass(frozen=True, slots=True)
class _Field:
    """Where a number lies and what numbers it can be."""

    signed: bool
    bits: int
    offset: int

    @property
    def high(self) -> int:
        """The highest number that it can be."""
        return (1 << self.bits - self.signed) - 1

    @property
    def end(self) -> int:
        """How many bytes a string must have to hold it."""
        return (self.offset + self.bits + 7) >> 3

    def read(self, db: Keyspace, row: KeyRow | None) -> int:
        return self.wrap(bitmaps.read_field(db, row, self.offset, self.bits))

    def write(self, db: Keyspace, row: KeyRow, number: int) -> None:
        bitmaps.write_field(db, row, self.offset, self.bits, number % (1 << self.bits))

    def wrap(self, number: int) -> int:
        """What is left of a number in so many bits."""
        number %= 1 << self.bits
        return number - (1 << self.bits) if self.signed and number >> self.bits - 1 else number

    def fit(self, number: int, overflow: bytes) -> int | None:
        """A number as it can be stored; None if it can't and must not be changed."""
        low = -1 - self.high if self.signed else 0
        if low <= number <= self.high:
            return number
        if overflow == _SAT:
            return max(low, min(number, self.high))
        return None if overflow == _FAIL else self.wrap(number)

    def meant(self, number: int) -> int:
        """The number that SET is to store. Redis compares in 64 bits: what is negative for an unsigned field, or so low
        that its distance from the highest number overflows, is too high and not too low ("what overflows with SAT")."""
        lowest = 0 if not self.signed else MIN_INTEGER if self.bits == 64 else self.high - MAX_INTEGER
        return number + 2**64 if number < lowest else number


@dataclass(frozen=True, slots=True)
class _Operation:
    """One GET, SET or INCRBY; `number` is what to set or add, `overflow` what to do if that does not fit."""

    what: bytes
    field: _Field
    number: int
    overflow: bytes

    def run(self, db: Keyspace, row: KeyRow | None) -> int | None:
        """Read, write what differs, and give the reply. To write, the string must be long enough."""
        old = self.field.read(db, row)
        if self.what == _GET:
            return old
        assert row is not None
        if self.what == _INCRBY:
            new = self.field.fit(old + self.number, self.overflow)
        else:
            new = self.field.fit(self.field.meant(self.number), self.overflow)
        if new is None:
            return None
        if new != old:
            self.field.write(db, row, new)
        return new if self.what == _INCRBY else old


def _parse(args: Args, longest: int) -> list[_Operation]:
    """The operations of a request; CommandError for the first thing wrong with them."""
    operations: list[_Operation] = []
    overflow = _WRAP
    position = 2
    while position < len(args):
        what = args[position].upper()
        words = args[position + 1 : position + 1 + _WORDS.get(what, 0)]
        if len(words) < _WORDS.get(what, len(args)):
            raise syntax_error()
        position += 1 + len(words)
        if what == b"OVERFLOW":
            overflow = words[0].upper()
            if overflow not in (_WRAP, _SAT, _FAIL):
                raise CommandError(b"ERR Invalid OVERFLOW type specified")
            continue
        field = _field(words[0], words[1], longest)
        operations.append(_Operation(what, field, integer(words[2]) if what != _GET else 0, overflow))
    return operations


def _field(kind: bytes, offset: bytes, longest: int) -> _Field:
    # As a C string, it ends at a NUL.
    kind = kind.partition(b"\0")[0]
    if kind not in _TYPES:
        raise CommandError(
            b"ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is."
        )
    signed, bits = _TYPES[kind]
    return _Field(signed, bits, bit_offset(offset, longest, bits))


def _read_only(args: Args, longest: int) -> list[_Operation]:
    operations = _parse(args, longest)
    if any(operation.what != _GET for operation in operations):
        raise CommandError(b"ERR BITFIELD_RO only supports the GET subcommand")
    return operations


def _wants(db: Keyspace, request: Request) -> None:
    try:
        operations = _parse(request, MAX_INTEGER)
    except CommandError:
        return
    for operation in operations:
        strings.want(db, request[1], operation.field.offset >> 3, operation.field.end)


@command("BITFIELD", arity=-2, flags=Is.WRITE | Is.DENYOOM, group="bitmap", since="3.2.0", whole=never, wants=_wants,
         keys=one_key("RW access update variable_flags", "It writes only with SET and INCRBY"),
         complexity="O(1) for each operation",
         syntax="key [GET encoding offset | [OVERFLOW <WRAP | SAT | FAIL>] <SET encoding offset value | "
                "INCRBY encoding offset increment> ...]")
def bitfield(db: Keyspace, session: Session, args: Args) -> Reply:
    """Read, set and add to integers of any width that lie anywhere in a string."""
    operations = _parse(args, session.instance.settings.proto_max_bulk_len)
    written = [operation.field.end for operation in operations if operation.what != _GET]

    if not written:
        row = typed_source(db, args[1], Type.STRING)
        return [operation.run(db, row) for operation in operations]
    row = typed(db, args[1], Type.STRING)
    if row is None:
        row = strings.write(db, args[1], b"")
    size = row.size
    # As in Redis, also if nothing will be written because it does not fit.
    bitmaps.grow(db, row, max(written))
    version = row.version
    replies = [operation.run(db, row) for operation in operations]
    if row.version != version or (row.size > size and _fits(operations, replies)):
        db.notify(EventClass.STRING, b"setbit", args[1])
    return replies


def _fits(operations: list[_Operation], replies: list[int | None]) -> bool:
    """Whether some operation was to write, and did so or found what it would have written."""
    return any(
        reply is not None for operation, reply in zip(operations, replies, strict=True) if operation.what != _GET
    )


@command("BITFIELD_RO", arity=-2, flags=Is.READONLY | Is.FAST, keys=one_key("RO access"), group="bitmap",
         since="6.0.0", whole=never, complexity="O(1) for each operation",
         syntax="key [GET encoding offset [GET encoding offset ...]]")
def bitfield_ro(db: Keyspace, session: Session, args: Args) -> Reply:
    """Read integers of any width that lie anywhere in a string."""
    operations = _read_only(args, session.instance.settings.proto_max_bulk_len)

    row = typed(db, args[1], Type.STRING)
    return [operation.run(db, row) for operation in operations]
