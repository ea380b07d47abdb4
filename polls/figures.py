"""What happened on the way to a poll's votes: codes sent, phones proven, wrong codes.

The steps of proving a phone know no polls. They tell of themselves by signals, and of the page
they lead to by the request.
"""

from urllib.parse import unquote, urlsplit

from django.dispatch import receiver
from django.urls import resolve

from two_factor import signals
from two_factor.mixins import next_url

from .models import Figure, Poll
from .typed import clean_code

# The pages that somebody comes back to who wants to vote.
PAGES = {"polls:ballot", "polls:results", "share"}


def poll_ahead(request) -> Poll | None:
    """Return the poll that the request leads to in the end."""
    match = resolve(unquote(urlsplit(next_url(request)).path))
    if match.view_name not in PAGES:
        return None
    where = dict(match.kwargs)
    if "slug" in where:
        # As typed: PostgreSQL takes no NUL, among others.
        where["slug"] = clean_code(where["slug"])
    return Poll.objects.published().filter(**where).only("pk").first()


def note(request, kind):
    poll = poll_ahead(request)
    if poll:
        Figure.note(poll, kind)


@receiver(signals.code_sent)
def note_sent(sender, request, **kwargs):
    note(request, Figure.Kind.SENT)


@receiver(signals.phone_verified)
def note_proven(sender, request, **kwargs):
    note(request, Figure.Kind.PROVEN)


@receiver(signals.code_failed)
def note_failed(sender, request, **kwargs):
    note(request, Figure.Kind.FAILED)
