"""`rowdis check` on tables that are damaged on purpose: it finds each kind of damage, repairs what can be, and is quiet
afterwards; and it never complains of tables in use.
"""

import threading
import time
from collections.abc import Callable
from typing import NamedTuple

import pytest

from storage import strings
from storage.check import MAX_TOLD
from storage.errors import SchemaError
from storage.key_rows import digest_of
from storage.keyspace import Keyspace
from storage.strings import CHUNK
from storage.unit import GARBAGE_KEY, GARBAGE_SPACE
from tests.integration.conftest import Store

SHORT = b"value"
LONG = bytes(range(256)) * 1000  # 256,000 bytes: four chunks, the last one short


@pytest.fixture(autouse=True)
def no_instance_is_coming_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.check.SETTLE_S", 0.05)


def fill(store: Store) -> None:
    """Keys of all kinds, garbage and orphans: a database as it is found in use."""

    def write(db: Keyspace) -> None:
        strings.write(db, b"short", SHORT)
        strings.write(db, b"empty", b"")
        strings.write(db, b"long", LONG)
        strings.write(db, b"expiring", LONG, db.now_ms + 3_600_000)
        row = strings.write(db, b"sparse", b"x")
        strings.write_range(db, row, 10 * CHUNK + 5, b"y")
        strings.write(db, bytes(range(256)) * 40, b"a name of any bytes")
        strings.write(db, b"overwritten", LONG)

    store.write(write)
    store.write(lambda db: strings.write(db, b"other database", LONG), db=3)
    store.write(lambda db: db.remove(db.find(b"overwritten")), b"overwritten")  # type: ignore[arg-type]
    store.run_blind(b"sparse2", b"z")


def place(store: Store, name: bytes = b"long") -> tuple[int, bytes]:
    return store.space(), digest_of(name)


def key_id(store: Store, name: bytes = b"long") -> int:
    return int(store.sql("SELECT key_id FROM rowdis_key WHERE space=%s AND digest=%s", *place(store, name))[0][0])


def update(assignment: str, name: bytes = b"short") -> Callable[[Store], None]:
    """Damage to the row of a key."""

    def damage(store: Store) -> None:
        store.sql(f"UPDATE rowdis_key SET {assignment} WHERE space=%s AND digest=%s", *place(store, name))

    return damage


def on_chunks(statement: str) -> Callable[[Store], None]:
    """Damage to the chunks of the long value; `%s` is its key_id."""

    def damage(store: Store) -> None:
        store.sql(statement, key_id(store))

    return damage


def run(*statements: str) -> Callable[[Store], None]:
    def damage(store: Store) -> None:
        for statement in statements:
            store.sql(statement)

    return damage


def garbage_of_a_living_key(store: Store) -> None:
    store.sql("INSERT INTO rowdis_garbage (kind, id, since) VALUES (%s,%s,0)", GARBAGE_KEY, key_id(store))


def garbage_of_a_space_in_use(store: Store) -> None:
    store.sql("INSERT INTO rowdis_garbage (kind, id, since) VALUES (%s,%s,0)", GARBAGE_SPACE, store.space())


def orphan_that_is_garbage(store: Store) -> None:
    update("orphan=777")(store)
    store.sql("INSERT INTO rowdis_garbage (kind, id, since) VALUES (%s,777,0)", GARBAGE_KEY)


def row_at_a_wrong_digest_beside_the_right_one(store: Store) -> None:
    store.sql(
        "INSERT INTO rowdis_key (space, digest, name, key_id, type, version, size, value) "
        "VALUES (%s,%s,%s,0,1,5,1,'x')",
        store.space(), b"\x01" * 16, b"short",
    )  # fmt: skip


def number_beyond_the_sequence(store: Store) -> None:
    store.sql("UPDATE rowdis_key SET version=%s WHERE space=%s AND digest=%s", 10**15, *place(store, b"short"))


class Damage(NamedTuple):
    name: str
    make: Callable[[Store], None]
    says: str
    repaired: bool = True


