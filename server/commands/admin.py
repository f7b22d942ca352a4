"""Commands for whoever runs the server: emptying and exchanging databases, saving, ending, looking inside."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from protocol.errors import CommandError, no_such_key, syntax_error, timeout_negative, timeout_not_an_integer
from protocol.numbers import parse_double
from protocol.replies import OK, Reply, Simple, Verbatim
from server.arguments import Args, integer
from server.instance import REDIS_VERSION
from server.registry import Is, always, command, lookup
from server.session import NO_REPLY, Later, NoReply, Session
from storage.keyspace import Keyspace

_ADMIN = Is.ADMIN | Is.NOSCRIPT
_TIMELY = Is.LOADING | Is.STALE | Is.FAST
_EVERYWHERE = ("request_policy:all_shards", "response_policy:all_succeeded")
_ANSWERS_VARY = ("nondeterministic_output",)
_INT_MAX = 2**31 - 1


# -- databases as a whole


@command("FLUSHALL", arity=-1, flags=Is.WRITE, group="server", since="1.0.0", syntax="[ASYNC | SYNC]", alone=always,
         values=False, complexity="O(N) with N databases, whatever is in them", tips=_EVERYWHERE,
         categories=("keyspace", "dangerous"))
def flushall(db: Keyspace, session: Session, args: Args) -> Reply:
    """Empty all databases; the rows are removed in the background."""
    _check_flush(args)

    for number in range(session.instance.settings.databases):
        db.attempt.replace_space(number, tell=number == 0)
    return OK


@command("FLUSHDB", arity=-1, flags=Is.WRITE, group="server", since="1.0.0", syntax="[ASYNC | SYNC]", alone=always,
         values=False, complexity="O(1), whatever is in the database", tips=_EVERYWHERE,
         categories=("keyspace", "dangerous"))
def flushdb(db: Keyspace, args: Args) -> Reply:
    """Empty the selected database; the rows are removed in the background."""
    _check_flush(args)

    db.attempt.replace_space(db.db)
    return OK


def _check_flush(args: Args) -> None:
    if len(args) > 2 or (len(args) == 2 and args[1].upper() not in (b"ASYNC", b"SYNC")):
        raise syntax_error()


@command("SWAPDB", arity=3, flags=Is.WRITE | Is.FAST, group="server", since="4.0.0", syntax="index1 index2",
         alone=always, values=False, complexity="O(1), whatever is in the databases",
         categories=("keyspace", "dangerous"))
def swapdb(db: Keyspace, session: Session, args: Args) -> Reply:
    """Exchange two databases."""
    first = _index(args[1], b"ERR invalid first DB index")
    second = _index(args[2], b"ERR invalid second DB index")
    # The numbers are numbers: what remains to be told is whether there are such databases.
    for number in (first, second):
        session.instance.database_number(b"%d" % number)

    if first != second:
        db.attempt.swap_spaces(first, second)
    return OK


def _index(word: bytes, message: bytes) -> int:
    number = integer(word, message)
    if not -_INT_MAX - 1 <= number <= _INT_MAX:
        raise CommandError(message)
    return number


# -- time, roles, durability


@command("TIME", arity=1, flags=_TIMELY, group="server", since="2.6.0", tips=_ANSWERS_VARY)
def time_(session: Session, args: Args) -> Reply:
    """Give the database's time as seconds and microseconds."""
    seconds, microseconds = divmod(session.instance.storage.clock.now_us(), 1_000_000)
    return [b"%d" % seconds, b"%d" % microseconds]


@command("ROLE", arity=1, flags=_TIMELY | Is.NOSCRIPT, group="server", since="2.8.12",
         categories=("admin", "dangerous"))
def role(session: Session, args: Args) -> Reply:
    """Answer that this is a master without replicas: replication is the database's business."""
    return [b"master", 0, []]


@command("LASTSAVE", arity=1, flags=_TIMELY, group="server", since="1.0.0", tips=_ANSWERS_VARY,
         categories=("admin", "dangerous"))
def lastsave(session: Session, args: Args) -> Reply:
    """Give the time of the last save, which is now: every acknowledged write is in a committed transaction."""
    return session.instance.storage.clock.now_us() // 1_000_000


@command("SAVE", arity=1, flags=_ADMIN | Is.NO_ASYNC_LOADING | Is.NO_MULTI, group="server", since="1.0.0")
def save(session: Session, args: Args) -> Reply:
    """Answer OK: every acknowledged write is in a committed transaction."""
    return OK


@command("BGSAVE", arity=-1, flags=_ADMIN | Is.NO_ASYNC_LOADING, group="server", since="1.0.0", syntax="[SCHEDULE]")
def bgsave(session: Session, args: Args) -> Reply:
    """Answer as if a save began: every acknowledged write is in a committed transaction."""
    if len(args) > 2 or (len(args) == 2 and args[1].upper() != b"SCHEDULE"):
        raise syntax_error()

    return Simple(b"Background saving started")


@command("BGREWRITEAOF", arity=1, flags=_ADMIN | Is.NO_ASYNC_LOADING, group="server", since="1.0.0")
def bgrewriteaof(session: Session, args: Args) -> Reply:
    """Answer as if a file were rewritten; there is none, the database keeps its own log."""
    return Simple(b"Background append only file rewriting started")


@command("WAIT", arity=3, flags=Is.BLOCKING, group="generic", since="3.0.0", syntax="numreplicas timeout",
         tips=("request_policy:all_shards", "response_policy:agg_min"), categories=("connection",))
