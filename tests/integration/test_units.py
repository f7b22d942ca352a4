"""Units of work against real databases: what they lock, how often they travel, and what they leave behind."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pymysql
import pytest

from storage import strings
from storage.connection import Connection
from storage.errors import Conflict, Duplicate, LockWait, LostConnection, NotApplied, StorageError
from storage.execution import Patience, Plan
from storage.key_rows import digest_of
from storage.keyspace import Keyspace
from storage.unit import Attempt
from tests.integration.conftest import Store
from tests.services.process import wait_until

LONG = b"long value " * 10_000


@pytest.fixture
def trips(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The text of every trip to the database, as it is sent."""
    sent: list[str] = []
    query = Connection.query

    def spy(self: Connection, sql: str, unbuffered: bool = False) -> int:
        sent.append(sql)
        return int(query(self, sql, unbuffered))

    monkeypatch.setattr(Connection, "query", spy)
    return sent


@contextmanager
def program(store: Store) -> Iterator["pymysql.connections.Connection[pymysql.cursors.Cursor]"]:
    """A session of another program, in a transaction."""
    connection = pymysql.connect(**store.target.connect_arguments(), charset="utf8mb4", autocommit=False)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
        yield connection
    finally:
        connection.close()


def lock(connection: "pymysql.connections.Connection[pymysql.cursors.Cursor]", store: Store, name: bytes) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT size FROM rowdis_key FORCE INDEX (PRIMARY) WHERE space=%s AND digest=%s FOR UPDATE",
            (store.space(), digest_of(name)),
        )
        assert cursor.rowcount == 1


def value(store: Store, name: bytes) -> bytes | None:
    def body(db: Keyspace) -> bytes | None:
        row = db.find(name)
        return None if row is None else strings.read(db, row)

    return store.read(body, name)


def set_(store: Store, name: bytes, data: bytes) -> None:
    store.write(lambda db: strings.write(db, name, data), name)


def incr(db: Keyspace, name: bytes) -> int:
    row = db.find(name)
    number = int(strings.read(db, row)) + 1 if row is not None else 1
    strings.write(db, name, b"%d" % number)
    return number


# -- trips


def test_blind_set_is_one_trip_and_a_read_modify_write_two(store: Store, trips: list[str]) -> None:
    store.run_blind(b"warm", b"1")
    trips.clear()
    store.run_blind(b"k", b"1")
    assert len(trips) == 1
    assert trips[0].startswith("BEGIN;")
    assert trips[0].endswith(";COMMIT")
    trips.clear()
    store.write(lambda db: incr(db, b"k"), b"k")
    assert len(trips) == 2
    trips.clear()
    store.write(lambda db: incr(db, b"absent"), b"absent", hold=(b"absent",))
    assert len(trips) == 2, "what is held and written is not held by a trip of its own"


def test_read_is_one_trip_whose_guard_stands_behind_the_keys(store: Store, trips: list[str]) -> None:
    set_(store, b"k", b"v")
    assert value(store, b"k") == b"v"
    trips.clear()
    assert value(store, b"k") == b"v"
    assert len(trips) == 1
    assert trips[0].index("rowdis_key") < trips[0].index("rowdis_worker")


def test_long_value_is_read_in_a_snapshot(store: Store, trips: list[str]) -> None:
    set_(store, b"k", LONG)
    trips.clear()
    assert value(store, b"k") == LONG
    assert any("WITH CONSISTENT SNAPSHOT" in trip for trip in trips)


def test_markers_are_cleared_away(store: Store) -> None:
    for number in range(300):
        store.run_blind(b"k", b"%d" % number)
    assert int(store.sql("SELECT COUNT(*) FROM rowdis_marker")[0][0]) <= 70


# -- orphans


def test_orphan_of_a_blind_overwrite_reaches_the_garbage_by_every_later_way(store: Store) -> None:
    """The column has room for one id: whoever writes the row while it holds one must move it on."""
    for later in ("append", "overwrite", "delete", "rename", "blind", "look"):
        name = later.encode()
        set_(store, name, LONG)
        store.run_blind(name, b"short")

        def body(db: Keyspace, later: str = later, name: bytes = name) -> None:
            row = db.find(name)
            assert row is not None
            if later == "append":
                strings.write_range(db, row, row.size, LONG)
            elif later == "overwrite":
                strings.write(db, name, LONG)
            elif later == "delete":
                db.remove(row)
            elif later == "rename":
                db.attempt.move_contents(row, db.space, name + b"2")

        if later not in ("blind", "look"):
            store.write(body, name, name + b"2")
        store.run_blind(name, b"again")
        store.run_blind(name, b"and again")
        assert store.check() == [], later
    for _ in range(40):
        store.housekeeper._look_for_orphans()
    store.reap()
    assert store.sql("SELECT COUNT(*) FROM rowdis_key WHERE orphan<>0") == ((0,),)
    chunks = store.sql("SELECT COUNT(DISTINCT key_id) FROM rowdis_string_chunk")
    assert chunks == ((0,),), "every long value was overwritten by a short one"
    assert store.check() == []


