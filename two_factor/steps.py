"""What the steps of proving a phone share: two pages, and who they are for."""

import math
import secrets
import time
from contextlib import contextmanager
from time import perf_counter

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.core.exceptions import NON_FIELD_ERRORS
from django.forms import PasswordInput
from django.forms.utils import ErrorDict
from django.middleware.csrf import rotate_token
from django.shortcuts import redirect, resolve_url
from django.utils import timezone
from django.utils.cache import add_never_cache_headers
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from . import client, signals
from .addresses import client_address
from .forms import WRONG_PASSWORD, CodeForm, PhoneForm
from .history import Event, record
from .mixins import (
    SignedInMixin,
    is_safe_next,
    is_verified,
    next_url,
    set_let_in,
    set_verified,
    with_next,
)
from .models import CODE_LENGTH, Limit, Limited, NotReleased, TwoFactor, Verification
from .passwords import check_limit

# The session's keys: the verification under way in this browser, the number to correct, the form
# that was refused last, and the page to go to after the last step.
VERIFICATION = "verification"
WRONG_NUMBER = "wrong_number"
REFUSED = "refused_form"
NEXT = "next_after_steps"
REFUSED_SECONDS = 60
# Longer texts are not typed; they are cut before they go into the session.
MAX_TYPED = 500  # characters

EXPIRED = gettext_noop("That code is no longer valid. Ask for a new one.")


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


def sentence_of(limited: Limited) -> str:
    if isinstance(limited, NotReleased):
        return limited.reason % {"wait": in_words(limited.retry_after)}
    return when_again(limited.reason, limited.retry_after)


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

    @property
    def own_verifications(self):
        """The one that this browser began, if it is still there."""
        pk = self.request.session.get(VERIFICATION)
        return Verification.objects.filter(user=self.request.user, pk=pk)

    @cached_property
    def verification(self):
        return self.own_verifications.live().first()

    @property
    def has_code_to_type(self) -> bool:
        """Whether a code was sent that this browser may type: its page may have been left."""
        verification = self.verification
        if verification is None or verification.request_id is None:
            return False
        return verification.is_change == is_verified(self.request)

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
        self.renew_session()
        set_verified(self.request, self.two_factor)

    def let_in(self):
        """Open the administration to staff without a number."""
        self.renew_session()
        set_let_in(self.request, self.two_factor)

    def renew_session(self):
        for key in (REFUSED, NEXT, WRONG_NUMBER):
            self.request.session.pop(key, None)
        self.request.session.cycle_key()
        rotate_token(self.request)

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
        sentence = sentence_of(problem)
        response = self.render_to_response(context | {"problem": sentence}, status=429)
        response["Retry-After"] = problem.retry_after
        return response


class FormPageMixin(StepMixin):
    """Post/Redirect/Get: a form that is refused leads back to ``form_page``, which shows why.

    So a reload sends nothing, and the way back in the browser opens a page. What was typed and what
    is wrong with it wait in the session. Only answers of 429 are shown where the form was sent.
    GET on an address that only takes forms leads to the page with its form.
    """

    # The name of the address where the form stands and opens with GET.
    form_page = ""

    def dispatch(self, request, *args, **kwargs):
        if request.method in {"GET", "HEAD"} and "get" not in self.http_method_names:
            response = redirect(with_next(self.form_page, self.kept_next()))
            add_never_cache_headers(response)
            return response
        return super().dispatch(request, *args, **kwargs)

    def refuse(self):
        refusal = super().refuse()
        # After an answer of 429 the browser shows this address, which then has no ``next``.
        if refusal is None and self.request.method == "POST":
            self.request.session.pop(REFUSED, None)
            self.keep_next()
        return refusal

    def keep_next(self):
        session = self.request.session
        if self.next_url != session.get(NEXT, resolve_url(settings.LOGIN_REDIRECT_URL)):
            session[NEXT] = self.next_url

    def kept_next(self) -> str:
        kept = self.request.session.get(NEXT, "")
        is_asked = REDIRECT_FIELD_NAME in self.request.GET
        return kept if not is_asked and is_safe_next(self.request, kept) else self.next_url

    def form_invalid(self, form):
        return self.to_form_page(form=form)

    def render_problem(self, problem, form=None):
        if isinstance(problem, Limited):
            return super().render_problem(problem, form)
        return self.to_form_page(problem, form)

    def to_form_page(self, problem="", form=None, **facts):
        """Redirect to the page with the form, which shows ``problem`` and the form's errors."""
        refused = {"problem": str(_(problem)) if problem else "", **facts}
        if form is not None and form.is_bound:
            # No password is kept, and nothing of the form's errors but its sentences.
            refused["typed"] = {
                name: (form.data.get(name) or "")[:MAX_TYPED]
                for name, field in form.fields.items()
                if not isinstance(field.widget, PasswordInput)
            }
            refused["errors"] = {name: list(texts) for name, texts in form.errors.items()}
        self.keep_refused(self.form_page, refused)
        return redirect(with_next(self.form_page, self.next_url))

    def keep_refused(self, page, refused):
        self.request.session[REFUSED] = refused | {"page": page, "at": time.time()}

    @cached_property
    def refused(self) -> dict:
        """What was refused on the way to this page, until another form is sent.

        It stays for a minute, so that a reload shows the same page.
        """
        refused = self.request.session.get(REFUSED, {})
        is_form_page = self.request.resolver_match.view_name == self.form_page
        if self.request.method == "POST" or not is_form_page:
            return {}
        is_new = abs(time.time() - refused.get("at", 0)) < REFUSED_SECONDS
        return refused if refused.get("page") == self.form_page and is_new else {}

    def get_form(self, form_class=None):
        if "typed" not in self.refused:
            return super().get_form(form_class)
        form_class = form_class or self.get_form_class()
        form = form_class(**self.get_form_kwargs() | {"data": self.refused["typed"]})
        # It was judged when it was sent. Set, this keeps the form from judging itself once more.
        form._errors, form.cleaned_data = ErrorDict(), {}
        for name, texts in self.refused["errors"].items():
            form.add_error(None if name == NON_FIELD_ERRORS else name, texts)
        return form

    def get_context_data(self, **kwargs):
        kwargs.setdefault("problem", self.refused.get("problem", ""))
        # Where this page opens, whatever was sent: a change of language must not lose it.
        page_url = with_next(self.form_page, self.next_url)
        return super().get_context_data(page_url=page_url, refused=self.refused, **kwargs)


