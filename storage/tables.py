"""The prefix of our tables: SQL is written with the default prefix and rendered for the configured one."""

from __future__ import annotations

import re
from functools import cache

DEFAULT_PREFIX = "rowdis_"

_PREFIX = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,31}")


class Tables:
    """Renders statement templates for one table prefix.

    A template names tables as `rowdis_key`; calling the object gives the same text with the configured prefix.
    """

    def __init__(self, prefix: str = DEFAULT_PREFIX) -> None:
        if not _PREFIX.fullmatch(prefix):
            raise ValueError("a table prefix is a letter, then up to 31 letters, digits and underscores")
        self.prefix = prefix
        # Templates are constants of the program, so the cache is as bounded as the program's text.
        self.sql = cache(self._render)

    def _render(self, template: str) -> str:
        if self.prefix == DEFAULT_PREFIX:
            return template
        return re.sub(r"\browdis_", self.prefix, template)


def values(template: str, row: str, count: int) -> str:
    """`template` with its `{rows}` replaced by `count` times the placeholder group `row`, e.g. "(%s,%s)"."""
    return template.replace("{rows}", ",".join([row] * count))
