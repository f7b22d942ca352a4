"""`rowdis check` on collections that are damaged on purpose, as in test_check.py."""

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import pytest

from storage import hashes, keys, lists, sets, streams, zsets
from storage.hashes import HashState
from storage.key_rows import State, digest_of
from storage.keyspace import Keyspace
from storage.list_state import STRIDE, ListState
from storage.sets import SetState
from storage.stream_entries import entries_of
from storage.streams import StreamState
from storage.zset_order import ZsetState
from tests.integration.collections import NAMES, contents, fill
from tests.integration.conftest import Store

#: Elements of the larger collections.
MANY = 150


def key_id(store: Store, name: bytes) -> int:
    row = store.sql("SELECT key_id FROM rowdis_key WHERE space=%s AND digest=%s", store.space(), digest_of(name))
    return int(row[0][0])


def on_key(name: bytes, assignment: str) -> Callable[[Store], None]:
    def damage(store: Store) -> None:
        store.sql(f"UPDATE rowdis_key SET {assignment} WHERE space=%s AND digest=%s", store.space(), digest_of(name))

    return damage


def on_state(name: bytes, kind: type[State], **changes: object) -> Callable[[Store], None]:
    """Change what the row of a key notes."""

    def damage(store: Store) -> None:
        place = store.space(), digest_of(name)
        ((value,),) = store.sql("SELECT value FROM rowdis_key WHERE space=%s AND digest=%s", *place)
        state = kind.unpack(value)  # type: ignore[attr-defined]
        for field, content in changes.items():
            setattr(state, field, content)
        store.sql("UPDATE rowdis_key SET value=%s WHERE space=%s AND digest=%s", state.pack(), *place)

    return damage


def on_elements(name: bytes, statement: str) -> Callable[[Store], None]:
    """`%s` is the key_id."""

    def damage(store: Store) -> None:
        store.sql(statement, *[key_id(store, name)] * statement.count("%s"))

    return damage


def on_group(statement: str) -> Callable[[Store], None]:
    """`%s` is the id of a group of the stream."""

    def damage(store: Store) -> None:
        ((group_id,),) = store.sql(
            "SELECT group_id FROM rowdis_stream_group WHERE key_id=%s AND digest=%s",
            key_id(store, b"grouped stream"), digest_of(b"group"),
        )  # fmt: skip
        store.sql(statement, group_id)

    return damage


class Damage(NamedTuple):
    name: str
    make: Callable[[Store], None]
    says: str
    repaired: bool = True


_LOSE_SCORES = "DELETE FROM rowdis_zset_member WHERE key_id=%s AND head='7'"
_LOSE_ITEM = f"DELETE FROM rowdis_list_item WHERE key_id=%s AND position={5 * STRIDE}"

