"""The list of known differences is honest: each is shown by a scenario."""

import importlib
import pkgutil

import tests.commands
from tests.commands.scenarios import PROVEN
from tests.differential.deviations import DEVIATIONS, section
from tests.services.rowdis import REPOSITORY


def test_every_deviation_is_shown_by_a_scenario() -> None:
    for module in pkgutil.iter_modules(tests.commands.__path__):
        if module.name.startswith("test_"):
            importlib.import_module(f"tests.commands.{module.name}")
    assert set(DEVIATIONS) == PROVEN


def test_the_page_of_deviations_has_every_entry() -> None:
    page = (REPOSITORY / "docs" / "deviations.md").read_text()
    _, _, rest = page.partition("<!-- proven -->\n")
    proven, _, _ = rest.partition("<!-- /proven -->")
    assert proven == section(), "docs/deviations.md is not current: put what section() gives between its marks"
