import logging
import re
from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings as django_settings
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from conftest import verify
from two_factor.mixins import VERIFIED
from two_factor.models import CHANNEL_TIMEOUT, OtherNumberProven, TwoFactor, Verification
from two_factor.steps import EXPIRED, MAX_TYPED, VERIFICATION
from two_factor.views import (
    NOT_SENT_YET,
    OTHER_PROVEN,
    OWNERS_TROUBLE_CHECKING,
    TAKEN,
    UNCHECKED,
    VOID,
    WRONG_CODE,
)

from .factories import TwoFactorFactory
from .pages import field_errors, page, sentences
from .parallel import in_parallel
from .vonage import (
    PROBLEM,
    PROVIDERS_WORDS,
    REFUSALS,
    REQUEST_ID,
    UNCLEAR,
    UNREADABLE,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]
URL = reverse("two_factor:confirm")
NUMBER, OTHER_NUMBER = "+12025550123", "+12025550124"
CODE = "482913"


def confirm(browser, code=CODE, follow=False, **data):
    return browser.post(URL, {"code": code, **data}, follow=follow)


def create(browser, number=NUMBER):
    return browser.post(reverse("two_factor:create"), {"number": number})


def is_verified(browser) -> bool:
    return VERIFIED in browser.session


def failures_of(user) -> int:
    return TwoFactor.objects.get(user=user).failures


@pytest.fixture
def wrong(vonage):
    """Have Vonage say that codes are wrong."""
    vonage.check(400)


def test_the_right_code_verifies_this_browser(awaiting_code, vonage):
    response = confirm(awaiting_code, next="/polls/1/?choice=2")
    assert response.status_code == 302
    assert response["Location"] == "/polls/1/?choice=2"
    assert is_verified(awaiting_code)
    assert awaiting_code.get(reverse("polls:ballot", args=[1])).status_code == 404


def test_the_code_is_checked_once_with_its_request(awaiting_code, vonage):
    confirm(awaiting_code)
    assert vonage.paths == [f"/v2/verify/{REQUEST_ID}"]
    assert vonage.bodies == [{"code": CODE}]


def test_the_number_is_proven_now(awaiting_code, user):
    confirm(awaiting_code)
    two_factor = TwoFactor.objects.get(user=user)
    assert two_factor.number == NUMBER
    assert two_factor.verified_at == datetime(2026, 6, 1, 12, tzinfo=UTC)


def test_the_pending_data_is_gone(awaiting_code):
    confirm(awaiting_code)
    assert not Verification.objects.exists()
    assert VERIFICATION not in awaiting_code.session
    assert "5550123" not in str(dict(awaiting_code.session))


def test_the_proven_number_is_the_one_the_code_went_to(awaiting_code, user):
    confirm(awaiting_code, number=OTHER_NUMBER, request_id="another")
    assert TwoFactor.objects.get(user=user).number == NUMBER


def test_the_keys_of_session_and_forms_change(awaiting_code):
    awaiting_code.get(reverse("two_factor:verify"))
    before = awaiting_code.session.session_key, awaiting_code.cookies["csrftoken"].value
    confirm(awaiting_code)
    assert awaiting_code.session.session_key != before[0]
    assert awaiting_code.cookies["csrftoken"].value != before[1]


def test_the_old_session_id_is_worth_nothing(awaiting_code):
    thief = Client()
    thief.cookies[django_settings.SESSION_COOKIE_NAME] = awaiting_code.session.session_key
    confirm(awaiting_code)
    assert thief.get(reverse("account"))["Location"] == "/login/?next=/account/"


def test_confirming_again_goes_on_without_a_call(awaiting_code, vonage):
    confirm(awaiting_code)
    assert confirm(awaiting_code, next="/polls/1/")["Location"] == "/polls/1/"
    assert vonage.calls == ["check"]