def wait(session: Session, args: Args) -> Reply:
    """Give the number of replicas that have the writes of this connection: none, since there are none."""
    integer(args[1])
    _check_timeout(args[2])

    return 0


@command("WAITAOF", arity=4, flags=Is.BLOCKING, group="generic", since="7.2.0", syntax="numlocal numreplicas timeout",
         tips=("request_policy:all_shards", "response_policy:agg_min"), categories=("connection",))
def waitaof(session: Session, args: Args) -> Reply:
    """Answer that the writes of this connection are durable here, since they are committed, and on no replica."""
    if not 0 <= integer(args[1]) <= 1:
        raise CommandError(b"ERR value is out of range, value must between 0 and 1")
    try:
        replicas = integer(args[2])
    except CommandError:
        replicas = -1
    if replicas < 0:
        raise CommandError(b"ERR value is out of range, must be positive")
    _check_timeout(args[3])

    return [1, 0]


def _check_timeout(word: bytes) -> None:
    if integer(word, timeout_not_an_integer().message) < 0:
        raise timeout_negative()


@command("SHUTDOWN", arity=-1, flags=_ADMIN | Is.LOADING | Is.STALE | Is.NO_MULTI | Is.ALLOW_BUSY, group="server",
         since="1.0.0", syntax="[NOSAVE | SAVE] [NOW] [FORCE] [ABORT]", complexity="O(N) with N commands under way")
def shutdown(session: Session, args: Args) -> NoReply:
    """End the server once running commands are answered; NOW waits for nobody, the other options change nothing."""
    options = {word.upper() for word in args[1:]}
    if not options <= {b"NOSAVE", b"SAVE", b"NOW", b"FORCE", b"ABORT"} or {b"NOSAVE", b"SAVE"} <= options:
        raise syntax_error()
    if b"ABORT" in options:
        if len(options) > 1:
            raise syntax_error()
        # What is queued behind a shutdown is never executed, so there can be none under way.
        raise CommandError(b"ERR No shutdown in progress.")

    if b"NOSAVE" not in options:
        session.instance.pace.refuse_if_busy()
    elif session.instance.pace.busy() is not None:
        # There is no other way to end a script that has written.
        options.add(b"NOW")
    session.close_after_reply = True
    session.instance.stop_now |= b"NOW" in options
    session.instance.stopping.set()
    return NO_REPLY


# -- DEBUG

_DEBUG_REFUSED = (
    b"ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run it from a "
    b"local connection, otherwise you need to set this option in the configuration file, and then restart the server."
)
_DEBUG_HELP = (
    b"DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    b"OBJECT <key>",
    b"    Describe how a value is kept.",
    b"SLEEP <seconds>",
    b"    Hold back the replies to this client for so long; others are not delayed.",
    b"HELP",
    b"    Print this help.",
)


@command("DEBUG", arity=-2, flags=_ADMIN | Is.LOADING | Is.STALE, group="server", since="1.0.0", slow=True,
         syntax="subcommand [argument [argument ...]]", values=False, complexity="Depends on the subcommand.")
def debug(db: Keyspace, session: Session, args: Args) -> Reply | Later:
    """Help with looking for mistakes, if the configuration allows it."""
    allowed = session.instance.settings.enable_debug_command
    if allowed == "no" or (allowed == "local" and not session.is_local):
        raise CommandError(_DEBUG_REFUSED)

    match args[1].upper(), len(args):
        case b"HELP", 2:
            return [Simple(line) for line in _DEBUG_HELP]
        case b"SLEEP", 3:
            return Later(_seconds(args[2]), OK)
        case b"OBJECT", 3:
            return _describe(db, args[2])
        case _:
            raise CommandError(
                b"ERR unknown subcommand or wrong number of arguments for '%b'. Try DEBUG HELP."
                % args[1].partition(b"\0")[0][:128]
            )


def _seconds(word: bytes) -> float:
    """Seconds to sleep; as in Redis, what is no number is none."""
    with contextlib.suppress(ValueError):
        return min(max(0.0, parse_double(word)), 1e6)
    return 0.0


def _describe(db: Keyspace, name: bytes) -> Reply:
    row = db.find_quietly(name)
    if row is None:
        raise no_such_key()
    teller = lookup(b"object|encoding")
    encoding = teller.handler(db, [b"OBJECT", b"ENCODING", name]) if teller is not None else b"unknown"
    return Simple(
        b"Value at:0x%x refcount:1 encoding:%b serializedlength:%d lru:0 lru_seconds_idle:0"
        % (row.key_id, encoding, row.size)
    )


# -- art


@command("LOLWUT", arity=-1, flags=Is.READONLY | Is.FAST, group="server", since="5.0.0", syntax="[VERSION version]",
         complexity="", categories=())
def lolwut(session: Session, args: Args) -> Reply:
    """Draw a picture and tell the version."""
    version = 1
    if len(args) > 2 and args[1].upper() == b"VERSION":
        version = integer(args[2])

    rows = _weave(30 if version == 1 else 90)
    return Verbatim(b"txt", "".join(rows).encode() + b"\nRowdis, as Redis ver. %b\n" % REDIS_VERSION)


def _weave(rule: int) -> Iterator[str]:
    """Rows upon rows, each made of the one before by an elementary cellular automaton."""
    width, height = 63, 24
    cells = [x == width // 2 for x in range(width)]
    for _ in range(height):
        yield "".join("▒" if cell else " " for cell in cells).rstrip() + "\n"
        cells = [
            bool(rule >> (4 * cells[x - 1] + 2 * cells[x] + cells[(x + 1) % width]) & 1) for x in range(width)
        ]
