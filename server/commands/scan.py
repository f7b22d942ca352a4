"""Looking through a database: SCAN, KEYS, RANDOMKEY, DBSIZE."""

from __future__ import annotations

from protocol.errors import invalid_cursor, syntax_error
from protocol.glob import Glob, compile_glob
from protocol.numbers import parse_unsigned
from protocol.replies import Reply
from server.arguments import Args, Options, integer
from server.registry import Is, command
from server.typed import TYPE_NAMES
from storage import keys
from storage.keyspace import Keyspace

# A cursor is the place to go on from: the upper bits of a digest, as many as clients can be sure to keep exactly.
# 0 is the start and the end. All rows of one cursor stand in one page, or a page could end between them for ever.
_CURSOR_BITS = 63
_LOWER_BITS = 8 * keys.DIGEST_BYTES - _CURSOR_BITS

_TYPES = {name: int(kind) for kind, name in TYPE_NAMES.items()}
_USUAL_COUNT = 10


def _cursor_of(digest: bytes) -> int:
    return int.from_bytes(digest, "big") >> _LOWER_BITS


def _place_of(cursor: int) -> bytes:
    return (cursor << _LOWER_BITS).to_bytes(keys.DIGEST_BYTES, "big")


def read_page(db: Keyspace, cursor: int, count: int) -> tuple[int, list[keys.Found]]:
    """About `count` rows from a cursor on, and the cursor of what follows them."""
    if cursor >> _CURSOR_BITS:
        return 0, []
    rows: list[keys.Found] = []
    start: bytes | None = _place_of(cursor)
    while start is not None:
        wanted = min(max(count - len(rows), 0) + 1, keys.PAGE)
        some = keys.page(db, start, wanted)
        rows += some
        if len(some) < wanted:
            return 0, rows
        start = keys.following(rows[-1][0])
        if len(rows) > count:
            following = _cursor_of(rows[-1][0])
            complete = len(rows) - 1
            while complete and _cursor_of(rows[complete - 1][0]) == following:
                complete -= 1
            if complete:
                return following, rows[:complete]
    return 0, rows


def _matches(glob: Glob | None, name: bytes) -> bool:
    return glob is None or glob.everything or glob.matches(name)


@command("SCAN", arity=-2, flags=Is.READONLY, group="generic", since="2.8.0", values=False,
         complexity="O(N) with N being COUNT",
         tips=("nondeterministic_output", "request_policy:special", "response_policy:special"),
         syntax="cursor [MATCH pattern] [COUNT count] [TYPE type]")
def scan(db: Keyspace, args: Args) -> Reply:
    """Give some of the names of keys, and the cursor with which to ask for the next ones."""
    try:
        cursor = parse_unsigned(args[1])
    except ValueError:
        raise invalid_cursor() from None
    glob: Glob | None = None
    count, kind = _USUAL_COUNT, None
    options = Options(args, 2)
    while options.left:
        word, value = options.word(), options.value()
        if word == b"COUNT":
            count = integer(value)
            if count < 1:
                raise syntax_error()
        elif word == b"MATCH":
            glob = compile_glob(value)
        elif word == b"TYPE":
            # A type nobody knows is one that no key has.
            kind = _TYPES.get(value.lower(), -1)
        else:
            raise syntax_error()

    following, rows = read_page(db, cursor, count)
    names = [name for _, name, found in rows if found and kind in (None, found) and _matches(glob, name)]
    return [b"%d" % following, names]


@command("KEYS", arity=2, flags=Is.READONLY, group="generic", since="1.0.0", slow=True, values=False,
         complexity="O(N) with N keys in the database",
         tips=("request_policy:all_shards", "nondeterministic_output_order"), syntax="pattern",
         categories=("keyspace", "dangerous"))
def keys_(db: Keyspace, args: Args) -> Reply:
    """Give the names of all keys that match a pattern."""
    glob = compile_glob(args[1])

    if glob.literal is not None:
        return [glob.literal] if db.find(glob.literal) is not None else []
    return [name for name in keys.every_name(db) if _matches(glob, name)]


@command("RANDOMKEY", arity=1, flags=Is.READONLY, group="generic", since="1.0.0", values=False,
         tips=("request_policy:all_shards", "response_policy:special", "nondeterministic_output"))
def randomkey(db: Keyspace, args: Args) -> Reply:
    """Give the name of some key."""
    return keys.random_name(db)


@command("DBSIZE", arity=1, flags=Is.READONLY | Is.FAST, group="server", since="1.0.0", slow=True, values=False,
         complexity="O(N) with N keys in the database", tips=("request_policy:all_shards", "response_policy:agg_sum"),
         categories=("keyspace",))
def dbsize(db: Keyspace, args: Args) -> Reply:
    """Count the keys of the database."""
    return db.count()[0]
