"""Who may see results when: one table, and every way to them."""

import json
import re
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from polls.models import Ballot, Poll
from polls.tally import snapshot
from two_factor.tests.factories import UserFactory

from . import people
from .factories import PollFactory

pytestmark = pytest.mark.django_db
Rule = Poll.ResultsFor
OPEN, CLOSED = "open", "closed"
SEES = {
    # rule: anonymous, not verified, verified, voter, author
    (Rule.EVERYONE, OPEN): (True, True, True, True, True),
    (Rule.EVERYONE, CLOSED): (True, True, True, True, True),
    (Rule.VERIFIED, OPEN): (False, False, True, True, True),
    (Rule.VERIFIED, CLOSED): (False, False, True, True, True),
    (Rule.VOTERS, OPEN): (False, False, False, True, True),
    (Rule.VOTERS, CLOSED): (False, False, True, True, True),
    (Rule.AFTER_CLOSE, OPEN): (False, False, False, False, True),
    (Rule.AFTER_CLOSE, CLOSED): (True, True, True, True, True),
    (Rule.AUTHOR, OPEN): (False, False, False, False, True),
    (Rule.AUTHOR, CLOSED): (False, False, False, False, True),
}
TABLE = [
    pytest.param(rule, when, person, sees, id=f"{rule}-{when}-{person.__name__}")
    for (rule, when), row in SEES.items()
    for person, sees in zip(people.ALL, row, strict=True)
]


@pytest.fixture
def browser_and_poll(request):
    rule, when, person = request.param
    poll = PollFactory(author=UserFactory(), results_for=rule, choices=["Tea", "Coffee"])
    browser = person(poll)
    Ballot.objects.cast(poll, "+12025559999", [poll.choices.last().pk])
    if when == CLOSED:
        Poll.objects.update(closes_at=timezone.now() - timedelta(seconds=1))
    return browser, poll


def get(browser, name, poll):
    return browser.get(reverse(f"polls:{name}", args=[poll.pk]))


def each(table):
    """Make the table's first three columns the fixture's parameter."""
    return [pytest.param(p.values[:3], p.values[3], id=p.id) for p in table]


table = pytest.mark.parametrize(
    ("browser_and_poll", "sees"), each(TABLE), indirect=["browser_and_poll"]
)


@table
def test_the_page_shows_what_the_table_says(browser_and_poll, sees):
    text = get(browser_and_poll[0], "results", browser_and_poll[1]).text
    assert ("1 vote · " in text) is sees
    for trace in ["<progress", "%", "results.csv", "results.json"]:
        assert (trace in text) is sees


@table
@pytest.mark.parametrize("name", ["results_json", "results_csv"])
def test_the_exports_show_what_the_table_says(browser_and_poll, sees, name):
    response = get(browser_and_poll[0], name, browser_and_poll[1])
    assert (response.status_code == 200) is sees
    if not sees:
        assert response.status_code in {302, 403}
        assert "Coffee" not in response.text


@table
def test_the_frozen_count_is_there_after_the_close_for_whom_the_table_says(browser_and_poll, sees):
    browser, poll = browser_and_poll
    poll.refresh_from_db()
    response = get(browser, "snapshot", poll)
    expected = {404, 302, 403} if not poll.is_closed else {200} if sees else {302, 403}
    assert response.status_code in expected
    assert response.status_code != 404 or sees


@table
def test_the_integrity_page_is_for_all_and_names_no_choice(browser_and_poll, sees):
    browser, poll = browser_and_poll
    response = get(browser, "integrity", poll)
    assert response.status_code == 200
    # Below the header, whose random token may hold any short word.
    content = response.text.partition("<main")[2]
    for choice in poll.choices.all():
        assert choice.text not in content
    poll.refresh_from_db()
    assert ("snapshot.json" in response.text) is (sees and poll.is_closed)


@table
def test_the_ballots_page_source_shows_no_results(browser_and_poll, sees):
    browser, poll = browser_and_poll
    assert "1 vote" not in get(browser, "ballot", poll).text


@pytest.mark.parametrize("rule", Rule)
def test_the_admin_shows_staff_how_many_voted_and_never_what(rule):
    poll = PollFactory(results_for=rule)
    # More than a clock or a date shows.
    for n in range(61):
        Ballot.objects.cast(poll, f"+1202555{n:04}", [poll.choices.first().pk])
    staff = people.staff(poll)
    page = staff.get(reverse("admin:polls_poll_change", args=[poll.pk])).text
    # No id, name or token, which may happen to hold it.
    assert not re.search(r"\b61\b", page)
    assert (
        '<td class="field-votes">61</td>' in staff.get(reverse("admin:polls_poll_changelist")).text
    )
    assert staff.get("/admin/polls/ballot/").status_code == 404
    assert staff.get("/admin/polls/vote/").status_code == 404


def test_the_author_who_proved_no_phone_is_not_the_author_yet(client):
    poll = PollFactory(author=UserFactory(), results_for=Rule.AUTHOR)
    client.force_login(poll.author)
    assert get(client, "results_json", poll)["Location"].startswith("/2fa/")
    Poll.objects.update(closes_at=timezone.now() - timedelta(seconds=1))
    assert "snapshot.json" not in get(client, "integrity", poll).text


def test_a_poll_without_an_author_shows_nobody_its_results():
    poll = PollFactory(author=None, results_for=Rule.AUTHOR)
    assert get(people.anonymous(poll), "results_json", poll)["Location"].startswith("/login/")
    assert get(people.voter(poll), "results_json", poll).status_code == 403


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        (Rule.VOTERS, "The results are shown to whoever has voted, and after the close."),
        (Rule.AFTER_CLOSE, "The results are shown when the poll has closed."),
        (Rule.AUTHOR, "The results of this poll are not public."),
    ],
)
def test_whoever_may_not_see_results_is_told_who_may(rule, sentence):
    poll = PollFactory(results_for=rule)
    assert sentence in get(people.verified(poll), "results", poll).text


def test_the_hash_of_hidden_results_cannot_be_guessed():
    poll = PollFactory(results_for=Rule.AUTHOR, closes_at=timezone.now() - timedelta(seconds=1))
    twin = PollFactory(results_for=Rule.AUTHOR, closes_at=poll.closes_at)
    salts = [json.loads(snapshot(closed).body)["salt"] for closed in [poll, twin]]
    assert len(set(salts)) == 2
    assert [len(salt) for salt in salts] == [32, 32]
