"""What the encoder writes, two independent parsers of clients read back: hiredis and redis-py's own."""

import math
import socket
from types import SimpleNamespace
from typing import Any

import hiredis
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis._parsers import Encoder, _RESP2Parser, _RESP3Parser

from protocol.encoder import LARGE, encode, encode_parts
from protocol.errors import CommandError
from protocol.replies import NULL_ARRAY, BigNumber, Double, Map, NullArray, Push, Reply, SetOf, Simple, Verbatim
from protocol.shortest import format_double

lines = st.binary(max_size=20).filter(lambda line: b"\r" not in line and b"\n" not in line)
bulks = st.one_of(st.binary(max_size=40), st.integers(1000, 1100).map(lambda size: b"\r" * size))
scalars = st.one_of(
    bulks,
    st.integers(-(2**63), 2**63 - 1),
    st.none(),
    st.just(NULL_ARRAY),
    st.booleans(),
    lines.map(Simple),
    st.floats(allow_nan=False).map(Double),
    st.integers(-(2**200), 2**200).map(BigNumber),
    st.binary(max_size=20).map(lambda text: Verbatim(b"txt", text)),
    st.text("ABC def", min_size=1, max_size=12).map(lambda text: CommandError(b"ERR " + text.encode())),
)


def aggregates(elements: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.lists(elements, max_size=5),
        st.lists(elements, max_size=5).map(tuple),
        st.lists(elements, max_size=5).map(SetOf),
        st.dictionaries(st.binary(max_size=5), elements, max_size=5).map(Map.of),
    )


replies = st.recursive(scalars, aggregates, max_leaves=20)


def expected(reply: Reply, version: int, big: type = bytes) -> Any:
    """`reply` as a client's parser shows it: errors as ("error", text), arrays, sets and pushes as lists.

    `big` is the type of RESP3's big numbers: hiredis leaves the digits, redis-py makes an int.
    """
    if isinstance(reply, CommandError):
        return "error", reply.message
    if isinstance(reply, NullArray):
        return None
    if isinstance(reply, Simple):
        return reply.value
    if isinstance(reply, Verbatim):
        return reply.text
    if isinstance(reply, bool):
        return reply if version == 3 else int(reply)
    if isinstance(reply, Double):
        return float(reply) if version == 3 else format_double(reply)
    if isinstance(reply, BigNumber):
        return int(reply) if version == 3 and big is int else b"%d" % reply
    if isinstance(reply, Map) and version == 3:
        return {key: expected(value, version, big) for key, value in reply.pairs}
    if isinstance(reply, Map):
        return [expected(item, version, big) for pair in reply.pairs for item in pair]
    if isinstance(reply, SetOf | Push):
        return [expected(item, version, big) for item in reply.items]
    if isinstance(reply, list | tuple):
        return [expected(item, version, big) for item in reply]
    return reply


def seen(value: Any) -> Any:
    """What a client's parser returned, in the form of `expected`."""
    if isinstance(value, Exception):
        text = str(value).encode()
        return "error", text if text.startswith(b"ERR ") else b"ERR " + text
    if isinstance(value, list | set):
        return [seen(item) for item in value]
    if isinstance(value, dict):
        return {key: seen(item) for key, item in value.items()}
    return value


def read_with_hiredis(data: bytes) -> Any:
    reader = hiredis.Reader(notEnoughData=NotImplemented)
    reader.feed(data)
    value = reader.gets()
    assert value is not NotImplemented
    assert not reader.has_data()
    return value


def read_with_redis_py(data: bytes, version: int) -> Any:
    parser = (_RESP2Parser if version == 2 else _RESP3Parser)(65536)
    server, client = socket.socketpair()
    with server, client:
        client.settimeout(5)
        encoder = Encoder("utf-8", "strict", False)
        parser.on_connect(SimpleNamespace(_sock=client, encoder=encoder, socket_timeout=5))
        server.sendall(data)
        value = parser.read_response(disable_decoding=True)
        assert not parser.can_read(timeout=0)
    return value


@pytest.mark.parametrize("version", [2, 3])
@settings(max_examples=500, deadline=None)
@given(reply=replies)
def test_hiredis_reads_what_was_meant(reply: Reply, version: int) -> None:
    assert seen(read_with_hiredis(encode(reply, version))) == expected(reply, version)


@pytest.mark.parametrize("version", [2, 3])
@settings(max_examples=150, deadline=None)
@given(reply=st.lists(replies, max_size=3))
def test_redis_py_reads_what_was_meant(reply: Reply, version: int) -> None:
    assert seen(read_with_redis_py(encode(reply, version), version)) == expected(reply, version, big=int)


@pytest.mark.parametrize("version", [2, 3])
@settings(max_examples=300, deadline=None)
@given(reply=st.one_of(replies, st.lists(st.one_of(replies, st.just(b"x" * LARGE)), max_size=5)))
def test_parts_together_are_the_whole(reply: Reply, version: int) -> None:
    parts = [b"before"]

    encode_parts(reply, version, parts)

    assert b"".join(parts) == b"before" + encode(reply, version)


@pytest.mark.parametrize("version", [2, 3])
def test_infinite_doubles_are_read(version: int) -> None:
    value = read_with_hiredis(encode([Double(math.inf), Double(-math.inf)], version))

    assert [float(item) for item in value] == [math.inf, -math.inf]
