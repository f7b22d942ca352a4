"""Which Rowdis this is."""

from __future__ import annotations

import importlib.metadata


def version() -> str:
    """The version of the installed program."""
    try:
        return importlib.metadata.version("rowdis")
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"
