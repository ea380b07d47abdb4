import pytest
import requests
from django.urls import reverse

from two_factor.client import calling_vonage
from two_factor.models import CHANNEL_TIMEOUT, Limit, Verification
from two_factor.steps import EXPIRED
from two_factor.views import (
    BUSY,
    BUSY_NUMBER,
    NO_CODE_NOW,
    OLD_CODE_GOOD,
    ON_ITS_WAY,
    OWNERS_TROUBLE,
    REFUSED_NUMBER,
    REFUSED_START,
    UNCLEAR_START,
)

from .pages import page, sentences
from .vonage import (
    OTHER_REQUEST_ID,
    PROBLEM,
    PROVIDERS_WORDS,
    REFUSALS,
    REQUEST_ID,
    UNCLEAR,
    UNREADABLE,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]
URL = reverse("two_factor:resend")
NUMBER = "+12025550123"
CODE_PAGE = "/2fa/verify/?next=%2Fpolls%2F1%2F"
LOST = {"body": requests.ReadTimeout("Read timed out.")}


@pytest.fixture
def waited(awaiting_code, vonage, clock):
    """A browser in which a code is under way, and another may be asked for."""
    clock.shift(30)
    vonage.start(json={"request_id": OTHER_REQUEST_ID})
    return awaiting_code


def resend(browser, follow=False, **data):
    return browser.post(URL, {"next": "/polls/1/", **data}, follow=follow)


def request_ids() -> list[str]:
    return [str(row.request_id) for row in Verification.objects.all()]


def conflict_with(request_id):
    return {"status": 409, "json": PROBLEM | {"request_id": request_id}}


def test_it_cancels_the_old_code_and_sends_a_new_one(waited, vonage):
    assert resend(waited)["Location"] == CODE_PAGE
    assert vonage.calls == ["cancel", "start"]
    assert vonage.paths[0] == f"/v2/verify/{REQUEST_ID}"


def test_the_new_code_is_the_one_that_is_checked(waited, vonage):
    resend(waited)
    waited.post(reverse("two_factor:confirm"), {"code": "123456"})
    assert vonage.paths[-1] == f"/v2/verify/{OTHER_REQUEST_ID}"


def test_it_says_that_only_the_newest_code_counts(waited):
    response = waited.post(URL, follow=True)
    assert "A new code is on its way. Only the newest one counts." in sentences(response)


def test_it_begins_with_an_sms_again(waited, vonage, clock):
    waited.post(reverse("two_factor:call"))
    clock.shift(60)
    resend(waited)
    assert [step["channel"] for step in vonage.bodies[-1]["workflow"]] == ["sms", "voice"]
    assert "A text message with 6 digits" in page(waited.get(CODE_PAGE))


def test_the_new_code_goes_to_the_same_number(waited, vonage):
    resend(waited, number="+12025550199")
    assert {step["to"] for step in vonage.bodies[-1]["workflow"]} == {"12025550123"}


def test_the_new_code_lives_from_now_on(waited, clock):
    clock.shift(CHANNEL_TIMEOUT)
    resend(waited)
    clock.shift(2 * CHANNEL_TIMEOUT - 1)
    assert waited.get(CODE_PAGE).status_code == 200


def test_the_anonymous_sign_in_first(client, vonage):
    assert resend(client)["Location"] == "/login/?next=/polls/1/"
    assert vonage.calls == []


def test_without_a_code_under_way_it_goes_back_to_the_number(signed_in, vonage):
    assert EXPIRED in sentences(signed_in.post(URL, follow=True))
    assert vonage.calls == []


def test_after_expiry_it_goes_back_to_the_number(awaiting_code, vonage, clock):
    clock.shift(2 * CHANNEL_TIMEOUT)
    assert EXPIRED in sentences(awaiting_code.post(URL, follow=True))
    assert vonage.calls == []


def test_the_verified_go_on(verified, vonage):
    assert resend(verified)["Location"] == "/polls/1/"
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


@pytest.mark.parametrize("next_url", ["", "//elsewhere.test/", "\0", "a" * 10_000, "/2fa/resend/"])
def test_junk_for_a_next_becomes_the_list_of_polls(waited, next_url):
    assert resend(waited, next=next_url)["Location"] == "/2fa/verify/?next=%2Fpolls%2F"


def test_in_the_first_30_seconds_it_says_how_long_to_wait(awaiting_code, vonage, clock):
    clock.shift(29)
    response = resend(awaiting_code)
    assert (response.status_code, response["Retry-After"]) == (429, "1")
    assert "Please try again in 1 second." in sentences(response)
    assert vonage.calls == []


def test_a_second_click_sends_no_second_code(waited, vonage):
    resend(waited)
    assert resend(waited).status_code == 429
    assert vonage.calls == ["cancel", "start"]


def test_the_waits_grow(waited, clock):
    waits = []
    for _ in range(3):
        resend(waited)
        waits.append(int(resend(waited)["Retry-After"]))
        clock.shift(waits[-1])
    assert waits == [60, 180, 300]


