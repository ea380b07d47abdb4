"""Watching results: all who look at one poll's results share one copy of them.

The page hands out a key, which says that its reader was shown the results under the rule of that
moment. A request with a key asks for neither session nor user, and mostly for no database. There
are keys and copies only where others than the author may see: hidden results are in neither.
"""

import hashlib
import json
import time

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.core import signing
from django.core.cache import cache
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver
from django.utils.translation import get_language

from .models import Choice, Poll, polls_updated
from .shared_copy import SharedCopy, forget_now_and_on_commit
from .tally import tally

# Seconds: how old the copy is when it is rebuilt, and how old it gets at most. So long it takes at
# most until a tightened rule, or a poll taken away, is noticed in another process.
ANEW, OLDEST = 1, 2
# So many votes a second have the copy made anew at once, for who has voted looks at the count next.
NUDGES = 5
# The rules under which results are shown to some, by key, while the poll is open.
BY_KEY = {Poll.ResultsFor.VERIFIED, Poll.ResultsFor.VOTERS}
SALT = "polls.watching"


def is_public(poll: Poll) -> bool:
    return poll.shows_results_to(AnonymousUser(), is_verified=False, has_voted=False)


def key_for(poll: Poll) -> str:
    """Return the key for whoever sees the results now; empty where none is needed or given."""
    if poll.results_for not in BY_KEY:
        return ""
    return signing.dumps([poll.pk, poll.results_for], salt=SALT)


def opens(key: str, pk: int, rule: str) -> bool:
    """Whether the key was given for this poll under this rule, no longer ago than a proof lasts."""
    try:
        return signing.loads(key, salt=SALT, max_age=settings.VERIFIED_SECONDS) == [pk, rule]
    except signing.BadSignature:
        return False


def name_of(pk: int, language: str | None = None) -> str:
    """Name the copy of a poll's results in a language, or else in the one that is spoken."""
    return f"watched-{pk}-{language or get_language()}"


def names_of(pk: int) -> list[str]:
    return [name_of(pk, language) for language, _ in settings.LANGUAGES]


def shared_copy(pk: int, link: str) -> dict:
    """Return the results as of a moment ago: ``rule``, ``is_public``, ``body``, ``etag`` …

    Empty where they cannot be had without asking who it is, or by this ``link``.
    """
    # No poll has such an id, and no cache takes a key of any length.
    if pk.bit_length() > 63:
        return {}
    shared = SharedCopy(cache, name_of(pk), ANEW, OLDEST)
    copy = shared.get() or shared.rebuild(lambda: make_copy(pk)) or {}
    return copy if copy.get("link") in {"", link} else {}


def nudge(pk: int):
    """Have the next reader get a copy with the vote that was just cast, unless votes pour in."""
    nudges = f"watched-{pk}-nudges-{int(time.time())}"
    # Kept longer than its second, lest it end between the two and then stay for ever.
    cache.add(nudges, 0, 10)
    try:
        has_turned = cache.incr(nudges) > NUDGES
    except ValueError:
        # The cache was emptied between the two, and the vote is counted already.
        has_turned = False
    if not has_turned:
        cache.delete_many([f"{name}-turn" for name in names_of(pk)])


@receiver(polls_updated)
def forget_copies(pks, **kwargs):
    names = [name for pk in pks for name in names_of(pk)]
    forget_now_and_on_commit(lambda: cache.delete_many(names))


@receiver([post_save, post_delete], sender=Poll)
def forget_copy(instance, **kwargs):
    forget_copies([instance.pk])


@receiver([post_save, post_delete], sender=Choice)
def forget_copy_with_choice(instance, **kwargs):
    forget_copies([instance.poll_id])


def make_copy(pk: int) -> dict | None:
    poll = Poll.objects.published().filter(pk=pk).first()
    if poll is None or not (is_public(poll) or poll.results_for in BY_KEY):
        return None
    body, etag = written(poll, tally(poll))
    return {
        "link": "" if poll.is_listed else poll.slug,
        "rule": poll.results_for,
        "is_public": is_public(poll),
        "body": body,
        "etag": etag,
    }


def written(poll: Poll, counted: dict) -> tuple[str, str]:
    """Write ``results.json``; return it with its ETag, which a later count of the same keeps."""
    fields = ("id", "text", "votes", "share")
    answer = {
        "question": {
            "id": poll.pk,
            "text": poll.question,
            "open": poll.is_open,
            "opens_at": poll.opens_at,
            "closes_at": poll.closes_at,
        },
        "voters": counted["voters"],
        "choices": [{field: choice[field] for field in fields} for choice in counted["choices"]],
        "summary": counted["summary"],
    }
    content = json.dumps(answer, cls=DjangoJSONEncoder)
    body = json.dumps(answer | {"counted_at": counted["counted_at"]}, cls=DjangoJSONEncoder)
    # Weak, for the bytes differ in counted_at.
    return body, f'W/"{hashlib.sha256(content.encode()).hexdigest()[:32]}"'
