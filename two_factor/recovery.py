"""Recovery codes: what a user writes down for the day the phone is gone."""

import hashlib
import re
import secrets

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import models, transaction
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext as _

from .typed import clean

CODES = 10
# Without letters and digits that look alike 31 are left, so a code has 118 bits. From 112 on a hash
# that is not made to be slow may keep it (ASVS 5.0 6.5.2).
ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
LENGTH = 24


# "10. " before a code, copied with it from the list.
LIST_NUMBER = re.compile(r"\A\s*\d{1,2}\s*[.)]")


def fingerprint(user_id: int, code: str) -> str:
    """Return what is stored of a code.

    A plain hash is enough, because a code has too many bits to be guessed from it. It needs no
    key, so codes on paper still work after SECRET_KEY was changed.
    """
    return hashlib.sha256(f"two_factor.recovery:{user_id}:{code}".encode()).hexdigest()


def keyed_fingerprint(user_id: int, code: str) -> str:
    """Return what was stored of a code before: a hash that is lost with SECRET_KEY."""
    return salted_hmac("two_factor.recovery", f"{user_id}:{code}", algorithm="sha256").hexdigest()


def key_name() -> str:
    """Return a name for the present SECRET_KEY, which does not tell the key."""
    return salted_hmac("two_factor.recovery.key", "", algorithm="sha256").hexdigest()[:16]


def plain(typed: str) -> str:
    """Return a code as it was made, however it was typed, even with its number in the list."""
    typed = clean(typed).lower()
    unnumbered = only_alnum(LIST_NUMBER.sub("", typed, count=1))
    return unnumbered if len(unnumbered) == LENGTH else only_alnum(typed)


def only_alnum(text: str) -> str:
    return "".join(char for char in text if char.isalnum())


def works() -> models.Q:
    """Return which codes work: those not used, and not bound to a key that is gone."""
    return models.Q(used_at=None, key_name__in=["", key_name()])


class NotVerified(Exception):
    """The number was removed or changed since this browser verified it."""


class AlreadyRenewed(Exception):
    """The user made other codes since the form was shown."""


class RecoveryCodeQuerySet(models.QuerySet):
    def unused(self):
        return self.filter(works())

    def state_of(self, user) -> dict:
        """Return how many of the user's codes are left, and the name of the present set of codes.

        That name is empty where there is none.
        """
        left, newest = models.Count("pk", filter=works()), models.Max("pk")
        state = self.filter(user=user).aggregate(left=left, newest=newest)
        return state | {"newest": str(state["newest"] or "")}

    @transaction.atomic
    def renew(self, user, generation=None, newest: str | None = None) -> list[str]:
        """Void the user's codes, and return new ones: the only time that they can be read.

        With ``generation`` only while that is the generation of the user's verified number.
        Raises NotVerified otherwise: a reset, which voids the codes, must have the last word.
        With ``newest`` only while that is the name of the present set of codes. Raises
        AlreadyRenewed otherwise.
        """
        if generation is not None:
            rows = user._meta.apps.get_model("two_factor", "TwoFactor").objects
            verified = rows.filter(user=user, generation=generation, number__isnull=False)
            if not verified.select_for_update(no_key=True).exists():
                raise NotVerified
        # One at a time: two clicks at once must not leave two sets of codes.
        get_user_model().objects.select_for_update(no_key=True).get(pk=user.pk)
        if newest not in {None, self.state_of(user)["newest"]}:
            raise AlreadyRenewed
        self.filter(user=user).delete()
        codes = ["".join(secrets.choice(ALPHABET) for _ in range(LENGTH)) for _ in range(CODES)]
        self.bulk_create(
            RecoveryCode(user=user, fingerprint=fingerprint(user.pk, code)) for code in codes
        )
        return ["-".join(code[i : i + 4] for i in range(0, LENGTH, 4)) for code in codes]

    def use(self, user, typed: str) -> bool:
        """Use up one of the user's codes; of two requests with the same code one gets True."""
        code = plain(typed)
        fingerprints = [make(user.pk, code) for make in (fingerprint, keyed_fingerprint)]
        code = self.filter(used_at=None, user=user, fingerprint__in=fingerprints)
        return code.update(used_at=timezone.now()) == 1


class RecoveryCode(models.Model):
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="recovery_codes"
    )
    fingerprint = models.CharField(max_length=64, unique=True)
    # Which SECRET_KEY the fingerprint was made with; empty where it needs none.
    key_name = models.CharField(max_length=16, blank=True, default="", db_default="")
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
