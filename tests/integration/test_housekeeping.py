"""What happens in the background, step by step against real databases: sweeping, reaping, showing life."""

import threading

import pytest

from storage import reaper, schema, strings
from storage.database import Database
from storage.dialect import Limits
from storage.engines import Target
from storage.errors import SchemaError
from storage.keyspace import Keyspace
from storage.tables import Tables
from storage.unit import GARBAGE_SPACE
from tests.integration.conftest import DATABASES, Store
from tests.integration.test_units import lock, program

LONG = b"long value " * 10_000
DAY_MS = 24 * 3600 * 1000


def rows(store: Store, table: str) -> int:
    return int(store.sql(f"SELECT COUNT(*) FROM rowdis_{table}")[0][0])


def fill(store: Store, count: int, expire_in_ms: int | None = None, value: bytes = b"v", db: int = 0) -> None:
    def body(keyspace: Keyspace) -> None:
        for number in range(count):
            expire_at = None if expire_in_ms is None else keyspace.now_ms + expire_in_ms
            strings.write(keyspace, b"%d:%d" % (count, number), value, expire_at)

    store.write(body, db=db)


def expire(store: Store, pattern: str = "%") -> None:
    """Let the expiring keys whose names match be expired for a second."""
    store.sql(
        "UPDATE rowdis_key SET expire_at=%s WHERE expire_at IS NOT NULL AND name LIKE %s",
        store.clock.now_ms() - 1000, pattern,
    )  # fmt: skip


def sweep(store: Store) -> None:
    while store.housekeeper.sweep():
        pass


def test_sweeper_deletes_what_has_expired_and_nothing_else(store: Store) -> None:
    fill(store, 30)
    fill(store, 40, DAY_MS)
    fill(store, 1300, DAY_MS)
    fill(store, 3, DAY_MS, LONG, db=5)
    expire(store, "1300:%")
    expire(store, "3:%")
    sweep(store)
    assert rows(store, "key") == 70
    assert store.housekeeper.counters.expired == 1303
    store.reap()
    assert rows(store, "string_chunk") == 0
    assert store.check() == []


def test_sweeper_passes_over_what_others_hold_and_takes_it_later(store: Store) -> None:
    fill(store, 20, DAY_MS)
    expire(store)
    with program(store) as other:
        lock(other, store, b"20:7")
        sweep(store)
        assert rows(store, "key") == 1
        other.rollback()
    sweep(store)
    assert rows(store, "key") == 0


def test_key_that_was_given_more_time_is_not_swept(store: Store) -> None:
    """Between the look without a lock and the lock the key may be written again."""
    fill(store, 5, DAY_MS)
    expire(store)
    candidates = store.sql("SELECT COUNT(*) FROM rowdis_key WHERE expire_at<%s", store.clock.now_ms())
    assert candidates == ((5,),)
    with program(store) as other, other.cursor() as cursor:
        lock(other, store, b"5:1")
        cursor.execute("UPDATE rowdis_key SET expire_at=expire_at+%s WHERE name='5:1'", (DAY_MS,))
        sweep(store)
        other.commit()
    sweep(store)
    assert rows(store, "key") == 1


def test_sweepers_of_several_instances_do_not_meet(store: Store) -> None:
    fill(store, 2500, DAY_MS)
    expire(store)
    from storage.housekeeping import Housekeeper

    others = [
        Housekeeper(store.database, store.new_executor(), store.clock, store.instance, "test:2", 0.05) for _ in range(3)
    ]
    failures: list[BaseException] = []

    def work(housekeeper: Housekeeper) -> None:
        try:
            for _ in range(30):
                housekeeper.sweep()
                housekeeper.reap()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(housekeeper,)) for housekeeper in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures
    sweep(store)
    assert rows(store, "key") == 0
    assert sum(housekeeper.counters.expired for housekeeper in [*others, store.housekeeper]) == 2500
    assert store.check() == []


def test_reaper_deletes_the_chunks_of_deleted_values_in_steps(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reaper, "STEPS", 1)
    value = bytes(5 * 1024 * 1024)  # 80 chunks: more than one step takes
    store.write(lambda db: strings.write(db, b"k", value))
    store.write(lambda db: db.remove(db.find(b"k")), b"k")  # type: ignore[arg-type]
    assert rows(store, "string_chunk") == 80
    assert store.housekeeper.reap()
    assert 0 < rows(store, "string_chunk") < 80
    assert store.check() == []
    store.reap()
    assert rows(store, "string_chunk") == rows(store, "garbage") == 0


def test_reaper_deletes_flushed_databases_with_all_their_elements(store: Store) -> None:
    fill(store, 1200)
    fill(store, 3, None, LONG)
    fill(store, 4, None, LONG, db=2)
    store.run_blind(b"3:1", b"short")
    store.write(lambda db: db.attempt.replace_space(0))
    assert store.read(lambda db: db.find(b"3:1"), b"3:1") is None
    assert store.check() == []
    store.reap()
    assert rows(store, "key") == 4
    assert int(store.sql("SELECT COUNT(DISTINCT key_id) FROM rowdis_string_chunk")[0][0]) == 4
    assert rows(store, "garbage") == 0
    assert store.check() == []


