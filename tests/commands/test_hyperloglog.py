"""HyperLogLogs, compared with redis-server: replies, and values byte for byte."""

from tests.commands.conftest import Play
from tests.commands.scenarios import Scenario, Step, becomes, deviates, near, scenario, scenarios
from tests.differential.hyperloglog import NOTHING, STALE, element_of, value
from tests.services.raw_client import RawClient

PFADD, SET = "PFADD", "SET"
DENSE = value(0, b"\x41\x10\x04" * 4096)
SEVEN = b"\x07" + bytes(7)


def numbers(start: int, count: int) -> tuple[bytes, ...]:
    return tuple(b"%d" % number for number in range(start, start + count))


def runs(*places: tuple[int, int]) -> list[tuple[str | bytes, ...] | str]:
    """Elements for registers and ranks one after the other, each followed by a look at the value."""
    return [step for place in places for step in ((PFADD, "a", element_of(*place)), "GET a", "PFDEBUG DECODE a")]


@scenarios(
    scenario("a first PFADD makes a key", "PFADD a", "GET a", "TYPE a", "PFADD a", "PFADD b x", "GET b", "EXISTS a b",
             "PFCOUNT a a", "PFCOUNT a b"),
    scenario("it tells whether something changed", "PFADD a x y z", "PFADD a x y z", "PFADD a x", "PFADD a x w",
             "GET a", "PFADD a", "GET a"),
    scenario("elements are any bytes", 'PFADD a ""', "GET a", r'PFADD a "\x00" "\r\n" "\xff\xfe"', "GET a",
             (PFADD, "a", b"x" * 7), (PFADD, "a", b"x" * 8), (PFADD, "a", b"x" * 9), (PFADD, "a", b"\xff" * 100_001),
             "GET a", "PFADD a 12345678 1234567 123456789 12345678901234567", "GET a", r'PFADD "\x00k" v',
             r'GET "\x00k"'),
    scenario("PFCOUNT of one", "PFCOUNT a", "PFADD a", "PFCOUNT a", "PFADD a 1 2 3 4 5", "PFCOUNT a", "PFCOUNT a",
             "PFADD a 6 7 8 8 9 10", "PFCOUNT a", "PFADD a 1", "PFCOUNT a"),
    scenario("PFCOUNT of several", "PFADD a foo bar zap", "PFADD b bar baz", "PFADD c x", "PFCOUNT a b",
             "PFCOUNT a b c", "PFCOUNT a a a", "PFCOUNT no a", "PFCOUNT no nono", "PFCOUNT b no c", "GET a",
             "EXISTS no"),
    scenario("PFCOUNT believes the header of a value from elsewhere", (SET, "a", value(1, NOTHING, SEVEN)), "PFCOUNT a",
             "PFCOUNT a a", "PFCOUNT a no", "PFADD a x", "PFCOUNT a", (SET, "b", value(1, b"\x7f", SEVEN)), "PFCOUNT b",
             (SET, "c", value(0, bytes(12288), b"\xff" * 7 + b"\x7f")), "PFCOUNT c", "PFCOUNT c c"),
    scenario("the header keeps what was counted and marks it", (SET, "a", value(1, NOTHING, SEVEN)), "PFADD a x",
             "GET a", (SET, "a", value(0, bytes(12288), SEVEN)), "PFADD a x", "GET a", "PFADD a x", "GET a",
             (SET, "a", b"HYLL\x01abc" + SEVEN + NOTHING), "PFADD a x", "GET a", "PFMERGE a", "GET a",
             "PFMERGE b a", "GET b"),
    scenario("the number of words is checked", "PFADD", "PFCOUNT", "PFMERGE", "PFDEBUG", "PFDEBUG encoding",
             "PFDEBUG encoding a b", "PFSELFTEST a"),
    scenario("the time to live stays", "PFADD a 1", "EXPIRE a 100", "PFADD a 2", near("TTL a"), "PFMERGE a",
             near("TTL a"), "PFMERGE a b", near("TTL a"), "PFDEBUG TODENSE a", near("TTL a"), "PFMERGE c a", "TTL c"),
    scenario("an expired one is none", "PFADD a 1 2 3", "PEXPIRE a 20", becomes("EXISTS a", b":0\r\n"), "PFCOUNT a",
             "PFCOUNT a a", "PFADD b 9", "PFMERGE b a", "GET b", "PFDEBUG encoding a", "PFADD a 4", "TTL a",
             "PFCOUNT a b"),
    scenario("in a transaction", "MULTI", "PFADD a 1 2", "PFADD b 2 3", "PFCOUNT a b", "PFMERGE c a b", "GET c",
             "PFADD a 1", "PFCOUNT c", "EXEC", "PFCOUNT a"),
)  # fmt: skip
def test_pfadd_and_pfcount(play: Play, case: Scenario) -> None:
    play(case)


