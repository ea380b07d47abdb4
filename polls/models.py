from datetime import timedelta, tzinfo
from urllib.parse import urlencode

from django.conf import settings
from django.db import connection, models, transaction
from django.db.models import Count, Exists, OuterRef, Q, Subquery
from django.db.models.expressions import RawSQL
from django.db.models.functions import Coalesce, Now
from django.dispatch import Signal
from django.urls import reverse
from django.utils import timezone
from django.utils.crypto import get_random_string
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from . import history

# Models too, which Django looks for here.
from .ballots import Ballot, Vote
from .clocks import moment, zone_named
from .record import Change, Figure, Report, Snapshot  # noqa: F401
from .search import has_tokens, holds, is_among_holders
from .shares import percents, share

# Without letters and digits that look alike, for a slug is read out and typed, too. Ten of them are
# 49 bits, not the 128 that OWASP ASVS 5.0 asks for in 11.5.1: nobody types 26 characters. In their
# place failed look-ups are limited by internet address (FAILED_LOOKUPS in views.py).
SLUG_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
SLUG_LENGTH = 10

# How long after the close a poll that forgets its voters still knows them.
FORGET_AFTER = timedelta(days=90)
# How long a poll can be taken back from the trash.
TRASH_LIFE = timedelta(days=30)

# In SQL, which spares each page the time of putting it together.
PICKED = {
    vendor: f"""
        SELECT {ids} FROM polls_vote INNER JOIN polls_ballot ON polls_ballot.id = ballot_id
        WHERE polls_ballot.poll_id = polls_poll.id AND mark = %s
    """  # noqa: S608
    for vendor, ids in {
        "postgresql": "string_agg(choice_id::text, ',')",
        "sqlite": "group_concat(choice_id)",
    }.items()
}

PUBLISHED = Q(published_at__isnull=False, trashed_at=None, hidden_because="")


# Sent with ``pks`` when one statement changed polls or their choices: Django sends no signal then.
polls_updated = Signal()
# Copies of so many polls are cleared one by one; those of more end by their maximum age.
MAX_CLEARED = 100


def new_slug() -> str:
    return get_random_string(SLUG_LENGTH, SLUG_ALPHABET)


def may_view_all(user) -> bool:
    """Whether ``user`` is staff who may open every poll, drafts and hidden polls too.

    Only staff cost a query: their permissions are read once for each request.
    """
    permissions = ["polls.view_poll", "polls.change_poll"]
    return user.is_staff and any(map(user.has_perm, permissions))


def may_change_all(user) -> bool:
    """Whether ``user`` is staff who may edit, close and trash every poll."""
    return user.is_staff and user.has_perm("polls.change_poll")


class TellingQuerySet(models.QuerySet):
    """Tells of changes that are made in one statement. ``poll_field`` names the poll's id."""

    poll_field: str

    def update(self, **values):
        # Read first: afterwards the rows may not match the filters any more.
        pks = list(self.order_by().values_list(self.poll_field, flat=True)[:MAX_CLEARED])
        updated = super().update(**values)
        polls_updated.send(Poll, pks=pks)
        return updated

    update.alters_data = True


