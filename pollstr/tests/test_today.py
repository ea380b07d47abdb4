"""The owner's page: the last 24 hours of the whole site."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from conftest import verify
from polls.models import Ballot, Figure, Report
from polls.tests.factories import PollFactory
from pollstr.today import limits_told
from two_factor.history import Event
from two_factor.models import DAY, HOUR, Limit
from two_factor.tests.factories import TwoFactorFactory

pytestmark = pytest.mark.django_db
URL = reverse("admin:today")
NOW = datetime(2026, 6, 1, 12, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def noon(time_machine):
    time_machine.move_to(NOW, tick=False)


@pytest.fixture
def owner(client, two_factor):
    """A browser of staff, whose phone is proven in it."""
    two_factor.user.is_staff = two_factor.user.is_superuser = True
    two_factor.user.save()
    client.force_login(two_factor.user)
    verify(client, two_factor)
    return client


def happened(kind, minutes_ago=5, times=1, **facts):
    for _ in range(times):
        Event.objects.create(kind=kind, at=NOW - timedelta(minutes=minutes_ago), **facts)


def voted(poll, mark, minutes_ago=5, revision=1):
    at = NOW - timedelta(minutes=minutes_ago)
    Ballot.objects.create(poll=poll, mark=mark, cast_at=at, revision=revision)


def rows_of(response, heading):
    """Return the rows of the table under ``heading``, each as the texts of its cells."""
    part = response.text.partition(f"<summary>{heading}</summary>")[2].partition("</table>")[0]
    rows = part.partition("<tbody>")[2].split("<tr>")[1:]
    return [cells_of(row) for row in rows]


def cells_of(row):
    cells = [
        cell.partition("<")[0] for cell in row.replace('<th scope="row">', "<td>").split("<td>")
    ]
    return [cell.strip() for cell in cells[1:]]


# Who may look


def test_the_anonymous_sign_in_first(client):
    assert client.get(URL)["Location"] == f"/admin/login/?next={URL}"
    assert client.get(URL, follow=True).redirect_chain[-1][0] == f"/login/?next={URL}"


def test_voters_are_refused(verified):
    assert verified.get(URL, follow=True).status_code == 403


def test_staff_prove_their_phone_first(signed_in, user):
    user.is_staff = True
    user.save()
    assert signed_in.get(URL, follow=True).redirect_chain[-1][0].startswith("/2fa/?next=")


def test_it_takes_no_post(owner):
    assert owner.post(URL).status_code == 405


def test_the_administration_leads_to_it(owner):
    assert f'href="{URL}"' in owner.get(reverse("admin:index")).text


# What it tells


def test_a_site_where_nothing_happened(owner):
    response = owner.get(URL)
    assert response.status_code == 200
    assert len(rows_of(response, "Votes by hour")) == 24
    assert rows_of(response, "Vonage by hour")[0] == ["12:00", "0", "", "", "0"]
    for sentence in ["Vonage had no trouble.", "No code was sent.", "No limit was used up."]:
        assert sentence in response.text


def test_votes_stand_at_their_hour(owner):
    poll = PollFactory()
    voted(poll, "a")
    voted(poll, "b", revision=3)
    voted(poll, "c", minutes_ago=65)
    voted(poll, "d", minutes_ago=25 * 60)
    rows = rows_of(owner.get(URL), "Votes by hour")
    assert [row[:2] + row[3:4] for row in rows[:3]] == [
        ["12:00", "2", "1"],
        ["11:00", "1", "0"],
        ["10:00", "0", "0"],
    ]
    assert sum(int(row[1]) for row in rows) == 3


def test_codes_stand_at_their_hour_by_what_came_of_them(owner):
    for kind, times in [("started", 3), ("resent", 1), ("called", 1)]:
        happened(kind, times=times)
    for kind, times in [("verified", 2), ("failed", 4), ("locked", 1)]:
        happened(kind, times=times)
    assert rows_of(owner.get(URL), "Codes by hour")[0] == ["12:00", "5", "2", "4", "1"]


def test_votes_refused_are_told_in_total(owner):
    for kind, count in [("late", 2), ("repeated", 7)]:
        Figure.objects.create(poll=PollFactory(), kind=kind, count=count)
    Figure.objects.create(poll=PollFactory(), kind="late", count=1)
    text = owner.get(URL).text
    assert "3 outside the time of voting, 7 where votes cannot be changed" in text


def test_it_tells_how_long_vonage_took_and_what_it_refused(owner):
    happened("started", provider_ms=200)
    happened("failed", provider_ms=401)
    happened("trouble", provider_ms=5000)
    happened("trouble", provider_ms=99, provider_status=402)
    happened("trouble", minutes_ago=45, provider_ms=99, provider_status=402)
    happened("trouble")
    response = owner.get(URL)
    assert rows_of(response, "Vonage by hour")[0] == ["12:00", "4", "1425", "5000", "3"]
    for sentence in [
        "Vonage answered 402: 2 times.",
        "Vonage gave no answer: 1 time.",
        "Vonage was not asked, for too many calls were under way: 1 time.",
    ]:
        assert sentence in response.text


def test_it_tells_which_countries_codes_went_to(owner):
    happened("started", times=2, region="GB", channel="sms")
    happened("called", region="GB", channel="voice")
    happened("resent", region="US", channel="sms")
    happened("verified", region="NZ", channel="sms")
    countries = rows_of(owner.get(URL), "Where the money goes")
    assert countries == [["GB", "2", "1"], ["US", "1", "0"]]


def test_it_tells_how_many_codes_are_left_today(owner, settings):
    settings.VERIFY_SENDS_PER_DAY = 10
    Limit.objects.add("site", "", DAY, 4)
    before = list(Limit.objects.values())
    assert "<strong>6</strong> of 10" in owner.get(URL).text
    assert list(Limit.objects.values()) == before


def test_it_says_what_it_means_that_none_is_left(owner, settings):
    settings.VERIFY_SENDS_PER_DAY = 4
    Limit.objects.add("site", "", DAY, 4)
    response = owner.get(URL)
    assert "<strong>0</strong> of 4" in response.text
    assert "nobody new can vote" in response.text


def test_it_tells_which_limits_were_used_up(owner, settings):
    settings.VERIFY_SENDS_PER_NUMBER, settings.VERIFY_SENDS_PER_USER = 2, 3
    for number in ["+12025550101", "+12025550102"]:
        Limit.objects.add("number", number, HOUR, 2)
    Limit.objects.add("user", 1, HOUR, 2)
    text = owner.get(URL).text
    assert "2 ×: codes to one number in an hour" in text
    assert "codes to one user" not in text


@pytest.mark.parametrize(("left", "is_told"), [(3, False), (2, True), (1, True), (0, True)])
def test_it_tells_when_the_codes_left_are_kept_for_verified_numbers(owner, settings, left, is_told):
    settings.VERIFY_SENDS_PER_DAY = 10
    Limit.objects.add("site", "", DAY, 10 - left)
    response = owner.get(URL)
    assert f"<strong>{left}</strong> of 10" in response.text
    assert ("nobody new can vote" in alarms_of(response)) == is_told
    assert ("kept for people whose number is verified already" in response.text) == (left > 0)


def test_large_numbers_are_grouped(owner, settings):
    settings.VERIFY_SENDS_PER_DAY = 5000
    text = owner.get(URL).text
    assert "of 5,000" in text
    assert "1,000 of these are kept" in text


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("own number", "codes to one verified number in an hour"),
        ("unclear number", "codes of unknown outcome to one number in an hour"),
        ("refused address /48", "codes that Vonage refused, from one address in an hour"),
        ("sign-in by device", "failed sign-ins in one browser of an account"),
        ("sign-in by name and address /56", "failed sign-ins by one name and address"),
        ("signed in by name", "sign-ins by one name in a day"),
        ("signed in by address /48", "sign-ins by one address in ten minutes"),
        ("refused registration", "refused registrations from one address in an hour"),
        ("reset by address", "wishes for a new password from one address in an hour"),
        ("mail by address", "links to confirm an email address from one address in an hour"),
        ("email to", "links to confirm one mailbox in an hour"),
        ("typed polls", "polls and reports typed by people who were not signed in"),
        ("poll changes", "changes of polls with votes by one account in an hour"),
        ("reports", "reports by one account in a day"),
    ],
)
def test_it_names_each_limit(owner, name, label):
    Limit.objects.add(name, "x", HOUR, limits_told()[name][1])
    assert f"1 ×: {label}" in owner.get(URL).text


def test_no_two_limits_are_called_alike():
    labels = [label for label, _most in limits_told().values()]
    assert len(set(labels)) == len(labels)


def test_it_tells_of_networks(owner, client, monkeypatch):
    monkeypatch.setattr("polls.listing.SEARCHES.most", 2)
    for n in range(8):
        client.get("/polls/", {"q": "tea"}, REMOTE_ADDR=f"2001:db8:1:{n:x}00::1")
    text = owner.get(URL).text
    assert "1 ×: searches by one address in ten minutes, counted for its IPv6 network /48" in text
    assert "network /56" not in text
    assert "searches by one address in ten minutes</li>" not in text


def test_it_names_nobody(owner):
    grace = TwoFactorFactory(number="+12025550188", user__username="grace")
    happened("started", user=grace.user, number="•••• ••88", address="10.9.8.7")
    voted(PollFactory(question="Tea?"), "a-mark")
    text = owner.get(URL).text
    for secret in ["grace", "••88", "10.9.8.7", "Tea?", "a-mark"]:
        assert secret not in text


def test_it_asks_as_often_however_much_happened(owner):
    def queries():
        with CaptureQueriesContext(connection) as captured:
            assert owner.get(URL).status_code == 200
        return len(captured)

    before = queries()
    for ago in range(0, 300, 60):
        happened("started", minutes_ago=ago, region="US", channel="sms", provider_ms=9)
        happened("trouble", minutes_ago=ago, provider_ms=9, provider_status=400 + ago)
        voted(PollFactory(), f"mark {ago}", minutes_ago=ago)
    assert queries() == before <= 11


@pytest.mark.skipif(connection.vendor != "postgresql", reason="asks PostgreSQL for its plan")
def test_the_days_votes_are_found_by_their_index():
    with connection.cursor() as cursor:
        # With so few rows everything is quicker than the index.
        cursor.execute("SET LOCAL enable_seqscan = off")
    plan = Ballot.objects.by_hour(NOW).explain()
    assert "Bitmap Index Scan on ballot_cast_at" in plan


def test_it_tells_of_searches_links_and_reports_beyond_their_limits(owner, client, monkeypatch):
    monkeypatch.setattr("polls.listing.SEARCHES.most", 1)
    monkeypatch.setattr("polls.views.FAILED_LOOKUPS.most", 1)
    for _ in range(2):
        client.get("/polls/", {"q": "tea"})
        client.get("/p/nosuchpoll/")
    text = owner.get(reverse("admin:today")).text
    assert "searches by one address in ten minutes" in text
    assert "wrong links tried by one address in an hour" in text
    assert "reports by one address in a day" not in text


# What needs its owner comes first


def alarms_of(response):
    return response.text.partition("What needs you")[2].partition("In all")[0]


def test_a_quiet_day_needs_nobody(owner):
    happened("trouble", provider_ms=9, provider_status=500)
    assert "Nothing." in alarms_of(owner.get(URL))


@pytest.mark.parametrize("status", [401, 402, 403])
def test_what_waiting_does_not_help_against_comes_first(owner, settings, status):
    settings.VERIFY_SENDS_PER_DAY, settings.VERIFY_SENDS_PER_NUMBER = 1, 1
    happened("trouble", provider_ms=9, provider_status=status)
    Limit.objects.add("site", "", DAY)
    Limit.objects.add("number", "+12025550123", HOUR)
    for settled_at in [None, None, NOW]:
        Report.objects.create(poll=PollFactory(), reason="spam", settled_at=settled_at)
    text = owner.get(URL).text
    sentences = [
        f"Vonage answered {status}: no code goes out.",
        "No code is sent until tomorrow: nobody new can vote.",
        "2 limits were used up.",
        "2 reports are waiting.",
    ]
    places = [text.index(sentence) for sentence in sentences]
    assert places == sorted(places)
    assert places[-1] < text.index("In all") < text.index("Votes by hour")
    assert "docs/operate.md" in alarms_of(owner.get(URL))


def test_totals_stand_above_the_tables_and_the_tables_are_folded(owner):
    happened("started", times=3)
    happened("started", minutes_ago=90)
    happened("verified", minutes_ago=90)
    voted(PollFactory(), "a")
    voted(PollFactory(), "b", minutes_ago=90)
    response = owner.get(URL)
    totals = response.text.partition("In all")[2].partition("</table>")[0]
    for name, number in [("Votes", 2), ("Codes sent", 4), ("Phones verified", 1)]:
        assert f'<th scope="row">{name}</th><td>{number}</td>' in totals
    assert response.text.count("<details") == 4
    assert "<details open" not in response.text
