"""Proving a phone: number → code → verified.

Each step is one view, and each call to Vonage stands in the view that needs it.
"""

from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.shortcuts import redirect
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from django.views.generic import FormView, View

from . import client, signals
from .client import ProviderBusy, ProviderError, calling_vonage
from .forms import PhoneForm
from .history import Event, brake
from .locales import message_locale
from .mixins import is_verified, with_next
from .models import (
    CHANNEL_TIMEOUT,
    CODE_LENGTH,
    Channel,
    Limited,
    NumberTaken,
    OtherNumberProven,
    TwoFactor,
    Verification,
)
from .steps import (
    EXPIRED,
    VERIFICATION,
    WRONG_NUMBER,
    CodePageMixin,
    PhonePageMixin,
    client_address,
)

BUSY = gettext_noop("Many people are proving their phones just now. Please try again in a moment.")
ON_ITS_WAY = gettext_noop("A code is already on its way to you. Only the newest one counts.")
UNCLEAR_START = gettext_noop(
    "We could not reach the service that sends our codes, so yours may or may not be on its way. "
    "Please try again in a moment."
)
REFUSED_START = gettext_noop(
    "The service that sends our codes has trouble, and no code was sent. "
    "Please try again in a few minutes."
)
REFUSED_NUMBER = gettext_noop(
    "No code can be sent to this number. Please check it, or use another one."
)
BUSY_NUMBER = gettext_noop(
    "A code was sent to this number from elsewhere a moment ago. "
    "Please wait a few minutes, then try again."
)
NOT_SENT_YET = gettext_noop(
    "We have not heard yet whether your code was sent. "
    "Please try again in a moment, or have it sent again."
)
UNCLEAR_CALL = gettext_noop(
    "We could not reach the service that calls you. Please try again in a moment."
)
CALLED_ALREADY = gettext_noop(
    "We have called you already. Type the code from the call, or wait for a new one."
)
WRONG_CODE = gettext_noop(
    "That is not the code we sent last. Check your newest message and try again."
)
VOID = gettext_noop("That was one wrong code too many, so the code is void. Ask for a new one.")
UNCHECKED = gettext_noop(
    "We could not check your code; the trouble is on our side. "
    "Please try the same code again in a moment."
)
TAKEN = gettext_noop(
    "This number votes with another account already. Sign in there, or use another number."
)
OTHER_PROVEN = gettext_noop("Your account has a proven number already. Ask for a code to that one.")


class StartMixin:
    """Having Vonage send a code, for the first time or again."""

    def start(self, verification):
        """Start a verification, and bind it to this browser. Raises ProviderError."""
        from vonage_verify import SmsChannel, VerifyRequest, VoiceChannel

        to = str(verification.number).removeprefix("+")
        sms, voice = SmsChannel(to=to), VoiceChannel(to=to)
        with self.calling_vonage("start") as verify:
            answer = verify.start_verification(
                VerifyRequest(
                    brand=settings.VERIFY_BRAND,
                    workflow=[sms, voice] if verification.channel == Channel.SMS else [voice],
                    code_length=CODE_LENGTH,
                    channel_timeout=CHANNEL_TIMEOUT,
                    locale=message_locale(self.request),
                )
            )
            request_id = UUID(answer.request_id)
        verification.accept(request_id)
        self.bind(verification)

    def note_sent(self, kind, verification):
        self.record(kind, verification)
        signals.code_sent.send(TwoFactor, user=self.request.user, request=self.request)

    def bind(self, verification):
        self.request.session[VERIFICATION] = str(verification.pk)
        self.request.session.pop(WRONG_NUMBER, None)

    def count_send(self, number):
        """Count a message to ``number``, or raise Limited; a proven number has no brake."""
        if self.two_factor.number != number:
            brake(number)
        self.two_factor.count_send(str(number), client_address(self.request))

    def uncount_send(self, number):
        self.two_factor.uncount_send(str(number), client_address(self.request))

    def recover(self, verification, error) -> bool:
        """Go on with our own earlier start, where that is what stands in the way of another.

        Vonage refuses a second start with the id of the first. It is ours where we had asked
        before and got no answer; never where another user's verification has that id.
        """
        is_foreign = Verification.objects.filter(request_id=error.request_id).exclude(
            user=self.request.user
        )
        if error.status != 409 or error.request_id is None or is_foreign.exists():
            return False
        if verification.request_id != error.request_id:
            verification.accept(error.request_id)
            self.note_sent(Event.Kind.STARTED, verification)
        self.bind(verification)
        self.uncount_send(verification.number)
        messages.info(self.request, _(ON_ITS_WAY))
        return True

    def send(self, number, form, is_change=False):
        verification, is_new = Verification.objects.claim(self.request.user, number, is_change)
        if not is_new and not verification.retake():
            self.bind(verification)
            messages.info(self.request, _(ON_ITS_WAY))
            return self.to_code_page()
        try:
            self.count_send(number)
        except Limited as limited:
            if is_new:
                verification.delete()
            return self.render_problem(limited, form)
        self.cancel_abandoned()
        try:
            self.start(verification)
        except ProviderError as error:
            self.record(Event.Kind.TROUBLE, verification)
            return self.start_failed(error, verification, is_new, form)
        self.note_sent(Event.Kind.STARTED, verification)
        return self.to_code_page()

    def cancel_abandoned(self):
        """Cancel what could not be cancelled when its number turned out to be wrong."""
        abandoned = Verification.objects.filter(
            user=self.request.user, is_abandoned=True, request_id__isnull=False
        )
        if verification := abandoned.order_by("-started_at").first():
            give_up(verification)

    def start_failed(self, error, verification, is_new, form):
        if not is_new and self.recover(verification, error):
            return self.to_code_page()
        if not error.is_refusal:
            # The row stays: if a code went out after all, the next click finds its way to it.
            return self.render_problem(UNCLEAR_START, form)
        verification.delete()
        if error.status == 409:
            return self.render_problem(BUSY_NUMBER, form)
        self.uncount_send(verification.number)
        if isinstance(error, ProviderBusy):
            return self.render_problem(BUSY, form)
        return self.render_problem(REFUSED_NUMBER if error.status == 422 else REFUSED_START, form)


