"""What COMMAND INFO says of each command, as our table has it, against a real server."""

from functools import cache
from typing import Any

import hiredis
import pytest

import server.commands  # noqa: F401  (declares all commands)
from server.registry import Command, Keys, every, flag_names
from tests.differential.deviations import INFO_OF_7_4, ORACLES
from tests.services.redis_oracle import RedisOracle

COMMANDS = {row.full_name: row for row in every()}


@pytest.fixture(scope="session")
def info(request: pytest.FixtureRequest) -> Any:
    """COMMAND INFO of one command, by its full name; from the server that knows it."""

    @cache
    def ask(name: str) -> dict[str, Any] | None:
        oracle: RedisOracle = request.getfixturevalue(ORACLES.get(name, "oracle"))
        reader = hiredis.Reader(encoding="ascii")
        with oracle.client() as client:
            reader.feed(client.call("COMMAND", "INFO", name))
        row = reader.gets()[0]
        if row is None:
            return None
        fields = ("name", "arity", "flags", "first", "last", "step", "categories", "tips", "specs", "subcommands")
        said = dict(zip(fields, row, strict=True)) | INFO_OF_7_4.get(name, {})
        return said | {"flags": set(said["flags"]), "tips": set(said["tips"])}

    return ask


def _pairs(flat: list[Any]) -> dict[str, Any]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _specified(spec: list[Any]) -> tuple[int, int, int, set[str]] | None:
    """First position, last (relative to the first, negative from the end) and step of a key specification."""
    parts = _pairs(spec)
    search, find = _pairs(parts["begin_search"]), _pairs(parts["find_keys"])
    if search["type"] != "index" or find["type"] != "range":
        return None
    begin, span = _pairs(search["spec"]), _pairs(find["spec"])
    return begin["index"], span["lastkey"], span["keystep"], set(parts["flags"])


def _ours(keys: Keys) -> tuple[int, int, int, set[str]]:
    last = keys.last if keys.last < 0 else keys.last - keys.first
    return keys.first, last, keys.step, set(keys.flags.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_arity_flags_keys_and_tips_equal_those_of_redis(name: str, info: Any) -> None:
    row: Command = COMMANDS[name]
    theirs = info(name)
    if theirs is None:
        pytest.skip(f"{ORACLES.get(name, 'redis-server')} has no {name}")
    assert row.arity == theirs["arity"]
    assert set(flag_names(row)) == theirs["flags"]
    assert set(row.tips) == theirs["tips"]
    specified = [_specified(spec) for spec in theirs["specs"]]
    assert [_ours(keys) for keys in row.keys] == [spec for spec in specified if spec is not None]


@pytest.mark.parametrize("name", [name for name, row in COMMANDS.items() if row.subcommands])
def test_containers_have_no_subcommand_that_redis_lacks(name: str, info: Any) -> None:
    theirs = info(name)
    known = {sub[0] for sub in theirs["subcommands"]}
    newer = {command for command in ORACLES if command.startswith(f"{name}|")}
    assert {sub.full_name for sub in COMMANDS[name].subcommands.values()} <= known | newer


def test_the_list_of_what_7_4_says_otherwise_is_not_too_long(request: pytest.FixtureRequest) -> None:
    oracle: RedisOracle = request.getfixturevalue("oracle")
    reader = hiredis.Reader(encoding="ascii")
    with oracle.client() as client:
        for name, otherwise in INFO_OF_7_4.items():
            reader.feed(client.call("COMMAND", "INFO", name))
            row = reader.gets()[0]
            if row is not None:
                said = {"arity": row[1], "flags": set(row[2]), "tips": set(row[7])}
                assert all(said[field] != value for field, value in otherwise.items()), name
