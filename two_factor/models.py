import math
import uuid
from datetime import UTC, datetime, timedelta
from functools import reduce
from operator import or_

import phonenumbers
from django.conf import settings
from django.db import IntegrityError, connection, models, transaction
from django.db.models import Case, F, Q, Value, When
from django.db.models.functions import Concat, Replace, Substr
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _
from phonenumber_field.modelfields import PhoneNumberField

from . import signals
from .addresses import address_limits, limit_names
from .history import Event, record
from .recovery import RecoveryCode  # noqa: F401 (a model too, which Django looks for here)

HOUR, DAY = 3600, 86400  # seconds

# Six digits, and at most ten minutes for all steps of one code (NIST 800-63B-4 §3.1.3.2).
CODE_LENGTH = 6
CHANNEL_TIMEOUT = 180  # seconds


# A lock or wait that ends later than this many times its length was begun by a clock that ran
# ahead, and ends when that is set right; the clocks of two machines differ by far less.
TOO_LONG = 2

# After this many refused sends in an hour the wait between two sends stays, although nothing was
# sent: each try asks the provider.
FORGIVEN_SENDS = 5
# Refused sends an hour from one address, as a multiple of VERIFY_SENDS_PER_IP, that do not count
# as sends from it.
FORGIVEN_PER_SEND = 5
# Sends an hour of unknown outcome, to one user and to one number, that do not count as sends.
FORGIVEN_UNCLEAR = 10
# This part of a day's codes (one in five) is kept for people whose number is already verified.
RESERVED_PART = 5


class Limited(Exception):
    """Too many codes asked for or tried. ``retry_after`` is how many seconds to wait."""

    def __init__(self, reason: str, wait: timedelta):
        super().__init__(reason)
        self.reason = reason
        self.retry_after = max(1, math.ceil(wait.total_seconds()))


class TooEarly(Limited):
    """The wait after the previous code is not over yet."""


class NotReleased(Limited):
    """Vonage still holds the request that we cancelled, and takes no new one for its number.

    ``reason`` is the whole sentence, with ``%(wait)s`` for how long to wait.
    """


class NumberTaken(Exception):
    """The number is the proven number of another account."""


class OtherNumberProven(Exception):
    """The account has another proven number."""


def longest_wait() -> int:
    """Return how many seconds a wait for the next message may last, by whichever clock."""
    return TOO_LONG * max(HOUR, *settings.VERIFY_RESEND_WAITS)


def masked(number) -> str:
    """Hide all of a phone number but its last two digits."""
    return f"•••• ••{str(number)[-2:]}"


ADD_TO_LIMITS = """
    INSERT INTO two_factor_limit AS used (key, name, count, ends_at) VALUES {rows}
    ON CONFLICT (key) DO UPDATE SET count = used.count + excluded.count
    RETURNING key, count
"""


