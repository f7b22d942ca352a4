"""What `rowdis check` says of one key's row, without a database."""

import pytest

from storage.check import Finding
from storage.check_keys import KeyRecord, key_problems
from storage.key_rows import Type, digest_of

SOUND = KeyRecord(
    space=1, digest=digest_of(b"k"), name=b"k", key_id=0, type=int(Type.STRING), version=7, expire_at=None, size=5,
    length=5, orphan=0, digest_right=1,
)  # fmt: skip


@pytest.mark.parametrize(
    "record",
    [
        SOUND,
        SOUND._replace(size=0, length=0),
        SOUND._replace(orphan=9),
        SOUND._replace(expire_at=1),
        SOUND._replace(key_id=9, size=100_000, length=None),
        SOUND._replace(type=int(Type.HASH), key_id=9, size=1, length=None),
        SOUND._replace(type=int(Type.STREAM), key_id=9, size=0, length=62),
    ],
)
def test_sound_rows_are_not_complained_of(record: KeyRecord) -> None:
    assert key_problems(record) == []


@pytest.mark.parametrize(
    ("record", "kinds"),
    [
        (SOUND._replace(type=0), ["placeholders"]),
        (SOUND._replace(digest_right=0), ["digests"]),
        (SOUND._replace(type=7), ["types"]),
        (SOUND._replace(type=-1), ["types"]),
        (SOUND._replace(size=-5), ["sizes"]),
        (SOUND._replace(size=6), ["sizes"]),
        (SOUND._replace(length=None), ["values"]),
        (SOUND._replace(type=int(Type.LIST)), ["values"]),
        (SOUND._replace(type=int(Type.LIST), key_id=9, size=0), ["sizes"]),
        (SOUND._replace(key_id=9), ["values"]),
        (SOUND._replace(version=0), ["versions"]),
        (SOUND._replace(type=int(Type.LIST), size=0, length=None), ["sizes"]),
        (SOUND._replace(digest_right=0, size=6, version=-1), ["digests", "sizes", "versions"]),
    ],
)
def test_each_damage_is_told_by_its_kind(record: KeyRecord, kinds: list[str]) -> None:
    assert [problem.kind for problem in key_problems(record)] == kinds


def test_title_shows_a_name_of_any_bytes_and_length() -> None:
    assert SOUND.title == "key b'k'"
    assert SOUND._replace(name=b"\xff\n" + b"x" * 98).title == "key b'\\xff\\n" + "x" * 58 + "'..."


def test_finding_says_what_was_done() -> None:
    assert str(Finding("it is so")) == "it is so"
    assert not Finding("it is so").repaired
    assert str(Finding("it is so", "deleted")) == "it is so (repaired: deleted)"
    assert Finding("it is so", "deleted").repaired
