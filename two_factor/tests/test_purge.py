from datetime import timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone

from two_factor.history import Event
from two_factor.models import Limit, Verification, WebhookToken

pytestmark = pytest.mark.django_db
NUMBER = "+12025550123"


def ago(**age):
    return timezone.now() - timedelta(**age)


@pytest.fixture
def old_and_new(user):
    for days in (0, 400):
        Event.objects.create(kind=Event.Kind.STARTED, user=user, at=ago(days=days))
    for n, ends in enumerate([ago(minutes=1), ago(minutes=-1)]):
        Limit.objects.create(key=str(n), count=1, ends_at=ends)
        Verification.objects.create(
            user=user, number=f"{NUMBER[:-1]}{n}", channel="sms", expires_at=ends
        )
    WebhookToken.objects.create(fingerprint="old", used_at=ago(days=2))
    WebhookToken.objects.create(fingerprint="new")


def test_it_deletes_what_has_had_its_day_and_nothing_else(old_and_new):
    call_command("purge")
    assert Limit.objects.get().key == "1"
    assert str(Verification.objects.get().number) == "+12025550121"
    assert WebhookToken.objects.get().fingerprint == "new"
    assert Event.objects.get().at > ago(days=1)


def test_the_history_may_be_kept_longer(old_and_new):
    call_command("purge", "--history-days", "500")
    assert Event.objects.count() == 2


def test_it_says_how_much_it_deleted(old_and_new, capsys):
    call_command("purge")
    assert "1 limits deleted\n" in capsys.readouterr().out
