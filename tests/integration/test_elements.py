"""Elements found by the digest of their name, in the tables of both engines: what is read, written and left behind."""

from collections.abc import Callable, Sequence

import pytest

from storage.elements import FIRST, PAGE, Elements, elements_of
from storage.key_rows import KeyRow, Type, digest_of
from storage.key_writer import MAX_ROWS
from storage.keyspace import Keyspace
from storage.sets import TABLE, Member, SetState
from tests.integration.conftest import Store

LONG = bytes(range(256)) * 1000
NAMES = [b"m%d" % number for number in range(20)]


def about(trips: list[list[str]], word: str) -> list[str]:
    return [template for trip in trips for template in trip if template.startswith(word) and "set_member" in template]


def of(db: Keyspace) -> Elements:
    return elements_of(db.attempt, TABLE)


def make(db: Keyspace, key: bytes, names: Sequence[bytes]) -> KeyRow:
    """A collection with these elements, numbered from 0."""
    row = db.create_collection(key, Type.SET)
    row.state = SetState(next_n=10_000)
    for number, name in enumerate(names):
        assert of(db).get(row, name) is None
        of(db).put(row, Member(name, number))
    row.size = len(names)
    return row


def found(db: Keyspace, key: bytes) -> KeyRow:
    row = db.find(key)
    assert row is not None
    return row


def resize(db: Keyspace, row: KeyRow, by: int) -> None:
    row.size += by
    db.touch(row)


def stored(store: Store, key: bytes) -> dict[bytes, int]:
    """What a unit of its own finds in a collection: names with their numbers."""
    return store.read(lambda db: {record[0]: record[1] for record in of(db).every(found(db, key))}, key)


def in_order(store: Store, *steps: Callable[[Keyspace], object]) -> None:
    """Each step in a writing unit of its own."""
    for step in steps:
        store.write(step, b"s", b"t")


def test_elements_are_inserted_replaced_and_deleted(store: Store) -> None:
    store.write(lambda db: make(db, b"s", NAMES), b"s")
    assert stored(store, b"s") == {name: number for number, name in enumerate(NAMES)}

    def change(db: Keyspace) -> None:
        row = found(db, b"s")
        of(db).get_many(row, [*NAMES[:4], b"new", b"never"])
        of(db).put(row, Member(NAMES[0], 100))
        of(db).remove(row, NAMES[1])
        of(db).remove(row, NAMES[2])
        of(db).put(row, Member(NAMES[2], 102))
        of(db).put(row, Member(b"new", 103))
        of(db).put(row, Member(b"never", 104))
        of(db).remove(row, b"never")
        resize(db, row, 0)

    store.write(change, b"s")
    expected = {name: number for number, name in enumerate(NAMES)} | {NAMES[0]: 100, NAMES[2]: 102, b"new": 103}
    del expected[NAMES[1]]
    assert stored(store, b"s") == expected
    assert not store.check()


def test_a_name_deleted_and_flushed_can_be_inserted_again(store: Store) -> None:
    store.write(lambda db: make(db, b"s", NAMES), b"s")

    def change(db: Keyspace) -> None:
        row = found(db, b"s")
        assert of(db).get(row, b"m1") == (b"m1", 1)
        for number in range(50, 53):
            of(db).remove(row, b"m1")
            of(db).flush()
            assert of(db).get(row, b"m1") is None
            of(db).put(row, Member(b"m1", number))
            of(db).flush()
        db.touch(row)

    store.write(change, b"s")
    assert stored(store, b"s")[b"m1"] == 52


def test_a_batch_reads_all_it_wants_of_many_keys_by_one_statement(store: Store, trips: list[list[str]]) -> None:
    keys = [b"key%d" % number for number in range(60)]
    store.write(lambda db: [make(db, key, NAMES) for key in keys], *keys)
    trips.clear()

    def change(db: Keyspace) -> None:
        for key in keys:
            of(db).want(found(db, key), [NAMES[3], b"absent"])
        db.attempt.prefetch()
        for key in keys:
            row = found(db, key)
            assert of(db).get(row, NAMES[3]) == (NAMES[3], 3)
            assert of(db).get(row, b"absent") is None
            of(db).remove(row, NAMES[3])
            of(db).put(row, Member(b"absent", 77))
            db.touch(row)

    store.write(change, *keys)
    assert [len(about(trips, word)) for word in ("SELECT", "DELETE", "INSERT")] == [1, 1, 1]
    for key in keys:
        names = stored(store, key)
        assert names[b"absent"] == 77
        assert NAMES[3] not in names
        assert len(names) == len(NAMES)


