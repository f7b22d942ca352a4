"""docs/configuration.md says what the table of directives says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from server.directives import HONOURED, KNOWN, Standing
from server.directives_page import page

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_is_as_it_is_generated() -> None:
    written = (ROOT / "docs" / "configuration.md").read_text()
    assert written == page(), "run `python -m server.directives_page > docs/configuration.md`"


def test_the_page_can_be_generated_by_a_command() -> None:
    command = [sys.executable, "-m", "server.directives_page"]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout == page()


def test_every_directive_has_a_row() -> None:
    rows = [line for line in page().splitlines() if line.startswith("| `")]
    assert len(rows) == len(HONOURED) + len(KNOWN)
    for directive in HONOURED:
        assert any(row.startswith(f"| `{directive.name}` |") and directive.about in row for row in rows)
    for directive in KNOWN:
        names = ", ".join(f"`{name}`" for name in directive.names)
        other = "refused" if directive.standing is Standing.REFUSED else "warned of"
        assert any(row.startswith(f"| {names} |") and row.endswith(f" {other} |") for row in rows)


def test_all_rows_of_a_table_have_as_many_cells() -> None:
    width = 0
    for line in page().replace("\\|", "").splitlines():
        bars = line.count("|") if line.startswith("|") else 0
        assert bars == width or not bars or not width, line
        width = bars
