import json
from collections import defaultdict

from django import forms
from django.db import transaction
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac
from django.utils.functional import cached_property
from django.utils.translation import gettext, ngettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from .ballots import fingerprint
from .clocks import time_zones, zone_named
from .fields import (
    INCOMPLETE_NUMBER,
    MOST_CHOICES,
    ChoicesField,
    HiddenField,
    MomentField,
    TextField,
    WholeNumberField,
)
from .history import MENDED, as_fact, became, sentence, told_fact
from .models import Choice, Poll
from .wording import is_typo_fix, look_of, may_be_taken_for, trades_options, words_of

LONGEST_DESCRIPTION = 5000  # characters
# Wordings of one text before its present one. Each costs time wherever options are compared, and
# fixing a typo takes far fewer.
MAX_WORDINGS = 10
# Empty inputs on a new form, and after those that are filled.
ROWS, SPARE_ROWS = 4, 2

IS_PAST = _("That is past. Choose a later time.")
NO_TYPO = _(
    "Someone has voted on this wording, so you can only fix a typo: at most two characters, "
    "counted from the first wording. Numbers, labels of one letter, days, months, words such as "
    "“not” and the first letter of each word stay. For another wording make a copy."
)
TAKEN_ERROR = _(
    "Another choice of this poll has, or had, a wording like this: “%(other)s”. Votes for one "
    "would look like votes for the other. For another wording make a copy."
)
TRADED_ERROR = _(
    "This change puts the wording of one choice in place of another. Someone has voted, so that "
    "must stay. For another wording make a copy."
)
FIXED_OFTEN_ERROR = _("This wording was changed very often, so it stays as it is now.")
CLASH_ERROR = _("Someone changed this poll at the same moment. Nothing was saved. Save again.")
MEANWHILE = _(
    "While you had this page open somebody voted, or the poll closed, so less of it may change "
    "now. Nothing was saved. This is what may change:"
)


