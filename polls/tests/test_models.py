from datetime import UTC, datetime, timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError
from django.utils import timezone

from polls.ballots import PickRefused, VotingClosed, voter_mark
from polls.models import Ballot, Choice, Figure, Poll, Snapshot, Vote
from polls.tally import tally

from .factories import ChoiceFactory, PollFactory

pytestmark = pytest.mark.django_db
ADA, BOB = "+12025550123", "+12025550124"
OPENS, CLOSES = datetime(2026, 1, 1, 9, tzinfo=UTC), datetime(2026, 1, 1, 18, tzinfo=UTC)
MOMENT = timedelta(microseconds=1)


def test_a_second_vote_replaces_the_first():
    poll = PollFactory()
    yes, no = poll.choices.all()
    assert Ballot.objects.cast(poll, ADA, [yes.pk]).revision == 1
    assert Ballot.objects.cast(poll, ADA, [no.pk]).revision == 2
    assert [choice["votes"] for choice in tally(poll)["choices"]] == [0, 1]
    assert tally(poll)["voters"] == 1


def test_marks_differ_by_poll_number_and_key(settings):
    marks = {voter_mark(1, ADA), voter_mark(2, ADA), voter_mark(1, BOB)}
    settings.VOTER_KEY = "another"
    marks.add(voter_mark(1, ADA))
    assert len(marks) == 4


@pytest.mark.parametrize(
    ("at", "kind"),
    [
        (OPENS - MOMENT, "upcoming"),
        (OPENS, "open"),
        (CLOSES - MOMENT, "open"),
        (CLOSES, "closed"),
    ],
)
def test_a_poll_opens_and_closes_on_the_moment(at, kind, time_machine):
    poll = PollFactory(opens_at=OPENS, closes_at=CLOSES)
    time_machine.move_to(at, tick=False)
    for name in ["open", "upcoming", "closed"]:
        assert list(getattr(Poll.objects, name)(at)) == ([poll] if name == kind else [])
        assert getattr(poll, f"is_{name}") is (name == kind)


def test_without_an_end_a_poll_stays_open():
    poll = PollFactory(closes_at=None)
    assert Poll.objects.open(datetime(2999, 1, 1, tzinfo=UTC)).get() == poll
    assert poll.is_open


@pytest.mark.parametrize(
    ("opens", "closes", "kind"), [(1, 2, "upcoming"), (-1, 1, "open"), (-2, -1, "closed")]
)
def test_without_a_moment_the_databases_clock_judges(opens, closes, kind, time_machine):
    now, minute = timezone.now(), timedelta(minutes=1)
    poll = PollFactory(opens_at=now + opens * minute, closes_at=now + closes * minute)
    # The site's clock is of no account.
    time_machine.move_to(now + timedelta(days=1))
    for name in ["open", "upcoming", "closed"]:
        assert list(getattr(Poll.objects, name)()) == ([poll] if name == kind else [])


@pytest.mark.parametrize("hours", [{"opens_at": 1}, {"closes_at": -1}])
def test_a_ballot_is_cast_in_an_open_poll_only(hours):
    poll = PollFactory(**{key: timezone.now() + timedelta(hours=n) for key, n in hours.items()})
    with pytest.raises(VotingClosed):
        Ballot.objects.cast(poll, ADA, [poll.choices.first().pk])
    assert not Ballot.objects.exists()


def test_a_page_loaded_before_the_close_opens_nothing():
    poll = PollFactory()
    # SQLite's clock counts in milliseconds.
    Poll.objects.update(closes_at=timezone.now() - timedelta(milliseconds=1))
    with pytest.raises(VotingClosed):
        Ballot.objects.cast(poll, ADA, [poll.choices.first().pk])


def test_a_vote_that_fails_leaves_the_earlier_one():
    poll = PollFactory()
    yes = poll.choices.first()
    Ballot.objects.cast(poll, ADA, [yes.pk])
    with pytest.raises(PickRefused):
        Ballot.objects.cast(poll, ADA, [yes.pk, yes.pk])
    assert Vote.objects.get().choice == yes


def test_a_number_has_one_ballot_in_a_poll():
    poll = PollFactory()
    row = {"poll": poll, "mark": voter_mark(poll.pk, ADA), "cast_at": timezone.now()}
    Ballot.objects.create(**row)
    with pytest.raises(IntegrityError), transaction.atomic():
        Ballot.objects.create(**row)
    assert Ballot.objects.count() == 1


def test_a_number_finds_its_own_ballot_only():
    poll, other = PollFactory(), PollFactory()
    Ballot.objects.cast(poll, ADA, [poll.choices.first().pk])
    assert Ballot.objects.of(poll, ADA) == Ballot.objects.get()
    assert Ballot.objects.of(poll, ADA).picked == [poll.choices.first().pk]
    assert Ballot.objects.of(poll, BOB) is None
    assert Ballot.objects.of(other, ADA) is None


