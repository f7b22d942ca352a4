"""From queued requests to runs: the checks before a command executes, and what can be answered without storage.

Planning goes by the order of requests and changes the session as it goes (SELECT, MULTI), so that such commands do not
cut a run: the commands behind them carry the database number with them.
"""

from __future__ import annotations

import time
from collections import deque

from protocol.encoder import encode
from protocol.errors import CommandError, exec_aborted, no_auth
from protocol.replies import QUEUED, Reply
from server.keyspecs import Request
from server.registry import Command, Is, find, lookup
from server.run import MAX_BYTES, MAX_COMMANDS, Run
from server.session import NoReply, Pushes, Session

_QUEUED = encode(QUEUED, 2)
#: What takes effect at once inside of MULTI instead of being queued.
_IMMEDIATE = frozenset({"exec", "discard", "multi", "watch", "quit", "reset"})
#: What a client may not use that is in MONITOR, which Redis treats like a replica.
_OF_KEYSPACE = Is.WRITE | Is.READONLY
_REPLICATED = frozenset({"publish", "spublish", "eval", "evalsha", "fcall"})
#: What a client may use that listens to messages in RESP2, where they can't be told from replies.
_WHILE_LISTENING = frozenset({
    "subscribe", "unsubscribe", "psubscribe", "punsubscribe", "ssubscribe", "sunsubscribe", "ping", "quit", "reset",
})


def plan(session: Session, queue: deque[Request], large: bool) -> Run:
    """Take requests off the queue until something must be waited for.

    `large` says that the queue holds so many bytes that they are worth counting.
    """
    run = Run(session, session.version)
    monitors = session.instance.monitors
    pace = session.instance.pace
    while queue:
        request = queue[0]
        try:
            command = find(request)
            if not session.authenticated and not command.flags & Is.NO_AUTH:
                raise no_auth()
            if session.subscriptions is not None and session.version == 2 and command.full_name not in _WHILE_LISTENING:
                raise _not_while_listening(command)
            if session.monitoring and (command.flags & _OF_KEYSPACE or command.full_name in _REPLICATED):
                raise CommandError(b"ERR Replica can't interact with the keyspace")
            if pace.running and not command.flags & Is.ALLOW_BUSY:
                pace.refuse_if_busy()
            if session.queued is None:
                pass
            elif command.full_name == "watch":
                queue.popleft()
                _watch_inside_multi(session, run, command)
                _tell(session, command, request)
                continue
            elif command.full_name not in _IMMEDIATE:
                if command.flags & Is.NO_MULTI:
                    raise CommandError(b"ERR Command not allowed inside a transaction")
                queue.popleft()
                session.queued.append((command, request))
                _answer(session, run, _QUEUED)
                continue
        except CommandError as error:
            if request[0].lower() == b"exec" and _awaits_watches(run):
                break
            queue.popleft()
            _refuse(session, run, request, error)
            continue
        if command.on_loop:
            if run.units and (command.cuts or monitors.active or _forgets_watches(session, run, command)):
                # Whoever monitors is told of commands in their order.
                break
            queue.popleft()
            if not _on_loop(session, run, command, request):
                break
        else:
            if command.blocks is not None and run.items and command.blocks(request):
                # What comes before it is answered before it waits.
                break
            queue.popleft()
            session.command_count += 1
            session.last_command = command
            if session.reply_mode != "on" and _mute(session):
                run.mute()
            if command.watches and run.watched is None:
                run.watched = session.watched
            if session.tracking is not None:
                session.instance.tracking.plan(session.tracking, run, command, request)
            run.add(command, request, session.db)
            if large:
                run.size += sum(map(len, request))
        if run.units >= MAX_COMMANDS or run.size >= MAX_BYTES or run.slow or run.blocks:
            break
    return run


def call(session: Session, command: Command, request: Request) -> Reply | NoReply | Pushes:
    """The reply of a command that runs on the loop."""
    session.command_count += 1
    session.last_command = command
    command.calls += 1
    metrics = session.instance.metrics
    start = time.perf_counter()
    try:
        return command.handler(session, request)  # type: ignore[no-any-return]
    except CommandError as error:
        command.failed_calls += 1
        metrics.failed(error)
        return error
    finally:
        metrics.called(session, command, request, time.perf_counter() - start)


