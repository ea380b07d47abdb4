"""A poll may forget who voted, long after its close: counts and receipts stay."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.utils import timezone

from polls.ballots import VotingClosed, voter_mark
from polls.models import FORGET_AFTER, Ballot, Change, Poll
from polls.receipts import read_receipt, receipt_for
from polls.tally import snapshot, tally

from .factories import PollFactory

pytestmark = pytest.mark.django_db
ADA, BOB = "+12025550123", "+12025550124"


@pytest.fixture
def poll():
    """A poll with two votes that closed long ago."""
    poll = PollFactory(forgets_voters=True)
    for number, choice in zip([ADA, BOB], poll.choices.all(), strict=True):
        Ballot.objects.cast(poll, number, [choice.pk])
    close(poll, FORGET_AFTER)
    return poll


def close(poll, ago):
    poll.closes_at = timezone.now() - ago
    poll.opens_at = poll.closes_at - timedelta(days=1)
    poll.save()


def test_the_marks_go_and_nobody_can_make_them_again(poll):
    before = set(Ballot.objects.values_list("mark", flat=True))
    Ballot.objects.forget_voters(poll)
    after = set(Ballot.objects.values_list("mark", flat=True))
    assert len(after) == 2
    assert not before & after
    assert Ballot.objects.of(poll, ADA) is None
    assert not Ballot.objects.of_number(ADA).exists()
    assert set(Ballot.objects.values_list("key_version", flat=True)) == {0}


def test_two_polls_forget_in_ways_of_their_own(poll):
    ballot = Ballot.objects.first()
    Ballot.objects.forget_voters(poll)
    first = Ballot.objects.get(pk=ballot.pk).mark
    Ballot.objects.forget_voters(poll)
    assert Ballot.objects.get(pk=ballot.pk).mark != first


def test_counts_receipts_and_the_frozen_result_stay(poll):
    ballot = Ballot.objects.of(poll, ADA)
    receipt, frozen, before = receipt_for(ballot), snapshot(poll).sha256, tally(poll)
    Ballot.objects.forget_voters(poll)
    assert read_receipt(receipt) == (ballot, True)
    assert tally(poll) == before
    assert snapshot(poll).sha256 == frozen
    call_command("recount", poll.pk, stdout=StringIO())


def test_a_poll_that_forgot_takes_no_vote_even_if_it_were_open(poll):
    Ballot.objects.forget_voters(poll)
    Poll.objects.update(closes_at=None)
    with pytest.raises(VotingClosed):
        Ballot.objects.cast(poll, ADA, [poll.choices.first().pk])
    assert Ballot.objects.count() == 2


def test_the_public_history_tells_it(client, poll):
    Ballot.objects.forget_voters(poll)
    change = Change.objects.get()
    assert change.what.startswith("Who voted was forgotten")
    assert change.voters == 2
    assert change.what in client.get(poll.url("integrity")).text


def test_other_polls_keep_their_marks(poll):
    other = PollFactory()
    Ballot.objects.cast(other, ADA, [other.choices.first().pk])
    Ballot.objects.forget_voters(poll)
    assert Ballot.objects.get(poll=other).mark == voter_mark(other.pk, ADA)


def test_what_is_to_be_forgotten_closed_long_ago_and_chose_so(poll):
    now = timezone.now()
    soon = PollFactory(forgets_voters=True)
    close(soon, FORGET_AFTER - timedelta(minutes=1))
    faithful = PollFactory()
    close(faithful, 2 * FORGET_AFTER)
    PollFactory(forgets_voters=True)
    assert list(Poll.objects.to_forget(now)) == [poll]
    Ballot.objects.forget_voters(poll)
    assert not Poll.objects.to_forget(now).exists()