class PhoneView(PhonePageMixin, FormView):
    http_method_names = ["get", "head", "options"]

    def get_initial(self):
        return {"number": self.request.session.get(WRONG_NUMBER, "")}


class CreateView(StartMixin, PhonePageMixin, FormView):
    http_method_names = ["post", "options"]

    def post(self, request, *args, **kwargs):
        if is_verified(request):
            return redirect(self.next_url)
        if client.is_paused():
            return self.to_phone_page()
        if self.two_factor.number:
            # Whatever number was posted: a proven one is not replaced here.
            return self.send(self.two_factor.number, PhoneForm())
        return super().post(request, *args, **kwargs)

    def form_valid(self, form):
        return self.send(form.cleaned_data["number"], form)


class VerifyView(CodePageMixin, FormView):
    http_method_names = ["get", "head", "options"]


class DeliveryView(CodePageMixin, FormView):
    """Whether the message got through: the part of the code page that changes by itself."""

    http_method_names = ["get", "head", "options"]
    template_name = "two_factor/verify.html#delivery"


class ConfirmView(CodePageMixin, FormView):
    http_method_names = ["post", "options"]

    def form_valid(self, form):
        if self.verification.request_id is None:
            return self.render_problem(NOT_SENT_YET, form)
        try:
            self.two_factor.count_guess()
        except Limited as limited:
            return self.render_problem(limited, form)
        try:
            with self.calling_vonage("check") as verify:
                request_id = str(self.verification.request_id)
                answer = verify.check_code(request_id, form.cleaned_data["code"])
            if answer.status != "completed":
                raise ProviderError
        except ProviderError as error:
            return self.check_failed(error, form)
        return self.check_succeeded()

    def check_failed(self, error, form):
        if error.status in {400, 410}:
            self.note_wrong_code(error)
        if error.status == 400:
            form.add_error("code", _(WRONG_CODE))
            return self.render_to_response(self.get_context_data(form=form))
        if error.status in {404, 410}:
            self.end()
            return self.to_phone_page(VOID if error.status == 410 else EXPIRED)
        self.record(Event.Kind.TROUBLE, self.verification)
        if error.is_refusal:
            self.two_factor.uncount_guess()
        return self.render_problem(BUSY if isinstance(error, ProviderBusy) else UNCHECKED, form)

    def note_wrong_code(self, error):
        told = {"sender": TwoFactor, "user": self.request.user, "request": self.request}
        self.note_wrong_guess(self.verification)
        signals.code_failed.send(**told)
        if error.status == 410:
            self.record(Event.Kind.VOID, self.verification)
            signals.phone_failed.send(**told)

    def check_succeeded(self):
        verification, is_new = self.verification, self.two_factor.number is None
        if not self.end():
            # The number was removed or changed while Vonage judged the code.
            return self.to_phone_page(EXPIRED)
        self.record(Event.Kind.VERIFIED, verification)
        try:
            self.two_factor.prove(verification.number, replaces=verification.is_change)
        except NumberTaken:
            return self.to_phone_page(TAKEN)
        except OtherNumberProven:
            return self.to_phone_page(OTHER_PROVEN)
        self.set_verified()
        told = {"sender": TwoFactor, "user": self.request.user, "request": self.request}
        if verification.is_change:
            self.record(Event.Kind.CHANGED, verification)
            signals.phone_changed.send(**told)
        signals.phone_verified.send(**told, is_new=is_new)
        self.tell_success()
        return redirect(self.next_url)

    def tell_success(self):
        sentence = _("Your phone is verified in this browser.")
        if not self.request.user.recovery_codes.unused().exists():
            link = with_next("two_factor:recovery_codes", self.next_url)
            words = _('For a day without it, <a href="{url}">make recovery codes</a>.')
            sentence = format_html("{} {}", sentence, format_html(words, url=link))
        messages.success(self.request, sentence)


