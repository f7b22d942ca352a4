"""Sets, compared with Redis 7.4, which gives small sets in the order in which their members came."""

from collections import Counter
from collections.abc import Iterator

import hiredis
import pytest

from tests.commands.conftest import Play
from tests.commands.scenarios import Line, Scenario, Step, becomes, near, scenario, scenarios, unordered
from tests.services.raw_client import RawClient
from tests.services.rowdis import Rowdis

MAX = 2**63 - 1
MIN = -(2**63)
LONG = bytes(range(256)) * 400
SIXTY_FOUR = "x" * 64


def case_of(name: str, *steps: Line | Step) -> Scenario:
    return scenario(name, *steps, oracle="redis74")


def some(first: int, last: int, prefix: str = "m") -> str:
    return " ".join(f"{prefix}{number}" for number in range(first, last + 1))


@scenarios(
    case_of("members are added once", "SADD s a b a", "SADD s b c", "SADD s a", "SCARD s", "SMEMBERS s"),
    case_of("members keep the order in which they came", "SADD s z y x", "SADD s a", "SREM s y", "SADD s y",
            "SMEMBERS s"),
    case_of("a set of integers is in order", "SADD s 10 -3 2 9223372036854775807 -9223372036854775808 0", "SMEMBERS s",
            "SREM s 2", "SADD s 1", "SMEMBERS s"),
    case_of("integers come first if they were alone", "SADD s 10 9 8", "SADD s a 1", "SMEMBERS s", "SREM s 9",
            "SADD s 9", "SMEMBERS s", "SADD t a 3 2 1", "SMEMBERS t", "SADD u 3 2 a 1", "SMEMBERS u"),
    case_of("what looks like an integer", "SADD s 2 01", "SMEMBERS s", "SADD t 3 1 -0", "SMEMBERS t", "SADD u 5 4 +1",
            "SMEMBERS u", 'SADD v 5 4 ""', "SMEMBERS v", f"SADD w 5 4 {MAX + 1}", "SMEMBERS w", f"SADD x 5 4 {MIN}",
            "SMEMBERS x", f"SADD y 5 4 {MIN - 1}", "SMEMBERS y", "SADD z 5 4 - -1 ", "SMEMBERS z", "SADD a 5 4 1.0",
            "SMEMBERS a", 'SADD b 5 4 " 1"', "SMEMBERS b"),
    case_of("512 integers are in order", f"SADD s {some(1, 511, '')}", "SADD s 0", "SMEMBERS s",
            "SADD s 512", unordered("SMEMBERS s"), "SCARD s"),
    case_of("128 members are in order", f"SADD s {some(1, 127)}", "SADD s last", "SMEMBERS s", "SADD s more",
            unordered("SMEMBERS s"), "SCARD s"),
    case_of("integers and one other", f"SADD s {some(1, 127, '')}", "SADD s last", "SMEMBERS s",
            f"SADD t {some(1, 128, '')}", "SADD t last", unordered("SMEMBERS t")),
    case_of("64 bytes are short", f"SADD s b {SIXTY_FOUR} a", "SMEMBERS s", f"SADD s c {SIXTY_FOUR}x",
            unordered("SMEMBERS s")),
    case_of("members hold any bytes", r'SADD s "" "\x00" "\r\n" "\xff\xfe"', "SMEMBERS s", 'SISMEMBER s ""',
            r'SISMEMBER s "\x00"', r'SISMEMBER s "\x00\x00"', r'SREM s "\x00" "\xff"', "SMEMBERS s"),
    case_of("members may be long", ("SADD", "s", LONG, "short", LONG + b"x"), "SCARD s", unordered("SMEMBERS s"),
            ("SISMEMBER", "s", LONG), ("SISMEMBER", "s", LONG[:-1]), ("SREM", "s", LONG), ("SMOVE", "s", "t",
            LONG + b"x"), "SMEMBERS s", "SMEMBERS t", ("SADD", "t", LONG), ("SREM", "t", LONG + b"x"),
            ("SPOP", "t"), "EXISTS t"),
    case_of("an emptied set is gone", "SADD s a b", "SREM s a b c", "EXISTS s", "TYPE s", "SREM s a", "SADD s c",
            "SMEMBERS s", "SREM s x c c", "SCARD s"),
    case_of("a set keeps its time to live", "SADD s a", "EXPIRE s 100", "SADD s b", "SREM s a", near("TTL s"),
            "SREM s b", "SADD s a", "TTL s"),
    case_of("an expired set is gone", "SADD s a b", "PEXPIRE s 30", becomes("EXISTS s", b":0\r\n"), "SMEMBERS s",
            "SISMEMBER s a", "SADD s c", "SMEMBERS s", "TTL s"),
    case_of("membership", "SISMEMBER s a", "SMISMEMBER s a b", "SADD s a b", "SISMEMBER s a", "SISMEMBER s x",
            "SMISMEMBER s a x b a"),
    case_of("the number of words is checked", "SADD s", "SREM s", "SCARD", "SCARD a b", "SISMEMBER s",
            "SISMEMBER s a b", "SMISMEMBER s", "SMEMBERS", "SMOVE a b", "SMOVE a b c d", "SPOP", "SRANDMEMBER",
            "SINTER", "SUNION", "SDIFF", "SINTERSTORE a", "SUNIONSTORE a", "SDIFFSTORE a", "SINTERCARD 1", "SSCAN s"),
    case_of("other types are refused", "SET k v", *(f"{line}" for line in (
            "SADD k a", "SREM k a", "SCARD k", "SISMEMBER k a", "SMISMEMBER k a b", "SMEMBERS k", "SPOP k", "SPOP k 1",
            "SPOP k 0", "SRANDMEMBER k", "SRANDMEMBER k 0", "SSCAN k 0", "SINTER k", "SUNION k a", "SDIFF k",
            "SINTERSTORE d k", "SUNIONSTORE d k", "SDIFFSTORE d k", "SINTERCARD 1 k")), "GET k"),
    case_of("sets are refused by others", "SADD s a", "GET s", "APPEND s x", "INCR s", "GETRANGE s 0 1", "STRLEN s",
            "SETNX s x", "SMEMBERS s", "SET s x", "GET s"),
    case_of("a set is renamed, deleted and made again", "SADD s a b", "RENAME s t", "SMEMBERS t", "SADD s c",
            "RENAME t s", "SMEMBERS s", "DEL s", "SADD s x", "SMEMBERS s", "SET s v", "SADD s y", "DEL s", "SADD s z",
            "SMEMBERS s"),
    case_of("a copy goes its own way", "SADD s b a", "COPY s t", "SADD t c", "SREM t a", "SADD s 1", "SMEMBERS s",
            "SMEMBERS t", "SADD i 3 1", "COPY i j", "SADD j 2", "SMEMBERS j", "SREM i 3", "SCARD j",
            "OBJECT ENCODING j", "OBJECT ENCODING s", "SADD j x", "OBJECT ENCODING j",
            f"SADD j {SIXTY_FOUR}x", "OBJECT ENCODING j"),
    case_of("all in a transaction", "MULTI", "SADD s a b 1", "SREM s a", "SADD s a", "SMEMBERS s", "SMOVE s t b",
            "SUNION s t", "DEL s", "SADD s 2 1", "SMEMBERS s", "SPOP t", "SCARD t", "EXEC", "SMEMBERS s"),
)  # fmt: skip
def test_members(play: Play, case: Scenario) -> None:
    play(case)