def test_reaper_leaves_a_flushed_database_on_the_list_while_somebody_holds_a_row_of_it(store: Store) -> None:
    fill(store, 10)
    space = store.space()
    with program(store) as other:
        lock(other, store, b"10:3")
        store.write(lambda db: db.attempt.replace_space(0))
        for _ in range(3):
            store.housekeeper.reap()
        assert store.sql("SELECT kind, id FROM rowdis_garbage") == ((GARBAGE_SPACE, space),)
        assert rows(store, "key") == 1
        other.rollback()
    store.reap()
    assert rows(store, "key") == rows(store, "garbage") == 0


def test_instance_shows_itself_and_signs_off(store: Store) -> None:
    store.run_blind(b"k", b"1")
    store.housekeeper._show_life()
    assert rows(store, "instance") == 1
    assert rows(store, "worker") >= 1
    store.close()
    with Store(store.target) as again:
        assert again.sql("SELECT COUNT(*) FROM rowdis_instance WHERE instance=%s", store.instance) == ((0,),)
        assert again.sql("SELECT COUNT(*) FROM rowdis_worker WHERE instance=%s", store.instance) == ((0,),)
        assert again.sql("SELECT COUNT(*) FROM rowdis_marker") == ((0,),)
        again.empty()


def test_what_instances_long_gone_left_behind_is_cleared_away(store: Store) -> None:
    store.sql("INSERT INTO rowdis_instance (instance, address, started_at, seen_at) VALUES (7,'gone:1',0,1000)")
    store.sql("INSERT INTO rowdis_worker (incarnation, instance, epoch) VALUES (8,7,1),(9,7,1)")
    store.sql("INSERT INTO rowdis_marker (incarnation, unit, attempt) VALUES (8,1,1),(8,2,1),(9,5,1)")
    store.housekeeper._show_life()
    assert store.sql("SELECT COUNT(*) FROM rowdis_instance WHERE instance=7") == ((0,),)
    assert store.sql("SELECT COUNT(*) FROM rowdis_worker WHERE instance=7") == ((0,),)
    assert store.sql("SELECT COUNT(*) FROM rowdis_marker WHERE incarnation IN (8,9)") == ((0,),)
    assert store.check() == []


# -- the map of databases


def test_map_that_changed_elsewhere_is_noticed_by_writers_and_readers(store: Store) -> None:
    other = store.new_executor()
    fill(store, 3)
    store.write(lambda db: strings.write(db, b"k", b"one"), b"k", db=1, executor=other)
    store.write(lambda db: db.attempt.swap_spaces(0, 1))
    assert store.read(lambda db: db.find(b"k") is not None, b"k", executor=other)
    store.write(lambda db: db.attempt.replace_space(0))
    assert store.read(lambda db: db.find(b"k"), b"k", executor=other) is None
    store.write(lambda db: db.attempt.swap_spaces(0, 1), executor=other)
    assert store.write(lambda db: db.find(b"3:1") is not None, b"3:1")
    assert store.check() == []


def test_unit_sees_its_own_change_of_the_map(store: Store) -> None:
    fill(store, 1)

    def body(db: Keyspace) -> bool:
        attempt = db.attempt
        attempt.replace_space(0)
        fresh = Keyspace(attempt, 0)
        assert fresh.find(b"1:0") is None
        strings.write(fresh, b"1:0", b"new")
        attempt.swap_spaces(0, 4)
        return Keyspace(attempt, 0).find(b"1:0") is None

    assert store.write(body, b"1:0")
    assert store.read(lambda db: strings.read(db, db.find(b"1:0")), b"1:0", db=4) == b"new"  # type: ignore[arg-type]
    store.reap()
    assert store.check() == []


# -- the schema


def test_migration_may_run_twice_and_at_once(store: Store) -> None:
    failures: list[BaseException] = []
    tables = Tables("twice_")

    def migrate() -> None:
        try:
            schema.migrate(databases[threading.current_thread().name], DATABASES)
        except BaseException as error:
            failures.append(error)

    limits = Limits(statement_ms=30_000, lock_wait_ms=5000)
    databases = {str(n): Database(store.target, size=2, limits=limits, tables=tables) for n in range(4)}
    threads = [threading.Thread(target=migrate, name=name) for name in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    try:
        assert not failures
        assert schema.version(databases["0"]) == schema.VERSION
        with Store(store.target, prefix="twice_") as other:
            other.write(lambda db: strings.write(db, b"k", b"v"))
            assert other.check() == []
        assert store.read(lambda db: db.find(b"k"), b"k") is None
    finally:
        drop(store.target, "twice_")
        for database in databases.values():
            database.close_all()


def test_tables_of_a_newer_program_are_refused(store: Store) -> None:
    store.sql("UPDATE rowdis_meta SET number=%s WHERE name='schema_version'", schema.VERSION + 1)
    try:
        with pytest.raises(SchemaError, match="newer"):
            schema.migrate(store.database, DATABASES)
    finally:
        store.sql("UPDATE rowdis_meta SET number=%s WHERE name='schema_version'", schema.VERSION)


def drop(target: Target, prefix: str) -> None:
    """Drop all tables and views of a prefix."""
    database = Database(target, size=1, limits=Limits(statement_ms=60_000, lock_wait_ms=5000))
    with database.session() as connection:
        for name, kind in connection.fetch(
            "SELECT table_name, table_type FROM information_schema.tables WHERE table_schema=DATABASE()"
        ):
            if name.decode().startswith(prefix):
                connection.fetch(f"DROP {'VIEW' if b'VIEW' in kind else 'TABLE'} {name.decode()}")
    database.close_all()
