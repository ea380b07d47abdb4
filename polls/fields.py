"""What the forms of a poll have beside the usual: texts, moments on a clock, a list of choices."""

import re
from datetime import UTC, datetime

from django import forms
from django.core.exceptions import ValidationError
from django.utils.text import format_lazy
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from .clocks import read_clock
from .models import Choice
from .wording import MAX_MARKS, has_too_many_marks, look_of, many_lines, one_line

FEWEST_CHOICES, MOST_CHOICES = 2, 50
MAX_CHOICE_LENGTH = Choice._meta.get_field("text").max_length  # characters
MAX_MOMENT_LENGTH = 40  # characters

TOO_FEW = format_lazy(_("Write at least {fewest} choices."), fewest=FEWEST_CHOICES)

HAS_NUL = _("This holds a character that belongs in no text (NUL). Leave it out.")
TOO_MANY_MARKS_ERROR = format_lazy(
    _("This piles more than {most} marks on one letter. Leave some of them out."), most=MAX_MARKS
)

MOMENT_ERROR = _("Write it as in 2026-11-24 18:00.")
NO_TIME_ERROR = _("Add the time. Write it as in 2026-11-24 18:00.")
NO_SUCH_DAY_ERROR = _("There is no such day. Write it as in 2026-11-24 18:00.")
NO_SUCH_TIME_ERROR = _("There is no such time. Write it as in 2026-11-24 18:00.")
MIDNIGHT_ERROR = _(
    "Write 24:00 as 00:00 of the next day. For midnight after 24 November: 2026-11-25 00:00."
)
HAS_OFFSET_ERROR = _(
    "Leave the time zone out of the time: this form has a time zone of its own. "
    "Write it as in 2026-11-24 18:00."
)
# Browsers send nothing of a date that they cannot read, and nothing means no end.
INCOMPLETE_MOMENT = _("This date is not complete. Fill in day and time, or clear the field.")
INCOMPLETE_NUMBER = _("This is not a number. Write digits only, such as 1.")

MOMENT = re.compile(
    r"(?P<day>\d{4}-\d{1,2}-\d{1,2})"
    r"(?:[T ]\s*(?P<hour>\d{1,2}):(?P<minute>\d{2})(?P<second>:\d{2}(?:[.,]\d{1,6})?)?"
    r"(?P<offset>\s*(?:Z|UTC|[+-]\d{2}:?\d{2}))?)?",
    re.IGNORECASE,
)


class TextField(forms.CharField):
    """A text for people to read: what shows nothing is empty, and lengths are those of browsers.

    There is no ``maxlength`` in the page: it would cut a pasted text without a word.
    """

    def __init__(self, *, has_lines=False, **kwargs):
        super().__init__(**kwargs)
        self.has_lines = has_lines
        self.widget.attrs.setdefault("dir", "auto")

    def widget_attrs(self, widget):
        attrs = super().widget_attrs(widget)
        attrs.pop("maxlength", None)
        return attrs

    def to_python(self, value):
        text = super().to_python(value)
        return many_lines(text) if self.has_lines else one_line(text)

    def clean(self, value):
        text = super().clean(value)
        # The length has been checked: what follows looks at each character.
        if text and not look_of(text):
            self.validate("")
            return ""
        if has_too_many_marks(text):
            raise ValidationError(TOO_MANY_MARKS_ERROR)
        return text


class HiddenField(forms.CharField):
    """What a form says about itself. It is nothing that somebody changed."""

    widget = forms.HiddenInput

    def __init__(self):
        super().__init__(required=False)

    def clean(self, value):
        # Nobody sees it, so nobody could correct a fault in it.
        return str(value or "")

    def has_changed(self, initial, data):
        return False


class WholeNumberField(forms.IntegerField):
    """A number that the form fills in: where it is sent empty, it was not a number."""

    def widget_attrs(self, widget):
        return super().widget_attrs(widget) | {"data-bad-input": INCOMPLETE_NUMBER}


class MomentField(forms.DateTimeField):
    """A moment, typed as the clocks of ``zone`` show it, to the minute.

    Where the form began with ``kept`` and it was not touched, it keeps its seconds.
    """

    widget = forms.DateTimeInput(attrs={"type": "datetime-local"})
    default_error_messages = {"invalid": MOMENT_ERROR}
    zone = UTC
    kept = None

    def widget_attrs(self, widget):
        return super().widget_attrs(widget) | {"data-bad-input": INCOMPLETE_MOMENT}

    def prepare_value(self, value):
        if isinstance(value, datetime):
            return f"{value.astimezone(self.zone):%Y-%m-%dT%H:%M}"
        return value

    def has_changed(self, initial, data):
        return (self.prepare_value(initial) or "") != (data or "")

    def to_python(self, value):
        if not value or not value.strip():
            return None
        if self.kept and value == self.prepare_value(self.kept):
            return self.kept
        return read_clock(read_moment(value.strip()), self.zone)


