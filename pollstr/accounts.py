"""Accounts: signing in, registering, passwords, the email address, and leaving."""

import math
import unicodedata
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import get_user_model, login, logout, views
from django.core import signing
from django.db import IntegrityError
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.generic import FormView, TemplateView

from polls.kept import KeptMixin
from polls.models import Ballot
from polls.picks import leads_to_pick
from two_factor.forms import WRONG_PASSWORD
from two_factor.mail import send
from two_factor.mixins import SignedInMixin, is_verified, next_url, redirect_to_two_factor
from two_factor.models import DAY, HOUR, Limit, Limited, TwoFactor
from two_factor.steps import PasswordStepMixin, client_address, when_again

from .forms import (
    AccountDeleteForm,
    EmailForm,
    NewPasswordForm,
    PasswordChangeForm,
    PasswordResetForm,
    RegisterForm,
)
from .site_url import absolute_url, site_url

# Failed sign-ins within so many seconds: with one name from one address, with one name from
# anywhere, and from one address. Enough for a school behind one address, few for a guesser.
SIGN_IN_WINDOW = 10 * 60
MOST_FAILED_SIGN_INS = {"name and address": 20, "name": 200, "address": 200}
# Wrong passwords of whoever is signed in already, before another password or address is taken.
MOST_WRONG_PASSWORDS = 10
# Mails an hour for one reason: links for a new password and links to confirm an address, to one
# address each, and changes of which one account has its owner told.
MOST_MAILS = 5
# Seconds in which a new address is to be confirmed.
EMAIL_LINK_LASTS = DAY
# Accounts an hour from one address, as a multiple of the codes that it may ask for
# (VERIFY_SENDS_PER_IP): without a code they cannot vote.
REGISTRATIONS_PER_CODE = 10


def as_looked_up(typed: str, longest: int) -> str:
    """Return what forms make of a name, lest each spelling of it have a count of its own."""
    return unicodedata.normalize("NFKC", typed.strip()[:longest]).casefold()


def next_context(request):
    next = next_url(request)
    return {"next": next, "next_query": urlencode({"next": next})}


class LimitedFormMixin:
    """A form that may be sent so often only; afterwards it answers 429 and says when again.

    What is sent at the same moment can pass a limit by as many as run at once.
    """

    too_many = gettext_lazy("Too many tries.")

    def post(self, request, *args, **kwargs):
        for name, value, most, seconds in self.limits():
            limit = Limit.objects.add(name, value, seconds, 0)
            if limit.count >= most:
                return self.say_when_again(limit)
        return super().post(request, *args, **kwargs)

    def count(self, *names):
        """Count once more for all limits, or for those with these names."""
        for name, value, _most, seconds in self.limits():
            if not names or name in names:
                Limit.objects.add(name, value, seconds)

    def say_when_again(self, limit):
        wait = max(1, math.ceil((limit.ends_at - timezone.now()).total_seconds()))
        problem = when_again(self.too_many, wait)
        # What was typed is shown again, but not looked at: not even whether it was right.
        kwargs = self.get_form_kwargs() | {"data": None, "files": None}
        form = self.get_form_class()(**kwargs | {"initial": self.request.POST.dict()})
        context = self.get_context_data(form=form, problem=problem)
        response = self.render_to_response(context, status=429)
        response["Retry-After"] = wait
        return response


def most_registrations() -> int:
    """Return how many accounts one address may make in an hour, some even without codes."""
    return REGISTRATIONS_PER_CODE * max(1, settings.VERIFY_SENDS_PER_IP)


class SignedOutMixin:
    """Send whoever is signed in on; a method that the page does not take is still a 405."""

    def dispatch(self, request, *args, **kwargs):
        is_taken = request.method.lower() in self.http_method_names
        if request.user.is_authenticated and is_taken:
            return redirect(next_url(request))
        return super().dispatch(request, *args, **kwargs)


class EntryMixin(KeptMixin, SignedOutMixin):
    """A form for strangers, that many come to from the same poll."""

    kept_queries = {"next"}

    def audience(self):
        # The page tells whoever picked an answer that it is kept.
        has_pick = leads_to_pick(self.request, next_url(self.request))
        return None if has_pick else "strangers"

    def get_context_data(self, **kwargs):
        return super().get_context_data(**kwargs) | next_context(self.request)


