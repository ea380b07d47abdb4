"""What the form of a poll has beside the usual: moments on a clock, and a list of choices."""

from datetime import UTC, datetime

from django import forms
from django.utils.dateparse import parse_datetime
from django.utils.text import format_lazy
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from .clocks import read_clock
from .models import Choice
from .wording import look_of, one_line

FEWEST_CHOICES, MOST_CHOICES = 2, 50

TOO_FEW = format_lazy(_("Write at least {fewest} choices."), fewest=FEWEST_CHOICES)

HAS_NUL = _("This holds a character that belongs in no text (NUL). Leave it out.")


class MomentField(forms.DateTimeField):
    """A moment, typed as the clocks of ``zone`` show it, to the minute.

    Where the form began with ``kept`` and it was not touched, it keeps its seconds.
    """

    widget = forms.DateTimeInput(attrs={"type": "datetime-local"})
    default_error_messages = {"invalid": _("Write it as in 2026-11-24 18:00.")}
    zone = UTC
    kept = None

    def prepare_value(self, value):
        if isinstance(value, datetime):
            return f"{value.astimezone(self.zone):%Y-%m-%dT%H:%M}"
        return value

    def has_changed(self, initial, data):
        return (self.prepare_value(initial) or "") != (data or "")

    def to_python(self, value):
        if not value:
            return None
        if self.kept and value == self.prepare_value(self.kept):
            return self.kept
        try:
            shown = parse_datetime(value.strip())
        except ValueError:
            shown = None
        if shown is None or shown.tzinfo:
            raise forms.ValidationError(self.error_messages["invalid"])
        return read_clock(shown, self.zone)


class ChoicesField(forms.Field):
    """The texts of the choices, one input each; empty ones do not count unless all ``must_stay``.

    The fault of one text names its ``row``.
    """

    widget = forms.MultipleHiddenInput
    must_stay = False
    default_error_messages = {"required": TOO_FEW}

    def to_python(self, value):
        return [one_line(text) for text in self.counted(value)]

    def counted(self, texts) -> list[str]:
        return list(texts or []) if self.must_stay else filled(texts or [])

    def has_changed(self, initial, data):
        return (initial or []) != self.to_python(data)

    def validate(self, value):
        super().validate(value)
        faults = [
            forms.ValidationError(fault, params={"row": row})
            for row, text in enumerate(value)
            if (fault := self.fault_of(text, value[:row]))
        ]
        if len(value) < FEWEST_CHOICES:
            faults.append(TOO_FEW)
        if len(value) > MOST_CHOICES:
            words = ngettext(
                "This is %(number)d choice; %(most)d is the most.",
                "These are %(number)d choices; %(most)d is the most.",
                len(value),
            )
            faults.append(words % {"number": len(value), "most": MOST_CHOICES})
        if faults:
            raise forms.ValidationError(faults)

    def fault_of(self, text: str, earlier: list[str]) -> str:
        longest = Choice._meta.get_field("text").max_length
        if not look_of(text):
            return _(
                "Somebody has voted, so this choice must stay. Reload the page to get it back."
            )
        if "\0" in text:
            return HAS_NUL
        if len(text) > longest:
            words = ngettext(
                "This has %(number)d character; %(most)d is the most.",
                "This has %(number)d characters; %(most)d is the most.",
                len(text),
            )
            return words % {"number": len(text), "most": longest}
        looks = [look_of(other) for other in earlier[:MOST_CHOICES]]
        if look_of(text) in looks:
            words = gettext("This is the same as choice %(number)d.")
            return words % {"number": looks.index(look_of(text)) + 1}
        return ""


def filled(texts: list[str]) -> list[str]:
    return [text for text in texts if look_of(text)]
