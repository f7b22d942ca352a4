"""Commands against storage: one run inside an attempt, and storage's errors as replies. Runs in storage workers."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

from protocol.errors import CommandError
from protocol.replies import NULL_ARRAY, Reply
from server.keyspecs import Request
from server.registry import Command
from server.run import Item, LoopCall, Run, Told, Transaction
from server.scripting.calls import MustWrite
from server.session import Blocked, Later
from storage.effects import Read, Turn
from storage.errors import DatabaseReadOnly, Indeterminate, NotApplied, StorageError, Unavailable
from storage.keyspace import keyspace_of
from storage.unit import Attempt


def execute(
    run: Run, attempt: Attempt, told: list[Told], after: Callable[[Item], None] | None = None
) -> None:
    """Execute the run's commands in order; the replies are left in the run. May be called again after a roll-back.

    What its commands have to tell after the commit is appended to `told`.  `after` is called behind each command and
    each EXEC, with it.
    """
    if run.watched is not None:
        run.session.watched = dict(run.watched)
    if run.failures:
        run.failures = []
    if run.inner:
        run.inner = {}
    run.delay_s = 0.0
    run.blocked = None
    hits, misses = attempt.hits, attempt.misses
    replies: list[Reply] = []
    run.replies = replies
    run.times = times = []
    run.tells = False
    tracked = run.tracked
    own_s = delay_s = 0.0
    for item in run.items:
        start = perf_counter()
        if tracked is not None:
            attempt.tells_reads = len(replies) in tracked
        if type(item) is tuple:
            replies.append(_call(run, attempt, *item))
        elif type(item) is Transaction:
            replies.append(_exec(run, attempt, item))
        else:
            replies.append(None)
            times.append(0.0)
            continue
        took = perf_counter() - start
        own_s += took
        if "inner" in attempt.parts:
            run.inner[len(replies) - 1] = attempt.parts.pop("inner")
        if attempt.effects:
            effects = attempt.take_effects()
            run.tells |= tracked is None or any(type(effect) is not Read for effect in effects)
            told.append(Told(run, len(replies) - 1, effects))
        if run.delay_s > delay_s:
            # To sleep is what the command took time for.
            took += run.delay_s - delay_s
            delay_s = run.delay_s
        times.append(took)
        if after is not None:
            after(item)
    attempt.tells_reads = False
    run.own_s = own_s
    run.hits, run.misses = attempt.hits - hits, attempt.misses - misses


def try_reading(run: Run, attempt: Attempt, told: list[Told], after: Callable[[Item], None] | None = None) -> None:
    """Execute a run in a unit that only reads; if a script wants to write after all, the run is put back.

    Up to there it has only read, so there is nothing to be rolled back but what it would have told.
    """
    already = len(told)
    try:
        execute(run, attempt, told, after)
    except MustWrite:
        run.let_write()
        run.put_back = True
        if run.watched is not None:
            run.session.watched = dict(run.watched)
        del told[already:]
        attempt.take_effects()
        attempt.parts.pop("inner", None)
        attempt.tells_reads = False


def _call(run: Run, attempt: Attempt, command: Command, request: Request, db: int) -> Reply:
    keyspace = keyspace_of(attempt, db)
    attempt.tells_misses = command.looks_up
    if not command.looks_up:
        hits, misses = attempt.hits, attempt.misses
    reply: Reply
    try:
        if command.with_session:
            reply = command.handler(keyspace, run.session, request)
            if type(reply) is Later:
                run.delay_s += reply.seconds
                reply = reply.reply
        else:
            reply = command.handler(keyspace, request)
        if type(reply) is Blocked:
            if run.blocks:
                run.blocked = reply
                run.seen = {name: attempt.version_of(*name) for name in run.keys}
            reply = reply.nothing
    except CommandError as error:
        # Without its traceback, which would keep this frame and all that hangs on it alive.
        reply = error.with_traceback(None)
        run.failures.append((command, error))
    if attempt.tells_reads and command.looks_up and not command.script:
        # What scripts read is told command by command (server/scripting/calls.py).
        attempt.effects.append(Read(command.key_names(request)))
    if not command.looks_up:
        attempt.hits, attempt.misses = hits, misses
    return reply


def _exec(run: Run, attempt: Attempt, transaction: Transaction) -> Reply:
    session = run.session
    watched, session.watched = session.watched, {}
    hits, misses = attempt.hits, attempt.misses
    for (db, name), version in watched.items():
        if keyspace_of(attempt, db).version(name) != version:
            transaction.executed = False
            return NULL_ARRAY
    transaction.executed = True
    attempt.hits, attempt.misses = hits, misses
    transaction.times = times = []
    replies: list[Reply | LoopCall] = []
    for command, request, db in transaction.commands:
        start = perf_counter()
        if command.on_loop:
            replies.append(LoopCall(command, request))
            times.append(0.0)
            attempt.effects.append(Turn())
        else:
            replies.append(_call(run, attempt, command, request, db))
            times.append(perf_counter() - start)
    return replies


def reply_to(error: StorageError) -> CommandError:
    """What a client reads when storage failed. Neither values nor the driver's own text are in it."""
    match error:
        case Indeterminate():
            return indeterminate()
        case DatabaseReadOnly() | NotApplied(number=1290 | 1836):
            return CommandError(b"READONLY The database takes no writes at present; the command was not applied")
        case NotApplied() | Unavailable():
            return not_applied(str(error))
        case _:
            return CommandError(b"ERR storage: " + str(error).encode())


def not_applied(reason: str) -> CommandError:
    return CommandError(b"UNAVAILABLE the command was not applied: " + reason.encode())


def indeterminate() -> CommandError:
    return CommandError(b"INDETERMINATE the database did not confirm in time; the command may have been applied or not")
