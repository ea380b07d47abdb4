"""A count that is dear is shared for a while; a cheap one is always fresh."""

import json
from threading import Event, Thread

import pytest
from django.core.cache import cache
from django.urls import reverse

from polls import tally as module
from polls.models import Ballot, Poll
from polls.tally import tally

from .factories import PollFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def poll():
    return PollFactory()


@pytest.fixture
def dear(monkeypatch):
    """Make each count dear, and so that its copy serves for far longer than a test lasts."""
    monkeypatch.setattr(module, "FEW", -1)
    monkeypatch.setattr(module, "MOST_OF_A_PROCESSOR", 1e-9)


def cast(poll, n=0):
    Ballot.objects.cast(poll, f"+1202555{n:04}", [poll.choices.first().pk])


def test_a_cheap_count_is_made_anew_for_each_reader(poll):
    assert tally(poll)["voters"] == 0
    cast(poll)
    assert tally(poll)["voters"] == 1


def test_the_own_vote_is_seen_at_once(verified, poll):
    verified.get(reverse("polls:results", args=[poll.pk]))
    data = {"choice": poll.choices.first().pk}
    page = verified.post(reverse("polls:vote", args=[poll.pk]), data, follow=True).text
    assert "1 voter, one verified phone number" in page


def test_a_dear_count_is_shared(poll, dear, django_assert_num_queries):
    counted = tally(poll)
    cast(poll)
    with django_assert_num_queries(0):
        assert tally(poll) == counted


def test_a_dear_count_of_another_poll_is_its_own(poll, dear):
    cast(poll)
    assert tally(poll)["voters"] == 1
    assert tally(PollFactory())["voters"] == 0


def test_after_its_time_a_dear_count_is_made_anew(poll, dear, monkeypatch):
    tally(poll)
    cast(poll)
    now = module.time.time()
    monkeypatch.setattr(module.time, "time", lambda: now + 10**12)
    assert tally(poll)["voters"] == 1


def test_a_dear_count_of_a_clock_that_ran_ahead_is_made_anew(poll, dear, monkeypatch):
    key, ahead = f"count-{poll.pk}", module.time.time() + 24 * 3600
    tally(poll)
    cache.set(key, cache.get(key) | {"fresh_until": ahead})
    cast(poll)
    assert tally(poll)["voters"] == 1


def test_a_count_that_became_cheap_is_fresh_again(poll, dear, monkeypatch):
    tally(poll)
    expire(poll)
    monkeypatch.setattr(module, "FEW", 10)
    for n in range(2):
        cast(poll, n)
        assert tally(poll)["voters"] == n + 1


def expire(poll):
    key = f"count-{poll.pk}"
    cache.set(key, cache.get(key) | {"fresh_until": 0})


def test_of_many_readers_one_counts_and_the_others_get_the_last_copy(poll, dear, monkeypatch):
    tally(poll)
    cast(poll)
    expire(poll)
    counting, readers_done = Event(), Event()

    def slow_count(poll):
        counting.set()
        assert readers_done.wait(10)
        return {"voters": 1, "choices": [], "counted_at": "now", "hours": []}

    monkeypatch.setattr(module, "count", slow_count)
    counter = Thread(target=module.recent, args=[poll])
    counter.start()
    assert counting.wait(10)
    assert [tally(poll)["voters"] for _ in range(20)] == [0] * 20
    readers_done.set()
    counter.join()
    assert tally(poll)["voters"] == 1


def test_voters_votes_and_hours_come_from_one_statement(poll, django_assert_num_queries):
    cast(poll)
    with django_assert_num_queries(1):
        assert module.count(poll)["voters"] == 1


def test_the_frozen_count_has_no_hours(poll):
    cast(poll)
    Poll.objects.update(closes_at="2026-01-02T00:00:00Z")
    poll.refresh_from_db()
    frozen = json.loads(module.snapshot(poll).body)
    assert frozen["count"].keys() == {"voters", "choices", "counted_at"}
    assert [hour["voters"] for hour in tally(poll)["hours"]] == [1]
