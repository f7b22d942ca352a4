"""Counters of a running server, as INFO tells them. Lives on the event loop; workers leave theirs in their runs."""

from __future__ import annotations

import time
from collections import Counter

from protocol.errors import CommandError
from server.keyspecs import Request
from server.observation import Observation
from server.registry import TABLE, Command
from server.run import Batch, Run, Transaction
from server.session import Session

_EXEC = [b"EXEC"]


class Metrics:
    """What happened since the start or the last CONFIG RESETSTAT."""

    #: Kinds of errors that are told apart; a client must not be able to make INFO grow without bound.
    MAX_ERRORS = 128

    def __init__(self, observation: Observation) -> None:
        self._observation = observation
        self._sampled = (time.monotonic(), 0, 0, 0)
        self.reset()

    def reset(self) -> None:
        """Start counting anew (CONFIG RESETSTAT)."""
        self.connections_received = 0
        self.rejected_connections = 0
        self.denied_logins = 0
        self.oversized_inputs = 0
        self.overrun_outputs = 0
        self.input_bytes = 0
        self.output_bytes = 0
        self.commands = 0
        self.errors: Counter[str] = Counter()
        self.keyspace_hits = 0
        self.keyspace_misses = 0
        #: Batches that workers have finished, and the commands in them.
        self.batches = 0
        self.batched_commands = 0
        #: The averages of the last second.
        self.commands_per_s = 0
        self.input_kb_per_s = 0.0
        self.output_kb_per_s = 0.0

    @property
    def error_replies(self) -> int:
        return sum(list(self.errors.values()))

    def failed(self, error: CommandError) -> None:
        """A request was answered with an error."""
        code = error.code.decode("ascii", "replace")
        if code in self.errors or len(self.errors) < self.MAX_ERRORS:
            self.errors[code] += 1

    def tally(self, batch: Batch) -> None:
        """Count what a worker has done.

        Commands of a batch share its rows, its trips and its commit: each is charged the same part of the time that
        these took, besides what it took itself.
        """
        runs = batch.runs
        observation = self._observation
        tracking, slow_us = observation.tracking, observation.command_from_us
        if batch.elapsed_s * 1_000_000 >= observation.batch_from_us:
            observation.batch(int(batch.elapsed_s * 1_000_000))
        units, share_s = _shares(batch)
        hits = misses = 0
        for run in runs:
            if run.put_back or run.locked:
                units -= run.units
                continue
            hits += run.hits
            misses += run.misses
            part_s = share_s if not run.unit_s else max(0.0, run.unit_s - run.own_s) / (run.units or 1)
            for item, own_s in zip(run.items, run.times, strict=False):
                if type(item) is tuple:
                    command = item[0]
                    us = (own_s + part_s) * 1_000_000
                    command.calls += 1
                    command.usec += us
                    if tracking:
                        command.latencies[int(us * 1000).bit_length()] += 1
                    if us >= slow_us:
                        observation.command(run.session, command, item[1], int(us))
                elif type(item) is Transaction:
                    self._tally_transaction(run.session, item, own_s, part_s)
            if run.failures and not run.answered:
                self.errors_of(run)
            if run.inner:
                self._tally_scripts(run)
        self.batches += 1
        self.batched_commands += units
        self.keyspace_hits += hits
        self.keyspace_misses += misses

    def _tally_scripts(self, run: Run) -> None:
        """Count the commands that scripts have called."""
        for inner in run.inner.values():
            for command, (calls, took_s, failed) in inner.counts.items():
                command.calls += int(calls)
                command.failed_calls += int(failed)
                command.usec += took_s * 1_000_000

    def called(self, session: Session, command: Command, request: Request, took_s: float) -> None:
        """Count the time of a command whose call is counted already."""
        us = took_s * 1_000_000
        command.usec += us
        if self._observation.tracking:
            command.latencies[int(us * 1000).bit_length()] += 1
        if us >= self._observation.command_from_us:
            self._observation.command(session, command, request, int(us))

    def _tally_transaction(self, session: Session, transaction: Transaction, own_s: float, part_s: float) -> None:
        self.called(session, TABLE["exec"], _EXEC, own_s + part_s)
        if transaction.executed:
            part_s /= len(transaction.commands) or 1
            for (command, request, _), inner_s in zip(transaction.commands, transaction.times, strict=False):
                if not command.on_loop:
                    command.calls += 1
                    self.called(session, command, request, inner_s + part_s)

    def errors_of(self, run: Run) -> None:
        """Count the errors that a run is answered with."""
        for command, error in run.failures:
            if command is not None:
                command.failed_calls += 1
            self.failed(error)

    def sample(self, commands: int, input_bytes: int, output_bytes: int) -> None:
        """Called every second or so with the totals until now."""
        now = time.monotonic()
        before, commands_before, input_before, output_before = self._sampled
        passed = now - before
        if passed > 0:
            self.commands_per_s = max(0, round((commands - commands_before) / passed))
            self.input_kb_per_s = max(0.0, (input_bytes - input_before) / passed / 1024)
            self.output_kb_per_s = max(0.0, (output_bytes - output_before) / passed / 1024)
        self._sampled = now, commands, input_bytes, output_bytes


def _shares(batch: Batch) -> tuple[int, float]:
    """How many commands a batch has, and each one's part of the seconds for which none of them alone is to blame.

    What runs that had units of their own took is theirs.
    """
    units = apart = 0
    left_s = batch.elapsed_s
    for run in batch.runs:
        units += run.units
        if run.unit_s:
            apart += run.units
            left_s -= run.unit_s
        else:
            left_s -= run.own_s
    return units, max(0.0, left_s) / ((units - apart) or 1)
