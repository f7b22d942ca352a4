"""Consumer groups of streams, what is pending in them, and what is told of them. Compared with Redis 7.4."""

from tests.commands.conftest import Play
from tests.commands.masks import shaped
from tests.commands.scenarios import Line, Scenario, Step, deviates, scenario, scenarios, words
from tests.conftest import Combination
from tests.differential.streams import same
from tests.services.raw_client import RawClient
from tests.services.rowdis import Rowdis

MAX = 2**64 - 1


def stream(name: str, *steps: Line | Step) -> Scenario:
    """A scenario that Redis 7.4 is asked about: 7.0 counts and words much of streams another way."""
    return scenario(name, *steps, oracle="redis74")


def timeless(line: Line) -> Step:
    """A reply that tells times, of which only the rest is compared."""
    command = words(line)
    return Step(command, lambda ours, theirs: same(command, ours, theirs))


_ENTRIES: tuple[Line, ...] = ("XADD s 1-1 f v1", "XADD s 1-2 f v2", "XADD s 3-0 f v3", "XADD s 5-5 f v5")
_GROUP: tuple[Line, ...] = (*_ENTRIES, "XGROUP CREATE s g 0")
_PENDING: tuple[Line, ...] = (
    *_GROUP, "XREADGROUP GROUP g alice COUNT 2 STREAMS s >", "XREADGROUP GROUP g bob COUNT 1 STREAMS s >",
)  # fmt: skip
_STATE: tuple[Line | Step, ...] = (
    "XINFO GROUPS s", timeless("XINFO CONSUMERS s g"), timeless("XPENDING s g - + 10"), "XPENDING s g",
)  # fmt: skip


@scenarios(
    stream("a group is made, changed and destroyed", *_GROUP, "XGROUP CREATE s g 0", "XGROUP CREATE s h $",
           "XGROUP CREATE s i 1-1 ENTRIESREAD 1", "XGROUP CREATE s j 1-2", "XGROUP CREATE s k 9-0", "XINFO GROUPS s",
           "XGROUP SETID s g 3", "XGROUP SETID s h 0 ENTRIESREAD 2", "XGROUP SETID s i $", "XINFO GROUPS s",
           "XGROUP DESTROY s h", "XGROUP DESTROY s h", "XGROUP DESTROY s i", "XINFO GROUPS s", "XINFO STREAM s"),
    stream("MKSTREAM", "XGROUP CREATE s g 0", "XGROUP CREATE s g x MKSTREAM", "EXISTS s",
           "XGROUP CREATE s g $ MKSTREAM",
           "XGROUP CREATE s h 7 MKSTREAM ENTRIESREAD 3", "XLEN s", "XINFO STREAM s", "XINFO GROUPS s", "TYPE s",
           "XADD s 1 f v", "XREADGROUP GROUP g c STREAMS s >"),
    stream("consumers", *_GROUP, "XGROUP CREATECONSUMER s g a", "XGROUP CREATECONSUMER s g a",
           "XGROUP CREATECONSUMER s g b", timeless("XINFO CONSUMERS s g"), "XGROUP DELCONSUMER s g a",
           "XGROUP DELCONSUMER s g a", "XREADGROUP GROUP g b COUNT 3 STREAMS s >", "XGROUP DELCONSUMER s g b", *_STATE,
           "XREADGROUP GROUP g b STREAMS s >", *_STATE),
    stream("errors", *_GROUP, "SET a x", "XGROUP CREATE s h x", "XGROUP CREATE a h 0", "XGROUP CREATE a h x",
           "XGROUP CREATE nosuch h 0", "XGROUP CREATE nosuch h x", "XGROUP CREATE a h 0 FOO", "XGROUP CREATE s h -",
           "XGROUP CREATE s h 0 ENTRIESREAD", "XGROUP CREATE s h 0 ENTRIESREAD x", "XGROUP CREATE s h 0 ENTRIESREAD -2",
           "XGROUP CREATE s h 0 ENTRIESREAD -1", "XGROUP CREATE s", "XGROUP FOO", "XGROUP", "XGROUP SETID s nosuch 0",
           "XGROUP SETID s nosuch x", "XGROUP SETID s g x", "XGROUP SETID a g 0", "XGROUP SETID nosuch g 0",
           "XGROUP SETID s g 0 MKSTREAM", "XGROUP SETID s g 0 ENTRIESREAD -7", "XGROUP DESTROY nosuch g",
           "XGROUP DESTROY a g", "XGROUP CREATECONSUMER s nosuch c", "XGROUP CREATECONSUMER nosuch g c",
           "XGROUP CREATECONSUMER a g c", "XGROUP DELCONSUMER s nosuch c", "XGROUP DELCONSUMER nosuch g c",
           r'XGROUP SETID s "no\x00such" 0', r'XGROUP SETID s "no\r\nsuch" 0'),
    stream("HELP", shaped("XGROUP HELP"), shaped("XINFO HELP"), "XGROUP HELP FOO", "XINFO HELP FOO"),
    stream("names are bytes", *_ENTRIES, r'XGROUP CREATE s "g\x00\xff" 0',
           r'XREADGROUP GROUP "g\x00\xff" "" STREAMS s >',
           r'XPENDING s "g\x00\xff"', r'XREADGROUP GROUP "g\x00\xff" "\r\n" STREAMS s 0', "XINFO GROUPS s",
           ("XGROUP", "CREATE", "s", "n" * 100_000, "0"), ("XREADGROUP", "GROUP", "n" * 100_000, "c", "STREAMS", "s",
           ">"),
           ("XACK", "s", "n" * 100_000, "1-1"), "XINFO GROUPS s"),
    stream("groups go with their stream", *_PENDING, "RENAME s t", "XPENDING t g", "XACK t g 1-1", "XPENDING t g",
           "DEL t", "XGROUP CREATE t g 0 MKSTREAM", "XPENDING t g", timeless("XINFO CONSUMERS t g")),
)  # fmt: skip
def test_groups(play: Play, case: Scenario) -> None:
    play(case)


