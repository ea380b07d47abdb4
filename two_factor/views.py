"""Proving a phone: number → code → verified.

Each step is one view, and each call to Vonage stands in the view that needs it.
"""

from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.db import transaction
from django.shortcuts import redirect
from django.utils.html import format_html
from django.utils.text import format_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from django.views.generic import FormView, View

from . import client, signals
from .client import ProviderBusy, ProviderError, ProviderUnreachable, calling_vonage
from .forms import PhoneForm
from .history import Event, brake
from .locales import message_locale
from .mixins import is_verified, with_next
from .models import (
    CHANNEL_TIMEOUT,
    CODE_LENGTH,
    PERSONAL_LIMITS,
    Channel,
    Limited,
    NotReleased,
    NumberTaken,
    OtherNumberProven,
    TooEarly,
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

BUSY = gettext_noop(
    "Many people are verifying their numbers right now. Please try again in a moment."
)
ON_ITS_WAY = gettext_noop("A code is already on its way to you. Only the newest one counts.")
SENDING = gettext_noop("We are sending your code. Please wait a moment.")
UNCLEAR_START = gettext_noop(
    "The service that sends our codes gave no clear answer, so your code may or may not be on its "
    "way. Please try again in a moment."
)
STILL_UNCLEAR = gettext_noop("We still do not know whether your code was sent.")
UNREACHABLE = gettext_noop(
    "We could not reach the service that sends our codes, so no code was sent. "
    "Please try again in a moment."
)
OWNERS_TROUBLE = gettext_noop(
    "We cannot send codes right now. The owner of this site has to fix it. No code was sent."
)
REFUSED_START = gettext_noop(
    "The service that sends our codes has trouble, and no code was sent. "
    "Please try again in a few minutes."
)
REFUSED_NUMBER = gettext_noop(
    "No code can be sent to this number. Please check it, or use another one."
)
BUSY_NUMBER = gettext_noop(
    "Another code to this number is still under way. Please wait a few minutes, then try again."
)
OLD_CODE_GOOD = gettext_noop("The code you have still works.")
OLD_CODE_UNCLEAR = gettext_noop(
    "Your new code can be sent in %(wait)s. Until then, the earlier one may still work."
)
NOT_RELEASED = gettext_noop(
    "Your new code can be sent in %(wait)s. The earlier one no longer works."
)
NOT_SENT_YET = gettext_noop(
    "We have not heard yet whether your code was sent. "
    "Please try again in a moment, or have it sent again."
)
NO_CODE_NOW = gettext_noop("Your earlier code no longer works. Have a new one sent.")
UNCLEAR_CALL = gettext_noop(
    "The service that calls you gave no clear answer. "
    "If no call comes within a minute, please try again."
)
UNREACHABLE_CALL = gettext_noop(
    "We could not reach the service that calls you, so there is no call. "
    "Please try again in a moment."
)
REFUSED_CALL = gettext_noop(
    "The service that calls you has trouble, and there is no call. "
    "Please try again in a few minutes."
)
CALLED_ALREADY = gettext_noop(
    "We have called you already. Type the code from the call, or wait for a new one."
)
WRONG_CODE = gettext_noop(
    "That is not the code we sent last. Check your newest message and try again."
)
CHECKING = gettext_noop("We are checking that code. Please wait a moment.")
VOID = gettext_noop("Too many wrong attempts. This code no longer works. Ask for a new one.")
UNCHECKED = gettext_noop(
    "We could not check your code; the trouble is on our side. "
    "Please try the same code again in a moment."
)
OWNERS_TROUBLE_CHECKING = gettext_noop(
    "We cannot check codes right now. The owner of this site has to fix it. "
    "This try does not count."
)
TAKEN = gettext_noop("This number votes with another account already.")
OTHER_PROVEN = gettext_noop("Your account has another verified number. Ask for a code to that one.")

# Vonage takes no new start for a number for about a dozen seconds after a cancellation.
RELEASE_SECONDS = 10
# The row of a cancelled code is kept this long, so that a conflict with it is known as our own.
CANCELLED_KEPT = timedelta(minutes=1)


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

    def uncount_send(self, was_asked=True, keep=frozenset()):
        self.two_factor.uncount_send(client_address(self.request), was_asked, keep)

    def uncount_failed(self, error, verification):
        """Take back a send that failed, as far as it is known that nothing was sent."""
        if error.is_refusal:
            self.uncount_send(was_asked=error.was_asked)
        else:
            self.two_factor.uncount_unclear(str(verification.number))

    def recover(self, verification, error) -> bool:
        """Go on with our own earlier start, where that is what stands in the way of another.

        Vonage refuses a second start with the id of the first. It is ours where we had asked
        before and got no answer; never where another user's verification has that id, or where
        it is the id that we have cancelled.
        """
        is_foreign = Verification.objects.filter(request_id=error.request_id).exclude(
            user=self.request.user
        )
        is_known = error.request_id not in {None, verification.cancelled_id}
        if error.status != 409 or not is_known or is_foreign.exists():
            return False
        keep = set()
        if verification.request_id != error.request_id:
            verification.accept(error.request_id)
            self.note_sent(Event.Kind.STARTED, verification)
            # The start that was lost did send a code.
            keep = PERSONAL_LIMITS
        self.bind(verification)
        self.uncount_send(keep=keep)
        messages.info(self.request, _(ON_ITS_WAY))
        return True

    def release_error(self, verification, words=NOT_RELEASED) -> NotReleased:
        """Have the person wait until Vonage takes a start again after our own cancellation."""
        self.two_factor.hold_off(RELEASE_SECONDS)
        wait = timedelta(seconds=self.two_factor.seconds_to_next_send)
        return NotReleased(_(words), wait)

    def explain(self, limited, verification):
        """Say why to wait before the next code, where that is not the code sent before."""
        wait = timedelta(seconds=limited.retry_after)
        if isinstance(limited, TooEarly) and verification.state == Verification.State.CANCELLED:
            return NotReleased(_(NOT_RELEASED), wait)
        if isinstance(limited, TooEarly) and verification.state == Verification.State.UNCLEAR:
            return TooEarly(_(STILL_UNCLEAR), wait)
        return limited

    def is_own_cancellation(self, verification, error) -> bool:
        """Whether a conflict is with the request that we have just cancelled."""
        is_known = error.request_id in {None, verification.cancelled_id}
        return error.status == 409 and verification.cancelled_id is not None and is_known

    def send(self, number, form, is_change=False):
        verification, is_new = Verification.objects.claim(self.request.user, number, is_change)
        if not is_new and not verification.retake():
            self.bind(verification)
            messages.info(self.request, _(ON_ITS_WAY if verification.request_id else SENDING))
            return self.to_code_page()
        try:
            self.count_send(number)
        except Limited as limited:
            self.put_back(verification, is_new)
            return self.render_problem(self.explain(limited, verification), form)
        self.cancel_abandoned()
        try:
            self.start(verification)
        except ProviderError as error:
            self.record(Event.Kind.TROUBLE, verification)
            return self.start_failed(error, verification, is_new, form)
        self.note_sent(Event.Kind.STARTED, verification)
        return self.to_code_page()

    def put_back(self, verification, is_new):
        """Undo a claim: no start was made."""
        if is_new:
            verification.delete()
        else:
            verification.set_state(verification.state or Verification.State.UNCLEAR)

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
        self.uncount_failed(error, verification)
        if self.is_own_cancellation(verification, error):
            self.put_back(verification, is_new)
            return self.render_problem(self.release_error(verification), form)
        if not error.is_refusal:
            # The row stays: if a code went out after all, the next click finds its way to it.
            verification.set_state(Verification.State.UNCLEAR)
        elif is_new or error.status in {409, 422}:
            verification.delete()
        else:
            self.put_back(verification, is_new)
        return self.render_problem(why_not_sent(error), form)


def why_not_sent(error) -> str:
    """Return the sentence about a start that failed."""
    if isinstance(error, ProviderBusy):
        return BUSY
    if isinstance(error, ProviderUnreachable):
        return UNREACHABLE
    if not error.is_refusal:
        return UNCLEAR_START
    if error.is_for_owner:
        return OWNERS_TROUBLE
    return {409: BUSY_NUMBER, 422: REFUSED_NUMBER}.get(error.status, REFUSED_START)


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
        verification = self.verification
        if verification.request_id is None:
            is_cancelled = verification.state == Verification.State.CANCELLED
            return self.render_problem(NO_CODE_NOW if is_cancelled else NOT_SENT_YET, form)
        mark = self.mark_of(form)
        if mark and not verification.begin_try(mark):
            return self.tried_before(mark, form)
        try:
            self.two_factor.count_guess()
        except Limited as limited:
            verification.forget_try(mark)
            return self.render_problem(limited, form)
        try:
            with self.calling_vonage("check") as verify:
                request_id = str(verification.request_id)
                answer = verify.check_code(request_id, form.cleaned_data["code"])
            if answer.status != "completed":
                raise ProviderError
        except ProviderError as error:
            if error.status == 400:
                verification.note_wrong_try(mark)
            else:
                verification.forget_try(mark)
            return self.check_failed(error, form)
        return self.check_succeeded()

    def mark_of(self, form) -> str:
        """Return what tells this form with this code from all others; empty where it has no id."""
        form_id = self.request.POST.get("form_id", "")[:40]
        return self.verification.mark_of(form_id, form.cleaned_data["code"]) if form_id else ""

    def tried_before(self, mark, form):
        """Answer a form sent twice, by a reload or a double click: it is no second guess."""
        if self.verification.is_wrong_try(mark):
            form.add_error("code", _(WRONG_CODE))
            return self.form_invalid(form)
        messages.info(self.request, _(CHECKING))
        return self.to_code_page()

    def check_failed(self, error, form):
        if error.status in {400, 410}:
            self.note_wrong_code(error)
        if error.status == 400:
            form.add_error("code", _(WRONG_CODE))
            return self.form_invalid(form)
        if error.status in {404, 410}:
            self.end()
            return self.to_phone_page(VOID if error.status == 410 else EXPIRED)
        self.record(Event.Kind.TROUBLE, self.verification)
        if error.is_refusal:
            self.two_factor.uncount_guess()
        if error.is_for_owner:
            return self.render_problem(OWNERS_TROUBLE_CHECKING, form)
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
        with transaction.atomic():
            if not self.end():
                # The number was removed or changed while Vonage judged the code.
                return self.to_phone_page(EXPIRED)
            self.record(Event.Kind.VERIFIED, verification)
            problem = self.prove(verification)
        if problem:
            return self.to_phone_page(problem, is_taken=problem == TAKEN)
        self.set_verified()
        told = {"sender": TwoFactor, "user": self.request.user, "request": self.request}
        if verification.is_change:
            signals.phone_changed.send(**told)
        signals.phone_verified.send(**told, is_new=is_new)
        self.tell_success()
        return redirect(self.next_url)

    def prove(self, verification) -> str:
        """Make the number the user's; return why not where it cannot be."""
        try:
            self.two_factor.prove(verification.number, replaces=verification.is_change)
        except NumberTaken:
            return TAKEN
        except OtherNumberProven:
            return OTHER_PROVEN
        if verification.is_change:
            self.record(Event.Kind.CHANGED, verification)
        return ""

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
            is_cancelled = verification.state == Verification.State.CANCELLED
            return self.render_problem(NO_CODE_NOW if is_cancelled else NOT_SENT_YET)
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
        self.uncount_failed(error, self.verification)
        if error.status == 404:
            self.end()
            return self.to_phone_page(EXPIRED)
        return self.render_problem(why_not_called(error))


def why_not_called(error) -> str:
    if isinstance(error, ProviderBusy):
        return BUSY
    if isinstance(error, ProviderUnreachable):
        return UNREACHABLE_CALL
    if not error.is_refusal:
        return UNCLEAR_CALL
    if error.is_for_owner:
        return OWNERS_TROUBLE
    return CALLED_ALREADY if error.status == 409 else REFUSED_CALL


class ResendView(StartMixin, CodePageMixin, FormView):
    """Send a new code: cancel the request at Vonage, which cannot repeat a code, and start anew.

    Vonage may refuse the start for some seconds after it has cancelled (a conflict with our own
    request). Then the person stays on the code page and is told when to try again.
    """

    http_method_names = ["post", "options"]

    def post(self, request, *args, **kwargs):
        verification = self.verification
        try:
            self.count_send(verification.number)
        except Limited as limited:
            return self.render_problem(self.explain(limited, verification))
        try:
            self.cancel_old()
            verification.channel = Channel.first_for(verification.number)
            self.start(verification)
        except ProviderError as error:
            self.record(Event.Kind.TROUBLE, verification)
            return self.resend_failed(error)
        self.note_sent(Event.Kind.RESENT, verification)
        messages.success(request, _("A new code is on its way. Only the newest one counts."))
        return self.to_code_page()

    def cancel_old(self):
        """Cancel the code under way, if Vonage lets us. Raises ProviderError where it is no use.

        A call that was not made leaves the old code good, and the start would fail as well.
        """
        verification = self.verification
        if verification.request_id is None:
            return
        try:
            cancel(verification)
        except ProviderError as error:
            if not error.was_asked:
                raise
            if not error.is_refusal:
                verification.note_maybe_cancelled()
        else:
            verification.note_cancelled(Channel(verification.channel).life)

    def resend_failed(self, error):
        verification = self.verification
        is_own = self.is_own_cancellation(verification, error)
        if not is_own and self.recover(verification, error):
            return self.to_code_page()
        self.uncount_failed(error, verification)
        if is_own:
            words = NOT_RELEASED if verification.request_id is None else OLD_CODE_UNCLEAR
            return self.render_problem(self.release_error(verification, words))
        is_still_good = verification.request_id is not None and verification.cancelled_id is None
        if error.is_refusal and is_still_good:
            sentences = why_not_sent(error), OLD_CODE_GOOD
            return self.render_problem(format_lazy("{} {}", *map(_, sentences)))
        if not error.is_refusal and verification.request_id is None:
            verification.set_state(Verification.State.UNCLEAR)
        return self.render_problem(why_not_sent(error))


class CancelView(CodePageMixin, View):
    http_method_names = ["post", "options"]

    def post(self, request, *args, **kwargs):
        del request.session[VERIFICATION]
        self.record(Event.Kind.CANCELLED, self.verification)
        give_up(self.verification)
        return self.to_phone_page()


def cancel(verification):
    """Cancel a verification at Vonage, which allows it from 30 seconds on and before the call.

    Raises ProviderError.
    """
    with calling_vonage("cancel") as verify:
        verify.cancel_verification(str(verification.request_id))


def give_up(verification):
    """Cancel a verification for good, or remember to do so later, so that no stranger is called."""
    if verification.request_id:
        try:
            cancel(verification)
        except ProviderError:
            pass
        else:
            verification.note_cancelled(CANCELLED_KEPT)
            return
    verification.row().update(is_abandoned=True)
