"""Logging as the settings want it: level names of Redis, a file or standard output."""

from __future__ import annotations

import logging
import sys

from server.settings import Settings

_LEVELS = {
    "debug": logging.DEBUG,
    "verbose": logging.INFO,
    "notice": logging.INFO,
    "warning": logging.WARNING,
    "nothing": logging.CRITICAL + 1,
}


def set_up_logging(settings: Settings) -> None:
    """Send the program's log where `logfile` says, from `loglevel` on; both may change while it runs."""
    handler: logging.Handler = (
        logging.FileHandler(settings.logfile) if settings.logfile else logging.StreamHandler(sys.stdout)
    )
    handler.setFormatter(logging.Formatter("%(process)d %(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    logging.basicConfig(handlers=[handler], force=True)
    _set_level(settings)
    settings.on_change("loglevel", lambda: _set_level(settings))


def _set_level(settings: Settings) -> None:
    logging.getLogger("rowdis").setLevel(_LEVELS.get(settings.loglevel, logging.INFO))
    logging.getLogger().setLevel(logging.WARNING)
