"""What can go wrong between Rowdis and its database.

Messages are for users and logs: they hold error numbers and our own words, never values or passwords.
"""

from __future__ import annotations


class StorageError(Exception):
    """The database could not do what was asked.

    `number` is the server's error number where it gave one, `statement` the template of the statement that failed.
    """

    def __init__(self, message: str, number: int | None = None, statement: str | None = None) -> None:
        super().__init__(message)
        self.number = number
        self.statement = statement


class BadTarget(StorageError, ValueError):
    """The database URL is wrong, or the database there refuses to be used as it must be."""


class EngineFailed(StorageError):
    """The embedded engine is not installed, did not start, or ended at its start."""


class DirectoryInUse(StorageError):
    """Another process works on the data directory of the embedded engine."""


class SchemaError(StorageError):
    """The tables in the database are not ones this program can use."""


class Unavailable(StorageError):
    """The database can not be reached; nothing was sent."""


class LostConnection(Unavailable):
    """A session died. If `commit_sent`, the transaction may or may not have been applied.

    `made_at` is when the session was made, on the monotonic clock.
    """

    def __init__(
        self, message: str, number: int | None = None, *, connection_id: int, made_at: float, commit_sent: bool
    ) -> None:
        super().__init__(message, number)
        self.connection_id = connection_id
        self.made_at = made_at
        self.commit_sent = commit_sent


class Conflict(StorageError):
    """Another transaction was in the way (deadlock, lock wait, time-out of a statement): run again from the reads."""


class LockWait(Conflict):
    """Another transaction held the lock of a row for longer than this one waits for it."""


class Duplicate(Conflict):
    """An INSERT met a row with its primary key."""


class GuardFailed(StorageError):
    """The statement that guards a unit found that the map of databases has changed."""


class DatabaseReadOnly(Unavailable):
    """The database takes no writes at present (a fail-over, a replica)."""


class NotApplied(StorageError):
    """Tries or time ran out; nothing of the unit was applied, nor will be."""


class GivenUp(NotApplied):
    """Whoever wanted the unit did not wait for it any longer, so its COMMIT was not sent."""


class Indeterminate(StorageError):
    """Time ran out while the fate of a COMMIT is unknown: the unit may have been applied or not."""
