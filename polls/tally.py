"""Counting: one function feeds the page, the exports, the admin and the frozen snapshot.

The rows of ballots and votes are the only truth; there is no counter to keep in step. What counting
costs grows with the ballots, so a count that is not cheap is shared for a while, and the last one
is frozen.
"""

import hashlib
import json
import secrets
import time

from django.contrib.humanize.templatetags.humanize import intcomma
from django.core.cache import cache
from django.db import connection, transaction
from django.db.models import Count
from django.db.models.functions import TruncHour
from django.utils import timezone
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from .models import Poll, Snapshot

# So few ballots are counted anew for every reader, which takes a few milliseconds; the count of
# more is shared for as long as keeps counting below this share of one processor.
FEW = 10_000
MOST_OF_A_PROCESSOR = 0.05
# A sentence that names more answers than this, or longer ones (characters), is not read to its end.
MOST_NAMED, LONGEST_NAME = 3, 40
# How long a count may serve while another is made, should that one fail.
LONGEST_SHARED = 3600


# One statement: between two, somebody might vote, and more votes than voters be told.
COUNT = """
    SELECT choice.id, text, COUNT(vote.id),
        (SELECT COUNT(*) FROM polls_ballot WHERE polls_ballot.poll_id = %s)
    FROM polls_choice AS choice LEFT JOIN polls_vote AS vote ON vote.choice_id = choice.id
    WHERE choice.poll_id = %s
    GROUP BY choice.id ORDER BY position, choice.id
"""


def count(poll: Poll) -> dict:
    """Count the rows: ``voters``, ``choices`` with ``id``, ``text``, ``votes``; ``counted_at``."""
    at = timezone.now()
    with connection.cursor() as cursor:
        cursor.execute(COUNT, [poll.pk, poll.pk])
        rows = cursor.fetchall()
    return {
        "voters": rows[0][3] if rows else 0,
        "choices": [{"id": pk, "text": text, "votes": votes} for pk, text, votes, _ in rows],
        "counted_at": at.isoformat(timespec="seconds"),
    }


def tally(poll: Poll) -> dict:
    """Return the count with its ``summary``; choices with ``share`` of the voters, ``percent``."""
    frozen = snapshot(poll) if poll.is_closed else None
    counted = json.loads(frozen.body)["count"] if frozen else recent(poll)
    voters = counted["voters"]
    for choice in counted["choices"]:
        choice["share"] = round(choice["votes"] / voters, 4) if voters else 0
        choice["percent"] = round(100 * choice["votes"] / voters, 1) if voters else 0
    return counted | {"summary": summary(counted["choices"])}


def summary(choices: list[dict]) -> str:
    """Say in one sentence who is ahead, or level."""
    most = max((choice["votes"] for choice in choices), default=0)
    if most == 0:
        return _("Nobody has voted yet.")
    ahead = [choice["text"] for choice in choices if choice["votes"] == most]
    # Translators: an answer of people's own, named in a sentence
    names = [_("“%(answer)s”") % {"answer": Truncator(text).chars(LONGEST_NAME)} for text in ahead]
    if len(names) == 1:
        words = _("%(name)s has the most votes: %(votes)s.")
        return words % {"name": names[0], "votes": intcomma(most)}
    if len(names) > MOST_NAMED:
        words = ngettext(
            "%(answers)s answers are level, with %(votes)s vote each.",
            "%(answers)s answers are level, with %(votes)s votes each.",
            most,
        )
        return words % {"answers": len(names), "votes": intcomma(most)}
    words = ngettext(
        "%(names)s are level, with %(votes)s vote each.",
        "%(names)s are level, with %(votes)s votes each.",
        most,
    )
    return words % {"names": listed(names), "votes": intcomma(most)}


def listed(names: list[str]) -> str:
    """Join two or more names as a list in a sentence."""
    *first, last = names
    # Translators: between the names of a list, except the last two: Tea, coffee and milk
    words = _("%(names)s and %(last)s")
    return words % {"names": _(", ").join(first), "last": last}


def recent(poll: Poll) -> dict:
    """Return a count that is fresh, or, where counting is dear, as fresh as is affordable.

    Of many readers at once one counts, the others get the last count meanwhile.
    """
    key, lock = f"tally-{poll.pk}", f"tally-{poll.pk}-lock"
    shared = cache.get(key)
    # No longer than any count is shared, lest a clock that ran ahead keep this one for ever.
    if shared and 0 < shared["fresh_until"] - time.time() <= LONGEST_SHARED:
        return shared["count"]
    if shared and not cache.add(lock, True, 30):
        return shared["count"]
    began = time.perf_counter()
    counted = count(poll)
    cost = time.perf_counter() - began
    if counted["voters"] > FEW:
        fresh_until = time.time() + min(cost / MOST_OF_A_PROCESSOR, LONGEST_SHARED)
        cache.set(key, {"count": counted, "fresh_until": fresh_until}, LONGEST_SHARED)
    elif shared:
        cache.delete(key)
    cache.delete(lock)
    return counted


def votes_by_hour(poll: Poll) -> list[dict]:
    """Return the latest 48 hours in which somebody voted, as ``hour`` and ``voters``."""
    key = f"hours-{poll.pk}"
    if hours := cache.get(key):
        return hours
    by_hour = poll.ballots.annotate(hour=TruncHour("cast_at")).values("hour")
    hours = list(by_hour.annotate(voters=Count("pk")).order_by("-hour")[:48])
    # The first vote is seen at once.
    if hours:
        cache.set(key, hours, 60)
    return hours


def snapshot(poll: Poll) -> Snapshot | None:
    """Return the frozen count of a closed poll, making it at the first request after the close.

    Locking the poll waits for votes that were cast before the close and are not committed yet.
    None while the database's clock, which judges votes, has not reached the close.
    """
    frozen = Snapshot.objects.filter(poll=poll).first()
    if frozen:
        return frozen
    with transaction.atomic():
        poll = Poll.objects.closed().select_for_update().filter(pk=poll.pk).first()
        if poll is None:
            return None
        body = canonical(
            {
                "poll": poll.pk,
                "question": poll.question,
                "opens_at": poll.opens_at.isoformat(),
                "closes_at": poll.closes_at.isoformat(),
                "min_choices": poll.min_choices,
                "max_choices": poll.max_choices,
                "count": count(poll),
                # Without it whoever may not see the results could try which count has this SHA-256.
                "salt": secrets.token_hex(16),
            }
        )
        defaults = {"body": body, "sha256": hashlib.sha256(body.encode()).hexdigest()}
        return Snapshot.objects.get_or_create(poll=poll, defaults=defaults)[0]


def canonical(value: dict) -> str:
    """Write JSON in the one way that anybody can write again: sorted keys, no spaces, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