def test_more_elements_than_one_statement_takes(store: Store, trips: list[list[str]]) -> None:
    names = [b"%d" % number for number in range(2 * MAX_ROWS + 1)]
    store.write(lambda db: make(db, b"s", names), b"s")
    trips.clear()

    def change(db: Keyspace) -> None:
        row = found(db, b"s")
        assert [record is not None for record in of(db).get_many(row, [*names, b"x"])] == [True] * len(names) + [False]
        for name in names[1:]:
            of(db).remove(row, name)
        resize(db, row, 1 - len(names))

    store.write(change, b"s")
    assert [len(about(trips, word)) for word in ("SELECT", "DELETE")] == [3, 2]
    assert stored(store, b"s") == {b"0": 0}
    assert not store.check()


def test_nothing_is_read_of_a_collection_made_in_the_same_unit(store: Store, trips: list[list[str]]) -> None:
    def change(db: Keyspace) -> None:
        row = make(db, b"s", NAMES)
        of(db).want(row, [b"x"])
        of(db).want_all(row)
        db.attempt.prefetch()
        assert of(db).get_many(row, [b"x", NAMES[0]]) == [None, (NAMES[0], 0)]
        records = of(db).known_wholly(row)
        assert records is not None
        assert len(records) == len(NAMES)

    store.write(change, b"s")
    assert not about(trips, "SELECT")
    assert len(about(trips, "INSERT")) == 1


def test_whole_collections_are_read_by_one_statement_and_known(store: Store, trips: list[list[str]]) -> None:
    store.write(lambda db: [make(db, b"s", NAMES), make(db, b"t", [LONG, b"a"])], b"s", b"t")
    trips.clear()

    def change(db: Keyspace) -> None:
        first, second = found(db, b"s"), found(db, b"t")
        assert of(db).known_wholly(first) is None
        of(db).want(first, [NAMES[0], b"absent"])
        for row in (first, second):
            of(db).want_all(row)
        db.attempt.prefetch()
        statements = about(trips, "SELECT")
        of(db).want_all(first)
        of(db).want(first, [b"other"])
        db.attempt.prefetch()
        assert of(db).get(first, b"absent") is None
        assert of(db).get(first, NAMES[5]) == (NAMES[5], 5)
        assert sorted(of(db).known_wholly(second) or ()) == [(LONG, 0), (b"a", 1)]
        of(db).remove(first, NAMES[5])
        of(db).put(first, Member(b"absent", 9))
        of(db).flush()
        assert about(trips, "SELECT") == statements
        assert {name for name, _ in of(db).known_wholly(first) or ()} == {*NAMES, b"absent"} - {NAMES[5]}
        resize(db, first, 0)

    store.write(change, b"s", b"t")
    assert len(about(trips, "SELECT")) == 1
    assert set(stored(store, b"s")) == {*NAMES, b"absent"} - {NAMES[5]}


def test_what_was_changed_outlives_a_later_read(store: Store) -> None:
    """A name wanted before it was changed, and read as part of a page or of the whole afterwards."""
    store.write(lambda db: make(db, b"s", NAMES), b"s")

    def change(db: Keyspace) -> None:
        row = found(db, b"s")
        elements = of(db)
        assert elements.get(row, NAMES[0]) is not None
        elements.remove(row, NAMES[0])
        assert elements.get(row, b"new") is None
        elements.put(row, Member(b"new", 5))
        elements.want_all(row)
        db.attempt.prefetch()
        assert elements.get(row, NAMES[0]) is None
        assert {name for name, _ in elements.known_wholly(row) or ()} == {*NAMES[1:], b"new"}
        assert NAMES[0] not in [record[0] for _, record in elements.page(row, FIRST, 100, remember=True)]
        resize(db, row, 0)

    store.write(change, b"s")
    assert set(stored(store, b"s")) == {*NAMES[1:], b"new"}


def test_pages_are_in_the_order_of_digests_and_see_what_was_changed(store: Store) -> None:
    names = [b"%d" % number for number in range(PAGE + 10)]
    store.write(lambda db: make(db, b"s", names), b"s")
    digests = sorted(digest_of(name) for name in names)

    def change(db: Keyspace) -> None:
        row = found(db, b"s")
        first = of(db).page(row, FIRST, 5, remember=True)
        assert [digest for digest, _ in first] == digests[:5]
        # Remembered, so they can be removed without another query.
        for _, record in first[:2]:
            of(db).remove(row, record[0])
        assert [digest for digest, _ in of(db).page(row, digests[0], 2)] == digests[2:4]
        taken: list[bytes] = []
        of(db).defer_page(row, digests[3], digests[6], 100, lambda page: taken.extend([digest for digest, _ in page]))
        of(db).defer_page(row, digests[-1], None, 100, lambda page: taken.extend([digest for digest, _ in page]))
        assert not taken
        db.attempt.connection.send()
        assert taken == [*digests[3:6], digests[-1]]
        resize(db, row, -2)

    store.write(change, b"s")
    assert len(stored(store, b"s")) == len(names) - 2
    assert not store.check()


