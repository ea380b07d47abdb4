import hashlib
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from polls.management.commands.recount import Command
from polls.models import Ballot, Change, Poll, Snapshot, Vote
from polls.tally import snapshot, tally

from .factories import ChoiceFactory, PollFactory

pytestmark = pytest.mark.django_db
ADA = "+12025550123"


@pytest.fixture
def poll():
    poll = PollFactory()
    Ballot.objects.cast(poll, ADA, [poll.choices.first().pk])
    return poll


@pytest.fixture
def frozen(poll):
    poll.closes_at = timezone.now() - timedelta(seconds=1)
    poll.save(update_fields=["closes_at"])
    return snapshot(poll)


def recount(*args, **options):
    """Return what the command says of faults; none where it ends well."""
    said = StringIO()
    try:
        call_command("recount", *args, stdout=StringIO(), stderr=said, **options)
    except CommandError:
        # The exit status is 1.
        return said.getvalue()
    return ""


def test_it_finds_nothing_where_nothing_is_wrong(poll, frozen):
    said = StringIO()
    call_command("recount", stdout=said)
    assert said.getvalue() == "Every count is what the ballots say.\n"


def test_it_finds_a_vote_for_another_polls_choice(poll):
    Vote.objects.update(choice=ChoiceFactory(poll=PollFactory()))
    assert recount() == f"Poll {poll.pk}: 1 votes are for choices of another poll.\n"


def test_it_finds_a_ballot_without_votes(poll):
    Vote.objects.all().delete()
    assert f"Poll {poll.pk}: 1 ballots do not have the number of votes" in recount()


def test_it_finds_a_ballot_with_too_many_votes(poll):
    Vote.objects.create(ballot=Ballot.objects.get(), choice=poll.choices.last())
    assert f"Poll {poll.pk}: 1 ballots do not have the number of votes" in recount()


def tampered_with(frozen):
    return frozen.body.replace('"votes":1', '"votes":2')


TAMPERED = {
    "body": lambda frozen: {"body": tampered_with(frozen)},
    "sha256": lambda frozen: {"sha256": "0" * 64},
    "both": lambda frozen: {
        "body": tampered_with(frozen),
        "sha256": hashlib.sha256(tampered_with(frozen).encode()).hexdigest(),
    },
    "junk": lambda frozen: {"body": "junk"},
}


@pytest.mark.parametrize("tamper", TAMPERED.values(), ids=TAMPERED)
def test_it_finds_a_frozen_count_that_was_tampered_with(poll, frozen, tamper):
    Snapshot.objects.update(**tamper(frozen))
    assert recount() == f"Poll {poll.pk}: its frozen count is not what the ballots say.\n"


def test_it_finds_votes_that_came_after_the_freeze(poll, frozen):
    ballot = Ballot.objects.create(poll=poll, mark="x", cast_at=timezone.now())
    Vote.objects.create(ballot=ballot, choice=poll.choices.first())
    assert "its frozen count is not what the ballots say" in recount()


def test_repair_freezes_anew_and_tells_it_in_public(client, poll, frozen):
    Snapshot.objects.update(body=tampered_with(frozen), sha256="0" * 64)
    assert recount(repair=True)
    assert tally(poll)["choices"][0]["votes"] == 1
    what = Change.objects.get(poll=poll, voters=1).what
    assert what == (
        f"The count was frozen anew: SHA-256 {'0' * 64} became {Snapshot.objects.get().sha256}."
    )
    assert what in client.get(f"/polls/{poll.pk}/integrity/").text
    assert not recount()


def test_without_repair_it_changes_nothing(poll, frozen):
    Snapshot.objects.update(sha256="0" * 64)
    recount()
    assert Snapshot.objects.get().sha256 == "0" * 64
    assert not Change.objects.exists()


def test_it_looks_at_the_polls_it_is_told_to(poll):
    Vote.objects.all().delete()
    fine = PollFactory()
    assert not recount(fine.pk)
    assert recount(poll.pk)


def test_it_says_when_there_is_no_such_poll(poll):
    with pytest.raises(CommandError, match=r"No such poll: 99999\."):
        call_command("recount", poll.pk, 99999)


def test_an_open_poll_is_not_frozen(poll):
    assert not recount()
    assert not Snapshot.objects.filter(poll=Poll.objects.get()).exists()


@pytest.fixture
def odd(poll):
    """A ballot with more votes than its poll asks for, as an earlier release let them in."""
    Vote.objects.create(ballot=Ballot.objects.get(), choice=poll.choices.last())
    return poll


def test_it_says_how_odd_ballots_came_about_and_what_to_do(odd):
    said = recount()
    assert "when a poll was edited at the moment of its first votes" in said
    assert f"manage.py recount --accept {odd.pk}" in said
    assert recount(repair=True) == said


def test_odd_ballots_that_are_accepted_are_told_in_public_and_fail_no_more(client, odd):
    assert not recount(odd.pk, accept=True)
    assert not recount()
    assert Vote.objects.count() == 2
    told = "1 ballots have another number of answers than this poll asks for."
    assert told in client.get(f"/polls/{odd.pk}/integrity/").text
    recount(odd.pk, accept=True)
    assert Change.objects.count() == 1


def test_more_odd_ballots_than_were_accepted_are_found(odd):
    recount(odd.pk, accept=True)
    Ballot.objects.create(poll=odd, mark="x", cast_at=timezone.now())
    assert recount().startswith(f"Poll {odd.pk}: 2 ballots do not have")


def test_ballots_are_accepted_poll_by_poll(odd):
    with pytest.raises(CommandError, match=r"Name the polls"):
        call_command("recount", accept=True)


def test_it_judges_by_the_polls_numbers_of_now(poll, monkeypatch):
    """They change until somebody votes, perhaps after recount has read the poll."""
    found = Poll.objects.get()
    Poll.objects.update(max_choices=2)
    Vote.objects.create(ballot=Ballot.objects.get(), choice=poll.choices.last())
    assert found.max_choices == 1
    assert Command().odd_ballots(found, accept=False) == []


@pytest.mark.parametrize("pk", [2**63, 10**30])
def test_an_id_too_large_is_no_poll(poll, pk):
    with pytest.raises(CommandError, match=r"No such poll"):
        call_command("recount", pk)
