import json
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import call_command
from django.urls import reverse
from django.utils import timezone

from polls.models import Ballot, Change, Poll, Snapshot
from polls.tally import snapshot, tally

from . import people
from .factories import PollFactory

pytestmark = pytest.mark.django_db
ADA, BOB = "+12025550123", "+12025550124"
NEW_END = datetime(2126, 7, 1, 12, tzinfo=UTC)


@pytest.fixture
def poll(user):
    """A closed poll with one vote, whose count is frozen."""
    poll = PollFactory(author=user, question="Tea?")
    Ballot.objects.cast(poll, ADA, [poll.choices.first().pk])
    poll.closes_at = timezone.now() - timedelta(seconds=1)
    poll.save(update_fields=["closes_at"])
    snapshot(poll)
    return poll


def reopen(browser, poll, closes_at="2126-07-01T12:00", reason="Ann was on holiday.", **fields):
    data = {"closes_at": closes_at, "reason": reason} | fields
    response = browser.post(reverse("polls:reopen", args=[poll.pk]), data)
    poll.refresh_from_db()
    return response


def test_it_asks_for_a_new_end_and_a_reason(verified, poll):
    text = verified.get(reverse("polls:reopen", args=[poll.pk])).text
    assert "<title>Reopen this poll · Pollstr</title>" in text
    assert 'name="closes_at"' in text
    assert 'name="reason"' in text
    poll.refresh_from_db()
    assert poll.is_closed


def test_people_can_vote_again(verified, poll):
    response = reopen(verified, poll)
    assert response["Location"] == f"/p/{poll.slug}/"
    assert poll.closes_at == NEW_END
    Ballot.objects.cast(poll, BOB, [poll.choices.last().pk])
    assert tally(poll)["voters"] == 2


def test_it_is_told_with_the_reason_and_what_was_frozen(verified, poll, client):
    sha256 = Snapshot.objects.get().sha256
    reopen(verified, poll)
    what = (
        "Reopened until 1 July 2126, 12:00 UTC. The reason: “Ann was on holiday.” "
        f"The frozen count with the SHA-256 {sha256} was deleted."
    )
    [change] = Change.objects.all()
    assert (change.what, change.voters) == (what, 1)
    assert what in client.get(reverse("polls:integrity", args=[poll.pk])).text
    assert not Snapshot.objects.exists()


@pytest.mark.parametrize("was_frozen", [True, False])
def test_it_may_have_no_end(verified, poll, was_frozen):
    if not was_frozen:
        Snapshot.objects.all().delete()
    response = reopen(verified, poll, closes_at="", no_end="on")
    assert "It has no end" in verified.get(response["Location"]).text
    assert (poll.closes_at, poll.is_open) == (None, True)
    what = Change.objects.get().what
    assert what.startswith("Reopened without an end. The reason: “Ann was on holiday.”")
    assert ("was deleted." in what) is was_frozen


def test_an_end_and_no_end_are_too_much(verified, poll):
    response = reopen(verified, poll, no_end="on")
    assert "Choose a new end or none, not both." in response.text
    assert poll.is_closed


def test_another_count_is_frozen_at_the_new_end(verified, poll):
    reopen(verified, poll)
    Ballot.objects.cast(poll, BOB, [poll.choices.last().pk])
    Poll.objects.update(closes_at=timezone.now() - timedelta(milliseconds=5))
    poll.refresh_from_db()
    assert json.loads(snapshot(poll).body)["count"]["voters"] == 2
    call_command("recount")


def test_without_a_vote_it_is_told_too(verified, poll):
    quiet = PollFactory(author=poll.author, closes_at=datetime(2026, 1, 2, tzinfo=UTC))
    reopen(verified, quiet)
    [change] = Change.objects.all()
    assert change.what == (
        "Reopened until 1 July 2126, 12:00 UTC. The reason: “Ann was on holiday.”"
    )
    assert change.voters == 0


