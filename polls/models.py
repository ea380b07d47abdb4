import hashlib
import hmac

from django.conf import settings
from django.db import connection, models, transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.urls import reverse
from django.utils import timezone

# Names the VOTER_KEY a mark was made with; a new key gets a new number, and old marks keep theirs.
KEY_VERSION = 1


def voter_mark(poll_id: int, number: str) -> str:
    """Return the mark that ``number`` (E.164) leaves on its ballot in one poll.

    A keyed hash: without VOTER_KEY nobody can tell from a ballot whose it is, nor that two
    ballots of different polls are one person's, yet the same number always meets its own ballot.
    """
    message = f"{poll_id}:{number}".encode()
    return hmac.new(settings.VOTER_KEY.encode(), message, hashlib.sha256).hexdigest()


class PollQuerySet(models.QuerySet):
    """``at`` is the moment to judge by; without it, the database's own clock."""

    def open(self, at=None):
        at = at or Now()
        return self.filter(opens_at__lte=at).exclude(closes_at__lte=at)

    def upcoming(self, at=None):
        return self.filter(opens_at__gt=at or Now())

    def closed(self, at=None):
        return self.filter(closes_at__lte=at or Now())

    def newest_first(self):
        return self.order_by("-opens_at", "-pk")

    def search(self, words: str):
        return self.filter(question__icontains=words)


class Poll(models.Model):
    class ResultsFor(models.TextChoices):
        EVERYONE = "everyone", "everyone, at any time"
        VERIFIED = "verified", "whoever proved a phone, at any time"
        VOTERS = "voters", "whoever voted; after the close, whoever proved a phone"
        AFTER_CLOSE = "after_close", "everyone, after the close"
        AUTHOR = "author", "only me"

    question = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, editable=False
    )
    opens_at = models.DateTimeField("opens", default=timezone.now, db_index=True)
    closes_at = models.DateTimeField(
        "closes", null=True, blank=True, help_text="Leave empty to keep the poll open."
    )
    min_choices = models.PositiveSmallIntegerField("fewest answers", default=1)
    max_choices = models.PositiveSmallIntegerField("most answers", default=1)
    results_for = models.CharField(
        "results are for", max_length=20, choices=ResultsFor, default=ResultsFor.VERIFIED
    )
    may_change = models.BooleanField("a vote may be changed", default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = PollQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(closes_at__gt=models.F("opens_at")),
                name="poll_closes_after_it_opens",
                violation_error_message="A poll must close after it opens.",
            ),
            models.CheckConstraint(
                condition=Q(min_choices__gte=1, max_choices__gte=models.F("min_choices")),
                name="poll_asks_for_at_least_one_choice",
                violation_error_message="Ask for one answer at least, and at most for the most.",
            ),
        ]

    def __str__(self):
        return self.question

    def get_absolute_url(self):
        return reverse("polls:ballot", args=[self.pk])

    @property
    def is_upcoming(self) -> bool:
        return timezone.now() < self.opens_at

    @property
    def is_closed(self) -> bool:
        return self.closes_at is not None and self.closes_at <= timezone.now()

    @property
    def is_open(self) -> bool:
        return not (self.is_upcoming or self.is_closed)

    @property
    def is_locked(self) -> bool:
        """Whether somebody has voted or the count is frozen, so that the wording must stay."""
        return self.ballots.exists() or Snapshot.objects.filter(poll=self).exists()

    @property
    def has_one_answer(self) -> bool:
        return self.max_choices == 1

    def ballot_of(self, number: str):
        """Return the ballot that ``number`` (E.164) has cast here, or None."""
        return self.ballots.filter(mark=voter_mark(self.pk, number)).first()

    def shows_results_to(self, user, is_verified: bool, has_voted: bool) -> bool:
        """Whether ``user`` may see results now; the one rule for pages, exports and the admin."""
        rule = self.ResultsFor
        if self.author_id is not None and user.pk == self.author_id and is_verified:
            return True
        return {
            rule.EVERYONE: True,
            rule.VERIFIED: is_verified,
            rule.VOTERS: is_verified and (has_voted or self.is_closed),
            rule.AFTER_CLOSE: self.is_closed,
            rule.AUTHOR: False,
        }[rule(self.results_for)]


class Choice(models.Model):
    poll = models.ForeignKey(Poll, models.CASCADE, related_name="choices")
    text = models.CharField(max_length=200)
    position = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ["position", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["poll", "text"],
                name="choice_once_per_poll",
                violation_error_message="This poll already has that choice.",
            ),
        ]

    def __str__(self):
        return self.text


class VoteRefused(Exception):
    """Nothing was counted."""


class VotingClosed(VoteRefused):
    """The poll was not open at the moment of the vote."""


class AlreadyVoted(VoteRefused):
    """The number has voted, and this poll lets no vote be changed."""


