"""Counting: one function feeds the page, the exports, the admin and the frozen snapshot.

The rows of ballots and votes are the only truth; there is no counter to keep in step. What counting
costs grows with the ballots, so a count that is not cheap is shared for a while, and the last one
is frozen.
"""

import hashlib
import json
import secrets
import time
from datetime import datetime

from django.contrib.humanize.templatetags.humanize import intcomma
from django.core.cache import cache
from django.db import connection, transaction
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from .models import Poll, Snapshot
from .shares import are_rounded, percents, share

# So few ballots are counted anew for every reader, which takes a few milliseconds; the count of
# more is shared for as long as keeps counting below this share of one processor.
FEW = 10_000
MOST_OF_A_PROCESSOR = 0.05
# A sentence that names more answers than this, or longer ones (characters), is not read to its end.
MOST_NAMED, LONGEST_NAME = 3, 40
# How long a count may serve while another is made, should that one fail.
LONGEST_SHARED = 3600


# One statement for all figures of a page, so that they agree whoever votes meanwhile. A row is a
# choice with its votes, or an hour with the ballots last cast in it.
HOURS_SQL = {
    vendor: f"""
        SELECT NULL, NULL, NULL, COUNT(*), {hour} AS hour
        FROM polls_ballot WHERE poll_id = %s GROUP BY {hour}
    """  # noqa: S608
    for vendor, hour in {
        # As precise as extract(epoch FROM …), in a third of its time.
        "postgresql": "date_bin('1 hour', cast_at, 'epoch')",
        "sqlite": "strftime('%%Y-%%m-%%dT%%H:00:00Z', cast_at)",
    }.items()
}
COUNT_SQL = {
    vendor: f"""
        SELECT choice.id, position, text, COUNT(vote.id), NULL
        FROM polls_choice AS choice LEFT JOIN polls_vote AS vote ON vote.choice_id = choice.id
        WHERE choice.poll_id = %s GROUP BY choice.id
        UNION ALL {hours}
        ORDER BY 2, 1
    """  # noqa: S608
    for vendor, hours in HOURS_SQL.items()
}


def count(poll: Poll) -> dict:
    """Count the rows: ``voters``, ``choices`` with ``id``, ``text``, ``votes``; ``counted_at``.

    ``hours`` are pairs of an hour, as a datetime, and its voters, the latest hour first.
    """
    at = timezone.now()
    rows = fetch(COUNT_SQL, [poll.pk, poll.pk])
    hours = hours_of(rows)
    return {
        "voters": sum(voters for _, voters in hours),
        "choices": [
            {"id": pk, "text": text, "votes": votes}
            for pk, _, text, votes, _ in rows
            if pk is not None
        ],
        "counted_at": at.isoformat(timespec="seconds"),
        "hours": hours,
    }


def fetch(sql: dict, params: list) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(sql[connection.vendor], params)
        return cursor.fetchall()


def hours_of(rows) -> list[tuple[datetime, int]]:
    hours = [(hour, voters) for *_, voters, hour in rows if hour is not None]
    # SQLite has no type for moments.
    hours = [(parse_datetime(hour) if isinstance(hour, str) else hour, n) for hour, n in hours]
    return sorted(hours, reverse=True)


def tally(poll: Poll) -> dict:
    """Return the count with its ``summary``; choices with ``share`` of the voters, ``percent``.

    ``percent`` is a text in the active language. ``hours`` has an ``hour`` and ``voters``
    for each hour with votes, the latest first.
    """
    frozen = snapshot(poll) if poll.is_closed else None
    if frozen:
        counted = json.loads(frozen.body)["count"] | {"hours": frozen_hours(frozen)}
    else:
        counted = recent(poll)
    choices = with_shares(counted["choices"], counted["voters"])
    return counted | {
        "choices": choices,
        "hours": [{"hour": hour, "voters": voters} for hour, voters in counted["hours"]],
        "is_rounded": are_rounded([choice["votes"] for choice in choices], counted["voters"]),
        "summary": summary(choices, poll.is_closed),
    }


def with_shares(choices: list[dict], voters: int) -> list[dict]:
    shown = percents([choice["votes"] for choice in choices], voters)
    return [
        choice | {"share": share(choice["votes"], voters), "percent": percent}
        for choice, percent in zip(choices, shown, strict=True)
    ]


def summary(choices: list[dict], is_closed: bool) -> str:
    """Say in one sentence who is ahead, or that it is a tie."""
    most = max((choice["votes"] for choice in choices), default=0)
    if most == 0:
        return _("No one voted.") if is_closed else _("Nobody has voted yet.")
    ahead = [choice["text"] for choice in choices if choice["votes"] == most]
    # Translators: an answer of people's own, named in a sentence
    names = [_("“%(answer)s”") % {"answer": Truncator(text).chars(LONGEST_NAME)} for text in ahead]
    if len(names) == 1:
        words = _("%(name)s has the most votes: %(votes)s.")
        return words % {"name": names[0], "votes": intcomma(most)}
    if len(names) > MOST_NAMED:
        words = ngettext(
            "It is a tie: %(answers)s answers have %(votes)s vote each.",
            "It is a tie: %(answers)s answers have %(votes)s votes each.",
            most,
        )
        return words % {"answers": intcomma(len(names)), "votes": intcomma(most)}
    words = ngettext(
        "It is a tie: %(names)s have %(votes)s vote each.",
        "It is a tie: %(names)s have %(votes)s votes each.",
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
    key, lock = f"count-{poll.pk}", f"count-{poll.pk}-lock"
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


def frozen_hours(frozen: Snapshot) -> list[tuple[datetime, int]]:
    """Return the hours of a frozen count: the ballots of a closed poll do not change any more."""
    key = f"hours-{frozen.sha256}"
    hours = cache.get(key)
    if hours is None:
        hours = hours_of(fetch(HOURS_SQL, [frozen.poll_id]))
        cache.set(key, hours, LONGEST_SHARED)
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
        counted = count(poll)
        # The hours are no part of the result.
        del counted["hours"]
        body = canonical(
            {
                "poll": poll.pk,
                "question": poll.question,
                "opens_at": poll.opens_at.isoformat(),
                "closes_at": poll.closes_at.isoformat(),
                "min_choices": poll.min_choices,
                "max_choices": poll.max_choices,
                "count": counted,
                # Without it whoever may not see the results could try which count has this SHA-256.
                "salt": secrets.token_hex(16),
            }
        )
        defaults = {"body": body, "sha256": hashlib.sha256(body.encode()).hexdigest()}
        return Snapshot.objects.get_or_create(poll=poll, defaults=defaults)[0]


def canonical(value: dict) -> str:
    """Write JSON in the one way that anybody can write again: sorted keys, no spaces, UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
