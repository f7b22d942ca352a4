"""COMMAND, compared with Redis 7.4 for every command we have, and the page made of the same table."""

from collections.abc import Iterator
from typing import Any

import hiredis
import pytest

from server.commands_page import page
from server.introspection import categories
from server.registry import TABLE, every
from server.syntax import Argument, parse
from tests.commands.conftest import Play
from tests.commands.masks import shaped
from tests.commands.scenarios import Scenario, scenario, scenarios, unordered
from tests.conftest import Combination
from tests.services.raw_client import RawClient
from tests.services.redis_oracle import RedisOracle

#: Elements of COMMAND INFO.
PARTS = ("name", "arity", "flags", "first key", "last key", "step", "categories", "tips", "key specifications")


def _ask(client: RawClient, *words: str) -> Any:
    reader = hiredis.Reader(encoding="utf-8")
    reader.feed(client.call(*words))
    return reader.gets()


def _rows(reply: list[Any]) -> Iterator[tuple[str, list[Any]]]:
    for row in reply:
        yield row[0], row
        yield from _rows(list(row[9]))


def _comparable(value: Any) -> Any:
    """Without the words of notes; sets in some order."""
    if isinstance(value, dict):
        return {key: _comparable(inner) for key, inner in value.items() if key != "notes"}
    if isinstance(value, list) and "notes" in value[:-1:2]:
        place = value.index("notes")
        value = value[:place] + value[place + 2 :]
    if isinstance(value, list):
        return [_comparable(inner) for inner in value]
    return value


def _described(client: RawClient) -> dict[str, list[Any]]:
    return dict(_rows(_ask(client, "COMMAND")))


@pytest.fixture
def newest(redis74: RedisOracle, combination: Combination) -> Iterator[RawClient]:
    """A connection to Redis 7.4, in the protocol of the combination."""
    with redis74.client(combination.protocol) as connection:
        yield connection


def test_every_command_is_described_as_redis_describes_it(client: RawClient, newest: RawClient) -> None:
    real, ours = _described(newest), _described(client)
    assert set(ours) == {row.full_name for row in every()}
    found = []
    for name, row in ours.items():
        theirs = real[name]
        for part, mine, other in zip(PARTS, row, theirs, strict=False):
            if _comparable(mine) != _comparable(other):
                found.append(f"{name}, {part}: {mine!r}, Redis {other!r}")
        if ("notes" in str(row[8])) != ("notes" in str(theirs[8])):
            found.append(f"{name}: notes")
        if type(row[9]) is not type(theirs[9]):
            found.append(f"{name}: subcommands")
    assert not found, "\n".join(found)


def test_docs_of_every_command_have_the_shape_of_redis(client: RawClient, newest: RawClient) -> None:
    theirs = _all_documented(_ask(newest, "COMMAND", "DOCS"))
    for name, mine in _all_documented(_ask(client, "COMMAND", "DOCS")).items():
        assert mine["summary"]
        real = theirs[name]
        assert [key for key in real if key in mine] == [key for key in mine if key in real], name
        assert mine["group"] == real["group"], name
        assert mine["since"] == real["since"], name
        assert set(real) - set(mine) <= {"history", "doc_flags", "deprecated_since", "replaced_by"}, name
        added = {"arguments"} if name in ("debug", "command|getkeys", "command|getkeysandflags") else set()
        assert set(mine) - set(real) <= added, name


def _all_documented(reply: Any) -> dict[str, dict[str, Any]]:
    found = {}
    for name, inner in _documented(reply).items():
        document = _documented(inner)
        found[name] = document
        found.update(_all_documented(document.get("subcommands", {})))
    return found


def _documented(reply: Any) -> dict[str, Any]:
    return reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2], strict=True))


