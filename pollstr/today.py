"""The last 24 hours of the whole site, for its owner: sums of rows that are there anyway.

Nobody is named in it, neither by an account nor by a number.
"""

from datetime import timedelta

from django.conf import settings
from django.db.models import Sum
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from polls.listing import SEARCHES
from polls.models import Ballot, Figure, Report
from polls.moderation import ADDRESS_REPORTS
from polls.views import FAILED_LOOKUPS
from two_factor.history import Event
from two_factor.models import Limit

from .accounts import MOST_FAILED_SIGN_INS, most_registrations

HOURS = 24
# As many as can be read; the others got few messages.
MOST_COUNTRIES = 20
BAR = 100  # pixels
# What the totals of the page add up, of the columns of its tables.
TOTALS = ["votes", "changed", "sent", "proven", "wrong", "locked", "calls", "trouble"]
# Vonage answers these where nothing gets better by waiting: credentials, balance, permission.
OWNERS_STATUSES = {401, 402, 403}


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


def alarms(troubles, limits, sends_left: int, open_reports: int) -> list[str]:
    """Return what asks for someone of the site team, the most urgent first."""
    sentences = []
    for row in troubles:
        if row["provider_status"] in OWNERS_STATUSES:
            words = _(
                "Vonage answered %(status)s: no code goes out. Check key, secret and balance in "
                "its dashboard."
            )
            sentences.append(words % {"status": row["provider_status"]})
    if not sends_left:
        sentences.append(_("No code is sent until tomorrow: nobody new can vote."))
    if limits:
        words = ngettext(
            "%(number)d limit was used up.", "%(number)d limits were used up.", len(limits)
        )
        sentences.append(words % {"number": len(limits)})
    if open_reports:
        words = ngettext(
            "%(number)d report is waiting.", "%(number)d reports are waiting.", open_reports
        )
        sentences.append(words % {"number": open_reports})
    return sentences


def today() -> dict:
    now = timezone.now()
    since, sends = now - timedelta(hours=HOURS), Limit.objects.sends_today()
    sends_left = max(0, settings.VERIFY_SENDS_PER_DAY - sends.count)
    rows, troubles, limits = hours(now), list(Event.objects.troubles(since)), limits_reached(since)
    open_reports = Report.objects.filter(settled_at=None).count()
    return {
        "alarms": alarms(troubles, limits, sends_left, open_reports),
        "totals": {name: sum(row.get(name) or 0 for row in rows) for name in TOTALS},
        "hours": rows,
        "refused_votes": refused_votes(),
        "sends": sends,
        "most_sends": settings.VERIFY_SENDS_PER_DAY,
        "sends_left": sends_left,
        "countries": Event.objects.by_country(since)[:MOST_COUNTRIES],
        "troubles": troubles,
        "limits": limits,
    }
