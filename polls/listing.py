"""The list of polls, which everybody can read and search."""

import logging
from time import monotonic

from django.db import OperationalError, connections
from django.db.models import prefetch_related_objects
from django.http import Http404
from django.utils.functional import cached_property
from django.utils.translation import pgettext_lazy
from django.views.generic import TemplateView

from .kept import KeptMixin
from .models import Poll
from .search import LONGEST_SEARCH, MOST_WORDS, words_in

logger = logging.getLogger(__name__)

PER_PAGE = 20
# More digits than a page number needs.
LONGEST_NUMBER = 5
# Among so many of the first polls a search looks before it asks the indexes: a word that most polls
# have fills a page from these, and the indexes would list all the rest.
NEAR = 2 * PER_PAGE
COMMON = NEAR // 6
# Seconds for which a replica that did not answer is left alone, lest each reader wait for it anew.
LEFT_ALONE = 5


class PollListView(KeptMixin, TemplateView):
    """The polls of one kind; whoever picks a choice is led to its ballot."""

    template_name = "polls/list.html"
    kinds = {
        "open": pgettext_lazy("polls", "Open now"),
        "upcoming": pgettext_lazy("polls", "Coming up"),
        "closed": pgettext_lazy("polls", "Closed"),
    }
    orders = {
        "open": "newest_first",
        "upcoming": "newest_first",
        "closed": "latest_closed_first",
    }

    kept_queries = {"show"}

    # Of the process.
    replica_away_until = 0.0

    def audience(self):
        is_kind = self.request.GET.get("show", "open") == self.kind
        return "strangers" if is_kind and not self.request.user.is_authenticated else None

    @property
    def kind(self):
        asked = self.request.GET.get("show")
        return asked if asked in self.kinds else "open"

    @property
    def number(self) -> int:
        asked = self.request.GET.get("page") or "1"
        is_number = asked.isascii() and asked.isdecimal() and len(asked) <= LONGEST_NUMBER
        if not is_number or int(asked) < 1:
            raise Http404
        return int(asked)

    @cached_property
    def typed(self) -> str:
        # PostgreSQL takes no NUL in a text.
        return self.request.GET.get("q", "").replace("\0", "").strip()[:LONGEST_SEARCH]

    @cached_property
    def words(self) -> list[str]:
        return words_in(self.typed)

    def get_context_data(self, **kwargs):
        rows, number = self.rows(), self.number
        if number > 1 and not rows:
            raise Http404
        return super().get_context_data(
            polls=rows[:PER_PAGE],
            kind=self.kind,
            kinds=self.kinds,
            typed=self.typed,
            words=self.words,
            most_words=MOST_WORDS if len(self.typed.split()) > MOST_WORDS else 0,
            number=number,
            newer=number - 1,
            older=number + 1 if len(rows) > PER_PAGE else 0,
            **kwargs,
        )

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
        return rows

    def rows_of(self, database) -> list[Poll]:
        # Counting them all would cost the more, the more there are.
        begin = (self.number - 1) * PER_PAGE
        end = begin + PER_PAGE + 1
        rows = list(self.found(Poll.objects.listed().using(database), begin, end))
        prefetch_related_objects(rows, "choices")
        return rows

    def found(self, listed, begin, end):
        polls = getattr(listed, self.kind)()
        polls = getattr(polls, self.orders[self.kind])().defer("description")
        if not self.typed:
            return polls[begin:end]
        if not self.words:
            return []
        near = list(polls.telling(self.words)[:NEAR])
        rows = [poll for poll in near if all(told(poll, self.words))]
        if len(near) < NEAR or len(rows) >= end:
            return rows[begin:end]
        return polls.search(*rarer_first(near, self.words))[begin:end]


def told(poll, words) -> list[bool]:
    return [getattr(poll, f"has_{n}") for n in range(len(words))]


def rarer_first(near, words):
    """Part the words into those to ask the indexes for, and those that too many polls hold."""
    holders = [sum(column) for column in zip(*(told(poll, words) for poll in near), strict=True)]
    common = [word for word, number in zip(words, holders, strict=True) if number > COMMON]
    rare = [word for word in words if word not in common]
    return (rare, common) if rare else (words, [])
