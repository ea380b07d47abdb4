"""Accounts: signing in and out, registering, the password, the email address, and leaving.

What to do about a forgotten password is in password_reset.py.
"""

from contextlib import suppress
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import get_user_model, login, logout, update_session_auth_hash, views
from django.core import signing
from django.db import IntegrityError, transaction
from django.forms import Form
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.generic import FormView, TemplateView

from polls.kept import KeptMixin
from polls.models import Ballot
from polls.picks import leads_to_pick
from two_factor.addresses import address_limits, client_address, limit_names
from two_factor.forms import WRONG_PASSWORD, PasswordForm
from two_factor.mail import send
from two_factor.mixins import SignedInMixin, is_verified, next_url, redirect_to_two_factor
from two_factor.models import DAY, HOUR, Limit, Limited, TwoFactor
from two_factor.passwords import check_limit
from two_factor.steps import PasswordStepMixin

from .backends import find_user
from .devices import device_for, remember
from .forms import AccountDeleteForm, EmailForm, LoginForm, PasswordChangeForm, RegisterForm
from .hashers import HashingBusy
from .limits import (
    HashingFormMixin,
    LimitedFormMixin,
    as_looked_up,
    as_mailbox,
    first_reached,
    is_busy,
)
from .models import MAX_NAME_LENGTH, Account, AccountEvent, note
from .site_url import absolute_url

# Failed sign-ins within so many seconds: with one name from one address, with one name from
# anywhere, and from one address. Enough for a school behind one address, few for a guesser.
SIGN_IN_WINDOW = 10 * 60
MOST_FAILED_SIGN_INS = {"name and address": 20, "name": 200, "address": 200}
# Failed sign-ins in a browser where the account signed in before: those of others do not count.
MOST_FAILED_BY_DEVICE = 20
# Sign-ins with the right password, each of which costs a hash and a session: how many in how many
# seconds. Nobody who does not know a password of the site can use them up.
MOST_SIGN_INS = {
    "name and address": (60, SIGN_IN_WINDOW),
    "name": (300, DAY),
    "address": (300, SIGN_IN_WINDOW),
}
# Failed sign-ins of one account that its history shows, of all within SIGN_IN_WINDOW.
MOST_FAILURES_NOTED = 3
# Wrong passwords of whoever is signed in already, before another password or address is taken.
MOST_WRONG_PASSWORDS = 10
# Mails an hour for one reason: links for a new password and links to confirm an address, to one
# address each, and changes of which one account has its owner told.
MOST_MAILS = 5
# Mails an hour to any addresses that one internet address asks for, by registering or by an address
# to confirm.
MOST_MAILS_BY_ADDRESS = 30
# Seconds in which a new address is to be confirmed.
EMAIL_LINK_LASTS = DAY
# Accounts an hour from one address, as a multiple of the codes that it may ask for
# (VERIFY_SENDS_PER_IP): without a code they cannot vote.
REGISTRATIONS_PER_CODE = 10
# Registrations an hour from one address that were refused. Each may tell whether a name is taken.
MOST_REFUSED_REGISTRATIONS = 100
# What a browser forgets at sign-out. Not cookies: the language stays, and the mark of the browser.
SIGNED_OUT_DATA = '"cache", "storage"'


LINK_SENT = gettext_lazy(
    "Open the link that we have sent to %(email)s within a day: it confirms the address. "
    "If nothing arrives in a few minutes, look in your spam folder, or ask again."
)


def next_context(request):
    next = next_url(request)
    return {"next": next, "next_query": urlencode({"next": next})}


def most_registrations() -> int:
    """Return how many accounts one address may make in an hour, some even without codes."""
    return REGISTRATIONS_PER_CODE * max(1, settings.VERIFY_SENDS_PER_IP)


def mails_by(request):
    address = client_address(request)
    return address_limits("mail by address", address, MOST_MAILS_BY_ADDRESS, HOUR)


def note_sign_in(request, response, user):
    """Append a sign-in to the history of the account, and remember the browser."""
    # For an account that an earlier version made while this one was being rolled out.
    with suppress(IntegrityError):  # deleted at this moment
        Account.objects.of(user)
    note(user, AccountEvent.Kind.SIGNED_IN, client_address(request))
    remember(request, response, user)


