"""Forms that are sent to an address without its last slash."""

import pytest
from django.test import Client
from django.urls import reverse

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("debug", [True, False])
@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
@pytest.mark.parametrize("path", ["/login", "/2fa/create", "/polls/1/vote", "/logout?next=/x"])
def test_a_form_is_sent_on_with_its_method(client, settings, debug, method, path):
    settings.DEBUG = debug
    response = getattr(client, method)(path)
    assert response.status_code == 308
    page, mark, query = path.partition("?")
    assert response["Location"] == f"{page}/{mark}{query}"


def test_what_was_typed_arrives(user):
    data = {"username": "ada", "password": "correct horse battery"}
    response = Client().post("/login", data, follow=True)
    assert response.redirect_chain[0] == ("/login/", 308)
    assert response.redirect_chain[1] == ("/polls/", 302)
    assert response.wsgi_request.user == user


def test_its_token_is_asked_for_where_it_arrives():
    strict = Client(enforce_csrf_checks=True)
    assert strict.post("/login", follow=True).status_code == 403


def test_a_page_is_still_redirected_as_ever(client):
    response = client.get("/login")
    assert (response.status_code, response["Location"]) == (301, "/login/")


@pytest.mark.parametrize("path", ["/nowhere", "/nowhere/", "/p/"])
def test_what_is_no_page_with_a_slash_either_is_not_found(client, path):
    assert client.post(path).status_code == 404


def test_it_leads_to_no_other_site(client):
    response = client.post("//evil.example")
    assert "evil.example" not in response.get("Location", "")


def test_health_checks_have_no_slash(client):
    assert client.post("/healthz").status_code == 405
    assert reverse("healthz") == "/healthz"
