import re

from django import forms
from django.conf import settings
from django.core.validators import MaxLengthValidator
from django.utils.text import format_lazy
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from phonenumber_field.phonenumber import PhoneNumber

from .models import CODE_LENGTH
from .numbers import (
    MAX_TYPED_LENGTH,
    canonical,
    country_name,
    example_of,
    read_number,
)
from .passwords import is_password_of
from .recovery import LENGTH, plain
from .typed import clean, codes_in

# The error of a password that is a guess, unlike one left out.
WRONG_PASSWORD = "wrong_password"  # noqa: S105


class PhoneForm(forms.Form):
    """A phone number; with ``any_region`` of any country, whatever VERIFY_REGIONS says."""

    number = forms.CharField(
        label=_("Phone number"),
        max_length=MAX_TYPED_LENGTH,
        widget=forms.TextInput(attrs={"type": "tel", "autocomplete": "tel", "inputmode": "tel"}),
        error_messages={
            "required": _("Type your phone number."),
            "max_length": _("That is too long for a phone number."),
        },
    )

    def __init__(self, *args, any_region=False, **kwargs):
        super().__init__(*args, **kwargs)
        self.any_region = any_region
        region = settings.VERIFY_DEFAULT_REGION
        words = gettext(
            "With its country code, such as %(example)s; without one we read it as of %(country)s."
        )
        self.fields["number"].help_text = words % {
            "example": example_of(region),
            "country": country_name(region),
        }

    def clean_number(self) -> PhoneNumber:
        """Judge the number before a message to it is paid for."""
        return read_number(self.cleaned_data["number"], any_region=self.any_region)


# A pasted message with a code in it may be this long.
MAX_MESSAGE = 200  # characters


class CodeForm(forms.Form):
    code = forms.CharField(
        label=_("Code"),
        widget=forms.TextInput(
            attrs={"inputmode": "numeric", "autocomplete": "one-time-code", "autofocus": True}
        ),
        # Not max_length: the browser would cut a pasted message, perhaps within the code.
        validators=[
            MaxLengthValidator(
                MAX_MESSAGE, format_lazy(_("The code has {digits} digits."), digits=CODE_LENGTH)
            )
        ],
        error_messages={"required": _("Type the code from your phone.")},
    )

    def clean_code(self) -> str:
        """Return the code in plain digits, however it was typed, or pasted with its message."""
        text = clean(self.cleaned_data["code"])
        typed = re.sub(r"[\W_]", "", text)
        if typed.isdecimal():
            return self.judge_digits(typed)
        codes = codes_in(text, CODE_LENGTH)
        if len(codes) > 1:
            words = gettext("There is more than one code in this. Type the %(digits)d digits.")
            raise forms.ValidationError(words % {"digits": CODE_LENGTH})
        if not codes:
            words = gettext("The code is made of %(digits)d digits only.")
            raise forms.ValidationError(words % {"digits": CODE_LENGTH})
        return codes.pop()

    def judge_digits(self, typed: str) -> str:
        if len(typed) != CODE_LENGTH:
            words = ngettext(
                "The code has %(digits)d digits; you typed %(typed)d.",
                "The code has %(digits)d digits; you typed %(typed)d.",
                len(typed),
            )
            raise forms.ValidationError(words % {"digits": CODE_LENGTH, "typed": len(typed)})
        return typed


class RecoveryForm(forms.Form):
    code = forms.CharField(
        label=_("Recovery code"),
        max_length=60,
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}
        ),
        error_messages={
            "required": _("Type one of your recovery codes."),
            "max_length": _("A recovery code is shorter than that."),
        },
    )

    def clean_code(self) -> str:
        code = plain(self.cleaned_data["code"])
        if len(code) != LENGTH:
            words = ngettext(
                "A recovery code has %(length)d letters and digits; you typed %(typed)d.",
                "A recovery code has %(length)d letters and digits; you typed %(typed)d.",
                len(code),
            )
            raise forms.ValidationError(words % {"length": LENGTH, "typed": len(code)})
        return code


class PasswordForm(forms.Form):
    """The password of ``user`` once more, before a grave act."""

    password = forms.CharField(
        label=_("Your password"),
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
        error_messages={"required": _("Type your password.")},
    )

    def __init__(self, user, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.user = user

    def clean_password(self):
        password = self.cleaned_data["password"]
        if not is_password_of(self.user, password):
            raise forms.ValidationError(_("That is not your password."), code=WRONG_PASSWORD)
        return password


class ChangeForm(PasswordForm, PhoneForm):
    """A new number for ``user``."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["number"].label = _("New phone number")

    def clean_number(self):
        number = super().clean_number()
        own = self.user.two_factor.number
        if own and number == canonical(own):
            raise forms.ValidationError(_("That is your number already."))
        return number
