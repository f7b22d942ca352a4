"""Elements that are found by the digest of their name: fields of hashes, members of sets and sorted sets.

An identity map per attempt and table, with prefetch and buffered writes.  What a batch of commands looks for is
gathered by `want` and read by one SELECT; what it changes is written by a few multi-row statements.  Elements are
touched only under the lock of their key's row, so nothing here locks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeAlias

from storage import overflow
from storage.connection import Row
from storage.key_rows import digest_of
from storage.key_writer import MAX_ROWS
from storage.unit import Attempt

#: What a store keeps of an element; the first field is its name (field or member), bytes.
Record: TypeAlias = tuple[Any, ...]
Column: TypeAlias = bytes | int | None

DIGEST_BYTES = 16
FIRST = bytes(DIGEST_BYTES)
#: Rows of one SELECT that reads a collection page by page.
PAGE = 2000
#: Parts of one UNION.
_PARTS = 50


#: Takes the elements of a page: (digest, record) of each.
TakePage: TypeAlias = Callable[[list[tuple[bytes, Record]]], None]


class Owner(Protocol):
    """What elements belong to: the row of a key, mostly."""

    @property
    def key_id(self) -> int: ...


@dataclass(frozen=True)
class ElementTable:
    """How one table keeps its records.

    `columns` are those behind key_id, digest and chunks.  `encode` gives their values for a record that fits into a
    row, `decode` makes the record again; `long` says which fields of a record are bytes of any length: those are stored
    elsewhere if they are too long together, with their first `kept` bytes in their place (which an index may need).
    """

    name: str
    columns: tuple[str, ...]
    encode: Callable[[Record], Sequence[Column]]
    decode: Callable[[Sequence[Any]], Record]
    long: tuple[int, ...] = (0,)
    kept: int = 0

    def __post_init__(self) -> None:
        listed = ", ".join(self.columns)
        group = "(%s,%s,%s" + ",%s" * len(self.columns) + ")"
        updates = ", ".join(f"{name}=VALUES({name})" for name in ("chunks", *self.columns))
        set_ = partial(object.__setattr__, self)
        set_("group", group)
        set_("read", f"SELECT key_id, chunks, {listed} FROM {self.name} FORCE INDEX (PRIMARY) "
                     "WHERE (key_id, digest) IN ({rows})")
        set_("read_of_one", f"SELECT key_id, chunks, {listed} FROM {self.name} FORCE INDEX (PRIMARY) "
                            "WHERE key_id=%s AND digest IN ({rows})")
        set_("page", f"SELECT digest, chunks, {listed} FROM {self.name} FORCE INDEX (PRIMARY) "
                     "WHERE key_id=%s AND digest>=%s ORDER BY key_id, digest LIMIT %s")
        set_("page_before", f"SELECT digest, chunks, {listed} FROM {self.name} FORCE INDEX (PRIMARY) "
                            "WHERE key_id=%s AND digest>=%s AND digest<%s ORDER BY key_id, digest LIMIT %s")
        set_("whole", f"SELECT key_id, chunks, {listed} FROM {self.name} FORCE INDEX (PRIMARY) "
                      "WHERE key_id IN ({rows})")
        set_("nth", f"(SELECT key_id, chunks, {listed} FROM {self.name} FORCE INDEX (PRIMARY) "
                    "WHERE key_id=%s ORDER BY key_id, digest LIMIT %s,1)")
        set_("insert", f"INSERT INTO {self.name} (key_id, digest, chunks, {listed}) VALUES {{rows}}")
        set_("upsert", f"{self.insert} ON DUPLICATE KEY UPDATE {updates}")
        # A plain DELETE takes no index hint: MariaDB reads, and locks, the whole of a small table for a list of keys.
        set_("delete", "DELETE e FROM (SELECT %s AS key_id, %s AS digest{rows}) w STRAIGHT_JOIN "
                       f"{self.name} e FORCE INDEX (PRIMARY) ON e.key_id=w.key_id AND e.digest=w.digest")
        set_("delete_one", f"DELETE FROM {self.name} WHERE key_id=%s AND digest=%s")

    # Statements, made of the above.
    group: str = ""
    read: str = ""
    read_of_one: str = ""
    page: str = ""
    page_before: str = ""
    whole: str = ""
    nth: str = ""
    insert: str = ""
    upsert: str = ""
    delete: str = ""
    delete_one: str = ""


def elements_of(attempt: Attempt, table: ElementTable) -> Elements:
    """The elements of a table that an attempt knows of, one object for the whole attempt."""
    found: Elements | None = attempt.parts.get(table.name)
    if found is None:
        found = attempt.parts[table.name] = Elements(attempt, table)
    return found


class Elements:
    """The elements of one table that an attempt knows of.

    Found by the row of their key and their name; a `record` is a tuple that begins with the name.  A name is known to
    be absent once it was looked for; of a collection that this attempt has made, or has read as a whole, everything is
    known.
    """

    def __init__(self, attempt: Attempt, table: ElementTable) -> None:
        self._attempt = attempt
        self._table = table
        self._known: dict[int, dict[bytes, Record | None]] = {}
        self._wanted: dict[int, dict[bytes, None]] = {}
        self._wanted_whole: dict[int, None] = {}
        #: Ids of which every element is known, beside those that the attempt has made.
        self._complete: set[int] = set()
        # What the table holds, where it differs from an absent row: needed to write the least.
        self._stored: dict[int, set[bytes]] = {}
        self._chunks: dict[tuple[int, bytes], int] = {}
        self._dirty: dict[int, dict[bytes, None]] = {}
        attempt.prefetchers.append(self.prefetch)
        attempt.flushers.append(self.flush)

    # -- reading

    def want(self, row: Owner, names: Iterable[bytes]) -> None:
        """Note names that a command to come will look for; `prefetch` reads all of them at once."""
        key_id = row.key_id
        if self._is_complete(key_id):
            return
        known = self._known.get(key_id, {})
        wanted = self._wanted.setdefault(key_id, {})
        for name in names:
            if name not in known:
                wanted[name] = None

    def want_all(self, row: Owner) -> None:
        """Note a small collection, all of which a command to come will look for."""
        if not self._is_complete(row.key_id):
            self._wanted_whole[row.key_id] = None

    def prefetch(self) -> None:
        """Defer the reading of everything wanted; it is known after the attempt's next trip."""
        if self._wanted_whole:
            self._defer_wholes()
        wanted, self._wanted = self._wanted, {}
        pairs: list[tuple[int, bytes, bytes]] = []
        for key_id, names in wanted.items():
            if not self._is_complete(key_id):
                known = self._known.setdefault(key_id, {})
                # What somebody has put there in the meantime is newer than the table.
                pairs += [(key_id, digest_of(name), name) for name in names if name not in known]
        pairs.sort()
        for start in range(0, len(pairs), MAX_ROWS):
            some = pairs[start : start + MAX_ROWS]
            for key_id, _, name in some:
                self._known[key_id][name] = None
            arguments: list[int | bytes]
            if some[0][0] == some[-1][0]:
                template, group = self._table.read_of_one, "%s"
                arguments = [some[0][0], *[digest for _, digest, _ in some]]
            else:
                template, group = self._table.read, "(%s,%s)"
                arguments = [column for key_id, digest, _ in some for column in (key_id, digest)]
            self._attempt.defer_query(template, arguments, self._take, rows=(group, len(some)))

    def get(self, row: Owner, name: bytes) -> Record | None:
        """The record of an element, None if there is no such element; read now if nobody wanted it before."""
        key_id = row.key_id
        known = self._known.get(key_id)
        if known is not None and name in known:
            return known[name]
        if self._is_complete(key_id):
            return None
        self.want(row, (name,))
        self.prefetch()
        self._attempt.connection.send()
        return self._known[key_id].get(name)

    def get_many(self, row: Owner, names: Sequence[bytes]) -> list[Record | None]:
        """What `get` gives for several names, in one trip."""
        self.want(row, names)
        if self._wanted.get(row.key_id):
            self.prefetch()
            self._attempt.connection.send()
        known = self._known.get(row.key_id, {})
        return [known.get(name) for name in names]

    def known_wholly(self, row: Owner) -> list[Record] | None:
        """All records of a collection of which everything is known, in no order; None of any other."""
        if not self._is_complete(row.key_id):
            return None
        return [record for record in self._known.get(row.key_id, {}).values() if record is not None]

    def page(self, row: Owner, start: bytes, limit: int, *, remember: bool = False) -> list[tuple[bytes, Record]]:
        """Up to `limit` elements from a digest on, in the order of digests: (digest, record) of each.

        With `remember` they are known from now on, as if they had been wanted: so that some can be removed.
        """
        self.flush()
        rows = self._attempt.query_elements(self._table.page, (row.key_id, start, limit))
        return self._found(row, rows, remember)

    def defer_page(self, row: Owner, start: bytes, before: bytes | None, limit: int, take: TakePage) -> None:
        """Ask for up to `limit` elements from a digest on, those in front of another one if it is given.

        They are remembered, and handed to `take` after the attempt's next trip.
        """
        self.flush()
        template, place = self._table.page, (row.key_id, start)
        arguments: tuple[int | bytes, ...] = (*place, limit)
        if before is not None:
            template, arguments = self._table.page_before, (*place, before, limit)
        self._attempt.defer_query(template, arguments, lambda rows: take(self._found(row, rows, True)))

    def defer_nth(self, places: Sequence[tuple[int, int]], take: Callable[[int, Record], None]) -> None:
        """Ask for elements by the id of their key and their place in the order of digests, from 0 on.

        The database counts its way to them, so they should not be far. They are remembered, and each is handed to
        `take` with the id after the attempt's next trip.
        """
        self.flush()

        def found(rows: tuple[Row, ...]) -> None:
            for key_id, chunks, *columns in rows:
                record = self._record(chunks, columns)
                self._learn(key_id, record[0], record, chunks)
                take(key_id, record)

        for start in range(0, len(places), _PARTS):
            some = places[start : start + _PARTS]
            template = " UNION ALL ".join([self._table.nth] * len(some))
            self._attempt.defer_query(template, [number for place in some for number in place], found)

    def every(self, row: Owner) -> list[Record]:
        """All records of a collection in the order of digests, read page by page."""
        return [record for _, record in self.each(row)]

    def each(self, row: Owner) -> Iterator[tuple[bytes, Record]]:
        """All elements in the order of digests, one by one, with no more than a page held: (digest, record) of each."""
        start: bytes | None = FIRST
        while start is not None:
            rows = self.page(row, start, PAGE)
            yield from rows
            start = following(rows[-1][0]) if len(rows) == PAGE else None

    def learn(self, row: Owner, name: bytes, record: Record, chunks: int) -> None:
        """Take note of an element that a query of the store's own found in the table, as if it had been wanted."""
        self._learn(row.key_id, name, record, chunks)

    def forget(self, row: Owner) -> None:
        """Know nothing of a collection any more: a statement of the store's own changed it, after a flush."""
        key_id = row.key_id
        for found in (self._known, self._stored, self._dirty):
            found.pop(key_id, None)
        if self._chunks:
            # Who changed the table has seen to what was stored elsewhere, too.
            self._chunks = {place: chunks for place, chunks in self._chunks.items() if place[0] != key_id}
        self._complete.discard(key_id)
        self._attempt.fresh.discard(key_id)

    # -- writing

    def fill(self, row: Owner, records: Sequence[Record]) -> None:
        """Insert all elements of a collection that this attempt has made, without holding them in memory."""
        if len(records) <= MAX_ROWS:
            for record in records:
                self.put(row, record)
            return
        for start in range(0, len(records), PAGE):
            some = [(row.key_id, record) for record in records[start : start + PAGE]]
            self._defer_writes(self._table.insert, some)
        self.forget(row)

    def put(self, row: Owner, record: Record) -> None:
        """Insert or replace an element, of which `get` has told whether it is there."""
        key_id, name = row.key_id, record[0]
        self._known.setdefault(key_id, {})[name] = record
        self._dirty.setdefault(key_id, {})[name] = None

    def remove(self, row: Owner, name: bytes) -> None:
        """Delete an element that is there."""
        key_id = row.key_id
        self._known.setdefault(key_id, {})[name] = None
        self._dirty.setdefault(key_id, {})[name] = None

    def flush(self) -> None:
        """Defer everything that was changed; deletes before inserts."""
        if not self._dirty:
            return
        dirty, self._dirty = self._dirty, {}
        deletes: list[tuple[int, bytes]] = []
        inserts: list[tuple[int, Record]] = []
        upserts: list[tuple[int, Record]] = []
        for key_id, names in dirty.items():
            known = self._known[key_id]
            stored = self._stored.setdefault(key_id, set())
            for name in names:
                record = known[name]
                if record is None:
                    if name in stored:
                        stored.discard(name)
                        deletes.append((key_id, name))
                elif name in stored:
                    upserts.append((key_id, record))
                else:
                    stored.add(name)
                    inserts.append((key_id, record))
        self._defer_deletes(deletes)
        self._defer_writes(self._table.insert, inserts)
        self._defer_writes(self._table.upsert, upserts)

    # -- inside

    def _is_complete(self, key_id: int) -> bool:
        return key_id in self._attempt.fresh or key_id in self._complete

    def _defer_wholes(self) -> None:
        wanted, self._wanted_whole = sorted(self._wanted_whole), {}
        # What was changed is known, and a row of the table does not replace it.
        for start in range(0, len(wanted), MAX_ROWS):
            some = wanted[start : start + MAX_ROWS]
            self._attempt.defer_query(self._table.whole, some, self._take_wholes, rows=("%s", len(some)))
        self._complete.update(wanted)

    def _take_wholes(self, rows: tuple[Row, ...]) -> None:
        # These are many at times, hence no calls but one.
        decode, owner = self._table.decode, 0
        known: dict[bytes, Record | None] = {}
        stored: set[bytes] = set()
        for row in rows:
            key_id, chunks = row[:2]
            if key_id != owner:
                owner = key_id
                known, stored = self._known.setdefault(key_id, {}), self._stored.setdefault(key_id, set())
            record = self._record(chunks, row[2:]) if chunks else decode(row[2:])
            name = record[0]
            if name not in stored and known.get(name) is None:
                known[name] = record
                stored.add(name)
                if chunks:
                    self._chunks[key_id, name] = chunks

    def _found(self, row: Owner, rows: tuple[Row, ...], remember: bool) -> list[tuple[bytes, Record]]:
        """The rows of a page, as `page` gives them."""
        found: list[tuple[bytes, Record]] = []
        for digest, chunks, *columns in rows:
            record = self._record(chunks, columns)
            found.append((digest, record))
            if remember:
                self._learn(row.key_id, record[0], record, chunks)
        return found

    def _learn(self, key_id: int, name: bytes, record: Record, chunks: int) -> None:
        known = self._known.setdefault(key_id, {})
        stored = self._stored.setdefault(key_id, set())
        if name not in stored and known.get(name) is None:
            known[name] = record
            stored.add(name)
            if chunks:
                self._chunks[key_id, name] = chunks

    def _take(self, rows: tuple[Row, ...]) -> None:
        for key_id, chunks, *columns in rows:
            record = self._record(chunks, columns)
            name = record[0]
            self._known[key_id][name] = record
            self._stored.setdefault(key_id, set()).add(name)
            if chunks:
                self._chunks[key_id, name] = chunks

    def _record(self, chunks: int, columns: Sequence[Any]) -> Record:
        record = self._table.decode(columns)
        if not chunks:
            return record
        fields = list(record)
        for place, data in zip(self._table.long, overflow.load(self._attempt, chunks), strict=True):
            fields[place] = data
        return tuple(fields)

    def _defer_deletes(self, deletes: list[tuple[int, bytes]]) -> None:
        pairs = sorted([(key_id, digest_of(name)) for key_id, name in deletes])
        for key_id, name in deletes:
            self._forget_chunks(key_id, name)
        for start in range(0, len(pairs), MAX_ROWS):
            some = pairs[start : start + MAX_ROWS]
            arguments = [column for pair in some for column in pair]
            if len(some) == 1:
                self._attempt.write(self._table.delete_one, arguments)
            else:
                template = self._table.delete.replace("{rows}", " UNION ALL SELECT %s,%s" * (len(some) - 1))
                self._attempt.write(template, arguments)

    def _defer_writes(self, template: str, records: list[tuple[int, Record]]) -> None:
        limit = self._attempt.connection.trip_limit
        arguments: list[Column] = []
        count = size = 0
        rows = [(key_id, digest_of(record[0]), record) for key_id, record in records]
        rows.sort(key=_place)
        for key_id, digest, record in rows:
            chunks, columns = self._columns(key_id, record)
            weight = 120 + 2 * sum([len(column) for column in columns if type(column) is bytes])
            if count and (count >= MAX_ROWS or size + weight > limit):
                self._attempt.write(template, arguments, rows=(self._table.group, count))
                arguments, count, size = [], 0, 0
            arguments += (key_id, digest, chunks, *columns)
            count += 1
            size += weight
        if count:
            self._attempt.write(template, arguments, rows=(self._table.group, count))

    def _columns(self, key_id: int, record: Record) -> tuple[int, Sequence[Column]]:
        """The id of the chunks (0: none) and the columns of a record; what was stored elsewhere before is given up."""
        self._forget_chunks(key_id, record[0])
        if sum([len(record[place]) for place in self._table.long]) <= overflow.INLINE:
            return 0, self._table.encode(record)
        fields = list(record)
        for place in self._table.long:
            fields[place] = fields[place][: self._table.kept]
        chunks = overflow.store(self._attempt, [record[place] for place in self._table.long])
        self._chunks[key_id, record[0]] = chunks
        return chunks, self._table.encode(tuple(fields))

    def _forget_chunks(self, key_id: int, name: bytes) -> None:
        if self._chunks:
            chunks = self._chunks.pop((key_id, name), 0)
            if chunks:
                self._attempt.discard_elements(chunks)


def following(digest: bytes) -> bytes | None:
    """The digest right behind another, None behind the last."""
    number = int.from_bytes(digest, "big") + 1
    return number.to_bytes(DIGEST_BYTES, "big") if number < 1 << 8 * DIGEST_BYTES else None


def _place(entry: tuple[int, bytes, Record]) -> tuple[int, bytes]:
    return entry[0], entry[1]