def read_moment(typed: str) -> datetime:
    """Return what was typed, without a time zone; a ValidationError says what is wrong with it."""
    match = MOMENT.fullmatch(typed) if len(typed) <= MAX_MOMENT_LENGTH else None
    if match is None:
        raise ValidationError(MOMENT_ERROR, code="invalid")
    year, month, day = map(int, match["day"].split("-"))
    try:
        shown = datetime(year, month, day)
    except ValueError:
        raise ValidationError(NO_SUCH_DAY_ERROR, code="invalid") from None
    if match["hour"] is None:
        raise ValidationError(NO_TIME_ERROR, code="invalid")
    if match["offset"]:
        raise ValidationError(HAS_OFFSET_ERROR, code="invalid")
    return at_time(shown, int(match["hour"]), int(match["minute"]), match["second"] or ":0")


def at_time(day: datetime, hour: int, minute: int, second: str) -> datetime:
    seconds = float(second[1:].replace(",", "."))
    if hour == 24 and minute == 0 and seconds == 0:
        raise ValidationError(MIDNIGHT_ERROR, code="invalid")
    try:
        return day.replace(hour=hour, minute=minute, second=int(seconds))
    except ValueError:
        raise ValidationError(NO_SUCH_TIME_ERROR, code="invalid") from None


class ChoicesField(forms.Field):
    """The texts of the choices, one input each; empty ones do not count unless all ``must_stay``.

    The fault of one text names its ``row``. Count and lengths are checked before anything that
    looks at each character, and where they are wrong nothing else is looked at.
    """

    widget = forms.MultipleHiddenInput
    must_stay = False
    default_error_messages = {"required": TOO_FEW}

    def clean(self, value):
        texts = self.to_python(value)
        check_bounds(texts)
        looks = [look_of(text) for text in texts]
        faults = []
        for row, (text, look) in enumerate(zip(texts, looks, strict=True)):
            if fault := self.fault_of(text, look, looks[:row]):
                faults.append(ValidationError(fault, params={"row": row}))
        if (len(looks) if self.must_stay else sum(map(bool, looks))) < FEWEST_CHOICES:
            faults.append(TOO_FEW)
        if faults:
            raise ValidationError(faults)
        return [text for text, look in zip(texts, looks, strict=True) if look]

    def to_python(self, value):
        return [one_line(text) for text in self.counted(value)]

    def counted(self, texts) -> list[str]:
        return list(texts or []) if self.must_stay else filled(texts or [])

    def has_changed(self, initial, data):
        return (initial or []) != self.to_python(data)

    def fault_of(self, text: str, look: str, earlier: list[str]) -> str:
        if "\0" in text:
            return HAS_NUL
        if not look:
            return self.must_stay and _(
                "Somebody has voted, so this choice must stay. Write its text again."
            )
        if look in earlier:
            words = gettext("This is the same as choice %(number)d.")
            return words % {"number": earlier.index(look) + 1}
        return TOO_MANY_MARKS_ERROR if has_too_many_marks(text) else ""


def check_bounds(texts: list[str]):
    """Raise a ValidationError where there are too many texts, or texts that are too long."""
    if len(texts) > MOST_CHOICES:
        words = ngettext(
            "This is %(number)d choice; %(most)d is the most.",
            "These are %(number)d choices; %(most)d is the most.",
            len(texts),
        )
        raise ValidationError(words % {"number": len(texts), "most": MOST_CHOICES})
    too_long = [
        ValidationError(too_long_error(len(text)), params={"row": row})
        for row, text in enumerate(texts)
        if len(text) > MAX_CHOICE_LENGTH
    ]
    if too_long:
        raise ValidationError(too_long)


def too_long_error(length: int) -> str:
    words = ngettext(
        "This has %(number)d character; %(most)d is the most.",
        "This has %(number)d characters; %(most)d is the most.",
        length,
    )
    return words % {"number": length, "most": MAX_CHOICE_LENGTH}


def filled(texts: list[str]) -> list[str]:
    """Return the texts that hold anything; what shows nothing is found out by their look."""
    return [text for text in texts if text.strip()]
