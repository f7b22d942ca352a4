"""Random commands about strings and keys, for state machines and other comparisons.

Few names and few values, so that commands meet each other. Left out is what a server may answer in more than one way:
which key is random, how a value is kept, and orders between relative times, which depend on the millisecond.
"""

from collections.abc import Sequence
from typing import TypeVar

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

Command = tuple[bytes, ...]
T = TypeVar("T")

FAR = 33_177_117_420
_LONG = b"".join(b"%07d|" % n for n in range(8500))


def _any(options: Sequence[T]) -> SearchStrategy[T]:
    return st.sampled_from(options)


def _words(text: str) -> tuple[bytes, ...]:
    return tuple(text.encode().split())


_SHORT_OR_LONG = [b"", b"0", b"1", b"-7", b"10", b"9223372036854775807", b"1.5", b"abc", b"a\x00\r\nb", b"x" * 45,
                  _LONG[:8190], _LONG[:8192], _LONG[:8193], _LONG[:65530], _LONG[:65537]]  # fmt: skip
# By number, because Hypothesis likes to print strategies.
_VALUES = st.integers(0, len(_SHORT_OR_LONG) - 1).map(lambda number: _SHORT_OR_LONG[number])
_INTEGERS = _any(_words("0 1 -1 5 -100 9223372036854775807 -9223372036854775808 abc 1.0"))
_FLOATS = _any(_words("0.1 -0.25 1e3 3 inf abc 1e-17"))
_POSITIONS = _any(_words("-70000 -9 -1 0 1 4 8185 8191 8192 65530 65536 70000 abc"))
_OFFSETS = _any(_words("0 1 5 8185 8192 65530 65536 70000 140000 -1 abc"))
_TIMES = _any(_words("EX PX EXAT PXAT"))
_SECONDS = _any([b"1000", b"500000", b"0", b"-5", b"abc"])
_UNTIL = _any([b"%d" % FAR, b"%d" % (FAR + 7), b"%d" % (FAR - 7), b"1", b"abc"])
_RULES = _any([(), (b"NX",), (b"XX",), (b"GT",), (b"LT",), (b"XX", b"GT"), (b"NX", b"LT"), (b"FOO",)])
_STATES = _any([(), (b"NX",), (b"XX",)])


def _line(*parts: bytes | SearchStrategy[bytes] | SearchStrategy[tuple[bytes, ...]]) -> SearchStrategy[Command]:
    def flat(drawn: tuple[bytes | tuple[bytes, ...], ...]) -> Command:
        return tuple(word for part in drawn for word in ((part,) if isinstance(part, bytes) else part))

    return st.tuples(*(st.just(part) if isinstance(part, bytes) else part for part in parts)).map(flat)


def _expiry(draw: st.DrawFn) -> tuple[bytes, ...]:
    unit = draw(_TIMES)
    if unit in (b"EXAT", b"PXAT"):
        return unit, b"%d" % (FAR if unit == b"EXAT" else FAR * 1000)
    return unit, draw(_any([b"1000000", b"0", b"abc"]))


_EXPIRIES = st.one_of(st.just(()), st.just((b"KEEPTTL",)), st.composite(_expiry)())


def commands(names: Sequence[bytes], *, alone: bool = False) -> SearchStrategy[Command]:
    """One command on these keys. With `alone`, none whose reply tells of keys that it does not name, or that leaves the
    database."""
    key = _any(names)
    keys = st.lists(key, min_size=1, max_size=3).map(tuple)
    pairs = st.lists(st.tuples(key, _VALUES), min_size=1,
    max_size=3).map(lambda found: tuple(w for p in found for w in p))
    line = _line
    strings = [
        line(b"SET", key, _VALUES),
        line(b"SET", key, _VALUES, _STATES, _any([(), (b"GET",)]), _EXPIRIES),
        line(b"SET", key, _VALUES, _STATES, b"KEEPTTL"), line(b"SET", key, _VALUES, b"EX", b"1000000"),
        line(b"GET", key), line(b"GETDEL", key), line(b"STRLEN", key), line(b"SETNX", key, _VALUES),
        line(b"GETEX", key), line(b"GETEX", key, st.composite(_expiry)()), line(b"GETEX", key, b"PERSIST"),
        line(b"GETSET", key, _VALUES), line(b"SETEX", key, _SECONDS, _VALUES), line(b"PSETEX", key, _any([b"1000000",
        b"0"]), _VALUES), line(b"MGET", keys), line(b"MSET", pairs), line(b"MSETNX", pairs), line(b"MSET", pairs, key),
        line(b"INCR", key), line(b"DECR", key), line(b"INCRBY", key, _INTEGERS), line(b"DECRBY", key, _INTEGERS),
        line(b"INCRBYFLOAT", key, _FLOATS), line(b"APPEND", key, _VALUES), line(b"SETRANGE", key, _OFFSETS, _VALUES),
        line(b"GETRANGE", key, _POSITIONS, _POSITIONS), line(b"SUBSTR", key, _POSITIONS, _POSITIONS),
    ]  # fmt: skip
    generic = [
        line(b"DEL", keys), line(b"UNLINK", keys), line(b"EXISTS", keys), line(b"TOUCH", keys), line(b"TYPE", key),
        line(_any(_words("EXPIRE PEXPIRE")), key, _SECONDS, _any([(), (b"NX",), (b"XX",)])),
        line(b"EXPIREAT", key, _UNTIL, _RULES), line(b"PEXPIREAT", key, _UNTIL.map(lambda time: time + b"000"), _RULES),
        line(b"EXPIREAT", key, _any([b"%d" % FAR, b"%d" % (FAR + 7)]), _any([(), (b"GT",), (b"LT",)])),
        line(b"PERSIST", key), line(_any(_words("TTL PTTL EXPIRETIME PEXPIRETIME")), key),
        line(b"RENAME", key, key), line(b"RENAMENX", key, key), line(b"COPY", key, key), line(b"COPY", key, key,
        b"REPLACE"),
    ]  # fmt: skip
    if not alone:
        database = _any([b"0", b"1", b"99"])
        generic += [
            line(b"MOVE", key, database), line(b"COPY", key, key, b"DB", database), line(b"SELECT", _any([b"0", b"0",
            b"1"])), line(b"DBSIZE"), line(b"KEYS", _any([b"*", b"key:[a-b]", b"key:a"])), line(b"SCAN", b"0", b"COUNT",
            b"1000"),
        ]  # fmt: skip
    return st.one_of(*strings, *generic)
