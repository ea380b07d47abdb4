"""What is kept of a poll beside its ballots: figures, the public history, the frozen count."""

from django.conf import settings
from django.db import connection, models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from . import history

NOTE = """
    INSERT INTO polls_figure AS noted (poll_id, kind, count) VALUES (%s, %s, 1)
    ON CONFLICT (poll_id, kind) DO UPDATE SET count = noted.count + 1
"""


class Figure(models.Model):
    """How often something happened at a poll that leaves no ballot."""

    class Kind(models.TextChoices):
        REPEATED = "repeated", _("a number that had voted, where votes may not be changed")
        LATE = "late", _("a vote outside the time of voting")
        SENT = "sent", _("a code sent to somebody on the way to a vote")
        PROVEN = "proven", _("a phone proven on the way to a vote")
        FAILED = "failed", _("a wrong code on the way to a vote")

    poll = models.ForeignKey("polls.Poll", models.CASCADE, related_name="figures")
    kind = models.CharField(max_length=10, choices=Kind)
    count = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["poll", "kind"], name="figure_once_per_kind"),
        ]

    def __str__(self):
        return f"{self.count}: {self.get_kind_display()}"

    @classmethod
    def note(cls, poll, kind):
        with connection.cursor() as cursor:
            cursor.execute(NOTE, [poll.pk, kind])


class Change(models.Model):
    """One change of a poll after its first vote, for everybody to read; never edited or deleted."""

    # Subjects of changes that are looked for later.
    REOPENED, FORGOTTEN, ODD_BALLOTS = "reopened", "voters forgotten", "odd ballots"

    poll = models.ForeignKey("polls.Poll", models.CASCADE, related_name="changes")
    at = models.DateTimeField(default=timezone.now)
    # In English; and as sentences for other languages, which the oldest changes have not.
    what = models.TextField()
    # The database fills it in, for releases that know nothing of it.
    sentences = models.JSONField(default=list, db_default=[])
    # What was mended, such as "question" or "choice 7", and its wording before.
    subject = models.CharField(max_length=40, blank=True)
    before = models.TextField(blank=True)
    voters = models.PositiveIntegerField(_("voters at the time"))

    class Meta:
        ordering = ["at", "pk"]

    def __str__(self):
        return self.what

    @classmethod
    def note(cls, poll, voters: int, *sentences: dict | str, **mended):
        sentences = [
            each if isinstance(each, dict) else history.sentence(each) for each in sentences
        ]
        what = history.in_english(poll, sentences)
        cls.objects.create(poll=poll, what=what, sentences=sentences, voters=voters, **mended)

    @property
    def told(self) -> str:
        """What was changed, in the reader's language."""
        return history.told(self.poll, self.sentences) if self.sentences else self.what


class Snapshot(models.Model):
    """The final count of a closed poll, frozen: what anybody can check against its SHA-256."""

    poll = models.OneToOneField("polls.Poll", models.PROTECT, related_name="snapshot")
    body = models.TextField()
    sha256 = models.CharField(max_length=64)
    made_at = models.DateTimeField(default=timezone.now)

    def __str__(self):
        return f"snapshot of poll {self.poll_id}"


class Report(models.Model):
    """Somebody, verified, says that a poll does not belong here."""

    class Reason(models.TextChoices):
        SPAM = "spam", _("It advertises something, or is spam")
        ABUSE = "abuse", _("It insults or threatens people")
        PERSONAL = "personal", _("It tells somebody's personal data")
        ILLEGAL = "illegal", _("It is against the law")
        OTHER = "other", _("Something else")

    poll = models.ForeignKey("polls.Poll", models.CASCADE, related_name="reports")
    reporter = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True)
    reason = models.CharField(_("reason"), max_length=10, choices=Reason)
    words = models.CharField(_("in your words"), max_length=500, blank=True)
    at = models.DateTimeField(_("at"), default=timezone.now)
    # When staff hid the poll, or found nothing wrong with it.
    settled_at = models.DateTimeField(_("settled at"), null=True)

    class Meta:
        verbose_name = _("report")
        verbose_name_plural = _("reports")
        constraints = [
            models.UniqueConstraint(fields=["poll", "reporter"], name="report_once_per_user"),
        ]

    def __str__(self):
        return _("report %(report)s of poll %(poll)s") % {"report": self.pk, "poll": self.poll_id}
