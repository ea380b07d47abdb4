import pytest
from django.conf import settings as django_settings
from django.test import Client
from django.urls import reverse

from two_factor.history import Event
from two_factor.keeping import NO_CODES_YET, NO_SUCH_CODE
from two_factor.mixins import VERIFIED
from two_factor.models import TwoFactor
from two_factor.recovery import RecoveryCode
from two_factor.steps import VERIFICATION

from .factories import TwoFactorFactory
from .pages import field_errors, page, sentences
from .parallel import in_parallel

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]
URL = reverse("two_factor:recover")
WRONG = "aaaa-bbbb-cccc-dddd-eeee-ffff"


def recover(browser, code, follow=False, **data):
    return browser.post(URL, {"code": code, **data}, follow=follow)


def is_verified(browser) -> bool:
    return VERIFIED in browser.session


def failures_of(user) -> int:
    return TwoFactor.objects.get(user=user).failures


@pytest.fixture
def code(two_factor):
    return RecoveryCode.objects.renew(two_factor.user)[0]


@pytest.fixture
def locked(signed_in, code):
    for _ in range(10):
        recover(signed_in, WRONG)
    return signed_in


def test_it_asks_for_a_code(signed_in, code):
    response = signed_in.get(URL, {"next": "/polls/1/?choice=2"})
    assert response.status_code == 200
    assert 'name="next" value="/polls/1/?choice=2"' in page(response)
    assert 'autocomplete="off"' in page(response)


def test_a_code_verifies_this_browser_and_leads_on(signed_in, code):
    response = recover(signed_in, code, next="/polls/1/?choice=2")
    assert (response.status_code, response["Location"]) == (302, "/polls/1/?choice=2")
    assert is_verified(signed_in)
    assert signed_in.get(reverse("two_factor:change")).status_code == 200


@pytest.mark.parametrize("next_url", ["", "//elsewhere.test/", "/2fa/recover/", "\0"])
def test_junk_for_a_next_becomes_the_list_of_polls(signed_in, code, next_url):
    assert recover(signed_in, code, next=next_url)["Location"] == "/polls/"


def test_it_tells_how_many_are_left(signed_in, code):
    response = signed_in.post(URL, {"code": code}, follow=True)
    assert "You have 9 left." in sentences(response)


def test_it_verifies_no_other_browser(signed_in, second_browser, code):
    recover(signed_in, code)
    assert not is_verified(second_browser)


def test_the_number_stays(signed_in, two_factor, code):
    recover(signed_in, code)
    assert TwoFactor.objects.get().number == two_factor.number
    assert TwoFactor.objects.get().generation == two_factor.generation


def test_the_keys_of_session_and_forms_change(signed_in, code):
    signed_in.get(URL)
    before = signed_in.session.session_key, signed_in.cookies["csrftoken"].value
    recover(signed_in, code)
    assert signed_in.session.session_key != before[0]
    assert signed_in.cookies["csrftoken"].value != before[1]


def test_the_old_session_id_is_worth_nothing(signed_in, code):
    thief = Client()
    thief.cookies[django_settings.SESSION_COOKIE_NAME] = signed_in.session.session_key
    recover(signed_in, code)
    assert thief.get(reverse("account"))["Location"] == "/login/?next=/account/"


def test_it_is_in_the_history(signed_in, user, code):
    signed_in.post(URL, {"code": code}, REMOTE_ADDR="192.0.2.7")
    event = Event.objects.get(kind=Event.Kind.RECOVERED)
    assert (event.user, event.address) == (user, "192.0.2.7")


def test_it_takes_the_place_of_a_code_under_way(signed_in, vonage, code):
    signed_in.post(reverse("two_factor:create"))
    recover(signed_in, code)
    assert VERIFICATION not in signed_in.session


def test_a_used_code_works_no_more(signed_in, second_browser, code):
    recover(signed_in, code, follow=True)
    response = recover(second_browser, code, follow=True)
    assert NO_SUCH_CODE in field_errors(response)
    assert not is_verified(second_browser)


@pytest.mark.django_db(transaction=True)
def test_of_many_browsers_at_once_one_gets_in(signed_in, code):
    def enter():
        browser = Client()
        browser.force_login(RecoveryCode.objects.first().user)
        recover(browser, code)
        return is_verified(browser)

    assert sorted(in_parallel(8, enter)) == [False] * 7 + [True]