DAMAGES = [
    Damage("inline size", update("size=3"), "key b'short': the size is 3, and the value has 5 bytes"),
    Damage("inline value missing", update("value=NULL"), "the value is missing", False),
    Damage("negative size", update("size=-1"), "the size is -1", False),
    Damage("value beside chunks", update("value='rest'", b"long"), "4 bytes in the row although the value is in"),
    Damage("size of chunks too small", update("size=140000", b"long"), "is 140000, and the chunks up to there end at 1",
           False),
    Damage("size of chunks too large", update("size=300000", b"long"), "the chunks up to there end at 0", False),
    Damage("last chunk lost", on_chunks("DELETE FROM rowdis_string_chunk WHERE key_id=%s AND n=3"), "end at 0", False),
    Damage("last chunk too long", on_chunks("UPDATE rowdis_string_chunk SET data=CONCAT(data,'x') "
                                            "WHERE key_id=%s AND n=3"), "there end at 256001", False),
    Damage("last chunk too short", on_chunks("UPDATE rowdis_string_chunk SET data='x' WHERE key_id=%s AND n=3"),
           "there end at 196609", False),
    Damage("chunk behind the end", on_chunks("INSERT INTO rowdis_string_chunk (key_id, n, data) VALUES (%s,4,'x')"),
           "chunk 4 is outside of the size of 256000"),
    Damage("negative chunk", on_chunks("INSERT INTO rowdis_string_chunk (key_id, n, data) VALUES (%s,-2,'x')"),
           "chunk -2 is outside of the size of 256000"),
    Damage("chunk too long", on_chunks(f"UPDATE rowdis_string_chunk SET data=REPEAT('x',{CHUNK + 9}) "
                                       "WHERE key_id=%s AND n=1"), f"chunk 1 has {CHUNK + 9} bytes"),
    Damage("wrong digest", update(f"digest=X'{'01' * 16}'"), "nobody looks for the name"),
    Damage("wrong digest beside the right one", row_at_a_wrong_digest_beside_the_right_one, "nobody looks", False),
    Damage("unknown type", update("type=77"), "the type 77 is unknown", False),
    Damage("empty collection", update("type=2, size=0, value=NULL"), "it is empty", False),
    Damage("placeholder", update("type=0, value=NULL, size=0, version=0"), "holds the place of a key"),
    Damage("version 0", update("version=0"), "WATCH takes for an absent key", False),
    Damage("lost space", run("UPDATE rowdis_space SET space=999 WHERE db=3"), "no database number stands for", False),
    Damage("space shared by two numbers", run("UPDATE rowdis_space SET space=5 WHERE db=9"), "the same space 5", False),
    Damage("elements without a key", run("INSERT INTO rowdis_string_chunk (key_id, n, data) VALUES (4242,0,'x')"),
           "elements of id 4242 belong to no key"),
    Damage("key lost, elements left", update("key_id=0, value='', size=0", b"long"), "belong to no key"),
    Damage("garbage of a living key", garbage_of_a_living_key, "live data is about to be deleted"),
    Damage("garbage of a space in use", garbage_of_a_space_in_use, "of db 0 is in use and about to be deleted"),
    Damage("garbage of no kind", run("INSERT INTO rowdis_garbage (kind, id, since) VALUES (9,1,0)"), "kind 9", False),
    Damage("orphan that is garbage", orphan_that_is_garbage, "the orphan of a key too"),
    Damage("marker without a worker", run("INSERT INTO rowdis_marker (incarnation, unit, attempt) VALUES (77,1,1)"),
           "the markers of incarnation 77 have no worker"),
    Damage("worker of nobody", run("INSERT INTO rowdis_worker (incarnation, instance, epoch) VALUES (77,76,1)",
                                   "INSERT INTO rowdis_marker (incarnation, unit, attempt) VALUES (77,1,1)"),
           "worker 77 belongs to instance 76, which is gone"),
    Damage("script of another name", run("INSERT INTO rowdis_script (sha, body) VALUES (REPEAT('x',20),'return 1')"),
           "the script 7878787878787878787878787878787878787878 is not the one of this SHA-1"),
    Damage("number beyond the sequence", number_beyond_the_sequence, f"has the number {10**15}"),
]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.name.replace(" ", "_"))
def test_damage_is_found_and_repaired_where_nothing_must_be_guessed(store: Store, damage: Damage) -> None:
    fill(store)
    assert store.check() == []
    damage.make(store)
    found = store.check()
    assert damage.says in "\n".join(map(str, found))
    assert len(found) <= 2
    assert not any(finding.repaired for finding in found)
    assert [finding.text for finding in store.check()] == [finding.text for finding in found], "looking changes nothing"
    repaired = store.check(repair=True)
    assert [finding.text for finding in repaired] == [finding.text for finding in found]
    assert all(finding.repaired for finding in repaired) is damage.repaired
    left = store.check()
    assert (left == []) is damage.repaired, [str(finding) for finding in left]
    store.reap()
    assert (store.check() == []) is damage.repaired
    if damage.name == "number beyond the sequence":
        store.sql("UPDATE rowdis_sequence SET next=100000000 WHERE name='id'")