class SignedOutMixin:
    """Send whoever is signed in on; a method that the page does not take is still a 405."""

    # Methods that are for the signed-in, too.
    methods_for_all: set[str] = set()

    def dispatch(self, request, *args, **kwargs):
        is_taken = request.method.lower() in self.http_method_names
        if (
            request.user.is_authenticated
            and is_taken
            and request.method not in self.methods_for_all
        ):
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
    """Sign in, where somebody else is signed in too: their session ends then."""

    http_method_names = ["get", "post", "head", "options"]
    methods_for_all = {"POST"}
    form_class = LoginForm

    def limits(self):
        return self.failure_limits() + self.success_limits()

    @property
    def name(self) -> str:
        return as_looked_up(self.request.POST.get("username", ""), MAX_NAME_LENGTH)

    def failure_limits(self):
        device = device_for(self.request, self.name)
        if device:
            value = f"{device} {self.name}"
            return [("sign-in by device", value, MOST_FAILED_BY_DEVICE, SIGN_IN_WINDOW)]
        most = {key: (most, SIGN_IN_WINDOW) for key, most in MOST_FAILED_SIGN_INS.items()}
        return self.limits_by("sign-in by", most)

    def success_limits(self):
        return self.limits_by("signed in by", MOST_SIGN_INS)

    def limits_by(self, kind: str, most: dict[str, tuple[int, int]]) -> list[tuple]:
        """Return the limits by name, by address, and by both."""
        name, address = self.name, client_address(self.request)
        return [
            *address_limits(f"{kind} name and address", address, *most["name and address"], name),
            (f"{kind} name", name, *most["name"]),
            *address_limits(f"{kind} address", address, *most["address"]),
        ]

    def form_invalid(self, form):
        if not is_busy(form):
            self.count_failure()
        return super().form_invalid(form)

    def count_failure(self):
        # In one transaction, so that a name that nobody has takes as long as another.
        with transaction.atomic():
            limits, _passed = Limit.objects.count_use(self.failure_limits())
            counts = {limit.name: limit.count for limit in limits}
            user = find_user(self.name)
            count = counts.get("sign-in by device") or counts["sign-in by name"]
            if user and count <= MOST_FAILURES_NOTED:
                note(user, AccountEvent.Kind.REFUSED, client_address(self.request))

    def form_valid(self, form):
        Limit.objects.count_use(self.success_limits())
        try:
            response = super().form_valid(form)
        except get_user_model().NotUpdated:
            # The account was deleted while its password was looked at.
            logout(self.request)
            form.add_error(None, form.get_invalid_login_error())
            return super().form_invalid(form)
        note_sign_in(self.request, response, form.get_user())
        return response

    def get_success_url(self):
        return next_url(self.request)


class LogoutView(views.LogoutView):
    """Sign out by POST; GET shows the button for it."""

    http_method_names = ["get", "post", "head", "options"]
    template_name = "registration/logout.html"

    def get(self, request, *args, **kwargs):
        if not request.user.is_authenticated:
            return redirect("polls:list")
        return super().get(request, *args, **kwargs)

    def post(self, request, *args, **kwargs):
        response = super().post(request, *args, **kwargs)
        response["Clear-Site-Data"] = SIGNED_OUT_DATA
        return response


@method_decorator([sensitive_post_parameters(), never_cache], name="dispatch")
class RegisterView(EntryMixin, LimitedFormMixin, FormView):
    http_method_names = ["get", "post", "head", "options"]
    template_name = "registration/register.html"
    form_class = RegisterForm

    def why_refused(self, limit) -> str:
        if limit.name in limit_names("registration"):
            return _("Too many accounts were made from your internet address.")
        return self.too_many

    def limits(self):
        address = client_address(self.request)
        return [
            *address_limits("registration", address, most_registrations(), HOUR),
            *address_limits("refused registration", address, MOST_REFUSED_REGISTRATIONS, HOUR),
        ]

    def form_invalid(self, form):
        if not is_busy(form):
            self.count("refused registration")
        return super().form_invalid(form)

    def form_valid(self, form):
        # Before the password is hashed, which costs more than all else.
        self.count("registration")
        user = form.save()
        if user is None:
            if is_busy(form):
                self.count("registration", amount=-1)
            return self.form_invalid(form)
        user.account.language = self.request.LANGUAGE_CODE
        user.account.save(update_fields=["language"])
        self.send_confirmation(user)
        login(self.request, user)
        response = redirect(next_url(self.request))
        note_sign_in(self.request, response, user)
        return response

    def send_confirmation(self, user):
        """Send a link to confirm the address; without it the account is as good as with it."""
        limits = [
            ("registration mail", as_mailbox(user.email), MOST_MAILS, HOUR),
            *mails_by(self.request),
        ]
        if settings.SENDS_MAIL and user.email and not first_reached(limits):
            Limit.objects.count_use(limits)
            send_email_link(self.request, user, user.email)


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


