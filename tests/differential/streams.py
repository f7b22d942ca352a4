"""Random commands about streams and their consumer groups, and when two replies to them are the same.

Ids are given, not made of the time; of replies that tell times or idle times only the rest is compared.
"""

from collections.abc import Sequence
from typing import Any

import hiredis
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

Command = tuple[bytes, ...]

#: What no clock of a test comes near: greater integers are times.
_TIMES_FROM = 10**12


def _any(*options: bytes) -> SearchStrategy[bytes]:
    return st.sampled_from(options)


def _words(text: str) -> SearchStrategy[bytes]:
    return st.sampled_from(text.encode().split())


def _options(*lines: str) -> SearchStrategy[tuple[bytes, ...]]:
    return st.sampled_from([tuple(line.encode().split()) for line in lines])


def _line(*parts: bytes | SearchStrategy[bytes] | SearchStrategy[tuple[bytes, ...]]) -> SearchStrategy[Command]:
    def flat(drawn: tuple[bytes | tuple[bytes, ...], ...]) -> Command:
        return tuple(word for part in drawn for word in ((part,) if isinstance(part, bytes) else part))

    return st.tuples(*(st.just(part) if isinstance(part, bytes) else part for part in parts)).map(flat)


_IDS = st.tuples(st.integers(0, 12), st.integers(0, 3)).map(lambda number: b"%d-%d" % number)
_SOME_IDS = st.lists(_IDS, min_size=1, max_size=5).map(tuple)
# What comes last succeeds nearly always.
_NEW_IDS = st.one_of(
    _IDS, st.integers(0, 14).map(lambda ms: b"%d-*" % ms), _words("12-* 12-* 12-* 13-* 7 18446744073709551615-* x 0-0")
)
_BOUNDS = st.one_of(_IDS, _IDS.map(lambda number: b"(" + number), _words("- + 3 (3 (0-0 x 18446744073709551615"))
_COUNTS = _options("", "COUNT 1", "COUNT 2", "COUNT 3", "COUNT 0", "COUNT -1", "COUNT 100", "COUNT x", "COUNT")
_GROUPS = _words("g g g h i")
_CONSUMERS = _words("alice alice bob carl")
_TRIMS = _options(
    "MAXLEN 3", "MAXLEN 0", "MAXLEN = 2", "MAXLEN ~ 2", "MAXLEN ~ 0", "MINID 5", "MINID = 12-2", "MINID ~ 5-1",
    "MINID ~ 14", "MINID ~ 14 LIMIT 2", "MAXLEN ~ 0 LIMIT 3", "MAXLEN 5 LIMIT 3", "MAXLEN -1", "MINID x", "MAXLEN x",
)  # fmt: skip
_FIELDS = st.sampled_from([(b"f", b"v"), (b"a", b"1", b"a", b"2"), (b"\x00:,", b"\r\n\xff"), (b"", b""), (b"odd",)])
_READ_FROM = st.one_of(_IDS, _words("0 0 $ + > x"))
_FOR_GROUP = st.one_of(_IDS, _words("> > > > 0 0 $ x"))
_IDLE = _words("0 0 0 100000 -1 x")


