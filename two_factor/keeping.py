"""Views around a proven phone: recovery codes, another number, and the limits in plain words."""

from django.conf import settings
from django.contrib import messages
from django.shortcuts import redirect
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext
from django.views.decorators.debug import sensitive_post_parameters
from django.views.generic import FormView, TemplateView

from . import client, signals
from .forms import ChangeForm, RecoveryForm
from .history import Event
from .mixins import TwoFactorMixin, redirect_to_two_factor, with_next
from .models import Limited, TwoFactor, reserved_sends
from .recovery import AlreadyRenewed, NotVerified, RecoveryCode
from .steps import (
    VERIFICATION,
    FormPageMixin,
    PasswordStepMixin,
    PhonePageMixin,
    StepMixin,
    in_words,
)
from .views import StartMixin

# Grave acts ask for a proof no older than this many seconds.
FRESH = 15 * 60

NO_CODES_YET = gettext_noop(
    "You can make recovery codes after you have verified a phone number. "
    "Type a number you have with you."
)
SHOWN_ONCE = gettext_noop(
    "Your new codes were shown once, and they work. If you did not keep them, make new ones."
)
NO_CODES_PAUSED = gettext_noop("You have no recovery codes yet.")
NO_SUCH_CODE = gettext_noop("That is none of your recovery codes, or it was used before.")


@method_decorator(sensitive_post_parameters(), name="dispatch")
class RecoverView(FormPageMixin, FormView):
    """Take a recovery code in place of the phone."""

    http_method_names = ["get", "post", "head", "options"]
    form_page = "two_factor:recover"
    template_name = "two_factor/recover.html"
    form_class = RecoveryForm

    def refuse(self):
        return super().refuse() or self.refuse_without_number()

    def refuse_without_number(self):
        user = self.request.user
        if TwoFactor.objects.filter(user=user, number__isnull=False).exists():
            return None
        # The command recovery_codes makes codes for staff without a number.
        if user.is_staff and RecoveryCode.objects.unused().filter(user=user).exists():
            return None
        return self.to_phone_page(NO_CODES_PAUSED if client.is_paused() else NO_CODES_YET)

    def form_valid(self, form):
        # Tried before it is counted: a right code works even while wrong ones lock.
        if RecoveryCode.objects.use(self.request.user, form.cleaned_data["code"]):
            return self.recovered()
        try:
            self.two_factor.count_guess()
        except Limited as limited:
            return self.render_problem(limited, form)
        self.note_wrong_guess()
        form.add_error("code", _(NO_SUCH_CODE))
        return self.form_invalid(form)

    def recovered(self):
        user = self.request.user
        self.two_factor.forgive()
        self.request.session.pop(VERIFICATION, None)
        if self.two_factor.number is None:
            self.let_in()
        else:
            self.set_verified()
        self.record(Event.Kind.RECOVERED)
        left = RecoveryCode.objects.unused().filter(user=user).count()
        signals.recovery_code_used.send(TwoFactor, user=user, request=self.request, left=left)
        words = ngettext(
            "Verified with a recovery code. You have %(left)d left.",
            "Verified with a recovery code. You have %(left)d left.",
            left,
        )
        messages.success(self.request, words % {"left": left})
        return redirect(self.next_url)


class RecoveryCodesView(TwoFactorMixin, StepMixin, TemplateView):
    """Make new recovery codes, and show them this once."""

    max_age = FRESH
    template_name = "two_factor/recovery_codes.html"

    def get_context_data(self, **kwargs):
        return super().get_context_data(
            **RecoveryCode.objects.state_of(self.request.user), **kwargs
        )

    def get_return_url(self):
        return with_next("two_factor:recovery_codes", self.next_url)

    def post(self, request, *args, **kwargs):
        try:
            codes = RecoveryCode.objects.renew(
                request.user, self.two_factor.generation, request.POST.get("newest")
            )
        except AlreadyRenewed:
            # A reload of the page with the codes: it must not void what was just written down.
            messages.info(request, _(SHOWN_ONCE))
            return redirect(self.get_return_url())
        except NotVerified:
            return redirect_to_two_factor(request, self.get_return_url())
        self.record(Event.Kind.RECOVERY_CODES)
        return self.render_to_response(self.get_context_data(codes=codes))


@method_decorator(sensitive_post_parameters(), name="dispatch")
class ChangeView(TwoFactorMixin, PasswordStepMixin, StartMixin, PhonePageMixin, FormView):
    """Replace the proven number: after a fresh proof of the old one, and with the password."""

    max_age = FRESH
    http_method_names = ["get", "post", "head", "options"]
    form_page = "two_factor:change"
    template_name = "two_factor/change.html"
    form_class = ChangeForm

    def get_return_url(self):
        return with_next("two_factor:change", self.next_url)

    def get_form_kwargs(self):
        return super().get_form_kwargs() | {"user": self.request.user}

    def post(self, request, *args, **kwargs):
        # Counted before the password is looked at, as with codes.
        try:
            self.count_password()
        except Limited as limited:
            typed = {"number": request.POST.get("number", "")}
            return self.render_problem(limited, ChangeForm(request.user, initial=typed))
        return super().post(request, *args, **kwargs)

    def form_valid(self, form):
        self.two_factor.uncount_guess()
        if client.is_paused():
            return self.to_form_page(form=form)
        return self.send(form.cleaned_data["number"], form, is_change=True)


class LimitsView(TemplateView):
    """Say in plain words what is limited, and how long each wait is."""

    template_name = "two_factor/limits.html"

    def get_context_data(self, **kwargs):
        return super().get_context_data(
            settings=settings,
            reserved=reserved_sends(),
            # Translators: between the times to wait: 30 seconds, then 60 seconds, then 3 minutes
            waits=_(", then ").join(map(in_words, settings.VERIFY_RESEND_WAITS)),
            lock=in_words(settings.VERIFY_LOCK_SECONDS),
            verified=in_words(settings.VERIFIED_SECONDS),
            idle=in_words(settings.VERIFIED_IDLE_SECONDS),
            **kwargs,
        )
