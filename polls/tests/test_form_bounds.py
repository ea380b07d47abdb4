"""What a form costs is bounded before anything looks at what was typed."""

import pytest
from django.urls import reverse

from polls import authoring, fields
from polls.models import Ballot, Poll

from .factories import PollFactory
from .making import typed, typed_locked

pytestmark = pytest.mark.django_db
NEW = reverse("polls:new")
# Each took a thread for seconds or minutes. They fit into what a form may have,
# 400 fields and 256 kB: what is larger is refused before any view.
PAYLOADS = {
    "ligatures": ["NN" + "ﬁ" * 1500] * 40 + [f"s{n}" for n in range(300)],
    "many rows": [f"{n} " + "x" * 150 for n in range(380)],
    "long rows": [f"{n}" + "\u1e9b\u0323" * 1000 for n in range(40)],
    "one long row": ["Tea", "x" * 200_000],
    "marks": ["e" + "\u0301" * 50_000, "Tea"],
    "invisible rows": ["\u3164"] * 380,
    "blank rows": [" " * 50] * 380,
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


@pytest.mark.parametrize("name", ["question", "description"])
def test_a_text_that_is_too_long_is_not_looked_at(verified, looks, name):
    verified.post(NEW, typed(**{name: "ﬁ" * 50_000}))
    assert all(len(text) <= 5000 for text in looks)


def test_each_choice_is_looked_at_once(verified, looks):
    choices = [f"Option no. {n}" for n in range(50)]
    verified.post(NEW, typed(choices=choices))
    assert sorted(looks) == sorted([*choices, "Tea or coffee?"])


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
