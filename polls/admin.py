from datetime import UTC

from django import forms
from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.utils import unquote
from django.contrib.admin.widgets import AdminTextareaWidget, AdminTextInputWidget
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Count, OuterRef, Subquery
from django.db.models.functions import Coalesce
from django.forms.models import BaseInlineFormSet
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.timezone import get_current_timezone_name
from django.utils.translation import gettext, ngettext, pgettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from two_factor.admin import StrictModelAdmin

from .clocks import FIRST_YEAR, LAST_YEAR, time_zones, zone_named
from .fields import FEWEST_CHOICES, MOST_CHOICES, ChoicesField, TextField
from .forms import LONGEST_DESCRIPTION, LockedPollForm, changes_told
from .listing import NEAR, rarer_first
from .models import Ballot, Choice, Poll, Report
from .moderation import HideForm, hide, settle, show_again
from .search import MAX_WORDS, words_in
from .wording import look_of, one_line

User = get_user_model()


class ListedField(forms.NullBooleanField):
    """Whether a poll is listed; a form without the field leaves it as it was."""

    widget = forms.Select(
        choices=[("True", _("everyone, on the list")), ("False", _("only people with the link"))]
    )

    def has_changed(self, initial, data):
        return self.to_python(data) is not None and super().has_changed(initial, data)


class PollForm(forms.ModelForm):
    """A poll in the administration. After the first vote the rules of the site's form hold."""

    time_zone = forms.ChoiceField(
        label=_("Time zone"),
        choices=lambda: [(name, name.replace("_", " ")) for name in time_zones()],
        required=False,
        help_text=_("Whose clocks show these times."),
    )
    is_listed = ListedField(label=_("Who finds the poll"), required=False)
    question = TextField(
        label=_("Question"),
        max_length=Poll._meta.get_field("question").max_length,
        error_messages={"required": _("Write the question first.")},
        widget=AdminTextInputWidget,
    )
    description = TextField(
        label=_("Description (optional)"),
        required=False,
        has_lines=True,
        max_length=LONGEST_DESCRIPTION,
        widget=AdminTextareaWidget,
    )
    author_name = forms.CharField(
        label=_("Author"),
        max_length=150,
        required=False,
        help_text=_("The name of the account that may edit the poll. Empty: only staff may."),
    )

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        author = self.instance.author
        self.initial["author_name"] = author.get_username() if author else ""

    def clean_time_zone(self):
        return self.cleaned_data["time_zone"] or self.instance.time_zone

    def clean_is_listed(self):
        is_listed = self.cleaned_data["is_listed"]
        return self.instance.is_listed if is_listed is None else is_listed

    def clean_author_name(self):
        name = self.cleaned_data["author_name"]
        self.author = User.objects.filter(username=name, is_active=True).first()
        is_kept = name == self.initial["author_name"]
        if name and self.author is None and not is_kept:
            raise ValidationError(_("No active account has this name."))
        return name

    def clean_opens_at(self):
        return within_years(self.cleaned_data["opens_at"])

    def clean_closes_at(self):
        self.cleaned_data["closes_at"] = within_years(self.cleaned_data["closes_at"])
        if self.instance.pk and self.instance.is_locked:
            return LockedPollForm.clean_closes_at(self)
        return self.cleaned_data["closes_at"]


def within_years(at):
    if at and not FIRST_YEAR <= at.year <= LAST_YEAR:
        words = gettext("Choose a year from %(first)d to %(last)d.")
        raise ValidationError(words % {"first": FIRST_YEAR, "last": LAST_YEAR})
    return at


class ChoiceFormSet(BaseInlineFormSet):
    """The choices of a poll, by the rules of the site's form."""

    def clean(self):
        super().clean()
        if any(self.errors):
            return
        forms_kept = self.kept_forms()
        if len(forms_kept) < FEWEST_CHOICES:
            raise ValidationError(_("A poll needs at least two choices."))
        if len(forms_kept) < (self.instance.max_choices or 1):
            words = ngettext(
                "There is %(number)d choice; ask for no more.",
                "There are %(number)d choices; ask for no more.",
                len(forms_kept),
            )
            raise ValidationError(words % {"number": len(forms_kept)})
        if any(form.has_changed() for form in self.forms):
            self.clean_texts(forms_kept)

    def clean_texts(self, forms_kept):
        for form in forms_kept:
            if not look_of(form.cleaned_data["text"]):
                form.add_error("text", _("Write something that can be seen."))
                return
        try:
            ChoicesField().clean([form.cleaned_data["text"] for form in forms_kept])
        except ValidationError as error:
            for fault in error.error_list:
                row = (fault.params or {}).get("row")
                if row is None:
                    raise
                forms_kept[row].add_error("text", fault.message)

    def kept_forms(self):
        """Return the forms of the choices that are to stay or to come, in the poll's order."""
        kept = [
            form
            for form in self.forms
            if form.cleaned_data.get("text") and not form.cleaned_data.get("DELETE")
        ]

        def place(form):
            position = form.cleaned_data.get("position") or 0
            is_added = bool(self.initial_forms) and form in self.extra_forms
            return is_added and not position, position

        return sorted(kept, key=place)

    def save(self, commit=True):
        """Keep the row of each text that stays; another text is another row, never a new name.

        Someone may have the ballot open: what they pick there must not count for another text.
        """
        self.new_objects, self.changed_objects, self.deleted_objects = [], [], []
        # Also where a vote has locked the choices, which are read-only then.
        if not any(form.has_changed() for form in self.forms):
            return []
        poll, texts = self.instance, [one_line(f.cleaned_data["text"]) for f in self.kept_forms()]
        rows = {choice.text: choice for choice in poll.choices.all()}
        self.deleted_objects = [choice for text, choice in rows.items() if text not in texts]
        poll.choices.exclude(text__in=texts).delete()
        choices = [rows.get(text) or Choice(poll=poll, text=text) for text in texts]
        for position, choice in enumerate(choices, start=1):
            choice.position = position
        self.new_objects = [choice for choice in choices if choice.pk is None]
        Choice.objects.bulk_update([choice for choice in choices if choice.pk], ["position"])
        Choice.objects.bulk_create(self.new_objects)
        return choices


