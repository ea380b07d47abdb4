from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from polls.ballots import VotingClosed
from polls.models import Ballot, Poll

from . import people
from .factories import PollFactory

pytestmark = pytest.mark.django_db
ADA, BOB = "+12025550123", "+12025550124"
DAY = timedelta(days=1)


@pytest.fixture
def poll(user):
    return PollFactory(author=user, question="Tea?")


def post(browser, poll, name):
    response = browser.post(reverse(f"polls:{name}", args=[poll.pk]))
    poll.refresh_from_db()
    return response


def told(poll):
    return [change.what for change in poll.changes.all()]


def test_it_asks_first(verified, poll):
    text = verified.get(reverse("polls:trash", args=[poll.pk])).text
    assert "<title>Move to the trash? · Pollstr</title>" in text
    assert "You can restore it for 30 days." in text
    assert "Nobody has voted." in text
    poll.refresh_from_db()
    assert poll.trashed_at is None


@pytest.mark.parametrize(
    ("numbers", "votes"), [([ADA], "its 1 vote with it"), ([ADA, BOB], "its 2 votes with it")]
)
def test_it_says_plainly_which_votes_go(verified, poll, numbers, votes):
    for number in numbers:
        Ballot.objects.cast(poll, number, [poll.choices.first().pk])
    text = verified.get(reverse("polls:trash", args=[poll.pk])).text
    assert f"After 30 days it is deleted for good, and {votes}" in text


def test_in_the_trash_it_is_there_for_nobody(verified, poll):
    response = post(verified, poll, "trash")
    assert response["Location"] == "/polls/mine/?show=trash"
    assert "You can restore it for 30 days." in verified.get(response["Location"]).text
    assert verified.get(poll.get_absolute_url()).status_code == 404
    with pytest.raises(VotingClosed):
        Ballot.objects.cast(poll, ADA, [poll.choices.first().pk])


def test_it_comes_back_as_it_was(verified, poll):
    post(verified, poll, "trash")
    response = post(verified, poll, "restore")
    assert response["Location"] == "/polls/mine/?show=open"
    assert poll.is_open
    Ballot.objects.cast(poll, ADA, [poll.choices.first().pk])


def test_after_the_first_vote_both_are_told(verified, poll):
    Ballot.objects.cast(poll, ADA, [poll.choices.first().pk])
    post(verified, poll, "trash")
    post(verified, poll, "restore")
    assert told(poll) == ["Moved to the trash.", "Taken back from the trash."]


def test_before_the_first_vote_there_is_nothing_to_tell(verified, poll):
    post(verified, poll, "trash")
    assert told(poll) == []


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"closes_at": -1}, "It closed at"),
        ({"opens_at": -1}, "It opened at"),
        ({"closes_at": -3}, "The poll is back as it was."),
        ({"closes_at": 1}, "The poll is back as it was."),
        ({"opens_at": 1}, "The poll is back as it was."),
        ({"closes_at": -1, "published_at": None}, "The poll is back as it was."),
    ],
    ids=str,
)
def test_what_happened_while_it_was_in_the_trash_is_said(verified, poll, fields, sentence):
    now = timezone.now()
    moments = {n: v and now + v * DAY for n, v in fields.items()}
    Poll.objects.update(trashed_at=now - 2 * DAY, **moments)
    response = post(verified, poll, "restore")
    assert sentence in verified.get(response["Location"]).text


@pytest.mark.parametrize(("age", "status"), [(29.99, 302), (30, 404), (31, 404)])
def test_it_can_be_restored_for_30_days(verified, poll, age, status):
    Poll.objects.update(trashed_at=timezone.now() - age * DAY)
    assert post(verified, poll, "restore").status_code == status
    assert (poll.trashed_at is None) == (status == 302)


def test_what_is_not_in_the_trash_cannot_be_restored(verified, poll):
    assert post(verified, poll, "restore").status_code == 404


def test_what_is_in_the_trash_is_not_trashed_again(verified, poll):
    post(verified, poll, "trash")
    before = poll.trashed_at
    assert post(verified, poll, "trash").status_code == 404
    assert poll.trashed_at == before


def test_staff_trash_and_restore_any_poll(poll):
    browser = people.staff(poll)
    post(browser, poll, "trash")
    assert poll.trashed_at
    post(browser, poll, "restore")
    assert poll.trashed_at is None


def test_to_others_it_is_not_there(verified, poll):
    browser = people.verified(poll)
    assert browser.get(f"/polls/{poll.pk}/trash/").status_code == 404
    assert post(browser, poll, "trash").status_code == 404
    post(verified, poll, "trash")
    assert post(browser, poll, "restore").status_code == 404
    assert poll.trashed_at


@pytest.mark.parametrize("name", ["trash", "restore"])
def test_what_is_not_there_is_a_404(verified, poll, name):
    assert verified.post(f"/polls/{poll.pk + 1}/{name}/").status_code == 404


@pytest.mark.parametrize(
    ("name", "back"), [("trash", "/polls/{}/trash/"), ("restore", "/polls/mine/")]
)
def test_the_anonymous_and_the_unverified_are_led_through_the_gate(client, poll, name, back):
    back = back.format(poll.pk)
    assert post(client, poll, name)["Location"] == f"/login/?next={back}"
    client.force_login(poll.author)
    assert post(client, poll, name)["Location"] == f"/2fa/?next={back.replace('/', '%2F')}"
    assert poll.trashed_at is None


def test_they_take_no_other_method(verified, poll):
    assert verified.get(f"/polls/{poll.pk}/restore/").status_code == 405
    assert verified.put(f"/polls/{poll.pk}/trash/").status_code == 405
