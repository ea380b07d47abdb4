"""Moments, as the clocks of a time zone show them."""

from datetime import UTC, datetime, tzinfo
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from django.core.exceptions import ValidationError
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

# Beyond these something else was meant, and moments near the ends of the calendar have no UTC.
FIRST_YEAR, LAST_YEAR = 1970, 2199


@cache
def time_zones() -> list[str]:
    """Return the names to choose from, such as Europe/Berlin."""
    names = (name for name in available_timezones() if "/" in name)
    return ["UTC", *sorted(name for name in names if not name.startswith("Etc/"))]


def zone_named(name: str) -> tzinfo:
    """Return a zone by its name; UTC for a name that this machine does not know (any more)."""
    return ZoneInfo(name) if name in time_zones()[1:] else UTC


def moment(at: datetime | None, zone: tzinfo) -> str:
    """Say a moment as clocks in ``zone`` show it, with the zone's name."""
    if at is None:
        return pgettext("moment", "none")
    at = at.astimezone(zone)
    # Translators: date and time, in the letters of Django's date filter
    clock = date_format(at, _("j F Y, H:i"))
    if is_shown_twice(at):
        return f"{clock} ({zone}, {at:%:z})"
    return f"{clock} UTC" if zone is UTC else f"{clock} ({zone})"


def short_moment(at: datetime, zone: tzinfo) -> str:
    """Say a moment as clocks in ``zone`` show it, for where the zone is named beside."""
    at = at.astimezone(zone)
    clock = date_format(at, _("j M Y, H:i"))
    return f"{clock} ({at:%:z})" if is_shown_twice(at) else clock


def is_shown_twice(at: datetime) -> bool:
    """Return whether the clocks of its zone are set back on that day and show it twice."""
    return at.replace(fold=1 - at.fold).utcoffset() != at.utcoffset()


def read_clock(shown: datetime, zone: tzinfo) -> datetime:
    """Return the moment at which clocks in ``zone`` show this; an error for none or two."""
    if not FIRST_YEAR <= shown.year <= LAST_YEAR:
        words = _("Choose a year from %(first)d to %(last)d.")
        raise ValidationError(words % {"first": FIRST_YEAR, "last": LAST_YEAR})
    at = shown.replace(tzinfo=zone)
    time = date_format(shown, "H:i")
    if at.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != shown:
        words = _(
            "On that day the clocks of %(zone)s are set forward and skip %(time)s. "
            "Choose a time an hour later."
        )
        raise ValidationError(words % {"zone": zone, "time": time})
    if at.replace(fold=1).utcoffset() != at.utcoffset():
        words = _(
            "On that day the clocks of %(zone)s are set back and show %(time)s twice. "
            "Choose another time, or the time zone UTC."
        )
        raise ValidationError(words % {"zone": zone, "time": time})
    return at.astimezone(UTC)
