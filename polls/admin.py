from django import forms
from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db import transaction
from django.db.models import Count, OuterRef, Subquery
from django.db.models.functions import Coalesce
from django.forms.models import BaseInlineFormSet, ValidationError
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext, pgettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from .forms import changes_told
from .listing import NEAR, rarer_first
from .models import Ballot, Choice, Poll, Report
from .moderation import HideForm, hide, settle, show_again
from .search import MAX_WORDS, words_in


class PollForm(forms.ModelForm):
    def clean_closes_at(self):
        """After the first vote an end in the past means now: every vote cast until now counts."""
        closes_at = self.cleaned_data["closes_at"]
        if closes_at and self.instance.pk and self.instance.is_locked:
            return max(closes_at, timezone.now())
        return closes_at


class ChoiceFormSet(BaseInlineFormSet):
    def clean(self):
        super().clean()
        kept = [
            form
            for form in self.forms
            if form.cleaned_data.get("text") and not form.cleaned_data.get("DELETE")
        ]
        if not any(self.errors) and len(kept) < 2:
            raise ValidationError(_("A poll needs at least two choices."))


class ChoiceInline(admin.TabularInline):
    model = Choice
    formset = ChoiceFormSet
    fields = ["position", "text"]
    extra = 3

    def locked(self, request, poll):
        return poll is not None and poll.is_locked

    def has_add_permission(self, request, obj):
        return super().has_add_permission(request, obj) and not self.locked(request, obj)

    def has_change_permission(self, request, obj=None):
        return super().has_change_permission(request, obj) and not self.locked(request, obj)

    def has_delete_permission(self, request, obj=None):
        return super().has_delete_permission(request, obj) and not self.locked(request, obj)


def number_of(rows, poll="pk"):
    """Count rows of each poll, when it is shown: not of all polls to show one page of them."""
    of_poll = rows.filter(poll=OuterRef(poll)).order_by().values("poll")
    return Coalesce(Subquery(of_poll.annotate(number=Count("pk")).values("number")), 0)


class StateFilter(admin.SimpleListFilter):
    title = _("state")
    parameter_name = "state"

    def lookups(self, request, model_admin):
        return [
            ("open", pgettext_lazy("polls", "Open")),
            ("upcoming", pgettext_lazy("polls", "Coming up")),
            ("closed", pgettext_lazy("polls", "Closed")),
            ("draft", pgettext_lazy("polls", "Draft")),
            ("hidden", pgettext_lazy("polls", "Hidden")),
            ("trashed", pgettext_lazy("polls", "In the trash")),
            ("reported", pgettext_lazy("polls", "Reported")),
        ]

    def queryset(self, request, polls):
        state = self.value()
        if state in {"open", "upcoming", "closed"}:
            return getattr(polls.published(), state)()
        reported = Report.objects.filter(settled_at=None).values("poll")
        return {
            "draft": polls.filter(published_at=None, trashed_at=None),
            "hidden": polls.exclude(hidden_because=""),
            "trashed": polls.filter(trashed_at__isnull=False),
            "reported": polls.filter(pk__in=reported),
        }.get(state, polls)


class ModerationMixin:
    """Hide polls and show them again, from the list of polls and from that of reports."""

    def polls_of(self, rows):
        return rows

    def has_hide_permission(self, request):
        return request.user.has_perm("polls.change_poll")

    @admin.action(description=_("Hide the poll, with a reason"), permissions=["hide"])
    def hide(self, request, queryset):
        polls = self.polls_of(queryset).select_related("author")
        form = HideForm(request.POST if "because" in request.POST else None)
        if not form.is_valid():
            return self.ask_for_reason(request, polls, form)
        because = form.cleaned_data["because"]
        for poll in polls:
            if hide(poll, because):
                self.log_change(request, poll, f"Hid the poll. The reason: {because}")
        self.message_user(request, _("Hidden. Authors who gave an address are told by mail."))
        return None

    def ask_for_reason(self, request, polls, form):
        context = self.admin_site.each_context(request) | {
            "title": _("Hide polls"),
            "polls": polls,
            "form": form,
            "chosen": request.POST.getlist(ACTION_CHECKBOX_NAME),
            "chosen_name": ACTION_CHECKBOX_NAME,
            "select_across": request.POST.get("select_across", "0"),
        }
        return TemplateResponse(request, "admin/polls/hide.html", context)


