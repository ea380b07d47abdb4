from datetime import UTC, datetime, timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from polls.ballots import VotingClosed
from polls.models import Ballot, Change, Poll
from polls.tally import snapshot

from . import people
from .factories import PollFactory

pytestmark = pytest.mark.django_db
ADA = "+12025550123"
HOUR = timedelta(hours=1)


@pytest.fixture
def poll(user):
    return PollFactory(author=user, question="Tea?")


def close(browser, poll):
    response = browser.post(reverse("polls:close", args=[poll.pk]))
    poll.refresh_from_db()
    return response


def test_it_asks_first(verified, poll):
    text = verified.get(reverse("polls:close", args=[poll.pk])).text
    assert "<title>Close now? · Pollstr</title>" in text
    assert "Tea?" in text
    poll.refresh_from_db()
    assert poll.is_open


def test_it_closes_the_poll_now(verified, poll):
    before = timezone.now()
    response = close(verified, poll)
    assert response["Location"] == f"/polls/{poll.pk}/results/"
    assert before <= poll.closes_at <= timezone.now()
    with pytest.raises(VotingClosed):
        Ballot.objects.cast(poll, ADA, [poll.choices.first().pk])
    assert snapshot(poll)
    assert "The poll is closed." in verified.get(response["Location"]).text


def test_after_the_first_vote_it_is_told(verified, poll):
    Ballot.objects.cast(poll, ADA, [poll.choices.first().pk])
    close(verified, poll)
    end = poll.moment(poll.closes_at)
    [change] = Change.objects.all()
    assert (change.what, change.voters) == (f"Closes: “none” became “{end}”", 1)


def test_before_the_first_vote_there_is_nothing_to_tell(verified, poll):
    close(verified, poll)
    assert not Change.objects.exists()


def test_a_second_click_changes_nothing(verified, poll):
    close(verified, poll)
    closes_at = poll.closes_at
    response = close(verified, poll)
    assert response["Location"] == "/polls/mine/?show=closed"
    assert poll.closes_at == closes_at
    assert "Only an open poll can be closed" in verified.get(response["Location"]).text


@pytest.mark.parametrize(
    ("fields", "show"),
    [
        ({"published_at": None}, "drafts"),
        ({"opens_at": datetime(2126, 1, 1, tzinfo=UTC)}, "upcoming"),
        ({"closes_at": datetime(2026, 1, 2, tzinfo=UTC)}, "closed"),
        ({"hidden_because": "It is spam."}, "open"),
    ],
    ids=str,
)
def test_only_an_open_poll_can_be_closed(verified, poll, fields, show):
    Poll.objects.update(**fields)
    poll.refresh_from_db()
    before = poll.closes_at
    for response in [verified.get(f"/polls/{poll.pk}/close/"), close(verified, poll)]:
        assert response["Location"] == f"/polls/mine/?show={show}"
    assert poll.closes_at == before


def test_staff_close_any_poll(poll):
    close(people.staff(poll), poll)
    assert poll.is_closed


def test_to_others_it_is_not_there(poll):
    browser = people.verified(poll)
    assert browser.get(f"/polls/{poll.pk}/close/").status_code == 404
    assert close(browser, poll).status_code == 404
    assert poll.is_open


def test_what_is_not_there_or_in_the_trash_is_a_404(verified, poll):
    Poll.objects.update(trashed_at=timezone.now())
    assert close(verified, poll).status_code == 404
    assert verified.post(f"/polls/{poll.pk + 1}/close/").status_code == 404


def test_the_anonymous_and_the_unverified_are_led_through_the_gate(client, poll):
    assert close(client, poll)["Location"] == f"/login/?next=/polls/{poll.pk}/close/"
    client.force_login(poll.author)
    assert close(client, poll)["Location"] == f"/2fa/?next=%2Fpolls%2F{poll.pk}%2Fclose%2F"
    assert poll.is_open


def test_it_takes_no_other_method(verified, poll):
    assert verified.put(f"/polls/{poll.pk}/close/").status_code == 405