class PasswordStepMixin(StepMixin):
    """A form that asks for the password: wrong ones count like wrong codes.

    Its view calls ``count_password`` before the password is looked at.
    """

    def count_password(self):
        """Count one more password typed, or raise Limited; a right one costs a hash, too."""
        _limits, passed = Limit.objects.count_use([check_limit(self.request.user)])
        if passed:
            raise Limited(_("Too many tries."), passed[0].ends_at - timezone.now())
        self.two_factor.count_guess()

    def form_invalid(self, form):
        if form.has_error("password", WRONG_PASSWORD):
            self.note_wrong_guess()
        else:
            self.two_factor.uncount_guess()
        return super().form_invalid(form)


class PhonePageMixin(FormPageMixin):
    """The page that asks for a number, or offers a code to the proven one."""

    form_page = "two_factor:phone"
    template_name = "two_factor/phone.html"
    form_class = PhoneForm

    def get_form_kwargs(self):
        # VERIFY_REGIONS says who may vote; it must not keep staff out of the administration.
        return super().get_form_kwargs() | {"any_region": self.request.user.is_staff}

    def get_context_data(self, **kwargs):
        two_factor = TwoFactor.objects.filter(user=self.request.user).first()
        return super().get_context_data(
            # Whom to ask about a number that another account holds.
            operator_email=getattr(settings, "OPERATOR", {}).get("email", ""),
            masked_number=two_factor.masked_number if two_factor else "",
            seconds_to_next_send=two_factor.seconds_to_next_send if two_factor else 0,
            is_verified=is_verified(self.request),
            is_paused=client.is_paused(),
            has_code_to_type=self.has_code_to_type,
            **kwargs,
        )


class CodePageMixin(FormPageMixin):
    """The page that asks for the code under way in this browser; without one, back a step."""

    form_page = "two_factor:verify"
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

    def to_phone_page(self, problem="", **facts):
        """Go back to where the number was typed: for the verified that is another page."""
        page = "two_factor:change" if is_verified(self.request) else "two_factor:phone"
        self.keep_number()
        if problem:
            self.keep_refused(page, {"problem": _(problem), **facts})
        return redirect(with_next(page, self.next_url))

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
            intro=self.where_the_code_is(),
            form_id=secrets.token_hex(6),
            code_length=CODE_LENGTH,
            seconds_to_next_send=self.two_factor.seconds_to_next_send,
            sandbox_code=self.sandbox_code(),
            **kwargs,
        )

    def where_the_code_is(self) -> str:
        """Say where the code went, or why there is none to type yet."""
        verification = self.verification
        words = {
            "unclear": _(
                "We do not know yet whether a code was sent to {number}. "
                "Have a new one sent when you can."
            ),
            "cancelled": _(
                "The code to {number} no longer works, and there is no new one yet. "
                "Have a new one sent when you can."
            ),
            "starting": _("We are sending a code with {digits} digits to {number}."),
            "call": _(
                "A call reads {digits} digits to {number}. "
                "They replace those of any earlier message."
            ),
            "sms": _("A text message with {digits} digits goes to {number}. It may take a minute."),
        }[verification.stage]
        # In full in the browser that typed it, so that a typo is seen.
        is_own = self.two_factor.number == verification.number
        number = verification.masked_number if is_own else verification.number.as_international
        strong = format_html('<strong class="number">{}</strong>', number)
        return format_html(words, digits=CODE_LENGTH, number=strong)

    def sandbox_code(self):
        if not client.is_sandbox() or self.verification.request_id is None:
            return ""
        from .sandbox import code_under_way

        return code_under_way(str(self.verification.request_id))