class NewPasswordMixin(HashingFormMixin):
    """Tell of a new password by mail, so that its owner can object (OWASP ASVS 5.0 6.3.7)."""

    def form_valid(self, form):
        try:
            response = super().form_valid(form)
        except HashingBusy as busy:
            form.add_error(None, busy)
            return self.form_invalid(form)
        send(form.user, "registration/mail/password_changed")
        note(form.user, AccountEvent.Kind.PASSWORD, client_address(self.request))
        return response


class PasswordChangeView(
    NewPasswordMixin, ProvenPhoneMixin, LimitedFormMixin, views.PasswordChangeView
):
    http_method_names = ["get", "post", "head", "options"]
    form_class = PasswordChangeForm
    counted_names = ("password checked",)

    def limits(self):
        user = self.request.user
        new = ("new password", user.pk, MOST_MAILS, HOUR)
        return [wrong_passwords(user), check_limit(user), new]

    def form_invalid(self, form):
        if form.has_error("old_password", "password_incorrect"):
            self.count("password")
        return super().form_invalid(form)

    def form_valid(self, form):
        self.count("new password")
        return super().form_valid(form)


def wrong_passwords(user):
    return "password", user.pk, MOST_WRONG_PASSWORDS, SIGN_IN_WINDOW


class AccountView(SignedInMixin, TemplateView):
    template_name = "registration/account.html"

    def own_ballots(self):
        """Return the ballots of the proven number, in a browser that has proven it."""
        if not is_verified(self.request):
            return []
        return Ballot.objects.of_number(str(self.request.user.two_factor.number))

    def get_context_data(self, **kwargs):
        user = self.request.user
        return super().get_context_data(
            account=getattr(user, "account", None),
            two_factor=getattr(user, "two_factor", None),
            is_verified=is_verified(self.request),
            ballots=self.own_ballots(),
            recovery_codes_left=user.recovery_codes.unused().count(),
            events=user.event_set.all()[:20],
            account_events=user.account_events.all()[:20],
            sends_mail=settings.SENDS_MAIL,
            **kwargs,
        )


class PasswordOnceMoreMixin(ProvenPhoneMixin, LimitedFormMixin):
    """A form with the password of whoever is signed in: wrong ones are counted.

    Right ones are, too, with a higher limit.
    """

    counted_names = ("password checked",)

    def get_form_kwargs(self):
        return super().get_form_kwargs() | {"user": self.request.user}

    def limits(self):
        return [wrong_passwords(self.request.user), check_limit(self.request.user)]

    def form_invalid(self, form):
        if form.has_error("password", WRONG_PASSWORD):
            self.count("password")
        return super().form_invalid(form)


@method_decorator(sensitive_post_parameters(), name="dispatch")
class EmailView(PasswordOnceMoreMixin, FormView):
    """Take another address for mail about the account, and send a link there to confirm it."""

    http_method_names = ["get", "post", "head", "options"]
    template_name = "registration/email.html"
    form_class = EmailForm

    def limits(self):
        to = as_mailbox(self.request.POST.get("email", ""))
        by_address = [("email to", to, MOST_MAILS, HOUR), *mails_by(self.request)] if to else []
        own = ("email", self.request.user.pk, MOST_MAILS, HOUR)
        return [*super().limits(), own, *by_address]

    def get_initial(self):
        return {"email": self.request.user.email}

    def get_context_data(self, **kwargs):
        return super().get_context_data(sends_mail=settings.SENDS_MAIL, **kwargs)

    def form_valid(self, form):
        if not settings.SENDS_MAIL:
            return self.form_invalid(form)
        self.count("email", "email to", "mail by address")
        email = form.cleaned_data["email"]
        if not email:
            set_email(self.request, form.user, "")
            messages.success(self.request, _("Your account has no email address any more."))
            return redirect("account")
        send_email_link(self.request, form.user, email)
        messages.info(self.request, LINK_SENT % {"email": email})
        return redirect("account")


