"""A stream of requests means the same in whatever pieces it arrives, and the same as to redis-server."""

from itertools import pairwise
from typing import Any

import hiredis
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from protocol.parser import RequestParser

Outcome = tuple[list[list[bytes]], bytes | None, int | None]


def request(*arguments: bytes) -> bytes:
    return b"*%d\r\n" % len(arguments) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in arguments)


def parse(pieces: list[bytes], **options: Any) -> Outcome:
    """Requests, complaint and bytes left after feeding `pieces` as a connection does."""
    parser = RequestParser(**options)
    requests: list[list[bytes]] = []
    for piece in pieces:
        requests += parser.feed(piece)
        while parser.held_back:
            requests += parser.feed(b"")
    if parser.error is None:
        return requests, None, parser.buffered
    assert parser.feed(request(b"PING")) == []
    return requests, parser.error.message, None


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    borders = sorted({place % (len(stream) + 1) for place in places} | {0, len(stream)})
    return [stream[start:end] for start, end in pairwise(borders)]


# Bytes that mean something to RESP, and sizes around the limits below.
words = st.one_of(
    st.lists(st.sampled_from([bytes((byte,)) for byte in b"*$+-:,_#(!=%>~|\r\n01259 \"'\\xnA\xff\0"]), max_size=12).map(
        b"".join
    ),
    st.binary(max_size=40),
    st.integers(0, 3000).map(lambda size: b"v" * size),
)
good_requests = st.lists(words, min_size=1, max_size=6).map(lambda arguments: request(*arguments))
odd_headers = st.sampled_from(
    [
        *(b"*0\r\n", b"*-1\r\n", b"*-7\r\n", b"\r\n", b"\n", b"*", b"$", b"*2\r\n", b"*1\r\n", b"*3\r\n$3\r\nSET\r\n"),
        *(b"*01\r\n", b"*+1\r\n", b"*a\r\n", b"* 1\r\n", b"*1\rx", b"*1\n", b"*20\r\n", b"*99999\r\n", b"*1048577\r\n"),
        *(b"$-1\r\n", b"$01\r\n", b"$4\r\n", b"$0\r\n\r\n", b"$1\r\naXX", b"$9\r\n", b"$99999\r\n", b"$600000000\r\n"),
        *(
            b"+OK\r\n",
            b":5\r\n",
            b"-ERR x\r\n",
            b"_\r\n",
            b"#t\r\n",
            b",1.5\r\n",
            b"(12\r\n",
            b"(\r\n",
            b"=5\r\ntxt:a\r\n",
        ),
        *(
            b"%1\r\n",
            b"~1\r\n",
            b">1\r\n",
            b"|1\r\n",
            b"%0\r\n",
            b"~0\r\n",
            b"!1\r\na\r\n",
            b">99999999\r\n",
            b"~9999999\r\n",
        ),
    ]
)
inline_commands = st.sampled_from(
    [b"PING\r\n", b"ECHO a\n", b'SET "a\\x41\\n" b\r\n', b"GET 'a\\'b'\r\n", b'GET "a"b\r\n', b"GET 'a\r\n", b"  \r\n"]
)
streams = st.lists(st.one_of(good_requests, good_requests, odd_headers, inline_commands, words), max_size=10).map(
    b"".join
)
places = st.lists(st.integers(0, 100_000), max_size=12)
limits = st.sampled_from([{}, {"max_bulk": 100}, {"max_inline": 20}, {"max_bulk": 2000, "max_inline": 64}])


