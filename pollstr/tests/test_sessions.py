from datetime import timedelta

import pytest
from django.contrib.auth import get_user
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from pollstr.sessions import SessionStore, hashed

pytestmark = pytest.mark.django_db


@pytest.fixture
def stored():
    session = SessionStore()
    session["answer"] = "tea"
    session.save()
    return session


def test_a_session_is_loaded_by_one_query(stored, django_assert_num_queries):
    with django_assert_num_queries(1):
        assert SessionStore(stored.session_key)["answer"] == "tea"


def test_a_session_that_ended_is_not_loaded(stored):
    Session.objects.update(expire_date=timezone.now() - timedelta(seconds=1))
    loaded = SessionStore(stored.session_key)
    assert "answer" not in loaded
    assert loaded.session_key is None


def test_a_key_that_nobody_was_given_begins_no_session():
    loaded = SessionStore("a" * 32)
    assert not loaded.keys()
    assert loaded.session_key is None


def test_what_was_tampered_with_is_not_loaded(stored):
    Session.objects.update(session_data="junk")
    assert dict(SessionStore(stored.session_key).items()) == {}


def test_the_table_tells_no_key(stored):
    [row] = Session.objects.all()
    assert row.pk != stored.session_key
    assert stored.session_key not in row.session_data


def test_what_the_table_tells_opens_no_session(client, user):
    client.force_login(user)
    [row] = Session.objects.all()
    thief = Client()
    thief.cookies["sessionid"] = row.pk
    assert get_user(client) == user
    assert not get_user(thief).is_authenticated
    assert not SessionStore(row.pk).keys()


@pytest.fixture
def of_before(stored):
    """A session under its key in clear, as an earlier version wrote it."""
    Session.objects.update(session_key=stored.session_key)
    return stored.session_key


def test_a_session_of_before_goes_on_and_its_key_is_hashed(of_before, django_assert_num_queries):
    with django_assert_num_queries(2):
        assert SessionStore(of_before)["answer"] == "tea"
    assert not Session.objects.filter(pk=of_before).exists()
    with django_assert_num_queries(1):
        assert SessionStore(of_before)["answer"] == "tea"


@pytest.mark.parametrize("act", ["save", "cycle_key", "flush", "delete"])
def test_with_a_session_of_before_all_works(of_before, act):
    session = SessionStore(of_before)
    session["answer"] = "coffee"
    getattr(session, act)()
    left = {"save": ["coffee"], "cycle_key": ["coffee"]}.get(act, [])
    kept = [row.get_decoded().get("answer") for row in Session.objects.all()]
    assert kept == left
    if act == "cycle_key":
        assert not SessionStore(of_before).keys()


def test_a_session_of_before_may_be_deleted_before_it_is_loaded(of_before):
    SessionStore(of_before).delete()
    assert not Session.objects.exists()


def test_a_session_that_is_saved_again_stays_one(stored):
    stored["answer"] = "coffee"
    stored.save()
    assert Session.objects.count() == 1
    assert SessionStore(stored.session_key)["answer"] == "coffee"


def test_a_session_that_another_click_ended_is_not_written_again(stored):
    SessionStore(stored.session_key).delete()
    with pytest.raises(UpdateError):
        stored.save()
    assert not Session.objects.exists()


def test_sessions_that_ended_are_cleared(stored):
    other = SessionStore()
    other.create()
    Session.objects.exclude(pk=hashed(other.session_key)).update(
        expire_date=timezone.now() - timedelta(seconds=1)
    )
    call_command("clearsessions")
    assert Session.objects.get().pk == hashed(other.session_key)


@pytest.mark.parametrize("cookie", ["\0" * 32, "é" * 32, "a" * 31, "a" * 40, "a" * 5000, "' OR 1"])
def test_no_cookie_breaks_it(client, cookie):
    client.cookies["sessionid"] = cookie
    assert client.get("/account/").status_code == 302


def test_a_new_session_is_written_without_a_look_for_its_key(django_assert_num_queries):
    # The savepoint is the tests' own transaction's.
    with django_assert_num_queries(3) as queries:
        SessionStore().create()
    assert [query["sql"].split()[0] for query in queries] == ["SAVEPOINT", "INSERT", "RELEASE"]
