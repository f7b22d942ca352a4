"""Writes docs/commands.md from the table: `python -m server.commands_page > docs/commands.md`."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import server.commands  # noqa: F401  (declares all commands)
from server.registry import Command, Is, Way, always, every

_INTRODUCTION = """\
<!-- Written by `python -m server.commands_page`; change the declarations in server/commands/, not this page. -->

# Commands

What Rowdis has of Redis 7.4, with all options, replies and error texts of Redis where nothing else is said in
deviations.md. The same is told by `COMMAND DOCS` and `COMMAND INFO`, which read the same declarations: arity, flags,
key positions, categories and tips are Redis's; summaries, and the arguments derived from the syntax, are in our words
and tell no history.

How a command is executed:

- *loop*: by the event loop, without the database.
- *unit*: in a unit of work, together with the commands of other clients; *writes* are committed before the reply.
- *alone*: in a unit of work beside which no other one of this process writes.
- *slow*: in a unit of work of its own, one at a time, because it may look through many rows.
"""

_GROUPS = {
    "connection": "",
    "generic": "`WAIT` and `WAITAOF` answer at once: there are no replicas to wait for, and a write is durable here "
    "before it is acknowledged.",
    "string": "",
    "transactions": "A transaction is one unit of work: all of it is committed, or, if the database fails, nothing.",
    "server": "Every acknowledged write is in a committed transaction, so `SAVE`, `BGSAVE` and `BGREWRITEAOF` have "
    "nothing to do and `LASTSAVE` is now. `FLUSHALL`, `FLUSHDB` and `SWAPDB` take the same time at one key and at ten "
    "million. `INFO` has a section `Storage`; where counting keys takes long, a plain `INFO` shows counts of a while "
    "ago, and `INFO keyspace` counts anew. The time of a command (`SLOWLOG`, `LATENCY`, `INFO commandstats`) is what "
    "it took by itself and its part of what its batch did for all of its commands. "
    "`DEBUG SLEEP` delays only the client that asks for it.",
}


def page() -> str:
    """The whole of docs/commands.md."""
    rows = [row for row in every() if not row.subcommands or row.flags != Is.NONE]
    groups = [*_GROUPS, *sorted({row.group for row in rows} - set(_GROUPS))]
    return "\n".join([_INTRODUCTION, *(line for group in groups for line in _group(group, rows))])


def _group(group: str, rows: list[Command]) -> Iterator[str]:
    members = sorted((row for row in rows if row.group == group), key=lambda row: row.full_name)
    if not members:
        return
    yield f"## {group.capitalize()}\n"
    if _GROUPS.get(group):
        yield _GROUPS[group] + "\n"
    yield "| command | | since | executed | cost |\n|---|---|---|---|---|"
    for row in members:
        line = f"{row.full_name.replace('|', ' ').upper()} {row.syntax}".rstrip()
        yield _row(f"`{line}`", row.summary + ".", row.since, _way(row), row.complexity)
    yield ""


def _way(row: Command) -> str:
    words = {Way.LOOP: "loop", Way.UNIT: "unit", Way.SLOW: "slow"}[row.way]
    if row.alone is not None:
        words = "alone" if row.alone is always else f"{words} or alone"
    return f"{words}, writes" if row.writes else words


def _row(*cells: str) -> str:
    # A bar separates cells even between backticks.
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    sys.stdout.write(page())
