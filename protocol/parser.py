"""Requests from bytes, in whatever pieces the network delivers them.

There are two ways through. The *fast* one gives a chunk of whole requests to hiredis, in C. hiredis parses replies, so
it accepts much that is no request and preallocates what an array header merely announces; therefore a chunk is looked
over before and the result after, and whenever anything is odd the result is thrown away and the *careful* way, in
Python, decides. The careful way alone defines what a request is; the fast way must never differ from it, which
`tests/property/test_parser_splits.py` proves on random streams in random pieces.

Texts and order of the complaints are those of Redis 7.4. Two differences: an array has at most 1,048,576
elements (Redis: 2,147,483,647), and a NUL byte in a header or an inline command is a byte like any other (Redis waits
for more, because the C string ends there).
"""

import re
from typing import Final

import hiredis

from protocol.errors import ProtocolError
from protocol.numbers import parse_integer

MAX_ARGUMENTS: Final = 1024 * 1024
MAX_BULK: Final = 512 * 1024 * 1024
MAX_INLINE: Final = 64 * 1024
"""Bytes of an inline command or a header without its end of line."""

MAX_ARGUMENTS_BEFORE_AUTH: Final = 10
MAX_BULK_BEFORE_AUTH: Final = 16 * 1024

_ASTERISK: Final = ord("*")
_DOLLAR: Final = ord("$")


