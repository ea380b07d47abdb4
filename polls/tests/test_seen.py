"""A vote counts only for the wording and the rules that the voter saw."""

import re
import time
from threading import Event

import pytest
from django.db import connection, transaction
from django.db.models import QuerySet
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from polls import kept
from polls.ballots import PickRefused, fingerprint
from polls.models import Ballot, Choice, Figure, Poll, Vote
from two_factor.tests.parallel import in_parallel

from .factories import ChoiceFactory, PollFactory

pytestmark = pytest.mark.django_db
ADA = "+12025550123"
SEEN = re.compile('name="seen" value="([0-9a-f]{32})"')
CHANGED = "This poll has changed since you opened it."


@pytest.fixture
def poll(user):
    choices = ["Yes", "No", "Later"]
    return PollFactory(author=user, question="Keep the library?", choices=choices)


def seen_on(response) -> str:
    (seen,) = SEEN.findall(response.text)
    return seen


def open_ballot(browser, poll) -> str:
    return seen_on(browser.get(poll.url("ballot")))


def vote(browser, poll, *choices, **fields):
    data = {"choice": [choice.pk for choice in choices]} | fields
    return browser.post(poll.url("vote"), data)


def checked(response, poll):
    return [c.text for c in poll.choices.all() if f'value="{c.pk}" checked' in response.text]


def test_the_cursor_stays_at_what_was_picked(verified, poll):
    seen = open_ballot(verified, poll)
    Poll.objects.update(question="Keep the library!")
    response = vote(verified, poll, poll.choices.all()[1], seen=seen)
    pk = poll.choices.all()[1].pk
    assert response.text.count("autofocus") == 1
    assert f'value="{pk}" checked autofocus' in response.text


CHANGES = {
    "question": {"question": "Tear the library down?"},
    "one letter": {"question": "Keep the library!"},
    "description": {"description": "It costs 900 a year each."},
    "most": {"max_choices": 2},
    "fewest": {"min_choices": 2, "max_choices": 2},
    "may change": {"may_change": False},
    "results": {"results_for": "everyone"},
}


@pytest.mark.parametrize("fields", CHANGES.values(), ids=CHANGES)
def test_a_vote_for_what_was_not_seen_is_refused_with_its_pick_kept(verified, poll, fields):
    seen, pick = open_ballot(verified, poll), poll.choices.get(text="Later")
    Poll.objects.update(**fields)
    response = vote(verified, poll, pick, seen=seen)
    assert response.status_code == 409
    assert CHANGED in response.text
    assert fields.get("question", poll.question) in response.text
    assert checked(response, poll) == ["Later"]
    assert not Ballot.objects.exists()
    assert not Figure.objects.exists()


def test_the_new_wording_can_be_voted_on_from_the_page_that_says_so(verified, poll):
    seen, pick = open_ballot(verified, poll), poll.choices.get(text="No")
    Poll.objects.update(question="Sell the library?")
    again = seen_on(vote(verified, poll, pick, seen=seen))
    assert again != seen
    assert vote(verified, poll, pick, seen=again).status_code == 302
    assert Vote.objects.get().choice == pick


def test_another_wording_of_an_option_is_another_ballot(verified, poll):
    seen, pick = open_ballot(verified, poll), poll.choices.get(text="Yes")
    Choice.objects.filter(pk=pick.pk).update(text="Yes, but smaller")
    response = vote(verified, poll, pick, seen=seen)
    assert response.status_code == 409
    assert "Yes, but smaller" in response.text
    assert checked(response, poll) == ["Yes, but smaller"]


@pytest.mark.parametrize("is_picked", [True, False])
def test_an_option_that_went_is_not_picked_any_more(verified, poll, is_picked):
    seen, gone = open_ballot(verified, poll), poll.choices.get(text="Later")
    pick = (gone if is_picked else poll.choices.get(text="No")).pk
    gone.delete()
    response = verified.post(poll.url("vote"), {"choice": pick, "seen": seen})
    assert response.status_code == 409
    assert CHANGED in response.text
    assert checked(response, poll) == ([] if is_picked else ["No"])


