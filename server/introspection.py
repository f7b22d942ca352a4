"""What COMMAND tells of commands, derived from the table: COMMAND INFO, COMMAND DOCS, and the keys of a request.

Shapes and order are Redis's; the words of summaries, and the arguments derived from syntax lines, are ours.
"""

from __future__ import annotations

from collections.abc import Callable

from protocol.errors import CommandError
from protocol.replies import Map, SetOf, Simple
from server.keyspecs import CountedKeys, FoundKeys, Keys, KeysAfter, KeySpec, Request, legacy_range
from server.registry import Command, Is, find, flag_names
from server.syntax import Argument, parse

#: ACL categories in the order of COMMAND INFO.
CATEGORIES = (
    "keyspace", "read", "write", "set", "sortedset", "list", "hash", "string", "bitmap", "hyperloglog", "geo", "stream",
    "pubsub", "admin", "fast", "slow", "blocking", "dangerous", "connection", "transaction", "scripting",
)  # fmt: skip

_OF_GROUP = {
    "generic": "keyspace", "string": "string", "hash": "hash", "list": "list", "set": "set", "sorted-set": "sortedset",
    "stream": "stream", "geo": "geo", "bitmap": "bitmap", "hyperloglog": "hyperloglog", "connection": "connection",
    "transactions": "transaction", "scripting": "scripting",
}  # fmt: skip

_VARIABLE: dict[str, Callable[[Request], str]] = {
    "set": lambda request: "RW access update" if b"GET" in _upper(request[3:]) else "OW update",
    "bitfield": lambda request: (
        "RW access update" if _upper(request[2:]) & {b"SET", b"INCRBY", b"OVERFLOW"} else "RO access"
    ),
}


def categories(row: Command) -> list[str]:
    """The ACL categories of a command, without the @."""
    flags = row.flags
    own = row.categories
    if own is None:
        of_group = _OF_GROUP.get(row.group)
        own = (of_group,) if of_group else ()
    found = set(own)
    found.add("fast" if Is.FAST in flags else "slow")
    if Is.WRITE in flags:
        found.add("write")
    if Is.READONLY in flags and row.group != "scripting":
        found.add("read")
    if Is.ADMIN in flags:
        found |= {"admin", "dangerous"}
    if Is.PUBSUB in flags:
        found.add("pubsub")
    if Is.BLOCKING in flags:
        found.add("blocking")
    return [category for category in CATEGORIES if category in found]


def describe(row: Command) -> list[object]:
    """The ten elements of COMMAND INFO."""
    first, last, step = legacy_range(row.keys)
    return [
        row.full_name.encode(),
        row.arity,
        _words(flag_names(row)),
        first,
        last,
        step,
        _words(["@" + category for category in categories(row)]),
        SetOf([tip.encode() for tip in row.tips]),
        SetOf([_specification(keys) for keys in row.keys]),
        [describe(inner) for inner in row.subcommands.values()] if row.subcommands else SetOf([]),
    ]


def document(row: Command) -> Map:
    """The map of COMMAND DOCS about a command."""
    pairs: list[tuple[bytes, object]] = [
        (b"summary", row.summary.encode()),
        (b"since", row.since.encode()),
        (b"group", row.group.encode()),
    ]
    if row.complexity:
        pairs.append((b"complexity", row.complexity.encode()))
    if row.syntax:
        pairs.append((b"arguments", _arguments(row)))
    if row.subcommands:
        inner = [(inner.full_name.encode(), document(inner)) for inner in row.subcommands.values()]
        pairs.append((b"subcommands", Map(inner)))
    return Map(pairs)


def keys_of(request: Request) -> list[tuple[bytes, str]]:
    """The keys that a request names, each with the flags of its use. CommandError as COMMAND GETKEYS gives it."""
    try:
        row = find(request)
    except CommandError as error:
        if b"wrong number of arguments" in error.message:
            raise CommandError(b"ERR Invalid number of arguments specified for command") from None
        raise CommandError(b"ERR Invalid command specified") from None
    if not row.names_keys:
        raise CommandError(b"ERR The command has no key arguments")
    found = []
    for keys in row.keys:
        flags = keys.flags
        if "variable_flags" in flags and row.full_name in _VARIABLE:
            flags = _VARIABLE[row.full_name](request)
        found += [(name, flags) for name in keys.names(request)]
    return found


def flags_of_key(flags: str) -> SetOf:
    """The flags of a key's use as COMMAND INFO and COMMAND GETKEYSANDFLAGS show them."""
    return _words(flags.split())


def _specification(keys: KeySpec) -> Map:
    notes = [(b"notes", keys.notes.encode())] if keys.notes else []
    begin, found = _search(keys)
    return Map([
        *notes,
        (b"flags", _words(keys.flags.split())),
        (b"begin_search", _typed(*begin)),
        (b"find_keys", _typed(*found)),
    ])


_Spec = tuple[bytes, list[tuple[bytes, object]]]


def _search(keys: KeySpec) -> tuple[_Spec, _Spec]:
    """How the first key is found, and how the others are from there: a type and its fields each."""
    match keys:
        case Keys(first, last, step):
            return (b"index", [(b"index", first)]), _range(last - first if last >= 0 else last, step, 0)
        case CountedKeys(at):
            return (b"index", [(b"index", at)]), (
                b"keynum", [(b"keynumidx", 0), (b"firstkey", 1), (b"keystep", 1)]
            )  # fmt: skip
        case KeysAfter(word, start, last, limit):
            return (b"keyword", [(b"keyword", word.encode()), (b"startfrom", start)]), _range(last, 1, limit)
        case FoundKeys():
            return (b"unknown", []), (b"unknown", [])


def _range(last: int, step: int, limit: int) -> _Spec:
    return b"range", [(b"lastkey", last), (b"keystep", step), (b"limit", limit)]


def _typed(kind: bytes, spec: list[tuple[bytes, object]]) -> Map:
    return Map([(b"type", kind), (b"spec", Map(spec))])


def _arguments(row: Command) -> list[Map]:
    numbers = iter(range(1_000_000))
    return [_argument(argument, row, numbers.__next__) for argument in parse(row.syntax)]


def _argument(argument: Argument, row: Command, number: Callable[[], int]) -> Map:
    pairs: list[tuple[bytes, object]] = [(b"name", argument.name.encode()), (b"type", argument.kind.encode())]
    if argument.kind not in ("oneof", "block"):
        pairs.append((b"display_text", argument.name.encode()))
    if argument.kind == "key" and row.keys:
        pairs.append((b"key_spec_index", min(number(), len(row.keys) - 1)))
    if argument.token:
        pairs.append((b"token", argument.token.encode()))
    flags = [name for name, holds in (("optional", argument.optional), ("multiple", argument.multiple)) if holds]
    if flags:
        pairs.append((b"flags", _words(flags)))
    if argument.inner:
        pairs.append((b"arguments", [_argument(inner, row, number) for inner in argument.inner]))
    return Map(pairs)


def _words(words: list[str]) -> SetOf:
    return SetOf([Simple(word.encode()) for word in words])


def _upper(words: list[bytes]) -> set[bytes]:
    return {word.upper() for word in words}