def test_it_counts_as_a_send(waited, vonage, settings):
    settings.VERIFY_SENDS_PER_USER = 1
    response = resend(waited)
    assert response.status_code == 429
    assert "Too many codes were asked for." in sentences(response)
    assert vonage.calls == []


def test_while_voting_is_paused_nothing_is_called(waited, vonage, settings):
    settings.VONAGE_API_KEY = ""
    assert "Voting is paused" in sentences(waited.post(URL, follow=True))
    assert vonage.calls == []


def test_where_the_old_code_cannot_be_cancelled_it_still_counts(waited, vonage):
    vonage.cancel(404, json=PROBLEM)
    vonage.start(**conflict_with(REQUEST_ID))
    response = waited.post(URL, follow=True)
    assert ON_ITS_WAY in sentences(response)
    assert request_ids() == [REQUEST_ID]
    assert vonage.calls == ["cancel", "start"]


def test_where_the_old_code_still_counts_its_channel_stays(waited, vonage, clock):
    waited.post(reverse("two_factor:call"))
    clock.shift(60)
    vonage.cancel(404, json=PROBLEM)
    vonage.start(**conflict_with(REQUEST_ID))
    response = waited.post(URL, follow=True)
    assert "A call reads 6 digits" in page(response)


CANCEL_TROUBLES = {**REFUSALS, **UNCLEAR}


@pytest.mark.parametrize("answer", CANCEL_TROUBLES.values(), ids=map(str, CANCEL_TROUBLES))
def test_a_cancel_that_fails_stops_no_new_code(waited, vonage, answer):
    vonage.cancel(**answer)
    assert resend(waited)["Location"] == CODE_PAGE
    assert request_ids() == [OTHER_REQUEST_ID]
    assert vonage.calls == ["cancel", "start"]


START_REFUSALS = {**REFUSALS, 422: {"status": 422, "json": PROBLEM}}


@pytest.mark.parametrize("answer", START_REFUSALS.values(), ids=map(str, START_REFUSALS))
def test_where_vonage_refuses_the_code_page_says_so(waited, vonage, answer):
    vonage.start(**answer)
    response = waited.post(URL, {"next": "/polls/1/"}, follow=True)
    assert response.redirect_chain == [(CODE_PAGE, 302)]
    told = sentences(response)
    assert [text for text in (REFUSED_START, OWNERS_TROUBLE, REFUSED_NUMBER) if text in told]
    assert OLD_CODE_GOOD not in told
    assert "no longer works" in page(response)
    assert PROVIDERS_WORDS not in page(response)
    assert vonage.calls == ["cancel", "start"]


@pytest.mark.parametrize("answer", START_REFUSALS.values(), ids=map(str, START_REFUSALS))
def test_where_vonage_refuses_all_the_old_code_still_works(waited, vonage, answer):
    vonage.cancel(404, json=PROBLEM)
    vonage.start(**answer)
    assert OLD_CODE_GOOD in sentences(resend(waited, follow=True))
    assert waited.post(reverse("two_factor:confirm"), {"code": "123456"}).status_code == 302
    assert vonage.paths[-1] == f"/v2/verify/{REQUEST_ID}"


UNCLEAR_STARTS = {**UNCLEAR, **UNREADABLE}


@pytest.mark.parametrize("answer", UNCLEAR_STARTS.values(), ids=map(str, UNCLEAR_STARTS))
def test_where_the_outcome_is_unclear_it_says_so(waited, vonage, answer):
    vonage.start(**answer)
    response = resend(waited, follow=True)
    assert response.status_code == 200
    assert UNCLEAR_START in sentences(response)
    assert vonage.calls == ["cancel", "start"]
    for secret in [REQUEST_ID, PROVIDERS_WORDS]:
        assert secret not in page(response)


@pytest.mark.parametrize("body", [PROBLEM, PROBLEM | {"request_id": REQUEST_ID}])
def test_a_conflict_with_our_own_cancellation_says_when_the_code_can_be_sent(waited, vonage, body):
    vonage.start(409, json=body)
    response = waited.post(URL)
    assert (response.status_code, response["Retry-After"]) == (429, "10")
    assert "Your new code can be sent in 10 seconds" in sentences(response)
    assert request_ids() == ["None"]


def test_after_our_own_cancellation_the_code_page_stays_open(waited, vonage, clock):
    vonage.start(**conflict_with(REQUEST_ID))
    resend(waited)
    assert "no longer works" in page(waited.get(CODE_PAGE))
    clock.shift(9)
    response = resend(waited)
    assert (response.status_code, response["Retry-After"]) == (429, "1")
    assert "Your new code can be sent in 1 second" in sentences(response)
    vonage.start(json={"request_id": OTHER_REQUEST_ID})
    clock.shift(1)
    assert resend(waited)["Location"] == CODE_PAGE
    assert request_ids() == [OTHER_REQUEST_ID]
    assert vonage.calls == ["cancel", "start", "start"]