@scenarios(
    scenario("runs are split", "PFADD a", *runs((0, 1), (16383, 1), (100, 5), (8000, 32), (8001, 31))),
    scenario("runs are joined", "PFADD a", *runs(
        (10, 2), (12, 2), (11, 2), (13, 2), (14, 2), (9, 2), (11, 3), (10, 3))),
    scenario("registers of a run are raised", "PFADD a", *runs(
        (4, 1), (5, 1), (6, 1), (7, 1), (4, 2), (7, 2), (5, 3), (6, 3), (5, 2), (7, 32), (4, 32), (5, 32), (6, 32))),
    scenario("short runs of zeros", "PFADD a", *runs(
        *((n, 1) for n in range(0, 10, 2)), *((n, 1) for n in range(1, 10, 2)))),
    scenario("long and short runs of zeros", "PFADD a", *runs(
        (64, 1), (65, 1), (130, 1), (195, 7), (63, 7), (0, 7), (1, 7))),
    scenario("a rank over 32 makes it dense", "PFADD a x", (PFADD, "a", element_of(7, 32)), "PFDEBUG ENCODING a",
             (PFADD, "a", element_of(7, 33)), "PFDEBUG ENCODING a", "GET a", (PFADD, "a", element_of(16383, 51)),
             (PFADD, "a", element_of(0, 50)), "GET a", "PFCOUNT a a", (PFADD, "b", element_of(16383, 51)), "GET b"),
    scenario("other ways to write the same", (SET, "a", value(1, b"\x40\x00" * 16384)), "PFCOUNT a a", "PFADD a x",
             "GET a", "PFADD a y z", "GET a", (SET, "a", value(1, b"\x80" * 16384)), "PFCOUNT a a",
             (PFADD, "a", element_of(0, 2)), "PFDEBUG DECODE a", "PFDEBUG TODENSE a", "GET a",
             (SET, "a", value(1, b"\x00" * 16384)), (PFADD, "a", element_of(5, 2), element_of(6, 2)), "GET a"),
    scenario("3000 bytes make it dense", *((PFADD, "a", *numbers(start, 100)) for start in range(0, 2500, 100)),
             "PFDEBUG ENCODING a", "STRLEN a", "GET a", (PFADD, "b", *numbers(0, 3000)), "GET b", "PFCOUNT a b"),
    *(
        scenario(f"hll-sparse-max-bytes {limit}", f"CONFIG SET hll-sparse-max-bytes {limit}", "PFADD a 1", "STRLEN a",
                 *((PFADD, "a", b"%d" % n) for n in range(2, 9)), "GET a", (PFADD, "a", *numbers(20, 1000)), "STRLEN a",
                 (PFADD, "b", *numbers(500, 3000)), "GET b", "PFMERGE c a", "GET c", "PFMERGE d a b", "STRLEN d",
                 "CONFIG SET hll-sparse-max-bytes 3000")
        for limit in (0, 17, 20, 21, 24, 31, 100, 5000, 12304, 16000, 40000)
    ),
    scenario("values of Redis, dense", (SET, "a", DENSE), "PFCOUNT a a", "PFADD a x", "GET a", (PFADD, "a",
             *numbers(0, 500)), "GET a", "PFMERGE b a", "GET b", (SET, "c", value(0, b"\xff" * 12288)), "PFADD c x",
             "PFCOUNT c c", "PFCOUNT c"),
)  # fmt: skip
def test_bytes_of_values(play: Play, case: Scenario) -> None:
    play(case)


