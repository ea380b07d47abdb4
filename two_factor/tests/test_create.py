from uuid import UUID

import pytest
import requests
from django.test import Client
from django.urls import reverse

from two_factor.models import (
    CHANNEL_TIMEOUT,
    FORGIVEN_SENDS,
    Limit,
    TwoFactor,
    Verification,
)
from two_factor.steps import MAX_TYPED, VERIFICATION, WRONG_NUMBER
from two_factor.views import (
    BUSY_NUMBER,
    ON_ITS_WAY,
    OWNERS_TROUBLE,
    REFUSED_NUMBER,
    REFUSED_START,
    SENDING,
    STILL_UNCLEAR,
    UNCLEAR_START,
)

from .factories import TwoFactorFactory, UserFactory
from .pages import field_errors, page, sentences
from .parallel import in_parallel
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
URL = reverse("two_factor:create")
NUMBER, OTHER_NUMBER = "+12025550123", "+12025550124"
CODE_PAGE = "/2fa/verify/?next=%2Fpolls%2F"
CONFLICT = {"status": 409, "json": PROBLEM | {"request_id": REQUEST_ID}}
LOST = {"body": requests.ReadTimeout("Read timed out.")}


def create(browser, number=NUMBER, follow=False, **data):
    return browser.post(URL, {"number": number, **data}, follow=follow)


def test_it_sends_a_code_and_asks_for_it(signed_in, vonage):
    response = create(signed_in, next="/polls/1/?choice=2")
    assert response.status_code == 302
    assert response["Location"] == "/2fa/verify/?next=%2Fpolls%2F1%2F%3Fchoice%3D2"
    assert vonage.calls == ["start"]


def test_the_number_is_pending_until_the_code_is_right(signed_in, user, vonage):
    create(signed_in)
    verification = Verification.objects.get(user=user)
    assert (verification.number, str(verification.request_id)) == (NUMBER, REQUEST_ID)
    assert TwoFactor.objects.get(user=user).number is None


def test_it_asks_for_an_sms_and_then_a_call(signed_in, vonage):
    create(signed_in, "(202) 555-0123")
    assert vonage.bodies == [
        {
            "brand": "Pollstr",
            "workflow": [
                {"channel": "sms", "to": "12025550123"},
                {"channel": "voice", "to": "12025550123"},
            ],
            "code_length": 6,
            "channel_timeout": 180,
            "locale": "en-us",
        }
    ]


def test_a_landline_is_called_at_once(signed_in, vonage):
    create(signed_in, "+44 20 7946 0958")
    assert vonage.bodies[0]["workflow"] == [{"channel": "voice", "to": "442079460958"}]


def test_the_message_names_the_brand(signed_in, vonage, settings):
    settings.VERIFY_BRAND = "Townhall"
    create(signed_in)
    assert vonage.bodies[0]["brand"] == "Townhall"


def test_the_session_holds_no_number(signed_in, vonage):
    create(signed_in)
    assert "2025550123" not in str(dict(signed_in.session))


def test_the_number_is_in_no_address_but_on_the_code_page(signed_in, vonage):
    response = signed_in.post(URL, {"number": NUMBER}, follow=True)
    assert "5550123" not in str(response.redirect_chain)
    # In full, so that a typo is seen.
    assert "+1 202-555-0123" in page(response)


def test_the_anonymous_sign_in_first(client, vonage):
    response = create(client, next="/polls/1/?choice=2")
    assert response["Location"] == "/login/?next=/polls/1/%3Fchoice%3D2"
    assert vonage.calls == []


@pytest.mark.parametrize("method", ["get", "head"])
def test_looked_at_it_leads_to_the_page_with_its_form(signed_in, vonage, method):
    response = getattr(signed_in, method)(URL, {"next": "/polls/1/"})
    assert (response.status_code, response["Location"]) == (302, "/2fa/?next=%2Fpolls%2F1%2F")
    assert "no-store" in response["Cache-Control"]
    assert vonage.calls == []


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_it_only_takes_a_form(signed_in, vonage, method):
    response = getattr(signed_in, method)(URL)
    assert response.status_code == 405
    assert vonage.calls == []


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        ("", "Type your phone number."),
        ("   ", "Type your phone number."),
        ("hello", "That is not a phone number."),
        ("12", "That is not a phone number."),
        ("+12025550123 or so", "There are letters in it: or so."),
        ("2" * 10_000, "too long for a phone number"),
        ("+1202555\x000123", "Null characters are not allowed."),
        ("+33 6 12 34 56 78", "of this country (France) yet"),
        ("+1 900 555 0123", "cannot receive codes"),
    ],
)
def test_it_says_at_the_field_what_is_wrong_and_keeps_what_was_typed(
    signed_in, vonage, number, sentence
):
    response = create(signed_in, number, follow=True)
    assert response.status_code == 200
    assert sentence in field_errors(response)
    assert f'value="{number[:MAX_TYPED]}"' in page(response) or not number.strip()
    assert vonage.calls == []


