"""Looking through a database: SCAN, KEYS, RANDOMKEY, DBSIZE."""

from __future__ import annotations

from protocol.glob import compile_glob
from protocol.replies import Reply
from server.arguments import Args
from server.registry import Is, command
from server.scanning import parse_cursor, read_page, scan_options
from server.typed import TYPE_NAMES
from storage import keys
from storage.keyspace import Keyspace

_TYPES = {name: int(kind) for kind, name in TYPE_NAMES.items()}
_TYPE = frozenset({b"TYPE"})


@command("SCAN", arity=-2, flags=Is.READONLY, group="generic", since="2.8.0", values=False,
         complexity="O(N) with N being COUNT",
         tips=("nondeterministic_output", "request_policy:special", "response_policy:special"),
         syntax="cursor [MATCH pattern] [COUNT count] [TYPE type]")
def scan(db: Keyspace, args: Args) -> Reply:
    """Give some of the names of keys, and the cursor with which to ask for the next ones."""
    cursor = parse_cursor(args[1])
    options = scan_options(args, 2, valued=_TYPE)
    wanted = options.words.get(b"TYPE")
    # A type nobody knows is one that no key has.
    kind = None if wanted is None else _TYPES.get(wanted.lower(), -1)

    following, rows = read_page(lambda start, limit: keys.page(db, start, limit), cursor, options.count)
    names = [name for name, found in rows if found and kind in (None, found) and options.matches(name)]
    return [b"%d" % following, names]


@command("KEYS", arity=2, flags=Is.READONLY, group="generic", since="1.0.0", slow=True, values=False,
         complexity="O(N) with N keys in the database",
         tips=("request_policy:all_shards", "nondeterministic_output_order"), syntax="pattern",
         categories=("keyspace", "dangerous"))
def keys_(db: Keyspace, args: Args) -> Reply:
    """Give the names of all keys that match a pattern."""
    glob = compile_glob(args[1])

    if glob.literal is not None:
        return [glob.literal] if db.find_quietly(glob.literal) is not None else []
    return [name for name in keys.every_name(db) if glob.everything or glob.matches(name)]


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
