"""A forgotten password: links by mail to choose another one."""

from itertools import groupby, islice

from django.conf import settings
from django.contrib.auth import get_user_model, views
from django.contrib.auth.tokens import default_token_generator
from django.core import signing
from django.db import transaction
from django.db.models import Case, F, Q, Value, When
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.encoding import force_bytes
from django.utils.http import urlencode, urlsafe_base64_encode
from django.views.generic import FormView

from two_factor.addresses import address_limits, client_address
from two_factor.mail import after_answer, deliver, language_of
from two_factor.mixins import is_safe_next, next_url, with_next
from two_factor.models import HOUR

from .accounts import MOST_MAILS, NewPasswordMixin, next_context
from .devices import remember
from .forms import MOST_ACCOUNTS, NewPasswordForm, PasswordResetForm, is_email
from .limits import LimitedFormMixin, as_looked_up, as_mailbox
from .models import Account
from .site_url import site_url

# Links an hour, to any address, that one internet address may ask for.
MOST_RESETS_BY_ADDRESS = 30
# Ways of writing one address, in small letters or capitals, that one wish is mailed to.
MOST_SPELLINGS = 3
# The longest address, in characters, of the page to come back to. A longer one is not mailed.
MAX_NEXT_LENGTH = 500
# The session's key for that page, while a password is chosen.
RESET_NEXT = "reset_next"
NEXT_SALT = "pollstr.password_reset.next"


class PasswordResetView(LimitedFormMixin, FormView):
    """Take an address. Whether any account has it changes neither the answer nor its time."""

    template_name = "registration/password_reset_form.html"
    form_class = PasswordResetForm

    def limits(self):
        email = as_mailbox(self.request.POST.get("email", ""))
        address = client_address(self.request)
        return [
            ("reset", email, MOST_MAILS, HOUR),
            *address_limits("reset by address", address, MOST_RESETS_BY_ADDRESS, HOUR),
        ]

    def get_context_data(self, **kwargs):
        context = super().get_context_data(sends_mail=settings.SENDS_MAIL, **kwargs)
        return context | next_context(self.request)

    def form_valid(self, form):
        # Where no mail goes out, nobody is sent to look for it.
        if not settings.SENDS_MAIL:
            return self.form_invalid(form)
        self.count("reset", "reset by address")
        next, root = next_url(self.request), site_url(self.request)
        email = form.cleaned_data["email"]
        language = self.request.LANGUAGE_CODE
        after_answer("password_reset", mail_links, email, root, next, language)
        return redirect(with_next("password_reset_done", next))


class NextPageMixin:
    """A page on the way back to what the forgotten password interrupted."""

    def get_context_data(self, **kwargs):
        return super().get_context_data(**kwargs) | next_context(self.request)


class PasswordResetDoneView(NextPageMixin, views.PasswordResetDoneView):
    http_method_names = ["get", "head", "options"]


class PasswordResetCompleteView(NextPageMixin, views.PasswordResetCompleteView):
    http_method_names = ["get", "head", "options"]


def mail_links(email: str, root: str, next: str, fallback: str):
    """Mail a link for each account with that address, all of one address in one mail.

    ``fallback`` is the language for an account that has none: whoever asked will read it.
    """
    users = accounts_with(email)
    # In order of the best account of each, so that nobody else's accounts crowd that out.
    rank = {mailbox_of(user): n for n, user in reversed(list(enumerate(users)))}
    users.sort(key=lambda user: rank[mailbox_of(user)])
    for address, group in islice(groupby(users, mailbox_of), MOST_SPELLINGS):
        accounts = list(group)
        deliver(
            "registration/mail/password_reset",
            address,
            language_of(accounts[0], fallback),
            {
                "accounts": [
                    {"name": user.get_username(), "url": root + reset_path(user, next)}
                    for user in accounts
                ],
                "at": timezone.now(),
            },
        )


def accounts_with(email: str) -> list:
    """Return the accounts that mail to ``email`` may open, those most surely of its owner first.

    These are accounts that somebody confirmed who reads that mail, then those with a proven phone,
    which strangers cannot make in numbers, then those with that very spelling, then the oldest. An
    account without an address counts by its name, where that is an address.
    """
    is_confirmed = Q(account__confirmed_email=F("email")) & ~Q(email="")
    has_number = Q(two_factor__number__isnull=False)
    is_as_typed = Q(email=email)
    users = (
        get_user_model()
        ._default_manager.filter(Q(email__iexact=email) | Q(email="", username__iexact=email))
        .filter(is_active=True)
        .select_related("account")
        .annotate(
            doubt=Case(
                When(is_confirmed, then=Value(0)),
                When(has_number, then=Value(1)),
                When(is_as_typed, then=Value(2)),
                default=Value(3),
            )
        )
        .order_by("doubt", "date_joined", "pk")
    )
    wanted = as_looked_up(email, 254)
    # What the database takes for equal may be another address (CVE-2019-19844).
    return [
        user
        for user in users[:MOST_ACCOUNTS]
        if user.has_usable_password() and as_looked_up(mailbox_of(user), 254) == wanted
    ]


def mailbox_of(user) -> str:
    return user.email or user.get_username()


def reset_path(user, next: str) -> str:
    uid = urlsafe_base64_encode(force_bytes(user.pk))
    token = default_token_generator.make_token(user)
    path = reverse("password_reset_confirm", args=[uid, token])
    if next == reverse(settings.LOGIN_REDIRECT_URL) or len(next) > MAX_NEXT_LENGTH:
        return path
    return f"{path}?{urlencode({'next': signing.dumps(next, salt=NEXT_SALT)})}"


def read_next(request) -> str:
    """Return the page to come back to that a mailed link names, or an empty text."""
    try:
        next = signing.loads(request.GET.get("next", ""), salt=NEXT_SALT)
    except signing.BadSignature:
        return ""
    return next if is_safe_next(request, next) else ""


class PasswordResetConfirmView(NewPasswordMixin, views.PasswordResetConfirmView):
    """Set another password, for whoever has the link, who reads the mail of the account."""

    form_class = NewPasswordForm

    def dispatch(self, request, *args, **kwargs):
        response = super().dispatch(request, *args, **kwargs)
        next = read_next(request)
        # The link was good, and leads on to the form at an address without its secret.
        is_link = kwargs["token"] != self.reset_url_token
        if is_link and request.method == "GET" and response.status_code == 302:
            request.session.pop(RESET_NEXT, None)
            if next:
                request.session[RESET_NEXT] = next
        return response

    def form_valid(self, form):
        response = super().form_valid(form)
        if response.status_code == 302:
            confirm_mailbox(form.user)
            # A way in for the owner while strangers guess passwords.
            remember(self.request, response, form.user)
        return response

    def get_success_url(self):
        next = self.request.session.pop(RESET_NEXT, "")
        complete = "password_reset_complete"
        return with_next(complete, next) if next else reverse(complete)


def confirm_mailbox(user):
    """Note that the owner of the account reads its mail, unless the address just changed."""
    email = mailbox_of(user)
    if not is_email(email):
        return
    with transaction.atomic():
        users = get_user_model().objects.filter(pk=user.pk, email=user.email)
        if users.update(email=email):
            account = Account.objects.of(user)
            Account.objects.filter(pk=account.pk).update(confirmed_email=email)