class PollQuerySet(TellingQuerySet):
    """``at`` is the moment to judge by; without it, the database's own clock."""

    poll_field = "pk"

    def open(self, at=None):
        at = at or Now()
        still_open = Q(closes_at=None) | Q(closes_at__gt=at)
        return self.filter(still_open, opens_at__lte=at, voters_forgotten_at=None)

    def upcoming(self, at=None):
        return self.filter(opens_at__gt=at or Now())

    def closed(self, at=None):
        return self.filter(closes_at__lte=at or Now())

    def to_forget(self, at):
        """The polls whose voters are to be forgotten by ``at``.

        Among them are those that an earlier release forgot by their marks alone.
        """
        forgotten = Change.objects.filter(poll=OuterRef("pk"), subject=Change.FORGOTTEN)
        is_chosen = Q(forgets_voters=True, voters_forgotten_at=None)
        is_half_done = Q(voters_forgotten_at__isnull=False) & ~Exists(forgotten)
        return self.closed(at - FORGET_AFTER).filter(is_chosen | is_half_done)

    def published(self):
        """What anybody may come across: no drafts, nothing in the trash, nothing hidden."""
        return self.filter(PUBLISHED)

    def listed(self):
        return self.published().filter(is_listed=True)

    def kept_by(self, user):
        """The polls that ``user``, verified, may edit: their own, or all with the permission."""
        return self if may_change_all(user) else self.filter(author=user)

    def drafts(self):
        return self.filter(published_at=None, trashed_at=None)

    def in_use(self):
        """Neither a draft nor in the trash; hidden or not."""
        return self.filter(published_at__isnull=False, trashed_at=None)

    def trash(self, at=None):
        """What lies in the trash and can be taken back."""
        return self.filter(trashed_at__gt=(at or timezone.now()) - TRASH_LIFE)

    def past_trash(self, at=None):
        """What can be taken back no more, and waits to be deleted for good."""
        return self.filter(trashed_at__lte=(at or timezone.now()) - TRASH_LIFE)

    def of_kind(self, kind):
        """The polls of one ``Poll.Kind``, in the order in which their author looks for them."""
        if kind == Poll.Kind.DRAFTS:
            return self.drafts().order_by("-created_at", "-pk")
        if kind == Poll.Kind.TRASH:
            return self.trash().order_by("-trashed_at", "-pk")
        return getattr(self.in_use(), kind)().newest_first()

    def with_figures(self):
        """Each with its number of ``voters``, and what ``figures`` asks for."""
        ballots = Ballot.objects.filter(poll=OuterRef("pk")).values("poll")
        voters = Subquery(ballots.annotate(number=Count("pk")).values("number"))
        return self.annotate(voters=Coalesce(voters, 0)).prefetch_related("figures")

    def reachable(self, link="", keeper=None):
        """The polls that open by their id, for whoever has the ``link`` (a slug) or is ``keeper``.

        Ids can be counted through: a poll that is open by link only does not open without it.
        """
        is_public = PUBLISHED & (Q(is_listed=True) | Q(slug=link))
        if keeper is None:
            return self.filter(is_public)
        is_kept = Q() if may_view_all(keeper) else Q(author=keeper)
        return self.filter(is_public | (is_kept & Q(trashed_at=None)))

    def with_ballot(self, mark: str):
        """Add ``picked``: the choices on the ballot with that mark, ids with commas; or None.

        For a page that asks the database for much else: poll and own ballot are one query.
        """
        return self.annotate(picked=RawSQL(PICKED[connection.vendor], [mark]))  # noqa: S611

    def newest_first(self):
        return self.order_by("-opens_at", "-pk")

    def latest_closed_first(self):
        return self.order_by("-closes_at", "-opens_at", "-pk")

    def telling(self, words: list[str], number: int):
        """The first ``number``, each with ``has_0``, ``has_1`` …: whether it holds the word."""
        found = {f"has_{n}": holds(word, Choice.objects) for n, word in enumerate(words)}
        # By their ids: PostgreSQL would plan for all polls, and look through the choices of all.
        return self.filter(pk__in=self.values("pk")[:number]).annotate(**found)

    def search(self, words: list[str], others=(), authors_too=False):
        """The polls that hold each of the words, in question, description or any choice.

        ``others`` are words to look for in what is left then: those that nearly every poll holds.
        Staff look for the names of authors, too.
        """
        is_indexed = connection.vendor == "postgresql"
        others = [*others, *(word for word in words if not (is_indexed and has_tokens(word)))]
        words = [word for word in words if word not in others]
        found = self.filter(*(holds(word, Choice.objects, authors_too) for word in others))
        if not words:
            return found
        return found.filter(is_among_holders(words, Poll.objects, Choice.objects, authors_too))


