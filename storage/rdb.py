"""Dumps of single keys as Redis makes them: DUMP's payloads.

A payload is a byte for the form of the value, the value, the version of the format (two bytes), and a checksum (eight).
What is written here has the version of Redis 7.0, so that Redis from 7.0 on takes it; only a hash with fields that
expire needs the one of 7.4.  All versions up to that are read, and all forms that Redis ever wrote but modules.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from storage import rdb_stream
from storage.crc64 import crc64
from storage.rdb_listpack import pack_entry, pack_intset, pack_listpack, unpack_intset, unpack_listpack
from storage.rdb_primitives import Reader, Writer, parse_score
from storage.rdb_values import (
    BadPayload,
    HashField,
    HashValue,
    ListValue,
    SetValue,
    StreamValue,
    StringValue,
    Value,
    ZsetValue,
)
from storage.rdb_ziplist import unpack_ziplist, unpack_zipmap

#: Versions of the format: of Redis 7.0, and of 7.4.
_COMMON, _NEWEST = 10, 12
_FOOTER: Final = struct.Struct("<HQ")
_FOOTER_BYTES: Final = 10

# Forms of values.
_STRING, _LIST, _SET, _ZSET, _HASH, _ZSET_2 = 0, 1, 2, 3, 4, 5
_HASH_ZIPMAP, _LIST_ZIPLIST, _SET_INTSET, _ZSET_ZIPLIST, _HASH_ZIPLIST = 9, 10, 11, 12, 13
_LIST_QUICKLIST, _STREAM, _HASH_LISTPACK, _ZSET_LISTPACK, _LIST_QUICKLIST_2 = 14, 15, 16, 17, 18
_STREAM_2, _SET_LISTPACK, _STREAM_3, _HASH_METADATA, _HASH_LISTPACK_EX = 19, 20, 21, 24, 25

#: Nodes of lists: one item as it is, or a listpack of about so many bytes.
_PLAIN, _PACKED = 1, 2
_NODE_BYTES: Final = 8192
_NODE_HEADER, _NODE_OVERHEAD = 7, 8
#: Up to here Redis writes scores without a fraction as integers.
_INTEGERS: Final = 2**62

_Element = TypeVar("_Element")


class WrongChecksum(Exception):
    """The version is none that is known, or the checksum is not that of the payload."""


def dump(value: Value) -> bytes:
    """The payload of a value."""
    out = Writer()
    version = _COMMON
    match value:
        case StringValue(data):
            out.byte(_STRING)
            out.string(data)
        case ListValue(items):
            _write_list(out, items)
        case SetValue(members, integers_first):
            _write_set(out, members, intset=integers_first)
        case ZsetValue():
            _write_zset(out, value)
        case HashValue():
            if value.expires:
                version = _NEWEST
                _write_expiring_hash(out, value)
            else:
                _write_hash(out, value)
        case StreamValue():
            out.byte(_STREAM_2)
            rdb_stream.write(out, value)
    return seal(out.done(), version)


def load(payload: bytes, room: int) -> Value:
    """The value of a payload; at most `room` bytes are made by decompressing.

    Raises WrongChecksum, or BadPayload if there is no value in it that Redis could have written.
    """
    reader = Reader(unseal(payload), room)
    read = _READERS.get(reader.byte())
    if read is None:
        raise BadPayload("a form that is not known")
    return read(reader)


def seal(data: bytes, version: int = _COMMON) -> bytes:
    """A payload of what was written: with version and checksum."""
    body = data + version.to_bytes(2, "little")
    return body + crc64(body).to_bytes(8, "little")


def unseal(payload: bytes) -> bytes:
    """What is in a payload. Raises WrongChecksum, also if it is of a newer version."""
    if len(payload) < _FOOTER_BYTES:
        raise WrongChecksum
    version, checksum = _FOOTER.unpack_from(payload, len(payload) - _FOOTER_BYTES)
    if version > _NEWEST or crc64(memoryview(payload)[:-8]) != checksum:
        raise WrongChecksum
    return payload[:-_FOOTER_BYTES]


# -- writing


def _write_list(out: Writer, items: Sequence[bytes]) -> None:
    nodes: list[list[bytes]] = []
    size = _NODE_BYTES
    for item in items:
        if size + len(item) + _NODE_OVERHEAD > _NODE_BYTES:
            nodes.append([])
            size = _NODE_HEADER
        nodes[-1].append(item)
        size += len(pack_entry(item))
    out.byte(_LIST_QUICKLIST_2)
    out.length(len(nodes))
    for node in nodes:
        out.length(_PACKED)
        out.string(pack_listpack(node))


def _write_set(out: Writer, members: Sequence[bytes], *, intset: bool) -> None:
    """`intset`: all are integers, in order."""
    if intset:
        out.byte(_SET_INTSET)
        out.string(pack_intset(members))
        return
    out.byte(_SET)
    out.length(len(members))
    for member in members:
        out.string(member)


def _write_zset(out: Writer, value: ZsetValue) -> None:
    if not value.skiplist:
        words = [word for member, score in value.members for word in (member, _score_entry(score))]
        out.byte(_ZSET_LISTPACK)
        out.string(pack_listpack(words))
        return
    out.byte(_ZSET_2)
    out.length(len(value.members))
    # From the greatest on, so that each is put in front when it is read.
    for member, score in reversed(value.members):
        out.string(member)
        out.double(score)


def _score_entry(score: float) -> bytes | int:
    if abs(score) <= _INTEGERS and score == int(score):
        return int(score)
    return b"%.17g" % score


def _write_hash(out: Writer, value: HashValue) -> None:
    if not value.in_table:
        words = [word for field in value.fields for word in field[:2]]
        out.byte(_HASH_LISTPACK)
        out.string(pack_listpack(words))
        return
    out.byte(_HASH)
    out.length(len(value.fields))
    for field in value.fields:
        out.string(field.name)
        out.string(field.value)


def _write_expiring_hash(out: Writer, value: HashValue) -> None:
    first = min([field.expire_at for field in value.fields if field.expire_at is not None], default=0)
    out.byte(_HASH_METADATA if value.in_table else _HASH_LISTPACK_EX)
    out.milliseconds(first)
    if not value.in_table:
        words = [word for name, data, time in value.fields for word in (name, data, time or 0)]
        out.string(pack_listpack(words))
        return
    out.length(len(value.fields))
    for name, data, time in value.fields:
        out.length(0 if time is None else time - first + 1)
        out.string(name)
        out.string(data)


# -- reading


def _read_string(reader: Reader) -> Value:
    return StringValue(reader.string())


def _read_list(reader: Reader) -> Value:
    return ListValue([reader.string() for _ in range(reader.count())])


def _read_list_of_ziplists(reader: Reader) -> Value:
    items: list[bytes] = []
    for _ in range(reader.count()):
        items += unpack_ziplist(reader.string())
    return ListValue(_some(items))


def _read_quicklist(reader: Reader) -> Value:
    items: list[bytes] = []
    for _ in range(reader.count()):
        kind = reader.length()
        if kind == _PLAIN:
            items.append(reader.string())
        elif kind == _PACKED:
            items += _some(unpack_listpack(reader.string()))
        else:
            raise BadPayload("no kind of node")
    return ListValue(items)


def _read_ziplist(reader: Reader) -> Value:
    return ListValue(_some(unpack_ziplist(reader.string())))


def _read_set(reader: Reader) -> Value:
    return SetValue(_each_once([reader.string() for _ in range(reader.count())]))


def _read_intset(reader: Reader) -> Value:
    return SetValue(unpack_intset(reader.string()))


def _read_set_listpack(reader: Reader) -> Value:
    return SetValue(_each_once(_some(unpack_listpack(reader.string()))), integers_first=False)


def _read_zset(reader: Reader) -> Value:
    return _zset([(reader.string(), reader.old_double()) for _ in range(reader.count())])


def _read_zset_2(reader: Reader) -> Value:
    return _zset([(reader.string(), reader.double()) for _ in range(reader.count())])


def _read_hash(reader: Reader) -> Value:
    return _hash([HashField(reader.string(), reader.string()) for _ in range(reader.count())])


def _read_hash_with_expiries(reader: Reader) -> Value:
    first = _first_expiry(reader)
    fields: list[HashField] = []
    for _ in range(reader.count()):
        after = reader.length()
        name, value = reader.string(), reader.string()
        fields.append(HashField(name, value, _time(first + after - 1) if after else None))
    return _hash(fields, expires=True)


def _read_hash_listpack_with_expiries(reader: Reader) -> Value:
    _first_expiry(reader)
    words = unpack_listpack(reader.string())
    if len(words) % 3:
        raise BadPayload("a field without value or expiry")
    fields: list[HashField] = []
    for name, value, digits in zip(words[::3], words[1::3], words[2::3], strict=True):
        if not digits.isdigit():
            raise BadPayload("no time")
        fields.append(HashField(name, value, _time(int(digits[:20])) or None))
    return _hash(fields, expires=True)


def _first_expiry(reader: Reader) -> int:
    return _time(reader.milliseconds())


def _time(time: int) -> int:
    """When a field expires: Redis has 48 bits for it."""
    if not 0 <= time < 1 << 48:
        raise BadPayload("no time")
    return time


def _zset_of(unpack: Callable[[bytes], list[bytes]]) -> Callable[[Reader], Value]:
    def read(reader: Reader) -> Value:
        words = _pairs(unpack(reader.string()))
        return _zset([(member, parse_score(score)) for member, score in words])

    return read


def _hash_of(unpack: Callable[[bytes], list[bytes]]) -> Callable[[Reader], Value]:
    def read(reader: Reader) -> Value:
        return _hash([HashField(name, value) for name, value in _pairs(unpack(reader.string()))])

    return read


def _stream_of(version: int) -> Callable[[Reader], Value]:
    return lambda reader: rdb_stream.read(reader, version)


_READERS: Final[dict[int, Callable[[Reader], Value]]] = {
    _STRING: _read_string,
    _LIST: _read_list,
    _LIST_ZIPLIST: _read_ziplist,
    _LIST_QUICKLIST: _read_list_of_ziplists,
    _LIST_QUICKLIST_2: _read_quicklist,
    _SET: _read_set,
    _SET_INTSET: _read_intset,
    _SET_LISTPACK: _read_set_listpack,
    _ZSET: _read_zset,
    _ZSET_2: _read_zset_2,
    _ZSET_ZIPLIST: _zset_of(unpack_ziplist),
    _ZSET_LISTPACK: _zset_of(unpack_listpack),
    _HASH: _read_hash,
    _HASH_ZIPMAP: _hash_of(unpack_zipmap),
    _HASH_ZIPLIST: _hash_of(unpack_ziplist),
    _HASH_LISTPACK: _hash_of(unpack_listpack),
    _HASH_METADATA: _read_hash_with_expiries,
    _HASH_LISTPACK_EX: _read_hash_listpack_with_expiries,
    _STREAM: _stream_of(1),
    _STREAM_2: _stream_of(2),
    _STREAM_3: _stream_of(3),
}


def _zset(members: list[tuple[bytes, float]]) -> ZsetValue:
    _each_once([member for member, _ in members])
    return ZsetValue(members)


def _hash(fields: list[HashField], *, expires: bool = False) -> HashValue:
    _each_once([field.name for field in _some(fields)])
    return HashValue(fields, expires=expires)


def _pairs(words: list[bytes]) -> list[tuple[bytes, bytes]]:
    if len(words) % 2:
        raise BadPayload("half of a pair")
    return list(zip(_some(words)[::2], words[1::2], strict=True))


def _some(elements: list[_Element]) -> list[_Element]:
    """What is empty is no key."""
    if not elements:
        raise BadPayload("no elements")
    return elements


def _each_once(names: list[bytes]) -> list[bytes]:
    if len(set(names)) != len(names):
        raise BadPayload("an element twice")
    return names
