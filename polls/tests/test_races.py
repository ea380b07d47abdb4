"""Votes at the same moment, each from a thread with a connection of its own."""

import json
import re
import time
from datetime import timedelta
from itertools import count
from threading import Event

import pytest
from django.db import transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from polls.ballots import VotingClosed, voter_mark
from polls.management.commands.purge import Command
from polls.models import FORGET_AFTER, Ballot, Figure, Poll, Vote
from polls.moderation import hide, show_again
from polls.tally import snapshot, tally
from two_factor.tests.parallel import in_parallel

from .factories import PollFactory
from .making import typed, typed_locked

pytestmark = pytest.mark.django_db(transaction=True)
ADA = "+12025550123"


def test_50_votes_at_once_with_one_number_count_once():
    poll = PollFactory()
    picks = iter([choice.pk for choice in poll.choices.all()] * 25)
    cast = in_parallel(50, lambda: Ballot.objects.cast(poll, ADA, [next(picks)]).revision)
    assert sorted(cast) == list(range(1, 51))
    assert Ballot.objects.get().revision == 50
    assert Ballot.objects.count() == Vote.objects.count() == 1
    assert tally(poll)["voters"] == 1


def test_500_voters_at_once_are_all_counted():
    poll = PollFactory()
    yes, no = poll.choices.all()
    voters = iter([(n, yes.pk if n % 4 else no.pk) for n in range(500)])

    def cast():
        n, choice = next(voters)
        return Ballot.objects.cast(poll, f"+1202555{n:04}", [choice]).revision

    assert in_parallel(500, cast) == [1] * 500
    assert [choice["votes"] for choice in tally(poll)["choices"]] == [375, 125]
    assert tally(poll)["voters"] == 500


def test_a_vote_that_races_the_close_falls_on_one_side_of_it():
    poll = PollFactory()
    choice = poll.choices.first().pk
    turns = count()

    def cast_or_close():
        n = next(turns)
        if n == 100:
            Poll.objects.update(closes_at=timezone.now())
            return "closed"
        if n > 100:
            snapshot(Poll.objects.get())
        number = f"+1202555{n:04}"
        try:
            Ballot.objects.cast(poll, number, [choice])
        except VotingClosed:
            return None
        return voter_mark(poll.pk, number)

    answers = in_parallel(300, cast_or_close)
    counted = {answer for answer in answers if answer not in {"closed", None}}
    assert not [answer for answer in answers if isinstance(answer, Exception)]
    assert counted == set(Ballot.objects.values_list("mark", flat=True))
    assert json.loads(snapshot(Poll.objects.get()).body)["count"]["voters"] == len(counted)
    assert 0 < len(counted) < 299


def test_a_vote_that_waited_past_the_close_is_late():
    poll = PollFactory(closes_at=timezone.now() + timedelta(seconds=0.4))
    choice = poll.choices.first().pk
    turns, locked = iter(["freeze", "vote"]), Event()

    def freeze_or_vote():
        if next(turns) == "vote":
            assert locked.wait(10)
            return Ballot.objects.cast(poll, ADA, [choice])
        with transaction.atomic():
            Poll.objects.select_for_update().get()
            locked.set()
            time.sleep(0.6)
        return None

    answers = in_parallel(2, freeze_or_vote)
    assert {type(answer) for answer in answers} == {VotingClosed, type(None)}
    assert not Ballot.objects.exists()


def test_changes_that_race_leave_the_votes_of_one_ballot():
    """Of several answers, too: never some of one vote and some of another."""
    poll = PollFactory(min_choices=2, max_choices=2, choices=["A", "B", "C", "D"])
    a, b, c, d = (choice.pk for choice in poll.choices.all())
    picks = iter([[a, b], [c, d]] * 25)
    cast = in_parallel(50, lambda: Ballot.objects.cast(poll, ADA, next(picks)).revision)
    assert sorted(cast) == list(range(1, 51))
    assert set(Vote.objects.values_list("choice", flat=True)) in [{a, b}, {c, d}]


def test_refusals_at_once_are_all_counted():
    poll = PollFactory()
    in_parallel(50, lambda: Figure.note(poll, Figure.Kind.LATE))
    assert Figure.objects.get().count == 50


def test_50_clicks_at_once_are_all_answered_and_count_once(verified):
    poll = PollFactory()
    picks = iter([choice.pk for choice in poll.choices.all()] * 25)

    def click():
        browser = Client()
        browser.cookies = verified.cookies
        response = browser.post(reverse("polls:vote", args=[poll.pk]), {"choice": next(picks)})
        return response.status_code

    assert in_parallel(50, click) == [302] * 50
    assert Ballot.objects.count() == Vote.objects.count() == 1


def test_an_edit_waits_for_a_first_vote_under_way_and_finds_the_poll_locked(verified, user):
    poll = PollFactory(author=user, question="Tea?")
    yes = poll.choices.first().pk
    turns, is_cast = iter(["vote", "edit"]), Event()

    def vote_or_edit():
        if next(turns) == "vote":
            with transaction.atomic():
                Ballot.objects.cast(poll, ADA, [yes])
                is_cast.set()
                time.sleep(0.6)
            return "voted"
        assert is_cast.wait(10)
        browser = Client()
        browser.cookies = verified.cookies
        edit = reverse("polls:edit", args=[poll.pk])
        sent = typed(question="Coffee?", choices=["Yes", "No"])
        return browser.post(edit, sent).status_code

    assert set(in_parallel(2, vote_or_edit)) == {"voted", 200}
    assert Poll.objects.get().question == "Tea?"


