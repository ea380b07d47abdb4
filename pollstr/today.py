"""The last 24 hours of the whole site, for its owner: sums of rows that are there anyway.

Nobody is named in it, neither by an account nor by a number.
"""

from datetime import timedelta

from django.conf import settings
from django.db.models import Sum
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from polls.authoring import MAX_CHANGES_PER_HOUR, MAX_SENDS_PER_HOUR
from polls.listing import SEARCHES
from polls.models import Ballot, Figure, Report
from polls.moderation import ADDRESS_REPORTS, MOST_REPORTS
from polls.typed_forms import TYPED_POLLS
from polls.views import FAILED_LOOKUPS
from two_factor.addresses import WIDER_NETWORKS
from two_factor.history import Event
from two_factor.models import FORGIVEN_PER_SEND, FORGIVEN_UNCLEAR, Limit, reserved_sends
from two_factor.passwords import MAX_CHECKS

from .accounts import (
    MOST_FAILED_BY_DEVICE,
    MOST_FAILED_SIGN_INS,
    MOST_MAILS,
    MOST_MAILS_BY_ADDRESS,
    MOST_REFUSED_REGISTRATIONS,
    MOST_SIGN_INS,
    MOST_WRONG_PASSWORDS,
    most_registrations,
)
from .password_reset import MOST_RESETS_BY_ADDRESS

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
    return code_limits() | account_limits() | poll_limits()


def by_networks(name: str, label: str, most: int) -> dict[str, tuple[str, int]]:
    """Return a limit by address, and those of the wider IPv6 networks that it is in."""
    told = {name: (label, most)}
    for length, multiple in WIDER_NETWORKS.items():
        words = _("%(limit)s, counted for its IPv6 network /%(length)d")
        label_here = words % {"limit": label, "length": length}
        told[f"{name} /{length}"] = (label_here, multiple * most)
    return told


def code_limits() -> dict[str, tuple[str, int]]:
    per_number, per_address = settings.VERIFY_SENDS_PER_NUMBER, settings.VERIFY_SENDS_PER_IP
    refused = _("codes that Vonage refused, from one address in an hour")
    return {
        "user": (_("codes to one user in an hour"), settings.VERIFY_SENDS_PER_USER),
        "number": (_("codes to one number in an hour"), per_number),
        "own number": (_("codes to one verified number in an hour"), per_number),
        "unclear": (_("codes of unknown outcome to one user in an hour"), FORGIVEN_UNCLEAR),
        "unclear number": (
            _("codes of unknown outcome to one number in an hour"),
            FORGIVEN_UNCLEAR,
        ),
        **by_networks("address", _("codes from one address in an hour"), per_address),
        **by_networks("refused address", refused, FORGIVEN_PER_SEND * per_address),
        "prefix": (_("codes to one range of numbers in an hour"), settings.VERIFY_SENDS_PER_PREFIX),
        "site": (_("codes of the whole site in a day"), settings.VERIFY_SENDS_PER_DAY),
        "braked": (_("a range of numbers paused, hardly any of whose codes were used"), 1),
    }


def account_limits() -> dict[str, tuple[str, int]]:
    failed, right = MOST_FAILED_SIGN_INS, MOST_SIGN_INS
    return {
        **by_networks(
            "sign-in by name and address",
            _("failed sign-ins by one name and address in ten minutes"),
            failed["name and address"],
        ),
        "sign-in by name": (_("failed sign-ins by one name in ten minutes"), failed["name"]),
        **by_networks(
            "sign-in by address",
            _("failed sign-ins by one address in ten minutes"),
            failed["address"],
        ),
        "sign-in by device": (
            _("failed sign-ins in one browser of an account in ten minutes"),
            MOST_FAILED_BY_DEVICE,
        ),
        **by_networks(
            "signed in by name and address",
            _("sign-ins by one name and address in ten minutes"),
            right["name and address"][0],
        ),
        "signed in by name": (_("sign-ins by one name in a day"), right["name"][0]),
        **by_networks(
            "signed in by address", _("sign-ins by one address in ten minutes"), right["address"][0]
        ),
        "password": (
            _("wrong passwords of one account that is signed in, in ten minutes"),
            MOST_WRONG_PASSWORDS,
        ),
        "password checked": (
            _("passwords of one account that is signed in, right or wrong, in ten minutes"),
            MAX_CHECKS,
        ),
        **by_networks(
            "registration", _("accounts made from one address in an hour"), most_registrations()
        ),
        **by_networks(
            "refused registration",
            _("refused registrations from one address in an hour"),
            MOST_REFUSED_REGISTRATIONS,
        ),
        **mail_limits(),
    }


def mail_limits() -> dict[str, tuple[str, int]]:
    return {
        "reset": (_("wishes for a new password to one mailbox in an hour"), MOST_MAILS),
        **by_networks(
            "reset by address",
            _("wishes for a new password from one address in an hour"),
            MOST_RESETS_BY_ADDRESS,
        ),
        "registration mail": (_("accounts made with one mailbox in an hour"), MOST_MAILS),
        "email to": (_("links to confirm one mailbox in an hour"), MOST_MAILS),
        "email": (_("changes of email address by one account in an hour"), MOST_MAILS),
        "new password": (_("changes of password by one account in an hour"), MOST_MAILS),
        **by_networks(
            "mail by address",
            _("links to confirm an email address from one address in an hour"),
            MOST_MAILS_BY_ADDRESS,
        ),
    }


def poll_limits() -> dict[str, tuple[str, int]]:
    return {
        "polls": (_("polls made by one account in a day"), settings.POLLS_PER_DAY),
        "poll forms": (_("sends of a poll's form by one account in an hour"), MAX_SENDS_PER_HOUR),
        "poll changes": (
            _("changes of polls with votes by one account in an hour"),
            MAX_CHANGES_PER_HOUR,
        ),
        "reports": (_("reports by one account in a day"), MOST_REPORTS),
        **by_networks(SEARCHES.name, _("searches by one address in ten minutes"), SEARCHES.most),
        **by_networks(
            FAILED_LOOKUPS.name,
            _("wrong links tried by one address in an hour"),
            FAILED_LOOKUPS.most,
        ),
        **by_networks(
            ADDRESS_REPORTS.name, _("reports by one address in a day"), ADDRESS_REPORTS.most
        ),
        **by_networks(
            TYPED_POLLS.name,
            _("polls and reports typed by people who were not signed in, one address in an hour"),
            TYPED_POLLS.most,
        ),
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
    elif sends_left <= reserved_sends():
        words = _(
            "Codes go only to people whose number is verified already until tomorrow: nobody new "
            "can vote."
        )
        sentences.append(words)
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
        "kept_sends": min(sends_left, reserved_sends()),
        "countries": Event.objects.by_country(since)[:MOST_COUNTRIES],
        "troubles": troubles,
        "limits": limits,
    }
