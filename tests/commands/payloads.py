"""Payloads of DUMP as no server around writes them any more, or never did."""

import struct

from storage.crc64 import crc64
from storage.rdb_listpack import pack_intset, pack_listpack


def sealed(body: bytes, version: int = 10) -> bytes:
    """A payload with a right checksum: `body` is the form of the value and the value."""
    data = body + version.to_bytes(2, "little")
    return data + crc64(data).to_bytes(8, "little")


def text(data: bytes) -> bytes:
    """A string, never compressed nor as a number."""
    if len(data) < 64:
        return bytes((len(data),)) + data
    return b"\x80" + len(data).to_bytes(4, "big") + data


def ziplist(*entries: bytes | int) -> bytes:
    """A ziplist, as Redis before 7.0 kept small collections."""
    out, before, last = b"", 0, 10
    for entry in entries:
        last = 10 + len(out)
        previous = bytes((before,)) if before < 254 else b"\xfe" + before.to_bytes(4, "little")
        packed = previous + _ziplist_entry(entry)
        out += packed
        before = len(packed)
    return struct.pack("<IIH", 11 + len(out), last, len(entries)) + out + b"\xff"


def _ziplist_entry(entry: bytes | int) -> bytes:
    if isinstance(entry, int):
        if 0 <= entry <= 12:
            return bytes((0xF1 + entry,))
        for kind, width in ((0xFE, 1), (0xC0, 2), (0xF0, 3), (0xD0, 4), (0xE0, 8)):
            if -(1 << 8 * width - 1) <= entry < 1 << 8 * width - 1:
                return bytes((kind,)) + entry.to_bytes(width, "little", signed=True)
    assert isinstance(entry, bytes)
    if len(entry) < 64:
        return bytes((len(entry),)) + entry
    if len(entry) < 16384:
        return struct.pack(">H", 0x4000 | len(entry)) + entry
    return b"\x80" + len(entry).to_bytes(4, "big") + entry


