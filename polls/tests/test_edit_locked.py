"""Editing a poll once somebody has voted: what is locked, and what is told of the rest."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import call_command
from django.urls import reverse
from django.utils import timezone

from polls.models import Ballot, Change, Poll
from polls.tally import snapshot

from .factories import PollFactory
from .making import typed, typed_locked

pytestmark = pytest.mark.django_db
ADA = "+12025550123"
ENDS = datetime(2126, 1, 1, 12, 0, 7, tzinfo=UTC)
NO_TYPO = "so only a typo may be mended"


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
    assert 'value="Saturday" aria-label="Choice 1"' in response.text
    assert response.text.count(NO_TYPO) == 1
    assert 'aria-describedby="choice-1-fault"' in response.text


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
    save(verified, poll, question="Shall we greet?")
    assert poll.question == "Shall we greet?"


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
