"""Editing a poll before the first vote; test_edit_locked.py is about what comes after."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from polls.models import Ballot, Change, Choice, Poll

from . import people
from .factories import PollFactory
from .making import typed, typed_locked

pytestmark = pytest.mark.django_db
LATER = datetime(2126, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def poll(user):
    return PollFactory(author=user, question="Tea?", choices=["Yes", "No"])


@pytest.fixture
def draft(poll):
    Poll.objects.filter(pk=poll.pk).update(published_at=None)
    poll.refresh_from_db()
    return poll


def edit(poll):
    return reverse("polls:edit", args=[poll.pk])


def save(browser, poll, **fields):
    response = browser.post(edit(poll), typed(**fields))
    poll.refresh_from_db()
    return response


def texts(poll):
    return [choice.text for choice in poll.choices.all()]


def test_it_shows_what_the_poll_is(verified, user):
    fields = {"opens_at": LATER, "closes_at": LATER + timedelta(hours=6), "max_choices": 2}
    poll = PollFactory(author=user, question="Tea?", time_zone="Asia/Tokyo", **fields)
    text = verified.get(edit(poll)).text
    for kept in [
        'name="question" value="Tea?"',
        'name="choices" value="Yes"',
        'name="choices" value="No"',
        'value="2126-01-01T21:00"',
        'value="2126-01-02T03:00"',
        '<option value="Asia/Tokyo" selected>',
        'name="max_choices" value="2"',
    ]:
        assert kept in text
    assert "data-guess" not in text


def test_all_may_change(verified, poll):
    fields = {"question": "Tea or coffee?", "choices": ["No", "Perhaps", "Yes"]}
    response = save(verified, poll, **fields, max_choices="2", may_change=None)
    assert response["Location"] == f"/p/{poll.slug}/"
    assert (poll.question, poll.max_choices, poll.may_change) == ("Tea or coffee?", 2, False)
    assert texts(poll) == ["No", "Perhaps", "Yes"]
    assert not Change.objects.exists()


def version(browser, poll):
    return re.search(r'name="version" value="(\w+)"', browser.get(edit(poll)).text)[1]


def test_an_older_page_does_not_undo_what_another_tab_saved(verified, poll):
    old = version(verified, poll)
    save(verified, poll, question="Coffee?", choices=["Yes", "No", "Perhaps"], version=old)
    response = save(verified, poll, question="Cocoa?", choices=["Yes", "No"], version=old)
    assert response.status_code == 409
    assert "This poll was changed after you opened this page" in response.text
    assert '<dd dir="auto">Coffee?</dd>' in response.text
    assert '<dd dir="auto">Yes · No · Perhaps</dd>' in response.text
    assert 'value="Cocoa?"' in response.text
    assert (poll.question, texts(poll)) == ("Coffee?", ["Yes", "No", "Perhaps"])
    # Whoever has seen it may save over it.
    new = re.search(r'name="version" value="(\w+)"', response.text)[1]
    assert save(verified, poll, question="Cocoa?", version=new).status_code == 302
    assert poll.question == "Cocoa?"


@pytest.mark.parametrize(
    "change",
    [
        {"closes_at": LATER},
        {"max_choices": 2},
        {"results_for": "author"},
        {"is_listed": False},
        {"published_at": None},
        {"time_zone": "Asia/Tokyo"},
        {"description": "Why?"},
    ],
    ids=str,
)
def test_each_setting_makes_a_page_old(verified, poll, change):
    old = version(verified, poll)
    Poll.objects.update(**change)
    assert save(verified, poll, question="", version=old).status_code == 409


def test_a_vote_makes_no_page_old(verified, poll):
    old = version(verified, poll)
    Ballot.objects.cast(poll, "+12025550123", [poll.choices.first().pk])
    sent = typed_locked(poll, version=old, results_for="everyone")
    assert verified.post(edit(poll), sent).status_code == 302


@pytest.mark.parametrize("version", [None, "", "x", "ü" * 150, "x" * 5000, "\0"])
def test_a_version_that_is_none(verified, poll, version):
    response = save(verified, poll, question="Coffee?", version=version)
    assert response.status_code == (409 if version else 302)


def test_an_end_that_was_emptied_is_told(verified, user):
    poll = PollFactory(author=user, closes_at=LATER)
    response = save(verified, poll, closes_at="")
    assert "Saved. It has no end: it stays open until you close it." in (
        verified.get(response["Location"]).text
    )


def test_enter_saves_nothing(verified, poll):
    """As without a script: the first button of the form is the one that Enter presses."""
    page = verified.get(edit(poll)).text.split('data-form="poll"')[1]
    assert re.search(r"<button[^>]*>", page)[0].startswith(
        '<button class="visually-hidden" name="line"'
    )
    response = save(verified, poll, question="Coffee?", choices=["Yes", "No"], line="1")
    assert response.status_code == 200
    assert 'value="Coffee?"' in response.text
    assert "autofocus" in response.text
    assert poll.question == "Tea?"


def test_a_choice_keeps_its_row_where_its_text_stays(verified, poll):
    yes, no = poll.choices.all()
    save(verified, poll, choices=["No", "Yes!", "YES!!"])
    assert not Choice.objects.filter(pk=yes.pk).exists()
    assert Choice.objects.get(text="No").pk == no.pk
    assert Choice.objects.filter(text="Yes!").exclude(pk__in=[yes.pk, no.pk]).exists()


def test_an_open_ballot_page_counts_for_no_other_text(verified, poll):
    yes = poll.choices.get(text="Yes").pk
    save(verified, poll, choices=["Never", "No"])
    vote = reverse("polls:vote", args=[poll.pk])
    response = people.verified(poll).post(vote, {"choice": yes})
    assert "That answer is not one of this poll" in response.text
    assert not Ballot.objects.exists()


def test_choices_may_trade_places_and_case(verified, poll):
    save(verified, poll, choices=["no", "yes"])
    assert texts(poll) == ["no", "yes"]
    save(verified, poll, choices=["yes", "no"])
    assert texts(poll) == ["yes", "no"]


def test_a_poll_that_has_opened_stays_open(verified, poll):
    opened = poll.opens_at
    save(verified, poll)
    assert poll.opens_at == opened


def test_it_may_open_later_after_all(verified, poll):
    save(verified, poll, opens_at="2126-01-01T12:00")
    assert poll.opens_at == LATER


def test_an_end_left_as_it_is_keeps_its_seconds(verified, user):
    end = LATER + timedelta(seconds=59, microseconds=5)
    poll = PollFactory(author=user, closes_at=end)
    save(verified, poll, closes_at="2126-01-01T12:00")
    assert poll.closes_at == end


def test_another_time_zone_reads_the_times_anew(verified, user):
    poll = PollFactory(author=user, closes_at=LATER)
    save(verified, poll, closes_at="2126-01-01T12:00", time_zone="Europe/Berlin")
    assert poll.closes_at == LATER - timedelta(hours=1)


def test_bad_input_changes_nothing(verified, poll):
    response = save(verified, poll, question="", choices=["Yes", "yes"], closes_at="junk")
    assert response.status_code == 200
    for sentence in ["Write the question first.", "the same as choice 1", "Write it as in"]:
        assert sentence in response.text
    assert (poll.question, texts(poll)) == ("Tea?", ["Yes", "No"])


def test_more_choices_shows_more_rows(verified, poll):
    response = save(verified, poll, choices=["Yes", "No", "Perhaps", ""], more="1")
    assert response.text.count('name="choices"') == 9
    assert 'value="Perhaps"' in response.text
    assert texts(poll) == ["Yes", "No"]


def test_a_draft_stays_a_draft(verified, draft):
    save(verified, draft, question="Coffee?")
    assert (draft.question, draft.is_draft) == ("Coffee?", True)


def test_a_draft_is_published_as_it_now_is(verified, draft):
    before = timezone.now()
    save(verified, draft, question="Coffee?", publish="1")
    assert draft.question == "Coffee?"
    assert before <= draft.published_at <= draft.opens_at <= timezone.now()


@pytest.mark.parametrize("button", [{}, {"publish": "1"}])
def test_a_draft_whose_end_passed_needs_another(verified, draft, button):
    Poll.objects.update(closes_at=datetime(2026, 1, 2, tzinfo=UTC))
    response = save(verified, draft, closes_at="2026-01-02T00:00", **button)
    assert "That is past. Choose a later time." in response.text
    assert draft.is_draft


def test_a_published_poll_is_not_published_again(verified, poll):
    published_at = poll.published_at
    assert 'name="publish"' not in verified.get(edit(poll)).text
    save(verified, poll, publish="1")
    assert poll.published_at == published_at


def test_a_poll_that_ended_without_votes_may_be_mended(verified, user):
    ended = datetime(2026, 1, 2, 12, tzinfo=UTC)
    poll = PollFactory(author=user, closes_at=ended)
    save(verified, poll, question="Coffee?", closes_at="2026-01-02T12:00")
    assert (poll.question, poll.closes_at) == ("Coffee?", ended)


def test_staff_edit_any_poll_and_leave_it_its_author(poll, user):
    save(people.staff(poll), poll, question="Coffee?")
    assert (poll.question, poll.author) == ("Coffee?", user)


def test_a_poll_whose_author_is_gone_is_left_to_staff(verified, poll, user):
    Poll.objects.update(author=None)
    assert verified.get(edit(poll)).status_code == 404
    assert people.staff(poll).get(edit(poll)).status_code == 200


def test_to_others_it_is_not_there(poll):
    browser = people.verified(poll)
    for response in [browser.get(edit(poll)), save(browser, poll, question="Mine?")]:
        assert response.status_code == 404
    assert poll.question == "Tea?"


def test_what_is_not_there_or_in_the_trash_is_a_404(verified, poll):
    Poll.objects.update(trashed_at=timezone.now())
    for pk in [poll.pk, poll.pk + 1, 10**30]:
        assert verified.get(f"/polls/{pk}/edit/").status_code == 404


def test_the_anonymous_and_the_unverified_are_led_through_the_gate(client, poll, user):
    assert save(client, poll)["Location"] == f"/login/?next=/polls/{poll.pk}/edit/"
    client.force_login(user)
    location = f"/2fa/?next=%2Fpolls%2F{poll.pk}%2Fedit%2F"
    assert client.get(edit(poll))["Location"] == location
    assert save(client, poll, question="Coffee?")["Location"] == location
    assert poll.question == "Tea?"


def test_it_takes_no_other_method(verified, poll):
    assert verified.delete(edit(poll)).status_code == 405


def test_a_hidden_poll_may_be_mended(verified, poll):
    Poll.objects.update(hidden_because="It is spam.")
    save(verified, poll, question="No spam?")
    assert poll.question == "No spam?"
