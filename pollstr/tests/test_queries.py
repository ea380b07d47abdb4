"""Each page asks the database so often at most, whether there is little in it or much."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from phonenumber_field.phonenumber import PhoneNumber

from polls.ballots import Ballot
from polls.models import Figure
from polls.receipts import receipt_for
from polls.tests.factories import PollFactory
from two_factor.history import Event, record

pytestmark = pytest.mark.django_db
FEW, MANY = 2, 5
NUMBER = PhoneNumber.from_string("+12025550123")
PAST = datetime(2026, 2, 1, tzinfo=UTC)

# How many queries each may take, two of them for session and user where somebody is signed in.
STRANGERS = {
    "polls:list": 2,
    "closed polls": 2,
    "search": 3,
    "share": 2,
    "print": 2,
    "receipt": 1,
    "public results": 4,
    "login": 0,
    "register": 0,
    "password_reset": 0,
    "privacy": 0,
    "accessibility": 0,
    "two_factor:limits": 0,
    "no such page": 0,
}
VOTERS = {
    "polls:list": 4,
    "share": 5,
    "polls:ballot": 5,
    "polls:results": 5,
    "polls:integrity": 9,
    "polls:report": 5,
    "polls:mine": 8,
    "polls:new": 3,
    "polls:edit": 6,
    "polls:close": 4,
    "polls:reopen": 3,
    "polls:trash": 5,
    "account": 8,
    "account_email": 2,
    "account_sign_out_others": 2,
    "account_delete": 2,
    "password_change": 2,
    "two_factor:phone": 3,
    "two_factor:change": 3,
    "two_factor:recovery_codes": 4,
}


def world(size, author):
    """Make ``size`` polls, choices, votes and events; return the address of each page."""
    choices = [f"Answer {n}" for n in range(size)]
    polls = PollFactory.create_batch(size, choices=choices, author=author, results_for="everyone")
    closed = PollFactory(choices=choices, author=author, closes_at=PAST)
    for n in range(size):
        ballot = Ballot.objects.cast(polls[0], f"+1202556{n:04}", [polls[0].choices.first().pk])
        record(Event.Kind.STARTED, author, number=NUMBER)
        Figure.note(polls[0], Figure.Kind.LATE)
    Ballot.objects.update(cast_at=timezone.now() - timedelta(hours=1))
    of_poll = ["ballot", "results", "integrity", "edit", "close", "trash"]
    named = ["list", "mine", "new"]
    return {
        **{f"polls:{name}": reverse(f"polls:{name}", args=[polls[0].pk]) for name in of_poll},
        **{f"polls:{name}": reverse(f"polls:{name}") for name in named},
        "polls:report": reverse("polls:report", args=[PollFactory(choices=choices).pk]),
        "polls:reopen": reverse("polls:reopen", args=[closed.pk]),
        "closed polls": "/polls/?show=closed",
        "search": "/polls/?q=poll",
        "public results": polls[0].url("results"),
        "share": reverse("share", args=[polls[0].slug]),
        "print": reverse("print", args=[polls[0].slug]),
        "receipt": reverse("receipt", args=[receipt_for(ballot)]),
        "no such page": "/no-such-page/",
    }


def queries(client, name, pages) -> int:
    with CaptureQueriesContext(connection) as captured:
        response = client.get(pages.get(name) or reverse(name))
    assert response.status_code == (404 if name == "no such page" else 200)
    return len(captured)


@pytest.mark.parametrize(("name", "most"), STRANGERS.items())
def test_a_strangers_page(client, user, name, most):
    few = queries(client, name, world(FEW, user))
    many = queries(client, name, world(MANY, user))
    assert few == many <= most


@pytest.mark.parametrize(("name", "most"), VOTERS.items())
def test_the_page_of_somebody_verified(verified, two_factor, name, most):
    verified.get("/account/")
    few = queries(verified, name, world(FEW, two_factor.user))
    many = queries(verified, name, world(MANY, two_factor.user))
    assert few == many <= most
