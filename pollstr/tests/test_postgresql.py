"""How a kept connection to PostgreSQL is looked at."""

import time

import pytest
from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db.utils import ConnectionHandler

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(connection.vendor != "postgresql", reason="looks at PostgreSQL's own"),
]


@pytest.fixture
def other():
    """A second connection, kept from one request to the next."""
    settings = connections[DEFAULT_DB_ALIAS].settings_dict
    other = ConnectionHandler({DEFAULT_DB_ALIAS: settings})[DEFAULT_DB_ALIAS]
    other.connect()
    yield other
    other.close()


def begin_request(other):
    other.close_if_unusable_or_obsolete()


def backend_of(other) -> int:
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchone()[0]


def end(pid):
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    # The news take a moment to come.
    time.sleep(0.2)


def test_a_good_one_is_kept(other):
    pid = backend_of(other)
    begin_request(other)
    assert other.is_usable()
    assert backend_of(other) == pid


def test_in_the_place_of_one_that_the_server_ended_comes_another(other):
    pid = backend_of(other)
    end(pid)
    assert not other.is_usable()
    begin_request(other)
    assert backend_of(other) != pid


def test_one_that_was_closed_here_is_not_usable(other):
    other.connection.close()
    assert not other.is_usable()
    other.close()
    assert not other.is_usable()