@settings(max_examples=1500, deadline=None)
@given(streams, places, limits, st.booleans())
@example(b"*1\r\n+PING\r\n", [], {}, True)
@example(b"*1\r\n$1\r\naXX+PING\r\n", [], {}, True)
@example(b"*2\r\n+a\r\n=5\r\ntxt:a\r\n", [], {}, True)
@example(request(b"PING") + b"~1\r\n$4\r\nPING\r\n", [], {}, True)
@example(request(b"PING") + b">1\r\n$4\r\nPING\r\n", [], {}, True)
@example(request(b"PING") + b"%1\r\n$4\r\nPING\r\n$1\r\na\r\n", [], {}, True)
@example(request(b"PING") + b":1\r\n*2\r\n$3\r\nGET\r\n", [], {}, True)
@example(request(b"PING") + b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n", [], {}, True)
@example(request(b"SET", b"a+b", b"c\r\n+d") * 3, [], {}, True)
@example(request(b"SET", b"a", b"*12345") * 3, [], {}, True)
@example(request(b"PING", b"v" * 30_000) + request(*[b"a"] * 11), [], {}, False)
def test_any_split_gives_the_requests_and_the_error_of_byte_by_byte(
    stream: bytes, places: list[int], limits: dict[str, int], authenticated: bool
) -> None:
    # Single bytes never take the fast way, so this is what the careful way says.
    expected = parse([stream[index : index + 1] for index in range(len(stream))], authenticated=authenticated, **limits)

    assert parse([stream], authenticated=authenticated, **limits) == expected
    assert parse(cut(stream, places), authenticated=authenticated, **limits) == expected


@settings(max_examples=500, deadline=None)
@given(st.lists(st.lists(words, min_size=1, max_size=5), max_size=20), places)
def test_valid_requests_come_out_as_they_went_in(requests: list[list[bytes]], places: list[int]) -> None:
    stream = b"".join(request(*arguments) for arguments in requests)

    assert parse([stream]) == (requests, None, 0)
    assert parse(cut(stream, places)) == (requests, None, 0)


MALFORMED = [
    b"*2147483648\r\n",
    b"*abc\r\n",
    b"*\r\nPING\r\n",
    b"*01\r\n",
    b"* 1\r\n",
    b"*-0\r\n",
    b"*+1\r\n",
    b"*-99999999999999999999\r\n",
    b"*-1\r\nPING\r\n",
    b"*0\r\nPING\r\n",
    b"*1\r\n+PING\r\n",
    b"*1\r\n:5\r\n",
    b"*1\r\n*1\r\n$4\r\nPING\r\n",
    b"*1\r\n\r\nPING\r\n",
    b"*1\r\n\nPING\r\n",
    b"*1\r\n$abc\r\n",
    b"*1\r\n$-1\r\n",
    b"*1\r\n$04\r\nPING\r\n",
    b"*1\r\n$4 \r\nPING\r\n",
    b"*1\r\n$\r\n",
    b"*1\r\n$536870912\r\n",
    b"*1\r\n$536870913\r\n",
    b"*1\r\n$9223372036854775808\r\n",
    b"*1\r\n$4\r\nPINGXXPING\r\n",
    b"*1\r\n$4\rXPING\r\n",
    b"*1\rX$4\r\nPING\r\n",
    b"*1\r",
    b"*1\r\n+PING",
    b"*" + b"1" * 70_000,
    b"*1\r\n$" + b"1" * 70_000,
    b"a" * 70_000,
    b'"abc\r\n',
    b"PING 'a' 'b\r\n",
    b'PING "a"b\r\n',
    b"PING 'a'b\r\n",
    b'PING "a\\"\r\n',
    b"PING 'a\\\r\n",
    b"PING a'b c'\r\n",
    b'PING a"b\\x4a\\x4\\q\\n"\r\n',
    b"PING 'a\\'b\\x'\r\n",
    b'PING ""\r\n',
    b"PING a\rb\r\n",
    b"PING a\r\r\n",
    b"PING a\vb\r\n",
    b"PING a\v'b'\r\n",
    b'PING "a"\vb\r\n',
    b"PING \v\fb\r\n",
    b"\v\r\nPING\r\n",
    b"\r\n\n \r\nPING\r\n",
    b"PING \xff\r\n",
    b"+OK\r\n:1\r\n$4\r\nPING\r\n",
]
BEFORE_AUTH = [
    b"*10\r\n",
    b"*11\r\n",
    b"*2147483648\r\n",
    b"*-1\r\n*11\r\n",
    b"*1\r\n$16384\r\n",
    b"*1\r\n$16385\r\n",
    b"*1\r\n$536870913\r\n",
    b"*1\r\n+16385\r\n",
    b"PING\r\n*11\r\n",
    request(b"PING", b"v" * 100) + b"*1\r\n$16385\r\n",
    b"PING " + b"a" * 20_000 + b"\r\n",
    b"PING" + b" a" * 20 + b"\r\n",
]


def assert_same_as_redis(stream: bytes, answer: bytes, *, authenticated: bool = True) -> None:
    """As many replies as requests, the last one being the complaint if there is one."""
    requests, complaint, _ = parse([stream], authenticated=authenticated)
    reader = hiredis.Reader(notEnoughData=None)
    reader.feed(answer)
    replies = list(iter(reader.gets, None))
    if complaint is not None:
        assert answer.endswith(b"-ERR " + complaint + b"\r\n")
        replies.pop()
    errors = [str(reply) for reply in replies if isinstance(reply, hiredis.ReplyError)]
    assert not [text for text in errors if text.startswith("ERR Protocol error")]
    assert len(replies) == len(requests)
    if authenticated:
        for reply, arguments in zip(replies, requests, strict=True):
            if arguments[0].upper() in (b"PING", b"ECHO") and len(arguments) == 2:
                assert reply == arguments[1]


@pytest.mark.parametrize("stream", MALFORMED, ids=lambda stream: repr(stream[:30]))
def test_complaint_is_that_of_redis_server(stream: bytes, redis_oracle: Any) -> None:
    assert_same_as_redis(stream, redis_oracle.converse(stream))


@pytest.mark.parametrize("stream", BEFORE_AUTH, ids=lambda stream: repr(stream[:30]))
def test_complaint_before_auth_is_that_of_redis_server(stream: bytes, redis_oracle_with_password: Any) -> None:
    assert_same_as_redis(stream, redis_oracle_with_password.converse(stream), authenticated=False)


# No NUL: at one, Redis waits for more. Every good request is an ECHO, so that nothing happens to the oracle.
echoed = words.map(lambda word: word.replace(b"\0", b"."))
echoes = st.one_of(
    echoed.map(lambda word: request(b"ECHO", word)),
    st.text("abc \t\r\v\f\\'\"x41nrtz", max_size=15).map(lambda text: b"ECHO %b\r\n" % text.encode()),
)
oracle_headers = odd_headers.filter(lambda header: header != b"*1048577\r\n")


@settings(max_examples=300, deadline=None)
@given(stream=st.lists(st.one_of(echoes, echoes, oracle_headers), max_size=6).map(b"".join))
def test_random_streams_mean_the_same_to_redis_server(stream: bytes, redis_oracle: Any) -> None:
    assert_same_as_redis(stream, redis_oracle.converse(stream))