@admin.register(Poll)
class PollAdmin(ModerationMixin, admin.ModelAdmin):
    """Make polls with their choices. Once somebody has voted, the wording is locked."""

    form = PollForm
    inlines = [ChoiceInline]
    # What its author decides, on a page of their own, or what has a page or an action of its own.
    shown = ["author", "share_page", "is_listed", "forgets_voters", "time_zone"]
    shown += ["created_at", "published_at", "trashed_at", "hidden_because"]
    fields = [
        "question",
        "description",
        ("opens_at", "closes_at"),
        ("min_choices", "max_choices"),
        "results_for",
        "may_change",
        *shown,
    ]
    list_display = ["question", "author", "state", "opens_at", "closes_at", "votes", "reports"]
    list_filter = [StateFilter, "is_listed"]
    list_select_related = ["author"]
    # Says that there is a search; get_search_results does it.
    search_fields = ["question", "choices__text", "author__username"]
    search_help_text = _(
        "Words of the question, the description, the answers, or the author’s name"
    )
    list_per_page = 50
    show_full_result_count = False
    actions = ["hide", "show_again"]

    def get_queryset(self, request):
        waiting = Report.objects.filter(settled_at=None)
        return (
            super()
            .get_queryset(request)
            .annotate(voters=number_of(Ballot.objects), waiting=number_of(waiting))
        )

    def get_search_results(self, request, queryset, search_term):
        words = words_in(search_term)[:MAX_WORDS]
        if search_term and not words:
            return queryset.none(), False
        if not words:
            return queryset, False
        near = Poll.objects.newest_first().telling(words, NEAR)
        return queryset.search(*rarer_first(near, words), authors_too=True), False

    @admin.display(description=_("votes"))
    def votes(self, poll):
        return poll.voters

    @admin.display(description=_("reports"))
    def reports(self, poll):
        return poll.waiting

    @admin.display(description=_("state"))
    def state(self, poll):
        if poll.trashed_at:
            return pgettext("a poll", "in the trash")
        if poll.is_draft:
            return pgettext("a poll", "draft")
        if poll.hidden_because:
            return pgettext("a poll", "hidden")
        if poll.is_upcoming:
            kind = pgettext("a poll", "coming up")
        else:
            kind = pgettext("a poll", "closed") if poll.is_closed else pgettext("a poll", "open")
        return kind if poll.is_listed else gettext("%(state)s, by link") % {"state": kind}

    @admin.display(description=_("share page"))
    def share_page(self, poll):
        return format_html('<a href="{}">{}</a>', reverse("share", args=[poll.slug]), poll.slug)

    @admin.action(description=_("Show the poll again"), permissions=["hide"])
    def show_again(self, request, queryset):
        for poll in queryset.select_related("author"):
            if show_again(poll):
                self.log_change(request, poll, "Showed the poll again.")
        self.message_user(request, _("Shown again. Authors who gave an address are told by mail."))

    def has_delete_permission(self, request, obj=None):
        # The database refuses as well, but only after a page that lists every ballot.
        is_locked = obj is not None and obj.is_locked
        return super().has_delete_permission(request, obj) and not is_locked

    def get_readonly_fields(self, request, obj=None):
        if obj is None or not obj.is_locked:
            return self.shown
        locked = [
            "question",
            "description",
            "opens_at",
            "min_choices",
            "max_choices",
            "may_change",
            *self.shown,
        ]
        # What was frozen at the close stays closed.
        return [*locked, "closes_at"] if obj.is_closed else locked

    def get_object(self, request, object_id, from_field=None):
        poll = super().get_object(request, object_id, from_field)
        if poll and request.method == "POST":
            # Votes wait: none can be the first between the look for votes and the change.
            with transaction.atomic():
                poll = Poll.objects.select_for_update().get(pk=poll.pk)
        return poll

    def save_model(self, request, poll, form, change):
        if not change:
            poll.author = request.user
        super().save_model(request, poll, form, change)
        if change and form.changed_data:
            poll.note_change(*changes_told(form, form.changed_data))


class SettledFilter(admin.SimpleListFilter):
    title = _("state")
    parameter_name = "settled"

    def lookups(self, request, model_admin):
        return [("yes", pgettext_lazy("reports", "Settled"))]

    def choices(self, changelist):
        waiting, *others = super().choices(changelist)
        return [waiting | {"display": pgettext("reports", "Waiting")}, *others]

    def queryset(self, request, reports):
        return reports.filter(settled_at__isnull=self.value() != "yes")


@admin.register(Report)
class ReportAdmin(ModerationMixin, admin.ModelAdmin):
    """The reports that wait, the poll with most of them first. Who reported is shown to nobody."""

    list_display = ["poll_page", "count", "reason", "words", "at"]
    list_display_links = ["reason"]
    list_filter = [SettledFilter]
    list_select_related = ["poll"]
    fields = ["poll_page", "reason", "words", "at", "settled_at"]
    readonly_fields = fields
    show_full_result_count = False
    actions = ["settle", "hide"]

    def get_queryset(self, request):
        waiting = Report.objects.filter(settled_at=None)
        return Report.objects.annotate(waiting=number_of(waiting, "poll"))

    def get_ordering(self, request):
        return ["-waiting", "poll", "at"]

    def polls_of(self, rows):
        return Poll.objects.filter(pk__in=rows.order_by().values("poll"))

    @admin.display(description=_("poll"))
    def poll_page(self, report):
        return format_html('<a href="{}">{}</a>', report.poll.get_absolute_url(), report.poll)

    @admin.display(description=_("waiting"))
    def count(self, report):
        return report.waiting

    def has_add_permission(self, request):
        return False

    def has_delete_permission(self, request, obj=None):
        # A report goes with its poll alone, whose page asks here as well.
        is_own_page = request.resolver_match.url_name.startswith("polls_report_")
        return not is_own_page and super().has_delete_permission(request, obj)

    @admin.action(description=_("Nothing wrong: settle the report"), permissions=["change"])
    def settle(self, request, queryset):
        chosen = list(queryset.select_related("poll"))
        # By their ids, for a poll's count cannot be updated.
        settle(Report.objects.filter(pk__in=[report.pk for report in chosen]))
        for report in chosen:
            self.log_change(request, report, "Found nothing wrong.")
        self.message_user(request, _("Settled."))