class CallView(StartMixin, CodePageMixin, FormView):
    http_method_names = ["post", "options"]

    def post(self, request, *args, **kwargs):
        verification = self.verification
        if verification.request_id is None:
            return self.render_problem(NOT_SENT_YET)
        try:
            self.count_send(verification.number)
        except Limited as limited:
            return self.render_problem(limited)
        try:
            with self.calling_vonage("next_workflow") as verify:
                verify.trigger_next_workflow(str(verification.request_id))
        except ProviderError as error:
            return self.call_failed(error)
        verification.channel = Channel.VOICE
        verification.accept(verification.request_id)
        self.note_sent(Event.Kind.CALLED, verification)
        messages.success(request, _("We are calling you now. Type the code from the call."))
        return self.to_code_page()

    def call_failed(self, error):
        self.record(Event.Kind.TROUBLE, self.verification)
        if not error.is_refusal:
            return self.render_problem(UNCLEAR_CALL)
        self.uncount_send(self.verification.number)
        if isinstance(error, ProviderBusy):
            return self.render_problem(BUSY)
        if error.status == 404:
            self.end()
            return self.to_phone_page(EXPIRED)
        return self.render_problem(CALLED_ALREADY if error.status == 409 else UNCLEAR_CALL)


class ResendView(StartMixin, CodePageMixin, FormView):
    http_method_names = ["post", "options"]

    def post(self, request, *args, **kwargs):
        verification = self.verification
        try:
            self.count_send(verification.number)
        except Limited as limited:
            return self.render_problem(limited)
        # Vonage cannot repeat a code: the old request must go before it takes a new one.
        is_cancelled = verification.request_id is None or cancel(verification)
        verification.channel = Channel.first_for(verification.number)
        try:
            self.start(verification)
        except ProviderError as error:
            self.record(Event.Kind.TROUBLE, verification)
            return self.resend_failed(error, is_cancelled)
        self.note_sent(Event.Kind.RESENT, verification)
        messages.success(request, _("A new code is on its way. Only the newest one counts."))
        return self.to_code_page()

    def resend_failed(self, error, is_cancelled):
        verification = self.verification
        had_request = verification.request_id is not None
        if not (had_request and is_cancelled) and self.recover(verification, error):
            return self.to_code_page()
        is_busy = isinstance(error, ProviderBusy)
        if error.is_refusal:
            self.uncount_send(verification.number)
        if error.is_refusal and not is_busy:
            self.end()
            return self.to_phone_page(REFUSED_START)
        if is_cancelled:
            Verification.objects.filter(pk=verification.pk).update(request_id=None)
        return self.render_problem(BUSY if is_busy else UNCLEAR_START)


class CancelView(CodePageMixin, View):
    http_method_names = ["post", "options"]

    def post(self, request, *args, **kwargs):
        del request.session[VERIFICATION]
        self.record(Event.Kind.CANCELLED, self.verification)
        give_up(self.verification)
        return self.to_phone_page()


def cancel(verification) -> bool:
    """Cancel a verification at Vonage, which allows it from 30 seconds on and before the call."""
    try:
        with calling_vonage("cancel") as verify:
            verify.cancel_verification(str(verification.request_id))
    except ProviderError:
        return False
    return True


def give_up(verification):
    """Cancel a verification for good, or remember to do so later, lest a stranger be called."""
    if verification.request_id and cancel(verification):
        verification.delete()
    else:
        Verification.objects.filter(pk=verification.pk).update(is_abandoned=True)
