"""Functions: FCALL, and FUNCTION, which keeps their libraries. How they run is told in server/scripting/."""

from __future__ import annotations

from protocol.errors import CommandError
from protocol.glob import Glob
from protocol.replies import OK, Map, Reply, SetOf, Simple
from server.arguments import Args, integer
from server.keyspecs import CountedKeys
from server.registry import Is, command, container, never
from server.scripting import functions
from server.scripting.calls import ScriptCall
from server.scripting.functions import Catalog, Library
from server.scripting.runtime import Registered, Runtime, runtime_of_this_thread
from server.session import Session
from storage import functions as store
from storage import rdb, rdb_functions
from storage.keyspace import Keyspace
from storage.rdb_values import BadPayload

_RUNS = Is.NOSCRIPT | Is.STALE | Is.SKIP_MONITOR | Is.NO_MANDATORY_KEYS | Is.MOVABLEKEYS
_ANY_USE = "We cannot tell how the keys will be used so we assume the worst, RW and UPDATE"
_ANY_READ = "We cannot tell how the keys will be used so we assume the worst, RO and ACCESS"
_COMPLEXITY = "Depends on the function"
_ALL_SHARDS = ("request_policy:all_shards", "response_policy:all_succeeded")


# -- running


@command("FCALL", arity=-3, flags=_RUNS, keys=(CountedKeys(2, "RW access update", _ANY_USE),), group="scripting",
         since="7.0.0", syntax="function numkeys [key [key ...]] [arg [arg ...]]", writes=True, script=True,
         whole=never, complexity=_COMPLEXITY)
def fcall(db: Keyspace, session: Session, args: Args) -> Reply:
    """Call a function of a library."""
    return _call(db, session, args, read_only=False)


@command("FCALL_RO", arity=-3, flags=_RUNS | Is.READONLY, keys=(CountedKeys(2, "RO access", _ANY_READ),),
         group="scripting", since="7.0.0", syntax="function numkeys [key [key ...]] [arg [arg ...]]", script=True,
         whole=never, complexity=_COMPLEXITY)
def fcall_ro(db: Keyspace, session: Session, args: Args) -> Reply:
    """Call a function of a library that must not write."""
    return _call(db, session, args, read_only=True)


def _call(db: Keyspace, session: Session, args: Args, *, read_only: bool) -> Reply:
    runtime = _runtime(session)
    function = _catalog(db, session).functions.get(args[1].lower())
    if function is None:
        raise CommandError(b"ERR Function not found")
    count = integer(args[2], b"ERR Bad number of keys provided")
    if count > len(args) - 3:
        raise CommandError(b"ERR Number of keys can't be greater than number of args")
    if count < 0:
        raise CommandError(b"ERR Number of keys can't be negative")
    if b"no-writes" in function.flags:
        read_only = True
    elif read_only:
        raise CommandError(b"ERR Can not execute a script with write flag using *_ro command.")

    with ScriptCall(db, session, function.name, args, read_only=read_only, kind=b"FUNCTION") as call:
        return runtime.call(function.function, call, count, args[3:])


def _runtime(session: Session) -> Runtime:
    return runtime_of_this_thread(session.instance.redis_version)


def _catalog(db: Keyspace, session: Session) -> Catalog:
    """The libraries that there are."""
    catalog = functions.catalog_of(_runtime(session), db.attempt)
    session.instance.functions_known = len(catalog.libraries), catalog.count
    return catalog


def _keep(db: Keyspace, session: Session, catalog: Catalog) -> None:
    """These are the libraries from now on."""
    functions.keep(_runtime(session), db.attempt, catalog)
    session.instance.functions_known = len(catalog.libraries), catalog.count


# -- keeping


container("FUNCTION", group="scripting", since="7.0.0", summary="Keep, show, move and forget libraries of functions")


@command("FUNCTION LOAD", arity=-3, flags=Is.WRITE | Is.DENYOOM | Is.NOSCRIPT, group="scripting", since="7.0.0",
         syntax="[REPLACE] function-code", complexity="O(N) with N bytes of code", tips=_ALL_SHARDS)
