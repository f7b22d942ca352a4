"""Writes docs/configuration.md from the table: `python -m server.directives_page > docs/configuration.md`."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from server.directives import GROUPS, HONOURED, KNOWN, REFUSED_STATEMENTS, Directive, Standing

_INTRODUCTION = """\
<!-- Written by `python -m server.directives_page`; change server/directives.py or that program, not this page. -->

# Configuration

Rowdis is configured as Redis is: by directives on the command line, in a file, in the environment, or while it runs
by CONFIG SET.

```
rowdis /etc/rowdis.conf --port 6380 --bind 127.0.0.1 ::1
```

| | looks like | |
|---|---|---|
| command line | `--storage-timeout 5000`, `--storage-timeout=5000` | counts before all others |
| file | `storage-timeout 5000` | the syntax of redis.conf |
| environment | `ROWDIS_STORAGE_TIMEOUT=5000` | counts before the defaults only |

- **The file** is the first argument. A line is a directive and its values, separated by spaces; a line that begins
  with `#` is a comment. `"..."` holds spaces and escapes (`\\n`, `\\"`, `\\x41`), `'...'` takes everything but `\\'` as
  it is. `include PATH` (or a pattern) puts other files in its place, up to sixteen deep. A directive that comes twice
  counts the last time, except that the lines of `save` and of `client-output-buffer-limit` add up.
- **The command line**: values follow the name up to the next `--`; one that begins so itself needs `--name=value`.
- **The environment**: a variable is ROWDIS_ and the name in capitals with underscores. Lists are separated by spaces.
  An empty variable counts as not set. The variables that Kubernetes makes for a service called "rowdis"
  (`ROWDIS_SERVICE_HOST`, `ROWDIS_PORT=tcp://...`) are ignored; any other unknown variable is an error.
- **Sizes** are bytes, or have a unit: `1k` is 1000, `1kb` 1024, likewise `m`, `mb`, `g`, `gb`. Names, units, yes and no
  are read in any case of letters.
- **Mistakes** (an unknown directive, a bad value, a file that can't be read) end the program with exit code 2 and one
  line that says where the mistake is.
- **CONFIG GET** shows everything on this page, by patterns. **CONFIG SET** changes what the column "at run time" says,
  several directives at once or none of them. **CONFIG REWRITE** writes what was changed, and what came from the command
  line, into the file; comments, order and all other lines stay. What came from the environment is not copied.
- `requirepass` is shown by CONFIG GET, as in Redis; the password in `database` is not. Both can be kept off the command
  line, where other users of the machine see them, by the file or the environment.

`rowdis ping` and `rowdis check` (see operations.md) take the same settings.

## Directives that Rowdis honours
"""

_KNOWN_INTRODUCTION = """\
## Directives of Redis that mean nothing here

These are known, so that a redis.conf can be used as it is and programs that read the configuration are served. CONFIG
GET shows the default below, or what was set. Setting another value is *warned of* (it is kept and shown, a warning in
the log says that it has no effect) or *refused* (an error at start and by CONFIG SET, because somebody would rely on
it). At start only the value that holds in the end counts: `--daemonize no` takes back a `daemonize yes` of the file.

The defaults are those of Redis 7.4, except where that would be untrue: programs read `save`, `appendonly` and
`appendfsync` to learn whether acknowledged writes survive a crash. Here each one is in a committed transaction before
the client gets its reply, which is what `appendonly yes` with `appendfsync always` promises; there are no snapshots, so
`save` is empty. How durable a commit is, the settings of the database decide; Rowdis reports them at start.
"""


def page() -> str:
    """The whole of docs/configuration.md."""
    return "\n".join([_INTRODUCTION, *_honoured(), _KNOWN_INTRODUCTION, *_known()])


def _honoured() -> Iterator[str]:
    for group, sentence in GROUPS.items():
        yield f"### {group}\n\n{sentence}\n"
        yield "| directive | value | default | at run time | |\n|---|---|---|---|---|"
        yield from (_honoured_row(directive) for directive in HONOURED if directive.group == group)
        yield ""


def _honoured_row(directive: Directive) -> str:
    about = directive.about
    if directive.aliases:
        about += f" Also called {_codes(*directive.aliases)}."
    changes = "yes" if directive.mutable else "no"
    return _row(_codes(directive.name), _code(directive.kind.placeholder), _code(directive.default), changes, about)


def _known() -> Iterator[str]:
    for reason in dict.fromkeys(directive.group for directive in KNOWN):
        yield f"{reason[0].upper()}{reason[1:]}.\n"
        yield "| directive | default | other values |\n|---|---|---|"
        for directive in KNOWN:
            if directive.group == reason:
                other = "refused" if directive.standing is Standing.REFUSED else "warned of"
                yield _row(_codes(*directive.names), _code(directive.default), other)
        yield ""
    yield "Lines of redis.conf that are no settings and are refused:\n"
    yield from (f"- `{name}`: {reason}" for name, reason in REFUSED_STATEMENTS.items())
    yield ""


def _row(*cells: str) -> str:
    # A bar separates cells even between backticks.
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _codes(*names: str) -> str:
    return ", ".join(_code(name) for name in names)


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


if __name__ == "__main__":
    sys.stdout.write(page())