def _on_loop(session: Session, run: Run, command: Command, request: Request) -> bool:
    """Answer a command of the loop; False if planning must stop behind it."""
    if command.full_name == "exec" and session.queued is not None:
        return _exec(session, run, command)
    reply = call(session, command, request)
    _tell(session, command, request)
    if isinstance(reply, Pushes):
        run.items.append(reply.encoded)
        if session.reply_mode == "skip":
            session.reply_mode = "on"
    elif not isinstance(reply, NoReply):
        _answer(session, run, encode(reply, session.version))
    if session.after_reply or session.invalidations:
        run.items += session.take_after_reply()
    if session.tracking is not None:
        session.tracking.spend(command)
    run.version = session.version
    if session.monitoring or (command.flags & Is.PUBSUB and session.subscriptions is not None):
        # It must not read a later message of somebody else before this, so this goes out at once.
        return False
    return not session.close_after_reply and not session.instance.batcher.paused_for_all


def _tell(session: Session, command: Command, request: Request) -> None:
    """Tell whoever monitors of a command that the loop has executed."""
    monitors = session.instance.monitors
    if monitors.active:
        monitors.tell(session, command, request, session.db)


def _not_while_listening(command: Command) -> CommandError:
    return CommandError(
        b"ERR Can't execute '%b': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this "
        b"context" % command.full_name.encode()
    )


def _awaits_watches(run: Run) -> bool:
    """Whether the run has yet to make, or to compare, what its session watches."""
    return bool(run.units) and run.watched is not None


def _forgets_watches(session: Session, run: Run, command: Command) -> bool:
    """Whether a command ends WATCHes that the commands planned so far have yet to make."""
    ends = command.full_name == "discard" or (command.full_name == "exec" and session.queue_failed)
    return ends and _awaits_watches(run)


def _exec(session: Session, run: Run, command: Command) -> bool:
    """Plan the queued commands as one element of the run; False if planning must stop behind it."""
    queued, failed = session.queued or [], session.queue_failed
    session.queued = None
    session.queue_failed = False
    session.command_count += 1 + len(queued)
    session.last_command = command
    command.calls += 1
    if failed:
        if session.tracking is not None:
            session.tracking.spend(command)
        session.watched = {}
        error = exec_aborted()
        command.failed_calls += 1
        session.instance.metrics.failed(error)
        _tell(session, command, [b"EXEC"])
        _answer(session, run, encode(error, session.version))
        return True
    if session.reply_mode != "on" and _mute(session):
        run.mute()
    commands: list[tuple[Command, Request, int]] = []
    db = session.db
    for inner, request in queued:
        if inner.full_name == "select":
            # Only where the rest of the transaction goes: SELECT itself takes effect after the commit.
            db = session.instance.database_number(request[1], db)
        commands.append((inner, request, db))
    if run.watched is None:
        run.watched = session.watched
    if session.tracking is not None:
        session.instance.tracking.plan_transaction(session.tracking, run, queued)
    run.add_transaction(commands, list(run.watched), db)
    # What the loop does for a transaction happens after its commit, and never if it fails.
    return not run.loop_calls


def _watch_inside_multi(session: Session, run: Run, command: Command) -> None:
    error = CommandError(b"ERR WATCH inside MULTI is not allowed")
    command.calls += 1
    command.failed_calls += 1
    session.instance.metrics.failed(error)
    _answer(session, run, encode(error, session.version))


def _refuse(session: Session, run: Run, request: Request, error: CommandError) -> None:
    """Answer a request that does not get to run; it spoils an open transaction, and as EXEC ends it."""
    command = lookup(request[0])
    if command is not None and command.subcommands and len(request) > 1:
        command = command.subcommands.get(request[1].lower())
    if command is not None:
        command.rejected_calls += 1
    if command is not None and command.full_name == "exec":
        session.queued = None
        session.queue_failed = False
        session.watched = {}
        error = CommandError(b"EXECABORT Transaction discarded because of: " + error.message.removeprefix(b"ERR "))
    else:
        session.queue_failed = session.queued is not None
    if session.tracking is not None:
        session.tracking.spend(command)
    session.instance.metrics.failed(error)
    _answer(session, run, encode(error, session.version))


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
