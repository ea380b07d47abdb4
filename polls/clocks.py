"""Moments, as the clocks of a time zone show them."""

from datetime import UTC, datetime, tzinfo
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from django.core.exceptions import ValidationError
from django.utils.formats import date_format

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
    if at is None:
        return "none"
    clock = date_format(at.astimezone(zone), "j F Y, H:i")
    return f"{clock} UTC" if zone is UTC else f"{clock} ({zone})"


def read_clock(shown: datetime, zone: tzinfo) -> datetime:
    """Return the moment at which clocks in ``zone`` show this; an error for none or two."""
    if not FIRST_YEAR <= shown.year <= LAST_YEAR:
        raise ValidationError(f"Choose a year from {FIRST_YEAR} to {LAST_YEAR}.")
    at = shown.replace(tzinfo=zone)
    time = date_format(shown, "H:i")
    if at.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != shown:
        raise ValidationError(
            f"On that day the clocks of {zone} are set forward and skip {time}. "
            "Choose a time an hour later."
        )
    if at.replace(fold=1).utcoffset() != at.utcoffset():
        raise ValidationError(
            f"On that day the clocks of {zone} are set back and show {time} twice. "
            "Choose another time, or the time zone UTC."
        )
    return at.astimezone(UTC)
