"""Reports of polls that do not belong here, and what staff do about them."""

from datetime import timedelta

from django import forms
from django.conf import settings
from django.contrib import messages
from django.db import IntegrityError, transaction
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.generic import FormView

from two_factor.mail import send
from two_factor.models import DAY, Limit, Limited
from two_factor.steps import when_again

from .address_limit import AddressLimit
from .fields import HiddenField, TextField
from .models import Poll, Report
from .typed_forms import ShownAgainMixin
from .views import PollMixin, with_query

# Reports by one user in a day: more than a careful reader finds, and few enough to read. A report
# does nothing by itself, so that a crowd can bury a poll only under work.
MOST_REPORTS = 20

# Reports from one internet address in a day: those of everyone in a school or an office.
ADDRESS_REPORTS = AddressLimit("reports by address", most=100, seconds=DAY)

THANKS = _("Thank you for the report. Somebody who runs this site will look at the poll.")
REPORTED = _("You have reported this poll. Somebody who runs this site will look at it.")
NO_REASON_ERROR = _("Give a reason: without one the author cannot mend anything.")
OWN = _("This poll is your own, so there is nothing to report. You can change it, or take it away.")


class ReportForm(forms.ModelForm):
    words = TextField(
        label=_("In your words (optional)"),
        required=False,
        has_lines=True,
        max_length=Report._meta.get_field("words").max_length,
        help_text=_("Whoever made the poll is not told who reported it."),
        widget=forms.Textarea(attrs={"rows": 3}),
    )
    writer = HiddenField()

    class Meta:
        model = Report
        fields = ["reason", "words"]
        labels = {"reason": _("What is wrong with this poll?")}
        widgets = {"reason": forms.RadioSelect}
        error_messages = {"reason": {"required": _("Pick what is wrong with it.")}}

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["reason"].choices = Report.Reason.choices


class HideForm(forms.Form):
    # An empty reason is what a poll has that is not hidden.
    because = TextField(
        label=_("The reason, as the author will read it"),
        has_lines=True,
        max_length=Poll._meta.get_field("hidden_because").max_length,
        error_messages={"required": NO_REASON_ERROR},
        widget=forms.Textarea(attrs={"rows": 3, "cols": 60}),
    )


def count_report(request):
    """Count one more report today, by user and by internet address, or raise Limited."""
    limit = Limit.objects.add("reports", request.user.pk, DAY)
    if limit.count > MOST_REPORTS:
        words = ngettext(
            "One account makes at most %(most)d report a day.",
            "One account makes at most %(most)d reports a day.",
            MOST_REPORTS,
        )
        raise Limited(words % {"most": MOST_REPORTS}, limit.ends_at - timezone.now())
    if wait := ADDRESS_REPORTS.count(request):
        reason = gettext("Too many reports came from your internet address.")
        raise Limited(reason, timedelta(seconds=wait))


class ReportView(ShownAgainMixin, PollMixin, FormView):
    """Say that a poll does not belong here, once and with a reason."""

    http_method_names = ["get", "post", "head", "options"]
    template_name = "polls/report.html"
    form_class = ReportForm
    texts = ["words"]

    def get_queryset(self):
        # Without a keeper: what nobody else can open needs no report.
        return Poll.objects.reachable(self.link)

    def get_return_url(self):
        link = {"link": self.link} if self.link else {}
        return with_query(reverse("polls:report", kwargs=self.kwargs), link)

    def refuse(self):
        return super().refuse() or self.refuse_reporter()

    def refuse_reporter(self):
        self.object = self.get_object()
        if self.object.author_id == self.request.user.pk:
            return self.to_poll(OWN)
        if self.object.reports.filter(reporter=self.request.user).exists():
            return self.to_poll(REPORTED)
        return None

    def to_poll(self, sentence):
        messages.info(self.request, sentence)
        return redirect(self.object)

    def post(self, request, *args, **kwargs):
        if self.stale_problem:
            return self.show_again()
        return super().post(request, *args, **kwargs)

    def form_valid(self, form):
        report = form.instance
        report.poll, report.reporter = self.object, self.request.user
        try:
            count_report(self.request)
            with transaction.atomic():
                report.save()
        except Limited as limited:
            return self.render_limited(limited, form)
        except IntegrityError:
            # The second of two clicks.
            return self.to_poll(REPORTED)
        self.forget_typed()
        messages.success(self.request, THANKS)
        return redirect(self.object)

    def render_limited(self, limited, form):
        problem = when_again(limited.reason, limited.retry_after)
        context = self.get_context_data(form=form, problem=problem)
        response = self.render_to_response(context, status=429)
        response["Retry-After"] = limited.retry_after
        return response


@transaction.atomic
def set_hidden(poll: Poll, because: str) -> bool:
    """Write the reason, or take it away; return whether that made a difference.

    Votes, and whoever hides or shows the poll at the same moment, wait for the lock. The poll is
    saved as a model, so that what is kept of its pages and results goes.
    """
    row = Poll.objects.select_for_update().filter(pk=poll.pk).first()
    if row is None or bool(row.hidden_because) == bool(because):
        return False
    row.hidden_because = because
    row.save(update_fields=["hidden_because"])
    return True


def hide(poll: Poll, because: str) -> bool:
    """Take the poll out of sight, settle its reports, and tell its author why.

    Returns False where it is hidden already, and keeps the reason that its author was told.
    """
    with transaction.atomic():
        is_new = set_hidden(poll, because)
        settle(poll.reports)
    if is_new:
        tell_author(poll, "hidden", because=because)
    return is_new


def show_again(poll: Poll) -> bool:
    """Take back ``hide``; returns False where the poll is not hidden."""
    is_new = set_hidden(poll, "")
    if is_new:
        tell_author(poll, "shown_again")
    return is_new


def settle(reports) -> int:
    return reports.filter(settled_at=None).update(settled_at=timezone.now())


def tell_author(poll, name, **context):
    # Staff did it, and what they read says nothing of the author.
    if poll.author:
        with translation.override(settings.LANGUAGE_CODE):
            send(poll.author, f"polls/mail/{name}", poll=poll, **context)