class ChoiceInline(admin.TabularInline):
    model = Choice
    formset = ChoiceFormSet
    fields = ["position", "text"]
    extra = 3
    max_num = MOST_CHOICES

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


def short(at) -> str | None:
    """Return a moment in UTC, short enough for a column."""
    return at and f"{at.astimezone(UTC):%Y-%m-%d %H:%M}"


@admin.register(Poll)
class PollAdmin(ModerationMixin, StrictModelAdmin):
    """Make polls with their choices. Once somebody has voted, the wording is locked."""

    form = PollForm
    inlines = [ChoiceInline]
    # What only the site itself or an action of its own writes.
    shown = ["author", "share_page", "created_at", "published_at", "trashed_at", "hidden_because"]
    # What nobody changes after the first vote, and after the close.
    locked = ["question", "description", "opens_at", "time_zone", "min_choices", "max_choices"]
    locked += ["may_change", "forgets_voters"]
    # What may change then, and is told in the public history.
    free = ["closes_at", "results_for", "is_listed"]
    list_display = ["question", "votes", "reports", "state", "author", "opens", "closes"]
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

    @admin.display(description=_("opens (UTC)"), ordering="opens_at")
    def opens(self, poll):
        return short(poll.opens_at)

    @admin.display(description=_("closes (UTC)"), ordering="closes_at")
    def closes(self, poll):
        return short(poll.closes_at)

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

    def get_fieldsets(self, request, obj=None):
        zone = get_current_timezone_name()
        record = ["created_at", "published_at", "trashed_at"] if obj else []
        times = [("opens_at", "closes_at"), "time_zone", *record]
        rules = [("min_choices", "max_choices"), "results_for", "may_change"]
        rules += ["is_listed", "forgets_voters"]
        author = "author_name" if self.may_change_author(request, obj) else "author"
        sections = [
            (None, {"fields": ["question", "description"]}),
            (gettext("Times (%(zone)s)") % {"zone": zone}, {"fields": times}),
            (gettext("Rules"), {"fields": rules}),
        ]
        if obj:
            found = [author, "share_page", "hidden_because"]
            sections.append((gettext("Author and page"), {"fields": found}))
        return sections

    def may_change_author(self, request, poll) -> bool:
        may_view_users = request.user.has_perm("auth.view_user")
        return poll is not None and may_view_users and self.has_change_permission(request, poll)

    def get_readonly_fields(self, request, obj=None):
        fields = list(self.shown)
        if not self.may_change_author(request, obj):
            fields.append("author_name")
        if obj is not None and obj.is_locked:
            fields += self.locked
            # What was frozen at the close stays closed.
            fields += ["closes_at"] if obj.is_closed else []
        return fields

    def changeform_view(self, request, object_id=None, form_url="", extra_context=None):
        # Times are read and shown by the clocks of the poll.
        with timezone.override(zone_named(self.zone_asked_for(request, object_id))):
            response = super().changeform_view(request, object_id, form_url, extra_context)
            return response.render() if hasattr(response, "render") else response

    def zone_asked_for(self, request, object_id) -> str:
        poll = super().get_object(request, unquote(object_id)) if object_id else None
        if poll is not None and poll.is_locked:
            return poll.time_zone
        return request.POST.get("time_zone") or (poll.time_zone if poll else "UTC")

    def get_object(self, request, object_id, from_field=None):
        poll = super().get_object(request, object_id, from_field)
        if poll and request.method == "POST":
            # Votes wait: none can be the first between the look for votes and the change.
            with transaction.atomic():
                poll = Poll.objects.select_for_update().filter(pk=poll.pk).first()
        return poll

    def save_model(self, request, poll, form, change):
        if not change:
            poll.author = request.user
        if change and "author_name" in form.changed_data:
            self.change_author(request, poll, form.author)
        super().save_model(request, poll, form, change)
        told = [name for name in form.changed_data if name in self.free]
        if change and told:
            poll.note_change(*changes_told(form, told))

    def change_author(self, request, poll, author):
        before, poll.author = poll.author, author
        words = f"Changed the author from {before or 'nobody'} to {author or 'nobody'}."
        self.log_change(request, poll, words)


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
class ReportAdmin(ModerationMixin, StrictModelAdmin):
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
