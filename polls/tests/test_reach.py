"""Which polls open, and for whom: drafts, the trash, what staff hid, what is open by link only."""

from datetime import UTC, datetime

import pytest
from django.urls import reverse
from django.utils import timezone

from polls.ballots import VotingClosed, voter_mark
from polls.models import Ballot, Poll
from two_factor.tests.factories import UserFactory

from . import people
from .factories import PollFactory

pytestmark = pytest.mark.django_db
PAGES = ["ballot", "results", "results_json", "results_csv", "integrity"]
TAKEN_AWAY = {
    "a draft": {"published_at": None},
    "in the trash": {"trashed_at": datetime(2026, 1, 1, tzinfo=UTC)},
    "hidden": {"hidden_because": "It is spam."},
}


def make(**fields):
    return PollFactory(author=UserFactory(), results_for="everyone", **fields)


def status(browser, poll, page, link=""):
    address = reverse(f"polls:{page}", args=[poll.pk])
    return browser.get(address, {"link": link} if link else {}).status_code


def vote(browser, poll, link=""):
    address = reverse("polls:vote", args=[poll.pk], query={"link": link} if link else None)
    return browser.post(address, {"choice": poll.choices.first().pk})


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("fields", TAKEN_AWAY.values(), ids=TAKEN_AWAY)
def test_what_was_taken_away_is_not_there(fields, page):
    poll = make(**fields)
    for who in [people.verified, people.signed_in if page != "ballot" else people.verified]:
        assert status(who(poll), poll, page) == status(who(poll), poll, page, poll.slug) == 404


@pytest.mark.parametrize("fields", TAKEN_AWAY.values(), ids=TAKEN_AWAY)
def test_what_was_taken_away_is_on_no_list_and_takes_no_vote(fields):
    poll = make(**fields)
    browser = people.verified(poll)
    assert poll.question not in browser.get(reverse("polls:list")).text
    assert vote(browser, poll).status_code == 404
    assert not poll.is_open
    with pytest.raises(VotingClosed):
        Ballot.objects.cast(poll, browser.number, [poll.choices.first().pk])
    assert not Ballot.objects.exists()


@pytest.mark.parametrize("name", ["a draft", "hidden"])
@pytest.mark.parametrize("who", [people.author, people.staff])
def test_author_and_staff_still_see_it(name, who):
    poll = make(**TAKEN_AWAY[name])
    browser = who(poll)
    assert [status(browser, poll, page) for page in PAGES] == [200] * 5


def test_nobody_sees_the_trash_from_outside():
    poll = make(trashed_at=timezone.now())
    for browser in [people.author(poll), people.staff(poll)]:
        assert [status(browser, poll, page) for page in PAGES] == [404] * 5


def test_the_author_who_proved_no_phone_sees_no_draft(client):
    poll = make(published_at=None)
    client.force_login(poll.author)
    assert status(client, poll, "results") == 404


@pytest.mark.parametrize("page", PAGES)
def test_by_link_only_means_not_by_id(page):
    poll = make(is_listed=False)
    browser = people.verified(poll)
    for wrong in ["", "x", "\0", "%", PollFactory().slug, poll.slug.upper()]:
        assert status(browser, poll, page, wrong) == 404
    assert status(browser, poll, page, poll.slug) == 200


def test_a_poll_by_link_is_on_no_list():
    poll = make(is_listed=False)
    browser = people.author(poll)
    for show in ["open", "upcoming", "closed"]:
        listed = browser.get(reverse("polls:list"), {"show": show})
        assert poll.question not in listed.text


def test_a_vote_by_link_keeps_the_link():
    poll = make(is_listed=False)
    browser = people.verified(poll)
    assert vote(browser, poll).status_code == 404
    response = vote(browser, poll, poll.slug)
    assert response["Location"] == f"/polls/{poll.pk}/results/?link={poll.slug}"
    page = browser.get(response["Location"]).text
    assert f'href="/polls/{poll.pk}/?link={poll.slug}"' in page
    assert Ballot.objects.get().mark == voter_mark(poll.pk, browser.number)


def test_the_gate_keeps_the_link(client):
    poll = make(is_listed=False)
    location = vote(client, poll, poll.slug)["Location"]
    assert location == f"/login/?next=/polls/{poll.pk}/%3Flink%3D{poll.slug}"


def test_every_link_on_the_pages_of_a_poll_by_link_opens():
    poll = make(is_listed=False)
    browser = people.voter(poll)
    for page in ["ballot", "results", "integrity"]:
        text = browser.get(poll.url(page)).text
        assert f"/polls/{poll.pk}/" in text
        for address in text.split('"')[1::2]:
            if address.startswith(f"/polls/{poll.pk}"):
                assert poll.slug in address


def test_a_receipt_of_a_poll_taken_away_says_no_more_than_that_it_counts():
    poll = make()
    browser = people.verified(poll)
    vote(browser, poll)
    page = browser.get(reverse("polls:results", args=[poll.pk])).text
    receipt = page.split("/r/")[1].split("/")[0]
    Poll.objects.update(hidden_because="It is spam.")
    shown = browser.get(reverse("receipt", args=[receipt])).text
    assert "Counted, unchanged" in shown
    assert poll.question not in shown


def test_slugs_are_long_and_each_is_another():
    slugs = {PollFactory().slug for _ in range(20)}
    assert len(slugs) == 20
    assert {len(slug) for slug in slugs} == {10}
