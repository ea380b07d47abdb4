"""Whatever is typed as a moment is read as the clocks of a poll show it, or refused in words."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError
from hypothesis import example, given
from hypothesis import strategies as st

from polls.clocks import FIRST_YEAR, LAST_YEAR
from polls.fields import MomentField

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"]
zones = st.sampled_from(ZONES)
# Pieces of which people and programs make moments.
PIECES = ["2026", "-", "11", "29", "T", " ", "18", ":", "00", "24", "Z", "+01:00", "٣", "\0", "e"]
typed = st.text(max_size=60) | st.lists(st.sampled_from(PIECES), max_size=12).map("".join)
moments = st.datetimes(datetime(1900, 1, 1), datetime(2300, 1, 1)).map(
    lambda at: at.replace(second=0, microsecond=0)
)


def field(zone):
    made = MomentField(required=False)
    made.zone = ZoneInfo(zone)
    return made


@given(typed, zones)
@example("2026-03-29T02:30", "Europe/Berlin")
@example("9999-12-31T23:59", "America/New_York")
def test_any_text_is_a_moment_nothing_or_refused_in_words(text, zone):
    at, messages = cleaned(field(zone), text)
    assert all(message.strip() for message in messages)
    if at is None:
        assert messages or not text.strip()
    else:
        assert FIRST_YEAR <= at.astimezone(ZoneInfo(zone)).year <= LAST_YEAR


def cleaned(moment_field, text) -> tuple[datetime | None, list[str]]:
    """Return the moment that a text is read as, and the sentences with which it is refused."""
    try:
        return moment_field.clean(text), []
    except ValidationError as error:
        return None, [str(message) for message in error.messages]


@given(moments, zones, st.sampled_from(["%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"]))
def test_what_clocks_show_is_read_back(shown, zone, written):
    at = shown.replace(tzinfo=ZoneInfo(zone))
    is_skipped = at.astimezone(UTC).astimezone(at.tzinfo).replace(tzinfo=None) != shown
    is_twice = at.replace(fold=1).utcoffset() != at.utcoffset()
    read, messages = cleaned(field(zone), shown.strftime(written))
    if messages:
        assert is_skipped or is_twice or not FIRST_YEAR <= shown.year <= LAST_YEAR
    else:
        assert read == at
        assert field(zone).prepare_value(read) == f"{shown:%Y-%m-%dT%H:%M}"
