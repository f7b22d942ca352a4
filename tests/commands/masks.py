"""Replies that can not be equal in everything: what must differ is masked before they are compared."""

import re

from tests.commands.scenarios import Line, Step, words

#: Addresses, numbers of connections and sockets, versions, times; sizes of buffers that only Redis has.
_MASKS = (
    (rb"7\.\d+\.\d+|9\.\d+\.\d+", b"VERSION"),
    (rb"\$\d+\r\n(?=VERSION)", b""),
    (rb"(\r\nid\r\n):\d+", rb"\1:ID"),
    (rb"\b(id|addr|laddr|fd|age|idle|qbuf|qbuf-free|argv-mem|multi-mem|rbs|rbp|obl|oll|omem|tot-mem|tot-net-in|"
     rb"tot-net-out|tot-cmds|watch|events|io-thread|capa|lib-name|lib-ver)=\S* ?", rb""),
    (rb" ?\n\r\n\Z", b""),
    (rb"\A[$=]\d+\r\n(?=(txt:)?name=)", b""),
)


def masked(reply: bytes) -> bytes:
    for pattern, mask in _MASKS:
        reply = re.sub(pattern, mask, reply)
    return reply


def alike(line: Line) -> Step:
    """Replies that agree but for what the masks cover."""
    return Step(words(line), lambda ours, theirs: masked(ours) == masked(theirs))


def shaped(line: Line) -> Step:
    """An array of simple strings (HELP) whose words are ours: the same kind of reply, with the same first line."""

    def agree(ours: bytes, theirs: bytes) -> bool:
        mine, other = ours.split(b"\r\n"), theirs.split(b"\r\n")
        return ours[:1] == theirs[:1] == b"*" and mine[1] == other[1] and all(part[:1] == b"+" for part in mine[1:-1])

    return Step(words(line), agree)
