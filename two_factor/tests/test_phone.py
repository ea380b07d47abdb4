import pytest
from django.urls import reverse

from two_factor.models import TwoFactor, Verification
from two_factor.steps import WRONG_NUMBER

from .pages import page, sentences

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]
URL = reverse("two_factor:phone")


def test_it_asks_for_a_number(signed_in, vonage):
    response = signed_in.get(URL)
    assert response.status_code == 200
    assert 'type="tel" name="number"' in page(response)
    assert "Voting is paused" not in page(response)


def test_it_says_what_a_code_can_and_cannot_show(signed_in, vonage):
    text = page(signed_in.get(URL))
    assert "A code shows that this phone is in your hand" in text
    assert "it cannot help if somebody takes over your number" in text


def test_it_carries_on_where_to_go_afterwards(signed_in, vonage):
    response = signed_in.get(URL, {"next": "/polls/1/?choice=2&choice=3"})
    assert 'name="next" value="/polls/1/?choice=2&choice=3"' in page(response)


@pytest.mark.parametrize("next_url", ["//elsewhere.test/", "/2fa/", "/logout/", "a" * 10_000, "\0"])
def test_it_carries_on_no_unsafe_place(signed_in, vonage, next_url):
    response = signed_in.get(URL, {"next": next_url})
    assert 'name="next" value="/polls/"' in page(response)


def test_the_anonymous_sign_in_first(client, db):
    response = client.get(URL, {"next": "/polls/1/"})
    assert response["Location"] == "/login/?next=/2fa/%3Fnext%3D%252Fpolls%252F1%252F"


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_it_is_only_looked_at(signed_in, method):
    response = getattr(signed_in, method)(URL)
    assert response.status_code == 405
    assert "Nothing was changed." in page(response)


def test_looking_at_it_writes_nothing(signed_in, vonage):
    signed_in.get(URL)
    assert not TwoFactor.objects.exists()
    assert not Verification.objects.exists()
    assert vonage.calls == []


def test_the_number_to_correct_is_still_there(signed_in, vonage):
    session = signed_in.session
    session[WRONG_NUMBER] = "+12025550199"
    session.save()
    assert 'value="+12025550199"' in page(signed_in.get(URL))


def test_it_says_how_to_spell_a_number(signed_in, vonage, settings):
    settings.VERIFY_DEFAULT_REGION = "GB"
    assert "such as +44 7400 123456; without one we read it as of United Kingdom." in page(
        signed_in.get(URL)
    )


def test_it_counts_down_to_the_next_code(awaiting_code):
    awaiting_code.post(reverse("two_factor:cancel"))
    assert 'data-wait-seconds="30"' in page(awaiting_code.get(URL))


def test_a_proven_number_is_masked_and_not_asked_for(signed_in, two_factor, vonage):
    response = signed_in.get(URL)
    assert "•••• ••23" in page(response)
    assert "Send me a code" in page(response)
    assert 'name="number"' not in page(response)
    assert "2025550123" not in page(response)


def test_the_verified_are_offered_to_go_on(verified, vonage):
    response = verified.get(URL, {"next": "/polls/1/"})
    assert "Your phone is verified" in page(response)
    assert 'href="/polls/1/"' in page(response)
    assert "Send me a code" not in page(response)


def test_without_credentials_it_says_that_voting_is_paused(signed_in):
    response = signed_in.get(URL)
    assert response.status_code == 200
    assert "Voting is paused" in sentences(response)
    assert "Send me a code" not in page(response)


def test_a_proven_number_cannot_be_used_while_voting_is_paused(signed_in, two_factor):
    response = signed_in.get(URL)
    assert "Voting is paused" in sentences(response)
    assert "Send me a code" not in page(response)


def test_who_is_verified_already_votes_on_while_it_is_paused(verified):
    assert "Your phone is verified" in page(verified.get(URL))


def link_to_code(response) -> bool:
    return 'href="/2fa/verify/?next=%2Fpolls%2F1%2F"' in page(response)


def test_a_code_under_way_can_still_be_typed(awaiting_code):
    response = awaiting_code.get(URL, {"next": "/polls/1/"})
    assert "A code is already on its way to you." in page(response)
    assert link_to_code(response)


def test_without_a_code_it_leads_to_no_page_for_one(signed_in, awaiting_code, second_browser):
    assert not link_to_code(second_browser.get(URL, {"next": "/polls/1/"}))
    signed_in.post(reverse("two_factor:cancel"))
    assert not link_to_code(signed_in.get(URL, {"next": "/polls/1/"}))


def test_a_code_that_expired_is_not_asked_for(awaiting_code, clock):
    clock.shift(3600)
    assert not link_to_code(awaiting_code.get(URL, {"next": "/polls/1/"}))


def test_a_code_that_was_never_sent_is_not_asked_for(signed_in, awaiting_code):
    Verification.objects.update(request_id=None, state=Verification.State.UNCLEAR)
    assert not link_to_code(signed_in.get(URL, {"next": "/polls/1/"}))