@pytest.mark.parametrize("typed", ["482 913", " 482-913 ", "４８２９１３", "٤٨٢٩١٣", "482–913"])
def test_a_code_may_be_typed_in_many_ways(awaiting_code, vonage, typed):
    confirm(awaiting_code, typed)
    assert vonage.bodies == [{"code": CODE}]


def test_the_anonymous_sign_in_first(client, vonage):
    response = confirm(client, next="/polls/1/")
    assert response["Location"] == "/login/?next=/polls/1/"
    assert vonage.calls == []


def test_without_a_code_under_way_it_goes_back_to_the_number(signed_in, vonage):
    response = signed_in.post(URL, {"code": CODE, "next": "/polls/1/"}, follow=True)
    assert response.redirect_chain == [("/2fa/?next=%2Fpolls%2F1%2F", 302)]
    assert EXPIRED in sentences(response)
    assert vonage.calls == []


def test_after_expiry_it_goes_back_to_the_number(awaiting_code, vonage, clock):
    clock.shift(2 * CHANNEL_TIMEOUT)
    response = awaiting_code.post(URL, {"code": CODE}, follow=True)
    assert EXPIRED in sentences(response)
    assert vonage.calls == []


@pytest.mark.parametrize("method", ["get", "head"])
def test_looked_at_it_leads_to_the_page_with_its_form(awaiting_code, vonage, method):
    response = getattr(awaiting_code, method)(URL, {"next": "/polls/1/"})
    assert (response.status_code, response["Location"]) == (
        302,
        "/2fa/verify/?next=%2Fpolls%2F1%2F",
    )
    assert "no-store" in response["Cache-Control"]
    assert vonage.calls == []


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_it_only_takes_a_form(awaiting_code, vonage, method):
    assert getattr(awaiting_code, method)(URL).status_code == 405
    assert vonage.calls == []


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("", "Type the code from your phone."),
        ("12345", "The code has 6 digits; you typed 5."),
        ("1234567", "The code has 6 digits; you typed 7."),
        ("12345a", "The code is made of 6 digits only."),
        ("-", "The code is made of 6 digits only."),
        ("12345\0", "Null characters are not allowed."),
        ("1" * 10_000, "The code has 6 digits."),
        ("../../verify", "The code is made of 6 digits only."),
    ],
)
def test_what_cannot_be_a_code_costs_no_try(awaiting_code, vonage, user, code, sentence):
    response = confirm(awaiting_code, code, follow=True)
    assert response.status_code == 200
    assert sentence in field_errors(response)
    assert not code or f'value="{code[:MAX_TYPED]}"' in page(response)
    assert (vonage.calls, failures_of(user)) == ([], 0)


@pytest.mark.parametrize("data", [{}, {"next": "/polls/"}, {"code[]": CODE}, {"number": NUMBER}])
def test_it_asks_for_a_missing_code(awaiting_code, vonage, data):
    assert "Type the code from your phone." in field_errors(
        awaiting_code.post(URL, data, follow=True)
    )
    assert vonage.calls == []


def test_of_several_codes_one_is_checked(awaiting_code, vonage):
    awaiting_code.post(URL, {"code": ["111111", CODE]})
    assert vonage.bodies == [{"code": CODE}]


def form_id_of(response) -> str:
    return re.search(r'name="form_id" value="(\w+)"', page(response))[1]


def test_a_form_that_is_sent_again_is_no_second_guess(awaiting_code, wrong, vonage, user):
    form_id = form_id_of(awaiting_code.get(reverse("two_factor:verify")))
    for _ in range(4):
        response = confirm(awaiting_code, form_id=form_id, follow=True)
        assert WRONG_CODE in field_errors(response)
    assert vonage.calls == ["check"]
    assert failures_of(user) == 1


def test_another_code_from_the_same_form_is_another_guess(awaiting_code, wrong, vonage, user):
    form_id = form_id_of(awaiting_code.get(reverse("two_factor:verify")))
    for code in ("111111", "222222", "111111"):
        confirm(awaiting_code, code, form_id=form_id)
    assert failures_of(user) == len(vonage.calls) == 2