def test_elements_are_found_by_their_place_in_the_order_of_digests(store: Store, trips: list[list[str]]) -> None:
    store.write(lambda db: [make(db, b"s", NAMES), make(db, b"t", [LONG])], b"s", b"t")
    ordered = sorted(NAMES, key=digest_of)
    trips.clear()

    def change(db: Keyspace) -> None:
        first, second = found(db, b"s"), found(db, b"t")
        taken: list[tuple[int, bytes]] = []
        places = [(first.key_id, 19), (second.key_id, 0), (first.key_id, 3), (first.key_id, 20)]
        of(db).defer_nth(places, lambda key_id, record: taken.append((key_id, record[0])))
        db.attempt.connection.send()
        assert sorted(taken) == sorted(
            [(first.key_id, ordered[19]), (first.key_id, ordered[3]), (second.key_id, LONG)]
        )
        assert of(db).get(first, ordered[3]) is not None
        of(db).remove(first, ordered[19])
        resize(db, first, -1)

    store.write(change, b"s", b"t")
    assert not about(trips, "SELECT")
    assert set(stored(store, b"s")) == {*NAMES} - {ordered[19]}


def test_long_names_lie_in_chunks_and_leave_none_behind(store: Store) -> None:
    others = [LONG + b"%d" % number for number in range(3)]
    store.write(lambda db: make(db, b"s", [*others, b"short"]), b"s")
    assert store.sql("SELECT COUNT(DISTINCT key_id) FROM rowdis_string_chunk") == ((3,),)
    assert set(stored(store, b"s")) == {*others, b"short"}
    assert not store.check()

    def change(db: Keyspace) -> None:
        row = found(db, b"s")
        assert [record is not None for record in of(db).get_many(row, [*others, LONG])] == [True] * 3 + [False]
        of(db).put(row, Member(others[0], 50))
        of(db).flush()
        of(db).put(row, Member(others[0], 51))
        of(db).remove(row, others[1])
        resize(db, row, -1)

    store.write(change, b"s")
    store.reap()
    assert store.sql("SELECT COUNT(DISTINCT key_id) FROM rowdis_string_chunk") == ((2,),)
    assert stored(store, b"s") == {others[0]: 51, others[2]: 2, b"short": 3}
    store.write(lambda db: db.remove(found(db, b"s")), b"s")
    store.reap()
    assert store.sql("SELECT COUNT(*) FROM rowdis_string_chunk") == ((0,),)
    assert store.sql("SELECT COUNT(*) FROM rowdis_set_member") == ((0,),)
    assert not store.check()


def test_what_a_store_deleted_by_itself_is_forgotten(store: Store) -> None:
    """Also its chunks, which would else be thrown away twice."""
    store.write(lambda db: make(db, b"s", [LONG, b"a"]), b"s")

    def change(db: Keyspace) -> None:
        row = found(db, b"s")
        rows = of(db).get_many(row, [LONG, b"a"])
        assert None not in rows
        of(db).flush()
        chunks = db.attempt.query_elements("SELECT chunks FROM rowdis_set_member WHERE chunks<>0")[0][0]
        db.attempt.write("DELETE FROM rowdis_set_member WHERE key_id=%s", (row.key_id,))
        db.attempt.discard_elements(chunks)
        of(db).forget(row)
        assert of(db).get(row, LONG) is None
        of(db).put(row, Member(LONG, 7))
        resize(db, row, -1)

    store.write(change, b"s")
    assert stored(store, b"s") == {LONG: 7}
    store.reap()
    assert not store.check()


@pytest.mark.parametrize("count", [3, MAX_ROWS + 1, PAGE + MAX_ROWS + 1])
def test_a_new_collection_is_filled(store: Store, count: int) -> None:
    names = [LONG, *[b"%d" % number for number in range(count - 1)]]

    def fill(db: Keyspace) -> None:
        row = db.create_collection(b"s", Type.SET)
        row.state = SetState(next_n=10_000)
        row.size = count
        of(db).fill(row, [Member(name, number) for number, name in enumerate(names)])
        assert of(db).get(row, names[1]) == (names[1], 1)
        assert of(db).get(row, b"absent") is None
        of(db).remove(row, names[1])
        assert of(db).get(row, LONG) == (LONG, 0)
        of(db).remove(row, LONG)
        resize(db, row, -2)

    store.write(fill, b"s")
    assert stored(store, b"s") == {name: number for number, name in enumerate(names) if number > 1}
    store.reap()
    assert not store.check()


def test_statements_stay_below_what_the_server_takes(store: Store) -> None:
    """Many elements that are long, and not too long for rows: together they are more than a packet may be."""
    names = [b"%05d" % number * 12_000 for number in range(100)]
    in_order(store, lambda db: make(db, b"s", names))
    assert set(stored(store, b"s")) == set(names)

    def replace(db: Keyspace) -> None:
        row = found(db, b"s")
        of(db).get_many(row, names)
        for name in names:
            of(db).put(row, Member(name, 1000))
        resize(db, row, 0)

    in_order(store, replace)
    assert set(stored(store, b"s").values()) == {1000}
