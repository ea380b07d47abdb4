"""Caches keep no page that was made for someone who is signed in."""

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import URLPattern, get_resolver

from polls.models import Ballot
from polls.receipts import receipt_for
from polls.tests.factories import PollFactory

pytestmark = pytest.mark.django_db


def all_paths(patterns, before=""):
    """Yield the address of each page, as its pattern has it: ``polls/<int:pk>/``."""
    for pattern in patterns:
        path = before + str(pattern.pattern)
        if isinstance(pattern, URLPattern):
            yield path
        elif not path.startswith("admin/"):
            yield from all_paths(pattern.url_patterns, path)


PATHS = [f"/{path}" for path in all_paths(get_resolver().url_patterns)]
MADE_UP = ["/nowhere/", "/p/nosuchpoll/", "/r/x/", "/polls/999999/", "/polls/?page=999"]


@pytest.fixture
def fill(two_factor):
    poll = PollFactory(author=two_factor.user)
    ballot = Ballot.objects.cast(poll, str(two_factor.number), [poll.choices.first().pk])
    values = {
        "<int:pk>": str(poll.pk),
        "<slug:slug>": poll.slug,
        "<str:slug>": poll.slug,
        "<str:code>": receipt_for(ballot),
        "<section>": "polls",
    }

    def fill(path):
        for name, value in values.items():
            path = path.replace(name, value)
        return path

    return fill


# Tells everyone the same, and asks nobody who they are.
FOR_ALL = "/p/<slug:slug>/print/"


def is_page(response):
    is_html = response.headers.get("Content-Type", "").startswith("text/html")
    return is_html and response.status_code not in {301, 302}


@pytest.mark.parametrize("path", [*PATHS, *MADE_UP])
def test_no_cache_keeps_what_somebody_signed_in_gets(verified, fill, path):
    response = verified.get(fill(path))
    if is_page(response) and path != FOR_ALL:
        assert "no-store" in response["Cache-Control"]
        assert "private" in response["Cache-Control"]


def test_most_pages_were_tried(verified, fill):
    tried = [path for path in [*PATHS, *MADE_UP] if is_page(verified.get(fill(path)))]
    assert len(tried) > 30
    assert {"/polls/", "/privacy/", "/terms/", "/imprint/", "/2fa/limits/"} < set(tried)


@pytest.mark.parametrize("method", ["post", "put"])
def test_pages_that_refuse_are_not_kept_either(verified, method):
    response = getattr(verified, method)("/polls/")
    assert response.status_code == 405
    assert "no-store" in response["Cache-Control"]
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = verified.cookies
    response = strict.post("/polls/new/")
    assert response.status_code == 403
    assert "no-store" in response["Cache-Control"]


@pytest.mark.parametrize("path", ["/polls/", "/privacy/", "/terms/", "/2fa/limits/", "/nowhere/"])
def test_caches_may_keep_pages_for_strangers(client, path):
    response = client.get(path)
    assert "no-store" not in response.get("Cache-Control", "")
    # For each language, and not for those who are signed in.
    assert {"Accept-Language", "Cookie"} <= set(response["Vary"].split(", "))


def test_a_kept_page_is_not_kept_elsewhere(verified, monkeypatch):
    monkeypatch.setattr("polls.kept.KEPT", 60)
    for _ in range(2):
        assert "no-store" in verified.get("/privacy/")["Cache-Control"]


def test_a_view_that_says_what_caches_may_do_is_left_alone(signed_in, monkeypatch):
    def page(self, request):
        assert request.user.is_authenticated
        return HttpResponse("page", headers={"Cache-Control": "max-age=5"})

    monkeypatch.setattr("polls.listing.PollListView.get", page)
    assert signed_in.get("/polls/")["Cache-Control"] == "max-age=5"
