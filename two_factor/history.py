"""What happened to each code: an append-only record, and what it says about fraud."""

import logging
from datetime import UTC, timedelta

import phonenumbers
from django.conf import settings
from django.db import models
from django.db.models import Avg, Count, Max, Q
from django.db.models.functions import TruncDay, TruncHour
from django.db.models.signals import pre_delete
from django.dispatch import receiver
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

logger = logging.getLogger(__name__)

# SMS fraud asks for codes and never types one. Below this share of codes used, with at least so
# many sent within an hour, a range of numbers gets no more (Vonage asks for the same watch).
LEAST_CONVERSION = 0.2
LEAST_STARTS = 10
WATCHED = timedelta(hours=1)
# A code just sent may still be typed.
TIME_TO_TYPE = timedelta(minutes=3)


def range_key(number) -> str:
    """Name the range a number is in, all that share all but four digits, without telling it."""
    prefix = str(number)[:-4]
    return salted_hmac("two_factor.range", prefix, algorithm="sha256").hexdigest()


def conversion() -> dict:
    """Return the two counts whose quotient is the conversion: codes sent, and codes used."""
    return {
        "started": Count("pk", filter=Q(kind__in=Event.STARTS)),
        "verified": Count("pk", filter=Q(kind=Event.Kind.VERIFIED)),
    }


class EventQuerySet(models.QuerySet):
    def update(self, **kwargs):
        raise TypeError("The history is append-only.")

    def delete(self):
        raise TypeError("The history is append-only.")

    def unlink_proofs(self, since, until):
        """Make it untold who verified a number from ``since`` to ``until``, and when in the day.

        For a poll that forgets its voters: a vote follows a proof, so the two moments would tell
        who cast which ballot. Counts by day and country stay. Events about the account itself,
        such as a changed number, stay as they are. Returns how many events were changed.
        """
        events = self.filter(at__gte=since, at__lte=until, kind__in=Event.TO_A_PROOF)
        return models.QuerySet.update(
            events,
            user=None,
            at=TruncDay("at", tzinfo=UTC),
            address="",
            number="",
            range_key="",
            seconds=None,
        )

    def forget_places(self, user):
        """Drop internet addresses and number ranges of a user whose account is deleted."""
        return models.QuerySet.update(self.filter(user=user), address="", range_key="")

    def conversion_by_hour(self, since):
        """Return country, hour, ``started`` and ``verified``, newest first."""
        return (
            self.filter(at__gte=since)
            .annotate(hour=TruncHour("at"))
            .values("hour", "region")
            .annotate(**conversion())
            .filter(started__gt=0)
            .order_by("-hour", "region")
        )

    def by_hour(self, since):
        """Return what happened in each hour, the provider's time in milliseconds among it."""
        kind = Event.Kind
        return (
            self.filter(at__gte=since)
            .annotate(hour=TruncHour("at"))
            .values("hour")
            .order_by("hour")
            .annotate(
                sent=Count("pk", filter=Q(kind__in=Event.SENDS)),
                proven=Count("pk", filter=Q(kind=kind.VERIFIED)),
                wrong=Count("pk", filter=Q(kind=kind.FAILED)),
                locked=Count("pk", filter=Q(kind=kind.LOCKED)),
                calls=Count("provider_ms"),
                trouble=Count("pk", filter=Q(kind=kind.TROUBLE)),
                mean_ms=Avg("provider_ms"),
                longest_ms=Max("provider_ms"),
            )
        )

    def by_country(self, since):
        """Return the countries that most messages went to, by SMS and by call."""
        return (
            self.filter(at__gte=since, kind__in=Event.SENDS)
            .values("region")
            .annotate(
                sms=Count("pk", filter=~Q(channel="voice")),
                voice=Count("pk", filter=Q(channel="voice")),
                sent=Count("pk"),
            )
            .order_by("-sent", "region")
        )

    def troubles(self, since):
        """Return what the provider's trouble was, and how often: a refusal's HTTP status, or none.

        ``was_asked`` tells no answer from a call that was not made, for too many were under way.
        """
        return (
            self.filter(at__gte=since, kind=Event.Kind.TROUBLE)
            .values("provider_status", was_asked=Q(provider_ms__isnull=False))
            .annotate(times=Count("pk"))
            .order_by("-times", "provider_status")
        )

    def is_braked(self, number) -> bool:
        """Whether codes to the range of ``number`` are asked for but hardly ever used."""
        now = timezone.now()
        counted = (
            self.filter(range_key=range_key(number), at__gt=now - WATCHED)
            .exclude(kind__in=Event.STARTS, at__gt=now - TIME_TO_TYPE)
            .aggregate(**conversion())
        )
        return (
            counted["started"] >= LEAST_STARTS
            and counted["verified"] < LEAST_CONVERSION * counted["started"]
        )


