"""Scripts: EVAL and its kin, and SCRIPT. How a script runs is told in server/scripting/."""

from __future__ import annotations

from collections.abc import Callable

from protocol.errors import CommandError, no_script
from protocol.replies import OK, Reply, Simple
from server.arguments import Args, integer
from server.keyspecs import CountedKeys
from server.registry import Is, command, container, never
from server.scripting.cache import Script, parse, sha_of
from server.scripting.calls import ScriptCall
from server.scripting.runtime import CompileError, Runtime, runtime_of_this_thread
from server.session import Session
from storage import scripts
from storage.keyspace import Keyspace

_RUNS = Is.NOSCRIPT | Is.STALE | Is.SKIP_MONITOR | Is.NO_MANDATORY_KEYS | Is.MOVABLEKEYS
_ANY_USE = "We cannot tell how the keys will be used so we assume the worst, RW and UPDATE"
_ANY_READ = "We cannot tell how the keys will be used so we assume the worst, RO and ACCESS"
_COMPLEXITY = "Depends on the script"


# -- running


@command("EVAL", arity=-3, flags=_RUNS, keys=(CountedKeys(2, "RW access update", _ANY_USE),), group="scripting",
         since="2.6.0", syntax="script numkeys [key [key ...]] [arg [arg ...]]", writes=True, script=True, whole=never,
         complexity=_COMPLEXITY)
def eval_(db: Keyspace, session: Session, args: Args) -> Reply:
    """Run a script in Lua."""
    return _run(db, session, args, _script_of_body, read_only=False)


@command("EVALSHA", arity=-3, flags=_RUNS, keys=(CountedKeys(2, "RW access update"),), group="scripting",
         since="2.6.0", syntax="sha1 numkeys [key [key ...]] [arg [arg ...]]", writes=True, script=True, whole=never,
         complexity=_COMPLEXITY)
def evalsha(db: Keyspace, session: Session, args: Args) -> Reply:
    """Run a script in Lua that is known already, by the SHA-1 of its text."""
    _check_sha(args[1])
    return _run(db, session, args, _script_of_sha, read_only=False)


@command("EVAL_RO", arity=-3, flags=_RUNS | Is.READONLY, keys=(CountedKeys(2, "RO access", _ANY_READ),),
         group="scripting", since="7.0.0", syntax="script numkeys [key [key ...]] [arg [arg ...]]", script=True,
         whole=never, complexity=_COMPLEXITY)
def eval_ro(db: Keyspace, session: Session, args: Args) -> Reply:
    """Run a script in Lua that must not write."""
    return _run(db, session, args, _script_of_body, read_only=True)


@command("EVALSHA_RO", arity=-3, flags=_RUNS | Is.READONLY, keys=(CountedKeys(2, "RO access"),), group="scripting",
         since="7.0.0", syntax="sha1 numkeys [key [key ...]] [arg [arg ...]]", script=True, whole=never,
         complexity=_COMPLEXITY)
def evalsha_ro(db: Keyspace, session: Session, args: Args) -> Reply:
    """Run a script in Lua that is known already and must not write."""
    _check_sha(args[1])
    return _run(db, session, args, _script_of_sha, read_only=True)


def _run(
    db: Keyspace, session: Session, args: Args, find: Callable[[Keyspace, Session, bytes], Script], *, read_only: bool
) -> Reply:
    count = integer(args[2])
    if count > len(args) - 3:
        raise CommandError(b"ERR Number of keys can't be greater than number of args")
    if count < 0:
        raise CommandError(b"ERR Number of keys can't be negative")

    script = find(db, session, args[1])
    if script.flags is not None:
        if b"no-writes" in script.flags:
            read_only = True
        elif read_only:
            raise CommandError(b"ERR Can not execute a script with write flag using *_ro command.")
    runtime = _runtime(session)
    function = _compiled(runtime, script)
    with ScriptCall(db, session, script.sha, args, read_only=read_only) as call:
        return runtime.run(function, call, count, args[3:])


def _script_of_body(db: Keyspace, session: Session, body: bytes) -> Script:
    """The script with this text; it is known from now on if it can be run at all."""
    cache, number = session.instance.scripts, db.attempt.map.scripts
    sha = sha_of(body)
    script = cache.get(sha, number) or session.instance.loaded_scripts.get(sha, number)
    if script is None:
        script = parse(body, sha)
        _compiled(_runtime(session), script)
        cache.put(script, number)
    return script


def _script_of_sha(db: Keyspace, session: Session, sha: bytes) -> Script:
    """The script with this SHA-1. CommandError if there is none."""
    cache, loaded = session.instance.scripts, session.instance.loaded_scripts
    number = db.attempt.map.scripts
    script = cache.get(sha, number) or loaded.get(sha, number)
    if script is None:
        digest = _digest(sha)
        lower = sha.lower()
        script = cache.get(lower, number) or loaded.get(lower, number) if digest is not None else None
    if script is None:
        body = scripts.body_of(db.attempt, digest) if digest is not None else None
        if body is None:
            raise no_script()
        script = parse(body, sha.lower())
        loaded.put(script, number)
    return script