@scenarios(
    stream("new entries go to one consumer each", *_PENDING, "XREADGROUP GROUP g alice STREAMS s >",
           "XREADGROUP GROUP g alice STREAMS s >", *_STATE),
    stream("history", *_PENDING, "XREADGROUP GROUP g alice STREAMS s 0", "XREADGROUP GROUP g alice COUNT 1 STREAMS s 0",
           "XREADGROUP GROUP g alice STREAMS s 1-1", "XREADGROUP GROUP g bob STREAMS s 0",
           "XREADGROUP GROUP g carl STREAMS s 0", "XREADGROUP GROUP g bob STREAMS s 3", *_STATE, "XDEL s 1-1",
           "XREADGROUP GROUP g alice STREAMS s 0", *_STATE, f"XREADGROUP GROUP g alice STREAMS s {MAX}-{MAX}"),
    stream("NOACK", *_GROUP, "XREADGROUP GROUP g alice NOACK COUNT 2 STREAMS s >", *_STATE,
           "XREADGROUP GROUP g alice NOACK STREAMS s 0", "XREADGROUP GROUP g bob COUNT 1 STREAMS s >",
           "XREADGROUP GROUP g bob NOACK STREAMS s 0", *_STATE),
    stream("several streams", *_GROUP, "XADD t 9 f v", "XGROUP CREATE t g 0", "XREADGROUP GROUP g c STREAMS s t > >",
           "XREADGROUP GROUP g c STREAMS s t > 0", "XADD t 10 f v", "XREADGROUP GROUP g c STREAMS s t > >",
           "XREADGROUP GROUP g c STREAMS s t 0 >", "XGROUP SETID s g 0",
           "XREADGROUP GROUP g c COUNT 1 STREAMS s s > >", "XREADGROUP GROUP g c STREAMS s nosuch > >",
           "XREADGROUP GROUP g c STREAMS nosuch s > >", "XREADGROUP GROUP g c STREAMS nosuch > s"),
    stream("a group that was set back is given entries again", *_PENDING, "XGROUP SETID s g 0",
           "XREADGROUP GROUP g carl COUNT 2 STREAMS s >", *_STATE, "XREADGROUP GROUP g carl STREAMS s >", *_STATE,
           "XACK s g 1-1 1-2 3-0 5-5", *_STATE),
    stream("writing and reading in one pipeline", *_GROUP, "XREADGROUP GROUP g a COUNT 1 STREAMS s >", "XADD s 6 f v",
           "XREADGROUP GROUP g b COUNT 9 STREAMS s >", "XACK s g 1-1 3-0", "XADD s 7 f v", "XDEL s 7", "XADD s 8 f v",
           "XREADGROUP GROUP g a STREAMS s >", "XREADGROUP GROUP g a STREAMS s 0", "XTRIM s MAXLEN 1",
           "XREADGROUP GROUP g a STREAMS s 0", "XREADGROUP GROUP g b STREAMS s 0", *_STATE),
    stream("BLOCK with something there", *_GROUP, "XREADGROUP GROUP g a BLOCK 0 COUNT 1 STREAMS s >",
           "XREADGROUP GROUP g a BLOCK 0 STREAMS s 0", "XREADGROUP GROUP g nobody BLOCK 0 STREAMS s 0", "MULTI",
           "XREADGROUP GROUP g b BLOCK 0 STREAMS s >", "XREADGROUP GROUP g b BLOCK 0 STREAMS s >", "EXEC", *_STATE,
           "XREADGROUP GROUP g c BLOCK 1 STREAMS s >", timeless("XINFO CONSUMERS s g")),
    stream("errors", *_GROUP, "SET a x", "XREADGROUP GROUP g c STREAMS s", "XREADGROUP GROUP g c STREAMS s x y",
           "XREADGROUP GROUP g c STREAMS s x", "XREADGROUP GROUP g c STREAMS s $", "XREADGROUP GROUP g c STREAMS s +",
           "XREADGROUP GROUP g c STREAMS s -", "XREADGROUP GROUP nosuch c STREAMS s >",
           "XREADGROUP GROUP nosuch c STREAMS s x", "XREADGROUP GROUP g c STREAMS a >",
           "XREADGROUP GROUP g c STREAMS nosuch >", "XREADGROUP GROUP g c COUNT x STREAMS s >",
           "XREADGROUP GROUP g c BLOCK -1 STREAMS s >", "XREADGROUP GROUP g c BLOCK x STREAMS s >",
           "XREADGROUP GROUP g c FOO 1 STREAMS s >", "XREADGROUP COUNT 1 NOACK NOACK STREAMS s >",
           "XREADGROUP COUNT 1 STREAMS s 0 GROUP g c", "XREADGROUP STREAMS STREAMS STREAMS STREAMS STREAMS STREAMS",
           r'XREADGROUP GROUP "a\x00b" c STREAMS s >', "XINFO GROUPS s", "XREADGROUP COUNT 1 GROUP g c STREAMS s >"),
)  # fmt: skip
def test_reading_in_groups(play: Play, case: Scenario) -> None:
    play(case)