class LimitManager(models.Manager):
    def add(self, name: str, value, seconds: int, amount: int = 1) -> "Limit":
        """Add ``amount`` to what ``value`` has used up in the current window of ``seconds``."""
        return self.add_each([(name, value, seconds)], amount)[0]

    def add_each(self, uses: list[tuple], amount: int = 1) -> "list[Limit]":
        """Add ``amount`` to each of several limits, given as name, value and seconds."""
        return self.add_to([self.unused(*use) for use in uses], amount)

    def count_use(self, allowed: list[tuple]) -> "tuple[list[Limit], list[Limit]]":
        """Count once more for each limit, given as name, value, the most there may be and seconds.

        Return all of them, and those that were passed.
        """
        limits = self.add_each([(name, value, seconds) for name, value, _, seconds in allowed])
        passed = [
            limit
            for limit, (_, _, most, _) in zip(limits, allowed, strict=True)
            if limit.count > most
        ]
        return limits, passed

    def add_to(self, limits: "list[Limit]", amount: int) -> "list[Limit]":
        """Add ``amount`` to each of ``limits`` and return them with their counts.

        One statement counts and answers, so that of parallel requests each sees its own count.
        The rows are locked in the order given: keep it the same everywhere.
        """
        values = []
        for limit in limits:
            ends_at = connection.ops.adapt_datetimefield_value(limit.ends_at)
            values += [limit.key, limit.name, amount, ends_at]
        rows = ", ".join(["(%s, %s, %s, %s)"] * len(limits))
        with connection.cursor() as cursor:
            cursor.execute(ADD_TO_LIMITS.format(rows=rows), values)
            counts = dict(cursor.fetchall())
        for limit in limits:
            limit.count = counts[limit.key]
        return limits

    def unused(self, name: str, value, seconds: int) -> "Limit":
        """Return the limit that is in force now, as if nothing had been counted."""
        window = int(timezone.now().timestamp()) // seconds
        key = salted_hmac("two_factor.Limit", f"{name}:{value}:{window}", algorithm="sha256")
        ends_at = datetime.fromtimestamp((window + 1) * seconds, UTC)
        return Limit(key=key.hexdigest(), name=name, count=0, ends_at=ends_at)

    def sends_today(self) -> "Limit":
        """Return how many codes the whole site has sent today, without counting one more."""
        today = self.unused("site", "", DAY)
        return self.filter(pk=today.pk).first() or today

    def reached(self, most: dict[str, int], since):
        """Return how often each limit of so many was used up in windows that ended ``since``."""
        full = [Q(name=name, count__gte=count) for name, count in most.items()]
        ended = self.filter(reduce(or_, full), ends_at__gt=since)
        return ended.values("name").annotate(times=models.Count("pk")).order_by("-times", "name")


class Limit(models.Model):
    """How often something was done in one window of time.

    The key is a keyed hash: neither numbers nor addresses stand in this table.
    """

    key = models.CharField(max_length=64, primary_key=True)
    # Of which limit it is one; empty where an earlier version counted.
    name = models.CharField(max_length=40, db_default="")
    count = models.IntegerField()
    ends_at = models.DateTimeField(db_index=True)

    objects = LimitManager()

    def __str__(self):
        return f"{self.count} until {self.ends_at}"


def send_limits(user_id: int, number: str, address: str, is_own: bool) -> list[tuple]:
    """Return each limit that one message counts against: name, value, most and seconds.

    ``is_own`` says that ``number`` is the verified number of this user. Such sends have counts of
    their own, so that no one else can use them up by asking for codes to this number or range.
    """
    most_a_day = settings.VERIFY_SENDS_PER_DAY
    limits = [
        ("user", user_id, settings.VERIFY_SENDS_PER_USER, HOUR),
        ("own number" if is_own else "number", number, settings.VERIFY_SENDS_PER_NUMBER, HOUR),
        *address_limits("address", address, settings.VERIFY_SENDS_PER_IP, HOUR),
    ]
    if is_own:
        return [*limits, ("site", "", most_a_day, DAY)]
    return [
        *limits,
        # Fraud runs through neighbouring numbers: a range is all that share all but four digits.
        ("prefix", number[:-4], settings.VERIFY_SENDS_PER_PREFIX, HOUR),
        ("site", "", most_a_day - reserved_sends(), DAY),
    ]


def reserved_sends() -> int:
    """Return how many of a day's codes are kept for people whose number is already verified."""
    return settings.VERIFY_SENDS_PER_DAY // RESERVED_PART


# The limits that one person's codes use up; the others are shared by many people.
PERSONAL_LIMITS = {"user", "number", "own number"}


