import re
from urllib.parse import urlencode

import pytest
from django.test import Client
from django.urls import reverse

from polls.models import Vote
from polls.tests.factories import PollFactory
from two_factor.models import TwoFactor

from .factories import UserFactory
from .pages import field_errors, page, sentences

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock", "sandbox")]
CREATE, CONFIRM = reverse("two_factor:create"), reverse("two_factor:confirm")
NUMBER = "+1 202 555 0123"
CALM = {200, 302, 400, 404, 405, 409, 429}


@pytest.fixture
def poll():
    return PollFactory(question="Tea or coffee?", choices=["Tea", "Coffee"])


def hidden_next(response) -> str:
    return re.search(r'name="next" value="([^"]*)"', page(response))[1]


def shown_code(response) -> str:
    return re.search(r'id="sandbox-code">(\d+)<', page(response))[1]


def wrong(code) -> str:
    return "111111" if code != "111111" else "222222"


def send_number(browser, next_url="/polls/"):
    return browser.post(CREATE, {"number": NUMBER, "next": next_url}, follow=True)


def test_from_a_choice_to_a_counted_vote(client, poll):
    UserFactory(username="test", password="test1234")
    tea = poll.choices.get(text="Tea")
    page_of_polls = client.get(reverse("polls:list"))
    picked = f"{poll.get_absolute_url()}?choice={tea.pk}"
    assert f'href="{picked}"' in page(page_of_polls)

    ballot_url = poll.get_absolute_url()
    from_list = {"referer": "http://testserver/polls/"}
    login_page = client.get(picked, follow=True, headers=from_list)
    assert hidden_next(login_page) == ballot_url
    login = {"username": "test", "password": "test1234", "next": ballot_url}
    phone_page = client.post(reverse("login"), login, follow=True)
    assert hidden_next(phone_page) == ballot_url

    code_page = send_number(client, hidden_next(phone_page))
    code = shown_code(code_page)
    typed = {"code": wrong(code), "next": hidden_next(code_page)}
    again = client.post(CONFIRM, typed, follow=True)
    assert "That is not the code" in field_errors(again)

    ballot = client.post(CONFIRM, {"code": code, "next": hidden_next(again)}, follow=True)
    assert ballot.redirect_chain == [(ballot_url, 302)]
    assert f'value="{tea.pk}" checked' in page(ballot)

    results = client.post(reverse("polls:vote", args=[poll.pk]), {"choice": tea.pk}, follow=True)
    assert "Your vote is counted." in sentences(results)
    assert "1 vote · 100 %" in page(results)
    assert [vote.choice for vote in Vote.objects.all()] == [tea]


def test_the_second_browser_votes_with_the_same_number(signed_in, second_browser, poll, clock):
    code = shown_code(send_number(signed_in))
    signed_in.post(CONFIRM, {"code": code})
    clock.shift(60)
    code_page = second_browser.post(CREATE, {"next": poll.get_absolute_url()}, follow=True)
    second_browser.post(CONFIRM, {"code": shown_code(code_page)})
    for browser, choice in zip([signed_in, second_browser], poll.choices.all(), strict=True):
        browser.post(reverse("polls:vote", args=[poll.pk]), {"choice": choice.pk})
    assert [vote.choice.text for vote in Vote.objects.all()] == ["Coffee"]


def test_a_second_account_cannot_vote_with_the_same_number(signed_in, poll, clock):
    signed_in.post(CONFIRM, {"code": shown_code(send_number(signed_in))})
    other = Client()
    other.force_login(UserFactory())
    response = other.post(CONFIRM, {"code": shown_code(send_number(other))}, follow=True)
    assert "votes with another account already" in sentences(response)
    assert other.get(poll.get_absolute_url())["Location"].startswith("/2fa/")


def test_a_corrected_number_gets_the_code(signed_in, user, clock):
    signed_in.post(CREATE, {"number": "+1 202 555 0199"})
    clock.shift(30)
    signed_in.post(reverse("two_factor:cancel"))
    signed_in.post(CONFIRM, {"code": shown_code(send_number(signed_in))})
    assert TwoFactor.objects.get(user=user).number == "+12025550123"


def test_the_code_of_the_call_counts_and_that_of_the_message_no_more(signed_in, clock):
    first = shown_code(send_number(signed_in))
    clock.shift(30)
    called = shown_code(signed_in.post(reverse("two_factor:call"), follow=True))
    answer = signed_in.post(CONFIRM, {"code": first}, follow=True)
    assert "That is not the code" in field_errors(answer)
    assert signed_in.post(CONFIRM, {"code": called}).status_code == 302


def test_the_call_that_follows_by_itself_brings_a_code_that_counts(signed_in, clock):
    send_number(signed_in)
    clock.shift(180)
    code_page = signed_in.get(reverse("two_factor:verify"))
    assert "A call reads 6 digits" in page(code_page)
    assert signed_in.post(CONFIRM, {"code": shown_code(code_page)}).status_code == 302