@pytest.mark.parametrize(
    "data", [{}, {"next": "/polls/"}, {"code": "123456"}, {"number[]": NUMBER}]
)
def test_it_asks_for_a_missing_number(signed_in, vonage, data):
    response = signed_in.post(URL, data, follow=True)
    assert "Type your phone number." in field_errors(response)
    assert not Verification.objects.exists()


def test_of_several_numbers_one_gets_one_code(signed_in, vonage):
    signed_in.post(URL, {"number": [OTHER_NUMBER, NUMBER]})
    assert [body["workflow"][0]["to"] for body in vonage.bodies] == ["12025550123"]


def test_a_body_that_is_no_form_is_an_empty_one(signed_in, vonage):
    response = signed_in.post(
        URL, '{"number": "+12025550123"}', content_type="application/json", follow=True
    )
    assert "Type your phone number." in field_errors(response)


def test_a_verified_browser_just_goes_on(verified, vonage):
    response = create(verified, OTHER_NUMBER, next="/polls/1/")
    assert response["Location"] == "/polls/1/"
    assert vonage.calls == []


def test_while_voting_is_paused_nothing_is_called(signed_in, vonage, settings):
    settings.VONAGE_API_KEY = ""
    response = signed_in.post(URL, {"number": NUMBER}, follow=True)
    assert response.redirect_chain == [("/2fa/?next=%2Fpolls%2F", 302)]
    assert "Voting is paused" in sentences(response)
    assert vonage.calls == []


def test_a_double_click_sends_one_code(signed_in, vonage):
    assert [create(signed_in)["Location"] for _ in range(2)] == [CODE_PAGE] * 2
    assert vonage.calls == ["start"]


@pytest.mark.django_db(transaction=True)
def test_many_clicks_at_once_send_one_code(signed_in, vonage):
    def click():
        browser = Client()
        browser.cookies = signed_in.cookies
        return create(browser)

    answers = in_parallel(8, click)
    assert [answer["Location"] for answer in answers] == [CODE_PAGE] * 8
    assert vonage.calls == ["start"]


def test_a_second_browser_joins_the_code_under_way(signed_in, second_browser, vonage):
    create(signed_in)
    response = second_browser.post(URL, {"number": NUMBER}, follow=True)
    assert response.redirect_chain == [(CODE_PAGE, 302)]
    assert ON_ITS_WAY in sentences(response)
    assert vonage.calls == ["start"]


def test_the_code_goes_to_the_proven_number_whatever_is_posted(signed_in, two_factor, vonage):
    response = create(signed_in, OTHER_NUMBER)
    assert response["Location"] == CODE_PAGE
    assert [step["to"] for step in vonage.bodies[0]["workflow"]] == ["12025550123"] * 2
    assert not Verification.objects.filter(number=OTHER_NUMBER).exists()


def test_the_proven_number_need_not_be_typed(signed_in, two_factor, vonage):
    assert signed_in.post(URL)["Location"] == CODE_PAGE
    assert vonage.bodies[0]["workflow"][0]["to"] == "12025550123"


def test_unproven_claims_block_nobody(signed_in, code_of_another_user, vonage):
    code_of_another_user()
    assert create(signed_in)["Location"] == CODE_PAGE


def test_a_number_of_another_account_is_not_told_before_the_code_is_right(signed_in, vonage):
    TwoFactorFactory(number=NUMBER)
    assert create(signed_in)["Location"] == CODE_PAGE
    assert vonage.calls == ["start"]


def test_another_number_must_wait_and_is_told_how_long(signed_in, vonage, clock):
    create(signed_in)
    clock.shift(10)
    response = create(signed_in, OTHER_NUMBER)
    assert (response.status_code, response["Retry-After"]) == (429, "20")
    assert "Please try again in 20 seconds." in sentences(response)
    assert f'value="{OTHER_NUMBER}"' in page(response)
    assert vonage.calls == ["start"]


