from datetime import UTC, datetime

import factory

from polls.models import Choice, Poll


class PollFactory(factory.django.DjangoModelFactory):
    """An open poll with the choices Yes and No, or those given as ``choices``."""

    class Meta:
        model = Poll
        skip_postgeneration_save = True

    question = "Is this a poll?"
    opens_at = datetime(2026, 1, 1, tzinfo=UTC)

    @factory.post_generation
    def choices(self, create, texts, **kwargs):
        for position, text in enumerate(texts or ["Yes", "No"]):
            ChoiceFactory(poll=self, text=text, position=position)


class ChoiceFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Choice

    poll = factory.SubFactory(PollFactory)
    text = factory.Sequence(lambda n: f"Choice {n}")
