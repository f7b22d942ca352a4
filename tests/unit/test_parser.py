"""Limits, memory and the ways of the request parser, without a server beside it."""

import tracemalloc

import pytest

from protocol.parser import MAX_ARGUMENTS, MAX_INLINE, RequestParser, split_inline


def request(*arguments: bytes) -> bytes:
    return b"*%d\r\n" % len(arguments) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in arguments)


def complaint(parser: RequestParser) -> bytes | None:
    return parser.error.message if parser.error else None


def test_pipelined_requests_come_out_in_order() -> None:
    parser = RequestParser()

    assert parser.feed(request(b"SET", b"a", b"") + request(b"GET", b"a")) == [[b"SET", b"a", b""], [b"GET", b"a"]]
    assert parser.buffered == 0


def test_inline_and_array_requests_mix() -> None:
    parser = RequestParser()

    assert parser.feed(b"PING\r\n" + request(b"GET", b"a") + b"\r\n*0\r\nGET b\n") == [
        [b"PING"],
        [b"GET", b"a"],
        [b"GET", b"b"],
    ]


def test_requests_before_a_complaint_are_returned_and_nothing_after_it() -> None:
    parser = RequestParser()

    assert parser.feed(request(b"PING") + b"*1\r\n:1\r\n" + request(b"PING")) == [[b"PING"]]
    assert complaint(parser) == b"Protocol error: expected '$', got ':'"
    assert parser.feed(request(b"PING")) == []
    assert parser.buffered == 0


def test_buffered_counts_the_words_of_an_unfinished_request() -> None:
    parser = RequestParser()

    assert parser.feed(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$100\r\n" + b"v" * 60) == []
    assert parser.buffered == 64
    assert parser.feed(b"v" * 40 + b"\r\n") == [[b"SET", b"k", b"v" * 100]]
    assert parser.buffered == 0


def test_change_of_max_bulk_counts_for_the_next_request() -> None:
    parser = RequestParser(max_bulk=10)

    assert parser.feed(request(b"ECHO", b"v" * 10)) == [[b"ECHO", b"v" * 10]]
    parser.max_bulk = 20
    assert parser.feed(request(b"ECHO", b"v" * 20)) == [[b"ECHO", b"v" * 20]]
    assert parser.feed(request(b"ECHO", b"v" * 21)) == []
    assert complaint(parser) == b"Protocol error: invalid bulk length"


def test_array_of_the_greatest_size_passes() -> None:
    arguments = [b"x"] * MAX_ARGUMENTS
    parser = RequestParser()

    assert parser.feed(b"*%d\r\n" % MAX_ARGUMENTS + b"$1\r\nx\r\n" * MAX_ARGUMENTS) == [arguments]


def test_array_beyond_the_greatest_size_is_refused_at_its_header() -> None:
    parser = RequestParser()

    assert parser.feed(b"*%d\r\n" % (MAX_ARGUMENTS + 1)) == []
    assert complaint(parser) == b"Protocol error: invalid multibulk length"


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (b"", b"Protocol error: too big inline request"),
        (b"*", b"Protocol error: too big mbulk count string"),
        (b"*1\r\n$", b"Protocol error: too big bulk count string"),
    ],
)
@pytest.mark.parametrize("step", [1000, 10**6])
def test_line_without_an_end_is_refused_beyond_64_kib(head: bytes, message: bytes, step: int) -> None:
    line = b"1" * (MAX_INLINE - len(head.split(b"\n")[-1]))
    parser = RequestParser()

    for start in range(0, len(head + line), step):
        assert parser.feed((head + line)[start : start + step]) == []
    assert parser.error is None
    assert parser.feed(b"1") == []
    assert complaint(parser) == message


@pytest.mark.parametrize(
    "announcement",
    [
        b"*1048576\r\n",
        b"*2000000000\r\n",
        b"*1\r\n*2000000000\r\n",
        b"*1\r\n>2000000000\r\n",
        b"*1\r\n~2000000000\r\n",
        b"*1\r\n%2000000000\r\n",
        b"*1\r\n|2000000000\r\n",
        b"*1\r\n$1\r\na..*2000000000\r\n",
        b"*1\r\n$1\r\na..>2000000000\r\n",
        b"*2\r\n$1\r\na\r\n$536870912\r\n",
        b"*1\r\n=536870912\r\n",
    ],
)
def test_what_is_merely_announced_takes_no_memory(announcement: bytes) -> None:
    parser = RequestParser()
    tracemalloc.start()

    parser.feed(request(b"PING") + announcement)
    _, peak = tracemalloc.get_traced_memory()

    tracemalloc.stop()
    assert peak < 200_000


