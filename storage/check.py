"""Verifying the tables: sizes against rows, elements without a key, garbage, orphans, markers, numbers.

It may run beside live servers.  What one row tells is judged as it is read, since a row is read in one state; what
needs several rows is only suspected at first, and then looked at again where nobody can be in between: under the key's
lock, or in one snapshot.  `storage/check_keys.py` judges rows of keys, `storage/check_collections.py` their elements.
"""

from __future__ import annotations

import time
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from storage import schema
from storage.check_collections import collection_problems, in_order
from storage.check_keys import COLUMNS, LOCKED, KeyRecord, Problem, chunk_problems, key_problems
from storage.check_scripts import script_problems
from storage.connection import Arguments, Connection, Row
from storage.database import Database
from storage.dialect import BEGIN_SNAPSHOT, NOW_MS
from storage.errors import Conflict, SchemaError
from storage.housekeeping import HEARTBEAT_EVERY_S
from storage.key_rows import Type
from storage.owned import ELEMENTS, OWNED_TABLES
from storage.unit import GARBAGE_KEY, GARBAGE_SPACE

T = TypeVar("T")

PAGE = 1000
#: Findings of one kind that are told one by one; the rest is only counted.
MAX_TOLD = 100
#: How often something is tried that meets other transactions' locks.
TRIES = 20
#: A sweeper that lives has removed an expired key after this time.
LINGERING_MS = 60_000
#: An instance that has come up shows itself within this time.
SETTLE_S = HEARTBEAT_EVERY_S + 1

