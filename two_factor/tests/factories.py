from datetime import UTC, datetime

import factory
from django.contrib.auth import get_user_model

from two_factor.models import TwoFactor


class UserFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = get_user_model()
        skip_postgeneration_save = True

    username = factory.Sequence(lambda n: f"voter{n}")
    password = factory.django.Password("correct horse battery")


class TwoFactorFactory(factory.django.DjangoModelFactory):
    """A user with a proven number."""

    class Meta:
        model = TwoFactor

    user = factory.SubFactory(UserFactory)
    # Apart from the numbers that tests write out, which begin with +1 202 555 01.
    number = factory.Sequence(lambda n: f"+1202555{2000 + n % 8000}")
    verified_at = datetime(2026, 1, 1, tzinfo=UTC)
