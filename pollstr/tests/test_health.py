import socket
import time

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
@pytest.mark.parametrize(
    "host", ["10.0.0.5:8000", "[fd00::5]:8000", "localhost", "a b", "", "x" * 300, "ä", "a:999999"]
)
def test_they_answer_whatever_the_host_is_called(client, name, host, settings):
    settings.SECURE_SSL_REDIRECT = True
    answer = client.get(reverse(name), headers={"Host": host})
    assert (answer.status_code, answer.text) == (200, "ok")
    assert client.head(reverse(name), headers={"Host": host}).status_code == 200


def test_only_these_two_do(client):
    for path in ["/healthz/", "/healthz/x", "//healthz", "/readyzz", "/polls/"]:
        assert client.get(path, headers={"Host": "10.0.0.5:8000"}).status_code == 400


def test_readyz_logs_why_the_database_does_not_answer(client, broken_database, caplog):
    ready(client)
    told = [record.getMessage() for record in caplog.records if record.name == "pollstr.views"]
    reasons = {
        "sqlite": "the file of the database cannot be opened",
        "postgresql": "there is no database of that name (SQLSTATE 3D000)",
    }
    assert told == [f"The database did not answer: {reasons[connection.vendor]}"]


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has this machine's clock")
@pytest.mark.parametrize(
    ("seconds", "is_told"), [(-3600, True), (31, True), (20, False), (0, False)]
)
def test_readyz_logs_that_the_clocks_differ(client, caplog, monkeypatch, seconds, is_told):
    now = time.time
    monkeypatch.setattr("pollstr.views.time.time", lambda: now() + seconds)
    assert ready(client) == (200, "ok")
    assert ("The clock of this machine and the database's differ" in caplog.text) is is_told


@pytest.mark.parametrize("name", ["healthz", "readyz"])
def test_they_answer_over_plain_http_too(client, settings, name):
    settings.SECURE_SSL_REDIRECT = True
    assert client.get(reverse("login")).status_code == 301
    assert client.get(reverse(name)).status_code == 200
