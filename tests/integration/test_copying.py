"""Copies of keys of every type: the same contents under ids of their own."""

import pytest

from storage import keys
from storage.keyspace import Keyspace
from storage.owned import OWNED_TABLES
from tests.integration.collections import NAMES, contents, fill, fill_small, rows_left
from tests.integration.conftest import Store


def copy_all(store: Store) -> None:
    def copy(db: Keyspace) -> None:
        for name in NAMES:
            row = db.find(name)
            assert row is not None
            keys.copy(db, row, db, b"copy of " + name)

    store.write(copy, *NAMES, seconds=60)


def remove_all(store: Store, prefix: bytes) -> None:
    def remove(db: Keyspace) -> None:
        for name in NAMES:
            row = db.find(prefix + name)
            assert row is not None
            db.remove(row)

    store.write(remove, *(prefix + name for name in NAMES))
    store.reap()


def test_tables_of_owned_rows_are_described_as_they_are(store: Store) -> None:
    for table in OWNED_TABLES:
        name = store.tables.sql(table.name)
        rows = store.sql(
            "SELECT column_name, column_key FROM information_schema.columns "
            "WHERE table_schema=DATABASE() AND table_name=%s",
            name,
        )
        assert {column.decode() for column, _ in rows} == {"key_id", *table.place, *table.data, *table.owns}, name
        primary = {column.decode() for column, key in rows if key == b"PRI"}
        assert primary == {"key_id", *table.place}, name


@pytest.mark.parametrize("gone", [b"", b"copy of "], ids=["without_the_originals", "without_the_copies"])
def test_copies_have_the_same_contents_and_lives_of_their_own(store: Store, gone: bytes) -> None:
    fill(store)
    expected = {name: contents(store, name) for name in NAMES}
    assert all(found is not None for found in expected.values())
    copy_all(store)
    assert {name: contents(store, b"copy of " + name) for name in NAMES} == expected
    assert {name: contents(store, name) for name in NAMES} == expected
    assert [str(finding) for finding in store.check()] == []

    remove_all(store, gone)
    left = b"" if gone else b"copy of "
    assert {name: contents(store, left + name) for name in NAMES} == expected
    assert [str(finding) for finding in store.check()] == []

    remove_all(store, left)
    assert rows_left(store) == {}
    assert store.check() == []


def test_what_was_changed_in_the_same_unit_is_copied(store: Store) -> None:
    def body(db: Keyspace) -> None:
        fill_small(db)
        for name in (b"list", b"set", b"zset"):
            row = db.find(name)
            assert row is not None
            keys.copy(db, row, db, b"copy of " + name)

    store.write(body)
    for name in (b"list", b"set", b"zset"):
        assert contents(store, b"copy of " + name) == contents(store, name)
    assert store.check() == []