@scenarios(
    stream("XACK", *_PENDING, "XACK s g 1-1 1-1 9-9", *_STATE, "XACK s g 1-2 3-0", *_STATE, "XACK s g 1-1 x",
           "XACK s g x", "XACK nosuch g x", "XACK s nosuch x", "SET a x", "XACK a g x", "XACK s g"),
    stream("XPENDING", *_PENDING, "XPENDING s g", timeless("XPENDING s g - + 10"), timeless("XPENDING s g - + 2"),
           timeless("XPENDING s g (1-1 3 10"), timeless("XPENDING s g - + 10 alice"), "XPENDING s g - + 10 nobody",
           "XPENDING s g - + 0", "XPENDING s g - + -1", timeless("XPENDING s g IDLE 0 - + 10"),
           "XPENDING s g IDLE 1000000 - + 10", timeless("XPENDING s g IDLE 0 - + 10 bob"), "XPENDING s g 5 1 10",
           timeless("XPENDING s g - + 10 alice FOO"), timeless("XPENDING s g - + 10 alice FOO BAR"),
           timeless("XPENDING s g IDLE -5 - + 1")),
    stream("XPENDING errors", *_PENDING, "SET a x", "XPENDING s nosuch", "XPENDING nosuch g", "XPENDING a g",
           "XPENDING s g - +", "XPENDING s g - + x", "XPENDING s g x + y", "XPENDING s g x + 10", "XPENDING s g - x 10",
           "XPENDING s g IDLE", "XPENDING s g IDLE 0", "XPENDING s g IDLE x - + 1", "XPENDING s g IDLE 0 - +",
           "XPENDING s g - + 10 alice FOO BAR BAZ", "XPENDING s g FOO", "XPENDING a g x + 10",
           "XPENDING nosuch g x + 10",
           f"XPENDING s g ({MAX}-{MAX} + 10", "XPENDING s g - + 10 IDLE 5"),
    stream("XCLAIM", *_PENDING, "XCLAIM s g carl 0 1-1", *_STATE, "XCLAIM s g carl 0 1-2 3-0 9-9 JUSTID", *_STATE,
           "XCLAIM s g bob 1000000 1-1", "XCLAIM s g bob -5 1-1 1-1", *_STATE, "XCLAIM s g dave 0 77-7", *_STATE,
           "XCLAIM s g bob 0 1-1 RETRYCOUNT 7", "XCLAIM s g bob 0 1-2 RETRYCOUNT 9 JUSTID", *_STATE,
           "XCLAIM s g bob 0 3-0 RETRYCOUNT -1", *_STATE, "XCLAIM s g carl 0 3-0 LASTID 9-9", "XINFO GROUPS s",
           "XCLAIM s g carl 0 3-0 LASTID 1-1", "XINFO GROUPS s"),
    stream("XCLAIM of what is not pending", *_PENDING, "XCLAIM s g carl 0 5-5", "XCLAIM s g carl 0 5-5 FORCE", *_STATE,
           "XREADGROUP GROUP g bob STREAMS s >", *_STATE, "XACK s g 5-5", *_STATE,
           "XCLAIM s g carl 0 5-5 9-9 FORCE JUSTID",
           *_STATE),
    stream("XCLAIM with times", *_PENDING, "XCLAIM s g carl 0 1-1 IDLE 500000", "XPENDING s g IDLE 900000 - + 10",
           timeless("XPENDING s g IDLE 400000 - + 10"), "XCLAIM s g carl 0 1-2 TIME 1000",
           timeless("XPENDING s g IDLE 900000 - + 10"), "XCLAIM s g bob 400000 1-1 1-2 3-0", *_STATE,
           "XCLAIM s g bob 0 1-1 TIME -5", "XCLAIM s g bob 0 1-2 IDLE -5", "XPENDING s g IDLE 400000 - + 10"),
    stream("XCLAIM of deleted entries", *_PENDING, "XDEL s 1-2", "XCLAIM s g carl 0 1-1 1-2 3-0", *_STATE,
           "XCLAIM s g carl 0 1-2 FORCE", *_STATE, "XTRIM s MAXLEN 0", "XCLAIM s g carl 0 1-1 3-0 JUSTID", *_STATE),
    stream("XCLAIM errors", *_PENDING, "SET a x", "XCLAIM s g carl 0", "XCLAIM s g carl x 1-1", "XCLAIM s g carl 0 x",
           "XCLAIM s nosuch carl x x", "XCLAIM nosuch g carl 0 1-1", "XCLAIM a g carl 0 1-1", "XCLAIM s g carl 0 1-1 x",
           "XCLAIM s g carl 0 1-1 IDLE", "XCLAIM s g carl 0 1-1 IDLE x", "XCLAIM s g carl 0 1-1 TIME x",
           "XCLAIM s g carl 0 1-1 RETRYCOUNT x", "XCLAIM s g carl 0 1-1 LASTID x", "XCLAIM s g carl 0 1-1 LASTID",
           "XCLAIM s g carl 0 1-1 JUSTID 1-2", r'XCLAIM s g carl 0 1-1 "a\x00b"', *_STATE),
    stream("XAUTOCLAIM", *_PENDING, "XAUTOCLAIM s g carl 0 0", *_STATE, "XAUTOCLAIM s g bob 0 - COUNT 1",
           "XAUTOCLAIM s g bob 0 1-2 COUNT 1 JUSTID", "XAUTOCLAIM s g bob 0 (1-2 COUNT 1", *_STATE,
           "XAUTOCLAIM s g dave 1000000 0", *_STATE, "XAUTOCLAIM s g dave -1 +", "XAUTOCLAIM s g dave 0 9", *_STATE),
    stream("XAUTOCLAIM of deleted entries", *_PENDING, "XDEL s 1-1 3-0", "XAUTOCLAIM s g carl 0 0 COUNT 1", *_STATE,
           "XAUTOCLAIM s g carl 0 0", *_STATE),
    stream("XAUTOCLAIM looks at so many only", *_GROUP, *[f"XADD s {n} f v" for n in range(10, 60)],
           "XREADGROUP GROUP g alice COUNT 30 STREAMS s >", "XREADGROUP GROUP g bob STREAMS s >",
           *[f"XCLAIM s g bob 0 {n} IDLE 500000 JUSTID" for n in range(40, 60)], "XAUTOCLAIM s g carl 400000 0 COUNT 3",
           "XAUTOCLAIM s g carl 400000 30 COUNT 3", "XAUTOCLAIM s g carl 400000 30 COUNT 1",
           "XAUTOCLAIM s g carl 400000 42 COUNT 100 JUSTID", *_STATE),
    stream("XAUTOCLAIM errors", *_PENDING, "SET a x", "XAUTOCLAIM s g carl x y", "XAUTOCLAIM s g carl 0 x",
           "XAUTOCLAIM s g carl 0 0 COUNT", "XAUTOCLAIM s g carl 0 0 COUNT x", "XAUTOCLAIM s g carl 0 0 COUNT 0",
           "XAUTOCLAIM s g carl 0 0 COUNT 9223372036854775807", "XAUTOCLAIM s g carl 0 0 FOO",
           "XAUTOCLAIM s nosuch carl 0 x", "XAUTOCLAIM s nosuch carl 0 0", "XAUTOCLAIM nosuch g carl 0 0",
           "XAUTOCLAIM a g carl 0 0", f"XAUTOCLAIM s g carl 0 ({MAX}-{MAX}", *_STATE),
)  # fmt: skip
def test_pending_entries(play: Play, case: Scenario) -> None:
    play(case)