@scenarios(
    case_of("a member is moved", "SADD s a b", "SMOVE s t a", "SMEMBERS s", "SMEMBERS t", "SMOVE s t a", "SMOVE s t b",
            "EXISTS s", "SMEMBERS t"),
    case_of("it may be there already", "SADD s a b", "SADD t a c", "SMOVE s t a", "SMEMBERS s", "SMEMBERS t"),
    case_of("to itself", "SADD s a b", "SMOVE s s a", "SMOVE s s x", "SMEMBERS s", "SET k v", "SMOVE k k a"),
    case_of("types", "SET k v", "SADD s a", "SMOVE none k a", "SMOVE s k a", "SMOVE s k x", "SMOVE k s a",
            "SMEMBERS s"),
    case_of("integers are moved among others", "SADD i 1 2 3", "SADD s b a", "SMOVE s i b", "SMOVE i s 2",
            "SMEMBERS i", "SMEMBERS s", "SMOVE i n 3", "SADD n 1", "SMEMBERS n"),
    case_of("times to live stay", "SADD s a b", "SADD t c", "EXPIRE s 100", "EXPIRE t 200", "SMOVE s t a",
            near("TTL s"), near("TTL t"), "SMOVE s n b", "TTL n"),
)  # fmt: skip
def test_smove(play: Play, case: Scenario) -> None:
    play(case)


