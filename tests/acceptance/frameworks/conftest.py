"""A Rowdis for frameworks."""

from pathlib import Path

import pytest

from tests.acceptance.frameworks.running import Framework, Prepare
from tests.services.rowdis import Rowdis


@pytest.fixture
def framework(mariadb_rowdis: Rowdis, tmp_path: Path) -> Prepare:
    """The frameworks of a virtual environment, by its name, on an emptied Rowdis."""

    def prepare(environment: str) -> Framework:
        found = Framework(environment, mariadb_rowdis, tmp_path)
        assert mariadb_rowdis.call("FLUSHALL") == b"+OK\r\n"
        return found

    return prepare
