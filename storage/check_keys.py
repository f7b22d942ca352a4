"""What is wrong with one key: its row by itself, and a long string's row against its chunks.

Pure judgement, and repairs that run while the row is locked; walking through the tables is `storage/check.py`'s, and
collections are judged by `storage/check_collections.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from storage.connection import Connection
from storage.key_rows import Type
from storage.strings import CHUNK

COLUMNS = (
    "space, digest, LEFT(name,100), key_id, type, version, expire_at, size, LENGTH(value), orphan, "
    "digest=LEFT(UNHEX(SHA2(name,256)),16), IF(type=1,NULL,value)"
)
LOCKED = f"SELECT {COLUMNS} FROM rowdis_key WHERE space=%s AND digest=%s FOR UPDATE"

_SET_SIZE = "UPDATE rowdis_key SET size=%s WHERE space=%s AND digest=%s"
_CLEAR_VALUE = "UPDATE rowdis_key SET value=NULL WHERE space=%s AND digest=%s"
_DELETE = "DELETE FROM rowdis_key WHERE space=%s AND digest=%s"
_ADD_GARBAGE = "INSERT IGNORE INTO rowdis_garbage (kind, id, since) SELECT 0, %s, 0 FROM rowdis_meta WHERE name='epoch'"
_AT_ITS_PLACE = (
    "SELECT t.space FROM rowdis_key t JOIN rowdis_key k ON k.space=%s AND k.digest=%s "
    "WHERE t.space=k.space AND t.digest=LEFT(UNHEX(SHA2(k.name,256)),16)"
)
_MOVE = "UPDATE rowdis_key SET digest=LEFT(UNHEX(SHA2(name,256)),16) WHERE space=%s AND digest=%s"
_CHUNKS = "SELECT n, LENGTH(data) FROM rowdis_string_chunk WHERE key_id=%s AND n>%s ORDER BY n LIMIT 256"
_DELETE_CHUNK = "DELETE FROM rowdis_string_chunk WHERE key_id=%s AND n=%s"
_CUT_CHUNK = "UPDATE rowdis_string_chunk SET data=LEFT(data,%s) WHERE key_id=%s AND n=%s"

Sql = Callable[[str], str]


class KeyRecord(NamedTuple):
    """A row of rowdis_key without the value of a string; the fields are COLUMNS."""

    space: int
    digest: bytes
    name: bytes
    key_id: int
    type: int
    version: int
    expire_at: int | None
    size: int
    length: int | None
    orphan: int
    digest_right: int
    #: What a collection's row notes about its elements.
    state: bytes | None = None

    @property
    def place(self) -> tuple[int, bytes]:
        return self.space, self.digest

    @property
    def title(self) -> str:
        """The key as a person reads it."""
        return f"key {self.name[:60]!r}{'...' if len(self.name) > 60 else ''}"


class Problem(NamedTuple):
    """`repair` puts it right on a connection whose transaction holds the row, and says what it did.

    Without one, or where it says None, putting it right would be guessing.
    """

    kind: str
    text: str
    repair: Callable[[Connection, Sql], str | None] | None = None


def key_problems(key: KeyRecord) -> list[Problem]:
    """What a row tells by itself."""
    problems: list[Problem] = []
    if key.type == Type.NONE:
        return [Problem("placeholders", "the row holds the place of a key and was left behind",
                        lambda connection, sql: _drop_placeholder(connection, sql, key))]
    if not key.digest_right:
        problems.append(Problem("digests", f"the row is at digest {key.digest.hex()}, where nobody looks for the name",
                                lambda connection, sql: _move(connection, sql, key)))
    if key.type not in list(Type):
        problems.append(Problem("types", f"the type {key.type} is unknown"))
    elif key.size < 0:
        problems.append(Problem("sizes", f"the size is {key.size}"))
    elif key.type == Type.STRING:
        problems += _string_problems(key)
    elif key.size == 0 and key.type != Type.STREAM:
        problems.append(Problem("sizes", "it is empty, and empty keys are deleted"))
    elif key.key_id == 0:
        problems.append(Problem("values", "there is no id for its elements"))
    if key.version <= 0 and key.type in list(Type):
        problems.append(Problem("versions", f"the version is {key.version}, which WATCH takes for an absent key"))
    return problems


def _string_problems(key: KeyRecord) -> Iterator[Problem]:
    if key.key_id == 0:
        if key.length is None:
            yield Problem("values", "the value is missing")
        elif key.length != key.size:
            yield Problem("sizes", f"the size is {key.size}, and the value has {key.length} bytes",
                          set_size(key, key.length))
    elif key.length is not None:
        yield Problem("values", f"there are {key.length} bytes in the row although the value is in chunks",
                      lambda connection, sql: _clear_value(connection, sql, key))


def chunk_problems(key: KeyRecord, connection: Connection, sql: Sql) -> Iterator[Problem]:
    """What the chunks of a long string tell.

    Chunks may be missing or short in the middle: those bytes are zero.  The last one ends where the value ends; where
    it does not, nobody knows whether the size or the chunks are right.
    """
    last = (key.size - 1) // CHUNK if key.size else -1
    end = 0
    beyond: list[int] = []
    place = -(2**31) - 1
    while rows := connection.fetch(sql(_CHUNKS), (key.key_id, place)):
        place = rows[-1][0]
        for n, length in rows:
            if n == last:
                end = n * CHUNK + length
            if not 0 <= n <= last:
                beyond.append(n)
            elif n < last and length > CHUNK:
                yield Problem("chunks", f"chunk {n} has {length} bytes", _cutting(key.key_id, n))
    if end != key.size:
        yield Problem("chunks", f"the size is {key.size}, and the chunks up to there end at {end}")
    for n in beyond:
        repair = _dropping(key.key_id, n) if end == key.size else None
        yield Problem("chunks", f"chunk {n} is outside of the size of {key.size}", repair)


# -- repairs


def _drop_placeholder(connection: Connection, sql: Sql, key: KeyRecord) -> str:
    for number in (key.key_id, key.orphan):
        if number:
            connection.fetch(sql(_ADD_GARBAGE), (number,))
    connection.fetch(sql(_DELETE), key.place)
    return "deleted"


def _move(connection: Connection, sql: Sql, key: KeyRecord) -> str | None:
    if connection.fetch(sql(_AT_ITS_PLACE), key.place):
        return None
    connection.fetch(sql(_MOVE), key.place)
    return "moved to its place"


def set_size(key: KeyRecord, size: int) -> Callable[[Connection, Sql], str]:
    def repair(connection: Connection, sql: Sql) -> str:
        connection.fetch(sql(_SET_SIZE), (size, *key.place))
        return f"size set to {size}"

    return repair


def _clear_value(connection: Connection, sql: Sql, key: KeyRecord) -> str:
    connection.fetch(sql(_CLEAR_VALUE), key.place)
    return "the bytes in the row, which nobody reads, are cleared"


def _dropping(key_id: int, n: int) -> Callable[[Connection, Sql], str]:
    def repair(connection: Connection, sql: Sql) -> str:
        connection.fetch(sql(_DELETE_CHUNK), (key_id, n))
        return "deleted"

    return repair


def _cutting(key_id: int, n: int) -> Callable[[Connection, Sql], str]:
    def repair(connection: Connection, sql: Sql) -> str:
        connection.fetch(sql(_CUT_CHUNK), (CHUNK, key_id, n))
        return f"cut to the {CHUNK} that are read"

    return repair
