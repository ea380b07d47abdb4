"""Making polls and keeping them: for their authors, and for staff. To others they are not there."""

from django.conf import settings
from django.contrib import messages
from django.db import transaction
from django.http import QueryDict
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.generic import FormView, TemplateView, View
from django.views.generic.base import TemplateResponseMixin
from django.views.generic.detail import SingleObjectMixin

from two_factor.mixins import TwoFactorMixin
from two_factor.models import DAY, Limit, Limited
from two_factor.steps import when_again

from .ballots import MIN_SHARED
from .fields import filled
from .forms import LockedPollForm, PollForm, ReopenForm
from .models import TRASH_LIFE, Poll

# The session's key for what was typed while the proof of the phone ran out, by address.
TYPED = "typed_polls"
LONGEST_TYPED = 50_000  # characters
MORE_ROWS = 5


def count_poll(user):
    """Count one more poll made today, drafts and copies too, or raise Limited."""
    limit = Limit.objects.add("polls", user.pk, DAY)
    if limit.count > settings.POLLS_PER_DAY:
        most = settings.POLLS_PER_DAY
        reason = ngettext(
            "One account makes at most %(most)d poll a day.",
            "One account makes at most %(most)d polls a day.",
            most,
        )
        raise Limited(reason % {"most": most}, limit.ends_at - timezone.now())


class MakingMixin:
    """A page that makes a poll, as often as may be."""

    def render_limited(self, limited, **context):
        problem = when_again(limited.reason, limited.retry_after)
        response = self.render_to_response(
            self.get_context_data(problem=problem, **context), status=429
        )
        response["Retry-After"] = limited.retry_after
        return response


class WritingMixin(TwoFactorMixin):
    """The form of a poll: it may ask for more rows, and loses nothing that was typed."""

    form_class = PollForm

    def refuse(self):
        refusal = super().refuse()
        if refusal and self.request.method == "POST" and self.request.user.is_authenticated:
            self.keep_typed()
        return refusal

    def keep_typed(self):
        typed = self.request.POST.copy()
        typed.pop("csrfmiddlewaretoken", None)
        if len(encoded := typed.urlencode()) <= LONGEST_TYPED:
            self.request.session[TYPED] = {self.request.path: encoded}

    def get_return_url(self):
        return self.request.path

    def get_form(self, form_class=None):
        if "more" in self.request.POST:
            return self.form_with(self.request.POST, MORE_ROWS)
        typed = self.request.session.get(TYPED, {}).get(self.request.path)
        if typed and self.request.method != "POST":
            return self.form_with(QueryDict(typed))
        return super().get_form(form_class)

    def form_with(self, data, more=0):
        """Return the form with what was typed, which is not looked at yet, and ``more`` rows."""
        kwargs = self.get_form_kwargs() | {"data": None, "files": None}
        fields = self.get_form_class()(**kwargs).fields.items()
        typed = {name: field.widget.value_from_datadict(data, {}, name) for name, field in fields}
        form = self.get_form_class()(**kwargs | {"initial": typed})
        if more:
            rows = typed.get("choices") or []
            form.first_new_row = len(filled(rows))
            form.spare_rows = len(rows) - form.first_new_row + more
        return form

    def answer(self):
        form = self.get_form()
        return self.form_valid(form) if form.is_valid() else self.form_invalid(form)

    def saved(self, poll, sentence):
        self.request.session.pop(TYPED, None)
        return to_share_page(self.request, poll, sentence)

    def saved_draft(self, poll):
        if "publish" in self.request.POST:
            poll.publish()
            return self.saved(poll, published(poll))
        edit = reverse("polls:edit", args=[poll.pk])
        words = _("Saved as a draft, which only you see. <a href='{url}'>Edit or publish it</a>.")
        return self.saved(poll, format_html(words, url=edit))


def to_share_page(request, poll, sentence):
    messages.success(request, sentence)
    return redirect("share", poll.slug)


def published(poll) -> str:
    if not poll.is_upcoming:
        return _("Your poll is published and is open. Send its link to your voters.")
    words = _("Your poll is published and opens at %(when)s. Send its link to your voters.")
    return words % {"when": poll.moment(poll.opens_at)}


class NewView(WritingMixin, MakingMixin, FormView):
    template_name = "polls/new.html"
    http_method_names = ["get", "post", "head", "options"]

    def post(self, request, *args, **kwargs):
        return self.answer()

    def get_form_kwargs(self):
        draft = Poll(author=self.request.user, published_at=None)
        return super().get_form_kwargs() | {"instance": draft}

    def form_valid(self, form):
        try:
            count_poll(self.request.user)
        except Limited as limited:
            return self.render_limited(limited, form=form)
        return self.saved_draft(form.save())


