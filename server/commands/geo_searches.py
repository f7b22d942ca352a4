"""Searching the map: members of a sorted set within a circle or a rectangle."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from protocol.errors import CommandError
from protocol.numbers import format_human
from protocol.replies import DoubleText, Reply
from server.arguments import Args
from server.geo_arguments import Locate, Order, Search, area_search, distance_text, radius_search
from server.keyspecs import Keys, KeysAfter, KeySpec, Request, one_key
from server.registry import Is, command
from server.typed import typed_source
from server.zset_results import store_zset
from storage import geo, zsets
from storage.geo import Found
from storage.geohash import Position
from storage.key_rows import KeyRow, Type
from storage.keyspace import Keyspace

_COST = "O(N+M*log(M)) with N members in the cells of the grid around the area, M of which are in it"
_RADIUS = "radius <M | KM | FT | MI>"
_COUNT = "[COUNT count [ANY]] [ASC | DESC]"
_GIVES = "[WITHCOORD] [WITHDIST] [WITHHASH]"
_STORE = "[STORE key | STOREDIST key]"
_AREA = (
    "<FROMMEMBER member | FROMLONLAT longitude latitude> "
    f"<BYRADIUS {_RADIUS} | BYBOX width height <M | KM | FT | MI>>"
)


def _reads_and_stores(start: int) -> tuple[KeySpec, ...]:
    """The keys of a command that may store what it finds, with options from a position on."""
    return (
        Keys(1, 1, 1, "RO access"),
        KeysAfter("STORE", start, 0, 0, "OW update"),
        KeysAfter("STOREDIST", start, 0, 0, "OW update"),
    )


class _Searcher:
    """One of the commands that search: `parse` knows its syntax, `event` is told of what it stores."""

    def __init__(
        self, parse: Callable[[Args, Locate], Search], key: int = 1, event: bytes = b"georadiusstore"
    ) -> None:  # fmt: skip
        self._parse = parse
        self._key = key
        self._event = event

    def want(self, db: Keyspace, request: Request) -> None:
        """For `wants`."""
        row = db.peek(request[self._key], Type.ZSET)
        if row is None:
            return
        try:
            # Where a member is, nobody knows yet.
            search = self._parse(request, lambda member: geo.want_around(db, row, member))
        except CommandError:
            return
        if search.shape is not None:
            geo.want(db, row, search.shape, limited=search.any)

    def count(self, request: Request, size: int) -> int:
        """For `reads`: a guess."""
        try:
            search = self._parse(request, lambda member: (0.0, 0.0))
        except CommandError:
            return 0
        return geo.expected(search.shape, size) if search.shape is not None else 0

    def reply(self, db: Keyspace, args: Args) -> Reply:
        row = typed_source(db, args[self._key], Type.ZSET)
        search = self._parse(args, partial(_locate, db, row))

        shape = search.shape
        found: list[Found] = []
        if row is not None and shape is not None:
            found = _select(geo.search(db, row, shape, search.count if search.any else None), search)
        if search.target is None:
            return _told(found, search)
        scores = {
            hit.member: hit.distance_m / search.unit_m if search.stores_distances else hit.score for hit in found
        }
        return store_zset(db, search.target, list(scores.items()), self._event)


def _locate(db: Keyspace, row: KeyRow | None, member: bytes) -> Position | None:
    if row is None:
        return None
    score = zsets.of(db).score(row, member)
    if score is None:
        raise CommandError(b"ERR could not decode requested zset member")
    return geo.position_of_score(score)


def _select(found: list[Found], search: Search) -> list[Found]:
    """Those that were asked for, in order: of some, the nearest, if not any will do."""
    order = search.order
    if order is None and search.count and not search.any:
        order = Order.ASC
    if order is not None:
        found.sort(key=lambda hit: hit.distance_m, reverse=order is Order.DESC)
    return found[: search.count] if search.count else found


def _told(found: list[Found], search: Search) -> Reply:
    gives = search.gives
    if not gives:
        return [hit.member for hit in found]
    reply: list[list[Reply]] = []
    for hit in found:
        told: list[Reply] = [hit.member]
        if b"WITHDIST" in gives:
            told.append(distance_text(hit.distance_m, search.unit_m))
        if b"WITHHASH" in gives:
            told.append(int(hit.score))
        if b"WITHCOORD" in gives:
            told.append([DoubleText(format_human(degrees)) for degrees in hit.position])
        reply.append(told)
    return reply


_georadius = _Searcher(partial(radius_search, by_member=False, may_store=True))
_georadius_ro = _Searcher(partial(radius_search, by_member=False, may_store=False))
_georadiusbymember = _Searcher(partial(radius_search, by_member=True, may_store=True))
_georadiusbymember_ro = _Searcher(partial(radius_search, by_member=True, may_store=False))
_geosearch = _Searcher(partial(area_search, storing=False))
_geosearchstore = _Searcher(partial(area_search, storing=True), key=2, event=b"geosearchstore")


@command("GEOSEARCH", arity=-7, flags=Is.READONLY, keys=one_key("RO access"), group="geo", since="6.2.0", values=False,
         wants=_geosearch.want, reads=_geosearch.count, complexity=_COST, syntax=f"key {_AREA} {_COUNT} {_GIVES}")
def geosearch(db: Keyspace, args: Args) -> Reply:
    """Give the members within a circle or a rectangle."""
    return _geosearch.reply(db, args)


@command("GEOSEARCHSTORE", arity=-8, flags=Is.WRITE | Is.DENYOOM, group="geo", since="6.2.0", values=False,
         keys=(Keys(1, 1, 1, "OW update"), Keys(2, 2, 1, "RO access")), wants=_geosearchstore.want,
         reads=_geosearchstore.count, complexity=_COST, syntax=f"destination source {_AREA} {_COUNT} [STOREDIST]")
def geosearchstore(db: Keyspace, args: Args) -> Reply:
    """Store the members within a circle or a rectangle as another sorted set, and count them."""
    return _geosearchstore.reply(db, args)


@command("GEORADIUS", arity=-6, flags=Is.WRITE | Is.DENYOOM | Is.MOVABLEKEYS, keys=_reads_and_stores(6), group="geo",
         since="3.2.0", values=False, wants=_georadius.want, reads=_georadius.count, complexity=_COST,
         syntax=f"key longitude latitude {_RADIUS} {_GIVES} {_COUNT} {_STORE}")
def georadius(db: Keyspace, args: Args) -> Reply:
    """Give or store the members within a circle; GEOSEARCH replaces it."""
    return _georadius.reply(db, args)


@command("GEORADIUS_RO", arity=-6, flags=Is.READONLY, keys=one_key("RO access"), group="geo", since="3.2.10",
         values=False, wants=_georadius_ro.want, reads=_georadius_ro.count, complexity=_COST,
         syntax=f"key longitude latitude {_RADIUS} {_GIVES} {_COUNT}")
def georadius_ro(db: Keyspace, args: Args) -> Reply:
    """Give the members within a circle; GEOSEARCH replaces it."""
    return _georadius_ro.reply(db, args)


@command("GEORADIUSBYMEMBER", arity=-5, flags=Is.WRITE | Is.DENYOOM | Is.MOVABLEKEYS, keys=_reads_and_stores(5),
         group="geo", since="3.2.0", values=False, wants=_georadiusbymember.want, reads=_georadiusbymember.count,
         complexity=_COST, syntax=f"key member {_RADIUS} {_GIVES} {_COUNT} {_STORE}")
def georadiusbymember(db: Keyspace, args: Args) -> Reply:
    """Give or store the members within a circle around one of them; GEOSEARCH replaces it."""
    return _georadiusbymember.reply(db, args)


@command("GEORADIUSBYMEMBER_RO", arity=-5, flags=Is.READONLY, keys=one_key("RO access"), group="geo", since="3.2.10",
         values=False, wants=_georadiusbymember_ro.want, reads=_georadiusbymember_ro.count, complexity=_COST,
         syntax=f"key member {_RADIUS} {_GIVES} {_COUNT}")
def georadiusbymember_ro(db: Keyspace, args: Args) -> Reply:
    """Give the members within a circle around one of them; GEOSEARCH replaces it."""
    return _georadiusbymember_ro.reply(db, args)
