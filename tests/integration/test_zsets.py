"""Sorted sets in the tables of both engines: every way of changing and reading them against a model in Python."""

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from storage import elements, overflow, zset_ranges, zset_samples, zset_windows, zsets
from storage.connection import Connection
from storage.key_rows import KeyRow, Type
from storage.keyspace import Keyspace, keyspace_of
from storage.scores import encode
from storage.zset_order import BEGIN, END, Entry, Place, ZsetState, behind, ceiling, floor, state_of
from storage.zset_windows import End
from tests.integration.conftest import Store

NAME = b"zset"
HEAD = b"h" * 64
#: Short members, and some that the index can not tell apart, two of which are longer than INLINE is made here.
MEMBERS = [b"", b"\x00", b"\xff", *[b"m%02d" % n for n in range(25)], b"h" * 63, HEAD, b"\xff" * 64, b"\xff" * 66,
           *[HEAD + tail for tail in (b"\x00", b"a", b"ab", b"b", b"\xff", b"a" * 200, b"a" * 201)]]  # fmt: skip
SCORES = [float("-inf"), -2.5, 0.0, 0.0, 0.0, 1.0, 1.0, 7.0, float("inf")]

Model = dict[bytes, float]


@pytest.fixture
def low_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every limit so low that short sorted sets are treated as long ones are."""
    for module, name, value in (
        (elements, "PAGE", 4), (zsets, "PAGE", 4), (zset_ranges, "PAGE", 4), (zset_ranges, "_FAR", 3),
        (zsets, "NEAR", 3), (zsets, "FEW", 3), (zsets, "DELETED", 5),
        (zset_windows, "_TOO_MANY", 9), (overflow, "INLINE", 150),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, value)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The statements on members, in the order in which they are deferred."""
    found: list[str] = []
    defer = Connection.defer

    def spy(self: Connection, template: str, *arguments: object) -> None:
        if "rowdis_zset_member" in template:
            found.append(template)
        defer(self, template, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Connection, "defer", spy)
    return found


