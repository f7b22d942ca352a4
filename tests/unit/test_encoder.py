"""The wire form of each kind of reply."""

from typing import Any

import pytest

from protocol import errors
from protocol.encoder import LARGE, encode, encode_parts
from protocol.errors import CommandError
from protocol.replies import NULL_ARRAY, OK, BigNumber, Double, DoubleText, Map, Push, SetOf, Simple, Verbatim

FORMS: list[tuple[Any, bytes, bytes]] = [
    (b"", b"$0\r\n\r\n", b"$0\r\n\r\n"),
    (b"a\r\nb", b"$4\r\na\r\nb\r\n", b"$4\r\na\r\nb\r\n"),
    (b"v" * 1023, b"$1023\r\n" + b"v" * 1023 + b"\r\n", b"$1023\r\n" + b"v" * 1023 + b"\r\n"),
    (b"v" * 1024, b"$1024\r\n" + b"v" * 1024 + b"\r\n", b"$1024\r\n" + b"v" * 1024 + b"\r\n"),
    (-7, b":-7\r\n", b":-7\r\n"),
    (None, b"$-1\r\n", b"_\r\n"),
    (NULL_ARRAY, b"*-1\r\n", b"_\r\n"),
    (True, b":1\r\n", b"#t\r\n"),
    (False, b":0\r\n", b"#f\r\n"),
    (OK, b"+OK\r\n", b"+OK\r\n"),
    (Simple(b"a\r\nb"), b"+a  b\r\n", b"+a  b\r\n"),
    (CommandError(b"ERR no"), b"-ERR no\r\n", b"-ERR no\r\n"),
    (CommandError(b"ERR a\r\nb\r\n"), b"-ERR a  b\r\n", b"-ERR a  b\r\n"),
    (Double(0.1), b"$3\r\n0.1\r\n", b",0.1\r\n"),
    (Double(3), b"$1\r\n3\r\n", b",3\r\n"),
    (DoubleText(b"0.10000000000000001"), b"$19\r\n0.10000000000000001\r\n", b",0.10000000000000001\r\n"),
    (Double("-inf"), b"$4\r\n-inf\r\n", b",-inf\r\n"),
    (BigNumber(2**70), b"$22\r\n1180591620717411303424\r\n", b"(1180591620717411303424\r\n"),
    (Verbatim(b"txt", b"hi"), b"$2\r\nhi\r\n", b"=6\r\ntxt:hi\r\n"),
    ([], b"*0\r\n", b"*0\r\n"),
    ((1, None), b"*2\r\n:1\r\n$-1\r\n", b"*2\r\n:1\r\n_\r\n"),
    (
        Map([(b"a", 1), (b"b", [])]),
        b"*4\r\n$1\r\na\r\n:1\r\n$1\r\nb\r\n*0\r\n",
        b"%2\r\n$1\r\na\r\n:1\r\n$1\r\nb\r\n*0\r\n",
    ),
    (Map([]), b"*0\r\n", b"%0\r\n"),
    (SetOf([b"a"]), b"*1\r\n$1\r\na\r\n", b"~1\r\n$1\r\na\r\n"),
    (Push([b"message", 1]), b"*2\r\n$7\r\nmessage\r\n:1\r\n", b">2\r\n$7\r\nmessage\r\n:1\r\n"),
    (
        [[[1], 2], [OK, True]],
        b"*2\r\n*2\r\n*1\r\n:1\r\n:2\r\n*2\r\n+OK\r\n:1\r\n",
        b"*2\r\n*2\r\n*1\r\n:1\r\n:2\r\n*2\r\n+OK\r\n#t\r\n",
    ),
]


@pytest.mark.parametrize(("reply", "resp2", "resp3"), FORMS, ids=lambda value: repr(value)[:30])
def test_reply_has_its_form_in_both_versions(reply: Any, resp2: bytes, resp3: bytes) -> None:
    assert encode(reply, 2) == resp2
    assert encode(reply, 3) == resp3
    assert encode([reply], 2) == b"*1\r\n" + resp2
    assert encode([reply], 3) == b"*1\r\n" + resp3


@pytest.mark.parametrize("reply", ["text", 1.5, {b"a": 1}, object(), [b"a", "text"], {b"a"}])
def test_value_that_is_no_reply_is_refused_and_leaves_no_part_behind(reply: Any) -> None:
    parts: list[bytes] = []

    with pytest.raises(TypeError, match="not a reply"):
        encode(reply, 2)
    with pytest.raises(TypeError, match="not a reply"):
        encode_parts(reply, 3, parts)

    assert parts == []


def test_nesting_has_no_limit() -> None:
    reply: list[Any] = []
    for _ in range(100_000):
        reply = [reply]

    assert encode(reply, 2) == b"*1\r\n" * 100_000 + b"*0\r\n"
    while reply:  # taken apart here: freeing it at once would nest as deep
        reply = reply[0]


def test_large_bulk_is_a_part_by_itself_and_not_copied() -> None:
    large = b"x" * LARGE
    parts: list[bytes] = []

    encode_parts([b"a", large, large, 5], 2, parts)

    assert parts[1] is large
    assert parts[3] is large
    assert b"".join(parts) == encode([b"a", large, large, 5], 2)


def test_a_lone_large_bulk_is_not_copied_either() -> None:
    large = b"x" * LARGE
    parts: list[bytes] = []

    encode_parts(large, 2, parts)

    assert parts == [b"$65536\r\n", large, b"\r\n"]
    assert parts[1] is large


def test_subclasses_encode_as_their_base() -> None:
    class BusyError(CommandError):
        pass

    class Name(bytes):
        pass

    class Row(tuple[Any, ...]):
        pass

    reply = [BusyError(b"BUSY x"), Name(b"n"), Row((1, 2))]

    assert encode(reply, 3) == b"*3\r\n-BUSY x\r\n$1\r\nn\r\n*2\r\n:1\r\n:2\r\n"


def test_verbatim_format_has_three_bytes() -> None:
    with pytest.raises(ValueError, match="three bytes"):
        Verbatim(b"text", b"")


def test_unknown_command_repeats_words_up_to_128_bytes() -> None:
    error = errors.unknown_command(b"x" * 200, [b"y" * 100, b"z" * 60, b"q"])

    assert error.message == (
        b"ERR unknown command '%b', with args beginning with: '%b' '%b' " % (b"x" * 128, b"y" * 100, b"z" * 25)
    )
    assert error.code == b"ERR"


def test_unknown_command_repeats_words_up_to_a_nul_and_without_line_breaks() -> None:
    error = errors.unknown_command(b"ab\0c", [b"a\0b", b"x\r\ny"])

    assert encode(error, 2) == b"-ERR unknown command 'ab', with args beginning with: 'a' 'x  y' \r\n"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (errors.unknown_command(b"FOO", []), b"ERR unknown command 'FOO', with args beginning with: "),
        (errors.unknown_subcommand(b"Foo", b"config"), b"ERR unknown subcommand 'Foo'. Try CONFIG HELP."),
        (errors.wrong_arity(b"CONFIG|GET"), b"ERR wrong number of arguments for 'config|get' command"),
        (errors.invalid_expire(b"SETEX"), b"ERR invalid expire time in 'setex' command"),
        (errors.wrong_type(), b"WRONGTYPE Operation against a key holding the wrong kind of value"),
    ],
)
def test_error_texts_are_those_of_redis(error: CommandError, message: bytes) -> None:
    assert error.message == message


def test_errors_are_never_shared() -> None:
    assert errors.syntax_error() is not errors.syntax_error()
