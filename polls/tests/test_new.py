import re
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.urls import reverse
from django.utils import timezone

from polls.models import Poll
from polls.typed_forms import MAX_TYPED_BYTES, TYPED

from . import people
from .factories import PollFactory
from .making import typed

pytestmark = pytest.mark.django_db
NEW = reverse("polls:new")
PUBLISH = {"publish": "1"}
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.fixture
def clock(time_machine):
    time_machine.move_to(NOON, tick=False)
    return time_machine


def make(browser, **fields):
    return browser.post(NEW, typed(**fields))


def refused(response, *sentences):
    assert response.status_code == 200
    assert "<title>Error: Make a poll · Pollstr</title>" in response.text
    for sentence in sentences:
        assert sentence in response.text
    assert not Poll.objects.exists()


def test_it_asks_for_a_question_and_choices(verified):
    text = verified.get(NEW).text
    assert "<title>Make a poll · Pollstr</title>" in text
    assert text.count('name="choices"') == 4
    assert 'name="question"' in text
    assert "<details>" in text


def test_a_poll_is_published_at_once(verified, user):
    before = timezone.now()
    response = make(verified, **PUBLISH)
    poll = Poll.objects.get()
    assert response.status_code == 302
    assert response["Location"] == f"/p/{poll.slug}/"
    assert poll.author == user
    assert (poll.question, poll.is_open) == ("Tea or coffee?", True)
    assert before <= poll.published_at == poll.opens_at
    assert list(poll.choices.values_list("position", "text")) == [(1, "Tea"), (2, "Coffee")]


def test_a_draft_is_seen_by_nobody_else(verified, client):
    response = make(verified)
    poll = Poll.objects.get()
    assert response["Location"] == f"/p/{poll.slug}/"
    assert poll.is_draft
    assert people.verified(poll).get(poll.get_absolute_url()).status_code == 404
    assert verified.get(poll.get_absolute_url()).status_code == 200


def test_what_is_published_is_said_with_what_to_do(verified):
    make(verified, **PUBLISH)
    assert "Your poll is published and is open. Send its link" in verified.get("/polls/").text


def test_a_draft_is_said_with_the_way_on(verified):
    make(verified)
    edit = reverse("polls:edit", args=[Poll.objects.get().pk])
    assert f'<a href="{edit}">Edit or publish it</a>' in verified.get("/polls/").text.replace(
        "'", '"'
    )


def test_every_option_is_kept(verified):
    options = {
        "description": "One of them goes.\r\nForever.",
        "choices": ["Tea", "Coffee", "Water"],
        "opens_at": "2126-06-01T09:00",
        "closes_at": "2126-06-02T18:30",
        "time_zone": "Europe/Berlin",
        "min_choices": "2",
        "max_choices": "3",
        "results_for": "author",
        "may_change": None,
        "is_listed": None,
        "forgets_voters": "on",
    }
    make(verified, **options, **PUBLISH)
    poll = Poll.objects.get()
    assert poll.description == "One of them goes.\nForever."
    assert poll.opens_at == datetime(2126, 6, 1, 7, tzinfo=UTC)
    assert poll.closes_at == datetime(2126, 6, 2, 16, 30, tzinfo=UTC)
    assert (poll.time_zone, poll.min_choices, poll.max_choices) == ("Europe/Berlin", 2, 3)
    assert (poll.results_for, poll.may_change) == ("author", False)
    assert (poll.is_listed, poll.forgets_voters) == (False, True)
    assert poll.is_upcoming


def test_a_question_and_two_choices_are_enough(verified):
    response = verified.post(NEW, {"question": "Tea?", "choices": ["Yes", "No"]})
    assert response.status_code == 302
    poll = Poll.objects.get()
    assert (poll.min_choices, poll.max_choices, poll.time_zone) == (1, 1, "UTC")
    assert poll.results_for == Poll.ResultsFor.VERIFIED


def test_white_space_is_tidied_and_empty_choices_do_not_count(verified):
    make(verified, question=" Tea  or\tcoffee? ", choices=["", "  Green   tea ", " ", "Coffee"])
    poll = Poll.objects.get()
    assert poll.question == "Tea or coffee?"
    assert [choice.text for choice in poll.choices.all()] == ["Green tea", "Coffee"]


