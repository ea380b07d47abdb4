"""A handset whose number has two valid spellings has one vote, whichever it was cast under."""

import pytest

from polls.ballots import AlreadyVoted, voter_mark
from polls.models import Ballot
from two_factor.numbers import spellings
from two_factor.tests.factories import TwoFactorFactory

from .factories import PollFactory

TWINS = ["+5491123456789", "+5215512345678", "+3780549882914"]

pytestmark = pytest.mark.django_db


@pytest.fixture(params=TWINS)
def twins(request):
    """The canonical spelling of a number, and another one."""
    first, other, *_ = spellings(request.param)
    return first, other


def cast_under(poll, spelling, number):
    """Let an earlier release count a vote under a spelling that is not canonical any more."""
    ballot = Ballot.objects.cast(poll, number, [poll.choices.first().pk])
    Ballot.objects.filter(pk=ballot.pk).update(mark=voter_mark(poll.pk, spelling))


def test_a_vote_under_the_other_spelling_is_replaced_not_doubled(twins):
    poll, (first, other) = PollFactory(), twins
    cast_under(poll, other, first)
    again = Ballot.objects.cast(poll, first, [poll.choices.last().pk])
    assert again.revision == 2
    assert Ballot.objects.get().votes.get().choice == poll.choices.last()


def test_a_final_vote_under_the_other_spelling_is_final(twins):
    poll, (first, other) = PollFactory(may_change=False), twins
    cast_under(poll, other, first)
    with pytest.raises(AlreadyVoted):
        Ballot.objects.cast(poll, first, [poll.choices.last().pk])


def test_a_vote_under_the_other_spelling_is_the_voters_own(twins, client, user):
    poll, (first, other) = PollFactory(), twins
    cast_under(poll, other, first)
    tea = poll.choices.first().pk
    assert Ballot.objects.of(poll, first).picked == [tea]
    assert Ballot.objects.glance(poll.pk, first)[1] == [tea]
    assert Ballot.objects.of_number(first).get().poll == poll


def test_who_voted_twice_before_finds_one_of_the_votes(twins):
    poll, (first, other) = PollFactory(), twins
    cast_under(poll, other, first)
    Ballot.objects.create(
        poll=poll, mark=voter_mark(poll.pk, first), cast_at=Ballot.objects.get().cast_at
    )
    assert Ballot.objects.of(poll, first).mark == voter_mark(poll.pk, first)


def test_the_page_of_results_marks_the_vote(twins, client, user):
    from conftest import verify

    poll, (first, other) = PollFactory(), twins
    cast_under(poll, other, first)
    client.force_login(user)
    verify(client, TwoFactorFactory(user=user, number=first))
    assert "Your vote</span>" in client.get(poll.url("results")).text