class Checked:
    """One sorted set with its model, inside of one unit."""

    def __init__(self, db: Keyspace, model: Model, rng: random.Random) -> None:
        self.db = db
        self.store = zsets.of(db)
        self.model = model
        self.rng = rng
        self.row = db.find(NAME)

    def step(self) -> None:
        """Something by chance; what it gives is what the model says."""
        row = self.row
        if row is None:
            row = self.row = zsets.create(self.db, NAME)
            self.put(row)
        else:
            self.rng.choice((self.put, self.put, self.put, self.remove, self.pop, self.ranks, self.slice, self.count,
                             self.rank, self.remove_range, self.remove_ranks))(row)  # fmt: skip
        self.store.changed(row)
        if not self.model:
            self.row = None

    def ordered(self) -> list[tuple[float, bytes]]:
        return sorted((score, member) for member, score in self.model.items())

    def between(self, low: Place, high: Place) -> list[tuple[float, bytes]]:
        return [pair for pair in self.ordered() if low <= (encode(pair[0])[0], pair[1]) < high]

    def place(self) -> Place:
        if self.rng.random() < 0.2:
            return self.rng.choice((BEGIN, END))
        key = encode(self.rng.choice(SCORES))[0]
        member = self.rng.choice(MEMBERS)
        return self.rng.choice(((key, b""), (key + 1, b""), (key, member), behind(key, member)))

    def put(self, row: KeyRow) -> None:
        member, score = self.rng.choice(MEMBERS), self.rng.choice(SCORES)
        assert self.store.score(row, member) == self.model.get(member)
        self.store.put(row, member, score)
        self.model[member] = score

    def remove(self, row: KeyRow) -> None:
        member = self.rng.choice(MEMBERS)
        assert self.store.remove(row, member) == (self.model.pop(member, None) is not None)

    def pop(self, row: KeyRow) -> None:
        end, count = self.rng.choice(tuple(End)), self.rng.choice((1, 1, 2, 5, 9))
        expected = self.ordered()[:count] if end is End.MIN else self.ordered()[::-1][:count]
        assert pairs(self.store.pop(row, end, count)) == expected
        for _, member in expected:
            del self.model[member]

    def ranks(self, row: KeyRow) -> None:
        start, stop = sorted(self.rng.randint(0, row.size) for _ in range(2))
        reverse = self.rng.random() < 0.5
        expected = self.ordered()[start:stop]
        if start < stop:
            assert pairs(self.store.ranks(row, start, stop, reverse=reverse)) == expected[:: -1 if reverse else 1]

    def slice(self, row: KeyRow) -> None:
        low, high, reverse = self.place(), self.place(), self.rng.random() < 0.5
        offset, limit = self.rng.choice((0, 0, 1, 3, 8)), self.rng.choice((None, 1, 3, 7))
        expected = self.between(low, high)[:: -1 if reverse else 1][offset:]
        found = self.store.slice(row, low, high, reverse=reverse, offset=offset, limit=limit)
        assert pairs(found) == (expected if limit is None else expected[:limit])

    def count(self, row: KeyRow) -> None:
        low, high = self.place(), self.place()
        assert self.store.count(row, low, high) == len(self.between(low, high))

    def rank(self, row: KeyRow) -> None:
        member, reverse = self.rng.choice(MEMBERS), self.rng.random() < 0.5
        order = [member for _, member in self.ordered()][:: -1 if reverse else 1]
        expected = (order.index(member), self.model[member]) if member in self.model else None
        assert self.store.rank(row, member, reverse=reverse) == expected

    def remove_range(self, row: KeyRow) -> None:
        low, high = sorted((self.place(), self.place()))
        if self.rng.random() < 0.5:
            high = min(high, (low[0] + 1, b""))
        gone = self.between(low, high)
        assert self.store.remove_range(row, low, high) == len(gone)
        for _, member in gone:
            del self.model[member]

    def remove_ranks(self, row: KeyRow) -> None:
        start = self.rng.randint(0, row.size - 1)
        stop = min(row.size, start + self.rng.choice((1, 3, 6)))
        gone = self.ordered()[start:stop]
        assert self.store.remove_ranks(row, start, stop) == len(gone)
        for _, member in gone:
            del self.model[member]


def pairs(found: list[Entry]) -> list[tuple[float, bytes]]:
    return [(zsets.score_of(entry), entry[1]) for entry in found]


def everything(db: Keyspace) -> tuple[Model, list[tuple[float, bytes]]]:
    """What the tables hold, by member and in order; the bounds hold it all."""
    row = db.find(NAME)
    if row is None:
        return {}, []
    store = zsets.of(db)
    found = pairs([entry for page in store.pages(row) for entry in page])
    assert found[::-1] == pairs([entry for page in store.pages(row, reverse=True) for entry in page])
    assert row.size == len(found)
    state = state_of(row)
    for entry in store.slice(row, BEGIN, END):
        assert state.low <= entry[:2] < state.high
    return dict(store.every(row)), found


@pytest.mark.usefixtures("low_limits")
@pytest.mark.parametrize("part", range(3))
def test_random_changes_end_as_in_the_model(store: Store, rng: random.Random, part: int) -> None:
    model: Model = {}
    for _ in range(60):
        steps = rng.choice((1, 3, 10, 30))
        seed = rng.random()
        before = dict(model)

        def unit(db: Keyspace, seed: float = seed, steps: int = steps, before: Model = before) -> Model:
            checked = Checked(db, dict(before), random.Random(seed))
            if checked.row is not None:
                want_something(db, checked.row, checked.rng)
            for _ in range(steps):
                checked.step()
            return checked.model

        model = store.write(unit, NAME)
        held, ordered = store.read(everything, NAME)
        assert held == model
        assert ordered == sorted((score, member) for member, score in model.items())
    store.reap()
    rows = store.sql("SELECT COUNT(*) FROM rowdis_zset_member")[0][0]
    assert rows == len(model)
    assert not store.check()


