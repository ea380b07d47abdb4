"""Ballots: one for each number in each poll, whatever happens at the same moment."""

import hashlib
import hmac

from django.conf import settings
from django.db import connection, models, transaction
from django.db.models.expressions import RawSQL
from django.db.models.functions import TruncHour
from django.utils import timezone

from . import history
from .record import Change

# Names the VOTER_KEY a mark was made with; a new key gets a new number, and old marks keep theirs.
KEY_VERSION = 1
# Of what stands in the place of a mark where a poll has forgotten its voters: another for each row.
NO_KEY = 0
RANDOM = {"postgresql": "gen_random_uuid()::text", "sqlite": "lower(hex(randomblob(16)))"}


def voter_mark(poll_id: int, number: str) -> str:
    """Return the mark that ``number`` (E.164) leaves on its ballot in one poll.

    A keyed hash: without VOTER_KEY nobody can tell from a ballot whose it is, nor that two
    ballots of different polls are one person's, yet the same number always meets its own ballot.
    """
    message = f"{poll_id}:{number}".encode()
    return hmac.new(settings.VOTER_KEY.encode(), message, hashlib.sha256).hexdigest()


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
        SELECT id, opens_at, closes_at FROM polls_poll
        WHERE id = %s AND published_at IS NOT NULL AND trashed_at IS NULL AND hidden_because = ''
        AND voters_forgotten_at IS NULL
        {share_lock}
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


# In SQL, which spares the most asked pages the time of putting it together.
GLANCE = """
    SELECT {seconds}, choice_id
    FROM polls_ballot LEFT JOIN polls_vote ON ballot_id = polls_ballot.id
    WHERE poll_id = %s AND mark = %s ORDER BY choice_id
"""
SECONDS = {
    "postgresql": "extract(epoch FROM cast_at)::float",
    "sqlite": "(julianday(cast_at) - 2440587.5) * 86400",
}
# Among how many of the newest polls a voter's own ballots are looked for.
NEWEST_POLLS = 500


class BallotManager(models.Manager):
    def of_number(self, number: str):
        """Return the ballots of ``number`` (E.164) in the newest polls, the latest first.

        No ballot names its voter, so each poll is asked for the mark that the number leaves there.
        """
        from .models import Poll

        newest = Poll.objects.published().newest_first().values_list("pk", flat=True)[:NEWEST_POLLS]
        marks = [voter_mark(pk, number) for pk in newest]
        return self.filter(mark__in=marks).select_related("poll").order_by("-cast_at")

    def by_hour(self, since):
        """Return the hours in which ballots were cast, with how many, and how many of them anew."""
        return (
            self.filter(cast_at__gte=since)
            .annotate(hour=TruncHour("cast_at"))
            .values("hour")
            .order_by("hour")
            .annotate(
                votes=models.Count("pk"),
                changed=models.Count("pk", filter=models.Q(revision__gt=1)),
            )
        )

    def of(self, poll, number: str):
        """Return the ballot that ``number`` (E.164) has cast in one poll, or None.

        It brings the ids of its ``picked`` choices along.
        """
        cast = self.filter(poll=poll, mark=voter_mark(poll.pk, number))
        rows = list(cast.annotate(ticked=models.F("votes__choice")))
        if not rows:
            return None
        rows[0].picked = [row.ticked for row in rows if row.ticked]
        return rows[0]

    def glance(self, poll_id: int, number: str) -> tuple[float, list[int]]:
        """Return when ``number`` last voted in a poll (seconds since 1970, 0 if never), and what.

        That is the ids of the choices on its ballot.
        """
        with connection.cursor() as cursor:
            sql = GLANCE.format(seconds=SECONDS[connection.vendor])
            cursor.execute(sql, [poll_id, voter_mark(poll_id, number)])
            rows = cursor.fetchall()
        return (rows[0][0] if rows else 0), [choice for _, choice in rows if choice]

    @transaction.atomic
    def cast(self, poll, number: str, choices: list[int]) -> "Ballot":
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
            is_open = type(poll).objects.published().open().filter(pk=poll.pk).exists()
            raise AlreadyVoted if is_open else VotingClosed
        ballot = Ballot(pk=row[0], revision=row[1], poll=poll, mark=mark)
        if ballot.revision > 1:
            Vote.objects.filter(ballot=ballot.pk).delete()
        Vote.objects.bulk_create(Vote(ballot=ballot, choice_id=pk) for pk in choices)
        return ballot

    @transaction.atomic
    def forget_voters(self, poll):
        """Put what nobody can make again in the place of a closed poll's marks.

        Counts and receipts stay, but no number finds its ballot any more: the poll never reopens.
        """
        poll = type(poll).objects.select_for_update().get(pk=poll.pk)
        # It cannot be told which mark was whose, nor in what order the votes came.
        mark = RawSQL(RANDOM[connection.vendor], [])  # noqa: S611
        voters = self.filter(poll=poll).update(mark=mark, key_version=NO_KEY)
        poll.voters_forgotten_at = timezone.now()
        poll.save(update_fields=["voters_forgotten_at"])
        Change.note(poll, voters, history.FORGOTTEN)


class Ballot(models.Model):
    """What one phone number says in one poll. It names no user and holds no number."""

    # PROTECT, here and below: nothing deletes votes silently.
    poll = models.ForeignKey("polls.Poll", models.PROTECT, related_name="ballots")
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
    choice = models.ForeignKey("polls.Choice", models.PROTECT)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["ballot", "choice"], name="vote_once_per_choice"),
        ]

    def __str__(self):
        return f"choice {self.choice_id} on ballot {self.ballot_id}"
