"""INFO."""

from __future__ import annotations

import time

from protocol.replies import Reply, Verbatim
from server.arguments import Args
from server.info import sections, text
from server.instance import Instance
from server.registry import Is, command
from server.session import Session
from storage.keyspace import Keyspace, count_all

#: Counting that takes longer than this is not done again for every INFO...
_QUICK_S = 0.02
#: ... that does not ask for it by name: it may take this part of the time, one in so many.
_REST = 100


@command("INFO", arity=-1, flags=Is.LOADING | Is.STALE, group="server", since="1.0.0", syntax="[section [section ...]]",
         slow=True, values=False, complexity="O(1), and O(N) with N keys for the section keyspace",
         tips=("nondeterministic_output", "request_policy:all_shards", "response_policy:special"),
         categories=("dangerous",))
def info(db: Keyspace, session: Session, args: Args) -> Reply:
    """Tell about the server: versions, clients, counters, storage."""
    wanted = sections(args[1:])

    counts = {}
    if "keyspace" in wanted:
        counts = _count(db, session.instance, by_name=any(name.lower() == b"keyspace" for name in args[1:]))
    return Verbatim(b"txt", text(session.instance, wanted, counts))


def _count(db: Keyspace, instance: Instance, *, by_name: bool) -> dict[int, tuple[int, int, int]]:
    """Keys, expiring keys and mean time to live of each database.

    Rows have to be counted one by one. Programs ask for INFO often, and seldom for these numbers' sake: where counting
    takes long, a plain INFO shows those of a while ago.
    """
    start = time.monotonic()
    until, counts = instance.keyspace_counts
    if by_name or start >= until:
        counts = count_all(db.attempt)
        took = time.monotonic() - start
        instance.keyspace_counts = start + took * _REST if took > _QUICK_S else 0.0, counts
    return counts
