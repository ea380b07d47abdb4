from datetime import UTC, datetime, timedelta

import pytest
import responses
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from two_factor.models import Channel, Verification

from .factories import UserFactory
from .vonage import Vonage


@pytest.fixture
def clock(time_machine):
    """Stop the clock; ``clock.shift(seconds)`` moves it on."""
    time_machine.move_to(datetime(2026, 6, 1, 12, tzinfo=UTC), tick=False)
    return time_machine


@pytest.fixture
def vonage(settings):
    """Vonage, which accepts every call until it is told otherwise; the site has credentials."""
    settings.VONAGE_API_KEY, settings.VONAGE_API_SECRET = "abcd1234", "shared-secret"
    with responses.RequestsMock(assert_all_requests_are_fired=False) as wire:
        yield Vonage(wire)


@pytest.fixture
def second_browser(user):
    """Another browser in which ``user`` is signed in."""
    browser = Client()
    browser.force_login(user)
    return browser


@pytest.fixture
def awaiting_code(signed_in, vonage):
    """A browser in which a code is under way to +1 202 555 0123."""
    signed_in.post(reverse("two_factor:create"), {"number": "+12025550123"})
    vonage.wire.calls.reset()
    return signed_in


@pytest.fixture
def code_of_another_user(db):
    """Put a code of somebody else under way to the same number."""

    def start(**values):
        now = timezone.now()
        values = {"channel": Channel.SMS, "expires_at": now + timedelta(minutes=6)} | values
        return Verification.objects.create(user=UserFactory(), number="+12025550123", **values)

    return start
