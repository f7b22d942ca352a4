"""docs/commands.md says what the table of commands says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from server.commands_page import page
from server.registry import every

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_is_as_it_is_generated() -> None:
    written = (ROOT / "docs" / "commands.md").read_text()
    assert written == page(), "run `python -m server.commands_page > docs/commands.md`"


def test_the_page_can_be_generated_by_a_command() -> None:
    command = [sys.executable, "-m", "server.commands_page"]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout == page()


def test_every_command_has_a_row() -> None:
    rows = [line for line in page().splitlines() if line.startswith("| `")]
    names = [row.full_name.replace("|", " ").upper() for row in every() if not row.subcommands or row.name == "command"]
    for name in names:
        assert sum(row.startswith((f"| `{name}`", f"| `{name} ")) for row in rows) >= 1, name
    assert len(rows) == len(names)
