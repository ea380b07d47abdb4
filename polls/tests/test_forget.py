"""A poll may forget who voted, long after its close: counts and receipts stay."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.cache import cache
from django.core.management import call_command
from django.db import connection
from django.db.models import CharField, Value
from django.db.models.functions import Cast, Concat
from django.utils import timezone

from polls.ballots import VotingClosed, voter_mark
from polls.models import FORGET_AFTER, Ballot, Change, Poll, Vote
from polls.receipts import read_receipt, receipt_for
from polls.tally import snapshot, tally
from two_factor.history import Event
from two_factor.tests.factories import UserFactory

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
    assert Ballot.objects.forget_voters(poll)
    after = set(Ballot.objects.values_list("mark", flat=True))
    assert len(after) == 2
    assert not before & after
    assert Ballot.objects.of(poll, ADA) is None
    assert not Ballot.objects.of_number(ADA).exists()
    assert set(Ballot.objects.values_list("key_version", flat=True)) == {0}


def test_a_poll_forgets_once(poll):
    assert Ballot.objects.forget_voters(poll)
    marks = set(Ballot.objects.values_list("mark", flat=True))
    assert not Ballot.objects.forget_voters(poll)
    assert set(Ballot.objects.values_list("mark", flat=True)) == marks
    assert Change.objects.count() == 1


@pytest.mark.parametrize(
    "fields", [{"closes_at": None}, {"forgets_voters": False}], ids=["open", "faithful"]
)
def test_a_poll_that_is_not_to_forget_does_not(poll, fields):
    Poll.objects.update(**fields)
    assert not Ballot.objects.forget_voters(poll)
    assert Ballot.objects.of(poll, ADA)


def test_counts_and_the_frozen_result_stay(poll):
    frozen, before = snapshot(poll).sha256, tally(poll)
    Ballot.objects.forget_voters(poll)
    assert tally(poll) == before
    assert snapshot(poll).sha256 == frozen
    call_command("recount", poll.pk, stdout=StringIO())


def test_its_receipts_end_and_say_so(client, poll):
    receipt = receipt_for(Ballot.objects.of(poll, ADA))
    Ballot.objects.forget_voters(poll)
    response = client.get(f"/r/{receipt}/")
    assert response.status_code == 200
    assert "<h1>This receipt has ended</h1>" in response.text
    assert "The receipts of this poll have ended." in client.get(poll.url("integrity")).text


MANY = 60
CHOICES = "ABCD"


@pytest.fixture
def crowd():
    """A quiet poll with many votes, a minute after the other, each with the proof just before."""
    poll = PollFactory(forgets_voters=True, choices=CHOICES, max_choices=2)
    ids = [choice.pk for choice in poll.choices.all()]
    began = timezone.now() - FORGET_AFTER - timedelta(hours=20)
    chosen = {}
    for n in range(MANY):
        at = began + n * timedelta(minutes=1)
        user = UserFactory()
        Event(kind=Event.Kind.VERIFIED, user=user, at=at).save()
        picks = [ids[n % 4]] if n % 3 else [ids[n % 4], ids[(n + 1) % 4]]
        ballot = Ballot.objects.cast(poll, f"+1202555{n:04}", picks)
        Ballot.objects.filter(pk=ballot.pk).update(
            cast_at=at + timedelta(seconds=4), revision=n % 5 + 1
        )
        chosen[user.pk] = tuple(sorted(picks))
    close(poll, FORGET_AFTER)
    return poll, chosen


# What one who holds a copy of the database, but no key, tries: each orders the ballots and the
# proofs, and takes the first for that of the first.
ORDERS = {
    "id of the ballot": "id",
    "time": "cast_at, id",
    "number of changes": "revision, id",
    "id of the first vote": "(SELECT min(id) FROM polls_vote WHERE ballot_id = polls_ballot.id)",
    "mark": "mark",
    "nonce": "nonce, id",
    "place in the table": {"postgresql": "ctid", "sqlite": "rowid"},
}


def rows(sql, *values):
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchall()


def guess_by_order(poll, order) -> dict:
    order = order[connection.vendor] if isinstance(order, dict) else order
    ballots = rows(f"SELECT id FROM polls_ballot WHERE poll_id = %s ORDER BY {order}", poll.pk)  # noqa: S608
    users = rows("SELECT user_id FROM two_factor_event WHERE kind = 'verified' ORDER BY at")
    return {user: ticked(pk) for (user,), (pk,) in zip(users, ballots, strict=True)}


def guess_by_nearest_proof(poll) -> dict:
    """Match each ballot with the proof that came at most five seconds before it."""
    guessed = {}
    for pk, cast_at in Ballot.objects.filter(poll=poll).values_list("pk", "cast_at"):
        near = Event.objects.filter(at__lte=cast_at, at__gt=cast_at - timedelta(seconds=5))
        if event := near.first():
            guessed[event.user_id] = ticked(pk)
    return guessed


def ticked(ballot):
    votes = rows("SELECT choice_id FROM polls_vote WHERE ballot_id = %s ORDER BY 1", ballot)
    return tuple(pk for (pk,) in votes)


def matched(guessed, chosen) -> int:
    return sum(chosen.get(user) == picks for user, picks in guessed.items())


def test_before_forgetting_the_attacks_succeed(crowd):
    poll, chosen = crowd
    assert matched(guess_by_nearest_proof(poll), chosen) == MANY
    for order in ["id of the ballot", "time", "id of the first vote", "place in the table"]:
        assert matched(guess_by_order(poll, ORDERS[order]), chosen) > MANY * 0.9


@pytest.mark.parametrize("keeps_events", [True, False], ids=["with events", "after purge"])
def test_after_forgetting_nobody_can_tell_who_voted_for_what(crowd, keeps_events):
    poll, chosen = crowd
    counted = tally(poll)
    if keeps_events:
        Ballot.objects.forget_voters(poll)
    else:
        call_command("purge", stdout=StringIO())
        assert not Event.objects.filter(user__isnull=False).exists()
    # By chance alone it is one in eight or so: eight kinds of ballots, of the same number each.
    most = MANY / 2 if keeps_events else 0
    assert matched(guess_by_nearest_proof(poll), chosen) <= most
    for order in ORDERS.values():
        assert matched(guess_by_order(poll, order), chosen) <= most
    assert tally(poll) == counted


def test_times_and_ids_are_new_and_votes_by_hour_stay(crowd):
    poll, _ = crowd
    ids = set(Ballot.objects.values_list("pk", flat=True))
    votes = set(Vote.objects.values_list("pk", flat=True))
    hours = tally(poll)["hours"]
    Ballot.objects.forget_voters(poll)
    cache.clear()
    assert tally(poll)["hours"] == hours
    assert not ids & set(Ballot.objects.values_list("pk", flat=True))
    assert not votes & set(Vote.objects.values_list("pk", flat=True))
    for ballot in Ballot.objects.all():
        assert (ballot.cast_at.minute, ballot.cast_at.second, ballot.cast_at.microsecond) == (
            0,
        ) * 3
        assert (ballot.revision, ballot.nonce) == (1, "")


def test_hours_are_not_those_of_the_ballots(crowd):
    """Else the one vote of an hour would be that of whoever proved a phone in it."""
    poll, _ = crowd
    first = poll.choices.first()
    # Everybody who voted for the first choice did so in an hour of their own.
    early = Ballot.objects.filter(cast_at__lt=poll.opens_at + timedelta(hours=3))
    Ballot.objects.filter(votes__choice=first).update(cast_at=poll.opens_at + timedelta(hours=1))
    before = early.count()
    assert early.filter(votes__choice=first).count() == before > 10
    Ballot.objects.forget_voters(poll)
    assert early.count() == before
    assert early.filter(votes__choice=first).count() < before


def test_what_an_earlier_release_forgot_by_half_is_forgotten(crowd):
    poll, chosen = crowd
    Ballot.objects.update(mark=Concat(Value("random "), Cast("pk", CharField())), key_version=0)
    Poll.objects.update(voters_forgotten_at=timezone.now())
    assert matched(guess_by_nearest_proof(poll), chosen) == MANY
    call_command("purge", stdout=StringIO())
    assert matched(guess_by_nearest_proof(poll), chosen) == 0
    assert not Poll.objects.to_forget(timezone.now()).exists()
    call_command("recount", poll.pk, stdout=StringIO())


def test_ballots_of_other_polls_stay_as_they_are(poll):
    other = PollFactory()
    kept = Ballot.objects.cast(other, ADA, [other.choices.first().pk])
    before = list(Ballot.objects.filter(poll=other).values())
    Ballot.objects.forget_voters(poll)
    assert list(Ballot.objects.filter(poll=other).values()) == before
    assert read_receipt(receipt_for(kept)).state == "counted"


def test_an_empty_poll_forgets(poll):
    Vote.objects.all().delete()
    Ballot.objects.all().delete()
    assert Ballot.objects.forget_voters(poll)
    assert not Ballot.objects.exists()


def test_a_reopened_poll_that_forgot_shares_no_ballots(client, crowd):
    """Nothing tells any more how many were cast after the reopening."""
    poll, _ = crowd
    Poll.objects.update(results_for="everyone")
    poll.refresh_from_db()
    assert client.get(poll.url("ballots_json")).status_code == 200
    poll.reopen(timezone.now(), "Some could not vote.")
    close(poll, FORGET_AFTER)
    Ballot.objects.forget_voters(poll)
    assert client.get(poll.url("ballots_json")).status_code == 404


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