def test_the_same_code_typed_anew_is_another_guess(awaiting_code, wrong, vonage, user):
    for _ in range(2):
        form_id = form_id_of(awaiting_code.get(reverse("two_factor:verify")))
        confirm(awaiting_code, form_id=form_id)
    assert failures_of(user) == len(vonage.calls) == 2


@pytest.mark.django_db(transaction=True)
def test_a_double_click_is_one_guess(awaiting_code, wrong, vonage, user):
    form_id = form_id_of(awaiting_code.get(reverse("two_factor:verify")))

    def click():
        browser = Client()
        browser.cookies = awaiting_code.cookies
        return confirm(browser, form_id=form_id).status_code

    assert in_parallel(8, click) == [302] * 8
    assert vonage.calls == ["check"]
    assert failures_of(user) == 1


@pytest.mark.parametrize("status", [402, 429, 500])
def test_a_code_that_was_not_judged_can_be_sent_again_from_its_form(awaiting_code, vonage, status):
    form_id = form_id_of(awaiting_code.get(reverse("two_factor:verify")))
    vonage.check(status)
    confirm(awaiting_code, form_id=form_id)
    vonage.check()
    confirm(awaiting_code, form_id=form_id)
    assert is_verified(awaiting_code)


def test_a_reload_after_two_wrong_codes_is_no_third(awaiting_code, wrong, vonage, user):
    for _ in range(2):
        response = confirm(awaiting_code, next="/polls/1/", follow=True)
    assert response.redirect_chain[-1] == ("/2fa/verify/?next=%2Fpolls%2F1%2F", 302)
    for _ in range(3):
        awaiting_code.get(response.redirect_chain[-1][0])
        awaiting_code.get(URL)
    assert failures_of(user) == len(vonage.calls) == 2


def test_a_reload_shows_the_error_again_for_a_minute(awaiting_code, wrong, clock):
    assert WRONG_CODE in page(confirm(awaiting_code, follow=True))
    code_page = reverse("two_factor:verify")
    clock.shift(59)
    assert WRONG_CODE in page(awaiting_code.get(code_page))
    clock.shift(1)
    assert WRONG_CODE not in page(awaiting_code.get(code_page))


def test_the_next_form_takes_the_error_away(awaiting_code, wrong, clock):
    clock.shift(31)
    confirm(awaiting_code)
    response = awaiting_code.post(reverse("two_factor:resend"), follow=True)
    assert "A new code is on its way" in sentences(response)
    assert WRONG_CODE not in page(response)


def test_the_error_of_one_page_is_not_shown_on_another(awaiting_code, wrong):
    confirm(awaiting_code)
    assert WRONG_CODE not in page(awaiting_code.get(reverse("two_factor:phone")))


def test_after_an_answer_of_429_the_address_leads_to_the_page_and_on(awaiting_code):
    TwoFactor.objects.update(locked_until=timezone.now() + timedelta(minutes=9))
    assert confirm(awaiting_code, next="/polls/1/").status_code == 429
    assert awaiting_code.get(URL)["Location"] == "/2fa/verify/?next=%2Fpolls%2F1%2F"


def test_a_wrong_code_is_told_at_its_field_and_kept(awaiting_code, wrong, user):
    response = confirm(awaiting_code, follow=True)
    assert response.status_code == 200
    assert WRONG_CODE in field_errors(response)
    assert f'value="{CODE}"' in page(response)
    assert failures_of(user) == 1


def test_a_wrong_code_verifies_nothing(awaiting_code, wrong, user):
    confirm(awaiting_code)
    assert not is_verified(awaiting_code)
    assert TwoFactor.objects.get(user=user).number is None


def test_after_a_wrong_code_the_right_one_counts(awaiting_code, vonage):
    vonage.check(400)
    confirm(awaiting_code)
    vonage.check()
    confirm(awaiting_code)
    assert is_verified(awaiting_code)