# One statement finds out whether the poll is open, by the database's clock, and inserts or
# replaces the ballot. The share lock makes a change of the poll, such as closing it now, wait for
# votes under way, and votes wait for the change: each falls on one side of it. The clock is read
# when the lock is held, for a vote that had to wait may have become late.
CAST = """
    WITH locked AS (
        SELECT id, opens_at, closes_at FROM polls_poll WHERE id = %s {share_lock}
    )
    INSERT INTO polls_ballot AS earlier (poll_id, mark, key_version, cast_at, revision)
    SELECT id, %s, %s, {now}, 1 FROM locked
    WHERE opens_at <= {now} AND (closes_at IS NULL OR closes_at > {now})
    ON CONFLICT (poll_id, mark) DO UPDATE
    SET cast_at = excluded.cast_at, revision = earlier.revision + 1
    WHERE %s
    RETURNING id, revision
"""
CLOCK = {
    "postgresql": {"now": "clock_timestamp()", "share_lock": "FOR SHARE"},
    # Writers wait for each other as whole transactions (see transaction_mode in the settings).
    "sqlite": {"now": "strftime('%%Y-%%m-%%d %%H:%%M:%%f000', 'now')", "share_lock": ""},
}


# Among how many of the newest polls a voter's own ballots are looked for.
NEWEST_POLLS = 500


class BallotManager(models.Manager):
    def of_number(self, number: str):
        """Return the ballots of ``number`` (E.164) in the newest polls, the latest first.

        No ballot names its voter, so each poll is asked for the mark that the number leaves there.
        """
        newest = Poll.objects.newest_first().values_list("pk", flat=True)[:NEWEST_POLLS]
        marks = [voter_mark(pk, number) for pk in newest]
        return self.filter(mark__in=marks).select_related("poll").order_by("-cast_at")

    @transaction.atomic
    def cast(self, poll: Poll, number: str, choices: list[int]) -> "Ballot":
        """Count one ballot for ``number`` (E.164), replacing an earlier one.

        Raises VotingClosed, or AlreadyVoted.
        """
        mark = voter_mark(poll.pk, number)
        with connection.cursor() as cursor:
            cursor.execute(
                CAST.format(**CLOCK[connection.vendor]),
                [poll.pk, mark, KEY_VERSION, poll.may_change],
            )
            row = cursor.fetchone()
        if row is None:
            raise AlreadyVoted if Poll.objects.open().filter(pk=poll.pk).exists() else VotingClosed
        ballot = Ballot(pk=row[0], revision=row[1], poll=poll, mark=mark)
        if ballot.revision > 1:
            Vote.objects.filter(ballot=ballot.pk).delete()
        Vote.objects.bulk_create(Vote(ballot=ballot, choice_id=pk) for pk in choices)
        return ballot


class Ballot(models.Model):
    """What one phone number says in one poll. It names no user and holds no number."""

    # PROTECT, here and below: nothing deletes votes silently.
    poll = models.ForeignKey(Poll, models.PROTECT, related_name="ballots")
    mark = models.CharField(max_length=64, editable=False)
    key_version = models.PositiveSmallIntegerField(default=KEY_VERSION, editable=False)
    cast_at = models.DateTimeField()
    # How often it was cast: 1, and one more for each change.
    revision = models.PositiveIntegerField(default=1, editable=False)

    objects = BallotManager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["poll", "mark"], name="ballot_once_per_number"),
        ]

    def __str__(self):
        return f"ballot {self.pk} in poll {self.poll_id}"


class Vote(models.Model):
    """One choice ticked on a ballot."""

    ballot = models.ForeignKey(Ballot, models.CASCADE, related_name="votes")
    choice = models.ForeignKey(Choice, models.PROTECT)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["ballot", "choice"], name="vote_once_per_choice"),
        ]

    def __str__(self):
        return f"choice {self.choice_id} on ballot {self.ballot_id}"


class Refusal(models.Model):
    """How many votes a poll has refused, by reason; told on its integrity page."""

    class Reason(models.TextChoices):
        REPEATED = "repeated", "a number that had voted, where votes may not be changed"
        LATE = "late", "outside the time of voting"

    poll = models.ForeignKey(Poll, models.CASCADE, related_name="refusals")
    reason = models.CharField(max_length=10, choices=Reason)
    count = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["poll", "reason"], name="refusal_once_per_reason"),
        ]

    def __str__(self):
        return f"{self.count} votes refused: {self.get_reason_display()}"

    @classmethod
    def note(cls, poll: Poll, reason):
        cls.objects.get_or_create(poll=poll, reason=reason)
        cls.objects.filter(poll=poll, reason=reason).update(count=models.F("count") + 1)


class Change(models.Model):
    """One change of a poll after its first vote, for everybody to read; never edited or deleted."""

    poll = models.ForeignKey(Poll, models.CASCADE, related_name="changes")
    at = models.DateTimeField(default=timezone.now)
    what = models.TextField()
    voters = models.PositiveIntegerField("voters at the time")

    class Meta:
        ordering = ["at", "pk"]

    def __str__(self):
        return self.what


class Snapshot(models.Model):
    """The final count of a closed poll, frozen: what anybody can check against its SHA-256."""

    poll = models.OneToOneField(Poll, models.PROTECT, related_name="snapshot")
    body = models.TextField()
    sha256 = models.CharField(max_length=64)
    made_at = models.DateTimeField(default=timezone.now)

    def __str__(self):
        return f"snapshot of poll {self.poll_id}"
