"""What the letters of `notify-keyspace-events` let units gather."""

import pytest

from server.notifications import Notifications
from server.settings import Settings
from storage.effects import EventClass, Wanted

_ALL = EventClass(~(EventClass.NEW | EventClass.KEY_MISS))


@pytest.mark.parametrize(
    ("letters", "wanted"),
    [
        ("", 0),
        ("A", 0),
        ("g$lmn", 0),
        ("KA", _ALL),
        ("EA", _ALL),
        ("KEg", EventClass.GENERIC),
        ("K$xe", EventClass.STRING | EventClass.EXPIRED | EventClass.EVICTED),
        ("Elshztd", EventClass.LIST | EventClass.SET | EventClass.HASH | EventClass.ZSET | EventClass.STREAM
         | EventClass.MODULE),
        ("Kmn", EventClass.NEW | EventClass.KEY_MISS),
        ("KEAmn", _ALL | EventClass.NEW | EventClass.KEY_MISS),
    ],
)  # fmt: skip
def test_units_gather_the_classes_that_are_wanted(letters: str, wanted: int) -> None:
    at_start, at_run_time = Wanted(), Wanted()
    settings = Settings()
    Notifications(None).follow(settings, at_run_time)  # type: ignore[arg-type]  # nothing is published here
    assert at_run_time.events == 0
    settings.set([("notify-keyspace-events", letters)])
    Notifications(None).follow(settings, at_start)  # type: ignore[arg-type]
    assert at_start.events == at_run_time.events == int(wanted)


def test_plain_sets_stay_blind_unless_an_event_depends_on_what_was_there() -> None:
    settings, wanted = Settings(), Wanted()
    Notifications(None).follow(settings, wanted)  # type: ignore[arg-type]
    looks = []
    for letters in ("", "Kg$lshzt", "KA", "Kx", "Kn", "Km", "nmx"):
        settings.set([("notify-keyspace-events", letters)])
        looks.append(wanted.looks)
    assert looks == [False, False, True, True, True, True, False]
