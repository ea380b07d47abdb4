"""What a form costs is bounded before anything looks at what was typed."""

import pytest
from django.urls import reverse

from polls import authoring, fields, wording
from polls.models import Ballot, Change, Poll

from .factories import PollFactory
from .making import typed, typed_locked

pytestmark = pytest.mark.django_db
NEW = reverse("polls:new")
# What one account may send: work on each row, or on each pair of rows, takes a thread for seconds.
PAYLOADS = {
    "ligatures": ["NN" + "ﬁ" * 1400] * 45 + [f"s{n}" for n in range(300)],
    "many rows": [f"{n} " + "x" * 150 for n in range(350)],
    "long rows": [f"{n}" + "\u1e9b\u0323" * 1000 for n in range(40)],
    "one long row": ["Tea", "x" * 200_000],
    "marks": ["e" + "\u0301" * 50_000, "Tea"],
    "invisible rows": ["\u3164"] * 350,
    "blank rows": [" " * 50] * 350,
}
# More than any form of ours has, in fields or in bytes, is refused unread.
TOO_LARGE = {
    "many rows": [f"s{n}" for n in range(900)],
    "long rows": ["NN" + "ﬁ" * 5500] * 45,
}


@pytest.fixture
def looks(monkeypatch):
    """The texts whose look was asked for."""
    asked, look_of = [], fields.look_of
    monkeypatch.setattr(fields, "look_of", lambda text: asked.append(text) or look_of(text))
    return asked


def voted_poll(user):
    poll = PollFactory(author=user, choices=[f"Option no. {n}" for n in range(40)])
    Ballot.objects.cast(poll, "+12025550123", [poll.choices.first().pk])
    return poll


@pytest.mark.parametrize("choices", PAYLOADS.values(), ids=PAYLOADS)
@pytest.mark.parametrize("button", [{}, {"publish": "1"}, {"more": "1"}, {"line": "1"}])
def test_a_new_poll_looks_at_few_short_texts(verified, looks, choices, button):
    response = verified.post(NEW, typed(choices=choices, **button))
    assert response.status_code == 200
    assert len(looks) <= fields.MOST_CHOICES + 2
    assert all(len(text) <= 200 for text in looks)
    assert not Poll.objects.exists()


@pytest.mark.parametrize("choices", PAYLOADS.values(), ids=PAYLOADS)
@pytest.mark.parametrize("has_votes", [False, True])
def test_an_edit_looks_at_few_short_texts(verified, user, looks, choices, has_votes):
    poll = voted_poll(user) if has_votes else PollFactory(author=user)
    sent = typed_locked(poll, choices=choices) if has_votes else typed(choices=choices)
    response = verified.post(reverse("polls:edit", args=[poll.pk]), sent)
    assert response.status_code == 200
    assert len(looks) <= fields.MOST_CHOICES + 2
    assert all(len(text) <= 200 for text in looks)


@pytest.mark.parametrize("choices", TOO_LARGE.values(), ids=TOO_LARGE)
def test_what_is_larger_than_any_form_is_not_looked_at(verified, looks, choices):
    assert verified.post(NEW, typed(choices=choices)).status_code == 413
    assert not looks


@pytest.mark.parametrize("name", ["question", "description"])
def test_a_text_that_is_too_long_is_not_looked_at(verified, looks, name):
    assert verified.post(NEW, typed(**{name: "ﬁ" * 60_000})).status_code == 200
    assert all(len(text) <= 5000 for text in looks)


def test_each_choice_is_looked_at_once(verified, looks):
    choices = [f"Option no. {n}" for n in range(50)]
    verified.post(NEW, typed(choices=choices))
    assert sorted(looks) == sorted([*choices, "Tea or coffee?"])


def test_wordings_of_a_long_history_are_looked_at_once(verified, user, monkeypatch):
    poll = voted_poll(user)
    changes = [
        Change(poll=poll, voters=1, what="", subject=f"choice {choice.pk}", before=earlier)
        for choice in poll.choices.all()
        for n in range(5)
        for earlier in [choice.text.replace("Option", f"Optio{chr(97 + n)}n")]
    ]
    Change.objects.bulk_create(changes)
    asked, compared = [], []
    look_of, distance = wording.look_of, wording.distance
    monkeypatch.setattr(wording, "look_of", lambda text: asked.append(text) or look_of(text))
    monkeypatch.setattr(
        wording, "distance", lambda *texts: compared.append(texts) or distance(*texts)
    )
    wording.told_apart_by.cache_clear()
    texts = [choice.text.replace("Option", "Optoin") for choice in poll.choices.all()]
    sent = typed_locked(poll, choices=texts)
    assert verified.post(reverse("polls:edit", args=[poll.pk]), sent).status_code == 302
    # 40 options with 7 wordings each are 76,440 pairs.
    assert len(asked) < 10 * 40 * 7
    assert len(compared) < 10 * 40


def test_forms_that_are_refused_count_too(verified, user, monkeypatch):
    monkeypatch.setattr(authoring, "MAX_SENDS_PER_HOUR", 2)
    edit = reverse("polls:edit", args=[PollFactory(author=user).pk])
    assert verified.post(NEW, typed(question="")).status_code == 200
    assert verified.post(edit, typed(question="")).status_code == 200
    for path in [NEW, edit]:
        response = verified.post(path, typed(question="Kept?"))
        assert response.status_code == 429
        assert int(response["Retry-After"]) > 0
        assert 'value="Kept?"' in response.text
        assert "You sent this form very often. Please try again in" in response.text
    assert not Poll.objects.filter(question="Kept?").exists()
