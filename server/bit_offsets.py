"""Places in bitmaps, as commands name them."""

from __future__ import annotations

from protocol.errors import CommandError
from protocol.numbers import parse_integer


def bit_offset(data: bytes, longest: int, bits: int = 0) -> int:
    """The bit that an argument means, in a string of at most `longest` bytes; CommandError if there is none.

    With `bits`, `#n` is the n-th of fields of so many bits that lie side by side.
    """
    counted = bits and data.startswith(b"#")
    try:
        offset = parse_integer(data[1:] if counted else data)
    except ValueError:
        raise _invalid() from None
    if counted:
        offset = _wrapped(offset * bits)
    if not 0 <= offset >> 3 < longest:
        raise _invalid()
    return offset


def _wrapped(number: int) -> int:
    """A product as a register of 64 bits holds it: Redis takes `#1152921504606846976` of i16 for bit 0."""
    return (number + 2**63) % 2**64 - 2**63


def _invalid() -> CommandError:
    return CommandError(b"ERR bit offset is not an integer or out of range")