@scenarios(
    scenario("GETKEYS", "COMMAND GETKEYS get a", "COMMAND GETKEYS mset a b c d", "COMMAND GETKEYS mset a b c",
             "COMMAND GETKEYS object encoding a", "COMMAND GETKEYS memory usage a", "COMMAND GETKEYS copy a b",
             "COMMAND GETKEYS", "COMMAND GETKEYS SET a b GET"),
    scenario("GETKEYSANDFLAGS", "COMMAND GETKEYSANDFLAGS set a b", "COMMAND GETKEYSANDFLAGS set a b get",
             "COMMAND GETKEYSANDFLAGS mget a b", "COMMAND GETKEYSANDFLAGS copy a b", "COMMAND GETKEYSANDFLAGS lcs a b"),
    scenario("GETKEYS of what has none", "COMMAND GETKEYS ping", "COMMAND GETKEYS nosuch", "COMMAND GETKEYS get",
             "COMMAND GETKEYS get a b", "COMMAND GETKEYSANDFLAGS ping", "COMMAND GETKEYS config get a",
             "COMMAND GETKEYS memory nosuch", oracle="redis74"),
    scenario("LIST", "COMMAND LIST a", "COMMAND LIST FILTERBY", "COMMAND LIST FILTERBY a b",
             "COMMAND LIST FILTERBY MODULE a", "COMMAND LIST FILTERBY ACLCAT a",
             unordered("COMMAND LIST FILTERBY PATTERN incrby*"),
             unordered("COMMAND LIST FILTERBY ACLCAT transaction"),
             unordered("COMMAND LIST FILTERBY PATTERN config|*")),
    scenario("INFO of what is none", "COMMAND INFO nosuch", "COMMAND INFO get|nosuch config|nosuch",
             "COMMAND DOCS nosuch", "COMMAND COUNT a", "COMMAND NOSUCH"),
    scenario("INFO of several", "COMMAND INFO ping nosuch get", "COMMAND INFO GET config|get"),
    scenario("HELP", shaped("COMMAND HELP")),
)  # fmt: skip
def test_command(play: Play, case: Scenario) -> None:
    play(case)


def test_bare_command_describes_all_and_count_counts_them(client: RawClient) -> None:
    rows = _ask(client, "COMMAND")
    assert [row[0] for row in rows] == list(TABLE)
    assert client.call("COMMAND", "COUNT") == b":%d\r\n" % len(TABLE)
    assert _ask(client, "COMMAND", "INFO") == rows
    assert _ask(client, "COMMAND", "LIST") == list(TABLE)
    assert list(_documented(_ask(client, "COMMAND", "DOCS"))) == list(TABLE)


def test_syntax_of_each_command_can_be_read_and_tells_of_its_keys() -> None:
    for row in every():
        kinds = [argument.kind for argument in _all(parse(row.syntax))]
        assert ("key" in kinds) == row.names_keys, row.full_name
        assert categories(row), row.full_name


def _all(arguments: list[Argument]) -> Iterator[Argument]:
    for argument in arguments:
        yield argument
        yield from _all(argument.inner)


def test_syntax_becomes_arguments() -> None:
    key, value, condition, get, expiry = parse("key value [NX | XX] [GET] [EX seconds | KEEPTTL]")
    assert (key, value) == (Argument("key", "key"), Argument("value", "string"))
    assert condition.optional
    assert [(inner.name, inner.kind, inner.token) for inner in condition.inner] == [
        ("nx", "pure-token", "NX"), ("xx", "pure-token", "XX"),
    ]  # fmt: skip
    assert get == Argument("get", "pure-token", "GET", optional=True)
    assert expiry.inner[0] == Argument("seconds", "integer", "EX")
    (data,) = parse("key value [key value ...]")
    assert (data.kind, data.multiple, [inner.name for inner in data.inner]) == ("block", True, ["key", "value"])
    assert parse("key [key ...]") == [Argument("key", "key", multiple=True)]
    assert parse("[section [section ...]]")[0] == Argument("section", "string", optional=True, multiple=True)


@pytest.mark.parametrize("syntax", ["[a", "a]", "<a | b", "...", "a [b > c]"])
def test_syntax_that_is_not_well_formed_is_refused(syntax: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse(syntax)


def test_page_tells_every_command() -> None:
    text = page()
    for row in every():
        if not row.subcommands or row.full_name == "command":
            assert f"`{row.full_name.replace('|', ' ').upper()}" in text
