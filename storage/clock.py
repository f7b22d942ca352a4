"""The database's time, told by this process's monotonic clock plus an offset that is measured every few seconds.

All instances on one database thus agree on when a key expires, whatever their machines' clocks say.
"""

from __future__ import annotations

import logging
import threading
import time

from storage.database import Database
from storage.dialect import NOW_US

log = logging.getLogger("rowdis.storage")

#: Questions per measurement.
SAMPLES = 5
#: An answer that took longer tells less than the last measurement does.
WORST_ROUND_TRIP_S = 0.005
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
        """Ask the database for its time.

        The answer is taken to be that of the middle of the round trip, and the quickest of a few counts: instances must
        agree to a millisecond on what has expired, also while the machine is busy.
        """
        best_s = float("inf")
        offset = self._offset_ms
        with database.session() as connection:
            for _ in range(SAMPLES):
                before = time.monotonic()
                theirs_us = int(connection.fetch(NOW_US)[0][0])
                after = time.monotonic()
                if after - before < best_s:
                    best_s = after - before
                    offset = theirs_us / 1000 - (before + after) * 500
        if self._measured and best_s > WORST_ROUND_TRIP_S:
            return
        skew = offset - self._offset_ms
        if abs(skew) > SKEW_MS and self._measured:
            log.warning("the database's clock moved by %d ms against ours", round(skew))
        elif abs(skew) > SKEW_MS:
            log.info("the database's clock differs from this machine's by %d ms; Rowdis goes by the database's",
                     round(skew))
        self._offset_ms = offset
        self._measured = True