def test_large_body_in_small_pieces_takes_its_size_and_one_copy() -> None:
    size = 32 * 1024 * 1024
    parser = RequestParser()
    piece = b"v" * 16_384
    tracemalloc.start()

    parser.feed(b"*2\r\n$4\r\nECHO\r\n$%d\r\n" % size)
    for _ in range(size // len(piece)):
        assert parser.feed(piece) == []
    requests = parser.feed(b"\r\n")
    _, peak = tracemalloc.get_traced_memory()

    tracemalloc.stop()
    assert [list(map(len, arguments)) for arguments in requests] == [[4, size]]
    assert peak < 2.5 * size
    assert parser.buffered == 0


def test_requests_behind_the_completed_one_are_not_lost() -> None:
    parser = RequestParser()
    stream = request(b"SET", b"k", b"v") * 3 + b"PING\r\n" + request(b"GET", b"k")[:-1]

    assert parser.feed(stream[:10]) == []
    assert parser.feed(stream[10:]) == [[b"SET", b"k", b"v"]] * 3 + [[b"PING"]]
    assert parser.feed(b"\n") == [[b"GET", b"k"]]


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        (b"*11\r\n", b"Protocol error: unauthenticated multibulk length"),
        (b"*1\r\n$16385\r\n", b"Protocol error: unauthenticated bulk length"),
    ],
)
def test_sizes_before_auth_are_limited(stream: bytes, message: bytes) -> None:
    parser = RequestParser(authenticated=False)

    assert parser.feed(stream) == []
    assert complaint(parser) == message


def test_request_behind_an_auth_waits_for_its_outcome() -> None:
    auth = request(b"AUTH", b"secret")
    large = request(*[b"DEL"] * 11) + request(b"ECHO", b"v" * 20_000)
    parser = RequestParser(authenticated=False)

    assert parser.feed(auth + large) == [[b"AUTH", b"secret"]]
    assert parser.held_back
    assert parser.error is None
    parser.authenticated = True
    assert parser.feed(b"") == [[b"DEL"] * 11, [b"ECHO", b"v" * 20_000]]
    assert not parser.held_back


def test_request_behind_a_failed_auth_is_refused() -> None:
    parser = RequestParser(authenticated=False)

    assert parser.feed(request(b"AUTH", b"wrong") + request(b"ECHO", b"v" * 20_000)) == [[b"AUTH", b"wrong"]]
    assert parser.feed(b"") == []
    assert complaint(parser) == b"Protocol error: unauthenticated bulk length"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"", []),
        (b"  GET \t a  ", [b"GET", b"a"]),
        (b'SET k "a b"', [b"SET", b"k", b"a b"]),
        (b'"\\x41\\n\\r\\t\\b\\a\\\\\\"\\q\\x4"', [b'A\n\r\t\b\a\\"qx4']),
        (b"'a\\'b\\n\\x41'", [b"a'b\\n\\x41"]),
        (b"\"\" ''", [b"", b""]),
        (b"a\"b c\" d'e'", [b"ab c", b"de"]),
        (b"a\\ b", [b"a\\", b"b"]),
        (b"\va\vb \fc", [b"a\vb", b"c"]),
    ],
)
def test_inline_words_are_split_as_a_person_means_them(line: bytes, words: list[bytes]) -> None:
    assert split_inline(line) == words


@pytest.mark.parametrize(
    "line", [b'"', b"'", b'a "b', b"a 'b", b'"a"b', b"'a'b", b'"a\\"', b"'a\\'", b'"a\\', b'"a""b"']
)
def test_unbalanced_quotes_are_refused(line: bytes) -> None:
    with pytest.raises(ValueError, match="unbalanced"):
        split_inline(line)
