"""Counters of a running server, as INFO tells them. Lives on the event loop; workers leave theirs in their runs."""

from __future__ import annotations

import time
from collections import Counter

from protocol.errors import CommandError
from server.registry import TABLE
from server.run import Batch, Run, Transaction


class Metrics:
    """What happened since the start or the last CONFIG RESETSTAT."""

    #: Kinds of errors that are told apart; a client must not be able to make INFO grow without bound.
    MAX_ERRORS = 128

    def __init__(self) -> None:
        self._sampled = (time.monotonic(), 0, 0, 0)
        self.reset()

    def reset(self) -> None:
        """Start counting anew (CONFIG RESETSTAT)."""
        self.connections_received = 0
        self.rejected_connections = 0
        self.denied_logins = 0
        self.oversized_inputs = 0
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

        Commands of a batch share its rows, its trips and its commit, so each is charged the same part of its time.
        """
        runs = batch.runs
        units = 0
        for run in runs:
            units += run.units
        share = batch.elapsed_s * 1_000_000 / (units or 1)
        hits = misses = 0
        for run in runs:
            if run.put_back or run.locked:
                units -= run.units
                continue
            hits += run.hits
            misses += run.misses
            for item in run.items:
                if type(item) is tuple:
                    command = item[0]
                    command.calls += 1
                    command.usec += share
                elif type(item) is Transaction:
                    _tally_transaction(item, share)
            if run.failures and not run.answered:
                self.errors_of(run)
        self.batches += 1
        self.batched_commands += units
        self.keyspace_hits += hits
        self.keyspace_misses += misses

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


def _tally_transaction(transaction: Transaction, share: float) -> None:
    TABLE["exec"].usec += share
    if transaction.executed:
        for command, _, _ in transaction.commands:
            if not command.on_loop:
                command.calls += 1
                command.usec += share / len(transaction.commands)
