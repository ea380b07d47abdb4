import unicodedata

from django import forms
from django.contrib.auth import forms as forms_of_accounts
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.utils.translation import gettext_lazy as _

from two_factor.forms import PasswordForm
from two_factor.passwords import MAX_PASSWORD_LENGTH, is_password_of, normalized

from .hashers import HashingBusy
from .models import Account

# Accounts of one address that one wish for a new password mails a link for: some 50 kB of mail.
MOST_ACCOUNTS = 200
LAST_SUPERUSER = _(
    "You are the last administrator of this site. Make somebody else one first, "
    "then delete your account."
)
NAME_TAKEN = _("A user with that username already exists.")
INVISIBLE_ERROR = _(
    "There is an invisible character in this address. Type the address instead of pasting it."
)
# Letters and signs that show nothing (Unicode, property Default_Ignorable_Code_Point).
BLANKS = set("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
BLANKS |= set(map(chr, [*range(0x180B, 0x1810), *range(0xFE00, 0xFE10)]))
MAX_EMAIL_LENGTH = 254
# On a phone a name stays as it is typed.
AS_TYPED = {"autocapitalize": "none", "autocorrect": "off", "spellcheck": "false"}


def is_invisible(character: str) -> bool:
    """Whether a character cannot be seen: a control, a format, a blank, a surrogate."""
    return unicodedata.category(character)[0] in "CZ" or character in BLANKS


class AddressField(forms.EmailField):
    """An email address that mail can reach, as far as that can be told by looking at it."""

    def clean(self, value):
        # Bounded first: what follows looks at each character.
        email = super().clean(value)
        if any(map(is_invisible, email)):
            raise ValidationError(INVISIBLE_ERROR, code="invisible")
        domain = email.rpartition("@")[2]
        try:
            domain.encode("idna")
        except UnicodeError as error:
            raise ValidationError(validate_email.message, code="invalid") from error
        # A machine's own name or number: mail there would stay in the network of our server.
        if email and ("." not in domain or domain.startswith("[")):
            raise ValidationError(validate_email.message, code="invalid")
        return email


def email_field():
    return AddressField(
        required=False,
        label=_("Email (optional)"),
        help_text=_(
            "To let you back in without your password, and to warn you about your account."
        ),
        max_length=MAX_EMAIL_LENGTH,
        widget=forms.EmailInput(attrs={"autocomplete": "email"}),
    )


def is_email(text: str) -> bool:
    try:
        AddressField(max_length=MAX_EMAIL_LENGTH).clean(text)
    except ValidationError:
        return False
    return True


def new_password_field(label, help_text=""):
    return NewPasswordField(
        label=label,
        help_text=help_text,
        max_length=MAX_PASSWORD_LENGTH,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )


PASSWORD_HELP = _("At least 8 characters, and nothing common.")


class NewPasswordField(forms.CharField):
    """A password to be set, in the form in which it is hashed."""

    def to_python(self, value):
        value = super().to_python(value)
        # Normalized only where it is short enough: that can make it longer, never shorter.
        return value if len(value) > self.max_length else normalized(value)

    def validate(self, value):
        super().validate(value)
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise ValidationError(_("This password cannot be stored. Choose another one."))


class LoginForm(forms_of_accounts.AuthenticationForm):
    error_messages = {
        **forms_of_accounts.AuthenticationForm.error_messages,
        "invalid_login": _(
            "Please enter a correct username and password. "
            "Capital letters matter in the password, but not in the name."
        ),
    }

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["username"].widget.attrs |= AS_TYPED


class RegisterForm(forms_of_accounts.UserCreationForm):
    """A new account: a name and a password, and an address for those who want to be reached."""

    email = email_field()
    password1 = new_password_field(_("Password"), PASSWORD_HELP)
    password2 = new_password_field(_("Password again"))

    class Meta:
        model = get_user_model()
        fields = ["username", "email"]
        field_classes = {"username": forms_of_accounts.UsernameField}

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["username"].widget.attrs |= AS_TYPED
        self.fields["username"].help_text = _("Letters, digits and @ . + - _")

    def clean(self):
        cleaned = super().clean()
        name = self.cleaned_data.get("username")
        if name and not self.cleaned_data.get("email", True) and is_email(name):
            # Who types an address as the name expects mail there when the password is forgotten.
            self.cleaned_data["email"] = name
        return cleaned

    def save(self):
        """Save and return the user, or None with an error where it cannot be done right now."""
        try:
            # Hashed before the transaction begins: nobody else's write waits for that.
            user = super().save(commit=False)
            with transaction.atomic():
                user.save()
                if Account.objects.of(user).name_key is None:
                    raise IntegrityError("another name differs from this one in case only")
        except IntegrityError:
            self.add_error("username", NAME_TAKEN)
            return None
        except HashingBusy as busy:
            self.add_error(None, busy)
            return None
        return user


class PasswordAloneMixin:
    """Write the password and nothing else.

    The user was loaded before the slow hash: a whole row would undo what changed meanwhile, or
    bring back an account that was deleted.
    """

    def save(self, commit=True):
        self.user.set_password(self.cleaned_data["new_password1"])
        get_user_model().objects.filter(pk=self.user.pk).update(password=self.user.password)
        return self.user


class NewPasswordForm(PasswordAloneMixin, forms_of_accounts.SetPasswordForm):
    new_password1 = new_password_field(_("New password"), PASSWORD_HELP)
    new_password2 = new_password_field(_("New password confirmation"))


class PasswordChangeForm(PasswordAloneMixin, forms_of_accounts.PasswordChangeForm):
    new_password1 = new_password_field(_("New password"), PASSWORD_HELP)
    new_password2 = new_password_field(_("New password confirmation"))

    def clean_old_password(self):
        old_password = self.cleaned_data["old_password"]
        if not is_password_of(self.user, old_password):
            words = self.error_messages["password_incorrect"]
            raise ValidationError(words, code="password_incorrect")
        return old_password


class PasswordResetForm(forms.Form):
    email = AddressField(
        label=_("Email"),
        max_length=MAX_EMAIL_LENGTH,
        widget=forms.EmailInput(attrs={"autocomplete": "email"}),
    )


class EmailForm(PasswordForm):
    """Another email address for ``user``, or none."""

    email = email_field()
    field_order = ["email", "password"]

    def clean_email(self):
        email = get_user_model().objects.normalize_email(self.cleaned_data["email"])
        if email == self.user.email:
            raise forms.ValidationError(
                _("That is your email address already.") if email else _("Type an email address.")
            )
        return email


class AccountDeleteForm(PasswordForm):
    """The password once more, before ``user`` is gone for good."""

    @transaction.atomic
    def delete_user(self) -> bool:
        """Delete the user, or return False with an error where nobody would be left in charge."""
        users = get_user_model().objects
        in_charge = users.filter(is_superuser=True, is_active=True).order_by("pk")
        # Locked, lest the last two go at the same moment.
        if set(in_charge.select_for_update()) == {self.user}:
            self.add_error(None, LAST_SUPERUSER)
            return False
        users.filter(pk=self.user.pk).delete()
        return True
