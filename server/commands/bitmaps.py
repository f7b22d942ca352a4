"""Bitmaps: strings as arrays of bits. Fields of several bits are in bitfields.py."""

from __future__ import annotations

from protocol.errors import CommandError, syntax_error
from protocol.numbers import parse_integer
from protocol.replies import Reply
from server.arguments import Args, integer, integer_in
from server.bit_offsets import bit_offset
from server.keyspecs import Keys, Request, one_key
from server.registry import Is, command, never
from server.session import Session
from server.typed import typed, typed_source
from storage import bitmaps, strings
from storage.effects import EventClass
from storage.key_rows import KeyRow, Type
from storage.keyspace import Keyspace

#: Bits of one position, by the unit that a range is given in.
_UNITS = {b"BYTE": 8, b"BIT": 1}


def _string(db: Keyspace, name: bytes) -> KeyRow | None:
    return typed(db, name, Type.STRING)


# -- single bits


def _wants(db: Keyspace, request: Request) -> None:
    try:
        offset = parse_integer(request[2])
    except ValueError:
        return
    if offset >= 0:
        strings.want(db, request[1], offset >> 3, (offset >> 3) + 1)


@command("SETBIT", arity=4, flags=Is.WRITE | Is.DENYOOM, keys=one_key("RW access update"), group="bitmap",
         since="2.2.0", whole=never, wants=_wants, syntax="key offset value")
def setbit(db: Keyspace, session: Session, args: Args) -> Reply:
    """Set a bit of a string to 0 or 1 and give what it was; the string grows as needed."""
    offset = bit_offset(args[2], session.instance.settings.proto_max_bulk_len)
    bit = integer_in(args[3], 0, 1, b"ERR bit is not an integer or out of range")

    row = _string(db, args[1])
    old = bitmaps.read_field(db, row, offset, 1)
    if row is None:
        row = strings.write(db, args[1], b"")
    if bit != old or offset >> 3 >= row.size:
        bitmaps.write_field(db, row, offset, 1, bit)
        db.notify(EventClass.STRING, b"setbit", args[1])
    return old


@command("GETBIT", arity=3, flags=Is.READONLY | Is.FAST, keys=one_key("RO access"), group="bitmap", since="2.2.0",
         whole=never, syntax="key offset")
def getbit(db: Keyspace, session: Session, args: Args) -> Reply:
    """Give a bit of a string; those behind its end are 0."""
    offset = bit_offset(args[2], session.instance.settings.proto_max_bulk_len)
    return bitmaps.read_field(db, _string(db, args[1]), offset, 1)


# -- ranges


def _range_is_long(words: Args) -> bool:
    """Whether a range, given as start, end and perhaps a unit, may span much: it does if a bound is missing, and bounds
    counted from different ends may be any distance apart."""
    if len(words) < 2:
        return True
    try:
        start, end = parse_integer(words[0]), parse_integer(words[1])
        unit = _unit(words[2:])
    except (ValueError, CommandError):
        # It will be refused.
        return False
    return (start < 0) != (end < 0) or (end - start) * unit >= 8 * strings.CHUNK


def _count_is_long(request: Request) -> bool:
    return _range_is_long(request[2:])


def _search_is_long(request: Request) -> bool:
    return _range_is_long(request[3:])


def _unit(words: Args) -> int:
    """The bits of one position, from what stands behind the bounds."""
    if not words:
        return 8
    if len(words) > 1 or words[0].upper() not in _UNITS:
        raise syntax_error()
    return _UNITS[words[0].upper()]


def _bits(row: KeyRow, start: int, end: int, unit: int) -> tuple[int, int]:
    """First bit and the one behind the last of a range whose bounds may be counted from the end; empty: 0, 0."""
    size = row.size * 8 // unit
    if start < 0:
        start = max(0, size + start)
    if end < 0:
        end = max(0, size + end)
    end = min(end, size - 1)
    return (start * unit, (end + 1) * unit) if start <= end else (0, 0)


@command("BITCOUNT", arity=-2, flags=Is.READONLY, keys=one_key("RO access"), group="bitmap", since="2.6.0",
         whole=_count_is_long, complexity="O(N) with N bytes of the range that are not in a gap",
         syntax="key [start end [BYTE | BIT]]")
def bitcount(db: Keyspace, args: Args) -> Reply:
    """Count the bits of a string, or of a range of it, that are 1."""
    if len(args) == 3 or len(args) > 5:
        raise syntax_error()
    start, end = (integer(args[2]), integer(args[3])) if len(args) > 2 else (0, -1)
    unit = _unit(args[4:])

    row = _string(db, args[1])
    if row is None or (start < 0 and end < 0 and start > end):
        return 0
    return bitmaps.count(db, row, *_bits(row, start, end, unit))


@command("BITPOS", arity=-3, flags=Is.READONLY, keys=one_key("RO access"), group="bitmap", since="2.8.7",
         whole=_search_is_long, complexity="O(N) with N bytes up to the bit that are not in a gap",
         syntax="key bit [start [end [BYTE | BIT]]]")
def bitpos(db: Keyspace, args: Args) -> Reply:
    """Give the position of the first bit of a string, or of a range of it, that is 0 or 1."""
    bit = integer(args[2])
    if bit not in (0, 1):
        raise CommandError(b"ERR The bit argument must be 1 or 0.")
    if len(args) > 6:
        raise syntax_error()
    start = integer(args[3]) if len(args) > 3 else 0
    unit = _unit(args[5:])
    end = integer(args[4]) if len(args) > 4 else -1

    row = _string(db, args[1])
    if row is None:
        return -bit
    first, stop = _bits(row, start, end, unit)
    found = bitmaps.find(db, row, bit, first, stop)
    if found < 0 and not bit and len(args) < 5 and first < stop:
        # Without an end to the range, the zeros behind the string count.
        return stop
    return found


# -- whole bitmaps


@command("BITOP", arity=-4, flags=Is.WRITE | Is.DENYOOM, group="bitmap", since="2.6.0",
         keys=(Keys(2, 2, 1, "OW update"), Keys(3, -1, 1, "RO access")),
         complexity="O(N) with N bytes of the longest string that are not in a gap",
         syntax="<AND | OR | XOR | NOT> destination-key key [key ...]")
def bitop(db: Keyspace, args: Args) -> Reply:
    """Make a key what several strings give when they are joined bit by bit."""
    word = args[1].upper()
    if word not in bitmaps.JOINS:
        raise syntax_error()
    if word == b"NOT" and len(args) != 4:
        raise CommandError(b"ERR BITOP NOT must be called with a single source key.")

    rows = [typed_source(db, name, Type.STRING) for name in args[3:]]
    if all(row is None or row.size == 0 for row in rows):
        db.delete(args[2])
        return 0
    size = bitmaps.join(db, rows, bitmaps.JOINS[word], args[2])
    db.notify(EventClass.STRING, b"set", args[2])
    return size
