"""People for a deployed site, made inside it (see provider.made)."""

import uuid
from datetime import timedelta

from django.contrib.auth import get_user_model
from django.test import Client
from django.utils import timezone

from conftest import verify
from two_factor.models import TwoFactor, Verification
from two_factor.steps import VERIFICATION


def signed_in(name: str):
    browser, user = Client(), get_user_model().objects.create_user(name)
    browser.force_login(user)
    return browser, user


def with_code(many: int) -> list[str]:
    """Return the sessions of so many who have been sent a code."""
    sessions = []
    for n in range(many):
        browser, user = signed_in(f"person{n}")
        verification = Verification.objects.create(
            user=user,
            number=f"+1202555{2000 + n}",
            channel="sms",
            request_id=uuid.uuid4(),
            expires_at=timezone.now() + timedelta(hours=1),
        )
        session = browser.session
        session[VERIFICATION] = str(verification.pk)
        session.save()
        sessions.append(session.session_key)
    return sessions


def voters(many: int) -> list[tuple[str, str]]:
    """Return session and number of so many who have proven a phone."""
    people = []
    for n in range(many):
        (browser, user), number = signed_in(f"voter{n}"), f"+1202556{n:04}"
        verify(browser, TwoFactor.objects.create(user=user, number=number))
        people.append((browser.session.session_key, number))
    return people
