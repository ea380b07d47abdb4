import pytest
from django.conf import settings as django_settings
from django.test import Client
from django.urls import reverse

from polls.models import Ballot
from polls.tests.factories import PollFactory
from two_factor.history import Event
from two_factor.keeping import FRESH
from two_factor.mixins import VERIFIED
from two_factor.models import CHANNEL_TIMEOUT, TwoFactor, Verification
from two_factor.recovery import RecoveryCode
from two_factor.steps import EXPIRED, VERIFICATION
from two_factor.views import OTHER_PROVEN, TAKEN, VOID

from .factories import TwoFactorFactory
from .pages import field_errors, page, sentences
from .parallel import in_parallel
from .vonage import UNCLEAR

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]
URL = reverse("two_factor:change")
OLD, NEW, THIRD = "+12025550123", "+12025550188", "+12025550199"
PASSWORD, CODE = "correct horse battery", "482913"


def change(browser, number=NEW, password=PASSWORD, follow=False, **data):
    return browser.post(URL, {"number": number, "password": password, **data}, follow=follow)


def confirm(browser, follow=False, **data):
    return browser.post(reverse("two_factor:confirm"), {"code": CODE, **data})


def number_of(user) -> str:
    return str(TwoFactor.objects.get(user=user).number)


def failures_of(user) -> int:
    return TwoFactor.objects.get(user=user).failures


def may_change(browser) -> bool:
    return browser.get(URL).status_code == 200


@pytest.fixture
def changing(verified, vonage):
    """A browser in which a code is under way to the new number."""
    change(verified)
    vonage.wire.calls.reset()
    return verified


def test_it_asks_for_the_new_number_and_the_password(verified, vonage):
    response = verified.get(URL, {"next": "/account/"})
    assert 'Your number is <strong class="number">•••• ••23</strong>.' in page(response)
    assert 'name="next" value="/account/"' in page(response)
    assert 'autocomplete="current-password"' in page(response)
    assert "2025550123" not in page(response)


def test_the_code_goes_to_the_new_number(verified, vonage):
    response = change(verified, next="/account/")
    assert response["Location"] == "/2fa/verify/?next=%2Faccount%2F"
    assert vonage.calls == ["start"]
    assert {step["to"] for step in vonage.bodies[0]["workflow"]} == {NEW.removeprefix("+")}


def test_who_left_the_page_of_the_code_finds_the_way_back(changing, vonage):
    assert 'href="/2fa/verify/?next=%2Faccount%2F"' in page(
        changing.get(URL, {"next": "/account/"})
    )


def test_until_its_code_is_right_nothing_changes(changing, vonage, user):
    vonage.check(400)
    confirm(changing)
    assert number_of(user) == OLD
    assert may_change(changing)


def test_the_right_code_changes_the_number(changing, user):
    response = confirm(changing, next="/account/")
    assert response["Location"] == "/account/"
    assert number_of(user) == NEW
    assert may_change(changing)
    assert not Verification.objects.exists()


def test_all_other_browsers_prove_the_new_number(verified, vonage, two_factor):
    second_browser = Client()
    second_browser.force_login(two_factor.user)
    second_browser.post(reverse("two_factor:create"))
    confirm(second_browser)
    assert may_change(second_browser)
    change(verified)
    confirm(verified)
    assert second_browser.get(URL)["Location"].startswith("/2fa/?next=")


def test_the_keys_of_session_and_forms_change(changing):
    changing.get(reverse("two_factor:verify"))
    before = changing.session.session_key, changing.cookies["csrftoken"].value
    confirm(changing)
    assert changing.session.session_key != before[0]
    assert changing.cookies["csrftoken"].value != before[1]


def test_the_old_session_id_is_worth_nothing(changing):
    thief = Client()
    thief.cookies[django_settings.SESSION_COOKIE_NAME] = changing.session.session_key
    confirm(changing)
    assert thief.get(reverse("account"))["Location"] == "/login/?next=/account/"