def test_orphans_are_looked_for_in_every_space(store: Store) -> None:
    for db in (0, 3, 15):
        store.write(lambda keyspace: strings.write(keyspace, b"k", LONG), b"k", db=db)
        store.run_blind(b"k", b"short", db=db)
    for _ in range(40):
        store.housekeeper._look_for_orphans()
    assert store.sql("SELECT COUNT(*) FROM rowdis_key WHERE orphan<>0") == ((0,),)


# -- failures


def test_session_goes_back_after_every_kind_of_failure(store: Store) -> None:
    def fail(error: Exception) -> None:
        def body(attempt: Attempt) -> None:
            strings.write(Keyspace(attempt, 0), b"failed", b"x")
            attempt.flush()
            attempt.connection.send()
            raise error

        with pytest.raises(type(error)):
            store.run(Plan(writes=True, keys=[(0, b"failed")]), body, seconds=0.5)
        with pytest.raises(type(error)):
            store.run(Plan(keys=[(0, b"failed")]), lambda attempt: (_ for _ in ()).throw(error), seconds=0.5)

    fail(ZeroDivisionError())
    fail(StorageError("of no known kind", 9999))
    fail(NotApplied("given up"))
    with pytest.raises(StorageError) as syntax:
        store.write(lambda db: db.query("SELECT nonsense FROM"))
    assert syntax.value.number == 1064
    assert store.database.in_use == 0
    assert value(store, b"failed") is None
    assert store.check() == []


def test_unit_that_meets_conflicts_gives_up_at_its_deadline_and_leaves_nothing(store: Store) -> None:
    set_(store, b"k", b"1")
    with program(store) as other:
        lock(other, store, b"k")
        start = time.monotonic()
        with pytest.raises(NotApplied):
            store.write(lambda db: incr(db, b"k"), b"k", seconds=1.0)
        assert time.monotonic() - start < 8
        other.rollback()
    assert value(store, b"k") == b"1"
    assert store.database.in_use == 0


def test_duplicate_key_runs_the_unit_again_from_its_reads(store: Store) -> None:
    """Somebody else made the key after we looked: their value is read and counted on."""
    tries = []

    def body(db: Keyspace) -> int:
        tries.append(1)
        if len(tries) == 1:
            assert db.find(b"k") is None
            set_other()
        return incr(db, b"k")

    other = store.new_executor()

    def set_other() -> None:
        thread = threading.Thread(
            target=lambda: store.write(lambda db: strings.write(db, b"k", b"41"), b"k", executor=other)
        )
        thread.start()
        thread.join(10)

    assert store.write(body, b"k") == 42
    assert len(tries) == 2
    assert value(store, b"k") == b"42"


def test_absence_that_a_unit_depends_on_is_made_sure_of_at_its_end(store: Store) -> None:
    tries = []
    other = store.new_executor()

    def body(db: Keyspace) -> bytes | None:
        tries.append(1)
        row = db.find(b"watched")
        seen = None if row is None else strings.read(db, row)
        if len(tries) == 1:
            assert seen is None
            thread = threading.Thread(
                target=lambda: store.write(lambda k: strings.write(k, b"watched", b"new"), b"watched", executor=other)
            )
            thread.start()
            thread.join(10)
        strings.write(db, b"result", seen or b"none")
        return seen

    assert store.write(body, b"watched", b"result", hold=(b"watched",)) == b"new"
    assert value(store, b"result") == b"new"
    assert store.check() == []


def test_key_held_absent_can_not_be_made_before_the_commit(store: Store) -> None:
    """What was inserted and deleted again in one transaction keeps others out until its end."""
    with program(store) as other, other.cursor() as cursor:
        cursor.execute("INSERT INTO rowdis_key (space, digest, name, key_id, type, version, size) "
                       "VALUES (%s,%s,'k',0,0,0,0)", (store.space(), digest_of(b"k")))  # fmt: skip
        cursor.execute("DELETE FROM rowdis_key WHERE space=%s AND digest=%s", (store.space(), digest_of(b"k")))
        with pytest.raises(NotApplied):
            store.write(lambda db: incr(db, b"k"), b"k", seconds=0.5)
        other.rollback()
    assert store.write(lambda db: incr(db, b"k"), b"k") == 1


def test_expired_key_is_absent_and_its_elements_become_garbage(store: Store) -> None:
    def make(db: Keyspace) -> None:
        strings.write(db, b"k", LONG, db.now_ms + 1)

    store.write(make, b"k")
    wait_until(lambda: value(store, b"k") is None, 5, "it expires")
    assert store.write(lambda db: incr(db, b"k"), b"k") == 1
    store.reap()
    assert store.sql("SELECT COUNT(*) FROM rowdis_string_chunk") == ((0,),)
    assert store.check() == []