SOURCES = ("SADD i 3 1 2", "SADD j 2 5 3 4", "SADD l b a 1 3", "SADD m 5 2 z", "SREM m z",
           f"SADD big {some(1, 200)} a 3",
           f"SADD other {some(190, 300)} 3 {SIXTY_FOUR}x", f"SADD many {some(1, 600, '')}")  # fmt: skip


@scenarios(
    *(case_of(f"{what} of {keys}", *SOURCES, unordered(f"{what} {keys}") if "big" in keys or "many" in keys
              else f"{what} {keys}", f"{what}STORE d {keys}", unordered("SMEMBERS d") if "big" in keys or "many" in keys
              else "SMEMBERS d", "SCARD d", "SADD d new", unordered("SMEMBERS d"))
      for what in ("SINTER", "SUNION", "SDIFF")
      for keys in ("i", "l", "m", "i j", "j i", "i l", "l i", "l m i", "m l", "m i l", "none", "none i", "i none",
                   "i i", "l l", "big", "big l", "l big", "big other", "many", "many i", "i many", "many big",
                   "big many l i")),
    case_of("the destination is overwritten whatever it is", "SADD s a b", "SET k v", "EXPIRE k 100",
            "SUNIONSTORE k s", "TTL k", "SMEMBERS k", "SET k v", "SINTERSTORE k s", "SMEMBERS k", "SET k v",
            "SDIFFSTORE k s", "SMEMBERS k"),
    case_of("and deleted by an empty result", "SADD s a", "SADD t b", "SET k v", "SINTERSTORE k s t", "EXISTS k",
            "SET k v", "SDIFFSTORE k s s", "EXISTS k", "SADD k x", "SUNIONSTORE k none", "EXISTS k",
            "SINTERSTORE k none", "SINTERSTORE s s none", "EXISTS s"),
    case_of("the destination may be a source", "SADD s a b c", "SADD t b c d", "SINTERSTORE s s t", "SMEMBERS s",
            "SUNIONSTORE s s t", "SMEMBERS s", "SDIFFSTORE t s t", "EXISTS t", "SDIFFSTORE s none s", "EXISTS s"),
    case_of("types are judged before anything is changed", "SET k v", "SADD s a", "SADD d x", "SINTER none k",
            "SINTER k none", "SINTER s k", "SINTERSTORE d none k", "SINTERSTORE d s k", "SUNION none k",
            "SUNIONSTORE d s k", "SDIFF none k", "SDIFF s k", "SDIFFSTORE d none k", "SMEMBERS d",
            "SINTERCARD 2 none k", "SUNIONSTORE k s k", "GET k"),
    case_of("the intersection is counted", *SOURCES, "SINTERCARD 1 i", "SINTERCARD 2 i j", "SINTERCARD 2 i l LIMIT 1",
            "SINTERCARD 2 i l LIMIT 0", "SINTERCARD 2 i l limit 5", "SINTERCARD 2 big many", "SINTERCARD 2 big other",
            "SINTERCARD 2 big big LIMIT 150", "SINTERCARD 2 many many LIMIT 550", "SINTERCARD 1 none",
            "SINTERCARD 2 i none LIMIT 1", "SINTERCARD 3 i j l"),
    case_of("SINTERCARD's words", "SADD i 1", "SET k v", "SINTERCARD 0 i", "SINTERCARD a i", "SINTERCARD -1 i",
            "SINTERCARD 2 i", "SINTERCARD 1 i LIMIT", "SINTERCARD 1 i LIMIT -1", "SINTERCARD 1 i LIMIT a",
            "SINTERCARD 1 i LIMIT 1 LIMIT 2", "SINTERCARD 1 i FOO", "SINTERCARD 1 k LIMIT -1", "SINTERCARD 1 i i",
            "SINTERCARD 1 k", f"SINTERCARD {MAX + 1} i", "SINTERCARD 1 LIMIT", "SINTERCARD 2 k FOO i"),
)  # fmt: skip
def test_combinations(play: Play, case: Scenario) -> None:
    play(case)


