"""Copies that many readers share: when they are rebuilt, and when nobody gets them any more."""

import pytest
from django.core.cache import cache
from django.db import transaction

from polls.shared_copy import ProcessStore, SharedCopy, forget_now_and_on_commit

FRESH, MAX_AGE = 1, 2
START = 1_800_000_000


@pytest.fixture(params=["process", "cache"])
def store(request):
    return ProcessStore(lambda values: False) if request.param == "process" else cache


@pytest.fixture
def copy(store):
    return SharedCopy(store, "name", FRESH, MAX_AGE)


@pytest.fixture
def at(time_machine):
    """Move to so many seconds after the start."""

    def at(seconds):
        time_machine.move_to(START + seconds, tick=False)

    at(0)
    return at


def fail():
    raise LookupError


def test_there_is_none_before_the_first_rebuild(copy, at):
    assert copy.get() is None
    assert copy.rebuild(lambda: "new") == "new"
    assert copy.get() == "new"


def test_of_several_readers_one_rebuilds_and_the_others_get_the_old_copy(copy, at):
    copy.rebuild(lambda: "old")
    at(1.5)
    assert [copy.get() for _ in range(4)] == [None, "old", "old", "old"]


@pytest.mark.parametrize("readers", [1, 50])
def test_no_reader_gets_a_copy_older_than_its_maximum_age(copy, at, readers):
    """Even where whoever was to rebuild it never came back."""
    copy.rebuild(lambda: "old")
    for tenth in range(1, 20):
        at(tenth / 10)
        for _ in range(readers):
            copy.get()
    at(MAX_AGE)
    assert [copy.get() for _ in range(readers)] == [None] * readers


def test_the_age_counts_from_when_the_rebuild_began(copy, at):
    copy.rebuild(lambda: at(1.9) or "slow")
    assert copy.get() == "slow"
    at(2)
    assert copy.get() is None


@pytest.mark.parametrize("make", [fail, lambda: None], ids=["raises", "returns nothing"])
def test_a_rebuild_that_fails_drops_the_copy(copy, at, make):
    copy.rebuild(lambda: "old")
    at(1.1)
    try:
        assert copy.rebuild(make) is None
    except LookupError:
        assert make is fail
    assert copy.get() is None


def test_a_copy_from_before_the_moment_that_is_asked_for_is_not_served(copy, at):
    copy.rebuild(lambda: "old")
    assert copy.get(START + 0.5) is None
    assert copy.get(START) == "old"


def test_a_copy_of_a_clock_that_ran_ahead_is_not_served(copy, at):
    at(3600)
    copy.rebuild(lambda: "old")
    at(0)
    assert copy.get() is None
    copy.rebuild(lambda: "new")
    assert copy.get() == "new"


def test_a_full_store_makes_room(at):
    store = ProcessStore(lambda values: len(values) >= 2)
    for name in ["a", "b"]:
        store.set(name, name, 9)
    store.set("a", "again", 9)
    assert store.values() == ["again", "b"]
    store.set("c", "c", 9)
    assert store.values() == ["c"]


@pytest.mark.django_db(transaction=True)
def test_what_is_forgotten_in_a_transaction_is_forgotten_again_at_its_end():
    calls = []
    with transaction.atomic():
        forget_now_and_on_commit(lambda: calls.append("forgotten"))
        assert len(calls) == 1
    assert len(calls) == 2
    forget_now_and_on_commit(lambda: calls.append("forgotten"))
    assert len(calls) == 3
