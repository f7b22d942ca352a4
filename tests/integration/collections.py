"""Keys of every type with elements: small, large, with elements too long for a row, with everything that hangs on."""

from typing import Any

from storage import hashes, lists, sets, streams, strings, zsets
from storage.key_rows import digest_of
from storage.keyspace import Keyspace
from storage.owned import HASH_EXPIRY, OWNED_TABLES, OwnedTable
from storage.stream_entries import entries_of
from storage.stream_groups import groups_of
from storage.stream_pending import Delivery, pending_of
from tests.integration.conftest import Store

#: Three chunks.
LONG = bytes(range(256)) * 600
#: More than two parts of most tables.
MANY = 2300

NAMES = (
    b"string", b"list", b"long list", b"set", b"numbers", b"long set", b"zset", b"long zset", b"hash", b"long hash",
    b"expiring hash", b"stream", b"grouped stream", b"empty stream",
)  # fmt: skip


def fill(store: Store, *, many: int = MANY) -> None:
    """Make all of NAMES; the long ones have `many` elements."""
    store.write(fill_small)
    store.write(lambda db: _fill_large(db, many))
    store.write(lambda db: _fill_hashes(db, many))
    store.write(lambda db: _fill_streams(db, many))


def fill_small(db: Keyspace) -> None:
    """The small ones of some types."""
    strings.write(db, b"string", LONG)
    lists.push(db, lists.make(db, b"list"), [b"a", b"", b"a", LONG, LONG[1:]], False)
    for name, members in ((b"set", [b"a", b"", LONG, LONG[1:]]), (b"numbers", [b"%d" % n for n in range(9, -9, -2)])):
        sets.add_many(db, sets.create(db, name, members[0], len(members)), members)
    row = zsets.create(db, b"zset")
    zsets.of(db).fill(
        row, [(b"a", 1.0), (b"minus", -0.5), (b"low", float("-inf")), (b"high", float("inf")), (LONG, 2.0)]
    )
    db.touch(row)


def _fill_large(db: Keyspace, many: int) -> None:
    row = lists.make(db, b"long list")
    lists.push(db, row, [b"%d" % n for n in range(many)], False)
    sets.add_many(db, sets.create(db, b"long set", b"0", many), [b"%d" % n for n in range(many)])
    row = zsets.create(db, b"long zset")
    zsets.of(db).fill(row, [(b"%d" % n, n * 0.5 - 7) for n in range(many)])
    db.touch(row)


def _fill_hashes(db: Keyspace, many: int) -> None:
    hashes.set_many(db, hashes.create(db, b"hash"), [(b"a", b"1"), (b"long value", LONG), (LONG, b"long name")])
    hashes.set_many(db, hashes.create(db, b"long hash"), [(b"%d" % n, b"v") for n in range(many)])
    row = hashes.create(db, b"expiring hash")
    hashes.set_many(db, row, [(b"%d" % n, b"v") for n in range(many)])
    for n in range(0, many, 2):
        field = hashes.get(db, row, b"%d" % n)
        assert field is not None
        hashes.expire(db, row, field, db.now_ms + 3_600_000 + n % 5)


def _fill_streams(db: Keyspace, many: int) -> None:
    entries = entries_of(db.attempt)
    row = streams.create(db, b"stream")
    for n in range(1, many + 1):
        entries.append(row, (n // 3, n), [b"field", b"%d" % n])
    db.touch(row)
    row = streams.create(db, b"grouped stream")
    for n in range(1, 11):
        entries.append(row, (n, 0), [b"field", LONG if n == 5 else b"%d" % n])
    db.touch(row)
    groups, pending = groups_of(db.attempt), pending_of(db.attempt)
    for name in (b"group", b"other", LONG):
        groups.create(row, name, (0, 0), None)
        group = groups.get(row, name)
        assert group is not None
        given = 0
        for number, consumer_name in enumerate((b"one", b"two", b"x" + LONG), 1):
            consumer = groups.create_consumer(group, consumer_name, db.now_ms)
            for n in range(number):
                given += 1
                pending.put(group.key_id, (given, 0), Delivery(consumer.consumer_id, db.now_ms, n + 1))
        groups.put(row, group._replace(pending=given, last_ms=given))
    db.touch(streams.create(db, b"empty stream"))


def contents(store: Store, name: bytes) -> Any:
    """Everything that the tables say of a key, with what ids own in the place of the ids; None if there is no key."""
    rows = store.sql(
        "SELECT type, size, value, expire_at, key_id FROM rowdis_key WHERE space=%s AND digest=%s",
        store.space(), digest_of(name),
    )  # fmt: skip
    return (*rows[0][:-1], _filed(store, rows[0][-1])) if rows else None


def _filed(store: Store, key_id: int) -> dict[str, list[tuple[Any, ...]]]:
    found = {}
    for table in OWNED_TABLES:
        if table is not HASH_EXPIRY:
            rows = _rows(store, table, key_id)
            if rows:
                found[table.name] = rows
    return found


def _rows(store: Store, table: OwnedTable, key_id: int) -> list[tuple[Any, ...]]:
    columns = [*table.place, *table.data, *table.owns]
    plain = len(columns) - len(table.owns)
    rows = store.sql(f"SELECT {', '.join(columns)} FROM {table.name} WHERE key_id=%s ORDER BY {table.order}", key_id)
    return [(*row[:plain], *(_filed(store, number) if number else None for number in row[plain:])) for row in rows]


def rows_left(store: Store) -> dict[str, int]:
    """How many rows the tables of elements have, those without any left out."""
    counts = {table.name: store.sql(f"SELECT COUNT(*) FROM {table.name}")[0][0] for table in OWNED_TABLES}
    return {name: count for name, count in counts.items() if count}
