"""Replies that are encoded piece by piece: the pieces together are what `encode` gives, and each is of bounded size."""

from typing import Any

import pytest

from protocol.encoder import LARGE, MANY, encode, encode_parts
from protocol.replies import Double, Map, Pairs, SetOf

COUNT = 3 * MANY + 7
LONG = b"x" * LARGE

REPLIES: list[Any] = [
    [b"%d" % n for n in range(COUNT)],
    list(range(COUNT)),
    Map([(b"%d" % n, b"value") for n in range(COUNT)]),
    Pairs([(b"%d" % n, Double(n)) for n in range(COUNT)]),
    SetOf([b"%d" % n for n in range(COUNT)]),
    [[b"%d-0" % n, [b"field", None]] for n in range(COUNT)],
    [[[n] * 100 for n in range(100)] for _ in range(10)],
    [LONG if n % 1000 == 0 else b"%d" % n for n in range(COUNT)],
    [b"a", [LONG, [b"%d" % n for n in range(COUNT)], LONG], b"z"],
]


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("reply", REPLIES, ids=range(len(REPLIES)))
def test_the_pieces_are_the_reply(reply: Any, version: int) -> None:
    parts = [b"before"]

    encode_parts(reply, version, parts)

    assert parts[0] == b"before"
    assert b"".join(parts[1:]) == encode(reply, version)
    assert max(part.count(b"\r\n") for part in parts) < 2 * MANY
    assert sum(part is LONG for part in parts) == encode(reply, version).count(LONG)


def test_nothing_is_left_of_a_long_reply_that_can_not_be_encoded() -> None:
    parts = [b"before"]

    with pytest.raises(TypeError, match="not a reply"):
        encode_parts([*range(COUNT), object()], 2, parts)

    assert parts == [b"before"]