class RequestParser:
    """Turns the bytes of one connection into requests: non-empty lists of bytes.

    `authenticated` and `max_bulk` (bytes) may be changed at any time and count for the next request. Before the client
    is authenticated, the sizes of its requests are limited severely; but a request that comes behind others in one
    `feed` may come behind its AUTH. It is then held back unjudged: after those others have been answered, call
    `feed(b"")` while `held_back` is true.
    """

    __slots__ = (
        "_arguments",
        "_body",
        "_collected",
        "_held",
        "_missing",
        "_partial",
        "authenticated",
        "error",
        "held_back",
        "max_bulk",
        "max_inline",
    )

    def __init__(self, *, max_bulk: int = MAX_BULK, max_inline: int = MAX_INLINE, authenticated: bool = True) -> None:
        self.max_bulk = max_bulk
        self.max_inline = max_inline
        self.authenticated = authenticated
        self.error: ProtocolError | None = None
        """Set when the peer broke the protocol, after the good requests before it were returned."""
        self.held_back = False
        self._held = bytearray()  # received and not yet parsed
        self._arguments: list[bytes] = []  # of the request being read
        self._missing = 0  # how many more it has
        self._body = -1  # size of the bulk string whose header was read, else -1
        self._collected = 0  # bytes in _arguments
        self._partial = False  # whether any of these hold something

    @property
    def buffered(self) -> int:
        """Bytes received that are not yet part of a returned request."""
        return len(self._held) + self._collected

    def feed(self, data: bytes) -> list[list[bytes]]:
        """The requests that `data` completes. After an error: none, for ever."""
        if self.error is not None:
            return []
        if self._partial:
            return self._go_on(data)
        if self.authenticated and data[:1] == b"*" and len(data) <= self.max_bulk:
            if data.endswith(b"\r\n"):
                requests = _parse_whole(data)
                if requests is not None:
                    return requests
            head = data.rfind(b"\r\n*") + 2
            if head > 2:
                requests = _parse_whole(data[:head])
                if requests is not None:
                    requests += self._parse_and_keep(data[head:])
                    return requests
        return self._parse_and_keep(data)

    # The careful way.

    def _go_on(self, data: bytes) -> list[list[bytes]]:
        """Feed while a request is incomplete: complete it, then let the rest have the fast way again."""
        held = self._held
        held += data
        only_one = self.authenticated
        requests, position = self._parse(held, only_one)
        if self.error is not None:
            return requests
        if requests and only_one:
            rest = bytes(memoryview(held)[position:])
            held.clear()
            self._partial = False
            if rest:
                requests += self.feed(rest)
            return requests
        del held[:position]
        self._partial = bool(held) or self._missing > 0
        return requests

    def _parse_and_keep(self, data: bytes) -> list[list[bytes]]:
        """Feed while nothing is held."""
        requests, position = self._parse(data, only_one=False)
        if self.error is None:
            self._held += data[position:]
            self._partial = bool(self._held) or self._missing > 0
        return requests

    def _parse(self, buffer: bytes | bytearray, only_one: bool) -> tuple[list[list[bytes]], int]:
        """The requests that `buffer` completes (or just the first), and the position up to which it is parsed."""
        requests: list[list[bytes]] = []
        position = 0
        self.held_back = False
        try:
            while position < len(buffer):
                before = position
                if self._missing:
                    position = self._read_arguments(buffer, position, first=not requests)
                elif buffer[position] == _ASTERISK:
                    position = self._read_array_header(buffer, position, first=not requests)
                else:
                    position = self._read_inline(buffer, position)
                if self._arguments and not self._missing:
                    requests.append(self._arguments)
                    self._arguments = []
                    self._collected = 0
                    if only_one:
                        break
                elif position == before:
                    break
        except ProtocolError as error:
            self.error = error
            self._held = bytearray()
            self._arguments = []
            self._missing = self._collected = 0
            return requests, 0
        return requests, position

    def _read_array_header(self, buffer: bytes | bytearray, position: int, first: bool) -> int:
        """Read `*<count>`. Returns the position after it, or `position` itself when more bytes are needed."""
        end = self._find_header_end(buffer, position, b"Protocol error: too big mbulk count string")
        if end < 0:
            return position
        count = _header_value(buffer, position, end)
        if count is None or count > MAX_ARGUMENTS:
            raise ProtocolError(b"Protocol error: invalid multibulk length")
        if count > MAX_ARGUMENTS_BEFORE_AUTH and not self.authenticated:
            if not first:
                self.held_back = True
                return position
            raise ProtocolError(b"Protocol error: unauthenticated multibulk length")
        self._missing = max(count, 0)
        return end + 2

    def _read_arguments(self, buffer: bytes | bytearray, position: int, first: bool) -> int:
        """Read bulk strings until the request is complete or the bytes run out; returns the position after them."""
        find = buffer.find
        size = len(buffer)
        while self._missing:
            if self._body < 0:
                # Most headers are short; what the table knows needs no further look.
                end = find(b"\r", position, position + _SHORT_HEADER)
                length = _SHORT_BULKS.get(bytes(buffer[position:end])) if 0 <= end < size - 1 else None
                if length is None or length > self.max_bulk:
                    end = self._find_header_end(buffer, position, b"Protocol error: too big bulk count string")
                    if end < 0:
                        return position
                    length = self._judge_bulk_header(buffer, position, end)
                    if length > MAX_BULK_BEFORE_AUTH and not self.authenticated:
                        if not first:
                            self.held_back = True
                            return position
                        raise ProtocolError(b"Protocol error: unauthenticated bulk length")
                self._body = length
                position = end + 2
            # Redis does not look at the two bytes behind a bulk string either.
            stop = position + self._body
            if stop + 2 > size:
                return position
            argument = buffer[position:stop] if type(buffer) is bytes else bytes(memoryview(buffer)[position:stop])
            self._arguments.append(argument)
            self._collected += self._body
            self._missing -= 1
            self._body = -1
            position = stop + 2
        return position

    def _judge_bulk_header(self, buffer: bytes | bytearray, position: int, end: int) -> int:
        if buffer[position] != _DOLLAR:
            got = bytes(buffer[position : position + 1]).translate(_LINE_BREAKS)
            raise ProtocolError(b"Protocol error: expected '$', got '%b'" % got)
        length = _header_value(buffer, position, end)
        if length is None or not 0 <= length <= self.max_bulk:
            raise ProtocolError(b"Protocol error: invalid bulk length")
        return length

    def _read_inline(self, buffer: bytes | bytearray, position: int) -> int:
        """Read a line of words. Returns the position after it, or `position` itself when more bytes are needed."""
        end = buffer.find(b"\n", position, position + self.max_inline + 1)
        if end < 0:
            if len(buffer) - position > self.max_inline:
                raise ProtocolError(b"Protocol error: too big inline request")
            return position
        line = bytes(buffer[position:end]).removesuffix(b"\r")
        try:
            self._arguments = split_inline(line)
        except ValueError:
            raise ProtocolError(b"Protocol error: unbalanced quotes in request") from None
        return end + 1

    def _find_header_end(self, buffer: bytes | bytearray, position: int, too_long: bytes) -> int:
        """The position of a header's CR when the byte behind it is there too, else -1."""
        end = buffer.find(b"\r", position, position + self.max_inline + 1)
        if end < 0 and len(buffer) - position > self.max_inline:
            raise ProtocolError(too_long)
        return end if end + 2 <= len(buffer) else -1


_LINE_BREAKS: Final = bytes.maketrans(b"\r\n", b"  ")
_SHORT_BULKS: Final = {b"$%d" % size: size for size in range(1024)}
_SHORT_HEADER: Final = 6


def _header_value(buffer: bytes | bytearray, position: int, end: int) -> int | None:
    try:
        return parse_integer(bytes(buffer[position + 1 : end]))
    except ValueError:
        return None


# The fast way.

_HUGE_ARRAY = re.compile(rb"\*[0-9]{5}")
_HUGE_OTHER = re.compile(rb"[%>~|][0-9]{5}")
"""Headers for which hiredis would take memory before the elements are there."""

_TYPES_LIKE_REQUESTS: Final = bytes(byte in b"+=(%>~|" for byte in range(256))
"""Marks the first bytes of RESP's types that hiredis returns as bytes or as a list, as it does bulks and arrays."""