def function_load(db: Keyspace, session: Session, args: Args) -> Reply:
    """Keep a library in the database, its functions for FCALL on all instances."""
    for option in args[2:-1]:
        if option.upper() != b"REPLACE":
            raise CommandError(b"ERR Unknown option given: %b" % option)
    code = args[-1]
    name = functions.name_of(code)

    runtime = _runtime(session)
    catalog = _catalog(db, session)
    if len(args) == 3 and name in catalog.libraries:
        raise CommandError(b"ERR Library '%b' already exists" % name)
    library = functions.load(runtime, name, code)
    catalog.check(library)
    store.change(db.attempt, put=[(name, code)])
    catalog = catalog.without({name})
    catalog.add(library)
    _keep(db, session, catalog)
    return name


@command("FUNCTION DELETE", arity=3, flags=Is.WRITE | Is.NOSCRIPT, group="scripting", since="7.0.0",
         syntax="library-name", tips=_ALL_SHARDS)
def function_delete(db: Keyspace, session: Session, args: Args) -> Reply:
    """Forget a library and its functions."""
    catalog = _catalog(db, session)
    if args[2] not in catalog.libraries:
        raise CommandError(b"ERR Library not found")

    store.change(db.attempt, remove=[args[2]])
    _keep(db, session, catalog.without({args[2]}))
    return OK


@command("FUNCTION FLUSH", arity=-2, flags=Is.WRITE | Is.NOSCRIPT, group="scripting", since="7.0.0",
         syntax="[ASYNC | SYNC]", complexity="O(N) with N functions", tips=_ALL_SHARDS)
def function_flush(db: Keyspace, session: Session, args: Args) -> Reply:
    """Forget all libraries."""
    if len(args) > 3:
        raise _misused(args[1])
    if len(args) == 3 and args[2].upper() not in (b"ASYNC", b"SYNC"):
        raise CommandError(b"ERR FUNCTION FLUSH only supports SYNC|ASYNC option")

    store.remove_all(db.attempt)
    _keep(db, session, Catalog())
    return OK


@command("FUNCTION DUMP", arity=2, flags=Is.NOSCRIPT, group="scripting", since="7.0.0",
         complexity="O(N) with N functions")
def function_dump(db: Keyspace, args: Args) -> Reply:
    """Give all libraries as bytes of which FUNCTION RESTORE, here or in Redis, makes them again."""
    return rdb_functions.dump(store.every(db.attempt).values())


@command("FUNCTION RESTORE", arity=-3, flags=Is.WRITE | Is.DENYOOM | Is.NOSCRIPT, group="scripting", since="7.0.0",
         syntax="serialized-value [FLUSH | APPEND | REPLACE]", complexity="O(N) with N functions in the payload",
         tips=_ALL_SHARDS)
def function_restore(db: Keyspace, session: Session, args: Args) -> Reply:
    """Keep the libraries that FUNCTION DUMP gave, here or in Redis."""
    if len(args) > 4:
        raise _misused(args[1])
    policy = args[3].upper() if len(args) == 4 else b"APPEND"
    if policy not in (b"FLUSH", b"APPEND", b"REPLACE"):
        raise CommandError(b"ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.")

    runtime = _runtime(session)
    catalog = Catalog() if policy == b"FLUSH" else _catalog(db, session)
    restored = _restored(runtime, args[2], session.instance.settings.proto_max_bulk_len).libraries
    if policy == b"REPLACE":
        catalog = catalog.without(set(restored))
    else:
        catalog = catalog.without(set())
    for name, library in restored.items():
        if name in catalog.libraries:
            raise CommandError(b"ERR Library %b already exists" % name)
        catalog.check(library)
        catalog.add(library)
    if policy == b"FLUSH":
        store.remove_all(db.attempt)
    store.change(db.attempt, put=[(name, library.code) for name, library in restored.items()])
    _keep(db, session, catalog)
    return OK


def _restored(runtime: Runtime, payload: bytes, room: int) -> Catalog:
    """The libraries of a payload, loaded."""
    made = Catalog()
    try:
        for code in rdb_functions.load(payload, room):
            name = functions.name_of(code)
            if name in made.libraries:
                raise CommandError(b"ERR Library '%b' already exists" % name)
            library = functions.load(runtime, name, code)
            made.check(library)
            made.add(library)
    except rdb.WrongChecksum:
        raise CommandError(b"ERR DUMP payload version or checksum are wrong") from None
    except rdb_functions.NotALibrary as problem:
        if problem.early:
            raise CommandError(b"ERR Pre-GA function format not supported") from None
        raise CommandError(b"ERR given type is not a function") from None
    except BadPayload:
        raise CommandError(b"ERR Failed loading library payload") from None
    return made


def _misused(subcommand: bytes) -> CommandError:
    return CommandError(
        b"ERR unknown subcommand or wrong number of arguments for '%b'. Try FUNCTION HELP."
        % subcommand.partition(b"\0")[0]
    )


