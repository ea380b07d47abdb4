from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from django.core.cache import cache
from django.db import OperationalError, connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from conftest import verify
from polls.ballots import PickRefused
from polls.models import Ballot, Poll, Vote
from polls.tally import tally
from polls.views import VoteView
from two_factor.tests.factories import TwoFactorFactory

from .factories import ChoiceFactory, PollFactory

pytestmark = pytest.mark.django_db
ADA = "+12025550123"


@pytest.fixture
def poll():
    return PollFactory(question="Tea or coffee?", choices=["Tea", "Coffee"])


@pytest.fixture
def tea(poll):
    return poll.choices.get(text="Tea")


@pytest.fixture
def coffee(poll):
    return poll.choices.get(text="Coffee")


def vote(client, poll, *choices):
    values = [getattr(choice, "pk", choice) for choice in choices]
    return client.post(reverse("polls:vote", args=[poll.pk]), {"choice": values})


def votes(poll):
    return [choice["votes"] for choice in tally(poll)["choices"]]


def checked(response, poll):
    """Return the text of each choice that is ticked on the page."""
    return [c.text for c in poll.choices.all() if f'value="{c.pk}" checked' in response.text]


def next_of(response):
    [next] = parse_qs(urlsplit(response["Location"]).query)["next"]
    return next


def test_it_counts_the_vote_and_shows_the_results(verified, poll, coffee):
    response = vote(verified, poll, coffee)
    assert response.status_code == 302
    assert response["Location"] == reverse("polls:results", args=[poll.pk])
    assert "Your vote is counted." in verified.get(response["Location"]).text
    assert votes(poll) == [0, 1]


def test_another_vote_replaces_the_first(verified, poll, tea, coffee):
    vote(verified, poll, tea)
    response = verified.get(vote(verified, poll, coffee)["Location"])
    assert "It replaced your earlier one." in response.text
    assert votes(poll) == [0, 1]
    assert tally(poll)["voters"] == 1


def test_a_vote_sent_twice_counts_once(verified, poll, tea):
    vote(verified, poll, tea)
    vote(verified, poll, tea)
    assert votes(poll) == [1, 0]
    assert Vote.objects.count() == 1


def test_a_number_in_another_account_finds_its_first_ballot(
    verified, user, poll, tea, coffee, django_user_model
):
    vote(verified, poll, tea)
    user.delete()
    heir = Client()
    two_factor = TwoFactorFactory(number=ADA)
    heir.force_login(two_factor.user)
    verify(heir, two_factor)
    vote(heir, poll, coffee)
    assert votes(poll) == [0, 1]
    assert tally(poll)["voters"] == 1


def test_what_is_kept_names_neither_user_nor_number(verified, user, poll, tea):
    # Marks and nonces are hexadecimal digits, so a shorter name may be among them by chance.
    user.username = "ada-lovelace"
    user.save()
    vote(verified, poll, tea)
    [ballot], [row] = Ballot.objects.values(), Vote.objects.values()
    assert ballot.keys() == {
        *["id", "poll_id", "mark", "key_version", "cast_at", "revision", "nonce"]
    }
    assert row.keys() == {"id", "ballot_id", "choice_id"}
    kept = " ".join(str(value) for value in [*ballot.values(), *row.values()])
    for secret in [user.username, ADA, ADA.removeprefix("+"), ADA[-7:]]:
        assert secret not in kept


def test_it_sends_the_anonymous_to_sign_in_with_their_choice(client, poll, coffee):
    response = vote(client, poll, coffee)
    assert response.status_code == 302
    assert urlsplit(response["Location"]).path == "/login/"
    assert next_of(response) == f"/polls/{poll.pk}/"
    assert not Ballot.objects.exists()


def test_it_sends_whoever_has_not_proven_a_phone_to_do_so_with_their_choice(
    signed_in, two_factor, poll, coffee
):
    response = vote(signed_in, poll, coffee)
    assert response.status_code == 302
    assert urlsplit(response["Location"]).path == "/2fa/"
    assert not Ballot.objects.exists()
    verify(signed_in, two_factor)
    ballot = signed_in.get(next_of(response))
    assert ballot.status_code == 200
    assert checked(ballot, poll) == ["Coffee"]
    assert not Ballot.objects.exists()


def test_without_a_choice_the_way_back_is_the_ballot(client, poll):
    assert next_of(vote(client, poll)) == f"/polls/{poll.pk}/"