_OVERHEAD: Final = [len(b"$%d\r\n\r\n" % size) for size in range(1024)]

_END: Final = object()
_PROBE: Final = b":1\r\n"

_idle_readers: list[hiredis.Reader] = []
"""A reader is clean between two feeds, so connections share them: a reader of its own would keep its largest chunk."""


def _parse_whole(data: bytes) -> list[list[bytes]] | None:
    """The requests in `data` if hiredis and the careful way surely agree on them and nothing is left, else None."""
    if _HUGE_ARRAY.search(data):
        return None
    ambiguous = 1 in data.translate(_TYPES_LIKE_REQUESTS)
    if ambiguous and _HUGE_OTHER.search(data):
        return None
    try:
        reader = _idle_readers.pop()
    except IndexError:
        reader = hiredis.Reader(notEnoughData=_END)
    try:
        reader.feed(data)
        requests = list(iter(reader.gets, _END))
        # `has_data` is false in the middle of an array too, when all elements so far are whole: a probe tells.
        reader.feed(_PROBE)
        if reader.gets() != 1:
            return None
        b"".join(map(b"".join, requests))  # TypeError: something else than a list of bytes
    except (hiredis.ProtocolError, TypeError):
        return None
    _idle_readers.append(reader)
    if not all(requests) or (ambiguous and not _is_written_in_bulks(requests, data)):
        return None
    return requests


def _is_written_in_bulks(requests: list[list[bytes]], data: bytes) -> bool:
    """Whether `data` is arrays of bulk strings only, given what hiredis made of it.

    A length has one spelling, so each element's place follows from the sizes of those before it.
    """
    position = 0
    for request in requests:
        if type(request) is not list or data[position] != _ASTERISK:
            return False
        position += len(b"*%d\r\n" % len(request))
        for argument in request:
            if data[position] != _DOLLAR:
                return False
            size = len(argument)
            position += size + (_OVERHEAD[size] if size < 1024 else len(b"$%d\r\n\r\n" % size))
    return position == len(data)


# Inline commands.

_WORD_ENDS: Final = b" \n\r\t"
_SPACE: Final = b" \t\n\v\f\r"
_ESCAPES: Final = {ord("n"): 10, ord("r"): 13, ord("t"): 9, ord("b"): 8, ord("a"): 7}
_HEXADECIMAL: Final = frozenset(b"0123456789abcdefABCDEF")
_QUOTE: Final = ord("'")
_DOUBLE_QUOTE: Final = ord('"')
_BACKSLASH: Final = ord("\\")


def split_inline(line: bytes) -> list[bytes]:
    r"""The words of a line as a person types them; also the syntax of redis.conf. ValueError: unbalanced quotes.

    `"..."` knows `\n \r \t \b \a \xHH` and takes any other byte behind a backslash as it is; `'...'` knows only `\'`.
    A closing quote must end the word; an opening one may stand inside it.
    """
    if b'"' not in line and b"'" not in line and b"\v" not in line and b"\f" not in line:
        return line.split()
    words: list[bytes] = []
    position = 0
    while True:
        while position < len(line) and line[position] in _SPACE:
            position += 1
        if position == len(line):
            return words
        word = bytearray()
        while position < len(line) and line[position] not in _WORD_ENDS:
            byte = line[position]
            position += 1
            if byte == _QUOTE:
                position = _read_single_quoted(line, position, word)
            elif byte == _DOUBLE_QUOTE:
                position = _read_double_quoted(line, position, word)
            else:
                word.append(byte)
                continue
            break
        words.append(bytes(word))


def _read_single_quoted(line: bytes, position: int, word: bytearray) -> int:
    """Append to `word` up to the closing quote; returns the position after it."""
    while position < len(line):
        if line[position] == _QUOTE:
            return _after_closing_quote(line, position)
        if line.startswith(b"\\'", position):
            position += 1
        word.append(line[position])
        position += 1
    raise ValueError("unbalanced quotes")


def _read_double_quoted(line: bytes, position: int, word: bytearray) -> int:
    """Append to `word` up to the closing quote, escapes resolved; returns the position after it."""
    while position < len(line):
        byte = line[position]
        if byte == _DOUBLE_QUOTE:
            return _after_closing_quote(line, position)
        if byte != _BACKSLASH or position + 1 == len(line):
            word.append(byte)
            position += 1
        elif (
            line[position + 1] == ord("x")
            and len(digits := line[position + 2 : position + 4]) == 2
            and (_HEXADECIMAL.issuperset(digits))
        ):
            word.append(int(digits, 16))
            position += 4
        else:
            word.append(_ESCAPES.get(line[position + 1], line[position + 1]))
            position += 2
    raise ValueError("unbalanced quotes")


def _after_closing_quote(line: bytes, position: int) -> int:
    if position + 1 < len(line) and line[position + 1] not in _SPACE:
        raise ValueError("unbalanced quotes")
    return position + 1
