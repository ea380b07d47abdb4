"""The list of polls, which everybody can read and search."""

import logging
from contextlib import contextmanager
from time import monotonic

from django.db import OperationalError, connections, transaction
from django.db.models import prefetch_related_objects
from django.utils.functional import cached_property
from django.utils.translation import gettext, pgettext_lazy
from django.views.generic import TemplateView

from two_factor.steps import when_again

from .address_limit import AddressLimit, refused
from .kept import KeptMixin
from .models import Poll
from .paging import page_of
from .search import MAX_SEARCH_LENGTH, MAX_WORDS, words_in

logger = logging.getLogger(__name__)

# Enough for everyone behind one address, and on the mean one search a second at most.
SEARCHES = AddressLimit("search", most=600, seconds=600)
MAX_SEARCH_SECONDS = 5
QUERY_CANCELED = "57014"  # SQLSTATE of PostgreSQL

PER_PAGE = 20
# Among so many of the first polls a search looks before it asks the indexes: a word that most polls
# have fills a page from these, and the indexes would list all the rest.
NEAR = 2 * PER_PAGE
COMMON = NEAR // 6
# Seconds for which a replica that did not answer is left alone, lest each reader wait for it anew.
LEFT_ALONE = 5


class SearchTimeout(Exception):
    """The database did not find an answer in time."""


class PollListView(KeptMixin, TemplateView):
    """The polls of one kind; whoever picks a choice is led to its ballot."""

    template_name = "polls/list.html"
    kinds = {
        "open": pgettext_lazy("polls", "Open now"),
        "upcoming": pgettext_lazy("polls", "Coming up"),
        "closed": pgettext_lazy("polls", "Closed"),
    }
    orders = {
        "open": ("opens_at", "pk"),
        "upcoming": ("opens_at", "pk"),
        "closed": ("closes_at", "opens_at", "pk"),
    }

    kept_queries = {"show"}

    # Of the process.
    replica_away_until = 0.0
    is_from_replica = False

    def get(self, request, *args, **kwargs):
        wait = SEARCHES.count(request) if self.words else 0
        if wait:
            return refused(self.render_to_response(self.refusal(wait)), wait)
        return super().get(request, *args, **kwargs)

    def refusal(self, wait: int) -> dict:
        problem = when_again(gettext("Too many searches came from your internet address."), wait)
        return {"problem": problem, "kind": self.kind, "kinds": self.kinds, "typed": self.typed}

    def audience(self):
        is_kind = self.request.GET.get("show", "open") == self.kind
        return "strangers" if is_kind and not self.request.user.is_authenticated else None

    @property
    def kind(self):
        asked = self.request.GET.get("show")
        return asked if asked in self.kinds else "open"

    @cached_property
    def typed(self) -> str:
        # PostgreSQL takes no NUL in a text.
        return self.request.GET.get("q", "").replace("\0", "").strip()[:MAX_SEARCH_LENGTH]

    @cached_property
    def words(self) -> list[str]:
        return words_in(self.typed)[:MAX_WORDS]

    def get_context_data(self, **kwargs):
        fields, is_too_slow = self.orders[self.kind], False
        try:
            page = page_of(self.request.GET, fields, PER_PAGE, self.rows_for)
        except SearchTimeout:
            page, is_too_slow = {"rows": []}, True
        if self.is_from_replica:
            page["rows"] = still_listed(page["rows"])
        return super().get_context_data(
            polls=page.pop("rows"),
            kind=self.kind,
            kinds=self.kinds,
            typed=self.typed,
            words=self.words,
            max_words=MAX_WORDS if len(words_in(self.typed)) > MAX_WORDS else 0,
            is_too_slow=is_too_slow,
            **page,
            **kwargs,
        )

    def rows_for(self, paging) -> list[Poll]:
        self.paging = paging
        return self.rows()

    def rows(self) -> list[Poll]:
        """Return the polls of the page, and one more where another page follows.

        Strangers get those of the replica, where there is one (REPLICA_URL): who has just made a
        poll would miss it there.
        """
        if "replica" in connections and not self.request.user.is_authenticated:
            rows = self.rows_of_replica()
            if rows is not None:
                return rows
        return self.rows_of("default")

    def rows_of_replica(self) -> list[Poll] | None:
        """Return what the replica has; None while it does not answer."""
        view, now = PollListView, monotonic()
        if now < view.replica_away_until:
            return None
        # When it was away, one finds out whether it is back, and the others do not wait.
        view.replica_away_until = view.replica_away_until and now + LEFT_ALONE
        try:
            rows = self.rows_of("replica")
        except OperationalError as error:
            view.replica_away_until = monotonic() + LEFT_ALONE
            logger.warning("The replica did not answer: %s", type(error).__name__)
            return None
        view.replica_away_until = 0.0
        self.is_from_replica = True
        return rows

    def rows_of(self, database) -> list[Poll]:
        # Counting them all would cost the more, the more there are.
        listed = getattr(Poll.objects.listed().using(database), self.kind)()
        polls = self.paging.narrow(listed)
        rows = list(self.found(polls, self.paging.begin, self.paging.end))
        prefetch_related_objects(rows, "choices")
        return rows

    def found(self, polls, begin, end):
        polls = polls.defer("description")
        if not self.typed:
            return polls[begin:end]
        if not self.words:
            return []
        near = list(polls.telling(self.words, NEAR))
        rows = [poll for poll in near if all(told(poll, self.words))]
        if len(near) < NEAR or len(rows) >= end:
            return rows[begin:end]
        found = polls.search(*rarer_first(near, self.words))
        with search_timeout(polls.db):
            return list(found[begin:end])


def still_listed(polls: list[Poll]) -> list[Poll]:
    """Return those that the primary lists, too: a replica may be late by any time."""
    pks = [poll.pk for poll in polls]
    listed = set(Poll.objects.listed().filter(pk__in=pks).values_list("pk", flat=True))
    return [poll for poll in polls if poll.pk in listed]


@contextmanager
def search_timeout(database: str):
    """End what takes longer than ``MAX_SEARCH_SECONDS`` on PostgreSQL, with SearchTimeout."""
    connection = connections[database]
    if connection.vendor != "postgresql":
        yield
        return
    try:
        with transaction.atomic(database), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL statement_timeout = {int(1000 * MAX_SEARCH_SECONDS)}")
            yield
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", None) != QUERY_CANCELED:
            raise
        raise SearchTimeout from error


def told(poll, words) -> list[bool]:
    return [getattr(poll, f"has_{n}") for n in range(len(words))]


def rarer_first(near: list[Poll], words):
    """Part the words into those to ask the indexes for, and those that too many polls hold.

    ``near`` are a few polls from ``telling``.
    """
    held = [told(poll, words) for poll in near]
    holders = [sum(column) for column in zip(*held, strict=True)] or [0] * len(words)
    common = [word for word, number in zip(words, holders, strict=True) if number > COMMON]
    rare = [word for word in words if word not in common]
    return (rare, common) if rare else (words, [])
