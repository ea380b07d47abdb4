"""What `purge` deletes of the polls; two_factor tests what it deletes besides."""

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone

from polls.management.commands.purge import Command
from polls.models import Ballot, Change, Choice, Figure, Poll, Report, Snapshot, Vote
from polls.tally import snapshot
from two_factor.history import Event
from two_factor.models import Limit

from .factories import PollFactory

pytestmark = pytest.mark.django_db
ADA, BOB = "+12025550123", "+12025550124"
MODELS = [Poll, Choice, Ballot, Vote, Figure, Change, Report, Snapshot]


def full_poll(user, **fields):
    """Return a closed poll with two votes and a row of everything else."""
    poll = PollFactory(author=user)
    for number in [ADA, BOB]:
        Ballot.objects.cast(poll, number, [poll.choices.first().pk])
    poll.note_change("Something.")
    Figure.note(poll, Figure.Kind.LATE)
    Report.objects.create(poll=poll, reporter=user, reason="spam")
    poll.closes_at = timezone.now() - timedelta(seconds=1)
    poll.save(update_fields=["closes_at"])
    snapshot(poll)
    Poll.objects.filter(pk=poll.pk).update(**fields)
    return poll


def days_ago(days):
    return timezone.now() - timedelta(days=days)


def test_after_30_days_in_the_trash_a_poll_goes_with_all_that_hangs_on_it(user):
    full_poll(user, trashed_at=days_ago(30))
    call_command("purge")
    assert [model.objects.count() for model in MODELS] == [0] * 8


def test_other_polls_stay_whole(user):
    kept = full_poll(user)
    full_poll(user, trashed_at=days_ago(30))
    call_command("purge")
    assert [model.objects.count() for model in MODELS] == [1, 2, 2, 2, 1, 1, 1, 1]
    assert Poll.objects.get() == kept
    call_command("recount")


@pytest.mark.parametrize(
    "fields",
    [
        {"trashed_at": days_ago(29.9)},
        {"published_at": None, "created_at": days_ago(1000)},
        {"hidden_because": "It is spam.", "created_at": days_ago(1000)},
    ],
    ids=["for a shorter time in the trash", "a draft", "hidden"],
)
def test_nothing_else_goes(user, fields):
    full_poll(user, **fields)
    call_command("purge")
    assert Vote.objects.count() == 2


def test_it_says_what_it_deleted_and_deletes_the_rest_as_before(user, capsys):
    full_poll(user, trashed_at=days_ago(30))
    Limit.objects.create(key="1", count=1, ends_at=days_ago(1))
    call_command("purge", "--history-days", "10")
    said = capsys.readouterr().out
    assert "1 limits deleted\n" in said
    assert "1 polls deleted, with 2 ballots\n" in said
    assert said.endswith("0 polls forgot who voted\n")


def test_queries_do_not_grow_with_the_votes(user, django_assert_max_num_queries):
    poll = full_poll(user, trashed_at=days_ago(31))
    choice = poll.choices.first()
    ballots = Ballot.objects.bulk_create(
        Ballot(poll=poll, mark=str(n), cast_at=timezone.now()) for n in range(300)
    )
    Vote.objects.bulk_create(Vote(ballot=ballot, choice=choice) for ballot in ballots)
    with django_assert_max_num_queries(16):
        assert poll.delete_for_good() == 302


def test_polls_that_forget_their_voters_do_so_once_and_keep_their_votes(user, capsys):
    closed = {"opens_at": days_ago(100), "closes_at": days_ago(91)}
    poll = full_poll(user, forgets_voters=True, **closed)
    other = full_poll(user, **closed)
    call_command("purge")
    assert Ballot.objects.of(poll, ADA) is None
    assert Ballot.objects.of(other, ADA)
    assert Vote.objects.count() == 4
    call_command("recount", other.pk)
    assert capsys.readouterr().out.count("1 polls forgot who voted\n") == 1
    call_command("purge")
    assert capsys.readouterr().out.endswith("0 polls forgot who voted\n")


def test_a_poll_that_was_taken_back_meanwhile_stays(user):
    found = full_poll(user, trashed_at=days_ago(31))
    Poll.objects.update(trashed_at=None)
    assert found.delete_for_good() is None
    assert Vote.objects.count() == 2


def test_a_poll_that_was_opened_again_meanwhile_forgets_nobody(user, monkeypatch, capsys):
    closed = {"opens_at": days_ago(100), "closes_at": days_ago(91)}
    poll = full_poll(user, forgets_voters=True, **closed)

    def reopen_first(command, pk):
        Poll.objects.update(closes_at=days_ago(-1))
        Snapshot.objects.all().delete()
        return forget(command, pk)

    forget = Command.forget
    monkeypatch.setattr(Command, "forget", reopen_first)
    call_command("purge")
    assert Ballot.objects.of(poll, ADA)
    assert not Snapshot.objects.exists()
    assert capsys.readouterr().out.endswith("0 polls forgot who voted\n")


def test_what_a_user_did_is_cut_off_with_forgetting(user):
    closed = {"opens_at": days_ago(100), "closes_at": days_ago(91)}
    full_poll(user, forgets_voters=True, **closed)
    fields = {"user": user, "address": "192.0.2.7", "number": "+1 •••• ••23"}
    for kind in Event.Kind:
        for days in [101, 95, 90]:
            Event(kind=kind, at=days_ago(days), **fields).save()
    call_command("purge")
    left = {(event.kind, round((timezone.now() - event.at).days)) for event in user.event_set.all()}
    kept = {"changed", "reset", "recovery_codes", "locked"}
    assert {kind for kind, days in left if days == 95} == kept
    assert {days for kind, days in left if kind == "verified"} == {101, 90}
    assert Event.objects.count() == 3 * len(Event.Kind)
    cut = Event.objects.get(kind="verified", user=None)
    assert (cut.address, cut.number) == ("", "")
