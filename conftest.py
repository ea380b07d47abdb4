from types import SimpleNamespace

import pytest
from django.core.cache import cache
from django.db import connection

from polls import picture_cache
from polls.sharing import sitemaps
from two_factor.mixins import set_verified
from two_factor.tests.factories import TwoFactorFactory, UserFactory


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker):
    """End what still holds the tests' database when they are over, or PostgreSQL keeps it.

    A thread of the browser tests' server lives a moment longer than the browser that it served.
    """
    yield
    if connection.vendor == "postgresql":
        with django_db_blocker.unblock(), connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid != pg_backend_pid()"
            )


@pytest.fixture(autouse=True)
def fresh_pages(monkeypatch):
    """Show no test a page, a count or a picture of another's polls, nor of a moment ago."""
    monkeypatch.setattr("polls.kept.KEPT", 0)
    cache.clear()
    picture_cache.clear()
    sitemaps.clear()


@pytest.fixture
def sandbox(monkeypatch):
    """Send codes to nobody, as in development.

    Past the signal of a changed setting, which would make Django read each template anew.
    """
    monkeypatch.setattr("django.conf.settings.DEBUG", True)


@pytest.fixture
def no_mail_server(settings):
    """A mail server that refuses connections."""
    settings.MAILERS = {
        "default": {
            "BACKEND": "django.core.mail.backends.smtp.EmailBackend",
            "OPTIONS": {"host": "127.0.0.1", "port": 1, "timeout": 1},
        }
    }


@pytest.fixture
def user(db):
    return UserFactory(username="ada")


@pytest.fixture
def signed_in(client, user):
    """A browser in which ``user`` is signed in, but has proven no phone."""
    client.force_login(user)
    return client


@pytest.fixture
def two_factor(user):
    return TwoFactorFactory(user=user, number="+12025550123")


@pytest.fixture
def verified(signed_in, two_factor):
    """A browser in which ``user`` has proven +1 202 555 0123."""
    verify(signed_in, two_factor)
    return signed_in


def verify(client, two_factor):
    """Put the flag into the client's session, as a right code does."""
    session = client.session
    set_verified(SimpleNamespace(session=session), two_factor)
    session.save()
