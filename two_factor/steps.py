"""What the steps of proving a phone share: two pages, and who they are for."""

import ipaddress
import math
import re
from contextlib import contextmanager
from time import perf_counter

from django.conf import settings
from django.contrib import messages
from django.middleware.csrf import rotate_token
from django.shortcuts import redirect
from django.utils.functional import cached_property
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from . import client, signals
from .forms import WRONG_PASSWORD, CodeForm, PhoneForm
from .history import Event, record
from .mixins import SignedInMixin, is_verified, next_url, set_verified, with_next
from .models import CODE_LENGTH, Limited, TwoFactor, Verification

# The session's keys: the verification under way in this browser, and the number to correct.
VERIFICATION = "verification"
WRONG_NUMBER = "wrong_number"

EXPIRED = gettext_noop("That code is no longer valid. Ask for a new one.")


def client_address(request) -> str:
    """Return whom to count a request against: its address, for IPv6 the network it is in.

    Anyone can write into X-Forwarded-For; only the entries that our own TRUSTED_PROXIES appended
    count, and those are the last ones.
    """
    peer = request.META["REMOTE_ADDR"]
    forwarded = request.headers.get("X-Forwarded-For", "").split(",")
    has_passed_all = 0 < settings.TRUSTED_PROXIES <= len(forwarded)
    address = forwarded[-settings.TRUSTED_PROXIES] if has_passed_all else peer
    ip = read_address(address) or read_address(peer)
    if ip is None:
        return peer
    # One household or server has a whole /64 to choose its addresses from.
    return str(ip if ip.version == 4 else ipaddress.ip_network((ip, 64), strict=False))


def read_address(text: str):
    """Return the IP address in ``text``; some proxies write a port behind it, or brackets."""
    text = re.sub(r"^\[(.*)\](:\d+)?$|^([\d.]+):\d+$", r"\1\3", text.strip())
    try:
        ip = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(ip, "ipv4_mapped", None) or ip


def in_words(seconds: int) -> str:
    if seconds < 90:
        return ngettext("%(number)d second", "%(number)d seconds", seconds) % {"number": seconds}
    if seconds <= 5400:
        number = math.ceil(seconds / 60)
        return ngettext("%(number)d minute", "%(number)d minutes", number) % {"number": number}
    number = math.ceil(seconds / 3600)
    return ngettext("%(number)d hour", "%(number)d hours", number) % {"number": number}


def when_again(reason: str, seconds: int) -> str:
    """Say why something was refused, and when to try again."""
    again = _("Please try again in %(wait)s.") % {"wait": in_words(seconds)}
    return f"{reason} {again}"


def called_since(began: float, status: int | None = None) -> dict:
    took = round(1000 * (perf_counter() - began))
    return {"provider_ms": took, "provider_status": status}


class StepMixin(SignedInMixin):
    """What all steps share: the user's second factor, and where to go in the end."""

    @cached_property
    def next_url(self):
        return next_url(self.request)

    @cached_property
    def two_factor(self):
        user = self.request.user
        if not hasattr(user, "two_factor"):
            user.two_factor, _ = TwoFactor.objects.get_or_create(user=user)
        return user.two_factor

    def get_context_data(self, **kwargs):
        return super().get_context_data(next=self.next_url, **kwargs)

    # What the next event tells of the call to Vonage that led to it.
    last_call = {}

    @contextmanager
    def calling_vonage(self, call):
        """Yield the SDK's ``Verify`` and time the call. Raises ProviderError."""
        began, self.last_call = perf_counter(), {}
        try:
            with client.calling_vonage(call) as verify:
                yield verify
        except client.ProviderBusy:
            raise
        except client.ProviderError as error:
            self.last_call = called_since(began, error.status)
            raise
        self.last_call = called_since(began)

    def record(self, kind, verification=None, number=None):
        facts = {"address": client_address(self.request)} | self.last_call
        self.last_call = {}
        record(kind, self.request.user, verification=verification, number=number, **facts)

    def note_wrong_guess(self, verification=None):
        """Append a wrong guess to the history, and tell of the lock where it was the last."""
        self.record(Event.Kind.FAILED, verification)
        if self.two_factor.has_locked:
            self.record(Event.Kind.LOCKED, verification)
            user = self.request.user
            signals.phone_locked.send(TwoFactor, user=user, request=self.request)

    def set_verified(self):
        """Set the flag; nobody who knew the session before may use it now (ASVS 5.0 7.2.4)."""
        self.request.session.cycle_key()
        rotate_token(self.request)
        set_verified(self.request, self.two_factor)

    def to_phone_page(self, problem=""):
        if problem:
            messages.error(self.request, _(problem))
        return redirect(with_next("two_factor:phone", self.next_url))

    def to_code_page(self):
        return redirect(with_next("two_factor:verify", self.next_url))

    def render_problem(self, problem, form=None):
        """Show the step's page again with a sentence; as 429 where it is about too much."""
        context = self.get_context_data(form=form or self.get_form_class()())
        if not isinstance(problem, Limited):
            return self.render_to_response(context | {"problem": _(problem)})
        sentence = when_again(problem.reason, problem.retry_after)
        response = self.render_to_response(context | {"problem": sentence}, status=429)
        response["Retry-After"] = problem.retry_after
        return response