BAD = {
    "missing": ([], "Pick an answer first, then vote."),
    "empty": ([""], "That answer is not one of this poll&#x27;s."),
    "unknown": (["0"], "That answer is not one of this poll&#x27;s."),
    "junk": (["junk"], "That answer is not one of this poll&#x27;s."),
    "nul": (["\0"], "That answer is not one of this poll&#x27;s."),
    "long": (["x" * 10_000], "That answer is not one of this poll&#x27;s."),
    "huge": (["9" * 400], "That answer is not one of this poll&#x27;s."),
    "huger": (["9" * 5000], "That answer is not one of this poll&#x27;s."),
}


@pytest.mark.parametrize(("values", "sentence"), BAD.values(), ids=BAD)
def test_a_bad_choice_gets_a_sentence_beside_the_field(verified, poll, values, sentence):
    response = vote(verified, poll, *values)
    assert response.status_code == 200
    assert f'<p id="choice-error" class="alert alert-danger" role="alert">{sentence}' in (
        response.text
    )
    assert "<title>Error: Tea or coffee? · Pollstr</title>" in response.text
    assert not Ballot.objects.exists()


def test_it_rejects_a_choice_of_another_poll(verified, poll):
    foreign = ChoiceFactory(poll=PollFactory())
    response = vote(verified, poll, foreign)
    assert "That answer is not one of this poll" in response.text
    assert not Ballot.objects.exists()


@pytest.mark.parametrize("spelling", [" {}", "+{}", "0{}", "{}.0", "{}e0", "arabic"])
def test_it_takes_a_choice_in_its_own_spelling_only(verified, poll, tea, spelling):
    arabic = str(tea.pk).translate({ord("0") + n: chr(0x660 + n) for n in range(10)})
    value = arabic if spelling == "arabic" else spelling.format(tea.pk)
    assert "That answer is not one of this poll" in vote(verified, poll, value).text
    assert not Ballot.objects.exists()


def test_it_takes_one_choice_only(verified, poll, tea, coffee):
    response = vote(verified, poll, tea, coffee)
    assert response.status_code == 200
    assert "Pick one answer; you picked 2." in response.text
    assert not Ballot.objects.exists()


def test_a_choice_sent_doubled_is_not_counted(verified, poll, tea):
    response = vote(verified, poll, tea, tea)
    assert response.status_code == 200
    assert 'id="choice-error"' in response.text
    assert checked(response, poll) == ["Tea"]
    assert not Ballot.objects.exists()


def test_a_valid_tick_is_kept_beside_a_bad_one(verified, poll, coffee):
    response = vote(verified, poll, "junk", coffee)
    assert "That answer is not one of this poll" in response.text
    assert checked(response, poll) == ["Coffee"]


def test_a_bad_choice_leaves_the_earlier_vote_alone(verified, poll, tea):
    vote(verified, poll, tea)
    response = vote(verified, poll, "junk")
    assert "You have voted; another vote replaces it." in response.text
    assert votes(poll) == [1, 0]


def test_a_vote_after_the_close_is_refused_with_its_choice_kept(verified, poll, coffee):
    Poll.objects.update(closes_at=datetime(2026, 1, 2, 18, 30, tzinfo=UTC))
    response = vote(verified, poll, coffee)
    assert response.status_code == 409
    assert "Voting closed at 2 January 2026, 18:30 UTC. Your vote was not counted." in (
        response.text
    )
    assert checked(response, poll) == ["Coffee"]
    assert not Ballot.objects.exists()


def test_a_vote_before_the_opening_is_refused_with_its_choice_kept(verified, poll, coffee):
    Poll.objects.update(opens_at=datetime(2126, 1, 2, 18, 30, tzinfo=UTC))
    response = vote(verified, poll, coffee)
    assert response.status_code == 409
    assert "Voting opens at 2 January 2126, 18:30 UTC. Your vote was not counted." in (
        response.text
    )
    assert checked(response, poll) == ["Coffee"]
    assert not Ballot.objects.exists()


def test_the_sites_clock_may_be_ahead_of_the_databases(verified, poll, tea, time_machine):
    opens_at = timezone.now() + timedelta(minutes=1)
    Poll.objects.update(opens_at=opens_at)
    time_machine.move_to(opens_at)
    response = vote(verified, poll, tea)
    assert response.status_code == 409
    assert "Voting opens at " in response.text
    assert not Ballot.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_choice_deleted_behind_the_locks_back_is_said(verified, poll, tea, coffee, monkeypatch):
    def write_too_late(*args):
        monkeypatch.undo()
        raise PickRefused

    monkeypatch.setattr(Ballot.objects, "write", write_too_late)
    response = vote(verified, poll, coffee)
    assert response.status_code == 200
    assert checked(response, poll) == ["Coffee"]
    assert not Ballot.objects.exists()


