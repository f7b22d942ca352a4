"""What several families need of sorted sets' arguments and replies: bounds of ranges, members with scores."""

from __future__ import annotations

from collections.abc import Iterable

from protocol.errors import CommandError
from protocol.numbers import parse_bound
from protocol.replies import Double, Pairs, Reply
from storage import scores
from storage.zset_lex import NOTHING, LexRange
from storage.zset_order import Entry, Place


def score_range(low: bytes, high: bytes) -> tuple[Place, Place]:
    """The places of a range of scores, each a number or `(` and a number. CommandError if one is none."""
    try:
        return _score_place(low, after=False), _score_place(high, after=True)
    except ValueError:
        raise CommandError(b"ERR min or max is not a float") from None


def lex_range(low: bytes, high: bytes) -> LexRange:
    """A range of members: `-`, `+`, or `[` or `(` and bytes. CommandError if one is none of these."""
    kinds = [bound[:1] for bound in (low, high)]
    for kind, bound in zip(kinds, (low, high), strict=True):
        # As a C string: what stands behind a NUL is not looked at.
        if kind not in (b"(", b"[") and (kind not in (b"-", b"+") or bound[1:2] not in (b"", b"\0")):
            raise CommandError(b"ERR min or max not valid string range item")
    if kinds[0] == b"+" or kinds[1] == b"-":
        return NOTHING
    start = b"" if kinds[0] == b"-" else low[1:] + (b"\0" if kinds[0] == b"(" else b"")
    stop = None if kinds[1] == b"+" else high[1:] + (b"\0" if kinds[1] == b"[" else b"")
    return LexRange(start, stop)


def members_with_scores(found: Iterable[Entry], *, with_scores: bool) -> Reply:
    """The reply that gives elements in order."""
    if not with_scores:
        return [entry[1] for entry in found]
    return Pairs([(entry[1], Double(scores.decode(entry[0], entry[2]))) for entry in found])


def _score_place(bound: bytes, *, after: bool) -> Place:
    exclusive = bound[:1] == b"("
    key, _ = scores.encode(parse_bound(bound[1:] if exclusive else bound))
    return key + (exclusive != after), b""