@pytest.mark.parametrize(
    "twin", ["tea time", " Tea  Time", "TEA TIME", "Теа Тіmе", "Ｔｅａ Ｔｉｍｅ", "Tea\u200b Time"]
)
def test_choices_that_look_the_same_are_one_too_many(verified, twin):
    response = make(verified, choices=["Coffee", "Tea Time", twin])
    refused(response, "This is the same as choice 2.", 'aria-describedby="choice-3-fault"')


@pytest.mark.parametrize(
    "choices",
    [
        None,
        [],
        ["", " "],
        ["Tea"],
        ["Tea", "\u200b"],
        ["Tea", "\u2800"],
        ["\u3164", "\u115f", "Tea"],
    ],
)
def test_fewer_than_two_choices_are_refused(verified, choices):
    refused(make(verified, choices=choices), "Write at least 2 choices.")


@pytest.mark.parametrize(
    "choices",
    [
        ["10⁵ people", "105 people"],
        ["1 1/2", "11/2"],
        ["In Maßen", "In Massen"],
        ["CO₂", "CO2"],
        ["\U0001f44d", "\U0001f44e"],
    ],
)
def test_choices_that_look_different_are_taken(verified, choices):
    assert make(verified, choices=choices).status_code == 302
    assert [choice.text for choice in Poll.objects.get().choices.all()] == choices


def test_a_text_is_as_long_as_the_browser_says(verified):
    lines = "\r\n".join(["x" * 49] * 100)
    assert make(verified, description=lines).status_code == 302
    assert len(Poll.objects.get().description) == 4999


def test_no_field_cuts_what_is_pasted(verified):
    assert "maxlength" not in verified.get(NEW).text.split("poll-form")[-1].split("<textarea")[0]
    refused(make(verified, question="x" * 252), "(it has 252)", f'value="{"x" * 252}"')


def test_signs_without_a_look_are_left_out(verified):
    make(verified, question="Tea\x07 or\u202e coffee?", description="One\u2067\x01\ntwo\tthree")
    poll = Poll.objects.get()
    assert (poll.question, poll.description) == ("Tea or coffee?", "One\ntwo\tthree")


def test_more_than_50_choices_are_refused_and_all_kept(verified):
    response = make(verified, choices=[f"Choice no. {n}" for n in range(51)])
    refused(response, "These are 51 choices; 50 is the most.", 'value="Choice no. 50"')


