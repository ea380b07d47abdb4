"""Whatever people do in whatever order, the count is what a simple model of it expects."""

from collections import Counter
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from polls.ballots import AlreadyVoted, VotingClosed, voter_mark
from polls.forms import LockedPollForm
from polls.models import Ballot, Poll, Vote
from polls.tally import snapshot, tally
from polls.wording import look_of

from .factories import PollFactory
from .making import typed_locked

pytestmark = pytest.mark.django_db
NUMBERS = ["+12025550120", "+12025550121", "+12025550122"]
votes = st.tuples(
    st.just("vote"), st.sampled_from(NUMBERS), st.sets(st.integers(0, 3), min_size=1, max_size=2)
)
others = st.tuples(st.sampled_from(["close", "reopen", "recount"]))


class Expected:
    """A poll as it ought to be: who said what, and whether it is open."""

    def __init__(self, poll):
        self.poll, self.said, self.is_open = poll, {}, True
        self.ids = [choice.pk for choice in poll.choices.all()]

    def do(self, action, *args):
        getattr(self, action)(*args)
        self.compare()

    def vote(self, number, picks):
        try:
            Ballot.objects.cast(self.poll, number, [self.ids[pick] for pick in picks])
        except VotingClosed:
            assert not self.is_open
        except AlreadyVoted:
            assert self.is_open
            assert number in self.said
            assert not self.poll.may_change
        else:
            assert self.is_open
            assert self.poll.may_change or number not in self.said
            self.said[number] = picks

    def close(self):
        self.end(timezone.now() - timedelta(seconds=1))

    def reopen(self):
        # Once frozen a poll stays closed, so only for one that nobody has looked at.
        if not hasattr(self.poll, "snapshot"):
            self.end(None)

    def end(self, at):
        self.poll.closes_at, self.is_open = at, at is None
        self.poll.save(update_fields=["closes_at"])

    def recount(self):
        call_command("recount", self.poll.pk, stdout=StringIO())
        self.poll.refresh_from_db()

    def compare(self):
        rows = Counter(Vote.objects.values_list("choice", flat=True))
        expected = Counter(self.ids[pick] for picks in self.said.values() for pick in picks)
        marks = sorted(Ballot.objects.values_list("mark", flat=True))
        assert rows == expected
        assert marks == sorted(voter_mark(self.poll.pk, number) for number in self.said)
        if self.is_open:
            self.compare_tally(expected)

    def compare_tally(self, expected):
        counted = tally(self.poll)
        assert counted["voters"] == len(self.said)
        assert {row["id"]: row["votes"] for row in counted["choices"]} == {
            pk: expected[pk] for pk in self.ids
        }


@given(may_change=st.booleans(), actions=st.lists(votes | others, max_size=12))
@settings(
    max_examples=100,
    derandomize=True,
    deadline=None,
    database=None,
    # The fixtures are the database's; each example undoes what it did.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_sequence_of_acts_is_counted_as_expected(may_change, actions):
    with transaction.atomic():
        expected = Expected(PollFactory(may_change=may_change, max_choices=2, choices="ABCD"))
        for action in actions:
            expected.do(*action)
        expected.close()
        expected.compare_tally(Counter(Vote.objects.values_list("choice", flat=True)))
        assert snapshot(expected.poll)
        transaction.set_rollback(True)


# Near to each other, so that a few edits lead from one to another.
NAMES = ["Marten", "Martin", "Marton", "Martini", "Team A", "Team B", "Teem A", "Tuesday", "Tusday"]
NAMES += ["Thursday", "tuesday", "Mаrtin", "Legal ice", "Illegal ice", "10⁵ km", "105 km", "Maße"]
words = st.sampled_from(NAMES) | st.text(alphabet="Martein AB5", min_size=1, max_size=8)
few_words = st.lists(words, min_size=3, max_size=3)


@given(first=few_words, edits=st.lists(few_words, max_size=6))
@settings(
    max_examples=150,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much],
)
def test_no_edits_give_a_choice_the_wording_of_another(first, edits):
    assume(len({look_of(text) for text in first} - {""}) == 3)
    with transaction.atomic():
        poll = PollFactory(choices=first)
        Ballot.objects.cast(poll, NUMBERS[0], [poll.choices.first().pk])
        ever = {choice.pk: {look_of(choice.text)} for choice in poll.choices.all()}
        for texts in edits:
            poll = Poll.objects.get(pk=poll.pk)
            # Some rows stay as they are, as in the form of a person who fixes one of them.
            now = [choice.text for choice in poll.choices.all()]
            sent = [texts[0], now[1], texts[2]]
            form = LockedPollForm(typed_locked(poll, choices=sent), instance=poll)
            if form.is_valid():
                form.save()
            for choice in poll.choices.all():
                ever[choice.pk].add(look_of(choice.text))
        looks = [look for each in ever.values() for look in each]
        assert len(looks) == len(set(looks))
        transaction.set_rollback(True)