_KEY_SPACES = "SELECT space FROM rowdis_key WHERE space>%s ORDER BY space LIMIT 1"
_KEYS = f"SELECT {COLUMNS} FROM rowdis_key WHERE space=%s AND digest>%s ORDER BY digest LIMIT {PAGE}"
_OWNERS = (
    "SELECT digest, key_id, orphan FROM rowdis_key WHERE space=%s AND digest>%s ORDER BY digest LIMIT "
    f"{PAGE}"
)
_ELEMENTS = f"SELECT DISTINCT key_id FROM {{table}} WHERE key_id>%s ORDER BY key_id LIMIT {PAGE}"
_INNER = f"SELECT DISTINCT {{owns}} FROM {{table}} WHERE {{owns}}>%s ORDER BY {{owns}} LIMIT {PAGE}"
_OWNING = "SELECT {owns} FROM {table} WHERE {owns}=%s LIMIT 1"
_ANY_ELEMENT = "SELECT key_id FROM {table} WHERE key_id=%s LIMIT 1"
_GARBAGE = f"SELECT kind, id FROM rowdis_garbage WHERE kind>%s OR (kind=%s AND id>%s) ORDER BY kind, id LIMIT {PAGE}"
_IS_GARBAGE = "SELECT id FROM rowdis_garbage WHERE kind=%s AND id=%s"
_ADD_GARBAGE = "INSERT IGNORE INTO rowdis_garbage (kind, id, since) VALUES (%s,%s,%s)"
_DROP_GARBAGE = "DELETE FROM rowdis_garbage WHERE kind=%s AND id=%s"
_SPACES = "SELECT db, space FROM rowdis_space ORDER BY db"
_LOCK_SPACES = "SELECT db, space FROM rowdis_space ORDER BY db FOR UPDATE"
_LOCK_OWNER = "SELECT key_id, orphan FROM rowdis_key WHERE space=%s AND digest=%s FOR UPDATE"
_CLEAR_ORPHAN = "UPDATE rowdis_key SET orphan=0 WHERE space=%s AND digest=%s AND orphan=%s"
_STRAY_MARKERS = (
    "SELECT DISTINCT m.incarnation FROM rowdis_marker m LEFT JOIN rowdis_worker w ON w.incarnation=m.incarnation "
    "WHERE w.incarnation IS NULL ORDER BY m.incarnation"
)
_STRAY_WORKERS = (
    "SELECT w.incarnation, w.instance FROM rowdis_worker w LEFT JOIN rowdis_instance i ON i.instance=w.instance "
    "WHERE i.instance IS NULL ORDER BY w.incarnation"
)
_LOCK_WORKER = "SELECT incarnation FROM rowdis_worker WHERE incarnation=%s FOR UPDATE"
_DROP_MARKERS = "DELETE FROM rowdis_marker WHERE incarnation=%s"
_DROP_WORKER = "DELETE FROM rowdis_worker WHERE incarnation=%s"
_SWEEPERS = "SELECT COUNT(*) FROM rowdis_instance WHERE started_at<%s AND seen_at>%s"
_NEXT = "SELECT next FROM rowdis_sequence WHERE name='id'"
_RAISE_NEXT = "UPDATE rowdis_sequence SET next=%s WHERE name='id' AND next<%s"
_EPOCH = "SELECT number FROM rowdis_meta WHERE name='epoch'"
_NUMBERS = (
    ("an instance", "SELECT MAX(instance) FROM rowdis_instance"),
    ("a worker", "SELECT MAX(incarnation) FROM rowdis_worker"),
    ("a marker", "SELECT MAX(incarnation) FROM rowdis_marker"),
    ("a database number", "SELECT MAX(space) FROM rowdis_space"),
)


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be; `done` says what was done about it, None if nothing was."""

    text: str
    done: str | None = None

    @property
    def repaired(self) -> bool:
        return self.done is not None

    def __str__(self) -> str:
        return f"{self.text} (repaired: {self.done})" if self.done else self.text


def check(database: Database, *, repair: bool) -> list[Finding]:
    """What is wrong with the tables; with `repair`, what can be put right without guessing is.

    Raises SchemaError if there are no tables, or those of a newer program.
    """
    version = schema.version(database)
    if version == 0:
        raise SchemaError(f"there are no tables of Rowdis here (prefix {database.tables.prefix})")
    if version > schema.VERSION:
        raise SchemaError(f"the tables are at schema version {version}, this program knows {schema.VERSION}")
    return _Check(database, repair).run()


@dataclass
class _Ids:
    """Numbers gathered in any order and then asked for, in eight bytes each."""

    numbers: array[int] = field(default_factory=lambda: array("q"))
    highest: int = 0

    def sort(self) -> None:
        self.numbers = array("q", sorted(self.numbers))

    def add(self, number: int) -> None:
        self.numbers.append(number)
        self.highest = max(self.highest, number)

    def __contains__(self, number: int) -> bool:
        place = bisect_left(self.numbers, number)
        return place < len(self.numbers) and self.numbers[place] == number

    def repeated(self) -> list[int]:
        """Numbers that were added more than once, after `sort`."""
        numbers = self.numbers
        return sorted({number for place, number in enumerate(numbers[1:]) if number == numbers[place]})


class _Check:
    """One run through all tables."""

    def __init__(self, database: Database, repair: bool) -> None:
        self._database = database
        self._repair = repair
        self._sql = database.tables.sql
        self._findings: dict[str, list[Finding]] = {}
        self._untold: dict[str, int] = {}
        self._now = int(self._fetch(NOW_MS)[0][0])
        self._spaces: dict[int, int] = {}
        self._highest_version = 0

    def run(self) -> list[Finding]:
        self._sweeping = self._fetch(_SWEEPERS, (self._now - LINGERING_MS, self._now - 10_000))[0][0] > 0
        # Elements are gathered before their keys: what is deleted in between has become garbage or is gone, and what
        # is new in between is not among them.
        elements = self._gather_elements()
        owned = self._walk_keys()
        inner = self._gather_inner()
        garbage = self._gather_garbage()
        self._check_ownership(elements, owned, inner, garbage)
        self._check_spaces()
        self._check_workers()
        for problem in script_problems(self._fetch, repair=self._repair):
            self._tell("scripts", *problem)
        self._check_numbers(max(elements.highest, owned.highest, inner.highest, garbage.highest, self._highest_version))
        findings = [finding for kind in self._findings.values() for finding in kind]
        return findings + [Finding(f"and {count} more: {kind}") for kind, count in self._untold.items()]

    # -- reading and telling

    def _fetch(self, template: str, arguments: Arguments = ()) -> tuple[Row, ...]:
        with self._database.session() as connection:
            return connection.fetch(self._sql(template), arguments)

    @contextmanager
    def _snapshot(self) -> Iterator[Connection]:
        """A read-only transaction whose statements all see one state."""
        with self._database.session() as connection:
            for statement in BEGIN_SNAPSHOT:
                connection.defer(statement)
            yield connection
            connection.fetch("COMMIT")

    def _locked(self, body: Callable[[Connection], T]) -> T:
        """What `body` returns in a transaction of its own; run again if others are in the way."""
        for left in reversed(range(TRIES)):
            try:
                with self._database.session() as connection, self._database.atomic():
                    return body(connection)
            except Conflict:
                if not left:
                    raise
                time.sleep(0.05)
        raise AssertionError

    def _tell(self, kind: str, text: str, done: str | None = None) -> None:
        told = self._findings.setdefault(kind, [])
        if done is None and sum(not finding.repaired for finding in told) >= MAX_TOLD:
            self._untold[kind] = self._untold.get(kind, 0) + 1
        else:
            told.append(Finding(text, done))

    # -- keys

    def _key_spaces(self, fetch: Callable[[str, Arguments], tuple[Row, ...]]) -> Iterator[int]:
        space = -(2**63)
        while rows := fetch(_KEY_SPACES, (space,)):
            space = rows[0][0]
            yield space

    def _walk_keys(self) -> _Ids:
        """Judge every row of rowdis_key; the ids that they own."""
        owned = _Ids()
        live = {space: db for db, space in self._fetch(_SPACES)}
        for space in self._key_spaces(self._fetch):
            digest = b""
            while rows := self._fetch(_KEYS, (space, digest)):
                digest = rows[-1][1]
                records = [KeyRecord(*row) for row in rows]
                healthy = self._healthy(records) if space in live else set()
                for record in records:
                    for number in (record.key_id, record.orphan):
                        if number:
                            owned.add(number)
                    self._highest_version = max(self._highest_version, record.version)
                    if space in live:
                        self._judge(record, live[space], healthy)
        owned.sort()
        return owned

    def _healthy(self, records: list[KeyRecord]) -> set[int]:
        """The ids of collections among these that need no look of their own."""
        collections = [record for record in records if record.key_id and Type.STRING < record.type <= Type.STREAM]
        if not collections:
            return set()
        with self._database.session() as connection:
            return in_order(collections, connection, self._sql)

    def _judge(self, record: KeyRecord, db: int, healthy: set[int]) -> None:
        suspicious = bool(key_problems(record))
        if record.key_id and not suspicious and record.key_id not in healthy:
            with self._database.session() as connection:
                suspicious = bool(self._problems(record, connection))
        if suspicious:
            for problem, done in self._locked(partial(self._look_again, record)):
                self._tell(problem.kind, f"db {db}, {record.title}: {problem.text}", done)
        elif self._sweeping and record.expire_at is not None and record.expire_at < self._now - LINGERING_MS:
            late_s = (self._now - record.expire_at) // 1000
            self._tell("expired keys", f"db {db}, {record.title}: it expired {late_s} s ago and was not swept")

    def _problems(self, record: KeyRecord, connection: Connection) -> list[Problem]:
        problems = key_problems(record)
        if not record.key_id or record.size < 0:
            return problems
        if record.type == Type.STRING:
            problems += chunk_problems(record, connection, self._sql)
        elif record.type in ELEMENTS:
            problems += collection_problems(record, connection, self._sql)
        return problems

    def _look_again(self, record: KeyRecord, connection: Connection) -> list[tuple[Problem, str | None]]:
        """The problems of a key whose row we have locked by now, each with what was done about it."""
        rows = connection.fetch(self._sql(LOCKED), (record.space, record.digest))
        outcome: list[tuple[Problem, str | None]] = []
        for problem in self._problems(KeyRecord(*rows[0]), connection) if rows else []:
            done = problem.repair(connection, self._sql) if self._repair and problem.repair else None
            outcome.append((problem, done))
        return outcome

    # -- elements and garbage

    def _gather_elements(self) -> _Ids:
        found = _Ids()
        for table in OWNED_TABLES:
            last = -(2**63)
            while rows := self._fetch(_ELEMENTS.replace("{table}", table.name), (last,)):
                last = rows[-1][0]
                for (key_id,) in rows:
                    found.add(key_id)
        found.sort()
        return found

    def _gather_garbage(self) -> _Ids:
        """The ids of elements in the garbage; rows that have no business there are told."""
        found = _Ids()
        place = (-1, -1, 0)
        while rows := self._fetch(_GARBAGE, place):
            place = (rows[-1][0], *rows[-1])
            for kind, number in rows:
                if kind == GARBAGE_KEY:
                    found.add(number)
                elif kind == GARBAGE_SPACE:
                    self._judge_garbage_space(number)
                else:
                    self._tell("garbage", f"garbage {number} is of the unknown kind {kind}")
        found.sort()
        return found

    def _judge_garbage_space(self, space: int) -> None:
        """A space that is to be deleted must not be in use."""

        def look(connection: Connection) -> tuple[int, str | None] | None:
            numbers = [db for db, used in connection.fetch(self._sql(_LOCK_SPACES)) if used == space]
            if not numbers or not connection.fetch(self._sql(_IS_GARBAGE), (GARBAGE_SPACE, space)):
                return None
            if self._repair:
                connection.fetch(self._sql(_DROP_GARBAGE), (GARBAGE_SPACE, space))
                return numbers[0], "taken off the list of garbage"
            return numbers[0], None

        found = self._locked(look)
        if found is not None:
            self._tell("garbage", f"space {space} of db {found[0]} is in use and about to be deleted", found[1])

    def _gather_inner(self) -> _Ids:
        """The ids that rows of elements own: chunks of what is long, consumers and pending entries of groups."""
        found = _Ids()
        for table in OWNED_TABLES:
            for column in table.owns:
                template = _INNER.replace("{table}", table.name).replace("{owns}", column)
                last = 0
                while rows := self._fetch(template, (last,)):
                    last = rows[-1][0]
                    for (number,) in rows:
                        found.add(number)
        found.sort()
        return found

    def _is_owned_by_a_row(self, connection: Connection, number: int) -> bool:
        return any(
            connection.fetch(self._sql(_OWNING.replace("{table}", table.name).replace("{owns}", column)), (number,))
            for table in OWNED_TABLES
            for column in table.owns
        )

    def _drop_garbage(self, number: int, connection: Connection) -> None:
        connection.fetch(self._sql(_DROP_GARBAGE), (GARBAGE_KEY, number))

    def _check_ownership(self, elements: _Ids, owned: _Ids, inner: _Ids, garbage: _Ids) -> None:
        """Everything filed under an id belongs to a key, or to a row of a key's, or is garbage, and to one key only."""
        stray = {
            number for number in elements.numbers
            if number not in owned and number not in inner and number not in garbage
        }  # fmt: skip
        doomed = {number for number in garbage.numbers if number in owned or number in inner}
        shared = set(owned.repeated())
        if not stray and not doomed and not shared:
            return
        with self._snapshot() as connection:
            owners = self._owners_of(connection, stray | doomed | shared)
            garbage_now = {
                number for number in stray | doomed
                if connection.fetch(self._sql(_IS_GARBAGE), (GARBAGE_KEY, number))
            }  # fmt: skip
            stray = {
                number for number in stray - owners.keys() - garbage_now
                if any(connection.fetch(self._sql(_ANY_ELEMENT.replace("{table}", table.name)), (number,))
                       for table in OWNED_TABLES)
                and not self._is_owned_by_a_row(connection, number)
            }  # fmt: skip
            hanging = {number for number in doomed & garbage_now if self._is_owned_by_a_row(connection, number)}
        for number in sorted(stray):
            done = None
            if self._repair:
                self._locked(partial(self._give_to_reaper, number))
                done = "given to the reaper"
            self._tell("elements without a key", f"elements of id {number} belong to no key", done)
        for number in sorted(doomed & garbage_now & owners.keys()):
            self._save_from_reaper(number, owners[number])
        for number in sorted(hanging):
            done = None
            if self._repair:
                self._locked(partial(self._drop_garbage, number))
                done = "taken off the list of garbage"
            self._tell("garbage", f"the rows of id {number} are garbage and belong to an element or group", done)
        for number in sorted(shared):
            if len(owners.get(number, ())) > 1:
                self._tell("shared elements", f"the elements of id {number} belong to {len(owners[number])} keys")

    def _give_to_reaper(self, number: int, connection: Connection) -> None:
        connection.fetch(self._sql(_ADD_GARBAGE), (GARBAGE_KEY, number, self._now))

    def _owners_of(self, connection: Connection, wanted: set[int]) -> dict[int, list[tuple[int, bytes]]]:
        """Where key_id or orphan name these ids, by id: (space, digest) of each row."""
        owners: dict[int, list[tuple[int, bytes]]] = {}

        def fetch(template: str, arguments: Arguments) -> tuple[Row, ...]:
            return connection.fetch(self._sql(template), arguments)

        for space in self._key_spaces(fetch):
            digest = b""
            while rows := fetch(_OWNERS, (space, digest)):
                digest = rows[-1][0]
                for place, key_id, orphan in rows:
                    for number in (key_id, orphan):
                        if number in wanted:
                            owners.setdefault(number, []).append((space, place))
        return owners

    def _save_from_reaper(self, number: int, places: Sequence[tuple[int, bytes]]) -> None:
        """An id is in the garbage and in a key's row: if it is the key's own, the reaper would delete live data."""
        for space, digest in places:
            found = self._locked(partial(self._disown, number, (space, digest)))
            if found is not None:
                self._tell("garbage", f"the elements of id {number} are garbage and {found[0]}", found[1])

    def _disown(self, number: int, place: tuple[int, bytes], connection: Connection) -> tuple[str, str | None] | None:
        rows = connection.fetch(self._sql(_LOCK_OWNER), place)
        if not rows or not connection.fetch(self._sql(_IS_GARBAGE), (GARBAGE_KEY, number)):
            return None
        key_id, orphan = rows[0]
        if key_id == number:
            if self._repair:
                connection.fetch(self._sql(_DROP_GARBAGE), (GARBAGE_KEY, number))
            return "in use: live data is about to be deleted", "taken off the list of garbage" if self._repair else None
        if orphan == number:
            if self._repair:
                connection.fetch(self._sql(_CLEAR_ORPHAN), (*place, number))
            return "the orphan of a key too", "orphan cleared" if self._repair else None
        return None

    # -- spaces, workers, numbers

    def _check_spaces(self) -> None:
        with self._snapshot() as connection:
            spaces: dict[int, int] = dict(connection.fetch(self._sql(_SPACES)))

            def fetch(template: str, arguments: Arguments) -> tuple[Row, ...]:
                return connection.fetch(self._sql(template), arguments)

            used = set(spaces.values())
            lost = [
                space for space in self._key_spaces(fetch)
                if space not in used and not fetch(_IS_GARBAGE, (GARBAGE_SPACE, space))
            ]  # fmt: skip
        for db, space in spaces.items():
            twin = next(number for number, other in spaces.items() if other == space)
            if twin != db:
                self._tell("databases", f"the database numbers {twin} and {db} stand for the same space {space}")
        for space in lost:
            self._tell("databases", f"no database number stands for space {space}, which holds keys")

    def _check_workers(self) -> None:
        for (incarnation,) in self._fetch(_STRAY_MARKERS):
            done = None
            if self._repair and self._locked(partial(self._drop_markers, incarnation)):
                done = "deleted"
            self._tell("markers", f"the markers of incarnation {incarnation} have no worker", done)
        workers = self._fetch(_STRAY_WORKERS)
        if workers:
            # Their instance may just be coming up.
            time.sleep(SETTLE_S)
            workers = tuple(set(workers).intersection(self._fetch(_STRAY_WORKERS)))
        for incarnation, instance in sorted(workers):
            done = None
            if self._repair:
                # Should it live after all, its next unit fails on the guard and it enlists again.
                self._locked(partial(self._drop_worker, incarnation))
                done = "deleted"
            self._tell("workers", f"worker {incarnation} belongs to instance {instance}, which is gone", done)

    def _drop_markers(self, incarnation: int, connection: Connection) -> bool:
        if connection.fetch(self._sql(_LOCK_WORKER), (incarnation,)):
            return False
        connection.fetch(self._sql(_DROP_MARKERS), (incarnation,))
        return True

    def _drop_worker(self, incarnation: int, connection: Connection) -> None:
        connection.fetch(self._sql(_LOCK_WORKER), (incarnation,))
        connection.defer(self._sql(_DROP_MARKERS), (incarnation,))
        connection.defer(self._sql(_DROP_WORKER), (incarnation,))

    def _check_numbers(self, highest: int) -> None:
        """Every number given out is below the next one of the sequence, which is read last: it only grows."""
        if not self._fetch(_EPOCH):
            self._tell("numbers", "the epoch of the map of databases is missing")
        who = "a key"
        for what, template in _NUMBERS:
            number = self._fetch(template)[0][0] or 0
            if number > highest:
                who, highest = what, number
        rows = self._fetch(_NEXT)
        if not rows:
            self._tell("numbers", "the sequence of numbers is missing")
        elif highest >= rows[0][0]:
            done = None
            if self._repair:
                self._locked(lambda connection: connection.fetch(self._sql(_RAISE_NEXT), (highest + 1, highest + 1)))
                done = f"set to {highest + 1}"
            self._tell("numbers", f"the sequence stands at {rows[0][0]}, and {who} has the number {highest}", done)
