from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse

from polls.clocks import moment, read_clock, time_zones, zone_named
from polls.models import Poll

from .factories import PollFactory

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "words"),
    [
        ("UTC", "24 November 2026, 12:00 UTC"),
        ("Europe/Berlin", "24 November 2026, 13:00 (Europe/Berlin)"),
        ("Pacific/Auckland", "25 November 2026, 01:00 (Pacific/Auckland)"),
        ("Nowhere/Any_More", "24 November 2026, 12:00 UTC"),
        ("", "24 November 2026, 12:00 UTC"),
        ("../UTC", "24 November 2026, 12:00 UTC"),
    ],
)
def test_a_moment_is_told_as_the_clocks_of_the_zone_show_it(zone, words):
    assert moment(NOON, zone_named(zone)) == words


def test_clocks_are_read_in_summer_and_winter():
    summer, winter = datetime(2026, 7, 1, 12), datetime(2026, 12, 1, 12)
    assert read_clock(summer, BERLIN) == datetime(2026, 7, 1, 10, tzinfo=UTC)
    assert read_clock(winter, BERLIN) == datetime(2026, 12, 1, 11, tzinfo=UTC)


@pytest.mark.parametrize(
    ("shown", "sentence"),
    [
        (datetime(2026, 3, 29, 2, 0), "skip 02:00"),
        (datetime(2026, 3, 29, 2, 59), "skip 02:59"),
        (datetime(2026, 10, 25, 2, 0), "show 02:00 twice"),
        (datetime(2026, 10, 25, 2, 59), "show 02:59 twice"),
        (datetime(1969, 12, 31, 23, 59), "Choose a year from 1970 to 2199."),
        (datetime(2200, 1, 1), "Choose a year from 1970 to 2199."),
    ],
)
def test_clocks_that_show_no_moment_or_two_are_said(shown, sentence):
    with pytest.raises(ValidationError, match=sentence):
        read_clock(shown, BERLIN)


@pytest.mark.parametrize(
    "shown",
    [
        datetime(2026, 3, 29, 1, 59),
        datetime(2026, 3, 29, 3, 0),
        datetime(2026, 10, 25, 1, 59),
        datetime(2026, 10, 25, 3, 0),
    ],
)
def test_the_hours_around_are_as_any_other(shown):
    assert read_clock(shown, BERLIN).astimezone(BERLIN).replace(tzinfo=None) == shown


def test_utc_comes_first_among_the_time_zones():
    assert time_zones()[0] == "UTC"
    assert {"Europe/Berlin", "America/New_York", "Asia/Kolkata"} < set(time_zones())
    assert max(map(len, time_zones())) <= Poll._meta.get_field("time_zone").max_length


@pytest.mark.django_db
def test_pages_tell_times_as_the_polls_own_clocks_show_them(client):
    PollFactory(closes_at=datetime(2126, 11, 24, 17, tzinfo=UTC), time_zone="Europe/Berlin")
    text = client.get(reverse("polls:list")).text
    assert "Open until" in text
    assert ">24 November 2126, 18:00 (Europe/Berlin)</time>" in text
    assert 'datetime="2126-11-24T17:00:00+00:00"' in text


@pytest.mark.django_db
def test_a_late_vote_is_told_so_too(verified):
    closed = datetime(2026, 1, 2, 17, tzinfo=UTC)
    poll = PollFactory(closes_at=closed, time_zone="Europe/Berlin")
    vote = reverse("polls:vote", args=[poll.pk])
    response = verified.post(vote, {"choice": poll.choices.first().pk})
    assert response.status_code == 409
    assert "Voting closed at 2 January 2026, 18:00 (Europe/Berlin)." in response.text