@pytest.mark.parametrize(("status", "sentence"), [(410, VOID), (404, EXPIRED)])
def test_a_void_code_leads_back_to_the_number(awaiting_code, vonage, status, sentence):
    vonage.check(status)
    response = awaiting_code.post(URL, {"code": CODE, "next": "/polls/1/"}, follow=True)
    assert response.redirect_chain == [("/2fa/?next=%2Fpolls%2F1%2F", 302)]
    assert sentence in sentences(response)
    assert not Verification.objects.exists()
    assert not is_verified(awaiting_code)


@pytest.mark.parametrize("status", [410, 404])
def test_after_a_void_code_the_number_need_not_be_typed_again(awaiting_code, vonage, status):
    vonage.check(status)
    response = awaiting_code.post(URL, {"code": CODE}, follow=True)
    assert f'name="number" value="{NUMBER}"' in page(response)


TROUBLES = {**REFUSALS, 409: {"status": 409, "json": PROBLEM}, **UNCLEAR, **UNREADABLE}
TROUBLES["failed with an id"] = {
    "status": 200,
    "json": {"request_id": REQUEST_ID, "status": "failed"},
}


@pytest.mark.parametrize("answer", TROUBLES.values(), ids=map(str, TROUBLES))
def test_when_vonage_has_trouble_the_code_can_be_typed_again(awaiting_code, vonage, answer):
    vonage.check(**answer)
    response = confirm(awaiting_code, follow=True)
    assert response.status_code == 200
    told = sentences(response)
    assert UNCHECKED in told or OWNERS_TROUBLE_CHECKING in told
    assert f'value="{CODE}"' in page(response)
    assert vonage.calls == ["check"]


@pytest.mark.parametrize("answer", TROUBLES.values(), ids=map(str, TROUBLES))
def test_when_vonage_has_trouble_nobody_is_verified(awaiting_code, vonage, user, answer):
    vonage.check(**answer)
    response = confirm(awaiting_code)
    assert not is_verified(awaiting_code)
    assert TwoFactor.objects.get(user=user).number is None
    assert awaiting_code.get(reverse("account")).status_code == 200
    for secret in [REQUEST_ID, PROVIDERS_WORDS]:
        assert secret not in page(response)


@pytest.mark.parametrize("status", [401, 402, 403, 409, 429])
def test_a_code_that_vonage_did_not_judge_costs_no_try(awaiting_code, vonage, user, status):
    vonage.check(status, json=PROBLEM)
    confirm(awaiting_code)
    assert failures_of(user) == 0


@pytest.mark.parametrize("answer", UNCLEAR.values(), ids=map(str, UNCLEAR))
def test_a_code_that_vonage_may_have_judged_costs_a_try(awaiting_code, vonage, user, answer):
    vonage.check(**answer)
    confirm(awaiting_code)
    assert failures_of(user) == 1


def test_while_the_start_is_unanswered_no_code_can_be_checked(signed_in, vonage, user):
    create(signed_in)
    Verification.objects.update(request_id=None)
    response = confirm(signed_in, follow=True)
    assert NOT_SENT_YET in sentences(response)
    assert (vonage.calls, failures_of(user)) == (["start"], 0)


def test_while_voting_is_paused_nothing_is_called(awaiting_code, vonage, settings):
    settings.VONAGE_API_KEY = ""
    response = awaiting_code.post(URL, {"code": CODE}, follow=True)
    assert "Voting is paused" in sentences(response)
    assert vonage.calls == []


def test_a_number_of_another_account_is_told_after_the_right_code(awaiting_code, vonage, user):
    TwoFactorFactory(number=NUMBER)
    response = awaiting_code.post(URL, {"code": CODE}, follow=True)
    assert TAKEN in sentences(response)
    assert not is_verified(awaiting_code)
    assert TwoFactor.objects.get(user=user).number is None
    assert not Verification.objects.exists()