def test_while_there_is_no_code_none_is_checked_and_nobody_called(waited, vonage):
    vonage.start(**conflict_with(REQUEST_ID))
    resend(waited)
    for step in ("confirm", "call"):
        url = reverse(f"two_factor:{step}")
        assert NO_CODE_NOW in sentences(waited.post(url, {"code": "123456"}, follow=True))
    assert vonage.calls == ["cancel", "start"]


def test_where_it_is_unknown_whether_the_old_code_was_cancelled_it_can_be_tried(waited, vonage):
    vonage.cancel(**LOST)
    vonage.start(**conflict_with(REQUEST_ID))
    response = resend(waited)
    assert response.status_code == 429
    assert "the earlier one may still work" in sentences(response)
    assert waited.post(reverse("two_factor:confirm"), {"code": "123456"}).status_code == 302


def test_a_provider_that_cannot_be_reached_leaves_the_old_code_good(waited, vonage, settings):
    settings.VERIFY_CALLS_AT_ONCE = 1
    with calling_vonage("start"):
        assert BUSY in sentences(resend(waited, follow=True))
    assert vonage.calls == []
    assert request_ids() == [REQUEST_ID]


def test_a_lost_answer_is_recovered_by_the_next_click(waited, vonage, clock):
    vonage.start(**LOST)
    resend(waited)
    vonage.start(**conflict_with(OTHER_REQUEST_ID))
    clock.shift(60)
    response = waited.post(URL, follow=True)
    assert ON_ITS_WAY in sentences(response)
    assert request_ids() == [OTHER_REQUEST_ID]


def test_a_new_code_is_recovered_after_both_answers_were_lost(waited, vonage, clock):
    vonage.cancel(**LOST)
    vonage.start(**LOST)
    resend(waited)
    vonage.cancel(404, json=PROBLEM)
    vonage.start(**conflict_with(OTHER_REQUEST_ID))
    clock.shift(60)
    resend(waited)
    assert request_ids() == [OTHER_REQUEST_ID]


def test_the_lost_start_of_the_first_click_is_recovered(signed_in, vonage, clock):
    signed_in.post(reverse("two_factor:create"), {"number": NUMBER})
    Verification.objects.update(request_id=None)
    vonage.start(**conflict_with(REQUEST_ID))
    clock.shift(30)
    assert resend(signed_in)["Location"] == CODE_PAGE
    assert request_ids() == [REQUEST_ID]
    assert vonage.calls == ["start", "start"]


def test_a_conflict_with_another_users_code_is_not_taken_over(waited, code_of_another_user, vonage):
    other = code_of_another_user(request_id=OTHER_REQUEST_ID)
    vonage.cancel(404, json=PROBLEM)
    vonage.start(**conflict_with(OTHER_REQUEST_ID))
    response = waited.post(URL, follow=True)
    assert BUSY_NUMBER in sentences(response)
    assert OLD_CODE_GOOD in sentences(response)
    assert Verification.objects.get(request_id=OTHER_REQUEST_ID) == other


def test_a_resend_that_vonage_refused_counts_against_no_limit(waited, vonage):
    before = {limit.key: limit.count for limit in Limit.objects.all()}
    vonage.start(**REFUSALS[429])
    resend(waited)
    after = {limit.key: limit.count for limit in Limit.objects.all()}
    assert before.items() <= after.items()


def test_a_code_that_was_recovered_counts_against_no_limit(waited, vonage):
    vonage.cancel(404, json=PROBLEM)
    vonage.start(**conflict_with(REQUEST_ID))
    resend(waited)
    assert {limit.count for limit in Limit.objects.all()} == {1}


def test_the_old_code_can_be_checked_where_neither_was_done(waited, vonage):
    vonage.cancel(404, json=PROBLEM)
    vonage.start(**LOST)
    resend(waited)
    waited.post(reverse("two_factor:confirm"), {"code": "123456"})
    assert vonage.paths[-1] == f"/v2/verify/{REQUEST_ID}"


def test_a_resend_of_unclear_outcome_counts(waited, vonage):
    vonage.start(**LOST)
    resend(waited)
    counts = dict(Limit.objects.values_list("name", "count"))
    assert (counts["address"], counts["site"]) == (2, 2)
    # An outage uses up none of the codes of an hour.
    assert (counts["user"], counts["number"]) == (1, 1)
    assert resend(waited).status_code == 429


def test_the_code_may_be_used_in_another_tab_meanwhile(waited, vonage):
    vonage.start_slowly(meanwhile=Verification.objects.all().delete)
    response = waited.post(URL, follow=True)
    assert "Prove your phone" in page(response)
    assert not Verification.objects.exists()


def test_the_browser_may_be_verified_in_another_tab_meanwhile(waited, vonage):
    def confirm():
        waited.post(reverse("two_factor:confirm"), {"code": "123456"})

    vonage.cancel(404, json=PROBLEM)
    vonage.start_slowly(meanwhile=confirm)
    assert resend(waited)["Location"] == "/login/?next=/polls/1/"
    assert "verified" in page(waited.get(reverse("two_factor:phone")))
