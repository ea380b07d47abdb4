from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from two_factor.models import CHANNEL_TIMEOUT, Verification
from two_factor.steps import EXPIRED, VERIFICATION

from .pages import page, sentences
from .vonage import PROBLEM, PROVIDERS_WORDS, REFUSALS, REQUEST_ID, UNCLEAR

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]
URL = reverse("two_factor:cancel")
NUMBER = "+12025550123"
MINUTE = timedelta(minutes=1)
PHONE_PAGE = "/2fa/?next=%2Fpolls%2F1%2F"
TROUBLES = {**REFUSALS, 404: {"status": 404, "json": PROBLEM}, **UNCLEAR}


def cancel(browser, **data):
    return browser.post(URL, {"next": "/polls/1/", **data})


def test_it_cancels_the_code_and_goes_back_to_the_number(awaiting_code, vonage):
    assert cancel(awaiting_code)["Location"] == PHONE_PAGE
    assert vonage.calls == ["cancel"]
    assert vonage.paths == [f"/v2/verify/{REQUEST_ID}"]


def test_the_wrong_number_stands_in_the_form_to_be_corrected(awaiting_code):
    response = awaiting_code.post(URL, follow=True)
    assert f'name="number" value="{NUMBER}"' in page(response)


def test_the_wrong_number_is_in_no_address(awaiting_code):
    response = awaiting_code.post(URL, follow=True)
    assert "5550123" not in str(response.redirect_chain)


def test_the_pending_data_is_gone(awaiting_code):
    cancel(awaiting_code)
    assert VERIFICATION not in awaiting_code.session
    # The row stays for a minute, so that a conflict with it is known as our own.
    assert not Verification.objects.filter(expires_at__gt=timezone.now() + MINUTE).exists()


def test_its_code_counts_no_more(awaiting_code, vonage):
    vonage.cancel(404, json=PROBLEM)
    cancel(awaiting_code)
    response = awaiting_code.post(reverse("two_factor:confirm"), {"code": "123456"}, follow=True)
    assert EXPIRED in sentences(response)
    assert vonage.calls == ["cancel"]


def test_a_proven_number_is_not_put_into_the_form(signed_in, two_factor, vonage):
    signed_in.post(reverse("two_factor:create"))
    response = signed_in.post(URL, follow=True)
    assert "5550123" not in page(response)
    assert "5550123" not in str(dict(signed_in.session))


def test_the_anonymous_sign_in_first(client, vonage):
    assert cancel(client)["Location"] == "/login/?next=/polls/1/"
    assert vonage.calls == []


def test_without_a_code_under_way_it_goes_back_to_the_number(signed_in, vonage):
    response = signed_in.post(URL, follow=True)
    assert "Prove your phone" in page(response)
    assert vonage.calls == []


def test_after_expiry_it_goes_back_to_the_number(awaiting_code, vonage, clock):
    clock.shift(2 * CHANNEL_TIMEOUT)
    assert EXPIRED in sentences(awaiting_code.post(URL, follow=True))
    assert vonage.calls == []


def test_a_second_click_calls_nobody(awaiting_code, vonage):
    assert [cancel(awaiting_code)["Location"] for _ in range(2)] == [PHONE_PAGE] * 2
    assert vonage.calls == ["cancel"]


def test_the_verified_go_on(verified, vonage):
    assert cancel(verified)["Location"] == "/polls/1/"
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


@pytest.mark.parametrize("next_url", ["", "//elsewhere.test/", "\0", "a" * 10_000, "/2fa/cancel/"])
def test_junk_for_a_next_becomes_the_list_of_polls(awaiting_code, next_url):
    assert cancel(awaiting_code, next=next_url)["Location"] == "/2fa/?next=%2Fpolls%2F"


def test_a_start_without_an_answer_cannot_be_cancelled_yet(signed_in, vonage):
    signed_in.post(reverse("two_factor:create"), {"number": NUMBER})
    Verification.objects.update(request_id=None)
    cancel(signed_in)
    assert vonage.calls == ["start"]
    assert Verification.objects.get().is_abandoned


def test_while_voting_is_paused_nothing_is_called(awaiting_code, vonage, settings):
    settings.VONAGE_API_KEY = ""
    assert "Voting is paused" in sentences(awaiting_code.post(URL, follow=True))
    assert vonage.calls == []


@pytest.mark.parametrize("answer", TROUBLES.values(), ids=map(str, TROUBLES))
def test_when_vonage_does_not_cancel_nobody_notices(awaiting_code, vonage, answer):
    vonage.cancel(**answer)
    response = awaiting_code.post(URL, {"next": "/polls/1/"}, follow=True)
    assert response.redirect_chain == [(PHONE_PAGE, 302)]
    assert f'name="number" value="{NUMBER}"' in page(response)
    assert PROVIDERS_WORDS not in page(response)
    assert vonage.calls == ["cancel"]


@pytest.mark.parametrize("answer", TROUBLES.values(), ids=map(str, TROUBLES))
def test_what_vonage_did_not_cancel_is_remembered(awaiting_code, vonage, answer):
    vonage.cancel(**answer)
    cancel(awaiting_code)
    assert Verification.objects.get().is_abandoned
    assert VERIFICATION not in awaiting_code.session