@pytest.fixture
def full(monkeypatch):
    """A database without room for another ballot."""

    def fail(*args):
        raise OperationalError("database or disk is full")

    monkeypatch.setattr(Ballot.objects, "write", fail)


@pytest.mark.usefixtures("full")
def test_a_vote_that_cannot_be_written_is_not_counted_with_its_choice_kept(verified, poll, tea):
    response = vote(verified, poll, tea)
    assert response.status_code == 503
    assert "We could not write your vote down, so it is not counted." in response.text
    assert checked(response, poll) == ["Tea"]


def test_nobody_is_told_what_became_of_a_vote_when_the_database_is_lost(
    verified, poll, tea, monkeypatch
):
    def lose(*args):
        # Django has connected again when the view hears of it.
        connection.connection = object()
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(VoteView, "cast", lose)
    verified.raise_request_exception = False
    connected = connection.connection
    try:
        response = vote(verified, poll, tea)
    finally:
        connection.connection = connected
    assert response.status_code == 503
    assert "it is not counted" not in response.text
    assert "open the poll again to see whether your vote was counted" in response.text


def test_a_vote_is_thanked_for_though_the_cache_is_emptied_meanwhile(
    verified, poll, tea, monkeypatch
):
    monkeypatch.setattr(cache, "add", lambda *args: cache.clear(), raising=False)
    assert vote(verified, poll, tea).status_code == 302
    assert votes(poll) == [1, 0]


def test_a_late_change_leaves_the_earlier_vote_alone(verified, poll, tea, coffee):
    vote(verified, poll, tea)
    Poll.objects.update(closes_at=timezone.now())
    assert vote(verified, poll, coffee).status_code == 409
    assert votes(poll) == [1, 0]


@pytest.mark.parametrize("pk", ["99", "99999999999999999999999", "1" + "0" * 400, "9" * 5000])
def test_a_poll_that_is_not_there_is_a_404(verified, pk):
    response = verified.post(f"/polls/{pk}/vote/", {"choice": "1"})
    assert response.status_code == 404
    assert "<title>There is no such page · Pollstr</title>" in response.text


@pytest.mark.parametrize("method", ["get", "put", "delete", "options"])
def test_it_takes_posts_only(verified, poll, method):
    response = getattr(verified, method)(reverse("polls:vote", args=[poll.pk]))
    assert response.status_code == 405
    assert response["Allow"] == "POST"
    assert "That does not work this way" in response.text


def test_a_form_of_another_site_is_refused(verified, poll, tea):
    verified.handler.enforce_csrf_checks = True
    response = vote(verified, poll, tea)
    assert response.status_code == 403
    assert "<title>Please try that again · Pollstr</title>" in response.text
    assert not Ballot.objects.exists()


def test_a_flood_of_fields_is_a_413_in_the_sites_look(verified, poll, tea):
    response = vote(verified, poll, *[tea] * 1001)
    assert response.status_code == 413
    assert "<title>That was too much at once · Pollstr</title>" in response.text
    assert not Ballot.objects.exists()


@pytest.mark.parametrize(("choices", "voters"), [(2, 1), (10, 1), (2, 20)])
def test_queries_do_not_grow(verified, django_assert_num_queries, choices, voters):
    poll = PollFactory(choices=[f"No. {n}" for n in range(choices)])
    for n in range(voters):
        Ballot.objects.cast(poll, f"+1202555{123 + n:04}", [poll.choices.first().pk])
    choice = poll.choices.last()
    # Session, user with second factor; begin, poll, choices, ballot, votes out and in, end.
    with django_assert_num_queries(9):
        assert vote(verified, poll, choice).status_code == 302


@pytest.mark.parametrize("fields", [{"published_at": None}, {"hidden_because": "It is spam."}])
def test_a_draft_or_hidden_poll_takes_no_vote_of_its_author(verified, user, poll, tea, fields):
    Poll.objects.update(author=user, **fields)
    response = vote(verified, poll, tea)
    assert response.status_code == 409
    assert "This poll takes no votes now. Your vote was not counted." in response.text


def test_the_sites_clock_may_be_behind_the_databases(verified, poll, tea, time_machine):
    Poll.objects.update(closes_at=timezone.now())
    time_machine.move_to(timezone.now() - timedelta(minutes=1))
    response = vote(verified, poll, tea)
    assert response.status_code == 409
    assert "Voting closed at " in response.text
