"""From queued requests to runs: the checks before a command executes, and what can be answered without storage.

Planning goes by the order of requests and changes the session as it goes (SELECT, MULTI), so that such commands do not
cut a run: the commands behind them carry the database number with them.
"""

from __future__ import annotations

from collections import deque

from protocol.encoder import encode
from protocol.errors import CommandError, exec_aborted, no_auth
from protocol.replies import QUEUED, Reply
from server.registry import Command, Is, Request, find
from server.run import MAX_BYTES, MAX_COMMANDS, Run
from server.session import Later, NoReply, Session

_QUEUED = encode(QUEUED, 2)
#: What takes effect at once inside of MULTI instead of being queued.
_IMMEDIATE = frozenset({"exec", "discard", "multi", "watch", "quit", "reset"})


class Plan:
    """The outcome of planning: a run, and a reply to wait for after it, if a command asked for time."""

    __slots__ = ("later", "run")

    def __init__(self, run: Run) -> None:
        self.run = run
        self.later: Later | None = None


def plan(session: Session, queue: deque[Request], large: bool) -> Plan:
    """Take requests off the queue until something must be waited for.

    `large` says that the queue holds so many bytes that they are worth counting.
    """
    run = Run(session, session.version)
    outcome = Plan(run)
    while queue:
        request = queue[0]
        try:
            command = find(request)
            if not session.authenticated and not command.flags & Is.NO_AUTH:
                raise no_auth()
            if session.queued is None:
                pass
            elif command.name == "watch":
                queue.popleft()
                _answer(session, run, encode(CommandError(b"ERR WATCH inside MULTI is not allowed"), session.version))
                continue
            elif command.name not in _IMMEDIATE:
                if command.flags & Is.NO_MULTI:
                    raise CommandError(b"ERR Command not allowed inside a transaction")
                queue.popleft()
                session.queued.append((command, request))
                _answer(session, run, _QUEUED)
                continue
        except CommandError as error:
            queue.popleft()
            session.queue_failed = session.queued is not None
            session.instance.metrics.rejected(error)
            _answer(session, run, encode(error, session.version))
            continue
        if command.on_loop:
            if run.units and (command.cuts or _forgets_watches(session, run, command)):
                break
            queue.popleft()
            if not _on_loop(session, run, command, request, outcome):
                break
        else:
            queue.popleft()
            _count(session, command)
            if session.reply_mode != "on" and _mute(session):
                run.muted.add(len(run.items))
            if command.with_session and run.watched is None:
                run.watched = session.watched
            run.add(command, request, session.db)
            if large:
                run.size += sum(map(len, request))
        if run.units >= MAX_COMMANDS or run.size >= MAX_BYTES or run.slow:
            break
    return outcome


def call(session: Session, command: Command, request: Request) -> Reply | Later | NoReply:
    """The reply of a command that runs on the loop."""
    _count(session, command)
    try:
        return command.handler(session, request)  # type: ignore[no-any-return]
    except CommandError as error:
        command.failed_calls += 1
        session.instance.metrics.failed(error)
        return error


def _on_loop(session: Session, run: Run, command: Command, request: Request, outcome: Plan) -> bool:
    """Answer a command of the loop; False if planning must stop behind it."""
    if command.name == "exec" and session.queued is not None:
        return _exec(session, run, command)
    reply = call(session, command, request)
    if isinstance(reply, NoReply):
        return True
    if isinstance(reply, Later):
        outcome.later = reply
        return False
    _answer(session, run, encode(reply, session.version))
    run.version = session.version
    return not session.close_after_reply


def _forgets_watches(session: Session, run: Run, command: Command) -> bool:
    """Whether a command ends WATCHes that the commands planned so far have yet to make."""
    return run.watched is not None and (command.name == "discard" or (command.name == "exec" and session.queue_failed))


def _exec(session: Session, run: Run, command: Command) -> bool:
    queued, failed = session.queued or [], session.queue_failed
    session.queued = None
    session.queue_failed = False
    _count(session, command)
    if failed:
        session.watched = {}
        error = exec_aborted()
        session.instance.metrics.failed(error)
        _answer(session, run, encode(error, session.version))
        return True
    if session.reply_mode != "on" and _mute(session):
        run.muted.add(len(run.items))
    commands: list[tuple[Command, Request, int]] = []
    db = session.db
    for inner, request in queued:
        inner.calls += 1
        if inner.name == "select":
            db = session.instance.database_number(request[1], db)
        commands.append((inner, request, db))
    session.db = db
    run.watched = session.watched if run.watched is None else run.watched
    run.add_transaction(commands, list(run.watched), db)
    return True


def _answer(session: Session, run: Run, encoded: bytes) -> None:
    if session.reply_mode != "on" and _mute(session):
        return
    run.items.append(encoded)


def _mute(session: Session) -> bool:
    """Whether the reply at hand is not wanted (CLIENT REPLY OFF, SKIP)."""
    if session.reply_mode == "skip":
        session.reply_mode = "on"
        return True
    return session.reply_mode == "off"


def _count(session: Session, command: Command) -> None:
    command.calls += 1
    session.command_count += 1
    session.last_command = command
