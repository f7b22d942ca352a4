"""Commands against storage: one run inside an attempt, and storage's errors as replies. Runs in storage workers."""

from __future__ import annotations

import time

from protocol.errors import CommandError
from protocol.replies import NULL_ARRAY, Reply
from server.registry import Command, Request
from server.run import LoopCall, Run, Transaction
from storage.errors import DatabaseReadOnly, Indeterminate, NotApplied, StorageError, Unavailable
from storage.keyspace import Keyspace
from storage.unit import Attempt


def execute(run: Run, attempt: Attempt) -> None:
    """Execute the run's commands in order; the replies are left in the run. May be called again after a roll-back."""
    session = run.session
    if run.watched is not None:
        session.watched = dict(run.watched)
    replies: list[Reply | LoopCall] = []
    for item in run.items:
        if type(item) is tuple:
            command, request, db = item
            replies.append(_call(run, attempt, command, request, db))
        elif type(item) is Transaction:
            replies.append(_exec(run, attempt, item))
        else:
            replies.append(None)
    run.replies = replies


def _call(run: Run, attempt: Attempt, command: Command, request: Request, db: int) -> Reply:
    keyspace = Keyspace(attempt, db)
    try:
        if command.with_session:
            return command.handler(keyspace, run.session, request)  # type: ignore[no-any-return]
        return command.handler(keyspace, request)  # type: ignore[no-any-return]
    except CommandError as error:
        # Without its traceback, which would keep this frame and all that hangs on it alive.
        return error.with_traceback(None)


def _exec(run: Run, attempt: Attempt, transaction: Transaction) -> Reply:
    session = run.session
    watched, session.watched = session.watched, {}
    for (db, name), version in watched.items():
        if Keyspace(attempt, db).version(name) != version:
            return NULL_ARRAY
    return [
        LoopCall(command, request) if command.on_loop else _call(run, attempt, command, request, db)
        for command, request, db in transaction.commands
    ]


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


def elapsed_us(start: float) -> int:
    """Microseconds since `start` on the performance counter."""
    return int((time.perf_counter() - start) * 1_000_000)
