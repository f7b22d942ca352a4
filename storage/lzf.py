"""LZF, the compression of strings in Redis's dumps.

Compressed data are runs of literal bytes (a byte n < 32, then n + 1 bytes) and references to what was written before:
three bits of length, where 7 says that a byte with more of it follows, and thirteen bits of distance.
"""

from __future__ import annotations

from typing import Final

_LITERALS: Final = 32
_FARTHEST: Final = 1 << 13
_LONGEST: Final = (1 << 8) + (1 << 3)
_SLOTS: Final = (1 << 16) - 1
_UNROLLED: Final = 19


def decompress(data: bytes, size: int) -> bytes:
    """The `size` bytes of which `data` was made. ValueError if it was not; never takes more memory than `size`."""
    out = bytearray()
    place, end = 0, len(data)
    while place < end:
        control = data[place]
        place += 1
        if control < _LITERALS:
            stop = place + control + 1
            if stop > end:
                raise ValueError("literal bytes are missing")
            out += data[place:stop]
            place = stop
        else:
            length = control >> 5
            needed = 2 if length == 7 else 1
            if place + needed > end:
                raise ValueError("a reference is cut off")
            if length == 7:
                length += data[place]
                place += 1
            _repeat(out, ((control & 0x1F) << 8 | data[place]) + 1, length + 2)
            place += 1
        if len(out) > size:
            raise ValueError("longer than it should be")
    if len(out) != size:
        raise ValueError("shorter than it should be")
    return bytes(out)


def _repeat(out: bytearray, distance: int, length: int) -> None:
    """Append `length` bytes of what stands `distance` bytes before the end; they may overlap what is appended."""
    start = len(out) - distance
    if start < 0:
        raise ValueError("a reference to before the beginning")
    if distance >= length:
        out += out[start : start + length]
    else:
        piece = out[start:]
        out += (piece * (length // distance + 1))[:length]


def compress(data: bytes, limit: int) -> bytes | None:
    """Compressed data of at most `limit` bytes, None if it would be more.

    Matches are looked for as LibLZF does it, at the last place where three bytes with the same hash stood, and what may
    be too long is given up as early, so that the outcome is the same as Redis's.
    """
    size = len(data)
    if size < 4:
        return None
    out = bytearray()
    seen: dict[int, int] = {}
    place = literal = 0
    rolling = data[0] << 8 | data[1]
    while place < size - 2:
        rolling = (rolling << 8 | data[place + 2]) & 0xFFFFFF
        slot = (rolling >> 8) - rolling * 5 & _SLOTS
        found = seen.get(slot, 0)
        seen[slot] = place
        count = place - literal
        if found and place - found <= _FARTHEST and data[found : found + 3] == data[place : place + 3]:
            if _written(out, count) - (count % _LITERALS == 0) + 4 >= limit:
                return None
            _put_literals(out, data, literal, place)
            length = _common(data, found, place)
            _put_reference(out, place - found - 1, length - 2)
            literal = place = place + length
            if place >= size - 2:
                break
            # The last two places of a match are noted, those before are not.
            for back in (place - 2, place - 1):
                rolling = data[back] << 16 | data[back + 1] << 8 | data[back + 2]
                seen[(rolling >> 8) - rolling * 5 & _SLOTS] = back
        else:
            if _written(out, count) >= limit:
                return None
            place += 1
    if _written(out, place - literal) + 3 > limit:
        return None
    _put_literals(out, data, literal, size)
    return bytes(out)


def _written(out: bytearray, literals: int) -> int:
    """How far LibLZF has written: it leaves room for the length of the literal bytes to come."""
    return len(out) + literals + literals // _LITERALS + 1


def _common(data: bytes, found: int, place: int) -> int:
    """How many bytes are the same from two places on, of which three are known to be."""
    length = 3
    most = min(len(data) - place - 2, _LONGEST)
    # LibLZF compares sixteen bytes at once, which may be two more than it takes else.
    stop = max(most, _UNROLLED) if most > _UNROLLED - 3 else most
    while length < stop and data[found + length] == data[place + length]:
        length += 1
    return length


def _put_literals(out: bytearray, data: bytes, start: int, end: int) -> None:
    for first in range(start, end, _LITERALS):
        some = data[first : min(first + _LITERALS, end)]
        out.append(len(some) - 1)
        out += some


def _put_reference(out: bytearray, distance: int, length: int) -> None:
    if length < 7:
        out.append(length << 5 | distance >> 8)
    else:
        out += bytes((7 << 5 | distance >> 8, length - 7))
    out.append(distance & 0xFF)