def test_an_option_that_came_is_shown_first(verified, poll):
    seen = open_ballot(verified, poll)
    ChoiceFactory(poll=poll, text="Never")
    response = vote(verified, poll, poll.choices.first(), seen=seen)
    assert response.status_code == 409
    assert "Never" in response.text


UNCHANGED = {
    "a later end": lambda poll: Poll.objects.update(closes_at="2126-01-02T03:04Z"),
    "the list": lambda poll: Poll.objects.update(is_listed=False),
    "votes": lambda poll: Ballot.objects.cast(poll, "+12025550199", [poll.choices.first().pk]),
    "another order": lambda poll: Choice.objects.filter(text="Yes").update(position=9),
    "another poll": lambda poll: PollFactory(question="Another?"),
}


@pytest.mark.parametrize("change", UNCHANGED.values(), ids=UNCHANGED)
def test_what_is_no_part_of_the_decision_refuses_no_vote(verified, poll, change):
    seen = open_ballot(verified, poll)
    change(poll)
    poll.refresh_from_db()
    assert vote(verified, poll, poll.choices.first(), seen=seen).status_code == 302


@pytest.mark.parametrize("seen", ["", "0" * 32, "junk", "\0", "ä" * 32, "x" * 10_000])
def test_a_wrong_fingerprint_is_refused(verified, poll, seen):
    assert vote(verified, poll, poll.choices.first(), seen=seen).status_code == 409
    assert not Ballot.objects.exists()


def test_that_of_another_poll_is_wrong(verified, poll):
    twin = PollFactory(question=poll.question, choices=["Yes", "No", "Later"])
    seen = open_ballot(verified, twin)
    assert vote(verified, poll, poll.choices.first(), seen=seen).status_code == 409


def test_a_missing_one_is_accepted(verified, poll):
    assert vote(verified, poll, poll.choices.first()).status_code == 302


@pytest.mark.parametrize("has_voted", [True, False])
@pytest.mark.parametrize("is_closed", [True, False])
def test_who_voted_before_is_told_that_the_earlier_vote_counts(
    verified, poll, has_voted, is_closed
):
    seen = open_ballot(verified, poll)
    if has_voted:
        vote(verified, poll, poll.choices.first(), seen=seen)
    Poll.objects.update(question="Sell?", closes_at=timezone.now() if is_closed else None)
    response = vote(verified, poll, poll.choices.last(), seen=seen)
    assert response.status_code == 409
    assert ("Your earlier vote still counts." in response.text) == has_voted


def test_a_closed_poll_says_that_it_is_closed_whatever_changed(verified, poll):
    seen = open_ballot(verified, poll)
    Poll.objects.update(question="Sell?", closes_at=timezone.now())
    response = vote(verified, poll, poll.choices.first(), seen=seen)
    assert response.status_code == 409
    assert "Voting closed at" in response.text


@pytest.mark.parametrize("person", ["client", "signed_in", "verified"])
def test_the_public_page_names_what_it_shows(request, poll, person):
    browser = request.getfixturevalue(person)
    page = browser.get(reverse("share", args=[poll.slug]))
    assert seen_on(page) == fingerprint(poll)


@pytest.mark.django_db(transaction=True)
def test_a_kept_page_leads_into_no_loop(verified, poll, monkeypatch):
    monkeypatch.setattr("polls.kept.KEPT", 60)
    kept.pages.clear()
    reader = Client()
    reader.cookies = verified.cookies
    Poll.objects.update(author=None)
    seen = open_ballot(reader, poll)
    # Another process changes it, so this one does not hear of it.
    QuerySet(Poll).filter(pk=poll.pk).update(question="Sell the library?")
    assert open_ballot(reader, poll) == seen
    refused = vote(reader, poll, poll.choices.first(), seen=seen)
    assert "Sell the library?" in refused.text
    again = vote(reader, poll, poll.choices.first(), seen=seen_on(refused))
    assert again.status_code == 302
    kept.pages.clear()