class TwoFactor(models.Model):
    """A user's second factor: the proven phone number, and the tries made at proving one.

    ``number`` is null until a code sent to it came back. ``generation`` changes with the number
    and on a reset; whatever was verified under an earlier one asks again.
    """

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        related_name="two_factor",
        verbose_name=_("user"),
    )
    number = PhoneNumberField(null=True, blank=True, unique=True)
    generation = models.UUIDField(default=uuid.uuid4, editable=False)
    verified_at = models.DateTimeField(_("verified at"), null=True, blank=True, editable=False)
    failures = models.PositiveIntegerField(_("failures"), default=0, editable=False)
    locked_until = models.DateTimeField(_("locked until"), null=True, blank=True, editable=False)
    sends = models.PositiveIntegerField(default=0, editable=False)
    next_send_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("second factor")
        verbose_name_plural = _("second factors")

    def __str__(self):
        number = self.masked_number or gettext("no number")
        return f"{self.user}, {number}"

    @property
    def masked_number(self) -> str:
        return masked(self.number) if self.number else ""

    @property
    def seconds_to_next_send(self) -> int:
        if self.next_send_at is None:
            return 0
        left = math.ceil((self.next_send_at - timezone.now()).total_seconds())
        return left if 0 < left <= longest_wait() else 0

    def row(self):
        return TwoFactor.objects.filter(pk=self.pk)

    def count_guess(self):
        """Count one more code tried, before the provider is asked, or raise Limited.

        One UPDATE decides, so parallel guesses cannot slip through together. Only a right code
        takes the count back; a new code or another browser does not (NIST 800-63B-4 §3.2.2).
        """
        now = timezone.now()
        most = settings.VERIFY_MAX_FAILURES
        lock = timedelta(seconds=settings.VERIFY_LOCK_SECONDS)
        lock_ends = now + lock
        has_ended = Q(locked_until__lte=now) | Q(locked_until__gt=now + TOO_LONG * lock)
        self.row().filter(has_ended).update(failures=0, locked_until=None)
        counted = (
            self.row()
            .filter(locked_until=None)
            .update(
                failures=F("failures") + 1,
                locked_until=Case(When(failures__gte=most - 1, then=lock_ends), default=None),
            )
        )
        self.refresh_from_db(fields=["failures", "locked_until"])
        # Of guesses at once several may see the lock; only one of them set it.
        self.has_locked = self.locked_until == lock_ends
        if not counted:
            raise Limited(gettext("Too many wrong codes."), (self.locked_until or lock_ends) - now)

    # The limits that the last ``count_send`` counted against.
    counted = ()

    @transaction.atomic
    def count_send(self, number: str, address: str):
        """Count one more message to ``number``, asked for from ``address``, or raise Limited.

        The waits between messages grow; the limits bound what fraud can cost. What is refused
        counts nowhere, so that the time it names to try again holds.
        """
        now = timezone.now()
        is_own = self.number is not None and str(self.number) == number
        limits, passed = Limit.objects.count_use(send_limits(self.user_id, number, address, is_own))
        if passed:
            ends_at = max(limit.ends_at for limit in passed)
            raise Limited(gettext("Too many codes were asked for."), ends_at - now)
        self.begin_wait(now)
        self.counted = limits

    def begin_wait(self, now):
        """Begin the wait for the next message, or raise Limited while one lasts."""
        # After a quiet day the waits begin anew.
        was_quiet = Q(next_send_at__lte=now - timedelta(seconds=DAY))
        is_too_long = Q(next_send_at__gt=now + timedelta(seconds=longest_wait()))
        has_ended = was_quiet | is_too_long
        self.row().filter(has_ended).update(sends=0, next_send_at=None)
        *waits, last_wait = [now + timedelta(seconds=s) for s in settings.VERIFY_RESEND_WAITS]
        steps = [When(sends=sends, then=wait) for sends, wait in enumerate(waits)]
        counted = (
            self.row()
            .filter(Q(next_send_at=None) | Q(next_send_at__lte=now))
            .update(sends=F("sends") + 1, next_send_at=Case(*steps, default=last_wait))
        )
        self.refresh_from_db(fields=["sends", "next_send_at"])
        if not counted:
            reason = gettext("You asked for a code a moment ago.")
            raise TooEarly(reason, self.next_send_at - now)

    @transaction.atomic
    def uncount_send(self, address: str, was_asked=True, keep=frozenset()):
        """Take back the last ``count_send``: certainly nothing was sent.

        ``was_asked`` says that the provider was asked and refused. Then the wait between two
        sends is taken back FORGIVEN_SENDS times an hour, and the counts of the address are taken
        back within bounds, because each try costs a call. Limits named in ``keep`` stay counted.
        """
        keep, is_forgiven = set(keep), True
        if was_asked:
            most = FORGIVEN_PER_SEND * settings.VERIFY_SENDS_PER_IP
            by_address = address_limits("refused address", address, most, HOUR)
            by_user = ("refused", self.user_id, FORGIVEN_SENDS, HOUR)
            _limits, passed = Limit.objects.count_use([by_user, *by_address])
            names = {limit.name for limit in passed}
            is_forgiven = "refused" not in names
            if names - {"refused"}:
                keep |= set(limit_names("address"))
        self.take_back(lambda limit: limit.name not in keep)
        if is_forgiven:
            counted = self.row().filter(sends__gt=0)
            counted.update(sends=F("sends") - 1, next_send_at=None)
        self.refresh_from_db(fields=["sends", "next_send_at"])

    @transaction.atomic
    def uncount_unclear(self, number: str):
        """Take back what the last ``count_send`` used up of this user's and number's codes.

        Whether a message was sent is unknown. An outage of the provider must not use up the codes
        of an hour, so such sends have their own limits. The wait stays, and it does not grow.
        """
        unclear = [("unclear", self.user_id, HOUR), ("unclear number", number, HOUR)]
        if max(limit.count for limit in Limit.objects.add_each(unclear)) > FORGIVEN_UNCLEAR:
            return
        self.take_back(lambda limit: limit.name in PERSONAL_LIMITS)
        self.row().filter(sends__gt=0).update(sends=F("sends") - 1)
        self.refresh_from_db(fields=["sends"])

    def take_back(self, is_included):
        limits = [limit for limit in self.counted if is_included(limit)]
        self.counted = ()
        if limits:
            Limit.objects.add_to(limits, -1)

    def hold_off(self, seconds: int):
        """Refuse the next send for ``seconds``; unlike ``begin_wait`` this counts nothing."""
        until = timezone.now() + timedelta(seconds=seconds)
        is_free = Q(next_send_at=None) | Q(next_send_at__lt=until)
        self.row().filter(is_free).update(next_send_at=until)
        self.refresh_from_db(fields=["next_send_at"])

    def uncount_guess(self):
        """Take back ``count_guess`` where the provider did not judge the code."""
        self.row().filter(failures__gt=0).update(failures=F("failures") - 1, locked_until=None)

    def prove(self, number, replaces=False):
        """Make ``number``, to which the right code was sent, this user's proven number.

        Raises NumberTaken where it is another account's, and OtherNumberProven where this one
        has another number and the code was not sent to replace it, or where the number was
        changed or removed since this row was read.
        """
        values = {
            "number": number,
            "generation": self.generation if self.number == number else uuid.uuid4(),
            "verified_at": timezone.now(),
            "failures": 0,
            "locked_until": None,
            "sends": 0,
            "next_send_at": None,
        }
        try:
            with transaction.atomic():
                proven = (
                    self.row()
                    # Whatever changed or removed the number meanwhile is the last word.
                    .filter(generation=self.generation)
                    .filter(Q() if replaces else Q(number=None) | Q(number=number))
                    .update(**values)
                )
                if replaces:
                    # Other changes were asked for by browsers that proved the number of before.
                    Verification.objects.filter(user=self.user, is_change=True).delete()
        except IntegrityError as error:
            raise NumberTaken from error
        if not proven:
            raise OtherNumberProven
        for field, value in values.items():
            setattr(self, field, value)

    def forgive(self):
        """Begin to count wrong codes anew: the user got in by other means."""
        self.row().update(failures=0, locked_until=None)

    def reset(self):
        """Take the number away, for a lost phone: all verified sessions and codes end."""
        number = self.number
        self.number, self.verified_at, self.generation = None, None, uuid.uuid4()
        self.failures, self.locked_until = 0, None
        with transaction.atomic():
            self.save(
                update_fields=["number", "verified_at", "generation", "failures", "locked_until"]
            )
            self.user.recovery_codes.all().delete()
            Verification.objects.filter(user=self.user).delete()
            record(Event.Kind.RESET, self.user, number=number)
        signals.phone_reset.send(TwoFactor, user=self.user, request=None)


