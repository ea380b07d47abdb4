import pytest
from django.core.management import call_command
from django.urls import reverse

from two_factor import signals
from two_factor.models import TwoFactor
from two_factor.recovery import LENGTH, RecoveryCode

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]
PASSWORD = "correct horse battery"
NAMES = [
    "phone_verified",
    "phone_changed",
    "phone_reset",
    "phone_locked",
    "phone_failed",
    "recovery_code_used",
]


@pytest.fixture
def told(request):
    """Collect the signals sent, each as its name and its arguments."""
    sent, receivers = [], []
    for name in getattr(request, "param", NAMES):

        def listen(signal, sender, name=name, **arguments):
            sent.append((name, {"sender": sender, **arguments}))

        receivers.append((getattr(signals, name), listen))
        receivers[-1][0].connect(listen)
    yield sent
    for signal, listen in receivers:
        signal.disconnect(listen)


def names(told) -> list[str]:
    return [name for name, _ in told]


def confirm(browser):
    return browser.post(reverse("two_factor:confirm"), {"code": "482913"})


def change(browser, password=PASSWORD):
    data = {"number": "+12025550188", "password": password}
    return browser.post(reverse("two_factor:change"), data)


def test_a_first_proof_is_told_as_new(awaiting_code, user, told):
    response = confirm(awaiting_code)
    expected = {"user": user, "is_new": True, "request": response.wsgi_request}
    assert told == [("phone_verified", {"sender": TwoFactor, **expected})]


def test_a_further_proof_is_told_as_not_new(signed_in, two_factor, vonage, told):
    signed_in.post(reverse("two_factor:create"))
    confirm(signed_in)
    assert [(name, arguments["is_new"]) for name, arguments in told] == [("phone_verified", False)]


def test_they_are_sent_when_the_database_has_the_change(awaiting_code):
    def listen(user, **kwargs):
        numbers.append(TwoFactor.objects.get(user=user).number)

    numbers = []
    signals.phone_verified.connect(listen)
    confirm(awaiting_code)
    signals.phone_verified.disconnect(listen)
    assert numbers == ["+12025550123"]


def test_a_change_is_told(verified, user, vonage, told):
    change(verified)
    assert told == []
    response = confirm(verified)
    assert names(told) == ["phone_changed", "phone_verified"]
    assert told[0][1] == {"sender": TwoFactor, "user": user, "request": response.wsgi_request}
    assert told[1][1]["is_new"] is False


def test_a_reset_is_told_without_a_request(two_factor, user, told):
    call_command("two_factor_reset", user.username)
    assert told == [("phone_reset", {"sender": TwoFactor, "user": user, "request": None})]


def test_a_wrong_code_is_not_told(awaiting_code, vonage, told):
    vonage.check(400)
    confirm(awaiting_code)
    assert told == []


def test_a_void_code_is_told(awaiting_code, vonage, user, told):
    vonage.check(410)
    response = confirm(awaiting_code)
    expected = {"sender": TwoFactor, "user": user, "request": response.wsgi_request}
    assert told == [("phone_failed", expected)]


def test_a_lock_is_told_once(awaiting_code, vonage, user, told):
    vonage.check(400)
    tenth, _ = [confirm(awaiting_code) for _ in range(11)][-2:]
    expected = {"sender": TwoFactor, "user": user, "request": tenth.wsgi_request}
    assert told == [("phone_locked", expected)]


def test_a_lock_by_wrong_recovery_codes_is_told_once(signed_in, two_factor, told):
    for _ in range(12):
        signed_in.post(reverse("two_factor:recover"), {"code": "a" * LENGTH})
    assert names(told) == ["phone_locked"]


def test_a_lock_by_wrong_passwords_is_told_once(verified, vonage, told):
    for _ in range(12):
        change(verified, password="wrong")
    assert names(told) == ["phone_locked"]


def test_a_used_recovery_code_is_told_with_what_is_left(signed_in, two_factor, user, told):
    code = RecoveryCode.objects.renew(user)[0]
    response = signed_in.post(reverse("two_factor:recover"), {"code": code})
    expected = {"sender": TwoFactor, "user": user, "left": 9, "request": response.wsgi_request}
    assert told == [("recovery_code_used", expected)]


sending = pytest.mark.parametrize("told", [["code_sent"]], indirect=True)


@sending
def test_a_code_is_told(signed_in, user, vonage, told):
    response = signed_in.post(reverse("two_factor:create"), {"number": "+12025550123"})
    expected = {"sender": TwoFactor, "user": user, "request": response.wsgi_request}
    assert told == [("code_sent", expected)]


@sending
@pytest.mark.parametrize("step", ["call", "resend"])
def test_a_further_code_is_told(awaiting_code, clock, told, step):
    clock.shift(31)
    awaiting_code.post(reverse(f"two_factor:{step}"))
    assert names(told) == ["code_sent"]


@sending
@pytest.mark.parametrize("number", ["junk", "+12025550123"])
def test_a_code_that_was_not_sent_is_not_told(signed_in, vonage, told, number):
    vonage.start(422)
    signed_in.post(reverse("two_factor:create"), {"number": number})
    assert told == []


@sending
def test_a_second_click_is_not_told(signed_in, vonage, told):
    for _ in range(2):
        signed_in.post(reverse("two_factor:create"), {"number": "+12025550123"})
    assert names(told) == ["code_sent"]


@pytest.mark.parametrize("told", [["code_failed"]], indirect=True)
@pytest.mark.parametrize(("status", "times"), [(400, 1), (410, 1), (404, 0), (500, 0), (200, 0)])
def test_a_wrong_code_is_told_as_such(awaiting_code, vonage, user, told, status, times):
    vonage.check(status)
    response = confirm(awaiting_code)
    expected = {"sender": TwoFactor, "user": user, "request": response.wsgi_request}
    assert told == [("code_failed", expected)] * times