def test_cast_itself_knows_the_rules_of_the_row(poll):
    stale = Poll.objects.get()
    yes, no, later = poll.choices.all()
    Poll.objects.update(min_choices=2, max_choices=2)
    for picks in [[yes.pk], [yes.pk, no.pk, later.pk], [], [yes.pk, yes.pk]]:
        with pytest.raises(PickRefused):
            Ballot.objects.cast(stale, ADA, picks)
    with pytest.raises(PickRefused):
        Ballot.objects.cast(stale, ADA, [yes.pk, ChoiceFactory(poll=PollFactory()).pk])
    assert not Ballot.objects.exists()
    assert not Vote.objects.exists()
    assert Ballot.objects.cast(stale, ADA, [yes.pk, no.pk])


def hold_and_change(poll, change):
    """Hold the poll, have it changed while a vote waits for it, and commit."""
    with transaction.atomic():
        Poll.objects.select_for_update().get(pk=poll.pk)
        yield
        time.sleep(0.5)
        change()


RULES = {
    "fewer answers": {"max_choices": 1},
    "more answers": {"min_choices": 3, "max_choices": 3},
    "another question": {"question": "Tear the library down?"},
    "no more changes": {"may_change": False},
}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_named", [True, False], ids=["seen", "not seen"])
@pytest.mark.parametrize("fields", RULES.values(), ids=RULES)
def test_a_vote_that_waits_for_a_change_is_judged_by_the_changed_poll(
    verified, poll, fields, is_named
):
    Poll.objects.update(max_choices=2)
    yes, no, _ = poll.choices.all()
    if "may_change" in fields:
        Ballot.objects.cast(Poll.objects.get(), ADA, [yes.pk])
    seen = {"seen": open_ballot(verified, poll)} if is_named else {}
    turns, is_held = iter(["change", "vote"]), Event()

    def change_or_vote():
        if next(turns) == "vote":
            assert is_held.wait(10)
            browser = Client()
            browser.cookies = verified.cookies
            response = vote(browser, poll, yes, no, **seen)
            return response.status_code, response.content.decode()
        for _ in hold_and_change(poll, lambda: Poll.objects.update(**fields)):
            is_held.set()
        return None

    answers = [answer for answer in in_parallel(2, change_or_vote) if answer]
    [(status, text)] = answers
    if "question" in fields and not is_named:
        assert status == 302
        return
    assert status in ({409} if is_named or "may_change" in fields else {200})
    assert 'id="choice-error"' in text
    assert Vote.objects.count() == ("may_change" in fields)


@pytest.mark.django_db(transaction=True)
def test_first_votes_at_the_moment_of_an_edit_never_break_the_rules(poll):
    """The author's edit from 3 answers to 1, while voters pick 3."""
    Poll.objects.update(max_choices=3)
    stale = Poll.objects.get()
    picks = [choice.pk for choice in poll.choices.all()]
    numbers = iter(range(64))

    def vote_or_edit():
        n = next(numbers)
        if n != 24:
            return Ballot.objects.cast(stale, f"+1202555{n:04}", picks)
        with transaction.atomic():
            locked = Poll.objects.select_for_update().get()
            if not locked.is_locked:
                Poll.objects.update(max_choices=1)
        return None

    in_parallel(64, vote_or_edit)
    most = Poll.objects.get().max_choices
    assert all(ballot.votes.count() <= most for ballot in Ballot.objects.all())


@pytest.mark.django_db(transaction=True)
def test_an_edit_waits_for_a_vote_that_reads_the_poll(verified, poll):
    """The edit page takes the row for itself, so wording cannot change while a vote is judged."""
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one writer at a time")
    seen = open_ballot(verified, poll)
    moments, turns, is_held = {}, iter(["vote", "edit"]), Event()

    def vote_or_edit():
        if next(turns) == "vote":
            with transaction.atomic():
                Ballot.objects.write(poll, ADA, [poll.choices.first().pk])
                is_held.set()
                time.sleep(0.5)
                moments["voted"] = time.monotonic()
            return None
        assert is_held.wait(10)
        browser = Client()
        browser.cookies = verified.cookies
        form = {"question": "Sell it?", "choices": ["Yes", "No", "Later"]}
        browser.post(reverse("polls:edit", args=[poll.pk]), form)
        moments["edited"] = time.monotonic()
        return None

    in_parallel(2, vote_or_edit)
    assert moments["edited"] > moments["voted"]
    assert fingerprint(Poll.objects.get()) == seen