def test_a_number_of_another_account_is_not_told_after_a_wrong_code(awaiting_code, wrong):
    TwoFactorFactory(number=NUMBER)
    response = confirm(awaiting_code, follow=True)
    assert TAKEN not in page(response)
    assert WRONG_CODE in field_errors(response)


def test_a_second_number_does_not_replace_the_proven_one(awaiting_code, second_browser, user):
    TwoFactor.objects.filter(user=user).update(number=OTHER_NUMBER)
    response = awaiting_code.post(URL, {"code": CODE}, follow=True)
    assert OTHER_PROVEN in sentences(response)
    assert TwoFactor.objects.get(user=user).number == OTHER_NUMBER
    assert not is_verified(awaiting_code)


def test_another_browser_proves_the_number_anew_without_typing_it(
    verified, second_browser, two_factor, vonage
):
    second_browser.post(reverse("two_factor:create"))
    assert not is_verified(second_browser)
    confirm(second_browser)
    assert is_verified(second_browser)
    assert vonage.calls == ["start", "check"]


def test_proving_a_number_anew_leaves_other_browsers_verified(
    verified, second_browser, two_factor, vonage
):
    second_browser.post(reverse("two_factor:create"))
    confirm(second_browser)
    generation = two_factor.generation
    two_factor.refresh_from_db()
    assert two_factor.generation == generation


def test_a_number_removed_while_its_code_is_checked_stays_removed(
    signed_in, second_browser, two_factor, vonage, user
):
    verify(second_browser, two_factor)
    create(signed_in)
    vonage.check_slowly(lambda: TwoFactor.objects.get(user=user).reset())
    response = signed_in.post(URL, {"code": CODE}, follow=True)
    assert EXPIRED in sentences(response)
    assert TwoFactor.objects.get(user=user).number is None
    for browser in [signed_in, second_browser]:
        assert browser.get(reverse("two_factor:change"))["Location"].startswith("/2fa/")


def test_what_was_begun_before_a_reset_proves_nothing(two_factor):
    begun_before = TwoFactor.objects.get(pk=two_factor.pk)
    two_factor.reset()
    with pytest.raises(OtherNumberProven):
        begun_before.prove(NUMBER)
    two_factor.refresh_from_db()
    assert two_factor.number is None


@pytest.fixture
def locked(awaiting_code, wrong, vonage):
    for _ in range(10):
        confirm(awaiting_code)
    return awaiting_code


def test_ten_wrong_codes_lock(locked, vonage):
    response = confirm(locked)
    assert (response.status_code, response["Retry-After"]) == (429, "600")
    assert "Too many wrong codes. Please try again in 10 minutes." in sentences(response)
    assert vonage.calls == ["check"] * 10


def test_while_locked_the_right_code_is_not_even_checked(locked, vonage):
    vonage.check()
    confirm(locked)
    assert not is_verified(locked)
    assert vonage.calls == ["check"] * 10


def test_the_lock_says_how_long_it_still_lasts(locked, clock):
    clock.shift(300)
    assert confirm(locked)["Retry-After"] == "300"


def test_the_lock_ends(locked, vonage, clock):
    clock.shift(600)
    vonage.check()
    create(locked)
    confirm(locked)
    assert is_verified(locked)


def test_after_the_lock_there_are_ten_more_tries(locked, user, clock):
    clock.shift(600)
    create(locked)
    confirm(locked)
    assert failures_of(user) == 1


def test_the_lock_holds_in_every_browser(locked, second_browser, vonage):
    create(second_browser)
    assert confirm(second_browser).status_code == 429
    assert vonage.calls == ["check"] * 10


def test_a_new_code_does_not_reset_the_count(awaiting_code, vonage, user, clock):
    vonage.check(400)
    confirm(awaiting_code)
    vonage.check(410)
    confirm(awaiting_code)
    clock.shift(30)
    create(awaiting_code)
    confirm(awaiting_code)
    assert failures_of(user) == 3


