"""What commands remember from one try of their unit to the next."""

from storage.deeds import Deeds


def test_a_command_finds_its_record_in_the_next_try() -> None:
    deeds = Deeds()
    first, second = deeds.record([b"MIGRATE", b"a"], dict), deeds.record([b"MIGRATE", b"b"], dict)
    deeds.start_over()
    assert deeds.record([b"MIGRATE", b"a"], dict) is first
    assert deeds.record([b"MIGRATE", b"b"], dict) is second
    assert deeds.record([b"MIGRATE", b"b"], dict) is not second


def test_a_try_that_takes_another_way_finds_what_it_has_in_common() -> None:
    deeds = Deeds()
    for name in (b"a", b"b", b"c"):
        deeds.record([name], lambda name=name: [name])
    deeds.start_over()
    assert deeds.record([b"new"], list) == []
    assert deeds.record([b"b"], list) == [b"b"]
    deeds.start_over()
    assert [deeds.record([name], list) for name in (b"new", b"a")] == [[], [b"a"]]