def test_after_the_wait_another_number_gets_a_code(signed_in, vonage, clock):
    create(signed_in)
    clock.shift(30)
    assert create(signed_in, OTHER_NUMBER)["Location"] == CODE_PAGE
    assert vonage.calls == ["start", "start"]


@pytest.mark.parametrize(
    ("limit", "wait", "words"),
    [
        ("VERIFY_SENDS_PER_USER", 3600, "60 minutes"),
        ("VERIFY_SENDS_PER_NUMBER", 3600, "60 minutes"),
        ("VERIFY_SENDS_PER_IP", 3600, "60 minutes"),
        ("VERIFY_SENDS_PER_PREFIX", 3600, "60 minutes"),
        ("VERIFY_SENDS_PER_DAY", 43200, "12 hours"),
    ],
)
def test_over_a_limit_nothing_is_sent(signed_in, vonage, settings, limit, wait, words):
    setattr(settings, limit, 0)
    response = create(signed_in)
    assert (response.status_code, response["Retry-After"]) == (429, str(wait))
    assert f"Too many codes were asked for. Please try again in {words}." in sentences(response)
    assert vonage.calls == []
    assert not Verification.objects.exists()


@pytest.mark.parametrize(
    ("proxies", "forwarded", "counts_together"),
    [
        (0, ["198.51.100.1", "198.51.100.2"], True),
        (1, ["198.51.100.1", "198.51.100.2"], False),
        (1, ["198.51.100.1", "203.0.113.9, 198.51.100.1"], True),
        (2, ["198.51.100.1, 203.0.113.9", "198.51.100.2, 203.0.113.9"], False),
        (2, ["198.51.100.1", "198.51.100.2"], True),
        (1, ["2001:db8::1", "2001:db8::2"], True),
        (1, ["2001:db8::1", "2001:db8:0:1::1"], False),
        (1, ["junk", "junk"], True),
        # What cannot be read is the proxy's own address: nobody may make up a count of their own.
        (1, ["junk", ""], True),
        (1, ["a" * 10_000, "\u0661"], True),
        (1, ["198.51.100.1:5000", "198.51.100.1:5001"], True),
        (1, ["[2001:db8::1]:5000", "2001:db8::1"], True),
        (1, ["::ffff:198.51.100.1", "198.51.100.1"], True),
        (1, ["::ffff:198.51.100.1", "::ffff:198.51.100.2"], False),
    ],
)
def test_sends_are_counted_by_the_address_that_our_own_proxy_names(
    vonage, settings, proxies, forwarded, counts_together
):
    settings.TRUSTED_PROXIES, settings.VERIFY_SENDS_PER_IP = proxies, 1
    statuses = []
    for address, number in zip(forwarded, [NUMBER, OTHER_NUMBER], strict=True):
        browser = Client(headers={"X-Forwarded-For": address})
        browser.force_login(UserFactory())
        statuses.append(create(browser, number).status_code)
    assert statuses == [302, 429 if counts_together else 302]


def assert_nothing_happened(response, browser, vonage):
    assert response.status_code == 200
    assert PROVIDERS_WORDS not in page(response)
    assert VERIFICATION not in browser.session
    assert "Prove your phone" in page(browser.get(reverse("two_factor:phone")))
    assert vonage.calls == ["start"]


@pytest.mark.parametrize("status", [*REFUSALS, 400, 404, 410, 412, 418])
def test_where_vonage_refuses_it_says_that_nothing_was_sent(signed_in, vonage, status):
    vonage.start(status, json=PROBLEM)
    response = create(signed_in, follow=True)
    is_owners = status in {401, 402, 403}
    assert (OWNERS_TROUBLE if is_owners else REFUSED_START) in sentences(response)
    assert f'value="{NUMBER}"' in page(response)
    assert not Verification.objects.exists()
    assert_nothing_happened(response, signed_in, vonage)


@pytest.mark.parametrize("answer", [*UNCLEAR.values(), *UNREADABLE.values()])
def test_where_the_outcome_is_unclear_it_says_so(signed_in, vonage, answer):
    vonage.start(**answer)
    response = create(signed_in, follow=True)
    assert UNCLEAR_START in sentences(response)
    assert Verification.objects.get().request_id is None
    assert_nothing_happened(response, signed_in, vonage)


