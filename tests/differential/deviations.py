"""Every known difference between Rowdis and Redis, and which server is asked instead of redis-server 7.0.

A scenario proves a difference with `deviates(...)`: it fails when the replies become equal, and `test_deviations.py`
fails when nothing proves an entry. The page docs/deviations.md shows what stands here.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Deviation:
    """One difference. `subject` is a command or an area, the other texts are sentences for users."""

    subject: str
    redis: str
    rowdis: str
    reason: str


DEVIATIONS = {
    "encoding": Deviation(
        subject="OBJECT ENCODING, OBJECT REFCOUNT of strings",
        redis="tells how a value came about: a short string is `raw` after APPEND or SETRANGE, a number is not `int` "
        "after INCRBYFLOAT, GETRANGE of a number makes no difference.",
        rowdis="tells what a value would be if it were written at once by SET.",
        reason="A row holds bytes; the history of a value has no use outside of Redis's memory.",
    ),
    "idletime": Deviation(
        subject="OBJECT IDLETIME, TOUCH, CLIENT NO-TOUCH",
        redis="keeps the time of the last access to each key.",
        rowdis="always says 0.",
        reason="Reading a key would have to write its row.",
    ),
    "watch-absent": Deviation(
        subject="WATCH of an absent key",
        redis="does not execute the transaction if the key was made and deleted again in between.",
        rowdis="executes it: the key is absent, as it was when it was watched.",
        reason="What is not there has no version; a key that was there has another one each time it is made.",
    ),
    "saves": Deviation(
        subject="BGSAVE, BGREWRITEAOF, LASTSAVE",
        redis="writes files in the background, refuses to begin twice, and tells when it wrote the last one.",
        rowdis="always answers that it began, and that the last save is now.",
        reason="Every acknowledged write is in a committed transaction of the database.",
    ),
    "help": Deviation(
        subject="HELP of OBJECT and other commands",
        redis="has its own wording.",
        rowdis="has the same shape with other words.",
        reason="The texts describe what Rowdis does.",
    ),
}



def section() -> str:
    """The part of docs/deviations.md that is made of this table."""
    entries = [
        f"**{entry.subject}.** Redis {entry.redis} Rowdis {entry.rowdis} {entry.reason}\n"
        for entry in DEVIATIONS.values()
    ]
    return "\n".join(entries)


ORACLES = {
    "waitaof": "valkey",
    "client|no-touch": "valkey",
    "client|setinfo": "valkey",
}
"""By command in the style of COMMAND INFO, the fixture of the server that knows it where redis-server 7.0 does not."""

_EVERYWHERE = {"request_policy:all_nodes", "response_policy:all_succeeded"}

INFO_OF_7_4: dict[str, dict[str, object]] = {
    "wait": {"flags": {"blocking"}},
    "client|setinfo": {"flags": {"noscript", "loading", "stale"}},
    "client|no-touch": {"flags": {"noscript", "loading", "stale"}},
    "command|getkeys": {"arity": -3},
    "command|getkeysandflags": {"arity": -3},
    "client|setname": {"tips": _EVERYWHERE},
    "config|rewrite": {"tips": _EVERYWHERE},
    "config|resetstat": {"tips": _EVERYWHERE},
    "scan": {"tips": {"nondeterministic_output", "request_policy:special", "response_policy:special"}},
    "randomkey": {"tips": {"request_policy:all_shards", "response_policy:special", "nondeterministic_output"}},
    "msetnx": {"tips": set()},
}
"""What COMMAND INFO of Redis 7.4.1 says otherwise than the oracles."""