@scenarios(
    case_of("SPOP of what is not there", "SPOP s", "SPOP s 3", "SPOP s 0", "SRANDMEMBER s", "SRANDMEMBER s 2",
            "SRANDMEMBER s -2"),
    case_of("SPOP of the last", "SADD s a", "SPOP s", "EXISTS s", "SADD s a", "SPOP s 1", "EXISTS s"),
    case_of("SPOP of all", "SADD s c b a", unordered("SPOP s 3"), "EXISTS s", "SADD s 2 1", unordered("SPOP s 100"),
            "EXISTS s", "SADD s 2 1", unordered(f"SPOP s {MAX}"), "SCARD s"),
    case_of("SPOP's words", "SADD s a b", "SPOP s -1", "SPOP s x", "SPOP s 1 2", "SPOP none -1", f"SPOP s {MAX + 1}",
            "SPOP s 0", "SCARD s", "SET k v", "SPOP k -1", "SPOP k x"),
    case_of("SRANDMEMBER's words", "SADD s a", "SRANDMEMBER s x", "SRANDMEMBER s 1 2", "SRANDMEMBER s 0",
            f"SRANDMEMBER s {MIN}", f"SRANDMEMBER s {MAX}", f"SRANDMEMBER s {MAX + 1}", "SET k v", "SRANDMEMBER k x",
            f"SRANDMEMBER k {MIN}", f"SRANDMEMBER none {MIN + 1}"),
    case_of("SRANDMEMBER of all and repeatedly", "SADD s a", "SRANDMEMBER s", "SRANDMEMBER s 1", "SRANDMEMBER s 5",
            "SRANDMEMBER s -3", "SADD s b", unordered("SRANDMEMBER s 2"), "SCARD s"),
    case_of("what is popped is gone for the commands behind", "SADD s a", "SPOP s", "SADD s b", "SPOP s", "SPOP s",
            "SADD s c d", "SREM s c", "SPOP s", "SPOP s", "EXISTS s"),
)  # fmt: skip
def test_chance(play: Play, case: Scenario) -> None:
    play(case)


@scenarios(
    case_of("a small set is given at once", "SADD s c b a 1", "SSCAN s 0", "SSCAN s 0 COUNT 1", "SSCAN s 7",
            "SSCAN s 0 MATCH [ab]", "SADD i 3 1 2", "SSCAN i 0 COUNT 1", "SSCAN i 5 MATCH 1*"),
    case_of("SSCAN's words", "SADD s a", "SSCAN s x", "SSCAN s -1", "SSCAN s 0 COUNT", "SSCAN s 0 COUNT 0",
            "SSCAN s 0 COUNT x", "SSCAN s 0 FOO", "SSCAN s 0 NOVALUES", "SSCAN s 0 MATCH", "SSCAN none 0 FOO",
            "SSCAN none x", "SET k v", "SSCAN k x", "SSCAN k 0 FOO"),
)  # fmt: skip
def test_sscan(play: Play, case: Scenario) -> None:
    play(case)


@pytest.fixture
def client(rowdis: Rowdis) -> Iterator[RawClient]:
    with rowdis.client(2) as client:
        client.call("FLUSHALL")
        yield client


def ask(client: RawClient, *words: str | int) -> object:
    reader = hiredis.Reader()
    reader.feed(client.call(*[str(word) for word in words]))
    return reader.gets()


def members(found: object) -> list[bytes]:
    assert isinstance(found, list)
    return found


def test_sscan_finds_all_of_a_large_set_page_by_page(client: RawClient) -> None:
    client.call("SADD", "s", *[f"m{number}" for number in range(1000)])
    cursor, found, calls = b"0", [], 0
    while True:
        reply = members(ask(client, "SSCAN", "s", cursor.decode(), "COUNT", 90))
        cursor = bytes(reply[0])
        found += members(reply[1])
        calls += 1
        if cursor == b"0":
            break
    assert calls > 10
    assert sorted(found) == sorted(b"m%d" % number for number in range(1000))


def chi_square(counts: dict[bytes, int], kinds: int) -> float:
    """How far counts are from equal, in standard deviations of the chi-square distribution with kinds-1 degrees."""
    expected = sum(counts.values()) / kinds
    square = sum((count - expected) ** 2 / expected for count in counts.values())
    square += (kinds - len(counts)) * expected
    return float((square - (kinds - 1)) / (2 * (kinds - 1)) ** 0.5)


