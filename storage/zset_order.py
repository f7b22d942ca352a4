"""The order of sorted sets: by score, then by the bytes of the member; places in it, and conditions on the index.

A `Place` is a score's key with bytes: the gap in front of the member with these bytes, whether it is there or not.
Every range is what lies between two places, because the member right behind `m` is `m` with a zero byte.  The index
knows the first 64 bytes of a member, so only a place with more bytes is a matter of the code.
"""

from __future__ import annotations

import struct
from typing import Any, TypeAlias

from storage import scores
from storage.elements import ElementTable, Record
from storage.key_rows import KeyRow

#: An element: score's key, member, 1 if the score is -0, chunks (storage/overflow.py). Sorts as the sorted set does.
Entry: TypeAlias = tuple[int, bytes, int, int]
#: Score's key and bytes of a member.
Place: TypeAlias = tuple[int, bytes]

#: Bytes of a member that are in the index.
HEAD = 64
#: Redis keeps a sorted set as a listpack until it has more members, or a longer one.
SMALL_SIZE = 128
SMALL_MEMBER = 64

#: In front of and behind every element.
BEGIN: Place = (scores.LOWEST, b"")
END: Place = (scores.HIGHEST + 1, b"")


def _encode(record: Record) -> tuple[int, bytes, int, bytes | None]:
    member, score, zero = record
    return score, member[:HEAD], zero, member[HEAD:] if len(member) > HEAD else None


def _decode(columns: Any) -> Record:
    score, head, zero, tail = columns
    return (head if tail is None else head + tail), score, zero


#: Records are (member, score's key, 1 if the score is -0).
TABLE = ElementTable("rowdis_zset_member", ("score", "head", "zero", "tail"), _encode, _decode, kept=HEAD)


def behind(score: int, member: bytes) -> Place:
    """The place right behind a member."""
    return score, member + b"\0"


def behind_head(score: int, head: bytes) -> Place:
    """The place behind all members that begin with `head`; its bytes are no more than those of `head`."""
    rest = head.rstrip(b"\xff")
    return (score, rest[:-1] + bytes([rest[-1] + 1])) if rest else (score + 1, b"")


def floor(place: Place) -> Place:
    """The last place that the index knows and that is not behind `place`."""
    return place if len(place[1]) <= HEAD else (place[0], place[1][:HEAD])


def ceiling(place: Place) -> Place:
    """The first place that the index knows and that is not in front of `place`."""
    return place if len(place[1]) <= HEAD else behind_head(place[0], place[1][:HEAD])


def tied(one: Entry, other: Entry) -> bool:
    """Whether the index can not tell which of two elements comes first."""
    return one[0] == other[0] and len(one[1]) >= HEAD and one[1][:HEAD] == other[1][:HEAD]


def condition(low: Place, high: Place) -> tuple[str, list[int | bytes]]:
    """A condition on the columns score and head, with its arguments: from `low` on, before `high`.

    Both have at most 64 bytes.  It is written so that databases take it as ranges of the index (score, head).
    """
    (score, head), (end_score, end_head) = low, high
    if score == end_score or (head and score + 1 == end_score and not end_head):
        if score == end_score:
            return "score=%s AND head>=%s AND head<%s", [score, head, end_head]
        return "score=%s AND head>=%s", [score, head]
    arguments: list[int | bytes] = [score]
    text = "score>=%s"
    if head:
        text = "(score>%s OR (score=%s AND head>=%s))"
        arguments += [score, head]
    if not end_head:
        return f"{text} AND score<%s", [*arguments, end_score]
    return f"{text} AND (score<%s OR (score=%s AND head<%s))", [*arguments, end_score, end_score, end_head]


class ZsetState:
    """What a sorted set's key row knows of its elements: between which places they lie, and how Redis would keep them.

    The bounds may be wide, never narrow.  Whoever reads from an end starts at its bound: rows that were deleted beyond
    it, and that a long reader keeps alive, cost nothing.
    """

    __slots__ = ("chunked", "high", "low", "skiplist")

    _FORMAT = struct.Struct(">BqqB")

    def __init__(self, low: Place = END, high: Place = BEGIN, *, skiplist: bool = False, chunked: bool = False) -> None:
        self.low = low
        self.high = high
        #: Not small (any more).
        self.skiplist = skiplist
        #: Some member was so long that it has chunks.
        self.chunked = chunked

    @classmethod
    def unpack(cls, data: bytes) -> ZsetState:
        flags, low, high, size = cls._FORMAT.unpack_from(data)
        heads = data[cls._FORMAT.size :]
        return cls(
            (low, heads[:size]), (high, heads[size:]), skiplist=bool(flags & 1), chunked=bool(flags & 2)
        )  # fmt: skip

    def pack(self) -> bytes:
        (low, low_head), (high, high_head) = self.low, self.high
        flags = self.skiplist | self.chunked << 1
        return self._FORMAT.pack(flags, low, high, len(low_head)) + low_head + high_head

    def widen(self, score: int) -> None:
        """Take in a score."""
        if (score, b"") < self.low:
            self.low = (score, b"")
        if (score + 1, b"") > self.high:
            self.high = (score + 1, b"")


def state_of(row: KeyRow) -> ZsetState:
    """The state of a sorted set."""
    state = row.state
    if state is None:
        state = row.state = ZsetState.unpack(row.value or b"")
    assert isinstance(state, ZsetState)
    return state
