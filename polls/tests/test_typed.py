"""What was typed into the form of a poll is never lost on the way to saving it."""

import re
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from conftest import verify
from polls import authoring, typed_forms, views
from polls.models import Ballot, Change, Poll, Report
from two_factor.tests.factories import TwoFactorFactory

from . import people
from .factories import PollFactory
from .making import typed, typed_locked

pytestmark = pytest.mark.django_db
NEW = reverse("polls:new")
FIELDS = {"question": "An hour’s work?", "choices": ["Tea", "Tee"], "description": "One\r\ntwo"}


def hidden(response, name):
    found = re.search(rf'name="{name}" value="([^"]*)"', response.text)
    return found and found[1]


def enter(browser, two_factor):
    browser.force_login(two_factor.user)
    verify(browser, two_factor)


def sign_out(browser):
    del browser.cookies["sessionid"]


def shows_what_was_typed(response):
    for kept in ['value="An hour’s work?"', 'value="Tea"', 'value="Tee"', "One\r\ntwo</textarea>"]:
        assert kept in response.text


def test_a_new_poll_outlives_a_session_that_ended(verified, two_factor):
    writer = hidden(verified.get(NEW), "writer")
    sign_out(verified)
    response = verified.post(NEW, typed(**FIELDS, writer=writer, publish="1"))
    assert response["Location"] == "/login/?next=/polls/new/"
    assert "What you typed is kept." in verified.get(response["Location"]).text
    enter(verified, two_factor)
    shows_what_was_typed(verified.get(NEW))
    assert not Poll.objects.exists()


def test_an_edit_outlives_it_too(verified, user, two_factor):
    poll = PollFactory(author=user)
    path = reverse("polls:edit", args=[poll.pk])
    page = verified.get(path)
    sign_out(verified)
    sent = typed(**FIELDS, writer=hidden(page, "writer"), version=hidden(page, "version"))
    verified.post(path, sent)
    enter(verified, two_factor)
    shows_what_was_typed(verified.get(path))
    # And what was saved meanwhile is not undone by it.
    Poll.objects.update(question="Changed meanwhile?")
    version = hidden(verified.get(path), "version")
    assert verified.post(path, typed(**FIELDS, version=version)).status_code == 409


def test_it_is_for_nobody_else(verified, user):
    writer = hidden(verified.get(NEW), "writer")
    sign_out(verified)
    verified.post(NEW, typed(**FIELDS, writer=writer))
    other = people.verified(PollFactory())
    enter(verified, type(user).objects.get(pk=other.session["_auth_user_id"]).two_factor)
    assert "An hour" not in verified.get(NEW).text


@pytest.mark.parametrize("writer", ["junk", "NQ:1abc:xyz", "\0", "x" * 5000])
def test_what_names_its_writer_badly_is_for_nobody(client, two_factor, writer):
    client.post(NEW, typed(**FIELDS, writer=writer))
    enter(client, two_factor)
    assert "An hour" not in client.get(NEW).text


def test_another_page_shows_none_of_it(client, user, two_factor):
    client.post(NEW, typed(**FIELDS))
    enter(client, two_factor)
    poll = PollFactory(author=user)
    assert "An hour" not in client.get(reverse("polls:edit", args=[poll.pk])).text


