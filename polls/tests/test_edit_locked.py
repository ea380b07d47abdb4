"""Editing a poll once somebody has voted: what is locked, and what is told of the rest."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import call_command
from django.db import IntegrityError
from django.urls import reverse
from django.utils import timezone

from polls import authoring
from polls.models import Ballot, Change, Poll
from polls.tally import snapshot

from .factories import PollFactory
from .making import typed, typed_locked

pytestmark = pytest.mark.django_db
ADA = "+12025550123"
ENDS = datetime(2126, 1, 1, 12, 0, 7, tzinfo=UTC)
NO_TYPO = "so you can only fix a typo"


@pytest.fixture
def poll(user):
    poll = PollFactory(
        author=user, question="Shal we meet?", choices=["Fryday", "Monday 5th"], closes_at=ENDS
    )
    Ballot.objects.cast(poll, ADA, [poll.choices.first().pk])
    return poll


@pytest.fixture
def closed(poll):
    Poll.objects.filter(pk=poll.pk).update(closes_at=timezone.now() - timedelta(seconds=1))
    poll.refresh_from_db()
    return poll


def edit(poll):
    return reverse("polls:edit", args=[poll.pk])


def save(browser, poll, **fields):
    response = browser.post(edit(poll), typed_locked(poll, **fields))
    poll.refresh_from_db()
    return response


def told(poll):
    return [change.what for change in poll.changes.all()]


def as_it_was(poll):
    poll.refresh_from_db()
    texts = [choice.text for choice in poll.choices.all()]
    assert (poll.question, texts) == ("Shal we meet?", ["Fryday", "Monday 5th"])
    assert told(poll) == []


def test_the_page_explains_the_rules(verified, poll):
    text = verified.get(edit(poll)).text
    assert "Somebody has voted." in text
    assert f'href="/polls/{poll.pk}/integrity/">public history</a>' in text
    for name in ["opens_at", "time_zone", "min_choices", "max_choices", "may_change", "more"]:
        assert f'name="{name}"' not in text
    assert text.count('name="choices"') == 2
    assert 'value="2126-01-01T12:00"' in text


def test_saving_without_a_change_tells_nothing(verified, poll):
    response = save(verified, poll)
    assert response["Location"] == f"/p/{poll.slug}/"
    assert poll.closes_at == ENDS
    as_it_was(poll)


def test_a_typo_is_mended_and_told(verified, poll):
    friday = poll.choices.first().pk
    save(verified, poll, question="Shall we meet?", choices=["Friday", "Monday 5th"])
    assert poll.question == "Shall we meet?"
    assert poll.choices.get(text="Friday").pk == friday
    changes = Change.objects.values_list("subject", "before", "what", "voters")
    assert list(changes) == [
        (
            "question",
            "Shal we meet?",
            "Typo mended: “Shal we meet?” became “Shall we meet?”",
            1,
        ),
        (f"choice {friday}", "Fryday", "Typo mended: “Fryday” became “Friday”", 1),
    ]


def test_what_was_mended_stands_in_the_public_history(verified, poll, client):
    save(verified, poll, question="Shall we meet?")
    text = client.get(reverse("polls:integrity", args=[poll.pk])).text
    assert "at 1 voter: Typo mended: “Shal we meet?” became “Shall we meet?”" in text


@pytest.mark.parametrize(
    "fields",
    [
        {"question": "Shal we not meet?"},
        {"question": ""},
        {"choices": ["Saturday", "Monday 5th"]},
        {"choices": ["Fryday", "Monday 6th"]},
        {"choices": ["Fryday", "Monday 15th"]},
        {"choices": ["Monday 5th", "Fryday"]},
        {"choices": ["Fryday", "Fryday"]},
        {"choices": ["Fryday", "FRYDAY"]},
        {"choices": ["Fryday"]},
        {"choices": ["Fryday", ""]},
        {"choices": ["Fryday", "Monday 5th", "Never"]},
        {"choices": []},
        {"description": "Whoever says Friday pays."},
        {"question": "a\0b"},
    ],
    ids=str,
)
def test_another_wording_is_refused_and_kept_on_the_page(verified, poll, fields):
    response = save(verified, poll, **fields)
    assert response.status_code == 200
    assert "<title>Error: Edit: Shal we meet? · Pollstr</title>" in response.text
    assert 'aria-invalid="true"' in response.text or 'id="choices-fault"' in response.text
    as_it_was(poll)


def test_the_fault_stands_beside_its_choice(verified, poll):
    response = save(verified, poll, choices=["Saturday", "Monday 5th"])
    assert 'name="choices" value="Saturday" aria-label="Choice 1"' in response.text
    assert response.text.count(NO_TYPO) == 1
    assert 'aria-describedby="choice-1-fault"' in response.text


SWAPS = {
    # Each step was a typo fix of its own wording, and together they turn the result round.
    "labels": [
        ("Team A", "Team B"),
        ("Team C", "Team B"),
        ("Team C", "Team A"),
        ("Team B", "Team A"),
    ],
    "at once": [("Berlin", "Barlin"), ("Barlin", "Berlin")],
    "by a third wording": [
        ("Marten", "Martin"),
        ("Marton", "Martin"),
        ("Marton", "Marten"),
        ("Martin", "Marten"),
    ],
    "days": [("Tuesday", "Thursday"), ("Thursday", "Tuesday")],
    "months": [("On 1 Juni", "On 1 Juli"), ("On 1 Juli", "On 1 Juni")],
    "short words": [("Cat", "Car"), ("Cap", "Car"), ("Cap", "Cat"), ("Car", "Cat")],
    "capitals": [("Roma", "ROMA!"), ("ROMA!", "Roma")],
    "twins of another script": [("Соrdoba", "Gordoba"), ("Gordoba", "Cordoba")],
    "illegal": [("Legalise", "Illegalise"), ("Illegalise", "Legalise")],
}


@pytest.mark.parametrize("steps", SWAPS.values(), ids=SWAPS)
def test_no_steps_trade_the_names_of_two_choices(verified, user, steps):
    poll = PollFactory(author=user, choices=steps[0])
    Ballot.objects.cast(poll, ADA, [poll.choices.first().pk])
    for texts in steps[1:]:
        assert save(verified, poll, choices=texts).status_code == 200
    assert [choice.text for choice in poll.choices.all()] == list(steps[0])
    assert not told(poll)


def test_a_wording_that_another_choice_had_is_taken_for_ever(verified, user):
    poll = PollFactory(author=user, choices=["Weekend trip", "Weakens trip", "Stay"])
    Ballot.objects.cast(poll, ADA, [poll.choices.first().pk])
    save(verified, poll, choices=["Weekend trippp", "Weakens trip", "Stay"])
    assert len(told(poll)) == 1
    response = save(verified, poll, choices=["Weekend trippp", "Weakend trip", "Stay"])
    assert "has, or had, a wording like this: “Weekend trip”." in response.text
    assert len(told(poll)) == 1
    # Its own first wording stays open to it.
    save(verified, poll, choices=["Weekend trip", "Weakens trip", "Stay"])
    assert poll.choices.first().text == "Weekend trip"


def test_labels_tell_choices_apart_so_that_their_words_can_be_fixed(verified, user):
    poll = PollFactory(author=user, choices=["Taem A", "Taem B"])
    Ballot.objects.cast(poll, ADA, [poll.choices.first().pk])
    assert save(verified, poll, choices=["Team A", "Team B"]).status_code == 302
    assert len(told(poll)) == 2


@pytest.mark.parametrize(
    ("question", "after"),
    [("Is Hanna or Hanno right?", "Is Hanno or Hanno right?")],
)
def test_a_question_does_not_trade_the_choices_that_it_names(verified, user, question, after):
    poll = PollFactory(author=user, question=question, choices=["Hanna", "Hanno"])
    Ballot.objects.cast(poll, ADA, [poll.choices.first().pk])
    response = save(verified, poll, question=after)
    assert "This change puts the wording of one choice in place of another." in response.text
    assert poll.question == question


def test_question_and_choice_are_fixed_together(verified, user):
    poll = PollFactory(author=user, question="Fryday or Monday?", choices=["Fryday", "Monday"])
    Ballot.objects.cast(poll, ADA, [poll.choices.first().pk])
    response = save(verified, poll, question="Friday or Monday?", choices=["Friday", "Monday"])
    assert response.status_code == 302
    assert poll.question == "Friday or Monday?"


def test_a_choice_that_came_from_elsewhere_meanwhile_is_a_sentence(verified, poll, monkeypatch):
    """As where the admin renames a choice between the look and the write."""

    def clash(*args, **kwargs):
        raise IntegrityError

    monkeypatch.setattr("polls.forms.Choice.objects.bulk_update", clash)
    response = save(verified, poll, choices=["Friday", "Monday 5th"])
    assert response.status_code == 200
    assert "Someone changed this poll at the same moment." in response.text
    assert 'value="Friday"' in response.text
    as_it_was(poll)


def test_one_author_writes_so_much_public_history_an_hour(verified, poll, monkeypatch):
    monkeypatch.setattr(authoring, "MAX_CHANGES_PER_HOUR", 2)
    save(verified, poll, closes_at="2126-01-02T12:00")
    save(verified, poll)
    save(verified, poll, closes_at="2126-01-03T12:00")
    response = save(verified, poll, closes_at="2126-01-04T12:00")
    assert response.status_code == 429
    assert int(response["Retry-After"]) > 0
    assert "2126-01-04T12:00" in response.text
    for name in ["trash", "close"]:
        response = verified.post(reverse(f"polls:{name}", args=[poll.pk]))
        assert response.status_code == 429
        assert "Please try again in" in response.text
    poll.refresh_from_db()
    assert (poll.trashed_at, poll.is_closed, len(told(poll))) == (None, False, 2)


def test_small_steps_lead_no_further_than_one(verified, poll):
    save(verified, poll, question="Shall we meet?")
    save(verified, poll, question="Shall we eat?")
    assert poll.question == "Shall we meet?"
    save(verified, poll, question="Shal we melt?")
    assert poll.question == "Shal we melt?"
    save(verified, poll, question="Shal we melts?")
    save(verified, poll, question="Shall we melts?")
    assert poll.question == "Shal we melts?"


def test_what_was_mended_before_the_first_vote_does_not_count(verified, user):
    poll = PollFactory(author=user, question="Shal we mat?", choices=["Yes", "No"])
    verified.post(edit(poll), typed(question="Shall we meet?", choices=["Yes", "No"]))
    Ballot.objects.cast(poll, ADA, [poll.choices.first().pk])
    poll.refresh_from_db()
    save(verified, poll, question="Shall we melts?")
    assert poll.question == "Shall we melts?"


def test_line_ends_are_no_change(verified, poll):
    Poll.objects.update(description="One\n\ntwo")
    poll.refresh_from_db()
    save(verified, poll, description="One\r\n\r\ntwo")
    assert poll.description == "One\n\ntwo"
    assert told(poll) == []


def test_the_end_moves_to_later(verified, poll):
    save(verified, poll, closes_at="2126-01-02T12:00")
    assert poll.closes_at == datetime(2126, 1, 2, 12, tzinfo=UTC)
    assert told(poll) == ["Closes: “1 January 2126, 12:00 UTC” became “2 January 2126, 12:00 UTC”"]


def test_the_end_moves_to_now(verified, poll):
    before = timezone.now()
    save(verified, poll, closes_at="2026-01-01T12:00")
    assert before <= poll.closes_at <= timezone.now()
    assert "Closes: “1 January 2126, 12:00 UTC” became “" in told(poll)[0]


@pytest.mark.parametrize(
    ("closes_at", "sentence"),
    [
        ("2125-12-31T12:00", "Voters were told 1 January 2126, 12:00 UTC."),
        ("", "Voters were told an end, so there must be one."),
        ("junk", "Write it as in"),
    ],
)
def test_the_end_moves_to_nowhere_else(verified, poll, closes_at, sentence):
    response = save(verified, poll, closes_at=closes_at)
    assert sentence in response.text
    assert poll.closes_at == ENDS
    as_it_was(poll)


def test_an_end_is_set_where_there_was_none(verified, poll):
    Poll.objects.update(closes_at=None, time_zone="Europe/Berlin")
    poll.refresh_from_db()
    save(verified, poll, closes_at="2126-07-01T12:00")
    assert poll.closes_at == datetime(2126, 7, 1, 10, tzinfo=UTC)
    assert told(poll) == ["Closes: “none” became “1 July 2126, 12:00 (Europe/Berlin)”"]


def test_who_sees_what_may_change_and_is_told(verified, poll):
    save(verified, poll, results_for="everyone", is_listed=None)
    assert (poll.results_for, poll.is_listed) == ("everyone", False)
    assert told(poll) == [
        "Results are for: “whoever proved a phone, at any time” became “everyone, at any time”; "
        "Listed: “yes” became “no”"
    ]


def test_a_page_from_before_the_first_vote_saves_nothing(verified, poll):
    old = typed(question="Shal we meet?", choices=["Fryday", "Monday 5th"], max_choices="2")
    response = verified.post(edit(poll), old)
    assert "While you had this page open somebody voted" in response.text
    poll.refresh_from_db()
    assert (poll.max_choices, poll.closes_at) == (1, ENDS)
    as_it_was(poll)


def test_what_is_closed_keeps_its_wording_and_its_end(verified, closed):
    text = verified.get(edit(closed)).text
    assert f'href="/polls/{closed.pk}/reopen/"' in text
    for field in ['name="question"', "<textarea", 'name="choices"', 'name="closes_at"']:
        assert field not in text


def test_a_page_from_before_the_close_saves_nothing(verified, closed):
    response = save(verified, closed, question="Shall we meet?", closes_at="2126-01-02T12:00")
    assert "or the poll closed" in response.text
    assert closed.is_closed
    as_it_was(closed)


def test_after_the_close_who_sees_the_results_may_change(verified, closed):
    frozen = snapshot(closed)
    verified.post(edit(closed), {"results_for": "everyone", "is_listed": "on"})
    closed.refresh_from_db()
    assert closed.results_for == "everyone"
    assert len(told(closed)) == 1
    assert snapshot(closed) == frozen
    call_command("recount")


def test_more_rows_cannot_be_forged(verified, closed):
    response = save(verified, closed, more="1")
    assert response.status_code == 200
    as_it_was(closed)


def test_the_counts_still_hold_after_a_typo_and_the_close(verified, poll):
    save(verified, poll, choices=["Friday", "Monday 5th"])
    save(verified, poll, closes_at="2026-01-01T12:00")
    assert '"text":"Friday"' in snapshot(poll).body
    call_command("recount")


def test_a_wording_is_fixed_so_often_and_no_more(verified, poll, monkeypatch):
    monkeypatch.setattr("polls.forms.MAX_WORDINGS", 2)
    for text in ["Frydaay", "Frydday", "Fryyday"]:
        response = save(verified, poll, choices=[text, "Monday 5th"])
    assert response.status_code == 200
    assert "This wording was changed very often, so it stays as it is now." in response.text
    assert poll.choices.first().text == "Frydday"
    assert save(verified, poll, choices=["Fryday", "Monday 5th"]).status_code == 302
    assert save(verified, poll, question="Shall we meet?").status_code == 302
