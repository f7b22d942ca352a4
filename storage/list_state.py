"""What the key row of a list notes about its items.

The order of positions is the order of the list.  Positions are handed out with a stride, so that something
fits in between.  As long as a list was only pushed to, popped from and trimmed it is *dense*: the item at index i has
the position head + i * STRIDE, and nobody has to look for it.

At 64 bits the positions of one list last for 2**47 pushes at the same end, a hundred years of forty thousand a second.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

from storage import overflow
from storage.key_rows import KeyRow

STRIDE = 1 << 16

#: Redis keeps a list in one listpack until that is longer than this; when it shrinks to half of it, again.
_LISTPACK_BYTES = 8192
_LISTPACK_HEADER = 7


@dataclass(slots=True)
class ListState:
    """What the row of a list notes about its items.

    No item has a position before `head`, and `tail` is where the next one is pushed; `dense`: see above.  `long` says
    that some item may lie in chunks.  `weight` are the bytes that all items take in Redis's compact form (after LTRIM
    and LSET an estimate by the mean), `packed` whether Redis would use that form.
    """

    head: int = 0
    tail: int = 0
    weight: int = _LISTPACK_HEADER
    dense: bool = True
    long: bool = False
    packed: bool = True

    _FORMAT = struct.Struct("<qqqB")

    def pack(self) -> bytes:
        return self._FORMAT.pack(self.head, self.tail, self.weight, self.dense | self.long << 1 | self.packed << 2)

    @classmethod
    def unpack(cls, data: bytes) -> ListState:
        head, tail, weight, flags = cls._FORMAT.unpack(data)
        return cls(head, tail, weight, bool(flags & 1), bool(flags & 2), bool(flags & 4))

    def grow(self, values: Iterable[bytes]) -> None:
        """Items were added."""
        plain = packed = longest = 0
        for value in values:
            size = len(value)
            plain += size
            packed += weight_of(value)
            if size > longest:
                longest = size
        if self.weight + plain > _LISTPACK_BYTES:
            self.packed = False
        if longest > overflow.INLINE:
            self.long = True
        self.weight += packed

    def shrink(self, weight: int) -> None:
        """Items of so much weight were taken away."""
        self.weight = max(self.weight - weight, _LISTPACK_HEADER)
        if self.weight <= _LISTPACK_BYTES // 2:
            self.packed = True


def weight_of(value: bytes) -> int:
    """The bytes of an item in a listpack: integers are kept as such, and the length of the entry stands behind it."""
    size = len(value)
    if size <= 20 and value[:1] in _FIRST_OF_NUMBER:
        try:
            number = int(value)
        except ValueError:
            return size + 2
        if b"%d" % number == value and -(1 << 63) <= number < 1 << 63:
            if 0 <= number < 128:
                return 2
            bits = number.bit_length() if number >= 0 else (-number - 1).bit_length()
            return next(width for limit, width in _WIDTHS if bits < limit)
    size += 1 if size < 64 else 2 if size < 4096 else 5
    return size + (1 if size < 128 else 2 if size < 16384 else 3 if size < 1 << 21 else 4)


_FIRST_OF_NUMBER = frozenset(b"%d" % digit for digit in range(10)) | {b"-"}
#: Bits, and bytes of the entry of a signed integer of less than so many.
_WIDTHS = ((13, 3), (16, 4), (24, 5), (32, 6), (64, 10))


def state_of(row: KeyRow) -> ListState:
    """The state of a list, parsed when it is first asked for."""
    state = row.state
    if state is None:
        state = row.state = ListState.unpack(row.value or b"")
    assert isinstance(state, ListState)
    return state


def mean_of(row: KeyRow) -> int:
    """About how many bytes an item of a list has."""
    return state_of(row).weight // max(row.size, 1)