DAMAGES = [
    Damage("size of a hash", on_key(b"hash", "size=7"), "key b'hash': the size is 7, and there are 3 elements"),
    Damage("size of a large hash", on_key(b"long hash", "size=1"), f"and there are {MANY} elements"),
    Damage("size of a set", on_key(b"long set", "size=9"), f"the size is 9, and there are {MANY} elements"),
    Damage("members of a set lost", on_elements(b"numbers", "DELETE FROM rowdis_set_member WHERE key_id=%s "
                                                "AND member='3'"), "the size is 9, and there are 8 elements"),
    Damage("state of a set", on_key(b"set", "value='?'"), "can not be read", False),
    Damage("numbers of members", on_state(b"long set", SetState, next_n=4), f"an element has the number {MANY}"),
    Damage("numbers of fields", on_state(b"expiring hash", HashState, next_n=4), "and the next one would get 4"),
    Damage("size of a zset", on_key(b"zset", "size=4"), "the size is 4, and there are 5 elements"),
    Damage("size of a stream", on_key(b"stream", "size=0"), f"the size is 0, and there are {MANY} elements"),
    Damage("size of an empty stream", on_key(b"empty stream", "size=2"), "the size is 2, and there are 0 elements"),
    Damage("size of a list", on_key(b"long list", "size=3"), f"the size is 3, and there are {MANY} elements"),
    Damage("lost members", on_elements(b"long zset", _LOSE_SCORES), f"and there are {MANY - 1} elements"),
    Damage("all elements lost", on_elements(b"long zset", "DELETE FROM rowdis_zset_member WHERE key_id=%s"),
           "there are 0 elements", False),
    Damage("collection without an id", on_key(b"long zset", "key_id=0"), "no id for its elements", False),
    Damage("state cut off", on_key(b"long list", "value=LEFT(value,9)"), "can not be read", False),
    Damage("state missing", on_key(b"long hash", "value=NULL"), "can not be read", False),
    Damage("state of a stream cut off", on_key(b"stream", "value='abc'"), "can not be read", False),
    Damage("item of a list lost", on_elements(b"long list", _LOSE_ITEM), "the row says without gaps from"),
    Damage("head of a list", on_state(b"list", ListState, head=STRIDE), f"items lie from 0 to {4 * STRIDE}"),
    Damage("tail of a list", on_state(b"long list", ListState, tail=9 * STRIDE), "the row says without gaps from 0 up"),
    Damage("position of a list", on_elements(b"long list", "UPDATE rowdis_list_item SET position=position+1 "
                                             f"WHERE key_id=%s AND position={7 * STRIDE}"), "says without gaps"),
    Damage("tail of a list with gaps", on_state(b"list", ListState, dense=False, tail=2 * STRIDE),
           f"the row says from 0 up to {2 * STRIDE}"),
    Damage("list says that nothing is long", on_state(b"list", ListState, long=False), "no item is long, and one is"),
    Damage("low bound of a zset", on_state(b"zset", ZsetState, low=(5, b"")), "lie outside of the bounds"),
    Damage("high bound of a zset", on_state(b"long zset", ZsetState, high=(0, b"")), "lie outside of the bounds"),
    Damage("low bound with a member", on_state(b"zset", ZsetState, low=(-9218868437227405313, b"m")),
           "1 members lie outside of the bounds"),
    Damage("zset says that nothing is long", on_state(b"zset", ZsetState, chunked=False), "no member is long"),
    Damage("expiring field not noted", on_elements(b"expiring hash", "DELETE FROM rowdis_field_expiry WHERE key_id=%s "
                                                   "ORDER BY expire_at LIMIT 3"), "3 fields expire and are not noted"),
    Damage("field expires later", on_elements(
        b"expiring hash", "UPDATE rowdis_hash_field SET expire_at=NULL WHERE key_id=%s AND field='4'"
    ), "1 fields are noted as expiring and do not"),
    Damage("nothing expires by the row", on_state(b"expiring hash", HashState, earliest=0), "and the row says 0"),
    Damage("first expiry is late", on_state(b"expiring hash", HashState, earliest=9 * 10**15), "and the row says 9000"),
    Damage("sweeper knows no expiry", on_elements(b"expiring hash", "DELETE FROM rowdis_hash_expiry WHERE key_id=%s"),
           "the sweeper does not know"),
    Damage("sweeper comes too late", on_elements(
        b"expiring hash", "UPDATE rowdis_hash_expiry SET expire_at=expire_at+9999999 WHERE key_id=%s"
    ), "the sweeper does not know"),
    Damage("noted expiries of a plain hash", on_elements(
        b"hash", "INSERT INTO rowdis_field_expiry (key_id, expire_at, digest) VALUES (%s,5,'x')"
    ), "1 fields are noted as expiring and do not"),
    Damage("first entry", on_state(b"stream", StreamState, first=(7, 1)), "the first entry is 0-1, and the row says 7"),
    Damage("first entry lost", on_elements(b"grouped stream", "DELETE FROM rowdis_stream_entry WHERE key_id=%s "
                                           "AND ms=1"), "the first entry is 2-0, and the row says 1-0"),
    Damage("last entry", on_state(b"grouped stream", StreamState, last=(9, 9)), "the last entry is 10-0"),
    Damage("pending entries counted wrongly", on_group("UPDATE rowdis_stream_group SET pending=99 WHERE group_id=%s"),
           "group b'group' counts 99 pending entries, and there are 6"),
    Damage("pending entry lost", on_group("DELETE FROM rowdis_stream_pending WHERE key_id=%s AND ms=3"),
           "group b'group' counts 6 pending entries, and there are 5"),
    Damage("pending entries ahead", on_group("UPDATE rowdis_stream_group SET last_ms=3 WHERE group_id=%s"),
           "behind the last one that it was given"),
    Damage("consumer lost", on_group("DELETE FROM rowdis_stream_consumer WHERE key_id=%s AND name='one'"),
           "pending entries of 1 consumers that it lacks", False),
]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.name.replace(" ", "_"))
def test_damage_is_found_and_repaired_where_nothing_must_be_guessed(store: Store, damage: Damage) -> None:
    fill(store, many=MANY)
    damage.make(store)
    found = store.check()
    assert damage.says in "\n".join(map(str, found))
    assert len(found) <= 2
    assert not any(finding.repaired for finding in found)
    assert [finding.text for finding in store.check()] == [finding.text for finding in found], "looking changes nothing"
    repaired = store.check(repair=True)
    assert [finding.text for finding in repaired] == [finding.text for finding in found]
    if damage.repaired:
        assert all(finding.repaired for finding in repaired)
        assert [str(finding) for finding in store.check()] == []
    else:
        assert not all(finding.repaired for finding in repaired)
        assert store.check() != []