class BallotForm(forms.Form):
    """The answer to ``poll``: as many of its own choices as it asks for, none of them twice."""

    choice = forms.TypedMultipleChoiceField(
        coerce=int,
        error_messages={
            "required": _("Pick an answer first, then vote."),
            "invalid_choice": _("That answer is not one of this poll's. Pick one of these."),
        },
    )

    def __init__(self, poll, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.poll = poll
        self.fields["choice"].choices = [(choice.pk, choice.text) for choice in poll.choices.all()]

    @cached_property
    def seen(self) -> str:
        """The fingerprint of the poll as this form shows it."""
        return fingerprint(self.poll)

    @property
    def is_outdated(self) -> bool:
        """Whether the voter saw another wording or other rules than the poll has now."""
        return "seen" in self.data and not constant_time_compare(self.data["seen"], self.seen)

    def clean_choice(self):
        choices = self.cleaned_data["choice"]
        if len(set(choices)) < len(choices):
            raise forms.ValidationError(_("An answer was picked twice. Pick each once at most."))
        if not self.poll.min_choices <= len(choices) <= self.poll.max_choices:
            raise forms.ValidationError(self.not_so_many(len(choices)))
        return choices

    @property
    def how_many(self) -> str:
        """Say how many answers to pick in a poll that asks for several."""
        fewest, most = self.poll.min_choices, self.poll.max_choices
        if fewest == most:
            words = ngettext("Pick %(most)d answer.", "Pick %(most)d answers.", most)
        else:
            words = ngettext(
                "Pick %(fewest)d to %(most)d answer.", "Pick %(fewest)d to %(most)d answers.", most
            )
        return words % {"fewest": fewest, "most": most}

    def not_so_many(self, picked: int) -> str:
        fewest, most = self.poll.min_choices, self.poll.max_choices
        if most == 1:
            words = gettext("Pick one answer; you picked %(picked)d.")
        elif fewest == most:
            words = ngettext(
                "Pick %(most)d answer; you picked %(picked)d.",
                "Pick %(most)d answers; you picked %(picked)d.",
                most,
            )
        else:
            words = ngettext(
                "Pick %(fewest)d to %(most)d answer; you picked %(picked)d.",
                "Pick %(fewest)d to %(most)d answers; you picked %(picked)d.",
                most,
            )
        return words % {"fewest": fewest, "most": most, "picked": picked}

    @property
    def picked(self) -> set[int]:
        """This poll's choices to show as picked: those sent, or else those the form began with."""
        picked = {str(value) for value in self["choice"].value() or []}
        return {pk for pk, _ in self.fields["choice"].choices if str(pk) in picked}

    @property
    def first_to_mend(self) -> int | None:
        """The choice that has the cursor after an error: where the keys would leave a pick."""
        pks = [pk for pk, _ in self.fields["choice"].choices]
        return next((pk for pk in pks if pk in self.picked), pks[0] if pks else None)


class PollForm(forms.ModelForm):
    """A poll with its choices, as long as nobody has voted."""

    choices = ChoicesField()
    question = TextField(
        label=_("Question"),
        max_length=200,
        error_messages={"required": _("Write the question first.")},
    )
    description = TextField(
        label=_("Description (optional)"),
        required=False,
        has_lines=True,
        max_length=LONGEST_DESCRIPTION,
        widget=forms.Textarea(attrs={"rows": 3}),
    )
    opens_at = MomentField(
        label=pgettext_lazy("a poll", "Opens"),
        required=False,
        help_text=_("Leave empty to open it when you publish it."),
    )
    closes_at = MomentField(
        label=pgettext_lazy("a poll", "Closes"),
        required=False,
        help_text=_("Leave empty to close it yourself."),
    )
    time_zone = forms.ChoiceField(
        label=_("Time zone"),
        choices=lambda: [(name, name.replace("_", " ")) for name in time_zones()],
        required=False,
        help_text=_("Whose clocks show these times."),
        error_messages={"invalid_choice": _("Choose a time zone of the list.")},
    )
    min_choices, max_choices = (
        WholeNumberField(
            label=label,
            required=False,
            min_value=1,
            max_value=MOST_CHOICES,
            error_messages={
                "invalid": _("Write a number, such as 1."),
                "min_value": _("Ask for one answer at least."),
                "max_value": _("%(limit_value)s is the most."),
            },
        )
        for label in [_("Fewest answers"), _("Most answers")]
    )

    # What the form was made of, so that it does not undo what was saved meanwhile.
    version = HiddenField()
    # Made anew for each new form, so that a second click makes no second poll.
    nonce = HiddenField()
    # Who it was made for, where it is sent after they signed out.
    writer = HiddenField()

    field_order = ["question", "description", "choices"]
    most_choices = MOST_CHOICES
    spare_rows = SPARE_ROWS
    first_new_row = None

    class Meta:
        model = Poll
        fields = [
            "question",
            "description",
            "opens_at",
            "closes_at",
            "time_zone",
            "min_choices",
            "max_choices",
            "results_for",
            "may_change",
            "is_listed",
            "forgets_voters",
        ]
        widgets = {"results_for": forms.RadioSelect}
        help_texts = {
            "forgets_voters": _(
                "Three months after the close we delete the marks that show which phone numbers "
                "voted. The votes stay. The poll cannot be reopened after that."
            )
        }

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        poll = self.instance
        self.fields["results_for"].required = False
        choices = list(poll.choices.all()) if poll.pk else []
        self.current_version = version_of(poll, choices) if poll.pk else ""
        self.initial.setdefault("version", self.current_version)
        if poll.pk:
            self.initial.setdefault("choices", [choice.text for choice in choices])
        if self.initial["opens_at"] == poll.opens_at and not poll.is_upcoming:
            self.initial["opens_at"] = None
        zone = self.data.get("time_zone") or self.initial["time_zone"]
        for name in ["opens_at", "closes_at"]:
            self.fields[name].zone = zone_named(zone)
            if zone == poll.time_zone:
                self.fields[name].kept = self.initial[name]
        if poll.pk is None and not self.is_bound and "choices" not in self.initial:
            self.fields["time_zone"].widget.attrs["data-guess"] = True

    @property
    def is_stale(self) -> bool:
        """Whether the poll was changed after the page with this form was made."""
        sent = self.data.get("version")
        return bool(sent) and sent != self.current_version

    def clean(self):
        for name in ["min_choices", "max_choices"]:
            # The form fills them in, so an empty one is what the browser could not read: "2e".
            if name in self.data and name in self.cleaned_data and not self.cleaned_data[name]:
                self.add_error(name, INCOMPLETE_NUMBER)
        for name in ["time_zone", "min_choices", "max_choices", "results_for"]:
            if self.cleaned_data.get(name) in {"", None} and not self.has_error(name):
                self.cleaned_data[name] = getattr(self.instance, name)
        self.check_numbers(**self.cleaned_data)
        return self.cleaned_data

    def clean_opens_at(self):
        """No beginning, or one in the past, means now, unless the poll is open already."""
        now, opens_at = timezone.now(), self.cleaned_data["opens_at"]
        if opens_at is None and not self.instance.is_draft:
            return min(self.instance.opens_at, now)
        return max(opens_at or now, now)

    def clean_closes_at(self):
        opens_at, closes_at = self.cleaned_data.get("opens_at"), self.cleaned_data["closes_at"]
        is_kept = closes_at == self.instance.closes_at and not self.instance.is_draft
        if closes_at and closes_at <= timezone.now() and not is_kept:
            raise forms.ValidationError(IS_PAST)
        if closes_at and opens_at and closes_at <= opens_at:
            raise forms.ValidationError(
                _("The poll would close before it opens. Choose a later end.")
            )
        return closes_at

    def check_numbers(self, min_choices=None, max_choices=None, choices=None, **others):
        if min_choices and max_choices and max_choices < min_choices:
            words = gettext("The fewest are %(fewest)d; ask for no fewer here.")
            self.add_error("max_choices", words % {"fewest": min_choices})
        elif max_choices and choices and max_choices > len(choices):
            words = ngettext(
                "There is %(number)d choice; ask for no more.",
                "There are %(number)d choices; ask for no more.",
                len(choices),
            )
            self.add_error("max_choices", words % {"number": len(choices)})

    @transaction.atomic
    def save(self):
        poll = super().save()
        self.save_choices(poll)
        return poll

    def save_choices(self, poll):
        """Keep the row of each text that stays; another text is another row, never a new name.

        Somebody may have the ballot open: what they pick there must not count for another text.
        """
        texts = self.cleaned_data["choices"]
        poll.choices.exclude(text__in=texts).delete()
        kept = {choice.text: choice for choice in poll.choices.all()}
        choices = [kept.get(text) or Choice(poll=poll, text=text) for text in texts]
        for position, choice in enumerate(choices, start=1):
            choice.position = position
        Choice.objects.bulk_update(kept.values(), ["position"])
        Choice.objects.bulk_create(choice for choice in choices if choice.pk is None)

    @property
    def choice_rows(self) -> list[dict]:
        """The inputs to show: what was typed, each with its fault, and some to spare."""
        texts = self.fields["choices"].counted(self["choices"].value())
        faults = self.faults_of_choices()
        rows = [{"text": text, "fault": faults.get(row)} for row, text in enumerate(texts)]
        rows += [{"text": "", "fault": None} for _row in range(self.count_spare_rows(len(rows)))]
        for number, row in enumerate(rows):
            # What is wrong with all of them leads to the first.
            row["is_invalid"] = bool(row["fault"]) or (None in faults and number == 0)
        return rows

    def count_spare_rows(self, filled: int) -> int:
        return max(0, min(max(ROWS - filled, self.spare_rows), MOST_CHOICES - filled))

    def faults_of_choices(self) -> dict:
        """Return the sentences by their row; under None what is wrong with all of them."""
        faults = self.errors.as_data().get("choices", [])
        return {(fault.params or {}).get("row"): fault.message for fault in faults}

    @property
    def fault_of_all_choices(self) -> str | None:
        return self.faults_of_choices().get(None)

    def differing(self, saved: "PollForm") -> list[dict]:
        """Return label and value of what ``saved``, the poll as it is, has otherwise than this."""
        rows = []
        for name, field in saved.fields.items():
            value = saved.initial.get(name)
            if field.widget.is_hidden and name != "choices":
                continue
            if field.has_changed(value, self[name].value()):
                label = field.label or gettext("Choices")
                rows.append({"label": label, "value": saved.told(name, value)})
        return rows

    def told(self, name: str, value) -> str:
        if name == "choices":
            return " · ".join(value)
        return told_fact(self.instance, as_fact(name, value))

    def has_fault_in(self, *names) -> bool:
        return any(self.has_error(name) for name in names)

    @property
    def shows_dates(self) -> bool:
        """Whether there is something to see in the part with the dates, which is folded else."""
        names = ["opens_at", "closes_at"]
        is_set = any(self[name].value() for name in names)
        return is_set or self.has_fault_in(*names, "time_zone")


class LockedPollForm(PollForm):
    """What may change once somebody has voted, or the count is frozen.

    Everything that does change is written into the poll's public history.
    """

    LOCKED = [
        "opens_at",
        "time_zone",
        "min_choices",
        "max_choices",
        "may_change",
        "forgets_voters",
    ]
    # What was frozen at the close stays as it was.
    FROZEN = ["question", "description", "choices", "closes_at"]
    FREE = ["closes_at", "results_for", "is_listed"]

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["choices"].must_stay = True
        self.fields["closes_at"].help_text = as_clocks_show(self.instance.zone)
        self.locked = self.LOCKED + (self.FROZEN if self.instance.is_closed else [])
        # What was typed, its subject in the history, and the wording before.
        self.mended = []
        for name in self.locked:
            del self.fields[name]

    def clean(self):
        if not self.data.keys().isdisjoint(self.locked):
            raise forms.ValidationError(MEANWHILE)
        self.cleaned_data["results_for"] = (
            self.cleaned_data.get("results_for") or self.instance.results_for
        )
        self.check_traded()
        return self.cleaned_data

    def clean_question(self):
        return self.mend("question", self.instance.question, self.cleaned_data["question"])

    def clean_description(self):
        return self.mend("description", self.instance.description, self.cleaned_data["description"])

    def clean_choices(self):
        texts, choices = self.cleaned_data["choices"], list(self.instance.choices.all())
        if len(texts) != len(choices):
            raise forms.ValidationError(_("Somebody has voted, so no choice may come or go."))
        faults = []
        for row, (choice, text) in enumerate(zip(choices, texts, strict=True)):
            others = [(other, texts[n]) for n, other in enumerate(choices) if n != row]
            try:
                self.mend_choice(choice, text, others)
            except forms.ValidationError as error:
                faults.append(forms.ValidationError(error.messages[0], params={"row": row}))
        if faults:
            raise forms.ValidationError(faults)
        return texts

    def count_spare_rows(self, filled):
        return 0

    @cached_property
    def earlier(self) -> dict[str, list[str]]:
        """The wordings before, by subject of the public history, the first one first.

        Read after the view locked the poll: no other change can come in between.
        """
        earlier = defaultdict(list)
        for subject, before in self.instance.changes.values_list("subject", "before"):
            if before and before not in earlier[subject]:
                earlier[subject].append(before)
        return earlier

    def wordings(self, choice, text: str) -> list[str]:
        """Return each wording that a choice has, had, or is to have as ``text``."""
        return list(dict.fromkeys([*self.earlier[f"choice {choice.pk}"], choice.text, text]))

    def mend_choice(self, choice, text, others):
        """As ``mend``; and no vote may seem to be one for another choice.

        A wording that it had before is its own: the others kept away from it since.
        """
        subject = f"choice {choice.pk}"
        if text != choice.text and text not in self.earlier[subject]:
            wordings = (each for other in others for each in self.wordings(*other))
            for wording in wordings:
                if may_be_taken_for(text, wording):
                    raise forms.ValidationError(TAKEN_ERROR, params={"other": wording})
        self.mend(subject, choice.text, text, choice)

    def mend(self, subject, before, text, choice=None) -> str:
        """Return the text to keep; an error where it differs by more than a typo."""
        if text.split() == before.split():
            return before
        if not is_typo_fix(self.first_wording(subject, before), text):
            raise forms.ValidationError(NO_TYPO)
        if len(self.earlier[subject]) >= MAX_WORDINGS and text not in self.earlier[subject]:
            raise forms.ValidationError(FIXED_OFTEN_ERROR)
        self.mended.append((subject, before, text, choice))
        return text

    def first_wording(self, subject: str, text: str) -> str:
        return self.earlier[subject][0] if self.earlier[subject] else text

    def check_traded(self):
        """Question and description must not trade the choices that they name, either."""
        if "choices" not in self.cleaned_data:
            return
        texts, choices = self.cleaned_data["choices"], self.instance.choices.all()
        named = defaultdict(set)
        for choice, text in zip(choices, texts, strict=True):
            for wording in self.wordings(choice, text):
                for word in words_of(look_of(wording)):
                    named[word].add(choice.pk)
        for subject, before, text, choice in self.mended:
            if choice is None and trades_options(self.first_wording(subject, before), text, named):
                self.add_error(subject, TRADED_ERROR)

    def clean_closes_at(self):
        """The end moves to later only, or to now: no vote was cast that would be late."""
        now, before = timezone.now(), self.instance.closes_at
        closes_at = self.cleaned_data["closes_at"]
        if before and closes_at is None:
            raise forms.ValidationError(
                _(
                    "Voters were told an end, so there must be one. Move it to later, or close the "
                    "poll now."
                )
            )
        if closes_at and closes_at <= now:
            return now
        if before and closes_at < before:
            words = gettext(
                "Voters were told %(when)s. The end can only move to later, or to now: close the "
                "poll now for that."
            )
            raise forms.ValidationError(words % {"when": self.instance.moment(before)})
        return closes_at

    @transaction.atomic
    def save(self):
        poll = self.instance
        changed = [name for name in self.changed_data if name in self.FREE]
        poll.save(update_fields=[name for name in self.fields if name in self._meta.fields])
        renamed = []
        for _subject, _before, text, choice in self.mended:
            if choice:
                choice.text = text
                renamed.append(choice)
        Choice.objects.bulk_update(renamed, ["text"])
        for subject, before, text, _choice in self.mended:
            mended = sentence(MENDED, before=before, after=text)
            poll.note_change(mended, subject=subject, before=before)
        if changed:
            poll.note_change(*changes_told(self, changed))
        return poll


class ReopenForm(forms.Form):
    """Until when a closed ``poll`` is open again, and why, for everybody to read."""

    closes_at = MomentField(label=_("New end"), required=False)
    no_end = forms.BooleanField(label=_("No end: I close it myself"), required=False)
    reason = TextField(
        label=_("Reason"),
        max_length=300,
        error_messages={"required": _("Say why: everybody can read it.")},
        help_text=_("Everybody can read it in the history of the poll."),
    )
    writer = HiddenField()

    def __init__(self, poll, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["closes_at"].zone = poll.zone
        self.fields["closes_at"].help_text = as_clocks_show(poll.zone)

    def clean_closes_at(self):
        closes_at = self.cleaned_data["closes_at"]
        if closes_at and closes_at <= timezone.now():
            raise forms.ValidationError(IS_PAST)
        return closes_at

    def clean(self):
        has_no_end, closes_at = self.cleaned_data.pop("no_end"), self.cleaned_data.get("closes_at")
        if has_no_end and closes_at:
            self.add_error("closes_at", _("Choose a new end or none, not both."))
        # An empty field may be a date that the browser could not read.
        elif not has_no_end and not closes_at and not self.has_error("closes_at"):
            self.add_error("closes_at", _("Choose the new end. Or tick that there is none."))
        return self.cleaned_data


def version_of(poll, choices) -> str:
    """Return what differs as soon as anything differs that the form of a poll shows."""
    fields = [getattr(poll, name) for name in [*PollForm._meta.fields, "published_at"]]
    texts = [(choice.pk, choice.text) for choice in choices]
    text = json.dumps([fields, texts], default=str)
    return salted_hmac("polls.version", text, algorithm="sha256").hexdigest()[:32]


def as_clocks_show(zone) -> str:
    return gettext("As the clocks of %(zone)s show it.") % {"zone": zone}


def changes_told(form, names) -> list[dict]:
    """Return for the public history what an editor changed in the fields called so."""
    return [became(name, form.initial[name], form.cleaned_data[name]) for name in names]