def want_something(db: Keyspace, row: KeyRow, rng: random.Random) -> None:
    """Prefetch some of what will be asked, and some that will not."""
    kept = zsets.of(db)
    kept.want(row, rng.sample(MEMBERS, 5))
    if rng.random() < 0.7:
        kept.want_pop(row, rng.choice(tuple(End)), rng.randint(1, 6))
        kept.want_ranks(row, 0, min(row.size, 3))
        kept.want_rank(row, rng.choice(MEMBERS))
        kept.want_slice(row, BEGIN, END, limit=rng.randint(1, 9))
        kept.want_count(row, BEGIN, (0, b""))
    db.attempt.prefetch()


def fill(store: Store, count: int, *, name: bytes = NAME, score: Callable[[int], float] = float) -> None:
    store.write(lambda db: zsets.replace(db, name, [(b"m%05d" % n, score(n)) for n in range(count)]), name)


def test_fifty_additions_are_one_statement(store: Store, sent: list[str]) -> None:
    fill(store, 10)
    sent.clear()

    def unit(db: Keyspace) -> None:
        row = db.peek(NAME, Type.ZSET)
        assert row is not None
        kept = zsets.of(db)
        members = [b"new%d" % n for n in range(50)]
        for member in members:
            kept.want(row, [member])
        db.attempt.prefetch()
        for n, member in enumerate(members):
            kept.put(row, member, n)
        kept.changed(row)

    store.write(unit, NAME)
    assert [statement.split()[0] for statement in sent] == ["SELECT", "INSERT"]


def test_fifty_pops_are_one_select_and_one_delete(store: Store, sent: list[str]) -> None:
    fill(store, 200)
    sent.clear()

    def unit(db: Keyspace) -> list[bytes]:
        row = db.peek(NAME, Type.ZSET)
        assert row is not None
        kept = zsets.of(db)
        for _ in range(50):
            kept.want_pop(row, End.MIN, 1)
        db.attempt.prefetch()
        found = [kept.pop(row, End.MIN, 1)[0][1] for _ in range(50)]
        kept.changed(row)
        return found

    assert store.write(unit, NAME) == [b"m%05d" % n for n in range(50)]
    assert [statement.split()[0] for statement in sent] == ["SELECT", "DELETE"]


def test_a_large_range_is_deleted_by_one_statement(store: Store, sent: list[str]) -> None:
    fill(store, 5000)
    sent.clear()

    def unit(db: Keyspace) -> int:
        row = db.find(NAME)
        assert row is not None
        kept = zsets.of(db)
        key = encode(4990.0)[0]
        count = kept.remove_range(row, BEGIN, (key, b""))
        kept.changed(row)
        assert state_of(row).low == (key, b"")
        return count

    assert store.write(unit, NAME) == 4990
    assert [statement.split()[0] for statement in sent].count("DELETE") == 1
    assert len(sent) <= 3
    assert store.sql("SELECT COUNT(*) FROM rowdis_zset_member")[0][0] == 10


def test_removing_everything_does_not_touch_the_members(store: Store, sent: list[str]) -> None:
    fill(store, 3000)

    def unit(db: Keyspace) -> int:
        row = db.find(NAME)
        assert row is not None
        kept = zsets.of(db)
        count = kept.remove_range(row, BEGIN, END)
        kept.changed(row)
        return count

    sent.clear()
    assert store.write(unit, NAME) == 3000
    assert not [statement for statement in sent if statement.startswith("DELETE")]