class EmailLinkView(SignedInMixin, LimitedFormMixin, FormView):
    """Send another link to confirm the address of the account. Only the owner's mailbox gets it."""

    http_method_names = ["get", "post", "head", "options"]
    template_name = "registration/email_link.html"
    form_class = Form

    def get_return_url(self):
        return self.request.path

    def refuse(self):
        return super().refuse() or self.refuse_without_need()

    def refuse_without_need(self):
        has_confirmed = Account.objects.of(self.request.user).has_confirmed_email
        if has_confirmed or not self.request.user.email or not settings.SENDS_MAIL:
            return redirect("account")
        return None

    def limits(self):
        user = self.request.user
        to = ("email to", as_mailbox(user.email), MOST_MAILS, HOUR)
        return [("email", user.pk, MOST_MAILS, HOUR), to, *mails_by(self.request)]

    def form_valid(self, form):
        self.count("email", "email to", "mail by address")
        user = self.request.user
        send_email_link(self.request, user, user.email)
        messages.info(self.request, LINK_SENT % {"email": user.email})
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
        is_new = email != self.request.user.email
        return super().get_context_data(email=email, is_new=is_new, **kwargs)

    def post(self, request, token):
        email = read_email_token(request.user, token)
        if email is None or not set_email(request, request.user, email):
            return self.get(request, token)
        if email == request.user.email:
            messages.success(request, _("Your email address is confirmed."))
        else:
            messages.success(request, _("Your email address is changed."))
        return redirect("account")


def send_email_link(request, user, email: str):
    link = reverse("account_email_confirm", args=[email_token(user, email)])
    url = absolute_url(request, link)
    # Asked for by its reader, so the request's language is a good guess.
    fallback = request.LANGUAGE_CODE
    send(user, "registration/mail/email_link", to=email, fallback=fallback, url=url)


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


def set_email(request, user, email: str) -> bool:
    """Set the confirmed address unless another click was quicker, and tell the one there was."""
    users = get_user_model().objects
    with transaction.atomic():
        # This locks the row: who deletes the account waits, or was quicker and there is no row.
        was_set = users.filter(pk=user.pk, email=user.email).update(email=email)
        if was_set:
            account = Account.objects.of(user)
            Account.objects.filter(pk=account.pk).update(confirmed_email=email)
    if was_set and email != user.email:
        send(user, "registration/mail/email_changed")
        note(user, AccountEvent.Kind.EMAIL, client_address(request))
    return bool(was_set)


@method_decorator(sensitive_post_parameters(), name="dispatch")
class SignOutOthersView(PasswordOnceMoreMixin, FormView):
    """End the sessions of all other browsers (OWASP ASVS 5.0 7.4.3)."""

    http_method_names = ["get", "post", "head", "options"]
    template_name = "registration/sign_out_others.html"
    form_class = PasswordForm

    def form_valid(self, form):
        # Sessions count while the hash is what it was when they began: another salt ends them.
        user, before = form.user, form.user.password
        try:
            user.set_password(form.cleaned_data["password"])
        except HashingBusy as busy:
            form.add_error(None, busy)
            return self.form_invalid(form)
        users = get_user_model().objects.filter(pk=user.pk, password=before)
        if users.update(password=user.password):
            update_session_auth_hash(self.request, user)
            note(user, AccountEvent.Kind.SIGNED_OUT, client_address(self.request))
            messages.success(self.request, _("All other browsers are signed out."))
        return redirect("account")


@method_decorator(sensitive_post_parameters(), name="dispatch")
class AccountDeleteView(ProvenPhoneMixin, PasswordStepMixin, HashingFormMixin, FormView):
    """Delete the account of whoever types its password; the ballots name nobody, and stay."""

    http_method_names = ["get", "post", "head", "options"]
    template_name = "registration/account_delete.html"
    form_class = AccountDeleteForm

    def get_form_kwargs(self):
        return super().get_form_kwargs() | {"user": self.request.user}

    def post(self, request, *args, **kwargs):
        # Counted before the password is looked at, as with codes.
        try:
            self.count_password()
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
        response = redirect("polls:list")
        response["Clear-Site-Data"] = SIGNED_OUT_DATA
        return response
