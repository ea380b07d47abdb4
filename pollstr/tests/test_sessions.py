from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.utils import timezone

from pollstr.sessions import SessionStore

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


def test_a_new_session_is_written_without_a_look_for_its_key(django_assert_num_queries):
    # The savepoint is the tests' own transaction's.
    with django_assert_num_queries(3) as queries:
        SessionStore().create()
    assert [query["sql"].split()[0] for query in queries] == ["SAVEPOINT", "INSERT", "RELEASE"]
