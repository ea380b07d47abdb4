"""Times of polls, as the visitor's own clocks show them, and when they have passed."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from polls import results, watching
from polls.models import Ballot, Poll
from polls.tests.factories import PollFactory

IN_TOKYO = {"timezone_id": "Asia/Tokyo", "locale": "en-US"}
in_tokyo = pytest.mark.parametrize("browser_context_args", [IN_TOKYO], indirect=True)
END = datetime(2126, 12, 3, 20, 36, 50, 746868, tzinfo=UTC)


@pytest.fixture
def poll(db):
    return PollFactory(time_zone="Europe/Berlin", results_for="everyone", closes_at=END)


def share(poll):
    return f"/p/{poll.slug}/"


@in_tokyo
@pytest.mark.parametrize("where", ["/polls/", "share", "results", "integrity"])
def test_times_are_told_by_the_visitors_clocks_too(page, poll, where):
    addresses = {"/polls/": where, "share": share(poll)}
    page.goto(addresses.get(where) or poll.url(where))
    expect(page.locator("[data-zone] time").first).to_have_text(
        "3 December 2126, 21:36 (Europe/Berlin) (Dec 4, 2126, 05:36 your time)"
    )


@in_tokyo
def test_on_the_same_day_the_hour_is_enough(page, poll):
    Poll.objects.update(time_zone="Asia/Kolkata", closes_at=END - timedelta(hours=12))
    page.goto(share(poll))
    expect(page.locator("[data-zone] time").first).to_have_text(
        "3 December 2126, 14:06 (Asia/Kolkata) (17:36 your time)"
    )


@in_tokyo
@pytest.mark.parametrize("zone", ["Asia/Tokyo", "Asia/Seoul"])
def test_the_same_clocks_are_not_told_twice(page, poll, zone):
    Poll.objects.update(time_zone=zone)
    page.goto(share(poll))
    expect(page.locator("[data-zone] time").first).to_have_text(f"4 December 2126, 05:36 ({zone})")


@in_tokyo
def test_the_turnout_is_told_by_the_visitors_clocks_too(page, poll):
    Ballot.objects.cast(poll, "+12025550123", [poll.choices.first().pk])
    Ballot.objects.update(cast_at="2026-03-04T23:10:00Z")
    page.goto(poll.url("results"))
    page.get_by_text("Turn-out as a table").click()
    expect(page.locator("td").first).to_have_text("5 Mar 2026, 00:00 (08:00 your time)")
    expect(page.locator("#turnout-most")).to_contain_text("(Europe/Berlin) (08:00 your time).")


@pytest.mark.parametrize(
    ("field", "before", "after"),
    [
        ("closes_at", "Open until", "It has closed meanwhile."),
        ("opens_at", "Opens", "It has opened meanwhile."),
    ],
)
@pytest.mark.parametrize("where", ["/polls/", "integrity"])
def test_the_line_changes_at_the_moment_it_names(page, poll, field, before, after, where):
    moment = timezone.now() + timedelta(seconds=4)
    Poll.objects.update(**{"closes_at": None, field: moment})
    address = "/polls/" if where == "/polls/" else poll.url(where)
    if (where, field) == ("/polls/", "opens_at"):
        address += "?show=upcoming"
    page.goto(address)
    line = page.locator("p").filter(has_text=before).first
    expect(line).to_be_visible()
    expect(page.get_by_text(after)).to_be_hidden()
    expect(page.get_by_text(after)).to_be_visible()
    assert timezone.now() >= moment
    expect(line).to_be_hidden()
    page.get_by_role("link", name="Reload the page").first.click()
    expect(page.get_by_text(after)).to_have_count(0)


@pytest.mark.parametrize("hours", [-5, 5])
def test_a_wrong_clock_of_the_visitor_changes_no_line(page, poll, hours):
    Poll.objects.update(closes_at=timezone.now() + timedelta(hours=1))
    page.clock.install(time=timezone.now() + timedelta(hours=hours))
    page.goto(share(poll))
    page.clock.run_for(10_000)
    expect(page.get_by_text("Open until")).to_be_visible()
    page.clock.run_for(3600_000)
    expect(page.get_by_text("Open until")).to_be_hidden()
    expect(page.get_by_text("Closed", exact=False).first).to_be_visible()


@pytest.fixture
def watched(page, poll, monkeypatch):
    monkeypatch.setattr(results, "ASK_EVERY", 0.1)
    monkeypatch.setattr(watching, "ANEW", 0)
    page.goto(poll.url("results"))
    return page


def test_results_tell_of_an_end_that_came_early(watched, poll):
    expect(watched.get_by_text("Open until")).to_be_visible()
    Poll.objects.update(closes_at="2026-11-03T20:36:50.5Z")
    expect(watched.get_by_text("Open until")).to_be_hidden()
    line = watched.locator("[data-zone]").filter(has_text="It has closed meanwhile.")
    expect(line).to_be_visible()
    expect(line).to_contain_text("Closed November 3, 2026 at 21:36 (Europe/Berlin)")
    expect(line.locator("time")).to_have_attribute("datetime", "2026-11-03T20:36:50+00:00")


def test_results_tell_of_an_end_that_was_moved(watched, poll):
    Poll.objects.update(closes_at=END + timedelta(days=1))
    expect(watched.get_by_text("Open until December 4, 2126 at 21:36")).to_be_visible()


@pytest.mark.parametrize("browser_context_args", [{"java_script_enabled": False}], indirect=True)
def test_without_a_script_the_line_says_what_was_true(page, poll):
    page.goto(share(poll))
    expect(page.get_by_text("Open until 3 December 2126, 21:36 (Europe/Berlin)")).to_be_visible()
    expect(page.get_by_text("meanwhile")).to_be_hidden()