def test_50_choices_are_taken(verified):
    make(verified, choices=[f"Choice no. {n}" for n in range(50)])
    assert Poll.objects.get().choices.count() == 50


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"question": ""}, "Write the question first."),
        ({"question": " \t"}, "Write the question first."),
        ({"question": "x" * 201}, "at most 200 characters (it has 201)"),
        ({"question": "a\0b"}, "Null characters are not allowed."),
        ({"description": "a\0b"}, "Null characters are not allowed."),
        ({"description": "x" * 5001}, "at most 5000 characters (it has 5001)"),
        ({"choices": ["Tea", "x" * 201]}, "This has 201 characters; 200 is the most."),
        ({"choices": ["Tea", "a\0b"]}, "This holds a character that belongs in no text (NUL)."),
        ({"opens_at": "junk"}, "Write it as in 2026-11-24 18:00."),
        ({"opens_at": "2126-13-01T00:00"}, "Write it as in 2026-11-24 18:00."),
        ({"closes_at": "2126-01-01T00:00+02:00"}, "Write it as in 2026-11-24 18:00."),
        ({"closes_at": "0001-01-01T00:00"}, "Choose a year from 1970 to 2199."),
        ({"closes_at": "9999-12-31T23:59"}, "Choose a year from 1970 to 2199."),
        ({"closes_at": "\0"}, "Write it as in 2026-11-24 18:00."),
        ({"closes_at": "2126-02-29 18:00"}, "There is no such day."),
        ({"closes_at": "2126-01-01T24:00"}, "Write 24:00 as 00:00 of the next day."),
        ({"closes_at": "2126-01-01T18:60"}, "There is no such time."),
        ({"closes_at": "2126-01-01T25:00"}, "There is no such time."),
        ({"closes_at": "2126-01-01"}, "Add the time."),
        ({"closes_at": "2126-01-01 18:00Z"}, "Leave the time zone out of the time"),
        ({"closes_at": "2126-01-01 18:00" + " " * 99 + "."}, "Write it as in"),
        ({"closes_at": "12/31/2126 6 pm"}, "Write it as in 2026-11-24 18:00."),
        ({"min_choices": ""}, "This is not a number."),
        ({"max_choices": "2e"}, "Write a number, such as 1."),
        ({"max_choices": ""}, "This is not a number."),
        ({"question": "\u3164\u2800"}, "Write the question first."),
        ({"question": "\u0301\u200d"}, "Write the question first."),
        ({"question": "Te" + "\u0301" * 9 + "a?"}, "more than 6 marks on one letter"),
        ({"description": "e" + "\u0316" * 7}, "more than 6 marks on one letter"),
        ({"choices": ["Te" + "\u0301" * 9 + "a", "Tee"]}, "more than 6 marks on one letter"),
        ({"closes_at": "2026-01-01T00:00"}, "That is past. Choose a later time."),
        (
            {"opens_at": "2126-01-02T00:00", "closes_at": "2126-01-01T00:00"},
            "The poll would close before it opens. Choose a later end.",
        ),
        (
            {"opens_at": "2126-01-02T00:00", "closes_at": "2126-01-02T00:00"},
            "The poll would close before it opens. Choose a later end.",
        ),
        ({"time_zone": "Mars/Base"}, "Choose a time zone of the list."),
        ({"time_zone": "../../etc/passwd"}, "Choose a time zone of the list."),
        ({"min_choices": "0"}, "Ask for one answer at least."),
        ({"min_choices": "2"}, "The fewest are 2; ask for no fewer here."),
        ({"max_choices": "3"}, "There are 2 choices; ask for no more."),
        ({"max_choices": "9" * 5000}, "Write a number, such as 1."),
        ({"max_choices": "99999999999999999999"}, "50 is the most."),
        ({"max_choices": "-1"}, "Ask for one answer at least."),
        ({"max_choices": "1.5"}, "Write a number, such as 1."),
        ({"results_for": "nobody"}, "Select a valid choice."),
    ],
    ids=lambda value: str(value)[:40],
)
def test_bad_input_is_said_beside_its_field(verified, fields, sentence):
    response = make(verified, **fields, **PUBLISH)
    refused(response, sentence)
    assert 'aria-invalid="true"' in response.text


def test_what_was_typed_is_kept_beside_the_fault(verified):
    fields = {
        "question": "",
        "description": "<b>Why</b>",
        "choices": ["Tea", "<i>Coffee</i>", "tea"],
        "opens_at": "2126-01-01T09:00",
        "time_zone": "Asia/Tokyo",
        "max_choices": "3",
        "may_change": None,
        "forgets_voters": "on",
    }
    text = make(verified, **fields).text
    for kept in ["&lt;b&gt;Why&lt;/b&gt;", 'value="&lt;i&gt;Coffee&lt;/i&gt;"', 'value="tea"']:
        assert kept in text
    assert 'value="2126-01-01T09:00"' in text
    assert '<option value="Asia/Tokyo" selected>' in text
    assert 'name="max_choices" value="3"' in text
    checked = re.findall(r'name="(\w+)"[^>]* checked', text)
    assert checked == ["results_for", "is_listed", "forgets_voters"]


@pytest.mark.parametrize(
    ("fields", "opened"),
    [
        ({"closes_at": "junk"}, [True, True]),
        # What decides the poll is never folded at first.
        ({"min_choices": "0"}, [False, True]),
        ({"opens_at": "2126-01-01T09:00", "question": ""}, [True, True]),
    ],
)
def test_dates_that_are_set_or_wrong_are_not_folded(verified, fields, opened):
    text = make(verified, **fields).text
    assert [part.startswith(" open>") for part in text.split("<details")[1:]] == opened


def test_a_beginning_in_the_past_means_now(clock, verified):
    make(verified, opens_at="2026-05-01T00:00", **PUBLISH)
    assert Poll.objects.get().opens_at == NOON


