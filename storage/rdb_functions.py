"""Dumps of libraries of functions as Redis makes them: FUNCTION DUMP's payloads.

A payload is, for each library, a byte and its code as a string; then the version and the checksum as behind a key.
"""

from __future__ import annotations

from collections.abc import Iterable

from storage.rdb import seal, unseal
from storage.rdb_primitives import Reader, Writer
from storage.rdb_values import BadPayload

_LIBRARY = 0xF5
#: What candidates for the release of Redis 7.0 wrote.
_EARLY_LIBRARY = 0xF6


class NotALibrary(Exception):
    """There is something else in a payload; `early`: a library in a form that was never released."""

    def __init__(self, *, early: bool) -> None:
        super().__init__("not a library")
        self.early = early


def dump(codes: Iterable[bytes]) -> bytes:
    """The payload of some libraries, given by their code."""
    out = Writer()
    for code in codes:
        out.byte(_LIBRARY)
        out.string(code)
    return seal(out.done())


def load(payload: bytes, room: int) -> Iterable[bytes]:
    """The code of each library of a payload, one after the other; at most `room` bytes are made by decompressing.

    Raises WrongChecksum at once; NotALibrary and BadPayload when it comes to them.
    """
    return _libraries(Reader(unseal(payload), room))


def _libraries(reader: Reader) -> Iterable[bytes]:
    while reader.left:
        kind = reader.byte()
        if kind != _LIBRARY:
            raise NotALibrary(early=kind == _EARLY_LIBRARY)
        if not reader.left:
            raise BadPayload("a library without code")
        yield reader.string()