@scenarios(
    stream("XINFO", *_PENDING, "XGROUP CREATE s h $", "XINFO STREAM s", "XINFO GROUPS s",
           timeless("XINFO CONSUMERS s g"),
           "XINFO CONSUMERS s h", timeless("XINFO STREAM s FULL"), timeless("XINFO STREAM s FULL COUNT 1"),
           timeless("XINFO STREAM s FULL COUNT 0"), timeless("XINFO STREAM s full count -5")),
    stream("XINFO FULL shows ten of each", *_GROUP, *[f"XADD s {n} f v" for n in range(10, 30)],
           "XREADGROUP GROUP g alice COUNT 13 STREAMS s >", "XREADGROUP GROUP g bob STREAMS s >",
           timeless("XINFO STREAM s FULL"), timeless("XINFO STREAM s FULL COUNT 12")),
    stream("XINFO errors", "SET a x", *_GROUP, "XINFO", "XINFO FOO", "XINFO STREAM nosuch", "XINFO STREAM a",
           "XINFO STREAM nosuch FULL", "XINFO STREAM s FOO", "XINFO STREAM nosuch FOO", "XINFO STREAM s FULL COUNT",
           "XINFO STREAM s FULL COUNT x", "XINFO STREAM s FULL FOO 1", "XINFO STREAM s FULL COUNT 1 2",
           "XINFO GROUPS nosuch", "XINFO GROUPS a", "XINFO CONSUMERS s nosuch", "XINFO CONSUMERS nosuch g",
           "XINFO CONSUMERS a g", "XINFO GROUPS s FOO"),
    stream("lag", *_GROUP, "XGROUP CREATE s h 1-2", "XINFO GROUPS s", "XDEL s 1-1", "XINFO GROUPS s",
           "XREADGROUP GROUP g c COUNT 1 STREAMS s >", "XREADGROUP GROUP h c COUNT 1 STREAMS s >", "XINFO GROUPS s",
           "XTRIM s MAXLEN 2", "XINFO GROUPS s", "XADD s 6 f v", "XDEL s 5-5", "XINFO GROUPS s",
           "XREADGROUP GROUP g c STREAMS s >", "XINFO GROUPS s", "XTRIM s MAXLEN 0", "XINFO GROUPS s",
           "XREADGROUP GROUP h c STREAMS s >", "XADD s 7 f v", "XINFO GROUPS s"),
    stream("lag after a trim beyond the group", *_GROUP, "XREADGROUP GROUP g c COUNT 1 STREAMS s >", "XTRIM s MAXLEN 1",
           "XINFO GROUPS s", "XREADGROUP GROUP g c STREAMS s >", "XINFO GROUPS s", "XADD s 6 f v", "XINFO GROUPS s"),
    stream("group commands are no changes of the key", *_GROUP, "WATCH s", "XREADGROUP GROUP g c STREAMS s >",
           "XACK s g 1-1", "XCLAIM s g d 0 1-2", "XAUTOCLAIM s g c 0 0", "XGROUP CREATE s h 0", "XGROUP SETID s h 1",
           "XGROUP CREATECONSUMER s h c", "XGROUP DELCONSUMER s h c", "MULTI", "XLEN s", "EXEC"),
    stream("destroying a group is one", *_GROUP, "WATCH s", "XGROUP DESTROY s g", "MULTI", "XLEN s",
           deviates("EXEC", "stream-watch", b"")),
    stream("in a transaction", "MULTI", *_GROUP, "XREADGROUP GROUP g a COUNT 2 STREAMS s >", "XACK s g 1-1",
           "XPENDING s g",
           "XCLAIM s g b 0 1-2", "XINFO GROUPS s", "XGROUP DELCONSUMER s g b", "XPENDING s g", "XGROUP DESTROY s g",
           "XGROUP CREATE s g $", "XADD s 9 f v", "XREADGROUP GROUP g a STREAMS s >", "EXEC", *_STATE),
)  # fmt: skip
def test_what_is_told_of_groups(play: Play, case: Scenario) -> None:
    play(case)