class LoginView(EntryMixin, LimitedFormMixin, views.LoginView):
    """Sign in. The right password costs nothing: failures are counted after it was looked at."""

    http_method_names = ["get", "post", "head", "options"]

    def limits(self):
        name = as_looked_up(self.request.POST.get("username", ""), 150)
        address = client_address(self.request)
        values = {"name and address": f"{name} {address}", "name": name, "address": address}
        return [
            (f"sign-in by {key}", values[key], most, SIGN_IN_WINDOW)
            for key, most in MOST_FAILED_SIGN_INS.items()
        ]

    def form_invalid(self, form):
        self.count()
        return super().form_invalid(form)

    def get_success_url(self):
        return next_url(self.request)


@method_decorator([sensitive_post_parameters(), never_cache], name="dispatch")
class RegisterView(EntryMixin, LimitedFormMixin, FormView):
    http_method_names = ["get", "post", "head", "options"]
    template_name = "registration/register.html"
    form_class = RegisterForm
    too_many = gettext_lazy("Too many accounts were made from your internet address.")

    def limits(self):
        return [("registration", client_address(self.request), most_registrations(), HOUR)]

    def form_valid(self, form):
        # Before the password is hashed, which costs more than all else.
        self.count()
        user = form.save()
        if user is None:
            return self.form_invalid(form)
        login(self.request, user)
        return redirect(next_url(self.request))


class ProvenPhoneMixin(SignedInMixin):
    """Where a phone is proven, ask for it too: a guessed password must not be enough."""

    def get_return_url(self):
        return self.request.path

    def refuse(self):
        refusal = super().refuse()
        two_factor = getattr(self.request.user, "two_factor", None)
        has_number = two_factor is not None and two_factor.number is not None
        if refusal is None and has_number and not is_verified(self.request):
            return redirect_to_two_factor(self.request, self.request.path)
        return refusal


class NewPasswordMixin:
    """Tell of a new password by mail, so that its owner can object (OWASP ASVS 5.0 6.3.7)."""

    def form_valid(self, form):
        response = super().form_valid(form)
        send(form.user, "registration/mail/password_changed")
        return response


class PasswordChangeView(
    NewPasswordMixin, ProvenPhoneMixin, LimitedFormMixin, views.PasswordChangeView
):
    http_method_names = ["get", "post", "head", "options"]
    form_class = PasswordChangeForm

    def limits(self):
        user = self.request.user
        return [wrong_passwords(user), ("new password", user.pk, MOST_MAILS, HOUR)]

    def form_invalid(self, form):
        if form.has_error("old_password", "password_incorrect"):
            self.count("password")
        return super().form_invalid(form)

    def form_valid(self, form):
        self.count("new password")
        return super().form_valid(form)


def wrong_passwords(user):
    return "password", user.pk, MOST_WRONG_PASSWORDS, SIGN_IN_WINDOW


class PasswordResetView(LimitedFormMixin, views.PasswordResetView):
    form_class = PasswordResetForm

    def limits(self):
        email = as_looked_up(self.request.POST.get("email", ""), 254)
        return [("reset", email, MOST_MAILS, HOUR)]

    def get_context_data(self, **kwargs):
        return super().get_context_data(sends_mail=settings.SENDS_MAIL, **kwargs)

    def form_valid(self, form):
        # Where no mail goes out, nobody is sent to look for it.
        if not settings.SENDS_MAIL:
            return self.form_invalid(form)
        self.count()
        protocol, _, domain = site_url(self.request).partition("://")
        self.extra_email_context = {"protocol": protocol, "domain": domain}
        return super().form_valid(form)


class PasswordResetConfirmView(NewPasswordMixin, views.PasswordResetConfirmView):
    """Set another password, for whoever has the link."""

    form_class = NewPasswordForm


class AccountView(SignedInMixin, TemplateView):
    template_name = "registration/account.html"

    def own_ballots(self):
        """Return the ballots of the proven number, in a browser that has proven it."""
        if not is_verified(self.request):
            return []
        return Ballot.objects.of_number(str(self.request.user.two_factor.number))

    def get_context_data(self, **kwargs):
        return super().get_context_data(
            two_factor=getattr(self.request.user, "two_factor", None),
            is_verified=is_verified(self.request),
            ballots=self.own_ballots(),
            recovery_codes_left=self.request.user.recovery_codes.unused().count(),
            events=self.request.user.event_set.all()[:20],
            **kwargs,
        )


