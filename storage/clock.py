"""The database's time, told by this process's monotonic clock plus an offset that is measured every few seconds.

All instances on one database thus agree on when a key expires, whatever their machines' clocks say.
"""

from __future__ import annotations

import logging
import threading
import time

from storage.database import Database
from storage.dialect import NOW_MS

log = logging.getLogger("rowdis.storage")

#: A correction larger than this is worth a line in the log.
SKEW_MS = 100


class Clock:
    """`now_ms()` never goes backwards, also when the offset shrinks."""

    def __init__(self) -> None:
        self._offset_ms = time.time() * 1000 - time.monotonic() * 1000
        self._last_ms = 0
        self._measured = False
        self._lock = threading.Lock()

    def now_ms(self) -> int:
        """Milliseconds since the epoch by the database's clock."""
        now = int(time.monotonic() * 1000 + self._offset_ms)
        with self._lock:
            if now < self._last_ms:
                return self._last_ms
            self._last_ms = now
            return now

    def now_us(self) -> int:
        """Microseconds since the epoch by the database's clock; may go back by a correction of the offset."""
        return int(time.monotonic() * 1_000_000 + self._offset_ms * 1000)

    def measure(self, database: Database) -> None:
        """Ask the database for its time; the answer is taken to be that of the middle of the round trip."""
        with database.session() as connection:
            before = time.monotonic()
            theirs = int(connection.fetch(NOW_MS)[0][0])
            after = time.monotonic()
        offset = theirs - (before + after) * 500
        skew = offset - self._offset_ms
        if abs(skew) > SKEW_MS and self._measured:
            log.warning("the database's clock moved by %d ms against ours", round(skew))
        elif abs(skew) > SKEW_MS:
            log.info("the database's clock differs from this machine's by %d ms; Rowdis goes by the database's",
                     round(skew))
        self._offset_ms = offset
        self._measured = True