def commands(names: Sequence[bytes]) -> SearchStrategy[Command]:
    """One command on these keys."""
    key = _any(*names)
    two = st.tuples(key, key)
    adding = [
        _line(b"XADD", key, _NEW_IDS, _FIELDS), _line(b"XADD", key, _words("12-* 13-*"), _FIELDS),
        _line(b"XADD", key, _options("", "NOMKSTREAM"), _TRIMS, _NEW_IDS, _FIELDS), _line(b"XTRIM", key, _TRIMS),
        _line(b"XDEL", key, _SOME_IDS), _line(b"XSETID", key, _IDS),
        _line(b"XSETID", key, _IDS, _options("ENTRIESADDED 3 MAXDELETEDID 1-1", "ENTRIESADDED 100", "MAXDELETEDID 9")),
        _line(b"DEL", key), _line(b"RENAME", two), _line(b"SET", key, b"string"), _line(b"PEXPIRE", key, b"0"),
    ]  # fmt: skip
    reading = [
        _line(b"XLEN", key), _line(b"XRANGE", key, _BOUNDS, _BOUNDS, _COUNTS), _line(b"XRANGE", key, _IDS, b"+",
        _COUNTS), _line(b"XREVRANGE", key, _BOUNDS, _BOUNDS, _COUNTS), _line(b"XREVRANGE", key, b"+", _IDS, _COUNTS),
        _line(b"XREAD", _COUNTS, b"STREAMS", key, _READ_FROM), _line(b"XREAD", _COUNTS, b"STREAMS", two, _READ_FROM,
        _READ_FROM), _line(b"XINFO", b"STREAM", key), _line(b"XINFO", b"GROUPS", key), _line(b"XINFO", b"STREAM", key,
        b"FULL", _COUNTS), _line(b"XINFO", b"CONSUMERS", key, _GROUPS), _line(b"TYPE", key), _line(b"EXISTS", key),
    ]  # fmt: skip
    grouped = [
        _line(b"XGROUP", b"CREATE", key, _GROUPS, _words("0 0 0 $ 5 x"), _options("MKSTREAM", "", "ENTRIESREAD 2")),
        _line(b"XGROUP", b"SETID", key, _GROUPS, st.one_of(_IDS, _any(b"$", b"0")), _options("", "ENTRIESREAD 3")),
        _line(b"XGROUP", b"DESTROY", key, _GROUPS), _line(b"XGROUP", b"CREATECONSUMER", key, _GROUPS, _CONSUMERS),
        _line(b"XGROUP", b"DELCONSUMER", key, _GROUPS, _CONSUMERS), _line(b"XACK", key, _GROUPS, _SOME_IDS),
        *([_line(b"XREADGROUP", b"GROUP", _GROUPS, _CONSUMERS, _options("COUNT 1", "COUNT 2", "", "NOACK"), b"STREAMS",
        key, _FOR_GROUP)] * 3), _line(b"XREADGROUP", b"GROUP", _GROUPS, _CONSUMERS, b"STREAMS", two, _FOR_GROUP,
        _FOR_GROUP), _line(b"XPENDING", key, _GROUPS), _line(b"XPENDING", key, _GROUPS, _BOUNDS, _BOUNDS, _words("2 9"),
        st.one_of(st.just(()), _CONSUMERS.map(lambda name: (name,)))), _line(b"XPENDING", key, _GROUPS, b"IDLE", _IDLE,
        b"-", b"+", b"9"), _line(b"XCLAIM", key, _GROUPS, _CONSUMERS, _IDLE, _SOME_IDS, _options("", "FORCE", "JUSTID",
        "RETRYCOUNT 7", "FORCE JUSTID", "LASTID 9-9", "IDLE 200000", "TIME 1000", "TIME -5", "FOO")),
        _line(b"XAUTOCLAIM", key, _GROUPS, _CONSUMERS, _IDLE, _BOUNDS, _options("", "COUNT 1", "COUNT 2 JUSTID",
        "JUSTID")),
    ]  # fmt: skip
    return st.one_of(*adding, *reading, *grouped)


def observations(name: bytes) -> list[Command]:
    """Commands that tell everything about a stream."""
    return [
        (b"XRANGE", name, b"-", b"+"), (b"XINFO", b"STREAM", name, b"FULL"), (b"XINFO", b"STREAM", name),
        (b"XINFO", b"GROUPS", name), (b"XPENDING", name, b"g"), (b"TYPE", name),
    ]  # fmt: skip


def same(command: Command, ours: bytes, theirs: bytes) -> bool:
    """Whether two raw replies agree, except for times."""
    return ours == theirs or _masked(command, ours) == _masked(command, theirs)


def same_values(command: Command, ours: Any, theirs: Any) -> bool:
    """Whether two parsed replies agree, except for times."""
    return bool(_masked_value(command, ours) == _masked_value(command, theirs))


def _masked(command: Command, reply: bytes) -> Any:
    reader = hiredis.Reader(replyError=lambda text: ("error", text))
    reader.feed(reply)
    return _masked_value(command, reader.gets())


def _masked_value(command: Command, value: Any) -> Any:
    parsed = _without_times(value)
    if isinstance(parsed, list):
        if command[0] == b"XPENDING" and len(command) > 3:
            parsed = [row[:2] + row[3:] if isinstance(row, list) else row for row in parsed]
        if command[:2] == (b"XINFO", b"CONSUMERS"):
            parsed = [_without_idle(row) for row in parsed]
    return parsed


def _without_times(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_times(inner) for inner in value]
    if isinstance(value, dict):
        return {key: _without_times(inner) for key, inner in value.items()}
    return "a time" if isinstance(value, int) and value >= _TIMES_FROM else value


def _without_idle(row: Any) -> Any:
    """A consumer without its idle times, of which only stays whether it ever was given anything."""
    fields = row if isinstance(row, dict) else dict(zip(row[::2], row[1::2], strict=True))
    return {**fields, b"idle": 0, b"inactive": min(fields[b"inactive"], 0)}