def test_many_workers_are_given_each_entry_once(rowdis: Rowdis, client: RawClient, combination: Combination) -> None:
    total, count = 600, 20
    client.pipeline([("XADD", "s", f"{number}-0", "n", str(number)) for number in range(1, total + 1)])
    client.call("XGROUP", "CREATE", "s", "g", "0")
    workers = [rowdis.client(combination.protocol) for _ in range(count)]
    given: list[bytes] = []
    try:
        for _ in range(total // count // 2):
            for number, worker in enumerate(workers):
                worker.send("XREADGROUP", "GROUP", "g", f"worker:{number}", "COUNT", "2", "STREAMS", "s", ">")
            taken = [_ids(worker.read()) for worker in workers]
            assert all(len(ids) == 2 for ids in taken)
            for worker, ids in zip(workers, taken, strict=True):
                worker.send("XACK", "s", "g", *ids)
            assert {worker.read() for worker in workers} == {b":2\r\n"}
            given += [one for ids in taken for one in ids]
    finally:
        for worker in workers:
            worker.close()
    assert sorted(given) == sorted(b"%d-0" % number for number in range(1, total + 1))
    assert client.call("XPENDING", "s", "g").startswith(b"*4\r\n:0\r\n")


def _ids(reply: bytes) -> list[bytes]:
    return [line for line in reply.split(b"\r\n") if line.endswith(b"-0")]