class KeptMixin(TwoFactorMixin, SingleObjectMixin):
    """One of the polls that the visitor keeps; those in the trash are not there.

    A POST acts on its row locked: no vote can be the first between the look and the change.
    """

    http_method_names = ["get", "post", "head", "options"]

    def get_queryset(self):
        polls = Poll.objects.kept_by(self.request.user).filter(trashed_at=None)
        return polls.select_for_update() if self.request.method == "POST" else polls

    def get_return_url(self):
        return self.request.path if "get" in self.http_method_names else reverse("polls:mine")

    def get_context_data(self, **kwargs):
        return super().get_context_data(poll=self.object, **kwargs)

    def get(self, request, *args, **kwargs):
        self.object = self.get_object()
        return self.stop() or self.render_to_response(self.get_context_data())

    @transaction.atomic
    def post(self, request, *args, **kwargs):
        self.object = self.get_object()
        return self.stop() or self.answer()

    def why_not(self) -> str:
        """Say why this cannot be done with the poll as it is now."""
        return ""

    def stop(self):
        sentence = self.why_not()
        return self.to_mine(sentence, level=messages.INFO) if sentence else None

    def to_mine(self, sentence, level=messages.SUCCESS):
        messages.add_message(self.request, level, sentence)
        return redirect(reverse("polls:mine", query={"show": self.object.kind}))


class EditView(WritingMixin, KeptMixin, FormView):
    template_name = "polls/edit.html"

    def get_form_class(self):
        return LockedPollForm if self.object.is_locked else PollForm

    def get_form_kwargs(self):
        return super().get_form_kwargs() | {"instance": self.object}

    def get_context_data(self, **kwargs):
        return super().get_context_data(is_locked=self.object.is_locked, **kwargs)

    def form_valid(self, form):
        poll = form.save()
        return self.saved_draft(poll) if poll.is_draft else self.saved(poll, _("Saved."))

    def form_invalid(self, form):
        # Its title and state as they are, not as they were typed.
        self.object = self.get_object()
        return super().form_invalid(form)


class PublishView(KeptMixin, View):
    http_method_names = ["post", "options"]

    def why_not(self):
        return "" if self.object.is_draft else _("This poll is published already.")

    def answer(self):
        poll = self.object
        if poll.is_closed:
            words = _("The end of this draft is past. Choose a later one first.")
            messages.error(self.request, words)
            return redirect("polls:edit", poll.pk)
        poll.publish()
        return to_share_page(self.request, poll, published(poll))


class CloseView(KeptMixin, TemplateView):
    template_name = "polls/close.html"

    def why_not(self):
        is_open = self.object.is_open
        return "" if is_open else _("Only an open poll can be closed; this one is not.")

    def answer(self):
        self.object.close()
        messages.success(self.request, _("The poll is closed. This is its result."))
        return redirect(self.object.url("results"))


class ReopenView(KeptMixin, FormView):
    template_name = "polls/reopen.html"
    form_class = ReopenForm

    def why_not(self):
        poll = self.object
        if poll.voters_forgotten_at:
            return _(
                "Who voted in this poll is forgotten, so a second vote would not be noticed: it "
                "stays closed. You can make a copy."
            )
        is_reopenable = poll.is_reopenable
        return "" if is_reopenable else _("Only a closed poll can be reopened; this one is not.")

    def get_form_kwargs(self):
        return super().get_form_kwargs() | {"poll": self.object}

    def get_context_data(self, **kwargs):
        return super().get_context_data(min_shared=MIN_SHARED, **kwargs)

    def answer(self):
        form = self.get_form()
        return self.form_valid(form) if form.is_valid() else self.form_invalid(form)

    def form_valid(self, form):
        self.object.reopen(**form.cleaned_data)
        until = self.object.moment(self.object.closes_at)
        sentence = _("The poll is open again, until %(until)s.") % {"until": until}
        return to_share_page(self.request, self.object, sentence)


class CopyView(KeptMixin, MakingMixin, TemplateResponseMixin, View):
    http_method_names = ["post", "options"]
    template_name = "polls/limited.html"

    def answer(self):
        try:
            count_poll(self.request.user)
        except Limited as limited:
            return self.render_limited(limited)
        copy = self.object.copy_for(self.request.user)
        messages.success(self.request, _("This is a copy, a draft without dates and votes."))
        return redirect("polls:edit", copy.pk)


class TrashView(KeptMixin, TemplateView):
    template_name = "polls/trash.html"

    def get_context_data(self, **kwargs):
        return super().get_context_data(
            votes=self.object.ballots.count(), days=TRASH_LIFE.days, **kwargs
        )

    def answer(self):
        self.object.trash()
        words = _("The poll is in the trash. You can restore it for %(days)d days.")
        return self.to_mine(words % {"days": TRASH_LIFE.days})


class RestoreView(KeptMixin, View):
    http_method_names = ["post", "options"]

    def get_queryset(self):
        return Poll.objects.kept_by(self.request.user).trash().select_for_update()

    def answer(self):
        self.object.restore()
        return self.to_mine(_("The poll is back as it was."))
