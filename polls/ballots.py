"""Ballots: one for each number in each poll, whatever happens at the same moment."""

import hashlib
import hmac
import json
import secrets

from django.conf import settings
from django.db import connection, models, transaction
from django.db.models.expressions import RawSQL
from django.db.models.functions import TruncHour
from django.utils import timezone
from django.utils.crypto import salted_hmac

from two_factor.numbers import spellings

from . import history
from .record import Change

# Names the VOTER_KEY a mark was made with; a new key gets a new number, and old marks keep theirs.
KEY_VERSION = 1
# Of what stands in the place of a mark where a poll has forgotten its voters: another for each row.
NO_KEY = 0
NONCE_LENGTH = 16  # hex digits
RANDOM = {"postgresql": "gen_random_uuid()::text", "sqlite": "lower(hex(randomblob(16)))"}


def held_poll(polls):
    """Return the one poll of ``polls``, and keep it and its choices until the transaction ends.

    None where there is none. The share lock makes changes of the poll wait until the vote is
    written, and this vote wait for changes under way. Votes do not wait for each other. On SQLite
    a transaction that writes has the whole database for itself already.
    """
    if connection.vendor != "postgresql":
        return polls.first()
    # Django has no FOR SHARE. A statement of its own for the lock would cost a round trip.
    sql, values = polls.query.sql_with_params()
    locked = polls.model.objects.raw(f"{sql} FOR SHARE", values)
    return next(iter(locked.prefetch_related("choices")), None)


def voter_mark(poll_id: int, number: str) -> str:
    """Return the mark that ``number`` (E.164) leaves on its ballot in one poll.

    A keyed hash: without VOTER_KEY nobody can tell from a ballot whose it is, nor that two
    ballots of different polls are one person's, yet the same number always meets its own ballot.
    """
    message = f"{poll_id}:{number}".encode()
    return hmac.new(settings.VOTER_KEY.encode(), message, hashlib.sha256).hexdigest()


def mark_for(poll_id: int, number: str) -> str:
    """Return the mark under which ``number`` (E.164) votes in one poll.

    That is the mark of the ballot that it cast under an earlier spelling, where there is one: a few
    handsets have two valid spellings (two_factor/numbers.py), and one number has one vote.
    """
    marks = [voter_mark(poll_id, spelling) for spelling in spellings(number)]
    if len(marks) == 1:
        return marks[0]
    used = Ballot.objects.filter(poll=poll_id, mark__in=marks).values_list("mark", flat=True)
    return min(used, key=marks.index, default=marks[0])


def fingerprint(poll) -> str:
    """Return 32 hex digits that name what a voter of ``poll`` decides on: its wording and rules.

    Votes, the closing time and the order of the options do not change it.
    """
    texts = sorted((choice.pk, choice.text) for choice in poll.choices.all())
    rules = [poll.min_choices, poll.max_choices, poll.may_change, poll.results_for]
    content = json.dumps([poll.pk, poll.question, poll.description, texts, rules])
    return salted_hmac("polls.seen", content, algorithm="sha256").hexdigest()[:32]


class VoteRefused(Exception):
    """Nothing was counted."""


class VotingClosed(VoteRefused):
    """The poll was not open at the moment of the vote."""


class AlreadyVoted(VoteRefused):
    """The number has voted, and this poll lets no vote be changed."""


class PollChanged(VoteRefused):
    """The poll has other wording or other rules than the ones that the voter saw."""


class PickRefused(VoteRefused):
    """The poll does not take this pick: too few, too many, twice the same, or another poll's."""


