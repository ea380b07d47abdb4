"""Polls that ask for several answers."""

import pytest
from django.urls import reverse

from polls.models import Ballot, Vote

from .factories import ChoiceFactory, PollFactory

pytestmark = pytest.mark.django_db
ADA = "+12025550123"


@pytest.fixture
def poll():
    """A poll that asks for two or three of four."""
    return PollFactory(min_choices=2, max_choices=3, choices=["Tea", "Coffee", "Water", "Milk"])


def vote(client, poll, *texts):
    values = [choice.pk for text in texts for choice in poll.choices.filter(text=text)]
    return client.post(reverse("polls:vote", args=[poll.pk]), {"choice": values})


def checked(response, poll):
    return [c.text for c in poll.choices.all() if f'value="{c.pk}" checked' in response.text]


def voted():
    return sorted(vote.choice.text for vote in Vote.objects.select_related("choice"))


@pytest.mark.parametrize("texts", [["Milk", "Tea"], ["Coffee", "Tea", "Water"]])
def test_as_many_as_asked_for_are_counted(verified, poll, texts):
    assert vote(verified, poll, *texts).status_code == 302
    assert voted() == sorted(texts)


@pytest.mark.parametrize(
    ("texts", "sentence"),
    [
        (["Tea"], "Pick 2 to 3 answers; you picked 1."),
        (["Tea", "Coffee", "Water", "Milk"], "Pick 2 to 3 answers; you picked 4."),
        (["Tea", "Coffee", "Tea"], "An answer was picked twice. Pick each once at most."),
    ],
)
def test_a_wrong_number_refuses_the_whole_ballot_and_keeps_the_ticks(
    verified, poll, texts, sentence
):
    response = vote(verified, poll, *texts)
    assert response.status_code == 200
    assert sentence in response.text
    assert set(checked(response, poll)) == set(texts)
    assert not Ballot.objects.exists()


def test_a_foreign_choice_refuses_the_whole_ballot_and_keeps_the_ticks(verified, poll):
    tea, coffee, *_ = poll.choices.all()
    data = {"choice": [tea.pk, coffee.pk, ChoiceFactory(poll=PollFactory()).pk]}
    response = verified.post(reverse("polls:vote", args=[poll.pk]), data)
    assert "That answer is not one of this poll" in response.text
    assert checked(response, poll) == ["Tea", "Coffee"]
    assert not Ballot.objects.exists()


def test_a_refused_ballot_leaves_the_earlier_one(verified, poll):
    vote(verified, poll, "Tea", "Milk")
    vote(verified, poll, "Coffee")
    assert voted() == ["Milk", "Tea"]


def test_a_new_ballot_replaces_all_of_the_earlier_one(verified, poll):
    vote(verified, poll, "Tea", "Milk", "Water")
    vote(verified, poll, "Coffee", "Tea")
    assert voted() == ["Coffee", "Tea"]


def test_a_poll_may_ask_for_a_number_exactly(verified):
    poll = PollFactory(min_choices=2, max_choices=2, choices=["Tea", "Coffee", "Water"])
    assert "Pick 2 answers; you picked 1." in vote(verified, poll, "Tea").text
    assert vote(verified, poll, "Tea", "Water").status_code == 302


def test_the_ballot_has_boxes_to_tick_and_says_how_many(verified, poll):
    text = verified.get(poll.get_absolute_url()).text
    assert text.count('type="checkbox" name="choice"') == 4
    assert 'type="radio"' not in text
    assert "Pick 2 to 3 answers." in text


def test_the_ballot_ticks_all_of_the_earlier_vote(verified, poll):
    vote(verified, poll, "Tea", "Milk")
    assert checked(verified.get(poll.get_absolute_url()), poll) == ["Tea", "Milk"]


def test_shares_are_said_to_be_of_voters(verified, poll):
    vote(verified, poll, "Tea", "Milk")
    text = verified.get(reverse("polls:results", args=[poll.pk])).text
    assert text.count("1 vote · 100 %") == 2
    assert "1 voter, one verified phone number each." in text
    assert "The shares are shares of the voters: each could pick several answers" in text


def test_with_one_answer_nothing_is_said_of_several(verified):
    poll = PollFactory()
    vote(verified, poll, "Yes")
    assert "several" not in verified.get(reverse("polls:results", args=[poll.pk])).text
    assert "Pick" not in verified.get(poll.get_absolute_url()).text