def test_a_time_that_the_clocks_skip_is_said(verified):
    fields = {"time_zone": "Europe/Berlin", "closes_at": "2126-03-31T02:30"}
    refused(make(verified, **fields), "are set forward and skip 02:30")


def test_a_time_that_the_clocks_show_twice_is_said(verified):
    fields = {"time_zone": "Europe/Berlin", "closes_at": "2126-10-27T02:30"}
    refused(make(verified, **fields), "show 02:30 twice")


def test_more_choices_shows_more_rows_and_loses_nothing(verified):
    fields = {"choices": ["Tea", "", "tea", "x" * 201], "closes_at": "junk", "question": ""}
    response = make(verified, **fields, is_listed=None, more="1")
    assert response.status_code == 200
    assert response.text.count('name="choices"') == 9
    for kept in ['value="Tea"', 'value="tea"', f'value="{"x" * 201}"', 'value="junk"']:
        assert kept in response.text
    assert "aria-invalid" not in response.text
    assert response.text.split('name="is_listed"')[1].split(">")[0].count("checked") == 0
    assert response.text.split('name="may_change"')[1].split(">")[0].count("checked") == 1
    assert not Poll.objects.exists()


def test_more_choices_stop_at_50_rows(verified):
    response = make(verified, choices=[f"No. {n}" for n in range(48)], more="1")
    assert response.text.count('name="choices"') == 50


def test_the_zone_is_guessed_on_a_form_that_is_begun_only(verified):
    assert "data-guess" in verified.get(NEW).text
    assert "data-guess" not in make(verified, question="").text
    assert "data-guess" not in make(verified, more="1").text


def test_so_many_polls_a_day_are_enough(clock, verified, settings):
    settings.POLLS_PER_DAY = 2
    make(verified, **PUBLISH)
    make(verified)
    response = make(verified, choices=["Tea", "Water"], **PUBLISH)
    assert response.status_code == 429
    assert response["Retry-After"] == str(12 * 3600)
    assert "at most 2 polls a day. Please try again in 12 hours." in response.text
    assert "<title>Error: Make a poll · Pollstr</title>" in response.text
    assert 'value="Water"' in response.text
    assert Poll.objects.count() == 2
    clock.shift(12 * 3600)
    assert make(verified).status_code == 302


def test_a_form_with_a_fault_does_not_count(verified, settings):
    settings.POLLS_PER_DAY = 1
    for fields in [{"question": ""}, {"more": "1"}]:
        make(verified, **fields)
    assert make(verified).status_code == 302


def test_where_none_may_be_made_only_those_with_the_permission_make_them(client, settings):
    settings.POLLS_PER_DAY = 0
    poll = PollFactory()
    for browser, pages in [(people.signed_in(poll), 403), (people.verified(poll), 403)]:
        for response in [browser.get(NEW), make(browser, **PUBLISH)]:
            assert response.status_code == pages
            assert "only people chosen by the site team make polls" in response.text
    chosen = people.verified(poll)
    permission = Permission.objects.get(codename="add_poll")
    get_user_model().objects.get(pk=chosen.session["_auth_user_id"]).user_permissions.add(
        permission
    )
    for browser in [chosen, people.staff(poll)]:
        assert browser.get(NEW).status_code == 200
        assert make(browser, **PUBLISH).status_code == 302
    assert Poll.objects.count() == 3
    page = client.get(client.get(NEW)["Location"]).text
    assert "On this site only people chosen by the site team make polls." in page


def test_no_copy_is_made_without_the_permission(verified, user, settings):
    settings.POLLS_PER_DAY = 0
    poll = PollFactory(author=user)
    assert verified.post(reverse("polls:copy", args=[poll.pk])).status_code == 403
    assert Poll.objects.count() == 1
    assert "/polls/new/" not in verified.get(reverse("polls:mine")).text.split("<main")[1]


def test_a_superuser_makes_as_many_as_needed(settings):
    settings.POLLS_PER_DAY = 1
    browser = people.staff(PollFactory())
    for _poll in range(3):
        assert make(browser, **PUBLISH).status_code == 302


