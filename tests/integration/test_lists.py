"""Lists in the tables of both engines: every way of changing them against a Python list, and what is left behind."""

import random
import threading
from collections.abc import Callable

import pytest

from storage import list_items, list_room, list_state, list_values, lists, overflow
from storage.connection import Connection
from storage.key_rows import KeyRow, Type
from storage.keyspace import Keyspace
from storage.list_items import items_of
from storage.list_state import STRIDE, state_of
from tests.integration.conftest import Store

NAME = b"list"


@pytest.fixture(autouse=True)
def no_items(store: Store) -> None:
    """Other tests leave none, and these count all there are."""
    for table in ("list_item", "string_chunk"):
        store.sql(f"DELETE FROM rowdis_{table}")


@pytest.fixture
def low_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every limit so low that short lists are treated as long ones are."""
    for module in (list_items, lists, list_values):
        for name, value in (("PAGE", 4), ("HELD", 6), ("RUN", 2), ("_FEW", 3), ("_FIRST", 2), ("_MOST", 5)):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(list_items, "page_of", lambda row: 4)
    monkeypatch.setattr(lists, "page_of", lambda row: 4)
    monkeypatch.setattr(list_room, "_SMALLEST", 2)
    monkeypatch.setattr(overflow, "INLINE", 40)


@pytest.fixture
def narrow_stride(monkeypatch: pytest.MonkeyPatch) -> None:
    """Positions so near to each other that there is hardly ever room between two."""
    for module in (list_items, list_room, list_state, list_values, lists):
        if hasattr(module, "STRIDE"):
            monkeypatch.setattr(module, "STRIDE", 2)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The statements on items of lists, in the order in which they are deferred."""
    found: list[str] = []
    defer = Connection.defer

    def spy(self: Connection, template: str, *arguments: object) -> None:
        if "rowdis_list_item" in template:
            found.append(template)
        defer(self, template, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Connection, "defer", spy)
    return found


def content(db: Keyspace, name: bytes = NAME) -> list[bytes]:
    row = db.find(name)
    return [] if row is None else list(lists.read(db, row, 0, row.size - 1))


def filled(store: Store, values: list[bytes], name: bytes = NAME) -> None:
    def fill(db: Keyspace) -> None:
        lists.push(db, lists.make(db, name), values, left=False)

    store.write(fill, name)


def row_of(db: Keyspace, name: bytes = NAME) -> KeyRow:
    row = db.find(name)
    assert row is not None
    return row


def rows(store: Store) -> int:
    return int(store.sql("SELECT COUNT(*) FROM rowdis_list_item")[0][0])


def numbers(count: int) -> list[bytes]:
    return [b"%d" % number for number in range(count)]


# -- the model


