"""Whatever a script makes of values, Redis makes the same: random replies there and back, in both versions of RESP."""

from collections.abc import Iterator

import hypothesis
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from protocol.encoder import encode
from protocol.errors import CommandError
from protocol.replies import Reply
from server.scripting.runtime import Runtime
from tests.services.raw_client import RawClient
from tests.services.redis_oracle import RedisOracle

TEXT = st.text("ab\r\n\0 \x7f", max_size=6)
NUMBERS = st.one_of(
    st.integers(-(2**63), 2**63 - 1).map(str),
    st.floats(allow_nan=False).map(lambda number: f"({number!r})".replace("inf", "1/0")),
    st.sampled_from(["0/0", "2^53", "-2^63", "2^63", "1e15", "-0", "0.1"]),
)


def quoted(text: str) -> str:
    """A string of Lua."""
    return '"' + "".join(f"\\{ord(char):03}" for char in text) + '"'


def table(fields: dict[str, str]) -> str:
    return "{" + ",".join(f"{name}={value}" for name, value in fields.items()) + "}"


SCALARS = st.one_of(TEXT.map(quoted), NUMBERS, st.sampled_from(["true", "false"]))
#: In what is a map or set to Lua, one element at most: the order of more is that of Lua's own tables.
VALUES = st.recursive(
    st.one_of(SCALARS, st.just("nil")),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(lambda items: "{" + ",".join(items) + "}"),
        inner.map(lambda value: table({"map": f"{{a={value}}}"})),
        SCALARS.filter(lambda value: value != "0/0").map(lambda value: table({"set": f"{{[{value}]=true}}"})),
        st.dictionaries(
            st.sampled_from(["ok", "err", "double", "big_number", "verbatim_string", "map", "set"]),
            st.one_of(TEXT.map(quoted), NUMBERS, inner),
            min_size=1,
            max_size=3,
        ).map(table),
        TEXT.map(lambda text: f"{{verbatim_string={{format='txt',string={quoted(text)}}}}}"),
    ),
    max_leaves=8,
)


class Alone:
    """A script that calls no commands."""

    label = b"sha"

    def command(self, words: list[bytes]) -> Reply:
        """Give the words back."""
        return list(words)

    def check(self) -> None:
        """It may take as long as it likes."""

    def known(self, words: list[bytes]) -> bool:
        return True


@pytest.fixture(scope="module")
def clients(redis74: RedisOracle) -> Iterator[dict[int, RawClient]]:
    with redis74.client(2) as second, redis74.client(3) as third:
        yield {2: second, 3: third}


def test_values_become_the_replies_that_redis_makes_of_them(clients: dict[int, RawClient]) -> None:
    runtime = Runtime(b"7.4.1")

    @settings(max_examples=250, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @hypothesis.seed(7)
    @hypothesis.given(value=VALUES, resp=st.sampled_from([2, 3]))
    def hold(value: str, resp: int) -> None:
        script = f"redis.setresp({resp}) return {value}".encode()
        reply: Reply
        try:
            reply = runtime.run(runtime.compile(script), Alone(), 0, [])
        except CommandError as error:
            reply = error
        for version, client in clients.items():
            assert encode(reply, version) == client.call("EVAL", script, 0), script

    hold()


def test_numbers_are_passed_on_as_redis_passes_them(clients: dict[int, RawClient]) -> None:
    runtime = Runtime(b"7.4.1")

    @settings(max_examples=250, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @hypothesis.seed(7)
    @hypothesis.given(number=NUMBERS)
    def hold(number: str) -> None:
        script = f"return redis.call('echo',{number})"
        theirs = clients[2].call("EVAL", script, 0)
        ours = runtime.run(runtime.compile(f"return redis.call({number})".encode()), Alone(), 0, [])
        assert encode(ours, 2) == b"*1\r\n" + theirs, number

    hold()