def test_numbers_are_never_given_out_twice(store: Store) -> None:
    numbers: list[int] = []

    def take() -> None:
        mine = []
        for _ in range(30):
            store.identifiers.refill()
            mine += [store.identifiers.next() for _ in range(400)]
        numbers.extend(mine)

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(numbers) == len(set(numbers)) == 4 * 30 * 400


# -- the pool


def test_session_that_is_slow_to_come_holds_nobody_up(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """One thread's connecting must not keep others from the sessions that there are, or from giving theirs back."""
    set_(store, b"k", b"1")
    go_on = threading.Event()
    connecting = threading.Event()
    connect = Connection.connect

    def slow(self: Connection, sock: object = None) -> None:
        connecting.set()
        assert go_on.wait(20)
        connect(self, sock)

    def occupy(done: threading.Event) -> None:
        with store.database.session() as connection:
            connection.fetch("SELECT 1")
            occupied.set()
            done.wait(20)

    done, occupied = threading.Event(), threading.Event()
    holders = [threading.Thread(target=occupy, args=(done,)) for _ in range(store.database.idle)]
    for holder in holders:
        occupied.clear()
        holder.start()
        assert occupied.wait(10)
    monkeypatch.setattr(Connection, "connect", slow)
    late = threading.Thread(target=lambda: value(store, b"k"))
    late.start()
    try:
        assert connecting.wait(10)
        done.set()
        for holder in holders:
            holder.join(5)
            assert not holder.is_alive(), "giving a session back waits for somebody's connecting"
        assert value(store, b"k") == b"1"
    finally:
        go_on.set()
        late.join(10)
    assert store.database.in_use == 0


def test_lost_session_is_told_with_its_number_and_not_used_again(store: Store) -> None:
    number = 0
    with pytest.raises(LostConnection) as lost, store.database.session() as connection:
        number = int(connection.fetch("SELECT CONNECTION_ID()")[0][0])
        connection.abort()
        connection.fetch("SELECT 1")
    assert lost.value.connection_id == number
    assert not lost.value.commit_sent
    with store.database.session() as connection:
        assert int(connection.fetch("SELECT CONNECTION_ID()")[0][0]) != number
    assert store.database.in_use == 0


def test_kill_ends_a_session_and_knows_when_there_is_none(store: Store) -> None:
    with program(store) as other:
        made_at = time.monotonic()
        assert store.database.kill(int(other.thread_id()), made_at)
        with pytest.raises(pymysql.MySQLError), other.cursor() as cursor:
            cursor.execute("SELECT 1")
        wait_until(lambda: store.database.kill(int(other.thread_id()), made_at), 10, "the session is gone")


def test_session_older_than_the_server_is_not_killed(store: Store) -> None:
    """After a restart of the database its number is somebody else's."""
    with program(store) as other, other.cursor() as cursor:
        assert store.database.kill(int(other.thread_id()), time.monotonic() - 10**7)
        cursor.execute("SELECT 1")


def test_errors_of_the_driver_get_their_meaning(store: Store) -> None:
    set_(store, b"k", b"1")
    insert = (
        "INSERT INTO rowdis_key (space, digest, name, key_id, type, version, size) VALUES (%s,%s,'k',0,1,1,1)"
    )
    place = (store.space(), digest_of(b"k"))
    with pytest.raises(Duplicate), store.database.session() as connection:
        connection.execute(insert, place)
    with program(store) as other:
        lock(other, store, b"k")
        with pytest.raises(Conflict), store.database.session() as connection, store.database.atomic():
            connection.execute("UPDATE rowdis_key SET size=1 WHERE space=%s AND digest=%s", place)
        other.rollback()
    assert store.database.in_use == 0


@pytest.mark.parametrize("patience", [Patience.BRIEF, Patience.NONE])
@pytest.mark.parametrize("blind", [False, True], ids=["read", "blind"])
def test_lock_that_is_not_given_is_passed_on_and_nothing_applied(
    store: Store, patience: Patience, blind: bool
) -> None:
    def write(attempt: Attempt) -> None:
        strings.write(Keyspace(attempt, 0), b"held", b"2")
        strings.write(Keyspace(attempt, 0), b"mate", b"2")

    names = [(0, b"held"), (0, b"mate")]
    plan = Plan(True, [] if blind else names, names if blind else [], patience=patience)
    store.run_blind(b"held", b"1")
    with program(store) as other:
        lock(other, store, b"held")
        start = time.monotonic()
        with pytest.raises(LockWait):
            store.run(plan, write)
        assert (time.monotonic() - start < 1) is (patience is Patience.NONE)
        assert value(store, b"held") == b"1"
        assert value(store, b"mate") is None
        with pytest.raises(NotApplied):
            store.run(plan, write, seconds=-1)
        other.rollback()
    store.run(plan, write)
    assert value(store, b"held") == value(store, b"mate") == b"2"
    assert store.check() == []