def test_an_id_that_is_no_uuid_is_not_kept(signed_in, vonage):
    vonage.start(json={"request_id": "../../account"})
    response = create(signed_in, follow=True)
    assert UNCLEAR_START in sentences(response)
    assert_nothing_happened(response, signed_in, vonage)


def test_a_number_that_vonage_refuses_is_to_be_checked(signed_in, vonage):
    vonage.start(422, json=PROBLEM | {"invalid_parameters": [{"name": "to", "reason": "no"}]})
    response = create(signed_in, follow=True)
    assert REFUSED_NUMBER in sentences(response)
    assert f'value="{NUMBER}"' in page(response)
    assert_nothing_happened(response, signed_in, vonage)


def test_a_start_that_vonage_refused_counts_against_no_limit(signed_in, vonage):
    vonage.start(**REFUSALS[402])
    create(signed_in)
    vonage.start()
    assert create(signed_in)["Location"] == CODE_PAGE
    assert vonage.calls == ["start", "start"]


def test_refused_starts_are_forgiven_a_few_times_only(signed_in, vonage):
    vonage.start(**REFUSALS[402])
    statuses = [create(signed_in).status_code for _ in range(FORGIVEN_SENDS + 2)]
    assert statuses == [302] * (FORGIVEN_SENDS + 1) + [429]


def test_a_start_of_unclear_outcome_uses_up_no_code_of_user_and_number(signed_in, vonage):
    vonage.start(**LOST)
    create(signed_in)
    counts = dict(Limit.objects.values_list("name", "count"))
    assert {name for name, count in counts.items() if count == 0} == {"user", "number"}
    assert counts["site"] == counts["address"] == counts["prefix"] == 1


def test_a_lost_answer_is_recovered_by_the_next_click(signed_in, vonage, clock):
    vonage.start(**LOST)
    create(signed_in)
    vonage.start(**CONFLICT)
    clock.shift(30)
    response = signed_in.post(URL, {"number": NUMBER}, follow=True)
    assert response.redirect_chain == [(CODE_PAGE, 302)]
    assert ON_ITS_WAY in sentences(response)
    assert Verification.objects.get().request_id == UUID(REQUEST_ID)


def test_a_recovered_code_verifies(signed_in, vonage, clock, user):
    vonage.start(**LOST)
    create(signed_in)
    vonage.start(**CONFLICT)
    clock.shift(30)
    create(signed_in)
    signed_in.post(reverse("two_factor:confirm"), {"code": "123456"})
    assert vonage.paths[-1] == f"/v2/verify/{REQUEST_ID}"
    assert TwoFactor.objects.get(user=user).number == NUMBER


def test_a_lost_start_is_made_again_by_the_next_click(signed_in, vonage, clock):
    vonage.start(**LOST)
    create(signed_in)
    vonage.start()
    clock.shift(30)
    assert create(signed_in)["Location"] == CODE_PAGE
    assert vonage.calls == ["start", "start"]


def test_a_click_before_the_answer_waits_for_it(signed_in, vonage, clock):
    create(signed_in)
    Verification.objects.update(request_id=None)
    clock.shift(5)
    response = create(signed_in, follow=True)
    assert response.redirect_chain == [(CODE_PAGE, 302)]
    assert SENDING in sentences(response)
    assert "We are sending a code with 6 digits" in page(response)
    assert vonage.calls == ["start"]


def test_a_click_after_an_unclear_start_is_told_that_it_is_unclear(signed_in, vonage, clock):
    vonage.start(**LOST)
    create(signed_in)
    clock.shift(5)
    response = create(signed_in)
    assert (response.status_code, response["Retry-After"]) == (429, "25")
    assert STILL_UNCLEAR in sentences(response)
    for untrue in (ON_ITS_WAY, "We sent you a code", "A text message with"):
        assert untrue not in page(response)
    assert vonage.calls == ["start"]


def test_a_conflict_with_another_users_code_is_not_taken_over(
    signed_in, code_of_another_user, vonage, clock
):
    vonage.start(**LOST)
    create(signed_in, follow=True)
    other = code_of_another_user(request_id=REQUEST_ID)
    vonage.start(**CONFLICT)
    clock.shift(30)
    response = create(signed_in, follow=True)
    assert BUSY_NUMBER in sentences(response)
    assert VERIFICATION not in signed_in.session
    assert Verification.objects.get() == other