def test_signing_in_again_does_not_reset_the_count(awaiting_code, wrong, user, clock):
    confirm(awaiting_code)
    awaiting_code.post(reverse("logout"))
    awaiting_code.force_login(user)
    create(awaiting_code)
    confirm(awaiting_code)
    assert failures_of(user) == 2


def test_the_right_code_resets_the_count(awaiting_code, vonage, user):
    vonage.check(400)
    confirm(awaiting_code)
    vonage.check()
    confirm(awaiting_code)
    assert failures_of(user) == 0


@pytest.mark.django_db(transaction=True)
def test_of_many_guesses_at_once_ten_reach_vonage(awaiting_code, wrong, vonage, settings):
    settings.VERIFY_CALLS_AT_ONCE = 16

    def guess():
        browser = Client()
        browser.cookies = awaiting_code.cookies
        return confirm(browser).status_code

    statuses = in_parallel(64, guess)
    assert sorted(statuses) == [302] * 10 + [429] * 54
    assert vonage.calls == ["check"] * 10


def test_nothing_of_it_stands_in_the_log(signed_in, vonage, caplog, clock, monkeypatch):
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, "django")
    monkeypatch.setattr(logging.getLogger("django"), "propagate", True)
    walk_all_ways(signed_in, vonage, clock)
    assert is_verified(signed_in)
    assert "Vonage Verify answered 400 to check" in caplog.text
    for secret in ["5550123", "5550124", CODE, "111111", REQUEST_ID, "shared-secret"]:
        assert secret not in caplog.text


def walk_all_ways(browser, vonage, clock):
    """Go through all steps, each with trouble first."""
    for answer in [*REFUSALS.values(), *UNCLEAR.values(), {"status": 202}]:
        vonage.start(**answer)
        create(browser, OTHER_NUMBER)
        clock.shift(600)
    for step in ["call", "resend", "cancel"]:
        browser.post(reverse(f"two_factor:{step}"))
        clock.shift(600)
        create(browser)
    vonage.check(400)
    confirm(browser, "111111")
    vonage.check()
    confirm(browser)


def test_another_language_is_chosen_without_losing_the_code_under_way(awaiting_code, wrong):
    form = confirm(awaiting_code, next="/polls/1/", follow=True).text.partition(
        '<form class="languages"'
    )[2]
    verify_url = f"{reverse('two_factor:verify')}?next=%2Fpolls%2F1%2F"
    assert f'name="next" value="{verify_url}"' in form
    chosen = awaiting_code.post(reverse("language"), {"language": "de", "next": verify_url})
    assert chosen["Location"] == verify_url
    assert awaiting_code.get(verify_url).status_code == 200


@pytest.mark.parametrize("email", ["owner@example.com", ""])
def test_a_number_of_another_account_is_no_dead_end(awaiting_code, settings, email):
    settings.OPERATOR = {"email": email}
    TwoFactorFactory(number=NUMBER)
    response = confirm(awaiting_code, next="/polls/1/", follow=True)
    told = page(response)
    assert TAKEN in sentences(response)
    assert 'action="/logout/"' in told.partition("Sign in with the other account")[0]
    assert 'name="next" value="/login/?next=%2Fpolls%2F1%2F"' in told
    assert 'href="/password_reset/"' in told
    assert (f"mailto:{email}" in told) if email else ("Ask whoever runs this site" in told)


def test_signing_out_there_leads_to_the_login_page(awaiting_code):
    TwoFactorFactory(number=NUMBER)
    confirm(awaiting_code)
    answer = awaiting_code.post(reverse("logout"), {"next": "/login/?next=%2Fpolls%2F1%2F"})
    assert answer["Location"] == "/login/?next=%2Fpolls%2F1%2F"


def test_the_code_page_says_that_no_one_asks_for_the_code(awaiting_code):
    told = page(awaiting_code.get(reverse("two_factor:verify")))
    assert "No one from this site will ever ask you for it." in told
