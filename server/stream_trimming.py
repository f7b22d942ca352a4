"""The options MAXLEN, MINID and LIMIT by which XADD and XTRIM delete the first entries of a stream."""

from __future__ import annotations

from dataclasses import dataclass

from protocol.errors import CommandError
from protocol.numbers import parse_integer
from server.arguments import Args, integer
from server.keyspecs import Request
from server.stream_arguments import stream_id
from storage.key_rows import KeyRow
from storage.keyspace import Keyspace
from storage.stream_entries import entries_of
from storage.streams import NODE, Id

#: How many entries `~` deletes at most unless LIMIT says something else.
_USUAL_LIMIT = 100 * NODE


@dataclass(slots=True)
class Trim:
    """What to trim to: a length, or the smallest id that stays; neither: nothing. `limit` None: no limit."""

    size: int | None = None
    smallest: Id | None = None
    whole_nodes: bool = False
    limit: int | None = None

    def apply(self, db: Keyspace, row: KeyRow) -> int:
        """Delete the entries that are too many; how many."""
        entries = entries_of(db.attempt)
        if self.size is not None:
            return entries.trim_to_size(row, self.size, whole_nodes=self.whole_nodes, limit=self.limit)
        if self.smallest is not None:
            return entries.trim_below(row, self.smallest, whole_nodes=self.whole_nodes, limit=self.limit)
        return 0


class TrimOptions:
    """MAXLEN, MINID and LIMIT in front of XADD's id, or behind XTRIM's key."""

    __slots__ = ("_limit", "_size", "_smallest", "_whole_nodes")

    def __init__(self) -> None:
        self._size: int | None = None
        self._smallest: Id | None = None
        self._whole_nodes = False
        self._limit: int | None = None

    def take(self, args: Args, position: int) -> int:
        """Read the option at a position, if it is one; the position behind it, else the same."""
        word = args[position].upper()
        left = len(args) - position - 1
        if not left:
            return position
        if word == b"LIMIT":
            self._limit = integer(args[position + 1])
            if self._limit < 0:
                raise CommandError(b"ERR The LIMIT argument must be >= 0.")
            return position + 2
        if word not in (b"MAXLEN", b"MINID"):
            return position
        if self._given:
            raise CommandError(b"ERR syntax error, MAXLEN and MINID options at the same time are not compatible")
        position += 1
        self._whole_nodes = False
        if left > 1 and args[position] in (b"~", b"="):
            self._whole_nodes = args[position] == b"~"
            position += 1
        if word == b"MINID":
            self._smallest = stream_id(args[position])
        else:
            self._size = integer(args[position])
            if self._size < 0:
                raise CommandError(b"ERR The MAXLEN argument must be >= 0.")
        return position + 1

    @property
    def _given(self) -> bool:
        return self._size is not None or self._smallest is not None

    def made(self, *, required: bool) -> Trim:
        """What was asked for. CommandError if the options do not go together."""
        if self._limit and not self._given:
            raise CommandError(b"ERR syntax error, LIMIT cannot be used without specifying a trimming strategy")
        if required and not self._given:
            raise CommandError(b"ERR syntax error, XTRIM must be called with a trimming strategy")
        if self._limit is not None and not self._whole_nodes:
            raise CommandError(b"ERR syntax error, LIMIT cannot be used without the special ~ option")
        limit = None
        if self._whole_nodes:
            limit = _USUAL_LIMIT if self._limit is None else self._limit or None
        return Trim(self._size, self._smallest, self._whole_nodes, limit)


def asked_trim(request: Request) -> tuple[bytes, bytes, bytes]:
    """Of a request that nobody has judged: the word that says how it trims, "~" if by whole nodes, and to what; empty
    if it does not trim."""
    position = 2
    while position + 1 < len(request):
        word = request[position].upper()
        first, second = [*request[position + 1 : position + 3], b""][:2]
        if word in (b"MAXLEN", b"MINID"):
            return (word, first, second) if first in (b"~", b"=") else (word, b"", first)
        if word not in (b"NOMKSTREAM", b"LIMIT"):
            break
        position += 2 if word == b"LIMIT" else 1
    return b"", b"", b""


def trims_many(request: Request, size: int) -> int:
    """How many entries XTRIM or XADD with MAXLEN may look at."""
    word, _, value = asked_trim(request)
    try:
        return max(0, size - parse_integer(value)) if word == b"MAXLEN" else 0
    except ValueError:
        return 0