def zipmap(*words: bytes) -> bytes:
    """A zipmap, as Redis before 2.6 kept small hashes: fields and values in turn."""
    out = b""
    for number, word in enumerate(words):
        out += bytes((len(word),)) if len(word) < 254 else b"\xfe" + len(word).to_bytes(4, "little")
        # A value may have room behind it.
        out += b"\x02" + word + b"??" if number % 2 else word
    return bytes((len(words) // 2,)) + out + b"\xff"


def stream(version: int) -> bytes:
    """Entries 1-1, 1-2 (deleted), 2-0, with a group that was given both, and a consumer that has one of them."""
    node = pack_listpack([
        2, 1, 1, b"f", 0,
        2, 0, 0, b"one", 4,
        3, 0, 1, b"gone", 4,
        0, 1, -1, 2, b"a", b"b", b"c", 7, 8,
    ])  # fmt: skip
    key = text(struct.pack(">QQ", 1, 1))
    pending = struct.pack(">QQ", 2, 0)
    out = b"\x01" + key + text(node) + b"\x02" + b"\x02\x00"
    if version >= 2:
        out += b"\x01\x01" + b"\x01\x02" + b"\x03"
    out += b"\x01" + text(b"group") + b"\x02\x00" + (b"\x03" if version >= 2 else b"")
    out += b"\x01" + pending + struct.pack("<q", 1_700_000_000_000) + b"\x05"
    out += b"\x01" + text(b"consumer") + struct.pack("<q", 1_700_000_000_001)
    out += struct.pack("<q", 1_700_000_000_002) if version >= 3 else b""
    return out + b"\x01" + pending


_NUMBERS = (0, 12, 13, -1, 127, -128, 128, 32767, -32768, 8_388_607, -8_388_608, 2**31 - 1, -(2**31), 2**63 - 1)

#: Forms that Redis 7.0 reads and does not write, by name: bodies.
OLD = {
    "linked list": b"\x01\x03" + text(b"a") + b"\xc0\x07" + text(b""),
    "list in a ziplist": b"\x0a" + text(ziplist(*_NUMBERS, b"", b"x" * 63, b"y" * 64, b"z" * 300, b"w" * 17_000, 5)),
    "list of ziplists": b"\x0e\x02" + text(ziplist(b"a", 1)) + text(ziplist(b"b")),
    "list with a plain node": b"\x12\x02\x01" + text(b"plain") + b"\x02" + text(pack_listpack([b"a", 1])),
    "set of integers in a table": b"\x02\x03" + text(b"3") + b"\xc0\x01" + b"\xc1\x02\x00",
    "intset of 16 bits": b"\x0b" + text(pack_intset([b"-32768", b"0", b"32767"])),
    "intset of 32 bits": b"\x0b" + text(pack_intset([b"-32769", b"0"])),
    "intset of 64 bits": b"\x0b" + text(pack_intset([b"-9223372036854775808", b"9223372036854775807"])),
    "zset with decimal scores": b"\x03\x04" + text(b"a") + b"\x031.5" + text(b"b") + b"\xfe" + text(b"c") + b"\xff"
    + text(b"d") + b"\x02-3",
    "zset with binary scores": b"\x05\x02" + text(b"a") + struct.pack("<d", 0.1) + text(b"b") + struct.pack("<d", -7),
    "zset in a ziplist": b"\x0c" + text(ziplist(b"a", 1, b"b", b"1.5", b"c", b"inf")),
    "hash in a table": b"\x04\x02" + text(b"a") + text(b"1") + text(b"b") + text(b"x" * 100),
    "hash in a ziplist": b"\x0d" + text(ziplist(b"a", 1, b"b", b"x" * 50)),
    "hash in a zipmap": b"\x09" + text(zipmap(b"a", b"1", b"b" * 60, b"x" * 60)),
    "long hash in a zipmap": b"\x09" + text(zipmap(b"a", b"1", b"b" * 300, b"")),
    "stream of version 1": b"\x0f" + stream(1),
    "stream of version 2": b"\x13" + stream(2),
}
#: Forms that Redis writes since 7.2 and 7.4.
NEW = {
    "set in a listpack": b"\x14" + text(pack_listpack([b"b", 1, b"a"])),
    "stream of version 3": b"\x15" + stream(3),
    "hash with expiries in a listpack": b"\x19" + struct.pack("<q", 4_000_000_000_000)
    + text(pack_listpack([b"a", 1, 4_000_000_000_000, b"b", b"x", 4_000_000_000_000, b"c", 3, 0])),
    "hash with expiries in a table": b"\x18" + struct.pack("<q", 4_000_000_000_000) + b"\x03"
    + b"\x01" + text(b"a") + b"\xc0\x01" + b"\x05" + text(b"b") + text(b"x" * 70) + b"\x00" + text(b"c") + text(b"3"),
}  # fmt: skip

#: Bodies that say nothing that could be a key.
BAD = {
    "nothing": b"",
    "a form that is not known": b"\x08\x01",
    "a module": b"\x07\x81" + bytes(8),
    "a string that is cut off": b"\x00\x20abc",
    "a string of 2**63 bytes": b"\x00\x81\x80" + bytes(7) + b"abc",
    "a string of no kind": b"\x00\xc4\x01",
    "LZF that makes too much": b"\x00\xc3\x03\x80\xff\xff\xff\xff\x01ab",
    "LZF that makes too little": b"\x00\xc3\x03\x09\x01ab",
    "LZF that refers to nothing": b"\x00\xc3\x04\x04\x00a\x20\x05",
    "LZF that ends in a reference": b"\x00\xc3\x03\x06\x00a\xe0",
    "an empty list": b"\x01\x00",
    "a list of no nodes": b"\x12\x00",
    "a list of an empty node": b"\x12\x01\x02" + text(pack_listpack([])),
    "a node of no kind": b"\x12\x01\x03" + text(pack_listpack([b"a"])),
    "a list of 2**40 items": b"\x01\x81" + (2**40).to_bytes(8, "big") + b"\x01a",
    "an empty set": b"\x02\x00",
    "a member twice": b"\x02\x02" + text(b"a") * 2,
    "an intset that is cut off": b"\x0b" + text(pack_intset([b"1", b"2"])[:-1]),
    "an intset of no width": b"\x0b" + text(struct.pack("<IIB", 1, 1, 1)),
    "an empty intset": b"\x0b" + text(struct.pack("<II", 2, 0)),
    "a score that is no number": b"\x05\x01" + text(b"a") + struct.pack("<d", float("nan")),
    "a decimal score that is no number": b"\x03\x01" + text(b"a") + b"\xfd",
    "a zset member twice": b"\x05\x02" + (text(b"a") + bytes(8)) * 2,
    "a field twice": b"\x04\x02" + (text(b"a") + text(b"b")) * 2,
    "an empty hash": b"\x10" + text(pack_listpack([])),
    "half of a pair": b"\x10" + text(pack_listpack([b"a", b"b", b"c"])),
    "a listpack of another length": b"\x10" + text(pack_listpack([b"a", b"b"]) + b"\xff"),
    "a listpack with an entry that is cut off": b"\x10" + text(struct.pack("<IH", 9, 2) + b"\xbfa\xff"),
    "a ziplist of another length": b"\x0a" + text(ziplist(1, 2)[:-1] + b"\x00\xff"),
    "a stream that is cut off": b"\x13" + stream(2)[:-14],
    "a stream of 2**60 nodes": b"\x13\x81" + (2**60).to_bytes(8, "big") + bytes(40),
}  # fmt: skip
