"""Pages that many open within the same second: rendered once, and filled in for each of them.

What is each reader's own on such a page, the token of its forms and the name in its header, stands
there as words that nobody can guess, and gives way to the reader's own. Whoever sees something else
of their own gets a page made for them: authors and staff, and who is told something (messages).

Each process keeps its own pages. A page is rebuilt after ``KEPT`` seconds, and no one is shown one
that is older than twice that: so long it takes at most until a change made in another process,
such as a poll that staff hid, is seen here. Changes made in this process are seen at once.
"""

import re
import secrets
from dataclasses import dataclass
from types import SimpleNamespace

from django.contrib.auth.models import AnonymousUser
from django.contrib.messages import get_messages
from django.db import connection
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver
from django.http import HttpResponse
from django.middleware.csrf import get_token
from django.template.defaultfilters import truncatechars
from django.utils.html import escape
from django.utils.text import compress_string

from pollstr.site_url import site_url

from .models import Choice, Poll, may_view_all, polls_updated
from .shared_copy import ProcessStore, SharedCopy, forget_now_and_on_commit

KEPT = 1  # seconds
ACCEPTS_GZIP = re.compile(r"\bgzip\b")
# As many bytes as Django adds at most, lest a length tell anything (GZipMiddleware).
PADDING = 100
# So many pages, and so many characters on all of them, are a few megabytes. Of a list of long polls
# alone, under as many made-up addresses, it would be hundreds.
MOST, MOST_CHARACTERS = 500, 5_000_000
# As long as a name in the header may be, or it would be cut.
TOKEN, NAME = secrets.token_hex(10), secrets.token_hex(10)
ANYBODY = SimpleNamespace(is_authenticated=True, pk=0, get_username=lambda: NAME)


@dataclass
class Page:
    html: str
    # Of a page with nobody's own on it: as it is sent, and compressed.
    body: bytes | None
    gzipped: bytes | None
    poll: Poll | None


def pages_in(values) -> list[Page]:
    return [value[1] for value in values if isinstance(value, tuple)]


def is_full(values) -> bool:
    kept = pages_in(values)
    return len(kept) >= MOST or sum(len(page.html) for page in kept) >= MOST_CHARACTERS


pages = ProcessStore(is_full)


class KeptMixin:
    """Keep the page for a moment, for everybody whose ``audience`` is the same."""

    # The page of an address with anything else in its query is made for its reader.
    kept_queries: set[str] = set()

    def audience(self):
        """Return what tells readers of different pages apart; None where each has their own."""
        return None

    def get(self, request, *args, **kwargs):
        name = self.kept_under()
        if name is None:
            return super().get(request, *args, **kwargs)
        copy = SharedCopy(pages, name, KEPT, 2 * KEPT)
        page = copy.get(self.not_before())
        if page is None or not self.is_for_all(page.poll):
            page = copy.rebuild(self.make_page)
        if page is None:
            return self.own_response
        self.object = page.poll
        return self.answer(page)

    def make_page(self) -> Page | None:
        """Return the page for everyone; None where ``own_response`` is for its reader alone."""
        response = super().get(self.request, *self.args, **self.kwargs)
        poll = getattr(self, "object", None)
        if response.status_code != 200 or not self.is_for_all(poll):
            self.own_response = response
            return None
        user = ANYBODY if self.request.user.is_authenticated else AnonymousUser()
        response.context_data |= {"csrf_token": TOKEN, "user": user}
        html = response.render().text
        is_nobodys = TOKEN not in html and NAME not in html
        body = html.encode() if is_nobodys else None
        return Page(html, body, compress_string(body) if body else None, poll)

    def kept_under(self):
        request = self.request
        # What is seen inside a transaction may never come true.
        if not KEPT or connection.in_atomic_block or not request.GET.keys() <= self.kept_queries:
            return None
        audience = self.audience()
        if audience is None or len(get_messages(request)):
            return None
        # The links in a page begin with this. The Host header itself has thousands of ports, which
        # would crowd other pages out.
        site = site_url(request)
        path = request.get_full_path()
        language = request.LANGUAGE_CODE
        return site, path, request.user.is_authenticated, audience, language

    def not_before(self) -> float:
        """Return the moment (seconds since 1970) before which no page for this reader was made."""
        return 0

    def is_for_all(self, poll) -> bool:
        """Whether this reader is shown no more of ``poll`` than others, in its proper address."""
        if poll is None:
            return True
        user = self.request.user
        is_author = user.is_authenticated and user.pk == poll.author_id
        # A listed poll needs no link in its address, and made-up ones would crowd pages out.
        return not (is_author or may_view_all(user) or (poll.is_listed and self.request.GET))

    def answer(self, page):
        # What is a signed-in person's own could be guessed from the length of a compressed page
        # (BREACH). A stranger's token cannot: it looks different in each answer.
        if self.request.user.is_authenticated:
            return HttpResponse(self.filled_in(page.html))
        # The others would be added one by one.
        headers = {"Vary": "Accept-Encoding, Accept-Language, Cookie"}
        if not ACCEPTS_GZIP.search(self.request.META.get("HTTP_ACCEPT_ENCODING", "")):
            return HttpResponse(page.body or self.filled_in(page.html), headers=headers)
        content = page.gzipped or self.compressed(page)
        return HttpResponse(content, headers=headers | {"Content-Encoding": "gzip"})

    def compressed(self, page) -> bytes:
        return compress_string(self.filled_in(page.html).encode(), max_random_bytes=PADDING)

    def filled_in(self, html: str) -> str:
        user = self.request.user
        if user.is_authenticated:
            html = html.replace(NAME, escape(truncatechars(user.get_username(), len(NAME))))
        return html.replace(TOKEN, get_token(self.request)) if TOKEN in html else html


@receiver([post_save, post_delete], sender=Poll)
@receiver([post_save, post_delete], sender=Choice)
@receiver(polls_updated)
def forget(**kwargs):
    """Forget all pages, where this process changes a poll."""
    forget_now_and_on_commit(pages.clear)