def test_before_signing_in_it_is_said_what_it_takes(client):
    page = client.get(client.get(NEW)["Location"]).text
    assert "To make a poll, sign in or register, then verify your phone number" in page


def test_a_poll_without_an_end_is_said_to_have_none(verified):
    for closes_at, is_said in [("", True), ("2126-01-01T12:00", False)]:
        response = make(verified, closes_at=closes_at, **PUBLISH)
        said = "It has no end: it stays open until you close it."
        assert (said in verified.get(response["Location"]).text) is is_said


def test_the_limit_is_a_users_own(verified, settings):
    settings.POLLS_PER_DAY = 1
    make(verified)
    assert make(people.verified(PollFactory())).status_code == 302


def test_the_anonymous_sign_in_first(client):
    for response in [client.get(NEW), client.post(NEW, typed())]:
        assert response.status_code == 302
        assert response["Location"] == "/login/?next=/polls/new/"
    assert not Poll.objects.exists()


def test_whoever_is_not_verified_proves_a_phone_first(signed_in):
    for response in [signed_in.get(NEW), signed_in.post(NEW, typed())]:
        assert response.status_code == 302
        assert response["Location"] == "/2fa/?next=%2Fpolls%2Fnew%2F"
    assert not Poll.objects.exists()


def test_what_was_typed_outlives_the_proof(verified, user):
    session = verified.session
    flag = session.pop("verified")
    session.save()
    fields = {"question": "Typed for an hour?", "choices": ["Tea", "Coffee"], "may_change": None}
    make(verified, **fields)
    session = verified.session
    session["verified"] = flag
    session.save()
    text = verified.get(NEW).text
    assert 'value="Typed for an hour?"' in text
    assert 'value="Coffee"' in text
    assert "checked" not in text.split('name="may_change"')[1].split(">")[0]
    make(verified, **fields)
    assert Poll.objects.get().question == "Typed for an hour?"
    assert "Typed for an hour?" not in verified.get(NEW).text


def test_no_more_is_kept_than_a_poll_can_hold(signed_in):
    make(signed_in, description="x" * MAX_TYPED_BYTES)
    assert TYPED not in signed_in.session


def test_it_takes_no_other_method(verified):
    response = verified.put(NEW)
    assert response.status_code == 405
    assert response["Allow"] == "GET, POST, HEAD, OPTIONS"


def test_it_needs_its_token(verified):
    verified.handler.enforce_csrf_checks = True
    assert make(verified).status_code == 403
    assert not Poll.objects.exists()


def test_everybody_finds_the_way(client):
    assert 'href="/polls/new/">Make a poll</a>' in client.get("/polls/").text
    assert "My polls" not in client.get("/polls/").text


@pytest.mark.parametrize("browser", ["client", "signed_in", "verified"])
def test_where_none_may_be_made_no_page_leads_there(request, settings, browser):
    settings.POLLS_PER_DAY = 0
    browser = request.getfixturevalue(browser)
    closed = PollFactory(closes_at=timezone.now())
    for path in ["/polls/", "/polls/?show=closed", f"/p/{closed.slug}/", "/terms/"]:
        text = browser.get(path).text
        assert "/polls/new/" not in text
        assert "Make one" not in text


def test_those_with_the_permission_find_the_way_from_their_own_polls(verified, user, settings):
    settings.POLLS_PER_DAY = 0
    user.user_permissions.add(Permission.objects.get(codename="add_poll"))
    text = verified.get("/polls/").text
    assert 'href="/polls/mine/">My polls</a>' in text
    assert 'href="/polls/new/">Make a poll</a>' in verified.get("/polls/mine/").text


def test_whoever_is_signed_in_finds_their_polls(signed_in):
    text = signed_in.get("/polls/").text
    assert 'href="/polls/new/">Make a poll</a>' in text
    assert 'href="/polls/mine/">My polls</a>' in text


def test_an_end_soon_is_taken_to_the_minute(verified):
    soon = timezone.now() + timedelta(minutes=5)
    make(verified, closes_at=f"{soon:%Y-%m-%dT%H:%M}", **PUBLISH)
    assert Poll.objects.get().closes_at == soon.replace(second=0, microsecond=0)