def _check_sha(sha: bytes) -> None:
    """Raise CommandError if there can be no such script; this is judged before the number of keys."""
    if len(sha) != 40:
        raise no_script()


def _digest(sha: bytes) -> bytes | None:
    """The 20 bytes that 40 hexadecimal digits stand for; None if it is something else."""
    try:
        return bytes.fromhex(sha.decode("ascii")) if len(sha) == 40 else None
    except ValueError:
        return None


def _runtime(session: Session) -> Runtime:
    return runtime_of_this_thread(session.instance.redis_version)


def _compiled(runtime: Runtime, script: Script) -> object:
    try:
        return runtime.script(script.sha, lambda: script.code)
    except CompileError as error:
        raise CommandError(b"ERR Error compiling script (new function): " + error.message) from None


# -- keeping


container("SCRIPT", group="scripting", since="2.6.0", summary="Keep, look for, forget and end scripts")


@command("SCRIPT LOAD", arity=3, flags=Is.NOSCRIPT | Is.STALE, group="scripting", since="2.6.0", syntax="script",
         writes=True, complexity="O(N) with N bytes of the script",
         tips=("request_policy:all_nodes", "response_policy:all_succeeded"))
def script_load(db: Keyspace, session: Session, args: Args) -> Reply:
    """Keep a script in the database, for EVALSHA on all instances."""
    script = parse(args[2])
    _compiled(_runtime(session), script)

    scripts.add(db.attempt, bytes.fromhex(script.sha.decode()), script.body)
    session.instance.loaded_scripts.put(script, db.attempt.map.scripts)
    return script.sha


@command("SCRIPT EXISTS", arity=-3, flags=Is.NOSCRIPT, group="scripting", since="2.6.0", syntax="sha1 [sha1 ...]",
         complexity="O(N) with N scripts asked for",
         tips=("request_policy:all_shards", "response_policy:agg_logical_and"))
def script_exists(db: Keyspace, session: Session, args: Args) -> Reply:
    """Say of each SHA-1 whether its script is known."""
    cache, number = session.instance.scripts, db.attempt.map.scripts
    digests = {sha: _digest(sha) for sha in args[2:]}
    here = {sha for sha in digests if cache.get(sha.lower(), number) is not None}
    asked = list({digest for sha, digest in digests.items() if digest is not None and sha not in here})
    kept = scripts.known(db.attempt, asked)
    return [int(sha in here or digests[sha] in kept) for sha in args[2:]]


@command("SCRIPT FLUSH", arity=-2, flags=Is.NOSCRIPT, group="scripting", since="2.6.0", syntax="[ASYNC | SYNC]",
         writes=True, complexity="O(N) with N scripts kept",
         tips=("request_policy:all_nodes", "response_policy:all_succeeded"))
def script_flush(db: Keyspace, session: Session, args: Args) -> Reply:
    """Forget all scripts, in the database and on all instances."""
    if len(args) > 3 or (len(args) == 3 and args[2].upper() not in (b"ASYNC", b"SYNC")):
        raise CommandError(b"ERR SCRIPT FLUSH only support SYNC|ASYNC option")

    scripts.remove_all(db.attempt)
    return OK


# -- ending


@command("SCRIPT KILL", arity=2, flags=Is.NOSCRIPT | Is.ALLOW_BUSY, group="scripting", since="2.6.0", cuts=False,
         tips=("request_policy:all_shards", "response_policy:one_succeeded"))
def script_kill(session: Session, args: Args) -> Reply:
    """End a script that runs and has not written yet."""
    session.instance.pace.kill(b"SCRIPT")
    return OK


@command("SCRIPT DEBUG", arity=3, flags=Is.NOSCRIPT, group="scripting", since="3.2.0", syntax="<YES | SYNC | NO>",
         cuts=False)
def script_debug(session: Session, args: Args) -> Reply:
    """Turn the debugger for scripts off; there is none to be turned on."""
    mode = args[2].upper()
    if mode not in (b"YES", b"SYNC", b"NO"):
        raise CommandError(b"ERR Use SCRIPT DEBUG YES/SYNC/NO")
    if mode != b"NO":
        raise CommandError(b"ERR Rowdis has no debugger for scripts")

    return OK


_HELP = [
    Simple(line)
    for line in (
        b"SCRIPT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        b"EXISTS <sha1> [<sha1> ...]",
        b"    Say of each <sha1> whether its script is known.",
        b"FLUSH [ASYNC|SYNC]",
        b"    Forget all scripts.",
        b"KILL",
        b"    End the script that runs.",
        b"LOAD <script>",
        b"    Keep a script without running it.",
        b"HELP",
        b"    Print this help.",
    )
]


@command("SCRIPT HELP", arity=2, flags=Is.LOADING | Is.STALE, group="scripting", since="5.0.0", cuts=False)
def script_help(session: Session, args: Args) -> Reply:
    """Say what SCRIPT can do."""
    return _HELP
