"""LCS: the longest common subsequence of two strings.

Redis fills a table of len(a) * len(b) numbers and walks back through it.  Here a row of the table is one long integer
with a bit where a number is greater than its neighbour (Hyyrö's bit-parallel algorithm), which takes a hundredth of
the time and a thirty-second of the memory.  The walk makes the same choices as Redis where several subsequences are
equally long: `tests/unit/test_lcs.py` compares with the plain table.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from protocol.errors import CommandError, syntax_error
from protocol.replies import Map, Reply
from server.arguments import Args, Options, integer
from server.keyspecs import Keys
from server.registry import Is, command
from server.session import Session
from storage import strings
from storage.key_rows import KeyRow, Type
from storage.keyspace import Keyspace

#: What Redis allocates for one pair of positions, in bytes; the sum is limited by proto-max-bulk-len.
_CELL = 4

#: The first and the last position in one string, both included, and the same in the other.
Match = tuple[int, int, int, int]


@command("LCS", arity=-3, flags=Is.READONLY, keys=(Keys(1, 2, 1, "RO access"),), group="string", since="7.0.0",
         complexity="O(N*M) with strings of N and M bytes",
         syntax="key1 key2 [LEN] [IDX] [MINMATCHLEN min-match-len] [WITHMATCHLEN]")
def lcs(db: Keyspace, session: Session, args: Args) -> Reply:
    """Give the longest common subsequence of two strings, its length, or where its parts are."""
    rows = [db.find(name) for name in args[1:3]]
    if any(row is not None and row.type != Type.STRING for row in rows):
        # As in Redis, before the options are looked at.
        raise CommandError(b"ERR The specified keys must contain string values")
    words: set[bytes] = set()
    shortest = 0
    options = Options(args, 3)
    while options.left:
        word = options.word()
        if word == b"MINMATCHLEN":
            shortest = integer(options.value())
        elif word not in (b"LEN", b"IDX", b"WITHMATCHLEN"):
            raise syntax_error()
        words.add(word)
    if words >= {b"LEN", b"IDX"}:
        raise CommandError(b"ERR If you want both the length and indexes, please just use IDX.")

    a, b = _values(db, rows, session.instance.settings.proto_max_bulk_len)
    if b"LEN" in words:
        return lcs_length(a, b)
    pairs = lcs_pairs(a, b)
    if b"IDX" not in words:
        return bytes([a[i] for i, _ in reversed(pairs)])
    matches: list[Reply] = []
    for first_a, last_a, first_b, last_b in join_pairs(pairs):
        length = last_a - first_a + 1
        if length >= shortest:
            match: list[Reply] = [[first_a, last_a], [first_b, last_b]]
            matches.append([*match, length] if b"WITHMATCHLEN" in words else match)
    return Map([(b"matches", matches), (b"len", len(pairs))])


def _values(db: Keyspace, rows: list[KeyRow | None], limit: int) -> tuple[bytes, bytes]:
    cells = 1
    for row in rows:
        cells *= 1 + (row.size if row is not None else 0)
    if cells * _CELL > limit:
        raise CommandError(b"ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len")
    a, b = (b"" if row is None else strings.read(db, row) for row in rows)
    return a, b


def lcs_length(a: bytes, b: bytes) -> int:
    """The length of the longest common subsequence."""
    if len(a) > len(b):
        a, b = b, a
    (last,) = deque(_steps(a, b), maxlen=1)
    return last.bit_count()


def lcs_pairs(a: bytes, b: bytes) -> list[tuple[int, int]]:
    """The positions in `a` and `b` of the bytes of the longest common subsequence, from its end to its beginning."""
    return _walk_rows_of_a(a, b) if len(a) <= len(b) else _walk_rows_of_b(a, b)


def join_pairs(pairs: list[tuple[int, int]]) -> Iterator[Match]:
    """Neighbouring positions, given from the end on, as ranges."""
    last_a = last_b = first_a = first_b = -1
    for i, j in pairs:
        if (i, j) != (first_a - 1, first_b - 1):
            if last_a >= 0:
                yield first_a, last_a, first_b, last_b
            last_a, last_b = i, j
        first_a, first_b = i, j
    if last_a >= 0:
        yield first_a, last_a, first_b, last_b


def _steps(rows: bytes, columns: bytes) -> Iterator[int]:
    """For each beginning of `rows`, from the empty one on, an integer with bit n set where the longest subsequence
    common with `columns[:n + 1]` is one longer than with `columns[:n]`."""
    mask = (1 << len(columns)) - 1
    places = {byte: _places(byte, columns) for byte in set(rows)}
    flat = mask
    yield 0
    for byte in rows:
        both = flat & places[byte]
        flat = ((flat + both) | (flat - both)) & mask
        yield flat ^ mask


def _places(byte: int, columns: bytes) -> int:
    """An integer with bit n set where `columns[n]` is `byte`."""
    digits = bytes(49 if candidate == byte else 48 for candidate in range(256))
    return int(columns[::-1].translate(digits) or b"0", 2)


def _below(bits: int, count: int) -> int:
    """The lowest `count` bits."""
    return bits & ((1 << count) - 1)


# At a pair of different bytes Redis gives up the byte of `a` if the subsequence without it is longer than the one
# without the byte of `b`, else the byte of `b`.  The integers are made for the beginnings of the shorter string, so
# there are two ways to tell.  Each goes at once to the next place where anything else than the usual step is due.


def _walk_rows_of_a(a: bytes, b: bytes) -> list[tuple[int, int]]:
    steps = list(_steps(a, b))
    pairs: list[tuple[int, int]] = []
    i, j = len(a), len(b)
    while i and j:
        # Without the byte of b it gets shorter only where there is a step: up to there b's bytes are given up.
        j = max(_below(steps[i], j).bit_length(), b.rfind(a[i - 1], 0, j) + 1)
        if not j:
            break
        i -= 1
        if a[i] == b[j - 1]:
            j -= 1
            pairs.append((i, j))
    return pairs


def _walk_rows_of_b(a: bytes, b: bytes) -> list[tuple[int, int]]:
    steps = list(_steps(b, a))
    pairs: list[tuple[int, int]] = []
    i, j = len(a), len(b)
    while i and j:
        # Without the byte of b it gets shorter where the steps of its row are one more than those of the row before;
        # the rows take turns with their steps, so the number of steps that only one of them has tells it.
        only_one = _below(steps[j] ^ steps[j - 1], i)
        if only_one.bit_count() % 2:
            i = max(only_one.bit_length() - 1, a.rfind(b[j - 1], 0, i) + 1)
            if not i:
                break
        j -= 1
        if a[i - 1] == b[j]:
            i -= 1
            pairs.append((i, j))
    return pairs
