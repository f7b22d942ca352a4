"""Fields of hashes that are due: who finds them, who deletes them, and what is left in the tables."""

from functools import partial

import pytest

from storage import hashes
from storage.connection import Connection
from storage.housekeeping import Housekeeper
from storage.key_rows import KeyRow, Type
from storage.keyspace import Keyspace
from tests.integration.conftest import Store
from tests.integration.test_units import lock, program

LONG = b"long value " * 10_000
HOUR_MS = 3600 * 1000


def rows(store: Store, table: str) -> int:
    return int(store.sql(f"SELECT COUNT(*) FROM rowdis_{table}")[0][0])


def find(db: Keyspace, name: bytes) -> KeyRow:
    row = db.find(name)
    assert row is not None
    return row


def fill(store: Store, name: bytes, staying: int, due: int, value: bytes = b"v", *, db: int = 0) -> None:
    """A hash with fields that stay, and fields that were due an hour ago."""

    def body(keyspace: Keyspace) -> None:
        row = hashes.create(keyspace, name)
        hashes.set_many(keyspace, row, [(b"stays:%d" % n, value) for n in range(staying)])
        hashes.set_many(keyspace, row, [(b"due:%d" % n, value) for n in range(due)])
        for n in range(due):
            field = hashes.get(keyspace, row, b"due:%d" % n)
            assert field is not None
            hashes.expire(keyspace, row, field, keyspace.now_ms - HOUR_MS)

    store.write(body, name, db=db)


def sweep(store: Store) -> None:
    while store.housekeeper.sweep_fields():
        pass


def test_sweeper_deletes_due_fields_and_nothing_else(store: Store) -> None:
    fill(store, b"a", 5, 3)
    fill(store, b"b", 2, 1200, db=3)
    fill(store, b"c", 1, 2, LONG)
    fill(store, b"d", 4, 0)
    assert store.read(lambda db: hashes.count(db, find(db, b"a")), b"a") == 5
    sweep(store)
    assert store.housekeeper.counters.expired_fields == 1205
    assert rows(store, "hash_field") == 12
    assert rows(store, "field_expiry") == rows(store, "hash_expiry") == 0
    assert store.read(lambda db: find(db, b"a").size, b"a") == 5
    assert store.read(lambda db: hashes.state_of(find(db, b"a")).earliest, b"a") == 0
    assert store.read(lambda db: len(hashes.every(db, find(db, b"b"))), b"b", db=3) == 2
    store.reap()
    assert rows(store, "string_chunk") == 2
    assert store.check() == []


def test_keys_go_with_their_last_field(store: Store) -> None:
    fill(store, b"a", 0, 3)
    fill(store, b"b", 0, 700)
    fill(store, b"c", 1, 1)
    sweep(store)
    assert rows(store, "key") == 1
    assert store.housekeeper.counters.expired == 2
    store.reap()
    assert rows(store, "hash_field") == 1
    assert rows(store, "field_expiry") == rows(store, "hash_expiry") == rows(store, "garbage") == 0
    assert store.check() == []


def test_later_fields_are_found_when_they_are_due(store: Store) -> None:
    fill(store, b"a", 1, 2)

    def expire(db: Keyspace) -> None:
        row = find(db, b"a")
        field = hashes.get(db, row, b"stays:0")
        assert field is not None
        hashes.expire(db, row, field, db.now_ms + HOUR_MS)

    store.write(expire, b"a")
    sweep(store)
    assert rows(store, "hash_field") == rows(store, "field_expiry") == 1
    (later,) = store.sql("SELECT expire_at FROM rowdis_hash_expiry")[0]
    assert later == store.sql("SELECT expire_at FROM rowdis_field_expiry")[0][0]
    assert store.read(lambda db: hashes.state_of(find(db, b"a")).earliest, b"a") == later


def test_sweeper_passes_over_what_others_hold_and_takes_it_later(store: Store) -> None:
    for name in (b"a", b"b", b"c"):
        fill(store, name, 0, 2)
    with program(store) as other:
        lock(other, store, b"b")
        sweep(store)
        assert rows(store, "key") == 1
        other.rollback()
    sweep(store)
    assert rows(store, "key") == 0