@pytest.mark.parametrize(
    "body", [PROBLEM, PROBLEM | {"request_id": "junk"}, PROBLEM | {"request_id": 5}, ["junk"]]
)
def test_a_conflict_without_an_id_is_not_recovered(signed_in, vonage, clock, body):
    vonage.start(**LOST)
    create(signed_in, follow=True)
    vonage.start(409, json=body)
    clock.shift(30)
    response = create(signed_in, follow=True)
    assert BUSY_NUMBER in sentences(response)
    assert VERIFICATION not in signed_in.session


def test_a_first_start_never_takes_over_what_is_in_its_way(signed_in, vonage):
    vonage.start(**CONFLICT)
    response = create(signed_in, follow=True)
    assert BUSY_NUMBER in sentences(response)
    assert not Verification.objects.exists()
    assert_nothing_happened(response, signed_in, vonage)


def test_a_code_that_could_not_be_cancelled_is_cancelled_by_the_next_start(
    awaiting_code, vonage, clock
):
    vonage.cancel(404, json=PROBLEM)
    awaiting_code.post(reverse("two_factor:cancel"))
    vonage.cancel()
    vonage.start(json={"request_id": OTHER_REQUEST_ID})
    clock.shift(31)
    create(awaiting_code, OTHER_NUMBER)
    assert vonage.calls == ["cancel", "cancel", "start"]
    live = Verification.objects.exclude(state=Verification.State.CANCELLED)
    assert [str(row.number) for row in live] == [OTHER_NUMBER]


def test_a_lost_start_of_a_clock_that_ran_ahead_holds_nobody_up(signed_in, vonage, clock):
    clock.shift(24 * 3600)
    vonage.start(**LOST)
    create(signed_in)
    clock.shift(-24 * 3600)
    vonage.start()
    assert create(signed_in)["Location"] == CODE_PAGE
    assert Verification.objects.get().request_id == UUID(REQUEST_ID)


def test_a_lost_start_that_was_given_up_hides_no_other(awaiting_code, vonage, clock):
    vonage.cancel(404, json=PROBLEM)
    awaiting_code.post(reverse("two_factor:cancel"))
    clock.shift(31)
    vonage.start(**LOST)
    for _ in range(2):
        create(awaiting_code, "+12025550125")
    awaiting_code.post(reverse("two_factor:cancel"))
    vonage.wire.calls.reset()
    clock.shift(60)
    create(awaiting_code, OTHER_NUMBER)
    assert vonage.calls == ["cancel", "start"]


def test_a_code_that_still_cannot_be_cancelled_stops_nobody(awaiting_code, vonage, clock):
    vonage.cancel(404, json=PROBLEM)
    awaiting_code.post(reverse("two_factor:cancel"))
    clock.shift(31)
    assert create(awaiting_code, OTHER_NUMBER)["Location"] == CODE_PAGE
    assert vonage.calls == ["cancel", "cancel", "start"]


def test_what_another_user_gave_up_is_not_cancelled(signed_in, code_of_another_user, vonage):
    code_of_another_user(request_id=REQUEST_ID, is_abandoned=True)
    create(signed_in, OTHER_NUMBER)
    assert vonage.calls == ["start"]


def test_a_number_given_up_and_typed_again_is_not_given_up_any_more(awaiting_code, vonage, clock):
    vonage.cancel(404, json=PROBLEM)
    awaiting_code.post(reverse("two_factor:cancel"))
    create(awaiting_code)
    clock.shift(31)
    create(awaiting_code, OTHER_NUMBER)
    assert vonage.calls == ["cancel", "start"]


def test_the_number_to_correct_is_forgotten_once_corrected(awaiting_code, vonage, clock):
    awaiting_code.post(reverse("two_factor:cancel"))
    assert awaiting_code.session[WRONG_NUMBER] == NUMBER
    clock.shift(31)
    create(awaiting_code, OTHER_NUMBER)
    assert WRONG_NUMBER not in awaiting_code.session


def test_after_expiry_the_same_number_gets_another_code(awaiting_code, vonage, clock):
    clock.shift(2 * CHANNEL_TIMEOUT)
    assert create(awaiting_code)["Location"] == CODE_PAGE
    assert vonage.calls == ["start"]
