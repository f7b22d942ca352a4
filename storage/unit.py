"""One attempt at a unit of work: an identity map of key rows with prefetch, autoflush and versions.

An attempt lives inside of one transaction and is thrown away when that fails; everything that commands learn and
change in between is held here.  It knows rows and statements, not retries (`storage/execution.py`) and not what a
command means.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from functools import partial
from itertools import islice
from typing import Any

from storage.clock import Clock
from storage.connection import Arguments, Connection, Row, Take
from storage.deeds import Deeds
from storage.effects import Change, Effect, Event, EventClass, Flush, Wanted
from storage.identifiers import Identifiers
from storage.key_rows import KeyRow, Type, digest_of
from storage.key_writer import MAX_ROWS, KeyWriter
from storage.spaces import SpaceChange, SpaceMap
from storage.tables import Tables, values

#: Queries that are joined to one statement.
MAX_PARTS = 100

#: Sizes above this make a row stand in `Attempt.large`.
LARGE = 1000

# Most rows are short strings that do not expire; what there is to say beyond their value comes as NULL, which costs the
# driver nothing, instead of as five numbers (docs/decisions/0002).
_PLAIN = "type=1 AND key_id=0 AND expire_at IS NULL AND orphan=0"
_REST = "CONCAT_WS(',', type, key_id, size, orphan, expire_at)"
_FROM = " FROM rowdis_key FORCE INDEX (PRIMARY) WHERE space=%s AND digest IN ({rows})"
_READ = f"SELECT name, version, value, IF({_PLAIN}, NULL, {_REST}){_FROM}"
_SHORT = 64
_READ_BRIEF = (
    f"SELECT name, version, IF(type<>1 OR size<={_SHORT}, value, NULL), "
    f"IF({_PLAIN} AND size<={_SHORT}, NULL, {_REST}){_FROM}"
)
_LOCK = " ORDER BY space, digest FOR UPDATE"
_LOCK_NOWAIT = f"{_LOCK} NOWAIT"
_VALUE = "SELECT value FROM rowdis_key WHERE space=%s AND digest=%s"

_GARBAGE = "INSERT INTO rowdis_garbage (kind, id, since) VALUES {rows}"
GARBAGE_KEY, GARBAGE_SPACE = 0, 1
_HASH_MOVED = "UPDATE rowdis_hash_expiry SET space=%s, digest=%s WHERE key_id=%s"


#: A placeholder group, e.g. "(%s,%s)", and how many of them.
Repeat = tuple[str, int]


class Mode(enum.Enum):
    """What the transaction around an attempt can promise."""

    #: One statement, no transaction: it sees one state, a second statement might see another.
    GLANCE = "glance"
    #: Read-only, all statements see one state.
    SNAPSHOT = "snapshot"
    #: Reads lock what they read, writes are applied at commit.
    WRITE = "write"


class NeedsSnapshot(Exception):
    """A second statement was wanted where only one sees a consistent state: run the unit again in a snapshot."""


class Attempt:
    """The identity map of one try of a unit.

    Stores find rows here, change them, and mark them with `touch`; `flush` turns what was marked into a few multi-row
    statements.  All times are `now_ms`, read once after the keys were locked.
    """

    #: What earlier tries of the unit have done elsewhere; there is one where something is written.
    deeds: Deeds

    def __init__(
        self,
        connection: Connection,
        tables: Tables,
        mode: Mode,
        spaces: SpaceMap,
        identifiers: Identifiers,
        clock: Clock,
        wanted: Wanted,
    ) -> None:
        self.connection = connection
        self.tables = tables
        self.mode = mode
        self.map = spaces
        self.next_id = identifiers.next
        self._clock = clock
        self.now_ms = 0
        self._writer = KeyWriter(connection, tables)
        #: Defers the deletion of at most MAX_ROWS rows of a space that are locked, by their digests.
        self.delete_rows = self._writer.delete
        self._rows: dict[int, dict[bytes, KeyRow]] = {}
        self._dirty: list[KeyRow] = []
        self._hold: set[tuple[int, bytes]] = set()
        self._garbage: list[tuple[int, int]] = []
        self._change: SpaceChange | None = None
        self._looked = False
        #: Keyspaces by database number; they go by the map, so they are forgotten when it changes.
        self.keyspaces: dict[int, Any] = {}
        #: How many keys were asked for that are there, and that are not.
        self.hits = 0
        self.misses = 0
        #: Rows with elements or chunks behind them, of more than LARGE bytes or elements.
        self.large: list[KeyRow] = []
        #: Rows that somebody else has locked are not waited for.
        self.nowait = False
        #: Defers a statement behind the first reads, in their trip.
        self.guard: Callable[[], None] | None = None
        #: Ids of collections made by this attempt: nothing is in the tables under them but what it wrote itself.
        self.fresh: set[int] = set()
        #: Others wait for this unit besides the client that is served: nothing in it may take long.
        self.shared = False
        #: Stores' own objects of this attempt, by a name of their choice.
        self.parts: dict[str, Any] = {}
        #: Called by `prefetch`: stores of elements defer here the reading of what commands to come want.
        self.prefetchers: list[Callable[[], None]] = []
        #: Called by `flush`, before key rows are written: stores of elements hang their own buffers in here.
        self.flushers: list[Callable[[], None]] = []
        #: What is to be told after the commit, and what of it somebody wants to know.
        self.effects: list[Effect] = []
        self.wanted_events = wanted.events
        self.wants_changes = wanted.changes
        #: The command being executed only reads: what it does not find is an event.
        self.tells_misses = False
        #: What the command being executed reads is told.
        self.tells_reads = False

    # -- reading

    def begin(
        self,
        keys: Iterable[tuple[int, bytes]],
        *,
        blind: Iterable[tuple[int, bytes]] = (),
        hold: Iterable[tuple[int, bytes]] = (),
        values_wanted: bool = True,
    ) -> None:
        """Read all keys of the unit, each given as (database number, name), and take the time.

        `blind` keys will be overwritten by plain values and are not read.  `hold` are those among `keys` whose
        absence something depends on: `finish` makes sure that they are absent until the commit.
        """
        spaces = self.map.spaces
        self.read([(spaces[db], name) for db, name in keys], values_wanted=values_wanted)
        for db, name in blind:
            rows = self._rows.setdefault(spaces[db], {})
            if name not in rows:
                row = rows[name] = KeyRow(spaces[db], name, digest_of(name))
                row.blind = True
        self._hold = {(spaces[db], name) for db, name in hold}
        self.now_ms = self._clock.now_ms()

    def read(self, keys: list[tuple[int, bytes]], *, values_wanted: bool = True) -> None:
        """Read the rows of (space, name) pairs that are not in the map yet, in digest order, locked if writing."""
        wanted: dict[int, list[KeyRow]] = {}
        for space, name in keys:
            rows = self._rows.get(space)
            if rows is None:
                rows = self._rows[space] = {}
            if name not in rows:
                row = rows[name] = KeyRow(space, name, digest_of(name))
                wanted.setdefault(space, []).append(row)
        if not wanted:
            return
        self._look(len(wanted) == 1 and len(next(iter(wanted.values()))) <= MAX_ROWS)
        template = _READ if values_wanted else _READ_BRIEF
        if self.mode is Mode.WRITE:
            template += _LOCK_NOWAIT if self.nowait else _LOCK
        template = self.tables.sql(template)
        for space in sorted(wanted):
            found = self._rows[space]
            digests = sorted([row.digest for row in wanted[space]])
            for start in range(0, len(digests), MAX_ROWS):
                some = digests[start : start + MAX_ROWS]
                self.connection.defer(
                    values(template, "%s", len(some)),
                    (space, *some),
                    partial(self._take, found, values_wanted),
                )
        if self.guard is not None:
            self.guard()
            self.guard = None
        self.connection.send()

    def _take(self, found: dict[bytes, KeyRow], with_value: bool, answer: tuple[Row, ...]) -> None:
        """Fill rows of the map from a SELECT's answer. A row whose name nobody asked for is a digest's chance twin."""
        for name, version, value, rest in answer:
            row = found.get(name)
            if row is None:
                continue
            row.version = version
            row.value = value
            row.stored = True
            if rest is None:
                row.type = Type.STRING
                row.size = len(value)
                continue
            kind, key_id, size, orphan, *expire_at = map(int, rest.split(b","))
            row.type = kind
            row.key_id = key_id
            row.size = size
            row.orphan = orphan
            if expire_at:
                row.expire_at = expire_at[0]
            row.value_read = with_value or key_id != 0 or (kind == Type.STRING and size <= _SHORT)
            if key_id and size > LARGE:
                self.large.append(row)

    def find(self, space: int, name: bytes) -> KeyRow | None:
        """The row of a key that exists now, else None."""
        row = self.slot(space, name)
        if row.type != 0:
            if row.expire_at is None or row.expire_at > self.now_ms:
                self.hits += 1
                return row
            if self.mode is Mode.WRITE:
                self.remove(row)
                self.tell_event(EventClass.EXPIRED, b"expired", space, name)
        self.misses += 1
        if self.tells_misses:
            self.tell_event(EventClass.KEY_MISS, b"keymiss", space, name)
        return None

    def peek(self, space: int, name: bytes, kind: Type) -> KeyRow | None:
        """The row of a key of this type, if it is in the map already; for prefetching, counts nothing."""
        rows = self._rows.get(space)
        row = rows.get(name) if rows is not None else None
        return row if row is not None and row.type == kind and self._is_there(row) else None

    def version_of(self, db: int, name: bytes) -> int:
        """The version of a key, 0 if there is none; for comparing, counts nothing."""
        row = self.slot(self.map.spaces[db], name)
        return row.version if self._is_there(row) else 0

    def type_of(self, db: int, name: bytes) -> int:
        """The type of a key, NONE if there is none; for comparing, counts nothing."""
        row = self.slot(self.map.spaces[db], name)
        return row.type if self._is_there(row) else Type.NONE

    def _is_there(self, row: KeyRow) -> bool:
        return row.type != 0 and (row.expire_at is None or row.expire_at > self.now_ms)

    def slot(self, space: int, name: bytes) -> KeyRow:
        """The row of a key, present or absent; read if it is not in the map yet."""
        rows = self._rows.get(space)
        row = rows.get(name) if rows is not None else None
        if row is None:
            self.read([(space, name)])
            row = self._rows[space][name]
        elif row.blind:
            self.flush()
            del self._rows[space][name]
            return self.slot(space, name)
        return row

    def hold(self, space: int, name: bytes) -> None:
        """Something depends on what there is under a name, so if that is nothing, it stays so until the commit."""
        self._hold.add((space, name))

    def value_of(self, row: KeyRow) -> bytes:
        """The inline value of a string row, fetched if the prefetch left it out."""
        if not row.value_read:
            row.value = self.query(_VALUE, (row.space, row.digest))[0][0]
            row.value_read = True
        return row.value or b""

    def query(
        self, template: str, arguments: Arguments = (), *, rows: Repeat | None = None, single: bool = False
    ) -> tuple[Row, ...]:
        """Rows of a query that sees every write of this attempt so far. For `rows` see `write`.

        `single`: it may well be the unit's only one, so that a unit which reads can do without a snapshot.
        """
        self._look(single)
        self.flush()
        return self.connection.fetch(self._render(template, rows), arguments)

    def query_elements(
        self, template: str, arguments: Arguments = (), *, rows: Repeat | None = None
    ) -> tuple[Row, ...]:
        """Rows of a query on tables of elements, whose writes are already deferred in front of it."""
        self._look(False)
        return self.connection.fetch(self._render(template, rows), arguments)

    def defer_query(
        self, template: str, arguments: Arguments, take: Take, *, rows: Repeat | None = None
    ) -> None:
        """Gather a query on elements whose rows are handed to `take` when the next trip was made."""
        self._look(False)
        self.connection.defer(self._render(template, rows), arguments, take)

    def defer_queries(self, template: str, queries: list[tuple[Arguments, Take]]) -> None:
        """Gather one query on elements with several arguments, as few statements if the database gains by that.

        The template begins with "SELECT"; what it says of order holds for the rows that each `take` is given.
        """
        if not self.connection.unites or len(queries) == 1:
            for arguments, take in queries:
                self.defer_query(template, arguments, take)
            return
        part = f"(SELECT %s AS part,{template.removeprefix('SELECT')})"
        for start in range(0, len(queries), MAX_PARTS):
            some = queries[start : start + MAX_PARTS]
            united = [column for number, (arguments, _) in enumerate(some) for column in (number, *arguments)]
            self.defer_query(" UNION ALL ".join([part] * len(some)), united, partial(_divide, some))

    def prefetch(self) -> None:
        """Read, in one trip, whatever the stores were told that commands to come will look for."""
        for prefetcher in self.prefetchers:
            prefetcher()
        self.connection.send()

    def _render(self, template: str, rows: Repeat | None) -> str:
        rendered = self.tables.sql(template)
        return values(rendered, *rows) if rows is not None else rendered

    def _look(self, single: bool) -> None:
        """Note a statement that reads; where only the first one is consistent, refuse a second."""
        if self.mode is Mode.GLANCE and (self._looked or not single):
            raise NeedsSnapshot
        self._looked = True

    # -- writing

    def overwrite(self, space: int, name: bytes) -> KeyRow:
        """The row of a key whose old value, expiry and elements are forgotten; a blind row stays unread."""
        rows = self._rows.get(space)
        row = rows.get(name) if rows is not None else None
        if row is None:
            row = self.slot(space, name)
        if not row.blind:
            if self.wanted_events:
                self._tell_coming(row)
            self._discard(row)
        row.expire_at = None
        row.value_read = True
        self.touch(row)
        return row

    def touch(self, row: KeyRow) -> None:
        """Give a row a new version and mark it to be written."""
        row.version = self.next_id()
        if row.orphan:
            # The row may get elements of its own again, and the column has room for one id.
            self._garbage.append((GARBAGE_KEY, row.orphan))
            row.orphan = 0
        if self.wants_changes:
            self.effects.append(Change(row.name))
        if not row.dirty:
            self._mark(row)

    def remove(self, row: KeyRow) -> None:
        """Make the key absent; its elements become garbage."""
        self._discard(row)
        row.type = 0
        row.size = 0
        row.value = None
        row.value_read = True
        row.expire_at = None
        if self.wants_changes:
            self.effects.append(Change(row.name))
        if not row.dirty:
            self._mark(row)

    def move_contents(self, source: KeyRow, space: int, name: bytes) -> KeyRow:
        """Give everything of `source`, elements included, to another key, whose old contents are forgotten."""
        if not source.value_read and source.key_id == 0:
            self.value_of(source)
        target = self.slot(space, name)
        if self.wanted_events:
            self._tell_coming(target, replaced=True)
        if source.type == Type.HASH:
            # Who sweeps the fields that are due has to find their key (storage/field_expiry.py).
            self.flush()
            self.write(_HASH_MOVED, (space, target.digest, source.key_id))
        self._discard(target)
        target.key_id, target.type, target.size = source.key_id, source.type, source.size
        target.value, target.value_read, target.expire_at = source.value, source.value_read, source.expire_at
        target.state = source.state
        self.touch(target)
        source.key_id = 0
        self.remove(source)
        return target

    def discard_elements(self, key_id: int) -> None:
        """Leave the elements of a key id to the reaper."""
        self._garbage.append((GARBAGE_KEY, key_id))

    def write(self, template: str, arguments: Arguments = (), *, rows: Repeat | None = None) -> None:
        """Defer a statement that changes elements.

        With `rows`, a pair of a placeholder group and a number, `{rows}` in the template is the group that many times.
        """
        assert self.mode is Mode.WRITE
        self.connection.defer(self._render(template, rows), arguments)

    def _discard(self, row: KeyRow) -> None:
        row.state = None
        if row.key_id:
            self._garbage.append((GARBAGE_KEY, row.key_id))
            row.key_id = 0
        if row.orphan:
            self._garbage.append((GARBAGE_KEY, row.orphan))
            row.orphan = 0

    def _mark(self, row: KeyRow) -> None:
        row.dirty = True
        self._dirty.append(row)

    def let_go(self) -> None:
        """Forget what refers back to this attempt, when it is over.

        So memory is freed at once. Left to the garbage collector, a hundred megabytes gather in a minute of load.
        """
        self.keyspaces.clear()
        self.parts.clear()
        self.prefetchers.clear()
        self.flushers.clear()

    # -- effects

    def tell_event(self, kind: EventClass, event: bytes, space: int, name: bytes) -> None:
        """Tell of an event of a key when this has committed, if somebody wants to know."""
        if self.wanted_events and self.wanted_events & kind:
            # A space that FLUSHDB has just replaced has no number any more.
            self.effects += [Event(event, db, name) for db, number in self.map.spaces.items() if number == space]

    def _tell_coming(self, row: KeyRow, *, replaced: bool = False) -> None:
        """Tell of what comes to be in the place of a row: a new key, unless the old one lives on with another value.

        `replaced`: it does not, the old key is gone as if deleted.
        """
        there = self._is_there(row)
        if row.type and not there:
            self.tell_event(EventClass.EXPIRED, b"expired", row.space, row.name)
        if replaced or not there:
            self.tell_event(EventClass.NEW, b"new", row.space, row.name)

    def take_effects(self) -> list[Effect]:
        """What there is to tell since the last call."""
        effects, self.effects = self.effects, []
        return effects

    # -- the map of databases

    def space_of(self, db: int) -> int:
        return self.map.spaces[db]

    def replace_space(self, db: int, *, tell: bool = True) -> None:
        """Point a database number at a fresh space; the old one becomes garbage. `tell`: it is told as a Flush."""
        old = self.map.spaces[db]
        self._spaces().point(db, self.next_id())
        if tell and self.wants_changes:
            self.effects.append(Flush())
        # What this unit wrote into the old space is written all the same: it is garbage with the rest.
        self._garbage.append((GARBAGE_SPACE, old))

    def swap_spaces(self, first: int, second: int) -> None:
        spaces = self.map.spaces
        one, other = spaces[first], spaces[second]
        change = self._spaces()
        change.point(first, other)
        change.point(second, one)
        if self.wants_changes:
            self.effects.append(Flush())

    def renew_scripts(self) -> None:
        """Let no copy of a script count any more, here or elsewhere."""
        change = self._spaces()
        change.renew_scripts(self.next_id())
        self.map = change.map

    def renew_functions(self) -> None:
        """Let no copy of a library of functions count any more, here or elsewhere."""
        change = self._spaces()
        change.renew_functions(self.next_id())
        self.map = change.map

    def _spaces(self) -> SpaceChange:
        if self._change is None:
            self._change = SpaceChange(self.connection, self.tables, self.map)
            self.map = self._change.map
        self.keyspaces.clear()
        return self._change

    # -- flushing

    def flush(self) -> None:
        """Defer everything that was changed, as a few multi-row statements; deletes before inserts."""
        for flusher in self.flushers:
            flusher()
        if self._garbage:
            garbage, self._garbage = self._garbage, []
            for start in range(0, len(garbage), MAX_ROWS):
                some = garbage[start : start + MAX_ROWS]
                arguments = [number for kind, number in some for number in (kind, number, self.now_ms)]
                self.connection.defer(values(self.tables.sql(_GARBAGE), "(%s,%s,%s)", len(some)), arguments)
        if self._dirty:
            dirty, self._dirty = self._dirty, []
            dirty.sort(key=_place)
            for row in dirty:
                row.dirty = False
                if row.stored and row.type != 0 and not row.blind and not row.value_read and row.key_id == 0:
                    # The row is written whole.
                    self.value_of(row)
            self._writer.write(dirty)

    def finish(self) -> None:
        """Defer all that is left to write, before COMMIT.

        A row that was read is locked, but what is absent can't be.  A key whose absence something depends on is
        inserted and deleted again: that fails if somebody has made it since we looked, and keeps it absent from now on.
        """
        self.flush()
        held = (self._rows[space].get(name) for space, name in self._hold if space in self._rows)
        # A row with a version was read, and is locked, or written by us. At what is not here nobody has looked.
        absent = sorted(
            (row for row in held if row is not None and not row.stored and not row.version and not row.blind),
            key=_place,
        )
        self._writer.hold(absent)


def _divide(queries: list[tuple[Arguments, Take]], answer: tuple[Row, ...]) -> None:
    """Give each of several united queries its rows."""
    parts: list[list[Row]] = [[] for _ in queries]
    for number, *columns in answer:
        parts[number].append(tuple(columns))
    for (_, take), rows in zip(queries, parts, strict=True):
        take(tuple(rows))


def _place(row: KeyRow) -> tuple[int, bytes]:
    return row.space, row.digest


def touched_keys(attempt: Attempt) -> list[tuple[int, bytes]]:
    """(database number, name) of every key the attempt had in its map, at most ten thousand: what a retry locks."""
    numbers = {space: db for db, space in attempt.map.spaces.items()}
    keys = ((numbers[space], name) for space, rows in attempt._rows.items() if space in numbers for name in rows)
    return list(islice(keys, 10_000))