def test_repairs_leave_what_clients_read(store: Store) -> None:
    fill(store)
    update("size=3")(store)
    update("value='rest'", b"long")(store)
    on_chunks("INSERT INTO rowdis_string_chunk (key_id, n, data) VALUES (%s,9,'x')")(store)
    garbage_of_a_living_key(store)
    assert all(finding.repaired for finding in store.check(repair=True))
    store.reap()
    assert store.read(lambda db: strings.read(db, db.find(b"short")), b"short") == SHORT  # type: ignore[arg-type]
    assert store.read(lambda db: strings.read(db, db.find(b"long")), b"long") == LONG  # type: ignore[arg-type]
    assert store.check() == []


def test_shared_elements_are_found(store: Store) -> None:
    fill(store)
    store.sql(
        "UPDATE rowdis_key SET key_id=%s, value=NULL, size=%s WHERE space=%s AND digest=%s",
        key_id(store), len(LONG), *place(store, b"short"),
    )  # fmt: skip
    assert [str(finding) for finding in store.check(repair=True)] == [
        f"the elements of id {key_id(store)} belong to 2 keys"
    ]


def test_expired_keys_that_nobody_sweeps_are_told_only_while_a_sweeper_lives(store: Store) -> None:
    fill(store)
    now = int(store.clock.now_ms())
    store.sql("UPDATE rowdis_key SET expire_at=%s WHERE space=%s AND digest=%s", now - 120_000, *place(store, b"short"))
    assert store.check() == []
    store.sql("UPDATE rowdis_instance SET started_at=%s, seen_at=%s", now - 600_000, now)
    assert "it expired 12" in str(store.check(repair=True)[0])
    while store.housekeeper.sweep():
        pass
    assert store.check() == []


def test_many_findings_of_one_kind_are_counted(store: Store) -> None:
    def write(db: Keyspace) -> None:
        for number in range(MAX_TOLD + 50):
            strings.write(db, b"k%d" % number, b"v")

    store.write(write)
    store.sql("UPDATE rowdis_key SET type=99")
    found = [str(finding) for finding in store.check()]
    assert len(found) == MAX_TOLD + 1
    assert found[-1] == "and 50 more: types"


def test_database_without_tables_or_with_newer_ones_is_refused(store: Store) -> None:
    store.sql("UPDATE rowdis_meta SET number=999 WHERE name='schema_version'")
    try:
        with pytest.raises(SchemaError, match="schema version 999"):
            store.check()
        store.sql("UPDATE rowdis_meta SET number=0 WHERE name='schema_version'")
        with pytest.raises(SchemaError, match="no tables of Rowdis"):
            store.check()
    finally:
        store.sql("UPDATE rowdis_meta SET number=1 WHERE name='schema_version'")


def test_check_beside_writers_never_complains(store: Store) -> None:
    """Units create, grow, overwrite blindly, rename and delete long values while all is verified and repaired."""
    fill(store)
    stop = threading.Event()
    failures: list[BaseException] = []

    def work(number: int) -> None:
        executor = store.new_executor()
        names = [b"w%d:%d" % (number, n) for n in range(4)]
        turn = 0
        try:
            while not stop.is_set():
                turn += 1
                name, other = names[turn % 4], names[(turn + 1) % 4]

                def body(db: Keyspace, turn: int = turn, name: bytes = name, other: bytes = other) -> None:
                    row = db.find(name)
                    if row is None or turn % 5 == 0:
                        strings.write(db, name, LONG[: turn * 1000 % len(LONG)])
                    elif turn % 5 == 1:
                        strings.write_range(db, row, row.size, b"more" * 5000)
                    elif turn % 5 == 2:
                        db.attempt.move_contents(row, db.space, other)
                    elif turn % 5 == 3:
                        db.remove(row)

                store.write(body, name, other, executor=executor)
                store.run_blind(name, b"short", executor=executor)
        except BaseException as error:
            failures.append(error)

    def sweep() -> None:
        while not stop.is_set():
            store.housekeeper.reap()
            store.housekeeper._look_for_orphans()

    threads = [threading.Thread(target=work, args=(n,)) for n in range(2)] + [threading.Thread(target=sweep)]
    for thread in threads:
        thread.start()
    try:
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline:
            assert [str(finding) for finding in store.check(repair=True)] == []
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)
    assert not failures
    assert store.check() == []
