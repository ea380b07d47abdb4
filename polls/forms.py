from django import forms


class BallotForm(forms.Form):
    """The answer to ``poll``: as many of its own choices as it asks for, none of them twice."""

    choice = forms.TypedMultipleChoiceField(
        coerce=int,
        error_messages={
            "required": "Pick an answer first, then vote.",
            "invalid_choice": "That answer is not one of this poll's. Pick one of these.",
        },
    )

    def __init__(self, poll, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.poll = poll
        self.fields["choice"].choices = [(choice.pk, choice.text) for choice in poll.choices.all()]

    def clean_choice(self):
        choices = self.cleaned_data["choice"]
        if len(set(choices)) < len(choices):
            raise forms.ValidationError("An answer was picked twice. Pick each once at most.")
        if not self.poll.min_choices <= len(choices) <= self.poll.max_choices:
            raise forms.ValidationError(f"Pick {self.how_many}; you picked {len(choices)}.")
        return choices

    @property
    def how_many(self) -> str:
        fewest, most = self.poll.min_choices, self.poll.max_choices
        if most == 1:
            return "one answer"
        return f"{fewest} answers" if fewest == most else f"{fewest} to {most} answers"

    @property
    def picked(self) -> set[int]:
        """This poll's choices to show as picked: those sent, or else those the form began with."""
        picked = {str(value) for value in self["choice"].value() or []}
        return {pk for pk, _ in self.fields["choice"].choices if str(pk) in picked}
