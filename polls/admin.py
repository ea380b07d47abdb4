from datetime import datetime

from django import forms
from django.contrib import admin
from django.db import transaction
from django.db.models import Count
from django.forms.models import BaseInlineFormSet, ValidationError
from django.utils import timezone
from django.utils.formats import date_format

from .models import Change, Choice, Poll


def told(form) -> str:
    """Say for everybody what an editor changed."""
    words = []
    for name in form.changed_data:
        field = form.fields[name]
        before, after = (
            in_words(field, form.initial[name]),
            in_words(field, form.cleaned_data[name]),
        )
        words.append(f"{field.label}: “{before}” became “{after}”")
    return "; ".join(words)


def in_words(field, value) -> str:
    if isinstance(value, datetime):
        return f"{date_format(value, 'j F Y, H:i')} UTC"
    return str(dict(getattr(field, "choices", [])).get(value, value or "none"))


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
            raise ValidationError("A poll needs at least two choices.")


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


@admin.register(Poll)
class PollAdmin(admin.ModelAdmin):
    """Make polls with their choices. Once somebody has voted, the wording is locked."""

    form = PollForm
    inlines = [ChoiceInline]
    fields = [
        "question",
        "description",
        ("opens_at", "closes_at"),
        ("min_choices", "max_choices"),
        "results_for",
        "may_change",
    ]
    list_display = ["question", "opens_at", "closes_at", "votes"]
    search_fields = ["question"]
    date_hierarchy = "opens_at"

    def get_queryset(self, request):
        return super().get_queryset(request).annotate(voters=Count("ballots"))

    @admin.display(description="votes")
    def votes(self, poll):
        return poll.voters

    def has_delete_permission(self, request, obj=None):
        # The database refuses as well, but only after a page that lists every ballot.
        is_locked = obj is not None and obj.is_locked
        return super().has_delete_permission(request, obj) and not is_locked

    def get_readonly_fields(self, request, obj=None):
        if obj is None or not obj.is_locked:
            return []
        locked = ["question", "opens_at", "min_choices", "max_choices", "may_change"]
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
        voters = poll.ballots.count()
        if voters and form.changed_data:
            Change.objects.create(poll=poll, what=told(form), voters=voters)