# -- showing


@command("FUNCTION LIST", arity=-2, flags=Is.NOSCRIPT, group="scripting", since="7.0.0",
         syntax="[LIBRARYNAME library-name-pattern] [WITHCODE]", complexity="O(N) with N functions",
         tips=("nondeterministic_output_order",))
def function_list(db: Keyspace, session: Session, args: Args) -> Reply:
    """Give the libraries and what is known of their functions."""
    pattern, with_code = _list_options(args[2:])

    libraries = _catalog(db, session).libraries
    names = sorted(name for name in libraries if pattern is None or pattern.matches(name))
    return [_shown(libraries[name], with_code) for name in names]


def _list_options(words: Args) -> tuple[Glob | None, bool]:
    """The pattern of names, and whether the code is wanted; each may be asked for once."""
    pattern, with_code = None, False
    rest = iter(words)
    for word in rest:
        option = word.upper()
        if option == b"WITHCODE" and not with_code:
            with_code = True
        elif option == b"LIBRARYNAME" and pattern is None:
            name = next(rest, None)
            if name is None:
                raise CommandError(b"ERR library name argument was not given")
            pattern = Glob(name, nocase=True)
        else:
            raise CommandError(b"ERR Unknown argument %b" % word)
    return pattern, with_code


def _shown(library: Library, with_code: bool) -> Map:
    fields: list[tuple[Reply, Reply]] = [
        (b"library_name", library.name),
        (b"engine", b"LUA"),
        (b"functions", [_shown_function(function) for function in library.functions]),
    ]
    if with_code:
        fields.append((b"library_code", library.code))
    return Map(fields)


def _shown_function(function: Registered) -> Map:
    flags = SetOf([Simple(flag) for flag in function.flags])
    return Map([(b"name", function.name), (b"description", function.description), (b"flags", flags)])


@command("FUNCTION STATS", arity=2, flags=Is.NOSCRIPT | Is.ALLOW_BUSY, group="scripting", since="7.0.0",
         tips=("nondeterministic_output", "request_policy:all_shards", "response_policy:special"))
def function_stats(db: Keyspace, session: Session, args: Args) -> Reply:
    """Tell which function runs for long, and count libraries and functions."""
    catalog = _catalog(db, session)
    counts = Map.of({b"libraries_count": len(catalog.libraries), b"functions_count": catalog.count})
    running = session.instance.pace.busy()
    shown: Reply = None
    if running is not None:
        shown = Map.of({
            b"name": running.label, b"command": list(running.request), b"duration_ms": running.elapsed_ms,
        })  # fmt: skip
    return Map([(b"running_script", shown), (b"engines", Map([(b"LUA", counts)]))])


# -- ending


@command("FUNCTION KILL", arity=2, flags=Is.NOSCRIPT | Is.ALLOW_BUSY, group="scripting", since="7.0.0", cuts=False,
         tips=("request_policy:all_shards", "response_policy:one_succeeded"))
def function_kill(session: Session, args: Args) -> Reply:
    """End a function that runs and has not written yet."""
    session.instance.pace.kill(b"FUNCTION")
    return OK


_HELP = [
    Simple(line)
    for line in (
        b"FUNCTION <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        b"LOAD [REPLACE] <FUNCTION CODE>",
        b"    Keep a library with this code.",
        b"DELETE <LIBRARY NAME>",
        b"    Forget a library.",
        b"LIST [LIBRARYNAME PATTERN] [WITHCODE]",
        b"    Show the libraries: their names, and the names, descriptions and flags of their functions.",
        b"STATS",
        b"    Show the function that runs for long, and how many libraries and functions there are.",
        b"KILL",
        b"    End the function that runs.",
        b"FLUSH [ASYNC|SYNC]",
        b"    Forget all libraries.",
        b"DUMP",
        b"    Give all libraries as one payload.",
        b"RESTORE <PAYLOAD> [FLUSH|APPEND|REPLACE]",
        b"    Keep the libraries of a payload: instead of all others, beside them, or in the place of those of",
        b"    the same names.",
        b"HELP",
        b"    Print this help.",
    )
]


@command("FUNCTION HELP", arity=2, flags=Is.LOADING | Is.STALE, group="scripting", since="7.0.0", cuts=False)
def function_help(session: Session, args: Args) -> Reply:
    """Say what FUNCTION can do."""
    return _HELP