def test_the_end_is_read_on_the_polls_own_clocks(verified, poll):
    Poll.objects.update(time_zone="Europe/Berlin")
    page = verified.get(reverse("polls:reopen", args=[poll.pk])).text
    assert "As the clocks of Europe/Berlin show it." in page
    reopen(verified, poll)
    assert poll.closes_at == NEW_END - timedelta(hours=2)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"closes_at": ""}, "Choose the new end."),
        ({"closes_at": "2026-01-01T12:00"}, "That is past. Choose a later time."),
        ({"closes_at": "junk"}, "Write it as in 2026-11-24 18:00."),
        ({"closes_at": "9999-12-31T23:59"}, "Choose a year from 1970 to 2199."),
        ({"reason": ""}, "Say why: everybody can read it."),
        ({"reason": " \n"}, "Say why: everybody can read it."),
        ({"reason": "x" * 301}, "at most 300 characters (it has 301)"),
        ({"reason": "\u3164\u2800"}, "Say why: everybody can read it."),
        ({"closes_at": "2126-06-31T12:00"}, "There is no such day."),
        ({"reason": "a\0b"}, "Null characters are not allowed."),
    ],
    ids=lambda value: str(value)[:30],
)
def test_bad_input_is_said_and_what_was_typed_kept(verified, poll, fields, sentence):
    response = reopen(verified, poll, **fields)
    assert response.status_code == 200
    assert sentence in response.text
    kept = "2126-07-01T12:00" if "reason" in fields else "Ann was on holiday."
    assert f'value="{kept}"' in response.text
    assert poll.is_closed
    assert Snapshot.objects.exists()


def test_a_reason_is_escaped(verified, poll, client):
    reopen(verified, poll, reason="<script>alert(1)</script>")
    assert "<script>alert" not in client.get(reverse("polls:integrity", args=[poll.pk])).text


def test_where_the_voters_are_forgotten_it_stays_closed(verified, poll):
    Poll.objects.update(voters_forgotten_at=timezone.now())
    response = reopen(verified, poll)
    assert response["Location"] == "/polls/mine/?show=closed"
    assert "a second vote would not be noticed" in verified.get(response["Location"]).text
    assert poll.is_closed
    assert not Change.objects.exists()


@pytest.mark.parametrize(
    "fields",
    [{"closes_at": None}, {"published_at": None}, {"hidden_because": "It is spam."}],
    ids=str,
)
def test_only_a_closed_poll_can_be_reopened(verified, poll, fields):
    Poll.objects.update(**fields)
    poll.refresh_from_db()
    before = poll.closes_at
    for response in [verified.get(f"/polls/{poll.pk}/reopen/"), reopen(verified, poll)]:
        assert response["Location"].startswith("/polls/mine/?show=")
    assert poll.closes_at == before
    assert Snapshot.objects.exists()


def test_a_second_click_changes_nothing(verified, poll):
    reopen(verified, poll)
    reopen(verified, poll, closes_at="2127-01-01T12:00")
    assert poll.closes_at == NEW_END
    assert Change.objects.count() == 1


def test_to_others_it_is_not_there(poll):
    browser = people.verified(poll)
    assert browser.get(f"/polls/{poll.pk}/reopen/").status_code == 404
    assert reopen(browser, poll).status_code == 404
    assert poll.is_closed


def test_what_is_not_there_or_in_the_trash_is_a_404(verified, poll):
    Poll.objects.update(trashed_at=timezone.now())
    assert reopen(verified, poll).status_code == 404
    assert verified.get(f"/polls/{poll.pk + 1}/reopen/").status_code == 404


def test_the_anonymous_and_the_unverified_are_led_through_the_gate(client, poll):
    assert reopen(client, poll)["Location"] == f"/login/?next=/polls/{poll.pk}/reopen/"
    client.force_login(poll.author)
    assert reopen(client, poll)["Location"] == f"/2fa/?next=%2Fpolls%2F{poll.pk}%2Freopen%2F"
    assert poll.is_closed


def test_it_takes_no_other_method(verified, poll):
    assert verified.put(f"/polls/{poll.pk}/reopen/").status_code == 405