class VerificationQuerySet(models.QuerySet):
    def live(self):
        return self.filter(expires_at__gt=timezone.now())

    def claim(self, user, number, is_change=False) -> "tuple[Verification, bool]":
        """Return the user's verification of ``number``, and whether it is new.

        Of two clicks at once both get it, and to one of them it is new.
        """
        now = timezone.now()
        # From the future are those of a clock that ran ahead; nobody may be held up by them.
        is_future = Q(started_at__gt=now + timedelta(minutes=1))
        self.filter(Q(expires_at__lte=now) | is_future).delete()
        channel = Channel.first_for(number)
        fresh = {"channel": channel, "started_at": now, "expires_at": now + channel.life}
        # Given up before and now asked for again, it is not to be cancelled any more.
        return self.update_or_create(
            user=user,
            number=number,
            defaults={"is_abandoned": False, "is_change": is_change},
            create_defaults=fresh | {"is_change": is_change},
        )


class Channel(models.TextChoices):
    SMS = "sms", pgettext_lazy("channel", "Sms")
    VOICE = "voice", pgettext_lazy("channel", "Voice")

    @classmethod
    def first_for(cls, number) -> "Channel":
        """Return how to reach ``number`` at first: a landline reads no SMS."""
        is_landline = phonenumbers.number_type(number) == phonenumbers.PhoneNumberType.FIXED_LINE
        return cls.VOICE if is_landline else cls.SMS

    @property
    def life(self) -> timedelta:
        """How long a verification lives that begins here: an SMS is followed by a call."""
        steps = 2 if self == Channel.SMS else 1
        return timedelta(seconds=steps * CHANNEL_TIMEOUT)


