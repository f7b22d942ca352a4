"""What COMMAND INFO says of each command, as our table has it, against Redis 7.4.

`tests/commands/test_command_table.py` compares the replies as a whole, key specifications and all.
"""

from functools import cache
from typing import Any

import hiredis
import pytest

import server.commands  # noqa: F401  (declares all commands)
from server.keyspecs import legacy_range
from server.registry import Command, every, flag_names
from tests.services.redis_oracle import RedisOracle

COMMANDS = {row.full_name: row for row in every()}


@pytest.fixture(scope="session")
def info(redis74: RedisOracle) -> Any:
    """COMMAND INFO of one command, by its full name."""

    @cache
    def ask(name: str) -> dict[str, Any] | None:
        reader = hiredis.Reader(encoding="ascii")
        with redis74.client() as client:
            reader.feed(client.call("COMMAND", "INFO", name))
        row = reader.gets()[0]
        if row is None:
            return None
        fields = ("name", "arity", "flags", "first", "last", "step", "categories", "tips", "specs", "subcommands")
        said = dict(zip(fields, row, strict=True))
        return said | {"flags": set(said["flags"]), "tips": set(said["tips"])}

    return ask


@pytest.mark.parametrize("name", COMMANDS)
def test_arity_flags_keys_and_tips_equal_those_of_redis(name: str, info: Any) -> None:
    row: Command = COMMANDS[name]
    theirs = info(name)
    assert theirs is not None, "Redis 7.4 has no such command"
    assert row.arity == theirs["arity"]
    assert set(flag_names(row)) == theirs["flags"]
    assert set(row.tips) == theirs["tips"]
    assert legacy_range(row.keys) == (theirs["first"], theirs["last"], theirs["step"])


@pytest.mark.parametrize("name", [name for name, row in COMMANDS.items() if row.subcommands])
def test_containers_have_no_subcommand_that_redis_lacks(name: str, info: Any) -> None:
    theirs = info(name)
    assert {sub.full_name for sub in COMMANDS[name].subcommands.values()} <= {sub[0] for sub in theirs["subcommands"]}
