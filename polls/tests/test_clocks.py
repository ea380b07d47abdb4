import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse
from django.utils import timezone

from polls.clocks import moment, read_clock, time_zones, zone_named
from polls.models import Ballot, Poll
from polls.receipts import receipt_for

from .factories import PollFactory

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "words"),
    [
        ("UTC", "24 November 2026, 12:00 UTC"),
        ("Europe/Berlin", "24 November 2026, 13:00 (Europe/Berlin)"),
        ("Asia/Kathmandu", "24 November 2026, 17:45 (Asia/Kathmandu)"),
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


# What HTML takes for a global date and time.
VALID = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,3})?)?(Z|[+-]\d\d:\d\d)")


@pytest.mark.django_db
@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
@pytest.mark.parametrize("field", ["opens_at", "closes_at", "ended"])
def test_every_page_tells_moments_as_html_takes_them_on_the_polls_clocks(
    verified, user, two_factor, field, zone
):
    moment = timezone.now().replace(microsecond=746868)
    poll = PollFactory(author=user, time_zone=zone, opens_at=moment - timedelta(days=3))
    ballot = Ballot.objects.cast(poll, str(two_factor.number), [poll.choices.first().pk])
    poll.close()
    poll.reopen(moment + timedelta(days=1), "Closed too early.")
    times = {
        "opens_at": {"opens_at": moment + timedelta(days=1), "closes_at": None},
        "closes_at": {"closes_at": moment + timedelta(days=1)},
        "ended": {"closes_at": moment - timedelta(days=1)},
    }
    Poll.objects.update(**times[field])
    kind = {"opens_at": "upcoming", "closes_at": "open", "ended": "closed"}[field]
    share = reverse("share", args=[poll.slug])
    pages = [f"/polls/?show={kind}", f"/polls/mine/?show={kind}", share, f"{share}print/"]
    pages += [poll.url(name) for name in ["ballot", "results", "integrity"]]
    pages += [reverse("account"), reverse("receipt", args=[receipt_for(ballot)])]
    for page in pages:
        text = verified.get(page).text
        moments = re.findall(r"<time datetime=\"(.*?)\">(.*?)</time>", text)
        assert moments, page
        for written, shown in moments:
            assert VALID.fullmatch(written)
            at = datetime.fromisoformat(written)
            assert f"{at.astimezone(ZoneInfo(zone)):%H:%M}" in shown
        # What is told of the account alone is in UTC and says so.
        of_polls = text.partition("What happened lately")[0]
        assert "UTC" not in of_polls or zone == "UTC", page
