import socket

import pytest
from django.db import connection
from django.urls import reverse

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def broken_database(transactional_db, monkeypatch):
    """A database that cannot be opened: its name is one that is not there."""
    connection.close()
    monkeypatch.setitem(connection.settings_dict, "NAME", "/no/such/database")
    yield
    connection.close()


@pytest.fixture
def broken_cache(settings):
    """A Redis where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    settings.CACHES = {
        "default": {
            "BACKEND": "pollstr.caches.RedisOrOwnCache",
            "LOCATION": f"redis://127.0.0.1:{port}/0",
            "OPTIONS": {"socket_connect_timeout": 2},
        }
    }


def ready(client):
    answer = client.get(reverse("readyz"))
    return answer.status_code, answer.text


def test_healthz_is_ok_while_the_process_lives(client, broken_database, broken_cache):
    answer = client.get(reverse("healthz"))
    assert (answer.status_code, answer.text) == (200, "ok")


def test_readyz_is_ok_when_database_and_cache_answer(client):
    assert ready(client) == (200, "ok")


def test_readyz_names_a_database_that_does_not_answer(client, broken_database):
    assert ready(client) == (503, "failing: database")


def test_readyz_names_a_cache_that_does_not_answer(client, broken_cache):
    assert ready(client) == (503, "failing: cache")


def test_readyz_names_both(client, broken_database, broken_cache):
    assert ready(client) == (503, "failing: database, cache")


def test_readyz_names_a_cache_that_forgets(client, settings):
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
    assert ready(client) == (503, "failing: cache")


@pytest.mark.parametrize("name", ["healthz", "readyz"])
def test_they_take_no_post(client, name):
    assert client.post(reverse(name)).status_code == 405


@pytest.mark.parametrize("name", ["healthz", "readyz"])
def test_they_answer_over_plain_http_too(client, settings, name):
    settings.SECURE_SSL_REDIRECT = True
    assert client.get(reverse("login")).status_code == 301
    assert client.get(reverse(name)).status_code == 200
