"""Positions on the map, kept as scores of sorted sets: adding, telling, measuring. Searches are in geo_searches.py."""

from __future__ import annotations

from protocol.errors import syntax_error
from protocol.numbers import format_human
from protocol.replies import NULL_ARRAY, DoubleText, Reply
from server.arguments import Args
from server.geo_arguments import UNITS_M, distance_text, position, unit_m
from server.keyspecs import Request, one_key
from server.registry import Is, command
from server.typed import typed
from storage import geo, geohash, zsets
from storage.effects import EventClass
from storage.key_rows import KeyRow, Type
from storage.keyspace import Keyspace

_ADD_FLAGS = frozenset({b"NX", b"XX", b"CH"})


def _after_flags(args: Args) -> int:
    """The position of the first coordinate that GEOADD was given."""
    at = 2
    while at < len(args) and args[at].upper() in _ADD_FLAGS:
        at += 1
    return at


def _want_added(db: Keyspace, request: Request) -> None:
    row = db.peek(request[1], Type.ZSET)
    if row is not None:
        zsets.of(db).want(row, request[_after_flags(request) + 2 :: 3])


@command("GEOADD", arity=-5, flags=Is.WRITE | Is.DENYOOM, keys=one_key("RW update"), group="geo", since="3.2.0",
         values=False, wants=_want_added, complexity="O(log(N)) for each member, with N members",
         syntax="key [NX | XX] [CH] longitude latitude member [longitude latitude member ...]")
def geoadd(db: Keyspace, args: Args) -> Reply:
    """Add members with their positions to a sorted set, or move members already in it."""
    start = _after_flags(args)
    flags = {word.upper() for word in args[2:start]}
    words = args[start:]
    if len(words) % 3 or not words or flags >= {b"NX", b"XX"}:
        raise syntax_error()
    scores = [
        float(geohash.encode(position(longitude, latitude)))
        for longitude, latitude in zip(words[::3], words[1::3], strict=True)
    ]

    row = typed(db, args[1], Type.ZSET)
    if row is None:
        if b"XX" in flags:
            return 0
        row = zsets.create(db, args[1])
    store = zsets.of(db)
    added = moved = 0
    for score, member in zip(scores, words[2::3], strict=True):
        old = store.score(row, member)
        if old == score or (b"XX" if old is None else b"NX") in flags:
            continue
        store.put(row, member, score)
        if old is None:
            added += 1
        else:
            moved += 1
    if added or moved:
        store.changed(row)
        db.notify(EventClass.ZSET, b"zadd", args[1])
    return added + moved if b"CH" in flags else added


def _want_members(db: Keyspace, request: Request) -> None:
    row = db.peek(request[1], Type.ZSET)
    if row is not None:
        zsets.of(db).want(row, request[2:])


def _positions(db: Keyspace, row: KeyRow | None, members: list[bytes]) -> list[geohash.Position | None]:
    """Where members are, None for what is none."""
    if row is None:
        return [None] * len(members)
    return [
        None if score is None else geo.position_of_score(score) for score in zsets.of(db).scores(row, members)
    ]


@command("GEOPOS", arity=-2, flags=Is.READONLY, keys=one_key("RO access"), group="geo", since="3.2.0", values=False,
         wants=_want_members, complexity="O(N) with N members asked for", syntax="key [member [member ...]]")
def geopos(db: Keyspace, args: Args) -> Reply:
    """Give longitude and latitude of members, null for what is none."""
    row = typed(db, args[1], Type.ZSET)
    return [
        NULL_ARRAY if found is None else [DoubleText(format_human(degrees)) for degrees in found]
        for found in _positions(db, row, args[2:])
    ]


@command("GEOHASH", arity=-2, flags=Is.READONLY, keys=one_key("RO access"), group="geo", since="3.2.0", values=False,
         wants=_want_members, complexity="O(N) with N members asked for", syntax="key [member [member ...]]")
def geohash_(db: Keyspace, args: Args) -> Reply:
    """Give the geohashes of members as strings, null for what is none."""
    row = typed(db, args[1], Type.ZSET)
    return [None if found is None else geohash.text(found) for found in _positions(db, row, args[2:])]


def _want_pair(db: Keyspace, request: Request) -> None:
    row = db.peek(request[1], Type.ZSET)
    if row is not None:
        zsets.of(db).want(row, request[2:4])


@command("GEODIST", arity=-4, flags=Is.READONLY, keys=one_key("RO access"), group="geo", since="3.2.0", values=False,
         wants=_want_pair, syntax="key member1 member2 [M | KM | FT | MI]")
def geodist(db: Keyspace, args: Args) -> Reply:
    """Give the distance of two members, null if one of them is none."""
    if len(args) > 5:
        raise syntax_error()
    metres = unit_m(args[4]) if len(args) == 5 else UNITS_M[b"M"]

    one, other = _positions(db, typed(db, args[1], Type.ZSET), args[2:4])
    if one is None or other is None:
        return None
    return distance_text(geohash.distance_m(one, other), metres)