def test_it_is_in_the_history(changing, user):
    confirm(changing)
    event = Event.objects.get(kind=Event.Kind.CHANGED)
    assert (event.user, event.number) == (user, "•••• ••88")


def test_the_old_number_is_free_again(changing, vonage):
    confirm(changing)
    stranger = Client()
    stranger.force_login(TwoFactorFactory(number=None).user)
    stranger.post(reverse("two_factor:create"), {"number": OLD})
    confirm(stranger)
    assert TwoFactor.objects.filter(number=OLD).exists()


def test_votes_stay_with_the_old_number(changing):
    poll = PollFactory(choices=["Red", "Blue"])
    vote, red = reverse("polls:vote", args=[poll.pk]), poll.choices.first()
    changing.post(vote, {"choice": red.pk})
    confirm(changing)
    assert Ballot.objects.of(poll, OLD)
    assert not Ballot.objects.of(poll, NEW)
    changing.post(vote, {"choice": red.pk})
    assert poll.ballots.count() == 2


def test_recovery_codes_outlive_a_change(verified, user, vonage):
    code = RecoveryCode.objects.renew(user)[0]
    change(verified)
    confirm(verified)
    assert RecoveryCode.objects.use(user, code)


def test_a_recovery_code_is_proof_enough(signed_in, two_factor, vonage):
    code = RecoveryCode.objects.renew(two_factor.user)[0]
    signed_in.post(reverse("two_factor:recover"), {"code": code})
    change(signed_in)
    confirm(signed_in)
    assert number_of(two_factor.user) == NEW


def test_given_up_half_way_it_leaves_the_old_number(changing, user):
    response = changing.post(reverse("two_factor:cancel"), {"next": "/account/"})
    assert response["Location"] == "/2fa/change/?next=%2Faccount%2F"
    confirm(changing)
    assert number_of(user) == OLD
    assert may_change(changing)


def test_after_expiry_the_old_number_stays_and_the_person_is_told(changing, user, clock):
    clock.shift(2 * CHANNEL_TIMEOUT)
    response = changing.post(reverse("two_factor:confirm"), {"code": CODE}, follow=True)
    assert EXPIRED in sentences(response)
    assert response.redirect_chain == [("/2fa/change/?next=%2Fpolls%2F", 302)]
    assert number_of(user) == OLD


def test_a_void_code_leads_back_to_the_new_number(changing, vonage):
    vonage.check(410)
    response = changing.post(reverse("two_factor:confirm"), {"code": CODE}, follow=True)
    assert response.redirect_chain == [("/2fa/change/?next=%2Fpolls%2F", 302)]
    assert VOID in sentences(response)


def test_the_number_of_another_account_is_not_told_before_its_code(changing, vonage):
    TwoFactorFactory(number=NEW)
    vonage.check(400)
    assert TAKEN not in page(confirm(changing))


def test_the_number_of_another_account_is_told_after_the_right_code(changing, user):
    TwoFactorFactory(number=NEW)
    response = changing.post(reverse("two_factor:confirm"), {"code": CODE}, follow=True)
    assert TAKEN in sentences(response)
    assert response.redirect_chain == [("/2fa/change/?next=%2Fpolls%2F", 302)]
    assert number_of(user) == OLD


def test_asking_looks_the_same_for_the_number_of_another_account(verified, vonage):
    TwoFactorFactory(number=NEW)
    assert change(verified)["Location"] == "/2fa/verify/?next=%2Fpolls%2F"


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (OLD, "That is your number already."),
        ("(202) 555-0123", "That is your number already."),
        ("", "Type your phone number."),
        ("hello", "That is not a phone number."),
        ("+1 202 555 01", "This number is too short for its country (United States)."),
        ("+49 30 901820", "We cannot send codes to numbers of this country (Germany) yet."),
        ("+1 900 555 0123", "This kind of number cannot receive codes."),
        ("+12025550188\0", "Null characters are not allowed."),
        ("1" * 10_000, "That is too long for a phone number."),
    ],
)
def test_a_number_that_cannot_be_is_told_at_its_field(verified, vonage, user, number, sentence):
    response = change(verified, number, follow=True)
    assert response.status_code == 200
    assert sentence in field_errors(response)
    assert (vonage.calls, failures_of(user)) == ([], 0)


