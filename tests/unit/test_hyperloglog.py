"""The format and the arithmetic of HyperLogLogs, without a server. Bytes that stand here came from redis-server."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage import hyperloglog
from storage.cardinality import MAX_RANK, REGISTERS, estimate, histogram, place_of, union
from storage.hyperloglog import DENSE_SIZE, MAX_SIZE, HyperLogLog, NotAHyperLogLog
from storage.hyperloglog_sparse import Damaged, Opcodes
from tests.differential.hyperloglog import NOTHING, STALE, element_of, value

LIMIT = 3000
places = st.tuples(
    st.one_of(st.integers(0, 9), st.integers(60, 70), st.integers(16376, 16383), st.integers(0, 16383)),
    st.one_of(st.integers(1, 3), st.integers(1, 32)),
)
# 16384 draws are too many for Hypothesis itself.
generators = st.integers(0, 10**9).map(random.Random)


def dense_of(registers: list[int]) -> bytes:
    return sum(register << 6 * place for place, register in enumerate(registers)).to_bytes(12288, "little")


@pytest.mark.parametrize(
    ("elements", "body"),
    [
        ([], b"\x7f\xff"),
        ([b"a"], b"q\xa6\x84NW"),
        ([b"a", b"b"], b"q\xa6\x84K\xfb\x80BZ"),
        ([b"a", b"b", b""], b"W1\x84Zs\x84K\xfb\x80BZ"),
    ],
)
def test_values_are_those_of_redis(elements: list[bytes], body: bytes) -> None:
    sketch = HyperLogLog()
    assert sketch.add(elements, LIMIT) == bool(elements)
    assert sketch.pack() == value(1, body)
    assert sketch.count() == len(elements)
    assert not sketch.add(elements, LIMIT)


@given(st.integers(0, REGISTERS - 1), st.integers(1, MAX_RANK))
def test_an_element_can_be_made_for_any_register_and_rank(register: int, rank: int) -> None:
    assert place_of(element_of(register, rank)) == (register, rank)


@pytest.mark.parametrize("element", [b"", b"1234567", b"12345678", b"123456789", b"\xff" * 1_000_000])
def test_places_are_in_range(element: bytes) -> None:
    register, rank = place_of(element)
    assert 0 <= register < REGISTERS
    assert 1 <= rank <= MAX_RANK


@given(st.lists(places, max_size=60))
def test_sparse_registers_hold_what_was_put(puts: list[tuple[int, int]]) -> None:
    opcodes, expected = Opcodes(NOTHING), [0] * REGISTERS
    for register, rank in puts:
        assert opcodes.get(register) == expected[register]
        if rank > expected[register]:
            assert opcodes.put(register, rank, MAX_SIZE)
            expected[register] = rank
        # An index made anew tells the same as the one that went along with the changes.
        assert Opcodes(bytes(opcodes.data)).get(register) == opcodes.get(register) == expected[register]
    assert opcodes.registers() == bytes(expected)
    assert opcodes.histogram() == histogram(bytes(expected))


@given(st.lists(places, max_size=60), st.integers(0, 40))
def test_sparse_registers_keep_to_their_room(puts: list[tuple[int, int]], room: int) -> None:
    opcodes = Opcodes(NOTHING)
    for register, rank in puts:
        before = bytes(opcodes.data)
        if rank > opcodes.get(register) and not opcodes.put(register, rank, room):
            assert opcodes.data == before
        assert len(opcodes.data) <= max(room, len(NOTHING))


@given(st.lists(st.tuples(st.integers(0, REGISTERS - 1), st.integers(1, MAX_RANK)), max_size=60))
def test_sparse_and_dense_values_are_one(puts: list[tuple[int, int]]) -> None:
    elements = [element_of(register, rank) for register, rank in puts]
    either, dense = HyperLogLog(), HyperLogLog()
    assert dense.make_dense()
    assert not dense.make_dense()
    assert [either.add([element], LIMIT) for element in elements] == [dense.add([element], 0) for element in elements]
    assert either.dense == any(rank > 32 for _, rank in puts)
    assert either.registers() == dense.registers()
    assert either.count() == dense.count()
    either.make_dense()
    assert either.pack()[16:] == dense.pack()[16:]


@given(generators, st.integers(0, 63))
def test_dense_registers_have_six_bits_each(rng: random.Random, highest: int) -> None:
    registers = [rng.randint(0, highest) for _ in range(REGISTERS)]
    sketch = HyperLogLog(value(0, dense_of(registers)))
    assert sketch.registers() == bytes(registers)
    again = HyperLogLog()
    again.take(bytes(registers), LIMIT, dense=True)
    assert again.pack() == sketch.pack()


@pytest.mark.parametrize("register", [0, 1, 2, 3, 4, 8191, 16380, 16381, 16382, 16383])
def test_adding_to_a_dense_value_touches_one_register(register: int) -> None:
    rng = random.Random(register)
    registers = [rng.randint(0, 20) for _ in range(REGISTERS)]
    sketch = HyperLogLog(value(0, dense_of(registers)))
    assert sketch.add([element_of(register, 21)], LIMIT)
    registers[register] = 21
    assert sketch.pack() == value(0, dense_of(registers))


@given(generators)
def test_union_takes_the_greater_of_each_two(rng: random.Random) -> None:
    one, other = (bytes(rng.choices(range(64), k=REGISTERS)) for _ in range(2))
    assert union(one, other) == bytes(map(max, one, other))


@given(generators, st.integers(0, 63))
def test_histogram_counts_every_register(rng: random.Random, highest: int) -> None:
    registers = bytes(rng.choices(range(highest + 1), k=REGISTERS))
    counts = Counter(registers)
    assert histogram(registers) == [counts[register] for register in range(64)]


@pytest.mark.parametrize(("register", "count"), [(0, 0), (1, 23637), (50, -(2**63)), (51, -(2**63)), (63, -(2**63))])
def test_estimate_of_equal_registers(register: int, count: int) -> None:
    """With 50 and more the number is beyond 64 bits: Redis tells what its processor makes of that."""
    assert estimate(histogram(bytes((register,)) * REGISTERS)) == count


@pytest.mark.parametrize("size", [10, 1000, 20_000])
def test_estimates_are_near(size: int) -> None:
    sketch = HyperLogLog()
    sketch.add((b"element %d" % number for number in range(size)), LIMIT)
    assert abs(sketch.count() - size) <= 0.03 * size
    assert sketch.dense == (size > 2000)


def test_a_value_becomes_dense_when_it_gets_too_long() -> None:
    sketch, limit = HyperLogLog(), 100
    sizes = []
    for number in range(60):
        sketch.add([b"%d" % number], limit)
        sizes.append(len(sketch.pack()))
    assert max(size for size in sizes if size != DENSE_SIZE) <= limit
    assert sizes[-1] == DENSE_SIZE
    assert sorted(sizes) == sizes


def test_the_header_tells_a_count_until_registers_change() -> None:
    sketch = HyperLogLog(value(1, b"q\xa6\x84NW", b"\x01" + bytes(7)))
    assert sketch.counted == 1
    assert not sketch.add([b"a"], LIMIT)
    assert sketch.counted == 1
    assert sketch.add([b"b"], LIMIT)
    assert sketch.counted is None
    # What was counted stays there, marked as stale.
    assert sketch.pack()[8:16] == b"\x01" + bytes(6) + b"\x80"
    assert HyperLogLog().counted is None


def test_the_encoding_is_changed_without_touching_the_count() -> None:
    sketch = HyperLogLog(b"HYLL\x01abc" + b"\x01" + bytes(7) + b"q\xa6\x84NW")
    sketch.make_dense()
    assert sketch.pack()[:16] == b"HYLL\x00abc\x01" + bytes(7)


@pytest.mark.parametrize(
    "text",
    [
        b"", b"HYLL", b"HYLL\x01" + bytes(10), b"hyll" + value(1, NOTHING)[4:], value(2, NOTHING),
        value(0, bytes(12287)), value(0, bytes(12289)), value(0, bytes(MAX_SIZE)), value(0, NOTHING),
    ],
)  # fmt: skip
def test_other_strings_are_refused(text: bytes) -> None:
    with pytest.raises(NotAHyperLogLog):
        HyperLogLog(text)


@pytest.mark.parametrize(
    "body",
    [b"", b"\x7f", b"\x7f\xfe", b"\x7f\xff\x00", b"\x7f\xff\x80", b"\x7f\xff\x40", b"\x3f" * 255 + b"\x40",
     b"\x80" * 16383, b"\x40\x00" * 16384 + b"\x40", b"\x00" * MAX_SIZE, NOTHING * 16384],
)  # fmt: skip
def test_damage_is_noticed_by_who_needs_all_registers(body: bytes) -> None:
    text = value(1, body)
    for use in (HyperLogLog.count, HyperLogLog.registers, HyperLogLog.make_dense):
        sketch = HyperLogLog(text)
        with pytest.raises(Damaged):
            use(sketch)
        assert sketch.pack() == text


def test_damage_is_noticed_by_who_adds_where_no_register_is() -> None:
    sketch = HyperLogLog(value(1, b"\x00"))
    assert sketch.add([element_of(0, 1)], LIMIT)
    with pytest.raises(Damaged):
        sketch.add([element_of(1, 1)], LIMIT)
    with pytest.raises(Damaged):
        HyperLogLog(value(1, b"\x7f")).add([element_of(16383, 1)], LIMIT)


def test_opcodes_in_words() -> None:
    assert HyperLogLog(value(1, b"\x00\x3f\x40\x00\x7f\xff\x80\xff\xfc\x41")).opcodes() == (
        b"z:1 z:64 Z:1 Z:16384 v:1,1 v:32,4 v:32,1 Z:257"
    )
    assert HyperLogLog(value(1, b"")).opcodes() == b""
    assert HyperLogLog(value(0, bytes(12288))).opcodes() is None


def test_the_self_test_passes_and_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    hyperloglog.self_test()
    monkeypatch.setattr(hyperloglog, "place_of", lambda element: (0, 1))
    with pytest.raises(hyperloglog.SelfTestFailed):
        hyperloglog.self_test()


def test_stale_header_of_the_tests_is_that_of_a_new_value() -> None:
    assert HyperLogLog().pack() == value(1, NOTHING, STALE)