def test_a_code_of_another_user_is_none(signed_in, code):
    code_of_another = RecoveryCode.objects.renew(TwoFactorFactory().user)[0]
    assert NO_SUCH_CODE in field_errors(recover(signed_in, code_of_another, follow=True))
    assert not is_verified(signed_in)
    assert RecoveryCode.objects.unused().count() == 20


def test_a_wrong_code_counts_like_one_of_the_phone(signed_in, user, code):
    response = recover(signed_in, WRONG, follow=True)
    assert response.status_code == 200
    assert NO_SUCH_CODE in field_errors(response)
    assert failures_of(user) == 1
    assert Event.objects.get().kind == Event.Kind.FAILED
    assert not is_verified(signed_in)


def test_ten_wrong_ones_lock(locked):
    response = recover(locked, WRONG)
    assert (response.status_code, response["Retry-After"]) == (429, "600")
    assert "Too many wrong codes. Please try again in 10 minutes." in sentences(response)
    assert Event.objects.filter(kind=Event.Kind.LOCKED).count() == 1


def test_the_lock_holds_for_codes_of_the_phone_too(locked, vonage):
    locked.post(reverse("two_factor:create"))
    assert locked.post(reverse("two_factor:confirm"), {"code": "123456"}).status_code == 429
    assert vonage.calls == ["start"]


def test_a_right_one_works_while_wrong_ones_lock(locked, user, code):
    assert recover(locked, code).status_code == 302
    assert is_verified(locked)
    assert failures_of(user) == 0


@pytest.mark.django_db(transaction=True)
def test_of_many_guesses_at_once_ten_are_answered(signed_in, code):
    def guess():
        browser = Client()
        browser.cookies = signed_in.cookies
        return recover(browser, WRONG).status_code

    assert sorted(in_parallel(32, guess)) == [302] * 10 + [429] * 22


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("", "Type one of your recovery codes."),
        ("   ", "Type one of your recovery codes."),
        ("----", "A recovery code has 24 letters and digits; you typed 0."),
        ("482913", "A recovery code has 24 letters and digits; you typed 6."),
        (WRONG + "e", "A recovery code has 24 letters and digits; you typed 25."),
        (WRONG + "\0", "Null characters are not allowed."),
        ("a" * 10_000, "A recovery code is shorter than that."),
    ],
)
def test_what_cannot_be_one_costs_no_try(signed_in, two_factor, typed, sentence):
    response = recover(signed_in, typed, follow=True)
    assert response.status_code == 200
    assert sentence in field_errors(response)
    assert failures_of(two_factor.user) == 0


@pytest.mark.parametrize("data", [{}, {"code[]": WRONG}, {"codes": [WRONG, WRONG]}])
def test_it_asks_for_a_missing_code(signed_in, two_factor, data):
    assert "Type one of your recovery codes." in field_errors(
        signed_in.post(URL, data, follow=True)
    )


def test_of_several_codes_one_is_tried(signed_in, user, code):
    signed_in.post(URL, {"code": [code, WRONG]})
    assert not is_verified(signed_in)
    assert failures_of(user) == 1


@pytest.mark.parametrize("method", ["get", "post"])
def test_without_a_proven_number_there_is_nothing_to_recover(signed_in, vonage, method):
    response = getattr(signed_in, method)(URL, {"code": WRONG, "next": "/polls/1/"}, follow=True)
    assert response.redirect_chain == [("/2fa/?next=%2Fpolls%2F1%2F", 302)]
    assert NO_CODES_YET in sentences(response)
    assert not TwoFactor.objects.exists()


def test_after_a_reset_no_code_works(signed_in, two_factor, code):
    two_factor.reset()
    recover(signed_in, code)
    assert not is_verified(signed_in)


@pytest.mark.parametrize("method", ["get", "post"])
def test_the_anonymous_sign_in_first(client, code, method):
    response = getattr(client, method)(URL, {"code": code, "next": "/polls/1/"})
    assert response["Location"].startswith("/login/?next=/")
    assert RecoveryCode.objects.unused().count() == 10


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_it_takes_no_other_method(signed_in, two_factor, method):
    assert getattr(signed_in, method)(URL).status_code == 405


def test_it_is_kept_out_of_caches_and_error_reports(signed_in, two_factor):
    response = recover(signed_in, WRONG)
    assert "no-store" in response["Cache-Control"]
    assert response.wsgi_request.sensitive_post_parameters == "__ALL__"