def test_the_resent_code_counts(signed_in, clock):
    send_number(signed_in)
    clock.shift(30)
    resent = shown_code(signed_in.post(reverse("two_factor:resend"), follow=True))
    assert signed_in.post(CONFIRM, {"code": resent}).status_code == 302


def test_after_three_wrong_codes_another_one_can_be_asked_for(signed_in, clock):
    code = shown_code(send_number(signed_in))
    for _ in range(3):
        response = signed_in.post(CONFIRM, {"code": wrong(code)}, follow=True)
    assert "This code no longer works" in sentences(response)
    clock.shift(30)
    assert signed_in.post(CONFIRM, {"code": shown_code(send_number(signed_in))}).status_code == 302


def test_two_tabs_share_the_code_under_way(signed_in):
    in_first_tab = shown_code(send_number(signed_in))
    in_second_tab = shown_code(send_number(signed_in))
    assert in_first_tab == in_second_tab
    signed_in.post(CONFIRM, {"code": in_first_tab})
    assert signed_in.post(CONFIRM, {"code": in_second_tab, "next": "/polls/"})["Location"] == (
        "/polls/"
    )


# What people, and those who try the site out, may do in any order.
STEPS = {
    "look at the number": ("get", "two_factor:phone", {}),
    "send a number": ("post", "two_factor:create", {"number": NUMBER}),
    "send another number": ("post", "two_factor:create", {"number": "+1 202 555 0124"}),
    "send no number": ("post", "two_factor:create", {}),
    "look at the code": ("get", "two_factor:verify", {}),
    "send a wrong code": ("post", "two_factor:confirm", {"code": "000000"}),
    "send no code": ("post", "two_factor:confirm", {}),
    "be called": ("post", "two_factor:call", {}),
    "have it resent": ("post", "two_factor:resend", {}),
    "cancel": ("post", "two_factor:cancel", {}),
    "sign out": ("post", "logout", {}),
}
BEFORE = {
    "nothing": [],
    "a code under way": ["send a number"],
    "a code under way for a while": ["send a number", "wait"],
    "a call under way": ["send a number", "wait", "be called"],
    "an expired code": ["send a number", "wait", "wait", "wait", "wait", "wait", "wait", "wait"],
    "a wrong number": ["send a number", "cancel"],
    "a void code": ["send a number", *["send a wrong code"] * 3],
    "a verified browser": ["send a number", "send the code"],
    "signed out meanwhile": ["send a number", "sign out"],
}


def take(browser, step, clock):
    if step == "wait":
        return clock.shift(60)
    if step == "send the code":
        code_page = browser.get(reverse("two_factor:verify"))
        return browser.post(CONFIRM, {"code": shown_code(code_page)})
    method, name, data = STEPS[step]
    return getattr(browser, method)(reverse(name), data)


def assert_calm(response, browser):
    assert response.status_code in CALM
    while response.status_code == 302:
        response = browser.get(response["Location"])
    assert response.status_code in CALM
    assert "<h1>" in page(response)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("before", BEFORE)
def test_every_step_at_any_time_twice_is_answered_by_a_page(signed_in, clock, before, step):
    for earlier in BEFORE[before]:
        take(signed_in, earlier, clock)
    for _ in range(2):
        assert_calm(take(signed_in, step, clock), signed_in)


NAMES = ["phone", "create", "verify", "confirm", "call", "resend", "cancel", "recover"]
NAMES_FOR_THE_VERIFIED = ["recovery_codes", "change", "recover", "create", "confirm"]


@pytest.mark.parametrize("junk", ["", "\0", "a" * 10_000, "٣٤٥", "<script>", "../../", "%00%ff"])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("method", ["get", "post"])
def test_junk_in_every_field_is_answered_by_a_page(signed_in, method, name, junk):
    send_number(signed_in)
    url = f"{reverse(f'two_factor:{name}')}?{urlencode({'next': junk})}"
    fields = {"number": [junk] * 2, "code": [junk] * 2, "next": junk, "choice": junk}
    assert_calm(getattr(signed_in, method)(url, fields), signed_in)


@pytest.mark.parametrize("junk", ["", "\0", "a" * 10_000, "٣٤٥", "<script>", "../../", "%00%ff"])
@pytest.mark.parametrize("name", NAMES_FOR_THE_VERIFIED)
@pytest.mark.parametrize("method", ["get", "post"])
def test_junk_from_the_verified_is_answered_by_a_page(verified, method, name, junk):
    url = f"{reverse(f'two_factor:{name}')}?{urlencode({'next': junk})}"
    fields = {"number": [junk] * 2, "code": [junk] * 2, "password": [junk] * 2, "next": junk}
    assert_calm(getattr(verified, method)(url, fields), verified)


@pytest.mark.parametrize(
    "name", ["create", "confirm", "call", "resend", "cancel", "recover", "change"]
)
def test_no_step_takes_a_form_of_another_site(user, name):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(user)
    assert browser.post(reverse(f"two_factor:{name}"), {"number": NUMBER}).status_code == 403