class Poll(models.Model):
    class ResultsFor(models.TextChoices):
        EVERYONE = "everyone", _("everyone, at any time")
        VERIFIED = "verified", _("whoever proved a phone, at any time")
        VOTERS = "voters", _("whoever voted; after the close, whoever proved a phone")
        AFTER_CLOSE = "after_close", _("everyone, after the close")
        AUTHOR = "author", _("only me")

    class Kind(models.TextChoices):
        OPEN = "open", pgettext_lazy("polls", "Open")
        UPCOMING = "upcoming", pgettext_lazy("polls", "Coming up")
        CLOSED = "closed", pgettext_lazy("polls", "Closed")
        DRAFTS = "drafts", pgettext_lazy("polls", "Drafts")
        TRASH = "trash", pgettext_lazy("polls", "Trash")

    question = models.CharField(_("question"), max_length=200)
    description = models.TextField(_("description"), blank=True)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        verbose_name=_("author"),
    )
    opens_at = models.DateTimeField(pgettext_lazy("a poll", "opens"), default=timezone.now)
    closes_at = models.DateTimeField(
        pgettext_lazy("a poll", "closes"),
        null=True,
        blank=True,
        help_text=_("Leave empty to keep the poll open."),
    )
    # Whose clock the author means, by its IANA name; all moments are kept in UTC.
    time_zone = models.CharField(_("time zone"), max_length=50, default="UTC")
    min_choices = models.PositiveSmallIntegerField(_("fewest answers"), default=1)
    max_choices = models.PositiveSmallIntegerField(_("most answers"), default=1)
    results_for = models.CharField(
        _("results are for"), max_length=20, choices=ResultsFor, default=ResultsFor.VERIFIED
    )
    may_change = models.BooleanField(_("a vote may be changed"), default=True)
    is_listed = models.BooleanField(
        _("listed"),
        default=True,
        help_text=_("Otherwise only those who have the link find the poll."),
    )
    forgets_voters = models.BooleanField(
        _("forget who voted"),
        default=False,
        help_text=_(
            "Three months after the close we remove what links votes to phone numbers. The votes "
            "stay, and receipts end."
        ),
    )
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    slug = models.CharField(max_length=16, unique=True, default=new_slug, editable=False)
    # Null while the poll is a draft.
    published_at = models.DateTimeField(
        _("published at"), null=True, blank=True, default=timezone.now, editable=False
    )
    trashed_at = models.DateTimeField(_("trashed at"), null=True, blank=True, editable=False)
    # What its author and nobody else is told where staff took the poll out of sight.
    hidden_because = models.CharField(_("hidden because"), max_length=300, blank=True)
    voters_forgotten_at = models.DateTimeField(null=True, blank=True, editable=False)
    # Of what was sent to make it (see polls.authoring.sent_hash): the same sent twice is one poll.
    sent_hash = models.CharField(max_length=64, null=True, blank=True, editable=False)  # noqa: DJ001

    objects = PollQuerySet.as_manager()

    class Meta:
        verbose_name = _("poll")
        verbose_name_plural = _("polls")
        constraints = [
            models.CheckConstraint(
                condition=Q(closes_at__gt=models.F("opens_at")),
                name="poll_closes_after_it_opens",
                violation_error_message=_("A poll must close after it opens."),
            ),
            models.CheckConstraint(
                condition=Q(min_choices__gte=1, max_choices__gte=models.F("min_choices")),
                name="poll_asks_for_at_least_one_choice",
                violation_error_message=_("Ask for one answer at least, and at most for the most."),
            ),
            models.UniqueConstraint(fields=["author", "sent_hash"], name="poll_sent_once"),
        ]
        indexes = [
            models.Index(
                fields=["-opens_at", "-id"],
                condition=Q(is_listed=True, published_at__isnull=False, trashed_at=None),
                name="poll_newest_listed",
            ),
            models.Index(
                fields=["-closes_at", "-opens_at", "-id"],
                condition=Q(is_listed=True, published_at__isnull=False, trashed_at=None),
                name="poll_latest_closed_listed",
            ),
        ]

    def __str__(self):
        return self.question

    def get_absolute_url(self):
        return self.url("ballot")

    def url(self, name: str) -> str:
        """Return the address of one of the poll's pages, with the link where that is needed."""
        path = reverse(f"polls:{name}", args=[self.pk])
        return path if self.is_listed else f"{path}?{urlencode({'link': self.slug})}"

    @property
    def zone(self) -> tzinfo:
        return zone_named(self.time_zone)

    def moment(self, at) -> str:
        return moment(at, self.zone)

    @property
    def is_upcoming(self) -> bool:
        return timezone.now() < self.opens_at

    @property
    def is_closed(self) -> bool:
        return self.closes_at is not None and self.closes_at <= timezone.now()

    @property
    def is_open(self) -> bool:
        return self.is_published and not (self.is_upcoming or self.is_closed)

    @property
    def is_draft(self) -> bool:
        return self.published_at is None

    @property
    def is_published(self) -> bool:
        return not (self.is_draft or self.trashed_at or self.hidden_because)

    @property
    def kind(self) -> "Poll.Kind":
        if self.trashed_at:
            return self.Kind.TRASH
        if self.is_draft:
            return self.Kind.DRAFTS
        if self.is_upcoming:
            return self.Kind.UPCOMING
        return self.Kind.CLOSED if self.is_closed else self.Kind.OPEN

    @property
    def trash_ends_at(self):
        return self.trashed_at + TRASH_LIFE

    @property
    def is_locked(self) -> bool:
        """Whether somebody has voted or the count is frozen, so that the wording must stay."""
        return self.ballots.exists() or Snapshot.objects.filter(poll=self).exists()

    @property
    def is_reopenable(self) -> bool:
        return self.is_published and self.is_closed and self.voters_forgotten_at is None

    def reopenings(self) -> list:
        """Return the moments at which the closed poll was opened again, the earliest first."""
        # Earlier releases noted no subject; what they wrote in English is never changed.
        noted = Q(subject=Change.REOPENED) | Q(subject="", what__startswith="Reopened until ")
        return list(self.changes.filter(noted).values_list("at", flat=True))

    @property
    def was_reopened(self) -> bool:
        return bool(self.reopenings())

    @property
    def has_one_answer(self) -> bool:
        return self.max_choices == 1

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

    @property
    def numbers(self) -> dict:
        """How often each kind of thing happened, and ``conversion``, phones proven per code."""
        counted = {figure.kind: figure.count for figure in self.figures.all()}
        numbers = {kind.value: counted.get(kind, 0) for kind in Figure.Kind}
        sent, proven = numbers[Figure.Kind.SENT], numbers[Figure.Kind.PROVEN]
        conversion = share(proven, sent) if sent else None
        percent = percents([proven], sent)[0] if sent else None
        return numbers | {"conversion": conversion, "percent": percent}

    def note_change(self, *sentences: dict | str, **mended):
        """Write into the public history what changes, once somebody has voted."""
        voters = self.ballots.count()
        if voters:
            Change.note(self, voters, *sentences, **mended)

    # What follows changes a row that the caller has locked: votes wait, and see it done.

    def publish(self):
        """Show a draft to everybody; it opens now, or later as planned."""
        self.published_at = timezone.now()
        self.opens_at = max(self.opens_at, self.published_at)
        self.save(update_fields=["published_at", "opens_at"])

    def close(self):
        """Move the end of an open poll to now."""
        before, self.closes_at = self.closes_at, timezone.now()
        self.save(update_fields=["closes_at"])
        self.note_change(history.became("closes_at", before, self.closes_at))

    def reopen(self, closes_at, reason: str):
        """Open a closed poll again; what was frozen goes, and its SHA-256 stays in the history."""
        facts, frozen = {"reason": reason}, Snapshot.objects.filter(poll=self).first()
        if closes_at:
            facts["until"] = history.as_fact("closes_at", closes_at)
        if frozen:
            facts["sha256"] = frozen.sha256
            frozen.delete()
        words = history.reopened(has_end=closes_at is not None, was_frozen=frozen is not None)
        self.closes_at = closes_at
        self.save(update_fields=["closes_at"])
        reopened = history.sentence(words, **facts)
        Change.note(self, self.ballots.count(), reopened, subject=Change.REOPENED)

    def trash(self):
        self.trashed_at = timezone.now()
        self.save(update_fields=["trashed_at"])
        self.note_change(history.TRASHED)

    def restore(self):
        self.trashed_at = None
        self.save(update_fields=["trashed_at"])
        self.note_change(history.TAKEN_BACK)

    @transaction.atomic
    def copy_for(self, author, sent_hash=None) -> "Poll":
        """Return a draft with the same wording and options, and no dates."""
        copied = ["question", "description", "time_zone", "min_choices", "max_choices"]
        copied += ["results_for", "may_change", "is_listed", "forgets_voters"]
        values = {name: getattr(self, name) for name in copied}
        values |= {"author": author, "published_at": None, "sent_hash": sent_hash}
        copy = Poll.objects.create(**values)
        Choice.objects.bulk_create(
            Choice(poll=copy, text=choice.text, position=choice.position)
            for choice in self.choices.all()
        )
        return copy

    @transaction.atomic
    def delete_for_good(self) -> int | None:
        """Delete the poll with its ballots and all else; return how many ballots it had.

        None where it does not lie in the trash for long enough, and so stays. This is the one place
        where votes are deleted, and only `purge` comes here.
        """
        # Its author may have taken it back since the caller looked.
        if not Poll.objects.past_trash().select_for_update().filter(pk=self.pk).first():
            return None
        votes, ballots = Vote.objects.filter(ballot__poll=self), Ballot.objects.filter(poll=self)
        # Raw, for Django would load every ballot first.
        votes._raw_delete(votes.db)
        voters = ballots._raw_delete(ballots.db)
        Snapshot.objects.filter(poll=self).delete()
        self.delete()
        return voters


class ChoiceQuerySet(TellingQuerySet):
    poll_field = "poll"


class Choice(models.Model):
    poll = models.ForeignKey(Poll, models.CASCADE, related_name="choices", verbose_name=_("poll"))
    text = models.CharField(_("text"), max_length=200)
    position = models.PositiveSmallIntegerField(_("position"), default=0)

    objects = ChoiceQuerySet.as_manager()

    class Meta:
        verbose_name = _("choice")
        verbose_name_plural = _("choices")
        ordering = ["position", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["poll", "text"],
                name="choice_once_per_poll",
                violation_error_message=_("This poll already has that choice."),
            ),
        ]

    def __str__(self):
        return self.text
