"""The views through which people look at the tables with SQL."""

import math
import random
import struct
from datetime import datetime, timedelta

from storage import hashes, zsets
from storage.keyspace import Keyspace
from tests.integration.collections import LONG, fill
from tests.integration.conftest import Store

#: What of a long element's first field is in its first chunk.
BEGINNING = LONG[: 64 * 1024 - 8]


def test_every_type_is_shown_and_expired_keys_are_not(store: Store) -> None:
    fill(store, many=20)
    store.sql("UPDATE rowdis_key SET expire_at=NULL")
    assert store.sql("SELECT db, name, value FROM rowdis_v_list WHERE name='list' ORDER BY position") == tuple(
        (0, b"list", value) for value in (b"a", b"", b"a", BEGINNING, LONG[1:][: len(BEGINNING)])
    )
    assert store.sql("SELECT member FROM rowdis_v_set WHERE name='set' ORDER BY member") == (
        (b"",), (BEGINNING,), (LONG[1:][: len(BEGINNING)],), (b"a",)
    )  # fmt: skip
    assert store.sql("SELECT field, value FROM rowdis_v_hash WHERE name='hash' ORDER BY field") == (
        (BEGINNING, None), (b"a", b"1"), (b"long value", None)
    )  # fmt: skip
    assert store.sql("SELECT member, score, infinity FROM rowdis_v_zset WHERE name='zset' ORDER BY member") == (
        (BEGINNING, 2.0, None), (b"a", 1.0, None), (b"high", None, b"inf"), (b"low", None, b"-inf"),
        (b"minus", -0.5, None),
    )  # fmt: skip
    assert store.sql("SELECT id, fields FROM rowdis_v_stream WHERE name='grouped stream' AND ms<3 ORDER BY ms") == (
        (b"1-0", b"5:field,1:1,"), (b"2-0", b"5:field,1:2,")
    )  # fmt: skip
    assert store.sql("SELECT group_name, last_id, pending FROM rowdis_v_stream_group ORDER BY group_name LIMIT 1") == (
        (None, b"6-0", 6),
    )
    assert store.sql(
        "SELECT id, deliveries, consumer FROM rowdis_v_stream_pending WHERE group_name='group' ORDER BY id LIMIT 2"
    ) == ((b"1-0", 1, b"one"), (b"2-0", 1, b"two"))  # fmt: skip
    views = ("list", "set", "hash", "zset", "stream", "stream_group", "stream_pending", "key", "string")
    assert all(store.sql(f"SELECT COUNT(*) FROM rowdis_v_{view}")[0][0] for view in views)
    store.sql("UPDATE rowdis_key SET expire_at=5")
    assert not any(store.sql(f"SELECT COUNT(*) FROM rowdis_v_{view}")[0][0] for view in views)


def test_expired_fields_are_not_shown(store: Store) -> None:
    def write(db: Keyspace) -> None:
        row = hashes.create(db, b"h")
        hashes.set_many(db, row, [(b"stays", b"1"), (b"goes", b"2"), (b"gone", b"3")])
        for name, moment in ((b"goes", db.now_ms + 3_600_000), (b"gone", db.now_ms + 3_600_000)):
            field = hashes.get(db, row, name)
            assert field is not None
            hashes.expire(db, row, field, moment)

    store.write(write)
    store.sql("UPDATE rowdis_hash_field SET expire_at=5 WHERE field='gone'")
    rows = store.sql("SELECT field, value, CAST(expires AS CHAR) FROM rowdis_v_hash ORDER BY field")
    assert [row[:2] for row in rows] == [(b"goes", b"2"), (b"stays", b"1")]
    assert rows[1][2] is None
    shown = datetime.fromisoformat(rows[0][2].decode()[:19])
    ((now,),) = store.sql("SELECT CAST(NOW() AS CHAR)")
    assert abs(shown - datetime.fromisoformat(now.decode()) - timedelta(hours=1)) < timedelta(minutes=1)


def scores(chance: random.Random) -> list[float]:
    """Doubles of any size, and those at which something changes."""
    found = [
        0.0, 1.0, -1.0, 0.1, -0.1, 5e-324, -5e-324, 2.2250738585072014e-308, 2.225073858507201e-308,
        -2.2250738585072014e-308, 1.7976931348623157e308, -1.7976931348623157e308, 2.0**53, 2.0**53 - 1, 2.0**53 + 2,
        1e22, 1e23, -1e-300, 2.0**62, -(2.0**63), math.pi,
    ]  # fmt: skip
    while len(found) < 500:
        (number,) = struct.unpack(">d", chance.randbytes(8))
        if math.isfinite(number) and number not in found:
            found.append(number)
    return found


def test_scores_are_shown_exactly(store: Store, rng: random.Random) -> None:
    wanted = {b"%d" % place: score for place, score in enumerate(scores(rng))}

    def write(db: Keyspace) -> None:
        row = zsets.create(db, b"z")
        zsets.of(db).fill(row, list(wanted.items()))
        db.touch(row)

    store.write(write)
    # The database compares: its text of a double may be one of fewer digits.
    for member, score in wanted.items():
        found = store.sql("SELECT score=CAST(%s AS DOUBLE) FROM rowdis_v_zset WHERE member=%s", repr(score), member)
        assert found == ((1,),), score