@scenarios(
    scenario("into a new key", "PFADD a a b c", "PFADD b b c d", "PFADD c c d e", "PFMERGE m a b c", "PFCOUNT m a",
             "GET m", "PFMERGE n", "GET n", "PFMERGE o no", "GET o", "PFMERGE p no a", "GET p"),
    scenario("into one of them", "PFADD a a b c", "PFADD b b c d", "PFMERGE a b", "GET a", "PFMERGE b b b", "GET b",
             "PFMERGE a", "GET a", "PFMERGE a a b a", "GET a"),
    scenario("one dense makes it dense", "PFADD a a", "PFADD b b", "PFDEBUG TODENSE b", "PFMERGE m a b", "GET m",
             "PFMERGE a b", "GET a", "PFMERGE b n", "GET b", "PFCOUNT a m", "PFCOUNT a"),
    scenario("two sparse ones become dense when it gets too long", (PFADD, "a", *numbers(0, 900)),
             (PFADD, "b", *numbers(10_000, 900)), "PFDEBUG ENCODING a", "PFDEBUG ENCODING b", "PFMERGE m a b",
             "PFDEBUG ENCODING m", "GET m", "PFMERGE n b a", "GET n", "PFMERGE a b", "GET a", "PFCOUNT m n a"),
    scenario("into a value written another way", (SET, "a", value(1, b"\x40\x00" * 16384)), "PFADD b 1 2 3",
             "PFMERGE a b", "GET a", (SET, "a", value(1, b"\x00\x7f\xfe")), "PFMERGE a", "GET a", "PFMERGE a b",
             "GET a"),
    scenario("registers that no element gives", (SET, "a", value(0, b"\xff" * 12288)), "PFADD b x", "PFMERGE b a",
             "GET b", "PFCOUNT b b"),
)  # fmt: skip
def test_pfmerge(play: Play, case: Scenario) -> None:
    play(case)


WRONG = (b"x", b"", b"12", b"HYLL", value(2, NOTHING), value(255, NOTHING), b"hYLL" + value(1, NOTHING)[4:],
         value(0, bytes(12287)), value(0, bytes(12289)), value(0, NOTHING), value(0, bytes(70_000)),
         b"HYLL\x01" + bytes(10), b"x" * 100_000)  # fmt: skip
SHORT = (b"", b"\x7f", b"\x7f\xfe", b"\x3f" * 255)
LONG = (NOTHING + b"hello", NOTHING + NOTHING, b"\x00" * 16385, b"\x00" * 100_000, b"\x40\x00" * 16385,
        NOTHING * 16384)  # fmt: skip


@scenarios(
    *(
        scenario(f"another string, number {number}", (SET, "a", text), "PFADD a", "PFADD a x", "PFCOUNT a",
                 "PFCOUNT no a", "PFMERGE a", "PFMERGE no a", "PFDEBUG ENCODING a", "PFDEBUG no a", "GET a",
                 "EXISTS no")
        for number, text in enumerate(WRONG)
    ),
    scenario("keys of other types", "RPUSH a 1", "PFADD a", "PFADD a x", "PFCOUNT a", "PFCOUNT no a", "PFMERGE a",
             "PFMERGE no a", "PFDEBUG ENCODING a", "PFDEBUG no a", "PFADD b x", "PFCOUNT b a", "PFMERGE b a",
             "PFMERGE a b", "GET b", "EXISTS no", "LRANGE a 0 -1"),
    scenario("the first wrong key is told of", "RPUSH l 1", "SET s x", (SET, "d", value(1, b"")), "PFADD h x",
             "PFCOUNT l s d", "PFCOUNT s l d", "PFCOUNT d l s", "PFCOUNT h d s", "PFMERGE l s d", "PFMERGE h s l",
             "PFMERGE h d l", "PFMERGE no d", "PFMERGE d s", "PFMERGE d h", "EXISTS no", "GET h", "GET d"),
    *(
        scenario(f"registers that are missing, number {number}", (SET, "a", value(1, body)), "PFCOUNT a", "PFCOUNT a a",
                 "PFADD a", (PFADD, "a", element_of(16383, 1)), "PFMERGE a", "PFMERGE b a", "PFMERGE b no a",
                 "PFDEBUG TODENSE a", "PFDEBUG GETREG a", "PFDEBUG DECODE a", "PFDEBUG ENCODING a", "GET a", "EXISTS b",
                 (PFADD, "c", "x"), "PFMERGE c a", "GET c")
        for number, body in enumerate(SHORT)
    ),
    *(
        scenario(f"registers that are too many, number {number}", (SET, "a", value(1, body)), "PFCOUNT a",
                 "PFCOUNT a a", "PFADD a", "PFMERGE a", "PFMERGE b a", "PFDEBUG TODENSE a", "PFDEBUG GETREG a",
                 "PFDEBUG ENCODING a", "GET a", "EXISTS b")
        for number, body in enumerate(LONG)
    ),
    scenario("adding where a damaged value is sound", "PFADD a a b c", "APPEND a hello", "PFADD a a", "PFADD a x",
             "GET a", "PFDEBUG DECODE a", (SET, "b", value(1, b"\x3f" * 3)), (PFADD, "b", element_of(100, 2)), "GET b",
             (PFADD, "b", element_of(192, 2)), "GET b", "PFCOUNT b"),
    scenario("a damaged value can not become dense", (SET, "a", value(1, NOTHING + NOTHING)),
             (PFADD, "a", element_of(3, 40)), "GET a", "CONFIG SET hll-sparse-max-bytes 10",
             (PFADD, "a", element_of(3, 4)), "GET a", "CONFIG SET hll-sparse-max-bytes 3000"),
)  # fmt: skip
def test_errors(play: Play, case: Scenario) -> None:
    play(case)


