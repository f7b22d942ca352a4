"""What the commands of streams share: ids and intervals with Redis's grammar, finding streams, entries as replies."""

from __future__ import annotations

from collections.abc import Iterable

from protocol.errors import CommandError
from protocol.numbers import parse_unsigned
from server.typed import typed, typed_source
from storage.effects import EventClass
from storage.key_rows import KeyRow, Type
from storage.keyspace import Keyspace
from storage.stream_entries import StreamEntries
from storage.stream_groups import Consumer, Group, groups_of
from storage.stream_windows import Entry
from storage.streams import LAST, MAX_PART, ZERO, Id, following, preceding, written

#: Redis reads no id that is longer.
_LONGEST_ID = 127


def find_stream(db: Keyspace, name: bytes) -> KeyRow | None:
    """The row of a stream, None where there is no key. CommandError (WRONGTYPE) if it is something else."""
    return typed(db, name, Type.STREAM)


def find_source_stream(db: Keyspace, name: bytes) -> KeyRow | None:
    """What `find_stream` gives, where Redis looks as a reader, though the command writes: no key is an event."""
    return typed_source(db, name, Type.STREAM)


def consumer_seen(db: Keyspace, row: KeyRow, group: Group, name: bytes) -> Consumer:
    """A consumer that does something now; made if it is not there."""
    groups = groups_of(db.attempt)
    if groups.consumer(group, name) is None:
        db.notify(EventClass.STREAM, b"xgroup-createconsumer", row.name)
    return groups.seen(group, name, db.now_ms)


def stream_id(data: bytes, missing_seq: int = 0) -> Id:
    """An id as clients write it; without a sequence number it has `missing_seq`. CommandError if it is none."""
    if len(data) <= _LONGEST_ID:
        ms, dash, seq = data.partition(b"\0")[0].partition(b"-")
        try:
            return parse_unsigned(ms), (parse_unsigned(seq) if dash else missing_seq)
        except ValueError:
            pass
    raise CommandError(b"ERR Invalid stream ID specified as stream command argument")


def interval_start(data: bytes) -> Id:
    """The first id of an interval: an id, "-", "+", or an id behind "(" for what follows it."""
    found: Id | None = _bound(data, 0)
    if found is not None and data[:1] == b"(":
        found = following(found)
    if found is None:
        raise CommandError(b"ERR invalid start ID for the interval")
    return found


def interval_end(data: bytes) -> Id:
    """The last id of an interval, see `interval_start`."""
    found: Id | None = _bound(data, MAX_PART)
    if found is not None and data[:1] == b"(":
        found = preceding(found)
    if found is None:
        raise CommandError(b"ERR invalid end ID for the interval")
    return found


def _bound(data: bytes, missing_seq: int) -> Id:
    if data == b"-":
        return ZERO
    if data == b"+":
        return LAST
    return stream_id(data.removeprefix(b"("), missing_seq)


def valid_ids(words: Iterable[bytes]) -> list[Id]:
    """The ids among words of a request that nobody has judged yet, up to the first that is none."""
    found: list[Id] = []
    for word in words:
        try:
            found.append(stream_id(word))
        except CommandError:
            break
    return found


def entry_reply(entries: StreamEntries, entry: Entry) -> list[object]:
    """An entry as clients get it: its id, then fields and values in turn."""
    return [written(entry[0]), entries.fields(entry)]


def no_such_group(key: bytes, group: bytes, where: bytes = b"") -> CommandError:
    """The key or the group is not there; `where` is added to the text."""
    return CommandError(b"NOGROUP No such key '%b' or consumer group '%b'%b" % (shown(key), shown(group), where))


def no_such_group_of_key(key: bytes, group: bytes) -> CommandError:
    """The key is there and the group is not."""
    return CommandError(b"NOGROUP No such consumer group '%b' for key name '%b'" % (shown(group), shown(key)))


def shown(word: bytes) -> bytes:
    """A client's word as Redis repeats it in errors: a C string ends at a NUL."""
    return word.partition(b"\0")[0]
