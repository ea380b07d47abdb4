"""The public history of a poll: what is written down of a change, and how it is told.

It is written in English, and beside it as sentences with their facts, of which each reader's
language can be made.
"""

from datetime import datetime

from django.conf import settings
from django.utils.dateparse import parse_datetime
from django.utils.text import capfirst
from django.utils.translation import gettext, gettext_noop, override, pgettext

BECAME = gettext_noop("%(field)s: “%(before)s” became “%(after)s”")
MENDED = gettext_noop("Typo mended: “%(before)s” became “%(after)s”")
REOPENED = gettext_noop("Reopened until %(until)s. The reason: “%(reason)s”")
REOPENED_FROM_FROZEN = gettext_noop(
    "Reopened until %(until)s. The reason: “%(reason)s” The frozen count with the SHA-256 "
    "%(sha256)s was deleted."
)
REOPENED_WITHOUT_END = gettext_noop("Reopened without an end. The reason: “%(reason)s”")
REOPENED_FROM_FROZEN_WITHOUT_END = gettext_noop(
    "Reopened without an end. The reason: “%(reason)s” The frozen count with the SHA-256 "
    "%(sha256)s was deleted."
)
TRASHED = gettext_noop("Moved to the trash.")
TAKEN_BACK = gettext_noop("Taken back from the trash.")
FORGOTTEN = gettext_noop(
    "Who voted was forgotten, as announced. The votes stay, and the poll stays closed."
)
RECEIPTS_ENDED = gettext_noop("The receipts of this poll have ended.")
ALL_FORGOTTEN = [FORGOTTEN, RECEIPTS_ENDED]

FROZEN_ANEW = gettext_noop("The count was frozen anew: SHA-256 %(before)s became %(after)s.")
ODD_BALLOTS = gettext_noop(
    "%(number)s ballots have another number of answers than this poll asks for. An earlier version "
    "of the site let them in. They count as they are."
)


def sentence(words: str, **facts) -> dict:
    return {"words": words, "facts": facts}


def reopened(has_end: bool, was_frozen: bool) -> str:
    if was_frozen:
        return REOPENED_FROM_FROZEN if has_end else REOPENED_FROM_FROZEN_WITHOUT_END
    return REOPENED if has_end else REOPENED_WITHOUT_END


def became(field: str, before, after) -> dict:
    """Return the sentence of a field that has another value now."""
    values = {"before": as_fact(field, before), "after": as_fact(field, after)}
    return sentence(BECAME, field={"field": field}, **values)


def as_fact(field: str, value) -> dict:
    if isinstance(value, datetime):
        value = value.isoformat()
    return {"field": field, "value": value}


def in_english(poll, sentences) -> str:
    with override(settings.LANGUAGE_CODE):
        return told(poll, sentences)


def told(poll, sentences) -> str:
    return "; ".join(
        gettext(each["words"])
        % {name: told_fact(poll, fact) for name, fact in each["facts"].items()}
        for each in sentences
    )


def told_fact(poll, fact) -> str:
    """Say what a fact is: a text as it stands, the name of a field, or a value of it."""
    if isinstance(fact, str):
        return fact
    field, value = poll._meta.get_field(fact["field"]), fact.get("value")
    if "value" not in fact:
        return capfirst(field.verbose_name)
    if isinstance(value, bool):
        return gettext("yes") if value else gettext("no")
    if value and field.get_internal_type() == "DateTimeField":
        return poll.moment(parse_datetime(value))
    return str(dict(field.flatchoices).get(value, value or pgettext("moment", "none")))
