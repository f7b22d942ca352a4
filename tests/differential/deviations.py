"""Every known difference between Rowdis and Redis, and what only Redis 7.4 can be asked.

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
        subject="OBJECT ENCODING, OBJECT REFCOUNT of strings; OBJECT ENCODING after SORT",
        redis="tells how a value came about: a short string is `raw` after APPEND or SETRANGE, a number is not `int` "
        "after INCRBYFLOAT, GETRANGE of a number makes no difference. SORT turns a sorted set into a `skiplist`.",
        rowdis="tells what a string would be if it were written at once by SET. SORT changes nothing.",
        reason="A row holds bytes; the history of a value has no use outside of Redis's memory.",
    ),
    "idletime": Deviation(
        subject="OBJECT IDLETIME, TOUCH, CLIENT NO-TOUCH",
        redis="keeps the time of the last access to each key.",
        rowdis="always says 0.",
        reason="Reading a key would have to write its row.",
    ),
    "lset-index": Deviation(
        subject="LSET with an index of more than 32 bits",
        redis="drops the upper bits, so that 4294967296 is the first item.",
        rowdis="answers that it is out of range.",
        reason="An item should not be lost by a wrong index.",
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
    "hll-count": Deviation(
        subject="PFCOUNT of one key",
        redis="notes the count in bytes 8 to 15 of the value, where GET shows it; EXEC fails if the key was watched.",
        rowdis="leaves the value as it is. It believes a count that is noted there, by Redis, and marks it as outdated "
        "like Redis.",
        reason="A command that only reads would have to lock and write a row. Counting takes a quarter of a "
        "millisecond at most.",
    ),
    "hll-damaged": Deviation(
        subject="PFADD, PFCOUNT of a damaged HyperLogLog (INVALIDOBJ)",
        redis="adds the elements of PFADD that come before the one for which there is no register; reads one byte "
        "behind a value that ends within an opcode.",
        rowdis="adds none of the elements if one can not be added; a value that ends within an opcode is damaged.",
        reason="A command that fails changes nothing.",
    ),
    "stream-nodes": Deviation(
        subject="XADD and XTRIM with `~`, `radix-tree-keys` and `radix-tree-nodes` of XINFO STREAM",
        redis="keeps entries in nodes of up to 100, fewer if they are long, deletes whole nodes only, and tells how "
        "many there are.",
        rowdis="counts nodes of 100 entries from the first one that was never trimmed, however long they are and "
        "wherever XDEL removed some; so what `~` leaves may differ by up to a hundred entries.",
        reason="Entries are rows; the nodes are only counted, so that trimming is as rare as in Redis.",
    ),
    "stream-watch": Deviation(
        subject="WATCH of a stream, XGROUP DESTROY and XSETID",
        redis="does not take these for changes of the key.",
        rowdis="does: the transaction is not executed.",
        reason="Clients that wait in XREADGROUP for a group that is destroyed are woken by the version of the key.",
    ),
    "geo-ties": Deviation(
        subject="COUNT of GEOSEARCH, GEORADIUS and relatives, for members that are equally far",
        redis="sorts only as far as it has to, by an algorithm that mixes them up: which of them it gives, and in "
        "which order, depends on all that is found.",
        rowdis="gives them in the order in which they come without COUNT.",
        reason="Redis's documentation defines no order among them; this one is the same from call to call.",
    ),
    "dump-version": Deviation(
        subject="DUMP",
        redis="7.4 writes version 12 of the format, which Redis before 7.4 refuses, keeps small sets in listpacks and "
        "notes when a consumer of a stream was last given something; it compresses strings of any length.",
        rowdis="writes version 10, what Redis 7.0 writes, so that Redis from 7.0 on takes it; only hashes with fields "
        "that expire have version 12. Strings of more than 16 KiB are not compressed, and deleted entries of streams "
        "are left out. RESTORE takes all versions up to 12, but no modules.",
        reason="What is written can be restored in more places. Compression in Python takes longer than sending.",
    ),
    "dump-damaged": Deviation(
        subject="RESTORE of damaged payloads with a right checksum",
        redis="looks at the outside of compact collections only (unless `sanitize-dump-payload` says otherwise), and "
        "at times reads the checksum as part of the value.",
        rowdis="refuses whatever Redis could not have written, in all parts, and payloads of which compressed strings "
        "make more than `proto-max-bulk-len` bytes together.",
        reason="Elements are rows, so everything is looked at anyway.",
    ),
    "migrate": Deviation(
        subject="MIGRATE",
        redis="sends the keys along with AUTH and SELECT, so they are restored in another database where the target "
        "refuses one of these; whatever is no error confirms a key; a key can't go to another database of the same "
        "server.",
        rowdis="sends the keys when the target has agreed to AUTH and SELECT; only OK confirms a key; another database "
        "of the same server is as good as any. It speaks to the target for at most twice the storage-timeout, "
        "whatever time-out it is given.",
        reason="Nothing should be restored where nobody looks for it, or deleted because of a stranger's answer. The "
        "keys are locked in the database meanwhile.",
    ),
    "script-debug": Deviation(
        subject="SCRIPT DEBUG YES, SCRIPT DEBUG SYNC",
        redis="begins a session of its debugger for scripts.",
        rowdis="answers that there is none.",
        reason="The debugger is a protocol of its own that redis-cli speaks; a script can be debugged on Redis.",
    ),
    "lua-shared": Deviation(
        subject="Scripts: `getmetatable('')`, `setfenv(0, ...)`, `newproxy(true)`",
        redis="lets a script change the methods of strings and the environment of the whole interpreter, and give "
        "objects a finalizer.",
        rowdis="refuses it.",
        reason="Later scripts, of other clients, would see the changes; a finalizer runs in the middle of other "
        "scripts and can't be stopped.",
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
    "waitaof": "redis74",
    "client|no-touch": "redis74",
    "client|setinfo": "redis74",
    "hexpire": "redis74",
    "hexpireat": "redis74",
    "hexpiretime": "redis74",
    "hpersist": "redis74",
    "hpexpire": "redis74",
    "hpexpireat": "redis74",
    "hpexpiretime": "redis74",
    "hpttl": "redis74",
    "httl": "redis74",
}
"""By command in the style of COMMAND INFO, the fixture of the server to ask where `oracle` may not know it."""
