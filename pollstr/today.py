"""The last 24 hours of the whole site, for its owner: sums of rows that are there anyway.

Nobody is named in it, neither by an account nor by a number.
"""

from datetime import timedelta

from django.conf import settings
from django.db.models import Sum
from django.utils import timezone
from django.utils.translation import gettext as _

from polls.listing import SEARCHES
from polls.models import Ballot, Figure
from polls.moderation import ADDRESS_REPORTS
from polls.views import FAILED_LOOKUPS
from two_factor.history import Event
from two_factor.models import Limit

from .accounts import MOST_FAILED_SIGN_INS, most_registrations

HOURS = 24
# As many as can be read; the others got few messages.
MOST_COUNTRIES = 20
BAR = 100  # pixels


def limits_told() -> dict[str, tuple[str, int]]:
    """Return what a person calls each limit, and when it is used up."""
    sign_ins = {
        "name and address": _("failed sign-ins by one name and address in ten minutes"),
        "name": _("failed sign-ins by one name in ten minutes"),
        "address": _("failed sign-ins by one address in ten minutes"),
    }
    return {
        "user": (_("codes to one user in an hour"), settings.VERIFY_SENDS_PER_USER),
        "number": (_("codes to one number in an hour"), settings.VERIFY_SENDS_PER_NUMBER),
        "address": (_("codes from one address in an hour"), settings.VERIFY_SENDS_PER_IP),
        "prefix": (_("codes to one range of numbers in an hour"), settings.VERIFY_SENDS_PER_PREFIX),
        "site": (_("codes of the whole site in a day"), settings.VERIFY_SENDS_PER_DAY),
        "braked": (_("a range of numbers paused, hardly any of whose codes were used"), 1),
        "registration": (_("accounts made from one address in an hour"), most_registrations()),
        "polls": (_("polls made by one account in a day"), settings.POLLS_PER_DAY),
        SEARCHES.name: (_("searches by one address in ten minutes"), SEARCHES.most),
        FAILED_LOOKUPS.name: (
            _("wrong links tried by one address in an hour"),
            FAILED_LOOKUPS.most,
        ),
        ADDRESS_REPORTS.name: (_("reports by one address in a day"), ADDRESS_REPORTS.most),
        **{
            f"sign-in by {key}": (sign_ins[key], most) for key, most in MOST_FAILED_SIGN_INS.items()
        },
    }


def hours(now) -> list[dict]:
    """Return what happened in each hour, the latest first."""
    latest = now.replace(minute=0, second=0, microsecond=0)
    rows = {latest - timedelta(hours=ago): {} for ago in range(HOURS)}
    since = min(rows)
    for row in [*Ballot.objects.by_hour(since), *Event.objects.by_hour(since)]:
        rows.setdefault(row["hour"], {}).update(row)
    most = max(row.get("votes", 0) for row in rows.values())
    return [
        {"hour": hour, "bar": round(BAR * row.get("votes", 0) / most) if most else 0} | row
        for hour, row in rows.items()
    ]


def limits_reached(since) -> list[dict]:
    told = limits_told()
    most = {name: count for name, (_label, count) in told.items()}
    return [row | {"label": told[row["name"]][0]} for row in Limit.objects.reached(most, since)]


def refused_votes() -> dict[str, int]:
    kinds = [Figure.Kind.LATE, Figure.Kind.REPEATED]
    rows = Figure.objects.filter(kind__in=kinds).values_list("kind").annotate(Sum("count"))
    return dict.fromkeys(kinds, 0) | dict(rows)


def today() -> dict:
    now = timezone.now()
    since, sends = now - timedelta(hours=HOURS), Limit.objects.sends_today()
    return {
        "hours": hours(now),
        "refused_votes": refused_votes(),
        "sends": sends,
        "most_sends": settings.VERIFY_SENDS_PER_DAY,
        "sends_left": max(0, settings.VERIFY_SENDS_PER_DAY - sends.count),
        "countries": Event.objects.by_country(since)[:MOST_COUNTRIES],
        "troubles": Event.objects.troubles(since),
        "limits": limits_reached(since),
    }
