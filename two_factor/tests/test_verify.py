import pytest
from django.urls import reverse
from django.utils import timezone

from two_factor.models import CHANNEL_TIMEOUT, SandboxRequest, Verification
from two_factor.steps import EXPIRED, VERIFICATION

from .pages import page, sentences
from .vonage import REQUEST_ID

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]
URL = reverse("two_factor:verify")
PHONE_PAGE = "/2fa/?next=%2Fpolls%2F1%2F"


def test_it_asks_for_the_code_in_one_field(awaiting_code):
    response = awaiting_code.get(URL)
    assert response.status_code == 200
    assert 'inputmode="numeric" autocomplete="one-time-code"' in page(response)


def test_it_shows_the_number_just_typed_in_full(awaiting_code):
    assert "+1 202-555-0123" in page(awaiting_code.get(URL))


def test_it_masks_a_verified_number(signed_in, two_factor, vonage):
    signed_in.post(reverse("two_factor:create"))
    response = signed_in.get(URL)
    assert "•••• ••23" in page(response)
    assert "555-0123" not in page(response)


def test_it_carries_on_where_to_go_afterwards(awaiting_code):
    response = awaiting_code.get(URL, {"next": "/polls/1/?choice=2"})
    assert page(response).count('name="next" value="/polls/1/?choice=2"') == 4


def test_it_shows_no_code_and_no_request_id(awaiting_code):
    response = awaiting_code.get(URL)
    assert "Sandbox" not in page(response)
    assert str(Verification.objects.get().request_id) not in page(response)


def test_looking_at_it_calls_nobody(awaiting_code, vonage):
    awaiting_code.get(URL)
    assert vonage.calls == []


def test_the_sandbox_shows_the_code(signed_in, sandbox, caplog):
    signed_in.post(reverse("two_factor:create"), {"number": "+12025550123"})
    code = caplog.messages[-1].rpartition(" ")[2]
    assert f"no message was sent. The code is {code}" in sentences(signed_in.get(URL))


def test_outside_the_sandbox_no_code_is_shown_even_if_there_is_one(awaiting_code):
    SandboxRequest.objects.create(
        id=REQUEST_ID,
        channels=["sms"],
        code="482913",
        started_at=timezone.now(),
        step_started_at=timezone.now(),
    )
    assert "482913" not in page(awaiting_code.get(URL))


def test_it_says_how_long_to_wait_for_another_code(awaiting_code, clock):
    assert 'data-wait-seconds="30"' in page(awaiting_code.get(URL))
    clock.shift(20)
    assert "another code in 10 seconds" in page(awaiting_code.get(URL))


def test_after_the_wait_it_says_nothing_of_it(awaiting_code, clock):
    clock.shift(30)
    assert "data-wait-seconds" not in page(awaiting_code.get(URL))


def test_it_tells_of_the_call_that_follows_an_sms(awaiting_code):
    response = awaiting_code.get(URL)
    assert "If nothing comes, we call you" in page(response)
    assert "Call me instead" in page(response)


def test_once_the_call_was_made_it_offers_none(awaiting_code, clock):
    clock.shift(CHANNEL_TIMEOUT)
    response = awaiting_code.get(URL)
    assert "A call reads 6 digits" in page(response)
    assert "Call me instead" not in page(response)
    assert "If nothing comes" not in page(response)


def test_the_anonymous_sign_in_first(client, db):
    response = client.get(URL, {"next": "/polls/1/"})
    assert response["Location"].startswith("/login/?next=/2fa/verify/")


def test_without_a_code_under_way_it_goes_back_to_the_number(signed_in, vonage):
    response = signed_in.get(URL, {"next": "/polls/1/"}, follow=True)
    assert response.redirect_chain == [(PHONE_PAGE, 302)]
    assert EXPIRED in sentences(response)


def test_after_expiry_it_goes_back_to_the_number(awaiting_code, clock):
    clock.shift(2 * CHANNEL_TIMEOUT - 1)
    assert awaiting_code.get(URL).status_code == 200
    clock.shift(1)
    response = awaiting_code.get(URL, {"next": "/polls/1/"}, follow=True)
    assert response.redirect_chain == [(PHONE_PAGE, 302)]
    assert EXPIRED in sentences(response)


def test_after_expiry_the_number_need_not_be_typed_again(awaiting_code, clock):
    clock.shift(2 * CHANNEL_TIMEOUT)
    response = awaiting_code.get(URL, follow=True)
    assert 'name="number" value="+12025550123"' in page(response)


def test_after_expiry_a_proven_number_is_not_put_into_the_form(
    signed_in, two_factor, vonage, clock
):
    signed_in.post(reverse("two_factor:create"))
    clock.shift(2 * CHANNEL_TIMEOUT)
    assert "5550123" not in page(signed_in.get(URL, follow=True))
    assert "5550123" not in str(dict(signed_in.session))


def test_a_landlines_code_expires_after_its_only_call(signed_in, vonage, clock):
    signed_in.post(reverse("two_factor:create"), {"number": "+442079460958"})
    clock.shift(CHANNEL_TIMEOUT)
    assert signed_in.get(URL)["Location"] == "/2fa/?next=%2Fpolls%2F"


def test_the_verified_go_on(verified, vonage):
    assert verified.get(URL, {"next": "/polls/1/"})["Location"] == "/polls/1/"


def test_another_browser_has_no_code_under_way(awaiting_code, second_browser):
    assert second_browser.get(URL, {"next": "/polls/1/"})["Location"] == PHONE_PAGE


def test_the_code_of_another_user_is_nobody_elses(signed_in, code_of_another_user, vonage):
    session = signed_in.session
    session[VERIFICATION] = str(code_of_another_user(request_id=REQUEST_ID).pk)
    session.save()
    assert signed_in.get(URL, {"next": "/polls/1/"})["Location"] == PHONE_PAGE


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_it_is_only_looked_at(awaiting_code, method):
    response = getattr(awaiting_code, method)(URL)
    assert response.status_code == 405
    assert "Nothing was changed." in page(response)


def test_while_voting_is_paused_it_says_so(awaiting_code, settings):
    settings.VONAGE_API_KEY = ""
    assert "Voting is paused" in sentences(awaiting_code.get(URL, follow=True))
