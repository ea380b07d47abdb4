import re
from datetime import UTC, datetime

import pytest
from django.urls import reverse
from django.utils import timezone

from polls.models import Ballot, Poll

from . import people
from .factories import PollFactory

pytestmark = pytest.mark.django_db
OPTIONS = {
    "question": "Tea?",
    "description": "One of them goes.",
    "time_zone": "Europe/Berlin",
    "max_choices": 2,
    "results_for": "author",
    "may_change": False,
    "is_listed": False,
    "forgets_voters": True,
}


@pytest.fixture
def poll(user):
    poll = PollFactory(author=user, choices=["Yes", "No", "Perhaps"], **OPTIONS)
    Ballot.objects.cast(poll, "+12025550123", [poll.choices.first().pk])
    Poll.objects.update(closes_at=datetime(2026, 1, 2, tzinfo=UTC), hidden_because="It is spam.")
    return poll


def copy(browser, poll):
    return browser.post(reverse("polls:copy", args=[poll.pk]))


def test_it_makes_a_draft_with_the_same_wording_and_options(verified, poll, user):
    response = copy(verified, poll)
    made = Poll.objects.exclude(pk=poll.pk).get()
    assert response["Location"] == f"/polls/{made.pk}/edit/"
    assert {name: getattr(made, name) for name in OPTIONS} == OPTIONS
    assert [choice.text for choice in made.choices.all()] == ["Yes", "No", "Perhaps"]
    assert (made.author, made.is_draft, made.closes_at) == (user, True, None)
    assert made.slug != poll.slug
    assert not made.ballots.exists()
    assert made.hidden_because == ""
    assert "This is a copy" in verified.get(response["Location"]).text


def test_a_second_click_leads_to_the_same_copy(verified, poll, user, settings):
    settings.POLLS_PER_DAY = 1
    page = verified.get("/polls/mine/?show=closed").text
    nonce = re.search(r'name="nonce" value="(\w+)"', page)[1]
    path = reverse("polls:copy", args=[poll.pk])
    first, second = (verified.post(path, {"nonce": nonce}) for _click in range(2))
    made = Poll.objects.exclude(pk=poll.pk).get()
    assert first["Location"] == second["Location"] == f"/polls/{made.pk}/edit/"


def test_each_page_and_each_poll_has_its_copies(verified, poll, user):
    other = PollFactory(author=user)
    for pk, nonce in [(poll.pk, "a"), (poll.pk, "b"), (other.pk, "a"), (other.pk, "")]:
        verified.post(reverse("polls:copy", args=[pk]), {"nonce": nonce})
    assert Poll.objects.count() == 6


def test_a_copy_in_the_trash_can_be_made_again(verified, poll):
    for _click in range(2):
        verified.post(reverse("polls:copy", args=[poll.pk]), {"nonce": "n"})
        Poll.objects.exclude(pk=poll.pk).filter(trashed_at=None).first().trash()
    assert Poll.objects.count() == 3


def test_the_original_stays_as_it_was(verified, poll):
    copy(verified, poll)
    assert poll.choices.count() == 3
    assert poll.ballots.count() == 1


def test_staff_copy_for_themselves(poll):
    copy(people.staff(poll), poll)
    made = Poll.objects.exclude(pk=poll.pk).get()
    assert made.author.is_staff


def test_copies_count_among_the_polls_of_a_day(verified, poll, settings):
    settings.POLLS_PER_DAY = 1
    copy(verified, poll)
    response = copy(verified, poll)
    assert response.status_code == 429
    assert 0 < int(response["Retry-After"]) <= 86400
    assert "One account makes at most 1 poll a day. Please try again in" in response.text
    assert Poll.objects.count() == 2


def test_to_others_it_is_not_there(poll):
    assert copy(people.verified(poll), poll).status_code == 404
    assert Poll.objects.count() == 1


def test_what_is_not_there_or_in_the_trash_is_a_404(verified, poll):
    Poll.objects.update(trashed_at=timezone.now())
    assert copy(verified, poll).status_code == 404
    assert verified.post(f"/polls/{poll.pk + 1}/copy/").status_code == 404


def test_the_anonymous_and_the_unverified_are_led_through_the_gate(client, poll):
    assert copy(client, poll)["Location"] == "/login/?next=/polls/mine/"
    client.force_login(poll.author)
    assert copy(client, poll)["Location"] == "/2fa/?next=%2Fpolls%2Fmine%2F"
    assert Poll.objects.count() == 1


def test_it_takes_only_a_post(verified, poll):
    assert verified.get(reverse("polls:copy", args=[poll.pk])).status_code == 405
