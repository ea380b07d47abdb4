"""A site whose Redis does not answer; that it comes back is shown by `make chaos`."""

import socket

import pytest
from django.core.cache import cache
from django.core.cache.backends.redis import RedisCache
from django.urls import reverse
from redis.exceptions import ConnectionError

from polls.models import Ballot
from polls.tests.factories import PollFactory
from pollstr.caches import LEFT_ALONE, RedisOrOwnCache

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def no_redis(settings, monkeypatch):
    """A Redis where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    settings.CACHES = {
        "default": {
            "BACKEND": "pollstr.caches.RedisOrOwnCache",
            "LOCATION": f"redis://127.0.0.1:{port}/0",
        }
    }
    monkeypatch.setattr(RedisOrOwnCache, "away_until", 0.0)
    yield
    cache.own.clear()


@pytest.fixture
def asked(monkeypatch):
    """How often Redis was asked for something."""
    asked = []

    def refuse(self, key, *args, **kwargs):
        asked.append(key)
        raise ConnectionError

    monkeypatch.setattr(RedisCache, "get", refuse)
    return asked


def test_a_vote_is_counted_and_shown(verified):
    poll = PollFactory()
    choice = poll.choices.first()
    response = verified.post(reverse("polls:vote", args=[poll.pk]), {"choice": choice.pk})
    assert response.status_code == 302
    assert "Your vote is counted." in verified.get(response["Location"]).text
    assert Ballot.objects.count() == 1


@pytest.mark.parametrize("name", ["polls:list", "sitemap"])
def test_pages_that_use_the_cache_are_shown(client, name):
    assert client.get(reverse(name)).status_code == 200


def test_watchers_are_told_the_results(client):
    poll = PollFactory(results_for="everyone")
    response = client.get(reverse("polls:results_json", args=[poll.pk]))
    assert response.json()["voters"] == 0


def test_the_process_remembers_for_itself():
    cache.set("word", "kept", 60)
    assert cache.get("word") == "kept"
    assert cache.add("word", "other") is False


def test_redis_is_left_alone_for_a_while(asked):
    for _ in range(3):
        cache.get("word")
    assert len(asked) == 1


def test_one_finds_out_whether_it_is_back(asked, monkeypatch):
    cache.get("word")
    now = RedisOrOwnCache.away_until
    monkeypatch.setattr("pollstr.caches.time.monotonic", lambda: now)
    cache.get("word")
    assert len(asked) == 2
    assert RedisOrOwnCache.away_until == now + LEFT_ALONE


def test_nobody_waits_while_another_finds_out(monkeypatch):
    away = []

    def get(self, *args, **kwargs):
        away.append(RedisOrOwnCache.away_until)
        return "from redis"

    monkeypatch.setattr(RedisCache, "get", get)
    monkeypatch.setattr(RedisOrOwnCache, "away_until", 100.0)
    monkeypatch.setattr("pollstr.caches.time.monotonic", lambda: 100.0)
    assert cache.get("word") == "from redis"
    assert away == [100.0 + LEFT_ALONE]
    assert RedisOrOwnCache.away_until == 0.0


def test_the_log_says_so_without_an_address(caplog):
    cache.get("word")
    assert [record.getMessage() for record in caplog.records] == [
        "Redis did not answer: ConnectionError"
    ]