def test_collections_in_order_are_not_complained_of_and_not_changed(store: Store) -> None:
    fill(store, many=MANY)
    before = {name: contents(store, name) for name in NAMES}
    assert [str(finding) for finding in store.check(repair=True)] == []
    assert {name: contents(store, name) for name in NAMES} == before


def test_stores_work_with_what_was_repaired(store: Store) -> None:
    fill(store, many=MANY)
    on_elements(b"long list", _LOSE_ITEM)(store)
    on_state(b"long zset", ZsetState, low=(5, b""), high=(6, b""))(store)
    on_key(b"long hash", "size=5")(store)
    assert len(store.check(repair=True)) == 4

    def look(db: Keyspace) -> None:
        row = db.find(b"long list")
        assert row is not None
        values = [b"%d" % n for n in range(MANY) if n != 5]
        assert list(lists.read(db, row, 0, row.size - 1)) == values
        lists.push(db, row, [b"new"], False)
        lists.push(db, row, [b"first"], True)
        assert list(lists.read(db, row, 0, row.size - 1)) == [b"first", *values, b"new"]
        row = db.find(b"long zset")
        assert row is not None
        assert len(zsets.of(db).ranks(row, 0, row.size)) == MANY
        row = db.find(b"long hash")
        assert row is not None
        assert len(hashes.every(db, row)) == row.size == MANY

    store.write(look, b"long list", b"long zset", b"long hash")
    assert [str(finding) for finding in store.check()] == []


def test_check_beside_writers_never_complains(store: Store) -> None:
    """Units change, copy and delete collections of every type while all is verified and repaired."""
    stop = threading.Event()
    failures: list[BaseException] = []

    def work(number: int) -> None:
        executor = store.new_executor()
        names = [b"%d:%s" % (number, kind) for kind in (b"list", b"set", b"zset", b"hash", b"stream", b"copy")]
        turn = 0
        try:
            while not stop.is_set():
                turn += 1
                store.write(partial(_change, names, turn), *names, executor=executor)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(2)]
    for thread in threads:
        thread.start()
    try:
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline:
            assert [str(finding) for finding in store.check(repair=True)] == []
            store.housekeeper.reap()
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)
    assert not failures
    assert store.check() == []


def _change(names: list[bytes], turn: int, db: Keyspace) -> None:
    """Something else each turn, to one of five collections; now and then it is copied, or deleted."""
    kind = turn % 5
    name, copy = names[kind], names[5]
    row = db.find(name)
    if row is not None and turn % 13 == 0:
        keys.copy(db, row, db, copy)
        return
    if row is not None and turn % 17 == 0:
        db.remove(row)
        return
    words = [b"%d" % (turn * n % 97) for n in range(1, 6)]
    if kind == 0:
        row = row or lists.make(db, name)
        lists.push(db, row, words, bool(turn % 2))
        lists.pop(db, row, 1 + turn % 4, bool(turn % 3))
    elif kind == 1:
        row = row or sets.create(db, name, words[0], len(words))
        sets.add_many(db, row, words)
        sets.remove_many(db, row, words[:2])
    elif kind == 2:
        row = row or zsets.create(db, name)
        for word in words:
            zsets.of(db).put(row, word, float(word))
        zsets.of(db).remove(row, words[0])
        zsets.of(db).changed(row)
    elif kind == 3:
        row = row or hashes.create(db, name)
        hashes.set_many(db, row, [(word, word) for word in words])
        field = hashes.get(db, row, words[1])
        assert field is not None
        hashes.expire(db, row, field, db.now_ms + 3_600_000 + turn)
        hashes.remove_many(db, row, words[2:4])
    else:
        row = row or streams.create(db, name)
        entries = entries_of(db.attempt)
        last = streams.state_of(row).last
        entries.append(row, (last[0] + 1, 0), words[:2])
        entries.trim_to_size(row, 20)
        db.touch(row)
