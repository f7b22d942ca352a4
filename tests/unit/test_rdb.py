"""Dumps as Redis writes them: read and written, and whatever else somebody may send."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from storage import lzf, rdb
from storage.crc64 import crc64
from storage.rdb_listpack import pack_intset, pack_listpack, unpack_intset, unpack_listpack
from storage.rdb_values import (
    BadPayload,
    HashField,
    HashValue,
    ListValue,
    PendingEntry,
    SetValue,
    StreamConsumer,
    StreamEntry,
    StreamGroup,
    StreamValue,
    StringValue,
    Value,
    ZsetValue,
)
from storage.rdb_ziplist import unpack_ziplist, unpack_zipmap
from tests.commands.payloads import BAD, NEW, OLD, sealed, ziplist, zipmap

ROOM = 1 << 20

#: What redis-server 7.0.15 gave, byte for byte.
FROM_REDIS: list[tuple[Value, bytes]] = [
    (StringValue(b"hello"), b"\x00\x05hello\n\x00cr\xdfve4 \n"),
    (StringValue(b"-129"), b"\x00\xc1\x7f\xff\n\x00\x17`\x82(T\x80\x84\x80"),
    (StringValue(b"ab" * 30), b"\x00\xc3\n<\x02aba\xe0.\x01\x01ab\n\x00\xbb\x16\xd3\xeb\xaeo\xc5t"),
    (
        ListValue([b"a", b"1", b"-1", b"128"]),
        b"\x12\x01\x02\x12\x12\x00\x00\x00\x04\x00\x81a\x02\x01\x01\xdf\xff\x02\xc0\x80\x02\xff\n\x00F2\x9b\xb8\x17\x96\xfeI",
    ),
    (
        SetValue([b"1", b"2", b"3"]),
        b"\x0b\x0e\x02\x00\x00\x00\x03\x00\x00\x00\x01\x00\x02\x00\x03\x00\n\x00\xa5\x02\\\xe2mnM\x1b",
    ),
    (
        ZsetValue([(b"a", 1.0), (b"b", 1.5)]),
        b'\x11\x14\x14\x00\x00\x00\x04\x00\x81a\x02\x01\x01\x81b\x02\x831.5\x04\xff\n\x00\xc2|i\x81\xdd\xa2"p',
    ),
    (
        HashValue([HashField(b"a", b"1"), HashField(b"b", b"2")]),
        b"\x10\x11\x11\x00\x00\x00\x04\x00\x81a\x02\x01\x01\x81b\x02\x02\x01\xff\n\x00>@cl\x8f]v\x9a",
    ),
    (
        StreamValue([StreamEntry((1, 1), [b"a", b"b"]), StreamEntry((2, 1), [b"a", b"c"])], (2, 1), (0, 0), 2),
        b"\x13\x01\x10\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01((\x00\x00\x00\x0f\x00\x02\x01\x00"
        b"\x01\x01\x01\x81a\x02\x00\x01\x02\x01\x00\x01\x00\x01\x81b\x02\x04\x01\x02\x01\x01\x01\x00\x01\x81c\x02\x04\x01\xff"
        b"\x02\x02\x01\x01\x01\x00\x00\x02\x00\n\x00\xe4/g\x90\x8b\xebK\x12",
    ),
]

WORDS = st.binary(max_size=80) | st.integers(-(2**64), 2**64).map(lambda number: b"%d" % number)
IDS = st.tuples(st.integers(0, 2**64 - 1), st.integers(1, 2**64 - 1))
TIMES = st.integers(0, 2**63 - 1)


def _streams() -> st.SearchStrategy[Value]:
    entries = st.dictionaries(
        IDS, st.lists(WORDS, min_size=2, max_size=6).map(lambda words: words[: len(words) // 2 * 2]), max_size=150
    )
    groups = st.lists(_groups(), max_size=2, unique_by=lambda group: group.name)
    return st.builds(_stream, entries, st.integers(0, 2**40), IDS, groups)


def _stream(
    entries: dict[tuple[int, int], list[bytes]], more: int, deleted: tuple[int, int], groups: list[StreamGroup]
) -> StreamValue:
    found = [StreamEntry(number, words) for number, words in sorted(entries.items())]
    last = found[-1].number if found else (0, 0)
    return StreamValue(found, last, deleted, len(found) + more, groups)


def _groups() -> st.SearchStrategy[StreamGroup]:
    return st.builds(
        _group,
        WORDS,
        IDS,
        st.none() | TIMES,
        st.dictionaries(WORDS, TIMES, min_size=1, max_size=3),
        st.dictionaries(IDS, st.tuples(st.integers(0, 2), TIMES, st.integers(0, 2**62)), max_size=5),
    )


def _group(
    name: bytes,
    last: tuple[int, int],
    read: int | None,
    consumers: dict[bytes, int],
    pending: dict[tuple[int, int], tuple[int, int, int]],
) -> StreamGroup:
    names = sorted(consumers)
    return StreamGroup(
        name,
        last,
        read,
        # Version 2 has one time only.
        [StreamConsumer(consumer, consumers[consumer], consumers[consumer]) for consumer in names],
        [
            PendingEntry(number, names[who % len(names)], at, count)
            for number, (who, at, count) in sorted(pending.items())
        ],
    )


VALUES: st.SearchStrategy[Value] = st.one_of(
    st.builds(StringValue, WORDS | st.binary(max_size=3000)),
    st.builds(ListValue, st.lists(WORDS | st.binary(min_size=4000, max_size=9000), min_size=1, max_size=20)),
    st.builds(SetValue, st.lists(WORDS, min_size=1, unique=True).map(lambda words: [b"a", *words]), st.just(False)).map(
        lambda value: SetValue(list(dict.fromkeys(value.members)), False)
    ),
    st.builds(SetValue, st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, unique=True).map(
        lambda numbers: [b"%d" % number for number in sorted(numbers)]
    )),
    st.builds(ZsetValue, st.lists(
        st.tuples(WORDS, st.floats(allow_nan=False)), min_size=1, unique_by=lambda pair: pair[0]
    ), st.booleans()),
    st.builds(HashValue, st.lists(
        st.builds(HashField, WORDS, WORDS, st.none()), min_size=1, unique_by=lambda field: field.name
    ), st.booleans()),
    st.builds(HashValue, st.lists(
        st.builds(HashField, WORDS, WORDS, st.none() | st.integers(1, 2**46)), min_size=1,
        unique_by=lambda field: field.name,
    ), st.booleans(), st.just(True)),
    _streams(),
)  # fmt: skip


def _content(value: Value) -> object:
    """What of a value is in its dump, whatever the form."""
    if isinstance(value, SetValue):
        return value.members
    if isinstance(value, ZsetValue):
        return sorted(value.members)
    return value.fields if isinstance(value, HashValue) else value


def test_the_checksum_is_that_of_jones() -> None:
    assert crc64(b"123456789") == 0xE9C6D914C4B8D9CA
    assert crc64(b"") == 0
    assert crc64(bytes(range(256))[:21]) == _slow_crc(bytes(range(21)))


def _slow_crc(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x95AC9329AC4BC9B5 if crc & 1 else 0)
    return crc


@given(VALUES)
@settings(max_examples=200, deadline=None)
def test_what_is_dumped_is_loaded(value: Value) -> None:
    assert _content(rdb.load(rdb.dump(value), ROOM)) == _content(value)


@pytest.mark.parametrize(("value", "payload"), FROM_REDIS)
def test_payloads_are_those_of_redis(value: Value, payload: bytes) -> None:
    assert rdb.dump(value) == payload
    assert rdb.load(payload, ROOM) == value


def test_only_fields_that_expire_need_a_newer_version() -> None:
    assert rdb.dump(HashValue([HashField(b"a", b"1")]))[-10] == 10
    assert rdb.dump(HashValue([HashField(b"a", b"1", 4_000_000_000_000)], expires=True))[-10] == 12


@pytest.mark.parametrize("body", BAD.values(), ids=BAD)
def test_bad_payloads_are_refused(body: bytes) -> None:
    with pytest.raises((BadPayload, rdb.WrongChecksum)):
        rdb.load(sealed(body), ROOM)


@pytest.mark.parametrize("payload", [b"", b"x", bytes(9), b"\xff" * 10, sealed(b"\x00\x01a", 13)])
def test_footers_are_checked(payload: bytes) -> None:
    with pytest.raises(rdb.WrongChecksum):
        rdb.load(payload, ROOM)


def test_a_flipped_bit_is_noticed() -> None:
    payload = bytearray(rdb.dump(StringValue(b"hello")))
    payload[3] ^= 1
    with pytest.raises(rdb.WrongChecksum):
        rdb.load(bytes(payload), ROOM)


SEEDS = [*OLD.values(), *NEW.values()]


@given(st.sampled_from(SEEDS) | VALUES.map(lambda value: rdb.dump(value)[:-10]), st.data())
@settings(max_examples=600, deadline=None)
def test_mutated_payloads_give_a_value_or_an_error(body: bytes, data: st.DataObject) -> None:
    mutated = bytearray(body)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(mutated)))
        match data.draw(st.sampled_from(("set", "insert", "delete", "cut"))):
            case "set" if place < len(mutated):
                mutated[place] = data.draw(st.integers(0, 255) | st.sampled_from((0x80, 0x81, 0xC3, 0xF4, 0xFE, 0xFF)))
            case "insert":
                mutated[place:place] = data.draw(st.binary(max_size=9))
            case "delete":
                del mutated[place : place + data.draw(st.integers(1, 9))]
            case "cut" if place:
                del mutated[place:]
    try:
        value = rdb.load(sealed(bytes(mutated)), ROOM)
    except BadPayload:
        return
    # What was taken for a value can be written again.
    if isinstance(value, HashValue | SetValue):
        return
    assert _content(rdb.load(rdb.dump(value), 1 << 30)) == _content(value)


@given(st.integers(0, 30), st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_noise_gives_a_value_or_an_error(kind: int, noise: bytes) -> None:
    with suppress(BadPayload):
        rdb.load(sealed(bytes((kind,)) + noise), ROOM)


@given(st.lists(st.sampled_from((b"a", b"ab", b"abc", b"xyz", bytes(40))) | st.binary(max_size=40)).map(b"".join))
@example(b"a" * 5000)
@settings(deadline=None)
def test_what_is_compressed_is_decompressed(data: bytes) -> None:
    packed = lzf.compress(data, len(data))
    if packed is not None:
        assert len(packed) <= len(data)
        assert lzf.decompress(packed, len(data)) == data


def test_decompressing_makes_no_more_than_is_allowed() -> None:
    packed = lzf.compress(bytes(100_000), 50_000)
    assert packed is not None
    with pytest.raises(ValueError, match="longer"):
        lzf.decompress(packed, 1000)
    body = b"\x00\xc3" + b"\x80" + len(packed).to_bytes(4, "big") + b"\x80" + (100_000).to_bytes(4, "big") + packed
    assert rdb.load(sealed(body), 100_000) == StringValue(bytes(100_000))
    with pytest.raises(BadPayload):
        rdb.load(sealed(body), 99_999)


@given(st.lists(WORDS | st.binary(min_size=4090, max_size=17_000)))
@settings(deadline=None)
def test_listpacks(entries: list[bytes]) -> None:
    assert unpack_listpack(pack_listpack(entries)) == entries


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, unique=True))
def test_intsets(numbers: list[int]) -> None:
    members = [b"%d" % number for number in sorted(numbers)]
    assert unpack_intset(pack_intset(members)) == members


@given(st.lists(st.integers(-(2**63), 2**63 - 1) | st.binary(max_size=300).filter(lambda word: not word.isdigit())))
@settings(deadline=None)
def test_ziplists(entries: list[bytes | int]) -> None:
    assert unpack_ziplist(ziplist(*entries)) == [b"%d" % one if isinstance(one, int) else one for one in entries]


@given(st.lists(st.tuples(st.binary(max_size=300), st.binary(max_size=300)), max_size=200))
@settings(deadline=None)
def test_zipmaps(pairs: list[tuple[bytes, bytes]]) -> None:
    words = [word for pair in pairs for word in pair]
    assert unpack_zipmap(zipmap(*words)) == words
