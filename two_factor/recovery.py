"""Recovery codes: what a user writes down for the day the phone is gone."""

import secrets

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import models, transaction
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext as _

CODES = 10
# Without letters and digits that look alike 31 are left, so a code has 118 bits. From 112 on a hash
# that is not made to be slow may keep it (ASVS 5.0 6.5.2).
ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
LENGTH = 24


def fingerprint(user_id: int, code: str) -> str:
    """Return what is stored of a code.

    A keyed hash is enough: a code has too many bits to be guessed from it, and the key is not in
    the database.
    """
    return salted_hmac("two_factor.recovery", f"{user_id}:{code}", algorithm="sha256").hexdigest()


def plain(typed: str) -> str:
    """Return a code as it was made, however it was typed."""
    return "".join(char for char in typed.lower() if char.isalnum())


class RecoveryCodeQuerySet(models.QuerySet):
    def unused(self):
        return self.filter(used_at=None)

    @transaction.atomic
    def renew(self, user) -> list[str]:
        """Void the user's codes, and return new ones: the only time that they can be read."""
        # One at a time, lest two clicks leave two sets of codes.
        get_user_model().objects.select_for_update(no_key=True).get(pk=user.pk)
        self.filter(user=user).delete()
        codes = ["".join(secrets.choice(ALPHABET) for _ in range(LENGTH)) for _ in range(CODES)]
        self.bulk_create(
            RecoveryCode(user=user, fingerprint=fingerprint(user.pk, code)) for code in codes
        )
        return ["-".join(code[i : i + 4] for i in range(0, LENGTH, 4)) for code in codes]

    def use(self, user, typed: str) -> bool:
        """Use up one of the user's codes; of two requests with the same code one gets True."""
        code = self.unused().filter(user=user, fingerprint=fingerprint(user.pk, plain(typed)))
        return code.update(used_at=timezone.now()) == 1


class RecoveryCode(models.Model):
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="recovery_codes"
    )
    fingerprint = models.CharField(max_length=64, unique=True)
    made_at = models.DateTimeField(default=timezone.now)
    used_at = models.DateTimeField(null=True)

    objects = RecoveryCodeQuerySet.as_manager()

    def __str__(self):
        words = (
            _("recovery code %(number)s, used")
            if self.used_at
            else _("recovery code %(number)s, unused")
        )
        return words % {"number": self.pk}