class PasswordStepMixin(StepMixin):
    """A form that asks for the password: wrong ones count like wrong codes.

    Its view counts a guess before the password is looked at.
    """

    def form_invalid(self, form):
        if form.has_error("password", WRONG_PASSWORD):
            self.note_wrong_guess()
        else:
            self.two_factor.uncount_guess()
        return super().form_invalid(form)


class PhonePageMixin(StepMixin):
    """The page that asks for a number, or offers a code to the proven one."""

    template_name = "two_factor/phone.html"
    form_class = PhoneForm

    def get_context_data(self, **kwargs):
        two_factor = TwoFactor.objects.filter(user=self.request.user).first()
        return super().get_context_data(
            masked_number=two_factor.masked_number if two_factor else "",
            seconds_to_next_send=two_factor.seconds_to_next_send if two_factor else 0,
            is_verified=is_verified(self.request),
            is_paused=client.is_paused(),
            **kwargs,
        )


class CodePageMixin(StepMixin):
    """The page that asks for the code under way in this browser; without one, back a step."""

    template_name = "two_factor/verify.html"
    form_class = CodeForm

    def refuse(self):
        return super().refuse() or self.refuse_without_code()

    def refuse_without_code(self):
        if client.is_paused():
            return self.to_phone_page()
        if self.verification:
            return None
        if is_verified(self.request) and VERIFICATION not in self.request.session:
            # The second click on a button, or a second tab: there is nothing left to do.
            return redirect(self.next_url)
        messages.info(self.request, _(EXPIRED))
        return self.to_phone_page()

    @property
    def own_verifications(self):
        """The one that this browser began, if it is still there."""
        pk = self.request.session.get(VERIFICATION)
        return Verification.objects.filter(user=self.request.user, pk=pk)

    @cached_property
    def verification(self):
        return self.own_verifications.live().first()

    def to_phone_page(self, problem=""):
        """Go back to where the number was typed: for the verified that is another page."""
        if not is_verified(self.request):
            self.keep_number()
            return super().to_phone_page(problem)
        if problem:
            messages.error(self.request, _(problem))
        return redirect(with_next("two_factor:change", self.next_url))

    def keep_number(self):
        """Have the number whose code came to nothing stand in the form again; no proven one."""
        verification = self.verification or self.own_verifications.first()
        if verification and self.two_factor.number is None:
            self.request.session[WRONG_NUMBER] = str(verification.number)

    def end(self) -> bool:
        """Forget the verification, used or void; return whether it was still there."""
        deleted, _ = self.verification.delete()
        del self.request.session[VERIFICATION]
        return bool(deleted)

    def get_context_data(self, **kwargs):
        return super().get_context_data(
            verification=self.verification,
            # Where this page opens, whatever was sent: a change of language must not lose the code.
            page_url=with_next("two_factor:verify", self.next_url),
            code_length=CODE_LENGTH,
            seconds_to_next_send=self.two_factor.seconds_to_next_send,
            sandbox_code=self.sandbox_code(),
            **kwargs,
        )

    def sandbox_code(self):
        if not client.is_sandbox():
            return ""
        from .sandbox import code_under_way

        return code_under_way(str(self.verification.request_id))
