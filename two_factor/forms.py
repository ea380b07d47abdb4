import re
import unicodedata

import phonenumbers
from django import forms
from django.conf import settings
from django.core.validators import MaxLengthValidator
from django.utils.text import format_lazy
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from phonenumber_field.phonenumber import PhoneNumber
from phonenumbers import NumberParseException, PhoneNumberFormat, PhoneNumberType

from .models import CODE_LENGTH
from .passwords import is_password_of
from .recovery import LENGTH, plain
from .typed import clean, codes_in

# Whom a call or message costs what any other costs. Premium, shared-cost and toll-free numbers,
# pagers and the like are how SMS fraud is paid.
ORDINARY_TYPES = {
    PhoneNumberType.MOBILE,
    PhoneNumberType.FIXED_LINE,
    PhoneNumberType.FIXED_LINE_OR_MOBILE,
    PhoneNumberType.VOIP,
}

# The error of a password that is a guess, unlike one left out.
WRONG_PASSWORD = "wrong_password"  # noqa: S105


def accepted_countries() -> str:
    return ", ".join(
        f"{region} (+{phonenumbers.country_code_for_region(region)})"
        for region in settings.VERIFY_REGIONS
    )


class PhoneForm(forms.Form):
    number = forms.CharField(
        label=_("Phone number"),
        max_length=40,
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
        example = phonenumbers.example_number_for_type(region, PhoneNumberType.MOBILE)
        spelled = phonenumbers.format_number(example, PhoneNumberFormat.INTERNATIONAL)
        words = gettext(
            "With its country code, such as %(example)s; without one we read it as of %(country)s."
        )
        self.fields["number"].help_text = words % {"example": spelled, "country": region}

    def clean_number(self) -> PhoneNumber:
        """Judge the number before a message to it is paid for."""
        number = parse(self.cleaned_data["number"])
        region = phonenumbers.region_code_for_number(number)
        kind = phonenumbers.number_type(number)
        # "001" is what belongs to no country: satellites and other worldwide services.
        is_refused_voip = kind == PhoneNumberType.VOIP and not settings.VERIFY_ALLOW_VOIP
        if kind not in ORDINARY_TYPES or is_refused_voip or region == "001":
            raise forms.ValidationError(
                _("This kind of number cannot receive codes. Use an ordinary mobile or landline.")
            )
        is_open = self.any_region or "*" in settings.VERIFY_REGIONS
        if not is_open and region not in settings.VERIFY_REGIONS:
            words = gettext(
                "We cannot send codes to numbers of this country (%(country)s) yet. "
                "Numbers of these countries can vote: %(countries)s."
            )
            raise forms.ValidationError(
                words % {"country": region, "countries": accepted_countries()}
            )
        return PhoneNumber.from_string(phonenumbers.format_number(number, PhoneNumberFormat.E164))


def parse(text: str):
    """Return the valid number that ``text`` spells, or raise ValidationError."""
    text = plain_digits(re.sub(r"\s", " ", text))
    # Half of the world dials 00 where others write +; to some it is part of a prefix of theirs.
    spellings = [text, re.sub(r"^00", "+", text)]
    readings = [number for number in map(read, spellings) if number]
    if not readings:
        raise forms.ValidationError(
            _("That is not a phone number. Type it with its country code, such as +1 202 555 0123.")
        )
    number = next(filter(phonenumbers.is_valid_number, readings), None)
    if number is None:
        raise forms.ValidationError(
            _(
                "No phone has that number. Check the digits and the country code, "
                "such as +1 202 555 0123."
            )
        )
    if number.extension:
        raise forms.ValidationError(_("Codes cannot reach an extension. Type a direct number."))
    return number


def read(text: str):
    try:
        return phonenumbers.parse(text, settings.VERIFY_DEFAULT_REGION)
    except NumberParseException:
        return None


def plain_digits(text: str) -> str:
    """Write the digits of any script as 0 to 9, and leave the rest as it is."""
    return "".join(str(unicodedata.decimal(character, character)) for character in text)


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
        if number == self.user.two_factor.number:
            raise forms.ValidationError(_("That is your number already."))
        return number
