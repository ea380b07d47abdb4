"""Whatever people do in whatever order, the count is what a simple model of it expects."""

from collections import Counter
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from polls.ballots import AlreadyVoted, VotingClosed, voter_mark
from polls.models import Ballot, Vote
from polls.tally import snapshot, tally

from .factories import PollFactory

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