@pytest.mark.parametrize(
    "fields",
    [
        {"description": "x" * typed_forms.MAX_TYPED_BYTES},
        {"description": "猫" * (typed_forms.MAX_TYPED_BYTES // 3)},
        {"choices": ["x" * 1000] * 200},
    ],
    ids=["long", "wide", "many"],
)
def test_no_more_is_kept_than_a_poll_can_hold(client, fields):
    response = client.post(NEW, typed(**fields))
    assert "We could not keep what you typed." in client.get(response["Location"]).text
    assert typed_forms.TYPED not in client.session


def test_the_longest_poll_is_kept(client, two_factor):
    fields = {"description": "猫" * 5000, "choices": [f"{n} " + "猫" * 190 for n in range(50)]}
    client.post(NEW, typed(**fields))
    enter(client, two_factor)
    assert "49 " + "猫" * 190 in client.get(NEW).text


def test_nothing_typed_makes_no_session(client):
    client.post(NEW, {"question": " ", "choices": ["", " "]})
    assert not Session.objects.exists()


def test_strangers_of_one_address_leave_so_much_an_hour(monkeypatch):
    monkeypatch.setattr(typed_forms.TYPED_POLLS, "most", 3)
    for _visit in range(6):
        Client().post(NEW, typed(**FIELDS))
    assert Session.objects.count() == 3


def test_what_an_earlier_release_kept_is_left_alone(verified):
    session = verified.session
    session[typed_forms.TYPED] = {NEW: "question=Tea%3F"}
    session.save()
    assert verified.get(NEW).status_code == 200


# --- A form whose token does not hold ----------------------------------------------------------


@pytest.fixture
def strict(verified):
    verified.handler.enforce_csrf_checks = True
    verified.get(NEW)
    return verified


def send(browser, path=NEW, headers=None, **fields):
    fields = FIELDS | {"csrfmiddlewaretoken": "x" * 64} | fields
    return browser.post(path, typed(**fields), headers=headers or {})


def test_a_page_with_an_old_token_is_shown_again_and_can_be_sent(strict):
    response = send(strict, publish="1")
    assert response.status_code == 403
    shows_what_was_typed(response)
    assert "Please send it again." in response.text
    assert "reload" not in response.text.lower()
    assert not Poll.objects.exists()
    token = hidden(response, "csrfmiddlewaretoken")
    assert send(strict, csrfmiddlewaretoken=token, publish="1").status_code == 302
    assert Poll.objects.get().question == "An hour’s work?"


def test_after_signing_out_elsewhere_it_can_still_be_sent(strict, two_factor):
    sign_out(strict)
    response = send(strict)
    assert response.status_code == 403
    shows_what_was_typed(response)
    token = hidden(response, "csrfmiddlewaretoken")
    assert send(strict, csrfmiddlewaretoken=token)["Location"] == "/login/?next=/polls/new/"
    enter(strict, two_factor)
    shows_what_was_typed(strict.get(NEW))


@pytest.mark.parametrize("has_votes", [False, True])
def test_an_edit_is_shown_again_and_can_be_sent(strict, user, has_votes):
    poll = PollFactory(author=user, question="Tee?", choices=["Yes", "No"])
    path = reverse("polls:edit", args=[poll.pk])
    sent = typed(question="Tea?", choices=["Yes", "No"])
    if has_votes:
        Ballot.objects.cast(poll, "+12025550199", [poll.choices.first().pk])
        sent = typed_locked(poll, question="Tée?")
    response = strict.post(path, sent | {"csrfmiddlewaretoken": "x" * 64})
    assert response.status_code == 403
    assert f'value="{sent["question"]}"' in response.text
    assert ("opens_at" in response.text) is not has_votes
    assert "<h1>Edit this poll</h1>" in response.text
    assert ">Publish<" not in response.text
    token = hidden(response, "csrfmiddlewaretoken")
    assert strict.post(path, sent | {"csrfmiddlewaretoken": token}).status_code == 302
    poll.refresh_from_db()
    assert poll.question == sent["question"]


def test_without_cookies_it_is_said(verified):
    verified.handler.enforce_csrf_checks = True
    response = send(verified)
    assert response.status_code == 403
    assert "Your browser sent no cookie with this form" in response.text
    shows_what_was_typed(response)


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"referer": "https://evil.example/page"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
    ids=str,
)
def test_what_another_site_sent_is_not_shown(strict, headers):
    response = send(strict, headers=headers)
    assert response.status_code == 403
    assert "An hour" not in response.text
    assert "This form came from another site" in response.text


def test_another_persons_poll_is_not_told(strict):
    poll = PollFactory(question="A secret?", published_at=None)
    response = send(strict, reverse("polls:edit", args=[poll.pk]))
    assert response.status_code == 403
    assert "secret" not in response.text


# --- Short forms about one poll ----------------------------------------------------------------

OWN_PAGE = {"origin": "http://testserver"}


def poll_to_reopen(user):
    return PollFactory(author=user, closes_at=timezone.now() - timedelta(hours=1))


SHORT = {
    "report": (
        lambda user: PollFactory(),
        {"reason": "spam", "words": "It sells watches."},
        ["It sells watches.</textarea>", 'value="spam"[^>]* checked'],
    ),
    "reopen": (
        poll_to_reopen,
        {"closes_at": "2126-07-01T12:00", "reason": "Ann was away."},
        ['value="Ann was away."', 'value="2126-07-01T12:00"'],
    ),
}


@pytest.fixture(params=SHORT)
def short(request, user):
    make, fields, shown = SHORT[request.param]
    path = reverse(f"polls:{request.param}", args=[make(user).pk])
    return SimpleNamespace(path=path, fields=fields, shown=shown)


def shows(response, patterns):
    return all(re.search(pattern, response.text) for pattern in patterns)


def nothing_happened():
    return not Report.objects.exists() and not Change.objects.exists()


def test_a_short_form_with_an_old_token_is_shown_again_and_can_be_sent(strict, short):
    stale = short.fields | {"csrfmiddlewaretoken": "x" * 64}
    response = strict.post(short.path, stale, headers=OWN_PAGE)
    assert response.status_code == 403
    assert "Please send it again." in response.text
    assert shows(response, short.shown)
    assert nothing_happened()
    token = hidden(response, "csrfmiddlewaretoken")
    sent = strict.post(short.path, short.fields | {"csrfmiddlewaretoken": token})
    assert sent.status_code == 302
    assert not nothing_happened()


def test_a_short_form_outlives_the_end_of_the_session(verified, two_factor, short):
    writer = hidden(verified.get(short.path), "writer")
    sign_out(verified)
    response = verified.post(short.path, short.fields | {"writer": writer})
    assert response["Location"] == f"/login/?next={short.path}"
    enter(verified, two_factor)
    assert shows(verified.get(short.path), short.shown)
    assert verified.post(short.path, short.fields).status_code == 302
    assert typed_forms.TYPED not in verified.session


def test_a_short_form_is_for_nobody_else(verified, short):
    writer = hidden(verified.get(short.path), "writer")
    sign_out(verified)
    verified.post(short.path, short.fields | {"writer": writer})
    other = TwoFactorFactory(user__is_superuser=True, user__is_staff=True)
    enter(verified, other)
    response = verified.get(short.path)
    assert response.status_code == 200
    assert not shows(response, short.shown[:1])


def test_a_short_form_of_before_signing_out_is_kept_on_the_way_back(strict, two_factor, short):
    sign_out(strict)
    stale = short.fields | {"csrfmiddlewaretoken": "x" * 64}
    response = strict.post(short.path, stale, headers=OWN_PAGE)
    assert response["Location"] == f"/login/?next={short.path}"
    enter(strict, two_factor)
    assert shows(strict.get(short.path), short.shown)


@pytest.mark.parametrize("headers", [{}, {"origin": "https://evil.example"}], ids=["none", "evil"])
def test_a_short_form_that_no_page_of_ours_sent_is_not_shown(strict, short, headers):
    stale = short.fields | {"csrfmiddlewaretoken": "x" * 64}
    response = strict.post(short.path, stale, headers=headers)
    assert response.status_code == 403
    assert not shows(response, short.shown[:1])
    assert not shows(strict.get(short.path), short.shown[:1])


def test_an_old_token_opens_no_poll_by_guessing(strict, monkeypatch):
    monkeypatch.setattr(views.FAILED_LOOKUPS, "most", 3)
    poll = PollFactory(question="A secret?", is_listed=False)
    path = reverse("polls:report", args=[poll.pk])
    stale = {"reason": "spam", "csrfmiddlewaretoken": "x" * 64}
    assert strict.post(path, stale, headers=OWN_PAGE).status_code == 404
    for _guess in range(4):
        strict.post(f"{path}?link=guessed", stale, headers=OWN_PAGE)
    assert strict.post(f"{path}?link={poll.slug}", stale, headers=OWN_PAGE).status_code == 429


def test_the_reason_of_a_reopening_too_many_is_kept(verified, user, monkeypatch):
    monkeypatch.setattr(authoring, "MAX_CHANGES_PER_HOUR", 0)
    poll = PollFactory(author=user)
    Ballot.objects.cast(poll, "+12025550199", [poll.choices.first().pk])
    Poll.objects.update(closes_at=timezone.now())
    response = verified.post(reverse("polls:reopen", args=[poll.pk]), SHORT["reopen"][1])
    assert response.status_code == 429
    assert shows(response, SHORT["reopen"][2])
    assert nothing_happened()


# --- The same form twice -----------------------------------------------------------------------


def test_a_second_click_makes_no_second_poll(verified):
    nonce = hidden(verified.get(NEW), "nonce")
    first = verified.post(NEW, typed(**FIELDS, nonce=nonce, publish="1"))
    second = verified.post(NEW, typed(**FIELDS, nonce=nonce, publish="1"))
    assert first["Location"] == second["Location"]
    assert Poll.objects.count() == 1


def test_a_second_click_is_no_poll_of_the_day(verified, settings):
    settings.POLLS_PER_DAY = 2
    for nonce in ["a" * 22, "a" * 22, "b" * 22]:
        assert verified.post(NEW, typed(**FIELDS, nonce=nonce)).status_code == 302
    assert Poll.objects.count() == 2


def test_a_draft_that_is_sent_again_to_publish_it_is_published(verified):
    for button in [{}, {"publish": "1"}, {}]:
        verified.post(NEW, typed(**FIELDS, nonce="n" * 22, **button))
    assert not Poll.objects.get().is_draft


def test_a_draft_whose_end_is_past_is_not_published_again(verified):
    sent = typed(**FIELDS, nonce="n" * 22, closes_at="2126-01-01T00:00")
    verified.post(NEW, sent)
    past = timezone.now() - timedelta(minutes=1)
    Poll.objects.update(opens_at=past - timedelta(hours=1), closes_at=past)
    assert verified.post(NEW, sent | {"publish": "1"}).status_code == 302
    assert [poll.is_open for poll in Poll.objects.order_by("pk")] == [False, True]


def test_a_draft_that_was_edited_meanwhile_is_not_published_in_its_place(verified):
    sent = typed(**FIELDS, nonce="n" * 22)
    verified.post(NEW, sent)
    Poll.objects.update(question="Edited?")
    verified.post(NEW, sent | {"publish": "1"})
    polls = [(poll.question, poll.is_draft) for poll in Poll.objects.order_by("pk")]
    assert polls == [("Edited?", True), (FIELDS["question"], False)]


def test_another_text_is_another_poll(verified):
    for question in ["Tea?", "Coffee?"]:
        verified.post(NEW, typed(question=question, nonce="n" * 22))
    assert Poll.objects.count() == 2


def test_a_poll_in_the_trash_can_be_made_again(verified):
    for _click in range(2):
        assert verified.post(NEW, typed(**FIELDS, nonce="n" * 22)).status_code == 302
        Poll.objects.filter(trashed_at=None).first().trash()
    assert Poll.objects.count() == 2


def test_the_same_form_of_two_people_makes_two_polls(verified):
    for browser in [verified, people.verified(PollFactory(question="Other?"))]:
        browser.post(NEW, typed(**FIELDS, nonce="n" * 22))
    assert Poll.objects.filter(question="An hour’s work?").count() == 2


def test_without_a_nonce_each_form_makes_a_poll(verified):
    for _click in range(2):
        verified.post(NEW, typed(**FIELDS))
    assert Poll.objects.count() == 2


@pytest.mark.parametrize("name", ["nonce", "version", "writer"])
@pytest.mark.parametrize("value", ["\0", "x" * 9000, "é"])
def test_what_a_form_says_about_itself_is_no_fault_of_the_author(verified, name, value):
    assert verified.post(NEW, typed(**FIELDS, **{name: value})).status_code in {302, 409}