class Event(models.Model):
    """One thing that happened on the way to a verified phone. Never changed, only purged by age."""

    class Kind(models.TextChoices):
        STARTED = "started", pgettext_lazy("what happened", "code sent")
        RESENT = "resent", pgettext_lazy("what happened", "code sent again")
        CALLED = "called", pgettext_lazy("what happened", "called instead")
        DELIVERED = "delivered", pgettext_lazy("what happened", "delivered")
        UNDELIVERED = "undelivered", pgettext_lazy("what happened", "not delivered")
        FAILED = "failed", pgettext_lazy("what happened", "wrong code")
        VOID = "void", pgettext_lazy("what happened", "too many wrong codes")
        LOCKED = "locked", pgettext_lazy("what happened", "locked")
        TROUBLE = "trouble", pgettext_lazy("what happened", "provider's trouble")
        CANCELLED = "cancelled", pgettext_lazy("what happened", "cancelled")
        VERIFIED = "verified", pgettext_lazy("what happened", "verified")
        CHANGED = "changed", pgettext_lazy("what happened", "number changed")
        RESET = "reset", pgettext_lazy("what happened", "number removed")
        RECOVERY_CODES = "recovery_codes", pgettext_lazy("what happened", "new recovery codes")
        RECOVERED = "recovered", pgettext_lazy("what happened", "recovery code used")

    STARTS = (Kind.STARTED, Kind.RESENT)
    # What costs money.
    SENDS = (*STARTS, Kind.CALLED)
    # What happens on the way to a verified browser, shortly before a vote.
    TO_A_PROOF = (
        *SENDS,
        Kind.DELIVERED,
        Kind.UNDELIVERED,
        Kind.FAILED,
        Kind.VOID,
        Kind.TROUBLE,
        Kind.CANCELLED,
        Kind.VERIFIED,
        Kind.RECOVERED,
    )

    at = models.DateTimeField(_("at"), default=timezone.now, db_index=True)
    kind = models.CharField(_("kind"), max_length=20, choices=Kind)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, verbose_name=_("user")
    )
    channel = models.CharField(_("channel"), max_length=5, blank=True)
    number = models.CharField(_("number (masked)"), max_length=20, blank=True)
    region = models.CharField(_("country"), max_length=3, blank=True)
    range_key = models.CharField(max_length=64, blank=True)
    address = models.CharField(_("address"), max_length=45, blank=True)
    seconds = models.PositiveIntegerField(_("seconds since the code was sent"), null=True)
    # Null where Vonage was not asked.
    provider_ms = models.PositiveIntegerField(_("milliseconds that Vonage took"), null=True)
    # Null where Vonage did what was asked, or gave no answer.
    provider_status = models.PositiveSmallIntegerField(_("HTTP status of a refusal"), null=True)

    objects = EventQuerySet.as_manager()

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("events")
        ordering = ["-at", "-pk"]
        indexes = [models.Index(fields=["range_key", "at"], name="event_range_at")]

    def __str__(self):
        return f"{self.get_kind_display()}, {self.at:%Y-%m-%d %H:%M}"

    def save(self, *args, **kwargs):
        if not self._state.adding:
            raise TypeError("The history is append-only.")
        # Else a new event with the key of an old one would take its place.
        super().save(*args, **kwargs | {"force_insert": True})

    def delete(self, *args, **kwargs):
        raise TypeError("The history is append-only.")


@receiver(pre_delete, sender=settings.AUTH_USER_MODEL)
def forget_places(sender, instance, **kwargs):
    Event.objects.forget_places(instance)


def brake(number):
    """Raise Limited where codes to the range of ``number`` are asked for but hardly ever used."""
    from .models import Limit, Limited

    if not Event.objects.is_braked(number):
        return
    if Limit.objects.add("braked", range_key(number), int(WATCHED.total_seconds())).count == 1:
        region = phonenumbers.region_code_for_number(number)
        logger.error("Codes to a range of numbers in %s are paused: hardly any are used", region)
    reason = gettext("Codes to numbers like this one are paused: hardly any were used.")
    raise Limited(reason, WATCHED)


def record(kind, user, *, verification=None, number=None, **facts) -> Event:
    """Append an event; of the number it keeps a mask, the country, and a hash of its range."""
    from .models import masked

    number = number or (verification.number if verification else None)
    event = Event(kind=kind, user=user, **facts)
    if number:
        event.number = masked(number)
        event.region = phonenumbers.region_code_for_number(number) or ""
        event.range_key = range_key(number)
    if verification:
        event.channel = verification.channel
        event.seconds = max(0, int((timezone.now() - verification.started_at).total_seconds()))
    event.save()
    return event
