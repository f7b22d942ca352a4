"""What is too long for the row of an element lies in chunks of its own, as long strings do.

A row whose `chunks` is not 0 has empty columns; the fields that belong there are stored one after the other, each with
its length in front, in rowdis_string_chunk under that id.  The reaper and the copier follow `chunks`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from storage.unit import Attempt

#: Fields of up to so many bytes together stay in the row.
INLINE = 64 * 1024
CHUNK = 64 * 1024
#: Chunks of one SELECT: 4 MiB.
PAGE = 64
_LENGTH_BYTES = 8

_WRITE = "INSERT INTO rowdis_string_chunk (key_id, n, data) VALUES (%s,%s,%s)"
_READ = "SELECT data FROM rowdis_string_chunk WHERE key_id=%s AND n>=%s AND n<%s ORDER BY n"


def store(attempt: Attempt, fields: Sequence[bytes]) -> int:
    """Write fields into chunks of a fresh id, which is returned."""
    number = attempt.next_id()
    data = b"".join([part for field in fields for part in (len(field).to_bytes(_LENGTH_BYTES, "big"), field)])
    for start in range(0, len(data), CHUNK):
        attempt.write(_WRITE, (number, start // CHUNK, data[start : start + CHUNK]))
    return number


def load(attempt: Attempt, number: int) -> list[bytes]:
    """The fields that `store` wrote."""
    pieces: list[bytes] = []
    first = 0
    while True:
        rows = attempt.query_elements(_READ, (number, first, first + PAGE))
        pieces += [data for (data,) in rows]
        if len(rows) < PAGE:
            break
        first += PAGE
    data = b"".join(pieces)
    fields: list[bytes] = []
    place = 0
    while place < len(data):
        start = place + _LENGTH_BYTES
        place = start + int.from_bytes(data[place:start], "big")
        fields.append(data[start:place])
    return fields
