"""Which requests overwrite their keys without anybody looking at what is there."""

import pytest

import server.commands  # noqa: F401  (declares all commands)
from server.registry import find
from storage.strings import INLINE

LONG = b"x" * (INLINE + 1)


def is_blind(*request: bytes) -> bool:
    command = find(list(request))
    return command.blind is not None and command.blind(list(request))


@pytest.mark.parametrize(
    "request_",
    [
        (b"SET", b"a", b"1"),
        (b"SET", b"a", LONG[1:]),
        (b"SET", b"a", b"1", b"ex", b"10"),
        (b"SET", b"a", b"1", b"PX", b"999999999999"),
        (b"SETEX", b"a", b"10", b"1"),
        (b"PSETEX", b"a", b"10", b"1"),
        (b"MSET", b"a", b"1", b"b", LONG[1:]),
    ],
)
def test_a_plain_write_is_blind(request_: tuple[bytes, ...]) -> None:
    assert is_blind(*request_)


@pytest.mark.parametrize(
    "request_",
    [
        (b"SET", b"a", LONG),
        (b"SET", b"a", b"1", b"NX"),
        (b"SET", b"a", b"1", b"XX"),
        (b"SET", b"a", b"1", b"GET"),
        (b"SET", b"a", b"1", b"KEEPTTL"),
        (b"SET", b"a", b"1", b"EX", b"10", b"GET"),
        (b"SET", b"a", b"1", b"EXAT", b"10"),
        (b"SET", b"a", b"1", b"EX", b"0"),
        (b"SET", b"a", b"1", b"EX", b"x"),
        (b"SET", b"a", b"1", b"EX", b"10", b"FOO"),
        (b"SET", b"a", b"1", b"PX", b"9223372036854775807"),
        (b"SETEX", b"a", b"-1", b"1"),
        (b"SETEX", b"a", b"10", LONG),
        (b"MSET", b"a", b"1", b"b"),
        (b"MSET", b"a", b"1", b"b", LONG),
        (b"MSETNX", b"a", b"1"),
        (b"SETNX", b"a", b"1"),
        (b"GETSET", b"a", b"1"),
    ],
)
def test_what_looks_at_the_old_value_or_will_be_refused_is_not(request_: tuple[bytes, ...]) -> None:
    assert not is_blind(*request_)
