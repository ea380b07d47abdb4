"""Making polls and keeping them: for their authors, and for staff. To others they are not there."""

import hashlib
import json

from django.conf import settings
from django.contrib import messages
from django.db import IntegrityError, transaction
from django.shortcuts import redirect, render
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.crypto import get_random_string
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.generic import FormView, TemplateView, View
from django.views.generic.base import TemplateResponseMixin
from django.views.generic.detail import SingleObjectMixin

from two_factor.mixins import TwoFactorMixin
from two_factor.models import DAY, HOUR, Limit, Limited
from two_factor.steps import when_again

from .ballots import MIN_SHARED
from .fields import filled
from .forms import (
    CLASH_ERROR,
    LockedPollForm,
    PollForm,
    ReopenForm,
)
from .models import TRASH_LIFE, Poll
from .typed_forms import ShownAgainMixin, TypedMixin, typed_in, typed_values

# Sends of the form of a poll by one account in an hour. An author who tries needs far fewer, and
# each that is refused costs us as much as one that is saved.
MAX_SENDS_PER_HOUR = 120
# Changes of polls that someone has voted in, by one account in an hour: each is a line for ever in
# a public history.
MAX_CHANGES_PER_HOUR = 30
# Buttons that show the form again without a look at what was typed, and how many rows they add.
MORE_ROWS = {"more": 5, "line": 0}
NOT_CONTENT = {"csrfmiddlewaretoken", "publish", *MORE_ROWS}

NEEDS = gettext_lazy(
    "To make a poll, sign in or register, then verify your phone number with a code. You come "
    "back to the form afterwards."
)
NEEDS_RIGHT = gettext_lazy(
    "On this site only people chosen by the site team make polls. If you are one of them, sign in."
)
NO_RIGHT = gettext_lazy(
    "On this site only people chosen by the site team make polls. If you should be one of them, "
    "ask the site team."
)
CONFLICT = gettext_lazy(
    "This poll was changed after you opened this page, in another tab or by someone else. Nothing "
    "was saved now. What you typed is below. Save again to put it in place of this:"
)
NO_END = gettext_lazy("It has no end: it stays open until you close it.")


def can_make_polls(user) -> bool:
    """Whether ``user`` may make polls at all: where POLLS_PER_DAY is 0, by permission only."""
    return settings.POLLS_PER_DAY > 0 or user.has_perm("polls.add_poll")


def count_poll(user):
    """Count one more poll made today, drafts and copies too, or raise Limited.

    Where POLLS_PER_DAY is 0, those with the permission to add polls make as many as they like;
    superusers do everywhere.
    """
    if user.is_superuser or settings.POLLS_PER_DAY == 0:
        return
    limit = Limit.objects.add("polls", user.pk, DAY)
    if limit.count > settings.POLLS_PER_DAY:
        most = settings.POLLS_PER_DAY
        reason = ngettext(
            "One account makes at most %(most)d poll a day.",
            "One account makes at most %(most)d polls a day.",
            most,
        )
        raise Limited(reason % {"most": most}, limit.ends_at - timezone.now())


def count_in_hour(name: str, value, most: int, reason: str):
    """Count once more for ``value`` in this hour, or raise Limited with ``reason``."""
    limit = Limit.objects.add(name, value, HOUR)
    if limit.count > most:
        raise Limited(reason, limit.ends_at - timezone.now())


def count_change(poll, user):
    """Count one more change for a public history, or raise Limited."""
    if poll.ballots.exists():
        reason = _("You changed polls that people voted in very often.")
        count_in_hour("poll changes", user.pk, MAX_CHANGES_PER_HOUR, reason)


class MakingMixin:
    """A page that some may use only, and not as often as they like."""

    def refuse(self):
        """Say before the phone is asked for that polls are made by permission."""
        user = self.request.user
        if user.is_authenticated and not can_make_polls(user):
            context = {"title": _("You cannot make polls here"), "problem": NO_RIGHT}
            return render(self.request, "polls/limited.html", context, status=403)
        return super().refuse()


class LimitedMixin:
    """Answer 429 where something was done too often, and say when again."""

    limited_template_name = None

    def render_limited(self, limited, **context):
        if self.limited_template_name:
            self.template_name = self.limited_template_name
        problem = when_again(limited.reason, limited.retry_after)
        response = self.render_to_response(
            self.get_context_data(problem=problem, **context), status=429
        )
        response["Retry-After"] = limited.retry_after
        return response