# One statement finds out whether the poll is open, by the database's clock, and inserts or
# replaces the ballot. All rules come from the locked row, so a vote that had to wait for a change
# of the poll is judged by the changed poll. The clock is read after the lock is held: a vote that
# had to wait may be late now.
CAST = """
    WITH locked AS (
        SELECT id, opens_at, closes_at, may_change, min_choices, max_choices FROM polls_poll
        WHERE id = %s AND published_at IS NOT NULL AND trashed_at IS NULL AND hidden_because = ''
        AND voters_forgotten_at IS NULL
        {share_lock}
    )
    INSERT INTO polls_ballot AS earlier (poll_id, mark, key_version, cast_at, revision, nonce)
    SELECT id, %s, %s, {now}, 1, %s FROM locked
    WHERE opens_at <= {now} AND (closes_at IS NULL OR closes_at > {now})
    AND min_choices <= %s AND max_choices >= %s
    ON CONFLICT (poll_id, mark) DO UPDATE
    SET cast_at = excluded.cast_at, revision = earlier.revision + 1, nonce = excluded.nonce
    WHERE (SELECT may_change FROM locked)
    RETURNING id, revision
"""
# Choices of other polls are left out, so fewer rows than picks are written.
TICK_SQL = """
    INSERT INTO polls_vote (ballot_id, choice_id)
    SELECT %s, id FROM polls_choice WHERE poll_id = %s AND id IN ({ids})
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
# SQLite's function is Django's.
KEYED_ORDER = {
    "postgresql": "sha256(convert_to(%s || mark, 'UTF8'))",
    "sqlite": "SHA256(%s || mark)",
}
# So many ballots at least are shared, and cast or changed before they are shared once more.
MIN_SHARED = 20
# Among how many of the newest polls a voter's own ballots are looked for.
NEWEST_POLLS = 500


HOUR = {
    "postgresql": {"hour": "date_trunc('hour', cast_at, 'UTC')"},
    "sqlite": {"hour": "strftime('%%Y-%%m-%%d %%H:00:00', cast_at)"},
}
# Each ballot is copied under a mark that names the old one, then its ticks are copied, and the old
# rows go. Ids of both come from the sequence, in random order.
SHUFFLE_SQL = [
    """
    WITH ballots AS (SELECT id, poll_id, {hour} AS hour FROM polls_ballot WHERE poll_id = %s),
    old AS (SELECT id, poll_id, row_number() OVER (ORDER BY {random}) AS place FROM ballots),
    hours AS (SELECT hour, row_number() OVER (ORDER BY {random}) AS place FROM ballots)
    INSERT INTO polls_ballot (poll_id, mark, key_version, cast_at, revision, nonce)
    SELECT poll_id, 'was ' || id, 0, hour, 1, '' FROM old JOIN hours ON hours.place = old.place
    ORDER BY {random}
    """,
    """
    INSERT INTO polls_vote (ballot_id, choice_id)
    SELECT copied.id, choice_id
    FROM polls_ballot AS old JOIN polls_vote ON ballot_id = old.id
    JOIN polls_ballot AS copied ON copied.poll_id = old.poll_id
    AND copied.mark = 'was ' || old.id
    WHERE old.poll_id = %s
    ORDER BY {random}
    """,
    """
    DELETE FROM polls_vote WHERE ballot_id IN (
        SELECT id FROM polls_ballot WHERE poll_id = %s AND mark NOT LIKE 'was %%'
    )
    """,
    "DELETE FROM polls_ballot WHERE poll_id = %s AND mark NOT LIKE 'was %%'",
]
MARK_ANEW_SQL = "UPDATE polls_ballot SET mark = {random} WHERE poll_id = %s"


class BallotManager(models.Manager):
    def of_number(self, number: str):
        """Return the ballots of ``number`` (E.164) in the newest polls, the latest first.

        No ballot names its voter, so each poll is asked for the mark that the number leaves there.
        """
        from .models import Poll

        newest = Poll.objects.published().newest_first().values_list("pk", flat=True)[:NEWEST_POLLS]
        marks = [voter_mark(pk, spelling) for pk in newest for spelling in spellings(number)]
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

    def may_be_shared(self, poll, voters: int) -> bool:
        """Whether the single ballots of a closed poll with so many voters may be downloaded.

        Of few ballots a reader could guess whose they are. Of a poll that was opened again, two
        downloads show what was voted in between: this needs as many ballots each time.
        """
        if voters < MIN_SHARED:
            return False
        reopenings = poll.reopenings()
        if not reopenings:
            return True
        # Then nothing tells how many were cast after which reopening.
        if poll.voters_forgotten_at is not None:
            return False
        ends = [*reopenings[1:], None]
        return all(
            self.cast_between(poll, begin, end) >= MIN_SHARED
            for begin, end in zip(reopenings, ends, strict=True)
        )

    def cast_between(self, poll, begin, end) -> int:
        """Count the ballots last cast or changed from ``begin`` on, and before ``end`` if given."""
        # SQLite's clock has milliseconds: a ballot may seem cast just before the poll was reopened.
        begin = begin.replace(microsecond=begin.microsecond // 1000 * 1000)
        cast = self.filter(poll=poll, cast_at__gte=begin)
        return (cast.filter(cast_at__lt=end) if end else cast).count()

    def in_random_order(self, poll, key: str):
        """Return a poll's ballots in an order that only ``key``, which stays secret, yields."""
        order = RawSQL(KEYED_ORDER[connection.vendor], [key])  # noqa: S611
        return self.filter(poll=poll).order_by(order, "pk")

    def of(self, poll, number: str):
        """Return the ballot that ``number`` (E.164) has cast in one poll, or None.

        It brings the ids of its ``picked`` choices along.
        """
        cast = self.filter(poll=poll, mark=mark_for(poll.pk, number))
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
            cursor.execute(sql, [poll_id, mark_for(poll_id, number)])
            rows = cursor.fetchall()
        return (rows[0][0] if rows else 0), [choice for _, choice in rows if choice]

    @transaction.atomic
    def cast(self, poll, number: str, choices: list[int]) -> "Ballot":
        """Count one ballot for ``number`` (E.164), replacing an earlier one.

        Raises VotingClosed, PickRefused or AlreadyVoted.
        """
        return self.write(poll, number, choices)

    def write(self, poll, number: str, choices: list[int]) -> "Ballot":
        """Do what ``cast`` says as a part of the caller's transaction."""
        mark, nonce = mark_for(poll.pk, number), secrets.token_hex(NONCE_LENGTH // 2)
        picked = len(choices)
        with connection.cursor() as cursor:
            cursor.execute(
                CAST.format(**CLOCK[connection.vendor]),
                [poll.pk, mark, KEY_VERSION, nonce, picked, picked],
            )
            row = cursor.fetchone()
            if row is None:
                raise self.why_refused(poll, picked)
            ballot = Ballot(pk=row[0], revision=row[1], poll=poll, mark=mark, nonce=nonce)
            if ballot.revision > 1:
                Vote.objects.filter(ballot=ballot.pk).delete()
            tick = TICK_SQL.format(ids=", ".join(["%s"] * picked))
            cursor.execute(tick, [ballot.pk, poll.pk, *choices])
            if cursor.rowcount != picked:
                raise PickRefused
        return ballot

    def why_refused(self, poll, picked: int) -> VoteRefused:
        current = type(poll).objects.published().open().filter(pk=poll.pk).first()
        if current is None:
            return VotingClosed()
        if not current.min_choices <= picked <= current.max_choices:
            return PickRefused()
        return AlreadyVoted()

    @transaction.atomic
    def forget_voters(self, poll) -> bool:
        """Cut a closed poll's votes off from whoever cast them; False where it is not due.

        Counts stay. Receipts end, and no number finds its ballot any more: the poll never reopens.
        """
        due = type(poll).objects.to_forget(timezone.now()).select_for_update()
        poll = due.filter(pk=poll.pk).first()
        if poll is None:
            return False
        voters = self.shuffle(poll)
        poll.voters_forgotten_at = poll.voters_forgotten_at or timezone.now()
        poll.save(update_fields=["voters_forgotten_at"])
        Change.note(poll, voters, *history.ALL_FORGOTTEN, subject=Change.FORGOTTEN)
        return True

    def shuffle(self, poll) -> int:
        """Write a poll's ballots again, in random order; return how many.

        A ballot then has another id, a random mark, and the hour of some vote in place of the
        moment of its own, so that neither order nor time tells whose it was.
        """
        random = RANDOM[connection.vendor]
        with connection.cursor() as cursor:
            for sql in SHUFFLE_SQL:
                cursor.execute(sql.format(random=random, **HOUR[connection.vendor]), [poll.pk])
            cursor.execute(MARK_ANEW_SQL.format(random=random), [poll.pk])
            return cursor.rowcount


class Ballot(models.Model):
    """What one phone number says in one poll. It names no user and holds no number."""

    # PROTECT, here and below: nothing deletes votes silently.
    poll = models.ForeignKey("polls.Poll", models.PROTECT, related_name="ballots")
    mark = models.CharField(max_length=64, editable=False)
    key_version = models.PositiveSmallIntegerField(default=KEY_VERSION, editable=False)
    cast_at = models.DateTimeField()
    # How often it was cast: 1, and one more for each change.
    revision = models.PositiveIntegerField(default=1, editable=False)
    # Random hex digits, new for each cast: a restored backup never brings the same ones about for
    # another vote. Empty where a release without receipts of this kind wrote the row.
    nonce = models.CharField(
        max_length=NONCE_LENGTH, blank=True, default="", db_default="", editable=False
    )

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