@pytest.mark.parametrize("data", [{}, {"number[]": NEW}, {"number": NEW}])
def test_it_asks_for_what_is_missing(verified, vonage, user, data):
    assert "Type your password." in field_errors(verified.post(URL, data, follow=True))
    assert (vonage.calls, failures_of(user)) == ([], 0)


def test_a_wrong_password_is_told_and_counts_like_a_wrong_code(verified, vonage, user):
    response = change(verified, password="wrong", follow=True)
    assert response.status_code == 200
    assert "That is not your password." in field_errors(response)
    assert 'value="wrong"' not in page(response)
    assert (vonage.calls, failures_of(user)) == ([], 1)
    assert Event.objects.get().kind == Event.Kind.FAILED


@pytest.mark.parametrize("password", [f" {PASSWORD}", PASSWORD.upper(), "x" * 1000])
def test_a_password_is_taken_as_it_is_typed(verified, vonage, user, password):
    change(verified, password=password)
    assert (vonage.calls, failures_of(user)) == ([], 1)


def test_a_wrong_password_counts_with_a_wrong_number_too(verified, user):
    change(verified, number="hello", password="wrong")
    assert failures_of(user) == 1


def test_the_right_password_costs_no_try_and_resets_none(verified, vonage, user):
    change(verified, password="wrong")
    change(verified)
    assert failures_of(user) == 1


@pytest.fixture
def locked(verified, vonage):
    for _ in range(10):
        change(verified, password="wrong")
    return verified


def test_ten_wrong_passwords_lock(locked):
    response = change(locked, password="wrong")
    assert (response.status_code, response["Retry-After"]) == (429, "600")
    assert "Please try again in 10 minutes." in sentences(response)
    assert Event.objects.filter(kind=Event.Kind.LOCKED).count() == 1


@pytest.mark.parametrize("password", [PASSWORD, "wrong"])
def test_while_locked_no_password_is_judged(locked, vonage, password):
    response = change(locked, password=password)
    assert response.status_code == 429
    assert field_errors(response) == ""
    assert f'value="{NEW}"' in page(response)
    assert vonage.calls == []


def test_the_last_try_may_be_the_right_one(verified, vonage, user):
    for _ in range(9):
        change(verified, password="wrong")
    assert change(verified).status_code == 302
    assert TwoFactor.objects.get(user=user).locked_until is None


@pytest.mark.django_db(transaction=True)
def test_of_many_passwords_at_once_ten_are_judged(verified):
    def guess():
        browser = Client()
        browser.cookies = verified.cookies
        return change(browser, password="wrong").status_code

    assert sorted(in_parallel(32, guess)) == [302] * 10 + [429] * 22


def test_it_is_limited_like_every_code(verified, vonage):
    change(verified)
    response = change(verified, THIRD)
    assert (response.status_code, response["Retry-After"]) == (429, "30")
    assert vonage.calls == ["start"]


@pytest.mark.parametrize("answer", UNCLEAR.values(), ids=map(str, UNCLEAR))
def test_when_vonage_has_trouble_the_old_number_stays(verified, vonage, user, answer):
    vonage.start(**answer)
    response = change(verified, follow=True)
    assert response.status_code == 200
    assert f'name="number" value="{NEW}"' in page(response)
    assert number_of(user) == OLD


@pytest.mark.parametrize("method", ["get", "post"])
def test_while_no_code_can_be_sent_it_says_so(verified, method, user):
    data = {"number": NEW, "password": PASSWORD}
    response = getattr(verified, method)(URL, data, follow=True)
    assert "This site cannot send codes at present" in sentences(response)
    assert not Verification.objects.exists()
    assert number_of(user) == OLD


