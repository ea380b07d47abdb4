from django import forms
from django.contrib.auth import forms as forms_of_accounts
from django.contrib.auth import get_user_model
from django.db import IntegrityError, transaction
from django.utils.translation import gettext_lazy as _

from two_factor.forms import PasswordForm

# Accounts of one address that one wish for a new password is mailed to.
MOST_ACCOUNTS = 5
LAST_SUPERUSER = _(
    "You are the last administrator of this site. Make somebody else one first, "
    "then delete your account."
)


def email_field():
    return forms.EmailField(
        required=False,
        label=_("Email (optional)"),
        help_text=_(
            "To let you back in without your password, and to warn you about your account."
        ),
        max_length=254,
        widget=forms.EmailInput(attrs={"autocomplete": "email"}),
    )


class RegisterForm(forms_of_accounts.UserCreationForm):
    """A new account: a name and a password, and an address for those who want to be reached."""

    email = email_field()

    class Meta:
        model = get_user_model()
        fields = ["username", "email"]

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["username"].widget.attrs["autocomplete"] = "username"
        self.fields["username"].help_text = _("Letters, digits and @ . + - _")
        self.fields["password1"].help_text = _("At least 8 characters, and nothing common.")
        self.fields["password2"].label = _("Password again")
        self.fields["password2"].help_text = ""

    def save(self):
        """Save and return the user, or None with an error where the name was just taken."""
        try:
            with transaction.atomic():
                return super().save()
        except IntegrityError:
            self.add_error("username", _("A user with that username already exists."))
            return None


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
    pass


class PasswordChangeForm(PasswordAloneMixin, forms_of_accounts.PasswordChangeForm):
    pass


class PasswordResetForm(forms_of_accounts.PasswordResetForm):
    """A link for a new password; of many accounts with one address, to those used last."""

    def get_users(self, email):
        def last_used(user):
            return user.last_login or user.date_joined

        return sorted(super().get_users(email), key=last_used)[-MOST_ACCOUNTS:]


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