@method_decorator(sensitive_post_parameters(), name="dispatch")
class EmailView(ProvenPhoneMixin, LimitedFormMixin, FormView):
    """Take another address for mail about the account, and send a link there to confirm it."""

    http_method_names = ["get", "post", "head", "options"]
    template_name = "registration/email.html"
    form_class = EmailForm

    def limits(self):
        user = self.request.user
        to = as_looked_up(self.request.POST.get("email", ""), 254)
        by_address = [("email to", to, MOST_MAILS, HOUR)] if to else []
        return [wrong_passwords(user), ("email", user.pk, MOST_MAILS, HOUR), *by_address]

    def get_initial(self):
        return {"email": self.request.user.email}

    def get_form_kwargs(self):
        return super().get_form_kwargs() | {"user": self.request.user}

    def get_context_data(self, **kwargs):
        return super().get_context_data(sends_mail=settings.SENDS_MAIL, **kwargs)

    def form_invalid(self, form):
        if form.has_error("password", WRONG_PASSWORD):
            self.count("password")
        return super().form_invalid(form)

    def form_valid(self, form):
        if not settings.SENDS_MAIL:
            return self.form_invalid(form)
        self.count("email", "email to")
        email = form.cleaned_data["email"]
        if not email:
            set_email(form.user, "")
            messages.success(self.request, _("Your account has no email address any more."))
            return redirect("account")
        link = reverse("account_email_confirm", args=[email_token(form.user, email)])
        url = absolute_url(self.request, link)
        if not send(form.user, "registration/mail/email_link", to=email, url=url):
            problem = _("We could not send the mail. Please try again in a few minutes.")
            context = self.get_context_data(form=form, problem=problem)
            return self.render_to_response(context, status=503)
        words = _(
            "Open the link that we have sent to %(email)s within a day: it confirms the address."
        )
        messages.info(self.request, words % {"email": email})
        return redirect("account")


class EmailConfirmView(SignedInMixin, TemplateView):
    """Make an address that of the account, for whoever reads its mail and presses the button.

    Opening the link changes nothing: programs that look through mail open links, too.
    """

    http_method_names = ["get", "post", "head", "options"]
    template_name = "registration/email_confirm.html"

    def get_return_url(self):
        return self.request.path

    def get_context_data(self, **kwargs):
        email = read_email_token(self.request.user, self.kwargs["token"])
        return super().get_context_data(email=email, **kwargs)

    def post(self, request, token):
        email = read_email_token(request.user, token)
        if email is None or not set_email(request.user, email):
            return self.get(request, token)
        messages.success(request, _("Your email address is changed."))
        return redirect("account")


def email_salt(user) -> str:
    """Return what voids a link where address or password have changed since."""
    return f"pollstr.email {user.email} {user.get_session_auth_hash()}"


def email_token(user, email: str) -> str:
    return signing.dumps([user.pk, email], salt=email_salt(user))


def read_email_token(user, token: str) -> str | None:
    try:
        pk, email = signing.loads(token, salt=email_salt(user), max_age=EMAIL_LINK_LASTS)
    except signing.BadSignature:
        return None
    return email if pk == user.pk else None


def set_email(user, email: str) -> bool:
    """Set the address unless another click was quicker, and tell the one there was."""
    users = get_user_model().objects
    was_set = users.filter(pk=user.pk, email=user.email).update(email=email)
    if was_set:
        send(user, "registration/mail/email_changed")
    return bool(was_set)


@method_decorator(sensitive_post_parameters(), name="dispatch")
class AccountDeleteView(ProvenPhoneMixin, PasswordStepMixin, FormView):
    """Delete the account of whoever types its password; the ballots name nobody, and stay."""

    http_method_names = ["get", "post", "head", "options"]
    template_name = "registration/account_delete.html"
    form_class = AccountDeleteForm

    def get_form_kwargs(self):
        return super().get_form_kwargs() | {"user": self.request.user}

    def post(self, request, *args, **kwargs):
        # Counted before the password is looked at, as with codes.
        try:
            self.two_factor.count_guess()
        except Limited as limited:
            return self.render_problem(limited, AccountDeleteForm(request.user))
        except (TwoFactor.DoesNotExist, IntegrityError):
            # Another click was quicker.
            return self.say_goodbye()
        return super().post(request, *args, **kwargs)

    def form_valid(self, form):
        if not form.delete_user():
            return self.form_invalid(form)
        return self.say_goodbye()

    def say_goodbye(self):
        # Sessions in other browsers end with the user they name.
        logout(self.request)
        messages.success(self.request, _("Your account is deleted. Thank you for voting with us."))
        return redirect("polls:list")
