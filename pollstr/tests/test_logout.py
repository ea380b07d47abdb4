import pytest
from django.contrib.auth import get_user
from django.urls import reverse

from two_factor.mixins import VERIFIED

pytestmark = pytest.mark.django_db
LOGOUT = reverse("logout")


def test_it_signs_out(signed_in):
    response = signed_in.post(LOGOUT)
    assert response.status_code == 302
    assert response["Location"] == "/polls/"
    assert not get_user(signed_in).is_authenticated


def test_the_proof_of_the_phone_goes_with_it(verified, user):
    verified.post(LOGOUT)
    assert VERIFIED not in verified.session
    verified.force_login(user)
    assert verified.get("/polls/1/")["Location"].startswith("/2fa/")


def test_a_link_signs_nobody_out_and_shows_the_button(signed_in, user):
    response = signed_in.get(LOGOUT)
    assert response.status_code == 200
    assert "<title>Sign out · Pollstr</title>" in response.text
    assert "You are signed in as <bdi>ada</bdi>" in response.text
    assert "no-store" in response["Cache-Control"]
    assert "Clear-Site-Data" not in response
    assert get_user(signed_in) == user


def test_whoever_is_signed_out_is_led_on(client):
    assert client.get(LOGOUT)["Location"] == "/polls/"


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_other_methods_are_refused(signed_in, method):
    response = getattr(signed_in, method)(LOGOUT)
    assert (response.status_code, response["Allow"]) == (405, "GET, POST, HEAD, OPTIONS")


def test_the_browser_forgets_pages_and_keeps_its_language(signed_in):
    signed_in.post("/language/", {"language": "de"})
    response = signed_in.post(LOGOUT)
    assert response["Clear-Site-Data"] == '"cache", "storage"'
    assert "language" not in response.cookies
    assert signed_in.cookies["language"].value == "de"


def test_a_form_of_another_site_signs_nobody_out(signed_in, user):
    signed_in.handler.enforce_csrf_checks = True
    assert signed_in.post(LOGOUT).status_code == 403
    assert get_user(signed_in) == user


def test_the_anonymous_are_sent_on(client):
    assert client.post(LOGOUT)["Location"] == "/polls/"


def test_it_leads_to_no_other_site(signed_in):
    assert signed_in.post(LOGOUT, {"next": "https://evil.example/"})["Location"] == "/polls/"
