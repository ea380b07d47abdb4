"""What the site knows of an account beside Django's own row of it."""

import unicodedata

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import IntegrityError, models, transaction
from django.db.models.signals import post_save
from django.dispatch import receiver
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from two_factor.signals import phone_verified

# The longest user name that Django keeps, in characters.
MAX_NAME_LENGTH = 150
# Case folding can make three characters of one.
MAX_KEY_LENGTH = 3 * MAX_NAME_LENGTH


def name_key(name: str) -> str:
    """Return what names have in common that differ in case, or in how their letters are encoded.

    Source: the identifier caseless match of the Unicode Standard, section 3.13.
    """
    name = name[:MAX_NAME_LENGTH].encode("utf-8", "replace").decode()
    folded = unicodedata.normalize("NFKC", name).casefold()
    return unicodedata.normalize("NFKC", folded)[:MAX_KEY_LENGTH]


class AccountManager(models.Manager):
    def of(self, user) -> "Account":
        """Return the row of ``user``; an account of before this table gets one now."""
        return getattr(user, "account", None) or self.keep_name(user)

    def keep_name(self, user) -> "Account":
        """Note the name of ``user``, unless another account has it but for case."""
        key = name_key(user.get_username())
        try:
            with transaction.atomic():
                return self.write(user, key)
        except IntegrityError:
            return self.write(user, None)

    def write(self, user, key: str | None) -> "Account":
        account = self.filter(pk=user.pk).first()
        if account is None:
            return self.create(user=user, name_key=key)
        account.name_key = key
        account.save(update_fields=["name_key"])
        return account


class Account(models.Model):
    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.DB_CASCADE, primary_key=True, related_name="account"
    )
    # Null where names of before differ in case only: then each is found by its exact spelling.
    name_key = models.CharField(max_length=MAX_KEY_LENGTH, null=True, blank=True, unique=True)
    # What mail is written in; empty until the person chooses or registers.
    language = models.CharField(max_length=10, blank=True, db_default="", default="")
    # The address whose mail somebody with this account has read. It counts while it is the user's.
    confirmed_email = models.CharField(max_length=254, blank=True, db_default="", default="")

    objects = AccountManager()

    def __str__(self):
        return str(self.user)

    @property
    def has_confirmed_email(self) -> bool:
        return bool(self.user.email) and self.confirmed_email == self.user.email


class AccountEvent(models.Model):
    """A sign-in, right or wrong, or a change of what signs in. For the owner of the account."""

    class Kind(models.TextChoices):
        SIGNED_IN = "signed_in", pgettext_lazy("what happened", "signed in")
        REFUSED = "refused", pgettext_lazy("what happened", "wrong password")
        PASSWORD = "password", pgettext_lazy("what happened", "password changed")
        EMAIL = "email", pgettext_lazy("what happened", "email address changed")
        SIGNED_OUT = "signed_out", pgettext_lazy("what happened", "other browsers signed out")

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.DB_CASCADE, related_name="account_events"
    )
    at = models.DateTimeField(_("at"), default=timezone.now, db_index=True)
    kind = models.CharField(_("kind"), max_length=20, choices=Kind)
    address = models.CharField(_("address"), max_length=45, blank=True)

    class Meta:
        ordering = ["-at", "-pk"]

    def __str__(self):
        return f"{self.get_kind_display()}, {self.at:%Y-%m-%d %H:%M}"


def note(user, kind: AccountEvent.Kind, address: str):
    """Append an event, unless the account is gone."""
    try:
        with transaction.atomic():
            if get_user_model().objects.filter(pk=user.pk).exists():
                AccountEvent.objects.create(user_id=user.pk, kind=kind, address=address)
    except IntegrityError:
        # Deleted between the two statements.
        pass


@receiver(phone_verified)
def keep_language(sender, user, request, **kwargs):
    """Write to an account in the language in which its phone was proven, if it has none yet."""
    language = getattr(request, "LANGUAGE_CODE", "")
    Account.objects.filter(pk=user.pk, language="").update(language=language)


@receiver(post_save, sender=get_user_model())
def keep_name(instance, raw, update_fields, **kwargs):
    if not raw and (update_fields is None or "username" in update_fields):
        Account.objects.keep_name(instance)
