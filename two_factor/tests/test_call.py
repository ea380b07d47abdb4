import pytest
from django.urls import reverse

from two_factor.models import CHANNEL_TIMEOUT, Limit, Verification
from two_factor.steps import EXPIRED
from two_factor.views import (
    CALLED_ALREADY,
    NOT_SENT_YET,
    OWNERS_TROUBLE,
    REFUSED_CALL,
    UNCLEAR_CALL,
)

from .pages import page, sentences
from .vonage import PROBLEM, PROVIDERS_WORDS, REFUSALS, REQUEST_ID, UNCLEAR

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]
URL = reverse("two_factor:call")
CODE_PAGE = "/2fa/verify/?next=%2Fpolls%2F1%2F"
TROUBLES = {**REFUSALS, 422: {"status": 422, "json": PROBLEM}, **UNCLEAR}


@pytest.fixture
def waited(awaiting_code, clock):
    """A browser in which a code is under way, and another may be asked for."""
    clock.shift(30)
    return awaiting_code


def call(browser, follow=False, **data):
    return browser.post(URL, {"next": "/polls/1/", **data}, follow=follow)


def test_it_has_vonage_take_the_next_step(waited, vonage):
    assert call(waited)["Location"] == CODE_PAGE
    assert vonage.paths == [f"/v2/verify/{REQUEST_ID}/next_workflow"]


def test_the_code_page_then_speaks_of_a_call(waited):
    response = waited.post(URL, follow=True)
    assert "We are calling you now." in sentences(response)
    assert "A call reads 6 digits" in page(response)
    assert "Call me instead" not in page(response)


def test_its_code_lives_from_now_on_for_one_step(waited, clock):
    call(waited)
    clock.shift(CHANNEL_TIMEOUT - 1)
    assert waited.get(CODE_PAGE).status_code == 200
    clock.shift(1)
    assert waited.get(CODE_PAGE).status_code == 302


def test_an_empty_200_is_enough_of_an_answer(waited, vonage):
    vonage.next_step(200, body="<h1>OK</h1>")
    assert call(waited)["Location"] == CODE_PAGE


def test_the_anonymous_sign_in_first(client, vonage):
    assert call(client)["Location"] == "/login/?next=/polls/1/"
    assert vonage.calls == []


def test_without_a_code_under_way_it_goes_back_to_the_number(signed_in, vonage):
    response = signed_in.post(URL, follow=True)
    assert EXPIRED in sentences(response)
    assert vonage.calls == []


def test_after_expiry_it_goes_back_to_the_number(awaiting_code, vonage, clock):
    clock.shift(2 * CHANNEL_TIMEOUT)
    assert EXPIRED in sentences(awaiting_code.post(URL, follow=True))
    assert vonage.calls == []


def test_the_verified_go_on(verified, vonage):
    assert call(verified)["Location"] == "/polls/1/"
    assert vonage.calls == []


@pytest.mark.parametrize("method", ["get", "head"])
def test_looked_at_it_leads_to_the_page_with_its_form(waited, vonage, method):
    response = getattr(waited, method)(URL, {"next": "/polls/1/"})
    assert (response.status_code, response["Location"]) == (302, CODE_PAGE)
    assert "no-store" in response["Cache-Control"]
    assert vonage.calls == []


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_it_only_takes_a_form(waited, vonage, method):
    assert getattr(waited, method)(URL).status_code == 405
    assert vonage.calls == []


@pytest.mark.parametrize("next_url", ["", "//elsewhere.test/", "\0", "a" * 10_000, "/2fa/call/"])
def test_junk_for_a_next_becomes_the_list_of_polls(waited, next_url):
    assert call(waited, next=next_url)["Location"] == "/2fa/verify/?next=%2Fpolls%2F"


def test_in_the_first_30_seconds_it_says_how_long_to_wait(awaiting_code, vonage, clock):
    clock.shift(29)
    response = call(awaiting_code)
    assert (response.status_code, response["Retry-After"]) == (429, "1")
    assert "Please try again in 1 second." in sentences(response)
    assert vonage.calls == []


def test_a_second_click_is_not_a_second_call(waited, vonage):
    call(waited)
    response = call(waited)
    assert (response.status_code, response["Retry-After"]) == (429, "60")
    assert "Please try again in 60 seconds." in sentences(response)
    assert vonage.calls == ["next_step"]


def test_it_counts_as_a_send(waited, vonage, settings):
    settings.VERIFY_SENDS_PER_NUMBER = 1
    response = call(waited)
    assert response.status_code == 429
    assert "Too many codes were asked for." in sentences(response)
    assert vonage.calls == []


def test_an_unfinished_start_cannot_be_called(signed_in, vonage):
    signed_in.post(reverse("two_factor:create"), {"number": "+12025550123"})
    Verification.objects.update(request_id=None)
    assert NOT_SENT_YET in sentences(call(signed_in, follow=True))
    assert vonage.calls == ["start"]


def test_while_voting_is_paused_nothing_is_called(waited, vonage, settings):
    settings.VONAGE_API_KEY = ""
    assert "Voting is paused" in sentences(waited.post(URL, follow=True))
    assert vonage.calls == []


@pytest.mark.parametrize("answer", TROUBLES.values(), ids=map(str, TROUBLES))
def test_when_vonage_has_trouble_the_code_page_says_so(waited, vonage, answer):
    vonage.next_step(**answer)
    response = call(waited, follow=True)
    assert response.status_code == 200
    told = sentences(response)
    assert [text for text in (UNCLEAR_CALL, REFUSED_CALL, OWNERS_TROUBLE) if text in told]
    assert vonage.calls == ["next_step"]
    for secret in [REQUEST_ID, PROVIDERS_WORDS]:
        assert secret not in page(response)


@pytest.mark.parametrize("answer", TROUBLES.values(), ids=map(str, TROUBLES))
def test_when_vonage_has_trouble_the_code_under_way_still_counts(waited, vonage, answer):
    vonage.next_step(**answer)
    call(waited)
    assert "A text message with 6 digits" in page(waited.get(CODE_PAGE))
    assert waited.post(reverse("two_factor:confirm"), {"code": "123456"}).status_code == 302
    assert vonage.calls == ["next_step", "check"]


def test_with_no_step_left_it_says_that_we_called_already(waited, vonage):
    vonage.next_step(409, json=PROBLEM)
    response = call(waited, follow=True)
    assert response.status_code == 200
    assert CALLED_ALREADY in sentences(response)
    assert PROVIDERS_WORDS not in page(response)


def test_a_request_that_is_gone_leads_back_to_the_number(waited, vonage):
    vonage.next_step(404, json=PROBLEM)
    response = waited.post(URL, follow=True)
    assert EXPIRED in sentences(response)
    assert not Verification.objects.exists()


@pytest.mark.parametrize("status", [404, 409, 429])
def test_a_call_that_vonage_refused_counts_against_no_limit(waited, vonage, status):
    vonage.next_step(status, json=PROBLEM)
    before = {limit.key: limit.count for limit in Limit.objects.all()}
    call(waited)
    after = {limit.key: limit.count for limit in Limit.objects.all()}
    assert before.items() <= after.items()


def test_a_call_of_unclear_outcome_counts(waited, vonage):
    vonage.next_step(**UNCLEAR["timeout"])
    call(waited)
    counts = dict(Limit.objects.values_list("name", "count"))
    assert (counts["address"], counts["site"]) == (2, 2)
    # An outage uses up none of the codes of an hour.
    assert (counts["user"], counts["number"]) == (1, 1)
    assert call(waited).status_code == 429
