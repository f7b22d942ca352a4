"""Commands against storage: one run inside an attempt, and storage's errors as replies. Runs in storage workers."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

from protocol.errors import CommandError
from protocol.replies import NULL_ARRAY, Reply
from server.keyspecs import Request
from server.registry import Command
from server.run import Item, LoopCall, Run, Told, Transaction
from server.session import Blocked, Later
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
    run.delay_s = 0.0
    run.blocked = None
    hits, misses = attempt.hits, attempt.misses
    run.replies = replies = []
    run.times = times = []
    own_s = delay_s = 0.0
    for item in run.items:
        start = perf_counter()
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
        if attempt.effects:
            told.append(Told(run, len(replies) - 1, attempt.take_effects()))
        if run.delay_s > delay_s:
            # To sleep is what the command took time for.
            took += run.delay_s - delay_s
            delay_s = run.delay_s
        times.append(took)
        if after is not None:
            after(item)
    run.own_s = own_s
    run.hits, run.misses = attempt.hits - hits, attempt.misses - misses


def _call(run: Run, attempt: Attempt, command: Command, request: Request, db: int) -> Reply:
    keyspace = keyspace_of(attempt, db)
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
        replies.append(
            LoopCall(command, request) if command.on_loop else _call(run, attempt, command, request, db)
        )
        times.append(0.0 if command.on_loop else perf_counter() - start)
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
