from django import forms
from django.contrib.auth import get_user_model
from django.contrib.auth.forms import UserCreationForm
from django.db import IntegrityError, transaction
from django.utils.translation import gettext_lazy as _

from two_factor.forms import PasswordForm

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


class RegisterForm(UserCreationForm):
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


class EmailForm(PasswordForm):
    """Another email address for ``user``, or none."""

    email = email_field()
    field_order = ["email", "password"]

    def clean_email(self):
        email = self.cleaned_data["email"]
        if email == self.user.email:
            raise forms.ValidationError(_("That is your email address already."))
        return email

    def save(self) -> str:
        """Save the address, and return the one there was."""
        before, self.user.email = self.user.email, self.cleaned_data["email"]
        self.user.save(update_fields=["email"])
        return before


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