@pytest.mark.parametrize("count", [3, 1500])
def test_deleting_a_range_locks_no_other_sorted_set(store: Store, count: int) -> None:
    """However small the table is."""
    names = [b"one", b"two"]
    for name in names:
        fill(store, count, name=name)
    other = store.new_executor()

    def remove(db: Keyspace, name: bytes) -> int:
        row = db.find(name)
        assert row is not None
        kept = zsets.of(db)
        removed = kept.remove_range(row, BEGIN, (encode(count - 1.0)[0], b""))
        kept.changed(row)
        db.attempt.flush()
        db.attempt.connection.send()
        return removed

    def unit(db: Keyspace) -> tuple[int, int]:
        first = remove(db, b"one")
        # While the first is not committed.
        second = thread.submit(
            lambda: store.write(lambda keyspace: remove(keyspace, b"two"), b"two", executor=other, seconds=3)
        )  # fmt: skip
        return first, second.result(timeout=10)

    with ThreadPoolExecutor(1) as thread:
        assert store.write(unit, b"one") == (count - 1, count - 1)


def test_random_members_are_drawn_fairly(store: Store) -> None:
    fill(store, 2500)

    def unit(db: Keyspace) -> tuple[list[bytes], list[bytes]]:
        row = db.find(NAME)
        assert row is not None
        kept = zsets.of(db)
        sampled, drawn = zset_samples.sample(kept, row, 800), zset_samples.draw(kept, row, 2000)
        return [member for member, _ in sampled], [member for member, _ in drawn]

    sampled, drawn = store.read(unit, NAME)
    assert len(set(sampled)) == len(sampled) == 800
    assert len(drawn) == 2000
    # Of 2000 draws of 2500 members 45 % are expected to be different ones; neighbours must not come together.
    assert 1100 < len(set(drawn)) < 1600
    assert 350 < len([member for member in sampled if member < b"m01250"]) < 450


@pytest.mark.parametrize("member", [b"x", b"x" * 64, b"x" * 65])
def test_the_encoding_is_that_of_redis(store: Store, member: bytes) -> None:
    def unit(db: Keyspace) -> list[bytes]:
        row = zsets.create(db, NAME)
        kept = zsets.of(db)
        found = []
        for n in range(129):
            kept.put(row, b"%d" % n if n else member, n)
            found.append(zsets.encoding(row))
        kept.remove(row, member)
        kept.changed(row)
        return [found[0], found[127], found[128], zsets.encoding(row)]

    small = b"listpack" if len(member) <= 64 else b"skiplist"
    assert store.write(unit, NAME) == [small, small, b"skiplist", b"skiplist"]
    assert store.read(lambda db: zsets.encoding(db.find(NAME) or KeyRow(0, b"", b"")), NAME) == b"skiplist"


def test_states_and_places() -> None:
    state = ZsetState((3, b"head"), (9, b"\xff" * 64), skiplist=True, chunked=False)
    again = ZsetState.unpack(state.pack())
    assert (again.low, again.high, again.skiplist, again.chunked) == (state.low, state.high, True, False)
    assert floor((1, b"a" * 70)) == (1, b"a" * 64)
    assert ceiling((1, b"a" * 70)) == (1, b"a" * 63 + b"b")
    assert ceiling((1, b"a" + b"\xff" * 70)) == (1, b"b")
    assert ceiling((1, b"\xff" * 70)) == (2, b"")
    assert floor(behind(1, b"x")) == ceiling(behind(1, b"x")) == (1, b"x\x00")


def test_what_another_type_or_nobody_holds_is_not_wanted(store: Store) -> None:
    def unit(db: Keyspace) -> None:
        assert keyspace_of(db.attempt, 0).peek(NAME, Type.ZSET) is None
        row = zsets.create(db, NAME)
        kept = zsets.of(db)
        kept.want_pop(row, End.MIN, 3)
        db.attempt.prefetch()
        kept.put(row, b"a", 1)
        assert [entry[1] for entry in kept.pop(row, End.MIN, 3)] == [b"a"]
        kept.changed(row)

    store.write(unit, NAME)
    assert store.read(lambda db: db.find(NAME), NAME) is None
