"""Two servers that are told the same: the ground of every state machine here.

A family describes its machine by a class with `command` (what is drawn), `observations` (what a further client looks at
after each step, so that a wrong write shows at once and not only if a later command happens to depend on it) and, where
byte for byte is too strict, `agree`.
"""

from collections.abc import Callable, Sequence
from typing import ClassVar

import hypothesis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

import server.commands  # noqa: F401  (declares all commands)
from tests.conftest import Combination
from tests.differential.comparing import EXAMPLES, same
from tests.services.redis_oracle import RedisOracle
from tests.services.rowdis import Rowdis

Command = tuple[bytes, ...]
Commands = st.SearchStrategy[Command]

CLIENTS = st.integers(0, 1)
_OBSERVER = 2


class Twins(RuleBasedStateMachine):
    """Both servers, two clients each and one that only looks; what a client is told, its twin is told."""

    observations: ClassVar[Sequence[Command]] = ()

    def __init__(self, rowdis: Rowdis, oracle: RedisOracle, protocol: int) -> None:
        super().__init__()
        self._ours = [rowdis.client(protocol) for _ in range(3)]
        self._theirs = [oracle.client(protocol) for _ in range(3)]
        for client in (self._ours[0], self._theirs[0]):
            assert client.call("FLUSHALL") == b"+OK\r\n"
        self.begin()

    def begin(self) -> None:
        """Tell what there is from the start."""

    def teardown(self) -> None:
        for client in (*self._ours, *self._theirs):
            client.close()

    def agree(self, command: Command, ours: bytes, theirs: bytes) -> bool:
        """Whether two raw replies are the same as far as a client can rely on it."""
        return same(command[0], ours, theirs)

    def tell(self, which: int, *told: Command) -> None:
        """Send commands in one pipeline to a client and its twin, and compare the replies."""
        ours, theirs = self.replies(which, *told)
        for command, mine, other in zip(told, ours, theirs, strict=True):
            assert self.agree(command, mine, other), f"{command}\nRowdis: {_cut(mine)}\nRedis:  {_cut(other)}"

    def replies(self, which: int, *told: Command) -> tuple[list[bytes], list[bytes]]:
        """The raw replies of both servers to a pipeline."""
        return self._ours[which].pipeline(told), self._theirs[which].pipeline(told)

    @invariant()
    def looks_the_same(self) -> None:
        self.tell(_OBSERVER, *self.observations)


def telling(
    base: type[Twins], command: Commands, *, exact: Commands | None = None, together: int = 12
) -> type[Twins]:
    """A machine that tells single commands, pipelines and transactions of up to `together`.

    `exact` is what may be told inside of EXEC, in whose array nothing is compared loosely.
    """
    queued = command if exact is None else exact

    class Telling(base):  # type: ignore[misc,valid-type]  # whichever it is
        @rule(which=CLIENTS, command=command)
        def one(self, which: int, command: Command) -> None:
            self.tell(which, command)

        @rule(which=CLIENTS, several=st.lists(command, min_size=2, max_size=together))
        def pipeline(self, which: int, several: list[Command]) -> None:
            self.tell(which, *several)

        @rule(which=CLIENTS, several=st.lists(queued, min_size=1, max_size=together), kept=st.integers(0, 3))
        def transaction(self, which: int, several: list[Command], kept: int) -> None:
            self.tell(which, (b"MULTI",), *several, (b"EXEC",) if kept else (b"DISCARD",))

    return Telling


def hold(
    machine: Callable[[Rowdis, RedisOracle, int], Twins],
    rowdis: Rowdis,
    oracle: RedisOracle,
    combination: Combination,
    seed: int,
    *,
    examples: int = 20,
    steps: int = 30,
) -> None:
    """Run a machine with random steps that the seed decides; half as often on the embedded engine, which is slower."""
    if combination.engine == "embedded":
        examples = examples // 2
    seeded = hypothesis.seed(seed)(lambda: machine(rowdis, oracle, combination.protocol))
    run_state_machine_as_test(
        seeded,  # type: ignore[arg-type]  # any function that makes a machine will do
        settings=settings(
            max_examples=examples * EXAMPLES,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def about_keys(names: Sequence[bytes], far: int) -> Commands:
    """Commands on keys of any type, to mix with those of a family; `far` is a time in seconds that nobody will see."""
    key = st.sampled_from(list(names))
    return st.one_of(
        st.tuples(st.just(b"DEL"), key),
        st.tuples(st.just(b"RENAME"), key, key),
        st.tuples(st.just(b"SET"), key, st.just(b"1")),
        st.tuples(st.just(b"EXPIREAT"), key, st.sampled_from([b"%d" % far, b"1"])),
        st.tuples(st.just(b"EXPIRETIME"), key),
    )


def _cut(reply: bytes) -> str:
    return repr(reply if len(reply) < 300 else reply[:300] + b"...")
