"""MIGRATE: keys to another server, and away from here. How they get there is in server/migration.py."""

from __future__ import annotations

import re
from dataclasses import dataclass

from protocol.errors import CommandError, syntax_error
from protocol.replies import OK, Reply, Simple
from server.arguments import Args, Options, integer
from server.keyspecs import Keys, KeysAfter, Request
from server.migration import Destination, Migration, Parcel, send
from server.registry import Is, command
from server.session import Session
from storage.key_rows import KeyRow
from storage.keyspace import Keyspace
from storage.payloads import payload_of

#: What it waits at most where the client does not say, in milliseconds.
_TIMEOUT_MS = 1000
#: So many times the storage-timeout it may speak to its target: the unit that holds the keys must end in time.
_LIMIT = 2

#: How many words follow an option.
_BEHIND = {b"COPY": 0, b"REPLACE": 0, b"AUTH": 1, b"AUTH2": 2}


def _keys_option(request: Request) -> int | None:
    """Where the word KEYS stands before keys, found as COMMAND GETKEYS does: in any request, however wrong."""
    position = 6
    while position < len(request) - 1:
        word = request[position].upper()
        if word == b"KEYS":
            return position
        position += 1 + _BEHIND.get(word, 0)
    return None


class _Key(Keys):
    """The one key, unless there is a list of them."""

    def names(self, request: Request) -> list[bytes]:
        return super().names(request) if _keys_option(request) is None else []


class _ListedKeys(KeysAfter):
    """All that stands behind KEYS, if it is there in place of a key."""

    def names(self, request: Request) -> list[bytes]:
        position = _keys_option(request)
        return request[position + 1 :] if position is not None and not request[3] else []


_DELETED = "RW access delete"


@dataclass(slots=True)
class _Wish:
    """What a request asks for."""

    keys: list[bytes]
    copy: bool = False
    replace: bool = False
    login: tuple[bytes, ...] = ()
    db: int = 0
    timeout_ms: int = _TIMEOUT_MS


@command("MIGRATE", arity=-6, flags=Is.WRITE | Is.MOVABLEKEYS, group="generic", since="2.6.0", slow=True,
         keys=(_Key(3, 3, 1, _DELETED), _ListedKeys("KEYS", -2, -1, 0, f"{_DELETED} incomplete")),
         complexity="O(N) with N bytes or elements, here and there", categories=("keyspace", "dangerous"),
         tips=("nondeterministic_output",),
         syntax="host port key destination-db timeout [COPY] [REPLACE] [AUTH password | AUTH2 username password] "
         "[KEYS key [key ...]]")
def migrate(db: Keyspace, session: Session, args: Args) -> Reply:
    """Move keys to another server: each is deleted here once it is there."""
    wish = _parse(args)

    migration = db.attempt.deeds.record(args, Migration)
    found = [(place, row) for place, name in enumerate(wish.keys) if (row := db.find_source(name)) is not None]
    if not found and not migration.answers:
        return Simple(b"NOKEY")
    parcels = [_parcel(db, wish, migration, *key) for key in found if migration.is_open(key[0], key[1].version)]
    if parcels:
        limit_s = session.instance.settings.storage_timeout_ms * _LIMIT / 1000
        to = Destination(args[1], _port(args[2]), wish.db, wish.login)
        send(parcels, to, migration, min(wish.timeout_ms / 1000, limit_s), limit_s)
    if not wish.copy:
        for name in [row.name for place, row in found if migration.has_arrived(place, row.version)]:
            db.delete(name)
    if migration.error is not None:
        # What has arrived is deleted nevertheless, as in Redis.
        raise CommandError(migration.error.message)
    return OK


def _parcel(db: Keyspace, wish: _Wish, migration: Migration, place: int, row: KeyRow) -> Parcel:
    # What has arrived in a try that was rolled back, and has changed since, is ours to replace.
    replace = [b"REPLACE"] if wish.replace or migration.has_arrived(place) else []
    ttl_ms = max(1, row.expire_at - db.now_ms) if row.expire_at is not None else 0

    def words() -> list[bytes]:
        return [b"RESTORE", row.name, b"%d" % ttl_ms, payload_of(db, row), *replace]

    return Parcel(place, row.version, words)


def _parse(args: Args) -> _Wish:
    wish = _Wish([args[3]])
    options = Options(args, 6)
    while options.left:
        match options.word():
            case b"COPY":
                wish.copy = True
            case b"REPLACE":
                wish.replace = True
            case b"AUTH":
                wish.login = (options.value(),)
            case b"AUTH2":
                wish.login = (options.value(), options.value())
            case b"KEYS":
                if args[3]:
                    raise CommandError(
                        b"ERR When using MIGRATE KEYS option, the key argument must be set to the empty string"
                    )
                wish.keys = [options.value() for _ in range(options.left)]
            case _:
                raise syntax_error()
    timeout_ms = integer(args[5])
    wish.timeout_ms = timeout_ms if timeout_ms > 0 else _TIMEOUT_MS
    wish.db = integer(args[4])
    return wish


def _port(word: bytes) -> int:
    """The number at the beginning of a word, 0 if there is none: Redis does not look at what comes behind."""
    number = re.match(rb"\s*([+-]?[0-9]{1,18})", word)
    return int(number[1]) if number else 0