@pytest.mark.parametrize(("size", "together"), [(3, 25), (40, 1), (64, 25)])
def test_each_member_of_a_small_set_is_popped_as_often_as_any_other(
    client: RawClient, size: int, together: int
) -> None:
    """Some pops of a batch at once, and one by one: members are found in other ways."""
    names = [f"m{number}" for number in range(size)]
    rounds = 25 * size
    commands = [line for _ in range(rounds) for line in (("SADD", "s", *names), ("SPOP", "s"))]
    first: Counter[bytes] = Counter()
    for start in range(0, len(commands), 2 * together):
        first.update(client.pipeline(commands[start : start + 2 * together])[1::2])
    assert chi_square(first, size) < 6


@pytest.mark.parametrize(
    "line", [("SRANDMEMBER", "s"), ("SRANDMEMBER", "s", "5"), ("SRANDMEMBER", "s", "-50")], ids=["one", "some", "often"]
)
@pytest.mark.parametrize("size", [10, 64, 1500])
def test_each_member_is_drawn_as_often_as_any_other(client: RawClient, size: int, line: tuple[str, ...]) -> None:
    client.call("SADD", "s", *[f"m{number}" for number in range(size)])
    drawn: Counter[bytes] = Counter()
    for _ in range(20):
        for reply in client.pipeline([line] * 50):
            reader = hiredis.Reader()
            reader.feed(reply)
            found = reader.gets()
            assert len(line) != 3 or line[2] != "5" or len(set(found)) == 5
            drawn.update(found if isinstance(found, list) else [found])
    # In a large set members are drawn from neighbours at a random place, so nearly as often only.
    groups: Counter[bytes] = Counter()
    for name, number in drawn.items():
        groups[b"%d" % (int(name[1:]) % 10)] += number
    assert chi_square(drawn if size <= 64 else groups, min(size, 64) if size <= 64 else 10) < 6


@pytest.mark.parametrize("together", [1, 3, 50])
@pytest.mark.parametrize("size", [1, 63, 64, 65, 130, 700])
def test_all_members_are_popped_once(client: RawClient, size: int, together: int) -> None:
    names = [f"m{number}" for number in range(size)]
    client.call("SADD", "s", *names)
    popped: list[bytes] = []
    while len(popped) < size:
        replies = client.pipeline([("SPOP", "s")] * together)
        popped += [reply.split(b"\r\n")[1] for reply in replies if reply != b"$-1\r\n"]
    assert sorted(popped) == sorted(name.encode() for name in names)
    assert ask(client, "EXISTS", "s") == 0


def test_pops_among_other_changes_give_only_what_is_there(client: RawClient) -> None:
    """A large set, from which members go by name and into which others come while its window is drawn from."""
    there = {b"m%d" % number for number in range(300)}
    client.call("SADD", "s", *there)
    for turn in range(30):
        gone, new = b"m%d" % (turn * 7), b"n%d" % turn
        replies = client.pipeline([("SPOP", "s"), ("SREM", "s", gone), ("SADD", "s", new), *[("SPOP", "s")] * 8])
        popped = [reply.split(b"\r\n")[1] for reply in (replies[0], *replies[3:])]
        assert popped[0] in there
        there.remove(popped[0])
        assert (replies[1] == b":1\r\n") == (gone in there)
        there.discard(gone)
        there.add(new)
        assert there.issuperset(popped[1:])
        assert len(set(popped)) == len(popped)
        there.difference_update(popped)
        assert ask(client, "SCARD", "s") == len(there)
    assert sorted(members(ask(client, "SMEMBERS", "s"))) == sorted(there)


@pytest.mark.parametrize("count", [1, 100, 1300, 2400, 2999])
def test_many_are_popped_at_once(client: RawClient, count: int) -> None:
    names = [f"m{number}" for number in range(3000)]
    client.call("SADD", "s", *names)
    popped = members(ask(client, "SPOP", "s", count))
    assert len(set(popped)) == count
    assert ask(client, "SCARD", "s") == 3000 - count
    left = members(ask(client, "SMEMBERS", "s"))
    assert sorted([*popped, *left]) == sorted(name.encode() for name in names)
    assert ask(client, "SADD", "s", "new", names[0]) == 1 + (names[0].encode() in popped)


def test_what_spop_leaves_is_kept_in_one_piece_again(client: RawClient) -> None:
    client.call("SADD", "s", *[f"m{number}" for number in range(200)])
    client.call("SPOP", "s", "190")
    assert ask(client, "SSCAN", "s", 0, "COUNT", 1) == [b"0", ask(client, "SMEMBERS", "s")]