class Model:
    """Random operations, each done to a list of the store and to a Python list."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.list: list[bytes] = []

    def value(self) -> bytes:
        pick = self.chance
        short = pick.choice([b"", b"a", b"b", b"c", b"7", b"d" * 39])
        return pick.choice([short, short, short, b"long " * 9, b"longer" * 30])

    def prefetch(self, db: Keyspace) -> None:
        """Tell the store of things to come, as commands do at the beginning of a unit; they need not come."""
        row = db.peek(NAME, Type.LIST)
        if row is None:
            return
        for _ in range(self.chance.randint(0, 3)):
            start = self.chance.randrange(row.size)
            stop = self.chance.randrange(start, row.size)
            left, count = self.chance.random() < 0.5, self.chance.randint(1, 9)
            match self.chance.randrange(5):
                case 0:
                    lists.want_range(db, row, start, stop)
                case 1:
                    lists.want_pop(db, row, left, count)
                case 2:
                    lists.want_whole(db, row)
                case 3:
                    lists.want_item(db, row, start)
                case _:
                    lists.want_cut(db, row, start, stop)
        db.attempt.prefetch()

    def step(self, db: Keyspace) -> None:
        if db.find(NAME) is None:
            self.push(db)
            return
        self.chance.choices(
            [self.push, self.pop, self.read, self.at, self.replace, self.trim, self.remove, self.insert, self.find,
             self.rotate],
            [4, 4, 3, 2, 2, 1, 3, 6, 2, 1],
        )[0](db)  # fmt: skip
        assert db.find(NAME) is None or row_of(db).size == len(self.list)

    def push(self, db: Keyspace) -> None:
        values, left = [self.value() for _ in range(self.chance.randint(1, 9))], self.chance.random() < 0.5
        row = db.find(NAME)
        if row is None:
            row = lists.make(db, NAME)
        lists.push(db, row, values, left)
        self.list = values[::-1] + self.list if left else self.list + values

    def pop(self, db: Keyspace) -> None:
        count, left = self.chance.choice([1, 1, 2, 5, 9]), self.chance.random() < 0.5
        row = row_of(db)
        popped = lists.pop(db, row, count, left)
        lists.remove_if_empty(db, row)
        count = min(count, len(self.list))
        expected = self.list[:count] if left else self.list[::-1][:count]
        self.list = self.list[count:] if left else self.list[: len(self.list) - count]
        assert popped == expected

    def read(self, db: Keyspace) -> None:
        start = self.chance.randrange(len(self.list))
        stop = self.chance.randrange(start, len(self.list))
        assert list(lists.read(db, row_of(db), start, stop)) == self.list[start : stop + 1]

    def at(self, db: Keyspace) -> None:
        index = self.chance.randrange(len(self.list))
        assert lists.at(db, row_of(db), index) == self.list[index]

    def replace(self, db: Keyspace) -> None:
        index, value = self.chance.randrange(len(self.list)), self.value()
        lists.replace(db, row_of(db), index, value)
        self.list[index] = value

    def trim(self, db: Keyspace) -> None:
        start = self.chance.choice([0, 0, 1, 3, self.chance.randrange(len(self.list) + 1)])
        stop = len(self.list) - 1 - self.chance.choice([0, 0, 1, 3, self.chance.randrange(len(self.list) + 1)])
        row = row_of(db)
        lists.trim(db, row, start, stop)
        lists.remove_if_empty(db, row)
        self.list = self.list[start : stop + 1] if start <= stop else []

    def remove(self, db: Keyspace) -> None:
        value, count = self.value(), self.chance.choice([1, 1, -1, 2, -2, 0])
        matches = [index for index, item in enumerate(self.list) if item == value]
        doomed = set((matches[count:] if count < 0 else matches[:count]) if count else matches)
        row = row_of(db)
        assert list_values.remove(db, row, value, count) == len(doomed)
        lists.remove_if_empty(db, row)
        self.list = [item for index, item in enumerate(self.list) if index not in doomed]

    def insert(self, db: Keyspace) -> None:
        pivot, value, before = self.value(), self.value(), self.chance.random() < 0.5
        inserted = list_values.insert(db, row_of(db), pivot, value, before)
        assert inserted == (pivot in self.list)
        if inserted:
            self.list.insert(self.list.index(pivot) + (0 if before else 1), value)

    def find(self, db: Keyspace) -> None:
        value = self.value()
        rank, most = self.chance.choice([1, 2, -1, -2]), self.chance.choice([0, 3])
        count = self.chance.choice([0, 1, 2])
        order = range(len(self.list)) if rank > 0 else range(len(self.list) - 1, -1, -1)
        matches = [index for index in list(order)[: most or None] if self.list[index] == value][abs(rank) - 1 :]
        assert list_values.find(db, row_of(db), value, rank, count, most) == matches[: count or None]

    def rotate(self, db: Keyspace) -> None:
        left = self.chance.random() < 0.5
        row = row_of(db)
        (value,) = lists.pop(db, row, 1, left)
        lists.push(db, row, [value], not left)
        self.list = self.list[1:] + self.list[:1] if left else self.list[-1:] + self.list[:-1]


def check_random_changes(store: Store, chance: random.Random, units: int) -> None:
    model = Model(chance)
    for _ in range(units):

        def unit(db: Keyspace) -> None:
            model.prefetch(db)
            for _ in range(chance.choice([1, 1, 2, 6])):
                model.step(db)
            assert content(db) == model.list

        store.write(unit, NAME)
        assert store.read(content, NAME) == model.list
        assert rows(store) >= len(model.list)
        store.reap()
        assert rows(store) == len(model.list), "items outside of the list were left"
    assert store.check() == []
    chunked = sum(len(value) > overflow.INLINE for value in model.list)
    assert int(store.sql("SELECT COUNT(DISTINCT key_id) FROM rowdis_string_chunk")[0][0]) == chunked


def test_random_changes_of_short_lists(store: Store, rng: random.Random) -> None:
    check_random_changes(store, rng, 60)


@pytest.mark.usefixtures("low_limits")
def test_random_changes_of_lists_that_are_not_held_in_memory(store: Store, rng: random.Random) -> None:
    check_random_changes(store, rng, 150)


@pytest.mark.usefixtures("low_limits", "narrow_stride")
def test_random_changes_where_there_is_no_room(store: Store, rng: random.Random) -> None:
    check_random_changes(store, rng, 100)


# -- what it costs


def batch(
    store: Store,
    names: list[bytes],
    want: Callable[[Keyspace, KeyRow], None],
    act: Callable[[Keyspace, bytes], object],
) -> None:
    """What several clients ask for, one a name, in one unit of work with prefetch."""

    def unit(db: Keyspace) -> None:
        for name in names:
            row = db.peek(name, Type.LIST)
            if row is not None:
                want(db, row)
        db.attempt.prefetch()
        for name in names:
            act(db, name)

    store.write(unit, *dict.fromkeys(names))


def want_left(db: Keyspace, row: KeyRow) -> None:
    lists.want_pop(db, row, True, 1)


def pop_left(db: Keyspace, name: bytes) -> None:
    row = row_of(db, name)
    lists.pop(db, row, 1, left=True)
    lists.remove_if_empty(db, row)


def push_right(db: Keyspace, name: bytes) -> None:
    row = db.find(name)
    lists.push(db, lists.make(db, name) if row is None else row, [b"pushed"], left=False)


def make_gap(store: Store, name: bytes) -> None:
    """Remove an item in the middle, so that positions can not be computed any more."""
    store.write(lambda db: list_values.remove(db, row_of(db, name), b"10", 1), name)


def kinds(sent: list[str]) -> list[str]:
    return [statement.partition(" ")[0] for statement in sent]


SPREAD = [b"list:%d" % number for number in range(50)]
HOT = [NAME] * 50


@pytest.mark.parametrize("names", [SPREAD, HOT], ids=["spread", "hot"])
def test_pushes_of_fifty_clients_are_one_statement(store: Store, sent: list[str], names: list[bytes]) -> None:
    for _ in range(2):
        sent.clear()
        batch(store, names, lambda db, row: None, push_right)
        assert kinds(sent) == ["INSERT"]
    assert rows(store) == 100


@pytest.mark.parametrize("names", [SPREAD, HOT], ids=["spread", "hot"])
def test_pops_of_fifty_clients_are_two_statements(store: Store, sent: list[str], names: list[bytes]) -> None:
    for name in dict.fromkeys(names):
        filled(store, numbers(60), name)
    sent.clear()
    batch(store, names, want_left, pop_left)
    assert kinds(sent) == ["SELECT", "DELETE"]
    assert rows(store) == 60 * len(dict.fromkeys(names)) - 50


def test_pops_of_fifty_clients_from_a_list_with_gaps_are_two_statements(store: Store, sent: list[str]) -> None:
    filled(store, numbers(60))
    make_gap(store, NAME)
    sent.clear()
    batch(store, HOT, want_left, pop_left)
    assert kinds(sent) == ["SELECT", "DELETE"]
    assert store.read(content, NAME) == numbers(60)[51:]


def test_push_and_pop_in_one_batch_leave_nothing_to_write(store: Store, sent: list[str]) -> None:
    batch(store, HOT, lambda db, row: None, lambda db, name: (push_right(db, name), pop_left(db, name)))
    assert sent == []
    assert store.sql("SELECT COUNT(*) FROM rowdis_garbage WHERE kind=0") == ((0,),)


def test_queue_that_runs_empty_leaves_nothing_to_the_reaper(store: Store) -> None:
    for _ in range(3):
        batch(store, SPREAD, want_left, push_right)
        batch(store, SPREAD, want_left, pop_left)
    assert rows(store) == 0
    assert store.sql("SELECT COUNT(*) FROM rowdis_garbage WHERE kind=0") == ((0,),)


@pytest.mark.parametrize("gap", [False, True], ids=["dense", "with gaps"])
def test_range_that_fifty_clients_want_is_read_once(store: Store, sent: list[str], gap: bool) -> None:
    filled(store, numbers(300))
    if gap:
        make_gap(store, NAME)
    sent.clear()
    found: list[list[bytes]] = []
    batch(
        store,
        HOT,
        lambda db, row: lists.want_range(db, row, 0, 99),
        lambda db, name: found.append(lists.read(db, row_of(db, name), 0, 99)),
    )
    assert kinds(sent) == ["SELECT"]
    expected = [value for value in numbers(101) if not gap or value != b"10"][:100]
    assert all(values == expected for values in found)


def test_ranges_of_fifty_lists_are_read_by_one_statement(store: Store, sent: list[str]) -> None:
    for name in SPREAD:
        filled(store, numbers(120), name)
    sent.clear()
    batch(
        store,
        SPREAD,
        lambda db, row: lists.want_range(db, row, 0, 99),
        lambda db, name: lists.read(db, row_of(db, name), 0, 99),
    )
    assert kinds(sent) == ["SELECT"]


def test_capped_list_costs_an_insert_and_a_delete(store: Store, sent: list[str]) -> None:
    filled(store, numbers(100))

    def log(db: Keyspace, name: bytes) -> None:
        row = row_of(db, name)
        lists.push(db, row, [b"line"], left=True)
        lists.trim(db, row, 0, 99)

    for gap in (False, True):
        if gap:
            store.write(lambda db: list_values.insert(db, row_of(db), b"line", b"x", False), NAME)
            store.write(lambda db: lists.trim(db, row_of(db), 0, 99), NAME)
        sent.clear()
        batch(store, HOT, lambda db, row: lists.want_cut(db, row, 0, 99), log)
        assert kinds(sent) == (["SELECT"] if gap else []) + ["DELETE", "INSERT"]
        assert rows(store) == 100


def test_trimming_much_away_costs_what_is_kept(store: Store, sent: list[str]) -> None:
    filled(store, numbers(50_000))
    sent.clear()
    store.write(lambda db: lists.trim(db, row_of(db), 20_000, 20_999), NAME)
    assert kinds(sent) == ["UPDATE"]
    assert store.read(content, NAME) == numbers(50_000)[20_000:21_000]
    store.reap()
    assert rows(store) == 1000


def test_large_parts_are_deleted_by_statements_of_bounded_size(store: Store, sent: list[str]) -> None:
    filled(store, numbers(20_000))
    sent.clear()
    store.write(lambda db: lists.trim(db, row_of(db), 4000, -1 + 20_000 - 3000), NAME)
    assert kinds(sent) == ["DELETE"] * 4
    assert rows(store) == 13_000
    popped = store.write(lambda db: lists.pop(db, row_of(db), 5000, left=False), NAME)
    assert popped == numbers(17_000)[:-5001:-1]
    assert rows(store) == 8000
    assert store.write(lambda db: list_values.remove(db, row_of(db), b"8000", 0), NAME) == 1
    assert rows(store) == 7999


def test_thousands_of_insertions_at_one_spot(store: Store, sent: list[str]) -> None:
    filled(store, [*numbers(20), b"pivot", *numbers(1500)])
    count = 2000

    def insert(first: int) -> Callable[[Keyspace], None]:
        def unit(db: Keyspace) -> None:
            for number in range(first, first + 500):
                assert list_values.insert(db, row_of(db), b"pivot", b"x%d" % number, False)

        return unit

    for first in range(0, count, 500):
        store.write(insert(first), NAME)
    middle = [b"x%d" % number for number in reversed(range(count))]
    assert store.read(content, NAME) == [*numbers(20), b"pivot", *middle, *numbers(1500)]
    assert rows(store) == 1521 + count
    assert 0 < kinds(sent).count("UPDATE") < count


def test_state_stays_dense_as_long_as_only_the_ends_change(store: Store) -> None:
    filled(store, [b"a", b"b", b"a", b"c", b"a"])

    def ends(db: Keyspace) -> None:
        row = row_of(db)
        assert list_values.insert(db, row, b"a", b"first", True)
        assert list_values.insert(db, row, b"a", b"x", True)
        assert not state_of(row).dense
        assert list_values.remove(db, row, b"x", 1) == 1
        lists.pop(db, row, 1, left=True)
        assert list_values.remove(db, row, b"a", 1) == 1
        assert list_values.remove(db, row, b"a", -1) == 1

    store.write(ends, NAME)
    assert store.read(content, NAME) == [b"b", b"a", b"c"]
    head, tail = store.read(lambda db: (state_of(row_of(db)).head, state_of(row_of(db)).tail), NAME)
    assert tail - head >= 3 * STRIDE


def test_lists_that_share_small_tables_do_not_wait_for_each_other(store: Store) -> None:
    """A database that scanned the table of items would lock those of the other list."""
    for name in (b"one", b"other"):
        filled(store, numbers(8), name)
    other, entered, leave = store.new_executor(), threading.Event(), threading.Event()

    def hold(db: Keyspace) -> None:
        row = row_of(db, b"one")
        lists.pop(db, row, 2, left=True)
        lists.trim(db, row, 0, 3)
        list_values.insert(db, row, b"4", b"x", True)
        list_values.remove(db, row, b"4", 1)
        items_of(db.attempt).flush()
        db.attempt.connection.send()
        entered.set()
        assert leave.wait(10)

    thread = threading.Thread(target=store.write, args=(hold, b"one"), kwargs={"executor": other})
    thread.start()
    try:
        assert entered.wait(10)

        def change(db: Keyspace) -> None:
            row = row_of(db, b"other")
            lists.pop(db, row, 2, left=False)
            lists.trim(db, row, 1, 4)
            list_values.insert(db, row, b"3", b"x", True)
            list_values.remove(db, row, b"3", 1)

        store.write(change, b"other", seconds=1.5)
    finally:
        leave.set()
        thread.join()
    assert store.read(lambda db: content(db, b"other"), b"other") == [b"1", b"2", b"x", b"4"]