@scenarios(
    scenario("of what is not there", "PFDEBUG ENCODING a", "PFDEBUG NOSUCH a", "EXISTS a"),
    scenario("encoding", "PFADD a x", "PFDEBUG ENCODING a", "pfdebug encoding a", "PFDEBUG TODENSE a",
             "PFDEBUG ENCODING a", "PFDEBUG TODENSE a"),
    scenario("to dense", (SET, "a", value(1, b"q\xa6\x84NW", SEVEN)), "PFDEBUG TODENSE a", "GET a", "PFCOUNT a"),
    scenario("registers, which makes it dense", "PFADD a x y z", "PFDEBUG GETREG a", "PFDEBUG ENCODING a", "GET a",
             "PFDEBUG GETREG a", (SET, "a", DENSE), "PFDEBUG getreg a"),
    scenario("opcodes", "PFADD a x y z", "PFDEBUG DECODE a", "PFDEBUG TODENSE a", "PFDEBUG DECODE a",
             (SET, "a", value(1, b"\x00\x3f\x80\xff\x40\x00\x41")), "PFDEBUG DECODE a", (SET, "a", value(1, b"")),
             "PFDEBUG DECODE a"),
    scenario("subcommands that are none", "PFADD a x", "PFDEBUG NOSUCH a", r'PFDEBUG "a\r\nb" a', r'PFDEBUG "a\x00b" a',
             'PFDEBUG "" a', ("PFDEBUG", "x" * 300, "a"), "PFDEBUG a a"),
    scenario("the self test", "PFSELFTEST", "pfselftest"),
)  # fmt: skip
def test_pfdebug_and_pfselftest(play: Play, case: Scenario) -> None:
    play(case)


def header(line: str, count: bytes, ours: bytes = STALE) -> tuple[str | Step, ...]:
    """A command, and then the header of `a`, in which Redis has noted a count and we have not."""
    return line, deviates("GETRANGE a 8 15", "hll-count", ours=b"$8\r\n" + ours), "GETRANGE a 16 -1"


@scenarios(
    scenario("PFCOUNT leaves the header as it is", "PFADD a x y", "GETRANGE a 8 15", *header("PFCOUNT a", b"\x02"),
             "PFADD a x", *header("PFCOUNT a", b"\x02"), "PFDEBUG TODENSE a", *header("PFCOUNT a", b"\x02")),
    scenario("so it breaks no WATCH", "PFADD a x", "WATCH a", "PFCOUNT a", "MULTI", "PING",
             deviates("EXEC", "hll-count", ours=b"*1\r\n+PONG\r\n")),
    scenario("PFADD with an error adds nothing", (SET, "a", value(1, b"\x00")),
             (PFADD, "a", element_of(0, 1), element_of(1, 1)),
             deviates("GET a", "hll-damaged", ours=b"$17\r\n" + value(1, b"\x00"))),
    scenario("half an opcode", (SET, "a", value(1, b"\x7f\xfe\x40")),
             deviates("PFCOUNT a", "hll-damaged", ours=b"-INVALIDOBJ Corrupted HLL object detected\r\n")),
)  # fmt: skip
def test_deviations(play: Play, case: Scenario) -> None:
    play(case)


def test_elements_of_a_pipeline_are_all_counted(client: RawClient) -> None:
    """A thousand PFADD to one dense value and one sparse value in one batch."""
    added = [("PFADD", name, element_of(n, 40)) for n in range(1000) for name in ("dense", "other")]
    assert client.pipeline([("DEL", "dense", "other"), *added])[1:] == [b":1\r\n"] * len(added)
    assert client.call("PFCOUNT", "dense") == client.call("PFCOUNT", "dense", "other")
    assert client.pipeline(added) == [b":0\r\n"] * len(added)
    assert client.call("PFDEBUG", "GETREG", "dense") == b"*16384\r\n" + b":40\r\n" * 1000 + b":0\r\n" * 15384