class WritingMixin(LimitedMixin, TypedMixin, TwoFactorMixin):
    """The form of a poll: it may ask for more rows, and loses nothing that was typed."""

    form_class = PollForm
    is_new = False
    texts = ["question", "choices"]
    not_typed = NOT_CONTENT

    def get_return_url(self):
        return self.request.path

    def get_form(self, form_class=None):
        button = next((name for name in MORE_ROWS if name in self.request.POST), None)
        if button:
            return self.form_with(self.request.POST, MORE_ROWS[button])
        return super().get_form(form_class)

    def form_with(self, data, more=None):
        """Return the form with what was typed, which is not looked at yet, and ``more`` rows."""
        form = super().form_with(data)
        if more is not None:
            rows = form.initial.get("choices") or []
            form.first_new_row = len(filled(rows))
            blank = len(rows) - form.first_new_row
            form.spare_rows = blank + more or form.spare_rows
        return form

    def csrf_failed(self, problem: str):
        """Show the form again with a token that holds (see pollstr.errors.csrf_failure).

        Nothing about the poll is looked up: whoever sends it again still has to pass the gate.
        """
        data, poll = self.request.POST, Poll(published_at=None if self.is_new else timezone.now())
        form = PollForm(instance=poll, initial=typed_values(PollForm(instance=poll), data))
        for names in [LockedPollForm.LOCKED, LockedPollForm.FROZEN]:
            # What the page did not have, because the poll is locked or closed.
            if data.keys().isdisjoint(names):
                for name in names:
                    form.fields.pop(name, None)
        context = {"form": form, "view": self, "problem": problem, "is_edit": not self.is_new}
        return TemplateResponse(self.request, "polls/new.html", context, status=403)

    def answer(self):
        form = self.get_form()
        if not form.is_bound:
            return self.form_invalid(form)
        try:
            reason = _("You sent this form very often.")
            count_in_hour("poll forms", self.request.user.pk, MAX_SENDS_PER_HOUR, reason)
        except Limited as limited:
            return self.render_limited(limited, form=self.form_with(self.request.POST))
        return self.form_valid(form) if form.is_valid() else self.form_invalid(form)

    def saved(self, poll, sentence):
        self.forget_typed()
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
        words = _("Your poll is published and is open. Send its link to your voters.")
    else:
        words = _("Your poll is published and opens at %(when)s. Send its link to your voters.")
        words %= {"when": poll.moment(poll.opens_at)}
    return words if poll.closes_at else f"{words} {NO_END}"


class NewView(MakingMixin, WritingMixin, FormView):
    template_name = "polls/new.html"
    is_new = True
    http_method_names = ["get", "post", "head", "options"]

    def refuse(self):
        refusal = super().refuse()
        if refusal and not self.request.user.is_authenticated and self.request.method == "GET":
            words = NEEDS if can_make_polls(self.request.user) else NEEDS_RIGHT
            messages.info(self.request, words)
        return refusal

    def post(self, request, *args, **kwargs):
        return self.answer()

    def get_initial(self):
        return super().get_initial() | {"nonce": new_nonce()}

    def get_form_kwargs(self):
        draft = Poll(author=self.request.user, published_at=None)
        return super().get_form_kwargs() | {"instance": draft}

    def form_valid(self, form):
        form.instance.sent_hash = sent_hash(self.request.POST)
        if earlier := self.sent_before(form):
            return earlier
        try:
            count_poll(self.request.user)
        except Limited as limited:
            return self.render_limited(limited, form=form)
        try:
            with transaction.atomic():
                return self.saved_draft(form.save())
        except IntegrityError:
            # The same click was quicker on another thread.
            if earlier := self.sent_before(form):
                return earlier
            raise

    @transaction.atomic
    def sent_before(self, form):
        """Lead to the poll that the same form has made already, published if that is asked now."""
        if form.instance.sent_hash is None:
            return None
        own = Poll.objects.filter(author=self.request.user).select_for_update()
        poll = own.filter(sent_hash=form.instance.sent_hash).first()
        if poll is None:
            return None
        if poll.trashed_at or (poll.is_draft and not is_as_typed(poll, form)):
            # Made again on purpose. What is published must be what was typed.
            form.instance.sent_hash = None
            return None
        if poll.is_draft:
            return self.saved_draft(poll)
        return self.saved(poll, published(poll))


def is_as_typed(poll, form) -> bool:
    """Whether a draft still says what was sent to make it."""
    wording = ["question", "description", "closes_at"]
    texts = [choice.text for choice in poll.choices.all()]
    is_same = all(getattr(poll, name) == form.cleaned_data[name] for name in wording)
    return is_same and texts == form.cleaned_data["choices"]


def new_nonce() -> str:
    return get_random_string(22)


def sent_hash(data, path="") -> str | None:
    """Return what tells a form that is sent twice: its nonce with all that was typed, hashed.

    None where there is no nonce. Which button was pressed makes no difference. ``path`` tells the
    forms of one page apart, which share a nonce.
    """
    if not data.get("nonce"):
        return None
    text = path + json.dumps(sorted(typed_in(data, NOT_CONTENT).items()))
    return hashlib.sha256(text.encode()).hexdigest()


class OwnPollMixin(TwoFactorMixin, SingleObjectMixin):
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


