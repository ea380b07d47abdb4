"""Codes sent, phones proven and wrong codes, counted at the poll that somebody was heading for."""

from urllib.parse import urlencode

import pytest
from django.urls import reverse

from polls.models import Figure
from two_factor.models import SandboxRequest

from .factories import PollFactory

pytestmark = pytest.mark.django_db
NUMBER = "+12025550123"


@pytest.fixture(autouse=True)
def sandbox(sandbox, settings):
    settings.VERIFY_RESEND_WAITS = [0]


@pytest.fixture
def poll():
    return PollFactory()


def post(browser, step, next, **data):
    return browser.post(reverse(f"two_factor:{step}"), {"next": next} | data)


def ask_for_code(browser, next):
    return post(browser, "create", next, number=NUMBER)


def code():
    return SandboxRequest.objects.get().code


def wrong_code():
    return f"{(int(code()) + 1) % 10**6:06}"


def figures(poll) -> dict:
    return {figure.kind: figure.count for figure in poll.figures.all()}


def addresses_of(poll):
    ballot = reverse("polls:ballot", args=[poll.pk])
    choice = urlencode({"choice": poll.choices.first().pk})
    return [ballot, f"{ballot}?{choice}", reverse("polls:results", args=[poll.pk])]


@pytest.mark.parametrize("n", range(3))
def test_a_code_and_a_proof_count_at_the_poll_ahead(signed_in, poll, n):
    next = addresses_of(poll)[n]
    ask_for_code(signed_in, next)
    assert figures(poll) == {"sent": 1}
    post(signed_in, "confirm", next, code=wrong_code())
    assert figures(poll) == {"sent": 1, "failed": 1}
    post(signed_in, "confirm", next, code=code())
    assert figures(poll) == {"sent": 1, "failed": 1, "proven": 1}


@pytest.mark.parametrize("step", ["call", "resend"])
def test_every_further_code_counts(signed_in, poll, step):
    next = poll.get_absolute_url()
    ask_for_code(signed_in, next)
    # Vonage, and so the sandbox, cancels no request younger than 30 seconds.
    SandboxRequest.objects.update(started_at="2026-01-01T00:00Z")
    post(signed_in, step, next)
    assert figures(poll) == {"sent": 2}


def test_three_wrong_codes_count_as_three(signed_in, poll):
    next = poll.get_absolute_url()
    ask_for_code(signed_in, next)
    wrong = wrong_code()
    for _ in range(4):
        post(signed_in, "confirm", next, code=wrong)
    assert figures(poll) == {"sent": 1, "failed": 3}


def test_what_sends_no_code_does_not_count(signed_in, poll, settings):
    next = poll.get_absolute_url()
    post(signed_in, "create", next, number="junk")
    post(signed_in, "confirm", next, code="123456")
    settings.VERIFY_SENDS_PER_USER = 0
    ask_for_code(signed_in, next)
    assert figures(poll) == {}


def test_a_poll_by_link_counts_too(signed_in):
    poll = PollFactory(is_listed=False)
    ask_for_code(signed_in, poll.get_absolute_url())
    assert figures(poll) == {"sent": 1}


def test_the_public_page_of_a_poll_leads_to_it_too(signed_in, poll):
    ask_for_code(signed_in, f"/p/{poll.slug}/")
    assert figures(poll) == {"sent": 1}


@pytest.mark.parametrize(
    "next",
    [
        "/polls/",
        "/polls/new/",
        "/polls/999999/",
        f"/polls/{10**30}/",
        "/p/nowhere/",
        "/polls/1/%00",
        "//example.com/polls/1/",
        "/account/",
        "",
        "x" * 3000,
    ],
    ids=lambda next: next[:25],
)
def test_what_leads_to_no_poll_counts_nowhere(signed_in, poll, next):
    response = ask_for_code(signed_in, next)
    assert response.status_code == 302
    assert not Figure.objects.exists()


@pytest.mark.parametrize("page", ["edit", "close"])
def test_what_leads_to_no_vote_counts_nowhere(signed_in, poll, page):
    ask_for_code(signed_in, reverse(f"polls:{page}", args=[poll.pk]))
    assert not Figure.objects.exists()


def test_a_poll_that_is_hidden_counts_nothing(signed_in):
    poll = PollFactory(hidden_because="It is spam.")
    ask_for_code(signed_in, poll.get_absolute_url())
    assert not Figure.objects.exists()


def test_figures_of_one_poll_are_not_anothers(signed_in, poll):
    other = PollFactory()
    ask_for_code(signed_in, poll.get_absolute_url())
    assert figures(other) == {}