@pytest.mark.parametrize("target", [0, 4])
def test_hashes_are_found_under_their_new_names(store: Store, target: int) -> None:
    fill(store, b"old", 1, 3)

    def move(db: Keyspace) -> None:
        row = find(db, b"old")
        field = hashes.get(db, row, b"stays:0")
        assert field is not None
        hashes.expire(db, row, field, db.now_ms - HOUR_MS)
        moved = db.attempt.move_contents(row, db.attempt.space_of(target), b"new")
        hashes.put(db, moved, b"more", b"v")

    store.write(move, b"old", b"new")
    sweep(store)
    assert rows(store, "hash_field") == 1
    assert store.read(lambda db: find(db, b"new").size, b"new", db=target) == 1
    assert store.check() == []


def test_what_is_left_of_hashes_that_are_gone_is_harmless_and_reaped(store: Store) -> None:
    for number in range(250):
        fill(store, b"gone:%d" % number, 1, 1)
    fill(store, b"stays", 1, 1)

    def remove(db: Keyspace) -> None:
        for number in range(100):
            db.remove(find(db, b"gone:%d" % number))

    store.write(remove, *(b"gone:%d" % number for number in range(100)))
    for number in range(100, 110):
        store.run_blind(b"gone:%d" % number, b"now a string")
    for number in range(110, 120):
        name = b"gone:%d" % number
        store.write(partial(hashes.create, name=name), name)
    store.sql("UPDATE rowdis_hash_expiry SET expire_at=expire_at-1000")
    sweep(store)
    assert store.read(lambda db: find(db, b"stays").size, b"stays") == 1
    assert store.read(lambda db: find(db, b"gone:105").type, b"gone:105") == Type.STRING
    store.write(lambda db: db.attempt.replace_space(0))
    sweep(store)
    while store.housekeeper.reap() or rows(store, "garbage"):
        store.housekeeper._look_for_orphans()
    for table in ("key", "hash_field", "field_expiry", "hash_expiry"):
        assert rows(store, table) == 0, table


def test_sweepers_of_several_instances_share_the_work(store: Store) -> None:
    for number in range(30):
        fill(store, b"h:%d" % number, 1, 40)
    others = [
        Housekeeper(store.database, store.new_executor(), store.clock, store.instance, "test:2", 0.05) for _ in range(2)
    ]
    busy = True
    while busy:
        # Each of them in every round.
        busy = sum(keeper.sweep_fields() for keeper in (*others, store.housekeeper)) > 0
    assert rows(store, "hash_field") == 30
    assert sum(keeper.counters.expired_fields for keeper in (*others, store.housekeeper)) == 1200
    assert store.check() == []


def test_a_batch_costs_few_trips(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fifty HSETs, on as many keys or on one, are one trip for key rows, one for fields and one with all writes."""
    names = [b"h:%d" % n for n in range(50)]
    sent: list[str] = []
    original = Connection.query

    def query(self: Connection, text: str, unbuffered: bool = False) -> int:
        sent.append(text)
        return int(original(self, text, unbuffered))

    def set_all(db: Keyspace, keys: list[bytes]) -> None:
        pairs = [(name, b"field:%d" % n) for n, name in enumerate(keys)]
        for name, field in pairs:
            hashes.want(db, name, [field])
        db.attempt.prefetch()
        for name, field in pairs:
            row = db.find(name) or hashes.create(db, name)
            hashes.set_many(db, row, [(field, b"v")])

    for keys in (names, [b"hot"] * 50):
        store.write(lambda db, keys=keys: set_all(db, keys), *set(keys))  # type: ignore[misc]
        monkeypatch.setattr(Connection, "query", query)
        sent.clear()
        store.write(lambda db, keys=keys: set_all(db, keys), *set(keys))  # type: ignore[misc]
        monkeypatch.undo()
        assert len(sent) == 3, [text[:200] for text in sent]
        # BEGIN and the marker stand in front of the first one.
        assert sent[1].count(";") == 0
        assert [part.split()[0] for part in sent[2].split(";")] == ["INSERT", "INSERT", "COMMIT"]