def browsers_of(verified):
    browser = Client()
    browser.cookies = verified.cookies
    return browser


def test_of_two_edits_at_once_one_is_told_of_the_other(verified, user):
    poll = PollFactory(author=user, question="Tea?")
    edit = reverse("polls:edit", args=[poll.pk])
    version = re.search(r'name="version" value="(\w+)"', verified.get(edit).text)[1]
    questions = iter(["Coffee?", "Cocoa?", "Water?", "Juice?"])

    def save():
        sent = typed(question=next(questions), choices=["Yes", "No"], version=version)
        return browsers_of(verified).post(edit, sent).status_code

    assert sorted(in_parallel(4, save)) == [302, 409, 409, 409]


def test_typo_fixes_at_once_leave_two_wordings(verified, user):
    poll = PollFactory(author=user, choices=["Marten", "Martin"])
    Ballot.objects.cast(poll, ADA, [poll.choices.first().pk])
    edit = reverse("polls:edit", args=[poll.pk])
    pairs = iter([["Marton", "Martin"], ["Marten", "Marton"], ["Martan", "Martin"]])

    def save():
        return browsers_of(verified).post(edit, typed_locked(poll, choices=next(pairs))).status_code

    assert set(in_parallel(3, save)) <= {200, 302}
    assert len({choice.text for choice in poll.choices.all()}) == 2


def test_many_clicks_on_publish_make_one_poll(verified):
    sent = typed(nonce="n" * 22, publish="1")
    new = reverse("polls:new")
    answers = in_parallel(6, lambda: browsers_of(verified).post(new, sent)["Location"])
    assert answers == [f"/p/{Poll.objects.get().slug}/"] * 6


def test_many_clicks_on_copy_make_one_poll(verified, user):
    copy = reverse("polls:copy", args=[PollFactory(author=user).pk])
    in_parallel(6, lambda: browsers_of(verified).post(copy, {"nonce": "n" * 22}))
    assert Poll.objects.count() == 2


@pytest.mark.parametrize("name", ["close", "trash"])
def test_an_act_at_once_happens_once(verified, user, name):
    poll = PollFactory(author=user)
    Ballot.objects.cast(poll, ADA, [poll.choices.first().pk])
    path = reverse(f"polls:{name}", args=[poll.pk])
    statuses = in_parallel(4, lambda: browsers_of(verified).post(path).status_code)
    assert set(statuses) <= {302, 404}
    assert poll.changes.count() == 1


@pytest.mark.parametrize("is_same", [True, False], ids=["the same vote", "different votes"])
def test_clicks_at_once_where_votes_are_final_count_once(verified, is_same):
    poll = PollFactory(may_change=False, choices=[str(n) for n in range(24)])
    ids = [choice.pk for choice in poll.choices.all()]
    picks = iter(ids[:1] * 24 if is_same else ids)

    def click():
        browser = Client()
        browser.cookies = verified.cookies
        return browser.post(poll.url("vote"), {"choice": next(picks)}).status_code

    answers = sorted(in_parallel(24, click))
    assert answers == ([302] * 24 if is_same else [302] + [409] * 23)
    assert Ballot.objects.get().revision == 1
    assert Vote.objects.count() == 1
    refused = sum(Figure.objects.values_list("count", flat=True))
    assert refused == (0 if is_same else 23)


def test_a_poll_that_is_opened_again_while_purge_waits_forgets_nobody():
    ago = timezone.now() - FORGET_AFTER
    poll = PollFactory(forgets_voters=True, opens_at=ago - timedelta(days=1))
    Ballot.objects.cast(poll, ADA, [poll.choices.first().pk])
    Poll.objects.update(closes_at=ago)
    turns, is_held = iter(["reopen", "purge"]), Event()

    def reopen_or_purge():
        if next(turns) == "purge":
            assert is_held.wait(10)
            return Command().forget(poll.pk)
        with transaction.atomic():
            held = Poll.objects.select_for_update().get()
            is_held.set()
            time.sleep(0.5)
            held.reopen(timezone.now() + timedelta(days=1), "Some could not vote.")
        return None

    assert set(in_parallel(2, reopen_or_purge)) == {None, False}
    assert Ballot.objects.of(poll, ADA)
    assert Ballot.objects.cast(poll, ADA, [poll.choices.last().pk]).revision == 2


def test_of_many_who_hide_a_poll_at_once_one_does_it():
    poll = PollFactory()
    reasons = count()
    hidden = in_parallel(20, lambda: hide(Poll.objects.get(pk=poll.pk), f"Reason {next(reasons)}."))
    assert sorted(hidden) == [False] * 19 + [True]
    shown = in_parallel(20, lambda: show_again(Poll.objects.get(pk=poll.pk)))
    assert sorted(shown) == [False] * 19 + [True]