class Verification(models.Model):
    """A code under way to a number that it has yet to prove.

    The row goes when the code is used, void or too old: until then the number is only pending.
    """

    class State(models.TextChoices):
        # Vonage gave no answer that tells whether a code was sent.
        UNCLEAR = "unclear"
        # We cancelled the request, and there is no new one yet.
        CANCELLED = "cancelled"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)
    number = PhoneNumberField()
    # Vonage's. Null while its answer to the start is awaited, or was lost.
    request_id = models.UUIDField(null=True, editable=False)
    channel = models.CharField(max_length=5, choices=Channel)
    started_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(db_index=True)
    # Whether it is to replace the proven number.
    is_change = models.BooleanField(default=False)
    # Vonage told us that the message or call did not get through.
    is_undelivered = models.BooleanField(default=False)
    # The user gave it up while Vonage would not cancel it yet; uncancelled, it ends with a call.
    is_abandoned = models.BooleanField(default=False)
    # What is known of a start that has no request_id. Empty: its answer is awaited.
    state = models.CharField(max_length=10, choices=State, blank=True, default="", db_default="")
    # The request that we cancelled last. Vonage refuses a new start for some seconds after that.
    cancelled_id = models.UUIDField(null=True, editable=False)
    # Which form was sent with which code, as keyed hashes: sent again, it is no second guess.
    tried = models.CharField(max_length=200, blank=True, default="", db_default="", editable=False)

    objects = VerificationQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user", "number"], name="verification_once_per_user_and_number"
            ),
        ]

    def __str__(self):
        return gettext("code for %(number)s") % {"number": self.masked_number}

    @property
    def masked_number(self) -> str:
        return masked(self.number)

    @property
    def is_call(self) -> bool:
        """Whether the newest code is spoken: by then an unanswered SMS was followed by a call."""
        sms_ends = self.started_at + timedelta(seconds=CHANNEL_TIMEOUT)
        return self.channel == Channel.VOICE or sms_ends <= timezone.now()

    def row(self):
        return Verification.objects.filter(pk=self.pk)

    @property
    def stage(self) -> str:
        """Where the code is: "sms", "call", "starting", "unclear" or "cancelled"."""
        if self.request_id is None:
            return self.state or "starting"
        return "call" if self.is_call else "sms"

    def retake(self) -> bool:
        """Take over a start that failed, or whose answer never came although its call has ended.

        Returns False where the answer did come or is still awaited, or another click was quicker.
        """
        call_ended = timezone.now() - timedelta(seconds=settings.VONAGE_TIMEOUT + 1)
        has_failed = Q(state__in=self.State.values) | Q(started_at__lte=call_ended)
        unanswered = self.row().filter(has_failed, request_id=None)
        return bool(unanswered.update(started_at=timezone.now(), state=""))

    def set_state(self, state: str):
        """Note that there is no request at Vonage that we know of, and why."""
        self.request_id, self.state = None, state
        self.row().update(request_id=None, state=state)

    def note_cancelled(self, lives_on=timedelta(0)):
        """Note that Vonage's request is cancelled; keep the row for ``lives_on`` from now."""
        self.cancelled_id = self.request_id
        self.expires_at = timezone.now() + lives_on
        self.row().update(cancelled_id=self.cancelled_id, expires_at=self.expires_at)
        self.set_state(self.State.CANCELLED)

    def note_maybe_cancelled(self):
        """Note that Vonage was asked to cancel, and that it is unknown whether it did."""
        self.cancelled_id = self.request_id
        self.row().update(cancelled_id=self.cancelled_id)

    def accept(self, request_id):
        """Note the id under which Vonage has the code, and count its life from now."""
        self.request_id = request_id
        self.started_at = timezone.now()
        self.expires_at = self.started_at + Channel(self.channel).life
        self.is_abandoned = self.is_undelivered = False
        self.state, self.cancelled_id, self.tried = "", None, ""
        fields = ["request_id", "channel", "started_at", "expires_at", "is_abandoned"]
        fields += ["is_undelivered", "state", "cancelled_id", "tried"]
        # Not saved: the row is gone where another tab was quicker to use the code before.
        self.row().update(**{field: getattr(self, field) for field in fields})

    def mark_of(self, form_id: str, code: str) -> str:
        text = f"{self.pk}:{form_id}:{code}"
        return salted_hmac("two_factor.try", text, algorithm="sha256").hexdigest()[:16]

    def begin_try(self, mark: str) -> bool:
        """Note that the form and code of ``mark`` are sent to Vonage; False if they were before.

        One UPDATE decides, so that a double click is one guess.
        """
        kept = Substr(Concat(Value(f"?{mark} "), "tried"), 1, 180)
        return bool(self.row().exclude(tried__contains=mark).update(tried=kept))

    def note_wrong_try(self, mark: str):
        self.row().update(tried=Replace("tried", Value(f"?{mark}"), Value(f"!{mark}")))

    def forget_try(self, mark: str):
        """Let a form be sent again whose code was not judged."""
        self.row().update(tried=Replace("tried", Value(f"?{mark} "), Value("")))

    def is_wrong_try(self, mark: str) -> bool:
        return self.row().filter(tried__contains=f"!{mark}").exists()


class WebhookToken(models.Model):
    """A token that signed a webhook: each counts once. Kept as long as it could be replayed."""

    fingerprint = models.CharField(max_length=64, primary_key=True)
    used_at = models.DateTimeField(default=timezone.now, db_index=True)

    def __str__(self):
        return self.fingerprint


class SandboxRequest(models.Model):
    """What Vonage would know of a request. Only the sandbox uses it (see sandbox.py)."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    number = models.CharField(max_length=15, unique=True)
    channels = models.JSONField(default=list)
    channel_timeout = models.PositiveIntegerField(default=CHANNEL_TIMEOUT)
    code_length = models.PositiveSmallIntegerField(default=CODE_LENGTH)
    code = models.CharField(max_length=10)
    step = models.PositiveSmallIntegerField(default=0)
    started_at = models.DateTimeField()
    step_started_at = models.DateTimeField()
    wrong_codes = models.PositiveSmallIntegerField(default=0)

    def __str__(self):
        return f"sandbox request {self.id}"