@pytest.mark.parametrize("closes_at", [OPENS, OPENS - MOMENT])
def test_a_poll_closes_after_it_opens(closes_at):
    with pytest.raises(ValidationError, match="must close after it opens"):
        Poll(question="?", opens_at=OPENS, closes_at=closes_at).full_clean()
    with pytest.raises(IntegrityError):
        PollFactory(opens_at=OPENS, closes_at=closes_at)


def test_a_poll_has_each_choice_once():
    choice = PollFactory(choices=["Tea"]).choices.get()
    with pytest.raises(ValidationError, match="already has that choice"):
        Choice(poll=choice.poll, text="Tea").full_clean()
    with pytest.raises(IntegrityError):
        ChoiceFactory(poll=choice.poll, text="Tea")


def test_polls_may_share_a_choice():
    PollFactory(choices=["Tea"])
    assert PollFactory(choices=["Tea"]).choices.get().text == "Tea"


def test_choices_keep_their_order():
    poll = PollFactory(choices=["One"])
    ChoiceFactory(poll=poll, text="Three", position=2)
    ChoiceFactory(poll=poll, text="Two", position=1)
    assert [choice.text for choice in poll.choices.all()] == ["One", "Two", "Three"]


def test_nothing_deletes_votes_silently():
    poll = PollFactory()
    choice = poll.choices.first()
    Ballot.objects.cast(poll, ADA, [choice.pk])
    for row in [poll, choice]:
        with pytest.raises(ProtectedError):
            row.delete()
    assert tally(poll)["voters"] == 1


def test_a_ballot_keeps_its_poll():
    poll = PollFactory()
    Ballot.objects.create(poll=poll, mark=voter_mark(poll.pk, ADA), cast_at=timezone.now())
    with pytest.raises(ProtectedError):
        poll.delete()


def test_a_poll_without_votes_can_be_deleted():
    PollFactory().delete()
    assert not Choice.objects.exists()


def test_without_votes_the_tally_is_0():
    counted = tally(PollFactory())
    assert counted["voters"] == 0
    assert [(choice["votes"], choice["percent"]) for choice in counted["choices"]] == [
        (0, "0"),
        (0, "0"),
    ]


def test_the_tally_counts_voters_of_this_poll_by_choice():
    poll, other = PollFactory(choices=["A", "B", "C"]), PollFactory()
    a, _, c = poll.choices.all()
    for n, choice in enumerate([a, c, c]):
        Ballot.objects.cast(poll, f"+1202555000{n}", [choice.pk])
    Ballot.objects.cast(other, ADA, [other.choices.first().pk])
    counted = tally(poll)
    assert counted["voters"] == 3
    assert [choice["votes"] for choice in counted["choices"]] == [1, 0, 2]
    assert [choice["percent"] for choice in counted["choices"]] == ["33.3", "0.0", "66.7"]


def test_the_tally_keeps_the_ballots_order():
    poll = PollFactory(choices=["Two"])
    poll.choices.update(position=2)
    ChoiceFactory(poll=poll, text="One", position=1)
    assert [choice["text"] for choice in tally(poll)["choices"]] == ["One", "Two"]


@pytest.mark.parametrize(("fewest", "most"), [(0, 1), (2, 1), (0, 0)])
def test_a_poll_asks_for_one_answer_at_least_and_no_more_than_the_most(fewest, most):
    with pytest.raises(ValidationError, match="Ask for one answer at least"):
        Poll(question="?", min_choices=fewest, max_choices=most).full_clean()
    with pytest.raises(IntegrityError):
        PollFactory(min_choices=fewest, max_choices=most)


@pytest.mark.parametrize("again", ["vote", "figure", "snapshot"])
def test_the_database_keeps_one_row_of_each(again):
    poll = PollFactory()
    ballot = Ballot.objects.cast(poll, ADA, [poll.choices.first().pk])
    rows = {
        "vote": Vote(ballot=ballot, choice=poll.choices.first()),
        "figure": Figure(poll=poll, kind=Figure.Kind.LATE),
        "snapshot": Snapshot(poll=poll),
    }
    Figure.note(poll, Figure.Kind.LATE)
    Snapshot.objects.create(poll=poll)
    with pytest.raises(IntegrityError):
        rows[again].save()


def test_figures_are_counted_by_poll_and_kind():
    poll, other = PollFactory(), PollFactory()
    for kind in [Figure.Kind.LATE, Figure.Kind.REPEATED, Figure.Kind.LATE]:
        Figure.note(poll, kind)
    counted = dict(poll.figures.values_list("kind", "count"))
    assert counted == {"late": 2, "repeated": 1}
    assert not other.figures.exists()


def test_a_ballot_keeps_the_version_of_the_key_of_its_mark(monkeypatch):
    poll = PollFactory()
    monkeypatch.setattr("polls.ballots.KEY_VERSION", 7)
    Ballot.objects.cast(poll, ADA, [poll.choices.first().pk])
    assert Ballot.objects.get().key_version == 7


def test_a_frozen_poll_cannot_be_deleted():
    poll = PollFactory()
    Snapshot.objects.create(poll=poll)
    with pytest.raises(ProtectedError):
        poll.delete()