@pytest.mark.parametrize("step", ["call", "resend"])
def test_a_code_sent_otherwise_is_still_for_the_change(changing, user, clock, step):
    clock.shift(60)
    changing.post(reverse(f"two_factor:{step}"))
    confirm(changing)
    assert number_of(user) == NEW


def test_no_other_form_replaces_the_number(verified, second_browser, vonage, user):
    for browser in [verified, second_browser]:
        browser.post(reverse("two_factor:create"), {"number": NEW, "is_change": "True"})
        confirm(browser, number=NEW, is_change="True")
    assert number_of(user) == OLD
    assert NEW.removeprefix("+") not in str(vonage.bodies)


def test_a_code_from_before_the_first_proof_replaces_nothing(
    signed_in, second_browser, vonage, user, clock
):
    signed_in.post(reverse("two_factor:create"), {"number": NEW})
    clock.shift(60)
    second_browser.post(reverse("two_factor:create"), {"number": OLD})
    confirm(second_browser)
    response = signed_in.post(reverse("two_factor:confirm"), {"code": CODE}, follow=True)
    assert OTHER_PROVEN in sentences(response)
    assert number_of(user) == OLD


def test_a_change_ends_those_begun_elsewhere(changing, second_browser, vonage, user, clock):
    clock.shift(60)
    second_browser.post(reverse("two_factor:create"))
    confirm(second_browser)
    change(second_browser, THIRD)
    confirm(second_browser)
    response = changing.post(reverse("two_factor:confirm"), {"code": CODE}, follow=True)
    assert number_of(user) == THIRD
    assert EXPIRED in sentences(response)
    assert VERIFIED in second_browser.session


def test_proving_the_old_number_elsewhere_ends_no_change(changing, second_browser, clock, user):
    clock.shift(60)
    second_browser.post(reverse("two_factor:create"))
    confirm(second_browser)
    confirm(changing)
    assert number_of(user) == NEW


def test_a_reset_ends_a_change(changing, two_factor):
    two_factor.reset()
    confirm(changing)
    assert TwoFactor.objects.get().number is None


@pytest.mark.parametrize("method", ["get", "post"])
def test_the_anonymous_sign_in_first(client, vonage, method):
    response = getattr(client, method)(URL, {"number": NEW, "password": PASSWORD})
    assert response["Location"].startswith("/login/?next=/2fa/change/")
    assert vonage.calls == []


@pytest.mark.parametrize("method", ["get", "post"])
def test_the_unverified_prove_the_old_number_first(signed_in, two_factor, vonage, method):
    response = getattr(signed_in, method)(URL, {"number": NEW, "password": "wrong"})
    assert response["Location"].startswith("/2fa/?next=%2F2fa%2Fchange%2F")
    assert (vonage.calls, failures_of(two_factor.user)) == ([], 0)


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_proof_that_is_not_fresh_is_renewed_and_leads_back(
    verified, vonage, clock, method, two_factor
):
    clock.shift(FRESH)
    data = {"number": NEW, "password": PASSWORD, "next": "/account/"}
    response = getattr(verified, method)(URL, data, follow=True)
    assert "Send me a code" in page(response)
    next_url = response.context["next"]
    assert next_url.startswith("/2fa/change/?")
    assert "next=%2Faccount%2F" in next_url
    verified.post(reverse("two_factor:create"), {"next": next_url})
    assert confirm(verified, next=next_url)["Location"] == next_url
    assert verified.get(next_url).context["next"] == "/account/"


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_it_takes_no_other_method(verified, method):
    assert getattr(verified, method)(URL).status_code == 405


def test_it_is_kept_out_of_caches_and_error_reports(verified):
    response = change(verified, password="wrong")
    assert "no-store" in response["Cache-Control"]
    assert response.wsgi_request.sensitive_post_parameters == "__ALL__"


def test_the_new_number_stands_in_no_session_and_no_address(verified, vonage):
    response = change(verified)
    assert VERIFICATION in verified.session
    assert "5550188" not in str(dict(verified.session)) + response["Location"]
