"""A site whose database is not migrated, or not yet."""

import pytest
from django.db import ProgrammingError, connection
from django.urls import reverse

from polls.listing import PollListView
from pollstr.migrated import demand_migrations

WHAT_TO_DO = "run python manage.py migrate"


@pytest.fixture
def nothing_known(transactional_db):
    """A process that has just begun, and looks for itself."""
    demand_migrations.cache_clear()
    yield
    demand_migrations.cache_clear()


@pytest.fixture
def behind(nothing_known, client):
    """A database that lacks a table, as the last migration of the polls would make it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT app, name FROM django_migrations WHERE app = 'polls'")
        kept = cursor.fetchall()
        cursor.execute("DELETE FROM django_migrations WHERE app = 'polls'")
        cursor.execute("ALTER TABLE polls_poll RENAME TO polls_poll_later")
    client.raise_request_exception = False
    yield
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE polls_poll_later RENAME TO polls_poll")
        for app, name in kept:
            cursor.execute(
                "INSERT INTO django_migrations (app, name, applied)"
                " VALUES (%s, %s, CURRENT_TIMESTAMP)",
                [app, name],
            )


@pytest.mark.usefixtures("behind")
def test_it_is_not_ready_and_says_what_to_do(client, caplog):
    answer = client.get(reverse("readyz"))
    assert answer.status_code == 503
    assert answer.text == "failing: the database is not migrated. Run python manage.py migrate."
    [line] = [record.getMessage() for record in caplog.records if record.name == "pollstr.migrated"]
    assert line == f"The database is not migrated (polls): {WHAT_TO_DO}"


@pytest.mark.usefixtures("behind")
def test_its_pages_ask_for_patience_and_the_log_says_what_to_do(client, caplog):
    response = client.get(reverse("polls:list"))
    assert response.status_code == 503
    assert "Please try again in a moment" in response.text
    assert WHAT_TO_DO in caplog.text


def test_once_it_was_found_migrated_nobody_looks_again(
    client, nothing_known, django_assert_num_queries
):
    with django_assert_num_queries(3):
        assert client.get(reverse("readyz")).text == "ok"
    with django_assert_num_queries(1):
        assert client.get(reverse("readyz")).text == "ok"


def test_migrations_of_a_later_version_do_no_harm(client, nothing_known):
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO django_migrations (app, name, applied)"
            " VALUES ('polls', '9999_later', CURRENT_TIMESTAMP)"
        )
    assert client.get(reverse("readyz")).text == "ok"
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE name = '9999_later'")


def test_a_query_that_is_wrong_is_a_fault_of_ours(client, nothing_known, monkeypatch):
    def fail(self):
        raise ProgrammingError("syntax error")

    monkeypatch.setattr(PollListView, "rows", fail)
    client.raise_request_exception = False
    assert client.get(reverse("polls:list")).status_code == 500