class EditView(WritingMixin, OwnPollMixin, FormView):
    template_name = "polls/edit.html"

    def get_form_class(self):
        return LockedPollForm if self.object.is_locked else PollForm

    def get_form_kwargs(self):
        return super().get_form_kwargs() | {"instance": self.object}

    def get_context_data(self, **kwargs):
        return super().get_context_data(is_locked=self.object.is_locked, **kwargs)

    def form_valid(self, form):
        if form.is_stale:
            return self.show_conflict()
        ended = form.initial.get("closes_at")
        try:
            if form.has_changed():
                count_change(self.object, self.request.user)
        except Limited as limited:
            return self.render_limited(limited, form=self.form_with(self.request.POST))
        try:
            with transaction.atomic():
                poll = form.save()
        except IntegrityError:
            form.add_error(None, CLASH_ERROR)
            return self.form_invalid(form)
        if poll.is_draft:
            return self.saved_draft(poll)
        has_lost_end = ended and poll.closes_at is None
        return self.saved(poll, f"{_('Saved.')} {NO_END}" if has_lost_end else _("Saved."))

    def form_invalid(self, form):
        if form.is_bound and form.is_stale:
            return self.show_conflict()
        # Its title and state as they are, not as they were typed.
        self.object = self.get_object()
        return super().form_invalid(form)

    def show_conflict(self):
        """Save nothing; show what was typed beside what someone else saved meanwhile."""
        self.object = self.get_object()
        form = self.form_with(self.request.POST)
        form.initial["version"] = form.current_version
        saved = self.get_form_class()(instance=self.object)
        context = self.get_context_data(
            form=form, conflict=CONFLICT, differing=form.differing(saved)
        )
        return self.render_to_response(context, status=409)


class PublishView(OwnPollMixin, View):
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


class ChangingMixin(LimitedMixin, OwnPollMixin):
    """An act that the public history tells, so often an hour at most."""

    limited_template_name = "polls/limited.html"

    def post(self, request, *args, **kwargs):
        try:
            return super().post(request, *args, **kwargs)
        except Limited as limited:
            return self.render_limited(limited)


class CloseView(ChangingMixin, TemplateView):
    template_name = "polls/close.html"

    def why_not(self):
        is_open = self.object.is_open
        return "" if is_open else _("Only an open poll can be closed; this one is not.")

    def answer(self):
        count_change(self.object, self.request.user)
        self.object.close()
        messages.success(self.request, _("The poll is closed. This is its result."))
        return redirect(self.object.url("results"))


class ReopenView(ShownAgainMixin, ChangingMixin, FormView):
    template_name = limited_template_name = "polls/reopen.html"
    texts = ["reason"]
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
        if self.stale_problem:
            return self.show_again()
        form = self.get_form()
        return self.form_valid(form) if form.is_valid() else self.form_invalid(form)

    def form_valid(self, form):
        count_change(self.object, self.request.user)
        self.object.reopen(form.cleaned_data["closes_at"], form.cleaned_data["reason"])
        self.forget_typed()
        if self.object.closes_at is None:
            return to_share_page(
                self.request, self.object, f"{_('The poll is open again.')} {NO_END}"
            )
        until = self.object.moment(self.object.closes_at)
        sentence = _("The poll is open again, until %(until)s.") % {"until": until}
        return to_share_page(self.request, self.object, sentence)


class CopyView(MakingMixin, LimitedMixin, OwnPollMixin, TemplateResponseMixin, View):
    http_method_names = ["post", "options"]
    template_name = "polls/limited.html"

    def answer(self):
        hashed = sent_hash(self.request.POST, self.request.path)
        # The row of the original is locked: a second click waits for the copy of the first.
        copy = self.sent_before(hashed)
        if copy is None or copy.trashed_at:
            try:
                count_poll(self.request.user)
            except Limited as limited:
                return self.render_limited(limited)
            copy = self.object.copy_for(self.request.user, None if copy else hashed)
        messages.success(self.request, _("This is a copy, a draft without dates and votes."))
        return redirect("polls:edit", copy.pk)

    def sent_before(self, hashed) -> Poll | None:
        """Return the copy that the same button of the same page has made already."""
        return hashed and Poll.objects.filter(author=self.request.user, sent_hash=hashed).first()


class TrashView(ChangingMixin, TemplateView):
    template_name = "polls/trash.html"

    def get_context_data(self, **kwargs):
        return super().get_context_data(
            votes=self.object.ballots.count(), days=TRASH_LIFE.days, **kwargs
        )

    def answer(self):
        count_change(self.object, self.request.user)
        self.object.trash()
        words = _("The poll is in the trash. You can restore it for %(days)d days.")
        return self.to_mine(words % {"days": TRASH_LIFE.days})


class RestoreView(ChangingMixin, TemplateResponseMixin, View):
    http_method_names = ["post", "options"]

    def get_queryset(self):
        return Poll.objects.kept_by(self.request.user).trash().select_for_update()

    def answer(self):
        poll = self.object
        count_change(poll, self.request.user)
        has_ended = poll.is_closed and not poll.is_draft and poll.closes_at > poll.trashed_at
        has_opened = not (poll.is_draft or has_ended) and poll.trashed_at < poll.opens_at
        poll.restore()
        if has_ended:
            words = _("The poll is back. It closed at %(when)s, while it was in the trash.")
            return self.to_mine(words % {"when": poll.moment(poll.closes_at)})
        if has_opened and not poll.is_upcoming:
            words = _("The poll is back. It opened at %(when)s, while it was in the trash.")
            return self.to_mine(words % {"when": poll.moment(poll.opens_at)})
        return self.to_mine(_("The poll is back as it was."))
